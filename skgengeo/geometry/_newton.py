"""Newton's model of the energy of curves: exact but for the Hessians of log p.

The Hessian is block-tridiagonal. The Hessians of log p at the nodes are learned from
the gradients of successive steps.
"""

import math

import numpy as np
from numba import njit

from ._energy import BRAKE, LEAST_DAMPING, STALLED, add_up, held, squared

# A secant this near to a right angle teaches nothing.
MIN_COSINE = 0.1


class Newton:
    """Steps to the minimum of the energy's own parabola, damped.

    Parameters
    ----------
    n_curves, n_nodes, n_features : int
        Shape of the nodes.
    exponent : float
        Of the metric.
    """

    def __init__(self, n_curves, n_nodes, n_features, exponent):
        self.curvature = np.zeros((n_curves, n_nodes, n_features, n_features))
        self.exponent = exponent

    @staticmethod
    def node_floats(n_features):
        """Numbers kept and made for each node of a batch."""
        return (n_features + 1) * (2 * n_features + 12)

    def propose(self, rows, x, log_c, weight, slope, unit, damping, step):
        """Steps of the curves in `rows`; their energies, and what these should fall by.

        Where the damped Hessian is not positive definite, the damping is raised.
        """
        state = x, log_c, weight, slope, self.curvature, damping, unit, self.exponent
        return _propose(rows, *state, step)

    def learn(self, rows, x, weight, slope, trial, trial_weight, trial_slope):
        """Hessians of log p from how gradients change on the way to the trials."""
        now = x, weight, slope, self.curvature
        _learn_all(rows, *now, trial, trial_weight, trial_slope)


@njit(cache=True, nogil=True)
def _propose(rows, x, log_c, weight, slope, curvature, damping, unit, s, step):
    n_inner, d = x.shape[1] - 2, x.shape[2]
    energy, decrease = np.empty(len(rows)), np.empty(len(rows))
    q, r = np.empty((n_inner + 1, d)), np.empty((n_inner + 1, d))
    hold, gradient = np.empty(n_inner + 1), np.empty((n_inner, d))
    diagonal, beside = np.empty((n_inner, d, d)), np.empty((n_inner, d, d))
    for row in range(len(rows)):
        p, z = rows[row], step[row, 1:-1]
        energy[row] = add_up(
            x[p], log_c[p] - unit[p], weight[p], slope[p], s, q, r, hold
        )
        gradient[:] = q[1:] + r[:-1]
        while True:
            _fill(
                x[p], weight[p], slope[p], curvature[p], s, q, r, hold, diagonal, beside
            )
            _dampen(diagonal, beside, hold, damping[p])
            z[:] = -gradient
            if _solve(diagonal, beside, z) or not damping[p] < STALLED:
                break
            damping[p] = max(BRAKE * damping[p], LEAST_DAMPING)
        # As (A + damping L) z = -gradient: -gradient z - z A z / 2
        decrease[row] = (damping[p] * held(hold, z) - np.sum(gradient * z)) / 2
    return energy, decrease


@njit(cache=True, nogil=True)
def _fill(x, weight, slope, curvature, s, q, r, hold, diagonal, beside):
    """Blocks of the Hessian of the energy of a curve.

    A segment u of energy f = e |u|^2, with the gradients q and r at both ends, has the
    Hessian (q, r) (q, r)^T / f plus, times 1 or -1, 2 e (I - 2 u u^T / |u|^2); and f
    times the Hessian of log c at each end.
    """
    diagonal[:], beside[:], last = 0.0, 0.0, 0.0
    n_segments = len(hold)
    for k in range(n_segments):
        e, u = hold[k] / 2, x[k + 1] - x[k]
        f = e * squared(x[k], x[k + 1])
        if k > 0:
            _add_bend(weight[k], slope[k], curvature[k], s, last + f, diagonal[k - 1])
            _add_segment(q[k], q[k], u, e, f, 1.0, diagonal[k - 1])
        if k < n_segments - 1:
            _add_segment(r[k], r[k], u, e, f, 1.0, diagonal[k])
            if k > 0:
                _add_segment(q[k], r[k], u, e, f, -1.0, beside[k - 1])
        last = f


