import inspect
import pickle
import threading
import time
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import umap
from joblib import Parallel, delayed, parallel_config
from scipy.optimize import brentq, minimize, root
from sklearn.base import clone
from sklearn.datasets import load_digits, make_moons, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import trustworthiness
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from umap import umap_

from skgengeo import GeodesicUMAP, _umap
from skgengeo._umap import (
    PLACE_TOL,
    fuzzy_graph,
    smoothed_median,
    weights_of_nearest,
)

from ._densities import normal_log_density

K = 8
BRIDGED = pytest.mark.filterwarnings(
    "ignore:The graph has .* connected components:UserWarning"
)
FEW = pytest.mark.filterwarnings("ignore:.*reach fewer than n_neighbors:UserWarning")
# umap's own word on neighbours that are given.
GIVEN = pytest.mark.filterwarnings("ignore:.*is not an NNDescent object:UserWarning")


def moons(n=60, noise=0.1, seed=0):
    return make_moons(n, noise=noise, random_state=seed)


X, LABELS = moons()
NEW = moons(30, noise=0.15, seed=1)[0]


def geodesic_umap(density=None, **params):
    density = KernelDensity(bandwidth=0.3) if density is None else density
    rule = {} if "epsilon" in params else {"n_graph_neighbors": 6}
    quick = {"n_epochs": 30, "random_state": 0, "n_neighbors": K, "lam": 0.1}
    return GeodesicUMAP(density, **rule | quick | params)


def islands(sizes=(30, 20, 4), gap=20.0, seed=0):
    """Clouds of unit size, along a curve so that no two gaps are equal."""
    rng = np.random.default_rng(seed)
    at = np.arange(len(sizes))
    centers = np.repeat(gap * np.column_stack([at, at**2]), sizes, axis=0)
    return centers + rng.normal(size=centers.shape), np.repeat(at, sizes)


def apart(**params):
    """Nothing joins what the neighbourhoods leave apart."""
    return geodesic_umap(lam=np.inf, epsilon=10.0, disconnected="inf", **params)


@pytest.fixture(scope="module")
def fitted():
    return geodesic_umap().fit(X)


def umap_of_given(estimator, **params):
    """umap's own estimator, given the geodesic neighbours."""
    distances, nearest = estimator.graph_.nearest(estimator.n_neighbors)
    quick = {"n_epochs": 30, "random_state": 0, "n_neighbors": estimator.n_neighbors}
    knn = nearest.astype(np.int32), distances.astype(np.float32)
    reference = umap.UMAP(precomputed_knn=knn, **quick | params)
    return reference.fit(estimator.graph_.X)


def dense(graph):
    return graph.toarray()


# Slow twins


def slow_place(distances, points, smoothing):
    """Minimiser of the weighted, smoothed distances, by a general solver."""
    *near, beyond = distances
    if near[0] == 0:
        weights = [float(d == 0) for d in near]
    else:
        weights = [1 / d - 1 / beyond for d in near]

    def loss(y):
        gaps = [np.sqrt(((y - p) ** 2).sum() + smoothing**2) for p in points]
        return sum(w * g for w, g in zip(weights, gaps, strict=True)) / sum(weights)

    start = points[int(np.argmax(weights))]
    return minimize(loss, start, method="BFGS", options={"gtol": 1e-9}).x


def gradient(y, points, weights, smoothing):
    """Of the weighted, smoothed distances."""
    gap = y - points
    reach = np.sqrt((gap**2).sum(axis=1) + smoothing**2)
    return (weights / reach) @ gap


def slope(y, *rest):
    return gradient(np.array([y]), *rest)[0]


def exact_median(points, weights, smoothing):
    """Where the gradient is zero: between the points, or polished by a solver."""
    rest = points, weights, smoothing
    if points.shape[1] == 1:
        low, high = points.min(), points.max()
        return np.array([brentq(slope, low - 1, high + 1, args=rest, xtol=1e-14)])

    def loss(y):
        return weights @ np.sqrt(((y - points) ** 2).sum(axis=1) + smoothing**2)

    near = minimize(loss, weights @ points)
    return root(gradient, near.x, args=rest, tol=1e-14).x


# It is umap, on geodesic neighbours


