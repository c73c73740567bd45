import pickle
import tracemalloc

import numpy as np
import openTSNE
import pandas as pd
import pytest
import sklearn
from openTSNE.affinity import PerplexityBasedNN
from openTSNE.nearest_neighbors import PrecomputedNeighbors
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.cluster import DBSCAN, HDBSCAN, OPTICS, SpectralClustering
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE, Isomap, SpectralEmbedding
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import (
    KernelDensity,
    KNeighborsClassifier,
    KNeighborsRegressor,
    KNeighborsTransformer,
    LocalOutlierFactor,
)
from sklearn.pipeline import Pipeline, make_pipeline
from umap import UMAP

from skgengeo import GenerativeGeodesicDistance, GeodesicNeighborsTransformer

from ._densities import normal_log_density

QUAD_TOL = 1e-3
K = 7
X, Y = make_moons(150, noise=0.1, random_state=0)
NEW, Y_NEW = make_moons(40, noise=0.12, random_state=1)
GEOMETRY = {
    "density": KernelDensity(bandwidth=0.2),
    "lam": 0.1,
    "n_graph_neighbors": 8,
}
BRIDGED = pytest.mark.filterwarnings(
    "ignore:The graph has .* connected components:UserWarning"
)
SHORT = pytest.mark.filterwarnings("ignore:.* rows have fewer than:UserWarning")
SPARSE_CONFIGS = [{}]
if "sparse_interface" in sklearn.get_config():
    SPARSE_CONFIGS.append({"sparse_interface": "sparray"})
modes = pytest.mark.parametrize("mode", ["distance", "connectivity"])
symmetries = pytest.mark.parametrize("symmetric", [False, True])
DISTANCES = GenerativeGeodesicDistance(**GEOMETRY).fit(X)
D, D_NEW = DISTANCES.distance_matrix(), DISTANCES.transform(NEW)


def neighbors(**params):
    return GeodesicNeighborsTransformer(**GEOMETRY | {"n_neighbors": K} | params)


def distances(**params):
    return GenerativeGeodesicDistance(**GEOMETRY | params)


def islands():
    """Lines of ten and of four points, and one alone."""
    line = np.column_stack([np.linspace(0, 2, 10), np.zeros(10)])
    return np.vstack([line, line[:4] + np.array([0.3, 7.0]), [[50.0, 50.0]]])


def with_duplicates():
    """Moons, of which one sample is there 31 times."""
    return np.vstack([X[:60], np.repeat(X[:1], 30, axis=0)])


def rows_of(graph):
    """Indices and values of each row, in their order."""
    ends = zip(graph.indptr[:-1], graph.indptr[1:], strict=True)
    return [(graph.indices[a:b], graph.data[a:b]) for a, b in ends]


def stored(graph):
    """Where a sparse matrix has entries, zeros among them."""
    found = np.zeros(graph.shape, dtype=bool)
    for i, (j, _) in enumerate(rows_of(graph)):
        found[i, j] = True
    return found


def assert_same_graph(found, expected, **tolerance):
    """The same entries in the same order."""
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.data, expected.data, **tolerance)


def assert_sorted(graph):
    for _, values in rows_of(graph):
        assert (np.diff(values) >= 0).all()


