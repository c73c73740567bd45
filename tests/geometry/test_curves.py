import numpy as np
import pytest

from skgengeo.geometry import _descent
from skgengeo.geometry._curves import (
    arc_lengths,
    curve_lengths,
    points_at,
    relax,
    relax_finely,
    resampled,
)
from skgengeo.geometry._quadrature import Metric

from .. import _oracles as oracles
from .._densities import Counting

LAMS = (1.0, 0.1, 0.01)
TOL = 1e-3


class Mixture:
    """Round Gaussians, with the gradient of log p."""

    def __init__(self, centers, scales, weights=None):
        self.centers = np.asarray(centers, dtype=float)
        self.scales = np.broadcast_to(scales, len(self.centers))
        weights = np.ones(len(self.centers)) if weights is None else weights
        self.log_heights = np.log(weights / np.sum(weights)) - self.centers.shape[
            1
        ] * np.log(self.scales)

    def log_density(self, X):
        return self.gradient(X)[0]

    def gradient(self, X):
        ahead = (self.centers - X[:, None]) / self.scales[:, None]
        terms = self.log_heights - (ahead**2).sum(axis=2) / 2
        top = terms.max(axis=1, keepdims=True)
        share = np.exp(terms - top)
        total = share.sum(axis=1, keepdims=True)
        pull = ahead / self.scales[:, None]
        slope = np.einsum("nk,nki->ni", share / total, pull)
        return (top + np.log(total))[:, 0], slope

    def sample(self, n, seed=0):
        rng = np.random.default_rng(seed)
        home = rng.integers(len(self.centers), size=n)
        noise = rng.normal(size=(n, self.centers.shape[1]))
        return self.centers[home] + self.scales[home, None] * noise

    def metric(self, lam, exponent=1.0):
        log_p0 = np.median(self.log_density(self.sample(300)))
        return Metric(lam, float(log_p0), exponent)

    def relax(self, starts, metric, **options):
        return relax(starts, self.log_density, self.gradient, metric, **options)


def random_mixture(seed, d=2, scale=1.0):
    rng = np.random.default_rng(seed)
    centers = 2 * rng.normal(size=(6, d))
    scales, weights = rng.uniform(0.4, 1.0, (2, 6))
    return Mixture(centers, scale * scales, weights)


def ring():
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return Mixture(1.5 * np.column_stack([np.cos(angle), np.sin(angle)]), 0.3)


