"""What a source hands over before anything is scaled: its numbers, what they mean, and what was done to get them."""

import importlib
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float64, Int64

from kanerva._core.errors import InputError, InputFileError, door, refuse

__all__ = ["MOST", "Raw", "checked", "extra", "failing", "medians", "own", "refuse_file", "rng"]

MOST = 2**28  # numbers: 2 GiB as float64
ROW = "write one pattern a row: numpy.save('data.npy', x.reshape(len(x), -1))"


@dataclass(frozen=True, eq=False)
class Raw:
    """Patterns in their own unit, one a row.

    ``span`` is the range that the unit allows (None: take what occurs), ``cut`` the threshold of the bits (a number, or
    one a row; None: take the median) and ``cut_words`` how the notes call it.
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


def rng(seed: int, purpose: str) -> np.random.Generator:
    """Return the random numbers of one seed and one purpose.

    The purpose keeps streams apart: were they shared, patterns drawn and damaged with the same seed would be damaged
    exactly where their own draws were smallest.
    """
    return np.random.default_rng([seed, *purpose.encode()])


def medians(values: Float64[np.ndarray, "patterns n"]) -> Float64[np.ndarray, "patterns 1"]:
    """Return the upper median of every row: a value that occurs, reached by half of the row or more."""
    half = values.shape[1] // 2
    return np.partition(values, half, axis=1)[:, half : half + 1]


@door("data.load")
def extra(module: str, package: str, what: str) -> Any:
    """Import a package that only some sources need."""
    try:
        return importlib.import_module(module)
    except ImportError:
        must, do = (
            "a source whose package is installed",
            'install it with: pip install "kanerva[data]"',
        )
        refuse("source", must=must, got=f"{what}, which needs {package}", do=do)


def refuse_file(path: Path, must: str, got: str, do: str) -> NoReturn:
    """Raise the four-part sentence about a file."""
    refuse("source", must=must, got=f"'{path}', {got}", do=do, error=InputFileError)


@contextmanager
def failing(path: Path, must: str, do: str) -> Iterator[None]:
    """Turn whatever a parser raises into a sentence: on foreign bytes it may be any exception, and the file is at fault."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:120].rstrip(". ")
        refuse_file(
            path,
            must,
            f"which cannot be read ({type(error).__name__}{': ' if reason else ''}{reason})",
            do,
        )


def checked(path: Path, shape: tuple[int, ...]) -> None:
    """Refuse what is not at least two patterns of two numbers, or is too large to be worth starting on."""
    must = "an array of 2 patterns or more of 2 numbers or more, the first dimension counting the patterns"
    count, width = shape[0] if shape else 0, math.prod(shape[1:])
    if len(shape) < 2 or min(shape) < 0:
        refuse_file(path, must, f"which has shape {shape}", ROW)
    if count * width == 0:
        refuse_file(path, must, f"which is empty: its shape is {shape}", "check how it was written")
    if count < 2 or width < 2:
        do = "add patterns: one alone cannot be mistaken for another" if count < 2 else ROW
        refuse_file(path, must, f"which has shape {shape}", do)
    if count * width > MOST:
        refuse_file(
            path,
            f"an array of at most {MOST:,} numbers",
            f"which has shape {shape}",
            "save a part of it: numpy.save('part.npy', x[:1000])",
        )


def own(
    path: Path, values: np.ndarray, name: str | None = None, notes: tuple[str, ...] = ()
) -> Raw:
    """Check the numbers of a file or folder, and flatten each pattern."""
    shape = values.shape
    checked(path, shape)
    with np.errstate(
        all="ignore"
    ):  # what float64 cannot hold becomes infinite or NaN, and is refused below
        values = values.reshape(shape[0], -1).astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        where = tuple(int(place) for place in np.unravel_index(int(bad.argmax()), shape))
        got = f"of which {int(bad.sum())} of {bad.size} numbers are NaN or infinite, the first at index {where}"
        refuse_file(path, "an array of finite numbers", got, "drop or fill those entries first")
    if (values == values[0, 0]).all():
        refuse_file(
            path,
            "patterns that differ",
            f"where every number is {values[0, 0]:g}",
            "check that the right array was saved",
        )
    # Sides of length one say nothing: (m, 1, 28, 28) and (m, 28, 28, 1) are grey pictures.
    sides = tuple(side for side in shape[1:] if side > 1)
    picture = len(shape) > 2 and (len(sides) == 2 or (len(sides) == 3 and sides[2] == 3))
    if len(shape) > 2 and not picture:
        notes = (
            *notes,
            f"an array of shape {shape}: each pattern flattened to {values.shape[1]} numbers",
        )
    title = path.resolve().name if name is None else f"{path.name}:{name}"
    return Raw(title, values, sides if picture else (), notes=notes)
