"""Draw times as multiples of one: a line for each operation, a dot for each way to do it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._style import FAINT, INK, LOOKS, NARROW, QUIET, blank, headline, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["benchmark_dots"]

Row = Mapping[str, Any]
LIMIT = "limit of the machine"
LINE, GAP, LEFT, RIGHT, FOOT = 0.185, 0.09, 1.72, 0.16, 0.46


@door("plot.benchmark_dots")
def benchmark_dots(
    rows: Sequence[Row], title: str = "Time of others, as a multiple of kanerva's", note: str = ""
) -> "matplotlib.figure.Figure":
    """Draw ratios on a logarithmic axis: 1 is ours, to the right is slower.

    Args:
        rows: dicts with ``label`` (a line of the figure), ``series`` (whose dot it is; ``"limit of the machine"`` is drawn as a
            bar) and ``ratio`` > 0. Lines stand in the order in which they come; a gap parts those whose first words differ.
        title: what the figure shows.
        note: what stands below the axis.

    Returns:
        a figure 4.4 inches wide.

    Raises:
        InputError: there are no rows, a key is missing, or a ratio is no number above 0; matplotlib is not installed.

    Example:
        >>> from kanerva.lab.plot.benchmarks import benchmark_dots
        >>> rows = [dict(label="read, B=1", series="torch-hd", ratio=20.0), dict(label="read, B=1", series="plain NumPy", ratio=50.0)]
        >>> [float(line.get_xdata()[0]) for line in benchmark_dots(rows).axes[0].lines if line.get_marker() == "o"]
        [20.0]
    """
    _check(rows)
    series = list(dict.fromkeys(str(row["series"]) for row in rows if row["series"] != LIMIT))
    places, tall = _lines(rows)
    names = [*series, *([LIMIT] if any(row["series"] == LIMIT for row in rows) else [])]
    columns = 2 if max(map(len, names)) > 16 else 3
    head = 0.6 + 0.17 * -(-len(names) // columns)
    height = head + tall + FOOT
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        axes = figure.add_axes(
            (LEFT / NARROW, FOOT / height, (NARROW - LEFT - RIGHT) / NARROW, tall / height)
        )
        for y in places.values():
            axes.axhline(y, color=FAINT, linewidth=0.8, zorder=0)
        axes.axvline(1.0, color=INK, linewidth=1.4, zorder=2)
        axes.text(1.0, tall + 0.03, "kanerva", ha="center", va="bottom", fontsize=8, color=INK)
        for name in names:
            some = [
                (row["ratio"], places[str(row["label"])]) for row in rows if row["series"] == name
            ]
            axes.plot(*zip(*some, strict=True), label=name, **_look(name, series))
        _scale(axes, places, tall)
        anchor = (0.1 / NARROW, 1 - 0.34 / height)
        figure.legend(
            loc="upper left",
            bbox_to_anchor=anchor,
            ncols=columns,
            columnspacing=1.4,
            handletextpad=0.2,
            labelspacing=0.3,
        )
        figure.text(0.1 / NARROW, 0.07 / height, note, fontsize=8, color=QUIET)
    return figure


def _check(rows: Sequence[Row]) -> None:
    if not rows:
        refuse("rows", must="one row or more", got="empty", do="run kanerva bench first")
    for row in rows:
        for column in ("label", "series", "ratio"):
            if column not in row:
                refuse(
                    "rows",
                    must=f"dicts with the key {column!r}",
                    got=f"a row with {', '.join(map(repr, row))}",
                    do="add it",
                )
        checks.number("rows, column 'ratio',", row["ratio"], 0, open_low=True)


def _lines(rows: Sequence[Row]) -> tuple[dict[str, float], float]:
    """Give each label its height in inches, the first on top, and say how tall all are."""
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
    if name == LIMIT:
        return {
            "linestyle": "none",
            "marker": "|",
            "color": INK,
            "markersize": 8,
            "markeredgewidth": 1.6,
            "zorder": 3,
        }
    colour, marker, _ = LOOKS[series.index(name) % len(LOOKS)]
    return {"linestyle": "none", "marker": marker, "color": colour, "markersize": 4.6, "zorder": 4}


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
