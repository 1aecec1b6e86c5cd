"""Random codes with few ones, and what memories of them read."""

from typing import NamedTuple

import torch
from torch import Tensor

import kanerva

__all__ = ["clean", "draw", "overlap"]

# Codes from which a recall starts.
STARTS = 50


class Read(NamedTuple):
    """What is read from every stored key, undamaged.

    * ``fill``: the share of the connections that are on; None for the covariance rule.
    * ``wrong``: wrong bits of a value, on average.
    * ``recalled``: the share of the values without a wrong bit.
    """

    fill: float | None
    wrong: float
    recalled: float


def draw(count: int, bits: int, ones: int, source: torch.Generator) -> Tensor:
    """Draw codes of -1/+1 with a fixed number of +1."""
    order = torch.rand(count, bits, generator=source).argsort(-1)
    return torch.where(order < ones, 1.0, -1.0)


def clean(memory: str, bits: int, ones: int, patterns: int, source: torch.Generator) -> Read:
    """Store random values under random keys, and read them from their keys."""
    keys, values = (draw(patterns, bits, ones, source) for _ in range(2))
    store: kanerva.Locations
    if memory == "willshaw":
        store = kanerva.willshaw(bits, value_bits=bits)
    else:
        # Values one bit longer than keys have no diagonal, which would be left out.
        values = torch.nn.functional.pad(values, (0, 1), value=-1.0)
        store = kanerva.covariance(bits, ones / bits, value_bits=bits + 1)
    store.write(keys, values)
    fill = getattr(store, "fill", None)
    wrong = (store.read(keys) != values)[:, :bits].sum(-1)
    return Read(fill, wrong.double().mean().item(), (wrong == 0).double().mean().item())


def overlap(bits: int, ones: int, patterns: int, source: torch.Generator) -> float:
    """Return how much of a code is left after a recall from the code itself.

    It is the share of active units inside the code, less that outside.
    """
    codes = draw(patterns, bits, ones, source)
    memory = kanerva.covariance(bits, ones / bits)
    memory.write(codes)
    on, inside = memory.recall(codes[:STARTS], steps=30) > 0, codes[:STARTS] > 0
    shares = (on & inside).sum(-1) / ones - (on & ~inside).sum(-1) / (bits - ones)
    return shares.double().mean().item()
