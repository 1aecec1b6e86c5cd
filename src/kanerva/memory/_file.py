"""What a file tells of a memory, checked against its tensors before anything is built."""

from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import describe, refuse

Shape = tuple[int | None, ...]


class Record:
    """The header of a file and its tensors.

    Args:
        header: as ``json`` reads it.
        tensors: by name.
    """

    def __init__(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.header, self.tensors = header, tensors

    def has(self, name: str) -> bool:
        """Return whether the header has an entry."""
        return name in self.header

    def value(self, name: str) -> Any:
        """Return an entry of the header, or None."""
        return self.header.get(name)

    def size(self, name: str) -> int:
        """Return a length."""
        again = "save the memory again"
        return checks.integer(f"{name} of the file", self.value(name), 1, checks.LONGEST, again)

    def dtype(self, name: str, known: tuple[torch.dtype, ...]) -> torch.dtype:
        """Return the dtype that an entry names, among known ones."""
        return _dtype(self.value(name), known)

    def tensor(self, name: str, shape: Shape, dtype: torch.dtype | None = None) -> Tensor:
        """Return one tensor, of the shape and dtype that it must have."""
        tensor = self.tensors.get(name)
        if tensor is None:
            unsound(f"it has no tensor {name!r}")
        sizes = tuple(tensor.shape)
        fits = len(sizes) == len(shape) and all(
            want in (None, size) for want, size in zip(shape, sizes, strict=True)
        )
        if not fits:
            unsound(f"its tensor {name!r} has shape {sizes}")
        if tensor.dtype != dtype and (dtype is not None or tensor.dtype not in arrays.FLOATS):
            unsound(f"its tensor {name!r} is {tensor.dtype}")
        return tensor

    def rows(self) -> dict[str, tuple[tuple[int, ...], torch.dtype | None, float | None]]:
        """Return shape, dtype and default of the further rows."""
        record = self.value("rows") or {}
        if not isinstance(record, dict) or not all(_is_row(row) for row in record.values()):
            unsound(f"its rows are {describe(record)}")
        kinds = tuple(arrays.PLAIN)
        return {
            name: (tuple(shape), None if dtype is None else _dtype(dtype, kinds), default)
            for name, (shape, dtype, default) in record.items()
        }


def unsound(why: str) -> NoReturn:
    """Refuse a file whose header does not fit its tensors."""
    got = f"inconsistent: {why}"
    refuse("path", got=got, must="a sound file", do="save the memory again")


def _dtype(name: Any, known: tuple[torch.dtype, ...]) -> torch.dtype:
    named = {str(dtype).removeprefix("torch."): dtype for dtype in known}
    if not isinstance(name, str) or name not in named:
        unsound(f"it names the dtype {describe(name)}")
    return named[name]


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 3 and isinstance(row[0], list)
