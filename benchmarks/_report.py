"""From figures to the tables that `speed.py` prints, and to the page of them."""

import csv
import io
import os
import platform
import sys
from datetime import date
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import psutil
from _cases import (
    CHECKS,
    LARGE,
    MODULES,
    MOST_FIRST_CALL,
    MOST_IMPORT,
    MOST_MEMORY,
    PEERS,
    ROWS,
    SIZES,
    SWEEPS,
    Case,
)
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


class Figures(NamedTuple):
    """All that is measured: figures by name, for each case and each import."""

    cases: dict
    errors: list  # of CHECKS
    imports: dict
    first_call: dict


# Ours beside the peers


def seconds_of_pair(figures, row, n):
    return [figures.cases[case]["seconds"] for case in row.pair(n)]


def ratio(figures, row, n):
    ours, peer = seconds_of_pair(figures, row, n)
    return peer / ours


def growths(figures, row):
    """Exponents of n, ours and the peer's, by least squares of the logarithms."""
    if len(row.sizes) < 2:
        return "", ""
    seconds = [seconds_of_pair(figures, row, n) for n in row.sizes]
    slopes, _ = np.polyfit(np.log(row.sizes), np.log(seconds), 1)
    return tuple(f"{slope:.2f}" for slope in slopes)


def rows_of_figures(figures):
    """Cells, those of the header first."""
    return [HEADER, *(cells(figures, row, n) for row in ROWS for n in row.sizes)]


def cells(figures, row, n):
    """Of a row at one size; growth and promise stand at the largest."""
    ours, peer = (figures.cases[case] for case in row.pair(n))
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
    size, held = 8 * n * n / MIB, figures.cases[Case("geodesic", n, 3)]["beyond"]
    what = (
        f"distances, d = 3, n = {n:,}: peak memory, as a multiple of the result's "
        f"{size:.0f} MiB"
    )
    return Promise(what, held / size, MOST_MEMORY)


def promises_of_sweeps(figures):
    for sweep in SWEEPS:
        where = f"{sweep.density}, d = {sweep.one.n_features}"
        where += f", n = {sweep.one.n_samples:,}"
        what = f"ten λ, {where}: time, as a multiple of that of one λ"
        one, ten = (figures.cases[c]["seconds"] for c in (sweep.one, sweep.ten))
        yield Promise(what, ten / one, sweep.promised)


def promises_of_start(figures):
    ours, theirs = (figures.imports[module]["seconds"] for module in MODULES)
    what = f"import of {MODULES[0]}: time, as a multiple of that of {MODULES[1]}"
    yield Promise(what, ours / theirs, MOST_IMPORT)
    what = (
        f"distances, d = 3, n = {SIZES[0]:,}, first call of a process, compiled code "
        "on disk, imports aside: seconds more than the second"
    )
    yield Promise(what, figures.first_call["seconds"], MOST_FIRST_CALL)


def promises_of_results(figures):
    for check, error in zip(CHECKS, figures.errors, strict=True):
        where = f"d = {check.case.n_features}, n = {check.case.n_samples:,}"
        what = f"{check.what}, {where}: largest relative difference"
        yield Promise(what, error, check.promised)


def all_promises(figures):
    return [
        *promises_of_rows(figures),
        promise_of_memory(figures),
        *promises_of_sweeps(figures),
        *promises_of_start(figures),
        *promises_of_results(figures),
    ]


def exit_if_missed(promises):
    """With a message that names each."""
    missed = [" | ".join(cells_of_promise(p)[:-1]) for p in promises if not p.met]
    if missed:
        sys.exit("\n".join(["Missed (what | measured | promised):", *missed]))


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


def machine(repeats, enough_seconds):
    """Cores, memory, versions and runs; nothing else tells which machine it was."""
    memory = psutil.virtual_memory().total / 2**30
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    versions.insert(0, f"Python {platform.python_version()}")
    return (
        f"Measured on {date.today()}, with {os.cpu_count()} cores and {memory:.0f} GiB "
        f"of memory, in {runs(repeats, enough_seconds)}: {', '.join(versions)}."
    )


def runs(repeats, enough_seconds):
    if repeats == 1:
        return "1 run of each case"
    long = enough_seconds / (repeats - 1)
    return f"{repeats} runs of each case, fewer of what takes {long:g} seconds or more"


def page(head, rows, promises):
    return "\n".join(
        [
            ".. Written by make bench.",
            "",
            head,
            "",
            as_rst(rows),
            "The promises:",
            "",
            as_rst(rows_of_promises(promises)),
        ]
    )
