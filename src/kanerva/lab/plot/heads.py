"""The heads of a transformer as memories: betas, agreement with circles, and distributions."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab.plot._panels import key, panels, shades
from kanerva.lab.plot._rows import Row, check, number
from kanerva.lab.plot._style import INK, NARROW, SKY, VERMILION, blank, headline, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["OPTIMA", "agreement_curves", "beta_histogram", "layer_histograms"]

OPTIMA = {
    "noise": "best against noise",
    "snr": "best signal to noise",
    "capacity": "largest capacity",
}
SEEN = 1e-5  # Smaller shares of pairs are not drawn.


@door("plot.beta_histogram")
def beta_histogram(
    rows: Sequence[Row], optima: Mapping[str, float], *, narrow: bool = False
) -> "matplotlib.figure.Figure":
    """Draw a histogram of the heads by effective beta, with the betas of the optimal radii.

    Args:
        rows: a dict for each head with ``beta``; None is not counted.
        optima: the optimal betas by the criteria ``"noise"``, ``"snr"`` and ``"capacity"``; other
            keys are not drawn.
        narrow: draw for a phone.

    Returns:
        a figure 6.6 inches wide, or 4.4. The axis of beta is logarithmic where the largest beta is
        more than four times the smallest.

    Raises:
        InputError: there are no rows, or a beta is not finite and >= 0.

    Example:
        >>> rows = [dict(beta=beta) for beta in (2.0, 5.0, 5.5, 30.0)]
        >>> figure = beta_histogram(rows, {"noise": 5.6, "snr": 8.3, "capacity": 16.2})
        >>> int(sum(bar.get_height() for bar in figure.axes[0].patches))
        4
    """
    check(rows, (), ("beta",))
    checks.instance("optima", optima, Mapping, "give a dict by criterion")
    betas = [number(row, "beta", 0) for row in rows if row["beta"] is not None]
    marks = sorted(
        (checks.number(f"optima, {name!r},", optima[name], 0), title)
        for name, title in OPTIMA.items()
        if name in optima
    )
    edges, log = _edges(betas, [value for value, _ in marks])
    width, head = NARROW if narrow else 6.6, 0.42 + 0.19 * len(marks)
    height = head + 1.9 + 0.5
    with styled():
        figure = blank(width, height)
        axes = figure.add_axes((0.5 / width, 0.5 / height, 1 - 0.64 / width, 1.9 / height))
        axes.hist(betas, bins=edges.tolist(), color=SKY, edgecolor="white", linewidth=0.8)
        axes.set(xscale="log" if log else "linear", xlim=(edges[0], edges[-1]))
        _ticks(axes, log)
        _marks(axes, marks, width - 0.64)
        axes.set_xlabel("effective beta", labelpad=5)
        axes.set_ylabel("heads", labelpad=5)
        headline(figure, "How sharply heads attend")
    return figure


@door("plot.agreement_curves")
def agreement_curves(curves: Sequence[Row], *, narrow: bool = False) -> "matplotlib.figure.Figure":
    """Draw the agreement of circles with each head against the radius: a thin line for each head.

    A thick line is the median of all heads.

    Args:
        curves: a dict for each head and radius with ``layer``, ``head``, ``radius``, ``variation``
            and ``r2``; None is not drawn.
        narrow: draw for a phone, with one panel below the other.

    Returns:
        a figure 8 inches wide, or 4.4, with a panel for total variation and one for R².

    Raises:
        InputError: there are no rows, a row lacks a column, or a number is not finite.

    Example:
        >>> row = dict(layer=0, head=0, r2=0.5)
        >>> curves = [row | dict(radius=radius, variation=0.1 * radius) for radius in (1, 2, 3)]
        >>> len(agreement_curves(curves).axes)
        2
    """
    check(curves, ("layer", "head", "radius"), ("variation", "r2"))
    layers = sorted({int(row["layer"]) for row in curves})
    deep = any(row["r2"] is not None and row["r2"] < -1 for row in curves)
    labels = {
        "variation": "total variation: 0 equal, 1 apart",
        "r2": "R²" + (" (below −1 is not drawn)" if deep else ""),
    }
    with styled():
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        head = 0.62 if not narrow or len(layers) < 4 else 0.8
        axis = [("radius, bits", label) for label in labels.values()]
        figure, drawn = panels("Agreement of heads and circles", axis, narrow, head)
        colours = shades(layers)
        for axes, column in zip(drawn, labels, strict=True):
            lines = _lines(curves, column)
            for (layer, _), points in lines.items():
                look = {"color": colours[layer], "linewidth": 0.7, "alpha": 0.75}
                axes.plot(*zip(*points, strict=True), **look)
            if len(lines) > 1:
                axes.plot(*_medians(lines.values()), color=INK, linewidth=2.4, label="median")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        drawn[0].set_ylim(-0.02, 1.02)
        drawn[1].set_ylim(max(-1.0, drawn[1].get_ylim()[0]) - 0.03, 1.03)
        several = len({(row["layer"], row["head"]) for row in curves}) > 1
        median = Line2D([], [], color=INK, linewidth=2.4, label="median")
        key(figure, layers, [median] if several else [])
    return figure


@door("plot.layer_histograms")
def layer_histograms(
    inputs: Sequence[Row], cosines: Sequence[Row], *, narrow: bool = False
) -> "matplotlib.figure.Figure":
    """Draw the distributions of cosines and of softmax inputs, with a line for each layer.

    Args:
        inputs: a dict for each layer and bin with ``layer``, ``inputs`` (the middle of the bin) and
            ``share``.
        cosines: the same with ``cosines``.
        narrow: draw for a phone, with one panel below the other.

    Returns:
        a figure 8 inches wide, or 4.4, with a panel for each.

    Raises:
        InputError: there are no rows, a row lacks a column, or a number is not finite.

    Example:
        >>> cosines = [dict(layer=0, cosines=place / 10, share=0.2) for place in range(5)]
        >>> inputs = [dict(layer=0, inputs=float(place), share=0.2) for place in range(5)]
        >>> len(layer_histograms(inputs, cosines).axes)
        2
    """
    for column, rows in (("cosines", cosines), ("inputs", inputs)):
        check(rows, ("layer", column, "share"))
    layers = sorted({int(row["layer"]) for row in (*inputs, *cosines)})
    labels = [
        ("cosine of query and key", "share of pairs"),
        ("softmax input: the score times its scale", "share of pairs"),
    ]
    head = 0.62 if not narrow or len(layers) < 5 else 0.8
    with styled():
        figure, drawn = panels("Cosines and softmax inputs", labels, narrow, head)
        colours = shades(layers)
        for axes, column, rows in zip(drawn, ("cosines", "inputs"), (cosines, inputs), strict=True):
            for layer in layers:
                mine = [row for row in rows if row["layer"] == layer]
                points = sorted((row[column], row["share"]) for row in mine)
                x, y = [x for x, _ in points], [y or math.nan for _, y in points]
                if points:
                    axes.plot(x, y, color=colours[layer], linewidth=1.3)
            _share_axes(axes, rows, column)
        key(figure, layers)
    return figure


def _edges(betas: Sequence[float], marks: Sequence[float]) -> tuple[np.ndarray, bool]:
    """Return the edges of the bins, and whether they are logarithmic."""
    known = [value for value in [*betas, *marks] if value > 0] or [1.0]
    low, high = min(known), max(known)
    bins = max(6, min(24, 2 * math.isqrt(4 * max(1, len(betas))) // 2))
    if high > 4 * low and all(beta > 0 for beta in betas):
        return np.geomspace(low / 1.15, high * 1.15, bins + 1), True
    return np.linspace(min([0.0, *betas]), high * 1.08, bins + 1), False


def _lines(curves: Sequence[Row], column: str) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """Return radius and value of each head, in increasing order of the radius."""
    lines: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for row in curves:
        if row[column] is not None:
            head = int(row["layer"]), int(row["head"])
            lines.setdefault(head, []).append((row["radius"], row[column]))
    return {head: sorted(points) for head, points in lines.items()}


def _medians(lines: Iterable[Sequence[tuple[float, float]]]) -> tuple[list[float], list[float]]:
    """Return the radii of all lines, and the median of the values at each."""
    values: dict[float, list[float]] = {}
    for radius, value in (point for points in lines for point in points):
        values.setdefault(radius, []).append(value)
    return sorted(values), [statistics.median(values[radius]) for radius in sorted(values)]


def _share_axes(axes: "matplotlib.axes.Axes", rows: Sequence[Row], column: str) -> None:
    """Set limits, scale and title of a panel of ``layer_histograms``."""
    places = sorted({row[column] for row in rows})
    step = min((after - before for before, after in pairwise(places)), default=1.0)
    seen = [row[column] for row in rows if row["share"] >= SEEN] or places
    log = column == "inputs"
    axes.set(xlim=(min(seen) - step, max(seen) + step), yscale="log" if log else "linear")
    axes.set_ylim(bottom=SEEN if log else 0)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axes.set_title(f"share of pairs, in steps of {step:.2g}", loc="left", fontsize=8.5, pad=6)


def _ticks(axes: "matplotlib.axes.Axes", log: bool) -> None:
    """Set ticks at round numbers on both axes."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if log:
        low, high = axes.get_xlim()
        subs = [1.0]
        if high < 200 * low:
            subs = [1.0, 2.0, 3.0, 5.0] if high < 20 * low else [1.0, 2.0, 5.0]
        axes.xaxis.set_major_locator(LogLocator(10, subs=subs))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()


