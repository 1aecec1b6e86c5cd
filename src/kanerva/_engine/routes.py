"""The routes of one read, and the choice among them.

Every route gives the same result; they differ in time and memory.

* ``scan``: sums of whole numbers over packed bits that a ``Step`` activates;
* ``attend``: torch's own attention, for softmax of dot products with values as long as keys;
* ``select``: the few keys that can have a weight, for rules that depend on the largest scores;
* ``stream``: sums over the keys a block at a time, for rules that weigh block by block;
* ``whole``: all scores of some queries at once, for any rule, for every small read, and wherever a
  mode of torch records the operations.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeGuard

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import refuse
from kanerva._core.settings import settings
from kanerva._engine import flex, packed, select, stream
from kanerva._engine.scores import (
    SCORE_BYTES,
    Mask,
    Rows,
    chunks,
    compare,
    finite,
    learns,
    left,
    looked,
    mask_of,
    pieces,
    refuse_overflow,
    unmixed,
    wide,
)
from kanerva.bits import Packed
from kanerva.separation import Difference, Exponential, Separation, Softmax, Step
from kanerva.similarity import Similarity, agreement, dot

# Scores that are built at once rather than a block at a time.
FEW = 2**13


# Scores for which the choice of a route takes longer than the read: 128 KiB at most.
SMALL = 2**11


class Field(NamedTuple):
    """The weighted sum of values before any activation, and which queries have no weight at all.

    Attributes:
        value: ``(..., e)`` in float32 or wider.
        empty: ``(...)`` True where every weight is zero; None where none can be.
        size: ``(...)`` the sum of the absolute weights, up to the factor that ``value`` has too; 0
            where ``value`` is exact; None for weights that add up to one.
    """

    value: Float[Tensor, "*batch e"]
    empty: Bool[Tensor, "*batch"] | None
    size: Float[Tensor, "*batch"] | None = None


@unmixed
def field(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> Field:
    """Sum the values by their weights, for queries ``(b, d)`` and a mask ``(b or 1, m)``.

    The result is finite; otherwise the input that is not, or the overflow, is reported.
    """
    given = (query, keys, values, similarity, separation, mask)
    small = isinstance(keys, Tensor) and 0 < query.shape[0] * keys.shape[0] <= SMALL
    found = _whole(*given) if small else _chosen(*given)
    if not arrays.sound(found.value):
        refuse_overflow(found.value, query, keys, values)
    return found


def _chosen(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> Field:
    """Read by the fastest route that takes the read."""
    count, given = keys.shape[0], (keys, values, similarity, separation)
    if count == 0:
        arrays.finite("query", query)
        nothing = query.new_zeros(len(query), values.shape[1], dtype=wide(query.dtype))
        return Field(nothing, torch.ones_like(nothing[:, 0], dtype=torch.bool))
    # Neither torch's attention nor a fused kernel reports its progress.
    reports = settings.progress is not None and len(query) * count > FEW
    direct = None if mask is not None else _direct(query, *given, reports)
    if direct is not None:
        return direct
    if len(query) * count > FEW and _streams(values) and not arrays.observed():
        found = _far(query, *given, mask)
        if found is not None:
            return found
    again = _anew(_whole, query, count, learns(query, keys, values, mask, separation.temperature()))
    return _all([again(part, *given, kept) for part, kept in chunks(query, count, mask)])


def _direct(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    reports: bool,
) -> Field | None:
    """Read by a kernel for the whole read without a mask; None where there is none."""
    if scans(keys, values, similarity, separation):
        # The kernel cuts the queries itself: it keeps one bit for a score.
        assert isinstance(values, Tensor)
        value, empty = packed.gather(query, keys, values, radius(keys, separation))
        return Field(value, empty, value.new_zeros(len(value)))
    if reports:
        return None
    softmax = _softmax(separation) if similarity is dot else None
    if softmax is not None and _attends(query, keys, values, softmax.beta):
        # On the CPU torch's attention never builds the scores: queries need not be cut for them.
        width = values.shape[-1] if query.device.type == "cpu" else keys.shape[0]
        attended = _all([_attend(part, keys, values, softmax) for part, _ in chunks(query, width)])
        own = separation.coupling(query.new_zeros(1, 1))
        return attended if own is None else Field(attended.value - own * query, attended.empty)
    if flex.reads(query, keys, values, similarity, separation):
        assert isinstance(keys, Tensor)
        assert isinstance(values, Tensor)
        return Field(*flex.flex_field(query, keys, values, similarity, separation))
    return None


@unmixed
def scores(query: Tensor, keys: Rows, similarity: Similarity, mask: Mask) -> Tensor:
    """Compare queries ``(b, d)`` with every key; the result is finite."""
    return finite(compare(query, keys, similarity, mask), query, keys)


@unmixed
def weights(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask
) -> Tensor:
    """Weigh every key for queries ``(b, d)``; the result is finite."""
    compared = compare(query, keys, similarity, mask)
    if compared.shape[-1] == 0:
        return compared
    looked(separation, compared, query, keys)
    return finite(separation.unchecked_weights(compared, left(mask)), query, keys)


def regulariser(similarity: Similarity) -> Callable[[Tensor], Tensor]:
    """Return R of the energy; refuse a similarity without one."""
    found: Callable[[Tensor], Tensor] | None = getattr(similarity, "regulariser", None)
    if found is None:
        must = "one with a regulariser, such as dot, closeness or cosine"
        name = getattr(similarity, "__name__", repr(similarity))
        refuse("similarity", got=name, must=must, do="choose one of these, or follow the reads")
    return found


@unmixed
def energy(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask
) -> Tensor:
    """Return R(q) - Phi(s(q)) for queries ``(b, d)``; +inf where Phi is the log of nothing."""
    size = regulariser(similarity)(query.to(wide(query.dtype)))
    return finite(size, query) - potential(query, keys, similarity, separation, mask)


@unmixed
def potential(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, mask: Mask
) -> Tensor:
    """Return the potential for queries ``(b, d)``: finite, or -inf."""
    count = keys.shape[0]
    if count == 0:
        kind = type(separation)
        if kind.phi is Separation.phi and kind.potential is Separation.potential:
            separation.phi(query)  # refuses: there is none
        return query.new_zeros(len(query), dtype=wide(query.dtype)) + separation.void()
    learned = learns(query, keys, mask, separation.temperature())
    value = None
    if len(query) * count > FEW and not arrays.observed() and not learned:
        value = stream.potential(query, keys, similarity, separation, mask)
    if value is None:

        def potential_of(part: Tensor, kept: Mask) -> Tensor:
            compared = compare(part, keys, similarity, kept)
            looked(separation, compared, part, keys)
            return separation.unchecked_potential(compared, left(kept))

        again = _anew(potential_of, query, count, learned)
        value = torch.cat([again(part, kept) for part, kept in chunks(query, count, mask)])
    if not arrays.sound(value) and not (value.detach() < torch.inf).all():
        refuse_overflow(value, query, keys)
    return value


def _anew(work: Callable[..., Any], query: Tensor, count: int, learned: bool) -> Callable[..., Any]:
    """Return work that keeps no scores for gradients where they are many.

    The scores are computed again in the backward pass.
    """
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
    """Read without building all scores.

    None where the rule does not allow it, or where a sum is not finite: the whole route reports it.
    """
    if learns(query, keys, values, mask, separation.temperature()):
        # All at once, torch remembers every score for the way back.
        many = len(query) * len(keys) * SCORE_BYTES > settings.budget
        sums = stream.learned(query, keys, values, similarity, separation, mask) if many else None
        return None if sums is None else Field(*sums)
    found = select.search(query, keys, similarity, separation, mask)
    if found is not None:
        sums = select.read(found, values, separation, mask)
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
    """Read again, from all keys, for queries to which too many keys matter."""
    rows = full.nonzero().squeeze(-1)
    if len(rows) == 0:
        return field
    given, cut = (
        (keys, values, similarity, separation),
        chunks(query[rows], len(keys), mask_of(mask, rows)),
    )
    again = _all([_whole(part, *given, some) for part, some in cut])
    parts = [
        old if old is None or new is None else old.index_copy(0, rows, new)
        for old, new in zip(field, again, strict=True)
    ]
    return Field(field.value.index_copy(0, rows, again.value), *parts[1:])


def _all(parts: list[Field]) -> Field:
    """Put the fields of several queries together."""
    if len(parts) == 1:
        return parts[0]
    value, *more = zip(*parts, strict=True)
    return Field(torch.cat(value), *(None if each[0] is None else torch.cat(each) for each in more))


def _streams(values: Rows) -> bool:
    """Return whether values may be summed in the dtype of the weights; whole numbers may not."""
    return isinstance(values, Packed) or values.is_floating_point()


def _whole(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> Field:
    """Sum the values by weights that are all built first: any rule, with gradients."""
    compared = compare(query, keys, similarity, mask)
    kept = None if mask is None else left(mask)
    if separation.compares:
        looked(separation, compared, query, keys)
    part = separation.partial(compared, kept) if separation.coupled else None
    if part is None or part.coupling is None:
        weight = separation.unchecked_weights(compared, kept)
        value = _sum(weight, values)
        # Softmax gives every key some weight, unless a mask leaves none.
        if type(separation) is Softmax and kept is None:
            return Field(value, None)
        size = weight.detach().abs().sum(-1)
        return Field(value, size == 0, size)
    value = _sum(part.weights, values) - part.coupling * query.to(part.weights.dtype)
    size = part.weights.abs().sum(-1, keepdim=True) + part.coupling.abs()
    if part.mass is not None:
        mass = torch.where(part.mass == 0, 1.0, part.mass)
        value, size = value / mass, size / mass
    # A rule that compares both values of a bit has an answer also where both are worth the same.
    empty = None if kept is None else (kept == 0).all(-1).expand(len(query))
    return Field(value, empty, size.squeeze(-1).detach())


def _sum(weight: Tensor, values: Rows) -> Tensor:
    """Sum values by weights; whole numbers exactly, in float64."""
    if isinstance(values, Tensor) and values.dtype is weight.dtype:
        return weight @ values
    exact = weight.dtype if _streams(values) else torch.float64
    parts = pieces(*values.shape)
    summed = [weight[:, rows].to(exact) @ values[rows].to(exact) for rows in parts]
    return torch.stack(summed).sum(0).to(weight.dtype)


def _softmax(separation: Separation) -> Softmax | None:
    """Return the softmax that a rule weighs by, if any.

    The one-bit difference of ``Exponential`` is one, up to its self-coupling.
    """
    if type(separation) is Difference and type(separation.part) is Exponential:
        return Softmax(separation.part.beta)
    return separation if type(separation) is Softmax else None


def _attends(query: Tensor, keys: Rows, values: Rows, beta: float | Tensor) -> bool:
    """Return whether torch's attention takes the read and is faster: one dtype, no gradient."""
    if (
        arrays.observed()
        or isinstance(keys, Packed)
        or isinstance(values, Packed)
        or learns(query, keys, values, beta)
    ):
        return False
    if not query.dtype == wide(query.dtype) == keys.dtype == values.dtype:
        return False
    if query.device.type != "cpu":
        return True
    # On the CPU it is fast, and builds no scores, only for values as long as keys. It divides few
    # queries badly among threads, and sums millions of patterns for one query in one go, which
    # costs digits: blocks of keys are as fast there, and accurate.
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


def scans(
    keys: Rows, values: Rows, similarity: Similarity, separation: Separation
) -> TypeGuard[Packed]:
    """Return whether a kernel finds the active keys among packed bits, and handles the values."""
    return (
        isinstance(keys, Packed)
        and isinstance(values, Tensor)
        and similarity is agreement
        and type(separation) is Step
        and not arrays.observed()
        and packed.scans(values)
    )


def radius(keys: Rows, separation: Separation) -> int:
    """Turn a threshold on agreements into the largest distance within it; -1 for none."""
    assert isinstance(separation, Step)
    return max(-1, math.floor(min(keys.shape[1] - separation.threshold, keys.shape[1])))
