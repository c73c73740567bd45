"""From figures to the tables that `speed.py` prints, and to the page of them."""

import csv
import io
import os
import platform
from datetime import date
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import psutil
from _cases import CHECKS, LAM_CASES, LARGE, MODULES, PEERS, ROWS, SIZES, Case
from _measure import MIB

PACKAGES = (
    "skgengeo",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "fermat",
    "networkit",
)
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
PROMISED = "what", "measured", "promised", "result"


# Ours beside the peers


def ratio(figures, row, n):
    ours, peer = (figures[case]["seconds"] for case in row.pair(n))
    return peer / ours


def growths(figures, row):
    """Exponents of n, ours and the peer's, by least squares of the logarithms."""
    if len(row.sizes) < 2:
        return "", ""
    seconds = [[figures[case]["seconds"] for case in row.pair(n)] for n in row.sizes]
    slopes, _ = np.polyfit(np.log(row.sizes), np.log(seconds), 1)
    return tuple(f"{slope:.2f}" for slope in slopes)


def rows_of_figures(figures):
    """Cells, those of the header first."""
    return [HEADER, *(cells(figures, row, n) for row in ROWS for n in row.sizes)]


def cells(figures, row, n):
    """Of a row at one size; growth and promise stand at the largest."""
    ours, peer = (figures[case] for case in row.pair(n))
    last = n == row.sizes[-1]
    return (
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
        *(growths(figures, row) if last else ("", "")),
    )


# What is promised


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
        f"distances, d = 3, n = {n:,}: peak memory, as a multiple of the result's "
        f"{size:.0f} MiB"
    )
    return Promise(what, figures[Case("geodesic", n, 3)]["beyond"] / size, 1.5)


def promises_of_lams(figures):
    for density, promised in (("cheap", 3.5), ("slow", 1.3)):
        one, ten = LAM_CASES[density]
        name = "fitted mixture" if density == "cheap" else "density of 1 ms a point"
        where = f"{name}, d = {one.n_features}, n = {one.n_samples:,}"
        what = f"ten λ, {where}: time, as a multiple of that of one λ"
        times = figures[ten]["seconds"] / figures[one]["seconds"]
        yield Promise(what, times, promised)


def promises_of_start(figures):
    ours, theirs = (figures[module]["seconds"] for module in MODULES)
    what = f"import of {MODULES[0]}: time, as a multiple of that of {MODULES[1]}"
    yield Promise(what, ours / theirs, 1.5)
    found = figures["first call"]
    more = found["first"] - found["second"]
    where = f"distances, d = 3, n = {SIZES[0]:,}, first call of a process"
    yield Promise(f"{where}: seconds more than the second", more, 1.0)


def promises_of_results(errors):
    for case, error in errors.items():
        what, most = CHECKS[case]
        where = f"d = {case.n_features}, n = {case.n_samples:,}"
        yield Promise(f"{what}, {where}: largest relative difference", error, most)


def all_promises(figures, errors):
    return [
        *promises_of_rows(figures),
        promise_of_memory(figures),
        *promises_of_lams(figures),
        *promises_of_start(figures),
        *promises_of_results(errors),
    ]


def rows_of_promises(promises):
    """Cells, those of the header first."""
    return [PROMISED, *map(cells_of_promise, promises)]


def cells_of_promise(promise):
    return (
        promise.what,
        f"{promise.measured:.4g}",
        f"{'≥' if promise.at_least else '≤'} {promise.promised:g}",
        "met" if promise.met else "missed",
    )


# As text and as a page


def as_text(rows):
    """Columns as wide as they have to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def as_rst(rows):
    """The first row is the header."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    body = text.getvalue().replace("\n", "\n   ").rstrip()
    return f".. csv-table::\n   :header-rows: 1\n\n   {body}\n"


def machine(repeats):
    """Cores, memory and versions; nothing else tells which machine it was."""
    memory = psutil.virtual_memory().total / 2**30
    runs = "1 run" if repeats == 1 else f"{repeats} runs"
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    versions.insert(0, f"Python {platform.python_version()}")
    return (
        f"Measured on {date.today()}, with {os.cpu_count()} cores and {memory:.0f} GiB "
        f"of memory, in {runs} of each case: {', '.join(versions)}."
    )


def page(rows, promises, repeats):
    return "\n".join(
        [
            ".. Written by make bench.",
            "",
            machine(repeats),
            "",
            as_rst(rows),
            "The promises:",
            "",
            as_rst(rows_of_promises(promises)),
        ]
    )
