"""Find the hard locations near an address among packed bits, and sum or change their counters.

numba, where it is installed, and NumPy count differing bits word by word; both give the very integers that the plain torch
route gives. PyTorch itself has no instruction to count bits. Which locations are active is kept as marks, one bit a location.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva._core.settings import settings
from kanerva._engine import threads
from kanerva.bits import Packed, signs

# Locations that NumPy compares at a time: they stay in the cache over all queries.
BLOCK = 8192
# Pairs of a query and a location below which threads cost more than they bring.
FEW = 2**18


def scans(values: Shaped[Tensor, "m e"]) -> bool:
    """Tell whether packed bits that stand for ``values`` are searched here rather than by torch."""
    if _on_gpu(values):
        return settings.engine in ("auto", "triton") and _triton().scans(values)
    plain = (
        values.device.type == "cpu"
        and not values.requires_grad
        and values.dtype not in (torch.float16, torch.bfloat16)
    )
    return plain and settings.engine != "torch"


def gather(
    query: Float[Tensor, "b n"], keys: Packed, counters: Shaped[Tensor, "m e"], radius: int
) -> tuple[Float[Tensor, "b e"], Bool[Tensor, "b"]]:
    """Sum the counters of the locations within ``radius`` of each query; say where there are none."""
    if _on_gpu(counters):
        return _triton().gather(query, keys, counters, radius)
    table = counters.numpy()
    total = np.zeros(
        (len(query), table.shape[1]), np.float64 if table.dtype.kind == "f" else np.int64
    )
    empty = np.ones(len(query), bool)
    for rows, marks in _marked(query, keys, radius):
        _share(_kernels().gather, len(marks), len(marks) * len(keys), marks, table, total[rows])
        empty[rows] = ~marks.any(-1)
    wide = torch.promote_types(query.dtype, torch.float32)
    return torch.from_numpy(total).to(wide), torch.from_numpy(empty)


def scatter(
    query: Float[Tensor, "b n"],
    values: Shaped[Tensor, "b e"],
    keys: Packed,
    counters: Shaped[Tensor, "m e"],
    radius: int,
    times: int,
) -> None:
    """Add ``times`` each value to the counters of the locations within ``radius`` of its address, in place."""
    if _on_gpu(counters):
        _triton().scatter(query, values, keys, counters, radius, times)
        return
    table = counters.numpy()
    given = (times * values).to(counters.dtype).numpy()
    for rows, marks in _marked(query, keys, radius):
        # A thread takes some of the locations, with every query: no two threads change the same counter.
        _share(
            _kernels().scatter, marks.shape[1], len(marks) * len(keys), marks, table, given[rows]
        )


def near(
    query: Float[Tensor, "b n"], keys: Packed, radius: int
) -> Iterator[Int64[Tensor, "_active"]]:
    """Yield the locations within ``radius`` of each query, in order."""
    if _on_gpu(query):
        yield from _triton().near(query, keys, radius)
        return
    for _, marks in _marked(query, keys, radius):
        for row in marks:
            yield torch.from_numpy(_places(row))


def _marked(query: Tensor, keys: Packed, radius: int) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Mark the locations within ``radius`` of the queries, as many queries at a time as the budget allows."""
    words, asked = keys.words.numpy(), signs(query).numpy()
    width = -(-len(words) // 64)
    size = max(1, settings.budget // (8 * max(1, width)))
    for start in range(0, len(asked), size):
        rows = slice(start, start + size)
        marks = np.zeros((len(asked[rows]), width), np.int64)
        _share(_kernels().mark, width, len(marks) * len(words), words, asked[rows], radius, marks)
        yield rows, marks


def _places(marks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn the marks of one query into the places of the locations."""
    # Most words mark nothing, and are passed over whole.
    words = np.flatnonzero(marks)
    places, bits = np.nonzero(
        np.unpackbits(marks[words].view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
    )
    return words[places] * 64 + bits


def _share(kernel: Callable[..., None], count: int, pairs: int, *arrays: Any) -> None:
    """Run a kernel on ``count`` rows or columns, cut among as many threads as torch uses where the work is worth it."""
    parts = threads.spans(count) if pairs >= FEW else [slice(0, count)]
    threads.share(lambda part: kernel(part.start, part.stop, *arrays), parts)


def _kernels() -> Any:
    """Choose the kernels: numba's where it is installed, unless told otherwise."""
    return _NumPy if settings.engine == "numpy" else compiled() or _NumPy


def compiled() -> Any:
    """Return the compiled kernels, or None where numba is not installed; the first call of each compiles it, or finds it in a cache."""
    kernels = _numba()
    if kernels is None and settings.engine == "numba":
        do = 'install it with: pip install "kanerva[fast]"'
        refuse("engine", must="one that is installed", got="'numba', which is not", do=do)
    return kernels


@cache
def _numba() -> Any:
    """Load the compiled kernels, where they can be."""
    try:
        from kanerva._engine import kernels
    except ImportError:
        return None
    return kernels


def _on_gpu(tensor: Tensor) -> bool:
    """Tell whether Triton's kernels are to take a tensor: one on a GPU, or any where they are asked for by name."""
    return tensor.is_cuda or settings.engine == "triton"


def _triton() -> Any:
    """Load the kernels for a GPU."""
    from kanerva._engine import gpu as kernels

    if kernels.triton is None and settings.engine == "triton":
        do = "install a build of torch for CUDA, or choose 'auto'"
        refuse("engine", must="one that is installed", got="'triton', which is not", do=do)
    return kernels


class _NumPy:
    """The kernels on NumPy alone."""

    @staticmethod
    def mark(
        start: int,
        stop: int,
        words: NDArray[Any],
        asked: NDArray[Any],
        radius: int,
        marks: NDArray[np.int64],
    ) -> None:
        """Mark, in columns of ``marks``, the locations at most ``radius`` bits from each query."""
        # NumPy counts the bits of the absolute value of signed words.
        words, asked = words.view(np.uint64), asked.view(np.uint64)
        width, octets = words.shape[1], marks.view(np.uint8)
        size = max(1, min(BLOCK, settings.budget // (20 * width)) // 64)
        wide = np.uint16 if width < 1024 else np.uint32
        for column in range(start, stop, size):
            # Word by word over many locations: sums along a short last axis are several times slower.
            block = np.ascontiguousarray(words[column * 64 : min(column + size, stop) * 64].T)
            for row, query in enumerate(asked):
                distance = np.bitwise_count(block ^ query[:, None]).sum(0, dtype=wide)
                active = np.packbits(distance <= radius, bitorder="little")
                octets[row, column * 8 : column * 8 + len(active)] = active

    @staticmethod
    def gather(
        start: int, stop: int, marks: NDArray[np.int64], counters: NDArray[Any], total: NDArray[Any]
    ) -> None:
        """Add to rows of ``total`` the counters of the locations marked there."""
        for row in range(start, stop):
            for places in _NumPy._pieces(_places(marks[row]), counters):
                total[row] += counters[places].sum(0, dtype=total.dtype)

    @staticmethod
    def scatter(
        start: int,
        stop: int,
        marks: NDArray[np.int64],
        counters: NDArray[Any],
        values: NDArray[Any],
    ) -> None:
        """Add each row of ``values`` to the counters of the locations marked for it in columns of ``marks``."""
        for row, value in enumerate(values):
            for places in _NumPy._pieces(64 * start + _places(marks[row, start:stop]), counters):
                counters[places] += value

    @staticmethod
    def _pieces(places: NDArray[np.int64], counters: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
        """Cut places so that copies of their counters stay within the budget, and mostly the cache."""
        size = max(1, min(1024, settings.budget // (16 * counters.shape[1])))
        return (places[start : start + size] for start in range(0, len(places), size))
