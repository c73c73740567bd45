"""joblib.Memory around the stages of a fit that do not depend on λ."""

import warnings

import joblib
from sklearn.utils.validation import check_memory


def cached_if_hashable(memory, function, density, ignore=()):
    """A stage of a fit, cached where the density among its arguments can be hashed.

    Parameters
    ----------
    memory : None, str or joblib.Memory
        The cache.
    function : callable
        The stage.
    density : object
        What decides whether its calls can be told apart.
    ignore : sequence of str
        Names of arguments on which the result does not depend.

    Returns
    -------
    callable
        The function itself, with a warning, where caching is impossible.
    """
    memory = check_memory(memory)
    if getattr(memory, "location", None) is None:
        return function
    try:
        joblib.hash(density)
    except Exception as error:
        warnings.warn(
            f"memory={memory.location!r} cannot cache this density: it cannot be "
            f"pickled ({error.args[0] if error.args else error}). Replace a lambda or "
            "a nested function by one defined at the top of a module.",
            UserWarning,
            stacklevel=3,
        )
        return function
    return memory.cache(function, ignore=list(ignore))
