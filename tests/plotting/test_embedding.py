"""What is drawn: where samples and new points lie, their colours, and what they say."""

import re
import sys
from collections import Counter

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.colors import LogNorm, to_rgba
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import MDS, TSNE, Isomap
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgengeo import GenerativeGeodesicDistance, GeodesicMDS
from skgengeo.plotting import AffinityDisplay, EmbeddingDisplay
from skgengeo.plotting._colors import MISSING, STRONG

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
X_NEW = RNG.normal(size=(7, 4))
PLANE, PLANE_NEW = X[:, :2], X_NEW[:, :2]
WORDS = np.array(["cat", "dog", "ant"])[np.arange(40) % 3]
NUMBERS = np.linspace(-1, 2, 40)
ESTIMATORS = {
    "ours": GeodesicMDS(epsilon=9).fit(X),
    "scikit-learn": Isomap(n_neighbors=10).fit(X),
    "pipeline": make_pipeline(StandardScaler(), GeodesicMDS(epsilon=9)).fit(X),
}
ISOMAP = ESTIMATORS["scikit-learn"]


@pytest.fixture(autouse=True)
def pyplot():
    """Figures that no screen shows, closed in the end."""
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def of_arrays(**arrays):
    return EmbeddingDisplay(**{"embedding": PLANE, **arrays})


def with_new(**arrays):
    return of_arrays(embedding_new=PLANE_NEW, **arrays)


def colors_of(scatter, n):
    """Colour of each of n points, once drawn."""
    scatter.figure.canvas.draw()
    colors = scatter.get_facecolors()
    return np.broadcast_to(colors, (n, 4)) if len(colors) == 1 else colors


def legend_of(display):
    """Text -> colour."""
    legend = display.legend_
    texts = [text.get_text() for text in legend.get_texts()]
    handles = [handle.get_markerfacecolor() for handle in legend.legend_handles]
    return dict(zip(texts, handles, strict=True))


# Where points are drawn


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_the_embedding_of_an_estimator_is_drawn(estimator):
    display = EmbeddingDisplay.from_estimator(estimator)
    expected = estimator[-1] if hasattr(estimator, "steps") else estimator
    np.testing.assert_array_equal(display.scatter_.get_offsets(), expected.embedding_)
    assert display.scatter_new_ is None
    name = type(expected).__name__.lower()
    assert display.ax_.get_xlabel() == f"{name}0"
    assert display.ax_.get_ylabel() == f"{name}1"


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize("output", ["default", "pandas"])
def test_new_points_are_placed_by_transform(estimator, output):
    expected = estimator.transform(X_NEW)
    framed = clone(estimator).set_output(transform=output).fit(X)
    display = EmbeddingDisplay.from_estimator(framed, X_new=X_NEW)
    new = display.scatter_new_
    np.testing.assert_allclose(new.get_offsets(), expected, atol=1e-7)
    assert len(display.scatter_.get_offsets()) == len(X)
    assert new.get_sizes().min() > display.scatter_.get_sizes().max()
    assert new.get_zorder() > display.scatter_.get_zorder()


@pytest.mark.filterwarnings("ignore:.*:FutureWarning")  # of sklearn's MDS
@pytest.mark.parametrize("estimator", [TSNE(perplexity=5), MDS(n_init=1)], ids=type)
def test_estimators_without_transform_are_drawn_too(estimator):
    estimator.fit(X)
    display = EmbeddingDisplay.from_estimator(estimator, WORDS)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), estimator.embedding_)
    message = f"{type(estimator).__name__} cannot place new points.*no transform"
    with pytest.raises(TypeError, match=message):
        EmbeddingDisplay.from_estimator(estimator, X_new=X_NEW)


def test_arrays_are_stored_as_they_are_and_drawn_when_asked():
    arrays = {
        "embedding": PLANE,
        "y": WORDS,
        "embedding_new": PLANE_NEW,
        "y_new": WORDS[:7],
        "axis_names": ["a", "b"],
    }
    display = EmbeddingDisplay(**arrays)
    assert vars(display) == arrays
    assert all(getattr(display, name) is array for name, array in arrays.items())
    assert display.plot() is display
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("a", "b")


