"""Normalizing flows as estimators."""

import copy
import pickle
import re
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgengeo import GenerativeGeodesicDistance
from skgengeo.density import (
    FlowDensity,
    TemperedDensity,
    as_density,
    log_density,
    log_density_gradient,
)
from skgengeo.density._torch import stored

from .._densities import is_analytic, state_of

torch = pytest.importorskip("torch")
zuko = pytest.importorskip("zuko")
pytestmark = [
    pytest.mark.deep,
    # Few epochs are enough to test most things.
    pytest.mark.filterwarnings("ignore:Training ended after max_iter"),
    pytest.mark.filterwarnings("ignore:The training gained no more"),
    pytest.mark.filterwarnings("ignore:The trained flow scores"),
]

KINDS = ["neural-spline", "masked-autoregressive"]
UNITS = np.array([20.0, 0.1])


def moons(n=120, seed=0):
    X, _ = make_moons(n, noise=0.1, random_state=seed)
    return X * UNITS + [100.0, -3.0]


def small(flow="neural-spline", **params):
    params = {"n_transforms": 1, "hidden_features": (8,), "max_iter": 5} | params
    params = {"learning_rate_init": 0.01, "batch_size": 32, "random_state": 0} | params
    return FlowDensity(flow, device="cpu", **params)


def grid(density, X, extent=8.0, n=300):
    """Points of a grid that holds all of the density, and the area of a cell."""
    sides = [
        np.linspace(m - extent * s, m + extent * s, n)
        for m, s in zip(X.mean(axis=0), X.std(axis=0), strict=True)
    ]
    points = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    return points, np.prod([side[1] - side[0] for side in sides])


def central_differences(density, X, steps):
    columns = [
        density.score_samples(X + step) - density.score_samples(X - step)
        for step in np.diag(steps)
    ]
    return np.column_stack(columns) / (2 * steps)


def unchanged(values):
    return values


class Gaussian(torch.nn.Module):
    """A normal density with a trainable mean; `answer` changes what it returns."""

    def __init__(self, d=2, dtype=torch.float32, answer=unchanged):
        super().__init__()
        # Not the mean of the samples, which no training would better.
        self.mean = torch.nn.Parameter(torch.full((d,), 0.5, dtype=dtype))
        self.frozen = torch.nn.Parameter(torch.ones(d, dtype=dtype), False)
        self.dropout = torch.nn.Dropout(0.5)
        self.norm = torch.nn.BatchNorm1d(d, affine=False, dtype=dtype)
        self.answer = answer

    def log_prob(self, x):
        normal = torch.distributions.Normal(self.mean, self.frozen)
        # Both depend on the mode.
        x = self.dropout(x) + 0.0 * self.norm(x)
        return self.answer(normal.log_prob(x).sum(dim=1))

    def sample(self, n):
        return self.mean + torch.randn(n, len(self.mean), dtype=self.mean.dtype)


# What scikit-learn asks


@pytest.mark.filterwarnings("ignore:.*features are constant")
@parametrize_with_checks([small(max_iter=2), small("masked-autoregressive")])
def test_common_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


# The density


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_integrates_to_one_in_the_units_of_the_samples(kind):
    X = moons()
    density = small(kind).fit(X)
    points, area = grid(density, X)
    total = np.exp(density.score_samples(points)).sum() * area
    assert total == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_one_feature(kind):
    X = moons()[:, :1]
    density = small(kind).fit(X)
    points = np.linspace(X.mean() - 160, X.mean() + 160, 4001)
    total = np.exp(density.score_samples(points[:, None])).sum() * 0.08
    assert total == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_density(kind):
    X = moons()
    density = small(kind).fit(X)
    gradient = density.score_samples_gradient(X[:40])
    expected = central_differences(density, X[:40], 1e-6 * UNITS)
    np.testing.assert_allclose(gradient * UNITS, expected * UNITS, atol=1e-5)
    found, values = log_density_gradient(density, X[:40], return_log_density=True)
    np.testing.assert_array_equal(found, gradient)
    np.testing.assert_allclose(values, density.score_samples(X[:40]), rtol=1e-12)


def test_the_gradient_takes_one_evaluation():
    density = as_density(small().fit(moons()))
    assert is_analytic(density, moons())
    assert is_analytic(TemperedDensity(density).fit(moons()), moons())


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_the_density(kind):
    def banana(n, seed):
        x = np.random.default_rng(seed).normal(size=(n, 2))
        return np.column_stack([x[:, 0], x[:, 0] ** 2 + 0.5 * x[:, 1]])

    unseen = banana(1000, seed=1)
    true = stats.norm.logpdf(unseen[:, 0])
    true += stats.norm.logpdf(unseen[:, 1], unseen[:, 0] ** 2, 0.5)
    normal = stats.multivariate_normal(unseen.mean(axis=0), np.cov(unseen.T))
    density = small(kind, hidden_features=(32,), max_iter=30, noise=0.02)
    # Without learning it is the normal one.
    gap = true.mean() - normal.logpdf(unseen).mean()
    found = density.fit(banana(1000, seed=0)).score(unseen)
    assert true.mean() - 0.3 * gap < found < true.mean() + 0.05


def test_score_is_the_mean():
    density, X = small().fit(moons()), moons(seed=1)
    assert density.score(X) == pytest.approx(density.score_samples(X).mean())


