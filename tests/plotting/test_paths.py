"""What is drawn: geodesics in the plane, and the log density along them."""

import re
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

from skgengeo import GenerativeGeodesicDistance, GeodesicInterpolator
from skgengeo.density import log_density
from skgengeo.plotting import GeodesicPathDisplay
from skgengeo.plotting._paths import COLORS

from .._densities import normal_log_density

RNG = np.random.default_rng(0)
ANGLE = RNG.uniform(0, np.pi, size=120)
ARC = np.column_stack([np.cos(ANGLE), np.sin(ANGLE)]) + RNG.normal(0, 0.1, (120, 2))
DENSITY = GaussianMixture(5, random_state=0).fit(ARC)
ARCH = GeodesicInterpolator(DENSITY, n_graph_neighbors=12, n_nodes=20).fit(ARC)
SOLID = RNG.normal(size=(60, 3))
BALL = GeodesicInterpolator(normal_log_density, n_graph_neighbors=20, n_nodes=12)
BALL.fit(SOLID)
LEFT, RIGHT = np.array([-1.0, 0.0]), np.array([1.0, 0.0])
PAIRS = np.stack([LEFT, [0.0, 1.0]]), np.stack([RIGHT, RIGHT])
POINTS = ARCH.path(*PAIRS, 9).points
FEW = {"n_points": 9, "grid_resolution": 12}


@pytest.fixture(autouse=True)
def pyplot():
    """Figures that no screen shows, closed in the end."""
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def of_arch(*ends, **options):
    return GeodesicPathDisplay.from_estimator(ARCH, *ends, **{**FEW, **options})


def of_arrays(**arrays):
    return GeodesicPathDisplay(**{"points": POINTS, **arrays})


def data(lines):
    return np.array([line.get_xydata() for line in lines])


def between(x, y, n):
    t = np.linspace(0, 1, n)[:, None]
    return (1 - t) * x + t * y


def colors(display):
    return [to_rgba(line.get_color()) for line in display.paths_]


def texts(display):
    return [text.get_text() for text in display.legend_.get_texts()]


# What is computed


def test_curves_are_the_paths_of_the_interpolator():
    display = of_arch(*PAIRS)
    path = ARCH.path(*PAIRS, 9)
    np.testing.assert_array_equal(display.points, path.points)
    np.testing.assert_array_equal(display.log_density, path.log_density)
    np.testing.assert_array_equal(data(display.paths_), path.points)


def test_segments_are_straight_and_dashed():
    display = of_arch(*PAIRS)
    expected = [between(x, y, 9) for x, y in zip(*PAIRS, strict=True)]
    np.testing.assert_allclose(data(display.straight_), expected, atol=1e-15)
    assert {line.get_linestyle() for line in display.straight_} == {"--"}
    assert {line.get_linestyle() for line in display.paths_} == {"-"}
    found = display.straight_log_density
    for log_p, points in zip(found, expected, strict=True):
        np.testing.assert_allclose(log_p, log_density(DENSITY, points), rtol=1e-12)


def test_ends_are_marked_above_all_else():
    display = of_arch(*PAIRS)
    expected = np.stack(PAIRS, axis=1).reshape(4, 2)
    np.testing.assert_array_equal(display.ends_.get_offsets(), expected)
    below = [*display.paths_, *display.straight_, display.samples_]
    assert display.ends_.get_zorder() > max(artist.get_zorder() for artist in below)
    assert display.paths_[0].get_zorder() > display.straight_[0].get_zorder()


def test_one_pair_is_a_list_of_one():
    one, first = of_arch(LEFT, RIGHT), of_arch(LEFT[None], RIGHT[None])
    np.testing.assert_array_equal(one.points, first.points)
    assert one.points.shape == (1, 9, 2)
    assert one.log_density.shape == one.straight_log_density.shape == (1, 9)


def test_contours_are_those_of_the_density():
    display = of_arch(LEFT, RIGHT)
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    expected = log_density(DENSITY, grid).reshape(12, 12)
    np.testing.assert_allclose(display.grid_log_density, expected, rtol=1e-12)
    np.testing.assert_array_equal(display.samples_.get_offsets(), ARC)


@pytest.mark.parametrize("end", [RIGHT, [4.0, -3.0]], ids=["inside", "outside"])
def test_the_grid_surrounds_samples_and_curves(end):
    flat = GeodesicInterpolator(DENSITY, lam=np.inf, n_graph_neighbors=12).fit(ARC)
    display = GeodesicPathDisplay.from_estimator(flat, LEFT, end, **FEW)
    inside = np.concatenate([ARC, *display.points])
    for k, xx in enumerate((display.xx0, display.xx1)):
        assert xx.min() < inside[:, k].min()
        assert xx.max() > inside[:, k].max()


