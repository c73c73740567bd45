"""Maximum likelihood by stochastic gradients, with early stopping."""

import copy
import math
from contextlib import closing, contextmanager
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from .._warnings import warn
from ._torch import is_out_of_memory, log_prob, points_for, scores

# Less of the mean log density may be the chance of few validation samples.
POOR = 1.0


class Settings(NamedTuple):
    """How a flow is trained: the parameters of `FlowDensity` of these names."""

    noise: float
    max_iter: int
    batch_size: int
    learning_rate_init: float
    n_iter_no_change: int
    tol: float
    verbose: bool


class Course(NamedTuple):
    """How a training went.

    `losses` has the mean negative log density of the batches of each epoch, and
    `scores` the mean log density of the validation samples after it, if there are any.
    `best` is the highest of these, and of the one before the first epoch.
    """

    losses: list
    scores: list
    best: float


class _Best:
    """The highest score, the weights that gave it, and how long ago that was.

    It starts with the score of the weights that the flow has. Where that is None, no
    weights are kept.
    """

    def __init__(self, flow, tol, score):
        self.flow = flow
        self.tol = tol
        self.keep = score is not None
        self.weights = copy.deepcopy(flow.state_dict()) if self.keep else None
        self.score = self.milestone = score if self.keep else -np.inf
        self.n_iter_no_change = 0

    def note(self, score):
        if score > self.score:
            self.score = score
            if self.keep:
                self.weights = copy.deepcopy(self.flow.state_dict())
        if score > self.milestone + self.tol:
            self.milestone, self.n_iter_no_change = score, 0
        else:
            self.n_iter_no_change += 1

    def restore(self):
        if self.keep:
            self.flow.load_state_dict(self.weights)


def train(flow, samples, validation, settings):
    """Train a flow in place, to the weights that validate best.

    Parameters
    ----------
    flow : torch.nn.Module
        Ends in evaluation mode, without gradients.
    samples : ndarray of shape (n_samples, n_features)
        Standardised.
    validation : ndarray of shape (n_validation, n_features) or None
        Without any, the loss tells when to stop, and the last weights are kept.
    settings : Settings
        How to train.

    Returns
    -------
    Course
        How it went.

    Raises
    ------
    ValueError
        Where the flow cannot be trained, or its loss or its score is no number.
    """
    points = points_for(flow, samples)
    first = _first_score(flow, points, validation, settings)
    losses, found = [], []
    best = _Best(flow, settings.tol, first)
    passes = _passes(flow, points, validation, settings)
    try:
        stopped = _follow(passes, losses, found, best, settings.n_iter_no_change)
        best.restore()
        held, score = validation, best.score
        if validation is None:
            held, score = samples, _checked(_score(flow, samples, settings), settings)
        _judge(score, first, held, stopped, settings)
    except KeyboardInterrupt:
        if not losses:
            raise
        best.restore()
        warn(f"Training was interrupted after {len(losses)} passes.")
    _check_weights(flow, settings)
    flow.eval().zero_grad(set_to_none=True)
    return Course(losses, [] if validation is None else found, best.score)


def _follow(passes, losses, found, best, patience):
    """Note each pass; whether so many in a row brought nothing, and ended them."""
    with closing(passes):
        for loss, score in passes:
            losses.append(loss)
            found.append(score)
            best.note(score)
            if best.n_iter_no_change >= patience:
                return True
    return False


def _first_score(flow, points, validation, settings):
    """Score of the weights that the flow has, -inf where it has none that is finite.

    None where there is nothing to validate; a flow that cannot score is refused anyway.
    """
    _score_first_batch(flow, points, settings)
    if validation is None:
        return None
    score = _score(flow, validation)
    return score if math.isfinite(score) else -np.inf


def _score_first_batch(flow, points, settings):
    """Score what the training begins with, and refuse what is not finite.

    So that what sets itself up by the first points that it sees, sees none that
    validate. The random numbers of the training stay as they are.
    """
    import torch

    cuda = [points.device] if points.is_cuda else []
    with torch.random.fork_rng(cuda):
        batch = next(_batches(points, settings)).cpu().double().numpy()
    if not math.isfinite(_score(flow, batch)):
        raise ValueError(
            f"flow={type(flow).__name__} has log densities of samples that are not "
            "finite, before training. Check its weights, its support and its "
            "precision: features are standardised."
        )


def _normal_score(points, noise):
    """Mean log density by a normal distribution of noisy standardised features."""
    variance = 1 + noise**2
    terms = (points**2).mean(axis=0) / variance + math.log(2 * math.pi * variance)
    return -float(terms.sum()) / 2


