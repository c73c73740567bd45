"""Every refusal states the value, the rule and the remedy."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.neural_network import BernoulliRBM
from sklearn.svm import OneClassSVM

from skgengeo import (
    GenerativeGeodesicDistance,
    GeodesicAffinity,
    GeodesicNeighborsTransformer,
    GeodesicSpectralClustering,
)
from skgengeo.density import TemperedDensity
from skgengeo.geometry import connecting_epsilon

from ._densities import Answers, normal_log_density

OF_SCALES = [GeodesicAffinity, GeodesicSpectralClustering]
ESTIMATORS = [GenerativeGeodesicDistance, GeodesicNeighborsTransformer, *OF_SCALES]
estimators = pytest.mark.parametrize("estimator", ESTIMATORS)
X = np.random.default_rng(0).normal(size=(30, 2))


def answer(value):
    """A density that answers with `value` at the sample of row 7."""

    def log_density(points):
        return np.where((points == X[7]).all(axis=1), value, -1.0)

    return log_density


def raises(error):
    def log_density(points):
        raise error

    return log_density


class FailsToFit(BaseEstimator):
    """Needs more samples than there are."""

    def fit(self, X, y=None):
        raise KeyError("component 3")

    def score_samples(self, X):
        return X[:, 0]


class ReturnsNothing(BaseEstimator):
    """A fit that forgets to return self."""

    def fit(self, X, y=None):
        self.fitted_ = True

    def score_samples(self, X):
        return normal_log_density(X)


def fit(
    samples=X, neighbors_graph=None, estimator=GenerativeGeodesicDistance, **params
):
    params = {"density": normal_log_density} | params
    return estimator(**params).fit(samples, neighbors_graph=neighbors_graph)


def parts(*patterns):
    """The parts of a message, in their order."""
    return re.compile(r"[\s\S]*".join(patterns))


def in_range(name, given, rule):
    """The message of scikit-learn's table of constraints."""
    return parts(f"The '{name}' parameter", f"must be {rule}", f"Got {given} instead")


WITHOUT_NAN, WITH_NAN, WITH_INF = X, X.copy(), X.copy()
WITH_NAN[3, 1], WITH_INF[3, 1] = np.nan, np.inf

SAMPLES = {
    "NaN": (WITH_NAN, ["contains NaN", "imputer"]),
    "inf": (WITH_INF, ["contains infinity or a value too large"]),
    "text": (np.array([["a", "b"]] * 5), ["could not convert string to float"]),
    "complex": (X.astype(complex), ["Complex data not supported"]),
    "one dimension": (X[:, 0], ["Expected 2D array, got 1D", "Reshape your data"]),
    "three dimensions": (X[None], ["Found array with dim 3"]),
    "no samples": (X[:0], [r"0 sample\(s\)", "minimum of 1 is required"]),
    "no features": (X[:, :0], [r"0 feature\(s\)", "minimum of 1 is required"]),
}


@pytest.mark.parametrize(("samples", "message"), SAMPLES.values(), ids=SAMPLES)
def test_samples(samples, message):
    geodesic, *others, clustering = (fit(estimator=kind) for kind in ESTIMATORS)
    for call in (
        lambda: fit(samples),
        lambda: GenerativeGeodesicDistance().fit_transform(samples),
        lambda: GeodesicAffinity().fit_transform(samples),
        lambda: GeodesicSpectralClustering().fit_predict(samples),
        lambda: TemperedDensity().fit(samples),
    ):
        with pytest.raises(ValueError, match=parts(*message)):
            call()
    if samples.size:
        for call in (
            geodesic.transform,
            lambda Q: geodesic.distance(Q, Q),
            *(other.transform for other in others),
            clustering.predict,
        ):
            with pytest.raises(ValueError, match=parts(*message)):
                call(samples)


