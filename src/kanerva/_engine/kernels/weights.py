"""Kernels that turn scores of float32 into weights, in place, on arrays that stay in the cache.

The exponential and the logarithm are polynomials, which vectorise; their errors are one or two
roundings of float32.
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
# ln 2 in two parts: the first has few bits, so its products with small whole numbers are exact.
LN2_HIGH = F(0.693359375)
LN2_LOW = F(math.log(2) - 0.693359375)
LOWEST = F(-87.0)
# Scores that are processed together where several loops over them follow one another.
STRIP = 256


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    """Reinterpret the bits of an int32 as a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def _as_bits(typing: Any, number: Any) -> Any:
    """Reinterpret a float32 as the int32 of its bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


@inlined
def _exp(x: Any) -> Any:
    """Compute e^x for x <= 0: 2^k times a series in the remainder, at most ln(2) / 2 in size."""
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
    bits = np.int32((np.int32(k) + np.int32(127)) << np.int32(23))
    power = p * _as_float(bits)  # type: ignore[call-arg]
    return power if x >= LOWEST else F(0)


@compiled
def exponentials(logs: NDArray[Any], top: NDArray[Any], mass: NDArray[Any]) -> None:
    """Turn each row of logarithms into weights whose largest is 1.

    ``top`` gets the largest logarithm of each row, ``mass`` the sum of its weights.
    """
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
    """Replace agreements by the entries of a table; return how many are not in its range."""
    count, outside = len(table), 0
    for row in range(len(scores)):
        line = scores[row]
        for place in range(len(line)):
            index = np.int32(np.rint(line[place]))
            inside = 0 <= index < count
            outside += not inside
            line[place] = table[index if inside else 0]
    return outside


@inlined
def _atanh(s: Any) -> Any:
    """Compute twice the inverse hyperbolic tangent by its series, for |s| <= 0.18."""
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
    """Compute the logarithm of y > 0 = 2^k x, with x between the square roots of 1/2 and 2."""
    # 0x3F3504F3 are the bits of the square root of 1/2.
    bits = _as_bits(y) - np.int32(0x3F3504F3)  # type: ignore[call-arg]
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
    """Replace cosines by the logarithm of the share of two caps; return how many are no cosines.

    This is the formula of ``separation.Cap``: a Chebyshev series in z, where sinh z is the tangent
    of half the angle, and a steep part; -inf out of reach.
    """
    end, flat, most = F(2 * square), F(1 / (ratio * ratio)), F(1 - 2.0**-23)
    wide, steepness, slack = F(2 * stretch), F(half), F(1e-3)
    outside, count = 0, len(terms)
    # The loop over terms is outside the one over a strip of scores, so that the latter vectorises.
    x, steep = np.empty(STRIP, np.float32), np.empty(STRIP, np.float32)
    one, two = np.empty(STRIP, np.float32), np.empty(STRIP, np.float32)
    for row in range(len(scores)):
        for start in range(0, scores.shape[1], STRIP):
            line = scores[row, start : start + STRIP]
            size = len(line)
            for place in range(size):
                gap = F(1) - line[place]
                outside += (gap < -slack) | (gap > F(2) + slack)
                near = min(max(gap, F(0)), end)
                tangent = near / (F(2) - near)
                root = np.sqrt(tangent) + tangent / (F(1) + np.sqrt(F(1) + tangent))
                x[place] = _log(F(1) + root) * wide - F(1)
                done = min(tangent * flat, most)
                # For small values a series in ``done`` itself keeps the digits of log(1 - done).
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
    return outside
