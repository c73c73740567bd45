"""What is drawn: where the samples are, their colours, and the cross."""

import re
import sys

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.colors import LogNorm, to_rgba
from sklearn.base import clone
from sklearn.cluster import SpectralClustering
from sklearn.exceptions import NotFittedError
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

from skgengeo import (
    GenerativeGeodesicDistance,
    GeodesicAffinity,
    GeodesicSpectralClustering,
)
from skgengeo.plotting import AffinityDisplay

X = np.random.default_rng(0).normal(size=(40, 2))
NEW = np.array([0.3, -0.2])
DENSE = GeodesicAffinity(epsilon=3).fit(X)
SPARSE = GeodesicAffinity(epsilon=3, n_neighbors=6).fit(X)
ESTIMATORS = {
    "dense": DENSE,
    "sparse": SPARSE,
    "clusters": GeodesicSpectralClustering(2, epsilon=3).fit(X),
    "sparse clusters": GeodesicSpectralClustering(2, epsilon=3, n_neighbors=6).fit(X),
    "scikit-learn": SpectralClustering(2, random_state=0).fit(X),
}


@pytest.fixture(autouse=True)
def pyplot():
    """Figures that no screen shows, closed in the end."""
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def dense(affinities):
    return np.asarray(
        affinities.todense() if hasattr(affinities, "todense") else affinities
    )


# What is computed


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_samples_are_coloured_by_their_affinity_to_a_sample(estimator):
    display = AffinityDisplay.from_estimator(estimator, X, 7)
    if hasattr(estimator, "affinity_matrix_"):
        expected = dense(estimator.affinity_matrix_)[7]
    else:
        expected = dense(estimator.transform(X[[7]]))[0]
    np.testing.assert_array_equal(display.affinity, expected)
    np.testing.assert_array_equal(display.scatter_.get_array(), expected)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), X)
    np.testing.assert_array_equal(display.cross_.get_offsets(), X[[7]])


