"""Read the heads of a transformer as memories, and put memories in their place.

``watch`` listens to a model while it works and says of each head which sparse distributed memory it comes nearest to;
``feedforward`` reads the layers between as long-term memories; ``replace`` lets chosen heads read with another memory, and
``effects`` measures what that changes.
"""

from kanerva.probe._circles import CosineCircle
from kanerva.probe._effects import Effect, effects
from kanerva.probe._feedforward import Activated, Store, feedforward
from kanerva.probe._fit import Agreement, Fit
from kanerva.probe._replace import Memory, Reads, circles, replace
from kanerva.probe._temperature import StoreFit
from kanerva.probe._watch import Head, Heads, watch

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
