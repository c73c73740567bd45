"""Displays: they store arrays, and draw with matplotlib when they are asked to."""

from ._affinity import AffinityDisplay
from ._embedding import EmbeddingDisplay
from ._paths import GeodesicPathDisplay

__all__ = ["AffinityDisplay", "EmbeddingDisplay", "GeodesicPathDisplay"]
