"""
Clusterers on toy sets
======================

Six clusterers, eight sets in the plane, and one setting of each clusterer for all of
them. The sets are not chosen to please one side: on some of them round clusters or
Gaussians are the right model, and the clusterers that assume them do as well or better,
in less time.

In the plane the eye can judge. Real data have more features, and what is seen here need
not hold there.
"""

# %%
# The sets
# --------
# Each is drawn once, and scaled to unit variance. Two sets have samples that belong to
# no cluster: noise, labelled -1 as in :class:`sklearn.cluster.HDBSCAN`.

import numpy as np
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.preprocessing import StandardScaler

N_SAMPLES = 600


def with_noise(X, y, n_noise, seed):
    """Uniform samples all over, labelled -1."""
    rng = np.random.default_rng(seed)
    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.1 * (high - low)
    noise = rng.uniform(low - margin, high + margin, size=(n_noise, 2))
    return np.vstack([X, noise]), np.r_[y, np.full(n_noise, -1)]


def make_spirals(seed):
    """Three arms that start at the centre."""
    rng = np.random.default_rng(seed)
    arm = np.arange(N_SAMPLES) % 3
    radius = np.sqrt(rng.uniform(0.05, 1, N_SAMPLES))
    angle = 1.5 * np.pi * radius + 2 * np.pi * arm / 3
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return X + rng.normal(scale=0.04, size=X.shape), arm


def make_ellipses(seed):
    """Three long Gaussians side by side, which touch."""
    rng = np.random.default_rng(seed)
    row = np.arange(N_SAMPLES) % 3
    along = rng.normal(scale=2.5, size=N_SAMPLES)
    across = rng.normal(scale=0.35, size=N_SAMPLES) + 1.8 * row
    return np.column_stack([along + across, across - along]), row


def make_dumbbell(seed):
    """Two disks, and a bridge between them of which each has half."""
    rng = np.random.default_rng(seed)
    n_bridge = N_SAMPLES // 15
    side = np.arange(N_SAMPLES) % 2
    radius = np.sqrt(rng.uniform(size=N_SAMPLES))
    angle = rng.uniform(0, 2 * np.pi, N_SAMPLES)
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    X[:, 0] += 4 * side - 2
    X[:n_bridge] = rng.uniform([-1, -0.15], [1, 0.15], size=(n_bridge, 2))
    side[:n_bridge] = X[:n_bridge, 0] > 0
    return X, side


