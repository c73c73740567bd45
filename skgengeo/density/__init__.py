"""Densities: X -> log p(X). Knows nothing of graphs."""

from ._flow import FlowDensity
from ._gradient import log_density_gradient
from ._parzen import ManifoldParzenWindows
from ._protocol import as_density
from ._scoring import log_density
from ._tempered import TemperedDensity

__all__ = [
    "FlowDensity",
    "ManifoldParzenWindows",
    "TemperedDensity",
    "as_density",
    "log_density",
    "log_density_gradient",
]
