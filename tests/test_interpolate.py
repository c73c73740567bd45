import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, kneighbors_graph

from skgengeo import GenerativeGeodesicDistance, GeodesicInterpolator
from skgengeo.density import ManifoldParzenWindows, TemperedDensity
from skgengeo.geometry import GeodesicGraph, _descent
from skgengeo.geometry._curves import relax, relax_finely
from skgengeo.geometry._geodesics import geodesics_between

from ._densities import normal_log_density
from ._machine import available_memory

X = make_moons(200, noise=0.08, random_state=0)[0]
NEW = make_moons(40, noise=0.15, random_state=1)[0]
MIXTURE = GaussianMixture(8, random_state=0).fit(X)
A, B = NEW[:20], NEW[20:]
DENSITIES = {
    "GaussianMixture": MIXTURE,
    "KernelDensity": KernelDensity(bandwidth=0.15),
    "ManifoldParzenWindows": ManifoldParzenWindows(),
    "TemperedDensity": TemperedDensity(),
    "callable": lambda X: -np.abs(np.sin(2 * X)).sum(axis=1),
}
densities = pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)


def interpolator(density=MIXTURE, **params):
    return GeodesicInterpolator(density, **params).fit(X)


@pytest.fixture(scope="module")
def geodesic():
    return interpolator()


def graph_distance(density=MIXTURE, **params):
    return GenerativeGeodesicDistance(density, **params).fit(X)


def islands():
    return np.vstack([X, X + np.array([100.0, 0.0])])


# Paths


@densities
@pytest.mark.parametrize("lam", [1.0, 0.05])
def test_no_longer_than_the_path_in_the_graph(density, lam):
    geodesic = interpolator(density, lam=lam)
    found = geodesics_between(geodesic.graph_, A, B)
    assert (found.lengths <= found.graph_lengths).all()
    assert np.median(found.lengths / found.graph_lengths) < 0.99
    # Long edges are measured in more pieces than by the graph.
    rough = geodesic.graph_.distance_between(A, B)
    np.testing.assert_allclose(found.graph_lengths, rough, rtol=0.03)
    without = interpolator(density, lam=lam, shortcuts=False)
    assert (found.lengths <= without.distance(A, B) * 1.01).mean() >= 0.9


def test_points_are_at_constant_speed(geodesic):
    path = geodesic.path(A, B, n_points=64)
    steps = path.points[:, :-1].reshape(-1, 2), path.points[:, 1:].reshape(-1, 2)
    segments = graph_distance(lam=geodesic.lam, p0=geodesic.p0_).graph_
    r = np.arange(len(steps[0]))
    costs = segments._segment_costs(
        steps[0], r, steps[1], r, np.linalg.norm(steps[1] - steps[0], axis=1)
    ).reshape(len(A), -1)
    expected = np.repeat(path.length[:, None] / 63, 63, axis=1)
    np.testing.assert_allclose(costs, expected, rtol=0.03)
    np.testing.assert_allclose(costs.sum(axis=1), path.length, rtol=5e-3)


def test_what_a_path_holds(geodesic):
    path = geodesic.path(A, B, n_points=7)
    assert path.points.shape == (20, 7, 2)
    assert path.length.shape == path.converged.shape == (20,)
    np.testing.assert_array_equal(path.points[:, 0], A)
    np.testing.assert_array_equal(path.points[:, -1], B)
    expected = MIXTURE.score_samples(path.points.reshape(-1, 2)).reshape(20, 7)
    np.testing.assert_allclose(path.log_density, expected, rtol=1e-9)
    np.testing.assert_array_equal(path.length, geodesic.distance(A, B))
    assert path.converged.all()


def test_one_pair_of_points(geodesic):
    one, many = geodesic.path(A[3], B[3], 5), geodesic.path(A[3:4], B[3:4], 5)
    for single, first in zip(one, many, strict=True):
        np.testing.assert_array_equal(single, first[0])
    assert one.points.shape == (5, 2)
    assert geodesic.path(A[3].tolist(), B[3].tolist(), 5).length == one.length
    assert geodesic.distance(A[3], B[3]) == one.length
    np.testing.assert_array_equal(geodesic.interpolate(A[3], B[3], 0.0), A[3])


