"""The points that two circles in the space of bits have in common.

The space is {0, 1}^n with the Hamming distance, and a circle is the set of all points within a
radius of its centre. Sparse distributed memory weights a stored pattern by the number of points
within both the circle of the pattern and that of the query.

Let I(e) be that number for centres e bits apart, with radii a and b. One more bit of distance
removes a single term:

    I(e) - I(e + 1) = C(e, i) C(n - 1 - e, j),    i = (e + a - b) / 2,    j = (a + b - e) / 2.

The term is 0 where i or j is not an integer or is out of range. So the whole curve is one sum, from
I(n) downward to I(0), with I(n) = C(n, n - b) + ... + C(n, a) for opposite centres. All terms are
positive, so no digits cancel. Counts are summed in Python integers; shares of the space are summed
in logarithms, which neither overflow nor underflow.

Attention measures nearness by the cosine; for vectors of -1/+1 bits it is 1 - 2 d / n. ``cosine``
and ``distance`` convert between the two.
"""

import itertools
import math
from functools import lru_cache
from typing import overload

import numpy as np
from jaxtyping import Float64, Int64

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.theory import _inputs, _logs, approximation

__all__ = [
    "activation",
    "ball",
    "cosine",
    "distance",
    "intersection",
    "log_activation",
    "log_fraction",
    "overlap",
]

# The rounding error by which a cosine of unit vectors may lie outside -1 to 1.
ROUNDING = 1e-6
Curve = Float64[np.ndarray, "distances"]


@door("circle.intersection")
def intersection(bits: int, radius: int, other: int | None = None, form: str = "lune") -> list[int]:
    """Count the points within both of two circles exactly, for every distance of their centres.

    Two forms give the same integers:

    * ``"lune"`` subtracts one term for each bit of distance, as in the introduction of this module.
    * ``"sum"`` counts points by a, the coordinates on which the point and both centres agree, and
      c, the coordinates on which the centres differ and the point agrees with the first:
      I(d) = sum over a of C(n - d, a) times the sum of C(d, c) over c from max(0, n - radius - a)
      to min(d, d + other - n + a). It has n terms for each distance, which takes seconds at 1000
      bits.

    Args:
        bits: dimension n of the space, >= 1.
        radius: of the first circle, 0 to ``bits``.
        other: radius of the second circle, 0 to ``bits``; the same as ``radius`` if left out.
        form: ``"lune"`` or ``"sum"``.

    Returns:
        ``bits + 1`` integers; entry ``d`` is the count at distance ``d``. With equal radii it is
        ``ball(bits, radius)`` at 0, the same at ``2k - 1`` as at ``2k``, and 0 beyond
        ``2 * radius``.

    Raises:
        InputError: a radius lies outside 0 to ``bits``, or the form is not one of the two.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.intersection(4, 1)
        [5, 2, 2, 0, 0]
        >>> circle.intersection(4, 1, 2, form="sum")
        [5, 5, 3, 3, 0]
        >>> circle.intersection(64, 11)[:3]
        [927740240713, 311949983890, 311949983890]

    Source:
        Kanerva (1988), Sparse Distributed Memory, appendix B, for the lunes; he sums over
        distances, and one term for each distance suffices. Bricken and Pehlevan (2021), Attention
        approximates sparse distributed memory, for the double sum.
    """
    arguments = _arguments(bits, radius, other)
    if checks.choice("form", form, ("lune", "sum")) == "sum":
        return _double_sum(*arguments)
    return list(_counts(*arguments))


@door("circle.ball")
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
    bits, radius, _ = _arguments(bits, radius, None)
    return _ball(bits, radius)


@door("circle.log_fraction")
def log_fraction(
    bits: int,
    radius: int,
    other: int | None = None,
    method: str = "exact",
    *,
    activation: float | None = None,
) -> Curve:
    """Return ln(I(d) / 2^n), the share of the space within both of two circles, for every d.

    Args:
        bits: dimension n of the space, >= 1, and >= 2 for an approximation.
        radius: of the first circle, 0 to ``bits``, and up to ``bits // 2`` for an approximation.
        other: radius of the second circle, 0 to ``bits``; the same as ``radius`` if left out, and
            for an approximation.
        method: ``"exact"``, or an approximation of ``theory.approximation``: ``"kanerva1988"``,
            ``"largest"``, ``"normal"``, ``"taylor"``, ``"lower"`` or ``"upper"``.
        activation: share of the space in one circle, above 0 and up to 0.5; for ``"kanerva1988"``
            alone, which computes it from the radius if left out.

    Returns:
        ``(bits + 1,)`` natural logarithms, float64. With ``"exact"`` they are within 1e-11 of the
        true ones up to 10,000 bits, and ``-inf`` exactly where the circles do not meet. The array
        is a new one, which you may change.

    Raises:
        InputError: a radius lies outside its range, or an argument does not go with the method.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.log_fraction(1000, 451)[[0, 100, 902, 903]].round(6)
        array([ -6.838369,  -8.160111, -71.556799,       -inf])
        >>> circle.log_fraction(1000, 451, method="taylor")[[1, 100]].round(2)
        array([ -8.71, -11.44])

    Source:
        Kanerva (1988), appendix B; logarithms of binomial coefficients after Loader (2000), Fast
        and accurate computation of binomial probabilities.
    """
    return _log_fraction(bits, radius, other, method, activation).copy()


