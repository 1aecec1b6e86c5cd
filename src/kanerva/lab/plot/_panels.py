"""The panels of the figures of heads, and the colours of layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kanerva.lab.plot._style import blank, headline

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

__all__ = ["key", "panels", "shades"]


def shades(layers: Sequence[int]) -> dict[int, Any]:
    """Return a colour for each layer, from light for the first to dark for the last."""
    import matplotlib

    scale = matplotlib.colormaps["viridis_r"]
    last = max(1, len(layers) - 1)
    return {layer: scale(0.15 + 0.85 * place / last) for place, layer in enumerate(layers)}


def key(
    figure: "matplotlib.figure.Figure", layers: Sequence[int], extra: Sequence[Any] = ()
) -> None:
    """Add a legend of the layers below the headline; of more than six, five are named."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    named = list(layers)
    if len(layers) > 6:
        named = sorted({layers[round(place * (len(layers) - 1) / 4)] for place in range(5)})
    colours = shades(layers)
    handles = [
        Line2D([], [], color=colours[layer], linewidth=2, label=f"layer {layer}") for layer in named
    ]
    anchor, columns = (0.1 / width, 1 - 0.36 / height), 4 if width < 5 else 8
    if sum(len(one.get_label()) + 6 for one in (*handles, *extra)) * 0.068 > width:
        columns = 2 if width < 5 else 4
    look: dict[str, Any] = {"handlelength": 1.4, "columnspacing": 1.5, "labelspacing": 0.3}
    look |= {"loc": "upper left", "bbox_to_anchor": anchor, "ncols": columns}
    figure.legend(handles=[*handles, *extra], **look)


def panels(
    title: str, labels: Sequence[tuple[str, str]], narrow: bool, head: float
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """Lay out one panel or two in inches, side by side or, where narrow, one below the other.

    Each panel has a label of the horizontal axis, and one of the vertical axis above it.
    """
    width = 4.4 if narrow or len(labels) == 1 else 8.0
    across = 1 if narrow else len(labels)
    down = -(-len(labels) // across)
    left, right, above, below, tall = 0.5, 0.14, 0.26, 0.5, 2.2
    height = head + down * (above + tall + below)
    figure = blank(width, height)
    step = width / across
    drawn = []
    for place, (along, upward) in enumerate(labels):
        row, column = divmod(place, across)
        x = left + column * step
        y = height - head - (row + 1) * (above + tall + below) + below
        size = ((step - left - right) / width, tall / height)
        axes = figure.add_axes((x / width, y / height, *size))
        axes.set_xlabel(along, labelpad=5)
        axes.set_title(upward, loc="left", fontsize=8.5, pad=6)
        drawn.append(axes)
    headline(figure, title)
    return figure, drawn