def test_contours_range_as_far_below_the_samples_as_among_them():
    display = of_arch(LEFT, RIGHT)
    low, high = display.log_density_limits
    log_p = log_density(DENSITY, ARC)
    assert high == pytest.approx(log_p.max())
    assert np.mean(log_p < (low + high) / 2) == pytest.approx(0.05, abs=0.01)
    levels = display.contours_.levels
    assert levels[0] <= low
    assert levels[-1] >= high
    assert display.grid_log_density.min() < levels[0]
    assert display.contours_.extend == "min"


def test_every_point_of_the_plane_has_a_colour():
    grid = np.meshgrid(np.arange(4.0), np.arange(3.0))
    values = np.where(grid[0] < 2, -np.inf, grid[1])
    arrays = {"xx0": grid[0], "xx1": grid[1], "grid_log_density": values}
    for limits in (None, (0.5, 1)):
        contours = of_arrays(**arrays, log_density_limits=limits).plot().contours_
        paths = [path for path in contours.get_paths() if len(path.vertices)]
        for point in np.column_stack([grid[0].ravel(), grid[1].ravel()]):
            inward = point + 0.01 * np.sign([1.5, 1] - point)
            assert any(path.contains_point(inward) for path in paths)


def test_a_flat_density_has_contours():
    flat = GeodesicInterpolator(lambda X: np.zeros(len(X)), n_graph_neighbors=9)
    display = GeodesicPathDisplay.from_estimator(flat.fit(ARC), LEFT, RIGHT, **FEW)
    assert display.log_density_limits == (-1, 0)
    assert len(display.contours_.levels) > 1


@pytest.mark.parametrize(("interpolator", "d"), [(ARCH, 2), (BALL, 3)])
def test_a_profile_is_log_density_against_the_fraction_of_length(interpolator, d):
    x, y = np.resize([-1.0, 0.3], d), np.resize([0.9, 0.3], d)
    display = GeodesicPathDisplay.from_estimator(
        interpolator, x, y, kind="profile", **FEW
    )
    t = np.linspace(0, 1, 9)
    points = interpolator.interpolate(x, y, t)
    for lines, along in (
        (display.paths_, points),
        (display.straight_, between(x, y, 9)),
    ):
        log_p = log_density(interpolator.density_, along)
        expected = np.column_stack([t, log_p])
        np.testing.assert_allclose(data(lines)[0], expected, atol=1e-10)
    assert display.ends_ is display.contours_ is display.samples_ is None
    assert display.ax_.get_xlabel() == "fraction of length"
    assert display.ax_.get_ylabel() == "log density"
    assert texts(display) == ["geodesic", "straight segment"]


def test_the_number_of_features_decides():
    assert of_arch(LEFT, RIGHT).ends_ is not None
    auto = GeodesicPathDisplay.from_estimator(BALL, SOLID[0], SOLID[1], **FEW)
    assert auto.ends_ is None
    line = np.linspace(-2, 2, 30)[:, None]
    one = GeodesicInterpolator(normal_log_density, n_graph_neighbors=3).fit(line)
    assert GeodesicPathDisplay.from_estimator(one, [-1], [1], **FEW).ends_ is None


def test_a_profile_evaluates_no_grid():
    display = of_arch(LEFT, RIGHT, kind="profile")
    assert display.grid_log_density is display.X is display.xx0 is None


def test_features_of_a_frame_name_the_axes_of_the_plane():
    frame = pd.DataFrame(ARC, columns=["width", "height"])
    named = GeodesicInterpolator(DENSITY, n_graph_neighbors=12, n_nodes=9)
    named.fit(frame)
    x, y = frame.iloc[:1], frame.iloc[1:2]
    display = GeodesicPathDisplay.from_estimator(named, x, y, **FEW)
    assert display.ax_.get_xlabel() == "width"
    assert display.ax_.get_ylabel() == "height"
    profile = GeodesicPathDisplay.from_estimator(named, x, y, kind="profile", **FEW)
    assert profile.ax_.get_xlabel() == "fraction of length"


def test_single_precision_is_taken():
    ends = LEFT.astype(np.float32), RIGHT.astype(np.float32)
    np.testing.assert_allclose(of_arch(*ends).points, of_arch(LEFT, RIGHT).points, 1e-5)


