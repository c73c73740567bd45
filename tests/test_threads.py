"""Threads: as many as n_jobs and joblib's context ask for, in every stage of a fit."""

from contextlib import ExitStack
from functools import partial
from threading import Lock, get_ident
from unittest.mock import patch

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV
from threadpoolctl import ThreadpoolController, threadpool_limits

from skgengeo import GenerativeGeodesicDistance
from skgengeo.density import _kernel_sum
from skgengeo.geometry import _quadrature, _shortest_paths

# Where each stage calls its compiled kernel, and what makes batches of a small problem.
KERNELS = {
    "density": (_kernel_sum, "_log_sum"),
    "quadrature": (_quadrature, "_plan"),
    "costs": (_quadrature, "_mean_costs"),
    "paths": (_shortest_paths, "search_lanes"),
}
BATCHES = [
    ("skgengeo.density._scoring.THREAD_BATCH", 200),
    ("skgengeo.geometry._quadrature.EDGE_BATCH", 200),
    ("skgengeo.geometry._shortest_paths.BATCH", 32),
]
X = np.random.default_rng(0).normal(size=(300, 2))


class Counting(GenerativeGeodesicDistance):
    """Counts the threads that are in a kernel at once, and other ones than that of fit.

    Of each stage: `most_at_once_` and `n_others_`.
    """

    def fit(self, X, y=None):
        """Fit and search, as a user would, in small batches."""
        inside, most = dict.fromkeys(KERNELS, 0), dict.fromkeys(KERNELS, 0)
        others, own, lock = {stage: set() for stage in KERNELS}, get_ident(), Lock()

        def recorded(stage, kernel, *args):
            with lock:
                inside[stage] += 1
                most[stage] = max(most[stage], inside[stage])
            others[stage] |= {get_ident()} - {own}
            try:
                return kernel(*args)
            finally:
                with lock:
                    inside[stage] -= 1

        with ExitStack() as patches:
            for batch in BATCHES:
                patches.enter_context(patch(*batch))
            for stage, (module, name) in KERNELS.items():
                kernel = partial(recorded, stage, getattr(module, name))
                patches.enter_context(patch.object(module, name, kernel))
            super().fit(X, y)
            self.distance_matrix()
        self.most_at_once_ = most
        self.n_others_ = {stage: len(threads) for stage, threads in others.items()}
        return self


def most_threads(model, X, y=None):
    """A score for searches: the largest number of threads of a stage."""
    assert set(model.n_others_.values()) == {0}
    return max(model.most_at_once_.values())


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_one_thread_by_default(n_jobs):
    model = Counting(n_jobs=n_jobs).fit(X)
    assert model.most_at_once_ == dict.fromkeys(KERNELS, 1)
    assert model.n_others_ == dict.fromkeys(KERNELS, 0)


def test_n_jobs_threads_at_once():
    model = Counting(n_jobs=2).fit(X)
    assert set(model.most_at_once_.values()) <= {1, 2}
    assert min(model.n_others_.values()) > 0


@pytest.mark.parametrize("context", [{}, {"backend": "loky"}, {"backend": "threading"}])
def test_the_context_of_joblib_is_the_default(context):
    with parallel_config(**context, n_jobs=2):
        assert min(Counting().fit(X).n_others_.values()) > 0
        one = Counting(n_jobs=1).fit(X)
    assert all(one.n_others_[stage] == 0 for stage in ("quadrature", "costs", "paths"))


def test_a_search_in_processes_has_one_thread_in_each():
    search = GridSearchCV(
        Counting(), {"lam": [0.1, 1.0]}, scoring=most_threads, cv=2, n_jobs=2
    )
    assert set(search.fit(X).cv_results_["mean_test_score"]) == {1.0}


def test_limits_of_threadpoolctl_are_left_as_they_are():
    def limits():
        return [pool["num_threads"] for pool in ThreadpoolController().info()]

    with threadpool_limits(1):
        before = limits()
        Counting(n_jobs=2).fit(X)
        assert limits() == before


def test_the_number_of_threads_changes_no_bit():
    one, two = (Counting(n_jobs=n_jobs).fit(X) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.distance_matrix(), two.distance_matrix())
