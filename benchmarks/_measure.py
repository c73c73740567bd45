"""Seconds and peak memory, each figure from processes of their own.

A script that measures runs itself: `apart` starts it once more with arguments that say
what to do, and it answers by a line of JSON. On Linux and macOS alone.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from psutil import Process

try:
    import resource
except ImportError:
    sys.exit("This benchmark runs on Linux and macOS: it needs the module resource.")

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",  # Apple's BLAS
)
ONE_THREAD = os.environ | dict.fromkeys(THREADS, "1")
MIB = 2**20


def apart(*arguments):
    """The last line that Python prints with these arguments, in one thread of BLAS."""
    answer = subprocess.run(
        [sys.executable, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=ONE_THREAD,
    )
    return json.loads(answer.stdout.splitlines()[-1])


def medians(run, rows, repeats, enough_seconds=np.inf):
    """Median figures of each row, whose runs take turns.

    Parameters
    ----------
    run : callable
        Row -> figures by name, ``seconds`` among them.
    rows : sequence
        What to run.
    repeats : int
        Runs of each, at most.
    enough_seconds : float, default=inf
        A row is not run again once its runs have taken so many.

    Returns
    -------
    dict
        Row -> figures by name.
    """
    runs = {row: [] for row in rows}
    for _ in range(repeats):
        for row, found in runs.items():
            if sum(figures["seconds"] for figures in found) < enough_seconds:
                found.append(run(row))
    return {row: _median_figures(found) for row, found in runs.items()}


def _median_figures(found):
    return {
        name: float(np.median([figures[name] for figures in found]))
        for name in found[0]
    }


def measured(work):
    """Seconds of some work, and the peak memory of this process meanwhile.

    Parameters
    ----------
    work : callable
        Without arguments.

    Returns
    -------
    dict
        ``seconds``; ``MiB``, the peak of the process; ``beyond``, how much that is
        beyond what the process held before. What the work returns is part of both.
    """
    _forget_peak()
    before = Process().memory_info().rss / MIB
    seconds, peak = seconds_of(work), _peak()
    return {"seconds": seconds, "MiB": peak, "beyond": peak - before}


def seconds_of(work):
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    del result  # not in the time
    return seconds


def _forget_peak():
    """Linux can; elsewhere the peak of what was loaded before may count too."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak():
    """In MiB. On Linux, ru_maxrss may be that of the process which started this one."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB  # in bytes
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 2**10 / MIB
