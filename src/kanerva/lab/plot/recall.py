"""Draw recall against damage, weight against distance, and what was recalled, from plain rows and pictures."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._style import (
    BLUE,
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

__all__ = ["gallery", "recall_curves", "weight_curves"]

Row = Mapping[str, str | int | float | None]

FLOOR = 1e-9  # weights below it are not drawn

BASELINES: dict[str, tuple[int, tuple[float, float]]] = {
    "nearest": (0, (4, 2)),
    "cue": (0, (1, 1.6)),
}

SHARES = {
    "exact": "Cues recalled exactly",
    "nearest": "Recalls nearest to their original",
    "repaired": "Wrong bits put right",
    "broken": "Right bits made wrong",
    "echoed": "Damaged cues handed back unchanged",
    "class_kept": "Recalls of the right class",
    "converged": "Recalls that came to rest",
}
SIZES = {
    "effective": "Memories in a read (effective number)",
    "steps": "Steps to rest",
    "seconds": "Seconds a query",
    "bytes": "Bytes held",
}
DAMAGES = {
    "flip": "share of bits flipped",
    "occlude": "share of the picture covered",
    "mask": "share of bits unknown",
    "gaussian": "strength of the noise",
}


@door("plot.recall_curves")
def recall_curves(
    rows: Sequence[Row], column: str = "exact", *, across: int = 4
) -> "matplotlib.figure.Figure":
    """Draw one measure against the damage, a small panel for each memory.

    Ten lines in one frame hide each other wherever memories agree, which is at both ends of the scale. So every memory
    has its own panel, and the baselines stand behind it in grey: what a panel shows is the distance to the exact nearest
    neighbour. A point is the mean over seeds; a bar is one standard deviation over seeds to either side.

    Args:
        rows: a dict for each (memory, level, seed) with ``memory``, ``title``, ``damage``, ``level`` and ``column``.
            The memories ``"cue"`` and ``"nearest"`` are the baselines. ``None`` is not drawn.
        column: the measure.
        across: panels in a row at most, >= 1; 4 fills a desktop page, 2 suits a phone.

    Returns:
        a figure 2.2 inches wide for each panel across, and 4.4 inches for one or two.

    Raises:
        InputError: if there are no rows, a row lacks a column or holds NaN, or the damages are several.

    Example:
        >>> row = dict(memory="sdm", title="SDM", damage="flip", level=0.1, seed=0, exact=0.9)
        >>> figure = recall_curves([row, row | {"level": 0.2, "exact": 0.7}])
        >>> len(figure.axes)
        1
    """
    across = checks.integer("across", across, 1)
    _check(rows, ("memory", "title", "damage"), ("level",), column)
    titles = _titles(rows)
    curves = {memory: _curve(rows, memory, column) for memory in titles}
    behind = {memory: curve for memory, curve in curves.items() if memory in BASELINES}
    front = {memory: curve for memory, curve in curves.items() if memory not in BASELINES} or behind
    across = min(across, len(front))
    with styled():
        figure, panels = _grid(len(front), across, bool(behind))
        for panel, (memory, curve) in zip(panels, front.items(), strict=True):
            for other, line in behind.items():
                panel.plot(
                    line[0],
                    line[1],
                    color=QUIET,
                    linestyle=BASELINES[other],
                    linewidth=1.1,
                    zorder=1.5,
                )
            panel.errorbar(
                *curve, color=BLUE, marker="o", elinewidth=1.2, capsize=0, clip_on=False, zorder=3
            )
            panel.set_title(
                wrap(titles[memory], 25),
                loc="left",
                fontsize=9,
                color=INK,
                pad=7,
                va="bottom",
                linespacing=1.15,
            )
        _scale(panels, across, column, curves)
        headline(figure, SHARES.get(column) or SIZES.get(column) or column)
        _legend(figure, rows, across, {titles[memory]: BASELINES[memory] for memory in behind})
    return figure


@door("plot.weight_curves")
def weight_curves(rows: Sequence[Row]) -> "matplotlib.figure.Figure":
    """Draw the weight of a stored pattern against its distance from the query, the weight on a log scale.

    A straight line is a softmax. Weights of 0 cannot be drawn: an open circle marks where a line falls to 0.

    Args:
        rows: a dict for each (memory, distance) with ``memory``, ``title``, ``distance`` in bits and ``weight`` >= 0,
            the largest of a memory being 1.

    Returns:
        a figure 4.4 inches wide with one line a memory.

    Raises:
        InputError: if there are no rows, a row lacks a column or holds NaN, or a weight is below 0.

    Example:
        >>> rows = [dict(memory="sdm", title="SDM", distance=d, weight=0.5**d) for d in range(9)]
        >>> len(weight_curves(rows).axes[0].lines)
        1
    """
    _check(rows, ("memory", "title"), ("distance", "weight"), None)
    titles = _titles(rows)
    tall = 3.2 + 0.155 * len(titles)
    with styled():
        figure = blank(NARROW, tall)
        axes = figure.add_axes((0.5 / NARROW, 0.5 / tall, 1 - 0.62 / NARROW, 2.2 / tall))
        reach, low = 0.0, 1.0
        for index, (memory, title) in enumerate(titles.items()):
            points = sorted(
                (_real(row["distance"]), _real(row["weight"]))
                for row in rows
                if row["memory"] == memory
            )
            drawn = _weight_line(axes, title, points, index)
            reach, low = max([reach, *(x for x, _ in drawn)]), min([low, *(y for _, y in drawn)])
        axes.set(yscale="log", ylim=(low / 3, 3), xlim=(0, reach * 1.04 or 1))
        axes.yaxis.set_major_formatter(power)
        axes.minorticks_off()
        axes.set_xlabel("distance of the stored pattern from the query, in bits", labelpad=6)
        headline(figure, "Weight in a read, as a share of the largest")
        lines = [line for line in axes.lines if line.get_linestyle() != "None"]
        figure.legend(
            handles=lines,
            loc="upper left",
            bbox_to_anchor=(0.1 / NARROW, 1 - 0.36 / tall),
            labelspacing=0.35,
        )
    return figure


@door("plot.gallery")
def gallery(
    pictures: Sequence[tuple[str, Shaped[np.ndarray, "k h w *rgb"]]],
) -> "matplotlib.figure.Figure":
    """Show what was stored, what was asked and what came back, a row of pictures for each.

    Args:
        pictures: pairs of a title and ``(k, h, w)`` or ``(k, h, w, 3)`` real numbers from -1 (black) to 1 (white). The
            first two rows, the originals and the cues, stand a little apart from the rest.

    Returns:
        a figure about 4.4 inches wide with a row for each pair and a column for each example.

    Raises:
        InputError: if there is no picture, the shapes differ or a value is NaN or outside [-1, 1].

    Example:
        >>> import numpy as np
        >>> figure = gallery([("original", np.ones((3, 8, 8))), ("cue", -np.ones((3, 8, 8)))])
        >>> len(figure.axes[0].images)
        6
    """
    arrays = _pictures(pictures)
    count, height, width = arrays[0].shape[:3]
    label, cell = 1.32, min(0.8, 3.0 / count)
    titles = [wrap(title, 18, 3) for title, _ in pictures]
    pitch = max(cell * height / width, 0.15 * max(title.count("\n") + 1 for title in titles))
    apart = 0.12 if len(arrays) > 2 else 0.0
    tall = pitch * len(arrays) + apart + 0.1
    with styled():
        figure = blank(label + cell * count + 0.1, tall)
        axes = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
        axes.grid(False)
        for index, (title, array) in enumerate(zip(titles, arrays, strict=True)):
            middle = tall - 0.05 - pitch * (index + 0.5) - (apart if index > 1 else 0.0)
            axes.text(0.06, middle, title, fontsize=8, va="center", linespacing=1.2)
            half = 0.44 * cell * height / width
            for column, picture in enumerate(array):
                left = label + cell * (column + 0.06)
                box = (left, left + cell * 0.88, middle - half, middle + half)
                axes.imshow(picture, extent=box, cmap="gray", vmin=0, vmax=1, interpolation="none")
        axes.set(xlim=(0, label + cell * count + 0.1), ylim=(0, tall), aspect="auto")
    return figure


def _check(
    rows: Sequence[Row], words: Sequence[str], numbers: Sequence[str], measure: str | None
) -> None:
    """Refuse what cannot be drawn: numbers must be there, a measure may be None."""
    if not rows:
        refuse("rows", must="one row or more", got="empty", do="run the comparison first")
    for row in rows:
        for column in (*words, *numbers, *([measure] if measure else ())):
            if column not in row:
                refuse(
                    "rows",
                    must=f"dicts with the key {column!r}",
                    got=f"a row with {', '.join(map(repr, row))}",
                    do="add it",
                )
            if column in numbers or (column == measure and row[column] is not None):
                checks.number(
                    f"rows, column {column!r},", row[column], *([0.0] if column in numbers else [])
                )
    damages = list(dict.fromkeys(str(row["damage"]) for row in rows if "damage" in row))
    if len(damages) > 1:
        refuse(
            "rows",
            must="of one kind of damage",
            got=" and ".join(damages),
            do="draw a figure for each",
        )


def _titles(rows: Sequence[Row]) -> dict[str, str]:
    return {str(row["memory"]): str(row["title"]) for row in rows}


def _real(value: str | int | float | None) -> float:
    return checks.number("rows", value)


def _curve(
    rows: Sequence[Row], memory: str, column: str
) -> tuple[list[float], list[float], list[float]]:
    """Return levels, means and standard deviations over seeds; one seed has none."""
    values: dict[float, list[float]] = {}
    for row in rows:
        if row["memory"] == memory and row[column] is not None:
            values.setdefault(_real(row["level"]), []).append(_real(row[column]))
    levels = sorted(values)
    spread = [
        statistics.stdev(values[level]) if len(values[level]) > 1 else 0.0 for level in levels
    ]
    return levels, [statistics.fmean(values[level]) for level in levels], spread


def _grid(
    count: int, across: int, legend: bool
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """Lay out ``count`` panels by the inch, so that nothing moves with the length of a label."""
    down = -(-count // across)
    head = 0.54 if across > 2 or not legend else 0.8
    bottom, left, right, gap, panel = 0.5, 0.42, 0.12, 0.6, 1.15
    width, height = WIDE * across if across > 2 else NARROW, head + bottom + down * (panel + gap)
    figure = blank(width, height)
    step = (width - left - right + 0.3) / across
    panels: list[matplotlib.axes.Axes] = []
    for index in range(count):
        row, column = divmod(index, across)
        y = height - head - (row + 1) * (panel + gap)
        box = ((left + column * step) / width, y / height, (step - 0.3) / width, panel / height)
        panels.append(
            figure.add_axes(
                box, sharex=panels[0] if panels else None, sharey=panels[0] if panels else None
            )
        )
    return figure, panels


def _scale(
    panels: Sequence["matplotlib.axes.Axes"], across: int, column: str, curves: Mapping[str, tuple]
) -> None:
    """Give all panels one scale, and numbers only at the left and lower rims."""
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
    """Say once, above and below the panels, what the lines and the damage are."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    seeds = len({row.get("seed") for row in rows})
    bars = f"the memory, ± 1 s.d. over {seeds} seeds" if seeds > 1 else "the memory"
    lines = [Line2D([], [], color=BLUE, marker="o", label=bars)]
    lines += [
        Line2D([], [], color=QUIET, linestyle=dash, linewidth=1.1, label=wrap(title, 40))
        for title, dash in behind.items()
    ]
    place, columns = (0.1 / width, 1 - 0.36 / height), len(lines) if across > 2 else 1
    figure.legend(
        handles=lines,
        loc="upper left",
        bbox_to_anchor=place,
        ncols=columns,
        columnspacing=2.2,
        labelspacing=0.35,
    )
    damage = str(rows[0]["damage"])
    boxes = [axes.get_position() for axes in figure.axes]
    middle = (min(box.x0 for box in boxes) + max(box.x1 for box in boxes)) / 2
    figure.text(
        middle, 0.1 / height, DAMAGES.get(damage, f"damage ({damage})"), ha="center", va="bottom"
    )


