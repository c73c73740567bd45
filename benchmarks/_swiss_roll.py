"""Noisy swiss rolls: one whose truth is known, and one in any number of features.

Samples of both are those of `make_swiss_roll`.
"""

import numpy as np
from sklearn.datasets import make_swiss_roll


def arc_length(t):
    """Of the spiral (t cos t, t sin t), from its centre."""
    return (t * np.sqrt(1 + t**2) + np.arcsinh(t)) / 2


def swiss_roll_and_truth(n_samples, noise, seed):
    """Samples, and arc length and height of each before noise was added.

    The same seed without noise has the same points, so their heights are known too.
    """
    X, t = make_swiss_roll(n_samples, noise=noise, random_state=seed)
    clean, t_clean = make_swiss_roll(n_samples, noise=0.0, random_state=seed)
    np.testing.assert_array_equal(t, t_clean)
    return X, np.column_stack([arc_length(t), clean[:, 1]])


def rotated_swiss_roll(n_samples, n_features):
    """Rotated into some features, with noise of 0.5 in each."""
    X, _ = make_swiss_roll(n_samples, random_state=0)
    rng = np.random.default_rng(0)
    directions, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    return X @ directions[:3] + 0.5 * rng.normal(size=(n_samples, n_features))