def nearest(dense, k):
    """The k smallest of each row, ascending, as a sparse matrix."""
    order = np.argsort(dense, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(dense, order, axis=1)
    indptr = np.arange(0, order.size + 1, k)
    return csr_matrix((values.ravel(), order.ravel(), indptr), shape=dense.shape)


# The k nearest by geodesic distance


@pytest.mark.parametrize("lam", [np.inf, 1.0, 0.01])
@pytest.mark.parametrize("k", [1, 7, 149])
def test_the_k_smallest_of_each_row(lam, k):
    dense, sparse = distances(lam=lam), neighbors(lam=lam, n_neighbors=k)
    for found, expected in [
        (sparse.fit_transform(X), dense.fit_transform(X)),
        (sparse.transform(NEW), dense.transform(NEW)),
    ]:
        assert_same_graph(found, nearest(expected, k + 1), rtol=1e-12)


@pytest.mark.parametrize("rule", [{"epsilon": 0.4}, {"epsilon": 0.5, "k": 6}, {}])
@BRIDGED
def test_the_k_smallest_under_other_graphs(rule):
    rule = {"epsilon": rule.get("epsilon"), "n_graph_neighbors": rule.get("k")}
    found = neighbors(**rule).fit_transform(X)
    expected = distances(**rule).fit_transform(X)
    assert_same_graph(found, nearest(expected, K + 1), rtol=1e-12)


@modes
def test_a_given_graph(mode):
    ring = csr_array(np.roll(np.eye(len(X)), 1, axis=1))
    found = neighbors(mode=mode, symmetric=True).fit(X, neighbors_graph=ring)
    every = found.fit_transform(X, neighbors_graph=ring)
    D_ring = distances().fit_transform(X, neighbors_graph=ring)
    near = stored(nearest(D_ring, K + (mode == "distance")))
    np.testing.assert_array_equal(stored(every), near | near.T)


def test_connectivity_has_one_sample_less():
    ones = neighbors(mode="connectivity", n_neighbors=K + 1)
    lengths = neighbors(mode="distance", n_neighbors=K)
    for found, expected in [
        (ones.fit_transform(X), lengths.fit_transform(X)),
        (ones.transform(NEW), lengths.transform(NEW)),
    ]:
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.data, 1.0)


# The conventions of KNeighborsTransformer


@modes
@pytest.mark.parametrize("given", ["graph", "epsilon"])
def test_euclidean_neighbors_are_those_of_scikit_learn(mode, given):
    peer = KNeighborsTransformer(mode=mode, n_neighbors=K).fit(X)
    own = neighbors(
        mode=mode,
        density=normal_log_density,
        lam=np.inf,
        epsilon=100.0,
        n_graph_neighbors=None,
    )
    complete = csr_array(np.ones((len(X), len(X)))) if given == "graph" else None
    graphs = own.fit_transform(X, neighbors_graph=complete), own.transform(NEW)
    peers = peer.transform(X), peer.transform(NEW)
    for found, expected in zip(graphs, peers, strict=True):
        assert type(found) is type(expected)
        assert found.dtype == expected.dtype
        assert_same_graph(found, expected, rtol=1e-12, atol=1e-15)
    assert own.n_samples_fit_ == peer.n_samples_fit_ == len(X)


@modes
@symmetries
def test_form(mode, symmetric):
    transformer = neighbors(mode=mode, symmetric=symmetric)
    for graph in (transformer.fit_transform(X), transformer.transform(NEW)):
        assert isinstance(graph, csr_matrix)
        assert graph.indices.dtype == graph.indptr.dtype == np.int32
        assert_sorted(graph)
        assert (graph.data > 0).sum() >= graph.nnz - graph.shape[0]
    names = transformer.get_feature_names_out()
    assert names[0] == "geodesicneighborstransformer0"
    assert len(names) == len(X)


@pytest.mark.parametrize("config", SPARSE_CONFIGS)
def test_the_class_of_the_graph_is_that_of_scikit_learn(config):
    peer = KNeighborsTransformer().fit(X)
    with sklearn.config_context(**config):
        assert type(neighbors().fit(X).transform(NEW)) is type(peer.transform(NEW))


@symmetries
@pytest.mark.parametrize("samples", [X, with_duplicates()], ids=["moons", "duplicates"])
@BRIDGED
def test_a_sample_is_the_first_of_its_row(samples, symmetric):
    transformer = neighbors(n_graph_neighbors=5, n_neighbors=5, symmetric=symmetric)
    graph = transformer.fit_transform(samples)
    first = graph.indices[graph.indptr[:-1]]
    np.testing.assert_array_equal(first, np.arange(len(samples)))
    np.testing.assert_array_equal(graph.data[graph.indptr[:-1]], 0.0)
    transformer.set_params(mode="connectivity")
    ones = transformer.fit_transform(samples)
    np.testing.assert_array_equal(ones.indices[ones.indptr[:-1]], first)


