"""Quantisers: numbers to whole levels, and back."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse

__all__ = ["Quantiser"]

OUTSIDE = ("clip", "undefined")
PER = ("column", "all")
# A level that does not exist.
UNDEFINED = -1


@dataclass(frozen=True, eq=False)
class Quantiser:
    r"""Rounds numbers to m levels between two ends, for each column or for all alike.

    .. math:: k = \mathrm{round}\Bigl((m - 1)\,\frac{x - a}{b - a}\Bigr), \quad
        \hat x = a + (b - a)\,\frac{k}{m - 1}

    Halves go to the even level. Where both ends are equal, that number is level 0, and any other
    number is the top level: a column that was constant in what was stored then rejects whatever
    differs from it. With one level all numbers are 0, which stands for the middle.

    Args:
        levels: m >= 1.
        low: a, in the unit of the data: one number, or ``(columns,)``.
        high: b >= a, of the same form.
        outside: what a number outside [a, b] becomes: ``"clip"`` takes the nearest end,
            ``"undefined"`` no level at all (-1).

    Example:
        >>> import torch
        >>> from kanerva.entropic import Quantiser
        >>> quantiser = Quantiser(5, 0.0, 1.0)
        >>> quantiser.encode(torch.tensor([0.0, 0.3, 0.375, 1.0, 7.0])).tolist()
        [0, 1, 2, 4, 4]
        >>> quantiser.decode(torch.tensor([0, 2, 4])).tolist()
        [0.0, 0.5, 1.0]

    Source: Pineda, Fuentes and Morales 2021; the ends of each column as in Hernandez, Morales and
    Pineda 2024.
    """

    levels: int
    low: float | Float[Tensor, "columns"]
    high: float | Float[Tensor, "columns"]
    outside: str = "clip"

    @door
    def __post_init__(self) -> None:
        do = "give how many levels there are, such as 16"
        levels = checks.integer("levels", self.levels, 1, 2**20, do)
        low, high = _end("low", self.low), _end("high", self.high)
        pair = [torch.as_tensor(each) for each in (low, high)]
        if pair[0].shape != pair[1].shape:
            must, got = "of the shape of low", f"of shape {tuple(pair[1].shape)}"
            refuse("high", got=got, must=must, do="give both as numbers, or one a column")
        span = pair[1] - pair[0]
        if not bool((span >= 0).all()) or not arrays.sound(span):
            must = "at least as large as low, with a finite difference"
            refuse("high", self.high, must=must, do="give the lower ends first")
        outside = checks.choice("outside", self.outside, OUTSIDE)
        checks.keep(self, levels=levels, low=low, high=high, outside=outside)

    @classmethod
    @door("Quantiser.fit")
    def fit(
        cls,
        x: Float[Tensor, "*batch columns"],
        levels: int,
        per: str = "column",
        percentiles: tuple[float, float] = (0, 100),
        outside: str = "clip",
    ) -> "Quantiser":
        """Take the ends from data: from what will be stored, never from what will be asked.

        Args:
            x: ``(..., columns)`` floating and finite, one row or more.
            levels: m >= 1.
            per: ``"column"`` for the ends of each column, ``"all"`` for those of all numbers.
            percentiles: of the numbers, at which the ends lie, from 0 to 100.
            outside: as of the class.

        Returns:
            the quantiser.

        Raises:
            InputError: no row, numbers that are not finite, or percentiles that fall.

        Example:
            >>> import torch
            >>> from kanerva.entropic import Quantiser
            >>> quantiser = Quantiser.fit(torch.tensor([[0.0, 5.0], [2.0, 5.0]]), levels=3)
            >>> quantiser.encode(torch.tensor([1.0, 5.0])).tolist()
            [1, 0]
            >>> quantiser.encode(torch.tensor([1.0, 5.1])).tolist()  # never seen there
            [1, 2]
        """
        rows = arrays.finite("x", arrays.floats("x", x))
        checks.choice("per", per, PER)
        if rows.numel() == 0:
            refuse("x", rows, must="one row or more", do="give what will be stored")
        values = rows.detach().double().cpu().reshape(-1, rows.shape[-1]).numpy()
        ends = np.percentile(values, _shares(percentiles), axis=0 if per == "column" else None)
        if per == "all":
            return cls(levels, float(ends[0]), float(ends[1]), outside)
        return cls(
            levels, torch.from_numpy(ends[0].copy()), torch.from_numpy(ends[1].copy()), outside
        )

    @property
    def columns(self) -> int | None:
        """How many columns the quantiser is for; None for any number."""
        return len(self.low) if isinstance(self.low, Tensor) else None

    @door
    def encode(self, x: Float[Tensor, "*batch columns"]) -> Int64[Tensor, "*batch columns"]:
        """Return the level of every number.

        Args:
            x: ``(..., columns)`` floating and finite.

        Returns:
            ``(..., columns)`` int64 from 0 to levels - 1; -1 for numbers outside the ends where
            ``outside`` is ``"undefined"``.

        Raises:
            InputError: another number of columns, or numbers that are not finite.
        """
        self._vet("x", arrays.finite("x", arrays.floats("x", x)))
        places, inside = self._places(x.double())
        return torch.where(inside, places.round().long(), UNDEFINED)

    @door
    def decode(self, level: Shaped[Tensor, "*batch columns"]) -> Float[Tensor, "*batch columns"]:
        """Return the number that a level, or a mean of levels, stands for.

        Args:
            level: ``(..., columns)`` integers or floating, from 0 to levels - 1.

        Returns:
            ``(..., columns)`` in the dtype of floating levels, float32 for integers.

        Raises:
            InputError: levels out of range, such as -1, or another number of columns.
        """
        arrays.vectors("level", level)
        if level.dtype not in arrays.SIGNED:
            must, do = "integers or floating numbers", "convert it with level.to(torch.int64)"
            refuse("level", level, must=must, do=do, error=InputTypeError)
        self._vet("level", level)
        top = self.levels - 1
        if not arrays.tracing() and not bool(((level >= 0) & (level <= top)).all()):
            do = "leave out what is undefined before levels are decoded"
            refuse("level", level, must=f"from 0 to {top}", do=do)
        floating = level.is_floating_point()
        return self._numbers(level.double()).to(level.dtype if floating else torch.float32)

    @door
    def places(
        self, x: Float[Tensor, "*batch columns"]
    ) -> tuple[Float64[Tensor, "*batch columns"], Bool[Tensor, "*batch columns"]]:
        """Return where numbers lie among the levels, without rounding, and which have a place.

        Args:
            x: ``(..., columns)`` floating and finite.

        Returns:
            ``(..., columns)`` from 0 to levels - 1 in float64, and ``(..., columns)`` bool: False
            for numbers outside the ends, where ``outside`` is ``"undefined"``.

        Raises:
            InputError: as ``encode``.

        Example:
            >>> import torch
            >>> from kanerva.entropic import Quantiser
            >>> Quantiser(5, 0.0, 1.0).places(torch.tensor([0.3], dtype=torch.float64))[0].item()
            1.2
        """
        self._vet("x", arrays.finite("x", arrays.floats("x", x)))
        return self._places(x.double())

    def _places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the places of checked numbers, and which have one."""
        low, high = (torch.as_tensor(end, dtype=x.dtype, device=x.device) for end in self._ends())
        inside = (x >= low) & (x <= high) if self.outside == "undefined" else x == x
        top, constant = self.levels - 1, high == low
        share = (x.clamp(low, high) - low) / torch.where(constant, 1.0, high - low)
        return top * torch.where(constant, (x != low).to(x.dtype), share), inside

    def _numbers(self, places: Tensor) -> Tensor:
        """Return the numbers at places among the levels."""
        ends = self._ends()
        low, high = (torch.as_tensor(end, dtype=places.dtype, device=places.device) for end in ends)
        share = places / (self.levels - 1) if self.levels > 1 else torch.full_like(places, 0.5)
        return low + (high - low) * share

    def _ends(self) -> tuple[float | Tensor, float | Tensor]:
        return self.low, self.high

    def _vet(self, name: str, rows: Tensor) -> None:
        """Refuse rows of another number of columns."""
        if self.columns not in (None, rows.shape[-1]):
            must, got = f"of {self.columns} columns", f"of {rows.shape[-1]}"
            refuse(name, got=got, must=must, do="fit the quantiser to data of that width")


def _end(name: str, value: float | Tensor) -> float | Tensor:
    """Return an end as a number, or one in float64 for each column."""
    if not isinstance(value, Tensor):
        return checks.number(name, value, do="give one number, or a tensor of one a column")
    kept = arrays.finite(name, arrays.vectors(name, value))
    if kept.ndim != 1 or not kept.is_floating_point():
        must, do = "a floating tensor of shape (columns,)", "give one number a column"
        refuse(name, value, must=must, do=do)
    return kept.detach().double().cpu().clone()


def _shares(percentiles: tuple[float, float]) -> tuple[float, float]:
    """Return two percentiles that rise."""
    pair = checks.several("percentiles", percentiles, "two numbers from 0 to 100")
    if len(pair) != 2:
        must, do = "two numbers from 0 to 100", "write percentiles=(0.5, 99.5)"
        refuse("percentiles", percentiles, must=must, do=do)
    low, high = (checks.number("percentiles", each, 0, 100) for each in pair)
    if low > high:
        must, do = "a lower and a higher one", "write percentiles=(0.5, 99.5)"
        refuse("percentiles", percentiles, must=must, do=do)
    return low, high
