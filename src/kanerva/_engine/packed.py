"""Find the hard locations near an address among packed bits, and sum or change their counters.

numba, where it is installed, and NumPy count the differing bits word by word; both return exactly
the integers of the plain torch route. PyTorch has no operation that counts bits. The active
locations are kept as marks, one bit for each location.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NoReturn

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from kanerva._core.errors import door, refuse
from kanerva._core.settings import settings
from kanerva._engine import threads
from kanerva.bits import Packed, signs

# Locations that NumPy compares at a time: they stay in the cache for all queries.
BLOCK = 8192
# Pairs of a query and a location below which several threads are slower than one.
FEW = 2**18


def scans(values: Shaped[Tensor, "m e"]) -> bool:
    """Return whether these kernels, rather than torch, read packed keys with such values."""
    if _on_gpu(values):
        return settings.engine in ("auto", "triton") and _triton().scans(values)
    if settings.engine == "torch" or values.device.type != "cpu":
        return False
    return not values.requires_grad and values.dtype not in (torch.float16, torch.bfloat16)


def gather(
    query: Float[Tensor, "b n"], keys: Packed, counters: Shaped[Tensor, "m e"], radius: int
) -> tuple[Float[Tensor, "b e"], Bool[Tensor, "b"]]:
    """Sum the counters of the locations within ``radius``; also return where there are none."""
    if _on_gpu(counters):
        return _triton().gather(query, keys, counters, radius)
    table = counters.numpy()
    exact = np.float64 if table.dtype.kind == "f" else np.int64
    total, empty = np.zeros((len(query), table.shape[1]), exact), np.ones(len(query), bool)
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
    """Add each value ``times`` to the counters within ``radius`` of its address, in place."""
    if _on_gpu(counters):
        _triton().scatter(query, values, keys, counters, radius, times)
        return
    table = counters.numpy()
    given = (times * values).to(counters.dtype).numpy()
    for rows, marks in _marked(query, keys, radius):
        # Each thread has its own locations, for all queries, so no two change the same counter.
        pairs = len(marks) * len(keys)
        _share(_kernels().scatter, marks.shape[1], pairs, marks, table, given[rows])


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
    """Mark the locations near the queries, as many queries at a time as the budget allows."""
    words, queries = keys.words.numpy(), signs(query).numpy()
    width = -(-len(words) // 64)
    size = max(1, settings.budget // (8 * max(1, width)))
    for start in range(0, len(queries), size):
        rows = slice(start, start + size)
        marks = np.zeros((len(queries[rows]), width), np.int64)
        pairs = len(marks) * len(words)
        _share(_kernels().mark, width, pairs, words, queries[rows], radius, marks)
        yield rows, marks


def _places(marks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of the locations that one query marks, in order."""
    # Most words mark nothing; these are left out first.
    words = np.flatnonzero(marks)
    octets = marks[words].view(np.uint8).reshape(-1, 8)
    places, bits = np.nonzero(np.unpackbits(octets, axis=1, bitorder="little"))
    return words[places] * 64 + bits


def _share(kernel: Callable[..., None], count: int, pairs: int, *arrays: Any) -> None:
    """Run a kernel on ``count`` rows or columns, in several threads where there are many pairs."""
    parts = threads.spans(count) if pairs >= FEW else [slice(0, count)]
    threads.share(lambda part: kernel(part.start, part.stop, *arrays), parts)


def _kernels() -> Any:
    """Return the kernels of ``settings.engine``; those of numba, if installed, for ``"auto"``."""
    return _NumPy if settings.engine == "numpy" else compiled() or _NumPy


def compiled() -> Any:
    """Return the kernels of numba, or None where it is not installed.

    The first call of a kernel compiles it, or loads it from the cache of numba.
    """
    kernels = _numba()
    if kernels is None and settings.engine == "numba":
        _missing("numba", 'install it with: pip install "kanerva[fast]"')
    return kernels


@cache
def _numba() -> Any:
    """Import the kernels of numba; None where it is not installed."""
    try:
        from kanerva._engine import kernels
    except ImportError:
        return None
    return kernels


def _on_gpu(tensor: Tensor) -> bool:
    """Return whether Triton takes a tensor: on a GPU, or where ``settings.engine`` names it."""
    return tensor.is_cuda or settings.engine == "triton"


def _triton() -> Any:
    """Import the kernels for a GPU."""
    from kanerva._engine import gpu as kernels

    if kernels.triton is None and settings.engine == "triton":
        _missing("triton", "install a build of torch for CUDA, or choose 'auto'")
    return kernels


@door("settings")
def _missing(engine: str, do: str) -> NoReturn:
    """Refuse an engine of the settings that is not installed."""
    refuse("engine", got=f"{engine!r}, which is not", must="one that is installed", do=do)


class _NumPy:
    """The kernels with NumPy alone."""

    @staticmethod
    def mark(
        start: int,
        stop: int,
        words: NDArray[Any],
        queries: NDArray[Any],
        radius: int,
        marks: NDArray[np.int64],
    ) -> None:
        """Mark the locations within ``radius`` in some columns of ``marks``."""
        # Of signed words NumPy would count the bits of the absolute value.
        words, queries = words.view(np.uint64), queries.view(np.uint64)
        width, octets = words.shape[1], marks.view(np.uint8)
        size = max(1, min(BLOCK, settings.budget // (20 * width)) // 64)
        wide = np.uint16 if width < 1024 else np.uint32
        for column in range(start, stop, size):
            # Transposed, because sums along a short last axis are several times slower.
            block = np.ascontiguousarray(words[column * 64 : min(column + size, stop) * 64].T)
            for row, query in enumerate(queries):
                distance = np.bitwise_count(block ^ query[:, None]).sum(0, dtype=wide)
                active = np.packbits(distance <= radius, bitorder="little")
                octets[row, column * 8 : column * 8 + len(active)] = active

    @staticmethod
    def gather(
        start: int, stop: int, marks: NDArray[np.int64], counters: NDArray[Any], total: NDArray[Any]
    ) -> None:
        """Add to each row of ``total`` the counters of the locations that it marks."""
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
        """Add each row of ``values`` to its marked counters in some columns of ``marks``."""
        for row, value in enumerate(values):
            for places in _NumPy._pieces(64 * start + _places(marks[row, start:stop]), counters):
                counters[places] += value

    @staticmethod
    def _pieces(places: NDArray[np.int64], counters: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
        """Cut places so that copies of their counters fit the budget, and mostly the cache."""
        size = max(1, min(1024, settings.budget // (16 * counters.shape[1])))
        return (places[start : start + size] for start in range(0, len(places), size))
