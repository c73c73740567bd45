"""How well settings of GeodesicSpectralClustering are chosen without labels.

A grid of λ and of graphs, on batteries of labelled sets (`_batteries.py`, beside this
file) and on sets of scikit-learn: the adjusted Rand index of the setting whose `score`
without labels is the highest, beside the mean and the best of the grid, the defaults,
and what two silhouettes would choose, of geodesic distances and of straight ones. The
truth is the first reference of each set, which gives the number of clusters.

    python benchmarks/selection.py FOLDER [--batteries ...] [--max-samples 1500]

Larger sets of the batteries are left out; those of scikit-learn are small.
"""

import argparse
import tempfile
import warnings
from math import ceil, log2
from pathlib import Path

import numpy as np
from _batteries import add_batteries, adjusted_rand, check_batteries, labelled_sets
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.model_selection import ParameterGrid
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from skgengeo import GeodesicSpectralClustering

LAMS, DEFAULT_LAM = (np.inf, 1.0, 0.2, 0.05, 0.01), 0.05
# Times the default.
TIMES_NEIGHBORS = (0.6, 1.0, 2.0)
INDICES = ("score", "geodesic", "straight")
COLUMNS = ("mean", "best", "default", *INDICES)


def sets_of_sklearn():
    """Name, samples and labels, from 1."""
    reduced = PCA(10, random_state=0).fit_transform
    for name, load, prepared in [
        ("iris", load_iris, np.asarray),
        ("wine, standardised", load_wine, scale),
        ("breast cancer, standardised", load_breast_cancer, scale),
        ("digits, 10 components", load_digits, reduced),
    ]:
        X, y = load(return_X_y=True)
        yield name, prepared(X), y + 1


def all_sets(options):
    for battery, name, X, references in labelled_sets(
        options.folder, options.batteries, options.max_samples
    ):
        yield f"{battery}/{name}", X, references[0]
    yield from sets_of_sklearn()


def silhouette(distances, labels):
    """The lowest where all samples are in one cluster."""
    if len(np.unique(labels)) < 2:
        return -1.0
    return silhouette_score(distances, labels, metric="precomputed")


def measured(clustering, X, straight, truth):
    """Adjusted Rand index of a setting, and what is known of it without labels."""
    labels = clustering.fit_predict(X)
    indices = {
        "score": clustering.score(X),
        "geodesic": silhouette(clustering.graph_.distances(), labels),
        "straight": silhouette(straight, labels),
    }
    return adjusted_rand(truth, labels), indices


def choose(X, truth):
    """Adjusted Rand index by column."""
    straight, k = squareform(pdist(X)), ceil(log2(len(X)))
    neighbors = [round(times * k) for times in TIMES_NEIGHBORS]
    grid = list(ParameterGrid({"lam": LAMS, "n_graph_neighbors": neighbors}))
    clustering = GeodesicSpectralClustering(max(truth), random_state=0)
    with tempfile.TemporaryDirectory() as memory:
        clustering.set_params(memory=memory)
        found = [
            measured(clustering.set_params(**setting), X, straight, truth)
            for setting in grid
        ]
    scores = np.array([score for score, _ in found])
    default = scores[grid.index({"lam": DEFAULT_LAM, "n_graph_neighbors": k})]
    chosen = [scores[np.argmax([row[name] for _, row in found])] for name in INDICES]
    return [scores.mean(), scores.max(), default, *chosen]


def print_row(title, cells):
    print(f"{title:42s}" + "".join(f"{cell:>9s}" for cell in cells), flush=True)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the batteries")
    add_batteries(parser)
    options = parser.parse_args()
    check_batteries(parser, options)
    return options


def main():
    options = parsed()
    warnings.simplefilter("ignore")
    print_row("", COLUMNS)
    rows = []
    with threadpool_limits(1):
        for name, X, truth in all_sets(options):
            rows.append(choose(X, truth))
            print_row(f"{name} {X.shape}", [f"{cell:.2f}" for cell in rows[-1]])
    means = [f"{mean:.3f}" for mean in np.mean(rows, axis=0)]
    print_row(f"Mean of {len(rows)}", means)


if __name__ == "__main__":
    main()
