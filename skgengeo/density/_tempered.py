"""TemperedDensity: log p / T, for densities that are too steep."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import Interval, _fit_context
from ._parzen import ManifoldParzenWindows
from ._protocol import (
    HoldsDensity,
    allows_threads,
    as_density,
    check_feature_names,
    fit_density,
    log_density,
)


class TemperedDensity(HoldsDensity, BaseEstimator):
    """A density whose logarithm is divided by a temperature.

    In many dimensions log densities of neighbours differ by hundreds, and the cost of
    a geodesic is zero or infinite. A temperature of the order of the dimension makes
    them comparable: with ``temperature = d`` the cost :eq:`eq-cost` at λ = 0 is the
    dimension-adapted one, ``p ** (-1 / d)``.

    Parameters
    ----------
    density : object or None, default=None
        Any density that :func:`skgengeo.density.as_density` takes; None is
        :class:`skgengeo.density.ManifoldParzenWindows`. A fitted one is used as it
        is, an unfitted one is cloned and fitted.
    temperature : float, default=1.0
        Positive; larger is flatter.

    Attributes
    ----------
    density_ : estimator
        The fitted density.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    Notes
    -----
    The result is not normalised, which geodesics do not need.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KernelDensity
    >>> from skgengeo.density import TemperedDensity
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> sharp = KernelDensity().fit(X)
    >>> flat = TemperedDensity(sharp, temperature=2.0).fit(X)
    >>> bool(np.allclose(flat.score_samples(X), sharp.score_samples(X) / 2))
    True
    """

    _parameter_constraints: dict = {
        "density": "no_validation",
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    @property
    def _thread_safe(self):
        return allows_threads(self.density_)

    def __init__(self, density=None, *, temperature=1.0):
        self.density = density
        self.temperature = temperature

    @_fit_context(prefer_skip_nested_validation=False)  # the density is a user's
    def fit(self, X, y=None):
        """Fit the density, unless it is fitted already.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like, optional
            Handed to the density.

        Returns
        -------
        self : TemperedDensity
            The fitted density.
        """
        X = validate_data(self, X, dtype=np.float64)
        inner = ManifoldParzenWindows() if self.density is None else self.density
        self.density_ = fit_density(as_density(inner), X, y)
        check_feature_names(self.density_, self)
        return self

    def score_samples(self, X):
        """Log density at each point, divided by the temperature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            ``log p / temperature``, not normalised.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return log_density(self.density_, X) / self.temperature
