"""Gradient of a log density: analytic where it is known, else by differences."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import digamma
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.utils import check_array
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._batching import row_batches
from ._gaussian_sum import log_sum, root_blocks, sphere_blocks
from ._protocol import (
    FOREIGN_LOCK,
    FOREIGN_ROW_BYTES,
    THREAD_BATCH,
    _ForeignDensity,
    _LogPdfDensity,
    _name,
    _nameless_points,
    _speaks_for_itself,
    log_density,
)

# What a sum of Gaussians leaves out: its logarithm is that of score_samples to 1e-10.
RTOL = 1e-11
# Parameters of a Minkowski metric that is Euclidean.
POWER_TWO = (None, {}, {"p": 2})
SEARCHES = GridSearchCV | RandomizedSearchCV
# Interquartile range of the standard normal.
QUARTILES = 1.349
# The name that a density gives its own gradient.
METHOD = "score_samples_gradient"


class Gradient(NamedTuple):
    """How the gradient of a density is found.

    `function` maps points, and the scale of each feature, to log p and its gradient.
    """

    function: Callable
    analytic: bool
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
        Threads for sums of Gaussians; any other density is called from one thread.
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

    See Also
    --------
    skgengeo.density.log_density : The log density itself.

    Notes
    -----
    The gradient is analytic for Gaussian sums, which are
    :class:`sklearn.neighbors.KernelDensity` with its Gaussian kernel and the Euclidean
    metric, :class:`sklearn.mixture.GaussianMixture` and
    :class:`sklearn.mixture.BayesianGaussianMixture` of any covariances,
    :class:`scipy.stats.gaussian_kde`, and
    :class:`skgengeo.density.ManifoldParzenWindows`. These are summed by one compiled
    routine. Of a `KernelDensity` that is the sum of all kernels: `score_samples` of
    scikit-learn has the error that `rtol` and `atol` allow, and with more samples than
    `leaf_size` it is wrong where the density is below some 1e-10 of a kernel's peak, by
    cancellation. Any other density may have a method
    ``score_samples_gradient(X) -> (n_samples, n_features)``, which is used.
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
    X = check_array(X, dtype=np.float64, order="C", ensure_min_samples=0)
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
    parts = Parallel(n_jobs=n_jobs, require="sharedmem")(
        delayed(gradient.function)(X[rows], scale) for rows in batches
    )
    values, gradients = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(gradients)


def gradient_of(density):
    """How the gradient of a fitted density is found.

    Parameters
    ----------
    density : estimator
        As `as_density` returns it.

    Returns
    -------
    Gradient
        What is the same for all points is made once, here.
    """
    density = _innermost(density)
    model = density.model if isinstance(density, _ForeignDensity) else density
    if hasattr(model, "_gradient"):
        return model._gradient()
    if hasattr(model, METHOD):
        return Gradient(partial(_by_method, density, model), True, False)
    parts = _gaussians(density)
    if parts is not None:
        return gradient_of_sum(model, *parts)
    return Gradient(partial(_by_differences, density), False, False)


def gradient_of_sum(model, blocks, rtol=RTOL, root=None):
    """The gradient of a density that is a sum of Gaussians.

    Parameters
    ----------
    model : object
        The density.
    blocks : tuple
        As made by `gaussian_blocks`; those of ``root @ x``, where that is not None.
    rtol : float
        Bound on the share that is left out.
    root : None or ndarray of shape (n_features, n_features)
        What makes spheres of Gaussians of one covariance.

    Returns
    -------
    Gradient
        By the compiled sum.
    """
    function = partial(_summed, type(model).__name__, blocks, rtol, root)
    return Gradient(function, True, True)


def _summed(name, blocks, rtol, root, X, scale):
    del scale
    n_features = blocks[0][0].shape[1]
    if X.shape[1] != n_features:
        raise ValueError(
            f"X has {X.shape[1]} features, but {name} was fitted on {n_features}. Pass "
            "the features of the density, in their order."
        )
    if root is None:
        return log_sum(X, blocks, rtol, gradient=True)
    values, gradients = log_sum(X @ root.T, blocks, rtol, gradient=True)
    return values, gradients @ root


def _innermost(density):
    """What a frozen estimator or a fitted search scores with."""
    while True:
        if isinstance(density, FrozenEstimator):
            density = density.estimator
        elif isinstance(density, SEARCHES) and hasattr(density, "best_estimator_"):
            density = density.best_estimator_
        else:
            return density


# Sums of Gaussians of other packages: arguments of `gradient_of_sum`.


def _gaussians(density):
    """Of a density that is known to be such a sum; else None."""
    if isinstance(density, _LogPdfDensity):
        return _of_gaussian_kde(density.model)
    # A subclass may score otherwise.
    known = {
        KernelDensity: _of_kernel_density,
        GaussianMixture: _of_mixture,
        BayesianGaussianMixture: _of_mixture,
    }
    if type(density) not in known:
        return None
    check_is_fitted(density)
    return known[type(density)](density)


def _of_kernel_density(kde):
    euclidean = kde.metric in ("euclidean", "l2", "minkowski", "p")
    if kde.kernel != "gaussian" or not euclidean or kde.metric_params not in POWER_TWO:
        return None
    centers, weights = np.asarray(kde.tree_.data), kde.tree_.sample_weight
    weights = np.ones(len(centers)) if weights is None else np.asarray(weights)
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights / weights.sum())
    variances = np.full(len(centers), float(kde.bandwidth_) ** 2)
    return (_weighted(sphere_blocks, log_weights, centers, variances),)


def _of_gaussian_kde(kde):
    from scipy.stats import gaussian_kde

    if type(kde) is not gaussian_kde:
        return None
    root = np.linalg.inv(np.linalg.cholesky(kde.covariance))
    return _alike(np.log(kde.weights), kde.dataset.T, root)


def _of_mixture(mixture):
    bayesian = isinstance(mixture, BayesianGaussianMixture)
    with np.errstate(divide="ignore"):
        log_weights = _expected(mixture) if bayesian else np.log(mixture.weights_)
    means = np.asarray(mixture.means_, dtype=np.float64)
    roots = np.asarray(mixture.precisions_cholesky_, dtype=np.float64)
    kind = mixture.covariance_type
    if kind == "tied":
        return _alike(log_weights, means, roots.T)
    if kind == "spherical":
        blocks = _weighted(sphere_blocks, log_weights, means, roots**-2.0)
    elif kind == "diag":
        diagonal = roots[:, :, None] * np.eye(means.shape[1])
        blocks = _weighted(root_blocks, log_weights, means, diagonal)
    else:
        blocks = _weighted(root_blocks, log_weights, means, roots.transpose(0, 2, 1))
    return (blocks,)


def _expected(mixture):
    """Log weights of a Bayesian mixture, with what it adds to each log density.

    Expectations under the posterior of its weights and of its precision matrices.
    """
    d = mixture.means_.shape[1]
    counts = mixture.weight_concentration_
    if mixture.weight_concentration_prior_type == "dirichlet_process":
        both = digamma(counts[0] + counts[1])
        rest = np.cumsum(digamma(counts[1]) - both)
        log_weights = digamma(counts[0]) - both + np.r_[0.0, rest[:-1]]
    else:
        log_weights = digamma(counts) - digamma(np.sum(counts))
    freedom = np.asarray(mixture.degrees_of_freedom_)
    log_det = digamma(0.5 * (freedom - np.arange(d)[:, None])).sum(axis=0)
    log_det += d * (np.log(2.0) - np.log(freedom))
    return log_weights + 0.5 * (log_det - d / mixture.mean_precision_)


def _alike(log_weights, centers, root):
    """Gaussians of one covariance are spheres of ``root @ x``."""
    log_det = np.linalg.slogdet(root)[1]
    ones = np.ones(len(centers))
    blocks = _weighted(sphere_blocks, log_weights + log_det, centers @ root.T, ones)
    return blocks, RTOL, root


def _weighted(blocks_of, log_weights, *parts):
    """Blocks of the kernels that weigh anything."""
    some = log_weights > -np.inf
    return blocks_of(log_weights[some], *(part[some] for part in parts))


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
    found = np.asarray(found)
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


def _by_differences(density, X, scale):
    """Central differences of ``log_density``, where the density is not zero."""
    values = log_density(density, X)
    gradients = np.zeros(X.shape)
    inside = np.flatnonzero(np.isfinite(values))
    single = _is_single(values[inside], X)
    steps = _steps(X, scale, single)
    for some in row_batches(len(inside), row_bytes=4 * 8 * X.shape[1] ** 2):
        rows = inside[some]
        gradients[rows] = _differences(
            density, X[rows], values[rows], steps[rows], single
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


def _checked_scale(scale, X):
    scale = np.asarray(scale, dtype=np.float64)
    good = scale.shape in ((), (X.shape[1],)) and np.isfinite(scale).all()
    if not (good and scale.min() >= 0 and scale.max() > 0):
        raise ValueError(
            f"scale={scale} for X of shape {X.shape}: it is a number for each feature, "
            "none below zero and not all zero. Pass X_train.std(axis=0)."
        )
    return np.broadcast_to(scale, X.shape[1])


def _differences(density, X, values, steps, single):
    n, d = X.shape
    kind = np.float32 if single else np.float64
    ends = np.array([(X + steps).T, (X - steps).T]).astype(kind).astype(np.float64)
    points = np.broadcast_to(X, (2, d, n, d)).copy()
    for a in range(d):
        points[:, a, :, a] = ends[:, a]
    found = log_density(density, points.reshape(-1, d)).reshape(2, d, n)
    inside = np.isfinite(found)
    ends, found = np.where(inside, ends, X.T), np.where(inside, found, values)
    # No difference where the density is zero on both sides.
    gap = np.where(inside.any(axis=0), ends[0] - ends[1], 1.0)
    return ((found[0] - found[1]) / gap).T
