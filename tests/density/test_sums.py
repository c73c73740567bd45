import threading

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

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
    is_sum = key in ANALYTIC or key[0] == "Pipeline"
    assert (kernel_sum_of(FITTED[key]) is not None) == is_sum


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


# Pipelines that end in one


class Doubling(TransformerMixin, BaseEstimator):
    """Twice the points; notes its threads, and has nothing to be fitted."""

    def __init__(self, threads=None):
        self.threads = threads

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        self.threads.append(threading.get_ident())
        return 2 * X


KERNELS = KernelDensity(bandwidth=0.7, kernel="exponential", leaf_size=1000)
PIPELINES = {
    "scaled": make_pipeline(StandardScaler(), KDE),
    "without a step": make_pipeline("passthrough", None, KERNELS),
    "alone": make_pipeline(KERNELS),
    "two steps": make_pipeline(StandardScaler(), PCA(1), KERNELS),
    "of pipelines": make_pipeline(
        make_pipeline(StandardScaler(), PCA()),
        make_pipeline(PolynomialFeatures(), GaussianMixture(2, random_state=0)),
    ),
    "of a search": make_pipeline(
        StandardScaler(), GridSearchCV(KDE, {"bandwidth": [0.3, 0.5]}, cv=2)
    ),
    "of frames": make_pipeline(
        StandardScaler(), PCA().set_output(transform="pandas"), KERNELS
    ),
    "tempered": make_pipeline(StandardScaler(), TemperedDensity(KDE, temperature=3.0)),
}


@pytest.mark.parametrize("wrap", [as_density, lambda density: density])
@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_pipelines_transform_what_their_last_step_sums(pipeline, wrap):
    X, Q = two_groups(2), among(2)
    density = wrap(clone(pipeline).fit(X))
    assert kernel_sum_of(density) is not None
    found = log_density(density, Q)
    assert_log_density(found, density.score_samples(Q))
    np.testing.assert_array_equal(log_density(density, Q, n_jobs=2), found)
    flat = TemperedDensity(density, temperature=2.0).fit(X)
    np.testing.assert_array_equal(log_density(flat, Q), found / 2)


def test_pipelines_of_their_own_scores():
    class Own(Pipeline):
        def score_samples(self, X):
            return 2 * super().score_samples(X)

    own = Own([("scale", StandardScaler()), ("density", KDE)]).fit(two_groups(2))
    other = make_pipeline(StandardScaler(), clone(KDE).set_params(metric="manhattan"))
    for density in (own, other.fit(two_groups(2))):
        assert kernel_sum_of(density) is None
        np.testing.assert_array_equal(
            log_density(density, among(2)), density.score_samples(among(2))
        )


def test_steps_of_a_pipeline_run_in_one_thread():
    threads = []
    density = make_pipeline(Doubling(threads), KDE).fit(two_groups(2))
    threads.clear()
    found = log_density(density, among(2), n_jobs=2)
    assert threads == [threading.get_ident()]
    np.testing.assert_array_equal(found, log_density(density[-1], 2 * among(2)))
    threads.clear()
    with config_context(working_memory=1):
        log_density(density, np.zeros((60, 2)))
    assert len(threads) == 4  # of 16 rows


def test_the_gradient_of_a_pipeline_is_that_of_its_log_density():
    density = make_pipeline(StandardScaler(), KERNELS).fit(two_groups(2))
    Q, scale = among(2)[60:], density[0].scale_
    inner = log_density_gradient(density[-1], density[0].transform(Q))
    found = log_density_gradient(density, Q)
    np.testing.assert_allclose(found, inner / scale, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("Q", "message"),
    [
        (np.zeros((5, 3)), r"Pipeline raised ValueError.*\(5, 3\): X has 3 features"),
        (np.full((5, 2), np.nan), "Pipeline raised ValueError.*contains NaN"),
    ],
)
def test_points_of_pipelines_are_checked(Q, message):
    with pytest.raises(ValueError, match=message):
        log_density(FITTED["Pipeline", 2], Q)


def test_steps_of_a_pipeline_look_at_names_themselves():
    frame = pd.DataFrame(two_groups(2), columns=["a", "b"])
    other_order = frame[["b", "a"]]
    by_name = ColumnTransformer([("scale", StandardScaler(), ["b", "a"])])
    found = log_density(make_pipeline(by_name, KDE).fit(frame), other_order)
    by_place = make_pipeline(StandardScaler(), KDE).fit(other_order)
    np.testing.assert_array_equal(found, log_density(by_place, other_order))
    with pytest.raises(ValueError, match=r"Pipeline raised ValueError.*names should"):
        log_density(by_place, frame)
    nameless = make_pipeline(StandardScaler(), KDE).fit(two_groups(2))
    tempered = TemperedDensity(nameless, temperature=2.0).fit(frame)
    with pytest.raises(ValueError, match=r"\['a', 'b'\], and X has \['b', 'a'\]"):
        log_density(tempered, other_order)


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
