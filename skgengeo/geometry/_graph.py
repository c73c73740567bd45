"""The geodesic graph: where edges, log densities, costs and shortest paths meet.

edges    = neighbourhood edges of X
profile  = log density along each edge, by the quadrature, to tol
costs    = edge length times the mean of c over the profile
graph    = CSR of costs
"""

from dataclasses import replace
from numbers import Integral

import numpy as np
from scipy.sparse import coo_array
from sklearn.utils import check_random_state, check_scalar

from .._caching import cached, memory_if_hashable, node_values
from .._floats import check_extent, check_range
from ._cost import check_log_cost
from ._edges import (
    NeighborSearch,
    component_labels,
    connecting_epsilon,
    segment_lengths,
)
from ._geodesics import refined_lengths
from ._neighborhood import (
    REFERENCE_LAMS,
    NeighborhoodRule,
    are_neighbors,
    median_log_density,
    neighbors_of,
    profiled_neighborhood,
    reference_metrics,
    warn_of_bridges,
)
from ._quadrature import Metric, Segments, edge_costs, profile_edges, refine_profile
from ._shortest_paths import (
    Seeds,
    distances_between,
    distances_from,
    nearest_from,
    shortest_paths,
)

# Below this share of λ a density is negligible: the cost is within 1 % of its ceiling.
NEGLIGIBLE = 0.01


