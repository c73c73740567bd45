import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.cluster import SpectralClustering
from sklearn.datasets import make_circles, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.metrics import (
    adjusted_rand_score,
    confusion_matrix,
    euclidean_distances,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgengeo import (
    GenerativeGeodesicDistance,
    GeodesicAffinity,
    GeodesicSpectralClustering,
    _cluster,
)
from skgengeo.density import ManifoldParzenWindows
from skgengeo.geometry import GeodesicGraph
from skgengeo.geometry._edges import Edges

from . import _oracles as oracles
from ._densities import normal_log_density
from ._machine import available_memory

# More components than clusters are warned of. No other warning is expected.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The graph has .* connected components:UserWarning"
)


def moons(n=120, noise=0.06, seed=0):
    return make_moons(n, noise=noise, random_state=seed)


def circles(n=160, seed=0):
    return make_circles(n, factor=0.4, noise=0.04, random_state=seed)


def blobs(n=120, seed=0):
    """Three, of different size and density."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [n // 6, n // 3, n // 2])
    centers = np.array([[0.0, 0.0], [2.0, 1.0], [0.0, 3.0]])
    spread = np.array([0.05, 0.15, 0.4])
    return centers[y] + spread[y, None] * rng.normal(size=(len(y), 2)), y


def far_blobs(centers, n=16, seed=0):
    """Of unit spread, and which sample belongs to which."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(centers)), n)
    return np.array(centers)[y] + rng.normal(size=(len(y), 2)), y


def is_near(distances):
    return 1 / (1 + (5 * distances) ** 4)


SHAPES = {"moons": moons, "circles": circles, "blobs": blobs}
DENSITIES = {
    "default": None,
    "KernelDensity": KernelDensity(bandwidth=0.15),
    "GaussianMixture": GaussianMixture(10, random_state=0),
    "ManifoldParzenWindows": ManifoldParzenWindows(),
}
KINDS = {
    "local scaling": {"affinity": "local_scaling"},
    "rbf": {"affinity": "rbf"},
    "rbf with gamma": {"affinity": "rbf", "gamma": 20.0},
    "function": {"affinity": is_near},
    "sparse": {"n_neighbors": 15},
    "sparse rbf": {"affinity": "rbf", "n_neighbors": 15},
}
ASSIGNMENTS = ["cluster_qr", "kmeans", "discretize"]
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
densities = pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
assignments = pytest.mark.parametrize("assign_labels", ASSIGNMENTS)
dense_or_sparse = pytest.mark.parametrize("n_neighbors", [None, 8])

X, Y = moons()
NEW, NEW_Y = moons(60, seed=1)


def spectral(n_clusters=2, **params):
    shared = {
        "density": KernelDensity(bandwidth=0.15),
        "lam": 0.1,
        "n_scale_neighbors": 7,
        "random_state": 0,
    }
    rule = {} if "epsilon" in params else {"n_graph_neighbors": 7}
    return GeodesicSpectralClustering(n_clusters, **shared | rule | params)


def same_clusters(labels, expected):
    return adjusted_rand_score(labels, expected) == 1.0


def agreement(labels, expected):
    """Share of samples with the same label, under the best matching of clusters."""
    counts = confusion_matrix(labels, expected)
    return counts[linear_sum_assignment(-counts)].sum() / len(labels)


def within(parts, whole):
    """Whether each of the parts lies in one of the whole."""
    return all(len(set(whole[parts == part])) == 1 for part in set(parts))


def as_dense(affinity):
    return affinity.toarray() if issparse(affinity) else affinity


# Truth


@shapes
def test_defaults_recover_separated_shapes(shape):
    (samples, truth), (new, new_truth) = shape(), shape(seed=1)
    clustering = GeodesicSpectralClustering(len(set(truth)))
    assert same_clusters(clustering.fit_predict(samples), truth)
    assert same_clusters(clustering.predict(new), new_truth)


@shapes
@densities
def test_densities_recover_separated_shapes(shape, density):
    (samples, truth), (new, new_truth) = shape(), shape(seed=1)
    clustering = spectral(len(set(truth)), density=density)
    assert same_clusters(clustering.fit_predict(samples), truth)
    assert same_clusters(clustering.predict(new), new_truth)


@shapes
@kinds
@assignments
def test_affinities_recover_separated_shapes(shape, kind, assign_labels):
    samples, truth = shape()
    clustering = spectral(len(set(truth)), assign_labels=assign_labels, **kind)
    assert same_clusters(clustering.fit_predict(samples), truth)


