"""The log of a weighted sum of Gaussians and its gradient, at many points.

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
# So few kernels are blocks of one each, and the points are summed in their own order.
FEW, LONG_TILE = 64, 256
# Squared radius of a block, in variances of its kernels, whose rounding is seen.
NARROW = 3e4
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
    d, rank = centers.shape[1], variances.shape[1]
    log_det = np.log(variances).sum(axis=1) + (d - rank) * np.log(residual)
    log_norm = log_weights - 0.5 * (d * math.log(2 * math.pi) + log_det)
    root = np.sqrt(np.maximum(1 / residual[:, None] - 1 / variances, 0.0))
    widest = np.maximum(variances.max(axis=1, initial=0.0), residual)

    padded, middle, offsets, around = _arranged(log_norm, centers, widest, BLOCK)
    shape = padded.shape
    precision = 1 / residual[padded]
    w = (root[:, :, None] * directions)[padded.ravel()].reshape(*shape, rank, d)
    less = d * (d + 3) / 2 <= (rank + 1) * (d + 2)
    layout = _by_monomials if less else _by_features
    parts = layout(around[1][2], offsets, precision, w)
    return _in_c_order((middle, *parts), 0.5, around)


def sphere_blocks(log_weights, centers, variances):
    """Spheres in blocks, as `gaussian_blocks` has them.

    Parameters
    ----------
    log_weights : ndarray of shape (n_kernels,)
        Log of the weight of each.
    centers : ndarray of shape (n_kernels, n_features)
        Their means.
    variances : ndarray of shape (n_kernels,)
        Of each, in any direction.

    Returns
    -------
    tuple of tuples of ndarray
        Blocks of one kernel each where the kernels are few, or too narrow to share an
        origin without loss of digits.
    """
    n, d = centers.shape
    log_norm = log_weights - 0.5 * d * np.log(2 * math.pi * variances)
    size = 1 if n <= FEW else BLOCK
    arranged = _arranged(log_norm, centers, variances, size)
    radii = (arranged[2] ** 2).sum(axis=2) / variances[arranged[0]]
    if radii.max() > NARROW:
        arranged = _arranged(log_norm, centers, variances, 1)
    padded, middle, offsets, around = arranged
    nothing = np.empty((*padded.shape, 0, d))
    parts = _by_features(around[1][2], offsets, 1 / variances[padded], nothing)
    return _in_c_order((middle, *parts), 0.5, around)


def root_blocks(log_weights, centers, roots):
    """Kernels of any covariances, a block each, as `gaussian_blocks` has them.

    Parameters
    ----------
    log_weights : ndarray of shape (n_kernels,)
        Log of the weight of each.
    centers : ndarray of shape (n_kernels, n_features)
        Their means.
    roots : ndarray of shape (n_kernels, n_features, n_features)
        Matrices R of which ``R' R`` is the inverse of the covariance.

    Returns
    -------
    tuple of tuples of ndarray
        The exponents ``-|R (x - m)|^2 / 2`` are sums of squares: they lose no digits
        where a covariance is nearly singular.
    """
    d = centers.shape[1]
    log_det = np.linalg.slogdet(roots)[1]
    log_norm = log_weights + log_det - 0.5 * d * math.log(2 * math.pi)
    widest = np.linalg.norm(np.linalg.inv(roots), ord=2, axis=(1, 2)) ** 2
    padded, middle, offsets, around = _arranged(log_norm, centers, widest, 1)
    none = np.zeros(padded.shape)
    parts = _by_features(around[1][2], offsets, none, roots[padded])
    return _in_c_order((middle, *parts), -0.5, around)


def _arranged(log_norm, centers, widest, size):
    """Kernels in blocks of a size, and what bounds them.

    Returns
    -------
    padded : ndarray of int of shape (n_blocks, size)
        The kernels of each block; those that fill the last one up weigh nothing.
    middle : ndarray of shape (n_blocks, n_features)
        Origin of each block.
    offsets : ndarray of shape (n_blocks, size, n_features)
        Centres relative to it.
    around : tuple of two tuples of ndarray
        What bounds the blocks, and what bounds the kernels.
    """
    n, d = centers.shape
    order = cKDTree(centers, leafsize=size).indices
    padded = np.r_[order, np.full(-n % size, order[-1])].reshape(-1, size)
    filled = np.r_[log_norm[order], np.full(padded.size - n, -np.inf)]
    log_norm, widest = filled.reshape(padded.shape), widest[padded]
    centers = centers[padded.ravel()].reshape(*padded.shape, d)
    low, high = centers.min(axis=1), centers.max(axis=1)
    middle = low + (high - low) / 2
    around_blocks = (low, high, widest.max(axis=1), log_norm.max(axis=1))
    around_kernels = (
        np.ascontiguousarray(centers.transpose(0, 2, 1)),
        0.5 / widest,
        log_norm,
    )
    offsets = centers - middle[:, None]
    return padded, middle, offsets, (around_blocks, around_kernels)


def _in_c_order(kernels, curvature, around):
    """All parts of the blocks, and the factor of the squared products.

    In one layout, whatever that of the kernels: the compiled sum is cached once, and
    the cache would take what it has loaded for that of another layout.
    """
    kernels, *around = (
        tuple(np.ascontiguousarray(part) for part in parts)
        for parts in (kernels, *around)
    )
    return (*kernels, curvature), *around


def log_sum(X, blocks, rtol, *, gradient=False):
    """Log of the sum of all kernels at each point.

    Parameters
    ----------
    X : ndarray of shape (n_points, n_features)
        The points, float64 and in C order.
    blocks : tuple
        As made by `gaussian_blocks`, `sphere_blocks` or `root_blocks`.
    rtol : float
        Bound on the relative error of the sum that comes from what is left out.
    gradient : bool, default=False
        Return the gradient too, of the kernels that are not left out.

    Returns
    -------
    log_sums : ndarray of shape (n_points,)
        One for each point.
    gradients : ndarray of shape (n_points, n_features)
        Only with `gradient`. Zero where the sum is beyond floating point.
    """
    n_kernels = np.count_nonzero(blocks[2][2] > -np.inf)
    # Points in the order of a tree, so that those of a tile lie together.
    few = n_kernels <= FEW
    order = slice(None) if few else cKDTree(X, leafsize=TILE).indices
    found = np.empty(len(X))
    slopes = np.empty((len(X) if gradient else 0, X.shape[1]))
    log_share = math.log(rtol / n_kernels)
    _log_sum(X[order], LONG_TILE if few else TILE, *blocks, log_share, found, slopes)
    out = _in_order(found, order)
    return (out, _in_order(slopes, order)) if gradient else out


def _in_order(values, order):
    out = np.empty_like(values)
    out[order] = values
    return out


def _by_features(log_norm, offsets, precision, w):
    """Products of x with ``m / residual`` and with each ``w_j``.

    Returns
    -------
    factors : ndarray of shape (n_blocks, size, 1 + n_directions, n_features)
        ``m / residual`` and the ``w_j``.
    shifts : ndarray of shape (n_blocks, size, n_directions)
        ``w_j . m``.
    constants, half_precision : ndarray of shape (n_blocks, size)
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
    factors : ndarray of shape (n_blocks, size, 1, n_monomials)
        Coefficients, in the order of `_monomials`.
    shifts, constants, half_precision : ndarray
        As in `_by_features`; there are no directions left, and no ``|x|^2``.
    """
    n_blocks, size, d = offsets.shape
    row, column = np.tril_indices(d)
    times = np.where(row == column, -0.5, -1.0)
    factors = np.empty((n_blocks, size, 1, len(row) + d))
    constants = np.empty(log_norm.shape)
    for b in range(n_blocks):
        A = precision[b, :, None, None] * np.eye(d) - w[b].transpose(0, 2, 1) @ w[b]
        linear = np.einsum("cij,cj->ci", A, offsets[b])
        factors[b, :, 0, : len(row)] = times * A[:, row, column]
        factors[b, :, 0, len(row) :] = linear
        constants[b] = log_norm[b] - 0.5 * (linear * offsets[b]).sum(axis=1)
    nothing = np.empty((n_blocks, size, 0))
    return factors, nothing, constants, np.zeros_like(constants)


@njit(cache=True, nogil=True)
def _log_sum(X, size, kernels, around_blocks, around_kernels, log_share, out, slopes):
    """Log of the sum of all kernels, those that cannot matter left out.

    Tiles of points meet the blocks one by one: first the block with the largest bound,
    so that every sum has a lower bound, then all others. A kernel is left out where it
    is bound to be less than a share of every sum. Where `slopes` has rows, they become
    the gradients.
    """
    upper = np.empty(len(kernels[0]))
    chosen = np.empty(around_kernels[2].shape[1], dtype=np.int64)
    for start in range(0, len(X), size):
        tile = np.ascontiguousarray(X[start : start + size].T)
        n = tile.shape[1]
        sums = np.full(n, -np.inf), np.zeros(n), np.full(n, -np.inf)
        slope = np.zeros((len(tile), n if len(slopes) > 0 else 0))
        first, last = _box(tile)
        best = _bound_blocks(first, last, around_blocks, upper)
        for k in range(-1, len(upper)):
            b = best if k < 0 else k
            least = sums[2].min() + log_share
            if k != best and upper[b] > least:
                count = _choose(first, last, b, around_kernels, least, chosen)
                if count > 0:
                    _add_kernels(
                        tile, b, chosen[:count], kernels, log_share, sums, slope
                    )
        out[start : start + n] = sums[2]
        if slope.size > 0:
            _write(slope, sums, slopes[start : start + n])


@njit(cache=True, nogil=True)
def _write(slope, sums, out):
    """Gradients of the logarithm; zero where the sum is nothing."""
    for r in range(slope.shape[1]):
        for a in range(len(slope)):
            out[r, a] = slope[a, r] / sums[1][r] if sums[2][r] > -np.inf else 0.0


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
    size = len(chosen)
    square = np.zeros(size)
    for a in range(len(first)):
        low, high = first[a], last[a]
        for c in range(size):
            left, right = low - centers[b, a, c], centers[b, a, c] - high
            gap = left if left > right else right
            gap = gap if gap > 0.0 else 0.0
            square[c] += gap * gap
    count = 0
    for c in range(size):
        chosen[count] = c
        count += log_norm[b, c] - half_widest[b, c] * square[c] > least
    return count


@njit(cache=True, nogil=True)
def _add_kernels(tile, b, chosen, kernels, log_share, sums, slope):
    """Add kernels of a block to the sums of a tile, some at a time."""
    factors = kernels[1]
    _, _, n_factors, n_powers = factors.shape
    local, square = _relative(tile, kernels[0][b])
    polynomial, wanted = n_powers > len(local), slope.size > 0
    powers = _monomials(local) if polynomial else local
    n_points = len(square)
    some = PRODUCTS // (n_points * n_factors * n_powers)
    some = min(len(chosen), max(1, some))
    room = np.empty((some, n_factors, n_powers))
    scale = np.empty(n_points)
    count, kept = 0, np.empty(len(chosen), dtype=np.int64)
    weights = np.empty((len(chosen) if wanted and polynomial else 0, n_points))
    for start in range(0, len(chosen), some):
        these = chosen[start : start + some]
        n = len(these)
        _gather(factors[b], these, room)
        rows = room[:n].reshape(n * n_factors, n_powers)
        products = np.dot(rows, powers)
        exponents = products.reshape(n, n_factors, n_points)
        _exponents(exponents, b, these, kernels, square)
        matters = _add(exponents, log_share, scale, *sums)
        if wanted and matters.any():
            slope *= scale
            if polynomial:
                weights[:count] *= scale
                count = _keep(exponents, matters, these, count, kept, weights)
            else:
                pull = _weigh(exponents, matters, b, these, kernels)
                slope += np.dot(rows.T, products) - pull * local
    if count > 0:
        _add_polynomials(weights[:count], kept[:count], factors[b], local, slope)


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
    _, _, shifts, constants, half_precision, curvature = kernels
    for c in range(len(these)):
        k = these[c]
        exponent = products[c, 0]
        for r in range(len(square)):
            exponent[r] += constants[b, k] - half_precision[b, k] * square[r]
        for j in range(shifts.shape[2]):
            shift = shifts[b, k, j]
            for r in range(len(square)):
                t = products[c, j + 1, r] - shift
                exponent[r] += curvature * t * t


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _add(exponents, log_share, scale, peak, total, reached):
    """Add kernels to the sums ``total * exp(peak)``, their logarithm `reached`.

    The exponents of a kernel are its first row. Those of kernels that matter, which is
    returned, become exponentials relative to the new peak; `scale` is what makes the
    old sums relative to it. The inner loops run over the points, so that they are
    compiled to vector instructions.
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
        return matters
    for r in range(len(peak)):
        # Without a peak there is no sum.
        scale[r] = math.exp(peak[r] - highest[r]) if highest[r] > -np.inf else 0.0
        total[r] *= scale[r]
    for c in range(len(exponents)):
        if matters[c]:
            _add_exponentials(exponents[c, 0], highest, total)
    for r in range(len(peak)):
        peak[r] = highest[r]
        reached[r] = highest[r] + math.log(total[r])
    return matters


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _add_exponentials(values, highest, total):
    """Make the values exp(values - highest), and add them to the total.

    By a series and eight squarings, which unlike the library's function are compiled
    to vector instructions. Below a difference of -40 they are zero: beside the 1 of
    the highest they are less than rounding. The others are right to 1e-13, times their
    share of the sum.
    """
    c2, c3, c4, c5 = 1 / 2, 1 / 6, 1 / 24, 1 / 120
    c6, c7, c8 = 1 / 720, 1 / 5040, 1 / 40320
    for r in range(len(values)):
        difference = values[r] - highest[r]
        t = (difference if difference > -40.0 else -40.0) * (1 / 256)
        e = c4 + t * (c5 + t * (c6 + t * (c7 + t * c8)))
        e = 1.0 + t * (1.0 + t * (c2 + t * (c3 + t * e)))
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e = e * e if difference > -40.0 else 0.0
        values[r] = e
        total[r] += e


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _weigh(products, matters, b, these, kernels):
    """Weights of the factors in the gradient, in place of their products.

    Returns
    -------
    ndarray of shape (n_points,)
        The gradient has minus this times the point itself, by the precision.
    """
    _, _, shifts, _, half_precision, curvature = kernels
    pull = np.zeros(products.shape[2])
    for c in range(len(these)):
        k = these[c]
        if not matters[c]:
            products[c] = 0.0
            continue
        weights = products[c, 0]
        for r in range(len(pull)):
            pull[r] += 2.0 * half_precision[b, k] * weights[r]
        for j in range(shifts.shape[2]):
            shift = shifts[b, k, j]
            for r in range(len(pull)):
                t = products[c, j + 1, r] - shift
                products[c, j + 1, r] = 2.0 * curvature * t * weights[r]
    return pull


