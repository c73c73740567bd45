import pytest

from ._densities import WatchedDensity


@pytest.fixture
def watched(monkeypatch):
    """The class WatchedDensity, its notes empty."""
    monkeypatch.setattr(WatchedDensity, "fits", [])
    monkeypatch.setattr(WatchedDensity, "calls", [])
    return WatchedDensity
