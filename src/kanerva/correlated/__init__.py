"""Memories whose patterns a graph links, the measures of their attractors, and automata."""

from kanerva.correlated._attractors import Attractors, attractors
from kanerva.correlated._automaton import Automaton, Run
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
    "Automaton",
    "Distance",
    "Linked",
    "Links",
    "Run",
    "Scores",
    "attractors",
    "by_distance",
    "communities",
    "overlaps",
    "scores",
]
