"""The figures of a shared gate in other networks and for other tasks, from rows alone."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kanerva.lab import plot
from kanerva.lab.papers.huang2024._intervals import paired
from kanerva.lab.plot._style import BLUE, INK, NARROW, QUIET, blank, headline, styled
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["Panel", "backbones", "detection", "generation", "measured"]

VIT = {
    "none": "no gate",
    "attention": "DIA after attention",
    "mlp": "DIA after the MLP",
    "both": "DIA after both",
    "constant": "constant 0.25",
}
UNET = {"none": "no gate", "dia": "DIA", "constant": "constant 0.25"}
DETECTOR = {"none": "no gate", "se": "SE, one a block", "dia": "DIA"}
SCORES = {
    "none": "no gate",
    "dia": "DIA",
    "untrained": "untrained",
    "digits": "fresh digits",
    "training": "training digits",
}
# Inches: left and right of the axes, head, foot, height of a line, and what a panel needs beside.
LEFT, RIGHT, HEAD, FOOT, LINE, OVER, UNDER = 1.24, 1.64, 0.62, 0.06, 0.2, 0.24, 0.3
SIDE = 8


class Panel(NamedTuple):
    """Measurements of one kind, by what was trained and by the seed.

    * ``title``: what was measured, with its unit.
    * ``values``: for each name the measurements in the order of the seeds.
    * ``compared``: the names whose difference to the first is written beside them.
    """

    title: str
    values: Mapping[str, Sequence[float]]
    compared: Sequence[str]


def backbones(rows: list[Row]) -> dict[str, Any]:
    """Draw the last measurements of both networks, and their course."""
    vit = [row for row in rows if row["backbone"] == "vit"]
    unet = [row for row in rows if row["backbone"] == "unet"]
    last = [row for row in rows if row["step"] == row["length"]]
    panels = [
        _panel("transformer: % of the test digits named", last, "vit", "accuracy", 100),
        _panel("UNet: loss on held-out digits", last, "unet", "held_out", 1),
    ]
    found = {"": measured("A gate that blocks share, in two networks", panels)}
    if vit:
        frame = plot.Frame("Digits named by a small transformer", "epoch", "% of the test digits")
        long = [row | {"line": VIT[row["gate"]], "y": 100 * row["accuracy"]} for row in vit]
        found["transformer"] = plot.lines(long, "step", "y", frame, by="line")
    course = [row | {"line": UNET[row["gate"]]} for row in unet if row["loss"] is not None]
    if course:
        label = "mean loss of the last updates in training"
        frame = plot.Frame("A small UNet learns to denoise digits", "update", label)
        found["unet"] = plot.lines(course, "step", "loss", frame, by="line")
    return found


def detection(rows: list[Row]) -> dict[str, Any]:
    """Draw the last precision of the detectors, and its course."""
    last = [row for row in rows if row["epoch"] == row["epochs"]]
    titles = {"precision": "place and class", "places": "place alone"}
    panels = [
        Panel(
            f"average precision, {title}, %",
            _values(last, DETECTOR, "gate", column, 100),
            [DETECTOR["se"], DETECTOR["dia"]],
        )
        for column, title in titles.items()
    ]
    found = {"": measured("Digits found on a canvas", panels)}
    course = [
        row | {"line": DETECTOR[row["gate"]], "y": 100 * row["precision"]}
        for row in rows
        if row["precision"] is not None
    ]
    frame = plot.Frame("A detector learns", "epoch", "average precision, place and class, %")
    found["course"] = plot.lines(course, "epoch", "y", frame, by="line")
    return found


def generation(rows: list[Row]) -> dict[str, Any]:
    """Draw samples, and what they are worth."""
    import numpy as np

    first = min(row["seed"] for row in rows)
    by = {row["score"]: row for row in rows if row["seed"] == first}
    shown = []
    for score, title in SCORES.items():
        if score in by:
            words = by[score]["pictures"].split("/")
            levels = np.array([[ord(one) - ord("a") for one in word] for word in words])
            shown.append((title, levels.reshape(-1, SIDE, SIDE) / 8.0 - 1.0))
    titles = {
        "agreement": ("% that two sets of digits give one class", 100),
        "memorised": ("% that copy a training digit", 100),
        "ratio": ("distance to held-out over that to training digits", 1),
        "classes": ("number of classes, 10 if all are as common", 1),
    }
    panels = [
        Panel(title, _values(rows, SCORES, "score", column, factor), [SCORES["dia"]])
        for column, (title, factor) in titles.items()
    ]
    found = {"": plot.gallery(shown, first=0)}
    found[""].set_label(
        "Samples of a small UNet of the first seed from the same noise, and digits: a row each for "
        f"{', '.join(f'“{title}”' for title, _ in shown)}."
    )
    found["numbers"] = measured("Samples of a small UNet", panels)
    return found


def measured(title: str, panels: Sequence[Panel]) -> "matplotlib.figure.Figure":
    """Draw measurements as dots, their mean as a line, and paired differences in words.

    Args:
        title: of the figure.
        panels: those without values are left out.
    """
    panels = [panel for panel in panels if any(panel.values.values())]
    tall = sum(OVER + UNDER + LINE * len(panel.values) for panel in panels)
    height = HEAD + tall + FOOT
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        words: dict[str, Any] = {"fontsize": 8, "color": QUIET, "va": "top"}
        text = "dots: seeds; line: mean"
        figure.text(0.1 / NARROW, 1 - 0.3 / height, text, **words)
        if any(_shown(panel) for panel in panels):
            text = "difference to the first\n(95 % interval, paired)"
            where = ((NARROW - RIGHT + 0.08) / NARROW, 1 - 0.3 / height)
            figure.text(*where, text, linespacing=1.1, **words)
        top = HEAD
        for panel in panels:
            _drawn(figure, panel, top)
            top += OVER + UNDER + LINE * len(panel.values)
    about = "; ".join(f"{panel.title}: {_summary(panel.values)}" for panel in panels)
    figure.set_label(f"{title}. Mean of the seeds: {about}.")
    return figure


def _drawn(figure: "matplotlib.figure.Figure", panel: Panel, top: float) -> None:
    """Draw a panel so many inches below the top."""
    from matplotlib.ticker import MaxNLocator

    height, count = figure.get_size_inches()[1], len(panel.values)
    low = height - top - OVER - LINE * count
    box = (LEFT / NARROW, low / height, (NARROW - LEFT - RIGHT) / NARROW, LINE * count / height)
    axes = figure.add_axes(box)
    first, compared = next(iter(panel.values.values())), _shown(panel)
    for place, (name, values) in enumerate(panel.values.items()):
        axes.plot(values, [place] * len(values), "o", color=BLUE, alpha=0.7, markersize=4)
        middle = statistics.fmean(values)
        axes.plot([middle] * 2, [place - 0.32, place + 0.32], color=INK, linewidth=1.4)
        if name in compared:
            look: dict[str, Any] = {"fontsize": 8, "color": INK, "va": "center"}
            at = axes.get_yaxis_transform()
            axes.text(1.04, place, _difference(values, first), transform=at, **look)
    axes.set(ylim=(count - 0.5, -0.5))
    axes.set_yticks(range(count), list(panel.values))
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.margins(x=0.08)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelcolor=INK)
    where = (0.1 / NARROW, (low + LINE * count + 0.05) / height)
    figure.text(*where, panel.title, fontsize=8.5, color=INK, va="bottom")


def _shown(panel: Panel) -> list[str]:
    """Return the names whose difference to the first can be given: two seeds or more of both."""
    first = next(iter(panel.values.values()))
    wanted = {name: panel.values.get(name, ()) for name in panel.compared}
    return [name for name, values in wanted.items() if len(values) == len(first) > 1]


def _difference(values: Sequence[float], first: Sequence[float]) -> str:
    """Return a mean difference and its interval in words, with minus signs."""
    found = paired(values, first)
    if not any(found):
        return "0, the same"
    size = max(abs(found.low), abs(found.high))
    places = 1 if size >= 1 else 2 if size >= 0.1 else 3
    mean, low, high = (f"{one:+.{places}f}" for one in (found.mean, found.low, found.high))
    return f"{mean} ({low} to {high})".replace("-", "−")


def _panel(title: str, rows: Sequence[Row], backbone: str, column: str, factor: float) -> Panel:
    mine = [row for row in rows if row["backbone"] == backbone]
    names = VIT if backbone == "vit" else UNET
    return Panel(title, _values(mine, names, "gate", column, factor), list(names.values())[1:])


def _values(
    rows: Sequence[Row], names: Mapping[str, str], by: str, column: str, factor: float
) -> dict[str, list[float]]:
    """Return the measurements of a column by name, in the order of the seeds."""
    ordered = sorted(rows, key=lambda row: int(row["seed"]))
    found = {
        title: [factor * row[column] for row in ordered if row[by] == name]
        for name, title in names.items()
        if all(row[column] is not None for row in ordered if row[by] == name)
    }
    return {title: values for title, values in found.items() if values}


def _summary(values: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{name} {statistics.fmean(one):.3g}" for name, one in values.items())
