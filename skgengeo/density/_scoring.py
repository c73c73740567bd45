"""X -> log p(X), with every check on the way."""

import threading
import warnings
from contextlib import contextmanager
from functools import partial

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from tqdm.auto import tqdm

from .._batching import in_threads, row_batches
from ._protocol import (
    _CallableDensity,
    _name,
    _speaks_for_itself,
    check_names,
    check_scores,
)
from ._sums import innermost, kernel_sum_of
from ._torch import as_array

# Densities that are called in threads get batches of this many rows.
THREAD_BATCH = 8192
# Another density may hold a number for each of some thousands of kernels.
FOREIGN_ROW_BYTES = 8 * 5000
# Searches in threads share a fitted density, and warning filters.
FOREIGN_LOCK = threading.RLock()


def log_density(density, X, *, n_jobs=None, verbose=False):
    """Log density at each row of X, checked.

    Parameters
    ----------
    density : estimator
        Fitted, with ``score_samples``.
    X : ndarray of shape (n_samples, n_features)
        The points, in batches that fit scikit-learn's ``working_memory``.
    n_jobs : None or int
        Threads for sums of kernels; any other density is called from one thread.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n_samples,)
        log p in float64. ``-inf`` is legal: the point is outside the support.

    Raises
    ------
    ValueError
        Where the density raises, or returns NaN, +inf, a wrong shape or no numbers.
    TypeError
        Where it has no ``score_samples``: :func:`skgengeo.density.as_density` gives it
        one.

    See Also
    --------
    skgengeo.density.log_density_gradient : The gradient.

    Notes
    -----
    Sums of kernels are evaluated by one compiled routine, in threads, to 1e-10
    relative to 1 or to log p (:class:`skgengeo.density.ManifoldParzenWindows` to its
    own `rtol`):

    - :class:`sklearn.neighbors.KernelDensity` of any kernel, with the Euclidean
      metric,
    - :class:`sklearn.mixture.GaussianMixture` and
      :class:`sklearn.mixture.BayesianGaussianMixture` of any covariances,
    - :class:`scipy.stats.gaussian_kde`,
    - :class:`skgengeo.density.ManifoldParzenWindows`, and
      :class:`skgengeo.density.TemperedDensity` of any of these,
    - a frozen estimator or a fitted search that has one of these in it, and a pipeline
      that ends in one: its steps before that transform the points in one thread.

    Of a `KernelDensity` that is the sum of all kernels: `score_samples` of scikit-learn
    has the error that `rtol` and `atol` allow, and with more samples than `leaf_size`
    it is wrong where the density is below some 1e-10 of a kernel's peak, by
    cancellation, or finite where the density is zero. The constant factor is
    scikit-learn's: that of its cosine kernel belongs to a density in odd dimensions
    only. All other densities, subclasses of these among them, are evaluated by their
    own ``score_samples``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KernelDensity
    >>> from skgengeo.density import log_density
    >>> X = np.zeros((4, 2))
    >>> log_density(KernelDensity().fit(X), X).round(3)
    array([-1.838, -1.838, -1.838, -1.838])
    """
    check_scores(density)
    return scores(density, X, kernel_sum_of(density), n_jobs=n_jobs, verbose=verbose)


def scores(density, X, kernel_sum, *, n_jobs=None, verbose=False):
    """As `log_density`, given what the density is a sum of.

    Parameters
    ----------
    density : estimator
        Fitted.
    X : ndarray of shape (n_samples, n_features)
        The points.
    kernel_sum : KernelSum or None
        As `kernel_sum_of` returns it.
    n_jobs : None or int
        Threads for sums of kernels.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n_samples,)
        log p in float64.
    """
    if kernel_sum is None:
        with FOREIGN_LOCK, _nameless_points(density):
            function = partial(_foreign_scores, density)
            batches = row_batches(len(X), row_bytes=FOREIGN_ROW_BYTES)
            return _in_batches(density, function, X, batches, 1, verbose)
    if kernel_sum.steps:
        X = _transformed(density, kernel_sum, X)
    else:
        X = checked_points(density, X)
    batches = row_batches(len(X), size=THREAD_BATCH)
    return _in_batches(density, kernel_sum.log_density, X, batches, n_jobs, verbose)


def checked_points(density, X):
    """Points in the form that the compiled sum takes.

    Parameters
    ----------
    density : estimator
        Fitted.
    X : array-like of shape (n_samples, n_features)
        The points; names of their features are those that the density knows.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Finite, float64 and in C order.
    """
    check_names(density, getattr(X, "columns", None))
    return check_array(X, dtype=np.float64, order="C", ensure_min_samples=0)


def _transformed(density, kernel_sum, X):
    """Points as the last step of a pipeline sees them."""
    if not isinstance(innermost(density), Pipeline):
        # It looks at the names itself.
        check_names(density, getattr(X, "columns", None))
    transform = partial(_through, kernel_sum.steps)
    with FOREIGN_LOCK, _nameless_points(density):
        parts = [
            _called(density, transform, X[rows])
            for rows in row_batches(len(X), row_bytes=FOREIGN_ROW_BYTES)
        ]
    return np.concatenate([*parts, np.empty((0, kernel_sum.n_features))])


def _through(steps, X):
    for step in steps:
        X = step.transform(X)
    return check_array(X, dtype=np.float64)


def _in_batches(density, function, X, batches, n_jobs, verbose):
    def _scores_of(rows):
        return _checked_scores(density, function, X[rows], rows.start)

    progress = tqdm(batches, desc="log density", disable=not verbose)
    values = in_threads(_scores_of, progress, n_jobs)
    return np.concatenate([*values, np.empty(0)])


@contextmanager
def _nameless_points(density):
    """No warning that arrays lack the names of the frame the density was fitted on."""
    if getattr(density, "feature_names_in_", None) is None:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield


def _called(density, function, X):
    try:
        return function(X)
    except Exception as error:
        if _speaks_for_itself(density, error):
            raise
        raise ValueError(
            f"The density {_name(density)} raised {type(error).__name__} on an array "
            f"of shape {X.shape}: {str(error).rstrip('.')}. It has to score any finite "
            f"points of {X.shape[1]} features{_as_callables_take_them(density)}."
        ) from error


def _as_callables_take_them(density):
    if not isinstance(density, _CallableDensity):
        return ""
    return ", which a callable is given as an array. Pass a model of torch itself"


def _foreign_scores(density, X):
    name = _name(density)
    values = as_array(_called(density, density.score_samples, X))
    if values.shape != (len(X),):
        raise ValueError(
            f"The density {name} returned an array of shape {values.shape} for X of "
            f"shape {X.shape}; log densities have shape {(len(X),)}, one for each row. "
            "Reduce over the features, or ravel the result."
        )
    if values.dtype.kind not in "fiu":
        raise ValueError(
            f"The density {name} returned {values.dtype}; log densities are real "
            "numbers. Return a float array."
        )
    return values.astype(np.float64)


def _checked_scores(density, function, X, first_row):
    values = function(X)
    bad = np.isnan(values) | np.isposinf(values)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"The density {_name(density)} returned {values[row]} at row "
            f"{first_row + row} ({bad.sum()} of {len(bad)} rows are NaN or +inf), at "
            "the point "
            f"{np.array2string(X[row], threshold=6)}. A log density is finite, or "
            "-inf outside the support: widen its kernel, or add to its covariances, or "
            "train a flow with more noise."
        )
    return values
