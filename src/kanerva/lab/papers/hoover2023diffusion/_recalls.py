"""Noisy digits, recalled by annealing, at a fixed temperature and by look-up."""

from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from kanerva import diffusion
from kanerva.lab.papers.hoover2023diffusion import _digits, _pictures

__all__ = ["recalled"]

# Reads at a fixed temperature, the error of a digit that they recall, and the low noise.
SHIFTS, ERROR, COLD = 100, 0.1, 0.1


def recalled(noise: float, digits: int, steps: int, seed: int) -> dict[str, Any]:
    """Recall noisy digits in four ways, and return the shares that come back."""
    rows, classes = _digits.digits()
    own, source = _digits.chosen(digits, len(rows), seed)
    wanted = rows[own]
    cues = wanted + noise * torch.from_numpy(source.standard_normal(wanted.shape))
    exact = diffusion.exact(rows)
    annealed = diffusion.recall(exact, cues, noise, steps)
    memory: Any = exact.memory
    fixed, cold = (
        memory.at(1 / sigma**2).recall(cues, steps=SHIFTS, tolerance=1e-6)
        for sigma in (noise, COLD)
    )
    away, ends = _digits.nearest(annealed, rows)
    _, near = _digits.nearest(cues, rows)
    _, ends_cold = _digits.nearest(cold, rows)
    error = (fixed - wanted).norm(dim=-1)
    words = [_pictures.word(one[0].tolist()) for one in (wanted, cues, annealed, rows[near], fixed)]
    return {
        "recalled": _share(ends == own),
        "kept": _share(classes[ends] == classes[own]),
        "nearest": _share(near == own),
        "nearest_kept": _share(classes[near] == classes[own]),
        "fixed": _share(error < ERROR),
        "cold": _share(ends_cold == own),
        "agree": _share(ends == near),
        "away": float(away.max()),
        "ahead": _ahead(ends == own, near == own),
        "ahead_class": _ahead(classes[ends] == classes[own], classes[near] == classes[own]),
        "pictures": "/".join(words),
    }


def _share(found: Bool[Tensor, "b"]) -> float:
    return float(found.double().mean())


def _ahead(ours: Bool[Tensor, "b"], others: Bool[Tensor, "b"]) -> float:
    """Return the difference of two shares of the same cues, in standard errors; 0 if none differs.

    Only cues that one of them recalls count (McNemar).
    """
    more, less = int((ours & ~others).sum()), int((others & ~ours).sum())
    return (more - less) / (more + less) ** 0.5 if more + less else 0.0
