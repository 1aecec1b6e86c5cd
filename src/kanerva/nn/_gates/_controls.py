"""Gates that look at no features: what they change is not due to attention."""

from typing import Any

import torch
from torch import Tensor, nn

from kanerva._core.errors import door
from kanerva.nn._gates._base import Gate, Gated, Stage

__all__ = ["Constant", "Scale"]

# The first gate of a cell whose weights are zero.
START = 0.25


class Constant(Gate):
    """Gates every block by 0.25, which is close to the first gate of a ``DIACell``."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()

    def forward(self, features: Tensor, state: Any) -> Gated:
        """Return a gate of one number."""
        kind = torch.promote_types(features.dtype, torch.float32)
        return features.new_full((1,) * features.ndim, START, dtype=kind), state


class Scale(Gate):
    """Gates every block by one learned number of its own, 0.25 at first."""

    indexed = True

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((stage.blocks,), START))

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "Scale":
        """Set all numbers to 0.25; nothing is drawn."""
        self.scale.fill_(START)
        return self

    def forward(self, features: Tensor, state: Any, block: int = 0) -> Gated:
        """Return a gate of one number."""
        kind = torch.promote_types(features.dtype, torch.float32)
        return self.scale[block].to(kind).reshape((1,) * features.ndim), state
