"""Work on a tile of scores, some queries against some keys: compiled where numba is installed, with torch elsewhere."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanerva._core.settings import settings
from kanerva._engine import packed
from kanerva._engine.scores import Rows, added, compare, left
from kanerva.bits import Packed, signs
from kanerva.separation import Cap, Circle, Separation, Softmax
from kanerva.separation._base import Partial
from kanerva.separation._overlaps import resolved
from kanerva.similarity import Similarity, agreement, closeness, cosine, dot

FLOATS = (torch.float32, torch.float64)
# Queries for which distances are faster taken one by one than from products.
FEW = 4


def kernels(tensor: Tensor) -> Any:
    """Return the compiled kernels where they can work on a tensor; None where torch must."""
    plain = (
        tensor.device.type == "cpu"
        and tensor.dtype in FLOATS
        and not (tensor.requires_grad and torch.is_grad_enabled())
    )
    return packed.compiled() if plain and settings.engine in ("auto", "numba") else None


def numbers(rows: Rows, dtype: torch.dtype) -> Tensor:
    """Return rows in a dtype, -1/+1 where they are packed."""
    if isinstance(rows, Tensor):
        return rows.to(dtype)
    written = torch.empty(rows.shape, dtype=dtype)
    compiled = kernels(written) if rows.words.device.type == "cpu" else None
    if compiled is None:
        return rows[:].to(dtype)
    compiled.unpack(rows.words.numpy(), written.numpy())
    return written


def facing(
    keys: Rows, similarity: Similarity, query: Tensor, origin: Tensor
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Return what compares queries, such as ``query``, with a block of keys, of which what all need is worked out once.

    Distances are taken from ``origin``, the same for all blocks, so that equal keys have equal scores. Scores that are not finite
    are for the caller to look for.
    """
    compiled = kernels(query)
    if isinstance(keys, Packed) and similarity is agreement and compiled is not None:
        return lambda asked, kept: added(_shared(compiled, asked, keys, query.dtype), kept)
    rows = numbers(keys, query.dtype)
    if similarity is dot:
        return lambda asked, kept: added(asked @ rows.mT, kept)
    if similarity is agreement:
        half = query.new_tensor(rows.shape[1] / 2)
        return lambda asked, kept: added(torch.addmm(half, asked / 2, rows.mT), kept)
    if similarity is cosine:
        length = torch.linalg.vector_norm(rows, dim=-1).clamp_min(1e-12)
        length = torch.where(
            length.isfinite(), length, torch.nan
        )  # what overflows must not look like an angle
        return lambda asked, kept: added(
            (torch.nn.functional.normalize(asked, dim=-1, eps=1e-12) @ rows.mT).div_(length), kept
        )
    if similarity is closeness and compiled is not None and len(query) <= FEW:
        return lambda asked, kept: added(_close(compiled, asked, rows), kept)
    if similarity is closeness:
        # Distances do not change when everything moves together; near the origin their squares lose fewer digits.
        away = rows - origin
        half = -away.square().sum(-1) / 2
        return lambda asked, kept: added(_nearness(asked - origin, away, half), kept)
    return lambda asked, kept: compare(asked, rows, similarity, kept)


def _nearness(near: Tensor, away: Tensor, half: Tensor) -> Tensor:
    """Take minus half the squared distances, from products."""
    return torch.addmm(half, near, away.mT).sub_(near.square().sum(-1, keepdim=True) / 2)


def _shared(compiled: Any, query: Tensor, keys: Packed, dtype: torch.dtype) -> Tensor:
    """Count the bits that queries share with packed keys."""
    scores = torch.empty(len(query), len(keys), dtype=dtype)
    compiled.agreements(signs(query).numpy(), keys.words.numpy(), keys.bits, scores.numpy())
    return scores


def _close(compiled: Any, query: Tensor, keys: Tensor) -> Tensor:
    """Take minus half the squared distances."""
    scores = query.new_empty(len(query), len(keys))
    compiled.closeness(query.detach().numpy(), keys.detach().numpy(), scores.numpy())
    return scores


def weigh(separation: Separation, scores: Tensor, kept: Tensor | None) -> Partial | None:
    """Weigh a tile as a rule does, of scores that nobody needs any more; None where it does not weigh block by block."""
    compiled = (
        kernels(scores)
        if kept is None and scores.dtype == torch.float32 and scores.is_contiguous()
        else None
    )
    strange = 0
    if compiled is not None and type(separation) is Circle:
        strange = compiled.look_up(scores.numpy(), _table(separation))
    elif compiled is not None and type(separation) is Cap:
        strange = compiled.caps(scores.numpy(), *_shape(separation))
    elif compiled is not None and type(separation) is Softmax:
        scores.mul_(separation.beta)
    else:
        return separation.partial(scores, left(kept))
    if strange:  # no scores that the rule is made for: the sums will show it
        scores.fill_(torch.nan)
    top, mass = scores.new_empty(2, len(scores))
    compiled.exponentials(scores.numpy(), top.numpy(), mass.numpy())
    return Partial(scores, top[:, None], mass[:, None] + (torch.nan if strange else 0))


@lru_cache(16)
def _table(separation: Circle) -> NDArray[np.float32]:
    """Lay out the logarithms of shared circles by agreement, less the largest: what is near 0 keeps its digits."""
    return (separation._log_share - separation._log_share[0]).flip(0).numpy().astype(np.float32)


@lru_cache(16)
def _shape(separation: Cap) -> tuple[float, float, float, float, NDArray[np.float32]]:
    """Return what the kernel of caps needs: of the series, as many terms as float32 resolves."""
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
    """Append what reaches the floor of its row to what is kept there, in place; say which rows have no room for all.

    Args:
        scores: ``(b, m)``.
        start: place of the first of the m keys.
        floor: ``(b,)``.
        kept: ``(b, room)`` scores.
        places: ``(b, room)`` int64.
        count: ``(b,)`` int64, how many are kept.
        full: ``(b,)`` bool.
    """
    compiled = kernels(scores)
    if compiled is not None:
        arrays = (part.detach().numpy() for part in (scores, floor, kept, places, count, full))
        compiled.pick(next(arrays), start, *arrays)
        return
    found = (scores >= floor[:, None]) & (scores > -torch.inf)
    rows, columns = found.nonzero(as_tuple=True)
    # The how-manieth of its row each one is, after those that are there already.
    order = (
        count[rows]
        + torch.arange(len(rows), device=rows.device)
        - (found.sum(-1).cumsum(0) - found.sum(-1))[rows]
    )
    fits = order < kept.shape[1]
    kept[rows[fits], order[fits]] = scores[rows[fits], columns[fits]]
    places[rows[fits], order[fits]] = start + columns[fits]
    total = count + found.sum(-1)
    full.logical_or_(total > kept.shape[1])
    count.copy_(total.clamp_max(kept.shape[1]))
