"""Stacked bars of what becomes of cues: a correct answer, a wrong one, or none."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kanerva.lab.plot._style import BLUE, FAINT, INK, NARROW, ORANGE, QUIET, blank, headline, styled
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["drawn"]

# Inches: margins, and the height of the bars.
LEFT, RIGHT, HEAD, FOOT, TALL = 0.5, 0.12, 0.78, 0.62, 2.1
KINDS = (("correct", BLUE, ""), ("wrong", ORANGE, "//"), ("no response", FAINT, ""))


def drawn(title: str, rows: Sequence[Row]) -> "matplotlib.figure.Figure":
    """Draw a bar for each number of levels, with the entropy below it, and the bare classifier.

    Args:
        title: of the figure.
        rows: with ``levels``, ``recall``, ``accepted``, ``bare`` and ``entropy``; the first row
            of each number of levels is drawn.
    """
    first = {row["levels"]: row for row in reversed(rows)}
    bars = [first[levels] for levels in sorted(first)]
    height = HEAD + TALL + FOOT
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        width = (NARROW - LEFT - RIGHT) / NARROW
        axes = figure.add_axes((LEFT / NARROW, FOOT / height, width, TALL / height))
        places, low = range(len(bars)), [0.0] * len(bars)
        for name, colour, hatch in KINDS:
            tall = [_share(row, name) for row in bars]
            look: dict[str, Any] = {"hatch": hatch, "edgecolor": "white", "linewidth": 0.6}
            axes.bar(places, tall, bottom=low, width=0.78, color=colour, label=name, **look)
            low = [one + more for one, more in zip(low, tall, strict=True)]
        bare = bars[0]["bare"]
        label = "classifier on the bare cue"
        axes.axhline(bare, color=INK, linestyle=(0, (4, 2)), linewidth=1.2, label=label)
        names = [f"{row['levels']}\n{row['entropy']:.2f}" for row in bars]
        axes.set_xticks(list(places), names)
        axes.set(ylim=(0, 100), xlim=(-0.55, len(bars) - 0.45))
        below = "levels of a column; below: entropy, bits a column"
        figure.text(LEFT / NARROW, 0.06 / height, below, va="bottom")
        up: dict[str, Any] = {"fontsize": 8, "color": QUIET, "va": "top"}
        figure.text(0.1 / NARROW, 1 - 0.3 / height, "% of the cues", **up)
        more: dict[str, Any] = {"loc": "upper left", "ncols": 4, "columnspacing": 1.2}
        more |= {"handlelength": 1.6, "bbox_to_anchor": (0.1 / NARROW, 1 - 0.5 / height)}
        figure.legend(**more)
    figure.set_label(
        f"{title}. Percent of the cues with a correct answer, a wrong one and none, by the levels "
        "of a column and, below these, the entropy of the register; dashed: the classifier on the "
        "bare cue."
    )
    return figure


def _share(row: Row, name: str) -> float:
    """Return the height of a part of a bar."""
    found = {
        "correct": row["recall"],
        "wrong": row["accepted"] - row["recall"],
        "no response": 100 - row["accepted"],
    }
    return float(found[name])
