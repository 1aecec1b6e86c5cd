"""Random numbers for the equations of the cases: an attended layer, an attending unit, a target."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva._core import arrays

__all__ = ["Scene", "normal"]

# Inputs of a batch; sources, attended units and targets behind them; inputs of the attending unit.
ITEMS, SOURCES, UNITS, TARGETS, READ = 16, 5, 4, 3, 3


class Scene(NamedTuple):
    """Numbers for one attending unit and a layer of attended units, all float64.

    Attributes:
        x: ``(batch, n)`` outputs of the sources of the attended units.
        weight: ``(m, n)`` weights of the attended units.
        bias: ``(m,)``, theirs.
        onto: ``(m, 1)`` weights from the attending unit onto the attended ones.
        chosen: ``(m, n)``, 1 for a synapse that is attended, and 0 for the others.
        target: ``(p, m)`` weights from the attended units onto their targets.
        read: ``(batch, k)`` inputs of the attending unit.
        own: ``(1, k)``, its weights.
    """

    x: Float64[Tensor, "batch n"]
    weight: Float64[Tensor, "m n"]
    bias: Float64[Tensor, " m"]
    onto: Float64[Tensor, "m 1"]
    chosen: Float64[Tensor, "m n"]
    target: Float64[Tensor, "p m"]
    read: Float64[Tensor, "batch k"]
    own: Float64[Tensor, "1 k"]

    @classmethod
    def drawn(cls, seed: int | torch.Generator = 0) -> "Scene":
        """Draw the numbers from a seed."""
        source = arrays.generator(seed)
        chosen = (torch.rand(UNITS, SOURCES, generator=source) < 0.5).double()
        return cls(
            normal(source, ITEMS, SOURCES),
            normal(source, UNITS, SOURCES),
            normal(source, UNITS),
            normal(source, UNITS, 1),
            chosen,
            normal(source, TARGETS, UNITS),
            normal(source, ITEMS, READ),
            normal(source, 1, READ),
        )


def normal(source: torch.Generator, *shape: int) -> Tensor:
    """Draw float64 numbers with the normal distribution."""
    return torch.randn(shape, generator=source, dtype=torch.float64)
