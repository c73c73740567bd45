"""The geodesic graph: where edges, log densities, costs and shortest paths meet.

edges    = neighbourhood edges of X
profile  = log density along each edge, by the quadrature, to tol
costs    = edge length times the mean of c over the profile
graph    = CSR of costs
"""

import copy
import warnings
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array

from .._caching import cached_if_hashable
from ._cost import check_log_cost, log_cost
from ._edges import (
    Edges,
    NeighborSearch,
    component_labels,
    connecting_epsilon,
    default_n_neighbors,
    edges_of_graph,
    joining_edges,
    neighborhood_edges,
    segment_lengths,
    undirected_edges,
)
from ._quadrature import (
    EdgeProfile,
    Metric,
    Segments,
    edge_costs,
    profile_edges,
    refine_profile,
)
from ._shortest_paths import (
    Seeds,
    distances_between,
    distances_from,
    shortest_path,
)

# The edges are refined for these λ, relative to the median training density, and an
# exponent of 1. Larger λ and smaller exponents have smoother costs.
REFERENCE_LAMS = (1.0, 0.1, 0.01)
# Beyond this share of its ceiling a cost is called saturated.
SATURATION = 0.99


@dataclass(frozen=True)
class NeighborhoodRule:
    """Which points are joined by an edge.

    Parameters
    ----------
    epsilon : float or None
        Longest edge, in the units of X.
    n_neighbors : int or None
        Number of nearest neighbours; with `epsilon` too, both hold. Where both are
        None it is ``ceil(log2(n_samples))``.
    disconnected : {"connect", "error", "inf"}
        What to do about more than one connected component.
    """

    epsilon: float | None = None
    n_neighbors: int | None = None
    disconnected: str = "connect"

    def resolved(self, n_samples):
        """The rule with its number of neighbours filled in and checked."""
        k = self.n_neighbors
        if k is None and self.epsilon is None:
            k = default_n_neighbors(n_samples)
        elif k is not None and k >= n_samples:
            raise ValueError(
                f"n_graph_neighbors={k} with n_samples={n_samples}: a point has at "
                f"most {n_samples - 1} neighbours. Pass a smaller n_graph_neighbors, "
                "or None to have it chosen."
            )
        return NeighborhoodRule(self.epsilon, k, self.disconnected)

    def __str__(self):
        parts = {"epsilon": self.epsilon, "n_graph_neighbors": self.n_neighbors}
        return ", ".join(f"{k}={v:.6g}" for k, v in parts.items() if v is not None)


class Neighborhood(NamedTuple):
    """The λ-independent part of a geodesic graph: all that costs density evaluations.

    Attributes
    ----------
    edges : Edges
        Of the graph, those that join components included.
    bridges : ndarray of shape (n_bridges, 2)
        The edges that were added to join components.
    n_components : int
        Connected components before they were joined.
    log_density : ndarray of shape (n_samples,)
        log p at the points.
    profile : EdgeProfile
        log p along the edges.
    """

    edges: Edges
    bridges: np.ndarray
    n_components: int
    log_density: np.ndarray
    profile: EdgeProfile


