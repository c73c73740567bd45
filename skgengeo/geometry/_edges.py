"""Points -> edges (i, j, length): ε-balls, nearest neighbours, joined components.

Edges are undirected, oriented i < j, sorted, and free of repeats, so that nothing
downstream depends on the order in which a search found them. An edge of length zero
joins duplicates and is kept: it is not the same as no edge.
"""

import math
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import coo_array, issparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors

from .._batching import row_batches
from .._kernels import parallel_kernels

# Up to this many features a k-d tree finds exact neighbours fastest; beyond it, brute
# force does (measured with 5,000 points: the two cross between 12 and 18).
MAX_TREE_FEATURES = 15
# Where a tree does not help, neighbours are exact up to this many samples and come
# from pynndescent beyond: brute force is quadratic.
MAX_BRUTE_SAMPLES = 20_000


class Edges(NamedTuple):
    """Straight segments from ``start[i]`` to ``end[j]``, and their lengths."""

    i: np.ndarray
    j: np.ndarray
    length: np.ndarray


def segment_lengths(start, i, end, j):
    """Euclidean length of each segment, without cancellation, in bounded memory."""
    length = np.empty(len(i))
    for rows in row_batches(len(i), row_bytes=24 * start.shape[1]):
        length[rows] = np.linalg.norm(end[j[rows]] - start[i[rows]], axis=1)
    return length


def undirected_edges(X, i, j):
    """Edges i < j without repeats or loops, sorted."""
    low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
    keys = np.sort((low * len(X) + high)[low < high])
    # Ten times as fast as np.unique.
    keys = keys[np.diff(keys, prepend=-1) > 0]
    low, high = keys // len(X), keys % len(X)
    return Edges(low, high, segment_lengths(X, low, X, high))


def default_n_neighbors(n_samples):
    """``ceil(log2(n))``: about 1.44 times ln n, where random graphs connect at 1."""
    return min(max(1, math.ceil(math.log2(max(n_samples, 2)))), max(n_samples - 1, 0))


class NeighborSearch:
    """Euclidean neighbours of and among the points X.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The points that are found.
    random_state : None, int or RandomState
        For approximate neighbours.
    n_jobs : None or int
        As in scikit-learn.
    """

    def __init__(self, X, *, random_state=None, n_jobs=None):
        self.X = X
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.uses_tree = X.shape[1] <= MAX_TREE_FEATURES
        # Distances from a Gram matrix lose digits far from the origin.
        self._center = X.mean(axis=0)
        if self.uses_tree:
            self._tree = cKDTree(X)
        else:
            self._brute = NearestNeighbors(algorithm="brute", n_jobs=n_jobs)
            self._brute.fit(X - self._center)
            self._extent = np.abs(X - self._center).max(axis=0)

    @property
    def is_exact(self):
        """Whether the neighbours among X are exact."""
        return self.uses_tree or len(self.X) <= MAX_BRUTE_SAMPLES

    def nearest(self, Q, k):
        """Indices of the k nearest points of X to each row of Q, nearest first."""
        if self.uses_tree:
            workers = effective_n_jobs(self.n_jobs)
            found = self._tree.query(Q, k=np.arange(1, k + 1), workers=workers)[1]
            _check_found(found, len(self.X), Q)
            return found.astype(np.int64, copy=False)
        return self._brute.kneighbors(Q - self._center, k, return_distance=False)

    def neighbors(self, k):
        """Indices of the k nearest other points to each point of X."""
        found = self.nearest(self.X, k + 1) if self.is_exact else self._approximate(k)
        itself = found == np.arange(len(found))[:, None]
        # Among more than k duplicates a point may be missing from its own neighbours.
        itself[~itself.any(axis=1), -1] = True
        return found[~itself].reshape(len(found), k)

    def _approximate(self, k):
        with parallel_kernels(self.n_jobs) as n_threads:
            from pynndescent import NNDescent

            index = NNDescent(
                self.X - self._center,
                n_neighbors=k + 1,
                random_state=self.random_state,
                n_jobs=n_threads,
            )
            found = index.neighbor_graph[0].astype(np.int64)
        missed = np.flatnonzero((found < 0).any(axis=1))
        if len(missed):
            found[missed] = self.nearest(self.X[missed], k + 1)
        return found

    def within(self, Q, radius):
        """Pairs (q, x) with |Q[q] - X[x]| <= radius."""
        # Searched a little wider, then compared with exact lengths.
        wider = radius * (1 + 1e-9)
        if self.uses_tree:
            workers = effective_n_jobs(self.n_jobs)
            found = self._tree.query_ball_point(Q, wider, workers=workers)
        else:
            Q_centered = Q - self._center
            # Distances from a Gram matrix round relative to the squared norms.
            norm = np.linalg.norm(np.vstack([Q_centered, self._extent]), axis=1).max()
            found = self._brute.radius_neighbors(
                Q_centered, math.hypot(wider, 1e-7 * norm), return_distance=False
            )
        counts = [len(row) for row in found]
        q = np.repeat(np.arange(len(Q)), counts)
        x = np.concatenate([*found, []]).astype(np.int64)
        keep = segment_lengths(Q, q, self.X, x) <= radius
        return q[keep], x[keep]

    def pairs_within(self, radius):
        """Pairs i < j of points of X with |x_i - x_j| <= radius, as edges."""
        if self.uses_tree:
            pairs = self._tree.query_pairs(radius * (1 + 1e-9), output_type="ndarray")
            edges = undirected_edges(self.X, pairs[:, 0], pairs[:, 1])
        else:
            edges = undirected_edges(self.X, *self.within(self.X, radius))
        return Edges(*(column[edges.length <= radius] for column in edges))


