"""Masks of attention, as numbers that are added to the scores."""

import math
from typing import Any

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, refuse
from kanerva.quarks import _inputs

__all__ = ["scores_mask"]


def scores_mask(
    attn_mask: Any,
    padding: Any,
    shape: tuple[int, int, int, int],
    rows: Tensor,
    single: bool,
) -> Tensor | None:
    """Return what is added to the scores, ``(b or 1, heads or 1, q or 1, k)``, or None.

    Args:
        attn_mask: as the caller gave it.
        padding: key_padding_mask, as the caller gave it.
        shape: of the scores, ``(b, heads, q, k)``.
        rows: queries, whose dtype and device the masks have.
        single: whether the rows were given without a batch.
    """
    batch, heads, queries, keys = shape
    found = None
    if attn_mask is not None:
        full = (batch * heads, queries, keys)
        found = _added("attn_mask", attn_mask, ((queries, keys), full), rows)
        found = found.reshape(
            (batch, heads, queries, keys) if found.ndim == 3 else (1, 1, queries, keys)
        )
    if padding is not None:
        want = (keys,) if single else (batch, keys)
        left_out = _added("key_padding_mask", padding, (want,), rows)
        left_out = left_out.reshape(batch, 1, 1, keys)
        found = left_out if found is None else found + left_out
    return found


def _added(argument: str, value: Any, shapes: tuple[tuple[int, ...], ...], rows: Tensor) -> Tensor:
    """Return a mask as numbers: those given, or -inf for True and 0 for False."""
    kind = str(rows.dtype).removeprefix("torch.")
    must = f"a bool or {kind} tensor of shape {' or '.join(map(str, shapes))}"
    found = arrays.dense(argument, value, must, torch.bool)
    if found.dtype not in (torch.bool, rows.dtype):
        do = f"convert it with {argument}.to(torch.bool); True leaves a key out"
        refuse(argument, value, must=must, do=do, error=InputTypeError)
    if tuple(found.shape) not in shapes:
        refuse(argument, value, must=must, do="give it one of these shapes")
    _inputs.placed(argument, found, rows)
    if found.dtype == torch.bool:
        return torch.zeros_like(found, dtype=rows.dtype).masked_fill(found, -math.inf)
    if not arrays.tracing() and not bool((found.detach() < math.inf).all()):  # neither is NaN
        must = "made of finite numbers, and of -inf for keys that are left out"
        refuse(argument, value, must=must, do="drop or fill the others first")
    return found
