"""What the figures of heads share: rows that can be drawn, colours of layers, and labels that keep apart."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import refuse
from kanerva.lab.plot._style import blank, headline, wrap

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["apart", "balanced", "check", "key", "panels", "shades"]

Row = Mapping[str, Any]


def check(rows: Sequence[Row], numbers: Sequence[str], measures: Sequence[str] = ()) -> None:
    """Refuse rows that cannot be drawn: ``numbers`` must be there, ``measures`` may be None."""
    if not rows:
        refuse("rows", must="one row or more", got="empty", do="examine a model first")
    for row in rows:
        for column in (*numbers, *measures):
            if column not in row:
                refuse(
                    "rows",
                    must=f"dicts with the key {column!r}",
                    got=f"a row with {', '.join(map(repr, row))}",
                    do="add it",
                )
            if column in numbers or row[column] is not None:
                checks.number(f"rows, column {column!r},", row[column])


def shades(layers: Sequence[int]) -> dict[int, Any]:
    """Give each layer a colour, from light for the first to dark for the last."""
    import matplotlib

    scale = matplotlib.colormaps["viridis_r"]
    return {
        layer: scale(0.15 + 0.85 * place / max(1, len(layers) - 1))
        for place, layer in enumerate(layers)
    }


def key(
    figure: "matplotlib.figure.Figure", layers: Sequence[int], extra: Sequence[Any] = ()
) -> None:
    """Say below the headline which colour is which layer: of many layers a few are named."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    named = (
        layers
        if len(layers) <= 6
        else sorted({layers[round(place * (len(layers) - 1) / 4)] for place in range(5)})
    )
    colours = shades(layers)
    handles = [
        Line2D([], [], color=colours[layer], linewidth=2, label=f"layer {layer}") for layer in named
    ]
    anchor, columns = (0.1 / width, 1 - 0.36 / height), 4 if width < 5 else 8
    look: dict[str, Any] = {"handlelength": 1.4, "columnspacing": 1.5, "labelspacing": 0.3}
    figure.legend(
        handles=[*handles, *extra], loc="upper left", bbox_to_anchor=anchor, ncols=columns, **look
    )


def panels(
    title: str, labels: Sequence[tuple[str, str]], narrow: bool, head: float
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """Lay out one panel or two by the inch, side by side or, where narrow, one below the other.

    A panel has a label along the bottom and one that is written above it, where it can be read.
    """
    width = 4.4 if narrow or len(labels) == 1 else 8.0
    across = 1 if narrow else len(labels)
    down = -(-len(labels) // across)
    left, right, above, below, tall = 0.5, 0.14, 0.26, 0.5, 2.2
    height = head + down * (above + tall + below)
    figure = blank(width, height)
    step = width / across
    drawn = []
    for place, (along, upward) in enumerate(labels):
        row, column = divmod(place, across)
        y = height - head - (row + 1) * (above + tall + below) + below
        axes = figure.add_axes(
            (
                (left + column * step) / width,
                y / height,
                (step - left - right) / width,
                tall / height,
            )
        )
        axes.set_xlabel(along, labelpad=5)
        axes.set_title(upward, loc="left", fontsize=8.5, pad=6)
        drawn.append(axes)
    headline(figure, title)
    return figure, drawn


def balanced(title: str, width: int, lines: int = 2) -> str:
    """Break a title into as few lines as it needs, of like lengths.

    Example:
        >>> balanced("circles at the radius of the head's beta", 38).splitlines()
        ['circles at the radius', "of the head's beta"]
    """
    text = wrap(title, width, lines)
    return next(
        (
            found
            for less in range(1, width)
            if (found := wrap(title, less, 99)).count("\n") == text.count("\n")
        ),
        text,
    )


def apart(places: Sequence[float], gaps: Sequence[float], low: float, high: float) -> list[float]:
    """Move labels until neighbours are as far apart as their sizes ask, as little as can be and within limits where they fit.

    Args:
        places: where they would stand.
        gaps: the room that each needs.
        low: no label reaches below.
        high: nor above.

    Returns:
        where they stand, in the order given.

    Example:
        >>> apart([1.0, 1.0, 5.0], [1.0, 1.0, 1.0], 0.0, 9.0)
        [0.5, 1.5, 5.0]
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    clusters: list[
        tuple[list[int], float]
    ] = []  # labels that touch, and where the middle of their room is
    for index in order:
        members, middle = [index], places[index]
        while True:
            room = sum(gaps[member] for member in members)
            middle = max(low + room / 2, min(high - room / 2, middle))
            if (
                not clusters
                or clusters[-1][1] + sum(gaps[member] for member in clusters[-1][0]) / 2
                <= middle - room / 2
            ):
                break
            members = [*clusters.pop()[0], *members]
            middle = sum(places[member] for member in members) / len(members)
        clusters.append((members, middle))
    found = dict.fromkeys(order, 0.0)
    for members, middle in clusters:
        edge = middle - sum(gaps[member] for member in members) / 2
        for member in members:
            found[member] = edge + gaps[member] / 2
            edge += gaps[member]
    return [found[index] for index in range(len(places))]