@pytest.mark.parametrize("n_clusters", [2, 3, 5])
@assignments
def test_labels_are_numbers_from_0(n_clusters, assign_labels):
    labels = spectral(n_clusters, assign_labels=assign_labels).fit(X).labels_
    assert labels.shape == (120,)
    assert labels.dtype.kind == "i"
    assert set(labels) == set(range(n_clusters))


# New points

SMALL, _ = moons(60, noise=0.12)
GRAPHS = {
    "kNN": {"n_graph_neighbors": 6},
    "epsilon": {"epsilon": 0.5},
    "both": {"n_graph_neighbors": 12, "epsilon": 0.5},
}


@densities
@kinds
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_a_training_sample_has_its_own_label(density, kind, graph):
    clustering = spectral(4, density=density, **kind, **graph).fit(SMALL)
    np.testing.assert_array_equal(clustering.predict(SMALL), clustering.labels_)


def test_a_training_sample_has_its_own_label_in_an_own_graph():
    own = kneighbors_graph(SMALL, 5)
    clustering = spectral(4).fit(SMALL, neighbors_graph=own)
    np.testing.assert_array_equal(clustering.predict(SMALL), clustering.labels_)


@kinds
@assignments
def test_duplicates_have_the_same_label(kind, assign_labels):
    rng = np.random.default_rng(0)
    place = rng.permutation(np.repeat(np.arange(60), rng.integers(1, 9, 60)))
    samples = SMALL[place]
    clustering = spectral(5, assign_labels=assign_labels, **kind).fit(samples)
    assert within(place, clustering.labels_)
    np.testing.assert_array_equal(clustering.predict(samples), clustering.labels_)


@assignments
def test_duplicates_have_the_same_label_where_affinities_tell_them_apart(assign_labels):
    place = np.repeat(np.arange(60), 3)
    clustering = spectral(20, n_neighbors=3, assign_labels=assign_labels)
    assert within(place, clustering.fit_predict(SMALL[place]))


@pytest.mark.filterwarnings("ignore:.* no training sample within:UserWarning")
@kinds
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_new_points_have_the_label_of_the_nearest(kind, graph):
    plane = np.random.default_rng(0).uniform([-1.2, -0.7], [2.2, 1.2], (300, 2))
    clustering = spectral(5, lam=0.01, **kind, **graph).fit(X)
    geodesic = GenerativeGeodesicDistance(
        KernelDensity(bandwidth=0.15), lam=0.01, **{"n_graph_neighbors": None} | graph
    ).fit(X)
    nearest = geodesic.transform(plane).argmin(axis=1)
    found = clustering.predict(plane)
    np.testing.assert_array_equal(found, clustering.labels_[nearest])
    # Which is not always that of the nearest in a straight line.
    straight = euclidean_distances(plane, X).argmin(axis=1)
    assert (found != clustering.labels_[straight]).any()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_new_points_row_by_row_are_all_at_once(n_jobs):
    clustering = spectral(5, n_jobs=n_jobs).fit(X)
    alone = [clustering.predict(row[None])[0] for row in NEW]
    np.testing.assert_array_equal(clustering.predict(NEW), alone)


@shapes
@pytest.mark.parametrize("seed", range(2))
def test_new_points_as_in_a_refit_with_them(shape, seed):
    (samples, truth), (new, _) = shape(), shape(seed=seed + 1)
    clustering = spectral(len(set(truth))).fit(samples)
    together = clone(clustering).fit_predict(np.vstack([samples, new]))
    assert agreement(clustering.predict(new), together[len(samples) :]) > 0.98


# What does not matter


def test_labels_are_not_seen(watched):
    blind = spectral(density=watched()).fit(X)
    given = spectral(density=watched()).fit(X, Y)
    np.testing.assert_array_equal(blind.labels_, given.labels_)
    shuffled = np.random.default_rng(0).permutation(Y)
    np.testing.assert_array_equal(
        spectral(density=watched()).fit_predict(X, shuffled), blind.labels_
    )
    assert [y for _, y in watched.fits] == [None] * 3


