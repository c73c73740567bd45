import numpy as np
import pytest

from skgengeo.geometry import _descent
from skgengeo.geometry._descent import descended
from skgengeo.geometry._lbfgs import (
    MEMORY,
    LimitedMemory,
    _multiply_inverse,
    _solve_chain,
)
from skgengeo.geometry._quadrature import Metric

RNG = np.random.default_rng(0)


def chain(n, d):
    """Strengths of springs and of what holds nodes back, and the matrix of both."""
    hold, stiff = RNG.uniform(1, 2, n + 1), RNG.uniform(0, 1, (n, d))
    matrix = np.zeros((n, d, n, d))
    for k in range(n):
        for i in range(d):
            matrix[k, i, k, i] = hold[k] + hold[k + 1] + stiff[k, i]
            if k:
                matrix[k, i, k - 1, i] = matrix[k - 1, i, k, i] = -hold[k]
    return hold, stiff, matrix.reshape(n * d, n * d)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 3), (6, 1), (7, 4)])
def test_the_chain_is_solved(n, d):
    hold, stiff, matrix = chain(n, d)
    right = RNG.normal(size=(n, d))
    z = right.copy()
    _solve_chain(hold, stiff, z)
    np.testing.assert_allclose(matrix @ z.ravel(), right.ravel(), atol=1e-12)


def test_the_chain_is_solved_where_springs_differ_by_more_than_the_precision():
    """One pull: nodes move as far as the springs on their way to a weak one give."""
    z = np.zeros((2, 1))
    z[1] = 1.0
    _solve_chain(np.array([1e-17, 1.0, 1e-17]), np.zeros((2, 1)), z)
    np.testing.assert_allclose(z[:, 0], 0.5e17, rtol=1e-12)
    hold = 10.0 ** RNG.uniform(-20, 20, 41)
    z = np.zeros((40, 1))
    z[25] = 1.0
    _solve_chain(hold, np.zeros((40, 1)), z)
    left, right = (1 / hold[:26]).sum(), (1 / hold[26:]).sum()
    assert z[25, 0] == pytest.approx(1 / (1 / left + 1 / right), rel=1e-12)
    assert (z >= 0).all()


@pytest.mark.parametrize("n_steps", [1, 5, MEMORY, MEMORY + 3])
def test_two_loops_multiply_by_the_inverse_that_bfgs_updates(n_steps):
    n, d = 4, 2
    hold, stiff, matrix = chain(n, d)
    root = RNG.normal(size=(n * d, n * d))
    hessian = root @ root.T + np.eye(n * d)
    steps = RNG.normal(size=(n_steps, n * d))
    changes = steps @ hessian
    last, change = steps[-1], changes[-1]
    guess = np.linalg.inv(matrix)
    inverse = guess * (last @ change) / (change @ guess @ change)
    for s, y in zip(steps[-MEMORY:], changes[-MEMORY:], strict=True):
        away = np.eye(n * d) - np.outer(s, y) / (s @ y)
        inverse = away @ inverse @ away.T + np.outer(s, s) / (s @ y)
    ring = np.zeros((2, MEMORY, n, d))
    for m in range(n_steps):
        ring[:, m % MEMORY] = steps[m].reshape(n, d), changes[m].reshape(n, d)
    z = RNG.normal(size=(n, d))
    expected = inverse @ z.ravel()
    _multiply_inverse(*ring, n_steps, hold, stiff, z)
    np.testing.assert_allclose(z.ravel(), expected, rtol=1e-8, atol=1e-12)


def test_what_is_learned_agrees_with_the_last_trial():
    """And what is learned first is the same for all features."""
    shape = n_curves, n_nodes, d = 3, 6, 5
    model, hessian = LimitedMemory(*shape, 1.0), RNG.normal(size=d)
    inside, inner = np.ones(shape[:2]), np.ones((n_curves, n_nodes - 2))
    for trials in range(3):
        x, trial = RNG.normal(size=(2, *shape))
        values = inner, (trial * hessian)[:, 1:-1]
        model.learn(np.arange(n_curves), x, inside, x * hessian, trial, *values)
        squares = (trial - x)[:, 1:-1] ** 2
        known, expected = squares * model.curvature, squares * hessian
        np.testing.assert_allclose(known.sum(axis=2), expected.sum(axis=2))
        assert (np.ptp(model.curvature, axis=2) < 1e-12).all() == (trials == 0)


def mixed(X):
    """Log density of two normals beside each other, and its gradient."""
    log_p = -((X[:, None] - CENTERS) ** 2).sum(axis=2) / (2 * WIDTH)
    total = np.logaddexp(*log_p.T)
    share = np.exp(log_p - total[:, None])
    return total, (share @ CENTERS - X) / WIDTH


D, WIDTH = 6, 0.5
CENTERS = np.zeros((2, D))
CENTERS[:, 0] = -1, 1


@pytest.mark.parametrize("lam", [1.0, 0.1])
@pytest.mark.parametrize("n_nodes", [16, 64, 256])
def test_it_ends_where_newton_does(lam, n_nodes, monkeypatch):
    """In steps whose number hardly grows with that of nodes, but for other valleys."""
    ends = np.random.default_rng(0).normal(size=(2, 20, D))
    nodes = np.linspace(*ends, n_nodes, axis=1)
    rule = mixed, Metric(lam, -2.0), 1e-6, 300
    expected = descended(nodes, *rule)
    monkeypatch.setattr(_descent, "MAX_NEWTON_FEATURES", 0)
    found = descended(nodes, *rule)
    assert found.converged.all()
    gap = np.abs(found.log_energy - expected.log_energy)
    assert (gap < 1e-5).mean() >= 0.75
    assert np.median(gap) < 1e-6
    assert np.median(found.n_steps) < 60


@pytest.mark.parametrize("n_features", [D, 20])
@pytest.mark.parametrize("lam", [1.0, 1e-6, 0.0])
def test_steps_go_downhill_and_false_ends_are_told(n_features, lam, monkeypatch):
    """Across a barrier that leaves the precision far behind."""
    monkeypatch.setattr(_descent, "MAX_NEWTON_FEATURES", 0)

    def barrier(X):
        height = 600 * np.exp(-(X[:, 0] ** 2) / 0.18)
        slope = np.zeros_like(X)
        slope[:, 0] = height * X[:, 0] / 0.09
        return -height, slope

    start, end = np.zeros((2, 8, n_features))
    start[:, 0], end[:, 0] = -1, 1
    nodes = np.linspace(start, end, 32, axis=1)
    nodes[:, 1:-1, 1:] += RNG.normal(scale=0.1, size=(8, 30, n_features - 1))
    rule = barrier, Metric(lam, 0.0), 1e-6
    before = descended(nodes, *rule, 0).log_energy
    for max_steps in (1, 5, 300):
        found = descended(nodes, *rule, max_steps)
        assert (found.log_energy <= before + 1e-12).all()
        before = found.log_energy
    if lam == 0:
        # What has converged leads around.
        assert (found.log_energy[found.converged] < 10).all()
