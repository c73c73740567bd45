"""Clusterers beside each other on batteries of labelled data sets, and their time.

The batteries are a folder in the layout of M. Gagolewski's "Benchmark Suite for
Clustering Algorithms", whose authors give it away (DOI 10.5281/zenodo.7088171):
FOLDER/battery/name.data.gz, with one or more reference labellings beside it,
name.labels0.gz, name.labels1.gz and so on.

    pip install "skgengeo[bench]"
    python benchmarks/clustering.py FOLDER [--batteries fcps graves uci]
    python benchmarks/clustering.py --time

The peers: spectral clustering, HDBSCAN, Ward's agglomerative clustering and a Gaussian
mixture of scikit-learn; PyPI's genieclust; and PyPI's fermat, k-medoids of exact sample
Fermat distances. Each clusterer has one setting for all sets: its defaults, but for
what stands in `CLUSTERERS`.

The table holds adjusted Rand indices, by the protocol of the suite (M. Gagolewski, "A
framework for benchmarking clustering algorithms", SoftwareX 20, 2022). Constant columns
are dropped, the others centred, and all divided by one standard deviation. A clusterer
is given the number of clusters of each reference and compared with the references of
that number; the best of these is its score. Samples that a reference labels 0 are noise
and are not scored, but they are clustered. HDBSCAN finds its own number of clusters;
what it takes for noise counts as one more cluster. A clusterer that raises scores 0.

Seconds are those of all fits, one for each number of clusters, on one thread. Fermat
distances grow with the cube of the number of samples: a minute at 4,000, a quarter of
an hour at 10,000. With `--time`, median seconds beside scikit-learn's spectral
clustering, whose runs take turns with ours.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from fermat import FermatKMeans
from genieclust import Genie
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, SpectralClustering
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from skgengeo import GeodesicSpectralClustering

N_WARM_UP = 200
REPEATS = 5
SIZES = (2000, 5000)


def spectral(n_clusters, affinity):
    """Of scikit-learn; 10 neighbours are its default."""
    return SpectralClustering(
        n_clusters, affinity=affinity, assign_labels="cluster_qr", random_state=0
    )


def nearest_neighbors(n_clusters):
    return spectral(n_clusters, "nearest_neighbors")


# Number of clusters -> clusterer
CLUSTERERS = {
    "skgengeo": lambda k: GeodesicSpectralClustering(n_clusters=k),
    "spectral": nearest_neighbors,
    "hdbscan": lambda k: HDBSCAN(),
    "ward": lambda k: AgglomerativeClustering(n_clusters=k),
    "mixture": lambda k: GaussianMixture(n_components=k, random_state=0),
    "genie": lambda k: Genie(n_clusters=k, gini_threshold=0.3),
    "fermat": lambda k: FermatKMeans(cluster_qty=k, seed=0),
}
TIMED = {
    "skgengeo": CLUSTERERS["skgengeo"],
    "spectral, rbf": lambda k: spectral(k, "rbf"),
    "spectral, neighbours": nearest_neighbors,
}


def warm_up(clusterers):
    """What is compiled or set up at the first fit is not timed."""
    X, _ = make_blobs(N_WARM_UP, centers=3, random_state=0)
    for make in clusterers.values():
        make(3).fit_predict(X)


# The batteries


def names_of_batteries(root):
    return sorted({path.parent.name for path in root.glob("*/*.labels0.gz")})


def names_of_sets(battery):
    suffix = ".labels0.gz"
    return sorted(p.name.removesuffix(suffix) for p in battery.glob(f"*{suffix}"))


def read_references(battery, name):
    paths = sorted(battery.glob(f"{name}.labels*.gz"))
    return [np.loadtxt(path, dtype=int) for path in paths]


def read_samples(battery, name):
    """Without constant columns, centred, and all columns divided by the same."""
    X = np.loadtxt(battery / f"{name}.data.gz", ndmin=2)
    X = X[:, X.var(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(ddof=1)


def adjusted_rand(reference, labels):
    """0 is noise."""
    scored = reference > 0
    return adjusted_rand_score(reference[scored], labels[scored])


def best_score(make, X, references):
    """Over the references, each compared with the clusters of its own number."""
    labels = {k: make(k).fit_predict(X) for k in {max(r) for r in references}}
    return max(adjusted_rand(r, labels[max(r)]) for r in references)


class Table:
    """Prints scores as they come, then their means, seconds and what went wrong."""

    def __init__(self):
        self.scores = {}
        self.seconds = dict.fromkeys(CLUSTERERS, 0.0)
        self.notes = []
        self.print_row("", CLUSTERERS)

    def print_row(self, label, cells):
        print(f"{label:32s}" + "".join(f"{cell:>9s}" for cell in cells), flush=True)

    def print_means(self, label, scores):
        means = np.mean(scores, axis=0)
        self.print_row(label, [f"{mean:.3f}" for mean in means])

    def add(self, battery, name, X, references):
        """Run every clusterer on a set."""
        scores, cells = [], []
        for clusterer in CLUSTERERS:
            score, error = self.run(clusterer, X, references)
            scores.append(score)
            cells.append("failed" if error else f"{score:.2f}")
            if error:
                self.notes.append(f"{clusterer} on {battery}/{name}: {error}")
        self.scores.setdefault(battery, []).append(scores)
        self.print_row(f"  {name} {X.shape}", cells)

    def run(self, clusterer, X, references):
        """Score, and what the clusterer raised."""
        start = time.perf_counter()
        try:
            return best_score(CLUSTERERS[clusterer], X, references), None
        except Exception as error:
            return 0.0, f"{type(error).__name__}: {error}"
        finally:
            self.seconds[clusterer] += time.perf_counter() - start

    def finish(self):
        print("Means")
        for battery, scores in self.scores.items():
            self.print_means(f"  {battery} ({len(scores)})", scores)
        everything = [row for scores in self.scores.values() for row in scores]
        if everything:
            self.print_means(f"  all ({len(everything)})", everything)
        seconds = [f"{seconds:.1f}" for seconds in self.seconds.values()]
        self.print_row("Seconds in total", seconds)
        for note in self.notes:
            print(note)


def score_table(root, batteries, max_samples):
    table = Table()
    for battery in batteries:
        print(battery)
        for name in names_of_sets(root / battery):
            references = read_references(root / battery, name)
            n = len(references[0])
            if n > max_samples:
                size = f"{n:,} samples, more than {max_samples:,}"
                table.notes.append(f"{battery}/{name} left out: {size}")
                continue
            table.add(battery, name, read_samples(root / battery, name), references)
    table.finish()


# Time


def timed_sets(n_samples):
    """Title, samples, number of clusters."""
    moons, _ = make_moons(n_samples, noise=0.08, random_state=0)
    blobs, _ = make_blobs(n_samples, n_features=10, centers=10, random_state=0)
    return [
        (f"moons, n = {n_samples:,}, d = 2", moons, 2),
        (f"10 blobs, n = {n_samples:,}, d = 10", blobs, 10),
    ]


def seconds_of(clusterer, X):
    start = time.perf_counter()
    clusterer.fit_predict(X)
    return time.perf_counter() - start


def median_seconds(X, n_clusters):
    """Of every clusterer, whose runs take turns."""
    runs = [
        [seconds_of(make(n_clusters), X) for make in TIMED.values()]
        for _ in range(REPEATS)
    ]
    return dict(zip(TIMED, np.median(runs, axis=0), strict=True))


def time_table():
    peers = list(TIMED)[1:]
    header = "".join(f"{'x ' + peer:>24s}" for peer in peers)
    for n_samples in SIZES:
        for title, X, n_clusters in timed_sets(n_samples):
            print(f"{title:32s}{'seconds':>9s}{header}")
            medians = median_seconds(X, n_clusters)
            for name, seconds in medians.items():
                ratios = [f"{seconds / medians[peer]:24.2f}" for peer in peers]
                print(f"  {name:30s}{seconds:9.2f}" + "".join(ratios), flush=True)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="of the batteries")
    parser.add_argument("--batteries", nargs="+", help="all of the folder if not given")
    parser.add_argument(
        "--max-samples", type=int, default=10_000, help="larger sets are left out"
    )
    parser.add_argument("--time", action="store_true", help="two sizes of toy sets")
    options = parser.parse_args()
    if options.folder is None:
        if not options.time:
            parser.error("give the folder of the batteries, or --time")
        return options
    found = names_of_batteries(options.folder)
    options.batteries = options.batteries or found
    unknown = set(options.batteries) - set(found)
    if unknown or not found:
        parser.error(f"no battery {sorted(unknown)}; {options.folder} has {found}")
    return options


def main():
    options = parsed()
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        if options.folder is not None:
            warm_up(CLUSTERERS)
            score_table(options.folder, options.batteries, options.max_samples)
        if options.time:
            warm_up(TIMED)
            time_table()


if __name__ == "__main__":
    main()
