"""Slow and obvious twins of what the package computes fast, and exact solutions."""

import heapq

import numpy as np
from scipy.integrate import cumulative_trapezoid, simpson
from scipy.optimize import brentq

GAUSS_POSITION, GAUSS_WEIGHT = np.polynomial.legendre.leggauss(200)
GAUSS_POSITION, GAUSS_WEIGHT = (GAUSS_POSITION + 1) / 2, GAUSS_WEIGHT / 2


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
    # From each point on, as differences of one integral lose the small among the large.
    found = np.zeros((len(x), len(x)))
    for i in range(len(x) - 1):
        found[i, i + 1 :] = found[i + 1 :, i] = np.cumsum(parts[i:])
    return found


def radial_distance(cost, r1, r2, angle):
    """Distance of points at radii r1, r2 and an angle, where the cost is c(r).

    Clairaut's relation: r c(r) sin(alpha) is constant along a geodesic. The constant is
    found from the angle, as the radius where the geodesic turns. The cost must not
    decrease with r, so that there is one such radius.
    """
    r1, r2 = sorted((r1, r2))
    if angle < 1e-8:
        return _radial_length(cost, r1, r2)
    # Through the origin: a curve in any case, and the geodesic of opposite points.
    lengths = [_radial_length(cost, 0.0, r1) + _radial_length(cost, 0.0, r2)]
    if r1 == 0:
        return lengths[0]
    turns = r1 / np.cosh(np.linspace(0.0, 21.0, 100))
    near, far = (_from_turn(cost, turns, r)[0] for r in (r1, r2))
    # The turn lies beside the way (-1) or on it (1).
    for sign in (-1, 1):

        def excess(turn, sign=sign):
            near, far = (_from_turn(cost, turn, r)[0] for r in (r1, r2))
            return far + sign * near - angle

        beyond = far + sign * near > angle
        for k in np.flatnonzero(beyond[1:] != beyond[:-1]):
            turn = brentq(excess, turns[k + 1], turns[k], xtol=1e-15, rtol=1e-14)
            near_length, far_length = (_from_turn(cost, turn, r)[1] for r in (r1, r2))
            lengths.append(far_length + sign * near_length)
    return min(lengths)


def _radial_length(cost, start, end):
    return (end - start) * (cost(start + (end - start) * GAUSS_POSITION) @ GAUSS_WEIGHT)


def _from_turn(cost, turn, r):
    """Angles and lengths of geodesics from where they turn to radius r.

    With radius = turn cosh(v) the integrands are smooth at the turn.
    """
    turn = np.asarray(turn)[..., None]
    v_end = np.arccosh(np.maximum(r / turn, 1.0))
    v = v_end * GAUSS_POSITION
    radius = turn * np.cosh(v)
    c, c_turn = cost(radius), cost(turn)
    log_ratio = np.log1p(2 * np.sinh(v / 2) ** 2) + np.log(np.maximum(c / c_turn, 1.0))
    # sqrt((r c)^2 - constant^2), with constant = turn c(turn)
    root = turn * c_turn * np.sqrt(np.expm1(2 * log_ratio))
    root[v == 0] = 1.0
    weight = v_end * GAUSS_WEIGHT * turn * np.sinh(v) / root
    angle = (weight * turn * c_turn / radius).sum(axis=-1)
    return angle, (weight * radius * c * c).sum(axis=-1)


class FastMarching:
    """Distances in the plane by fast marching, order 2, on a square grid.

    Started from a ball: within `ball` of the source the distances are those of nearly
    straight curves, and the front starts where they are the same everywhere. Two
    grids are extrapolated: the error of each falls as the square of its spacing. What
    is left is largest beside the ball: targets at two radii or more are within 5e-4.

    Parameters
    ----------
    cost : callable
        Points (n, 2) -> cost per unit length.
    half_width : float
        The grid covers the square of twice this size around the origin.
    n_cells : int
        Cells of the coarse grid along a side, an even number; the fine grid has twice
        as many.
    ball : float
        Radius of the start.
    """

    def __init__(self, cost, half_width, n_cells, ball):
        self.cost, self.half_width, self.ball = cost, half_width, ball
        self.spacing = 2 * half_width / n_cells
        self._grids = [self._grid(n) for n in (n_cells, 2 * n_cells)]

    def snapped(self, points):
        """The nodes of the coarse grid nearest to the points."""
        return np.round(points / self.spacing) * self.spacing

    def distances(self, source, targets):
        """Distances from a node of the coarse grid to other such nodes."""
        coarse, fine = (self._on_grid(source, targets, *grid) for grid in self._grids)
        return fine + (fine - coarse) / 3

    def _grid(self, n_cells):
        axis = np.linspace(-self.half_width, self.half_width, n_cells + 1)
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
        cost = np.stack([self.cost(row) for row in points])
        return points, 1 / cost, float(axis[1] - axis[0])

    def _on_grid(self, source, targets, points, speed, spacing):
        import skfmm

        ahead = points - source
        near = np.linalg.norm(ahead, axis=-1) < self.ball + 2 * spacing
        known = self._nearby(source, ahead[near])
        circle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        rim = self.ball * np.column_stack([np.cos(circle), np.sin(circle)])
        # No node shall lie on the front, where the ratio below is 0 / 0.
        front = (1 - 1e-9) * self._nearby(source, rim).min()
        phi = np.ones(near.shape)
        phi[near] = known - front
        # Beside the front skfmm starts from distance / speed: made the exact value.
        beside = _has_other_sign_beside(phi)
        to_front = skfmm.distance(phi, dx=spacing, narrow=3 * spacing)
        speed = speed.copy()
        speed[beside] = np.abs(np.asarray(to_front)[beside] / phi[beside])
        arrival = front + np.asarray(skfmm.travel_time(phi, speed, dx=spacing, order=2))
        arrival[near] = known
        rows = np.rint((targets + self.half_width) / spacing).astype(int)
        return arrival[rows[:, 0], rows[:, 1]]

    def _nearby(self, source, ahead):
        """Distances along straight rays, less what is gained by bending them.

        A curve at a small height h beside a ray has the length of
        c + h dc/dy + c h'^2 / 2, y being the direction across. The best has
        (c h')' = dc/dy, and gains c h'^2 / 2.
        """
        t = np.linspace(0.0, 1.0, 17)
        radius = np.linalg.norm(ahead, axis=1)[:, None]
        across = np.column_stack([-ahead[:, 1], ahead[:, 0]]) / np.maximum(radius, 1e-9)

        def along(step):
            points = source + t[:, None] * ahead[:, None] + step * across[:, None]
            return self.cost(points.reshape(-1, 2)).reshape(len(ahead), -1)

        c, slope = along(0.0), (along(1e-5) - along(-1e-5)) / 2e-5
        # c h', up to a constant, which makes h zero at both ends
        bend = radius * cumulative_trapezoid(slope, t, initial=0, axis=1)
        bend -= simpson(bend / c, x=t, axis=1)[:, None] / simpson(1 / c, x=t)[:, None]
        return radius[:, 0] * simpson(c - bend**2 / (2 * c), x=t, axis=1)


def _has_other_sign_beside(phi):
    """Nodes of a grid with a neighbour of the other sign."""
    found = np.zeros(phi.shape, dtype=bool)
    for axis in (0, 1):
        along = np.moveaxis(found, axis, 0)
        changes = np.diff(np.moveaxis(phi > 0, axis, 0), axis=0)
        along[:-1] |= changes
        along[1:] |= changes
    return found
