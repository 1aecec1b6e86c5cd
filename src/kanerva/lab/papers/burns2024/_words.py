"""Parameters and sources that the recipes of Burns 2024 share."""

from typing import Annotated

from kanerva.lab.papers._common import SEPARATE
from kanerva.lab.recipe import Cell

__all__ = [
    "CLOSED",
    "RING",
    "SEPARATE",
    "STORED",
    "Auto",
    "Beta",
    "Hetero",
    "Memories",
    "Neurons",
    "Rate",
    "Steps",
    "pair",
]

Auto = Annotated[float, "strength a of auto-association; negative is anti-Hebbian"]
Hetero = Annotated[float, "strength h of hetero-association along the links"]
Neurons = Annotated[int, "number of neurons; their patterns are uniform from 0 to 1"]
Memories = Annotated[int, "number of memories, which are linked in a ring"]
Beta = Annotated[float, "inverse temperature per unit of dot product"]
Rate = Annotated[float, "share of each step that a recall takes"]
Steps = Annotated[int, "number of steps of a recall"]

# The published ring.
RING: Cell = {"neurons": 1000, "memories": 30, "beta": 1.0}
# Where an expected number comes from.
STORED = "the author's stored figure, read off"
CLOSED = "closed form for many neurons"


def pair(auto: float, hetero: float) -> str:
    """Name the strengths of a memory.

    Example:
        >>> pair(-0.5, 1.5)
        'a = −0.5, h = 1.5'
    """
    return f"a = {auto:g}, h = {hetero:g}".replace("-", "−")
