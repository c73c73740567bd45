"""CSR -> distances and paths. Pure graph: no geometry, no density.

A search starts from *seeds*: vertices with the distance at which they are reached. A
vertex of the graph is one seed at distance 0; a point beside the graph has a seed for
each vertex it is joined to. Seeds are a CSR triple (indptr, vertices, distances), one
row for each search.

One search is Dijkstra's algorithm. Many searches are made in batches that start near
each other: one pass over the edges relaxes a contiguous row of searches at once, in
the order in which Dijkstra's algorithm settles the vertices for one of them, then in
the reverse, for paths that come the other way, and so on until nothing changes. What no
edge can improve is the smallest sum over all paths, so both ways give the same result
to the last bit. Batches take a sixth of the time: 0.8 s instead of 5 s for all pairs of
5,000 vertices with 18 neighbours, on one core.

The kernels are serial and release the GIL; batches go to joblib threads.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from .._batching import ragged_rows, row_batches

# Searches in a batch; fewer than half of these are made one by one, and so are fewer
# than a twentieth of the vertices: they start too far apart to share an order.
BATCH, SCATTERED = 64, 20
# Vertices whose distances are written out together: their rows stay in the cache.
TILE = 32
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
    n = graph.shape[0]
    out = np.empty((seeds.n_searches, n), dtype=dtype)
    arrays = graph.indptr, graph.indices, graph.data
    if seeds.n_searches < max(BATCH // 2, n // SCATTERED):
        batches, kernel = _slices(seeds.n_searches), _one_by_one
    else:
        batches, kernel = _nearby_batches(arrays, seeds), _together

    def _search_rows(rows):
        kernel(*arrays, *seeds.take(rows), rows, out)

    _run(_search_rows, batches, n_jobs, verbose)
    return out


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
        _between(*arrays, *seeds.take(rows), *targets.take(rows), rows, out)

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
        _nearest(*arrays, *seeds.take(rows), rows, distances, vertices)

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
            lengths[row] = _search(
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


def _nearby_batches(arrays, seeds):
    """Partition the searches into batches that start near each other."""
    n = len(arrays[0]) - 1
    empty = np.diff(seeds.indptr) == 0
    home = np.where(empty, 0, np.append(seeds.vertex, 0)[seeds.indptr[:-1]])
    order = np.empty(len(home), dtype=np.int64)
    by_home = np.argsort(home, kind="stable")
    waiting = np.searchsorted(home[by_home], np.arange(n + 1))
    _gather(*arrays, by_home, waiting, order)
    return [order[rows] for rows in row_batches(len(order), size=BATCH)]


def _run(search, batches, n_jobs, verbose):
    """Run `search` on batches of rows, in threads that share memory."""
    progress = tqdm(batches, desc="shortest paths", disable=not verbose)
    Parallel(n_jobs=n_jobs, require="sharedmem")(
        delayed(search)(rows) for rows in progress
    )


@njit(cache=True, nogil=True)
def _sift_up(heap, keys, place, hole, vertex, key):
    """Put a vertex into a 4-ary heap, from a hole upwards."""
    while hole > 0:
        above = (hole - 1) >> 2
        if keys[above] <= key:
            break
        heap[hole], keys[hole] = heap[above], keys[above]
        place[heap[hole]] = hole
        hole = above
    heap[hole], keys[hole] = vertex, key
    place[vertex] = hole


@njit(cache=True, nogil=True)
def _pop(heap, keys, place, size):
    """Remove the top of a 4-ary heap of `size`; its last entry finds a new place."""
    size -= 1
    vertex, key = heap[size], keys[size]
    hole = 0
    while True:
        child = 4 * hole + 1
        if child >= size:
            break
        best = child
        for other in range(child + 1, min(child + 4, size)):
            if keys[other] < keys[best]:
                best = other
        if keys[best] >= key:
            break
        heap[hole], keys[hole] = heap[best], keys[best]
        place[heap[hole]] = hole
        hole = best
    if size > 0:
        heap[hole], keys[hole] = vertex, key
        place[vertex] = hole
    return size


@njit(cache=True, nogil=True)
def _relax(indptr, indices, weights, v, key, heap, keys, place, size, distance):
    """Offer the neighbours of a settled vertex its distance; the heap's new size."""
    for e in range(indptr[v], indptr[v + 1]):
        u = indices[e]
        reached = key + weights[e]
        if reached < distance[u]:
            if place[u] < 0:
                place[u] = size
                size += 1
            distance[u] = reached
            _sift_up(heap, keys, place, place[u], u, reached)
    return size


