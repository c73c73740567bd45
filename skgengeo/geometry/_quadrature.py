"""Edges, log density -> log density along the edges -> edge costs.

log p is smooth along an edge where the cost c is not, so it is log p that is
interpolated, and the integral of c of the interpolant is the cost of the edge. Between
two neighbouring nodes there are two interpolants, through the nine nodes nearest to
them: the polynomial through log p, and a parabola plus the logarithm of the polynomial
through what remains of p beside that parabola. The first is right for a single
Gaussian, the second for sums of them too. They are wrong in different ways, so that
where their costs differ, an edge gets more nodes.

The nodes know nothing of λ, p0 or the exponent, and serve all of them.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

from .._batching import in_threads, row_batches
from ._cost import cost

# Every edge has the five Lobatto nodes: both ends, and three whose order is theirs.
# Then come the pairs that make the best polynomials of seven and nine nodes of them.
INNER_NODES = np.array([0.5, 0.5 - np.sqrt(3 / 28), 0.5 + np.sqrt(3 / 28)])
PAIRS = np.array([[0.05, 0.95], [0.34, 0.66]])
# The error of an edge at 5, 7, 9 and more nodes, from the relative difference of the
# costs of its two interpolants: (difference / AGREEMENT) ** (2 / 3). With few nodes
# they can agree by chance; with many, the better one is far better than the other.
# Measured on ten sets of mixtures, kernels and Parzen windows at a tolerance of 1e-3:
# 99.5 % of the edges are then within it, and 98 % on two sets of 30 features. The power
# keeps these shares from falling much at other tolerances: 99 % at 1e-4.
AGREEMENT = np.array([0.5, 0.7, 20.0, 60.0])
STENCIL = 9
# Interpolants of fewer nodes, or of a density that leaves its parabola by more than a
# factor of exp(30), are compared with one of less degree.
MIN_STENCIL, MAX_REMAINDER, COARSE_NODES = 5, 30.0, 3
# An interval is cut no finer than this, and an edge into no more than these nodes,
# so that a jump of log p ends.
MIN_INTERVAL = 2.0**-12
MAX_NODES = 65
# Panels of six Gauss points, in which log p varies by no more than about this many
# nats: they integrate c of a given interpolant to 1e-4, and mostly to far less.
PANEL, MAX_PANELS = 5.0, 64
# Edges in a call of a compiled kernel, which Ctrl-C cannot interrupt.
EDGE_BATCH = 20_000
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

    def nodes(self, edge, position):
        """Names of these points, as `node_names` has them."""
        return node_names(len(self.end), self.i[edge], self.j[edge], position)


def node_names(n_points, i, j, position):
    """A number for each point along an edge between points, the same in any graph.

    Parameters
    ----------
    n_points : int
        Number of points that edges join.
    i, j : ndarray of int
        Ends of the edge; twice the same for the point itself.
    position : float or ndarray
        From 0 at i to 1 at j.

    Returns
    -------
    ndarray of complex
        The edge, and the position as imaginary part.
    """
    return i * n_points + j + 1j * position


def profile_edges(
    segments, length, log_density, metrics, *, tol, known=None, n_jobs=None
):
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
    known : NodeValues or None
        Values of log p that need no evaluation; None where the ends are not vertices.
    n_jobs : None or int
        As in scikit-learn; no part of the result.

    Returns
    -------
    EdgeProfile
        Of all edges, in their order.
    """
    ends = np.column_stack(
        [segments.log_density_start[segments.i], segments.log_density_end[segments.j]]
    )
    position = np.tile([0.0, 1.0], (len(ends), 1))
    start = _Nodes(np.arange(len(ends)), np.full(len(ends), 2), position, ends)
    evaluate = partial(_evaluate, segments, log_density, known)
    return _refine(start, length, evaluate, metrics, tol, n_jobs, 0)


