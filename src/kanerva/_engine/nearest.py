"""Find the rows with the highest scores, a block of keys at a time, and their weights in a read."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from kanerva._engine import stream, threads, tiles
from kanerva._engine.scores import (
    Mask,
    Rows,
    chunks,
    compare,
    counted,
    finite,
    left,
    looked,
    mask_of,
    part_of,
    together,
    unmixed,
    wide,
)
from kanerva._engine.stream import Sums
from kanerva.separation import Separation
from kanerva.similarity import Similarity


class Best(NamedTuple):
    """The highest scores ``(b, k)`` in falling order, and the places of their keys.

    Of equal scores the first in the order of the keys comes first.
    """

    scores: Tensor
    places: Tensor


@unmixed
@torch.no_grad()
def nearest(
    query: Tensor,
    keys: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
    k: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return places, scores and weights ``(b, k)`` of the nearest keys; -inf and 0 where masked."""
    query = query.to(wide(query.dtype))
    done = []
    for part in stream.steps(query, stream.MANY):
        rows, kept = query[part], mask_of(mask, part)
        best, total = _scan(rows, keys, similarity, separation, kept, k)
        weights = _weights(rows, keys, similarity, separation, kept, best, total)
        done.append((best.places, best.scores, weights))
    places, scores, weights = together(done)
    return places, scores, weights


def _scan(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask, k: int
) -> tuple[Best, Sums | None]:
    """Return the best keys and the sums of all weights; None for a rule that needs all scores."""
    origin = tiles.numbers(part_of(keys, slice(0, 1)), query.dtype)
    parts = stream.steps(query, stream.height(query))
    report = stream.progress(len(keys), len(query))

    def work(span: slice) -> list[tuple[Best, Sums | None]]:
        found = [_Scan(query[part], k) for part in parts]
        for rows, block in stream.cut(keys, span, query):
            score = tiles.comparison(block, similarity, query, origin)
            for part, scan in zip(parts, found, strict=True):
                scan.take(score, stream.tile(mask, part, rows), keys, rows.start, separation)
            report(rows.stop - rows.start)
        return [(scan.best, scan.total) for scan in found]

    spanned = list(zip(*threads.share(work, stream.spans(keys, query)), strict=True))
    best = [_merged([one for one, _ in same], k) for same in spanned]
    totals = [stream.joined([sums for _, sums in same]) for same in spanned]
    known = [sums for sums in totals if sums is not None]
    total = stream.stacked(known) if len(known) == len(totals) else None
    return Best(*together(best)), total


class _Scan:
    """The best keys and the sums of the weights so far, for some queries."""

    def __init__(self, query: Tensor, k: int) -> None:
        self.query, self.k = query, k
        none = query.new_empty(len(query), 0)
        self.best = Best(none, none.long())
        self.total: Sums | None = None
        self.sums = True

    def take(
        self,
        score: Callable[[Tensor, Mask], Tensor],
        mask: Mask,
        keys: Rows,
        start: int,
        separation: Separation,
    ) -> None:
        """Add a block of keys."""
        scores, kept = finite(score(self.query, mask), self.query, keys), left(mask)
        seen = scores if kept is None else scores.masked_fill(kept == 0, -torch.inf)
        places = torch.arange(start, start + scores.shape[1], device=scores.device)
        self.best = _merged([self.best, _best(seen, places.expand_as(seen), self.k)], self.k)
        weighed = tiles.weigh(separation, scores, mask) if self.sums else None
        if weighed is None:
            self.sums, self.total = False, None
            return
        nothing = scores.new_empty(scores.shape[1], 0)
        if self.total is None:
            self.total = stream.zeros(self.query, 0, weighed)
        stream.add(self.total, weighed, nothing, kept)


def _merged(parts: list[Best], k: int) -> Best:
    """Return the best of several, whose places follow one another."""
    scores, places = (torch.cat(same, -1) for same in zip(*parts, strict=True))
    return _best(scores, places, k)


def _best(scores: Tensor, places: Tensor, k: int) -> Best:
    """Return the ``k`` highest scores of each row, or all where there are fewer."""
    k = min(k, scores.shape[1])
    # topk does not say which of equal scores it returns.
    floor = scores.topk(k, dim=-1).values[:, -1:] if k else scores[:, :1]
    above, equal = scores > floor, scores == floor
    room = k - above.sum(-1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(-1) <= room))
    scores, places = (part[chosen].reshape(-1, k) for part in (scores, places))
    order = scores.argsort(dim=-1, descending=True, stable=True)
    return Best(scores.gather(-1, order), places.gather(-1, order))


def _weights(
    query: Tensor,
    keys: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
    best: Best,
    total: Sums | None,
) -> Tensor:
    """Return the weights of the best keys in a read of all keys."""
    if total is None:
        found = []
        for part, kept in chunks(torch.arange(len(query)), len(keys), mask):
            scores = compare(query[part], keys, similarity, kept)
            looked(separation, scores, query[part], keys)
            weights = separation.unchecked_weights(scores, left(kept))
            found.append(weights.gather(-1, best.places[part]))
        return finite(torch.cat(found), query, keys)
    there = best.scores > -torch.inf
    kept = counted(mask, best.places, there)
    some = separation.partial(best.scores.masked_fill(~there, 0.0), kept)
    assert some is not None
    weights = some.weights
    if some.shift is not None:
        base = total.shift if some.mass is not None or some.coupling is not None else 0.0
        weights = weights * torch.where(some.shift > -torch.inf, some.shift - base, 0.0).exp()
    if total.mass is not None:
        weights = weights / torch.where(total.mass == 0, 1.0, total.mass)
    return finite(weights, query, keys)
