"""Memories whose patterns a graph links, and the measures of their correlated attractors."""

from kanerva.correlated._measures import (
    Distance,
    Scores,
    by_distance,
    communities,
    overlaps,
    scores,
)

__all__ = ["Distance", "Scores", "by_distance", "communities", "overlaps", "scores"]
