r"""Sums over the keys a block at a time, so that no array of queries x keys is ever built.

A rule weighs a block of keys as if they were all, up to a factor and a mass (``Partial``); sums of blocks add up once they stand
under one factor, the largest:

.. math:: y = \frac{\sum_b e^{\sigma_b - \sigma} W_b V_b}{\sum_b e^{\sigma_b - \sigma} M_b}, \quad \sigma = \max_b \sigma_b

For softmax this is the online log-sum-exp (Milakov and Gimelshein 2018). Blocks and the queries that meet them are small enough
to stay in a core's cache; every thread goes through keys of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kanerva._core import arrays
from kanerva._core.settings import settings
from kanerva._engine import threads, tiles
from kanerva._engine.scores import (
    SCORE_BYTES,
    Mask,
    Rows,
    compare,
    left,
    mask_of,
    part_of,
    together,
    wide,
)
from kanerva.separation import Separation
from kanerva.separation._base import Partial
from kanerva.similarity import Similarity

# Scores worked on at a time, and numbers of the keys they come from: both stay in a core's cache.
TILE = 2**18
BLOCK = 2**18
# The same on a GPU, where few large steps are fast.
FAR = 2**24
# Queries that meet a block of keys at a time.
TALL = 256
# Queries whose sums are held at a time, in every thread.
MANY = 4096


class Sums(NamedTuple):
    """What queries have gathered from some of the keys; like ``Partial``, up to the factor e^shift.

    Attributes:
        value: ``(b, e)`` sums of values.
        shift: ``(b, 1)`` logarithm of the factor; -inf where nothing was gathered yet.
        mass: ``(b, 1)`` what they are divided by; None where they are not.
        coupling: ``(b, 1)`` what the query gives to itself; None for nothing.
        some: ``(b, 1)`` whether anything was weighed.
    """

    value: Tensor
    shift: Tensor
    mass: Tensor | None
    coupling: Tensor | None
    some: Tensor


def summed(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> tuple[Tensor, Tensor] | None:
    """Return the weighted sums ``(b, e)`` and which of them are empty ``(b,)``; None where the rule does not weigh block by block."""
    query = query.to(wide(query.dtype))
    told = teller(len(keys), len(query))

    def gathered(span: slice) -> list[Sums | None]:
        starts = range(0, max(1, len(query)), MANY)
        several = [
            (query[start : start + MANY], mask_of(mask, slice(start, start + MANY)))
            for start in starts
        ]
        return [
            _gather(rows, keys, values, similarity, separation, kept, span, told)
            for rows, kept in several
        ]

    done = []
    for place, parts in enumerate(zip(*threads.share(gathered, spans(keys, query)), strict=True)):
        total = _total(parts)
        if total is None:
            return None
        done.append(_finished(total, query[place * MANY : (place + 1) * MANY]))
    values, empty = together(done)
    return values, empty


def learned(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> tuple[Tensor, Tensor] | None:
    """Do as ``summed`` does where gradients are asked for: what a block of keys was weighed by is worked out again on the way back."""
    query = query.to(wide(query.dtype))

    def part(
        query: Tensor, keys: Rows, values: Rows, kept: Tensor | None
    ) -> tuple[Tensor | None, ...] | None:
        weighed = separation.partial(compare(query, keys, similarity, kept), left(kept))
        return (
            None
            if weighed is None
            else tuple(_sums(weighed, tiles.numbers(values, query.dtype), left(kept)))
        )

    done = []
    for tall in range(0, max(1, len(query)), MANY):
        asked, kept = query[tall : tall + MANY], mask_of(mask, slice(tall, tall + MANY))
        size = max(1, settings.budget // (SCORE_BYTES * max(1, len(asked))))
        parts: list[Sums | None] = []
        for start in range(0, len(keys), size):
            rows = slice(start, start + size)
            found = anew(
                part,
                asked,
                part_of(keys, rows),
                part_of(values, rows),
                None if kept is None else kept[:, rows],
            )
            if found is None:
                return None
            parts.append(Sums(*found))
        total = _total(parts)
        assert total is not None
        done.append(_finished(total, asked))
    values, empty = together(done)
    return values, empty


def anew(work: Callable[..., Any], *given: Any) -> Any:
    """Do work that is done again on the way back of gradients, which keep nothing of it; with the budget of today."""
    budget = settings.budget

    def limited(*given: Any) -> Any:
        with settings.use(budget=budget):
            return work(*given)

    return checkpoint(limited, *given, use_reentrant=False, preserve_rng_state=False)


def potential(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask
) -> Tensor | None:
    """Return the potential ``(b,)`` of the scores; None where it is not made of the potentials of blocks."""
    if separation.join(query.new_zeros(1, 1, dtype=wide(query.dtype))) is None:
        return None
    query = query.to(wide(query.dtype))

    def joined(parts: list[Tensor]) -> Tensor:
        whole = separation.join(torch.stack(parts))
        assert whole is not None
        return whole

    def of_span(span: slice) -> Tensor:
        many = height(query)
        found: list[list[Tensor]] = [[] for _ in range(0, max(1, len(query)), many)]
        for rows, part in cut(keys, span, query):
            block = tiles.numbers(part, query.dtype)
            for place, tall in enumerate(range(0, max(1, len(query)), many)):
                asked, kept = query[tall : tall + many], tile(mask, slice(tall, tall + many), rows)
                found[place].append(
                    separation.potential(compare(asked, block, similarity, kept), left(kept))
                )
        return torch.cat([joined(parts) for parts in found])

    return joined(threads.share(of_span, spans(keys, query)))


def _gather(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
    span: slice,
    told: Callable[[int], None],
) -> Sums | None:
    """Gather the sums of some queries from a span of the keys; None where the rule cannot."""
    total, many, origin = (
        None,
        height(query),
        tiles.numbers(part_of(keys, slice(0, 1)), query.dtype),
    )
    for rows, block in cut(keys, span, query):
        compared = tiles.facing(block, similarity, query, origin)
        value = tiles.numbers(block if values is keys else part_of(values, rows), query.dtype)
        for start in range(0, max(1, len(query)), many):
            tall = slice(start, start + many)
            kept = tile(mask, tall, rows)
            scores = compared(query[tall], kept)
            # Rules that compare lose NaN; the plain route says what is wrong.
            weighed = tiles.weigh(separation, scores, kept) if arrays.sound(scores) else None
            if weighed is None:
                return None
            total = _nothing(query, values.shape[1], weighed) if total is None else total
            _add(_some_of(total, tall), weighed, value, left(kept))
        told(rows.stop - rows.start)
    return total


def _nothing(query: Tensor, width: int, like: Partial) -> Sums:
    """Begin sums of what blocks give."""
    mass, coupling = (
        None if part is None else query.new_zeros(len(query), 1)
        for part in (like.mass, like.coupling)
    )
    shift = query.new_full((len(query), 1), -torch.inf)
    return Sums(
        query.new_zeros(len(query), width),
        shift,
        mass,
        coupling,
        torch.zeros_like(shift, dtype=torch.bool),
    )


def _some_of(sums: Sums, rows: slice) -> Sums:
    """Return the sums of some queries, to be added to in place."""
    mass, coupling = (None if part is None else part[rows] for part in (sums.mass, sums.coupling))
    return Sums(sums.value[rows], sums.shift[rows], mass, coupling, sums.some[rows])


def _add(total: Sums, part: Partial, values: Tensor, kept: Tensor | None) -> None:
    """Add what a block gives to sums, in place."""
    total.some.logical_or_(_some(part, kept))
    factor = None
    if part.shift is None:
        total.shift.zero_()
        total.value.addmm_(part.weights, values)
    else:
        shift = torch.maximum(total.shift, part.shift)
        base = _base(shift)
        before, factor = (total.shift - base).exp_(), (part.shift - base).exp_()
        total.value.mul_(before).addcmul_(part.weights @ values, factor)
        total.shift.copy_(shift)
    for sums, more in ((total.mass, part.mass), (total.coupling, part.coupling)):
        if sums is not None and more is not None:
            sums.add_(more) if factor is None else sums.mul_(before).addcmul_(more, factor)


def _sums(part: Partial, values: Tensor, kept: Tensor | None) -> Sums:
    """Sum a block's values."""
    shift = torch.zeros_like(part.weights[:, :1]) if part.shift is None else part.shift
    return Sums(part.weights @ values, shift, part.mass, part.coupling, _some(part, kept))


