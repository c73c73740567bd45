"""Spectral clustering of geodesic affinities."""

from numbers import Integral

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import issparse
from scipy.sparse.csgraph import laplacian
from sklearn.base import ClusterMixin
from sklearn.cluster import k_means
from sklearn.manifold import spectral_embedding
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import check_random_state, column_or_1d

from ._affinity import BaseGeodesicAffinity
from ._compat import Interval, StrOptions, cluster_qr, discretize
from ._fitting import afresh
from .geometry._edges import NeighborSearch, default_n_neighbors, neighborhood_edges

# Up to this many samples all affinities are kept, beyond it those of the nearest, five
# times as many as give the scale: in the plane an affinity of exp(-5) is left out. The
# eigenvectors of 5,000 samples then take a fifth of the time.
MAX_DENSE_SAMPLES, NEIGHBORS_PER_SCALE = 2000, 5
# No affinity along an edge of the graph is less than FAINT, or less for the longer
# ones, down to FAINTEST: what eigenvectors in double precision still tell apart.
FAINT, FAINTEST = 1e-6, 1e-8


class GeodesicSpectralClustering(ClusterMixin, BaseGeodesicAffinity):
    """Spectral clustering by geodesics of a fitted density.

    Samples belong together where a path through dense data joins them. Affinities are
    made of geodesic distances, eq. :eq:`eq-affinity` of the user guide; the leading
    eigenvectors of their normalised graph Laplacian [2]_ place the samples such that
    clusters are easily told apart; and new points belong to the cluster of the
    geodesically nearest training sample.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters. The graph may have so many components without a warning:
        none shares its cluster with another. Where it has more, those that are near
        are joined.
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
        ``exp(-d**2 / (s_i s_j))``, each sample having a scale s of its own [3]_; "rbf"
        is ``exp(-gamma d**2)``. A function takes an array of distances and returns an
        array of finite numbers of the same shape, element by element, none negative;
        its distances may be ``inf`` with ``disconnected="inf"``.
    gamma : float or None, default=None
        For "rbf", in units of ``1 / d**2``. None is ``1 / s**2`` with the median s of
        the local scales.
    n_scale_neighbors : int or "auto", default="auto"
        The local scale of a sample is the geodesic distance to this nearest other
        sample, duplicates not counted. "auto" is 40, and at most a sixth of the
        samples. Smaller clusters that are near others need a smaller one.
    n_neighbors : int, "auto" or None, default="auto"
        Keep the affinities of each sample to this many geodesically nearest samples, as
        a sparse matrix that never was dense; None keeps all, dense. "auto" is None up
        to 2,000 samples, and beyond it five times as many as `n_scale_neighbors`.
    assign_labels : {"cluster_qr", "kmeans", "discretize"}, default="cluster_qr"
        How clusters are told apart in the embedding, as in
        :class:`sklearn.cluster.SpectralClustering`. "cluster_qr" has nothing to tune
        and no random start [4]_.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample.
    affinity_matrix_ : ndarray or csr_array of shape (n_samples, n_samples)
        Affinities between the training samples. Along an edge of the graph none
        vanishes: it is at least between 1e-8, for the longest, and 1e-6. Where there
        are more components than clusters, this joins the nearest.
    embedding_ : ndarray of shape (n_samples, n_clusters)
        Spectral embedding of the training samples.
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
    GeodesicAffinity : The affinities alone, for other estimators.
    sklearn.cluster.SpectralClustering : The same of Euclidean affinities.
    sklearn.cluster.HDBSCAN : Clusters by density that finds their number, and noise.

    References
    ----------
    .. [1] B. Kim, M. Puthawala, J. C. Ye and E. Sansone, "(Deep) Generative
       Geodesics", arXiv:2407.11244, 2024.
    .. [2] J. Shi and J. Malik, "Normalized Cuts and Image Segmentation", IEEE
       Transactions on Pattern Analysis and Machine Intelligence 22(8), 2000.
    .. [3] L. Zelnik-Manor and P. Perona, "Self-Tuning Spectral Clustering", NIPS 2004.
    .. [4] A. Damle, V. Minden and L. Ying, "Simple, Direct, and Efficient Multi-way
       Spectral Clustering", Information and Inference 8(1), 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.metrics import adjusted_rand_score
    >>> from skgengeo import GeodesicSpectralClustering
    >>> X, y = make_moons(200, noise=0.07, random_state=0)
    >>> clustering = GeodesicSpectralClustering(n_clusters=2).fit(X)
    >>> adjusted_rand_score(y, clustering.labels_)
    1.0
    >>> new, truth = make_moons(50, noise=0.07, random_state=1)
    >>> adjusted_rand_score(truth, clustering.predict(new))
    1.0
    """

    _parameter_constraints: dict = {
        **BaseGeodesicAffinity._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "assign_labels": [StrOptions({"cluster_qr", "kmeans", "discretize"})],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        density=None,
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
        n_neighbors="auto",
        assign_labels="cluster_qr",
    ):
        self.n_clusters = n_clusters
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
        self.assign_labels = assign_labels

    @afresh
    def fit(self, X, y=None, *, neighbors_graph=None):
        """Fit the density where needed, and cluster the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : None
            Ignored: neither the density nor the clusters see any labels.
        neighbors_graph : sparse matrix of shape (n_samples, n_samples), optional
            A neighbourhood graph of your own, as in
            :meth:`GenerativeGeodesicDistance.fit`.

        Returns
        -------
        self : GeodesicSpectralClustering
            The fitted clusterer.

        Raises
        ------
        ValueError
            Where there are more clusters than distinct samples, fewer than components
            that are kept apart, or the data, the density or the graph cannot be used;
            it says why and what to do.
        """
        del y
        # Clusters that are well apart are components.
        self._fit_geometry(X, None, neighbors_graph, self.n_clusters)
        first, place = distinct_rows(self.graph_.X)
        self._check_n_clusters(len(first))
        self._fit_scales()
        affinity = self._affinities_of_samples(self._choose_n_neighbors())
        check_affinities(affinity)
        self.affinity_matrix_ = self._joined_by_edges(affinity)
        random_state = check_random_state(self.random_state)
        if self.n_clusters == len(first):
            self.embedding_ = np.eye(len(first))[place]
        else:
            self.embedding_ = leading_eigenvectors(
                self.affinity_matrix_,
                self._components_apart(),
                self.n_clusters,
                random_state,
            )
        labels = labels_of_embedding(self.embedding_, self.assign_labels, random_state)
        # Duplicates, which rounding may tell apart, have the label of the first.
        self.labels_ = labels[first][place]
        return self

    def predict(self, X):
        """Cluster of the geodesically nearest training sample.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            New points; one that equals a training sample has its label.

        Returns
        -------
        ndarray of shape (n_queries,)
            Labels.

        Raises
        ------
        ValueError
            Where a point is within reach of no training sample, which is only possible
            with ``disconnected="inf"``.
        """
        X, _ = self._validate_queries(X)
        seeds = self._attach(X, so_that="no cluster is nearest")
        _, nearest = self.graph_.nearest(1, seeds)
        return self.labels_[nearest[:, 0]]

    def score(self, X, y=None):
        """How well the predicted clusters agree with labels, or hold together.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Points, of training or new.
        y : array-like of shape (n_queries,), optional
            Known labels.

        Returns
        -------
        float
            With labels the adjusted Rand index. Without, the modularity [1]_ of the
            predicted clusters in the graph of the ``ceil(log2(n_queries))`` nearest
            neighbours of X: the share of edges within clusters, less what it would be
            if edges were drawn at random, eq. :eq:`eq-modularity` of the user guide.
            It knows the points and the clusters alone, so that it compares any λ, ε,
            graph and density, at one number of clusters; it favours more clusters over
            fewer, and even sizes over uneven ones. The higher, the better, and at most
            1.

        References
        ----------
        .. [1] M. E. J. Newman and M. Girvan, "Finding and Evaluating Community
           Structure in Networks", Physical Review E 69, 026113, 2004.
        """
        labels = self.predict(X)
        if y is not None:
            return float(adjusted_rand_score(column_or_1d(y), labels))
        X, _ = self._validate_queries(X)
        search = NeighborSearch(X, random_state=self.random_state, n_jobs=self.n_jobs)
        k = default_n_neighbors(len(X))
        return modularity(neighborhood_edges(search, n_neighbors=k), labels)

    def _check_n_clusters(self, n_distinct):
        n, n_components = self.graph_.n_vertices, self.graph_.n_components
        if self.n_clusters > n_distinct:
            distinct = f", {n_distinct} of them distinct" if n_distinct < n else ""
            raise ValueError(
                f"n_clusters={self.n_clusters} with n_samples={n}{distinct}: pass at "
                f"most {n_distinct}."
            )
        if self.disconnected == "inf" and self.n_clusters < n_components:
            raise ValueError(
                f"n_clusters={self.n_clusters}, and the graph has {n_components} "
                "components that disconnected='inf' keeps apart: no cluster holds "
                f"samples of two. Pass n_clusters={n_components} or more, a larger "
                "n_graph_neighbors or epsilon, or disconnected='connect'."
            )

    def _components_apart(self):
        """Component of each sample, where none has to share its cluster."""
        component = self.graph_.component_labels
        enough = component.max() < self.n_clusters
        return component if enough else np.zeros_like(component)

    def _choose_n_neighbors(self):
        n = self.graph_.n_vertices
        if self.n_neighbors != "auto":
            return self.n_neighbors
        m = self._choose_n_scale_neighbors()
        return None if n <= MAX_DENSE_SAMPLES else NEIGHBORS_PER_SCALE * m

    def _joined_by_edges(self, affinity):
        """Affinities that vanish along no edge of the graph.

        To an eigenvector a faint affinity is none. It would join components at random
        where there are more than clusters, and place a sample at random that has none
        to any other.
        """
        held = self.graph_.weights.tocoo()
        i, j, cost = held.row, held.col, held.data
        length = cost / np.sqrt(self.scales_[i] * self.scales_[j])
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = np.fmin(FAINT, FAINTEST * length.max(initial=0) / length)
        held.data = (floor * affinity.max()).astype(self._dtype)
        if issparse(affinity):
            return affinity.maximum(held.tocsr())
        affinity[i, j] = np.maximum(affinity[i, j], held.data)
        return affinity


