"""Logarithms of binomial coefficients, sums and differences, without overflow or underflow."""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64


def binomial(
    bits: int, n: Int64[np.ndarray, "*shape"] | int, k: Int64[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """Return ln(C(n, k) / 2^n) for 0 <= k <= n <= ``bits``.

    The large parts k ln k of the three factorials are combined before they are computed, as the
    entropy of k / n. The remaining numbers are as small as the result. A difference of log-gammas
    would have an error of about n ln n parts in 10^16.
    """
    rest, left = _factorial_rest(bits), n - k
    whole = np.maximum(n, 1)
    chosen = k * np.log(2 * np.maximum(k, 1) / whole)
    others = left * np.log(2 * np.maximum(left, 1) / whole)
    return rest[n] - rest[k] - rest[left] - (chosen + others)


@lru_cache(maxsize=256)
def probability(bits: int, low: int, high: int) -> float:
    """Return ln P(low <= X <= high) for X the number of heads among ``bits`` fair coins."""
    inside = total(binomial(bits, bits, np.arange(low, high + 1)))
    if inside < -math.log(2):
        return inside
    others = np.concatenate([np.arange(low), np.arange(high + 1, bits + 1)])
    return math.log1p(-math.exp(total(binomial(bits, bits, others))))


def total(terms: Float64[np.ndarray, "terms"]) -> float:
    """Return the logarithm of a sum from the logarithms of its terms."""
    peak = terms.max(initial=-math.inf)
    return float(peak + np.log(np.exp(terms - peak).sum())) if peak > -math.inf else -math.inf


def difference(
    large: Float64[np.ndarray, "*shape"] | float, small: Float64[np.ndarray, "*shape"] | float
) -> Float64[np.ndarray, "*shape"]:
    """Return ln(e^large - e^small) for large >= small; ``-inf`` where they are equal."""
    large, small = np.asarray(large, float), np.asarray(small, float)
    with np.errstate(invalid="ignore", divide="ignore"):  # both are -inf, or they are equal
        gap = small - large
        rest = np.where(gap < -math.log(2), np.log1p(-np.exp(gap)), np.log(-np.expm1(gap)))
        return np.where(large > small, large + rest, -np.inf)


@lru_cache(maxsize=16)
def _factorial_rest(bits: int) -> Float64[np.ndarray, "counts"]:
    """Return ln k! - k ln k + k for k = 0..bits, by Stirling's series; below k = 16 directly."""
    k = np.maximum(np.arange(bits + 1.0), 16)
    square = k * k
    series = 1 / 1680 - 1 / 1188 / square
    for coefficient in (1 / 1260, 1 / 360, 1 / 12):
        series = coefficient - series / square
    rest = 0.5 * np.log(2 * math.pi * k) + series / k
    few = range(min(16, bits + 1))
    rest[: len(few)] = [math.log(math.factorial(k)) - k * math.log(max(k, 1)) + k for k in few]
    return rest
