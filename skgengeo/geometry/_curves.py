"""Curves: their length, points along them, and relaxation towards geodesics.

A curve is a polyline. Its length is measured by the quadrature of edges. Relaxation
minimises its energy, starts from several curves between the same ends, and takes more
nodes where the energy tells another length than the quadrature.
"""

from typing import NamedTuple

import numpy as np

from .._batching import ragged_rows
from ._cost import check_log_cost, log_cost
from ._descent import descended
from ._edges import segment_lengths
from ._quadrature import EdgeProfile, Segments, edge_costs, profile_edges

# A curve is measured in as many pieces at least.
MIN_PIECES = 16
# Nodes are too few where two lengths differ by this many times the tolerance of an
# edge: up to there, lengths at many more nodes are mostly less by no more than that.
COARSE = 3.0


class ArcLengths(NamedTuple):
    """Geodesic length along polylines, polyline after polyline.

    Attributes
    ----------
    indptr : ndarray of shape (n_curves + 1,)
        Entries of curve p are ``indptr[p]:indptr[p + 1]``.
    position : ndarray of shape (n_entries,)
        In vertices from the start: 2.5 is halfway from vertex 2 to vertex 3. Every
        vertex is there, and more positions between, as the quadrature needed them.
    length : ndarray of shape (n_entries,)
        Geodesic length from the start to that position.
    n_evaluations : int
        Density evaluations spent.
    """

    indptr: np.ndarray
    position: np.ndarray
    length: np.ndarray
    n_evaluations: int

    @property
    def totals(self):
        """Length of each curve, of shape (n_curves,)."""
        return self.length[self.indptr[1:] - 1]

    def take(self, curves):
        """Those of the curves named, in that order."""
        indptr, inside = ragged_rows(self.indptr, curves)
        return self._replace(
            indptr=indptr, position=self.position[inside], length=self.length[inside]
        )

    def along(self, curve):
        """Positions on one curve, and the lengths as far as there."""
        own = slice(self.indptr[curve], self.indptr[curve + 1])
        return self.position[own], self.length[own]


class Relaxation(NamedTuple):
    """Relaxed curves.

    Attributes
    ----------
    curves : list of ndarray of shape (n_nodes, n_features)
        From start to end at constant speed, to the discretisation. Where nothing
        shorter was found, the start itself, with as many vertices as it has.
    lengths : ArcLengths
        Along them, by the quadrature; ``lengths.totals`` are the distances found.
    start_lengths : ndarray of shape (n_curves,)
        Those of the starts.
    converged : ndarray of bool of shape (n_curves,)
        Whether the minimum of the energy was reached and is no longer than the start;
        of rivals, the least minimum.
    coarse : ndarray of bool of shape (n_curves,)
        Whether the nodes are too few: the energy stands for another length than that by
        the quadrature.
    nodes : ndarray of shape (n_curves, n_nodes, n_features)
        Where the minimisation has ended, of all curves.
    n_steps : ndarray of int of shape (n_curves,)
        Steps of the minimisation.
    n_evaluations : int
        Density evaluations, with those that gave a gradient too.
    n_gradients : int
        Those that gave a gradient.
    """

    curves: list
    lengths: ArcLengths
    start_lengths: np.ndarray
    converged: np.ndarray
    coarse: np.ndarray
    nodes: np.ndarray
    n_steps: np.ndarray
    n_evaluations: int
    n_gradients: int


def arc_lengths(curves, log_density, metric, *, quad_tol=1e-3, n_jobs=None):
    """Geodesic length along each polyline.

    Parameters
    ----------
    curves : sequence of ndarray of shape (n_vertices, n_features)
        Polylines of one vertex or more each; an array of shape
        (n_curves, n_nodes, n_features) is one too.
    log_density : callable
        Points of shape (n, n_features) -> log p of shape (n,).
    metric : Metric
        λ, log p0 and the exponent.
    quad_tol : float, default=1e-3
        Relative tolerance of the length of a segment.
    n_jobs : None or int
        As in scikit-learn; no part of the result.

    Returns
    -------
    ArcLengths
        Cumulative, so that `points_at` finds any fraction of the length.

    Raises
    ------
    ValueError
        Where the metric is degenerate on a curve.
    """
    lengths, log_ratio, _ = _measured(curves, log_density, metric, quad_tol, n_jobs)
    check_log_cost(log_ratio, lam=metric.lam, exponent=metric.exponent)
    return lengths


