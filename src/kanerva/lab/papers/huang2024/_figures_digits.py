"""Figures of the gates on digits, and of the weights of gates, from rows alone."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kanerva.lab import plot
from kanerva.lab.papers.huang2024._intervals import paired
from kanerva.lab.plot._style import INK, LOOKS, NARROW, QUIET, blank, headline, styled
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["Mark", "differences", "dots", "parts", "sizes"]

# Inches of a figure of dots: left, right, foot, and height of a line.
LEFT, RIGHT, FOOT, LINE = 1.72, 0.2, 0.46, 0.34
FIRST = {"he": "normal, variance 2 / (9 c)", "torch": "as torch draws them"}
WORDS = {
    "none": "no gate",
    "wide": "wider blocks",
    "se": "SE a block",
    "shared se": "shared SE",
    "dia": "DIA",
    "recall": "recall over depth",
    "constant": "constant 0.25",
    "scale": "learned numbers",
    "dia and norm": "DIA and norm",
}


class Mark(NamedTuple):
    """A number of a figure of dots.

    Attributes:
        line: where it stands.
        series: its colour and marker.
        value: the number.
        ends: of its interval; None without one.
    """

    line: str
    series: str
    value: float
    ends: tuple[float, float] | None = None


class Words(NamedTuple):
    """The words of a figure of dots: its title, what is above it, the axis, and the caption."""

    title: str
    above: str
    axis: str
    caption: str


def differences(rows: Sequence[Row]) -> dict[str, Any]:
    """Draw the differences of each variant to no gate, the accuracies, and the times.

    Args:
        rows: of ``dia.digits``.
    """
    found, accuracies, times = [], [], []
    longest = max(row["epochs"] for row in rows)
    trained = [row for row in rows if row["epochs"] == longest and row["accuracy"] is not None]
    for variant, first in _pairs(trained, "variant", "first"):
        mine = _by_seed(trained, "accuracy", variant=variant, first=first)
        plain = _by_seed(trained, "accuracy", variant="none", first=first)
        line, series = WORDS[variant], FIRST[first]
        accuracies.append(_spread(line, series, [100 * one for one in mine.values()]))
        if variant != "none":
            found += _difference(line, series, mine, plain)
    plain = _by_seed(rows, "epoch", variant="none")
    for (variant,) in _pairs(rows, "variant"):
        mine = _by_seed(rows, "epoch", variant=variant)
        if variant != "none" and mine and plain:
            times.append(Mark(WORDS[variant], "", min(mine.values()) / min(plain.values())))
    drawn = {"": _drawn_differences(found, "no gate")} if found else {}
    if not trained:
        whole = [Mark(WORDS[row["variant"]], "", row["parameters"]) for row in rows]
        caption = "Weights of the network with each gate; nothing was trained."
        drawn[""] = dots(whole, Words("Size of the network", "untrained", "weights", caption))
    if accuracies:
        drawn["accuracy"] = dots(accuracies, _accuracy_words(trained))
    if times:
        above = "of the processor, for the fastest epoch, as a multiple of no gate"
        caption = "Time of the processor for an epoch, as a multiple of that without gates."
        drawn["time"] = dots(times, Words("Time of an epoch", above, "times", caption), zero=1.0)
    return drawn


def parts(rows: Sequence[Row], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the differences of each setting of the cell to the usual one, and the weights.

    Args:
        rows: of ``dia.ablation``.
        usual: the usual setting.
    """
    trained = [row | {"line": _setting(row, usual)} for row in rows if row["accuracy"] is not None]
    found, accuracies = [], []
    plain = _by_seed(trained, "accuracy", line="usual")
    for (line,) in _pairs(trained, "line"):
        mine = _by_seed(trained, "accuracy", line=line)
        accuracies.append(_spread(line, "", [100 * one for one in mine.values()]))
        if line != "usual":
            found += _difference(line, "", mine, plain)
    drawn = {"": _drawn_differences(found, "the usual cell")} if found else {}
    if accuracies:
        drawn["accuracy"] = dots(accuracies, _accuracy_words(trained))
    starts: dict[str, float] = {}
    for row in rows:
        if row["start"] is not None:
            starts.setdefault(_setting(row, usual), row["start"])
    marks = [Mark(line, "", start) for line, start in starts.items()]
    caption = "Mean gate before training for each setting of the cell, of the first seed."
    above = "over blocks, channels and test pictures"
    drawn["start"] = dots(marks, Words("Gates before training", above, "mean gate", caption))
    return drawn


def sizes(rows: Sequence[Row], deep: str) -> dict[str, Any]:
    """Draw the weights that gates add against depth, and for each network.

    Args:
        rows: of ``dia.parameters``.
        deep: the network whose depth varies.
    """
    gated = [row | {"line": WORDS[row["gate"]]} for row in rows if row["gate"] != "none"]
    long = [row for row in gated if row["network"] == deep]
    title = "Shared gates do not grow with depth"
    frame = plot.Frame(title, "layers", "weights that the gates add", log="y")
    drawn = {"": plot.lines(long, "depth", "added", frame, by="line")} if long else {}
    marks = [
        Mark(f"{row['network']}, {row['depth']}", row["line"], row["percent"])
        for row in gated
        if not row["network"].startswith("stage") and row["gate"] in ("se", "shared se", "dia")
    ]
    if marks:
        above = "% of the weights without gates"
        caption = "Weights that gates add to each network, in percent of those without gates."
        drawn["networks"] = dots(marks, Words("What gates add", above, "%", caption), log=True)
    return drawn


