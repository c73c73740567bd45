"""The laws of geodesic distances, for every kind of density and of graph."""

import signal
from functools import cache
from itertools import pairwise, product
from types import SimpleNamespace

import numpy as np
import pytest
from joblib import Parallel, delayed
from scipy.sparse import coo_array
from scipy.stats import gaussian_kde
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.manifold import Isomap
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgengeo import (
    GenerativeGeodesicDistance,
    GeodesicAffinity,
    GeodesicSpectralClustering,
)
from skgengeo.density import ManifoldParzenWindows, TemperedDensity, as_density
from skgengeo.geometry import _shortest_paths
from skgengeo.geometry._quadrature import Metric

from . import _oracles as oracles

QUAD_TOL = 1e-3
# Sums of the same edges in another order.
ROUNDING = 1e-12
K, EPSILON = 6, 0.5


def moons(n=60, seed=0):
    return make_moons(n, noise=0.12, random_state=seed)[0]


X, NEW = moons(), moons(8, seed=1)


def wavy_log_density(points):
    return -2 * np.sin(3 * points[:, 0]) ** 2 - (points**2).sum(axis=1)


DENSITIES = {
    "KernelDensity": KernelDensity(bandwidth=0.25),
    **{
        f"GaussianMixture {kind}": GaussianMixture(4, covariance_type=kind)
        for kind in ("full", "tied", "diag", "spherical")
    },
    "ManifoldParzenWindows": ManifoldParzenWindows(),
    "gaussian_kde": gaussian_kde(X.T),
    "callable": wavy_log_density,
}
GRAPHS = {
    "kNN": {"n_graph_neighbors": K},
    "epsilon": {"epsilon": EPSILON},
    "both": {"n_graph_neighbors": 2 * K, "epsilon": EPSILON},
    "own": {"neighbors_graph": kneighbors_graph(X, K + 1, mode="distance")},
}


@cache
def fitted(name):
    density = DENSITIES[name]
    if not hasattr(density, "fit"):
        return as_density(density)
    seed = {"random_state": 0} if "Mixture" in name else {}
    return as_density(clone(density).set_params(**seed).fit(X))


def fit(density, samples=X, neighbors_graph=None, **params):
    geodesic = GenerativeGeodesicDistance(density, quad_tol=QUAD_TOL, **params)
    return geodesic.fit(samples, neighbors_graph=neighbors_graph)


def distances(*args, **params):
    return fit(*args, **params).distance_matrix()


@cache
def fitted_case(density, graph):
    geodesic = fit(fitted(density), **GRAPHS[graph])
    return SimpleNamespace(
        density=fitted(density),
        graph_name=graph,
        graph=GRAPHS[graph],
        geodesic=geodesic,
        D=geodesic.distance_matrix(),
    )


@pytest.fixture(params=product(DENSITIES, GRAPHS), ids="-".join)
def case(request):
    """A density, a graph, and the distances that they give."""
    return fitted_case(*request.param)


def pairs_of(graph):
    """Edges (i, j) of a rule or of an own graph, by brute force."""
    if "neighbors_graph" in graph:
        own = graph["neighbors_graph"].tocoo()
        ends = zip(own.row.tolist(), own.col.tolist(), strict=True)
        return {(min(pair), max(pair)) for pair in ends}
    k = graph.get("n_graph_neighbors")
    return oracles.neighborhood(X, epsilon=graph.get("epsilon"), n_neighbors=k)


def shortest_paths(n, i, j, cost):
    """All distances in an undirected graph, by a binary heap."""
    both = np.r_[cost, cost], (np.r_[i, j], np.r_[j, i])
    graph = coo_array(both, shape=(n, n)).tocsr()
    return np.array([oracles.dijkstra(graph, [(v, 0.0)])[0] for v in range(n)])


@cache
def euclidean_distances(graph):
    i, j = np.array(sorted(pairs_of(GRAPHS[graph]))).T
    return shortest_paths(len(X), i, j, np.linalg.norm(X[i] - X[j], axis=1))


# 1: a metric


