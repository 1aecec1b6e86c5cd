"""Draw what a transformer keeps when memories take the place of its heads."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._rows import apart, balanced, check
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

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["replacement_bars", "replacement_curve"]

Row = Mapping[str, Any]

KEPT = {
    "embedding": ("cosine of the embedding", BLUE, "o"),
    "nearest": ("nearest text stays", VERMILION, "s"),
    "neighbours": ("of ten neighbours stay", GREEN, "^"),
}
NATS = {
    "loss": ("loss, nats a token", ORANGE, "D"),
    "divergence": ("divergence, nats a token", PURPLE, "v"),
}


@door("plot.replacement_curve")
def replacement_curve(
    sweep: Sequence[Row], effects: Sequence[Row] = (), *, narrow: bool = False
) -> "matplotlib.figure.Figure":
    """Draw what is kept with circles of one radius after another in the place of every head, beside other replacements.

    Args:
        sweep: a dict for each radius with ``radius``, ``embedding``, ``unreached`` and, of language models, ``loss`` and
            ``loss_before``.
        effects: a dict for each named replacement with ``title`` and the same numbers: a labelled level each.
        narrow: draw for a phone.

    Returns:
        a figure 6.6 inches wide, or 4.4: the cosine of embeddings, or the loss where there is one; below it the share of the
        queries that find nothing in reach.

    Raises:
        InputError: there are no rows, a row lacks a column, or a number is not finite.

    Example:
        >>> sweep = [dict(radius=radius, embedding=0.1 * radius, unreached=0.0) for radius in (4, 8)]
        >>> figure = replacement_curve(sweep, [dict(title="the nearest token alone", embedding=0.7)])
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
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        figure = blank(width, height)
        box = (0.5 / width, (width - 0.5 - (side if levels else 0.14)) / width)
        axes = figure.add_axes((box[0], (foot + low + gap) / height, box[1], tall / height))
        quiet = figure.add_axes((box[0], foot / height, box[1], low / height), sharex=axes)
        points = sorted((row["radius"], row[column]) for row in sweep if row[column] is not None)
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=BLUE,
            marker="o",
            markersize=3.6,
            clip_on=False,
            zorder=4,
        )
        empty = sorted(
            (row["radius"], row["unreached"]) for row in sweep if row["unreached"] is not None
        )
        quiet.fill_between([x for x, _ in empty], [y for _, y in empty], color=FAINT, linewidth=0)
        quiet.plot([x for x, _ in empty], [y for _, y in empty], color=QUIET, linewidth=1.1)
        quiet.set_ylim(0, 1)
        quiet.yaxis.set_major_locator(MaxNLocator(2))
        quiet.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        quiet.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        quiet.set_xlim(
            min(row["radius"] for row in sweep) - 0.6, max(row["radius"] for row in sweep) + 0.6
        )
        quiet.set_title("queries with nothing in reach", loc="left", fontsize=8, color=QUIET, pad=4)
        quiet.set_xlabel("radius of the circles, bits", labelpad=5)
        axes.tick_params(labelbottom=False)
        _limit(axes, [y for _, y in points] + [y for y, _ in levels], column)
        _label(axes, levels, (tall, 21 if narrow else 34))
        headline(figure, "Circles of one radius in the place of every head")
        what = (
            "loss, nats a token"
            if column == "loss"
            else "cosine of a text's embedding, after and before"
        )
        figure.text(0.1 / width, 1 - 0.32 / height, what, fontsize=8, color=QUIET, va="top")
    return figure


@door("plot.replacement_bars")
def replacement_bars(effects: Sequence[Row], *, narrow: bool = False) -> "matplotlib.figure.Figure":
    """Draw what each replacement keeps, as dots on a line each, that which keeps most at the top.

    Args:
        effects: a dict for each replacement with ``title`` and, where they were measured, ``embedding``, ``nearest`` and
            ``neighbours`` (from 0 to 1) and ``loss``, ``loss_before`` and ``divergence`` (nats). None is not drawn.
        narrow: draw for a phone.

    Returns:
        a figure 6.6 inches wide, or 4.4, with a panel for what is kept; of language models 8.8, with panels for loss and divergence.

    Raises:
        InputError: there are no rows, a row has no title or none of the numbers, or a number is not finite.

    Example:
        >>> figure = replacement_bars([dict(title="the nearest token alone", embedding=0.8, nearest=0.5, neighbours=0.48)])
        >>> len(figure.axes)
        1
    """
    looks = {**KEPT, **NATS}
    for row in effects:
        check([{"title": 0} | {one: row.get(one) for one in looks}], (), tuple(looks))
    there = [one for one in looks if any(row.get(one) is not None for row in effects)]
    if not there:
        got = "empty" if not effects else f"a row with {', '.join(map(repr, effects[0]))}"
        refuse(
            "rows", must=f"dicts with one of {', '.join(looks)}", got=got, do="replace heads first"
        )
    order = sorted(
        effects,
        key=lambda row: (
            row.get(there[0]) is None,
            (-1 if there[0] in KEPT else 1) * (row.get(there[0]) or 0.0),
        ),
    )
    groups = [
        group
        for group in (
            [one for one in there if one in KEPT],
            *([one] for one in there if one in NATS),
        )
        if group
    ]
    width, side, line = (
        (NARROW, 1.62, 0.4) if narrow else (6.6 if len(groups) == 1 else 8.8, 2.3, 0.3)
    )
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
            axes = figure.add_axes(
                ((side + column * step) / width, y / height, (step - 0.3) / width, tall / height)
            )
            _dots(axes, order, group, (24 if narrow else 38) if column == 0 else 0)
        if legend:
            dots = [one for one in figure.axes[0].lines if not str(one.get_label()).startswith("_")]
            look: dict[str, Any] = {"columnspacing": 2.0, "labelspacing": 0.3, "handlelength": 1.2}
            anchor = (0.1 / width, 1 - 0.36 / height)
            figure.legend(
                handles=dots,
                loc="upper left",
                bbox_to_anchor=anchor,
                ncols=1 if narrow else 3,
                **look,
            )
        headline(
            figure, "What replacements keep" if groups[0][0] in KEPT else "What replacements change"
        )
    return figure


