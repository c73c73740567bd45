"""
The graph and its radius
========================

Geodesic distances are lengths of shortest paths in a neighbourhood graph of the
samples. In an ε-graph two samples are joined where they are at most ε apart. Where ε is
too small the graph falls into pieces, and samples in different pieces have no path;
where it is large the graph has many edges, each of which costs density evaluations.

This is Figure 3 of "(Deep) Generative Geodesics"
(`arXiv:2407.11244 <https://arxiv.org/abs/2407.11244>`_): one set of samples, and its
graph at two radii.
"""

# %%
# Samples and density
# -------------------

from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture

X, _ = make_moons(250, noise=0.08, random_state=0)
density = GaussianMixture(10, random_state=0).fit(X)

# %%
# The smallest radius
# -------------------
# :func:`skgengeo.geometry.connecting_epsilon` is the smallest ε at which the graph is
# connected: the longest edge of the Euclidean minimum spanning tree. One radius is half
# of it, the other a little above.

from skgengeo.geometry import connecting_epsilon

connecting = connecting_epsilon(X)
RADII = [0.5 * connecting, 1.05 * connecting]
print(f"The smallest epsilon that connects the samples: {connecting:.3f}")

# %%
# Two graphs
# ----------
# By default components are joined by the shortest edges between them, with a warning.
# Here they are to stay apart, ``disconnected="inf"``. ``graph_`` tells what was made.

import numpy as np

from skgengeo import GenerativeGeodesicDistance

geodesics = [
    GenerativeGeodesicDistance(density, epsilon=epsilon, disconnected="inf").fit(X)
    for epsilon in RADII
]
print(
    f"\n{'epsilon':>8}{'edges':>8}{'components':>12}{'evaluations':>13}{'no path':>9}"
)
for epsilon, geodesic in zip(RADII, geodesics, strict=True):
    graph = geodesic.graph_
    apart = np.isinf(geodesic.distance_matrix()).mean()
    print(
        f"{epsilon:8.3f}{graph.n_edges:13,d}{graph.n_components:13d}"
        f"{graph.n_evaluations:13,d}{apart:13.1%}"
    )

# %%
# The last column is the share of pairs that no path joins. An evaluation is one value
# of the density, at a sample or along an edge.
#
# The picture
# -----------
# Edges and samples in the colours of their components; a sample without any edge is
# grey. The path is the geodesic between the leftmost and the rightmost sample, where
# there is one.

import matplotlib.pyplot as plt
from matplotlib.collections import LineCollection

COLORS = np.array([*plt.get_cmap("tab20").colors[::2], *plt.get_cmap("Dark2").colors])
GREY = (0.7, 0.7, 0.7)
left_end, right_end = X[:, 0].argmin(), X[:, 0].argmax()


def colors_of_components(labels):
    """A colour for each sample: that of its component, the largest first."""
    sizes = np.bincount(labels)
    rank = np.empty(len(sizes), dtype=int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    colors = COLORS[rank[labels] % len(COLORS)]
    colors[sizes[labels] == 1] = GREY
    return colors


figure, axes = plt.subplots(ncols=2, figsize=(11, 3.8), layout="constrained")
for ax, epsilon, geodesic in zip(axes, RADII, geodesics, strict=True):
    graph = geodesic.graph_
    colors = colors_of_components(graph.component_labels)
    edges = LineCollection(
        X[graph.edges], colors=colors[graph.edges[:, 0]], linewidths=0.6, alpha=0.6
    )
    ax.add_collection(edges)
    ax.scatter(*X.T, c=colors, s=14, zorder=2)
    if graph.component_labels[left_end] == graph.component_labels[right_end]:
        indices, _ = geodesic.path(left_end, right_end)
        ax.plot(*X[indices].T, color="black", lw=2.5, zorder=3)
    ax.set_title(f"ε = {epsilon:.3f}, components: {graph.n_components}")
    ax.set(aspect="equal", xticks=[], yticks=[])

# %%
# At half the radius each moon is a component, and three samples and two single ones are
# three more: about half of all pairs have no path. Above the smallest connecting radius
# the path leaps from one moon to the other where the gap is narrowest. The length of
# that edge is the integral of the cost along it, so that the leap is dear, and all
# pairs on one moon stay nearer to each other.
#
# One stray sample decides how large ε must be for all, and here triples the number of
# edges. That is why the default graph joins each sample to its nearest ones instead,
# and joins what components that leaves by their shortest edges.