@GIVEN
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"n_neighbors": 5},
        {"n_components": 3},
        {"min_dist": 0.5},
        {"n_epochs": 11},
        {"learning_rate": 0.3},
        {"init": "random"},
        {"init": X * [1.0, 3.0]},
        {"set_op_mix_ratio": 0.3},
        {"local_connectivity": 2.5},
        {"repulsion_strength": 0.2},
        {"negative_sample_rate": 2},
        {"a": 1.2, "b": 0.9},
        {"random_state": 3},
    ],
    ids=lambda params: "-".join(params) or "defaults",
)
def test_the_same_as_umap_given_the_neighbours(params):
    found = geodesic_umap(**params).fit(X)
    expected = umap_of_given(found, **params)
    np.testing.assert_array_equal(found.embedding_, expected.embedding_)
    assert (found.a_, found.b_) == pytest.approx((expected._a, expected._b))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("spread", [1e-6, 0.5, 2.0, 20.0, 1e6])
def test_the_curve_has_the_unit_of_the_spread(spread, share):
    found = geodesic_umap(spread=spread, min_dist=share * spread)
    a, b = found._curve()
    r = np.linspace(0, 3, 300)
    fall = np.where(r < share, 1.0, np.exp(-(r - share)))
    assert np.abs(1 / (1 + a * (spread * r) ** (2 * b)) - fall).max() < 0.2
    np.testing.assert_allclose(b, umap_.find_ab_params(1.0, share)[1])
    if 0.5 <= spread <= 2 and share < 1:  # where umap's own fit succeeds
        theirs = umap_.find_ab_params(spread, share * spread)
        np.testing.assert_allclose((a, b), theirs, rtol=1e-3)


def test_parameters_have_the_names_and_defaults_of_umap():
    own, theirs = (
        inspect.signature(cls).parameters for cls in (GeodesicUMAP, umap.UMAP)
    )
    shared = set(own) & set(theirs) - {"n_jobs"}  # None is 1, as in scikit-learn
    assert {name: own[name].default for name in shared} == {
        name: theirs[name].default for name in shared
    }
    assert {"n_neighbors", "min_dist", "repulsion_strength", "a"} <= shared


def test_the_fuzzy_graph_is_that_of_umap_from_the_same_neighbours(fitted):
    distances, nearest = fitted.graph_.nearest(K)
    unrelated = np.random.default_rng(0).normal(size=X.shape)
    expected, _, _ = umap_.fuzzy_simplicial_set(
        unrelated, K, None, "euclidean", knn_indices=nearest, knn_dists=distances
    )
    np.testing.assert_array_equal(dense(fitted.fuzzy_graph_), dense(expected))


