"""What counts as a density.

A density is an object with ``score_samples(X) -> log p``. Foreign models become one
through `as_density`; nothing else in the package asks what kind of model it has.
"""

import reprlib
from inspect import ismethod

import numpy as np
from sklearn.base import BaseEstimator, clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._compat import searched_parameters
from ._torch import (
    as_array,
    is_module,
    is_of_torch,
    is_out_of_memory,
    scores,
    stored,
)

# What scores as its last step, or its only one, does.
WRAPPERS = Pipeline | FrozenEstimator | GridSearchCV | RandomizedSearchCV
# What `as_density` makes scores of.
SCORERS = {"score_samples", "log_prob", "logpdf", "pdf", "__call__"}
ACCEPTED = (
    "an object with score_samples(X), such as sklearn.neighbors.KernelDensity or "
    "sklearn.mixture.GaussianMixture; with log_prob(X), such as a normalizing flow; "
    "with logpdf(X), such as scipy.stats.gaussian_kde; with pdf(X), such as "
    "statsmodels' KDEMultivariate; or a callable X -> log p(X)"
)


class _ForeignDensity(BaseEstimator):
    """A fitted model that is no estimator, as a density that cloning keeps."""

    def __init__(self, model):
        self.model = model

    def __sklearn_clone__(self):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        """Do nothing: the model is fitted."""
        del X, y
        return self


class _ScoreSamplesDensity(_ForeignDensity):
    """``model.score_samples(X)``."""

    def score_samples(self, X):
        return as_array(self.model.score_samples(X))


class _CallableDensity(_ForeignDensity):
    """``model(X)``."""

    def score_samples(self, X):
        return as_array(self.model(X))


class _LogPdfDensity(_ForeignDensity):
    """``model.logpdf(X)``; `scipy.stats.gaussian_kde` wants features first."""

    def score_samples(self, X):
        from scipy.stats import gaussian_kde

        if isinstance(self.model, gaussian_kde):
            return self.model.logpdf(X.T)
        return _one_each_row(as_array(self.model.logpdf(X)), X)

    def __reduce_ex__(self, protocol):
        from scipy.stats import gaussian_kde

        kde = self.model
        if type(kde) is not gaussian_kde:
            return super().__reduce_ex__(protocol)
        # It keeps a bandwidth that is a number in a lambda, which cannot be pickled.
        return _gaussian_kde_density, (kde.dataset, kde.factor, kde.weights)


def _gaussian_kde_density(dataset, bandwidth, weights):
    from scipy.stats import gaussian_kde

    return _LogPdfDensity(gaussian_kde(dataset, bandwidth, weights))


class _PdfDensity(_ForeignDensity):
    """``log(model.pdf(X))``, for models that have no logarithm of their own."""

    def score_samples(self, X):
        with np.errstate(divide="ignore"):
            return _one_each_row(np.log(as_array(self.model.pdf(X))), X)


class _LogProbDensity(_ForeignDensity):
    """``model.log_prob(X)``, in tensors where the model is made of them."""

    def score_samples(self, X):
        if is_of_torch(self.model):
            return scores(self.model, X)
        return _one_each_row(as_array(self.model.log_prob(X)), X)

    def __copy__(self):
        return _shallow_copy(self)

    def __getstate__(self):
        return {"model": stored(self.model)}


def _one_each_row(values, X):
    """Values of any shape with a number for each row, as that of a single feature."""
    return np.reshape(values, len(X)) if np.size(values) == len(X) else values


class ScoresByMean:
    """Mixin for normalised densities: the score of a model is its mean log density."""

    def score(self, X, y=None):
        """Mean log density of the points; the higher, the better the fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.
        y : None
            Ignored.

        Returns
        -------
        float
            Mean of `score_samples`, which cross-validation can compare.
        """
        del y
        return float(np.mean(self.score_samples(X)))


