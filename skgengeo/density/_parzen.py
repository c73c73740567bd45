"""Manifold Parzen windows: a Gaussian at each sample, shaped by its neighbours."""

import math
from numbers import Integral, Real

import numpy as np
from numba import njit
from scipy.spatial import cKDTree
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .._batching import row_batches
from .._compat import Interval, StrOptions, _fit_context

# Points that are summed together.
TILE = 32
# Kernels in a block, which are bounded together and share an origin.
BLOCK = 256
# Products that OpenBLAS makes fastest at a time: more are shared among threads.
PRODUCTS = 2**18
# Variance below this share of the mean local variance is rounding, not data.
VARIANCE_FLOOR = 1e-6


class ManifoldParzenWindows(BaseEstimator):
    """Kernel density whose kernels follow the data.

    Each sample carries a Gaussian whose covariance is that of its nearest neighbours
    about it, shrunk towards a sphere: eq. :eq:`eq-parzen` of the user guide, after
    [1]_. Where the data lie near a surface, so does the density, which an isotropic
    kernel of any bandwidth cannot do.

    Parameters
    ----------
    n_neighbors : int or "auto", default="auto"
        Neighbours k from which a covariance is estimated. With
        ``m = ceil(log2(n_samples))``, "auto" takes ``min(m + n_features, 3 m)``, and
        at most ``n_samples - 1``.
    shrinkage : float in [0, 1] or "auto", default="auto"
        Weight of the sphere of equal trace in each covariance. "auto" takes
        ``n_features / (n_features + 5 k)``: the fewer the neighbours beside the
        features, the larger.
    rtol : float, default=1e-6
        Bound on the relative error of the density that comes from leaving out far
        kernels. All kernels that it asks for are summed.

    Attributes
    ----------
    centers_ : ndarray of shape (n_samples, n_features)
        The training samples.
    n_neighbors_ : int
        Neighbours used.
    shrinkage_ : float
        Weight of the sphere used.
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
    Kernels are bounded in blocks of neighbouring centres. A block is left out where
    the bound says that all that are left out add up to less than `rtol` times the
    sum, so that the density has no visible seams where a fixed number of near centres
    would make some.

    The rules behind "auto", eq. :eq:`eq-parzen-auto`, are this package's own. They
    come within 0.2 nats a sample of the best held-out likelihood in few features; in
    tens of features, where most data lie in fewer directions, less shrinkage often
    fits better.

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
        "rtol": [Interval(Real, 0, 1, closed="neither")],
    }

    # Its kernel is compiled and releases the GIL: blocks of points may be scored in
    # threads.
    _thread_safe = True

    def __init__(self, n_neighbors="auto", *, shrinkage="auto", rtol=1e-6):
        self.n_neighbors = n_neighbors
        self.shrinkage = shrinkage
        self.rtol = rtol

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Place a kernel at each sample.

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
            Where there are fewer than two samples, or no more than `n_neighbors`.
        """
        del y
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2, copy=True)
        self.n_neighbors_ = self._choose_n_neighbors(*X.shape)
        self.shrinkage_ = self._choose_shrinkage(X.shape[1])
        self.centers_ = X
        self.variances_, self.directions_, self.residual_variances_ = (
            _local_covariances(X, self.n_neighbors_, self.shrinkage_)
        )
        self._blocks = _blocks(
            X, self.variances_, self.directions_, self.residual_variances_
        )
        return self

    def _choose_n_neighbors(self, n_samples, n_features):
        if self.n_neighbors == "auto":
            m = math.ceil(math.log2(n_samples))
            return min(m + n_features, 3 * m, n_samples - 1)
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
        # Points in the order of a tree, so that those of a tile lie together.
        order = cKDTree(X, leafsize=TILE).indices
        out = np.empty(len(X))
        found = np.empty(len(X))
        log_share = math.log(self.rtol / len(self.centers_))
        _log_density(X[order], *self._blocks, log_share, found)
        out[order] = found
        return out

    def score(self, X, y=None):
        """Mean log density of the points; the higher, the better the fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.
        y : None
            Ignored.

        Returns
        -------
        float
            Mean of `score_samples`, which cross-validation can compare.
        """
        del y
        return float(np.mean(self.score_samples(X)))

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
        centers = rng.randint(len(self.centers_), size=n_samples)
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


