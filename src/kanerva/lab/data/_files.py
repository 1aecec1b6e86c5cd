"""Read files of your own: arrays, tables, folders of pictures. Nothing is unpickled.

A header is compared with the bytes that follow it before an array is made, and a file is read whole
or refused.
"""

import math
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from safetensors import safe_open

from kanerva._core import machine
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva._core.files import readable
from kanerva.lab.data._columns import numbered
from kanerva.lab.data._pictures import read_folder
from kanerva.lab.data._raw import PLAIN, Raw, Reading, checked, failing, own, refuse_file
from kanerva.lab.data._sets import CHOICE, HUED
from kanerva.lab.data._tables import read_parquet, read_text

__all__ = ["NAMED", "read"]

ADVICE = {
    "c": "save the real parts, or real and imaginary parts side by side",
    "O": "turn it into a plain array of numbers first; pickles are never read",
}
# An archive that expands further holds one number many times, and may be made to fill the memory.
EXPANDS, FREELY = 200, 2**28  # times; bytes up to which any archive is read
BLOCK = 2**24  # bytes read at a time
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".joblib")


@door("data.load")
def read(source: str | Path, reading: Reading = PLAIN) -> Raw:
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
    suffix = path.suffix.lower()
    _fitting(path, reading, folder, suffix)
    if folder:
        return read_folder(path, reading)
    if not there:
        _absent(path)
    if suffix not in READERS or not path.is_file():
        must = f"a {', '.join(READERS)} file or a folder of pictures"
        pickled = "; pickles are never read" if suffix in PICKLES else ""
        do = "convert it, for example with numpy.save"
        refuse_file(path, must, f"which is none of these{pickled}", do)
    raw = READERS[suffix](path, name, reading)
    if reading.scale == "columns" and raw.shape:
        must, do = "'auto' or 'whole' for pictures", "leave it out: pictures keep one scale"
        refuse("scale", must=must, got="'columns'", do=do)
    return replace(raw, columns=True) if reading.scale == "columns" else raw


def _fitting(path: Path, reading: Reading, folder: bool, suffix: str) -> None:
    """Refuse options that are for other kinds of files."""
    kinds = {
        "label": (reading.label is not None, (*TABLES, ".npz"), "a table or a .npz file"),
        "drop": (bool(reading.drop), TABLES, "a table"),
        "crop": (reading.crop and not folder, (), "a folder of pictures"),
        "colour": (reading.colour and not folder, (), HUED),
        "scale": (folder and reading.scale == "columns", TABLES, "a table or an array"),
    }
    for option, (given, suffixes, what) in kinds.items():
        if given and (folder or suffix not in suffixes):
            got = f"given for '{path}'"
            refuse(option, must=f"left out unless the source is {what}", got=got, do="leave it out")


def _absent(path: Path) -> None:
    """Refuse a path where there is nothing."""
    must, got, do = "a named set, a file or a folder", "which is not there", "check the spelling"
    # One word is rather a set misspelt than a file forgotten.
    if not path.suffix and len(path.parts) < 2:
        do = f"choose one of {CHOICE}, or give the path of a file"
    refuse_file(path, must, got, do)


def _npy(path: Path, name: str | None, reading: Reading) -> Raw:
    must, do = "a NumPy array file", "write it again with numpy.save"
    with failing(path, must, do), path.open("rb") as stream:
        values = _stream(path, stream, os.fstat(stream.fileno()).st_size)
    return own(path, values)


def _npz(path: Path, name: str | None, reading: Reading) -> Raw:
    must, do = "an archive of NumPy arrays", "write it again with numpy.savez"
    labels: np.ndarray | None = None
    with failing(path, must, do), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if reading.label is not None:
            labels = _member(path, archive, members[_label(list(members), reading.label)], "biufU")
        others = [each for each in members if each != reading.label]
        values = _member(path, archive, members[_one(path, "array", others, name)])
    raw = own(path, values, name)
    if labels is None:
        return raw
    if labels.shape != (len(values),):
        got = f"{reading.label!r} of shape {labels.shape}"
        must, do = f"an array of {len(values)} labels", "save one label for each pattern"
        refuse("label", must=must, got=got, do=do)
    numbers, classes = numbered(labels, "label", repr(reading.label))
    note = f"labels: the array {reading.label!r}, as asked ({len(classes)} classes)"
    return replace(raw, labels=numbers, classes=classes, notes=(*raw.notes, note))


def _label(members: list[str], label: str) -> str:
    if label not in members:
        must = f"an array of the file: {', '.join(map(repr, members))}"
        refuse("label", must=must, got=repr(label), do="choose one of its names")
    return label


def _member(
    path: Path, archive: zipfile.ZipFile, chosen: zipfile.ZipInfo, kinds: str = "biuf"
) -> np.ndarray:
    """Read one array of an archive, after a look at the sizes that it lists."""
    size, packed = chosen.file_size, max(chosen.compress_size, 1)
    if size > FREELY and size > EXPANDS * packed:
        got = f"which expands {size // packed:,} times, to {machine.size(size)}"
        must = f"an archive that expands at most {EXPANDS} times"
        refuse_file(path, must, got, "save the array with numpy.save")
    with archive.open(chosen) as stream:
        return _stream(path, stream, size, kinds)


def _stream(
    path: Path, stream: IO[bytes] | zipfile.ZipExtFile, size: int, kinds: str = "biuf"
) -> np.ndarray:
    """Read one array in the format of NumPy (NEP 1) from a stream of ``size`` bytes."""
    shape, fortran, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    if dtype.kind not in kinds:
        do = ADVICE.get(dtype.kind, "keep the columns that are numbers, as one plain array")
        kind = "Python objects" if dtype.kind == "O" else f"dtype {dtype}"
        refuse_file(path, "an array of real numbers", f"which holds {kind}", do)
    if kinds == "biuf":
        checked(shape, partial(refuse_file, path))
    promised, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    body = _body(stream, promised) if promised == there else b""
    if len(body) != promised:
        held = len(body) or there
        got = f"whose header promises {promised} bytes for shape {shape}, where there are {held}"
        do = "write it again with numpy.save, one array a file"
        refuse_file(path, "a whole NumPy array file", got, do)
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _body(stream: IO[bytes] | zipfile.ZipExtFile, size: int) -> bytearray:
    """Read so many bytes, or all there are; zipfile copies what it has at every step of a read."""
    body = bytearray(size)
    place = 0
    with memoryview(body) as view:
        while place < size and (part := stream.read(min(BLOCK, size - place))):
            view[place : place + len(part)] = part
            place += len(part)
    del body[place:]
    return body


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


def _safetensors(path: Path, name: str | None, reading: Reading) -> Raw:
    must, do = "a safetensors file", "write it again with safetensors.torch.save_file"
    kind = "tensor of two dimensions or more"
    with failing(path, must, do), readable(path) as known, safe_open(known, framework="pt") as file:
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


# Version 3 differs from 2 in the encoding of field names alone, and a plain array has none.
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,
}
READERS: dict[str, Callable[[Path, str | None, Reading], Raw]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": read_text,
    ".tsv": read_text,
    ".parquet": read_parquet,
    ".safetensors": _safetensors,
}
TABLES = (".csv", ".tsv", ".parquet")
NAMED = (".npz", ".safetensors")
