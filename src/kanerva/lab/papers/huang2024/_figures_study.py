"""The figures of correlation, stability and dependence of gates, from rows alone."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kanerva.lab import plot
from kanerva.lab.plot._style import (
    BLUE,
    GREEN,
    INK,
    NARROW,
    ORANGE,
    QUIET,
    SKY,
    VERMILION,
    blank,
    headline,
    styled,
)
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["correlation", "dependence", "stability"]

GATES = {"se": "SE a block", "shared se": "shared SE", "dia": "DIA", "recall": "recall"}
# Columns of the matrices, and bars: words, when, null and colour.
KINDS = (
    ("untrained", "start", "none", SKY),
    ("trained", "end", "none", BLUE),
    ("another picture", "end", "samples", ORANGE),
    ("permuted", "end", "channels", QUIET),
)
OVER = {"channels": "over channels", "samples": "over pictures", "both": "over both"}
SETTINGS = {
    (1, 1): "skips and norm",
    (0, 1): "without skips",
    (1, 0): "without norm",
    (0, 0): "without both",
}


def correlation(rows: Sequence[Row]) -> dict[str, "matplotlib.figure.Figure"]:
    """Draw the matrices of one network a gate beside their nulls, and the means of all."""
    return {"": _matrices(rows), "means": _bars(rows)}


def _named(rows: Sequence[Row]) -> list[str]:
    """Return the gates of the rows, in the usual order."""
    return [name for name in GATES if any(row["variant"] == name for row in rows)]


def _matrices(rows: Sequence[Row]) -> "matplotlib.figure.Figure":
    """Draw a matrix of blocks by blocks for each gate and kind, of the first network."""
    names = _named(rows)
    cell, left, gap, head, foot = 0.78, 0.72, 0.12, 0.66, 0.5
    height = head + len(names) * (cell + gap) + foot
    title = "Gates of two blocks, correlated over channels"
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        for (down, name), (along, kind) in (
            (one, other) for one in enumerate(names) for other in enumerate(KINDS)
        ):
            x, y = left + along * (cell + gap), height - head - down * (cell + gap) - cell
            box = (x / NARROW, y / height, cell / NARROW, cell / height)
            axes = figure.add_axes(box)
            image = _matrix(axes, _first(rows, name, *kind[1:3]))
            if down == 0:
                axes.set_title(kind[0].replace(" ", "\n"), fontsize=8, pad=4, linespacing=1.0)
            if along == 0:
                axes.set_ylabel(GATES[name].replace(" ", "\n", 1), fontsize=8, labelpad=6)
        wide = 4 * cell + 3 * gap
        box = (left / NARROW, 0.32 / height, wide / NARROW, 0.09 / height)
        bar = figure.colorbar(image, cax=figure.add_axes(box), orientation="horizontal")
        bar.set_ticks([-1, -0.5, 0, 0.5, 1])
        bar.ax.tick_params(labelsize=7.5, length=0)
        bar.outline.set_visible(False)
    figure.set_label(
        f"{title}, for the first seed: before training, after it, after it with another picture "
        "for one of the two blocks, and after it with permuted channels. The first block is at "
        "the top and at the left."
    )
    return figure


def _first(rows: Sequence[Row], name: str, when: str, null: str) -> np.ndarray:
    """Return the matrix over channels of the first network with a gate, without its diagonal."""
    for row in rows:
        if (row["variant"], row["when"], row["null"], row["over"]) == (
            name,
            when,
            null,
            "channels",
        ):
            pairs = [float(one) for one in str(row["pairs"]).split()]
            count = (1 + math.isqrt(1 + 8 * len(pairs))) // 2
            matrix = np.full((count, count), np.nan)
            matrix[np.triu_indices(count, 1)] = pairs
            return np.fmax(matrix, matrix.T)
    return np.full((2, 2), np.nan)


def _matrix(axes: "matplotlib.axes.Axes", matrix: np.ndarray) -> Any:
    """Draw a matrix of correlations."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("house", [VERMILION, "#f7f7f7", BLUE])
    image = axes.imshow(matrix, cmap=colours, vmin=-1, vmax=1, interpolation="none")
    axes.patch.set_facecolor("#cdd2d8")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return image


