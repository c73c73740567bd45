"""
Few labels, many digits
=======================

Images of handwritten digits lie near a few curved sheets: the ways of writing a 3 pass
into one another, and hardly any image lies between a 3 and an 8. A straight line does
not know that. A geodesic of a density does, and no label is needed to fit it.

Here 1,200 images are at hand, 50 of them with a label, and 597 others are to be
classified by their nearest labelled image. Three distances compete: Euclidean, the
shortest paths of Isomap, and generative geodesics.
"""

# %%
# The task
# --------
# As in :mod:`sklearn.semi_supervised`, an image without a label has the label -1. All
# images shape the geometry, and only those with a label vote. In the matrix of
# distances these are some of the columns: a subclass of scikit-learn's classifier
# that picks them is all there is to write.

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier

N_SPLITS = 5
N_LABELS = 50

images, digits = load_digits(return_X_y=True)


class LabelledNeighbors(KNeighborsClassifier):
    """Nearest labelled neighbours, from the distances to all samples."""

    def fit(self, D, y):
        self.labelled_ = np.flatnonzero(y >= 0)
        among_labelled = D[np.ix_(self.labelled_, self.labelled_)]
        return super().fit(among_labelled, y[self.labelled_])

    def predict(self, D):
        return super().predict(D[:, self.labelled_])


def split(seed):
    """Training images, their few labels, and the images to be classified."""
    train, test, y_train, y_test = train_test_split(
        images, digits, test_size=597, stratify=digits, random_state=seed
    )
    labelled, _ = train_test_split(
        np.arange(len(train)), train_size=N_LABELS, stratify=y_train, random_state=seed
    )
    few = np.full(len(train), -1)
    few[labelled] = y_train[labelled]
    return train, few, test, y_test


def folds(few):
    """Cross-validation over the labelled images; the others stay in every fold."""
    labelled, rest = np.flatnonzero(few >= 0), np.flatnonzero(few < 0)
    parts = StratifiedKFold(4, shuffle=True, random_state=0)
    return [
        (np.concatenate([rest, labelled[kept]]), labelled[left_out])
        for kept, left_out in parts.split(labelled, few[labelled])
    ]


# %%
# The density
# -----------
# It is chosen like any model without labels: by the likelihood of images that it has
# not seen. ``reg_covar=1`` is the noise of one grey level out of 17.

from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

N_COMPONENTS = 15

mixtures = GridSearchCV(
    Pipeline(
        [
            ("pca", PCA(N_COMPONENTS, random_state=0)),
            ("density", GaussianMixture(reg_covar=1.0, random_state=0)),
        ]
    ),
    {"density__n_components": [5, 10, 20, 30, 40]},
    cv=3,
    n_jobs=-1,
    error_score="raise",
)
mixtures.fit(split(seed=0)[0])
n_gaussians = mixtures.best_params_["density__n_components"]
print(f"Gaussians with the best held-out likelihood: {n_gaussians}")

# %%
# The search
# ----------
# A pipeline of PCA, geodesic distances and the classifier is searched like any other.
# Each fold fits its own density, and places the images left out by ``transform``.
# ``lam=np.inf`` gives the distances of Isomap, which are searched over the same
# graphs. With ``memory``, the work that does not depend on λ is done once for all λ.

from skgengeo import GenerativeGeodesicDistance

GRAPHS = [
    {"geodesic__n_graph_neighbors": [5, 10]},
    {"geodesic__n_graph_neighbors": [10], "geodesic__epsilon": [25.0]},
]
# Some of these graphs leave an image apart. It is joined to its nearest neighbour,
# with a warning, which would be repeated in each fold.
warnings.filterwarnings("ignore", "The graph has .* connected components")


def pipeline(density, memory=None, **options):
    """PCA, geodesic distances and the nearest labelled image."""
    return Pipeline(
        [
            ("pca", PCA(N_COMPONENTS, random_state=0)),
            ("geodesic", GenerativeGeodesicDistance(density, memory=memory, **options)),
            ("classifier", LabelledNeighbors(n_neighbors=1, metric="precomputed")),
        ]
    )


def searched(density, lams, few, memory):
    """The pipeline, with a search over λ and the graph."""
    return GridSearchCV(
        pipeline(density, memory),
        [{"geodesic__lam": lams, **graph} for graph in GRAPHS],
        cv=folds(few),
        n_jobs=-1,
        error_score="raise",
    )


def euclidean_accuracy(train, few, test, y_test):
    """The same classifier on Euclidean distances after PCA."""
    pca = PCA(N_COMPONENTS, random_state=0).fit(train)
    classifier = KNeighborsClassifier(n_neighbors=1)
    classifier.fit(pca.transform(train[few >= 0]), few[few >= 0])
    return classifier.score(pca.transform(test), y_test)


names = ["Euclidean", "Isomap", "geodesic, mixture", "geodesic, all defaults"]
accuracy = {name: [] for name in names}
with tempfile.TemporaryDirectory() as memory:
    for seed in range(N_SPLITS):
        train, few, test, y_test = split(seed)
        mixture = GaussianMixture(n_gaussians, reg_covar=1.0, random_state=seed)
        models = {
            "Isomap": searched(mixture, [np.inf], few, memory),
            "geodesic, mixture": searched(mixture, [1.0, 0.1, 0.01], few, memory),
            "geodesic, all defaults": pipeline(density=None, n_jobs=-1),
        }
        accuracy["Euclidean"].append(euclidean_accuracy(train, few, test, y_test))
        for name, model in models.items():
            accuracy[name].append(model.fit(train, few).score(test, y_test))

