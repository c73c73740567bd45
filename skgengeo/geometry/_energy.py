"""Energy of curves of nodes, and its gradient.

Between nodes x_k at constant speed, a geodesic minimises the energy
E = n sum_k |x_{k+1} - x_k|^2 c_k c_{k+1} of n segments, whose square root approximates
the length. In log c it is ``n |u|^2 exp(log c_k + log c_{k+1})``, which is right to
second order in the spacing, and exact to fourth order in what counts, the length of
the curve found.
"""

import math

import numpy as np
from numba import njit

from ._cost import log_cost

# Damping: what a bad step multiplies it by, the least above zero, and where no smaller
# step helps, as at a jump of log p.
BRAKE, LEAST_DAMPING, STALLED = 4.0, 1e-2, 1e10


def energies_at(nodes, log_density_gradient, metric, *, log_unit=0.0):
    """Energy of each curve, and how it changes with the first node.

    Parameters
    ----------
    nodes : ndarray of shape (n_curves, n_nodes, n_features)
        At a minimum of the energy for fixed ends, so that no other node matters.
    log_density_gradient : callable
        As in `descended`.
    metric : Metric
        As in `descended`.
    log_unit : float, default=0.0
        Logarithm of the unit of length, such that squares can be represented.

    Returns
    -------
    energies : ndarray of shape (n_curves,)
        About the squares of the lengths.
    slopes : ndarray of shape (n_curves, n_features)
        Gradient with respect to the first node.
    """
    log_c, weight, slope = evaluated(nodes, log_density_gradient, metric)
    u = np.diff(nodes, axis=1)
    e = u.shape[1] * np.exp((log_c[:, 1:] - log_unit) + (log_c[:, :-1] - log_unit))
    terms = e * (u**2).sum(axis=2)
    bend = metric.exponent * weight[:, :1] * slope[:, 0]
    return terms.sum(axis=1), -2 * e[:, :1] * u[:, 0] - terms[:, :1] * bend


def evaluated(points, log_density_gradient, metric):
    """What energies are made of, at nodes of curves.

    Parameters
    ----------
    points : ndarray of shape (n_curves, n_nodes, n_features)
        The nodes.
    log_density_gradient : callable
        As in `descended`.
    metric : Metric
        As in `descended`.

    Returns
    -------
    log_c : ndarray of shape (n_curves, n_nodes)
        Logarithm of the cost.
    weight : ndarray of shape (n_curves, n_nodes)
        p / (p + λ p0), by which log c falls where log p rises.
    slope : ndarray of shape (n_curves, n_nodes, n_features)
        Gradient of log p.
    """
    log_p, slope = log_density_gradient(points.reshape(-1, points.shape[2]))
    outside = np.isneginf(log_p)
    slope = np.where(outside[:, None], 0.0, slope)
    _check_slope(slope)
    log_ratio = log_p - metric.log_p0
    log_c = log_cost(log_ratio, lam=metric.lam, exponent=metric.exponent)
    weight = np.ones(len(log_p))
    if metric.lam > 0:
        weight = np.exp(log_ratio - np.logaddexp(log_ratio, np.log(metric.lam)))
    shape = points.shape[:2]
    return log_c.reshape(shape), weight.reshape(shape), slope.reshape(points.shape)


def _check_slope(slope):
    bad = np.flatnonzero(~np.isfinite(slope).all(axis=1))
    if len(bad):
        raise ValueError(
            f"The gradient of the log density is not finite at {len(bad)} of "
            f"{len(slope)} points, the first of them {slope[bad[0]]}. It must be "
            "finite wherever the density is above zero; pass a smoother density."
        )


@njit(cache=True, nogil=True)
def energy(x, log_c):
    """Energy of one curve, its cost in the logarithm."""
    total, n = 0.0, len(x) - 1
    for k in range(n):
        total += n * math.exp(log_c[k] + log_c[k + 1]) * squared(x[k], x[k + 1])
    return total


@njit(cache=True, nogil=True)
def add_up(x, log_c, weight, slope, s, q, r, hold):
    """Energy of one curve; derivatives of that of each segment, into q, r and hold.

    A segment u has the energy f = e |u|^2 with e = n c_k c_{k+1}: q and r are its
    gradients at both ends, and hold is 2 e, which holds the ends together.
    """
    total, n = 0.0, len(x) - 1
    for k in range(n):
        e = n * math.exp(log_c[k] + log_c[k + 1])
        f = e * squared(x[k], x[k + 1])
        hold[k] = 2 * e
        for i in range(x.shape[1]):
            pull = 2 * e * (x[k + 1, i] - x[k, i])
            q[k, i] = -f * s * weight[k] * slope[k, i] - pull
            r[k, i] = -f * s * weight[k + 1] * slope[k + 1, i] + pull
        total += f
    return total


@njit(cache=True, nogil=True)
def held(hold, z):
    """The quadratic form of the damping, of a step z."""
    nowhere = np.zeros(z.shape[1])
    total = hold[0] * squared(nowhere, z[0]) + hold[-1] * squared(z[-1], nowhere)
    for k in range(1, len(z)):
        total += hold[k] * squared(z[k - 1], z[k])
    return total


@njit(cache=True, nogil=True)
def squared(a, b):
    """Squared distance of two points, without arrays in between: it is called most."""
    total = 0.0
    for i in range(len(a)):
        total += (b[i] - a[i]) ** 2
    return total