def test_a_pair_of_equal_ends():
    display = of_arch(LEFT, LEFT)
    np.testing.assert_array_equal(data(display.paths_), np.tile(LEFT, (1, 9, 1)))


# What is drawn


def test_arrays_are_stored_as_they_are_and_drawn_when_asked():
    grid = np.meshgrid(np.arange(3.0), np.arange(3.0))
    arrays = {
        "points": POINTS,
        "log_density": POINTS[..., 0],
        "straight_log_density": POINTS[..., 1],
        "X": ARC,
        "xx0": grid[0],
        "xx1": grid[1],
        "grid_log_density": grid[0] + grid[1],
        "log_density_limits": (0, 4),
        "feature_names": ["a", "b"],
    }
    display = GeodesicPathDisplay(**arrays)
    assert vars(display) == arrays
    assert all(getattr(display, name) is array for name, array in arrays.items())
    assert display.plot() is display
    assert display.plot(kind="profile") is display


def test_it_draws_on_the_axes_that_are_given(pyplot):
    figure, (left, right) = pyplot.subplots(ncols=2)
    left.set_xlabel("kept")
    display = of_arch(LEFT, RIGHT, ax=left)
    assert display.ax_ is left
    assert display.figure_ is figure
    assert left.get_xlabel() == "kept"
    assert left.get_aspect() == 1
    assert not right.has_data()


def test_it_makes_a_figure_where_there_is_none(pyplot):
    display = of_arrays().plot()
    assert pyplot.get_fignums() == [display.figure_.number]
    display.plot(kind="plane")
    assert len(pyplot.get_fignums()) == 2


def test_displays_share_axes(pyplot):
    first = of_arch(LEFT, RIGHT, label="there")
    second = of_arch(
        [0, 1], RIGHT, ax=first.ax_, contours=False, samples=False, label="here"
    )
    assert second.contours_ is second.samples_ is None
    assert first.contours_ in first.ax_.get_children()
    assert texts(second) == ["there", "straight segment", "here"]


@pytest.mark.parametrize("kind", ["plane", "profile"])
def test_colours_go_on_from_display_to_display(kind):
    display = of_arrays(log_density=POINTS[..., 0])
    options = {"kind": kind, "label": ["a", "b"]}
    ax, found = display.plot(**options).ax_, colors(display)
    for _ in range(6):
        found += colors(display.plot(ax, **options))
    cycle = [to_rgba(color) for color in COLORS[kind]]
    assert found == [cycle[i % len(cycle)] for i in range(14)]


def test_geodesics_without_names_of_their_own_share_the_next_colour():
    display = of_arrays()
    ax = display.plot(color="black").ax_
    found = [colors(display.plot(ax, **more)) for more in ({}, {"label": "b"}, {})]
    first, second, third, *_ = (to_rgba(color) for color in COLORS["plane"])
    assert found == [[first] * 2, [second] * 2, [third] * 2]


def test_each_part_may_be_left_out():
    display = of_arch(
        LEFT, RIGHT, contours=False, samples=False, straight=False, label="alone"
    )
    assert display.contours_ is display.samples_ is None
    assert display.straight_ == []
    assert texts(display) == ["alone"]
    assert display.plot(legend=False, kind="profile").legend_ is None
    assert len(of_arch(LEFT, RIGHT, colorbar=True, contours=False).figure_.axes) == 1


def test_colour_bar():
    display = of_arch(LEFT, RIGHT, colorbar=True)
    assert display.colorbar_.mappable is display.contours_
    assert display.figure_.axes == [display.ax_, display.colorbar_.ax]
    assert display.colorbar_.ax.get_ylabel() == "log density"
    assert of_arch(LEFT, RIGHT).colorbar_ is None


def test_names_of_geodesics_make_a_legend_and_colours_of_their_own():
    plain, named = of_arch(*PAIRS), of_arch(*PAIRS, label=["long", "short"])
    assert plain.legend_ is None
    assert texts(named) == ["long", "short", "straight segment"]
    assert len({line.get_color() for line in plain.paths_}) == 1
    assert len({line.get_color() for line in named.paths_}) == 2
    profile = named.plot(kind="profile", label=["long", "short"])
    assert texts(profile) == ["long", "short", "straight segment"]
    assert texts(named.plot(label="both")) == ["both", "straight segment"]


