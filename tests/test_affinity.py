import pickle
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.cluster import AffinityPropagation, SpectralClustering
from sklearn.datasets import make_moons, make_swiss_roll
from sklearn.decomposition import KernelPCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import SpectralEmbedding
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KernelCenterer, StandardScaler
from sklearn.svm import SVC

from skgengeo import GenerativeGeodesicDistance, GeodesicAffinity
from skgengeo.geometry import GeodesicGraph
from skgengeo.geometry._shortest_paths import Seeds, pairs_of_nearest

from ._densities import normal_log_density
from ._machine import available_memory

QUAD_TOL = 1e-3
M = 5
BRIDGED = pytest.mark.filterwarnings(
    "ignore:The graph has .* connected components:UserWarning"
)


def moons(n=60, noise=0.1, seed=0):
    return make_moons(n, noise=noise, random_state=seed)[0]


def islands():
    """Lines of ten and of four points, and one alone."""
    line = np.column_stack([np.linspace(0, 2, 10), np.zeros(10)])
    return np.vstack([line, line[:4] + np.array([0.3, 7.0]), [[50.0, 50.0]]])


X, NEW = moons(), moons(20, noise=0.15, seed=1)


def heavy_tail(distances):
    return 1 / (1 + distances**2)


KINDS = {
    "local scaling": {"affinity": "local_scaling"},
    "rbf": {"affinity": "rbf"},
    "rbf with gamma": {"affinity": "rbf", "gamma": 2.5},
    "function": {"affinity": heavy_tail},
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def geodesic_affinity(density=None, **params):
    density = KernelDensity(bandwidth=0.3) if density is None else density
    rule = {} if "epsilon" in params else {"n_graph_neighbors": 6}
    shared = {"lam": 0.1, "n_scale_neighbors": M} | rule
    return GeodesicAffinity(density, **shared | params)


def geodesic_distance(affinity):
    """The distances from which an estimator makes affinities."""
    names = GenerativeGeodesicDistance().get_params(deep=False)
    params = affinity.get_params(deep=False)
    return GenerativeGeodesicDistance(
        **{name: value for name, value in params.items() if name in names}
    )


# Slow twins


def slow_scale(distances, m=M):
    """The m-th of the positive distances, or the last, or 1."""
    positive = sorted(d for d in distances if 0 < d < np.inf)
    return positive[min(m, len(positive)) - 1] if positive else 1.0


def slow_affinities(distances, D, affinity, gamma=None):
    """Affinities from distances to the samples, and D between these."""
    if callable(affinity):
        return affinity(distances)
    scales = np.array([slow_scale(row) for row in D])
    if affinity == "rbf":
        gamma = 1 / np.median(scales) ** 2 if gamma is None else gamma
        return np.exp(-gamma * distances**2)
    own = np.array([slow_scale(row) for row in distances])
    return np.exp(-(distances**2) / np.outer(own, scales))


def slow_pattern(D, k):
    """Pairs of which either is among the k nearest of the other, or the same."""
    near = np.zeros(D.shape, dtype=bool)
    order = np.argsort(D + np.diag(np.full(len(D), -1.0)), axis=1)
    np.put_along_axis(near, order[:, : k + 1], True, axis=1)
    return near | near.T


# The formula


@kinds
@pytest.mark.parametrize("lam", [np.inf, 1.0, 0.01])
def test_agrees_with_its_slow_twin(lam, kind):
    affinity = geodesic_affinity(lam=lam, **kind)
    geodesic = geodesic_distance(affinity)
    D = geodesic.fit_transform(X)
    expected = slow_affinities(D, D, **kind)
    np.testing.assert_allclose(affinity.fit_transform(X), expected, atol=1e-12)
    expected = slow_affinities(geodesic.transform(NEW), D, **kind)
    np.testing.assert_allclose(affinity.transform(NEW), expected, atol=1e-12)


def test_scales():
    D = geodesic_distance(geodesic_affinity()).fit_transform(X)
    local = geodesic_affinity().fit(X).scales_
    np.testing.assert_allclose(local, [slow_scale(row) for row in D], rtol=1e-12)
    rbf = geodesic_affinity(affinity="rbf").fit(X).scales_
    np.testing.assert_allclose(rbf, np.median(local), rtol=1e-12)
    given = geodesic_affinity(affinity="rbf", gamma=4.0).fit(X).scales_
    np.testing.assert_array_equal(given, 0.5)


@pytest.mark.parametrize("m", [1, 3, 59])
def test_scales_are_distances_to_a_neighbor(m):
    D = geodesic_distance(geodesic_affinity()).fit_transform(X)
    found = geodesic_affinity(n_scale_neighbors=m).fit(X).scales_
    np.testing.assert_allclose(found, np.sort(D, axis=1)[:, m], rtol=1e-12)


def test_automatic_scales_are_distances_to_one_and_the_same_neighbor():
    D = np.sort(geodesic_distance(geodesic_affinity()).fit_transform(X), axis=1)
    found = geodesic_affinity(n_scale_neighbors="auto").fit(X).scales_
    assert np.isclose(D, found[:, None], rtol=1e-12).all(axis=0)[1:].sum() == 1


def test_rbf_without_gamma_is_that_of_the_median_scale():
    chosen = geodesic_affinity(affinity="rbf").fit(X)
    gamma = 1 / np.median(geodesic_affinity().fit(X).scales_) ** 2
    given = geodesic_affinity(affinity="rbf", gamma=gamma).fit(X)
    np.testing.assert_allclose(chosen.transform(NEW), given.transform(NEW), rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.3, 5.0])
