"""Geodesic distances -> affinities."""

import math
from numbers import Integral, Real

import numpy as np
from scipy.sparse import coo_array
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from ._base import BaseGeodesicEstimator, check_array_fits, check_square_fits
from ._batching import row_batches
from ._compat import Interval, StrOptions
from ._fitting import afresh
from .geometry._shortest_paths import Seeds, pairs_of_nearest

# The neighbour that gives the local scale, unless told otherwise, and the largest share
# of the samples that may be nearer: a scale shall lie within a cluster.
N_SCALE_NEIGHBORS, MAX_SCALE_SHARE = 40, 1 / 6
DENSE_REMEDY = (
    "Pass n_neighbors to keep the affinities of each sample to its nearest alone, as a "
    "sparse matrix, or transform fewer rows at a time."
)


class BaseGeodesicAffinity(BaseGeodesicEstimator):
    """Base of the estimators that turn geodesic distances into affinities.

    A subclass calls `_fit_geometry`, then `_fit_scales`, which sets `scales_`, and then
    asks for affinities.
    """

    _parameter_constraints: dict = {
        **BaseGeodesicEstimator._parameter_constraints,
        "affinity": [StrOptions({"local_scaling", "rbf"}), callable],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "n_scale_neighbors": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
    }

    def _fit_scales(self):
        """Set the scale by which the distances of each sample are divided."""
        n = self.graph_.n_vertices
        if callable(self.affinity):
            self.scales_ = np.ones(n)
        elif self.affinity == "rbf" and self.gamma is not None:
            self.scales_ = np.full(n, self.gamma**-0.5)
        elif self.affinity == "rbf":
            self.scales_ = np.full(n, np.median(self._local_scales()))
        else:
            self.scales_ = self._local_scales()

    def _scales_of(self, seeds):
        """Scales of new points."""
        if self.affinity == "local_scaling":
            return self._local_scales(seeds)
        return np.full(seeds.n_searches, self.scales_[0])

    def _local_scales(self, seeds=None):
        return local_scales(self.graph_, self._choose_n_scale_neighbors(), seeds)

    def _choose_n_scale_neighbors(self):
        n, m = self.graph_.n_vertices, self.n_scale_neighbors
        if m == "auto":
            return max(min(N_SCALE_NEIGHBORS, math.ceil(n * MAX_SCALE_SHARE)), 1)
        if m >= n:
            raise ValueError(
                f"n_scale_neighbors={m} with n_samples={n}: a sample has at most "
                f"{n - 1} neighbours. Pass fewer, or 'auto'."
            )
        return m

    def _affinities_of_samples(self, n_neighbors):
        """Affinities between the training samples, symmetric."""
        n, scales = self.graph_.n_vertices, self.scales_
        if n_neighbors is None:
            check_array_fits(n, n, np.float64, DENSE_REMEDY)
            values = self._dense_affinities(self.graph_.distances(), scales)
            return values.astype(self._dtype, copy=False)
        nearest = self.graph_.nearest(min(n_neighbors + 1, n))
        i, j, distances = pairs_of_nearest(*nearest)
        values = self._affinities(distances, scales[i], scales[j])
        return sparse_rows(values.astype(self._dtype), i, j, (n, n))

    def _affinities_of_queries(self, X, n_neighbors):
        """Affinities of new points to the training samples."""
        X, dtype = self._validate_queries(X)
        n = self.graph_.n_vertices
        if n_neighbors is None:
            check_array_fits(len(X), n, np.float64, DENSE_REMEDY)
        seeds = self.graph_.attach(X)
        scales = self._scales_of(seeds)
        if n_neighbors is None:
            distances = self.graph_.distances_from(seeds)
            return self._dense_affinities(distances, scales).astype(dtype, copy=False)
        distances, nearest = self.graph_.nearest(min(n_neighbors + 1, n), seeds)
        i, column = np.nonzero(nearest >= 0)
        j, distances = nearest[i, column], distances[i, column]
        values = self._affinities(distances, scales[i], self.scales_[j])
        return sparse_rows(values.astype(dtype), i, j, (len(X), n))

    def _dense_affinities(self, distances, scales):
        """Affinities to all samples, in place of their distances where possible."""
        if callable(self.affinity):
            return self._affinities(distances, scales, self.scales_)
        for rows in row_batches(len(distances), row_bytes=4 * 8 * len(self.scales_)):
            distances[rows] = self._affinities(
                distances[rows], scales[rows, None], self.scales_
            )
        return distances

    def _affinities(self, distances, scales, other_scales):
        """Affinity of each distance, given the scales at its two ends."""
        if callable(self.affinity):
            return apply_affinity(self.affinity, distances)
        with np.errstate(over="ignore"):
            return np.exp(-(distances / scales) * (distances / other_scales))


