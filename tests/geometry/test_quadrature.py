from functools import cached_property

import numpy as np
import pytest
from sklearn.datasets import make_moons, make_swiss_roll
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skgengeo.geometry import _quadrature
from skgengeo.geometry._edges import NeighborSearch, neighborhood_edges
from skgengeo.geometry._graph import REFERENCE_LAMS
from skgengeo.geometry._quadrature import (
    MAX_NODES,
    MIN_INTERVAL,
    Metric,
    Segments,
    edge_costs,
    profile_edges,
    refine_profile,
)

from .. import _oracles as oracles
from .._densities import Counting

TOL = 1e-3


class Edges:
    """Neighbourhood edges of a sample, ready for the quadrature."""

    def __init__(self, X, log_density, n_neighbors=8):
        self.X, self.log_density = X, Counting(log_density)
        self.i, self.j, self.length = neighborhood_edges(
            NeighborSearch(X), n_neighbors=n_neighbors
        )
        log_p = log_density(X)
        self.segments = Segments(X, self.i, X, self.j, log_p, log_p)
        self.reference = float(np.median(log_p))

    def metrics(self, lams=REFERENCE_LAMS, exponent=1.0):
        return [Metric(lam, self.reference, exponent) for lam in lams]

    def profile(self, metrics, tol=TOL):
        return profile_edges(
            self.segments, self.length, self.log_density, metrics, tol=tol
        )

    @cached_property
    def exact(self):
        """log p on 257 nodes of every second edge."""
        start, end = self.X[self.i[::2]], self.X[self.j[::2]]
        return oracles.log_density_along(self.log_density.log_density, start, end)

    def errors(self, profile, metric):
        """Relative error of those edges against Simpson's rule."""
        exact = self.length[::2] * oracles.mean_costs(self.exact, metric)
        return np.abs(edge_costs(profile, self.length, metric)[::2] / exact - 1)


def moons():
    X, _ = make_moons(250, noise=0.08, random_state=0)
    return Edges(X, KernelDensity(bandwidth=0.12, rtol=1e-10).fit(X).score_samples)


def swiss_roll():
    X, _ = make_swiss_roll(400, noise=0.5, random_state=0)
    mixture = GaussianMixture(15, random_state=0).fit(X)
    return Edges(X, mixture.score_samples)


def one_segment(log_density, metrics, tol=TOL, start=0.0, end=1.0):
    """Profile of the segment from start to end of the line."""
    X = np.array([[start], [end]])
    log_p = log_density(X)
    ends = np.array([0]), np.array([1])
    segments = Segments(X, ends[0], X, ends[1], log_p, log_p)
    counting = Counting(log_density)
    profile = profile_edges(
        segments, np.array([end - start]), counting, metrics, tol=tol
    )
    assert profile.n_evaluations == counting.n_points
    return profile


@pytest.fixture(scope="module", params=[moons, swiss_roll])
def edges(request):
    return request.param()


@pytest.mark.parametrize("lam", REFERENCE_LAMS)
def test_edges_are_within_tolerance(edges, lam):
    profile = edges.profile(edges.metrics())
    errors = edges.errors(profile, Metric(lam, edges.reference))
    assert (errors <= TOL).mean() >= 0.995


def test_evaluations_are_few_and_counted(edges):
    before = edges.log_density.n_points
    profile = edges.profile(edges.metrics())
    assert profile.n_evaluations == edges.log_density.n_points - before
    per_edge = (len(edges.X) + profile.n_evaluations) / len(edges.i)
    assert per_edge <= 5


@pytest.mark.parametrize("exponent", [0.1, 0.5])
def test_smaller_exponents_and_larger_lams_are_served(edges, exponent):
    profile = edges.profile(edges.metrics())
    for lam in (0.01, 0.03, 10.0):
        errors = edges.errors(profile, Metric(lam, edges.reference, exponent))
        assert (errors <= TOL).mean() >= 0.995