def test_euclidean_rbf_is_that_of_scikit_learn(gamma):
    complete = csr_array(np.ones((60, 60)))
    params = {"affinity": "rbf", "gamma": gamma, "lam": np.inf}
    own = geodesic_affinity(**params).fit_transform(X, neighbors_graph=complete)
    np.testing.assert_allclose(own, rbf_kernel(X, gamma=gamma), rtol=1e-10)
    wide = geodesic_affinity(epsilon=100.0, **params).fit(X)
    np.testing.assert_allclose(
        wide.transform(NEW), rbf_kernel(NEW, X, gamma=gamma), rtol=1e-10
    )


def test_functions_of_any_kind():
    A = geodesic_affinity(affinity=heavy_tail).fit_transform(X)
    class_of_its_own = partial(lambda power, d: 1 / (1 + d**power), 2)
    np.testing.assert_array_equal(
        geodesic_affinity(affinity=class_of_its_own).fit_transform(X), A
    )
    near = geodesic_affinity(affinity=lambda d: d < 1).fit_transform(X)
    assert near.dtype == np.float64
    np.testing.assert_array_equal(near, A > 0.5)


# Laws


@kinds
@pytest.mark.parametrize("n_neighbors", [None, 8])
def test_symmetric_between_0_and_1(kind, n_neighbors):
    A = geodesic_affinity(n_neighbors=n_neighbors, **kind).fit_transform(X)
    A = A.toarray() if issparse(A) else A
    np.testing.assert_array_equal(A, A.T)
    np.testing.assert_array_equal(A.diagonal(), 1.0)
    assert (A >= 0).all()
    assert (A <= 1).all()


@pytest.mark.parametrize("scale", [1e-3, 50.0])
@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
@pytest.mark.parametrize("n_neighbors", [None, 8])
def test_units_change_nothing(affinity, scale, n_neighbors):
    def affinities(scale):
        own = geodesic_affinity(
            KernelDensity(bandwidth=0.3 * scale),
            epsilon=0.6 * scale,
            affinity=affinity,
            n_neighbors=n_neighbors,
        )
        found = own.fit_transform(scale * X), own.transform(scale * NEW)
        return [A.toarray() if issparse(A) else A for A in found]

    for found, expected in zip(affinities(scale), affinities(1.0), strict=True):
        np.testing.assert_allclose(found, expected, atol=2 * QUAD_TOL)


