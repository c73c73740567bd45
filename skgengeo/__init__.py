"""Generative geodesics: distances that follow a fitted density."""

from ._distance import GenerativeGeodesicDistance

__version__ = "0.1.0"
__all__ = ["GenerativeGeodesicDistance", "__version__"]
