"""The pictures that were stored, given as cues, and recalled."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.plot._style import blank, styled
from kanerva.lab.plot.labels import wrap

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["gallery"]


@door("plot.gallery")
def gallery(
    pictures: Sequence[tuple[str, Shaped[np.ndarray, "_k h w *rgb"]]], *, first: int = 2
) -> "matplotlib.figure.Figure":
    """Draw rows of pictures: the originals, the cues, and the recalls of each memory.

    Args:
        pictures: pairs of a title and ``(k, h, w)`` or ``(k, h, w, 3)`` real numbers from -1
            (black) to 1 (white). The numbers of pictures may differ.
        first: the number of rows that a gap separates from the others, such as the originals and
            the cues; 0 for no gap.

    Returns:
        a figure about 4.4 inches wide with a row for each pair and a column for each example.

    Raises:
        InputError: there is no picture, the shapes differ or a value is NaN or outside [-1, 1].

    Example:
        >>> import numpy as np
        >>> figure = gallery([("original", np.ones((3, 8, 8))), ("cue", -np.ones((3, 8, 8)))])
        >>> len(figure.axes[0].images)
        6
    """
    first = checks.integer("first", first, 0)
    arrays = _shades(pictures)
    height, width = arrays[0].shape[1:3]
    count = max(map(len, arrays))
    label, cell = 1.32, min(0.8, 3.0 / count)
    titles = [wrap(title, 18, 3) for title, _ in pictures]
    pitch = max(cell * height / width, 0.15 * max(title.count("\n") + 1 for title in titles))
    apart = 0.12 if 0 < first < len(arrays) else 0.0
    tall = pitch * len(arrays) + apart + 0.1
    with styled():
        figure = blank(label + cell * count + 0.1, tall)
        axes = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
        axes.grid(False)
        for index, (title, array) in enumerate(zip(titles, arrays, strict=True)):
            middle = tall - 0.05 - pitch * (index + 0.5) - (apart if index >= first else 0.0)
            axes.text(0.06, middle, title, fontsize=8, va="center", linespacing=1.2)
            half = 0.44 * cell * height / width
            for column, picture in enumerate(array):
                left = label + cell * (column + 0.06)
                box = (left, left + cell * 0.88, middle - half, middle + half)
                axes.imshow(picture, extent=box, cmap="gray", vmin=0, vmax=1, interpolation="none")
        axes.set(xlim=(0, label + cell * count + 0.1), ylim=(0, tall), aspect="auto")
    return figure


def _shades(pictures: Sequence[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """Return the pictures as numbers from 0 to 1, all of one shape."""
    if not pictures:
        must = "one pair of title and pictures or more"
        refuse("pictures", must=must, got="empty", do="add the originals first")
    arrays = [np.asarray(array, dtype=np.float64) for _, array in pictures]
    for (title, _), array in zip(pictures, arrays, strict=True):
        coloured = array.ndim == 4 and array.shape[-1] == 3
        alike = array.shape[1:] == arrays[0].shape[1:]
        shaped = alike and (array.ndim == 3 or coloured) and array.size
        if not shaped or not (np.abs(array) <= 1).all():
            must = "arrays of one shape (k, h, w) or (k, h, w, 3) with values from -1 to 1"
            got = f"shape {array.shape}"
            if array.size:
                got += f" with values from {array.min():g} to {array.max():g}"
            do = "reshape them, or scale them with x / abs(x).max()"
            refuse(f"pictures of {title!r}", must=must, got=got, do=do)
    return [(array + 1) / 2 for array in arrays]
