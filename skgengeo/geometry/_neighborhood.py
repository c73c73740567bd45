"""Points -> neighbourhood: the edges, and the log density along them.

This is the part of a geodesic graph that does not depend on the metric, and all that
costs density evaluations.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .._warnings import warn
from ._edges import (
    Edges,
    NeighborSearch,
    component_labels,
    default_n_neighbors,
    edges_of_graph,
    joining_edges,
    neighborhood_edges,
    segment_lengths,
    undirected_edges,
)
from ._quadrature import EdgeProfile, Metric, Segments, node_names, profile_edges
from ._shortcuts import shortcut_edges

# The edges are refined for these λ, relative to the median training density, and an
# exponent of 1. Larger λ and smaller exponents have smoother costs.
REFERENCE_LAMS = (1.0, 0.1, 0.01)
DISCONNECTED = ("connect", "error", "inf")


@dataclass(frozen=True)
class NeighborhoodRule:
    """Which points are joined by an edge.

    Attributes
    ----------
    epsilon : float or None
        Longest edge, in the units of X.
    n_neighbors : int or None
        Number of nearest neighbours; with `epsilon` too, both hold. Where both are
        None it is ``ceil(log2(n_samples))``.
    disconnected : {"connect", "error", "inf"}
        What to do about more than one connected component.
    shortcuts : bool
        Whether points that face each other across a gap are joined too.
    """

    epsilon: float | None = None
    n_neighbors: int | None = None
    disconnected: str = "connect"
    shortcuts: bool = False

    def resolved(self, n_samples):
        """The rule with its number of neighbours filled in, and checked."""
        self._check()
        k = self.n_neighbors
        if k is None and self.epsilon is None:
            k = default_n_neighbors(n_samples)
        elif k is not None and k >= n_samples:
            raise ValueError(
                f"n_graph_neighbors={k} with n_samples={n_samples}: a point has at "
                f"most {n_samples - 1} neighbours. Pass a smaller n_graph_neighbors, "
                "or None to have it chosen."
            )
        return replace(self, n_neighbors=k)

    def _check(self):
        if self.epsilon is not None and not self.epsilon > 0:
            raise ValueError(
                f"epsilon={self.epsilon!r}: it must be a length above 0, in the units "
                "of X. skgengeo.geometry.connecting_epsilon(X) is the smallest that "
                "connects X."
            )
        if self.n_neighbors is not None and self.n_neighbors < 1:
            raise ValueError(
                f"n_graph_neighbors={self.n_neighbors!r}: it must be at least 1. Pass "
                "None to have it chosen."
            )
        if self.disconnected not in DISCONNECTED:
            raise ValueError(
                f"disconnected={self.disconnected!r}: pass one of {DISCONNECTED}."
            )

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


def profiled_neighborhood(
    X,
    log_density,
    rule,
    neighbors_graph,
    quad_tol,
    *,
    random_state=None,
    n_jobs=None,
    known=None,
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
    known : NodeValues or None
        Values of log p that need no evaluation; no part of the result.

    Returns
    -------
    Neighborhood
        What does not depend on the metric.
    """
    search = NeighborSearch(X, random_state=random_state, n_jobs=n_jobs)
    edges = _edges_of_rule(search, rule, neighbors_graph)
    edges, bridges, n_components = _join_components(
        search, rule, neighbors_graph, edges
    )
    if rule.shortcuts:
        edges = _with_shortcuts(search, rule, edges)
    log_p = _log_density_of_vertices(X, log_density, known)
    profile = profile_edges(
        Segments(X, edges.i, X, edges.j, log_p, log_p),
        edges.length,
        log_density,
        reference_metrics(log_p),
        tol=quad_tol,
        known=known,
        n_jobs=n_jobs,
    )
    return Neighborhood(edges, bridges, n_components, log_p, profile)


