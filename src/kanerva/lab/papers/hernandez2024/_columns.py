"""Digits with a missing half, completed by attention within groups of their columns."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kanerva import functional
from kanerva._core.errors import refuse
from kanerva.entropic import EntropicMemory, Gaussian
from kanerva.lab.papers.hernandez2024 import _protocol
from kanerva.separation import Argmax, Separation, Softmax
from kanerva.similarity import closeness

__all__ = ["LEVELS", "Heads", "arranged", "completed", "hidden", "register"]

Rows = Float64[Tensor, "rows pixels"]
Stored = Float64[Tensor, "stored pixels"]
Known = Bool[Tensor, "rows pixels"]

# The levels of a pixel, and the side of a picture.
LEVELS, SIDE = 17, 8
SPLIT = (80, 20, 0)
SHOWN = 6


class Heads(NamedTuple):
    """Groups of columns, and the contents of each that were stored.

    Attributes:
        groups: the columns of each.
        keys: ``(distinct, width)`` for each group: what was stored in it, once.
        counts: ``(distinct,)`` for each group: how often.
    """

    groups: list[Int64[Tensor, "width"]]
    keys: list[Float64[Tensor, "distinct width"]]
    counts: list[Float64[Tensor, "distinct"]]

    @classmethod
    def of(cls, stored: Stored, order: Int64[Tensor, "pixels"], width: int) -> "Heads":
        """Cut the columns, in an order, into groups of one width, and count what was stored."""
        if not 1 <= width <= len(order) or len(order) % width:
            must, do = f"a divisor of {len(order)}", "give a power of two up to it"
            refuse("width", width, must=must, do=do)
        groups = list(torch.split(order, width))
        found = [torch.unique(stored[:, group], dim=0, return_counts=True) for group in groups]
        return cls(groups, [keys for keys, _ in found], [counts.double() for _, counts in found])

    def read(self, cues: Rows, known: Known, separation: Separation) -> Rows:
        """Read every group by itself, by its known columns alone."""
        read = torch.empty_like(cues)
        for group, keys, counts in zip(*self, strict=True):
            some: dict[str, Any] = {"prior": counts, "known": known[:, group]}
            given = (cues[:, group], keys, keys, closeness, separation)
            read[:, group] = functional.read(*given, **some)
        return read

    @property
    def bytes(self) -> int:
        """Of distinct contents in float32, and of their counts in int64."""
        return sum(4 * keys.numel() + 8 * len(keys) for keys in self.keys)


def arranged(groups: str, seed: int) -> Int64[Tensor, "pixels"]:
    """Return the order in which pixels are cut into groups.

    Args:
        groups: ``"squares"`` for squares and halves of squares, ``"rows"`` for pieces of rows and
            whole ones, ``"scattered"`` for a random order.
        seed: of the random order.
    """
    places = torch.arange(SIDE * SIDE)
    if groups == "rows":
        return places
    if groups == "scattered":
        return torch.from_numpy(np.random.default_rng([seed, 1]).permutation(len(places)))
    # The bits of row and column take turns, those of the column last: the curve of Morton.
    down, across = places // SIDE, places % SIDE
    turns = [
        (part >> bit & 1) << (2 * bit + shift)
        for bit in range(int(math.log2(SIDE)))
        for part, shift in ((across, 0), (down, 1))
    ]
    return torch.stack(turns).sum(0).argsort()


def hidden(x: Rows, source: np.random.Generator) -> Known:
    """Return which pixels are known: each with probability one half, in every row anew."""
    return torch.from_numpy(source.random(tuple(x.shape))) >= 0.5


def register(stored: Stored, spread: float) -> EntropicMemory:
    """Return a register of counts that accepts every cue."""
    columns = stored.shape[1]
    limits: dict[str, Any] = {"xi": columns, "cap": None, "dtype": torch.float64}
    memory = EntropicMemory(columns, LEVELS, spread=Gaussian(spread / LEVELS), **limits)
    memory.write(stored)
    return memory


def completed(width: int, groups: str, spread: float, number: int, seed: int) -> dict[str, Any]:
    """Complete stored and unseen digits by heads of one width, and compare with the digits."""
    given = _protocol.fold(number, "raw", SPLIT)
    stored, unseen = given.train.x, given.fill.x
    heads = Heads.of(stored, arranged(groups, seed), width)
    rule = Softmax(spread**-2)
    source = np.random.default_rng(seed)
    parts = {"stored": _protocol.Digits(*(part[: len(unseen)] for part in given.train))}
    parts["unseen"] = given.fill
    row: dict[str, Any] = {}
    for name, (x, labels) in parts.items():
        known = hidden(x, source)
        cues = torch.where(known, x, 0.0)
        read = heads.read(cues, known, rule)
        row[name] = _error(read, x, ~known)
        whole = torch.where(known, x, read)
        row[f"{name}_class"] = _share(given.classify(whole) == labels)
        row[f"{name}_bare"] = _share(given.classify(cues) == labels)
    row["nearest"] = _error(_nearest(stored, cues, known), x, ~known)
    row["bytes"] = heads.bytes
    row["table"] = register(stored, spread).counts.nbytes
    row["rows"] = 4 * stored.numel()
    row["differs"] = _differs(width, stored, cues, known, spread, read)
    shown = (x, torch.where(known, x, -1.0), whole)
    row["pictures"] = "/".join(_word(one) for rows in shown for one in rows[:SHOWN])
    return row


def _error(read: Rows, x: Rows, where: Known) -> float:
    """Return the root mean square error of some pixels."""
    return float((read - x)[where].square().mean().sqrt())


def _share(found: Bool[Tensor, "rows"]) -> float:
    return float(found.double().mean())


def _nearest(stored: Stored, cues: Rows, known: Known) -> Rows:
    """Return the stored digit that is nearest by the known pixels."""
    return functional.read(cues, stored, stored, closeness, Argmax(), known=known)


def _differs(
    width: int, stored: Stored, cues: Rows, known: Known, spread: float, read: Rows
) -> float | None:
    """Return how far a read is from that of the register, or from attention over whole rows."""
    if width == 1:
        other = register(stored, spread).read(cues, known)
    elif width == stored.shape[1]:
        products = cues @ stored.T - known.double() @ stored.square().T / 2
        other = torch.softmax(products / spread**2, -1) @ stored
    else:
        return None
    # Rounded, since products of matrices depend on the number of threads.
    return round(float((read - other).abs().max()), 9)


def _word(picture: Float64[Tensor, "pixels"]) -> str:
    """Return a letter for each pixel: those from a on for levels, _ for one that is not known."""
    return "".join("_" if level < 0 else chr(ord("a") + round(level)) for level in picture.tolist())