def test_one_point_goes_with_each_row(geodesic):
    one, rows = np.tile(A[3], (4, 1)), B[:4]
    for ask in (
        lambda x, y: geodesic.path(x, y, 5).points,
        lambda x, y: geodesic.interpolate(x, y, 0.5),
        geodesic.distance,
    ):
        np.testing.assert_array_equal(ask(A[3], rows), ask(one, rows))
        np.testing.assert_array_equal(ask(rows, A[3].tolist()), ask(rows, one))
        np.testing.assert_array_equal(ask(A[3], rows[:1]), ask(one[:1], rows[:1]))


def test_the_distance_of_a_single_pair_is_a_float(geodesic):
    assert isinstance(geodesic.distance(A[0], B[0]), float)
    assert geodesic.distance(A[0], B[:1]).shape == (1,)


def test_row_by_row_is_all_at_once(geodesic):
    every = geodesic.path(A, B, 9)
    for row in range(0, 20, 5):
        alone = geodesic.path(A[row], B[row], 9)
        np.testing.assert_allclose(alone.points, every.points[row], atol=1e-6)
        np.testing.assert_allclose(alone.length, every.length[row], rtol=1e-9)


def test_there_and_back(geodesic):
    there, back = geodesic.path(A, B, 9), geodesic.path(B, A, 9)
    np.testing.assert_array_equal(there.length, back.length)
    np.testing.assert_allclose(there.points, back.points[:, ::-1], atol=1e-12)


def test_fractions_of_the_length(geodesic):
    path = geodesic.path(A, B, n_points=5)
    points = geodesic.interpolate(A, B, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(points, path.points)
    np.testing.assert_array_equal(geodesic.interpolate(A, B, 0.5), path.points[:, 2])
    assert geodesic.interpolate(A[0], B[0], [0.1, 0.2]).shape == (2, 2)
    assert geodesic.interpolate(A[0], B[0], 0.1).shape == (2,)


def test_a_part_of_a_geodesic_is_one(geodesic):
    path = geodesic.path(A, B, 5)
    halves = [
        geodesic.distance(A, path.points[:, 2]),
        geodesic.distance(path.points[:, 2], B),
    ]
    np.testing.assert_allclose(halves[0], path.length / 2, rtol=5e-3)
    np.testing.assert_allclose(sum(halves), path.length, rtol=5e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e5])
def test_units_and_rotations(geodesic, scale):
    turn = scale * np.array([[0.6, -0.8], [0.8, 0.6]])

    def log_density(points):
        return MIXTURE.score_samples(points @ np.linalg.inv(turn).T)

    moved = GeodesicInterpolator(log_density).fit(X @ turn.T)
    path, expected = moved.path(A @ turn.T, B @ turn.T, 9), geodesic.path(A, B, 9)
    np.testing.assert_allclose(path.length, scale * expected.length, rtol=1e-3)
    close = np.abs(path.length / (scale * expected.length) - 1) < 1e-5
    assert close.mean() > 0.8
    np.testing.assert_allclose(
        path.points[close], expected.points[close] @ turn.T, atol=1e-3 * scale
    )


def test_euclidean_limit():
    geodesic = interpolator(lam=np.inf)
    np.testing.assert_allclose(
        geodesic.distance(A, B), np.linalg.norm(A - B, axis=1), rtol=1e-12
    )
    expected = np.linspace(A, B, 11, axis=1)
    np.testing.assert_allclose(geodesic.path(A, B, 11).points, expected, atol=1e-12)


def test_flat_density_has_straight_geodesics():
    geodesic = interpolator(lambda X: np.zeros(len(X)))
    expected = np.linspace(A, B, 11, axis=1)
    np.testing.assert_allclose(geodesic.path(A, B, 11).points, expected, atol=1e-9)


