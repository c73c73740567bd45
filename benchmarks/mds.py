"""GeodesicMDS beside scikit-learn's Isomap, and with landmarks.

A swiss roll with noise of 0.5, 10 nearest neighbours, classical scaling to two
coordinates, one thread, a mixture of ten Gaussians. `fit` of GeodesicMDS, with the
mixture fitted already and not, beside `fit` of Isomap. Every figure comes from
processes of its own, which have run the same on a few points before: the median of
their times, and their peak memory.

    pip install ".[bench]"
    python benchmarks/mds.py [--quick] [--large]

With `--large`, 500 landmarks of 50,000 samples instead, or, with `--quick`, of 10,000.

It fails where a figure is missed: at n = 5,000 `fit` takes at most 0.4 times as long as
that of Isomap, and the embedding by 500 landmarks has a Procrustes disparity below 0.02
to that by all samples; at n = 50,000 that by 500 landmarks takes less than 4 GB.
"""

import argparse
import json
import sys
import warnings
from functools import partial

import numpy as np
from _measure import apart, measured, medians
from sklearn.datasets import make_swiss_roll

N_NEIGHBORS = 10
N_LANDMARKS = 500
N_WARM_UP = 600
SIZES = [2000, 5000]
LARGE = 50_000
MOST_OF_ISOMAP, MOST_DISPARITY, MOST_GB = 0.4, 0.02, 4.0
REPEATS = 3


def swiss_roll(n_samples):
    return make_swiss_roll(n_samples, noise=0.5, random_state=0)[0]


# What is measured: X -> an estimator


def isomap(X):
    from sklearn.manifold import Isomap

    return Isomap(n_neighbors=N_NEIGHBORS)


def mixture():
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(10, random_state=0)


def geodesic(density, n_landmarks=None):
    from skgengeo import GeodesicMDS

    return GeodesicMDS(
        density,
        n_graph_neighbors=N_NEIGHBORS,
        n_landmarks=n_landmarks,
        random_state=0,
    )


ROWS = {
    "Isomap": isomap,
    "fitted mixture": lambda X: geodesic(mixture().fit(X)),
    "unfitted mixture": lambda X: geodesic(mixture()),
    "landmarks": lambda X: geodesic(mixture(), N_LANDMARKS),
}


def measure(row, n_samples):
    """One run in this process: seconds, peak memory, and the stress of the result."""
    X = swiss_roll(N_WARM_UP)
    ROWS[row](X).fit(X)
    X = swiss_roll(n_samples)
    model = ROWS[row](X)
    figures = measured(lambda: model.fit(X))
    return figures | {"stress": getattr(model, "stress_", np.nan)}


def measured_apart(row, n_samples):
    return apart(__file__, "--measure", row, n_samples)


def beside_isomap(n_samples):
    """Print a table; what falls short at 5,000 samples, in words."""
    run = partial(measured_apart, n_samples=n_samples)
    figures = medians(run, ROWS, REPEATS)
    base = figures["Isomap"]
    header = f"{'seconds':>9s}{'x':>8s}{'MiB':>8s}{'x':>8s}{'stress':>8s}"
    print(f"n = {n_samples:<16,}{header}", flush=True)
    for row, found in figures.items():
        cells = f"{found['seconds']:9.2f}{found['seconds'] / base['seconds']:8.2f}"
        cells += f"{found['MiB']:8.0f}{found['MiB'] / base['MiB']:8.2f}"
        print(f"{row:20s}{cells}{found['stress']:8.3f}", flush=True)
    times = {row: figures[row]["seconds"] / base["seconds"] for row in figures}
    return [
        f"n = {n_samples:,}: {row} {times[row]:.2f} times Isomap"
        for row in ("fitted mixture", "unfitted mixture")
        if n_samples == max(SIZES) and times[row] > MOST_OF_ISOMAP
    ]


def landmarks_beside_all(n_samples):
    """Print the disparity; what falls short, in words."""
    from scipy.spatial import procrustes

    X = swiss_roll(n_samples)
    density = mixture().fit(X)
    full = geodesic(density).fit_transform(X)
    found = []
    for seed in range(REPEATS):
        few = geodesic(density, N_LANDMARKS).set_params(random_state=seed)
        _, _, disparity = procrustes(full, few.fit_transform(X))
        print(f"disparity of {N_LANDMARKS} landmarks, seed {seed}: {disparity:.5f}")
        if disparity >= MOST_DISPARITY:
            found.append(f"n = {n_samples:,}: disparity {disparity:.3f}")
    return found


def large(n_samples):
    """Print seconds and memory; what falls short, in words."""
    found = measured_apart("landmarks", n_samples)
    gigabytes = found["MiB"] * 2**20 / 1e9
    print(
        f"n = {n_samples:,}, {N_LANDMARKS} landmarks: {found['seconds']:.1f} s, "
        f"{gigabytes:.2f} GB, stress {found['stress']:.3f}"
    )
    return [f"{gigabytes:.2f} GB"] if gigabytes >= MOST_GB else []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smaller size alone")
    parser.add_argument("--large", action="store_true", help="50,000 samples")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.measure:
        row, n_samples = options.measure
        print(json.dumps(measure(row, int(n_samples))))
        return
    if options.large:
        shortfalls = large(10_000 if options.quick else LARGE)
    else:
        sizes = SIZES[:1] if options.quick else SIZES
        shortfalls = [text for n in sizes for text in beside_isomap(n)]
        shortfalls += landmarks_beside_all(sizes[-1])
    if shortfalls:
        sys.exit("\n".join(["Missed:", *shortfalls]))


if __name__ == "__main__":
    main()
