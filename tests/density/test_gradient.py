import re
import threading
import tracemalloc

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgengeo.density import (
    ManifoldParzenWindows,
    TemperedDensity,
    as_density,
    log_density,
    log_density_gradient,
)
from skgengeo.density import _gradient as gradients

from .._densities import (
    Answers,
    Counting,
    LogProb,
    is_analytic,
    normal_log_density,
)
from ._kernel_sums import (
    ANALYTIC,
    DIMENSIONS,
    FITTED,
    KDE,
    OTHERS,
    SUMS,
    OfItsOwn,
    among,
    assert_log_density,
    dense_kde,
    dense_sum,
    mixture_of,
    named,
    two_groups,
)


def by_steps(density, X, step=1e-5):
    """Central differences of fourth order, feature by feature."""
    found = np.empty(X.shape)
    for a, axis in enumerate(step * np.eye(X.shape[1])):
        values = [density.score_samples(X + k * axis) for k in (-2, -1, 1, 2)]
        found[:, a] = np.array([1, -8, 8, -1]) @ values / (12 * step)
    return found


# The gradient is the one of score_samples


@pytest.mark.parametrize("key", FITTED, ids=named)
def test_gradient_of_score_samples(key):
    density, X = FITTED[key], among(key[1])
    expected = by_steps(density, X)
    found, log_p = log_density_gradient(density, X, return_log_density=True)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert_log_density(log_p, density.score_samples(X))
    np.testing.assert_array_equal(log_density_gradient(density, X), found)
    assert found.dtype == log_p.dtype == np.float64


@pytest.mark.parametrize("key", FITTED, ids=named)
def test_what_is_analytic(key):
    assert is_analytic(FITTED[key], among(key[1])) == (key in ANALYTIC)


class Windows(ManifoldParzenWindows):
    """Twice the log density."""

    def score_samples(self, X):
        return 2 * super().score_samples(X)


class Flatter(TemperedDensity):
    """Half of it."""

    def score_samples(self, X):
        return super().score_samples(X) / 2


class WindowsWithGradient(Windows):
    def score_samples_gradient(self, X):
        return 2 * super().score_samples_gradient(X)


class FlatterWithGradient(Flatter):
    def score_samples_gradient(self, X):
        return super().score_samples_gradient(X) / 2


class SameWindows(ManifoldParzenWindows):
    """Inherits both."""


class SameTempered(TemperedDensity):
    """Inherits both."""


@pytest.mark.parametrize(
    ("model", "analytic"),
    [
        (OfItsOwn(2, random_state=0), False),
        (Windows(), False),
        (Flatter(KDE), False),
        (TemperedDensity(Windows()), False),
        (WindowsWithGradient(), True),
        (FlatterWithGradient(KDE), True),
        (SameWindows(), True),
        (SameTempered(KDE), True),
    ],
)
def test_a_subclass_may_score_otherwise(model, analytic):
    X = two_groups(2)
    density = clone(model).fit(X)
    assert is_analytic(density, X) == analytic
    np.testing.assert_allclose(
        log_density_gradient(density, X), by_steps(density, X), rtol=1e-6, atol=1e-7
    )


# Sums of Gaussians, against a sum that is written out


def assert_is(density, X, expected):
    found, log_p = log_density_gradient(density, X, return_log_density=True)
    assert_log_density(log_p, expected[0])
    scale = np.abs(expected[1]).max()
    np.testing.assert_allclose(found, expected[1], rtol=1e-8, atol=1e-9 * scale)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("n", [1, 64, 65, 700])
@pytest.mark.parametrize("bandwidth", [1e-4, 0.05, 1.0, 50.0])
def test_kernel_density_is_the_sum_of_all_kernels(d, n, bandwidth):
    X = np.random.default_rng(0).normal(size=(n, d))
    kde = KernelDensity(bandwidth=bandwidth).fit(X)
    near = X[:30] + bandwidth * np.random.default_rng(1).normal(size=X[:30].shape)
    Q = np.vstack([X[:30], near, 3 * near])
    assert_is(kde, Q, dense_kde(kde, Q))


