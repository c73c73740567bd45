"""Geodesics between points: in the plane, or the log density along them."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._pyplot import check_axes, equal_axes, pyplot

KINDS = ("auto", "plane", "profile")
SHAPES = "shape (n_points, n_features) or (n_pairs, n_points, n_features)"
N_LEVELS = 20
# Contours go as far below the log density of this share of the samples as above it.
LOW_SHARE = 0.05
# What is drawn around samples and curves, as a share of their extent.
MARGIN = 0.08
COLORS = {
    # In viridis nothing is like these.
    "plane": ("#ff4b2b", "#ffb3d9", "#a30046", "#ffa000", "#d8d8ff", "#7a3b00"),
    "profile": tuple(f"C{i}" for i in range(10)),
}
SEGMENT, RIM = "white", "black"
SAMPLES = {"s": 5, "alpha": 0.35, "linewidths": 0}
ENDS = {"s": 45, "color": "white", "edgecolors": RIM, "linewidths": 1.2, "zorder": 4}
LEGEND = {
    "plane": {"loc": "upper left", "bbox_to_anchor": (1, 1)},
    "profile": {"loc": "best"},
}


class GeodesicPathDisplay:
    """Geodesics beside straight segments: in the plane, or as profiles of log density.

    In the plane geodesics are curves and straight segments are dashed, over filled
    contours of the log density and faint dots of the training samples. A profile shows
    the log density along both, for any number of features, as functions of the t of
    ``interpolate(x, y, t)`` and of ``(1 - t) * x + t * y``. It is recommended to use
    :meth:`GeodesicPathDisplay.from_estimator` to create a display. All parameters are
    stored as attributes.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features) or (n_pairs, n_points, n_features)
        Along each geodesic, from its first end to its second: `points` of what
        :meth:`skgengeo.GeodesicInterpolator.path` returns.
    log_density : ndarray of shape (n_points,) or (n_pairs, n_points), default=None
        At the points.
    straight_log_density : ndarray of shape of `log_density`, default=None
        At as many points along the straight segment between the same ends.
    X : array-like of shape (n_samples, 2) or None, default=None
        Training samples, drawn in the plane.
    xx0, xx1 : ndarray of shape (n_rows, n_columns) or None, default=None
        Features of the points of a grid, as :func:`numpy.meshgrid` gives them.
    grid_log_density : ndarray of shape (n_rows, n_columns) or None, default=None
        At the points of the grid; None draws no contours.
    log_density_limits : tuple of two floats or None, default=None
        Lowest and highest contour; beyond them colours do not change. None is all that
        is finite on the grid.
    feature_names : sequence of two str or None, default=None
        Labels of the axes of the plane.

    Attributes
    ----------
    paths_ : list of matplotlib.lines.Line2D
        The geodesics.
    straight_ : list of matplotlib.lines.Line2D
        The straight segments; none where they are left out.
    contours_ : matplotlib.contour.QuadContourSet or None
        The log density in the plane, where it is drawn.
    samples_ : matplotlib.collections.PathCollection or None
        The training samples, where they are drawn.
    ends_ : matplotlib.collections.PathCollection or None
        The ends of the geodesics; None in a profile.
    colorbar_ : matplotlib.colorbar.Colorbar or None
        The colour bar of the contours, where there is one.
    legend_ : matplotlib.legend.Legend or None
        The legend, where there is one.
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    skgengeo.GeodesicInterpolator : Finds geodesics.
    EmbeddingDisplay : Samples in an embedding.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.mixture import GaussianMixture
    >>> from skgengeo import GeodesicInterpolator
    >>> from skgengeo.plotting import GeodesicPathDisplay
    >>> X, _ = make_moons(300, noise=0.1, random_state=0)
    >>> geodesic = GeodesicInterpolator(GaussianMixture(10, random_state=0)).fit(X)
    >>> display = GeodesicPathDisplay.from_estimator(geodesic, [-1, 0], [1, 0])

    Two pairs of ends, and the log density along their geodesics:

    >>> x, y = [[-1, 0], [0, 0.4]], [[1, 0], [2, 0.4]]
    >>> display = GeodesicPathDisplay.from_estimator(
    ...     geodesic, x, y, kind="profile", label=["upper moon", "lower moon"]
    ... )

    Of many features, projected into a plane:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> X, _ = load_iris(return_X_y=True)
    >>> density = GaussianMixture(3, random_state=0)
    >>> geodesic = GeodesicInterpolator(density, n_graph_neighbors=30).fit(X)
    >>> points = geodesic.path(X[60], X[140]).points
    >>> pca = PCA(n_components=2).fit(X)
    >>> display = GeodesicPathDisplay(points=pca.transform(points), X=pca.transform(X))
    >>> display = display.plot()
    """

    def __init__(
        self,
        *,
        points,
        log_density=None,
        straight_log_density=None,
        X=None,
        xx0=None,
        xx1=None,
        grid_log_density=None,
        log_density_limits=None,
        feature_names=None,
    ):
        self.points = points
        self.log_density = log_density
        self.straight_log_density = straight_log_density
        self.X = X
        self.xx0 = xx0
        self.xx1 = xx1
        self.grid_log_density = grid_log_density
        self.log_density_limits = log_density_limits
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        x,
        y,
        *,
        n_points=100,
        kind="auto",
        grid_resolution=100,
        ax=None,
        **kwargs,
    ):
        """Draw the geodesics that a fitted interpolator finds.

        Parameters
        ----------
        estimator : GeodesicInterpolator
            Fitted.
        x, y : array-like of shape (n_features,) or (n_pairs, n_features)
            The ends, or matched rows of ends.
        n_points : int, default=100
            Points along each geodesic, at least 2.
        kind : {"auto", "plane", "profile"}, default="auto"
            What to draw: the curves in the plane of two features, or the log density
            along them. "auto" is the plane where there are two features.
        grid_resolution : int, default=100
            Contours take the log density of the square of this number of points.
        ax : matplotlib.axes.Axes or None, default=None
            What to draw on; None makes a figure.
        **kwargs : dict
            For :meth:`plot`.

        Returns
        -------
        GeodesicPathDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            Where the estimator finds no geodesics.
        ValueError
            Where the ends are invalid or not joined, `kind` is "plane" and there are
            not two features, or a number of points is out of range.
        """
        check_finds_geodesics(estimator)
        check_is_fitted(estimator)
        kind = resolved_kind(kind, estimator.n_features_in_)
        check_resolution(grid_resolution)
        path, graph = estimator.path(x, y, n_points), estimator.graph_
        points = in_pairs(path.points, 3)
        display = cls(
            points=points,
            log_density=in_pairs(path.log_density, 2),
            straight_log_density=at(graph.log_density, straight_segments(points)),
            **(ground_of(graph, points, grid_resolution) if kind == "plane" else {}),
            feature_names=names_of_features(estimator),
        )
        return display.plot(ax, kind=kind, **kwargs)

    def plot(
        self,
        ax=None,
        *,
        kind="auto",
        straight=True,
        samples=True,
        contours=True,
        colorbar=False,
        legend=True,
        straight_kw=None,
        samples_kw=None,
        contours_kw=None,
        ends_kw=None,
        **kwargs,
    ):
        """Draw the geodesics, and what lies around them.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            What to draw on; None makes a figure. With ``contours=False`` and
            ``samples=False`` a display adds its curves to those of another, in the
            colours that come next.
        kind : {"auto", "plane", "profile"}, default="auto"
            What to draw: the curves in the plane of two features, or the log density
            along them. "auto" is the plane where there are two features.
        straight : bool, default=True
            Whether to draw the straight segments.
        samples : bool, default=True
            Whether to draw the training samples, in the plane.
        contours : bool, default=True
            Whether to draw the log density, in the plane.
        colorbar : bool, default=False
            Whether to draw a colour bar of the contours.
        legend : bool, default=True
            Whether to draw a legend: of a profile, and of curves in the plane to which
            `label` gives names. Straight segments have one entry.
        straight_kw : dict or None, default=None
            For :meth:`matplotlib.axes.Axes.plot`, which draws the straight segments.
        samples_kw : dict or None, default=None
            For :meth:`matplotlib.axes.Axes.scatter`, which draws the samples.
        contours_kw : dict or None, default=None
            For :meth:`matplotlib.axes.Axes.contourf`.
        ends_kw : dict or None, default=None
            For :meth:`matplotlib.axes.Axes.scatter`, which draws the ends.
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`, which draws the geodesics. `label` is
            a name for all, which share a colour, or a list with a name for each;
            `color` is one, or a list with one for each. Without a `label` the
            geodesics of a profile are numbered, up to ten of them.

        Returns
        -------
        GeodesicPathDisplay
            The display itself. Where the density is zero the line of a profile is
            broken.

        Raises
        ------
        ValueError
            Where the arrays do not match, or cannot be drawn as `kind`; or a list in
            `kwargs` has not one entry for each geodesic.
        """
        pyplot()  # or an error that helps
        check_axes(ax)
        points = checked_points(self.points)
        kind = resolved_kind(kind, points.shape[2])
        is_plane = kind == "plane"
        paths = self._geodesics(kind, points)
        segments = self._segments(kind, points) if straight else []
        options = options_of_paths(kwargs, len(points), kind, ax)
        grid = self._grid() if is_plane and contours else None
        X = checked_samples(self.X) if is_plane and samples else None
        ax = self.ax_ = axes_for(kind, ax)
        self.figure_ = ax.figure
        self.contours_ = draw_contours(ax, grid, contours_kw or {})
        self.samples_ = draw_samples(ax, X, self.contours_, samples_kw or {})
        self.paths_ = draw_paths(ax, kind, paths, options)
        self.straight_ = draw_segments(self.paths_, kind, segments, straight_kw or {})
        self.ends_ = draw_ends(ax, points, ends_kw or {}) if is_plane else None
        self._explain(kind, colorbar, legend)
        return self

    def _geodesics(self, kind, points):
        """Geodesics, as lines in what is drawn."""
        if kind == "plane":
            return points
        if self.log_density is None:
            raise ValueError(
                "log_density is None, and a profile draws it. Pass the log density at "
                "the points, or make the display with from_estimator."
            )
        return as_profiles(self.log_density, points, "log_density")

    def _segments(self, kind, points):
        """Straight segments, as lines in what is drawn; none without log density."""
        if kind == "plane":
            return straight_segments(points)
        if self.straight_log_density is None:
            return []
        return as_profiles(self.straight_log_density, points, "straight_log_density")

    def _grid(self):
        """Grid, log density there, and the lowest and highest contour, if any."""
        if self.grid_log_density is None:
            return None
        grid = [np.asarray(a) for a in (self.xx0, self.xx1, self.grid_log_density)]
        if grid[0].ndim != 2 or len({a.shape for a in grid}) > 1:
            raise ValueError(
                "xx0, xx1 and grid_log_density have the shapes "
                f"{[a.shape for a in grid]}: they must have one shape of two axes, as "
                "numpy.meshgrid gives them."
            )
        limits = self.log_density_limits
        low, high = finite_limits(grid[2]) if limits is None else limits
        # Contours leave out what is infinite: it gets the lowest colour, as all below.
        grid[2] = np.maximum(grid[2], 2 * low - high)
        return *grid, low, high

    def _explain(self, kind, colorbar, legend):
        """Name the axes, and add a colour bar and a legend of what has names."""
        if kind == "plane":
            equal_axes(self.ax_, self.feature_names)
        else:
            self.ax_.set(xlabel="fraction of length", ylabel="log density")
        self.colorbar_ = self.legend_ = None
        if colorbar and self.contours_ is not None:
            self.colorbar_ = self.figure_.colorbar(self.contours_, label="log density")
        if legend and any(has_name(line) for line in self.paths_ + self.straight_):
            self.legend_ = self.ax_.legend(**LEGEND[kind])


# What is computed


def check_finds_geodesics(estimator):
    """Refuse estimators whose paths are none of points, or that have none."""
    if not (hasattr(estimator, "path") and hasattr(estimator, "interpolate")):
        raise TypeError(
            f"{type(estimator).__name__} finds no continuous geodesics. Pass a fitted "
            "GeodesicInterpolator, or draw points of your own: "
            "GeodesicPathDisplay(points=points).plot()."
        )


def resolved_kind(kind, n_features):
    """The plane or a profile, refused where it cannot be drawn."""
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: pass one of {KINDS}.")
    if kind == "auto":
        return "plane" if n_features == 2 else "profile"
    if kind == "plane" and n_features != 2:
        raise ValueError(
            f"kind='plane' draws two features, and the curves have {n_features}. Pass "
            "kind='profile', or draw a projection: "
            "GeodesicPathDisplay(points=pca.transform(path.points)).plot()."
        )
    return kind


def check_resolution(grid_resolution):
    """Refuse a grid of less than two points a side."""
    if not (isinstance(grid_resolution, Integral) and grid_resolution >= 2):
        raise ValueError(
            f"grid_resolution={grid_resolution!r}: it must be an integer of at least "
            "2, such as 100."
        )


def in_pairs(values, n_axes):
    """Values with an axis of pairs in front, which those of one pair may lack."""
    values = np.asarray(values)
    return values[None] if values.ndim == n_axes - 1 else values


def straight_segments(points):
    """As many points, at constant speed, between the same ends."""
    t = np.linspace(0.0, 1.0, points.shape[1])[:, None]
    return (1 - t) * points[:, :1] + t * points[:, -1:]


def at(log_density, points):
    """Log density at points in an array of any number of axes."""
    flat = points.reshape(-1, points.shape[-1]).astype(np.float64)
    return log_density(flat).reshape(points.shape[:-1])


def ground_of(graph, points, resolution):
    """Samples, and the log density around them and the curves."""
    around = np.concatenate([graph.X, *points])
    low, high = around.min(axis=0), around.max(axis=0)
    margin = MARGIN * (high - low).max() or 1.0
    sides = np.linspace(low - margin, high + margin, resolution).T
    xx0, xx1 = np.meshgrid(*sides)
    return {
        "X": graph.X,
        "xx0": xx0,
        "xx1": xx1,
        "grid_log_density": at(graph.log_density, np.stack([xx0, xx1], axis=-1)),
        "log_density_limits": limits_around(graph.neighborhood.log_density),
    }


def limits_around(log_density):
    """Range that has samples in its upper half, and what is between them below."""
    finite = log_density[np.isfinite(log_density)]
    few, high = np.quantile(finite, [LOW_SHARE, 1.0])
    return (2 * few - high, high) if few < high else (high - 1, high)


def finite_limits(log_density):
    """Least and greatest of what is finite."""
    finite = log_density[np.isfinite(log_density)]
    if len(finite) == 0:
        raise ValueError(
            "grid_log_density is finite nowhere, so that it has no contours. Pass "
            "log_density_limits, or a grid where the density is above zero."
        )
    low, high = finite.min(), finite.max()
    return (low, high) if low < high else (high - 1, high)


def names_of_features(estimator):
    """Names that the samples had, where they had any."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else list(names)


# What is checked


def checked_points(points):
    """Curves as an array of three axes."""
    try:
        found = in_pairs(points, 3)
    except ValueError as error:
        raise ValueError(
            f"points of type {type(points).__name__} are no array: pass finite numbers "
            f"of {SHAPES}, such as path.points of a GeodesicPath, with as many points "
            "along each geodesic."
        ) from error
    if found.ndim != 3 or found.size == 0 or not np.isfinite(found).all():
        what = "has entries that are not finite" if found.size else "is empty"
        raise ValueError(
            f"points of shape {np.shape(points)} "
            f"{what if found.ndim == 3 else 'are no curves'}: pass finite numbers of "
            f"{SHAPES}."
        )
    return found


def as_profiles(log_density, points, name):
    """Log density against the fraction of length, as lines in a plane."""
    found = in_pairs(log_density, 2)
    if found.shape != points.shape[:2]:
        raise ValueError(
            f"{name} has shape {found.shape}, and points {points.shape}: it must have "
            f"shape {points.shape[:2]}, one value for each point."
        )
    t = np.broadcast_to(np.linspace(0.0, 1.0, found.shape[1]), found.shape)
    return np.stack([t, found], axis=-1)


def checked_samples(X):
    """Samples as an array, refused where they do not lie in the plane."""
    if X is None:
        return None
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != 2:
        raise ValueError(
            f"X has shape {X.shape}, and samples are drawn in the plane of the curves: "
            "it must have shape (n_samples, 2). Pass X=None to leave them out."
        )
    return X


def options_of_paths(options, n, kind, ax):
    """Options of each line, by their full names: those given, its name and colour."""
    options = in_full(options)
    names = names_of_paths(options.pop("label", None), n, kind)
    colors = colors_of_paths(options.pop("color", None), n)
    if colors is None:
        free = next_colors(kind, ax)
        together = None in names[1:]
        colors = [free[0 if together else i % len(free)] for i in range(n)]
    return [
        {**options, "label": name, "color": color}
        for name, color in zip(names, colors, strict=True)
    ]


def names_of_paths(label, n, kind):
    """A name for each line, None where it stays without."""
    if label is None and kind == "profile":
        # Where colours repeat, a number tells no line from another.
        numbered = 1 < n <= len(COLORS[kind])
        label = [f"geodesic {i}" for i in range(n)] if numbered else "geodesic"
    if isinstance(label, str) or not np.iterable(label):
        return [label] + [None] * (n - 1)
    if len(label) != n:
        raise ValueError(
            f"label has {len(label)} names, and there are {n} geodesics. Pass a name "
            "for each, or one str."
        )
    return list(label)


def colors_of_paths(color, n):
    """The colour that is given for each line, if any is."""
    from matplotlib.colors import is_color_like

    if color is None:
        return None
    colors = [color] * n if is_one_color(color) else list(color)
    if len(colors) != n or not all(is_color_like(each) for each in colors):
        raise ValueError(
            f"color={color!r}: it must be one colour, or a list of {n}, one for each "
            "geodesic."
        )
    return colors


def is_one_color(color):
    """Whether it is a word, or has numbers: (red, green, blue), or (word, alpha)."""
    return isinstance(color, str | Real) or any(isinstance(c, Real) for c in color)


def next_colors(kind, ax):
    """All colours, from the first of those that fewest lines on the axes have."""
    from matplotlib.colors import to_hex

    colors = [to_hex(color) for color in COLORS[kind]]
    drawn = [] if ax is None else [to_hex(line.get_color()) for line in ax.lines]
    first = colors.index(min(colors, key=drawn.count))
    return colors[first:] + colors[:first]


# What is drawn


def axes_for(kind, ax):
    """The axes given, or those of a new figure."""
    if ax is None:
        # A colour bar is as high as axes of equal scale.
        layout = "compressed" if kind == "plane" else "constrained"
        _, ax = pyplot().subplots(layout=layout)
    return ax


def draw_contours(ax, grid, options):
    """Filled contours, whose outermost colours go on where the log density does."""
    if grid is None:
        return None
    from matplotlib.ticker import MaxNLocator

    xx0, xx1, values, low, high = grid
    levels = MaxNLocator(N_LEVELS).tick_values(low, high)
    extend = "both" if values.max() > levels[-1] else "min"
    options = {"levels": levels, "cmap": "viridis", "extend": extend, **options}
    return ax.contourf(xx0, xx1, values, **options)


def draw_samples(ax, X, contours, options):
    """Faint dots: white over contours, and grey without."""
    if X is None:
        return None
    color = "white" if contours is not None else "grey"
    return ax.scatter(*X.T, **{**SAMPLES, "color": color, **options})


def draw_paths(ax, kind, lines, options):
    """Geodesics: with a rim in the plane, where they lie on contours."""
    style = {"linewidth": 1.8}
    if kind == "plane":
        style = {"linewidth": 2.2, "path_effects": rim(3.6)}
    paths = []
    for line, own in zip(lines, options, strict=True):
        paths += ax.plot(*line.T, **{**style, **own})
    return paths


def draw_segments(paths, kind, lines, options):
    """Straight segments: dashed, in a profile each of the colour of its geodesic."""
    style = {"linestyle": "--", "linewidth": 1.2}
    if kind == "plane":
        style |= {"color": SEGMENT, "path_effects": rim(2.2)}
    options, segments = in_full(options), []
    is_named = any(has_name(path) for path in paths)
    name = options.pop("label", "straight segment" if is_named else None)
    for path, line in zip(paths, lines, strict=False):
        own = {"color": path.get_color(), **style, "zorder": path.get_zorder() - 0.1}
        segments += path.axes.plot(*line.T, **{**own, **options})
    if segments and name:
        name_segments(segments, name)
    return segments


def has_name(line):
    """Whether a legend shows a line."""
    label = line.get_label()
    return bool(label) and not label.startswith("_")


def name_segments(segments, name):
    """One entry of the legend for all, grey where they have several colours."""
    from matplotlib.colors import to_hex

    first = segments[0]
    if name in [line.get_label() for line in first.axes.lines]:
        return
    if len({to_hex(line.get_color()) for line in segments}) > 1:
        style = {"linestyle": first.get_linestyle(), "linewidth": first.get_linewidth()}
        (first,) = first.axes.plot([], [], color="grey", **style)  # for the legend
    first.set_label(name)


def in_full(options):
    """Options of lines by their full names, so that they replace the styles here."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return normalize_kwargs(options, Line2D)


def rim(width):
    """A black rim, with which a line is seen on any colour."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=RIM)]


def draw_ends(ax, points, options):
    """Both ends of all geodesics."""
    ends = points[:, [0, -1]].reshape(-1, 2)
    return ax.scatter(*ends.T, **{**ENDS, **options})