@dataclass
class GeodesicGraph:
    """Neighbourhood graph whose edges have the length of the geodesic metric.

    Made by `from_points`. The cost per unit length is
    ``c = ((p0 + lam p0) / (p + lam p0)) ** exponent``, and the weight of an edge the
    integral of c along its straight segment.

    Attributes
    ----------
    X : ndarray of shape (n_vertices, n_features)
        The vertices.
    log_density : callable
        Points of shape (n, n_features) -> log p of shape (n,).
    rule : NeighborhoodRule
        Which points are joined.
    neighborhood : Neighborhood
        Edges and the log density along them, shared by graphs of other metrics.
    metric : Metric
        λ, log p0 and the exponent.
    weights : csr_array of shape (n_vertices, n_vertices)
        Geodesic length of each edge, in both directions. Zeros are stored: they are
        edges between duplicates.

    Examples
    --------
    >>> import numpy as np
    >>> from skgengeo.geometry import GeodesicGraph
    >>> X = np.linspace(-2, 2, 50)[:, None]
    >>> graph = GeodesicGraph.from_points(X, lambda x: -(x[:, 0] ** 2) / 2, lam=0.1)
    >>> graph.distances([0]).shape
    (1, 50)
    >>> wider = graph.with_metric(lam=1.0)
    >>> wider.n_evaluations == graph.n_evaluations
    True
    """

    X: np.ndarray
    log_density: object
    rule: NeighborhoodRule
    neighborhood: Neighborhood
    metric: Metric
    quad_tol: float
    served: frozenset = frozenset()
    n_jobs: int | None = None
    verbose: bool = False
    search: NeighborSearch = field(default=None, repr=False)

    @classmethod
    def from_points(
        cls,
        X,
        log_density,
        *,
        lam,
        p0="auto",
        exponent=1.0,
        epsilon=None,
        n_neighbors=None,
        disconnected="connect",
        neighbors_graph=None,
        quad_tol=1e-3,
        memory=None,
        random_state=None,
        n_jobs=None,
        verbose=False,
    ):
        """Join the points, and measure the edges.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The vertices.
        log_density : callable
            Points of shape (n, n_features) -> log p of shape (n,).
        lam : float
            Regularisation in units of p0, in [0, inf].
        p0 : float or "auto", default="auto"
            Reference density, where the cost is 1; "auto" is the median density of
            the points.
        exponent : float, default=1.0
            Power of the metric.
        epsilon, n_neighbors, disconnected
            As in `NeighborhoodRule`.
        neighbors_graph : sparse matrix of shape (n_samples, n_samples), optional
            Its stored entries are the edges, instead of `epsilon` or `n_neighbors`.
        quad_tol : float, default=1e-3
            Relative tolerance of the weight of an edge.
        memory : None, str or joblib.Memory
            Cache of the neighbourhood.
        random_state : None, int or RandomState
            For approximate neighbours.
        n_jobs : None or int
            As in scikit-learn.
        verbose : bool, default=False
            Show progress.

        Returns
        -------
        GeodesicGraph
            With as few density evaluations as `quad_tol` allows.
        """
        rule = NeighborhoodRule(epsilon, n_neighbors, disconnected).resolved(len(X))
        make = cached_if_hashable(
            memory, profiled_neighborhood, log_density, ignore=["n_jobs"]
        )
        neighborhood = make(
            X,
            log_density,
            rule,
            neighbors_graph,
            quad_tol,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        reference = _median_log_density(neighborhood.log_density)
        graph = cls(
            X,
            log_density,
            rule,
            neighborhood,
            Metric(np.inf, reference),
            quad_tol,
            n_jobs=n_jobs,
            verbose=verbose,
            search=NeighborSearch(X, n_jobs=n_jobs),
        )
        return graph.with_metric(lam=lam, p0=p0, exponent=exponent)

    def with_metric(self, *, lam=None, p0=None, exponent=None):
        """The same graph under another metric.

        For λ p0 of at least 0.01 times the median density and an exponent of at most
        1 no density is evaluated; beyond that the edges are refined first.

        Parameters
        ----------
        lam : float, optional
            Regularisation in units of p0; None keeps it.
        p0 : float or "auto", optional
            Reference density; None keeps it.
        exponent : float, optional
            Power of the metric; None keeps it.

        Returns
        -------
        GeodesicGraph
            A new graph; this one is left as it is.
        """
        metric = Metric(
            self.metric.lam if lam is None else float(lam),
            self.metric.log_p0 if p0 is None else self._log_p0(p0),
            self.metric.exponent if exponent is None else float(exponent),
        )
        graph = copy.copy(self)
        graph.metric = metric
        if not self._serves(metric):
            graph.served = self.served | {metric}
            graph.neighborhood = self.neighborhood._replace(
                profile=self._refined(graph.served)
            )
        graph.weights = graph._weights()
        return graph

    def _log_p0(self, p0):
        if isinstance(p0, str):
            return self.reference_log_density
        return float(np.log(p0))

    @property
    def reference_log_density(self):
        """Median log density of the vertices."""
        return _median_log_density(self.neighborhood.log_density)

    def _serves(self, metric):
        """Whether the profile is fine enough for a metric."""
        if np.isinf(metric.lam) or metric in self.served:
            return True
        if metric.lam == 0 or metric.exponent > 1:
            return False
        relative = np.log(metric.lam) + metric.log_p0 - self.reference_log_density
        return relative >= np.log(min(REFERENCE_LAMS)) - 1e-9

    def _refined(self, served):
        edges, log_p = self.neighborhood.edges, self.neighborhood.log_density
        metrics = [*_reference_metrics(log_p), *served]
        return refine_profile(
            self.neighborhood.profile,
            Segments(self.X, edges.i, self.X, edges.j, log_p, log_p),
            edges.length,
            self.log_density,
            metrics,
            tol=self.quad_tol,
        )

    def _weights(self):
        edges, n = self.neighborhood.edges, len(self.X)
        costs = self._costs(self.neighborhood.profile, edges.length)
        i, j = np.r_[edges.i, edges.j], np.r_[edges.j, edges.i]
        both = np.concatenate([costs, costs])
        return coo_array((both, (i, j)), shape=(n, n)).tocsr()

    def _costs(self, profile, length):
        lam, log_p0, exponent = self.metric
        if not np.isinf(lam):
            ratio = profile.log_density - log_p0
            check_log_cost(ratio, lam=lam, exponent=exponent)
        return edge_costs(profile, length, self.metric)

    # What happened

    @property
    def n_vertices(self):
        """Number of vertices."""
        return len(self.X)

    @property
    def n_edges(self):
        """Number of edges, bridges included."""
        return len(self.neighborhood.edges.i)

    @property
    def n_components(self):
        """Number of connected components before any were joined."""
        return self.neighborhood.n_components

    @property
    def bridges(self):
        """Edges that were added to join components: ndarray (n_bridges, 2)."""
        return self.neighborhood.bridges

    @property
    def n_evaluations(self):
        """Density evaluations so far, each vertex counted once."""
        return self.n_vertices + self.neighborhood.profile.n_evaluations

    @property
    def edge_errors(self):
        """Estimated relative error of each edge: ndarray (n_edges,)."""
        return self.neighborhood.profile.error

    @property
    def estimated_error(self):
        """Largest estimated relative error of an edge."""
        return float(self.edge_errors.max(initial=0.0))

    @property
    def saturated_share(self):
        """Share of edges on which the density is negligible beside λ.

        Their cost is within 1 % of its ceiling ``((1 + lam) / lam) ** exponent``, so
        that the metric is Euclidean along them, up to a factor.
        """
        lam, _, exponent = self.metric
        if lam == 0 or self.n_edges == 0:
            return 0.0
        edges = self.neighborhood.edges
        long = edges.length > 0
        mean = self._costs(self.neighborhood.profile, edges.length)[long]
        ceiling = np.exp(log_cost(np.array(-np.inf), lam=lam, exponent=exponent))
        share = mean > SATURATION * ceiling * edges.length[long]
        return float(share.mean()) if len(share) else 0.0

    def connecting_epsilon(self):
        """Smallest ε at which the ε-graph of the vertices is connected."""
        return connecting_epsilon(self.X, n_jobs=self.n_jobs)

    def __repr__(self):
        return (
            f"GeodesicGraph(n_vertices={self.n_vertices}, n_edges={self.n_edges}, "
            f"n_evaluations={self.n_evaluations}, "
            f"estimated_error={self.estimated_error:.2g}, "
            f"saturated_share={self.saturated_share:.2g}, "
            f"n_components={self.n_components}, n_bridges={len(self.bridges)})"
        )

    # Distances

    def distances(self, sources=None, *, dtype=np.float64):
        """Geodesic distances between vertices.

        Parameters
        ----------
        sources : array-like of int, optional
            Rows to compute; None for all.
        dtype : dtype, default=float64
            Of the result.

        Returns
        -------
        ndarray of shape (n_sources, n_vertices)
            ``inf`` between components; symmetric where all rows are asked for.
        """
        every = sources is None
        seeds = Seeds.at(np.arange(self.n_vertices) if every else sources)
        result = self.distances_from(seeds, dtype=dtype)
        if every:
            _symmetrize(result)
        return result

    def distances_from(self, seeds, *, dtype=np.float64):
        """Distances from seeds, as made by `attach`, to all vertices.

        Parameters
        ----------
        seeds : Seeds
            One row for each point.
        dtype : dtype, default=float64
            Of the result.

        Returns
        -------
        ndarray of shape (n_points, n_vertices)
            ``inf`` where there is no path.
        """
        return distances_from(
            self.weights, seeds, dtype=dtype, n_jobs=self.n_jobs, verbose=self.verbose
        )

    def path(self, i, j):
        """Vertices of a shortest path from i to j, and its length.

        Parameters
        ----------
        i, j : int
            Vertices.

        Returns
        -------
        indices : ndarray of int
            From i to j; empty where there is no path.
        length : float
            The geodesic distance; ``inf`` where there is no path.
        """
        return shortest_path(self.weights, i, j)

    def attach(self, Q):
        """Join new points to the graph by edges of the same kind.

        Parameters
        ----------
        Q : ndarray of shape (n_points, n_features)
            The points. One that equals a vertex is that vertex.

        Returns
        -------
        Seeds
            For each point the vertices it is joined to and the lengths of the edges.
        """
        q, x = self._neighbors_of(Q)
        length = segment_lengths(Q, q, self.X, x)
        same = length == 0
        is_vertex = np.zeros(len(Q), dtype=bool)
        is_vertex[q[same]] = True
        keep = same | ~is_vertex[q]
        q, x, length = q[keep], x[keep], length[keep]
        order = np.lexsort((x, q))
        q, x, length = q[order], x[order], length[order]
        costs = self._segment_costs(Q, q, self.X, x, length)
        indptr = np.searchsorted(q, np.arange(len(Q) + 1))
        return Seeds(indptr, x, costs)

    def distance_between(self, P, Q):
        """Geodesic distance of matched rows.

        Parameters
        ----------
        P, Q : ndarray of shape (n_pairs, n_features)
            Points; two new points that are neighbours are joined directly too.

        Returns
        -------
        ndarray of shape (n_pairs,)
            ``inf`` where there is no path.
        """
        seeds, targets = self.attach(P), self.attach(Q)
        result = distances_between(
            self.weights, seeds, targets, n_jobs=self.n_jobs, verbose=self.verbose
        )
        close = self._are_neighbors(P, Q, seeds, targets)
        rows = np.flatnonzero(close)
        length = segment_lengths(P, rows, Q, rows)
        direct = self._segment_costs(P, rows, Q, rows, length)
        result[rows] = np.minimum(result[rows], direct)
        return result

    def _neighbors_of(self, Q):
        """Pairs (row of Q, vertex) to be joined."""
        rule, rows = self.rule, np.arange(len(Q))
        if rule.n_neighbors is None:
            q, x = self.search.within(Q, rule.epsilon)
        else:
            k = max(rule.n_neighbors, 1)
            q, x = np.repeat(rows, k), self.search.nearest(Q, k).ravel()
            if rule.epsilon is not None:
                near = segment_lengths(Q, q, self.X, x) <= rule.epsilon
                q, x = q[near], x[near]
        alone = np.setdiff1d(rows, q)
        if len(alone) == 0 or rule.disconnected == "inf":
            return q, x
        nearest = self.search.nearest(Q[alone], 1)[:, 0]
        gap = segment_lengths(Q, alone, self.X, nearest)
        message = (
            f"{len(alone)} of {len(Q)} points have no training sample within "
            f"epsilon={rule.epsilon:.6g} (first: row {alone[0]}, whose nearest is at "
            f"{gap[0]:.6g})."
        )
        if rule.disconnected == "error":
            raise ValueError(
                f"{message} Raise epsilon, or pass disconnected='connect' to join "
                "each to its nearest sample."
            )
        warnings.warn(
            f"{message} Each is joined to its nearest sample.",
            UserWarning,
            stacklevel=4,
        )
        return np.concatenate([q, alone]), np.concatenate([x, nearest])

    def _are_neighbors(self, P, Q, seeds, targets):
        """Whether matched rows would be joined if both were vertices."""
        gap = np.linalg.norm(P - Q, axis=1)
        close = np.ones(len(P), dtype=bool)
        if self.rule.epsilon is not None:
            close &= gap <= self.rule.epsilon
        if self.rule.n_neighbors is not None:
            k = max(self.rule.n_neighbors, 1)
            reach = [
                np.linalg.norm(Z - self.X[self.search.nearest(Z, k)[:, -1]], axis=1)
                for Z in (P, Q)
            ]
            close &= gap <= np.maximum(*reach)
        return (close & ~_at_vertex(seeds) & ~_at_vertex(targets)) | (gap == 0)

    def _segment_costs(self, start, i, end, j, length):
        """Geodesic lengths of segments beside the graph."""
        log_start = _log_density_where_used(self.log_density, start, i, self)
        log_end = _log_density_where_used(self.log_density, end, j, self)
        segments = Segments(start, i, end, j, log_start, log_end)
        metrics = _reference_metrics(self.neighborhood.log_density)
        profile = profile_edges(
            segments,
            length,
            self.log_density,
            [*metrics, *self.served],
            tol=self.quad_tol,
        )
        return self._costs(profile, length)


def profiled_neighborhood(
    X, log_density, rule, neighbors_graph, quad_tol, *, random_state=None, n_jobs=None
):
    """Join the points and evaluate the density along the edges.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The points.
    log_density : callable
        Points -> log p.
    rule : NeighborhoodRule
        Which points are joined.
    neighbors_graph : sparse matrix or None
        Edges given by the user instead.
    quad_tol : float
        Relative tolerance of an edge.
    random_state : None, int or RandomState
        For approximate neighbours.
    n_jobs : None or int
        As in scikit-learn; no part of the result.

    Returns
    -------
    Neighborhood
        What does not depend on the metric.
    """
    search = NeighborSearch(X, random_state=random_state, n_jobs=n_jobs)
    if neighbors_graph is None:
        edges = neighborhood_edges(
            search, epsilon=rule.epsilon, n_neighbors=rule.n_neighbors
        )
    else:
        edges = edges_of_graph(X, neighbors_graph)
    n_components, labels = component_labels(len(X), edges.i, edges.j)
    bridges = np.empty((0, 2), dtype=np.int64)
    if n_components > 1 and rule.disconnected != "inf":
        bridges = _bridges(search, labels, n_components, rule, neighbors_graph)
        i, j = np.r_[edges.i, bridges[:, 0]], np.r_[edges.j, bridges[:, 1]]
        edges = undirected_edges(X, i, j)
    log_p = log_density(X)
    profile = profile_edges(
        Segments(X, edges.i, X, edges.j, log_p, log_p),
        edges.length,
        log_density,
        _reference_metrics(log_p),
        tol=quad_tol,
    )
    return Neighborhood(edges, bridges, n_components, log_p, profile)


def _bridges(search, labels, n_components, rule, neighbors_graph):
    """Edges that join the components, with a warning; or the refusal to add them."""
    given = "the given neighbors_graph" if neighbors_graph is not None else str(rule)
    joining = joining_edges(search.X, labels, n_jobs=search.n_jobs)
    longest = joining.length.max()
    if rule.disconnected == "error":
        # What an ε-graph needs is at least the longest gap between its components.
        remedy = "Raise n_graph_neighbors"
        if rule.epsilon is not None:
            remedy = (
                f"The smallest epsilon that connects it is {longest:.6g}. Raise epsilon"
            )
        raise ValueError(
            f"The graph has {n_components} connected components at {given}. {remedy}, "
            "or pass disconnected='connect' (adds edges) or 'inf' (infinite distances)."
        )
    warnings.warn(
        f"The graph has {n_components} connected components at {given}. They were "
        f"joined by {len(joining.i)} edges of the Euclidean minimum spanning tree, the "
        f"longest of which is {longest:.6g}. Raise epsilon or n_graph_neighbors, or "
        "pass disconnected='inf' to keep the components apart.",
        UserWarning,
        stacklevel=2,
    )
    return np.column_stack([joining.i, joining.j])


def _reference_metrics(log_density):
    reference = _median_log_density(log_density)
    return [Metric(lam, reference) for lam in REFERENCE_LAMS]


def _median_log_density(log_density):
    """Median of log p, -inf included."""
    middle = np.sort(log_density)[[(len(log_density) - 1) // 2, len(log_density) // 2]]
    if np.isneginf(middle).any():
        raise ValueError(
            f"The density is zero at {np.isneginf(log_density).sum()} of "
            f"{len(log_density)} training samples, so that their median density is "
            "zero. Fit the density on these data, or widen its kernel."
        )
    return float(middle.mean())


def _symmetrize(distances, block=1024):
    """Make D symmetric in place: the two directions differ by rounding."""
    n = len(distances)
    for start in range(0, n, block):
        rows = slice(start, start + block)
        for other in range(start, n, block):
            columns = slice(other, other + block)
            smaller = np.minimum(distances[rows, columns], distances[columns, rows].T)
            distances[rows, columns] = smaller
            distances[columns, rows] = smaller.T


def _at_vertex(seeds):
    """Which rows of seeds lie on a vertex."""
    lengths = np.diff(seeds.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    found = np.zeros(len(lengths), dtype=bool)
    found[rows[seeds.distance == 0]] = True
    return found


def _log_density_where_used(log_density, points, used, graph):
    """log p at the points that some edge uses; those of the graph are known."""
    if points is graph.X:
        return graph.neighborhood.log_density
    values = np.full(len(points), np.nan)
    rows = np.unique(used)
    if len(rows):
        values[rows] = log_density(points[rows])
    return values
