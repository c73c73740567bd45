"""Manifold Parzen windows: a Gaussian for each sample, shaped by its neighbours."""

import math
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from scipy.stats import median_abs_deviation
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .._batching import row_batches
from .._compat import Interval, StrOptions
from .._fitting import afresh
from .._floats import check_extent
from ._blocks import gaussian_blocks
from ._kernel_sum import log_sum
from ._protocol import ScoresByMean
from ._sums import KernelSum

# Variance below this share of the mean local variance is rounding, not data.
VARIANCE_FLOOR = 1e-6
# Candidates for the second neighbourhood, in multiples of its size.
CANDIDATES = 3
# What the other kernels add at a sample is this share of the density at least.
LEAST_SHARE = 1e-6


class ManifoldParzenWindows(ScoresByMean, BaseEstimator):
    """Kernel density whose kernels follow the data.

    Each sample brings a Gaussian with the mean and the covariance of its neighbourhood,
    shrunk towards a sphere: eq. :eq:`eq-parzen` of the user guide, after [1]_. Where
    the data lie near a surface, so does the density, which an isotropic kernel of any
    bandwidth cannot do.

    Parameters
    ----------
    n_neighbors : int or "auto", default="auto"
        Neighbours k of a neighbourhood, beside the sample itself. With
        ``m = ceil(log2(n_samples))``, "auto" takes ``min(m + 3 n_features, 3 m)``, and
        at most ``n_samples - 1``.
    shrinkage : float in [0, 1] or "auto", default="auto"
        Weight of the sphere of equal trace in each covariance. "auto" takes
        ``n_features / (n_features + 5 k)``: the fewer the neighbours beside the
        features, the larger.
    covariance_scale : float or "auto", default="auto"
        Factor of each covariance. Small values tell apart what lies close together,
        large ones are smoother. "auto" takes ``max(1 / 2, 1 - 3 / (2 n_features))``:
        the more features, the fewer kernels meet at a point.
    outlier_exponent : float, default=4.0
        How much less the kernel of a sample counts that lies in a sparser place than
        its neighbours. 0 gives all kernels one weight.
    rtol : float, default=1e-6
        Bound on the relative error of the density that comes from leaving out far
        kernels. All kernels that it asks for are summed.

    Attributes
    ----------
    centers_ : ndarray of shape (n_samples, n_features)
        Mean of each kernel.
    weights_ : ndarray of shape (n_samples,)
        Weight of each kernel; they add up to 1.
    n_neighbors_ : int
        Neighbours used.
    shrinkage_ : float
        Weight of the sphere used.
    covariance_scale_ : float
        Factor used.
    variances_ : ndarray of shape (n_samples, n_directions)
        Variance of each kernel along its leading directions.
    directions_ : ndarray of shape (n_samples, n_directions, n_features)
        Those directions, orthonormal.
    residual_variances_ : ndarray of shape (n_samples,)
        Variance of each kernel in all other directions.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    See Also
    --------
    sklearn.neighbors.KernelDensity : One isotropic kernel for all samples.
    sklearn.mixture.GaussianMixture : A few Gaussians in place of one a sample.

    Notes
    -----
    This package's own, and not of [1]_, are the second neighbourhood, nearest in the
    shape of the first; the mean of the neighbourhood as centre, where the sample itself
    would count the noise twice; and the weights, which keep single samples between two
    sheets from joining them. How sparse a sample lies the density of the other kernels
    tells; less than a millionth of the density of all counts as that. The defaults are
    made for geodesics, which need the gaps of the data more than the best likelihood:
    ``covariance_scale=1`` and ``outlier_exponent=0`` have a higher likelihood of
    held-out samples.

    Kernels are bounded in blocks of neighbouring centres. A block is left out where
    the bound says that all that are left out add up to less than `rtol` times the
    sum, so that the density has no visible seams where a fixed number of near centres
    would make some.

    References
    ----------
    .. [1] P. Vincent and Y. Bengio, "Manifold Parzen Windows", NIPS 2002.

    Examples
    --------
    >>> from sklearn.datasets import make_swiss_roll
    >>> from skgengeo.density import ManifoldParzenWindows
    >>> X, _ = make_swiss_roll(500, noise=0.5, random_state=0)
    >>> density = ManifoldParzenWindows().fit(X)
    >>> density.score_samples(X[:3]).shape
    (3,)
    """

    _parameter_constraints: dict = {
        "n_neighbors": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "covariance_scale": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "outlier_exponent": [Interval(Real, 0, None, closed="left")],
        "rtol": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        n_neighbors="auto",
        *,
        shrinkage="auto",
        covariance_scale="auto",
        outlier_exponent=4.0,
        rtol=1e-6,
    ):
        self.n_neighbors = n_neighbors
        self.shrinkage = shrinkage
        self.covariance_scale = covariance_scale
        self.outlier_exponent = outlier_exponent
        self.rtol = rtol

    @afresh
    def fit(self, X, y=None):
        """Fit a kernel to the neighbourhood of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples, at least two.
        y : None
            Ignored.

        Returns
        -------
        self : ManifoldParzenWindows
            The fitted density.

        Raises
        ------
        ValueError
            Where there are fewer than two samples, or no more than `n_neighbors`, or
            where squares of their differences leave the range of floating point.
        """
        del y
        # Sums in the same order, whatever the layout of X.
        X = validate_data(
            self, X, dtype=np.float64, order="C", ensure_min_samples=2, copy=True
        )
        self.n_neighbors_ = self._choose_n_neighbors(*X.shape)
        self.shrinkage_ = self._choose_shrinkage(X.shape[1])
        self.covariance_scale_ = self._choose_covariance_scale(X.shape[1])
        check_extent(X)
        origin = X.mean(axis=0)
        near, gaussians = _local_gaussians(
            X - origin, self.n_neighbors_, self.shrinkage_
        )
        self.centers_ = gaussians.means + origin
        self.variances_ = self.covariance_scale_ * gaussians.variances
        self.directions_ = gaussians.directions
        self.residual_variances_ = self.covariance_scale_ * gaussians.residual
        log_weights = self._log_weights(X, near)
        self.weights_ = np.exp(log_weights)
        self._blocks = self._blocks_of(log_weights)
        return self

    def _choose_n_neighbors(self, n_samples, n_features):
        if self.n_neighbors == "auto":
            m = math.ceil(math.log2(n_samples))
            return min(m + 3 * n_features, 3 * m, n_samples - 1)
        if self.n_neighbors >= n_samples:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} with n_samples={n_samples}: a sample "
                f"has {n_samples - 1} neighbours. Pass fewer, or 'auto'."
            )
        return self.n_neighbors

    def _choose_shrinkage(self, n_features):
        if self.shrinkage == "auto":
            return n_features / (n_features + 5 * self.n_neighbors_)
        return float(self.shrinkage)

    def _choose_covariance_scale(self, n_features):
        if self.covariance_scale == "auto":
            return max(0.5, 1 - 1.5 / n_features)
        return float(self.covariance_scale)

    def _blocks_of(self, log_weights):
        return gaussian_blocks(
            log_weights,
            self.centers_,
            self.variances_,
            self.directions_,
            self.residual_variances_,
        )

    def _log_weights(self, X, near):
        """Log of the weight of each kernel, given the neighbours of each sample.

        The sparser a sample lies than its neighbours, as all other kernels tell, the
        less its own counts.
        """
        n = len(X)
        equal = np.full(n, -math.log(n))
        if self.outlier_exponent == 0:
            return equal
        # What the least share is a part of is known to a thousandth of it.
        rtol = min(self.rtol, 1e-3 * LEAST_SHARE)
        log_p = log_sum(X, self._blocks_of(equal), rtol)
        share = np.exp(np.minimum(self._log_own(X) - log_p, 0.0))
        others = log_p + np.log(np.maximum(1 - share, LEAST_SHARE))
        spread = max(1.0, median_abs_deviation(others, scale="normal"))
        sparser = (others - others[near].mean(axis=1)) / spread
        powers = self.outlier_exponent * np.clip(sparser, math.log(LEAST_SHARE), 0.0)
        return powers - logsumexp(powers)

    def _log_own(self, X):
        """Log of what the kernel of each sample adds there, at equal weights."""
        n, d = X.shape
        offsets = X - self.centers_
        squares = _squared_lengths(
            offsets[:, None],
            self.variances_,
            self.directions_,
            self.residual_variances_,
        )[:, 0]
        rest = d - self.variances_.shape[1]
        log_det = np.log(self.variances_).sum(axis=1)
        log_det += rest * np.log(self.residual_variances_)
        return -0.5 * (squares + log_det + d * math.log(2 * math.pi)) - math.log(n)

    def score_samples(self, X):
        """Log density at each point.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            log p, normalised.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False, order="C")
        return log_sum(X, self._blocks, self.rtol)

    def score_samples_gradient(self, X):
        """Gradient of the log density at each point.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of the kernels that `score_samples` sums; it points to where the density
            rises fastest. Zero where the density is less than floating point has.

        Examples
        --------
        >>> import numpy as np
        >>> from skgengeo.density import ManifoldParzenWindows
        >>> X = np.random.default_rng(0).normal(size=(500, 2))
        >>> density = ManifoldParzenWindows().fit(X)
        >>> density.score_samples_gradient([[5.0, 0.0]]).shape
        (1, 2)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False, order="C")
        return log_sum(X, self._blocks, self.rtol, gradient=True)[1]

    def _kernel_sum(self):
        check_is_fitted(self)
        return KernelSum(type(self).__name__, self._blocks, self.rtol)

    def sample(self, n_samples=1, random_state=None):
        """Draw points from the density.

        Parameters
        ----------
        n_samples : int, default=1
            Number of points.
        random_state : None, int or RandomState
            Seed.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The points.
        """
        check_is_fitted(self)
        rng = check_random_state(random_state)
        centers = rng.choice(len(self.centers_), size=n_samples, p=self.weights_)
        residual = np.sqrt(self.residual_variances_[centers])
        extra = np.sqrt(
            np.maximum(self.variances_[centers] - residual[:, None] ** 2, 0.0)
        )
        noise = residual[:, None] * rng.normal(size=(n_samples, self.n_features_in_))
        along = extra * rng.normal(size=extra.shape)
        points = self.centers_[centers] + noise
        for rows in row_batches(n_samples, row_bytes=8 * self.directions_[0].size + 8):
            directions = self.directions_[centers[rows]]
            points[rows] += np.einsum("ij,ijk->ik", along[rows], directions)
        return points


