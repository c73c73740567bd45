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

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ONE_THREAD = os.environ | dict.fromkeys(THREADS, "1")
MIB = 2**20
# Unit of ru_maxrss: KiB, but bytes on macOS.
PEAK_UNIT = 1 if sys.platform == "darwin" else 2**10


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


def medians(run, rows, repeats):
    """Median figures of each row, whose runs take turns.

    Parameters
    ----------
    run : callable
        Row -> figures by name.
    rows : sequence
        What to run.
    repeats : int
        Runs of each.

    Returns
    -------
    dict
        Row -> figures by name.
    """
    runs = [{row: run(row) for row in rows} for _ in range(repeats)]
    return {
        row: {
            name: float(np.median([found[row][name] for found in runs]))
            for name in runs[0][row]
        }
        for row in rows
    }


def measured(work, least_seconds=0.0):
    """Seconds of some work, and the peak memory of this process at its first run.

    Parameters
    ----------
    work : callable
        Without arguments.
    least_seconds : float, default=0.0
        Work is repeated until so many have gone by; the median run counts.

    Returns
    -------
    dict
        ``seconds``; ``MiB``, the peak of the process; ``beyond``, how much that is
        beyond what the process held before. What the work returns is part of both.
    """
    _forget_peak()
    before = Process().memory_info().rss / MIB
    times = [seconds_of(work)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT / MIB
    while sum(times) < least_seconds:
        times.append(seconds_of(work))
    seconds = float(np.median(times))
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
