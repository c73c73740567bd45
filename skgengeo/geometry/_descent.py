"""Nodes -> nodes of least energy, many curves at once.

Each step goes to the minimum of a model of the energy, damped where the energy falls
by less than the model tells. In few features the model is Newton's, whose steps are the
fewest; in many it is L-BFGS's, whose work is linear in the number of features. The
damping is relative to what holds the nodes together, so that the number of steps does
not depend on the number of nodes.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .._batching import in_threads, row_batches
from .._compat import get_chunk_n_rows
from ._energy import BRAKE, LEAST_DAMPING, STALLED, energy, evaluated
from ._lbfgs import LimitedMemory
from ._newton import Newton

# Nodes of the curves that take their steps together: the density is evaluated on them
# in one call, and by one thread.
NODE_BATCH = 8192
# Damping at first, and what a step that went as predicted divides it by.
DAMPING, EASE = 1.0, 4.0
# Shares of the predicted decrease: of a good step, a fair one, and one that is taken.
GOOD, FAIR, TAKEN = 0.75, 0.25, 1e-4
# Steps that move a node by more than this many lengths of the curve are not tried.
LEAP = 10.0
# Up to so many features steps are Newton's. Under mixtures of eight Gaussians L-BFGS's
# take half longer than those in 10, half the time in 20, and a fifteenth in 50.
MAX_NEWTON_FEATURES = 16


class Descent(NamedTuple):
    """Nodes that `descended` has moved.

    The energy is that of any curve of the same ends, and not evaluated, where it is the
    straight segment that was asked for.
    """

    nodes: np.ndarray
    log_energy: np.ndarray
    converged: np.ndarray
    n_steps: np.ndarray
    n_gradients: int


def descended(nodes, log_density_gradient, metric, tol, max_steps, n_jobs=None):
    """Minimise the energy of each curve, in batches of bounded memory.

    Parameters
    ----------
    nodes : ndarray of shape (n_curves, n_nodes, n_features)
        Where to start; left as they are.
    log_density_gradient : callable
        Points of shape (n, n_features) -> log p of shape (n,) and its gradient of
        shape (n, n_features).
    metric : Metric
        λ, log p0 and the exponent.
    tol : float
        A curve has converged when a step would lower its energy by no more than this
        share.
    max_steps : int
        Steps after which a curve is left as it is.
    n_jobs : None or int
        As in scikit-learn; no part of the result.

    Returns
    -------
    Descent
        Their nodes, and the steps there.
    """
    n_curves, n_nodes, d = nodes.shape
    nodes = nodes.copy()
    ends_meet = (nodes[:, 0] == nodes[:, -1]).all(axis=1)
    straight = ends_meet | np.isinf(metric.lam) | (n_nodes == 2)
    nodes[straight] = np.linspace(
        nodes[straight, 0], nodes[straight, -1], n_nodes, axis=1
    )
    log_energy = np.full(n_curves, -np.inf)
    converged, n_steps = straight.copy(), np.zeros(n_curves, dtype=int)

    def _descend_some(some):
        rows = bent[some]
        rule = log_density_gradient, metric, tol, max_steps
        found, n_gradients = _descend(nodes[rows], *rule)
        nodes[rows], log_energy[rows], converged[rows], n_steps[rows] = found
        return n_gradients

    bent = np.flatnonzero(~straight)
    batches = _curve_batches(len(bent), n_nodes, d)
    counts = in_threads(_descend_some, batches, n_jobs)
    return Descent(nodes, log_energy, converged, n_steps, sum(counts))


def _curve_batches(n_curves, n_nodes, d):
    """Batches that bound the memory of a step, and the nodes of a call."""
    row_bytes = 8 * n_nodes * _model(d).node_floats(d)
    most = max(NODE_BATCH // n_nodes, 1)
    size = get_chunk_n_rows(row_bytes, max_n_rows=most)
    return row_batches(n_curves, size=size)


def _model(n_features):
    return Newton if n_features <= MAX_NEWTON_FEATURES else LimitedMemory


def _descend(x, log_density_gradient, metric, tol, max_steps):
    """Damped steps of a batch of curves, each for itself."""
    n_curves, n_nodes, d = x.shape
    model = _model(d)(n_curves, n_nodes, d, metric.exponent)
    log_c, weight, slope = evaluated(x, log_density_gradient, metric)
    unit, damping = log_c.max(axis=1), np.full(n_curves, DAMPING)
    log_energy = np.empty(n_curves)
    converged, n_steps = np.zeros((2, n_curves), dtype=int)
    rows, n_gradients = np.arange(n_curves), n_curves * n_nodes
    while len(rows):
        step = np.zeros((len(rows), n_nodes, d))
        energy, decrease = model.propose(
            rows, x, log_c, weight, slope, unit, damping, step
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            log_energy[rows] = 2 * unit[rows] + np.log(energy)
        length = np.abs(np.diff(x[rows], axis=1)).sum(axis=(1, 2))
        sound = (decrease >= 0) & (np.abs(step).max(axis=(1, 2)) <= LEAP * length)
        converged[rows] = sound & (decrease * (1 + damping[rows]) <= tol * energy)
        wild = rows[~sound]
        damping[wild] = BRAKE * np.maximum(damping[wild], LEAST_DAMPING)
        going = (converged[rows] == 0) & (n_steps[rows] < max_steps)
        going &= damping[rows] < STALLED
        rows, tried = rows[going], going & sound
        n_steps[rows] += 1
        if tried.any():
            some = rows[sound[going]]
            trial = x[some] + step[tried]
            found = evaluated(trial[:, 1:-1], log_density_gradient, metric)
            model.learn(some, x, weight, slope, trial, *found[1:])
            state = x, log_c, weight, slope, unit, damping
            _judge(some, *state, trial, *found, energy[tried], decrease[tried])
            n_gradients += len(some) * (n_nodes - 2)
    return (x, log_energy, converged.astype(bool), n_steps), n_gradients


@njit(cache=True, nogil=True)
def _judge(
    rows,
    x,
    log_c,
    weight,
    slope,
    unit,
    damping,
    trial,
    trial_log_c,
    trial_weight,
    trial_slope,
    before,
    decrease,
):
    """Take each trial where the energy falls, and set the damping."""
    for row in range(len(rows)):
        p = rows[row]
        found = log_c[p] - unit[p]
        found[1:-1] = trial_log_c[row] - unit[p]
        share = (before[row] - energy(trial[row], found)) / decrease[row]
        if share > GOOD:
            damping[p] /= EASE
            if damping[p] < LEAST_DAMPING:
                damping[p] = 0.0
        elif not share > FAIR:
            damping[p] = BRAKE * max(damping[p], LEAST_DAMPING)
        if share > TAKEN:
            x[p] = trial[row]
            log_c[p, 1:-1], weight[p, 1:-1] = trial_log_c[row], trial_weight[row]
            slope[p, 1:-1] = trial_slope[row]
