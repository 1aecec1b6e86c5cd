"""Memories whose patterns a graph links, and the measures of their correlated attractors."""

from kanerva.correlated._attractors import Attractors, attractors
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
    "Attractors",
    "Distance",
    "Linked",
    "Links",
    "Scores",
    "attractors",
    "by_distance",
    "communities",
    "overlaps",
    "scores",
]
