"""Recall against damage: a panel for each memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._multiples import Curves, Labels, check, drawn, gathered, percent
from kanerva.lab.plot._rows import Row, number
from kanerva.lab.plot._style import power, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["recall_curves"]

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


@door("plot.recall_curves")
def recall_curves(
    rows: Sequence[Row], column: str = "exact", *, across: int = 4
) -> "matplotlib.figure.Figure":
    """Draw one measure against the damage, in a small panel for each memory.

    Ten lines in one panel would cover each other wherever the memories agree, which is at both ends
    of the scale. Each code has a line in every panel. The baselines are drawn behind, dashed: in
    grey where they are the same in all codes, otherwise in a lighter colour of their code, so each
    panel shows the distance to the exact nearest neighbour. A point is the mean over seeds, a bar
    one standard deviation to either side.

    Args:
        rows: a dict for each (memory, code, level, seed) with ``memory``, ``title``, ``damage``,
            ``level`` and ``column``, and ``codec``, the name of the code, ``"none"`` where it is
            absent. The memories ``"cue"`` and ``"nearest"`` are the baselines. ``None`` is not
            drawn.
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
    damage = str(rows[0]["damage"])
    curves = gathered(rows, "level", column)
    title = SHARES.get(column) or SIZES.get(column) or column
    with styled():
        label = DAMAGES.get(damage, f"damage ({damage})")
        figure, panels = drawn(curves, across, Labels(title, label))
        _scale(panels[0], column, curves)
    return figure


def _check(rows: Sequence[Row], column: str) -> None:
    """Refuse rows that cannot be drawn."""
    check(rows, ("damage", "level"), column)
    for row in rows:
        number(row, "level", 0)
    damages = list(dict.fromkeys(str(row["damage"]) for row in rows))
    if len(damages) > 1:
        got = " and ".join(damages)
        refuse("rows", must="of one kind of damage", got=got, do="draw a figure for each")


def _scale(axes: "matplotlib.axes.Axes", column: str, curves: Curves) -> None:
    """Scale the axes, which all panels share."""
    from matplotlib.ticker import MaxNLocator

    levels = [level for curve in curves.each() for level in curve[0]] or [0.0, 1.0]
    slack = 0.03 * max(levels) or 0.05
    axes.set_xlim(-slack, max(levels) + slack)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda level, _: f"{100 * level:g}%")
    if column in SHARES:
        percent(axes)
        return
    values = [value for curve in curves.each() for value in curve[1]] or [1.0]
    if min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(power)
        axes.minorticks_off()
