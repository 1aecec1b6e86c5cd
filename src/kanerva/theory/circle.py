"""Count the points that two circles in the space of bits have in common.

The space is {0, 1}^n, distance is the number of bits that differ, and a circle is every point within a radius of its
centre. Sparse distributed memory weighs a stored pattern by the points that its circle shares with the query's.

Moving one centre by one bit, from distance e to e + 1, takes a single term away:

    I(e) - I(e + 1) = C(e, i) C(n - 1 - e, j),    i = (e + a - b) / 2,    j = (a + b - e) / 2,

with radii a and b, and nothing where i or j is not a whole number or is out of range. So the whole curve is one sum,
taken downward from I(n), where the centres are opposite and I(n) = C(n, n - b) + ... + C(n, a). Every term is
positive, so no digits cancel. It is done in Python integers where counts are asked for, and in logarithms, which
neither overflow nor vanish, where shares of the space are.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

from kanerva import _guard

__all__ = ["activation", "ball", "intersection", "log_activation", "log_fraction", "overlap"]


def intersection(bits: int, radius: int, other: int | None = None) -> list[int]:
    """Count the points within both of two circles, exactly, for every distance between their centres.

    Args:
        bits: dimension n of the space, >= 1.
        radius: of the first circle, 0 to ``bits``.
        other: radius of the second circle, 0 to ``bits``; the same as ``radius`` if left out.

    Returns:
        ``bits + 1`` integers; entry ``d`` is the count at distance ``d``. With equal radii it is
        ``ball(bits, radius)`` at 0, the same at ``2k - 1`` as at ``2k``, and 0 beyond ``2 * radius``.

    Raises:
        InputError: a radius lies outside 0 to ``bits``.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.intersection(4, 1)
        [5, 2, 2, 0, 0]
        >>> circle.intersection(64, 11)[:3]
        [927740240713, 311949983890, 311949983890]

    Source:
        Kanerva (1988), Sparse Distributed Memory, appendix B, with a sum over distances; here one term a distance.
    """
    return list(_counts(*_arguments("circle.intersection", bits, radius, other)))


def ball(bits: int, radius: int) -> int:
    """Count the points within a radius of one point: C(n, 0) + ... + C(n, radius).

    Args:
        bits: dimension n of the space, >= 1.
        radius: 0 to ``bits``.

    Returns:
        the count, exactly; ``2**bits`` where ``radius`` is ``bits``.

    Raises:
        InputError: the radius lies outside 0 to ``bits``.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.ball(64, 5)
        8303633
    """
    bits, radius, _ = _arguments("circle.ball", bits, radius, None)
    return _ball(bits, radius)


def log_fraction(bits: int, radius: int, other: int | None = None) -> Float64[np.ndarray, "distances"]:
    """Measure the share of the space within both of two circles: ln(I(d) / 2^n) for every distance d.

    Args:
        bits: dimension n of the space, >= 1.
        radius: of the first circle, 0 to ``bits``.
        other: radius of the second circle, 0 to ``bits``; the same as ``radius`` if left out.

    Returns:
        ``(bits + 1,)`` natural logarithms, float64, within 1e-11 of the exact ones up to 10,000 bits; ``-inf`` where
        the circles do not meet, and only there. The array is yours to change.

    Raises:
        InputError: a radius lies outside 0 to ``bits``.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.log_fraction(1000, 451)[[0, 100, 902, 903]].round(6)
        array([ -6.838369,  -8.160111, -71.556799,       -inf])

    Source:
        Kanerva (1988), appendix B; logarithms of binomials after Loader (2000), Fast and accurate computation of
        binomial probabilities.
    """
    return _logs(*_arguments("circle.log_fraction", bits, radius, other)).copy()


def log_activation(bits: int, radius: int) -> float:
    """Return ln p, where p is the share of the space within a radius of a point.

    Args:
        bits: dimension n of the space, >= 1.
        radius: 0 to ``bits``.

    Returns:
        a natural logarithm, 0 or less, within 1e-11 up to 10,000 bits.

    Raises:
        InputError: the radius lies outside 0 to ``bits``.

    Example:
        >>> from kanerva.theory import circle
        >>> round(circle.log_activation(10_000, 0) / 10_000, 6)
        -0.693147
    """
    bits, radius, _ = _arguments("circle.log_activation", bits, radius, None)
    return _log_probability(bits, 0, radius)


def activation(bits: int, radius: int) -> float:
    """Return p, the share of the space within a radius of a point: the share of random locations that a query activates.

    Args:
        bits: dimension n of the space, >= 1.
        radius: 0 to ``bits``.

    Returns:
        a number from 0 to 1. Below 1e-308 it loses digits and then becomes 0; ``log_activation`` does not.

    Raises:
        InputError: the radius lies outside 0 to ``bits``.

    Example:
        >>> from kanerva.theory import circle
        >>> round(circle.activation(1000, 451), 8)
        0.00107185

    Source:
        Kanerva (1988), Sparse Distributed Memory: 1000 bits, radius 451, about a thousandth.
    """
    bits, radius, _ = _arguments("circle.activation", bits, radius, None)
    return math.exp(_log_probability(bits, 0, radius))


def overlap(bits: int, radius: int, locations: int | float) -> Float64[np.ndarray, "distances"]:
    """Count the random locations that two circles are expected to share: locations * I(d) / 2^n.

    Args:
        bits: dimension n of the space, >= 1.
        radius: of both circles, 0 to ``bits``.
        locations: how many locations are spread evenly over the space, > 0.

    Returns:
        ``(bits + 1,)`` means, float64; entry ``d`` is for centres ``d`` bits apart.

    Raises:
        InputError: the radius lies outside 0 to ``bits``, or ``locations`` is not finite and above 0.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.overlap(1000, 451, 1_000_000)[[0, 100, 500]].round(3)
        array([1071.85 ,  285.831,    1.101])

    Source:
        Kanerva (1988), table of the locations shared by two circles; here without its normal approximation.
    """
    arguments = _arguments("circle.overlap", bits, radius, None)
    count = _guard.number("circle.overlap", "locations", locations, 0.0, open_low=True)
    return np.exp(_logs(*arguments) + math.log(count))


def _arguments(function: str, bits: int, radius: int, other: int | None) -> tuple[int, int, int]:
    """Check the arguments and put the smaller radius first, which changes no count."""
    bits = _guard.integer(function, "bits", bits, 1, _guard.BITS)
    radius = _guard.integer(function, "radius", radius, 0, bits)
    other = radius if other is None else _guard.integer(function, "other", other, 0, bits)
    return bits, min(radius, other), max(radius, other)


def _steps(bits: int, small: int, large: int) -> range:
    """Return the distances e at which I(e) is more than I(e + 1)."""
    both = small + large
    return range(large - small, min(both, 2 * (bits - 1) - both) + 1, 2)


def _place(bits: int, steps: range) -> Int64[np.ndarray, "distances"]:
    """Say how many of the steps lie at or beyond each distance 0..bits."""
    last = steps[-1] if steps else 0
    return np.clip((last - np.arange(bits + 1)) // 2 + 1, 0, len(steps))


@lru_cache(maxsize=64)
def _ball(bits: int, radius: int) -> int:
    if radius > bits // 2:
        return 2**bits - _ball(bits, bits - radius - 1)
    total, layer = 0, 1
    for distance in range(radius + 1):
        total += layer
        layer = layer * (bits - distance) // (distance + 1)
    return total


@lru_cache(maxsize=8)
def _counts(bits: int, small: int, large: int) -> tuple[int, ...]:
    steps = _steps(bits, small, large)
    totals = [_ball(bits, small) - _ball(bits, bits - large - 1) if small + large >= bits else 0]
    if steps:
        i, j = (steps[-1] + small - large) // 2, (small + large - steps[-1]) // 2
        term = math.comb(steps[-1], i) * math.comb(bits - 1 - steps[-1], j)
        totals.append(totals[-1] + term)
        for e in steps[:0:-1]:
            # the term at e - 2 from the one at e: each binomial moves by two places
            term = term * (i * (e - i) * (bits - e + 1) * (bits - e)) // (e * (e - 1) * (j + 1) * (bits - e - j))
            i, j = i - 1, j + 1
            totals.append(totals[-1] + term)
    return tuple(totals[place] for place in _place(bits, steps).tolist())


@lru_cache(maxsize=64)
def _logs(bits: int, small: int, large: int) -> Float64[np.ndarray, "distances"]:
    steps = _steps(bits, small, large)
    e = np.arange(steps.start, steps.stop, 2)[::-1]
    # C(e, i) and C(n - 1 - e, j) come as shares of 2^e and 2^(n - 1 - e), so of 2^(n - 1) together
    terms = _log_binomial(bits, e, (e + small - large) // 2) + _log_binomial(bits, bits - 1 - e, (small + large - e) // 2) - math.log(2)
    total = np.concatenate([[_log_probability(bits, bits - large, small)], terms])
    # a running sum in logarithms by doubling: log2(n) roundings a sum where a plain one has n
    width = 1
    while width < total.size:
        total[width:] = np.logaddexp(total[width:], total[:-width])
        width *= 2
    return np.minimum(total, 0)[_place(bits, steps)]


@lru_cache(maxsize=256)
def _log_probability(bits: int, low: int, high: int) -> float:
    """Return ln P(low <= X <= high) for X the number of heads among ``bits`` fair coins."""
    inside = _log_sum(_log_binomial(bits, bits, np.arange(low, high + 1)))
    if inside < -math.log(2):
        return inside
    outside = _log_sum(_log_binomial(bits, bits, np.concatenate([np.arange(low), np.arange(high + 1, bits + 1)])))
    return math.log1p(-math.exp(outside))


def _log_sum(terms: Float64[np.ndarray, "terms"]) -> float:
    if not terms.size:
        return -math.inf
    peak = terms.max()
    return float(peak + np.log(np.exp(terms - peak).sum()))


def _log_binomial(bits: int, n: Int64[np.ndarray, "*shape"] | int, k: Int64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return ln(C(n, k) / 2^n) for n <= ``bits``.

    The large parts k ln k of the three factorials are joined before they are computed, as the entropy of k / n. That
    leaves numbers of the size of the answer, where a difference of log-gammas loses n ln n parts in 10^16.
    """
    rest, left = _log_factorial_rest(bits), n - k
    entropy = k * np.log(2 * np.maximum(k, 1) / np.maximum(n, 1)) + left * np.log(2 * np.maximum(left, 1) / np.maximum(n, 1))
    return rest[n] - rest[k] - rest[left] - entropy


@lru_cache(maxsize=16)
def _log_factorial_rest(bits: int) -> Float64[np.ndarray, "counts"]:
    """Return ln k! - k ln k + k for k = 0..bits: Stirling's series, and the factorial itself while k is small."""
    k = np.maximum(np.arange(bits + 1.0), 16)
    square = k * k
    series = (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / k
    rest = 0.5 * np.log(2 * math.pi * k) + series
    few = range(min(16, bits + 1))
    rest[: len(few)] = [math.log(math.factorial(k)) - k * math.log(max(k, 1)) + k for k in few]
    return rest
