"""Edges, log density -> log density along the edges -> edge costs.

log p is smooth along an edge where the cost c is not, so it is log p that is
interpolated: between two neighbouring nodes by the polynomial through the seven nodes
nearest to them. The integral of c of that interpolant is the cost of the edge. An
edge gets more nodes where the interpolant does not predict fresh evaluations: where
the costs of the polynomials through seven and through three nodes differ.

The nodes know nothing of λ, p0 or the exponent, and serve all of them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .._batching import row_batches
from ._cost import cost

# The first nodes of an edge, in the order in which they are asked for: the five
# Lobatto points, whose quartic integrates best.
LOBATTO = np.array([0.0, 0.5 - np.sqrt(3 / 28), 0.5, 0.5 + np.sqrt(3 / 28), 1.0])
FINE_NODES, COARSE_NODES = 7, 3
# An interval is cut no finer than this, and an edge into no more than these nodes,
# so that a jump of log p ends.
MIN_INTERVAL = 2.0**-12
MAX_NODES = 65
# An interval this many times steeper than those beside it holds a jump.
STEEP = 8.0
GAUSS_POSITION, GAUSS_WEIGHT = np.polynomial.legendre.leggauss(6)
GAUSS_POSITION, GAUSS_WEIGHT = (GAUSS_POSITION + 1) / 2, GAUSS_WEIGHT / 2


class Metric(NamedTuple):
    """The cost ``((p0 + lam p0) / (p + lam p0)) ** exponent`` of a density p."""

    lam: float
    log_p0: float
    exponent: float = 1.0


class EdgeProfile(NamedTuple):
    """Log density at the nodes of every edge, edge after edge.

    Attributes
    ----------
    indptr : ndarray of shape (n_edges + 1,)
        Nodes of edge e are ``indptr[e]:indptr[e + 1]``.
    position : ndarray of shape (n_nodes,)
        Position of each node along its edge, from 0 to 1.
    log_density : ndarray of shape (n_nodes,)
        log p at each node.
    error : ndarray of shape (n_edges,)
        Estimated relative error of the cost, the largest over the metrics for which
        the profile was refined.
    n_evaluations : int
        Density evaluations spent on inner nodes.
    """

    indptr: np.ndarray
    position: np.ndarray
    log_density: np.ndarray
    error: np.ndarray
    n_evaluations: int


class Segments(NamedTuple):
    """The segments from ``start[i]`` to ``end[j]``, with log p at both ends."""

    start: np.ndarray
    i: np.ndarray
    end: np.ndarray
    j: np.ndarray
    log_density_start: np.ndarray
    log_density_end: np.ndarray

    def points(self, edge, position):
        """Points at a position along each of the edges named."""
        t = position[:, None]
        return (1 - t) * self.start[self.i[edge]] + t * self.end[self.j[edge]]


def profile_edges(segments, length, log_density, metrics, *, tol):
    """Log density along each segment, at as many nodes as the metrics need.

    Parameters
    ----------
    segments : Segments
        The edges.
    length : ndarray of shape (n_edges,)
        Their lengths; an edge of length zero needs no nodes.
    log_density : callable
        Points of shape (n, n_features) -> log p of shape (n,).
    metrics : list of Metric
        The cost of each edge shall be within `tol` for all of these.
    tol : float
        Relative tolerance of the cost of an edge.

    Returns
    -------
    EdgeProfile
        Of all edges, in their order.
    """
    ends = np.column_stack(
        [segments.log_density_start[segments.i], segments.log_density_end[segments.j]]
    )
    position = np.full((len(ends), 5), np.nan)
    values = np.full((len(ends), 5), np.nan)
    position[:, :2], values[:, :2] = [0.0, 1.0], ends
    count = np.full(len(ends), 2)
    start = _Nodes(np.arange(len(ends)), count, position, values)
    return _refine(start, segments, length, log_density, metrics, tol, 0)


def refine_profile(profile, segments, length, log_density, metrics, *, tol):
    """Add nodes to a profile until it serves other metrics too.

    Parameters and result are those of `profile_edges`; `profile` is left as it is.
    """
    count = np.diff(profile.indptr)
    inside = np.arange(count.max(initial=2)) < count[:, None]
    position, values = np.full(inside.shape, np.nan), np.full(inside.shape, np.nan)
    position[inside], values[inside] = profile.position, profile.log_density
    start = _Nodes(np.arange(len(count)), count, position, values)
    return _refine(
        start, segments, length, log_density, metrics, tol, profile.n_evaluations
    )


def edge_costs(profile, length, metric):
    """Length of each edge in the metric: Euclidean length times the mean cost.

    Parameters
    ----------
    profile : EdgeProfile
        Log density along the edges.
    length : ndarray of shape (n_edges,)
        Euclidean lengths.
    metric : Metric
        λ, log p0 and the exponent.

    Returns
    -------
    ndarray of shape (n_edges,)
        Geodesic lengths of the straight segments.
    """
    mean = _mean_costs(
        profile.indptr,
        profile.position,
        profile.log_density - metric.log_p0,
        metric.lam,
        metric.exponent,
    )
    return length * mean


class _Nodes(NamedTuple):
    """Nodes of the edges that are still being refined, one padded row an edge."""

    edge: np.ndarray
    count: np.ndarray
    position: np.ndarray
    values: np.ndarray

    def __getitem__(self, rows):
        return _Nodes(*(column[rows] for column in self))


def _refine(nodes, segments, length, log_density, metrics, tol, n_evaluations):
    """Evaluate, insert and test again, all edges together, until none asks for more."""
    table = np.array(metrics, dtype=np.float64)
    zero = length[nodes.edge] == 0
    finished, errors = [nodes[zero]], [np.zeros(zero.sum())]
    nodes = nodes[~zero]
    while len(nodes.edge):
        fresh = np.full((len(nodes.edge), nodes.position.shape[1] + 1), np.nan)
        error = np.zeros(len(nodes.edge))
        _plan(nodes.count, nodes.position, nodes.values, table, tol, fresh, error)
        asks = ~np.isnan(fresh[:, 0])
        finished.append(nodes[~asks])
        errors.append(error[~asks])
        nodes, fresh = nodes[asks], fresh[asks]
        row, slot = np.nonzero(~np.isnan(fresh))
        values = np.full(fresh.shape, np.nan)
        values[row, slot] = _evaluate(
            segments, nodes.edge[row], fresh[row, slot], log_density
        )
        n_evaluations += len(row)
        nodes = _inserted(nodes, fresh, values)
    return _packed(finished, np.concatenate(errors), n_evaluations)


def _evaluate(segments, edge, position, log_density):
    """log p at positions along edges, in pieces of bounded memory."""
    values = np.empty(len(edge))
    row_bytes = 4 * 8 * segments.start.shape[1]
    for rows in row_batches(len(edge), row_bytes=row_bytes):
        values[rows] = log_density(segments.points(edge[rows], position[rows]))
    return values


def _inserted(nodes, fresh, values):
    """Merge fresh nodes into their rows; NaN, the padding, sorts to the end."""
    position = np.hstack([nodes.position, fresh])
    order = np.argsort(position, axis=1, kind="stable")
    count = nodes.count + np.count_nonzero(~np.isnan(fresh), axis=1)
    order = order[:, : count.max(initial=2)]
    return _Nodes(
        nodes.edge,
        count,
        np.take_along_axis(position, order, axis=1),
        np.take_along_axis(np.hstack([nodes.values, values]), order, axis=1),
    )


def _packed(finished, error, n_evaluations):
    """Rows of all rounds -> one EdgeProfile in the order of the edges."""
    edge = np.concatenate([nodes.edge for nodes in finished])
    count = np.concatenate([nodes.count for nodes in finished])
    order = np.argsort(edge)
    indptr = np.concatenate([[0], np.cumsum(count[order])])
    position, log_density = np.empty(indptr[-1]), np.empty(indptr[-1])
    for nodes in finished:
        inside = np.arange(nodes.position.shape[1]) < nodes.count[:, None]
        into = (indptr[nodes.edge][:, None] + np.arange(inside.shape[1]))[inside]
        position[into] = nodes.position[inside]
        log_density[into] = nodes.values[inside]
    return EdgeProfile(indptr, position, log_density, error[order], n_evaluations)


@njit(cache=True, nogil=True)
def _jumps(x, y, n):
    """Whether log p jumps in each interval: to or from -inf, or far steeper.

    No polynomial is drawn across a jump. A steep slope that is smooth is taken for one
    only until more nodes resolve it; with so few nodes as at first it never is.
    """
    jump = np.zeros(n - 1, dtype=np.bool_)
    for k in range(n - 1):
        jump[k] = not (np.isfinite(y[k]) and np.isfinite(y[k + 1]))
    if n <= len(LOBATTO):
        return jump
    slope = np.abs(np.diff(y) / np.diff(x))
    for k in range(n - 1):
        beside = 0.0
        if k > 0 and not jump[k - 1]:
            beside = max(beside, slope[k - 1])
        if k < n - 2 and np.isfinite(y[k + 2]):
            beside = max(beside, slope[k + 1])
        jump[k] |= slope[k] > STEEP * beside
    return jump


@njit(cache=True, nogil=True)
def _stencil(x, jump, k, size):
    """First and number of the `size` nodes nearest to interval k, up to a jump."""
    first, last = k, k + 1
    while last - first + 1 < size:
        left = first > 0 and not jump[first - 1]
        right = last < len(jump) and not jump[last]
        if not left and not right:
            break
        if left and (not right or x[k + 1] - x[first - 1] <= x[last + 1] - x[k]):
            first -= 1
        else:
            last += 1
    return first, last - first + 1


@njit(cache=True, nogil=True)
def _lagrange(x, y, first, size, t):
    """Value at t of the polynomial through `size` nodes, from the given first."""
    value = 0.0
    for a in range(first, first + size):
        term = y[a]
        for b in range(first, first + size):
            if b != a:
                term *= (t - x[b]) / (x[a] - x[b])
        value += term
    return value


@njit(cache=True, nogil=True)
def _interpolate(x, y, fine, coarse, t):
    """Fine and coarse interpolants of log p at t.

    Beside a jump a polynomial of high degree swings out; where it leaves the coarse
    one by more than the range of its own nodes, it is not believed.
    """
    first, size = fine
    low = high = y[first]
    for a in range(first, first + size):
        low, high = min(low, y[a]), max(high, y[a])
    rough = _lagrange(x, y, coarse[0], coarse[1], t)
    value = _lagrange(x, y, first, size, t)
    if abs(value - rough) > high - low:
        value = rough
    return value, rough


@njit(cache=True, nogil=True)
def _interval_points(x, y, jump, k, fine_values, coarse_values):
    """Interpolants of log p at the Gauss points of interval k.

    Where log p jumps, it does so somewhere unknown: the fine values are half those of
    one end and half those of the other, the coarse ones the other way round, so that
    their difference is the uncertainty.
    """
    m = len(GAUSS_POSITION)
    if jump[k]:
        for g in range(m):
            fine_values[g] = y[k] if g < m // 2 else y[k + 1]
            coarse_values[g] = y[k + 1] if g < m // 2 else y[k]
        return
    fine = _stencil(x, jump, k, FINE_NODES)
    coarse = _stencil(x, jump, k, min(COARSE_NODES, fine[1] - 1))
    for g in range(m):
        t = x[k] + (x[k + 1] - x[k]) * GAUSS_POSITION[g]
        fine_values[g], coarse_values[g] = _interpolate(x, y, fine, coarse, t)
        if len(x) == len(LOBATTO) == fine[1]:
            # Five nodes: the parabola of the first three has met two fresh ones.
            coarse_values[g] = _lagrange(x[::2], y[::2], 0, 3, t)
        elif fine[1] == 2:
            # A line between two jumps has met none.
            coarse_values[g] = (y[k] + y[k + 1]) / 2


@njit(cache=True, nogil=True)
def _deviations(x, y, n, metrics, deviation):
    """Relative deviation of the coarse from the fine cost, per interval.

    The largest over the metrics, each relative to the cost of the whole edge.
    """
    m = len(GAUSS_POSITION)
    fine, coarse = np.empty((n - 1, m)), np.empty((n - 1, m))
    jump = _jumps(x, y, n)
    for k in range(n - 1):
        _interval_points(x, y, jump, k, fine[k], coarse[k])
    deviation[: n - 1] = 0.0
    for row in range(len(metrics)):
        lam, log_p0, exponent = metrics[row]
        total = 0.0
        part = np.zeros(n - 1)
        for k in range(n - 1):
            for g in range(m):
                weight = GAUSS_WEIGHT[g] * (x[k + 1] - x[k])
                c = cost(fine[k, g] - log_p0, lam, exponent)
                total += weight * c
                part[k] += weight * abs(c - cost(coarse[k, g] - log_p0, lam, exponent))
        if total > 0.0:
            for k in range(n - 1):
                deviation[k] = max(deviation[k], part[k] / total)


@njit(cache=True, nogil=True)
def _accepted(n, deviation, tol):
    """Estimated error of an edge with n nodes, and the deviation it may have.

    Four nodes: one fresh node met the parabola, which may be chance: so, closely.
    Five: the error falls faster than the deviation. More: the deviation itself,
    between polynomials of degree two and six, is twice the error or more.
    """
    if n == 4:
        return 30.0 * deviation, tol / 30.0
    if n == 5:
        return deviation**1.5, tol ** (2.0 / 3.0)
    return deviation / 2.0, 2.0 * tol


@njit(cache=True, nogil=True)
def _plan(count, position, values, metrics, tol, fresh, error):
    """For each edge: the positions of its next nodes (none: it is done), its error."""
    for e in range(len(count)):
        n = count[e]
        if n == 2:
            fresh[e, 0], fresh[e, 1] = LOBATTO[2], LOBATTO[1]
            continue
        deviation = np.empty(n - 1)
        _deviations(position[e, :n], values[e, :n], n, metrics, deviation)
        total = deviation.sum()
        error[e], allowed = _accepted(n, total, tol)
        if total <= allowed or n >= MAX_NODES:
            continue
        if n == 4:
            fresh[e, 0] = LOBATTO[3]
            continue
        added = 0
        for k in np.argsort(-deviation):
            if total <= allowed or n + added >= MAX_NODES:
                break
            total -= deviation[k]
            if position[e, k + 1] - position[e, k] > MIN_INTERVAL:
                fresh[e, added] = (position[e, k] + position[e, k + 1]) / 2
                added += 1


@njit(cache=True, nogil=True)
def _mean_costs(indptr, position, log_ratio, lam, exponent):
    """Mean cost along each edge of the fine interpolant."""
    means = np.empty(len(indptr) - 1)
    m = len(GAUSS_POSITION)
    fine, coarse = np.empty(m), np.empty(m)
    for e in range(len(means)):
        x = position[indptr[e] : indptr[e + 1]]
        y = log_ratio[indptr[e] : indptr[e + 1]]
        jump = _jumps(x, y, len(x))
        total = 0.0
        for k in range(len(x) - 1):
            _interval_points(x, y, jump, k, fine, coarse)
            for g in range(m):
                total += (
                    GAUSS_WEIGHT[g] * (x[k + 1] - x[k]) * cost(fine[g], lam, exponent)
                )
        means[e] = total
    return means
