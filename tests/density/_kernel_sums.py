"""Fitted densities that are sums of kernels, others, and the sum written out."""

import numpy as np
from scipy.special import logsumexp, softmax
from scipy.stats import gaussian_kde
from sklearn.base import clone
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgengeo.density import ManifoldParzenWindows, TemperedDensity, as_density

TYPES = ["full", "tied", "diag", "spherical"]
DIMENSIONS = [1, 2, 5]


def two_groups(d, n=120, seed=0):
    """A sphere, and an oblique group beside it."""
    rng = np.random.default_rng(seed)
    oblique = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 4
    return np.vstack([rng.normal(size=(n, d)), oblique])


def among(d, n=60, seed=1):
    """Points of both groups, between them and about them."""
    rng = np.random.default_rng(seed)
    X = two_groups(d)
    return np.vstack([X[::4], 2 + 4 * rng.normal(size=(n, d))])


def mixtures():
    for kind in TYPES:
        yield f"GaussianMixture, {kind}", GaussianMixture(3, covariance_type=kind)
        for prior in ("process", "distribution"):
            yield (
                f"BayesianGaussianMixture, {kind}, {prior}",
                BayesianGaussianMixture(
                    n_components=5,
                    covariance_type=kind,
                    weight_concentration_prior_type=f"dirichlet_{prior}",
                    max_iter=300,
                ),
            )


# One leaf: scikit-learn's sums over many are not exact where the density is small.
KDE = KernelDensity(bandwidth=0.4, leaf_size=1000)
SUMS = {name: model.set_params(random_state=0) for name, model in mixtures()} | {
    "KernelDensity": KDE,
    "KernelDensity, few": GridSearchCV(KDE, {"bandwidth": [0.3, 0.5]}, cv=2),
    "ManifoldParzenWindows": ManifoldParzenWindows(rtol=1e-12),
    "ManifoldParzenWindows, spheres": ManifoldParzenWindows(shrinkage=1.0, rtol=1e-12),
    "TemperedDensity": TemperedDensity(ManifoldParzenWindows(rtol=1e-12)),
}
OTHERS = {
    "Manhattan": KernelDensity(metric="manhattan", bandwidth=2.0, leaf_size=1000),
    "Pipeline": make_pipeline(StandardScaler(), KDE),
}
FITTED = {
    (name, d): clone(model).fit(two_groups(d))
    for name, model in (SUMS | OTHERS).items()
    for d in DIMENSIONS
}
FITTED |= {
    ("gaussian_kde", d): as_density(
        gaussian_kde(two_groups(d).T, weights=np.arange(1.0, 241.0))
    )
    for d in DIMENSIONS
}
ANALYTIC = [key for key in FITTED if key[0] not in OTHERS]


def named(key):
    return "-".join(map(str, key))


def assert_log_density(found, expected):
    np.testing.assert_array_less(
        np.abs(found - expected), 1e-10 * np.maximum(1.0, np.abs(expected))
    )


class OfItsOwn(GaussianMixture):
    """A mixture that scores otherwise than its class."""

    def score_samples(self, X):
        return 2 * super().score_samples(X)


def dense_sum(log_weights, means, precisions, X):
    """Log density up to the constant of its dimension, and gradient."""
    offsets = X[:, None] - means
    pulls = -np.einsum("kij,nkj->nki", precisions, offsets)
    exponents = 0.5 * (pulls * offsets).sum(axis=2) + log_weights
    exponents += 0.5 * np.linalg.slogdet(precisions)[1]
    shares = softmax(exponents, axis=1)
    return logsumexp(exponents, axis=1), np.einsum("nk,nki->ni", shares, pulls)


def dense_kde(kde, X, weights=None):
    centers = np.asarray(kde.tree_.data)
    weights = np.ones(len(centers)) if weights is None else weights
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights / weights.sum())
    d = X.shape[1]
    precisions = np.tile(np.eye(d) / kde.bandwidth_**2, (len(centers), 1, 1))
    log_p, gradient = dense_sum(log_weights, centers, precisions, X)
    return log_p - 0.5 * d * np.log(2 * np.pi), gradient


def mixture_of(weights, means, covariances):
    mixture = GaussianMixture(len(weights))
    mixture.weights_, mixture.means_ = np.array(weights), np.array(means)
    mixture.covariances_ = np.array(covariances)
    mixture.precisions_cholesky_ = np.linalg.inv(
        np.linalg.cholesky(mixture.covariances_)
    ).transpose(0, 2, 1)
    return mixture
