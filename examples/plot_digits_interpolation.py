"""
From one digit to another
=========================

What lies between two images? Halfway along the straight line is a mixture of both: two
faint digits on top of each other, which nobody has written. A geodesic goes by images
that are likely.

Here a density of handwritten digits is fitted, and
:class:`skgengeo.GeodesicInterpolator` finds the geodesic between pairs of them.
"""

# %%
# Images and density
# ------------------
# The images are reduced to 25 principal components, and the density is a mixture of 40
# Gaussians in them. ``reg_covar=1`` is the noise of one grey level out of 17.

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

images, digits = load_digits(return_X_y=True)
pca = PCA(25, random_state=0).fit(images)
X = pca.transform(images)
density = GaussianMixture(40, reg_covar=1.0, random_state=0).fit(X)

# %%
# Geodesics
# ---------
# In 25 dimensions the log density falls by tens from one digit to another, and the cost
# of a step would rise by as many powers of e. Divided by a temperature, the log density
# has the same ridges and valleys at prices that can be compared; the default density is
# tempered in the same way. All pairs are relaxed together, once: the frames below are
# every tenth of the points on a geodesic, at equal steps of its length.

import numpy as np

from skgengeo import GeodesicInterpolator
from skgengeo.density import TemperedDensity

PAIRS = [(0, 6), (2, 8), (4, 9)]
N_POINTS, STEP = 101, 10
rows = np.array([[np.flatnonzero(digits == d)[1] for d in pair] for pair in PAIRS])
start, end = X[rows[:, 0]], X[rows[:, 1]]

geodesic = GeodesicInterpolator(TemperedDensity(density)).fit(X)
along_geodesic = geodesic.path(start, end, N_POINTS).points
along_segment = np.linspace(start, end, N_POINTS, axis=1)

# %%
# The log density on the way, without the temperature: the lowest of each, beside the
# lowest of 99 % of all images.


def log_density(points):
    """Log density of each pair's points."""
    flat = points.reshape(-1, points.shape[-1])
    return density.score_samples(flat).reshape(points.shape[:2])


on_geodesic, on_segment = log_density(along_geodesic), log_density(along_segment)
usual = np.quantile(density.score_samples(X), 0.01)
print(f"99 % of the images: above {usual:.0f}")
print(f"{'pair':>10}{'straight':>12}{'geodesic':>12}")
for p, (a, b) in enumerate(PAIRS):
    pair, segment, curve = f"{a} to {b}", on_segment[p].min(), on_geodesic[p].min()
    print(f"{pair:>10}{segment:12.0f}{curve:12.0f}")

# %%
# The picture
# -----------
# Upper rows follow the straight segment, lower rows the geodesic. Beside them
# :class:`skgengeo.plotting.GeodesicPathDisplay` draws the log density along both.

import matplotlib.pyplot as plt

from skgengeo.plotting import GeodesicPathDisplay


def strip(frames):
    """Images side by side, as one."""
    each = pca.inverse_transform(frames).reshape(-1, 8, 8)
    return np.concatenate(np.pad(each, ((0, 0), (1, 1), (1, 1))), axis=1)


figure, axes = plt.subplots(
    len(PAIRS), 2, figsize=(11, 5.6), layout="constrained", width_ratios=[2.2, 1]
)
for p, (left, right) in enumerate(axes):
    both = [strip(along_segment[p, ::STEP]), strip(along_geodesic[p, ::STEP])]
    left.imshow(np.concatenate(both), cmap="gray_r", vmin=0, vmax=16)
    left.set(xticks=[], yticks=[4.5, 14.5], yticklabels=["straight", "geodesic"])
    left.tick_params(length=0)
    left.spines[:].set_visible(False)
    display = GeodesicPathDisplay(
        points=along_geodesic[p],
        log_density=on_geodesic[p],
        straight_log_density=on_segment[p],
    )
    display.plot(ax=right, legend=False)
    right.axhline(usual, color="grey", linewidth=0.8, label="99 % of images lie above")
    right.set(xlabel="fraction of length" if p == len(PAIRS) - 1 else "")
names = axes[0, 1].get_legend_handles_labels()
figure.legend(*names, loc="outside upper right", ncols=3, frameon=False)

# %%
# In the middle of the straight rows are two digits at once, in grey, and their log
# density is far below that of nearly all images. The geodesics stay above that all the
# way. From 0 to 6 the loop is drawn in; the 2 becomes an 8 by closing its loops, in
# black; and the 4 closes to a 9, whose foot is drawn in before it becomes the 9 without
# an upper stroke that was asked for.
#
# A geodesic is no more than its density: the images in between are likely under 40
# Gaussians in 25 components.