def test_a_profile_pairs_colours():
    display = of_arch(*PAIRS, kind="profile")
    pairs = [line.get_color() for line in display.paths_]
    assert [line.get_color() for line in display.straight_] == pairs
    assert len(set(pairs)) == 2


def test_the_legend_of_a_profile_tells_pairs_and_kinds_apart():
    display = of_arch(*PAIRS, kind="profile")
    assert texts(display) == ["geodesic 0", "geodesic 1", "straight segment"]
    *pairs, segment = display.legend_.get_lines()
    assert [line.get_color() for line in pairs] == [
        line.get_color() for line in display.paths_
    ]
    assert segment.get_color() not in [line.get_color() for line in pairs]
    assert [line.get_linestyle() for line in (*pairs, segment)] == ["-", "-", "--"]
    one = of_arch(LEFT, RIGHT, kind="profile")
    assert texts(one) == ["geodesic", "straight segment"]
    assert len({line.get_color() for line in one.legend_.get_lines()}) == 1
    alone = of_arrays(log_density=POINTS[..., 0]).plot(kind="profile")
    assert alone.straight_ == []
    assert texts(alone) == ["geodesic 0", "geodesic 1"]


def test_more_geodesics_than_colours_are_one_group():
    points = np.tile(POINTS[0], (11, 1, 1))
    log_p = points[..., 0]
    many = GeodesicPathDisplay(points=points, log_density=log_p).plot(kind="profile")
    assert texts(many) == ["geodesic"]
    assert len(set(colors(many))) == 1
    ten = GeodesicPathDisplay(points=points[:10], log_density=log_p[:10])
    assert len(set(colors(ten.plot(kind="profile")))) == len(texts(ten)) == 10


def test_straight_segments_have_one_entry_of_the_name_they_are_given():
    for kind in ("plane", "profile"):
        options = {"kind": kind, "label": ["a", "b"]}
        display = of_arch(*PAIRS, straight_kw={"label": "chord"}, **options)
        assert texts(display) == ["a", "b", "chord"]
    assert texts(of_arch(*PAIRS, straight_kw={"label": "chord"})) == ["chord"]


def test_the_legend_hides_nothing():
    display = of_arch(LEFT, RIGHT, label="name")
    display.figure_.canvas.draw()
    legend, axes = display.legend_.get_window_extent(), display.ax_.get_window_extent()
    assert legend.x0 >= axes.x1
    assert legend.x1 <= display.figure_.bbox.x1


def test_styles_are_the_callers_choice():
    display = of_arch(
        *PAIRS,
        color="black",
        lw=5,
        straight_kw={"ls": ":", "c": "red"},
        samples_kw={"s": 40},
        contours_kw={"cmap": "magma", "levels": [-3, -2, -1]},
        ends_kw={"color": "blue", "marker": "s"},
    )
    assert {(p.get_color(), p.get_linewidth()) for p in display.paths_} == {
        ("black", 5)
    }
    assert {(s.get_color(), s.get_linestyle()) for s in display.straight_} == {
        ("red", ":")
    }
    assert display.samples_.get_sizes() == [40]
    assert display.contours_.get_cmap().name == "magma"
    np.testing.assert_array_equal(display.contours_.levels, [-3, -2, -1])
    np.testing.assert_array_equal(display.ends_.get_facecolors(), [to_rgba("blue")])


@pytest.mark.parametrize("name", ["color", "c"])
@pytest.mark.parametrize("kind", ["plane", "profile"])
@pytest.mark.parametrize(
    "color",
    [["red", "C2"], ("red", "C2"), [(1, 0, 0), "C2"], np.array([[1, 0, 0], [0, 0, 1]])],
    ids=["list", "tuple", "mixed", "array"],
)
def test_a_colour_for_each_geodesic(color, kind, name):
    display = of_arrays(log_density=POINTS[..., 0]).plot(kind=kind, **{name: color})
    assert colors(display) == [to_rgba(each) for each in color]


@pytest.mark.parametrize("color", ["red", (1, 0, 0), [1, 0, 0, 0.5], ("red", 0.5)])
def test_a_colour_for_all_geodesics(color):
    assert colors(of_arrays().plot(color=color)) == [to_rgba(color)] * 2


