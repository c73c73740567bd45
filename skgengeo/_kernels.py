"""Parallel compiled kernels of other packages: one at a time.

numba's default threading layer aborts the process when two threads start a parallel
kernel at the same time. Kernels of this package are serial; pynndescent and umap have
parallel ones.
"""

import threading
from contextlib import contextmanager

import numba
from joblib import effective_n_jobs

_LOCK = threading.Lock()


@contextmanager
def parallel_kernels(n_jobs=None):
    """Let this thread alone run parallel kernels, as long as the context lasts.

    Parameters
    ----------
    n_jobs : None or int
        Threads that a kernel may use, as in joblib.

    Yields
    ------
    int
        The number of threads, at most those that numba has.
    """
    with _LOCK:
        before = numba.get_num_threads()
        n_threads = min(effective_n_jobs(n_jobs), numba.config.NUMBA_NUM_THREADS)
        numba.set_num_threads(n_threads)
        try:
            yield n_threads
        finally:
            numba.set_num_threads(before)
