"""Say what is wrong with an input in one sentence of four parts, and check the inputs that every floor shares.

A sentence names the argument of the function, what it must be, what it was, and what to do about it. Checks that look
at the numbers inside a tensor are skipped while ``torch.compile`` or ``torch.func`` trace, for a graph cannot stop half way.
"""

import functools
import math
import numbers
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["InputError", "InputFileError", "InputTypeError"]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64)
SIGNED = frozenset((*FLOATS, *INTEGERS))
PLAIN = frozenset((*FLOATS, *INTEGERS, torch.uint8, torch.bool))
# No tensor or loop is longer; what is asked for beyond is a slip of the keyboard or a file that lies.
LONGEST = 2**31 - 1
# Tables over all distances are built up to this many bits.
BITS = 2**20

P = ParamSpec("P")
R = TypeVar("R")


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
        self.function, self.argument, self.must, self.got, self.do = function, argument, must, got, do
        super().__init__(function, argument, must, got, do)

    def __str__(self) -> str:
        return f"{self.function}: {self.argument} must be {self.must}, but it was {self.got}; {self.do}."


class InputTypeError(InputError, TypeError):
    """An input of the wrong type or dtype."""


class InputFileError(InputError, OSError):
    """A file or folder that cannot be read or written as asked."""


def refuse(function: str, argument: str, must: str, got: str, do: str, error: type[InputError] = InputError) -> NoReturn:
    """Raise the four-part sentence."""
    raise error(function, argument, must, got, do) from None


def tracing() -> bool:
    """Tell whether the numbers in a tensor are out of reach: while a graph is traced, or inside ``torch.func`` transforms.

    Derivatives that go forward need the plain way, too.
    """
    forward = torch.autograd.forward_ad._current_level >= 0
    return torch.compiler.is_compiling() or forward or torch._C._functorch.peek_interpreter_stack() is not None


