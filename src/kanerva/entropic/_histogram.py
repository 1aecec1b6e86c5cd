"""How often each place is met, also where numbers are traced and not there."""

import torch
from jaxtyping import Int64
from torch import Tensor

from kanerva._core import arrays

__all__ = ["histogram"]


def histogram(places: Int64[Tensor, " n"], size: int) -> Int64[Tensor, " size"]:
    """Return how often each of ``size`` places is among those given."""
    if arrays.tracing():  # bincount reads how long its result is from the numbers
        return places.new_zeros(size).scatter_add(0, places, torch.ones_like(places))
    return torch.bincount(places, minlength=size)
