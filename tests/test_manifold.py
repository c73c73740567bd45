import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from scipy.spatial import procrustes
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.datasets import load_digits, make_moons, make_s_curve, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.manifold import Isomap
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from skgengeo import GenerativeGeodesicDistance, GeodesicMDS, _mds
from skgengeo.geometry import GeodesicGraph

from ._machine import available_memory

N, M = 120, 30
BRIDGED = pytest.mark.filterwarnings(
    "ignore:The graph has .* connected components:UserWarning"
)
FEW_DIRECTIONS = pytest.mark.filterwarnings("ignore:n_components=:UserWarning")


def moons(n=N, noise=0.12, seed=0):
    return make_moons(n, noise=noise, random_state=seed)[0]


def islands():
    """Two lines of ten points, far apart."""
    line = np.column_stack([np.linspace(0, 2, 10), np.zeros(10)])
    return np.vstack([line, line + np.array([0.3, 7.0])])


X, NEW = moons(), moons(20, noise=0.15, seed=1)
KINDS = {
    "classical": {},
    "landmarks": {"n_landmarks": M},
    "smacof": {"method": "smacof"},
    "smacof of landmarks": {"method": "smacof", "n_landmarks": M},
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
classical_kinds = pytest.mark.parametrize(
    "kind", list(KINDS.values())[:2], ids=list(KINDS)[:2]
)


def geodesic_mds(density=None, **params):
    density = KernelDensity(bandwidth=0.3) if density is None else density
    rule = {} if "epsilon" in params else {"n_graph_neighbors": 8}
    return GeodesicMDS(density, **{"lam": 0.1, "random_state": 0} | rule | params)


def geodesic_distance(mds):
    """The distances that an estimator embeds."""
    names = GenerativeGeodesicDistance().get_params(deep=False)
    params = mds.get_params(deep=False)
    del params["n_landmarks"]
    return GenerativeGeodesicDistance(
        **{name: value for name, value in params.items() if name in names}
    )


def constant_log_density(points):
    return np.zeros(len(points))


def up_to_sign(A, B):
    """A with the signs of the columns of B."""
    return A * np.where((A * B).sum(axis=0) < 0, -1, 1)


def spread(Y):
    return np.sqrt(Y.var(axis=0).sum())


# Isomap

SURFACES = {
    "swiss roll": (make_swiss_roll(250, noise=0.3, random_state=0)[0], 8),
    "s-curve": (make_s_curve(200, noise=0.05, random_state=1)[0], 10),
    "digits": (PCA(8, random_state=0).fit_transform(load_digits().data[:200]), 25),
    "beyond the dense solver": (make_s_curve(600, random_state=2)[0], 7),
}


@pytest.mark.parametrize(("samples", "k"), SURFACES.values(), ids=SURFACES)
@pytest.mark.parametrize(
    ("density", "lam"),
    [(KernelDensity(bandwidth=10.0), np.inf), (constant_log_density, 0.1)],
    ids=["lam=inf", "constant density"],
)
def test_is_isomap_where_no_density_matters(samples, k, density, lam):
    isomap = Isomap(n_neighbors=k, n_components=3).fit(samples)
    mds = geodesic_mds(density, lam=lam, n_graph_neighbors=k, n_components=3)
    embedding = mds.fit_transform(samples)
    expected = up_to_sign(isomap.embedding_, embedding)
    np.testing.assert_allclose(embedding, expected, atol=1e-6 * spread(embedding))
    np.testing.assert_allclose(
        mds.eigenvalues_, isomap.kernel_pca_.eigenvalues_, rtol=1e-9
    )
    error = isomap.reconstruction_error()
    assert mds.reconstruction_error() == pytest.approx(error, rel=1e-7)


def test_new_points_are_placed_as_isomap_places_them():
    samples, k = SURFACES["swiss roll"]
    new = make_swiss_roll(30, noise=0.3, random_state=9)[0]
    isomap = Isomap(n_neighbors=k).fit(samples)
    mds = geodesic_mds(lam=np.inf, n_graph_neighbors=k).fit(samples)
    sign = np.sign((mds.embedding_ * isomap.embedding_).sum(axis=0))
    np.testing.assert_allclose(
        mds.transform(new), isomap.transform(new) * sign, atol=1e-8
    )


# What it computes


@pytest.mark.parametrize("lam", [np.inf, 1.0, 0.01])
@pytest.mark.parametrize("c", [1, 3])
def test_classical_is_that_of_the_distances(lam, c):
    mds = geodesic_mds(lam=lam, n_components=c).fit(X)
    D = geodesic_distance(mds).fit_transform(X)
    J = np.eye(N) - 1 / N
    values, vectors = np.linalg.eigh(-0.5 * J @ D**2 @ J)
    values, vectors = values[::-1][:c], vectors[:, ::-1][:, :c]
    expected = up_to_sign(vectors * np.sqrt(values), mds.embedding_)
    np.testing.assert_allclose(mds.embedding_, expected, atol=1e-8)
    np.testing.assert_allclose(mds.eigenvalues_, values, rtol=1e-9)
    assert mds.n_iter_ == 1


@kinds
def test_figures_of_merit_are_their_formulas(kind):
    mds = geodesic_mds(**kind).fit(X)
    D = geodesic_distance(mds).fit_transform(X)
    columns = getattr(mds, "landmarks_", np.arange(N))
    Y = mds.embedding_
    flat = cdist(Y, Y)
    lost = np.square(D - flat)[:, columns].sum()
    expected = np.sqrt(lost / np.square(flat[:, columns]).sum())
    assert mds.stress_ == pytest.approx(expected, rel=1e-9)
    J = np.eye(len(columns)) - 1 / len(columns)
    squares = np.square(D[np.ix_(columns, columns)])
    left = -0.5 * J @ (squares - np.square(cdist(Y[columns], Y[columns]))) @ J
    expected = np.linalg.norm(left) / len(columns)
    assert mds.reconstruction_error() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", [{}, {"method": "smacof"}, {"n_landmarks": 20}])
def test_recovers_points_of_the_plane(kind):
    """All are neighbours of all, and there is no density."""
    complete = csr_array(np.ones((N, N)))
    mds = geodesic_mds(lam=np.inf, epsilon=100.0, **kind)
    embedding = mds.fit_transform(X, neighbors_graph=complete)
    np.testing.assert_allclose(cdist(embedding, embedding), cdist(X, X), atol=1e-8)
    new = mds.transform(NEW)
    np.testing.assert_allclose(cdist(new, embedding), cdist(NEW, X), atol=1e-8)
    assert mds.stress_ < 1e-8
    assert mds.reconstruction_error() < 1e-8


def test_scores_of_principal_components():
    complete = csr_array(np.ones((N, N)))
    scores = PCA(2).fit_transform(X)
    mds = geodesic_mds(lam=np.inf)
    embedding = mds.fit_transform(X, neighbors_graph=complete)
    np.testing.assert_allclose(embedding, up_to_sign(scores, embedding), atol=1e-9)


def test_smacof_fits_distances_better():
    for lam in (np.inf, 0.1, 0.01):
        classical = geodesic_mds(lam=lam).fit(X)
        smacof = clone(classical).set_params(method="smacof").fit(X)
        assert smacof.stress_ < classical.stress_
        assert smacof.n_iter_ > 1
        np.testing.assert_array_equal(smacof.eigenvalues_, classical.eigenvalues_)


def test_unrolls():
    """Noise that joins the layers of the roll for Euclidean paths."""
    samples, t = make_swiss_roll(600, noise=0.5, random_state=0)
    density = GaussianMixture(30, random_state=0)
    own = GeodesicMDS(density, lam=0.1, n_graph_neighbors=8).fit_transform(samples)
    isomap = Isomap(n_neighbors=8).fit_transform(samples)
    own, isomap = (abs(spearmanr(Y[:, 0], t).statistic) for Y in (own, isomap))
    assert own > 0.95
    assert own > isomap


# Landmarks


@pytest.mark.parametrize("method", ["classical", "smacof"])
def test_all_samples_as_landmarks(method):
    full = geodesic_mds(method=method).fit(X)
    landmark = geodesic_mds(method=method, n_landmarks=N).fit(X)
    np.testing.assert_array_equal(landmark.landmarks_, np.arange(N))
    np.testing.assert_allclose(landmark.embedding_, full.embedding_, atol=1e-9)
    # The place of a least misfit is known to the root of the precision.
    places, atol = full.transform(NEW), np.sqrt(np.finfo(np.float64).eps)
    np.testing.assert_allclose(landmark.transform(NEW), places, atol=atol)
    assert landmark.stress_ == pytest.approx(full.stress_, rel=1e-9)
    error = full.reconstruction_error()
    assert landmark.reconstruction_error() == pytest.approx(error, rel=1e-9)


def test_landmarks_are_embedded_alone():
    mds = geodesic_mds(n_landmarks=M).fit(X)
    D = geodesic_distance(mds).fit_transform(X)
    chosen = mds.landmarks_
    assert chosen.shape == (M,)
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_allclose(mds.landmark_distances_, D[:, chosen], rtol=1e-12)
    alone = _mds.classical_scaling(np.square(D[np.ix_(chosen, chosen)]), 2)
    np.testing.assert_allclose(mds.embedding_[chosen], alone.points, atol=1e-9)


def test_landmarks_come_close_to_all():
    samples = make_s_curve(500, random_state=0)[0]
    full = geodesic_mds(KernelDensity(bandwidth=0.5)).fit_transform(samples)
    few = geodesic_mds(KernelDensity(bandwidth=0.5), n_landmarks=100)
    assert procrustes(full, few.fit_transform(samples))[2] < 0.01


def test_random_state_chooses_landmarks():
    first, again, other = (
        geodesic_mds(n_landmarks=M, random_state=seed).fit(X) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.landmarks_, again.landmarks_)
    np.testing.assert_array_equal(first.embedding_, again.embedding_)
    assert not np.array_equal(first.landmarks_, other.landmarks_)


def test_landmarks_of_the_last_fit():
    mds = geodesic_mds(n_landmarks=M).fit(X)
    mds.set_params(n_landmarks=None).fit(X)
    assert not hasattr(mds, "landmarks_")
    assert not hasattr(mds, "landmark_distances_")
    np.testing.assert_array_equal(mds.embedding_, geodesic_mds().fit_transform(X))


# New points


@kinds
def test_training_samples_have_their_places(kind):
    mds = geodesic_mds(n_components=3, **kind).fit(X)
    atol = 1e-6 * spread(mds.embedding_)
    np.testing.assert_allclose(mds.transform(X), mds.embedding_, atol=atol)


def test_smacof_ends_where_each_sample_is_placed():
    """Beside a training sample is near its place, whatever minima there are."""
    mds = geodesic_mds(method="smacof", eps=1e-14, max_iter=20_000).fit(X)
    places = mds.transform(X + 1e-9)
    # Before 1.7 the rule by which scikit-learn ends allows no more, whatever eps is.
    atol = 1e-4 if parse_version(sklearn.__version__) >= parse_version("1.7") else 3e-4
    np.testing.assert_allclose(places, mds.embedding_, atol=atol)


@pytest.mark.parametrize("n_landmarks", [None, M])
def test_smacof_places_new_points_where_their_misfit_is_least(n_landmarks):
    mds = geodesic_mds(method="smacof", n_landmarks=n_landmarks).fit(X)
    sought = geodesic_distance(mds).fit(X).transform(NEW)
    anchors = mds.embedding_
    if n_landmarks:
        sought, anchors = sought[:, mds.landmarks_], mds._unit * mds._anchors
    classical = clone(mds).set_params(method="classical").fit(X).transform(NEW)
    places = mds.transform(NEW)
    least = np.square(cdist(places, anchors) - sought).sum(axis=1)
    start = np.square(cdist(classical, anchors) - sought).sum(axis=1)
    assert (least < start).all()
    rng = np.random.default_rng(0)
    for size in (1e-2, 1e-4):
        beside = places + size * rng.normal(size=places.shape)
        more = np.square(cdist(beside, anchors) - sought).sum(axis=1)
        assert (more > least).all()


@kinds
def test_rows_are_placed_alone(kind, monkeypatch):
    mds = geodesic_mds(**kind).fit(X)
    together = mds.transform(NEW)
    alone = np.vstack([mds.transform(row[None]) for row in NEW])
    np.testing.assert_allclose(alone, together, atol=1e-9)
    monkeypatch.setattr("skgengeo._batching.get_chunk_n_rows", lambda row_bytes: 3)
    np.testing.assert_allclose(mds.transform(NEW), together, atol=1e-9)
    np.testing.assert_allclose(clone(mds).fit(X).embedding_, mds.embedding_, atol=1e-9)


@kinds
def test_far_points_have_finite_places(kind):
    mds = geodesic_mds(**kind).fit(X)
    near, far = mds.transform(np.array([[0.5, 0.2], [1e6, -1e6]]))
    assert np.isfinite(far).all()
    assert np.linalg.norm(far) > 1e3 * np.linalg.norm(near)


@kinds
@pytest.mark.parametrize("distance", [1e15, 1e153])
def test_points_too_far_for_their_distances_are_refused(kind, distance):
    mds = geodesic_mds(**kind).fit(X)
    with pytest.raises(ValueError, match=r"row 1 is .*Leave it out"):
        mds.transform(np.array([[0.5, 0.2], [distance, 0.0]]))


@kinds
def test_points_out_of_reach_are_named(kind):
    mds = geodesic_mds(epsilon=0.8, disconnected="inf", **kind).fit(X)
    points = np.vstack([X[:2], [[50.0, 50.0], [60.0, 0.0]]])
    with pytest.raises(ValueError, match=r"2 of 4 points \(first: row 2\).*epsilon"):
        mds.transform(points)
    assert mds.transform(points[:2]).shape == (2, 2)
    mds.set_params(disconnected="connect").fit(X)
    with pytest.warns(UserWarning, match="no training sample within"):
        assert np.isfinite(mds.transform(points)).all()


# Laws


@classical_kinds
def test_permutation_of_samples(kind):
    samples = make_s_curve(520, random_state=0)[0]
    order = np.random.default_rng(0).permutation(len(samples))
    every = {"n_landmarks": len(samples)} if kind else {}
    mds = geodesic_mds(KernelDensity(bandwidth=0.5), **every)
    first, second = mds.fit_transform(samples), mds.fit_transform(samples[order])
    np.testing.assert_allclose(second, up_to_sign(first, first)[order], atol=1e-6)


@kinds
@pytest.mark.parametrize("p0", [1e-200, 1e200])
def test_unit_of_length_is_that_of_the_coordinates(kind, p0):
    reference, mds = (geodesic_mds(lam=0.0, p0=p, **kind).fit(X) for p in (1.0, p0))
    np.testing.assert_allclose(mds.embedding_ / p0, reference.embedding_, rtol=1e-6)
    new = mds.transform(NEW) / p0
    np.testing.assert_allclose(new, reference.transform(NEW), rtol=1e-6)
    assert mds.stress_ == pytest.approx(reference.stress_, rel=1e-6)
    assert mds.n_iter_ == reference.n_iter_


@kinds
def test_n_jobs_changes_nothing(kind):
    one, two = (geodesic_mds(n_jobs=n, **kind).fit(X) for n in (1, 2))
    np.testing.assert_array_equal(one.embedding_, two.embedding_)
    np.testing.assert_array_equal(one.transform(NEW), two.transform(NEW))


@kinds
def test_float32_is_computed_in_float64_and_cast(kind):
    mds = geodesic_mds(**kind)
    narrow = mds.fit(X.astype(np.float32))
    embedding, new = narrow.embedding_, narrow.transform(NEW.astype(np.float32))
    assert embedding.dtype == new.dtype == np.float32
    assert narrow.transform(NEW).dtype == np.float64
    wide = mds.fit(X.astype(np.float32).astype(float))
    np.testing.assert_array_equal(embedding, wide.embedding_.astype(np.float32))
    queries = NEW.astype(np.float32).astype(float)
    np.testing.assert_array_equal(new, wide.transform(queries).astype(np.float32))


@pytest.mark.parametrize("p0", [1e-60, 1e60])
def test_float32_that_overflows_is_refused(p0):
    mds = geodesic_mds(lam=0.0, p0=p0)
    assert np.isfinite(mds.fit_transform(X)).all()
    with pytest.raises(ValueError, match=r"float32 cannot hold.*float64"):
        mds.fit(X.astype(np.float32))


@kinds
def test_own_graph(kind):
    mds = geodesic_mds(**kind).fit(X)
    own = geodesic_mds(n_graph_neighbors=None, **kind)
    embedding = own.fit_transform(X, neighbors_graph=mds.graph_.weights)
    np.testing.assert_array_equal(embedding, mds.embedding_)


@kinds
def test_pickles_without_a_square_of_all_samples(kind):
    samples = moons(500)
    mds = geodesic_mds(**kind).fit(samples)
    restored = pickle.loads(pickle.dumps(mds))
    np.testing.assert_array_equal(restored.transform(NEW), mds.transform(NEW))
    largest = max(
        getattr(value, "size", 0)
        for value in {**vars(mds), **mds._scaling._asdict()}.values()
    )
    assert largest <= 500 * M


# Use


def test_labels_are_handed_to_the_density(watched):
    y = np.arange(N)
    geodesic_mds(watched()).fit(X, y)
    geodesic_mds(watched()).fit_transform(X, y)
    for _, labels in watched.fits:
        np.testing.assert_array_equal(labels, y)
    assert len(watched.fits) == 2


def test_fit_transform_is_the_embedding():
    mds = geodesic_mds()
    embedding = mds.fit_transform(X)
    assert embedding is mds.embedding_
    assert embedding.shape == (N, 2)


def test_columns_have_names():
    mds = geodesic_mds(n_components=3).set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=["a", "b"], index=np.arange(N) + 7)
    found = mds.fit_transform(frame)
    names = ["geodesicmds0", "geodesicmds1", "geodesicmds2"]
    assert list(found.columns) == list(mds.get_feature_names_out()) == names
    assert list(found.index) == list(frame.index)
    assert list(mds.transform(frame[:5]).columns) == names
    np.testing.assert_array_equal(mds.feature_names_in_, ["a", "b"])


