"""Gradient of a log density: analytic where it is known, else by differences."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from .._batching import in_threads, row_batches
from .._floats import numbers_or_nan
from ._protocol import (
    _ForeignDensity,
    _LogProbDensity,
    _name,
    _speaks_for_itself,
    check_scores,
    goes_with_scores,
    is_ours,
)
from ._scoring import (
    FOREIGN_LOCK,
    FOREIGN_ROW_BYTES,
    THREAD_BATCH,
    _nameless_points,
    checked_points,
    log_density,
    scores,
)
from ._sums import innermost, kernel_sum_of
from ._torch import (
    DetachedError,
    as_array,
    is_of_torch,
    is_out_of_memory,
    scores_with_gradient,
)

# Interquartile range of the standard normal.
QUARTILES = 1.349
# The name that a density gives its own gradient.
METHOD = "score_samples_gradient"


class Gradient(NamedTuple):
    """How the gradient of a density is found.

    `function` maps points, and the scale of each feature, to log p and its gradient.
    """

    function: Callable
    threads: bool


def log_density_gradient(
    density, X, *, n_jobs=None, scale=None, return_log_density=False
):
    """Gradient of the log density at each row of X, checked.

    Parameters
    ----------
    density : estimator
        Fitted, with ``score_samples``, as :func:`skgengeo.density.as_density` returns
        it.
    X : array-like of shape (n_samples, n_features)
        The points.
    n_jobs : None or int
        Threads for sums of kernels; any other density is called from one thread.
    scale : None or array-like of shape (n_features,)
        Only for central differences: how far each feature extends, such as the
        standard deviation of the training samples. None takes the interquartile range
        of the rows of X, as the standard deviation of a normal that has it.
    return_log_density : bool, default=False
        Return log p of the same rows too, which costs next to nothing here.

    Returns
    -------
    gradient : ndarray of shape (n_samples, n_features)
        In float64. Where the density is zero it is defined as zero.
    log_density : ndarray of shape (n_samples,)
        Only with `return_log_density`; ``-inf`` where the density is zero.

    Raises
    ------
    ValueError
        Where the density raises, or returns a wrong shape, NaN, an infinite gradient
        or a log density of +inf.
    TypeError
        Where it has no ``score_samples``: :func:`skgengeo.density.as_density` gives it
        one.

    See Also
    --------
    skgengeo.density.log_density : The log density itself.

    Notes
    -----
    The gradient is analytic for the sums of kernels that
    :func:`skgengeo.density.log_density` names, pipelines excepted, by the routine that
    evaluates these. At its own centre a kernel adds nothing, even where it has a cusp
    there, and a tophat adds nothing anywhere. Any other density may have a method
    ``score_samples_gradient(X) -> (n_samples, n_features)``, which is used, unless it
    is inherited and a subclass has overridden ``score_samples``. Models of torch are
    differentiated by torch, where they allow it, and
    :class:`skgengeo.density.FlowDensity` with them.
    :class:`skgengeo.density.TemperedDensity`, a frozen estimator and a fitted search
    have the gradient of what is in them.

    All others are evaluated at ``2 * n_features + 1`` points for each row: at the row,
    and a step to both sides along each feature. The step is the scale times the cube
    root of the relative precision: 6e-6 in double precision, and 5e-3 where all values
    of the rows are numbers of single precision, as those of a neural network are. A
    constant feature has the largest scale of all. A difference is one-sided where the
    density is zero on one side, and zero where it is so on both.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KernelDensity
    >>> from skgengeo.density import log_density_gradient
    >>> density = KernelDensity(bandwidth=2.0).fit(np.zeros((1, 2)))
    >>> log_density_gradient(density, [[4.0, 0.0], [0.0, -8.0]]).tolist()
    [[-1.0, 0.0], [0.0, 2.0]]
    """
    check_scores(density)
    X = checked_points(density, X)
    values, gradients = evaluate(gradient_of(density), X, scale, n_jobs)
    return (gradients, values) if return_log_density else gradients


def evaluate(gradient, X, scale=None, n_jobs=None):
    """Log density and gradient at each row, in batches.

    Parameters
    ----------
    gradient : Gradient
        As `gradient_of` returns it.
    X : ndarray of shape (n_points, n_features)
        The points, float64 and in C order.
    scale : None or array-like of shape (n_features,)
        See `log_density_gradient`.
    n_jobs : None or int
        Threads, where the density allows them.

    Returns
    -------
    log_p : ndarray of shape (n_points,)
        Log density.
    gradients : ndarray of shape (n_points, n_features)
        Its gradient.
    """
    if not gradient.threads:
        with FOREIGN_LOCK:
            return gradient.function(X, scale)
    batches = row_batches(len(X), size=THREAD_BATCH)
    if len(batches) <= 1:
        return gradient.function(X, scale)
    parts = in_threads(lambda rows: gradient.function(X[rows], scale), batches, n_jobs)
    values, gradients = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(gradients)


def gradient_of(density, kernel_sum=None):
    """How the gradient of a fitted density is found.

    Parameters
    ----------
    density : estimator
        As `as_density` returns it.
    kernel_sum : None or KernelSum
        What the density is a sum of, where that has been made already.

    Returns
    -------
    Gradient
        What is the same for all points is made once, here.
    """
    kernel_sum = kernel_sum_of(density) if kernel_sum is None else kernel_sum
    if kernel_sum is not None and not kernel_sum.steps:
        return Gradient(partial(_summed, kernel_sum), True)
    density = innermost(density)
    model = density.model if isinstance(density, _ForeignDensity) else density
    if goes_with_scores(model, "_gradient") and is_ours(model, "_gradient"):
        return model._gradient()
    if goes_with_scores(model, METHOD):
        return Gradient(partial(_by_method, density, model), False)
    if isinstance(density, _LogProbDensity) and is_of_torch(model):
        function = partial(scores_with_gradient, model)
        return Gradient(partial(by_autograd, density, function), False)
    return Gradient(partial(_by_differences, density, kernel_sum), False)


def _summed(kernel_sum, X, scale):
    del scale
    return kernel_sum.with_gradient(X)


def by_autograd(density, function, X, scale):
    """What torch differentiates; by differences where the model is detached.

    Parameters
    ----------
    density : estimator
        Fitted.
    function : callable
        Of points, to their log densities and the gradients of these.
    X : ndarray of shape (n_points, n_features)
        The points.
    scale : None or array-like of shape (n_features,)
        For differences.

    Returns
    -------
    values : ndarray of shape (n_points,)
        Log density.
    gradients : ndarray of shape (n_points, n_features)
        Its gradient, zero where the density is.

    Raises
    ------
    ValueError
        Where the density scores the points, and raises when it is differentiated.
    """
    try:
        values, gradients = function(X)
    except DetachedError:
        return _by_differences(density, None, X, scale)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        # What is wrong with the density itself, its values tell.
        scores(density, X, None)
        raise ValueError(
            f"The density {_name(density)} raised {type(error).__name__} when torch "
            f"differentiated it at points of shape {X.shape}: "
            f"{str(error).rstrip('.')}. A model that scores points has to have a "
            "gradient there, or to detach what it returns, as by torch.no_grad: the "
            "gradient is then found by differences."
        ) from error
    gradients[np.isneginf(values)] = 0.0
    bad = ~np.isfinite(gradients).all(axis=1) | np.isnan(values) | np.isposinf(values)
    if bad.any():
        scale = _scale_of(X) if scale is None else scale
        found = _by_differences(density, None, X[bad], scale)
        values[bad], gradients[bad] = found
    return values, gradients


def _by_method(density, model, X, scale):
    """What the density returns, checked; zero where the density is."""
    del scale
    values = log_density(density, X)
    gradients = np.empty_like(X)
    with _nameless_points(density):
        for rows in row_batches(len(X), row_bytes=FOREIGN_ROW_BYTES):
            gradients[rows] = _checked_gradient(density, model, X[rows])
    gradients[np.isneginf(values)] = 0.0
    bad = ~np.isfinite(gradients).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"{METHOD} of the density {_name(density)} returned {gradients[row]} at "
            f"row {row} ({bad.sum()} of {len(bad)} rows are not finite), at the point "
            f"{np.array2string(X[row], threshold=6)}, where the log density is "
            f"{values[row]:g}. Return finite numbers wherever the density is not zero."
        )
    return values, gradients


def _checked_gradient(density, model, X):
    name = f"{METHOD} of the density {_name(density)}"
    try:
        found = getattr(model, METHOD)(X)
    except Exception as error:
        if _speaks_for_itself(density, error):
            raise
        raise ValueError(
            f"{name} raised {type(error).__name__} on an array of shape {X.shape}: "
            f"{str(error).rstrip('.')}. It has to take any points that score_samples "
            "takes."
        ) from error
    found = as_array(found)
    if found.shape != X.shape:
        raise ValueError(
            f"{name} returned an array of shape {found.shape} for X of shape "
            f"{X.shape}. Return the gradient of each row, in the shape of X."
        )
    if found.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} returned {found.dtype}; gradients are real numbers. Return a "
            "float array."
        )
    return found


def _by_differences(density, kernel_sum, X, scale):
    """Central differences of the log density, where the density is not zero."""
    score = partial(scores, density, kernel_sum=kernel_sum)
    values = score(X)
    gradients = np.zeros(X.shape)
    inside = np.flatnonzero(np.isfinite(values))
    single = _is_single(values[inside], X)
    steps = _steps(X, scale, single)
    for some in row_batches(len(inside), row_bytes=4 * 8 * X.shape[1] ** 2):
        rows = inside[some]
        gradients[rows] = _differences(
            score, X[rows], values[rows], steps[rows], single
        )
    return values, gradients


def _is_single(values, X):
    """Whether values are of single precision, as far as they tell."""
    with np.errstate(over="ignore"):
        same = np.array_equal(values.astype(np.float32).astype(np.float64), values)
    return same and np.abs(X).max(initial=0.0) < np.sqrt(np.finfo(np.float32).max)


def _steps(X, scale, single):
    """Scale times the cube root of the precision, where rounding lets it differ."""
    precision = np.finfo(np.float32 if single else np.float64).eps
    scale = _scale_of(X) if scale is None else _checked_scale(scale, X)
    scale = np.where(scale > 0, scale, scale.max())
    return np.maximum(np.cbrt(precision) * scale, 4 * precision * np.abs(X))


def _scale_of(X):
    """Standard deviation of a normal that has the interquartile range of each feature.

    The rows of a single point have the largest of its features, or 1.
    """
    if len(X) == 0:
        return np.ones(X.shape[1])
    low, high = np.percentile(X, [25, 75], axis=0)
    scale = high / QUARTILES - low / QUARTILES
    return scale if scale.any() else np.full(X.shape[1], np.abs(X).max() or 1.0)


def _checked_scale(given, X):
    scale = numbers_or_nan(given)
    good = scale.shape in ((), (X.shape[1],)) and np.isfinite(scale).all()
    if not (good and scale.min() >= 0 and scale.max() > 0):
        raise ValueError(
            f"scale={given!r} for X of shape {X.shape}: it is a number for each "
            "feature, none below zero and not all zero. Pass X_train.std(axis=0)."
        )
    return np.broadcast_to(scale, X.shape[1])


def _differences(score, X, values, steps, single):
    n, d = X.shape
    kind = np.float32 if single else np.float64
    ends = np.array([(X + steps).T, (X - steps).T]).astype(kind).astype(np.float64)
    points = np.broadcast_to(X, (2, d, n, d)).copy()
    for a in range(d):
        points[:, a, :, a] = ends[:, a]
    found = score(points.reshape(-1, d)).reshape(2, d, n)
    inside = np.isfinite(found)
    ends, found = np.where(inside, ends, X.T), np.where(inside, found, values)
    # No difference where the density is zero on both sides.
    gap = np.where(inside.any(axis=0), ends[0] - ends[1], 1.0)
    return ((found[0] - found[1]) / gap).T
