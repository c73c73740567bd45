import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skgengeo import _base as base
from skgengeo.density import (
    ManifoldParzenWindows,
    TemperedDensity,
    log_density,
    log_density_gradient,
)
from skgengeo.density import _scoring as scoring
from skgengeo.density._sums import kernel_sum_of

from .._densities import Answers


def scattered(n=40, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


# Batches and threads


def test_batches_follow_working_memory(watched):
    X = scattered(1000)
    density = watched().fit(X)
    expected = log_density(density, X)
    assert [n_rows for n_rows, _ in watched.calls] == [1000]
    watched.calls.clear()
    with config_context(working_memory=1):
        np.testing.assert_array_equal(log_density(density, X), expected)
    sizes = [n_rows for n_rows, _ in watched.calls]
    assert len(sizes) > 10
    assert sum(sizes) == 1000
    # At most 2 ** 20 bytes, in float64, hold what a row takes at least.
    assert max(sizes) * X.shape[1] * 8 <= 2**20


SUMS = {
    "KernelDensity": KernelDensity(bandwidth=0.3),
    "KernelDensity, tails": KernelDensity(bandwidth=0.3, kernel="exponential"),
    "KernelDensity, compact": KernelDensity(bandwidth=0.9, kernel="cosine"),
    "GaussianMixture": GaussianMixture(3, random_state=0),
    "ManifoldParzenWindows": ManifoldParzenWindows(),
    "TemperedDensity": TemperedDensity(),
}
sums_of_kernels = pytest.mark.parametrize("model", SUMS.values(), ids=SUMS)


@sums_of_kernels
def test_sums_of_kernels_do_not_depend_on_n_jobs(model, monkeypatch):
    monkeypatch.setattr(scoring, "THREAD_BATCH", 100)
    X, Q = scattered(200), scattered(1050, seed=1)
    density = clone(model).fit(X)
    one, two = (log_density(density, Q, n_jobs=n_jobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


@sums_of_kernels
def test_sums_of_kernels_wait_for_nobody(model):
    density = clone(model).fit(scattered())
    with ThreadPoolExecutor(1) as pool, scoring.FOREIGN_LOCK:
        pool.submit(log_density, density, scattered()).result(timeout=20)


@sums_of_kernels
def test_sums_of_kernels_ask_for_no_names(model):
    frame = pd.DataFrame(scattered(), columns=["a", "b"])
    density, X = clone(model).fit(frame), scattered(seed=1)
    found = log_density(density, X)
    named = pd.DataFrame(X, columns=["a", "b"])
    np.testing.assert_array_equal(log_density(density, named), found)
    for call in (log_density, log_density_gradient):
        with pytest.raises(ValueError, match=r"\['a', 'b'\], and X has \['b', 'a'\]"):
            call(density, named[["b", "a"]])


@sums_of_kernels
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            scattered(5, 3),
            "X has 3 features, but .* was fitted on 2. Pass the features",
        ),
        (
            scattered(5, 1),
            "X has 1 features, but .* was fitted on 2. Pass the features",
        ),
        (np.array([[0.0, np.nan]]), "contains NaN"),
        (np.array([[0.0, np.inf]]), "contains infinity"),
        (np.zeros(2), "Expected 2D array, got 1D"),
    ],
)
def test_points_of_sums_of_kernels_are_checked(model, X, message):
    with pytest.raises(ValueError, match=message):
        log_density(clone(model).fit(scattered()), X)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
@sums_of_kernels
def test_sums_of_kernels_take_points_of_any_layout(model, dtype, order):
    density = clone(model).fit(scattered())
    X = (3 * scattered(seed=1)).astype(dtype)
    np.testing.assert_array_equal(
        log_density(density, np.asarray(X, order=order)),
        log_density(density, X.astype(np.float64)),
    )


@pytest.mark.parametrize("n_points", [0, 1, 3])
@sums_of_kernels
def test_few_points(model, n_points):
    density = clone(model).fit(scattered())
    found = log_density(density, scattered()[:n_points])
    np.testing.assert_allclose(found, log_density(density, scattered())[:n_points])