FLOAT_ABOVE_0 = r"a float in the range \(0.0, inf\)"
AN_INT_ABOVE_0 = r"an int in the range \[1, inf\)"
PARAMETERS = {
    "epsilon": ([0, 0.0, -1, np.nan, np.inf, "1"], FLOAT_ABOVE_0),
    "n_graph_neighbors": ([0, -3, 2.0, "5"], AN_INT_ABOVE_0),
    "lam": (
        [-0.1, np.nan, -np.inf, "auto", None],
        r"a float in the range \[0.0, inf\]",
    ),
    "p0": ([0, -1.0, np.nan, np.inf, "mean", None], rf"{FLOAT_ABOVE_0} or .*'auto'"),
    "exponent": ([0, -1, np.nan, np.inf, None], FLOAT_ABOVE_0),
    "quad_tol": ([0, 1, -1e-3, np.nan, None], r"a float in the range \(0.0, 1.0\)"),
    "disconnected": (["join", None, True], "a str among .*'connect'"),
    "shortcuts": (["gabriel", None, 2], "an instance of 'bool'"),
    "memory": ([3], "an instance of 'str', an object implementing 'cache' or None"),
    "n_jobs": (["all", 1.5, 0], r"an int in the range \(-inf, -1\], an int .*or None"),
    "random_state": (["seed", -1], "an int in the range"),
    "verbose": (["yes", -1], r"an int in the range \[0, inf\)"),
}
OF_AFFINITIES = {
    "affinity": (["gaussian", None, 3], "a str among .*'rbf'.* or a callable"),
    "gamma": ([0, -1.0, np.nan, np.inf, "scale"], f"{FLOAT_ABOVE_0} or None"),
    "n_scale_neighbors": ([0, -1, 2.0, None, "all"], f"{AN_INT_ABOVE_0} or .*'auto'"),
}
OWN_PARAMETERS = {
    GenerativeGeodesicDistance: {"n_landmarks": ([0, -1, 2.0], AN_INT_ABOVE_0)},
    GeodesicNeighborsTransformer: {
        "n_neighbors": ([0, -1, 2.0, None], AN_INT_ABOVE_0),
        "mode": (["distances", None], "a str among .*'connectivity'"),
        "symmetric": (["yes", None], "an instance of 'bool'"),
    },
    GeodesicAffinity: {
        **OF_AFFINITIES,
        "n_neighbors": ([0, -1, 2.0, "auto"], f"{AN_INT_ABOVE_0} or None"),
    },
    GeodesicSpectralClustering: {
        **OF_AFFINITIES,
        "n_neighbors": ([0, -1, 2.0, "all"], f"{AN_INT_ABOVE_0}, a str .*'auto'.*None"),
        "n_clusters": ([0, -1, 2.0, None], AN_INT_ABOVE_0),
        "assign_labels": (["ward", None], "a str among .*'cluster_qr'"),
    },
}
BAD_PARAMETERS = [
    (estimator, name, value, rule)
    for estimator in ESTIMATORS
    for name, (values, rule) in (PARAMETERS | OWN_PARAMETERS[estimator]).items()
    for value in values
]


@pytest.mark.parametrize(("estimator", "name", "value", "rule"), BAD_PARAMETERS)
def test_parameters(estimator, name, value, rule):
    message = in_range(name, re.escape(repr(value)), rule)
    with pytest.raises(ValueError, match=message):
        fit(estimator=estimator, **{name: value})


@estimators
def test_every_parameter_has_a_rule(estimator):
    named = {*PARAMETERS, *OWN_PARAMETERS[estimator], "density"}
    assert named == set(estimator().get_params(deep=False))


@estimators
def test_unknown_names(estimator):
    with pytest.raises(TypeError, match="unexpected keyword argument 'lamda'"):
        estimator(lamda=1.0)
    with pytest.raises(
        ValueError, match=r"Invalid parameter 'lamda'.*Valid parameters"
    ):
        estimator().set_params(lamda=1.0)


