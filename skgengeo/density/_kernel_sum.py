"""The log of a weighted sum of kernels and its gradient, at many points.

The kernels are bounded in blocks of neighbouring centres. A block is left out where
the bound says that all that are left out add up to less than a share of the sum.

Gaussians are matrix products. For other kernels a distance is the root of a sum of
squared differences in the order of the features, and a kernel is nothing where that is
not below the bandwidth: both as in scikit-learn, so that the rim is where it has it.

All that is compiled together is in this file: a cache knows whether that has changed.
"""

import math

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from .._batching import row_batches

# Points that are summed together. They are fewer, down to the least, where a product
# with them would hold fewer kernels than these.
TILE, LEAST_TILE, LEAST_KERNELS = 64, 32, 8
# Of so few kernels the points are summed in their own order.
FEW, LONG_TILE = 64, 256
# Points summed between two chances to be interrupted: whole tiles.
INTERRUPT = 4096
# Products that OpenBLAS makes fastest at a time: more are shared among threads.
PRODUCTS = 2**18
# The kernels, and their names in scikit-learn.
GAUSSIAN, EXPONENTIAL, TOPHAT, EPANECHNIKOV, LINEAR, COSINE = range(6)
RADIAL = {
    "exponential": EXPONENTIAL,
    "tophat": TOPHAT,
    "epanechnikov": EPANECHNIKOV,
    "linear": LINEAR,
    "cosine": COSINE,
}
# A right angle, and what it has beyond its double.
RIGHT_ANGLE, BEYOND = math.pi / 2, 6.123233995736766e-17


