"""The digits of scikit-learn as rows, noise for them, and the stored row nearest to a state."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva.lab import data

__all__ = ["Digits", "chosen", "digits", "nearest", "normal"]


class Digits(NamedTuple):
    """The stored rows and their classes.

    Attributes:
        rows: ``(1797, 64)`` from 0 to 1.
        classes: ``(1797,)`` from 0 to 9.
    """

    rows: Float64[Tensor, "m 64"]
    classes: Int64[Tensor, "m"]


def digits() -> Digits:
    """Return the 1,797 pictures of 8 x 8 cells."""
    found = data.load("digits")
    labels: Any = found.labels
    classes = torch.tensor([int(one) for one in labels])
    return Digits((found.real.double() + 1) / 2, classes)


def normal(count: int, seed: int, dim: int = 64) -> Float64[Tensor, "count dim"]:
    """Return standard normal noise for some rows."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, dim)))


def chosen(count: int, of: int, seed: int) -> tuple[Int64[Tensor, "count"], np.random.Generator]:
    """Return places of random rows, and the generator for what is drawn next."""
    checks.integer("digits", count, 1, of)
    source = np.random.default_rng(checks.integer("seed", seed, 0, 2**62))
    return torch.from_numpy(source.choice(of, count, replace=False)), source


def nearest(
    x: Float64[Tensor, "b d"], rows: Float64[Tensor, "m d"]
) -> tuple[Float64[Tensor, "b"], Int64[Tensor, "b"]]:
    """Return the distance to the nearest row, and its place."""
    far = torch.cdist(x, rows, compute_mode="donot_use_mm_for_euclid_dist")
    found = far.min(-1)
    return found.values, found.indices
