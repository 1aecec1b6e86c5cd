"""Recall against damage: a panel for each memory."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._rows import Row, means, number, require
from kanerva.lab.plot._style import BLUE, INK, NARROW, QUIET, WIDE, blank, headline, power, styled
from kanerva.lab.plot.labels import wrap

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["recall_curves"]

Curve = tuple[list[float], list[float], list[float]]

# Place and dash of the lines of the baselines.
BASELINES: dict[str, tuple[int, tuple[float, float]]] = {
    "nearest": (0, (4, 2)),
    "cue": (0, (1, 1.6)),
}

SHARES = {
    "exact": "Cues recalled exactly",
    "nearest": "Recalls nearest to their original",
    "repaired": "Wrong bits corrected",
    "broken": "Correct bits made wrong",
    "echoed": "Damaged cues returned unchanged",
    "class_kept": "Recalls of the right class",
    "converged": "Recalls that converged",
}
SIZES = {
    "effective": "Memories in a read (effective number)",
    "steps": "Steps to convergence",
    "seconds": "Seconds per query",
    "bytes": "Bytes stored",
}
DAMAGES = {
    "flip": "share of bits flipped",
    "occlude": "share of the picture covered",
    "mask": "share of bits unknown",
    "gaussian": "strength of the noise",
}
# Keywords of matplotlib.
LINE: dict[str, Any] = {"color": BLUE, "marker": "o", "elinewidth": 1.2, "capsize": 0}
LINE |= {"clip_on": False, "zorder": 3}
TITLE: dict[str, Any] = {"loc": "left", "fontsize": 9, "color": INK, "pad": 7, "va": "bottom"}
TITLE |= {"linespacing": 1.15}


@door("plot.recall_curves")
def recall_curves(
    rows: Sequence[Row], column: str = "exact", *, across: int = 4
) -> "matplotlib.figure.Figure":
    """Draw one measure against the damage, in a small panel for each memory.

    Ten lines in one panel would cover each other wherever the memories agree, which is at both ends
    of the scale. The baselines are drawn in grey in every panel, so each panel shows the distance
    to the exact nearest neighbour. A point is the mean over seeds, a bar one standard deviation to
    either side.

    Args:
        rows: a dict for each (memory, level, seed) with ``memory``, ``title``, ``damage``,
            ``level`` and ``column``. The memories ``"cue"`` and ``"nearest"`` are the baselines.
            ``None`` is not drawn.
        column: the measure.
        across: the largest number of panels in a row, >= 1; 4 for a desktop page, 2 for a phone.

    Returns:
        a figure 2.2 inches wide for each panel across, and 4.4 inches for one or two.

    Raises:
        InputError: there are no rows, a row lacks a column or contains NaN, or there is more than
            one kind of damage.

    Example:
        >>> row = dict(memory="sdm", title="SDM", damage="flip", level=0.1, seed=0, exact=0.9)
        >>> figure = recall_curves([row, row | {"level": 0.2, "exact": 0.7}])
        >>> len(figure.axes)
        1
    """
    across = checks.integer("across", across, 1)
    _check(rows, column)
    titles = {str(row["memory"]): str(row["title"]) for row in rows}
    curves = {memory: _curve(rows, memory, column) for memory in titles}
    behind = {memory: curve for memory, curve in curves.items() if memory in BASELINES}
    front = {memory: curve for memory, curve in curves.items() if memory not in BASELINES} or behind
    across = min(across, len(front))
    look: dict[str, Any]
    with styled():
        figure, panels = _grid(len(front), across, bool(behind))
        for panel, (memory, curve) in zip(panels, front.items(), strict=True):
            for other, (levels, shares, _) in behind.items():
                look = {"color": QUIET, "linestyle": BASELINES[other], "linewidth": 1.1}
                panel.plot(levels, shares, zorder=1.5, **look)
            panel.errorbar(*curve, **LINE)
            panel.set_title(wrap(titles[memory], 25), **TITLE)
        _scale(panels, across, column, curves)
        headline(figure, SHARES.get(column) or SIZES.get(column) or column)
        _legend(figure, rows, across, {titles[memory]: BASELINES[memory] for memory in behind})
    return figure


def _check(rows: Sequence[Row], column: str) -> None:
    """Refuse rows that cannot be drawn."""
    require(rows, ("memory", "title", "damage", "level", column), "run the comparison first")
    for row in rows:
        number(row, "level", 0)
        if row[column] is not None:
            number(row, column)
    damages = list(dict.fromkeys(str(row["damage"]) for row in rows))
    if len(damages) > 1:
        got = " and ".join(damages)
        refuse("rows", must="of one kind of damage", got=got, do="draw a figure for each")


def _curve(rows: Sequence[Row], memory: str, column: str) -> Curve:
    """Return levels, means and standard deviations over seeds; of one seed the deviation is 0."""
    mine = [row for row in rows if row["memory"] == memory and row[column] is not None]
    return means((number(row, "level"), number(row, column)) for row in mine)


def _grid(
    count: int, across: int, legend: bool
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """Lay out ``count`` panels in inches, so that the layout does not depend on the labels."""
    down = -(-count // across)
    head = 0.54 if across > 2 or not legend else 0.8
    bottom, left, right, gap, tall = 0.5, 0.42, 0.12, 0.6, 1.15
    width, height = WIDE * across if across > 2 else NARROW, head + bottom + down * (tall + gap)
    figure = blank(width, height)
    step = (width - left - right + 0.3) / across
    panels: list[matplotlib.axes.Axes] = []
    for index in range(count):
        row, column = divmod(index, across)
        y = height - head - (row + 1) * (tall + gap)
        box = ((left + column * step) / width, y / height, (step - 0.3) / width, tall / height)
        first = panels[0] if panels else None
        panels.append(figure.add_axes(box, sharex=first, sharey=first))
    return figure, panels


def _scale(
    panels: Sequence["matplotlib.axes.Axes"],
    across: int,
    column: str,
    curves: Mapping[str, Curve],
) -> None:
    """Give all panels one scale, with numbers only at the left and lower edges."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    levels = [level for curve in curves.values() for level in curve[0]] or [0.0, 1.0]
    slack = 0.03 * max(levels) or 0.05
    first = panels[0]
    first.set_xlim(-slack, max(levels) + slack)
    first.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    first.xaxis.set_major_formatter(lambda level, _: f"{100 * level:g}%")
    if column in SHARES:
        first.set_ylim(-0.03, 1.03)
        first.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2.5, 5, 10]))
        first.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    else:
        values = [value for curve in curves.values() for value in curve[1]] or [1.0]
        if min(values) > 0 and max(values) > 10 * min(values):
            first.set_yscale("log")
            first.yaxis.set_major_formatter(power)
            first.minorticks_off()
    for index, panel in enumerate(panels):
        lowest = index + across >= len(panels)
        panel.tick_params(labelleft=index % across == 0, labelbottom=lowest)


def _legend(
    figure: "matplotlib.figure.Figure", rows: Sequence[Row], across: int, behind: Mapping[str, Any]
) -> None:
    """Name the lines above the panels, and the damage below them."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    seeds = len({row.get("seed") for row in rows})
    bars = f"the memory, ± 1 s.d. over {seeds} seeds" if seeds > 1 else "the memory"
    lines = [Line2D([], [], color=BLUE, marker="o", label=bars)]
    for title, dash in behind.items():
        label = wrap(title, 40)
        lines.append(Line2D([], [], color=QUIET, linestyle=dash, linewidth=1.1, label=label))
    look: dict[str, Any] = {"loc": "upper left", "columnspacing": 2.2, "labelspacing": 0.35}
    look |= {"ncols": len(lines) if across > 2 else 1}
    figure.legend(handles=lines, bbox_to_anchor=(0.1 / width, 1 - 0.36 / height), **look)
    damage = str(rows[0]["damage"])
    label = DAMAGES.get(damage, f"damage ({damage})")
    boxes = [axes.get_position() for axes in figure.axes]
    middle = (min(box.x0 for box in boxes) + max(box.x1 for box in boxes)) / 2
    figure.text(middle, 0.1 / height, label, ha="center", va="bottom")
