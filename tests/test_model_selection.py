"""A search evaluates the density along an edge once for each split, with memory=."""

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, kneighbors_graph
from sklearn.pipeline import Pipeline

from skgengeo import (
    GenerativeGeodesicDistance,
    GeodesicAffinity,
    GeodesicSpectralClustering,
)
from skgengeo.density import as_density
from skgengeo.geometry._quadrature import Segments

from ._densities import WatchedDensity

pytestmark = [
    pytest.mark.filterwarnings("ignore:The graph has .* components:UserWarning"),
    pytest.mark.filterwarnings("ignore:.* no training sample within:UserWarning"),
]

X, Y = make_moons(60, noise=0.08, random_state=0)
FOLDS = KFold(2, shuffle=True, random_state=0)


class SeenDensity(WatchedDensity):
    """Two normal densities side by side; notes each point, and for which fit."""

    seen: list = []

    def score_samples(self, X):
        self.seen.extend((self.fit_id, row.tobytes()) for row in X)
        return np.logaddexp(super().score_samples(X), super().score_samples(X - 0.5))

    @property
    def fit_id(self):
        return self.mean_.tobytes(), self.scale


@pytest.fixture(autouse=True)
def _nothing_seen(watched, monkeypatch):
    monkeypatch.setattr(SeenDensity, "seen", [])


def pipeline(**params):
    steps = [
        ("geodesic", GenerativeGeodesicDistance(**params)),
        ("classifier", KNeighborsClassifier(3, metric="precomputed")),
    ]
    return Pipeline(steps)


def clustering(**params):
    return GeodesicSpectralClustering(2, n_scale_neighbors=5, **params)


def search(make, grid, *, density=None, memory=None, **params):
    """A search for the classifier or the clusterer; `grid` is for the geodesics."""
    density = SeenDensity() if density is None else density
    model = make(density=density, memory=memory and str(memory))
    prefix = "geodesic__" if make is pipeline else ""
    return GridSearchCV(
        model,
        {prefix + name: values for name, values in grid.items()},
        cv=FOLDS,
        scoring="accuracy" if make is pipeline else "adjusted_rand_score",
        error_score="raise",
        **params,
    ).fit(X, Y)


def scores(found):
    return np.array([found.cv_results_[f"split{s}_test_score"] for s in range(2)])


def points_of(graph):
    """All points at which a graph needs the density, as bytes."""
    profile, edges = graph.neighborhood.profile, graph.neighborhood.edges
    edge = np.repeat(np.arange(graph.n_edges), np.diff(profile.indptr))
    inner = (profile.position > 0) & (profile.position < 1)
    segments = Segments(graph.X, edges.i, graph.X, edges.j, None, None)
    along = segments.points(edge[inner], profile.position[inner])
    assert len(graph.X) + len(along) == graph.n_evaluations
    return {row.tobytes() for row in np.vstack([graph.X, along])}


def training_points(grid, parts):
    """What the graphs of all candidates need: points, and the fits of their density."""
    points = set()
    for part, params in product(parts, ParameterGrid(grid)):
        geodesic = GenerativeGeodesicDistance(SeenDensity()).set_params(**params)
        graph = geodesic.fit(X[part]).graph_
        fit_id = geodesic.density_.fit_id
        points |= {(fit_id, point) for point in points_of(graph)}
    return points


EPSILONS = [0.35, 0.5, 0.7]
STEEP = {"density__scale": [0.25]}
GRIDS = {
    "epsilon, ascending": {"lam": [1.0, 0.1, 0.01], "epsilon": EPSILONS},
    "epsilon, descending": {"lam": [1.0, 0.1], "epsilon": EPSILONS[::-1]},
    "neighbours": {"lam": [1.0, 0.1], "n_graph_neighbors": [4, 8, 6]},
    "both": {"epsilon": [0.5, 0.35], "n_graph_neighbors": [4, 8]},
    "components": {"epsilon": [0.25, 0.2, 0.3], "n_graph_neighbors": [2, 4]},
    "small lam": {"lam": [1e-4, 1e-3, 0.1], "epsilon": EPSILONS[:2], **STEEP},
    "exponent and p0": {"exponent": [2.0, 0.5], "p0": [5.0, "auto", 1e-3], **STEEP},
    "tolerance": {"quad_tol": [1e-2, 1e-4, 1e-3], "epsilon": EPSILONS[:2]},
    "density": {"density__scale": [1.0, 0.5], "epsilon": EPSILONS[:2]},
}
MODELS = {"classifier": pipeline, "clusterer": clustering}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


