import pickle
from functools import cache
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import coo_array, csr_array
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from skgengeo import GenerativeGeodesicDistance
from skgengeo._base import check_array_fits
from skgengeo._distance import DENSE_REMEDY
from skgengeo.density import ManifoldParzenWindows
from skgengeo.density._sums import KernelSum
from skgengeo.geometry import GeodesicGraph
from skgengeo.geometry._geodesics import refined_lengths
from skgengeo.geometry._quadrature import Metric

from . import _oracles as oracles
from ._densities import Counting, normal_log_density
from ._machine import available_memory

QUAD_TOL = 1e-3
RULES = [
    {"n_graph_neighbors": 6},
    {"epsilon": 0.7},
    {"epsilon": 0.7, "n_graph_neighbors": 6},
]
METRICS = [(0.1, 1.0), (1.0, 2.0), (0.0, 0.5)]
LAMS = [1.0, 0.01, np.inf, 0.1]


def moons(n=60, noise=0.1, seed=0):
    return make_moons(n, noise=noise, random_state=seed)[0]


def islands():
    """Two lines of ten points, far apart."""
    line = np.column_stack([np.linspace(0, 2, 10), np.zeros(10)])
    return np.vstack([line, line + np.array([0.3, 7.0])])


X = moons()
NEW = moons(20, noise=0.15, seed=1)


def geodesic_distance(density=None, **params):
    density = KernelDensity(bandwidth=0.3) if density is None else density
    params = params if "epsilon" in params else {"n_graph_neighbors": 6} | params
    return GenerativeGeodesicDistance(density, **params)


@pytest.fixture(scope="module")
def geodesic():
    return geodesic_distance().fit(X)


@pytest.fixture(scope="module")
def D(geodesic):
    return geodesic.distance_matrix()


# Slow twins


class SlowGeodesics:
    """Edges by sorting, costs by Simpson's rule, paths by a binary heap."""

    def __init__(self, samples, lam=0.05, exponent=1.0, bandwidth=0.3, **rule):
        self.samples, self.bandwidth = samples, bandwidth
        self.epsilon = rule.get("epsilon", np.inf)
        self.k = rule.get("n_graph_neighbors")
        self.metric = Metric(lam, np.median(self.log_density(samples)), exponent)
        pairs = oracles.neighborhood(samples, epsilon=self.epsilon, n_neighbors=self.k)
        i, j = np.array(sorted(pairs)).T
        cost = self.costs(samples[i], samples[j])
        both = np.r_[cost, cost], (np.r_[i, j], np.r_[j, i])
        graph = coo_array(both, shape=(len(samples), len(samples))).tocsr()
        found = [oracles.dijkstra(graph, [(s, 0.0)])[0] for s in range(len(samples))]
        self.distances = np.array(found)

    def log_density(self, points):
        """A Gaussian at each sample."""
        gaps = np.linalg.norm(points[:, None] - self.samples[None], axis=2)
        n, d = self.samples.shape
        constant = np.log(n) + d * np.log(self.bandwidth * np.sqrt(2 * np.pi))
        return logsumexp(-((gaps / self.bandwidth) ** 2) / 2, axis=1) - constant

    def costs(self, start, end):
        return oracles.segment_costs(self.log_density, start, end, self.metric, 65)

    def joins(self, point):
        """Samples that a new point is joined to, the costs, and how far they reach."""
        length = np.linalg.norm(self.samples - point, axis=1)
        joined = np.argsort(length)[: self.k]
        reach = np.inf if self.k is None else length[joined[-1]]
        joined = joined[length[joined] <= self.epsilon]
        ends = self.samples[joined]
        return joined, self.costs(np.broadcast_to(point, ends.shape), ends), reach

    def to_samples(self, point):
        joined, cost, _ = self.joins(point)
        return (cost[:, None] + self.distances[joined]).min(axis=0)

    def between(self, p, q):
        (_, _, reach_p), (joined, cost, reach_q) = self.joins(p), self.joins(q)
        through = (self.to_samples(p)[joined] + cost).min()
        if np.linalg.norm(p - q) <= min(self.epsilon, max(reach_p, reach_q)):
            through = min(through, self.costs(p[None], q[None])[0])
        return through


@cache
def slow_geodesics(rule, **params):
    return SlowGeodesics(X, **RULES[rule], **params)


# The matrix of distances


@pytest.mark.parametrize("rule", range(len(RULES)))
@pytest.mark.parametrize(("lam", "exponent"), METRICS)
def test_agrees_with_its_slow_twin(lam, exponent, rule):
    slow = slow_geodesics(rule, lam=lam, exponent=exponent)
    fast = geodesic_distance(lam=lam, exponent=exponent, **RULES[rule])
    fast = fast.fit_transform(X)
    np.testing.assert_allclose(fast, slow.distances, rtol=2 * QUAD_TOL)


def test_default_number_of_neighbors():
    density = KernelDensity(bandwidth=0.3)
    chosen = GenerativeGeodesicDistance(density).fit_transform(X)
    # ceil(log2(60))
    given = GenerativeGeodesicDistance(density, n_graph_neighbors=6).fit_transform(X)
    np.testing.assert_array_equal(chosen, given)


def test_fit_transform_is_fit_and_then_all_rows(geodesic, D):
    np.testing.assert_array_equal(clone(geodesic).fit_transform(X), D)