class Gaussians(NamedTuple):
    """A Gaussian for each row: mean, leading variances and directions, the residual."""

    means: np.ndarray
    variances: np.ndarray
    directions: np.ndarray
    residual: np.ndarray


def _local_gaussians(X, n_neighbors, shrinkage):
    """Mean and shrunk covariance of the neighbourhood of each sample.

    The first neighbourhoods are balls, the second are ellipsoids of the shape and
    about the mean of the first: along a sheet they reach farther than across it.

    Returns
    -------
    near : ndarray of int of shape (n_samples, n_neighbors + 1)
        The first neighbourhoods.
    gaussians : Gaussians
        Of the second.
    """
    # Brute force loses the neighbours of samples far from the origin: X is centred.
    search = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(X)
    near = search.kneighbors(X, return_distance=False)
    balls = _gaussians_of(X, near, shrinkage)
    return near, _gaussians_of(X, _within_ellipsoids(X, search, balls), shrinkage)


def _within_ellipsoids(X, search, gaussians):
    """Each sample, and those nearest to its mean in the metric of its covariance."""
    n, size = len(X), search.n_neighbors
    if size == n:
        return np.tile(np.arange(n), (n, 1))
    n_candidates = min(CANDIDATES * size, n)
    candidates = search.kneighbors(gaussians.means, n_candidates, return_distance=False)
    chosen = np.empty((n, size), dtype=candidates.dtype)
    row_bytes = 3 * 8 * n_candidates * X.shape[1]
    for rows in row_batches(n, row_bytes=row_bytes):
        means, *shapes = (part[rows] for part in gaussians)
        squares = _squared_lengths(X[candidates[rows]] - means[:, None], *shapes)
        # Without itself the kernel of a far sample would be nothing there.
        itself = np.arange(n)[rows, None]
        squares[candidates[rows] == itself] = np.inf
        others = np.argpartition(squares, size - 2, axis=1)[:, : size - 1]
        chosen[rows, :1] = itself
        chosen[rows, 1:] = np.take_along_axis(candidates[rows], others, axis=1)
    return chosen


