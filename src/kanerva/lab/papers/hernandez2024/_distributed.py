"""Registers of which a share of the cells was erased."""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from kanerva.entropic import EntropicMemory, Gaussian, Quantiser
from kanerva.lab.papers.hernandez2024 import _protocol

__all__ = ["Design", "damaged", "erased", "expectations"]

Rows = Float64[Tensor, "rows columns"]

# So many of the registers also recall, and what they recall is classified.
CLASSIFIED = 10


class Design(NamedTuple):
    """What is stored, how it is damaged, and how often.

    Attributes:
        content: ``"digits"``, or ``"random"`` levels in their place.
        levels: of each column.
        share: the probability with which each cell is erased.
        sigma: of the Gaussian, as a share of the levels.
        registers: how many are damaged, each anew.
        fold: which digits are stored.
        seed: of all draws.
    """

    content: str
    levels: int
    share: float
    sigma: float
    registers: int
    fold: int
    seed: int


def erased(memory: EntropicMemory, share: float, source: np.random.Generator) -> EntropicMemory:
    """Return a copy of a memory, in which each cell lost its counts with some probability."""
    damaged, state = copy.deepcopy(memory), memory.state_dict()
    lost = torch.from_numpy(source.random(tuple(memory.counts.shape)) < share)
    damaged.load_state_dict({**state, "counts": state["counts"].masked_fill(lost, 0)})
    return damaged


def damaged(design: Design, tolerances: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Erase cells of many copies of a register, and yield a row for each tolerance."""
    given = _protocol.fold(design.fold)
    source = np.random.default_rng(design.seed)
    x = given.fill.x
    if design.content == "random":
        x = torch.from_numpy(source.integers(0, design.levels, tuple(x.shape))).double()
    memory = _written(design, x)
    misses, right = [], []
    for number in range(design.registers):
        one = erased(memory, design.share, source)
        misses.append(one.recognise(x).mismatches)
        if number < CLASSIFIED and design.content == "digits":
            right.append(given.classify(one.recall(x, seed=number)) == given.fill.labels)
    count = torch.stack(misses)
    shared = _shared(memory, x)
    bare = _percent(given.classify(x) == given.fill.labels) if right else None
    for xi in tolerances:
        accepted = count <= xi
        shares = accepted.double().mean(1)
        expected, spread = expectations(shared, x.shape[1], design.share, xi)
        error = spread / len(shares) ** 0.5
        low, high = shares.quantile(torch.tensor([0.1, 0.9], dtype=shares.dtype)).tolist()
        yield {
            "xi": xi,
            "accepted": float(shares.mean()),
            "expected": expected,
            "off": (float(shares.mean()) - expected) / error if error else 0.0,
            "spread": float(shares.std()),
            "spread_expected": spread,
            "low": low,
            "high": high,
            "answered": _percent(accepted[: len(right)]) if right else None,
            "recalled": _percent(torch.stack(right) & accepted[: len(right)]) if right else None,
            "bare": bare,
        }


def expectations(
    shared: Float64[np.ndarray, "overlaps"], columns: int, share: float, xi: int
) -> tuple[float, float]:
    """Return the mean over registers of the share of stored cues accepted, and its deviation.

    Each cell of a cue is erased by itself, so that its mismatches are binomial. Two cues lose the
    cells that they share together, and their other cells apart.

    Args:
        shared: how many of all pairs of cues share 0, 1, ... columns cells, as shares; a cue is
            paired with itself, too.
        columns: of the register.
        share: the probability with which each cell is erased.
        xi: how many columns may mismatch.
    """
    from scipy.stats import binom

    mean, both = float(binom.cdf(xi, columns, share)), 0.0
    for overlap in np.flatnonzero(shared):
        together = np.arange(min(int(overlap), xi) + 1)
        apart = binom.cdf(xi - together, columns - overlap, share)
        both += shared[overlap] * float(binom.pmf(together, overlap, share) @ apart**2)
    return mean, max(both - mean**2, 0.0) ** 0.5


def _shared(memory: EntropicMemory, x: Rows) -> Float64[np.ndarray, "overlaps"]:
    """Return how many pairs of rows share 0, 1, ... cells, as shares of all."""
    level = x.long() if memory.quantiser is None else memory.quantiser.encode(x)
    overlap = sum((column.unsqueeze(1) == column).long() for column in level.T)
    return np.bincount(overlap.flatten().numpy(), minlength=x.shape[1] + 1) / len(x) ** 2


def _written(design: Design, x: Rows) -> EntropicMemory:
    """Return a register that holds some rows, and recalls whatever the cue."""
    levels, columns = design.levels, x.shape[1]
    numbers = design.content == "digits"
    memory = EntropicMemory(
        columns,
        levels,
        spread=Gaussian(design.sigma),
        xi=columns,
        quantiser=Quantiser.fit(x, levels) if numbers else None,
        dtype=torch.float64,
    )
    memory.write(x)
    return memory


def _percent(found: Bool[Tensor, "*rows"]) -> float:
    return 100 * float(found.double().mean())