def local_scales(graph, m, seeds=None):
    """Distance to the m-th nearest vertex, duplicates not counted.

    Parameters
    ----------
    graph : GeodesicGraph
        The vertices.
    m : int
        Which of the vertices at a positive distance.
    seeds : Seeds, optional
        As made by ``graph.attach``; None for all vertices.

    Returns
    -------
    ndarray of shape (n_points,)
        Where fewer than m can be reached, the distance to the last of them; 1 where
        there is none, so that all that can be reached is at distance 0.
    """
    n = graph.n_vertices
    seeds = Seeds.at(np.arange(n)) if seeds is None else seeds
    scales = np.empty(seeds.n_searches)
    rows, k = np.arange(seeds.n_searches), min(m + 1, n)
    while len(rows):
        short = []
        for batch in row_batches(len(rows), row_bytes=6 * 8 * k):
            distances, _ = graph.nearest(k, seeds.take(rows[batch]))
            scales[rows[batch]], enough = positive_of_rank(distances, m)
            short.append(rows[batch][~enough])
        # Rows of more duplicates than that.
        rows = np.concatenate(short) if k < n else rows[:0]
        k = min(2 * k, n)
    return scales


def positive_of_rank(distances, m):
    """The m-th positive distance of each ascending row, and whether it has so many.

    Where it has fewer, the last; 1 where it has none. A row that ends in inf has all
    that there are.
    """
    positive = (distances > 0) & np.isfinite(distances)
    rank = np.cumsum(positive, axis=1)
    last = np.minimum(rank[:, -1], m)
    column = np.argmax(rank == np.maximum(last, 1)[:, None], axis=1)
    found = np.where(last > 0, distances[np.arange(len(distances)), column], 1.0)
    return found, (last == m) | np.isinf(distances[:, -1])


def sparse_rows(values, i, j, shape):
    """CSR with the narrow indices that scikit-learn's solvers insist on."""
    i, j = i.astype(np.int32), j.astype(np.int32)
    return coo_array((values, (i, j)), shape=shape).tocsr()


def apply_affinity(affinity, distances):
    """What a user's function makes of distances, checked."""
    values = np.asarray(affinity(distances))
    name = getattr(affinity, "__name__", repr(affinity))
    if values.shape != distances.shape:
        raise ValueError(
            f"affinity={name} turned distances of shape {distances.shape} into an "
            f"array of shape {values.shape}. It must work elementwise: one affinity "
            "for each distance."
        )
    if values.dtype.kind not in "fiub" or not np.isfinite(values).all():
        raise ValueError(
            f"affinity={name} did not return finite real numbers, for distances in "
            f"[{distances.min():.3g}, {distances.max():.3g}]. Distances may be 0, and "
            "inf with disconnected='inf'."
        )
    return values