def test_in_a_search():
    samples, t = make_swiss_roll(200, random_state=0)
    pipeline = make_pipeline(
        GeodesicMDS(GaussianMixture(10, random_state=0)), KNeighborsRegressor(3)
    )
    grid = {"geodesicmds__lam": [0.1, np.inf], "geodesicmds__n_landmarks": [None, 60]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(samples, t)
    assert search.best_score_ > 0.6


def test_methods_need_a_fit():
    for call in (
        lambda mds: mds.transform(X),
        lambda mds: mds.reconstruction_error(),
        lambda mds: mds.get_feature_names_out(),
    ):
        with pytest.raises(NotFittedError):
            call(geodesic_mds())


# Few samples, few directions


@kinds
@FEW_DIRECTIONS
@pytest.mark.parametrize("density", [None, "default"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_samples(n, density, kind):
    if "n_landmarks" in kind:
        kind = kind | {"n_landmarks": min(3, n)}
    mds = geodesic_mds(density, n_graph_neighbors=None, **kind)
    mds.set_params(**{"density": None} if density else {})
    if kind.get("n_landmarks", 3) < 3:
        with pytest.raises(ValueError, match="n_landmarks="):
            mds.fit(X[:n])
        return
    if density and n == 1:
        with pytest.raises(ValueError, match="a minimum of 2 is required"):
            mds.fit(X[:1])
        return
    embedding = mds.fit_transform(X[:n])
    D = geodesic_distance(mds).fit_transform(X[:n])
    assert embedding.shape == (n, 2)
    np.testing.assert_allclose(
        cdist(embedding, embedding), D, atol=1e-7 * (1 + D.max())
    )
    assert np.isfinite(mds.transform(X[:n] + 0.1)).all()


@pytest.mark.parametrize(
    ("n", "c", "message"),
    [
        (1, 2, "n_components=2, .* 0 directions .* last 2 .* fewer n_components"),
        (2, 2, "1 direction whose eigenvalue is above their own error: the last 1 "),
        (3, 5, "n_components=5, .* 2 directions .* last 3 "),
    ],
)
def test_more_components_than_samples_span(n, c, message):
    mds = geodesic_mds(lam=np.inf, n_graph_neighbors=None, n_components=c)
    with pytest.warns(UserWarning, match=message) as record:
        embedding = mds.fit_transform(X[:n])
    assert len(record) == 1
    assert embedding.shape == (n, c)
    np.testing.assert_array_equal(embedding[:, n - 1 :], 0)
    np.testing.assert_array_equal(mds.transform(NEW)[:, n - 1 :], 0)


@pytest.mark.parametrize("n", [60, 520])
@kinds
def test_more_components_than_directions(kind, n):
    line = np.sort(np.random.default_rng(0).normal(size=(n, 1)), axis=0)
    mds = geodesic_mds(lam=np.inf, n_components=3, **kind)
    with pytest.warns(UserWarning, match="n_components=3, .* 1 direction whose"):
        embedding = mds.fit_transform(line)
    np.testing.assert_array_equal(embedding[:, 1:], 0)
    np.testing.assert_allclose(
        cdist(embedding, embedding), cdist(line, line), atol=1e-9
    )
    np.testing.assert_array_equal(mds.transform(line + 0.01)[:, 1:], 0)


@kinds
@pytest.mark.parametrize("quad_tol", [1e-2, 1e-3, 1e-6])
def test_errors_of_distances_are_no_direction(kind, quad_tol):
    line = np.random.default_rng(0).normal(size=(300, 1))
    density = KernelDensity(bandwidth=0.2).fit(line)
    mds = GeodesicMDS(density, quad_tol=quad_tol, random_state=0, **kind)
    with pytest.warns(UserWarning, match=r"n_components=2, .* 1 direction whose"):
        mds.fit(line)
    assert mds.eigenvalues_[1] < 4 * quad_tol * mds.eigenvalues_[0]
    np.testing.assert_array_equal(mds.embedding_[:, 1], 0)
    np.testing.assert_array_equal(mds.transform(line + 0.1)[:, 1], 0)


def test_narrow_directions_are_kept():
    """A strip 30 times as long as wide: the squares of its extents differ 900-fold."""
    rng = np.random.default_rng(0)
    strip = rng.uniform(size=(600, 2)) * [30, 1]
    mds = GeodesicMDS(KernelDensity(bandwidth=0.3).fit(strip), lam=1.0).fit(strip)
    assert abs(spearmanr(mds.embedding_[:, 0], strip[:, 0]).statistic) > 0.999
    assert mds.eigenvalues_[1] > 1e-3 * mds.eigenvalues_[0]
    assert np.ptp(mds.embedding_[:, 1]) > 0


def test_directions_within_components_far_apart_are_kept():
    """The error of a bridge, common to all paths across, hides nothing else."""
    density = KernelDensity(bandwidth=0.3).fit(X)
    groups = np.vstack([X, X + np.array([100.0, 0])])
    mds = GeodesicMDS(density.fit(groups), lam=1.0)
    with pytest.warns(UserWarning, match="connected components"):
        mds.fit(groups)
    assert mds.eigenvalues_[1] < 4 * mds.graph_.mean_error * mds.eigenvalues_[0]
    assert np.ptp(mds.embedding_[:, 1]) > 0.5


@kinds
def test_negative_eigenvalues(kind):
    """A circle: beyond its length no coordinates have the distances of its arcs."""
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 50)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    c = kind.get("n_landmarks", 50) - 1
    mds = geodesic_mds(lam=np.inf, n_components=c, max_iter=1000, **kind)
    with pytest.warns(UserWarning, match="above their own error"):
        embedding = mds.fit_transform(circle)
    assert mds.eigenvalues_[-1] < 0
    assert np.isfinite(embedding).all()
    assert np.isfinite(mds.transform(circle + 0.05)).all()
    assert np.isfinite([mds.stress_, mds.reconstruction_error()]).all()


@kinds
@FEW_DIRECTIONS
@pytest.mark.parametrize("n", [40, 520])
def test_all_samples_the_same(kind, n):
    mds = geodesic_mds(lam=np.inf, **kind).fit(np.ones((n, 2)))
    np.testing.assert_array_equal(mds.embedding_, 0)
    np.testing.assert_array_equal(mds.eigenvalues_, 0)
    assert mds.stress_ == mds.reconstruction_error() == 0
    np.testing.assert_array_equal(mds.transform(np.array([[1.0, 1], [3, 4]])), 0)


@kinds
def test_duplicates_share_their_place(kind):
    samples = np.vstack([X, X[:10], X[:10]])
    mds = geodesic_mds(**kind)
    embedding = mds.fit_transform(samples)
    for copy in (embedding[N : N + 10], embedding[N + 10 :]):
        np.testing.assert_allclose(copy, embedding[:10], atol=1e-9)


# Refusals


@pytest.mark.parametrize("m", [1, 2])
def test_too_few_landmarks(watched, m):
    with pytest.raises(ValueError, match=f"n_landmarks={m} with n_components=2.*more"):
        geodesic_mds(watched(), n_landmarks=m).fit(X)
    assert watched.fits == []


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
def test_more_landmarks_than_samples(watched, container):
    with pytest.raises(ValueError, match=r"n_landmarks=121 with n_samples=120.*None"):
        geodesic_mds(watched(), n_landmarks=N + 1).fit(container(X))
    assert watched.fits == []
    with pytest.raises(ValueError, match=r"n_landmarks=121 with n_samples=120.*None"):
        geodesic_mds(n_landmarks=N + 1).fit(X.tolist())


@kinds
@FEW_DIRECTIONS  # joined, the lines are one
def test_components_that_are_kept_apart(kind):
    kind = kind | ({"n_landmarks": 5} if "n_landmarks" in kind else {})
    mds = geodesic_mds(n_graph_neighbors=3, disconnected="inf", **kind)
    with pytest.raises(ValueError, match=r"2 components.*disconnected='connect'"):
        mds.fit(islands())
    with pytest.warns(UserWarning, match="connected components"):
        mds.set_params(disconnected="connect").fit(islands())
    assert np.isfinite(mds.embedding_).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
def test_refused_before_the_density_is_fitted(monkeypatch, watched, container, dtype):
    available_memory(monkeypatch, 8 * N * N - 1)
    samples = container(X.astype(dtype))
    with pytest.raises(ValueError, match=r"shape \(120, 120\).*n_landmarks"):
        geodesic_mds(watched()).fit(samples)
    assert watched.fits == []
    geodesic_mds(n_landmarks=M).fit(samples)


def test_refused_before_it_is_computed(monkeypatch):
    available_memory(monkeypatch, 8 * N * N - 1)
    monkeypatch.setattr(GeodesicGraph, "distances_from", None)
    with pytest.raises(ValueError, match=r"shape \(120, 120\).*n_landmarks"):
        geodesic_mds().fit(X.tolist())


@pytest.mark.parametrize(
    ("params", "m"), [({}, N), ({"n_landmarks": M}, M)], ids=["all", "landmarks"]
)
def test_memory_of_smacof(monkeypatch, watched, params, m):
    available_memory(monkeypatch, 8 * 8 * m * m - 1)
    with pytest.raises(
        ValueError, match=rf"8 dense matrices of shape \({m}, {m}\) take "
    ):
        geodesic_mds(watched(), method="smacof", **params).fit(X)
    assert watched.fits == []
    geodesic_mds(**params).fit(X)


def test_smacof_takes_no_more_memory_than_is_asked_for():
    samples = moons(400)
    mds = geodesic_mds(method="smacof").fit(samples)
    tracemalloc.start()
    mds.fit(samples)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 8 * 400**2


def test_an_end_too_early_is_told():
    mds = geodesic_mds(method="smacof", max_iter=3)
    with pytest.warns(
        ConvergenceWarning, match="max_iter=3 steps.*larger eps than 1e-06"
    ):
        mds.fit(X)
    assert mds.n_iter_ == 3


@pytest.mark.parametrize(
    "params",
    [
        {"n_components": 0},
        {"method": "nonmetric"},
        {"n_landmarks": 0},
        {"max_iter": 0},
        {"eps": -1.0},
    ],
)
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        geodesic_mds(**params).fit(X)


def test_one_distant_sample_does_not_blur_the_places_of_the_others():
    X = np.vstack([np.random.default_rng(0).normal(size=(60, 2)), [[1e5, 0.0]]])
    mds = GeodesicMDS(KernelDensity(bandwidth=1.0), lam=np.inf).fit(X)
    gap = np.abs(mds.transform(X) - mds.embedding_).max()
    assert gap < 1e-6
