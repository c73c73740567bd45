"""Geodesic distances as transformers."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from sklearn import get_config
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._base import (
    BaseGeodesicEstimator,
    check_array_fits,
    check_square_fits,
    choose_landmarks,
)
from ._batching import row_batches
from ._compat import Interval, StrOptions
from ._fitting import afresh
from ._floats import in_range
from ._warnings import warn
from .geometry._geodesics import refined_lengths
from .geometry._shortest_paths import Seeds, pairs_of_nearest, through_seeds

# Rows of landmark distances that are transposed at a time.
TRANSPOSED = 512
DENSE_REMEDY = (
    "Pass n_landmarks for distances to a few samples, take "
    "GeodesicNeighborsTransformer for those to the nearest alone, ask distance_matrix "
    "for some rows at a time with sources=, transform fewer rows at a time, or ask for "
    "matched rows with distance; float32 input halves it."
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
    lam : float, default=0.05
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
    shortcuts : bool, default=False
        Add edges between samples that face each other across a gap, of up to 1,000
        samples: for larger λ geodesics leap over gaps, where a neighbourhood graph has
        no edge. Never across components that are to stay infinitely far apart.
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
        lam=0.05,
        p0="auto",
        exponent=1.0,
        epsilon=None,
        n_graph_neighbors=None,
        disconnected="connect",
        shortcuts=False,
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
        self.shortcuts = shortcuts
        self.quad_tol = quad_tol
        self.memory = memory
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.n_landmarks = n_landmarks

    @afresh
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

        Warns
        -----
        UserWarning
            Where components of the graph were joined, or the metric is Euclidean up to
            a factor: more than 95 % of the edges are saturated, with ``lam < 100``.
        """
        self._fit_geometry(X, y, neighbors_graph)
        self._n_features_out = self.graph_.n_vertices
        if self.n_landmarks is not None:
            self.landmarks_ = choose_landmarks(
                self.n_landmarks, self.graph_.n_vertices, self.random_state
            )
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
            return in_range(through_seeds(seeds, self.landmark_distances_), dtype)
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

    def distance(self, X, Y, *, refine=False):
        """Distance between matched rows of X and Y.

        Parameters
        ----------
        X, Y : array-like of shape (n_pairs, n_features)
            Points, training samples or new ones. Two new points that are neighbours
            are joined directly too.
        refine : bool, default=False
            Relax the shortest paths to continuous geodesics, which are shorter: what
            :class:`GeodesicInterpolator` does. In a few features it takes some
            milliseconds a pair, in fifty a tenth of a second, and far longer under a
            flow, or where a slow density has no gradient: each is then made of
            ``2 * n_features + 1`` evaluations, which a method
            ``score_samples_gradient`` spares.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Each from a search that stops at its target: no matrix is computed.
            float32 where both X and Y are.

        Raises
        ------
        ValueError
            Where the input is invalid.

        Warns
        -----
        ConvergenceWarning
            With `refine`, where the relaxation of a curve was stopped by its number of
            steps, by a density that jumps, or where its nodes are too few.
        """
        if not isinstance(refine, bool | np.bool_):
            raise ValueError(
                f"refine={refine!r}: it must be a boolean. Pass True for continuous "
                "geodesics, or False for shortest paths in the graph."
            )
        X, dtype = self._validate_queries(X)
        Y, other = self._validate_queries(Y)
        check_consistent_length(X, Y)
        dtype = np.promote_types(dtype, other)
        lengths = self.graph_.distance_between(X, Y)
        if refine:
            # Curves are measured anew, and may be longer by the error of that.
            lengths = np.minimum(lengths, refined_lengths(self.graph_, X, Y))
        return in_range(lengths, dtype)

    def discretization_errors(self, n_pairs=100):
        """By how much distances exceed those along continuous geodesics.

        A path in the graph goes from sample to sample, and is too long by what this
        tells: more samples and more neighbours make it less. Where it is more than
        expected, ``shortcuts=True`` may help, or see `refine` of `distance`.

        Parameters
        ----------
        n_pairs : int, default=100
            Pairs of training samples, drawn at random by `random_state`.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Relative excess of the distance of each pair; never negative.
        """
        check_is_fitted(self)
        return self.graph_.discretization_errors(
            n_pairs, random_state=self.random_state
        )

    def shortcut_gains(self, n_pairs=100):
        """By how much distances exceed those with ``shortcuts=True``.

        Parameters
        ----------
        n_pairs : int, default=100
            Pairs of training samples, drawn at random by `random_state`.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Relative excess of the distance of each pair. The density is evaluated as
            in another fit.
        """
        check_is_fitted(self)
        return self.graph_.shortcut_gains(n_pairs, random_state=self.random_state)

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
            Where a value is no number in [0, inf], or there is one instead of several;
            before anything is computed.
        """
        check_is_fitted(self)
        if isinstance(lams, Real):
            raise ValueError(f"lams={lams!r}: pass several values of λ, as [{lams!r}].")
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
            return in_range(to.copy() if sources is None else to[sources], dtype)
        n = graph.n_vertices
        n_rows = n if sources is None else len(sources)
        check_array_fits(n_rows, n, dtype, DENSE_REMEDY)
        return graph.distances(sources, dtype=dtype)

    def _to_landmarks(self, graph):
        check_array_fits(
            graph.n_vertices, len(self.landmarks_), np.float64, DENSE_REMEDY
        )
        found = graph.distances_from(Seeds.at(self.landmarks_))
        result = np.empty(found.shape[::-1])
        # In pieces, between which an interrupt is heard.
        for rows in row_batches(len(result), size=TRANSPOSED):
            result[rows] = found[:, rows].T
        return result

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


class GeodesicNeighborsTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseGeodesicEstimator
):
    """Sparse graph of the nearest neighbours by geodesic distance.

    The drop-in for :class:`sklearn.neighbors.KNeighborsTransformer` where neighbours
    shall be near along the data: each row holds the distances to the k nearest training
    samples, eq. :eq:`eq-edge` of the user guide, after [1]_. Each search stops at its
    k-th sample, and memory is linear in the number of samples.

    Parameters
    ----------
    density : object or None, default=None
        The density p: any object that :func:`skgengeo.density.as_density` takes. A
        fitted one is used as it is, and stays fitted under ``clone``; an unfitted one
        is cloned and fitted on the training samples. None is
        :class:`skgengeo.density.TemperedDensity` of manifold Parzen windows.
    lam : float, default=0.05
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
    shortcuts : bool, default=False
        Add edges between samples that face each other across a gap, of up to 1,000
        samples: for larger λ geodesics leap over gaps, where a neighbourhood graph has
        no edge. Never across components that are to stay infinitely far apart.
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
    n_neighbors : int, default=5
        Number of nearest samples of each row. With ``mode="distance"`` it is one more,
        as a training sample counts itself.
    mode : {"distance", "connectivity"}, default="distance"
        What is stored: geodesic distances, or ones.
    symmetric : bool, default=False
        Between training samples, store a pair where either is among the nearest of the
        other, with the same distance in both directions. Rows may then be longer.
        Rows of new points are the same with and without.

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
    n_samples_fit_ : int
        Number of training samples.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    See Also
    --------
    GenerativeGeodesicDistance : All distances, dense.
    GeodesicAffinity : Affinities, sparse with ``n_neighbors``.
    sklearn.neighbors.KNeighborsTransformer : The same of Euclidean distances.

    Notes
    -----
    What to pass for which estimator: :ref:`nearest-neighbours`.

    References
    ----------
    .. [1] B. Kim, M. Puthawala, J. C. Ye and E. Sansone, "(Deep) Generative
       Geodesics", arXiv:2407.11244, 2024.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skgengeo import GeodesicNeighborsTransformer
    >>> X, y = make_moons(100, noise=0.1, random_state=0)
    >>> model = make_pipeline(
    ...     GeodesicNeighborsTransformer(n_neighbors=5),
    ...     KNeighborsClassifier(n_neighbors=5, metric="precomputed"),
    ... ).fit(X, y)
    >>> model.predict(X[:5] + 0.1).shape
    (5,)
    >>> graph = GeodesicNeighborsTransformer(n_neighbors=5).fit_transform(X)
    >>> graph.shape, graph.nnz
    ((100, 100), 600)
    """

    _parameter_constraints: dict = {
        **BaseGeodesicEstimator._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "mode": [StrOptions({"distance", "connectivity"})],
        "symmetric": ["boolean"],
    }

    def __init__(
        self,
        density=None,
        *,
        lam=0.05,
        p0="auto",
        exponent=1.0,
        epsilon=None,
        n_graph_neighbors=None,
        disconnected="connect",
        shortcuts=False,
        quad_tol=1e-3,
        memory=None,
        random_state=None,
        n_jobs=None,
        verbose=False,
        n_neighbors=5,
        mode="distance",
        symmetric=False,
    ):
        self.density = density
        self.lam = lam
        self.p0 = p0
        self.exponent = exponent
        self.epsilon = epsilon
        self.n_graph_neighbors = n_graph_neighbors
        self.disconnected = disconnected
        self.shortcuts = shortcuts
        self.quad_tol = quad_tol
        self.memory = memory
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.symmetric = symmetric

    @afresh
    def fit(self, X, y=None, *, neighbors_graph=None):
        """Fit the density where needed, and build the graph.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,), optional
            Handed to the density's ``fit``, which may ignore it.
        neighbors_graph : sparse matrix of shape (n_samples, n_samples), optional
            A neighbourhood graph of your own, as in
            :meth:`GenerativeGeodesicDistance.fit`.

        Returns
        -------
        self : GeodesicNeighborsTransformer
            The fitted transformer.

        Raises
        ------
        ValueError
            Where the data, the density or the graph cannot be used; it says why and
            what to do.
        """
        self._fit_geometry(X, y, neighbors_graph)
        self.n_samples_fit_ = self._n_features_out = self.graph_.n_vertices
        return self

    def fit_transform(self, X, y=None, *, neighbors_graph=None):
        """Fit, and give the nearest neighbours of each training sample.

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
        csr_matrix of shape (n_samples, n_samples)
            Each row is sorted by distance, the sample itself first, at an explicit
            zero. float32 where X is.

        Warns
        -----
        UserWarning
            Where ``disconnected="inf"`` leaves fewer samples than asked for within
            reach: such rows are shorter.
        """
        self.fit(X, y, neighbors_graph=neighbors_graph)
        distances, nearest = self.graph_.nearest(self._n_stored(self.n_samples_fit_))
        if self.symmetric:
            rows = symmetric_rows(distances, nearest)
        else:
            rows = rows_of_nearest(distances, nearest)
        return self._sparse(*rows, self._dtype)

    def transform(self, X):
        """Nearest training samples of new points.

        A new point is joined to its neighbours among the training samples by edges of
        the same kind; one that equals a training sample is that sample.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            New points.

        Returns
        -------
        csr_matrix of shape (n_queries, n_samples)
            Each row is sorted by distance. float32 where X is.

        Warns
        -----
        UserWarning
            As in `fit_transform`.
        """
        X, dtype = self._validate_queries(X)
        k = self._n_stored(self.n_samples_fit_)
        found = self.graph_.nearest(k, self.graph_.attach(X))
        return self._sparse(*rows_of_nearest(*found), dtype)

    def _n_stored(self, n_samples):
        """Number of samples in a row."""
        k, beside = self.n_neighbors, self.mode == "distance"
        if k + beside > n_samples:
            itself = ", beside itself" if beside else ""
            raise ValueError(
                f"n_neighbors={k} with n_samples={n_samples} and mode={self.mode!r}: a "
                f"sample has at most {n_samples - beside} neighbours{itself}. Pass a "
                "smaller n_neighbors, or more samples."
            )
        return k + beside

    def _check_n_samples(self, n_samples):
        self._n_stored(n_samples)

    def _sparse(self, indptr, indices, distances, dtype):
        """CSR matrix of what is to be stored; short rows are told of."""
        self._warn_of_short_rows(np.diff(indptr))
        if self.mode == "connectivity":
            values = np.ones(len(distances), dtype=dtype)
        else:
            values = in_range(distances, dtype)
        shape = len(indptr) - 1, self.n_samples_fit_
        return sparse_type()((values, indices, indptr), shape=shape)

    def _warn_of_short_rows(self, lengths):
        k = self._n_stored(self.n_samples_fit_)
        short = lengths < k
        if short.any():
            warn(
                f"{short.sum()} of {len(lengths)} rows have fewer than {k} samples "
                f"within reach (the shortest {lengths.min()}), as disconnected='inf' "
                "keeps components apart. DBSCAN takes such rows; estimators that need "
                "k neighbours refuse them: pass disconnected='connect', a larger "
                "epsilon or n_graph_neighbors, or a smaller n_neighbors."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def sparse_type():
    """The class of which scikit-learn's KNeighborsTransformer makes its graphs.

    A matrix, unless scikit-learn (1.9 or newer) is told otherwise: umap-learn takes
    single rows and their column indices, which scipy's arrays do not have.
    """
    asked = get_config().get("sparse_interface", "spmatrix")
    return csr_array if asked == "sparray" else csr_matrix


def rows_of_nearest(distances, nearest):
    """CSR rows (indptr, indices, distances) of what a search has found.

    Parameters
    ----------
    distances, nearest : ndarray of shape (n, k)
        As ``GeodesicGraph.nearest`` gives them.

    Returns
    -------
    indptr, indices : ndarray of int32
        The order within rows is kept: it is that of the distances.
    distances : ndarray of float
        The same as those stored for `indices`.
    """
    found = nearest >= 0
    return (
        row_starts(np.count_nonzero(found, axis=1)),
        nearest[found].astype(np.int32),
        distances[found],
    )


def symmetric_rows(distances, nearest):
    """The same for all vertices, each pair in both directions.

    Parameters
    ----------
    distances, nearest : ndarray of shape (n, k)
        As ``GeodesicGraph.nearest`` gives them for all vertices.

    Returns
    -------
    indptr, indices : ndarray of int32
        Rows are sorted by distance, each vertex first in its own.
    distances : ndarray of float
        The same in both directions.
    """
    n = len(nearest)
    i, j, distances = pairs_of_nearest(distances, nearest)
    order = np.lexsort((j, i != j, distances, i))
    counts = np.bincount(i, minlength=n)
    return row_starts(counts), j[order].astype(np.int32), distances[order]


def row_starts(counts):
    """Index pointer of CSR rows, int32 where it can be."""
    indptr = np.concatenate([[0], np.cumsum(counts)])
    narrow = indptr[-1] <= np.iinfo(np.int32).max
    return indptr.astype(np.int32 if narrow else np.int64)
