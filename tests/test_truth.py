"""Distances beside exact ones: on the line, around a Gaussian, and in the plane.

A path in the graph is a curve: its length is at least the distance, up to the
tolerance of the quadrature, and comes down to it as samples and neighbours grow.
"""

from functools import cache, cached_property
from itertools import product

import numpy as np
import pytest
from scipy.stats import gaussian_kde
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skgengeo import GenerativeGeodesicDistance, GeodesicInterpolator
from skgengeo.density import ManifoldParzenWindows, as_density

from . import _oracles as oracles

QUAD_TOL = 1e-3
# Of fast marching, at targets beyond two radii of the ball that it starts from.
REFERENCE_ERROR = 5e-4
LAMS = (1.0, 0.1, 0.01)


# The references themselves


def cone(power):
    """The cost r ** power is that of a cone, which unrolls into the plane."""

    def distance(r1, r2, angle):
        rho1, rho2 = (r ** (power + 1) / (power + 1) for r in (r1, r2))
        unrolled = (power + 1) * angle
        if unrolled >= np.pi:
            return rho1 + rho2
        return np.sqrt(rho1**2 + rho2**2 - 2 * rho1 * rho2 * np.cos(unrolled))

    return lambda r: r**power, distance


def hyperbolic_plane():
    """The cost 2 / (1 - r^2) is that of Poincaré's disk."""

    def distance(r1, r2, angle):
        chord = r1**2 + r2**2 - 2 * r1 * r2 * np.cos(angle)
        return np.arccosh(1 + 2 * chord / ((1 - r1**2) * (1 - r2**2)))

    return lambda r: 2 / (1 - r**2), distance


@pytest.mark.parametrize(
    ("cost", "distance"),
    [cone(0), cone(0.5), cone(2), hyperbolic_plane()],
    ids=["plane", "cone", "sharp cone", "hyperbolic plane"],
)
@pytest.mark.parametrize("angle", [0.0, 0.1, 0.5, 1.5, 2.5, 3.1, np.pi])
@pytest.mark.parametrize(
    ("r1", "r2"), [(0.3, 0.8), (0.5, 0.5), (0.95, 0.001), (0.0, 0.4), (0.6, 0.601)]
)
def test_clairaut_in_closed_form(cost, distance, r1, r2, angle):
    found = oracles.radial_distance(cost, r1, r2, angle)
    assert found == pytest.approx(distance(r1, r2, angle), rel=1e-6, abs=1e-12)


def test_line_in_closed_form():
    x = np.array([-1.0, -0.5, 0.2, 3.0])
    found = oracles.line_distances(np.exp, x)
    np.testing.assert_allclose(found, np.abs(np.exp(x)[:, None] - np.exp(x)), rtol=1e-9)