def as_density(density):
    """Turn any model of a density into an estimator with ``score_samples``.

    Parameters
    ----------
    density : object
        An object with ``score_samples(X)`` (fitted or not), with ``log_prob(X)``
        (torch.distributions, zuko, nflows, normflows, pyro, numpyro), with
        ``logpdf(X)`` (frozen distributions of scipy.stats, and its gaussian_kde, whose
        layout is adapted), with ``pdf(X)`` (KDEMultivariate of statsmodels), or a
        callable that maps X of shape (n_samples, n_features) to log p of shape
        (n_samples,).

    Returns
    -------
    estimator
        With ``score_samples``. A fitted one stays as it is under
        :func:`sklearn.base.clone`, and so in Pipeline, GridSearchCV and
        cross_val_score; use it for fitted candidates of a search,
        ``param_grid={"density": [as_density(a), as_density(b)]}``, which would lose
        their fit otherwise and are refused. An unfitted one is returned as it is.

    Raises
    ------
    ValueError
        Where ``score_samples`` is no log density: outlier detectors and BernoulliRBM.
    TypeError
        Where the object is none of the above, or a class instead of an instance.

    Notes
    -----
    A model of torch is given tensors, in its precision and on its device, in batches,
    and may be passed as its method ``log_prob``, too. A module without ``log_prob``
    returns log p when it is called with points, or a distribution when it is called
    without any. Any other callable is given arrays; tensors that it returns are taken.
    The batches fit scikit-learn's ``working_memory`` where a model takes 1.3 kB for
    each feature of a point, and 4.8 kB with the gradient, as three neural splines do:
    set less for one that takes more.

    Its modules score in evaluation mode, whatever mode they are in, and are left in
    that, with the parameters and their gradients that they had. What a model itself
    writes when it scores stays written, such as the first units of an ActNorm, and
    random numbers that it draws are drawn from torch's generators. The gradient with
    respect to the
    points comes from automatic differentiation, and from differences where what the
    model returns is detached from them. Where it raises then, the error is told.

    Of a density that has ``pdf(X)`` alone, the logarithm is ``-inf`` below 1e-308: far
    from its samples.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import gaussian_kde
    >>> from skgengeo.density import as_density
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> density = as_density(gaussian_kde(X.T))
    >>> density.score_samples(X[:3]).shape
    (3,)
    """
    if isinstance(density, type):
        raise TypeError(
            f"density={density.__name__} is a class. Pass an instance, "
            f"{density.__name__}(...)."
        )
    _refuse_what_is_no_density(density)
    if isinstance(density, FrozenEstimator | _ForeignDensity):
        return density
    density = _model_behind(density)
    if hasattr(density, "score_samples"):
        if not (isinstance(density, BaseEstimator) and hasattr(density, "fit")):
            return _ScoreSamplesDensity(density)
        return FrozenEstimator(density) if is_fitted(density) else density
    if hasattr(density, "log_prob") or is_module(density):
        return _LogProbDensity(density)
    if hasattr(density, "logpdf"):
        return _LogPdfDensity(density)
    if hasattr(density, "pdf"):
        return _PdfDensity(density)
    if callable(density):
        return _CallableDensity(density)
    raise TypeError(
        f"density={reprlib.repr(density)} of type {type(density).__name__} is no "
        f"density. Pass {ACCEPTED}."
    )


def _model_behind(density):
    """The model of torch that a bound log_prob belongs to, else what was given."""
    is_log_prob = ismethod(density) and density.__name__ == "log_prob"
    if is_log_prob and is_of_torch(density.__self__):
        return density.__self__
    return density


def _refuse_what_is_no_density(density):
    """Raise where score_samples exists and is something else than log p."""
    last = density
    while isinstance(last, WRAPPERS):
        last = last.steps[-1][1] if isinstance(last, Pipeline) else last.estimator
    is_detector = isinstance(last, BaseEstimator) and is_outlier_detector(last)
    if is_detector or isinstance(last, BernoulliRBM):
        what = "an anomaly score" if is_detector else "a pseudo-likelihood"
        raise ValueError(
            f"density={type(last).__name__}: its score_samples is {what}, not a log "
            f"density. Pass {ACCEPTED}."
        )


def goes_with_scores(model, name):
    """Whether a model has a method that goes with its scores.

    An inherited one does not, where a class nearer to the model scores otherwise.

    Parameters
    ----------
    model : object
        What a density scores with.
    name : str
        Name of the method.

    Returns
    -------
    bool
        False also where there is no such method.
    """
    for kind in (model, *type(model).__mro__):
        names = getattr(kind, "__dict__", {})
        if name in names:
            return True
        if not SCORERS.isdisjoint(names):
            return False
    return hasattr(model, name)


def is_ours(model, name):
    """Whether the class that defines a method of a model is of this package.

    Parameters
    ----------
    model : object
        What a density scores with.
    name : str
        Name of the method, which other classes may give to something else.

    Returns
    -------
    bool
        False also where no class defines it.
    """
    definers = (kind for kind in type(model).__mro__ if name in vars(kind))
    return next(definers, object).__module__.startswith("skgengeo.")


def is_fitted(density):
    """Whether an estimator can score already.

    Parameters
    ----------
    density : estimator
        Anything with ``score_samples``.

    Returns
    -------
    bool
        What :func:`sklearn.utils.validation.check_is_fitted` says.
    """
    try:
        check_is_fitted(density)
    except NotFittedError:
        return False
    return True


def keep_fitted(density):
    """The density as `clone` should hand it on: frozen where it is fitted.

    Parameters
    ----------
    density : object or None
        As a user gave it.

    Returns
    -------
    object or None
        What is not fitted, and what is no density, is returned as it is: cloning and
        fitting treat them as they do any parameter.
    """
    if density is None or isinstance(density, type):
        return density
    try:
        return as_density(density)
    except (TypeError, ValueError):
        return density


