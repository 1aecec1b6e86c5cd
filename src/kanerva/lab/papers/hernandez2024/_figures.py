"""Precision and recall over the sizes of a register, with a bar of their entropies."""

import statistics
from typing import TYPE_CHECKING, Any

from kanerva.lab.papers.hernandez2024._words import CLASSIFIER, NAMES
from kanerva.lab.plot._style import INK, LOOKS, NARROW, QUIET, blank, headline, styled
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["sizes"]

LINES = {"precision": "precision", "recall": "recall", "bare": CLASSIFIER}
# Inches: margins, a panel, its title, and the bar with what is written around it.
LEFT, RIGHT, HEAD, TITLE, TALL, BAR, BELOW, FOOT = 0.5, 0.12, 0.68, 0.26, 1.5, 0.19, 0.5, 0.28
# The largest number of sizes whose entropies are written without overlap.
WRITTEN = 7


def sizes(rows: list[Row]) -> "matplotlib.figure.Figure":
    """Draw precision and recall over levels, with a panel for each kind of features.

    Sizes stand at equal distances. A bar shows one standard deviation over folds and seeds to
    either side. The coloured bar below a panel is the mean entropy of each size.
    """
    kinds = [features for features in NAMES if any(row["features"] == features for row in rows)]
    block = TITLE + TALL + BELOW
    height = HEAD + block * len(kinds) + FOOT
    with styled():
        figure = blank(NARROW, height)
        headline(figure, "A register of moderate entropy recalls best")
        words = "percent of the answers (precision) or of the cues"
        figure.text(0.1 / NARROW, 1 - 0.3 / height, words, fontsize=8, color=QUIET, va="top")
        inner = (NARROW - LEFT - RIGHT) / NARROW
        for place, features in enumerate(kinds):
            mine = [row for row in rows if row["features"] == features]
            low = height - HEAD - place * block - TITLE - TALL
            axes = figure.add_axes((LEFT / NARROW, low / height, inner, TALL / height))
            levels = sorted({row["levels"] for row in mine})
            _panel(axes, mine, levels)
            axes.set_title(NAMES[features], loc="left", fontsize=9, color=INK, pad=6, va="bottom")
            box = (LEFT / NARROW, (low - 0.26 - BAR) / height, inner, BAR / height)
            _bar(figure.add_axes(box), mine, levels)
        foot = "number of levels; in colour: entropy, bits a column"
        figure.text((LEFT / NARROW + inner / 2), 0.06 / height, foot, ha="center", va="bottom")
        handles = figure.axes[0].get_legend_handles_labels()
        place_ = (0.1 / NARROW, 1 - 0.46 / height)
        look: dict[str, Any] = {"loc": "upper left", "ncols": 3, "columnspacing": 1.6}
        figure.legend(*handles, bbox_to_anchor=place_, **look)
    panels = ", ".join(f"“{NAMES[features]}”" for features in kinds)
    lines = ", ".join(f"“{line}”" for line in LINES.values())
    figure.set_label(
        "A register of moderate entropy recalls best. Percent of the answers or of the cues, "
        f"against the number of levels, with one standard deviation over folds; a panel each: "
        f"{panels}; lines: {lines}; coloured bar: mean entropy, bits a column."
    )
    return figure


def _panel(axes: "matplotlib.axes.Axes", rows: list[Row], levels: list[int]) -> None:
    """Draw the lines of one kind of features."""
    for (column, name), (colour, marker, dash) in zip(LINES.items(), LOOKS, strict=False):
        points = []
        for place, level in enumerate(levels):
            some = [row[column] for row in rows if row["levels"] == level]
            known = [value for value in some if value is not None]
            if known:
                points.append((place, statistics.fmean(known), statistics.pstdev(known)))
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dash}
        x, y, spread = zip(*points, strict=True)
        axes.errorbar(x, y, spread, elinewidth=1.0, capsize=0, markersize=3, label=name, **look)
    axes.set(xlim=(-0.5, len(levels) - 0.5), ylim=(-3, 103), xticks=range(len(levels)))
    axes.set_xticklabels([str(level) for level in levels])


def _bar(axes: "matplotlib.axes.Axes", rows: list[Row], levels: list[int]) -> None:
    """Draw the mean entropy of every size, as a colour and a number."""
    means = [
        statistics.fmean(row["entropy"] for row in rows if row["levels"] == level)
        for level in levels
    ]
    top = max([*means, 1.0])
    axes.imshow([means], cmap="cool", vmin=0, vmax=top, aspect="auto", interpolation="none")
    digits = 2 if len(levels) <= WRITTEN else 1
    for place, mean in enumerate(means):
        text = f"{mean:.{digits}f}"
        axes.text(place, 0, text, ha="center", va="center", fontsize=8, color=INK)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
