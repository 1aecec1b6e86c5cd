"""Kernels that work on packed bits: which locations are near, their counters, what bits are shared."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from kanerva._engine.kernels.compile import compiled, inlined

# Columns of marks, of 64 locations each, that are worked on for every query in turn: their counters stay in the cache.
BLOCK = 4
# Queries from which on it pays to lay locations out word by word.
MANY = 4


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


@inlined
def _apart(one: Any, other: Any) -> Any:
    """Count the bits in which two rows of words differ."""
    distance = 0
    for word in range(len(one)):
        distance += _count_bits(one[word] ^ other[word])  # type: ignore[call-arg]
    return distance


@inlined
def _turn(words: Any, first: Any, turned: Any) -> None:
    """Lay up to 64 rows of words out word by word: what is done to each is vectorised then, without a sum across."""
    for place in range(min(64, len(words) - first)):
        row = words[first + place]
        for word in range(len(row)):
            turned[word, place] = row[word]


@inlined
def _apart_all(turned: Any, query: Any, distance: Any) -> None:
    """Count the bits in which a query differs from each of 64 rows that lie word by word."""
    width = len(query)
    whole = width // 4 * 4
    distance[:] = 0
    # Four words at a time: counts go to and fro between memory and registers a quarter as often.
    for word in range(0, whole, 4):
        one, two, three, four = turned[word], turned[word + 1], turned[word + 2], turned[word + 3]
        first, second, third, fourth = (
            query[word],
            query[word + 1],
            query[word + 2],
            query[word + 3],
        )
        for place in range(64):
            half: Any = _count_bits(one[place] ^ first) + _count_bits(two[place] ^ second)  # type: ignore[call-arg]
            other = _count_bits(three[place] ^ third) + _count_bits(four[place] ^ fourth)
            distance[place] += half + other
    for word in range(whole, width):
        line, asked = turned[word], query[word]
        for place in range(64):
            distance[place] += _count_bits(line[place] ^ asked)  # type: ignore[call-arg]


@compiled
def mark(
    start: int,
    stop: int,
    words: NDArray[np.int64],
    asked: NDArray[np.int64],
    radius: int,
    marks: NDArray[np.int64],
) -> None:
    """Mark, in columns of ``marks``, the locations at most ``radius`` bits from each query."""
    count, width = words.shape
    if len(asked) < MANY:
        for row in range(len(asked)):
            query = asked[row]
            for column in range(start, stop):
                # Places that cannot be negative are found faster.
                first, bits = np.uint64(column * 64), 0
                for place in range(np.uint64(min(64, count - column * 64))):
                    bits |= (_apart(words[first + place], query) <= radius) << place
                marks[row, column] = bits
        return
    turned, distance = np.zeros((width, 64), np.int64), np.zeros(64, np.int64)
    for column in range(start, stop):
        _turn(words, column * 64, turned)
        for row in range(len(asked)):
            _apart_all(turned, asked[row], distance)
            bits = 0
            for place in range(np.uint64(min(64, count - column * 64))):
                bits |= (distance[place] <= radius) << place
            marks[row, column] = bits


@compiled
def gather(
    start: int, stop: int, marks: NDArray[np.int64], counters: NDArray[Any], total: NDArray[Any]
) -> None:
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


@compiled
def scatter(
    start: int, stop: int, marks: NDArray[np.int64], counters: NDArray[Any], values: NDArray[Any]
) -> None:
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


@compiled
def agreements(
    asked: NDArray[np.int64], words: NDArray[np.int64], bits: int, scores: NDArray[Any]
) -> None:
    """Count the bits that each query shares with each key."""
    count, width = words.shape
    if len(asked) < MANY:
        for row in range(len(asked)):
            query, scored = asked[row], scores[row]
            for place in range(count):
                scored[place] = bits - _apart(words[place], query)
        return
    turned, distance = np.zeros((width, 64), np.int64), np.zeros(64, np.int64)
    for first in range(0, count, 64):
        _turn(words, first, turned)
        for row in range(len(asked)):
            _apart_all(turned, asked[row], distance)
            scored = scores[row, first : first + 64]
            for place in range(len(scored)):
                scored[place] = bits - distance[place]


@compiled
def unpack(words: NDArray[np.int64], rows: NDArray[Any]) -> None:
    """Write packed bits out as -1/+1."""
    bits = rows.shape[1]
    for place in range(len(words)):
        row = rows[place]
        for word in range(words.shape[1]):
            packed, first = words[place, word], 64 * word
            for bit in range(min(64, bits - first)):
                row[first + bit] = 2 * ((packed >> bit) & 1) - 1