def _levels(sweep: Sequence[Row], effects: Sequence[Row], column: str) -> list[tuple[float, str]]:
    """Return the numbers that the curve stands beside, with their titles; of a loss also that of the model as it is."""
    found = [(row.get(column), str(row.get("title", ""))) for row in effects]
    if column == "loss":
        found.append(
            (
                next(
                    (row["loss_before"] for row in sweep if row.get("loss_before") is not None),
                    None,
                ),
                "the model as it is",
            )
        )
    return [
        (checks.number(f"effects, column {column!r},", value), title)
        for value, title in found
        if value is not None
    ]


def _limit(axes: "matplotlib.axes.Axes", values: Sequence[float], column: str) -> None:
    if not values:
        return
    low, high = min(values), max(values)
    slack = 0.06 * (high - low) or 0.05
    axes.set_ylim(low - slack, max(1.0, high) if column == "embedding" else high + slack)


def _label(
    axes: "matplotlib.axes.Axes", levels: Sequence[tuple[float, str]], size: tuple[float, int]
) -> None:
    """Draw each level across and write its title in the margin, moved aside where titles would meet."""
    inches, letters = size
    low, high = axes.get_ylim()
    texts = [balanced(title, letters, 3) for _, title in levels]
    gaps = [(0.145 + 0.125 * text.count("\n")) / inches for text in texts]
    wanted = [(value - low) / (high - low) for value, _ in levels]
    for (value, _), text, where in zip(levels, texts, apart(wanted, gaps, -0.25, 1.1), strict=True):
        axes.axhline(value, color="#b6bcc4", linestyle=(0, (4, 2)), linewidth=1.0, zorder=2)
        start = (value - low) / (high - low)
        axes.plot(
            [1, 1.012, 1.04, 1.05],
            [start, start, where, where],
            color="#b6bcc4",
            linewidth=0.8,
            transform=axes.transAxes,
            clip_on=False,
        )
        look: dict[str, Any] = {"va": "center", "fontsize": 7.5, "color": INK, "linespacing": 1.1}
        axes.text(1.06, where, text, transform=axes.transAxes, **look)


def _dots(
    axes: "matplotlib.axes.Axes", rows: Sequence[Row], columns: Sequence[str], letters: int
) -> None:
    """Draw one panel of dots: a line for each row, a kind of dot for each column; ``letters`` of a title fit beside it, 0 for none."""
    from matplotlib.ticker import MaxNLocator

    axes.grid(False)
    axes.grid(axis="x", color=FAINT)
    axes.hlines(
        range(len(rows)),
        0,
        1,
        color=FAINT,
        linewidth=0.8,
        transform=axes.get_yaxis_transform(),
        zorder=1,
    )
    for place, column in enumerate(columns):
        title, colour, marker = {**KEPT, **NATS}[column]
        aside = (
            (0.0, -0.15, 0.15)[place] if len(columns) > 2 else 0.0
        )  # so that equal numbers do not hide each other
        points = [
            (row[column], line + aside)
            for line, row in enumerate(rows)
            if row.get(column) is not None
        ]
        look: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "markersize": 5.5,
            "linestyle": "none",
            "clip_on": False,
        }
        axes.plot(
            [x for x, _ in points], [y for _, y in points], label=title, zorder=5 - place, **look
        )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(
        range(len(rows)),
        labels=[balanced(str(row.get("title", "")), letters, 3) if letters else "" for row in rows],
    )
    axes.tick_params(axis="y", labelcolor=INK, labelsize=8)
    axes.spines["left"].set_visible(False)
    values = [row[one] for row in rows for one in columns if row.get(one) is not None]
    if columns[0] in KEPT:
        axes.set_xlim(min([0.0, *values]), 1)
    else:
        before = (
            next((row["loss_before"] for row in rows if row.get("loss_before") is not None), None)
            if columns == ["loss"]
            else 0.0
        )
        values += [] if before is None else [before]
        slack = 0.08 * (max(values) - min(values)) or 0.1
        axes.set_xlim(min(values) - slack, max(values) + slack)
        if columns == ["loss"] and before is not None:
            axes.axvline(before, color=QUIET, linestyle=(0, (4, 2)), linewidth=1.1, zorder=2)
            axes.annotate(
                "before",
                (before, 0),
                (4, 2),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                fontsize=7,
                color=QUIET,
            )
    axes.xaxis.set_major_locator(MaxNLocator(6 if axes.get_position().width > 0.35 else 3))
    if len(columns) == 1:
        axes.set_title({**KEPT, **NATS}[columns[0]][0], loc="left", fontsize=8.5, pad=5)
