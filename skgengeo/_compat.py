"""The only door to private or version-dependent scikit-learn names."""

import inspect

from sklearn.base import _fit_context
from sklearn.cluster._spectral import cluster_qr, discretize
from sklearn.utils._chunking import get_chunk_n_rows
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "_fit_context",
    "cluster_qr",
    "discretize",
    "get_chunk_n_rows",
    "searched_parameters",
]


def searched_parameters():
    """Parameters that a search of scikit-learn is about to set, as they were given.

    A search sets clones of its candidates. The candidates themselves are nowhere but
    in the function that does so, which is looked up among those that run.

    Returns
    -------
    dict
        Empty where no search is running.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if (
            frame.f_code.co_name == "_fit_and_score"
            and frame.f_globals.get("__name__") == "sklearn.model_selection._validation"
        ):
            return frame.f_locals.get("parameters") or {}
        frame = frame.f_back
    return {}
