"""Kernels in blocks of neighbouring centres, laid out for the compiled sum."""

import math

import numpy as np
from scipy.spatial import cKDTree

from ._kernel_sum import FEW, GAUSSIAN, RADIAL

# Kernels in a block, which are bounded together and share an origin.
BLOCK = 256
# Squared radius of a block, in variances of its kernels, whose rounding is seen.
NARROW = 3e4


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
    tuple of tuples
        The Gaussians, what bounds the blocks, what bounds the kernels, and what these
        are: a number of `RADIAL`, bandwidth and highest peak of what is no Gaussian.

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
    tuple of tuples
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
    tuple of tuples
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


def radial_blocks(kernel, log_peaks, centers, bandwidth):
    """Other kernels of the distance from a centre, as `gaussian_blocks` has them.

    Parameters
    ----------
    kernel : str
        A name in `RADIAL`.
    log_peaks : ndarray of shape (n_kernels,)
        Log of each kernel at its centre, with its weight.
    centers : ndarray of shape (n_kernels, n_features)
        The centres.
    bandwidth : float
        Of all kernels.

    Returns
    -------
    tuple of tuples
        Without anything to be multiplied: squared distances by products would blur
        the cusp of a kernel, and its rim.
    """
    ones = np.ones(len(centers))
    _, middle, _, around = _arranged(log_peaks, centers, ones, BLOCK)
    nothing = (np.empty((0,) * n_axes) for n_axes in (4, 3, 2, 2))
    radial = RADIAL[kernel], float(bandwidth), float(log_peaks.max())
    return _in_c_order((middle, *nothing), 0.0, around, radial)


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
    half_precision = 0.5 / widest
    around_blocks = (low, high, half_precision.min(axis=1), log_norm.max(axis=1))
    around_kernels = (centers.transpose(0, 2, 1), half_precision, log_norm)
    offsets = centers - middle[:, None]
    return padded, middle, offsets, (around_blocks, around_kernels)


def _in_c_order(gaussians, curvature, around, radial=(GAUSSIAN, 1.0, 0.0)):
    """All parts of the blocks; `curvature` is the factor of the squared products.

    In one layout, whatever that of the kernels: the compiled sum is cached once, and
    the cache would take what it has loaded for that of another layout.
    """
    gaussians, *around = (
        tuple(np.ascontiguousarray(part) for part in parts)
        for parts in (gaussians, *around)
    )
    return (*gaussians, curvature), *around, radial


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
