"""
New digits on an old map
========================

A map of images, on which new images find their place. Isomap and UMAP can do that, and
so can :class:`skgengeo.GeodesicMDS` and :class:`skgengeo.GeodesicUMAP`: a new point is
joined to its neighbours among the training samples, and placed by its geodesic
distances to them. It is placed on its own: no other new point matters.
"""

# %%
# The images
# ----------
# 1,797 handwritten digits of 8 × 8 pixels: 1,500 of them for the map, and the rest as
# new ones.

from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X_train, X_new = X[:1500], X[1500:]
y_train, y_new = y[:1500], y[1500:]

# %%
# The maps
# --------
# A density is hard to fit in 64 dimensions, of which most hold noise, so images are
# reduced to 20 principal components first: for all four, in a pipeline. Isomap, whose 5
# neighbours leave the digits in pieces, has the 11 that ours take for so many samples.
# All else is left at the defaults.

import warnings

from sklearn.decomposition import PCA
from sklearn.manifold import Isomap
from sklearn.pipeline import make_pipeline
from umap import UMAP

from skgengeo import GeodesicMDS, GeodesicUMAP

warnings.filterwarnings("ignore", "n_jobs value 1 overridden", UserWarning)

maps = {
    "Isomap": Isomap(n_neighbors=11),
    "UMAP": UMAP(random_state=0),
    "GeodesicMDS": GeodesicMDS(),
    "GeodesicUMAP": GeodesicUMAP(random_state=0),
}
maps = {
    name: make_pipeline(PCA(20, random_state=0), embedding).fit(X_train)
    for name, embedding in maps.items()
}

# %%
# The picture
# -----------
# :class:`skgengeo.plotting.EmbeddingDisplay` draws the training samples of a fitted
# embedding as dots, and new points among them as larger ones. Colours are the digits,
# which no map has seen. Every third of the new images is drawn.

import matplotlib.pyplot as plt

from skgengeo.plotting import EmbeddingDisplay

figure, axes = plt.subplots(2, 2, figsize=(10, 8.6), layout="constrained")
for ax, (name, embedding) in zip(axes.ravel(), maps.items(), strict=True):
    EmbeddingDisplay.from_estimator(
        embedding,
        y_train,
        X_new=X_new[::3],
        y_new=y_new[::3],
        ax=ax,
        legend=ax is axes[0, 1],
        new_kw={"s": 25},
    )
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(title=name, xticks=[], yticks=[], xlabel="", ylabel="")

# %%
# The scores
# ----------
# Trustworthiness and continuity compare neighbours on the map with neighbours in the 64
# pixels. The correlation is that of ranks, over all pairs, between distances on the map
# and of pixels. Accuracy is that of a vote among the 5 training images nearest to a new
# one, on the map.

from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

of_pixels = pdist(X_train)
titles = ["trustworthiness", "continuity", "correlation", "accuracy"]
print(f"{'map':14}" + "".join(f"{title:>17}" for title in titles))
for name, embedding in maps.items():
    places = embedding[-1].embedding_
    vote = KNeighborsClassifier(n_neighbors=5).fit(places, y_train)
    scores = [
        trustworthiness(X_train, places, n_neighbors=15),
        trustworthiness(places, X_train, n_neighbors=15),
        spearmanr(pdist(places), of_pixels).statistic,
        vote.score(embedding.transform(X_new), y_new),
    ]
    print(f"{name:14}" + "".join(f"{score:17.3f}" for score in scores))

# %%
# UMAP and GeodesicUMAP are alike: on these images straight lines between near
# neighbours are good enough, and UMAP keeps more of what is far. GeodesicMDS keeps
# digits apart that Isomap lays on each other, with six sevenths of the votes right
# instead of seven tenths, and is nearly as close to the distances of pixels.