def dots(
    marks: Sequence[Mark], words: Words, zero: float | None = None, log: bool = False
) -> "matplotlib.figure.Figure":
    """Draw numbers with their intervals, a line of text for each.

    Args:
        marks: the numbers, from top to bottom; those of one line and several series are drawn
            below each other.
        words: of the figure.
        zero: where a vertical line is drawn.
        log: draw a logarithmic axis.
    """
    lines = list(dict.fromkeys(mark.line for mark in marks))
    series = list(dict.fromkeys(mark.series for mark in marks))
    columns = len(series) if sum(map(len, series)) < 36 else 1
    head = 0.56 + (0.2 * len(series) / columns if len(series) > 1 else 0.0)
    tall = LINE * len(lines)
    height = head + tall + FOOT
    with styled():
        figure = blank(NARROW, height)
        headline(figure, words.title)
        up: dict[str, Any] = {"fontsize": 8, "color": QUIET, "va": "top"}
        figure.text(0.1 / NARROW, 1 - 0.3 / height, words.above, **up)
        wide = NARROW - LEFT - RIGHT
        box = (LEFT / NARROW, FOOT / height, wide / NARROW, tall / height)
        axes = figure.add_axes(box)
        if zero is not None:
            axes.axvline(zero, color=QUIET, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
        _place(axes, marks, lines, series)
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.minorticks_off()
        axes.set_yticks(range(len(lines)), lines)
        axes.set(ylim=(len(lines) - 0.5, -0.5))
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", labelcolor=INK)
        figure.text((LEFT + wide / 2) / NARROW, 0.06 / height, words.axis, ha="center")
        if len(series) > 1:
            place = (0.1 / NARROW, 1 - 0.52 / height)
            look: dict[str, Any] = {"ncols": columns, "labelspacing": 0.3, "handlelength": 1.2}
            figure.legend(loc="upper left", bbox_to_anchor=place, **look)
    figure.set_label(words.caption)
    return figure


def _place(
    axes: "matplotlib.axes.Axes",
    marks: Sequence[Mark],
    lines: Sequence[str],
    series: Sequence[str],
) -> None:
    """Draw the marks, those of a series in one colour."""
    for index, name in enumerate(series):
        colour, marker, _ = LOOKS[index % len(LOOKS)]
        mine = [mark for mark in marks if mark.series == name]
        shift = 0.24 * (index - (len(series) - 1) / 2)
        places = [lines.index(mark.line) + shift for mark in mine]
        for mark, place in zip(mine, places, strict=True):
            if mark.ends is not None:
                axes.plot(mark.ends, [place] * 2, color=colour, linewidth=1.6)
        values = [mark.value for mark in mine]
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4.5, "zorder": 3}
        axes.plot(values, places, linestyle="none", label=name, **look)


def _pairs(rows: Iterable[Row], *names: str) -> list[tuple[Any, ...]]:
    """Return the values that columns take together, in the order of the rows."""
    return list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))


def _by_seed(rows: Iterable[Row], column: str, **at: Any) -> dict[int, float]:
    """Return a column of the rows with these values by seed; those without it are left out."""
    return {
        row["seed"]: row[column]
        for row in rows
        if row[column] is not None and all(row[name] == value for name, value in at.items())
    }


def _difference(
    line: str, series: str, mine: Mapping[int, float], plain: Mapping[int, float]
) -> list[Mark]:
    """Return the mean difference over the seeds of both, with its interval where it has one."""
    seeds = [seed for seed in mine if seed in plain]
    one, other = ([100 * each[seed] for seed in seeds] for each in (mine, plain))
    if len(seeds) > 1:
        mean, low, high = paired(one, other)
        return [Mark(line, series, mean, (low, high))]
    return [Mark(line, series, a - b) for a, b in zip(one, other, strict=True)]


def _spread(line: str, series: str, values: Sequence[float]) -> Mark:
    """Return the mean of some numbers, with the least and the greatest."""
    return Mark(line, series, statistics.fmean(values), (min(values), max(values)))


def _drawn_differences(marks: Sequence[Mark], other: str) -> "matplotlib.figure.Figure":
    shown = "with 95 % intervals" if any(mark.ends for mark in marks) else "of one seed"
    above = f"paired differences of the accuracy to {other}, {shown}"
    caption = f"Accuracy less that of {other} with the same seeds, in points, {shown}."
    words = Words("What changes the accuracy", above, "points", caption)
    return dots(marks, words, zero=0.0)


def _accuracy_words(rows: Sequence[Row]) -> Words:
    epochs = ", ".join(str(epochs) for (epochs,) in _pairs(rows, "epochs"))
    above = f"% of the test pictures that are named after {epochs} epochs"
    caption = f"{above[0].upper()}{above[1:]}, mean and range of the seeds."
    return Words("Accuracy", f"{above}, with the range", "%", caption)


def _setting(row: Row, usual: Mapping[str, Any]) -> str:
    """Return what differs from the usual setting, in words."""
    if row["gate"] == "none":
        return "no gate"
    apart = [name for name, value in usual.items() if row[name] != value]
    words = {
        "reduction": f"reduction {row['reduction']}",
        "squash": f"squashed by {row['squash']}",
        "cells": f"{row['cells']} cells",
        "scope": f"a cell a {row['scope']}",
    }
    return ", ".join(words[name] for name in apart) or "usual"