def _local_covariances(X, n_neighbors, shrinkage):
    """Leading variances and directions, and residual variance, of each sample."""
    n, d = X.shape
    # Brute force loses the neighbours of samples far from the origin.
    search = NearestNeighbors(n_neighbors=n_neighbors).fit(X - X.mean(axis=0))
    near = search.kneighbors(return_distance=False)
    rank = min(n_neighbors, d)
    spectrum, directions = np.empty((n, rank)), np.empty((n, rank, d))
    for rows in row_batches(n, row_bytes=3 * 8 * n_neighbors * d):
        offsets = (X[near[rows]] - X[rows, None]) / math.sqrt(n_neighbors)
        _, singular, directions[rows] = np.linalg.svd(offsets, full_matrices=False)
        spectrum[rows] = singular**2
    trace = spectrum.sum(axis=1, keepdims=True)
    sphere = shrinkage * trace / d + _floor(X, trace, d)
    variances = (1 - shrinkage) * spectrum + sphere
    if rank < d:
        return variances, directions, sphere[:, 0]
    # With as many directions as features the last one is the residual. Contiguous, or a
    # cache would take what it has loaded for something else.
    parts = variances[:, :-1], directions[:, :-1], variances[:, -1]
    return tuple(np.ascontiguousarray(part) for part in parts)


def _floor(X, trace, d):
    """Least variance: of duplicates and of constant features there is none."""
    # From one of them, identical samples have no variance to the last bit.
    scale = trace.mean() / d or (X - X[0]).var(axis=0).mean() or 1.0
    return VARIANCE_FLOOR * scale


