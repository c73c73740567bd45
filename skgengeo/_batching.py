"""Slices of rows, as many at a time as scikit-learn's ``working_memory`` holds."""

from sklearn.utils import gen_batches

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
        None depends on the number of threads.
    """
    size = get_chunk_n_rows(row_bytes) if size is None else size
    return list(gen_batches(n_rows, size)) if n_rows else []
