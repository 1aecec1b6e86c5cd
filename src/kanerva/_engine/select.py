"""Find the few keys that can have a weight, and read from these alone.

A rule may have a reach: a score below which every weight is zero (``Separation.reach``). The keys
above the reach have the same weights among themselves as among all keys.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kanerva._core.settings import settings
from kanerva._engine import threads, tiles
from kanerva._engine.scores import (
    Mask,
    Rows,
    counted,
    finite,
    left,
    mask_of,
    part_of,
    together,
    wide,
)
from kanerva._engine.stream import TALL, cut, height, progress, spans, steps, tile
from kanerva.separation import Separation
from kanerva.similarity import Similarity

# Keys that are kept for each query; where more may have a weight, the plain route is faster.
ROOM = 256


class Found(NamedTuple):
    """The keys that may have a weight.

    Attributes:
        scores: ``(b, c)``, -inf where a query has fewer than c such keys.
        places: ``(b, c)`` int64.
        full: ``(b,)`` whether there are more such keys than could be kept.
    """

    scores: Tensor
    places: Tensor
    full: Tensor


def search(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask
) -> Found | None:
    """Find the keys within reach of each query; None where the rule has no reach, or a wide one."""
    query = query.to(wide(query.dtype))
    room = max(ROOM, 4 * getattr(separation, "k", 1))
    if 4 * room > len(keys) or separation.reach(query.new_zeros(1, 1)) is None:
        return None
    # The keys that are kept must fit the budget: some of the queries at a time.
    parts = steps(query, max(TALL, settings.budget // (64 * room)))
    scan = _Scan(keys, similarity, separation, room)
    return _stacked([_search(scan, query[part], mask_of(mask, part)) for part in parts])


def _search(scan: "_Scan", query: Tensor, mask: Mask) -> Found:
    """Find the keys within reach of some queries."""
    found, floor = scan(query, mask, None)
    rows = found.full.nonzero().squeeze(-1)
    if len(rows) == 0:
        return found
    # Keys that were kept before the largest score was found may lie below the reach known now.
    again, _ = scan(query[rows], mask_of(mask, rows), floor[rows])
    width = max(found.scores.shape[1], again.scores.shape[1])
    found, again = _widened(found, width), _widened(again, width)
    pairs = zip(found, again, strict=True)
    return Found(*(before.index_copy(0, rows, after) for before, after in pairs))


def _stacked(parts: list[Found]) -> Found:
    """Return what was found for different queries as one."""
    width = max(part.scores.shape[1] for part in parts)
    return Found(*together(_widened(part, width) for part in parts))


def _widened(found: Found, width: int) -> Found:
    """Return what was found with room for ``width`` keys."""
    if found.scores.shape[1] == width:
        return found
    pad = (0, width - found.scores.shape[1])
    scores = torch.nn.functional.pad(found.scores, pad, value=-torch.inf)
    return Found(scores, torch.nn.functional.pad(found.places, pad), found.full)


class _Scan(NamedTuple):
    """One pass over all keys, shared among threads."""

    keys: Rows
    similarity: Similarity
    separation: Separation
    room: int

    def __call__(self, query: Tensor, mask: Mask, floor: Tensor | None) -> tuple[Found, Tensor]:
        """Return the keys that were found, and the final floor of each query."""
        report = progress(len(self.keys), 1)
        origin = tiles.numbers(part_of(self.keys, slice(0, 1)), query.dtype)
        parts = steps(query, height(query))

        def work(span: slice) -> list[_Kept]:
            floors = [None if floor is None else floor[part] for part in parts]
            several = [
                _Kept(query[part], self.room, low) for part, low in zip(parts, floors, strict=True)
            ]
            for rows, block in cut(self.keys, span, query):
                score = tiles.comparison(block, self.similarity, query, origin)
                for part, kept in zip(parts, several, strict=True):
                    scores = self._scores(kept.query, score, tile(mask, part, rows))
                    kept.take(scores, rows.start, self.separation)
                report(rows.stop - rows.start)
            return several

        spanned = list(zip(*threads.share(work, spans(self.keys, query)), strict=True))
        found = _stacked([_merged([kept.found() for kept in same]) for same in spanned])
        return found, torch.cat([_highest(same) for same in spanned])

    def _scores(self, query: Tensor, score: Callable[[Tensor, Mask], Tensor], mask: Mask) -> Tensor:
        """Compare queries with a block of keys; -inf where the mask leaves a key out."""
        # A comparison with the floor would hide NaN.
        scores = finite(score(query, mask), query, self.keys)
        there = left(mask)
        return scores if there is None else scores.masked_fill(there == 0, -torch.inf)


def _merged(parts: list[Found]) -> Found:
    """Return what was found among different keys, for the same queries, as one."""
    scores, places, full = zip(*parts, strict=True)
    return Found(torch.cat(scores, -1), torch.cat(places, -1), torch.stack(full).any(0))


def _highest(parts: Sequence["_Kept"]) -> Tensor:
    """Return the highest floor of each query over different keys."""
    return torch.stack([kept.floor for kept in parts if kept.floor is not None]).amax(0)


def read(
    found: Found, values: Rows, separation: Separation, mask: Mask
) -> tuple[Tensor, Tensor, Tensor]:
    """Return weighted sums ``(b, e)``, which are empty ``(b,)``, and the sizes of the weights."""
    there = found.scores > -torch.inf
    kept = counted(mask, found.places, there)
    weights = separation.unchecked_weights(found.scores.masked_fill(~there, 0.0), kept)
    value = weights.new_zeros(len(weights), values.shape[1])
    for start in range(0, len(weights), TALL):
        some = slice(start, start + TALL)
        part = weights[some]
        rows, columns = part.nonzero(as_tuple=True)
        picked = take(values, found.places[some][rows, columns]).to(part.dtype)
        value[some].index_add_(0, rows, picked * part[rows, columns, None])
    size = weights.abs().sum(-1)
    return value, size == 0, size


def take(rows: Rows, places: Tensor) -> Tensor:
    """Return the rows at some places, unpacked."""
    part = part_of(rows, places)
    return part if isinstance(part, Tensor) else part[:]


class _Kept:
    """The keys that were found so far for some queries.

    ``floor`` is the score below which keys are not kept; it rises as larger scores are found.
    """

    def __init__(self, query: Tensor, room: int, floor: Tensor | None) -> None:
        self.query, self.room = query, room
        self.floor = None if floor is None else floor.clone()
        self.scores = query.new_full((len(query), room), -torch.inf)
        self.places = torch.zeros_like(self.scores, dtype=torch.int64)
        self.count = torch.zeros(len(query), dtype=torch.int64, device=query.device)
        self.full = torch.zeros(len(query), dtype=torch.bool, device=query.device)

    def take(self, scores: Tensor, start: int, separation: Separation) -> None:
        """Add the keys from ``start`` on whose scores reach the floor."""
        if self.floor is None:
            self.floor = separation.reach(scores)
        assert self.floor is not None
        floor, kept = self.floor.squeeze(-1), (self.scores, self.places, self.count, self.full)
        tiles.pick(scores, start, floor, *kept)
        if bool((self.count > self.room // 2).any()):
            self._raise(separation.reach(self.scores))
        if bool(self.full.any()):
            # Full queries are searched again, from a floor that is as high as possible.
            reach = separation.reach(scores[self.full])
            assert reach is not None
            self.floor[self.full] = torch.maximum(self.floor[self.full], reach)

    def _raise(self, reach: Tensor | None) -> None:
        """Raise the floor, and keep only the keys that reach it."""
        assert reach is not None
        assert self.floor is not None
        self.floor = torch.maximum(self.floor, reach)
        keep = (self.scores >= self.floor) & (self.scores > -torch.inf)
        order = keep.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
        self.scores = self.scores.masked_fill(~keep, -torch.inf).gather(-1, order)
        self.places = self.places.gather(-1, order)
        self.count = keep.sum(-1)

    def found(self) -> Found:
        """Return the keys that were found."""
        width = max(1, int(self.count.max()) if len(self.count) else 0)
        return Found(self.scores[:, :width], self.places[:, :width], self.full)
