"""Rows on a sphere that a kernel density holds as modes of their own."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva import Patterns
from kanerva.separation import Softmax
from kanerva.similarity import closeness

__all__ = ["NEAR", "Held", "crossing", "drawn", "held", "mean", "pair"]

# A row is held where its mode is within this share of the radius.
NEAR = 0.1
STARTS, STEPS, RESTED = 200, 200, 1e-9

Rows = Float64[Tensor, "rows d"]


class Held(NamedTuple):
    """What a kernel density does to its rows.

    * ``share``: of the rows whose mode is near.
    * ``guaranteed``: the share of rows that are held by the theorem for a single row.
    * ``broken``: the number of those that are not held.
    * ``mode``: the mean of the projection of a mode on its row, over the radius.
    """

    share: float
    guaranteed: float
    broken: int
    mode: float


def drawn(count: int, dim: int, length: float, seed: int) -> Rows:
    """Draw rows uniformly from a sphere of a given radius."""
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    return length * torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def pair() -> Rows:
    """Return the two points of the sphere in one dimension."""
    return torch.tensor([[1.0], [-1.0]], dtype=torch.float64)


def held(rows: Rows, beta: float) -> Held:
    """Climb from the first rows to their modes by mean shift."""
    memory = Patterns(
        rows.shape[1], similarity=closeness, separation=Softmax(beta), dtype=torch.float64
    )
    memory.write(rows)
    starts, length = rows[:STARTS], float(rows[0].norm())
    modes = memory.recall(starts, steps=STEPS, tolerance=RESTED)
    apart = (modes - starts).norm(dim=-1)
    certain = _guaranteed(rows, beta, length)[:STARTS]
    # The theorem has each mode within 1 / (beta N M) of its row.
    ball = 1 / (beta * len(rows) * length)
    projection = (modes * starts).sum(-1) / length**2
    return Held(
        share=float((apart < NEAR * length).double().mean()),
        guaranteed=float(certain.double().mean()),
        broken=int((apart[certain] > ball).sum()),
        mode=float(projection.mean()),
    )


def _guaranteed(rows: Rows, beta: float, length: float) -> Tensor:
    """Return which rows are held, by their separation from the nearest other row."""
    products = rows @ rows.T
    products.fill_diagonal_(-math.inf)
    separation = length**2 - products.amax(-1)
    count = len(rows)
    least = 2 / count + math.log(2 * (count - 1) * count * beta * length**2)
    return separation >= least / beta


def mean(found: Sequence[Held]) -> Held:
    """Return the means over several sets of rows, and the sum of the broken ones."""
    share, guaranteed, _, mode = (sum(column) / len(found) for column in zip(*found, strict=True))
    return Held(share, guaranteed, sum(one.broken for one in found), mode)


def crossing(shares: Sequence[float]) -> float | None:
    """Return the place, between two, where shares first fall below a half; None if none does."""
    for place, (high, low) in enumerate(pairwise(shares)):
        if high >= 0.5 > low:
            return place + (high - 0.5) / (high - low)
    return None
