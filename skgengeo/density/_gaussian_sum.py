"""The log of a weighted sum of many Gaussians, at many points.

The Gaussians are bounded in blocks of neighbouring centres. A block is left out where
the bound says that all that are left out add up to less than a share of the sum.
"""

import math

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

# Points that are summed together.
TILE = 32
# Kernels in a block, which are bounded together and share an origin.
BLOCK = 256
# Products that OpenBLAS makes fastest at a time: more are shared among threads.
PRODUCTS = 2**18


def gaussian_blocks(log_weights, centers, variances, directions, residual):
    """Kernels in blocks of neighbouring centres, laid out for the compiled sum.

    Parameters
    ----------
    log_weights : ndarray of shape (n_kernels,)
        Log of the weight of each.
    centers : ndarray of shape (n_kernels, n_features)
        Their means.
    variances : ndarray of shape (n_kernels, n_directions)
        Along the leading directions of each covariance.
    directions : ndarray of shape (n_kernels, n_directions, n_features)
        These directions, orthonormal.
    residual : ndarray of shape (n_kernels,)
        Variance in all other directions.

    Returns
    -------
    tuple of tuples of ndarray
        The kernels, what bounds the blocks, and what bounds the kernels.

    Notes
    -----
    A kernel with centre m has at x the exponent
    ``-(|x - m|^2 / residual - sum_j (w_j . (x - m))^2) / 2`` with directions
    ``w_j = u_j sqrt(1 / residual - 1 / v_j)``. Of x and m relative to the middle of
    the block, all that depends on both is one matrix product for a tile of points and
    some kernels: of the points, or of the monomials of their features, whichever is
    less work.
    """
    n, d = centers.shape
    rank = variances.shape[1]
    log_det = np.log(variances).sum(axis=1) + (d - rank) * np.log(residual)
    log_norm = log_weights - 0.5 * (d * math.log(2 * math.pi) + log_det)
    root = np.sqrt(np.maximum(1 / residual[:, None] - 1 / variances, 0.0))
    widest = np.maximum(variances.max(axis=1, initial=0.0), residual)

    order = cKDTree(centers, leafsize=BLOCK).indices
    padded = np.r_[order, np.full(-n % BLOCK, order[-1])]
    shape = (len(padded) // BLOCK, BLOCK)
    # The kernels that fill the last block up weigh nothing.
    log_norm = np.r_[log_norm[order], np.full(len(padded) - n, -np.inf)].reshape(shape)
    widest = widest[padded].reshape(shape)
    centers = centers[padded].reshape(*shape, d)
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


def log_sum(X, blocks, rtol):
    """Log of the sum of all kernels at each point.

    Parameters
    ----------
    X : ndarray of shape (n_points, n_features)
        The points, float64 and in C order.
    blocks : tuple
        As made by `gaussian_blocks`.
    rtol : float
        Bound on the relative error of the sum that comes from what is left out.

    Returns
    -------
    ndarray of shape (n_points,)
        One for each point.
    """
    # Points in the order of a tree, so that those of a tile lie together.
    order = cKDTree(X, leafsize=TILE).indices
    out, found = np.empty(len(X)), np.empty(len(X))
    n_kernels = np.count_nonzero(blocks[2][2] > -np.inf)
    _log_sum(X[order], *blocks, math.log(rtol / n_kernels), found)
    out[order] = found
    return out


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
def _log_sum(X, kernels, around_blocks, around_kernels, log_share, out):
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
