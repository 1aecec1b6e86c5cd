"""The figures of correlation, stability and dependence of gates, from rows alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from kanerva.lab import plot
from kanerva.lab.recipe import Row

__all__ = ["correlation", "dependence", "stability"]


def correlation(rows: Sequence[Row]) -> Any:
    """Draw correlations by definition."""
    frame = plot.Frame("Correlation of gates", "seed", "correlation")
    return plot.lines(rows, "seed", "correlation", frame, by="variant", panel="over")


def stability(rows: Sequence[Row], names: Mapping[str, str]) -> Any:
    """Draw the growth of a change at the start."""
    frame = plot.Frame("Growth of a small change", "block", "log2")
    named = [row | {"line": names[row["variant"]]} for row in rows]
    return plot.lines(named, "block", "growth", frame, by="line")


def dependence(rows: Sequence[Row], names: Mapping[str, str]) -> Any:
    """Draw R^2 by block."""
    frame = plot.Frame("Earlier gates predict a gate", "block", "R^2")
    named = [row | {"line": names[row["variant"]]} for row in rows]
    return plot.lines(named, "block", "right", frame, by="line")
