import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from skgengeo.density import (
    ManifoldParzenWindows,
    TemperedDensity,
    as_density,
    log_density,
    log_density_gradient,
)
from skgengeo.density._blocks import radial_blocks, root_blocks, sphere_blocks
from skgengeo.density._sums import kernel_sum_of

from ._kernel_sums import (
    ANALYTIC,
    DIMENSIONS,
    FITTED,
    KDE,
    OfItsOwn,
    among,
    assert_log_density,
    dense_kde,
    named,
    two_groups,
)

# What is a sum


@pytest.mark.parametrize("key", FITTED, ids=named)
def test_what_is_a_sum_of_kernels(key):
    assert (kernel_sum_of(FITTED[key]) is not None) == (key in ANALYTIC)


class Kernels(KernelDensity):
    """May score otherwise; does not."""


class Windows(ManifoldParzenWindows):
    """Twice the log density."""

    def score_samples(self, X):
        return 2 * super().score_samples(X)


class Flatter(TemperedDensity):
    """Half of it."""

    def score_samples(self, X):
        return super().score_samples(X) / 2


@pytest.mark.parametrize(
    "model",
    [
        OfItsOwn(2, random_state=0),
        Kernels(),
        Kernels(kernel="linear", bandwidth=30.0),
        Windows(),
        Flatter(KDE),
    ],
)
def test_subclasses_go_by_their_own_scores(model):
    density = clone(model).fit(two_groups(2))
    assert kernel_sum_of(density) is None
    np.testing.assert_array_equal(
        log_density(density, among(2)), density.score_samples(among(2))
    )


WRAPPERS = {
    "frozen": FrozenEstimator,
    "frozen twice": lambda density: FrozenEstimator(FrozenEstimator(density)),
    "as_density": as_density,
    "search": lambda density: GridSearchCV(density, {"leaf_size": [5]}, cv=2).fit(
        two_groups(2)
    ),
    "frozen search": lambda density: FrozenEstimator(WRAPPERS["search"](density)),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers_are_looked_through(wrap):
    density = FITTED["KernelDensity", 2]
    np.testing.assert_array_equal(
        log_density(wrap(density), among(2)), log_density(density, among(2))
    )


# Its logarithm


@pytest.mark.parametrize("key", FITTED, ids=named)
def test_log_density_is_that_of_score_samples(key):
    density, X = FITTED[key], among(key[1])
    found = log_density(density, X)
    assert_log_density(found, density.score_samples(X))
    assert found.dtype == np.float64


@pytest.mark.parametrize("key", ANALYTIC, ids=named)
@pytest.mark.parametrize("far", [1.0, 1e3, 1e160])
def test_there_is_one_log_density(key, far):
    # What the gradient comes with: a graph, and paths relaxed in it, see the same.
    density, X = FITTED[key], far * among(key[1])
    np.testing.assert_array_equal(
        log_density(density, X),
        log_density_gradient(density, X, return_log_density=True)[1],
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [1, 2, 10])
@pytest.mark.parametrize("bandwidth", [0.01, 0.3, 5.0])
def test_kernel_density_is_exact_however_far(d, bandwidth, weighted):
    # With leaves of 40 samples scikit-learn's is wrong from 7 bandwidths on.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, d))
    weights = rng.uniform(size=700) if weighted else None
    kde = KernelDensity(bandwidth=bandwidth).fit(X, sample_weight=weights)
    away = rng.normal(size=(20, d))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    reach = bandwidth * np.array([0.0, 1.0, 5.0, 7.0, 10.0, 30.0, 100.0, 1000.0])
    Q = (X[:20] + reach[:, None, None] * away).reshape(-1, d)
    found = log_density(kde, Q)
    assert np.isfinite(found).all()
    assert_log_density(found, dense_kde(kde, Q, weights)[0])


@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_mixtures_fitted_on_single_precision(cls, kind):
    X = two_groups(3).astype(np.float32)
    density = cls(n_components=3, covariance_type=kind, random_state=0).fit(X)
    found, rounded = log_density(density, among(3)), density.score_samples(among(3))
    np.testing.assert_allclose(found, rounded, rtol=1e-5)
    # Its parameters are taken as they are, and all that follows is in double precision.
    for name, value in vars(density).items():
        if name.endswith("_") and isinstance(value, np.ndarray):
            setattr(density, name, value.astype(np.float64))
    assert_log_density(found, density.score_samples(among(3)))


@pytest.mark.parametrize("key", ANALYTIC, ids=named)
def test_zero_only_beyond_floating_point(key):
    density, d = FITTED[key], key[1]
    X = np.vstack([np.full(d, 1e160), np.full(d, 1e100), np.full(d, -1e200)])
    np.testing.assert_array_equal(
        np.isneginf(log_density(density, X)), [True, False, True]
    )


def test_sharp_densities_can_be_tempered_twice():
    X, Q = two_groups(2), among(2)
    once = TemperedDensity(KDE, temperature=3.0).fit(X)
    twice = TemperedDensity(once, temperature=0.7).fit(X)
    expected = log_density(once.density_, Q) / 3.0 / 0.7
    np.testing.assert_array_equal(log_density(twice, Q), expected)
    np.testing.assert_array_equal(twice.score_samples(Q), expected)
    assert kernel_sum_of(TemperedDensity(FITTED["Manhattan", 2]).fit(X)) is None


# How it is laid out


def test_sums_of_any_layout_are_laid_out_alike():
    # Where a cache has one compiled for another layout, it may take that.
    rng = np.random.default_rng(0)
    centers, roots = rng.normal(size=(2, 70)).T, rng.normal(size=(2, 2, 70)).T
    log_weights, variances = rng.normal(size=(2, 70, 2))[:, :, 0] ** 2 + 1
    of_sums = [
        sphere_blocks(log_weights, centers, variances),
        root_blocks(log_weights, centers, roots),
        radial_blocks("linear", log_weights, centers, 1.0),
        *(FITTED["ManifoldParzenWindows", d]._blocks for d in DIMENSIONS),
    ]
    for blocks in of_sums:
        parts = [part for group in blocks for part in group if np.ndim(part)]
        assert len(parts) == 12
        assert all(part.flags.c_contiguous for part in parts)