def curve_lengths(curves, log_density, metric, *, quad_tol=1e-3, n_jobs=None):
    """Geodesic length of each polyline.

    Parameters and errors are those of `arc_lengths`, which tells more.

    Returns
    -------
    ndarray of shape (n_curves,)
        Zero for a curve of one vertex.
    """
    return arc_lengths(
        curves, log_density, metric, quad_tol=quad_tol, n_jobs=n_jobs
    ).totals


def points_at(curves, lengths, fractions):
    """Points at fractions of the geodesic length of each polyline.

    Parameters
    ----------
    curves : sequence of ndarray of shape (n_vertices, n_features)
        The polylines.
    lengths : ArcLengths
        Along them.
    fractions : ndarray of shape (n_fractions,) or (n_curves, n_fractions)
        From 0, the first vertex, to 1, the last: there to the last bit.

    Returns
    -------
    ndarray of shape (n_curves, n_fractions, n_features)
        Points on the polylines.
    """
    fractions = np.asarray(fractions, dtype=np.float64)
    fractions = np.broadcast_to(fractions, (len(curves), fractions.shape[-1]))
    points = np.empty((*fractions.shape, curves[0].shape[1] if len(curves) else 0))
    for p, (curve, fraction) in enumerate(zip(curves, fractions, strict=True)):
        position, length = lengths.along(p)
        at = np.interp(fraction * length[-1], length, position)
        before = np.minimum(at.astype(int), max(len(curve) - 2, 0))
        after = np.minimum(before + 1, len(curve) - 1)
        t = (at - before)[:, None]
        points[p] = (1 - t) * curve[before] + t * curve[after]
    return points


def resampled(curves, lengths, n_nodes):
    """Polylines of the same number of nodes at constant speed in the metric.

    Parameters
    ----------
    curves : sequence of ndarray of shape (n_vertices, n_features)
        The polylines.
    lengths : ArcLengths
        Along them.
    n_nodes : int
        Number of nodes, with both ends.

    Returns
    -------
    ndarray of shape (n_curves, n_nodes, n_features)
        Nodes on the polylines, equally far from each other along them.
    """
    return points_at(curves, lengths, np.linspace(0.0, 1.0, n_nodes))


