"""
From the straight line to the ridge
===================================

A geodesic weighs two things: to be short, and to stay where the density is high. The
parameter λ is the exchange rate. Where λ is large the density hardly counts, and the
geodesic of two points is nearly the straight segment between them; where it is small
the curve goes a long way round to stay in the data.

This is Figure 2 of "(Deep) Generative Geodesics"
(`arXiv:2407.11244 <https://arxiv.org/abs/2407.11244>`_) with a density of our own, and
curves that are continuous: :class:`skgengeo.GeodesicInterpolator` relaxes the shortest
path of a graph to a geodesic.
"""

# %%
# One density
# -----------
# Samples on an arch, and a mixture of Gaussians fitted to them, once: a density that is
# fitted already is used as it is.

import numpy as np
from sklearn.mixture import GaussianMixture

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 800)
radius = rng.normal(1, 0.2, 800)
X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
density = GaussianMixture(8, random_state=0).fit(X)
start, end = np.array([-0.85, 0.4]), np.array([0.85, 0.4])

# %%
# Many λ
# ------
# The graph of the samples, and the density along its edges, depend on no λ. With
# ``memory`` they are made once, and each further fit takes them from there. ``lam`` is
# in units of the median density of the samples.

import tempfile

from skgengeo import GeodesicInterpolator

LAMS = [5.0, 3.0, 2.0, 1.0, 0.5, 0.05]
paths = {}
with tempfile.TemporaryDirectory() as memory:
    geodesic = GeodesicInterpolator(density, memory=memory)
    for lam in LAMS:
        geodesic.set_params(lam=lam).fit(X)
        paths[lam] = geodesic.path(start, end, n_points=100)

# %%
# What a ruler says of each geodesic, its length in the metric, and the lowest log
# density on it:


def euclidean_length(points):
    """Length for a ruler."""
    return np.linalg.norm(np.diff(points, axis=0), axis=1).sum()


print(f"{'lam':>6}{'Euclidean':>12}{'geodesic':>12}{'lowest log p':>15}")
for lam, path in paths.items():
    ruler = euclidean_length(path.points)
    print(f"{lam:6g}{ruler:12.2f}{path.length:12.2f}{path.log_density.min():15.2f}")

# %%
# The picture
# -----------
# :class:`skgengeo.plotting.GeodesicPathDisplay` draws geodesics over the log density
# and the samples, and as profiles: the log density on the way, here beside that of the
# straight segment, which is dashed.

import matplotlib.pyplot as plt

from skgengeo.plotting import GeodesicPathDisplay

figure, (left, right) = plt.subplots(
    ncols=2, figsize=(12, 3.8), layout="constrained", width_ratios=[1.6, 1]
)
around = GeodesicPathDisplay.from_estimator(geodesic, start, end, ax=left)
curves = GeodesicPathDisplay(
    points=[path.points for path in paths.values()],
    log_density=[path.log_density for path in paths.values()],
)
options = {
    "color": plt.get_cmap("autumn")(np.linspace(0, 0.8, len(LAMS))),
    "label": [f"λ = {lam:g}" for lam in LAMS],
}
curves.plot(left, straight=False, legend=False, **options)
curves.plot(right, kind="profile", **options)
segment = around.straight_log_density[0]
right.plot(np.linspace(0, 1, len(segment)), segment, "k--", label="straight segment")
right.legend(loc="upper left", bbox_to_anchor=(1, 1))

# %%
# With λ = 5 the curve is 3 % longer than the segment, which is 1.70 long; with λ = 0.05
# it is a quarter longer, and stays where the samples are. In between it bends with λ,
# for nothing but a slope lies between the segment and the arch. Where a gap lies
# between two ways, the geodesic leaps from one to the other at some λ. Each of the two
# is a curve that no small change shortens: the interpolator relaxes the path of the
# graph, a detour and the straight segment, and takes the shortest result.
#
# Lengths in the metric cannot be compared between λ: as λ falls, the cost of what lies
# above the median density falls too.