def test_neighbours_and_their_distances_are_all_that_is_seen(fitted, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(_umap, "relative_places", lambda X: rng.normal(size=X.shape))
    other = geodesic_umap().fit(X)
    np.testing.assert_array_equal(other.embedding_, fitted.embedding_)


def test_without_a_density_and_with_all_edges_it_is_umap():
    found = geodesic_umap(normal_log_density, lam=np.inf, epsilon=100.0).fit(X)
    expected = umap.UMAP(n_neighbors=K, transform_mode="graph").fit(X)
    np.testing.assert_allclose(
        dense(found.fuzzy_graph_), dense(expected.graph_), atol=2e-5
    )


def test_a_density_changes_it(fitted):
    euclidean = geodesic_umap(lam=np.inf).fit(X)
    change = np.abs(dense(fitted.fuzzy_graph_) - dense(euclidean.fuzzy_graph_))
    assert change.max() > 0.1


# Laws


def test_reproducible(fitted):
    again = geodesic_umap().fit(X)
    np.testing.assert_array_equal(again.embedding_, fitted.embedding_)
    first, second = (
        geodesic_umap(random_state=None).fit(X).embedding_ for _ in range(2)
    )
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("params", [{"n_jobs": 2}, {"memory": "cache"}])
def test_nothing_depends_on(params, fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = geodesic_umap(**params).fit(X)
    np.testing.assert_array_equal(other.embedding_, fitted.embedding_)
    np.testing.assert_allclose(other.transform(NEW), fitted.transform(NEW), rtol=1e-9)


def test_without_a_seed_several_threads_do_it():
    found = geodesic_umap(random_state=None, n_jobs=2).fit(X)
    assert trustworthiness(X, found.embedding_) > 0.8


def test_order_of_samples_is_only_a_numbering(fitted):
    order = np.random.default_rng(0).permutation(len(X))
    other = geodesic_umap().fit(X[order])
    np.testing.assert_allclose(
        dense(other.fuzzy_graph_),
        dense(fitted.fuzzy_graph_)[order][:, order],
        atol=1e-4,
    )


@pytest.mark.parametrize("unit", [1e-35, 1e-15, 1e3, 1e15, 1e200])
def test_unit_of_distances_does_not_matter(unit, fitted):
    distances, nearest = fitted.graph_.nearest(K)
    found = fuzzy_graph(nearest, distances * unit, 1.0, 1.0)
    np.testing.assert_allclose(dense(found), dense(fitted.fuzzy_graph_), atol=1e-4)


def test_fuzzy_graph_is_symmetric_within_0_and_1(fitted):
    graph = fitted.fuzzy_graph_
    assert (graph != graph.T).nnz == 0
    assert graph.data.min() > 0
    assert graph.data.max() <= 1
    assert not graph.diagonal().any()


# Few neighbours


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10])
def test_tiny_data(n):
    message = f"The {n} samples reach fewer than n_neighbors=15, as there are no more"
    with pytest.warns(UserWarning, match=message) as told:
        found = GeodesicUMAP(random_state=0).fit(X[:n])
    assert len(told) == 1
    assert "disconnected" not in str(told[0].message)
    assert found.embedding_.shape == (n, 2)
    assert len(np.unique(found.embedding_, axis=0)) == n
    assert np.isfinite(found.transform(NEW)).all()
    np.testing.assert_allclose(found.transform(X[:n]), found.embedding_, atol=1e-5)


@FEW
def test_a_single_sample():
    found = GeodesicUMAP(normal_log_density).fit(X[:1])
    np.testing.assert_array_equal(found.embedding_, [[0.0, 0.0]])
    np.testing.assert_array_equal(found.transform(NEW), np.zeros((len(NEW), 2)))


@FEW
@pytest.mark.parametrize("n_components", [1, 3, 7])
def test_any_number_of_components(n_components):
    found = geodesic_umap(n_components=n_components).fit(X[:7])
    assert found.embedding_.shape == (7, n_components)
    assert np.isfinite(found.embedding_).all()


@FEW
def test_samples_of_a_small_component_are_those_of_a_small_data_set():
    Z, island = islands()
    whole = apart().fit(Z)
    alone = apart(n_neighbors=4).fit(Z[island == 2])
    rows = np.flatnonzero(island == 2)
    np.testing.assert_allclose(
        dense(whole.fuzzy_graph_)[np.ix_(rows, rows)], dense(alone.fuzzy_graph_)
    )
    assert whole.fuzzy_graph_[rows][:, island != 2].nnz == 0


def test_fewer_neighbours_are_warned_of():
    Z, _ = islands()
    message = (
        f"4 of 54 samples reach fewer than n_neighbors={K},.*: 4 at least.*connect"
    )
    with pytest.warns(UserWarning, match=message) as told:
        apart().fit(Z)
    assert len(told) == 1
    apart(n_neighbors=4).fit(Z)


def test_fewer_neighbours_for_two_reasons():
    Z, _ = islands()
    few = pytest.warns(
        UserWarning, match="The 54 samples reach fewer than n_neighbors=60"
    )
    short = pytest.warns(
        UserWarning, match="54 of 54 .* fewer than the 54 that there are"
    )
    with few, short:
        apart(n_neighbors=60).fit(Z)


@FEW
def test_a_sample_that_reaches_no_other_has_a_place():
    Z = np.vstack([islands((30,))[0], [[500.0, 0.0]]])
    found = apart().fit(Z)
    assert np.isfinite(found.embedding_).all()
    assert found.fuzzy_graph_[-1].nnz == 0


