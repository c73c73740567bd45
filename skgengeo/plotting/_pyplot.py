"""The door to matplotlib, which is imported where something is drawn."""


def pyplot():
    """``matplotlib.pyplot``, or an error that tells where to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "matplotlib draws the displays, and it could not be imported. Install it: "
            "pip install 'skgengeo[plot]'."
        ) from error
    return plt
