"""The weight of a stored pattern in a read against its distance from the query."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core.errors import door
from kanerva.lab.plot._rows import Row, number, require
from kanerva.lab.plot._style import LOOKS, NARROW, blank, headline, power, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["weight_curves"]

FLOOR = 1e-9  # Smaller weights are not drawn.


@door("plot.weight_curves")
def weight_curves(rows: Sequence[Row]) -> "matplotlib.figure.Figure":
    """Draw the weight of a stored pattern against its distance from the query, on a log scale.

    A softmax is a straight line. A weight of 0 has no place on the scale: an open circle marks the
    last point before it.

    Args:
        rows: a dict for each (memory, distance) with ``memory``, ``title``, ``distance`` in bits
            and ``weight`` >= 0, where the largest weight of a memory is 1.

    Returns:
        a figure 4.4 inches wide with one line for each memory.

    Raises:
        InputError: there are no rows, a row lacks a column or contains NaN, or a weight is below 0.

    Example:
        >>> rows = [dict(memory="sdm", title="SDM", distance=d, weight=0.5**d) for d in range(9)]
        >>> len(weight_curves(rows).axes[0].lines)
        1
    """
    require(rows, ("memory", "title", "distance", "weight"), "run the comparison first")
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        point = (number(row, "distance", 0), number(row, "weight", 0))
        points.setdefault(str(row["memory"]), []).append(point)
    titles = {str(row["memory"]): str(row["title"]) for row in rows}
    tall = 3.2 + 0.155 * len(titles)
    with styled():
        figure = blank(NARROW, tall)
        axes = figure.add_axes((0.5 / NARROW, 0.5 / tall, 1 - 0.62 / NARROW, 2.2 / tall))
        reach, low = 0.0, 1.0
        for index, (memory, title) in enumerate(titles.items()):
            drawn = _line(axes, title, sorted(points[memory]), index)
            reach, low = max([reach, *(x for x, _ in drawn)]), min([low, *(y for _, y in drawn)])
        axes.set(yscale="log", ylim=(low / 3, 3), xlim=(0, reach * 1.04 or 1))
        axes.yaxis.set_major_formatter(power)
        axes.minorticks_off()
        axes.set_xlabel("distance of the stored pattern from the query, in bits", labelpad=6)
        headline(figure, "Weight in a read, as a share of the largest")
        lines = [line for line in axes.lines if line.get_linestyle() != "None"]
        look: dict[str, Any] = {"loc": "upper left", "labelspacing": 0.35}
        figure.legend(handles=lines, bbox_to_anchor=(0.1 / NARROW, 1 - 0.36 / tall), **look)
    return figure


def _line(
    axes: "matplotlib.axes.Axes", title: str, points: Sequence[tuple[float, float]], index: int
) -> list[tuple[float, float]]:
    """Draw the line of a memory down to the smallest weight that is drawn; return its points."""
    colour, marker, dash = LOOKS[index % len(LOOKS)]
    drawn = [point for point in points if point[1] >= FLOOR]
    every = max(1, len(drawn) // 8)
    look: dict[str, Any] = {"color": colour, "linestyle": dash, "label": title, "clip_on": False}
    look |= {"marker": marker, "markevery": (index * every // 2 % every, every)}
    axes.plot([x for x, _ in drawn], [y for _, y in drawn], **look)
    if drawn and len(drawn) < len(points) and points[len(drawn)][1] == 0:
        look = {"marker": "o", "markerfacecolor": "white", "markersize": 6, "linestyle": "none"}
        axes.plot(*drawn[-1], color=colour, zorder=3, **look)
    return drawn
