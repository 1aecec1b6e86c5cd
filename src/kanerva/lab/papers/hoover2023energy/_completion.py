"""Rows of the recipe on completed digits: error, energy and pictures at each step."""

import string
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from kanerva.lab.papers._pictures import Grid, Shades
from kanerva.lab.papers.hoover2023energy import _models

__all__ = ["SHOWN", "completed", "drawn"]

# Pixels are from 0 to 1; what is found may go a little beyond. Hidden ones are shown grey.
SHADES, GREY = Shades(string.digits + string.ascii_letters, -0.25, 1.25), 0.4
drawn = Grid(SHADES, (0.0, 1.0), most=0.6).drawn
# Pictures in a row, and how many times the steps of the training a block takes.
SHOWN, LONGER = 8, 3


def completed(design: _models.Design) -> Iterator[dict[str, Any]]:
    """Train a model and complete the test digits, at every step of a block."""
    digits = _models.digits(design.seed)
    mean = digits.mean.expand_as(digits.test)
    base = _models.errors(mean, digits)
    if design.model == "mean":
        wanted = _models.filled(digits.test, digits)
        seen = _models.filled(torch.full_like(digits.test, GREY), digits)
        shown = [_words(one) for one in (wanted, seen, _models.filled(mean, digits))]
        yield _row(0, base, base, None, 0, "+".join(shown))
        return
    model = _models.trained(design, digits)
    with torch.no_grad():
        if design.model == "layer":
            found = model(digits.test, digits.hidden)
            words = _words(_models.filled(found, digits))
            yield _row(1, _models.errors(found, digits), base, None, 0, words)
            return
        path = model.path(digits, LONGER * design.steps)
        for step, state in enumerate(path.states):
            found = model.decoded(state)
            rises = int(path.rises[step - 1].sum()) if step else 0
            energy = float(path.energies[step].mean())
            words = _words(_models.filled(found, digits))
            yield _row(step, _models.errors(found, digits), base, energy, rises, words)


def _row(
    step: int, error: float, base: float, energy: float | None, rises: int, pictures: str
) -> dict[str, Any]:
    """Return a row of the table."""
    less = error - base
    found = {"step": step, "error": error, "less": less, "energy": energy, "rises": rises}
    return found | {"pictures": pictures}


def _words(pictures: Tensor) -> str:
    """Return the first pictures as words."""
    return "/".join(SHADES.word(one.tolist()) for one in pictures[:SHOWN])
