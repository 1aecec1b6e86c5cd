"""Words on a plane as a map, such as the mode of a memory by its two parameters."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core.errors import door
from kanerva.lab.plot._rows import Row, number, require
from kanerva.lab.plot._style import INK, LOOKS, NARROW, blank, headline, styled
from kanerva.lab.plot.lines import DASHES, Frame

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["regions"]

# Inches: the margins of the map, its height, and a line of the legend.
LEFT, RIGHT, BELOW, TALL, LINE = 0.55, 0.12, 0.42, 2.9, 0.17
PALE = 0.45  # of a colour that is mixed with white
CELLS = 400  # Maps of more cells have no letters.


@door("plot.regions")
def regions(
    rows: Sequence[Row],
    x: str,
    y: str,
    kind: str,
    frame: Frame,
    *,
    curves: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> "matplotlib.figure.Figure":
    """Draw a cell for each row, coloured by the word in one of its columns.

    A cell reaches half-way to the next ones. The first letter of its word is written where it fits.
    Where several rows have the same place, the first counts; places without a row stay white.

    Args:
        rows: dicts with numbers in ``x`` and ``y``.
        x: the column of the horizontal axis.
        y: the column of the vertical axis.
        kind: the column with the words.
        frame: title and labels; ``y`` is written beside the axis.
        curves: lines on the map, by name: their points ``(x, y)``.

    Returns:
        a figure 4.4 inches wide; its label is a caption.

    Raises:
        InputError: there are no rows, a column is missing, or a number is not finite.

    Example:
        >>> from kanerva.lab.plot import Frame, regions
        >>> rows = [dict(a=0, h=1, mode="wide"), dict(a=1, h=0, mode="auto")]
        >>> regions(rows, "a", "h", "mode", Frame("Modes")).get_label()
        'Modes. Colours: “wide” (w), “auto” (a), by a and h.'
    """
    require(rows, [x, y, kind], "run the experiment first")
    cells: dict[tuple[float, float], str] = {}
    for row in rows:
        cells.setdefault((number(row, x), number(row, y)), str(row[kind]))
    words = list(dict.fromkeys(cells.values()))
    lines = dict(curves or {})
    entries = len(words) + len(lines)
    columns = max(1, min(entries, 3))
    head = 0.36 + LINE * -(-entries // columns) + 0.12
    height = head + TALL + BELOW
    with styled():
        figure = blank(NARROW, height)
        box = (LEFT / NARROW, BELOW / height, 1 - (LEFT + RIGHT) / NARROW, TALL / height)
        axes = figure.add_axes(box)
        axes.grid(False)
        handles = _cells(axes, cells, words)
        for dash, (name, points) in zip(itertools.cycle(DASHES), lines.items(), strict=False):
            look: dict[str, Any] = {"color": INK, "linestyle": dash}
            handles += axes.plot(*zip(*points, strict=True), label=name, linewidth=1.4, **look)
        axes.set(xlabel=frame.x or x, ylabel=frame.y or y)
        headline(figure, frame.title)
        place = (0.1 / NARROW, 1 - 0.36 / height)
        where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": place}
        figure.legend(handles=handles, ncols=columns, columnspacing=1.6, **where)
    named = ", ".join(f"“{word}” ({word[:1]})" for word in words)
    found = f"{frame.title}. Colours: {named}, by {frame.x or x} and {frame.y or y}"
    figure.set_label("".join([found, *(f"; line: “{name}”" for name in lines), "."]))
    return figure


def _cells(
    axes: "matplotlib.axes.Axes", cells: Mapping[tuple[float, float], str], words: Sequence[str]
) -> list[Any]:
    """Draw the cells and their letters; return the entries of the legend."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch, Rectangle

    fills = []
    for place in range(len(words)):
        red, green, blue = (1 - PALE * (1 - one) for one in to_rgb(LOOKS[place % len(LOOKS)][0]))
        fills.append((red, green, blue))
    edges = [_edges(sorted({place[axis] for place in cells})) for axis in (0, 1)]
    for (x, y), word in cells.items():
        (left, right), (low, high) = edges[0][x], edges[1][y]
        fill = fills[words.index(word)]
        look: dict[str, Any] = {"facecolor": fill, "edgecolor": "white", "linewidth": 0.6}
        axes.add_patch(Rectangle((left, low), right - left, high - low, **look))
        if len(cells) <= CELLS:
            middle = ((left + right) / 2, (low + high) / 2)
            axes.text(*middle, word[:1], ha="center", va="center_baseline", fontsize=6.5)
    sides = [(min(a for a, _ in one.values()), max(b for _, b in one.values())) for one in edges]
    axes.set(xlim=sides[0], ylim=sides[1])
    named = [f"{word} ({word[:1]})" for word in words]
    return [Patch(facecolor=fill, label=name) for fill, name in zip(fills, named, strict=True)]


def _edges(places: Sequence[float]) -> dict[float, tuple[float, float]]:
    """Return the two edges of the cell at each place, half-way to the next ones."""
    middles = [(a + b) / 2 for a, b in itertools.pairwise(places)]
    if not middles:
        return {places[0]: (places[0] - 0.5, places[0] + 0.5)}
    edges = [2 * places[0] - middles[0], *middles, 2 * places[-1] - middles[-1]]
    return {place: (edges[n], edges[n + 1]) for n, place in enumerate(places)}