@pytest.mark.parametrize("lam", [1.0, 0.05])
def test_equal_ends(geodesic, lam):
    geodesic = clone(geodesic).set_params(lam=lam).fit(X)
    for point in (X[:3], NEW[:3], NEW[:3] + 50):
        path = geodesic.path(point, point, 4)
        np.testing.assert_array_equal(path.length, 0)
        np.testing.assert_array_equal(path.points, np.stack([point] * 4, axis=1))
        assert path.converged.all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ends_outside_the_support():
    def log_density(points):
        inside = np.linalg.norm(points - X.mean(axis=0), axis=1) < 2.5
        return np.where(inside, MIXTURE.score_samples(points), -np.inf)

    geodesic = interpolator(log_density)
    path = geodesic.path([[10.0, 0.0], [0.0, 0.5]], [[0.0, 0.5], [10.0, 8.0]], 9)
    rough = geodesic.graph_.distance_between(path.points[:, 0], path.points[:, -1])
    assert np.isneginf(path.log_density).any()
    assert (path.length <= rough * 1.01).all()
    assert (path.length > np.linalg.norm([7.0, 0.0])).all()


def test_a_density_that_jumps_says_what_has_not_converged():
    steps = KernelDensity(kernel="tophat", bandwidth=0.3).fit(X)
    geodesic = interpolator(steps)
    with pytest.warns(ConvergenceWarning, match=r"of 20 curves \(first: row"):
        geodesic.distance(A, B)
    found = geodesics_between(geodesic.graph_, A, B)
    assert (found.lengths <= found.graph_lengths).all()


def test_steps_that_are_too_few(geodesic):
    hasty = clone(geodesic).set_params(max_iter=1).fit(X)
    message = (
        "have not converged.*Use GeodesicInterpolator with more n_nodes.*max_iter.*"
        "score_samples_gradient"
    )
    with pytest.warns(ConvergenceWarning, match=message):
        path = hasty.path(A, B)
    assert not path.converged.all()
    assert (path.length >= geodesic.distance(A, B) * (1 - 1e-6)).all()


def test_components_that_are_kept_apart():
    geodesic = GeodesicInterpolator(
        KernelDensity(bandwidth=0.2), disconnected="inf", epsilon=0.8
    ).fit(islands())
    far = A + np.array([100.0, 0.0])
    np.testing.assert_array_equal(np.isinf(geodesic.distance(A, far)), True)
    assert np.isfinite(geodesic.distance(A, B)).all()
    assert geodesic.distance(A, A).max() == 0
    for ask in (geodesic.path, lambda x, y: geodesic.interpolate(x, y, 0.5)):
        with pytest.raises(ValueError, match=r"ends of 20 of 20 pairs.*'connect'"):
            ask(A, far)
    with pytest.raises(ValueError, match=r"different components.*'connect'"):
        geodesic.mean(np.vstack([A, far]))


def test_components_that_are_joined():
    geodesic = GeodesicInterpolator(KernelDensity(bandwidth=0.2), epsilon=0.8)
    with pytest.warns(UserWarning, match="connected components"):
        geodesic.fit(np.vstack([X, X + np.array([8.0, 0.0])]))
    path = geodesic.path(A[0], A[0] + np.array([8.0, 0.0]), 5)
    assert path.converged
    assert path.points[2, 0] == pytest.approx(5.0, abs=1.0)


def test_too_few_nodes_are_doubled():
    narrow = KernelDensity(bandwidth=0.08).fit(X)
    few, many = (interpolator(narrow, n_nodes=n) for n in (12, 384))
    paths = few.path(A, B), many.path(A, B)
    np.testing.assert_allclose(paths[0].length, paths[1].length, rtol=0.02)
    starts = [np.linspace(*ends, 12) for ends in zip(A, B, strict=True)]
    log_density, metric = few.graph_.log_density, few.graph_.metric
    rule = starts, log_density, log_density.with_gradient, metric
    once, again = relax(*rule, n_nodes=12), relax_finely(*rule, n_nodes=12)
    assert once.coarse.any()
    assert (again.lengths.totals <= once.lengths.totals).all()
    assert (again.lengths.totals < 0.98 * once.lengths.totals).any()


