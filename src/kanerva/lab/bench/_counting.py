"""The inner loop of every search among packed bits, to measure the limit of the processor."""

import inspect
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["count"]


@intrinsic
def _set_bits(typing: Any, word: Any) -> Any:
    """Count the set bits of a 64-bit word with the instruction of the processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        population = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(population, arguments)

    return types.int64(types.int64), generate


def _count(words: NDArray, query: int, times: int, total: NDArray) -> None:
    """Sum the Hamming distances of words in the cache from ``times`` different queries."""
    for step in range(times):
        other, found = query + step, 0
        for place in range(len(words)):
            found += _set_bits(words[place] ^ other)  # type: ignore[call-arg]
        total[0] += found


count = numba.njit(nogil=True)(inspect.unwrap(_count))
