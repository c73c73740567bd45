"""Generative geodesics: distances that follow a fitted density."""

from ._affinity import GeodesicAffinity
from ._cluster import GeodesicSpectralClustering
from ._distance import GenerativeGeodesicDistance, GeodesicNeighborsTransformer

__version__ = "0.1.0"
__all__ = [
    "GenerativeGeodesicDistance",
    "GeodesicAffinity",
    "GeodesicNeighborsTransformer",
    "GeodesicSpectralClustering",
    "__version__",
]
