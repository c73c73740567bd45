"""L-BFGS's model of the energy of curves: work and memory linear in the features.

The last steps, and how gradients changed along them, correct a first guess: a chain of
springs, as strong as the costs that hold its nodes together, each node held back as
far as log p is known to curve along each feature.
"""

import numpy as np
from numba import njit

from ._energy import add_up, held

# Steps that are remembered.
MEMORY = 10
# Steps along which the energy curves less than the chain, by this factor, are not.
LEAST_CURVATURE = 1e-6
# Where a step is refused the steps before have misled, and are forgotten: costs may
# change by many orders of magnitude on the way. So the damping is over this.
MISLED = 3.0
TINY = np.finfo(np.float64).tiny


class LimitedMemory:
    """Quasi-Newton steps, damped [1]_, from diagonals of the Hessians of log p [2]_.

    Parameters
    ----------
    n_curves, n_nodes, n_features : int
        Shape of the nodes.
    exponent : float
        Of the metric.

    References
    ----------
    .. [1] J. Nocedal and S. J. Wright, "Numerical Optimization", algorithm 7.4,
       Springer, 2006.
    .. [2] M. Zhu, J. L. Nazareth and H. Wolkowicz, "The Quasi-Cauchy Relation and
       Diagonal Updating", SIAM Journal on Optimization 9, 1999.
    """

    def __init__(self, n_curves, n_nodes, n_features, exponent):
        inner = n_nodes - 2, n_features
        self.exponent = exponent
        self.curvature = np.zeros((n_curves, *inner))
        self.nodes, self.gradient = np.zeros((2, n_curves, *inner))
        self.steps, self.changes = np.zeros((2, n_curves, MEMORY, *inner))
        # -1 where not even a gradient is known.
        self.n_steps = np.full(n_curves, -1)

    @staticmethod
    def node_floats(n_features):
        """Numbers kept and made for each node of a batch."""
        return (n_features + 1) * (2 * MEMORY + 16)

    def propose(self, rows, x, log_c, weight, slope, unit, damping, step):
        """Steps of the curves in `rows`; their energies, and what these should fall by.

        They are divided by one more than the damping.
        """
        state = x, log_c, weight, slope, unit, damping, self.exponent
        known = self.curvature, self.nodes, self.gradient, self.steps, self.changes
        return _propose(rows, *state, *known, self.n_steps, step)

    def learn(self, rows, x, weight, slope, trial, trial_weight, trial_slope):
        """Curvature of log p, by the least change that agrees with the trials.

        What is learned first holds for all features.
        """
        step = (trial - x[rows])[:, 1:-1]
        change = trial_slope - slope[rows][:, 1:-1]
        known, squares = self.curvature[rows], step**2
        largest = np.maximum(squares.max(axis=2, keepdims=True), TINY)
        least = np.where(known.any(axis=2, keepdims=True), squares / largest, 1.0)
        miss = np.sum(step * change - squares * known, axis=2)
        scale = np.sum(least * squares, axis=2)
        inside = (trial_weight > 0) & (weight[rows][:, 1:-1] > 0) & (scale > 0)
        share = np.divide(miss, scale, out=np.zeros_like(miss), where=inside)
        self.curvature[rows] = known + share[:, :, None] * least


