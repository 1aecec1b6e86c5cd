"""Memories whose patterns a graph links, and the measures of their correlated attractors."""

from kanerva.correlated._measures import (
    Distance,
    Scores,
    by_distance,
    communities,
    overlaps,
    scores,
)
from kanerva.memory import Linked, Links

__all__ = [
    "Distance",
    "Linked",
    "Links",
    "Scores",
    "by_distance",
    "communities",
    "overlaps",
    "scores",
]
