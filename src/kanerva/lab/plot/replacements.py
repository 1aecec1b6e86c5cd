"""The embedding or the loss of a transformer whose heads are replaced by memories."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._rows import Row, check
from kanerva.lab.plot._style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    NARROW,
    ORANGE,
    PURPLE,
    QUIET,
    VERMILION,
    blank,
    headline,
    styled,
)
from kanerva.lab.plot.labels import apart, balanced

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["replacement_bars", "replacement_curve"]

# Title, colour and marker of each measure: shares that are kept, and losses.
KEPT = {
    "embedding": ("cosine of the embedding", BLUE, "o"),
    "nearest": ("nearest text stays", VERMILION, "s"),
    "neighbours": ("of ten neighbours stay", GREEN, "^"),
}
NATS = {
    "loss": ("loss, nats a token", ORANGE, "D"),
    "divergence": ("divergence, nats a token", PURPLE, "v"),
}
LOOKS = {**KEPT, **NATS}
RULE = "#b6bcc4"


@door("plot.replacement_curve")
def replacement_curve(
    sweep: Sequence[Row], effects: Sequence[Row] = (), *, narrow: bool = False
) -> "matplotlib.figure.Figure":
    """Draw the result of replacing every head by circles of one radius, against the radius.

    Args:
        sweep: a dict for each radius with ``radius``, ``embedding``, ``unreached`` and, for
            language models, ``loss`` and ``loss_before``.
        effects: a dict for each other replacement with ``title`` and the same numbers; each is
            drawn as a labelled horizontal line.
        narrow: draw for a phone.

    Returns:
        a figure 6.6 inches wide, or 4.4: the cosine of embeddings, or the loss where there is one;
        below it the share of the queries without a key within the radius.

    Raises:
        InputError: there are no rows, a row lacks a column, or a number is not finite.

    Example:
        >>> sweep = [dict(radius=size, embedding=0.1 * size, unreached=0.0) for size in (4, 8)]
        >>> figure = replacement_curve(sweep, [dict(title="the nearest token", embedding=0.7)])
        >>> figure.axes[0].lines[0].get_xydata().tolist()
        [[4.0, 0.4], [8.0, 0.8]]
    """
    column = "loss" if any(row.get("loss") is not None for row in sweep) else "embedding"
    check(sweep, ("radius",), (column, "unreached"))
    levels = _levels(sweep, effects, column)
    width, side = (NARROW, 1.5) if narrow else (6.6, 2.2)
    head, tall, gap, low, foot = 0.64, 2.5, 0.36, 0.55, 0.48
    height = head + tall + gap + low + foot
    with styled():
        figure = blank(width, height)
        left, along = 0.5 / width, (width - 0.5 - (side if levels else 0.14)) / width
        axes = figure.add_axes((left, (foot + low + gap) / height, along, tall / height))
        below = figure.add_axes((left, foot / height, along, low / height), sharex=axes)
        points = _points(sweep, column)
        look: dict[str, Any] = {"marker": "o", "markersize": 3.6, "clip_on": False, "zorder": 4}
        axes.plot([x for x, _ in points], [y for _, y in points], color=BLUE, **look)
        _unreached(below, sweep)
        axes.tick_params(labelbottom=False)
        _limit(axes, [y for _, y in points] + [y for y, _ in levels], column)
        _label(axes, levels, (tall, 21 if narrow else 34))
        headline(figure, "Circles of one radius in the place of every head")
        what = "cosine of a text's embedding, after and before"
        what = NATS["loss"][0] if column == "loss" else what
        figure.text(0.1 / width, 1 - 0.32 / height, what, fontsize=8, color=QUIET, va="top")
    return figure


@door("plot.replacement_bars")
def replacement_bars(effects: Sequence[Row], *, narrow: bool = False) -> "matplotlib.figure.Figure":
    """Draw the measures of each replacement as dots on a line each, the best replacement on top.

    Args:
        effects: a dict for each replacement with ``title`` and, where they were measured,
            ``embedding``, ``nearest`` and ``neighbours`` (from 0 to 1) and ``loss``,
            ``loss_before`` and ``divergence`` (nats). None is not drawn.
        narrow: draw for a phone.

    Returns:
        a figure 6.6 inches wide, or 4.4, with one panel for the shares that are kept; for language
        models 8.8, with further panels for loss and divergence.

    Raises:
        InputError: there are no rows, a row has no title or none of the numbers, or a number is not
            finite.

    Example:
        >>> rows = [dict(title="the nearest token", embedding=0.8, nearest=0.5, neighbours=0.48)]
        >>> len(replacement_bars(rows).axes)
        1
    """
    for row in effects:
        check([{"title": 0} | {name: row.get(name) for name in LOOKS}], (), tuple(LOOKS))
    there = [name for name in LOOKS if any(row.get(name) is not None for row in effects)]
    if not there:
        got = "empty" if not effects else f"a row with {', '.join(map(repr, effects[0]))}"
        must = f"dicts with one of {', '.join(LOOKS)}"
        refuse("rows", must=must, got=got, do="replace heads first")
    order = _best_first(effects, there[0])
    kept = [name for name in there if name in KEPT]
    groups = ([kept] if kept else []) + [[name] for name in there if name in NATS]
    width, side, line = (NARROW, 1.62, 0.4) if narrow else (6.6, 2.3, 0.3)
    if not narrow and len(groups) > 1:
        width = 8.8
    across = 1 if narrow else len(groups)
    legend = 0.17 * (3 if narrow else 1) if len(groups[0]) > 1 else 0.0
    tall, above, below = line * len(order), 0.3 if len(groups) > 1 or not legend else 0.14, 0.36
    height = 0.34 + legend + -(-len(groups) // across) * (above + tall + below)
    step = (width - side - 0.2 + 0.3) / across
    with styled():
        figure = blank(width, height)
        for place, group in enumerate(groups):
            down, column = divmod(place, across)
            y = height - 0.34 - legend - (down + 1) * (above + tall + below) + below
            size = ((step - 0.3) / width, tall / height)
            axes = figure.add_axes(((side + column * step) / width, y / height, *size))
            _panel(axes, order, group, (24 if narrow else 38) if column == 0 else 0)
        if legend:
            _legend(figure, narrow)
        verb = "keep" if kept else "change"
        headline(figure, f"What replacements {verb}")
    return figure


def _levels(sweep: Sequence[Row], effects: Sequence[Row], column: str) -> list[tuple[float, str]]:
    """Return the numbers of the other replacements with titles, and the loss before replacement."""
    found = [(row.get(column), str(row.get("title", ""))) for row in effects]
    if column == "loss":
        found.append((_before(sweep), "the model as it is"))
    name = f"effects, column {column!r},"
    return [(checks.number(name, value), title) for value, title in found if value is not None]


def _before(rows: Sequence[Row]) -> Any:
    """Return the loss before replacement, or None."""
    known = (row["loss_before"] for row in rows if row.get("loss_before") is not None)
    return next(known, None)


def _points(rows: Sequence[Row], column: str) -> list[tuple[float, float]]:
    """Return radius and value of the rows in increasing order of the radius."""
    return sorted((row["radius"], row[column]) for row in rows if row[column] is not None)


def _unreached(axes: "matplotlib.axes.Axes", sweep: Sequence[Row]) -> None:
    """Draw the share of the queries without a key within the radius."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    points = _points(sweep, "unreached")
    radii, shares = [x for x, _ in points], [y for _, y in points]
    axes.fill_between(radii, shares, color=FAINT, linewidth=0)
    axes.plot(radii, shares, color=QUIET, linewidth=1.1)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    known = [row["radius"] for row in sweep]
    axes.set_xlim(min(known) - 0.6, max(known) + 0.6)
    axes.set_title("queries with nothing in reach", loc="left", fontsize=8, color=QUIET, pad=4)
    axes.set_xlabel("radius of the circles, bits", labelpad=5)


