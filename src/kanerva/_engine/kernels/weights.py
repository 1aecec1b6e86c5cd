"""Kernels that turn scores of float32 into weights, compiled by numba: one pass over what stays in a core's cache.

The exponential and the logarithm are polynomials that vectorise, right to a rounding or two of float32.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from kanerva._engine.kernels.compile import compiled, inlined

F = np.float32
LOG2_E = F(1 / math.log(2))
# ln 2 in two parts: the first has so few bits that its products with whole numbers are exact.
LN2_HIGH = F(0.693359375)
LN2_LOW = F(math.log(2) - 0.693359375)
LOWEST = F(-87.0)
# Scores that are worked on together where a step for each follows the other.
STRIP = 256


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    """Take the bits of an int32 for a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def _as_bits(typing: Any, number: Any) -> Any:
    """Take a float32 for the int32 of its bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


@inlined
def _exp(x: Any) -> Any:
    """Raise e to a power <= 0: 2^k times the series of what is left, which is at most ln(2) / 2 away from 0."""
    y = max(x, LOWEST)
    k = np.floor(y * LOG2_E + F(0.5))
    r = y - k * LN2_HIGH - k * LN2_LOW
    p = F(1 / 5040)
    p = p * r + F(1 / 720)
    p = p * r + F(1 / 120)
    p = p * r + F(1 / 24)
    p = p * r + F(1 / 6)
    p = p * r + F(1 / 2)
    p = p * r + F(1)
    p = p * r + F(1)
    power = p * _as_float(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)))  # type: ignore[call-arg]
    return power if x >= LOWEST else F(0)


@compiled
def exponentials(logs: NDArray[Any], top: NDArray[Any], mass: NDArray[Any]) -> None:
    """Turn each row of logarithms into weights, up to the factor that makes the largest 1; tell the logarithm of that and the sum."""
    width = logs.shape[1]
    for row in range(len(logs)):
        line = logs[row]
        best = F(-np.inf)
        for place in range(width):
            best = max(best, line[place])
        top[row] = best
        if best == -np.inf:
            line[:] = F(0)
            mass[row] = F(0)
            continue
        total = F(0)
        for place in range(width):
            weight = _exp(line[place] - best)
            line[place] = weight
            total += weight
        mass[row] = total


@compiled
def look_up(scores: NDArray[Any], table: NDArray[Any]) -> int:
    """Turn agreements into what a table holds for them, in place; tell how many are no agreements."""
    count, strange = len(table), 0
    for row in range(len(scores)):
        line = scores[row]
        for place in range(len(line)):
            index = np.int32(np.rint(line[place]))
            inside = 0 <= index < count
            strange += not inside
            line[place] = table[index if inside else 0]
    return strange


@inlined
def _atanh(s: Any) -> Any:
    """Sum the series of twice the inverse hyperbolic tangent, for at most 0.18."""
    square = s * s
    p = F(2 / 11)
    p = p * square + F(2 / 9)
    p = p * square + F(2 / 7)
    p = p * square + F(2 / 5)
    p = p * square + F(2 / 3)
    p = p * square + F(2)
    return p * s


@inlined
def _log(y: Any) -> Any:
    """Take the natural logarithm of a positive number: of its power of two, and of what is left, between the roots of 1/2 and 2."""
    bits = _as_bits(y) - np.int32(0x3F3504F3)  # type: ignore[call-arg]  # less those of the root of 1/2
    k = bits >> np.int32(23)
    left = _as_float(_as_bits(y) - np.int32(k << np.int32(23)))
    return F(k) * LN2_HIGH + (F(k) * LN2_LOW + _atanh((left - F(1)) / (left + F(1))))


@compiled
def caps(
    scores: NDArray[Any],
    square: float,
    ratio: float,
    stretch: float,
    half: float,
    terms: NDArray[Any],
) -> int:
    """Turn cosines into the logarithms of what caps share, in place, -inf out of reach; tell how many are no cosines.

    It is the formula of ``separation.Cap``: a Chebyshev series of z, where sinh z is the tangent of half the angle, and a steep part.
    """
    strange, end, flat, most, few = (
        0,
        F(2 * square),
        F(1 / (ratio * ratio)),
        F(1 - 2.0**-23),
        F(1e-3),
    )
    wide, steepness, count = F(2 * stretch), F(half), len(terms)
    # A strip at a time, term by term: a loop over terms inside one over scores would not be vectorised.
    x, one, two, steep = (
        np.empty(STRIP, np.float32),
        np.empty(STRIP, np.float32),
        np.empty(STRIP, np.float32),
        np.empty(STRIP, np.float32),
    )
    for row in range(len(scores)):
        for start in range(0, scores.shape[1], STRIP):
            line = scores[row, start : start + STRIP]
            size = len(line)
            for place in range(size):
                gap = F(1) - line[place]
                strange += (gap < -few) | (gap > F(2) + few)
                near = min(max(gap, F(0)), end)
                tangent = near / (F(2) - near)
                x[place] = _log(
                    F(1) + (np.sqrt(tangent) + tangent / (F(1) + np.sqrt(F(1) + tangent)))
                ) * wide - F(1)
                done = min(tangent * flat, most)
                # Near 0 the logarithm of 1 - done is taken of done, which keeps its digits.
                small, large = _atanh(-done / (F(2) - done)), _log(F(1) - done)
                steep[place] = steepness * (small if done < F(0.25) else large)
                one[place], two[place] = F(0), F(0)
            for term in range(count - 1, 0, -1):
                factor = terms[term]
                for place in range(size):
                    before = one[place]
                    one[place] = (x[place] + x[place]) * before - two[place] + factor
                    two[place] = before
            for place in range(size):
                shared = x[place] * one[place] - two[place] + terms[0] + steep[place]
                line[place] = shared if F(1) - line[place] < end else F(-np.inf)
    return strange