@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_units_change_nothing_with_the_default_density(affinity):
    default = GeodesicAffinity(affinity=affinity)
    expected = default.fit_transform(X)
    np.testing.assert_allclose(
        default.fit_transform(1e3 * X), expected, atol=2 * QUAD_TOL
    )


@kinds
def test_permuting_samples_permutes_affinities(kind):
    order = np.random.default_rng(0).permutation(len(X))
    affinity = geodesic_affinity(**kind)
    expected = affinity.fit_transform(X)[np.ix_(order, order)]
    new = affinity.transform(NEW)[:, order]
    found = affinity.fit_transform(X[order])
    np.testing.assert_allclose(found, expected, atol=2 * QUAD_TOL)
    np.testing.assert_allclose(affinity.transform(NEW), new, atol=2 * QUAD_TOL)


@kinds
def test_a_query_that_is_a_training_sample(kind):
    affinity = geodesic_affinity(**kind)
    A = affinity.fit_transform(X)
    np.testing.assert_allclose(affinity.transform(X), A, atol=1e-12)


@kinds
@pytest.mark.parametrize("n_neighbors", [None, 4])
def test_row_by_row_is_all_at_once(kind, n_neighbors):
    affinity = geodesic_affinity(n_neighbors=n_neighbors, **kind).fit(X)
    together = affinity.transform(NEW)
    for row, alone in enumerate(map(affinity.transform, NEW[:, None])):
        expected = together[[row]]
        if n_neighbors is not None:
            np.testing.assert_array_equal(alone.indices, expected.indices)
            alone, expected = alone.toarray(), expected.toarray()
        np.testing.assert_allclose(alone, expected, atol=2 * QUAD_TOL)


@kinds
@pytest.mark.parametrize("n_neighbors", [None, 8])
def test_n_jobs_changes_nothing(kind, n_neighbors):
    samples, new = moons(200), moons(100, seed=1)
    one, two = (
        geodesic_affinity(n_neighbors=n_neighbors, n_jobs=n_jobs, **kind).fit(samples)
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.scales_, two.scales_)
    difference = abs(one.transform(new) - two.transform(new))
    assert difference.max() == 0
    assert abs(one.fit_transform(samples) - two.fit_transform(samples)).max() == 0


@kinds
@pytest.mark.parametrize("n_neighbors", [None, 8])
def test_float32_is_computed_in_float64_and_cast(kind, n_neighbors):
    single, new = X.astype(np.float32), NEW.astype(np.float32)
    affinity = geodesic_affinity(n_neighbors=n_neighbors, **kind)
    exact = [
        affinity.fit_transform(single.astype(np.float64)),
        affinity.transform(new.astype(np.float64)),
    ]
    found = [affinity.fit_transform(single), affinity.transform(new)]
    for short, long in zip(found, exact, strict=True):
        assert (short.dtype, long.dtype) == (np.float32, np.float64)
        assert abs(short - long.astype(np.float32)).max() == 0


def test_labels_are_handed_to_the_density(watched):
    y = np.arange(60) % 2
    geodesic_affinity(watched()).fit(X, y)
    np.testing.assert_array_equal(watched.fits[0][1], y)


# Sparse


@kinds
@pytest.mark.parametrize("k", [1, 6, 100])
def test_sparse_is_dense_where_either_is_near_the_other(kind, k):
    dense = geodesic_affinity(**kind)
    D, A = geodesic_distance(dense).fit_transform(X), dense.fit_transform(X)
    sparse = geodesic_affinity(n_neighbors=k, **kind).fit_transform(X)
    pattern = slow_pattern(D, k)
    np.testing.assert_array_equal(stored(sparse), pattern)
    np.testing.assert_allclose(sparse.toarray(), np.where(pattern, A, 0), atol=1e-12)


def stored(A):
    """Where a sparse matrix has entries, zeros among them."""
    found = np.zeros(A.shape, dtype=bool)
    entries = A.tocoo()
    found[entries.row, entries.col] = True
    return found


