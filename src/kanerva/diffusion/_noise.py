"""Levels of noise: what a denoiser and a sampler are given, checked."""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputTypeError, refuse

__all__ = ["LARGEST", "SMALLEST", "Sigma", "level", "levels", "read_level", "sound"]

Sigma = float | Float[Tensor, "*_sigma"] | Listed
# Squares of these, and their quotients, are numbers of float32.
SMALLEST, LARGEST = 1e-15, 1e15
UNIT = "in the unit of the data"


def level(name: str, sigma: Any) -> float:
    """Return one standard deviation > 0 as a number."""
    do = f"give a standard deviation {UNIT}"
    return checks.number(name, sigma, SMALLEST, LARGEST, do=do)


def read_level(sigma: Any, batch: torch.Size, device: torch.device) -> float | Tensor:
    """Return a standard deviation >= 0 for all queries, or ``(b,)`` float64, one for each."""
    must = f"0, or from {SMALLEST:g} to {LARGEST:g} {UNIT}"
    if not isinstance(sigma, float | int):
        sigma = arrays.listed(sigma, torch.float64, device)
    if not isinstance(sigma, Tensor):
        number = checks.number("sigma", sigma, 0, LARGEST)
        if 0 < number < SMALLEST:
            refuse("sigma", sigma, must=must, do="give 0 for the nearest row")
        return number
    if arrays.dense("sigma", sigma, must).dtype not in arrays.FLOATS:
        refuse("sigma", sigma, must=f"floating, {must}", do="convert it", error=InputTypeError)
    if sigma.requires_grad and torch.is_grad_enabled():
        refuse("sigma", got="to be trained", must="given", do="give sigma.detach()")
    if arrays.together(sigma.shape, batch) != batch:
        shape = f"a number, or a tensor that broadcasts to {tuple(batch)}"
        refuse("sigma", sigma, must=shape, do="give one for each query")
    sigma = sigma.to(device, torch.float64)
    inside = ((sigma == 0) | (sigma >= SMALLEST)) & (sigma <= LARGEST)
    if not bool(inside.all()):
        refuse("sigma", sigma, must=must, do="give standard deviations")
    return float(sigma) if not sigma.ndim else sigma.expand(batch).reshape(batch.numel())


def sound(value: Tensor) -> Tensor:
    """Return numbers of states that are finite; refuse states that are too far from the data."""
    if not arrays.sound(value):
        must = f"so near to the data that every number stays within {value.dtype}"
        refuse("x", got="too far from them", must=must, do="scale x down, or take torch.float64")
    return value


def levels(name: str, sigmas: Any) -> list[float]:
    """Return a falling schedule of standard deviations > 0 as numbers."""
    must = f"a falling sequence of standard deviations, one or more, {UNIT}"
    do = "make it with diffusion.schedule"
    rows = arrays.listed(sigmas, torch.float64, torch.device("cpu"))
    if not isinstance(rows, Tensor) or rows.ndim != 1 or not len(rows) or rows.is_complex():
        refuse(name, sigmas, must=must, do=do)
    arrays.finite(name, rows.double())
    found: list[float] = [level(name, number) for number in rows.detach().double().tolist()]
    if any(later >= earlier for earlier, later in pairwise(found)):
        refuse(name, got="one that rises or repeats a number", must=must, do=do)
    return found