@each_model
@pytest.mark.parametrize("name", GRIDS)
def test_a_search_evaluates_each_point_once(tmp_path, make, name):
    grid = GRIDS[name]
    found = search(make, grid, memory=tmp_path, refit=False)
    seen = Counter(SeenDensity.seen)
    assert len(SeenDensity.fits) == 2 * len(grid.get("density__scale", [0]))
    parts = [train for train, _ in FOLDS.split(X)]
    assert {seen[point] for point in training_points(grid, parts)} == {1}
    without = search(make, grid, refit=False)
    np.testing.assert_array_equal(scores(found), scores(without))


def test_without_memory_points_are_evaluated_again():
    grid = GRIDS["epsilon, ascending"]
    search(pipeline, grid, refit=False)
    seen = Counter(SeenDensity.seen)
    parts = [train for train, _ in FOLDS.split(X)]
    assert {seen[p] for p in training_points(grid, parts)} == {3, 6, 9}


@each_model
def test_the_refit_of_a_search_finds_what_a_fit_has_found(tmp_path, make):
    GenerativeGeodesicDistance(SeenDensity(), memory=str(tmp_path)).fit(X)
    SeenDensity.seen.clear()
    search(make, {"lam": [1.0, 0.1]}, memory=tmp_path)
    seen = Counter(SeenDensity.seen)
    points = training_points({}, [np.arange(len(X))])
    assert {seen[point] for point in points} == {0}


@each_model
def test_processes_of_a_search_find_the_same(tmp_path, make):
    grid = {"lam": [1.0, 0.01], "epsilon": EPSILONS}
    density = KernelDensity(bandwidth=0.3)
    expected = search(make, grid, density=density)
    for memory in (None, tmp_path, tmp_path):
        found = search(make, grid, density=density, memory=memory, n_jobs=2)
        np.testing.assert_array_equal(scores(found), scores(expected))
        assert found.best_params_ == expected.best_params_


def test_fitted_densities_are_kept_apart(tmp_path):
    densities = [as_density(SeenDensity(scale).fit(X)) for scale in (1.0, 0.5)]
    for density, epsilon in product(densities, EPSILONS):
        geodesic = GenerativeGeodesicDistance(density, memory=str(tmp_path))
        graph = clone(geodesic).set_params(epsilon=epsilon).fit(X).graph_
    assert set(Counter(SeenDensity.seen).values()) == {1}
    assert len(SeenDensity.seen) >= 2 * graph.n_vertices


def test_values_belong_to_their_samples(tmp_path):
    density = as_density(SeenDensity().fit(X))
    for samples in (X, X[::-1].copy(), X + 0.1):
        geodesic = GenerativeGeodesicDistance(density)
        expected = geodesic.fit(samples).distance_matrix()
        geodesic.set_params(memory=str(tmp_path)).fit(samples)
        np.testing.assert_array_equal(geodesic.distance_matrix(), expected)


@pytest.mark.parametrize("name", ["small lam", "exponent and p0"])
def test_these_searches_refine(name):
    grid, parts = GRIDS[name], [np.arange(len(X))]
    plain = {**STEEP, "epsilon": grid.get("epsilon", [None])}
    assert training_points(plain, parts) < training_points(grid, parts)


# Any order, any rule


RULES = {
    "epsilon": [{"epsilon": epsilon} for epsilon in EPSILONS],
    "neighbours": [{"n_graph_neighbors": k} for k in (4, 6, 9)],
    "tolerance": [{"quad_tol": tol} for tol in (1e-2, 1e-6, 1e-4)],
    "any": [
        {"epsilon": 0.2, "disconnected": "inf"},
        {"neighbors_graph": kneighbors_graph(X, 7)},
        {"n_graph_neighbors": 2, "epsilon": 0.5, "lam": 1e-4},
    ],
}


