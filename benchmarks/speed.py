"""Time and memory beside peers, all measured in the same run: `make bench`.

A noisy swiss roll in 3, 10 or 20 dimensions, at three sizes. The peers: scikit-learn's
Isomap, SpectralClustering and KernelDensity, SciPy's Dijkstra, networkit and fermat.
Every figure comes from processes of its own, in one thread unless it says `n_jobs=2`,
which have run the same on a few points before and take turns with the peers: the median
of their times, and their peak memory beyond what they held before. What is measured, by
name: `_jobs.py`, beside this file.

    pip install "skgengeo[bench]"
    python benchmarks/speed.py [--quick] [--write doc/benchmarks.inc]

The table has a row for each size and peer. The ratio is the peer's time over ours:
below 1 the peer is faster. Growth is the exponent of the number of samples, fitted to
the times at the three sizes. What is promised stands below, measured / promised.

It fails where a promise is missed, or results differ from those of a peer. `--quick`
measures no time: it counts density evaluations and settled vertices (`_counts.py`), and
fails where they are too many.
"""

import argparse
import csv
import io
import json
import os
import platform
import sys
import tempfile
import warnings
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import _jobs
import numpy as np
import psutil
from _measure import MIB, apart, measured, medians, seconds_of
from scipy.sparse import load_npz, save_npz

FEW, LARGE, MANY = 250, 5000, 20_000
SIZES = (1250, 2500, LARGE)
D_OF_GRAPHS = (3, 20)
N_WARM_UP = 200
# Short work is repeated in each process, for so long.
LEAST_SECONDS = 0.3
REPEATS, MANY_REPEATS = 3, 7
MODULES = ("skgengeo", "sklearn.manifold")
PACKAGES = (
    "skgengeo",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "fermat",
    "networkit",
)
PEERS = {
    "isomap": "Isomap.fit",
    "fermat": "fermat",
    "spectral_clusters": "SpectralClustering",
    "sklearn_kernels": "KernelDensity",
    "scipy_paths": "scipy dijkstra",
    "networkit_paths": "networkit APSP",
}
IMPORT = """
import json, time
start = time.perf_counter()
import {module}
print(json.dumps({{"seconds": time.perf_counter() - start}}))
"""


class Row(NamedTuple):
    """Ours beside a peer; with a promise, how many times as fast it is at least."""

    task: str
    n_features: int
    ours: str
    peer: str
    sizes: tuple = SIZES
    promised: float | None = None

    def pair(self, n):
        return Case(self.ours, n, self.n_features), Case(self.peer, n, self.n_features)


class Case(NamedTuple):
    """One job of `_jobs.py` on samples of one size."""

    name: str
    n_samples: int
    n_features: int


class Promise(NamedTuple):
    what: str
    measured: float
    promised: float
    at_least: bool = False

    @property
    def met(self):
        if self.at_least:
            return self.measured >= self.promised
        return self.measured <= self.promised


ONE, TWO = "own_paths", "own_paths_in_two"
ROWS = [
    Row("distances", 3, "geodesic", "isomap", promised=2),
    Row("distances", 3, "geodesic", "fermat"),
    Row("distances, mixture", 3, "geodesic_mixture", "isomap"),
    Row("distances", 10, "geodesic", "isomap"),
    Row("distances, mixture", 10, "geodesic_mixture", "isomap"),
    Row("MDS", 3, "geodesic_mds", "isomap"),
    Row("clusters", 3, "geodesic_clusters", "spectral_clusters"),
    Row("kernels", 3, "own_kernels", "sklearn_kernels"),
    Row("kernels, n_jobs=2", 3, "own_kernels_in_two", "sklearn_kernels", (LARGE,), 8),
]
for d in D_OF_GRAPHS:
    ROWS += [
        Row("all pairs", d, ONE, "networkit_paths"),
        Row("all pairs", d, ONE, "scipy_paths", promised=4),
        Row("all pairs, n_jobs=2", d, TWO, "scipy_paths", (LARGE,), 8),
        Row("1,000 sources", d, ONE, "scipy_paths", (MANY,), 4),
        Row("1,000 sources, n_jobs=2", d, TWO, "scipy_paths", (MANY,), 8),
    ]
LAM_CASES = {
    "cheap": (Case("one_lam", LARGE, 3), Case("ten_lams", LARGE, 3)),
    "slow": (Case("one_lam_slow", FEW, 3), Case("ten_lams_slow", FEW, 3)),
}
# What is compared, and how much results may differ.
CHECKS = {
    Case("kernels_error", LARGE, 3): ("kernel density and KernelDensity", 1e-10),
    **{
        Case("paths_error", n, d): ("shortest paths and scipy", 1e-12)
        for n in (LARGE, MANY)
        for d in D_OF_GRAPHS
    },
}


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
    print(f"  {case.name}, n = {case.n_samples:,}, d = {case.n_features}", flush=True)
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


def measure_all():
    """Figures of every case, of imports and the first call, and the errors."""
    with tempfile.TemporaryDirectory() as folder:
        apart(__file__, "--measure", "graphs", folder)
        figures = medians(partial(run, folder=folder), all_cases(), REPEATS)
        errors = {case: run(case, folder)["error"] for case in CHECKS}
    figures |= medians(import_of, MODULES, MANY_REPEATS)
    figures |= medians(first_call, ["first call"], REPEATS)
    return figures, errors


# The table