@BRIDGED
@pytest.mark.parametrize("gap", [20.0, 1e5])
@pytest.mark.parametrize("disconnected", ["connect", "inf"])
def test_components_of_the_fuzzy_graph_stay_apart(gap, disconnected):
    Z, island = islands((20,) * 7, gap)
    found = apart().set_params(disconnected=disconnected, n_epochs=100).fit(Z)
    nearest = KNeighborsClassifier(1).fit(found.embedding_[::2], island[::2])
    assert nearest.score(found.embedding_[1::2], island[1::2]) == 1


# Duplicates


@BRIDGED
@pytest.mark.parametrize("copies_of", [slice(0, 1), slice(0, 5)], ids=["one", "five"])
def test_thirty_copies(copies_of):
    copies = np.repeat(X[copies_of], 30, axis=0)
    found = geodesic_umap().fit(np.vstack([X, copies]))
    assert np.isfinite(found.embedding_).all()
    place = found.transform(X[:1])[0]
    copies = found.embedding_[(X[0] == found.graph_.X).all(axis=1)]
    low, high = copies.min(axis=0), copies.max(axis=0)
    assert ((low - 1e-4 <= place) & (place <= high + 1e-4)).all()


def test_nothing_but_copies():
    found = geodesic_umap(normal_log_density).fit(np.ones((30, 2)))
    assert np.isfinite(found.embedding_).all()


# New points


def test_training_rows_have_their_places(fitted):
    np.testing.assert_allclose(fitted.transform(X), fitted.embedding_, atol=1e-5)


def test_rows_do_not_depend_on_each_other(fitted):
    one_by_one = np.vstack([fitted.transform(row[None]) for row in NEW])
    np.testing.assert_allclose(fitted.transform(NEW), one_by_one, rtol=1e-9)
    np.testing.assert_array_equal(fitted.transform(NEW), fitted.transform(NEW))


@pytest.mark.parametrize("min_dist", [0.0, 0.1, 1.0])
def test_places_of_new_points_are_those_of_a_general_solver(min_dist):
    found = geodesic_umap(min_dist=min_dist).fit(X)
    distances, nearest = found.graph_.nearest(K + 1, found.graph_.attach(NEW))
    smoothing = max(min_dist, 1e-3)
    expected = [
        slow_place(d, found.embedding_[j[:-1]], smoothing)
        for d, j in zip(distances, nearest, strict=True)
    ]
    np.testing.assert_allclose(found.transform(NEW), expected, atol=0.02)


def test_a_point_that_nears_a_sample_nears_its_place(fitted):
    steps = np.array([1e-1, 1e-2, 1e-3, 1e-4, 1e-6])
    toward = X[7] + steps[:, None] * np.array([0.6, 0.8])
    gap = np.linalg.norm(fitted.transform(toward) - fitted.embedding_[7], axis=1)
    assert (np.diff(gap) < 0).all()
    assert gap[-1] < 1e-4


def test_places_are_continuous_where_the_nearest_change():
    near, far = (
        np.array([[1.0, 2.0, 3.0 - 1e-9, 3.0]]),
        np.array([[1.0, 2.0, 3.0, 3.0]]),
    )
    first, second = weights_of_nearest(near), weights_of_nearest(far)
    np.testing.assert_allclose(first, second, atol=1e-8)
    assert second[0, -1] == 0


def test_weights_of_nearest():
    expected = np.array([1.0, 0.5, 0.25]) - 0.2
    found = weights_of_nearest(np.array([[1.0, 2.0, 4.0, 5.0]]))
    np.testing.assert_allclose(found, [expected / expected.sum()])
    inf = np.inf
    rows = np.array([[0, 0, 3, 4], [2, 2, 2, 2], [1, 1, inf, inf], [1, 3, inf, inf]])
    thirds = np.full(3, 1 / 3)
    np.testing.assert_allclose(
        weights_of_nearest(rows.astype(float)),
        [[0.5, 0.5, 0], thirds, [0.5, 0.5, 0], [0.75, 0.25, 0]],
    )


