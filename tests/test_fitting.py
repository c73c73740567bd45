"""A fit that fails leaves nothing fitted, and one that works nothing of the last."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

import skgengeo
from skgengeo import (
    GenerativeGeodesicDistance,
    GeodesicMDS,
    GeodesicSpectralClustering,
    GeodesicUMAP,
)
from skgengeo.density import ManifoldParzenWindows, TemperedDensity

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
TWO_GROUPS = np.vstack([X, X + 100.0])
# A parameter with which `fit` fails, late, on TWO_GROUPS.
LATE_FAILURES = [
    (GeodesicMDS(), {"disconnected": "inf"}),
    (GeodesicMDS(method="smacof", n_landmarks=20), {"disconnected": "inf"}),
    (GeodesicUMAP(n_neighbors=5, n_epochs=11), {"learning_rate": 1e300}),
    (GeodesicSpectralClustering(1), {"disconnected": "inf"}),
    (ManifoldParzenWindows(), {"n_neighbors": 90}),
]


def fails(estimator, data):
    with pytest.raises(ValueError, match=r"\. |: "):
        estimator.fit(data)
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)
    assert vars(estimator) == estimator.get_params(deep=False)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize(("estimator", "parameter"), LATE_FAILURES)
def test_failed_fit_forgets_the_last(estimator, parameter):
    known = estimator.fit(X).get_params()
    for data in (X, TWO_GROUPS):
        estimator.set_params(**known).fit(data)
        fails(estimator.set_params(**parameter), TWO_GROUPS)


@pytest.mark.parametrize("name", sorted(set(skgengeo.__all__) - {"__version__"}))
def test_interrupted_fit_is_no_fit(name, monkeypatch):
    estimator = getattr(skgengeo, name)
    estimator = estimator(2) if "Clustering" in name else estimator()
    estimator.fit(X)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("skgengeo._base.LogDensity.__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)


def test_failed_temperature_is_no_fit():
    density = TemperedDensity(lambda X: np.where(X[:, 0] > 1e3, 0.0, -np.inf))
    density.fit(X + 1e6)
    fails(density, X)


def test_refused_parameters_leave_the_fit():
    geodesic = GenerativeGeodesicDistance(GaussianMixture(random_state=0)).fit(X)
    expected = geodesic.transform(X[:3] + 0.1)
    with pytest.raises(ValueError, match="lam"):
        geodesic.set_params(lam=-1.0).fit(X)
    np.testing.assert_array_equal(geodesic.transform(X[:3] + 0.1), expected)


def test_what_scikit_learn_keeps_in_an_estimator_stays():
    geodesic = GenerativeGeodesicDistance(n_landmarks=90).set_output(transform="pandas")
    with config_context(enable_metadata_routing=True):
        geodesic.set_fit_request(neighbors_graph=True)
    told = vars(geodesic).copy()
    assert len(told) == len(geodesic.get_params(deep=False)) + 2
    with pytest.raises(ValueError, match="n_landmarks"):
        geodesic.fit(X)
    assert vars(geodesic) == told


def test_landmarks_are_forgotten():
    geodesic = GenerativeGeodesicDistance(n_landmarks=5, random_state=0).fit(X)
    geodesic.set_params(n_landmarks=None).fit(X)
    assert not hasattr(geodesic, "landmarks_")
    assert geodesic.transform(X[:3]).shape == (3, len(X))