def _edges_of_rule(search, rule, neighbors_graph):
    """The edges by the rule, or those given."""
    if neighbors_graph is not None:
        return edges_of_graph(search.X, neighbors_graph)
    return neighborhood_edges(
        search, epsilon=rule.epsilon, n_neighbors=rule.n_neighbors
    )


def _join_components(search, rule, neighbors_graph, edges):
    """The edges with bridges where the rule asks for them.

    Returns
    -------
    edges : Edges
        Bridges included.
    bridges : ndarray of shape (n_bridges, 2)
        The edges that were added.
    n_components : int
        Connected components before.
    """
    X = search.X
    n_components, labels = component_labels(len(X), edges.i, edges.j)
    if n_components == 1 or rule.disconnected == "inf":
        return edges, np.empty((0, 2), dtype=np.int64), n_components
    joining = joining_edges(X, labels, n_jobs=search.n_jobs)
    bridges = np.column_stack([joining.i, joining.j])
    if rule.disconnected == "error":
        _refuse_components(X, rule, neighbors_graph, bridges)
    i, j = np.r_[edges.i, joining.i], np.r_[edges.j, joining.j]
    return undirected_edges(X, i, j), bridges, n_components


def _with_shortcuts(search, rule, edges):
    """The edges, and those across gaps, but for gaps that are to stay infinite."""
    across = shortcut_edges(search.X, n_jobs=search.n_jobs)
    i, j = across.i, across.j
    if rule.disconnected == "inf":
        _, labels = component_labels(len(search.X), edges.i, edges.j)
        within = labels[i] == labels[j]
        i, j = i[within], j[within]
    return undirected_edges(search.X, np.r_[edges.i, i], np.r_[edges.j, j])


def _log_density_of_vertices(X, log_density, known):
    if known is None:
        return log_density(X)
    vertex = np.arange(len(X))
    nodes = node_names(len(X), vertex, vertex, 0.0)
    return known.recall(nodes, lambda some: log_density(X[some]))


def _refuse_components(X, rule, neighbors_graph, bridges):
    components, _, remedy = _components(X, rule, neighbors_graph, bridges)
    raise ValueError(
        f"{components} {remedy}, or pass disconnected='connect' (adds edges) or 'inf' "
        "(infinite distances)."
    )


def warn_of_bridges(X, rule, neighbors_graph, bridges):
    """Say that components were joined: apart from doing so, which may be cached.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The points.
    rule : NeighborhoodRule
        Which points are joined.
    neighbors_graph : sparse matrix or None
        Edges given by the user instead.
    bridges : ndarray of shape (n_bridges, 2)
        The edges that were added.
    """
    if len(bridges) == 0:
        return
    components, longest, remedy = _components(X, rule, neighbors_graph, bridges)
    edges = "an edge" if len(bridges) == 1 else f"{len(bridges)} edges"
    warn(
        f"{components} They were joined by {edges} of the Euclidean "
        f"minimum spanning tree, up to {longest:.6g} long. {remedy}, or "
        "pass disconnected='inf' to keep the components apart."
    )


def _components(X, rule, neighbors_graph, bridges):
    """What the bridges join, the longest of them, and what makes them needless."""
    longest = segment_lengths(X, bridges[:, 0], X, bridges[:, 1]).max()
    given = str(rule)
    if neighbors_graph is not None:
        given, remedy = "the given neighbors_graph", "Add edges to it"
    elif rule.n_neighbors is None:
        enough = _rounded_up(longest)
        remedy = f"The smallest epsilon that connects it is {enough}. Raise epsilon"
    elif rule.epsilon is not None and longest > rule.epsilon:
        remedy = f"No epsilon below {longest:.6g} connects it. Raise epsilon"
    else:
        remedy = _more_neighbors(X)
    components = f"The graph has {len(bridges) + 1} connected components at {given}."
    return components, longest, remedy


