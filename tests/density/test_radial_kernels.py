"""Kernel densities of other kernels than the Gaussian, beside the sum written out."""

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from sklearn.neighbors import KernelDensity

from skgengeo.density import TemperedDensity, log_density, log_density_gradient
from skgengeo.density._sums import kernel_sum_of

from .._densities import is_analytic
from ._kernel_sums import assert_log_density

# Each kernel and minus its derivative, at distances in bandwidths.
INSIDE = {
    "tophat": (np.ones_like, np.zeros_like),
    "epanechnikov": (lambda u: 1 - u**2, lambda u: 2 * u),
    "linear": (lambda u: 1 - u, np.ones_like),
    "cosine": (
        lambda u: np.cos(np.pi / 2 * u),
        lambda u: np.pi / 2 * np.sin(np.pi / 2 * u),
    ),
}
KERNELS = ["exponential", *INSIDE]
# In 20 dimensions scikit-learn's factor of the cosine kernel is no number.
CASES = [(k, d) for k in KERNELS for d in (1, 3, 20) if (k, d) != ("cosine", 20)]
BANDWIDTH = {1: 0.1, 3: 0.7, 20: 5.0}

kernels = pytest.mark.parametrize("kernel", KERNELS)
cases = pytest.mark.parametrize(("kernel", "d"), CASES)


def log_factor(kernel, d):
    """Log of the density of one sample at itself, at a bandwidth of 1."""
    log_ball = 0.5 * d * np.log(np.pi) - gammaln(0.5 * d + 1)
    log_integral = {
        "tophat": log_ball,
        "epanechnikov": log_ball + np.log(2 / (d + 2)),
        "linear": log_ball - np.log(d + 1),
        "exponential": log_ball + gammaln(d + 1),
    }
    if kernel == "cosine":
        moments = {1: 2 / np.pi, 3: 2 / np.pi - 16 / np.pi**3}
        return -log_ball - np.log(d * moments[d])
    return -log_integral[kernel]


def plain_sum(kde, Q, weights=None):
    """Log density and gradient, of all kernels at all points."""
    centers, h = np.asarray(kde.tree_.data), kde.bandwidth_
    offsets = centers - Q[:, None]
    u = np.sqrt((offsets**2).sum(axis=2)) / h
    with np.errstate(divide="ignore", invalid="ignore"):
        if kde.kernel == "exponential":
            logs = slopes = -u
        else:
            value, slope = INSIDE[kde.kernel]
            logs = np.where(u < 1, np.log(value(u)), -np.inf)
            slopes = np.where(u < 1, np.log(slope(u)), -np.inf)
        log_weights = np.log(np.ones(len(centers)) if weights is None else weights)
        logs, slopes = logs + log_weights, slopes + log_weights
        log_sum = logsumexp(logs, axis=1) - logsumexp(log_weights)
        peak = logs.max(axis=1, keepdims=True)
        pulls = np.exp(slopes - peak) / (u * h**2)
        pulls /= np.exp(logs - peak).sum(axis=1, keepdims=True)
    pulls[(u == 0) | np.isneginf(peak)] = 0.0
    log_p = log_sum + log_factor(kde.kernel, Q.shape[1]) - Q.shape[1] * np.log(h)
    return log_p, np.einsum("nk,nkd->nd", pulls, offsets)


def fitted(kernel, X, bandwidth, weights=None, **params):
    kde = KernelDensity(kernel=kernel, bandwidth=bandwidth, rtol=0.0, **params)
    return kde.fit(X, sample_weight=weights)


