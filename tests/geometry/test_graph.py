import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import kneighbors_graph

from skgengeo.geometry import GeodesicGraph, connecting_epsilon
from skgengeo.geometry._neighborhood import are_neighbors
from skgengeo.geometry._shortest_paths import Seeds

from .. import _oracles as oracles
from .._densities import Counting, normal_log_density

TOL = 1e-3
RULES = [{"n_neighbors": 6}, {"epsilon": 0.35}, {"epsilon": 0.3, "n_neighbors": 8}]
JOINED = pytest.mark.filterwarnings("ignore:.*connected components:UserWarning")
NEAREST = pytest.mark.filterwarnings("ignore:.*joined to its nearest:UserWarning")

X, _ = make_moons(150, noise=0.08, random_state=0)
LOG_DENSITY = GaussianMixture(8, random_state=0).fit(X).score_samples
MEDIAN = float(np.median(LOG_DENSITY(X)))
ISLANDS = np.vstack([X, X + np.array([8.0, 1.0]), X[:50] - np.array([0.0, 9.0])])


def graph_of(points=X, log_density=LOG_DENSITY, *, lam=0.1, **parameters):
    if not parameters.keys() & {"epsilon", "n_neighbors", "neighbors_graph"}:
        parameters["n_neighbors"] = 6
    return GeodesicGraph.from_points(points, log_density, lam=lam, **parameters)


def counted_graph(**parameters):
    """A graph, and the density that counts for it."""
    counting = Counting(LOG_DENSITY)
    return graph_of(log_density=counting, **parameters), counting


def new_points(n=20, seed=1):
    """Beside the moons."""
    rng = np.random.default_rng(seed)
    return X[rng.choice(len(X), n)] + 0.1 * rng.normal(size=(n, 2))


def edges_of(graph):
    """Ends i < j and weight of every edge."""
    entries = graph.weights.tocoo()
    once = entries.row < entries.col
    return entries.row[once], entries.col[once], entries.data[once]


def lengths(graph):
    """Euclidean lengths of the edges."""
    i, j, _ = edges_of(graph)
    return np.linalg.norm(graph.X[j] - graph.X[i], axis=1)


def entries_of(seeds):
    """Row, vertex and distance of every seed."""
    return np.repeat(np.arange(seeds.n_searches), np.diff(seeds.indptr)), *seeds[1:]


def assert_within_tolerance(found, expected, tol=TOL, share=0.995):
    errors = np.abs(found / expected - 1)
    assert (errors <= tol).mean() >= share
    assert (errors <= 10 * tol).all()


def assert_weights_are_costs(graph, log_density=LOG_DENSITY, share=0.995):
    i, j, found = edges_of(graph)
    expected = oracles.segment_costs(log_density, graph.X[i], graph.X[j], graph.metric)
    assert_within_tolerance(found, expected, share=share)


# Weights


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("lam", "exponent"), [(1.0, 1.0), (0.1, 1.0), (0.01, 1.0), (0.02, 0.5)]
)
def test_weights_are_costs_of_the_edges(lam, exponent, rule):
    graph = graph_of(lam=lam, exponent=exponent, **rule)
    assert graph.metric == (lam, pytest.approx(MEDIAN), exponent)
    assert_weights_are_costs(graph)


def test_weights_are_the_same_in_both_directions():
    weights = graph_of().weights
    assert (weights != weights.T).nnz == 0


@pytest.mark.parametrize("rule", RULES)
def test_entries_are_the_edges(rule):
    graph = graph_of(**rule)
    i, j, _ = edges_of(graph)
    found = set(zip(i.tolist(), j.tolist(), strict=True))
    assert found == oracles.neighborhood(X, **rule)
    assert graph.n_edges == len(found)


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_tolerance_is_that_of_the_weights(tol):
    graph = graph_of(lam=0.03, quad_tol=tol)
    i, j, found = edges_of(graph)
    expected = oracles.segment_costs(LOG_DENSITY, X[i], X[j], graph.metric, 513)
    assert_within_tolerance(found, expected, tol)
    finer = graph_of(lam=0.03, quad_tol=tol / 10)
    assert finer.n_evaluations > graph.n_evaluations
    assert finer.estimated_error < graph.estimated_error


