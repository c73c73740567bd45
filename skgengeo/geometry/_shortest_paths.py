"""CSR -> distances and paths. Pure graph: no geometry, no density.

A search starts from *seeds*: vertices with the distance at which they are reached. A
vertex of the graph is one seed at distance 0; a point beside the graph has a seed for
each vertex it is joined to. Seeds are a CSR triple (indptr, vertices, distances), one
row for each search.

One search is Dijkstra's algorithm. Many searches are made together, several times
as fast where they start near each other. Batches of searches go to joblib threads.
"""

from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from .._batching import in_threads, ragged_rows, row_batches
from ._dijkstra import between, nearest, one_by_one, search
from ._lanes import LANES, nearby, search_lanes

# Searches that a thread makes before the next interrupt or report.
BATCH = 8 * LANES
# Searches that stop early share their arrays, which are as long as the graph is large.
SMALL_SEARCHES = 1024


class Seeds(NamedTuple):
    """Rows of (vertex, distance) from which searches start."""

    indptr: np.ndarray
    vertex: np.ndarray
    distance: np.ndarray

    @classmethod
    def at(cls, vertices):
        """One seed a row: a vertex, at distance 0."""
        vertices = np.asarray(vertices, dtype=np.int64)
        return cls(np.arange(len(vertices) + 1), vertices, np.zeros(len(vertices)))

    @property
    def n_searches(self):
        """Number of rows."""
        return len(self.indptr) - 1

    def take(self, rows):
        """The rows named, in that order."""
        indptr, inside = ragged_rows(self.indptr, rows)
        return Seeds(indptr, self.vertex[inside], self.distance[inside])


def distances_from(graph, seeds, *, dtype=np.float64, n_jobs=None, verbose=False):
    """Distance from each row of seeds to every vertex.

    Parameters
    ----------
    graph : csr_array of shape (n, n)
        Symmetric, non-negative weights; explicit zeros are edges.
    seeds : Seeds
        One row for each search.
    dtype : dtype, default=float64
        Of the result; the search is in float64.
    n_jobs : None or int
        Threads, as in joblib.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n_searches, n)
        ``inf`` where there is no path.
    """
    out = np.empty((seeds.n_searches, graph.shape[0]), dtype=dtype)
    # Those of one row are 1.5 times faster together, and a hundred 5 times.
    search_rows = _one_by_one if seeds.n_searches < LANES else _together
    search_rows(graph, seeds, out, n_jobs, verbose)
    return out


def _one_by_one(graph, seeds, out, n_jobs, verbose):
    arrays = graph.indptr, graph.indices, graph.data

    def _search_rows(rows):
        one_by_one(*arrays, *seeds.take(rows), rows, out)

    _run(_search_rows, _slices(seeds.n_searches), n_jobs, verbose)


def _together(graph, seeds, out, n_jobs, verbose):
    searches, place = nearby(graph, seeds)
    order = np.argsort(place)
    graph = graph[order][:, order]
    graph.sort_indices()
    arrays = graph.indptr, graph.indices, graph.data, place
    seeds = seeds._replace(vertex=place[seeds.vertex])

    def _search_rows(batch):
        rows = searches[batch]
        search_lanes(*arrays, *seeds.take(rows), rows, out)

    _run(_search_rows, _slices(seeds.n_searches), n_jobs, verbose)


def distances_between(graph, seeds, targets, *, n_jobs=None, verbose=False):
    """Distance from each row of seeds to the same row of targets.

    Parameters
    ----------
    graph : csr_array of shape (n, n)
        As in `distances_from`.
    seeds, targets : Seeds
        The same number of rows. A path ends at a target by adding its distance.
    n_jobs : None or int
        Threads, as in joblib.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n_searches,)
        Each search stops as soon as its distance is known.
    """
    out = np.empty(seeds.n_searches)
    arrays = graph.indptr, graph.indices, graph.data

    def _search_rows(rows):
        between(*arrays, *seeds.take(rows), *targets.take(rows), rows, out)

    _run(_search_rows, _slices(seeds.n_searches), n_jobs, verbose)
    return out


