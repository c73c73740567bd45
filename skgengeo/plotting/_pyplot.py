"""The door to matplotlib, which is imported where something is drawn."""

AXES = ("xlabel", "ylabel", "zlabel")


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


def check_axes(ax):
    """Refuse what is neither None nor axes that can be drawn on."""
    if ax is None or hasattr(ax, "scatter"):
        return
    what = f"array of shape {ax.shape}" if hasattr(ax, "shape") else type(ax).__name__
    raise TypeError(
        f"ax is of type {what}, and one matplotlib.axes.Axes is drawn on. Pass one, "
        "such as axes[0] or axes[0, 0] of plt.subplots, or None for a new figure."
    )


def equal_axes(ax, names):
    """Give all axes one scale, and the names that there are."""
    ax.set_aspect("equal")
    ax.set(**dict(zip(AXES, () if names is None else names, strict=False)))
