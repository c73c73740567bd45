"""The door to torch: models made of its tensors, as they are found and as they score.

Torch is imported where a model is fitted. Foreign models bring it with them.
"""

import copy
import sys
import threading
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from inspect import ismethod, signature
from types import ModuleType

import numpy as np

from .._batching import row_batches

# Memory for each feature of a row: what three neural splines take, in double precision,
# for log p (90 to 130 numbers) and for its gradient (550), and a little more. Of log p,
# 784 features leave batches of a thousand points, below which a flow takes longer for
# each. What another model takes is not known before it is asked.
FEATURE_BYTES = 8 * 160
FEATURE_GRADIENT_BYTES = 8 * 600
# Threads share the modes of a module, and the generators of torch.
MODE_LOCK, SEED_LOCK = threading.RLock(), threading.RLock()


def imported(name, what):
    """A package of the extra `deep`, or an error that tells where to get it.

    Parameters
    ----------
    name : {"torch", "zuko"}
        The package.
    what : str
        What needs it.

    Returns
    -------
    module
        Imported.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{what} needs {name}, which could not be imported. Install it: "
            "pip install 'skgengeo[deep]'."
        ) from error


def is_module(model):
    """Whether a model is a module of torch.

    Parameters
    ----------
    model : object
        Anything.

    Returns
    -------
    bool
        False also where torch is not loaded: nothing is made of it then.
    """
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def is_of_torch(model):
    """Whether a model takes tensors.

    Parameters
    ----------
    model : object
        With ``log_prob``.

    Returns
    -------
    bool
        True for modules and distributions of torch, and for what holds a module or a
        tensor.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    known = torch.nn.Module | torch.distributions.Distribution
    return isinstance(model, known) or bool(_modules(model) or _tensors(model))


def scores(model, X):
    """Log density by a model of torch, which is left as it was.

    Parameters
    ----------
    model : object
        As `log_prob` takes it.
    X : ndarray of shape (n_points, n_features)
        The points.

    Returns
    -------
    ndarray of shape (n_points,)
        In float64; of another shape, that of a batch, where the model does not return a
        number for each point.
    """
    import torch

    values = np.empty(len(X))
    with _evaluating(model), torch.inference_mode(False), torch.no_grad():
        for rows in row_batches(len(X), row_bytes=FEATURE_BYTES * X.shape[1]):
            found = _one_each(log_prob(model, points_for(model, X[rows])), rows)
            if found.shape != values[rows].shape:
                return found
            values[rows] = found
    return values


def scores_with_gradient(model, X):
    """Log density and its gradient, by automatic differentiation.

    Parameters
    ----------
    model : object
        As `log_prob` takes it. It is left as it was.
    X : ndarray of shape (n_points, n_features)
        The points.

    Returns
    -------
    values : ndarray of shape (n_points,)
        In float64.
    gradients : ndarray of shape (n_points, n_features)
        In float64.

    Raises
    ------
    DetachedError
        Where the model lets no gradient through to the points.
    """
    values, gradients = np.empty(len(X)), np.empty(X.shape)
    with _evaluating(model):
        for rows in row_batches(len(X), row_bytes=FEATURE_GRADIENT_BYTES * X.shape[1]):
            found, slopes = _differentiated(model, X[rows])
            # A single number would be given to all rows.
            values[rows] = _one_each(found, rows).reshape(rows.stop - rows.start)
            gradients[rows] = slopes.cpu().double().numpy()
    return values, gradients


def is_out_of_memory(error):
    """Whether an error tells of memory, and of nothing else.

    Parameters
    ----------
    error : Exception
        Any.

    Returns
    -------
    bool
        True for those of torch, too.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    # Those of the CPU have no class of their own.
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


class DetachedError(Exception):
    """What a model returns is no tensor that depends on the points for torch."""


def _differentiated(model, X):
    import torch

    with differentiable():
        points = points_for(model, X).requires_grad_()
        values = log_prob(model, points)
        if not isinstance(values, torch.Tensor) or not values.requires_grad:
            raise DetachedError
        # With respect to the points alone: no parameter is given a gradient.
        slopes = torch.autograd.grad(values.sum(), points, allow_unused=True)[0]
        if slopes is None:
            raise DetachedError
        return values, slopes


@contextmanager
def differentiable():
    """Gradients are tracked, whatever the mode of the caller.

    Yields
    ------
    None
        Meanwhile.
    """
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        yield


def _one_each(values, rows):
    """A tensor, or what is returned in place of one, as an array of a row's numbers."""
    import torch

    values = torch.as_tensor(values).detach().cpu().double().numpy()
    n = rows.stop - rows.start
    return values.reshape(n) if values.size == n else values