def test_what_is_fitted(geodesic):
    kde = KernelDensity(bandwidth=0.3).fit(X)
    np.testing.assert_array_equal(
        geodesic.density_.score_samples(X), kde.score_samples(X)
    )
    assert geodesic.log_p0_ == pytest.approx(np.median(kde.score_samples(X)), rel=1e-14)
    assert geodesic.p0_ == pytest.approx(np.exp(geodesic.log_p0_), rel=1e-14)
    assert geodesic.graph_.n_vertices == 60
    assert geodesic.n_features_in_ == 2


@pytest.mark.parametrize(("offset", "p0"), [(1e4, np.inf), (-1e4, 0.0)])
def test_p0_may_leave_floating_point(offset, p0):
    D = geodesic_distance(normal_log_density).fit_transform(X)
    shifted = geodesic_distance(lambda P: normal_log_density(P) + offset)
    np.testing.assert_allclose(shifted.fit_transform(X), D, rtol=1e-9)
    assert shifted.p0_ == p0
    assert shifted.log_p0_ == pytest.approx(offset, rel=1e-3)


def test_labels_are_handed_to_the_density(watched):
    y = np.arange(60) % 2
    geodesic_distance(watched()).fit(X, y)
    np.testing.assert_array_equal(watched.fits[0][1], y)


# New points


@pytest.mark.parametrize("rule", range(len(RULES)))
def test_new_points_are_joined_to_their_neighbors(rule):
    slow = slow_geodesics(rule)
    found = geodesic_distance(**RULES[rule]).fit(X).transform(NEW)
    expected = [slow.to_samples(point) for point in NEW]
    np.testing.assert_allclose(found, expected, rtol=2 * QUAD_TOL)


@pytest.mark.parametrize("rule", range(len(RULES)))
def test_new_points_are_min_plus_over_their_edges(rule):
    geodesic = geodesic_distance(**RULES[rule]).fit(X)
    seeds, D = geodesic.graph_.attach(NEW), geodesic.distance_matrix()
    expected = np.full((len(NEW), len(X)), np.inf)
    for row in range(len(NEW)):
        for e in range(seeds.indptr[row], seeds.indptr[row + 1]):
            through = seeds.distance[e] + D[seeds.vertex[e]]
            expected[row] = np.minimum(expected[row], through)
    np.testing.assert_allclose(geodesic.transform(NEW), expected, rtol=1e-13)


@pytest.mark.parametrize("rule", range(len(RULES)))
def test_a_training_sample_is_no_new_point(rule):
    geodesic = geodesic_distance(**RULES[rule]).fit(X)
    np.testing.assert_allclose(
        geodesic.transform(X[::7]), geodesic.distance_matrix()[::7], rtol=1e-13
    )


# Landmarks


def test_landmarks_are_columns_of_the_matrix(D):
    few = geodesic_distance(n_landmarks=7, random_state=0)
    found = few.fit_transform(X)
    assert len(set(few.landmarks_)) == 7
    np.testing.assert_allclose(found, D[:, few.landmarks_], rtol=1e-13)
    np.testing.assert_array_equal(few.landmark_distances_, found)


def test_new_points_to_landmarks(geodesic):
    few = geodesic_distance(n_landmarks=7, random_state=0).fit(X)
    expected = geodesic.transform(NEW)[:, few.landmarks_]
    np.testing.assert_allclose(few.transform(NEW), expected, rtol=1e-13)


def test_all_samples_may_be_landmarks(D):
    every = geodesic_distance(n_landmarks=60).fit(X)
    np.testing.assert_array_equal(every.landmarks_, np.arange(60))
    np.testing.assert_allclose(every.distance_matrix(), D, rtol=1e-13)


def test_landmarks_of_the_last_fit():
    geodesic = geodesic_distance(n_landmarks=5).fit(X)
    geodesic.n_landmarks = None
    assert geodesic.transform(NEW).shape == (len(NEW), 5)
    geodesic.fit(X)
    assert not hasattr(geodesic, "landmarks_")
    geodesic.n_landmarks = 5
    assert geodesic.transform(NEW).shape == (len(NEW), len(X))


def test_random_state_chooses_landmarks():
    def landmarks(seed):
        few = geodesic_distance(n_landmarks=7, random_state=seed)
        return few.fit(X).landmarks_.tolist()

    assert landmarks(0) == landmarks(0) == landmarks(np.random.RandomState(0))
    assert landmarks(0) != landmarks(1)


def test_methods_with_landmarks(geodesic, D):
    few = geodesic_distance(n_landmarks=7, random_state=0).fit(X)
    np.testing.assert_allclose(
        few.distance_matrix([5, 2]), D[[5, 2]][:, few.landmarks_], rtol=1e-13
    )
    assert few.path(0, 9)[1] == geodesic.path(0, 9)[1]
    np.testing.assert_array_equal(
        few.distance(X, NEW[[0] * 60]), geodesic.distance(X, NEW[[0] * 60])
    )
    for lam, distances in few.lam_path(LAMS, sources=[5, 2]):
        refit = geodesic_distance(lam=lam, n_landmarks=7, random_state=0)
        np.testing.assert_array_equal(distances, refit.fit_transform(X)[[5, 2]])


# Some rows of the matrix


@pytest.mark.parametrize(
    "sources", [[4], [59, 0, 7], [3, 3], np.array([2, 1]), range(5)]
)
def test_rows_of_the_matrix(geodesic, D, sources):
    rows = geodesic.distance_matrix(sources)
    np.testing.assert_allclose(rows, D[list(sources)], rtol=1e-13)
    np.testing.assert_allclose(
        geodesic.distance_matrix(sources=sources), D[list(sources)], rtol=1e-13
    )