@pytest.mark.parametrize(
    "samples", [[[0.1, 0.2]], np.full((3, 2), 0.1), np.zeros((2, 2))]
)
def test_samples_of_no_extent(samples):
    geodesic = GeodesicInterpolator(normal_log_density).fit(samples)
    gradient = geodesic.graph_.log_density.with_gradient(A)[1]
    np.testing.assert_allclose(gradient, -A, atol=1e-8)
    assert geodesic.path(A[0], B[0]).converged


def test_samples_of_no_extent_in_a_feature():
    flat = np.column_stack([X[:, 0], np.full(200, 0.1)])
    assert flat.std(axis=0)[1] > 0  # by rounding
    log_density = GeodesicInterpolator(normal_log_density).fit(flat).graph_.log_density
    np.testing.assert_array_equal(log_density.scale, [flat.std(axis=0)[0], 0.0])
    np.testing.assert_allclose(log_density.with_gradient(A)[1], -A, atol=1e-8)


# Fréchet means


def test_mean_in_a_flat_space():
    geodesic = interpolator(lambda X: np.zeros(len(X)))
    np.testing.assert_allclose(geodesic.mean(A), A.mean(axis=0), atol=1e-3)
    weight = np.arange(20.0)
    expected = np.average(A, axis=0, weights=weight)
    np.testing.assert_allclose(geodesic.mean(A, weight), expected, atol=1e-3)


def test_mean_of_two_is_the_middle(geodesic):
    middle = geodesic.interpolate(A[0], B[0], 0.5)
    np.testing.assert_allclose(geodesic.mean([A[0], B[0]]), middle, atol=5e-3)


@densities
def test_mean_is_a_minimum(density):
    geodesic = interpolator(density)
    points = X[np.argsort(X[:, 1])[-15:]]

    def variance(center):
        return np.mean(geodesic.distance(np.tile(center, (15, 1)), points) ** 2)

    mean = geodesic.mean(points)
    least = variance(mean)
    for direction in ([1, 0], [0, 1], [-1, 0], [0, -1]):
        assert variance(mean + 0.02 * np.array(direction)) > least * (1 - 1e-6)


def test_weights_of_zero_are_no_points(geodesic):
    weight = np.r_[np.ones(5), np.zeros(15)]
    np.testing.assert_array_equal(geodesic.mean(A, weight), geodesic.mean(A[:5]))


@pytest.mark.parametrize("weight", [1e308, 5e-324])
def test_weights_of_any_size(geodesic, weight):
    weights = np.full(5, weight)
    np.testing.assert_array_equal(geodesic.mean(A[:5], weights), geodesic.mean(A[:5]))


def test_mean_of_copies(geodesic):
    np.testing.assert_allclose(geodesic.mean([A[0]] * 4), A[0], atol=1e-3)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([0.0] * 20, "one above zero"),
        ([-1.0] + [1.0] * 19, "none is negative"),
        ([1.0] * 19, "inconsistent numbers of samples"),
        (np.ones((20, 1)), r"has shape \(20, 1\): .* one for each row, or None"),
        (2.0, r"sample_weight=2\.0 has shape \(\): pass a list of 20 weights"),
        ([np.nan] * 20, "sample_weight contains NaN"),
    ],
)
def test_weights_that_are_none(geodesic, weight, message):
    with pytest.raises(ValueError, match=message):
        geodesic.mean(A, weight)


# As an estimator


def test_float32(geodesic):
    single = interpolator(lam=0.05)
    ends = A.astype(np.float32), B.astype(np.float32)
    path = single.path(*ends)
    assert {path.points.dtype, path.log_density.dtype, path.length.dtype} == {
        np.dtype(np.float32)
    }
    assert single.distance(ends[0], B).dtype == np.float64
    assert single.interpolate(*ends, 0.5).dtype == np.float32
    assert single.mean(ends[0]).dtype == np.float32
    np.testing.assert_allclose(path.length, geodesic.distance(A, B), rtol=1e-4)


def short(*ends):
    return [end.astype(np.float32) for end in ends]