def scattered(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def about(X, h, seed=1):
    """Samples, points at any distance up to two bandwidths, and points far away."""
    rng = np.random.default_rng(seed)
    away = rng.normal(size=X[:150].shape)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    away *= rng.uniform(0, 2 * h, size=(len(away), 1))
    return np.vstack([X[:30], X[:150] + away, X[:3] + 1e3 * h, X[:3] + 1e80])


def assert_is(kde, Q, expected):
    found, log_p = log_density_gradient(kde, Q, return_log_density=True)
    zero = np.isneginf(expected[0])
    np.testing.assert_array_equal(np.isneginf(log_p), zero)
    assert_log_density(log_p[~zero], expected[0][~zero])
    np.testing.assert_array_equal(log_density(kde, Q), log_p)
    np.testing.assert_array_equal(found[zero], 0.0)
    scale = np.abs(expected[1]).max()
    np.testing.assert_allclose(found, expected[1], rtol=1e-9, atol=1e-11 * scale)


# The density is the sum of all kernels


@cases
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_sum_written_out(kernel, d, weighted):
    X, h = scattered(700, d), BANDWIDTH[d]
    X[100:140] = X[:40]
    rng = np.random.default_rng(2)
    weights = np.where(rng.random(700) < 0.2, 0.0, rng.random(700))
    weights = weights if weighted else None
    kde, Q = fitted(kernel, X, h, weights), about(X, h)
    expected = plain_sum(kde, Q, weights)
    assert 0 < np.isneginf(expected[0]).mean() < 0.6 or kernel == "exponential"
    assert_is(kde, Q, expected)


@kernels
@pytest.mark.parametrize("n", [1, 2, 64, 65, 257, 3000])
@pytest.mark.parametrize("bandwidth", [0.02, 0.3])
def test_any_number_of_centers(kernel, n, bandwidth):
    X = scattered(n, 3)
    kde = fitted(kernel, X, bandwidth)
    Q = np.vstack([X[:40], X[:40] + 0.4 * bandwidth * scattered(40, 3, seed=1)[:n]])
    assert_is(kde, Q, plain_sum(kde, Q))


@cases
def test_is_what_scikit_learn_returns(kernel, d):
    X, h = scattered(300, d), BANDWIDTH[d]
    weights = np.random.default_rng(2).random(300)
    # In one leaf: its sums over many lose digits, and are not zero where there is none.
    kde, Q = fitted(kernel, X, h, weights, leaf_size=300), about(X, h)
    found, expected = log_density(kde, Q), kde.score_samples(Q)
    zero = np.isneginf(expected)
    np.testing.assert_array_equal(np.isneginf(found), zero)
    assert_log_density(found[~zero], expected[~zero])


@kernels
@pytest.mark.parametrize("bandwidth", ["scott", "silverman"])
@pytest.mark.parametrize(
    ("metric", "params"), [("l2", None), ("minkowski", None), ("minkowski", {"p": 2})]
)
def test_bandwidths_and_metrics(kernel, bandwidth, metric, params):
    X = scattered(100, 2)
    kde = fitted(
        kernel, X, bandwidth, metric=metric, metric_params=params, leaf_size=100
    )
    assert kernel_sum_of(kde) is not None
    assert_log_density(log_density(kde, X), kde.score_samples(X))


@pytest.mark.parametrize(
    ("metric", "params"), [("manhattan", None), ("minkowski", {"p": 3})]
)
def test_of_other_metrics_it_goes_by_its_own_scores(metric, params):
    X, Q = scattered(50, 2), scattered(20, 2, seed=1)
    kde = fitted("linear", X, 3.0, metric=metric, metric_params=params)
    assert kernel_sum_of(kde) is None
    np.testing.assert_array_equal(log_density(kde, Q), kde.score_samples(Q))


# At the rim and in the centre


@pytest.mark.parametrize("kernel", INSIDE)
@pytest.mark.parametrize("h", [5.0, 0.625, 5e100])
def test_the_rim_is_where_scikit_learn_has_it(kernel, h):
    # Of these the distances are exact: at the bandwidth there is nothing.
    on_it = h / 5 * np.array([[3.0, 4.0], [-4.0, 3.0], [0.0, 5.0], [5.0, 0.0]])
    inside = np.nextafter(on_it, 0)
    kde = fitted(kernel, np.zeros((1, 2)), h)
    np.testing.assert_array_equal(log_density(kde, on_it), -np.inf)
    np.testing.assert_array_equal(kde.score_samples(on_it), -np.inf)
    np.testing.assert_array_equal(log_density_gradient(kde, on_it), 0.0)
    found, expected = log_density(kde, inside), kde.score_samples(inside)
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))
    some = np.isfinite(found)
    assert_log_density(found[some], expected[some])


@pytest.mark.parametrize("kernel", INSIDE)
def test_what_is_left_at_the_rim(kernel):
    kde = fitted(kernel, np.zeros((1, 1)), 1.0)
    Q = 1 - np.logspace(-15, -1, 57)[:, None]
    assert_is(kde, Q, plain_sum(kde, Q))


@kernels
def test_in_its_centre_a_kernel_pulls_nowhere(kernel):
    # On opposite sides of it the slopes of its cusp cancel.
    kde = fitted(kernel, [[0.0, 0.0], [0.0, 0.0], [1.0, 0.5]], 2.0)
    X = np.array([[0.0, 0.0], [1e-9, 1e-9], [-1e-9, -1e-9]])
    center, *sides = log_density_gradient(kde, X)
    np.testing.assert_allclose(center, np.mean(sides, axis=0), rtol=1e-6, atol=1e-9)


# Gradients


@cases
def test_gradient_is_that_of_the_values(kernel, d):
    X, h = scattered(60, d), BANDWIDTH[d]
    kde, Q = fitted(kernel, X, h), about(X, h)[30:-6]
    u = np.linalg.norm(Q[:, None] - X, axis=2) / h
    smooth = (np.abs(u - 1) > 1e-3).all(axis=1) & (u > 1e-3).all(axis=1)
    Q = Q[smooth & np.isfinite(log_density(kde, Q))]
    assert len(Q) > 20
    steps = 1e-5 * h * np.eye(d)[:, None]
    ahead, behind = (
        log_density(kde, (Q + s * steps).reshape(-1, d)).reshape(d, -1) for s in (1, -1)
    )
    expected = ((ahead - behind) / (2e-5 * h)).T
    np.testing.assert_allclose(
        log_density_gradient(kde, Q), expected, rtol=1e-5, atol=1e-7 / h
    )


@kernels
def test_it_is_analytic(kernel):
    X = scattered(10, 2)
    assert is_analytic(fitted(kernel, X, 1.0), X)


@kernels
def test_tempered(kernel):
    X = scattered(50, 2)
    kde = fitted(kernel, X, 1.0)
    flat = TemperedDensity(kde, temperature=4.0).fit(X)
    assert_log_density(log_density(flat, X), log_density(kde, X) / 4)
    np.testing.assert_allclose(
        log_density_gradient(flat, X), log_density_gradient(kde, X) / 4, rtol=1e-12
    )


# What goes by scikit-learn's scores


@pytest.mark.parametrize("ratio", [1e-200, 1e-250])
def test_weights_that_are_far_apart(ratio):
    X = np.array([[0.0], [10.0]])
    kde = fitted("linear", X, 1.0, np.array([1.0, ratio]))
    assert (kernel_sum_of(kde) is None) == (ratio == 1e-250)
    expected = np.log([1.0, ratio])
    assert_log_density(log_density(kde, X), expected)


def test_a_factor_that_is_no_number():
    kde = fitted("cosine", np.zeros((1, 4)), 1.0)
    assert kernel_sum_of(kde) is None
    with pytest.raises(ValueError, match="KernelDensity returned nan at row 0"):
        log_density(kde, np.zeros((1, 4)))
