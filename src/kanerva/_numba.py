"""The kernels of ``_engine``, compiled by numba. Each does a part of the work, so that threads can share it."""

import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

# Columns of marks, of 64 locations each, that are made for every query in turn: their words stay in the cache.
BLOCK = 4


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function as it was written, whatever has been wrapped around it (such as run-time type checks)."""
    plain = inspect.unwrap(function)
    try:
        return numba.njit(cache=True, nogil=True)(plain)
    except RuntimeError:  # no folder to keep it in
        return numba.njit(nogil=True)(plain)


@intrinsic
def _count_bits(typing: Any, word: Any) -> Any:
    """Count the set bits of a 64-bit word with the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(function, arguments)

    return types.int64(types.int64), generate


@intrinsic
def _lowest(typing: Any, word: Any) -> Any:
    """Find the place of the lowest set bit of a 64-bit word that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64), ir.IntType(1)])
        function = builder.module.declare_intrinsic("llvm.cttz", [ir.IntType(64)], kind)
        return builder.call(function, [arguments[0], ir.Constant(ir.IntType(1), 1)])

    return types.int64(types.int64), generate


@_compiled
def mark(start: int, stop: int, words: NDArray[np.int64], asked: NDArray[np.int64], radius: int, marks: NDArray[np.int64]) -> None:
    """Mark, in columns of ``marks``, the locations at most ``radius`` bits from each query."""
    count, width = words.shape
    for block in range(start, stop, BLOCK):
        for row in range(len(asked)):
            query = asked[row]
            for column in range(block, min(block + BLOCK, stop)):
                # Places that cannot be negative are found faster.
                first, bits = np.uint64(column * 64), 0
                for place in range(np.uint64(min(64, count - column * 64))):
                    location = words[first + place]
                    distance = 0
                    for word in range(width):
                        distance += _count_bits(location[word] ^ query[word])  # type: ignore[call-arg]
                    bits |= (distance <= radius) << place
                marks[row, column] = bits


@_compiled
def gather(start: int, stop: int, marks: NDArray[np.int64], counters: NDArray[Any], total: NDArray[Any]) -> None:
    """Add to rows of ``total`` the counters of the locations marked there."""
    for row in range(start, stop):
        sums = total[row]
        for column in range(marks.shape[1]):
            bits = marks[row, column]
            while bits != 0:
                # The row is taken first: indexing both places at once is not vectorised.
                counter = counters[column * 64 + _lowest(bits)]  # type: ignore[call-arg]
                for place in range(len(sums)):
                    sums[place] += counter[place]
                bits &= bits - 1


@_compiled
def scatter(start: int, stop: int, marks: NDArray[np.int64], counters: NDArray[Any], values: NDArray[Any]) -> None:
    """Add each row of ``values`` to the counters of the locations marked for it in columns of ``marks``."""
    for block in range(start, stop, BLOCK):
        for row in range(len(marks)):
            value = values[row]
            for column in range(block, min(block + BLOCK, stop)):
                bits = marks[row, column]
                while bits != 0:
                    counter = counters[column * 64 + _lowest(bits)]  # type: ignore[call-arg]
                    for place in range(len(value)):
                        counter[place] += value[place]
                    bits &= bits - 1
