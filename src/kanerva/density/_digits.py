"""Which rows need distances from differences: those of kernels much narrower than the data."""

import torch
from torch import Tensor

from kanerva._engine.scores import Rows, part_of
from kanerva.bits import Packed

__all__ = ["lost"]

# Error of a logarithm, in nats, that scores by products may have.
FINE = 1e-9


def lost(rows: Tensor, keys: Rows, beta: float) -> Tensor:
    """Return which rows are so far from the first key that beta times ``closeness`` loses digits.

    The squares that ``closeness`` subtracts are those of the distances from the first key.
    """
    first = part_of(keys, slice(0, 1))
    origin = first[:] if isinstance(first, Packed) else first
    square = (rows.detach() - origin.double()).square().sum(-1)
    return (beta * square > FINE / torch.finfo(torch.float64).eps).nonzero().squeeze(-1)
