import numpy as np
import pytest

from skgengeo.geometry import _shortcuts
from skgengeo.geometry._edges import NeighborSearch, neighborhood_edges
from skgengeo.geometry._shortcuts import shortcut_edges

from .. import _oracles as oracles
from .test_edges import DIMENSIONS, pairs, scattered


def gabriel(X):
    """Pairs whose ball, with the diameter between them, holds no other point."""
    found = set()
    for i in range(len(X)):
        for j in range(i + 1, len(X)):
            radius = np.linalg.norm(X[i] - X[j]) / 2
            gap = np.linalg.norm(X - (X[i] + X[j]) / 2, axis=1)
            gap[[i, j]] = np.inf
            if (gap >= radius).all():
                found.add((i, j))
    return found


@pytest.mark.parametrize("d", [1, 2, 3])
def test_shortcuts_with_all_witnesses(d, monkeypatch):
    X = scattered(80, d)
    monkeypatch.setattr(_shortcuts, "N_WITNESSES", 79)
    monkeypatch.setattr(_shortcuts, "MAX_DEGREE", 79)
    edges = shortcut_edges(X)
    assert pairs(edges) == gabriel(X)
    np.testing.assert_allclose(
        edges.length, oracles.pairwise_lengths(X)[edges.i, edges.j], rtol=1e-14
    )


@pytest.mark.parametrize("d", DIMENSIONS)
def test_shortcuts_are_bounded(d):
    X = scattered(200, d)
    edges = shortcut_edges(X)
    assert np.bincount(np.r_[edges.i, edges.j]).max() <= _shortcuts.MAX_DEGREE
    assert (edges.i < edges.j).all()
    if d == 1:
        assert pairs(edges) == gabriel(X)


def test_shortcuts_cross_a_gap():
    rng = np.random.default_rng(0)
    strip = rng.uniform(size=(150, 2)) * [10, 0.5]
    X = np.vstack([strip, strip + np.array([0, 2.0])])
    kept = pairs(neighborhood_edges(NeighborSearch(X), n_neighbors=10))
    edges = shortcut_edges(X)
    across = (edges.i < 150) & (edges.j >= 150)
    assert across.sum() >= 5
    assert kept.isdisjoint(zip(edges.i[across], edges.j[across], strict=True))
    assert np.ptp(X[edges.i[across], 0]) > 5


def test_shortcuts_of_many_points_are_those_of_some():
    X = scattered(3 * _shortcuts.MAX_POINTS, 2)
    edges = shortcut_edges(X)
    ends = np.unique(np.r_[edges.i, edges.j])
    assert len(ends) == _shortcuts.MAX_POINTS
    again = shortcut_edges(X, n_jobs=2)
    np.testing.assert_array_equal(edges.i, again.i)
    np.testing.assert_array_equal(edges.j, again.j)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_shortcuts_of_few_points(n):
    X = np.arange(n, dtype=float)[:, None]
    assert pairs(shortcut_edges(X)) == {(k, k + 1) for k in range(n - 1)}


def test_shortcuts_join_the_first_of_copies():
    X = scattered(20, 2)
    edges = shortcut_edges(np.repeat(X, 30, axis=0))
    assert {(i // 30, j // 30) for i, j in pairs(edges)} == pairs(shortcut_edges(X))
    assert (edges.i % 30 == 0).all()
    assert (edges.j % 30 == 0).all()


@pytest.mark.parametrize("d", [2, 5, 10, 20])
@pytest.mark.parametrize("n_copies", [1, 40])
def test_shortcuts_cross_a_gap_in_any_number_of_features(d, n_copies):
    """Of an arc, whose ends face each other, among local edges without number."""
    rng = np.random.default_rng(d)
    angle = np.sort(rng.uniform(0, 5.5, 600))
    X = 0.1 * rng.normal(size=(600, d))
    X[:, :2] += 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    edges = shortcut_edges(np.repeat(X, n_copies, axis=0))
    i, j = edges.i // n_copies, edges.j // n_copies
    assert ((i < 60) & (j >= 540)).any()
