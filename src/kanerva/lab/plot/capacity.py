"""Recall against the number of patterns stored: a panel for each memory."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._multiples import Labels, check, drawn, gathered, percent
from kanerva.lab.plot._rows import Row, number
from kanerva.lab.plot._style import QUIET, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["capacity_curves"]

TITLE = "Cues recalled exactly, by patterns stored"


@door("plot.capacity_curves")
def capacity_curves(
    sizes: Sequence[Row], share: float = 0.95, *, across: int = 4
) -> "matplotlib.figure.Figure":
    """Draw the share of cues recalled exactly against the number of patterns stored.

    There is a small panel for each memory with a line for each code. The nearest neighbour is drawn
    behind, dashed: in grey where it is the same in all codes, otherwise in a lighter colour of its
    code. A memory holds as many patterns as it has stored where its line crosses the horizontal
    line at ``share``. A point is the mean over seeds, a bar one standard deviation to either side.

    Args:
        sizes: a dict for each (memory, code, number stored, seed) with ``memory``, ``title``,
            ``codec`` (``"none"`` where it is absent), ``level`` of damage, ``stored``, the number
            of patterns, and ``exact``, the share of cues recalled exactly. The memory ``"nearest"``
            is the baseline. ``None`` in ``exact`` is not drawn.
        share: of the cues, in (0, 1], that the horizontal line marks.
        across: the largest number of panels in a row, >= 1; 4 for a desktop page, 2 for a phone.

    Returns:
        a figure 2.2 inches wide for each panel across, and 4.4 inches for one or two.

    Raises:
        InputError: there are no rows, a row lacks a column, a number is out of its range or NaN, or
            there is more than one level of damage.

    Example:
        >>> size = dict(memory="sdm", title="SDM", codec="none", level=0.1, seed=0)
        >>> figure = capacity_curves([size | dict(stored=n, exact=4 / n) for n in (4, 8, 16)])
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['4', '8', '16']
    """
    across = checks.integer("across", across, 1)
    share = checks.number("share", share, 0, 1, open_low=True)
    _check(sizes)
    curves = gathered(sizes, "stored", "exact")
    with styled():
        from matplotlib.lines import Line2D

        look: dict[str, Any] = {"color": QUIET, "linewidth": 0.8}
        marked = Line2D([], [], label=f"{100 * share:.4g}% of the cues", **look)
        label = f"patterns stored; damage of the cues: {100 * float(sizes[0]['level']):.4g}%"
        figure, panels = drawn(curves, across, Labels(TITLE, label, [marked]))
        for panel in panels:
            panel.axhline(share, zorder=1.2, **look)
        inches = panels[0].get_position().width * figure.get_size_inches()[0]
        stored = [size for curve in curves.each() for size in curve[0]] or [1.0, 2.0]
        _scale(panels[0], stored, inches)
    return figure


def _check(sizes: Sequence[Row]) -> None:
    """Refuse rows that cannot be drawn."""
    check(sizes, ("level", "stored"), "exact")
    for row in sizes:
        number(row, "level", 0)
        number(row, "stored", 1)
    levels = sorted({float(row["level"]) for row in sizes})
    if len(levels) > 1:
        got = ", ".join(f"{level:g}" for level in levels)
        refuse("rows", must="of one level of damage", got=got, do="draw a figure for each")


def _scale(axes: "matplotlib.axes.Axes", sizes: Sequence[float], inches: float) -> None:
    """Scale the axes, which all panels share; the horizontal one is logarithmic."""
    from matplotlib.ticker import FixedLocator

    low, high = min(sizes), max(sizes)
    slack = 2 ** (0.03 * math.log2(high / low) or 0.5)
    axes.set_xscale("log", base=2)
    axes.set_xlim(low / slack, high * slack)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(low, high, inches)))
    axes.xaxis.set_major_formatter(lambda size, _: f"{size:,.0f}")
    axes.minorticks_off()
    percent(axes)


def _ticks(low: float, high: float, inches: float) -> list[float]:
    """Return powers of two whose labels stay apart; both ends where no power is between them."""
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    if first > last:
        return sorted({low, high})
    room = 0.05 + 0.068 * len(f"{2**last:,}")
    octave = inches / max(1.0, math.log2(high / low))
    return [2.0**power for power in range(first, last + 1, math.ceil(room / octave))]
