"""Rows that can be drawn: checks, and curves of means and standard deviations."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import refuse

__all__ = ["Row", "check", "means", "number", "require"]

Row = Mapping[str, Any]


def require(rows: Sequence[Row], columns: Sequence[str], do: str) -> None:
    """Refuse an empty sequence of rows, and a row without one of the columns."""
    if not rows:
        refuse("rows", must="one row or more", got="empty", do=do)
    for row in rows:
        for column in columns:
            if column not in row:
                got = f"a row with {', '.join(map(repr, row))}"
                refuse("rows", must=f"dicts with the key {column!r}", got=got, do="add it")


def number(row: Row, column: str, low: float = -math.inf, *, open_low: bool = False) -> float:
    """Return the finite number in a column of a row."""
    return checks.number(f"rows, column {column!r},", row[column], low, open_low=open_low)


def check(
    rows: Sequence[Row],
    numbers: Sequence[str],
    measures: Sequence[str] = (),
    do: str = "examine a model first",
) -> None:
    """Refuse rows that cannot be drawn: ``numbers`` are required, ``measures`` may be None."""
    require(rows, (*numbers, *measures), do)
    for row in rows:
        for column in (*numbers, *measures):
            if column in numbers or row[column] is not None:
                number(row, column)


def means(
    points: Iterable[tuple[float, float]],
) -> tuple[list[float], list[float], list[float]]:
    """Return the places in increasing order, and mean and standard deviation of the values there.

    Example:
        >>> means([(2.0, 1.0), (1.0, 5.0), (2.0, 3.0)])
        ([1.0, 2.0], [5.0, 2.0], [0.0, 1.4142135623730951])
    """
    values: dict[float, list[float]] = {}
    for place, value in points:
        values.setdefault(place, []).append(value)
    groups = [values[place] for place in sorted(values)]
    spread = [statistics.stdev(group) if len(group) > 1 else 0.0 for group in groups]
    return sorted(values), [statistics.fmean(group) for group in groups], spread
