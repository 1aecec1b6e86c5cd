"""Numbers of the heads of a transformer as maps, layers by heads."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._rows import Row, check
from kanerva.lab.plot._style import BLUE, INK, NARROW, VERMILION, blank, headline, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    import matplotlib.image

__all__ = ["head_maps"]

MAPPED = ("beta", "radius", "entropy", "effective", "special", "variation")
TITLES = {
    "beta": "Effective beta",
    "beta_max": "Effective beta of the largest weight",
    "radius": "Radius of the fitted circles, bits",
    "matched_radius": "Radius that agrees best, bits",
    "entropy": "Entropy of the weights, nats",
    "effective": "Effective number of tokens",
    "needed": "Tokens with nine tenths of the weight",
    "top": "Largest weight",
    "special": "Weight on special tokens",
    "first": "Weight on the first token",
    "sink": "Weight on the token of largest weight",
    "variation": "Total variation from the fitted circles",
    "matched_variation": "Total variation at the radius that agrees best",
    "cosine": "Cosine of queries and keys",
}
CELLS = 400  # Maps of more cells have no numbers.
# Inches: the margins of a map, and the height of the title.
LEFT, RIGHT, HEAD, ABOVE, BELOW = 0.42, 0.62, 0.36, 0.3, 0.37


@door("plot.head_maps")
def head_maps(
    rows: Sequence[Row], columns: Sequence[str] = MAPPED, *, across: int = 2
) -> "matplotlib.figure.Figure":
    """Draw one map for each column, with a row for each layer and a column for each head.

    Layer 0 is at the top. Every map has its own colour scale, from light to dark; where values are
    far below zero, negative ones are red and positive ones blue. Numbers are written where they
    fit. Missing values are hatched.

    Args:
        rows: a dict for each head with ``layer``, ``index`` and ``columns``, as returned by
            ``kanerva.probe``.
        columns: the columns to draw.
        across: the largest number of maps in a row, >= 1; 2 for a desktop page, 1 for a phone.

    Returns:
        a figure 4.4 inches wide, or 8.8 for two across and more.

    Raises:
        InputError: there are no rows or columns, a row lacks a column, or a number is not finite.

    Example:
        >>> rows = [dict(layer=0, index=head, beta=4.0 + head) for head in range(3)]
        >>> head_maps(rows, ["beta"]).axes[0].images[0].get_array().tolist()
        [[4.0, 5.0, 6.0]]
    """
    across = checks.integer("across", across, 1)
    if not columns:
        refuse("columns", must="one column or more", got="empty", do="give ['beta']")
    check(rows, ("layer", "index"), columns)
    layers, heads = (sorted({int(row[place]) for row in rows}) for place in ("layer", "index"))
    across = min(across, len(columns))
    width = NARROW * min(across, 2)
    step, tall = width / across, len(layers) * min(0.21, 3.6 / len(layers))
    wide = len(heads) * min(0.5, (step - LEFT - RIGHT) / len(heads))
    pitch = ABOVE + tall + BELOW
    height = HEAD + -(-len(columns) // across) * pitch
    with styled():
        figure = blank(width, height)
        for place, column in enumerate(columns):
            row, along = divmod(place, across)
            x, y = LEFT + along * step, height - HEAD - (row + 1) * pitch + BELOW
            axes = figure.add_axes((x / width, y / height, wide / width, tall / height))
            image = _map(axes, _grid(rows, layers, heads, column), (wide, tall))
            _ticks(axes, layers, heads, (wide, tall))
            title = TITLES.get(column, column.replace("_", " "))
            axes.set_title(title, loc="left", fontsize=9, pad=6)
            axes.set_xlabel("head" if place + across >= len(columns) else "", labelpad=2)
            axes.set_ylabel("layer" if along == 0 else "", labelpad=3)
            if image and tall > 0.4:  # A lower bar is too small for its numbers.
                box = ((x + wide + 0.09) / width, y / height, 0.08 / width, tall / height)
                _bar(figure.add_axes(box), image)
        headline(figure, "The heads, layer by layer")
    return figure


def _grid(
    rows: Sequence[Row], layers: Sequence[int], heads: Sequence[int], column: str
) -> "np.ma.MaskedArray":
    """Return one column as layers by heads; missing values are masked."""
    grid = np.ma.array(np.zeros((len(layers), len(heads))), mask=True)
    for row in rows:
        if row[column] is not None:
            grid[layers.index(int(row["layer"])), heads.index(int(row["index"]))] = row[column]
    return grid


def _map(
    axes: "matplotlib.axes.Axes", grid: "np.ma.MaskedArray", size: tuple[float, float]
) -> "matplotlib.image.AxesImage | None":
    """Draw one map: coloured cells, thin lines between them, and numbers where they fit."""
    down, along = grid.shape
    axes.grid(False)
    axes.set(xlim=(-0.5, along - 0.5), ylim=(down - 0.5, -0.5))
    axes.spines[:].set_visible(False)
    if grid.mask.any():
        axes.patch.set(hatch="//////", edgecolor="#cdd2d8", linewidth=0)
    if grid.mask.all():
        return None
    image = axes.imshow(grid, aspect="auto", interpolation="none", **_colours(grid))
    thin = min(1.0, 8 * min(size[0] / along, size[1] / down))
    axes.hlines(np.arange(down - 1) + 0.5, -0.5, along - 0.5, color="white", linewidth=thin)
    axes.vlines(np.arange(along - 1) + 0.5, -0.5, down - 0.5, color="white", linewidth=thin)
    mask = np.ma.getmaskarray(grid)
    cells = [(place, value) for place, value in np.ndenumerate(grid) if not mask[place]]
    texts = {place: _short(value, grid) for place, value in cells}
    letters = max(map(len, texts.values()))
    if grid.size <= CELLS and size[0] / along > 0.02 + letters * 0.0545 and size[1] / down > 0.13:
        look: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 6.2}
        for (row, column), text in texts.items():
            red, green, blue, _ = image.to_rgba(grid[row, column])
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.55
            axes.text(column, row, text, color="white" if dark else INK, **look)
    return image


def _colours(grid: "np.ma.MaskedArray") -> dict[str, Any]:
    """Return colour map and norm: diverging, logarithmic or linear."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    low, high = float(grid.min()), float(grid.max())
    colours = ["#eef5fb", "#a9d0ea", "#4a9ace", BLUE, "#003a5e"]
    norm = Normalize(low, high if high > low else low + 1)
    if low < -0.1 * high:
        colours, reach = [VERMILION, "#f7f7f7", BLUE], max(-low, high)
        norm = Normalize(-reach, reach)
    elif 1 < 8 * low < high < 500 * low and not _whole(grid):
        norm = LogNorm(low, high)
    return {"cmap": LinearSegmentedColormap.from_list("house", colours), "norm": norm}


