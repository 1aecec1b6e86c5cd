"""Tensors with a JSON description in one safetensors file: atomic writes, and reads that check."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from kanerva._core import arrays, checks, machine
from kanerva._core.errors import InputError, InputFileError, refuse
from kanerva._core.files import atomic, readable

# Format 2 names the storage of rows; format 3 names classes from elsewhere, arguments or further
# rows.
FORMAT = 3
# The dtypes of tensors that are read, by their names in safetensors, and the most tensors of a
# file.
DTYPES = ("F16", "BF16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "BOOL")
TENSORS = 256

# The reader of the format raises errors of many kinds for an inconsistent file.
DAMAGED = (
    SafetensorError,
    ValueError,
    RuntimeError,
    MemoryError,
    TypeError,
    LookupError,
    AttributeError,
)


def write(path: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Write tensors with ``config`` in the header; an existing file is replaced atomically."""
    config = {"format": _number(config)} | config
    header = {"kanerva": json.dumps(config, allow_nan=False)}
    size = sum(tensor.nbytes for tensor in tensors.values())
    # The bytes of the file are built twice.
    with checks.room("memory", f"of {machine.size(size)} to be written", 2 * size):
        content = save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, header
        )
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def read(path: Path, kind: str = "memory") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the description of a file of ``write``; refuse any other file.

    Args:
        path: the file.
        kind: what the file holds, for errors.
    """
    must = f"a {kind} saved by kanerva"
    try:
        if not path.is_file():
            other = "a device" if path.exists() else "not there"
            got = "a folder" if path.is_dir() else other
            do = f"check the path {str(path)!r}"
            refuse("path", must=f"the file of {must}", got=got, do=do, error=InputFileError)
        size = path.stat().st_size
        machine.fit("path", size, f"a file of {machine.size(size)}", "read it on a larger machine")
        # The description is checked first, so that no tensor of a foreign file is read.
        with readable(path) as known, safe_open(known, framework="pt") as file:
            header = _header((file.metadata() or {}).get("kanerva"), kind)
            slices = {name: file.get_slice(name) for name in file.keys()[:TENSORS]}
            odd = [name for name, part in slices.items() if part.get_dtype() not in DTYPES]
            tensors = {} if odd else {name: file.get_tensor(name) for name in slices}
    except InputError:
        raise
    except OSError as error:
        got = f"not readable ({(error.strerror or type(error).__name__).lower()})"
        do = f"check the path {str(path)!r}"
        refuse("path", must=f"the file of {must}", got=got, do=do, error=InputFileError)
    except DAMAGED as error:
        got = f"a damaged or foreign file ({' '.join(str(error).split())[:120]})"
        do = f"give a whole file that {kind}.save wrote"
        refuse("path", must=must, got=got, do=do, error=InputFileError)
    again = f"save the {kind} again"
    if odd:
        must = f"one of {', '.join(DTYPES)}"
        refuse(f"tensor {odd[0]!r} of the file", must=must, got="of another dtype", do=again)
    for name, tensor in tensors.items():
        if not arrays.sound(tensor):
            got = "not: it contains NaN or infinity"
            refuse(f"tensor {name!r} of the file", must="finite", got=got, do=again)
    return tensors, header


def _header(text: str | None, kind: str) -> dict[str, Any]:
    """Return the description of what was saved, if this version can read it."""
    header = None if text is None else json.loads(text)
    number = header.get("format") if isinstance(header, dict) else None
    if not isinstance(header, dict) or type(number) is not int or number < 1:
        do, got = (
            f"give a file that {kind}.save wrote",
            "a safetensors file without its description",
        )
        must = f"a {kind} saved by kanerva"
        refuse("path", must=must, got=got, do=do, error=InputFileError)
    if number > FORMAT:
        must, got = f"of format {FORMAT} or older", f"of format {number}"
        refuse("path", must=must, got=got, do="update kanerva to read it")
    if number != _number(header):
        got = f"of format {number} with the contents of format {_number(header)}"
        refuse("path", must="a sound file", got=got, do=f"save the {kind} again")
    return header


def _number(config: Any) -> int:
    """Return the format that the contents of a header need."""
    if "arguments" in config or "rows" in config or _foreign(config):
        return 3
    return 2 if "storage" in config else 1


def _foreign(value: Any) -> bool:
    """Return whether a class or function from elsewhere is named."""
    if isinstance(value, dict):
        return "module" in value or any(map(_foreign, value.values()))
    return isinstance(value, list) and any(map(_foreign, value))
