"""
Affinities that follow the data
===============================

Spectral clustering, kernel methods and label propagation start from affinities: how
much is one sample like another? The usual answer is a Gaussian of the Euclidean
distance, which looks straight across empty space.
:class:`skgengeo.GeodesicAffinity` takes the distance along the data instead.

Here both are seen from one sample on five toy sets, in the manner of Figure 5 of
"(Deep) Generative Geodesics" (`arXiv:2407.11244 <https://arxiv.org/abs/2407.11244>`_).
"""

# %%
# The sets
# --------
# Clusters that are curved, stretched, or of unlike density; each set is scaled to unit
# variance. The anchor, from which we look, is the sample nearest to a point where
# another cluster is not far.

import numpy as np
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.preprocessing import StandardScaler

N_SAMPLES = 500


def make_spirals(noise, random_state):
    """Two arms of a spiral."""
    rng = np.random.default_rng(random_state)
    arm = np.arange(N_SAMPLES) % 2
    radius = np.sqrt(rng.uniform(0.05, 1, N_SAMPLES))
    angle = 3 * np.pi * radius + np.pi * arm
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return X + rng.normal(scale=noise, size=X.shape), arm


def make_ellipses(random_state):
    """Three long clusters side by side."""
    rng = np.random.default_rng(random_state)
    row = np.arange(N_SAMPLES) % 3
    along = rng.normal(scale=2.5, size=N_SAMPLES)
    across = rng.normal(scale=0.35, size=N_SAMPLES) + 2.5 * row
    return np.column_stack([along + across, across - along]), row


def make_densities(random_state):
    """A wide cluster between two dense ones."""
    return make_blobs(
        N_SAMPLES,
        centers=[[-4, -3], [0, 0], [4, 1.5]],
        cluster_std=[0.7, 1.6, 0.35],
        random_state=random_state,
    )


# name: (samples, clusters), near the anchor
SETS = {
    "moons": (make_moons(N_SAMPLES, noise=0.07, random_state=0), [0.6, -0.2]),
    "circles": (
        make_circles(N_SAMPLES, noise=0.06, factor=0.5, random_state=0),
        [0.9, 0.0],
    ),
    "spirals": (make_spirals(noise=0.04, random_state=0), [0.0, 0.9]),
    "ellipses": (make_ellipses(random_state=0), [0.0, 0.0]),
    "densities": (make_densities(random_state=0), [0.7, 0.5]),
}

# %%
# Two affinities on one scale
# ---------------------------
# Both affinities are :math:`e^{-d^2 / (s_i s_j)}`, with d the Euclidean or the geodesic
# distance. The scale :math:`s_i` of a sample is its distance d to the 100th nearest
# other one, a fifth of all. The rule is the same, so the two differ in nothing but the
# distance. Density and graph are the defaults, and no set has a setting of its own.

import warnings

from sklearn.metrics import pairwise_distances

from skgengeo import GeodesicAffinity
from skgengeo.density import log_density
from skgengeo.plotting import AffinityDisplay

N_SCALE_NEIGHBORS = 100
# Clusters that are well apart have graphs of their own. They are joined by the shortest
# edges between them, with a warning.
warnings.filterwarnings("ignore", "The graph has .* connected components")


def euclidean_affinity(X, anchor):
    """Affinity of all samples to one, by Euclidean distances."""
    distances = pairwise_distances(X)
    scales = np.sort(distances)[:, N_SCALE_NEIGHBORS]
    return np.exp(-(distances[anchor] ** 2) / (scales[anchor] * scales))


# %%
# The picture
# -----------
# Affinities are drawn by :class:`skgengeo.plotting.AffinityDisplay`: of a fitted
# estimator, or of arrays. The anchor is the red cross. The colours of the first column
# show which samples were drawn together; no affinity has seen them.

import matplotlib.pyplot as plt
from matplotlib.colors import ListedColormap

CLUSTERS = ListedColormap(["#0072b2", "#e69f00", "#009e73"])
COLUMNS = ["samples", "log density", "Euclidean affinity", "geodesic affinity"]


def square_around(X):
    """Limits of both axes, equally long."""
    low, high = X.min(axis=0), X.max(axis=0)
    middle, half = (low + high) / 2, 0.54 * (high - low).max()
    return np.column_stack([middle - half, middle + half])


def draw_log_density(ax, density, limits):
    """Contours from the highest log density to 10 below it."""
    xx, yy = np.meshgrid(*(np.linspace(*limit, 120) for limit in limits))
    values = log_density(density, np.column_stack([xx.ravel(), yy.ravel()]))
    levels = values.max() + np.linspace(-10, 0, 11)
    values = values.reshape(xx.shape)
    ax.contourf(xx, yy, values, levels=levels, cmap="Blues", extend="min")


figure, axes = plt.subplots(
    len(SETS), len(COLUMNS), figsize=(10, 12.4), layout="compressed"
)
share = {}
for row, (name, ((X, y), near)) in zip(axes, SETS.items(), strict=True):
    X = StandardScaler().fit_transform(X)
    anchor = np.linalg.norm(X - near, axis=1).argmin()
    affinity = GeodesicAffinity(n_scale_neighbors=N_SCALE_NEIGHBORS).fit(X)
    limits = square_around(X)

    row[0].scatter(*X.T, c=y, s=6, cmap=CLUSTERS, vmax=2)
    row[0].set_ylabel(name, fontsize=12)
    draw_log_density(row[1], affinity.density_, limits)
    options = {"s": 8, "colorbar": False, "anchor_kw": {"s": 110}}
    euclidean = AffinityDisplay(
        X=X, affinity=euclidean_affinity(X, anchor), anchor=X[anchor]
    )
    euclidean.plot(row[2], **options)
    geodesic = AffinityDisplay.from_estimator(affinity, X, anchor, ax=row[3], **options)
    for ax in row:
        ax.set(xlim=limits[0], ylim=limits[1], xticks=[], yticks=[], aspect="equal")

    own = y == y[anchor]
    share[name] = [
        display.affinity[own].sum() / display.affinity.sum()
        for display in (euclidean, geodesic)
    ]
for ax, title in zip(axes[0], COLUMNS, strict=True):
    ax.set_title(title)
bar = figure.colorbar(
    geodesic.scatter_,
    ax=axes[:, 2:],
    location="bottom",
    shrink=0.6,
    aspect=30,
    pad=0.01,
)
bar.set_label("affinity to the red cross")

# %%
# Euclidean affinity reaches across a gap into whatever is near. Geodesic affinity runs
# along the cluster of the anchor and ends at the gap. Where clusters touch, it runs on:
# nothing in the samples says where to stop.
#
# How much of all affinity to the anchor goes to samples of its own cluster:

print(f"{'set':12}{'Euclidean':>12}{'geodesic':>12}")
for name, shares in share.items():
    print(f"{name:12}" + "".join(f"{each:12.2f}" for each in shares))