def test_error_falls_with_the_tolerance(edges):
    metric = Metric(0.1, edges.reference)
    errors, evaluations = [], []
    for tol in (1e-2, 1e-3, 1e-4):
        profile = edges.profile(edges.metrics(), tol=tol)
        found = edges.errors(profile, metric)
        assert (found <= tol).mean() >= 0.99
        errors.append(np.quantile(found, 0.99))
        evaluations.append(profile.n_evaluations)
    assert np.all(np.diff(errors) < 0)
    assert np.all(np.diff(evaluations) > 0)


def test_profile_passes_through_the_density(edges):
    profile = edges.profile(edges.metrics())
    edge = np.repeat(np.arange(len(edges.i)), np.diff(profile.indptr))
    points = edges.segments.points(edge, profile.position)
    expected = edges.log_density.log_density(points)
    np.testing.assert_allclose(profile.log_density, expected, rtol=1e-9, atol=1e-9)
    first, last = profile.indptr[:-1], profile.indptr[1:] - 1
    assert (profile.position[first] == 0).all()
    assert (profile.position[last] == 1).all()
    steps = np.diff(profile.position)
    assert (np.delete(steps, last[:-1]) > 0).all()


def test_refining_reaches_other_metrics_and_keeps_what_it_has(edges):
    coarse = edges.profile(edges.metrics())
    other = Metric(1e-4, edges.reference)
    before = edges.log_density.n_points
    fine = refine_profile(
        coarse,
        edges.segments,
        edges.length,
        edges.log_density,
        [*edges.metrics(), other],
        tol=TOL / 10,
    )
    fresh = edges.log_density.n_points - before
    assert fresh > 0
    assert fine.n_evaluations == coarse.n_evaluations + fresh
    assert np.diff(fine.indptr).sum() == np.diff(coarse.indptr).sum() + fresh
    assert (edges.errors(fine, other) <= TOL).mean() >= 0.995


def test_refining_for_what_is_served_asks_nothing(edges):
    profile = edges.profile(edges.metrics())
    before = edges.log_density.n_points
    again = refine_profile(
        profile,
        edges.segments,
        edges.length,
        edges.log_density,
        edges.metrics(),
        tol=TOL,
    )
    assert edges.log_density.n_points == before
    np.testing.assert_array_equal(again.position, profile.position)
    np.testing.assert_array_equal(again.error, profile.error)


def test_an_edge_does_not_depend_on_the_others(edges):
    # Elementwise, so that its rounding does not depend on the batch either.
    def log_density(points):
        return -(np.abs(np.sin(3 * points[:, 0])) ** 3) - points[:, 1] ** 2

    some = Edges(edges.X, log_density)
    metrics = some.metrics()
    profile = some.profile(metrics)
    rows = np.array([3, 11, 42])
    segments = some.segments._replace(i=some.i[rows], j=some.j[rows])
    alone = profile_edges(segments, some.length[rows], log_density, metrics, tol=TOL)
    np.testing.assert_array_equal(
        edge_costs(alone, some.length[rows], metrics[0]),
        edge_costs(profile, some.length, metrics[0])[rows],
    )


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_cheap_where_log_density_is_a_parabola(degree):
    # The whole of a Gaussian: met by the parabola at once.
    def log_density(points):
        return 3.0 * points[:, 0] ** degree

    metrics = [Metric(lam, 1.0) for lam in REFERENCE_LAMS]
    profile = one_segment(log_density, metrics)
    assert profile.n_evaluations == 3
    for metric in metrics:
        exact = oracles.segment_costs(
            log_density, np.array([[0.0]]), np.array([[1.0]]), metric
        )
        found = edge_costs(profile, np.ones(1), metric)
        np.testing.assert_allclose(found, exact, rtol=1e-5)


