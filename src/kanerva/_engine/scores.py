"""Scores of queries and keys, whole or a block of keys at a time, in float32 at least."""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, NoReturn, TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, describe, refuse
from kanerva._core.settings import settings
from kanerva.bits import Packed
from kanerva.similarity import Similarity, agreement, dot, manhattan

Result = TypeVar("Result")
Rows = Shaped[Tensor, "_m _d"] | Packed
Mask = Shaped[Tensor, "*_mask"] | None

# Bytes of temporaries that one score may cost on its way to a weight: integer distances, hashes, float64 look-ups.
SCORE_BYTES = 64


def wide(dtype: torch.dtype) -> torch.dtype:
    """Take float32 for the half precisions: their sums lose whole patterns."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def unmixed(work: Callable[..., Result]) -> Callable[..., Result]:
    """Keep torch from choosing other dtypes while some work is done: sums are of what they are said to be."""

    @wraps(work)
    def done(query: Tensor, *more: Any) -> Result:
        if arrays.tracing() or not torch.is_autocast_enabled(query.device.type):
            return work(query, *more)
        with torch.autocast(query.device.type, enabled=False):
            return work(query, *more)

    return done


def chunks(
    rows: Tensor, width: int, mask: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Cut rows of queries, and the mask with them, so that ``width`` scores a row fit the budget; at least one chunk."""
    size = max(1, settings.budget // (SCORE_BYTES * max(1, width)))
    for start in range(0, max(1, len(rows)), size):
        part = slice(start, start + size)
        yield rows[part], mask_of(mask, part)


def mask_of(mask: Mask, rows: slice | Tensor) -> Mask:
    """Take the mask of some queries; one row stands for all."""
    return mask if mask is None or len(mask) == 1 else mask[rows]


def part_of(keys: Rows, rows: slice | Tensor) -> Rows:
    """Take some of the keys, packed where they are."""
    return keys[rows] if isinstance(keys, Tensor) else Packed.wrap(keys.words[rows], keys.bits)


def together(parts: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Put what was found for some queries after what was found for others, each kind by itself."""
    return tuple(torch.cat(same) if len(same) > 1 else same[0] for same in zip(*parts, strict=True))


def learns(*several: object) -> bool:
    """Tell whether a gradient is asked for."""
    return torch.is_grad_enabled() and any(
        isinstance(tensor, Tensor) and tensor.requires_grad for tensor in several
    )


def pieces(count: int, width: int) -> Iterator[slice]:
    """Cut ``count`` keys or values of ``width`` numbers so that a piece, widened to 8 bytes, fits a quarter of the budget."""
    size = max(1, settings.budget // (32 * max(1, width)))
    return (slice(start, start + size) for start in range(0, max(1, count), size))


def blocks(keys: Rows, dtype: torch.dtype, similarity: Similarity) -> Iterator[Tensor]:
    """Yield keys in ``dtype``: whole where nothing of their size is built on the way to the scores, else a piece at a time."""
    if (
        isinstance(keys, Tensor)
        and keys.dtype == dtype
        and similarity in (dot, agreement, manhattan)
    ):
        yield keys
    else:
        yield from (keys[rows].to(dtype) for rows in pieces(*keys.shape))


def compare(query: Tensor, keys: Rows, similarity: Similarity, mask: Mask = None) -> Tensor:
    """Compare queries with keys, and add what a float mask adds."""
    query = query.to(wide(query.dtype))
    parts = [similarity(query, block) for block in blocks(keys, query.dtype, similarity)]
    result = (
        torch.cat(parts, -1)
        if all(isinstance(part, Tensor) for part in parts) and len(parts) > 1
        else parts[0]
    )
    if (
        not isinstance(result, Tensor)
        or result.shape != (*query.shape[:-1], keys.shape[0])
        or result.dtype not in arrays.FLOATS
    ):
        must = f"a function that gives a float for each query and key, {(*query.shape[:-1], keys.shape[0])}"
        got = f"one that gave {describe(result)}"
        refuse(
            "similarity",
            must=must,
            got=got,
            do="return query @ keys.mT or the like",
            error=InputTypeError,
        )
    return added(result, mask)


def added(scores: Tensor, mask: Mask) -> Tensor:
    """Add what a float mask adds; what it leaves out is left to the rule."""
    if mask is None or not mask.is_floating_point():
        return scores
    return scores + mask.masked_fill(mask == -torch.inf, 0.0).to(scores.dtype)


def left(mask: Mask) -> Tensor | None:
    """Say which scores a mask leaves in."""
    return mask > -torch.inf if mask is not None and mask.is_floating_point() else mask


def finite(value: Tensor) -> Tensor:
    """Refuse sums that overflowed rather than hand out NaN."""
    return value if arrays.sound(value) else overflow(value)


def overflow(value: Tensor) -> NoReturn:
    """Say that a sum overflowed."""
    do = "scale the data or beta down, store in float64, or wrap the separation in Normalised"
    refuse(
        "query",
        must=f"such that weights and sums stay within {value.dtype}",
        got="too large: they overflow",
        do=do,
    )
