"""Nearest neighbours of many samples: time and memory beside Euclidean neighbours.

A swiss roll in 3 dimensions, noisy in all of them, and the 15 nearest of each sample.
GeodesicNeighborsTransformer with a mixture of 10 Gaussians, its fit included; the
neighbours of its graph are those by default. The peers find Euclidean neighbours:
scikit-learn's KNeighborsTransformer, and pynndescent's transformer, which is
approximate. Every figure comes from a process of its own, which has run the same on a
few points before, with one thread of BLAS. Memory is what the process takes at its
peak, and how much that is beyond what it took before, with all libraries loaded.

    pip install ".[bench]"
    python benchmarks/neighbors.py [--quick]

It fails where a figure is missed. With two threads 200,000 samples take at most 60
seconds, the fit of the mixture included, and at most 3 GiB, all that the process takes
included. Memory is linear: at the largest size it is at most 1.25 times as much a
sample as at the smallest. The default graph has ceil(log2(n)) neighbours, which alone
makes this 1.125 for four times as many samples.
"""

import argparse
import json
import sys
import warnings

from _measure import apart, measured, seconds_of
from sklearn.datasets import make_swiss_roll

N_NEIGHBORS = 15
N_WARM_UP = 500
SIZES, QUICK_SIZES = [50_000, 100_000, 200_000], [5_000, 10_000, 20_000]
MOST_SECONDS, MOST_GIB = 60, 3
MOST_GROWTH = 1.25
JUDGED = "geodesic, n_jobs=2"


def swiss_roll(n_samples):
    """Noise of 0.5 in every direction."""
    return make_swiss_roll(n_samples, noise=0.5, random_state=0)[0]


# What is measured: X -> the figures of its own beside time and memory


def geodesic(X, n_jobs):
    from sklearn.mixture import GaussianMixture

    from skgengeo import GeodesicNeighborsTransformer

    density = GaussianMixture(10, random_state=0)
    seconds = seconds_of(lambda: density.fit(X))
    transformer = GeodesicNeighborsTransformer(
        density, n_neighbors=N_NEIGHBORS, n_jobs=n_jobs
    )
    transformer.fit_transform(X)
    graph = transformer.graph_
    return {"mixture": seconds, "evaluations": graph.n_evaluations / graph.n_edges}


def euclidean(X, n_jobs):
    from sklearn.neighbors import KNeighborsTransformer

    KNeighborsTransformer(n_neighbors=N_NEIGHBORS, n_jobs=n_jobs).fit_transform(X)
    return {}


def approximate(X, n_jobs):
    from pynndescent import PyNNDescentTransformer

    PyNNDescentTransformer(
        n_neighbors=N_NEIGHBORS, random_state=0, n_jobs=n_jobs
    ).fit_transform(X)
    return {}


ROWS = {
    "geodesic": (geodesic, None),
    JUDGED: (geodesic, 2),
    "scikit-learn": (euclidean, None),
    "scikit-learn, n_jobs=2": (euclidean, 2),
    "pynndescent, n_jobs=2": (approximate, 2),
}


def measure(row, n_samples):
    """One run in this process: seconds and peak memory."""
    work, n_jobs = ROWS[row]
    work(swiss_roll(N_WARM_UP), n_jobs)
    X, more = swiss_roll(n_samples), {}
    return measured(lambda: more.update(work(X, n_jobs))) | more


def print_row(row, found):
    cells = f"{found['seconds']:9.1f}"
    cells += f"{found['mixture']:9.1f}" if "mixture" in found else " " * 9
    cells += f"{found['MiB']:9.0f}{found['beyond']:9.0f}"
    if "evaluations" in found:
        cells += f"{found['evaluations']:9.2f}"
    print(f"  {row:24s}{cells}", flush=True)


def missed(sizes, figures):
    """What falls short, in words."""
    found = []
    largest = figures[JUDGED, SIZES[-1]] if SIZES[-1] in sizes else None
    if largest and largest["seconds"] > MOST_SECONDS:
        found.append(f"{largest['seconds']:.1f} s for {SIZES[-1]:,} samples")
    if largest and largest["MiB"] > 1024 * MOST_GIB:
        found.append(f"{largest['MiB']:.0f} MiB for {SIZES[-1]:,} samples")
    few, many = (figures[JUDGED, n]["beyond"] / n for n in (sizes[0], sizes[-1]))
    print(f"Memory a sample, largest beside smallest size: {many / few:.2f} times")
    if many > MOST_GROWTH * few:
        found.append(f"memory a sample grows {many / few:.2f} times")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.measure:
        row, n_samples = options.measure
        print(json.dumps(measure(row, int(n_samples))))
        return
    sizes = QUICK_SIZES if options.quick else SIZES
    print("Seconds, those of the mixture's fit among them; peak MiB, and beyond the")
    print("libraries; density evaluations an edge of the graph.")
    columns = ["seconds", "mixture", "MiB", "beyond", "edge"]
    header = "".join(f"{name:>9s}" for name in columns)
    figures = {}
    for n_samples in sizes:
        print(f"{f'n = {n_samples:,}':26s}{header}")
        for row in ROWS:
            figures[row, n_samples] = apart(__file__, "--measure", row, n_samples)
            print_row(row, figures[row, n_samples])
    shortfalls = missed(sizes, figures)
    if shortfalls:
        sys.exit("\n".join(["Missed:", *shortfalls]))


if __name__ == "__main__":
    main()