def test_three_components_are_drawn_in_three_dimensions(pyplot):
    display = of_arrays(embedding=X[:, :3], axis_names=["a", "b", "c"]).plot()
    assert display.ax_.name == "3d"
    np.testing.assert_array_equal(np.transpose(display.scatter_._offsets3d), X[:, :3])
    assert display.ax_.get_zlabel() == "c"
    _, ax = pyplot.subplots(subplot_kw={"projection": "3d"})
    assert of_arrays(embedding=X[:, :3], y=WORDS).plot(ax).ax_ is ax


@pytest.mark.parametrize("components", [(0, 2), [3, 1], np.array([2, 0])])
def test_components_are_chosen(components):
    names = ["a", "b", "c", "d"]
    display = of_arrays(embedding=X, embedding_new=X_NEW, axis_names=names)
    display.plot(components=components)
    chosen = list(components)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), X[:, chosen])
    np.testing.assert_array_equal(display.scatter_new_.get_offsets(), X_NEW[:, chosen])
    assert display.ax_.get_xlabel() == names[chosen[0]]
    assert display.ax_.get_ylabel() == names[chosen[1]]
    of_estimator = EmbeddingDisplay.from_estimator(
        Isomap(n_neighbors=10, n_components=4).fit(X), components=components
    )
    assert of_estimator.ax_.get_xlabel() == f"isomap{chosen[0]}"


def test_rows_without_a_place_are_counted_and_not_drawn():
    holed = PLANE.copy()
    holed[3], holed[5, 1] = np.nan, np.inf
    with pytest.warns(UserWarning, match="2 of the 40 rows of embedding are"):
        display = of_arrays(embedding=holed, y=WORDS).plot()
    drawn = np.ma.filled(display.scatter_.get_offsets(), np.nan)
    assert np.isnan(drawn).any(axis=1).nonzero()[0].tolist() == [3, 5]


def test_rows_without_a_place_in_three_dimensions():
    holed = X[:, :3].copy()
    holed[3] = np.nan
    with pytest.warns(UserWarning, match="1 of the 40 rows"):
        display = of_arrays(embedding=holed, y=WORDS).plot(depthshade=False)
    drawn = np.transpose(display.scatter_._offsets3d)
    np.testing.assert_array_equal(drawn, np.delete(X[:, :3], 3, axis=0))
    counts = Counter(map(tuple, colors_of(display.scatter_, 39)))
    kept = Counter(np.delete(WORDS, 3))
    assert counts == {tuple(legend_of(display)[word]): n for word, n in kept.items()}


def test_it_draws_on_the_axes_that_are_given(pyplot):
    figure, (left, right) = pyplot.subplots(ncols=2)
    display = of_arrays().plot(left)
    assert display.ax_ is left
    assert display.figure_ is figure
    assert list(left.collections) == [display.scatter_]
    assert not right.has_data()
    again = EmbeddingDisplay.from_estimator(ISOMAP, ax=right)
    assert again.ax_ is right


def test_it_makes_a_figure_where_there_is_none(pyplot):
    display = of_arrays().plot()
    assert pyplot.get_fignums() == [display.figure_.number]
    display.plot()
    assert len(pyplot.get_fignums()) == 2


def test_axes_are_of_equal_scale():
    assert of_arrays().plot().ax_.get_aspect() == 1


def test_many_samples_are_smaller_dots():
    few = of_arrays().plot().scatter_.get_sizes()[0]
    many = of_arrays(embedding=np.tile(PLANE, (100, 1))).plot().scatter_.get_sizes()[0]
    assert 1 < many < few
    assert of_arrays().plot(s=7).scatter_.get_sizes() == [7]
    assert with_new().plot(new_kw={"s": 9}).scatter_new_.get_sizes() == [9]


# Colours of labels

