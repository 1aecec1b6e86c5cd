"""Betas of heads while they are trained, a thin line for each head."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab.plot._panels import key, panels, shades
from kanerva.lab.plot._rows import Row, check, number, require
from kanerva.lab.plot._style import INK, VERMILION, styled
from kanerva.lab.plot.heads import OPTIMA

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["beta_paths"]

DASHES = {"noise": (0, (1, 1.6)), "snr": (0, (4, 2)), "capacity": (0, (6, 2, 1, 2))}


@door("plot.beta_paths")
def beta_paths(
    rows: Sequence[Row], optima: Mapping[str, float], *, narrow: bool = False
) -> "matplotlib.figure.Figure":
    """Draw the beta of each head against the number of updates: a thin line for each head.

    A thick line is the mean of all heads, and horizontal lines are the betas of the optimal radii.

    Args:
        rows: a dict for each head and update with ``panel``, the title of its panel, ``update``,
            ``layer``, ``head`` and ``beta``; rows whose beta is None are left out.
        optima: the optimal betas by the criteria ``"noise"``, ``"snr"`` and ``"capacity"``; other
            keys are not drawn.
        narrow: draw for a phone, with one panel below the other.

    Returns:
        a figure 8 inches wide, or 4.4, with a panel for each title; beta is logarithmic.

    Raises:
        InputError: there are no rows, a row lacks a column, or a beta is not finite.

    Example:
        >>> place = dict(panel="first beta 10", layer=0, head=0)
        >>> rows = [place | dict(update=update, beta=10.0 + update) for update in range(3)]
        >>> figure = beta_paths(rows, {"noise": 5.6})
        >>> len(figure.axes), len(figure.axes[0].lines)  # the head, the mean and the optimum
        (1, 3)
    """
    rows = list(rows)
    check(rows, ("update", "layer", "head"), ("beta",))
    require(rows, ("panel",), "name the panel of each row")
    checks.instance("optima", optima, Mapping, "give a dict by criterion")
    marks = {
        name: checks.number(f"optima, {name!r},", optima[name], 0, open_low=True)
        for name in OPTIMA
        if name in optima
    }
    rows = [row for row in rows if row["beta"] is not None]
    require(rows, (), "give rows with a beta")
    titles = list(dict.fromkeys(str(row["panel"]) for row in rows))
    layers = sorted({int(row["layer"]) for row in rows})
    betas = [number(row, "beta", 0, open_low=True) for row in rows]
    limits = min([*betas, *marks.values()]) / 1.1, max([*betas, *marks.values()]) * 1.1
    with styled():
        from matplotlib.lines import Line2D
        from matplotlib.ticker import LogLocator, MaxNLocator

        labels = [("updates", title) for title in titles]
        head = 1.0 if narrow or len(titles) == 1 else 0.8
        figure, drawn = panels("Beta of each head while it is trained", labels, narrow, head)
        colours = shades(layers)
        for axes, title in zip(drawn, titles, strict=True):
            mine = [row for row in rows if str(row["panel"]) == title]
            _heads(axes, mine, colours)
            for name, beta in marks.items():
                look: dict[str, Any] = {"color": VERMILION, "linewidth": 1.1, "zorder": 1}
                axes.axhline(beta, linestyle=DASHES[name], **look)
            axes.set(yscale="log", ylim=limits)
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_locator(MaxNLocator(3 if len(titles) > 2 else 5, integer=True))
            axes.yaxis.set_major_formatter(lambda beta, _: f"{beta:g}")
            axes.minorticks_off()
        extra = [Line2D([], [], color=INK, linewidth=2.2, label="mean of the heads")]
        for name in marks:
            look = {"color": VERMILION, "linestyle": DASHES[name], "linewidth": 1.1}
            extra.append(Line2D([], [], label=OPTIMA[name], **look))
        key(figure, layers, extra)
    return figure


def _heads(axes: Any, rows: Sequence[Row], colours: Mapping[int, Any]) -> None:
    """Draw the path of each head, and their mean."""
    updates = sorted({row["update"] for row in rows})
    paths: dict[tuple[int, int], dict[float, list[float]]] = {}
    for row in rows:
        path = paths.setdefault((int(row["layer"]), int(row["head"])), {})
        path.setdefault(row["update"], []).append(row["beta"])
    for (layer, _), path in paths.items():
        points = [(update, statistics.fmean(path[update])) for update in updates if update in path]
        axes.plot(*zip(*points, strict=True), color=colours[layer], linewidth=0.7, alpha=0.8)
    means = []
    for update in updates:
        seen = [beta for path in paths.values() for beta in path.get(update, ())]
        means.append(statistics.fmean(seen))
    axes.plot(updates, means, color=INK, linewidth=2.2, zorder=4)