@BRIDGED
def test_duplicates_are_each_others_nearest():
    samples = with_duplicates()
    copies = (samples == X[0]).all(axis=1)
    graph = neighbors(n_graph_neighbors=5, n_neighbors=5).fit_transform(samples)
    assert (np.diff(graph.indptr) == 6).all()
    assert (graph[copies].data == 0).all()
    assert stored(graph)[copies][:, copies].sum() == graph[copies].nnz
    D_copies = distances(n_graph_neighbors=5).fit_transform(samples)
    np.testing.assert_allclose(
        graph.data, nearest(D_copies, 6).data, rtol=1e-12, atol=1e-15
    )


@BRIDGED
def test_a_query_among_duplicates():
    transformer = neighbors(n_graph_neighbors=5, n_neighbors=5)
    graph = transformer.fit_transform(with_duplicates())
    again = transformer.transform(with_duplicates())
    np.testing.assert_allclose(again.data, graph.data, rtol=1e-12, atol=1e-15)
    alone = np.arange(1, 60)
    np.testing.assert_array_equal(again.indices[again.indptr[alone]], alone)


# Laws


@modes
def test_transform_of_the_training_samples(mode):
    transformer = neighbors(mode=mode)
    graph = transformer.fit_transform(X)
    assert_same_graph(transformer.transform(X), graph, rtol=0)
    some = [5, 3, 80]
    assert_same_graph(transformer.transform(X[some]), graph[some], rtol=0)


@modes
@symmetries
def test_row_by_row_is_all_at_once(mode, symmetric):
    transformer = neighbors(mode=mode, symmetric=symmetric).fit(X)
    together = transformer.transform(NEW)
    for row, alone in enumerate(map(transformer.transform, NEW[:, None])):
        assert_same_graph(alone, together[row], rtol=2 * QUAD_TOL)


@symmetries
def test_n_jobs_changes_nothing(symmetric):
    samples, _ = make_moons(1500, noise=0.1, random_state=2)
    density = normal_log_density
    one, two = (
        neighbors(density=density, n_jobs=n_jobs, symmetric=symmetric)
        for n_jobs in (1, 2)
    )
    assert_same_graph(two.fit_transform(samples), one.fit_transform(samples), rtol=0)
    assert_same_graph(two.transform(samples + 0.01), one.transform(samples + 0.01))


def test_memory_changes_nothing(tmp_path):
    expected = neighbors().fit_transform(X)
    for _ in range(2):
        found = neighbors(memory=str(tmp_path)).fit_transform(X)
        assert_same_graph(found, expected, rtol=1e-9)


@symmetries
def test_permuting_samples_permutes_neighbors(symmetric):
    order = np.random.default_rng(0).permutation(len(X))
    transformer = neighbors(symmetric=symmetric)
    expected = transformer.fit_transform(X)[order][:, order]
    found = transformer.fit_transform(X[order])
    np.testing.assert_array_equal(stored(found), stored(expected))
    np.testing.assert_allclose(
        found.toarray(), expected.toarray(), rtol=2 * QUAD_TOL, atol=1e-12
    )


@pytest.mark.parametrize("k", [1, 7, 100])
@modes
def test_symmetric(k, mode):
    one_way = neighbors(n_neighbors=k, mode=mode).fit_transform(X)
    graph = neighbors(n_neighbors=k, mode=mode, symmetric=True).fit_transform(X)
    either = stored(one_way) | stored(one_way).T
    np.testing.assert_array_equal(stored(graph), either)
    np.testing.assert_array_equal(graph.toarray(), graph.toarray().T)
    assert (np.diff(graph.indptr) >= k + (mode == "distance")).all()
    assert_sorted(graph)
    dense = D if mode == "distance" else np.ones_like(D)
    np.testing.assert_allclose(graph.toarray(), np.where(either, dense, 0), rtol=1e-12)


def test_a_pair_has_the_smaller_of_its_two_distances():
    """They differ by rounding alone."""
    one_way = neighbors(n_neighbors=100).fit_transform(X)
    there = np.where(stored(one_way), one_way.toarray(), np.inf)
    graph = neighbors(n_neighbors=100, symmetric=True).fit_transform(X)
    smaller = np.minimum(there, there.T)
    found = np.where(stored(graph), graph.toarray(), np.inf)
    np.testing.assert_array_equal(found, smaller)
    both = np.isfinite(there) & np.isfinite(there.T)
    assert (there[both] > smaller[both]).any()