def relax(
    starts,
    log_density,
    log_density_gradient,
    metric,
    *,
    n_nodes=64,
    quad_tol=1e-3,
    tol=1e-6,
    max_steps=300,
    n_jobs=None,
    rivals=None,
    each=False,
):
    """Shorten curves between fixed ends towards geodesics.

    Parameters
    ----------
    starts : sequence of ndarray of shape (n_vertices, n_features)
        A polyline for each curve wanted, of one vertex or more; its ends stay.
    log_density : callable
        Points of shape (n, n_features) -> log p of shape (n,).
    log_density_gradient : callable
        Points of shape (n, n_features) -> log p of shape (n,) and its gradient of
        shape (n, n_features). Called once a step, on the nodes of those curves of a
        batch that have not converged; by several threads where `n_jobs` asks for them.
    metric : Metric
        λ, log p0 and the exponent.
    n_nodes : int, default=64
        Number of nodes of a relaxed curve, with both ends.
    quad_tol : float, default=1e-3
        Relative tolerance of the length of a segment.
    tol : float, default=1e-6
        A curve has converged when a step would shorten it by no more than about half
        this share of its length.
    max_steps : int, default=300
        Steps after which a curve is left as it is.
    n_jobs : None or int
        As in scikit-learn; no part of the result.
    rivals : ndarray of int of shape (n_curves,), optional
        Curves of the same number have the same ends, and only the shortest is wanted.
        The length is measured of the one that has the least energy, the first of
        equals; the others are left as their starts. The first takes the place of one
        whose start is infinitely long.
    each : bool, default=False
        Whether all rivals are wanted, and not the shortest alone.

    Returns
    -------
    Relaxation
        No curve is longer than its start. It is the nearest valley's geodesic: another
        start may lead to a shorter one.

    Raises
    ------
    ValueError
        Where the metric is degenerate on a start, of rivals on the first, or a gradient
        is not finite.
    """
    rule = log_density, metric, quad_tol, n_jobs
    rivals = np.arange(len(starts)) if rivals is None else rivals
    _, first, contest = np.unique(rivals, return_index=True, return_inverse=True)
    starts, before = _finite(starts, first[contest], *rule)
    contest = np.arange(len(starts)) if each else contest
    nodes = resampled(starts, before, n_nodes)
    found = descended(nodes, log_density_gradient, metric, tol, max_steps, n_jobs)
    best = _winners(found.log_energy, contest, tol)
    after, _, _ = _measured(found.nodes[best], *rule)
    shorter = np.flatnonzero(after.totals < before.totals[best])
    curves = starts.copy()
    for p in best[shorter]:
        curves[p] = found.nodes[p]
    no_longer = after.totals[contest] <= before.totals * (1 + quad_tol)
    coarse = _is_coarse(found.log_energy[best], after.totals, quad_tol)
    return Relaxation(
        curves,
        _replaced(before, best[shorter], after.take(shorter)),
        before.totals,
        found.converged[best][contest] & no_longer,
        coarse[contest],
        found.nodes,
        found.n_steps,
        before.n_evaluations + found.n_gradients + after.n_evaluations,
        found.n_gradients,
    )


def relax_finely(
    starts, *rule, n_nodes=64, rivals=None, n_doublings=3, quad_tol=1e-3, **options
):
    """Relax with as many nodes as it takes, the more if they have led astray.

    Parameters
    ----------
    starts : sequence of ndarray of shape (n_vertices, n_features)
        As of `relax`.
    *rule : tuple
        The log density, its gradient and the metric, as of `relax`.
    n_nodes : int, default=64
        Nodes to begin with.
    rivals : ndarray of int of shape (n_curves,), optional
        As of `relax`.
    n_doublings : int, default=3
        So many times the nodes of a curve are doubled at most, as long as they are too
        few, and it has not converged or that shortens it by more than `quad_tol`.
    quad_tol : float, default=1e-3
        As of `relax`.
    **options : dict
        What else `relax` takes.

    Returns
    -------
    Relaxation
        A curve that the last doubling has shortened by more has not converged.
    """
    options["quad_tol"] = quad_tol
    rivals = np.arange(len(starts)) if rivals is None else rivals
    relaxed = relax(starts, *rule, n_nodes=n_nodes, rivals=rivals, **options)
    rows = np.flatnonzero(relaxed.coarse)
    nodes = relaxed.nodes[rows]
    for _ in range(n_doublings):
        if len(rows) == 0:
            break
        n_nodes *= 2
        # Too few nodes may lead astray: from the shortest curve and the start, too.
        known = [of[p] for of in (relaxed.curves, starts) for p in rows]
        again = {"n_nodes": n_nodes, "rivals": np.tile(np.arange(len(rows)), 3)}
        finer = relax(known + list(nodes), *rule, **again, each=True, **options)
        finer = _shortest_of(finer, len(rows))
        before = _least(relaxed.lengths.totals[rows], rivals[rows])
        relaxed = _with_finer(relaxed, rows, finer)
        after = _least(relaxed.lengths.totals[rows], rivals[rows])
        helps = after < before * (1 - quad_tol)
        going = finer.coarse & (helps | ~finer.converged)
        rows, nodes = rows[going], finer.nodes[going]
    relaxed.converged[rows] = False
    return relaxed