def _weight_line(
    axes: "matplotlib.axes.Axes", title: str, points: Sequence[tuple[float, float]], index: int
) -> list[tuple[float, float]]:
    """Draw one line down to its last weight worth drawing; return the points drawn."""
    colour, marker, dash = LOOKS[index % len(LOOKS)]
    drawn = [point for point in points if point[1] >= FLOOR]
    every = max(1, len(drawn) // 8)
    places = (index * every // 2 % every, every)
    far, weights = [x for x, _ in drawn], [y for _, y in drawn]
    axes.plot(
        far,
        weights,
        color=colour,
        marker=marker,
        markevery=places,
        linestyle=dash,
        label=title,
        clip_on=False,
    )
    if drawn and len(drawn) < len(points) and points[len(drawn)][1] == 0:
        axes.plot(
            *drawn[-1],
            color=colour,
            marker="o",
            markerfacecolor="white",
            markersize=6,
            linestyle="none",
            zorder=3,
        )
    return drawn


def _pictures(pictures: Sequence[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """Return the pictures as numbers from 0 to 1, all of one shape."""
    must = "arrays of one shape (k, h, w) or (k, h, w, 3) with values from -1 to 1"
    if not pictures:
        refuse(
            "pictures",
            must="one pair of title and pictures or more",
            got="empty",
            do="add the originals first",
        )
    arrays = [np.asarray(array, dtype=np.float64) for _, array in pictures]
    for (title, _), array in zip(pictures, arrays, strict=True):
        shaped = (
            array.shape == arrays[0].shape
            and (array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3))
            and array.size
        )
        if not shaped or not (np.abs(array) <= 1).all():
            got = (
                f"shape {array.shape} with values from {array.min():g} to {array.max():g}"
                if array.size
                else f"shape {array.shape}"
            )
            refuse(
                f"pictures of {title!r}",
                must=must,
                got=got,
                do="reshape them, or scale them with x / abs(x).max()",
            )
    return [(array + 1) / 2 for array in arrays]
