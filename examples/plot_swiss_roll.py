"""
Unrolling a noisy swiss roll
============================

The swiss roll is a sheet rolled up in space, and to unroll it is the standard test of
an embedding. Without noise it is easy. With noise some samples lie between the layers,
a neighbour graph has edges across, and one such shortcut bends all shortest paths.

Geodesics of a density need no clean graph: between the layers the density is low, so an
edge across is dear, and shortest paths avoid it.
"""

# %%
# The roll
# --------
# The standard deviation of the noise is an eighth of the distance between layers. Where
# each sample would lie on the sheet, had it no noise, is known: the arc length of the
# spiral and the height. No embedding sees it; the scores do.

import numpy as np
from sklearn.datasets import make_swiss_roll

N_SAMPLES, NOISE, N_NEIGHBORS = 1500, 0.8, 8

X, t = make_swiss_roll(N_SAMPLES, noise=NOISE, random_state=0)
height = make_swiss_roll(N_SAMPLES, noise=0.0, random_state=0)[0][:, 1]  # same seed
arc = (t * np.sqrt(1 + t**2) + np.arcsinh(t)) / 2
sheet = np.column_stack([arc, height])

# %%
# Two ways to embed, by two distances
# -----------------------------------
# Isomap and :class:`skgengeo.GeodesicMDS` embed the lengths of shortest paths, UMAP and
# :class:`skgengeo.GeodesicUMAP` the nearest neighbours. Of each pair the first measures
# straight lines, and the second the density. All have 8 neighbours, and defaults in all
# else.

import warnings

from sklearn.manifold import Isomap
from umap import UMAP

from skgengeo import GeodesicMDS, GeodesicUMAP

warnings.filterwarnings("ignore", "n_jobs value 1 overridden", UserWarning)

embeddings = {
    "Isomap": Isomap(n_neighbors=N_NEIGHBORS),
    "UMAP": UMAP(n_neighbors=N_NEIGHBORS, random_state=0),
    "GeodesicMDS": GeodesicMDS(n_graph_neighbors=N_NEIGHBORS),
    "GeodesicUMAP": GeodesicUMAP(
        n_graph_neighbors=N_NEIGHBORS, n_neighbors=N_NEIGHBORS, random_state=0
    ),
}
for embedding in embeddings.values():
    embedding.fit(X)

# %%
# The picture
# -----------
# Colour is the position along the roll. It should change once from end to end, and no
# two colours from far apart should meet.

import matplotlib.pyplot as plt

from skgengeo.plotting import EmbeddingDisplay

ORDER = ["Isomap", "GeodesicMDS", "UMAP", "GeodesicUMAP"]  # down the columns

figure, axes = plt.subplots(2, 3, figsize=(10, 6.4), layout="constrained")
roll, truth, *others = axes.T.ravel()
options = {"cmap": "turbo", "legend": False}
side = EmbeddingDisplay(embedding=X[:, [0, 2]], y=arc).plot(roll, **options)
roll.set_title("the samples, from the side")
EmbeddingDisplay(embedding=sheet, y=arc).plot(truth, **options)
truth.set_title("unrolled, without noise")
for ax, name in zip(others, ORDER, strict=True):
    EmbeddingDisplay.from_estimator(embeddings[name], arc, ax=ax, **options)
    ax.set_title(name)
for ax in axes.ravel():
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
bar = figure.colorbar(side.scatter_, ax=axes, shrink=0.7)
bar.set_label("position along the roll")

# %%
# The scores
# ----------
# Trustworthiness falls where neighbours in the embedding are far apart on the sheet,
# continuity where neighbours on the sheet are torn apart. The correlation is that of
# ranks, over all pairs, between distances in the embedding and on the sheet.

from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.manifold import trustworthiness

on_sheet = pdist(sheet)

print(f"{'embedding':14}{'trustworthiness':>17}{'continuity':>12}{'correlation':>13}")
for name, embedding in embeddings.items():
    found = embedding.embedding_
    trusted = trustworthiness(sheet, found, n_neighbors=15)
    continuous = trustworthiness(found, sheet, n_neighbors=15)
    correlation = spearmanr(pdist(found), on_sheet).statistic
    print(f"{name:14}{trusted:17.3f}{continuous:12.3f}{correlation:13.2f}")

# %%
# GeodesicMDS has the colours in their order, at the price of a few samples from between
# the layers, which lie apart. UMAP draws neighbours near each other, and of large
# distances it promises nothing: by trustworthiness both kinds of it are ahead, and how
# their pieces lie to each other says little.
#
# The distances themselves
# ------------------------
# An embedding in the plane shows what it can of the distances. For whatever takes
# distances, from nearest neighbours to clusters, they count themselves. The default
# density is made to keep gaps open; a Gaussian mixture, which suits a smooth sheet,
# does nearly as well.

from sklearn.mixture import GaussianMixture

from skgengeo import GenerativeGeodesicDistance


def geodesic(density=None):
    """Distances at the same number of neighbours."""
    return GenerativeGeodesicDistance(density, n_graph_neighbors=N_NEIGHBORS)


distances = {
    "Euclidean": squareform(pdist(X)),
    "Isomap": embeddings["Isomap"].dist_matrix_,
    "geodesic": geodesic().fit_transform(X),
    "geodesic, Gaussian mixture": geodesic(
        GaussianMixture(40, random_state=0)
    ).fit_transform(X),
}
for name, found in distances.items():
    correlation = spearmanr(squareform(found, checks=False), on_sheet).statistic
    print(f"{name:28}{correlation:6.2f}")
