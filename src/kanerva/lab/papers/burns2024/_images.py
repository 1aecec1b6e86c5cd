"""Retrieval of pictures without links, and its two scores."""

from typing import Any, NamedTuple

import numpy as np
import torch

import kanerva
from kanerva import correlated
from kanerva._core import checks
from kanerva.lab.papers.burns2024 import _pictures

__all__ = ["Design", "scored"]


class Design(NamedTuple):
    """The pictures of one cell, the noise of the starts, and the number of steps."""

    data: str
    form: str
    patterns: int
    noise: float
    steps: int
    seed: int


def scored(design: Design, auto: float, beta: float, mean: float) -> dict[str, Any]:
    """Recall from every picture with noise, and return the scores of the last states."""
    checks.integer("patterns", design.patterns, 2)
    checks.choice("form", design.form, ("raw", "centred"))
    checks.number("noise", design.noise, 0)
    stored = _pictures.pictures(design.data, design.patterns)
    checks.integer("patterns", design.patterns, 2, len(stored))
    if design.form == "centred":
        stored = _pictures.centred(stored)
    drawn = np.random.default_rng(design.seed).random(stored.shape) - 0.5
    memory = kanerva.cdam(stored.shape[1], beta, auto, 1 - auto, mean, dtype=torch.float64)
    memory.write(stored)
    starts = stored + design.noise * torch.from_numpy(drawn)
    states = memory.recall(starts, steps=design.steps, tolerance=0.0)
    return correlated.scores(states, stored)._asdict()
