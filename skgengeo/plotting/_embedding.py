"""Embeddings of training samples, and new points among them."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._warnings import warn
from ._colors import MISSING, NumberColors, colors_for
from ._pyplot import check_axes, equal_axes, pyplot

PLAIN = "#0072b2"
SCALE = ("norm", "vmin", "vmax")
# Letters that a marker and the gap between columns of the legend are wide.
GAP = 4


class EmbeddingDisplay:
    """Samples in an embedding of two or three components.

    Training samples are small dots, new points larger ones with a black rim. Both have
    the colours of labels, with a legend, or of numbers, with a colour bar. The axes
    have one scale, so that distances are seen as they are. It is recommended to use
    :meth:`EmbeddingDisplay.from_estimator` to create a display. All parameters are
    stored as attributes.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, n_components)
        Where the training samples lie.
    y : array-like of shape (n_samples,) or None, default=None
        What colours them. Words, booleans, categories, dates and at most 20 distinct
        whole numbers are labels; other numbers are values on a scale. None and NaN are
        grey.
    embedding_new : array-like of shape (n_new, n_components) or None, default=None
        Where new points lie.
    y_new : array-like of shape (n_new,) or None, default=None
        What colours them, in the colours of `y`. Where only one of the two groups has
        a `y`, the other is plain.
    axis_names : sequence of str or None, default=None
        Names of the components, for the axes.

    Attributes
    ----------
    scatter_ : matplotlib.collections.PathCollection
        The training samples.
    scatter_new_ : matplotlib.collections.PathCollection or None
        The new points, where there are any.
    legend_ : matplotlib.legend.Legend or None
        The legend, where there is one.
    colorbar_ : matplotlib.colorbar.Colorbar or None
        The colour bar, where there is one.
    ax_ : matplotlib.axes.Axes
        What was drawn on, in equal aspect; ``ax_.set_aspect("auto")`` fills the figure.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    AffinityDisplay : Samples coloured by their affinity to one of them.
    sklearn.manifold.trustworthiness : How far neighbours in an embedding are
        neighbours in the data.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.manifold import Isomap
    >>> from skgengeo.plotting import EmbeddingDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> isomap = Isomap(n_neighbors=20).fit(X[::2])
    >>> display = EmbeddingDisplay.from_estimator(isomap, y[::2])

    New points among the training samples:

    >>> display = EmbeddingDisplay.from_estimator(
    ...     isomap, y[::2], X_new=X[1::2], y_new=y[1::2]
    ... )

    Estimators that keep no `embedding_`, by their arrays:

    >>> from sklearn.decomposition import PCA
    >>> plane = PCA(n_components=2).fit_transform(X)
    >>> display = EmbeddingDisplay(embedding=plane, y=X[:, 0]).plot(cmap="cividis")
    """

    def __init__(
        self, *, embedding, y=None, embedding_new=None, y_new=None, axis_names=None
    ):
        self.embedding = embedding
        self.y = y
        self.embedding_new = embedding_new
        self.y_new = y_new
        self.axis_names = axis_names

    @classmethod
    def from_estimator(
        cls, estimator, y=None, *, X_new=None, y_new=None, ax=None, **kwargs
    ):
        """Draw the embedding of a fitted estimator.

        Parameters
        ----------
        estimator : GeodesicMDS, GeodesicUMAP or other estimator
            Fitted, with an `embedding_`, like :class:`sklearn.manifold.Isomap` and
            ``umap.UMAP``; or a pipeline that ends in one.
        y : array-like of shape (n_samples,) or None, default=None
            What colours the training samples: labels or numbers.
        X_new : array-like of shape (n_new, n_features) or None, default=None
            New points, placed by the `transform` of the estimator.
        y_new : array-like of shape (n_new,) or None, default=None
            What colours the new points.
        ax : matplotlib.axes.Axes or None, default=None
            What to draw on; None makes a figure.
        **kwargs : dict
            For :meth:`plot`.

        Returns
        -------
        EmbeddingDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            Where the estimator has no `embedding_`, or cannot place new points.
        ValueError
            Where the embedding cannot be drawn, or a `y` has not one value for each
            row of it.
        """
        last = last_step(estimator)
        check_has_embedding(last)
        display = cls(
            embedding=last.embedding_,
            y=y,
            embedding_new=None if X_new is None else placed(estimator, X_new),
            y_new=y_new,
            axis_names=names_of_components(last),
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax=None,
        *,
        components=None,
        cmap=None,
        legend=True,
        legend_kw=None,
        new_kw=None,
        **kwargs,
    ):
        """Draw the samples, the new points, and a legend or a colour bar.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            What to draw on, of ``projection="3d"`` for three components; a figure of
            ``layout="compressed"`` has room for the legend. None makes one.
        components : sequence of int or None, default=None
            The two or three columns to draw, each another; None draws all.
        cmap : str, Colormap or None, default=None
            Colours of the labels or the scale of numbers. None takes 20 strong colours
            for labels, and those of "turbo" for more.
        legend : bool, default=True
            Whether to draw the legend, or the colour bar.
        legend_kw : dict or None, default=None
            For :meth:`matplotlib.axes.Axes.legend`, which puts the legend to the right
            of the axes; ``{"loc": "best"}`` puts it inside. Its last entry counts the
            labels that have no room beside the axes in half the width of the figure;
            `ncols` shows all in so many columns.
        new_kw : dict or None, default=None
            For :meth:`matplotlib.axes.Axes.scatter`, which draws the new points.
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.scatter`, which draws the training samples.
            `norm`, `vmin` and `vmax` hold for the new points too.

        Returns
        -------
        EmbeddingDisplay
            The display itself.

        Warns
        -----
        UserWarning
            Where rows are not drawn, because they are not finite, or `y` and `y_new`
            have no label in common.
        """
        pyplot()  # or an error that helps
        check_axes(ax)
        rows = columns_of(self.embedding, components, "embedding")
        names = self._names(components)
        new = self._new_rows(components, rows)
        options, new_options = dict(kwargs), dict(new_kw or {})
        check_one_source(self.y, "y", options)
        check_one_source(self.y_new, "y_new", new_options)
        colors, (column, new_column) = colors_for(
            {"y": (self.y, len(rows)), "y_new": (self.y_new, len(new))},
            cmap,
            {name: options.pop(name) for name in SCALE if name in options},
        )
        self.ax_ = axes_for(rows.shape[1], ax)
        self.figure_ = self.ax_.figure
        options = {**dots(len(rows), len(new)), **options}
        self.scatter_ = scatter(self.ax_, rows, colors, column, options)
        self.scatter_new_ = None
        if len(new):
            new_options = {**marks(len(new), colors, new_column), **new_options}
            self.scatter_new_ = scatter(self.ax_, new, colors, new_column, new_options)
        self.legend_ = self.colorbar_ = None
        if legend:
            self._explain(colors, legend_kw or {})
        equal_axes(self.ax_, names)
        return self

    def _new_rows(self, components, rows):
        """Where new points are drawn: no rows where there are none."""
        if self.embedding_new is None:
            if self.y_new is not None:
                raise ValueError(
                    "y_new colours new points, and there are none. Pass X_new to "
                    "from_estimator, or embedding_new; or leave y_new out."
                )
            return rows[:0]
        new = columns_of(self.embedding_new, components, "embedding_new")
        if new.shape[1] != rows.shape[1]:
            raise ValueError(
                f"embedding_new has {new.shape[1]} components, and embedding has "
                f"{rows.shape[1]}: they must have as many. Pass what `transform` of "
                "the same estimator gives."
            )
        return new

    def _explain(self, colors, options):
        """Add a colour bar for numbers, a legend for labels and kinds of points."""
        title = getattr(self.y if self.y is not None else self.y_new, "name", None)
        if isinstance(colors, NumberColors):
            drawn = self.scatter_ if self.y is not None else self.scatter_new_
            self.colorbar_ = self.figure_.colorbar(drawn, ax=self.ax_, label=title)
            return
        labels, others = colors.entries() if colors else ([], [])
        if self.scatter_new_ is not None:
            others = others if colors else [("training samples", MISSING)]
            others = [*others, ("new points", self._fill_of_new(colors))]
        if labels or others:
            options = {"title": title, **options}
            beside = BesideAxes(self.ax_, options)
            handles = [handle(*entry) for entry in beside.entries(labels, others)]
            options = {**beside.options(len(handles)), **options}
            self.legend_ = self.ax_.legend(handles=handles, **options)

    def _fill_of_new(self, colors):
        """Colour of new points in the legend: none where each has its own."""
        return plain_of_new(colors) if self.y_new is None else "none"

    def _names(self, components):
        """Labels of the axes; none where components have no names."""
        if self.axis_names is None:
            return []
        n = np.shape(self.embedding)[1]
        if len(self.axis_names) != n:
            raise ValueError(
                f"axis_names has {len(self.axis_names)} names, and embedding has {n} "
                "components. Pass a name for each, or None."
            )
        return [
            self.axis_names[c] for c in (range(n) if components is None else components)
        ]


# What is drawn


def columns_of(embedding, components, name):
    """The columns to draw; rows that matplotlib leaves out are counted."""
    rows = check_array(embedding, ensure_all_finite=False, input_name=name)
    n = rows.shape[1]
    if components is None and n not in (2, 3):
        of_one, of_many = "draw a histogram of it.", "choose, as in components=(0, 1)."
        remedy = of_one if n == 1 else of_many
        raise ValueError(
            f"{name} has {n} component{'s' * (n > 1)}, and 2 or 3 are drawn: {remedy}"
        )
    if components is not None:
        check_components(components, n, name)
        rows = rows[:, list(components)]
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        warn(
            f"{np.sum(~finite)} of the {len(rows)} rows of {name} are not finite, and "
            "not drawn."
        )
    return rows


def check_components(components, n, name):
    """Refuse columns that are not there, and other than two or three."""
    found = np.ravel(components).tolist()
    named = all(type(c) is int and 0 <= c < n for c in found)
    several = np.shape(components) in [(2,), (3,)] and len(set(found)) == len(found)
    if not (named and several):
        raise ValueError(
            f"components={components!r}: it must name two or three of the {n} columns "
            f"of {name}, from 0 to {n - 1}, each once."
        )


def check_one_source(y, name, options):
    """Refuse colours beside a y that gives them."""
    for option in {"c", "color", "facecolors"} & set(options):
        if y is not None:
            raise ValueError(
                f"{option}={options[option]!r} and {name} both say what colours the "
                "points. Leave one out; cmap chooses the colours of labels."
            )


def axes_for(n_components, ax):
    """Axes of two or three dimensions: those given, or new ones."""
    projection = "3d" if n_components == 3 else "rectilinear"
    if ax is None:
        # The legend or bar is as high as axes of equal scale.
        _, ax = pyplot().subplots(
            layout="compressed", subplot_kw={"projection": projection}
        )
    elif (ax.name == "3d") != (n_components == 3):
        raise ValueError(
            f"{n_components} components cannot be drawn on axes of projection "
            f"{ax.name!r}: they need {projection!r}. Make them with "
            f"plt.subplots(subplot_kw={{'projection': {projection!r}}}), or choose "
            "components."
        )
    return ax


def scatter(ax, rows, colors, column, options):
    """Draw points, coloured by a column where there is one."""
    if column is not None:
        options = {**options, **colors.of(column)}
    elif {"color", "facecolors"} & set(options):
        options.pop("c")
    return ax.scatter(*rows.T, **options)


def dots(n, n_new):
    """Style of training samples: the more, the smaller, and grey beside new points."""
    area = np.clip(15_000 / n, 3, 36)
    return {"s": area, "linewidths": 0, "c": MISSING if n_new else PLAIN}


def marks(n_new, colors, column):
    """Style of new points: larger, with a rim, above the others."""
    return {
        "s": np.clip(15_000 / n_new, 25, 60),
        "linewidths": 0.8,
        "edgecolors": "white" if column is None else "black",
        "c": plain_of_new(colors),
        "zorder": 3,
    }


def plain_of_new(colors):
    """Colour of new points without a y."""
    return PLAIN if colors is None else "black"


class BesideAxes:
    """A legend to the right of the axes, about as high, and half as wide as the figure.

    Parameters
    ----------
    ax : Axes
        What it explains.
    options : dict
        Those of the legend that were given, and its title.
    """

    def __init__(self, ax, options):
        size = pyplot().rcParams["font.size"]
        height, width = (
            72 / ax.figure.dpi * x for x in (ax.bbox.height, ax.figure.bbox.width)
        )
        self.ax = ax
        self.n_rows = max(2, int(height / (1.55 * size)) - bool(options["title"]))
        # A letter is about 0.6 of its height wide.
        self.n_letters = max(8, int(width / 2 / (0.6 * size)))
        self.is_limited = "ncols" not in options

    def entries(self, labels, others):
        """Those that have room, and the number of labels that have not."""
        if not self.is_limited:
            return [*labels, *others]
        most = self.n_letters - GAP
        labels = [(shortened(text, most), color) for text, color in labels]
        longest = max(len(text) for text, _ in [*labels, *others])
        room = self.n_rows * max(1, self.n_letters // (longest + GAP)) - len(others)
        if len(labels) <= room:
            return [*labels, *others]
        shown = max(1, room - 1)
        return [*labels[:shown], (f"and {len(labels) - shown} more", None), *others]

    def options(self, n_entries):
        """Where it stands, and in how many columns."""
        # Tick labels and names stand to the right of axes in 3-D.
        right = 1.12 if self.ax.name == "3d" else 1
        return {
            "loc": "upper left",
            "bbox_to_anchor": (right, 1),
            "ncols": -(-n_entries // self.n_rows),
            "handlelength": 1,
            "handletextpad": 0.4,
            "columnspacing": 1,
        }


def shortened(text, most):
    """A text of at most so many letters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def handle(label, color):
    """Entry of the legend; without a marker where the colour is None."""
    from matplotlib.lines import Line2D

    if color is None:
        return Line2D([], [], label=label, ls="")
    rim = "black" if isinstance(color, str) and color == "none" else color
    style = {"ls": "", "marker": "o", "color": color, "markeredgecolor": rim}
    return Line2D([], [], label=label, **style)


# Estimators


def last_step(estimator):
    """The last step of a pipeline, or the estimator itself."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def check_has_embedding(estimator):
    """Refuse estimators that are not fitted, or keep no embedding."""
    if hasattr(estimator, "embedding_"):
        return
    name = type(estimator).__name__
    if hasattr(estimator, "fit"):
        check_is_fitted(estimator)
    raise TypeError(
        f"{name} has no embedding_. Pass a fitted GeodesicMDS, GeodesicUMAP or Isomap, "
        "or draw an array: EmbeddingDisplay(embedding=array, y=y).plot()."
    )


def placed(estimator, X_new):
    """Where an estimator places new points."""
    if not hasattr(estimator, "transform"):
        raise TypeError(
            f"{type(estimator).__name__} cannot place new points: it has no transform. "
            "Leave X_new out, or pass a GeodesicMDS or GeodesicUMAP."
        )
    return estimator.transform(X_new)


def names_of_components(estimator):
    """Names that the estimator gives its components, where it does."""
    if not hasattr(estimator, "get_feature_names_out"):
        return None
    return list(estimator.get_feature_names_out())
