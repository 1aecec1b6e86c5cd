"""Damage cues in known ways and by known amounts."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.lab.data._raw import colours, rng

__all__ = ["KINDS", "damage"]

KINDS = ("flip", "occlude", "gaussian", "mask")
DOMAINS = ("bits", "real")


@door("data.damage")
def damage(
    x: Float[Tensor, "*batch n"],
    kind: str,
    level: float,
    *,
    seed: int,
    shape: tuple[int, ...] = (),
    domain: str = "bits",
) -> Float[Tensor, "*batch n"]:
    """Damage every row of ``x``.

    * ``flip``: exactly ``round(level n)`` coordinates, chosen at random, change their sign, both of
      bits and of real numbers.
    * ``occlude``: one block of ``round(level n)`` coordinates becomes -1, the background. In a
      picture it is the bottom: the last pixels in reading order, with all their colours. In a plain
      vector it is a run that starts at random.
    * ``gaussian``: normal noise of standard deviation ``level`` is added. Of bits the sign is kept,
      0 counting as +1; real numbers are not clipped.
    * ``mask``: exactly ``round(level n)`` coordinates, chosen at random, are erased. Real numbers
      become 0; a bit becomes -1 or +1 with equal probability, so that about half of them are right.

    The damage of a row depends on the seed, the kind and the index of the row alone: neither on its
    values nor on the other rows. Under one seed a higher level of ``flip`` or ``mask`` damages all
    that a lower one does, and more.

    Args:
        x: ``(..., n)``, floating; -1/+1 where ``domain`` is ``"bits"``.
        kind: one of ``KINDS``.
        level: a share of the coordinates from 0 to 1; for ``gaussian`` a standard deviation from 0
            to 1000.
        seed: an integer >= 0.
        shape: ``(height, width)`` or ``(height, width, colours)`` of one row where it is a picture;
            used by ``occlude`` only.
        domain: ``"bits"`` or ``"real"``.

    Returns:
        a new tensor with the shape, dtype and device of ``x``.

    Raises:
        InputError: ``x`` holds numbers outside the domain, or an argument is out of range.

    Example:
        >>> from kanerva import bits
        >>> from kanerva.lab import data
        >>> x = bits.random(3, 64, seed=0)
        >>> bits.hamming(x, data.damage(x, "flip", 0.25, seed=1)).tolist()
        [16, 16, 16]
    """
    width = _checked(x, kind, domain)
    level = checks.number("level", level, 0.0, 1000.0 if kind == "gaussian" else 1.0)
    draw = rng(checks.integer("seed", seed, 0), f"damage {kind}")
    depth = colours(shape, width)
    rows = x.reshape(math.prod(x.shape[:-1]), width)
    if kind == "gaussian":
        damaged = rows + level * torch.from_numpy(draw.standard_normal(tuple(rows.shape))).to(rows)
        if domain == "bits":
            damaged = torch.where(damaged >= 0, 1.0, -1.0).to(x.dtype)
    elif kind == "occlude":
        damaged = rows.masked_fill(_block(rows, level, depth, draw), -1.0)
    else:
        # Both draws of a row lie side by side in the stream, so that no row depends on later ones.
        draws = torch.from_numpy(draw.random((len(rows), 2, width))).to(rows.device)
        place, coin = draws.unbind(1)
        changed = -rows if kind == "flip" else _erased(rows, coin, domain)
        damaged = torch.where(_lowest(place, round(level * width)), changed, rows)
    return damaged.reshape(x.shape)


def _checked(x: Tensor, kind: str, domain: str) -> int:
    """Check the cues, and return the length of a row."""
    checks.choice("kind", kind, KINDS)
    checks.choice("domain", domain, DOMAINS)
    width = arrays.vectors("x", x).shape[-1]
    if not x.is_floating_point():
        must, do = "a floating tensor of shape (..., n)", "convert it with x.to(torch.float32)"
        refuse("x", x, must=must, do=do, error=InputTypeError)
    arrays.finite("x", x)
    if domain == "bits" and not (x.abs() == 1).all():
        refuse("x", x, must="-1/+1 bits", do="give domain='real' to damage real numbers")
    return width


def _erased(
    rows: Float[Tensor, "count n"], coin: Float[Tensor, "count n"], domain: str
) -> Float[Tensor, "count n"]:
    """Return the values that ``mask`` puts in: zeros, or random bits."""
    if domain == "real":
        return torch.zeros_like(rows)
    return torch.where(coin < 0.5, -1.0, 1.0).to(rows.dtype)


def _block(
    rows: Float[Tensor, "count n"], level: float, depth: int, draw: np.random.Generator
) -> Bool[Tensor, "count n"]:
    """Mark the block that ``occlude`` hides."""
    width, unit = rows.shape[1], max(depth, 1)
    length = round(level * width / unit) * unit
    last = width - length
    start = np.full(len(rows), last)
    if not depth:
        start = np.floor(draw.random(len(rows)) * (last + 1)).astype(np.int64)
    begin, place = torch.from_numpy(start)[:, None], torch.arange(width)
    return ((place >= begin) & (place < begin + length)).to(rows.device)


def _lowest(noise: Float[Tensor, "count n"], many: int) -> Bool[Tensor, "count n"]:
    """Mark the ``many`` smallest numbers of every row: a uniform choice where they are uniform."""
    places = noise.topk(many, largest=False).indices
    return torch.zeros_like(noise, dtype=torch.bool).scatter(-1, places, True)