# %%
# Accuracy on images never seen, over random splits. The last row takes the default
# density and graph, and searches nothing; the last column counts the splits in which a
# distance did better than Isomap's.

print(f"\nAccuracy with {N_LABELS} labels, {N_SPLITS} splits")
print(f"{'distance':24}{'mean':>8}{'std':>8}{'beats Isomap':>16}")
isomap = np.array(accuracy["Isomap"])
for name in names:
    scores = np.array(accuracy[name])
    wins = "" if name == "Isomap" else f"{(scores > isomap).sum()} of {N_SPLITS}"
    print(f"{name:24}{scores.mean():8.3f}{scores.std(ddof=1):8.3f}{wins:>16}")

# %%
# One digit and all others
# ------------------------
# How close is one image to all the others? The affinity :math:`e^{-d^2/2\sigma^2}`,
# with σ the distance to the 150th nearest image, puts both distances on one scale. The
# image below is a typical one: of its 150 nearest neighbours, about as many show the
# same digit as on average over all images.

from sklearn.metrics import pairwise_distances

X = PCA(N_COMPONENTS, random_state=0).fit_transform(images)
mixture = GaussianMixture(n_gaussians, reg_covar=1.0, random_state=0)
geodesic = GenerativeGeodesicDistance(mixture, n_graph_neighbors=5)
distances = {
    "Euclidean": pairwise_distances(X),
    "Isomap": GenerativeGeodesicDistance(
        mixture, lam=np.inf, n_graph_neighbors=5
    ).fit_transform(X),
    "geodesic": geodesic.fit_transform(X),
}
N_NEAREST = 150
nearest = {
    name: D.argsort(axis=1)[:, 1 : N_NEAREST + 1] for name, D in distances.items()
}
same = {
    name: (digits[rows] == digits[:, None]).mean(axis=1)
    for name, rows in nearest.items()
}

print(f"\nShare of the {N_NEAREST} nearest images that show the same digit")
print(f"{'digit':10}" + "".join(f"{digit:6d}" for digit in range(10)) + f"{'all':>8}")
for name, share in same.items():
    each = "".join(f"{share[digits == digit].mean():6.2f}" for digit in range(10))
    print(f"{name:10}{each}{share.mean():8.2f}")

# %%
# The map is a t-SNE embedding of the images, which has seen neither the density nor
# the labels. The bar below it holds the 150 nearest images, one stripe for each, from
# the nearest on: orange ones show another digit.

import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from sklearn.manifold import TSNE

SHOWN = ("Euclidean", "geodesic")
GREY, TEAL, ORANGE = "#e4e8ea", "#0f766e", "#ea580c"
AFFINITY = LinearSegmentedColormap.from_list("affinity", [GREY, "#7cc4b8", TEAL])

gap = sum(abs(same[name] - same[name].mean()) for name in SHOWN)
query = int(gap.argmin())
embedding = TSNE(max_iter=500, random_state=0).fit_transform(X)


def draw_map(ax, name):
    """The embedding, coloured by the affinity to the query."""
    d = distances[name][query]
    affinity = np.exp(-0.5 * (d / d[nearest[name][query, -1]]) ** 2)
    order = affinity.argsort()
    points = ax.scatter(
        *embedding[order].T, c=affinity[order], s=12, cmap=AFFINITY, vmin=0, vmax=1
    )
    ax.scatter(*embedding[query], marker="*", s=300, color=ORANGE, ec="white", lw=1.2)
    box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85}
    for digit in range(10):
        middle = np.median(embedding[digits == digit], axis=0)
        ax.annotate(str(digit), middle, ha="center", va="center", bbox=box)
    share = same[name][query]
    ax.set_title(
        f"{name}: {share:.0%} of the {N_NEAREST} nearest are {digits[query]}s", pad=10
    )
    ax.set_axis_off()
    return points


def draw_nearest(ax, name):
    """A stripe for each of the nearest images: the query's digit, or another."""
    other = digits[nearest[name][query]] != digits[query]
    ax.imshow(other[None], cmap=ListedColormap([TEAL, ORANGE]), aspect="auto")
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel(f"the {N_NEAREST} nearest, in order; orange: another digit")
    ax.spines[:].set_visible(False)


figure = plt.figure(figsize=(11, 6), dpi=100)
question = f"How close is this {digits[query]} to all other digits?"
figure.text(0.1, 0.925, question, va="center", fontsize=16)
image = figure.add_axes([0.03, 0.88, 0.055, 0.09])
image.imshow(images[query].reshape(8, 8), cmap="gray_r")
image.set(xticks=[], yticks=[])
image.spines[:].set(color=ORANGE, lw=2)
grid = figure.add_gridspec(
    2, 2, height_ratios=[20, 1], left=0.03, right=0.9, top=0.79, bottom=0.07, hspace=0
)
for column, name in enumerate(SHOWN):
    points = draw_map(figure.add_subplot(grid[0, column]), name)
    draw_nearest(figure.add_subplot(grid[1, column]), name)
bar = figure.colorbar(points, cax=figure.add_axes([0.93, 0.25, 0.012, 0.45]))
bar.set_label("affinity to the starred digit")
bar.outline.set_visible(False)

if "__file__" in globals():  # not in the gallery, which shows the figure
    output = Path(os.environ.get("SKGENGEO_OUTPUT", ".")).resolve() / "quickstart.png"
    figure.savefig(output)
    print(f"\nFigure: {output}")
