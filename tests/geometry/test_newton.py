import numpy as np
import pytest

from skgengeo.geometry._energy import add_up, energy, evaluated
from skgengeo.geometry._newton import _fill, _learn, _solve
from skgengeo.geometry._quadrature import Metric


def random_blocks(n, d, seed=0):
    """Blocks of a positive definite block-tridiagonal matrix, and the matrix."""
    rng = np.random.default_rng(seed)
    factor = np.zeros((n * d, n * d))
    for k in range(n):
        own = slice(k * d, (k + 1) * d)
        factor[own, own] = rng.normal(size=(d, d)) + 3 * np.eye(d)
        if k:
            factor[own, (k - 1) * d : k * d] = rng.normal(size=(d, d))
    dense = factor @ factor.T
    four = dense.reshape(n, d, n, d)
    diagonal = np.stack([four[k, :, k] for k in range(n)])
    beside = np.zeros((n, d, d))
    for k in range(n - 1):
        beside[k] = four[k, :, k + 1]
    return diagonal, beside, dense


@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 3), (6, 1), (5, 2), (7, 4)])
def test_the_solver_solves(n, d):
    diagonal, beside, dense = random_blocks(n, d)
    right = np.random.default_rng(1).normal(size=(n, d))
    z = right.copy()
    assert _solve(diagonal, beside, z)
    np.testing.assert_allclose(dense @ z.ravel(), right.ravel(), rtol=1e-7, atol=1e-9)


def test_the_solver_tells_what_is_not_positive_definite():
    diagonal, beside, dense = random_blocks(5, 2)
    shift = np.linalg.eigvalsh(dense)[0]
    for share, definite in ((0.9, True), (1.1, False)):
        moved = diagonal - share * shift * np.eye(2)
        assert _solve(moved, beside.copy(), np.ones((5, 2))) is definite


@pytest.mark.parametrize(("lam", "exponent"), [(0.0, 1.0), (0.1, 1.0), (1.0, 0.5)])
def test_derivatives_of_the_energy_are_those_of_differences(lam, exponent):
    """A Gaussian, whose Hessian is known."""
    d, n_nodes, step = 3, 6, 1e-5
    metric = Metric(lam, -1.0, exponent)
    x = np.random.default_rng(0).normal(size=(n_nodes, d))

    def terms(x):
        def gradient(X):
            return -(X**2).sum(axis=1) / 2, -X

        return [value[0] for value in evaluated(x[None], gradient, metric)]

    def quadratic(x):
        n = n_nodes - 2
        (q, r), hold = np.empty((2, n + 1, d)), np.empty(n + 1)
        diagonal, beside = np.empty((2, n, d, d))
        curvature = np.broadcast_to(-np.eye(d), (n_nodes, d, d)).copy()
        log_c, weight, slope = terms(x)
        total = add_up(x, log_c, weight, slope, exponent, q, r, hold)
        _fill(x, weight, slope, curvature, exponent, q, r, hold, diagonal, beside)
        return total, q[1:] + r[:-1], diagonal, beside

    def energy_at(x):
        return energy(x, terms(x)[0])

    total, gradient, diagonal, beside = quadratic(x)
    assert total == pytest.approx(energy_at(x), rel=1e-12)
    for k in range(1, n_nodes - 1):
        for i in range(d):
            up, down = x.copy(), x.copy()
            up[k, i] += step
            down[k, i] -= step
            slope = (energy_at(up) - energy_at(down)) / (2 * step)
            assert gradient[k - 1, i] == pytest.approx(slope, rel=1e-5, abs=1e-5)
            bend = (quadratic(up)[1] - quadratic(down)[1]) / (2 * step)
            np.testing.assert_allclose(
                diagonal[k - 1, i], bend[k - 1], rtol=1e-5, atol=1e-4
            )
            if k < n_nodes - 2:
                np.testing.assert_allclose(
                    beside[k - 1, i], bend[k], rtol=1e-5, atol=1e-4
                )


def test_what_is_learned_of_a_quadratic_is_its_hessian():
    rng = np.random.default_rng(0)
    hessian = rng.normal(size=(4, 4))
    hessian += hessian.T
    curvature = np.zeros((4, 4))
    for step in rng.normal(size=(4, 4)):
        _learn(curvature, step, hessian @ step)
        np.testing.assert_allclose(curvature @ step, hessian @ step, atol=1e-9)
    np.testing.assert_allclose(curvature, hessian, atol=1e-9)