def test_reference_density_sets_the_unit():
    lam, p0 = 0.1, np.exp(MEDIAN)
    graph = graph_of(lam=lam)
    np.testing.assert_allclose(
        graph_of(lam=lam, p0=p0).weights.data, graph.weights.data, rtol=1e-12
    )
    # With λ p0 kept the cost is multiplied by (p0' + λ p0) / (p0 + λ p0).
    other = graph_of(lam=lam / 3, p0=3 * p0)
    factor = (3 + lam) / (1 + lam)
    np.testing.assert_allclose(
        other.weights.data, factor * graph.weights.data, rtol=1e-12
    )
    back = other.with_metric(lam=lam, p0="auto")
    np.testing.assert_array_equal(back.weights.data, graph.weights.data)


@pytest.mark.parametrize("offset", [-1e4, 1e4])
@pytest.mark.parametrize("lam", [0.0, 0.1, np.inf])
def test_offset_of_log_density_changes_nothing(lam, offset):
    def shifted(points):
        return LOG_DENSITY(points) + offset

    graph, other = graph_of(lam=lam), graph_of(log_density=shifted, lam=lam)
    np.testing.assert_allclose(other.weights.data, graph.weights.data, rtol=TOL)
    Q = new_points()
    np.testing.assert_allclose(
        other.attach(Q).distance, graph.attach(Q).distance, rtol=TOL
    )


# Limits of λ


@pytest.mark.parametrize("metric", [{}, {"p0": 7.0}, {"exponent": 3.0}])
def test_infinite_lam_is_euclidean_to_the_last_bit(metric):
    graph, counting = counted_graph(lam=np.inf, **metric)
    np.testing.assert_array_equal(edges_of(graph)[2], lengths(graph))
    Q, n_points = new_points(), counting.n_points
    q, x, found = entries_of(graph.attach(Q))
    np.testing.assert_array_equal(found, np.linalg.norm(X[x] - Q[q], axis=1))
    assert counting.n_points == n_points
    np.testing.assert_allclose(graph.distances(), dijkstra(graph.weights), rtol=1e-14)


def test_large_lam_approaches_euclidean_length():
    graph = graph_of(lam=1e9)
    np.testing.assert_allclose(edges_of(graph)[2], lengths(graph), rtol=1e-6)


def test_zero_lam_is_the_reference_over_the_density():
    graph = graph_of(lam=0.0)
    assert_weights_are_costs(graph)
    close = graph_of(lam=1e-12)
    np.testing.assert_allclose(close.weights.data, graph.weights.data, rtol=TOL)
    assert graph.saturated_share == 0.0


def inside_the_disc(points):
    return np.where(np.linalg.norm(points, axis=1) < 1.3, -1.0, -np.inf)


def test_density_of_compact_support():
    graph = graph_of(log_density=inside_the_disc, lam=0.1)
    outside = np.isneginf(graph.neighborhood.log_density)
    assert 0 < outside.sum() < len(X) / 2
    i, j, found = edges_of(graph)
    ceiling = 1.1 / 0.1
    mean = found / lengths(graph)
    assert mean.min() >= 1 - 1e-12
    assert mean.max() <= ceiling * (1 + 1e-12)
    far = outside[i] & outside[j] & (X[i, 0] > 1.35) & (X[j, 0] > 1.35)
    np.testing.assert_allclose(mean[far], ceiling, rtol=1e-12)
    # The error that a jump leaves is reported.
    sharp = graph_of(log_density=inside_the_disc, lam=0.1, quad_tol=1e-8)
    assert sharp.estimated_error > 1e-8
    with pytest.raises(ValueError, match=r"lam=0 with a density that is zero"):
        graph.with_metric(lam=0.0)


def test_median_outside_the_support():
    with pytest.raises(ValueError, match=r"median density is zero.*widen its kernel"):
        graph_of(log_density=lambda points: np.full(len(points), -np.inf))


