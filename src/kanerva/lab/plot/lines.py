"""The rows of a table as lines in small panels, the figure of most experiments."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kanerva._core.errors import door
from kanerva.lab.plot._rows import Row, means, number, require
from kanerva.lab.plot._style import INK, LOOKS, NARROW, QUIET, WIDE, blank, headline, power, styled
from kanerva.lab.plot.labels import wrap

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["Frame", "lines"]

# The dashes of vertical lines.
DASHES = [(0, (4, 2)), (0, (1, 1.6)), (0, (6, 2, 1, 2)), "-"]
# The open markers of dots, in their order.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Frame:
    """Title, labels and scales of a figure of lines.

    * ``title``: of the figure.
    * ``x``, ``y``: labels of the axes, with units; ``y`` is written above the panels.
    * ``log``: the logarithmic axes: ``"x"``, ``"y"``, ``"xy"`` or ``""``. Numbers that are not
      above 0 are not drawn there.
    * ``across``: the largest number of panels in a row.
    * ``dots``: the lines that are drawn as open dots, such as published numbers, each with a
      marker of its own.
    * ``verticals``: label and place of vertical lines.
    * ``diagonal``: draw y = x behind the lines.
    * ``limits``: lowest and highest y; None for those of the data.

    Example:
        >>> from kanerva.lab.plot import Frame
        >>> Frame("Weights", x="distance, bits", log="y").across
        3
    """

    title: str
    x: str = ""
    y: str = ""
    log: str = ""
    across: int = 3
    dots: tuple[str, ...] = ()
    verticals: Mapping[str, float] = field(default_factory=dict)
    diagonal: bool = False
    limits: tuple[float, float] | None = None


@door("plot.lines")
def lines(
    rows: Sequence[Row],
    x: str,
    y: str,
    frame: Frame,
    *,
    by: str | None = None,
    panel: str | None = None,
) -> "matplotlib.figure.Figure":
    """Draw one column against another, with lines by a third column and panels by a fourth.

    Where several rows have the same values in all of these but the second, their mean is drawn with
    a bar of one standard deviation to either side. Dots are drawn for every row.

    Args:
        rows: dicts; ``None`` in ``y`` is not drawn.
        x: the column of the horizontal axis.
        y: the column of the vertical axis.
        frame: title, labels and scales.
        by: the column with the names of the lines; None for one line.
        panel: the column with the titles of the panels; None for one panel.

    Returns:
        a figure 4.4 inches wide, or 2.2 for each of three panels and more; its label is a caption
        that says what is seen.

    Raises:
        InputError: there are no rows, a column is missing, or a number is not finite.

    Example:
        >>> from kanerva.lab.plot import Frame, lines
        >>> rows = [dict(radius=r, beta=b) for r, b in ((9, 20.2), (11, 15.9), (15, 10.1))]
        >>> len(lines(rows, "radius", "beta", Frame("Beta against radius")).axes[0].lines)
        1
    """
    columns = [column for column in (x, y, by, panel) if column]
    require(rows, columns, "run the experiment first")
    names = list(dict.fromkeys(str(row[by]) for row in rows)) if by else [""]
    panels = list(dict.fromkeys(str(row[panel]) for row in rows)) if panel else [""]
    with styled():
        figure, grid = _grid(panels, names, frame)
        for title, axes in zip(panels, grid, strict=True):
            here = [row for row in rows if not panel or str(row[panel]) == title]
            for index, name in enumerate(names):
                mine = [row for row in here if not by or str(row[by]) == name]
                _line(axes, _points(mine, x, y, frame.log), frame, (name, index))
            axes.set_title(wrap(title, 28), loc="left", fontsize=9, color=INK, pad=6, va="bottom")
        _scale(grid, frame, {"x": _whole(rows, x), "y": False})
    figure.set_label(_caption(panels, names, frame, x))
    return figure


def _points(rows: Iterable[Row], x: str, y: str, log: str) -> list[tuple[float, float]]:
    """Return the points that can be drawn, sorted by x."""
    known = [(number(row, x), number(row, y)) for row in rows if row[y] is not None]
    return sorted(
        ((a, b) for a, b in known if (a > 0 or "x" not in log) and (b > 0 or "y" not in log)),
        key=lambda point: point[0],
    )


def _line(
    axes: "matplotlib.axes.Axes",
    points: Sequence[tuple[float, float]],
    frame: Frame,
    line: tuple[str, int],
) -> None:
    """Draw one line, of a name and an index."""
    if not points:
        return
    name, index = line
    if name in frame.dots:
        axes.plot(*zip(*points, strict=True), zorder=4, **_dots(frame, name))
        return
    places, middles, spread = means(points)
    colour, marker, dash = LOOKS[index % len(LOOKS)]
    every = max(1, len(places) // 8)
    look: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": marker, "markersize": 3}
    look |= {"markevery": (index * every // 2 % every, every), "label": name}
    if any(spread) and "y" not in frame.log:
        axes.errorbar(places, middles, spread, elinewidth=1.0, capsize=0, **look)
    else:
        axes.plot(places, middles, **look)


def _dots(frame: Frame, name: str) -> dict[str, Any]:
    """Return the look of a line that is drawn as open dots."""
    marker = MARKERS[frame.dots.index(name) % len(MARKERS)]
    look = {"linestyle": "none", "marker": marker, "markerfacecolor": "none", "color": INK}
    return {**look, "markersize": 5}


def _caption(panels: Sequence[str], names: Sequence[str], frame: Frame, x: str) -> str:
    """Return what a figure shows: its message, the axes, the panels and the lines."""
    kinds = {name: "open dots" if name in frame.dots else "lines" for name in names}
    up = f"{frame.y}, against" if frame.y else "against"
    found = f"{frame.title}. {up[0].upper()}{up[1:]} {frame.x or x}"
    if len(panels) > 1:
        found += f"; a panel each: {', '.join(f'“{panel}”' for panel in panels)}"
    if len(names) > 1:
        for kind in dict.fromkeys(kinds.values()):
            found += f"; {kind}: {', '.join(f'“{name}”' for name in names if kinds[name] == kind)}"
    for label in frame.verticals:
        found += f"; vertical line: “{label}”"
    return found + ("; dotted: y = x." if frame.diagonal else ".")


def _grid(
    panels: Sequence[str], names: Sequence[str], frame: Frame
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """Lay out the panels in inches, with the title and a legend above them."""
    across = min(frame.across, len(panels))
    down = -(-len(panels) // across)
    width = WIDE * across if across > 2 else NARROW
    entries = [name for name in names if _explained(name, names, frame)] + [*frame.verticals]
    fitting = int(width / (0.5 + 0.068 * max(map(len, entries), default=0)))
    columns = max(1, min(len(entries), fitting))
    legend = 0.0
    if entries:
        legend = 0.17 * -(-len(entries) // columns) + 0.06
    head = 0.36 + (0.2 if frame.y else 0.0) + legend
    left, right, above, below, bottom = 0.5, 0.12, 0.1 if panels == [""] else 0.3, 0.26, 0.24
    tall = 2.3 if across == 1 else 1.35
    height = head + bottom + down * (above + tall + below)
    figure = blank(width, height)
    step = (width - left - right + 0.3) / across
    grid: list[matplotlib.axes.Axes] = []
    for index in range(len(panels)):
        row, column = divmod(index, across)
        y = height - head - (row + 1) * (above + tall + below) + below
        box = ((left + column * step) / width, y / height, (step - 0.3) / width, tall / height)
        grid.append(figure.add_axes(box, sharey=grid[0] if grid else None))
    headline(figure, frame.title)
    if frame.y:
        figure.text(0.1 / width, 1 - 0.3 / height, frame.y, fontsize=8, color=QUIET, va="top")
    if legend:
        _legend(figure, names, frame, (columns, head - legend))
    middle = (left + (step * across - 0.3) / 2) / width
    figure.text(middle, 0.06 / height, frame.x, ha="center", va="bottom")
    return figure, grid


def _legend(
    figure: "matplotlib.figure.Figure", names: Sequence[str], frame: Frame, place: tuple[int, float]
) -> None:
    """Add a legend of so many columns, so many inches below the top."""
    from matplotlib.lines import Line2D

    handles = []
    for index, name in enumerate(names):
        colour, marker, dash = LOOKS[index % len(LOOKS)]
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dash}
        if _explained(name, names, frame):
            look = _dots(frame, name) if name in frame.dots else look
            handles.append(Line2D([], [], label=name, **look))
    for index, name in enumerate(frame.verticals):
        look = {"color": QUIET, "linestyle": DASHES[index % len(DASHES)], "linewidth": 1.1}
        handles.append(Line2D([], [], label=name, **look))
    width, height = figure.get_size_inches()
    look = {"loc": "upper left", "ncols": place[0], "columnspacing": 1.6, "labelspacing": 0.3}
    figure.legend(handles=handles, bbox_to_anchor=(0.1 / width, 1 - place[1] / height), **look)


def _explained(name: str, names: Sequence[str], frame: Frame) -> bool:
    """Return whether a line is in the legend: one of several, or dots."""
    return name in frame.dots or len(names) > 1


def _whole(rows: Iterable[Row], x: str) -> bool:
    """Return whether all places are whole numbers, such as those of layers."""
    return all(float(number(row, x)).is_integer() for row in rows)


def _scale(grid: Sequence["matplotlib.axes.Axes"], frame: Frame, whole: Mapping[str, bool]) -> None:
    """Draw the diagonal and the vertical lines, and set scales, ticks and limits."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    look: dict[str, Any] = {"color": QUIET, "zorder": 1}
    for index, axes in enumerate(grid):
        if frame.diagonal:
            low, high = axes.get_xlim()
            axes.plot([low, high], [low, high], linestyle=DASHES[1], linewidth=1.0, **look)
            axes.set_xlim(low, high)
        for place, where in enumerate(frame.verticals.values()):
            axes.axvline(where, linestyle=DASHES[place % len(DASHES)], linewidth=1.1, **look)
        for axis, letter in ((axes.xaxis, "x"), (axes.yaxis, "y")):
            if letter in frame.log:
                getattr(axes, f"set_{letter}scale")("log")
                axis.set_major_formatter(power)
                low, high = sorted(axis.get_view_interval())
                if math.floor(math.log10(high)) - math.ceil(math.log10(low)) < 1:
                    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    axis.set_major_formatter(lambda value, _: f"{value:g}")
                axes.minorticks_off()
            else:
                ticks = 5 if len(grid) == 1 else 4
                axis.set_major_locator(MaxNLocator(ticks, integer=whole[letter]))
        if frame.limits:
            axes.set_ylim(*frame.limits)
        axes.tick_params(labelleft=index % min(frame.across, len(grid)) == 0)
