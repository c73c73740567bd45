"""Slow and obvious twins of what the package computes fast, and exact solutions."""

import heapq

import numpy as np
from scipy.integrate import simpson
from scipy.optimize import brentq

GAUSS_POSITION, GAUSS_WEIGHT = np.polynomial.legendre.leggauss(200)


# The metric


def cost_of(log_ratio, lam, exponent=1.0):
    """The formula of the cost as it stands, in terms of p / p0."""
    return ((1.0 + lam) / (np.exp(log_ratio) + lam)) ** exponent


def log_density_along(log_density, start, end, n_nodes=257):
    """log p at equidistant nodes of each straight segment."""
    t = np.linspace(0.0, 1.0, n_nodes)
    points = start[:, None] + t[:, None] * (end - start)[:, None]
    return log_density(points.reshape(-1, start.shape[1])).reshape(len(start), -1)


def mean_costs(log_p, metric):
    """Mean cost of each row of equidistant log p, by Simpson's rule."""
    c = cost_of(log_p - metric.log_p0, metric.lam, metric.exponent)
    return simpson(c, dx=1 / (log_p.shape[1] - 1), axis=1)


def segment_costs(log_density, start, end, metric, n_nodes=257):
    """Cost of each straight segment."""
    log_p = log_density_along(log_density, start, end, n_nodes)
    return np.linalg.norm(end - start, axis=1) * mean_costs(log_p, metric)


# Edges


def pairwise_lengths(X):
    """Euclidean distances, from differences: no cancellation."""
    return np.linalg.norm(X[:, None] - X[None], axis=2)


def neighborhood(X, *, epsilon=None, n_neighbors=None):
    """Set of pairs (i, j), i < j, of the ε-graph, the kNN graph, or both together."""
    length = pairwise_lengths(X)
    joined = np.ones(length.shape, dtype=bool)
    if epsilon is not None:
        joined &= length <= epsilon
    if n_neighbors is not None:
        order = np.argsort(length + np.diag(np.full(len(X), -1.0)), axis=1)
        names = np.zeros(length.shape, dtype=bool)
        np.put_along_axis(names, order[:, 1 : n_neighbors + 1], True, axis=1)
        joined &= names | names.T
    return {(i, j) for i, j in np.argwhere(joined).tolist() if i < j}


def spanning_tree(X):
    """Edges (i, j, length) of the Euclidean minimum spanning tree: Prim's algorithm."""
    length = pairwise_lengths(X)
    inside = [0]
    tree = []
    while len(inside) < len(X):
        outside = np.setdiff1d(np.arange(len(X)), inside)
        gaps = length[np.ix_(inside, outside)]
        a, b = np.unravel_index(gaps.argmin(), gaps.shape)
        i, j = sorted((inside[a], int(outside[b])))
        tree.append((i, j, gaps[a, b]))
        inside.append(int(outside[b]))
    return tree


def components(n, pairs):
    """Component of each of n vertices: labels spread along the edges."""
    labels = np.arange(n)
    for _ in range(n):
        before = labels.copy()
        for i, j in pairs:
            labels[i] = labels[j] = min(labels[i], labels[j])
        if np.array_equal(labels, before):
            break
    return np.unique(labels, return_inverse=True)[1]


# Shortest paths


def dijkstra(graph, seeds):
    """Distances from (vertex, distance) pairs, and the parents, by a binary heap."""
    n = graph.shape[0]
    distance, parent = np.full(n, np.inf), np.full(n, -1)
    queue = [(start, int(v), -1) for v, start in seeds]
    heapq.heapify(queue)
    while queue:
        reached, v, came_from = heapq.heappop(queue)
        if reached >= distance[v]:
            continue
        distance[v], parent[v] = reached, came_from
        for e in range(graph.indptr[v], graph.indptr[v + 1]):
            heapq.heappush(queue, (reached + graph.data[e], int(graph.indices[e]), v))
    return distance, parent


# Exact distances


def line_distances(cost, x, n_nodes=513):
    """Distances between sorted points of a line: the integral of the cost, Simpson."""
    t = np.linspace(0.0, 1.0, n_nodes)
    gap = np.diff(x)
    parts = gap * simpson(cost(x[:-1, None] + t * gap[:, None]), x=t, axis=1)
    primitive = np.concatenate([[0.0], np.cumsum(parts)])
    return np.abs(primitive[:, None] - primitive[None])