def walks(mixture, n_curves, seed=1):
    """Rough polylines of 2 to 12 samples each, as graph paths are, but rougher."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 13, n_curves)
    X = mixture.sample(sizes.sum(), seed)
    return np.split(X, np.cumsum(sizes)[:-1])


def segments(ends):
    return list(np.asarray(ends, dtype=float))


def flat(X):
    return np.zeros(len(X)), np.zeros(X.shape)


def flat_density(X):
    return np.zeros(len(X))


# Length


def slow_length(log_density, curve, metric):
    return oracles.segment_costs(log_density, curve[:-1], curve[1:], metric).sum()


@pytest.mark.parametrize("lam", [np.inf, *LAMS, 0.0])
def test_length_is_the_sum_of_the_segments(lam):
    mixture = random_mixture(0)
    metric, curves = mixture.metric(lam), walks(mixture, 20)
    found = curve_lengths(curves, mixture.log_density, metric, quad_tol=TOL)
    if lam == np.inf:
        exact = [np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in curves]
    else:
        exact = [slow_length(mixture.log_density, c, metric) for c in curves]
    np.testing.assert_allclose(found, exact, rtol=TOL)


@pytest.mark.parametrize("lam", LAMS)
def test_long_segments_across_many_modes_are_measured(lam):
    mixture = ring()
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, 40))
    start, end = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=2)
    found = curve_lengths(
        segments(np.stack([start, end], axis=1)),
        mixture.log_density,
        mixture.metric(lam),
        quad_tol=TOL,
    )
    exact = oracles.segment_costs(
        mixture.log_density, start, end, mixture.metric(lam), 2049
    )
    np.testing.assert_allclose(found, exact, rtol=TOL)


def test_length_grows_from_zero_and_meets_every_vertex():
    mixture = random_mixture(1)
    curves = walks(mixture, 20)
    lengths = arc_lengths(curves, mixture.log_density, mixture.metric(0.1))
    assert len(lengths.indptr) == len(curves) + 1
    assert lengths.indptr[-1] == len(lengths.position) == len(lengths.length)
    for p, curve in enumerate(curves):
        position, length = lengths.along(p)
        assert length[0] == position[0] == 0
        assert (np.diff(length) > 0).all()
        assert (np.diff(position) > 0).all()
        assert set(range(len(curve))) <= set(position)
        assert lengths.totals[p] == length[-1]


def test_evaluations_of_lengths_are_counted():
    mixture = random_mixture(1)
    counting = Counting(mixture.log_density)
    found = arc_lengths(walks(mixture, 20), counting, mixture.metric(0.1))
    assert found.n_evaluations == counting.n_points


@pytest.mark.parametrize("lam", [np.inf, 0.1, 0.0])
def test_length_of_points_and_duplicates(lam):
    mixture = random_mixture(0)
    x, y = mixture.sample(2)
    curves = [x[None], np.array([x, x]), np.array([x, y]), np.array([x, x, y, y, y])]
    metric = mixture.metric(lam)
    found = curve_lengths(curves, mixture.log_density, metric)
    assert (found[:2] == 0).all()
    assert found[3] == found[2] > 0
    assert curve_lengths(curves[:1], mixture.log_density, metric).tolist() == [0]
    assert curve_lengths([], mixture.log_density, metric).shape == (0,)


def test_degenerate_metrics_are_refused():
    def log_density(X):
        return np.where(X[:, 0] < 0.5, 0.0, -np.inf)

    curve = [np.array([[0.0], [1.0]])]
    with pytest.raises(ValueError, match="lam=0 with a density that is zero"):
        arc_lengths(curve, log_density, Metric(0.0, 0.0))
    with pytest.raises(ValueError, match="The metric is degenerate"):
        arc_lengths(curve, lambda X: -1e4 * X[:, 0], Metric(0.0, 0.0))


# Points along


@pytest.mark.parametrize("lam", [np.inf, 1.0, 0.01])
def test_resampled_nodes_are_equally_far_from_each_other(lam):
    mixture = random_mixture(2)
    metric, curves = mixture.metric(lam), walks(mixture, 15)
    lengths = arc_lengths(curves, mixture.log_density, metric)
    fractions = np.linspace(0, 1, 9)
    nodes = resampled(curves, lengths, 9)
    for p, curve in enumerate(curves):
        for k in range(1, 9):
            # As far as node k: the vertices before it, and node k itself.
            position, length = lengths.along(p)
            total = lengths.totals[p]
            at = np.interp(fractions[k] * total, length, position)
            part = np.vstack([curve[: int(np.ceil(at))], nodes[p, k]])
            found = curve_lengths([part], mixture.log_density, metric)[0]
            assert found == pytest.approx(fractions[k] * total, abs=0.01 * total)


def test_ends_are_those_of_the_curve_to_the_last_bit():
    mixture = random_mixture(3)
    curves = walks(mixture, 30)
    lengths = arc_lengths(curves, mixture.log_density, mixture.metric(0.01))
    nodes = resampled(curves, lengths, 5)
    assert (nodes[:, 0] == [curve[0] for curve in curves]).all()
    assert (nodes[:, -1] == [curve[-1] for curve in curves]).all()


def test_points_lie_on_the_curve_where_asked():
    curves = [np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 3.0]])]
    lengths = arc_lengths(curves, flat_density, Metric(1.0, 0.0))
    found = points_at(curves, lengths, np.array([[0.0, 0.125, 0.25, 0.5, 1.0]]))[0]
    expected = [[0, 0], [0.5, 0], [1, 0], [1, 1], [1, 3]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    point = [np.array([[2.0, 3.0]])]
    lengths = arc_lengths(point, flat_density, Metric(1.0, 0.0))
    assert (resampled(point, lengths, 4) == [2.0, 3.0]).all()


# Relaxation: exact distances


@pytest.mark.parametrize("lam", [10.0, *LAMS, 0.0])
def test_on_a_line(lam):
    """There is one curve only, and its length the integral of the cost."""
    mixture = Mixture([[-1.0], [1.5]], [0.7, 0.5])
    metric = mixture.metric(lam)
    x = np.sort(mixture.sample(8)[:, 0])

    def cost(t):
        log_ratio = mixture.log_density(t.reshape(-1, 1)) - metric.log_p0
        return oracles.cost_of(log_ratio, lam).reshape(t.shape)

    i, j = np.triu_indices(len(x), 1)
    starts = segments(np.stack([x[i], x[j]], axis=1)[:, :, None])
    found = mixture.relax(starts, metric, quad_tol=1e-4)
    np.testing.assert_allclose(
        found.lengths.totals, oracles.line_distances(cost, x)[i, j], rtol=1e-4
    )
    assert found.converged.all()


def around_a_gaussian(d, lam, n_pairs=12):
    """Pairs of samples, temperature d, and their exact distances."""
    mixture = Mixture(np.zeros((1, d)), np.sqrt(d))
    X = mixture.sample(2 * n_pairs) / np.sqrt(d) * 1.2
    metric = Metric(lam, float(np.median(mixture.log_density(X))))
    peak = mixture.log_density(np.zeros((1, d)))[0]

    def cost(r):
        return oracles.cost_of(peak - r**2 / (2 * d) - metric.log_p0, lam)

    def distance(x, y):
        r1, r2 = np.linalg.norm(x), np.linalg.norm(y)
        angle = np.arccos(x @ y / (r1 * r2))
        return oracles.radial_distance(cost, r1, r2, angle)

    pairs = X.reshape(n_pairs, 2, d)
    return mixture, metric, pairs, np.array([distance(*pair) for pair in pairs])


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("d", [2, 10, 50])
def test_around_a_gaussian(d, lam):
    mixture, metric, pairs, exact = around_a_gaussian(d, lam)
    found = mixture.relax(segments(pairs), metric, n_nodes=32)
    assert found.converged.all()
    np.testing.assert_allclose(found.lengths.totals, exact, rtol=5e-3)
    assert (found.lengths.totals >= exact * (1 - TOL)).all()
    straight = curve_lengths(segments(pairs), mixture.log_density, metric)
    assert (straight / exact).max() > 1.005


@pytest.mark.parametrize("lam", [1.0, 0.01])
def test_finer_curves_are_nearer_to_the_geodesic(lam):
    mixture, metric, pairs, exact = around_a_gaussian(2, lam)
    excess = [
        mixture.relax(segments(pairs), metric, n_nodes=n, quad_tol=1e-6).lengths.totals
        / exact
        - 1
        for n in (5, 9, 17, 33)
    ]
    worst = np.max(excess, axis=1)
    # Of second order: a quarter with half the spacing.
    assert (worst[1:] < worst[:-1] / 2.5).all()
    assert (np.array(excess) > -1e-6).all()


def test_every_segment_of_a_relaxed_curve_is_as_long():
    mixture = ring()
    metric = mixture.metric(0.1)
    found = mixture.relax(walks(mixture, 20), metric)
    for curve in found.curves:
        assert len(curve) == 64
        parts = curve_lengths(
            segments(np.stack([curve[:-1], curve[1:]], axis=1)),
            mixture.log_density,
            metric,
        )
        np.testing.assert_allclose(parts, parts.mean(), rtol=0.05)


# Relaxation: laws


@pytest.mark.parametrize("lam", [*LAMS, 0.0])
@pytest.mark.parametrize(("d", "n_nodes"), [(1, 8), (2, 4), (2, 48), (5, 16)])
@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_never_longer_than_the_start(d, n_nodes, lam, exponent):
    for seed in range(3):
        mixture = random_mixture(seed, d)
        metric, starts = mixture.metric(lam, exponent), walks(mixture, 12, seed)
        before = curve_lengths(starts, mixture.log_density, metric)
        found = mixture.relax(starts, metric, n_nodes=n_nodes)
        after = curve_lengths(found.curves, mixture.log_density, metric)
        assert (found.lengths.totals <= before).all()
        np.testing.assert_array_equal(found.lengths.totals, after)
        for start, curve in zip(starts, found.curves, strict=True):
            assert (curve[0] == start[0]).all()
            assert (curve[-1] == start[-1]).all()


def fine_arc():
    angle = np.linspace(0, 2.0, 200)
    return 1.5 * np.column_stack([np.cos(angle), np.sin(angle)])


def test_where_nothing_is_shorter_the_start_is_kept():
    """A start finer than the curves asked for, and shorter."""
    mixture = ring()
    metric = mixture.metric(0.01)
    starts = [fine_arc()]
    found = mixture.relax(starts, metric, n_nodes=3)
    assert found.curves[0] is starts[0]
    assert not found.converged[0]
    before = curve_lengths(starts, mixture.log_density, metric)
    assert found.lengths.totals == before
    assert mixture.relax(starts, metric).lengths.totals < before


@pytest.mark.parametrize("lam", LAMS)
def test_nothing_nearby_is_shorter(lam):
    """Any smooth small bend of a relaxed curve makes it longer."""
    mixture = ring()
    metric = mixture.metric(lam)
    found = mixture.relax(walks(mixture, 6), metric, tol=1e-10, quad_tol=1e-6)
    t = np.linspace(0, np.pi, 64)[:, None]
    rng = np.random.default_rng(0)
    for curve, length in zip(found.curves, found.lengths.totals, strict=True):
        waves = [np.sin(k * t) * rng.normal(size=2) for k in (1, 2, 3, 5)]
        bent = [curve + 0.03 * length * sign * w for w in waves for sign in (-1, 1)]
        assert (curve_lengths(bent, mixture.log_density, metric) > length).all()


def test_curves_do_not_depend_on_each_other():
    mixture = random_mixture(0)
    metric, starts = mixture.metric(0.01), walks(mixture, 10)
    together = mixture.relax(starts, metric)
    for p, start in enumerate(starts):
        alone = mixture.relax([start], metric)
        np.testing.assert_allclose(alone.curves[0], together.curves[p], rtol=1e-9)
        assert alone.n_steps == together.n_steps[p]
        assert alone.converged == together.converged[p]


def test_batches_of_curves_change_nothing(monkeypatch):
    mixture = random_mixture(0)
    metric, starts = mixture.metric(0.1), walks(mixture, 10)
    expected = mixture.relax(starts, metric)

    def by_three(n_rows, *, row_bytes=None, size=None):
        del row_bytes, size
        return [slice(k, min(k + 3, n_rows)) for k in range(0, n_rows, 3)]

    monkeypatch.setattr(_descent, "row_batches", by_three)
    found = mixture.relax(starts, metric)
    np.testing.assert_allclose(found.curves, expected.curves, rtol=1e-9)
    assert found.n_gradients == expected.n_gradients


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("d", [2, 5])
def test_the_number_of_steps_does_not_grow_with_the_nodes(d, lam):
    mixture = random_mixture(0, d, scale=2.0)
    metric = mixture.metric(lam)
    # Starts that 16 nodes can follow.
    starts = segments(mixture.sample(60).reshape(20, 3, d))
    coarse, *finer = (
        mixture.relax(starts, metric, n_nodes=n, max_steps=500) for n in (16, 64, 256)
    )
    assert coarse.converged.all()
    for fine in finer:
        assert fine.converged.all()
        assert fine.n_steps.mean() <= 1.25 * coarse.n_steps.mean() + 1


def test_evaluations_are_counted():
    mixture = random_mixture(0)
    density, gradient = Counting(mixture.log_density), Counting(mixture.gradient)
    found = relax(walks(mixture, 10), density, gradient, mixture.metric(0.1))
    assert found.n_gradients == gradient.n_points
    assert found.n_evaluations == density.n_points + gradient.n_points
    # One call a step, of all curves that are not finished.
    assert len(gradient.seen) == found.n_steps.max() + 1
    assert found.n_gradients == 10 * 64 + 62 * found.n_steps.sum()


def test_lengths_along_the_curves_are_those_of_the_curves():
    mixture = ring()
    metric, starts = mixture.metric(0.01), [*walks(mixture, 5), fine_arc()]
    found = mixture.relax(starts, metric, n_nodes=3)
    kept = [any(c is s for s in starts) for c in found.curves]
    assert 0 < sum(kept) < 6
    expected = arc_lengths(found.curves, mixture.log_density, metric)
    np.testing.assert_array_equal(found.lengths.indptr, expected.indptr)
    np.testing.assert_allclose(found.lengths.position, expected.position)
    np.testing.assert_allclose(found.lengths.length, expected.length)


def test_no_curves():
    mixture = ring()
    found = mixture.relax([], mixture.metric(0.1))
    assert found.curves == []
    assert found.lengths.totals.shape == found.converged.shape == (0,)


def test_what_has_not_converged_says_so():
    mixture = ring()
    metric, starts = mixture.metric(0.01), walks(mixture, 10)
    found = mixture.relax(starts, metric, max_steps=1)
    assert (found.n_steps == 1).all()
    assert not found.converged.any()
    assert mixture.relax(starts, metric).converged.all()


# Relaxation: limits


def test_flat_densities_have_straight_geodesics():
    starts = walks(random_mixture(0), 10)
    found = relax(starts, flat_density, flat, Metric(0.1, 0.0))
    straight = [np.linalg.norm(start[-1] - start[0]) for start in starts]
    np.testing.assert_allclose(found.lengths.totals, straight, rtol=1e-6)
    assert found.converged.all()


def test_more_nodes_where_a_rival_is_infinitely_long():
    """Through a hole of the support at lam=0: the other start stands for it."""

    def ring(X):
        radius = np.linalg.norm(X, axis=1)
        log_p = np.where(radius > 0.3, -((radius - 1) ** 2) / 0.02, -np.inf)
        return log_p, -100 * (1 - 1 / np.maximum(radius, 0.1))[:, None] * X

    angle = np.linspace(0, np.pi, 12)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = relax_finely(
        [around, around[[0, -1]]],
        lambda X: ring(X)[0],
        ring,
        Metric(0.0, 0.0),
        n_nodes=5,
        rivals=np.zeros(2, dtype=int),
    )
    assert found.coarse.any()
    assert (found.lengths.totals <= found.start_lengths).all()
    assert found.lengths.totals.min() == pytest.approx(np.pi, rel=0.02)


def test_infinite_lam_is_euclidean_without_any_evaluation():
    def unused(X):
        raise AssertionError

    starts = walks(random_mixture(0), 10)
    found = relax(starts, unused, unused, Metric(np.inf, 0.0))
    straight = [np.linalg.norm(start[-1] - start[0]) for start in starts]
    np.testing.assert_allclose(found.lengths.totals, straight, rtol=1e-12)
    assert found.n_evaluations == 0
    assert found.converged.all()


@pytest.mark.parametrize("lam", [np.inf, 0.1, 0.0])
def test_points_have_no_distance_from_themselves(lam):
    mixture = random_mixture(0)
    x, y = mixture.sample(2)
    starts = [x[None], np.array([x, x]), np.array([x, y, x])]
    found = mixture.relax(starts, mixture.metric(lam))
    assert (found.lengths.totals == 0).all()
    assert found.converged.all()
    assert all((curve == x).all() for curve in found.curves)


def test_two_nodes_are_a_segment():
    mixture = random_mixture(0)
    metric, starts = mixture.metric(0.1), walks(mixture, 10)
    found = mixture.relax(starts, metric, n_nodes=2)
    direct = [start[[0, -1]] for start in starts]
    straight = curve_lengths(direct, mixture.log_density, metric)
    before = curve_lengths(starts, mixture.log_density, metric)
    np.testing.assert_array_equal(found.lengths.totals, np.minimum(straight, before))


def test_duplicate_vertices_change_nothing():
    mixture = random_mixture(0)
    metric, starts = mixture.metric(0.1), walks(mixture, 10)
    expected = mixture.relax(starts, metric)
    found = mixture.relax([np.repeat(s, 3, axis=0) for s in starts], metric)
    np.testing.assert_allclose(found.lengths.totals, expected.lengths.totals, rtol=1e-6)


def half_plane(gradient_outside):
    """A normal density that is zero where y < 0."""

    def gradient(X):
        outside = X[:, 1] < 0
        log_p = np.where(outside, -np.inf, -(X**2).sum(axis=1) / 2)
        return log_p, np.where(outside[:, None], gradient_outside, -X)

    return gradient


@pytest.mark.parametrize("gradient_outside", [0.0, np.nan])
def test_outside_the_support(gradient_outside):
    gradient = half_plane(gradient_outside)
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=(5, 2)) for _ in range(10)]
    starts.append(np.array([[-1.0, -2.0], [0.0, -1.0], [1.0, -2.0]]))
    found = relax(starts, lambda X: gradient(X)[0], gradient, Metric(0.1, -1.0))
    before = curve_lengths(starts, lambda X: gradient(X)[0], Metric(0.1, -1.0))
    assert (found.lengths.totals <= before).all()
    assert found.lengths.totals[-1] == pytest.approx(2 * 11)
    assert found.converged[-1]


def test_without_lam_curves_stay_inside_the_support():
    gradient = half_plane(0.0)
    rng = np.random.default_rng(0)
    starts = [np.abs(rng.normal(size=(5, 2))) for _ in range(10)]
    found = relax(starts, lambda X: gradient(X)[0], gradient, Metric(0.0, -1.0))
    assert np.isfinite(found.lengths.totals).all()
    assert all((curve[:, 1] >= 0).all() for curve in found.curves)


def test_gradients_that_are_not_finite_are_refused():
    def gradient(X):
        return flat_density(X), np.full(X.shape, np.nan)

    with pytest.raises(ValueError, match="gradient of the log density is not finite"):
        relax([np.eye(2)], flat_density, gradient, Metric(0.1, 0.0))


@pytest.mark.parametrize("offset", [-1e4, 1e4])
def test_an_offset_of_the_log_density_changes_nothing(offset):
    mixture = random_mixture(0)
    metric, starts = mixture.metric(0.1), walks(mixture, 5)

    def gradient(X):
        log_p, slope = mixture.gradient(X)
        return log_p + offset, slope

    moved = metric._replace(log_p0=metric.log_p0 + offset)
    found = relax(starts, lambda X: gradient(X)[0], gradient, moved)
    expected = mixture.relax(starts, metric)
    np.testing.assert_allclose(found.lengths.totals, expected.lengths.totals, rtol=1e-6)


@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])
def test_units_change_nothing(scale):
    mixture = random_mixture(0)
    metric, starts = mixture.metric(0.1), walks(mixture, 5)

    def gradient(X):
        log_p, slope = mixture.gradient(X / scale)
        return log_p, slope / scale

    found = relax(
        [scale * s for s in starts], lambda X: gradient(X)[0], gradient, metric
    )
    expected = mixture.relax(starts, metric)
    np.testing.assert_allclose(
        found.lengths.totals / scale, expected.lengths.totals, rtol=1e-6
    )
    np.testing.assert_array_equal(found.n_steps, expected.n_steps)