@kinds
@pytest.mark.parametrize(
    ("assign_labels", "n_clusters"),
    # The others start at random, and where nothing is to be found stop anywhere.
    [("cluster_qr", 2), ("cluster_qr", 4), ("kmeans", 2), ("discretize", 2)],
)
def test_the_order_of_samples(kind, assign_labels, n_clusters):
    order = np.random.default_rng(0).permutation(len(X))
    clustering = spectral(n_clusters, assign_labels=assign_labels, **kind)
    expected, new = clustering.fit(X).labels_, clustering.predict(NEW)
    assert same_clusters(clustering.fit_predict(X[order]), expected[order])
    assert same_clusters(clustering.predict(NEW), new)


@kinds
def test_n_jobs(kind):
    one, two = (spectral(4, n_jobs=n_jobs, **kind).fit(X) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.labels_, two.labels_)
    np.testing.assert_array_equal(one.predict(NEW), two.predict(NEW))


def test_memory(tmp_path):
    expected = spectral(4).fit(X).labels_
    for _ in range(2):
        cached = spectral(4, memory=str(tmp_path)).fit(X)
        np.testing.assert_array_equal(cached.labels_, expected)


@pytest.mark.parametrize("scale", [1e-3, 50.0])
@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_units(scale, affinity):
    expected = spectral(4, density=None, affinity=affinity).fit(X).labels_
    scaled = spectral(4, density=None, affinity=affinity).fit(scale * X)
    assert same_clusters(scaled.labels_, expected)


@kinds
def test_float32(kind):
    single = X.astype(np.float32)
    short = spectral(4, **kind).fit(single)
    exact = spectral(4, **kind).fit(single.astype(np.float64))
    assert short.affinity_matrix_.dtype == np.float32
    # Eigenvectors in single precision tell no faint affinities apart.
    assert short.embedding_.dtype == np.float64
    assert same_clusters(short.labels_, exact.labels_)
    np.testing.assert_array_equal(short.predict(single), short.labels_)


@assignments
@pytest.mark.parametrize("n_neighbors", [None, 15])
def test_random_state_repeats(assign_labels, n_neighbors):
    def fit(seed):
        params = {"assign_labels": assign_labels, "n_neighbors": n_neighbors}
        return spectral(6, random_state=seed, **params).fit(X)

    first = fit(0)
    for again in (fit(0), fit(np.random.RandomState(0))):
        np.testing.assert_array_equal(first.embedding_, again.embedding_)
        np.testing.assert_array_equal(first.labels_, again.labels_)
    if assign_labels == "cluster_qr":
        assert same_clusters(fit(1).labels_, first.labels_)


# Affinities and embedding


@kinds
def test_affinities_are_those_of_the_transformer(kind):
    params = {"n_neighbors": None} | kind
    clustering = spectral(2, **params).fit(X)
    names = GeodesicAffinity().get_params(deep=False)
    params = clustering.get_params(deep=False)
    transformer = GeodesicAffinity(**{name: params[name] for name in names})
    expected = as_dense(transformer.fit_transform(X))
    found = as_dense(clustering.affinity_matrix_)
    np.testing.assert_array_equal(found, found.T)
    # Save that none vanishes along an edge of the graph.
    edges = as_dense(clustering.graph_.weights) > 0
    np.testing.assert_array_equal(found[~edges], expected[~edges])
    assert (found[edges] >= expected[edges]).all()
    assert (found[edges] >= _cluster.FAINTEST).all()
    clear = edges & (expected > _cluster.FAINT)
    np.testing.assert_array_equal(found[clear], expected[clear])
    assert clear[edges].mean() > 0.9


@kinds
@assignments
def test_clusters_are_those_of_scikit_learn(kind, assign_labels):
    clustering = spectral(5, assign_labels=assign_labels, **kind).fit(X)
    twin = SpectralClustering(
        5,
        affinity="precomputed",
        assign_labels=assign_labels,
        random_state=0,
    ).fit(clustering.affinity_matrix_)
    assert clustering.embedding_.shape == (120, 5)
    assert same_clusters(clustering.labels_, twin.labels_)


def blocks(sizes, seed=0):
    """Random affinities of several components, and the component of each sample."""
    rng = np.random.default_rng(seed)
    component = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    A = rng.uniform(size=(len(component), len(component)))
    return np.where(component[:, None] == component, A + A.T, 0), component