def test_distances_are_a_metric(case):
    D = case.D
    np.testing.assert_array_equal(D, D.T)
    assert (D.diagonal() == 0).all()
    assert (D[~np.eye(len(D), dtype=bool)] > 0).all()
    for through in range(len(D)):
        detour = D[:, [through]] + D[[through]]
        assert (detour * (1 + ROUNDING) >= D).all()


# 2, 3: Euclidean limits


def constant_log_density(points):
    return np.full(len(points), -3.0)


@pytest.mark.parametrize("lam", [0.0, 0.1, 10.0])
@pytest.mark.parametrize("graph", GRAPHS)
def test_constant_density_is_euclidean(graph, lam):
    found = distances(constant_log_density, lam=lam, **GRAPHS[graph])
    np.testing.assert_allclose(found, euclidean_distances(graph), rtol=ROUNDING)


def test_infinite_lam_is_euclidean(case):
    found = distances(case.density, lam=np.inf, **case.graph)
    expected = euclidean_distances(case.graph_name)
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)


@pytest.mark.parametrize(
    ("graph", "isomap"),
    [
        (GRAPHS["kNN"], Isomap(n_neighbors=K)),
        (GRAPHS["epsilon"], Isomap(radius=EPSILON, n_neighbors=None)),
    ],
    ids=["kNN", "epsilon"],
)
@pytest.mark.parametrize(
    ("density", "lam"), [(constant_log_density, 0.1), (wavy_log_density, np.inf)]
)
def test_euclidean_is_what_isomap_has(graph, isomap, density, lam):
    expected = isomap.fit(X).dist_matrix_
    np.testing.assert_allclose(
        distances(density, lam=lam, **graph), expected, rtol=ROUNDING
    )


# 4: more edges, shorter ways


@pytest.mark.parametrize("disconnected", ["connect", "inf"])
@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.filterwarnings("ignore:The graph has .* connected components:UserWarning")
def test_a_larger_epsilon_never_increases_a_distance(name, disconnected):
    narrow_to_wide = [
        distances(fitted(name), epsilon=epsilon, disconnected=disconnected)
        for epsilon in (0.1, 0.2, 0.4, 0.8, 10.0)
    ]
    for narrow, wide in pairwise(narrow_to_wide):
        assert (wide <= narrow * (1 + QUAD_TOL)).all()


# 5: rigid motions and scaling


class Moved:
    """A density after its points were moved by ``x -> scale (rotation x) + shift``."""

    def __init__(self, density, scale, rotation, shift):
        self.density = density
        self.scale, self.rotation, self.shift = scale, rotation, shift

    def move(self, points):
        return self.scale * points @ self.rotation.T + self.shift

    def move_back(self, points):
        return (points - self.shift) @ self.rotation / self.scale

    def score_samples(self, points):
        log_p = self.density.score_samples(self.move_back(points))
        return log_p - points.shape[1] * np.log(self.scale)


def moved(density, scale):
    rotation = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    return Moved(density, scale, rotation, np.array([30.0, -7.0]))


def scaled(graph, scale):
    return graph | ({"epsilon": scale * EPSILON} if "epsilon" in graph else {})


@pytest.mark.parametrize("scale", [1.0, 1e-3, 50.0])
def test_moving_and_scaling(case, scale):
    density = moved(case.density, scale)
    found = distances(density, density.move(X), **scaled(case.graph, scale))
    np.testing.assert_allclose(found, scale * case.D, rtol=QUAD_TOL)


def test_a_pipeline_scales_up_to_its_jacobian():
    scale, graph = 50.0, GRAPHS["epsilon"]
    density = fitted("GaussianMixture full")
    back = FunctionTransformer(moved(density, scale).move_back)
    pipeline = make_pipeline(back, density)
    found = distances(pipeline, moved(None, scale).move(X), **scaled(graph, scale))
    expected = scale * fitted_case("GaussianMixture full", "epsilon").D
    np.testing.assert_allclose(found, expected, rtol=QUAD_TOL)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 50.0])
def test_the_default_density_moves_with_the_data(scale):
    found = distances(None, moved(None, scale).move(X), n_graph_neighbors=K)
    expected = distances(None, n_graph_neighbors=K)
    np.testing.assert_allclose(found, scale * expected, rtol=QUAD_TOL)


