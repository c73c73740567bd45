"""FlowDensity: a normalizing flow where a KernelDensity stood."""

import math
import reprlib
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import HasMethods, Interval, StrOptions
from .._fitting import afresh
from .._floats import check_extent
from .._warnings import warn
from ._gradient import Gradient, by_autograd, evaluate
from ._protocol import ScoresByMean, _shallow_copy
from ._torch import (
    copied,
    device_named,
    differentiable,
    draw,
    imported,
    is_module,
    scores,
    scores_with_gradient,
    seeded,
    stored,
)
from ._training import Settings, train

# Names of zuko, and the activation of the networks within. The gradient of splines
# jumps at knots anyway, and ReLU fits best; that of the others is smooth with Tanh,
# which is bounded for outliers, too.
FLOWS = {"neural-spline": ("NSF", "ReLU"), "masked-autoregressive": ("MAF", "Tanh")}
# A standard deviation of so many roundings of the mean is none.
ROUNDING = 10
MOST_SEED = np.iinfo(np.int32).max
# Means so many standard deviations away, or standard deviations so many times as large
# or small, are those of other units.
OTHER_UNITS = 3


class FlowDensity(ScoresByMean, BaseEstimator):
    """A normalizing flow, trained by maximum likelihood.

    Parameters
    ----------
    flow : {"neural-spline", "masked-autoregressive"} or torch.nn.Module, \
default="neural-spline"
        A neural spline flow [1]_ bends each feature by a spline, as the features before
        it say; a masked autoregressive one [2]_ moves and stretches it. Splines fit
        better; the others are smooth, which relaxed curves need (see the notes). A
        module has ``log_prob``, or returns what has it when it is called, as the flows
        of zuko do, or log p when it is called with points, and is normalised: training
        makes log p as large as it can. It is copied, and the copy is trained from the
        weights that it has, on standardised features, whatever it was trained on. All
        of it is in training mode meanwhile.
    n_transforms : int, default=3
        Number of transformations, one after the other. Not for a module.
    hidden_features : tuple of int, default=(64, 64)
        Sizes of the hidden layers of the network of each. Not for a module.
    noise : float, default=0.05
        Standard deviation of the noise that is added to the samples in training, in
        each pass anew, in units of the standard deviation of each feature. It makes
        the density smooth, which is then that of the noisy samples. Without any, the
        density of features that take few values, such as those of pixels, grows without
        bounds at these.
    max_iter : int, default=500
        Passes over the training samples, at most.
    batch_size : int, default=256
        Samples in a step of the training, at most.
    learning_rate_init : float, default=1e-3
        Step size of Adam.
    early_stopping : bool, default=True
        Hold out validation samples: their log density tells when to stop, and the
        flow ends with the weights that gave the highest, those that the training began
        with among them. Otherwise the loss of the training tells, and the last weights
        are taken.
    validation_fraction : float, default=0.1
        Share of the samples that is held out.
    n_iter_no_change : int, default=20
        Passes without an improvement by `tol` after which training ends.
    tol : float, default=1e-4
        Improvement of the mean log density that counts as one.
    warm_start : bool, default=False
        Train the flow of the last fit on, in its units. It has to be of the same name
        and sizes, or a module of the same class, whose weights are not looked at again.
        Of as many samples as before, and with the same `validation_fraction`, the same
        rows are held out. It warns where the mean of a feature is more than three
        standard deviations from that of the first fit, or its standard deviation is
        more than three times as large or small.
    device : str or torch.device, default="auto"
        Where to train and to score, such as "cpu" or "cuda". "auto" takes CUDA where
        there is some.
    random_state : None, int or RandomState, default=None
        Seed of the initial weights, the split, the batches and the noise. The state of
        the generators of torch is left as it was.
    verbose : bool, default=False
        Show a progress bar, with the score of each pass.

    Attributes
    ----------
    flow_ : torch.nn.Module
        The trained flow, of the standardised features.
    mean_ : ndarray of shape (n_features,)
        Mean of each feature.
    scale_ : ndarray of shape (n_features,)
        Standard deviation of each feature; 0 where it is constant.
    n_iter_ : int
        Passes over the training samples.
    loss_curve_ : list of float
        Mean negative log density of the batches of each pass, noise included.
    validation_scores_ : list of float or None
        Mean log density of the validation samples after each pass. With `warm_start`
        the three go on where the last fit ended.
    best_validation_score_ : float or None
        The highest of the last fit, before the first pass too, by the weights that
        the flow has.
    device_ : str
        Where the flow was trained.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    See Also
    --------
    skgengeo.density.ManifoldParzenWindows : A Gaussian for each sample; nothing to
        train.

    Notes
    -----
    Features are standardised first. Log densities are those in the units of X: the log
    of the Jacobian is in them. Constant features have no density. They are left out,
    with a warning: the density is that of the others, and a point that differs in a
    constant feature is scored as if it did not.

    The gradient of a spline flow jumps at the knots of its splines. Distances in the
    graph are indifferent to that, but curves of
    :class:`skgengeo.GeodesicInterpolator` may stall there without converging: take
    "masked-autoregressive" for these, whose networks are smooth here.

    The flows that are named are trained in single precision and score in double
    precision; a module keeps its own. Splines are the identity beyond five standard
    deviations, where the density falls as the normal one does.

    Sampling takes a pass through the networks for each feature.

    For geodesics put it into a :class:`skgengeo.density.TemperedDensity`, from a few
    features on.

    Points are scored, differentiated and drawn in batches that fit scikit-learn's
    ``working_memory``, where a flow takes what three splines of the default sizes do:
    1.3 kB for each feature of a point, and 4.8 kB with the gradient. How much another
    takes is not measured: for one of more or of wider transformations set less, as by
    ``sklearn.config_context(working_memory=100)``, in MiB.

    A flow that is pickled on a device is read on the CPU where there is no such device.

    References
    ----------
    .. [1] C. Durkan, A. Bekasov, I. Murray and G. Papamakarios, "Neural Spline Flows",
       NeurIPS 2019.
    .. [2] G. Papamakarios, T. Pavlakou and I. Murray, "Masked Autoregressive Flow for
       Density Estimation", NIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skgengeo.density import FlowDensity
    >>> X, _ = make_moons(500, noise=0.1, random_state=0)
    >>> density = FlowDensity(random_state=0).fit(X)
    >>> density.score_samples([[0.0, 1.0], [0.5, 0.25]]).shape
    (2,)
    """

    _parameter_constraints: dict = {
        "flow": [StrOptions(set(FLOWS)), HasMethods("parameters")],
        "n_transforms": [Interval(Integral, 1, None, closed="left")],
        "hidden_features": ["array-like"],
        "noise": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "device": "no_validation",  # a torch.device, too, of which torch has to tell
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        flow="neural-spline",
        *,
        n_transforms=3,
        hidden_features=(64, 64),
        noise=0.05,
        max_iter=500,
        batch_size=256,
        learning_rate_init=1e-3,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=20,
        tol=1e-4,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.flow = flow
        self.n_transforms = n_transforms
        self.hidden_features = hidden_features
        self.noise = noise
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @afresh
    def fit(self, X, y=None):
        """Train the flow. An interruption keeps what has been trained so far.

        One in the first pass, or an error, leaves nothing fitted; in a warm start, what
        was fitted before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples, at least two.
        y : None
            Ignored.

        Returns
        -------
        self : FlowDensity
            The fitted density.

        Raises
        ------
        ImportError
            Where torch is missing, or zuko, of which the named flows are.
        ValueError
            Where too few samples are left to train on, all features are constant, a
            module cannot be trained, the loss is not finite, or a warm start is to go
            on with another flow.
        """
        del y
        imported("torch", "FlowDensity")
        further = self.warm_start and hasattr(self, "flow_")
        if further:
            self._check_same_flow()
        X = validate_data(
            self, X, dtype=np.float64, ensure_min_samples=2, reset=not further
        )
        rng = check_random_state(self.random_state)
        device = device_named(self.device)
        if further:
            self._check_units(X)
        else:
            self._start(X)
        samples, validation = self._split(X, rng)
        # Noise and batches anew in each fit, also of one seed.
        seed = (_seed(rng) + self.n_iter_) % MOST_SEED
        with seeded(device, seed), differentiable():
            # The last fit stays as it is, should this one fail.
            self.flow_ = copied(self.flow_ if further else self._new_flow()).to(device)
            self._train(samples, validation)
        self.device_ = str(device)
        return self

    def _start(self, X):
        self._standardise(X)
        self._architecture = self._parts()
        self._order = np.empty(0, dtype=np.intp)
        self.n_iter_, self.loss_curve_ = 0, []
        self.validation_scores_ = None

    def _split(self, X, rng):
        """Samples to train on, and those that validate, or None."""
        if not self.early_stopping:
            return X, None
        n_validation = math.ceil(self.validation_fraction * len(X))
        if n_validation >= len(X):
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of n_samples={len(X)} "
                "leaves no samples to train on. Pass a smaller one, more samples, or "
                "early_stopping=False."
            )
        # A warm start does not validate by what has been trained on.
        if len(self._order) != len(X):
            self._order = rng.permutation(len(X))
        return X[self._order[n_validation:]], X[self._order[:n_validation]]

    def _standardise(self, X):
        """Learn the unit of each feature, 0 where it is constant."""
        check_extent(X)
        # From one of the samples: identical ones have no variance to the last bit.
        offsets = X - X[0]
        self.mean_ = X[0] + offsets.mean(axis=0)
        scale = offsets.std(axis=0)
        self.scale_ = np.where(scale > _rounding(self.mean_), scale, 0.0)
        constant = np.flatnonzero(self.scale_ == 0)
        if len(constant) == X.shape[1]:
            raise ValueError(
                f"All features of X, of shape {X.shape}, are constant, and have no "
                "density. Pass samples that differ."
            )
        if len(constant):
            warn(
                f"{len(constant)} of {X.shape[1]} features are constant in the "
                f"samples: {np.array2string(constant, threshold=6)}. They are left "
                "out: the density is that of the others, and points that differ in "
                "these alone have the same. Drop them, or fit to samples in which they "
                "vary."
            )

    def _check_units(self, X):
        """Warn where a warm start goes on with samples that its units do not fit."""
        check_extent(X)
        rounding = _rounding(self.mean_)
        before = np.maximum(self.scale_, rounding)
        now = np.maximum(X.std(axis=0), rounding)
        far = np.abs(X.mean(axis=0) - self.mean_) > OTHER_UNITS * before
        other = (now > OTHER_UNITS * before) | (before > OTHER_UNITS * now)
        found = np.flatnonzero(far | other)
        if len(found):
            a = found[0]
            warn(
                "warm_start=True trains on in the units of the first fit, but "
                f"{len(found)} of {X.shape[1]} features are unlike those then: "
                f"{np.array2string(found, threshold=6)}. Feature {a} has mean "
                f"{X[:, a].mean():.4g} and standard deviation {X[:, a].std():.4g}, and "
                f"had {self.mean_[a]:.4g} and {self.scale_[a]:.4g}. Features that were "
                "constant then are left out. Pass samples alike, or warm_start=False "
                "to begin anew."
            )

    def _parts(self):
        """What makes a flow: its name and sizes, or the class of a module."""
        if not isinstance(self.flow, str):
            kind = type(self.flow)
            return f"a {kind.__module__}.{kind.__qualname__}"
        return (
            f"flow={self.flow!r}, n_transforms={self.n_transforms}, "
            f"hidden_features={tuple(self.hidden_features)}"
        )

    def _check_same_flow(self):
        """Raise where a warm start would go on with another flow than it is set to."""
        if self._parts() != self._architecture:
            raise ValueError(
                "warm_start=True trains the flow of the last fit on, which was "
                f"{self._architecture}, and not {self._parts()}. Set these back, or "
                "warm_start=False to begin anew."
            )

    def _new_flow(self):
        if not isinstance(self.flow, str):
            return _checked(self.flow)
        _check_sizes(self.hidden_features)
        import torch

        zuko = imported("zuko", f"FlowDensity with flow={self.flow!r}")
        name, activation = FLOWS[self.flow]
        with torch.device("cpu"):  # whose generator is seeded
            return getattr(zuko.flows, name)(
                np.count_nonzero(self.scale_),
                transforms=self.n_transforms,
                hidden_features=self.hidden_features,
                activation=getattr(torch.nn, activation),
            )

    def _train(self, samples, validation):
        """Train the flow, and add to the curves, in the units of X."""
        named = isinstance(self.flow, str)
        if named:
            self.flow_.float()
        samples = self._to_flow(samples)
        validation = None if validation is None else self._to_flow(validation)
        settings = Settings(**{name: getattr(self, name) for name in Settings._fields})
        course = train(self.flow_, samples, validation, settings)
        if named:
            self.flow_.double()
        volume = self._log_volume()
        losses = [loss + volume for loss in course.losses]
        self.loss_curve_ = [*self.loss_curve_, *losses]
        self.n_iter_ += len(course.losses)
        self.best_validation_score_ = None
        if validation is not None:
            found = [score - volume for score in course.scores]
            self.validation_scores_ = [*(self.validation_scores_ or []), *found]
            self.best_validation_score_ = course.best - volume

    def _to_flow(self, X):
        """Points as the flow sees them: standardised, without constant features."""
        varies = self.scale_ > 0
        return (X[:, varies] - self.mean_[varies]) / self.scale_[varies]

    def _log_volume(self):
        """Log of the volume that a unit of the flow has in the units of X."""
        return float(np.log(self.scale_[self.scale_ > 0]).sum())

    def score_samples(self, X):
        """Log density at each point.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            log p, normalised, in the units of X.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return scores(self.flow_, self._to_flow(X)) - self._log_volume()

    def score_samples_gradient(self, X):
        """Gradient of the log density at each point.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            By automatic differentiation; zero along constant features.

        Examples
        --------
        >>> from sklearn.datasets import make_moons
        >>> from skgengeo.density import FlowDensity
        >>> X, _ = make_moons(500, noise=0.1, random_state=0)
        >>> density = FlowDensity(random_state=0).fit(X)
        >>> density.score_samples_gradient([[0.0, 1.0], [0.5, 0.25]]).shape
        (2, 2)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False, order="C")
        # Not that of `gradient_of`, which asks a subclass for this method.
        return evaluate(self._gradient(), X)[1]

    def _gradient(self):
        check_is_fitted(self)
        function = partial(by_autograd, self, self._scores_with_gradient)
        return Gradient(function, False)

    def _scores_with_gradient(self, X):
        values, inner = scores_with_gradient(self.flow_, self._to_flow(X))
        gradients = np.zeros(X.shape)
        varies = self.scale_ > 0
        gradients[:, varies] = inner / self.scale_[varies]
        return values - self._log_volume(), gradients

    def sample(self, n_samples=1, random_state=None):
        """Draw points from the density.

        Parameters
        ----------
        n_samples : int, default=1
            Number of points.
        random_state : None, int or RandomState
            Seed. The state of the generators of torch is left as it was.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The points alone, as those of :class:`sklearn.neighbors.KernelDensity`.
            Constant features have their value.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=0)
        seed = _seed(check_random_state(random_state))
        with seeded(next(self.flow_.parameters()).device, seed):
            inner = draw(self.flow_, n_samples, int(np.count_nonzero(self.scale_)))
        points = np.tile(self.mean_, (n_samples, 1))
        varies = self.scale_ > 0
        points[:, varies] += inner * self.scale_[varies]
        return points

    def __sklearn_clone__(self):
        # Torch has no copies of tensors that a module has computed.
        shell = _shallow_copy(self)
        if is_module(self.flow):
            shell.flow = copied(self.flow)
        return super(FlowDensity, shell).__sklearn_clone__()

    def __copy__(self):
        return _shallow_copy(self)

    def __getstate__(self):
        state = super().__getstate__()
        return state | {k: stored(state[k]) for k in ("flow", "flow_") if k in state}


def _seed(rng):
    return rng.randint(MOST_SEED)


def _rounding(mean):
    """Standard deviations up to which a feature of this mean is constant."""
    return ROUNDING * np.finfo(np.float64).eps * np.abs(mean)


def _check_sizes(hidden_features):
    if not all(isinstance(size, Integral) and size > 0 for size in hidden_features):
        raise ValueError(
            f"hidden_features={hidden_features!r}: sizes of layers are positive "
            "integers. Pass such as (64, 64), or () for no hidden layer."
        )


def _checked(flow):
    """The module of a user, if it can be copied and trained."""
    if not is_module(flow):
        raise TypeError(
            f"flow={reprlib.repr(flow)} of type {type(flow).__name__} is no module of "
            f"torch. Pass {' or '.join(map(repr, FLOWS))}, or a torch.nn.Module with "
            "log_prob, such as a flow of zuko."
        )
    if any(parameter.is_meta for parameter in flow.parameters()):
        raise ValueError(
            f"flow={type(flow).__name__} is on the device 'meta', where it has no "
            "weights. Pass one that has: flow.to_empty(device='cpu'), initialised."
        )
    return flow
