"""One landscape drawn twice: as score arrows with a reverse path, and as contours with descents."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kanerva.lab.plot._style import (
    BLACK,
    BLUE,
    INK,
    QUIET,
    VERMILION,
    WIDE,
    blank,
    headline,
    styled,
)
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["drawn"]

# Inches: margins, the gap between the panels, and the lines above them and below.
SIDE, GAP, HEAD, FOOT = 0.1, 0.2, 0.62, 0.5
EVERY, CONTOURS = 3, 14


def drawn(rows: Sequence[Row], sigma: float) -> "matplotlib.figure.Figure":
    """Draw the rows of a landscape of one noise.

    Args:
        rows: with ``kind``, ``x``, ``y``, ``energy``, ``u``, ``v``, ``line`` and ``step``.
        sigma: the noise of the landscape.
    """
    width = 3 * WIDE
    side = (width - 2 * SIDE - GAP) / 2
    height = HEAD + side + FOOT
    names = (
        f"diffusion model: score at σ = {sigma:g}, reverse paths",
        f"associative memory: energy at σ = {sigma:g}, descents",
    )
    with styled():
        figure = blank(width, height)
        headline(figure, "One landscape, drawn as a score and as an energy")
        panels = []
        for place, name in enumerate(names):
            left = SIDE + place * (side + GAP)
            box = (left / width, FOOT / height, side / width, side / height)
            axes = figure.add_axes(box, xticks=[], yticks=[])
            axes.grid(False)
            axes.spines[:].set_visible(True)
            axes.set_title(name, loc="left", fontsize=8.5, pad=5)
            panels.append(axes)
        handles = _left(panels[0], rows) + _right(panels[1], rows)
        for axes in panels:
            handles[-1:] = _dots(axes, rows, "row", ("o", BLACK, "stored row"))
            reach = max(row["x"] for row in rows if row["kind"] == "cell")
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
        look: dict[str, Any] = {"loc": "lower left", "ncols": 5, "columnspacing": 1.4}
        figure.legend(handles=handles, bbox_to_anchor=(SIDE / width, 0.1 / height), **look)
    figure.set_label(
        f"One landscape of six rows in the plane, drawn twice. Left, as in a diffusion model: "
        f"arrows: the score at σ = {sigma:g}; lines: reverse paths, whose noise falls from 2 to "
        f"0.05. Right, as in an associative memory: contours of the energy at σ = {sigma:g}; "
        "lines: descents at that noise from the same starts; crosses: minima; dots: stored rows."
    )
    return figure


def _left(axes: Any, rows: Sequence[Row]) -> list[Any]:
    """Draw the score and the reverse paths; return the entries of the legend."""
    cells = [row for row in rows if row["kind"] == "cell"]
    places = sorted({row["x"] for row in cells})[EVERY // 2 :: EVERY]
    kept = [row for row in cells if row["x"] in places and row["y"] in places]
    # Arrows have the direction of the score; their lengths are as its root, the longest one cell.
    size = [math.hypot(row["u"], row["v"]) for row in kept]
    most = math.sqrt(max(size)) / (places[1] - places[0]) / 0.85
    long = [math.sqrt(one) * most or 1.0 for one in size]
    along = [[row[word] / by for row, by in zip(kept, long, strict=True)] for word in "uv"]
    at = [[row[word] for row in kept] for word in "xy"]
    look: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1}
    axes.quiver(*at, *along, color=QUIET, width=0.0035, headwidth=4, **look)
    return _paths(axes, rows, "reverse", (VERMILION, "reverse path"))


def _right(axes: Any, rows: Sequence[Row]) -> list[Any]:
    """Draw the energy, its minima and descents; return the entries of the legend."""
    cells = {(row["x"], row["y"]): row["energy"] for row in rows if row["kind"] == "cell"}
    places = sorted({x for x, _ in cells})
    grid = [[cells[x, y] for x in places] for y in places]
    low, high = min(cells.values()), max(cells.values())
    # Levels are dense near the minima.
    levels = [low + (high - low) * (place / CONTOURS) ** 2.2 for place in range(CONTOURS + 1)]
    axes.contour(
        places, places, grid, levels=levels, colors=QUIET, linewidths=0.7, linestyles="solid"
    )
    found = _paths(axes, rows, "descent", (BLUE, "descent"))
    found += _dots(axes, rows, "minimum", ("X", VERMILION, "minimum"))
    return [*found, None]


def _paths(axes: Any, rows: Sequence[Row], kind: str, look: tuple[str, str]) -> list[Any]:
    colour, label = look
    drawn: list[Any] = []
    for line in sorted({row["line"] for row in rows if row["kind"] == kind}):
        path = [row for row in rows if row["kind"] == kind and row["line"] == line]
        x, y = ([row[word] for row in path] for word in "xy")
        drawn = axes.plot(x, y, color=colour, linewidth=1.5, label=label, marker=".", markersize=3)
        axes.plot(x[:1], y[:1], marker="s", color=colour, markersize=5, markeredgecolor=INK)
    return drawn


def _dots(axes: Any, rows: Sequence[Row], kind: str, look: tuple[str, str, str]) -> list[Any]:
    marker, colour, label = look
    here = [row for row in rows if row["kind"] == kind]
    x, y = ([row[word] for row in here] for word in "xy")
    size = 4.5 if kind == "row" else 10.0
    style: dict[str, Any] = {"linestyle": "none", "markersize": size, "zorder": 4, "label": label}
    if kind == "row":
        style |= {"markerfacecolor": "white", "markeredgecolor": INK}
    return list(axes.plot(x, y, marker=marker, color=colour, **style))
