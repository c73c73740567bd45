"""Warnings that point at the line of a user."""

import sys
import warnings

# Packages whose frames are between a user's line and the work.
INSIDE = {__name__.split(".")[0], "sklearn", "joblib"}


def warn(message, category=UserWarning):
    """Warn, at the innermost line that is neither this package's nor scikit-learn's.

    scikit-learn wraps the methods of estimators, and calls them from pipelines and
    searches: no fixed ``stacklevel`` tells where the user is.

    Parameters
    ----------
    message : str
        What to say.
    category : type, default=UserWarning
        The class of the warning.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and is_inside(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def is_inside(frame):
    """Whether a frame runs code of one of the packages `INSIDE`."""
    return frame.f_globals.get("__name__", "").split(".")[0] in INSIDE
