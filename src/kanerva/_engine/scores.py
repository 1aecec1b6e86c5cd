"""Scores of queries and keys, whole or a block of keys at a time, in float32 at least."""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, NamedTuple, NoReturn, TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import InputError, InputTypeError, describe, refuse
from kanerva._core.settings import settings
from kanerva.bits import Packed
from kanerva.separation import Separation
from kanerva.similarity import Similarity, agreement, dot, manhattan

Result = TypeVar("Result")
Rows = Shaped[Tensor, "_m _d"] | Packed


class Kept(NamedTuple):
    """Which keys take part in a read, what is added to their scores, and how often each counts.

    Attributes:
        mask: ``(b or 1, m)`` bool, or floating and added to the scores; None for neither.
        prior: ``(b or 1, m)`` floating, >= 0.
    """

    mask: Tensor | None
    prior: Tensor


Mask = Shaped[Tensor, "*_mask"] | Kept | None

# Bytes of temporaries that one score may cost on its way to a weight: integer distances, hashes,
# float64 look-ups.
SCORE_BYTES = 64
# Similarities that build nothing of the size of the keys on the way to the scores.
WHOLE = (dot, agreement, manhattan)


HALVES = (torch.float16, torch.bfloat16)


def wide(dtype: torch.dtype) -> torch.dtype:
    """Take float32 for the half precisions: their sums lose whole patterns."""
    return torch.float32 if dtype in HALVES else dtype


def unmixed(work: Callable[..., Result]) -> Callable[..., Result]:
    """Switch autocast off inside a function, so that sums are in the documented dtype."""

    @wraps(work)
    def done(query: Tensor, *more: Any) -> Result:
        if not torch.is_autocast_enabled(query.device.type) or arrays.tracing():
            return work(query, *more)
        with torch.autocast(query.device.type, enabled=False):
            return work(query, *more)

    return done


