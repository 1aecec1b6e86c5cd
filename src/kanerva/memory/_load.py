"""Load a memory from its file."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kanerva._core import archive, arrays, checks
from kanerva._core.errors import InputError, InputTypeError, describe, door, refuse
from kanerva.memory._associative import Associative
from kanerva.memory._connections import Clipped, Covariance
from kanerva.memory._file import Record, unsound
from kanerva.memory._linked import Linked
from kanerva.memory._locations import Locations
from kanerva.memory._parts import Reader, called
from kanerva.memory._patterns import Patterns

__all__ = ["load"]

STORES: dict[str, type[Associative]] = {
    store.__name__: store for store in (Patterns, Linked, Locations, Clipped, Covariance)
}


@door
def load(path: str | Path, allow: Sequence[Any] = ()) -> Associative:
    """Read a memory that ``memory.save`` wrote.

    Only classes and functions of this library, and those in ``allow``, are used; nothing else is
    imported or run because the file names it. What the file says of itself is checked against
    its tensors before anything is built.

    Args:
        path: a file written by ``memory.save``.
        allow: classes of memories and parts, and functions, of your own that the file may name.

    Returns:
        the memory, on the CPU.

    Raises:
        InputFileError: no such file, or one that is cut short or damaged.
        InputError: not a memory, of a newer format, inconsistent, or of a class that is not
            allowed.

    Example:
        >>> import pathlib, tempfile
        >>> import kanerva
        >>> memory = kanerva.hopfield(bits=8)
        >>> ids = memory.write(kanerva.bits.random(1, 8, seed=0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     memory.save(pathlib.Path(folder, "memory.safetensors"))
        ...     len(kanerva.load(pathlib.Path(folder, "memory.safetensors")))
        1
    """
    listed: tuple[Any, ...] | None = None
    with suppress(TypeError):  # a class, a number, an array without axes
        listed = None if isinstance(allow, Tensor) else tuple(allow)
    if listed is None:
        do = "give them in a list, allow=[...]"
        refuse("allow", allow, must="a sequence of classes and functions", do=do)
    for one in listed:
        if not callable(one) or not hasattr(one, "__qualname__"):
            do = "give the classes and functions themselves"
            refuse("allow", one, must="classes and functions", do=do, error=InputTypeError)
    tensors, header = archive.read(checks.path(path))
    try:
        with torch.inference_mode(False):
            return _restored(Record(header, tensors), listed)
    except InputError as error:
        if not error.function:
            raise
        of = "" if error.function == "load_state_dict" else f" of {error.function}"
        unsound(f"its {error.argument}{of} is {error.got} instead of {error.must}")


def _restored(record: Record, allow: Sequence[Any]) -> Associative:
    """Build the memory, and load its tensors."""
    kind = _kind(record, Reader(record.tensors, allow))
    state = {key: one for key, one in record.tensors.items() if not key.startswith("argument.")}
    if record.has("arguments"):
        memory = _called(kind, record, Reader(record.tensors, allow))
    else:
        memory = kind._built(
            record, _rules(record, Reader(record.tensors, allow, record.size("dim")))
        )
    if hasattr(memory, "_restore"):
        memory._restore(record)
    if set(state) != set(memory.state_dict()):
        unsound(f"it holds {describe(sorted(state))} instead of {sorted(memory.state_dict())}")
    try:
        memory.load_state_dict(state)
    except RuntimeError as error:  # torch's own, for buffers that are not rows
        unsound(f"its tensors do not fit its class ({' '.join(str(error).split())[:120]})")
    return memory


def _kind(record: Record, reader: Reader) -> Any:
    """Return the class of the memory."""
    name = record.value("class")
    if record.has("module"):
        kind = reader.find(record.header, "class")
        if isinstance(kind, type) and issubclass(kind, Associative):
            return kind
        refuse("allow", kind, must=f"a class of memories for {name}", do="give the class itself")
    if not isinstance(name, str) or name not in STORES:
        must = f"of one of the classes {', '.join(STORES)}"
        refuse("path", got=f"of {describe(name)}", must=must, do="update kanerva to read it")
    return STORES[name]


def _called(kind: Any, record: Record, reader: Reader) -> Any:
    """Build a memory with the arguments that it was built with."""
    args, kwargs = record.value("arguments"), record.value("keywords")
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        unsound("it holds no arguments")
    given = [reader.value(one) for one in args]
    named = {str(key): reader.value(one) for key, one in kwargs.items()}
    return called(kind, *given, **named).to(record.dtype("dtype", arrays.FLOATS))


def _rules(record: Record, reader: Reader) -> dict[str, Any]:
    """Build the parts of the memory."""
    learned = record.value("learned") is True
    beta = nn.Parameter(record.tensor("beta", ()).clone()) if learned else None
    return {
        "similarity": reader.part(record.value("similarity")),
        "separation": reader.part(record.value("separation"), beta),
        "activation": reader.part(record.value("activation")),
        "empty": record.value("empty"),
    }