@kinds
def test_sparse_rows_of_new_points(kind):
    k, affinity = 4, geodesic_affinity(**kind)
    distances = geodesic_distance(affinity).fit(X).transform(NEW)
    near = np.zeros(distances.shape, dtype=bool)
    order = np.argsort(distances, axis=1)[:, : k + 1]
    np.put_along_axis(near, order, True, axis=1)
    dense = affinity.fit(X).transform(NEW)
    sparse = affinity.set_params(n_neighbors=k).fit(X).transform(NEW)
    np.testing.assert_array_equal(stored(sparse), near)
    np.testing.assert_allclose(sparse.toarray(), np.where(near, dense, 0), atol=1e-12)


def test_sparse_rows_of_training_samples():
    affinity = geodesic_affinity(n_neighbors=4)
    A, rows = affinity.fit_transform(X), affinity.transform(X)
    common = stored(rows)
    assert (common.sum(axis=1) == 5).all()
    assert not (common & ~stored(A)).any()
    np.testing.assert_allclose(
        rows.toarray(), np.where(common, A.toarray(), 0), atol=1e-12
    )


@pytest.mark.parametrize("call", ["fit_transform", "transform"])
def test_sparse_as_solvers_take_it(call):
    affinity = geodesic_affinity(n_neighbors=4).fit(X)
    A = getattr(affinity, call)(X)
    assert isinstance(A, csr_array)
    assert A.indices.dtype == A.indptr.dtype == np.int32
    assert A.has_sorted_indices
    assert A.has_canonical_format


# Duplicates, few samples, components


@BRIDGED
@pytest.mark.parametrize("kind", [KINDS["local scaling"], KINDS["rbf"]])
@pytest.mark.parametrize("n_neighbors", [None, 40])
def test_more_duplicates_than_neighbors(kind, n_neighbors):
    samples = np.vstack([np.repeat(X[:1], 30, axis=0), X])
    affinity = geodesic_affinity(n_neighbors=n_neighbors, **kind)
    D = geodesic_distance(affinity).fit_transform(samples)
    A = affinity.fit_transform(samples)
    scales = [slow_scale(row) for row in D]
    if kind == KINDS["local scaling"]:
        np.testing.assert_allclose(affinity.scales_, scales, rtol=1e-12)
    expected = slow_affinities(D, D, **kind)
    if n_neighbors is not None:
        expected, A = np.where(stored(A), expected, 0), A.toarray()
    np.testing.assert_allclose(A, expected, atol=1e-12)
    np.testing.assert_allclose(A[:31, :31], 1.0)
    if n_neighbors is None:
        np.testing.assert_allclose(affinity.transform(samples), A, atol=1e-12)


@BRIDGED
@kinds
@pytest.mark.parametrize("n_neighbors", [None, 3])
def test_identical_samples(kind, n_neighbors):
    samples = np.ones((20, 2))
    affinity = geodesic_affinity(n_neighbors=n_neighbors, **kind)
    A = affinity.fit_transform(samples)
    assert np.isfinite(affinity.scales_).all()
    if n_neighbors is None:
        np.testing.assert_array_equal(A, 1.0)
        np.testing.assert_array_equal(affinity.transform(samples[:2]), 1.0)
    else:
        np.testing.assert_array_equal(A.data, 1.0)


@pytest.mark.parametrize(("n", "m"), [(31, 6), (60, 10), (239, 40), (400, 40)])
def test_the_scale_lies_within_a_sixth_of_the_samples(n, m):
    affinity = geodesic_affinity(normal_log_density, n_scale_neighbors="auto")
    samples = np.random.default_rng(0).normal(size=(n, 2))
    affinity.fit(samples)
    given = clone(affinity).set_params(n_scale_neighbors=m).fit(samples)
    np.testing.assert_array_equal(affinity.scales_, given.scales_)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("n_neighbors", [None, 1])
