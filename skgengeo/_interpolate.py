"""Continuous geodesics between points."""

import reprlib
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._base import BaseGeodesicEstimator, check_array_fits
from ._compat import Interval
from ._fitting import afresh
from ._floats import in_range, largest_in_range, numbers_or_nan
from .geometry._geodesics import (
    frechet_mean,
    geodesics_between,
    refined_lengths,
    warn_of_lost,
)


class GeodesicPath(NamedTuple):
    """What :meth:`GeodesicInterpolator.path` returns.

    With matched rows of ends each has one axis more, the pairs, in front.

    Attributes
    ----------
    points : ndarray of shape (n_points, n_features)
        From the first end to the second, equally far from each other in the metric.
    length : float
        Geodesic length.
    log_density : ndarray of shape (n_points,)
        Of the fitted density, at the points.
    converged : bool
        Whether relaxation ended at a geodesic.
    """

    points: np.ndarray
    length: np.ndarray
    log_density: np.ndarray
    converged: np.ndarray


class GeodesicInterpolator(BaseGeodesicEstimator):
    """Curves that follow the data from one point to another: continuous geodesics.

    A shortest path in the graph of the samples goes from sample to sample; as a curve
    it is rough, and some percent too long. Here it is only a start, relaxed to a curve
    that no small change makes shorter: eq. :eq:`eq-energy` of the user guide. Ends are
    any points, samples or not.

    Parameters
    ----------
    density : object or None, default=None
        The density p: any object that :func:`skgengeo.density.as_density` takes. A
        fitted one is used as it is, and stays fitted under ``clone``; an unfitted one
        is cloned and fitted on the training samples. None is
        :class:`skgengeo.density.TemperedDensity` of manifold Parzen windows.
    lam : float, default=0.05
        Regularisation λ in units of `p0`. Large values approach Euclidean length
        (``np.inf`` is the straight segment's), small ones the cost ``p0 / p``; 0 is
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
    shortcuts : bool, default=True
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
    n_nodes : int, default=64
        Nodes of a curve while it is relaxed, both ends included. They are doubled, up
        to three times, where they are too few for the density, as long as that shortens
        the curve.
    max_iter : int, default=300
        Most steps of the relaxation, for each number of nodes.
    tol : float, default=1e-6
        The relaxation of a curve ends where a step would shorten it by less than half
        this share.

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
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    See Also
    --------
    GenerativeGeodesicDistance : Distances of many pairs, along edges of the graph.
    skgengeo.density.log_density_gradient : The gradient that relaxation follows.

    Notes
    -----
    Up to three starts are relaxed, and the shortest result is taken: the shortest path
    in the graph; the straight segment; and a path that is up to a tenth longer and
    leads elsewhere, where there is one. The result is a geodesic, which no small change
    shortens; that no other is shorter cannot be known. It is never longer than the path
    in the graph, up to `quad_tol`, to which both are measured; and from y to x it is
    that from x to y, the other way round.

    References
    ----------
    .. [1] B. Kim, M. Puthawala, J. C. Ye and E. Sansone, "(Deep) Generative
       Geodesics", arXiv:2407.11244, 2024.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.mixture import GaussianMixture
    >>> from skgengeo import GeodesicInterpolator
    >>> X, _ = make_moons(300, noise=0.1, random_state=0)
    >>> geodesic = GeodesicInterpolator(GaussianMixture(10, random_state=0)).fit(X)
    >>> path = geodesic.path([-1.0, 0.0], [1.0, 0.0], n_points=20)
    >>> path.points.shape
    (20, 2)
    >>> bool(path.points[:, 1].max() > 0.8)
    True
    """

    _parameter_constraints: dict = {
        **BaseGeodesicEstimator._parameter_constraints,
        "n_nodes": [Interval(Integral, 3, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="neither")],
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
        shortcuts=True,
        quad_tol=1e-3,
        memory=None,
        random_state=None,
        n_jobs=None,
        verbose=False,
        n_nodes=64,
        max_iter=300,
        tol=1e-6,
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
        self.n_nodes = n_nodes
        self.max_iter = max_iter
        self.tol = tol

    @afresh
    def fit(self, X, y=None, *, neighbors_graph=None):
        """Fit the density where needed, and build the graph in which curves start.

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
        self : GeodesicInterpolator
            The fitted interpolator.

        Raises
        ------
        ValueError
            Where the data, the density or the graph cannot be used; it says why and
            what to do.
        """
        self._fit_geometry(X, y, neighbors_graph)
        return self

    def path(self, x, y, n_points=50):
        """Geodesic from x to y.

        Parameters
        ----------
        x, y : array-like of shape (n_features,) or (n_pairs, n_features)
            The ends, or matched rows of ends. A single end goes with each row of the
            other. All pairs are relaxed together, which is far faster than one by one.
        n_points : int, default=50
            Number of points, at least 2.

        Returns
        -------
        GeodesicPath
            Named tuple of `points`, at constant speed from x to y, their `length`,
            `log_density` and `converged`.

        Raises
        ------
        ValueError
            Where no path joins two ends, which is only possible with
            ``disconnected="inf"``, the input is invalid, or memory cannot hold the
            result.

        Warns
        -----
        ConvergenceWarning
            Where the relaxation of a curve was stopped by `max_iter`, by a density that
            jumps, or where nodes are too few for one that varies as much.
        """
        if not (isinstance(n_points, Integral) and n_points >= 2):
            raise ValueError(
                f"n_points={n_points!r}: it must be an integer of at least 2, both "
                "ends included."
            )
        x, y, dtype, single = self._check_ends(x, y)
        check_points_fit(x, n_points, "n_points")
        found = self._geodesics(x, y)
        self._check_joined(found.lengths)
        points = found.points_at(np.linspace(0.0, 1.0, n_points))
        log_p = self.graph_.log_density(points.reshape(-1, points.shape[2]))
        path = GeodesicPath(
            largest_in_range(points, dtype, "coordinates"),
            in_range(found.lengths, dtype),
            largest_in_range(log_p, dtype, "log densities").reshape(points.shape[:2]),
            found.converged,
        )
        return GeodesicPath(*(values[0] for values in path)) if single else path

    def interpolate(self, x, y, t):
        """Points at fractions of the length of the geodesic from x to y.

        Parameters
        ----------
        x, y : array-like of shape (n_features,) or (n_pairs, n_features)
            The ends, as in `path`.
        t : float or array-like of shape (n_fractions,)
            From 0, at x, to 1, at y.

        Returns
        -------
        ndarray of shape ([n_pairs,] [n_fractions,] n_features)
            Without the axes that x and y, or t, do not have.

        Raises
        ------
        ValueError
            Where a fraction is out of range, or as in `path`.
        """
        fractions = numbers_or_nan(t)
        inside = (fractions >= 0) & (fractions <= 1)
        if fractions.ndim > 1 or not inside.all():
            raise ValueError(
                f"t={t!r}: pass a fraction of the length, or a list of them, from 0, "
                "at x, to 1, at y."
            )
        x, y, dtype, single = self._check_ends(x, y)
        check_points_fit(x, fractions.size, "fractions")
        found = self._geodesics(x, y)
        self._check_joined(found.lengths)
        points = found.points_at(np.atleast_1d(fractions))
        points = largest_in_range(points, dtype, "coordinates")
        points = points if fractions.ndim else points[:, 0]
        return points[0] if single else points

    def distance(self, X, Y):
        """Geodesic length between matched rows of X and Y.

        Parameters
        ----------
        X, Y : array-like of shape (n_features,) or (n_pairs, n_features)
            The ends, as x and y in `path`: training samples or new points.

        Returns
        -------
        ndarray of shape (n_pairs,), or float
            A float for a single pair. float32 where both X and Y are; the same for
            (Y, X). ``inf`` only with ``disconnected="inf"``.

        Warns
        -----
        ConvergenceWarning
            As in `path`.
        """
        X, Y, dtype, single = self._check_ends(X, Y)
        lengths = refined_lengths(self.graph_, X, Y, **self._relaxation())
        lengths = in_range(lengths, dtype)
        return lengths[0] if single else lengths

    def mean(self, X, sample_weight=None):
        """Fréchet mean: the point of least mean squared geodesic distance to X.

        Found from the best training sample, by leaps along geodesics to the rows of X
        and by descent along the mean of the directions in which these leave, eq.
        :eq:`eq-frechet` of the user guide.

        Parameters
        ----------
        X : array-like of shape (n_points, n_features)
            The points.
        sample_weight : array-like of shape (n_points,), optional
            Their weights, not negative; None is equal weights.

        Returns
        -------
        ndarray of shape (n_features,)
            A local minimum: there may be others. The mean of squared distances is no
            more than at any training sample, along the graph.

        Raises
        ------
        ValueError
            Where the points lie in components that are kept apart, or no weight is
            positive.

        Warns
        -----
        ConvergenceWarning
            Where the descent has ended short of a minimum: stopped by `max_iter`, or by
            a density that is not smooth enough.
        """
        X, dtype = self._validate_queries(X)
        weight = checked_weights(sample_weight, X)
        used = weight > 0
        mean = frechet_mean(
            self.graph_, X[used], shares_of(weight[used]), **self._relaxation()
        )
        return largest_in_range(mean, dtype, "coordinates")

    def _check_ends(self, x, y):
        """Matched ends in float64, the answer's type, and whether it is one pair."""
        check_is_fitted(self)
        (x, one_x), (y, one_y) = as_rows(x), as_rows(y)
        x, dtype = self._validate_queries(x)
        y, other = self._validate_queries(y)
        if one_x or one_y:
            x, y = np.broadcast_arrays(x, y)
        check_consistent_length(x, y)
        return x, y, np.promote_types(dtype, other), one_x and one_y

    def _relaxation(self):
        return {"n_nodes": self.n_nodes, "tol": self.tol, "max_steps": self.max_iter}

    def _geodesics(self, x, y):
        found = geodesics_between(self.graph_, x, y, **self._relaxation())
        warn_of_lost(found.lengths, found.converged)
        return found

    def _check_joined(self, lengths):
        apart = np.flatnonzero(np.isinf(lengths))
        if len(apart):
            raise ValueError(
                f"No path joins the ends of {len(apart)} of {len(lengths)} pairs "
                f"(first: row {apart[0]}): they lie in different components, or "
                "beyond epsilon of all samples, and disconnected='inf' keeps those "
                "apart. Pass disconnected='connect', or a larger epsilon or "
                "n_graph_neighbors."
            )


def as_rows(ends):
    """Rows of points, and whether it was a single point; a Series keeps its names."""
    if isinstance(ends, GeodesicPath):
        raise TypeError(
            "A GeodesicPath was passed for an end, and an end is a point. Pass one of "
            "its points, such as path.points[0]."
        )
    if np.ndim(ends) == 0:
        raise TypeError(
            f"{reprlib.repr(ends)} of type {type(ends).__name__} is no point: an end "
            "has a number for each feature. Pass points, such as X[0], and not indices "
            "of samples."
        )
    if np.ndim(ends) > 1:
        return ends, False
    if hasattr(ends, "to_frame") and hasattr(ends, "index"):
        return ends.to_frame().T, True
    return np.asarray(ends)[None], True


def check_points_fit(ends, n_points, what):
    """Refuse more points on curves than memory can hold, before any work."""
    n_pairs, n_features = ends.shape
    remedy = f"Pass fewer {what}, or fewer pairs at a time."
    # Beside coordinates, where each point is and its log density; and the curve in
    # work takes as much as three.
    check_array_fits(
        int(n_points), n_features + 2, np.float64, remedy, n_arrays=n_pairs + 3
    )


def checked_weights(sample_weight, X):
    """Weights of rows, none of them negative and one of them positive."""
    if sample_weight is None:
        return np.ones(len(X))
    if np.ndim(sample_weight) != 1:
        raise ValueError(
            f"sample_weight={reprlib.repr(sample_weight)} has shape "
            f"{np.shape(sample_weight)}: pass a list of {len(X)} weights, one for each "
            "row, or None for equal ones."
        )
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    check_consistent_length(X, weight)
    if weight.min() < 0 or not weight.max() > 0:
        raise ValueError(
            f"sample_weight has entries from {weight.min():.3g} to {weight.max():.3g}: "
            "pass weights of which none is negative, and one above zero at least."
        )
    return weight


def shares_of(weight):
    """Weights divided by their sum, which may be more than floating point holds."""
    weight = weight / weight.max()
    return weight / weight.sum()