def _bars(rows: Sequence[Row]) -> "matplotlib.figure.Figure":
    """Draw the mean correlations by definition, with the range over all networks."""
    names = _named(rows)
    left, head, foot, tall, step = 0.82, 0.62, 0.3, 0.56 * len(names), 1.16
    height = head + tall + foot
    title = "Correlation by definition"
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        for along, (over, words) in enumerate(OVER.items()):
            box = ((left + along * step) / NARROW, foot / height, 1.04 / NARROW, tall / height)
            axes = figure.add_axes(box)
            _groups(axes, [row for row in rows if row["over"] == over], names)
            axes.set_title(words, loc="left", fontsize=8.5, pad=4)
            axes.set_yticks(range(len(names)), [GATES[name] for name in names] if not along else [])
            axes.tick_params(labelcolor=INK, labelsize=8)
        _key(figure, [(kind[0], kind[3]) for kind in KINDS])
    figure.set_label(
        f"{title}: mean over all pairs of blocks and all networks; lines: the range over networks. "
        "Bars from above: untrained, trained, trained with another picture for one of two blocks, "
        "trained with permuted channels."
    )
    return figure


def _groups(axes: "matplotlib.axes.Axes", rows: Sequence[Row], names: Sequence[str]) -> None:
    """Draw a bar for each gate and kind, the first at the top."""
    for down, name in enumerate(names):
        for place, (_, when, null, colour) in enumerate(KINDS):
            kind = (name, when, null)
            values = [
                row["correlation"]
                for row in rows
                if (row["variant"], row["when"], row["null"]) == kind
            ]
            if values:
                y = down + 0.19 * (place - 1.5)
                axes.barh(y, statistics.fmean(values), height=0.16, color=colour)
                axes.plot([min(values), max(values)], [y, y], color=INK, linewidth=0.8)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.set(xlim=(-0.25, 1.05), ylim=(len(names) - 0.45, -0.55), xticks=[0, 0.5, 1])
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")


def _key(figure: "matplotlib.figure.Figure", kinds: Sequence[tuple[str, str]]) -> None:
    """Explain the colours below the title."""
    from matplotlib.patches import Patch

    width, height = figure.get_size_inches()
    handles = [Patch(color=colour, label=words) for words, colour in kinds]
    place = (0.1 / width, 1 - 0.29 / height)
    look: dict[str, Any] = {"ncols": 4, "columnspacing": 1.2, "handlelength": 0.9}
    look |= {"handletextpad": 0.4, "fontsize": 7.5}
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=place, **look)


def stability(
    rows: Sequence[Row], names: Mapping[str, str]
) -> dict[str, "matplotlib.figure.Figure"]:
    """Draw growth and gradients at the start; divergence and gates at the end."""
    told = [
        row | {"line": names[row["variant"]], "setting": SETTINGS[row["skip"], row["norm"]]}
        for row in rows
    ]
    start = [row for row in told if row["when"] == "start" and not row["epochs"]] or told
    deep = max(row["blocks"] for row in start)
    frame = plot.Frame(
        f"Growth of a change through {deep} untrained blocks",
        "block",
        "log2 of the change, against the first block",
        across=2,
    )
    chosen = [row for row in start if row["blocks"] == deep]
    drawn = {"": plot.lines(chosen, "block", "growth", frame, by="line", panel="setting")}
    if len({row["blocks"] for row in start}) > 1:
        title, y = "Gradients before training", "norm at the first block"
        frame = plot.Frame(title, "blocks", y, log="y", across=2)
        chosen = [row for row in start if row["block"] == 1]
        drawn["gradients"] = plot.lines(
            chosen, "blocks", "gradient", frame, by="line", panel="setting"
        )
    return drawn | _trained([row for row in told if row["when"] == "end"])


