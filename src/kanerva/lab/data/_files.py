"""Read arrays of your own: ``.npy``, ``.npz``, ``.csv``, ``.safetensors``. Nothing is unpickled.

A header is compared with the bytes that follow it before an array is made, and a file is read whole
or refused.
"""

import csv
import math
import os
import zipfile
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from safetensors import safe_open

from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva.lab.data._pictures import read_folder
from kanerva.lab.data._raw import MOST, Raw, checked, failing, own, refuse_file
from kanerva.lab.data._sets import CHOICE

__all__ = ["NAMED", "read"]

ADVICE = {
    "c": "save the real parts, or real and imaginary parts side by side",
    "O": "turn it into a plain array of numbers first; pickles are never read",
}
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".joblib")


@door("data.load")
def read(source: str | Path) -> Raw:
    """Read a file, one array of a file (``"file.npz:name"``) or a folder of pictures."""
    if not isinstance(source, str | Path) or source == "":
        must = f"one of {CHOICE} or a path"
        do = "save your own numbers with numpy.save and give the path"
        refuse("source", source, must=must, do=do, error=InputTypeError)
    path, name = Path(source), None
    whole, _, part = str(source).rpartition(":")
    with failing(path, "a path", "choose a set, or give the path of a file or folder"):
        if part and not path.exists() and Path(whole).suffix.lower() in NAMED:
            path, name = Path(whole), part
        folder, there = path.is_dir(), path.exists()
    if folder:
        return read_folder(path)
    if not there:
        _absent(path)
    suffix = path.suffix.lower()
    if suffix not in READERS or not path.is_file():
        must = f"a {', '.join(READERS)} file or a folder of pictures"
        pickled = "; pickles are never read" if suffix in PICKLES else ""
        do = "convert it, for example with numpy.save"
        refuse_file(path, must, f"which is none of these{pickled}", do)
    return READERS[suffix](path, name)


def _absent(path: Path) -> None:
    """Refuse a path where there is nothing."""
    must, got, do = "a named set, a file or a folder", "which is not there", "check the spelling"
    # One word is rather a set misspelt than a file forgotten.
    if not path.suffix and len(path.parts) < 2:
        do = f"choose one of {CHOICE}, or give the path of a file"
    refuse_file(path, must, got, do)


def _npy(path: Path, name: str | None) -> Raw:
    must, do = "a NumPy array file", "write it again with numpy.save"
    with failing(path, must, do), path.open("rb") as stream:
        values = _stream(path, stream, os.fstat(stream.fileno()).st_size)
    return own(path, values)


def _npz(path: Path, name: str | None) -> Raw:
    must, do = "an archive of NumPy arrays", "write it again with numpy.savez"
    with failing(path, must, do), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        chosen = members[_one(path, "array", list(members), name)]
        with archive.open(chosen) as stream:
            values = _stream(path, stream, chosen.file_size)
    return own(path, values, name)


def _stream(path: Path, stream: IO[bytes] | zipfile.ZipExtFile, size: int) -> np.ndarray:
    """Read one array in the format of NumPy (NEP 1) from a stream of ``size`` bytes."""
    shape, fortran, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    if dtype.kind not in "biuf":
        do = ADVICE.get(dtype.kind, "keep the columns that are numbers, as one plain array")
        kind = "Python objects" if dtype.kind == "O" else f"dtype {dtype}"
        refuse_file(path, "an array of real numbers", f"which holds {kind}", do)
    checked(shape, partial(refuse_file, path))
    promised, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    body = stream.read(promised) if promised == there else b""
    if len(body) != promised:
        held = len(body) or there
        got = f"whose header promises {promised} bytes for shape {shape}, where there are {held}"
        do = "write it again with numpy.save, one array a file"
        refuse_file(path, "a whole NumPy array file", got, do)
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _one(path: Path, kind: str, names: list[str], name: str | None) -> str:
    """Return the given name, or the only one."""
    listed = ", ".join(repr(each) for each in names[:20]) + (", ..." if len(names) > 20 else "")
    if name is not None:
        if name not in names:
            must, got = f"a file that holds {name!r}", f"which holds {listed or 'nothing'}"
            refuse_file(path, must, got, "choose one of its names")
        return name
    if len(names) != 1:
        do = f"name one, such as '{path.name}:{names[0]}'" if names else "check how it was written"
        got = f"which holds {len(names)}{': ' if names else ''}{listed}"
        refuse_file(path, f"a file of one {kind}", got, do)
    return names[0]


