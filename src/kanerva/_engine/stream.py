r"""Sums over the keys, one block at a time, so that no array of queries x keys is ever built.

A rule weighs a block b as if it were all keys, up to a factor and a mass (``Partial``). The sums of
the blocks are added after they are brought to a common factor, the largest:

.. math:: y = \frac{\sum_b e^{\sigma_b - \sigma} W_b V_b}{\sum_b e^{\sigma_b - \sigma} M_b}, \quad
    \sigma = \max_b \sigma_b

For softmax this is the online log-sum-exp (Milakov and Gimelshein 2018). A block and the queries
that are compared with it fit into the cache of a core; every thread has keys of its own.
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
    columns_of,
    compare,
    left,
    looked,
    mask_of,
    part_of,
    together,
    wide,
)
from kanerva.separation import Partial, Separation
from kanerva.similarity import Similarity

# Scores that are processed at a time, and numbers of their keys: both stay in the cache of a core.
TILE = 2**18
BLOCK = 2**18
# The same on a GPU, where a few large steps are faster.
FAR = 2**24
# Queries that are compared with a block of keys at a time.
TALL = 256
# Where one query in so many has weight in a block, the values of the block are summed for it alone.
SPARSE = 2
# Queries whose sums each thread keeps at a time.
MANY = 4096


class Sums(NamedTuple):
    """The sums of each query over some of the keys; like ``Partial``, up to the factor e^shift.

    Attributes:
        value: ``(b, e)`` weighted sums of values.
        shift: ``(b, 1)`` logarithm of the factor; -inf for a sum of no terms.
        mass: ``(b, 1)`` the divisor; None for no division.
        coupling: ``(b, 1)`` the self-coupling of the query; None for none.
        size: ``(b, 1)`` the sum of the absolute weights and couplings.
        some: ``(b, 1)`` whether any key has a weight.
    """

    value: Tensor
    shift: Tensor
    mass: Tensor | None
    coupling: Tensor | None
    size: Tensor
    some: Tensor


def summed(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return the weighted sums ``(b, e)``, which are empty ``(b,)``, and the sizes of the weights.

    None where the rule does not weigh block by block, or scores are not finite.
    """
    query = query.to(wide(query.dtype))
    report = progress(len(keys), len(query))
    parts = steps(query, MANY)

    def work(span: slice) -> list[Sums | None]:
        several = [(query[part], mask_of(mask, part)) for part in parts]
        given = (keys, values, similarity, separation)
        return [_gather(rows, *given, kept, span, report) for rows, kept in several]

    done = []
    spanned = zip(*threads.share(work, spans(keys, query)), strict=True)
    for part, sums in zip(parts, spanned, strict=True):
        total = joined(sums)
        if total is None:
            return None
        done.append(_finished(total, query[part]))
    value, empty, size = together(done)
    return value, empty, size