def test_float32_that_overflows_is_refused():
    geodesic = interpolator(lam=0, p0=1e60)
    for call in (geodesic.path, geodesic.distance):
        call(A, B)
        with pytest.raises(ValueError, match=r"^Distances .* float32 cannot.*Tempered"):
            call(*short(A, B))
    assert geodesic.interpolate(*short(A, B), 0.5).dtype == np.float32


def test_float32_cannot_hold_every_log_density():
    geodesic = interpolator(lambda points: np.full(len(points), -1e39))
    assert geodesic.distance(*short(A, B)).dtype == np.float32
    with pytest.raises(ValueError, match=r"^The largest log densities are 1e\+39"):
        geodesic.path(*short(A, B))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_float32_cannot_hold_every_coordinate():
    """Of an arch whose feet it holds, and not its top."""
    angle, size, base = np.linspace(0, np.pi, 60), 3e38, np.array([0.0, 1e38])

    def log_density(points):
        excess = np.linalg.norm((points - base) / size, axis=1) - 1
        return -((excess / 0.1) ** 2) / 2

    arch = base + size * np.column_stack([np.cos(angle), np.sin(angle)])
    geodesic = GeodesicInterpolator(log_density).fit(arch)
    assert geodesic.interpolate(arch[0], arch[-1], 0.5)[1] > 3.8e38
    feet = short(arch[0], arch[-1])
    for call in (
        lambda: geodesic.path(*feet),
        lambda: geodesic.interpolate(*feet, 0.5),
        lambda: geodesic.mean(np.stack(feet)),
    ):
        with pytest.raises(ValueError, match=r"^The largest coordinates .*e\+38 in"):
            call()


def test_float32_holds_what_is_infinite():
    def log_density(points):
        inside = np.linalg.norm(points - X.mean(axis=0), axis=1) < 2.5
        return np.where(inside, MIXTURE.score_samples(points), -np.inf)

    far = (A + 1e3).astype(np.float32)
    apart = interpolator(log_density, disconnected="inf", epsilon=0.8)
    assert np.isinf(apart.distance(A.astype(np.float32), far)).all()
    path = interpolator(log_density).path(far[0], far[1])
    assert path.log_density.dtype == np.float32
    assert np.isneginf(path.log_density).all()


def test_frames():
    frame = pd.DataFrame(X, columns=["u", "v"])
    geodesic = GeodesicInterpolator(GaussianMixture(8, random_state=0)).fit(frame)
    ends = (pd.DataFrame(Z, columns=["u", "v"]) for Z in (A, B))
    assert geodesic.distance(*ends).shape == (20,)
    with pytest.raises(ValueError, match="feature names"):
        geodesic.distance(*(pd.DataFrame(Z, columns=["v", "u"]) for Z in (A, B)))


def test_series_are_points_with_names(geodesic):
    frame = pd.DataFrame(X, columns=["u", "v"])
    named = GeodesicInterpolator(MIXTURE).fit(frame)
    x, y = (pd.Series(point, index=["u", "v"]) for point in (A[0], B[0]))
    expected = geodesic.path(A[0], B[0], 5)
    for found in (
        named.path(x, y, 5),
        geodesic.path(pd.Series(A[0]), pd.Series(B[0]), 5),
        geodesic.path(pl.Series(A[0]), pl.Series(B[0]), 5),
    ):
        np.testing.assert_array_equal(found.points, expected.points)
    short = named.distance(x.astype(np.float32), y.astype(np.float32))
    assert short.dtype == np.float32
    rows = named.path(frame.iloc[[0]], y, 5)
    assert rows.points.shape == (1, 5, 2)
    for call in (
        lambda: named.path(x, y[["v", "u"]]),
        lambda: named.distance(x[["v", "u"]], y),
        lambda: named.interpolate(frame, y[["v", "u"]], 0.5),
        lambda: named.path(frame[["v", "u"]], y),
    ):
        with pytest.raises(ValueError, match="in the same order as they were"):
            call()
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        named.distance(A[0], y)


def test_n_jobs_and_pickling_change_nothing(geodesic, monkeypatch):
    monkeypatch.setattr(_descent, "NODE_BATCH", 128)
    assert len(_descent._curve_batches(6, geodesic.n_nodes, 2)) == 3
    expected = geodesic.path(A[:6], B[:6])
    for other in (interpolator(n_jobs=2), pickle.loads(pickle.dumps(geodesic))):
        for one, two in zip(other.path(A[:6], B[:6]), expected, strict=True):
            np.testing.assert_array_equal(one, two)


