"""Displays: they store arrays, and draw with matplotlib when they are asked to."""

from ._affinity import AffinityDisplay

__all__ = ["AffinityDisplay"]
