"""Time and memory beside peers, all measured in the same run: `make bench`.

A noisy swiss roll in 3, 10 or 20 dimensions, at three sizes. The peers: scikit-learn's
Isomap, SpectralClustering and KernelDensity, SciPy's Dijkstra, networkit and fermat.
Every figure comes from processes of its own, in one thread unless it says `n_jobs=2`,
which have run the same on a few points before and take turns with the peers: the median
of their times, and their peak memory beyond what they held before. What is measured, by
name: `_jobs.py`, beside this file.

    pip install "skgengeo[bench]"
    python benchmarks/speed.py [--quick] [--repeats 3]
        [--write doc/benchmarks.inc]

The table has a row for each size and peer. The ratio is the peer's time over ours:
below 1 the peer is faster. Growth is the exponent of the number of samples, fitted to
the times at the three sizes. What is promised stands below, measured / promised.

It fails where a promise is missed, or results differ from those of a peer. That an
interrupt stops a long fit is measured in `_interrupts.py`, which runs alone, too.
`--quick` measures no time: it counts density evaluations and settled vertices
(`_counts.py`), and fails where they are too many. All runs on Linux and macOS.
"""

import argparse
import json
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import _interrupts
import _jobs
from _cases import CHECKS, D_OF_GRAPHS, LAM_CASES, MANY, MODULES, ROWS, SIZES
from _measure import apart, measured, medians, seconds_of
from _report import (
    all_promises,
    as_text,
    machine,
    page,
    rows_of_figures,
    rows_of_promises,
)
from scipy.sparse import load_npz, save_npz

N_WARM_UP = 200
# Short work is repeated in each process, for so long.
LEAST_SECONDS = 0.3
REPEATS, MANY_REPEATS = 3, 7
IMPORT = """
import json, time
start = time.perf_counter()
import {module}
print(json.dumps({{"seconds": time.perf_counter() - start}}))
"""


# In a process of its own


def measure(name, n_samples, n_features, folder):
    """The figures of one case."""
    job = getattr(_jobs, name)

    def given(n):
        if job in _jobs.OF_GRAPHS:
            return load_npz(name_of_graph(folder, n, n_features))
        return _jobs.swiss_roll(n, n_features)

    if name.endswith("_error"):
        return {"error": job(given(n_samples))}
    job(given(N_WARM_UP))()
    return measured(job(given(n_samples)), LEAST_SECONDS)


def name_of_graph(folder, n_samples, n_features):
    return Path(folder) / f"{n_samples}-{n_features}.npz"


def save_graphs(folder):
    """The graphs of all jobs, which are set up once."""
    for n in (N_WARM_UP, *SIZES, MANY):
        for d in D_OF_GRAPHS:
            graph = _jobs.geodesic_graph(_jobs.swiss_roll(n, d))
            save_npz(name_of_graph(folder, n, d), graph)


def first_and_second():
    """Seconds of the first call of this process and of the second."""
    work = _jobs.geodesic(_jobs.swiss_roll(SIZES[0], 3))
    return {"first": seconds_of(work), "second": seconds_of(work)}


def answer(what, *arguments):
    """What another process of this script asks for."""
    if what == "graphs":
        return save_graphs(*arguments)
    if what == "first call":
        return first_and_second()
    n_samples, n_features, folder = arguments
    return measure(what, int(n_samples), int(n_features), folder)


# All measurements


def run(case, folder):
    where = f"n = {case.n_samples:,}, d = {case.n_features}"
    print(f"  {case.name}, {where}", file=sys.stderr, flush=True)
    return apart(__file__, "--measure", *case, folder)


def all_cases():
    """Each once, so that peers of the same samples take turns."""
    cases = [case for row in ROWS for n in row.sizes for case in row.pair(n)]
    cases += [case for pair in LAM_CASES.values() for case in pair]
    return list(dict.fromkeys(cases))


def import_of(module):
    return apart("-c", IMPORT.format(module=module))


def first_call(_):
    return apart(__file__, "--measure", "first call")


def measure_all(repeats):
    """Figures of every case, of imports and the first call, and the errors."""
    with tempfile.TemporaryDirectory() as folder:
        apart(__file__, "--measure", "graphs", folder)
        figures = medians(partial(run, folder=folder), all_cases(), repeats)
        errors = {case: run(case, folder)["error"] for case in CHECKS}
    figures |= medians(import_of, MODULES, MANY_REPEATS)
    figures |= medians(first_call, ["first call"], repeats)
    return figures, errors


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="counts instead of times")
    parser.add_argument("--write", metavar="PATH", help="the tables as a page, too")
    parser.add_argument(
        "--repeats", type=int, default=REPEATS, help="runs of each case"
    )
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(path, repeats):
    """Measure all, print the tables, write them where asked; whether all is well."""
    print("Measuring, ten minutes or more for each run:", file=sys.stderr)
    figures, errors = measure_all(repeats)
    rows = rows_of_figures(figures)
    promises = [*all_promises(figures, errors), *_interrupts.promises()]
    texts = machine(repeats), as_text(rows), as_text(rows_of_promises(promises))
    print(*texts, sep="\n\n")
    if path:
        Path(path).write_text(page(rows, promises, repeats), encoding="utf-8")
    return all(promise.met for promise in promises)


def main():
    options = parsed()
    warnings.simplefilter("ignore")
    if options.measure:
        print(json.dumps(answer(*options.measure)))
    elif options.quick:
        import _counts

        _counts.check()
    elif not compare(options.write, options.repeats):
        sys.exit("Missed, or different: see above.")


if __name__ == "__main__":
    main()