def test_memory_changes_nothing(tmp_path, geodesic):
    expected = geodesic.distance(A, B)
    for _ in range(2):
        cached = interpolator(memory=str(tmp_path))
        np.testing.assert_allclose(cached.distance(A, B), expected, rtol=1e-6)


def test_a_graph_of_ones_own(geodesic):
    graph = kneighbors_graph(X, 12)
    own = GeodesicInterpolator(MIXTURE).fit(X, neighbors_graph=graph)
    np.testing.assert_allclose(own.distance(A, B), geodesic.distance(A, B), rtol=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.path(A, B, n_points=1), "n_points=1: it must be an integer"),
        (lambda g: g.path(A, B, n_points=2.5), "n_points=2.5: it must be an integer"),
        (lambda g: g.path(A, B[:3]), "inconsistent numbers of samples"),
        (lambda g: g.path(A[:1], B), "inconsistent numbers of samples"),
        (lambda g: g.path(A[0], B[None]), "Found array with dim 3"),
        (lambda g: g.path(A[0, :1], B[0, :1]), "expecting 2 features"),
        (lambda g: g.distance(A * np.nan, B), "contains NaN"),
        (lambda g: g.interpolate(A, B, 1.5), "t=1.5: pass a fraction"),
        (lambda g: g.interpolate(A, B, [0.5, np.nan]), "t=.*pass a fraction"),
        (lambda g: g.interpolate(A, B, "half"), "t='half': pass a fraction"),
        (lambda g: g.interpolate(A, B, None), "t=None: pass a fraction"),
        (lambda g: g.interpolate(A, B, [[0.5], [0, 1]]), "t=.*pass a fraction"),
        (lambda g: g.interpolate(A, B, {}), "t={}: pass a fraction"),
        (lambda g: g.interpolate(A, B, np.ones((2, 2))), r"(?s)t=.*pass a fraction"),
    ],
)
def test_refused(geodesic, call, message):
    with pytest.raises(ValueError, match=message):
        call(geodesic)


MANY = {
    "path": lambda g, n: g.path(A, B, n_points=n),
    "n_points of few bits": lambda g, n: g.path(A, B, n_points=np.int16(n)),
    "interpolate": lambda g, n: g.interpolate(A, B, np.linspace(0, 1, n)),
}


@pytest.mark.parametrize("call", MANY.values(), ids=MANY)
def test_more_points_than_memory_holds(geodesic, call, monkeypatch):
    available_memory(monkeypatch, 30_000 * 23 * 4 * 8 - 1)
    monkeypatch.setattr(geodesic, "_geodesics", lambda x, y: pytest.fail("relaxed"))
    message = r"23 dense matrices of shape \(30000, 4\).*fewer (n_points|fractions), or"
    with pytest.raises(ValueError, match=message):
        call(geodesic, 30_000)


