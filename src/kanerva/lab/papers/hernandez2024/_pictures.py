"""Pictures in a table, as words, and figures of them: a row for each kind, a column for each case.

A word has one letter for each pixel, of 62 shades from 0 to 16. A digit after it is a kind.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva.lab.plot._style import (
    BLUE,
    INK,
    NARROW,
    ORANGE,
    QUIET,
    VERMILION,
    blank,
    headline,
    styled,
)
from kanerva.lab.plot.labels import wrap

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["WHITE", "drawn", "named", "shades", "word"]

LETTERS = string.ascii_letters + string.digits
WHITE = 16.0
PIXELS = 64
# Inches: the titles of rows, margins and gaps.
LEFT, SIDE, GAP, HEAD, TOP, LEGEND = 0.95, 0.1, 0.07, 0.3, 0.2, 0.2
# The looks of frames, by kind.
FRAMES: list[tuple[str, Any]] = [(BLUE, "-"), (ORANGE, (0, (4, 1.5))), (VERMILION, (0, (1, 1)))]


def word(pixels: Iterable[float]) -> str:
    """Return a picture as a word; numbers beyond the shades are those at the ends.

    Example:
        >>> word([-1.0, 0.0, 8.0, 16.0])
        'aaE9'
    """
    step = WHITE / (len(LETTERS) - 1)
    return "".join(LETTERS[round(min(max(one, 0.0), WHITE) / step)] for one in map(float, pixels))


def shades(word: str) -> list[float]:
    """Read a picture.

    Example:
        >>> [round(one, 1) for one in shades("aE9")]
        [0.0, 7.9, 16.0]
    """
    step = WHITE / (len(LETTERS) - 1)
    return [step * LETTERS.index(letter) for letter in word]


def named(digit: int, sigma: float, s: float) -> str:
    """Return the title of a row: a digit, and the spread of its recalls.

    Example:
        >>> named(3, 0.05, 0.8).replace(chr(160), " ")
        'a 3, σ = 0.05, s = 0.8'
    """
    gap = "\N{NO-BREAK SPACE}"
    return f"a{gap}{digit}, σ{gap}={gap}{sigma:g}, s{gap}={gap}{s:.3g}"


def drawn(
    title: str,
    columns: Sequence[str],
    rows: Mapping[str, Sequence[str]],
    about: str,
    kinds: Sequence[str] = (),
) -> "matplotlib.figure.Figure":
    """Draw pictures under the titles of columns, beside the titles of rows.

    Args:
        title: of the figure.
        columns: a title each.
        rows: the words of the pictures, by the title of the row; an empty word leaves a gap.
        about: what the columns are, for the caption.
        kinds: what a frame of each look means; none where words have no kind.
    """
    side = min(0.5, (NARROW - LEFT - SIDE - GAP * (len(columns) - 1)) / len(columns))
    top = HEAD + TOP + (LEGEND if kinds else 0.0)
    height = top + len(rows) * (side + GAP) + SIDE
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        for down, (name, words) in enumerate(rows.items()):
            low = height - top - (down + 1) * (side + GAP) + GAP
            look: dict[str, Any] = {"fontsize": 8, "va": "center"}
            figure.text(0.1 / NARROW, (low + side / 2) / height, wrap(name, 15, 3), **look)
            for across, shown in enumerate(words):
                left = LEFT + across * (side + GAP)
                if shown:
                    box = (left / NARROW, low / height, side / NARROW, side / height)
                    _picture(figure.add_axes(box), shown)
        for across, name in enumerate(columns):
            where = (LEFT + across * (side + GAP) + side / 2) / NARROW
            style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8, "color": QUIET}
            figure.text(where, (height - top + 0.04) / height, name, **style)
        if kinds:
            _legend(figure, kinds)
    named = ", ".join(f"“{name}”" for name in rows)
    frames = f"; frames: {', '.join(f'“{kind}”' for kind in kinds)}" if kinds else ""
    figure.set_label(f"{title}. Columns: {about}; rows: {named}{frames}.")
    return figure


def _picture(axes: Any, shown: str) -> None:
    cells, kind = shades(shown[:PIXELS]), shown[PIXELS:]
    side = round(len(cells) ** 0.5)
    grid = [cells[start : start + side] for start in range(0, len(cells), side)]
    axes.imshow(grid, cmap="gray_r", vmin=0, vmax=WHITE, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(True)
    if kind:
        colour, dash = FRAMES[int(kind)]
        axes.spines[:].set(color=colour, linewidth=1.6, linestyle=dash, capstyle="butt")


def _legend(figure: "matplotlib.figure.Figure", kinds: Sequence[str]) -> None:
    """Explain the frames, below the title."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linestyle=dash, label=kind, linewidth=1.6)
        for kind, (colour, dash) in zip(kinds, FRAMES, strict=True)
    ]
    width, height = figure.get_size_inches()
    look: dict[str, Any] = {"loc": "upper left", "ncols": len(kinds), "labelcolor": INK}
    place = (0.1 / width, 1 - (HEAD + 0.02) / height)
    figure.legend(handles=handles, bbox_to_anchor=place, columnspacing=1.6, **look)
