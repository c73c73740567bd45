"""UMAP of geodesic neighbours."""

from contextlib import nullcontext
from numbers import Integral, Real

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import coo_matrix
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state

from ._base import BaseGeodesicEstimator
from ._batching import row_batches
from ._compat import Interval, StrOptions
from ._fitting import afresh
from ._kernels import parallel_kernels
from ._warnings import warn

# Mean distances of a sample to its neighbours that single precision holds with ease.
SMALL, LARGE = 1e-9, 1e9
# A new point's place is smooth within min_dist, and within this share of the spread.
SMOOTH_SHARE = 1e-3
# How far a new point's place may be from the minimum, in units of the smoothing.
PLACE_TOL = 1e-4
# Steps to it, at most, and parts of Newton's step that are tried.
MAX_STEPS, PARTS = 1000, 0.25 ** np.arange(8)
# Relative rounding of sums over the neighbours.
ROUNDING = 1e-14


class GeodesicUMAP(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseGeodesicEstimator
):
    """UMAP that follows the data: on the geodesically nearest neighbours.

    UMAP [2]_ draws samples near each other that are neighbours. Here neighbours are
    those by geodesics of a fitted density [1]_, so that noise and gaps between folds
    are not short-circuited; all else is done by umap-learn. New points are placed one
    by one, eq. :eq:`eq-umap-place` of the user guide.

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
    n_neighbors : int, default=15
        Number of geodesically nearest samples, each itself included, that a sample is
        kept near: small values show detail, large ones the whole. A sample that
        reaches fewer has those, with a warning.
    n_components : int, default=2
        Number of dimensions of the embedding.
    min_dist : float, default=0.1
        Smallest distance in the embedding, as in UMAP: small values draw dense clumps.
    spread : float, default=1.0
        Scale of the embedding; at least `min_dist`.
    n_epochs : int or None, default=None
        Passes over the neighbours. None is 500 up to 10,000 samples, and 200 beyond.
    learning_rate : float, default=1.0
        Of the first pass; it falls to 0.
    init : {"spectral", "random"} or array-like, default="spectral"
        Where the samples start. "spectral" is the spectral embedding of the fuzzy
        graph, whose components, where it has several, are placed by their means in X;
        with no more than ``n_components + 1`` samples, or fewer than twice
        `n_components`, it is "random". Places of your own have shape (n_samples,
        n_components).
    set_op_mix_ratio : float, default=1.0
        From the intersection (0) to the union (1) of what two samples are to each
        other.
    local_connectivity : float, default=1.0
        Number of nearest samples to which each is fully joined.
    repulsion_strength : float, default=1.0
        Weight of samples that are no neighbours.
    negative_sample_rate : int, default=5
        Samples that each is driven from, for every neighbour that it is drawn to.
    a : float or None, default=None
        Two samples at distance r in the embedding are neighbours to the degree
        ``1 / (1 + a r^(2b))``. None fits a and b to `min_dist` and `spread`.
    b : float or None, default=None
        See `a`; pass both or neither.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_samples, n_components)
        Places of the training samples. umap computes in single precision; float64
        where X is.
    fuzzy_graph_ : csr_matrix of shape (n_samples, n_samples)
        The fuzzy simplicial set: the degrees, in [0, 1], to which samples are
        neighbours; float32.
    a_ : float
        Of the curve above.
    b_ : float
        Of the curve above.
    density_ : estimator
        The fitted density.
    log_p0_ : float
        Logarithm of the reference density.
    p0_ : float
        The reference density; 0 or inf where only its logarithm is representable.
    graph_ : skgengeo.geometry.GeodesicGraph
        The graph, and what happened: its edges, density evaluations, estimated error,
        saturated edges, components and bridges.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    See Also
    --------
    GenerativeGeodesicDistance : The distances, for other embeddings.

    Notes
    -----
    With a `random_state` the embedding is reproducible; without, it is drawn anew in
    every fit, and computed by `n_jobs` threads. umap's parallel kernels run in one fit
    at a time, whatever threads call it.

    umap's own parameters that are not named here have its defaults. The place of a new
    point is this package's own, explained in the user guide.

    References
    ----------
    .. [1] B. Kim, M. Puthawala, J. C. Ye and E. Sansone, "(Deep) Generative
       Geodesics", arXiv:2407.11244, 2024.
    .. [2] L. McInnes, J. Healy and J. Melville, "UMAP: Uniform Manifold Approximation
       and Projection for Dimension Reduction", arXiv:1802.03426, 2018.

    Examples
    --------
    >>> from sklearn.datasets import make_swiss_roll
    >>> from skgengeo import GeodesicUMAP
    >>> X, _ = make_swiss_roll(200, noise=0.2, random_state=0)
    >>> umap = GeodesicUMAP(random_state=0)
    >>> umap.fit_transform(X).shape
    (200, 2)
    >>> umap.transform(X[:5] + 0.1).shape
    (5, 2)
    """

    _parameter_constraints: dict = {
        **BaseGeodesicEstimator._parameter_constraints,
        "n_neighbors": [Interval(Integral, 2, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "min_dist": [Interval(Real, 0, None, closed="left")],
        "spread": [Interval(Real, 0, None, closed="neither")],
        "n_epochs": [Interval(Integral, 0, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "init": [StrOptions({"spectral", "random"}), "array-like"],
        "set_op_mix_ratio": [Interval(Real, 0, 1, closed="both")],
        "local_connectivity": [Interval(Real, 0, None, closed="left")],
        "repulsion_strength": [Interval(Real, 0, None, closed="left")],
        "negative_sample_rate": [Interval(Integral, 1, None, closed="left")],
        "a": [Interval(Real, 0, None, closed="neither"), None],
        "b": [Interval(Real, 0, None, closed="neither"), None],
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
        n_neighbors=15,
        n_components=2,
        min_dist=0.1,
        spread=1.0,
        n_epochs=None,
        learning_rate=1.0,
        init="spectral",
        set_op_mix_ratio=1.0,
        local_connectivity=1.0,
        repulsion_strength=1.0,
        negative_sample_rate=5,
        a=None,
        b=None,
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
        self.n_components = n_components
        self.min_dist = min_dist
        self.spread = spread
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.init = init
        self.set_op_mix_ratio = set_op_mix_ratio
        self.local_connectivity = local_connectivity
        self.repulsion_strength = repulsion_strength
        self.negative_sample_rate = negative_sample_rate
        self.a = a
        self.b = b

    @afresh
    def fit(self, X, y=None, *, neighbors_graph=None):
        """Fit the density where needed, and embed the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,), optional
            Handed to the density's ``fit``, which may ignore it. The embedding does
            not see it.
        neighbors_graph : sparse matrix of shape (n_samples, n_samples), optional
            A neighbourhood graph of your own, as in
            :meth:`GenerativeGeodesicDistance.fit`: the graph of which geodesics are
            the shortest paths.

        Returns
        -------
        self : GeodesicUMAP
            The fitted transformer.

        Raises
        ------
        ValueError
            Where parameters contradict each other, no sample reaches another, or the
            data, the density or the graph cannot be used; it says why and what to do.
        """
        self._check_curve()
        self._fit_geometry(X, y, neighbors_graph)
        n = self.graph_.n_vertices
        distances, nearest = self.graph_.nearest(min(self.n_neighbors, n))
        check_neighbors(nearest, self.n_neighbors)
        self.a_, self.b_ = self._curve()
        with parallel_kernels(self.n_jobs):
            self.fuzzy_graph_ = fuzzy_graph(
                nearest, distances, self.set_op_mix_ratio, self.local_connectivity
            )
        embedding = self._layout(self._start(n))
        if not np.isfinite(embedding).all():
            raise ValueError(
                f"The layout diverged at learning_rate={self.learning_rate!r} and "
                f"repulsion_strength={self.repulsion_strength!r}: they are 1 by "
                "default. Pass a smaller learning_rate."
            )
        self.embedding_ = embedding.astype(self._dtype)
        self._n_features_out = self.n_components
        return self

    def fit_transform(self, X, y=None, *, neighbors_graph=None):
        """Fit, and give the places of the training samples.

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
        ndarray of shape (n_samples, n_components)
            `embedding_`.
        """
        return self.fit(X, y, neighbors_graph=neighbors_graph).embedding_

    def transform(self, X):
        """Places of new points among the training samples.

        Each row is placed on its own, at a median of the places of the geodesically
        nearest training samples in which near ones weigh more. Nothing is drawn at
        random.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            New points. One that equals a training sample has the place of that sample,
            or between those of its duplicates.

        Returns
        -------
        ndarray of shape (n_queries, n_components)
            float32 where X is.

        Raises
        ------
        ValueError
            Where a point is within reach of no training sample, which is only possible
            with ``disconnected="inf"``.
        """
        X, dtype = self._validate_queries(X)
        k = min(self.n_neighbors, self.graph_.n_vertices)
        seeds = self._attach(X, so_that="they have no place")
        distances, nearest = self.graph_.nearest(k + 1, seeds)
        smoothing = max(self.min_dist, SMOOTH_SHARE * self.spread)
        places = np.empty((len(X), self.n_components))
        c = self.n_components
        row_bytes = 8 * (4 * k * (c + 1) + c * (2 * c + len(PARTS)))
        for rows in row_batches(len(X), row_bytes=row_bytes):
            weights = weights_of_nearest(distances[rows])
            neighbors = self.embedding_[nearest[rows, :-1]].astype(np.float64)
            places[rows] = smoothed_median(neighbors, weights, smoothing)
        return places.astype(dtype)

    def _check_curve(self):
        if (self.a is None) != (self.b is None):
            raise ValueError(
                f"a={self.a!r} and b={self.b!r}: pass both, or neither to fit them to "
                "min_dist and spread."
            )
        if self.a is None and self.min_dist > self.spread:
            raise ValueError(
                f"min_dist={self.min_dist!r} with spread={self.spread!r}: min_dist "
                "must not exceed spread. Pass a smaller min_dist, or a larger spread."
            )

    def _check_n_samples(self, n_samples):
        self._start(n_samples)

    def _start(self, n):
        """Where n samples start, as umap takes it."""
        n_components = self.n_components
        if isinstance(self.init, str):
            # The eigensolver fails; umap treats its small components in the same way.
            tiny = n <= n_components + 1 or n < 2 * n_components
            return "random" if tiny else self.init
        init = check_array(self.init, dtype=np.float32, input_name="init")
        if init.shape != (n, n_components):
            raise ValueError(
                f"init has shape {init.shape}: it must have a row for each of the {n} "
                f"samples and a column for each of the {n_components} components."
            )
        constant = np.flatnonzero(np.ptp(init, axis=0) == 0)
        if n > 1 and len(constant):
            raise ValueError(
                f"Column {constant[0]} of init is constant, and umap scales each to "
                "the same range. Let the samples start at different places."
            )
        return init

    def _curve(self):
        from umap.umap_ import find_ab_params

        if self.a is not None:
            return float(self.a), float(self.b)
        # In units of the spread: far from 1 the fit fails in silence.
        a, b = find_ab_params(1.0, self.min_dist / self.spread)
        return float(a * self.spread ** (-2 * b)), float(b)

    def _layout(self, init):
        """Places of the vertices of the fuzzy graph."""
        if self.graph_.n_vertices == 1:
            return np.zeros((1, self.n_components))
        # umap's threads race for each other's places.
        parallel = self.random_state is None and effective_n_jobs(self.n_jobs) > 1
        with parallel_kernels(self.n_jobs) if parallel else nullcontext():
            return self._layout_by_umap(init, parallel)

    def _layout_by_umap(self, init, parallel):
        from umap.umap_ import simplicial_set_embedding

        return simplicial_set_embedding(
            relative_places(self.graph_.X),
            self.fuzzy_graph_.copy(),  # umap drops faint edges in place
            n_components=self.n_components,
            initial_alpha=self.learning_rate,
            a=self.a_,
            b=self.b_,
            gamma=self.repulsion_strength,
            negative_sample_rate=self.negative_sample_rate,
            n_epochs=self.n_epochs,
            init=init,
            random_state=check_random_state(self.random_state),
            metric="euclidean",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
            parallel=parallel,
            tqdm_kwds={"disable": not self.verbose, "desc": "layout"},
        )[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def check_neighbors(nearest, n_neighbors):
    """Warn where samples reach fewer than they should; raise where none does.

    Parameters
    ----------
    nearest : ndarray of int of shape (n_samples, k)
        The nearest of each sample, itself first; -1 where fewer can be reached.
    n_neighbors : int
        How many there should be.
    """
    (n_samples, k), n_reached = nearest.shape, (nearest >= 0).sum(axis=1)
    if n_samples > 1 and n_reached.max() == 1:
        raise ValueError(
            f"None of the {n_samples} samples reaches another, so that there is "
            "nothing to embed. Raise epsilon, or pass disconnected='connect'."
        )
    if n_samples < n_neighbors:
        warn(
            f"The {n_samples} samples reach fewer than n_neighbors={n_neighbors}, as "
            "there are no more: each has all that it reaches. Pass a smaller "
            "n_neighbors, or more samples."
        )
    n_short = np.sum(n_reached < k)
    if n_short:
        wanted = f"n_neighbors={k}" if k == n_neighbors else f"the {k} that there are"
        warn(
            f"{n_short} of {n_samples} samples reach fewer than {wanted}, themselves "
            f"included: {n_reached.min()} at least. They have all that they reach. "
            "Components are joined by disconnected='connect', or by a larger epsilon "
            "or n_graph_neighbors; or pass a smaller n_neighbors."
        )


def fuzzy_graph(nearest, distances, set_op_mix_ratio, local_connectivity):
    """umap's fuzzy simplicial set, of neighbours that are known.

    Parameters
    ----------
    nearest : ndarray of int of shape (n_samples, k)
        The nearest of each sample, itself first; -1 where fewer can be reached.
    distances : ndarray of shape (n_samples, k)
        In ascending order.
    set_op_mix_ratio : float
        From the intersection, 0, to the union, 1.
    local_connectivity : float
        Number of nearest samples to which each is fully joined.

    Returns
    -------
    csr_matrix of shape (n_samples, n_samples)
        Symmetric, float32.
    """
    one = memberships(nearest, distances, local_connectivity)
    other = one.T.tocsr()
    both = one.multiply(other)
    union = one + other - both
    result = set_op_mix_ratio * union + (1.0 - set_op_mix_ratio) * both
    result.eliminate_zeros()
    return result.astype(np.float32)


def memberships(nearest, distances, local_connectivity):
    """The degree to which each sample's neighbours are near, as it sees them.

    Where all have the same number of neighbours this is what umap does; a sample with
    fewer is treated like one in a smaller data set.
    """
    from umap.umap_ import compute_membership_strengths, smooth_knn_dist

    n, n_reached = len(nearest), (nearest >= 0).sum(axis=1)
    near = in_single_precision(distances)
    scales, offsets = np.ones(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
    for count in np.unique(n_reached):
        rows = n_reached == count
        scales[rows], offsets[rows] = smooth_knn_dist(
            np.ascontiguousarray(near[rows, :count]),
            float(count),
            local_connectivity=float(local_connectivity),
        )
    i, j, values, _ = compute_membership_strengths(
        nearest.astype(np.int32), near, scales, offsets
    )
    result = coo_matrix((values, (i, j)), shape=(n, n)).tocsr()
    result.eliminate_zeros()
    return result


def in_single_precision(distances):
    """Distances as umap takes them; 0 where they are infinite.

    Only ratios within a row matter, so that a row which would leave the range of single
    precision is divided by its mean.
    """
    finite = np.where(np.isinf(distances), 0.0, distances)
    mean = finite.mean(axis=1, keepdims=True)
    beyond = (mean > 0) & ((mean < SMALL) | (mean > LARGE))
    return (finite / np.where(beyond, mean, 1.0)).astype(np.float32)


def relative_places(X):
    """X around 0 and within 1: umap's layout of components knows no unit."""
    X = X - X.mean(axis=0)
    extent = np.linalg.norm(X, axis=1).max()
    return X / extent if extent > 0 else X


def weights_of_nearest(distances):
    """Weights ``1 / d_j - 1 / d_(k + 1)`` of the k nearest, up to a factor.

    They are continuous in the distances, whichever samples are nearest: one that leaves
    the k nearest weighs nothing, and one at distance 0 everything.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, k + 1)
        In ascending order; the first is finite.

    Returns
    -------
    ndarray of shape (n_queries, k)
        Rows that sum to 1.
    """
    first, near, beyond = distances[:, :1], distances[:, :-1], distances[:, -1:]
    with np.errstate(invalid="ignore"):  # 0 / 0
        weights = first / near - first / beyond
    weights = np.where(first == 0, near == 0, weights)
    weights[weights.sum(axis=1) == 0] = 1.0  # all k + 1 are equally far
    return weights / weights.sum(axis=1, keepdims=True)


def smoothed_median(points, weights, smoothing):
    """Minimise ``sum_j w_j sqrt(|y - y_j|^2 + s^2)`` over y.

    Each step is the best of Weiszfeld's, which never fails, and parts of Newton's,
    which is fast where the sum is flat.

    Parameters
    ----------
    points : ndarray of shape (n_queries, k, n_components)
        The y_j of each query.
    weights : ndarray of shape (n_queries, k)
        The w_j, which sum to 1.
    smoothing : float
        The s: nearer than this the minimiser is a mean, farther a median.

    Returns
    -------
    ndarray of shape (n_queries, n_components)
        Within `PLACE_TOL` s of the minimum. Each row depends on its own points and
        weights alone.
    """
    places = weighted_mean(points, weights)
    rows = np.arange(len(points))
    for _ in range(MAX_STEPS):
        some = points[rows], weights[rows]
        weiszfeld, newton, bound = steps(*some, places[rows], smoothing)
        far = bound > PLACE_TOL * smoothing
        if not far.any():
            break
        rows = rows[far]
        tried = [part * newton[far] for part in PARTS] + [weiszfeld[far]]
        places[rows] = least(*(a[far] for a in some), places[rows] + tried, smoothing)
    return places


def steps(points, weights, places, smoothing):
    """Weiszfeld's and Newton's steps, and how far the minimum is at most.

    With g the gradient, H the Hessian and m no larger than any eigenvalue of H, that
    is ``sqrt(g H^-1 g / m)``, where it is small beside s: over a distance r the Hessian
    changes by a factor of at most ``exp(2.5 r / s)``.
    """
    gap = points - places[:, None]
    reach = np.sqrt((gap**2).sum(axis=2) + smoothing**2)
    pull = weights / reach
    downhill, total = (pull[:, :, None] * gap).sum(axis=1), pull.sum(axis=1)[:, None]
    # H = sum_j w_j (I / r_j - g_j g_j^T / r_j^3), whose terms are at least s^2 / r_j^3.
    outer = (gap * (pull / reach**2)[:, :, None]).swapaxes(1, 2) @ gap
    regular = total * (1 + ROUNDING)
    hessian = regular[:, :, None] * np.eye(places.shape[1]) - outer
    newton = np.linalg.solve(hessian, downhill[:, :, None])[:, :, 0]
    curvature = (pull * (smoothing / reach) ** 2).sum(axis=1)
    decrement = np.abs((downhill * newton).sum(axis=1))
    return downhill / total, newton, np.sqrt(decrement / curvature)


def least(points, weights, tried, smoothing):
    """For each query the first of the places tried whose sum is least, to rounding."""
    sums = []
    for places in tried:
        gap = points - places[:, None]
        reach = np.sqrt((gap**2).sum(axis=2) + smoothing**2)
        sums.append((weights * reach).sum(axis=1))
    best = (sums <= np.min(sums, axis=0) * (1 + ROUNDING)).argmax(axis=0)
    return tried[best, np.arange(len(best))]


def weighted_mean(points, weights):
    """Mean over the second axis."""
    total = (weights[:, :, None] * points).sum(axis=1)
    return total / weights.sum(axis=1)[:, None]