def _check_found(found, n_samples, Q):
    """Raise where a tree has found nothing, for which it answers n_samples."""
    missing = (found == n_samples).any(axis=1)
    if missing.any():
        raise ValueError(
            f"The point {np.array2string(Q[missing.argmax()], threshold=6)} is so far "
            "from the others that squared distances overflow. Replace values that "
            "stand for missing ones, or bring the features to a common scale."
        )


def neighborhood_edges(search, *, epsilon=None, n_neighbors=None):
    """Edges of the ε-graph, of the kNN graph, or of both together.

    Parameters
    ----------
    search : NeighborSearch
        Over the points to be joined.
    epsilon : float, optional
        Longest edge, in the units of X.
    n_neighbors : int, optional
        An edge joins two points where either is among the k nearest of the other.

    Returns
    -------
    Edges
        Where both are given, the kNN edges of length at most ε.
    """
    if n_neighbors is None:
        return search.pairs_within(epsilon)
    if n_neighbors == 0:
        empty = np.empty(0, dtype=np.int64)
        return Edges(empty, empty, np.empty(0))
    found = search.neighbors(n_neighbors)
    i = np.repeat(np.arange(len(found)), n_neighbors)
    edges = undirected_edges(search.X, i, found.ravel())
    if epsilon is None:
        return edges
    return Edges(*(column[edges.length <= epsilon] for column in edges))


def edges_of_graph(X, graph):
    """Edges named by the stored entries of a sparse matrix, explicit zeros included.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The points, from which the lengths are computed.
    graph : sparse matrix of shape (n_samples, n_samples)
        An entry in either direction is an edge; the diagonal is no edge.

    Returns
    -------
    Edges
        Undirected.
    """
    if not issparse(graph) or graph.shape != (len(X), len(X)):
        kind = f"shape {graph.shape}" if issparse(graph) else type(graph).__name__
        raise ValueError(
            f"neighbors_graph={kind}: it must be a sparse matrix of shape "
            f"{(len(X), len(X))}, with an entry for each edge. "
            "sklearn.neighbors.kneighbors_graph makes one."
        )
    graph = graph.tocoo()
    return undirected_edges(X, graph.row, graph.col)


