"""What normalizing flows are worth beside other densities.

A quarter of the samples is held out. One table a set: mean and median of their log
density, and seconds of fitting, for both flows, with several amounts of noise in
training; for the kernel density and the mixture of the best of some bandwidths and
sizes, chosen by the same samples; and for smooth Parzen windows. Then, on moons, how
many of 12 geodesics under each flow converge.

    python benchmarks/flows.py [--quick]
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits, make_moons, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from skgengeo import GeodesicInterpolator
from skgengeo.density import FlowDensity, ManifoldParzenWindows

FLOWS = ("neural-spline", "masked-autoregressive")
NOISES = (0.0, 0.05, 0.2)
BANDWIDTHS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
SIZES = (1, 3, 10, 20, 40)


def data_sets():
    digits = load_digits().data
    return {
        "moons": make_moons(1500, noise=0.08, random_state=0)[0],
        "swiss roll": make_swiss_roll(1500, noise=0.5, random_state=0)[0],
        "digits, 10 PCs": PCA(10, random_state=0).fit_transform(digits),
        "digits": digits,
    }


def densities(quick):
    """Name -> candidates, of which the best is shown."""
    passes = {"max_iter": 10} if quick else {}
    flows = {
        f"{flow}, noise={noise}": [
            FlowDensity(flow, noise=noise, random_state=0, **passes)
        ]
        for flow in FLOWS
        for noise in NOISES
    }
    smooth = ManifoldParzenWindows(covariance_scale=1.0, outlier_exponent=0.0)
    mixtures = [GaussianMixture(m, reg_covar=1e-3, random_state=0) for m in SIZES]
    return flows | {
        "KernelDensity": [KernelDensity(bandwidth=h) for h in BANDWIDTHS],
        "GaussianMixture": mixtures,
        "Parzen windows, smooth": [smooth],
    }


def held_out(density, X_train, X_test):
    """Mean and median log density in the units of X, and seconds of the fit."""
    scaler = StandardScaler().fit(X_train)
    start = time.perf_counter()
    density.fit(scaler.transform(X_train))
    seconds = time.perf_counter() - start
    values = density.score_samples(scaler.transform(X_test))
    values -= np.log(scaler.scale_).sum()
    return values.mean(), np.median(values), seconds


def table(name, X, quick):
    X_train, X_test = train_test_split(X, test_size=0.25, random_state=0)
    varies = X_train.std(axis=0) > 0
    X_train, X_test = X_train[:, varies], X_test[:, varies]
    print(f"\n{name}: {len(X_train)} x {X_train.shape[1]}")
    print(f"{'':36}{'mean':>10}{'median':>10}{'seconds':>9}")
    for label, candidates in densities(quick).items():
        best = max(held_out(density, X_train, X_test) for density in candidates)
        print(f"{label:36}{best[0]:10.2f}{best[1]:10.2f}{best[2]:9.1f}")


def converged(flow, quick):
    X = make_moons(600, noise=0.08, random_state=0)[0]
    passes = {"max_iter": 10} if quick else {}
    density = FlowDensity(flow, random_state=0, **passes).fit(X)
    ends = np.random.default_rng(0).integers(0, len(X), (2, 12))
    path = GeodesicInterpolator(density).fit(X).path(X[ends[0]], X[ends[1]])
    return path.converged.sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few passes, two sets")
    quick = parser.parse_args().quick
    # What has not converged is the result here.
    warnings.simplefilter("ignore")
    for name, X in list(data_sets().items())[: 2 if quick else None]:
        table(name, X, quick)
    for flow in FLOWS:
        print(f"\n{flow}: {converged(flow, quick)} of 12 geodesics converge")


if __name__ == "__main__":
    main()
