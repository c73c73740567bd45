"""A fitted density stays fitted, an unfitted one is fitted in each split."""

import pickle

import numpy as np
import pytest
from scipy.stats import gaussian_kde
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
    validation_curve,
)
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skgengeo import GenerativeGeodesicDistance
from skgengeo.density import ManifoldParzenWindows, TemperedDensity, as_density
from skgengeo.density._protocol import is_fitted

from ._densities import LogProb, normal_log_density

X, y = make_moons(60, noise=0.1, random_state=0)
# What a density is fitted on beforehand, unlike X: a second fit would show.
ELSEWHERE = make_moons(50, noise=0.3, random_state=1)[0] * 1.5 + 0.3
POINTS = X[:5] + 0.1
SPLITS = KFold(3, shuffle=True, random_state=0)

UNFITTED = {
    "KernelDensity": KernelDensity(bandwidth=0.3),
    "GaussianMixture": GaussianMixture(2, random_state=0),
    "ManifoldParzenWindows": ManifoldParzenWindows(),
    "Pipeline": make_pipeline(StandardScaler(), KernelDensity(bandwidth=0.3)),
    "TemperedDensity": TemperedDensity(KernelDensity(bandwidth=0.3), temperature=2.0),
}
FITTED = {
    **{name: clone(model).fit(ELSEWHERE) for name, model in UNFITTED.items()},
    "gaussian_kde": gaussian_kde(ELSEWHERE.T),
    "callable": normal_log_density,
    "log_prob": LogProb(),
    "as_density": as_density(KernelDensity(bandwidth=0.3).fit(ELSEWHERE)),
    "FrozenEstimator": FrozenEstimator(KernelDensity(bandwidth=0.3).fit(ELSEWHERE)),
}
each_fitted = pytest.mark.parametrize("density", FITTED.values(), ids=FITTED)
each_unfitted = pytest.mark.parametrize("density", UNFITTED.values(), ids=UNFITTED)


def fitted_kde(bandwidth=0.3):
    return KernelDensity(bandwidth=bandwidth).fit(ELSEWHERE)


def geodesic_distance(density, **params):
    return GenerativeGeodesicDistance(density, n_graph_neighbors=8, **params)


def classifier(density):
    return Pipeline(
        [
            ("geodesic", geodesic_distance(density)),
            ("neighbors", KNeighborsClassifier(3, metric="precomputed")),
        ]
    )


def scores_at_points(density):
    return as_density(density).score_samples(POINTS)


def log_density_at_a_point(estimator, X=None, y=None):
    """A score by which a search tells which density it has used."""
    geodesic = estimator["geodesic"] if isinstance(estimator, Pipeline) else estimator
    return geodesic.density_.score_samples(POINTS[:1])[0]


# Copies


COPIES = {
    "clone": clone,
    "clone twice": lambda geodesic: clone(clone(geodesic)),
    "clone of a fitted one": lambda geodesic: clone(geodesic.fit(X)),
    "pickle": lambda geodesic: pickle.loads(pickle.dumps(geodesic)),
    "clone, pickle, clone": lambda geodesic: clone(
        pickle.loads(pickle.dumps(clone(geodesic)))
    ),
    "set_params": lambda geodesic: geodesic_distance(KernelDensity()).set_params(
        **geodesic.get_params(deep=False)
    ),
    "set_params of a clone": lambda geodesic: clone(
        geodesic_distance(None).set_params(density=clone(geodesic).density)
    ),
    "clone of a pipeline": lambda geodesic: clone(
        make_pipeline(StandardScaler(), geodesic)
    )[-1],
    "clone of a list": lambda geodesic: clone([geodesic])[0],
}


@each_fitted
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_keep_the_fit(density, copied):
    copy = copied(geodesic_distance(density)).fit(X)
    np.testing.assert_array_equal(
        copy.density_.score_samples(POINTS), scores_at_points(density)
    )


@each_fitted
def test_copies_of_tempered_densities_keep_the_fit(density):
    tempered = clone(geodesic_distance(TemperedDensity(density, temperature=3.0)))
    found = clone(tempered).fit(X).density_.score_samples(POINTS)
    np.testing.assert_allclose(found, scores_at_points(density) / 3.0, rtol=1e-14)


