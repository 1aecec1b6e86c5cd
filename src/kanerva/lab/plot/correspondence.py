"""Draw how the parts of three systems answer to each other."""

from typing import TYPE_CHECKING

from kanerva._core.errors import door
from kanerva.lab.plot._style import BLUE, GREEN, INK, PURPLE, QUIET, blank, headline, styled

if TYPE_CHECKING:
    import matplotlib.figure
    import matplotlib.patches

__all__ = ["correspondence"]

STATIONS = (
    "what asks",
    "what it is\ncompared with",
    "how much\neach counts",
    "what is kept",
    "what answers",
)
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


@door("plot.correspondence")
def correspondence() -> "matplotlib.figure.Figure":
    """Draw the path of a read through sparse distributed memory, attention and the cerebellum, part beside part.

    Returns:
        a figure 6.6 inches wide: a row for each system, a column for each part; what is written comes from below.

    Raises:
        InputError: matplotlib is not installed.

    Example:
        >>> from kanerva.lab.plot import correspondence
        >>> len(correspondence().axes)
        1

    Source:
        Kanerva (1988, 1993) for the cerebellum; Bricken and Pehlevan (2021) for attention.
    """
    width, row, head, foot = 6.6, 1.16, 0.74, 0.02
    height = head + row * len(SYSTEMS) + foot
    left, step, half = 0.1, (width - 0.2) / len(STATIONS), 0.26
    with styled():
        figure = blank(width, height)
        axes = figure.add_axes(
            (0, 0, 1, 1), frameon=False, xticks=[], yticks=[], xlim=(0, width), ylim=(0, height)
        )
        axes.grid(False)
        headline(figure, "One read, three systems")
        for place, station in enumerate(STATIONS):
            axes.text(
                left + step * (place + 0.5),
                height - head + 0.03,
                station,
                ha="center",
                va="bottom",
                fontsize=8,
                color=QUIET,
                linespacing=1.1,
            )
        for line, (system, (colour, parts)) in enumerate(SYSTEMS.items()):
            top = height - head - row * line
            middle = top - 0.48
            axes.text(
                left + 0.02, top - 0.03, system, fontsize=8.5, weight="bold", color=colour, va="top"
            )
            for place, part in enumerate(parts):
                x = left + step * (place + 0.5)
                axes.add_patch(_box(x - step * 0.43, middle - half, step * 0.86, 2 * half, colour))
                axes.text(
                    x,
                    middle,
                    part,
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=INK,
                    linespacing=1.15,
                )
                if place:
                    axes.annotate(
                        "",
                        (x - step * 0.43, middle),
                        (x - step * 0.57, middle),
                        arrowprops={
                            "arrowstyle": "-|>",
                            "color": colour,
                            "shrinkA": 0,
                            "shrinkB": 0,
                        },
                    )
            kept = left + step * 3.5
            axes.annotate(
                "",
                (kept, middle - half),
                (kept, middle - half - 0.2),
                arrowprops={"arrowstyle": "-|>", "color": QUIET, "shrinkA": 0, "shrinkB": 0},
            )
            axes.text(
                kept + 0.07,
                middle - half - 0.15,
                WRITING[line],
                fontsize=7.5,
                color=QUIET,
                va="center",
            )
    return figure


def _box(
    x: float, y: float, width: float, height: float, colour: str
) -> "matplotlib.patches.Patch":
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch(
        (x, y),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor="white",
        edgecolor=colour,
        linewidth=1.2,
    )