@door("circle.log_activation")
def log_activation(bits: int, radius: int) -> float:
    """Return ln p, the logarithm of the share of the space within one circle.

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
    bits, radius, _ = _arguments(bits, radius, None)
    return _logs.probability(bits, 0, radius)


@door("circle.activation")
def activation(bits: int, radius: int) -> float:
    """Return p, the share of the space within one circle.

    It is the expected share of random locations that a query activates.

    Args:
        bits: dimension n of the space, >= 1.
        radius: 0 to ``bits``.

    Returns:
        a number from 0 to 1. Below 1e-308 it loses digits and then becomes 0; ``log_activation``
        does not.

    Raises:
        InputError: the radius lies outside 0 to ``bits``.

    Example:
        >>> from kanerva.theory import circle
        >>> round(circle.activation(1000, 451), 8)
        0.00107185

    Source:
        Kanerva (1988), Sparse Distributed Memory: 1000 bits, radius 451, about a thousandth.
    """
    bits, radius, _ = _arguments(bits, radius, None)
    return math.exp(_logs.probability(bits, 0, radius))


@door("circle.overlap")
def overlap(
    bits: int,
    radius: int,
    locations: int | float,
    method: str = "exact",
    *,
    activation: float | None = None,
) -> Curve:
    """Return the expected number of random locations within both of two circles, for every d.

    locations * I(d) / 2^n.

    Args:
        bits: dimension n of the space, >= 1.
        radius: of both circles, 0 to ``bits``.
        locations: how many locations are distributed uniformly over the space, > 0.
        method: ``"exact"``, or an approximation, as in ``log_fraction``.
        activation: share of the space in one circle, for method ``"kanerva1988"`` alone, as in
            ``log_fraction``.

    Returns:
        ``(bits + 1,)`` means, float64; entry ``d`` is for centres ``d`` bits apart.

    Raises:
        InputError: the radius lies outside 0 to ``bits``, ``locations`` is not finite and above 0,
            or an argument does not go with the method.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.overlap(1000, 451, 1_000_000)[[0, 100, 500]].round(3)
        array([1071.85 ,  285.831,    1.101])
        >>> kanerva = circle.overlap(1000, 451, 1_000_000, "kanerva1988", activation=0.001)
        >>> kanerva[[0, 100, 500]].round(1)
        array([1000. ,  263.5,    1. ])

    Source:
        Kanerva (1988), table of the locations shared by two circles, by his approximation; the
        default here is exact.
    """
    count = checks.number("locations", locations, 0.0, open_low=True)
    return np.exp(_log_fraction(bits, radius, None, method, activation) + math.log(count))


@overload
def cosine(bits: int, distance: float) -> float: ...
@overload
def cosine(bits: int, distance: np.ndarray) -> Float64[np.ndarray, "*shape"]: ...
@door("circle.cosine")
def cosine(bits: int, distance: float | np.ndarray) -> float | np.ndarray:
    """Convert distances between vectors of -1/+1 bits to cosines: 1 - 2 d / n.

    Args:
        bits: dimension n of the space, >= 1.
        distance: number of bits that differ, or a mean of such numbers, 0 to ``bits``; a number or
            an array of any shape.

    Returns:
        cosines from -1 to 1: a float, or a float64 array of the same shape.

    Raises:
        InputError: a distance lies outside 0 to ``bits``.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.cosine(64, 11)
        0.65625

    Source:
        Bricken and Pehlevan (2021), Attention approximates sparse distributed memory.
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    near = 1 - 2 * _inputs.reals("distance", distance, 0, bits) / bits
    return np.asarray(near) if isinstance(distance, np.ndarray) else near


