"""Draw the heads of a transformer as memories: betas, agreement with circles, and what queries meet."""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab.plot._rows import check, key, panels, shades
from kanerva.lab.plot._style import INK, NARROW, SKY, VERMILION, blank, headline, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["agreement_curves", "beta_histogram", "layer_histograms"]

Row = Mapping[str, Any]

OPTIMA = {
    "noise": "best against noise",
    "snr": "best signal to noise",
    "capacity": "largest capacity",
}
SEEN = 1e-5  # smaller shares of pairs are not drawn


@door("plot.beta_histogram")
def beta_histogram(
    rows: Sequence[Row], optima: Mapping[str, float], *, narrow: bool = False
) -> "matplotlib.figure.Figure":
    """Count the heads by effective beta, and mark the betas of the three best radii.

    Args:
        rows: a dict for each head with ``beta``; None is not counted.
        optima: the betas best against ``"noise"``, for signal to noise (``"snr"``) and for ``"capacity"``; others are not drawn.
        narrow: draw for a phone.

    Returns:
        a figure 6.6 inches wide, or 4.4. The axis of beta is logarithmic where betas differ fourfold.

    Raises:
        InputError: there are no rows, or a beta is not finite and above 0.

    Example:
        >>> rows = [dict(beta=beta) for beta in (2.0, 5.0, 5.5, 30.0)]
        >>> figure = beta_histogram(rows, {"noise": 5.6, "snr": 8.3, "capacity": 16.2})
        >>> int(sum(bar.get_height() for bar in figure.axes[0].patches))
        4
    """
    check(rows, (), ("beta",))
    betas = [
        checks.number("rows, column 'beta',", row["beta"], 0)
        for row in rows
        if row["beta"] is not None
    ]
    marks = sorted(
        (checks.number(f"optima, {one!r},", optima[one], 0), title)
        for one, title in OPTIMA.items()
        if one in optima
    )
    known = [value for value in [*betas, *(value for value, _ in marks)] if value > 0] or [1.0]
    low, high = min(known), max(known)
    log = high > 4 * low and all(beta > 0 for beta in betas)
    low, high = (low / 1.15, high * 1.15) if log else (min([0.0, *betas]), high * 1.08)
    bins = max(6, min(24, 2 * math.isqrt(4 * max(1, len(betas))) // 2))
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    width, head = NARROW if narrow else 6.6, 0.42 + 0.19 * len(marks)
    height = head + 1.9 + 0.5
    with styled():
        figure = blank(width, height)
        axes = figure.add_axes((0.5 / width, 0.5 / height, 1 - 0.64 / width, 1.9 / height))
        axes.hist(betas, bins=edges.tolist(), color=SKY, edgecolor="white", linewidth=0.8)
        axes.set(xscale="log" if log else "linear", xlim=(low, high))
        _ticks(axes, log)
        _marks(axes, marks, width - 0.64)
        axes.set_xlabel("effective beta", labelpad=5)
        axes.set_ylabel("heads", labelpad=5)
        headline(figure, "How sharply heads attend")
    return figure


@door("plot.agreement_curves")
def agreement_curves(curves: Sequence[Row], *, narrow: bool = False) -> "matplotlib.figure.Figure":
    """Draw how well circles of each radius agree with each head: a thin line a head, the median of all thick.

    Args:
        curves: a dict for each head and radius with ``layer``, ``head``, ``radius``, ``variation`` and ``r2``; None is not drawn.
        narrow: draw for a phone, the panels one below the other.

    Returns:
        a figure 8 inches wide, or 4.4, with a panel for total variation and one for R².

    Raises:
        InputError: there are no rows, a row lacks a column, or a number is not finite.

    Example:
        >>> curves = [dict(layer=0, head=0, radius=radius, variation=0.1 * radius, r2=0.5) for radius in (1, 2, 3)]
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
        figure, drawn = panels(
            "Agreement of heads and circles",
            [("radius, bits", label) for label in labels.values()],
            narrow,
            head,
        )
        colours = shades(layers)
        for axes, column in zip(drawn, labels, strict=True):
            lines: dict[tuple[int, int], list[tuple[float, float]]] = {}
            for row in curves:
                if row[column] is not None:
                    lines.setdefault((int(row["layer"]), int(row["head"])), []).append(
                        (row["radius"], row[column])
                    )
            for (layer, _), points in lines.items():
                axes.plot(
                    *zip(*sorted(points), strict=True),
                    color=colours[layer],
                    linewidth=0.7,
                    alpha=0.75,
                )
            values: dict[float, list[float]] = {}
            for radius, value in (point for points in lines.values() for point in points):
                values.setdefault(radius, []).append(value)
            middle = [(radius, statistics.median(values[radius])) for radius in sorted(values)]
            if middle and len(lines) > 1:
                axes.plot(*zip(*middle, strict=True), color=INK, linewidth=2.4, label="median")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        drawn[0].set_ylim(-0.02, 1.02)
        drawn[1].set_ylim(max(-1.0, drawn[1].get_ylim()[0]) - 0.03, 1.03)
        several = len({(row["layer"], row["head"]) for row in curves}) > 1
        key(
            figure,
            layers,
            [Line2D([], [], color=INK, linewidth=2.4, label="median")] if several else [],
        )
    return figure


@door("plot.layer_histograms")
def layer_histograms(
    inputs: Sequence[Row], cosines: Sequence[Row], *, narrow: bool = False
) -> "matplotlib.figure.Figure":
    """Draw what queries meet: how cosines and softmax inputs are spread, a line for each layer.

    Args:
        inputs: a dict for each layer and bin with ``layer``, ``inputs`` (the middle of the bin) and ``share``.
        cosines: the same with ``cosines``.
        narrow: draw for a phone, the panels one below the other.

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
    with styled():
        figure, drawn = panels(
            "Cosines and softmax inputs",
            labels,
            narrow,
            0.62 if not narrow or len(layers) < 5 else 0.8,
        )
        colours = shades(layers)
        for axes, column, rows in zip(drawn, ("cosines", "inputs"), (cosines, inputs), strict=True):
            places = sorted({row[column] for row in rows})
            step = min((after - before for before, after in pairwise(places)), default=1.0)
            seen = [row[column] for row in rows if row["share"] >= SEEN] or places
            for layer in layers:
                points = sorted(
                    (row[column], row["share"]) for row in rows if row["layer"] == layer
                )
                if points:
                    axes.plot(
                        [x for x, _ in points],
                        [y or math.nan for _, y in points],
                        color=colours[layer],
                        linewidth=1.3,
                    )
            axes.set(
                xlim=(min(seen) - step, max(seen) + step),
                yscale="log" if column == "inputs" else "linear",
            )
            axes.set_ylim(bottom=SEEN if column == "inputs" else 0)
            axes.minorticks_off()
            axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
            axes.set_title(
                f"share of pairs, in steps of {step:.2g}", loc="left", fontsize=8.5, pad=6
            )
        key(figure, layers)
    return figure


def _ticks(axes: "matplotlib.axes.Axes", log: bool) -> None:
    """Number both axes with plain round numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if log:
        low, high = axes.get_xlim()
        subs = (
            (1.0, 2.0, 3.0, 5.0)
            if high < 20 * low
            else (1.0, 2.0, 5.0)
            if high < 200 * low
            else (1.0,)
        )
        axes.xaxis.set_major_locator(LogLocator(10, subs=subs))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()


def _marks(axes: "matplotlib.axes.Axes", marks: Sequence[tuple[float, str]], inches: float) -> None:
    """Draw labelled lines upright, each label at a height of its own above the end of its line, so that labels cannot meet.

    Labels begin at their lines and the first line is the tallest, so that no line runs through a label; where all lines
    stand at the right, labels end at them and the last one is the tallest.
    """
    together, size = axes.get_xaxis_transform(), 0.062
    places = [
        float(axes.transAxes.inverted().transform(axes.transData.transform((value, 0)))[0])
        for value, _ in marks
    ]
    leftward = bool(places) and places[0] > 0.5
    for row, ((value, title), where) in enumerate(zip(marks, places, strict=True)):
        top = 1 + (0.19 * (row if leftward else len(marks) - 1 - row) + 0.04) / 1.9
        axes.plot(
            [value, value],
            [0, top],
            color=VERMILION,
            linewidth=1.1,
            clip_on=False,
            transform=together,
            zorder=3,
        )
        text = f"{title}, {value:.1f}"
        short = (1 - where) * inches - size * len(text)
        shift = 72 * (max(0.0, size * len(text) - where * inches) if leftward else min(0.0, short))
        box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        look: dict[str, Any] = {
            "va": "bottom",
            "fontsize": 8,
            "color": INK,
            "annotation_clip": False,
            "bbox": box,
            "zorder": 4,
        }
        side = "right" if leftward else "left"
        axes.annotate(
            text,
            (value, top),
            (shift, 1),
            xycoords=together,
            textcoords="offset points",
            ha=side,
            **look,
        )
