"""Bars of what models multiply: two signals, in two kinds of gates, or a signal and a weight."""

from typing import TYPE_CHECKING, Any

from kanerva.lab.plot._style import BLUE, FAINT, INK, NARROW, ORANGE, blank, headline, styled
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["drawn"]

# Inches: margins, and the height of a bar with the gap to the next.
LEFT, RIGHT, HEAD, FOOT, TALL = 1.98, 0.2, 0.62, 0.5, 0.2
KINDS = (
    ("output gates", "output", BLUE, ""),
    ("synaptic gates", "synaptic", ORANGE, "//"),
    ("products by weights", "linear", FAINT, ""),
)


def drawn(title: str, rows: list[Row]) -> "matplotlib.figure.Figure":
    """Draw a bar for each model, at its largest number of tokens: shares of all products.

    Args:
        title: of the figure.
        rows: with ``model``, ``tokens``, ``output``, ``synaptic`` and ``linear``.
    """
    bars: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["tokens"]):
        bars[row["model"]] = row
    order = list(dict.fromkeys(row["model"] for row in rows))
    height = HEAD + TALL * len(order) + FOOT
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        box = (LEFT / NARROW, FOOT / height, (NARROW - LEFT - RIGHT) / NARROW)
        axes = figure.add_axes((*box, TALL * len(order) / height))
        low = [0.0] * len(order)
        for label, column, colour, hatch in KINDS:
            wide = [100 * bars[name][column] / _all(bars[name]) for name in order]
            look: dict[str, Any] = {"hatch": hatch, "edgecolor": "white", "linewidth": 0.6}
            axes.barh(range(len(order)), wide, 0.76, low, color=colour, label=label, **look)
            low = [one + more for one, more in zip(low, wide, strict=True)]
        names = [f"{name}, {bars[name]['tokens']:,}" for name in order]
        axes.set_yticks(range(len(order)), names, color=INK)
        axes.set(xlim=(0, 100), ylim=(len(order) - 0.5, -0.5))
        axes.grid(False, axis="y")
        axes.grid(True, axis="x")
        below = "% of all products; at the left: tokens, steps or queries"
        figure.text(0.1 / NARROW, 0.06 / height, below, va="bottom")
        more: dict[str, Any] = {"loc": "upper left", "ncols": 3, "columnspacing": 1.2}
        more |= {"handlelength": 1.6, "bbox_to_anchor": (0.1 / NARROW, 1 - 0.34 / height)}
        figure.legend(**more)
    listed = ", ".join(f"“{name}”" for name in order)
    figure.set_label(
        f"{title}. Percent of all products that are output gates, synaptic gates and products by "
        f"weights; a bar each: {listed}."
    )
    return figure


def _all(row: Row) -> int:
    return max(1, row["output"] + row["synaptic"] + row["linear"])