@pytest.mark.parametrize("n", [50, 300])
def test_weights_duplicates_and_weights_of_zero(n):
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(n // 5, 2)), 5, axis=0)
    weights = np.where(rng.random(n) < 0.3, 0.0, rng.random(n))
    kde = KernelDensity(bandwidth=0.2).fit(X, sample_weight=weights)
    Q = np.vstack([X[:40], 3 * rng.normal(size=(40, 2))])
    assert_is(kde, Q, dense_kde(kde, Q, weights))


@pytest.mark.parametrize(
    "metric", ["l2", ("minkowski", {"p": 2}), "minkowski", ("minkowski", {"p": 3})]
)
def test_metrics(metric):
    metric, params = metric if isinstance(metric, tuple) else (metric, None)
    X = two_groups(2)
    kde = clone(KDE).set_params(metric=metric, metric_params=params).fit(X)
    assert is_analytic(kde, X) == (params != {"p": 3})
    expected = by_steps(kde, X)
    np.testing.assert_allclose(
        log_density_gradient(kde, X), expected, rtol=1e-6, atol=1e-7
    )


def test_components_without_weight_are_nothing():
    means, covariances = [[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]], [np.eye(2)] * 3
    with_none = mixture_of([0.5, 0.5, 0.0], means, covariances)
    without = mixture_of([0.5, 0.5], means[:2], covariances[:2])
    X = np.vstack([among(2), means])
    np.testing.assert_array_equal(
        log_density_gradient(with_none, X), log_density_gradient(without, X)
    )


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e8, 1e12])
def test_nearly_singular_components_far_apart(condition):
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(4, 3, 3)))[0]
    roots = turn * np.array([1.0, condition**-0.25, condition**-0.5])
    covariances = roots @ roots.transpose(0, 2, 1)
    means = 1e3 * rng.normal(size=(4, 3))
    mixture = mixture_of([0.1, 0.2, 0.3, 0.4], means, covariances)
    X = np.vstack(
        [m + rng.normal(size=(20, 3)) @ r.T for m, r in zip(means, roots, strict=True)]
    )
    # From the inverse of the root itself: a precision matrix would lose digits.
    roots = mixture.precisions_cholesky_
    whitened = np.einsum("kji,nkj->nki", roots, X[:, None] - means)
    parts = np.log(np.abs(np.linalg.det(roots))) - 0.5 * (whitened**2).sum(axis=2)
    parts += np.log(mixture.weights_)
    shares = softmax(parts, axis=1)
    expected = -np.einsum("nk,kij,nkj->ni", shares, roots, whitened)
    found, log_p = log_density_gradient(mixture, X, return_log_density=True)
    assert_log_density(log_p, logsumexp(parts, axis=1) - 1.5 * np.log(2 * np.pi))
    size = np.abs(expected).max(axis=1, keepdims=True)
    assert np.all(np.abs(found - expected) <= 1e-9 * size)


@pytest.mark.parametrize("n_components", [64, 65, 300])
def test_many_components(n_components):
    rng = np.random.default_rng(0)
    roots = 0.3 * rng.normal(size=(n_components, 2, 2))
    means = 3 * rng.normal(size=(n_components, 2))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.01 * np.eye(2)
    mixture = mixture_of(rng.dirichlet(np.ones(n_components)), means, covariances)
    X = 4 * rng.normal(size=(500, 2))
    found, log_p = log_density_gradient(mixture, X, return_log_density=True)
    assert_log_density(log_p, mixture.score_samples(X))
    expected = dense_sum(
        np.log(mixture.weights_), means, np.linalg.inv(covariances), X
    )[1]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("rtol", [1e-2, 1e-6])
@pytest.mark.parametrize("d", [1, 3, 12])
def test_what_parzen_windows_leave_out_matters_little(d, rtol):
    X = np.random.default_rng(0).normal(size=(1500, d))
    rough, exact = (ManifoldParzenWindows(rtol=r).fit(X) for r in (rtol, 1e-15))
    narrowest = np.sqrt(exact.residual_variances_.min())
    left_out = rough.score_samples_gradient(X) - exact.score_samples_gradient(X)
    # A kernel of that share is some ten widths away.
    assert np.abs(left_out).max() <= 10 * rtol / narrowest
    np.testing.assert_array_equal(
        log_density_gradient(rough, X, return_log_density=True)[1],
        log_density(rough, X),
    )