def test_far_points_have_finite_densities_and_gradients():
    density = small().fit(moons())
    far = moons()[:5] + 1e4 * UNITS
    assert np.isfinite(log_density(density, far)).all()
    # Beyond the splines the flow is the identity, and the density normal.
    expected = -(far - density.mean_) / density.scale_**2
    np.testing.assert_allclose(log_density_gradient(density, far), expected)


def test_rows_are_scored_in_batches_that_fit_the_memory():
    density, X = small().fit(moons()), moons(1000, seed=1)
    together, gradients = density.score_samples(X), density.score_samples_gradient(X)
    sizes = []

    def watched(module, args):
        sizes.append(1)

    density.flow_.register_forward_pre_hook(watched)
    with sklearn.config_context(working_memory=0.1):
        np.testing.assert_allclose(density.score_samples(X), together, rtol=1e-12)
        assert len(sizes) > 5
        found = density.score_samples_gradient(X)
    np.testing.assert_allclose(found, gradients, rtol=1e-9, atol=1e-12)
    assert len(sizes) > 50


# Samples


def test_samples_have_the_density():
    X = moons()
    density = small("masked-autoregressive").fit(X)
    points, area = grid(density, X)
    p = np.exp(density.score_samples(points)) * area
    mean = p @ points
    deviation = np.sqrt(p @ (points - mean) ** 2)
    drawn = density.sample(4000, random_state=0)
    assert drawn.shape == (4000, 2)
    np.testing.assert_allclose((drawn.mean(axis=0) - mean) / deviation, 0, atol=0.06)
    np.testing.assert_allclose(drawn.std(axis=0) / deviation, 1, atol=0.06)


def test_samples_of_a_seed_repeat():
    density = small().fit(moons())
    first = density.sample(5, random_state=1)
    np.testing.assert_array_equal(density.sample(5, random_state=1), first)
    assert not np.array_equal(density.sample(5, random_state=2), first)
    assert density.sample().shape == (1, 2)


def test_samples_are_drawn_in_batches_that_fit_the_memory():
    sizes = []

    class Noted(Gaussian):
        def sample(self, n):
            sizes.append(n)
            return super().sample(n)

    density = small(Noted()).fit(moons())
    with sklearn.config_context(working_memory=0.1):
        drawn = density.sample(1000, random_state=0)
    assert sum(sizes) == 1000
    assert max(sizes) < 100
    assert len(np.unique(drawn, axis=0)) == 1000
    assert density.sample(0).shape == (0, 2)


class Returns(Gaussian):
    """Its log density is what it returns of points."""

    log_prob = property()
    sample = property()

    def forward(self, x):
        return Gaussian.log_prob(self, x)


def test_a_module_may_return_log_p():
    X = moons()
    density, expected = small(Returns()).fit(X), small(Gaussian()).fit(X)
    np.testing.assert_array_equal(density.score_samples(X), expected.score_samples(X))
    with pytest.raises(AttributeError, match="flow=Returns has no method sample"):
        density.sample(3)


