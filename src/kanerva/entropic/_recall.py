"""Recall from a register: one draw in each column, and the mean of all."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kanerva import bits
from kanerva._core import arrays
from kanerva._core.settings import settings
from kanerva._engine.draws import chances, pick
from kanerva._engine.scores import SCORE_BYTES, learns
from kanerva.entropic._spread import Spread

__all__ = ["draw", "hashes", "mean", "rows"]

# Bytes of temporaries of one piece of work: a few that stay in the caches are faster than many.
NEAR = 2**24
# Numbers that are hashed or searched at once, for the same reason.
CLOSE = 2**17

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
    """Return the mean level of each column, and in which columns none was seen.

    Where there are more cues than levels, and each lies on one, the means are tabulated as in
    ``draw``; a gradient needs the cues themselves.
    """
    count, unseen = len(counts), ~(counts > 0).any(0)
    if len(places) <= count + 1 or arrays.tracing() or learns(places) or not _whole(spread, places):
        return _means(spread, counts, places, known), unseen
    columns = torch.arange(counts.shape[1], device=counts.device)
    table = _means(spread, counts, *_grid(count, columns))
    return table.gather(0, torch.where(known, places.round().long(), count)), unseen


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


def hashes(levels: Levels, seed: int) -> Int64[Tensor, "b"]:
    """Hash the levels of cues, -1 where not known: the start of their draws."""
    some = torch.split(levels, max(1, CLOSE // max(1, levels.shape[-1])))
    return torch.cat([bits.fingerprint(part, seed) for part in some])


def _whole(spread: Spread, places: Float64[Tensor, "b columns"]) -> bool:
    """Tell whether the level that is nearest to each cue is all that a spread needs."""
    return spread.rounds or bool((places == places.round()).all())


def _means(
    spread: Spread,
    counts: Int64[Tensor, "levels columns"],
    places: Float64[Tensor, "b columns"],
    known: Known,
) -> Float64[Tensor, "b columns"]:
    """Return the mean level of each column for each cue."""
    levels = torch.arange(len(counts), dtype=places.dtype, device=places.device)
    cut = rows(places, known, width=len(counts))
    # Each mean is a sum of its own, which does not depend on the other cues.
    parts = [(spread.forward(some, seen, counts) * levels).sum(-1) for some, seen in cut]
    return torch.cat(parts)


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
    size = max(1, min(CLOSE, settings.budget // SCORE_BYTES) // (len(which) * max(1, len(part))))
    found = []
    for own, some in zip(torch.split(place, size), torch.split(hashed, size), strict=True):
        chance = chances(some, which, part + 1)
        found.append(pick(table, own.expand(chance.shape), chance))
    return torch.cat(found, 1)