def fit_density(density, X, y=None):
    """Fit an unfitted density; a fitted one is used as it is.

    Parameters
    ----------
    density : estimator
        As `as_density` returns it.
    X : ndarray of shape (n_samples, n_features)
        Training samples.
    y : array-like, optional
        Handed to the density's own ``fit``.

    Returns
    -------
    estimator
        Fitted; never the object that was passed, where that had to be fitted.

    Raises
    ------
    ValueError
        Where the density's ``fit`` raises.
    """
    if is_fitted(density):
        return density
    fitted = clone(density)
    try:
        fitted.fit(X, y)
    except Exception as error:
        if _speaks_for_itself(density, error):
            raise
        raise ValueError(
            f"The density {_name(density)} raised {type(error).__name__} when it was "
            f"fitted to an array of shape {X.shape}: {str(error).rstrip('.')}. Change "
            "its parameters, or pass a density that is fitted already."
        ) from error
    return fitted


def check_feature_names(density, estimator):
    """Refuse a density of features in another order than those of an estimator.

    Parameters
    ----------
    density, estimator : estimator
        Fitted, and asked for ``feature_names_in_`` where they have it.

    Raises
    ------
    ValueError
        Where the names differ.
    """
    check_names(density, getattr(estimator, "feature_names_in_", None))


def check_names(density, given):
    """Refuse features of other names than a density was fitted on, or in other order.

    Parameters
    ----------
    density : estimator
        Fitted, and asked for ``feature_names_in_`` where it has it.
    given : None or sequence of str
        The names; None where there are none.

    Raises
    ------
    ValueError
        Where the names differ.
    """
    known = getattr(density, "feature_names_in_", None)
    if known is not None and given is not None and not np.array_equal(known, given):
        raise ValueError(
            f"The density {_name(density)} was fitted on features {list(known)}, and "
            f"X has {list(given)}. Pass X with the columns of the density, in their "
            "order."
        )


def check_scores(density):
    """Refuse what `as_density` has to make a density of first.

    Parameters
    ----------
    density : object
        As a user gave it.

    Raises
    ------
    TypeError
        Where it has no ``score_samples``.
    """
    if not hasattr(density, "score_samples"):
        raise TypeError(
            f"density={reprlib.repr(density)} of type {type(density).__name__} has no "
            "score_samples. Pass skgengeo.density.as_density(density), which takes "
            "callables and foreign models."
        )


def _unwrapped(density):
    """The model inside a FrozenEstimator, where a compiled path depends on it."""
    while isinstance(density, FrozenEstimator):
        density = density.estimator
    return density


def _speaks_for_itself(density, error):
    """Whether an error of a density is passed on as it is."""
    if isinstance(error, NotFittedError | Warning) or is_out_of_memory(error):
        return True
    model = _unwrapped(density)
    own = type(model).__module__.split(".")[0] == __name__.split(".")[0]
    return own and not isinstance(model, _ForeignDensity)


def _name(density):
    inner = _unwrapped(density)
    model = getattr(inner, "model", inner)
    return getattr(model, "__name__", type(model).__name__)


class HoldsDensity:
    """Mixin for estimators with a parameter ``density`` that may be fitted already.

    Cloning keeps a fitted density fitted, and its parameters cannot be set, which
    would change nothing.
    """

    def __sklearn_clone__(self):
        shell = _shallow_copy(self)
        shell.density = keep_fitted(self.density)
        return BaseEstimator.__sklearn_clone__(shell)

    def set_params(self, **params):
        """Set parameters, as in scikit-learn.

        Parameters
        ----------
        **params : dict
            Parameters of this estimator, and ``density__<name>`` of an unfitted
            density.

        Returns
        -------
        self : estimator
            This estimator.

        Raises
        ------
        ValueError
            Where a parameter of a fitted density or of None is set, or where a search
            of scikit-learn sets a density that was fitted until the search cloned it.
        """
        nested = [key for key in params if key.startswith("density__")]
        density = params.get("density", self.density)
        if nested and density is None:
            raise ValueError(
                f"{nested[0]}={params[nested[0]]!r}: density=None has no parameters to "
                "set. Pass an unfitted density, such as "
                "TemperedDensity(ManifoldParzenWindows())."
            )
        if nested and _keeps_fit(density):
            raise ValueError(
                f"{nested[0]}={params[nested[0]]!r}: the density "
                f"{_name(keep_fitted(density))} is fitted, and setting its parameters "
                "would change nothing. Pass it unfitted, and it will be fitted with "
                "them, or set_params(density=...) to another fitted density."
            )
        if "density" in params:
            _refuse_clone_of_fitted(density)
        return super().set_params(**params)


def _keeps_fit(density):
    """Whether a density is fitted, and so is not fitted again."""
    return isinstance(keep_fitted(density), FrozenEstimator | _ForeignDensity)


def _refuse_clone_of_fitted(density):
    """Raise where a density comes from a search that has lost its fit by cloning."""
    if _keeps_fit(density):
        return
    for name, candidate in searched_parameters().items():
        is_density = name.split("__")[-1] == "density"
        if is_density and type(candidate) is type(density) and _keeps_fit(candidate):
            raise ValueError(
                f"{name}={candidate!r} is fitted, and a search clones its candidates, "
                "which loses their fit. Pass skgengeo.density.as_density(...) of each "
                "fitted candidate, which keeps it, or pass them unfitted."
            )


def _shallow_copy(estimator):
    shell = object.__new__(type(estimator))
    shell.__dict__.update(estimator.__dict__)
    return shell
