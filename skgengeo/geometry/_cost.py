"""Log density -> log cost: the metric itself, and nothing else.

The cost per unit length is ``c(x) = ((p0 + lam p0) / (p(x) + lam p0)) ** exponent``,
so that ``c = 1`` where ``p = p0``. All of it is computed from
``log_ratio = log p(x) - log p0``.
"""

import math

import numpy as np
from numba import njit

MAX_LOG_COST = 700.0


def log_cost(log_ratio, *, lam, exponent=1.0):
    """Logarithm of the cost per unit length.

    Parameters
    ----------
    log_ratio : ndarray
        ``log p(x) - log p0``; ``-inf`` outside the support.
    lam : float
        Regularisation in units of p0, in [0, inf].
    exponent : float, default=1.0
        The power s of the metric.

    Returns
    -------
    ndarray
        ``exponent * (log1p(lam) - logaddexp(log_ratio, log(lam)))``.
    """
    if np.isinf(lam):
        return np.zeros_like(log_ratio)
    if lam == 0:
        return -exponent * log_ratio
    return exponent * (np.log1p(lam) - np.logaddexp(log_ratio, np.log(lam)))


@njit(cache=True, nogil=True, inline="always")
def cost(log_ratio, lam, exponent):
    """Cost per unit length of one point: the compiled twin of `log_cost`."""
    if math.isinf(lam):
        return 1.0
    if lam == 0.0:
        return math.exp(-exponent * log_ratio)
    base = (1.0 + lam) / (math.exp(log_ratio) + lam)
    return base if exponent == 1.0 else base**exponent


def check_log_cost(log_ratio, *, lam, exponent):
    """Raise a ValueError where the metric leaves the range of floating point.

    Parameters
    ----------
    log_ratio : ndarray
        ``log p(x) - log p0`` at every point where the cost is needed.
    lam, exponent : float
        The metric, as in `log_cost`.
    """
    if len(log_ratio) == 0:
        return
    if lam == 0 and np.isneginf(log_ratio).any():
        raise ValueError(
            f"lam=0 with a density that is zero at {np.isneginf(log_ratio).sum()} "
            "of the points where it was evaluated: the cost there is infinite. "
            "Pass lam > 0, a density with full support, or shortcuts=False where "
            "shortcuts=True has joined samples across such points."
        )
    extremes = np.array([log_ratio.min(), log_ratio.max()])
    values = log_cost(extremes, lam=lam, exponent=exponent)
    if np.abs(values).max() > MAX_LOG_COST:
        raise ValueError(
            f"The metric is degenerate: the log cost runs from {values.min():.4g} to "
            f"{values.max():.4g}, and must stay within ±{MAX_LOG_COST:.0f} to be "
            "representable. Flatten the density with "
            "skgengeo.density.TemperedDensity(density, temperature='auto'), or with a "
            "higher number, or pass a smaller exponent."
        )