def test_degenerate_metric():
    steep = graph_of(log_density=lambda points: 2000 * points[:, 0], lam=np.inf)
    with pytest.raises(ValueError, match=r"metric is degenerate.*TemperedDensity"):
        steep.with_metric(lam=0.1)


# Another metric


INSIDE = [
    {"lam": 1.0},
    {"lam": 0.01},
    {"lam": 50.0, "exponent": 0.2},
    {"lam": np.inf},
    {"lam": 1e-3, "p0": 10 * np.exp(MEDIAN)},
    {"p0": 2.0},
    {"exponent": 0.5},
    {},
]
BEYOND = [
    {"lam": 1e-4},
    {"lam": 0.0},
    {"exponent": 2.0},
    {"lam": 0.1, "p0": 1e-3 * np.exp(MEDIAN)},
]


@pytest.mark.parametrize("metric", INSIDE)
def test_other_metric_within_range_costs_no_evaluation(metric):
    graph, counting = counted_graph()
    n_points = counting.n_points
    assert graph.n_evaluations == n_points
    other = graph.with_metric(**metric)
    assert other.n_evaluations == counting.n_points == n_points
    expected = graph_of(**{"lam": 0.1, **metric})
    np.testing.assert_array_equal(other.weights.data, expected.weights.data)
    assert other.metric == expected.metric


@pytest.mark.parametrize("metric", BEYOND)
def test_other_metric_beyond_counts_and_reports_evaluations(metric):
    # Edges across empty space, which small λ shows.
    graph, counting = counted_graph(epsilon=0.4)
    n_points = counting.n_points
    other = graph.with_metric(**metric)
    assert counting.n_points > n_points
    assert other.n_evaluations == counting.n_points
    assert_weights_are_costs(other, share=0.99)
    again = other.with_metric(lam=1.0, p0="auto", exponent=1.0).with_metric(
        **{"lam": 0.1, **metric}
    )
    assert again.n_evaluations == other.n_evaluations == counting.n_points
    np.testing.assert_array_equal(again.weights.data, other.weights.data)


@pytest.mark.parametrize("metric", [INSIDE[0], INSIDE[4], *BEYOND])
def test_other_metric_leaves_the_graph_as_it_is(metric):
    graph = graph_of()
    before = pickle.dumps((graph.weights, graph.neighborhood, graph.metric))
    graph.with_metric(**metric)
    assert pickle.dumps((graph.weights, graph.neighborhood, graph.metric)) == before


def test_new_points_are_refined_for_the_metric_at_hand():
    graph = graph_of().with_metric(lam=1e-3, exponent=2.0)
    Q = new_points()
    q, x, found = entries_of(graph.attach(Q))
    expected = oracles.segment_costs(LOG_DENSITY, Q[q], X[x], graph.metric)
    assert_within_tolerance(found, expected, share=0.99)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"lam": -0.1}, r"lam=-0\.1: .*\[0, inf\].*np\.inf"),
        ({"lam": np.nan}, r"lam=nan: .*\[0, inf\]"),
        ({"p0": 0.0}, r"p0=0\.0: .*above 0, or 'auto'"),
        ({"p0": -1.0}, r"p0=-1\.0: .*above 0, or 'auto'"),
        ({"p0": np.inf}, r"p0=inf: .*finite"),
        ({"p0": "median"}, r"p0='median': .*above 0, or 'auto'"),
        ({"exponent": 0.0}, r"exponent=0\.0: .*positive"),
        ({"exponent": np.nan}, r"exponent=nan: .*positive"),
    ],
)
def test_metric_out_of_range(metric, message):
    with pytest.raises(ValueError, match=message):
        graph_of().with_metric(**metric)
    with pytest.raises(ValueError, match=message):
        graph_of(**{"lam": 1.0, **metric})


# What happened