@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_an_offset_of_log_density_changes_nothing(case, offset):
    density = as_density(lambda points: case.density.score_samples(points) + offset)
    found = distances(density, **case.graph)
    np.testing.assert_allclose(found, case.D, rtol=QUAD_TOL)


# 6: the order of the samples


def permuted(graph, order):
    own = graph.get("neighbors_graph")
    return graph if own is None else {"neighbors_graph": own[order][:, order]}


def test_permuting_samples_permutes_distances(case):
    order = np.random.default_rng(0).permutation(len(X))
    found = distances(case.density, X[order], **permuted(case.graph, order))
    np.testing.assert_allclose(found, case.D[np.ix_(order, order)], rtol=QUAD_TOL)


@pytest.mark.parametrize("name", ["KernelDensity", "ManifoldParzenWindows"])
def test_permuting_samples_before_the_density_is_fitted(name):
    order = np.random.default_rng(0).permutation(len(X))
    found = distances(DENSITIES[name], X[order], n_graph_neighbors=K)
    expected = fitted_case(name, "kNN").D[np.ix_(order, order)]
    np.testing.assert_allclose(found, expected, rtol=QUAD_TOL)


def test_an_ulp_stays_within_tolerance(case):
    nudged = np.nextafter(X, np.inf)
    found = distances(case.density, nudged, **case.graph)
    np.testing.assert_allclose(found, case.D, rtol=QUAD_TOL)


# 7, 13: paths, and the slow way


def test_path_is_as_long_as_the_distance(case):
    geodesic = case.geodesic
    metric = Metric(geodesic.lam, geodesic.log_p0_, geodesic.exponent)
    joined = pairs_of(case.graph)
    for i, j in [(0, 1), (3, 50), (17, 42), (59, 0)]:
        indices, length = geodesic.path(i, j)
        assert (indices[0], indices[-1]) == (i, j)
        steps = list(pairwise(indices.tolist()))
        assert {(min(step), max(step)) for step in steps} <= joined
        assert length == pytest.approx(case.D[i, j], rel=ROUNDING)
        start, end = X[indices[:-1]], X[indices[1:]]
        cost = oracles.segment_costs(case.density.score_samples, start, end, metric)
        assert cost.sum() == pytest.approx(length, rel=QUAD_TOL)


def test_distances_are_those_of_the_slow_way(case):
    log_density = case.density.score_samples
    i, j = np.array(sorted(pairs_of(case.graph))).T
    log_p = oracles.log_density_along(log_density, X[i], X[j], 65)
    length = np.linalg.norm(X[i] - X[j], axis=1)
    for lam, found in case.geodesic.lam_path([1.0, 0.1, 0.01]):
        metric = Metric(lam, np.median(log_density(X)))
        cost = length * oracles.mean_costs(log_p, metric)
        np.testing.assert_allclose(
            found, shortest_paths(len(X), i, j, cost), rtol=QUAD_TOL
        )


# 9, 10: new points


def test_a_query_that_is_a_training_sample(case):
    np.testing.assert_allclose(case.geodesic.transform(X), case.D, rtol=ROUNDING)
    np.testing.assert_allclose(
        case.geodesic.distance(X[:-1], X[1:]), case.D.diagonal(1), rtol=ROUNDING
    )


@pytest.mark.parametrize("name", DENSITIES)
def test_a_query_that_is_a_training_sample_to_landmarks(name):
    geodesic = fit(fitted(name), n_landmarks=9, random_state=0, n_graph_neighbors=K)
    expected = fitted_case(name, "kNN").D[:, geodesic.landmarks_]
    np.testing.assert_allclose(geodesic.distance_matrix(), expected, rtol=ROUNDING)
    np.testing.assert_allclose(geodesic.transform(X), expected, rtol=ROUNDING)


