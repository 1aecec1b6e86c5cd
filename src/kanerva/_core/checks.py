"""Checks of plain values: numbers, choices, keywords, names of files. No import of torch."""

import inspect
import math
import numbers
import operator
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kanerva._core import machine
from kanerva._core.errors import InputTypeError, refuse

# No tensor or loop is longer; a larger number is a typing error or comes from a damaged file.
LONGEST = 2**31 - 1
# Tables over all distances are built up to this many bits.
BITS = 2**20
# Fewer bytes are allocated without a look at the memory at hand.
FREELY = 2**20
# What torch says where a tensor is larger than the memory, or than any memory.
LACKS = (
    "out of memory",
    "enough memory",
    "allocate",
    "alloc_failed",
    "buffer size",
    "calculation overflow",
    "multiplication overflow",
)


@contextmanager
def room(argument: str, size: str, needed: int | float = 0) -> Iterator[None]:
    """Refuse the argument when what is built inside the block does not fit into memory.

    A system that promises more memory than it has kills the process that uses it. Therefore the
    bytes are compared with the memory at hand before anything is allocated, except where the
    default device of torch is meta, on which nothing is. Other errors of the block stay what they
    are.

    Args:
        argument: its name.
        size: what it was, in words.
        needed: the bytes that the block takes at its peak.
    """
    if needed > FREELY and not _on_meta():
        machine.fit(argument, needed, size)
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        told = str(error).lower()
        if not isinstance(error, MemoryError) and not any(word in told for word in LACKS):
            raise
        must = "small enough for the memory at hand"
        refuse(argument, got=size, must=must, do="ask for less")


def _on_meta() -> bool:
    """Return whether what torch builds by default has no data."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.get_default_device().type == "meta"


def integer(argument: str, value: Any, low: int, high: int | None = None, do: str = "") -> int:
    """Return ``value`` as an int within ``[low, high]``; booleans and fractions are refused."""
    must = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
    do = do or f"give {must}"
    try:
        if isinstance(value, bool) or str(getattr(value, "dtype", None)) in ("bool", "torch.bool"):
            raise TypeError
        number = operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        refuse(argument, value, must=must, do=do, error=InputTypeError)
    if number < low or (high is not None and number > high):
        short = abs(number) < 10**30
        got = str(number) if short else f"an integer of {number.bit_length()} bits"
        refuse(argument, got=got, must=must, do=do)
    return number


def number(
    argument: str,
    value: Any,
    low: int | float = -math.inf,
    high: int | float = math.inf,
    *,
    open_low: bool = False,
    do: str = "",
) -> float:
    """Return ``value`` as a finite float in ``[low, high]``, or ``(low, high]`` if ``open_low``."""
    must = "a finite number"
    if low > -math.inf:
        must += f" {'>' if open_low else '>='} {low:g}"
    if high < math.inf:
        must += f"{' and' if low > -math.inf else ''} <= {high:g}"
    do = do or f"give {must}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        refuse(argument, value, must=must, do=do, error=InputTypeError)
    try:
        real = float(value)
    except OverflowError:
        refuse(argument, got="an integer beyond the range of floats", must=must, do=do)
    if not math.isfinite(real) or real < low or real > high or (open_low and real == low):
        refuse(argument, got=f"{real:g}", must=must, do=do)
    return real


def plain(
    argument: str, value: Any, low: float = -math.inf, high: float = math.inf, **more: Any
) -> int | float:
    """Check as ``number`` does, but return integers that a float holds exactly as integers."""
    real = number(argument, value, low, high, **more)
    return int(value) if isinstance(value, numbers.Integral) and abs(real) < 2**53 else real


def keep(part: Any, **values: Any) -> None:
    """Set fields of a frozen part to their checked values."""
    for name, value in values.items():
        object.__setattr__(part, name, value)


def choice(argument: str, value: Any, options: Sequence[str]) -> str:
    """Return ``value`` if it is one of the named ``options``."""
    must = "one of " + ", ".join(repr(option) for option in options)
    if not isinstance(value, str) or value not in options:
        refuse(argument, value, must=must, do=nearest(value, options, "choose one of them"))
    return value


def nearest(value: Any, options: Sequence[str], otherwise: str) -> str:
    """Return what to do about a wrong name: write the nearest option, where one is near."""
    near = get_close_matches(value, options, 1) if isinstance(value, str) else []
    return f"write {near[0]!r}" if near else otherwise


def flag(argument: str, value: Any) -> bool:
    """Return ``value`` as a bool if it is one, of Python or of NumPy."""
    kind = type(value)
    if kind is not bool and (kind.__module__, kind.__name__[:4]) != ("numpy", "bool"):
        refuse(argument, value, must="True or False", do="write one of them", error=InputTypeError)
    return bool(value)


def instance(argument: str, value: Any, kind: type, do: str, must: str = "") -> None:
    """Refuse a value that is not of a class."""
    if not isinstance(value, kind):
        must = must or f"a {kind.__name__}"
        refuse(argument, value, must=must, do=do, error=InputTypeError)


def function(argument: str, value: Any, do: str) -> None:
    """Refuse what is neither a function nor None."""
    if value is not None and not callable(value):
        refuse(argument, value, must="a function or None", do=do, error=InputTypeError)


def takes(argument: str, function: Callable[..., Any], count: int, do: str) -> None:
    """Refuse a function that cannot be called with so many arguments."""
    try:
        known = inspect.signature(function)
    except ValueError:  # of some functions in C
        return
    try:
        known.bind(*range(count))
    except TypeError:
        must = f"a function of {count} argument{'s' if count > 1 else ''}"
        got = f"{getattr(function, '__name__', 'one')}{known}"
        refuse(argument, must=must, got=got, do=do, error=InputTypeError)


def several(argument: str, value: Any, must: str) -> tuple[Any, ...]:
    """Return a collection as a tuple; a single text is refused, as it would be taken by letters."""
    if isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping):
        with suppress(TypeError, RuntimeError):  # an array without axes, a nested tensor
            return tuple(value)
    refuse(argument, value, must=must, do=f"give {must}", error=InputTypeError)


def keywords(given: dict[str, Any], *known: str) -> None:
    """Refuse keywords that the function they are passed on to does not take."""
    for name in given:
        choice("keyword", name, known)


def path(value: Any, argument: str = "path", must: str = "the name of a file") -> Path:
    """Return the name of a file as a ``Path``."""
    try:
        if isinstance(value, str | os.PathLike) and b"\0" not in os.fsencode(value):
            return Path(value)
    except (TypeError, ValueError):  # a name that no file can have
        pass
    do = "give a str or pathlib.Path"
    refuse(argument, value, must=must, do=do, error=InputTypeError)
