"""Memory-mapped rows of a ``.npy`` file, or of one tensor of a ``.safetensors`` file.

The map is private: writes to it stay in this process and never reach the file.
"""

import json
import math
import mmap
import os
import sys
import tokenize
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
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
SAFE = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
}
# NumPy raises errors of many kinds for an inconsistent header.
DAMAGED = (
    ValueError,
    TypeError,
    SyntaxError,
    MemoryError,
    RecursionError,
    LookupError,
    tokenize.TokenError,
)
# The limit of safetensors itself for the length of a header.
HEADER = 100_000_000
# The mmap module has this flag only from Python 3.13 on. Without it Linux counts a private map
# against the memory of the machine.
NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


class Layout(NamedTuple):
    """The dtype and shape of an array in a file, and its offset from the start in bytes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int


class Place(NamedTuple):
    """The path of a file, and the name of the argument that it was given for."""

    argument: str
    path: Path

    def refuse(self, got: str, do: str = "", must: str = MUST) -> NoReturn:
        """Refuse the file."""
        do = do or f"check the path {str(self.path)!r}"
        refuse(self.argument, must=must, got=got, do=do, error=InputFileError)


def rows(argument: str, source: Source) -> Tensor:
    """Map the rows of a file into memory, without reading them.

    Args:
        argument: the argument that an error names.
        source: the path of a file, or that of a safetensors file and the name of a tensor in it.

    Returns:
        ``(m, d)`` of the dtype in the file: floating, or int64.

    Raises:
        InputFileError: the file does not exist, is damaged, or contains something else.
    """
    path, name = source if isinstance(source, tuple) and len(source) == 2 else (source, None)
    place = Place(argument, _path(argument, path))
    if name is not None and not isinstance(name, str):
        must = "a path, or a path and the name of a tensor"
        refuse(argument, source, must=must, do="give (path, name)", error=InputTypeError)
    try:
        if not place.path.is_file():
            other = "a device" if place.path.exists() else "not there"
            place.refuse("a folder" if place.path.is_dir() else other)
        with place.path.open("rb") as file:
            header = _npy if file.read(6) == b"\x93NUMPY" else _safetensors
            file.seek(0)
            return _map(place, file, header(place, file, name))
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
        if version not in HEADERS:
            raise ValueError(f"of version {version}")
        shape, columns, dtype = HEADERS[version](file)
    except DAMAGED as error:
        got = f"a damaged .npy file ({' '.join(str(error).split())[:120]})"
        place.refuse(got, "save it again with numpy.save")
    if dtype.hasobject:
        do = "save an array of numbers; objects are never unpickled"
        place.refuse("an array of Python objects", do)
    if dtype.str.startswith(">"):
        do = f"save array.astype({'<' + dtype.str[1:]!r})"
        place.refuse(f"an array of {dtype.str}, the other byte order", do)
    if dtype.str not in NPY:
        must = "rows of float16, float32, float64, or int64 words of bits.pack"
        do = "save it as one of these; torch.bfloat16 goes into a safetensors file"
        place.refuse(f"an array of {dtype.str}", do, must)
    if columns and sum(size > 1 for size in shape) > 1:
        got = "an array in Fortran order, one column after the other"
        place.refuse(got, "save numpy.ascontiguousarray(array)")
    return Layout(NPY[dtype.str], tuple(shape), file.tell())


def _safetensors(place: Place, file: BinaryIO, name: str | None) -> Layout:
    """Read the header of a safetensors file; return the tensor of that name, or the only one."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    try:
        header = json.loads(file.read(length)) if 2 <= length <= min(size - 8, HEADER) else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        do = "save the array with numpy.save or safetensors.torch.save_file"
        place.refuse("neither .npy nor .safetensors, or damaged", do)
    header.pop("__metadata__", None)
    names = ", ".join(sorted(header)[:8])
    if name is None and len(header) != 1:
        place.refuse(f"a file of {len(header)} tensors ({names})", "give (path, name of one)")
    entry = header.get(next(iter(header)) if name is None else name)
    if entry is None:
        place.refuse(
            f"a file without the tensor {name!r}", f"give one of {names or 'another file'}"
        )
    again = "save it again with safetensors.torch.save_file"
    kind = entry.get("dtype") if isinstance(entry, dict) else None
    shape, span = _numbers(entry, "shape"), _numbers(entry, "data_offsets")
    if not isinstance(kind, str) or shape is None or span is None or len(span) != 2:
        place.refuse("a damaged safetensors file", again)
    if kind not in SAFE:
        must = f"rows of one of {', '.join(SAFE)}"
        place.refuse(f"a tensor of {kind[:20]}", "save it as one of these", must)
    layout = Layout(SAFE[kind], shape, 8 + length + span[0])
    if math.prod(shape) * layout.dtype.itemsize != span[1] - span[0]:
        place.refuse(f"inconsistent: {span[1] - span[0]} bytes for shape {shape}", again)
    if layout.start % layout.dtype.itemsize:
        place.refuse("a tensor at an odd place in its file", again)
    return layout


def _numbers(entry: Any, key: str) -> tuple[int, ...] | None:
    """Return the sizes or offsets in an entry of a header, or None where they are not valid."""
    numbers = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(numbers, list):
        return None
    valid = all(type(number) is int and number >= 0 for number in numbers)
    return tuple(numbers) if valid else None


def _map(place: Place, file: BinaryIO, layout: Layout) -> Tensor:
    """Map the bytes of a layout as a tensor."""
    dtype, shape, start = layout
    if len(shape) != 2 or shape[0] < 0 or not 1 <= shape[1] <= checks.LONGEST:
        place.refuse(f"an array of shape {shape}", "save it as rows of one or more coordinates")
    count = math.prod(shape)
    end, size = start + count * dtype.itemsize, os.fstat(file.fileno()).st_size
    if size < end:
        got = f"cut short: {size} bytes instead of {end}"
        place.refuse(got, "copy or save the whole file again")
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    if sys.platform == "win32":
        whole = mmap.mmap(file.fileno(), end, access=mmap.ACCESS_COPY)
    else:
        flags, prot = mmap.MAP_PRIVATE | NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        whole = mmap.mmap(file.fileno(), end, flags=flags, prot=prot)
    return torch.frombuffer(whole, dtype=dtype, count=count, offset=start).reshape(shape)
