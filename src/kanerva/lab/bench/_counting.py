"""The loop that every search among packed bits comes down to, alone: what the processor can do at most."""

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
    """Count the set bits of a 64-bit word with the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.call(
            builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)]), arguments
        )

    return types.int64(types.int64), generate


def _count(words: NDArray, query: int, times: int, total: NDArray) -> None:
    """Count the bits in which words that stay in the cache differ from one query after another."""
    for step in range(times):
        asked, found = query + step, 0
        for place in range(len(words)):
            found += _set_bits(words[place] ^ asked)  # type: ignore[call-arg]
        total[0] += found


count = numba.njit(nogil=True)(inspect.unwrap(_count))