def test_few_samples(n, n_neighbors):
    # On a line, at distances 1, 2 and 3.
    samples = np.array([[0.0], [1.0], [3.0]])[:n]
    euclidean = {"lam": np.inf, "epsilon": 5.0, "n_scale_neighbors": "auto"}
    affinity = geodesic_affinity(normal_log_density, **euclidean)
    D = np.abs(samples - samples.T)
    # A sixth of them, rounded up: the nearest.
    scales = np.sort(D, axis=1)[:, 1] if n > 1 else np.ones(1)
    expected = np.exp(-(D**2) / np.outer(scales, scales))
    A = affinity.set_params(n_neighbors=n_neighbors).fit_transform(samples)
    if n_neighbors is not None:
        expected, A = np.where(slow_pattern(D, 1), expected, 0), A.toarray()
    np.testing.assert_allclose(A, expected, rtol=1e-12)


@kinds
@pytest.mark.parametrize("n_neighbors", [None, 12])
def test_components_that_are_left_apart(kind, n_neighbors):
    samples = islands()
    params = {"epsilon": 0.5, "disconnected": "inf", "n_neighbors": n_neighbors}
    affinity = geodesic_affinity(normal_log_density, lam=1e3, **params, **kind)
    D = geodesic_distance(affinity).fit_transform(samples)
    island = np.repeat([0, 1, 2], [10, 4, 1])
    apart = island[:, None] != island
    A = affinity.fit_transform(samples)
    A = A.toarray() if issparse(A) else A
    assert (A[apart] == 0).all()
    np.testing.assert_allclose(A, slow_affinities(D, D, **kind), atol=1e-12)
    if kind["affinity"] == "local_scaling":
        assert affinity.scales_[-1] == 1
        # One of four has but three others in reach.
        np.testing.assert_allclose(affinity.scales_[10], D[10, 13], rtol=1e-12)


# Refusals


BAD_FUNCTIONS = {
    "shape": (
        lambda d: d[:, :1],
        [r"shape \(60, 60\) into", r"\(60, 1\).*elementwise"],
    ),
    "scalar": (lambda d: 1.0, [r"into an array of shape \(\).*one affinity for each"]),
    "NaN": (
        lambda d: np.where(d == 0, np.nan, d),
        ["did not return finite", "may be 0"],
    ),
    "infinite": (lambda d: np.where(d == 0, np.inf, d), ["did not return finite"]),
    "text": (lambda d: np.full(d.shape, "near"), ["did not return finite real"]),
    "complex": (lambda d: d + 1j, ["did not return finite real numbers"]),
    "named": (np.diag, ["affinity=diag turned distances"]),
}


@pytest.mark.parametrize(
    ("function", "parts"), BAD_FUNCTIONS.values(), ids=BAD_FUNCTIONS
)
def test_functions_that_are_no_affinities(function, parts):
    affinity = geodesic_affinity(affinity=function)
    with pytest.raises(ValueError, match="[\\s\\S]*".join(parts)):
        affinity.fit_transform(X)


def test_functions_that_fail_at_new_points():
    affinity = geodesic_affinity(affinity=lambda d: np.where(d > 50, np.nan, 1.0))
    affinity.fit_transform(X)
    with pytest.raises(ValueError, match=r"did not return finite.*distances in \["):
        affinity.transform(NEW + 100)


@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
@pytest.mark.parametrize("m", [60, 100])
def test_more_scale_neighbors_than_there_are(affinity, m):
    message = rf"n_scale_neighbors={m} with n_samples=60.*at most 59.*Pass fewer, or"
    with pytest.raises(ValueError, match=message):
        geodesic_affinity(affinity=affinity, n_scale_neighbors=m).fit(X)


TOO_LARGE = {
    "fit_transform": (lambda a: a.fit_transform(X), 60),
    "transform": (lambda a: a.transform(NEW), 20),
}


