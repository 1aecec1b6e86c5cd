"""Scores and weights of a tile, some queries against some keys, by numba where it is installed."""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from kanerva._core import arrays
from kanerva._core.settings import settings
from kanerva._engine import packed
from kanerva._engine.scores import Mask, Rows, added, compare, left
from kanerva.bits import Packed, signs
from kanerva.separation import Cap, Circle, Partial, Separation, Softmax
from kanerva.separation._overlaps import resolved
from kanerva.similarity import Similarity, agreement, closeness, cosine, dot

FLOATS = (torch.float32, torch.float64)
# Queries up to which distances are computed one by one rather than from products.
FEW = 4


def kernels(tensor: Tensor) -> Any:
    """Return the compiled kernels where they can process a tensor; None where torch must."""
    if settings.engine not in ("auto", "numba") or arrays.observed():
        return None
    if tensor.device.type != "cpu" or tensor.dtype not in FLOATS:
        return None
    learned = tensor.requires_grad and torch.is_grad_enabled()
    return None if learned else packed.compiled()


def numbers(rows: Rows, dtype: torch.dtype) -> Tensor:
    """Return rows in a dtype; packed rows as -1/+1."""
    if isinstance(rows, Tensor):
        return rows.to(dtype)
    written = torch.empty(rows.shape, dtype=dtype)
    compiled = kernels(written) if rows.words.device.type == "cpu" else None
    if compiled is None:
        return rows[:].to(dtype)
    compiled.unpack(rows.words.numpy(), written.numpy())
    return written


def comparison(
    keys: Rows, similarity: Similarity, query: Tensor, origin: Tensor
) -> Callable[[Tensor, Mask], Tensor]:
    """Return a function of queries and a mask: the scores against a block of keys.

    What depends on the keys alone is computed once. Distances are taken from ``origin``, the same
    for all blocks, so that equal keys have equal scores. Scores may be not finite.

    Args:
        keys: ``(m, d)``, the block.
        similarity: how near a query is to a key.
        query: ``(b, d)``, all queries, of which the function is given a few at a time.
        origin: ``(1, d)``.
    """
    score = _score(keys, similarity, query, origin)
    if score is None:
        rows = numbers(keys, query.dtype)
        return lambda part, mask: compare(part, rows, similarity, mask)
    return lambda part, mask: added(score(part), mask)


def _score(
    keys: Rows, similarity: Similarity, query: Tensor, origin: Tensor
) -> Callable[[Tensor], Tensor] | None:
    """Return the scores of queries as a function; None for a similarity without a faster way."""
    compiled = kernels(query)
    if isinstance(keys, Packed) and similarity is agreement and compiled is not None:
        return partial(_agreements, compiled, keys)
    if similarity not in (dot, agreement, cosine, closeness):
        return None
    rows = numbers(keys, query.dtype)
    if similarity is dot:
        return lambda part: part @ rows.mT
    if similarity is agreement:
        half = query.new_tensor(rows.shape[1] / 2)
        return lambda part: torch.addmm(half, part / 2, rows.mT)
    if similarity is cosine:
        length = torch.linalg.vector_norm(rows, dim=-1).clamp_min(1e-12)
        # A length that overflows must not give an angle.
        length = torch.where(length.isfinite(), length, torch.nan)
        return lambda part: (normalize(part, dim=-1, eps=1e-12) @ rows.mT).div_(length)
    if compiled is not None and len(query) <= FEW:
        return partial(_closeness, compiled, rows)
    # A common shift leaves distances as they are, and small squares lose fewer digits.
    away = rows - origin
    half = -away.square().sum(-1) / 2
    return lambda part: _product_closeness(part - origin, away, half)


def _product_closeness(query: Tensor, keys: Tensor, half: Tensor) -> Tensor:
    """Compute minus half the squared distances from products; ``half`` is -|key|^2 / 2."""
    return torch.addmm(half, query, keys.mT).sub_(query.square().sum(-1, keepdim=True) / 2)