def refine_profile(
    profile, segments, length, log_density, metrics, *, tol, known=None, n_jobs=None
):
    """Add nodes to a profile until it serves other metrics too.

    Parameters and result are those of `profile_edges`; `profile` is left as it is.
    """
    count = np.diff(profile.indptr)
    inside = np.arange(count.max(initial=2)) < count[:, None]
    position, values = np.full(inside.shape, np.nan), np.full(inside.shape, np.nan)
    position[inside], values[inside] = profile.position, profile.log_density
    start = _Nodes(np.arange(len(count)), count, position, values)
    evaluate = partial(_evaluate, segments, log_density, known)
    return _refine(start, length, evaluate, metrics, tol, n_jobs, profile.n_evaluations)


def edge_costs(profile, length, metric, *, n_jobs=None):
    """Length of each edge in the metric: Euclidean length times the mean cost.

    Parameters
    ----------
    profile : EdgeProfile
        Log density along the edges.
    length : ndarray of shape (n_edges,)
        Euclidean lengths.
    metric : Metric
        λ, log p0 and the exponent.
    n_jobs : None or int
        As in scikit-learn; no part of the result.

    Returns
    -------
    ndarray of shape (n_edges,)
        Geodesic lengths of the straight segments.
    """
    mean = np.empty(len(length))
    log_ratio = profile.log_density - metric.log_p0

    def _mean_costs_of(rows):
        indptr = profile.indptr[rows.start : rows.stop + 1]
        _mean_costs(
            indptr, profile.position, log_ratio, metric.lam, metric.exponent, mean[rows]
        )

    _run(_mean_costs_of, len(length), n_jobs)
    return length * mean


class _Nodes(NamedTuple):
    """Nodes of the edges that are still being refined, one padded row an edge."""

    edge: np.ndarray
    count: np.ndarray
    position: np.ndarray
    values: np.ndarray

    def take(self, rows):
        """The rows named, in that order."""
        return _Nodes(*(column[rows] for column in self))


def _refine(nodes, length, evaluate, metrics, tol, n_jobs, n_evaluations):
    """Evaluate, insert and test again, all edges together, until none asks for more."""
    table = np.array(metrics, dtype=np.float64)
    zero = length[nodes.edge] == 0
    finished, errors = [nodes.take(zero)], [np.zeros(zero.sum())]
    nodes = nodes.take(~zero)
    while len(nodes.edge):
        fresh, error = _planned(nodes, table, tol, n_jobs)
        asks = ~np.isnan(fresh[:, 0])
        finished.append(nodes.take(~asks))
        errors.append(error[~asks])
        nodes, fresh = nodes.take(asks), fresh[asks]
        row, slot = np.nonzero(~np.isnan(fresh))
        values = np.full(fresh.shape, np.nan)
        values[row, slot] = evaluate(nodes.edge[row], fresh[row, slot])
        n_evaluations += len(row)
        nodes = _inserted(nodes, fresh, values)
    return _packed(finished, np.concatenate(errors), n_evaluations)


def _planned(nodes, metrics, tol, n_jobs):
    """Positions of the next nodes of each edge, padded, and its error."""
    fresh = np.full((len(nodes.edge), nodes.position.shape[1] + 1), np.nan)
    error = np.zeros(len(nodes.edge))

    def _plan_some(rows):
        _, *some = nodes.take(rows)
        _plan(*some, metrics, tol, fresh[rows], error[rows])

    _run(_plan_some, len(nodes.edge), n_jobs)
    return fresh, error


def _run(work, n_edges, n_jobs):
    """Work on batches of edges, in threads that share memory."""
    in_threads(work, row_batches(n_edges, size=EDGE_BATCH), n_jobs)


def _evaluate(segments, log_density, known, edge, position):
    """log p at positions along edges, of which some may be known."""
    if known is None:
        return _evaluate_all(segments, edge, position, log_density)
    return known.recall(
        segments.nodes(edge, position),
        lambda some: _evaluate_all(segments, edge[some], position[some], log_density),
    )


