"""What all estimators share: the geometry parameters, and fitting density and graph."""

import copy
from functools import cached_property
from numbers import Integral, Real

import numpy as np
import psutil
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ._caching import cached, memory_if_hashable
from ._compat import HasMethods, Interval, StrOptions
from ._floats import check_extent
from ._warnings import warn
from .density._gradient import evaluate, gradient_of
from .density._protocol import (
    HoldsDensity,
    as_density,
    check_feature_names,
    fit_density,
    is_fitted,
)
from .density._scoring import scores
from .density._sums import kernel_sum_of
from .density._tempered import TemperedDensity
from .geometry._graph import NEGLIGIBLE, GeodesicGraph

# Beyond this share of saturated edges the metric tells no edges apart.
MAX_SATURATED_SHARE = 0.95


class BaseGeodesicEstimator(HoldsDensity, BaseEstimator):
    """Base of all estimators on geodesics of a density.

    A subclass names the geometry parameters in its own constructor, and calls
    `_fit_geometry`, which sets `density_`, `log_p0_`, `p0_` and `graph_`.
    """

    _parameter_constraints: dict = {
        "density": "no_validation",
        "lam": [Interval(Real, 0, np.inf, closed="both")],
        "p0": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "exponent": [Interval(Real, 0, None, closed="neither")],
        "epsilon": [Interval(Real, 0, None, closed="neither"), None],
        "n_graph_neighbors": [Interval(Integral, 1, None, closed="left"), None],
        "disconnected": [StrOptions({"connect", "error", "inf"})],
        "shortcuts": ["boolean"],
        "quad_tol": [Interval(Real, 0, 1, closed="neither")],
        "memory": [str, HasMethods(["cache"]), None],
        "random_state": ["random_state"],
        "n_jobs": [
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "verbose": ["verbose"],
    }

    def _fit_geometry(self, X, y=None, neighbors_graph=None, n_expected_components=1):
        """Fit the density where needed, join the samples and measure the edges."""
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        self._check_n_samples(len(X))
        self._dtype = X.dtype
        X = X.astype(np.float64)
        check_extent(X)
        given = TemperedDensity() if self.density is None else self.density
        self.density_ = self._fit_density(as_density(given), X, y)
        check_feature_names(self.density_, self)
        self.graph_ = GeodesicGraph.from_points(
            X,
            LogDensity(self._scored_density(), self.n_jobs, self.verbose, extent_of(X)),
            lam=self.lam,
            p0=self.p0,
            exponent=self.exponent,
            epsilon=self.epsilon,
            n_neighbors=self.n_graph_neighbors,
            disconnected=self.disconnected,
            shortcuts=self.shortcuts,
            n_expected_components=n_expected_components,
            neighbors_graph=neighbors_graph,
            quad_tol=self.quad_tol,
            memory=self.memory,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            verbose=bool(self.verbose),
        )
        self.log_p0_ = self.graph_.metric.log_p0
        with np.errstate(over="ignore"):
            self.p0_ = float(np.exp(self.log_p0_))
        warn_if_saturated(self.graph_, self.density_)

    def _check_n_samples(self, n_samples):
        """Refuse too few samples for what a subclass makes, before any work."""

    def _fit_density(self, density, X, y):
        if is_fitted(density):
            return density
        # The cached fit of an unseeded mixture is found again, as in a Pipeline.
        memory = memory_if_hashable(self.memory, density)
        return cached(memory, fit_density)(density, X, y)

    def _scored_density(self):
        """The density, or a copy where there is a cache: scoring may change it.

        A KernelDensity whose tree is asked counts its queries, so that it would never
        be found in the cache again.
        """
        if self.memory is None:
            return self.density_
        try:
            return copy.deepcopy(self.density_)
        except Exception:  # nor can it be cached, which `memory_if_hashable` says
            return self.density_

    def _attach(self, X, so_that):
        """Join new points to the graph, of which each must reach a sample."""
        seeds = self.graph_.attach(X)
        alone = np.flatnonzero(np.diff(seeds.indptr) == 0)
        if len(alone):
            raise ValueError(
                f"{len(alone)} of {len(X)} points (first: row {alone[0]}) have no "
                f"training sample within epsilon={self.epsilon}, so that {so_that}. "
                "Raise epsilon, or pass disconnected='connect'."
            )
        return seeds

    def _validate_queries(self, X):
        """New points as float64, and the floating type in which to answer."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return X.astype(np.float64), X.dtype


class LogDensity:
    """``points -> log p`` of a fitted density, and its gradient, for the geometry.

    Two of these are the same to joblib.Memory where their densities are: the number
    of jobs and the progress bar are no part of their state.

    Parameters
    ----------
    density : estimator
        Fitted.
    n_jobs : None or int
        Threads, where the density allows them.
    verbose : bool or int
        Whether to show progress.
    scale : None or ndarray of shape (n_features,)
        How far each feature extends, for gradients by differences; None where that is
        to be seen from the points themselves.
    """

    def __init__(self, density, n_jobs=None, verbose=False, scale=None):
        self.density = density
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.scale = scale

    def __call__(self, points):
        return scores(
            self.density,
            points,
            self._kernel_sum,
            n_jobs=self.n_jobs,
            verbose=bool(self.verbose),
        )

    def with_gradient(self, points):
        """Log density and its gradient at each of the points."""
        return evaluate(self._gradient, points, self.scale, self.n_jobs)

    @cached_property
    def _kernel_sum(self):
        return kernel_sum_of(self.density)

    @cached_property
    def _gradient(self):
        return gradient_of(self.density, self._kernel_sum)

    def __getstate__(self):
        return {"density": self.density, "scale": self.scale}

    def __setstate__(self, state):
        self.__init__(**state)


def warn_if_saturated(graph, density):
    """Say that the metric is Euclidean up to a factor, where λ has not been meant so.

    From ``lam = 100`` on p0 itself is negligible beside λ, which is a choice. A single
    edge is no metric that could be told from the Euclidean one.

    Parameters
    ----------
    graph : GeodesicGraph
        Of the samples.
    density : estimator
        Fitted, for the remedy.
    """
    lam, _, exponent = graph.metric
    share = graph.saturated_share
    meant = NEGLIGIBLE * lam >= 1 or graph.n_edges == 1
    if meant or share <= MAX_SATURATED_SHARE:
        return
    # Rounded down: 100 % are all.
    percent = np.floor(1000 * share) / 10
    warn(
        f"The metric is saturated: in the middle of {percent:g}% of the edges (beyond "
        f"{MAX_SATURATED_SHARE:.0%}) the density is less than 1 % of λ = lam * p0, "
        f"lam={lam:g}. Distances are those of lam=np.inf, times about "
        f"{((1 + lam) / lam) ** exponent:.3g}. {_against_saturation(graph, density)}"
    )


def _against_saturation(graph, density):
    """What makes more of the density than of λ."""
    lam, log_p0, _ = graph.metric
    if graph.reference_log_density - log_p0 < np.log(NEGLIGIBLE * lam):
        return "Pass p0='auto', the median density of the samples, or a smaller lam."
    flatter = "skgengeo.density.TemperedDensity(density)"
    if isinstance(density, TemperedDensity):
        flatter = "a higher temperature"
    return (
        f"Pass {flatter}, a wider density (larger bandwidth), which alone helps where "
        "it is zero, or a smaller lam."
    )


def extent_of(X):
    """Standard deviation of each feature, None where all samples are the same.

    That of a constant feature is zero, and no rounding error.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The samples.

    Returns
    -------
    ndarray of shape (n_features,) or None
        As `log_density_gradient` takes it for its scale.
    """
    varies = np.ptp(X, axis=0) > 0
    return np.where(varies, X.std(axis=0), 0.0) if varies.any() else None


def choose_landmarks(n_landmarks, n_samples, random_state):
    """Samples drawn at random without replacement.

    Parameters
    ----------
    n_landmarks, n_samples : int
        How many, and of how many.
    random_state : None, int or RandomState
        What they are drawn with.

    Returns
    -------
    ndarray of shape (n_landmarks,)
        Indices of the samples, ascending.
    """
    check_n_landmarks(n_landmarks, n_samples)
    rng = check_random_state(random_state)
    return np.sort(rng.permutation(n_samples)[:n_landmarks])


def check_n_landmarks(n_landmarks, n_samples):
    """Refuse more landmarks than there are samples."""
    if n_landmarks > n_samples:
        raise ValueError(
            f"n_landmarks={n_landmarks} with n_samples={n_samples}: pass at most "
            f"{n_samples}, or None for all samples."
        )


def check_array_fits(n_rows, n_columns, dtype, remedy, *, n_arrays=1):
    """Refuse arrays that the memory at hand cannot hold, before they are allocated.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the array.
    dtype : dtype
        Of its elements.
    remedy : str
        What to do instead, in sentences.
    n_arrays : int, default=1
        So many of this shape at a time.

    Raises
    ------
    ValueError
        With the bytes needed, the bytes there are, and what to do instead.
    """
    needed = n_arrays * n_rows * n_columns * np.dtype(dtype).itemsize
    available = psutil.virtual_memory().available
    if needed > available:
        what = f"{n_arrays} dense matrices" if n_arrays > 1 else "A dense matrix"
        raise ValueError(
            f"{what} of shape ({n_rows}, {n_columns}) take{'s' * (n_arrays == 1)} "
            f"{needed / 2**30:.1f} GiB, and {available / 2**30:.1f} GiB are available. "
            f"{remedy}"
        )


def check_square_fits(X, remedy):
    """Refuse a matrix between all samples before any work, as `check_array_fits` does.

    Parameters
    ----------
    X : array-like
        The samples, not validated yet: what may be wrong with them is told later.
    remedy : str
        What to do instead, in sentences.
    """
    if isinstance(X, np.ndarray) and X.ndim == 2:
        dtype = np.float32 if X.dtype == np.float32 else np.float64
        check_array_fits(len(X), len(X), dtype, remedy)
