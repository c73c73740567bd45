import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from skgengeo._base import LogDensity
from skgengeo.density import as_density
from skgengeo.geometry import GeodesicGraph, _descent, _geodesics
from skgengeo.geometry._curves import curve_lengths, relax
from skgengeo.geometry._descent import descended
from skgengeo.geometry._energy import energies_at
from skgengeo.geometry._geodesics import (
    DETOUR,
    _detours,
    _leap,
    _medoid,
    _Star,
    frechet_mean,
    geodesics_between,
    refined_lengths,
    warn_of_lost,
)
from skgengeo.geometry._quadrature import Metric

from .. import _oracles as oracles
from .._densities import Counting

LAMS = (1.0, 0.1, 0.01)
WIDTH, CENTERS = 0.15, np.array([2.5, -2.5])
RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(400, 2))
ENDS = RNG.normal(size=(2, 15, 2))


class Normal:
    """The standard normal, up to a constant, with its gradient."""

    def __call__(self, X):
        return self.with_gradient(X)[0]

    def with_gradient(self, X):
        return -(X**2).sum(axis=1) / 2, -X


class Ring(Normal):
    """Of radius 1."""

    def with_gradient(self, X):
        radius = np.linalg.norm(X, axis=1)
        excess = (radius - 1) / WIDTH**2
        outward = X / np.maximum(radius, 1e-12)[:, None]
        return -excess * (radius - 1) / 2, -excess[:, None] * outward


class TwoModes(Normal):
    """Normals at -2.5 and 2.5 on a line."""

    def with_gradient(self, X):
        log_p = -((X - CENTERS) ** 2) / (2 * WIDTH)
        share = softmax(log_p, axis=1)
        gradient = -(share * (X - CENTERS)).sum(axis=1) / WIDTH
        return logsumexp(log_p, axis=1), gradient[:, None]


def on_ring(angle, radius=1.0):
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def ring_samples(n=500, seed=0):
    rng = np.random.default_rng(seed)
    return on_ring(rng.uniform(0, 2 * np.pi, n), rng.normal(1, WIDTH, n)[:, None])


def graph_of(X, log_density, lam=0.1, **params):
    return GeodesicGraph.from_points(X, log_density, lam=lam, **params)


def normal_graph(lam=0.1, **params):
    return graph_of(NORMAL, Normal(), lam, **params)


def ring_graph(lam=0.1, **params):
    return graph_of(ring_samples(), Ring(), lam, **params)


def exact_distances(metric, P, Q):
    def cost(r):
        log_ratio = -(r**2) / 2 - metric.log_p0
        return oracles.cost_of(log_ratio, metric.lam, metric.exponent)

    radii = np.linalg.norm(P, axis=1), np.linalg.norm(Q, axis=1)
    angles = np.arccos((P * Q).sum(axis=1) / (radii[0] * radii[1]))
    rows = zip(*radii, angles, strict=True)
    return np.array([oracles.radial_distance(cost, *row) for row in rows])


def length_of(graph, curves):
    return curve_lengths(curves, graph.log_density, graph.metric)


# Geodesics


@pytest.mark.parametrize("lam", LAMS)
def test_geodesics_are_exact(lam):
    graph = normal_graph(lam)
    found = geodesics_between(graph, *ENDS)
    exact = exact_distances(graph.metric, *ENDS)
    np.testing.assert_allclose(found.lengths, exact, rtol=2e-3)
    assert (found.lengths > exact * (1 - 1e-4)).all()
    assert found.converged.all()
    assert (found.graph_lengths / exact).max() > 1.01


def test_between_vertices():
    graph = normal_graph()
    found = geodesics_between(graph, graph.X[:15], graph.X[15:30])
    exact = exact_distances(graph.metric, graph.X[:15], graph.X[15:30])
    np.testing.assert_allclose(found.lengths, exact, rtol=2e-3)
    paths = [graph.X[graph.path(i, i + 15)[0]] for i in range(15)]
    np.testing.assert_allclose(found.graph_lengths, length_of(graph, paths))


