"""The swiss roll of scikit-learn, and where its samples lie once it is unrolled.

Samples are those of `make_swiss_roll`. The truth is that of the points before noise was
added: the same seed without noise has the same ones, so their heights are known too.
"""

import numpy as np
from sklearn.datasets import make_swiss_roll


def arc_length(t):
    """Of the spiral (t cos t, t sin t), from its centre."""
    return (t * np.sqrt(1 + t**2) + np.arcsinh(t)) / 2


def noisy_swiss_roll(n_samples, noise, seed):
    """Samples, and arc length and height of each before noise was added."""
    X, t = make_swiss_roll(n_samples, noise=noise, random_state=seed)
    clean, t_clean = make_swiss_roll(n_samples, noise=0.0, random_state=seed)
    np.testing.assert_array_equal(t, t_clean)
    return X, np.column_stack([arc_length(t), clean[:, 1]])
