"""Tensors and a description of them in one safetensors file: written whole or not at all, and never trusted when read."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import InputError, InputFileError, refuse
from kanerva._core.files import atomic

# The second format tells what rows are kept in; a memory that keeps them in its own dtype is still written in the first.
FORMAT = 2
# The dtypes of a memory's tensors as safetensors names them, and more tensors than any memory has.
DTYPES = ("F16", "BF16", "F32", "F64", "I8", "I16", "I32", "I64")
TENSORS = 16

MUST = "a memory saved by kanerva"


def write(path: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Write ``tensors`` with ``config`` in the header; an existing file is replaced at the very end."""
    header = {
        "kanerva": json.dumps({"format": 2 if "storage" in config else 1} | config, allow_nan=False)
    }
    content = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, header
    )
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``write`` wrote; whatever else the file is, say so in a sentence."""
    try:
        if not path.is_file():
            got = "a folder" if path.is_dir() else "a device" if path.exists() else "not there"
            do = f"check the path {str(path)!r}"
            refuse("path", must=f"the file of {MUST}", got=got, do=do, error=InputFileError)
        # The description comes first: of a file that is none of ours, however large, nothing more is read.
        with safe_open(path, framework="pt") as file:
            header = _header((file.metadata() or {}).get("kanerva"))
            slices = {name: file.get_slice(name) for name in file.keys()[:TENSORS]}
            odd = [name for name, part in slices.items() if part.get_dtype() not in DTYPES]
            tensors = {} if odd else {name: file.get_tensor(name) for name in slices}
    except InputError:
        raise
    except OSError as error:
        got = f"not readable ({(error.strerror or type(error).__name__).lower()})"
        refuse(
            "path",
            must=f"the file of {MUST}",
            got=got,
            do=f"check the path {str(path)!r}",
            error=InputFileError,
        )
    # What the reader of the format raises of a file that lies about itself is not all of one kind.
    except (
        SafetensorError,
        ValueError,
        RuntimeError,
        MemoryError,
        TypeError,
        LookupError,
        AttributeError,
    ) as error:
        got = f"a damaged or foreign file ({' '.join(str(error).split())[:120]})"
        refuse(
            "path",
            must=MUST,
            got=got,
            do="give a whole file that memory.save wrote",
            error=InputFileError,
        )
    if odd:
        refuse(
            f"tensor {odd[0]!r} of the file",
            must=f"one of {', '.join(DTYPES)}",
            got="of another dtype",
            do="save the memory again",
        )
    for name, tensor in tensors.items():
        if not arrays.sound(tensor):
            refuse(
                f"tensor {name!r} of the file",
                must="finite",
                got="not: it holds NaN or infinity",
                do="save the memory again",
            )
    return tensors, header


def _header(text: str | None) -> dict[str, Any]:
    """Return the description of the memory, if it is one that this version can read."""
    told = None if text is None else json.loads(text)
    number = told.get("format") if isinstance(told, dict) else None
    if not isinstance(told, dict) or type(number) is not int or number < 1:
        do = "give a file that memory.save wrote"
        refuse(
            "path",
            must=MUST,
            got="a safetensors file without its description",
            do=do,
            error=InputFileError,
        )
    if number > FORMAT:
        refuse(
            "path",
            must=f"of format {FORMAT} or older",
            got=f"of format {number}",
            do="update kanerva to read it",
        )
    if number != (2 if "storage" in told else 1):
        got = f"of format {number} {'with' if 'storage' in told else 'without'} a storage"
        refuse("path", must="a sound file", got=got, do="save the memory again")
    return told