def _blocks(X, variances, directions, residual):
    """Kernels in blocks of neighbouring centres, laid out for the compiled sum.

    A kernel with centre m has at x the exponent
    ``-(|x - m|^2 / residual - sum_j (w_j . (x - m))^2) / 2`` with directions
    ``w_j = u_j sqrt(1 / residual - 1 / v_j)``. Of x and m relative to the middle of
    the block, all that depends on both is one matrix product for a tile of points and
    some kernels: of the points, or of the monomials of their features, whichever is
    less work.
    """
    n, d = X.shape
    rank = variances.shape[1]
    log_det = np.log(variances).sum(axis=1) + (d - rank) * np.log(residual)
    log_norm = -0.5 * (d * math.log(2 * math.pi) + log_det) - math.log(n)
    root = np.sqrt(np.maximum(1 / residual[:, None] - 1 / variances, 0.0))
    widest = np.maximum(variances.max(axis=1, initial=0.0), residual)

    order = cKDTree(X, leafsize=BLOCK).indices
    padded = np.r_[order, np.full(-n % BLOCK, order[-1])]
    shape = (len(padded) // BLOCK, BLOCK)
    # The kernels that fill the last block up weigh nothing.
    log_norm = np.r_[log_norm[order], np.full(len(padded) - n, -np.inf)].reshape(shape)
    widest = widest[padded].reshape(shape)
    centers = X[padded].reshape(*shape, d)
    low, high = centers.min(axis=1), centers.max(axis=1)
    middle = (low + high) / 2
    offsets = centers - middle[:, None]
    precision = 1 / residual[padded].reshape(shape)
    w = (root[:, :, None] * directions)[padded].reshape(*shape, rank, d)
    less = d * (d + 3) / 2 <= (rank + 1) * (d + 2)
    layout = _by_monomials if less else _by_features
    kernels = (middle, *layout(log_norm, offsets, precision, w))
    around_blocks = (low, high, widest.max(axis=1), log_norm.max(axis=1))
    around_kernels = (
        np.ascontiguousarray(centers.transpose(0, 2, 1)),
        0.5 / widest,
        log_norm,
    )
    return kernels, around_blocks, around_kernels


def _by_features(log_norm, offsets, precision, w):
    """Products of x with ``m / residual`` and with each ``w_j``.

    Returns
    -------
    factors : ndarray of shape (n_blocks, BLOCK, 1 + n_directions, n_features)
        ``m / residual`` and the ``w_j``.
    shifts : ndarray of shape (n_blocks, BLOCK, n_directions)
        ``w_j . m``.
    constants, half_precision : ndarray of shape (n_blocks, BLOCK)
        What does not depend on x, and the factor of ``|x|^2``.
    """
    return (
        np.concatenate([(precision[..., None] * offsets)[:, :, None], w], axis=2),
        np.einsum("bcjd,bcd->bcj", w, offsets),
        log_norm - 0.5 * precision * (offsets**2).sum(axis=2),
        0.5 * precision,
    )


def _by_monomials(log_norm, offsets, precision, w):
    """The exponent as a polynomial: ``-x' A x / 2 + x' A m``, and a constant.

    Returns
    -------
    factors : ndarray of shape (n_blocks, BLOCK, 1, n_monomials)
        Coefficients, in the order of `_monomials`.
    shifts, constants, half_precision : ndarray
        As in `_by_features`; there are no directions left, and no ``|x|^2``.
    """
    n_blocks, _, d = offsets.shape
    row, column = np.tril_indices(d)
    times = np.where(row == column, -0.5, -1.0)
    factors = np.empty((n_blocks, BLOCK, 1, len(row) + d))
    constants = np.empty(log_norm.shape)
    for b in range(n_blocks):
        A = precision[b, :, None, None] * np.eye(d) - w[b].transpose(0, 2, 1) @ w[b]
        linear = np.einsum("cij,cj->ci", A, offsets[b])
        factors[b, :, 0, : len(row)] = times * A[:, row, column]
        factors[b, :, 0, len(row) :] = linear
        constants[b] = log_norm[b] - 0.5 * (linear * offsets[b]).sum(axis=1)
    nothing = np.empty((n_blocks, BLOCK, 0))
    return factors, nothing, constants, np.zeros_like(constants)


@njit(cache=True, nogil=True)
def _log_density(X, kernels, around_blocks, around_kernels, log_share, out):
    """Log of the sum of all kernels, those that cannot matter left out.

    Tiles of points meet the blocks one by one: first the block with the largest bound,
    so that every sum has a lower bound, then all others. A kernel is left out where it
    is bound to be less than a share of every sum.
    """
    upper = np.empty(len(kernels[0]))
    chosen = np.empty(BLOCK, dtype=np.int64)
    for start in range(0, len(X), TILE):
        tile = np.ascontiguousarray(X[start : start + TILE].T)
        n = tile.shape[1]
        sums = np.full(n, -np.inf), np.zeros(n), np.full(n, -np.inf)
        first, last = _box(tile)
        best = _bound_blocks(first, last, around_blocks, upper)
        for k in range(-1, len(upper)):
            b = best if k < 0 else k
            least = sums[2].min() + log_share
            if k != best and upper[b] > least:
                count = _choose(first, last, b, around_kernels, least, chosen)
                if count > 0:
                    _add_kernels(tile, b, chosen[:count], kernels, log_share, sums)
        out[start : start + n] = sums[2]


@njit(cache=True, nogil=True)
def _box(tile):
    """Least and largest value of each feature in a tile."""
    d = len(tile)
    first, last = np.empty(d), np.empty(d)
    for a in range(d):
        first[a], last[a] = tile[a].min(), tile[a].max()
    return first, last


@njit(cache=True, nogil=True)
def _bound_blocks(first, last, around_blocks, upper):
    """Bound the kernels of each block in a box; the block with the largest bound.

    No kernel is wider than a sphere of its largest variance, and no point of the box
    nearer to a centre than the boxes around both.
    """
    low, high, widest, top = around_blocks
    best = 0
    for b in range(len(low)):
        square = 0.0
        for a in range(len(first)):
            gap = max(low[b, a] - last[a], first[a] - high[b, a], 0.0)
            square += gap * gap
        upper[b] = top[b] - 0.5 * square / widest[b]
        if upper[b] > upper[best]:
            best = b
    return best


@njit(cache=True, nogil=True)
def _choose(first, last, b, around_kernels, least, chosen):
    """Kernels of a block that may be more than `least` somewhere in a box."""
    centers, half_widest, log_norm = around_kernels
    square = np.zeros(BLOCK)
    for a in range(len(first)):
        low, high = first[a], last[a]
        for c in range(BLOCK):
            left, right = low - centers[b, a, c], centers[b, a, c] - high
            gap = left if left > right else right
            gap = gap if gap > 0.0 else 0.0
            square[c] += gap * gap
    count = 0
    for c in range(BLOCK):
        chosen[count] = c
        count += log_norm[b, c] - half_widest[b, c] * square[c] > least
    return count


@njit(cache=True, nogil=True)
def _add_kernels(tile, b, chosen, kernels, log_share, sums):
    """Add kernels of a block to the sums of a tile, some at a time."""
    factors = kernels[1]
    _, _, n_factors, n_powers = factors.shape
    local, square = _relative(tile, kernels[0][b])
    powers = local if n_powers == len(local) else _monomials(local)
    some = min(len(chosen), max(1, PRODUCTS // (TILE * n_factors * n_powers)))
    room = np.empty((some, n_factors, n_powers))
    for start in range(0, len(chosen), some):
        these = chosen[start : start + some]
        n = len(these)
        _gather(factors[b], these, room)
        products = np.dot(room[:n].reshape(n * n_factors, n_powers), powers)
        exponents = products.reshape(n, n_factors, len(square))
        _exponents(exponents, b, these, kernels, square)
        _add(exponents, log_share, *sums)


@njit(cache=True, nogil=True)
def _relative(tile, origin):
    """Points relative to an origin, and their squared distances from it."""
    local, square = np.empty(tile.shape), np.zeros(tile.shape[1])
    for a in range(len(tile)):
        for r in range(tile.shape[1]):
            local[a, r] = tile[a, r] - origin[a]
            square[r] += local[a, r] ** 2
    return local, square


@njit(cache=True, nogil=True)
def _gather(factors, these, room):
    """Copy the factors of some kernels side by side."""
    for c in range(len(these)):
        for j in range(factors.shape[1]):
            for k in range(factors.shape[2]):
                room[c, j, k] = factors[these[c], j, k]


@njit(cache=True, nogil=True)
def _monomials(X):
    """Products of two features, then the features, of points side by side."""
    d, n = X.shape
    out = np.empty((d * (d + 3) // 2, n))
    k = 0
    for i in range(d):
        for j in range(i + 1):
            out[k] = X[i] * X[j]
            k += 1
    out[k:] = X
    return out


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _exponents(products, b, these, kernels, square):
    """Exponent of every kernel at every point, in place of its first product."""
    _, _, shifts, constants, half_precision = kernels
    for c in range(len(these)):
        k = these[c]
        exponent = products[c, 0]
        for r in range(len(square)):
            exponent[r] += constants[b, k] - half_precision[b, k] * square[r]
        for j in range(shifts.shape[2]):
            shift = shifts[b, k, j]
            for r in range(len(square)):
                t = products[c, j + 1, r] - shift
                exponent[r] += 0.5 * t * t


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _add(exponents, log_share, peak, total, reached):
    """Add kernels to the sums ``total * exp(peak)``, their logarithm `reached`.

    The exponents of a kernel are its first row. The inner loops run over the points,
    so that they are compiled to vector instructions.
    """
    matters = np.zeros(len(exponents), dtype=np.bool_)
    highest, least = peak.copy(), reached + log_share
    for c in range(len(exponents)):
        exponent, above = exponents[c, 0], 0
        for r in range(len(peak)):
            above += exponent[r] > least[r]
        if above > 0:
            matters[c] = True
            for r in range(len(peak)):
                value = exponent[r]
                highest[r] = value if value > highest[r] else highest[r]
    if not matters.any():
        return
    for r in range(len(peak)):
        total[r] *= math.exp(peak[r] - highest[r])
    for c in range(len(exponents)):
        if matters[c]:
            _add_exponentials(exponents[c, 0], highest, total)
    for r in range(len(peak)):
        peak[r] = highest[r]
        reached[r] = highest[r] + math.log(total[r])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _add_exponentials(values, highest, total):
    """Add exp(values - highest) to the total, by a series and eight squarings.

    Unlike the library's function it is compiled to vector instructions. Differences
    below -40 are raised to there: beside the 1 of the highest they are less than
    rounding. The others are right to 1e-13, times their share of the sum.
    """
    c2, c3, c4, c5 = 1 / 2, 1 / 6, 1 / 24, 1 / 120
    c6, c7, c8 = 1 / 720, 1 / 5040, 1 / 40320
    for r in range(len(values)):
        t = values[r] - highest[r]
        t = (t if t > -40.0 else -40.0) * (1 / 256)
        e = c4 + t * (c5 + t * (c6 + t * (c7 + t * c8)))
        e = 1.0 + t * (1.0 + t * (c2 + t * (c3 + t * e)))
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        total[r] += e * e
