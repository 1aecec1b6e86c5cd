"""Checks of what gates take: weights, signals and gates of one dtype, on one device."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, refuse

__all__ = ["bias", "blame", "gate", "like", "matrix", "placed", "rows"]


def placed(argument: str, value: Tensor, other: Tensor) -> None:
    """Refuse a tensor on another device than the weights."""
    if value.device != other.device:
        do = f"move it with {argument}.to({str(other.device)!r})"
        refuse(argument, got=f"on {value.device}", must=f"on {other.device}", do=do)


def matrix(
    argument: str, value: Any, other: Tensor | None = None, height: int | None = None
) -> Any:
    """Return weights ``(m, n)``; of the dtype, device and height of others, where given."""
    arrays.rows(argument, value, height, advised=torch.float32 if other is None else other.dtype)
    if not value.shape[0]:
        must, do = "a tensor of one or more rows", "give the weights of at least one unit"
        refuse(argument, got=f"of shape {tuple(value.shape)}", must=must, do=do)
    if value.dtype not in arrays.FLOATS or (other is not None and value.dtype != other.dtype):
        kind = "a floating tensor" if other is None else f"of dtype {_short(other)}"
        wanted = torch.float32 if other is None else other.dtype
        do = f"convert it with {argument}.to({wanted})"
        refuse(argument, value, must=kind, do=do, error=InputTypeError)
    if other is not None:
        placed(argument, value, other)
    return value


def like(argument: str, value: Any, width: int, weight: Tensor) -> Tensor:
    """Return a tensor ``(..., width)`` of the dtype and device of the weights."""
    found = arrays.vectors(argument, value, width, weight.dtype)
    placed(argument, found, weight)
    return found


def rows(
    argument: str,
    value: Any,
    width: int | None,
    weight: Tensor,
    lead: Sequence[int],
    other: str = "x",
) -> Any:
    """Return a tensor ``(*lead, width)``; what would broadcast along the batch is refused.

    Args:
        argument: its name, for the error.
        value: what was given.
        width: length of its rows; None where any will do.
        weight: a tensor of the wanted dtype and device.
        lead: leading dimensions, those of the argument ``other``.
        other: the name of that argument.
    """
    found = value if width is None else like(argument, value, width, weight)
    if tuple(found.shape[:-1]) != tuple(lead):
        must = f"of shape {(*lead, found.shape[-1])}"
        _refuse_batch(argument, found, must, lead, found.shape[-1:], other)
    return found


def gate(
    argument: str, value: Any, weight: Tensor, lead: Sequence[int], other: str = "x"
) -> Tensor:
    """Return a gate ``(*lead, m, n)``, or with 1 for m, n or both; ``other`` as for ``rows``."""
    m, n = weight.shape
    kind = _short(weight)
    must = f"a {kind} tensor of shape (..., {m}, {n}), or 1 for {m}, {n} or both"
    found = arrays.dense(argument, value, must, weight.dtype)
    if found.dtype != weight.dtype:
        do = f"convert it with {argument}.to({weight.dtype})"
        refuse(argument, value, must=must, do=do, error=InputTypeError)
    inner = tuple(found.shape[-2:])
    if found.ndim < 2 or inner[0] not in (1, m) or inner[1] not in (1, n):
        refuse(argument, value, must=must, do=_sizes(inner, (m, n), found.ndim - len(lead)))
    if tuple(found.shape[:-2]) != tuple(lead):
        must = f"of shape {(*lead, *inner)}, as {other} has {_batch(lead)}"
        _refuse_batch(argument, found, must, lead, inner, other)
    placed(argument, found, weight)
    return found


def bias(value: Any, weight: Tensor, argument: str = "bias") -> Tensor | None:
    """Return a bias ``(m,)``, or None."""
    if value is None:
        return None
    found = like(argument, value, weight.shape[0], weight)
    if found.ndim != 1:
        must = f"of shape ({weight.shape[0]},)"
        do = "give one number for each unit"
        refuse(argument, got=f"of shape {tuple(found.shape)}", must=must, do=do)
    return found


def blame(result: Tensor, **given: Tensor | None) -> Tensor:
    """Return a finite result; else refuse what is not finite, or the first one as too large."""
    if arrays.sound(result):
        return result
    for argument, value in given.items():
        if value is not None:
            arrays.finite(argument, value)
    first, value = next((name, value) for name, value in given.items() if value is not None)
    must = f"small enough for sums and products in {_short(result)}"
    refuse(first, value, must=must, do="scale it down, or compute in a wider dtype")


def _refuse_batch(
    argument: str,
    value: Tensor,
    must: str,
    lead: Sequence[int],
    inner: Sequence[int],
    other: str,
) -> None:
    """Refuse a tensor ``(..., *inner)`` whose leading dimensions are not ``lead``."""
    own = value.shape[: value.ndim - len(inner)]
    got, both = f"of shape {tuple(value.shape)}", arrays.together(own, lead)
    if both is not None:
        got += ", which would broadcast along the batch"
    if both == tuple(lead):
        shape = (*lead, *inner)
        do = f"expand it with {argument}.expand{shape} if all of the batch share it"
    elif both == tuple(own):
        do = f"expand {other} with {other}.expand{(*own, -1)} if all of the batch share it"
    else:
        do = f"give {argument} and {other} the same leading dimensions"
    refuse(argument, got=got, must=must, do=do)


def _sizes(inner: tuple[int, ...], wanted: tuple[int, int], spare: int) -> str:
    """Return what to do about the last two sizes of a gate; ``spare`` are not of the batch."""
    if spare < 2:
        return "add its last two dimensions, those of the targets and of the sources"
    places = (
        "its size before the last, that of the targets,",
        "its last size, that of the sources,",
    )
    wrong = [
        f"{place} be " + ("1" if size == 1 else f"{size} or 1")
        for place, here, size in zip(places, inner, wanted, strict=True)
        if here not in (1, size)
    ]
    return "let " + ", and ".join(wrong)


def _batch(lead: Sequence[int]) -> str:
    return f"the batch {tuple(lead)}" if lead else "no batch"


def _short(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
