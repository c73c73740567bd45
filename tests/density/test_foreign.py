"""Models of other libraries as densities: the real ones, and such as do odd things."""

import copy
import pickle
import threading
import warnings
from functools import partial

import joblib
import numpy as np
import pytest
import sklearn
from scipy import stats
from sklearn.base import clone

from skgengeo import GeodesicInterpolator
from skgengeo.density import (
    TemperedDensity,
    as_density,
    log_density,
    log_density_gradient,
)

from .._densities import is_analytic, normal_log_density, state_of

pytestmark = pytest.mark.deep


def library(name):
    """A library, which may warn of others when it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


def points(n=20, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


# Each makes a model, and a function that scores by it without this package.


def torch_independent():
    torch = library("torch")
    loc, scale = torch.tensor([1.0, -1.0]).double(), torch.tensor([0.5, 2.0]).double()
    normal = torch.distributions.Normal(loc, scale)
    oracle = stats.multivariate_normal([1.0, -1.0], np.diag([0.25, 4.0])).logpdf
    return torch.distributions.Independent(normal, 1), oracle


def torch_mixture():
    torch = library("torch")
    means = torch.tensor([[0.0, 0.0], [3.0, 1.0]])
    weights = torch.distributions.Categorical(torch.tensor([0.25, 0.75]))
    parts = torch.distributions.MultivariateNormal(means, torch.eye(2))
    first, second = (stats.multivariate_normal(m).logpdf for m in means.numpy())

    def oracle(X):
        return np.logaddexp(first(X) + np.log(0.25), second(X) + np.log(0.75))

    return torch.distributions.MixtureSameFamily(weights, parts), oracle


def of_torch(model):
    """What a module says in evaluation mode, of itself."""
    torch = library("torch")
    alone = copy.deepcopy(model).eval()

    def oracle(X):
        distribution = alone if hasattr(alone, "log_prob") else alone()
        like = next(alone.parameters())
        return distribution.log_prob(torch.as_tensor(X, dtype=like.dtype)).detach()

    return model, oracle


def zuko_flow():
    zuko = library("zuko")
    return of_torch(zuko.flows.MAF(2, transforms=2, hidden_features=(8,)))


def zuko_flow_in_double():
    zuko = library("zuko")
    return of_torch(zuko.flows.NSF(2, transforms=2, hidden_features=(8,)).double())


def zuko_distribution():
    flow, oracle = zuko_flow()
    return flow(), oracle


def nflows_flow():
    library("nflows")
    from nflows.flows import MaskedAutoregressiveFlow

    # Its mode matters: statistics of a batch would be another density.
    flow = MaskedAutoregressiveFlow(2, 8, 2, 1, batch_norm_between_layers=True)
    return of_torch(flow)


def normflows_flow():
    nf = library("normflows")
    base = nf.distributions.base.DiagGaussian(2)
    net = nf.nets.MLP([1, 8, 8, 2])
    flows = [nf.flows.AffineCouplingBlock(net), nf.flows.Permute(2, mode="swap")]
    return of_torch(nf.NormalizingFlow(base, flows))


def pyro_distribution():
    library("pyro")
    import torch
    from pyro import distributions
    from pyro.distributions import transforms

    base = distributions.Normal(torch.zeros(2), torch.ones(2)).to_event(1)
    spline = transforms.spline_autoregressive(2, [8])
    flow = distributions.TransformedDistribution(base, [spline])
    return flow, lambda X: flow.log_prob(torch.as_tensor(X).float()).detach()


def numpyro_distribution():
    library("numpyro")
    from numpyro import distributions

    model = distributions.MultivariateNormal(np.zeros(2), np.eye(2))
    return model, normal_log_density


def scipy_distribution():
    covariance = [[1.0, 0.5], [0.5, 2.0]]
    return stats.multivariate_normal(cov=covariance), stats.multivariate_normal(
        cov=covariance
    ).logpdf


def scipy_kde():
    kde = stats.gaussian_kde(points(30, seed=1).T)
    return kde, lambda X: kde.logpdf(X.T)


def statsmodels_kde():
    library("statsmodels")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.nonparametric.kernel_density import KDEMultivariate

        kde = KDEMultivariate(points(30, seed=1), "cc", bw=[0.5, 0.8])
    kernels = [
        stats.multivariate_normal(x, np.diag([0.25, 0.64])) for x in points(30, seed=1)
    ]
    return kde, lambda X: np.log(np.mean([k.pdf(X) for k in kernels], axis=0))


OF_TORCH = {
    make.__name__: make
    for make in (
        torch_independent,
        torch_mixture,
        zuko_flow,
        zuko_flow_in_double,
        zuko_distribution,
        nflows_flow,
        normflows_flow,
        pyro_distribution,
    )
}
ALL = OF_TORCH | {
    make.__name__: make
    for make in (numpyro_distribution, scipy_distribution, scipy_kde, statsmodels_kde)
}
models = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
models_of_torch = pytest.mark.parametrize("make", OF_TORCH.values(), ids=OF_TORCH)


@models
def test_models_score_as_they_do_alone(make):
    model, oracle = make()
    X = points()
    values = log_density(as_density(model), X)
    np.testing.assert_allclose(values, np.asarray(oracle(X)), rtol=1e-5, atol=1e-6)


@models
def test_a_single_row(make):
    model, oracle = make()
    values = log_density(as_density(model), points()[:1])
    assert values.shape == (1,)
    np.testing.assert_allclose(values, np.asarray(oracle(points()))[:1], rtol=1e-5)


@models
def test_gradients(make):
    model, _ = make()
    density, X = as_density(model), points()
    # Along segments they add up to what the values differ by, across knots too.
    ends = X + np.array([0.3, -0.2])
    share = (np.arange(200) + 0.5)[:, None, None] / 200
    gradients = log_density_gradient(density, (X + share * (ends - X)).reshape(-1, 2))
    along = (gradients.reshape(200, -1, 2) * (ends - X)).sum(axis=2).mean(axis=0)
    gained = density.score_samples(ends) - density.score_samples(X)
    np.testing.assert_allclose(along, gained, rtol=1e-2, atol=0.02)


@models_of_torch
def test_models_of_torch_are_differentiated(make):
    model, _ = make()
    assert is_analytic(as_density(model), points())
    # Far from zero differences in single precision are rough: by torch they are not.
    found, values = log_density_gradient(
        as_density(model), points(), return_log_density=True
    )
    assert found.dtype == np.float64
    np.testing.assert_allclose(
        values, as_density(model).score_samples(points()), rtol=1e-6
    )


@models
def test_models_are_cloned_and_tempered(make):
    model, _ = make()
    density, X = as_density(model), points()
    expected = density.score_samples(X)
    assert clone(density) is density
    tempered = TemperedDensity(model, temperature=2.0).fit(X)
    np.testing.assert_allclose(tempered.score_samples(X), expected / 2, rtol=1e-12)


@models
def test_models_are_pickled(make):
    model, _ = make()
    density, X = as_density(model), points()
    try:
        pickle.dumps(model)
    except Exception as error:
        pytest.skip(f"The library does not pickle it: {error}")
    read = pickle.loads(pickle.dumps(density))
    np.testing.assert_array_equal(read.score_samples(X), density.score_samples(X))


def test_models_that_keep_what_they_compute_are_copied():
    torch = library("torch")
    model, X = odd_flow().eval(), points()
    model.scale = 1.0 * model.mean
    assert not model.scale.is_leaf
    density = as_density(model)
    # By its pickle.
    read = copy.deepcopy(density)
    np.testing.assert_array_equal(read.score_samples(X), density.score_samples(X))
    assert torch.equal(read.model.scale, model.scale)


@pytest.mark.parametrize(
    "make", [zuko_flow, normflows_flow, torch_mixture], ids=lambda make: make.__name__
)
def test_equal_models_have_one_hash(make):
    density = as_density(make()[0])
    read = pickle.loads(pickle.dumps(density))
    assert joblib.hash(read) == joblib.hash(density)


def test_geodesics_by_a_distribution_of_torch():
    model, oracle = torch_mixture()
    torch_path = GeodesicInterpolator(model).fit(points(40))
    plain_path = GeodesicInterpolator(lambda X: np.atleast_1d(oracle(X)))
    plain_path.fit(points(40))
    ends = points(2, seed=3)
    found, expected = (p.distance(ends[:1], ends[1:]) for p in (torch_path, plain_path))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_densities_that_vanish_far_away():
    model, _ = statsmodels_kde()
    density = as_density(model)
    assert np.isneginf(log_density(density, [[1e3, 0.0]])).all()
    np.testing.assert_array_equal(log_density_gradient(density, [[1e3, 0.0]]), 0.0)


def test_distributions_of_one_feature():
    torch = library("torch")
    X = points(d=1)
    density = as_density(torch.distributions.StudentT(torch.tensor(3.0).double()))
    np.testing.assert_allclose(log_density(density, X), stats.t(3).logpdf(X[:, 0]))
    slope = -4 * X / (3 + X**2)
    np.testing.assert_allclose(log_density_gradient(density, X), slope)


def test_a_support_that_ends():
    torch = library("torch")
    exponential = torch.distributions.Exponential(
        torch.ones(1, dtype=torch.float64), validate_args=False
    )

    class Half(torch.nn.Module):
        def log_prob(self, x):
            return exponential.log_prob(x) + torch.where(x < 0, -torch.inf, 0.0)

    density = as_density(Half())
    X = np.array([[-1.0], [2.0]])
    np.testing.assert_array_equal(log_density(density, X), [-np.inf, -2.0])
    np.testing.assert_array_equal(log_density_gradient(density, X), [[0.0], [-1.0]])


# Odd models


def odd_flow(answer=lambda self, x, values: values, dtype=None, n_features=2):
    """A normal density with modules whose mode matters."""
    torch = library("torch")

    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = torch.nn.Parameter(torch.zeros(n_features, dtype=dtype))
            self.dropout = torch.nn.Dropout(0.5)
            norm = torch.nn.BatchNorm1d(n_features, dtype=dtype)
            self.inner = torch.nn.Sequential(norm)

        def log_prob(self, x):
            x = self.dropout(x) + 0.0 * self.inner(x)
            normal = torch.distributions.Normal(self.mean, torch.ones_like(self.mean))
            return answer(self, x, normal.log_prob(x).sum(dim=1))

    return Odd()


def detached_by(name):
    def answer(self, x, values):
        with getattr(library("torch"), name)():
            return values.clone()

    return answer


def not_differentiable(self, x, values):
    torch = library("torch")

    class NoBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, values):
            return values.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("no derivative")

    return NoBackward.apply(values)


ANSWERS = {
    "as usual": lambda self, x, values: values,
    "a column": lambda self, x, values: values[:, None],
    "detached": lambda self, x, values: values.detach(),
    "no_grad": detached_by("no_grad"),
    "inference_mode": detached_by("inference_mode"),
    "array": lambda self, x, values: values.detach().numpy(),
    "double": lambda self, x, values: values.double(),
    "detached points": lambda self, x, values: values.detach() + 0 * self.mean.sum(),
}
answers = pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)


DETACHED = set(ANSWERS) - {"as usual", "a column", "double"}


@pytest.mark.parametrize("name", ANSWERS)
def test_only_what_is_detached_takes_differences(name):
    density = as_density(odd_flow(ANSWERS[name]))
    assert is_analytic(density, points()) == (name not in DETACHED)


def test_what_fails_when_it_is_differentiated_is_told():
    density = as_density(odd_flow(not_differentiable))
    assert np.isfinite(log_density(density, points())).all()
    with pytest.raises(
        ValueError, match=r"Odd raised RuntimeError when torch.*no derivative.*detach"
    ):
        log_density_gradient(density, points())


def set_modes(module, mode):
    module.train(mode == "training")
    if mode == "mixed":
        module.inner.train()


@pytest.mark.parametrize("mode", ["training", "evaluation", "mixed"])
@answers
def test_odd_models_score_and_are_left_as_they_were(answer, mode):
    model, X = odd_flow(answer), points()
    set_modes(model, mode)
    before = state_of(model)
    density = as_density(model)
    values = log_density(density, X)
    np.testing.assert_allclose(values, normal_log_density(X), rtol=1e-5)
    np.testing.assert_allclose(log_density_gradient(density, X), -X, atol=2e-3)
    assert state_of(model) == before


def test_a_bound_log_prob_is_its_model():
    model, X = odd_flow(), points()
    density = as_density(model.log_prob)
    np.testing.assert_allclose(log_density(density, X), normal_log_density(X), 1e-5)
    assert is_analytic(density, X)
    distribution, oracle = torch_mixture()
    found = log_density(as_density(distribution.log_prob), X)
    np.testing.assert_allclose(found, oracle(X), rtol=1e-5)


def test_a_module_that_returns_log_p():
    torch = library("torch")

    class Returns(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Linear(2, 1)

        def forward(self, x):
            return -(self.net(x) ** 2)

    model, X = Returns(), points()
    density = as_density(model)
    expected = model(torch.as_tensor(X).float()).detach()[:, 0]
    np.testing.assert_allclose(log_density(density, X), expected, rtol=1e-5)
    assert is_analytic(density, X)


def compiled(torch, model):
    return torch.compile(model, backend="eager")


def parallel(torch, model):
    return torch.nn.DataParallel(model)


WRAPPED = {
    "compiled": compiled,
    "parallel": parallel,
    "both": lambda torch, model: parallel(torch, compiled(torch, model)),
    "scripted": lambda torch, model: torch.jit.trace(model, torch.zeros(3, 2)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_modules_score_as_they_do(wrap):
    torch = library("torch")
    model, X = torch.nn.Linear(2, 1), points()
    expected = log_density(as_density(model), X)
    found = log_density(as_density(wrap(torch, model)), X)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("wrap", [compiled, parallel])
@pytest.mark.parametrize("make", [zuko_flow, nflows_flow])
def test_wrapped_flows_are_the_flows(make, wrap):
    flow, oracle = make()
    found = log_density(as_density(wrap(library("torch"), flow)), points())
    np.testing.assert_allclose(found, oracle(points()), rtol=1e-5)


def test_points_may_be_a_view_that_runs_backwards():
    density, X = as_density(odd_flow()), points()
    np.testing.assert_array_equal(
        log_density(density, X[::-1])[::-1], log_density(density, X)
    )


def test_a_module_that_returns_something_else_is_refused():
    torch = library("torch")

    class Returns(torch.nn.Module):
        def forward(self, context=None):
            return torch.zeros(3)

    with pytest.raises(ValueError, match=r"Returns returned a Tensor.*forward\(x\) "):
        log_density(as_density(Returns()), points())


def with_history(dtype):
    torch = library("torch")

    def answer(X):
        one = torch.ones((), dtype=dtype, requires_grad=True)
        return one * torch.as_tensor(normal_log_density(X)).to(dtype)

    return answer


class Scores:
    def __init__(self, name, answer):
        setattr(self, name, answer)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", ["", "score_samples", "log_prob", "logpdf", "pdf"])
def test_tensors_with_a_history_are_taken(name, dtype):
    answer, X = with_history(getattr(library("torch"), dtype)), points()
    if name == "pdf":
        model = Scores(name, lambda X: answer(X).exp())
    else:
        model = Scores(name, answer) if name else answer
    density, rtol = as_density(model), 0.1 if dtype == "bfloat16" else 1e-5
    for values in (log_density(density, X), density.score_samples(X)):
        assert isinstance(values, np.ndarray)
        np.testing.assert_allclose(values, normal_log_density(X), rtol=rtol)


def test_a_function_around_a_model_of_torch_is_told_of_arrays():
    model = odd_flow()
    with pytest.raises(ValueError, match=r"as an array. Pass a model of torch itself"):
        log_density(as_density(lambda X: model.log_prob(X)), points())


class Called:
    """Keeps a function, and not the module that it is of."""

    def __init__(self, function):
        self.log_prob = function


@pytest.mark.parametrize(
    "wrapped", ["module", "attribute", "list", "partial", "method"]
)
def test_modules_are_found_in_what_holds_them(wrapped):
    model, X = odd_flow(), points()

    class Holder:
        def __init__(self, held):
            self.held = held

        def log_prob(self, x):
            held = self.held[0] if isinstance(self.held, list) else self.held
            return held.log_prob(x)

    held = {
        "module": model,
        "attribute": Holder(model),
        "list": Holder([model]),
        "partial": Holder(Called(partial(model.log_prob))),
        "method": Holder(Called(model.log_prob)),
    }
    density = as_density(held[wrapped])
    values = log_density(density, X)
    np.testing.assert_allclose(values, normal_log_density(X), rtol=1e-5)
    assert all(module.training for module in model.modules())


def test_what_holds_an_estimator_is_given_arrays():
    class Scorer:
        def score_samples(self, X):
            assert isinstance(X, np.ndarray)
            return normal_log_density(X)

    class Holder:
        def __init__(self, held):
            self.held = held

        def log_prob(self, X):
            return self.held.score_samples(X)

    scorer = Scorer()
    scorer.model = odd_flow()
    values = log_density(as_density(Holder(scorer)), points())
    np.testing.assert_array_equal(values, normal_log_density(points()))


def test_a_model_keeps_the_gradients_that_it_has():
    torch = library("torch")
    model = odd_flow()
    model.mean.grad = torch.tensor([3.0, 4.0])
    log_density_gradient(as_density(model), points())
    assert model.mean.grad.tolist() == [3.0, 4.0]
    model.mean.requires_grad_(False)
    np.testing.assert_allclose(
        log_density_gradient(as_density(model), points()), -points(), rtol=1e-5
    )
    assert not model.mean.requires_grad


def test_a_model_that_raises_is_left_as_it_was():
    def fails(self, x, values):
        raise RuntimeError("out of order.")

    model = odd_flow(fails)
    model.dropout.eval()
    before = state_of(model)
    density = as_density(model)
    for score in (log_density, log_density_gradient):
        with pytest.raises(ValueError, match=r"Odd raised Runtime.*out of order\."):
            score(density, points())
        assert state_of(model) == before


def test_a_model_that_answers_feature_by_feature_is_refused():
    model = odd_flow(lambda self, x, values: values[:, None] + 0 * x)
    for score in (log_density, log_density_gradient):
        with pytest.raises(ValueError, match=r"shape \(20, 2\).*Reduce over the feat"):
            score(as_density(model), points())


@pytest.mark.parametrize(
    "answer",
    [lambda self, x, values: values.sum(), lambda self, x, values: x + self.mean],
    ids=["of all points", "of each feature"],
)
def test_answers_of_another_shape_are_refused_in_batches_too(answer):
    model = odd_flow(answer, n_features=64)
    with (
        sklearn.config_context(working_memory=1),
        pytest.raises(ValueError, match=r"Odd returned an array.*Reduce over the feat"),
    ):
        log_density(as_density(model), points(1000, 64))


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_model_that_answers_for_all_points_at_once_is_refused(shape):
    model = odd_flow(lambda self, x, values: values.sum().reshape(shape))
    for score in (log_density, log_density_gradient):
        with pytest.raises(ValueError, match="Odd returned an array of shape"):
            score(as_density(model), points())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_log_density_are_refused(value):
    model = odd_flow(lambda self, x, values: values.where(x[:, 0] < 1.0, value))
    for score in (log_density, log_density_gradient):
        with pytest.raises(ValueError, match=f"Odd returned {value} at row"):
            score(as_density(model), points())


def test_gradients_that_are_no_numbers_are_found_by_differences():
    # The norm has none at zero, where the derivative of its square is zero.
    model = odd_flow(lambda self, x, values: -((x**2).sum(dim=1).sqrt() ** 2)).double()
    X = np.vstack([np.zeros(2), points()])
    gradient = log_density_gradient(as_density(model), X)
    np.testing.assert_allclose(gradient, -2 * X, atol=1e-9)


def differentiating(self, x, values):
    """As continuous flows do: the trace of a Jacobian is part of their log density."""
    torch = library("torch")
    with torch.enable_grad():
        inner = (x + 0.0 * self.mean).requires_grad_()
        (slope,) = torch.autograd.grad((inner**2).sum(), inner)
    return values + 0.0 * slope.sum(dim=1)


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_the_mode_of_the_caller_does_not_matter(mode):
    torch = library("torch")
    density, X = as_density(odd_flow(differentiating)), points()
    with getattr(torch, mode)():
        values, gradient = log_density(density, X), log_density_gradient(density, X)
    np.testing.assert_allclose(values, normal_log_density(X), rtol=1e-5)
    np.testing.assert_allclose(gradient, -X, rtol=1e-5)


def test_gradients_of_single_precision_are_exact():
    # Differences would be wrong in the fourth digit.
    X = points() + 100.0
    gradient = log_density_gradient(as_density(odd_flow()), X)
    np.testing.assert_allclose(gradient, -X, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_gradients_of_half_precision(dtype):
    model, X = odd_flow(dtype=getattr(library("torch"), dtype)), points()
    np.testing.assert_allclose(log_density_gradient(as_density(model), X), -X, 0.01)


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("score", [log_density, log_density_gradient])
def test_points_are_given_as_copies(score, writable):
    def in_place(self, x, values):
        with library("torch").no_grad():
            x.sub_(0.5)
        return values

    X = points()
    X.flags.writeable = writable
    dtype = library("torch").float64
    found = score(as_density(odd_flow(in_place, dtype=dtype)), X)
    np.testing.assert_array_equal(X, points())
    np.testing.assert_allclose(found, score(as_density(odd_flow(dtype=dtype)), X))


def test_points_go_where_the_model_is():
    torch = library("torch")
    from skgengeo.density._torch import points_for

    assert points_for(odd_flow().to("meta"), points()).device.type == "meta"
    assert points_for(odd_flow(dtype=torch.float16), points()).dtype == torch.float16


def test_pickles_of_a_missing_device_are_read_on_the_cpu():
    torch = library("torch")
    from skgengeo.density._torch import _restored

    parameter = _restored(np.ones(2), torch.nn.Parameter, True, "cuda:99")
    assert isinstance(parameter, torch.nn.Parameter)
    assert parameter.device.type == "cpu"
    assert parameter.requires_grad
    assert not _restored(np.ones(2), torch.Tensor, False, "cpu").requires_grad


def test_rows_are_scored_in_batches():
    library("torch")
    sizes = []

    def noted(self, x, values):
        sizes.append(len(x))
        return values

    density, X = as_density(odd_flow(noted)), points(1000)
    with sklearn.config_context(working_memory=0.1):
        values = density.score_samples(X)
        gradients = log_density_gradient(density, X)
    assert max(sizes) < 100
    np.testing.assert_allclose(values, normal_log_density(X), rtol=1e-5)
    np.testing.assert_allclose(gradients, -X, rtol=1e-5)


def test_batches_of_images_are_of_a_thousand():
    library("torch")
    sizes = []

    def noted(self, x, values):
        sizes.append(len(x))
        return values

    density = as_density(odd_flow(noted, n_features=784))
    log_density(density, np.zeros((30_000, 784), dtype=np.float32))
    assert sum(sizes) == 30_000
    # The last has what is left.
    assert min(sizes[:-1]) >= 1000


def test_threads_that_score_a_model_do_not_change_its_mode():
    library("torch")
    modes, inside, both, one_done = [], *(threading.Event() for _ in range(3))

    def noted(self, x, values):
        if inside.is_set():
            both.set()
            one_done.wait(5)
        else:
            inside.set()
            # In vain, where threads score one after the other.
            both.wait(0.2)
        modes.append(self.training)
        return values

    model = odd_flow(noted)
    before, density = state_of(model), as_density(model)

    def score_second():
        inside.wait(5)
        density.score_samples(points())

    other = threading.Thread(target=score_second)
    other.start()
    density.score_samples(points())
    one_done.set()
    other.join()
    assert modes == [False, False]
    assert state_of(model) == before
