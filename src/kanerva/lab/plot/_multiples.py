"""Small panels of one scale, a memory each: a line for each code, and the baselines behind."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from kanerva._core.errors import refuse
from kanerva.lab.plot._rows import Row, means, number, require
from kanerva.lab.plot._style import (
    BLACK,
    BLUE,
    GREEN,
    INK,
    NARROW,
    ORANGE,
    PURPLE,
    QUIET,
    WIDE,
    blank,
    headline,
)
from kanerva.lab.plot.labels import wrap

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["BASELINES", "Curve", "Curves", "Labels", "check", "drawn", "gathered", "percent"]

Curve = tuple[list[float], list[float], list[float]]

# Dashes of the lines of the baselines.
BASELINES: dict[str, tuple[int, tuple[float, float]]] = {
    "nearest": (0, (4, 2)),
    "cue": (0, (1, 1.6)),
}
# Colour and marker of the codes, in order: neighbours differ in lightness, so also in grey.
CODES = [(BLUE, "o"), (ORANGE, "s"), (BLACK, "^"), (GREEN, "D"), (PURPLE, "v")]
# Keywords of matplotlib.
LINE: dict[str, Any] = {"elinewidth": 1.2, "capsize": 0, "clip_on": False, "zorder": 3}
TITLE: dict[str, Any] = {"loc": "left", "fontsize": 9, "color": INK, "pad": 7, "va": "bottom"}
TITLE |= {"linespacing": 1.15}


class Curves(NamedTuple):
    """What the panels show: each curve is levels, means and standard deviations over seeds.

    * ``titles``: of the memories.
    * ``codecs``: the codes, in order.
    * ``front``: the curves of each memory by code; a panel each.
    * ``behind``: those of the baselines, which are drawn in every panel.
    * ``seeds``: the number of seeds.
    """

    titles: Mapping[str, str]
    codecs: Sequence[str]
    front: Mapping[str, Mapping[str, Curve]]
    behind: Mapping[str, Mapping[str, Curve]]
    seeds: int

    def each(self) -> Iterator[Curve]:
        """Yield all curves."""
        for group in (self.front, self.behind):
            for curves in group.values():
                yield from curves.values()


class Labels(NamedTuple):
    """Title of a figure, label of its horizontal axis, and further lines of the legend."""

    title: str
    x: str
    lines: Sequence[Any] = ()


def check(rows: Sequence[Row], columns: Sequence[str], measure: str) -> None:
    """Refuse rows without ``columns`` and ``measure``, which may be None, or with other codes."""
    require(rows, ("memory", "title", *columns, measure), "run the comparison first")
    for row in rows:
        codec = row.get("codec", "none")
        if not isinstance(codec, str):
            must, do = "the name of a code", "give 'none' where there is no code"
            refuse("rows, column 'codec',", codec, must=must, do=do)
        if row[measure] is not None:
            number(row, measure)


def gathered(rows: Sequence[Row], x: str, y: str) -> Curves:
    """Return the curves of one column against another by memory and code."""
    points: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        mine = points.setdefault(str(row["memory"]), {}).setdefault(row.get("codec", "none"), [])
        if row[y] is not None:
            mine.append((number(row, x), number(row, y)))
    curves = {
        memory: {codec: means(some) for codec, some in codes.items()}
        for memory, codes in points.items()
    }
    behind = {memory: curve for memory, curve in curves.items() if memory in BASELINES}
    front = {memory: curve for memory, curve in curves.items() if memory not in BASELINES} or behind
    return Curves(
        titles={str(row["memory"]): str(row["title"]) for row in rows},
        codecs=list(dict.fromkeys(row.get("codec", "none") for row in rows)),
        front=front,
        behind=behind,
        seeds=len({row.get("seed") for row in rows}),
    )


def drawn(
    curves: Curves, across: int, frame: Labels
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """Draw the curves, with numbers only at the left and lower edges; the scales are left open."""
    across = min(across, len(curves.front))
    width = WIDE * across if across > 2 else NARROW
    handles = [*_named(curves), *frame.lines]
    columns = _columns([_label(handle) for handle in handles], width)
    head = max(0.54, 0.305 + 0.165 * -(-len(handles) // columns))
    figure, panels = _grid(len(curves.front), across, head)
    looks = _looks(curves.codecs)
    for index, (panel, (memory, codes)) in enumerate(
        zip(panels, curves.front.items(), strict=True)
    ):
        for (levels, values, _), look in _behind(curves):
            panel.plot(levels, values, zorder=1.5, **look)
        for codec, curve in codes.items():
            panel.errorbar(*curve, **(looks[codec] | LINE))
        panel.set_title(wrap(curves.titles[memory], 25), **TITLE)
        lowest = index + across >= len(panels)
        panel.tick_params(labelleft=index % across == 0, labelbottom=lowest)
    headline(figure, frame.title)
    _legend(figure, handles, columns)
    boxes = [axes.get_position() for axes in panels]
    middle = (min(box.x0 for box in boxes) + max(box.x1 for box in boxes)) / 2
    figure.text(middle, 0.1 / figure.get_size_inches()[1], frame.x, ha="center", va="bottom")
    return figure, panels


def percent(axes: "matplotlib.axes.Axes") -> None:
    """Scale the vertical axis from 0 to 100%."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _grid(
    count: int, across: int, head: float
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """Lay out ``count`` panels in inches, so that the layout does not depend on the labels."""
    down = -(-count // across)
    bottom, left, right, gap, tall = 0.5, 0.42, 0.12, 0.6, 1.15
    width, height = WIDE * across if across > 2 else NARROW, head + bottom + down * (tall + gap)
    figure = blank(width, height)
    step = (width - left - right + 0.3) / across
    panels: list[matplotlib.axes.Axes] = []
    for index in range(count):
        row, column = divmod(index, across)
        y = height - head - (row + 1) * (tall + gap)
        box = ((left + column * step) / width, y / height, (step - 0.3) / width, tall / height)
        first = panels[0] if panels else None
        panels.append(figure.add_axes(box, sharex=first, sharey=first))
    return figure, panels


def _looks(codecs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the look of each code; after all colours were used, their markers are open."""
    found: dict[str, dict[str, Any]] = {}
    for place, codec in enumerate(codecs):
        colour, marker = CODES[place % len(CODES)]
        found[codec] = {"color": colour, "marker": marker}
        if place >= len(CODES):
            found[codec]["markerfacecolor"] = "white"
    return found


def _behind(curves: Curves) -> Iterator[tuple[Curve, dict[str, Any]]]:
    """Yield the curves of the baselines and their looks."""
    looks = _looks(curves.codecs)
    for memory, codes in curves.behind.items():
        look: dict[str, Any] = {"linestyle": BASELINES[memory], "linewidth": 1.1}
        if _common(curves, memory):
            yield next(iter(codes.values())), look | {"color": QUIET}
        else:
            for codec, curve in codes.items():
                yield curve, look | {"color": _lighter(looks[codec]["color"])}


def _common(curves: Curves, memory: str) -> bool:
    """Return whether a baseline is the same in all codes."""
    codes = list(curves.behind[memory].values())
    return len(codes) == len(curves.codecs) and all(curve == codes[0] for curve in codes)


def _lighter(colour: str) -> tuple[float, float, float]:
    """Mix a colour with white."""
    from matplotlib.colors import to_rgb

    red, green, blue = (0.65 * part + 0.35 for part in to_rgb(colour))
    return red, green, blue


def _named(curves: Curves) -> list[Any]:
    """Return the handles of the legend: codes, spread, baselines; a tuple where lines differ."""
    from matplotlib.lines import Line2D

    looks = _looks(curves.codecs)
    handles: list[Any] = []
    if len(curves.codecs) == 1:
        spread = f", ± 1 s.d. over {curves.seeds} seeds" if curves.seeds > 1 else ""
        handles.append(Line2D([], [], label=f"the memory{spread}", **looks[curves.codecs[0]]))
    else:
        for codec, look in looks.items():
            label = "no code" if codec == "none" else f"code {codec}"
            handles.append(Line2D([], [], label=wrap(label, 40), **look))
        if curves.seeds > 1:
            bar: dict[str, Any] = {
                "color": INK,
                "marker": "|",
                "markersize": 8,
                "linestyle": "none",
            }
            label = f"± 1 s.d. over {curves.seeds} seeds"
            handles.append(Line2D([], [], label=label, **bar))
    for memory, codes in curves.behind.items():
        look = {"linestyle": BASELINES[memory], "linewidth": 1.1}
        if _common(curves, memory):
            label = wrap(curves.titles[memory], 40)
            handles.append(Line2D([], [], color=QUIET, label=label, **look))
        else:
            label = wrap(f"{curves.titles[memory]}, same code", 40)
            shades = [_lighter(looks[codec]["color"]) for codec in codes]
            handles.append(
                tuple(Line2D([], [], color=shade, label=label, **look) for shade in shades)
            )
    return handles


def _label(handle: Any) -> str:
    return str((handle[0] if isinstance(handle, tuple) else handle).get_label())


def _columns(labels: Sequence[str], width: float) -> int:
    """Return the largest number of columns of a legend that fit into so many inches."""
    sizes = [0.6 + 0.066 * max(map(len, label.split("\n"))) for label in labels]
    for columns in range(len(labels), 1, -1):
        # As matplotlib fills them: the first columns are the longer ones.
        tall, longer = divmod(len(labels), columns)
        ends = [place * tall + min(place, longer) for place in range(columns + 1)]
        total = sum(max(sizes[a:b]) for a, b in pairwise(ends))
        if total <= width + 0.1:
            return columns
    return 1


def _legend(figure: "matplotlib.figure.Figure", handles: Sequence[Any], columns: int) -> None:
    """Name the lines above the panels."""
    from matplotlib.legend_handler import HandlerTuple

    width, height = figure.get_size_inches()
    look: dict[str, Any] = {"loc": "upper left", "columnspacing": 2.2, "labelspacing": 0.35}
    look |= {"bbox_to_anchor": (0.1 / width, 1 - 0.36 / height), "ncols": columns}
    labels = [_label(handle) for handle in handles]
    several = HandlerTuple(ndivide=None, pad=0.4)
    figure.legend(list(handles), labels, handler_map={tuple: several}, **look)