def test_report():
    graph, counting = counted_graph()
    assert graph.n_vertices == len(X)
    assert graph.n_edges == graph.weights.nnz / 2
    assert graph.n_evaluations == counting.n_points
    assert graph.n_components == 1
    assert graph.bridges.shape == (0, 2)
    assert graph.edge_errors.shape == (graph.n_edges,)
    i, j, _ = edges_of(graph)
    np.testing.assert_array_equal(graph.edges, np.column_stack([i, j]))
    assert 0 < graph.estimated_error == graph.edge_errors.max() <= TOL
    assert graph.reference_log_density == pytest.approx(MEDIAN, rel=1e-12)


def test_repr_names_every_figure():
    graph = graph_of()
    expected = (
        f"GeodesicGraph(n_vertices=150, n_edges={graph.n_edges}, "
        f"n_evaluations={graph.n_evaluations}, "
        f"estimated_error={graph.estimated_error:.2g}, saturated_share=0, "
        "n_components=1, n_bridges=0)"
    )
    assert repr(graph) == expected


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_saturated_share(exponent):
    graph = graph_of(exponent=exponent)
    shares = []
    for lam in (1e-12, 1.0, 30.0, 300.0, 1e6, np.inf):
        other = graph.with_metric(lam=lam)
        middle = X[graph.edges].mean(axis=1)
        share = np.mean(np.exp(LOG_DENSITY(middle) - MEDIAN) < 0.01 * lam)
        assert other.saturated_share == pytest.approx(share, abs=1e-12)
        shares.append(share)
    assert shares[0] == 0.0
    assert shares[-2] == shares[-1] == 1.0
    assert 0 < shares[2] < 1
    assert np.all(np.diff(shares) >= 0)


def test_saturated_share_is_of_edges_that_have_a_length():
    graph = graph_of(np.repeat(X, 2, axis=0), n_neighbors=9)
    assert graph.with_metric(lam=1e6).saturated_share == 1.0


@JOINED
def test_saturated_share_is_of_edges_within_components():
    graph = graph_of(
        ISLANDS, GaussianMixture(8, random_state=0).fit(ISLANDS).score_samples
    )
    assert len(graph.bridges) == 2
    assert graph.saturated_share == 0.0


def test_connecting_epsilon():
    graph = graph_of()
    epsilon = graph.connecting_epsilon()
    assert epsilon == connecting_epsilon(X)
    assert graph_of(epsilon=epsilon).n_components == 1


# Distances and paths


@pytest.mark.parametrize("lam", [0.0, 0.1, np.inf])
def test_distances_are_shortest_paths(lam):
    graph = graph_of(lam=lam)
    found = graph.distances()
    np.testing.assert_allclose(found, dijkstra(graph.weights), rtol=1e-13)
    np.testing.assert_array_equal(found, found.T)
    assert (found.diagonal() == 0).all()


def test_rows_of_distances():
    graph = graph_of()
    rows = np.array([3, 140, 3])
    found, every = graph.distances(rows), graph.distances()
    np.testing.assert_allclose(found, every[rows], rtol=1e-14)
    assert graph.distances([]).shape == (0, len(X))
    single = graph.distances(dtype=np.float32)
    np.testing.assert_array_equal(single, every.astype(np.float32))


def assert_nearest(found, every):
    """The smallest of all distances, and the vertices at these."""
    distances, vertices = found
    k = distances.shape[1]
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :k], rtol=1e-12)
    reached = np.take_along_axis(every, np.maximum(vertices, 0), axis=1)
    np.testing.assert_allclose(
        np.where(vertices < 0, np.inf, reached), distances, rtol=1e-12
    )


@pytest.mark.parametrize("k", [1, 5, 150])
def test_nearest_vertices_and_their_distances(k):
    graph = graph_of()
    distances, vertices = graph.nearest(k)
    assert_nearest((distances, vertices), graph.distances())
    np.testing.assert_array_equal(vertices[:, 0], np.arange(len(X)))
    seeds = graph.attach(new_points())
    assert_nearest(graph.nearest(k, seeds), graph.distances_from(seeds))