def modularity(edges, labels):
    """Share of edges within clusters, beyond that of edges drawn at random.

    Parameters
    ----------
    edges : Edges
        Of an undirected graph, each once.
    labels : ndarray of shape (n_vertices,)
        Cluster of each vertex.

    Returns
    -------
    float
        In [-0.5, 1]; 0 where there is no edge.
    """
    i, j = labels[edges.i], labels[edges.j]
    if len(i) == 0:
        return 0.0
    _, ends = np.unique(np.r_[i, j], return_counts=True)
    return float(np.mean(i == j) - np.sum((ends / ends.sum()) ** 2))


def distinct_rows(X):
    """Index of the first row of each kind, and the kind of each row."""
    _, first, kind = np.unique(X, axis=0, return_index=True, return_inverse=True)
    return first, kind.ravel()


def check_affinities(affinity):
    """Refuse affinities that are no weights of a graph."""
    smallest = affinity.min()
    if smallest < 0:
        raise ValueError(
            f"affinity gave {smallest:.3g}: spectral clustering needs affinities of at "
            "least 0. Return weights that fall from 1 to 0 with the distance."
        )


def leading_eigenvectors(affinity, component, n_components, random_state):
    """Leading eigenvectors of the normalised Laplacian, one sample a row.

    Parameters
    ----------
    affinity : ndarray or csr_array of shape (n_samples, n_samples)
        Symmetric, not negative, and connected within each component.
    component : ndarray of int of shape (n_samples,)
        Of each sample. Affinities between components are not seen.
    n_components : int
        Number of eigenvectors: at least that of components, less than that of samples.
    random_state : RandomState
        For the start of the solver.

    Returns
    -------
    ndarray of shape (n_samples, n_components)
        The solutions of the relaxed normalised cut.
    """
    n_apart = component.max() + 1
    if n_apart == 1:
        return spectral_embedding(
            affinity.astype(np.float64, copy=False),
            n_components=n_components,
            drop_first=False,
            random_state=random_state,
        )
    # The eigenvectors of a graph are those of its components. Of the whole a solver may
    # miss some of those with eigenvalue 0, which are constant on one component each.
    constant, n_further = np.zeros((len(component), n_apart)), n_components - n_apart
    values, vectors = [], []
    for part in range(n_apart):
        inside = np.flatnonzero(component == part)
        within = affinity[inside][:, inside].astype(np.float64)
        volume = within.sum() - within.diagonal().sum()
        constant[inside, part] = volume**-0.5 if volume > 0 else 1.0
        further = further_eigenvectors(within, n_further, random_state)
        values.append(shares_cut(within, further))
        vectors.append(np.zeros((len(component), further.shape[1])))
        vectors[-1][inside] = further
    smallest = np.argsort(np.concatenate(values), kind="stable")[:n_further]
    return np.hstack([constant, np.hstack(vectors)[:, smallest]])


