"""Errors in four parts, the door that names the public function they arose in, and warnings.

An error names the function that was called, its argument, what the argument must be, what it was,
and what to do. Inner code raises it with ``refuse``, without the function; the public function
carries the decorator ``door``, which adds its name. This module does not import torch, so that the
command line can report an error at once.
"""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, ParamSpec, TypeVar, cast, overload

__all__ = [
    "InputError",
    "InputFileError",
    "InputTypeError",
    "describe",
    "door",
    "named",
    "refuse",
    "warn",
    "within",
]

P = ParamSpec("P")
R = TypeVar("R")
MISSING: Any = object()
# Methods whose errors bear the name of the class alone.
CONSTRUCTORS = ("__init__", "__post_init__", "__call__", "forward")
# Packages whose code may lie between a function that warns and the code of its user.
BETWEEN = ("kanerva", "torch", "contextlib", "jaxtyping", "beartype")


class InputError(ValueError):
    """An input that cannot be used; ``str(error)`` is the sentence that says why and what to do.

    Example:
        >>> import kanerva
        >>> try:
        ...     kanerva.modern_hopfield(dim=0, beta=1.0)
        ... except kanerva.InputError as error:
        ...     print(error.argument)
        dim
    """

    def __init__(self, function: str, argument: str, must: str, got: str, do: str) -> None:
        self.function, self.argument, self.must, self.got, self.do = (
            function,
            argument,
            must,
            got,
            do,
        )
        super().__init__(function, argument, must, got, do)

    def __str__(self) -> str:
        where = f"{self.function}: " if self.function else ""
        return f"{where}{self.argument} must be {self.must}, but it was {self.got}; {self.do}."


class InputTypeError(InputError, TypeError):
    """An input of the wrong type or dtype."""


class InputFileError(InputError, OSError):
    """A file or folder that cannot be read or written as asked."""


# Tracebacks and pickles name the public place of the errors.
for _kind in (InputError, InputTypeError, InputFileError):
    _kind.__module__ = "kanerva"


def refuse(
    argument: str,
    value: Any = MISSING,
    *,
    must: str,
    do: str,
    got: str = "",
    error: type[InputError] = InputError,
) -> NoReturn:
    """Raise the sentence about an argument.

    Args:
        argument: its name, as in the signature of the public function.
        value: what it was; left out where ``got`` says it in words.
        must: what it must be.
        do: what the caller can do, in the imperative.
        got: what it was, in words.
        error: the class of the error.
    """
    raise error("", argument, must, describe(value) if value is not MISSING else got, do) from None


def warn(text: str) -> None:
    """Warn at the line of the user's code that led here, whatever calls lie between."""
    frame, level = sys._getframe(1), 2
    while frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN and frame.f_back:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)


@overload
def door(function: str) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
@overload
def door(function: Callable[P, R]) -> Callable[P, R]: ...
def door(function: Any) -> Any:
    """Mark a public function: an error without the name of a function gets the name of this one.

    Use it bare, or with the name that users know, as in ``@door("data.load")``. A bare door of a
    method adds the class of the object, ``Patterns.write``; that of ``__init__``,
    ``__post_init__``, ``__call__`` and ``forward`` gives the class alone.
    """
    if isinstance(function, str):
        return lambda decorated: _door(decorated, function)
    return _door(function, "")


def _door(function: Callable[P, R], name: str) -> Callable[P, R]:
    def sign(error: InputError, given: tuple[Any, ...]) -> None:
        if not error.function:
            _rename(error, name or _called(function, given), error.argument)

    @functools.wraps(function)
    def entered(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            sign(error, args)
            raise

    # The body of a generator runs after the call has returned.
    @functools.wraps(function)
    def generated(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return (yield from cast(Any, function(*args, **kwargs)))
        except InputError as error:
            sign(error, args)
            raise

    return cast(Callable[P, R], generated) if inspect.isgeneratorfunction(function) else entered


def _called(function: Callable[..., Any], given: tuple[Any, ...]) -> str:
    """Return the name under which users call a function; of a method with the object's class."""
    place, _, own = function.__qualname__.rpartition(".")
    if not place or place.endswith("<locals>"):
        return own
    owner = given[0]
    kind = (owner if isinstance(owner, type) else type(owner)).__name__
    return kind if own in CONSTRUCTORS else f"{kind}.{own}"


@contextmanager
def within(name: str) -> Iterator[None]:
    """Name the errors of a block after a function of torch that users call, such as ``to``."""
    try:
        yield
    except InputError as error:
        if not error.function:
            _rename(error, name, error.argument)
        raise


def named(**known: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function that calls other doors: errors from inside get its name and its arguments.

    Args:
        **known: the name of an inner argument, and the name under which this function takes it.
    """

    def name(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def entered(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except InputError as error:
                argument = known.get(error.argument, error.argument)
                _rename(error, _called(function, args), argument)
                raise

        return entered

    return name


def _rename(error: InputError, function: str, argument: str) -> None:
    error.function, error.argument = function, argument
    error.args = (function, argument, *error.args[2:])


def describe(value: Any) -> str:
    """Describe a value in an error: a tensor by dtype, shape and range, others by their repr."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _describe_tensor(value)
    kind = type(value).__name__
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} of shape {value.shape} ({kind})"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever a stranger's repr, or an integer of more than 4300 digits, raises
        return f"of type {kind}"
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({kind})"


def _describe_tensor(value: Any) -> str:
    """Name a tensor by what is unusual about it, its dtype, its shape and its range."""
    import torch

    from kanerva._core.arrays import tracing

    if value.is_nested:
        return "a nested tensor"
    form = (
        ""
        if value.layout == torch.strided
        else f"{str(value.layout).removeprefix('torch.').removeprefix('_')} "
    )
    text = f"{form}{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    if value.device.type == "meta":
        return f"{text} without data (on meta)"
    if form or not value.numel() or tracing():
        return text
    try:
        low, high = (end.item() for end in value.detach().aminmax())
        if low != low:
            return f"{text} with NaN in it"
        return (
            f"{text} with value {low:g}"
            if low == high
            else f"{text} with values from {low:g} to {high:g}"
        )
    except (
        RuntimeError,
        TypeError,
        ValueError,
    ):  # torch cannot order them: complex, quantised, eight bits wide
        return text