def fit(density, neighbors_graph=None, **params):
    geodesic = GenerativeGeodesicDistance(density, **params)
    return geodesic.fit(X, neighbors_graph=neighbors_graph)


@pytest.mark.parametrize(
    "density", [SeenDensity(), KernelDensity(bandwidth=0.5, kernel="exponential")]
)
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_memory_changes_nothing_in_any_order(tmp_path, density, rules):
    expected = [fit(density, **rule) for rule in rules]
    for n, order in enumerate(permutations(range(len(rules)))):
        for i in order:
            found = fit(density, memory=str(tmp_path / str(n)), **rules[i])
            graph, other = found.graph_, expected[i].graph_
            np.testing.assert_array_equal(graph.weights.data, other.weights.data)
            np.testing.assert_array_equal(graph.edge_errors, other.edge_errors)
            assert graph.n_evaluations == other.n_evaluations
            np.testing.assert_array_equal(
                found.distance_matrix(), expected[i].distance_matrix()
            )


def weights_with_and_without_memory(density, folder, rule):
    """Of the graph of many samples, of which windows leave out many kernels."""
    samples, _ = make_moons(300, noise=0.05, random_state=0)
    geodesic = GenerativeGeodesicDistance(density, **rule)
    alone = geodesic.fit(samples).graph_.weights.data
    geodesic.set_params(memory=str(folder))
    return geodesic.fit(samples).graph_.weights.data, alone


@pytest.mark.parametrize(
    ("density", "rtol"),
    [
        (None, 1e-8),
        (KernelDensity(bandwidth=0.3), 1e-11),
        (GaussianMixture(5, random_state=0), 1e-11),
    ],
)
def test_values_that_depend_on_the_batch_change_little(tmp_path, density, rtol):
    # All sum over many points at a time: up to rounding, and to the kernels that they
    # leave out.
    for rule in RULES["neighbours"]:
        kept, alone = weights_with_and_without_memory(density, tmp_path, rule)
        np.testing.assert_allclose(kept, alone, rtol=rtol)


def test_the_default_density_depends_on_the_batch(tmp_path):
    # Or the test above would say nothing about it.
    pairs = [
        weights_with_and_without_memory(None, tmp_path, rule)
        for rule in RULES["neighbours"]
    ]
    assert any((kept != alone).any() for kept, alone in pairs)


def test_a_smaller_graph_costs_nothing_and_a_larger_one_its_new_edges(tmp_path):
    memory = str(tmp_path)
    middle = fit(SeenDensity(), epsilon=0.5, memory=memory).graph_
    assert len(SeenDensity.seen) == middle.n_evaluations
    fit(SeenDensity(), epsilon=0.35, memory=memory)
    assert len(SeenDensity.seen) == middle.n_evaluations
    large = fit(SeenDensity(), epsilon=0.7, memory=memory).graph_
    assert len(SeenDensity.seen) == large.n_evaluations


def test_estimators_share_what_they_evaluate(tmp_path):
    memory = str(tmp_path)
    fit(SeenDensity(), n_graph_neighbors=8, memory=memory)
    n_seen = len(SeenDensity.seen)
    for cls in (GeodesicAffinity, GeodesicSpectralClustering):
        cls(density=SeenDensity(), n_graph_neighbors=6, lam=0.5, memory=memory).fit(X)
    assert len(SeenDensity.seen) == n_seen
    assert len(SeenDensity.fits) == 1


def test_one_file_for_each_fit_of_a_density(tmp_path):
    found = search(clustering, GRIDS["density"], memory=tmp_path)
    best = found.best_estimator_
    for params in ({"lam": 1e-3}, {"quad_tol": 1e-2}, {"epsilon": 0.7}):
        clone(best).set_params(**params).fit(X)
    kept = list(tmp_path.rglob("log_density_at_nodes/*/output.pkl"))
    assert len(kept) == 2 * 2 + 1  # two scales in two splits, and the best for all
