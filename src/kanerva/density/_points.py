"""Contexts and queries, checked: finite points of one dtype, on one device."""

from typing import Any

import torch
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import refuse

__all__ = ["checked", "points", "visible"]


def points(name: str, value: Any, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return finite points ``(..., n, dim)``; refuse another dtype or device."""
    value = arrays.vectors(name, arrays.listed(value, dtype, device), dim, dtype)
    if value.ndim < 2:
        must, do = f"of shape (..., n, {dim})", f"give rows of points with {name}.unsqueeze(0)"
        refuse(name, value, must=must, do=do)
    if value.device != device:
        do = f"move it with {name}.to({str(device)!r})"
        refuse(name, got=f"on {value.device}", must=f"on {device}", do=do)
    return arrays.finite(name, value)


def checked(context: Any, query: Any, dim: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return a context and queries whose leading dimensions broadcast."""
    context, query = (
        points(name, value, dim, like.dtype, like.device)
        for name, value in (("context", context), ("query", query))
    )
    if arrays.together(context.shape[:-2], query.shape[:-2]) is None:
        got = f"of shape {tuple(query.shape)} for contexts of shape {tuple(context.shape)}"
        do = "give both the same leading dimensions, or one of them none"
        refuse("query", got=got, must="with leading dimensions that broadcast", do=do)
    return context, query


def visible(context: Tensor, query: Tensor, seen: Any) -> int | None:
    """Return how many points every query sees; None where query i sees those before it."""
    held, count = context.shape[-2], query.shape[-2]
    if seen is not None:
        return checks.integer("seen", seen, 0, held)
    if count > held + 1:
        got = f"{count} rows for a context of {held}"
        do = f"give seen={held} where every query sees the whole context"
        refuse("query", got=got, must="at most one row more than the context", do=do)
    return None