def learned(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return what ``summed`` does, with gradients: the backward pass weighs each block again."""
    query = query.to(wide(query.dtype))

    def block(
        query: Tensor, keys: Rows, values: Rows, mask: Mask
    ) -> tuple[Tensor | None, ...] | None:
        part = separation.partial(compare(query, keys, similarity, mask), left(mask))
        if part is None:
            return None
        return tuple(_sums(part, tiles.numbers(values, query.dtype), left(mask)))

    done = []
    for part in steps(query, MANY):
        some = query[part]
        width = max(1, settings.budget // (SCORE_BYTES * max(1, len(some))))
        sums: list[Sums | None] = []
        for start in range(0, len(keys), width):
            rows = slice(start, start + width)
            given = (part_of(keys, rows), part_of(values, rows), tile(mask, part, rows))
            found = anew(block, some, *given)
            if found is None:
                return None
            sums.append(Sums(*found))
        total = joined(sums)
        assert total is not None
        done.append(_finished(total, some))
    value, empty, size = together(done)
    return value, empty, size


def anew(work: Callable[..., Any], *given: Any) -> Any:
    """Do work whose intermediate results are not kept: the backward pass does it again.

    Both passes use the present budget.
    """
    budget = settings.budget

    def limited(*given: Any) -> Any:
        with settings.use(budget=budget):
            return work(*given)

    return checkpoint(limited, *given, use_reentrant=False, preserve_rng_state=False)


def potential(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask
) -> Tensor | None:
    """Return the potential ``(b,)`` of all keys; None where it cannot be joined from blocks."""
    if separation.join(query.new_zeros(1, 1, dtype=wide(query.dtype))) is None:
        return None
    query = query.to(wide(query.dtype))

    def whole_of(parts: list[Tensor]) -> Tensor:
        whole = separation.join(torch.stack(parts))
        assert whole is not None
        return whole

    def of_span(span: slice) -> Tensor:
        parts = steps(query, height(query))
        found: list[list[Tensor]] = [[] for _ in parts]
        for rows, block in cut(keys, span, query):
            given = (tiles.numbers(block, query.dtype), similarity, separation)
            for part, values in zip(parts, found, strict=True):
                values.append(_potential(query[part], *given, tile(mask, part, rows)))
        return torch.cat([whole_of(values) for values in found])

    return whole_of(threads.share(of_span, spans(keys, query)))


def _potential(
    query: Tensor, keys: Tensor, similarity: Similarity, separation: Separation, mask: Mask
) -> Tensor:
    """Return the potential of a block of keys."""
    scores = compare(query, keys, similarity, mask)
    return separation.unchecked_potential(looked(separation, scores, query, keys), left(mask))


def _gather(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
    span: slice,
    report: Callable[[int], None],
) -> Sums | None:
    """Sum over a span of the keys; None where the rule cannot, or scores are not finite."""
    total, parts = None, steps(query, height(query))
    origin = tiles.numbers(part_of(keys, slice(0, 1)), query.dtype)
    for rows, block in cut(keys, span, query):
        score = tiles.comparison(block, similarity, query, origin)
        value = tiles.numbers(block if values is keys else part_of(values, rows), query.dtype)
        for part in parts:
            kept = tile(mask, part, rows)
            scores = score(query[part], kept)
            # Rules that compare scores would hide NaN; the plain route reports it.
            weighed = tiles.weigh(separation, scores, kept) if arrays.sound(scores) else None
            if weighed is None:
                return None
            total = zeros(query, values.shape[1], weighed) if total is None else total
            add(_rows_of(total, part), weighed, value, left(kept))
        report(rows.stop - rows.start)
    return total


def zeros(query: Tensor, width: int, like: Partial) -> Sums:
    """Return sums of no terms, with the fields that ``like`` has."""
    value, column = query.new_zeros(len(query), width), query.new_zeros(len(query), 1)
    mass = None if like.mass is None else torch.zeros_like(column)
    coupling = None if like.coupling is None else torch.zeros_like(column)
    shift, some = torch.full_like(column, -torch.inf), torch.zeros_like(column, dtype=torch.bool)
    return Sums(value, shift, mass, coupling, torch.zeros_like(column), some)


def _rows_of(sums: Sums, rows: slice) -> Sums:
    """Return a view of the sums of some queries."""
    mass, coupling = (None if part is None else part[rows] for part in (sums.mass, sums.coupling))
    size, some = sums.size[rows], sums.some[rows]
    return Sums(sums.value[rows], sums.shift[rows], mass, coupling, size, some)


def add(total: Sums, part: Partial, values: Tensor, kept: Tensor | None) -> None:
    """Add the sums of a block, in place."""
    size = _size(part)
    total.some.logical_or_(_some(part, kept, size))
    factor = None
    if part.shift is None:
        total.shift.zero_()
        total.value.addmm_(part.weights, values)
    else:
        shift = torch.maximum(total.shift, part.shift)
        base = _base(shift)
        before, factor = (total.shift - base).exp_(), (part.shift - base).exp_()
        total.value.mul_(before)
        _add_values(total.value, part.weights, values, factor)
        total.shift.copy_(shift)
    pairs = ((total.mass, part.mass), (total.coupling, part.coupling), (total.size, size))
    for sums, more in pairs:
        if sums is not None and more is not None:
            sums.add_(more) if factor is None else sums.mul_(before).addcmul_(more, factor)


def _add_values(total: Tensor, weights: Tensor, values: Tensor, factor: Tensor) -> None:
    """Add the values of a block, in place; for few queries alone where the others have no weight.

    A factor is exactly 0 where the weights of a block are too small beside those of another one.
    """
    if total.device.type == "cpu":
        rows = factor.squeeze(-1).nonzero().squeeze(-1)
        if SPARSE * len(rows) <= len(factor):
            if len(rows):
                total.index_add_(0, rows, weights[rows] @ values * factor[rows])
            return
    total.addcmul_(weights @ values, factor)


def _sums(part: Partial, values: Tensor, kept: Tensor | None) -> Sums:
    """Return the sums of one block."""
    shift = torch.zeros_like(part.weights[:, :1]) if part.shift is None else part.shift
    value, size = part.weights @ values, _size(part)
    return Sums(value, shift, part.mass, part.coupling, size, _some(part, kept, size))


def joined(parts: Sequence[Sums | None]) -> Sums | None:
    """Add the sums over different keys; None where one is missing."""
    total = parts[0]
    for other in parts[1:]:
        if total is None or other is None:
            return None
        shift = torch.maximum(total.shift, other.shift)
        first, second = ((part.shift - _base(shift)).exp() for part in (total, other))
        mass = coupling = None
        if total.mass is not None and other.mass is not None:
            mass = total.mass * first + other.mass * second
        if total.coupling is not None and other.coupling is not None:
            coupling = total.coupling * first + other.coupling * second
        value, size = (
            one * first + more * second
            for one, more in ((total.value, other.value), (total.size, other.size))
        )
        total = Sums(value, shift, mass, coupling, size, total.some | other.some)
    return total


def stacked(parts: Sequence[Sums]) -> Sums:
    """Return the sums of different queries as one."""

    def column(name: str) -> Any:
        same = [getattr(part, name) for part in parts]
        return None if same[0] is None else torch.cat(same)

    return Sums(*map(column, Sums._fields))


def _finished(total: Sums, query: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Subtract the self-coupling of the query, and divide by the mass, where the rule has them."""
    value = total.value if total.coupling is None else total.value - total.coupling * query
    size = total.size
    if total.mass is not None:
        mass = torch.where(total.mass == 0, 1.0, total.mass)
        value, size = value / mass, size / mass
    elif total.coupling is None:
        factor = total.shift.exp()
        value, size = value * factor, size * factor
    return value, ~total.some.squeeze(-1), size.squeeze(-1)


def _size(part: Partial) -> Tensor:
    """Return the sum of the absolute weights of a block, and of its self-coupling."""
    if part.mass is not None and part.coupling is None:
        return part.mass.detach()
    size = part.weights.detach().abs().sum(-1, keepdim=True)
    return size if part.coupling is None else size + part.coupling.detach().abs()


def _some(part: Partial, kept: Tensor | None, size: Tensor) -> Tensor:
    """Return where a block has any weight.

    A rule with a self-coupling compares both values of a bit: it has a result for every key.
    """
    if part.coupling is not None:
        there = torch.ones_like(part.coupling, dtype=torch.bool)
        return there if kept is None else there & (kept != 0).any(-1, keepdim=True)
    return size != 0


def _base(shift: Tensor) -> Tensor:
    """Return the shift to subtract: 0 for a sum of no terms, because -inf - -inf is NaN."""
    return torch.where(shift == -torch.inf, 0.0, shift)


def height(query: Tensor) -> int:
    """Return how many queries are compared with a block of keys at a time."""
    return max(1, min(len(query), TALL, settings.budget // (SCORE_BYTES * 64)))


def spans(keys: Rows, query: Tensor) -> list[slice]:
    """Cut the keys among the threads of the CPU; one span where the work is small."""
    much = len(query) * len(keys) >= TILE or len(keys) * query.shape[1] >= 4 * BLOCK
    several = much and query.device.type == "cpu"
    return threads.spans(len(keys), 64) if several else [slice(0, len(keys))]


def steps(query: Tensor, many: int) -> list[slice]:
    """Cut the queries into parts of ``many``; there is at least one part."""
    return [slice(start, start + many) for start in range(0, max(1, len(query)), many)]


def cut(keys: Rows, span: slice, query: Tensor) -> Iterator[tuple[slice, Rows]]:
    """Yield the places and the keys of a span as they are stored, one block at a time."""
    scores, numbers = (TILE, 4 * BLOCK) if query.device.type == "cpu" else (FAR, FAR)
    scores = min(scores, settings.budget // SCORE_BYTES)
    size = max(64, min(scores // height(query), numbers // max(1, keys.shape[1])) // 64 * 64)
    for start in range(span.start, span.stop, size):
        rows = slice(start, min(start + size, span.stop))
        yield rows, part_of(keys, rows)


def tile(mask: Mask, queries: slice, keys: slice) -> Mask:
    """Return the mask of some queries and keys."""
    return columns_of(mask_of(mask, queries), keys)


def progress(count: int, queries: int) -> Callable[[int], None]:
    """Return a function of the number of rows just read, which calls ``settings.progress``."""
    call, lock, done = settings.progress, Lock(), 0
    if call is None:
        return lambda rows: None
    times = -(-max(1, queries) // MANY)

    def report(rows: int) -> None:
        nonlocal done
        with lock:
            done += rows
            call(done // times, count)

    return report