def test_symmetric_rows_of_new_points_are_the_nearest():
    expected = neighbors().fit(X).transform(NEW)
    assert_same_graph(neighbors(symmetric=True).fit(X).transform(NEW), expected, rtol=0)


@symmetries
def test_float32(symmetric):
    single, single_new = X.astype(np.float32), NEW.astype(np.float32)
    own = neighbors(symmetric=symmetric)
    exact = (
        own.fit_transform(single.astype(float)),
        own.transform(single_new.astype(float)),
    )
    short = own.fit_transform(single), own.transform(single_new)
    for found, expected in zip(short, exact, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.data, expected.data.astype(np.float32))
    own.set_params(mode="connectivity")
    assert own.fit_transform(single).dtype == np.float32


@pytest.mark.parametrize("steepness", [100.0, 150.0])
def test_float32_that_overflows_is_refused(steepness):
    steep = neighbors(
        density=lambda points: -steepness * points[:, 0] ** 2, lam=0, n_neighbors=149
    )
    samples = X.astype(np.float32)
    assert np.isfinite(steep.fit_transform(X).data).all()
    with pytest.raises(ValueError, match=r"float32 cannot hold.*float64.*Tempered"):
        steep.fit_transform(samples)
    with pytest.raises(ValueError, match=r"float32 cannot hold.*float64.*Tempered"):
        steep.transform(samples)
    steep.set_params(mode="connectivity").fit_transform(samples)


