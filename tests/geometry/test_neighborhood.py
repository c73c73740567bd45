import re
import warnings

import numpy as np
import pytest
from sklearn.neighbors import kneighbors_graph

from skgengeo.geometry import connecting_epsilon
from skgengeo.geometry._edges import NeighborSearch
from skgengeo.geometry._neighborhood import (
    REFERENCE_LAMS,
    NeighborhoodRule,
    are_neighbors,
    median_log_density,
    neighbors_of,
    profiled_neighborhood,
    reference_metrics,
    warn_of_bridges,
)

from .. import _oracles as oracles
from .._densities import Counting, normal_log_density

RULES = [
    {"n_neighbors": 4},
    {"epsilon": 1.1},
    {"epsilon": 0.8, "n_neighbors": 6},
]


def scattered(n=60, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def islands(gap=10.0):
    """Three lines of points, `gap` and one and a half times that apart."""
    line = np.column_stack([np.linspace(0, 2, 9), np.zeros(9)])
    shifts = np.array([[0.0, 0.0], [0.0, gap], [0.3, 2.5 * gap]])
    return (line + shifts[:, None]).reshape(-1, 2)


def neighborhood_of(X, log_density=normal_log_density, graph=None, **rule):
    rule = NeighborhoodRule(**rule).resolved(len(X))
    return profiled_neighborhood(X, log_density, rule, graph, 1e-3)


def pairs(edges):
    return set(zip(edges.i.tolist(), edges.j.tolist(), strict=True))


def bridges_of(neighborhood):
    return set(map(tuple, neighborhood.bridges.tolist()))


# The rule


@pytest.mark.parametrize(("n", "k"), [(1, 0), (2, 1), (3, 2), (100, 7)])
def test_number_of_neighbors_is_filled_in(n, k):
    assert NeighborhoodRule().resolved(n).n_neighbors == k


@pytest.mark.parametrize("rule", RULES)
def test_what_is_given_is_kept(rule):
    assert NeighborhoodRule(**rule).resolved(60) == NeighborhoodRule(**rule)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 5), (5, 9)])
def test_more_neighbors_than_there_are(n, k):
    message = rf"n_graph_neighbors={k} with n_samples={n}.*at most {n - 1} neigh.*None"
    with pytest.raises(ValueError, match=message):
        NeighborhoodRule(n_neighbors=k).resolved(n)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"epsilon": 0.0}, r"epsilon=0\.0: .*above 0.*connecting_epsilon"),
        ({"epsilon": -1.0}, r"epsilon=-1\.0: .*above 0.*connecting_epsilon"),
        ({"epsilon": np.nan}, r"epsilon=nan: .*above 0.*connecting_epsilon"),
        ({"n_neighbors": 0}, r"n_graph_neighbors=0: .*at least 1.*None"),
        ({"n_neighbors": -2}, r"n_graph_neighbors=-2: .*at least 1.*None"),
        ({"disconnected": "join"}, r"disconnected='join': pass one of \('connect', "),
    ],
)
def test_rule_out_of_range(rule, message):
    with pytest.raises(ValueError, match=message):
        NeighborhoodRule(**rule).resolved(60)


# Edges


@pytest.mark.parametrize("rule", RULES)
def test_edges_are_those_of_the_rule(rule):
    X = scattered()
    found = neighborhood_of(X, disconnected="inf", **rule)
    assert pairs(found.edges) == oracles.neighborhood(X, **rule)
    assert found.bridges.shape == (0, 2)


def test_given_graph_takes_the_place_of_the_rule():
    X = scattered()
    graph = kneighbors_graph(X, 5)
    found = neighborhood_of(X, graph=graph, epsilon=1e-9, disconnected="inf")
    assert pairs(found.edges) == oracles.neighborhood(X, n_neighbors=5)


def test_vertices_and_inner_nodes_are_evaluated_once():
    X, counting = scattered(), Counting(normal_log_density)
    found = neighborhood_of(X, counting, n_neighbors=4)
    assert counting.n_points == len(X) + found.profile.n_evaluations
    np.testing.assert_array_equal(counting.seen[0], X)
    seen = np.vstack(counting.seen)
    assert len(np.unique(seen, axis=0)) == len(seen)