def log_prob(model, points):
    """What a model says of points.

    Parameters
    ----------
    model : object
        With ``log_prob``, or a module that returns what has it when it is called
        without arguments, as the flows of zuko do, or log p when it is called with
        points.
    points : Tensor of shape (n_points, n_features)
        The points.

    Returns
    -------
    Tensor
        As the model returns it.
    """
    distribution = _distribution(model)
    if hasattr(distribution, "log_prob"):
        return distribution.log_prob(points)
    return distribution(points)


def draw(model, n_samples, n_features):
    """Draw points from a model, in batches as those of `scores`.

    Parameters
    ----------
    model : object
        As `log_prob` takes it.
    n_samples : int
        Number of points.
    n_features : int
        Number of features that it has.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        In float64.
    """
    import torch

    points = np.empty((n_samples, n_features))
    with _evaluating(model), torch.inference_mode(False), torch.no_grad():
        for rows in row_batches(n_samples, row_bytes=FEATURE_BYTES * n_features):
            points[rows] = _drawn(model, rows.stop - rows.start, n_features)
    return points


def _drawn(model, n_samples, n_features):
    import torch

    distribution = _distribution(model)
    name = type(distribution).__name__
    if not hasattr(distribution, "sample"):
        raise AttributeError(
            f"flow={name} has no method sample. Give it one, or take a flow that has."
        )
    is_own = isinstance(distribution, torch.distributions.Distribution)
    found = distribution.sample((n_samples,) if is_own else n_samples)
    # The flows of normflows add the log density.
    points = torch.as_tensor(found[0] if isinstance(found, tuple) else found)
    if points.shape != (n_samples, n_features):
        raise ValueError(
            f"flow={name}: sample({n_samples}) returned a tensor of shape "
            f"{tuple(points.shape)}; it has to be of shape {(n_samples, n_features)}, "
            "a row for each sample."
        )
    if not torch.isfinite(points).all():
        raise ValueError(
            f"flow={name}: sample({n_samples}) returned numbers that are not finite. "
            "Its weights may be so, or its inverse be left by points far out."
        )
    return points.cpu().double().numpy()


def _distribution(model):
    """What has log_prob, or the module itself, which takes points."""
    if hasattr(model, "log_prob"):
        return model
    inner = _inner_module(model)
    if hasattr(inner, "log_prob"):
        return inner
    if _wants_arguments(inner.forward):
        return model
    found = model()
    if not hasattr(found, "log_prob"):
        raise TypeError(
            f"{type(model).__name__} returned a {type(found).__name__}, which has no "
            "log_prob, when it was called without arguments. Give it log_prob(x), or a "
            "forward(x) that returns log p."
        )
    return found


def _inner_module(module):
    """The module within a compiled one or one for several devices, which hide it."""
    import torch

    while True:
        if isinstance(module, torch.nn.DataParallel):
            module = module.module
        elif hasattr(module, "_orig_mod"):
            module = module._orig_mod
        else:
            return module


def _wants_arguments(function):
    try:
        signature(function).bind()
    except (TypeError, ValueError):  # scripts of torch.jit have no signature
        return True
    return False