@pytest.mark.parametrize(("call", "n_rows"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_refused_before_it_is_computed(monkeypatch, call, n_rows):
    affinity = geodesic_affinity().fit(X)
    available_memory(monkeypatch, n_rows * 60 * 8)
    call(affinity)

    def computed(*args, **kwargs):
        pytest.fail("distances were computed")

    available_memory(monkeypatch, n_rows * 60 * 8 - 1)
    monkeypatch.setattr(GeodesicGraph, "distances_from", computed)
    message = rf"shape \({n_rows}, 60\) takes.*Pass n_neighbors.*sparse"
    with pytest.raises(ValueError, match=message):
        call(affinity)
    # As it says.
    call(affinity.set_params(n_neighbors=5))


def test_methods_need_a_fit():
    with pytest.raises(NotFittedError, match="GeodesicAffinity"):
        geodesic_affinity().transform(X)


# Names, containers, copies


def test_names_of_the_columns():
    names = geodesic_affinity().fit(X).get_feature_names_out()
    assert names.tolist() == [f"geodesicaffinity{c}" for c in range(60)]


@pytest.mark.parametrize(
    ("container", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_output_in_frames(container, frame):
    plain = geodesic_affinity()
    affinity = geodesic_affinity().set_output(transform=container)
    for found, expected in [
        (affinity.fit_transform(X), plain.fit_transform(X)),
        (affinity.transform(NEW), plain.transform(NEW)),
    ]:
        assert isinstance(found, frame)
        assert list(found.columns) == affinity.get_feature_names_out().tolist()
        np.testing.assert_array_equal(found.to_numpy(), expected)


def test_sparse_output_is_refused_in_frames():
    affinity = geodesic_affinity(n_neighbors=5).set_output(transform="pandas")
    with pytest.raises(ValueError, match=r"sparse (data|matrix)"):
        affinity.fit_transform(X)


@kinds
@pytest.mark.parametrize("n_neighbors", [None, 5])
def test_pickles(kind, n_neighbors):
    affinity = geodesic_affinity(n_neighbors=n_neighbors, **kind).fit(X)
    copy = pickle.loads(pickle.dumps(affinity))
    assert abs(copy.transform(NEW) - affinity.transform(NEW)).max() == 0


@kinds
def test_clones_with_a_fitted_density(kind):
    density = KernelDensity(bandwidth=0.3).fit(X)
    affinity = geodesic_affinity(density, **kind)
    expected = affinity.fit_transform(X[::2])
    np.testing.assert_array_equal(clone(affinity).fit_transform(X[::2]), expected)


# Consumers of affinity="precomputed" and kernel="precomputed"

MOONS, LABELS = make_moons(120, noise=0.06, random_state=0)
NEW_MOONS, NEW_LABELS = make_moons(40, noise=0.06, random_state=1)


def apart(**params):
    """Affinities under which the two moons are well apart."""
    density = KernelDensity(bandwidth=0.15)
    shared = {"lam": 0.01, "n_graph_neighbors": 8, "n_scale_neighbors": 10}
    return GeodesicAffinity(density, **shared | params)


@pytest.fixture(
    params=[
        {},
        {"n_neighbors": 20},
        {"affinity": "rbf"},
        {"affinity": "rbf", "n_neighbors": 20},
    ],
    ids=["local scaling", "sparse", "rbf", "sparse rbf"],
)
def moon_affinities(request):
    return apart(**request.param).fit_transform(MOONS)


def test_spectral_clustering(moon_affinities):
    clustering = SpectralClustering(
        2, affinity="precomputed", assign_labels="cluster_qr", random_state=0
    )
    found = clustering.fit_predict(moon_affinities)
    assert adjusted_rand_score(found, LABELS) == 1.0


def test_spectral_embedding(moon_affinities):
    embedding = SpectralEmbedding(1, affinity="precomputed", random_state=0)
    found = embedding.fit_transform(moon_affinities)
    # The first vector that is not constant tells the moons apart.
    assert adjusted_rand_score(found[:, 0] > 0, LABELS) == 1.0


@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_affinity_propagation(affinity):
    A = apart(affinity=affinity).fit_transform(MOONS)
    clustering = AffinityPropagation(affinity="precomputed", random_state=0).fit(A)
    assert clustering.n_iter_ < clustering.max_iter
    exemplars = clustering.cluster_centers_indices_
    assert 2 <= len(exemplars) <= 30
    # Each exemplar stands for samples of its own moon, the nearest of all.
    np.testing.assert_array_equal(LABELS[exemplars][clustering.labels_], LABELS)
    np.testing.assert_array_equal(A[:, exemplars].argmax(axis=1), clustering.labels_)


@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_support_vectors_in_a_pipeline(affinity):
    machine = make_pipeline(
        StandardScaler(), apart(affinity=affinity), SVC(kernel="precomputed")
    )
    assert machine.fit(MOONS, LABELS).score(NEW_MOONS, NEW_LABELS) == 1.0
    assert machine[-1].fit_status_ == 0


def test_search_over_lam():
    machine = make_pipeline(apart(), SVC(kernel="precomputed"))
    lams = [np.inf, 0.1, 0.01]
    search = GridSearchCV(machine, {"geodesicaffinity__lam": lams}, cv=3)
    search.fit(MOONS, LABELS)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores.max() > 0.95
    assert search.best_estimator_[0].lam == search.best_params_["geodesicaffinity__lam"]
    assert search.score(NEW_MOONS, NEW_LABELS) > 0.95


# How far from positive semi-definite


def eigenvalues(affinity, lam, samples):
    found = GeodesicAffinity(
        GaussianMixture(10, random_state=0),
        affinity=affinity,
        lam=lam,
        n_graph_neighbors=9,
        n_scale_neighbors=20,
    )
    return np.linalg.eigvalsh(found.fit_transform(samples))


@pytest.mark.parametrize("lam", [np.inf, 1.0, 0.1])
@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_eigenvalues_below_zero_are_small(affinity, lam):
    roll = make_swiss_roll(300, noise=0.5, random_state=0)[0]
    for samples in (moons(300), roll):
        values = eigenvalues(affinity, lam, samples)
        assert -0.05 < values[0] / values[-1] < -1e-3
        assert -values[values < 0].sum() < 0.06 * np.abs(values).sum()


@pytest.mark.parametrize("solver", ["dense", "arpack", "randomized"])
@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_kernel_pca_of_a_few_components(affinity, solver):
    geodesic = apart(affinity=affinity)
    A = geodesic.fit_transform(MOONS)
    pca = KernelPCA(5, kernel="precomputed", eigen_solver=solver, random_state=0)
    embedding = pca.fit_transform(A)
    centred = np.linalg.eigvalsh(KernelCenterer().fit_transform(A))
    np.testing.assert_allclose(pca.eigenvalues_, centred[:-6:-1], rtol=1e-6)
    np.testing.assert_allclose(pca.transform(A), embedding, atol=1e-6)
    classifier = LogisticRegression().fit(embedding, LABELS)
    new = pca.transform(geodesic.transform(NEW_MOONS))
    assert classifier.score(new, NEW_LABELS) == 1.0


@pytest.mark.filterwarnings("ignore:k >= N:RuntimeWarning")
@pytest.mark.parametrize("solver", ["auto", "dense", "arpack", "randomized"])
def test_kernel_pca_of_all_components_refuses_them(solver):
    pca = KernelPCA(kernel="precomputed", eigen_solver=solver, random_state=0)
    with pytest.raises(ValueError, match="significant negative eigenvalues"):
        pca.fit(apart(n_scale_neighbors=20).fit_transform(MOONS))


def test_pairs_have_the_smaller_of_both_directions():
    graph = geodesic_affinity().fit(X).graph_
    one_way = graph.distances_from(Seeds.at(np.arange(len(X))))
    assert (one_way != one_way.T).any()
    i, j, distances = pairs_of_nearest(*graph.nearest(len(X)))
    np.testing.assert_array_equal(distances, np.minimum(one_way, one_way.T)[i, j])