TOO_MANY_NEIGHBORS = [
    {"n_graph_neighbors": 30},
    ["n_graph_neighbors=30 with n_samples=30", "at most 29", "Pass a smaller"],
]
TOO_MANY_SCALES = [
    {"n_scale_neighbors": 30},
    ["n_scale_neighbors=30 with n_samples=30", "at most 29", "Pass fewer, or 'auto'"],
]
MORE_THAN_SAMPLES = [
    *([estimator, *TOO_MANY_NEIGHBORS] for estimator in ESTIMATORS),
    *([estimator, *TOO_MANY_SCALES] for estimator in OF_SCALES),
    [
        GenerativeGeodesicDistance,
        {"n_landmarks": 31},
        ["n_landmarks=31 with n_samples=30", "pass at most 30, or None"],
    ],
    [
        GeodesicSpectralClustering,
        {"n_clusters": 31},
        ["n_clusters=31 with n_samples=30", "pass at most 30"],
    ],
]


@pytest.mark.parametrize(("estimator", "params", "message"), MORE_THAN_SAMPLES)
def test_more_than_there_are_samples(estimator, params, message):
    with pytest.raises(ValueError, match=parts(*message)):
        fit(estimator=estimator, **params)


# The density

NO_DENSITIES = {
    "class": (KernelDensity, TypeError, "KernelDensity is a class. Pass an instance"),
    "string": (
        "kde",
        TypeError,
        "'kde' of type str is no density. Pass an object with",
    ),
    "number": (
        3.0,
        TypeError,
        r"3\.0 of type float is no density. Pass an object with",
    ),
    "outlier detector": (
        IsolationForest(n_estimators=2),
        ValueError,
        "IsolationForest: .*an anomaly score, not a log density. Pass an object with",
    ),
    "fitted outlier detector": (
        OneClassSVM().fit(X),
        ValueError,
        "OneClassSVM: .*an anomaly score, not a log density. Pass an object with",
    ),
    "novelty detector": (
        LocalOutlierFactor(novelty=True),
        ValueError,
        "LocalOutlierFactor: .*an anomaly score, not a log density. Pass an object",
    ),
    "Boltzmann machine": (
        BernoulliRBM(),
        ValueError,
        "BernoulliRBM: .*a pseudo-likelihood, not a log density. Pass an object with",
    ),
}


@pytest.mark.parametrize(
    ("density", "error", "message"), NO_DENSITIES.values(), ids=NO_DENSITIES
)
def test_no_densities(density, error, message):
    for call in (
        lambda: fit(density=density),
        lambda: TemperedDensity(density).fit(X),
        lambda: fit(density=TemperedDensity(density)),
    ):
        with pytest.raises(error, match=message):
            call()


NAMES_THE_ROW = [r"at row 7 \(1 of 30 rows", "at the point", "finite, or -inf outside"]
BAD_DENSITIES = {
    "NaN": (answer(np.nan), ["log_density returned nan", *NAMES_THE_ROW]),
    "+inf": (answer(np.inf), ["log_density returned inf", *NAMES_THE_ROW]),
    "shape": (
        lambda points: points,
        [r"returned an array of shape \(30, 2\)", r"have shape \(30,\)", "ravel"],
    ),
    "column": (
        lambda points: points[:, :1],
        [r"returned an array of shape \(30, 1\)", r"have shape \(30,\)", "ravel"],
    ),
    "dtype": (
        lambda points: np.full(len(points), "high"),
        ["returned <U4", "are real numbers", "Return a float array"],
    ),
    "complex": (
        lambda points: np.zeros(len(points), dtype=complex),
        ["returned complex128", "are real numbers", "Return a float array"],
    ),
    "raises": (
        raises(RuntimeError("no such component")),
        ["raised RuntimeError", r"shape \(30, 2\): no such comp", "any finite points"],
    ),
    "estimator": (
        Answers(answer(np.nan)),
        ["The density Answers returned nan", *NAMES_THE_ROW],
    ),
    "other features": (
        KernelDensity().fit(X[:, :1]),
        ["X has 2 features", "KernelDensity was fitted on 1", "Pass the features of"],
    ),
    "fails to fit": (
        FailsToFit(),
        ["FailsToFit raised KeyError when it was fitted", "component 3", "Change its"],
    ),
    "too many components": (
        GaussianMixture(50),
        ["GaussianMixture raised ValueError", "n_samples = 30", "Change its param"],
    ),
    "own parameters": (
        KernelDensity(bandwidth=-1.0),
        ["KernelDensity raised Inv", "'bandwidth'", r"Got -1\.0", "Change its param"],
    ),
    "temperature": (
        TemperedDensity(temperature=0.0),
        ["'temperature' parameter of TemperedDensity must be a float", r"Got 0\.0"],
    ),
}
bad_densities = pytest.mark.parametrize(
    ("density", "message"), BAD_DENSITIES.values(), ids=BAD_DENSITIES
)


