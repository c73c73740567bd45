import joblib
import numpy as np
import pytest

from skgengeo._caching import cached_if_hashable

from ._densities import normal_log_density

X = np.arange(6.0).reshape(3, 2)
calls = []


def stage(log_density, points, n_jobs=None):
    calls.append(n_jobs)
    return log_density(points)


@pytest.fixture(autouse=True)
def _no_calls():
    calls.clear()


class Unpicklable:
    """Fails with an error of its own, without arguments."""

    def __call__(self, points):
        return normal_log_density(points)

    def __reduce__(self):
        raise RuntimeError


def cached(memory, density=normal_log_density):
    return cached_if_hashable(memory, stage, density, ignore=["n_jobs"])


@pytest.mark.parametrize("memory", [None, joblib.Memory(None)])
def test_without_a_place_nothing_is_cached(memory):
    assert cached(memory) is stage


@pytest.mark.parametrize("as_memory", [str, joblib.Memory])
def test_a_stage_is_run_once(tmp_path, as_memory):
    found = [cached(as_memory(tmp_path))(normal_log_density, X) for _ in range(3)]
    np.testing.assert_array_equal(found, [normal_log_density(X)] * 3)
    assert len(calls) == 1


def test_what_is_ignored_is_no_part_of_the_key(tmp_path):
    for n_jobs in (1, 2, None):
        cached(str(tmp_path))(normal_log_density, X, n_jobs=n_jobs)
    assert calls == [1]


def test_other_points_are_another_key(tmp_path):
    run = cached(str(tmp_path))
    for points in (X, X + 1e-15, X.astype(np.float32)):
        run(normal_log_density, points)
    assert len(calls) == 3


@pytest.mark.parametrize("density", [lambda x: normal_log_density(x), Unpicklable()])
def test_a_density_that_cannot_be_pickled_is_not_cached(tmp_path, density):
    message = r"memory='.*' cannot cache this density.*top of a module"
    with pytest.warns(UserWarning, match=message):
        run = cached(str(tmp_path), density)
    assert run is stage