def as_array(values):
    """Values of any library as an array, those of torch without their history.

    Parameters
    ----------
    values : array-like or Tensor
        As a model returned them.

    Returns
    -------
    ndarray
        Of the same numbers.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(values, torch.Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    # There is no such array.
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def points_for(model, X):
    """Points as a model takes them.

    Parameters
    ----------
    model : object
        As `log_prob` takes it.
    X : ndarray of shape (n_points, n_features)
        The points.

    Returns
    -------
    Tensor of shape (n_points, n_features)
        A copy, which the model may write to, on its device and in its precision; double
        where it has none.
    """
    import torch

    floating = (tensor for tensor in _tensors(model) if tensor.is_floating_point())
    like = next(floating, torch.empty(0, dtype=torch.float64))
    X = np.ascontiguousarray(X)  # torch has no negative strides
    return torch.tensor(X, dtype=like.dtype, device=like.device)


def device_named(name):
    """A device that there is.

    Parameters
    ----------
    name : str or torch.device
        As torch takes it, or "auto".

    Returns
    -------
    torch.device
        "auto" is CUDA where there is some, and the CPU elsewhere.

    Raises
    ------
    ValueError
        Where torch does not know it, there is none, or it does not compute.
    """
    import torch

    try:
        if name == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        number = torch.ones(1, device=name)
        number.item()  # "meta" has no numbers
        return number.device
    except Exception as error:
        # Of the first sentence: tables of what torch has for which device may follow.
        reason = str(error).partition("\n")[0].split(". ")[0].rstrip(".")
        raise ValueError(
            f"device={name!r}: {reason}. Pass 'cpu', or 'auto' for CUDA where there is "
            "some."
        ) from error


@contextmanager
def seeded(device, seed):
    """Random numbers of torch from a seed; its global state is put back afterwards.

    One thread at a time: others would draw from the same generators.

    Parameters
    ----------
    device : torch.device
        Where numbers are drawn, beside the CPU.
    seed : int
        The seed.

    Yields
    ------
    None
        Meanwhile numbers are drawn from the global generators.
    """
    import torch

    cuda = [device] if device.type == "cuda" else []
    with SEED_LOCK, torch.random.fork_rng(cuda):
        torch.default_generator.manual_seed(seed)
        for one in cuda:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield


class _Stored:
    """A tensor that is pickled as an array.

    Torch's own pickles of one tensor differ from each other, which hashes show, and
    ask for its device where they are read.
    """

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        tensor = self.tensor
        kind = type(tensor), tensor.requires_grad, str(tensor.device)
        return _restored, (tensor.detach().cpu().contiguous().numpy(), *kind)


def _restored(array, kind, requires_grad, device):
    import torch

    try:
        tensor = torch.tensor(array, device=device)
    except (RuntimeError, AssertionError):
        tensor = torch.tensor(array)
    if issubclass(kind, torch.nn.Parameter):
        return kind(tensor, requires_grad)
    return tensor.requires_grad_(requires_grad)


def stored(model):
    """A model to be pickled in place of one: what is read back is as the model.

    Parameters
    ----------
    model : object
        Of torch, or not.

    Returns
    -------
    object
        A copy of the same structure, good for nothing else. It is pickled to the same
        bytes each time, and read on the CPU where there is no such device.
    """
    if not is_of_torch(model):
        return model
    with MODE_LOCK:
        return copy.deepcopy(model, {id(t): _Stored(t) for t in _storable(model)})


def _storable(model):
    import torch

    kinds = torch.Tensor, torch.nn.Parameter
    tensors = [*_tensors(model), *_computed(model)]
    # No other kind has an array.
    return [t for t in tensors if type(t) in kinds and t.dtype != torch.bfloat16]


def copied(module):
    """A module to be changed in place of one.

    Parameters
    ----------
    module : torch.nn.Module
        Left as it is.

    Returns
    -------
    torch.nn.Module
        A deep copy.

    Raises
    ------
    TypeError
        Where there is none, as of what holds a lock or a file.
    """
    computed = [tensor for tensor in _computed(module) if not tensor.is_leaf]
    try:
        with MODE_LOCK:
            return copy.deepcopy(module, {id(t): t.detach().clone() for t in computed})
    except Exception as error:
        raise TypeError(
            f"flow={type(module).__name__} cannot be copied: {error}. It is the copy "
            "that is trained: take out what has none."
        ) from error


def _computed(model):
    """Tensors that modules keep, as weight_norm does; torch copies no computed one."""
    import torch

    submodules = [m for module in _modules(model) for m in module.modules()]
    kept = [value for m in submodules for value in vars(m).values()]
    return [value for value in kept if isinstance(value, torch.Tensor)]


@contextmanager
def _evaluating(model):
    """Modules in evaluation mode, one thread at a time; then each in its own again."""
    submodules = [m for module in _modules(model) for m in module.modules()]
    with MODE_LOCK:
        training = [m for m in submodules if m.training]
        try:
            for module in training:
                module.training = False
            yield
        finally:
            for module in training:
                module.training = True


def _tensors(model):
    """Tensors of a model, those of its modules first."""
    import torch

    found = [t for m in _modules(model) for t in (*m.parameters(), *m.buffers())]
    return found + [part for part in _parts(model) if isinstance(part, torch.Tensor)]


def _modules(model):
    return [part for part in _parts(model) if is_module(part)]


def _parts(model):
    """A model and what it is made of, a module as a whole."""
    seen, to_do = {}, [model]
    while to_do:
        part = to_do.pop()
        if id(part) not in seen:
            seen[id(part)] = part
            to_do += _inside(part)
    return seen.values()


def _inside(part):
    # What scores samples takes arrays, whatever is in it.
    if isinstance(part, type | ModuleType) or hasattr(type(part), "score_samples"):
        return ()
    if is_module(part):
        return ()
    if isinstance(part, dict):
        return part.values()
    if isinstance(part, list | tuple):
        return part
    if isinstance(part, partial):
        return part.func, part.args, part.keywords
    if ismethod(part):
        return (part.__self__,)
    return vars(part).values() if hasattr(part, "__dict__") else ()