def _marks(axes: "matplotlib.axes.Axes", marks: Sequence[tuple[float, str]], inches: float) -> None:
    """Draw labelled vertical lines; the labels are at different heights, so they do not overlap.

    A label starts at the upper end of its line and the first line is the highest, so that no line
    crosses a label. Where all lines are in the right half, labels end at their lines and the last
    line is the highest.
    """
    transform, size = axes.get_xaxis_transform(), 0.062
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [float(to_axes.transform((value, 0))[0]) for value, _ in marks]
    leftward = bool(places) and places[0] > 0.5
    line: dict[str, Any] = {"color": VERMILION, "linewidth": 1.1, "clip_on": False, "zorder": 3}
    box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    look: dict[str, Any] = {"va": "bottom", "fontsize": 8, "color": INK, "zorder": 4}
    look |= {"annotation_clip": False, "bbox": box, "ha": "right" if leftward else "left"}
    look |= {"xycoords": transform, "textcoords": "offset points"}
    for row, ((value, title), place) in enumerate(zip(marks, places, strict=True)):
        top = 1 + (0.19 * (row if leftward else len(marks) - 1 - row) + 0.04) / 1.9
        axes.plot([value, value], [0, top], transform=transform, **line)
        text = f"{title}, {value:.1f}"
        long = size * len(text)
        # In points: how far the label is moved to stay within the figure.
        shift = max(0.0, long - place * inches)
        if not leftward:
            shift = min(0.0, (1 - place) * inches - long)
        axes.annotate(text, (value, top), (72 * shift, 1), **look)
