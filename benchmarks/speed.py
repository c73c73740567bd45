"""Time and memory beside peers, all measured in the same run: `make bench`.

A noisy swiss roll in 3, 10, 20 or 30 dimensions, at three sizes. The peers:
scikit-learn's Isomap, SpectralClustering and KernelDensity, SciPy's Dijkstra, networkit
and fermat. Every figure comes from processes of its own, in one thread unless it says
`n_jobs=2`, which have run the same on a few points before. Each runs it once: a time is
that of the first run, for which the system has to hand out memory. The processes take
turns with those of the peers, and the median counts: of their times, and of their peak
memory beyond what they held before. What is measured, by name: `_jobs.py`, beside this
file; what is promised: `_cases.py`. From a checkout:

    pip install ".[bench]"
    python benchmarks/speed.py [--quick] [--repeats 3]
        [--write doc/benchmarks.inc]

The table has a row for each size and peer. The ratio is the peer's time over ours:
below 1 the peer is faster. Growth is the exponent of the number of samples, fitted to
the times at the three sizes. What is promised stands below, measured / promised.

It fails where a promise is missed, or results differ from those of a peer. That an
interrupt stops a long fit is measured in `_interrupts.py`, which runs alone, too.
`--quick` measures no time: it counts density evaluations and settled vertices
(`_counts.py`), and fails where they are not as promised. All runs on Linux and macOS.
"""

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import _interrupts
import _jobs
from _cases import CHECKS, D_OF_GRAPHS, MANY, MODULES, ROWS, SIZES, SWEEPS, Case
from _measure import apart, measured, medians, seconds_of
from _report import (
    Figures,
    all_promises,
    as_text,
    exit_if_missed,
    machine,
    page,
    rows_of_figures,
    rows_of_promises,
)
from _swiss_roll import rotated_swiss_roll
from scipy.sparse import load_npz, save_npz

N_WARM_UP = 200
REPEATS, MANY_REPEATS = 3, 7
# A case is not run again once its runs have taken so long.
ENOUGH_SECONDS = 20.0
IMPORT = """
import json, time
start = time.perf_counter()
import {module}
print(json.dumps({{"seconds": time.perf_counter() - start}}))
"""


# In a process of its own


def measure(case, folder):
    """The figures of one case."""
    job = getattr(_jobs, case.name)
    given = partial(samples_or_graph, job, case.n_features, folder)
    if case in [check.case for check in CHECKS]:
        return {"error": job(given(case.n_samples))}
    job(given(N_WARM_UP))()
    return measured(job(given(case.n_samples)))


def samples_or_graph(job, n_features, folder, n_samples):
    """What a job takes."""
    if job in _jobs.OF_GRAPHS:
        return load_npz(name_of_graph(folder, n_samples, n_features))
    more = _jobs.N_NEW if job in _jobs.OF_NEW_POINTS else 0
    return rotated_swiss_roll(n_samples + more, n_features)


def name_of_graph(folder, n_samples, n_features):
    return Path(folder) / f"{n_samples}-{n_features}.npz"


def save_graphs(folder):
    """The graphs of all jobs, which are set up once."""
    for n in (N_WARM_UP, *SIZES, MANY):
        for d in D_OF_GRAPHS:
            graph = _jobs.geodesic_graph(rotated_swiss_roll(n, d))
            save_npz(name_of_graph(folder, n, d), graph)


def more_at_first():
    """Seconds that the first call of this process takes more than the second."""
    work = _jobs.geodesic(rotated_swiss_roll(SIZES[0], 3))
    return {"seconds": seconds_of(work) - seconds_of(work)}


def answer(what, *arguments):
    """What another process of this script asks for."""
    if what == "graphs":
        return save_graphs(*arguments)
    if what == "first call":
        return more_at_first()
    n_samples, n_features, folder = arguments
    return measure(Case(what, int(n_samples), int(n_features)), folder)


# All measurements


def run(case, folder):
    where = f"n = {case.n_samples:,}, d = {case.n_features}"
    print(f"  {case.name}, {where}", file=sys.stderr, flush=True)
    return apart(__file__, "--measure", *case, folder)


def all_cases():
    """Each once, so that peers of the same samples take turns."""
    cases = [case for row in ROWS for n in row.sizes for case in row.pair(n)]
    cases += [case for sweep in SWEEPS for case in (sweep.one, sweep.ten)]
    return list(dict.fromkeys(cases))


def import_of(module):
    return apart("-c", IMPORT.format(module=module))


def first_call(_):
    return apart(__file__, "--measure", "first call")


def measure_all(repeats):
    """All but the interrupts."""
    with tempfile.TemporaryDirectory() as folder:
        apart(__file__, "--measure", "graphs", folder)
        cases = medians(
            partial(run, folder=folder), all_cases(), repeats, ENOUGH_SECONDS
        )
        errors = [run(check.case, folder)["error"] for check in CHECKS]
    imports = medians(import_of, MODULES, MANY_REPEATS)
    first = medians(first_call, ["first call"], repeats)
    return Figures(cases, errors, imports, first["first call"])


def positive(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} runs measure nothing; give 1 or more")
    return int(text)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="counts instead of times")
    parser.add_argument("--write", metavar="PATH", help="the tables as a page, too")
    parser.add_argument(
        "--repeats",
        type=positive,
        default=REPEATS,
        help="runs of each case, fewer of what takes long",
    )
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(path, repeats):
    """Measure all, print the tables, and write them where asked; all promises."""
    print("Measuring, up to ten minutes for each run:", file=sys.stderr)
    figures = measure_all(repeats)
    head, rows = machine(repeats, ENOUGH_SECONDS), rows_of_figures(figures)
    promises = all_promises(figures)
    # Before the interrupts, which may fail in their own way.
    show(head, as_text(rows), as_text(rows_of_promises(promises)))
    interrupts = list(_interrupts.promises())
    show(as_text(rows_of_promises(interrupts)))
    promises += interrupts
    if path:
        Path(path).write_text(page(head, rows, promises), encoding="utf-8")
    return promises


def show(*texts):
    print(*texts, sep="\n\n", end="\n\n", flush=True)


def main():
    options = parsed()
    if options.measure:
        print(json.dumps(answer(*options.measure)))
    elif options.quick:
        import _counts

        _counts.check()
    else:
        exit_if_missed(compare(options.write, options.repeats))


if __name__ == "__main__":
    main()