def test_a_sum_is_laid_out_once_for_values_and_gradients(monkeypatch):
    made = []
    monkeypatch.setattr(
        base, "kernel_sum_of", lambda d: made.append(kernel_sum_of(d)) or made[-1]
    )
    density = KernelDensity().fit(scattered())
    for_geometry = base.LogDensity(density)
    before = joblib.hash(for_geometry)
    for seed in (1, 2):
        Q = scattered(seed=seed)
        values, gradients = for_geometry.with_gradient(Q)
        np.testing.assert_array_equal(for_geometry(Q), values)
        np.testing.assert_array_equal(gradients, log_density_gradient(density, Q))
    assert len(made) == 1
    # Neither is it part of what a cache knows the density by.
    assert joblib.hash(for_geometry) == before
    assert pickle.loads(pickle.dumps(for_geometry)).__dict__.keys() == {
        *base.LogDensity(density).__dict__
    }


def test_foreign_densities_are_called_from_one_thread(watched):
    X = scattered(1000)
    with config_context(working_memory=1):
        log_density(watched().fit(X), X, n_jobs=2)
    assert len(watched.calls) > 1
    assert {thread for _, thread in watched.calls} == {threading.get_ident()}


# What any other density answers


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32])
def test_real_numbers_become_float64(dtype):
    values = log_density(Answers(lambda X: np.arange(len(X), dtype=dtype)), np.eye(5))
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, np.arange(5))


def test_zero_density_is_legal():
    outside = Answers(lambda X: np.where(X[:, 0] > 0, 0.0, -np.inf))
    np.testing.assert_array_equal(
        log_density(outside, np.array([[1.0], [-1.0]])), [0.0, -np.inf]
    )


def test_no_points_have_no_values():
    assert log_density(Answers(lambda X: X[:, 0]), np.empty((0, 2))).shape == (0,)


@pytest.mark.parametrize(("value", "name"), [(np.nan, "nan"), (np.inf, "inf")])
@pytest.mark.parametrize("first", [0, 3, 517, 999])
def test_the_first_offending_row_is_named(value, name, first):
    X = np.arange(1000.0)[:, None]
    wrong = Answers(lambda X: np.where(X[:, 0] >= first, value, X[:, 0]))
    message = (
        rf"Answers returned {name} at row {first} .*NaN or \+inf.*\[{first}\.\].*"
        "finite, or -inf outside the support"
    )
    with config_context(working_memory=1), pytest.raises(ValueError, match=message):
        log_density(wrong, X)


WRONG_SHAPES = {
    "column": lambda X: np.zeros((len(X), 1)),
    "scalar": lambda X: 0.0,
    "short": lambda X: np.zeros(len(X) - 1),
    "all features": np.zeros_like,
    "none": lambda X: None,
}


@pytest.mark.parametrize("answer", WRONG_SHAPES.values(), ids=WRONG_SHAPES)
def test_wrong_shapes_are_refused(answer):
    X = scattered(6, 3)
    given = str(np.shape(answer(X))).replace("(", r"\(").replace(")", r"\)")
    message = (
        rf"Answers returned an array of shape {given} for X of shape \(6, 3\); "
        r"log densities have shape \(6,\)"
    )
    with pytest.raises(ValueError, match=message):
        log_density(Answers(answer), X)


@pytest.mark.parametrize("dtype", [object, str, complex, bool, "M8[s]"])
def test_wrong_dtypes_are_refused(dtype):
    answer = np.zeros(6, dtype=dtype)
    with pytest.raises(
        ValueError, match=r"Answers returned .*log densities are real numbers. Return"
    ):
        log_density(Answers(lambda X: answer), scattered(6))


def test_a_density_that_raises_is_named():
    def broken(X):
        raise KeyError("no such component")

    with pytest.raises(
        ValueError, match=r"raised KeyError on an array of shape \(6, 2\): .*no such"
    ) as caught:
        log_density(Answers(broken), scattered(6))
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_unfitted_density_says_so():
    with pytest.raises(NotFittedError, match="KernelDensity"):
        log_density(KernelDensity(), scattered(6))


def test_other_densities_are_called_from_one_thread_at_a_time():
    inside, most = [], []

    def slow(X):
        inside.append(threading.get_ident())
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return X[:, 0]

    density = Answers(slow)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda seed: log_density(density, scattered(seed=seed)), range(8))
        )
    assert len(most) == 8
    assert max(most) == 1
