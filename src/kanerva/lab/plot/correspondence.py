"""The corresponding parts of sparse distributed memory, attention and the cerebellum."""

from typing import TYPE_CHECKING, Any

from kanerva._core.errors import door
from kanerva.lab.plot._style import BLUE, GREEN, INK, PURPLE, QUIET, blank, headline, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["correspondence"]

STATIONS = ("query", "keys", "weights", "values", "output")
SYSTEMS = {
    "Sparse distributed memory": (
        BLUE,
        (
            "address:\na word of n bits",
            "addresses of the\nhard locations",
            "active within\nthe radius",
            "counters of\nthe locations",
            "sum, then\nits sign",
        ),
    ),
    "Attention": (
        PURPLE,
        ("query", "keys", "softmax of\nbeta × cosine", "values", "weighted\nsum"),
    ),
    "Cerebellum": (
        GREEN,
        (
            "mossy\nfibres",
            "dendrites of\ngranule cells",
            "granule cells\nthat fire",
            "synapses onto\nPurkinje cells",
            "Purkinje\ncells",
        ),
    ),
}
WRITING = ("the word to be written", "the value of a token", "climbing fibres")
# Inches: the figure, its margins, and the distance from the centre of a box to its edges.
WIDTH, ROW, HEAD, FOOT, LEFT = 6.6, 1.16, 0.74, 0.02, 0.1
STEP, HALF = (WIDTH - 2 * LEFT) / len(STATIONS), 0.26


@door("plot.correspondence")
def correspondence() -> "matplotlib.figure.Figure":
    """Draw one read as it is in sparse distributed memory, in attention and in the cerebellum.

    Returns:
        a figure 6.6 inches wide: a row for each system, a column for each part. An arrow from below
        is what is written.

    Raises:
        InputError: matplotlib is not installed.

    Example:
        >>> from kanerva.lab.plot import correspondence
        >>> len(correspondence().axes)
        1

    Source:
        Kanerva (1988, 1993) for the cerebellum; Bricken and Pehlevan (2021) for attention.
    """
    height = HEAD + ROW * len(SYSTEMS) + FOOT
    with styled():
        figure = blank(WIDTH, height)
        axes = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
        axes.set(xlim=(0, WIDTH), ylim=(0, height))
        axes.grid(False)
        headline(figure, "One read, three systems")
        look: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8, "linespacing": 1.1}
        for place, station in enumerate(STATIONS):
            axes.text(_centre(place), height - HEAD + 0.03, station, color=QUIET, **look)
        for line, (system, (colour, parts)) in enumerate(SYSTEMS.items()):
            top = height - HEAD - ROW * line
            look = {"fontsize": 8.5, "weight": "bold", "va": "top"}
            axes.text(LEFT + 0.02, top - 0.03, system, color=colour, **look)
            _parts(axes, parts, colour, top - 0.48)
            _written(axes, WRITING[line], top - 0.48 - HALF)
    return figure


def _centre(place: float) -> float:
    """Return the horizontal centre of a column."""
    return LEFT + STEP * (place + 0.5)


def _parts(
    axes: "matplotlib.axes.Axes", parts: tuple[str, ...], colour: str, middle: float
) -> None:
    """Draw the parts of one system as boxes in a row, with an arrow from each to the next."""
    from matplotlib.patches import FancyBboxPatch

    shape = "round,pad=0,rounding_size=0.06"
    box: dict[str, Any] = {"facecolor": "white", "edgecolor": colour, "linewidth": 1.2}
    text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "linespacing": 1.15}
    for place, part in enumerate(parts):
        x = _centre(place)
        corner, size = (x - STEP * 0.43, middle - HALF), (STEP * 0.86, 2 * HALF)
        axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=shape, **box))
        axes.text(x, middle, part, color=INK, **text)
        if place:
            _arrow(axes, (x - STEP * 0.57, middle), (x - STEP * 0.43, middle), colour)


def _written(axes: "matplotlib.axes.Axes", text: str, bottom: float) -> None:
    """Draw what is written: an arrow from below into the values."""
    x = _centre(3)
    _arrow(axes, (x, bottom - 0.2), (x, bottom), QUIET)
    axes.text(x + 0.07, bottom - 0.15, text, fontsize=7.5, color=QUIET, va="center")


def _arrow(
    axes: "matplotlib.axes.Axes", start: tuple[float, float], end: tuple[float, float], colour: str
) -> None:
    arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=arrow)
