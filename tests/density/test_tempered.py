import pickle

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KernelDensity, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgengeo import GenerativeGeodesicDistance
from skgengeo.density import (
    ManifoldParzenWindows,
    TemperedDensity,
    as_density,
    log_density,
)
from skgengeo.density._tempered import LEAST_TEMPERATURE

from .._densities import Answers, Counting, LogProb, normal_log_density


def scattered(n=40, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


UNFITTED = {
    "KernelDensity": KernelDensity(bandwidth=0.4),
    "GaussianMixture": GaussianMixture(2, random_state=0),
    "ManifoldParzenWindows": ManifoldParzenWindows(),
    "Pipeline": make_pipeline(StandardScaler(), KernelDensity(bandwidth=0.4)),
}
FITTED = {name: clone(model).fit(scattered()) for name, model in UNFITTED.items()}
FITTED["frozen"] = FrozenEstimator(FITTED["KernelDensity"])
FITTED["log_prob"] = LogProb()
FITTED["callable"] = normal_log_density


# The law: log p / T


@pytest.mark.parametrize("temperature", [0.01, 0.5, 1, 2.0, 64.0, 1e6])
@pytest.mark.parametrize("model", FITTED.values(), ids=FITTED)
def test_log_density_is_divided_by_the_temperature(model, temperature):
    X = scattered(seed=1)
    tempered = TemperedDensity(model, temperature=temperature).fit(scattered())
    expected = log_density(as_density(model), X) / temperature
    np.testing.assert_array_equal(tempered.score_samples(X), expected)


@pytest.mark.parametrize("model", UNFITTED.values(), ids=UNFITTED)
def test_temperature_one_changes_nothing(model):
    X, Q = scattered(), scattered(seed=1)
    np.testing.assert_array_equal(
        TemperedDensity(model, temperature=1.0).fit(X).score_samples(Q),
        log_density(clone(model).fit(X), Q),
    )


def test_no_density_is_the_default_one():
    X, Q = scattered(), scattered(seed=1)
    tempered = TemperedDensity(temperature=3.0).fit(X)
    assert isinstance(tempered.density_, ManifoldParzenWindows)
    assert tempered.density is None
    np.testing.assert_array_equal(
        tempered.score_samples(Q), ManifoldParzenWindows().fit(X).score_samples(Q) / 3
    )


def test_temperatures_multiply():
    X, sharp = scattered(), FITTED["KernelDensity"]
    twice = TemperedDensity(TemperedDensity(sharp, temperature=2.0), temperature=3.0)
    once = TemperedDensity(sharp, temperature=6.0)
    np.testing.assert_allclose(
        twice.fit(X).score_samples(X), once.fit(X).score_samples(X), rtol=1e-15
    )


# The temperature that is chosen


@pytest.mark.parametrize("precision", [1.0, 20.0])
@pytest.mark.parametrize("d", [1, 2, 8, 64, 784])
def test_the_temperature_of_a_normal_is_known(d, precision):
    # log p is -|x|^2 / 2 up to a constant, and |x|^2 a chi-square variable, both times
    # the precision, as of a density that is too narrow for its samples.
    square = stats.chi2(d)
    deviations = abs(square.rvs(200_000, random_state=0) - square.median()) / 2
    spread = precision * np.median(deviations) / stats.norm.ppf(0.75)
    # The parallelogram law. Of the 12 nearest the sixth, at every fourth sample.
    X = scattered(4000, d)
    bend = np.median(np.sort(cdist(X[::4], X, "sqeuclidean"), axis=1)[:, 6]) / 8
    bend *= precision
    chosen = TemperedDensity(lambda Q: precision * normal_log_density(Q)).fit(X)
    expected = max(LEAST_TEMPERATURE, d / 2, spread, bend)
    assert chosen.temperature_ == pytest.approx(expected, rel=0.06)
    if precision == 1.0:
        assert expected == max(LEAST_TEMPERATURE, d / 2)
    else:
        assert (expected == bend) == (d >= 64)


def test_copies_of_samples_do_not_change_it():
    X = scattered(200, 8)
    narrow = as_density(KernelDensity(bandwidth=0.3).fit(X))
    once, often = (TemperedDensity(narrow).fit(Y) for Y in (X, np.repeat(X, 3, axis=0)))
    # It is that of the middles between neighbours.
    assert once.temperature_ > X.shape[1] / 2
    assert often.temperature_ == once.temperature_


def test_kernels_at_the_samples_give_the_same_metric_at_any_bandwidth():
    # All samples have the same density, and the way between them is all there is.
    X = scattered(100, 10)
    for kernel in (KernelDensity(bandwidth=h).fit(X) for h in (0.1, 0.05, 0.025)):
        tempered = TemperedDensity(kernel).fit(X)
        assert np.ptp(kernel.score_samples(X)) < 1e-6
        nearest = np.sort(cdist(X, X, "sqeuclidean"), axis=1)[:, 4]
        # Two kernels meet in the middle, which adds log 2, and few others come near.
        expected = np.median(nearest) / (8 * kernel.bandwidth**2) - np.log(2)
        assert tempered.temperature_ == pytest.approx(expected, rel=0.02)


def test_the_order_of_the_samples_changes_nothing():
    X = scattered(200, 64)
    one, other = (TemperedDensity(normal_log_density).fit(Z) for Z in (X, X[::-1]))
    assert one.temperature_ == pytest.approx(other.temperature_, rel=1e-12)
    assert one.temperature_ > LEAST_TEMPERATURE


@pytest.mark.parametrize("n", [40, 1000, 2500])
def test_few_evaluations_beside_those_of_the_samples(n):
    counting = Counting(normal_log_density)
    TemperedDensity(counting).fit(scattered(n))
    assert n < counting.n_points <= n + 1000
    counting = Counting(normal_log_density)
    TemperedDensity(counting, temperature=2.0).fit(scattered(n))
    assert counting.n_points == 0


def test_zero_density_between_samples_is_left_out():
    X = scattered(500)
    at_samples = Answers(
        lambda Q: np.where(np.isin(Q[:, 0], X[:, 0]), 9 * Q[:, 0], -np.inf)
    )
    spread = stats.median_abs_deviation(9 * X[:, 0], scale="normal")
    tempered = TemperedDensity(at_samples).fit(X)
    assert tempered.temperature_ == pytest.approx(spread, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_samples(n):
    tempered = TemperedDensity(normal_log_density).fit(scattered(n))
    assert tempered.temperature_ >= LEAST_TEMPERATURE


@pytest.mark.parametrize("scale", [0.2, 2.0, 30.0])
def test_log_densities_are_brought_within_a_spread_of_one(scale):
    X, Q = scattered(4000), scattered(seed=1)
    tempered = TemperedDensity(Answers(lambda X: 1e4 + scale * X[:, 0])).fit(X)
    expected = max(LEAST_TEMPERATURE, scale)
    assert tempered.temperature_ == pytest.approx(expected, rel=0.06)
    assert tempered.score_samples(X).std() == pytest.approx(scale / expected, rel=0.06)
    assert tempered.score_samples(X).std() < 1.06
    np.testing.assert_allclose(
        tempered.score_samples(Q), (1e4 + scale * Q[:, 0]) / tempered.temperature_
    )


@pytest.mark.parametrize("far", [-1e6, -np.inf])
def test_a_few_samples_of_hardly_any_density_change_little(far):
    X = scattered(200)
    few = Answers(lambda X: np.where(X[:, 0] < -1.5, far, 9 * X[:, 0]))
    all_alike = Answers(lambda X: 9 * X[:, 0])
    chosen, expected = (
        TemperedDensity(d).fit(X).temperature_ for d in (few, all_alike)
    )
    assert chosen == pytest.approx(expected, rel=0.1)


def test_a_density_of_zero_at_most_samples_has_no_spread():
    nowhere = Answers(lambda X: np.where(X[:, 0] > 1, 0.0, -np.inf))
    message = r"zero at \d+ of 40 training samples.*Pass a number as temperature"
    with pytest.raises(ValueError, match=message):
        TemperedDensity(nowhere).fit(scattered())


def test_zero_density_stays_zero():
    X = scattered()
    half = Answers(lambda X: np.where(X[:, 0] > 0, X[:, 0], -np.inf))
    values = TemperedDensity(half, temperature=5.0).fit(X).score_samples(X)
    np.testing.assert_array_equal(values, np.where(X[:, 0] > 0, X[:, 0] / 5, -np.inf))


def test_float32_is_computed_in_float64():
    X = scattered().astype(np.float32)
    tempered = TemperedDensity(temperature=3.0).fit(X)
    assert tempered.score_samples(X).dtype == np.float64
    np.testing.assert_array_equal(
        tempered.score_samples(X), tempered.score_samples(X.astype(np.float64))
    )


# Fitted densities stay fitted, others are fitted with it


@pytest.mark.parametrize("model", UNFITTED.values(), ids=UNFITTED)
def test_an_unfitted_density_is_fitted_at_each_fit(model):
    tempered = TemperedDensity(model, temperature=2.0)
    for seed in (0, 5):
        X = scattered(seed=seed) + seed
        tempered.fit(X)
        assert tempered.density is model
        assert tempered.density_ is not model
        np.testing.assert_array_equal(
            tempered.score_samples(X), log_density(clone(model).fit(X), X) / 2
        )
    with pytest.raises(NotFittedError):
        log_density(model, X)


def test_the_density_is_fitted_once_with_the_targets(watched):
    X, y = scattered(), np.arange(40)
    TemperedDensity(watched(), temperature=2.0).fit(X, y)
    [(samples, targets)] = watched.fits
    np.testing.assert_array_equal(samples, X)
    assert targets is y


def test_a_fitted_density_is_not_fitted_again(watched):
    model = watched().fit(scattered())
    watched.fits.clear()
    tempered = TemperedDensity(model, temperature=2.0).fit(scattered(seed=1) + 9.0)
    assert watched.fits == []
    X = scattered(seed=2)
    np.testing.assert_array_equal(tempered.score_samples(X), model.score_samples(X) / 2)


COPIES = {
    "clone": clone,
    "clone twice": lambda density: clone(clone(density)),
    "pickle": lambda density: pickle.loads(pickle.dumps(density)),
    "clone and pickle": lambda density: pickle.loads(pickle.dumps(clone(density))),
    "clone of fitted": lambda density: clone(density.fit(scattered())),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("model", FITTED.values(), ids=FITTED)
def test_fitted_densities_survive_copies(model, copied):
    tempered = TemperedDensity(model, temperature=2.0)
    X = scattered(seed=1)
    expected = log_density(as_density(model), X) / 2
    copy = copied(tempered)
    assert copy.temperature == 2.0
    # Fitted elsewhere: a density that had lost its fit would follow.
    copy.fit(scattered(seed=3) + 50.0)
    np.testing.assert_array_equal(copy.score_samples(X), expected)


def test_a_fitted_tempered_density_survives_copies():
    X = scattered()
    tempered = TemperedDensity(KernelDensity(), temperature=2.0).fit(X)
    expected = tempered.score_samples(X)
    for copy in (clone(as_density(tempered)), pickle.loads(pickle.dumps(tempered))):
        np.testing.assert_array_equal(copy.score_samples(X), expected)


def test_clones_of_an_unfitted_density_are_unfitted():
    tempered = TemperedDensity(KernelDensity(bandwidth=0.3), temperature=2.0)
    copy = clone(tempered.fit(scattered()))
    assert copy.density is not tempered.density
    assert copy.density.bandwidth == 0.3
    with pytest.raises(NotFittedError):
        copy.score_samples(scattered())


def test_fitting_changes_no_parameter():
    tempered = TemperedDensity(FITTED["KernelDensity"], temperature=2.0)
    before = tempered.get_params(deep=False)
    tempered.fit(scattered())
    after = tempered.get_params(deep=False)
    assert all(after[name] is before[name] for name in before)


# Parameters


def test_parameters_of_an_unfitted_density_can_be_set():
    X = scattered()
    tempered = TemperedDensity(KernelDensity(), temperature=2.0)
    tempered.set_params(density__bandwidth=0.3, temperature=4.0).fit(X)
    np.testing.assert_array_equal(
        tempered.score_samples(X),
        log_density(KernelDensity(bandwidth=0.3).fit(X), X) / 4,
    )


@pytest.mark.parametrize("copied", [lambda density: density, clone])
@pytest.mark.parametrize("name", ["KernelDensity", "frozen"])
def test_parameters_of_a_fitted_density_cannot_be_set(name, copied):
    tempered = copied(TemperedDensity(FITTED[name], temperature=2.0))
    with pytest.raises(
        ValueError,
        match=r"density__bandwidth=0.3: the density KernelDensity is fitted, and",
    ):
        tempered.set_params(density__bandwidth=0.3)
    assert tempered.set_params(temperature=3.0).temperature == 3.0


def test_nor_from_an_estimator_around_it():
    geodesic = GenerativeGeodesicDistance(TemperedDensity(FITTED["KernelDensity"]))
    geodesic.set_params(density__temperature=4.0)
    assert geodesic.density.temperature == 4.0
    with pytest.raises(ValueError, match=r"bandwidth=0.3: .* KernelDensity is fitted"):
        geodesic.set_params(density__density__bandwidth=0.3)


def test_temperature_and_density_can_be_searched():
    X = scattered(60, 3)
    y = X[:, 0]
    pipeline = make_pipeline(
        GenerativeGeodesicDistance(TemperedDensity(KernelDensity()), lam=0.01),
        KNeighborsRegressor(metric="precomputed"),
    )
    name = "generativegeodesicdistance__density"
    grid = {
        f"{name}__temperature": [0.5, 20.0],
        f"{name}__density__bandwidth": [0.2, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=KFold(2), error_score="raise").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    best = search.best_estimator_[0].density_
    assert best.temperature == search.best_params_[f"{name}__temperature"]
    bandwidth = search.best_params_[f"{name}__density__bandwidth"]
    assert best.density_.bandwidth == bandwidth


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, np.nan, np.inf, "hot", None])
def test_wrong_temperatures_are_refused(temperature):
    with pytest.raises(
        ValueError,
        match=r"'temperature' parameter of TemperedDensity must be a float in the "
        r"range \(0.0, inf\) or a str among {'auto'}. Got",
    ):
        TemperedDensity(temperature=temperature).fit(scattered())


def test_what_is_no_density_is_refused():
    with pytest.raises(TypeError, match=r"StandardScaler is no density. Pass"):
        TemperedDensity(StandardScaler()).fit(scattered())


def test_a_wrong_answer_is_named():
    X, bad = scattered(), Answers(lambda X: X[:, 0] * np.nan)
    tempered = TemperedDensity(bad, temperature=2.0).fit(X)
    with pytest.raises(ValueError, match="Answers returned nan at row 0"):
        tempered.score_samples(X)
    with pytest.raises(ValueError, match="Answers returned nan at row 0"):
        TemperedDensity(bad).fit(X)


def test_an_unfitted_density_says_so():
    for model in (KernelDensity(), FITTED["KernelDensity"], None):
        with pytest.raises(NotFittedError, match="TemperedDensity"):
            TemperedDensity(model).score_samples(scattered())


def test_points_of_other_features_are_refused():
    with pytest.raises(ValueError, match=r"3 features, but .* expecting 2 features"):
        TemperedDensity().fit(scattered(20, 2)).score_samples(scattered(5, 3))


# What it is for: many dimensions

# A density, and a metric in which its costs are out of range.
STEEP = {
    "peaked kernels": (KernelDensity(bandwidth=0.05), {"lam": 0.0}),
    "a peaked normal": (lambda X: normal_log_density(10.0 * X), {"lam": 0.1}),
    "a peaked normal, exponent 2": (
        lambda X: normal_log_density(10.0 * X),
        {"lam": 0.0, "exponent": 2.0},
    ),
}


@pytest.mark.parametrize(("density", "metric"), STEEP.values(), ids=STEEP)
def test_a_degenerate_metric_in_64_dimensions(density, metric):
    X = StandardScaler(with_std=False).fit_transform(load_digits().data[:60]) / 5.0
    assert X.shape[1] == 64
    with pytest.raises(
        ValueError, match=r"metric is degenerate: .*TemperedDensity\(density, temperat"
    ):
        GenerativeGeodesicDistance(density, **metric).fit(X)
    tempered = TemperedDensity(density, temperature=64.0)
    distances = GenerativeGeodesicDistance(tempered, **metric).fit_transform(X)
    assert np.all(np.isfinite(distances))
    assert np.all(distances[~np.eye(60, dtype=bool)] > 0)


def low_rank(n, sigma, seed=0):
    """Samples in 784 features near a plane of 5, of different sizes."""
    rng = np.random.default_rng(seed)
    plane = np.random.default_rng(5).normal(size=(5, 784))
    X = rng.normal(size=(n, 5)) @ plane + rng.normal(size=(n, 784))
    return X * rng.lognormal(sigma=sigma, size=(n, 1))


def log_mean_costs(graph):
    """Of each edge."""
    lengths = graph.with_metric(lam=np.inf).weights.data
    return np.log(graph.weights.data / lengths)


@pytest.mark.parametrize("kind", ["low rank", "kernels"])
def test_geodesics_in_784_dimensions(kind):
    X = low_rank(80, sigma=0.5)
    density = KernelDensity(bandwidth=0.5).fit(X)
    if kind == "low rank":
        density = PCA(5).fit(low_rank(1000, sigma=0, seed=1))
    middle = (X[1:] + X[:-1]) / 2
    assert np.ptp(density.score_samples(np.concatenate([X, middle]))) > 1000
    geodesic = GenerativeGeodesicDistance(TemperedDensity(density)).fit(X)
    for lam, distances in geodesic.lam_path([1.0, 0.05, 0.0]):
        assert np.isfinite(distances).all()
        assert (distances[~np.eye(len(X), dtype=bool)] > 0).all()
        graph = geodesic.graph_.with_metric(lam=lam)
        costs = log_mean_costs(graph)
        assert graph.saturated_share < 0.2
        assert abs(np.quantile(costs, [0.1, 0.9])).max() < 3.0
        assert costs.std() > 0.05


def test_exponent_of_the_inverse_dimension():
    X = low_rank(80, sigma=0.5)
    density = PCA(5).fit(low_rank(1000, sigma=0, seed=1))
    with pytest.raises(ValueError, match="metric is degenerate"):
        GenerativeGeodesicDistance(density, lam=0.0).fit(X)
    geodesic = GenerativeGeodesicDistance(density, lam=0.0, exponent=1 / 784).fit(X)
    costs = log_mean_costs(geodesic.graph_)
    assert abs(costs).max() < 3.0
    assert costs.std() > 0.05
    # A ceiling of 21 ** (1 / 784), beside which no edge is dear.
    dearest = log_mean_costs(geodesic.graph_.with_metric(lam=0.05)).max()
    assert dearest < 0.004


def test_temperature_of_the_dimension_is_the_exponent_of_its_inverse():
    # At lam = 0 the cost is (p0 / p) ** (1 / T), whichever of both is given.
    X = scattered(60, 8)
    sharp = ManifoldParzenWindows().fit(X)
    tempered = TemperedDensity(sharp, temperature=8.0)
    by_temperature = GenerativeGeodesicDistance(tempered, lam=0.0).fit_transform(X)
    by_exponent = GenerativeGeodesicDistance(
        sharp, lam=0.0, exponent=1 / 8
    ).fit_transform(X)
    np.testing.assert_allclose(by_temperature, by_exponent, rtol=2e-3)


def test_a_high_temperature_is_euclidean():
    X = scattered(60, 8)
    tempered = TemperedDensity(temperature=1e9)
    np.testing.assert_allclose(
        GenerativeGeodesicDistance(tempered).fit_transform(X),
        GenerativeGeodesicDistance(lam=np.inf).fit_transform(X),
        rtol=1e-3,
    )