@pytest.mark.parametrize("n_components", [5, 6, 9, 20, 33])
@pytest.mark.parametrize("sparse", [False, True])
def test_embedding_of_components(n_components, sparse):
    A, component = blocks([1, 2, 3, 8, 20])
    embedding = _cluster.leading_eigenvectors(
        csr_array(A) if sparse else A,
        component,
        n_components,
        np.random.RandomState(0),
    )
    # (D - W) u = value D u
    W = A - np.diag(A.diagonal())
    degree = W.sum(axis=1)
    root = np.sqrt(np.where(degree > 0, degree, 1.0))
    normalised = (np.diag(degree) - W) / np.outer(root, root)
    vectors = embedding * root[:, None]
    values = (vectors * (normalised @ vectors)).sum(axis=0)
    expected = np.linalg.eigvalsh(normalised)[:n_components]
    np.testing.assert_allclose(np.sort(values), expected, atol=1e-9)
    np.testing.assert_allclose(normalised @ vectors, vectors * values, atol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n_components), atol=1e-6)


@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_all_neighbors_are_dense(affinity):
    dense = spectral(4, affinity=affinity, n_neighbors=None).fit(X)
    sparse = spectral(4, affinity=affinity, n_neighbors=119).fit(X)
    assert isinstance(sparse.affinity_matrix_, csr_array)
    np.testing.assert_allclose(
        as_dense(sparse.affinity_matrix_), dense.affinity_matrix_, atol=1e-12
    )
    assert same_clusters(sparse.labels_, dense.labels_)


@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_some_neighbors_are_close_to_dense(affinity):
    samples, _ = moons(300, noise=0.15)
    dense, sparse = (
        spectral(3, affinity=affinity, n_neighbors=k).fit(samples) for k in (None, 40)
    )
    assert adjusted_rand_score(dense.labels_, sparse.labels_) > 0.9


def test_many_samples_have_sparse_affinities(monkeypatch):
    clustering = spectral(n_neighbors="auto")
    assert isinstance(clustering.fit(X).affinity_matrix_, np.ndarray)
    monkeypatch.setattr(_cluster, "MAX_DENSE_SAMPLES", 119)
    assert isinstance(clustering.fit(X).affinity_matrix_, csr_array)
    assert same_clusters(clustering.labels_, Y)


@pytest.mark.parametrize("m", [3, 9])
def test_sparse_affinities_reach_further_than_the_scale(monkeypatch, m):
    monkeypatch.setattr(_cluster, "MAX_DENSE_SAMPLES", 119)
    chosen, given = (
        spectral(n_scale_neighbors=m, n_neighbors=n_neighbors).fit(X).affinity_matrix_
        for n_neighbors in ("auto", 5 * m)
    )
    np.testing.assert_array_equal(chosen.toarray(), given.toarray())


def test_affinities_too_large_are_refused(monkeypatch):
    available_memory(monkeypatch, 120 * 120 * 8 - 1)
    message = r"shape \(120, 120\) takes.*Pass n_neighbors.*sparse"

    def computed(*args, **kwargs):
        pytest.fail("distances were computed")

    monkeypatch.setattr(GeodesicGraph, "distances_from", computed)
    with pytest.raises(ValueError, match=message):
        spectral(n_neighbors=None).fit(X)
    # As it says.
    spectral(n_neighbors=15).fit(X)


# Numbers of clusters and of samples


def test_one_cluster():
    clustering = spectral(1).fit(X)
    assert (clustering.labels_ == 0).all()
    assert (clustering.predict(NEW) == 0).all()


@assignments
@dense_or_sparse
def test_as_many_clusters_as_samples(assign_labels, n_neighbors):
    params = {"assign_labels": assign_labels, "n_neighbors": n_neighbors}
    clustering = spectral(60, **params).fit(SMALL)
    assert sorted(clustering.labels_) == list(range(60))
    np.testing.assert_array_equal(clustering.predict(SMALL), clustering.labels_)


@assignments
@dense_or_sparse
def test_as_many_clusters_as_distinct_samples(assign_labels, n_neighbors):
    place = np.repeat(np.arange(60), 3)
    params = {"assign_labels": assign_labels, "n_neighbors": n_neighbors}
    assert same_clusters(spectral(60, **params).fit_predict(SMALL[place]), place)


@assignments
def test_almost_as_many_clusters_as_samples(assign_labels):
    labels = spectral(59, assign_labels=assign_labels).fit(SMALL).labels_
    assert len(set(labels)) >= 50