@njit(cache=True, nogil=True)
def _keep(exponentials, matters, these, count, kept, weights):
    """Keep the kernels that matter and their weights; the number of all kept."""
    for c in range(len(these)):
        if matters[c]:
            kept[count], weights[count] = these[c], exponentials[c, 0]
            count += 1
    return count


@njit(cache=True, nogil=True)
def _add_polynomials(weights, these, factors, local, slope):
    """Add the gradients of polynomials of a block, times their weights.

    By the product rule of the weighted sum of their coefficients.
    """
    n_powers, n_points = factors.shape[2], weights.shape[1]
    parts = np.empty((n_powers, n_points))
    width = max(1, PRODUCTS // weights.size)
    for start in range(0, n_powers, width):
        stop = min(start + width, n_powers)
        room = np.empty((len(these), stop - start))
        for c in range(len(these)):
            for k in range(stop - start):
                room[c, k] = factors[these[c], 0, start + k]
        parts[start:stop] = np.dot(room.T, weights)
    _apply_product_rule(parts, local, slope)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _apply_product_rule(parts, local, slope):
    """Add the gradient of sums of monomials, given their coefficients."""
    d, n = local.shape
    k = 0
    for i in range(d):
        for j in range(i + 1):
            for r in range(n):
                slope[i, r] += parts[k, r] * local[j, r]
                slope[j, r] += parts[k, r] * local[i, r]
            k += 1
    slope += parts[k:]
