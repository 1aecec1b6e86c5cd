"""The style of all figures: colours, fonts and sizes, and their conversion to files.

Figures are plain objects. They need no window and no ``pyplot``, and the settings of matplotlib are
unchanged afterwards. Font sizes are those of print, 8 to 10 points, so a figure is readable at its
own size and at up to twice that.
"""

import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kanerva._core import files
from kanerva._core.errors import door, refuse

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = [
    "BLACK",
    "BLUE",
    "FAINT",
    "GREEN",
    "INK",
    "LOOKS",
    "NARROW",
    "ORANGE",
    "PURPLE",
    "QUIET",
    "SKY",
    "VERMILION",
    "WIDE",
    "blank",
    "headline",
    "png",
    "power",
    "save",
    "styled",
    "svg",
]

# The colours of Okabe and Ito (2008), which colour-blind readers can distinguish. Yellow is left
# out, since it is too pale on white.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
INK, QUIET, FAINT = "#24292f", "#6e7781", "#e4e7eb"

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": "#b6bcc4",
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": "#b6bcc4",
    "ytick.color": "#b6bcc4",
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 1.6,
    "lines.markersize": 3.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 2.4,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0,
    "savefig.dpi": 200,
    "image.composite_image": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "kanerva",
}

# Colour, marker and dash of the lines of a panel, in order; they differ without colour too.
LOOKS: list[tuple[str, str, Any]] = [
    (BLUE, "o", "-"),
    (VERMILION, "s", (0, (4, 2))),
    (GREEN, "^", "-"),
    (PURPLE, "D", (0, (4, 2))),
    (ORANGE, "v", "-"),
    (SKY, "P", (0, (4, 2))),
    (BLACK, "X", "-"),
]

# Widths in inches: a panel of a wide figure, and a whole figure for a phone.
WIDE, NARROW = 2.2, 4.4


def svg(figure: "matplotlib.figure.Figure") -> str:
    """Return a figure as SVG with text as text; equal figures give equal files.

    Example:
        >>> from kanerva.lab.plot import recall_curves
        >>> row = dict(memory="sdm", title="SDM", damage="flip", level=0.1, seed=0, exact=0.9)
        >>> svg(recall_curves([row])).count("<svg")
        1
    """
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    return _drawn(figure, "svg", metadata).decode()


def png(figure: "matplotlib.figure.Figure") -> bytes:
    """Return a figure as PNG with 200 pixels per inch.

    Example:
        >>> from kanerva.lab.plot import recall_curves
        >>> row = dict(memory="sdm", title="SDM", damage="flip", level=0.1, seed=0, exact=0.9)
        >>> png(recall_curves([row]))[1:4]
        b'PNG'
    """
    return _drawn(figure, "png", {"Software": None})


@door("plot.save")
def save(
    figure: "matplotlib.figure.Figure", folder: str | os.PathLike[str], name: str
) -> list[Path]:
    """Write ``name.svg`` and ``name.png`` to a folder atomically.

    Args:
        figure: the figure.
        folder: an existing folder.
        name: the file name without its suffix.

    Returns:
        the two paths.

    Raises:
        InputError: ``name`` is not a plain file name.
        InputFileError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from kanerva.lab.plot import recall_curves
        >>> row = dict(memory="sdm", title="SDM", damage="flip", level=0.1, seed=0, exact=0.9)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in save(recall_curves([row]), folder, "recall")]
        ['recall.svg', 'recall.png']
    """
    if name != Path(name).name or name in ("", ".."):
        do = "give the folder as folder, and the name without a suffix"
        refuse("name", must="a plain file name", got=repr(name), do=do)
    drawings = {".svg": svg(figure).encode(), ".png": png(figure)}
    paths = [Path(folder, name + ending) for ending in drawings]
    for path, drawing in zip(paths, drawings.values(), strict=True):
        with files.atomic(path) as temporary:
            temporary.write_bytes(drawing)
    return paths


@contextmanager
@door("plot")
def styled() -> Iterator[None]:
    """Draw in the style of this module within the block, independent of the user's settings."""
    try:
        import matplotlib.style
    except ImportError:
        do = "install it with pip install 'kanerva[plot]'"
        refuse("matplotlib", must="installed", got="missing", do=do)
    with matplotlib.style.context(["default", _STYLE]):
        yield


def blank(width: float, height: float) -> "matplotlib.figure.Figure":
    """Return an empty figure of a width and height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def _drawn(figure: "matplotlib.figure.Figure", kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format=kind, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def headline(figure: "matplotlib.figure.Figure", text: str) -> None:
    """Write the title of a figure at its top."""
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - 0.08 / height, text, fontsize=10, weight="bold", va="top")


def power(value: float, _: int | float) -> str:
    """Write a power of ten with superscript digits, such as 10⁻³."""
    exponent = round(math.log10(value))
    if exponent in (0, 1):
        return f"{value:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