def scattered(kind, n_components, n=60, k=15):
    """Points and weights of queries, of which some have a flat sum."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(n, k, n_components))
    weights = rng.exponential(size=(n, k))
    if kind == "groups":
        points, weights = 0.1 * points, np.ones((n, k))
        points[:, k // 2 :, 0] += 10
    elif kind == "line":
        points[..., 1:] = 0
    elif kind == "pair":
        points = np.where(np.arange(k)[:, None] < k // 2, 0.0, np.ones_like(points))
        weights = 1 + 1e-3 * weights
    return points, weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["cloud", "groups", "line", "pair"])
@pytest.mark.parametrize("n_components", [1, 2, 5])
@pytest.mark.parametrize("smoothing", [1.0, 0.1, 1e-3])
def test_median_is_as_near_to_the_minimum_as_it_says(kind, n_components, smoothing):
    points, weights = scattered(kind, n_components)
    found = smoothed_median(points, weights, smoothing)
    for place, near, shares in zip(found, points, weights, strict=True):
        gap = place - exact_median(near, shares, smoothing)
        assert np.linalg.norm(gap) < PLACE_TOL * smoothing


def test_median_of_points_that_are_hardly_apart_or_very_far():
    points, weights = scattered("groups", 2)
    for unit in (1e-8, 1e8):
        found = smoothed_median(unit * points, weights, 1e-3)
        assert np.isfinite(found).all()
        assert (np.abs(found) <= unit * np.abs(points).max(axis=(1, 2))[:, None]).all()


def test_median_withstands_a_minority():
    points = np.array([[[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [50.0, 0.0]]])
    place = smoothed_median(points, np.full((1, 4), 0.25), 0.01)
    assert np.linalg.norm(place) < 0.1


@FEW
def test_new_points_belong_to_their_component():
    Z, island = islands()
    found = apart().fit(Z)
    places = found.transform(Z + 0.01)
    nearest = KNeighborsClassifier(1).fit(found.embedding_, island)
    np.testing.assert_array_equal(nearest.predict(places), island)


def test_a_point_far_away_has_a_place(fitted):
    far = fitted.transform(np.array([[1e3, -1e3]]))
    low, high = fitted.embedding_.min(axis=0), fitted.embedding_.max(axis=0)
    assert ((low <= far) & (far <= high)).all()


@FEW
def test_a_point_that_reaches_nothing_is_refused():
    found = apart().fit(islands()[0])
    with pytest.raises(ValueError, match=r"1 of 2 points \(first: row 1\) have no tr"):
        found.transform(np.array([[0.0, 0.0], [1e4, 0.0]]))


# Quality


def digits(n):
    images, labels = load_digits(return_X_y=True)
    features = PCA(15, random_state=0).fit_transform(images[: 2 * n])
    return features[:n], labels[:n], features[n:], labels[n : 2 * n]


@BRIDGED
@GIVEN
def test_digits():
    train, labels, new, truth = digits(250)
    found = GeodesicUMAP(random_state=0).fit(train)
    assert trustworthiness(train, found.embedding_, n_neighbors=10) > 0.93
    wrong = np.random.default_rng(0).permutation(len(train))
    assert trustworthiness(train[wrong], found.embedding_, n_neighbors=10) < 0.6
    euclidean = umap.UMAP(random_state=0).fit(train)
    scores = [
        KNeighborsClassifier(5)
        .fit(model.embedding_, labels)
        .score(model.transform(new), truth)
        for model in (found, euclidean)
    ]
    assert scores[0] > scores[1] - 0.05


def test_moons_stay_apart():
    train, labels = moons(300, noise=0.08)
    new, truth = moons(200, noise=0.08, seed=1)
    found = GeodesicUMAP(random_state=0, n_epochs=100).fit(train)
    nearest = KNeighborsClassifier(1).fit(found.embedding_, labels)
    assert nearest.score(found.transform(new), truth) > 0.98


@GIVEN
def test_new_points_are_placed_as_well_as_by_umap():
    roll, _ = make_swiss_roll(800, noise=0.5, random_state=0)
    train, new = roll[:400], roll[400:]
    every = {"lam": np.inf, "epsilon": 1e3}
    ours = GeodesicUMAP(normal_log_density, **every, random_state=0).fit(train)
    theirs = umap.UMAP(random_state=0).fit(train)
    kept = [
        neighbours_kept(train, new, model.embedding_, model.transform(new))
        for model in (ours, theirs)
    ]
    assert kept[0] > kept[1] - 0.03


def neighbours_kept(train, new, embedding, places, k=10):
    """Share of the nearest training samples that are nearest in the embedding."""
    before, after = (
        np.argsort(np.linalg.norm(a[:, None] - b, axis=2), axis=1)[:, :k]
        for a, b in ((new, train), (places, embedding))
    )
    return np.mean(
        [len(set(i) & set(j)) / k for i, j in zip(before, after, strict=True)]
    )


# Errors


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"min_dist": 2.0},
            "min_dist=2.0 with spread=1.0: .* Pass a smaller",
        ),
        ({"a": 1.0}, r"a=1.0 and b=None: pass both"),
        ({"b": 1.0}, r"a=None and b=1.0: pass both"),
        ({"init": X[:5]}, r"init has shape \(5, 2\): .* each of the 60 samples"),
        ({"init": X[:, [0]]}, r"init has shape \(60, 1\): .* the 2 components"),
        ({"init": X * [0.0, 1.0]}, "Column 0 of init is constant"),
        ({"init": X * [np.nan, 1.0]}, "init contains NaN"),
        ({"init": "pca"}, "The 'init' parameter of GeodesicUMAP must be"),
        ({"n_neighbors": 1}, "The 'n_neighbors' parameter of GeodesicUMAP must be"),
        ({"n_components": 0}, "The 'n_components' parameter of GeodesicUMAP must be"),
        ({"min_dist": -0.1}, "The 'min_dist' parameter of GeodesicUMAP must be"),
        ({"spread": 0.0}, "The 'spread' parameter of GeodesicUMAP must be"),
        ({"n_epochs": -1}, "The 'n_epochs' parameter of GeodesicUMAP must be"),
        ({"learning_rate": 0.0}, "The 'learning_rate' parameter of GeodesicUMAP must"),
        ({"set_op_mix_ratio": 1.5}, "The 'set_op_mix_ratio' parameter of Geodesic"),
        ({"local_connectivity": -1}, "The 'local_connectivity' parameter of Geodesic"),
        ({"repulsion_strength": -1}, "The 'repulsion_strength' parameter of Geodesic"),
        ({"negative_sample_rate": 0}, "The 'negative_sample_rate' parameter of Geo"),
        ({"a": 0.0, "b": 1.0}, "The 'a' parameter of GeodesicUMAP must be"),
    ],
    ids=str,
)
def test_parameters_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        geodesic_umap(**params).fit(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"init": X[:5]}, "init has shape"),
        ({"init": X * [0.0, 1.0]}, "Column 0 of init is constant"),
        ({"init": X * [np.nan, 1.0]}, "init contains NaN"),
        ({"a": 1.0}, "pass both"),
        ({"min_dist": 2.0}, "min_dist=2.0"),
    ],
    ids=str,
)
def test_parameters_are_checked_before_the_density_is_fitted(params, message, watched):
    with pytest.raises(ValueError, match=message):
        geodesic_umap(watched(), **params).fit(X)
    assert watched.fits == []
    geodesic_umap(watched()).fit(X)
    assert len(watched.fits) == 1


def test_a_layout_that_diverges():
    with pytest.raises(ValueError, match=r"diverged at learning_rate=1e\+39"):
        geodesic_umap(learning_rate=1e39).fit(X)


def test_nothing_to_embed():
    lonely = geodesic_umap(epsilon=1e-6, disconnected="inf")
    with pytest.raises(ValueError, match=r"None of the 60 samples .* Raise epsilon"):
        lonely.fit(X)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        geodesic_umap().transform(NEW)


# Among other estimators


def test_floating_types(fitted):
    assert fitted.embedding_.dtype == np.float64
    np.testing.assert_array_equal(
        fitted.embedding_.astype(np.float32), fitted.embedding_
    )
    assert fitted.transform(NEW.astype(np.float32)).dtype == np.float32
    single = geodesic_umap().fit(X.astype(np.float32))
    assert single.embedding_.dtype == np.float32
    np.testing.assert_allclose(
        dense(single.fuzzy_graph_), dense(fitted.fuzzy_graph_), atol=1e-3
    )


def test_pickle_and_clone(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(NEW), fitted.transform(NEW))
    twin = clone(fitted).fit(X)
    np.testing.assert_array_equal(twin.embedding_, fitted.embedding_)


def test_a_fitted_density_stays_fitted():
    density = GaussianMixture(3, random_state=0).fit(NEW)
    found = clone(geodesic_umap(density)).fit(X)
    np.testing.assert_array_equal(found.density_.means_, density.means_)


def test_own_graph():
    first = geodesic_umap().fit(X)
    own = geodesic_umap().fit(X, neighbors_graph=first.graph_.weights)
    np.testing.assert_array_equal(own.embedding_, first.embedding_)


@pytest.mark.parametrize(
    ("library", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_data_frames(library, frame, fitted):
    columns = frame({"u": X[:, 0], "v": X[:, 1]})
    found = geodesic_umap().set_output(transform=library)
    places = found.fit_transform(columns)
    assert list(places.columns) == ["geodesicumap0", "geodesicumap1"]
    np.testing.assert_array_equal(places.to_numpy(), fitted.embedding_)
    assert list(found.feature_names_in_) == ["u", "v"]
    assert isinstance(found.transform(columns[:3]), frame)


@BRIDGED
def test_a_search_in_a_pipeline_by_several_processes():
    train, labels = moons(90)
    steps = make_pipeline(geodesic_umap(), KNeighborsClassifier(3))
    grid = {"geodesicumap__lam": [0.1, 1.0]}
    scores = [
        GridSearchCV(steps, grid, cv=2, n_jobs=n_jobs)
        .fit(train, labels)
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*scores)
    assert max(scores[0]) > 0.85


# Threads


def fit(seed):
    return geodesic_umap(random_state=seed).fit(X).embedding_


def test_progress_is_shown_when_asked_for(capfd):
    fit(0)
    assert capfd.readouterr() == ("", "")
    geodesic_umap(verbose=True).fit(X)
    out, err = capfd.readouterr()
    assert out == ""
    assert "layout" in err


def test_two_threads_fit_at_the_same_time():
    expected = [fit(seed) for seed in range(4)]
    found = Parallel(n_jobs=2, backend="threading")(delayed(fit)(s) for s in range(4))
    np.testing.assert_array_equal(found, expected)
    with parallel_config(backend="threading", n_jobs=2):
        search = GridSearchCV(
            make_pipeline(geodesic_umap(random_state=None), KNeighborsClassifier(1)),
            {"geodesicumap__min_dist": [0.1, 0.3]},
            cv=2,
        ).fit(X, LABELS)
    assert search.best_score_ > 0.8


def watch(monkeypatch, *names):
    """Number of threads in functions of umap, whenever one enters."""
    running, seen = [], []

    def watched(inner, *args, **kwargs):
        running.append(1)
        seen.append(len(running))
        time.sleep(0.02)
        result = inner(*args, **kwargs)
        running.pop()
        return result

    for name in names:
        monkeypatch.setattr(umap_, name, partial(watched, getattr(umap_, name)))
    return seen


PARALLEL_KERNELS = "smooth_knn_dist", "compute_membership_strengths"


def fits_by_three_threads(seeds, **params):
    Parallel(n_jobs=3, backend="threading")(
        delayed(geodesic_umap(random_state=seed, **params).fit)(X) for seed in seeds
    )


def test_parallel_kernels_run_in_one_thread_at_a_time(monkeypatch):
    seen = watch(monkeypatch, *PARALLEL_KERNELS, "simplicial_set_embedding")
    fits_by_three_threads([None] * 6, n_jobs=2)
    assert set(seen) == {1}
    seen = watch(monkeypatch, *PARALLEL_KERNELS)
    fits_by_three_threads(range(6))
    assert set(seen) == {1}


@pytest.mark.parametrize(("seed", "n_jobs"), [(0, 1), (0, 2), (None, 1)])
def test_serial_layouts_do_not_wait_for_each_other(seed, n_jobs, monkeypatch):
    both = threading.Barrier(2, timeout=10)
    layout = umap_.simplicial_set_embedding

    def at_the_same_time(*args, parallel, **kwargs):
        assert not parallel
        both.wait()
        return layout(*args, parallel=parallel, **kwargs)

    monkeypatch.setattr(umap_, "simplicial_set_embedding", at_the_same_time)
    fits_by_three_threads([seed] * 2, n_jobs=n_jobs)