def _evaluate_all(segments, edge, position, log_density):
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
def _jumps(x, y):
    """Whether log p jumps in each interval: to or from -inf, or far steeper.

    No polynomial is drawn across a jump. A steep slope that is smooth is taken for one
    only until more nodes resolve it; with so few nodes as at first it never is.
    """
    n = len(x)
    jump = np.zeros(n - 1, dtype=np.bool_)
    for k in range(n - 1):
        jump[k] = not (np.isfinite(y[k]) and np.isfinite(y[k + 1]))
    if n <= STENCIL:
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
    """The at most `size` nodes nearest to interval k, up to a jump, as a slice."""
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
    return slice(first, last + 1)


@njit(cache=True, nogil=True)
def _interpolate(x, y, t, values):
    """Values at all t of the polynomial through (x, y); barycentric, no t a node."""
    n = len(x)
    weight = np.ones(n)
    for a in range(n):
        for b in range(n):
            if b != a:
                weight[a] *= x[a] - x[b]
    for g in range(len(t)):
        above = below = 0.0
        for a in range(n):
            share = 1.0 / (weight[a] * (t[g] - x[a]))
            above += share * y[a]
            below += share
        values[g] = above / below


@njit(cache=True, nogil=True)
def _interpolate_remainder(x, y, t, values):
    """A parabola plus the logarithm of the polynomial through ``p / exp(parabola)``.

    The parabola goes through the outer nodes and the middle one: :eq:`eq-interpolant`.
    False where there is no such interpolant: the remainder leaves the range of floating
    point, or its polynomial is not positive.
    """
    middle = np.argmin(np.abs(x - (x[0] + x[-1]) / 2))
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    bend = (y[middle] - y[0]) / (x[middle] - x[0]) - slope
    bend /= x[middle] - x[-1]
    remainder = y - (y[0] + (x - x[0]) * (slope + bend * (x - x[-1])))
    if not np.max(np.abs(remainder)) <= MAX_REMAINDER:
        return False
    _interpolate(x, np.exp(remainder), t, values)
    if not np.min(values) > 0.0:
        return False
    values[:] = np.log(values) + y[0] + (t - x[0]) * (slope + bend * (t - x[-1]))
    return True


@njit(cache=True, nogil=True)
def _interval_points(x, y, jump, k, t, fine, coarse):
    """Both interpolants of log p at points t of interval k.

    True where they are of the same nodes, so that the difference of their integrals
    tells the error; else the integral of their difference does. Where log p jumps, it
    does so somewhere unknown: the fine values are half those of one end and half those
    of the other, the coarse ones the other way round, so that their difference is the
    uncertainty.
    """
    if jump[k]:
        half = len(t) // 2
        fine[:half], fine[half:] = y[k], y[k + 1]
        coarse[:half], coarse[half:] = y[k + 1], y[k]
        return False
    nodes = _stencil(x, jump, k, STENCIL)
    size = nodes.stop - nodes.start
    if size >= MIN_STENCIL and _interpolate_remainder(x[nodes], y[nodes], t, fine):
        _interpolate(x[nodes], y[nodes], t, coarse)
        return True
    _interpolate(x[nodes], y[nodes], t, fine)
    if size == 2:
        # A line between two jumps has met no other node.
        coarse[:] = (y[k] + y[k + 1]) / 2
        return False
    near = _stencil(x, jump, k, min(COARSE_NODES, size - 1))
    _interpolate(x[near], y[near], t, coarse)
    # Beside a jump a polynomial of high degree swings out; where it leaves the coarse
    # one by more than the range of its own nodes, it is not believed.
    extent = y[nodes].max() - y[nodes].min()
    for g in range(len(t)):
        if abs(fine[g] - coarse[g]) > extent:
            fine[g] = coarse[g]
    return False


@njit(cache=True, nogil=True)
def _gauss_points(x, y, k):
    """Points and weights in interval k: Gauss's, in panels that c can be smooth on.

    The slopes beside it count too: log p may rise and fall again between two nodes.
    """
    slope = 0.0
    for b in range(max(k - 1, 0), min(k + 2, len(x) - 1)):
        beside = abs(y[b + 1] - y[b]) / (x[b + 1] - x[b])
        if np.isfinite(beside):
            slope = max(slope, beside)
    length, m = x[k + 1] - x[k], len(GAUSS_POSITION)
    n_panels = max(min(math.ceil(slope * length / PANEL), MAX_PANELS), 1)
    width = length / n_panels
    t = np.empty(n_panels * m)
    for panel in range(n_panels):
        inside = slice(panel * m, (panel + 1) * m)
        t[inside] = x[k] + width * (panel + GAUSS_POSITION)
    return t, width * GAUSS_WEIGHT