@each_fitted
def test_cloning_leaves_the_original_alone(density):
    geodesic = geodesic_distance(density)
    clone(geodesic).fit(X)
    assert geodesic.density is density
    assert not hasattr(geodesic, "graph_")


def test_cloning_does_not_nest():
    copy = clone(clone(geodesic_distance(fitted_kde())))
    assert isinstance(copy.density, FrozenEstimator)
    assert isinstance(copy.density.estimator, KernelDensity)


@each_unfitted
def test_unfitted_densities_are_cloned_and_fitted(density):
    geodesic = clone(geodesic_distance(density))
    assert geodesic.density is not density
    assert not is_fitted(geodesic.density)
    geodesic.fit(X)
    assert not is_fitted(geodesic.density)
    np.testing.assert_array_equal(
        geodesic.density_.score_samples(POINTS),
        clone(density).fit(X).score_samples(POINTS),
    )


@each_unfitted
def test_a_second_fit_is_of_the_new_samples(density):
    geodesic = geodesic_distance(density).fit(X)
    first = geodesic.density_.score_samples(POINTS)
    moved = clone(geodesic).fit(X + 0.5).density_.score_samples(POINTS + 0.5)
    np.testing.assert_allclose(moved, first, rtol=1e-4)
    assert not np.allclose(geodesic.fit(X * 2).density_.score_samples(POINTS), first)


# Cross-validation and searches


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("name", ["KernelDensity", "TemperedDensity", "gaussian_kde"])
def test_every_split_uses_the_fitted_density(name, n_jobs):
    density = FITTED[name]
    expected = as_density(density).score_samples(POINTS[:1])[0]
    cv = {"cv": SPLITS, "scoring": log_density_at_a_point, "n_jobs": n_jobs}
    model = classifier(density)
    assert (cross_val_score(model, X, y, **cv) == expected).all()
    search = GridSearchCV(model, {"geodesic__lam": [0.1, 1.0]}, **cv).fit(X, y)
    per_split = [search.cv_results_[f"split{s}_test_score"] for s in range(3)]
    assert (np.array(per_split) == expected).all()
    assert log_density_at_a_point(search.best_estimator_) == expected


def test_a_search_does_not_touch_the_fitted_density(watched):
    density = watched().fit(ELSEWHERE)
    mean = density.mean_.copy()
    search = GridSearchCV(classifier(density), {"geodesic__lam": [0.1, 1.0]}, cv=SPLITS)
    search.fit(X, y)
    assert len(watched.fits) == 1
    np.testing.assert_array_equal(density.mean_, mean)


def test_cached_pipelines_keep_the_fit(tmp_path):
    density = fitted_kde()
    cached = classifier(density).set_params(memory=str(tmp_path)).fit(X, y)
    assert log_density_at_a_point(cached) == scores_at_points(density)[0]


def test_no_split_sees_what_it_is_tested_on(watched):
    trained_on = [X[train] for train, _ in SPLITS.split(X)]
    cross_validate(classifier(watched()), X, y, cv=SPLITS)
    for (seen, _), expected in zip(watched.fits, trained_on, strict=True):
        np.testing.assert_array_equal(seen, expected)
    watched.fits.clear()
    lams = {"geodesic__lam": [0.1, 1.0]}
    GridSearchCV(classifier(watched()), lams, cv=SPLITS, refit=False).fit(X, y)
    for (seen, _), expected in zip(watched.fits, trained_on * 2, strict=True):
        np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_parameters_of_an_unfitted_density_are_searched(n_jobs):
    bandwidths = [0.05, 0.3, 2.0]
    cv = {"cv": SPLITS, "scoring": log_density_at_a_point, "n_jobs": n_jobs}
    search = GridSearchCV(
        classifier(KernelDensity()), {"geodesic__density__bandwidth": bandwidths}, **cv
    ).fit(X, y)
    splits = [search.cv_results_[f"split{s}_test_score"] for s in range(3)]
    expected = [
        [
            KernelDensity(bandwidth=h).fit(X[train]).score_samples(POINTS[:1])[0]
            for h in bandwidths
        ]
        for train, _ in SPLITS.split(X)
    ]
    np.testing.assert_allclose(splits, expected, rtol=1e-12)
    assert search.best_estimator_["geodesic"].density_.bandwidth in bandwidths


