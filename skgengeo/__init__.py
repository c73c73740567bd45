"""Generative geodesics: distances that follow a fitted density."""

from ._affinity import GeodesicAffinity
from ._cluster import GeodesicSpectralClustering
from ._distance import GenerativeGeodesicDistance, GeodesicNeighborsTransformer
from ._interpolate import GeodesicInterpolator
from ._manifold import GeodesicMDS
from ._umap import GeodesicUMAP

__version__ = "0.1.0"
__all__ = [
    "GenerativeGeodesicDistance",
    "GeodesicAffinity",
    "GeodesicInterpolator",
    "GeodesicMDS",
    "GeodesicNeighborsTransformer",
    "GeodesicSpectralClustering",
    "GeodesicUMAP",
    "__version__",
]
