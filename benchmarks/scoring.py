"""Log densities: `log_density` of this package beside scikit-learn's `score_samples`.

Points per second for a kernel density and for a mixture of 10 components, at points of
the same law as the samples; one thread, the layout of the sum for each call included.
The two take turns: the ratio is the median of those of the pairs. Then the error of
both, relative to 1 or to log p, by a plain sum over all kernels in numpy: the worst of
some of these points, and of as many that are up to 20 standard deviations away.

    python benchmarks/scoring.py [--quick]

It fails where `log_density` is off by more than 1e-10.
"""

import os

# One thread each, before numpy is loaded.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import time

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skgengeo.density import log_density

DIMENSIONS = (2, 10)
N_CENTERS = (2000, 10_000)
BANDWIDTH = {2: 0.2, 10: 0.7}
N_COMPONENTS = 10
MOST_OFF = 1e-10
N_COMPARED, FAR = 200, 20.0


def clusters(n, d, seed):
    """Ten normal clusters, their centres three times as far apart as they are wide."""
    centers = 3 * np.random.default_rng(0).normal(size=(N_COMPONENTS, d))
    rng = np.random.default_rng(seed)
    return centers[rng.integers(N_COMPONENTS, size=n)] + rng.normal(size=(n, d))


def densities(quick):
    """Name and fitted density, one after the other."""
    for d in DIMENSIONS:
        for n in N_CENTERS[: 1 if quick else None]:
            X, h = clusters(n, d, seed=1), BANDWIDTH[d]
            kde = KernelDensity(bandwidth=h).fit(X)
            yield f"KernelDensity, {n:,} centres, d={d}", kde
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
        centers, h = np.asarray(density.tree_.data), density.bandwidth_
        exponents = -0.5 * cdist(Q, centers, "sqeuclidean") / h**2
        log_scale = np.log(len(centers)) + Q.shape[1] * np.log(h)
    else:
        roots = density.precisions_cholesky_
        whitened = np.einsum("nki,kij->nkj", Q[:, None] - density.means_, roots)
        exponents = -0.5 * (whitened**2).sum(axis=2) + np.log(density.weights_)
        exponents += np.linalg.slogdet(roots)[1]
        log_scale = 0.0
    log_scale += 0.5 * Q.shape[1] * np.log(2 * np.pi)
    return logsumexp(exponents, axis=1) - log_scale


def errors(density, Q):
    """The worst of `score_samples`, and of `log_density`."""
    near = Q[:N_COMPARED]
    steps = np.random.default_rng(0).normal(size=near.shape)
    steps *= np.linspace(0, FAR, len(near))[:, None]
    points = np.vstack([near, near + steps])
    truth = plain_sum(density, points)
    for found in (density.score_samples(points), log_density(density, points)):
        yield (np.abs(found - truth) / np.maximum(1.0, np.abs(truth))).max()


def measure(density, Q, repeats):
    """Points per second of both, and the ratio, in turns."""
    pairs = np.array(
        [
            [seconds(density.score_samples, Q), seconds(log_density, density, Q)]
            for _ in range(repeats)
        ]
    )
    return *(len(Q) / np.median(pairs, axis=0)), np.median(pairs[:, 0] / pairs[:, 1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few points and centres")
    quick = parser.parse_args().quick
    n_points, repeats = (1000, 3) if quick else (5000, 7)
    columns = ("scikit-learn", "log_density", "ratio", "its error", "our error")
    print(f"{'points per second':32s}" + "".join(f"{c:>14s}" for c in columns))
    for name, density in densities(quick):
        # A mixture scores so few too fast to be timed.
        n = n_points * (20 if isinstance(density, GaussianMixture) else 1)
        Q = clusters(n, density.n_features_in_, seed=2)
        theirs, ours, ratio = measure(density, Q, repeats)
        off, own = errors(density, Q)
        figures = f"{theirs:14,.0f}{ours:14,.0f}{ratio:14.1f}{off:14.0e}{own:14.0e}"
        print(f"{name:32s}{figures}", flush=True)
        assert own <= MOST_OFF, f"log_density is off by {own:.1e}"


if __name__ == "__main__":
    main()
