"""Distances -> coordinates: classical scaling, SMACOF, and places of further points.

Arrays in, arrays out. Distances are a matrix from points (rows) to anchors (columns),
whose coordinates are sought first; equations are those of the user guide. What is as
large as the distances is only made of some rows at a time.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import dsymv
from scipy.optimize import least_squares
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.spatial.distance import cdist
from sklearn import manifold
from sklearn.utils.extmath import svd_flip

from ._batching import row_batches

# Up to this many anchors all eigenvectors at once are as fast as the leading ones.
MAX_DENSE = 500
# Beside the largest eigenvalue, smaller ones are rounding, or, in units of the relative
# error of distances, that error: at first order it moves eigenvalues by half as much.
SMALLEST_EIGENVALUE, SMALLEST_IN_ERRORS = 1e-12, 4.0
# Of the leading eigenpairs, relative to the Frobenius norm.
RESIDUAL = 1e-13
# Elements of a distance matrix that are worked on at a time: they fit into a cache.
BLOCK = 2**18
EPS = np.finfo(np.float64).eps


class ClassicalScaling(NamedTuple):
    """Coordinates of anchors, and what places further points among them."""

    eigenvalues: np.ndarray
    """Leading ones of the centred matrix, descending: (n_components,)."""
    points: np.ndarray
    """(n_anchors, n_components); columns beyond the rank are zero."""
    projection: np.ndarray
    """Pseudo-inverse of the points, transposed: (n_anchors, n_components)."""
    mean_squares: np.ndarray
    """Mean squared distance of each anchor to all: (n_anchors,)."""

    @property
    def rank(self):
        """Number of components that are no rounding, and no error of the distances."""
        return int(self.projection.any(axis=0).sum())


def classical_scaling(squares, n_components, *, error=0.0):
    """Coordinates from squared distances: eqs. :eq:`eq-centred`, :eq:`eq-classical`.

    Parameters
    ----------
    squares : ndarray of shape (n, n)
        Squared distances, symmetric up to rounding.
    n_components : int
        Number of coordinates.
    error : float, default=0.0
        Relative error of the distances.

    Returns
    -------
    ClassicalScaling
        The sign of each column is such that its largest entry is positive.
    """
    mean_squares = squares.mean(axis=0)
    values, vectors = leading_eigenpairs(squares, mean_squares, n_components)
    share = max(SMALLEST_EIGENVALUE, SMALLEST_IN_ERRORS * error)
    certain = values > share * max(values[0], 0.0)
    vectors, _ = svd_flip(vectors, None)
    vectors = np.where(certain, vectors, 0.0)
    root = np.sqrt(np.where(certain, values, 1.0))
    return ClassicalScaling(values, vectors * root, vectors / root, mean_squares)


def leading_eigenpairs(squares, mean_squares, n_components):
    """Largest eigenvalues, descending, of the centred matrix, and their eigenvectors.

    n points lie in n - 1 dimensions: the further ones are zero.
    """
    n = len(squares)
    found = min(n_components, n - 1)
    solve = _dense_eigenpairs if n <= MAX_DENSE else _iterated_eigenpairs
    values, vectors = np.zeros(n_components), np.zeros((n, n_components))
    if found:
        values[:found], vectors[:, :found] = solve(squares, mean_squares, found)
    return values, vectors


def _dense_eigenpairs(squares, mean_squares, k):
    n = len(squares)
    values, vectors = eigh(
        _centred(squares, mean_squares, mean_squares), subset_by_index=[n - k, n - 1]
    )
    return values[::-1], vectors[:, ::-1]


def _iterated_eigenpairs(squares, mean_squares, k):
    n = len(squares)
    grand_mean = mean_squares.mean()
    # |J S J|^2 = |S|^2 - 2 n |m|^2 + n^2 t^2, with the row means m and their mean t
    norm = np.vdot(squares, squares) - 2 * n * mean_squares @ mean_squares
    norm = 0.5 * np.sqrt(max(norm + (n * grand_mean) ** 2, 0.0))
    if norm == 0:
        return np.zeros(k), np.zeros((n, k))

    # Shifted, so that an eigenvalue near zero is not sought to its own precision. The
    # product reads one triangle, and so half of the memory, in the order of Fortran.
    def _shifted(v):
        v = v.ravel()
        product = dsymv(1.0, squares.T, v - v.mean())
        return v - (0.5 / norm) * (product - product.mean())

    start = np.random.RandomState(0).uniform(-1, 1, n)
    operator = LinearOperator((n, n), matvec=_shifted, dtype=np.float64)
    values, vectors = eigsh(operator, k, which="LA", tol=RESIDUAL, v0=start)
    order = np.argsort(-values, kind="stable")
    return norm * (values[order] - 1), vectors[:, order]


def _centred(squares, means, other_means):
    """Rows of the doubly centred matrix: eq. :eq:`eq-centred`."""
    return -0.5 * (squares - means[:, None] - other_means + other_means.mean())


def triangulated(squares, scaling):
    """Places of points among anchors: eq. :eq:`eq-triangulation`.

    Parameters
    ----------
    squares : ndarray of shape (n_points, n_anchors)
        Squared distances.
    scaling : ClassicalScaling
        Of the anchors.

    Returns
    -------
    ndarray of shape (n_points, n_components)
        That of an anchor is its own.
    """
    # The projection annuls constants up to rounding, which large ones would swell.
    excess = scaling.mean_squares - squares
    excess -= excess.mean(axis=1, keepdims=True)
    return 0.5 * excess @ scaling.projection


def smacof(distances, start, *, max_iter, eps):
    """Minimise the squared misfit of all distances: :func:`sklearn.manifold.smacof`.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
        Symmetric up to rounding.
    start : ndarray of shape (n, n_components)
        Coordinates to start from, of mean zero; not all at one place.
    max_iter : int
        Most steps.
    eps : float
        The end is where a step lessens the squared misfit by less than this part of
        the squared distances between the points.

    Returns
    -------
    points : ndarray of shape (n, n_components)
        Their misfit is no larger than that of the start.
    n_iter : int
        Number of steps.
    """
    # Since 1.7 scikit-learn sets what a step gains against half of the sum of squared
    # distances, n sum |x|^2, and before against sum |x|: in this unit they are equal.
    norms = np.linalg.norm(start, axis=1)
    per_unit = norms.sum() / (len(start) * (norms @ norms))
    points, _, n_iter = manifold.smacof(
        per_unit * distances,
        metric=True,
        n_components=start.shape[1],
        init=per_unit * start,
        n_init=1,
        n_jobs=1,
        max_iter=max_iter,
        verbose=0,
        eps=eps,
        random_state=0,
        return_n_iter=True,
        normalized_stress=False,
    )
    return points / per_unit, n_iter


def placed_by_misfit(start, anchors, distances):
    """Places of single points at a minimum of their squared misfit.

    Parameters
    ----------
    start : ndarray of shape (n_points, n_components)
        Where to start.
    anchors : ndarray of shape (n_anchors, n_components)
        Fixed; columns of zeros are the last.
    distances : ndarray of shape (n_points, n_anchors)
        Those sought.

    Returns
    -------
    ndarray of shape (n_points, n_components)
        A row depends on no other. Columns of zeros in the anchors are left.
    """
    points = start.copy()
    c = np.count_nonzero(anchors.any(axis=0))
    if c:
        for point, sought in zip(points, distances, strict=True):
            point[:c] = _place(point[:c], anchors[:, :c], sought)
    return points


def _place(start, anchors, sought):
    def _lost(y):
        return np.linalg.norm(y - anchors, axis=1) - sought

    def _slope(y):
        ahead = y - anchors
        placed = np.linalg.norm(ahead, axis=1, keepdims=True)
        return np.divide(ahead, placed, out=np.zeros_like(ahead), where=placed > 0)

    tols = dict.fromkeys(("ftol", "xtol", "gtol"), EPS)
    return least_squares(_lost, start, jac=_slope, method="lm", **tols).x


def normalized_stress(distances, points, anchors, *, unit=1.0):
    """How far distances in the plane are from those sought: eq. :eq:`eq-stress`.

    Parameters
    ----------
    distances : ndarray of shape (n_points, n_anchors)
        Those sought.
    points : ndarray of shape (n_points, n_components)
        Coordinates of the rows.
    anchors : ndarray of shape (n_anchors, n_components)
        Coordinates of the columns.
    unit : float, default=1.0
        That of the coordinates.

    Returns
    -------
    float
        0 is a perfect fit.
    """
    misfit = size = 0.0
    for rows in _blocks(distances):
        placed = cdist(points[rows], anchors)
        size += np.vdot(placed, placed)
        placed -= distances[rows] / unit
        misfit += np.vdot(placed, placed)
    return float(np.sqrt(misfit / size)) if size > 0 else 0.0


def reconstruction_error(distances, mean_squares, points):
    """What is left of the centred matrix: eq. :eq:`eq-reconstruction`.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
        Symmetric.
    mean_squares : ndarray of shape (n,)
        Mean of their squares in each row.
    points : ndarray of shape (n, n_components)
        Coordinates.

    Returns
    -------
    float
        Frobenius norm of the difference of the two centred matrices, over n.
    """
    points = points - points.mean(axis=0)
    left = 0.0
    for rows in _blocks(distances):
        squares = np.square(distances[rows])
        rest = _centred(squares, mean_squares[rows], mean_squares)
        rest -= points[rows] @ points.T
        left += np.vdot(rest, rest)
    return float(np.sqrt(left)) / len(points)


def _blocks(distances):
    n_rows, n_columns = distances.shape
    return row_batches(n_rows, size=max(BLOCK // n_columns, 1))