@pytest.mark.parametrize("d", [2, 10, 24, 40])
def test_parzen_windows_are_the_sum_of_all_kernels(d):
    X = np.random.default_rng(0).normal(size=(400, d))
    density = ManifoldParzenWindows(rtol=1e-14).fit(X)
    Q = np.vstack([X[:40], 1.5 * X[40:80]])
    v, u, r = density.variances_, density.directions_, density.residual_variances_
    precisions = np.einsum("nj,nja,njb->nab", 1 / v - 1 / r[:, None], u, u)
    precisions += np.eye(d) / r[:, None, None]
    expected = dense_sum(np.log(density.weights_), density.centers_, precisions, Q)[1]
    np.testing.assert_allclose(
        density.score_samples_gradient(Q),
        expected,
        rtol=1e-8,
        atol=1e-9 * np.abs(expected).max(),
    )


# Far away


@pytest.mark.parametrize("key", ANALYTIC, ids=named)
@pytest.mark.parametrize("far", [1e3, 1e6, 1e100])
def test_far_away_the_gradient_is_of_the_kernel_that_decays_slowest(key, far):
    density, d = FITTED[key], key[1]
    X = far * np.vstack([np.ones(d), -np.ones(d)])
    found, log_p = log_density_gradient(density, X, return_log_density=True)
    assert np.isfinite(found).all()
    assert_log_density(log_p, density.score_samples(X))
    # There log p is a square: x . grad log p is twice its value.
    np.testing.assert_allclose(
        (X * found).sum(axis=1), 2 * log_p, rtol=50 / far + 1e-12
    )


@pytest.mark.parametrize("key", ANALYTIC, ids=named)
def test_beyond_floating_point_the_gradient_is_zero(key):
    density, d = FITTED[key], key[1]
    X = np.vstack([np.full(d, 1e160), np.zeros(d), np.full(d, -1e200)])
    found, log_p = log_density_gradient(density, X, return_log_density=True)
    np.testing.assert_array_equal(np.isneginf(log_p), [True, False, True])
    np.testing.assert_array_equal(found[[0, 2]], 0.0)
    np.testing.assert_allclose(
        found[1], log_density_gradient(density, np.zeros((1, d)))[0], rtol=1e-9
    )


def test_parzen_windows_score_far_and_near_points_together():
    density = FITTED["ManifoldParzenWindows", 2]
    far, near = np.full((3, 2), 1e160), np.zeros((1, 2))
    values = density.score_samples(np.vstack([far, near]))
    np.testing.assert_array_equal(values[:3], -np.inf)
    assert values[3] == pytest.approx(density.score_samples(near)[0], rel=1e-12)


# Laws


@pytest.mark.parametrize("temperature", [0.1, 7.0])
@pytest.mark.parametrize("name", ["KernelDensity", "Pipeline", "TemperedDensity"])
def test_gradient_is_divided_by_the_temperature(name, temperature):
    inner, X = FITTED[name, 2], among(2)
    tempered = TemperedDensity(inner, temperature=temperature).fit(two_groups(2))
    expected = log_density_gradient(inner, X) / temperature
    found, log_p = log_density_gradient(tempered, X, return_log_density=True)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(tempered.score_samples_gradient(X), expected)
    assert_log_density(log_p, tempered.score_samples(X))
    assert is_analytic(tempered, X) == is_analytic(inner, X)


@pytest.mark.parametrize("key", FITTED, ids=named)
def test_frozen_is_the_same(key):
    X = among(key[1])
    density = as_density(FITTED[key])
    np.testing.assert_array_equal(
        log_density_gradient(density, X), log_density_gradient(FITTED[key], X)
    )


@pytest.mark.parametrize("key", FITTED, ids=named)
def test_row_by_row(key):
    density, X = FITTED[key], among(key[1])[::7]
    spread = two_groups(key[1]).std(axis=0)
    together = log_density_gradient(density, X, scale=spread)
    rows = [log_density_gradient(density, row[None], scale=spread) for row in X]
    np.testing.assert_allclose(np.vstack(rows), together, rtol=1e-6, atol=1e-8)


