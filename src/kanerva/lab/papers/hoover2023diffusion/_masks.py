"""Digits of which the lower part is hidden, completed in four ways."""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from kanerva import diffusion
from kanerva.lab.papers.hoover2023diffusion import _digits, _pictures

__all__ = ["Design", "completed", "replaced"]

# The noise of a read, and where replacement starts and ends.
NOISE, HIGH, LOW = 0.1, 3.0, 0.05
SHOWN = 6


class Design(NamedTuple):
    """How digits are hidden and completed."""

    method: str
    hidden: int
    noise: float
    digits: int
    steps: int
    seed: int


def completed(design: Design) -> dict[str, Any]:
    """Complete digits, and return the share whose own row is nearest to the result."""
    rows, _ = _digits.digits()
    own, source = _digits.chosen(design.digits, len(rows), design.seed)
    seen = torch.arange(rows.shape[1]) < rows.shape[1] - design.hidden
    wanted = rows[own]
    fresh = source.standard_normal((design.steps + 2, *wanted.shape))
    noise = torch.from_numpy(fresh)
    cues = wanted + design.noise * noise[0]
    exact = diffusion.exact(rows)
    if design.method == "read":
        found = exact(cues, NOISE, known=seen)
    elif design.method == "recall":
        found = diffusion.recall(exact, cues, NOISE, design.steps, known=seen)
    else:
        before = design.method == "replaced before"
        found = replaced(exact, cues, seen, noise[1:], before)
    _, ends = _digits.nearest(found, rows)
    visible = torch.where(seen, cues, 0.5)
    words = [
        "+".join(_pictures.word(one[place].tolist()) for one in (wanted, visible, found))
        for place in range(min(SHOWN, len(found)))
    ]
    return {"completed": float((ends == own).double().mean()), "pictures": "/".join(words)}


def replaced(
    exact: diffusion.Exact,
    cues: Float64[Tensor, "b d"],
    seen: Bool[Tensor, "d"],
    noise: Float64[Tensor, "steps b d"],
    before: bool,
) -> Float64[Tensor, "b d"]:
    """Follow the noise down from noise, with what is seen put into every state.

    Args:
        exact: the denoiser.
        cues: what is seen, without noise of a level.
        seen: where it is seen.
        noise: standard normal noise of the start, and of what is put in at each level after it.
        before: whether the seen part is put in before each read, rather than after each step.
    """
    sigmas = diffusion.schedule("geometric", len(noise) - 1, HIGH, LOW).tolist()
    state = torch.where(seen, cues + HIGH * noise[1], HIGH * noise[0])
    for place, (now, then) in enumerate(pairwise(sigmas), 1):
        if before:
            state = torch.where(seen, cues + now * noise[place], state)
        mean = exact(state, now)
        state = mean + then / now * (state - mean)
        if not before:
            state = torch.where(seen, cues + then * noise[place + 1], state)
    return exact(state, LOW)