def _limit(axes: "matplotlib.axes.Axes", values: Sequence[float], column: str) -> None:
    """Set the vertical limits; those of a cosine include 1."""
    if not values:
        return
    low, high = min(values), max(values)
    slack = 0.06 * (high - low) or 0.05
    axes.set_ylim(low - slack, max(1.0, high) if column == "embedding" else high + slack)


def _label(
    axes: "matplotlib.axes.Axes", levels: Sequence[tuple[float, str]], size: tuple[float, int]
) -> None:
    """Draw each level as a line with its title in the margin, such that titles do not overlap."""
    inches, letters = size
    low, high = axes.get_ylim()
    texts = [balanced(title, letters, 3) for _, title in levels]
    gaps = [(0.145 + 0.125 * text.count("\n")) / inches for text in texts]
    starts = [(value - low) / (high - low) for value, _ in levels]
    places = apart(starts, gaps, -0.25, 1.1)
    line: dict[str, Any] = {"color": RULE, "linewidth": 0.8, "clip_on": False}
    look: dict[str, Any] = {"va": "center", "fontsize": 7.5, "color": INK, "linespacing": 1.1}
    for (value, _), text, start, end in zip(levels, texts, starts, places, strict=True):
        axes.axhline(value, color=RULE, linestyle=(0, (4, 2)), linewidth=1.0, zorder=2)
        along, up = [1, 1.012, 1.04, 1.05], [start, start, end, end]
        axes.plot(along, up, transform=axes.transAxes, **line)
        axes.text(1.06, end, text, transform=axes.transAxes, **look)


