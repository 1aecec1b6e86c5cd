"""Registers of random objects."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kanerva.entropic import EntropicMemory
from kanerva.theory import entropic

__all__ = ["Design", "simulated"]


class Design(NamedTuple):
    """The size of the registers, and how many there are.

    Attributes:
        columns: of each register.
        levels: of each column.
        patterns: how many random objects are stored.
        registers: how many are filled, each with objects of its own.
        cues: how many random cues each gets.
        seed: of all draws.
    """

    columns: int
    levels: int
    patterns: int
    registers: int
    cues: int
    seed: int


def simulated(design: Design, tolerances: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Fill registers with random objects, and yield a row for each tolerance."""
    columns, levels, patterns = design[:3]
    source = np.random.default_rng(design.seed)
    misses, weighted, binary = [], [], []
    for _ in range(design.registers):
        objects = _levels(source, patterns, design)
        memories = [EntropicMemory(columns, levels, cap=cap) for cap in (None, 1)]
        for memory in memories:
            memory.write(objects)
        misses.append(memories[0].recognise(_levels(source, design.cues, design)).mismatches)
        weighted.append(memories[0].entropy())
        binary.append(memories[1].entropy())
    count = torch.stack(misses).numpy()
    bits = {
        "weighted": _compared(np.array(weighted), entropic.entropy(levels, patterns)),
        "binary": _compared(np.array(binary), entropic.entropy(levels, patterns, cap=1)),
    }
    for xi in tolerances:
        expected = entropic.acceptance(columns, levels, patterns, xi)
        found = _compared((count <= xi).mean(1), expected, count.shape[1])
        row: dict[str, Any] = {"stored": patterns, "xi": xi}
        for name, three in {"accepted": found, **bits}.items():
            row |= dict(zip((name, f"{name}_expected", f"{name}_off"), three, strict=True))
        yield row


def _levels(source: np.random.Generator, count: int, design: Design) -> Tensor:
    """Return random objects."""
    drawn = source.integers(0, design.levels, (count, design.columns))
    return torch.from_numpy(drawn).float()


def _compared(
    values: np.ndarray, expected: float, cues: int | None = None
) -> tuple[float, float, float]:
    """Return the mean over registers, what is expected, and their difference in standard errors.

    Where shares of so many cues do not vary, the error is that of the expected share.
    """
    mean, error = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    if cues and not error:
        error = (expected * (1 - expected) / (cues * len(values))) ** 0.5
    return mean, expected, (mean - expected) / error if error else 0.0
