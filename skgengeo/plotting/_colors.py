"""Colours of samples: one for each label, or a scale of numbers."""

from datetime import datetime
from numbers import Complex, Real

import numpy as np

from .._warnings import warn
from ._pyplot import pyplot

MISSING = "#c4c4c4"
# Any two of them, and any of them and grey or white, are 20 apart in CIELAB.
STRONG = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#17becf", "#bcbd22", "#2b2f77"),
    *("#8fb8ea", "#ffbf86", "#93e07f", "#ff9896", "#800000"),
    *("#f032e6", "#ffd92f", "#0b5d2a", "#cdb4f0", "#7f7f7f"),
)
# Whole numbers of no more distinct values than this are labels.
MOST_NUMBERED_LABELS = 20


def colors_for(groups, cmap, scale):
    """Colours that groups of samples share.

    Parameters
    ----------
    groups : dict
        Name -> (y, number of samples): what each group is coloured by, None where it
        is not.
    cmap : str, Colormap or None
        Where colours are taken from.
    scale : dict
        `norm`, `vmin` and `vmax` of a scale of numbers, where they are given.

    Returns
    -------
    colors : LabelColors, NumberColors or None
        None where no group is coloured.
    columns : list of tuple or None
        What `colors.of` takes, for each group.
    """
    columns = [
        None if y is None else as_column(y, n, name) for name, (y, n) in groups.items()
    ]
    given = [column for column in columns if column is not None]
    if not given:
        return None, columns
    check_of_one_kind(list(groups), columns)
    if are_labels(np.concatenate([values[~missing] for values, missing in given])):
        warn_of_strangers(list(groups), columns)
        order = [label for y, _ in groups.values() for label in categories(y)]
        return LabelColors(given, order, cmap), columns
    return NumberColors(given, cmap, scale), columns


class LabelColors:
    """A colour for each label, and grey for samples without one.

    Parameters
    ----------
    columns : list of (values, missing)
        As `as_column` gives them.
    order : sequence
        Labels that come first, in this order, where they occur.
    cmap : str, Colormap or None
        Where colours are taken from; None takes `STRONG`, and "turbo" where they do
        not suffice.
    """

    def __init__(self, columns, order, cmap):
        present = np.concatenate([values[~missing] for values, missing in columns])
        self.labels = ordered_labels(present, order)
        self.colors = qualitative(len(self.labels), cmap)
        self.any_missing = any(missing.any() for _, missing in columns)

    def of(self, column):
        """Options of a scatter plot."""
        values, missing = column
        position = {label: i for i, label in enumerate(self.labels)}
        codes = [len(self.labels)] * len(values)
        for i in np.flatnonzero(~missing):
            codes[i] = position[as_text(values[i])]
        return {"c": np.array([*self.colors, rgba(MISSING)])[codes]}

    def entries(self):
        """Text and colour of the entries of the legend: labels, and others."""
        found = list(zip(self.labels, self.colors, strict=True))
        return found, [("missing", rgba(MISSING))] if self.any_missing else []


class NumberColors:
    """A colour map over all numbers, grey for samples without one.

    Parameters
    ----------
    columns : list of (values, missing)
        As `as_column` gives them.
    cmap : str, Colormap or None
        None takes matplotlib's own.
    scale : dict
        `norm`, `vmin` and `vmax`, where they are given.
    """

    def __init__(self, columns, cmap, scale):
        present = np.concatenate([values[~missing] for values, missing in columns])
        low, high = float(min(present)), float(max(present))
        self.options = {
            "cmap": pyplot().get_cmap(cmap).with_extremes(bad=MISSING),
            "plotnonfinite": True,
            **scale,
        }
        if hasattr(scale.get("norm"), "autoscale_None"):
            scale["norm"].autoscale_None([low, high])
        else:
            self.options = {"vmin": low, "vmax": high, **self.options}

    def of(self, column):
        """Options of a scatter plot."""
        values, missing = column
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = values[~missing]
        return {"c": numbers, **self.options}

    def entries(self):
        """None: there is a colour bar."""
        return [], []