def _total(parts: Sequence[Sums | None]) -> Sums | None:
    """Add the sums of different keys."""
    total = parts[0]
    for other in parts[1:]:
        if total is None or other is None:
            return None
        shift = torch.maximum(total.shift, other.shift)
        first, second = ((part.shift - _base(shift)).exp() for part in (total, other))
        both = (
            (total.value, other.value),
            (total.mass, other.mass),
            (total.coupling, other.coupling),
        )
        value, mass, coupling = (
            None if one is None or two is None else one * first + two * second for one, two in both
        )
        assert value is not None
        total = Sums(value, shift, mass, coupling, total.some | other.some)
    return total


def _finished(total: Sums, query: Tensor) -> tuple[Tensor, Tensor]:
    """Divide by the mass where the rule has one, and take off what the query gives to itself."""
    value = total.value if total.coupling is None else total.value - total.coupling * query
    if total.mass is not None:
        value = value / torch.where(total.mass == 0, 1.0, total.mass)
    return value, ~total.some.squeeze(-1)


def _some(part: Partial, kept: Tensor | None) -> Tensor:
    """Tell where a block has any weight; a rule that compares both values of a bit answers also where they are worth the same."""
    if part.coupling is not None:
        there = torch.ones_like(part.coupling, dtype=torch.bool)
        return there if kept is None else there & kept.any(-1, keepdim=True)
    known = part.mass if part.mass is not None else part.weights.abs().amax(-1, keepdim=True)
    return known.detach() != 0


