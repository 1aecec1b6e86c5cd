"""The numbers of a source in their own unit, before they are scaled, and their meaning."""

import importlib
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float64, Int64

from kanerva._core import machine
from kanerva._core.errors import InputError, InputFileError, door, refuse

__all__ = [
    "MOST",
    "PLAIN",
    "Raw",
    "Reading",
    "checked",
    "colours",
    "extra",
    "failing",
    "fits",
    "medians",
    "of_array",
    "own",
    "refuse_file",
    "rng",
]

MOST = 2**28  # numbers: 2 GiB as float64
# Bytes for each number while a source is read, scaled and thresholded, measured at the peak.
WORK = 32
ROW = "give one pattern a row, as in x.reshape(len(x), -1)"
# Raises the sentence about an array: what it must be, what it was ("which ..."), what to do.
Refuse = Callable[[str, str, str], Any]


@dataclass(frozen=True, eq=False)
class Raw:
    """Patterns in their own unit, one a row.

    ``span`` is the range that the unit allows (None: the range of the values), ``cut`` the
    threshold of the bits (a number, or one a row; None: the median), ``cut_words`` its name in the
    notes, and ``ink`` whether the highest value is ink on paper rather than light. ``columns`` are
    measurements in units of their own: each is scaled and thresholded by itself.
    """

    name: str
    values: Float64[np.ndarray, "patterns n"]
    shape: tuple[int, ...] = ()
    labels: Int64[np.ndarray, "patterns"] | None = None
    classes: tuple[str, ...] = ()
    span: tuple[float, float] | None = None
    cut: float | Float64[np.ndarray, "patterns 1"] | None = None
    cut_words: str = ""
    notes: tuple[str, ...] = ()
    ink: bool = False
    columns: bool = False


@dataclass(frozen=True)
class Reading:
    """How a file of one's own is read, as ``load`` describes it."""

    label: Any = None
    drop: tuple[Any, ...] = ()
    crop: bool = False
    scale: str = "auto"
    colour: bool = False


PLAIN = Reading()


def rng(seed: int, purpose: str) -> np.random.Generator:
    """Return the random numbers of one seed and one purpose.

    The purpose keeps streams apart: with a shared stream, patterns drawn and damaged with the same
    seed would be damaged exactly where their own draws are smallest.
    """
    return np.random.default_rng([seed, *purpose.encode()])


def medians(values: Float64[np.ndarray, "patterns n"]) -> Float64[np.ndarray, "patterns 1"]:
    """Return the upper median of every row: a value that occurs, and that half the row reaches."""
    half = values.shape[1] // 2
    return np.partition(values, half, axis=1)[:, half : half + 1]


@door("data.load")
def extra(module: str, package: str, what: str) -> Any:
    """Import a package that only some sources need."""
    try:
        return importlib.import_module(module)
    except ImportError:
        do = 'install it with: pip install "kanerva[data]"'
        got = f"{what}, which needs {package}"
        refuse("source", must="a source whose package is installed", got=got, do=do)


def refuse_file(path: Path, must: str, got: str, do: str) -> NoReturn:
    """Raise the four-part sentence about a file."""
    refuse("source", must=must, got=f"'{path}', {got}", do=do, error=InputFileError)


@contextmanager
def failing(path: Path, must: str, do: str) -> Iterator[None]:
    """Turn an error of a parser into a sentence; on foreign bytes it may be any exception."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:120].rstrip(". ")
        words = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        refuse_file(path, must, f"which cannot be read ({words})", do)


def checked(shape: tuple[int, ...], complain: Refuse) -> None:
    """Refuse fewer than two patterns of two numbers, and arrays that are too large."""
    must = "an array of 2 patterns or more of 2 numbers or more, the first dimension the patterns"
    count, width = shape[0] if shape else 0, math.prod(shape[1:])
    if len(shape) < 2 or min(shape) < 0:
        complain(must, f"which has shape {shape}", ROW)
    if count * width == 0:
        complain(must, f"which is empty: its shape is {shape}", "check how it was made")
    if count < 2:
        do = "add patterns: one alone cannot be mistaken for another"
        complain(must, f"which has shape {shape}", do)
    if width < 2:
        complain(must, f"which has shape {shape}", ROW)
    if count * width > MOST:
        must, do = f"an array of at most {MOST:,} numbers", "take a part of it: x[:1000]"
        complain(must, f"which has shape {shape}", do)
    fits(count * width, complain)


def fits(count: int, complain: Refuse) -> None:
    """Refuse more numbers than the memory at hand can work on."""
    needed, free = WORK * count, machine.available_bytes()
    if needed > free:
        must = f"an array that fits into the memory at hand, {machine.size(free)}"
        got = f"which needs {machine.size(needed)} for {count:,} numbers"
        complain(must, got, "take a part of it, or close other programs")


def own(
    path: Path, values: np.ndarray, name: str | None = None, notes: tuple[str, ...] = ()
) -> Raw:
    """Check the numbers of a file or folder, and flatten each pattern."""
    title = path.resolve().name if name is None else f"{path.name}:{name}"
    return of_array(values, title, partial(refuse_file, path), notes)


def of_array(values: np.ndarray, title: str, complain: Refuse, notes: tuple[str, ...] = ()) -> Raw:
    """Check the numbers of an array, and flatten each pattern."""
    shape = values.shape
    checked(shape, complain)
    # Numbers beyond float64 become infinite or NaN, and are refused below.
    with np.errstate(all="ignore"):
        values = values.reshape(shape[0], -1).astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        where = tuple(int(place) for place in np.unravel_index(int(bad.argmax()), shape))
        share = f"{int(bad.sum())} of {bad.size} numbers are NaN or infinite"
        got, do = (
            f"of which {share}, the first at index {where}",
            "drop or fill those entries first",
        )
        complain("an array of finite numbers", got, do)
    if (values == values[0, 0]).all():
        got, do = f"where every number is {values[0, 0]:g}", "check that it is the right array"
        complain("patterns that differ", got, do)
    # Sides of length one are left out: (m, 1, 28, 28) and (m, 28, 28, 1) are grey pictures.
    sides = tuple(side for side in shape[1:] if side > 1)
    picture = len(shape) > 2 and (len(sides) == 2 or (len(sides) == 3 and sides[2] == 3))
    if len(shape) > 2 and not picture:
        flattened = f"each pattern flattened to {values.shape[1]} numbers"
        notes = (*notes, f"an array of shape {shape}: {flattened}")
    return Raw(title, values, sides if picture else (), notes=notes)


def colours(shape: tuple[int, ...], width: int) -> int:
    """Check the shape of one pattern; return its numbers a pixel, 0 where there is no picture."""
    fits = (
        isinstance(shape, tuple)
        and len(shape) in (0, 2, 3)
        and all(isinstance(side, int) and side > 0 for side in shape)
    )
    if not fits or (shape and math.prod(shape) != width):
        must = f"() or a (height, width) or (height, width, colours) that multiplies to {width}"
        do = "give the shape of one pattern, such as DataSet.shape"
        refuse("shape", must=must, got=str(shape) or "an empty text", do=do)
    return shape[2] if len(shape) == 3 else len(shape) // 2
