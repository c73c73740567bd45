"""What `speed.py --quick` counts: density evaluations and settled vertices.

Counts hardly depend on the machine: only by the rounding in the fit of the density.
Evaluations are counted by the density, vertices by the code of the searches itself, run
without being compiled: a search relaxes the edges of each vertex that it settles once.
"""

import sys
import tempfile
from contextlib import contextmanager
from unittest.mock import patch

import _jobs
import numpy as np
from _cases import EVALUATIONS_AN_EDGE, PASSES
from _swiss_roll import rotated_swiss_roll

from skgengeo import GenerativeGeodesicDistance
from skgengeo.geometry import _dijkstra, _lanes, _shortest_paths
from skgengeo.geometry._shortest_paths import (
    Seeds,
    distances_between,
    distances_from,
    nearest_from,
)

N_SAMPLES, N_FEATURES = 1250, 3
N_PAIRS, N_NEAREST = 50, 15


class CountingDensity:
    """Counts the points at which it is evaluated."""

    n_points = 0  # of the class: a copy may be evaluated too

    def __init__(self, density):
        self.density = density

    def score_samples(self, X):
        CountingDensity.n_points += len(X)
        return self.density.score_samples(X)


def evaluations(work):
    """Points at which the density was evaluated meanwhile."""
    before = CountingDensity.n_points
    work()
    return CountingDensity.n_points - before


def uncompiled(module, *names):
    """Kernels of a module that run, and call others, as Python."""
    plain = {name: getattr(module, name).py_func for name in names}
    return patch.multiple(module, **plain)


@contextmanager
def settled_vertices():
    """A list with an entry for each vertex whose edges a single search relaxes."""
    kernel, settled = _dijkstra.relax, []

    def counted(*args):
        settled.append(args[3])
        return kernel(*args)

    with (
        uncompiled(_shortest_paths, "nearest", "between"),
        uncompiled(_dijkstra, "search"),
        patch.object(_dijkstra, "relax", counted),
    ):
        yield settled


@contextmanager
def vertices_passed():
    """A list of how many vertices each pass of a row of searches goes through."""
    kernel, passed = _lanes._relax_changed, []

    def counted(indptr, indices, weights, order, *args):
        any_changed = kernel(indptr, indices, weights, order, *args)
        if any_changed:
            passed.append(len(order))
        return any_changed

    with (
        uncompiled(_shortest_paths, "search_lanes"),
        uncompiled(_lanes, "_settle"),
        patch.object(_lanes, "_relax_changed", counted),
    ):
        yield passed


# Each gives what was counted, and the least and the most that may be


def an_edge(model, X):
    counted = evaluations(lambda: model.fit(X))
    told = model.graph_.n_evaluations
    yield "evaluations that the graph does not tell", abs(counted - told), (0, 0)
    yield "evaluations an edge", counted / model.graph_.n_edges, EVALUATIONS_AN_EDGE


def several_lams(model, X):
    """By `lam_path`, and by fits that share a folder."""
    one = evaluations(lambda: model.fit(X))
    ten = evaluations(lambda: _jobs.sweep(model.density, X, _jobs.LAMS))
    yield "evaluations of ten λ by lam_path, over one", ten / one, (1, 1)
    with tempfile.TemporaryDirectory() as folder:
        model.set_params(memory=folder)
        ten = evaluations(
            lambda: [model.set_params(lam=lam).fit(X) for lam in _jobs.LAMS]
        )
        model.set_params(memory=None)
    yield "evaluations of ten fits with memory, over one", ten / one, (1, 1)


def nearest(graph):
    n = graph.shape[0]
    with settled_vertices() as settled:
        nearest_from(graph, Seeds.at(np.arange(n)), N_NEAREST)
    what = f"vertices settled for the {N_NEAREST} nearest"
    yield what, len(settled) / n, (N_NEAREST, N_NEAREST)


def between(graph):
    """The target, and what is nearer, which Dijkstra's algorithm has to settle."""
    starts, stops = np.arange(N_PAIRS), np.arange(N_PAIRS, 2 * N_PAIRS)
    distances = distances_from(graph, Seeds.at(starts))
    reached = distances[np.arange(N_PAIRS), stops]
    needed = np.sum(distances <= reached[:, None])
    with settled_vertices() as settled:
        distances_between(graph, Seeds.at(starts), Seeds.at(stops))
    what = "vertices settled for a pair, over those needed"
    yield what, len(settled) / needed, (1, 1)


def passes(graph):
    """Of searches from all vertices, which are made in rows."""
    n = graph.shape[0]
    with vertices_passed() as passed:
        distances_from(graph, Seeds.at(np.arange(n)))
    n_rows = -(-n // _lanes.LANES)
    yield "passes over the edges for a row", sum(passed) / n / n_rows, PASSES


def bounds(least, most):
    return f"{most:g}" if least == most else f"{least:g} to {most:g}"


def check():
    """Print the counts, and fail where one is not as promised.

    A count of nothing is too low: then nothing was counted.
    """
    X = rotated_swiss_roll(N_SAMPLES, N_FEATURES)
    density = CountingDensity(_jobs.mixture().fit(X))
    model = GenerativeGeodesicDistance(density, lam=_jobs.LAMS[0])
    counts = [*an_edge(model, X), *several_lams(model, X)]
    graph = model.graph_.weights
    counts += [*nearest(graph), *between(graph), *passes(graph)]
    for what, count, promised in counts:
        print(f"{what:50s}{count:8.2f}, promised {bounds(*promised)}")
    missed = [
        what for what, count, (least, most) in counts if not least <= count <= most
    ]
    if missed:
        sys.exit("\n".join(["Not as promised:", *missed]))
