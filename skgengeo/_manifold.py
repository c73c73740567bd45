"""Embeddings of geodesic distances."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from . import _mds
from ._base import (
    BaseGeodesicEstimator,
    check_array_fits,
    check_n_landmarks,
    choose_landmarks,
)
from ._batching import row_batches
from ._compat import Interval, StrOptions
from ._fitting import afresh
from ._floats import largest_in_range
from ._warnings import warn
from .geometry._shortest_paths import Seeds, through_seeds

DENSE_REMEDY = (
    "Pass n_landmarks, some hundreds, for an embedding by the distances to a few "
    "samples."
)
# In squares of distances so many times as large as any between the samples, the
# differences that tell where a point lies are rounding.
FARTHEST = 1e10
# The distances, and what scikit-learn's function makes of them.
SMACOF_ARRAYS = 8


class GeodesicMDS(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseGeodesicEstimator
):
    """Multidimensional scaling of geodesic distances of a fitted density.

    Finds coordinates whose Euclidean distances are close to the geodesic ones: Isomap
    [2]_ with paths that follow the data. Classical scaling, eq. :eq:`eq-classical` of
    the user guide, takes the leading eigenvectors of the centred squared distances;
    SMACOF minimises the misfit of the distances themselves.

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
    n_components : int, default=2
        Number of coordinates. Where the eigenvalue of one is not above what the error
        of the distances makes of zero, its column is zero, with a warning.
    method : {"classical", "smacof"}, default="classical"
        Classical scaling, or, from there, the minimum of the squared misfit of
        distances that :func:`sklearn.manifold.smacof` reaches by majorisation [4]_. It
        takes many passes over all distances, and eight times their memory.
    n_landmarks : int or None, default=None
        Embed this many randomly chosen samples by their distances to each other, and
        place all samples by their distances to these [3]_: time and memory of
        ``n_landmarks * n_samples``. More than `n_components`. None takes all.
    max_iter : int, default=300
        Most steps of SMACOF.
    eps : float, default=1e-6
        SMACOF ends where a step lessens the squared misfit by less than this part of
        the squared distances in the embedding; by about this part before scikit-learn
        1.7.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_samples, n_components)
        Coordinates of the training samples; float32 where X is. The largest entry of
        each column of the classical kind is positive.
    eigenvalues_ : ndarray of shape (n_components,)
        Leading eigenvalues of the centred matrix, that of the landmarks where there
        are any: the variance of the classical embedding along each coordinate, times
        the number of samples in it. Where one is not above the error of the distances,
        the column is zero.
    stress_ : float
        Normalised stress ("stress-1"), eq. :eq:`eq-stress` of the user guide: 0 is a
        perfect fit. With landmarks, over the pairs of a landmark and a sample.
    n_iter_ : int
        Steps of SMACOF; 1 for "classical", which is solved directly.
    landmarks_ : ndarray of shape (n_landmarks,)
        Indices of the landmarks. Only with `n_landmarks`.
    landmark_distances_ : ndarray of shape (n_samples, n_landmarks)
        Geodesic distances to the landmarks. Only with `n_landmarks`.
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
    sklearn.manifold.Isomap : The classical kind in Euclidean length: ``lam=np.inf``.
    sklearn.manifold.MDS : SMACOF of Euclidean or precomputed distances.
    GenerativeGeodesicDistance : The distances themselves.

    Notes
    -----
    In ten or more features a few samples that have few like them can lie so far from
    all others that they fill the map, and new points lie far out: try ``lam=1`` there.

    References
    ----------
    .. [1] B. Kim, M. Puthawala, J. C. Ye and E. Sansone, "(Deep) Generative
       Geodesics", arXiv:2407.11244, 2024.
    .. [2] J. B. Tenenbaum, V. de Silva and J. C. Langford, "A Global Geometric
       Framework for Nonlinear Dimensionality Reduction", Science 290, 2000.
    .. [3] V. de Silva and J. B. Tenenbaum, "Sparse Multidimensional Scaling using
       Landmark Points", Stanford University, 2004.
    .. [4] I. Borg and P. J. F. Groenen, "Modern Multidimensional Scaling", Springer,
       2nd ed. 2005.

    Examples
    --------
    >>> from sklearn.datasets import make_swiss_roll
    >>> from sklearn.mixture import GaussianMixture
    >>> from skgengeo import GeodesicMDS
    >>> X, _ = make_swiss_roll(300, noise=0.2, random_state=0)
    >>> density = GaussianMixture(15, random_state=0)
    >>> mds = GeodesicMDS(density, n_components=2)
    >>> mds.fit_transform(X).shape
    (300, 2)
    >>> mds.transform(X[:5] + 0.1).shape
    (5, 2)
    >>> few = GeodesicMDS(density, n_landmarks=50, random_state=0)
    >>> few.fit_transform(X).shape
    (300, 2)
    """

    _parameter_constraints: dict = {
        **BaseGeodesicEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "method": [StrOptions({"classical", "smacof"})],
        "n_landmarks": [Interval(Integral, 1, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "eps": [Interval(Real, 0, None, closed="left")],
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
        n_components=2,
        method="classical",
        n_landmarks=None,
        max_iter=300,
        eps=1e-6,
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
        self.n_components = n_components
        self.method = method
        self.n_landmarks = n_landmarks
        self.max_iter = max_iter
        self.eps = eps

    @afresh
    def fit(self, X, y=None, *, neighbors_graph=None):
        """Fit the density where needed, build the graph, and embed the samples.

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
        self : GeodesicMDS
            The fitted transformer.

        Raises
        ------
        ValueError
            Where samples are infinitely far apart, or the data, the density or the
            graph cannot be used; it says why and what to do.
        """
        self._fit_geometry(X, y, neighbors_graph)
        self._check_connected()
        self._n_features_out = self.n_components
        if self.n_landmarks is None:
            places = self._embed_all()
        else:
            places = self._embed_by_landmarks()
        self.embedding_ = largest_in_range(
            self._unit * places, self._dtype, "coordinates"
        )
        return self

    def fit_transform(self, X, y=None, *, neighbors_graph=None):
        """Fit, and give the coordinates of the training samples.

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
        """Coordinates of new points.

        Each is placed on its own, by its geodesic distances to the training samples or
        to the landmarks: eq. :eq:`eq-triangulation` of the user guide; with "smacof"
        where its squared misfit is least, nearby.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            New points. One that equals a training sample has its place.

        Returns
        -------
        ndarray of shape (n_queries, n_components)
            float32 where X is.

        Raises
        ------
        ValueError
            Where a point is within reach of no training sample, which is only possible
            with ``disconnected="inf"``, or too far from all of them.
        """
        X, dtype = self._validate_queries(X)
        seeds = self._attach(X, so_that="no distances place them")
        places = np.empty((len(X), self.n_components))
        for rows in self._row_batches(len(X)):
            distances = self._distances_to_anchors(seeds, rows)
            self._check_not_too_far(distances, rows)
            places[rows] = self._placed(distances)
        return largest_in_range(self._unit * places, dtype, "coordinates")

    def reconstruction_error(self):
        """What the embedding leaves of the centred distances.

        Returns
        -------
        float
            ``frobenius_norm(K(D) - K(D_fit)) / n_samples`` as of
            :meth:`sklearn.manifold.Isomap.reconstruction_error`, eq.
            :eq:`eq-reconstruction` of the user guide. With landmarks, over these.
        """
        check_is_fitted(self)
        return self._reconstruction_error

    def _check_n_samples(self, n_samples):
        m = self.n_landmarks
        if m is not None and m <= self.n_components:
            raise ValueError(
                f"n_landmarks={m} with n_components={self.n_components}: there must be "
                "more landmarks than components. Pass some hundreds, or None for all "
                "samples."
            )
        if m is not None:
            check_n_landmarks(m, n_samples)
        columns = n_samples if m is None else m
        check_array_fits(n_samples, columns, np.float64, DENSE_REMEDY)
        if self.method == "smacof":
            check_array_fits(
                columns, columns, np.float64, DENSE_REMEDY, n_arrays=SMACOF_ARRAYS
            )

    def _check_connected(self):
        n_components = self.graph_.n_components
        if self.disconnected == "inf" and n_components > 1:
            raise ValueError(
                f"The graph has {n_components} components that disconnected='inf' "
                "keeps apart, and no coordinates are infinitely far from each other. "
                "Pass disconnected='connect', a larger n_graph_neighbors or epsilon, "
                "or embed the components one by one."
            )

    def _embed_all(self):
        """Coordinates of all samples, in units, by their distances to each other."""
        n = self.graph_.n_vertices
        # The two directions of a search differ by rounding, which is left as it is.
        distances = self.graph_.distances_from(Seeds.at(np.arange(n)))
        anchors = self._embed_anchors(distances)
        self.stress_ = _mds.normalized_stress(distances, anchors, anchors)
        return anchors

    def _embed_by_landmarks(self):
        """Coordinates of all samples, in units, by those of the landmarks."""
        n = self.graph_.n_vertices
        self.landmarks_ = choose_landmarks(self.n_landmarks, n, self.random_state)
        found = self.graph_.distances_from(Seeds.at(self.landmarks_))
        self.landmark_distances_ = np.ascontiguousarray(found.T)
        self._embed_anchors(found[:, self.landmarks_])
        del found
        places = np.empty((n, self.n_components))
        for rows in self._row_batches(n):
            places[rows] = self._placed(self.landmark_distances_[rows])
        self.stress_ = _mds.normalized_stress(
            self.landmark_distances_,
            places,
            places[self.landmarks_],
            unit=self._unit,
        )
        return places

    def _embed_anchors(self, distances):
        """Embed those to which others are placed; distances become those in units.

        The unit is the largest: squares neither overflow nor vanish.
        """
        self._unit = distances.max() or 1.0
        distances /= self._unit
        squares = np.square(distances, out=distances)
        self._scaling = _mds.classical_scaling(
            squares, self.n_components, error=self._relative_error(squares)
        )
        np.sqrt(squares, out=distances)
        self._warn_of_zero_columns()
        self._anchors, self.n_iter_ = self._scaling.points, 1
        if self.method == "smacof" and self._scaling.rank > 0:
            self._anchors, self.n_iter_ = self._fit_smacof(distances)
        with np.errstate(over="ignore"):
            self.eigenvalues_ = self._scaling.eigenvalues * self._unit**2
            self._reconstruction_error = float(
                _mds.reconstruction_error(
                    distances, self._scaling.mean_squares, self._anchors
                )
                * self._unit**2
            )
        return self._anchors

    def _relative_error(self, squares):
        """Of distances, as far as it is not common to all paths between components."""
        error = self.graph_.mean_error
        if error == 0 or self.graph_.n_components == 1:
            return error
        component = self.graph_.component_labels
        if self.n_landmarks is not None:
            component = component[self.landmarks_]
        within = sum(
            squares[np.ix_(members, members)].sum()
            for members in (np.flatnonzero(component == c) for c in set(component))
        )
        return error * np.sqrt(within / (squares.sum() or 1.0))

    def _fit_smacof(self, distances):
        places, n_iter = _mds.smacof(
            distances, self._scaling.points, max_iter=self.max_iter, eps=self.eps
        )
        if n_iter == self.max_iter:
            warn(
                f"SMACOF has not converged after max_iter={n_iter} steps. Pass a "
                f"larger max_iter, or a larger eps than {self.eps:g}.",
                ConvergenceWarning,
            )
        return places, n_iter

    def _warn_of_zero_columns(self):
        rank, c = self._scaling.rank, self.n_components
        if rank < c:
            warn(
                f"n_components={c}, and the distances have {rank} "
                f"direction{'s' * (rank != 1)} whose eigenvalue is above their own "
                f"error: the last {c - rank} of the coordinates are zero. Pass fewer "
                "n_components, or a smaller quad_tol for smaller errors.",
            )

    def _placed(self, distances):
        """Coordinates, in units, of rows of distances to the anchors."""
        distances = distances / self._unit
        places = _mds.triangulated(np.square(distances), self._scaling)
        if self.method == "smacof":
            # SMACOF has moved the nearest anchor, and so the start.
            nearest = distances.argmin(axis=1)
            places += (self._anchors - self._scaling.points)[nearest]
            beside = distances.min(axis=1) > 0
            places[beside] = _mds.placed_by_misfit(
                places[beside], self._anchors, distances[beside]
            )
        return places

    def _distances_to_anchors(self, seeds, rows):
        seeds = seeds.take(np.arange(rows.start, rows.stop))
        if hasattr(self, "landmarks_"):
            return through_seeds(seeds, self.landmark_distances_)
        return self.graph_.distances_from(seeds)

    def _row_batches(self, n_rows):
        # Distances, in units, their squares and ratios of them.
        return row_batches(n_rows, row_bytes=4 * 8 * len(self._anchors))

    def _check_not_too_far(self, distances, rows):
        nearest = distances.min(axis=1) / self._unit
        far = np.flatnonzero(~(nearest <= FARTHEST))  # nor NaN
        if len(far):
            raise ValueError(
                f"The point in row {rows.start + far[0]} is {nearest[far[0]]:.3g} "
                "times as far from the samples as these are from each other, and "
                f"distances place points up to {FARTHEST:g} times as far. Leave it "
                "out, or replace values that stand for missing ones."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