@NEAREST
def test_nearest_of_components_that_stay_apart():
    graph = graph_of(ISLANDS, epsilon=0.6, disconnected="inf")
    distances, vertices = graph.nearest(60)
    assert_nearest((distances, vertices), graph.distances())
    # The third island has 50 samples.
    assert ((vertices < 0).sum(axis=1) == 10 * (np.arange(350) >= 300)).all()
    far = graph.attach(np.array([[50.0, 50.0], [0.0, 0.0]]))
    distances, vertices = graph.nearest(2, far)
    assert np.isinf(distances[0]).all()
    assert (vertices[0] == -1).all()
    assert (vertices[1] >= 0).all()


def test_nearest_of_a_vertex_is_itself_before_its_duplicates():
    graph = graph_of(np.repeat(X[:40], 3, axis=0), n_neighbors=8)
    distances, vertices = graph.nearest(4)
    np.testing.assert_array_equal(vertices[:, 0], np.arange(120))
    np.testing.assert_array_equal(distances == 0, [[True] * 3 + [False]] * 120)
    np.testing.assert_array_equal(vertices[:, 1:3] // 3, (vertices // 3)[:, [0, 0]])


def test_path_has_the_length_of_the_distance():
    graph = graph_of()
    every = graph.distances()
    for i, j in [(0, 1), (0, 100), (149, 3), (7, 7)]:
        indices, length = graph.path(i, j)
        assert (indices[0], indices[-1]) == (i, j)
        assert length == pytest.approx(every[i, j], rel=1e-14)
        steps = graph.weights.toarray()[indices[:-1], indices[1:]]
        assert steps.sum() == pytest.approx(length, rel=1e-13)
        assert (steps > 0).all()


# New points


@pytest.mark.parametrize("rule", RULES)
def test_new_points_get_edges_by_the_rule(rule):
    Q = new_points()
    length = np.linalg.norm(Q[:, None] - X[None], axis=2)
    joined = np.ones(length.shape, dtype=bool)
    if "epsilon" in rule:
        joined &= length <= rule["epsilon"]
    if "n_neighbors" in rule:
        joined &= length.argsort(axis=1).argsort(axis=1) < rule["n_neighbors"]
    graph = graph_of(disconnected="inf", **rule)
    q, x, found = entries_of(graph.attach(Q))
    np.testing.assert_array_equal(np.column_stack([q, x]), np.argwhere(joined))
    expected = oracles.segment_costs(LOG_DENSITY, Q[q], X[x], graph.metric)
    assert_within_tolerance(found, expected)


@pytest.mark.parametrize("rule", RULES)
def test_a_new_point_that_equals_a_vertex_is_that_vertex(rule):
    graph, counting = counted_graph(**rule)
    n_points = counting.n_points
    seeds = graph.attach(X)
    np.testing.assert_array_equal(seeds.indptr, np.arange(len(X) + 1))
    np.testing.assert_array_equal(seeds.vertex, np.arange(len(X)))
    assert (seeds.distance == 0).all()
    assert counting.n_points == n_points
    np.testing.assert_array_equal(
        graph.distances_from(seeds), graph.distances(np.arange(len(X)))
    )


@JOINED
@pytest.mark.parametrize("rule", [{"n_neighbors": 2}, {"epsilon": 0.4}])
@pytest.mark.parametrize("copies", [2, 5])
def test_a_new_point_that_equals_duplicates(copies, rule):
    graph = graph_of(np.repeat(X[::3], copies, axis=0), **rule)
    seeds = graph.attach(X[::3])
    q, x, found = entries_of(seeds)
    assert (found == 0).all()
    np.testing.assert_array_equal(x // copies, q)
    np.testing.assert_array_equal(np.unique(q), np.arange(50))
    np.testing.assert_allclose(
        graph.distances_from(seeds), graph.distances()[::copies], rtol=1e-13
    )


def test_new_points_do_not_depend_on_each_other():
    graph, Q = graph_of(), np.vstack([new_points(), X[:3]])
    together = graph.distances_from(graph.attach(Q))
    for row, q in zip(together, Q, strict=True):
        alone = graph.distances_from(graph.attach(q[None]))[0]
        np.testing.assert_allclose(alone, row, rtol=TOL)


def test_no_new_points():
    graph = graph_of()
    nothing = np.empty((0, 2))
    seeds = graph.attach(nothing)
    assert seeds.n_searches == 0
    assert graph.distances_from(seeds).shape == (0, len(X))
    assert graph.distance_between(nothing, nothing).shape == (0,)


FAR = np.array([[0.5, 0.5], [40.0, 0.0], [41.0, 3.0]])


def test_far_points_are_joined_to_their_nearest():
    graph = graph_of(epsilon=0.5)
    with pytest.warns(UserWarning, match=r"2 of 3 points.*joined to its nearest"):
        seeds = graph.attach(FAR)
    q, x, found = entries_of(seeds)
    nearest = np.linalg.norm(FAR[:, None] - X, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(x[q > 0], nearest[1:])
    ends = FAR[1:], X[nearest[1:]]
    expected = oracles.segment_costs(LOG_DENSITY, *ends, graph.metric, 4097)
    np.testing.assert_allclose(found[q > 0], expected, rtol=TOL)
    assert np.isfinite(graph.distances_from(seeds)).all()


def test_far_points_stay_apart():
    graph = graph_of(epsilon=0.5, disconnected="inf")
    found = graph.distances_from(graph.attach(FAR))
    assert np.isfinite(found[0]).all()
    assert np.isinf(found[1:]).all()
    between = graph.distance_between(FAR[[0, 1, 1, 1]], FAR[[1, 0, 2, 1]])
    np.testing.assert_array_equal(between, [np.inf, np.inf, np.inf, 0.0])


def test_far_points_are_refused():
    graph = graph_of(epsilon=0.5, disconnected="error")
    with pytest.raises(ValueError, match=r"2 of 3 points.*epsilon=0\.5.*Raise epsilon"):
        graph.attach(FAR)


# Matched rows


def test_distance_between_vertices_is_that_of_the_matrix():
    graph = graph_of()
    i, j = np.random.default_rng(0).integers(len(X), size=(2, 60))
    i[:5] = j[:5]
    found = graph.distance_between(X[i], X[j])
    np.testing.assert_allclose(found, graph.distances()[i, j], rtol=1e-14)


@pytest.mark.parametrize("rule", RULES)
def test_distance_between_points_is_the_shortest_way(rule):
    graph = graph_of(**rule)
    P, Q = new_points(40), new_points(40, seed=2)
    Q[:15] = P[:15] + 0.05 * (Q[:15] - P[:15])
    P[20:25], Q[25:30] = X[20:25], X[25:30]
    starts, ends = graph.attach(P), graph.attach(Q)
    every = graph.distances()
    expected = np.empty(len(P))
    for row in range(len(P)):
        a, b = starts.take([row]), ends.take([row])
        ways = a.distance[:, None] + every[np.ix_(a.vertex, b.vertex)] + b.distance
        expected[row] = ways.min()
    new = ~((P[:, None] == X).all(axis=2) | (Q[:, None] == X).all(axis=2)).any(axis=1)
    close = new & are_neighbors(graph.search, graph.rule, P, Q)
    assert close[:15].all()
    direct = oracles.segment_costs(LOG_DENSITY, P[close], Q[close], graph.metric)
    assert (direct < expected[close]).any()
    expected[close] = np.minimum(expected[close], direct)
    found = graph.distance_between(P, Q)
    np.testing.assert_allclose(found, expected, rtol=TOL)
    np.testing.assert_allclose(graph.distance_between(Q, P), found, rtol=TOL)


@pytest.mark.parametrize("rule", RULES)
def test_distance_between_a_vertex_and_a_point_is_that_of_its_row(rule):
    graph = graph_of(**rule)
    Q = new_points(8)
    rows = graph.distances_from(graph.attach(Q))
    for q, row in zip(Q, rows, strict=True):
        found = graph.distance_between(X, np.broadcast_to(q, X.shape))
        np.testing.assert_allclose(found, row, rtol=1e-6)


def test_distance_of_a_new_point_to_itself_is_zero():
    Q = new_points()
    assert (graph_of().distance_between(Q, Q) == 0).all()


# Components


@pytest.mark.parametrize("rule", [{"n_neighbors": 6}, {"epsilon": 1.0}])
def test_components_are_connected_with_a_warning(rule):
    with pytest.warns(UserWarning, match=r"3 connected components.*joined by 2 edges"):
        graph = graph_of(ISLANDS, normal_log_density, **rule)
    assert graph.n_components == 3
    assert graph.bridges.shape == (2, 2)
    assert np.isfinite(graph.distances()).all()
    assert "n_components=3, n_bridges=2" in repr(graph)
    i, j = graph.bridges.T
    found = graph.weights.toarray()[i, j]
    expected = oracles.segment_costs(
        normal_log_density, ISLANDS[i], ISLANDS[j], graph.metric, 4097
    )
    np.testing.assert_allclose(found, expected, rtol=TOL)


@pytest.mark.parametrize("rule", [{"n_neighbors": 6}, {"epsilon": 1.0}])
def test_components_stay_apart(rule):
    graph = graph_of(ISLANDS, normal_log_density, disconnected="inf", **rule)
    assert graph.n_components == 3
    assert len(graph.bridges) == 0
    island = np.repeat([0, 1, 2], [150, 150, 50])
    apart = island[:, None] != island
    np.testing.assert_array_equal(np.isinf(graph.distances()), apart)
    indices, length = graph.path(0, 200)
    assert len(indices) == 0
    assert length == np.inf
    between = graph.distance_between(ISLANDS[[0, 0]], ISLANDS[[200, 1]])
    np.testing.assert_array_equal(np.isinf(between), [True, False])


@pytest.mark.parametrize(
    ("rule", "remedy"),
    [
        ({"n_neighbors": 6}, "Raise n_graph_neighbors"),
        ({"epsilon": 1.0}, "The smallest epsilon that connects it is 7.*Raise epsilon"),
    ],
)
def test_components_are_refused(rule, remedy):
    message = f"3 connected components at .*{remedy}.*disconnected='connect'"
    with pytest.raises(ValueError, match=message):
        graph_of(ISLANDS, normal_log_density, disconnected="error", **rule)


# A graph of one's own


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
def test_given_graph_is_that_of_the_rule(mode):
    given = kneighbors_graph(X, 6, mode=mode)
    found = graph_of(neighbors_graph=given).weights
    expected = graph_of().weights
    assert (found != expected).nnz == 0


def test_given_graph_of_a_few_edges():
    entries = ([0.0, 5.0, 1.0], ([0, 2, 3], [1, 1, 3]))
    given = csr_array(entries, shape=(4, 4))
    with pytest.warns(UserWarning, match=r"2 connected components at the given"):
        graph = graph_of(X[:4], normal_log_density, neighbors_graph=given)
    assert graph.n_edges == 3
    assert_weights_are_costs(graph, normal_log_density)
    alone = graph_of(X[:4], neighbors_graph=given, disconnected="inf")
    i, j, _ = edges_of(alone)
    assert set(zip(i, j, strict=True)) == {(0, 1), (1, 2)}
    assert np.isinf(alone.distances()[3, :3]).all()


def test_new_points_of_a_given_graph_are_joined_by_the_rule():
    given, Q = kneighbors_graph(X, 6), new_points()
    for rule in ({"n_neighbors": 3}, {"epsilon": 0.4}):
        rule["disconnected"] = "inf"
        found = graph_of(neighbors_graph=given, **rule).attach(Q)
        expected = graph_of(**rule).attach(Q)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


# Few points, duplicates


@JOINED
@NEAREST
@pytest.mark.parametrize("rule", [{}, {"epsilon": 0.5}, {"epsilon": 9.0}])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_points(n, rule):
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])[:n]
    graph = GeodesicGraph.from_points(points, normal_log_density, lam=0.1, **rule)
    assert graph.n_vertices == n
    assert graph.n_edges >= n - 1
    if n > 1:
        assert_weights_are_costs(graph, normal_log_density)
    every = graph.distances()
    assert every.shape == (n, n)
    assert np.isfinite(every).all()
    assert (every.diagonal() == 0).all()
    indices, length = graph.path(0, n - 1)
    assert (indices[0], indices[-1], length) == (0, n - 1, every[0, n - 1])
    Q = np.array([[0.3, 0.1], [5.0, 5.0]])
    assert np.isfinite(graph.distances_from(graph.attach(Q))).all()
    assert np.isfinite(graph.distance_between(Q, Q[::-1])).all()
    assert f"n_vertices={n}" in repr(graph)
    assert graph.connecting_epsilon() == [0.0, 1.0, 2.0][n - 1]


def test_single_point_without_an_edge():
    graph = GeodesicGraph.from_points(np.zeros((1, 2)), normal_log_density, lam=0.1)
    assert graph.n_evaluations == 1
    assert (graph.n_edges, graph.n_components) == (0, 1)
    assert (graph.estimated_error, graph.saturated_share) == (0.0, 0.0)
    assert graph.distances().tolist() == [[0.0]]


@pytest.mark.parametrize("lam", [0.0, 0.1, np.inf])
def test_edges_between_duplicates_are_stored_zeros(lam):
    graph = graph_of(np.repeat(X, 2, axis=0), lam=lam, n_neighbors=9)
    i, j, found = edges_of(graph)
    duplicates = i // 2 == j // 2
    assert duplicates.sum() == len(X)
    np.testing.assert_array_equal(found == 0, duplicates)
    every = graph.distances()
    assert (every[::2, 1::2].diagonal() == 0).all()
    np.testing.assert_allclose(every[::2], every[1::2], rtol=1e-13)


def test_edges_between_duplicates_need_no_evaluation():
    points, counting = np.repeat(X[:5], 2, axis=0), Counting(LOG_DENSITY)
    graph = graph_of(points, counting, epsilon=1e-9, disconnected="inf")
    assert graph.n_edges == 5
    assert graph.n_evaluations == counting.n_points == len(points)


@JOINED
def test_more_duplicates_than_neighbors():
    points = np.vstack([np.zeros((30, 2)), X])
    graph = graph_of(points, n_neighbors=5)
    every = graph.distances()
    assert (every[:30, :30] == 0).all()
    np.testing.assert_allclose(every[:30], every[[0] * 30], rtol=1e-13)


@JOINED
def test_identical_points():
    graph = graph_of(np.ones((20, 2)), n_neighbors=3)
    assert (graph.distances() == 0).all()
    assert graph.saturated_share == 0.0
    found = graph.distances_from(graph.attach(np.array([[1.0, 1.0], [1.0, 1.5]])))
    assert (found[0] == 0).all()
    assert (found[1] > 0).all()
    assert np.ptp(found[1]) == 0


# Jobs, state


def test_n_jobs_changes_nothing():
    P, Q = new_points(40), new_points(40, seed=2)
    one, two = (graph_of(n_jobs=n_jobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.weights.data, two.weights.data)
    np.testing.assert_array_equal(one.distances(), two.distances())
    for a, b in zip(one.nearest(7), two.nearest(7), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one.attach(Q), two.attach(Q), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        one.distance_between(P, Q), two.distance_between(P, Q)
    )


def test_pickled_graph():
    graph = graph_of()
    copy = pickle.loads(pickle.dumps(graph))
    np.testing.assert_array_equal(copy.distances(), graph.distances())
    Q = new_points()
    np.testing.assert_array_equal(copy.attach(Q).distance, graph.attach(Q).distance)


def test_read_only_points():
    points = X.copy()
    points.setflags(write=False)
    graph = graph_of(points)
    np.testing.assert_array_equal(graph.distances(), graph_of().distances())
    graph.distance_between(points[:3], points[3:6])


def test_distances_from_seeds_add_to_those_of_their_vertices():
    graph = graph_of()
    seeds = Seeds(np.array([0, 2, 2]), np.array([4, 70]), np.array([0.3, 0.1]))
    found, every = graph.distances_from(seeds), graph.distances()
    expected = np.minimum(every[4] + 0.3, every[70] + 0.1)
    np.testing.assert_allclose(found[0], expected, rtol=1e-13)
    assert np.isinf(found[1]).all()