def _base(shift: Tensor) -> Tensor:
    """Return what to take off: 0 where nothing was gathered, from which -inf can be taken."""
    return torch.where(shift == -torch.inf, 0.0, shift)


def height(query: Tensor) -> int:
    """Return how many queries meet a block of keys at a time."""
    return max(1, min(len(query), TALL, settings.budget // (SCORE_BYTES * 64)))


def spans(keys: Rows, query: Tensor) -> list[slice]:
    """Share the keys among threads on the CPU, where that is worth it."""
    much = len(query) * len(keys) >= TILE or len(keys) * query.shape[1] >= 4 * BLOCK
    return (
        threads.spans(len(keys), 64)
        if much and query.device.type == "cpu"
        else [slice(0, len(keys))]
    )


def cut(keys: Rows, span: slice, query: Tensor) -> Iterator[tuple[slice, Rows]]:
    """Yield places of a span of the keys and the keys there as they are kept, a few at a time."""
    scores, numbers = (TILE, 4 * BLOCK) if query.device.type == "cpu" else (FAR, FAR)
    scores = min(scores, settings.budget // SCORE_BYTES)
    size = max(64, min(scores // height(query), numbers // max(1, keys.shape[1])) // 64 * 64)
    for start in range(span.start, span.stop, size):
        rows = slice(start, min(start + size, span.stop))
        yield rows, part_of(keys, rows)


def tile(mask: Mask, queries: slice, keys: slice) -> Mask:
    """Take the mask of some queries and keys."""
    kept = mask_of(mask, queries)
    return None if kept is None else kept[:, keys]


def teller(count: int, queries: int) -> Callable[[int], None]:
    """Return what is called with rows of keys that have been read, and tells ``settings.progress`` how many have been."""
    tell, lock, done = settings.progress, Lock(), 0
    if tell is None:
        return lambda rows: None
    times = -(-max(1, queries) // MANY)

    def told(rows: int) -> None:
        nonlocal done
        with lock:
            done += rows
            tell(done // times, count)

    return told