@estimators
@bad_densities
def test_densities(density, message, estimator):
    with pytest.raises(ValueError, match=parts(*message)):
        fit(density=density, estimator=estimator)


@bad_densities
def test_tempered_densities(density, message):
    with pytest.raises(ValueError, match=parts(*message)):
        fit(density=TemperedDensity(density, temperature=2.0))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_densities_that_fail_at_new_points(value):
    def log_density(points):
        return np.where(points[:, 0] > 4, value, normal_log_density(points))

    far = np.array([[0.0, 0.0], [4.5, 0.0]])
    geodesic, *others, clustering = (
        fit(density=log_density, estimator=estimator) for estimator in ESTIMATORS
    )
    message = parts(f"log_density returned {value}", r"\[4\.5 0\. *\]", "-inf outside")
    for call in (
        geodesic.transform,
        lambda Q: geodesic.distance(Q, Q[::-1]),
        *(other.transform for other in others),
        clustering.predict,
    ):
        with pytest.raises(ValueError, match=message):
            call(far)


def test_a_fit_need_not_return_the_density():
    np.testing.assert_array_equal(
        fit(density=ReturnsNothing()).distance_matrix(), fit().distance_matrix()
    )


def test_an_unfitted_density_that_is_frozen():
    with pytest.raises(NotFittedError, match="KernelDensity instance is not fitted"):
        fit(density=FrozenEstimator(KernelDensity()))


# Metrics that cannot be


def vanishes_beyond(limit):
    def log_density(points):
        return np.where(points[:, 0] > limit, -np.inf, -1.0)

    return log_density


def test_a_density_that_is_zero_needs_lam():
    density = vanishes_beyond(1.0)
    message = parts("lam=0 with a density that is zero at", "infinite", "Pass lam > 0")
    with pytest.raises(ValueError, match=message):
        fit(density=density, lam=0)
    positive = fit(density=density, lam=0.1)
    assert np.isfinite(positive.distance_matrix()).all()
    with pytest.raises(ValueError, match=message):
        list(positive.lam_path([0.0]))


def test_a_density_that_is_zero_in_a_gap_needs_no_shortcuts():
    x, y = np.linspace(0, 2, 20), np.linspace(0, 1, 9)
    sides = [np.column_stack([x, np.full(20, height)]) for height in (0, 1)]
    arch = np.vstack([*sides, np.column_stack([np.full(7, 2.0), y[1:-1]])])

    def log_density(points):
        in_the_gap = (points[:, 0] < 1.9) & (abs(points[:, 1] - 0.5) < 0.4)
        return np.where(in_the_gap, -np.inf, -1.0)

    params = {"density": log_density, "lam": 0, "n_graph_neighbors": 3}
    fit(arch, **params)
    message = parts("lam=0 with a density that is zero", "or shortcuts=False where")
    with pytest.raises(ValueError, match=message):
        fit(arch, shortcuts=True, **params)


def test_a_density_that_is_zero_at_most_samples():
    outside = (X[:, 0] > -0.5).sum()
    message = parts(f"zero at {outside} of 30 training samples", "Fit the density on")
    assert outside > 15
    for lam in (0.1, np.inf):
        with pytest.raises(ValueError, match=message):
            fit(density=vanishes_beyond(-0.5), lam=lam)


