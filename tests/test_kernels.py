import threading
import time

import numba
import pytest

from skgengeo._kernels import parallel_kernels

from .test_layers import FILES, imports_of

USERS = [
    module
    for module in FILES
    if any(name.split(".")[0] in {"pynndescent", "umap"} for name in imports_of(module))
]


def test_one_thread_at_a_time():
    running, most = [], []

    def work():
        with parallel_kernels():
            running.append(1)
            most.append(len(running))
            time.sleep(0.02)
            running.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1, 10_000])
def test_no_more_threads_than_asked_for_or_at_hand(n_jobs):
    before = numba.get_num_threads()
    with parallel_kernels(n_jobs) as n_threads:
        assert n_threads == numba.get_num_threads()
        assert 1 <= n_threads <= numba.config.NUMBA_NUM_THREADS
        assert n_threads == 1 or n_jobs not in (None, 1)
    assert numba.get_num_threads() == before


def test_an_error_lets_the_next_one_in():
    before = numba.get_num_threads()
    with pytest.raises(KeyError), parallel_kernels(1):
        raise KeyError
    with parallel_kernels(1):
        pass
    assert numba.get_num_threads() == before


def test_users_of_parallel_kernels_are_found():
    assert {"skgengeo._umap", "skgengeo.geometry._edges"} <= set(USERS)


@pytest.mark.parametrize("module", USERS)
def test_users_of_parallel_kernels_share_the_lock(module):
    assert "skgengeo._kernels.parallel_kernels" in imports_of(module)
