"""Ratios of times: a line for each operation, a dot for each implementation of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core.errors import door
from kanerva.lab.plot._rows import Row, number, require
from kanerva.lab.plot._style import FAINT, INK, LOOKS, NARROW, QUIET, blank, headline, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["benchmark_dots"]

LIMIT = "limit of the machine"
# Inches: a line, the gap between groups of lines, and the margins.
LINE, GAP, LEFT, RIGHT, FOOT = 0.185, 0.09, 1.72, 0.16, 0.46


@door("plot.benchmark_dots")
def benchmark_dots(
    rows: Sequence[Row], title: str = "Time of others, as a multiple of kanerva's", note: str = ""
) -> "matplotlib.figure.Figure":
    """Draw ratios of times on a logarithmic axis: 1 is kanerva, larger ratios are slower.

    Args:
        rows: dicts with ``label`` (a line of the figure), ``series`` (an implementation, with a dot
            on each line; that of ``"limit of the machine"`` is a bar) and ``ratio`` > 0. Lines are
            in the order of the rows; a gap separates lines whose labels differ before the comma.
        title: of the figure.
        note: the text below the axis.

    Returns:
        a figure 4.4 inches wide.

    Raises:
        InputError: there are no rows, a key is missing, a ratio is no number above 0, or matplotlib
            is not installed.

    Example:
        >>> from kanerva.lab.plot.benchmarks import benchmark_dots
        >>> row = dict(label="read, B=1", series="torch-hd", ratio=20.0)
        >>> figure = benchmark_dots([row, row | dict(series="plain NumPy", ratio=50.0)])
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['torch-hd', 'plain NumPy']
    """
    require(rows, ("label", "series", "ratio"), "run kanerva bench first")
    for row in rows:
        number(row, "ratio", 0, open_low=True)
    series = list(dict.fromkeys(str(row["series"]) for row in rows if row["series"] != LIMIT))
    places, tall = _lines(rows)
    names = [*series, *([LIMIT] if any(row["series"] == LIMIT for row in rows) else [])]
    columns = 2 if max(map(len, names)) > 16 else 3
    head = 0.6 + 0.17 * -(-len(names) // columns)
    height = head + tall + FOOT
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        size = ((NARROW - LEFT - RIGHT) / NARROW, tall / height)
        axes = figure.add_axes((LEFT / NARROW, FOOT / height, *size))
        for y in places.values():
            axes.axhline(y, color=FAINT, linewidth=0.8, zorder=0)
        axes.axvline(1.0, color=INK, linewidth=1.4, zorder=2)
        axes.text(1.0, tall + 0.03, "kanerva", ha="center", va="bottom", fontsize=8, color=INK)
        for name in names:
            mine = [row for row in rows if row["series"] == name]
            points = [(row["ratio"], places[str(row["label"])]) for row in mine]
            axes.plot(*zip(*points, strict=True), label=name, **_look(name, series))
        _scale(axes, places, tall)
        look = {"columnspacing": 1.4, "handletextpad": 0.2, "labelspacing": 0.3}
        anchor = (0.1 / NARROW, 1 - 0.34 / height)
        figure.legend(loc="upper left", bbox_to_anchor=anchor, ncols=columns, **look)
        figure.text(0.1 / NARROW, 0.07 / height, note, fontsize=8, color=QUIET)
    return figure


def _lines(rows: Sequence[Row]) -> tuple[dict[str, float], float]:
    """Return the height of each label in inches, the first on top, and the height of them all."""
    labels = list(dict.fromkeys(str(row["label"]) for row in rows))
    depth, before, depths = LINE * 0.6, labels[0].split(",")[0], {}
    for label in labels:
        first = label.split(",")[0]
        depth += 0.0 if first == before else GAP
        depths[label], before = depth, first
        depth += LINE
    tall = depth - LINE * 0.4
    return {label: tall - depth for label, depth in depths.items()}, tall


def _look(name: str, series: Sequence[str]) -> dict[str, Any]:
    """Return marker and colour of a series."""
    look: dict[str, Any] = {"linestyle": "none"}
    if name == LIMIT:
        bar = {"marker": "|", "markersize": 8, "markeredgewidth": 1.6}
        return look | bar | {"color": INK, "zorder": 3}
    colour, marker, _ = LOOKS[series.index(name) % len(LOOKS)]
    return look | {"marker": marker, "color": colour, "markersize": 4.6, "zorder": 4}


def _scale(axes: "matplotlib.axes.Axes", places: Mapping[str, float], tall: float) -> None:
    from matplotlib.ticker import NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, tall)
    axes.set_yticks(list(places.values()), list(places), color=INK, fontsize=7.5)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