def _whole(grid: "np.ma.MaskedArray") -> bool:
    """Return whether all values are integers."""
    return bool((grid == grid.round()).all())


def _short(value: float, grid: "np.ma.MaskedArray") -> str:
    """Write a number with two, one or no decimals, depending on the largest value of its map."""
    high = float(abs(grid).max())
    decimals = 1 if high >= 2 else 2
    if _whole(grid) or high >= 100:
        decimals = 0
    return f"{value:.{decimals}f}".replace("-", "−")


def _bar(axes: "matplotlib.axes.Axes", image: Any) -> None:
    """Draw a colour bar with two or three numbers."""
    grid = image.get_array()
    bar = axes.figure.colorbar(image, cax=axes)
    low, high = image.norm.vmin, image.norm.vmax
    middle = math.sqrt(low * high) if type(image.norm).__name__ == "LogNorm" else (low + high) / 2
    ticks = [low] if grid.min() == grid.max() else [low, middle, high]
    bar.set_ticks(ticks, labels=[_short(tick, grid) for tick in ticks])
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=7, length=0, pad=3)
    bar.outline.set_visible(False)


def _ticks(
    axes: "matplotlib.axes.Axes",
    layers: Sequence[int],
    heads: Sequence[int],
    size: tuple[float, float],
) -> None:
    """Number every layer and head, or every second, fourth and so on where they do not fit."""
    for axis, names, room, needed in (
        (axes.yaxis, layers, size[1], 0.17),
        (axes.xaxis, heads, size[0], 0.06 + 0.07 * len(str(heads[-1]))),
    ):
        count, every = len(names), 1
        while every < count and room / count * every <= needed:
            every *= 2
        axis.set_ticks(range(0, len(names), every), labels=[str(name) for name in names[::every]])
    axes.tick_params(length=0, labelsize=7.5)