def radial_distance(cost, r1, r2, angle):
    """Distance of points at radii r1, r2 and an angle, where the cost is c(r).

    Clairaut's relation: r c(r) sin(alpha) is constant along a geodesic. The constant is
    found from the angle, as the radius where the geodesic turns. The cost must not
    decrease with r, so that there is one such radius.
    """
    r1, r2 = sorted((r1, r2))
    if angle < 1e-12:
        return _radial_integral(cost, r2) - _radial_integral(cost, r1)
    lengths = [np.inf]
    if angle > np.pi - 1e-12:
        lengths = [_radial_integral(cost, r1) + _radial_integral(cost, r2)]
    turns = r1 * np.concatenate(
        [np.geomspace(1e-9, 0.5, 40), 1 - 0.5 ** np.arange(2, 40), [1.0]]
    )
    for sign in (-1.0, 1.0):

        def excess(turn, sign=sign):
            near, far = _from_turn(cost, turn, r1)[0], _from_turn(cost, turn, r2)[0]
            return far + sign * near - angle

        values = np.array([excess(turn) for turn in turns])
        for k in np.flatnonzero(values[:-1] * values[1:] <= 0):
            turn = brentq(excess, turns[k], turns[k + 1], xtol=1e-15, rtol=1e-14)
            near, far = _from_turn(cost, turn, r1)[1], _from_turn(cost, turn, r2)[1]
            lengths.append(far + sign * near)
    return min(lengths)


def _radial_integral(cost, r):
    t = (GAUSS_POSITION + 1) / 2
    return r * (GAUSS_WEIGHT / 2) @ cost(r * t)


def _from_turn(cost, turn, r):
    """Angle and length of a geodesic from where it turns to radius r.

    With r = turn cosh(v) the integrands are smooth at the turn.
    """
    if r <= turn:
        return 0.0, 0.0
    v_end = np.arccosh(r / turn)
    v = v_end * (GAUSS_POSITION + 1) / 2
    radius = turn * np.cosh(v)
    c, c_turn = cost(radius), cost(np.array([turn]))[0]
    log_ratio = np.log1p(2 * np.sinh(v / 2) ** 2) + np.log(np.maximum(c / c_turn, 1.0))
    # sqrt((r c)^2 - constant^2), with constant = turn c(turn)
    root = turn * c_turn * np.sqrt(np.expm1(2 * log_ratio))
    weight = v_end * GAUSS_WEIGHT / 2 * turn * np.sinh(v) / root
    return weight @ (turn * c_turn / radius), weight @ (radius * c * c)


class FastMarching:
    """Distances in the plane by fast marching, order 2, on a square grid.

    Started from a ball: within `ball` of the source the cost is integrated along
    straight rays, and the front starts where that gives the same value everywhere.
    Two grids are extrapolated: the error of each falls as the square of its spacing.

    Parameters
    ----------
    cost : callable
        Points (n, 2) -> cost per unit length.
    half_width : float
        The grid covers the square of twice this size around the origin.
    n_cells : int
        Cells of the coarse grid along a side; the fine grid has twice as many.
    ball : float
        Radius of the exact start.
    """

    def __init__(self, cost, half_width, n_cells, ball):
        self.cost, self.half_width, self.n_cells = cost, half_width, n_cells
        self.ball = ball

    def snapped(self, points):
        """The nodes of the coarse grid nearest to the points."""
        spacing = 2 * self.half_width / self.n_cells
        return np.round(points / spacing) * spacing

    def distances(self, source, targets):
        """Distances from a node of the coarse grid to other such nodes."""
        coarse, fine = (
            self._on_grid(source, targets, n) for n in (self.n_cells, 2 * self.n_cells)
        )
        return fine + (fine - coarse) / 3

    def _on_grid(self, source, targets, n_cells):
        import skfmm

        axis = np.linspace(-self.half_width, self.half_width, n_cells + 1)
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
        spacing = float(axis[1] - axis[0])
        ahead = points - source
        radius = np.linalg.norm(ahead, axis=-1)
        near = radius < 2 * self.ball
        ray = np.full(radius.shape, np.inf)
        ray[near] = self._along_rays(source, ahead[near])
        circle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        rim = self.ball * np.column_stack([np.cos(circle), np.sin(circle)])
        front = self._along_rays(source, rim).min()
        speed = 1 / self.cost(points.reshape(-1, 2)).reshape(radius.shape)
        phi = np.where(near, ray - front, 1.0)
        # Beside the front skfmm starts from distance / speed: made the exact value.
        beside = _has_other_sign_beside(phi)
        to_front = np.abs(np.asarray(skfmm.distance(phi, dx=spacing)))
        speed[beside] = to_front[beside] / np.abs(phi[beside])
        arrival = front + np.asarray(skfmm.travel_time(phi, speed, dx=spacing, order=2))
        arrival = np.where(phi < 0, ray, arrival)
        rows = np.rint((targets + self.half_width) / spacing).astype(int)
        return arrival[rows[:, 0], rows[:, 1]]

    def _along_rays(self, source, ahead):
        position, weight = np.polynomial.legendre.leggauss(8)
        t = (position + 1) / 2
        points = source + t[:, None] * ahead[:, None]
        c = self.cost(points.reshape(-1, 2)).reshape(len(ahead), -1)
        return np.linalg.norm(ahead, axis=1) * (c @ (weight / 2))


def _has_other_sign_beside(phi):
    """Nodes of a grid with a neighbour of the other sign."""
    found = np.zeros(phi.shape, dtype=bool)
    for axis in (0, 1):
        along = np.moveaxis(found, axis, 0)
        changes = np.diff(np.moveaxis(phi > 0, axis, 0), axis=0)
        along[:-1] |= changes
        along[1:] |= changes
    return found