@njit(cache=True, nogil=True)
def _sow(seeds, starts, heap, keys, place, distance):
    """Put the seeds of a search into an empty heap; its size."""
    size = 0
    for s in range(len(seeds)):
        v = seeds[s]
        if starts[s] < distance[v]:
            if place[v] < 0:
                place[v] = size
                size += 1
            distance[v] = starts[s]
            _sift_up(heap, keys, place, place[v], v, starts[s])
    return size


@njit(cache=True, nogil=True)
def _search(indptr, indices, weights, seeds, starts, until, distance, parent):
    """Dijkstra's algorithm from seeds.

    `distance` comes in as inf everywhere. The search stops early once no vertex left
    can improve on the smallest ``distance[v] + until[v]``, which is returned; with an
    empty `until` it goes on to the end. An empty `parent` is not filled.
    """
    n = len(distance)
    heap, keys = np.empty(n, dtype=np.int32), np.empty(n)
    place = np.full(n, -1, dtype=np.int32)
    size = _sow(seeds, starts, heap, keys, place, distance)
    best = np.inf
    while size > 0:
        v, key = heap[0], keys[0]
        if len(until) > 0:
            if key >= best:
                break
            best = min(best, key + until[v])
        size = _pop(heap, keys, place, size)
        for e in range(indptr[v], indptr[v + 1]):
            if len(parent) > 0 and key + weights[e] < distance[indices[e]]:
                parent[indices[e]] = v
        size = _relax(
            indptr, indices, weights, v, key, heap, keys, place, size, distance
        )
    return best


@njit(cache=True, nogil=True)
def _one_by_one(indptr, indices, weights, first, seeds, starts, rows, out):
    """Dijkstra's algorithm for each search, into the rows of `out`."""
    n = len(indptr) - 1
    nothing, no_parent = np.empty(0), np.empty(0, dtype=np.int64)
    for s in range(len(rows)):
        inside = slice(first[s], first[s + 1])
        distance = np.full(n, np.inf)
        _search(
            indptr,
            indices,
            weights,
            seeds[inside],
            starts[inside],
            nothing,
            distance,
            no_parent,
        )
        out[rows[s]] = distance


@njit(cache=True, nogil=True)
def _nearest(indptr, indices, weights, first, seeds, starts, rows, distances, vertices):
    """Dijkstra's algorithm until k vertices are settled, into rows of the results."""
    n, k = len(indptr) - 1, distances.shape[1]
    heap, keys = np.empty(n, dtype=np.int32), np.empty(n)
    place = np.full(n, -1, dtype=np.int32)
    distance = np.full(n, np.inf)
    for s in range(len(rows)):
        inside, settled = slice(first[s], first[s + 1]), vertices[rows[s]]
        size = _sow(seeds[inside], starts[inside], heap, keys, place, distance)
        found = 0
        while size > 0 and found < k:
            v, key = heap[0], keys[0]
            settled[found], distances[rows[s], found] = v, key
            found += 1
            size = _pop(heap, keys, place, size)
            size = _relax(
                indptr, indices, weights, v, key, heap, keys, place, size, distance
            )
        for v in settled[:found]:
            place[v], distance[v] = -1, np.inf
        for v in heap[:size]:
            place[v], distance[v] = -1, np.inf