@pytest.mark.parametrize("params", [{"lam": 0.0}, {"exponent": 1e4}])
def test_degenerate_metrics(params):
    def steep(points):
        return 2000.0 * normal_log_density(points)

    message = parts("metric is degenerate", "must stay within ±700", "TemperedDensity")
    with pytest.raises(ValueError, match=message):
        fit(density=steep, **params)


# The graph


@pytest.mark.parametrize("scale", np.linspace(1, 2, 9))
def test_epsilon_too_small_names_the_smallest_that_connects(scale):
    samples = scale * X
    with pytest.raises(ValueError, match=r"epsilon=0\.1") as refusal:
        fit(samples, epsilon=0.1, disconnected="error")
    message = (
        r"The smallest epsilon that connects it is (\S+)\. Raise epsilon, or pass "
    )
    (named,) = re.findall(message + "disconnected='connect'", str(refusal.value))
    assert float(named) == pytest.approx(connecting_epsilon(samples), rel=2e-5)
    # Passed on as it was printed, it connects; less does not.
    fit(samples, epsilon=float(named), disconnected="error")
    with pytest.raises(ValueError, match="2 connected components"):
        fit(samples, epsilon=float(named) * (1 - 3e-5), disconnected="error")


def test_epsilon_too_small_for_a_new_point():
    geodesic = fit(epsilon=connecting_epsilon(X), disconnected="error")
    message = parts("1 of 2 points have no training sample", "row 1", "Raise epsilon")
    with pytest.raises(ValueError, match=message):
        geodesic.transform(np.array([X[0], [50.0, 0.0]]))


def test_too_few_neighbors():
    message = parts(r"connected components at n_graph_neighbors=1\. Raise n_graph")
    with pytest.raises(ValueError, match=message):
        fit(n_graph_neighbors=1, disconnected="error")


@pytest.mark.parametrize(
    ("n_copies", "copies"),
    [(1, "the sample that is a copy of another "), (2, "the 2 samples that are copi")],
)
def test_too_few_neighbors_beside_copies(n_copies, copies):
    samples = np.vstack([X, X[:n_copies]])
    message = parts(f"Drop {copies}", "raise n_graph_neighbors, or pass")
    with pytest.raises(ValueError, match=message):
        fit(samples, n_graph_neighbors=1, disconnected="error")


GRAPHS = {
    "shape": (csr_array(np.eye(5)), r"neighbors_graph=shape \(5, 5\)"),
    "list": ([[0, 1]], "neighbors_graph=list"),
    "dense": (np.eye(30), "neighbors_graph=ndarray"),
}


@pytest.mark.parametrize(("graph", "message"), GRAPHS.values(), ids=GRAPHS)
def test_own_graphs(graph, message):
    rule = r"sparse matrix of shape \(30, 30\)"
    with pytest.raises(
        ValueError, match=parts(message, rule, "kneighbors_graph makes")
    ):
        fit(neighbors_graph=graph)


def test_own_graphs_of_several_components():
    message = parts("30 connected components at the given", "Add edges to it")
    with pytest.raises(ValueError, match=message):
        fit(neighbors_graph=csr_array((30, 30)), disconnected="error")


# Between fit and use


@estimators
def test_other_features_than_fitted(estimator):
    with pytest.raises(ValueError, match=r"X has 1 features, but .* is expecting 2"):
        applied(fit(estimator=estimator))(X[:, :1])


@estimators
def test_other_names_than_fitted(estimator):
    named = fit(pd.DataFrame(X, columns=["a", "b"]), estimator=estimator)
    with pytest.raises(ValueError, match="feature names should match"):
        applied(named)(pd.DataFrame(X, columns=["b", "a"]))


def applied(fitted):
    """What takes new points."""
    return fitted.predict if hasattr(fitted, "predict") else fitted.transform
