import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from skgengeo import _mds

ENOUGH = 10_000


def cloud(n=40, d=5, seed=0):
    """Points of different spread along each axis."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.arange(d, 0, -1)


def arcs(n=40, seed=0):
    """Lengths of arcs on a circle: a metric, and far from Euclidean."""
    angle = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, n))
    gap = np.abs(angle[:, None] - angle)
    return np.minimum(gap, 2 * np.pi - gap)


def no_metric(n=40, seed=0):
    """The triangle inequality does not hold."""
    D = np.random.default_rng(seed).uniform(0.1, 5, (n, n))
    D = np.triu(D, 1)
    return D + D.T


POINTS = cloud()
DISTANCES = {
    "Euclidean": cdist(POINTS, POINTS),
    "arcs": arcs(),
    "no metric": no_metric(),
}
distances = pytest.mark.parametrize("D", DISTANCES.values(), ids=DISTANCES)


@pytest.fixture(params=["dense", "iterated"])
def solver(request, monkeypatch):
    """Either way to eigenpairs, whatever the number of points."""
    monkeypatch.setattr(
        _mds, "MAX_DENSE", {"dense": ENOUGH, "iterated": 0}[request.param]
    )


@pytest.fixture(params=[1, 7, ENOUGH])
def small_blocks(request, monkeypatch):
    """So many elements are worked on at a time."""
    monkeypatch.setattr(_mds, "BLOCK", 40 * request.param)


def up_to_sign(A, B):
    """A with the signs of the columns of B."""
    return A * np.where((A * B).sum(axis=0) < 0, -1, 1)


def slow_centred(D):
    J = np.eye(len(D)) - 1 / len(D)
    return -0.5 * J @ D**2 @ J


def slow_scaling(D, n_components):
    """All eigenpairs of the centred matrix."""
    values, vectors = np.linalg.eigh(slow_centred(D))
    values, vectors = values[::-1], vectors[:, ::-1]
    points = vectors * np.sqrt(np.maximum(values, 0))
    return values[:n_components], points[:, :n_components]


def fit_scaling(D, n_components=2):
    return _mds.classical_scaling(D**2, n_components)


# Classical scaling


@distances
@pytest.mark.parametrize("c", [1, 2, 4])
@pytest.mark.usefixtures("solver")
def test_agrees_with_all_eigenpairs(D, c):
    found = fit_scaling(D, c)
    values, points = slow_scaling(D, c)
    np.testing.assert_allclose(found.eigenvalues, values, rtol=1e-10)
    points = up_to_sign(points, found.points)
    np.testing.assert_allclose(found.points, points, atol=1e-8 * D.max())


def test_both_solvers_agree_where_they_meet():
    X = cloud(_mds.MAX_DENSE + 1)
    D = cdist(X, X)
    iterated, dense = fit_scaling(D, 4), fit_scaling(D[:-1, :-1], 4)
    for found, size in ((iterated, len(D)), (dense, len(D) - 1)):
        values, points = slow_scaling(D[:size, :size], 4)
        np.testing.assert_allclose(found.eigenvalues, values, rtol=1e-10)
        points = up_to_sign(points, found.points)
        np.testing.assert_allclose(found.points, points, atol=1e-8 * D.max())


@pytest.mark.usefixtures("solver")
def test_recovers_the_principal_components():
    pca = PCA(3).fit(POINTS)
    scaling = fit_scaling(DISTANCES["Euclidean"], 3)
    scores = pca.transform(POINTS)
    np.testing.assert_allclose(
        scaling.points, up_to_sign(scores, scaling.points), atol=1e-9
    )
    new = cloud(9, seed=1)
    placed = _mds.triangulated(cdist(new, POINTS) ** 2, scaling)
    sign = np.sign((scores * scaling.points).sum(axis=0))
    np.testing.assert_allclose(placed, pca.transform(new) * sign, atol=1e-9)


@distances
@pytest.mark.usefixtures("solver")
def test_anchors_are_triangulated_where_they_are(D):
    scaling = fit_scaling(D, 4)
    places = _mds.triangulated(D**2, scaling)
    np.testing.assert_allclose(places, scaling.points, atol=1e-9 * D.max())


@pytest.mark.usefixtures("solver")
def test_repeated_eigenvalues_are_found_as_often_as_they_are_there():
    grid = np.indices((9, 9, 9)).reshape(3, -1).T
    D = cdist(grid, grid)
    np.testing.assert_allclose(cdist(*2 * [fit_scaling(D, 3).points]), D, atol=1e-9)


@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("n", [1, 2, 3, 40, _mds.MAX_DENSE + 1])
def test_directions_that_are_not_there_are_zero(n, rank):
    rank = min(rank, n - 1)
    X = np.hstack([cloud(n)[:, :rank], np.ones((n, 2))])
    D = cdist(X, X)
    scaling = fit_scaling(D, 4)
    assert scaling.rank == rank
    assert scaling.points.shape == (n, 4)
    np.testing.assert_array_equal(scaling.points[:, rank:], 0)
    np.testing.assert_allclose(
        cdist(scaling.points, scaling.points), D, atol=1e-6 * max(D.max(), 1)
    )
    np.testing.assert_array_equal(_mds.triangulated(D**2, scaling)[:, rank:], 0)


@distances
@pytest.mark.usefixtures("solver")
def test_negative_eigenvalues_are_told_and_embed_nothing(D):
    scaling = fit_scaling(D, len(D) + 2)
    values, _ = slow_scaling(D, len(D))
    expected = np.r_[values[:-1], np.zeros(3)]
    np.testing.assert_allclose(scaling.eigenvalues, expected, atol=1e-10 * values[0])
    assert np.isfinite(scaling.points).all()
    assert np.isfinite(scaling.projection).all()
    negative = scaling.eigenvalues <= 0
    np.testing.assert_array_equal(scaling.points[:, negative], 0)


def test_signs_and_start_are_fixed():
    X = cloud(600)
    S = cdist(X, X) ** 2
    first, again = (_mds.classical_scaling(S, 3).points for _ in range(2))
    np.testing.assert_array_equal(first, again)
    largest = np.abs(first).argmax(axis=0)
    assert (first[largest, range(3)] > 0).all()


# SMACOF


def slow_majorized(points, anchors, D):
    """Where the majorising functions of points are least."""
    ahead = points[:, None] - anchors
    placed = np.linalg.norm(ahead, axis=2)
    pull = np.divide(D, placed, out=np.zeros_like(D), where=placed > 0)
    return (anchors + pull[:, :, None] * ahead).mean(axis=1)


def misfit(D, points):
    return np.square(D - cdist(points, points)).sum()


@distances
def test_steps_are_those_of_the_guide(D):
    points = fit_scaling(D).points
    for _ in range(20):
        following, n_iter = _mds.smacof(D, points, max_iter=1, eps=0.0)
        expected = slow_majorized(points, points, D)
        np.testing.assert_allclose(following, expected, atol=1e-9)
        assert misfit(D, following) < misfit(D, points)
        assert n_iter == 1
        points = following


@distances
@pytest.mark.parametrize("eps", [1e-3, 1e-6])
def test_ends_where_a_step_gains_little(D, eps):
    """On any version of scikit-learn."""
    steps = [fit_scaling(D).points]
    found, n_iter = _mds.smacof(D, steps[0], max_iter=1000, eps=eps)
    for _ in range(n_iter + 1):
        steps.append(slow_majorized(steps[-1], steps[-1], D))
    np.testing.assert_allclose(found, steps[n_iter], atol=1e-9)
    size = np.square(cdist(found, found)).sum()
    gains = -np.diff([misfit(D, points) for points in steps]) / size
    assert gains[n_iter] < 2 * eps
    assert (gains[: max(n_iter - 3, 1)] > eps / 2).all()


@distances
@pytest.mark.parametrize("unit", [1e-3, 1e5])
def test_the_end_does_not_depend_on_the_unit(D, unit):
    start = fit_scaling(D).points
    points, n_iter = _mds.smacof(D, start, max_iter=1000, eps=1e-6)
    others, other = _mds.smacof(unit * D, unit * start, max_iter=1000, eps=1e-6)
    assert other == n_iter
    np.testing.assert_allclose(others / unit, points, atol=1e-9)


def test_a_perfect_fit_stays():
    X = cloud(30, 2)
    D = cdist(X, X)
    start = fit_scaling(D).points
    points, n_iter = _mds.smacof(D, start, max_iter=300, eps=1e-6)
    assert n_iter == 2
    np.testing.assert_allclose(points, start, atol=1e-9)


# Single points


def slow_place(start, anchors, sought):
    """The minimum of the squared misfit near a start."""

    def value_and_gradient(y):
        ahead = y - anchors
        placed = np.linalg.norm(ahead, axis=1)
        left = placed - sought
        return left @ left, 2 * (left / placed) @ ahead

    found = minimize(value_and_gradient, start, jac=True, method="BFGS", tol=1e-12)
    return found.x


def point_problem(c):
    """A start, anchors, and distances that no place among them has."""
    anchors, new = cloud(40, c), cloud(15, c + 2, seed=1)
    return new[:, :c] + 0.1, anchors, cdist(new, np.c_[anchors, np.zeros((40, 2))])


@pytest.mark.parametrize("c", [2, 3])
def test_single_points_lie_where_a_general_minimiser_puts_them(c):
    start, anchors, sought = point_problem(c)
    found = _mds.placed_by_misfit(start, anchors, sought)
    for row in range(15):
        expected = slow_place(start[row], anchors, sought[row])
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


@pytest.mark.parametrize("c", [1, 2, 3, 6])
def test_a_general_minimiser_leaves_single_points_where_they_are(c):
    start, anchors, sought = point_problem(c)
    found = _mds.placed_by_misfit(start, anchors, sought)
    for row in range(15):
        better = slow_place(found[row], anchors, sought[row])
        np.testing.assert_allclose(found[row], better, atol=1e-6)
    before, after = (
        np.square(cdist(points, anchors) - sought).sum(axis=1)
        for points in (start, found)
    )
    assert (after <= before).all()


@pytest.mark.parametrize("c", [1, 2, 3])
def test_single_points_lie_where_many_steps_of_majorisation_lead(c):
    start, anchors, sought = point_problem(c)
    points = start
    for _ in range(6000):
        points = slow_majorized(points, anchors, sought)
    found = _mds.placed_by_misfit(start, anchors, sought)
    np.testing.assert_allclose(found, points, atol=1e-6)


def test_a_point_alone_is_placed_as_among_others():
    sought = cdist(cloud(15, 4, seed=1), cloud(40, 4))
    args = cloud(15, 2, seed=2), cloud(40, 2), sought
    together = _mds.placed_by_misfit(*args)
    for row in range(15):
        alone = _mds.placed_by_misfit(args[0][[row]], args[1], sought[[row]])
        np.testing.assert_array_equal(alone[0], together[row])


def test_a_point_on_an_anchor_is_placed():
    anchors = np.array([[0.0, 0], [0, 0], [4, 0], [0, 3], [4, 3], [9, 5], [2, 8]])
    sought = cdist([[0.0, 0], [4, 3]], anchors)
    found = _mds.placed_by_misfit(np.zeros((2, 2)), anchors, sought)
    np.testing.assert_allclose(found, [[0, 0], [4, 3]], atol=1e-7)


def test_columns_of_zeros_are_left():
    start, anchors, sought = point_problem(2)
    zeros, more = np.zeros((40, 50)), np.ones((15, 50))
    found = _mds.placed_by_misfit(np.c_[start, more], np.c_[anchors, zeros], sought)
    np.testing.assert_array_equal(found[:, 2:], more)
    expected = _mds.placed_by_misfit(start, anchors, sought)
    np.testing.assert_array_equal(found[:, :2], expected)


# Goodness of fit


@distances
@pytest.mark.usefixtures("small_blocks")
def test_stress_is_its_formula(D):
    Y = cloud(40, 2, seed=3)
    flat = cdist(Y, Y)
    expected = np.sqrt(np.square(D - flat).sum() / np.square(flat).sum())
    assert _mds.normalized_stress(D, Y, Y) == pytest.approx(expected, rel=1e-12)
    some = [3, 7, 11]
    flat = flat[:, some]
    expected = np.sqrt(np.square(D[:, some] - flat).sum() / np.square(flat).sum())
    found = _mds.normalized_stress(D[:, some], Y, Y[some])
    assert found == pytest.approx(expected, rel=1e-12)


def test_stress_of_points_at_one_place_is_zero():
    assert _mds.normalized_stress(np.zeros((3, 3)), *2 * [np.ones((3, 2))]) == 0


@distances
@pytest.mark.usefixtures("small_blocks")
def test_reconstruction_error_is_its_formula(D):
    for Y in (fit_scaling(D).points, cloud(40, 2, seed=3)):
        rest = slow_centred(D) - slow_centred(cdist(Y, Y))
        expected = np.linalg.norm(rest) / len(D)
        found = _mds.reconstruction_error(D, np.square(D).mean(axis=0), Y)
        assert found == pytest.approx(expected, rel=1e-9)