@pytest.mark.parametrize("n_pairs", [1, 20])
def test_what_points_take_is_what_memory_has_to_hold(geodesic, n_pairs, monkeypatch):
    needed = 200_000 // n_pairs * (n_pairs + 3) * 4 * 8
    available_memory(monkeypatch, needed)
    ends = A[:n_pairs], B[:n_pairs]
    tracemalloc.start()
    try:
        geodesic.path(*ends, n_points=200_000 // n_pairs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.5 * needed < peak < 1.2 * needed


@pytest.mark.parametrize("index", [0, np.int64(7), None, "a", np.array(1.5)])
def test_indices_are_no_points(geodesic, index):
    for ends in ((index, A[0]), (A, index)):
        for call in (geodesic.path, geodesic.distance):
            with pytest.raises(TypeError, match=r"is no point: .* X\[0\], and not ind"):
                call(*ends)


def test_a_path_is_no_point(geodesic):
    path = geodesic.path(A[0], B[0], 5)
    for ends in ((path, B[0]), (A, path)):
        with pytest.raises(TypeError, match=r"a point\. .* path\.points\[0\]"):
            geodesic.path(*ends)


@pytest.mark.parametrize("method", ["path", "distance"])
def test_not_fitted(method):
    with pytest.raises(NotFittedError):
        getattr(GeodesicInterpolator(), method)(A, B)


# What relaxation and shortcuts change


def test_refined_distances(geodesic):
    rough = graph_distance(shortcuts=True)
    expected = np.minimum(geodesic.distance(A, B), rough.distance(A, B))
    np.testing.assert_array_equal(rough.distance(A, B, refine=True), expected)


def test_discretization_errors_are_those_of_distances():
    rough = graph_distance(random_state=0)
    errors = rough.discretization_errors(200)
    assert errors.shape == (200,)
    assert errors.min() >= 0
    finer = graph_distance(random_state=0, n_graph_neighbors=30, shortcuts=True)
    assert np.median(finer.discretization_errors(200)) < np.median(errors)
    np.testing.assert_array_equal(rough.discretization_errors(200), errors)
    i, j = rough.graph_._random_pairs(200, 0)
    ends = X[i], X[j]
    expected = rough.distance(*ends) / rough.distance(*ends, refine=True) - 1
    np.testing.assert_allclose(errors, np.maximum(expected, 0), rtol=1e-9)


def test_shortcut_gains_are_those_of_distances():
    without = graph_distance(random_state=0, lam=1.0)
    with_them = graph_distance(lam=1.0, shortcuts=True)
    gains = without.shortcut_gains(300)
    assert gains.min() >= 0
    assert gains.max() > 0.2
    i, j = without.graph_._random_pairs(300, 0)
    expected = without.distance(X[i], X[j]) / with_them.distance(X[i], X[j]) - 1
    np.testing.assert_allclose(gains, expected, atol=2e-3)
    np.testing.assert_allclose(with_them.shortcut_gains(300), 0, atol=1e-9)


def test_shortcuts_join_no_components_that_are_kept_apart():
    params = {"disconnected": "inf", "epsilon": 0.8, "lam": 1.0}
    density = KernelDensity(bandwidth=0.2).fit(islands())
    geodesic = GenerativeGeodesicDistance(density, shortcuts=True, **params)
    D = geodesic.fit_transform(islands())
    assert geodesic.graph_.n_components == 2
    assert np.isinf(D[:200, 200:]).all()
    assert np.isfinite(D[:200, :200]).all()
    assert geodesic.discretization_errors(50).min() >= 0


def test_discretization_errors_are_lower_bounds_where_curves_have_not_converged():
    """A density that jumps stops the relaxation."""
    density = KernelDensity(kernel="tophat", bandwidth=0.4).fit(X)
    rough = GenerativeGeodesicDistance(density, random_state=0).fit(X)
    with pytest.warns(ConvergenceWarning, match="have not converged"):
        assert rough.discretization_errors(20).min() >= 0


@pytest.mark.parametrize("n_pairs", [0, -1, 2.5])
@pytest.mark.parametrize("ask", ["discretization_errors", "shortcut_gains"])
def test_numbers_of_pairs_are_checked(ask, n_pairs):
    with pytest.raises((ValueError, TypeError), match="n_pairs"):
        getattr(graph_distance(), ask)(n_pairs)


def test_random_pairs_are_different_and_joined():
    graph = graph_distance(disconnected="inf", epsilon=0.15).graph_
    i, j = graph._random_pairs(2000, 0)
    assert (i != j).all()
    assert np.isfinite(graph.distances()[i, j]).all()
    assert len(np.unique(i)) > 150


def test_a_graph_without_gradient_says_so():
    graph = GeodesicGraph.from_points(X, MIXTURE.score_samples, lam=0.1)
    with pytest.raises(ValueError, match=r"no gradient.*with_gradient"):
        graph.discretization_errors()


def test_no_pairs_to_draw():
    graph = graph_distance(disconnected="inf", epsilon=1e-9).graph_
    with pytest.raises(ValueError, match="No path joins two"):
        graph.shortcut_gains()