# Seeds


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_repeats_the_fit(kind):
    X = moons()
    first, second = (small(kind).fit(X).score_samples(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = small(kind, random_state=1).fit(X).score_samples(X)
    assert not np.array_equal(other, first)


def test_the_state_of_torch_is_left_alone():
    torch.manual_seed(7)
    expected, n_threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(7)
    density = small().fit(moons())
    density.sample(3, random_state=0)
    density.score_samples_gradient(moons())
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == n_threads
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_weights_are_drawn_on_the_cpu_whatever_the_default_device():
    density = small().fit(moons())
    with torch.device("meta"):
        flow = density._new_flow()
    assert {parameter.device.type for parameter in flow.parameters()} == {"cpu"}


def test_threads_repeat_too():
    X = moons()
    with joblib.parallel_config("threading", n_jobs=2):
        search = GridSearchCV(small(), {"noise": [0.01, 0.1]}, cv=2)
        before = torch.get_rng_state()
        found = search.fit(X).cv_results_["mean_test_score"]
    assert torch.equal(torch.get_rng_state(), before)
    expected = search.set_params(n_jobs=1).fit(X).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_the_mode_of_the_caller_does_not_matter(mode):
    X = moons()
    with getattr(torch, mode)():
        density = small().fit(X)
    assert density.loss_curve_ == small().fit(X).loss_curve_


def test_modules_with_dropout_repeat():
    X = moons()
    fits = [small(Gaussian(), max_iter=3).fit(X).loss_curve_ for _ in range(2)]
    assert fits[0] == fits[1]


# Training


def test_the_best_weights_are_kept():
    X = moons(60)
    long = small(max_iter=60, learning_rate_init=0.05, noise=0.0).fit(X)
    best = int(np.argmax(long.validation_scores_))
    assert best < long.n_iter_ - 1
    assert long.best_validation_score_ == max(long.validation_scores_)
    # Those of a training that ends there.
    there = clone(long).set_params(max_iter=best + 1).fit(X)
    np.testing.assert_array_equal(there.score_samples(X), long.score_samples(X))


def test_curves_are_in_the_units_of_the_samples():
    # A unit of the flow is some millions of theirs.
    X = 1000 * moons(400)
    density = small(max_iter=40, noise=0.0).fit(X)
    assert density.n_iter_ == len(density.loss_curve_)
    assert density.n_iter_ == len(density.validation_scores_)
    assert density.loss_curve_[-1] == pytest.approx(-density.score(X), abs=0.2)
    assert density.best_validation_score_ == pytest.approx(density.score(X), abs=0.4)


class Watching(Gaussian):
    """Notes the points that it is trained on, and the others."""

    seen = {True: [], False: []}

    def log_prob(self, x):
        self.seen[self.training] += x.tolist()
        return super().log_prob(x)


def test_some_samples_are_held_out(monkeypatch):
    monkeypatch.setattr(Watching, "seen", {True: [], False: []})
    X = moons(50)
    module = Watching(dtype=torch.float64)
    density = small(module, noise=0.0, max_iter=2, validation_fraction=0.3).fit(X)
    trained, scored = (
        {tuple(row) for row in Watching.seen[mode]} for mode in (True, False)
    )
    held_out = scored - trained
    assert (len(trained), len(held_out)) == (35, 15)
    points = (X - density.mean_) / density.scale_
    assert trained | held_out == {tuple(row) for row in points}


def test_noise_is_that_of_each_pass(monkeypatch):
    monkeypatch.setattr(Watching, "seen", {True: [], False: []})
    X = moons(2000)
    density = small(Watching(dtype=torch.float64), noise=0.1, max_iter=2)
    points = (X - density.fit(X).mean_) / density.scale_
    trained, held_out = (np.array(Watching.seen[mode]) for mode in (True, False))
    # Beside the first batch of the training.
    found = {tuple(row) for row in held_out} & {tuple(row) for row in points}
    assert len(found) == 200
    assert len(np.unique(trained, axis=0)) == len(trained) == 3600
    variance = points.var(axis=0) + 0.1**2
    np.testing.assert_allclose(trained.var(axis=0), variance, rtol=0.02)
    nearest = np.abs(trained[:, None] - points).max(axis=2).min(axis=1)
    assert nearest.max() < 0.5


@pytest.mark.parametrize("early_stopping", [True, False])
def test_training_stops_without_improvement(early_stopping):
    density = small(
        early_stopping=early_stopping, tol=100.0, n_iter_no_change=4, max_iter=50
    )
    # The first pass is the first score of the training samples.
    assert density.fit(moons()).n_iter_ == (4 if early_stopping else 5)


def test_without_early_stopping_all_samples_are_trained_on():
    density = small(early_stopping=False).fit(moons())
    assert density.validation_scores_ is None
    assert density.best_validation_score_ is None
    assert density.n_iter_ == len(density.loss_curve_) == 5


@pytest.mark.filterwarnings("error:Training ended")
def test_a_training_that_has_not_ended_warns():
    with pytest.warns(ConvergenceWarning, match=r"max_iter=5 passes.*Raise max_iter"):
        small().fit(moons())
    small(tol=100.0, n_iter_no_change=2).fit(moons())


def test_warm_starts_train_on():
    X = moons()
    density = small(warm_start=True).fit(X)
    mean, first = density.mean_, density.loss_curve_[:]
    density.fit(X + UNITS)
    assert density.n_iter_ == 10
    assert density.loss_curve_[:5] == first
    np.testing.assert_array_equal(density.mean_, mean)
    once = small(warm_start=True).fit(X)
    further = copy.deepcopy(once).fit(X).loss_curve_
    assert further[5] < once.loss_curve_[0]
    with pytest.raises(ValueError, match="X has 3 features, but FlowDensity"):
        once.fit(np.column_stack([X, X[:, 0]]))


def test_the_best_score_is_that_of_the_last_fit():
    X = moons()
    density = small(warm_start=True, max_iter=5).fit(X)
    before = density.best_validation_score_
    density.fit(X)
    assert density.best_validation_score_ == max(density.validation_scores_[5:])
    assert density.best_validation_score_ > before
    assert density.set_params(early_stopping=False).fit(X).validation_scores_
    assert density.best_validation_score_ is None


@pytest.mark.parametrize("flow", ["neural-spline", "module"])
def test_a_warm_start_without_improvement_keeps_the_weights(flow):
    X = moons()
    flow = Gaussian() if flow == "module" else flow
    density = small(flow, warm_start=True, max_iter=30).fit(X)
    values, best = density.score_samples(X), density.best_validation_score_
    density.set_params(max_iter=1, learning_rate_init=10.0).fit(X)
    assert density.validation_scores_[-1] < best
    assert density.best_validation_score_ == pytest.approx(best, rel=1e-12)
    np.testing.assert_array_equal(density.score_samples(X), values)


FAILURES = {
    "data": ({}, np.nan, "contains NaN"),
    "split": ({"validation_fraction": 0.999}, 1.0, "leaves no samples"),
    "device": ({"device": "nowhere"}, 1.0, "device='nowhere'"),
    "first step": ({"learning_rate_init": 1e38}, 1.0, "lower learning_rate_init"),
    "later": ({"learning_rate_init": 1e20}, 1.0, "ower learning_rate_init"),
}


@pytest.mark.parametrize(("params", "factor", "told"), FAILURES.values(), ids=FAILURES)
def test_a_warm_start_that_fails_keeps_the_last_fit(params, factor, told):
    X = moons()
    density = small(warm_start=True).fit(X)
    values, expected = density.score_samples(X), copy.deepcopy(density)
    with pytest.raises(ValueError, match=told):
        density.set_params(**params).fit(factor * X)
    np.testing.assert_array_equal(density.score_samples(X), values)
    assert density.loss_curve_ == expected.loss_curve_
    density.set_params(**expected.get_params()).fit(X)
    assert density.loss_curve_ == expected.fit(X).loss_curve_


class Interrupted(Gaussian):
    """The user interrupts in its third pass, or in its first."""

    calls, last = 0, 9

    def log_prob(self, x):
        self.calls += self.training
        if self.training and self.calls == self.last:
            raise KeyboardInterrupt
        return super().log_prob(x)


def test_an_interruption_keeps_what_is_trained(monkeypatch):
    # Four batches in each pass.
    X, module = moons(), Interrupted()
    with pytest.warns(UserWarning, match="interrupted after 2 passes"):
        density = small(module, max_iter=10).fit(X)
    expected = small(Gaussian(), max_iter=2).fit(X)
    assert density.loss_curve_ == expected.loss_curve_
    np.testing.assert_array_equal(density.score_samples(X), expected.score_samples(X))
    monkeypatch.setattr(Interrupted, "last", 2)
    with pytest.raises(KeyboardInterrupt):
        density.fit(X)
    with pytest.raises(NotFittedError):
        density.score_samples(X)


def test_a_warm_start_that_is_interrupted_at_once_keeps_the_last_fit(monkeypatch):
    X = moons()
    density = small(Interrupted(), max_iter=2, warm_start=True).fit(X)
    values = density.score_samples(X)
    # Its calls are counted on: this is in the first pass, after a step.
    monkeypatch.setattr(Interrupted, "last", density.flow_.calls + 2)
    with pytest.raises(KeyboardInterrupt):
        density.fit(X)
    np.testing.assert_array_equal(density.score_samples(X), values)
    assert density.n_iter_ == 2


class Keeping(Gaussian):
    """Keeps what it has computed from its parameters, as weight_norm does."""

    def log_prob(self, x):
        self.kept = 1.0 * self.mean
        return super().log_prob(x)


def test_modules_that_keep_what_they_compute_are_trained_on():
    module, X = Keeping(), moons()
    module.log_prob(torch.zeros(2, 2))
    assert not module.kept.is_leaf
    density = small(module, warm_start=True).fit(X)
    assert clone(density).flow.mean.tolist() == [0.5, 0.5]
    density.flow_.log_prob(torch.zeros(2, 2))
    assert not density.flow_.kept.is_leaf
    assert density.fit(X).n_iter_ == 10


def test_cold_starts_forget():
    X = moons()
    density = small().fit(X + 5.0).fit(X)
    expected = small().fit(X)
    assert density.loss_curve_ == expected.loss_curve_
    np.testing.assert_array_equal(density.score_samples(X), expected.score_samples(X))


def test_noise_keeps_the_density_of_few_values_bounded():
    X = moons().round(0)
    X[:, 1] = np.random.default_rng(0).integers(0, 2, len(X))
    params = {"max_iter": 60, "learning_rate_init": 0.02, "early_stopping": False}
    sharp, smooth = (small(noise=s, **params).fit(X).score(X) for s in (0.0, 0.2))
    # Two values half the time each, with noise of 0.2 standard deviations.
    normal = stats.norm.logpdf(0, scale=0.2 * 0.5) + np.log(0.5)
    along = stats.norm.logpdf(0, scale=0.2 * X[:, 0].std())
    assert smooth < normal + along
    assert sharp > smooth + 0.5


def test_a_progress_bar_is_shown(capsys):
    small(verbose=True).fit(moons())
    assert re.search(r"flow.*5/5.*score", capsys.readouterr().err, re.DOTALL)
    small().fit(moons())
    assert capsys.readouterr().err == ""


# Constant features


def test_constant_features_are_left_out():
    X = moons()
    wide = np.column_stack([np.full(len(X), 0.1), X, np.full(len(X), 7.0)])
    with pytest.warns(UserWarning, match=r"2 of 4 features are.*\[0 3\].*Drop"):
        density = small().fit(wide)
    expected = small().fit(X)
    np.testing.assert_array_equal(
        density.score_samples(wide), expected.score_samples(X)
    )
    gradient = density.score_samples_gradient(wide)
    np.testing.assert_array_equal(gradient[:, [0, 3]], 0.0)
    np.testing.assert_array_equal(gradient[:, 1:3], expected.score_samples_gradient(X))
    drawn = density.sample(3, random_state=0)
    np.testing.assert_array_equal(drawn[:, [0, 3]], [[0.1, 7.0]] * 3)
    np.testing.assert_array_equal(drawn[:, 1:3], expected.sample(3, random_state=0))
    np.testing.assert_array_equal(density.scale_[[0, 3]], 0.0)


def test_rounding_is_no_variance():
    X = moons()
    X[:, 0] = 1.0 + 1e-17 * np.arange(len(X))
    with pytest.warns(UserWarning, match=r"1 of 2 features are constant.*\[0\]"):
        small().fit(X)


def test_batches_are_of_one_size_and_weigh_what_they_hold():
    seen = []

    class Seen(Gaussian):
        def log_prob(self, x):
            if self.training:
                seen.append(x.detach().numpy().copy())
            return -x.mean(dim=1) + 0.0 * self.mean.sum()

    params = {"noise": 0.0, "max_iter": 1, "early_stopping": False, "batch_size": 3}
    density = small(Seen(), **params).fit(moons(10))
    assert sorted(map(len, seen)) == [2, 2, 3, 3]
    mean = np.mean([row.mean() for batch in seen for row in batch])
    volume = np.log(density.scale_).sum()
    assert density.loss_curve_[0] == pytest.approx(mean + volume, abs=1e-6)


def test_the_smooth_flow_is_smooth():
    """Its second derivative has no jumps, which ReLU would make of the first."""
    density = small("masked-autoregressive", max_iter=20).fit(moons())
    line = density.mean_ + density.scale_ * np.linspace(-2, 2, 4001)[:, None]
    slopes = density.score_samples_gradient(line) * density.scale_
    steps = np.diff(slopes, axis=0)
    assert abs(np.diff(steps, axis=0)).max() < 0.1 * abs(steps).max()


def test_a_module_may_begin_where_it_has_no_density():
    class Far(Gaussian):
        def log_prob(self, x):
            self.steps = getattr(self, "steps", 0) + self.training
            lost = len(x) == 12 and not self.steps  # the validation samples
            return super().log_prob(x) + (torch.nan if lost else 0.0)

    density = small(Far()).fit(moons())
    assert np.isfinite(density.best_validation_score_)
    assert density.best_validation_score_ == max(density.validation_scores_)


class ActNorm(Gaussian):
    """Takes its units from the first points that it sees."""

    seen = None

    def log_prob(self, x):
        self.seen = x.detach().clone() if self.seen is None else self.seen
        return super().log_prob(x)


def test_what_sets_itself_up_sees_no_validation_samples():
    X = moons()
    density = small(ActNorm()).fit(X)
    first = density.flow_.seen.numpy() * density.scale_ + density.mean_
    held = X[density._order[:12]]
    assert abs(first[:, None] - held).max(axis=2).min() > 1e-6


@pytest.mark.parametrize("early_stopping", [True, False])
def test_flows_that_are_worse_than_a_normal_distribution_are_told(early_stopping):
    far = Gaussian()
    with torch.no_grad():
        far.mean += 50.0  # standard deviations
    X = moons(600)
    params = {"early_stopping": early_stopping, "max_iter": 300, "noise": 1.0}
    with pytest.warns(ConvergenceWarning, match="The trained flow scores -.* than a n"):
        small(far, **params | {"max_iter": 2}).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        small(Gaussian(), **params).fit(X)


def test_a_warm_start_holds_out_the_same_rows(monkeypatch):
    held, as_it_is = [], FlowDensity._split

    def split(self, X, rng):
        samples, validation = as_it_is(self, X, rng)
        held.append(validation)
        return samples, validation

    monkeypatch.setattr(FlowDensity, "_split", split)
    X = moons()
    density = small(warm_start=True, random_state=None).fit(X).fit(X).fit(moons(90))
    np.testing.assert_array_equal(held[0], held[1])
    assert len(held[2]) == 9
    density.set_params(warm_start=False).fit(X)
    assert not np.array_equal(held[3], held[0])


OTHERS = {
    "mean": lambda X: X - [0, 5],
    "wider": lambda X: X + (X - X.mean(axis=0)) * [0, 50],
    "narrower": lambda X: X - (X - X.mean(axis=0)) * [0, 0.99],
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_warm_start_in_other_units_is_told(other):
    X = moons()
    density = small(warm_start=True).fit(X)
    density.fit(2 * X - X.mean(axis=0))
    with pytest.warns(UserWarning, match=r"units of the first fit, but 1 of 2 .*\[1\]"):
        density.fit(other(X))


def test_a_warm_start_tells_of_features_that_were_constant():
    constant = np.full((120, 1), 1e8 / 3)
    X = np.hstack([moons(), constant])
    with pytest.warns(UserWarning, match="are constant"):
        density = small(warm_start=True).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        density.fit(X)
    with pytest.warns(UserWarning, match=r"first fit, but 1 of 3 .*\[2\].*left out"):
        density.fit(X + np.arange(120)[:, None] * [0, 0, 1])


# A module of the user


MODULES = {
    "zuko": lambda: zuko.flows.NSF(2, transforms=1, hidden_features=(8,)),
    "float32": Gaussian,
    "float64": lambda: Gaussian(dtype=torch.float64),
    "float16": lambda: Gaussian(dtype=torch.float16),
    "bfloat16": lambda: Gaussian(dtype=torch.bfloat16),
    "a column": lambda: Gaussian(answer=lambda values: values[:, None]),
}


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_the_module_is_left_as_it_was(make):
    module = make()
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    next(module.children()).eval()
    before = state_of(module)
    density = small(module).fit(moons())
    density.score_samples_gradient(moons())
    density.sample(2)
    assert density.flow is module
    assert state_of(module) == before
    trained = state_of(density.flow_)
    assert trained["values"] != before["values"]
    assert not any(trained["modes"])
    assert set(trained["grad"].values()) == {None}
    dtypes = {t.dtype for t in density.flow_.parameters()}
    assert dtypes == {t.dtype for t in module.parameters()}


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_modules_score_in_the_units_of_the_samples(make):
    X = moons()
    density = small(make()).fit(X)
    points, area = grid(density, X)
    total = np.exp(density.score_samples(points)).sum() * area
    assert total == pytest.approx(1.0, abs=5e-3)
    assert density.sample(3).shape == (3, 2)


def test_a_module_needs_no_zuko(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    assert np.isfinite(small(Gaussian()).fit(moons()).score(moons()))
    with pytest.raises(ImportError, match=r"flow='neural-spline' needs zuko,.*\[deep"):
        small().fit(moons())


def test_frozen_parameters_stay():
    density = small(Gaussian()).fit(moons())
    assert density.flow_.frozen.tolist() == [1.0, 1.0]
    assert not density.flow_.frozen.requires_grad
    assert density.flow_.mean.tolist() != [0.5, 0.5]


def test_training_goes_on_from_the_weights_of_the_module():
    module = Gaussian()
    with torch.no_grad():
        module.mean += 50.0  # standard deviations
    assert small(module).fit(moons()).loss_curve_[0] > 1000


def of_nflows():
    nflows = pytest.importorskip("nflows.flows")
    return nflows.MaskedAutoregressiveFlow(2, 8, 2, 1)


def of_normflows():
    nf = pytest.importorskip("normflows")
    net = nf.nets.MLP([1, 8, 8, 2])
    flows = [nf.flows.AffineCouplingBlock(net), nf.flows.Permute(2, mode="swap")]
    return nf.NormalizingFlow(nf.distributions.base.DiagGaussian(2), flows)


@pytest.mark.parametrize("make", [of_nflows, of_normflows])
def test_flows_of_other_libraries_are_trained_and_drawn_from(make):
    X = moons()
    density = small(make(), max_iter=20).fit(X)
    assert density.loss_curve_[-1] < density.loss_curve_[0]
    drawn = density.sample(500, random_state=0)
    assert density.score(drawn) > density.score(X + 3 * X.std(axis=0))


# Copies

COPIES = {
    "copy": copy.copy,
    "pickle": lambda density: pickle.loads(pickle.dumps(density)),
    "deepcopy": copy.deepcopy,
    "frozen clone": lambda density: clone(as_density(density)),
}


@pytest.mark.parametrize("flow", [*KINDS, MODULES["zuko"], Gaussian])
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_score_as_the_fitted_flow(copied, flow):
    X = moons()
    density = small(flow if isinstance(flow, str) else flow()).fit(X)
    np.testing.assert_array_equal(
        copied(density).score_samples(X), density.score_samples(X)
    )


def test_clones_train_alike():
    X = moons()
    density = small(MODULES["zuko"]())
    other = clone(density)
    assert other.flow is not density.flow
    assert other.fit(X).loss_curve_ == density.fit(X).loss_curve_


@pytest.mark.parametrize("flow", [*KINDS, "zuko"])
def test_equal_flows_have_one_hash(flow):
    # By which a cache finds them again.
    X = moons()
    density = small(MODULES["zuko"]() if flow == "zuko" else flow).fit(X)
    read = pickle.loads(pickle.dumps(density))
    assert joblib.hash(read) == joblib.hash(density)
    assert joblib.hash(density.fit(X + 1.0)) != joblib.hash(read)


def test_what_is_read_can_be_trained_on():
    X = moons()
    density = small(warm_start=True).fit(X)
    read = pickle.loads(pickle.dumps(density))
    assert read.fit(X).loss_curve_ == density.fit(X).loss_curve_


def test_copies_are_made_between_scores():
    threads, modes = [], []

    class Copying(Gaussian):
        def log_prob(self, x):
            threads.append(threading.Thread(target=note_the_mode_of_a_copy))
            threads[0].start()
            # In vain, where the copy waits for the score.
            threads[0].join(0.1)
            return super().log_prob(x)

    module = Copying()

    def note_the_mode_of_a_copy():
        modes.append(stored(module).training)

    as_density(module).score_samples(moons())
    threads[0].join()
    assert modes == [True]


# Among other estimators


def test_geodesics_take_it():
    # The gradient of splines jumps at their knots, where relaxation stalls.
    X, smooth = moons(60) / UNITS, "masked-autoregressive"
    geodesic = GenerativeGeodesicDistance(small(smooth)).set_params(density__max_iter=3)
    D = geodesic.fit_transform(X)
    assert geodesic.density_.n_iter_ == 3
    fitted = small(smooth, max_iter=3).fit(X)
    expected = GenerativeGeodesicDistance(fitted).fit_transform(X)
    np.testing.assert_array_equal(D, expected)
    points = X[[0, 30]]
    refined = geodesic.distance(points[:1], points[1:], refine=True)
    assert 0 < refined.item() <= geodesic.distance(points[:1], points[1:]).item()


def test_searches_take_it():
    X = moons(100)
    search = GridSearchCV(small(noise=0.05), {"max_iter": [1, 20]}, cv=2)
    assert search.fit(X).best_params_ == {"max_iter": 20}
    geodesic = GenerativeGeodesicDistance(small())
    grid = {"density__max_iter": [1, 2]}
    search = GridSearchCV(geodesic, grid, cv=2, scoring=lambda *_: 0.0).fit(X)
    assert {p["density__max_iter"] for p in search.cv_results_["params"]} == {1, 2}


# What is refused


class Raises(Gaussian):
    """Fails in the middle of a fit."""

    calls = 0

    def log_prob(self, x):
        self.calls += 1
        if self.calls == 3:
            raise RuntimeError("no more.")
        return super().log_prob(x)


def test_a_flow_that_raises_leaves_nothing_fitted():
    module, X = Raises(), moons()
    before = state_of(module)
    density = small(module)
    with pytest.raises(
        ValueError, match=r"flow=Raises raised Runt.*no more.*ower learning_rate_init="
    ):
        density.fit(X)
    assert state_of(module) == before
    assert module.calls == 0
    with pytest.raises(NotFittedError):
        density.score_samples(X)


ANSWERS = {
    "a shape": (
        lambda values: values[:, None].expand(-1, 2),
        r"returned a tensor of shape \(.*, 2\).*Reduce over the features",
    ),
    "detached": (lambda values: values.detach(), "detached.*Take out detach"),
    "nan": (
        lambda values: values * float("nan"),
        "flow=Gaussian has log densities.*not finite, before training. Check its wei",
    ),
    "infinite": (lambda values: values + float("inf"), "not finite, before training"),
    "infinite once": (
        lambda values: values + (float("inf") if values.requires_grad else 0.0),
        r"became inf in training. Lower learning_rate_init=0.01",
    ),
    "a list": (lambda values: values.tolist(), "returned a list.*by a tensor alone"),
}


@pytest.mark.parametrize(("answer", "message"), ANSWERS.values(), ids=ANSWERS)
def test_answers_that_cannot_be_trained_are_refused(answer, message):
    with pytest.raises(ValueError, match=message):
        small(Gaussian(answer=answer)).fit(moons())


class Square(torch.nn.Module):
    """Overflows, and does not look at its values, as distributions may."""

    def __init__(self):
        super().__init__()
        self.mean = torch.nn.Parameter(torch.zeros(2))

    def log_prob(self, x):
        return -((x - self.mean) ** 2).sum(dim=1)


def test_a_learning_rate_that_is_too_large_is_told():
    with pytest.raises(ValueError, match=r"became -inf.*Lower learning_rate_init=1e\+"):
        small(Square(), learning_rate_init=1e30).fit(moons())


@pytest.mark.parametrize("flow", KINDS)
@pytest.mark.parametrize("rate", [1e38, 1e20])
def test_learning_rates_beyond_all_numbers_are_told(flow, rate):
    what = r"(?s)(raised (Runtime|Value)Error|became -?(nan|inf))"
    with pytest.raises(ValueError, match=rf"{what}.*ower learning_rate_init=1e\+"):
        small(flow, learning_rate_init=rate).fit(moons())


def test_a_module_without_weights_is_refused():
    with pytest.raises(ValueError, match=r"flow=Gaussian is on.*'meta'.*to_empty"):
        small(Gaussian().to("meta")).fit(moons())


class Rooted(Gaussian):
    """The root has no derivative at zero, where the loss is a number."""

    def log_prob(self, x):
        return super().log_prob(x) - (0.0 * self.mean.sum()).sqrt()


def test_a_last_step_that_loses_the_weights_is_told():
    X = moons()
    one_step = {"max_iter": 1, "batch_size": len(X), "early_stopping": False}
    with pytest.raises(ValueError, match="became nan in training"):
        small(Rooted(), **one_step).fit(X)


@pytest.mark.parametrize("sizes", [(0,), (-3,), (4.5,), ("a",), [[8]]])
def test_sizes_of_layers_that_are_none_are_refused(sizes):
    with pytest.raises(ValueError, match=r"hidden_features=.*positive.*Pass"):
        small(hidden_features=sizes).fit(moons())


def test_no_hidden_layer_is_one_choice():
    assert np.isfinite(small(hidden_features=()).fit(moons()).score(moons()))


@pytest.mark.parametrize("n_samples", [-1, 2.5, "3"])
def test_numbers_of_samples_that_are_none_are_refused(n_samples):
    density = small().fit(moons())
    with pytest.raises((ValueError, TypeError), match="n_samples"):
        density.sample(n_samples)


DRAWS = {
    "one": (lambda n: torch.zeros(2), r"\(2,\).*\(5, 2\)"),
    "one row": (lambda n: torch.zeros(1, 2), r"\(1, 2\).*\(5, 2\)"),
    "too many": (lambda n: torch.zeros(n + 1, 2), r"\(6, 2\).*\(5, 2\)"),
    "nan": (lambda n: torch.full((n, 2), torch.nan), "not finite"),
}


@pytest.mark.parametrize(("drawn", "told"), DRAWS.values(), ids=DRAWS)
def test_draws_that_are_none_are_refused(drawn, told):
    class Draws(Gaussian):
        def sample(self, n):
            return drawn(n)

    density = small(Draws()).fit(moons())
    with pytest.raises(ValueError, match=rf"flow=Draws: sample\(5\) returned.*{told}"):
        density.sample(5)


def test_draws_may_be_lists_beside_their_log_densities():
    class Draws(Gaussian):
        def sample(self, n):
            # Of the mode, too.
            return [[float(self.training), 0.0]] * n, torch.zeros(n)

    density = small(Draws()).fit(moons())
    density.flow_.train()
    np.testing.assert_allclose(density.sample(3), np.tile(density.mean_, (3, 1)))
    assert density.flow_.training


def test_a_module_without_trainable_parameters_is_refused():
    module = Gaussian()
    module.mean.requires_grad_(False)
    with pytest.raises(ValueError, match=r"flow=Gaussian has no.*pass it as the"):
        small(module).fit(moons())


def test_what_is_no_module_is_refused():
    class Parameters:
        def parameters(self):
            return []

    with pytest.raises(TypeError, match=r"type Parameters is no module of torch. Pass"):
        small(Parameters()).fit(moons())


@pytest.mark.parametrize("device", ["cuda:99", "nowhere", "meta", "mps", 0.5])
def test_devices_that_are_missing_are_refused(device):
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("This device is there.")
    with pytest.raises(ValueError, match=f"device={device!r}: .*Pass 'cpu', or"):
        small().set_params(device=device).fit(moons())


def test_a_validation_that_takes_all_samples_is_refused():
    with pytest.raises(
        ValueError, match=r"validation_fraction=0.9 of n_samples=3 leaves.*smaller one"
    ):
        small(validation_fraction=0.9).fit(moons()[:3])


def test_samples_without_any_variance_are_refused():
    with pytest.raises(ValueError, match=r"shape \(5, 2\), are constant.*that differ"):
        small().fit(np.ones((5, 2)))


@pytest.mark.parametrize(
    "other",
    [
        {"flow": "masked-autoregressive"},
        {"n_transforms": 2},
        {"hidden_features": (9,)},
        {"flow": Gaussian()},
    ],
    ids=str,
)
def test_a_warm_start_goes_on_with_the_same_flow_alone(other):
    flow = FlowDensity(
        n_transforms=1,
        hidden_features=[8],
        max_iter=1,
        random_state=0,
        early_stopping=False,
        warm_start=True,
    )
    X = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.warns(ConvergenceWarning):
        before = flow.fit(X).score_samples(X)
    with pytest.warns(ConvergenceWarning):
        assert flow.set_params(hidden_features=(8,)).fit(X).n_iter_ == 2
    with pytest.raises(ValueError, match="warm_start=True trains the flow of the last"):
        flow.set_params(**other).fit(X)
    assert flow.n_iter_ == 2
    assert not np.array_equal(flow.score_samples(X), before)
    with pytest.warns(ConvergenceWarning):
        assert flow.set_params(warm_start=False).fit(X).n_iter_ == 1


def test_training_that_gains_nothing_is_told():
    X = moons()
    told = r"no more than tol=0.0001.*{}.*12 validation.*before.*learning_rate_init={}"
    with pytest.warns(ConvergenceWarning, match=told.format("-", "1e.06")):
        lost = small(learning_rate_init=1e6).fit(X)
    assert max(lost.validation_scores_) <= lost.best_validation_score_
    with pytest.warns(ConvergenceWarning, match=told.format("-", "1e-09")):
        small(learning_rate_init=1e-9).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Training ended")
        assert small(max_iter=20).fit(X).score(X) > lost.score(X)


def test_a_module_of_another_width_is_told_without_a_hint_at_its_training():
    flow = zuko.flows.NSF(3, transforms=1, hidden_features=(8,))
    with pytest.raises(ValueError, match=r"before training.*points of 2 feat") as found:
        small(flow).fit(moons())
    assert "learning_rate" not in str(found.value)


def test_devices_of_torch_are_taken():
    density = small().set_params(device=torch.device("cpu"))
    assert clone(density).fit(moons()).device_ == "cpu"


def test_a_warm_start_is_of_one_class_not_of_one_name():
    other = type("Gaussian", (Gaussian,), {"__module__": "elsewhere"})
    density = small(Gaussian(), warm_start=True).fit(moons())
    with pytest.raises(ValueError, match=r"Gaussian, and not a elsewhere.Gaussian"):
        density.set_params(flow=other()).fit(moons())


def module_that_raises(error):
    class Failing(Gaussian):
        fails = False

        def log_prob(self, x):
            if self.training or self.fails:
                raise error
            return super().log_prob(x)

    return Failing()


SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"),
    MemoryError("Unable to allocate"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_is_told_as_it_is(error):
    module, X = module_that_raises(error), moons()
    with pytest.raises(type(error), match=str(error)):
        small(module).fit(X)
    density, module.fails = as_density(module), True
    for score in (log_density, log_density_gradient):
        with pytest.raises(type(error), match=str(error)):
            score(density, X)


def test_a_module_that_has_no_copy_is_refused():
    module = Gaussian()
    module.lock = threading.Lock()
    with pytest.raises(TypeError, match=r"flow=Gaussian cannot be copied: .*lock"):
        small(module).fit(moons())


def test_sorted_samples_set_up_as_others_do():
    X = moons(400)
    X = X[np.argsort(X[:, 0])]
    density = small(ActNorm(), early_stopping=False, noise=0.0).fit(X)
    first = density.flow_.seen.numpy()
    assert len(first) == 31  # a batch: 13 of nearly one size
    assert np.abs(first.mean(axis=0)).max() < 0.6


def test_warm_starts_have_noise_of_their_own(monkeypatch):
    monkeypatch.setattr(Watching, "seen", {True: [], False: []})
    X = moons(20)
    density = small(Watching(), warm_start=True, max_iter=1, early_stopping=False)
    for _ in range(3):
        density.fit(X)
    assert len(np.unique(Watching.seen[True], axis=0)) == 3 * 20
