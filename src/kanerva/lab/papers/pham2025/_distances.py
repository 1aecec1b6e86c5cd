"""Distances between rows."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["finite", "nearest"]

# A larger ratio of distances is that of copies that differ by rounding errors alone.
LARGEST = 1e6
Rows = Float[Tensor, "_rows d"]


def finite(ratio: float) -> float | None:
    """Return a ratio of distances; None for copies that are the rows themselves."""
    return ratio if ratio < LARGEST else None


def nearest(x: Rows, rows: Rows, own: bool = False) -> Float[Tensor, "_rows"]:
    """Return the distance of each state to its nearest row; to the others where these are its own.

    An only row has no other: infinity.
    """
    apart = torch.cdist(x, rows, compute_mode="donot_use_mm_for_euclid_dist")
    if own:
        apart.fill_diagonal_(torch.inf)
    return apart.amin(-1)
