"""Analyse the heads of a transformer as memories, and replace them by memories.

``watch`` measures the heads of a model during its forward passes, and finds the sparse distributed
memory that is nearest to each. ``feedforward`` analyses the layers between them as long-term
memories. ``replace`` replaces the reads of chosen heads by those of other memories, and ``effects``
measures how the outputs change.
"""

from kanerva.probe._circles import CosineCircle
from kanerva.probe._effects import Effect, effects
from kanerva.probe._feedforward import Activated, Store, feedforward
from kanerva.probe._fit import Agreement, Fit
from kanerva.probe._head import Head
from kanerva.probe._replace import Memory, Reads, circles, replace
from kanerva.probe._temperature import StoreFit
from kanerva.probe._watch import Heads, watch

__all__ = [
    "Activated",
    "Agreement",
    "CosineCircle",
    "Effect",
    "Fit",
    "Head",
    "Heads",
    "Memory",
    "Reads",
    "Store",
    "StoreFit",
    "circles",
    "effects",
    "feedforward",
    "replace",
    "watch",
]
