"""Pairs of points -> geodesics: starts that may lead to different ones, relaxed."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from sklearn.exceptions import ConvergenceWarning

from .._batching import row_batches
from .._warnings import warn
from ._cost import log_cost
from ._curves import COARSE, ArcLengths, points_at, relax_finely
from ._descent import descended
from ._energy import energies_at
from ._shortest_paths import Seeds

# Of a relaxation, unless another number is asked for.
MAX_STEPS = 300
# Memory of a pair, a node and a number, with all starts and doublings.
PAIR_BYTES = 200
# A second start is a path by another way, this share longer at most.
DETOUR = 0.1
# The descent to a mean ends where a step would be shorter than this share of the root
# of the mean squared distance, and the search where a round lessens that by no more.
MEAN_TOL, LEAST_GAIN, MAX_ROUNDS = 1e-4, 1e-4, 20
# Nodes of a geodesic are doubled up to so many times while its end moves; the share of
# it that tells in which direction it leaves.
N_DOUBLINGS, FIRST = 3, 1 / 64


class Geodesics(NamedTuple):
    """The shortest curves found between matched points.

    Attributes
    ----------
    curves : list of ndarray of shape (n_vertices, n_features)
        Polylines, from the end that comes first in the order of features; of one
        point where no path joins the ends.
    arcs : ArcLengths
        Along these curves.
    swapped : ndarray of bool of shape (n_pairs,)
        Whether a curve goes from the second end to the first.
    graph_lengths : ndarray of shape (n_pairs,)
        Of the shortest paths in the graph; ``inf`` where no path joins the ends.
    converged : ndarray of bool of shape (n_pairs,)
        Whether relaxation has ended at a geodesic.
    n_steps : ndarray of int of shape (n_pairs,)
        Steps of the relaxation that led to the curve.
    n_evaluations : int
        Density evaluations by the relaxation, those for gradients included.
    n_gradients : int
        Those for gradients.
    """

    curves: list
    arcs: ArcLengths
    swapped: np.ndarray
    graph_lengths: np.ndarray
    converged: np.ndarray
    n_steps: np.ndarray
    n_evaluations: int
    n_gradients: int

    @property
    def lengths(self):
        """Geodesic lengths, ``inf`` where no path joins the ends: (n_pairs,)."""
        return np.where(np.isinf(self.graph_lengths), np.inf, self.arcs.totals)

    def points_at(self, fractions):
        """Points at fractions of the length, from the first end to the second."""
        fractions = np.where(self.swapped[:, None], 1 - fractions, fractions)
        return points_at(self.curves, self.arcs, fractions)


def geodesics_between(graph, P, Q, *, n_nodes=64, tol=1e-6, max_steps=MAX_STEPS):
    """Relax shortest paths of a graph, detours and straight segments; keep the best.

    Parameters
    ----------
    graph : GeodesicGraph
        Whose log density has a gradient.
    P, Q : ndarray of shape (n_pairs, n_features)
        Matched ends, vertices or not.
    n_nodes : int, default=64
        Nodes of a relaxed curve, or more: see `relax_finely`.
    tol : float, default=1e-6
        See `relax`.
    max_steps : int, default=300
        See `relax`.

    Returns
    -------
    Geodesics
        None longer than the path in the graph. Those from Q to P are the same.
    """
    swapped = _is_greater(P, Q)[:, None]
    P, Q = np.where(swapped, Q, P), np.where(swapped, P, Q)
    seeds, targets = graph.attach(P), graph.attach(Q)
    paths = graph.paths_between(P, Q, seeds, targets)
    apart = np.array([len(path) == 0 for path in paths], dtype=bool)
    for row in np.flatnonzero(apart):
        paths[row] = P[row][None]
    # A path of one edge is the straight segment.
    indirect = np.flatnonzero([len(path) > 2 for path in paths])
    straight = list(np.stack([P[indirect], Q[indirect]], axis=1))
    round_rows, round_paths = _detours(graph, P, Q, seeds, targets, paths, indirect)
    limits = {"n_nodes": n_nodes, "tol": tol, "max_steps": max_steps}
    # Of equally long ones the path of the graph, which comes first.
    pair = np.concatenate([np.arange(len(P)), indirect, round_rows])
    found = _relaxed(graph, paths + straight + round_paths, pair, **limits)
    order = np.lexsort((found.lengths.totals, pair))
    best = order[np.searchsorted(pair[order], np.arange(len(P)))]
    return Geodesics(
        [found.curves[k] for k in best],
        found.lengths.take(best),
        swapped[:, 0],
        np.where(apart, np.inf, found.start_lengths[: len(P)]),
        found.converged[best],
        found.n_steps[best],
        found.n_evaluations,
        found.n_gradients,
    )


def _detours(graph, P, Q, seeds, targets, paths, rows):
    """Paths that are little longer than the shortest, and lead elsewhere.

    Each goes by the vertex that is the farthest from the shortest path, of those by
    which a path is at most `DETOUR` longer.

    Returns
    -------
    rows : ndarray of int
        Pairs that have a detour, farther from the path than any step along it.
    detours : list of ndarray of shape (n_points, n_features)
        One for each of these.
    """
    by = np.full(len(P), -1)
    for batch in row_batches(len(rows), row_bytes=4 * 8 * graph.n_vertices):
        some = rows[batch]
        around = graph.distances_from(seeds.take(some))
        around += graph.distances_from(targets.take(some))
        for row, sums in zip(some, around, strict=True):
            near = np.flatnonzero(sums <= (1 + DETOUR) * sums.min())
            gap = cKDTree(paths[row]).query(graph.X[near])[0]
            step = np.linalg.norm(np.diff(paths[row], axis=0), axis=1).max()
            if gap.max() > step:
                by[row] = near[gap.argmax()]
    rows = np.flatnonzero(by >= 0)
    if len(rows) == 0:
        return rows, []
    via, middle = graph.X[by[rows]], Seeds.at(by[rows])
    there = graph.paths_between(P[rows], via, seeds.take(rows), middle)
    back = graph.paths_between(via, Q[rows], middle, targets.take(rows))
    return rows, [np.vstack([a, b[1:]]) for a, b in zip(there, back, strict=True)]


def _relaxed(graph, starts, rivals, *, n_nodes, tol, max_steps):
    if not hasattr(graph.log_density, "with_gradient"):
        raise ValueError(
            "The log density of this graph has no gradient. Pass a callable with a "
            "method with_gradient(points) -> (log_p, gradient), or fit an estimator: "
            "its graph_ has one."
        )
    return relax_finely(
        starts,
        graph.log_density,
        graph.log_density.with_gradient,
        graph.metric,
        n_nodes=n_nodes,
        quad_tol=graph.quad_tol,
        tol=tol,
        max_steps=max_steps,
        n_jobs=graph.n_jobs,
        rivals=rivals,
    )


def _is_greater(P, Q):
    """Whether rows of P come after those of Q in the order of their features."""
    differs = P != Q
    first = differs.argmax(axis=1)[:, None]
    greater = np.take_along_axis(P > Q, first, axis=1)[:, 0]
    return differs.any(axis=1) & greater


def frechet_mean(graph, X, weight, *, n_nodes=64, tol=1e-6, max_steps=MAX_STEPS):
    """Point of least weighted mean of squared geodesic distances, nearby.

    From the best vertex it leaps along a geodesic to one of the points, which crosses
    what is steep, and descends, which needs no geodesic to go there; in turns, until
    neither helps. Squares of distances are energies of the relaxed curves, whose
    derivative with respect to the common end is known.

    Parameters
    ----------
    graph : GeodesicGraph
        Whose log density has a gradient.
    X : ndarray of shape (n_points, n_features)
        The points.
    weight : ndarray of shape (n_points,)
        Positive, of sum 1.
    n_nodes, tol : int, float
        As in `geodesics_between`.
    max_steps : int, default=300
        Most steps, of a descent and of each relaxation in it.

    Returns
    -------
    ndarray of shape (n_features,)
        No worse than the best vertex.

    Warns
    -----
    ConvergenceWarning
        Where the directions to the points do not cancel each other.
    """
    share = np.sqrt(weight)
    limits = {"n_nodes": n_nodes, "tol": tol, "max_steps": max_steps}
    here = _Star.at(graph.X[_medoid(graph, X, share)], graph, X, share, limits)
    for _ in range(MAX_ROUNDS):
        before = here.spread
        for move in (_leap, _descent):
            if here.spread == 0:
                return here.center
            there = _Star.at(move(here), graph, X, share, limits)
            here = there if there.spread < here.spread else here
        if not here.spread < (1 - LEAST_GAIN) * before:
            break
    slope = here.slope()
    if slope**2 > LEAST_GAIN:
        warn(
            "The descent to the mean has ended where the mean of the directions to the "
            f"points is {slope:.2g} of their spread, and not zero: there may be a "
            "better point nearby. Raise n_nodes or max_iter, or pass a smoother "
            "density.",
            ConvergenceWarning,
        )
    return here.center


class _Star(NamedTuple):
    """Geodesics from a center to points, and the root of their weighted mean square."""

    center: np.ndarray
    share: np.ndarray
    geodesics: Geodesics
    spread: float
    graph: object
    limits: dict

    @classmethod
    def at(cls, center, graph, X, share, limits):
        found = geodesics_between(graph, np.tile(center, (len(X), 1)), X, **limits)
        # Squares of lengths may leave the range of floating point.
        spread = np.hypot.reduce(share * found.lengths)
        return cls(center, share, found, spread, graph, limits)

    def nodes(self):
        """So many on each geodesic that energies tell the spread that lengths tell."""
        for doubling in range(N_DOUBLINGS + 1):
            fractions = np.linspace(0.0, 1.0, self.limits["n_nodes"] * 2**doubling)
            nodes, value, _ = self.half_square(self.geodesics.points_at(fractions))
            if abs(2 * value - 1) <= 2 * COARSE * self.graph.quad_tol:
                break
        return nodes

    def unit(self):
        """The spread as a length in space at the center, where the cost is as there."""
        lam, log_p0, exponent = self.graph.metric
        log_ratio = self.graph.log_density(self.center[None]) - log_p0
        log_c = log_cost(log_ratio, lam=lam, exponent=exponent)[0]
        return np.exp(np.log(self.spread) - log_c)

    def half_square(self, nodes):
        """Half the mean square over that here, relaxed: nodes, value and slope."""
        rule = self.graph.log_density.with_gradient, self.graph.metric
        nodes = descended(
            nodes, *rule, MEAN_TOL**2, self.limits["max_steps"], self.graph.n_jobs
        ).nodes
        energies, slopes = energies_at(nodes, *rule, log_unit=np.log(self.spread))
        weight = self.share**2 / 2
        return nodes, weight @ energies, weight @ slopes

    def slope(self):
        """Length of the gradient of `half_square`, in the unit of the center."""
        return np.linalg.norm(self.unit() * self.half_square(self.nodes())[2])


def _leap(star):
    """Where the mean square would be the least along a geodesic, if space were flat."""
    geodesics = star.geodesics
    first = geodesics.points_at(np.array([FIRST]))[:, 0] - star.center
    size = np.linalg.norm(first, axis=1, keepdims=True)
    direction = np.divide(first, size, out=np.zeros_like(first), where=size > 0)
    length = geodesics.lengths / star.spread
    step = direction @ ((star.share**2 * length) @ direction)
    best = step.argmax()
    fraction = min(step[best] / length[best], 1.0) if step[best] > 0 else 0.0
    return geodesics.points_at(np.array([fraction]))[best, 0]


def _descent(star):
    """Where quasi-Newton steps from the center, and its geodesics with it, end."""
    unit, nodes = star.unit(), star.nodes()
    remains = np.linspace(1.0, 0.0, nodes.shape[1])[:, None]

    def _value(z):
        nonlocal nodes
        moved = nodes + remains * (star.center + unit * z - nodes[:, :1])
        nodes, value, slope = star.half_square(moved)
        return value, unit * slope

    # In this unit the Hessian is about the identity.
    options = {"gtol": MEAN_TOL, "norm": 2, "maxiter": star.limits["max_steps"]}
    zero = np.zeros(len(star.center))
    found = minimize(_value, zero, jac=True, method="BFGS", options=options)
    return star.center + unit * found.x


def _medoid(graph, X, share):
    """Vertex of least weighted mean of squared distances in the graph."""
    seeds, spread = graph.attach(X), np.zeros(graph.n_vertices)
    for rows in row_batches(len(X), row_bytes=16 * graph.n_vertices):
        some = seeds.take(np.arange(rows.start, rows.stop))
        distances = graph.distances_from(some)
        distances *= share[rows, None]
        spread = np.hypot(spread, np.hypot.reduce(distances, axis=0))
    best = int(spread.argmin())
    if np.isinf(spread[best]):
        raise ValueError(
            "The points lie in different components, which disconnected='inf' keeps "
            "infinitely far apart, so that they have no mean. Pass "
            "disconnected='connect', or the points of one component."
        )
    return best


def refined_lengths(graph, P, Q, *, n_nodes=64, tol=1e-6, max_steps=MAX_STEPS):
    """Lengths of geodesics between matched rows, in batches of bounded memory.

    Parameters
    ----------
    graph : GeodesicGraph
        As in `geodesics_between`.
    P, Q : ndarray of shape (n_pairs, n_features)
        Matched ends.
    n_nodes : int, default=64
        Nodes of a curve.
    tol : float, default=1e-6
        Of the relaxation.
    max_steps : int, default=300
        Of the relaxation.

    Returns
    -------
    ndarray of shape (n_pairs,)
        ``inf`` where no path joins the points. Curves that have not converged warn.
    """
    limits = {"n_nodes": n_nodes, "tol": tol, "max_steps": max_steps}
    lengths, converged = np.empty(len(P)), np.empty(len(P), dtype=bool)
    for rows in row_batches(len(P), row_bytes=PAIR_BYTES * n_nodes * (P.shape[1] + 1)):
        found = geodesics_between(graph, P[rows], Q[rows], **limits)
        lengths[rows], converged[rows] = found.lengths, found.converged
    warn_of_lost(lengths, converged)
    return lengths


def warn_of_lost(lengths, converged):
    """Say which curves are shorter than the graph's, but perhaps not geodesics.

    Parameters
    ----------
    lengths : ndarray of shape (n_pairs,)
        ``inf`` where there is no curve.
    converged : ndarray of bool of shape (n_pairs,)
        Whether relaxation has ended at a geodesic.
    """
    lost = np.isfinite(lengths) & ~converged
    if lost.any():
        warn(
            f"{lost.sum()} of {len(lost)} curves (first: row {lost.argmax()}) have not "
            "converged: they are no longer than the paths in the graph, but may be "
            "shortened further. Use GeodesicInterpolator with more n_nodes, or with "
            "more max_iter, or pass a density that varies less, as TemperedDensity, "
            "or a smoother one: the gradient of kernels with edges jumps there, and "
            "that of a neural spline flow at its knots. Where it has a "
            "score_samples_gradient of its own, check that this is its gradient.",
            ConvergenceWarning,
        )