def test_nested_parameters_of_an_unfitted_density_are_searched():
    tempered = TemperedDensity(KernelDensity(bandwidth=0.3))
    grid = {"density__density__bandwidth": [0.1, 0.5], "density__temperature": [1, 2]}
    search = GridSearchCV(
        geodesic_distance(tempered), grid, cv=SPLITS, scoring=log_density_at_a_point
    ).fit(X)
    assert len(set(search.cv_results_["mean_test_score"])) == 4


def test_the_temperature_of_a_fitted_density_is_searched():
    geodesic = geodesic_distance(TemperedDensity(fitted_kde()))
    search = GridSearchCV(
        geodesic,
        {"density__temperature": [1.0, 2.0]},
        cv=SPLITS,
        scoring=log_density_at_a_point,
    ).fit(X)
    cold, hot = search.cv_results_["mean_test_score"]
    assert cold == pytest.approx(scores_at_points(fitted_kde())[0], rel=1e-14)
    assert hot == pytest.approx(cold / 2, rel=1e-14)


# Parameters of a fitted density

WOULD_CHANGE_NOTHING = (
    r"density__bandwidth=0\.1: the density KernelDensity is fitted, and setting its "
    r"parameters would change nothing\. Pass it unfitted"
)
SETTERS = {
    "set_params": lambda density: geodesic_distance(density).set_params(
        density__bandwidth=0.1
    ),
    "set_params of a clone": lambda density: clone(
        geodesic_distance(density)
    ).set_params(density__bandwidth=0.1),
    "set_params with the density": lambda density: geodesic_distance(None).set_params(
        density=density, density__bandwidth=0.1
    ),
    "set_params of a pipeline": lambda density: classifier(density).set_params(
        geodesic__density__bandwidth=0.1
    ),
    "set_params of a tempered density": lambda density: geodesic_distance(
        TemperedDensity(density)
    ).set_params(density__density__bandwidth=0.1),
    "search": lambda density: GridSearchCV(
        geodesic_distance(density),
        {"density__bandwidth": [0.1, 1.0]},
        cv=SPLITS,
        scoring=log_density_at_a_point,
    ).fit(X),
    "search of a pipeline": lambda density: GridSearchCV(
        classifier(density), {"geodesic__density__bandwidth": [0.1, 1.0]}, cv=SPLITS
    ).fit(X, y),
}


@pytest.mark.parametrize(
    "wrapped", [lambda density: density, as_density, FrozenEstimator]
)
@pytest.mark.parametrize("set_bandwidth", SETTERS.values(), ids=SETTERS)
def test_parameters_of_a_fitted_density_cannot_be_set(set_bandwidth, wrapped):
    with pytest.raises(ValueError, match=WOULD_CHANGE_NOTHING):
        set_bandwidth(wrapped(fitted_kde()))


def test_a_refusal_sets_nothing():
    density = fitted_kde()
    geodesic = geodesic_distance(density, lam=0.5)
    with pytest.raises(ValueError, match="would change nothing"):
        geodesic.set_params(lam=1.0, density__bandwidth=0.1)
    assert geodesic.lam == 0.5
    assert density.bandwidth == 0.3


def test_a_fitted_density_is_replaced():
    geodesic = geodesic_distance(fitted_kde(0.3))
    for density in (fitted_kde(1.0), KernelDensity(bandwidth=0.5)):
        assert geodesic.set_params(density=density).density is density
    geodesic.set_params(density__bandwidth=0.1)
    assert geodesic.fit(X).density_.bandwidth == 0.1
    geodesic.set_params(density=KernelDensity(), density__bandwidth=0.2)
    assert geodesic.fit(X).density_.bandwidth == 0.2


def test_no_density_has_no_parameters():
    message = r"density__n_neighbors=5: density=None .*ManifoldParzenWindows\(\)"
    with pytest.raises(ValueError, match=message):
        geodesic_distance(None).set_params(density__n_neighbors=5)
    with pytest.raises(ValueError, match=message):
        classifier(None).set_params(geodesic__density__n_neighbors=5)


# Fitted candidates of a search