def _best_first(rows: Sequence[Row], column: str) -> list[Row]:
    """Sort rows by a measure: the largest share or the smallest loss first, None last."""
    sign = -1 if column in KEPT else 1
    return sorted(rows, key=lambda row: (row.get(column) is None, sign * (row.get(column) or 0.0)))


def _panel(
    axes: "matplotlib.axes.Axes", rows: Sequence[Row], columns: Sequence[str], letters: int
) -> None:
    """Draw one panel: a line for each row, a kind of dot for each column.

    ``letters`` is the length of the titles beside the panel; 0 leaves them out.
    """
    from matplotlib.ticker import MaxNLocator

    axes.grid(False)
    axes.grid(axis="x", color=FAINT)
    look: dict[str, Any] = {"color": FAINT, "linewidth": 0.8, "zorder": 1}
    axes.hlines(range(len(rows)), 0, 1, transform=axes.get_yaxis_transform(), **look)
    _dots(axes, rows, columns)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    titles = [balanced(str(row.get("title", "")), letters, 3) if letters else "" for row in rows]
    axes.set_yticks(range(len(rows)), labels=titles)
    axes.tick_params(axis="y", labelcolor=INK, labelsize=8)
    axes.spines["left"].set_visible(False)
    values = [row[name] for row in rows for name in columns if row.get(name) is not None]
    if columns[0] in KEPT:
        axes.set_xlim(min([0.0, *values]), 1)
    else:
        _nats(axes, values, _before(rows) if columns[0] == "loss" else 0.0, columns[0])
    axes.xaxis.set_major_locator(MaxNLocator(6 if axes.get_position().width > 0.35 else 3))
    if len(columns) == 1:
        axes.set_title(LOOKS[columns[0]][0], loc="left", fontsize=8.5, pad=5)


def _dots(axes: "matplotlib.axes.Axes", rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Draw the dots; those of several columns are shifted, so that equal numbers stay visible."""
    shifts = (0.0, -0.15, 0.15) if len(columns) > 2 else (0.0, 0.0)
    for place, column in enumerate(columns):
        title, colour, marker = LOOKS[column]
        points = [
            (row[column], line + shifts[place])
            for line, row in enumerate(rows)
            if row.get(column) is not None
        ]
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5.5}
        look |= {"linestyle": "none", "clip_on": False, "zorder": 5 - place}
        axes.plot([x for x, _ in points], [y for _, y in points], label=title, **look)


def _nats(
    axes: "matplotlib.axes.Axes", values: list[float], before: float | None, column: str
) -> None:
    """Set the limits of a panel in nats, and mark the loss before replacement."""
    values = values + ([] if before is None else [before])
    slack = 0.08 * (max(values) - min(values)) or 0.1
    axes.set_xlim(min(values) - slack, max(values) + slack)
    if column == "loss" and before is not None:
        axes.axvline(before, color=QUIET, linestyle=(0, (4, 2)), linewidth=1.1, zorder=2)
        look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "color": QUIET}
        axes.annotate("before", (before, 0), (4, 2), xycoords=axes.get_xaxis_transform(), **look)


def _legend(figure: "matplotlib.figure.Figure", narrow: bool) -> None:
    """Add a legend of the dots of the first panel."""
    width, height = figure.get_size_inches()
    dots = [line for line in figure.axes[0].lines if not str(line.get_label()).startswith("_")]
    look: dict[str, Any] = {"columnspacing": 2.0, "labelspacing": 0.3, "handlelength": 1.2}
    look |= {"loc": "upper left", "ncols": 1 if narrow else 3}
    figure.legend(handles=dots, bbox_to_anchor=(0.1 / width, 1 - 0.36 / height), **look)