HEADER = (
    "task",
    "d",
    "n",
    "ours, s",
    "peer",
    "peer, s",
    "ratio",
    "promised",
    "ours, MiB",
    "peer, MiB",
    "growth, ours",
    "growth, peer",
)
PROMISED = "what", "measured", "promised", ""


def growth(figures, row, ours):
    """Exponent of n, by least squares of the logarithms."""
    cases = [row.pair(n)[0 if ours else 1] for n in row.sizes]
    seconds = [figures[case]["seconds"] for case in cases]
    return np.polyfit(np.log(row.sizes), np.log(seconds), 1)[0]


def ratio(figures, row, n):
    ours, peer = (figures[case]["seconds"] for case in row.pair(n))
    return peer / ours


def lines_of(figures, row):
    """Cells of a row at each size; growth and promise stand at the largest."""
    for n in row.sizes:
        ours, peer = (figures[case] for case in row.pair(n))
        last = n == row.sizes[-1]
        grown = last and len(row.sizes) > 1
        yield (
            row.task,
            str(row.n_features),
            f"{n:,}",
            f"{ours['seconds']:.3g}",
            PEERS[row.peer],
            f"{peer['seconds']:.3g}",
            f"{ratio(figures, row, n):.2f}",
            f"≥ {row.promised:g}" if last and row.promised else "",
            f"{round(ours['beyond'])}",
            f"{round(peer['beyond'])}",
            f"{growth(figures, row, True):.2f}" if grown else "",
            f"{growth(figures, row, False):.2f}" if grown else "",
        )


# The promises


def promises_of_rows(figures):
    for row in ROWS:
        if row.promised:
            n = row.sizes[-1]
            where = f"{row.task}, d = {row.n_features}, n = {n:,}"
            what = f"{where}: times as fast as {PEERS[row.peer]}"
            yield Promise(what, ratio(figures, row, n), row.promised, at_least=True)


def promise_of_memory(figures):
    n = LARGE
    size = 8 * n * n / MIB
    what = (
        f"distances, d = 3, n = {n:,}: peak memory beyond the start, the result of "
        f"{size:.0f} MiB included, over the size of the result"
    )
    return Promise(what, figures[Case("geodesic", n, 3)]["beyond"] / size, 1.5)


def promises_of_lams(figures):
    for density, promised in (("cheap", 3.5), ("slow", 1.3)):
        one, ten = LAM_CASES[density]
        name = "fitted mixture" if density == "cheap" else "density of 1 ms a point"
        what = f"ten λ over one, {name}, n = {one.n_samples:,}: time"
        times = figures[ten]["seconds"] / figures[one]["seconds"]
        yield Promise(what, times, promised)


def promises_of_start(figures):
    ours, theirs = (figures[module]["seconds"] for module in MODULES)
    yield Promise(f"import of {MODULES[0]} over {MODULES[1]}: time", ours / theirs, 1.5)
    found = figures["first call"]
    more = found["first"] - found["second"]
    yield Promise("first call of a process beyond the second: seconds", more, 1.0)


def promises_of_results(errors):
    for case, error in errors.items():
        what, most = CHECKS[case]
        where = f"d = {case.n_features}, n = {case.n_samples:,}"
        yield Promise(f"{what}, {where}: relative difference", error, most)


def lines_of_promises(promises):
    for promise in promises:
        yield (
            promise.what,
            f"{promise.measured:.3g}",
            f"{'≥' if promise.at_least else '≤'} {promise.promised:g}",
            "met" if promise.met else "missed",
        )


# As text and as a page


def as_text(header, lines):
    """Columns as wide as they have to be."""
    lines = [header, *lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_rst(header, lines):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [header, *lines]
    )
    body = "".join(f"   {line}\n" for line in text.getvalue().splitlines())
    return f".. csv-table::\n   :header-rows: 1\n\n{body}"


def machine():
    """Cores, memory and versions; nothing else tells which machine it was."""
    memory = psutil.virtual_memory().total / 2**30
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    versions.insert(0, f"Python {platform.python_version()}")
    return (
        f"Measured on {date.today()}, with {os.cpu_count()} cores and {memory:.0f} GiB "
        f"of memory: {', '.join(versions)}."
    )


def page(lines, promised):
    return "\n".join(
        [
            ".. Written by make bench.",
            "",
            machine(),
            "",
            as_rst(HEADER, lines),
            "The promises:",
            "",
            as_rst(PROMISED, promised),
        ]
    )


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="counts instead of times")
    parser.add_argument("--write", metavar="PATH", help="the tables as a page, too")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(path):
    """Measure all, print the tables, write them where asked; whether all is well."""
    print("Measuring, for some minutes:")
    figures, errors = measure_all()
    lines = [line for row in ROWS for line in lines_of(figures, row)]
    promises = [
        *promises_of_rows(figures),
        promise_of_memory(figures),
        *promises_of_lams(figures),
        *promises_of_start(figures),
        *promises_of_results(errors),
    ]
    promised = list(lines_of_promises(promises))
    print(machine(), as_text(HEADER, lines), sep="\n\n", end="\n\n")
    print(as_text(PROMISED, promised))
    if path:
        Path(path).write_text(page(lines, promised), encoding="utf-8")
    return all(promise.met for promise in promises)


def main():
    options = parsed()
    warnings.simplefilter("ignore")
    if options.measure:
        print(json.dumps(answer(*options.measure)))
    elif options.quick:
        import _counts

        _counts.check()
    elif not compare(options.write):
        sys.exit("Missed, or different: see above.")


if __name__ == "__main__":
    main()