def _judge(score, first, held, stopped, settings):
    """Warn where a training went wrong, brought nothing, or was not at its end.

    `score` is that of the points held out, or of all, and `first` was it before; None
    where none are held out.
    """
    rate, normal = settings.learning_rate_init, _normal_score(held, settings.noise)
    if score < normal - POOR:
        warn(
            f"The trained flow scores {score:.4g} on standardised features, less than "
            f"a normal distribution for each, with {normal:.4g}. Lower "
            f"learning_rate_init={rate:g}; where the score still rises, raise "
            f"max_iter={settings.max_iter}.",
            ConvergenceWarning,
        )
    elif first is not None and score <= first + settings.tol:
        warn(
            f"The training gained no more than tol={settings.tol:g}: the flow scores "
            f"{score:.4g} on the {len(held)} validation samples, and scored "
            f"{first:.4g} before. Where that was not good already, raise "
            f"learning_rate_init={rate:g} if loss_curve_ hardly falls, or lower it if "
            "it jumps; a larger validation_fraction tells more.",
            ConvergenceWarning,
        )
    elif not stopped:
        warn(
            f"Training ended after max_iter={settings.max_iter} passes, before "
            f"n_iter_no_change={settings.n_iter_no_change} in a row brought nothing. "
            "Raise max_iter, or fit again with warm_start=True.",
            ConvergenceWarning,
        )


def _passes(flow, samples, validation, settings):
    """Loss and score of each pass over the samples, as long as more are asked for."""
    optimizer = _optimizer(flow, settings)
    with tqdm(
        total=settings.max_iter, desc="flow", disable=not settings.verbose
    ) as progress:
        for _ in range(settings.max_iter):
            loss = _epoch(flow, optimizer, samples, settings)
            score = -loss
            if validation is not None:
                score = _checked(_score(flow, validation, settings), settings)
            progress.set_postfix(score=f"{score:.6g}", refresh=False)
            progress.update()
            yield loss, score


def _optimizer(flow, settings):
    import torch

    parameters = [p for p in flow.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            f"flow={type(flow).__name__} has no parameters that can be trained: none "
            "has requires_grad. Where it is fitted already, pass it as the density "
            "itself."
        )
    return torch.optim.Adam(parameters, lr=settings.learning_rate_init)


def _epoch(flow, optimizer, samples, settings):
    """Mean loss of a pass over the samples."""
    flow.train()
    total = 0.0
    for batch in _batches(samples, settings):
        loss = _loss(flow, batch, settings)
        value = -_checked(-loss.item(), settings)
        with _told(flow, batch.shape, settings):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        total += value * len(batch)
    return total / len(samples)


def _batches(samples, settings):
    """Random batches of all samples, with noise."""
    import torch

    order = torch.randperm(len(samples), device="cpu").to(samples.device)
    n_batches = math.ceil(len(samples) / settings.batch_size)
    # Of one size, as nearly as it goes: the last is not of a few samples.
    for rows in order.tensor_split(n_batches):
        batch = samples[rows]
        yield batch + settings.noise * torch.randn_like(batch)


def _loss(flow, batch, settings):
    with _told(flow, batch.shape, settings):
        values = log_prob(flow, batch)
    _check_answer(values, type(flow).__name__, tuple(batch.shape))
    return -values.mean()


def _score(flow, points, settings=None):
    """Mean log density of points, before the training or, with its settings, in it."""
    with _told(flow, points.shape, settings):
        return float(scores(flow, points).mean())


@contextmanager
def _told(flow, shape, settings=None):
    """Errors on a batch name the flow, and what can be done before and in training."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        when, remedy = "before training", ""
        if settings is not None:
            when = "in training"
            remedy = (
                " Its weights may have left the range: lower "
                f"learning_rate_init={settings.learning_rate_init:g}."
            )
        raise ValueError(
            f"flow={type(flow).__name__} raised {type(error).__name__} {when}, on a "
            f"tensor of shape {tuple(shape)}: {str(error).rstrip('.')}. It has to "
            f"score any finite points of {shape[1]} features, which are those of X "
            f"that vary, and to have a gradient.{remedy}"
        ) from error


def _check_answer(values, name, shape):
    """Refuse what no training can go by."""
    import torch

    if not isinstance(values, torch.Tensor):
        raise ValueError(
            f"flow={name} returned a {type(values).__name__} for a tensor of shape "
            f"{shape}; it can be trained by a tensor alone, of one number for each row."
        )
    if values.numel() != shape[0]:
        raise ValueError(
            f"flow={name} returned a tensor of shape {tuple(values.shape)} for points "
            f"of shape {shape}; log densities are one number for each row. Reduce over "
            "the features."
        )
    if not values.requires_grad:
        raise ValueError(
            f"flow={name} returned log densities that are detached from its "
            "parameters, which cannot be trained by them. Take out detach, no_grad or "
            "inference_mode; where it is fitted already, pass it as the density itself."
        )


def _checked(value, settings):
    if math.isfinite(value):
        return value
    raise ValueError(
        f"The log density of the samples became {value} in training. Lower "
        f"learning_rate_init={settings.learning_rate_init:g}, or raise "
        f"noise={settings.noise:g}; outliers of X may be the reason, too."
    )


def _check_weights(flow, settings):
    """No loss has been computed from what the last step made of the weights."""
    if any(p.isnan().any() for p in flow.parameters() if p.requires_grad):
        _checked(math.nan, settings)
