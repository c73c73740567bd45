import numpy as np
import pytest
from scipy.sparse import csr_array

from skgengeo.geometry import _edges, connecting_epsilon
from skgengeo.geometry._edges import (
    NeighborSearch,
    component_labels,
    default_n_neighbors,
    edges_of_graph,
    joining_edges,
    neighborhood_edges,
    segment_lengths,
)

from .. import _oracles as oracles

# One set for the tree, one for brute force.
DIMENSIONS = [1, 3, 20]


def scattered(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def clusters(seed, n=60, d=3, n_clusters=6):
    rng = np.random.default_rng(seed)
    return 8.0 * rng.normal(size=(n_clusters, d))[
        rng.integers(n_clusters, size=n)
    ] + rng.normal(size=(n, d))


def pairs(edges):
    return set(zip(edges.i.tolist(), edges.j.tolist(), strict=True))


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize(
    "rule",
    [
        {"n_neighbors": 1},
        {"n_neighbors": 5},
        {"epsilon": 1.2},
        {"epsilon": 5.0},
        {"epsilon": 1.2, "n_neighbors": 5},
        {"epsilon": 5.5, "n_neighbors": 8},
    ],
)
def test_neighborhood_is_that_of_brute_force(d, rule):
    X = scattered(80, d)
    edges = neighborhood_edges(NeighborSearch(X), **rule)
    assert pairs(edges) == oracles.neighborhood(X, **rule)
    np.testing.assert_allclose(
        edges.length, oracles.pairwise_lengths(X)[edges.i, edges.j], rtol=1e-14
    )


@pytest.mark.parametrize("d", DIMENSIONS)
def test_edges_are_oriented_sorted_and_unique(d):
    X = scattered(80, d)
    edges = neighborhood_edges(NeighborSearch(X), n_neighbors=6)
    assert (edges.i < edges.j).all()
    keys = edges.i * len(X) + edges.j
    assert (np.diff(keys) > 0).all()


@pytest.mark.parametrize("d", DIMENSIONS)
def test_edges_do_not_depend_on_n_jobs(d):
    X = scattered(80, d)
    for rule in ({"n_neighbors": 6}, {"epsilon": 2.0}):
        one = neighborhood_edges(NeighborSearch(X, n_jobs=1), **rule)
        two = neighborhood_edges(NeighborSearch(X, n_jobs=2), **rule)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("d", [2, 20])
def test_far_from_the_origin(d):
    X = scattered(50, d)
    edges = neighborhood_edges(NeighborSearch(X + 1e6), n_neighbors=4)
    assert pairs(edges) == oracles.neighborhood(X, n_neighbors=4)


@pytest.mark.parametrize("d", [2, 20])
def test_epsilon_includes_its_end(d):
    X = np.zeros((3, d))
    X[:, 0] = [0.0, 1.0, 3.0]
    edges = neighborhood_edges(NeighborSearch(X), epsilon=1.0)
    assert pairs(edges) == {(0, 1)}
    edges = neighborhood_edges(NeighborSearch(X), epsilon=2.0)
    assert pairs(edges) == {(0, 1), (1, 2)}
    edges = neighborhood_edges(NeighborSearch(X), epsilon=np.nextafter(2.0, 0))
    assert pairs(edges) == {(0, 1)}


@pytest.mark.parametrize("d", [2, 20])
def test_queries_find_what_brute_force_finds(d):
    X, Q = scattered(60, d), scattered(15, d, seed=1)
    length = np.linalg.norm(Q[:, None] - X[None], axis=2)
    search = NeighborSearch(X)
    np.testing.assert_array_equal(
        search.nearest(Q, 4), np.argsort(length, axis=1)[:, :4]
    )
    radius = np.median(length)
    q, x = search.within(Q, radius)
    found = set(zip(q.tolist(), x.tolist(), strict=True))
    assert found == set(map(tuple, np.argwhere(length <= radius).tolist()))


@pytest.mark.parametrize("d", [2, 20])
def test_duplicates_are_edges_of_length_zero(d):
    X = np.repeat(scattered(4, d), 3, axis=0)
    edges = neighborhood_edges(NeighborSearch(X), n_neighbors=2)
    assert pairs(edges) == {
        (i, j) for i in range(12) for j in range(i + 1, 12) if i // 3 == j // 3
    }
    assert (edges.length == 0).all()


@pytest.mark.parametrize("d", [2, 20])
def test_more_duplicates_than_neighbors(d):
    X = np.zeros((30, d))
    found = NeighborSearch(X).neighbors(5)
    assert found.shape == (30, 5)
    assert not (found == np.arange(30)[:, None]).any()


def test_segment_lengths_do_not_cancel():
    start, end = np.array([[1e8, 0.0]]), np.array([[1e8, 1e-6]])
    none = np.zeros(1, dtype=int)
    assert segment_lengths(start, none, end, none)[0] == 1e-6


def test_approximate_neighbors_beyond_the_documented_size(monkeypatch):
    # One test, because pynndescent takes half a minute to compile.
    X = scattered(300, 20)
    exact = NeighborSearch(X).neighbors(6)
    monkeypatch.setattr(_edges, "MAX_BRUTE_SAMPLES", 299)
    assert NeighborSearch(X[:299]).is_exact
    assert NeighborSearch(X[:, :3]).is_exact
    search = NeighborSearch(X, random_state=0)
    assert not search.is_exact
    found = search.neighbors(6)
    assert not (found == np.arange(300)[:, None]).any()
    shared = [len(np.intersect1d(a, b)) for a, b in zip(exact, found, strict=True)]
    assert np.mean(shared) > 5.5
    np.testing.assert_array_equal(search.neighbors(6), found)


@pytest.mark.parametrize(("n", "k"), [(0, 0), (1, 0), (2, 1), (3, 2), (1000, 10)])
def test_default_n_neighbors(n, k):
    assert default_n_neighbors(n) == k


def test_given_graph_keeps_explicit_zeros_and_either_direction():
    X = scattered(5, 2)
    entries = ([0.0, 3.0, 1.0, 1.0, 2.0], ([0, 2, 1, 2, 4], [1, 1, 2, 2, 3]))
    edges = edges_of_graph(X, csr_array(entries, shape=(5, 5)))
    assert pairs(edges) == {(0, 1), (1, 2), (3, 4)}
    np.testing.assert_allclose(
        edges.length, oracles.pairwise_lengths(X)[edges.i, edges.j]
    )


@pytest.mark.parametrize(
    ("graph", "given"),
    [(np.eye(5), "ndarray"), (csr_array((4, 5)), r"shape \(4, 5\)"), (3, "int")],
)
def test_given_graph_of_another_kind(graph, given):
    with pytest.raises(ValueError, match=f"neighbors_graph={given}.*kneighbors_graph"):
        edges_of_graph(scattered(5, 2), graph)


@pytest.mark.parametrize("seed", range(3))
def test_components(seed):
    X = clusters(seed)
    edges = neighborhood_edges(NeighborSearch(X), n_neighbors=3)
    n_components, labels = component_labels(len(X), edges.i, edges.j)
    expected = oracles.components(len(X), pairs(edges))
    assert n_components == expected.max() + 1
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("d", [2, 20])
@pytest.mark.parametrize("n_neighbors", [1, 2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_joining_edges_are_those_of_the_spanning_tree(seed, n_neighbors, d):
    X = clusters(seed, d=d)
    edges = neighborhood_edges(NeighborSearch(X), n_neighbors=n_neighbors)
    labels = oracles.components(len(X), pairs(edges))
    assert labels.max() > 0
    joining = joining_edges(X, labels)
    tree = {(i, j) for i, j, _ in oracles.spanning_tree(X)}
    assert pairs(joining) == {(i, j) for i, j in tree if labels[i] != labels[j]}


def test_joining_large_components():
    # Large enough for the search among the points outside, instead of near ones.
    X = np.vstack([scattered(150, 2, s) + np.array([20 * s, s]) for s in range(4)])
    labels = np.repeat(np.arange(4), 150)
    joining = joining_edges(X, labels)
    length = oracles.pairwise_lengths(X)
    length[labels[:, None] == labels] = np.inf
    expected = set()
    for a, b in [(0, 1), (1, 2), (2, 3)]:
        between = np.where((labels[:, None] == a) & (labels[None] == b), length, np.inf)
        expected.add(tuple(np.unravel_index(between.argmin(), between.shape)))
    assert pairs(joining) == expected


@pytest.mark.parametrize("seed", range(3))
def test_joining_tied_components_makes_no_cycle(seed):
    # On a lattice every gap is tied.
    axis = np.arange(5.0)
    X = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    labels = np.random.default_rng(seed).permutation(25)
    joining = joining_edges(X, labels)
    assert len(joining.i) == 24
    assert oracles.components(25, pairs(joining)).max() == 0
    np.testing.assert_array_equal(joining.length, 1.0)


def test_joining_duplicates():
    X = np.repeat(scattered(2, 3), 20, axis=0)
    joining = joining_edges(X, np.arange(40))
    assert len(joining.i) == 39
    assert (joining.length == 0).sum() == 38
    assert oracles.components(40, pairs(joining)).max() == 0


def test_one_component_needs_no_joining():
    assert len(joining_edges(scattered(10, 2), np.zeros(10, dtype=int)).i) == 0


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("seed", range(3))
def test_connecting_epsilon_is_the_longest_edge_of_the_tree(seed, d):
    X = clusters(seed, d=d)
    longest = max(length for *_, length in oracles.spanning_tree(X))
    assert connecting_epsilon(X) == pytest.approx(longest, rel=1e-14)


@pytest.mark.parametrize("d", [2, 20])
def test_connecting_epsilon_connects_and_nothing_smaller_does(d):
    X = clusters(0, d=d)
    search, epsilon = NeighborSearch(X), connecting_epsilon(X)
    at = neighborhood_edges(search, epsilon=epsilon)
    below = neighborhood_edges(search, epsilon=np.nextafter(epsilon, 0))
    assert component_labels(len(X), at.i, at.j)[0] == 1
    assert component_labels(len(X), below.i, below.j)[0] == 2


def test_connecting_epsilon_of_a_single_point():
    assert connecting_epsilon(np.zeros((1, 2))) == 0.0


@pytest.mark.parametrize("epsilon", [1e-8, 1e-4])
def test_short_radii_in_many_features(epsilon):
    # Gram matrices round at 1e-8 of the norms.
    X = scattered(60, 20)
    X = np.vstack([X, X + 0.999 * epsilon / np.sqrt(20)])
    edges = neighborhood_edges(NeighborSearch(X), epsilon=epsilon)
    assert pairs(edges) == {(i, i + 60) for i in range(60)}


def test_distances_that_overflow_are_refused():
    search = NeighborSearch(scattered(30, 3))
    with pytest.raises(
        ValueError, match=r"1\.e\+200.*squared distances overflow.*Replace"
    ):
        search.nearest(np.array([[0.0, 1e200, 0.0]]), 4)