LABELS = {
    "words": (WORDS, ["ant", "cat", "dog"]),
    "list": (list(WORDS), ["ant", "cat", "dog"]),
    "objects": (WORDS.astype(object), ["ant", "cat", "dog"]),
    "numbers": (np.array([10, 9, -1])[np.arange(40) % 3], ["-1", "9", "10"]),
    "whole floats": (np.array([2.0, 0.0])[np.arange(40) % 2], ["0", "2"]),
    "booleans": (np.arange(40) % 3 == 1, ["False", "True"]),
    "pandas": (pd.Series(WORDS, index=range(40, 0, -1)), ["ant", "cat", "dog"]),
    "categories": (
        pd.Categorical(WORDS, categories=["dog", "cow", "cat", "ant"]),
        ["dog", "cat", "ant"],
    ),
    "series of categories": (
        pd.Series(pd.Categorical(WORDS, categories=["dog", "cat", "ant"])),
        ["dog", "cat", "ant"],
    ),
    "polars": (pl.Series(WORDS), ["ant", "cat", "dog"]),
    "one": (["all"] * 40, ["all"]),
    "mixed": ([3, "b", 20, "a"] * 10, ["3", "20", "a", "b"]),
}


@pytest.mark.parametrize(("y", "labels"), LABELS.values(), ids=LABELS)
def test_each_label_has_a_colour_and_an_entry(y, labels):
    display = of_arrays(y=y).plot()
    legend = legend_of(display)
    assert list(legend) == labels
    assert display.colorbar_ is None
    colors = colors_of(display.scatter_, 40)
    for color, value in zip(colors, np.asarray(y, dtype=object), strict=True):
        text = str(int(value)) if isinstance(value, float) else str(value)
        np.testing.assert_array_equal(color, legend[text])
    assert len({tuple(color) for color in legend.values()}) == len(labels)


@pytest.mark.parametrize("n_labels", [20, 21, 33])
def test_many_labels(n_labels):
    codes = np.arange(40) % n_labels
    display = of_arrays(y=[f"type {code:02d}" for code in codes]).plot()
    colors = list(legend_of(display).values())
    assert len(colors) == n_labels
    assert len({tuple(color) for color in colors}) == n_labels
    display.figure_.canvas.draw()
    assert display.legend_.get_window_extent().y0 > 0


DAYS = np.datetime64("2020-01-01") + np.arange(40)
MANY = {
    "words": [f"the name of type {i}" for i in range(40)],
    "long words": [f"a name of type {i} that has no end" * 3 for i in range(40)],
    "days": pd.Series(DAYS, name="day"),
    "hours": pd.Series(pd.date_range("2020-01-01", periods=40, freq="7h")),
}


@pytest.mark.parametrize("shape", [(1, 1), (2, 2)], ids=["one panel", "four panels"])
@pytest.mark.parametrize("n_components", [2, 3])
@pytest.mark.parametrize("y", MANY.values(), ids=MANY)
def test_a_legend_of_many_labels_stays_in_the_figure(y, n_components, shape, pyplot):
    projection = "3d" if n_components == 3 else None
    figure, axes = pyplot.subplots(
        *shape,
        squeeze=False,
        layout="compressed",
        subplot_kw={"projection": projection},
    )
    old, new = X[:, :n_components], X_NEW[:, :n_components]
    display = of_arrays(embedding=old, embedding_new=new, y=y).plot(axes[0, -1])
    figure.canvas.draw()
    texts = [text.get_text() for text in display.legend_.get_texts()]
    *labels, more, last = texts
    assert last == "new points"
    assert more == f"and {40 - len(labels)} more"
    box = display.legend_.get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert box.y0 >= 0
    assert 1 <= len(labels) < 40


def test_all_labels_in_as_many_columns_as_asked_for():
    y = MANY["words"]
    display = of_arrays(y=y).plot(legend_kw={"ncols": 4, "fontsize": 4})
    assert sorted(legend_of(display)) == sorted(y)


DATES = {
    "datetime64[D]": DAYS,
    "datetime64[ns]": DAYS.astype("datetime64[ns]"),
    "pandas": pd.Series(DAYS),
    "polars": pl.Series(DAYS),
    "index": pd.DatetimeIndex(DAYS),
}