@pytest.mark.parametrize("half_width", [4.0, 8.0, 12.0, 30.0])
def test_steep_edges_are_integrated_in_panels(half_width):
    # The interpolant is exact, and the cost changes within a small part of the edge.
    def log_density(points):
        return -(points[:, 0] ** 2) / 2

    metrics = [Metric(lam, -25.0) for lam in REFERENCE_LAMS]
    profile = one_segment(log_density, metrics, start=-half_width, end=half_width)
    for metric in metrics:
        exact = oracles.segment_costs(
            log_density,
            np.array([[-half_width]]),
            np.array([[half_width]]),
            metric,
            n_nodes=20_001,
        )
        found = edge_costs(profile, np.array([2 * half_width]), metric)
        np.testing.assert_allclose(found, exact, rtol=1e-4)


def test_exponential_in_closed_form():
    # log p = -a x at lam = 0 costs (exp(a) - 1) / a.
    profile = one_segment(lambda points: -5 * points[:, 0], [Metric(0.0, 0.0)], 1e-8)
    found = edge_costs(profile, np.ones(1), Metric(0.0, 0.0))
    assert found == pytest.approx(np.expm1(5) / 5, rel=1e-8)


def test_peaks_between_the_nodes_are_integrated():
    rng = np.random.default_rng(0)
    metric = Metric(0.01, -5.0)
    ends = np.array([[0.0]]), np.array([[1.0]])
    for middle, width in zip(rng.random(60), [0.01, 0.02, 0.03] * 20, strict=True):

        def log_density(points, middle=middle, width=width):
            return -0.5 * ((points[:, 0] - middle) / width) ** 2

        profile = one_segment(log_density, [metric])
        exact = oracles.segment_costs(log_density, *ends, metric, n_nodes=10_001)
        found = edge_costs(profile, np.ones(1), metric)
        np.testing.assert_allclose(found, exact, rtol=TOL)


def test_blocks_of_edges_change_nothing(monkeypatch):
    edges = moons()
    metrics = edges.metrics()
    expected = edge_costs(edges.profile(metrics), edges.length, metrics[2])
    monkeypatch.setattr(_quadrature, "EDGE_BATCH", 17)
    found = edge_costs(edges.profile(metrics), edges.length, metrics[2])
    np.testing.assert_array_equal(found, expected)


def test_no_length_no_nodes():
    X = np.zeros((2, 3))
    ends = np.array([0]), np.array([1])
    segments = Segments(X, ends[0], X, ends[1], np.zeros(2), np.zeros(2))
    counting = Counting(lambda points: np.zeros(len(points)))
    profile = profile_edges(
        segments, np.zeros(1), counting, [Metric(0.1, 0.0)], tol=TOL
    )
    assert counting.n_points == profile.n_evaluations == 0
    assert edge_costs(profile, np.zeros(1), Metric(0.1, 0.0)) == 0


def test_no_edges():
    none = np.empty(0, dtype=np.int64)
    segments = Segments(
        np.zeros((1, 2)), none, np.zeros((1, 2)), none, *np.zeros((2, 1))
    )
    profile = profile_edges(segments, np.empty(0), None, [Metric(0.1, 0.0)], tol=TOL)
    assert len(edge_costs(profile, np.empty(0), Metric(0.1, 0.0))) == 0


def tophat(points):
    """-inf beyond 0.3."""
    return np.where(points[:, 0] < 0.3, 0.0, -np.inf)


def step(points):
    """A jump between finite values, at 0.3."""
    return np.where(points[:, 0] < 0.3, 0.0, -20.0)