class GeodesicGraph:
    """Neighbourhood graph whose edges have the length of the geodesic metric.

    Made by `from_points`; the constructor puts its parts together. The cost per unit
    length is ``c = ((p0 + lam p0) / (p + lam p0)) ** exponent``, and the weight of an
    edge the integral of c along its straight segment: eqs. :eq:`eq-log-cost` and
    :eq:`eq-edge` of the user guide.

    Parameters
    ----------
    search : NeighborSearch
        Over the vertices.
    log_density : callable
        Points of shape (n, n_features) -> log p of shape (n,).
    rule : NeighborhoodRule
        Which points are joined.
    neighborhood : Neighborhood
        Edges and the log density along them, shared by graphs of other metrics.
    metric : Metric
        λ, log p0 and the exponent.
    quad_tol : float
        Relative tolerance of the weight of an edge.
    served : frozenset of Metric, default=frozenset()
        Metrics beside the usual ones for which the edges were refined.
    verbose : bool, default=False
        Show progress.

    Attributes
    ----------
    X : ndarray of shape (n_vertices, n_features)
        The vertices.
    weights : csr_array of shape (n_vertices, n_vertices)
        Geodesic length of each edge, in both directions. Zeros are stored: they are
        edges between duplicates.

    Examples
    --------
    >>> import numpy as np
    >>> from skgengeo.geometry import GeodesicGraph
    >>> X = np.linspace(-2, 2, 50)[:, None]
    >>> graph = GeodesicGraph.from_points(X, lambda x: -(x[:, 0] ** 2) / 2, lam=0.1)
    >>> graph.distances([0]).shape
    (1, 50)
    >>> wider = graph.with_metric(lam=1.0)
    >>> wider.n_evaluations == graph.n_evaluations
    True
    """

    def __init__(
        self,
        search,
        log_density,
        rule,
        neighborhood,
        metric,
        *,
        quad_tol,
        served=frozenset(),
        verbose=False,
    ):
        self.search = search
        self.X = search.X
        self.n_jobs = search.n_jobs
        self.log_density = log_density
        self.rule = rule
        self.neighborhood = neighborhood
        self.metric = metric
        self.quad_tol = quad_tol
        self.served = served
        self.verbose = verbose
        self._edge_costs = self._costs(neighborhood.profile, neighborhood.edges.length)
        self.weights = self._weights()

    @classmethod
    def from_points(
        cls,
        X,
        log_density,
        *,
        lam,
        p0="auto",
        exponent=1.0,
        epsilon=None,
        n_neighbors=None,
        disconnected="connect",
        shortcuts=False,
        n_expected_components=1,
        neighbors_graph=None,
        quad_tol=1e-3,
        memory=None,
        random_state=None,
        n_jobs=None,
        verbose=False,
    ):
        """Join the points, and measure the edges.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The vertices.
        log_density : callable
            Points of shape (n, n_features) -> log p of shape (n,).
        lam : float
            Regularisation in units of p0, in [0, inf].
        p0 : float or "auto", default="auto"
            Reference density, where the cost is 1; "auto" is the median density of
            the points.
        exponent : float, default=1.0
            Power of the metric.
        epsilon : float, optional
            Longest edge, in the units of X.
        n_neighbors : int, optional
            An edge joins two points where either is among the k nearest of the other;
            with `epsilon` too, both must hold. Where both are None k is
            ``ceil(log2(n_samples))``.
        disconnected : {"connect", "error", "inf"}, default="connect"
            What to do about more than one component: join them by edges of the
            Euclidean minimum spanning tree, and warn; raise; or leave infinite
            distances.
        shortcuts : bool, default=False
            Join points too that face each other across a gap, of up to 1,000 of them.
        n_expected_components : int, default=1
            So many components are joined without a warning.
        neighbors_graph : sparse matrix of shape (n_samples, n_samples), optional
            Its stored entries are the edges, instead of `epsilon` or `n_neighbors`.
        quad_tol : float, default=1e-3
            Relative tolerance of the weight of an edge.
        memory : None, str or joblib.Memory
            Cache of the neighbourhood, and of the log density along edges, which other
            neighbourhoods of the same points share.
        random_state : None, int or RandomState
            For approximate neighbours.
        n_jobs : None or int
            As in scikit-learn.
        verbose : bool, default=False
            Show progress.

        Returns
        -------
        GeodesicGraph
            With as few density evaluations as `quad_tol` allows.

        Raises
        ------
        ValueError
            Where a parameter is out of range, the graph has several components and
            `disconnected` is "error", or the metric is degenerate.
        """
        check_extent(X)
        rule = NeighborhoodRule(epsilon, n_neighbors, disconnected, shortcuts)
        rule = rule.resolved(len(X))
        search = NeighborSearch(X, n_jobs=n_jobs)
        memory = memory_if_hashable(memory, log_density)
        with node_values(memory, X, log_density) as known:
            neighborhood = _cached_neighborhood(
                memory,
                search,
                log_density,
                rule,
                neighbors_graph,
                quad_tol,
                random_state,
                known,
            )
            if neighborhood.n_components > n_expected_components:
                warn_of_bridges(X, rule, neighbors_graph, neighborhood.bridges)
            euclidean = Metric(np.inf, median_log_density(neighborhood.log_density))
            parts = search, log_density, rule, neighborhood, euclidean
            graph = cls(*parts, quad_tol=quad_tol, verbose=verbose)
            return graph._refined_for(graph._metric(lam, p0, exponent), known)

    def with_metric(self, *, lam=None, p0=None, exponent=None):
        """The same graph under another metric.

        For λ p0 of at least 0.01 times the median density and an exponent of at most
        1 no density is evaluated; beyond that the edges are refined first.

        Parameters
        ----------
        lam : float, optional
            Regularisation in units of p0; None keeps it.
        p0 : float or "auto", optional
            Reference density; None keeps it.
        exponent : float, optional
            Power of the metric; None keeps it.

        Returns
        -------
        GeodesicGraph
            A new graph; this one is left as it is.

        Raises
        ------
        ValueError
            Where a parameter is out of range, or the metric is degenerate.
        """
        return self._refined_for(self._metric(lam, p0, exponent))

    def _metric(self, lam, p0, exponent):
        """The metric of this graph with what is not None in place of its own."""
        metric = Metric(
            self.metric.lam if lam is None else float(lam),
            self.metric.log_p0 if p0 is None else self._log_p0(p0),
            self.metric.exponent if exponent is None else float(exponent),
        )
        _check_metric(metric)
        return metric

    def _refined_for(self, metric, known=None):
        """This graph under another metric, its edges refined where they have to be."""
        served, neighborhood = self.served, self.neighborhood
        if not self._serves(metric):
            served = served | {metric}
            neighborhood = neighborhood._replace(
                profile=self._refined_profile(served, known)
            )
        return GeodesicGraph(
            self.search,
            self.log_density,
            self.rule,
            neighborhood,
            metric,
            quad_tol=self.quad_tol,
            served=served,
            verbose=self.verbose,
        )

    def _log_p0(self, p0):
        if isinstance(p0, str) and p0 == "auto":
            return self.reference_log_density
        if isinstance(p0, str) or not 0 < p0 < np.inf:
            raise ValueError(
                f"p0={p0!r}: it must be a finite density above 0, or 'auto', the "
                "median density of the vertices."
            )
        return float(np.log(p0))

    @property
    def reference_log_density(self):
        """Median log density of the vertices."""
        return median_log_density(self.neighborhood.log_density)

    def _serves(self, metric):
        """Whether the profile is fine enough for a metric."""
        if np.isinf(metric.lam) or metric in self.served:
            return True
        if metric.lam == 0 or metric.exponent > 1:
            return False
        relative = np.log(metric.lam) + metric.log_p0 - self.reference_log_density
        return relative >= np.log(min(REFERENCE_LAMS)) - 1e-9

    def _refined_profile(self, served, known):
        edges, log_p = self.neighborhood.edges, self.neighborhood.log_density
        metrics = [*reference_metrics(log_p), *served]
        return refine_profile(
            self.neighborhood.profile,
            Segments(self.X, edges.i, self.X, edges.j, log_p, log_p),
            edges.length,
            self.log_density,
            metrics,
            tol=self.quad_tol,
            known=known,
            n_jobs=self.n_jobs,
        )

    def _weights(self):
        edges, n = self.neighborhood.edges, len(self.X)
        # The oldest scipy.sparse.csgraph takes no wider indices.
        i, j = np.r_[edges.i, edges.j], np.r_[edges.j, edges.i]
        i, j = i.astype(np.int32), j.astype(np.int32)
        both = np.concatenate([self._edge_costs, self._edge_costs])
        return coo_array((both, (i, j)), shape=(n, n)).tocsr()

    def _costs(self, profile, length):
        lam, log_p0, exponent = self.metric
        if np.isinf(lam):
            return length
        check_log_cost(profile.log_density - log_p0, lam=lam, exponent=exponent)
        return edge_costs(profile, length, self.metric, n_jobs=self.n_jobs)

    # What happened

    @property
    def n_vertices(self):
        """Number of vertices."""
        return len(self.X)

    @property
    def n_edges(self):
        """Number of edges, bridges included."""
        return len(self.neighborhood.edges.i)

    @property
    def n_components(self):
        """Number of connected components before any were joined."""
        return self.neighborhood.n_components

    @property
    def component_labels(self):
        """Component of each vertex before any were joined: ndarray (n_vertices,)."""
        if self.n_components == 1:
            return np.zeros(self.n_vertices, dtype=np.int32)
        kept = self.edges[~self._is_bridge()]
        return component_labels(self.n_vertices, *kept.T)[1]

    def _is_bridge(self):
        """Which of the `edges` are bridges."""
        number = [self.n_vertices, 1]
        return np.isin(self.edges @ number, np.sort(self.bridges, axis=1) @ number)

    @property
    def bridges(self):
        """Edges that were added to join components: ndarray (n_bridges, 2)."""
        return self.neighborhood.bridges

    @property
    def n_evaluations(self):
        """Points whose log density the graph needed so far, each vertex counted once.

        Each was evaluated, or, with `memory`, evaluated or found: the number is the
        same. It counts the nodes of this graph, not the work of its fit.
        """
        return self.n_vertices + self.neighborhood.profile.n_evaluations

    @property
    def edges(self):
        """Ends of each edge, the smaller index first: ndarray (n_edges, 2)."""
        return np.column_stack([self.neighborhood.edges.i, self.neighborhood.edges.j])

    @property
    def edge_errors(self):
        """Estimated relative error of each of the `edges`: ndarray (n_edges,)."""
        return self.neighborhood.profile.error

    @property
    def estimated_error(self):
        """Largest estimated relative error of an edge."""
        return float(self.edge_errors.max(initial=0.0))

    @property
    def mean_error(self):
        """Mean of the `edge_errors`, each weighed by its edge's length in the metric.

        About the relative error of distances. Euclidean lengths have none.
        """
        if np.isinf(self.metric.lam) or not self._edge_costs.any():
            return 0.0
        return float(np.average(self.edge_errors, weights=self._edge_costs))

    @property
    def saturated_share(self):
        """Share of edges in whose middle the density is less than 1 % of λ.

        There the cost is within 1 % of its ceiling ``((1 + lam) / lam) ** exponent``.
        Where nearly all edges are saturated the metric is Euclidean, up to a factor.
        Edges between duplicates, and bridges, do not count.
        """
        lam, log_p0, _ = self.metric
        profile = self.neighborhood.profile
        middle = profile.log_density[profile.position == 0.5]
        # Edges between duplicates have no nodes inside.
        middle = middle[~self._is_bridge()[self.neighborhood.edges.length > 0]]
        if lam == 0 or len(middle) == 0:
            return 0.0
        return float(np.mean(middle - log_p0 < np.log(NEGLIGIBLE * lam)))

    def connecting_epsilon(self):
        """Smallest ε at which the ε-graph of the vertices is connected.

        Returns
        -------
        float
            In the units of X.
        """
        return connecting_epsilon(self.X, n_jobs=self.n_jobs)

    def __repr__(self):
        return (
            f"GeodesicGraph(n_vertices={self.n_vertices}, n_edges={self.n_edges}, "
            f"n_evaluations={self.n_evaluations}, "
            f"estimated_error={self.estimated_error:.2g}, "
            f"saturated_share={self.saturated_share:.2g}, "
            f"n_components={self.n_components}, n_bridges={len(self.bridges)})"
        )

    # Distances

    def distances(self, sources=None, *, dtype=np.float64):
        """Geodesic distances between vertices.

        Parameters
        ----------
        sources : array-like of int, optional
            Rows to compute; None for all.
        dtype : dtype, default=float64
            Of the result.

        Returns
        -------
        ndarray of shape (n_sources, n_vertices)
            ``inf`` between components; symmetric where all rows are asked for.
        """
        every = sources is None
        seeds = Seeds.at(np.arange(self.n_vertices) if every else sources)
        result = self.distances_from(seeds, dtype=dtype)
        if every:
            _symmetrize(result)
        return result

    def distances_from(self, seeds, *, dtype=np.float64):
        """Distances from seeds, as made by `attach`, to all vertices.

        Parameters
        ----------
        seeds : Seeds
            One row for each point.
        dtype : dtype, default=float64
            Of the result.

        Returns
        -------
        ndarray of shape (n_points, n_vertices)
            ``inf`` where there is no path.
        """
        _check_range(self.weights, dtype)
        return distances_from(
            self.weights, seeds, dtype=dtype, n_jobs=self.n_jobs, verbose=self.verbose
        )

    def nearest(self, k, seeds=None):
        """The k nearest vertices by geodesic distance.

        Parameters
        ----------
        k : int
            Number of vertices. A point at a vertex counts that vertex, as the first.
        seeds : Seeds, optional
            As made by `attach`, one row for each point; None for all vertices.

        Returns
        -------
        distances : ndarray of shape (n_points, k)
            In ascending order; ``inf`` where fewer can be reached.
        vertices : ndarray of int of shape (n_points, k)
            -1 where fewer can be reached. Each search stops at its k-th vertex.
        """
        seeds = Seeds.at(np.arange(self.n_vertices)) if seeds is None else seeds
        return nearest_from(
            self.weights, seeds, k, n_jobs=self.n_jobs, verbose=self.verbose
        )

    def path(self, i, j):
        """Vertices of a shortest path from i to j, and its length.

        Parameters
        ----------
        i, j : int
            Vertices.

        Returns
        -------
        indices : ndarray of int
            From i to j; empty where there is no path.
        length : float
            The geodesic distance; ``inf`` where there is no path.
        """
        ends = Seeds.at([i]), Seeds.at([j])
        (indices,), (length,) = shortest_paths(self.weights, *ends)
        return indices, float(length)

    def attach(self, Q):
        """Join new points to the graph by edges of the same kind.

        Parameters
        ----------
        Q : ndarray of shape (n_points, n_features)
            The points. One that equals a vertex is that vertex.

        Returns
        -------
        Seeds
            For each point the vertices it is joined to and the lengths of the edges.
        """
        q, x = neighbors_of(self.search, self.rule, Q)
        length = segment_lengths(Q, q, self.X, x)
        same = length == 0
        is_vertex = np.zeros(len(Q), dtype=bool)
        is_vertex[q[same]] = True
        keep = same | ~is_vertex[q]
        q, x, length = q[keep], x[keep], length[keep]
        order = np.lexsort((x, q))
        q, x, length = q[order], x[order], length[order]
        costs = self._segment_costs(Q, q, self.X, x, length)
        indptr = np.searchsorted(q, np.arange(len(Q) + 1))
        return Seeds(indptr, x, costs)

    def distance_between(self, P, Q):
        """Geodesic distance of matched rows.

        Parameters
        ----------
        P, Q : ndarray of shape (n_pairs, n_features)
            Points; two new points that are neighbours are joined directly too.

        Returns
        -------
        ndarray of shape (n_pairs,)
            ``inf`` where there is no path.
        """
        seeds, targets = self.attach(P), self.attach(Q)
        result = distances_between(
            self.weights, seeds, targets, n_jobs=self.n_jobs, verbose=self.verbose
        )
        rows, direct = self._joined_directly(P, Q, seeds, targets)
        result[rows] = np.minimum(result[rows], direct)
        return result

    def paths_between(self, P, Q, seeds, targets):
        """Shortest paths of matched rows, as polylines.

        Parameters
        ----------
        P, Q : ndarray of shape (n_pairs, n_features)
            Points, as in `distance_between`.
        seeds, targets : Seeds
            What `attach` makes of them.

        Returns
        -------
        list of ndarray of shape (n_points, n_features)
            From the row of P to that of Q; empty where there is no path.
        """
        paths, lengths = shortest_paths(
            self.weights, seeds, targets, n_jobs=self.n_jobs, verbose=self.verbose
        )
        polylines = [
            _without_repeats(np.vstack([p[None], self.X[path], q[None]]))
            if length < np.inf
            else np.empty((0, self.X.shape[1]))
            for p, path, q, length in zip(P, paths, Q, lengths, strict=True)
        ]
        rows, direct = self._joined_directly(P, Q, seeds, targets)
        for row in rows[direct <= lengths[rows]]:
            polylines[row] = _without_repeats(np.stack([P[row], Q[row]]))
        return polylines

    def _joined_directly(self, P, Q, seeds, targets):
        """Rows whose two points are joined by an edge beside the graph; their costs."""
        new = ~_at_vertex(seeds) & ~_at_vertex(targets)
        same = (P == Q).all(axis=1)
        close = new & are_neighbors(self.search, self.rule, P, Q)
        rows = np.flatnonzero(close | same)
        length = segment_lengths(P, rows, Q, rows)
        return rows, self._segment_costs(P, rows, Q, rows, length)

    # What relaxation, and shortcuts, would change

    def with_shortcuts(self):
        """The same graph with edges between points that face each other across gaps.

        Returns
        -------
        GeodesicGraph
            A new graph, for which the density along all edges is evaluated anew.
        """
        edges, n = self.neighborhood.edges, self.n_vertices
        own = coo_array((np.ones(self.n_edges), (edges.i, edges.j)), shape=(n, n))
        rule = replace(self.rule, shortcuts=True)
        found = profiled_neighborhood(
            self.X, self.log_density, rule, own, self.quad_tol, n_jobs=self.n_jobs
        )
        found = found._replace(bridges=self.bridges, n_components=self.n_components)
        euclidean = self.metric._replace(lam=np.inf)
        parts = self.search, self.log_density, rule, found, euclidean
        graph = GeodesicGraph(*parts, quad_tol=self.quad_tol, verbose=self.verbose)
        return graph._refined_for(self.metric)

    def shortcut_gains(self, n_pairs=100, *, random_state=None):
        """By how much distances exceed those with shortcuts, for random pairs.

        Parameters
        ----------
        n_pairs : int, default=100
            Pairs of different vertices, of those that a path joins.
        random_state : None, int or RandomState
            What they are drawn with.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Distance in this graph over that in `with_shortcuts`, less one: never
            negative.
        """
        i, j = self._random_pairs(n_pairs, random_state)
        other = self.with_shortcuts()
        ends = Seeds.at(i), Seeds.at(j)
        shorter = distances_between(other.weights, *ends, n_jobs=self.n_jobs)
        return self._excess(i, j, shorter)

    def discretization_errors(self, n_pairs=100, *, random_state=None):
        """By how much distances exceed the lengths of relaxed paths, for random pairs.

        Parameters
        ----------
        n_pairs : int, default=100
            Pairs of different vertices, of those that a path joins.
        random_state : None, int or RandomState
            What they are drawn with.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Distance in this graph over the length of the relaxed curve, less one:
            never negative.

        Raises
        ------
        ValueError
            Where the log density of the graph has no gradient.

        Warns
        -----
        ConvergenceWarning
            Where the relaxation of a curve has not converged: the error may be larger.
        """
        i, j = self._random_pairs(n_pairs, random_state)
        return self._excess(i, j, refined_lengths(self, self.X[i], self.X[j]))

    def _excess(self, i, j, shorter):
        """Relative excess of distances over others, which differ by rounding at least.

        None where both are zero.
        """
        ends = Seeds.at(i), Seeds.at(j)
        own = distances_between(self.weights, *ends, n_jobs=self.n_jobs)
        shorter = np.minimum(own, shorter)
        excess = np.zeros_like(own)
        return np.divide(own - shorter, shorter, out=excess, where=shorter > 0)

    def _random_pairs(self, n_pairs, random_state):
        """Different vertices that a path joins."""
        check_scalar(n_pairs, "n_pairs", Integral, min_val=1)
        apart = self.rule.disconnected == "inf"
        labels = self.component_labels if apart else np.zeros(self.n_vertices, int)
        sizes = np.bincount(labels)
        if sizes.max() < 2:
            raise ValueError(
                f"No path joins two of the {self.n_vertices} vertices. Pass more "
                "samples, or disconnected='connect'."
            )
        rng = check_random_state(random_state)
        i = rng.choice(np.flatnonzero(sizes[labels] > 1), n_pairs)
        # Another place in the same run of equal labels.
        order = np.argsort(labels, kind="stable")
        place, first = np.argsort(order), np.searchsorted(labels[order], labels[i])
        size = sizes[labels[i]]
        beside = (place[i] - first + rng.randint(1, size)) % size
        return i, order[first + beside]

    def _segment_costs(self, start, i, end, j, length):
        """Geodesic lengths of segments beside the graph."""
        if np.isinf(self.metric.lam):
            return length
        costs = np.zeros(len(length))
        long = length > 0
        i, j, length = i[long], j[long], length[long]
        log_start = _log_density_where_used(self.log_density, start, i, self)
        log_end = _log_density_where_used(self.log_density, end, j, self)
        segments = Segments(start, i, end, j, log_start, log_end)
        metrics = reference_metrics(self.neighborhood.log_density)
        profile = profile_edges(
            segments,
            length,
            self.log_density,
            [*metrics, *self.served],
            tol=self.quad_tol,
            n_jobs=self.n_jobs,
        )
        costs[long] = self._costs(profile, length)
        lost = np.flatnonzero(~np.isfinite(costs[long]))
        if len(lost):
            raise ValueError(
                f"The point in row {i[lost[0]]} is {length[lost[0]]:.3g} from its "
                "neighbours, and log densities on the way leave the range of floating "
                "point. Leave it out, or replace values that stand for missing ones."
            )
        return costs