@pytest.mark.filterwarnings("ignore:The graph has .* connected components:UserWarning")
@pytest.mark.parametrize("copies", [2, K])
def test_a_query_that_is_several_training_samples(copies):
    samples = np.repeat(X, copies, axis=0)
    geodesic = fit(fitted("KernelDensity"), samples, n_graph_neighbors=K)
    D = geodesic.distance_matrix()
    np.testing.assert_allclose(geodesic.transform(X), D[::copies], rtol=ROUNDING)


@pytest.mark.filterwarnings("ignore:.* no training sample within:UserWarning")
def test_row_by_row_is_all_at_once(case):
    geodesic = case.geodesic
    together = geodesic.transform(NEW)
    alone = np.vstack([geodesic.transform(row[None]) for row in NEW])
    np.testing.assert_allclose(alone, together, rtol=QUAD_TOL)
    pairs = NEW[:-1], NEW[1:]
    together = geodesic.distance(*pairs)
    alone = [
        geodesic.distance(x[None], y[None])[0] for x, y in zip(*pairs, strict=True)
    ]
    np.testing.assert_allclose(alone, together, rtol=QUAD_TOL)
    rows = [geodesic.distance_matrix([row])[0] for row in range(0, 60, 7)]
    np.testing.assert_allclose(rows, case.D[::7], rtol=ROUNDING)


def test_size_of_batches_changes_nothing(case):
    with config_context(working_memory=1):
        found = distances(case.density, **case.graph)
    np.testing.assert_allclose(found, case.D, rtol=QUAD_TOL)


# 11: how, not what


def test_n_jobs_changes_nothing(case):
    geodesic = fit(case.density, n_jobs=2, **case.graph)
    np.testing.assert_array_equal(geodesic.distance_matrix(), case.D)
    np.testing.assert_array_equal(geodesic.transform(X), case.geodesic.transform(X))


def test_memory_changes_nothing(case, tmp_path):
    for _ in range(2):
        found = distances(case.density, memory=str(tmp_path), **case.graph)
        np.testing.assert_array_equal(found, case.D)


