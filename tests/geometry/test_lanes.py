import numpy as np
import pytest
from scipy.sparse import csr_array, diags

from skgengeo.geometry._lanes import BALL, LANES, _order_from, nearby, search_lanes
from skgengeo.geometry._shortest_paths import Seeds

N = 10 * BALL


def path_graph(numbers):
    """Vertices in a line; the one that is named in ``numbers[i]`` is i-th."""
    line = csr_array(diags([1.0, 1.0], offsets=[-1, 1], shape=(N, N)))
    order = np.argsort(numbers)
    return csr_array(line[order][:, order])


@pytest.fixture
def numbers():
    return np.random.default_rng(0).permutation(N)


def test_searches_of_a_ball_start_near_each_other(numbers):
    searches, _ = nearby(path_graph(numbers), Seeds.at(np.arange(N)))
    np.testing.assert_array_equal(np.sort(searches), np.arange(N))
    at = np.empty(N, dtype=int)
    at[numbers] = np.arange(N)
    extents = np.ptp(at[searches].reshape(-1, BALL), axis=1)
    # Balls in a line; one may take what two others have left over.
    assert np.median(extents) == BALL - 1


def test_vertices_are_numbered_beside_the_search_that_is_nearest(numbers):
    # Every fifth in the line: each is nearest to itself and two on both sides.
    starts = numbers[2::5]
    searches, place = nearby(path_graph(numbers), Seeds.at(starts))
    np.testing.assert_array_equal(np.sort(place), np.arange(N))
    cells = np.sort(place[numbers].reshape(-1, 5), axis=1)
    np.testing.assert_array_equal(np.diff(cells, axis=1), 1)
    np.testing.assert_array_equal(cells[np.argsort(cells[:, 0]), 0], np.arange(0, N, 5))
    np.testing.assert_array_equal(np.argsort(place[starts]), searches)


def test_a_search_without_seeds_is_beside_any_other(numbers):
    seeds = Seeds(np.array([0, 0, 1, 1]), np.array([5]), np.array([2.0]))
    searches, place = nearby(path_graph(numbers), seeds)
    assert sorted(searches) == [0, 1, 2]
    assert sorted(place) == list(range(N))


def test_results_go_to_their_rows_and_columns(numbers):
    graph, place = path_graph(np.arange(N)), numbers
    order = np.argsort(place)
    renumbered = csr_array(graph[order][:, order])
    rows = np.random.default_rng(1).permutation(N)[: LANES + 3]
    seeds, out = Seeds.at(place[rows]), np.full((N, N), -1.0)
    arrays = renumbered.indptr, renumbered.indices, renumbered.data
    search_lanes(*arrays, place, *seeds, rows, out)
    gaps = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    np.testing.assert_array_equal(out[rows], gaps[rows])
    assert (np.delete(out, rows, axis=0) == -1.0).all()


@pytest.mark.parametrize("known", [False, True])
def test_vertices_out_of_reach_keep_their_order(known):
    edgeless, home = csr_array((N, N)), 7
    distance = np.full((N, LANES), np.inf)
    if known:
        distance[home, 3] = 0.0
    arrays = edgeless.indptr, edgeless.indices, edgeless.data
    order = _order_from(*arrays, np.array([home]), distance)
    others = np.delete(np.arange(N), home)
    np.testing.assert_array_equal(order, [home, *others])