def nearest_from(graph, seeds, k, *, n_jobs=None, verbose=False):
    """The k vertices nearest to each row of seeds.

    Parameters
    ----------
    graph : csr_array of shape (n, n)
        As in `distances_from`.
    seeds : Seeds
        One row for each search.
    k : int
        Number of vertices; a seed at distance 0 is one of them, and the first.
    n_jobs : None or int
        Threads, as in joblib.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    distances : ndarray of shape (n_searches, k)
        In ascending order; ``inf`` where fewer vertices can be reached.
    vertices : ndarray of int of shape (n_searches, k)
        -1 where fewer can be reached. Each search stops at its k-th vertex.
    """
    distances = np.full((seeds.n_searches, k), np.inf)
    vertices = np.full((seeds.n_searches, k), -1, dtype=np.int64)
    arrays = graph.indptr, graph.indices, graph.data

    def _search_rows(rows):
        nearest(*arrays, *seeds.take(rows), rows, distances, vertices)

    batches = _slices(seeds.n_searches, SMALL_SEARCHES)
    _run(_search_rows, batches, n_jobs, verbose)
    return distances, vertices


def pairs_of_nearest(distances, vertices):
    """Pairs of vertices where either is among the nearest of the other.

    Parameters
    ----------
    distances, vertices : ndarray of shape (n, k)
        As `nearest_from` gives them for all vertices of a graph.

    Returns
    -------
    i, j : ndarray of int
        Each pair in both orders, and each vertex with itself.
    distances : ndarray of float
        The same in both orders.
    """
    n = len(vertices)
    i, column = np.nonzero(vertices >= 0)
    j, distances = vertices[i, column], distances[i, column]
    low, high = np.minimum(i, j), np.maximum(i, j)
    order = np.lexsort((distances, low * n + high))
    # The two directions of a search differ by rounding: the smaller is taken.
    keys, first = np.unique((low * n + high)[order], return_index=True)
    low, high, distances = keys // n, keys % n, distances[order][first]
    beside = low != high
    return (
        np.r_[low, high[beside]],
        np.r_[high, low[beside]],
        np.r_[distances, distances[beside]],
    )


def shortest_paths(graph, seeds, targets, *, n_jobs=None, verbose=False):
    """Vertices of a shortest path from each row of seeds to the same row of targets.

    Parameters
    ----------
    graph : csr_array of shape (n, n)
        As in `distances_from`.
    seeds, targets : Seeds
        The same number of rows.
    n_jobs : None or int
        Threads, as in joblib.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    paths : list of ndarray of int
        From a seed to a target; empty where there is no path.
    lengths : ndarray of shape (n_searches,)
        What `distances_between` gives.
    """
    n = graph.shape[0]
    paths, lengths = [None] * seeds.n_searches, np.empty(seeds.n_searches)
    arrays = graph.indptr, graph.indices, graph.data

    def _search_rows(rows):
        for row in rows:
            start, stop = seeds.take([row]), targets.take([row])
            distance, parent = np.full(n, np.inf), np.full(n, -1, dtype=np.int64)
            until = np.full(n, np.inf)
            np.minimum.at(until, stop.vertex, stop.distance)
            lengths[row] = search(
                *arrays, start.vertex, start.distance, until, distance, parent
            )
            last = int(np.argmin(distance + until))
            paths[row] = _back(parent, last) if lengths[row] < np.inf else []

    _run(_search_rows, _slices(seeds.n_searches), n_jobs, verbose)
    return [np.array(path, dtype=np.int64) for path in paths], lengths


def _back(parent, vertex):
    """Vertices from a root of the search to a vertex."""
    path = [vertex]
    while parent[path[-1]] >= 0:
        path.append(parent[path[-1]])
    return path[::-1]


def through_seeds(seeds, distances):
    """Min-plus: distance of each row of seeds from the known distances of vertices.

    Parameters
    ----------
    seeds : Seeds
        One row for each point beside the graph; none is empty.
    distances : ndarray of shape (n, m)
        From every vertex to m places.

    Returns
    -------
    ndarray of shape (n_points, m)
        The smallest sum over the seeds of each point.
    """
    out = np.full((seeds.n_searches, distances.shape[1]), np.inf)
    for row in range(seeds.n_searches):
        inside = slice(seeds.indptr[row], seeds.indptr[row + 1])
        if inside.start < inside.stop:
            sums = distances[seeds.vertex[inside]] + seeds.distance[inside, None]
            sums.min(axis=0, out=out[row])
    return out


def _slices(n_searches, size=BATCH):
    return [np.arange(n_searches)[rows] for rows in row_batches(n_searches, size=size)]


def _run(search, batches, n_jobs, verbose):
    """Run `search` on batches of rows, in threads that share memory."""
    progress = tqdm(batches, desc="shortest paths", disable=not verbose)
    in_threads(search, progress, n_jobs)
