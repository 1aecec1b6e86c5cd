"""Load a memory from its file."""

from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from kanerva._core import archive, arrays, checks
from kanerva._core.errors import InputError, describe, door, refuse
from kanerva.bits import WORD, Packed
from kanerva.memory import _parts
from kanerva.memory._base import Memory
from kanerva.memory._locations import Locations
from kanerva.memory._patterns import Patterns

__all__ = ["load"]


@door
def load(path: str | Path) -> Memory:
    """Read a memory that ``memory.save`` wrote.

    Classes and parts are built from an allow-list, and nothing in the file is run; what the file says of itself is checked
    against its tensors before anything is built.

    Args:
        path: a file written by ``memory.save``.

    Returns:
        the memory, on the CPU.

    Raises:
        InputFileError: no such file, or one that is cut short or damaged.
        InputError: not a memory, of a newer format, or at odds with itself.

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
    tensors, told = archive.read(checks.path(path))
    builders = {"Patterns": _patterns, "Locations": _locations}
    kind = told.get("class")
    if not isinstance(kind, str) or kind not in builders:
        must, do = f"of one of the classes {', '.join(builders)}", "update kanerva to read it"
        refuse("path", must=must, got=f"of {describe(kind)}", do=do)
    try:
        memory = builders[kind](tensors, told, _rules(tensors, told))
        if set(tensors) != set(memory.state_dict()):
            _unsound(
                f"it holds {describe(sorted(tensors))} instead of {sorted(memory.state_dict())}"
            )
        memory.load_state_dict(tensors)
    except InputError as error:
        if error.function == "load":
            raise
        of = "" if error.function == "load_state_dict" else f" of {error.function}"
        _unsound(f"its {error.argument}{of} is {error.got} instead of {error.must}")
    return memory


def _rules(tensors: dict[str, Tensor], told: dict[str, Any]) -> dict[str, Any]:
    """Build the parts of the memory."""
    dim = _size(told, "dim")
    beta = (
        nn.Parameter(_tensor(tensors, "beta", ()).clone()) if told.get("learned") is True else None
    )
    return {
        "similarity": _parts.build(told.get("similarity"), dim),
        "separation": _parts.build(told.get("separation"), dim, beta),
        "activation": _parts.build(told.get("activation"), dim),
        "empty": told.get("empty"),
    }


def _patterns(tensors: dict[str, Tensor], told: dict[str, Any], rules: dict[str, Any]) -> Memory:
    """Build an empty ``Patterns`` that fits the tensors."""
    dim, width = (
        _size(told, "dim"),
        None if told.get("value_dim") is None else _size(told, "value_dim"),
    )
    storage: torch.dtype | str | None = None
    if "storage" in told:
        storage = "bits" if told["storage"] == "bits" else _dtype(told["storage"], arrays.FLOATS)
    kept = storage if isinstance(storage, torch.dtype) or storage is None else torch.int64
    lengths = {"keys": dim} | ({} if width is None else {"_values": width})
    shapes = {
        name: -(-length // WORD) if storage == "bits" else length
        for name, length in lengths.items()
    }
    keys = _tensor(tensors, "keys", (None, shapes["keys"]), kept)
    if width is not None:
        _tensor(tensors, "_values", (len(keys), shapes["_values"]), keys.dtype)
    _tensor(tensors, "ids", (len(keys),), torch.int64)
    _tensor(tensors, "_next", (), torch.int64)
    dtype = keys.dtype if storage is None else _dtype(told.get("dtype"), arrays.FLOATS)
    return Patterns(dim, width, dtype=dtype, storage=storage, **rules)


def _locations(tensors: dict[str, Tensor], told: dict[str, Any], rules: dict[str, Any]) -> Memory:
    """Build an empty ``Locations`` that fits the tensors."""
    dim, width, dtype = (
        _size(told, "dim"),
        _size(told, "value_dim"),
        _dtype(told.get("dtype"), arrays.FLOATS),
    )
    packed = rules["similarity"] is _parts.FUNCTIONS["agreement"]
    words = -(-dim // 64) if packed else dim
    partial = "addresses" in tensors and tensors["addresses"].dtype == torch.int8
    kept = torch.int64 if packed else torch.int8 if partial else dtype
    addresses = _tensor(tensors, "addresses", (None, words), kept)
    counters = _tensor(
        tensors,
        "counters",
        (len(addresses), width + 1),
        _dtype(told.get("counters"), arrays.FLOATS + arrays.INTEGERS),
    )
    if int(_tensor(tensors, "_stored", (), torch.int64)) < 0:
        _unsound("it stores less than nothing")
    keys = Packed(addresses, dim) if packed else addresses
    memory = Locations(
        keys, width, counters=counters.dtype, overflow=told.get("overflow", ""), **rules
    )
    # Not memory.to(dtype), which would change floating counters too.
    memory._unit = memory._unit.to(dtype)
    return memory


def _size(told: dict[str, Any], name: str) -> int:
    """Return a length that the file tells."""
    return checks.integer(
        f"{name} of the file", told.get(name), 1, checks.LONGEST, "save the memory again"
    )


def _tensor(
    tensors: dict[str, Tensor],
    name: str,
    shape: tuple[int | None, ...],
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return one tensor of the file, of the shape and dtype it must have."""
    tensor = tensors.get(name)
    if tensor is None:
        _unsound(f"it has no tensor {name!r}")
    if tensor.ndim != len(shape) or any(
        want not in (None, size) for want, size in zip(shape, tensor.shape, strict=True)
    ):
        _unsound(f"its tensor {name!r} has shape {tuple(tensor.shape)}")
    if tensor.dtype != dtype and (dtype is not None or tensor.dtype not in arrays.FLOATS):
        _unsound(f"its tensor {name!r} is {tensor.dtype}")
    return tensor


def _dtype(name: Any, known: tuple[torch.dtype, ...]) -> torch.dtype:
    """Return the dtype of that name among the known ones."""
    named = {str(dtype).removeprefix("torch."): dtype for dtype in known}
    if not isinstance(name, str) or name not in named:
        _unsound(f"it names the dtype {describe(name)}")
    return named[name]


def _unsound(why: str) -> NoReturn:
    """Refuse a file that is at odds with itself."""
    refuse(
        "path", must="a sound file", got=f"at odds with itself: {why}", do="save the memory again"
    )