@pytest.mark.parametrize("y", DATES.values(), ids=DATES)
def test_dates_are_labels(y):
    display = of_arrays(y=y[np.arange(40) % 3]).plot()
    assert list(legend_of(display)) == ["2020-01-01", "2020-01-02", "2020-01-03"]


def test_times_are_labels():
    y = np.array([1500, 60_000, "NaT"] * 13 + [1500], dtype="timedelta64[ms]")
    display = of_arrays(y=y.astype("timedelta64[ns]")).plot()
    assert list(legend_of(display)) == ["0:00:01.500000", "0:01:00", "missing"]


def test_strong_colours_can_be_told_apart():
    drawn = np.array([lab(color) for color in (*STRONG, MISSING, "white")])
    apart = np.linalg.norm(drawn[:, None] - drawn, axis=-1)
    assert apart[np.triu_indices(len(drawn), 1)].min() > 20


def lab(color):
    """CIELAB of a colour of sRGB, under the light D65."""
    rgb = np.array(to_rgba(color)[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    x, y, z = to_xyz @ linear / [0.9505, 1, 1.089]
    f = [np.cbrt(t) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def test_colours_of_labels_are_the_callers_choice():
    listed = matplotlib.colors.ListedColormap(["red", "blue", "black", "white"])
    legend = legend_of(of_arrays(y=WORDS).plot(cmap=listed))
    expected = {"ant": "red", "cat": "blue", "dog": "black"}
    assert legend.keys() == expected.keys()
    for label, color in expected.items():
        np.testing.assert_array_equal(legend[label], to_rgba(color))
    spread = legend_of(of_arrays(y=WORDS).plot(cmap="viridis"))
    viridis = matplotlib.colormaps["viridis"]
    np.testing.assert_array_equal(list(spread.values()), viridis([0.0, 0.5, 1.0]))


MISSING_VALUES = {
    "None": (["a", None, "b"] + ["a"] * 37, ["a", "b"]),
    "NaN": ([1, np.nan, 2] + [1] * 37, ["1", "2"]),
    "pandas": (pd.Series([1, None, 2] + [1] * 37, dtype="Int64"), ["1", "2"]),
    "pandas words": (pd.Series(["a", None] + ["b"] * 38, dtype="string"), ["a", "b"]),
    "categories": (pd.Categorical(["a", None] + ["b"] * 38), ["a", "b"]),
    "polars": (pl.Series(["a", None] + ["b"] * 38), ["a", "b"]),
}


@pytest.mark.parametrize(("y", "labels"), MISSING_VALUES.values(), ids=MISSING_VALUES)
def test_samples_without_a_label_are_grey(y, labels):
    display = of_arrays(y=y).plot()
    legend = legend_of(display)
    assert list(legend) == [*labels, "missing"]
    colors = colors_of(display.scatter_, 40)
    grey = (colors == to_rgba(MISSING)).all(axis=1)
    assert grey.nonzero()[0].tolist() == [1]


def test_no_label_at_all():
    display = of_arrays(y=[None] * 40).plot()
    assert list(legend_of(display)) == ["missing"]


# Colours of numbers


@pytest.mark.parametrize(
    "y",
    [NUMBERS, list(NUMBERS), pd.Series(NUMBERS), pl.Series(NUMBERS), np.arange(40)],
    ids=type,
)
def test_numbers_have_a_colour_bar(y):
    display = of_arrays(y=y).plot()
    np.testing.assert_array_equal(display.scatter_.get_array(), np.asarray(y))
    assert display.scatter_.get_clim() == (min(y), max(y))
    assert display.colorbar_.mappable is display.scatter_
    assert display.legend_ is None


def test_whole_numbers_are_labels_where_they_are_few():
    assert of_arrays(y=np.arange(40) % 20).plot().colorbar_ is None
    assert of_arrays(y=np.arange(40) % 21).plot().legend_ is None
    assert of_arrays(y=(np.arange(40) % 3) / 2).plot().legend_ is None


def test_samples_without_a_number_are_grey():
    y = np.where(np.arange(40) == 4, np.nan, NUMBERS)
    display = of_arrays(y=y).plot()
    assert len(display.scatter_.get_offsets()) == 40
    assert not np.ma.getmaskarray(display.scatter_.get_offsets()).any()
    assert display.scatter_.get_clim() == (-1, 2)
    colors = colors_of(display.scatter_, 40)
    grey = (colors == to_rgba(MISSING)).all(axis=1)
    assert grey.nonzero()[0].tolist() == [4]


def test_scale_of_numbers_is_the_callers_choice():
    y, y_new = np.exp(NUMBERS), np.full(7, 50.5)
    display = with_new(y=y, y_new=y_new).plot(cmap="cividis", vmax=3)
    for scatter in (display.scatter_, display.scatter_new_):
        assert scatter.get_cmap().name == "cividis"
        assert scatter.get_clim() == (y.min(), 3)
    norm = LogNorm()
    display = with_new(y=y, y_new=y_new).plot(norm=norm)
    assert display.scatter_.norm is display.scatter_new_.norm is norm
    assert (norm.vmin, norm.vmax) == (y.min(), 50.5)
    assert isinstance(with_new(y=y).plot(norm="log").scatter_.norm, LogNorm)


# New points beside training samples


def test_labels_have_one_colour_in_both():
    y, y_new = np.array(["b", "c"])[np.arange(40) % 2], [*"aabbcc", None]
    display = with_new(y=y, y_new=y_new).plot()
    legend = legend_of(display)
    assert list(legend) == ["a", "b", "c", "missing", "new points"]
    old, new = colors_of(display.scatter_, 40), colors_of(display.scatter_new_, 7)
    for color, label in zip([*old, *new], [*y, *y_new], strict=True):
        np.testing.assert_array_equal(color, legend[label or "missing"])
    rims = display.scatter_new_.get_edgecolors()
    np.testing.assert_array_equal(rims, [to_rgba("black")])


def test_numbers_have_one_scale_in_both():
    y_new = np.linspace(-9, 1, 7)
    display = with_new(y=NUMBERS, y_new=y_new).plot()
    assert display.scatter_.get_clim() == (-9, 2)
    assert display.scatter_new_.get_clim() == (-9, 2)
    # few whole numbers, but of a quantity
    display = with_new(y=NUMBERS, y_new=np.arange(7)).plot()
    np.testing.assert_array_equal(display.scatter_new_.get_array(), np.arange(7))


def test_new_points_without_labels_are_black_among_coloured_samples():
    display = with_new(y=WORDS).plot()
    assert list(legend_of(display)) == ["ant", "cat", "dog", "new points"]
    new = colors_of(display.scatter_new_, 7)
    np.testing.assert_array_equal(new, [to_rgba("black")] * 7)


@pytest.mark.parametrize("y_new", [None, WORDS[:7], NUMBERS[:7]], ids=type)
def test_samples_without_labels_are_grey_behind_new_points(y_new):
    display = with_new(y_new=y_new).plot()
    old, new = colors_of(display.scatter_, 40), colors_of(display.scatter_new_, 7)
    np.testing.assert_array_equal(old, [to_rgba(MISSING)] * 40)
    assert not (new == to_rgba(MISSING)).all(axis=1).any()
    if y_new is None:
        assert list(legend_of(display)) == ["training samples", "new points"]
    elif y_new is NUMBERS:
        assert display.colorbar_.mappable is display.scatter_new_


def test_one_colour_without_y():
    display = of_arrays().plot()
    assert display.legend_ is None
    assert display.colorbar_ is None
    assert len(set(map(tuple, colors_of(display.scatter_, 40)))) == 1
    red = with_new().plot(color="red", new_kw={"color": "green"})
    assert tuple(colors_of(red.scatter_, 40)[0]) == to_rgba("red")
    assert tuple(colors_of(red.scatter_new_, 7)[0]) == to_rgba("green")
    areas = with_new().plot(c=NUMBERS, cmap=None).scatter_.get_array()
    np.testing.assert_array_equal(areas, NUMBERS)


NUMBERS_OR_LABELS = [
    (NUMBERS, WORDS[:7]),
    (np.arange(40) % 3, ["0", "1", "2", "0", "1", "2", "0"]),
    (WORDS, np.arange(7)),
    (np.arange(40) % 2 == 0, np.arange(7) % 2),
]


@pytest.mark.parametrize(("y", "y_new"), NUMBERS_OR_LABELS)
def test_numbers_and_labels_are_not_compared(y, y_new, pyplot):
    with pytest.raises(
        ValueError, match=r"has numbers, such as .* has labels, such as"
    ):
        with_new(y=y, y_new=y_new).plot()
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("y_new", [["Cat", "Dog", "Ant"] * 2 + [None], ["eel"] * 7])
def test_labels_of_which_none_is_in_both_are_warned_of(y_new):
    match = r"y \('ant', ...\) and y_new \('.*', ...\) have no label in common"
    with pytest.warns(UserWarning, match=match) as told:
        with_new(y=WORDS, y_new=y_new).plot()
    assert told[0].filename == __file__
    with_new(y=WORDS, y_new=[None] * 7).plot()
    with_new(y=WORDS, y_new=["eel"] * 6 + ["cat"]).plot()


# The legend


@pytest.mark.parametrize("y", [WORDS, NUMBERS], ids=["labels", "numbers"])
def test_the_legend_may_be_left_out(y):
    display = with_new(y=y).plot(legend=False)
    assert display.legend_ is None
    assert display.colorbar_ is None
    assert display.figure_.axes == [display.ax_]


def test_the_legend_has_the_name_of_a_series():
    display = of_arrays(y=pd.Series(WORDS, name="animal")).plot()
    assert display.legend_.get_title().get_text() == "animal"
    display = of_arrays(y=pd.Series(NUMBERS, name="height")).plot()
    assert display.colorbar_.ax.get_ylabel() == "height"
    assert of_arrays(y=NUMBERS).plot().colorbar_.ax.get_ylabel() == ""


def test_the_legend_in_a_part_of_a_figure(pyplot):
    parts = pyplot.figure(layout="compressed").subfigures(1, 2)
    display = of_arrays(y=WORDS).plot(parts[0].subplots())
    assert list(legend_of(display)) == ["ant", "cat", "dog"]


@pytest.mark.parametrize("embedding", [PLANE, X[:, :3]], ids=["2-D", "3-D"])
def test_the_legend_hides_nothing_unless_it_is_told_to(embedding):
    display = of_arrays(embedding=embedding, y=WORDS).plot()
    display.figure_.canvas.draw()
    legend, axes = display.legend_.get_window_extent(), display.ax_.get_window_extent()
    assert legend.x0 >= axes.x1
    assert legend.x1 <= display.figure_.bbox.x1
    inside = of_arrays(y=WORDS).plot(
        legend_kw={"loc": "center", "bbox_to_anchor": (0.5, 0.5), "title": "kind"}
    )
    inside.figure_.canvas.draw()
    assert inside.legend_.get_window_extent().x1 < inside.ax_.get_window_extent().x1
    assert inside.legend_.get_title().get_text() == "kind"


# What is refused


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        (
            {"embedding": X[:, :1]},
            {},
            r"embedding has 1 component, and 2 or 3.*hist",
        ),
        ({"embedding": X}, {}, r"has 4 components.*choose, as in components=\(0, 1\)"),
        ({"embedding": X}, {"components": (0, 4)}, r"\(0, 4\).*4 columns.*from 0 to 3"),
        (
            {"embedding": X},
            {"components": (0,)},
            r"components=\(0,\): it must name",
        ),
        (
            {"embedding": X},
            {"components": 1},
            r"components=1: it must name two",
        ),
        ({"embedding": X}, {"components": (0, -1)}, r"from 0 to 3"),
        (
            {"embedding": X},
            {"components": [0, 0]},
            r"\[0, 0\].*each once",
        ),
        ({"embedding": X}, {"components": (1, 2, 1)}, "each once"),
        ({"embedding": X}, {"components": (True, False)}, "it must name two"),
        ({"embedding": X}, {"components": (0.0, 1.0)}, "it must name two"),
        ({"embedding": X[0]}, {}, "Expected 2D array, got 1D"),
        ({"embedding_new": X[:, :3]}, {}, r"embedding_new has 3 comp.*embedding has 2"),
        ({"embedding_new": X}, {}, r"embedding_new has 4 components, and 2 or 3"),
        ({"axis_names": ["a"]}, {}, r"axis_names has 1 names, and embedding has 2"),
        ({"y": WORDS[:30]}, {}, r"y has shape \(30,\), and 40 samples.*shape \(40,\)"),
        ({"y": WORDS[:, None]}, {}, r"y has shape \(40, 1\).*Pass np.ravel\(y\)"),
        ({"y": pd.DataFrame({"a": WORDS})}, {}, r"\(40, 1\).*Pass np.ravel\(y\)"),
        ({"y": NUMBERS * 1j}, {}, r"y has the complex number .* at row 0.*np.abs\(y\)"),
        ({"y": "cat"}, {}, r"y has shape \(\)"),
        ({"y": [*NUMBERS[:-1], np.inf]}, {}, r"y has inf at row 39.*NaN to draw it gr"),
        ({"y_new": WORDS}, {}, "y_new colours new points, and there are none"),
        ({"y": WORDS}, {"color": "red"}, r"color='red' and y both.*Leave one out"),
        ({"y": WORDS}, {"c": "red"}, r"c='red' and y both"),
    ],
)
def test_what_cannot_be_drawn(arrays, options, message, pyplot):
    with pytest.raises(ValueError, match=message):
        of_arrays(**arrays).plot(**options)
    assert pyplot.get_fignums() == []


def test_one_y_for_each_new_point():
    with pytest.raises(ValueError, match=r"y_new has shape \(6,\), and 7 samples"):
        with_new(y_new=WORDS[:6]).plot()
    with pytest.raises(ValueError, match=r"color='red' and y_new both"):
        with_new(y_new=WORDS[:7]).plot(new_kw={"color": "red"})


@pytest.mark.parametrize(
    ("n_components", "projection", "needed"),
    [(3, "rectilinear", "3d"), (2, "3d", "rectilinear")],
)
def test_axes_of_other_dimensions(pyplot, n_components, projection, needed):
    _, ax = pyplot.subplots(subplot_kw={"projection": projection})
    message = rf"{n_components} components.*projection '{projection}'.*need '{needed}'"
    with pytest.raises(ValueError, match=message):
        of_arrays(embedding=X[:, :n_components]).plot(ax)


@pytest.mark.parametrize(
    ("ax", "what"),
    [
        (lambda plt: plt.subplots(2, 2)[1], r"array of shape \(2, 2\)"),
        (lambda plt: list(plt.subplots(2)[1]), "list"),
        (lambda plt: plt.figure(), "Figure"),
    ],
    ids=["array", "list", "figure"],
)
def test_what_is_no_axes(ax, what, pyplot):
    for display in (
        of_arrays(),
        AffinityDisplay(X=PLANE, affinity=X[:, 2], anchor=PLANE[0]),
    ):
        with pytest.raises(
            TypeError, match=rf"ax is of type {what}.*such as axes\[0\]"
        ):
            display.plot(ax(pyplot))


@pytest.mark.parametrize(
    "estimator", [PCA(), GenerativeGeodesicDistance(epsilon=9), object()], ids=type
)
def test_estimators_without_an_embedding(estimator):
    if hasattr(estimator, "fit"):
        estimator.fit(X)
    message = f"{type(estimator).__name__} has no embedding_.*embedding=array"
    with pytest.raises(TypeError, match=message):
        EmbeddingDisplay.from_estimator(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_estimators_that_are_not_fitted(estimator):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        EmbeddingDisplay.from_estimator(clone(estimator))


def test_matplotlib_is_needed_only_to_draw(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = of_arrays(y=WORDS)
    with pytest.raises(ImportError, match=re.escape("pip install 'skgengeo[plot]'")):
        display.plot()
