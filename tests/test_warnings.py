"""Every warning points at the line that asked, however scikit-learn leads there."""

import ast
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgengeo import (
    GenerativeGeodesicDistance,
    GeodesicAffinity,
    GeodesicMDS,
    GeodesicNeighborsTransformer,
    GeodesicSpectralClustering,
    GeodesicUMAP,
)
from skgengeo._base import warn_if_saturated
from skgengeo.density import TemperedDensity
from skgengeo.plotting import EmbeddingDisplay

from ._densities import normal_log_density
from .test_layers import FILES

X, _ = make_moons(40, noise=0.1, random_state=0)
APART = np.vstack([X, X + 50])
SHAPE = {"density": normal_log_density, "lam": np.inf}
ESTIMATORS = {
    "distance": GenerativeGeodesicDistance(**SHAPE),
    "affinity": GeodesicAffinity(**SHAPE),
    "clustering": GeodesicSpectralClustering(n_clusters=1, **SHAPE),
    "neighbours": GeodesicNeighborsTransformer(**SHAPE),
    "mds": GeodesicMDS(**SHAPE),
    "umap": GeodesicUMAP(**SHAPE, n_neighbors=8, n_epochs=5, random_state=0),
}
estimators = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def assert_points_here(call, message, category=UserWarning):
    """All that is said is said once, of a line in this file."""
    with pytest.warns(category, match=message) as told:
        call()
    told = [warning for warning in told if issubclass(warning.category, category)]
    assert [warning.filename for warning in told] == [__file__] * len(told)
    assert len({str(warning.message) for warning in told}) == len(told)


def methods(estimator, *names):
    return [getattr(estimator, name) for name in names if hasattr(estimator, name)]


@estimators
def test_components(estimator):
    message = "2 connected components"
    for method in methods(estimator, "fit", "fit_transform", "fit_predict"):
        assert_points_here(lambda method=method: method(APART), message)


@estimators
@pytest.mark.filterwarnings("ignore:The graph has .* conn:UserWarning")
def test_new_points_out_of_reach(estimator):
    fitted = clone(estimator).set_params(epsilon=3.0).fit(X)
    far = np.array([[9.0, 9.0]])
    for method in methods(fitted, "transform", "predict"):
        assert_points_here(lambda method=method: method(far), "1 of 1 points have no")


@estimators
def test_densities_that_cannot_be_cached(estimator, tmp_path):
    fits = clone(estimator).set_params(
        density=lambda points: -(points[:, 0] ** 2), memory=str(tmp_path)
    )
    for method in methods(fits, "fit", "fit_transform", "fit_predict"):
        assert_points_here(lambda method=method: method(X), "cannot cache this dens")


NARROW = KernelDensity(bandwidth=1e-3).fit(X)


@estimators
def test_saturated_metrics(estimator):
    saturated = clone(estimator).set_params(density=NARROW, lam=0.05)
    message = (
        r"metric is saturated: in the middle of 100% of the edges \(beyond 95%\).*"
        r"lam=0\.05.*of lam=np\.inf, times about 21\. Pass .*TemperedDensity\(density\)"
    )
    for method in methods(saturated, "fit", "fit_transform", "fit_predict"):
        assert_points_here(lambda method=method: method(X), message)


@pytest.mark.parametrize(
    ("share", "told"), [(0.996, "99.6%"), (0.99996, "99.9%"), (1.0, "100%")]
)
def test_all_edges_are_saturated_where_it_says_so(share, told):
    graph = SimpleNamespace(
        metric=(0.05, 0.0, 2.0),
        saturated_share=share,
        n_edges=100_000,
        reference_log_density=0.0,
    )
    with pytest.warns(UserWarning, match=rf"in the middle of {told} of the edges"):
        warn_if_saturated(graph, NARROW)


def silent(density, **metric):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GenerativeGeodesicDistance(density, **metric).fit(X)


