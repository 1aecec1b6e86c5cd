"""Find the few keys that can weigh anything, where a rule says below which score nothing does, and read from these alone.

Their weights are those that the rule gives them among all keys: what lies below its reach changes nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.settings import settings
from kanerva._engine import threads, tiles
from kanerva._engine.scores import Mask, Rows, left, mask_of, part_of, wide
from kanerva._engine.stream import TALL, cut, height, spans, teller, tile
from kanerva.separation import Separation
from kanerva.similarity import Similarity

# Keys that are kept for a query at a time; where more may weigh something, all scores are cheaper than a search.
ROOM = 256


class Found(NamedTuple):
    """The keys that may weigh something.

    Attributes:
        scores: ``(b, c)``, -inf where there is none.
        places: ``(b, c)`` int64.
        full: ``(b,)`` whether there were more than could be kept.
    """

    scores: Tensor
    places: Tensor
    full: Tensor


def search(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask
) -> Found | None:
    """Find what each query's rule can reach; None where the rule does not tell, or tells too late."""
    query = query.to(wide(query.dtype))
    room = max(ROOM, 4 * getattr(separation, "k", 1))
    if 4 * room > len(keys) or separation.reach(query.new_zeros(1, 1)) is None:
        return None
    # What is kept of a query grows with the queries.
    many = max(TALL, settings.budget // (64 * room))
    if len(query) > many:
        starts = range(0, len(query), many)
        several = [
            search(
                query[start : start + many],
                keys,
                similarity,
                separation,
                mask_of(mask, slice(start, start + many)),
            )
            for start in starts
        ]
        return _stacked([part for part in several if part is not None])
    look = _Look(keys, similarity, separation, room)
    found, floor = look(query, mask, None)
    rows = found.full.nonzero().squeeze(-1)
    if len(rows) == 0:
        return found
    # Much that was kept before the largest score was met lies below the reach that is known by now.
    again, _ = look(query[rows], mask_of(mask, rows), floor[rows])
    width = max(found.scores.shape[1], again.scores.shape[1])
    scores = _padded(found.scores, width, -torch.inf).index_copy(
        0, rows, _padded(again.scores, width, -torch.inf)
    )
    places = _padded(found.places, width, 0).index_copy(0, rows, _padded(again.places, width, 0))
    return Found(scores, places, found.full.index_copy(0, rows, again.full))


def _stacked(parts: list[Found]) -> Found:
    """Put together what was found for different queries."""
    width = max(part.scores.shape[1] for part in parts)
    scores = torch.cat([_padded(part.scores, width, -torch.inf) for part in parts])
    return Found(
        scores,
        torch.cat([_padded(part.places, width, 0) for part in parts]),
        torch.cat([part.full for part in parts]),
    )


class _Look(NamedTuple):
    """One look through all keys, shared among threads."""

    keys: Rows
    similarity: Similarity
    separation: Separation
    room: int

    def __call__(self, query: Tensor, mask: Mask, floor: Tensor | None) -> tuple[Found, Tensor]:
        """Return what was found, and the score below which nothing was looked at in the end."""
        told = teller(len(self.keys), 1)
        origin = tiles.numbers(part_of(self.keys, slice(0, 1)), query.dtype)
        many = height(query)
        starts = range(0, max(1, len(query)), many)

        def found(span: slice) -> list[_Search]:
            several = [
                _Search(
                    query[start : start + many],
                    self.room,
                    None if floor is None else floor[start : start + many],
                )
                for start in starts
            ]
            for rows, part in cut(self.keys, span, query):
                compared = tiles.facing(part, self.similarity, query, origin)
                for start, one in zip(starts, several, strict=True):
                    one.take(
                        self._scores(
                            one.query, compared, tile(mask, slice(start, start + many), rows)
                        ),
                        rows.start,
                        self.separation,
                    )
                told(rows.stop - rows.start)
            return several

        parts = threads.share(found, spans(self.keys, query))
        tall = [_merged([one.found() for one in same]) for same in zip(*parts, strict=True)]
        highest = torch.cat(
            [
                torch.stack([one.floor for one in same if one.floor is not None]).amax(0)
                for same in zip(*parts, strict=True)
            ]
        )
        return _stacked(tall), highest

    def _scores(
        self, query: Tensor, compared: Callable[[Tensor, Mask], Tensor], kept: Mask
    ) -> Tensor:
        """Compare queries with a block of keys; -inf where the mask leaves a key out."""
        scores = compared(query, kept)
        # Where scores are ordered, NaN is lost.
        arrays.finite("scores", scores)
        there = left(kept)
        return scores if there is None else scores.masked_fill(~there, -torch.inf)


def _merged(parts: list[Found]) -> Found:
    """Put together what was found among different keys."""
    scores, places, full = zip(*parts, strict=True)
    return Found(torch.cat(scores, -1), torch.cat(places, -1), torch.stack(full).any(0))


def read(found: Found, values: Rows, separation: Separation) -> tuple[Tensor, Tensor]:
    """Return the weighted sums ``(b, e)`` of what was found, and which of them are empty ``(b,)``."""
    weights = separation(
        found.scores.masked_fill(found.scores == -torch.inf, 0.0), found.scores > -torch.inf
    )
    value = weights.new_zeros(len(weights), values.shape[1])
    for start in range(0, len(weights), TALL):
        part = weights[start : start + TALL]
        rows, columns = part.nonzero(as_tuple=True)
        picked = take(values, found.places[start : start + TALL][rows, columns]).to(part.dtype)
        value[start : start + TALL].index_add_(0, rows, picked * part[rows, columns, None])
    return value, (weights == 0).all(-1)


def take(rows: Rows, places: Tensor) -> Tensor:
    """Return some rows, whole."""
    part = part_of(rows, places)
    return part if isinstance(part, Tensor) else part[:]


def _padded(rows: Tensor, width: int, by: float) -> Tensor:
    """Make rows as wide as the widest."""
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=by)