@pytest.mark.parametrize("estimator", [DENSE, SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize("point", [NEW, list(NEW), pd.Series(NEW)], ids=type)
def test_an_anchor_may_be_a_new_point(estimator, point):
    display = AffinityDisplay.from_estimator(estimator, X, point)
    expected = dense(estimator.transform(NEW[None]))[0]
    np.testing.assert_array_equal(display.scatter_.get_array(), expected)
    np.testing.assert_array_equal(display.cross_.get_offsets(), NEW[None])


@pytest.mark.parametrize("index", [0, 39, np.int64(12)])
def test_a_sample_is_an_anchor_by_index_or_as_a_point(index):
    by_index = AffinityDisplay.from_estimator(DENSE, X, index)
    as_point = AffinityDisplay.from_estimator(DENSE, X, X[index])
    np.testing.assert_array_equal(by_index.affinity, as_point.affinity)
    np.testing.assert_array_equal(by_index.anchor, as_point.anchor)
    assert by_index.affinity.argmax() == index


def test_affinities_are_those_of_fit_transform():
    matrix = clone(DENSE).fit_transform(X)
    display = AffinityDisplay.from_estimator(DENSE, X, 7)
    np.testing.assert_allclose(display.affinity, matrix[7], rtol=1e-9)


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
@pytest.mark.parametrize(
    "frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"]
)
def test_features_of_a_frame_are_named(frame, output):
    named = frame({"width": X[:, 0], "height": X[:, 1]})
    affinity = GeodesicAffinity(epsilon=3).set_output(transform=output).fit(named)
    display = AffinityDisplay.from_estimator(affinity, named, NEW)
    expected = DENSE.transform(NEW[None])[0]
    np.testing.assert_array_equal(display.scatter_.get_array(), expected)
    assert display.ax_.get_xlabel() == "width"
    assert display.ax_.get_ylabel() == "height"


def test_single_precision_is_taken():
    single = X.astype(np.float32)
    display = AffinityDisplay.from_estimator(clone(DENSE).fit(single), single, 7)
    np.testing.assert_allclose(
        display.affinity, DENSE.transform(X[[7]])[0], rtol=1e-3, atol=1e-6
    )


# What is drawn


def of_arrays(affinity=None, **options):
    if affinity is None:
        affinity = rbf_kernel(X, NEW[None])[:, 0]
    return AffinityDisplay(X=X, affinity=affinity, anchor=NEW, **options)


def test_arrays_are_stored_as_they_are_and_drawn_when_asked():
    arrays = {"X": X, "affinity": X[:, 0], "anchor": NEW, "feature_names": ["a", "b"]}
    display = AffinityDisplay(**arrays)
    assert vars(display) == arrays
    assert all(getattr(display, name) is array for name, array in arrays.items())
    assert display.plot() is display


def test_it_draws_on_the_axes_that_are_given(pyplot):
    figure, (left, right) = pyplot.subplots(ncols=2)
    left.set(xlabel="kept", xlim=(-9, 9))
    display = of_arrays().plot(left, colorbar=False)
    assert display.ax_ is left
    assert display.figure_ is figure
    assert list(left.collections) == [display.scatter_, display.cross_]
    assert left.get_xlabel() == "kept"
    assert not right.has_data()


def test_it_makes_a_figure_where_there_is_none(pyplot):
    display = of_arrays().plot()
    assert pyplot.get_fignums() == [display.figure_.number]
    again = display.plot()
    assert len(pyplot.get_fignums()) == 2
    assert again.figure_.axes[0] is again.ax_


def test_axes_are_of_equal_scale():
    assert of_arrays().plot().ax_.get_aspect() == 1


def test_the_cross_is_red_and_above_the_samples():
    display = of_arrays().plot()
    cross = display.cross_
    np.testing.assert_array_equal(cross.get_facecolor(), [to_rgba("red")])
    assert cross.get_zorder() > display.scatter_.get_zorder()
    black = of_arrays().plot(anchor_kw={"color": "black", "s": 9}).cross_
    np.testing.assert_array_equal(black.get_facecolor(), [to_rgba("black")])
    assert black.get_sizes() == [9]


@pytest.mark.parametrize(
    ("affinity", "limits"),
    [
        (np.linspace(0.2, 0.7, 40), (0, 1)),
        (np.linspace(0.2, 5, 40), (0, 5)),
        (np.linspace(-3, -1, 40), (-3, 1)),
    ],
)
def test_colours_range_from_0_to_1_and_as_far_as_affinities_do(affinity, limits):
    assert of_arrays(affinity).plot().scatter_.get_clim() == limits


def test_colours_are_the_callers_choice():
    display = of_arrays().plot(cmap="cividis", vmax=0.5, s=np.arange(40))
    assert display.scatter_.get_cmap().name == "cividis"
    assert display.scatter_.get_clim() == (0, 0.5)
    np.testing.assert_array_equal(display.scatter_.get_sizes(), np.arange(40))
    norm = LogNorm(1e-3, 1)
    assert of_arrays().plot(norm=norm).scatter_.norm is norm


def test_colour_bar():
    display = of_arrays().plot()
    assert display.colorbar_.mappable is display.scatter_
    assert display.figure_.axes == [display.ax_, display.colorbar_.ax]
    assert of_arrays().plot(colorbar=False).colorbar_ is None
    of_estimator = AffinityDisplay.from_estimator(DENSE, X, 0)
    assert of_estimator.colorbar_.mappable is of_estimator.scatter_


def test_options_of_from_estimator_reach_the_drawing(pyplot):
    _, ax = pyplot.subplots()
    display = AffinityDisplay.from_estimator(
        DENSE, X, 0, ax=ax, colorbar=False, anchor_kw={"s": 9}, s=4
    )
    assert display.ax_ is ax
    assert display.colorbar_ is None
    assert display.cross_.get_sizes() == [9]
    assert display.scatter_.get_sizes() == [4]


# What is refused


@pytest.mark.parametrize(
    ("anchor", "message"),
    [
        (40, r"anchor=40 is the index of no sample.*from 0 to 39, or a point"),
        (-1, r"anchor=-1 is the index of no sample"),
        (3.0, r"anchor has shape \(\).*an integer, or one point of shape \(2,\)"),
        (X[:1], r"anchor has shape \(1, 2\)"),
        ([1, 2, 3], r"anchor has shape \(3,\)"),
        ([np.nan, 0], "NaN"),
    ],
)
def test_anchors_that_are_none(anchor, message):
    with pytest.raises(ValueError, match=message):
        AffinityDisplay.from_estimator(DENSE, X, anchor)


def test_a_new_point_needs_a_transformer():
    message = r"anchor is a point, and GeodesicSpectralClustering.*GeodesicAffinity\."
    with pytest.raises(ValueError, match=message):
        AffinityDisplay.from_estimator(ESTIMATORS["clusters"], X, NEW)


@pytest.mark.parametrize("d", [1, 3])
def test_more_or_fewer_features(d):
    Z = np.random.default_rng(0).normal(size=(20, d))
    affinity = GeodesicAffinity(epsilon=9).fit(Z)
    with pytest.raises(ValueError, match=rf"X has {d} features.*2.*draw an embedding"):
        AffinityDisplay.from_estimator(affinity, Z, 0)


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_samples_that_are_not_the_training_samples(estimator):
    message = rf"X has 30 samples, and {type(estimator).__name__} was fitted on 40"
    with pytest.raises(ValueError, match=message):
        AffinityDisplay.from_estimator(estimator, X[:30], 0)


@pytest.mark.parametrize(
    "estimator", [StandardScaler(), GenerativeGeodesicDistance(epsilon=3), object()]
)
def test_estimators_without_affinities(estimator):
    if hasattr(estimator, "fit"):
        estimator.fit(X)
    message = f"{type(estimator).__name__} gives no affinities.*GeodesicAffinity"
    with pytest.raises(TypeError, match=message):
        AffinityDisplay.from_estimator(estimator, X, 0)


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_estimators_that_are_not_fitted(estimator):
    with pytest.raises(NotFittedError, match=type(estimator).__name__):
        AffinityDisplay.from_estimator(clone(estimator), X, 0)


def test_matplotlib_is_needed_only_to_draw(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = of_arrays()
    with pytest.raises(ImportError, match=re.escape("pip install 'skgengeo[plot]'")):
        display.plot()