SEARCHES = {
    "grid": lambda grid, n_jobs=1: GridSearchCV(
        classifier(None), grid, cv=SPLITS, n_jobs=n_jobs
    ).fit(X, y),
    "randomized": lambda grid: RandomizedSearchCV(
        classifier(None), grid, n_iter=2, cv=SPLITS
    ).fit(X, y),
    "halving": lambda grid: HalvingGridSearchCV(classifier(None), grid, cv=3).fit(X, y),
    "validation curve": lambda grid: [
        validation_curve(
            classifier(None), X, y, param_name=name, param_range=values, cv=SPLITS
        )
        for name, values in grid.items()
    ],
}
each_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
LOSES_ITS_FIT = (
    r"density={}[\s\S]* is fitted, and a search clones its candidates, which loses "
    r"their fit\. Pass skgengeo\.density\.as_density\(\.\.\.\)"
)


@each_search
def test_bare_fitted_candidates_are_refused(search):
    candidates = [fitted_kde(0.1), fitted_kde(1.0)]
    with pytest.raises(ValueError, match=LOSES_ITS_FIT.format("KernelDensity")):
        search({"geodesic__density": candidates})


@each_unfitted
def test_each_bare_fitted_candidate_is_refused(density):
    # The second of them is met after a legal one.
    candidates = [clone(density), clone(density).fit(ELSEWHERE)]
    name = type(density).__name__
    with pytest.raises(ValueError, match=LOSES_ITS_FIT.format(name)):
        SEARCHES["grid"]({"geodesic__density": candidates})


def test_bare_fitted_candidates_within_a_density_are_refused():
    grid = {
        "geodesic__density": [TemperedDensity()],
        "geodesic__density__density": [fitted_kde()],
    }
    with pytest.raises(ValueError, match=LOSES_ITS_FIT.format("KernelDensity")):
        SEARCHES["grid"](grid)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_adapted_fitted_candidates_keep_their_fit(n_jobs):
    densities = [fitted_kde(0.1), fitted_kde(1.0), gaussian_kde(ELSEWHERE.T)]
    search = GridSearchCV(
        geodesic_distance(None),
        {"density": [as_density(density) for density in densities]},
        cv=SPLITS,
        scoring=log_density_at_a_point,
        n_jobs=n_jobs,
    ).fit(X)
    expected = [scores_at_points(density)[0] for density in densities]
    for split in range(3):
        found = search.cv_results_[f"split{split}_test_score"]
        np.testing.assert_array_equal(found, expected)
    assert log_density_at_a_point(search.best_estimator_) == max(expected)


LEGAL_CANDIDATES = {
    "unfitted": [KernelDensity(bandwidth=0.1), KernelDensity(bandwidth=0.5)],
    "foreign": [normal_log_density, gaussian_kde(ELSEWHERE.T)],
    "tempered": [TemperedDensity(fitted_kde()), TemperedDensity(fitted_kde(1.0))],
    "mixed": [None, as_density(fitted_kde()), KernelDensity()],
}


@pytest.mark.parametrize("densities", LEGAL_CANDIDATES.values(), ids=LEGAL_CANDIDATES)
def test_legal_candidates_are_searched(densities):
    search = GridSearchCV(
        geodesic_distance(None),
        {"density": densities},
        cv=SPLITS,
        scoring=log_density_at_a_point,
    ).fit(X)
    assert len(set(search.cv_results_["mean_test_score"])) == len(densities)


def test_estimators_of_fitted_densities_are_candidates_too():
    densities = [fitted_kde(0.1), fitted_kde(1.0)]
    search = GridSearchCV(
        classifier(None),
        {"geodesic": [geodesic_distance(density) for density in densities]},
        cv=SPLITS,
        scoring=log_density_at_a_point,
    ).fit(X, y)
    expected = [scores_at_points(density)[0] for density in densities]
    np.testing.assert_array_equal(search.cv_results_["split0_test_score"], expected)


# Last, since an error ends the processes that the tests above share.
def test_bare_fitted_candidates_are_refused_in_other_processes():
    with pytest.raises(ValueError, match=LOSES_ITS_FIT.format("KernelDensity")):
        SEARCHES["grid"]({"geodesic__density": [fitted_kde()]}, n_jobs=2)