@pytest.mark.parametrize("n_clusters", [61, 1000])
def test_more_clusters_than_samples(n_clusters):
    message = rf"n_clusters={n_clusters} with n_samples=60: pass at most 60"
    with pytest.raises(ValueError, match=message):
        spectral(n_clusters).fit(SMALL)


@assignments
@pytest.mark.parametrize(
    ("n", "expected"), [(1, [0]), (2, [0, 0]), (2, [0, 1]), (3, [0, 0, 1])]
)
def test_few_samples(n, expected, assign_labels):
    # At 0, 1 and 5 of a line.
    samples = np.array([[0.0], [1.0], [5.0]])[:n]
    clustering = spectral(
        max(expected) + 1,
        density=normal_log_density,
        lam=np.inf,
        epsilon=10.0,
        n_scale_neighbors="auto",
        assign_labels=assign_labels,
    )
    assert same_clusters(clustering.fit_predict(samples), expected)


# More components than clusters

PAIRS = np.array([[0.0, 0.0], [1.0, 0.0], [20.0, 0.0], [21.0, 0.0]])
TREE = np.array([[0.0, 0.0], [1.5, 0.0], [3.2, 0.0], [0.0, 8.0], [8.0, 8.0]])


@pytest.mark.parametrize("gap", [10.0, 1e5])
@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
@assignments
@dense_or_sparse
def test_components_are_joined_whole(gap, affinity, assign_labels, n_neighbors):
    samples, component = far_blobs(gap * TREE)
    params = {"affinity": affinity, "assign_labels": assign_labels}
    for n_clusters in (2, 3):
        clustering = spectral(
            n_clusters, density=None, n_neighbors=n_neighbors, **params
        ).fit(samples)
        assert clustering.graph_.n_components == 5
        assert len(set(clustering.labels_)) == n_clusters
        assert within(component, clustering.labels_)