def named(**known: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function speak for what it calls: sentences bear its name, and the names that it gives to arguments of theirs."""

    def name(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def speaker(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except InputError as error:
                error.function, error.argument = function.__name__, known.get(error.argument, error.argument)
                error.args = (error.function, error.argument, *error.args[2:])
                raise

        return speaker

    return name


@contextmanager
def room(function: str, argument: str, size: str) -> Iterator[None]:
    """Say in a sentence that what is built inside does not fit into memory."""
    try:
        yield
    except (MemoryError, RuntimeError):
        refuse(function, argument, "small enough for the memory of this machine", size, "ask for less")


def describe(value: Any) -> str:
    """Name a value for the "but it was" part: a tensor by dtype, shape and range, anything else by its repr."""
    if isinstance(value, Tensor):
        return _describe_tensor(value)
    kind = type(value).__name__
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} of shape {value.shape} ({kind})"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever a stranger's repr, or an integer of more than 4300 digits, raises
        return f"of type {kind}"
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({kind})"


def _describe_tensor(value: Tensor) -> str:
    """Name a tensor by what is odd about it, its dtype, its shape and its range."""
    if value.is_nested:
        return "a nested tensor"
    form = "" if value.layout == torch.strided else f"{str(value.layout).removeprefix('torch.').removeprefix('_')} "
    text = f"{form}{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    if value.device.type == "meta":
        return f"{text} without data (on meta)"
    if form or not value.numel() or tracing():
        return text
    try:
        low, high = (end.item() for end in value.detach().aminmax())
        if low != low:
            return f"{text} with NaN in it"
        return f"{text} with value {low:g}" if low == high else f"{text} with values from {low:g} to {high:g}"
    except (RuntimeError, TypeError, ValueError):  # torch cannot order them: complex, quantised, eight bits wide
        return text


def integer(function: str, argument: str, value: Any, low: int, high: int | None = None, do: str = "") -> int:
    """Return ``value`` as an int within ``[low, high]``; booleans and fractions are refused."""
    must = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
    do = do or f"give {must}"
    try:
        if isinstance(value, bool) or getattr(value, "dtype", None) == torch.bool:
            raise TypeError
        number = operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        refuse(function, argument, must, describe(value), do, InputTypeError)
    if number < low or (high is not None and number > high):
        refuse(function, argument, must, str(number) if abs(number) < 10**30 else f"an integer of {number.bit_length()} bits", do)
    return number


def number(
    function: str,
    argument: str,
    value: Any,
    low: int | float = -math.inf,
    high: int | float = math.inf,
    *,
    open_low: bool = False,
    do: str = "",
) -> float:
    """Return ``value`` as a finite float within ``[low, high]``, or ``(low, high]`` where ``open_low``."""
    must = "a finite number"
    if low > -math.inf:
        must += f" {'>' if open_low else '>='} {low:g}"
    if high < math.inf:
        must += f"{' and' if low > -math.inf else ''} <= {high:g}"
    do = do or f"give {must}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        refuse(function, argument, must, describe(value), do, InputTypeError)
    try:
        real = float(value)
    except OverflowError:
        refuse(function, argument, must, "an integer beyond the range of floats", do)
    if not math.isfinite(real) or real < low or real > high or (open_low and real == low):
        refuse(function, argument, must, f"{real:g}", do)
    return real


def plain(function: str, argument: str, value: Any, low: float = -math.inf, high: float = math.inf, **more: Any) -> int | float:
    """Do as ``number`` does, but leave integers that a float holds exactly as they are."""
    real = number(function, argument, value, low, high, **more)
    return int(value) if isinstance(value, numbers.Integral) and abs(real) < 2**53 else real


def keep(part: Any, **values: Any) -> None:
    """Set fields of a frozen part to what they were checked to be."""
    for name, value in values.items():
        object.__setattr__(part, name, value)


def choice(function: str, argument: str, value: Any, options: Sequence[str]) -> str:
    """Return ``value`` if it is one of the named ``options``."""
    must = "one of " + ", ".join(repr(option) for option in options)
    if not isinstance(value, str) or value not in options:
        refuse(function, argument, must, describe(value), f"choose {must}")
    return value


def keywords(function: str, given: dict[str, Any], *known: str) -> None:
    """Refuse keywords that what they are passed on to has no use for, rather than let Python blame that."""
    for name in given:
        choice(function, "keyword", name, known)


def floating(function: str, dtype: Any) -> torch.dtype:
    """Return ``dtype`` if it is one of the floating ones that torch can calculate with."""
    if not isinstance(dtype, torch.dtype) or dtype not in FLOATS:
        do = "choose torch.float32"
        refuse(function, "dtype", "torch.float16, bfloat16, float32 or float64", describe(dtype), do, InputTypeError)
    return dtype


def path(function: str, value: Any) -> Path:
    """Return the name of a file as a ``Path``."""
    try:
        if isinstance(value, str | os.PathLike) and b"\0" not in os.fsencode(value):
            return Path(value)
    except (TypeError, ValueError):  # a name that no file can have
        pass
    refuse(function, "path", "the name of a file", describe(value), "give a str or pathlib.Path", InputTypeError)


def dense(function: str, argument: str, value: Any, must: str) -> Tensor:
    """Return ``value`` if it is a tensor of plain real numbers that are there to be read."""
    if _plain(value):
        return value
    if not isinstance(value, Tensor):
        do = "wrap it with torch.as_tensor" if isinstance(value, list | tuple | np.ndarray | numbers.Real) else "give a tensor"
    elif value.is_nested:
        do = "pad it first"
    elif value.layout is not torch.strided:
        do = f"make it dense with {argument}.to_dense()"
    elif value.is_quantized:
        do = f"take {argument}.dequantize()"
    elif value.is_complex():
        do = "split it into real and imaginary parts"
    else:
        dtype = "float32" if value.is_floating_point() else "int64"
        do = "fill it with numbers first" if value.is_meta else f"convert it with {argument}.to(torch.{dtype})"
    refuse(function, argument, must, describe(value), do, InputTypeError)


def _plain(value: Any) -> bool:
    """Tell whether a value is a tensor of plain real numbers that are there to be read."""
    return isinstance(value, Tensor) and value.dtype in PLAIN and value.layout is torch.strided and not (value.is_nested or value.is_meta)


def vectors(
    function: str, argument: str, value: Any, dim: int | None = None, dtype: torch.dtype | None = None, kind: str = "tensor"
) -> Tensor:
    """Return ``value`` if it is a tensor of shape ``(..., dim)``, of ``dtype`` where one is asked for."""
    fits = _plain(value) and value.ndim > 0 and value.shape[-1] == (dim or max(1, value.shape[-1]))
    if fits and dtype in (None, value.dtype):
        return value
    must = f"a {kind if dtype is None else f'{_short(dtype)} {kind}'} of shape (..., {'d' if dim is None else dim})"
    dense(function, argument, value, must)
    do = f"convert it with {argument}.to({dtype})"
    if not fits:
        do = f"let its last dimension hold {'one or more' if dim is None else f'the {dim}'} coordinates"
    refuse(function, argument, must, describe(value), do, InputTypeError if fits else InputError)


def floats(function: str, argument: str, value: Any, dim: int | None = None) -> Tensor:
    """Return ``value`` if it is a floating tensor of shape ``(..., dim)``."""
    if vectors(function, argument, value, dim, kind="floating tensor").dtype not in FLOATS:
        must = f"a floating tensor of shape (..., {'d' if dim is None else dim})"
        refuse(function, argument, must, describe(value), f"convert it with {argument}.to(torch.float32)", InputTypeError)
    return value


def rows(function: str, argument: str, value: Any, count: int | None = None, dim: int | None = None) -> Tensor:
    """Return ``value`` if it is a tensor of shape ``(count, dim)``."""
    if _plain(value) and value.ndim == 2 and count in (None, value.shape[0]) and value.shape[1] == (dim or max(1, value.shape[1])):
        return value
    must = f"a tensor of shape ({'m' if count is None else count}, {'d' if dim is None else dim})"
    dense(function, argument, value, must)
    refuse(function, argument, must, describe(value), f"give {count or 'any number of'} rows of {dim or 'one or more'} coordinates")


def together(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...] | None:
    """Return the shape to which both shapes broadcast; None where they do not."""
    if tuple(one) == tuple(other):
        return tuple(one)
    try:
        return tuple(torch.broadcast_shapes(tuple(one), tuple(other)))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None


def _short(dtype: torch.dtype) -> str:
    """Name a dtype without its module."""
    return str(dtype).removeprefix("torch.")


def sound(value: Tensor) -> bool:
    """Tell whether every number is finite; where a graph is traced, take it to be."""
    if not value.is_floating_point() or tracing():
        return True
    value = value.detach() if value.requires_grad else value
    # One sum tells, many times faster than a look at each number, unless it overflows itself.
    total = value.sum(dtype=None if value.dtype in (torch.float32, torch.float64) else torch.float32)
    return math.isfinite(total.item()) or bool(value.isfinite().all())


def finite(function: str, argument: str, value: Tensor) -> Tensor:
    """Return ``value`` if it holds neither NaN nor infinity."""
    if not sound(value):
        count = int((~value.detach().isfinite()).sum())
        got = f"{count} of {value.numel()} values NaN or infinite, in shape {tuple(value.shape)}"
        refuse(function, argument, "finite", got, "drop or fill those entries first")
    return value


def bipolar(function: str, argument: str, value: Tensor) -> Tensor:
    """Return ``value`` if every entry is +1 or -1."""
    if value.dtype not in SIGNED or (not tracing() and not (value.detach().abs() == 1).all()):
        do = "turn 0/1 into -1/+1 with kanerva.bits.from_binary, or real numbers into bits with torch.where(x > threshold, 1.0, -1.0)"
        refuse(function, argument, "-1/+1 bits", describe(value), do)
    return value


def generator(function: str, seed: int | torch.Generator) -> torch.Generator:
    """Return a CPU generator: the one given, or a new one from an integer seed. The global one is never touched."""
    if isinstance(seed, torch.Generator):
        if seed.device.type != "cpu":
            refuse(function, "seed", "an integer or a CPU generator", f"a generator on {seed.device}", "make it with torch.Generator()")
        return seed
    return torch.Generator().manual_seed(integer(function, "seed", seed, 0, 2**63 - 1, "give a seed >= 0 or a torch.Generator"))