def log_sum(X, blocks, rtol, *, gradient=False):
    """Log of the sum of all kernels at each point.

    Parameters
    ----------
    X : ndarray of shape (n_points, n_features)
        The points, float64 and in C order.
    blocks : tuple
        As made by one of the functions of `_blocks`.
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
    order = slice(None) if few else cKDTree(X, leafsize=LEAST_TILE).indices
    X, found = X[order], np.empty(len(X))
    slopes = np.empty((len(X) if gradient else 0, X.shape[1]))
    size, log_share = LONG_TILE if few else _tile(blocks), math.log(rtol / n_kernels)
    for rows in row_batches(len(X), size=INTERRUPT):
        _log_sum(X[rows], size, *blocks, log_share, found[rows], slopes[rows])
    out = _in_order(found, order)
    return (out, _in_order(slopes, order)) if gradient else out


def _tile(blocks):
    """Points that are summed together."""
    n_factors = math.prod(blocks[0][1].shape[2:])
    if n_factors == 0:
        return LEAST_TILE
    return min(TILE, max(LEAST_TILE, PRODUCTS // (LEAST_KERNELS * n_factors)))


def _in_order(values, order):
    out = np.empty_like(values)
    out[order] = values
    return out


@njit(cache=True, nogil=True)
def _log_sum(
    X, size, gaussians, around_blocks, around_kernels, radial, log_share, out, slopes
):
    """Log of the sum of all kernels, those that cannot matter left out.

    Tiles of points meet the blocks one by one: first the block with the largest bound,
    so that every sum has a lower bound, then all others. A kernel is left out where it
    is bound to be less than a share of every sum. Where `slopes` has rows, they become
    the gradients.
    """
    upper = np.empty(len(around_blocks[0]))
    chosen = np.empty(around_kernels[2].shape[1], dtype=np.int64)
    for start in range(0, len(X), size):
        tile = np.ascontiguousarray(X[start : start + size].T)
        n = tile.shape[1]
        sums = np.full(n, -np.inf), np.zeros(n), np.full(n, -np.inf)
        slope = np.zeros((len(tile), n if len(slopes) > 0 else 0))
        first, last = _box(tile)
        best = _bound_blocks(first, last, around_blocks, radial, upper)
        for k in range(-1, len(upper)):
            b = best if k < 0 else k
            least = sums[2].min() + log_share
            if k == best or not upper[b] > least:
                continue
            count = _choose(first, last, b, around_kernels, radial, least, chosen)
            these = chosen[:count]
            if count > 0 and radial[0] == GAUSSIAN:
                _add_gaussians(tile, b, these, gaussians, log_share, sums, slope)
            elif count > 0:
                _add_radial(
                    tile, b, these, around_kernels, radial, log_share, sums, slope
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
def _bound_blocks(first, last, around_blocks, radial, upper):
    """Bound the kernels of each block in a box; the block with the largest bound.

    No Gaussian is wider than a sphere of its largest variance, and no point of the box
    nearer to a centre than the boxes around both.
    """
    low, high, half_precision, top = around_blocks
    best = 0
    for b in range(len(low)):
        square = 0.0
        for a in range(len(first)):
            gap = max(low[b, a] - last[a], first[a] - high[b, a], 0.0)
            square += gap * gap
        upper[b] = top[b] - _least_decay(square, half_precision[b], radial)
        if upper[b] > upper[best]:
            best = b
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _least_decay(square, half_precision, radial):
    """How far the log of a kernel has fallen, at least, at a squared distance."""
    kernel, bandwidth, _ = radial
    if kernel == GAUSSIAN:
        return half_precision * square
    distance = math.sqrt(square)
    if kernel == EXPONENTIAL:
        return distance / bandwidth
    return 0.0 if distance < bandwidth else np.inf


@njit(cache=True, nogil=True)
def _choose(first, last, b, around_kernels, radial, least, chosen):
    """Kernels of a block that may be more than `least` somewhere in a box."""
    centers, half_precision, log_peaks = around_kernels
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
        decay = _least_decay(square[c], half_precision[b, c], radial)
        count += log_peaks[b, c] - decay > least
    return count


@njit(cache=True, nogil=True)
def _add_gaussians(tile, b, chosen, kernels, log_share, sums, slope):
    """Add Gaussians of a block to the sums of a tile, some at a time."""
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
        matters = _add_exponentials(exponents, log_share, scale, *sums)
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
def _add_exponentials(exponents, log_share, scale, peak, total, reached):
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
            _exponentiate(exponents[c, 0], highest, total)
    for r in range(len(peak)):
        peak[r] = highest[r]
        reached[r] = highest[r] + math.log(total[r])
    return matters


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _exponentiate(values, highest, total):
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


@njit(cache=True, nogil=True)
def _add_radial(tile, b, chosen, around_kernels, radial, log_share, sums, slope):
    """Add kernels of a block to the sums of a tile."""
    centers, _, log_peaks = around_kernels
    peaks = log_peaks[b][chosen]
    distances = _distances(tile, centers[b], chosen)
    pulls = np.zeros((len(chosen) if slope.size > 0 else 0, tile.shape[1]))
    if radial[0] == EXPONENTIAL:
        _add_tails(distances, peaks, radial, log_share, sums, slope, pulls)
    else:
        _add_compact(distances, peaks, radial, sums, pulls)
    for c in range(len(pulls)):
        for a in range(len(tile)):
            center = centers[b, a, chosen[c]]
            for r in range(tile.shape[1]):
                slope[a, r] += pulls[c, r] * (center - tile[a, r])


@njit(cache=True, nogil=True)
def _distances(tile, centers, chosen):
    """Distance of each point from each chosen centre."""
    out = np.zeros((len(chosen), tile.shape[1]))
    for c in range(len(chosen)):
        square = out[c]
        for a in range(len(tile)):
            center = centers[a, chosen[c]]
            for r in range(len(square)):
                gap = tile[a, r] - center
                square[r] += gap * gap
        for r in range(len(square)):
            square[r] = math.sqrt(square[r])
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _add_tails(distances, peaks, radial, log_share, sums, slope, pulls):
    """Add exponential kernels, as exponents: far away they would be zero."""
    bandwidth = radial[1]
    n_kernels, n_points = distances.shape
    exponents, scale = np.empty((n_kernels, 1, n_points)), np.ones(n_points)
    for c in range(n_kernels):
        for r in range(n_points):
            exponents[c, 0, r] = peaks[c] - distances[c, r] / bandwidth
    matters = _add_exponentials(exponents, log_share, scale, *sums)
    for a in range(len(slope)):
        for r in range(slope.shape[1]):
            slope[a, r] *= scale[r]
    for c in range(len(pulls)):
        if matters[c]:
            for r in range(n_points):
                away = bandwidth * distances[c, r]
                pulls[c, r] = exponents[c, 0, r] / away if away > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_compact(distances, peaks, radial, sums, pulls):
    """Add kernels that end at the bandwidth, relative to the highest peak of all."""
    kernel, bandwidth, top = radial
    _, total, reached = sums
    values = np.empty(len(total))
    for c in range(len(peaks)):
        weight = math.exp(peaks[c] - top)
        _kernel_values(kernel, bandwidth, distances[c], values)
        for r in range(len(total)):
            total[r] += weight * values[r]
        if len(pulls) > 0:
            _kernel_pulls(kernel, bandwidth, distances[c], pulls[c])
            for r in range(len(total)):
                pulls[c, r] *= weight
    for r in range(len(total)):
        reached[r] = top + math.log(total[r]) if total[r] > 0.0 else -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel_values(kernel, h, distance, out):
    """Kernels that end at h, relative to their peak."""
    if kernel == TOPHAT:
        for r in range(len(out)):
            out[r] = 1.0 if distance[r] < h else 0.0
    elif kernel == EPANECHNIKOV:
        for r in range(len(out)):
            value = 1.0 - distance[r] * distance[r] / (h * h)
            out[r] = value if distance[r] < h else 0.0
    elif kernel == LINEAR:
        for r in range(len(out)):
            value = 1.0 - distance[r] / h
            out[r] = value if distance[r] < h else 0.0
    else:
        # The cosine is the sine of the rest of the right angle: exact at the rim too.
        for r in range(len(out)):
            rest = RIGHT_ANGLE - RIGHT_ANGLE * distance[r] / h + BEYOND
            out[r] = _sine(rest) if distance[r] < h else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel_pulls(kernel, h, distance, out):
    """Slopes towards the centre, by the distance from it; at a cusp there is none."""
    if kernel == EPANECHNIKOV:
        for r in range(len(out)):
            out[r] = 2.0 / (h * h) if distance[r] < h else 0.0
    elif kernel == LINEAR:
        for r in range(len(out)):
            pull = 1.0 / (h * distance[r])
            out[r] = pull if 0.0 < distance[r] < h else 0.0
    elif kernel == COSINE:
        for r in range(len(out)):
            slope = RIGHT_ANGLE / h * _sine(RIGHT_ANGLE * distance[r] / h)
            out[r] = slope / distance[r] if 0.0 < distance[r] < h else 0.0


@njit(cache=True, nogil=True)
def _sine(angle):
    """Sine from 0 to a right angle, by a series: compiled to vector instructions."""
    c3, c5, c7, c9 = 1 / 6, 1 / 120, 1 / 5040, 1 / 362880
    c11, c13, c15 = 1 / 39916800, 1 / 6227020800, 1 / 1307674368000
    c17, c19, c21 = 1 / 355687428096e3, 1 / 121645100408832e3, 1 / 5109094217170944e4
    t = angle * angle
    rest = c11 - t * (c13 - t * (c15 - t * (c17 - t * (c19 - t * c21))))
    return angle * (1.0 - t * (c3 - t * (c5 - t * (c7 - t * (c9 - t * rest)))))