@njit(cache=True, nogil=True)
def _together(indptr, indices, weights, first, seeds, starts, rows, out):
    """All searches at once, column by column of one array, into the rows of `out`."""
    n, m = len(indptr) - 1, len(rows)
    distance = np.full((n, m), np.inf)
    changed = np.zeros(n, dtype=np.bool_)
    for s in range(m):
        for k in range(first[s], first[s + 1]):
            v = seeds[k]
            distance[v, s] = min(distance[v, s], starts[k])
            changed[v] = True
    order = _settling_order(indptr, indices, weights, seeds, starts)
    back = order[::-1].copy()
    while _relax_in_order(
        indptr, indices, weights, order, changed, distance
    ) and _relax_in_order(indptr, indices, weights, back, changed, distance):
        pass
    for start in range(0, n, TILE):
        for s in range(m):
            for v in range(start, min(start + TILE, n)):
                out[rows[s], v] = distance[v, s]


@njit(cache=True, nogil=True)
def _settling_order(indptr, indices, weights, seeds, starts):
    """All vertices, by their distance from the first seed of a batch."""
    n = len(indptr) - 1
    distance = np.full(n, np.inf)
    if len(seeds) > 0:
        nothing, no_parent = np.empty(0), np.empty(0, dtype=np.int64)
        _search(
            indptr,
            indices,
            weights,
            seeds[:1],
            starts[:1],
            nothing,
            distance,
            no_parent,
        )
    return np.argsort(distance)


@njit(cache=True, nogil=True)
def _relax_in_order(indptr, indices, weights, order, changed, distance):
    """Relax the edges of each changed vertex once; whether any change is left."""
    left = False
    m = distance.shape[1]
    for v in order:
        if not changed[v]:
            continue
        changed[v] = False
        here = distance[v]
        for e in range(indptr[v], indptr[v + 1]):
            there, weight = distance[indices[e]], weights[e]
            closer = False
            for s in range(m):
                reached = here[s] + weight
                closer |= reached < there[s]
                there[s] = min(there[s], reached)
            if closer:
                changed[indices[e]] = True
                left = True
    return left


@njit(cache=True, nogil=True)
def _gather(indptr, indices, weights, searches, waiting, order):
    """Order the searches so that neighbours in the order start near each other.

    `searches` are sorted by the vertex where they start, those of vertex v being
    ``waiting[v]:waiting[v + 1]``. A batch is what the smallest ball around the first
    waiting vertex holds.
    """
    n, done = len(indptr) - 1, 0
    heap, keys = np.empty(n, dtype=np.int32), np.empty(n)
    place = np.full(n, -1, dtype=np.int32)
    distance = np.full(n, np.inf)
    taken = np.zeros(n, dtype=np.int64)
    for start in range(n):
        while taken[start] < waiting[start + 1] - waiting[start]:
            full = (done // BATCH + 1) * BATCH
            size = 1
            heap[0], keys[0], place[start], distance[start] = start, 0.0, 0, 0.0
            while size > 0 and done < full:
                v, key = heap[0], keys[0]
                while taken[v] < waiting[v + 1] - waiting[v] and done < full:
                    order[done] = searches[waiting[v] + taken[v]]
                    taken[v] += 1
                    done += 1
                size = _pop(heap, keys, place, size)
                size = _relax(
                    indptr, indices, weights, v, key, heap, keys, place, size, distance
                )
            place[:] = -1
            distance[:] = np.inf


@njit(cache=True, nogil=True)
def _between(
    indptr, indices, weights, first, seeds, starts, last, targets, stops, rows, out
):
    """One distance for each search, from its seeds to its targets."""
    n = len(indptr) - 1
    until, no_parent = np.full(n, np.inf), np.empty(0, dtype=np.int64)
    for s in range(len(rows)):
        inside = slice(first[s], first[s + 1])
        for t in range(last[s], last[s + 1]):
            until[targets[t]] = min(until[targets[t]], stops[t])
        out[rows[s]] = _search(
            indptr,
            indices,
            weights,
            seeds[inside],
            starts[inside],
            until,
            np.full(n, np.inf),
            no_parent,
        )
        for t in range(last[s], last[s + 1]):
            until[targets[t]] = np.inf
