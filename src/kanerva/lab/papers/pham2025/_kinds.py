"""The handwritten digits, and whether samples are stored rows, repeated states, or neither."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva.lab.data._raw import extra

__all__ = ["Kinds", "digits", "kinds", "nearest"]


class Kinds(NamedTuple):
    """Shares of samples, which sum to one.

    Attributes:
        memorised: within a first threshold of a training row.
        spurious: others within a second threshold of another sample.
        generalised: neither.
    """

    memorised: float
    spurious: float
    generalised: float


def digits(count: int, seed: int) -> Float64[Tensor, "count 64"]:
    """Return the first digits of scikit-learn in a random order, from 0 to 1."""
    sets = extra("sklearn.datasets", "scikit-learn", "'digits'")
    x = sets.load_digits().data / 16
    return torch.from_numpy(x[np.random.default_rng(seed).permutation(len(x))[:count]])


def nearest(
    rows: Float64[Tensor, "n d"], others: Float64[Tensor, "m d"] | None = None
) -> Float64[Tensor, "n"]:
    """Return the distance of each row to the nearest of others; of the rest, where there are none.

    An only row has no other: infinity.
    """
    apart = torch.cdist(
        rows, rows if others is None else others, compute_mode="donot_use_mm_for_euclid_dist"
    )
    if others is None:
        apart.fill_diagonal_(float("inf"))
    return apart.min(-1).values


def kinds(
    samples: Float64[Tensor, "n d"],
    train: Float64[Tensor, "m d"],
    memorised: float,
    spurious: float,
) -> Kinds:
    """Sort samples by two thresholds of the Euclidean distance."""
    copied = nearest(samples, train) <= memorised
    repeated = ~copied & (nearest(samples) <= spurious)
    rest = ~copied & ~repeated
    return Kinds(*(float(one.double().mean()) for one in (copied, repeated, rest)))