def test_log_density_and_its_ends():
    X = scattered()
    found = neighborhood_of(X, n_neighbors=4)
    np.testing.assert_array_equal(found.log_density, normal_log_density(X))
    first, last = found.profile.indptr[:-1], found.profile.indptr[1:] - 1
    for node, end in ((first, found.edges.i), (last, found.edges.j)):
        expected = found.log_density[end]
        np.testing.assert_array_equal(found.profile.log_density[node], expected)


# Components


@pytest.mark.parametrize("rule", [{"n_neighbors": 2}, {"epsilon": 0.3}])
def test_components_are_joined_by_the_spanning_tree(rule):
    X = islands()
    apart = neighborhood_of(X, disconnected="inf", **rule)
    joined = neighborhood_of(X, **rule)
    tree = {(i, j) for i, j, length in oracles.spanning_tree(X) if length > 5}
    assert apart.n_components == joined.n_components == 3
    assert bridges_of(joined) == tree
    assert pairs(joined.edges) == pairs(apart.edges) | tree


def test_a_connected_graph_is_left_as_it_is():
    X = scattered()
    rule = {"epsilon": connecting_epsilon(X)}
    ways = [neighborhood_of(X, disconnected=w, **rule) for w in ("connect", "error")]
    for found in ways:
        assert found.n_components == 1
        assert len(found.bridges) == 0
        assert pairs(found.edges) == oracles.neighborhood(X, **rule)


def number_after(words, text):
    return float(text.split(words)[1].split(". ")[0])


def refusal(X, graph=None, **rule):
    with pytest.raises(ValueError, match=r"'connect'.*'inf'") as refused:
        neighborhood_of(X, graph=graph, disconnected="error", **rule)
    return str(refused.value)


@pytest.mark.parametrize("gap", [10.0, 10 + 1e-5, 10 * np.pi, 1e5 / 3])
def test_refusal_names_an_epsilon_that_is_enough(gap):
    X = islands(gap)
    text = refusal(X, epsilon=1.0)
    assert "3 connected components at epsilon=1. " in text
    enough = number_after("The smallest epsilon that connects it is ", text)
    assert 0 <= enough / connecting_epsilon(X) - 1 < 2e-5
    assert neighborhood_of(X, epsilon=enough).n_components == 1


def test_refusal_before_any_density_is_evaluated():
    counting = Counting(normal_log_density)
    with pytest.raises(ValueError, match="3 connected components"):
        neighborhood_of(islands(), counting, epsilon=0.3, disconnected="error")
    assert counting.n_points == 0


def test_refusal_of_a_knn_graph_names_its_neighbors():
    text = refusal(islands(), n_neighbors=3)
    assert "3 connected components at n_graph_neighbors=3. Raise n_graph" in text
    assert "epsilon" not in text


def test_refusal_under_both_rules_names_the_one_that_binds():
    X = islands()
    ball = refusal(X, epsilon=5.0, n_neighbors=20)
    assert "at epsilon=5, n_graph_neighbors=20. No epsilon below 15" in ball
    neighbors = refusal(X, epsilon=50.0, n_neighbors=3)
    assert "Raise n_graph_neighbors" in neighbors
    assert "No epsilon" not in neighbors


def test_refusal_of_a_given_graph():
    X = islands()
    text = refusal(X, graph=kneighbors_graph(X, 2), epsilon=3.0)
    assert "3 connected components at the given neighbors_graph. Add edges" in text


def test_warning_says_what_was_joined_and_how_to_avoid_it():
    X = islands()
    rule = NeighborhoodRule(epsilon=0.3)
    bridges = neighborhood_of(X, epsilon=0.3).bridges
    message = (
        r"3 connected components at epsilon=0\.3\. They were joined by 2 edges.*, "
        r"up to 15\.\d* long\. The smallest epsilon.*disconnected='inf'"
    )
    with pytest.warns(UserWarning, match=message):
        warn_of_bridges(X, rule, None, bridges)


def test_copies_are_the_first_to_go():
    X = np.repeat(islands(), 5, axis=0)
    remedy = r"Drop the 108 samples that are copies of others .*, raise n_graph_neigh"
    assert re.search(remedy, refusal(X, n_neighbors=3))
    assert "copies" not in refusal(islands(), n_neighbors=3)
    assert "copies" not in refusal(X, epsilon=0.3)


def test_no_warning_without_bridges():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_bridges(islands(), NeighborhoodRule(), None, np.empty((0, 2), int))


# New points


