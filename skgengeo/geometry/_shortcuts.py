"""Points -> edges across gaps, where neighbourhood graphs have none.

Gabriel's graph joins points that face each other: the ball around an edge, through its
ends, is empty. It grows as n 2^d, so that each point keeps a few of its edges: those
that spare the longest ways around.
"""

import numpy as np
from numba import njit
from scipy.sparse import coo_array

from .._batching import row_batches
from ._edges import (
    NeighborSearch,
    component_labels,
    default_n_neighbors,
    joining_edges,
    neighborhood_edges,
    segment_lengths,
    undirected_edges,
)
from ._shortest_paths import Seeds, distances_from

# Edges are sought among so many points, whose balls are tested for so many neighbours
# of either end, and kept up to so many a point.
MAX_POINTS, N_WITNESSES, MAX_DEGREE = 1000, 16, 16
# Points in a call of the compiled kernel, which Ctrl-C cannot interrupt.
ROWS = 100


def shortcut_edges(X, *, n_jobs=None):
    """Edges of Gabriel's graph [1]_, at each point those that spare the longest ways.

    Of many points some are drawn, by a fixed seed: a shortcut is a start for what comes
    after it. In few features, where no point has more edges than it keeps, they hold
    the Euclidean minimum spanning tree.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The points to be joined; of copies the first is.
    n_jobs : None or int
        As in scikit-learn; no part of the result.

    Returns
    -------
    Edges
        Undirected, many of them those of a neighbourhood graph too.

    References
    ----------
    .. [1] K. R. Gabriel and R. R. Sokal, "A New Statistical Approach to Geographic
       Variation Analysis", Systematic Zoology 18, 1969.
    """
    some = np.sort(np.unique(X, axis=0, return_index=True)[1])
    if len(some) > MAX_POINTS:
        drawn = np.random.RandomState(0).permutation(len(some))[:MAX_POINTS]
        some = np.sort(some[drawn])
    search = NeighborSearch(X[some], n_jobs=n_jobs)
    i, j = _gabriel_pairs(search)
    spared = _way_around(search)[i, j] / segment_lengths(search.X, i, search.X, j)
    kept = _greatest_at_each_end(i, j, spared, MAX_DEGREE)
    return undirected_edges(X, some[i[kept]], some[j[kept]])


def _gabriel_pairs(search):
    """Pairs i < j whose ball holds none of the nearest neighbours of either."""
    n = len(search.X)
    witnesses = search.neighbors(min(N_WITNESSES, n - 1))
    found = [
        _empty_balls(search.X, witnesses, rows.start, rows.stop)
        for rows in row_batches(n, size=ROWS)
    ]
    return np.concatenate(found).T


def _way_around(search):
    """Euclidean lengths of shortest paths in a neighbourhood graph of all points."""
    X, n = search.X, len(search.X)
    edges = neighborhood_edges(search, n_neighbors=default_n_neighbors(n))
    _, labels = component_labels(n, edges.i, edges.j)
    bridges = joining_edges(X, labels, n_jobs=search.n_jobs)
    i, j = np.r_[edges.i, bridges.i], np.r_[edges.j, bridges.j]
    length = np.r_[edges.length, bridges.length]
    both = np.r_[length, length], (np.r_[i, j], np.r_[j, i])
    graph = coo_array(both, shape=(n, n)).tocsr()
    return distances_from(graph, Seeds.at(np.arange(n)), n_jobs=search.n_jobs)


@njit(cache=True, nogil=True)
def _empty_balls(X, witnesses, start, stop):
    """Pairs i < j, i of a range, whose ball holds no witness of either."""
    pairs = [(0, 0) for _ in range(0)]
    for i in range(start, stop):
        for j in range(i + 1, len(X)):
            if not (
                _witnessed(X, witnesses[i], i, j) or _witnessed(X, witnesses[j], i, j)
            ):
                pairs.append((i, j))
    result = np.empty((len(pairs), 2), dtype=np.int64)
    for row in range(len(pairs)):
        result[row, 0], result[row, 1] = pairs[row]
    return result


@njit(cache=True, nogil=True)
def _witnessed(X, witnesses, i, j):
    """Whether a witness lies in the ball with the diameter from i to j."""
    for k in witnesses:
        # Inside, the ends are seen under an obtuse angle.
        seen = 0.0
        for c in range(X.shape[1]):
            seen += (X[i, c] - X[k, c]) * (X[j, c] - X[k, c])
        if seen < 0:
            return True
    return False


def _greatest_at_each_end(i, j, value, degree):
    """Which edges are among those of the greatest values at both of their ends."""
    n_edges, end = len(i), np.r_[i, j]
    order = np.lexsort((np.r_[j, i], -np.r_[value, value], end))
    first = np.searchsorted(end[order], end[order])
    rank = np.empty(2 * n_edges, dtype=np.int64)
    rank[order] = np.arange(2 * n_edges) - first
    return (rank < degree).reshape(2, -1).all(axis=0)
