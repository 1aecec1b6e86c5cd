"""Kernels for packed bits: locations near a query, their counters, and counts of equal bits.

Marks are bits, one for each location: word c of a query marks the locations 64 c to 64 c + 63.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from kanerva._engine.kernels.compile import compiled, inlined

# Columns of marks, of 64 locations each, that are processed for all queries together, so that their
# counters stay in the cache.
BLOCK = 4
# The least number of queries for which locations are transposed.
MANY = 4


@intrinsic
def _count_bits(typing: Any, word: Any) -> Any:
    """Count the set bits of a 64-bit word by the instruction of the processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(function, arguments)

    return types.int64(types.int64), generate


@intrinsic
def _lowest(typing: Any, word: Any) -> Any:
    """Return the place of the lowest set bit of a 64-bit word that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64), ir.IntType(1)])
        function = builder.module.declare_intrinsic("llvm.cttz", [ir.IntType(64)], kind)
        return builder.call(function, [arguments[0], ir.Constant(ir.IntType(1), 1)])

    return types.int64(types.int64), generate


@inlined
def _distance(one: Any, other: Any) -> Any:
    """Count the bits in which two rows of words differ."""
    distance = 0
    for word in range(len(one)):
        distance += _count_bits(one[word] ^ other[word])  # type: ignore[call-arg]
    return distance


@inlined
def _transpose(words: Any, first: Any, lines: Any) -> None:
    """Write up to 64 rows of words as columns of ``lines``: loops over rows are then vectorised."""
    for place in range(min(64, len(words) - first)):
        row = words[first + place]
        for word in range(len(row)):
            lines[word, place] = row[word]


@inlined
def _distances(lines: Any, query: Any, distance: Any) -> None:
    """Count the bits in which a query differs from each of 64 transposed rows."""
    width = len(query)
    whole = width // 4 * 4
    distance[:] = 0
    # Four words at a time: the counts are loaded and stored a quarter as often.
    for word in range(0, whole, 4):
        one, two, three, four = lines[word], lines[word + 1], lines[word + 2], lines[word + 3]
        first, second = query[word], query[word + 1]
        third, fourth = query[word + 2], query[word + 3]
        for place in range(64):
            half: Any = _count_bits(one[place] ^ first)  # type: ignore[call-arg]
            half += _count_bits(two[place] ^ second)
            other: Any = _count_bits(three[place] ^ third)
            other += _count_bits(four[place] ^ fourth)
            distance[place] += half + other
    for word in range(whole, width):
        line, own = lines[word], query[word]
        for place in range(64):
            distance[place] += _count_bits(line[place] ^ own)  # type: ignore[call-arg]


@compiled
def mark(
    start: int,
    stop: int,
    words: NDArray[np.int64],
    queries: NDArray[np.int64],
    radius: int,
    marks: NDArray[np.int64],
) -> None:
    """Mark the locations within ``radius`` in the columns ``start`` to ``stop`` of ``marks``."""
    count, width = words.shape
    if len(queries) < MANY:
        for row in range(len(queries)):
            query = queries[row]
            for column in range(start, stop):
                # Indices that cannot be negative are resolved faster.
                first, bits = np.uint64(column * 64), 0
                for place in range(np.uint64(min(64, count - column * 64))):
                    bits |= (_distance(words[first + place], query) <= radius) << place
                marks[row, column] = bits
        return
    lines, distance = np.zeros((width, 64), np.int64), np.zeros(64, np.int64)
    for column in range(start, stop):
        _transpose(words, column * 64, lines)
        for row in range(len(queries)):
            _distances(lines, queries[row], distance)
            bits = 0
            for place in range(np.uint64(min(64, count - column * 64))):
                bits |= (distance[place] <= radius) << place
            marks[row, column] = bits


@compiled
def gather(
    start: int, stop: int, marks: NDArray[np.int64], counters: NDArray[Any], total: NDArray[Any]
) -> None:
    """Add to each row of ``total`` the counters of the locations that it marks."""
    for row in range(start, stop):
        sums = total[row]
        for column in range(marks.shape[1]):
            bits = marks[row, column]
            while bits != 0:
                # The row is taken first: indexing row and column at once is not vectorised.
                counter = counters[column * 64 + _lowest(bits)]  # type: ignore[call-arg]
                for place in range(len(sums)):
                    sums[place] += counter[place]
                bits &= bits - 1


@compiled
def scatter(
    start: int, stop: int, marks: NDArray[np.int64], counters: NDArray[Any], values: NDArray[Any]
) -> None:
    """Add each row of ``values`` to its marked counters in the columns ``start`` to ``stop``."""
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
    queries: NDArray[np.int64], words: NDArray[np.int64], bits: int, scores: NDArray[Any]
) -> None:
    """Count the bits in which each query agrees with each key."""
    count, width = words.shape
    if len(queries) < MANY:
        for row in range(len(queries)):
            query, scored = queries[row], scores[row]
            for place in range(count):
                scored[place] = bits - _distance(words[place], query)
        return
    lines, distance = np.zeros((width, 64), np.int64), np.zeros(64, np.int64)
    for first in range(0, count, 64):
        _transpose(words, first, lines)
        for row in range(len(queries)):
            _distances(lines, queries[row], distance)
            scored = scores[row, first : first + 64]
            for place in range(len(scored)):
                scored[place] = bits - distance[place]


@compiled
def unpack(words: NDArray[np.int64], rows: NDArray[Any]) -> None:
    """Write packed bits as -1/+1."""
    bits = rows.shape[1]
    for place in range(len(words)):
        row = rows[place]
        for word in range(words.shape[1]):
            packed, first = words[place, word], 64 * word
            for bit in range(min(64, bits - first)):
                row[first + bit] = 2 * ((packed >> bit) & 1) - 1
