"""
Maps of single cells
====================

Maps of single cells are drawn from their principal components, by UMAP as a rule. Here
700 cells of blood, of :func:`!scanpy.datasets.pbmc68k_reduced`, are drawn by scanpy's
UMAP and by the two geodesic embeddings, under the default density and under a
normalizing flow. The flow needs PyTorch: ``pip install "skgengeo[deep]"``.
"""

# %%
# The cells
# ---------
# They come with the package `scanpy`, with their principal components, of which the
# first 20 are taken, and with labels: the kind of cell each resembles most. The labels
# come from expression too, not from another measurement, and some kinds are close.

import warnings

import numpy as np
import scanpy

cells = scanpy.datasets.pbmc68k_reduced()
X = cells.obsm["X_pca"][:, :20].astype(np.float64)
kinds = cells.obs["bulk_labels"].rename("kind of cell")
print(f"{len(X)} cells, {kinds.nunique()} kinds")

# %%
# The maps
# --------
# Embeddings of ours take the components as any estimator does. Kept in `obsm`, all of
# scanpy can draw them and use them. Both UMAPs have 15 neighbours, the default of both.
# GeodesicMDS has a larger λ than its default, with which cells that have few like them
# are so far from all others that these are crowded: λ = 1 lets the density count less.
# The flow is trained once, and passed to both with the temperature that it takes in 20
# components.

from skgengeo import GeodesicMDS, GeodesicUMAP
from skgengeo.density import FlowDensity, TemperedDensity

warnings.filterwarnings("ignore", "n_jobs value 1 overridden", UserWarning)

scanpy.pp.neighbors(cells, n_neighbors=15, n_pcs=20, random_state=0)
scanpy.tl.umap(cells, random_state=0)
flow = TemperedDensity(FlowDensity("masked-autoregressive", random_state=0)).fit(X)
for name, density in {"": None, "_flow": flow}.items():
    mds = GeodesicMDS(density=density, lam=1)
    umap = GeodesicUMAP(density=density, random_state=0)
    cells.obsm[f"X_geodesic_mds{name}"] = mds.fit_transform(X)
    cells.obsm[f"X_geodesic_umap{name}"] = umap.fit_transform(X)

maps = {
    "two principal components": X[:, :2],
    "GeodesicMDS": cells.obsm["X_geodesic_mds"],
    "GeodesicMDS, flow": cells.obsm["X_geodesic_mds_flow"],
    "UMAP of scanpy": cells.obsm["X_umap"],
    "GeodesicUMAP": cells.obsm["X_geodesic_umap"],
    "GeodesicUMAP, flow": cells.obsm["X_geodesic_umap_flow"],
}

# %%
# The picture
# -----------

import matplotlib.pyplot as plt

from skgengeo.plotting import EmbeddingDisplay

figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
for ax, (name, places) in zip(axes.ravel(), maps.items(), strict=True):
    EmbeddingDisplay(embedding=places, y=kinds).plot(ax, legend=ax is axes[0, 2], s=10)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(title=name, xticks=[], yticks=[], xlabel="", ylabel="")

# %%
# The scores
# ----------
# Trustworthiness and continuity compare neighbours on the map with neighbours by the 20
# components; the correlation is that of ranks, over all pairs, between distances on the
# map and by the components. The last column is the share of cells whose nearest cell on
# the map is of the same kind.

from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

by_components = pdist(X)
titles = ["trustworthiness", "continuity", "correlation", "same kind"]
print(f"{'map':26}" + "".join(f"{title:>17}" for title in titles))
for name, places in maps.items():
    nearest = NearestNeighbors(n_neighbors=1).fit(places)
    nearest = nearest.kneighbors(return_distance=False)[:, 0]
    scores = [
        trustworthiness(X, places, n_neighbors=15),
        trustworthiness(places, X, n_neighbors=15),
        spearmanr(pdist(places), by_components).statistic,
        np.mean(kinds.to_numpy()[nearest] == kinds.to_numpy()),
    ]
    print(f"{name:26}" + "".join(f"{score:17.3f}" for score in scores))

# %%
# By neighbours, scanpy's UMAP keeps the components a little better than the geodesic
# ones, and the kinds about as well: all are good maps of what is near. Of what is far
# they tell less than two principal components do. GeodesicMDS, which embeds all
# distances, tells most, and shows less detail. Under the flow GeodesicUMAP tells as
# much of what is far as scanpy's, and more than under the default density; GeodesicMDS
# is better without it. 700 cells are few for a flow.