def rescaled(name, factor):
    """The same density in another unit."""
    X = factor * two_groups(2)
    if name == "callable":
        return as_density(lambda Q: -np.logaddexp(0, (Q / factor) ** 2).sum(axis=1))
    if name == "KernelDensity":
        return KernelDensity(bandwidth=0.4 * factor).fit(X)
    if name == "ManifoldParzenWindows":
        return ManifoldParzenWindows().fit(X)
    plain = FITTED["GaussianMixture, full", 2]
    return mixture_of(
        plain.weights_, factor * plain.means_, factor**2 * plain.covariances_
    )


@pytest.mark.parametrize("factor", [1e-30, 2.0, 1e30])
@pytest.mark.parametrize(
    "name", ["callable", "KernelDensity", "ManifoldParzenWindows", "GaussianMixture"]
)
def test_unit(name, factor):
    X = among(2)
    found = log_density_gradient(rescaled(name, factor), factor * X)
    expected = log_density_gradient(rescaled(name, 1.0), X) / factor
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * size)


@pytest.mark.parametrize("name", ["KernelDensity", "GaussianMixture, full", "Pipeline"])
def test_threads_change_nothing(name, monkeypatch):
    monkeypatch.setattr(gradients, "THREAD_BATCH", 16)
    density, X = FITTED[name, 2], among(2)
    alone = log_density_gradient(density, X, return_log_density=True)
    many = log_density_gradient(density, X, n_jobs=2, return_log_density=True)
    for found, expected in zip(many, alone, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_no_rows():
    for name in ("KernelDensity", "GaussianMixture, full", "Pipeline"):
        found = log_density_gradient(FITTED[name, 2], np.empty((0, 2)))
        assert found.shape == (0, 2)


# Differences


def test_number_of_evaluations():
    counting = Counting(normal_log_density)
    log_density_gradient(as_density(counting), among(5))
    assert counting.n_points == (2 * 5 + 1) * len(among(5))


def test_points_of_differences_fit_the_working_memory():
    X = np.random.default_rng(0).normal(size=(1000, 50))
    tracemalloc.start()
    with config_context(working_memory=4):
        found = log_density_gradient(as_density(normal_log_density), X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All at once they are 40 MB.
    assert peak < 10e6
    np.testing.assert_allclose(found, -X, atol=1e-7)


@pytest.mark.parametrize("log_p", [-5.0, -1e3])
@pytest.mark.parametrize("width", [1e-2, 1.0])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_double_precision(log_p, width, offset):
    X = np.random.default_rng(0).normal(size=(50, 2))
    density = as_density(lambda Q: log_p + np.sin((Q - offset) / width).sum(axis=1))
    found = log_density_gradient(density, X + offset)
    expected = np.cos((X + offset - offset) / width) / width
    np.testing.assert_allclose(found, expected, atol=1e-5 / width)


@pytest.mark.parametrize("upcast", [True, False])
@pytest.mark.parametrize("log_p", [-5.0, -100.0])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_single_precision_has_a_longer_step(upcast, log_p, offset):
    def score(Q):
        inside = np.sin(Q.astype(np.float32) - np.float32(offset))
        values = np.float32(log_p) + inside.sum(axis=1)
        return values.astype(np.float64) if upcast else values

    X = np.random.default_rng(0).normal(size=(50, 2)) + offset
    found = log_density_gradient(as_density(score), X)
    noise = 1e-7 * (abs(log_p) + 2) / 5e-3
    np.testing.assert_allclose(found, np.cos(X - offset), atol=2 * noise + 1e-4)


def test_scale_is_the_unit_of_the_step():
    seen = []

    def score(Q):
        seen.append(Q)
        return np.sin(Q).sum(axis=1)

    X = np.random.default_rng(0).normal(size=(9, 2))
    log_density_gradient(as_density(score), X, scale=[3.0, 0.0])
    steps = np.abs(seen[1].reshape(2, 2, 9, 2) - X).max(axis=(0, 2, 3))
    np.testing.assert_allclose(steps, 3 * np.cbrt(np.finfo(float).eps), rtol=1e-6)


def test_a_few_far_rows_do_not_change_the_step():
    X = np.random.default_rng(0).normal(size=(60, 2))
    density = as_density(lambda Q: np.sin(3 * Q).sum(axis=1))
    together = log_density_gradient(density, np.vstack([X, [[1e9, -1e9]]]))[:-1]
    np.testing.assert_allclose(together, 3 * np.cos(3 * X), atol=1e-8)


@pytest.mark.parametrize("X", [[[0.0, 0.0]], [[1.0, -2.0]], [[3.0, 0.0], [3.0, 0.0]]])
def test_a_single_point_has_a_gradient(X):
    density = as_density(lambda Q: np.cos(Q + 0.5).sum(axis=1))
    found = log_density_gradient(density, X)
    np.testing.assert_allclose(found, -np.sin(np.add(X, 0.5)), atol=1e-8)


@pytest.mark.parametrize(
    "scale",
    [[1.0], [-1.0, 1.0], [0.0, 0.0], [np.nan, 1.0], "auto", {}, [[1.0], [1.0, 2.0]]],
)
def test_scale_is_checked(scale):
    message = rf"scale={re.escape(repr(scale))} .*a number for each feature"
    with pytest.raises(ValueError, match=message):
        log_density_gradient(as_density(LogProb()), np.ones((3, 2)), scale=scale)


def inside_the_box(Q):
    """Zero outside of the unit square, and with a slope inside."""
    inside = ((Q >= 0) & (Q <= 1)).all(axis=1)
    return np.where(inside, Q @ [2.0, -3.0], -np.inf)


def test_one_side_is_enough_at_the_rim():
    X = np.array([[0.0, 0.5], [1.0, 1.0], [0.0, 1.0], [0.3, 0.4]])
    found = log_density_gradient(as_density(inside_the_box), X)
    np.testing.assert_allclose(found, np.tile([2.0, -3.0], (4, 1)), rtol=1e-7)


def test_zero_density_has_no_gradient():
    X = np.array([[1.5, 0.5], [0.5, 0.5], [np.nextafter(1, 2), 0.5]])
    density = as_density(inside_the_box)
    found, log_p = log_density_gradient(density, X, return_log_density=True)
    np.testing.assert_array_equal(np.isneginf(log_p), [True, False, True])
    np.testing.assert_array_equal(found[[0, 2]], 0.0)
    everywhere = as_density(lambda Q: np.full(len(Q), -np.inf))
    np.testing.assert_array_equal(log_density_gradient(everywhere, X), 0.0)


def test_a_line_of_density_has_no_slope_across_it():
    on_the_line = as_density(lambda Q: np.where(Q[:, 1] == 0, 4 * Q[:, 0], -np.inf))
    found = log_density_gradient(on_the_line, [[0.5, 0.0], [0.1, 0.0], [0.9, 0.0]])
    np.testing.assert_allclose(found, [[4.0, 0.0]] * 3, rtol=1e-9)


def test_a_flat_density_has_no_gradient():
    flat = as_density(lambda Q: np.zeros(len(Q)))
    np.testing.assert_array_equal(log_density_gradient(flat, among(2)), 0.0)


# A gradient of one's own


class WithGradient(BaseEstimator):
    """A normal density that knows its gradient, or what is passed for it."""

    def __init__(self, gradient=np.negative):
        self.gradient = gradient
        self.threads = set()

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return np.where(X[:, 0] < 9, normal_log_density(X), -np.inf)

    def score_samples_gradient(self, X):
        self.threads.add(threading.get_ident())
        return self.gradient(X)


class NoEstimator:
    """Has both methods, and is no estimator."""

    score_samples = WithGradient.score_samples

    def score_samples_gradient(self, X):
        return -X


@pytest.mark.parametrize("density", [WithGradient(), NoEstimator()])
def test_a_gradient_of_ones_own_is_used(density):
    X = among(2)
    density = as_density(density)
    assert is_analytic(density, X)
    found, log_p = log_density_gradient(density, X, return_log_density=True)
    np.testing.assert_array_equal(found, -np.where(X[:, :1] < 9, X, 0.0))
    np.testing.assert_array_equal(log_p, density.score_samples(X))


class Normal:
    """Of log_prob, with its gradient."""

    def log_prob(self, X):
        return normal_log_density(X)

    def score_samples_gradient(self, X):
        return -X


class Sharper(Normal):
    def log_prob(self, X):
        return 2 * super().log_prob(X)


class Delegating:
    """Has the methods of another, but for those it defines."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)


class DelegatingSharper(Delegating):
    def score_samples(self, X):
        return 2 * self.model.score_samples(X)


@pytest.mark.parametrize(
    ("model", "factor", "analytic"),
    [
        (Normal(), 1, True),
        (Sharper(), 2, False),
        (Delegating(NoEstimator()), 1, True),
        (DelegatingSharper(NoEstimator()), 2, False),
    ],
)
def test_own_gradients_go_with_the_scores(model, factor, analytic):
    X = np.random.default_rng(0).normal(size=(20, 2))
    density = as_density(model)
    assert is_analytic(density, X) == analytic
    found = log_density_gradient(density, X)
    np.testing.assert_allclose(found, -factor * X, atol=1e-8)


class SameNames(WithGradient):
    """Has methods that are called as some of this package's own are."""

    def _gradient(self, X):
        return X

    def _kernel_sum(self, X):
        return X


def test_names_of_this_package_are_free_to_others():
    X = among(2)
    for model in (SameNames(), FrozenEstimator(SameNames())):
        np.testing.assert_array_equal(
            log_density_gradient(model, X), log_density_gradient(WithGradient(), X)
        )
        np.testing.assert_array_equal(
            log_density(model, X), log_density(WithGradient(), X)
        )


def test_own_gradients_are_asked_for_in_one_thread():
    density = WithGradient()
    log_density_gradient(density, among(2), n_jobs=2)
    assert density.threads == {threading.get_ident()}


def test_own_gradients_are_nothing_where_the_density_is():
    density = WithGradient(lambda X: np.where(X < 9, -X, np.nan))
    X = np.array([[10.0, 1.0], [1.0, 2.0]])
    np.testing.assert_array_equal(
        log_density_gradient(density, X), [[0.0, 0.0], [-1.0, -2.0]]
    )


def raises(X):
    raise RuntimeError("no gradient today.")


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (lambda X: X[:, 0], r"shape \(3,\) for X of shape \(3, 2\).*in the shape of X"),
        (lambda X: X.T, r"shape \(2, 3\) for X of shape \(3, 2\)"),
        (lambda X: X.astype(str), r"returned <U\d+; gradients are real"),
        (lambda X: X * 1j, "returned complex128; gradients are real"),
        (lambda X: np.where(X == 5, np.nan, X), r"nan.* at row 2 \(1 of 3 rows"),
        (lambda X: np.where(X > 0, np.inf, X), r"inf.* at row 0 \(3 of 3 rows"),
        (raises, r"WithGradient raised RuntimeError on an array.*no gradient today\. "),
    ],
)
def test_own_gradients_are_checked(gradient, message):
    X = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    with pytest.raises(ValueError, match=message):
        log_density_gradient(as_density(WithGradient(gradient)), X)


