"""Cues of a register: checked numbers, as places among the levels."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from kanerva import bits
from kanerva._core import arrays, checks
from kanerva._core.errors import refuse
from kanerva.entropic._quantiser import Quantiser

__all__ = ["Cues", "cues", "fitting", "scale", "vet_scale"]


class Cues(NamedTuple):
    """Checked cues.

    Attributes:
        given: ``(b, columns)`` in the unit of the data; 0 where not known.
        places: ``(b, columns)`` float64 places among the levels, without rounding.
        known: ``(b, columns)`` bool.
        batch: the leading dimensions.
    """

    given: Tensor
    places: Float64[Tensor, "b columns"]
    known: Bool[Tensor, "b columns"]
    batch: torch.Size

    @property
    def levels(self) -> Tensor:
        """``(b, columns)`` int64: the nearest levels."""
        return self.places.detach().round().long()


def cues(
    name: str, rows: Tensor, known: Any, quantiser: Quantiser | None, levels: int, whole: bool
) -> Cues:
    """Check numbers, and return their places among the levels.

    Args:
        name: of the argument.
        rows: ``(..., columns)``.
        known: bool that broadcasts to ``rows``, or None.
        quantiser: of the memory; None for rows that are levels.
        levels: how many there are.
        whole: whether levels that are no whole numbers are refused.
    """
    seen = torch.ones_like(rows, dtype=torch.bool)
    if known is not None:
        seen = arrays.coordinates("known", known, rows.shape, rows.device)
    given = torch.where(seen, rows, 0.0)
    if not arrays.sound(given):
        count = int((~given.isfinite()).sum())
        do = "leave missing numbers out with known, or fill them, and clip infinite ones"
        refuse(name, got=f"NaN or infinite in {count} places", must="finite where known", do=do)
    batch, given = rows.shape[:-1], given.reshape(-1, rows.shape[-1])
    seen = seen.reshape(given.shape)
    if quantiser is not None:
        places, inside = quantiser._places(given.double())
        return Cues(given, places, seen & inside, batch)
    places, top = given.double(), levels - 1
    if not arrays.tracing():
        if not bool(((places >= 0) & (places <= top)).all()):
            must, do = f"levels from 0 to {top}", "give the memory a quantiser for other numbers"
            refuse(name, rows, must=must, do=do)
        if whole and not bool((places == places.round()).all()):
            must, do = "whole levels", "give the memory a quantiser, or round them"
            refuse(name, rows, must=must, do=do)
    return Cues(given, places, seen, batch)


def fitting(
    quantiser: Quantiser | None, columns: int, levels: int, dtype: torch.dtype, name: str
) -> Quantiser | None:
    """Refuse a quantiser of other levels or columns, or numbers that the dtype cannot hold."""
    if quantiser is None:
        _vet_levels(levels, dtype)
        return None
    checks.instance(name, quantiser, Quantiser, "take kanerva.entropic.Quantiser.fit(x, levels)")
    if quantiser.levels != levels:
        must, got = f"of {levels} levels, as the memory is", f"of {quantiser.levels}"
        refuse(name, got=got, must=must, do="build both with the same number of levels")
    if quantiser.columns not in (None, columns):
        must, got = f"for {columns} columns", f"for {quantiser.columns}"
        refuse(name, got=got, must=must, do="fit it to data of that width")
    ends = torch.stack([torch.as_tensor(end) for end in (quantiser.low, quantiser.high)])
    if not arrays.sound(ends.to(dtype)):
        must, do = f"of ends within {dtype}", "build the memory with another dtype"
        refuse(name, got="one with larger ends", must=must, do=do)
    return quantiser


def _vet_levels(levels: int, dtype: torch.dtype) -> None:
    """Refuse more levels than the dtype tells apart."""
    top = torch.tensor(levels - 1, dtype=torch.float64)
    if levels - 1 > 2 / torch.finfo(dtype).eps or top.to(dtype) != top:
        must, do = f"few enough for {dtype} to tell them apart", "choose another dtype"
        refuse("levels", got=str(levels), must=must, do=do)


def scale(quantiser: Quantiser | None) -> Tensor:
    """Return a hash of a quantiser, by which a state tells whether it belongs to a memory."""
    if quantiser is None:
        return torch.zeros((), dtype=torch.int64)
    ends = (torch.as_tensor(end, dtype=torch.float64) for end in (quantiser.low, quantiser.high))
    strict = torch.tensor([float(quantiser.outside == "undefined"), float(quantiser.levels)])
    numbers = torch.cat([strict.double(), *(end.reshape(-1) for end in ends)])
    return bits.fingerprint(numbers, 1)


def vet_scale(name: str, here: Tensor, new: Any) -> None:
    """Refuse the state of a memory with another quantiser."""
    if isinstance(new, Tensor) and not torch.equal(new.cpu(), here.cpu()):
        must, got = "that of a memory with the same quantiser", "that of one with another"
        do = "build the memory with that quantiser, or save it and take kanerva.load"
        refuse(name, got=got, must=must, do=do)