def test_one_row_and_none(geodesic, D):
    np.testing.assert_allclose(geodesic.distance_matrix(3), D[[3]], rtol=1e-13)
    assert geodesic.distance_matrix([]).shape == (0, 60)


BAD_INDICES = {
    "too large": (60, "Index 60 is not that of a training sample: .* from 0 to 59"),
    "negative": (-1, "Index -1 is not that of a training sample: .* from 0 to 59"),
    "float": (1.5, "not integers. Pass the positions of training samples"),
    "text": ("a", "not integers. Pass the positions of training samples"),
}


@pytest.mark.parametrize(("index", "message"), BAD_INDICES.values(), ids=BAD_INDICES)
def test_indices_that_name_no_sample(geodesic, index, message):
    with pytest.raises(ValueError, match=message):
        geodesic.distance_matrix([index])
    with pytest.raises(ValueError, match=message):
        list(geodesic.lam_path([1.0], sources=[index]))
    for i, j in [(index, 0), (0, index)]:
        with pytest.raises(ValueError, match="sample"):
            geodesic.path(i, j)


def test_sources_are_no_mask(geodesic):
    with pytest.raises(ValueError, match=r"not integers\. Pass the positions"):
        geodesic.distance_matrix(np.arange(60) < 5)


def test_sources_are_a_flat_list(geodesic):
    with pytest.raises(ValueError, match=r"shape \(1, 2\): pass a flat list"):
        geodesic.distance_matrix([[0, 1]])


# Paths


def test_paths_are_as_long_as_the_distance(geodesic, D):
    weights = geodesic.graph_.weights
    for i, j in [(0, 1), (5, 40), (40, 5), (13, 13), (59, 0)]:
        indices, length = geodesic.path(i, j)
        assert (indices[0], indices[-1]) == (i, j)
        steps = sum(weights[u, v] for u, v in pairwise(indices))
        assert steps == pytest.approx(length, rel=1e-13)
        assert length == pytest.approx(D[i, j], rel=1e-13)


def test_path_to_itself(geodesic):
    indices, length = geodesic.path(7, 7)
    assert indices.tolist() == [7]
    assert length == 0.0


# Matched rows


def test_matched_training_samples_are_entries_of_the_matrix(geodesic, D):
    i, j = np.random.default_rng(0).integers(60, size=(2, 40))
    np.testing.assert_allclose(geodesic.distance(X[i], X[j]), D[i, j], rtol=1e-13)


def test_matched_new_points_and_samples_are_entries_of_transform(geodesic):
    expected = geodesic.transform(NEW)[np.arange(20), np.arange(20)]
    np.testing.assert_allclose(geodesic.distance(NEW, X[:20]), expected, rtol=1e-13)
    np.testing.assert_allclose(geodesic.distance(X[:20], NEW), expected, rtol=1e-13)


@pytest.mark.parametrize("rule", range(len(RULES)))
def test_matched_new_points(rule):
    geodesic, slow = geodesic_distance(**RULES[rule]).fit(X), slow_geodesics(rule)
    # Some pairs are neighbours, others are not.
    P, Q = np.repeat(NEW, 3, axis=0), np.vstack([NEW + 0.05, NEW[::-1], NEW - 0.2])
    Q = Q.reshape(3, 20, 2).swapaxes(0, 1).reshape(60, 2)
    found = geodesic.distance(P, Q)
    expected = [slow.between(p, q) for p, q in zip(P, Q, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=2 * QUAD_TOL)
    np.testing.assert_allclose(geodesic.distance(Q, P), found, rtol=QUAD_TOL)


def test_neighboring_new_points_are_joined_directly(geodesic):
    step = 1e-4 * np.array([1.0, 1.0])
    found = geodesic.distance(NEW, NEW + step)
    cost = slow_geodesics(0).costs(NEW, NEW + step)
    np.testing.assert_allclose(found, cost, rtol=QUAD_TOL)
    # To a training sample and back is longer.
    assert (found < geodesic.transform(NEW).min(axis=1)).all()


def test_refined_distances_are_no_longer_than_those_of_the_graph():
    # On a line no path is shortened, and each is measured twice.
    line = np.linspace(-2, 2, 9)[:, None]
    geodesic = GenerativeGeodesicDistance(lambda P: np.sin(3 * P[:, 0])).fit(line)
    i, j = np.triu_indices(9, 1)
    rough = geodesic.distance(line[i], line[j])
    measured_anew = refined_lengths(geodesic.graph_, line[i], line[j])
    assert (measured_anew > rough).any()
    np.testing.assert_allclose(measured_anew, rough, rtol=QUAD_TOL)
    refined = geodesic.distance(line[i], line[j], refine=True)
    np.testing.assert_array_equal(refined, np.minimum(rough, measured_anew))


@pytest.mark.parametrize("refine", ["yes", "no", 1, None])
def test_refine_is_a_boolean(geodesic, refine):
    expected = geodesic.distance(NEW, X[:20], refine=False)
    found = geodesic.distance(NEW, X[:20], refine=np.bool_(False))
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=f"refine={refine!r}: .* Pass True for"):
        geodesic.distance(NEW, X[:20], refine=refine)


def test_a_new_point_to_itself(geodesic):
    np.testing.assert_array_equal(geodesic.distance(NEW, NEW), 0.0)


def test_no_pairs(geodesic):
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        geodesic.distance(X[:0], X[:0])


def test_rows_must_match(geodesic):
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[3, 2\]"):
        geodesic.distance(X[:3], X[:2])


# Several λ


