"""Rows of a file, mapped rather than read: of ``.npy``, and of one tensor of ``.safetensors``.

The map is private: what is written to it, if ever, stays in this process and never reaches the file.
"""

import json
import math
import mmap
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import InputError, InputFileError, InputTypeError, refuse

Source = str | os.PathLike[str] | tuple[str | os.PathLike[str], str]

MUST = "a .npy file of rows, or a .safetensors file and the name of a tensor in it"
NPY = {"<f2": torch.float16, "<f4": torch.float32, "<f8": torch.float64, "<i8": torch.int64}
SAFE = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
}
# A longer header is none: safetensors itself stops here.
HEADER = 100_000_000
# Not in Python's own module before 3.13. Without it Linux counts a private map against the memory of the machine.
NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


class Layout(NamedTuple):
    """Where the numbers of an array lie in its file, in bytes from the start, and what they are."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int


class Place(NamedTuple):
    """The argument that a file was given for, and its path."""

    argument: str
    path: Path

    def refuse(self, got: str, do: str = "", must: str = MUST) -> NoReturn:
        """Say what is wrong with the file."""
        refuse(
            self.argument,
            must=must,
            got=got,
            do=do or f"check the path {str(self.path)!r}",
            error=InputFileError,
        )


def rows(argument: str, source: Source) -> Tensor:
    """Map the rows of a file; none of them is read.

    Args:
        argument: the argument that an error names.
        source: the path of a file, or that of a safetensors file and the name of a tensor in it.

    Returns:
        ``(m, d)`` as it lies in the file: floating, or int64.

    Raises:
        InputFileError: no such file, a damaged one, or one that holds something else.
    """
    path, name = source if isinstance(source, tuple) and len(source) == 2 else (source, None)
    place = Place(argument, _path(argument, path))
    if name is not None and not isinstance(name, str):
        do = "give (path, name)"
        refuse(
            argument,
            source,
            must="a path, or a path and the name of a tensor",
            do=do,
            error=InputTypeError,
        )
    try:
        if not place.path.is_file():
            place.refuse(
                "a folder"
                if place.path.is_dir()
                else "a device"
                if place.path.exists()
                else "not there"
            )
        with place.path.open("rb") as file:
            plain = file.read(6) == b"\x93NUMPY"
            file.seek(0)
            return _map(
                place, file, _npy(place, file, name) if plain else _safetensors(place, file, name)
            )
    except InputError:
        raise
    except OSError as error:
        place.refuse(f"not readable ({(error.strerror or type(error).__name__).lower()})")


def _path(argument: str, path: object) -> Path:
    """Return the name of a file as a ``Path``."""
    try:
        return checks.path(path)
    except InputError as error:
        refuse(argument, must=error.must, got=error.got, do=error.do, error=InputTypeError)


def _npy(place: Place, file: BinaryIO, name: str | None) -> Layout:
    """Read the header of a ``.npy`` file."""
    if name is not None:
        place.refuse(f"a .npy file, which has no tensor {name!r}", "give its path alone")
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"of version {version}")
        shape, columns, dtype = read(file)
    # What NumPy raises of a header that lies about itself is not all of one kind.
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, LookupError) as error:
        place.refuse(
            f"a damaged .npy file ({' '.join(str(error).split())[:120]})",
            "save it again with numpy.save",
        )
    if dtype.hasobject:
        place.refuse(
            "an array of Python objects", "save an array of numbers; objects are never unpickled"
        )
    if dtype.str.startswith(">"):
        place.refuse(
            f"an array of {dtype.str}, the other byte order",
            f"save array.astype({'<' + dtype.str[1:]!r})",
        )
    if dtype.str not in NPY:
        do = "save it as one of these; torch.bfloat16 goes into a safetensors file"
        place.refuse(
            f"an array of {dtype.str}",
            do,
            "rows of float16, float32, float64, or int64 words of bits.pack",
        )
    if columns and sum(size > 1 for size in shape) > 1:
        place.refuse(
            "an array in Fortran order, one column after the other",
            "save numpy.ascontiguousarray(array)",
        )
    return Layout(NPY[dtype.str], tuple(shape), file.tell())


def _safetensors(place: Place, file: BinaryIO, name: str | None) -> Layout:
    """Read the header of a safetensors file, and find the tensor of that name, or the only one."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    try:
        told = json.loads(file.read(length)) if 2 <= length <= min(size - 8, HEADER) else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        place.refuse(
            "neither .npy nor .safetensors, or damaged",
            "save the array with numpy.save or safetensors.torch.save_file",
        )
    told.pop("__metadata__", None)
    if name is None and len(told) != 1:
        place.refuse(
            f"a file of {len(told)} tensors ({', '.join(sorted(told)[:8])})",
            "give (path, name of one)",
        )
    entry = told.get(next(iter(told)) if name is None else name)
    if entry is None:
        place.refuse(
            f"a file without the tensor {name!r}",
            f"give one of {', '.join(sorted(told)[:8]) or 'another file'}",
        )
    again = "save it again with safetensors.torch.save_file"
    kind = entry.get("dtype") if isinstance(entry, dict) else None
    shape, span = _numbers(entry, "shape"), _numbers(entry, "data_offsets")
    if not isinstance(kind, str) or shape is None or span is None or len(span) != 2:
        place.refuse("a damaged safetensors file", again)
    if kind not in SAFE:
        place.refuse(
            f"a tensor of {kind[:20]}",
            "save it as one of these",
            f"rows of one of {', '.join(SAFE)}",
        )
    layout = Layout(SAFE[kind], shape, 8 + length + span[0])
    if math.prod(shape) * layout.dtype.itemsize != span[1] - span[0]:
        place.refuse(f"at odds with itself: {span[1] - span[0]} bytes for shape {shape}", again)
    if layout.start % layout.dtype.itemsize:
        place.refuse("a tensor at an odd place in its file", again)
    return layout


def _numbers(entry: Any, key: str) -> tuple[int, ...] | None:
    """Return sizes or offsets that a header tells; None where they are none."""
    told = entry.get(key) if isinstance(entry, dict) else None
    return (
        tuple(told)
        if isinstance(told, list) and all(type(number) is int and number >= 0 for number in told)
        else None
    )


def _map(place: Place, file: BinaryIO, layout: Layout) -> Tensor:
    """Map what the layout says."""
    dtype, shape, start = layout
    if len(shape) != 2 or shape[0] < 0 or not 1 <= shape[1] <= checks.LONGEST:
        place.refuse(f"an array of shape {shape}", "save it as rows of one or more coordinates")
    count = math.prod(shape)
    end, size = start + count * dtype.itemsize, os.fstat(file.fileno()).st_size
    if size < end:
        place.refuse(
            f"cut short: {size} bytes instead of {end}", "copy or save the whole file again"
        )
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    if sys.platform == "win32":
        whole = mmap.mmap(file.fileno(), end, access=mmap.ACCESS_COPY)
    else:
        whole = mmap.mmap(
            file.fileno(),
            end,
            flags=mmap.MAP_PRIVATE | NORESERVE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
        )
    return torch.frombuffer(whole, dtype=dtype, count=count, offset=start).reshape(shape)