def test_the_remedies_of_a_saturated_metric_help():
    for remedy in (TemperedDensity(NARROW), KernelDensity(bandwidth=0.1)):
        silent(remedy)
    cold = TemperedDensity(NARROW, temperature=2.0)
    with pytest.warns(UserWarning, match="saturated.*Pass a higher temperature"):
        GenerativeGeodesicDistance(cold).fit(X)
    silent(TemperedDensity(NARROW, temperature=1e4))
    with pytest.warns(UserWarning, match="saturated.*Pass p0='auto', the median"):
        GenerativeGeodesicDistance(p0=1e6).fit(X)
    silent(None, p0="auto")
    wide = KernelDensity(bandwidth=0.03).fit(X)
    with pytest.warns(UserWarning, match="saturated.*or a smaller lam"):
        GenerativeGeodesicDistance(wide, lam=99.0).fit(X)
    silent(wide, lam=0.01)


@pytest.mark.parametrize("lam", [0.0, 100.0, np.inf])
def test_a_metric_that_is_meant_so_is_not_called_saturated(lam):
    # Neither is one of a path of λ, which passes through Euclidean ones.
    silent(TemperedDensity(NARROW, temperature=1000.0), lam=lam)
    fitted = GenerativeGeodesicDistance(KernelDensity(bandwidth=0.1)).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(fitted.lam_path([50.0, lam]))


def test_short_rows():
    apart = clone(ESTIMATORS["neighbours"])
    apart.set_params(n_neighbors=50, epsilon=3.0, disconnected="inf")
    assert_points_here(lambda: apart.fit_transform(APART), "80 of 80 rows have fewer")
    apart.fit(APART)
    assert_points_here(lambda: apart.transform(APART), "80 of 80 rows have fewer")


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_coordinates_of_zeros(method):
    line = np.linspace(0, 1, 20)[:, None] * [1.0, 0.0]
    flat = clone(ESTIMATORS["mds"]).set_params(n_components=19)
    assert_points_here(lambda: getattr(flat, method)(line), "coordinates are zero")


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_smacof_that_is_stopped(method):
    short = clone(ESTIMATORS["mds"]).set_params(method="smacof", max_iter=1, eps=0)
    assert_points_here(
        lambda: getattr(short, method)(X),
        "SMACOF has not converged",
        ConvergenceWarning,
    )


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_few_neighbours(method):
    few = clone(ESTIMATORS["umap"])
    assert_points_here(lambda: getattr(few, method)(X[:7]), "reach fewer than n_neigh")
    apart = few.set_params(epsilon=3.0, disconnected="inf", n_neighbors=50)
    assert_points_here(lambda: getattr(apart, method)(APART), "reach fewer than n_nei")


def test_rows_that_are_not_drawn():
    holed = np.where(X[3] == X, np.nan, X)
    display = EmbeddingDisplay(embedding=holed)
    assert_points_here(display.plot, "1 of the 40 rows")
    fitted = clone(ESTIMATORS["mds"]).fit(X)
    fitted.embedding_ = holed
    assert_points_here(
        lambda: EmbeddingDisplay.from_estimator(fitted), "1 of the 40 rows"
    )


# On the way through scikit-learn


def test_in_a_pipeline():
    model = make_pipeline(StandardScaler(), ESTIMATORS["distance"])
    model.set_output(transform="pandas")
    assert_points_here(lambda: model.fit_transform(APART), "2 connected components")


def test_in_a_cross_validation():
    model = ESTIMATORS["clustering"]
    with pytest.warns(UserWarning, match="2 connected components") as told:
        cross_val_predict(model, APART, cv=KFold(2, shuffle=True, random_state=0))
    assert {warning.filename for warning in told} == {__file__}


# All of them


@pytest.mark.parametrize("module", FILES)
def test_warnings_leave_by_one_door(module):
    tree = ast.parse(FILES[module].read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    warns = [ast.unparse(call) for call in calls if call.attr in {"warn"}]
    assert warns == ["warnings.warn"] * (module == "skgengeo._warnings")