def _squared_lengths(offsets, variances, directions, residual):
    """Squared Mahalanobis length of some offsets (n, m, d) from each of n Gaussians."""
    along = np.einsum("nmd,njd->nmj", offsets, directions) ** 2
    across = (offsets**2).sum(axis=2) - along.sum(axis=2)
    lengths = np.maximum(across, 0.0) / residual[:, None]
    return lengths + (along / variances[:, None]).sum(axis=2)


def _gaussians_of(X, near, shrinkage):
    """Mean and shrunk covariance of the samples named in each row."""
    (n, size), d = near.shape, X.shape[1]
    rank = min(size - 1, d)
    means, spectrum = np.empty((n, d)), np.empty((n, rank))
    directions = np.empty((n, rank, d))
    for rows in row_batches(n, row_bytes=3 * 8 * size * d):
        some = X[near[rows]]
        # From one of them, identical samples have no variance to the last bit.
        offsets = some - some[:, :1]
        to_mean = offsets.mean(axis=1)
        means[rows] = some[:, 0] + to_mean
        offsets -= to_mean[:, None]
        offsets /= math.sqrt(size - 1)
        _, singular, axes = np.linalg.svd(offsets, full_matrices=False)
        spectrum[rows], directions[rows] = singular[:, :rank] ** 2, axes[:, :rank]
    trace = spectrum.sum(axis=1, keepdims=True)
    sphere = shrinkage * trace / d + _floor(X, trace, d)
    variances = (1 - shrinkage) * spectrum + sphere
    if rank < d:
        return Gaussians(means, variances, directions, sphere[:, 0])
    # With as many directions as features the last one is the residual. Contiguous, or a
    # cache would take what it has loaded for something else.
    parts = variances[:, :-1], directions[:, :-1], variances[:, -1]
    return Gaussians(means, *(np.ascontiguousarray(part) for part in parts))


def _floor(X, trace, d):
    """Least variance: of duplicates and of constant features there is none."""
    # From one of them too, as above.
    scale = trace.mean() / d or (X - X[0]).var(axis=0).mean() or 1.0
    return VARIANCE_FLOOR * scale
