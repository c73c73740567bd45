"""What floating point can hold."""

import numpy as np

# Extents of samples whose squares, and inverse squares, are floating-point numbers.
SMALLEST, LARGEST = 1e-140, 1e150


def check_extent(X):
    """Refuse samples whose squared distances overflow or vanish.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite.
    """
    with np.errstate(over="ignore"):
        extent = np.ptp(X, axis=0).max()
    if extent > LARGEST or 0 < extent < SMALLEST:
        raise ValueError(
            f"The samples extend over {extent:.3g}, and squares of that leave the "
            f"range of floating point. Bring X to a unit in which it is {SMALLEST:g} "
            f"to {LARGEST:g}, or replace values that stand for missing ones."
        )


def check_range(smallest, largest, dtype, what):
    """Refuse values that a floating type cannot hold.

    Parameters
    ----------
    smallest, largest : float
        Of the sizes of all values that are neither zero nor infinite.
    dtype : dtype
        The type that shall hold them.
    what : str
        What they are, as the subject of a sentence.
    """
    limits = np.finfo(dtype)
    if largest > limits.max or smallest < limits.tiny:
        raise ValueError(
            f"{what} are {smallest:.3g} to {largest:.3g} in size, which "
            f"{limits.dtype} cannot hold. Pass X in float64, or flatten the density "
            "with skgengeo.density.TemperedDensity."
        )
