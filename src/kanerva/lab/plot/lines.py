"""Draw the rows of a table as lines in small panels: what most experiments need."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._style import (
    INK,
    LOOKS,
    NARROW,
    QUIET,
    WIDE,
    blank,
    headline,
    power,
    styled,
    wrap,
)

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["Frame", "lines"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Frame:
    """What stands around the lines.

    * ``title``: what the figure shows, in a sentence.
    * ``x``, ``y``: labels of the axes, with units; ``y`` is written above the panels, where it can be read.
    * ``log``: ``"x"``, ``"y"``, ``"xy"`` or ``""``: which axes are logarithmic. There what is not above 0 is not drawn.
    * ``across``: panels in a row at most.
    * ``dots``: the lines drawn as open dots alone, such as published numbers.
    * ``verticals``: label and place of lines that stand at one x.
    * ``diagonal``: draw y = x behind.
    * ``limits``: lowest and highest y; None leaves it to the data.

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
    """Draw one column against another: a line for each value of a third, a panel for each value of a fourth.

    Where several rows share all of these, the mean is drawn, with a bar of one standard deviation to either side; of dots,
    every one is drawn.

    Args:
        rows: dicts; ``None`` in ``y`` is not drawn.
        x: the column along the bottom.
        y: the column upward.
        frame: title, labels and scales.
        by: the column that tells lines apart; one line unless given.
        panel: the column that tells panels apart, its values their titles; one panel unless given.

    Returns:
        a figure 4.4 inches wide, or 2.2 for each of three panels and more.

    Raises:
        InputError: there are no rows, a column is missing, or a number is not finite.

    Example:
        >>> from kanerva.lab.plot import Frame, lines
        >>> rows = [dict(radius=r, beta=b) for r, b in ((9, 20.2), (11, 15.9), (15, 10.1))]
        >>> len(lines(rows, "radius", "beta", Frame("Beta against radius")).axes[0].lines)
        1
    """
    columns = [column for column in (x, y, by, panel) if column]
    _check(rows, columns)
    names = list(dict.fromkeys(str(row[by]) for row in rows)) if by else [""]
    panels = list(dict.fromkeys(str(row[panel]) for row in rows)) if panel else [""]
    with styled():
        figure, grid = _grid(panels, names, frame)
        for title, axes in zip(panels, grid, strict=True):
            here = [row for row in rows if not panel or str(row[panel]) == title]
            for index, name in enumerate(names):
                _line(
                    axes,
                    [row for row in here if not by or str(row[by]) == name],
                    (x, y),
                    frame,
                    (name, index),
                )
            axes.set_title(wrap(title, 28), loc="left", fontsize=9, color=INK, pad=6, va="bottom")
        _scale(grid, frame)
    return figure


def _check(rows: Sequence[Row], columns: Sequence[str]) -> None:
    if not rows:
        refuse("rows", must="one row or more", got="empty", do="run the experiment first")
    for row in rows:
        for column in columns:
            if column not in row:
                got = f"a row with {', '.join(map(repr, row))}"
                refuse("rows", must=f"dicts with the key {column!r}", got=got, do="add it")


def _line(
    axes: "matplotlib.axes.Axes",
    rows: Iterable[Row],
    columns: tuple[str, str],
    frame: Frame,
    look: tuple[str, int],
) -> None:
    values: dict[float, list[float]] = {}
    for row in rows:
        if row[columns[1]] is None:
            continue
        x, y = (checks.number(f"rows, column {column!r},", row[column]) for column in columns)
        if (x > 0 or "x" not in frame.log) and (y > 0 or "y" not in frame.log):
            values.setdefault(x, []).append(y)
    places = sorted(values)
    if not places:
        return
    means = [statistics.fmean(values[place]) for place in places]
    spread = [
        statistics.stdev(values[place]) if len(values[place]) > 1 else 0.0 for place in places
    ]
    name, index = look
    colour, marker, dash = LOOKS[index % len(LOOKS)]
    every = max(1, len(places) // 8)
    if name in frame.dots:
        points = [(place, value) for place in places for value in values[place]]
        axes.plot(
            *zip(*points, strict=True),
            linestyle="none",
            marker="o",
            markerfacecolor="none",
            color=INK,
            markersize=5,
            zorder=4,
        )
        return
    shape: dict[str, Any] = {
        "color": colour,
        "marker": marker,
        "linestyle": dash,
        "markevery": (index * every // 2 % every, every),
        "markersize": 3,
    }
    if any(spread) and "y" not in frame.log:
        axes.errorbar(places, means, spread, elinewidth=1.0, capsize=0, label=name, **shape)
    else:
        axes.plot(places, means, label=name, **shape)


def _grid(
    panels: Sequence[str], names: Sequence[str], frame: Frame
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """Lay out the panels by the inch, with room above for the title and the names of the lines."""
    across = min(frame.across, len(panels))
    down = -(-len(panels) // across)
    width = WIDE * across if across > 2 else NARROW
    columns = max(
        1,
        min(
            len(names) + len(frame.verticals),
            int(width / (0.5 + 0.068 * max(map(len, [*names, *frame.verticals])))),
        ),
    )
    legend = (
        0.17 * -(-(len(names) + len(frame.verticals)) // columns) + 0.06
        if len(names) > 1 or frame.verticals
        else 0.0
    )
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
    from matplotlib.lines import Line2D

    handles = []
    for index, name in enumerate(names):
        colour, marker, dash = LOOKS[index % len(LOOKS)]
        if name in frame.dots:
            handles.append(
                Line2D(
                    [],
                    [],
                    linestyle="none",
                    marker="o",
                    markerfacecolor="none",
                    color=INK,
                    markersize=5,
                    label=name,
                )
            )
        elif len(names) > 1:
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dash, label=name))
    dashes = [(0, (4, 2)), (0, (1, 1.6)), (0, (6, 2, 1, 2))]
    for index, name in enumerate(frame.verticals):
        handles.append(
            Line2D([], [], color=QUIET, linestyle=dashes[index % 3], linewidth=1.1, label=name)
        )
    width, height = figure.get_size_inches()
    anchor = (0.1 / width, 1 - place[1] / height)
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=anchor,
        ncols=place[0],
        columnspacing=1.6,
        labelspacing=0.3,
    )


def _scale(grid: Sequence["matplotlib.axes.Axes"], frame: Frame) -> None:
    from matplotlib.ticker import MaxNLocator

    for index, axes in enumerate(grid):
        if frame.diagonal:
            low, high = axes.get_xlim()
            axes.plot(
                [low, high],
                [low, high],
                color=QUIET,
                linestyle=(0, (1, 1.6)),
                linewidth=1.0,
                zorder=1,
            )
            axes.set_xlim(low, high)
        for place, where in enumerate(frame.verticals.values()):
            axes.axvline(
                where,
                color=QUIET,
                linestyle=[(0, (4, 2)), (0, (1, 1.6)), (0, (6, 2, 1, 2))][place % 3],
                linewidth=1.1,
                zorder=1,
            )
        for axis, letter in ((axes.xaxis, "x"), (axes.yaxis, "y")):
            if letter in frame.log:
                getattr(axes, f"set_{letter}scale")("log")
                axis.set_major_formatter(power)
                axes.minorticks_off()
            else:
                axis.set_major_locator(MaxNLocator(5 if len(grid) == 1 else 4))
        if frame.limits:
            axes.set_ylim(*frame.limits)
        axes.tick_params(labelleft=index % min(frame.across, len(grid)) == 0)