class GeodesicAffinity(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseGeodesicAffinity
):
    """Affinities that follow the data: a kernel of geodesic distances.

    Where an estimator takes a precomputed affinity or kernel, this is the drop-in for a
    Gaussian of Euclidean distances: two samples are alike where a path through dense
    data joins them, eq. :eq:`eq-affinity` of the user guide.

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
    affinity : {"local_scaling", "rbf"} or callable, default="local_scaling"
        What makes an affinity of a geodesic distance d. "local_scaling" is
        ``exp(-d**2 / (s_i s_j))``, each sample having a scale s of its own [2]_; "rbf"
        is ``exp(-gamma d**2)``. A function takes an array of distances and returns an
        array of finite numbers of the same shape, element by element; its distances
        may be ``inf`` with ``disconnected="inf"``.
    gamma : float or None, default=None
        For "rbf", in units of ``1 / d**2``. None is ``1 / s**2`` with the median s of
        the local scales.
    n_scale_neighbors : int or "auto", default="auto"
        The local scale of a sample is the geodesic distance to this nearest other
        sample, duplicates not counted. "auto" is 40, and at most a sixth of the
        samples.
    n_neighbors : int or None, default=None
        Keep the affinities of each sample to this many geodesically nearest samples, as
        a sparse matrix that never was dense. None keeps all, dense.

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
    scales_ : ndarray of shape (n_samples,)
        Scale s of each sample; for "rbf" all are ``gamma ** -0.5``, and for a function
        1, unused.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    See Also
    --------
    GenerativeGeodesicDistance : The distances themselves.
    GeodesicSpectralClustering : Clusters from these affinities.
    sklearn.metrics.pairwise.rbf_kernel : The same of Euclidean distances.

    Notes
    -----
    A Gaussian of a geodesic distance need not be positive semi-definite, and neither
    need local scaling be. The user guide tells how far from it they are, and what that
    means for kernel methods.

    References
    ----------
    .. [1] B. Kim, M. Puthawala, J. C. Ye and E. Sansone, "(Deep) Generative
       Geodesics", arXiv:2407.11244, 2024.
    .. [2] L. Zelnik-Manor and P. Perona, "Self-Tuning Spectral Clustering", NIPS 2004.

    Examples
    --------
    >>> from sklearn.cluster import SpectralClustering
    >>> from sklearn.datasets import make_moons
    >>> from skgengeo import GeodesicAffinity
    >>> X, y = make_moons(100, noise=0.05, random_state=0)
    >>> affinity = GeodesicAffinity().fit(X)
    >>> A = affinity.fit_transform(X)
    >>> A.shape
    (100, 100)
    >>> bool(A[y == 0][:, y == 0].mean() > 10 * A[y == 0][:, y == 1].mean())
    True
    >>> affinity.transform(X[:5] + 0.01).shape
    (5, 100)
    >>> sparse = GeodesicAffinity(n_neighbors=15).fit_transform(X)
    """

    _parameter_constraints: dict = {
        **BaseGeodesicAffinity._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), None],
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
        affinity="local_scaling",
        gamma=None,
        n_scale_neighbors="auto",
        n_neighbors=None,
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
        self.affinity = affinity
        self.gamma = gamma
        self.n_scale_neighbors = n_scale_neighbors
        self.n_neighbors = n_neighbors

    @afresh
    def fit(self, X, y=None, *, neighbors_graph=None):
        """Fit the density where needed, build the graph, and choose the scales.

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
        self : GeodesicAffinity
            The fitted transformer.

        Raises
        ------
        ValueError
            Where the data, the density or the graph cannot be used; it says why and
            what to do.
        """
        self._fit_geometry(X, y, neighbors_graph)
        self._fit_scales()
        self._n_features_out = self.graph_.n_vertices
        return self

    def fit_transform(self, X, y=None, *, neighbors_graph=None):
        """Fit, and give the affinities between the training samples.

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
        ndarray or csr_array of shape (n_samples, n_samples)
            Symmetric; float32 where X is. Sparse with `n_neighbors`: then it has the
            pairs of which either is among the nearest of the other.
        """
        if self.n_neighbors is None:
            check_square_fits(X, DENSE_REMEDY)
        self.fit(X, y, neighbors_graph=neighbors_graph)
        return self._affinities_of_samples(self.n_neighbors)

    def transform(self, X):
        """Affinities of new points to the training samples.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            New points. The scale of each is its distance to the training samples; one
            that equals a training sample has that sample's.

        Returns
        -------
        ndarray or csr_array of shape (n_queries, n_samples)
            float32 where X is. Sparse with `n_neighbors`: each row has that many
            nearest training samples, and one more, as a training sample counts itself.
        """
        return self._affinities_of_queries(X, self.n_neighbors)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
