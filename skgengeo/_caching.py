"""joblib.Memory around what does not depend on λ: stages of a fit, and log densities.

A stage is found again by its arguments. The values of log p are found node by node,
whatever graph asked for them first: other edges need other evaluations alone.
"""

from contextlib import contextmanager

import joblib
import numpy as np
from sklearn.utils.validation import check_memory

from ._warnings import warn


def memory_if_hashable(memory, density):
    """The memory, where it can keep what comes from a density.

    Parameters
    ----------
    memory : None, str or joblib.Memory
        As a user gave it.
    density : object
        What has to be told apart from others.

    Returns
    -------
    joblib.Memory or None
        None where there is no place to keep anything, and, with a warning, where the
        density cannot be hashed.
    """
    memory = check_memory(memory)
    if getattr(memory, "location", None) is None:
        return None
    try:
        joblib.hash(density)
    except Exception as error:
        warn(
            f"memory={memory.location!r} cannot cache this density: it cannot be "
            f"pickled ({error.args[0] if error.args else error}). Replace a lambda or "
            "a nested function by one defined at the top of a module."
        )
        return None
    return memory


def cached(memory, function, ignore=()):
    """A stage of a fit, run once for the same arguments.

    Parameters
    ----------
    memory : joblib.Memory or None
        As `memory_if_hashable` gives it.
    function : callable
        The stage.
    ignore : sequence of str
        Names of arguments on which the result does not depend.

    Returns
    -------
    callable
        The function itself, where there is no memory.
    """
    if memory is None:
        return function
    return memory.cache(function, ignore=list(ignore))


@contextmanager
def node_values(memory, *depends_on):
    """Values of log p at nodes, those of earlier fits among them, for one fit.

    What is evaluated is added to the memory in the end, even if that is an error or
    an interruption.

    Parameters
    ----------
    memory : joblib.Memory or None
        As `memory_if_hashable` gives it.
    *depends_on : object
        What the values and the names of the nodes depend on.

    Yields
    ------
    NodeValues or None
        None where nothing can be kept: an object of one's own need have no more of a
        memory than `cache`.
    """
    store = cached(memory, log_density_at_nodes, ignore=["record"])
    if not hasattr(store, "call"):
        yield None
        return
    known = NodeValues(store, depends_on)
    try:
        yield known
    finally:
        known.save()


def log_density_at_nodes(key, record):
    """The record itself: what joblib.Memory keeps under the key.

    Without one it is an error, which joblib.Memory does not keep: to look for a record
    that is not there must not overwrite the one that somebody saves meanwhile.
    """
    if record is None:
        raise NoRecordError(key)
    return record


class NoRecordError(LookupError):
    """Nothing is kept under a key, or nothing that can be read."""


class NodeValues:
    """Values at nodes, each evaluated once by fits that follow one another.

    Fits that share a memory at the same time do not see each other's values until these
    are saved, and of two that save at the same moment the later replaces what the
    earlier adds. Work is then repeated; values are never wrong.

    Parameters
    ----------
    store : joblib.memory.MemorizedFunc
        Of `log_density_at_nodes`.
    depends_on : tuple of objects
        What the values and the names of the nodes depend on.
    """

    def __init__(self, store, depends_on):
        self._store = store
        self._depends_on = depends_on
        self._key = self._known = None
        self._fresh = []

    def recall(self, nodes, evaluate):
        """The values at nodes, evaluated where they are not known.

        Parameters
        ----------
        nodes : ndarray of complex of shape (n_nodes,)
            Their names, without repeats.
        evaluate : callable
            ``rows -> values`` of some of the nodes.

        Returns
        -------
        ndarray of shape (n_nodes,)
            One for each name.
        """
        if self._known is None:
            # At once: scoring changes some densities, and thus their hash.
            self._key = joblib.hash(self._depends_on, coerce_mmap=True)
            self._known = self._load()
        values = _look_up(*self._known, nodes)
        rows = np.flatnonzero(np.isnan(values))
        if len(rows):
            values[rows] = evaluate(rows)
            self._fresh.append((nodes[rows], values[rows]))
        return values

    def save(self):
        """Add what was evaluated to what is kept by now, by whomever."""
        if not self._fresh:
            return
        parts = zip(self._load(), *self._fresh, strict=True)
        nodes, values = map(np.concatenate, parts)
        nodes, first = np.unique(nodes, return_index=True)
        self._store.call(self._key, _with_digest(nodes, values[first]))
        self._fresh = []

    def _load(self):
        try:
            return _intact_parts(self._store(self._key, None))
        except NoRecordError:
            return _intact_parts(None)


def _look_up(known_nodes, known_values, nodes):
    """Values by name, NaN where there is none."""
    values = np.full(len(nodes), np.nan)
    if len(known_nodes):
        at = np.searchsorted(known_nodes, nodes)
        at[at == len(known_nodes)] = 0
        same = known_nodes[at] == nodes
        values[same] = known_values[at[same]]
    return values


def _with_digest(nodes, values):
    """What is kept: sorted names, values, and a digest of both."""
    return nodes, values, joblib.hash((nodes, values))


def _intact_parts(record):
    """Names and values of a record; none where there is none, or it is damaged."""
    if isinstance(record, tuple) and len(record) == 3:
        *parts, digest = record
        if joblib.hash(tuple(parts), coerce_mmap=True) == str(digest):
            return tuple(parts)
    return np.empty(0, dtype=complex), np.empty(0)
