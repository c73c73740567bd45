"""Geometry: arrays in, arrays out. Knows no estimator and no density class."""

from ._edges import connecting_epsilon
from ._graph import GeodesicGraph

__all__ = ["GeodesicGraph", "connecting_epsilon"]