class Plane:
    """Equal round Gaussians in the plane: their density, a sample, exact distances."""

    half_width, n_cells, ball = 2.8, 280, 0.25
    sources, targets = np.arange(2), np.arange(60)

    def __init__(self, centers, scale, n=2500):
        self.centers, self.scale = centers, scale
        rng = np.random.default_rng(1)
        home = rng.integers(len(centers), size=2 * n)
        X = centers[home] + scale * rng.normal(size=(2 * n, 2))
        self.X = X[np.abs(X).max(axis=1) < self.half_width][:n]
        self.log_p0 = float(np.median(self.log_density(self.X)))
        spacing = 2 * self.half_width / self.n_cells
        nodes = np.round(self.X[self.targets] / spacing)
        self.X[self.targets] = nodes * spacing

    def log_density(self, points):
        x, centers = points / self.scale, self.centers / self.scale
        log_terms = x @ centers.T - (centers**2).sum(axis=1) / 2
        largest = log_terms.max(axis=1)
        mean = np.exp(log_terms - largest[:, None]).mean(axis=1)
        return np.log(mean) + largest - (x**2).sum(axis=1) / 2

    def cost(self, lam):
        return lambda points: oracles.cost_of(
            self.log_density(points) - self.log_p0, lam
        )

    def marching(self, lam, *, finer=1):
        n_cells, ball = self.n_cells * finer, self.ball / finer**0.5
        return oracles.FastMarching(self.cost(lam), self.half_width, n_cells, ball)

    def marched(self, lam, sources, **kwargs):
        """Distances from each source to all targets."""
        marching = self.marching(lam, **kwargs)
        X = self.X
        return np.stack([marching.distances(X[i], X[self.targets]) for i in sources])

    @cached_property
    def far(self):
        """Which targets the reference is known for."""
        ends = self.X[self.sources][:, None], self.X[self.targets][None]
        return np.linalg.norm(ends[0] - ends[1], axis=2) > 2 * self.ball

    @cached_property
    def exact(self):
        return {lam: self.marched(lam, self.sources)[self.far] for lam in LAMS}

    def excess(self, n, **graph):
        """λ -> relative excess of the distances in a graph of the first n samples."""
        geodesic = GenerativeGeodesicDistance(
            self.log_density, p0=np.exp(self.log_p0), quad_tol=QUAD_TOL, **graph
        ).fit(self.X[:n])
        found = geodesic.lam_path(LAMS, sources=self.sources)
        return {
            lam: D[:, self.targets][self.far] / self.exact[lam] - 1 for lam, D in found
        }


def circle(n, radius):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])


@cache
def ring():
    return Plane(circle(24, 1.5), 0.3)


@cache
def two_moons():
    upper = circle(26, 1.2)[:14] - [0.6, 0.3]
    return Plane(np.vstack([upper, -upper]), 0.3)


@cache
def four_modes():
    return Plane(np.array([[-1.0, -1.1], [1.2, -0.9], [-0.9, 1.2], [1.0, 0.8]]), 0.45)


@cache
def spiral():
    """One and a half turns, with gaps of five kernels between them."""
    turn = np.linspace(0.0, 3 * np.pi, 40)
    radius = 0.4 + 1.7 * turn / turn[-1]
    arm = radius[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])
    return Plane(arm, 0.22)


PLANES = [ring, two_moons, four_modes, spiral]


@pytest.fixture
def fast_marching():
    """Built from source, with a C++ compiler: not everybody has it."""
    pytest.importorskip("skfmm")


def angle_between(a, b):
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return 2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))


def around_a_gaussian(cost, X, Y):
    """Distances between the rows of X and those of Y at a cost of the radius."""
    return np.array(
        [
            [
                oracles.radial_distance(
                    cost, np.linalg.norm(x), np.linalg.norm(y), angle_between(x, y)
                )
                for y in Y
            ]
            for x in X
        ]
    )


@pytest.mark.usefixtures("fast_marching")
@pytest.mark.parametrize("lam", LAMS)
def test_fast_marching_agrees_with_clairaut(lam):
    plane = Plane(np.zeros((1, 2)), 0.7, n=60)

    def cost(r):
        return oracles.cost_of(-((r / 0.7) ** 2) / 2 - plane.log_p0, lam)

    found = plane.marched(lam, plane.sources)[plane.far]
    X = plane.X
    exact = around_a_gaussian(cost, X[plane.sources], X[plane.targets])[plane.far]
    np.testing.assert_allclose(found, exact, rtol=REFERENCE_ERROR)


@pytest.mark.usefixtures("fast_marching")
@pytest.mark.parametrize("make", [ring, two_moons, spiral])
def test_fast_marching_does_not_depend_on_its_grid(make):
    plane = make()
    coarse, fine = (plane.marched(min(LAMS), [0], finer=finer) for finer in (1, 2))
    far = plane.far[[0]]
    np.testing.assert_allclose(coarse[far], fine[far], rtol=REFERENCE_ERROR)


# The line


def on_a_line(n=80):
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(-1, 0.7, n), rng.normal(1.5, 0.5, n)])[:, None]


