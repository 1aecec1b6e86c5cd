"""Pictures in a table, as words, and figures of them: a row for each kind, a column for each case.

A word has one letter for each number of a picture. What follows the picture in a word is the number
of a kind, which a frame shows.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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

__all__ = ["Grid", "Shades"]

# Inches: the titles of rows, and margins.
LEFT, SIDE, HEAD, TOP, LEGEND = 0.95, 0.1, 0.3, 0.2, 0.2
# The looks of frames, by kind.
FRAMES: list[tuple[str, Any]] = [(BLUE, "-"), (ORANGE, (0, (4, 1.5))), (VERMILION, (0, (1, 1)))]


class Shades(NamedTuple):
    """Shades of numbers as letters, equally far apart.

    * ``letters``: from the lowest shade to the highest.
    * ``low``, ``high``: the numbers of these.

    Example:
        >>> shades = Shades("0123456789", 0.0, 9.0)
        >>> shades.word([-1.0, 2.2, 9.0]), shades.read("027")
        ('029', [0.0, 2.0, 7.0])
    """

    letters: str
    low: float
    high: float

    @property
    def step(self) -> float:
        """How far two shades are apart."""
        return (self.high - self.low) / (len(self.letters) - 1)

    def word(self, cells: Iterable[float]) -> str:
        """Return a picture as a word; numbers beyond the shades are those at the ends."""
        inside = (min(max(one, self.low), self.high) for one in map(float, cells))
        return "".join(self.letters[round((one - self.low) / self.step)] for one in inside)

    def read(self, word: str) -> list[float]:
        """Return the numbers of a word."""
        return [self.low + self.step * self.letters.index(letter) for letter in word]


class Grid(NamedTuple):
    """How tables of pictures are drawn.

    * ``shades``: of the words.
    * ``ends``: the numbers that are white and black.
    * ``gap``: between pictures, in inches.
    * ``most``: the largest side of a picture, in inches.
    * ``cells``: how many letters of a word are the picture; None for all.
    """

    shades: Shades
    ends: tuple[float, float]
    gap: float = 0.05
    most: float = 10.0
    cells: int | None = None

    def drawn(
        self,
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
        fits = (NARROW - LEFT - SIDE - self.gap * (len(columns) - 1)) / len(columns)
        side = min(self.most, fits)
        top = HEAD + TOP + (LEGEND if kinds else 0.0)
        height = top + len(rows) * (side + self.gap) + SIDE
        with styled():
            figure = blank(NARROW, height)
            headline(figure, title)
            for down, (name, words) in enumerate(rows.items()):
                low = height - top - (down + 1) * (side + self.gap) + self.gap
                look: dict[str, Any] = {"fontsize": 8, "va": "center"}
                figure.text(0.1 / NARROW, (low + side / 2) / height, wrap(name, 15, 3), **look)
                for across, shown in enumerate(words):
                    left = LEFT + across * (side + self.gap)
                    if shown:
                        box = (left / NARROW, low / height, side / NARROW, side / height)
                        self._picture(figure.add_axes(box), shown)
            for across, name in enumerate(columns):
                where = (LEFT + across * (side + self.gap) + side / 2) / NARROW
                style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8}
                figure.text(where, (height - top + 0.04) / height, name, color=QUIET, **style)
            if kinds:
                _legend(figure, kinds)
        named = ", ".join(f"“{name}”" for name in rows)
        frames = f"; frames: {', '.join(f'“{kind}”' for kind in kinds)}" if kinds else ""
        figure.set_label(f"{title}. Columns: {about}; rows: {named}{frames}.")
        return figure

    def _picture(self, axes: Any, shown: str) -> None:
        """Draw one picture, with the frame of its kind."""
        count = len(shown) if self.cells is None else self.cells
        cells, kind = self.shades.read(shown[:count]), shown[count:]
        side = round(len(cells) ** 0.5)
        grid = [cells[start : start + side] for start in range(0, len(cells), side)]
        white, black = self.ends
        axes.imshow(grid, cmap="gray_r", vmin=white, vmax=black, interpolation="none")
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
