import pickle

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skgengeo.density import ManifoldParzenWindows, as_density, log_density
from skgengeo.density._protocol import fit_density, is_fitted

from .._densities import (
    ElementwiseLogProb,
    LogProb,
    ScoresSamples,
    normal_log_density,
)


def scattered(n=40, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


# Models of the standard normal, and the number of features they take.
STANDARD_NORMALS = {
    "score_samples": (ScoresSamples(), 2),
    "log_prob": (LogProb(), 2),
    "log_prob, element by element": (ElementwiseLogProb(), 1),
    "multivariate_normal": (stats.multivariate_normal(np.zeros(2)), 2),
    "multivariate_normal of one feature": (stats.multivariate_normal(0.0), 1),
    "univariate norm": (stats.norm(), 1),
    "callable": (normal_log_density, 2),
}
SEARCH = GridSearchCV(KernelDensity(), {"bandwidth": [0.1, 0.5, 1.0]}, cv=3)
UNFITTED = {
    "KernelDensity": KernelDensity(bandwidth=0.4),
    "GaussianMixture": GaussianMixture(2, random_state=0),
    "ManifoldParzenWindows": ManifoldParzenWindows(),
    "Pipeline": make_pipeline(StandardScaler(), KernelDensity(bandwidth=0.4)),
    "GridSearchCV": SEARCH,
    "Pipeline of GridSearchCV": make_pipeline(StandardScaler(), SEARCH),
}


def fitted_estimators():
    X = scattered()
    return {name: clone(model).fit(X) for name, model in UNFITTED.items()}


def kde_log_density(kde, X):
    """A Gaussian of the same covariance at each sample of a scipy KDE."""
    kernels = [stats.multivariate_normal(c, kde.covariance) for c in kde.dataset.T]
    return np.log(np.mean([kernel.pdf(X) for kernel in kernels], axis=0))


# as_density


@pytest.mark.parametrize(
    ("model", "d"), STANDARD_NORMALS.values(), ids=STANDARD_NORMALS
)
def test_foreign_models_score(model, d):
    X = scattered(d=d)
    np.testing.assert_allclose(
        as_density(model).score_samples(X), normal_log_density(X), rtol=1e-13
    )


@pytest.mark.parametrize("d", [1, 2, 3])
def test_gaussian_kde_has_features_first(d):
    # As many points as features: a wrong layout would not show in the shape.
    kde, X = stats.gaussian_kde(scattered(d=d).T), scattered(d, d, seed=1)
    np.testing.assert_allclose(
        as_density(kde).score_samples(X), kde_log_density(kde, X), rtol=1e-10
    )


@pytest.mark.parametrize("name", UNFITTED)
def test_fitted_estimators_score_as_they_do(name):
    model, X = fitted_estimators()[name], scattered(seed=1)
    np.testing.assert_array_equal(
        as_density(model).score_samples(X), model.score_samples(X)
    )


def fitted_densities():
    """Every kind of fitted density, and points that it scores."""
    foreign = {name: (m, scattered(d=d)) for name, (m, d) in STANDARD_NORMALS.items()}
    foreign["gaussian_kde"] = stats.gaussian_kde(scattered().T), scattered(seed=1)
    bandwidths = {"number": 0.4, "rule": "silverman", "function": lambda kde: 0.3}
    for kind, bandwidth in bandwidths.items():
        weighted = stats.gaussian_kde(scattered().T, bandwidth, np.arange(1.0, 41.0))
        foreign[f"gaussian_kde by {kind}"] = weighted, scattered(seed=1)
    fitted = {name: (m, scattered(seed=1)) for name, m in fitted_estimators().items()}
    return foreign | fitted


FITTED = fitted_densities()


@pytest.mark.parametrize(("model", "X"), FITTED.values(), ids=FITTED)
@pytest.mark.parametrize(
    "copied",
    [
        clone,
        lambda density: clone(clone(density)),
        lambda density: pickle.loads(pickle.dumps(density)),
        lambda density: clone(pickle.loads(pickle.dumps(clone(density)))),
        as_density,
    ],
    ids=["clone", "clone twice", "pickle", "clone and pickle", "as_density"],
)
def test_fitted_densities_survive_copies(model, X, copied):
    density = as_density(model)
    expected = density.score_samples(X)
    np.testing.assert_array_equal(copied(density).score_samples(X), expected)


@pytest.mark.parametrize(("model", "X"), FITTED.values(), ids=FITTED)
def test_one_row_at_a_time(model, X):
    density = as_density(model)
    together = log_density(density, X)
    alone = np.concatenate([log_density(density, row[None]) for row in X])
    np.testing.assert_allclose(alone, together, rtol=1e-5)


@pytest.mark.parametrize(("model", "X"), FITTED.values(), ids=FITTED)
def test_fitted_densities_are_not_fitted_again(model, X):
    density = as_density(model)
    assert is_fitted(density)
    assert fit_density(density, X + 100.0) is density


@pytest.mark.parametrize("model", UNFITTED.values(), ids=UNFITTED)
def test_unfitted_estimators_are_fitted_in_a_clone(model):
    assert as_density(model) is model
    X = scattered()
    density = fit_density(model, X)
    assert not is_fitted(model)
    np.testing.assert_array_equal(
        density.score_samples(X), clone(model).fit(X).score_samples(X)
    )


def test_frozen_estimators_are_not_nested():
    density = as_density(KernelDensity().fit(scattered()))
    assert isinstance(density, FrozenEstimator)
    assert as_density(density) is density
    assert not isinstance(density.estimator, FrozenEstimator)


def test_pipelines_that_end_in_a_density_differ_by_their_jacobian():
    X = scattered() * [3.0, 0.5]
    scaler = StandardScaler().fit(X)
    mixture = GaussianMixture(random_state=0)
    inside = make_pipeline(scaler, mixture).fit(X).score_samples(X)
    outside = clone(mixture).fit(X).score_samples(X)
    offset = outside - inside
    np.testing.assert_allclose(offset, -np.log(scaler.scale_).sum(), atol=1e-4)


# What is no density

NO_DENSITIES = {
    "IsolationForest": (IsolationForest(n_estimators=2), "an anomaly score"),
    "OneClassSVM": (OneClassSVM(), "an anomaly score"),
    "LocalOutlierFactor": (LocalOutlierFactor(novelty=True), "an anomaly score"),
    "BernoulliRBM": (BernoulliRBM(n_iter=1), "a pseudo-likelihood"),
}
WRAPPERS = {
    "unfitted": lambda model, X: model,
    "fitted": lambda model, X: clone(model).fit(X),
    "in a pipeline": lambda model, X: make_pipeline(StandardScaler(), model),
    "frozen": lambda model, X: FrozenEstimator(clone(model).fit(X)),
    "frozen pipeline": lambda model, X: FrozenEstimator(make_pipeline(model).fit(X)),
    "pipeline of frozen": lambda model, X: Pipeline(
        [("pca", PCA()), ("model", FrozenEstimator(clone(model).fit(X)))]
    ),
    "in a search": lambda model, X: GridSearchCV(model, {}, scoring=lambda *_: 0.0),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize(("model", "what"), NO_DENSITIES.values(), ids=NO_DENSITIES)
def test_scores_that_are_no_densities_are_refused(model, what, wrap):
    X = np.random.default_rng(0).uniform(size=(20, 2))
    name = type(model).__name__
    with pytest.raises(ValueError, match=f"{name}.*{what}, not a log density. Pass"):
        as_density(wrap(model, X))


@pytest.mark.parametrize("cls", [KernelDensity, IsolationForest, ScoresSamples])
def test_classes_are_refused(cls):
    with pytest.raises(
        TypeError, match=rf"density={cls.__name__} is a class. Pass an instance"
    ):
        as_density(cls)


@pytest.mark.parametrize("nothing", [object(), 3.0, "kde", StandardScaler(), [1.0]])
def test_objects_that_are_nothing_are_refused(nothing):
    with pytest.raises(
        TypeError, match=rf"{type(nothing).__name__} is no density. Pass an object with"
    ):
        as_density(nothing)