def as_column(y, n_rows, name):
    """Values as objects, and which of them are missing.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        What samples are coloured by.
    n_rows : int
        Number of samples.
    name : str
        What the error calls it.

    Returns
    -------
    values : ndarray of object
        As Python has them.
    missing : ndarray of bool
        Where a value is None, NaN or its like.

    Raises
    ------
    ValueError
        Where there is not one value for each sample, or one is infinite or complex.
    """
    if getattr(getattr(y, "dtype", None), "kind", None) in ("m", "M"):
        y = np.asarray(y, dtype=f"{y.dtype.kind}8[us]")  # others become integers
    values = np.asarray(y, dtype=object)
    if values.shape != (n_rows,):
        remedy = f" Pass np.ravel({name})." if values.shape == (n_rows, 1) else ""
        raise ValueError(
            f"{name} has shape {values.shape}, and {n_rows} samples are drawn: it must "
            f"have shape ({n_rows},), a label or a number for each.{remedy}"
        )
    for i, value in enumerate(values):
        if isinstance(value, Complex) and not isinstance(value, Real):
            raise ValueError(
                f"{name} has the complex number {value} at row {i}, for which there is "
                f"no scale of colours. Pass np.abs({name}), or its angle or real part."
            )
        if is_number(value) and np.isinf(value):
            raise ValueError(
                f"{name} has {value} at row {i}, which no scale of colours reaches. "
                "Replace it by a finite value, or by NaN to draw it grey."
            )
    return values, np.array([is_missing(value) for value in values], dtype=bool)


def check_of_one_kind(names, columns):
    """Refuse numbers in one group, and nothing but other values in another."""
    numbers, words = {}, {}
    for name, column in zip(names, columns, strict=True):
        values = [] if column is None else column[0][~column[1]]
        if len(values) and all(is_number(value) for value in values):
            numbers[name] = values[0]
        elif len(values) and not any(is_number(value) for value in values):
            words[name] = values[0]
    if numbers and words:
        (of_numbers, number), (of_words, word) = *numbers.items(), *words.items()
        raise ValueError(
            f"{of_numbers} has numbers, such as {number}, and {of_words} has labels, "
            f"such as {word!r}: no colours compare them. Pass the same for both."
        )


def warn_of_strangers(names, columns):
    """Warn where two groups have labels, and none in common."""
    texts = {
        name: sorted({as_text(value) for value in column[0][~column[1]]})
        for name, column in zip(names, columns, strict=True)
        if column is not None and not column[1].all()
    }
    if len(texts) == 2 and set.isdisjoint(*map(set, texts.values())):
        said = " and ".join(
            f"{name} ({found[0]!r}, ...)" for name, found in texts.items()
        )
        warn(
            f"{said} have no label in common, so that no colour is in both. Unless the "
            "new points are of other classes, write labels in the same way."
        )


def is_missing(value):
    """Whether a value is None, NaN, NaT or the NA of pandas."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def is_number(value):
    """Whether a value is a real number; booleans are not."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def are_labels(values):
    """Whether values are labels rather than a quantity: see `MOST_NUMBERED_LABELS`."""
    if not all(is_number(value) for value in values):
        return True
    whole = all(value == int(value) for value in values)
    return whole and len(set(values)) <= MOST_NUMBERED_LABELS


def as_text(label):
    """A label as the legend has it: no point in whole numbers, no hour in days."""
    if isinstance(label, datetime):
        return str(label).removesuffix(" 00:00:00")
    return str(int(label) if is_number(label) and label == int(label) else label)


def categories(y):
    """The order that a categorical of pandas gives its labels; empty for others."""
    return list(getattr(getattr(y, "cat", y), "categories", []))


def ordered_labels(values, order):
    """Distinct labels as text: those of `order` first, numbers by size, then words."""
    found = {as_text(value): (not is_number(value), value) for value in values}
    first = [text for text in map(as_text, order) if text in found]
    numbers = sorted((v, text) for text, (word, v) in found.items() if not word)
    words = sorted(text for text, (word, _) in found.items() if word)
    return list(dict.fromkeys([*first, *(text for _, text in numbers), *words]))


def qualitative(n, cmap):
    """Colours of n labels, as rows of RGBA."""
    if cmap is None and n <= len(STRONG):
        return [rgba(color) for color in STRONG[:n]]
    found = pyplot().get_cmap("turbo" if cmap is None else cmap)
    listed = n <= found.N < 256
    return found(np.arange(n) if listed else np.linspace(0, 1, n))


def rgba(color):
    """A colour as an array of four numbers."""
    from matplotlib.colors import to_rgba

    return np.array(to_rgba(color))
