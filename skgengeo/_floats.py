"""What floating point can hold."""

import numpy as np

# Extents of samples whose squares, and inverse squares, are floating-point numbers.
SMALLEST, LARGEST = 1e-140, 1e150


def numbers_or_nan(values):
    """Values as float64, or a single NaN where they are no numbers.

    Parameters
    ----------
    values : object
        What was passed for a number or an array of them.

    Returns
    -------
    ndarray
        Its range is left to be checked, which NaN does not pass.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array(np.nan)


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


def in_range(distances, dtype):
    """Distances in another floating type, refused where it cannot hold them.

    Parameters
    ----------
    distances : ndarray
        Not negative; infinite ones stay so.
    dtype : dtype
        The type that shall hold them.

    Returns
    -------
    ndarray
        Of that type.
    """
    if dtype == np.float64:
        return distances
    shortest = distances.min(where=distances > 0, initial=np.inf)
    longest = distances.max(where=np.isfinite(distances), initial=0.0)
    check_range(shortest, longest, dtype, "Distances")
    return distances.astype(dtype)


def largest_in_range(values, dtype, what):
    """Values in another floating type, refused where it cannot hold the largest.

    Those that are small beside the largest may vanish, as coordinates may.

    Parameters
    ----------
    values : ndarray
        Of either sign; -inf, a log density outside of the support, stays so.
    dtype : dtype
        The type that shall hold them.
    what : str
        What they are, in the plural.

    Returns
    -------
    ndarray
        Of that type.
    """
    if dtype == np.float64:
        return values
    largest = np.abs(values).max(where=~np.isneginf(values), initial=0.0)
    check_range(largest or 1.0, largest, dtype, f"The largest {what}")
    return values.astype(dtype)
