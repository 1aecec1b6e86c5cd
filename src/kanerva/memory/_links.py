"""The links of a memory: as they are shown, checked, and folded into its values."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, refuse
from kanerva.memory._file import unsound

__all__ = ["Folded", "Links", "amounts", "vet"]


class Links(NamedTuple):
    """The links of a memory, by the ids of its rows.

    Attributes:
        sources: ``(n,)`` int64, where each link starts.
        targets: ``(n,)`` int64, where it ends.
        strengths: ``(n,)`` float64, as they were given; those of parallel links are added up.
    """

    sources: Int64[Tensor, "n"]
    targets: Int64[Tensor, "n"]
    strengths: Float[Tensor, "n"]


class Folded(NamedTuple):
    """Values along which the links went, and of what they were made.

    Attributes:
        key: the stored values and the links.
        version: of the stored values.
        values: a V + h M V; None without links.
        away: c times the mean value; None for zero.
    """

    key: tuple[Tensor, Any]
    version: int
    values: Tensor | None
    away: Tensor | None

    def fits(self, key: tuple[Tensor, Any], version: int) -> bool:
        """Return whether these are the values and links of now."""
        same = all(one is other for one, other in zip(self.key, key, strict=True))
        return same and self.version == version


def amounts(strengths: Any, count: int, normalise: str) -> Tensor:
    """Return the strengths of so many links."""
    must = f"a finite number, or {count} of them" + ("" if normalise == "none" else ", none < 0")
    if isinstance(strengths, bool) or strengths is None:
        refuse("strengths", strengths, must=must, do="give numbers", error=InputTypeError)
    try:
        found = (
            strengths if isinstance(strengths, Tensor) else torch.from_numpy(np.asarray(strengths))
        )
    except (TypeError, ValueError, RuntimeError, OverflowError):
        refuse("strengths", strengths, must=must, do="give numbers", error=InputTypeError)
    if found.dtype not in (*arrays.FLOATS, *arrays.INTEGERS, torch.uint8):
        refuse("strengths", strengths, must=must, do="give numbers", error=InputTypeError)
    found = found.detach().to(torch.float64).flatten()
    if len(found) not in (1, count):
        refuse("strengths", got=f"{len(found)} numbers", must=must, do="give one for each link")
    if not arrays.sound(found):
        refuse(
            "strengths",
            got="NaN or infinite, or too large for float64",
            must=must,
            do="remove those links",
        )
    if normalise != "none" and (found < 0).any():
        do = 'build the memory with normalise="none"'
        refuse("strengths", got="negative ones", must=must, do=do)
    return found.expand(count)


def vet(links: dict[str, Any], count: int, normalise: str) -> None:
    """Refuse links of a state that do not fit its rows."""
    sources, targets, strengths = links.values()
    sizes = {tuple(part.shape) for part in links.values()}
    whole = sources.dtype == targets.dtype == torch.int64 and strengths.dtype in arrays.FLOATS
    if len(sizes) != 1 or len(next(iter(sizes))) != 1 or not whole:
        unsound("its links have other shapes or dtypes")
    pairs = sources * count + targets
    inside = all(bool(((part >= 0) & (part < count)).all()) for part in (sources, targets))
    rising = bool((pairs[1:] > pairs[:-1]).all())
    good = arrays.sound(strengths) and (normalise == "none" or bool((strengths >= 0).all()))
    if not (inside and rising and good):
        unsound("its links are not those of its rows")
