import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from skgengeo.geometry._lanes import LANES
from skgengeo.geometry._shortest_paths import (
    BATCH,
    SMALL_SEARCHES,
    Seeds,
    distances_between,
    distances_from,
    nearest_from,
    shortest_paths,
    through_seeds,
)

from .. import _oracles as oracles


def random_graph(seed, n=120, degree=4, *, zeros=0.1, ties=False):
    """Symmetric, with explicit zeros, of one large and some small components."""
    rng = np.random.default_rng(seed)
    i, j = rng.integers(n, size=(2, n * degree // 2))
    i, j = i[i != j], j[i != j]
    keys = np.unique(np.minimum(i, j) * n + np.maximum(i, j))
    i, j = keys // n, keys % n
    weight = (
        rng.integers(1, 4, size=len(i)) / 2 if ties else rng.exponential(size=len(i))
    )
    weight[rng.random(len(i)) < zeros] = 0.0
    both = np.concatenate([weight, weight])
    # The oldest scipy's own Dijkstra takes no wider indices.
    i, j = i.astype(np.int32), j.astype(np.int32)
    rows, columns = np.concatenate([i, j]), np.concatenate([j, i])
    return coo_array((both, (rows, columns)), shape=(n, n)).tocsr()


def random_seeds(seed, n_searches, n):
    """Rows of none to three seeds, repeats among them."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, size=n_searches)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return Seeds(
        indptr, rng.integers(n, size=indptr[-1]), rng.exponential(size=indptr[-1])
    )


def rows_of(seeds):
    for start, stop in zip(seeds.indptr[:-1], seeds.indptr[1:], strict=True):
        yield list(
            zip(seeds.vertex[start:stop], seeds.distance[start:stop], strict=True)
        )


def by_heap(graph, seeds):
    return np.array([oracles.dijkstra(graph, row)[0] for row in rows_of(seeds)])


@pytest.mark.parametrize("n_searches", [0, 1, LANES - 1, LANES, 2 * BATCH + 1])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 6])
def test_distances_from_seeds(degree, ties, n_searches):
    graph = random_graph(degree, degree=degree, ties=ties)
    seeds = random_seeds(0, n_searches, graph.shape[0])
    found = distances_from(graph, seeds)
    expected = by_heap(graph, seeds).reshape(found.shape)
    # The same sums over the same paths: the same to the last bit.
    np.testing.assert_array_equal(found, expected)


def test_without_zeros_the_same_as_scipy():
    graph = random_graph(0, zeros=0.0)
    found = distances_from(graph, Seeds.at(np.arange(graph.shape[0])))
    np.testing.assert_allclose(found, dijkstra(graph), rtol=1e-14)


def test_explicit_zeros_are_edges():
    weights = ([0.0, 0.0, 2.0, 2.0], ([0, 1, 1, 2], [1, 0, 2, 1]))
    graph = csr_array(weights, shape=(4, 4))
    expected = [
        [0, 0, 2, np.inf],
        [0, 0, 2, np.inf],
        [2, 2, 0, np.inf],
        [np.inf] * 3 + [0],
    ]
    few = distances_from(graph, Seeds.at(np.arange(4)))
    np.testing.assert_array_equal(few, expected)
    many = distances_from(graph, Seeds.at(np.tile(np.arange(4), 10)))
    np.testing.assert_array_equal(many, np.tile(expected, (10, 1)))


def test_batches_and_single_searches_agree_to_the_last_bit():
    graph = random_graph(3, n=200, degree=6)
    together = distances_from(graph, Seeds.at(np.arange(200)))
    one_by_one = [distances_from(graph, Seeds.at([v]))[0] for v in range(200)]
    np.testing.assert_array_equal(together, one_by_one)


@pytest.mark.parametrize("n_searches", [5, 100])
def test_n_jobs_changes_nothing(n_searches):
    graph = random_graph(1)
    seeds = random_seeds(1, n_searches, graph.shape[0])
    one = distances_from(graph, seeds, n_jobs=1)
    np.testing.assert_array_equal(distances_from(graph, seeds, n_jobs=2), one)


@pytest.mark.parametrize("n_searches", [5, 100])
def test_only_the_result_is_cast(n_searches):
    graph = random_graph(2)
    seeds = random_seeds(2, n_searches, graph.shape[0])
    found = distances_from(graph, seeds, dtype=np.float32)
    assert found.dtype == np.float32
    expected = distances_from(graph, seeds).astype(np.float32)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("degree", [1, 2, 6])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_distances_between(degree, n_jobs):
    graph = random_graph(degree, degree=degree)
    n = graph.shape[0]
    seeds, targets = random_seeds(1, 70, n), random_seeds(2, 70, n)
    reached = by_heap(graph, seeds)
    expected = [
        min((row[v] + stop for v, stop in ends), default=np.inf)
        for row, ends in zip(reached, rows_of(targets), strict=True)
    ]
    found = distances_between(graph, seeds, targets, n_jobs=n_jobs)
    np.testing.assert_array_equal(found, expected)


# The k nearest


def assert_nearest(found, reached):
    """The k smallest of all distances, and vertices at these, each named once."""
    distances, vertices = found
    smallest = np.full(distances.shape, np.inf)
    kept = min(distances.shape[1], reached.shape[1])
    smallest[:, :kept] = np.sort(reached, axis=1)[:, :kept]
    np.testing.assert_array_equal(distances, smallest)
    np.testing.assert_array_equal(vertices == -1, np.isinf(smallest))
    for row, (named, expected) in enumerate(zip(vertices, smallest, strict=True)):
        named = named[named >= 0]
        assert len(set(named.tolist())) == len(named)
        np.testing.assert_array_equal(reached[row, named], expected[: len(named)])


@pytest.mark.parametrize("k", [1, 2, 7, 120, 130])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 6])
def test_nearest_are_the_smallest_of_all_distances(degree, ties, k):
    graph = random_graph(degree, degree=degree, ties=ties)
    seeds = random_seeds(0, 60, graph.shape[0])
    assert (np.diff(seeds.indptr) == 0).any()
    assert_nearest(nearest_from(graph, seeds, k), by_heap(graph, seeds))


def test_a_vertex_is_its_own_nearest_before_its_duplicates():
    graph = random_graph(6, zeros=0.5)
    vertices = np.arange(graph.shape[0])
    distances, nearest = nearest_from(graph, Seeds.at(vertices), 4)
    np.testing.assert_array_equal(nearest[:, 0], vertices)
    assert (distances[:, 0] == 0).all()
    assert (distances[:, 1] == 0).any()


@pytest.mark.parametrize("k", [1, 3, 120])
def test_searches_that_share_arrays_leave_nothing_behind(k):
    graph = random_graph(2, degree=2)
    seeds = random_seeds(3, 2 * SMALL_SEARCHES + 100, graph.shape[0])
    found = nearest_from(graph, seeds, k)
    assert_nearest(found, distances_from(graph, seeds))
    for row in range(0, seeds.n_searches, 7):
        alone = nearest_from(graph, seeds.take(np.array([row])), k)
        for one, every in zip(alone, found, strict=True):
            np.testing.assert_array_equal(one[0], every[row])


def test_n_jobs_changes_no_nearest():
    graph = random_graph(4, ties=True)
    seeds = random_seeds(4, 3 * SMALL_SEARCHES, graph.shape[0])
    one, two = (nearest_from(graph, seeds, 5, n_jobs=n_jobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_nearest_of_no_searches():
    distances, vertices = nearest_from(random_graph(0), Seeds.at([]), 3)
    assert distances.shape == vertices.shape == (0, 3)


# Paths


def shortest_path(graph, i, j):
    (vertices,), (length,) = shortest_paths(graph, Seeds.at([i]), Seeds.at([j]))
    return vertices, length


@pytest.mark.parametrize("degree", [1, 2, 6])
def test_shortest_path_is_a_path_of_that_length(degree):
    graph = random_graph(degree, degree=degree)
    dense = {(i, j): w for i, j, w in zip(*_triples(graph), strict=True)}
    distance, _ = oracles.dijkstra(graph, [(0, 0.0)])
    for target in range(graph.shape[0]):
        vertices, length = shortest_path(graph, 0, target)
        assert length == distance[target]
        if np.isinf(length):
            assert len(vertices) == 0
            continue
        assert (vertices[0], vertices[-1]) == (0, target)
        assert len(set(vertices)) == len(vertices)
        steps = zip(vertices[:-1].tolist(), vertices[1:].tolist(), strict=True)
        assert sum(dense[step] for step in steps) == pytest.approx(length, rel=1e-14)


def _triples(graph):
    graph = graph.tocoo()
    return graph.row.tolist(), graph.col.tolist(), graph.data.tolist()


@pytest.mark.parametrize("zeros", [0.1, 0.6])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_paths_between_points_beside_the_graph(zeros, n_jobs):
    graph = random_graph(7, zeros=zeros, ties=True)
    dense = {(i, j): w for i, j, w in zip(*_triples(graph), strict=True)}
    seeds, targets = (random_seeds(s, 60, graph.shape[0]) for s in (0, 1))
    paths, lengths = shortest_paths(graph, seeds, targets, n_jobs=n_jobs)
    np.testing.assert_array_equal(lengths, distances_between(graph, seeds, targets))
    assert np.isinf(lengths).any()
    ends = zip(rows_of(seeds), rows_of(targets), strict=True)
    for path, length, (start, stop) in zip(paths, lengths, ends, strict=True):
        if np.isinf(length):
            assert len(path) == 0
            continue
        steps = zip(path[:-1].tolist(), path[1:].tolist(), strict=True)
        inside = sum(dense[step] for step in steps)
        first = min(d for v, d in start if v == path[0])
        last = min(d for v, d in stop if v == path[-1])
        assert first + inside + last == pytest.approx(length, rel=1e-14)


def test_path_to_itself():
    vertices, length = shortest_path(random_graph(0), 7, 7)
    assert vertices.tolist() == [7]
    assert length == 0.0


def test_through_seeds_is_min_plus():
    distances = np.random.default_rng(0).exponential(size=(50, 8))
    seeds = random_seeds(0, 30, 50)
    found = through_seeds(seeds, distances)
    for row, expected_from in zip(found, rows_of(seeds), strict=True):
        sums = [distances[v] + d for v, d in expected_from]
        expected = np.min(sums, axis=0) if sums else np.full(8, np.inf)
        np.testing.assert_array_equal(row, expected)


def test_seeds_take():
    seeds = random_seeds(0, 20, 50)
    rows = np.array([3, 3, 0, 19])
    every = list(rows_of(seeds))
    assert list(rows_of(seeds.take(rows))) == [every[r] for r in rows]


def test_read_only_arrays():
    graph = random_graph(0)
    seeds = random_seeds(0, 40, graph.shape[0])
    expected = distances_from(graph, seeds)
    between = distances_between(graph, seeds, seeds)
    path = shortest_path(graph, 0, 5)
    nearest = nearest_from(graph, seeds, 3)
    for array in (graph.indptr, graph.indices, graph.data, *seeds):
        array.setflags(write=False)
    np.testing.assert_array_equal(distances_from(graph, seeds), expected)
    few = distances_from(graph, seeds.take(np.arange(3)))
    np.testing.assert_array_equal(few, expected[:3])
    np.testing.assert_array_equal(distances_between(graph, seeds, seeds), between)
    np.testing.assert_array_equal(shortest_path(graph, 0, 5)[0], path[0])
    np.testing.assert_array_equal(nearest_from(graph, seeds, 3), nearest)


def test_graph_with_wide_indices():
    graph = random_graph(0)
    wide = graph.copy()
    wide.indices, wide.indptr = (
        indices.astype(np.int64) for indices in (graph.indices, graph.indptr)
    )
    seeds = Seeds.at(np.arange(40))
    np.testing.assert_array_equal(
        distances_from(wide, seeds), distances_from(graph, seeds)
    )
    np.testing.assert_array_equal(
        nearest_from(wide, seeds, 3), nearest_from(graph, seeds, 3)
    )
