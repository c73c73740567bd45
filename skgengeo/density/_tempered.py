"""TemperedDensity: log p / T, for densities that are too steep."""

from functools import partial
from numbers import Real

import numpy as np
from scipy.stats import median_abs_deviation
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import Interval, StrOptions
from .._fitting import afresh
from ._gradient import evaluate, gradient_of
from ._parzen import ManifoldParzenWindows
from ._protocol import HoldsDensity, as_density, check_feature_names, fit_density
from ._scoring import log_density
from ._sums import kernel_sum_of

# The least that "auto" takes: what differs by less than a factor of some tens within
# the data is mostly the noise of the estimate, and not their shape.
LEAST_TEMPERATURE = 3.0

# So many samples tell how log p bends on the way to a neighbour.
MAX_MIDPOINTS = 1000


class TemperedDensity(HoldsDensity, BaseEstimator):
    """A density whose logarithm is divided by a temperature.

    In many dimensions log densities can differ by tens or hundreds, from sample to
    sample, and on the way from a sample to its neighbour: much then lies where the
    density is nothing beside λ, and much where the cost of a geodesic is nothing. A
    temperature makes them comparable, so that λ has a similar meaning in any dimension.

    Parameters
    ----------
    density : object or None, default=None
        Any density that :func:`skgengeo.density.as_density` takes; None is
        :class:`skgengeo.density.ManifoldParzenWindows`. A fitted one is used as it
        is, an unfitted one is cloned and fitted.
    temperature : float or "auto", default="auto"
        Positive; larger is flatter. "auto" is the largest of four: the spread of the
        log density over the training samples, as their median absolute deviation tells
        it; its median rise or fall from two neighbours to the middle between them; half
        the number of features; and 3. So log densities are brought within about 1 of
        each other, over the samples and along an edge, and cost falls no faster than
        ``p ** (-2 / d)``, which grows as the square of the distance between samples. It
        evaluates the density once at each sample, and at no more than 1,000 points
        beside. With ``temperature = d`` the cost :eq:`eq-cost` at λ = 0 is the
        dimension-adapted one, ``p ** (-1 / d)``.

    Attributes
    ----------
    density_ : estimator
        The fitted density.
    temperature_ : float
        Temperature used.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    Notes
    -----
    The result is not normalised, which geodesics do not need. The rule behind "auto",
    eq. :eq:`eq-temperature` of the user guide, is this package's own. Of n samples the
    neighbour is the middle one of the ``ceil(log2(n))`` nearest. Up to 1,000 samples
    all take part, beyond that 500 to 1,000, at equal steps through the rows. Where the
    density is zero at a sample or in the middle, the pair is left out.

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
        "temperature": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
    }

    def __init__(self, density=None, *, temperature="auto"):
        self.density = density
        self.temperature = temperature

    @afresh
    def fit(self, X, y=None):
        """Fit the density, unless it is fitted already, and choose the temperature.

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

        Raises
        ------
        ValueError
            Where "auto" finds a density of zero at half of the samples.
        """
        X = validate_data(self, X, dtype=np.float64)
        inner = ManifoldParzenWindows() if self.density is None else self.density
        self.density_ = fit_density(as_density(inner), X, y)
        check_feature_names(self.density_, self)
        self.temperature_ = self._choose_temperature(X)
        return self

    def _choose_temperature(self, X):
        if self.temperature != "auto":
            return float(self.temperature)
        values = log_density(self.density_, X)
        if np.isneginf(np.median(values)):
            raise ValueError(
                f"The density is zero at {np.isneginf(values).sum()} of {len(X)} "
                "training samples, so that its logarithm has no spread to choose a "
                "temperature from. Pass a number as temperature, or widen the density."
            )
        # For a normal distribution this is the standard deviation.
        spread = float(median_abs_deviation(values, scale="normal"))
        return max(LEAST_TEMPERATURE, X.shape[1] / 2, spread, self._bend(X, values))

    def _bend(self, X, values):
        """Median rise or fall of log p from two neighbours to the middle between."""
        # Between copies there is no middle.
        distinct = np.sort(np.unique(X, axis=0, return_index=True)[1])
        X, values = X[distinct], values[distinct]
        rows = np.arange(0, len(X), -(-len(X) // MAX_MIDPOINTS))
        beside = middle_neighbors(X, rows)
        middle = log_density(self.density_, (X[rows] + X[beside]) / 2)
        ends = (values[rows] + values[beside]) / 2
        seen = np.isfinite(middle) & np.isfinite(ends)
        bends = abs(middle[seen] - ends[seen])
        return float(np.median(bends)) if len(bends) else 0.0

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
        return log_density(self.density_, X) / self.temperature_

    def score_samples_gradient(self, X):
        """Gradient of the tempered log density at each point.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            That of the density within, divided by the temperature: see
            :func:`skgengeo.density.log_density_gradient`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.neighbors import KernelDensity
        >>> from skgengeo.density import TemperedDensity
        >>> X = np.zeros((4, 2))
        >>> flat = TemperedDensity(KernelDensity().fit(X), temperature=2.0).fit(X)
        >>> flat.score_samples_gradient([[3.0, 4.0]]).tolist()
        [[-1.5, -2.0]]
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False, order="C")
        # Not that of `gradient_of`, which asks a subclass for this method.
        return evaluate(self._gradient(), X)[1]

    def _kernel_sum(self):
        check_is_fitted(self)
        inner = kernel_sum_of(self.density_)
        return None if inner is None else inner.tempered(self.temperature_)

    def _gradient(self):
        inner = gradient_of(self.density_)
        return inner._replace(function=partial(self._divided, inner.function))

    def _divided(self, function, X, scale):
        values, gradients = function(X, scale)
        return values / self.temperature_, gradients / self.temperature_


def middle_neighbors(X, rows):
    """The middle one of the nearest neighbours that a geodesic graph would join.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The samples, each one once.
    rows : ndarray of int
        Samples whose neighbour is asked for.

    Returns
    -------
    ndarray of int
        A sample for each of the rows, another one unless there is only one.
    """
    rank = (int(np.ceil(np.log2(len(X)))) + 1) // 2
    # The first is the sample itself.
    nearest = NearestNeighbors(n_neighbors=rank + 1).fit(X)
    return nearest.kneighbors(X[rows], return_distance=False)[:, rank]