def _shortest_of(relaxed, n):
    """Of curves that come again after every n, the first of the shortest of each."""
    lengths = relaxed.lengths.totals.reshape(-1, n)
    k = np.arange(n) + n * lengths.argmin(axis=0)
    return relaxed._replace(
        curves=[relaxed.curves[p] for p in k],
        lengths=relaxed.lengths.take(k),
        start_lengths=relaxed.start_lengths[k],
        converged=relaxed.converged[k],
        coarse=relaxed.coarse[k],
        nodes=relaxed.nodes[k],
        n_steps=relaxed.n_steps[k],
    )


def _least(lengths, rivals):
    """The least length among the rivals of each curve."""
    _, contest = np.unique(rivals, return_inverse=True)
    least = np.full(contest.max(initial=-1) + 1, np.inf)
    np.minimum.at(least, contest, lengths)
    return least[contest]


def _is_coarse(log_energy, length, quad_tol):
    """Whether nodes are too few: the energy of a curve tells another length."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs(log_energy / 2 - np.log(length))
    # That of straight segments is not evaluated, and what is infinite stays so.
    return np.isfinite(gap) & (gap > COARSE * quad_tol)


def _with_finer(relaxed, rows, finer):
    """Relaxed curves, of those named the finer ones where they are shorter."""
    shorter = np.flatnonzero(finer.lengths.totals < relaxed.lengths.totals[rows])
    curves, taken = relaxed.curves, rows[shorter]
    for p, k in zip(taken, shorter, strict=True):
        curves[p] = finer.curves[k]
    converged, n_steps = relaxed.converged.copy(), relaxed.n_steps.copy()
    converged[rows] = finer.converged
    n_steps[rows] += finer.n_steps
    return relaxed._replace(
        curves=curves,
        lengths=_replaced(relaxed.lengths, taken, finer.lengths.take(shorter)),
        converged=converged,
        n_steps=n_steps,
        n_evaluations=relaxed.n_evaluations + finer.n_evaluations,
        n_gradients=relaxed.n_gradients + finer.n_gradients,
    )


def _finite(starts, first, log_density, metric, quad_tol, n_jobs):
    """Starts, the first of their rivals in place of infinite ones; lengths of all."""
    rule = log_density, metric, quad_tol, n_jobs
    lengths, log_ratio, curve = _measured(starts, *rule)
    needed = first[curve] == curve
    check_log_cost(log_ratio[needed], lam=metric.lam, exponent=metric.exponent)
    source = np.where(np.isfinite(lengths.totals), np.arange(len(starts)), first)
    return [starts[p] for p in source], lengths.take(source)


def _winners(log_energy, contest, tol):
    """The first of each contest whose energy is the least, to the tolerance."""
    least = np.full(contest.max(initial=-1) + 1, np.inf)
    # Nothing is known of an energy that leaves the range of floating point.
    log_energy = np.where(np.isnan(log_energy), np.inf, log_energy)
    np.minimum.at(least, contest, log_energy)
    near = np.flatnonzero(log_energy <= least[contest] + tol)
    return near[np.unique(contest[near], return_index=True)[1]]


def _replaced(lengths, curves, others):
    """Arc lengths of all curves, those of the curves named being the others."""
    n_entries, n_curves = lengths.indptr[-1], len(lengths.indptr) - 1
    both = ArcLengths(
        np.append(lengths.indptr, n_entries + others.indptr[1:]),
        np.concatenate([lengths.position, others.position]),
        np.concatenate([lengths.length, others.length]),
        lengths.n_evaluations + others.n_evaluations,
    )
    source = np.arange(n_curves)
    source[curves] = n_curves + np.arange(len(curves))
    return both.take(source)


def _measured(curves, log_density, metric, quad_tol, n_jobs):
    """Arc lengths, NaN where they are infinite; log p - log p0 and on which curve."""
    if len(curves) == 0:
        none, indptr = np.empty((3, 0)), np.zeros(1, dtype=int)
        return ArcLengths(indptr, *none[:2], 0), none[2], none[2].astype(int)
    vertices, place, count = _divided(curves)
    stop = np.cumsum(count)
    i = np.delete(np.arange(len(vertices)), stop - 1)
    profile, cost = _profiled(vertices, i, log_density, metric, quad_tol, n_jobs)
    log_ratio = profile.log_density - metric.log_p0
    # What begins a segment ends the one before, or is the start of the curve.
    fresh = np.delete(np.arange(len(log_ratio)), profile.indptr[:-1])
    share = _shares(profile, log_ratio, cost, metric)[fresh]
    before = np.repeat(i, np.diff(profile.indptr))[fresh]
    t = profile.position[fresh]
    position = (1 - t) * place[before] + t * place[before + 1]
    of_segment = np.searchsorted(stop, i, side="right")
    of_node = np.repeat(of_segment, np.diff(profile.indptr))
    curve = of_node[fresh]
    first = np.searchsorted(curve, np.arange(len(count)))
    length = [np.cumsum([0.0, *part]) for part in np.split(share, first[1:])]
    lengths = ArcLengths(
        np.append(first, len(curve)) + np.arange(len(count) + 1),
        np.insert(position, first, 0.0),
        np.concatenate(length),
        profile.n_evaluations,
    )
    return lengths, log_ratio, of_node


def _divided(curves):
    """Vertices of all curves and their positions, with long segments cut into pieces.

    Every curve has at least MIN_PIECES: the quadrature is made for segments along which
    the density does not rise and fall many times.
    """
    points, places = [], []
    for curve in curves:
        length = np.linalg.norm(np.diff(curve, axis=0), axis=1)
        share = length / max(length.sum(), np.finfo(float).tiny)
        pieces = np.maximum(np.ceil(MIN_PIECES * share), 1).astype(int)
        k = np.repeat(np.arange(len(pieces)), pieces)
        t = np.arange(len(k)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        t = (t / pieces[k])[:, None]
        points += [(1 - t) * curve[k] + t * curve[k + 1], curve[-1:]]
        places.append(np.append(k + t[:, 0], len(curve) - 1))
    return np.concatenate(points), np.concatenate(places), [len(p) for p in places]


def _profiled(vertices, i, log_density, metric, quad_tol, n_jobs):
    """Log density along the segments after the vertices i, and their costs."""
    length = segment_lengths(vertices, i, vertices, i + 1)
    if np.isinf(metric.lam):
        t, flat = np.tile([0.0, 1.0], len(i)), np.full(2 * len(i), metric.log_p0)
        indptr = 2 * np.arange(len(i) + 1)
        return EdgeProfile(indptr, t, flat, np.zeros(len(i)), 0), length
    log_p = log_density(vertices)
    segments = Segments(vertices, i, vertices, i + 1, log_p, log_p)
    profile = profile_edges(
        segments, length, log_density, [metric], tol=quad_tol, n_jobs=n_jobs
    )
    n_evaluations = len(vertices) + profile.n_evaluations
    cost = edge_costs(profile, length, metric, n_jobs=n_jobs)
    return profile._replace(n_evaluations=n_evaluations), cost


def _shares(profile, log_ratio, cost, metric):
    """Length from the node before to each node: trapezia that add up to the cost."""
    if len(cost) == 0:
        return np.empty(0)
    first, edge = (
        profile.indptr[:-1],
        np.repeat(np.arange(len(cost)), np.diff(profile.indptr)),
    )
    log_c = log_cost(log_ratio, lam=metric.lam, exponent=metric.exponent)
    with np.errstate(invalid="ignore"):
        c = np.exp(log_c - np.maximum.reduceat(log_c, first)[edge])
        share = np.diff(profile.position, prepend=0) * (c + np.roll(c, 1)) / 2
        share[first] = 0
        return share * (cost / np.add.reduceat(share, first))[edge]
