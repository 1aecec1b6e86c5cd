"""Pictures in a table, as words, and figures of them: a row for each kind, a column for each case.

A word has one letter for each cell, of 62 shades from ``LOW`` to ``HIGH``.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva.lab.plot._style import NARROW, QUIET, blank, headline, styled
from kanerva.lab.plot.labels import wrap

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["HIGH", "LOW", "drawn", "shades", "word"]

LETTERS = string.digits + string.ascii_letters
LOW, HIGH = -0.5, 1.5
# Inches: the titles of rows, margins and gaps.
LEFT, SIDE, GAP, HEAD, TOP = 0.95, 0.1, 0.05, 0.3, 0.2


def word(cells: Iterable[float]) -> str:
    """Return a picture as a word; numbers beyond the shades are those at the ends.

    Example:
        >>> word([-0.5, 0.0, 1.0, 2.0])
        '0fKZ'
    """
    step = (HIGH - LOW) / (len(LETTERS) - 1)
    return "".join(
        LETTERS[round((min(max(one, LOW), HIGH) - LOW) / step)] for one in map(float, cells)
    )


def shades(word: str) -> list[float]:
    """Read a picture.

    Example:
        >>> [round(one, 1) for one in shades("0fKZ")]
        [-0.5, -0.0, 1.0, 1.5]
    """
    step = (HIGH - LOW) / (len(LETTERS) - 1)
    return [LOW + step * LETTERS.index(letter) for letter in word]


def drawn(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]], about: str
) -> "matplotlib.figure.Figure":
    """Draw pictures under the titles of columns, beside the titles of rows.

    Args:
        title: of the figure.
        columns: a title each.
        rows: the words of the pictures, by the title of the row; an empty word leaves a gap.
        about: what the columns are, for the caption.
    """
    side = (NARROW - LEFT - SIDE - GAP * (len(columns) - 1)) / len(columns)
    height = HEAD + TOP + len(rows) * (side + GAP) + SIDE
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        for down, (name, words) in enumerate(rows.items()):
            low = height - HEAD - TOP - (down + 1) * (side + GAP) + GAP
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
            figure.text(where, (height - HEAD - TOP + 0.04) / height, name, **style)
    kinds = ", ".join(f"“{name}”" for name in rows)
    figure.set_label(f"{title}. Columns: {about}; rows: {kinds}.")
    return figure


def _picture(axes: Any, shown: str) -> None:
    cells = shades(shown)
    side = round(len(cells) ** 0.5)
    grid = [cells[start : start + side] for start in range(0, len(cells), side)]
    axes.imshow(grid, cmap="gray_r", vmin=-0.15, vmax=1.15, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(True)
