"""Distances of all pairs: time and memory beside Isomap and the Fermat distance.

A swiss roll in 3 dimensions, and in 10, where it is rotated and noisy in all of them;
10 nearest neighbours, one thread. The peers: scikit-learn's Isomap, as it is fitted and
up to its distances alone (without the embedding), and PyPI's fermat. `fit_transform` of
GenerativeGeodesicDistance, with a mixture that is fitted already, one that is not, and
the default density. Every figure comes from processes of its own, which have run the
same on a few points before: the median of their times, and their peak memory.

    pip install "skgengeo[bench]"
    python benchmarks/distances.py [--quick]

It fails where a figure is missed: with a fitted mixture, `fit_transform` is faster than
Isomap up to its distances; the default density, its fit included, takes at most twice
the time of all the rest.
"""

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import time
import warnings

import numpy as np
from sklearn.datasets import make_swiss_roll

N_NEIGHBORS = 10
N_WARM_UP = 200
# Number of samples and of features.
SIZES = [(2000, 3), (5000, 3), (2000, 10), (5000, 10)]
MOST_OF_DENSITY = 2.0
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
REPEATS = 3


def swiss_roll(n_samples, n_features):
    """Noise of 0.5 in every direction."""
    X, _ = make_swiss_roll(n_samples, random_state=0)
    rng = np.random.default_rng(0)
    directions, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    return X @ directions[:3] + 0.5 * rng.normal(size=(n_samples, n_features))


# What is measured: X -> a function that does the work


def isomap(X):
    from sklearn.manifold import Isomap

    return lambda: Isomap(n_neighbors=N_NEIGHBORS).fit(X)


def isomap_distances(X):
    """The lines of Isomap.fit that make its dist_matrix_."""
    from scipy.sparse.csgraph import shortest_path
    from sklearn.neighbors import kneighbors_graph

    def distances():
        graph = kneighbors_graph(X, N_NEIGHBORS, mode="distance")
        return shortest_path(graph, directed=False)

    return distances


def fermat(X):
    """It takes Euclidean distances, and counts a sample among its own neighbours."""
    from fermat import Fermat
    from sklearn.metrics import euclidean_distances

    model = Fermat(alpha=2, path_method="D", k=N_NEIGHBORS + 1)
    return lambda: model.fit(euclidean_distances(X)).get_distances()


def geodesic(density, X):
    from skgengeo import GenerativeGeodesicDistance

    model = GenerativeGeodesicDistance(density, n_graph_neighbors=N_NEIGHBORS)

    def fit_transform():
        model.fit_transform(X)
        graph = model.graph_
        return {"evaluations": graph.n_evaluations / graph.n_edges}

    return fit_transform


def mixture():
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(10, random_state=0)


ROWS = {
    "Isomap, distances": isomap_distances,
    "Isomap.fit": isomap,
    "fermat": fermat,
    "fitted mixture": lambda X: geodesic(mixture().fit(X), X),
    "unfitted mixture": lambda X: geodesic(mixture(), X),
    "default density": lambda X: geodesic(None, X),
}


class Stopwatch:
    """Adds up the time spent in methods of classes."""

    def __init__(self):
        self.seconds = 0.0

    def watch(self, cls, name):
        method = getattr(cls, name)

        @functools.wraps(method)
        def timed(*args, **kwargs):
            start = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        setattr(cls, name, timed)


def measure(row, n_samples, n_features):
    """One run in this process: seconds, those of the density, and peak memory."""
    density = Stopwatch()
    if "density" in row or "mixture" in row:
        from sklearn.mixture import GaussianMixture

        from skgengeo.density import ManifoldParzenWindows

        for cls in (GaussianMixture, ManifoldParzenWindows):
            density.watch(cls, "fit")
            density.watch(cls, "score_samples")
    ROWS[row](swiss_roll(N_WARM_UP, n_features))()
    work = ROWS[row](swiss_roll(n_samples, n_features))
    density.seconds = 0.0
    start = time.perf_counter()
    more = work()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"seconds": seconds, "density": density.seconds, "MiB": peak}
    return figures | (more if isinstance(more, dict) else {})


def measured_apart(row, n_samples, n_features):
    command = [sys.executable, __file__, "--measure", row, str(n_samples)]
    answer = subprocess.run(
        [*command, str(n_features)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | dict.fromkeys(ONE_THREAD, "1"),
    )
    return json.loads(answer.stdout.splitlines()[-1])


def medians(n_samples, n_features):
    """Median figures of every row, whose runs take turns."""
    runs = [
        {row: measured_apart(row, n_samples, n_features) for row in ROWS}
        for _ in range(REPEATS)
    ]
    return {
        row: {
            name: float(np.median([run[row][name] for run in runs]))
            for name in runs[0][row]
        }
        for row in ROWS
    }


def print_table(figures):
    base = figures["Isomap, distances"]
    for row, found in figures.items():
        seconds, peak = found["seconds"], found["MiB"]
        cells = f"{seconds:9.2f}{seconds / base['seconds']:8.2f}"
        cells += f"{peak:8.0f}{peak / base['MiB']:8.2f}"
        if "evaluations" in found:
            rest = seconds - found["density"]
            cells += f"{found['density']:9.2f}{found['density'] / rest:8.2f}"
            cells += f"{found['evaluations']:8.2f}"
        print(f"  {row:20s}{cells}")


def missed(figures):
    """What falls short, in words."""
    found = []
    isomap_seconds = figures["Isomap, distances"]["seconds"]
    seconds = figures["fitted mixture"]["seconds"]
    if seconds >= isomap_seconds:
        found.append(f"fitted mixture {seconds:.2f} s, Isomap {isomap_seconds:.2f} s")
    default = figures["default density"]
    times = default["density"] / (default["seconds"] - default["density"])
    if times > MOST_OF_DENSITY:
        found.append(f"default density {times:.2f} times the rest")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2,000 points, d = 3")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.measure:
        row, *sizes = options.measure
        print(json.dumps(measure(row, *map(int, sizes))))
        return
    print("x: times 'Isomap, distances'. Density: its seconds, and times the rest.")
    header = f"{'seconds':>9s}{'x':>8s}{'MiB':>8s}{'x':>8s}"
    header += f"{'density':>9s}{'x rest':>8s}{'an edge':>8s}"
    shortfalls = []
    for n_samples, n_features in SIZES[:1] if options.quick else SIZES:
        figures = medians(n_samples, n_features)
        where = f"n = {n_samples:,}, d = {n_features}"
        print(f"{where:22s}{header}")
        print_table(figures)
        shortfalls += [f"{where}: {text}" for text in missed(figures)]
    if shortfalls:
        sys.exit("\n".join(["Missed:", *shortfalls]))


if __name__ == "__main__":
    main()
