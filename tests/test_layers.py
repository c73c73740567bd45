"""The rooms of the package: imports go one way, and shared parameters are shared."""

import ast
import importlib
import inspect
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skgengeo
from skgengeo._base import BaseGeodesicEstimator

ROOT = Path(skgengeo.__file__).parent
FILES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}
# Below every room.
FOUNDATION = {
    "skgengeo._compat",
    "skgengeo._batching",
    "skgengeo._caching",
    "skgengeo._fitting",
    "skgengeo._floats",
    "skgengeo._kernels",
    "skgengeo._warnings",
}


def room(module):
    """The part of the package that a module belongs to."""
    return module.split(".")[1]


def modules_in(*rooms):
    return [module for module in FILES if room(module) in rooms]


# Files at the top, and what puts them together.
ESTIMATORS = {module for module in FILES if module.count(".") == 1} - FOUNDATION


def nodes(tree, *, at_import):
    """Statements and expressions; with `at_import` those outside of functions."""
    for node in ast.iter_child_nodes(tree):
        yield node
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not (at_import and deferred):
            yield from nodes(node, at_import=at_import)


def imported_names(source, module, *, at_import=False):
    """Absolute names of the modules, and of what is taken from them."""
    package = module.split(".")[:-1]
    for node in nodes(ast.parse(source), at_import=at_import):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            origin = [*base, *filter(None, [node.module])]
            yield from (".".join([*origin, name.name]) for name in node.names)


@cache
def imports_of(module, *, at_import=False):
    names = imported_names(FILES[module].read_text(), module, at_import=at_import)
    return frozenset(names)


def module_of(name):
    """The module of the package that an absolute name is found in."""
    parts = name.split(".")
    for stop in range(len(parts), 0, -1):
        for found in (".".join(parts[:stop]), ".".join([*parts[:stop], "__init__"])):
            if found in FILES:
                return found
    return None


def needs(module, *, at_import=False):
    """Modules of the package that a module imports."""
    names = imports_of(module, at_import=at_import)
    return {module_of(name) for name in names} - {None}


# The instruments


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import numpy as np", "numpy"),
        ("from numpy import linalg", "numpy.linalg"),
        ("from . import _b", "skgengeo.room._b"),
        ("from ._b import c", "skgengeo.room._b.c"),
        ("from ..other import c as d", "skgengeo.other.c"),
        ("def f():\n    from .. import other", "skgengeo.other"),
        ("try:\n    import a.b\nexcept ImportError:\n    pass", "a.b"),
    ],
)
def test_imports_are_found(statement, name):
    assert list(imported_names(statement, "skgengeo.room._a")) == [name]
    assert list(imported_names(statement, "skgengeo.room.__init__")) == [name]
    deferred = statement.startswith("def")
    at_import = imported_names(statement, "skgengeo.room._a", at_import=True)
    assert list(at_import) == ([] if deferred else [name])


def test_modules_are_found():
    assert module_of("skgengeo._base.BaseGeodesicEstimator") == "skgengeo._base"
    assert module_of("skgengeo.density.as_density") == "skgengeo.density.__init__"
    assert module_of("skgengeo.__version__") == "skgengeo.__init__"
    assert module_of("numpy.linalg") is None
    assert {"density", "geometry"} <= {room(m) for m in needs("skgengeo._base")}


# Imports go one way


@pytest.mark.parametrize("module", modules_in("density", "geometry"))
def test_density_and_geometry_stand_alone(module):
    own = set(modules_in(room(module)))
    assert needs(module) <= own | FOUNDATION


@pytest.mark.parametrize("module", sorted(FOUNDATION))
def test_the_foundation_needs_nothing_above_it(module):
    assert needs(module) <= FOUNDATION


def test_plotting_and_datasets_import_no_estimator():
    for module in modules_in("plotting", "datasets"):
        assert needs(module).isdisjoint(ESTIMATORS)