@pytest.mark.parametrize("gap", [30.0, 1e5])
@pytest.mark.parametrize("affinity", ["local_scaling", "rbf", is_near])
@assignments
@dense_or_sparse
def test_near_components_are_joined(gap, affinity, assign_labels, n_neighbors):
    samples, component = far_blobs(gap * PAIRS)
    clustering = spectral(
        density=None,
        affinity=affinity,
        assign_labels=assign_labels,
        n_neighbors=n_neighbors,
    )
    assert same_clusters(clustering.fit_predict(samples), component // 2)


@pytest.mark.parametrize("gap", [10.0, 1e5])
@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
@assignments
@dense_or_sparse
def test_as_many_clusters_as_components(gap, affinity, assign_labels, n_neighbors):
    samples, component = far_blobs(gap * TREE)
    params = {"affinity": affinity, "assign_labels": assign_labels}
    for disconnected in ("connect", "inf"):
        clustering = spectral(
            5,
            density=None,
            n_neighbors=n_neighbors,
            disconnected=disconnected,
            **params,
        )
        assert same_clusters(clustering.fit_predict(samples), component)


@pytest.mark.parametrize("n_neighbors", [None, 30])
@pytest.mark.parametrize("gap", [20.0, 1e4])
@pytest.mark.parametrize("sizes", [(200, 20, 20), (120, 120, 12, 15)], ids=str)
def test_components_of_any_size_are_clusters(sizes, gap, n_neighbors):
    # The small ones have fewer samples than the neighbour that gives the scale.
    y = np.repeat(np.arange(len(sizes)), sizes)
    samples = np.random.default_rng(0).normal(size=(len(y), 2))
    samples[:, 0] += gap * y
    clustering = spectral(
        len(sizes), density=None, n_scale_neighbors=40, n_neighbors=n_neighbors
    )
    assert same_clusters(clustering.fit_predict(samples), y)
    more = clustering.set_params(n_clusters=len(sizes) + 2).fit(samples)
    assert within(more.labels_, y)


@pytest.mark.parametrize("n_neighbors", [None, 20])
def test_the_unit_of_affinities_does_not_matter(n_neighbors):
    def scaled(unit):
        return spectral(
            3, affinity=lambda d: unit * np.exp(-(d**2) / 2), n_neighbors=n_neighbors
        ).fit(X)

    one = scaled(1.0)
    for unit in (1e-9, 1e6):
        other = scaled(unit)
        assert same_clusters(other.labels_, one.labels_)
        A, B = map(as_dense, (other.affinity_matrix_, one.affinity_matrix_))
        np.testing.assert_allclose(A, unit * B, rtol=1e-12)


def test_components_that_are_joined_are_warned_of():
    samples, _ = far_blobs(100 * TREE)
    with pytest.warns(UserWarning, match="The graph has 5 connected comp") as caught:
        spectral(3, density=None).fit(samples)
    assert len(caught) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_clusters", [5, 7])
@dense_or_sparse
def test_components_that_are_clusters_are_not_warned_of(n_clusters, n_neighbors):
    samples, component = far_blobs(100 * TREE)
    clustering = spectral(n_clusters, density=None, n_neighbors=n_neighbors)
    assert within(clustering.fit_predict(samples), component)


@pytest.mark.parametrize("n_clusters", [1, 4])
def test_components_that_no_cluster_may_join(n_clusters):
    samples, _ = far_blobs(100 * TREE)
    clustering = spectral(n_clusters, density=None, disconnected="inf")
    message = (
        rf"n_clusters={n_clusters}, and the graph has 5 components that "
        "disconnected='inf' keeps apart.*Pass n_clusters=5 or more.*or disconn"
    )
    with pytest.raises(ValueError, match=message):
        clustering.fit(samples)


@pytest.mark.parametrize("n_clusters", [4, 6, 9])
@assignments
@dense_or_sparse
def test_no_cluster_joins_components_apart(n_clusters, assign_labels, n_neighbors):
    # Two blobs, and two samples that are components of their own.
    near, _ = far_blobs([[0.0, 0.0], [40.0, 0.0]])
    samples = np.vstack([near, [[0.0, 90.0]], near[:10], [[50.0, 60.0]]])
    component = np.r_[np.repeat([0, 1], 16), 2, np.zeros(10), 3]
    clustering = spectral(
        n_clusters,
        density=None,
        epsilon=3.0,
        disconnected="inf",
        assign_labels=assign_labels,
        n_neighbors=n_neighbors,
    ).fit(samples)
    assert clustering.graph_.n_components == 4
    assert within(clustering.labels_, component)
    assert len(set(clustering.labels_)) >= 4
    np.testing.assert_array_equal(clustering.predict(samples), clustering.labels_)


@pytest.mark.parametrize("n_clusters", [30, 37, 44])
@assignments
def test_many_components_apart(n_clusters, assign_labels):
    # Pairs, and fifteen samples alone.
    pairs = np.repeat(30.0 * np.arange(30)[:, None], 2, axis=1)
    samples = np.vstack([pairs, pairs[:15] + 1.0])
    component = np.r_[np.arange(30), np.arange(15)]
    clustering = spectral(
        n_clusters,
        density=normal_log_density,
        lam=np.inf,
        epsilon=2.0,
        disconnected="inf",
        assign_labels=assign_labels,
    ).fit(samples)
    assert clustering.graph_.n_components == 30
    assert within(clustering.labels_, component)


# Affinities that underflow


@pytest.mark.parametrize("gap", [1.0, 2.2, 10.0, 1e3])
@assignments
@pytest.mark.parametrize("n_neighbors", [None, 15])
def test_a_sample_far_away_follows_its_nearest(gap, assign_labels, n_neighbors):
    # At 2.2 the affinity to it is 1e-42, at 10 it is 0.
    beside = [[X[:, 0].min() - gap, 0.0], [X[:, 0].max() + gap, 0.5]]
    clustering = spectral(
        lam=np.inf,
        affinity="rbf",
        gamma=20.0,
        assign_labels=assign_labels,
        n_neighbors=n_neighbors,
    )
    found = clustering.fit_predict(np.vstack([X, beside]))
    ends = [X[:, 0].argmin(), X[:, 0].argmax()]
    assert same_clusters(found, np.r_[Y, Y[ends]])


@assignments
@dense_or_sparse
def test_affinities_that_vanish_everywhere(assign_labels, n_neighbors):
    clustering = spectral(
        5,
        affinity="rbf",
        gamma=1e12,
        assign_labels=assign_labels,
        n_neighbors=n_neighbors,
    ).fit(X)
    assert np.isfinite(clustering.embedding_).all()
    assert len(set(clustering.labels_)) == 5
    np.testing.assert_array_equal(clustering.predict(X), clustering.labels_)


# Duplicates

PLACES = np.array([[0, 0], [1, 0], [0, 1], [5, 5], [6, 5], [5, 6.0]])


@assignments
@pytest.mark.parametrize("n_neighbors", [None, 5])
@pytest.mark.parametrize("affinity", ["local_scaling", "rbf"])
def test_more_duplicates_than_neighbors(affinity, assign_labels, n_neighbors):
    place = np.repeat(np.arange(6), 30)
    for n_clusters, expected in [(2, place // 3), (6, place)]:
        clustering = spectral(
            n_clusters,
            density=None,
            affinity=affinity,
            assign_labels=assign_labels,
            n_neighbors=n_neighbors,
        ).fit(PLACES[place])
        assert same_clusters(clustering.labels_, expected)
        assert same_clusters(clustering.predict(PLACES), expected[::30])


@pytest.mark.parametrize("n_neighbors", [None, 5])
def test_identical_samples_are_one_cluster(n_neighbors):
    clustering = spectral(1, density=None, n_neighbors=n_neighbors)
    assert (clustering.fit_predict(np.ones((20, 2))) == 0).all()
    assert clustering.predict([[3.0, 3.0]]) == 0


@pytest.mark.parametrize("n_neighbors", [None, 5])
def test_more_clusters_than_distinct_samples(n_neighbors):
    for samples, n_distinct in [(np.ones((180, 2)), 1), (np.repeat(PLACES, 30, 0), 6)]:
        clustering = spectral(n_distinct + 1, density=None, n_neighbors=n_neighbors)
        message = f"n_samples=180, {n_distinct} of them distinct: .* most {n_distinct}"
        with pytest.raises(ValueError, match=message):
            clustering.fit(samples)


# Refusals


@pytest.mark.parametrize("n_neighbors", [None, 15])
def test_negative_affinities(n_neighbors):
    clustering = spectral(affinity=lambda d: 0.1 - d, n_neighbors=n_neighbors)
    message = r"affinity gave -[\d.]+: .*needs affinities of at least 0\. Return weig"
    with pytest.raises(ValueError, match=message):
        clustering.fit(X)


def test_functions_that_are_no_affinities():
    with pytest.raises(ValueError, match=r"elementwise: one affinity for each"):
        spectral(affinity=np.diag).fit(X)


def test_points_out_of_reach():
    params = {"epsilon": 0.5, "disconnected": "inf"}
    clustering = spectral(**params).fit(X)
    points = np.vstack([NEW[:3], [[50.0, 0.0]], NEW[3:5], [[0.0, 50.0]]])
    message = r"2 of 7 points \(first: row 3\).*epsilon=0\.5.*Raise epsilon, or pass"
    with pytest.raises(ValueError, match=message):
        clustering.predict(points)
    # As it says.
    joined = spectral(epsilon=0.5).fit(X)
    with pytest.warns(UserWarning, match="joined to its nearest"):
        assert joined.predict(points).shape == (7,)


def test_methods_need_a_fit():
    with pytest.raises(NotFittedError, match="GeodesicSpectralClustering"):
        spectral().predict(X)


# As scikit-learn has it


def test_pipeline_with_a_scaler():
    stretched = X * [1e3, 1e-2]
    pipeline = make_pipeline(StandardScaler(), spectral(density=None))
    assert same_clusters(pipeline.fit_predict(stretched), Y)
    assert same_clusters(pipeline.predict(NEW * [1e3, 1e-2]), NEW_Y)


MANY, MANY_Y = moons(240)
GRIDS = {
    "lam": {"lam": [np.inf, 1.0, 0.1]},
    "epsilon": {"epsilon": [0.4, 0.6], "n_graph_neighbors": [None]},
    "n_graph_neighbors": {"n_graph_neighbors": [4, 8, 30]},
    "density": {"density__bandwidth": [0.1, 0.2, 3.0], "lam": [0.01]},
    "affinity": {"affinity": ["local_scaling", "rbf"], "n_neighbors": [None, 15]},
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_search_with_labels(grid):
    search = GridSearchCV(spectral(), grid, cv=2, scoring="adjusted_rand_score")
    search.fit(MANY, MANY_Y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores.max() == search.best_score_ > 0.95
    assert same_clusters(search.predict(NEW), NEW_Y)
    chosen = search.best_estimator_.get_params()
    assert {name: chosen[name] for name in grid} == search.best_params_


def test_search_through_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), spectral(density=None))
    grid = {"geodesicspectralclustering__lam": [np.inf, 0.1]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="adjusted_rand_score")
    assert search.fit(MANY, MANY_Y).best_score_ > 0.95


@kinds
def test_pickles(kind):
    clustering = spectral(4, **kind).fit(X)
    copy = pickle.loads(pickle.dumps(clustering))
    np.testing.assert_array_equal(copy.predict(NEW), clustering.predict(NEW))
    np.testing.assert_array_equal(copy.labels_, clustering.labels_)


def test_clones_with_a_fitted_density():
    density = KernelDensity(bandwidth=0.15).fit(NEW)
    clustering = spectral(4, density=density).fit(X)
    again = clone(clustering).fit(X)
    np.testing.assert_array_equal(again.labels_, clustering.labels_)
    assert again.log_p0_ == clustering.log_p0_


def test_frames():
    table = pd.DataFrame(X, columns=["east", "north"])
    clustering = spectral(4).fit(table)
    np.testing.assert_array_equal(clustering.labels_, spectral(4).fit(X).labels_)
    assert clustering.feature_names_in_.tolist() == ["east", "north"]
    with pytest.raises(ValueError, match="feature names should match"):
        clustering.predict(table[["north", "east"]])


# The score


def slow_modularity(pairs, labels):
    """Newman and Girvan's, over ordered pairs of vertices."""
    n = len(labels)
    joined = np.zeros((n, n))
    for i, j in pairs:
        joined[i, j] = joined[j, i] = 1.0
    degree = joined.sum(axis=1)
    by_chance = np.outer(degree, degree) / degree.sum()
    same = labels[:, None] == labels
    return ((joined - by_chance) * same).sum() / degree.sum()


@pytest.mark.parametrize("n_clusters", [1, 2, 5])
@pytest.mark.parametrize("points", [X, NEW], ids=["training", "new"])
def test_score_without_labels_is_the_modularity(n_clusters, points):
    clustering = spectral(n_clusters).fit(X)
    k = int(np.ceil(np.log2(len(points))))
    pairs = oracles.neighborhood(points, n_neighbors=k)
    expected = slow_modularity(pairs, clustering.predict(points))
    assert clustering.score(points) == pytest.approx(expected, abs=1e-12)


def test_modularity_of_graphs_that_are_known():
    # Two triangles: apart, joined by an edge, and all in one cluster.
    i, j = np.array([[0, 0, 1, 3, 3, 4], [1, 2, 2, 4, 5, 5]])
    apart = Edges(i, j, np.ones(6))
    joined = Edges(np.r_[i, 2], np.r_[j, 3], np.ones(7))
    triangles = np.repeat([0, 1], 3)
    assert _cluster.modularity(apart, triangles) == pytest.approx(1 / 2)
    assert _cluster.modularity(joined, triangles) == pytest.approx(6 / 7 - 1 / 2)
    assert _cluster.modularity(joined, np.zeros(6, dtype=int)) == pytest.approx(0)
    assert _cluster.modularity(joined, np.arange(6)) < 0
    nothing = np.empty(0, dtype=int)
    assert _cluster.modularity(Edges(nothing, nothing, nothing), triangles[:1]) == 0


def test_score_depends_on_the_clusters_alone():
    near, far = (spectral(lam=lam).fit(X) for lam in (0.1, 1e-4))
    np.testing.assert_array_equal(near.labels_ == near.labels_[0], Y[0] == Y)
    assert same_clusters(far.labels_, near.labels_)
    assert near.score(X) == far.score(X) == spectral(epsilon=0.5).fit(X).score(X)


def test_score_with_labels_is_the_adjusted_rand_index():
    clustering = spectral(4).fit(X)
    expected = adjusted_rand_score(NEW_Y, clustering.predict(NEW))
    assert clustering.score(NEW, NEW_Y) == expected < 1
    assert clustering.score(NEW, NEW_Y.reshape(-1, 1).ravel().tolist()) == expected


def test_search_without_labels_finds_the_clusters():
    # A kernel that is too wide knows no gap, and too many clusters break the moons.
    grid = {
        "density__bandwidth": [0.15, 30.0],
        "affinity": ["rbf"],
        "gamma": [0.1, 9.0],
    }
    search = GridSearchCV(spectral(affinity="rbf"), grid, cv=3).fit(MANY)
    worst = search.cv_results_["mean_test_score"].min()
    assert worst < search.best_score_ <= 1
    assert same_clusters(search.predict(NEW), NEW_Y)


def test_labels_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[3, "):
        spectral().fit(X).score(NEW, NEW_Y[:3])