@njit(cache=True, nogil=True)
def _add_segment(q, r, u, e, f, sign, block):
    over = 1 / f if f > 0 else 0.0
    for i in range(len(u)):
        for j in range(len(u)):
            block[i, j] += over * (q[i] * r[j] - sign * 4 * e * e * u[i] * u[j])
        block[i, i] += sign * 2 * e


@njit(cache=True, nogil=True)
def _add_bend(weight, slope, curvature, s, f, block):
    """Add f times the Hessian of log c, from that of log p."""
    for i in range(len(slope)):
        for j in range(len(slope)):
            bend = curvature[i, j] + (1 - weight) * slope[i] * slope[j]
            block[i, j] -= f * s * weight * bend


@njit(cache=True, nogil=True)
def _dampen(diagonal, beside, hold, damping):
    """Add the Hessian of ``sum_k e_k |u_k|^2``, with e held, times the damping."""
    for k in range(len(diagonal)):
        for i in range(diagonal.shape[1]):
            diagonal[k, i, i] += damping * (hold[k] + hold[k + 1])
            beside[k, i, i] -= damping * hold[k + 1]


@njit(cache=True, nogil=True)
def _solve(diagonal, beside, z):
    """Solve a block-tridiagonal system in place; False if not positive definite.

    ``beside[k]`` is the block of rows k and columns k + 1. Cholesky's factor has the
    blocks L_k and, beside them, the transposes of W_k = L_k^-1 beside[k]. Inner loops
    run along rows of blocks, which lie together.
    """
    n, d = z.shape
    for k in range(n):
        if k > 0:
            w = beside[k - 1]
            _forward(diagonal[k - 1], w)
            for i in range(d):
                for j in range(d):
                    z[k, j] -= w[i, j] * z[k - 1, i]
                    for c in range(j + 1):
                        diagonal[k, j, c] -= w[i, j] * w[i, c]
        if not _factorise(diagonal[k]):
            return False
        _forward(diagonal[k], z[k].reshape(d, 1))
    for k in range(n - 1, -1, -1):
        if k < n - 1:
            for i in range(d):
                for j in range(d):
                    z[k, i] -= beside[k, i, j] * z[k + 1, j]
        _backward(diagonal[k], z[k])
    return True


@njit(cache=True, nogil=True)
def _factorise(a):
    """Cholesky's factor in the lower triangle; False if not positive definite."""
    for i in range(len(a)):
        for j in range(i):
            entry = a[i, j]
            for c in range(j):
                entry -= a[i, c] * a[j, c]
            a[i, j] = entry / a[j, j]
        pivot = a[i, i]
        for c in range(i):
            pivot -= a[i, c] ** 2
        if not pivot > 0:
            return False
        a[i, i] = math.sqrt(pivot)
    return True


@njit(cache=True, nogil=True)
def _forward(lower, w):
    """w <- lower^-1 w, all columns together."""
    for i in range(len(w)):
        for j in range(i):
            for c in range(w.shape[1]):
                w[i, c] -= lower[i, j] * w[j, c]
        for c in range(w.shape[1]):
            w[i, c] /= lower[i, i]


@njit(cache=True, nogil=True)
def _backward(lower, z):
    """z <- lower^-T z"""
    for i in range(len(z) - 1, -1, -1):
        z[i] /= lower[i, i]
        for j in range(i):
            z[j] -= lower[i, j] * z[i]


@njit(cache=True, nogil=True)
def _learn_all(rows, x, weight, slope, curvature, trial, trial_weight, trial_slope):
    for row in range(len(rows)):
        p = rows[row]
        for k in range(1, x.shape[1] - 1):
            if trial_weight[row, k - 1] > 0 and weight[p, k] > 0:
                change = trial_slope[row, k - 1] - slope[p, k]
                _learn(curvature[p, k], trial[row, k] - x[p, k], change)


@njit(cache=True, nogil=True)
def _learn(curvature, step, change):
    """Symmetric rank-one update, after which ``curvature @ step`` is the change."""
    d = len(step)
    miss = change.copy()
    for i in range(d):
        for j in range(d):
            miss[i] -= curvature[i, j] * step[j]
    along = np.sum(miss * step)
    size = math.sqrt(np.sum(miss**2) * np.sum(step**2))
    if size == 0 or abs(along) < MIN_COSINE * size:
        return
    for i in range(d):
        for j in range(d):
            curvature[i, j] += miss[i] * miss[j] / along
