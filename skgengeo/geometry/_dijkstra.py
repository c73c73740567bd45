"""Dijkstra's algorithm, compiled: a 4-ary heap, and searches of several ends.

A graph is CSR arrays ``indptr, indices, weights``, symmetric and non-negative. Rows of
seeds are ``seeds[first[s]:first[s + 1]]``, with the distances ``starts`` at which a
search reaches them. The kernels are serial and release the GIL.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def sift_up(heap, keys, place, hole, vertex, key):
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
def pop(heap, keys, place, size):
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
def relax(indptr, indices, weights, v, key, heap, keys, place, size, distance):
    """Offer the neighbours of a settled vertex its distance; the heap's new size."""
    for e in range(indptr[v], indptr[v + 1]):
        u = indices[e]
        reached = key + weights[e]
        if reached < distance[u]:
            if place[u] < 0:
                place[u] = size
                size += 1
            distance[u] = reached
            sift_up(heap, keys, place, place[u], u, reached)
    return size


@njit(cache=True, nogil=True)
def sow(seeds, starts, heap, keys, place, distance):
    """Put the seeds of a search into an empty heap; its size."""
    size = 0
    for s in range(len(seeds)):
        v = seeds[s]
        if starts[s] < distance[v]:
            if place[v] < 0:
                place[v] = size
                size += 1
            distance[v] = starts[s]
            sift_up(heap, keys, place, place[v], v, starts[s])
    return size


@njit(cache=True, nogil=True)
def search(indptr, indices, weights, seeds, starts, until, distance, parent):
    """Dijkstra's algorithm from seeds.

    `distance` comes in as inf everywhere. The search stops early once no vertex left
    can improve on the smallest ``distance[v] + until[v]``, which is returned; with an
    empty `until` it goes on to the end. An empty `parent` is not filled.
    """
    n = len(distance)
    heap, keys = np.empty(n, dtype=np.int32), np.empty(n)
    place = np.full(n, -1, dtype=np.int32)
    size = sow(seeds, starts, heap, keys, place, distance)
    best = np.inf
    while size > 0:
        v, key = heap[0], keys[0]
        if len(until) > 0:
            if key >= best:
                break
            best = min(best, key + until[v])
        size = pop(heap, keys, place, size)
        for e in range(indptr[v], indptr[v + 1]):
            if len(parent) > 0 and key + weights[e] < distance[indices[e]]:
                parent[indices[e]] = v
        size = relax(
            indptr, indices, weights, v, key, heap, keys, place, size, distance
        )
    return best


@njit(cache=True, nogil=True)
def one_by_one(indptr, indices, weights, first, seeds, starts, rows, out):
    """Dijkstra's algorithm for each search, into the rows of `out`."""
    n = len(indptr) - 1
    nothing, no_parent = np.empty(0), np.empty(0, dtype=np.int64)
    for s in range(len(rows)):
        inside = slice(first[s], first[s + 1])
        distance = np.full(n, np.inf)
        search(
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
def nearest(indptr, indices, weights, first, seeds, starts, rows, distances, vertices):
    """Dijkstra's algorithm until k vertices are settled, into rows of the results."""
    n, k = len(indptr) - 1, distances.shape[1]
    heap, keys = np.empty(n, dtype=np.int32), np.empty(n)
    place = np.full(n, -1, dtype=np.int32)
    distance = np.full(n, np.inf)
    for s in range(len(rows)):
        inside, settled = slice(first[s], first[s + 1]), vertices[rows[s]]
        size = sow(seeds[inside], starts[inside], heap, keys, place, distance)
        found = 0
        while size > 0 and found < k:
            v, key = heap[0], keys[0]
            settled[found], distances[rows[s], found] = v, key
            found += 1
            size = pop(heap, keys, place, size)
            size = relax(
                indptr, indices, weights, v, key, heap, keys, place, size, distance
            )
        for v in settled[:found]:
            place[v], distance[v] = -1, np.inf
        for v in heap[:size]:
            place[v], distance[v] = -1, np.inf


@njit(cache=True, nogil=True)
def between(
    indptr, indices, weights, first, seeds, starts, last, targets, stops, rows, out
):
    """One distance for each search, from its seeds to its targets."""
    n = len(indptr) - 1
    until, no_parent = np.full(n, np.inf), np.empty(0, dtype=np.int64)
    for s in range(len(rows)):
        inside = slice(first[s], first[s + 1])
        for t in range(last[s], last[s + 1]):
            until[targets[t]] = min(until[targets[t]], stops[t])
        out[rows[s]] = search(
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