def _agreements(compiled: Any, keys: Packed, query: Tensor) -> Tensor:
    """Count the bits in which queries agree with packed keys."""
    scores = query.new_empty(len(query), len(keys))
    compiled.agreements(signs(query).numpy(), keys.words.numpy(), keys.bits, scores.numpy())
    return scores


def _closeness(compiled: Any, keys: Tensor, query: Tensor) -> Tensor:
    """Compute minus half the squared distances one by one."""
    scores = query.new_empty(len(query), len(keys))
    compiled.closeness(query.detach().numpy(), keys.detach().numpy(), scores.numpy())
    return scores


def weigh(separation: Separation, scores: Tensor, kept: Mask) -> Partial | None:
    """Weigh a tile; its scores may be overwritten. None where the rule does not weigh in blocks."""
    plain = kept is None and scores.dtype == torch.float32 and scores.is_contiguous()
    compiled = kernels(scores) if plain else None
    if compiled is None or type(separation) not in (Circle, Cap, Softmax):
        return separation.partial(scores, left(kept))
    outside = _logs(compiled, separation, scores)
    if outside:  # The sums are then NaN, and the plain route reports the scores.
        scores.fill_(torch.nan)
    top, mass = scores.new_empty(2, len(scores))
    compiled.exponentials(scores.numpy(), top.numpy(), mass.numpy())
    return Partial(scores, top[:, None], mass[:, None] + (torch.nan if outside else 0))


def _logs(compiled: Any, separation: Separation, scores: Tensor) -> int:
    """Replace scores by log-weights; return how many are not in the range of the rule."""
    if isinstance(separation, Circle):
        return compiled.look_up(scores.numpy(), _table(separation))
    if isinstance(separation, Cap):
        return compiled.caps(scores.numpy(), *_shape(separation))
    assert isinstance(separation, Softmax)
    scores.mul_(separation.beta)
    return 0


@lru_cache(16)
def _table(separation: Circle) -> NDArray[np.float32]:
    """Return the log-weights of a circle by agreement, relative to the largest.

    Logarithms near 0 keep their digits in float32.
    """
    return (separation._log_share - separation._log_share[0]).flip(0).numpy().astype(np.float32)


@lru_cache(16)
def _shape(separation: Cap) -> tuple[float, float, float, float, NDArray[np.float32]]:
    """Return the arguments of the kernel of caps; the series ends where float32 does."""
    terms = np.array(resolved(separation._terms, torch.finfo(torch.float32).eps), np.float32)
    stretch = 1 / math.asinh(separation._ratio)
    return separation._square, separation._ratio, stretch, separation.dim / 2, terms


def pick(
    scores: Tensor,
    start: int,
    floor: Tensor,
    kept: Tensor,
    places: Tensor,
    count: Tensor,
    full: Tensor,
) -> None:
    """Append the scores that reach the floor of their row, in place; mark the rows without room.

    Args:
        scores: ``(b, m)``.
        start: place of the first of the m keys.
        floor: ``(b,)``.
        kept: ``(b, room)``, the scores that are kept.
        places: ``(b, room)`` int64, the places of their keys.
        count: ``(b,)`` int64, how many are kept.
        full: ``(b,)`` bool, whether some could not be kept.
    """
    compiled = kernels(scores)
    if compiled is not None:
        arrays = (part.detach().numpy() for part in (scores, floor, kept, places, count, full))
        compiled.pick(next(arrays), start, *arrays)
        return
    found = (scores >= floor[:, None]) & (scores > -torch.inf)
    rows, columns = found.nonzero(as_tuple=True)
    more = found.sum(-1)
    # The rank of each score within its row, after the scores that the row keeps already.
    rank = torch.arange(len(rows), device=rows.device) - (more.cumsum(0) - more)[rows]
    slot = count[rows] + rank
    fits = slot < kept.shape[1]
    kept[rows[fits], slot[fits]] = scores[rows[fits], columns[fits]]
    places[rows[fits], slot[fits]] = start + columns[fits]
    total = count + more
    full.logical_or_(total > kept.shape[1])
    count.copy_(total.clamp_max(kept.shape[1]))