def further_eigenvectors(affinity, n_components, random_state):
    """Eigenvectors of a connected graph after the constant one, or all there are."""
    n = affinity.shape[0]
    if n_components == 0 or n == 1:
        return np.empty((n, 0))
    if n_components + 1 < n:
        return spectral_embedding(
            affinity, n_components=n_components, random_state=random_state
        )
    dense = affinity.toarray() if issparse(affinity) else affinity
    normalised, root = laplacian(dense, normed=True, return_diag=True)
    return eigh(normalised)[1][:, 1:] / root[:, None]


def shares_cut(affinity, vectors):
    """Eigenvalue of each eigenvector: the share of the affinity that it cuts."""
    degree, squares = affinity.sum(axis=1), vectors**2
    kept = (vectors * (affinity @ vectors)).sum(axis=0)
    return (degree @ squares - kept) / ((degree - affinity.diagonal()) @ squares)


def labels_of_embedding(embedding, how, random_state):
    """Clusters of an embedding, by one of scikit-learn's ways."""
    if how == "cluster_qr":
        return cluster_qr(embedding)
    if how == "discretize":
        return discretize(embedding, random_state=random_state)
    n_clusters = embedding.shape[1]
    return k_means(embedding, n_clusters, n_init=10, random_state=random_state)[1]