def test_memory_is_linear():
    samples = np.random.default_rng(0).normal(size=(4000, 2))
    transformer = neighbors(density=normal_log_density, symmetric=True)
    tracemalloc.start()
    transformer.fit_transform(samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(samples) ** 2 * 8 / 2


# Extremes


@pytest.mark.parametrize("n_samples", [1, 2, 5])
@modes
@symmetries
def test_few_samples(n_samples, mode, symmetric):
    samples, beside = X[:n_samples], mode == "distance"
    most = n_samples - beside
    params = {"n_graph_neighbors": None, "mode": mode, "symmetric": symmetric}
    if most:
        graph = neighbors(n_neighbors=most, **params).fit_transform(samples)
        assert graph.nnz == n_samples**2
    for k in (most + 1, 100):
        match = (
            rf"n_neighbors={k} with n_samples={n_samples} and mode='{mode}': .* at "
            rf"most {most} .*Pass a smaller n_neighbors, or more samples"
        )
        with pytest.raises(ValueError, match=match):
            neighbors(n_neighbors=k, **params).fit(samples)


def test_too_many_neighbors_are_refused_before_the_density_is_fitted(watched):
    transformer = neighbors(density=watched(), n_neighbors=len(X))
    with pytest.raises(ValueError, match="n_neighbors=150"):
        transformer.fit(X)
    assert watched.fits == []
    transformer.set_params(n_neighbors=len(X) - 1).fit(X)
    assert len(watched.fits) == 1
    with pytest.raises(ValueError, match="n_neighbors=150"):
        transformer.set_params(n_neighbors=len(X)).transform(NEW)


@pytest.mark.parametrize("distance", [1e2, 1e6])
def test_queries_far_outside_the_data(distance):
    far = np.array([[distance, 0.0], [0.0, -distance], [distance, distance]])
    found = neighbors().fit(X).transform(far)
    expected = DISTANCES.transform(far)
    # Ties at this distance: all samples are about as far.
    np.testing.assert_allclose(
        found.data.reshape(3, -1), np.sort(expected, axis=1)[:, : K + 1], rtol=1e-12
    )
    np.testing.assert_allclose(
        found.data, expected[np.repeat(range(3), K + 1), found.indices], rtol=1e-12
    )


def reachable(**params):
    return neighbors(
        density=normal_log_density,
        epsilon=1.0,
        n_graph_neighbors=None,
        disconnected="inf",
        **params,
    )


@symmetries
@pytest.mark.parametrize(
    ("k", "short", "shortest"), [(2, 1, 1), (3, 1, 1), (4, 5, 1), (11, 15, 1)]
)
def test_rows_hold_what_can_be_reached(k, short, shortest, symmetric):
    match = (
        rf"{short} of 15 rows have fewer than {k + 1} samples within reach \(the "
        rf"shortest {shortest}\).*disconnected='inf'.*DBSCAN.*disconnected='connect'"
    )
    transformer = reachable(n_neighbors=k, symmetric=symmetric)
    with pytest.warns(UserWarning, match=match):
        graph = transformer.fit_transform(islands())
    sizes = np.repeat([10, 4, 1], [10, 4, 1])
    lengths = np.diff(graph.indptr)
    if symmetric:
        assert (lengths >= np.minimum(sizes, k + 1)).all()
    else:
        np.testing.assert_array_equal(lengths, np.minimum(sizes, k + 1))
    assert np.isfinite(graph.data).all()
    assert_sorted(graph)


def test_rows_of_new_points_that_reach_nothing_are_empty():
    transformer = reachable(n_neighbors=2).fit(islands())
    queries = np.array([[0.5, 0.1], [50.5, 50.0], [-30.0, 0.0]])
    with pytest.warns(UserWarning, match=r"2 of 3 rows .* \(the shortest 0\)") as told:
        graph = transformer.transform(queries)
    assert told[0].filename == __file__
    np.testing.assert_array_equal(np.diff(graph.indptr), [3, 1, 0])


@SHORT
def test_short_rows_in_scikit_learn():
    graph = reachable(n_neighbors=5).fit_transform(islands())
    labels = DBSCAN(eps=10, min_samples=3, metric="precomputed").fit_predict(graph)
    np.testing.assert_array_equal(labels, [0] * 10 + [1] * 4 + [-1])
    with pytest.raises(ValueError, match="neighbors per sample"):
        KNeighborsClassifier(5, metric="precomputed").fit(graph, labels).predict(graph)


@BRIDGED
def test_joined_components_have_full_rows():
    joined = reachable(n_neighbors=11).set_params(disconnected="connect")
    assert joined.fit_transform(islands()).nnz == 15 * 12


def test_not_fitted():
    with pytest.raises(NotFittedError):
        neighbors().transform(NEW)


def test_copies():
    transformer = neighbors(symmetric=True).fit(X)
    expected = transformer.transform(NEW)
    assert_same_graph(pickle.loads(pickle.dumps(transformer)).transform(NEW), expected)
    assert_same_graph(clone(transformer).fit(X).transform(NEW), expected)


def test_a_fitted_density_is_used_as_it_is():
    density = GaussianMixture(3, random_state=0).fit(X)
    transformer = clone(neighbors(density=density)).fit(X[:50])
    np.testing.assert_array_equal(
        transformer.density_.score_samples(NEW), density.score_samples(NEW)
    )


def test_data_frames():
    frame = pd.DataFrame(X, columns=["a", "b"])
    transformer = neighbors()
    assert_same_graph(transformer.fit_transform(frame), neighbors().fit_transform(X))
    assert list(transformer.feature_names_in_) == ["a", "b"]


# What it is made for: the same as from the dense distances


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize(
    ("kind", "answer"),
    [(KNeighborsClassifier, "predict_proba"), (KNeighborsRegressor, "predict")],
)
def test_supervised_neighbors(kind, answer, weights):
    model = kind(K, metric="precomputed", weights=weights)
    dense = clone(model).fit(D, Y)
    sparse = make_pipeline(neighbors(), model).fit(X, Y)
    for samples, expected in [(X, D), (NEW, D_NEW)]:
        np.testing.assert_allclose(
            getattr(sparse, answer)(samples), getattr(dense, answer)(expected)
        )
    assert ((sparse.predict(NEW) > 0.5) == Y_NEW).mean() > 0.9


@pytest.mark.parametrize("symmetric", [False, True])
def test_dbscan(symmetric):
    eps = np.quantile(D, 0.06)
    k = int((eps >= D).sum(axis=1).max())
    model = DBSCAN(eps=eps, min_samples=5, metric="precomputed")
    pipeline = make_pipeline(neighbors(n_neighbors=k, symmetric=symmetric), model)
    labels = pipeline.fit_predict(X)
    np.testing.assert_array_equal(labels, clone(model).fit_predict(D))
    assert adjusted_rand_score(Y, labels) > 0.8


def hdbscan():
    return HDBSCAN(min_cluster_size=20, min_samples=5, metric="precomputed", copy=True)


def test_hdbscan():
    pipeline = make_pipeline(neighbors(n_neighbors=15, symmetric=True), hdbscan())
    labels, expected = pipeline.fit_predict(X), hdbscan().fit_predict(D)
    assert adjusted_rand_score(labels, expected) == 1
    np.testing.assert_array_equal(labels == -1, expected == -1)
    assert set(labels) > {0, 1}


@BRIDGED
def test_hdbscan_needs_a_symmetric_and_connected_graph():
    with pytest.raises(ValueError, match="symmetric"):
        make_pipeline(neighbors(), hdbscan()).fit(X)
    apart = np.vstack([X, X + 50])
    few = neighbors(n_neighbors=20, symmetric=True)
    with pytest.raises(ValueError, match="connected component"):
        make_pipeline(few, hdbscan()).fit(apart)


@pytest.mark.parametrize("max_eps", [np.inf, np.quantile(D, 0.05)])
def test_optics(max_eps):
    model = OPTICS(min_samples=5, max_eps=max_eps, metric="precomputed")
    k = len(X) - 1 if np.isinf(max_eps) else int((max_eps >= D).sum(axis=1).max())
    sparse = make_pipeline(neighbors(n_neighbors=k), model).fit(X)[-1]
    dense = clone(model).fit(D)
    np.testing.assert_array_equal(sparse.ordering_, dense.ordering_)
    np.testing.assert_allclose(sparse.reachability_, dense.reachability_)
    np.testing.assert_array_equal(sparse.labels_, dense.labels_)


def test_isomap():
    model = Isomap(n_neighbors=K, metric="precomputed")
    sparse = make_pipeline(neighbors(), model).fit(X)
    dense = clone(model).fit(D)
    np.testing.assert_allclose(sparse[-1].dist_matrix_, dense.dist_matrix_)
    np.testing.assert_allclose(sparse.transform(NEW), dense.transform(D_NEW))


@BRIDGED
def test_isomap_needs_a_connected_graph():
    apart = np.vstack([X, X + 50])
    model = make_pipeline(neighbors(), Isomap(n_neighbors=K, metric="precomputed"))
    with pytest.raises(RuntimeError, match="cannot be completed with metric='precomp"):
        model.fit(apart)


def test_spectral_clustering():
    params = {"affinity": "precomputed_nearest_neighbors", "random_state": 0}
    model = SpectralClustering(2, n_neighbors=K, **params)
    sparse = make_pipeline(neighbors(), model).fit(X)[-1]
    dense = clone(model).fit(D)
    assert abs(sparse.affinity_matrix_ - dense.affinity_matrix_).max() == 0
    np.testing.assert_array_equal(sparse.labels_, dense.labels_)


def test_spectral_embedding():
    params = {"affinity": "precomputed_nearest_neighbors", "random_state": 0}
    model = SpectralEmbedding(2, n_neighbors=K, **params)
    sparse = make_pipeline(neighbors(), model).fit_transform(X)
    np.testing.assert_allclose(sparse, clone(model).fit_transform(D), atol=1e-10)


def test_local_outlier_factor():
    model = LocalOutlierFactor(K, metric="precomputed")
    sparse = make_pipeline(neighbors(), model).fit(X)[-1]
    dense = clone(model).fit(D)
    np.testing.assert_allclose(
        sparse.negative_outlier_factor_, dense.negative_outlier_factor_
    )
    model.set_params(novelty=True)
    outlying = np.vstack([NEW, [[5.0, 5.0]]])
    found = make_pipeline(neighbors(), model).fit(X).score_samples(outlying)
    expected = clone(model).fit(D).score_samples(DISTANCES.transform(outlying))
    np.testing.assert_allclose(found, expected)
    assert found.argmin() == len(NEW)


def test_tsne():
    model = TSNE(
        perplexity=10, metric="precomputed", init="random", max_iter=250, random_state=0
    )
    sparse = make_pipeline(neighbors(n_neighbors=31), model).fit_transform(X)
    np.testing.assert_array_equal(sparse, clone(model).fit_transform(D))
    with pytest.raises(ValueError, match="Decrease number of neighbors used or"):
        make_pipeline(neighbors(n_neighbors=30), clone(model)).fit_transform(X)


@pytest.mark.filterwarnings("ignore:using precomputed metric:UserWarning")
@pytest.mark.filterwarnings("ignore:Transforming new data with precom:UserWarning")
def test_umap():
    model = UMAP(n_neighbors=K + 1, metric="precomputed", n_epochs=20, random_state=0)
    sparse = make_pipeline(neighbors(symmetric=True), model).fit(X)
    dense = clone(model).fit(D)
    assert abs(sparse[-1].graph_ - dense.graph_).max() == 0
    np.testing.assert_array_equal(sparse[-1].embedding_, dense.embedding_)
    np.testing.assert_array_equal(sparse.transform(NEW), dense.transform(D_NEW))


@pytest.mark.filterwarnings("ignore:using precomputed metric:UserWarning")
def test_umap_needs_a_symmetric_graph():
    model = UMAP(n_neighbors=K + 1, metric="precomputed", n_epochs=20, random_state=0)
    with pytest.raises(ValueError, match="symmetrical"):
        make_pipeline(neighbors(), model).fit(X)


def test_opentsne():
    rows = neighbors(n_neighbors=30).fit_transform(X)
    shape = len(X), -1
    found = PrecomputedNeighbors(
        rows.indices.reshape(shape)[:, 1:], rows.data.reshape(shape)[:, 1:]
    )
    sparse = PerplexityBasedNN(perplexity=10, knn_index=found)
    dense = PerplexityBasedNN(D, perplexity=10, metric="precomputed")
    np.testing.assert_allclose(sparse.P.toarray(), dense.P.toarray(), rtol=1e-9)
    tsne = openTSNE.TSNE(
        n_iter=50, early_exaggeration_iter=50, initialization="random", random_state=0
    )
    embedding = np.asarray(tsne.fit(affinities=sparse))
    centers = [embedding[label == Y].mean(axis=0) for label in (0, 1)]
    nearer = np.linalg.norm(embedding[:, None] - centers, axis=2).argmin(axis=1)
    assert (nearer == Y).mean() > 0.8


OF_GRAPHS = {"affinity": "precomputed_nearest_neighbors", "random_state": 0}


@pytest.mark.parametrize(
    "model",
    [
        LocalOutlierFactor(10, metric="precomputed"),
        Isomap(n_neighbors=10, metric="precomputed"),
        SpectralClustering(2, n_neighbors=11, **OF_GRAPHS),
        SpectralEmbedding(2, n_neighbors=11, **OF_GRAPHS),
        OPTICS(min_samples=11, metric="precomputed"),
        HDBSCAN(min_samples=11, metric="precomputed", copy=True),
    ],
)
def test_neighbors_that_are_just_enough(model):
    ten = neighbors(n_neighbors=10, symmetric=isinstance(model, HDBSCAN))
    make_pipeline(ten, model).fit(X)
    with pytest.raises(ValueError, match="neighbors"):
        make_pipeline(ten.set_params(n_neighbors=9), clone(model)).fit(X)


def test_dbscan_of_just_enough_neighbors():
    model = DBSCAN(eps=D.max(), min_samples=11, metric="precomputed")
    labels = [
        make_pipeline(neighbors(n_neighbors=k), model).fit_predict(X) for k in (9, 10)
    ]
    assert (labels[0] == -1).all()
    assert (labels[1] >= 0).all()


def test_grid_search(tmp_path):
    pipeline = Pipeline(
        [
            ("geodesic", neighbors(memory=str(tmp_path))),
            ("classifier", KNeighborsClassifier(3, metric="precomputed")),
        ]
    )
    grid = {"geodesic__lam": [np.inf, 0.1], "geodesic__n_neighbors": [3, 8]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    assert search.best_score_ > 0.9
    assert (search.predict(NEW) == Y_NEW).mean() > 0.9
    # More stored neighbours than the classifier asks for change nothing.
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    np.testing.assert_array_equal(scores[:, 0], scores[:, 1])
    plain = make_pipeline(neighbors(), KNeighborsClassifier(3, metric="precomputed"))
    expected = cross_val_score(plain, X, Y, cv=3).mean()
    np.testing.assert_allclose(scores[1, 0], expected)