def test_no_cycles():
    graph = {module: needs(module) - {module} for module in FILES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


def named(name):
    """The object of an absolute name."""
    try:
        return importlib.import_module(name)
    except ImportError:
        parent, _, last = name.rpartition(".")
        return getattr(importlib.import_module(parent), last)


def scores(found):
    """Whether it is a class of densities, or a module that has one."""
    classes = vars(found).values() if inspect.ismodule(found) else [found]
    return any(
        inspect.isclass(cls) and hasattr(cls, "score_samples") for cls in classes
    )


def test_densities_of_scikit_learn_are_recognised():
    assert scores(named("sklearn.neighbors.KernelDensity"))
    assert scores(named("sklearn.mixture"))
    assert not scores(named("sklearn.neighbors.NearestNeighbors"))


@pytest.mark.parametrize("module", modules_in("geometry"))
def test_geometry_knows_no_density_of_scikit_learn(module):
    names = [n for n in imports_of(module) if n.startswith("sklearn.")]
    assert [n for n in names if scores(named(n))] == []


@pytest.mark.parametrize("module", FILES)
def test_private_names_of_scikit_learn_enter_by_one_door(module):
    names = [n for n in imports_of(module) if n.split(".")[0] == "sklearn"]
    private = [n for n in names if any(part.startswith("_") for part in n.split("."))]
    assert private == [] or module == "skgengeo._compat"


@pytest.mark.parametrize("module", [m for m in FILES if room(m) != "plotting"])
def test_matplotlib_is_imported_where_it_draws(module):
    names = imports_of(module, at_import=True)
    assert [n for n in names if n.split(".")[0] == "matplotlib"] == []


# Shared parameters

SHARED = BaseGeodesicEstimator._parameter_constraints
# What differs, from the others' text to an estimator's own.
DEPARTURES = {
    ("GeodesicInterpolator", "lam"): (
        "``np.inf`` is Isomap's distance",
        "``np.inf`` is the straight segment's",
    ),
    ("GeodesicInterpolator", "shortcuts"): ("default=False", "default=True"),
}
PUBLIC = {name: getattr(skgengeo, name) for name in skgengeo.__all__}
GEODESIC = {
    name: found
    for name, found in PUBLIC.items()
    if inspect.isclass(found) and issubclass(found, BaseGeodesicEstimator)
}


def documented_parameters(cls):
    """Name -> all that the docstring says about it, type and default included."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=\n\n\w[\w ]*\n-+\n|\Z)",
        inspect.getdoc(cls),
        re.DOTALL | re.MULTILINE,
    )
    entries = re.split(r"^(?=\w+ : )", section[1], flags=re.MULTILINE)
    return {e.split(" : ")[0]: e.strip() for e in entries if e.strip()}


def test_documentation_is_found():
    class Documented:
        """Summary.

        Parameters
        ----------
        a : int, default=1
            First, see `b`.

            More of it.
        b : str
            Second.

        Attributes
        ----------
        c : int
            Third.
        """

    assert documented_parameters(Documented) == {
        "a": "a : int, default=1\n    First, see `b`.\n\n    More of it.",
        "b": "b : str\n    Second.",
    }


@pytest.mark.parametrize("cls", GEODESIC.values(), ids=GEODESIC)
def test_every_parameter_is_documented_and_validated(cls):
    parameters = inspect.signature(cls).parameters
    assert set(documented_parameters(cls)) == set(parameters)
    assert set(cls._parameter_constraints) == set(parameters)


@pytest.mark.parametrize("cls", GEODESIC.values(), ids=GEODESIC)
def test_geometry_parameters_are_the_same_everywhere(cls):
    first = next(iter(GEODESIC.values()))
    own, reference = (inspect.signature(c).parameters for c in (cls, first))
    texts, reference_texts = documented_parameters(cls), documented_parameters(first)
    for name in SHARED:
        before, after = DEPARTURES.get((cls.__name__, name), ("", ""))
        assert before in reference_texts[name]
        assert texts[name] == reference_texts[name].replace(before, after)
        if before.startswith("default="):
            defaults = reference[name].default, own[name].default
            assert (before, after) == tuple(f"default={value}" for value in defaults)
        else:
            assert own[name].default == reference[name].default
        assert cls._parameter_constraints[name] is SHARED[name]