# What is no density, or no point


def test_densities_are_checked():
    nan = as_density(lambda X: np.full(len(X), np.nan))
    with pytest.raises(ValueError, match="returned nan at row 0"):
        log_density_gradient(nan, among(2))


def test_points_are_checked():
    with pytest.raises(ValueError, match="NaN"):
        log_density_gradient(FITTED["KernelDensity", 2], [[np.nan, 0.0]])


@pytest.mark.parametrize("key", ANALYTIC, ids=named)
def test_features_are_those_of_the_density(key):
    with pytest.raises(ValueError, match="X has 7 features, but"):
        log_density_gradient(FITTED[key], np.zeros((3, 7)))


@pytest.mark.parametrize("model", (SUMS | OTHERS).values(), ids=SUMS | OTHERS)
def test_unfitted(model):
    with pytest.raises(NotFittedError):
        log_density_gradient(clone(model), among(2))


@pytest.mark.parametrize("model", [normal_log_density, LogProb()])
def test_what_has_to_be_made_a_density_first(model):
    for call in (log_density, log_density_gradient):
        with pytest.raises(TypeError, match=r"no score_samples\. .*as_density"):
            call(model, among(2))


@pytest.mark.filterwarnings("error")
def test_names_of_features_are_not_asked_for():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(two_groups(2), columns=["a", "b"])
    for model in (KDE, make_pipeline(StandardScaler(), KDE), ManifoldParzenWindows()):
        found = log_density_gradient(clone(model).fit(frame), among(2))
        assert found.shape == among(2).shape


def test_answers_of_another_kind_are_refused():
    wrong = FrozenEstimator(Answers(lambda X: X))
    with pytest.raises(ValueError, match="one for each row"):
        log_density_gradient(wrong, among(2))