@njit(cache=True, nogil=True)
def _propose(
    rows,
    x,
    log_c,
    weight,
    slope,
    unit,
    damping,
    s,
    curvature,
    nodes,
    gradients,
    steps,
    changes,
    n_steps,
    step,
):
    n_inner, d = x.shape[1] - 2, x.shape[2]
    energy, decrease = np.empty(len(rows)), np.empty(len(rows))
    q, r = np.empty((n_inner + 1, d)), np.empty((n_inner + 1, d))
    hold, stiff = np.empty(n_inner + 1), np.empty((n_inner, d))
    for row in range(len(rows)):
        p, z = rows[row], step[row, 1:-1]
        energy[row] = add_up(
            x[p], log_c[p] - unit[p], weight[p], slope[p], s, q, r, hold
        )
        gradient = q[1:] + r[:-1]
        if n_steps[p] < 0:
            n_steps[p] = 0
        elif damping[p] > MISLED and n_steps[p] > 0:
            n_steps[p], damping[p] = 0, 1.0  # as at first
        else:
            moved, change = x[p, 1:-1] - nodes[p], gradient - gradients[p]
            if np.sum(moved * change) > max(LEAST_CURVATURE * held(hold, moved), TINY):
                k = n_steps[p] % MEMORY
                steps[p, k], changes[p, k] = moved, change
                n_steps[p] += 1
        nodes[p], gradients[p] = x[p, 1:-1], gradient
        _stiffen(x[p], weight[p], slope[p], curvature[p], s, hold, stiff)
        z[:] = -gradient
        _multiply_inverse(steps[p], changes[p], n_steps[p], hold, stiff, z)
        along = -np.sum(gradient * z)
        if not 0 <= along < np.inf:
            # Rounding has made it go uphill: the chain alone does not.
            n_steps[p], z[:] = 0, -gradient
            _solve_chain(hold, stiff, z)
            along = -np.sum(gradient * z)
        # z = -B^-1 gradient / (1 + damping): -gradient z - z B z / 2
        share = 1 / (1 + damping[p])
        decrease[row] = along * share * (1 - share / 2)
        z *= share
    return energy, decrease


@njit(cache=True, nogil=True)
def _stiffen(x, weight, slope, curvature, s, hold, stiff):
    """By how much the energy curves as log c does at each node, where it is convex."""
    before = hold[0] * np.sum((x[1] - x[0]) ** 2) / 2
    for k in range(len(stiff)):
        after = hold[k + 1] * np.sum((x[k + 2] - x[k + 1]) ** 2) / 2
        f, w = s * (before + after) * weight[k + 1], weight[k + 1]
        for i in range(stiff.shape[1]):
            bend = curvature[k, i] + (1 - w) * slope[k + 1, i] ** 2
            stiff[k, i] = max(-f * bend, 0.0)
        before = after


@njit(cache=True, nogil=True)
def _multiply_inverse(steps, changes, n_steps, hold, stiff, z):
    """z <- the inverse of the model's Hessian times z, by the two loops."""
    first, share = max(n_steps - MEMORY, 0), np.empty(MEMORY)
    for m in range(n_steps - 1, first - 1, -1):
        k = m % MEMORY
        share[k] = np.sum(steps[k] * z) / np.sum(steps[k] * changes[k])
        z -= share[k] * changes[k]
    if n_steps > 0:
        k = (n_steps - 1) % MEMORY
        guess = changes[k].copy()
        _solve_chain(hold, stiff, guess)
        z *= np.sum(steps[k] * changes[k]) / np.sum(changes[k] * guess)
    _solve_chain(hold, stiff, z)
    for m in range(first, n_steps):
        k = m % MEMORY
        over = np.sum(changes[k] * z) / np.sum(steps[k] * changes[k])
        z += (share[k] - over) * steps[k]


@njit(cache=True, nogil=True)
def _solve_chain(hold, stiff, z):
    """z <- how far nodes move, each feature for itself, where z pulls at them.

    `left` is what holds a node from the left. It is not made by differences, as springs
    may be stronger than others by more than the precision.
    """
    n, d = z.shape
    factor, left = np.empty((n, d)), hold[0] + stiff[0]
    for k in range(n):
        for i in range(d):
            if k > 0:
                left[i] = factor[k - 1, i] * left[i] + stiff[k, i]
                z[k, i] += hold[k] * z[k - 1, i]
            pivot = left[i] + hold[k + 1] + TINY
            factor[k, i] = hold[k + 1] / pivot
            z[k, i] /= pivot
    for k in range(n - 2, -1, -1):
        for i in range(d):
            z[k, i] += factor[k, i] * z[k + 1, i]
