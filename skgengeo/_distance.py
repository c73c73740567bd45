"""Geodesic distances as transformers."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._base import BaseGeodesicEstimator, check_array_fits, check_square_fits
from ._compat import Interval, _fit_context
from .geometry._shortest_paths import Seeds, through_seeds

DENSE_REMEDY = (
    "Pass n_landmarks for distances to a few samples, ask distance_matrix for some "
    "rows at a time with sources=, transform fewer rows at a time, or ask for matched "
    "rows with distance; float32 input halves it."
)


class GenerativeGeodesicDistance(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseGeodesicEstimator
):
    """Distances that follow the data: geodesics of a fitted density.

    A density p makes a step through its samples cheap and a step through empty space
    dear: the cost per unit length is

    .. math::

        c(x) = \\left(\\frac{p_0 + \\lambda}{p(x) + \\lambda}\\right)^s ,
        \\qquad \\lambda = \\mathtt{lam} \\cdot p_0 .

    Distances are lengths of shortest paths in a neighbourhood graph of the training
    samples, each edge measured by the integral of c along it: eqs. :eq:`eq-cost` and
    :eq:`eq-edge` of the user guide, after [1]_.

    Parameters
    ----------
    density : object or None, default=None
        The density p: any object that :func:`skgengeo.density.as_density` takes. A
        fitted one is used as it is, and stays fitted under ``clone``; an unfitted one
        is cloned and fitted on the training samples. None is
        :class:`skgengeo.density.TemperedDensity` of manifold Parzen windows.
    lam : float, default=0.1
        Regularisation λ in units of `p0`. Large values approach Euclidean length
        (``np.inf`` is Isomap's distance), small ones the cost ``p0 / p``; 0 is
        allowed where the density is positive.
    p0 : float or "auto", default="auto"
        Reference density, where the cost is 1: it sets the unit of length. "auto" is
        the median density of the training samples.
    exponent : float, default=1.0
        Power s of the cost.
    epsilon : float or None, default=None
        Radius of the ε-graph, in the units of X.
    n_graph_neighbors : int or None, default=None
        Number of neighbours of the kNN graph, which has an edge where either end is
        among the nearest of the other. With `epsilon` too, both must hold. Where both
        are None it is ``ceil(log2(n_samples))``. Beyond 15 features and 20,000 samples
        neighbours are approximate.
    disconnected : {"connect", "error", "inf"}, default="connect"
        What to do about a graph of several components: add the edges of the Euclidean
        minimum spanning tree that join them, and warn; raise; or leave infinite
        distances.
    quad_tol : float, default=1e-3
        Relative tolerance of the length of an edge.
    memory : None, str or joblib.Memory, default=None
        Cache of all that does not depend on λ, p0 and the exponent: the fit of the
        density, the graph, and the density along edges, which all graphs of the same
        samples share. A density that cannot be pickled is not cached, with a warning.
    random_state : None, int or RandomState, default=None
        For approximate neighbours, and what else is drawn at random: landmarks, the
        start of an eigensolver or of k-means.
    n_jobs : None or int, default=None
        Number of threads, as in scikit-learn. With exact neighbours results do not
        depend on it.
    verbose : bool, default=False
        Show progress bars.
    n_landmarks : int or None, default=None
        Give distances to this many randomly chosen samples, instead of to all.

    Attributes
    ----------
    density_ : estimator
        The fitted density.
    log_p0_ : float
        Logarithm of the reference density.
    p0_ : float
        The reference density; 0 or inf where only its logarithm is representable.
    graph_ : skgengeo.geometry.GeodesicGraph
        The graph, and what happened: its edges, density evaluations, estimated error,
        saturated edges, components and bridges.
    landmarks_ : ndarray of shape (n_landmarks,)
        Indices of the landmarks. Only with `n_landmarks`.
    landmark_distances_ : ndarray of shape (n_samples, n_landmarks)
        Geodesic distances to the landmarks. Only with `n_landmarks`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    See Also
    --------
    sklearn.manifold.Isomap : Shortest paths in Euclidean length: ``lam=np.inf``.

    Notes
    -----
    Every path in the graph is a curve, so a distance is an upper bound of the true
    one, up to `quad_tol`; it converges as samples and neighbours grow [1]_.

    The neighbourhood, the density of new points and the choices of `p0` and of the
    units of `lam` are this package's own, explained in the user guide.

    References
    ----------
    .. [1] B. Kim, M. Puthawala, J. C. Ye and E. Sansone, "(Deep) Generative
       Geodesics", arXiv:2407.11244, 2024.

    Examples
    --------
    >>> from sklearn.datasets import make_swiss_roll
    >>> from sklearn.mixture import GaussianMixture
    >>> from skgengeo import GenerativeGeodesicDistance
    >>> X, _ = make_swiss_roll(200, noise=0.2, random_state=0)
    >>> density = GaussianMixture(10, random_state=0)
    >>> geodesic = GenerativeGeodesicDistance(density)
    >>> geodesic.fit_transform(X).shape
    (200, 200)
    >>> geodesic.transform(X[:5] + 0.1).shape
    (5, 200)
    >>> indices, length = geodesic.path(0, 1)
    """

    _parameter_constraints: dict = {
        **BaseGeodesicEstimator._parameter_constraints,
        "n_landmarks": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        density=None,
        *,
        lam=0.1,
        p0="auto",
        exponent=1.0,
        epsilon=None,
        n_graph_neighbors=None,
        disconnected="connect",
        quad_tol=1e-3,
        memory=None,
        random_state=None,
        n_jobs=None,
        verbose=False,
        n_landmarks=None,
    ):
        self.density = density
        self.lam = lam
        self.p0 = p0
        self.exponent = exponent
        self.epsilon = epsilon
        self.n_graph_neighbors = n_graph_neighbors
        self.disconnected = disconnected
        self.quad_tol = quad_tol
        self.memory = memory
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.n_landmarks = n_landmarks

    @_fit_context(prefer_skip_nested_validation=False)  # the density is a user's
    def fit(self, X, y=None, *, neighbors_graph=None):
        """Fit the density where needed, and build the graph.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,), optional
            Handed to the density's ``fit``, which may ignore it.
        neighbors_graph : sparse matrix of shape (n_samples, n_samples), optional
            A neighbourhood graph of your own, in place of `epsilon` and
            `n_graph_neighbors`: its stored entries are the edges, in either
            direction. Their lengths are computed from X. New points are joined by
            `epsilon` and `n_graph_neighbors` all the same.

        Returns
        -------
        self : GenerativeGeodesicDistance
            The fitted transformer.

        Raises
        ------
        ValueError
            Where the data, the density or the graph cannot be used; it says why and
            what to do.
        """
        self._fit_geometry(X, y, neighbors_graph)
        self._n_features_out = self.graph_.n_vertices
        for name in ("landmarks_", "landmark_distances_"):
            vars(self).pop(name, None)
        if self.n_landmarks is not None:
            self.landmarks_ = self._choose_landmarks()
            self.landmark_distances_ = self._to_landmarks(self.graph_)
            self._n_features_out = self.n_landmarks
        return self

    def fit_transform(self, X, y=None, *, neighbors_graph=None):
        """Fit, and give the distances between the training samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,), optional
            As in `fit`.
        neighbors_graph : sparse matrix of shape (n_samples, n_samples), optional
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_samples) or (n_samples, n_landmarks)
            Symmetric, with a zero diagonal; float32 where X is. ``inf`` only with
            ``disconnected="inf"``.
        """
        if self.n_landmarks is None:
            check_square_fits(X, DENSE_REMEDY)
        self.fit(X, y, neighbors_graph=neighbors_graph)
        return self._distances(self.graph_, None)

    def transform(self, X):
        """Distances of new points to the training samples, or to the landmarks.

        A new point is joined to its neighbours among the training samples by edges of
        the same kind; one that equals a training sample is that sample.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            New points.

        Returns
        -------
        ndarray of shape (n_queries, n_samples) or (n_queries, n_landmarks)
            float32 where X is.
        """
        X, dtype = self._validate_queries(X)
        check_array_fits(len(X), self._n_features_out, dtype, DENSE_REMEDY)
        seeds = self.graph_.attach(X)
        if hasattr(self, "landmarks_"):
            return through_seeds(seeds, self.landmark_distances_).astype(dtype)
        return self.graph_.distances_from(seeds, dtype=dtype)

    def distance_matrix(self, sources=None):
        """Rows of the matrix of distances between training samples.

        Parameters
        ----------
        sources : array-like of int, optional
            Indices of the rows; None for all.

        Returns
        -------
        ndarray of shape (n_sources, n_samples) or (n_sources, n_landmarks)
            What `fit_transform` gives, for these rows alone.

        Raises
        ------
        ValueError
            Where a source is no training sample, or memory cannot hold the result.
        """
        check_is_fitted(self)
        return self._distances(self.graph_, sources)

    def distance(self, X, Y):
        """Distance between matched rows of X and Y.

        Parameters
        ----------
        X, Y : array-like of shape (n_pairs, n_features)
            Points, training samples or new ones. Two new points that are neighbours
            are joined directly too.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Each from a search that stops at its target: no matrix is computed.
            float32 where both X and Y are.
        """
        X, dtype = self._validate_queries(X)
        Y, other = self._validate_queries(Y)
        check_consistent_length(X, Y)
        dtype = np.promote_types(dtype, other)
        return self.graph_.distance_between(X, Y).astype(dtype)

    def path(self, i, j):
        """Shortest path between two training samples.

        Parameters
        ----------
        i, j : int
            Indices of the samples.

        Returns
        -------
        indices : ndarray of int
            Samples on the path, from i to j.
        length : float
            Its length: the distance from i to j.

        Raises
        ------
        ValueError
            Where an index is out of range, or no path exists.
        """
        check_is_fitted(self)
        i, j = self._check_indices([i, j])
        indices, length = self.graph_.path(i, j)
        if np.isinf(length):
            raise ValueError(
                f"There is no path from sample {i} to sample {j}: they lie in "
                "different components, and disconnected='inf' keeps those apart. Pass "
                "disconnected='connect', or a larger epsilon or n_graph_neighbors."
            )
        return indices, length

    def lam_path(self, lams, *, sources=None):
        """Distances for several λ, at the cost of one density.

        Parameters
        ----------
        lams : iterable of float
            Values of λ, in units of p0. For those of at least 0.01 no density is
            evaluated again; below, edges are refined where they need it.
        sources : array-like of int, optional
            Rows to compute, as in `distance_matrix`.

        Returns
        -------
        iterator of tuple
            Pairs ``(lam, distances)`` in the order of `lams`, each computed when it is
            asked for: what `distance_matrix` gives at this λ. The fitted transformer
            keeps its own.

        Raises
        ------
        ValueError
            Where a value is no number in [0, inf]; before anything is computed.
        """
        check_is_fitted(self)
        lams = list(lams)
        for lam in lams:
            if not (isinstance(lam, Real) and lam >= 0):
                raise ValueError(
                    f"lam={lam!r} in lams: it must be in [0, inf]. Pass np.inf for "
                    "Euclidean length, and small positive values to follow the density."
                )
        return self._along_lams(lams, sources)

    def _along_lams(self, lams, sources):
        graph = self.graph_
        for lam in lams:
            graph = graph.with_metric(lam=lam)
            yield lam, self._distances(graph, sources)

    def _distances(self, graph, sources):
        """Distances in one graph, to all samples or to the landmarks."""
        dtype = self._dtype
        if sources is not None:
            sources = self._check_indices(sources)
        if hasattr(self, "landmarks_"):
            kept = graph is self.graph_
            to = self.landmark_distances_ if kept else self._to_landmarks(graph)
            return (to if sources is None else to[sources]).astype(dtype)
        n = graph.n_vertices
        n_rows = n if sources is None else len(sources)
        check_array_fits(n_rows, n, dtype, DENSE_REMEDY)
        return graph.distances(sources, dtype=dtype)

    def _to_landmarks(self, graph):
        check_array_fits(
            graph.n_vertices, len(self.landmarks_), np.float64, DENSE_REMEDY
        )
        found = graph.distances_from(Seeds.at(self.landmarks_))
        return np.ascontiguousarray(found.T)

    def _choose_landmarks(self):
        n = self.graph_.n_vertices
        if self.n_landmarks > n:
            raise ValueError(
                f"n_landmarks={self.n_landmarks} with n_samples={n}: pass at most "
                f"{n}, or None for all samples."
            )
        rng = check_random_state(self.random_state)
        return np.sort(rng.permutation(n)[: self.n_landmarks])

    def _check_indices(self, indices):
        indices = np.atleast_1d(indices)
        if indices.size == 0:
            return np.empty(0, dtype=np.int64)
        if indices.ndim > 1:
            raise ValueError(
                f"Indices of shape {indices.shape}: pass a flat list of the positions "
                "of training samples."
            )
        n = self.graph_.n_vertices
        if indices.dtype.kind not in "iu":
            raise ValueError(
                f"Indices {indices!r} are not integers. Pass the positions of training "
                f"samples, from 0 to {n - 1}; for points use distance(X, Y)."
            )
        wrong = (indices < 0) | (indices >= n)
        if wrong.any():
            raise ValueError(
                f"Index {indices[wrong][0]} is not that of a training sample: pass "
                f"integers from 0 to {n - 1}."
            )
        return indices

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
