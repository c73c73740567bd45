"""Affinities to one anchor, in the plane."""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ._pyplot import check_axes, equal_axes, pyplot

CROSS = {
    "marker": "X",
    "s": 150,
    "color": "red",
    "edgecolors": "white",
    "linewidths": 1.5,
    "zorder": 3,
}


class AffinityDisplay:
    """Samples of two features, coloured by their affinity to one anchor.

    The anchor is drawn as a red cross. It is recommended to use
    :meth:`AffinityDisplay.from_estimator` to create a display. All parameters are
    stored as attributes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, 2)
        Where the samples are drawn: their features, or an embedding of them.
    affinity : ndarray of shape (n_samples,)
        Affinity of each sample to the anchor.
    anchor : ndarray of shape (2,)
        Where the cross is drawn.
    feature_names : sequence of two str or None, default=None
        Labels of the axes.

    Attributes
    ----------
    scatter_ : matplotlib.collections.PathCollection
        The samples.
    cross_ : matplotlib.collections.PathCollection
        The anchor.
    colorbar_ : matplotlib.colorbar.Colorbar or None
        The colour bar, where there is one.
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    skgengeo.GeodesicAffinity : Affinities that follow the data.
    skgengeo.GeodesicSpectralClustering : Clusters from these affinities.

    Examples
    --------
    Affinities of geodesic distances, to the first sample:

    >>> from sklearn.datasets import make_moons
    >>> from skgengeo import GeodesicAffinity
    >>> from skgengeo.plotting import AffinityDisplay
    >>> X, _ = make_moons(200, noise=0.05, random_state=0)
    >>> affinity = GeodesicAffinity(epsilon=0.4).fit(X)
    >>> display = AffinityDisplay.from_estimator(affinity, X, anchor=0)

    Beside them those of Euclidean distances, from arrays:

    >>> import matplotlib.pyplot as plt
    >>> from sklearn.metrics.pairwise import rbf_kernel
    >>> figure, (left, right) = plt.subplots(ncols=2, layout="constrained")
    >>> euclidean = AffinityDisplay(
    ...     X=X, affinity=rbf_kernel(X, X[:1], gamma=5)[:, 0], anchor=X[0]
    ... )
    >>> euclidean = euclidean.plot(ax=left, colorbar=False)
    >>> display = display.plot(ax=right)

    Samples of many features are drawn in an embedding:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> X, _ = load_iris(return_X_y=True)
    >>> A = GeodesicAffinity(epsilon=2).fit_transform(X)
    >>> plane = PCA(n_components=2).fit_transform(X)
    >>> display = AffinityDisplay(X=plane, affinity=A[70], anchor=plane[70]).plot()
    """

    def __init__(self, *, X, affinity, anchor, feature_names=None):
        self.X = X
        self.affinity = affinity
        self.anchor = anchor
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls, estimator, X, anchor, *, ax=None, colorbar=True, anchor_kw=None, **kwargs
    ):
        """Draw the affinities of a fitted estimator.

        Parameters
        ----------
        estimator : GeodesicAffinity or GeodesicSpectralClustering
            Fitted; or any other estimator that has an `affinity_matrix_` between its
            training samples, like :class:`sklearn.cluster.SpectralClustering`.
        X : array-like of shape (n_samples, 2)
            The training samples, in their order.
        anchor : int or array-like of shape (2,)
            Index of a sample, or a point, which may be new: then the estimator must be
            a GeodesicAffinity, which knows the affinities of new points.
        ax : matplotlib.axes.Axes or None, default=None
            What to draw on; None makes a figure.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        anchor_kw : dict or None, default=None
            For :meth:`matplotlib.axes.Axes.scatter`, which draws the cross.
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.scatter`, which draws the samples.

        Returns
        -------
        AffinityDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            Where the estimator gives no affinities.
        ValueError
            Where X has not two features or not as many samples as were fitted, or
            the anchor is no sample and no point.
        """
        check_gives_affinities(estimator)
        check_is_fitted(estimator)
        samples = check_two_features(X)
        index, point = index_and_point(anchor, samples)
        display = cls(
            X=samples,
            affinity=affinities_to(estimator, index, point, X),
            anchor=point,
            feature_names=list(X.columns) if hasattr(X, "columns") else None,
        )
        return display.plot(ax, colorbar=colorbar, anchor_kw=anchor_kw, **kwargs)

    def plot(self, ax=None, *, colorbar=True, anchor_kw=None, **kwargs):
        """Draw the samples, the cross and the colour bar.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            What to draw on; None makes a figure.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        anchor_kw : dict or None, default=None
            For :meth:`matplotlib.axes.Axes.scatter`, which draws the cross.
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.scatter`, which draws the samples. Unless
            these say otherwise, colours range from 0 to 1, and further where the
            affinities do.

        Returns
        -------
        AffinityDisplay
            The display itself.
        """
        plt = pyplot()
        check_axes(ax)
        if ax is None:
            _, ax = plt.subplots(layout="compressed")  # the bar is as high as the axes
        if "norm" not in kwargs:
            kwargs.setdefault("vmin", min(0, np.min(self.affinity)))
            kwargs.setdefault("vmax", max(1, np.max(self.affinity)))
        self.scatter_ = ax.scatter(*self.X.T, c=self.affinity, **kwargs)
        self.cross_ = ax.scatter(*self.anchor, **{**CROSS, **(anchor_kw or {})})
        self.ax_, self.figure_ = ax, ax.figure
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = ax.figure.colorbar(self.scatter_, ax=ax, label="affinity")
        equal_axes(ax, self.feature_names)
        return self


