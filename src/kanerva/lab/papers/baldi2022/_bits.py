"""The capacity of gated units as bars, with a panel for each number of inputs."""

from typing import TYPE_CHECKING

from kanerva.lab.papers.baldi2022._units import FEW, UNITS
from kanerva.lab.plot._style import (
    BLUE,
    INK,
    NARROW,
    ORANGE,
    QUIET,
    SKY,
    blank,
    headline,
    styled,
)
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["drawn"]

# Inches: margins, a bar, the title of a panel, and the space below it.
LEFT, RIGHT, HEAD, BAR, TITLE, BELOW, FOOT = 2.15, 0.85, 0.5, 0.165, 0.22, 0.1, 0.34
TITLE_OF_ALL = "What a gate adds depends on its place"


def drawn(rows: list[Row]) -> "matplotlib.figure.Figure":
    """Draw a bar for each unit of degree 1, in bits, with the number of functions at its end.

    Panels are the largest two numbers of inputs. A unit whose outputs have more than two values is
    pale, and one without a gate orange.
    """
    linear = [row for row in rows if row["degree"] == 1] or rows
    sizes = sorted({row["inputs"] for row in linear})[-2:]
    panels = {
        size: sorted(
            (row for row in linear if row["inputs"] == size), key=lambda row: row["functions"]
        )
        for size in sizes
    }
    tall = {size: BAR * len(panel) + 0.06 for size, panel in panels.items()}
    height = HEAD + FOOT + sum(TITLE + BELOW + one for one in tall.values())
    most = max(row["bits"] for row in linear if row["inputs"] == sizes[-1])
    with styled():
        figure = blank(NARROW, height)
        headline(figure, TITLE_OF_ALL)
        words = "orange: no gate; pale: outputs of more than two values"
        figure.text(0.1 / NARROW, 1 - 0.3 / height, words, fontsize=8, color=QUIET, va="top")
        top, grid = height - HEAD, []
        for size, panel in panels.items():
            top -= TITLE + tall[size]
            box = (LEFT / NARROW, top / height, (NARROW - LEFT - RIGHT) / NARROW)
            axes = figure.add_axes((*box, tall[size] / height))
            axes.set_xlim(0, most)
            grid.append(axes)
            _panel(axes, panel)
            words = f"{size} inputs: {2 ** (2**size):,} functions of two values"
            axes.set_title(
                words,
                loc="left",
                fontsize=9,
                color=INK,
                pad=4,
                x=(0.1 - LEFT) / (NARROW - LEFT - RIGHT),
            )
            top -= BELOW
        grid[-1].tick_params(labelbottom=True)
        figure.text(LEFT / NARROW, 0.06 / height, "capacity, bits; at the end: functions")
    figure.set_label(
        f"{TITLE_OF_ALL}. Capacity in bits of each unit, with the number of its functions, by the "
        "number of inputs; orange: without a gate; pale: outputs of more than two values."
    )
    return figure


def _panel(axes: "matplotlib.axes.Axes", rows: list[Row]) -> None:
    """Draw the bars of one number of inputs."""
    for place, row in enumerate(rows):
        unit = row["unit"]
        colour = SKY if unit in FEW else ORANGE if unit in ("threshold", "layer") else BLUE
        axes.barh(place, row["bits"], height=0.72, color=colour)
        number = f" {row['functions']:,}"
        axes.text(row["bits"], place, number, va="center", fontsize=7.5, color=QUIET)
    axes.set_yticks(range(len(rows)), [UNITS[row["unit"]][2] for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.tick_params(labelbottom=False)
    axes.grid(False)
