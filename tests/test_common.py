"""scikit-learn's own checks of every public estimator."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgengeo import (
    GenerativeGeodesicDistance,
    GeodesicAffinity,
    GeodesicInterpolator,
    GeodesicMDS,
    GeodesicNeighborsTransformer,
    GeodesicSpectralClustering,
    GeodesicUMAP,
)
from skgengeo.density import ManifoldParzenWindows, TemperedDensity

ESTIMATORS = [
    GenerativeGeodesicDistance(),
    GeodesicAffinity(),
    GeodesicInterpolator(),
    GeodesicMDS(),
    GeodesicNeighborsTransformer(),
    GeodesicSpectralClustering(),
    GeodesicUMAP(),
    ManifoldParzenWindows(),
    TemperedDensity(),
]


@pytest.fixture(autouse=True)
def _array_api(monkeypatch):
    """One check of scikit-learn is skipped unless this is set."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


# The checks' data fall into clusters.
@pytest.mark.filterwarnings("ignore:The graph has .* connected components:UserWarning")
# Some are smaller than a neighbourhood of UMAP.
@pytest.mark.filterwarnings("ignore:.*reach fewer than n_neighbors:UserWarning")
@parametrize_with_checks(ESTIMATORS)
def test_common_checks(estimator, check):
    check(estimator)