def make_densities(seed):
    """A wide cluster between two dense ones."""
    return make_blobs(
        [N_SAMPLES // 3] * 3,
        centers=[[-4, -3], [0, 0], [4, 1.5]],
        cluster_std=[0.7, 1.6, 0.35],
        random_state=seed,
    )


SETS = {
    "round": make_blobs(
        N_SAMPLES, centers=[[-3, 0], [3, 0], [0, 4.5]], cluster_std=1.2, random_state=0
    ),
    "ellipses": make_ellipses(seed=0),
    "densities": make_densities(seed=0),
    "dumbbell": make_dumbbell(seed=0),
    "moons": make_moons(N_SAMPLES, noise=0.08, random_state=0),
    "spirals": make_spirals(seed=0),
    "rings, noise": with_noise(
        *make_circles(N_SAMPLES, noise=0.03, factor=0.5, random_state=0), 40, seed=0
    ),
    "blobs, noise": with_noise(
        *make_blobs(N_SAMPLES, centers=4, cluster_std=0.6, random_state=1), 100, seed=0
    ),
}
SETS = {name: (StandardScaler().fit_transform(X), y) for name, (X, y) in SETS.items()}

# %%
# The clusterers
# --------------
# All but HDBSCAN are told the number of clusters. Beyond that, each has its defaults,
# or one setting that suits sets of this size.

import warnings

from sklearn.cluster import (
    HDBSCAN,
    AgglomerativeClustering,
    KMeans,
    SpectralClustering,
)
from sklearn.mixture import GaussianMixture

from skgengeo import GeodesicSpectralClustering

# Clusters that are well apart have graphs of their own. Both spectral clusterers join
# them, and warn.
warnings.filterwarnings("ignore", "The graph has .* connected components")
warnings.filterwarnings("ignore", "Graph is not fully connected")


def clusterers(k):
    """What is compared, by the title of its column."""
    return {
        "KMeans": KMeans(k, n_init=10, random_state=0),
        "Agglomerative\nClustering": AgglomerativeClustering(k, linkage="ward"),
        "Gaussian\nMixture": GaussianMixture(k, n_init=5, random_state=0),
        "HDBSCAN": HDBSCAN(min_cluster_size=20, copy=True),
        "Spectral\nClustering": SpectralClustering(
            k, affinity="nearest_neighbors", random_state=0
        ),
        "GeodesicSpectral\nClustering": GeodesicSpectralClustering(k),
    }


# %%
# The scores
# ----------
# The adjusted Rand index (ARI) compares the clusters with the truth: 1 is perfect, 0 is
# chance. Samples of no true cluster do not count. Where HDBSCAN calls a sample noise
# that has a true cluster, that is counted as any wrong label is.

from time import perf_counter

from sklearn.metrics import adjusted_rand_score

GeodesicSpectralClustering(2).fit(SETS["moons"][0])  # compiles; not timed
results = {}
for name, (X, truth) in SETS.items():
    inside = truth >= 0
    for title, clusterer in clusterers(k=truth.max() + 1).items():
        start = perf_counter()
        labels = clusterer.fit_predict(X)
        seconds = perf_counter() - start
        score = adjusted_rand_score(truth[inside], labels[inside])
        results[name, title] = labels, score, seconds

# %%
# The picture
# -----------
# Each cluster has the colour of the true one with which it shares most samples; grey is
# noise. The ARI is at the left, bold where it is the best of the row, and the seconds
# are at the right.

import matplotlib.pyplot as plt
from scipy.optimize import linear_sum_assignment

NOISE = "#b5b5b5"
COLOURS = np.array(
    ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", NOISE]
)


def matched(labels, truth):
    """Labels renumbered after the true clusters; those left over come behind them."""
    found, true = np.unique(labels[labels >= 0]), np.unique(truth[truth >= 0])
    shared = [[np.sum((labels == i) & (truth == j)) for j in true] for i in found]
    rows, columns = linear_sum_assignment(shared, maximize=True)
    numbers = np.full(len(found), -1)
    numbers[rows] = columns
    left_over = numbers < 0
    numbers[left_over] = len(true) + np.arange(left_over.sum())
    return np.where(labels < 0, -1, numbers[np.searchsorted(found, labels)])


def draw(ax, X, labels):
    """Samples in the colours of their clusters, above a strip for the text."""
    numbers = np.where(labels < 0, -1, labels % (len(COLOURS) - 1))
    ax.scatter(*X.T, c=COLOURS[numbers], s=4, linewidths=0)
    low, high = X.min(axis=0), X.max(axis=0)
    middle, half = (low + high) / 2, 0.53 * (high - low).max()
    ax.set(xlim=(middle[0] - half, middle[0] + half), xticks=[], yticks=[])
    ax.set(ylim=(middle[1] - 1.25 * half, middle[1] + half), aspect="equal")


titles = list(clusterers(k=2))
figure, axes = plt.subplots(
    len(SETS), 1 + len(titles), figsize=(11, 14), layout="compressed"
)
for row, (name, (X, truth)) in zip(axes, SETS.items(), strict=True):
    draw(row[0], X, truth)
    row[0].set_ylabel(name, fontsize=11)
    best = max(round(results[name, title][1], 2) for title in titles)
    for ax, title in zip(row[1:], titles, strict=True):
        labels, score, seconds = results[name, title]
        draw(ax, X, matched(labels, truth))
        weight = "bold" if round(score, 2) == best else "normal"
        place = {"transform": ax.transAxes, "fontsize": 9}
        ax.text(0.03, 0.03, f"{score:z.2f}", weight=weight, **place)
        ax.text(0.97, 0.03, f"{seconds:.2f} s", ha="right", color="dimgrey", **place)
for ax, title in zip(axes[0], ["truth", *titles], strict=True):
    ax.set_title(title, fontsize=10)

# %%
# KMeans and Ward's rule, by which AgglomerativeClustering merges, look for round
# clusters, and a Gaussian mixture for ellipses: there they are hard to beat, and on
# curves they fail. The other three follow dense regions of any shape. HDBSCAN finds the
# number of clusters by itself, and noise, which no other does here; where clusters
# touch, it calls many of their samples noise.
#
# Over all sets, the mean and the lowest ARI. They say as much about the choice of sets
# as about the clusterers.

print(f"{'clusterer':28}{'mean':>8}{'lowest':>8}")
for title in titles:
    scores = [results[name, title][1] for name in SETS]
    print(f"{title.replace(chr(10), ''):28}{np.mean(scores):8.2f}{min(scores):z8.2f}")
