"""What densities bring to the distances between handwritten digits.

For several densities, of the 64 pixels or of 20 principal components, and several
numbers of neighbours in the graph: the accuracy of the nearest of three labelled
samples a class, mean over 20 draws of these, beside distances of Euclid and of Isomap;
density evaluations an edge; and the adjusted Rand index of spectral clustering into
ten, beside that of scikit-learn. Seconds are those of fitting the density.

    python benchmarks/digits.py [--slow]
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import Isomap
from sklearn.metrics import adjusted_rand_score, euclidean_distances
from sklearn.mixture import GaussianMixture

from skgengeo import GenerativeGeodesicDistance, GeodesicSpectralClustering
from skgengeo.density import FlowDensity, ManifoldParzenWindows, TemperedDensity

N_DRAWS, N_LABELLED = 20, 3
NEIGHBORS = (4, 5, 6, 8, 10)

pixels, y = load_digits(return_X_y=True)
components = PCA(20, random_state=0).fit_transform(pixels)


def densities(slow):
    """Name -> density and features."""
    spline = FlowDensity(random_state=0)
    autoregressive = FlowDensity("masked-autoregressive", random_state=0)
    mixture = GaussianMixture(20, reg_covar=0.1, random_state=0)
    quick = {
        "default, 20 PCs": (ManifoldParzenWindows(), components),
        "mixture of 20, 20 PCs": (mixture, components),
        "autoregressive flow, 20 PCs": (autoregressive, components),
        "spline flow, 20 PCs": (spline, components),
        "autoregressive flow, pixels": (autoregressive, pixels),
    }
    others = {
        "default, pixels": (ManifoldParzenWindows(), pixels),
        "spline flow, pixels": (spline, pixels),
    }
    return quick | (others if slow else {})


def draws():
    """Indices of the labelled samples, and of the others."""
    for seed in range(N_DRAWS):
        rng = np.random.default_rng(seed)
        labelled = np.concatenate(
            [
                rng.choice(np.flatnonzero(y == digit), N_LABELLED, replace=False)
                for digit in range(10)
            ]
        )
        yield labelled, np.setdiff1d(np.arange(len(y)), labelled)


def accuracy(distances):
    """Mean accuracy of the nearest labelled sample."""
    return np.mean(
        [
            np.mean(y[labelled[distances[rest][:, labelled].argmin(axis=1)]] == y[rest])
            for labelled, rest in draws()
        ]
    )


def show(name, values):
    print(f"{name:36}" + "".join(f"{value:>9}" for value in values), flush=True)


def row(density, X, **parameters):
    """Accuracy for each number of neighbours; evaluations an edge at the last."""
    accuracies = []
    for k in NEIGHBORS:
        geodesic = GenerativeGeodesicDistance(
            density, n_graph_neighbors=k, **parameters
        )
        accuracies.append(f"{accuracy(geodesic.fit_transform(X)):.3f}")
    return [
        *accuracies,
        f"{geodesic.graph_.n_evaluations / geodesic.graph_.n_edges:.1f}",
    ]


def rand_index(clustering, X):
    return f"{adjusted_rand_score(y, clustering.fit_predict(X)):.3f}"


def baselines():
    for name, X in {"pixels": pixels, "20 PCs": components}.items():
        show(f"Euclid, {name}", [f"{accuracy(euclidean_distances(X)):.3f}"])
        isomaps = [Isomap(n_neighbors=k).fit(X).dist_matrix_ for k in NEIGHBORS]
        show(f"Isomap, {name}", [f"{accuracy(D):.3f}" for D in isomaps])
        show(f"KMeans, {name}", [rand_index(KMeans(10, n_init=10, random_state=0), X)])
        spectral = SpectralClustering(
            10, affinity="nearest_neighbors", n_neighbors=10, random_state=0
        )
        show(f"SpectralClustering, {name}", [rand_index(spectral, X)])


def table(name, density, X):
    start = time.perf_counter()
    density.fit(X)
    print(f"\n{name}: {time.perf_counter() - start:.0f} s")
    auto = TemperedDensity(density).fit(X)
    for tempered in (auto, TemperedDensity(density, temperature=X.shape[1]).fit(X)):
        show(f"T = {tempered.temperature_:.1f}", row(tempered, X))
    show("Fermat: lam=0, exponent=1/d", row(density, X, lam=0, exponent=1 / X.shape[1]))
    clustering = GeodesicSpectralClustering(10, density=auto, random_state=0)
    show("clusters, adjusted Rand index", [rand_index(clustering, X)])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--slow", action="store_true", help="all densities of pixels, too"
    )
    slow = parser.parse_args().slow
    # Pieces that are joined are the case where neighbours are few.
    warnings.simplefilter("ignore")
    show("n_graph_neighbors", [*NEIGHBORS, "ev/edge"])
    baselines()
    for name, (density, X) in densities(slow).items():
        table(name, density, X)


if __name__ == "__main__":
    main()