def chunks(rows: Tensor, width: int, mask: Mask = None) -> Iterator[tuple[Tensor, Mask]]:
    """Cut rows of queries, and their mask, so that ``width`` scores a row fit the budget.

    There is at least one chunk.
    """
    size = max(1, settings.budget // (SCORE_BYTES * max(1, width)))
    for start in range(0, max(1, len(rows)), size):
        part = slice(start, start + size)
        yield rows[part], mask_of(mask, part)


def mask_of(mask: Mask, rows: slice | Tensor) -> Mask:
    """Take the mask of some queries; one row stands for all."""
    if isinstance(mask, Kept):
        return Kept(*(mask_of(part, rows) for part in mask))  # type: ignore[arg-type]
    return mask if mask is None or len(mask) == 1 else mask[rows]


def columns_of(mask: Mask, keys: slice) -> Mask:
    """Take the mask of some keys."""
    if isinstance(mask, Kept):
        return Kept(*(columns_of(part, keys) for part in mask))  # type: ignore[arg-type]
    return mask if mask is None else mask[:, keys]


def part_of(keys: Rows, rows: slice | Tensor) -> Rows:
    """Take some of the keys, packed where they are."""
    return keys[rows] if isinstance(keys, Tensor) else Packed.wrap(keys.words[rows], keys.bits)


def together(parts: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Put what was found for some queries after what was found for others, each kind by itself."""
    return tuple(torch.cat(same) if len(same) > 1 else same[0] for same in zip(*parts, strict=True))


def learns(*several: object) -> bool:
    """Tell whether a gradient is asked for."""
    return torch.is_grad_enabled() and any(
        learns(*part) if isinstance(part, Kept) else isinstance(part, Tensor) and part.requires_grad
        for part in several
    )


def pieces(count: int, width: int) -> Iterator[slice]:
    """Cut ``count`` rows of ``width`` numbers so that a piece fits a quarter of the budget.

    Numbers are taken to be widened to 8 bytes.
    """
    size = max(1, settings.budget // (32 * max(1, width)))
    return (slice(start, start + size) for start in range(0, max(1, count), size))


def blocks(keys: Rows, dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield keys in ``dtype``, a piece at a time."""
    return (keys[rows].to(dtype) for rows in pieces(*keys.shape))


def compare(query: Tensor, keys: Rows, similarity: Similarity, mask: Mask = None) -> Tensor:
    """Compare queries with keys, and add a float mask."""
    query = query.to(wide(query.dtype)) if query.dtype in HALVES else query
    score = getattr(similarity, "unchecked", None)
    ready = isinstance(keys, Tensor) and keys.dtype is query.dtype
    if score is not None and ready and similarity in WHOLE:
        scores = score(query, keys)
        return scores if mask is None else added(scores, mask)
    ask = score or _guarded(similarity, (*query.shape[:-1], keys.shape[0]), query.dtype)
    parts = [ask(query, block) for block in blocks(keys, query.dtype)]
    # Blocks of other leading dimensions cannot be joined.
    tensors = all(isinstance(part, Tensor) and part.ndim == query.ndim for part in parts)
    tensors = tensors and all(part.shape[:-1] == query.shape[:-1] for part in parts)
    scores = torch.cat(parts, -1) if tensors and len(parts) > 1 else parts[0]
    shape = (*query.shape[:-1], keys.shape[0])
    fits = tensors and scores.shape == shape and scores.dtype == query.dtype
    if score is None and not fits:
        _refuse_scores(f"one that returned {describe(scores)}", shape, query.dtype)
    return added(scores, mask)


def _guarded(similarity: Similarity, shape: tuple[int, ...], dtype: torch.dtype) -> Similarity:
    """Return a user's similarity, whose errors name the argument."""
    if torch.compiler.is_compiling():
        return similarity

    def score(query: Tensor, keys: Tensor) -> Any:  # checked by the caller
        try:
            return similarity(query, keys)
        except (InputError, torch.OutOfMemoryError):
            raise
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            words = " ".join(str(error).split())[:100]
            got = f"one that raised {type(error).__name__} ({words})"
            try:
                _refuse_scores(got, shape, dtype)
            except InputError as refusal:
                raise refusal from error  # the traceback shows the line of the user's function

    return score


def _refuse_scores(got: str, shape: tuple[int, ...], dtype: torch.dtype) -> NoReturn:
    must = f"a function that returns {dtype} for each query and key, {shape}"
    do = "return query @ keys.mT or the like"
    refuse("similarity", got=got, must=must, do=do, error=InputTypeError)


def added(scores: Tensor, mask: Mask) -> Tensor:
    """Add what a float mask adds; what it leaves out is left to the rule."""
    mask = mask.mask if isinstance(mask, Kept) else mask
    if mask is None or not mask.is_floating_point():
        return scores
    return scores + mask.masked_fill(mask == -torch.inf, 0.0).to(scores.dtype)


def left(mask: Mask) -> Tensor | None:
    """Say which scores a mask leaves in, or how often each counts."""
    if isinstance(mask, Kept):
        there = left(mask.mask)
        return mask.prior if there is None else mask.prior * there
    return mask > -torch.inf if mask is not None and mask.is_floating_point() else mask


def counted(mask: Mask, places: Tensor, there: Tensor) -> Tensor:
    """Return which of the keys at some places take part, or how often each counts."""
    if not isinstance(mask, Kept):
        return there
    prior = mask.prior.expand(len(places), -1).gather(-1, places)
    return torch.where(there, prior, 0.0)


def finite(value: Tensor, query: Tensor, *rows: Rows) -> Tensor:
    """Return a result that is finite; otherwise report which input, or which sum, is not."""
    return value if arrays.sound(value) else refuse_overflow(value, query, *rows)


def rows_of(mask: Tensor | None, batch: torch.Size, count: int) -> Tensor | None:
    """Check a mask, and lay it out as one row a query, or one row for all of them."""
    if mask is None:
        return None
    shape = (*batch, count)
    must = f"a bool (True keeps) or floating tensor that broadcasts to {shape}"
    arrays.dense("mask", mask, must, None)
    fits = mask.dtype in (torch.bool, *arrays.FLOATS)
    if not fits or arrays.together(mask.shape, shape) != shape:
        refuse("mask", mask, must=must, do="give one entry for each query and stored row")
    if not arrays.sound(mask) and not (mask.detach() < torch.inf).all():
        must, do = "finite, or -inf for keys left out", "drop or fill its NaN and inf"
        refuse("mask", mask, must=must, do=do)
    if mask.ndim <= 1:
        return mask.expand(1, count)
    return mask.expand(shape).reshape(batch.numel(), count)


def narrow(value: Tensor, query: Tensor) -> Tensor:
    """Return a result in the query's own dtype, which may be too small for it."""
    return value if value.dtype == query.dtype else finite(value.to(query.dtype), query)


def looked(separation: Separation, scores: Tensor, query: Tensor, *rows: Rows) -> Tensor:
    """Refuse scores that are not finite where the rule would not show them."""
    return finite(scores, query, *rows) if separation.compares else scores


def refuse_overflow(value: Tensor, query: Tensor, *rows: Rows) -> NoReturn:
    """Report the input that is not finite, or else an overflow."""
    arrays.finite("query", query)
    for name, part in zip(("keys", "values"), rows, strict=False):
        if isinstance(part, Tensor):
            arrays.finite(name, part)
    do = "scale the data or beta down, store in float64, or wrap the separation in Normalised"
    must = f"such that weights and sums stay within {value.dtype}"
    refuse("query", got="too large: they overflow", must=must, do=do)