def test_curves_of_many_features_are_drawn_in_a_projection():
    path = BALL.path(SOLID[0], SOLID[1], 9)
    flat = GeodesicPathDisplay(points=path.points[:, :2], X=SOLID[:, :2]).plot()
    np.testing.assert_array_equal(data(flat.paths_), [path.points[:, :2]])
    np.testing.assert_array_equal(flat.samples_.get_offsets(), SOLID[:, :2])


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "curve"}, r"kind='curve': pass one of \('auto', 'plane', 'prof"),
        ({"n_points": 1}, r"n_points=1: it must be an integer of at least 2"),
        ({"grid_resolution": 1}, r"grid_resolution=1: it must be an integer of at"),
        ({"grid_resolution": 9.5}, r"grid_resolution=9.5.*such as 100"),
        ({"label": ["a"]}, r"label has 1 names, and there are 2 geodesics. Pass a"),
        ({"color": ["C1"]}, r"color=\['C1'\]: it must be one colour, or a list of 2,"),
        ({"color": ["C1", "x"]}, r"color=\['C1', 'x'\]: it must be one colour, or a"),
        ({"color": "rg"}, r"color='rg': it must be one colour"),
        ({"color": 5}, r"color=5: it must be one colour"),
    ],
)
def test_options_that_are_none(options, message, pyplot):
    with pytest.raises(ValueError, match=message):
        of_arch(*PAIRS, **options)
    assert pyplot.get_fignums() == []


def test_the_plane_has_two_features(pyplot):
    message = r"kind='plane' draws two features.*have 3.*'profile', or draw a proj"
    with pytest.raises(ValueError, match=message):
        GeodesicPathDisplay.from_estimator(BALL, SOLID[0], SOLID[1], kind="plane")
    with pytest.raises(ValueError, match=message):
        GeodesicPathDisplay(points=SOLID).plot(kind="plane")
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"points": LEFT}, {}, r"points of shape \(2,\) are no curves: pass finite"),
        (
            {"points": ARCH.path(*PAIRS, 9)},
            {},
            r"type GeodesicPath are no array: pass finite numbers .* path.points of",
        ),
        (
            {"points": [POINTS[0], POINTS[1, :5]]},
            {},
            r"type list are .* as many points",
        ),
        ({"points": POINTS[:0]}, {}, r"points of shape \(0, 9, 2\) is empty"),
        ({"points": POINTS * np.nan}, {}, r"\(2, 9, 2\) has entries that are not fin"),
        ({}, {"kind": "profile"}, r"log_density is None, and a profile draws it"),
        (
            {"log_density": np.ones(9)},
            {"kind": "profile"},
            r"log_density has shape \(1, 9\), and points \(2, 9, 2\).*\(2, 9\), one",
        ),
        (
            {"log_density": np.ones((2, 9)), "straight_log_density": np.ones((2, 8))},
            {"kind": "profile"},
            r"straight_log_density has shape \(2, 8\)",
        ),
        ({"X": SOLID}, {}, r"X has shape \(60, 3\).*shape \(n_samples, 2\). Pass X="),
        (
            {"grid_log_density": np.ones((3, 4)), "xx0": np.ones((3, 4))},
            {},
            r"shapes \[\(3, 4\), \(\), \(3, 4\)\].*one shape.*numpy.meshgrid",
        ),
        (
            dict.fromkeys(["xx0", "xx1", "grid_log_density"], np.full((3, 3), -np.inf)),
            {},
            r"grid_log_density is finite nowhere.*Pass log_density_limits, or a grid",
        ),
    ],
)
def test_what_cannot_be_drawn(arrays, options, message, pyplot):
    with pytest.raises(ValueError, match=message):
        of_arrays(**arrays).plot(**options)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    "estimator", [GenerativeGeodesicDistance(DENSITY, epsilon=9), DENSITY, object()]
)
def test_estimators_without_continuous_geodesics(estimator):
    message = f"{type(estimator).__name__} finds no continuous.*GeodesicInterpolator"
    with pytest.raises(TypeError, match=message):
        GeodesicPathDisplay.from_estimator(estimator, LEFT, RIGHT)


def test_interpolators_that_are_not_fitted():
    with pytest.raises(NotFittedError, match="GeodesicInterpolator"):
        GeodesicPathDisplay.from_estimator(GeodesicInterpolator(), LEFT, RIGHT)


def test_what_is_no_axes(pyplot):
    with pytest.raises(TypeError, match=r"ax is of type array of shape \(2,\)"):
        of_arrays().plot(pyplot.subplots(2)[1])


def test_matplotlib_is_needed_only_to_draw(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = of_arrays()
    with pytest.raises(ImportError, match=re.escape("pip install 'skgengeo[plot]'")):
        display.plot()
