"""Distances from differences of coordinates, for kernels much narrower than the data."""

import torch
from torch import Tensor

from kanerva._engine.scores import Rows, part_of
from kanerva.bits import Packed
from kanerva.similarity import closeness

__all__ = ["apart", "lost"]

# Error of a logarithm, in nats, that scores by products may have.
FINE = 1e-9


def apart(query: Tensor, keys: Tensor) -> Tensor:
    """Score as ``closeness`` does, from differences: slower, with all digits of near rows."""
    distance = torch.cdist(query, keys, compute_mode="donot_use_mm_for_euclid_dist")
    return -0.5 * distance.square()


vars(apart).update({"regulariser": vars(closeness)["regulariser"], "transparent": True})
vars(apart)["unchecked"] = apart


def lost(rows: Tensor, keys: Rows, beta: float) -> Tensor:
    """Return which rows are so far from the first key that beta times ``closeness`` loses digits.

    The squares that ``closeness`` subtracts are those of the distances from the first key.
    """
    first = part_of(keys, slice(0, 1))
    origin = first[:] if isinstance(first, Packed) else first
    square = (rows.detach() - origin.double()).square().sum(-1)
    return (beta * square > FINE / torch.finfo(torch.float64).eps).nonzero().squeeze(-1)