def found_by(X, Q, **rule):
    rule = NeighborhoodRule(**rule).resolved(len(X))
    q, x = neighbors_of(NeighborSearch(X), rule, Q)
    found = list(zip(q.tolist(), x.tolist(), strict=True))
    assert len(set(found)) == len(found)
    return set(found)


@pytest.mark.parametrize("d", [2, 20])
@pytest.mark.parametrize(
    "rule", [{"n_neighbors": 4}, {"epsilon": 5.0}, {"epsilon": 4.5, "n_neighbors": 3}]
)
def test_new_points_are_joined_by_the_rule(rule, d):
    X, Q = scattered(d=d), scattered(12, d=d, seed=1)
    length = np.linalg.norm(Q[:, None] - X[None], axis=2)
    joined = np.ones(length.shape, dtype=bool)
    if "epsilon" in rule:
        joined &= length <= rule["epsilon"]
    if "n_neighbors" in rule:
        rank = length.argsort(axis=1).argsort(axis=1)
        joined &= rank < rule["n_neighbors"]
    found = found_by(X, Q, disconnected="inf", **rule)
    assert found == set(map(tuple, np.argwhere(joined).tolist()))


FAR = np.array([[0.1, 0.0], [30.0, 0.0], [0.0, -50.0]])


@pytest.mark.parametrize("more", [{}, {"n_neighbors": 3}])
def test_far_points_are_joined_to_their_nearest_with_a_warning(more):
    X = scattered()
    message = (
        r"2 of 3 points have no training sample within epsilon=0\.5 \(first: row 1\)\."
        r".*joined to its nearest"
    )
    with pytest.warns(UserWarning, match=message):
        found = found_by(X, FAR, epsilon=0.5, **more)
    nearest = np.linalg.norm(FAR[:, None] - X[None], axis=2).argmin(axis=1)
    assert {pair for pair in found if pair[0] > 0} == {(1, nearest[1]), (2, nearest[2])}


def test_far_points_are_refused_and_told_what_reaches_them():
    X = scattered()
    message = r"2 of 3 points .*disconnected='connect'"
    with pytest.raises(ValueError, match=message) as refused:
        found_by(X, FAR, epsilon=0.5, disconnected="error")
    enough = number_after("reaches all is ", str(refused.value))
    found = found_by(X, FAR, epsilon=enough, disconnected="error")
    assert {q for q, _ in found} == {0, 1, 2}


def test_far_points_stay_alone():
    found = found_by(scattered(), FAR, epsilon=0.5, disconnected="inf")
    assert {q for q, _ in found} == {0}


def test_far_points_have_nearest_neighbors_all_the_same():
    assert {q for q, _ in found_by(scattered(), FAR, n_neighbors=2)} == {0, 1, 2}


def test_no_new_points():
    assert found_by(scattered(), np.empty((0, 2)), n_neighbors=3) == set()


@pytest.mark.parametrize("rule", RULES)
def test_pairs_of_new_points_are_joined_as_two_vertices_would_be(rule):
    X = scattered()
    P, Q = scattered(80, seed=1), scattered(80, seed=2)
    Q[::2] = P[::2] + 0.3 * Q[::2]
    resolved = NeighborhoodRule(**rule).resolved(len(X))
    found = are_neighbors(NeighborSearch(X), resolved, P, Q)
    expected = [
        (len(X), len(X) + 1) in oracles.neighborhood(np.vstack([X, p, q]), **rule)
        for p, q in zip(P, Q, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)
    assert 0 < found.sum() < len(found)


# The reference density


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_median_is_that_of_numpy(n):
    values = np.random.default_rng(0).normal(size=n)
    assert median_log_density(values) == pytest.approx(np.median(values), rel=1e-15)


def test_median_counts_what_lies_outside_the_support():
    assert median_log_density(np.array([-np.inf, -np.inf, 1.0, 2.0, 3.0])) == 1.0


@pytest.mark.parametrize(
    "values", [[-np.inf], [-np.inf, 1.0], [-np.inf, -np.inf, 1.0, 2.0]]
)
def test_median_density_of_zero(values):
    zeros = np.isneginf(values).sum()
    message = rf"zero at {zeros} of {len(values)} training samples.*widen its kernel"
    with pytest.raises(ValueError, match=message):
        median_log_density(np.array(values))


def test_reference_metrics_are_relative_to_the_median():
    metrics = reference_metrics(np.array([1.0, 5.0, 2.0]))
    assert metrics == [(lam, 2.0, 1.0) for lam in REFERENCE_LAMS]
