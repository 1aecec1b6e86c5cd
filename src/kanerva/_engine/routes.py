"""The routes of one read, and the choice among them. Every route gives the same answer; they differ in time and memory.

* ``scan``: whole numbers, of packed bits that a step activates;
* ``attend``: torch's own attention, for softmax of dot products with values as long as keys;
* ``select``: of rules that only the largest scores concern, the few keys that can weigh anything;
* ``stream``: sums over keys a block at a time, for rules that weigh block by block;
* ``whole``: all scores of some queries at once, for any rule, and for whatever is small.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.settings import settings
from kanerva._engine import flex, packed, select, stream
from kanerva._engine.scores import (
    SCORE_BYTES,
    Mask,
    Rows,
    chunks,
    compare,
    learns,
    left,
    mask_of,
    pieces,
    together,
    unmixed,
    wide,
)
from kanerva.bits import Packed
from kanerva.separation import Difference, Exponential, Separation, Softmax, Step
from kanerva.similarity import Similarity, agreement, dot

# Scores that are built at once rather than a block at a time.
FEW = 2**13


class Field(NamedTuple):
    """The weighted sum of values before any activation, and which queries nothing answered.

    Attributes:
        value: ``(..., e)`` in float32 or wider.
        empty: ``(...)`` True where every weight is zero.
    """

    value: Float[Tensor, "*batch e"]
    empty: Bool[Tensor, "*batch"]


@unmixed
def field(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> Field:
    """Sum the values by their weights, for queries ``(b, d)`` and a mask ``(b or 1, m)``."""
    count = keys.shape[0]
    if count == 0:
        nothing = query.new_zeros(len(query), values.shape[1], dtype=wide(query.dtype))
        return Field(nothing, torch.ones_like(nothing[:, 0], dtype=torch.bool))
    if (
        mask is None
        and isinstance(separation, Step)
        and isinstance(keys, Packed)
        and scans(values, similarity)
    ):
        assert isinstance(values, Tensor)
        # An engine cuts the queries itself: it keeps one bit for a score.
        return Field(*packed.gather(query, keys, values, radius(keys, separation)))
    softmax = _softmax(separation)
    # Torch's attention tells nobody how far it is.
    told = settings.progress is not None and len(query) * count > FEW
    if (
        not told
        and mask is None
        and similarity is dot
        and softmax is not None
        and _attends(query, keys, values, softmax.beta)
    ):
        # On the CPU torch's attention never builds the scores, so its queries need not be cut to fit them.
        width = values.shape[-1] if query.device.type == "cpu" else count
        attended = _all([_attend(part, keys, values, softmax) for part, _ in chunks(query, width)])
        own = separation.coupling(query.new_zeros(1, 1))
        return attended if own is None else Field(attended.value - own * query, attended.empty)
    if not told and mask is None and flex.reads(query, keys, values, similarity, separation):
        assert isinstance(keys, Tensor)
        assert isinstance(values, Tensor)
        return Field(*flex.flex_field(query, keys, values, similarity, separation))
    if len(query) * count > FEW and _streams(values) and not arrays.tracing():
        found = _far(query, keys, values, similarity, separation, mask)
        if found is not None:
            return found
    again = _anew(_whole, query, count, learns(query, keys, values, mask, separation.temperature()))
    return _all(
        [
            Field(*again(part, keys, values, similarity, separation, kept))
            for part, kept in chunks(query, count, mask)
        ]
    )


@unmixed
def energy(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask
) -> Tensor:
    """Return minus the potential, for queries ``(b, d)`` and a mask ``(b or 1, m)``."""
    count = keys.shape[0]
    if count == 0:
        worth = torch.inf if separation.normalised else 0.0
        return torch.full((len(query),), worth, dtype=wide(query.dtype), device=query.device)
    learned = learns(query, keys, mask, separation.temperature())
    if len(query) * count > FEW and not arrays.tracing() and not learned:
        potential = stream.potential(query, keys, similarity, separation, mask)
        if potential is not None:
            return -potential

    def potential_of(part: Tensor, kept: Mask) -> Tensor:
        return separation.potential(compare(part, keys, similarity, kept), left(kept))

    again = _anew(potential_of, query, count, learned)
    parts = [again(part, kept) for part, kept in chunks(query, count, mask)]
    return -torch.cat(parts)


def _anew(work: Callable[..., Any], query: Tensor, count: int, learned: bool) -> Callable[..., Any]:
    """Return work that keeps no scores for gradients where they are many: they are worked out anew on the way back."""
    if not learned or arrays.tracing() or len(query) * count * SCORE_BYTES <= settings.budget:
        return work
    return partial(stream.anew, work)


def _far(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> Field | None:
    """Read without ever building all scores; None where the rule cannot, or where sums are not finite, which is said elsewhere."""
    if learns(query, keys, values, mask, separation.temperature()):
        # All at once, torch remembers every score for the way back.
        many = len(query) * len(keys) * SCORE_BYTES > settings.budget
        sums = stream.learned(query, keys, values, similarity, separation, mask) if many else None
        return None if sums is None else Field(*sums)
    found = select.search(query, keys, similarity, separation, mask)
    if found is not None:
        sums = select.read(found, values, separation)
        return _mended(Field(*sums), found.full, query, keys, values, similarity, separation, mask)
    sums = stream.summed(query, keys, values, similarity, separation, mask)
    return Field(*sums) if sums is not None and arrays.sound(sums[0]) else None


def _mended(
    field: Field,
    full: Tensor,
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> Field:
    """Read again, from all keys, for queries to which too many matter."""
    rows = full.nonzero().squeeze(-1)
    if len(rows) == 0:
        return field
    kept = mask_of(mask, rows)
    again = _all(
        [
            _whole(part, keys, values, similarity, separation, some)
            for part, some in chunks(query[rows], len(keys), kept)
        ]
    )
    return Field(
        field.value.index_copy(0, rows, again.value), field.empty.index_copy(0, rows, again.empty)
    )


def _all(parts: list[Field]) -> Field:
    """Put the fields of several queries together."""
    return Field(*together(parts))


def _streams(values: Rows) -> bool:
    """Tell whether values may be summed in the dtype of the weights: whole numbers are summed exactly."""
    return isinstance(values, Packed) or values.is_floating_point()


def _whole(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Tensor | None,
) -> Field:
    """Sum the values by weights that are all built first: any rule, with gradients."""
    compared = compare(query, keys, similarity, mask)
    weight, coupling = separation(compared, left(mask)), separation.coupling(compared, left(mask))
    if isinstance(values, Tensor) and values.dtype == weight.dtype:
        value = weight @ values
    else:
        exact = (
            weight.dtype
            if isinstance(values, Packed) or values.is_floating_point()
            else torch.float64
        )
        summed = (
            weight[:, rows].to(exact) @ values[rows].to(exact) for rows in pieces(*values.shape)
        )
        value = torch.stack(list(summed)).sum(0).to(weight.dtype)
    if coupling is None:
        # The largest and the smallest being zero says that all are, much faster than comparing each.
        known = weight.detach()
        return Field(value, (known.amax(-1) == 0) & (known.amin(-1) == 0))
    # A rule that compares both values of a bit answers also where they are worth the same.
    kept = left(mask)
    there = (
        torch.ones_like(weight[:, 0], dtype=torch.bool)
        if kept is None
        else kept.any(-1).expand(len(query))
    )
    return Field(value - coupling * query.to(value.dtype), ~there)


def _softmax(separation: Separation) -> Softmax | None:
    """Return the softmax that a rule weighs by, if it does; the exact rule of exponential memories on bits is one."""
    if type(separation) is Difference and type(separation.part) is Exponential:
        return Softmax(separation.part.beta)
    return separation if type(separation) is Softmax else None


def _attends(query: Tensor, keys: Rows, values: Rows, beta: float | Tensor) -> bool:
    """Tell whether torch's attention takes the read, and is the faster way: one dtype, and no gradient asked for."""
    if (
        arrays.tracing()
        or isinstance(keys, Packed)
        or isinstance(values, Packed)
        or learns(query, keys, values, beta)
    ):
        return False
    if not query.dtype == wide(query.dtype) == keys.dtype == values.dtype:
        return False
    if query.device.type != "cpu":
        return True
    # On the CPU it is fast, and builds no scores, only for values as long as keys. It shares few queries badly among threads, and
    # sums millions of patterns for one query in one go, which costs digits: blocks of keys are as fast there, and right.
    few = 1 < len(query) <= 32 and keys.numel() >= 2**21
    lies = keys.stride(-1) == values.stride(-1) == 1  # else torch would build the scores
    return (
        keys.shape == values.shape
        and lies
        and not few
        and not (len(query) == 1 and keys.numel() >= 2**25)
    )