def check_gives_affinities(estimator):
    """Refuse estimators whose `transform` gives something else, such as distances."""
    if not (hasattr(estimator, "affinity") or hasattr(estimator, "affinity_matrix_")):
        raise TypeError(
            f"{type(estimator).__name__} gives no affinities. Pass a fitted "
            "GeodesicAffinity or GeodesicSpectralClustering, or draw affinities of "
            "your own: AffinityDisplay(X=X, affinity=affinity, anchor=point).plot()."
        )


def check_two_features(X):
    """Samples as an array, refused where they do not lie in the plane."""
    samples = check_array(X, dtype=[np.float64, np.float32])
    if samples.shape[1] != 2:
        raise ValueError(
            f"X has {samples.shape[1]} features, and samples are drawn in a plane: it "
            "must have 2. Of others, draw an embedding: AffinityDisplay(X=embedding, "
            "affinity=A[i], anchor=embedding[i]).plot()."
        )
    return samples


def index_and_point(anchor, samples):
    """Index of an anchor, None where it is a point; and where it is."""
    n = len(samples)
    if isinstance(anchor, Integral):
        if not 0 <= anchor < n:
            raise ValueError(
                f"anchor={anchor} is the index of no sample: X has {n}. Pass an index "
                f"from 0 to {n - 1}, or a point of shape (2,)."
            )
        return anchor, samples[anchor]
    point = np.asarray(anchor, dtype=samples.dtype)
    if point.shape != (2,):
        raise ValueError(
            f"anchor has shape {point.shape}: it must be the index of a sample, an "
            "integer, or one point of shape (2,), such as X[0]."
        )
    return None, point


def affinities_to(estimator, index, point, X):
    """Affinity of each training sample to the anchor."""
    name = type(estimator).__name__
    if hasattr(estimator, "transform"):
        row = estimator.transform(as_row(point, X))
    elif index is not None:
        row = estimator.affinity_matrix_[[index]]
    else:
        raise ValueError(
            f"The anchor is a point, and {name} has the affinities of its training "
            "samples alone. Pass the index of a sample, or a fitted GeodesicAffinity."
        )
    row = np.ravel(row.toarray() if issparse(row) else row)
    if len(row) != len(X):
        raise ValueError(
            f"X has {len(X)} samples, and {name} was fitted on {len(row)}. Pass the "
            "training samples, in their order."
        )
    return row


def as_row(point, X):
    """A point as a row of X, with the names of its features where X has any."""
    if not hasattr(X, "columns"):
        return point[None]
    return type(X)(dict(zip(X.columns, point[:, None], strict=True)))
