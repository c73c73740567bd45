"""Exact geodesic distances around an isotropic Gaussian, in any dimension.

Between two points x and y the geodesic stays in the plane of x, y and the centre, where
it solves ``x'' = |x'|^2 grad(log c) - 2 (grad(log c) . x') x'``: a boundary value
problem of ordinary differential equations, for which SciPy has a solver that controls
its error. Its speed ``c |x'|`` is constant and is the length.
"""

import numpy as np
from scipy.integrate import solve_bvp

TOL = 1e-8


def log_cost(r, variance, log_ratio_at_centre, lam):
    """log c at radius r, and its derivative over r."""
    log_ratio = log_ratio_at_centre - r**2 / (2 * variance)
    below = np.logaddexp(log_ratio, np.log(lam))
    return np.log1p(lam) - below, np.exp(log_ratio - below) / variance


def planar_distance(x, y, variance, log_ratio_at_centre, lam):
    """Distance of two points of the plane, from the solution that is nearly straight.

    Parameters
    ----------
    x, y : ndarray of shape (2,)
        The points; the Gaussian is centred at the origin.
    variance : float
        Of each coordinate.
    log_ratio_at_centre : float
        Logarithm of p / p0 there.
    lam : float
        λ, above zero.
    """

    def motion(t, state):
        place, speed = state[:2], state[2:]
        r = np.linalg.norm(place, axis=0)
        slope = log_cost(r, variance, log_ratio_at_centre, lam)[1] * place
        along = (slope * speed).sum(axis=0)
        return np.vstack([speed, (speed**2).sum(axis=0) * slope - 2 * along * speed])

    t = np.linspace(0, 1, 101)
    start = x[:, None] + t * (y - x)[:, None]
    state = np.vstack([start, np.repeat((y - x)[:, None], len(t), axis=1)])
    found = solve_bvp(
        motion,
        lambda a, b: np.concatenate([a[:2] - x, b[:2] - y]),
        t,
        state,
        tol=TOL,
        max_nodes=100_000,
    )
    if not found.success:
        raise RuntimeError(found.message)
    place, speed = found.y[:2], found.y[2:]
    log_c, _ = log_cost(
        np.linalg.norm(place, axis=0), variance, log_ratio_at_centre, lam
    )
    return float(np.mean(np.exp(log_c) * np.linalg.norm(speed, axis=0)))


def gaussian_distances(X, Y, variance, log_ratio_at_centre, lam):
    """Distances of matched rows, in any dimension."""
    r, s = np.linalg.norm(X, axis=1), np.linalg.norm(Y, axis=1)
    cosine = np.clip((X * Y).sum(axis=1) / (r * s), -1, 1)
    x = np.column_stack([r, np.zeros(len(r))])
    y = s[:, None] * np.column_stack([cosine, np.sqrt(1 - cosine**2)])
    rule = variance, log_ratio_at_centre, lam
    return np.array([planar_distance(*ends, *rule) for ends in zip(x, y, strict=True)])
