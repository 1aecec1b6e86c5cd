"""Recall from a register: one draw in each column, and the mean of all."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kanerva._core.settings import settings
from kanerva._engine.draws import chances, pick
from kanerva._engine.scores import SCORE_BYTES
from kanerva.entropic._spread import Spread

__all__ = ["draw", "mean", "rows"]

# Bytes of temporaries of one piece of work: a few that stay in the caches are faster than many.
NEAR = 2**24

Levels = Int64[Tensor, "b columns"]
Known = Bool[Tensor, "b columns"]


def rows(*parts: Tensor, width: int) -> Iterator[tuple[Tensor, ...]]:
    """Cut rows of tensors ``(b, columns)`` so that ``width`` weights a column fit the budget."""
    size = _fits(width * max(1, parts[0].shape[-1]))
    return zip(*(torch.split(part, size) for part in parts), strict=True)


def mean(
    spread: Spread,
    counts: Int64[Tensor, "levels columns"],
    places: Float64[Tensor, "b columns"],
    known: Known,
) -> tuple[Float64[Tensor, "b columns"], Bool[Tensor, "columns"]]:
    """Return the mean level of each column, and in which columns none was seen."""
    levels = torch.arange(len(counts), dtype=places.dtype, device=places.device)
    cut = rows(places, known, width=len(counts))
    parts = [spread.forward(some, seen, counts) @ levels for some, seen in cut]
    return torch.cat(parts), ~(counts > 0).any(0)


def draw(
    spread: Spread,
    counts: Int64[Tensor, "levels columns"],
    levels: Levels,
    known: Known,
    hashed: Int64[Tensor, "b"],
    which: Int64[Tensor, "draws"],
) -> Int64[Tensor, "draws b columns"]:
    """Draw a level for each column of each cue; -1 where none was seen.

    The distributions of a column depend on the level of the cue alone. They are tabulated, for all
    levels or, where there are fewer cues, for each cue, and a draw is a search in its row.
    """
    count, every = len(counts), len(levels) > len(counts) + 1
    height = count + 1 if every else max(1, len(levels))
    wide = _fits(count * height)
    parts = []
    for part in torch.split(torch.arange(counts.shape[1], device=counts.device), wide):
        own, seen = levels[:, part], known[:, part]
        given = _grid(count, part) if every else (own.double(), seen)
        table = spread.forward(*given, counts[:, part]).cumsum(-1)
        own = torch.where(seen, own, count)
        if not every:
            own = torch.arange(len(own), device=own.device).unsqueeze(-1).expand(own.shape)
        place = own * len(part) + torch.arange(len(part), device=own.device)
        parts.append(_searched(table.reshape(-1, count), place, hashed, which, part))
    return torch.cat(parts, -1)


def _fits(width: int) -> int:
    """Return how many rows of ``width`` numbers are worked on at once."""
    return max(1, min(settings.budget, NEAR) // (SCORE_BYTES * width))


def _grid(
    count: int, part: Int64[Tensor, "columns"]
) -> tuple[Float64[Tensor, "cues columns"], Bool[Tensor, "cues columns"]]:
    """Return a cue at every level, and one that is not known, of each column."""
    places = torch.arange(count + 1, dtype=torch.float64, device=part.device)
    known = (places < count).unsqueeze(-1).expand(-1, len(part))
    return (places % count).unsqueeze(-1).expand(-1, len(part)), known


def _searched(
    table: Float64[Tensor, "rows levels"],
    place: Int64[Tensor, "b columns"],
    hashed: Int64[Tensor, "b"],
    which: Int64[Tensor, "draws"],
    part: Int64[Tensor, "columns"],
) -> Int64[Tensor, "draws b columns"]:
    """Search the row of each cue, a few cues at a time."""
    size = _fits(len(which) * max(1, len(part)))
    found = []
    for own, some in zip(torch.split(place, size), torch.split(hashed, size), strict=True):
        chance = chances(some, which, part + 1)
        found.append(pick(table, own.expand(chance.shape), chance))
    return torch.cat(found, 1)
