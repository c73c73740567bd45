import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import simpson
from scipy.special import logsumexp
from scipy.stats import Covariance, multivariate_normal, ortho_group
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_swiss_roll
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from skgengeo.density import ManifoldParzenWindows, _kernel_sum
from skgengeo.density._parzen import CANDIDATES, LEAST_SHARE, VARIANCE_FLOOR

from .._oracles import pairwise_lengths


def scattered(n=200, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def on_grid(n=200, d=2, seed=0):
    """Samples whose coordinates can be moved by 2 ** 20 without rounding."""
    return np.round(scattered(n, d, seed) * 2**20) / 2**20


def in_a_subspace(n, d, rank, seed=0):
    """Samples of as many features as d that lie in fewer directions, and noise."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d))
    return plane + 0.1 * rng.normal(size=(n, d))


def around(X, seed=1):
    """The samples, points between and about them, and points away from them."""
    rng = np.random.default_rng(seed)
    some = X[rng.integers(len(X), size=(2, 40))]
    spread = X.std(axis=0) + 0.1
    near = some[0] + 0.05 * spread * rng.normal(size=some[0].shape)
    away = X.mean(axis=0) + 4 * spread * rng.normal(size=some[0].shape)
    return np.vstack([X[:60], some.mean(axis=0), near, away])


# The mixture that the attributes describe: dense covariances, all kernels.


def covariances(density):
    v, u, r = density.variances_, density.directions_, density.residual_variances_
    spheres = r[:, None, None] * np.eye(density.n_features_in_)
    return spheres + np.einsum("nj,nja,njb->nab", v - r[:, None], u, u)


def kernel_log_densities(density, Q):
    """Log of what each kernel (row) adds to the density at each point (column)."""
    parts = zip(density.centers_, covariances(density), density.weights_, strict=True)
    rows = []
    for center, covariance, weight in parts:
        kernel = Covariance.from_cholesky(np.linalg.cholesky(covariance))
        rows.append(multivariate_normal(center, kernel).logpdf(Q) + np.log(weight))
    return np.array([np.atleast_1d(row) for row in rows])


# The attributes as their definition has them, sample by sample.


def mean_and_covariance(samples, shrinkage, floor):
    mean = samples.mean(axis=0)
    scatter = (samples - mean).T @ (samples - mean) / (len(samples) - 1)
    d = len(mean)
    sphere = shrinkage * np.trace(scatter) / d + floor
    return mean, (1 - shrinkage) * scatter + sphere * np.eye(d)


def least_variance(X, neighborhoods):
    """What keeps covariances from being singular."""
    traces = [X[rows].var(axis=0, ddof=1).sum() for rows in neighborhoods]
    return VARIANCE_FLOOR * np.mean(traces) / X.shape[1]


def gaussians_of(X, neighborhoods, shrinkage):
    floor = least_variance(X, neighborhoods)
    return [mean_and_covariance(X[rows], shrinkage, floor) for rows in neighborhoods]


def by_definition(X, density):
    """Means, covariances and weights of the kernels."""
    size, shrinkage = density.n_neighbors_ + 1, density.shrinkage_
    balls = [np.argsort(row)[:size] for row in pairwise_lengths(X)]
    ellipsoids = []
    for i, (mean, covariance) in enumerate(gaussians_of(X, balls, shrinkage)):
        near = np.argsort(np.linalg.norm(X - mean, axis=1))[: CANDIDATES * size]
        offsets = X[near] - mean
        squares = (offsets * np.linalg.solve(covariance, offsets.T).T).sum(axis=1)
        others = near[np.argsort(squares)]
        ellipsoids.append([i, *others[others != i][: size - 1]])
    means, shapes = zip(*gaussians_of(X, ellipsoids, shrinkage), strict=True)
    shapes = density.covariance_scale_ * np.array(shapes)
    log_p = np.array(
        [
            multivariate_normal(mean, shape, allow_singular=True).logpdf(X)
            for mean, shape in zip(means, shapes, strict=True)
        ]
    ).reshape(len(X), len(X))
    total = logsumexp(log_p, axis=0)
    np.fill_diagonal(log_p, -np.inf)
    others = np.maximum(logsumexp(log_p, axis=0), total + np.log(LEAST_SHARE))
    spread = max(1.0, stats.median_abs_deviation(others, scale="normal"))
    sparser = np.array(
        [min(others[i] - others[rows].mean(), 0.0) for i, rows in enumerate(balls)]
    )
    sparser = np.maximum(sparser / spread, np.log(LEAST_SHARE))
    weights = np.exp(density.outlier_exponent * sparser)
    return np.array(means), shapes, weights / weights.sum()


def mixture_log_density(density, Q):
    return logsumexp(kernel_log_densities(density, Q), axis=0)


def assert_within_bound(density, Q):
    """What is left out is no more than rtol of what is summed, and never negative."""
    full = mixture_log_density(density, Q)
    left_out = full - density.score_samples(Q)
    # Kernels may be a thousand times as long as wide: dense covariances of condition
    # 1e7 are the less exact, and here exponents of up to 1e7 cancel.
    rounding = 1e-7 + 1e-8 * np.abs(full)
    assert np.all(left_out >= -rounding)
    assert np.all(left_out <= np.log1p(density.rtol) + rounding)
    return left_out


# The density is that mixture

SAMPLES = {
    "a line": (scattered(300, 1), {}),
    "a plane": (scattered(300, 2), {}),
    "swiss roll": (make_swiss_roll(300, noise=0.3, random_state=0)[0], {}),
    "10 features": (scattered(300, 10), {}),
    "20 features": (scattered(200, 20), {}),
    "as many neighbours as features": (scattered(200, 8), {"n_neighbors": 8}),
    "fewer neighbours than features": (scattered(200, 20), {"n_neighbors": 5}),
    "one neighbour": (scattered(100, 3), {"n_neighbors": 1}),
    "all neighbours": (scattered(70, 2), {"n_neighbors": 69}),
    "near a subspace": (in_a_subspace(200, 30, 3), {"n_neighbors": 12}),
    "not shrunk": (scattered(200, 3), {"shrinkage": 0.0}),
    "not shrunk, fewer neighbours": (
        in_a_subspace(200, 10, 2),
        {"n_neighbors": 4, "shrinkage": 0.0},
    ),
    "spheres": (scattered(200, 4), {"shrinkage": 1.0}),
    "a block and one": (scattered(65, 2), {}),
    "two samples": (scattered(2, 3), {}),
    "two samples of a line": (scattered(2, 1), {}),
    "three samples": (scattered(3, 2), {}),
    "three samples of 20 features": (scattered(3, 20), {}),
    "a constant feature": (scattered(100, 3) * [1.0, 0.0, 1.0], {}),
    "small units": (scattered(100, 3) * 1e-100, {}),
    "large units": (scattered(100, 3) * 1e100, {}),
}


@pytest.mark.parametrize(("X", "params"), SAMPLES.values(), ids=SAMPLES)
def test_density_is_the_mixture(X, params):
    assert_within_bound(ManifoldParzenWindows(**params).fit(X), around(X))


def test_many_features():
    X = in_a_subspace(50, 784, 5)
    density = ManifoldParzenWindows().fit(X)
    assert density.directions_.shape == (50, density.n_neighbors_, 784)
    assert_within_bound(density, np.vstack([X[:5], X[:5] + 0.5, 3 * X[:5]]))


# Where neighbourhoods are not a matter of rounding, nor all weight one sample's.
DEFINED = [
    "a plane",
    "swiss roll",
    "10 features",
    "as many neighbours as features",
    "fewer neighbours than features",
    "all neighbours",
    "not shrunk",
    "spheres",
    "a block and one",
]


@pytest.mark.parametrize("name", DEFINED)
def test_kernels_by_definition(name):
    X, params = SAMPLES[name]
    density = ManifoldParzenWindows(**params, rtol=1e-14).fit(X)
    means, shapes, weights = by_definition(X, density)
    np.testing.assert_allclose(density.centers_, means, atol=1e-10)
    np.testing.assert_allclose(covariances(density), shapes, atol=1e-10)
    np.testing.assert_allclose(density.weights_, weights, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("X", "params"), SAMPLES.values(), ids=SAMPLES)
def test_directions_are_orthonormal(X, params):
    u = ManifoldParzenWindows(**params).fit(X).directions_
    orthonormal = np.einsum("nia,nja->nij", u, u)
    np.testing.assert_allclose(
        orthonormal, np.broadcast_to(np.eye(u.shape[1]), orthonormal.shape), atol=1e-12
    )


@pytest.mark.parametrize(("X", "params"), SAMPLES.values(), ids=SAMPLES)
def test_weights_are_a_distribution(X, params):
    weights = ManifoldParzenWindows(**params).fit(X).weights_
    assert weights.sum() == pytest.approx(1.0, rel=1e-12)
    assert weights.min() > 0


def test_no_exponent_gives_equal_weights():
    density = ManifoldParzenWindows(outlier_exponent=0).fit(scattered())
    np.testing.assert_allclose(density.weights_, 1 / 200)


@pytest.mark.parametrize("name", ["a plane", "20 features"])
def test_weights_do_not_depend_on_rtol(name):
    X, _ = SAMPLES[name]
    exact, rough = (ManifoldParzenWindows(rtol=r).fit(X) for r in (1e-14, 0.5))
    np.testing.assert_allclose(rough.weights_, exact.weights_, rtol=1e-6)


@pytest.mark.parametrize("far", [10.0, 1e6])
def test_the_density_at_a_far_sample_is_that_of_its_own_kernel(far):
    X = np.vstack([scattered(200, 2), [[far, 0.0]]])
    density = ManifoldParzenWindows().fit(X)
    # Log of the least weight, and of the peak of a kernel as wide as the gap.
    assert density.score_samples(X)[-1] > -100 - 2 * np.log(far)


def test_a_sample_between_two_sheets_counts_little():
    x = np.linspace(-5, 5, 60)
    sheets = np.vstack([np.column_stack([x, np.full(60, h)]) for h in (0.0, 6.0)])
    X = np.vstack([sheets + 0.3 * scattered(120, 2), [[0.0, 3.0]]])
    weights = ManifoldParzenWindows().fit(X).weights_
    assert weights[-1] < 0.1 * np.median(weights)


def test_the_scale_multiplies_covariances():
    X = scattered()
    wide, narrow = (
        ManifoldParzenWindows(covariance_scale=s).fit(X) for s in (2.0, 0.5)
    )
    np.testing.assert_allclose(covariances(wide), 4 * covariances(narrow))
    np.testing.assert_array_equal(wide.centers_, narrow.centers_)


@pytest.mark.parametrize(
    ("n", "d", "n_neighbors"),
    [
        (2, 1, 1),
        (3, 784, 2),
        (10, 5, 9),
        (16, 3, 12),
        (50, 784, 18),
        (1000, 2, 16),
        (1000, 30, 30),
        (1024, 3, 19),
        (1025, 3, 20),
    ],
)
def test_automatic_choices(n, d, n_neighbors):
    density = ManifoldParzenWindows().fit(scattered(n, d))
    assert density.n_neighbors_ == n_neighbors
    assert density.shrinkage_ == pytest.approx(d / (d + 5 * n_neighbors), rel=1e-15)
    assert density.covariance_scale_ == pytest.approx(max(0.5, 1 - 1.5 / d), rel=1e-15)


def test_automatic_shrinkage_follows_the_neighbors_that_are_passed():
    density = ManifoldParzenWindows(6).fit(scattered(100, 10))
    assert (density.n_neighbors_, density.shrinkage_) == (6, 10 / 40)


# The kernels that are left out


def line_off_the_data(X, n_points):
    """Points on a line that passes the samples by, and leaves them."""
    start, end = X[np.argsort(X[:, 0])[[0, -1]]]
    t = np.linspace(-1.0, 3.0, n_points)
    return start + t[:, None] * (end - start) + 0.5


def test_seams_of_a_fixed_number_of_centers_are_not_there():
    X = scattered(1000, 10)
    density = ManifoldParzenWindows().fit(X)
    Q = line_off_the_data(X, 600)
    parts = kernel_log_densities(density, Q)
    full = logsumexp(parts, axis=0)

    apart = np.linalg.norm(X[:, None] - Q, axis=2)
    nearest = np.argsort(apart, axis=0)[:50]
    of_nearest = logsumexp(np.take_along_axis(parts, nearest, axis=0), axis=0)
    # The line is one on which nearest centres fail.
    assert np.max(full - of_nearest) > 1.0
    assert np.abs(np.diff(of_nearest - full)).max() > 0.1

    found = density.score_samples(Q)
    np.testing.assert_allclose(found, full, rtol=0, atol=1.1e-6)
    assert np.abs(np.diff(found - full)).max() <= 1.1e-6


@pytest.mark.parametrize("rtol", [0.5, 1e-2, 1e-4])
@pytest.mark.parametrize("d", [1, 2, 10])
def test_what_is_left_out_is_bounded(d, rtol):
    X = scattered(1000, d)
    density = ManifoldParzenWindows(rtol=rtol).fit(X)
    Q = np.vstack([X, around(X), line_off_the_data(X, 200)])
    left_out = assert_within_bound(density, Q)
    # Some kernels are left out indeed.
    assert left_out.max() > 1e-8 * rtol


def test_dense_and_thin_samples_together():
    X = np.vstack([scattered(512, 10), 3e3 + 100 * scattered(512, 10, seed=1)])
    density = ManifoldParzenWindows().fit(X)
    # One tile of points, whose densities differ by tens of orders of magnitude.
    Q = np.vstack([X[:16], X[512:528]]) + 0.1
    assert np.ptp(mixture_log_density(density, Q)) > 30
    assert_within_bound(density, Q)


# Far away


@pytest.mark.parametrize(("X", "params"), SAMPLES.values(), ids=SAMPLES)
def test_far_points(X, params):
    density = ManifoldParzenWindows(**params).fit(X)
    widest = max(density.variances_.max(initial=0), density.residual_variances_.max())
    rng = np.random.default_rng(2)
    away = rng.normal(size=(20, X.shape[1]))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    for log_p in (-1e5, -1e10, -1e20):
        Q = X[:20].mean(axis=0) + np.sqrt(-2 * log_p * widest) * away
        found = density.score_samples(Q)
        assert np.all(np.isfinite(found))
        assert np.all(found < 0.5 * log_p)
        np.testing.assert_allclose(found, mixture_log_density(density, Q), rtol=1e-7)


def test_log_density_falls_as_the_square_of_the_distance():
    density = ManifoldParzenWindows().fit(scattered(100, 3))
    distance = np.array([1e50, 1e100, 1e150])
    values = density.score_samples(distance[:, None] * np.ones(3))
    np.testing.assert_allclose(values[1:], values[0] * (distance[1:] / 1e50) ** 2)


def test_beyond_floating_point_the_density_is_zero():
    density = ManifoldParzenWindows().fit(scattered(100, 3))
    far = np.array([[1e160, 0, 0], [1e160, -1e160, 1e160], [1e300, 1e300, -1e300]])
    np.testing.assert_array_equal(density.score_samples(far), -np.inf)
    together = density.score_samples(np.vstack([far, np.zeros((1, 3))]))
    assert np.isfinite(together[-1])


def test_groups_far_apart():
    X = scattered(100, 2)
    apart = np.vstack([X, X + 1e4])
    one = ManifoldParzenWindows(8, shrinkage=0.1, outlier_exponent=0).fit(X)
    two = ManifoldParzenWindows(8, shrinkage=0.1, outlier_exponent=0).fit(apart)
    Q = around(X)
    for shift in (0.0, 1e4):
        np.testing.assert_allclose(
            two.score_samples(Q + shift), one.score_samples(Q) - np.log(2), rtol=1e-6
        )


# Normalised, and what sample draws from


def test_integral_over_a_line():
    density = ManifoldParzenWindows().fit(scattered(80, 1))
    x = np.linspace(-12, 12, 20_001)
    p = np.exp(density.score_samples(x[:, None]))
    assert simpson(p, x=x) == pytest.approx(1.0, abs=2e-6)


@pytest.mark.parametrize("params", [{}, {"n_neighbors": 2, "shrinkage": 0.6}])
def test_integral_over_the_plane(params):
    density = ManifoldParzenWindows(**params).fit(scattered(20, 2) * [1.0, 0.4])
    x, y = np.linspace(-12, 12, 601), np.linspace(-6, 6, 601)
    Q = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    p = np.exp(density.score_samples(Q)).reshape(601, 601)
    # Plain sums of smooth functions that vanish at the ends are exact.
    integral = p.sum() * (x[1] - x[0]) * (y[1] - y[0])
    assert integral == pytest.approx(1.0, abs=2e-6)


SAMPLED = {
    "a line": (scattered(100, 1), {}),
    "swiss roll": (make_swiss_roll(300, noise=0.3, random_state=0)[0], {}),
    "a plane in space": (scattered(100, 4) * [1.0, 1.0, 0.0, 0.0], {}),
    "fewer neighbours than features": (
        scattered(100, 5) * [1.0, 1.0, 0.0, 0.0, 0.0],
        {"n_neighbors": 2, "shrinkage": 0.3},
    ),
    "two samples": (scattered(2, 3), {}),
}


@pytest.fixture(params=SAMPLED.values(), ids=SAMPLED)
def sampled(request):
    """A fitted density, its mean, and axes along which its variance is 1."""
    X, params = request.param
    density = ManifoldParzenWindows(**params).fit(X)
    w = density.weights_
    mean = w @ density.centers_
    spread = np.atleast_2d(np.cov(density.centers_.T, aweights=w, bias=True))
    covariance = spread + np.einsum("n,nab->ab", w, covariances(density))
    variances, axes = np.linalg.eigh(covariance)
    return density, mean, axes / np.sqrt(variances)


def test_moments_of_draws(sampled):
    density, mean, axes = sampled
    d = len(mean)
    drawn = density.sample(20_000, random_state=0)
    assert drawn.shape == (20_000, d)
    standard = (drawn - mean) @ axes
    # Standard errors are of about 0.007, and 0.01 to 0.015.
    np.testing.assert_allclose(standard.mean(axis=0), np.zeros(d), atol=0.03)
    np.testing.assert_allclose(np.atleast_2d(np.cov(standard.T)), np.eye(d), atol=0.06)


def test_draws_follow_the_mixture_along_every_axis(sampled):
    density, _, axes = sampled
    drawn = density.sample(4000, random_state=1)
    for axis in axes.T:
        variance = np.einsum("a,nab,b->n", axis, covariances(density), axis)
        kernel = stats.norm(density.centers_ @ axis, np.sqrt(variance))

        def cdf(t, kernel=kernel):
            return kernel.cdf(t[:, None]) @ density.weights_

        assert stats.kstest(drawn @ axis, cdf).pvalue > 1e-3


def test_likelihood_of_draws():
    # The mean of log p over draws is the integral of p log p.
    density = ManifoldParzenWindows().fit(scattered(80, 1))
    x = np.linspace(-12, 12, 20_001)
    log_p = density.score_samples(x[:, None])
    entropy = -simpson(np.exp(log_p) * log_p, x=x)
    drawn = density.score_samples(density.sample(20_000, random_state=0))
    error = drawn.std() / np.sqrt(len(drawn))
    assert -drawn.mean() == pytest.approx(entropy, abs=4 * error)


def test_draws_are_reproducible():
    density = ManifoldParzenWindows().fit(scattered(50, 3))
    one, two = (density.sample(20, random_state=4) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, density.sample(20, random_state=5))
    np.testing.assert_array_equal(density.sample(20, np.random.RandomState(4)), one)
    assert density.sample().shape == (1, 3)
    assert density.sample(0).shape == (0, 3)


def test_draws_keep_to_working_memory():
    density = ManifoldParzenWindows().fit(scattered(200, 40))
    expected = density.sample(3000, random_state=0)
    tracemalloc.start()
    with config_context(working_memory=1):
        drawn = density.sample(3000, random_state=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(drawn, expected, rtol=1e-12)
    # Some arrays of the size of the result, and a MiB or two.
    assert peak < 6 * drawn.nbytes + 2 * 2**20


# score, and searches by it


def test_score_is_the_mean():
    X, Q = scattered(), scattered(50, seed=1)
    density = ManifoldParzenWindows().fit(X)
    assert density.score(Q) == pytest.approx(density.score_samples(Q).mean())
    assert isinstance(density.score(Q), float)


def test_cross_validation():
    X, folds = scattered(), KFold(4)
    scores = cross_val_score(ManifoldParzenWindows(), X, cv=folds)
    expected = [
        ManifoldParzenWindows().fit(X[train]).score_samples(X[test]).mean()
        for train, test in folds.split(X)
    ]
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_grid_search():
    X, folds = make_swiss_roll(300, noise=0.5, random_state=0)[0], KFold(3)
    grid = {"n_neighbors": [2, 8, 40], "shrinkage": [0.0, 0.1, 1.0]}
    search = GridSearchCV(ManifoldParzenWindows(), grid, cv=folds).fit(X)
    means = {
        (k, s): cross_val_score(
            ManifoldParzenWindows(k, shrinkage=s), X, cv=folds
        ).mean()
        for k in grid["n_neighbors"]
        for s in grid["shrinkage"]
    }
    best = max(means, key=means.get)
    assert tuple(search.best_params_.values()) == best
    assert search.best_score_ == pytest.approx(means[best])
    # Along a surface, spheres do not fit new samples best.
    assert best[1] < 1
    assert search.best_estimator_.score_samples(X).shape == (300,)


# Invariance

INVARIANT = {
    "a plane": (2, {}),
    "20 features": (20, {}),
    "fewer neighbours than features": (20, {"n_neighbors": 6}),
    "not shrunk": (3, {"shrinkage": 0.0}),
}


@pytest.fixture(params=INVARIANT.values(), ids=INVARIANT)
def invariant(request):
    """Samples, points and a density to fit."""
    d, params = request.param
    return on_grid(300, d), on_grid(100, d, seed=1), ManifoldParzenWindows(**params)


def fitted_scores(density, X, Q):
    return clone(density).fit(X).score_samples(Q)


def test_rotation(invariant):
    X, Q, density = invariant
    R = ortho_group.rvs(X.shape[1], random_state=0)
    np.testing.assert_allclose(
        fitted_scores(density, X @ R, Q @ R), fitted_scores(density, X, Q), atol=2e-6
    )


@pytest.mark.parametrize("shift", [1.0, -(2.0**20), 2.0**30])
def test_translation(invariant, shift):
    X, Q, density = invariant
    # The grid of X is lost to rounding beyond 2 ** 32 alone.
    np.testing.assert_allclose(
        fitted_scores(density, X + shift, Q + shift),
        fitted_scores(density, X, Q),
        atol=2e-6,
    )


@pytest.mark.parametrize("factor", [1e-50, 0.3, 1e3, 1e50])
def test_scaling(invariant, factor):
    X, Q, density = invariant
    scaled = fitted_scores(density, factor * X, factor * Q)
    np.testing.assert_allclose(
        scaled + X.shape[1] * np.log(factor),
        fitted_scores(density, X, Q),
        rtol=1e-9,
        atol=2e-6,
    )


def test_permutation_of_samples(invariant):
    X, Q, density = invariant
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(
        fitted_scores(density, X[order], Q), fitted_scores(density, X, Q), atol=2e-6
    )


def test_permutation_of_features(invariant):
    X, Q, density = invariant
    order = np.random.default_rng(0).permutation(X.shape[1])
    np.testing.assert_allclose(
        fitted_scores(density, X[:, order], Q[:, order]),
        fitted_scores(density, X, Q),
        atol=2e-6,
    )


# Duplicates, and other samples without spread


@pytest.mark.parametrize("n_neighbors", [5, 40, "auto"])
@pytest.mark.parametrize("d", [2, 20])
def test_duplicates(d, n_neighbors):
    X = scattered(80, d)
    X[:30] = X[0]
    density = ManifoldParzenWindows(n_neighbors).fit(X)
    assert density.residual_variances_.min() > 0
    assert_within_bound(density, around(X))


def test_every_sample_twice():
    # With one neighbour no covariance has any trace: the data's own scale serves.
    X = np.repeat(scattered(40, 2), 2, axis=0)
    density = ManifoldParzenWindows(1).fit(X)
    variance = 0.5 * VARIANCE_FLOOR * X.var(axis=0).mean()
    np.testing.assert_allclose(density.residual_variances_, variance)
    peak = -np.log(40) - np.log(2 * np.pi * variance)
    np.testing.assert_allclose(density.score_samples(X), peak, rtol=1e-6)


def test_neighborhoods_of_duplicates_alone():
    # The mean of 14 copies differs from them by rounding, which is no variance.
    places = scattered(5, 2)
    X = np.repeat(places, 20, axis=0)
    density = ManifoldParzenWindows(13).fit(X)
    variance = 0.5 * VARIANCE_FLOOR * X.var(axis=0).mean()
    np.testing.assert_allclose(density.residual_variances_, variance)
    peak = -np.log(5) - np.log(2 * np.pi * variance)
    np.testing.assert_allclose(density.score_samples(places), peak, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -7e8, 1e-200])
def test_identical_samples_do_not_depend_on_where_they_are(value):
    X = np.full((31, 3), value)
    density = ManifoldParzenWindows().fit(X)
    peak = -1.5 * np.log(np.pi * VARIANCE_FLOOR)
    np.testing.assert_allclose(density.score_samples(X), peak, rtol=1e-12)
    assert np.isfinite(density.score_samples(X + 1.0)).all()
    np.testing.assert_allclose(density.sample(5, random_state=0), X[:5], atol=1e-2)


def test_a_constant_feature_multiplies_the_density():
    X = on_grid(150, 2)
    flat = np.column_stack([X, np.full(150, 3.0)])
    params = {"n_neighbors": 10, "shrinkage": 0.0}
    density = ManifoldParzenWindows(**params).fit(flat)
    floor = density.residual_variances_
    np.testing.assert_allclose(floor, floor[0])
    np.testing.assert_allclose(
        density.score_samples(flat) + 0.5 * np.log(2 * np.pi * floor[0]),
        ManifoldParzenWindows(**params).fit(X).score_samples(X),
        atol=1e-4,
    )


# The same, however it is called


def test_row_by_row():
    X = scattered(500, 5)
    density = ManifoldParzenWindows().fit(X)
    Q = around(X)
    alone = np.concatenate([density.score_samples(row[None]) for row in Q])
    np.testing.assert_allclose(alone, density.score_samples(Q), rtol=0, atol=1.1e-6)


@pytest.mark.parametrize("n_points", [1, 2, 31, 32, 33, 64, 65])
def test_order_of_the_points(n_points):
    X, Q = scattered(500, 5), scattered(n_points, 5, seed=1)
    density = ManifoldParzenWindows().fit(X)
    order = np.random.default_rng(0).permutation(n_points)
    np.testing.assert_allclose(
        density.score_samples(Q[order]), density.score_samples(Q)[order], atol=1.1e-6
    )


def test_copies_of_a_point_score_the_same():
    density = ManifoldParzenWindows().fit(scattered(300, 3))
    Q = np.repeat(scattered(3, 3, seed=1), 100, axis=0)
    values = density.score_samples(Q).reshape(3, 100)
    np.testing.assert_allclose(values, values[:, :1] * np.ones(100), atol=1.1e-6)


def test_threads():
    density = ManifoldParzenWindows().fit(scattered(500, 5))
    parts = [scattered(300, 5, seed=seed) for seed in range(8)]
    expected = [density.score_samples(Q) for Q in parts]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(density.score_samples, parts))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("d", [1, 4])
def test_read_only_memmaps(tmp_path, d):
    X = scattered(100, d)
    expected = ManifoldParzenWindows().fit(X)
    [path] = joblib.dump((X, expected), tmp_path / "density")
    mapped, density = joblib.load(path, mmap_mode="r")
    assert not mapped.flags.writeable
    assert not density.centers_.flags.writeable
    scores = expected.score_samples(X)
    np.testing.assert_array_equal(density.score_samples(mapped), scores)
    again = ManifoldParzenWindows().fit(mapped)
    np.testing.assert_array_equal(again.score_samples(mapped), scores)
    np.testing.assert_array_equal(
        density.sample(9, random_state=0), expected.sample(9, random_state=0)
    )


@pytest.mark.parametrize("order", ["F", "strided"])
def test_memory_layout(order):
    X = scattered(100, 4)
    other = np.asfortranarray(X) if order == "F" else np.repeat(X, 2, axis=1)[:, ::2]
    expected = fitted_scores(ManifoldParzenWindows(), X, X)
    found = fitted_scores(ManifoldParzenWindows(), other, other)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_float32_is_computed_in_float64():
    X = scattered(100, 3).astype(np.float32)
    density = ManifoldParzenWindows().fit(X)
    assert density.centers_.dtype == np.float64
    found = density.score_samples(X)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(
        found, fitted_scores(ManifoldParzenWindows(), X.astype(float), X.astype(float))
    )


def test_fitting_leaves_the_samples_alone():
    X = scattered(100, 3)
    before = X.copy()
    fitted_scores(ManifoldParzenWindows(), X, X)
    np.testing.assert_array_equal(X, before)


def test_pickles_score_the_same():
    X = scattered(100, 3)
    density = ManifoldParzenWindows(6, shrinkage=0.2, rtol=1e-3).fit(X)
    copy = pickle.loads(pickle.dumps(density))
    np.testing.assert_array_equal(copy.score_samples(X), density.score_samples(X))


def test_clones_are_unfitted_and_fit_the_same():
    X = scattered(100, 3)
    density = ManifoldParzenWindows(6, shrinkage=0.2, rtol=1e-3).fit(X)
    copy = clone(density)
    assert copy.get_params() == density.get_params()
    with pytest.raises(NotFittedError):
        copy.score_samples(X)
    np.testing.assert_array_equal(
        copy.fit(X).score_samples(X), density.score_samples(X)
    )


def test_fitting_again_forgets():
    density = ManifoldParzenWindows().fit(scattered(300, 5))
    X = scattered(20, 2)
    np.testing.assert_array_equal(
        density.fit(X).score_samples(X), fitted_scores(ManifoldParzenWindows(), X, X)
    )


# Refusals


@pytest.mark.parametrize("n_neighbors", [10, 11, 1000])
def test_too_many_neighbors_are_refused(n_neighbors):
    with pytest.raises(
        ValueError,
        match=rf"n_neighbors={n_neighbors} with n_samples=10: .* 9 neighbours. Pass",
    ):
        ManifoldParzenWindows(n_neighbors).fit(scattered(10))


@pytest.mark.parametrize("unit", [1e-200, 1e-150, 1e155, 1e307])
def test_units_whose_squares_cannot_be_held_are_refused(unit):
    with pytest.raises(ValueError, match=r"extend over .*, and squares .* Bring X to"):
        ManifoldParzenWindows().fit(unit * scattered(50))


def test_one_sample_is_refused():
    with pytest.raises(ValueError, match=r"1 sample\(s\).*minimum of 2 is required"):
        ManifoldParzenWindows().fit(scattered(1))


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_neighbors", v) for v in (0, -1, 2.5, "all", None)]
    + [("shrinkage", v) for v in (-0.1, 1.1, np.nan, "none", None)]
    + [("rtol", v) for v in (0, 1, -1e-6, np.nan, None)],
)
def test_wrong_parameters_are_refused(name, value):
    with pytest.raises(
        ValueError, match=f"'{name}' parameter of ManifoldParzenWindows must be"
    ):
        ManifoldParzenWindows().set_params(**{name: value}).fit(scattered(10))


@pytest.mark.parametrize("call", ["score_samples", "score", "sample"])
def test_an_unfitted_density_says_so(call):
    argument = 3 if call == "sample" else scattered(3)
    with pytest.raises(NotFittedError, match="ManifoldParzenWindows"):
        getattr(ManifoldParzenWindows(), call)(argument)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_points_that_are_not_finite_are_refused(value):
    X = scattered(20)
    wrong = X.copy()
    wrong[3, 1] = value
    with pytest.raises(ValueError, match="contains"):
        ManifoldParzenWindows().fit(wrong)
    with pytest.raises(ValueError, match="contains"):
        ManifoldParzenWindows().fit(X).score_samples(wrong)


def test_points_of_other_features_are_refused():
    with pytest.raises(ValueError, match=r"3 features, but .* expecting 2 features"):
        ManifoldParzenWindows().fit(scattered(20, 2)).score_samples(scattered(5, 3))


def test_long_sums_can_be_interrupted(monkeypatch):
    kernel, n_points = _kernel_sum._log_sum, []

    def recorded(X, *args):
        n_points.append(len(X))
        return kernel(X, *args)

    X = np.random.default_rng(0).normal(size=(300, 2))
    density = ManifoldParzenWindows().fit(X)
    expected = density.score_samples(X)
    monkeypatch.setattr(_kernel_sum, "_log_sum", recorded)
    monkeypatch.setattr(_kernel_sum, "INTERRUPT", 128)
    np.testing.assert_array_equal(density.score_samples(X), expected)
    assert n_points == [128, 128, 44]