LINE_DENSITIES = {
    "KernelDensity": KernelDensity(bandwidth=0.4).fit(on_a_line()),
    "GaussianMixture": GaussianMixture(2, random_state=0).fit(on_a_line()),
    "ManifoldParzenWindows": ManifoldParzenWindows(covariance_scale=1.0).fit(
        on_a_line()
    ),
    "gaussian_kde": gaussian_kde(on_a_line().T),
    "callable": lambda X: -(np.abs(np.sin(2 * X[:, 0])) ** 3) - X[:, 0] ** 2 / 4,
}


@pytest.mark.parametrize("lam", [10.0, *LAMS, 0.0])
@pytest.mark.parametrize("density", LINE_DENSITIES.values(), ids=LINE_DENSITIES)
def test_on_the_line_distances_are_the_integral(density, lam):
    X = np.sort(on_a_line(), axis=0)
    geodesic = GenerativeGeodesicDistance(density, lam=lam, n_graph_neighbors=8)
    found = geodesic.fit_transform(X)

    def cost(x):
        log_p = as_density(density).score_samples(x.reshape(-1, 1))
        return oracles.cost_of(log_p - geodesic.log_p0_, lam).reshape(x.shape)

    exact = oracles.line_distances(cost, X[:, 0])
    np.testing.assert_allclose(found, exact, rtol=QUAD_TOL)


# Around a Gaussian, in many dimensions


def gaussian_log_density(X):
    return -0.5 * (X**2).sum(axis=1)


def gaussian_cost(geodesic, lam):
    return lambda r: oracles.cost_of(-0.5 * r**2 - geodesic.log_p0_, lam)


def fan(n, d):
    """Points of a disk in a plane through the origin, as far out as samples are."""
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(d, 2)))[0]
    disk = rng.uniform(-1, 1, size=(2 * n, 2))
    disk = disk[np.linalg.norm(disk, axis=1) < 1][:n]
    return 1.2 * np.sqrt(d) * disk @ plane.T


def scattered(n, d):
    return np.random.default_rng(0).normal(size=(n, d))


def excess_around_a_gaussian(X, lams, **graph):
    """λ -> relative excess of distances between the first rows of X."""
    sources, targets = np.arange(6), np.arange(10, 20)
    geodesic = GenerativeGeodesicDistance(gaussian_log_density, **graph).fit(X)
    for lam, D in geodesic.lam_path(lams, sources=sources):
        exact = around_a_gaussian(gaussian_cost(geodesic, lam), X[sources], X[targets])
        yield lam, D[:, targets] / exact - 1


@pytest.mark.parametrize("graph", [{"n_graph_neighbors": 12}, {"epsilon": 100.0}])
@pytest.mark.parametrize("sample", [scattered, fan])
@pytest.mark.parametrize("d", [10, 50])
def test_around_a_gaussian_never_below_the_distance(d, sample, graph):
    for _, excess in excess_around_a_gaussian(sample(150, d), LAMS, **graph):
        assert excess.min() >= -QUAD_TOL


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("d", [10, 50])
def test_around_a_gaussian_the_excess_falls_in_the_plane_of_the_geodesic(d, lam):
    few, many = (
        dict(excess_around_a_gaussian(fan(160, d)[:n], [lam], epsilon=100.0))[lam]
        for n in (40, 160)
    )
    assert np.median(many) < np.median(few)
    assert np.median(many) < 0.01


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("d", [10, 50])
def test_around_a_gaussian_a_ray_is_a_geodesic(d, lam):
    axis = scattered(1, d) / np.linalg.norm(scattered(1, d))
    radii = np.sqrt(d) * np.linspace(-1.2, 1.2, 30)
    geodesic = GenerativeGeodesicDistance(
        gaussian_log_density, lam=lam, n_graph_neighbors=3
    )
    found = geodesic.fit_transform(radii[:, None] * axis)

    def cost(x):
        return gaussian_cost(geodesic, lam)(np.abs(x))

    exact = oracles.line_distances(cost, radii)
    np.testing.assert_allclose(found, exact, rtol=QUAD_TOL)