@overload
def distance(bits: int, cosine: float) -> int: ...
@overload
def distance(bits: int, cosine: np.ndarray) -> Int64[np.ndarray, "*shape"]: ...
@door("circle.distance")
def distance(bits: int, cosine: float | np.ndarray) -> int | np.ndarray:
    """Convert cosines to distances between vectors of bits: floor((n / 2) (1 - cos) + 1e-9).

    The 1e-9 makes it the inverse of ``cosine`` at every distance. Cosines in float32 are less
    accurate, and may give a distance that is one bit too small.

    Args:
        bits: dimension n of the space, >= 1.
        cosine: -1 to 1, a number or an array of any shape. A value outside by at most 1e-6 counts
            as rounding.

    Returns:
        distances from 0 to ``bits``: an int, or an int64 array of the same shape.

    Raises:
        InputError: a cosine lies outside -1 to 1.

    Example:
        >>> from kanerva.theory import circle
        >>> circle.distance(64, 0.65625), circle.distance(64, 0.65)
        (11, 11)

    Source:
        Bricken and Pehlevan (2021), Attention approximates sparse distributed memory.
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    near = np.clip(_inputs.reals("cosine", cosine, -1 - ROUNDING, 1 + ROUNDING), -1, 1)
    found = np.asarray(np.floor(bits / 2 * (1 - near) + 1e-9)).astype(np.int64)
    return found if isinstance(cosine, np.ndarray) else int(found)


def _arguments(bits: int, radius: int, other: int | None) -> tuple[int, int, int]:
    """Check the arguments and put the smaller radius first, which changes no count."""
    bits = checks.integer("bits", bits, 1, checks.BITS)
    radius = checks.integer("radius", radius, 0, bits)
    other = radius if other is None else checks.integer("other", other, 0, bits)
    return bits, min(radius, other), max(radius, other)


def _log_fraction(
    bits: int, radius: int, other: int | None, method: str, activation: float | None
) -> Curve:
    arguments = _arguments(bits, radius, other)
    method = checks.choice("method", method, ("exact", *approximation.METHODS))
    if method != "exact":
        if arguments[1] != arguments[2]:
            do = "leave it out, or choose method 'exact'"
            refuse("other", must=f"the same as radius for method {method!r}", got=str(other), do=do)
        return approximation.log_fraction(bits, radius, method, activation)
    if activation is not None:
        do = "leave it out, or choose method 'kanerva1988'"
        refuse("activation", activation, must="left out for method 'exact'", do=do)
    return _logs_of(*arguments)


def _steps(bits: int, small: int, large: int) -> range:
    """Return the distances e at which I(e) is more than I(e + 1)."""
    both = small + large
    return range(large - small, min(both, 2 * (bits - 1) - both) + 1, 2)


def _place(bits: int, steps: range) -> Int64[np.ndarray, "distances"]:
    """Return how many of the steps lie at or beyond each distance 0..bits."""
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
            # The term at e - 2 follows from the one at e: both coefficients move by two places.
            over = i * (e - i) * (bits - e + 1) * (bits - e)
            term = term * over // (e * (e - 1) * (j + 1) * (bits - e - j))
            i, j = i - 1, j + 1
            totals.append(totals[-1] + term)
    return tuple(totals[place] for place in _place(bits, steps).tolist())


def _double_sum(bits: int, small: int, large: int) -> list[int]:
    counts = []
    row = [1]  # C(d, 0..d)
    for d in range(bits + 1):
        below = [0, *itertools.accumulate(row)]  # Entry c is the sum of C(d, k) over k < c.
        total = 0
        a = max(0, bits - small - d)
        term = math.comb(bits - d, a)
        while a <= bits - d:
            first, last = max(0, bits - small - a), min(d, d + large - bits + a)
            if first <= last:
                total += term * (below[last + 1] - below[first])
            term = term * (bits - d - a) // (a + 1)
            a += 1
        counts.append(total)
        row = [1, *(left + right for left, right in itertools.pairwise(row)), 1]
    return counts


@lru_cache(maxsize=64)
def _logs_of(bits: int, small: int, large: int) -> Curve:
    steps = _steps(bits, small, large)
    e = np.arange(steps.start, steps.stop, 2)[::-1]
    # C(e, i) and C(n - 1 - e, j) are shares of 2^e and of 2^(n - 1 - e), so their product is a
    # share of 2^(n - 1).
    inner = _logs.binomial(bits, e, (e + small - large) // 2)
    outer = _logs.binomial(bits, bits - 1 - e, (small + large - e) // 2)
    first = [_logs.probability(bits, bits - large, small)]
    total = np.concatenate([first, inner + outer - math.log(2)])
    # A cumulative sum of logarithms by doubling has log2(n) roundings in each sum; a plain loop
    # has n.
    width = 1
    while width < total.size:
        total[width:] = np.logaddexp(total[width:], total[:-width])
        width *= 2
    return np.minimum(total, 0)[_place(bits, steps)]
