"""Log densities: `log_density` of this package beside scikit-learn's `score_samples`.

Points per second for kernel densities, exact ones of every kernel among them, and for a
mixture of 10 components, at points of the same law as the samples; in one thread and in
two, the layout of the sum for each call included. All take turns: each figure is that
of the fastest, and the ratios are those of the figures. Then the error of both,
relative to 1 or to log p, by a plain sum over all kernels in numpy: the worst of some
of these points, and of as many that are up to 20 standard deviations away. It is
infinite where a density of zero is taken for another one.

    python benchmarks/scoring.py [--quick]

It fails where `log_density` is off by more than 1e-10.
"""

import os

# One thread each, before numpy is loaded.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import time
from functools import partial

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skgengeo.density import log_density

DIMENSIONS = (2, 10)
N_CENTERS = (2000, 10_000)
BANDWIDTH = {2: 0.2, 3: 0.5, 10: 0.7}
# Each with its profile, at distances in bandwidths.
KERNELS = {
    "gaussian": lambda u: np.exp(-0.5 * u**2),
    "exponential": lambda u: np.exp(-u),
    "tophat": lambda u: u < 1,
    "epanechnikov": lambda u: np.maximum(1 - u**2, 0),
    "linear": lambda u: np.maximum(1 - u, 0),
    "cosine": lambda u: np.where(u < 1, np.cos(np.pi / 2 * u), 0),
}
N_EXACT, D_EXACT = 5000, 3
N_COMPONENTS = 10
MOST_OFF = 1e-10
N_COMPARED, FAR = 200, 20.0
# Enough for batches of several threads; scikit-learn is timed on a share of them.
N_POINTS, SHARE = 65_536, 8


def clusters(n, d, seed):
    """Ten normal clusters, their centres three times as far apart as they are wide."""
    centers = 3 * np.random.default_rng(0).normal(size=(N_COMPONENTS, d))
    rng = np.random.default_rng(seed)
    return centers[rng.integers(N_COMPONENTS, size=n)] + rng.normal(size=(n, d))


def densities(quick):
    """Name and fitted density, one after the other."""
    X, h = clusters(N_EXACT, D_EXACT, seed=1), BANDWIDTH[D_EXACT]
    for kernel in KERNELS:
        kde = KernelDensity(kernel=kernel, bandwidth=h, rtol=0.0, atol=0.0).fit(X)
        yield f"{kernel}, exact, {N_EXACT:,} centres, d={D_EXACT}", kde
    for d in DIMENSIONS:
        for n in N_CENTERS[: 1 if quick else None]:
            kde = KernelDensity(bandwidth=BANDWIDTH[d]).fit(clusters(n, d, seed=1))
            yield f"gaussian, {n:,} centres, d={d}", kde
        X = clusters(2000, d, seed=1)
        mixture = GaussianMixture(N_COMPONENTS, random_state=0).fit(X)
        yield f"GaussianMixture({N_COMPONENTS}), d={d}", mixture


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def plain_sum(density, Q):
    """Log of the sum of all kernels, written out."""
    if isinstance(density, KernelDensity):
        return plain_kernels(density, Q)
    roots = density.precisions_cholesky_
    whitened = np.einsum("nki,kij->nkj", Q[:, None] - density.means_, roots)
    exponents = -0.5 * (whitened**2).sum(axis=2) + np.log(density.weights_)
    exponents += np.linalg.slogdet(roots)[1]
    return logsumexp(exponents, axis=1) - 0.5 * Q.shape[1] * np.log(2 * np.pi)


def plain_kernels(kde, Q):
    centers = np.asarray(kde.tree_.data)
    alone = clone(kde).fit(centers[:1]).score_samples(centers[:1])
    u = cdist(Q, centers) / kde.bandwidth_
    if kde.kernel in ("gaussian", "exponential"):
        exponents = -u if kde.kernel == "exponential" else -0.5 * u**2
        return logsumexp(exponents, axis=1) - np.log(len(centers)) + alone
    with np.errstate(divide="ignore"):
        return np.log(KERNELS[kde.kernel](u).mean(axis=1)) + alone


def errors(density, Q):
    """The worst of `score_samples`, and of `log_density`."""
    near = Q[:N_COMPARED]
    steps = np.random.default_rng(0).normal(size=near.shape)
    steps *= np.linspace(0, FAR, len(near))[:, None]
    points = np.vstack([near, near + steps])
    truth = plain_sum(density, points)
    for found in (density.score_samples(points), log_density(density, points)):
        different = found != truth
        with np.errstate(invalid="ignore"):
            off = np.abs(found - truth) / np.maximum(1.0, np.abs(truth))
        yield np.nan_to_num(off[different], nan=np.inf).max(initial=0.0)


def measure(density, Q, repeats):
    """Points per second of scikit-learn, of one thread and of two."""
    part = Q[: len(Q) // SHARE]
    times = [
        [
            SHARE * seconds(density.score_samples, part),
            seconds(log_density, density, Q),
            seconds(partial(log_density, n_jobs=2), density, Q),
        ]
        for _ in range(repeats)
    ]
    return len(Q) / np.min(times, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few points and centres")
    quick = parser.parse_args().quick
    n_points, repeats = (N_POINTS // 4, 3) if quick else (N_POINTS, 7)
    columns = ("scikit-learn", "n_jobs=1", "n_jobs=2", "ratios", "", "errors", "")
    widths = (14, 12, 12, 8, 8, 9, 9)
    heads = "".join(f"{c:>{w}s}" for c, w in zip(columns, widths, strict=True))
    print(f"{'points per second':40s}{heads}")
    for name, density in densities(quick):
        # A mixture scores so few too fast to be timed.
        n = n_points * (4 if isinstance(density, GaussianMixture) else 1)
        Q = clusters(n, density.n_features_in_, seed=2)
        theirs, one, two = measure(density, Q, repeats)
        off, own = errors(density, Q)
        figures = f"{theirs:14,.0f}{one:12,.0f}{two:12,.0f}"
        figures += f"{one / theirs:8.1f}{two / theirs:8.1f}{off:9.0e}{own:9.0e}"
        print(f"{name:40s}{figures}", flush=True)
        assert own <= MOST_OFF, f"log_density is off by {own:.1e}"


if __name__ == "__main__":
    main()