def _safetensors(path: Path, name: str | None) -> Raw:
    must, do = "a safetensors file", "write it again with safetensors.torch.save_file"
    kind = "tensor of two dimensions or more"
    with failing(path, must, do), safe_open(path, framework="pt") as file:
        shapes = {each: tuple(file.get_slice(each).get_shape()) for each in file.keys()}  # noqa: SIM118
        wide = [each for each, shape in shapes.items() if len(shape) >= 2]
        chosen = _one(path, kind, wide if name is None else list(shapes), name)
        checked(shapes[chosen], partial(refuse_file, path))
        tensor = file.get_tensor(chosen)
        if tensor.is_complex():
            got = f"which holds {describe(tensor)}"
            refuse_file(path, "a tensor of real numbers", got, ADVICE["c"])
        values = tensor.double().numpy()
    left = f"{chosen!r} is the only one of {len(shapes)} tensors with two dimensions or more"
    return own(path, values, name, (left,) if name is None and len(shapes) > 1 else ())


def _csv(path: Path, name: str | None) -> Raw:
    must = "a text file of numbers, one pattern a line"
    do = "save it as UTF-8 text with commas between the numbers"
    with failing(path, must, do), path.open(encoding="utf-8-sig", newline="") as stream:
        if os.fstat(stream.fileno()).st_size > 8 * MOST:
            must, do = f"a text file of at most {8 * MOST:,} bytes", "save it with numpy.save"
            refuse_file(path, must, "which is larger", do)
        table, header = _table(path, stream)
    notes = ("the first line is a header and was left out",) if header else ()
    return own(path, table, notes=notes)


def _table(path: Path, stream: IO[str]) -> tuple[np.ndarray, bool]:
    """Read the numbers of a table, and whether it has a header."""
    numbers, width, header = array("d"), 0, False
    first = stream.readline()
    stream.seek(0)
    # Between semicolons or tabs a comma is part of a number, which float() does not read.
    delimiter = next((mark for mark in ";\t" if mark in first), ",")
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    for cells in reader:
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            continue
        if not width and all(_number(cell) is None for cell in cells):
            width, header = len(cells), True
            continue
        width = width or len(cells)
        if len(cells) != width:
            got = f"with {len(cells)} cells in line {reader.line_num} after {width} in those above"
            must = "a table with as many cells in every line"
            refuse_file(path, must, got, "fill or drop that line")
        numbers.extend(_finite(path, cells, reader.line_num))
    return (np.array(numbers).reshape(-1, width) if numbers else np.empty((0, width))), header


def _finite(path: Path, cells: list[str], line: int) -> list[float]:
    """Read a line of finite numbers."""
    row = []
    for column, cell in enumerate(cells, 1):
        value = _number(cell)
        if value is None or not math.isfinite(value):
            short = repr(cell if len(cell) <= 40 else cell[:37] + "...")
            held = short if cell.strip() else "an empty cell"
            must = "a table of finite numbers below an optional header"
            got = f"with {held} in line {line}, column {column}"
            refuse_file(path, must, got, "drop that line or column, or fill in a number")
        row.append(value)
    return row


def _number(cell: str) -> float | None:
    """Read a number; a cell with underscores, which Python allows in numbers, is a word here."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


# Version 3 differs from 2 in the encoding of field names alone, and a plain array has none.
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,
}
READERS: dict[str, Callable[[Path, str | None], Raw]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".safetensors": _safetensors,
}
NAMED = (".npz", ".safetensors")
