"""Work in batches: slices of rows that memory holds, and threads that share it."""

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import gen_batches
from sklearn.utils.parallel import Parallel, delayed

from ._compat import get_chunk_n_rows


def row_batches(n_rows, *, row_bytes=None, size=None):
    """Slices that cover the rows, in order.

    Parameters
    ----------
    n_rows : int
        Number of rows; there are no slices of none.
    row_bytes : int, optional
        Memory that a row takes while it is worked on.
    size : int, optional
        Rows in a slice, instead.

    Returns
    -------
    list of slice
        None depends on the number of threads. By memory they have a power of two of
        rows, so that batches of batches leave no small ones in between.
    """
    if size is None:
        size = 1 << (get_chunk_n_rows(row_bytes).bit_length() - 1)
    return list(gen_batches(n_rows, size)) if n_rows else []


def in_threads(work, batches, n_jobs=None):
    """What work makes of each batch, in threads that share memory.

    Parameters
    ----------
    work : callable
        ``batch -> result``; compiled kernels in it release the GIL.
    batches : sequence
        As `row_batches` gives them; one alone is worked on in this thread.
    n_jobs : None or int
        As in joblib: None is what its context says, of whatever backend, or 1. Left
        to itself, joblib takes 1 where a context of processes says 2.

    Returns
    -------
    list
        One result for each batch, in order.
    """
    n_jobs = effective_n_jobs(n_jobs) if len(batches) > 1 else 1
    return Parallel(n_jobs=n_jobs, require="sharedmem")(
        delayed(work)(batch) for batch in batches
    )


def ragged_rows(indptr, rows):
    """Where the entries of some rows stand, in rows of different lengths.

    Parameters
    ----------
    indptr : ndarray of shape (n_rows + 1,)
        Entries of row r are ``indptr[r]:indptr[r + 1]``.
    rows : ndarray of int
        The rows wanted, in that order.

    Returns
    -------
    indptr : ndarray
        Of these rows.
    entries : ndarray of int
        Their entries, row after row.
    """
    count = np.diff(indptr)[rows]
    own = np.concatenate([[0], np.cumsum(count)])
    return own, np.arange(own[-1]) + np.repeat(indptr[rows] - own[:-1], count)
