"""Densities that watch how they are called, and foreign ones that are no estimators."""

import threading
from unittest import mock

import numpy as np
from sklearn.base import BaseEstimator

from skgengeo.density import _gradient, log_density_gradient


def normal_log_density(X):
    """log p of the standard normal in as many features as X has."""
    return -0.5 * (X**2).sum(axis=1) - 0.5 * X.shape[1] * np.log(2 * np.pi)


class WatchedDensity(BaseEstimator):
    """A normal density around the mean that notes every call, in lists of the class.

    Cloning makes new objects, so that the notes belong to the class: use the fixture
    `watched`, which starts them afresh.
    """

    fits: list = []
    calls: list = []

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y=None):
        self.fits.append((X.copy(), y))
        self.mean_ = X.mean(axis=0)
        return self

    def score_samples(self, X):
        self.calls.append((len(X), threading.get_ident()))
        return normal_log_density((X - self.mean_) / self.scale)

    @classmethod
    def n_rows_scored(cls):
        return sum(n_rows for n_rows, _ in cls.calls)


class ScoresSamples:
    """No estimator, yet with score_samples."""

    def score_samples(self, X):
        return normal_log_density(X)


class LogProb:
    """As the distributions of torch are."""

    def log_prob(self, X):
        return normal_log_density(X)


class ElementwiseLogProb:
    """A univariate distribution, which answers in the shape of its argument."""

    def log_prob(self, X):
        return -0.5 * X**2 - 0.5 * np.log(2 * np.pi)


class Answers(BaseEstimator):
    """A density whose answer is made by a function of X."""

    def __init__(self, answer):
        self.answer = answer

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return self.answer(X)


class Counting:
    """A log density that keeps the points it has seen."""

    def __init__(self, log_density):
        self.log_density = log_density
        self.seen = []

    @property
    def n_points(self):
        return sum(map(len, self.seen))

    def __call__(self, points):
        self.seen.append(points.copy())
        return self.log_density(points)


def is_analytic(density, X):
    """Whether the gradient at X takes no differences of the log density."""
    taken = mock.patch.object(_gradient, "_differences", wraps=_gradient._differences)
    with taken as differences:
        log_density_gradient(density, X)
    return not differences.called


def state_of(module):
    """All of a module of torch that could be changed, in a form to be compared."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {
        "modes": [m.training for m in module.modules()],
        "values": {k: (t.tolist(), t.dtype, t.device) for k, t in tensors},
        "learns": {k: t.requires_grad for k, t in tensors},
        "grad": {k: None if t.grad is None else t.grad.tolist() for k, t in tensors},
    }