@pytest.mark.parametrize("lam", [*LAMS, np.inf])
def test_lengths_are_those_of_the_curves(lam):
    graph = ring_graph(lam)
    P, Q = ring_samples(40, seed=1).reshape(2, 20, 2)
    found = geodesics_between(graph, P, Q)
    np.testing.assert_allclose(found.lengths, length_of(graph, found.curves))
    assert (found.lengths <= found.graph_lengths).all()
    straight = length_of(graph, list(np.stack([P, Q], axis=1)))
    assert (found.lengths <= straight * (1 + 1e-6)).all()
    middle = found.points_at(np.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(middle[:, 0], P)
    np.testing.assert_array_equal(middle[:, 2], Q)


def test_there_and_back_are_the_same():
    graph = ring_graph()
    P, Q = ring_samples(40, seed=1).reshape(2, 20, 2)
    there, back = geodesics_between(graph, P, Q), geodesics_between(graph, Q, P)
    np.testing.assert_array_equal(there.lengths, back.lengths)
    assert (there.swapped != back.swapped).all()
    t = np.linspace(0, 1, 7)
    np.testing.assert_allclose(
        there.points_at(t), back.points_at(1 - t), rtol=0, atol=1e-12
    )


def test_no_path_is_infinitely_long():
    class Twins(Normal):
        def with_gradient(self, X):
            return super().with_gradient(np.where(X > 50, X - 100, X))

    islands = np.vstack([NORMAL, NORMAL + 100.0])
    graph = graph_of(islands, Twins(), 1.0, disconnected="inf", epsilon=1.5)
    P, Q = NORMAL[:4], NORMAL[4:8]
    far = geodesics_between(graph, np.vstack([P, P]), np.vstack([Q, Q + 100.0]))
    assert np.isfinite(far.lengths).tolist() == [True] * 4 + [False] * 4
    assert np.isinf(far.graph_lengths[4:]).all()
    np.testing.assert_array_equal(
        far.lengths[:4], geodesics_between(graph, P, Q).lengths
    )


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(_descent, "NODE_BATCH", 256)
    one, two = (
        geodesics_between(normal_graph(n_jobs=n_jobs), *ENDS) for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.lengths, two.lengths)
    np.testing.assert_array_equal(one.n_steps, two.n_steps)
    np.testing.assert_array_equal(one.curves[0], two.curves[0])


def test_evaluations_of_gradients_are_counted(monkeypatch):
    """Each gradient by differences takes 2 d + 1 of the density."""
    density, relaxed, seen = Counting(Normal()), _geodesics._relaxed, []

    # Ends are attached beside relaxation.
    def watched(*args, **limits):
        seen.append(-density.n_points)
        found = relaxed(*args, **limits)
        seen.append(density.n_points)
        return found

    monkeypatch.setattr(_geodesics, "_relaxed", watched)
    graph = graph_of(NORMAL, LogDensity(as_density(density)))
    found = geodesics_between(graph, *ENDS)
    n_values = found.n_evaluations - found.n_gradients
    assert n_values > 0
    assert found.n_gradients > 15 * 64
    assert sum(seen) == n_values + (2 * 2 + 1) * found.n_gradients


def test_curves_that_have_not_converged_warn():
    graph = normal_graph()
    hasty = geodesics_between(graph, *ENDS, max_steps=1)
    with pytest.warns(ConvergenceWarning, match="of 15 curves .* have not converged"):
        warn_of_lost(hasty.lengths, hasty.converged)
    assert (hasty.lengths >= refined_lengths(graph, *ENDS) * (1 - 1e-6)).all()


def test_lengths_do_not_depend_on_batches(monkeypatch):
    graph = normal_graph()
    expected = refined_lengths(graph, *ENDS)
    monkeypatch.setattr(
        _geodesics,
        "row_batches",
        lambda n, **size: [slice(k, min(k + 4, n)) for k in range(0, n, 4)],
    )
    np.testing.assert_allclose(refined_lengths(graph, *ENDS), expected, rtol=1e-12)


def test_lengths_do_not_depend_on_the_number_of_nodes():
    """In ten features, where the density varies by e^100 along a path."""
    digits = load_digits().data[:600]
    X = PCA(10, random_state=0).fit_transform(digits)
    mixture = GaussianMixture(10, random_state=0).fit(X)
    density = LogDensity(as_density(mixture))
    graph = graph_of(X, density, 1.0, n_neighbors=15)
    coarse, fine = (
        geodesics_between(graph, X[:8], X[8:16], n_nodes=n) for n in (64, 256)
    )
    assert coarse.converged.sum() >= 4
    excess = coarse.lengths / fine.lengths - 1
    assert excess[coarse.converged].max() < 5e-3


# Other ways


def detours(graph, P, Q):
    seeds, targets = graph.attach(P), graph.attach(Q)
    paths = graph.paths_between(P, Q, seeds, targets)
    found = _detours(graph, P, Q, seeds, targets, paths, np.arange(len(P)))
    return paths, *found


def test_opposite_points_of_a_ring_have_a_detour():
    graph = ring_graph(0.01)
    angle = np.linspace(0, 6, 10)
    P, Q = on_ring(angle), on_ring(angle + np.pi - 0.05)
    paths, rows, ways = detours(graph, P, Q)
    # Where chance makes the two ways too different there is none.
    assert len(rows) >= 5
    for row, way in zip(rows, ways, strict=True):
        assert (way[0] == P[row]).all()
        assert (way[-1] == Q[row]).all()
        assert cdist(way, paths[row]).min(axis=1).max() > 1.0
        path, detour = length_of(graph, [paths[row], way])
        assert path <= detour <= (1 + DETOUR) * path * 1.01


def test_neighbours_have_no_detour():
    graph = ring_graph(0.01)
    angle = np.linspace(0, 6, 10)
    _, rows, ways = detours(graph, on_ring(angle), on_ring(angle + 0.1))
    assert len(rows) == len(ways) == 0


def test_the_shorter_way_round_is_found():
    """Though the shortest path in the graph goes the other way round."""
    half = np.pi - 0.04
    aside = on_ring(np.linspace(0, half, 60), 1.04)
    best = on_ring(np.linspace(half, 2 * np.pi, 60, endpoint=False))
    graph = graph_of(np.vstack([aside, best]), Ring(), 0.01, epsilon=0.2)
    P, Q = on_ring(np.array([0.0])), on_ring(np.array([half]))
    paths, rows, _ = detours(graph, P, Q)
    assert paths[0][:, 1].min() < -0.9
    assert rows.tolist() == [0]
    found = geodesics_between(graph, P, Q)
    assert found.curves[0][:, 1].min() > -0.01
    assert found.converged[0]
    arc = on_ring(np.linspace(0, half, 300))
    assert found.lengths[0] <= length_of(graph, [arc])[0]


def test_the_straight_segment_is_a_start():
    graph = ring_graph(10.0)
    P, Q = on_ring(np.array([0.0])), on_ring(np.array([np.pi - 0.5]))
    found = geodesics_between(graph, P, Q)
    straight = length_of(graph, [np.vstack([P, Q])])[0]
    assert found.lengths[0] <= straight < 0.9 * found.graph_lengths[0]


def test_a_straight_segment_of_infinite_length_is_no_start():
    class Annulus(Ring):
        def with_gradient(self, X):
            log_p, slope = super().with_gradient(X)
            outside = np.abs(np.linalg.norm(X, axis=1) - 1) > 0.4
            return np.where(outside, -np.inf, log_p), slope

    angle = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    X = on_ring(angle, 1 + 0.1 * (-1.0) ** np.arange(80)[:, None])
    graph = graph_of(X, Annulus(), 0.0, epsilon=0.4)
    P, Q = X[:10], X[25:35]
    found = geodesics_between(graph, P, Q)
    assert (found.lengths < found.graph_lengths).all()
    assert found.converged.all()


# Rivals


@pytest.mark.parametrize("lam", LAMS)
def test_the_shortest_of_rivals_is_found(lam):
    metric = Metric(lam, -1.0)
    density, rng = Ring(), np.random.default_rng(0)
    P, Q = ring_samples(20, seed=2).reshape(2, 10, 2)
    starts = [
        np.vstack([p, m, q])
        for m in rng.normal(size=(3, 2))
        for p, q in zip(P, Q, strict=True)
    ]
    rivals = np.tile(np.arange(10), 3)
    alone = relax(starts, density, density.with_gradient, metric)
    found = relax(starts, density, density.with_gradient, metric, rivals=rivals)
    least = alone.lengths.totals.reshape(3, 10).min(axis=0)
    np.testing.assert_allclose(
        found.lengths.totals.reshape(3, 10).min(axis=0), least, rtol=1e-5
    )
    # The others are as they came.
    kept = [curve is start for curve, start in zip(found.curves, starts, strict=True)]
    assert sum(kept) == 20
    np.testing.assert_array_equal(found.lengths.totals[kept], found.start_lengths[kept])
    assert found.n_evaluations < alone.n_evaluations


def test_of_equal_rivals_it_is_the_first():
    starts = [np.array([[1.0, 0.0], [-1.0, 0.5], [0.0, 1.0]])] * 3
    density = Normal()
    found = relax(
        starts,
        density,
        density.with_gradient,
        Metric(0.1, -1.0),
        rivals=np.array([7, 7, 7]),
    )
    assert found.lengths.totals.argmin() == 0
    assert found.converged.all()
    assert found.curves[1] is starts[1]


# Energies and means


@pytest.mark.parametrize("exponent", [1.0, 0.5])
@pytest.mark.parametrize("lam", [*LAMS, 0.0])
def test_slopes_of_energies_are_those_of_differences(lam, exponent):
    metric, gradient, step = Metric(lam, -1.0, exponent), Normal().with_gradient, 1e-4
    nodes = np.linspace(*ENDS, 32, axis=1)

    def relaxed(shift):
        along = np.linspace(1, 0, 32)[:, None] * shift
        moved = descended(nodes + along, gradient, metric, 1e-13, 500)
        assert moved.converged.all()
        return moved.nodes

    energies, slopes = energies_at(relaxed(np.zeros(2)), gradient, metric)
    for axis in range(2):
        shift = step * np.eye(2)[axis]
        up, down = (
            energies_at(relaxed(s), gradient, metric)[0] for s in (shift, -shift)
        )
        expected = (up - down) / (2 * step)
        scale = np.abs(slopes).max()
        np.testing.assert_allclose(slopes[:, axis], expected, atol=1e-4 * scale)
    exact = exact_distances(metric, *ENDS)
    np.testing.assert_allclose(np.sqrt(energies), exact, rtol=1e-2)


def test_log_energies_of_descents_are_those_of_their_nodes():
    metric, gradient = Metric(0.01, -1.0), Normal().with_gradient
    found = descended(np.linspace(*ENDS, 16, axis=1), gradient, metric, 1e-6, 100)
    energies, _ = energies_at(found.nodes, gradient, metric)
    np.testing.assert_allclose(np.exp(found.log_energy), energies, rtol=1e-9)


@pytest.mark.parametrize("lam", LAMS)
def test_mean_of_a_polygon_is_its_centre(lam):
    corners = on_ring(2 * np.pi * np.arange(5) / 5, 1.2)
    mean = frechet_mean(normal_graph(lam), corners, np.full(5, 0.2))
    np.testing.assert_allclose(mean, 0, atol=2e-3)


def test_mean_on_a_ring_lies_on_the_ring():
    """Of points on a quarter of it; weights draw it along."""
    graph = ring_graph(0.01)
    points = on_ring(np.linspace(0, np.pi / 2, 5))
    mean = frechet_mean(graph, points, np.full(5, 0.2))
    np.testing.assert_allclose(mean, on_ring(np.array(np.pi / 4)), atol=0.03)
    drawn = frechet_mean(graph, points, np.array([0.6, *[0.1] * 4]))
    assert np.arctan2(*drawn[::-1]) < np.arctan2(*mean[::-1]) - 0.1
    assert np.linalg.norm(drawn) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("lam", [0.05, 0.003])
def test_mean_across_a_gap_is_in_it(lam):
    """On a line squares of lengths are least where the weighted lengths are even."""
    x = np.concatenate([np.linspace(-3, -2, 40), np.linspace(2, 3, 40)])[:, None]
    graph = graph_of(x, TwoModes(), lam, n_neighbors=45)
    mean = frechet_mean(graph, x[[0, -1]], np.array([0.25, 0.75]))
    fine = np.linspace(x[0, 0], x[-1, 0], 100_001)
    log_ratio = TwoModes()(fine[:, None]) - graph.metric.log_p0
    along = cumulative_trapezoid(oracles.cost_of(log_ratio, lam, 1.0), fine, initial=0)
    where = np.interp(mean[0], fine, along) / along[-1]
    assert where == pytest.approx(0.75, abs=2e-3)


@pytest.mark.parametrize("p0", [1e200, 1e-200])
def test_a_mean_does_not_depend_on_the_unit_of_length(p0):
    """At lam=0 the reference density is nothing but a unit."""
    points = on_ring(np.linspace(0, 2, 5), 0.8) + 0.3
    graph, weight = normal_graph(0.0), np.full(5, 0.2)
    expected = frechet_mean(graph, points, weight)
    mean = frechet_mean(graph.with_metric(p0=p0), points, weight)
    np.testing.assert_allclose(mean, expected, atol=1e-4)


def test_the_search_for_a_mean_starts_at_the_weighted_medoid():
    graph, some = normal_graph(), np.arange(20)
    weight = np.r_[np.full(19, 0.01), 0.81]
    squares = weight @ graph.distances(some) ** 2
    assert squares.argmin() != (graph.distances(some) ** 2).sum(axis=0).argmin()
    assert _medoid(graph, graph.X[some], np.sqrt(weight)) == squares.argmin()


def test_a_leap_is_exact_where_space_is_flat():
    graph, share = normal_graph(np.inf), np.sqrt([0.25, 0.75])
    limits = {"n_nodes": 16, "tol": 1e-6, "max_steps": 10}
    ends = np.array([[-1.0, 0.5], [1.0, 0.0]])
    star = _Star.at(ends[0], graph, ends, share, limits)
    np.testing.assert_allclose(_leap(star), [0.25, 0.75] @ ends, atol=1e-9)


def test_what_is_worse_is_no_mean(monkeypatch):
    graph, points = normal_graph(), NORMAL[:5]
    for move in ("_leap", "_descent"):
        monkeypatch.setattr(_geodesics, move, lambda star: star.center + 2.0)
    with pytest.warns(ConvergenceWarning, match="of their spread"):
        mean = frechet_mean(graph, points, np.full(5, 0.2))
    medoid = _medoid(graph, points, np.sqrt(np.full(5, 0.2)))
    np.testing.assert_array_equal(mean, graph.X[medoid])


def test_a_mean_after_too_few_steps_says_so():
    points = on_ring(np.linspace(0, 2, 5), 0.8) + 0.3
    with pytest.warns(ConvergenceWarning, match="of their spread"):
        frechet_mean(normal_graph(0.01), points, np.full(5, 0.2), max_steps=1)