@njit(cache=True, nogil=True)
def _deviations(x, y, metrics, deviation):
    """Relative deviation of the coarse from the fine cost, per interval and in all.

    The largest over the metrics, each relative to the cost of the whole edge.
    """
    n, n_metrics = len(x), len(metrics)
    jump = _jumps(x, y)
    total, balance = np.zeros(n_metrics), np.zeros(n_metrics)
    rest, part = np.zeros(n_metrics), np.zeros((n_metrics, n - 1))
    for k in range(n - 1):
        t, weight = _gauss_points(x, y, k)
        fine, coarse = np.empty(len(t)), np.empty(len(t))
        signed = _interval_points(x, y, jump, k, t, fine, coarse) and n <= STENCIL
        for row in range(n_metrics):
            lam, log_p0, exponent = metrics[row]
            net = 0.0
            for g in range(len(t)):
                w = weight[g % len(weight)]
                c = cost(fine[g] - log_p0, lam, exponent)
                difference = c - cost(coarse[g] - log_p0, lam, exponent)
                total[row] += w * c
                net += w * difference
                part[row, k] += w * abs(difference)
            if signed:
                balance[row] += net
            else:
                rest[row] += part[row, k]
    deviation[:] = 0.0
    largest = 0.0
    for row in range(n_metrics):
        if total[row] > 0.0:
            deviation[:] = np.maximum(deviation, part[row] / total[row])
            largest = max(largest, (abs(balance[row]) + rest[row]) / total[row])
    return largest


@njit(cache=True, nogil=True)
def _plan(count, position, values, metrics, tol, fresh, error):
    """For each edge: the positions of its next nodes (none: it is done), its error."""
    for e in range(len(count)):
        n = count[e]
        if n == 2:
            fresh[e, :3] = INNER_NODES
            continue
        x, y = position[e, :n], values[e, :n]
        deviation = np.empty(n - 1)
        total = _deviations(x, y, metrics, deviation)
        stage = min((n - 5) // 2, len(AGREEMENT) - 1)
        error[e] = (total / AGREEMENT[stage]) ** (2 / 3)
        if error[e] <= tol or n >= MAX_NODES:
            continue
        if stage < len(PAIRS) and np.isfinite(y).all():
            fresh[e, :2] = PAIRS[stage]
        else:
            _bisect(x, deviation, AGREEMENT[-1] * tol**1.5, fresh[e])


@njit(cache=True, nogil=True)
def _bisect(x, deviation, allowed, fresh):
    """Cut the intervals that deviate most, until the others deviate by less."""
    left, added = deviation.sum(), 0
    for k in np.argsort(-deviation):
        full = left <= allowed or len(x) + added >= MAX_NODES
        if (added > 0 and full) or deviation[k] <= allowed / len(x):
            break
        left -= deviation[k]
        if x[k + 1] - x[k] > MIN_INTERVAL:
            fresh[added] = (x[k] + x[k + 1]) / 2
            added += 1


@njit(cache=True, nogil=True)
def _mean_costs(indptr, position, log_ratio, lam, exponent, means):
    """Mean cost along each edge of the fine interpolant."""
    for e in range(len(means)):
        x = position[indptr[e] : indptr[e + 1]]
        y = log_ratio[indptr[e] : indptr[e + 1]]
        jump = _jumps(x, y)
        means[e] = 0.0
        for k in range(len(x) - 1):
            t, weight = _gauss_points(x, y, k)
            fine, coarse = np.empty(len(t)), np.empty(len(t))
            _interval_points(x, y, jump, k, t, fine, coarse)
            for g in range(len(t)):
                means[e] += weight[g % len(weight)] * cost(fine[g], lam, exponent)
