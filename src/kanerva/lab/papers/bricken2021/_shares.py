"""Helpers of the recipes that compute weights by distance."""

import math
from collections.abc import Sequence

from kanerva import theory
from kanerva.lab.recipe import Cell, Row, grid

__all__ = ["cells", "ends", "log10", "panel"]


def cells(bits: int, shares: Sequence[float]) -> list[Cell]:
    """Return a cell for each share of the space, with the least radius that holds it."""
    return grid(bits=bits, radius=[theory.radius.quantile(bits, share) for share in shares])


def ends(rows: list[Row]) -> list[Row]:
    """Return the rows of the smallest and of the largest dimension; the others look alike."""
    dimensions = [row["bits"] for row in rows]
    return [row for row in rows if row["bits"] in (min(dimensions), max(dimensions))]


def panel(row: Row) -> str:
    """Return the title of the panel in which a row is drawn."""
    return f"{row['bits']} bits, radius {row['radius']}"


def log10(log: float) -> float | None:
    """Convert a natural logarithm to base ten; that of zero becomes None."""
    return log / math.log(10) if log > -math.inf else None
