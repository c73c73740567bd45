"""What importing the package costs: nothing that takes seconds."""

import json
import subprocess
import sys

import numpy as np
import pytest

import skgengeo
import skgengeo.density
import skgengeo.geometry
import skgengeo.plotting

SLOW = {"pynndescent", "umap", "matplotlib", "torch", "pandas", "polars"}


def modules_after(statement):
    """Top-level names of all modules of a fresh interpreter."""
    code = f"import json, sys; {statement}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stdout)}


IMPORT = "import skgengeo.density, skgengeo.geometry, skgengeo.plotting"


def test_import_is_light():
    # scikit-learn may import pandas itself, where there is one: so without it.
    loaded = modules_after(f"sys.modules['pandas'] = None; {IMPORT}")
    assert "skgengeo" in loaded
    assert loaded & SLOW == {"pandas"}


def test_what_is_imported_is_seen():
    assert "polars" in modules_after("import polars")


@pytest.mark.parametrize(
    "package",
    [skgengeo, skgengeo.density, skgengeo.geometry, skgengeo.plotting],
    ids=lambda p: p.__name__,
)
def test_public_names_exist(package):
    assert package.__all__ == sorted(set(package.__all__))
    for name in package.__all__:
        assert hasattr(package, name)


@pytest.mark.parametrize("missing", ["torch", "zuko"])
def test_what_flows_need_is_named(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    density, X = skgengeo.density.FlowDensity(), np.diag([1.0, 2.0])
    with pytest.raises(ImportError, match=r"needs (torch|zuko),.*'skgengeo\[deep\]'"):
        density.fit(X)
    # A geodesic passes it on.
    with pytest.raises(ImportError, match=r"skgengeo\[deep\]"):
        skgengeo.GenerativeGeodesicDistance(density).fit(X)
