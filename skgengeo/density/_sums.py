"""Which densities are sums of kernels, and these laid out for the compiled sum."""

from functools import partial, reduce
from typing import NamedTuple

import numpy as np
from scipy.special import digamma
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._blocks import radial_blocks, root_blocks, sphere_blocks
from ._kernel_sum import log_sum
from ._protocol import _LogPdfDensity, is_ours

# What a sum leaves out: its logarithm is that of score_samples to 1e-10.
RTOL = 1e-11
# Parameters of a Minkowski metric that is Euclidean.
POWER_TWO = (None, {}, {"p": 2})
# Weights as far apart as the exponential of this would be lost in a plain sum.
RANGE = 500.0
SEARCHES = GridSearchCV | RandomizedSearchCV


class KernelSum(NamedTuple):
    """A density that is a sum of kernels.

    `blocks` are those of ``root @ x`` where that is not None: a root makes spheres of
    Gaussians of one covariance. `rtol` bounds the share of the sum that is left out.
    The log density is divided by the `temperatures`, one after the other. Its points
    are those that come out of `steps`, the fitted transformers of a pipeline.
    """

    name: str
    blocks: tuple
    rtol: float = RTOL
    root: np.ndarray | None = None
    temperatures: tuple = ()
    steps: tuple = ()

    @property
    def n_features(self):
        """Number of features that the sum sees."""
        return self.blocks[0][0].shape[1]

    def log_density(self, X):
        """Log density at each row of X, float64 and in C order."""
        return self._divided(log_sum(self._seen(X), self.blocks, self.rtol))

    def with_gradient(self, X):
        """Log density and its gradient at each row of X."""
        values, gradients = log_sum(
            self._seen(X), self.blocks, self.rtol, gradient=True
        )
        if self.root is not None:
            gradients = gradients @ self.root
        return self._divided(values), self._divided(gradients)

    def tempered(self, temperature):
        """The same, divided by a temperature."""
        return self._replace(temperatures=(*self.temperatures, temperature))

    def _divided(self, values):
        return reduce(np.divide, self.temperatures, values)

    def _seen(self, X):
        if X.shape[1] != self.n_features:
            raise ValueError(
                f"X has {X.shape[1]} features, but {self.name} was fitted on "
                f"{self.n_features}. Pass the features of the density, in their order."
            )
        return X if self.root is None else X @ self.root.T


def kernel_sum_of(density):
    """The sum of kernels that a fitted density is.

    Parameters
    ----------
    density : estimator
        As `as_density` returns it.

    Returns
    -------
    KernelSum or None
        None where the density is none, or is not known to be one.
    """
    density = innermost(density)
    # A subclass may score otherwise.
    kind = type(density)
    if "_kernel_sum" in vars(kind) and is_ours(density, "_kernel_sum"):
        return density._kernel_sum()
    if kind is _LogPdfDensity:
        return _of_gaussian_kde(density.model)
    if kind is Pipeline:
        return _of_pipeline(density)
    if kind not in MAKERS:
        return None
    check_is_fitted(density)
    return MAKERS[kind](density)


def innermost(density):
    """What a frozen estimator or a fitted search scores with.

    Parameters
    ----------
    density : estimator
        As `as_density` returns it.

    Returns
    -------
    estimator
        The density itself, where it is none of these.
    """
    while True:
        if isinstance(density, FrozenEstimator):
            density = density.estimator
        elif isinstance(density, SEARCHES) and hasattr(density, "best_estimator_"):
            density = density.best_estimator_
        else:
            return density


def _of_pipeline(pipeline):
    *steps, last = (step for _, step in pipeline.steps)
    kernel_sum = kernel_sum_of(last)
    if kernel_sum is None:
        return None
    steps = [step for step in steps if step not in (None, "passthrough")]
    return kernel_sum._replace(steps=(*steps, *kernel_sum.steps))


def _of_kernel_density(kde):
    euclidean = kde.metric in ("euclidean", "l2", "minkowski", "p")
    if not euclidean or kde.metric_params not in POWER_TWO:
        return None
    centers, weights = np.asarray(kde.tree_.data), kde.tree_.sample_weight
    weights = np.ones(len(centers)) if weights is None else np.asarray(weights)
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights / weights.sum())
    if kde.kernel == "gaussian":
        variances = np.full(len(centers), float(kde.bandwidth_) ** 2)
        blocks = _weighted(sphere_blocks, log_weights, centers, variances)
        return KernelSum(type(kde).__name__, blocks)
    return _of_radial_kernels(kde, log_weights, centers)


