"""What a model is called with: random pictures or texts of a seed, or those of a file."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import InputFileError, refuse
from kanerva.lab.probing._arguments import longest, marks, picture, size
from kanerva.lab.probing._model import Subject

__all__ = ["Inputs", "arguments", "given", "parts"]

SAMPLES, TOKENS = 16, 32
# Samples in one call of the model.
BATCH = 16
MOST = 100_000


class Inputs(NamedTuple):
    """What a model is called with.

    * ``rows``: pictures ``(b, c, h, w)``, or ids of tokens ``(b, n)``.
    * ``note``: where they are from.
    """

    rows: Tensor
    note: str


def given(
    subject: Subject, path: Any, samples: int | None, tokens: int | None, source: torch.Generator
) -> Inputs:
    """Return the inputs of a study.

    Args:
        subject: the model.
        path: of a ``.npy`` file; None for random inputs.
        samples: how many; None for 16 random ones, or all of the file.
        tokens: of each random text; None for 32, or as many as the model takes.
        source: of random inputs.
    """
    if samples is not None:
        samples = checks.integer("samples", samples, 2, MOST)
    if tokens is not None:
        tokens = checks.integer("tokens", tokens, 1, 10**9)
        for unfit, got, do in (
            (path is not None, "given beside inputs", "they have a length already"),
            (picture(subject.model), "given for a model of pictures", "it takes no texts"),
        ):
            if unfit:
                must = "left out here"
                refuse("tokens", got=f"{tokens:,}, {got}", must=must, do=f"leave it out: {do}")
    if path is not None:
        return _read(subject, checks.path(path, "inputs"), samples)
    count = samples or SAMPLES
    if picture(subject.model):
        shape = (count, *size(subject.model))
        rows = torch.randn(shape, generator=source)
        by = " × ".join(map(str, shape[1:]))
        return Inputs(rows, f"The inputs are {count} pictures of {by} random normal numbers.")
    limit = longest(subject.model)
    length = tokens or (TOKENS if limit is None else min(TOKENS, limit))
    if limit is not None and length > limit:
        must = f"at most {limit:,}, the positions of {type(subject.model).__name__}"
        refuse("tokens", got=f"{length:,}", must=must, do="give fewer")
    words, structure = marks(subject.model)
    free = torch.tensor([one for one in range(words) if one not in structure] or [0])
    rows = free[torch.randint(len(free), (count, length), generator=source)]
    return Inputs(rows, f"The inputs are {count} texts of {length} random tokens.")


def arguments(subject: Subject, rows: Tensor) -> dict[str, Any]:
    """Return the arguments of a call of the model with some of the inputs."""
    model = subject.model
    if picture(model):
        found: dict[str, Any] = {"pixel_values": rows.to(model.dtype)}
    else:
        found = {"input_ids": rows}
        if getattr(model.config, "is_encoder_decoder", False):
            found["decoder_input_ids"] = rows.clone()
    if subject.mode is None:
        return found
    return {name: subject.mode.from_tensor(one) for name, one in found.items()}


def parts(rows: Tensor) -> list[Tensor]:
    """Return the inputs of each call of the model."""
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def _read(subject: Subject, path: Path, samples: int | None) -> Inputs:
    """Read pictures or ids of tokens from a file, as many as are asked for."""
    must = "a .npy file with one array of numbers"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        got = f"{str(path)!r} ({type(error).__name__})"
        refuse("inputs", got=got, must=must, do="write it with numpy.save", error=InputFileError)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        got = f"{str(path)!r}, which holds something else"
        refuse("inputs", got=got, must=must, do="write it with numpy.save", error=InputFileError)
    _check_shape(subject, path, array, samples)
    rows = torch.from_numpy(np.array(array[:samples]).astype(_kind(array)))
    _check_numbers(subject, path, rows)
    what = "pictures" if picture(subject.model) else "texts"
    return Inputs(rows, f"The inputs are {len(rows):,} {what} of {path.name}.")


def _kind(array: NDArray[Any]) -> Any:
    return np.float32 if array.dtype.kind == "f" else np.int64


def _check_shape(subject: Subject, path: Path, array: NDArray[Any], samples: int | None) -> None:
    """Refuse an array of another shape, or of fewer rows than are asked for."""
    model = subject.model
    if picture(model):
        channels, high, wide = size(model)
        fits = array.ndim == 4 and array.shape[1] == channels and array.dtype.kind == "f"
        must = f"pictures as floating numbers of shape (samples, {channels}, height, width)"
        do = f"save an array such as of shape (16, {channels}, {high}, {wide}), scaled as in use"
    else:
        fits = array.ndim == 2 and array.dtype.kind in "iu"
        must = "ids of tokens, integers of shape (samples, tokens)"
        do = "save what a tokenizer returns as input_ids, padded to one length"
    if not fits or not array.size:
        got = f"{array.dtype} of shape {array.shape} in {path.name!r}"
        refuse("inputs", got=got, must=must, do=do)
    if len(array) < (samples or 2):
        got = f"{len(array):,} in {path.name!r}"
        refuse("inputs", got=got, must=f"{samples or 2:,} samples or more", do="give more of them")
    limit = None if picture(model) else longest(model)
    if limit is not None and array.shape[1] > limit:
        got = f"texts of {array.shape[1]:,} tokens"
        must = f"of at most {limit:,}, the positions of {type(model).__name__}"
        refuse("inputs", got=got, must=must, do="cut them")


def _check_numbers(subject: Subject, path: Path, rows: Tensor) -> None:
    """Refuse numbers that are not finite, and ids beyond the vocabulary."""
    if rows.is_floating_point():
        if not bool(rows.isfinite().all()):
            got = f"with NaN or infinite numbers in {path.name!r}"
            refuse("inputs", got=got, must="finite in float32", do="drop or fill them first")
        return
    words, _ = marks(subject.model)
    low, high = int(rows.min()), int(rows.max())
    if low < 0 or high >= words:
        got = f"from {low:,} to {high:,} in {path.name!r}"
        must = f"ids of tokens from 0 to {words - 1:,}"
        refuse("inputs", got=got, must=must, do="use the tokenizer of this model")