def test_lam_path_keeps_the_order_and_equals_refits(geodesic, D):
    found = list(geodesic.lam_path(LAMS))
    assert [lam for lam, _ in found] == LAMS
    for lam, distances in found:
        refit = geodesic_distance(lam=lam).fit_transform(X)
        np.testing.assert_array_equal(distances, refit)
    np.testing.assert_array_equal(geodesic.distance_matrix(), D)


def test_lam_path_below_the_range_equals_refits(geodesic):
    for lam, distances in geodesic.lam_path([1e-3, 0.0, 0.1]):
        refit = geodesic_distance(lam=lam).fit_transform(X)
        np.testing.assert_allclose(distances, refit, rtol=2 * QUAD_TOL)


def test_lam_path_of_some_rows(geodesic):
    every = geodesic.lam_path(LAMS)
    some = geodesic.lam_path(iter(LAMS), sources=[8, 1])
    for (lam, distances), (same, rows) in zip(every, some, strict=True):
        assert lam == same
        np.testing.assert_allclose(rows, distances[[8, 1]], rtol=1e-13)


def test_lam_path_evaluates_no_density(watched):
    geodesic = geodesic_distance(watched()).fit(X)
    before = watched.n_rows_scored()
    assert before == geodesic.graph_.n_evaluations
    list(geodesic.lam_path(LAMS))
    assert watched.n_rows_scored() == before


def test_lam_path_evaluates_where_small_lams_need_it():
    density = Counting(KernelDensity(bandwidth=0.05).fit(X).score_samples)
    geodesic = geodesic_distance(density).fit(X)
    before = density.n_points
    list(geodesic.lam_path(LAMS))
    assert density.n_points == before
    list(geodesic.lam_path([0.0]))
    assert density.n_points > before
    assert geodesic.graph_.n_evaluations == before


@pytest.mark.parametrize("lam", [-0.1, np.nan, -np.inf, "auto", None])
def test_lam_path_refuses_before_it_computes(geodesic, lam):
    with pytest.raises(ValueError, match=rf"lam={lam!r} .*\[0, inf\]. Pass np.inf"):
        geodesic.lam_path([1.0, lam])


def test_lam_path_of_one_number(geodesic):
    with pytest.raises(ValueError, match=r"lams=0.1: pass several .* as \[0.1\]"):
        geodesic.lam_path(0.1)


# Memory


def test_refusal_says_what_to_do(monkeypatch):
    available_memory(monkeypatch, 8 * 2**30)
    message = (
        r"shape \(200000, 200000\) takes 298.0 GiB, and 8.0 GiB are available.*"
        "n_landmarks.*sources="
    )
    with pytest.raises(ValueError, match=message):
        check_array_fits(200_000, 200_000, np.float64, DENSE_REMEDY)


TOO_LARGE = {
    "fit_transform": (lambda g: g.fit_transform(X), 60),
    "transform": (lambda g: g.transform(NEW), 20),
    "distance_matrix": (lambda g: g.distance_matrix(), 60),
    "sources": (lambda g: g.distance_matrix(range(9)), 9),
    "lam_path": (lambda g: list(g.lam_path([1.0])), 60),
}


