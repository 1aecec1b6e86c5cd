"""The memory that lets its noise fall: how a comparison chooses where it starts and ends."""

import math
from typing import Any

from kanerva.lab.citations import MEMORIES
from kanerva.lab.memories._entry import Chosen, Entry, Facts, Parameter

__all__ = ["ANNEALED"]

# In each step the noise falls to this share of what it was.
FALL = 0.9
MOST = 100


def _diffusion(facts: Facts, chosen: Chosen) -> list[Parameter]:
    # The nearest other row is sqrt(2 closest) away. Noise beyond half of that makes it the likelier
    # one, and a start above the noise of a cue blends it with rows that are farther away.
    high = float(f"{math.sqrt(facts.closest / 2):.3g}")
    others = math.log(100 * max(facts.patterns - 1, 1))
    low = float(f"{min(math.sqrt(facts.closest / others), high / 2):.3g}")
    steps = min(MOST, 1 + math.ceil(math.log(high / low) / -math.log(FALL)))
    half = "half-way from a pattern to its nearest neighbour, at 99 % of the patterns"
    ends = "leaves all other patterns at most 1 % of the weight, at 99 % of the patterns"
    return [
        Parameter("high", high, half, 1.01 * low, 4 * high, "log", tuned=True),
        Parameter("low", low, ends),
        Parameter("steps", steps, f"the noise falls by {1 - FALL:.0%} a step"),
    ]


def _build(dim: int, **parameters: Any) -> Any:
    """Build the memory; its module is imported when it is first called."""
    from kanerva import diffusion

    return diffusion.memory(dim, **parameters)


ANNEALED = {
    "diffusion": Entry("Diffusion", ("real",), MEMORIES["diffusion"], _diffusion, _build),
}
