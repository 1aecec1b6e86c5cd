"""Maps of energies: a row for each energy, a column for each number of points seen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kanerva.lab.plot._style import (
    BLACK,
    BLUE,
    INK,
    NARROW,
    QUIET,
    VERMILION,
    blank,
    headline,
    styled,
)
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["LEVELS", "drawn", "places", "text"]

# The letter of a cell: the share of the box with less energy is up to 1, 2, 4, ... hundredths.
LEVELS = "abcdefgh"
# Inches: margins, the gap between maps, the lines above a row of maps and above the first.
SIDE, GAP, TITLE, HEAD, FOOT = 0.1, 0.08, 0.25, 0.5, 0.52


def text(points: Sequence[Sequence[float]]) -> str:
    """Return points as a word for a table.

    Example:
        >>> text([[1.0, -2.5], [0.25, 3.0]])
        '1.00 -2.50/0.25 3.00'
    """
    return "/".join(f"{x:.2f} {y:.2f}" for x, y in points)


def places(word: str) -> list[tuple[float, float]]:
    """Read the points of a table.

    Example:
        >>> places("1.00 -2.50/0.25 3.00")
        [(1.0, -2.5), (0.25, 3.0)]
    """
    pairs = (point.split() for point in word.split("/") if point)
    return [(float(x), float(y)) for x, y in pairs]


def drawn(rows: Sequence[Row], names: dict[str, str], box: float) -> "matplotlib.figure.Figure":
    """Draw the maps of the rows that have one.

    Args:
        rows: with ``energy``, ``seen``, ``map``, ``means`` and ``dots``.
        names: titles of the rows of maps, by energy.
        box: half the side of a map.
    """
    mapped = {(row["energy"], row["seen"]): row for row in rows if row["map"]}
    columns = sorted({seen for _, seen in mapped})
    kinds = [name for name in names if any(name == energy for energy, _ in mapped)]
    side = (NARROW - 2 * SIDE - GAP * (len(columns) - 1)) / len(columns)
    height = HEAD + len(kinds) * (TITLE + side) + FOOT
    with styled():
        figure = blank(NARROW, height)
        for down, kind in enumerate(kinds):
            top = height - HEAD - down * (TITLE + side)
            figure.text(SIDE / NARROW, (top - 0.05) / height, names[kind], fontsize=9, va="top")
            for across, seen in enumerate(columns):
                left, low = SIDE + across * (side + GAP), top - TITLE - side
                place = (left / NARROW, low / height, side / NARROW, side / height)
                _map(figure.add_axes(place), mapped[kind, seen], box)
                if down == 0:
                    middle = (left + side / 2) / NARROW
                    label = "1 point" if seen == 1 else f"{seen} points"
                    look: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 8}
                    figure.text(middle, (height - 0.31) / height, label, color=QUIET, **look)
        headline(figure, "Energies of the box, after each number of points")
        _key(figure)
    figure.set_label(
        f"Maps of energies after {', '.join(map(str, columns))} points, a row each: "
        f"{', '.join(f'“{names[kind]}”' for kind in kinds)}. The darker, the smaller the share of "
        "the box that has less energy; crosses: the true means; dots: the points seen."
    )
    return figure


def _map(axes: "matplotlib.axes.Axes", row: Row, box: float) -> None:
    """Draw one map, the true means and the points seen."""
    cells = [LEVELS.index(letter) for letter in row["map"]]
    side = round(len(cells) ** 0.5)
    grid = [cells[start : start + side] for start in range(0, len(cells), side)]
    reach: Any = (-box, box, -box, box)
    look: dict[str, Any] = {"cmap": _colours(), "vmin": -0.5, "vmax": len(LEVELS) - 0.5}
    axes.imshow(grid, extent=reach, origin="lower", interpolation="none", **look)
    for word, style in (("means", "x"), ("dots", "o")):
        if row[word]:
            look = {"color": VERMILION, "linestyle": "none", "clip_on": False}
            look |= {"marker": style, "markersize": 4.5 if style == "x" else 2.6}
            axes.plot(*zip(*places(row[word]), strict=True), **look)
    axes.set(xlim=reach[:2], ylim=reach[2:], xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(True)


def _key(figure: "matplotlib.figure.Figure") -> None:
    """Name the colours and the marks below the maps."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    width, height = figure.get_size_inches()
    handles: list[Any] = [
        Line2D([], [], color=VERMILION, marker="x", linestyle="none", label="true means"),
        Line2D([], [], color=VERMILION, marker="o", linestyle="none", label="points seen"),
    ]
    look: dict[str, Any] = {"loc": "lower left", "ncols": 2, "columnspacing": 1.6}
    figure.legend(handles=handles, bbox_to_anchor=(SIDE / width, 0.26 / height), **look)
    colours, start, wide = _colours(), 1.9, 0.3
    low = 0.08 / height
    figure.text(SIDE / width, low, "share with less energy, up to", fontsize=8, va="bottom")
    for place in range(len(LEVELS)):
        left = (start + place * wide) / width
        patch = Rectangle((left, low), wide / width, 0.16 / height, color=colours(place))
        figure.add_artist(patch)
        share = min(100, 2**place)
        shade = "white" if place < 4 else INK
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": shade}
        figure.text(left + wide / 2 / width, low + 0.08 / height, f"{share} %", **style)


def _colours() -> Any:
    """Return the colours of the levels, from dark to light."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = [BLACK, "#003a5e", BLUE, "#4a9ace", "#a9d0ea", "#f4f8fc"]
    return LinearSegmentedColormap.from_list("house", ends, N=len(LEVELS))