def _of_radial_kernels(kde, log_weights, centers):
    log_peak = _log_peak(kde, centers.shape[1])
    spread = np.ptp(log_weights[log_weights > -np.inf])
    if not np.isfinite(log_peak) or spread > RANGE:
        return None
    blocks_of = partial(radial_blocks, kde.kernel, bandwidth=kde.bandwidth_)
    blocks = _weighted(blocks_of, log_peak + log_weights, centers)
    return KernelSum(type(kde).__name__, blocks)


def _log_peak(kde, n_features):
    """Log density that scikit-learn gives a single sample at itself.

    In even dimensions the factor of its cosine kernel is not that of a density, and
    in some of them no number.
    """
    origin = np.zeros((1, n_features))
    alone = KernelDensity(kernel=kde.kernel, bandwidth=kde.bandwidth_).fit(origin)
    return alone.score_samples(origin)[0]


def _of_gaussian_kde(kde):
    from scipy.stats import gaussian_kde

    if type(kde) is not gaussian_kde:
        return None
    root = np.linalg.inv(np.linalg.cholesky(kde.covariance))
    return _alike(kde, np.log(kde.weights), kde.dataset.T, root)


def _of_mixture(mixture):
    bayesian = isinstance(mixture, BayesianGaussianMixture)
    with np.errstate(divide="ignore"):
        log_weights = (
            _expected(mixture) if bayesian else np.log(_double(mixture.weights_))
        )
    means = _double(mixture.means_)
    roots = _double(mixture.precisions_cholesky_)
    kind = mixture.covariance_type
    if kind == "tied":
        return _alike(mixture, log_weights, means, roots.T)
    if kind == "spherical":
        blocks = _weighted(sphere_blocks, log_weights, means, roots**-2.0)
    elif kind == "diag":
        diagonal = roots[:, :, None] * np.eye(means.shape[1])
        blocks = _weighted(root_blocks, log_weights, means, diagonal)
    else:
        blocks = _weighted(root_blocks, log_weights, means, roots.transpose(0, 2, 1))
    return KernelSum(type(mixture).__name__, blocks)


def _expected(mixture):
    """Log weights of a Bayesian mixture, with what it adds to each log density.

    Expectations under the posterior of its weights and of its precision matrices.
    """
    d = mixture.means_.shape[1]
    counts = _double(mixture.weight_concentration_)
    if mixture.weight_concentration_prior_type == "dirichlet_process":
        both = digamma(counts[0] + counts[1])
        rest = np.cumsum(digamma(counts[1]) - both)
        log_weights = digamma(counts[0]) - both + np.r_[0.0, rest[:-1]]
    else:
        log_weights = digamma(counts) - digamma(np.sum(counts))
    freedom = _double(mixture.degrees_of_freedom_)
    log_det = digamma(0.5 * (freedom - np.arange(d)[:, None])).sum(axis=0)
    log_det += d * (np.log(2.0) - np.log(freedom))
    return log_weights + 0.5 * (log_det - d / _double(mixture.mean_precision_))


def _double(values):
    """Parameters fitted in single precision, taken as they are."""
    return np.asarray(values, dtype=np.float64)


def _alike(model, log_weights, centers, root):
    """Gaussians of one covariance are spheres of ``root @ x``."""
    log_det = np.linalg.slogdet(root)[1]
    ones = np.ones(len(centers))
    blocks = _weighted(sphere_blocks, log_weights + log_det, centers @ root.T, ones)
    return KernelSum(type(model).__name__, blocks, root=root)


def _weighted(blocks_of, log_weights, *parts):
    """Blocks of the kernels that weigh anything."""
    some = log_weights > -np.inf
    return blocks_of(log_weights[some], *(part[some] for part in parts))


MAKERS = {
    KernelDensity: _of_kernel_density,
    GaussianMixture: _of_mixture,
    BayesianGaussianMixture: _of_mixture,
}
