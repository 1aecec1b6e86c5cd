"""The figures of the continual learner, from rows alone."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kanerva.lab import plot
from kanerva.lab.plot._style import (
    BLUE,
    GREEN,
    INK,
    NARROW,
    PURPLE,
    QUIET,
    SKY,
    VERMILION,
    blank,
    headline,
    styled,
)
from kanerva.lab.plot.labels import apart
from kanerva.lab.recipe import Row

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["drawn", "named"]

# Lines of the main figure: the name, the words beside it, the colour, the dash and the marker.
LINES = (
    ("attention", "attention,\nwritten", INK, (0, (4, 2)), "s"),
    ("SDM layer", "SDM layer", BLUE, "-", "o"),
    ("counters of the fly", "fly, written", GREEN, (0, (4, 2)), "^"),
    ("SDM layer, no switch", "SDM layer,\nno switch", SKY, "-", "P"),
    ("MLP", "MLP", VERMILION, "-", "X"),
)
KINDS = (
    ("written", GREEN, ("attention", "counters of the fly")),
    ("trained on all tasks at once", PURPLE, ("SDM layer, joint", "MLP, joint")),
)
USUAL = ("method", "k", "switch", "rate", "momentum", "neurons", "batches")
WORDS = {
    "no-norm": "SDM layer, no norm",
    "no-sign": "SDM layer, any sign",
    "with-bias": "SDM layer with bias",
    "mlp": "MLP",
    "attention": "attention",
    "fly": "counters of the fly",
}
# Inches of the main figure: left, right, head, foot and height of the panel.
LEFT, RIGHT, HEAD, FOOT, TALL = 0.42, 1.08, 0.56, 0.44, 2.5
# Inches of the table: left, right, head, foot and height of a line.
SIDE, END, TOP, BASE, LINE = 1.86, 0.42, 0.62, 0.12, 0.185


def drawn(rows: Sequence[Row]) -> dict[str, Any]:
    """Draw the accuracy after each task, dead neurons, all learners, and what k and the rate do.

    Args:
        rows: of the recipe. The first of the layer has the parameters that others differ from.
    """
    layers = [row for row in rows if row["network"] == "sdm"]
    usual = {name: (layers or rows)[0][name] for name in ("network", *USUAL)}
    found = {"": _accuracy(rows), "learners": _learners(rows)}
    silent = [
        row | {"line": named(row)}
        for row in rows
        if row["network"] in ("sdm", "top-k", "mlp") and _as_usual(row, usual, "switch")
    ]
    if silent:
        frame = plot.Frame("Neurons that never fired", "tasks learned", "neurons")
        found["neurons"] = plot.lines(silent, "task", "dead", frame, by="line")
    swept = [*_swept(rows, usual, "k"), *_swept(rows, usual, "rate")]
    if swept:
        title, y = "How many neurons, how fast", "% of all classes after the last task"
        x = "neurons that are not inhibited; rate"
        frame = plot.Frame(title, x, y, log="x", limits=(0, 100))
        found["parameters"] = plot.lines(swept, "x", "y", frame, panel="panel")
    return found


def named(row: Row) -> str:
    """Return the name of what was trained or written."""
    network, method = str(row["network"]), str(row["method"])
    if network in ("sdm", "top-k"):
        name = {"sdm": "SDM layer", "top-k": "top-k MLP"}[network]
        if (row["switch"] > 0) == (network == "top-k"):
            name += {"sdm": ", no switch", "top-k": " with switch"}[network]
    else:
        name = WORDS.get(network, network)
    if row["momentum"]:
        name += ", momentum"
    if method != "plain":
        name += ", joint" if method == "joint" else f" with {method.upper()}"
    return name


def _as_usual(row: Row, usual: Mapping[str, Any], *but: str) -> bool:
    """Return whether a row has the usual parameters, apart from some and from the network."""
    names = set(usual) - {"network", *but}
    return all(row[name] == usual[name] for name in names)


def _last(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["task"] == row["tasks"]]


def _swept(rows: Sequence[Row], usual: Mapping[str, Any], name: str) -> list[Row]:
    """Return the last accuracies of the layer by one parameter; none where it does not vary."""
    mine = [
        row
        for row in _last(rows)
        if row["network"] == usual["network"] and _as_usual(row, usual, name)
    ]
    if len({row[name] for row in mine}) < 2:
        return []
    title = {"k": "by k", "rate": "by learning rate"}[name]
    return [{"x": row[name], "y": 100 * row["right"], "panel": title} for row in mine]


def _accuracy(rows: Sequence[Row]) -> "matplotlib.figure.Figure":
    """Draw the accuracy over all classes after each task, with names beside the lines."""
    tasks, height = rows[0]["tasks"], HEAD + TALL + FOOT
    title = "Learned task after task, without replay"
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        up: dict[str, Any] = {"fontsize": 8, "color": QUIET, "va": "top"}
        words = "% of the test pictures of all classes, named after each task"
        figure.text(0.1 / NARROW, 1 - 0.3 / height, words, **up)
        box = (LEFT / NARROW, FOOT / height, (NARROW - LEFT - RIGHT) / NARROW, TALL / height)
        axes = figure.add_axes(box)
        every = list(range(1, tasks + 1))
        ceiling = [100 * task / tasks for task in every]
        axes.plot(every, ceiling, color="#b6bcc4", linestyle=(0, (1, 1.6)), zorder=1)
        shown = _curves(axes, rows)
        axes.set(xlim=(0.85, tasks + 0.15), ylim=(0, 103), xticks=every)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.text(0.98, 96, "dotted: all classes seen so far", va="top", fontsize=8, color=QUIET)
        figure.text(box[0] + box[2] / 2, 0.06 / height, "tasks learned", ha="center")
        _beside(axes, shown, tasks)
    names = ", ".join("“" + word.replace("\n", " ") + "”" for word, *_ in shown)
    figure.set_label(
        f"{title}. Percent of the test pictures of all classes that are named after each task: "
        f"{names}; bands: all seeds; dotted: all classes seen so far."
    )
    return figure


def _curves(axes: "matplotlib.axes.Axes", rows: Sequence[Row]) -> list[tuple[str, float, Any]]:
    """Draw the lines; return their words, their ends and their colours."""
    shown: list[tuple[str, float, Any]] = []
    for name, words, colour, dash, marker in LINES:
        mine = [row for row in rows if named(row) == name]
        if not mine:
            continue
        first = [row for row in mine if all(row[key] == mine[0][key] for key in ("k", "rate"))]
        by: dict[int, list[float]] = {}
        for row in first:
            by.setdefault(row["task"], []).append(100 * row["right"])
        places = sorted(by)
        middle = [statistics.fmean(by[task]) for task in places]
        low, high = ([end(by[task]) for task in places] for end in (min, max))
        axes.fill_between(places, low, high, color=colour, alpha=0.13, linewidth=0)
        wide = 2.4 if name == "SDM layer" else 1.5
        look: dict[str, Any] = {"linestyle": dash, "marker": marker, "markersize": 4}
        axes.plot(places, middle, color=colour, linewidth=wide, **look)
        shown.append((words, middle[-1], colour))
    return shown


def _beside(
    axes: "matplotlib.axes.Axes", shown: Sequence[tuple[str, float, Any]], tasks: int
) -> None:
    """Write names and ends beside the lines, apart from each other."""
    gaps = [6.2 * (1 + words.count("\n")) + 1.0 for words, *_ in shown]
    places = apart([end for _, end, _ in shown], gaps, 0.0, 106.0)
    for (words, end, colour), place in zip(shown, places, strict=True):
        text = f"{words} {end:.0f}"
        axes.text(tasks + 0.28, place, text, color=colour, fontsize=8, va="center", linespacing=1.0)


def _learners(rows: Sequence[Row]) -> "matplotlib.figure.Figure":
    """Draw the last accuracy of all learners, with the range of its seeds."""
    found = _best(rows)
    order = sorted(found, key=lambda name: statistics.fmean(found[name]))
    height = TOP + LINE * len(order) + BASE
    title = "All classes after the last task"
    with styled():
        figure = blank(NARROW, height)
        headline(figure, title)
        box = (SIDE / NARROW, BASE / height, (NARROW - SIDE - END) / NARROW)
        axes = figure.add_axes((*box, LINE * len(order) / height))
        for place, name in enumerate(order):
            values = found[name]
            mean, colour = statistics.fmean(values), _colour(name)
            axes.barh(place, mean, height=0.66, color=colour)
            axes.plot([min(values), max(values)], [place] * 2, color=INK, linewidth=1.0)
            text: dict[str, Any] = {"va": "center", "fontsize": 8, "color": INK}
            axes.text(max(mean, *values) + 1.5, place, f"{mean:.0f}", **text)
        axes.set(xlim=(0, 100), ylim=(-0.6, len(order) - 0.4), xticks=[])
        axes.set_yticks(range(len(order)), order)
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(labelcolor=INK)
        _key(figure, order, height)
    ends = ", ".join(f"{name} {statistics.fmean(found[name]):.0f}" for name in reversed(order))
    figure.set_label(
        f"{title}. Percent of the test pictures of all classes that are named, mean and range of "
        f"the seeds, penalties at their best strength with one seed: {ends}."
    )
    return figure


def _key(figure: "matplotlib.figure.Figure", order: Sequence[str], height: float) -> None:
    """Explain the colours above the bars."""
    from matplotlib.patches import Patch

    kinds = {_colour(name): _kind(name) for name in order}
    handles = [Patch(color=colour, label=kind) for colour, kind in kinds.items()]
    place = (0.1 / NARROW, 1 - 0.3 / height)
    look: dict[str, Any] = {"ncols": 2, "columnspacing": 1.4, "handlelength": 1.0}
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=place, **look)


def _kind(name: str) -> str:
    for kind, _, names in KINDS:
        if name in names:
            return kind
    return "layer, task by task" if name.startswith("SDM") else "MLP, task by task"


def _colour(name: str) -> str:
    for _, colour, names in KINDS:
        if name in names:
            return colour
    return BLUE if name.startswith("SDM") else VERMILION


def _best(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Return the last accuracies of each learner in percent, at the best strength of a penalty.

    All other parameters are those of its first row.
    """
    first: dict[str, Row] = {}
    cells: dict[str, dict[float, list[float]]] = {}
    for row in _last(rows):
        name = named(row)
        mine = first.setdefault(name, row)
        if all(row[key] == mine[key] for key in ("k", "switch", "rate", "neurons", "batches")):
            cells.setdefault(name, {}).setdefault(row["importance"], []).append(100 * row["right"])
    return {name: max(each.values(), key=statistics.fmean) for name, each in cells.items()}