def component_labels(n_samples, i, j):
    """Number of connected components, and the component of each point."""
    ones = np.ones(len(i), dtype=bool)
    pattern = coo_array((ones, (i, j)), shape=(n_samples, n_samples))
    return connected_components(pattern.tocsr(), directed=False)


def joining_edges(X, labels, *, n_jobs=None):
    """Edges of the Euclidean minimum spanning tree that join labelled components.

    Borůvka's algorithm on the components: in every round each component but the
    largest is joined to the nearest point outside it.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The points.
    labels : ndarray of shape (n_samples,)
        Component of each point, from 0.
    n_jobs : None or int
        As in scikit-learn.

    Returns
    -------
    Edges
        One fewer than there are components.
    """
    search = NeighborSearch(X, n_jobs=n_jobs)
    bridges = np.empty((0, 2), dtype=np.int64)
    while labels.max(initial=0) > 0:
        found = _nearest_outside(search, labels)
        bridges = np.vstack([bridges, _without_cycles(labels, *found)])
        i, j = labels[bridges].T
        _, merged = component_labels(labels.max() + 1, i, j)
        labels = merged[labels]
    return undirected_edges(X, bridges[:, 0], bridges[:, 1])


def _nearest_outside(search, labels):
    """For each component but the largest: the shortest segment that leaves it."""
    X = search.X
    sizes = np.bincount(labels)
    large = sizes > max(64, math.isqrt(len(X)))
    large[sizes.argmax()] = False
    inside = [np.flatnonzero(labels == c) for c in np.flatnonzero(large)]
    candidates = [_leaving_large(search, labels, points) for points in inside]
    small = ~large
    small[sizes.argmax()] = False
    # Among the m + 1 nearest of a point in a component of m, one lies outside.
    for size in np.unique(sizes[small]):
        points = np.flatnonzero((small & (sizes == size))[labels])
        near = search.nearest(X[points], size + 1)
        outside = labels[near] != labels[points][:, None]
        to = near[np.arange(len(points)), outside.argmax(axis=1)]
        candidates.append((points, to))
    i, j = (np.concatenate(column) for column in zip(*candidates, strict=True))
    length = segment_lengths(X, i, X, j)
    # Ties are broken by index, the same from either side, or cycles would appear.
    order = np.lexsort((np.maximum(i, j), np.minimum(i, j), length))
    first = order[np.unique(labels[i[order]], return_index=True)[1]]
    return i[first], j[first], length[first]


def _leaving_large(search, labels, points):
    others = np.flatnonzero(labels != labels[points[0]])
    outside = NeighborSearch(search.X[others], n_jobs=search.n_jobs)
    return points, others[outside.nearest(search.X[points], 1)[:, 0]]


def _without_cycles(labels, i, j, length):
    """Kruskal's filter: drop a segment whose components are joined already."""
    parent = np.arange(labels.max() + 1)

    def root(c):
        while parent[c] != c:
            parent[c] = parent[parent[c]]
            c = parent[c]
        return c

    kept = []
    for e in np.argsort(length, kind="stable"):
        a, b = root(labels[i[e]]), root(labels[j[e]])
        if a != b:
            parent[a] = b
            kept.append((i[e], j[e]))
    return np.array(kept, dtype=np.int64).reshape(-1, 2)


def connecting_epsilon(X, *, n_jobs=None):
    """Smallest ε at which the ε-graph of X is connected.

    It is the longest edge of the Euclidean minimum spanning tree.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The points.
    n_jobs : None or int, default=None
        As in scikit-learn.

    Returns
    -------
    float
        In the units of X; 0.0 for a single point.

    Examples
    --------
    >>> from skgengeo.geometry import connecting_epsilon
    >>> connecting_epsilon([[0.0], [1.0], [3.5]])
    2.5
    """
    X = np.asarray(X, dtype=np.float64)
    bridges = joining_edges(X, np.arange(len(X)), n_jobs=n_jobs)
    return float(bridges.length.max(initial=0.0))