def _more_neighbors(X):
    """What joins a kNN graph that falls apart."""
    n_copies = len(X) - len(np.unique(X, axis=0))
    if n_copies == 0:
        return "Raise n_graph_neighbors"
    copies = f"{n_copies} samples that are copies of others"
    if n_copies == 1:
        copies = "sample that is a copy of another"
    return (
        f"Drop the {copies} (copies take the place of neighbours), raise "
        "n_graph_neighbors"
    )


def _rounded_up(length):
    """A length in six digits that does not fall short of it."""
    short = float(f"{length:.6g}") < length
    return f"{length * (1 + 1e-5) if short else length:.6g}"


def neighbors_of(search, rule, Q):
    """Pairs (row of Q, vertex) by which new points are joined to the graph.

    Parameters
    ----------
    search : NeighborSearch
        Over the vertices.
    rule : NeighborhoodRule
        Which points are joined; `disconnected` tells what to do about a point that
        has no neighbours.
    Q : ndarray of shape (n_points, n_features)
        The points.

    Returns
    -------
    q, x : ndarray of int
        Matched indices, in no particular order.
    """
    rows = np.arange(len(Q))
    if rule.n_neighbors is None:
        q, x = search.within(Q, rule.epsilon)
    else:
        k = max(rule.n_neighbors, 1)
        q, x = np.repeat(rows, k), search.nearest(Q, k).ravel()
    if rule.epsilon is not None:
        near = segment_lengths(Q, q, search.X, x) <= rule.epsilon
        q, x = q[near], x[near]
    alone = np.setdiff1d(rows, q)
    if len(alone) == 0 or rule.disconnected == "inf":
        return q, x
    nearest = search.nearest(Q[alone], 1)[:, 0]
    _report_alone(rule, alone, len(Q), segment_lengths(Q, alone, search.X, nearest))
    return np.concatenate([q, alone]), np.concatenate([x, nearest])


def _report_alone(rule, alone, n_points, gap):
    message = (
        f"{len(alone)} of {n_points} points have no training sample within "
        f"epsilon={rule.epsilon:.6g} (first: row {alone[0]}). The smallest epsilon "
        f"that reaches all is {_rounded_up(gap.max())}."
    )
    if rule.disconnected == "error":
        raise ValueError(
            f"{message} Raise epsilon, or pass disconnected='connect' to join each to "
            "its nearest sample."
        )
    warn(f"{message} Each is joined to its nearest sample.")


def are_neighbors(search, rule, P, Q):
    """Whether matched rows would be joined if both were vertices.

    Parameters
    ----------
    search : NeighborSearch
        Over the vertices, which tell how far the k nearest reach.
    rule : NeighborhoodRule
        Which points are joined.
    P, Q : ndarray of shape (n_pairs, n_features)
        The points.

    Returns
    -------
    ndarray of bool of shape (n_pairs,)
        One for each pair.
    """
    gap = np.linalg.norm(P - Q, axis=1)
    close = np.ones(len(P), dtype=bool)
    if rule.epsilon is not None:
        close &= gap <= rule.epsilon
    if rule.n_neighbors is not None:
        k = max(rule.n_neighbors, 1)
        reach = [
            np.linalg.norm(Z - search.X[search.nearest(Z, k)[:, -1]], axis=1)
            for Z in (P, Q)
        ]
        close &= gap <= np.maximum(*reach)
    return close


def reference_metrics(log_density):
    """The metrics for which every edge is refined."""
    reference = median_log_density(log_density)
    return [Metric(lam, reference) for lam in REFERENCE_LAMS]


def median_log_density(log_density):
    """Median of log p, -inf included."""
    middle = np.sort(log_density)[[(len(log_density) - 1) // 2, len(log_density) // 2]]
    if np.isneginf(middle).any():
        raise ValueError(
            f"The density is zero at {np.isneginf(log_density).sum()} of "
            f"{len(log_density)} training samples, so that their median density is "
            "zero. Fit the density on these data, or widen its kernel."
        )
    return float(middle.mean())