def test_float32_changes_rounding_only(case):
    single = X.astype(np.float32)
    geodesic = GenerativeGeodesicDistance(case.density, **rule_of(case.graph))
    own = case.graph.get("neighbors_graph")
    found = geodesic.fit_transform(single, neighbors_graph=own)
    expected = geodesic.fit_transform(single.astype(np.float64), neighbors_graph=own)
    assert (found.dtype, expected.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(found, expected.astype(np.float32))
    np.testing.assert_allclose(found, case.D, rtol=QUAD_TOL)


def rule_of(graph):
    return {key: value for key, value in graph.items() if key != "neighbors_graph"}


# What is made of distances


def scale(distances, m=5):
    """The m-th of the positive distances of each row."""
    return np.sort(distances, axis=1)[:, m]


def fit_case(estimator, case):
    """An estimator with the density and the graph of a case."""
    shared = {"density": case.density, "lam": case.geodesic.lam, "quad_tol": QUAD_TOL}
    estimator.set_params(**shared, **rule_of(case.graph))
    return estimator.fit(X, neighbors_graph=case.graph.get("neighbors_graph"))


def test_affinities_are_those_of_the_distances(case):
    affinity = fit_case(GeodesicAffinity(n_scale_neighbors=5), case)
    expected = np.exp(-(case.D**2) / np.outer(scale(case.D), scale(case.D)))
    np.testing.assert_allclose(affinity.transform(X), expected, atol=ROUNDING)


@pytest.mark.filterwarnings("ignore:.* no training sample within:UserWarning")
def test_clusters_of_new_points_are_those_of_the_nearest(case):
    clustering = fit_case(GeodesicSpectralClustering(4), case)
    labels = clustering.labels_
    assert set(labels) == set(range(4))
    np.testing.assert_array_equal(clustering.predict(X), labels)
    nearest = case.geodesic.transform(NEW).argmin(axis=1)
    np.testing.assert_array_equal(clustering.predict(NEW), labels[nearest])


# Extremes


def inside_half_a_plane(points):
    """Constant, and zero beyond 0.3."""
    return np.where(points[:, 0] < 0.3, -1.0, -np.inf)


@pytest.mark.parametrize("lam", [1.0, 0.1])
def test_density_of_compact_support(lam):
    square = np.random.default_rng(0).uniform(-1, 1, size=(100, 2))
    geodesic = fit(inside_half_a_plane, square, lam=lam, epsilon=0.6)
    i, j = np.array(sorted(oracles.neighborhood(square, epsilon=0.6))).T
    left, right = np.sort(np.column_stack([square[i, 0], square[j, 0]])).T
    inside = np.clip((0.3 - left) / (right - left), 0, 1)
    mean_cost = inside + (1 - inside) * (1 + lam) / lam
    cost = np.linalg.norm(square[i] - square[j], axis=1) * mean_cost
    exact = shortest_paths(len(square), i, j, cost)
    # What a jump leaves is reported.
    tolerance = max(QUAD_TOL, geodesic.graph_.estimated_error)
    assert tolerance < 0.01
    np.testing.assert_allclose(geodesic.distance_matrix(), exact, rtol=tolerance)


@pytest.mark.parametrize("order", ["in turn", "shuffled"])
def test_more_duplicates_than_neighbors(order):
    places = X[:8]
    place = np.repeat(np.arange(8), 30)
    if order == "shuffled":
        place = np.random.default_rng(0).permutation(place)
    with pytest.warns(UserWarning, match=r"connected components at n_graph_neighbors"):
        found = distances(wavy_log_density, places[place], lam=0.1, n_graph_neighbors=5)
    # What is left is the spanning tree of the places.
    i, j, _ = map(np.array, zip(*oracles.spanning_tree(places), strict=True))
    metric = Metric(0.1, np.median(wavy_log_density(places[place])))
    cost = oracles.segment_costs(wavy_log_density, places[i], places[j], metric)
    exact = shortest_paths(8, i, j, cost)[np.ix_(place, place)]
    np.testing.assert_allclose(found, exact, rtol=QUAD_TOL)


@pytest.mark.parametrize("graph", [{}, {"epsilon": 5.0}, {"n_graph_neighbors": 1}])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_samples(n, graph):
    if n == 1 and "n_graph_neighbors" in graph:
        graph = {"epsilon": 5.0, "n_graph_neighbors": None}
    # On a line, so that the edge between the ends is as long as the way by the middle.
    samples = np.array([[0.0, 0.0], [2.0, 2.0], [1.0, 1.0]])[:n]
    geodesic = fit(wavy_log_density, samples, **graph)
    metric = Metric(geodesic.lam, np.median(wavy_log_density(samples)))
    i, j = np.indices((n, n)).reshape(2, -1)
    exact = oracles.segment_costs(wavy_log_density, samples[i], samples[j], metric)
    np.testing.assert_allclose(
        geodesic.distance_matrix(), exact.reshape(n, n), rtol=QUAD_TOL
    )
    np.testing.assert_allclose(
        geodesic.transform(samples), exact.reshape(n, n), rtol=QUAD_TOL
    )


@pytest.mark.parametrize("name", ["KernelDensity", "GaussianMixture full", "callable"])
def test_a_constant_feature_changes_nothing(name):
    flat = np.column_stack([X[:, 0], np.full(len(X), 3.0), X[:, 1]])
    density = DENSITIES[name]
    if name == "callable":
        density = as_density(lambda points: wavy_log_density(points[:, ::2]))
    elif "Mixture" in name:
        density = clone(density).set_params(random_state=0)
    found = distances(density, flat, n_graph_neighbors=K)
    np.testing.assert_allclose(found, fitted_case(name, "kNN").D, rtol=QUAD_TOL)


def test_a_constant_feature_with_the_default_density():
    flat = np.column_stack([X[:, 0], np.full(len(X), 3.0), X[:, 1]])
    geodesic = fit(None, flat, n_graph_neighbors=K)
    i, j = np.array(sorted(oracles.neighborhood(flat, n_neighbors=K))).T
    metric = Metric(geodesic.lam, geodesic.log_p0_)
    cost = oracles.segment_costs(
        geodesic.density_.score_samples, flat[i], flat[j], metric
    )
    exact = shortest_paths(len(flat), i, j, cost)
    np.testing.assert_allclose(geodesic.distance_matrix(), exact, rtol=QUAD_TOL)


def pictures(n=40, d=784):
    """A curved sheet of two dimensions among many features, with noise in all."""
    rng = np.random.default_rng(0)
    angle, height = rng.uniform(0, 3, n), rng.uniform(size=n)
    sheet = np.column_stack([np.cos(angle), np.sin(angle), height])
    return sheet @ rng.normal(size=(3, d)) + 0.1 * rng.normal(size=(n, d))


@pytest.mark.parametrize(
    "density",
    [
        TemperedDensity(temperature=784.0),
        TemperedDensity(GaussianMixture(covariance_type="diag"), temperature=50.0),
    ],
    ids=["ManifoldParzenWindows", "GaussianMixture"],
)
def test_many_features(density):
    samples = pictures()
    geodesic = fit(density, samples, n_graph_neighbors=K)
    log_density = geodesic.density_.score_samples
    assert np.ptp(log_density(samples)) > 0.1
    i, j = np.array(sorted(oracles.neighborhood(samples, n_neighbors=K))).T
    metric = Metric(geodesic.lam, geodesic.log_p0_)
    cost = oracles.segment_costs(log_density, samples[i], samples[j], metric, 33)
    exact = shortest_paths(len(samples), i, j, cost)
    apart = exact > 0
    error = np.abs(geodesic.distance_matrix()[apart] / exact[apart] - 1)
    # Far from all kernels the density has ridges so sharp that an edge may miss one.
    assert np.quantile(error, 0.995) <= QUAD_TOL


# Traps


def test_ties_are_broken_alike_by_any_number_of_threads():
    axis = np.arange(9.0)
    lattice = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    one, two = (
        fit(None, lattice, n_graph_neighbors=5, n_jobs=n_jobs) for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.distance_matrix(), two.distance_matrix())
    np.testing.assert_array_equal(one.transform(lattice), two.transform(lattice))


def fit_and_query(geodesic, samples, new):
    assert not samples.flags.writeable
    fresh = clone(geodesic).fit(samples)
    assert not geodesic.graph_.X.flags.writeable
    return fresh.distance_matrix(), geodesic.transform(new), geodesic.path(0, 1)[1]


def test_read_only_memmaps_in_worker_processes():
    # 1.2 MB: above the size from which joblib maps arrays into its workers.
    rng = np.random.default_rng(0)
    samples, new = rng.normal(size=(150, 1000)), rng.normal(size=(2, 1000))
    density = TemperedDensity(KernelDensity(bandwidth=5.0), temperature=1000.0)
    geodesic = fit(density, samples, n_graph_neighbors=K)
    expected = geodesic.distance_matrix(), geodesic.transform(new)
    found = Parallel(n_jobs=2, backend="loky")(
        delayed(fit_and_query)(geodesic, samples, new) for _ in range(2)
    )
    for D, to_new, length in found:
        np.testing.assert_allclose(D, expected[0], rtol=QUAD_TOL)
        np.testing.assert_allclose(to_new, expected[1], rtol=QUAD_TOL)
        assert length == pytest.approx(expected[0][0, 1], rel=QUAD_TOL)


@pytest.fixture
def interruptible():
    """Ctrl-C raises, where tests run in the background too, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("kernel", "search"),
    [
        ("search_lanes", lambda geodesic, X: geodesic.distance_matrix()),
        ("between", lambda geodesic, X: geodesic.distance(X[:150], X[150:])),
    ],
)
def test_interrupts_are_seen_between_short_blocks(monkeypatch, kernel, search):
    compiled, blocks = getattr(_shortest_paths, kernel), []

    def interrupted(*args):
        compiled(*args)
        rows = args[-2]
        blocks.append(len(rows))
        if len(blocks) == 2:
            signal.raise_signal(signal.SIGINT)

    samples = moons(300)
    geodesic = fit(wavy_log_density, samples, n_graph_neighbors=K)
    monkeypatch.setattr(_shortest_paths, kernel, interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(geodesic, samples)
    assert len(blocks) == 2
    assert max(blocks) <= _shortest_paths.BATCH