def _cached_neighborhood(
    memory, search, log_density, rule, neighbors_graph, quad_tol, random_state, known
):
    """The neighbourhood of the points searched, from the memory if it is there."""
    # A seed that changes nothing is no part of the cache's key.
    seed = None
    if not search.is_exact:
        seed = check_random_state(random_state).randint(2**31 - 1)
    find = cached(memory, profiled_neighborhood, ignore=["n_jobs", "known"])
    return find(
        search.X,
        log_density,
        rule,
        neighbors_graph,
        quad_tol,
        random_state=seed,
        n_jobs=search.n_jobs,
        known=known,
    )


def _check_range(weights, dtype):
    """Raise where distances could leave the range of their floating type.

    Parameters
    ----------
    weights : csr_array
        Lengths of the edges.
    dtype : dtype
        Of the distances.
    """
    if dtype == np.float64:
        return
    data = weights.data
    longest = data.max(initial=0.0) * weights.shape[0]
    shortest = data.min(where=data > 0, initial=np.inf)
    check_range(shortest, longest, dtype, "Lengths of paths")


def _check_metric(metric):
    """Raise where λ or the exponent is out of range."""
    if not metric.lam >= 0:
        raise ValueError(
            f"lam={metric.lam!r}: it must be in [0, inf]. Pass np.inf for Euclidean "
            "length, and small positive values to follow the density."
        )
    if not 0 < metric.exponent < np.inf:
        raise ValueError(
            f"exponent={metric.exponent!r}: it must be positive and finite; 1 is the "
            "generative geodesic."
        )


def _symmetrize(distances, block=128):
    """Make D symmetric in place: the two directions differ by rounding."""
    n = len(distances)
    for start in range(0, n, block):
        rows = slice(start, start + block)
        for other in range(start, n, block):
            columns = slice(other, other + block)
            smaller = np.minimum(distances[rows, columns], distances[columns, rows].T)
            distances[rows, columns] = smaller
            distances[columns, rows] = smaller.T


def _without_repeats(polyline):
    """A polyline without vertices that equal the one before."""
    moves = (polyline[1:] != polyline[:-1]).any(axis=1)
    return polyline[np.r_[True, moves]]


def _at_vertex(seeds):
    """Which rows of seeds lie on a vertex."""
    lengths = np.diff(seeds.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    found = np.zeros(len(lengths), dtype=bool)
    found[rows[seeds.distance == 0]] = True
    return found


def _log_density_where_used(log_density, points, used, graph):
    """log p at the points that some edge uses; those of the graph are known."""
    if points is graph.X:
        return graph.neighborhood.log_density
    values = np.full(len(points), np.nan)
    rows = np.unique(used)
    if len(rows):
        values[rows] = log_density(points[rows])
    return values