@pytest.mark.parametrize(("call", "n_rows"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_refused_before_it_is_computed(monkeypatch, call, n_rows):
    geodesic = geodesic_distance().fit(X)
    available_memory(monkeypatch, n_rows * 60 * 8)
    call(geodesic)

    def computed(*args, **kwargs):
        pytest.fail("distances were computed")

    available_memory(monkeypatch, n_rows * 60 * 8 - 1)
    monkeypatch.setattr(GeodesicGraph, "distances_from", computed)
    with pytest.raises(ValueError, match=rf"shape \({n_rows}, 60\) takes"):
        call(geodesic)


def test_refused_before_the_density_is_fitted(monkeypatch, watched):
    available_memory(monkeypatch, 60 * 60 * 8 - 1)
    with pytest.raises(ValueError, match=r"shape \(60, 60\) takes"):
        geodesic_distance(watched()).fit_transform(X)
    assert watched.fits == []


def test_distances_to_landmarks_are_refused_too(monkeypatch):
    available_memory(monkeypatch, 60 * 5 * 8)
    five = geodesic_distance(n_landmarks=5).fit(X)
    with pytest.raises(ValueError, match=r"shape \(61, 5\) takes"):
        five.transform(moons(61))
    with pytest.raises(ValueError, match=r"shape \(60, 6\) takes"):
        geodesic_distance(n_landmarks=6).fit(X)


def test_float32_needs_half(monkeypatch):
    available_memory(monkeypatch, 60 * 60 * 4)
    geodesic_distance().fit_transform(X.astype(np.float32))
    with pytest.raises(ValueError, match="float32 input halves it"):
        geodesic_distance().fit_transform(X)


# Names and containers


@pytest.mark.parametrize(("n_landmarks", "n"), [(None, 60), (7, 7)])
def test_names_of_the_columns(n_landmarks, n):
    geodesic = geodesic_distance(n_landmarks=n_landmarks).fit(X)
    expected = [f"generativegeodesicdistance{c}" for c in range(n)]
    assert geodesic.get_feature_names_out().tolist() == expected


@pytest.mark.parametrize("n_landmarks", [None, 7])
@pytest.mark.parametrize(
    ("container", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_output_in_frames(container, frame, n_landmarks):
    params = {"n_landmarks": n_landmarks, "random_state": 0}
    plain = geodesic_distance(**params).fit(X)
    geodesic = geodesic_distance(**params).set_output(transform=container)
    for found, expected in [
        (geodesic.fit_transform(X), plain.distance_matrix()),
        (geodesic.transform(NEW), plain.transform(NEW)),
    ]:
        assert isinstance(found, frame)
        assert list(found.columns) == geodesic.get_feature_names_out().tolist()
        np.testing.assert_array_equal(found.to_numpy(), expected)


def test_output_keeps_the_index():
    table = pd.DataFrame(X, columns=["east", "north"], index=range(100, 160))
    geodesic = geodesic_distance().set_output(transform="pandas")
    assert geodesic.fit_transform(table).index.equals(table.index)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_input_in_frames(geodesic, D, frame):
    table = frame(dict(zip(["east", "north"], X.T, strict=True)))
    named = geodesic_distance()
    np.testing.assert_array_equal(named.fit_transform(table), D)
    assert named.feature_names_in_.tolist() == ["east", "north"]
    np.testing.assert_allclose(named.transform(table[:5]), D[:5], rtol=1e-13)
    with pytest.raises(ValueError, match="feature names should match"):
        named.transform(table[["north", "east"]])


def test_density_that_was_fitted_on_a_frame(D):
    table = pd.DataFrame(X, columns=["east", "north"])
    density = KernelDensity(bandwidth=0.3).fit(table)
    for samples in (table, X):
        np.testing.assert_array_equal(
            geodesic_distance(density).fit_transform(samples), D
        )
    message = r"KernelDensity was fitted on features \['east', 'north'\].*Pass X with"
    with pytest.raises(ValueError, match=message):
        geodesic_distance(density).fit(table[["north", "east"]])


SPARSE_CALLS = {
    "fit": lambda g, S: g.fit(S),
    "fit_transform": lambda g, S: g.fit_transform(S),
    "transform": lambda g, S: g.transform(S),
    "distance": lambda g, S: g.distance(S, S),
}


@pytest.mark.parametrize("call", SPARSE_CALLS.values(), ids=SPARSE_CALLS)
def test_sparse_points_are_refused(call):
    geodesic = geodesic_distance().fit(X)
    with pytest.raises(TypeError, match=r"Sparse data was passed.*toarray"):
        call(geodesic, csr_array(X))


def test_methods_need_a_fit():
    geodesic = geodesic_distance()
    calls = [
        lambda: geodesic.transform(X),
        lambda: geodesic.distance_matrix(),
        lambda: geodesic.distance(X, X),
        lambda: geodesic.path(0, 1),
        lambda: geodesic.lam_path([1.0]),
    ]
    for call in calls:
        with pytest.raises(NotFittedError, match="GenerativeGeodesicDistance"):
            call()


# float32


def test_float32_is_computed_in_float64_and_cast():
    X32, NEW32 = X.astype(np.float32), NEW.astype(np.float32)
    exact = geodesic_distance().fit(X32.astype(np.float64))
    short = geodesic_distance()
    pairs = [
        (short.fit_transform(X32), exact.distance_matrix()),
        (short.transform(NEW32), exact.transform(NEW32.astype(np.float64))),
        (short.distance_matrix([3]), exact.distance_matrix([3])),
        (short.distance(NEW32, NEW32), np.zeros(20)),
        (next(short.lam_path([1.0]))[1], next(exact.lam_path([1.0]))[1]),
    ]
    for found, expected in pairs:
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("n_landmarks", [None, 5])
@pytest.mark.parametrize(
    ("given", "kept"),
    [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)],
)
def test_type_of_the_result(given, kept, n_landmarks):
    samples = (10 * X).astype(given)
    geodesic = geodesic_distance(KernelDensity(), n_landmarks=n_landmarks)
    for table in (samples, pd.DataFrame(samples)):
        assert geodesic.fit_transform(table).dtype == kept
        assert geodesic.transform(table).dtype == kept


@pytest.mark.parametrize("steepness", [100.0, 150.0])
def test_float32_that_overflows_is_refused(steepness):
    geodesic = geodesic_distance(lambda points: -steepness * points[:, 0] ** 2, lam=0)
    assert np.isfinite(geodesic.fit_transform(X)).all()
    with pytest.raises(ValueError, match=r"float32 cannot hold.*float64.*Tempered"):
        geodesic.fit_transform(X.astype(np.float32))


def test_float32_that_overflows_is_refused_by_landmarks_and_pairs():
    geodesic = geodesic_distance(lam=0, p0=1e60, n_landmarks=5, random_state=0)
    samples, new = X.astype(np.float32), NEW.astype(np.float32)
    for call in (
        lambda: geodesic.fit_transform(samples),
        lambda: geodesic.distance_matrix([0]),
        lambda: geodesic.transform(new),
        lambda: geodesic.distance(samples, samples[::-1]),
    ):
        with pytest.raises(ValueError, match=r"float32 cannot hold.*float64.*Tempered"):
            call()


@pytest.mark.parametrize("n_landmarks", [None, 5])
def test_float32_holds_infinite_distances(n_landmarks):
    apart = np.vstack([X, X + 1e3]).astype(np.float32)
    geodesic = geodesic_distance(
        n_landmarks=n_landmarks, disconnected="inf", random_state=0
    )
    found = geodesic.fit_transform(apart)
    assert found.dtype == np.float32
    assert np.isinf(found).any()
    assert np.isinf(geodesic.transform(apart[:3])).any()
    assert np.isinf(geodesic.distance(apart[:1], apart[-1:])).all()


def test_pairs_of_both_types_are_float64(geodesic):
    assert geodesic.distance(NEW.astype(np.float32), NEW).dtype == np.float64


# Copies


@pytest.mark.parametrize("n_landmarks", [None, 5])
def test_pickles(n_landmarks):
    geodesic = geodesic_distance(n_landmarks=n_landmarks, random_state=0).fit(X)
    copy = pickle.loads(pickle.dumps(geodesic))
    np.testing.assert_array_equal(copy.transform(NEW), geodesic.transform(NEW))
    np.testing.assert_array_equal(copy.distance_matrix(), geodesic.distance_matrix())
    np.testing.assert_array_equal(copy.path(0, 9)[0], geodesic.path(0, 9)[0])
    assert repr(copy.graph_) == repr(geodesic.graph_)


def test_arrays_from_joblib_may_be_read_only(tmp_path, geodesic, D):
    joblib.dump(X, tmp_path / "X")
    read_only = joblib.load(tmp_path / "X", mmap_mode="r")
    np.testing.assert_array_equal(geodesic_distance().fit_transform(read_only), D)
    np.testing.assert_allclose(geodesic.transform(read_only), D, rtol=1e-13)
    joblib.dump(geodesic, tmp_path / "geodesic")
    mapped = joblib.load(tmp_path / "geodesic", mmap_mode="r")
    np.testing.assert_array_equal(mapped.distance_matrix(), D)
    np.testing.assert_array_equal(mapped.transform(NEW), geodesic.transform(NEW))
    assert mapped.path(0, 9)[1] == geodesic.path(0, 9)[1]
    list(mapped.lam_path([1e-3, 1.0]))


# memory=


@pytest.mark.parametrize(
    "as_memory", [str, lambda path: joblib.Memory(path, verbose=0)]
)
def test_memory_changes_nothing(tmp_path, geodesic, D, as_memory):
    for _ in range(2):
        cached = geodesic_distance(memory=as_memory(tmp_path))
        np.testing.assert_array_equal(cached.fit_transform(X), D)
        np.testing.assert_array_equal(cached.transform(NEW), geodesic.transform(NEW))


METRICS_AND_SHOW = [
    *({"lam": lam} for lam in LAMS),
    {"p0": 0.5},
    {"exponent": 0.5},
    {"n_jobs": 2},
    {"verbose": 1},
]


def test_memory_saves_the_density(tmp_path, watched):
    geodesic_distance(watched(), memory=str(tmp_path)).fit(X)
    n_rows = watched.n_rows_scored()
    for params in METRICS_AND_SHOW:
        geodesic_distance(watched(), memory=str(tmp_path), **params).fit(X)
    assert len(watched.fits) == 1
    assert watched.n_rows_scored() == n_rows


def test_memory_saves_a_fitted_density_too(tmp_path, watched):
    density = watched().fit(X)
    for lam in LAMS:
        geodesic = geodesic_distance(density, lam=lam, memory=str(tmp_path)).fit(X)
    assert watched.n_rows_scored() == geodesic.graph_.n_evaluations


@pytest.mark.parametrize(
    ("metric", "scored_by"),
    [
        ("euclidean", (KernelSum, "log_density")),
        ("manhattan", (KernelDensity, "score_samples")),
    ],
)
def test_memory_finds_a_fitted_tree_again(tmp_path, monkeypatch, metric, scored_by):
    # A tree counts its queries, and changes with each.
    rows = []
    score = getattr(*scored_by)

    def counting(self, points):
        rows.append(len(points))
        return score(self, points)

    monkeypatch.setattr(*scored_by, counting)
    density = KernelDensity(bandwidth=0.3, metric=metric).fit(X)
    geodesic_distance(density, memory=str(tmp_path)).fit(X)
    first = sum(rows)
    assert first > 0
    for lam in (1.0, 0.01):
        geodesic_distance(density, lam=lam, memory=str(tmp_path)).fit(X)
    assert sum(rows) == first


def test_memory_ignores_a_seed_that_changes_nothing(tmp_path, watched):
    for seed in (0, 1, np.random.RandomState(0)):
        geodesic_distance(watched(), memory=str(tmp_path), random_state=seed).fit(X)
    geodesic_distance(watched()).fit(X)
    # The last fit is not cached, and took as many as all the others.
    assert watched.n_rows_scored() % 2 == 0
    assert len(watched.fits) == 2


@pytest.mark.parametrize("d", [2, 20])
def test_memory_takes_the_default_density_for_the_same(tmp_path, monkeypatch, d):
    fits = []
    fit = ManifoldParzenWindows.fit
    monkeypatch.setattr(
        ManifoldParzenWindows, "fit", lambda self, *a: fits.append(0) or fit(self, *a)
    )
    X = np.random.default_rng(0).normal(size=(60, d))
    density = ManifoldParzenWindows()
    for lam in (0.1, 1.0, 0.01):
        geodesic_distance(density, lam=lam, memory=str(tmp_path)).fit(X)
    assert len(fits) == 1
    found = list(Path(tmp_path).rglob("profiled_neighborhood/*/output.pkl"))
    assert len(found) == 1


@pytest.mark.parametrize("params", [{"n_graph_neighbors": 7}, {"density__scale": 2.0}])
def test_memory_knows_what_matters(tmp_path, watched, params):
    geodesic = geodesic_distance(watched(), memory=str(tmp_path)).fit(X)
    n_rows = watched.n_rows_scored()
    geodesic.set_params(**params).fit(X)
    assert watched.n_rows_scored() > n_rows
    n_rows = watched.n_rows_scored()
    geodesic.fit(X + 1e-9)
    assert watched.n_rows_scored() > n_rows


def test_a_search_evaluates_the_density_once_for_each_split(tmp_path, watched):
    geodesic = geodesic_distance(watched(), memory=str(tmp_path))
    splits = KFold(3)
    search = GridSearchCV(
        geodesic, {"lam": LAMS}, cv=splits, scoring=lambda *_: 0.0, refit=False
    )
    search.fit(X)
    assert len(watched.fits) == 3
    n_rows = watched.n_rows_scored()
    watched.calls.clear()
    for train, _ in splits.split(X):
        geodesic_distance(watched()).fit(X[train])
    assert n_rows == watched.n_rows_scored()


def test_memory_repeats_the_warning(tmp_path):
    geodesic = geodesic_distance(normal_log_density, memory=str(tmp_path))
    for _ in range(2):
        with pytest.warns(UserWarning, match="2 connected components"):
            geodesic.set_params(n_graph_neighbors=2).fit(islands())


def test_memory_keeps_the_fit_of_an_unseeded_mixture(tmp_path):
    mixture = GaussianMixture(8, init_params="random_from_data", max_iter=500)
    fits = [
        geodesic_distance(mixture, lam=lam, memory=str(tmp_path)).fit(X)
        for lam in (0.1, 1.0)
    ]
    means = [geodesic.density_.means_ for geodesic in fits]
    np.testing.assert_array_equal(*means)


def test_memory_warns_where_a_density_cannot_be_pickled(tmp_path):
    D = geodesic_distance(normal_log_density).fit_transform(X)
    with pytest.warns(UserWarning, match=r"memory=.* cannot cache .*Replace a lambda"):
        geodesic = geodesic_distance(
            lambda points: normal_log_density(points), memory=str(tmp_path)
        ).fit(X)
    np.testing.assert_array_equal(geodesic.distance_matrix(), D)


def test_memory_warns_where_an_estimator_cannot_be_pickled(tmp_path):
    class Local(BaseEstimator):
        def fit(self, X, y=None):
            self.mean_ = X.mean(axis=0)
            return self

        def score_samples(self, X):
            return normal_log_density(X - self.mean_)

    D = geodesic_distance(Local()).fit_transform(X)
    with pytest.warns(UserWarning, match=r"memory=.* cannot cache .*Replace a lambda"):
        geodesic = geodesic_distance(Local(), memory=str(tmp_path)).fit(X)
    np.testing.assert_array_equal(geodesic.distance_matrix(), D)


# n_jobs and verbose


@pytest.mark.parametrize("n_landmarks", [None, 150])
def test_n_jobs_changes_nothing(n_landmarks):
    samples, new = moons(300), moons(150, seed=1)
    one, two = (
        GenerativeGeodesicDistance(
            n_jobs=n_jobs, n_landmarks=n_landmarks, random_state=0
        ).fit(samples)
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.distance_matrix(), two.distance_matrix())
    np.testing.assert_array_equal(one.transform(new), two.transform(new))
    pairs = new[:75], new[75:]
    np.testing.assert_array_equal(one.distance(*pairs), two.distance(*pairs))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_the_backend_changes_nothing(D, backend):
    # Blocks write into one array: processes would lose what they write.
    with joblib.parallel_config(backend, n_jobs=2):
        np.testing.assert_array_equal(geodesic_distance().fit_transform(X), D)
        found = geodesic_distance(ManifoldParzenWindows()).fit_transform(X)
    expected = geodesic_distance(ManifoldParzenWindows()).fit_transform(X)
    np.testing.assert_array_equal(found, expected)


def test_progress_is_written_to_stderr(capsys):
    geodesic_distance(verbose=True).fit_transform(X)
    shown = capsys.readouterr()
    assert "log density: 100%" in shown.err
    assert "shortest paths: 100%" in shown.err
    assert shown.out == ""


def test_silent_by_default(capsys):
    geodesic_distance().fit(X).transform(NEW)
    assert capsys.readouterr() == ("", "")


# An own graph


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
def test_own_graph(D, mode):
    graph = kneighbors_graph(X, 6, mode=mode)
    own = geodesic_distance()
    np.testing.assert_array_equal(own.fit_transform(X, neighbors_graph=graph), D)
    np.testing.assert_array_equal(
        own.fit(X, neighbors_graph=graph).distance_matrix(), D
    )


def test_own_graph_through_a_pipeline(D):
    graph = kneighbors_graph(X, 6)
    pipeline = make_pipeline(FunctionTransformer(), geodesic_distance())
    found = pipeline.fit_transform(X, generativegeodesicdistance__neighbors_graph=graph)
    np.testing.assert_array_equal(found, D)


def test_own_edges_and_no_others():
    graph = coo_array((np.zeros(19), (np.arange(19), np.arange(1, 20))), (20, 20))
    line = np.column_stack([np.linspace(0, 1, 20), np.zeros(20)])
    own = geodesic_distance(normal_log_density, lam=np.inf)
    found = own.fit_transform(line[::-1], neighbors_graph=graph)
    np.testing.assert_allclose(found, oracles.pairwise_lengths(line), atol=1e-14)
    assert own.graph_.n_edges == 19


# p0


def test_p0_auto_is_the_median_density(geodesic, D):
    given = geodesic_distance(p0=geodesic.p0_)
    np.testing.assert_allclose(given.fit_transform(X), D, rtol=1e-9)
    assert given.log_p0_ == pytest.approx(geodesic.log_p0_, rel=1e-12)


@pytest.mark.parametrize("factor", [0.1, 3.0])
@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_p0_is_the_unit_of_length(geodesic, factor, exponent):
    # ((a p0 + lam p0) / (p + lam p0)) ** s, with lam p0 = (lam / a) (a p0)
    lam = 1.0
    D = geodesic_distance(lam=lam, exponent=exponent).fit_transform(X)
    scaled = geodesic_distance(
        lam=lam / factor, exponent=exponent, p0=factor * geodesic.p0_
    )
    expected = D * ((factor + lam) / (1 + lam)) ** exponent
    np.testing.assert_allclose(scaled.fit_transform(X), expected, rtol=1e-9)
    assert scaled.p0_ == pytest.approx(factor * geodesic.p0_, rel=1e-12)


# Several components


def test_components_are_connected_with_a_warning():
    geodesic = geodesic_distance(normal_log_density, n_graph_neighbors=3)
    message = "2 connected components.*joined by an edge of.*up to 7"
    with pytest.warns(UserWarning, match=message):
        found = geodesic.fit_transform(islands())
    assert np.isfinite(found).all()
    assert (geodesic.graph_.n_components, len(geodesic.graph_.bridges)) == (2, 1)


def test_components_are_an_error():
    geodesic = geodesic_distance(
        normal_log_density, n_graph_neighbors=3, disconnected="error"
    )
    with pytest.raises(
        ValueError, match=r"2 connected components.*Raise n_graph_neigh"
    ):
        geodesic.fit(islands())


def test_components_are_left_apart():
    geodesic = geodesic_distance(
        normal_log_density, n_graph_neighbors=3, disconnected="inf"
    )
    found = geodesic.fit_transform(islands())
    apart = np.arange(20)[:, None] // 10 != np.arange(20) // 10
    np.testing.assert_array_equal(np.isinf(found), apart)
    new = geodesic.transform(islands()[[0, 15]] + 0.01)
    np.testing.assert_array_equal(np.isinf(new), apart[[0, 15]])
    between = geodesic.distance(islands()[[0, 0]] + 0.01, islands()[[5, 15]] + 0.01)
    assert np.isinf(between).tolist() == [False, True]
    with pytest.raises(
        ValueError, match=r"no path from sample 0 to sample 15.*connect'"
    ):
        geodesic.path(0, 15)


# Consumers of metric="precomputed"

MOONS, LABELS = make_moons(120, noise=0.06, random_state=0)
NEW_MOONS, NEW_LABELS = make_moons(40, noise=0.06, random_state=1)


def apart():
    """Distances under which the two moons are well apart."""
    return GenerativeGeodesicDistance(
        KernelDensity(bandwidth=0.15), lam=0.01, n_graph_neighbors=8
    )


@pytest.fixture(scope="module")
def moon_distances():
    return apart().fit_transform(MOONS)


def test_nearest_neighbors_in_a_pipeline():
    classifier = KNeighborsClassifier(3, metric="precomputed")
    pipeline = make_pipeline(apart(), classifier).fit(MOONS, LABELS)
    assert pipeline.score(NEW_MOONS, NEW_LABELS) == 1.0
    nearest = np.argsort(pipeline[0].transform(NEW_MOONS), axis=1)[:, :3]
    votes = LABELS[nearest].mean(axis=1) > 0.5
    np.testing.assert_array_equal(pipeline.predict(NEW_MOONS), votes)


def test_support_vectors_of_a_kernel():
    kernel = FunctionTransformer(lambda distances: np.exp(-distances))
    machine = make_pipeline(apart(), kernel, SVC(kernel="precomputed"))
    assert machine.fit(MOONS, LABELS).score(NEW_MOONS, NEW_LABELS) == 1.0


@pytest.mark.parametrize(
    "clustering",
    [
        DBSCAN(eps=0.5, metric="precomputed"),
        AgglomerativeClustering(2, metric="precomputed", linkage="average"),
    ],
    ids=lambda clustering: type(clustering).__name__,
)
def test_clustering(moon_distances, clustering):
    assert adjusted_rand_score(clustering.fit_predict(moon_distances), LABELS) == 1.0


def test_embedding(moon_distances):
    tsne = TSNE(
        metric="precomputed", init="random", perplexity=10, max_iter=250, random_state=0
    )
    embedding = tsne.fit_transform(moon_distances)
    nearest = KNeighborsClassifier(3).fit(embedding, LABELS)
    assert nearest.score(embedding, LABELS) > 0.95


@pytest.mark.parametrize("n_landmarks", [None, 10])
def test_points_beyond_floating_point_are_refused(n_landmarks):
    X = np.random.default_rng(0).normal(size=(60, 2))
    geodesic = GenerativeGeodesicDistance(
        lambda X: -10 * (X**2).sum(axis=1), n_landmarks=n_landmarks, random_state=0
    )
    geodesic.fit(X)
    with pytest.raises(ValueError, match=r"row 1 is 1e\+153 .*Leave it out"):
        geodesic.transform(np.array([[0.5, 0.2], [1e153, 0.0]]))


@pytest.mark.parametrize("unit", [1e-160, 1e-300, 1e155])
def test_units_whose_squares_are_no_numbers_are_refused(unit):
    X = np.random.default_rng(0).normal(size=(60, 2))
    flat = GenerativeGeodesicDistance(lambda X: np.zeros(len(X)))
    assert flat.fit_transform(X * 1e-130).max() > 1e-130
    with pytest.raises(ValueError, match=r"extend over .* Bring X to a unit"):
        flat.fit(X * unit)