class _Search:
    """What was found so far for some queries, and the score below which nothing is looked at any more."""

    def __init__(self, query: Tensor, room: int, floor: Tensor | None) -> None:
        self.query, self.room, self.floor = query, room, None if floor is None else floor.clone()
        self.scores = query.new_full((len(query), room), -torch.inf)
        self.places = torch.zeros_like(self.scores, dtype=torch.int64)
        self.count = torch.zeros(len(query), dtype=torch.int64, device=query.device)
        self.full = torch.zeros(len(query), dtype=torch.bool, device=query.device)

    def take(self, scores: Tensor, start: int, separation: Separation) -> None:
        """Look at the scores of keys from ``start`` on."""
        if self.floor is None:
            self.floor = separation.reach(scores)
        assert self.floor is not None
        tiles.pick(
            scores, start, self.floor.squeeze(-1), self.scores, self.places, self.count, self.full
        )
        if bool((self.count > self.room // 2).any()):
            self._raise(separation.reach(self.scores))
        if bool(self.full.any()):
            # They will be looked for again, from a floor that is as high as can be.
            reach = separation.reach(scores[self.full])
            assert reach is not None
            self.floor[self.full] = torch.maximum(self.floor[self.full], reach)

    def _raise(self, reach: Tensor | None) -> None:
        """Look again at what may still weigh something, and forget the rest."""
        assert reach is not None
        assert self.floor is not None
        self.floor = torch.maximum(self.floor, reach)
        keep = (self.scores >= self.floor) & (self.scores > -torch.inf)
        order = keep.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
        self.scores = self.scores.masked_fill(~keep, -torch.inf).gather(-1, order)
        self.places = self.places.gather(-1, order)
        self.count = keep.sum(-1)

    def found(self) -> Found:
        """Return what was found."""
        width = max(1, int(self.count.max()) if len(self.count) else 0)
        return Found(self.scores[:, :width], self.places[:, :width], self.full)