def _attend(query: Tensor, keys: Rows, values: Rows, separation: Softmax) -> Field:
    """Read through torch's attention, which never builds the scores."""
    assert isinstance(keys, Tensor)
    assert isinstance(values, Tensor)
    scaled = (separation.beta * query).to(query.dtype).contiguous()
    value = torch.nn.functional.scaled_dot_product_attention(
        scaled[None, None], keys[None, None], values[None, None], scale=1.0
    )[0, 0]
    # Zeros may stand for scores that all overflowed, which torch takes for masked ones: look again.
    zero = value[:, 0] == 0
    if zero.any() and (zero := (value.amax(-1) == 0) & (value.amin(-1) == 0)).any():
        parts = [
            _whole(part, keys, values, dot, separation, None).value
            for part, _ in chunks(query[zero], len(keys))
        ]
        value[zero] = torch.cat(parts)
    return Field(value, torch.zeros(len(query), dtype=torch.bool, device=query.device))


def scans(values: Rows, similarity: Similarity) -> bool:
    """Tell whether an engine can find the active keys among packed bits, and sum or change their values."""
    return (
        isinstance(values, Tensor)
        and similarity is agreement
        and not arrays.tracing()
        and packed.scans(values)
    )


def radius(keys: Packed, separation: Step) -> int:
    """Turn a threshold on agreements into the largest distance that reaches it; -1 where none does."""
    return max(-1, math.floor(min(keys.shape[1] - separation.threshold, keys.shape[1])))