# The plane


@pytest.mark.usefixtures("fast_marching")
@pytest.mark.parametrize("make", [ring, two_moons, four_modes])
@pytest.mark.parametrize(
    "graph",
    [
        {"n_graph_neighbors": 10},
        {"n_graph_neighbors": 40},
        {"epsilon": 0.4},
        {"epsilon": 1.0, "n_graph_neighbors": 40},
    ],
)
# Few samples at a small ε fall into components.
@pytest.mark.filterwarnings("ignore:The graph has .* connected components:UserWarning")
def test_in_the_plane_never_below_the_distance(make, graph):
    for excess in make().excess(600, **graph).values():
        assert excess.min() >= -QUAD_TOL - REFERENCE_ERROR


@pytest.mark.usefixtures("fast_marching")
@pytest.mark.parametrize("make", [ring, two_moons])
@pytest.mark.parametrize(
    "graphs",
    [
        {n: {"n_graph_neighbors": k} for n, k in [(250, 10), (800, 18), (2500, 32)]},
        {n: {"epsilon": 0.4} for n in (250, 700, 1400)},
    ],
    ids=["growing k", "fixed epsilon"],
)
@pytest.mark.filterwarnings("ignore:The graph has .* connected components:UserWarning")
def test_in_the_plane_the_excess_falls_with_n(make, graphs):
    excesses = [make().excess(n, **graph) for n, graph in graphs.items()]
    for lam in (0.1, 0.01):
        medians = [np.median(excess[lam]) for excess in excesses]
        assert (np.diff(medians) < 0).all()
        assert medians[-1] < medians[0] / 4


# Relaxed


def relaxed(plane, lam, n=1000, **params):
    """Relative excess of relaxed distances, in a graph of the first n samples."""
    geodesic = GeodesicInterpolator(
        plane.log_density, lam=lam, p0=np.exp(plane.log_p0), **params
    ).fit(plane.X[:n])
    pairs = np.argwhere(plane.far)
    starts, stops = (plane.X[rows] for rows in pairs.T)
    return geodesic.distance(starts, stops) / plane.exact[lam] - 1


@pytest.mark.usefixtures("fast_marching")
@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("make", PLANES)
def test_in_the_plane_relaxed_distances_are_exact(make, lam):
    excess = relaxed(make(), lam)
    assert excess.min() > -1e-3
    assert np.mean(excess < 2e-3) >= 0.99


# Some nodes of a kink are never at rest.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("lam", [10.0, *LAMS])
@pytest.mark.parametrize("density", LINE_DENSITIES.values(), ids=LINE_DENSITIES)
def test_on_the_line_relaxed_distances_are_the_integral(density, lam):
    X = np.sort(on_a_line(), axis=0)[::4]
    geodesic = GeodesicInterpolator(density, lam=lam, quad_tol=1e-5).fit(X)

    def cost(x):
        log_p = as_density(density).score_samples(x.reshape(-1, 1))
        return oracles.cost_of(log_p - geodesic.log_p0_, lam).reshape(x.shape)

    exact = oracles.line_distances(cost, X[:, 0])[:-7, 7:].diagonal()
    np.testing.assert_allclose(geodesic.distance(X[:-7], X[7:]), exact, rtol=1e-4)


@pytest.mark.parametrize(("d", "lam"), [*product([10, 50], LAMS), (100, 1.0)])
def test_around_a_gaussian_relaxed_distances_are_exact(d, lam):
    X = scattered(60, d)
    geodesic = GeodesicInterpolator(gaussian_log_density, lam=lam).fit(X)
    found = geodesic.distance(np.repeat(X[:2], 2, axis=0), np.tile(X[10:12], (2, 1)))
    exact = around_a_gaussian(gaussian_cost(geodesic, lam), X[:2], X[10:12])
    np.testing.assert_allclose(found, exact.ravel(), rtol=5e-3)