def _trained(rows: Sequence[Row]) -> dict[str, "matplotlib.figure.Figure"]:
    """Draw what training did, where rows show it."""
    drawn: dict[str, Any] = {}
    short = [row for row in rows if row["last"] and row["epochs"] == 2]
    if len({row["blocks"] for row in short}) > 1:
        title, y = "Diverged in two epochs", "share of the seeds"
        frame = plot.Frame(title, "blocks", y, limits=(-0.03, 1.03))
        drawn["diverged"] = plot.lines(
            short, "blocks", "diverged", frame, by="line", panel="setting"
        )
    long = [row for row in rows if row["epochs"] > 2]
    if long:
        frame = plot.Frame("Gates after training, by depth", "block", "mean gate", across=2)
        chosen = [row for row in long if row["epochs"] == 20 and row["variant"] != "none"]
        if chosen:
            drawn["gates"] = plot.lines(chosen, "block", "gate", frame, by="line", panel="setting")
    return drawn


def dependence(rows: Sequence[Row], names: Mapping[str, str]) -> "matplotlib.figure.Figure":
    """Draw the share of each earlier block, and R^2 beside each row."""
    variants = [name for name in _named(rows) if name in names or name == "recall"]
    times = sorted({row["epochs"] for row in rows})
    size, left, gap, head, foot = 1.0, 0.66, 0.9, 0.72, 0.3
    width, height = NARROW, head + len(variants) * (size + 0.24) + foot
    title = "Which earlier gates predict the gates of a block"
    with styled():
        figure = blank(width, height)
        headline(figure, title)
        words = "share in the splits of a forest; R² (green), and R² of shuffled rows (grey)"
        look: dict[str, Any] = {"fontsize": 7.5, "color": QUIET, "va": "top"}
        figure.text(0.1 / width, 1 - 0.3 / height, words, **look)
        for down, name in enumerate(variants):
            for along, epochs in enumerate((times[0], times[-1])[: len(times)]):
                x, y = left + along * (size + gap), height - head - down * (size + 0.24) - size
                axes = figure.add_axes((x / width, y / height, size / width, size / height))
                here = (name, epochs)
                mine = [row for row in rows if (row["variant"], row["epochs"]) == here]
                _shares(axes, mine, max(row["block"] for row in rows))
                if down == 0:
                    when = f"{epochs} epochs" if epochs else "untrained"
                    axes.set_title(when, loc="left", fontsize=8.5, pad=4)
                if along == 0:
                    axes.set_ylabel(f"{GATES[name]}\nblock", fontsize=8)
                if down == len(variants) - 1:
                    axes.set_xlabel("earlier block", fontsize=8)
    figure.set_label(f"{title}: {words}. Means over the seeds.")
    return figure


def _shares(axes: "matplotlib.axes.Axes", rows: Sequence[Row], last: int) -> None:
    """Draw the map of one gate, with a row for each block."""
    from matplotlib.colors import LinearSegmentedColormap

    grid = np.full((last - 1, last - 1), np.nan)
    colours = LinearSegmentedColormap.from_list("house", ["#eef5fb", "#4a9ace", "#003a5e"])
    look: dict[str, Any] = {"fontsize": 6.5, "ha": "center", "va": "center_baseline"}
    for block in sorted({row["block"] for row in rows}):
        mine = [row for row in rows if row["block"] == block]
        for earlier in range(1, block):
            shares = [row["importance"] for row in mine if row["earlier"] == earlier]
            value = grid[block - 2, earlier - 1] = statistics.fmean(shares)
            colour = "white" if value > 0.45 else INK
            axes.text(earlier - 1, block - 2, f"{value:.2f}"[1:] if value < 1 else "1", **look,
                      color=colour)  # fmt: skip
        right, null = (statistics.fmean(row[one] for row in mine) for one in ("right", "shuffled"))
        text = f"{right:.2f}".replace("-", "−")
        edge: dict[str, Any] = {"fontsize": 7, "va": "center_baseline"}
        axes.text(last - 1.3, block - 2, text, color=GREEN, **edge)
        axes.text(last + 0.25, block - 2, f"{null:.2f}".replace("-", "−"), color=QUIET, **edge)
    axes.imshow(grid, cmap=colours, vmin=0, vmax=1, interpolation="none")
    axes.set_xticks(range(last - 1), [str(one) for one in range(1, last)])
    axes.set_yticks(range(last - 1), [str(one) for one in range(2, last + 1)])
    axes.tick_params(length=0, labelsize=7)
    axes.grid(False)
    axes.spines[:].set_visible(False)