@pytest.mark.parametrize("log_density", [tophat, step])
@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-9])
def test_jumps_end_at_the_caps_and_report_their_error(log_density, tol):
    metrics = [Metric(lam, 0.0) for lam in (0.1, 0.01)]
    profile = one_segment(log_density, metrics, tol)
    assert len(profile.position) <= MAX_NODES
    assert np.diff(profile.position).min() >= MIN_INTERVAL / 2
    if tol == 1e-9:
        assert profile.error[0] > tol
    right = np.searchsorted(profile.position, 0.3)
    around = profile.position[right] - profile.position[right - 1]
    for metric in metrics:
        ceiling = oracles.cost_of(log_density(np.array([[1.0]]))[0], metric.lam)
        exact = 0.3 + 0.7 * ceiling
        error = abs(edge_costs(profile, np.ones(1), metric)[0] - exact)
        # The jump is somewhere in its interval.
        assert error <= around * (ceiling - 1)
        if log_density is tophat:
            assert error / exact <= max(profile.error[0], tol)


def test_tophat_kernel_density_stays_within_the_caps():
    X, _ = make_moons(150, noise=0.08, random_state=0)
    tophats = KernelDensity(kernel="tophat", bandwidth=0.2).fit(X)
    edges = Edges(X, tophats.score_samples, n_neighbors=5)
    profile = edges.profile(edges.metrics())
    count = np.diff(profile.indptr)
    assert count.max() <= MAX_NODES
    metric = Metric(0.1, edges.reference)
    costs = edge_costs(profile, edges.length, metric)
    assert np.isfinite(costs).all()
    assert (profile.error[count >= MAX_NODES] > 0).all()
    # What is not met is said.
    missed = edges.errors(profile, metric) > 0.05
    assert (profile.error[::2][missed] > TOL).all()


def test_rounded_log_density_stays_within_the_caps():
    def rounded(points):
        return (100 * np.sin(points[:, 0])).astype(np.float32).astype(np.float64)

    profile = one_segment(rounded, [Metric(0.1, 50.0)], tol=1e-9)
    assert len(profile.position) <= MAX_NODES
    metric = Metric(0.1, 50.0)
    smooth = oracles.segment_costs(
        lambda points: 100 * np.sin(points[:, 0]),
        np.array([[0.0]]),
        np.array([[1.0]]),
        metric,
        n_nodes=4097,
    )
    found = edge_costs(profile, np.ones(1), metric)
    np.testing.assert_allclose(found, smooth, rtol=1e-3)


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_n_jobs_changes_nothing(edges, monkeypatch, n_jobs):
    monkeypatch.setattr(_quadrature, "EDGE_BATCH", 17)
    args = edges.segments, edges.length, edges.log_density
    first, further = edges.metrics(), edges.metrics([1e-3])

    def found(n_jobs):
        profile = profile_edges(*args, first, tol=TOL, n_jobs=n_jobs)
        finer = refine_profile(profile, *args, further, tol=TOL / 9, n_jobs=n_jobs)
        costs = edge_costs(finer, edges.length, further[0], n_jobs=n_jobs)
        return *profile, *finer, costs

    for one, some in zip(found(None), found(n_jobs), strict=True):
        np.testing.assert_array_equal(some, one)


def test_outside_the_support_throughout():
    profile = one_segment(
        lambda points: np.full(len(points), -np.inf), [Metric(0.1, 0)]
    )
    found = edge_costs(profile, np.ones(1), Metric(0.1, 0.0))
    assert found == pytest.approx(1.1 / 0.1)


def test_read_only_arrays():
    edges = moons()
    metrics = edges.metrics()
    expected = edge_costs(edges.profile(metrics), edges.length, metrics[0])
    for array in (edges.X, edges.i, edges.j, edges.length, *edges.segments):
        array.setflags(write=False)
    profile = edges.profile(metrics)
    for array in profile[:4]:
        array.setflags(write=False)
    np.testing.assert_array_equal(
        edge_costs(profile, edges.length, metrics[0]), expected
    )
    finer = refine_profile(
        profile,
        edges.segments,
        edges.length,
        edges.log_density,
        edges.metrics([1e-3]),
        tol=TOL / 100,
    )
    assert finer.n_evaluations > profile.n_evaluations
