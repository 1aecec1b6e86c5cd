"""Checks of tensors: layout, dtype, shape, finite numbers, -1/+1 bits, and generators.

Checks that need the numbers in a tensor are skipped while ``torch.compile``, ``torch.func``,
``make_fx`` or ``FakeTensorMode`` trace, because a traced graph cannot branch on them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanerva._core.checks import integer
from kanerva._core.errors import InputError, InputTypeError, refuse

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64)
SIGNED = frozenset((*FLOATS, *INTEGERS))
PLAIN = frozenset((*FLOATS, *INTEGERS, torch.uint8, torch.bool))


# Numbers that are given as something else than a tensor.
Listed = NDArray[Any] | Sequence[Any]


def listed(value: Any, dtype: torch.dtype, device: torch.device) -> Any:
    """Return an array or a list as a tensor with the same numbers, in ``dtype`` or of bool.

    What is no array of numbers, or would lose digits, is returned as it is.
    """
    if isinstance(value, Tensor | np.ma.MaskedArray):
        return value
    if not isinstance(value, list | tuple) and not hasattr(value, "__array__"):
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return value
    if array.dtype.kind == "b":
        return torch.tensor(array, device=device)
    if array.dtype.kind not in "iuf":
        return value
    # NumPy compares whole numbers and floats exactly up to 2^53.
    exact = array.astype(np.float64)
    kept = torch.tensor(exact).to(dtype)
    same = np.array_equal(kept.double().numpy(), exact, equal_nan=True)
    return kept.to(device) if same and np.array_equal(exact, array, equal_nan=True) else value


def tracing() -> bool:
    """Return whether the numbers in a tensor cannot be read, as while torch traces a graph.

    Forward-mode derivatives count too, because only the plain computation supports them.
    """
    return (
        torch.compiler.is_compiling()
        or torch.autograd.forward_ad._current_level >= 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or (torch._C._len_torch_dispatch_stack() > 0 and _numberless())
    )


def _numberless() -> bool:
    """Return whether a dispatch mode is on whose tensors stand for numbers that are not there."""
    modes = torch._C._TorchDispatchModeKey
    return any(torch._C._get_dispatch_mode(key) is not None for key in (modes.FAKE, modes.PROXY))


def observed() -> bool:
    """Return whether the operations of torch are recorded, so that all work must be done by them.

    They are while torch traces, and in a dispatch mode such as ``FlopCounterMode``. A mode holds
    for one thread, and does not record compiled kernels or work on NumPy arrays.
    """
    return tracing() or torch._C._len_torch_dispatch_stack() > 0


def backward() -> bool:
    """Return whether this runs in a backward pass, where checkpointing repeats calls."""
    return not tracing() and torch._C._current_graph_task_id() != -1


def transformed() -> bool:
    """Return whether this runs within a transform of ``torch.func``."""
    compiled = torch.compiler.is_compiling()
    return not compiled and torch._C._functorch.peek_interpreter_stack() is not None


def forward() -> bool:
    """Return whether forward-mode derivatives are computed."""
    return not torch.compiler.is_compiling() and torch.autograd.forward_ad._current_level >= 0


def floating(dtype: Any) -> torch.dtype:
    """Return ``dtype`` if it is one of the floating dtypes that torch computes with."""
    if not isinstance(dtype, torch.dtype) or dtype not in FLOATS:
        must = "torch.float16, bfloat16, float32 or float64"
        refuse("dtype", dtype, must=must, do="choose torch.float32", error=InputTypeError)
    return dtype


def dense(
    argument: str, value: Any, must: str, dtype: torch.dtype | None = torch.float32
) -> Tensor:
    """Return ``value`` if it is a dense tensor of real numbers with data.

    Args:
        argument: its name, for the error.
        value: what was given.
        must: what it must be.
        dtype: into which a list or an array is best converted; None for bool or floating.
    """
    if _plain(value):
        return value
    if not isinstance(value, Tensor):
        do = _to_tensor(argument, value, dtype)
    elif value.is_nested:
        do = "pad it first"
    elif value.layout is not torch.strided:
        do = f"make it dense with {argument}.to_dense()"
    elif value.is_quantized:
        do = f"take {argument}.dequantize()"
    elif value.is_complex():
        do = "split it into real and imaginary parts"
    else:
        kind = "float32" if value.is_floating_point() else "int64"
        convert = f"convert it with {argument}.to(torch.{kind})"
        do = "fill it with numbers first" if value.is_meta else convert
    refuse(argument, value, must=must, do=do, error=InputTypeError)


def _to_tensor(argument: str, value: Any, dtype: torch.dtype | None) -> str:
    """Return how something else than a tensor becomes one that is not refused again."""
    if isinstance(value, np.ma.MaskedArray):
        return f"fill its masked entries first, such as with {argument}.filled(0)"
    held = isinstance(value, list | tuple)
    if not held and not hasattr(value, "__array__"):
        return "give a tensor"
    if held and any(isinstance(part, Tensor) for part in value):
        return f"join its tensors with torch.stack({argument})"
    try:
        array = np.asarray(value)
    except Exception:  # whatever a stranger's __array__ raises
        return "give rows of one length" if held else "give a tensor"
    if array.ndim == 0:
        return "give a tensor"
    if array.dtype.kind == "c":
        return "split it into real and imaginary parts"
    whole = array.dtype.kind == "O" and all(isinstance(one, int) for one in array.flat)
    if array.dtype.kind not in "biuf":
        return "give numbers that a float can hold" if whole else "give numbers"
    dtype = dtype or (torch.float32 if array.dtype.kind == "f" else torch.bool)
    source = argument if held or isinstance(value, np.ndarray) else f"numpy.asarray({argument})"
    try:
        made = torch.tensor(array, dtype=dtype)
    except (TypeError, ValueError):  # a byte order, a stride or a precision that torch lacks
        with np.errstate(over="ignore"):
            source, made = f'{source}.astype("float64")', torch.tensor(array.astype(np.float64))
    if bool((np.isfinite(array) & ~made.to(dtype).isfinite().numpy()).any()):
        return f"give numbers that {dtype} can hold"
    return f"convert it with torch.as_tensor({source}, dtype={dtype})"


def _plain(value: Any) -> bool:
    """Return whether a value is a dense tensor of real numbers with data."""
    return (
        isinstance(value, Tensor)
        and value.dtype in PLAIN
        and value.layout is torch.strided
        and not (value.is_nested or value.is_meta)
    )


def vectors(
    argument: str,
    value: Any,
    dim: int | None = None,
    dtype: torch.dtype | None = None,
    kind: str = "tensor",
) -> Tensor:
    """Return ``value`` if it is a tensor of shape ``(..., dim)``, and of ``dtype`` where given."""
    fits = _plain(value) and value.ndim > 0 and value.shape[-1] == (dim or max(1, value.shape[-1]))
    if fits and dtype in (None, value.dtype):
        return value
    kind = kind if dtype is None else f"{_short(dtype)} {kind}"
    must = f"a {kind} of shape (..., {'d' if dim is None else dim})"
    dense(argument, value, must, dtype or torch.float32)
    if fits:
        do = f"convert it with {argument}.to({dtype})"
        refuse(argument, value, must=must, do=do, error=InputTypeError)
    count = "one or more" if dim is None else f"the {dim}"
    do = f"let its last dimension hold {count} coordinates"
    refuse(argument, value, must=must, do=do, error=InputError)


def floats(argument: str, value: Any, dim: int | None = None) -> Tensor:
    """Return ``value`` if it is a floating tensor of shape ``(..., dim)``."""
    if vectors(argument, value, dim, kind="floating tensor").dtype not in FLOATS:
        must = f"a floating tensor of shape (..., {'d' if dim is None else dim})"
        do = f"convert it with {argument}.to(torch.float32)"
        refuse(argument, value, must=must, do=do, error=InputTypeError)
    return value


def rows(
    argument: str,
    value: Any,
    count: int | None = None,
    dim: int | None = None,
    advised: torch.dtype = torch.float32,
) -> Tensor:
    """Return ``value`` if it is a tensor of shape ``(count, dim)``.

    ``advised`` is the dtype into which a list or an array is best converted.
    """
    fits = _plain(value) and value.ndim == 2 and count in (None, value.shape[0])
    if fits and value.shape[1] == (dim or max(1, value.shape[1])):
        return value
    must = f"a tensor of shape ({'m' if count is None else count}, {'d' if dim is None else dim})"
    dense(argument, value, must, advised)
    do = f"give {count or 'any number of'} rows of {dim or 'one or more'} coordinates"
    refuse(argument, value, must=must, do=do)


def together(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...] | None:
    """Return the shape to which both shapes broadcast; None where they do not."""
    if tuple(one) == tuple(other):
        return tuple(one)
    try:
        return tuple(torch.broadcast_shapes(tuple(one), tuple(other)))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None


def coordinates(argument: str, known: Any, shape: torch.Size, device: torch.device) -> Tensor:
    """Return which coordinates of vectors are known, as bool of the shape of these."""
    must = f"a bool tensor that broadcasts to {tuple(shape)}"
    do = "give True for the coordinates that are known"
    given: Tensor = listed(known, torch.float32, device)
    if dense(argument, given, must, torch.bool).dtype != torch.bool:
        refuse(argument, known, must=must, do=do, error=InputTypeError)
    if together(given.shape, shape) != tuple(shape) or given.device != device:
        refuse(argument, known, must=f"{must}, on {device}", do=do)
    return given.expand(shape)


def _short(dtype: torch.dtype) -> str:
    """Return the name of a dtype without its module."""
    return str(dtype).removeprefix("torch.")


def sound(value: Tensor) -> bool:
    """Return whether every number is finite; True while a graph is traced."""
    if not value.is_floating_point() or tracing():
        return True
    value = value.detach() if value.requires_grad else value
    # One sum is many times faster than a test of each number; a sum that overflows decides nothing.
    wide = value.dtype in (torch.float32, torch.float64)
    total = value.sum(dtype=None if wide else torch.float32)
    # A mode that records operations sees a flag leave torch here, and no number.
    recorded = torch._C._len_torch_dispatch_stack() > 0
    clear = bool(total.isfinite()) if recorded else math.isfinite(total.item())
    return clear or bool(value.isfinite().all())


def finite(argument: str, value: Tensor) -> Tensor:
    """Return ``value`` if it holds neither NaN nor infinity."""
    if not sound(value):
        count = int((~value.detach().isfinite()).sum())
        shape = tuple(value.shape)
        got = f"{count} of {value.numel()} values NaN or infinite, in shape {shape}"
        refuse(argument, got=got, must="finite", do="drop or fill those entries first")
    return value


def bipolar(argument: str, value: Tensor) -> Tensor:
    """Return ``value`` if every entry is +1 or -1."""
    if value.dtype not in SIGNED or (not tracing() and not (value.detach().abs() == 1).all()):
        do = (
            "turn 0/1 into -1/+1 with kanerva.bits.from_binary, "
            "or real numbers into bits with torch.where(x > threshold, 1.0, -1.0)"
        )
        refuse(argument, value, must="-1/+1 bits", do=do)
    return value


def generator(seed: int | torch.Generator) -> torch.Generator:
    """Return the CPU generator that was given, or a new one from an integer seed.

    The global generator is never used.
    """
    if isinstance(seed, torch.Generator):
        if seed.device.type != "cpu":
            got, do = f"a generator on {seed.device}", "make it with torch.Generator()"
            refuse("seed", got=got, must="an integer or a CPU generator", do=do)
        return seed
    do = "give a seed >= 0 or a torch.Generator"
    return torch.Generator().manual_seed(integer("seed", seed, 0, 2**63 - 1, do))


def draw(law: Callable[..., Tensor], weight: Tensor, source: torch.Generator) -> Tensor:
    """Return numbers for a weight, drawn on the device of the generator.

    So they do not depend on the device of the weight, nor on the default device of torch. A weight
    on meta holds no numbers: for it nothing is drawn, and the generator stays as it is.

    Args:
        law: ``torch.rand`` or ``torch.randn``.
        weight: of the shape that is drawn.
        source: the generator.
    """
    if weight.is_meta:
        return torch.empty_like(weight)
    return law(weight.shape, generator=source, device=source.device)
