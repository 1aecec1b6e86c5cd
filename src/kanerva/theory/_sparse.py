"""The capacity of memories for sparse codes: clipped sums, and the covariance rule."""

import math
from bisect import bisect_left
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple, NoReturn

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva._core.errors import door, refuse

__all__ = ["Willshaw", "covariance", "fill", "spurious", "willshaw"]

RULES = ("replica", "sparse")
# An alternating sum of more terms take many seconds.
ONES = 1000


class Willshaw(NamedTuple):
    """The capacity of a memory of clipped sums.

    * ``fill``: the share p1 of the connections that are on.
    * ``patterns``: how many patterns M are stored, not rounded.
    * ``information``: bits of the values for each connection, M log2 C(n, k) / n^2.
    """

    fill: float
    patterns: float
    information: float


@door("capacity.fill")
def fill(bits: int, ones: int, patterns: int) -> float:
    """Return p1 = 1 - (1 - (k / n)^2)^M, the share of the connections that are on.

    A connection is on where at least one of M pairs has a one at both of its ends. Each key and
    each value has exactly k ones among n bits, at random and independently, for which the formula
    is exact. Where patterns are their own values it is k (k - 1) / (n (n - 1)) in place of
    (k / n)^2, except for connections of a bit with itself.

    Args:
        bits: n, >= 2.
        ones: k, 1 to ``bits - 1``.
        patterns: M, >= 1.

    Returns:
        a share from 0 to 1.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.fill(1000, 10, 6931), 4)
        0.5

    Source:
        Willshaw, Buneman and Longuet-Higgins (1969), Non-holographic associative memory.
    """
    bits, ones = _code(bits, ones)
    patterns = checks.integer("patterns", patterns, 1, checks.LONGEST)
    return -math.expm1(patterns * math.log1p(-((ones / bits) ** 2)))


@door("capacity.spurious")
def spurious(bits: int, ones: int, patterns: int, autoassociative: bool = False) -> float:
    """Return how many wrong ones a read of clipped sums has on average, from an undamaged key.

    A bit is read as one where all k ones of the key are connected to it. That of a bit outside the
    value has, for M patterns of k ones among n bits, the probability

        P = sum over i of (-1)^i C(k, i) (1 - c + c C(n - i, k) / C(n, k))^(M - 1),    c = k / n,

    by inclusion and exclusion; the result is (n - k) P. Where patterns are their own values, the
    fraction is C(n - 1 - i, k - 1) / C(n - 1, k - 1). The number is exact for independent random
    patterns. It is larger than the classical n p1^k, because the connections of one bit are not
    independent: a pattern that contains the bit sets k of them at once.

    Args:
        bits: n, >= 2.
        ones: k, 1 to ``bits - 1`` and at most 1000.
        patterns: M, >= 1.
        autoassociative: whether each pattern is its own value.

    Returns:
        a number from 0 to ``bits - ones``.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.spurious(1000, 10, 6931), 3)  # 1000 p1^10 is 0.977
        1.251

    Source:
        Knoblauch (2008), Neural associative memory and the Willshaw-Palm probability distribution.
    """
    bits, ones = _code(bits, ones)
    ones = checks.integer("ones", ones, 1, ONES)
    patterns = checks.integer("patterns", patterns, 1, checks.LONGEST)
    left = int(checks.flag("autoassociative", autoassociative))
    with localcontext() as context:
        # The terms of the alternating sum are up to 2^k; thirty digits remain.
        context.prec = 30 + ones
        share, free, total = Decimal(ones) / bits, Decimal(1), Decimal(0)
        for i in range(ones + 1):
            total += (-1) ** i * math.comb(ones, i) * (1 - share + share * free) ** (patterns - 1)
            # From C(n - i, k) to C(n - i - 1, k); both are one less for patterns of their own.
            whole = bits - left - i
            free *= Decimal(max(whole - (ones - left), 0)) / max(whole, 1)
        return float((bits - ones) * min(max(total, Decimal(0)), Decimal(1)))


@door("capacity.willshaw")
def willshaw(bits: int, ones: int, wrong: float = 1.0) -> Willshaw:
    """Return how many patterns of k ones among n bits a memory of clipped sums stores.

    A bit outside the value is read as one with the probability p1^k, so n p1^k wrong ones are read
    from an undamaged key. Set to ``wrong``, this gives p1 = (wrong / n)^(1 / k) and
    M = ln(1 - p1) / ln(1 - (k / n)^2).

    The information of M values of n bits is M log2 C(n, k), in n^2 connections of one bit each. For
    k = log2 n half of the connections are on, M = ln 2 (n / k)^2, and the information approaches
    ln 2 = 0.693 bits for each connection as n grows, which no other k exceeds. The formula takes
    connections to be independent; ``spurious`` does not, and gives more errors for small k.

    Args:
        bits: n, >= 2.
        ones: k, 1 to ``bits - 1``.
        wrong: the expected number of wrong ones in a read, above 0 and below ``bits``; the
            classical condition is 1.

    Returns:
        a ``Willshaw``: the share p1, the number of patterns, and the information.

    Raises:
        InputError: an argument is out of range, or not even one pattern is stored.

    Example:
        >>> from kanerva.theory import capacity
        >>> found = capacity.willshaw(1024, 10)
        >>> round(found.fill, 3), round(found.patterns), round(found.information, 3)
        (0.5, 7268, 0.542)

    Source:
        Willshaw, Buneman and Longuet-Higgins (1969), Non-holographic associative memory.
    """
    bits, ones = _code(bits, ones)
    wrong = checks.number("wrong", wrong, 0.0, float(bits), open_low=True)
    if math.log(wrong) == math.log(bits):
        refuse("wrong", got=f"{wrong:g}", must=f"below {bits}", do="give fewer, such as 1")
    count = _stored(bits, ones, wrong)
    if count < 1:
        _refuse_ones(bits, ones, wrong)
    share = math.exp((math.log(wrong) - math.log(bits)) / ones)
    return Willshaw(share, count, count * _log2_codes(bits, ones) / bits**2)


def _stored(bits: int, ones: int, wrong: float) -> float:
    """Return M = ln(1 - p1) / ln(1 - (k / n)^2) for p1 = (wrong / n)^(1 / k)."""
    off = -math.expm1((math.log(wrong) - math.log(bits)) / ones)
    return math.log(off) / math.log1p(-((ones / bits) ** 2))


def _refuse_ones(bits: int, ones: int, wrong: float) -> NoReturn:
    """Refuse codes of which not one is stored: they have too few ones, or too many."""

    def falls(ones: int) -> bool:
        return _stored(bits, ones + 1, wrong) <= _stored(bits, ones, wrong)

    # M rises with the ones up to its maximum, and falls from there on.
    best = 1 + bisect_left(range(1, bits - 1), True, key=falls)
    do = "give a larger number of wrong ones"
    if _stored(bits, best, wrong) >= 1:
        do = f"give {'more' if ones < best else 'fewer'}, such as {best}, or {do[5:]}"
    must = "as many as let the memory store one pattern"
    got = f"{ones} of {bits}, for {_stored(bits, ones, wrong):.2g} patterns"
    refuse("ones", got=got, must=must, do=do)


@door("capacity.covariance")
def covariance(bits: int, activity: float, criterion: str = "replica") -> float:
    r"""Return how many patterns of activity f a network with the covariance rule stores.

    Bits are 1 with the probability f, and J = sum over patterns of (x - f)(x - f)^T without its
    diagonal. A unit compares J (s - f) with the threshold that is best for the capacity.

    * ``"replica"``: the largest M / n for which the mean-field equations without replica symmetry
      breaking have a solution near a pattern. At f = 1/2 it is Hebb's rule and 0.138 n.
    * ``"sparse"``: n / (2 f |ln f|), the limit for f to 0. It is approached slowly: at f = 0.01 it
      is 2.5 times the other, and at 1e-6 still 1.8 times.

    In units of the noise, let a pattern's field be x and the threshold t. Then
    p1 = Phi((1 - f) x - t) and p0 = Phi(-f x - t) are the shares of active units inside and outside
    the pattern, m = p1 - p0 is the overlap, q = (f p1 + (1 - f) p0) (1 - 2 f) + f^2, and
    D = f phi((1 - f) x - t) + (1 - f) phi(f x + t). The noise has the standard deviation s = m / x,
    s^2 = alpha q / (1 - D / s)^2, and hence alpha = (s - D)^2 / q, which is maximised over x and t.

    Args:
        bits: number of neurons n, >= 2.
        activity: f, the share of ones, from ``1 / bits`` to ``1 - 1 / bits``; f and 1 - f are alike
            for ``"replica"``, and ``"sparse"`` takes the smaller.
        criterion: ``"replica"`` or ``"sparse"``.

    Returns:
        a number of patterns, not rounded, for large n; up to a few errors.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import capacity
        >>> [round(capacity.covariance(1000, f), 1) for f in (0.5, 0.1, 0.01)]
        [137.9, 484.2, 4403.7]

    Source:
        Tsodyks and Feigel'man (1988), The enhanced storage capacity in neural networks with low
        activity level; Amit, Gutfreund and Sompolinsky (1985) for f = 1/2.
    """
    bits = checks.integer("bits", bits, 2, checks.BITS)
    activity = checks.number("activity", activity, 1 / bits, 1 - 1 / bits)
    criterion = checks.choice("criterion", criterion, RULES)
    activity = min(activity, 1 - activity)
    if criterion == "sparse":
        return bits / (2 * activity * -math.log(activity))
    return bits * _saturation(activity)


@lru_cache(maxsize=64)
def _saturation(activity: float) -> float:
    """Return the largest alpha of the mean-field equations."""
    from scipy.optimize import minimize
    from scipy.special import ndtr

    f = activity

    def density(z: float) -> float:
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    def negative_log(place: Float64[np.ndarray, "2"]) -> float:
        x, t = place.tolist()
        inside, outside = (1 - f) * x - t, -f * x - t
        p1, p0 = float(ndtr(inside)), float(ndtr(outside))
        q = (f * p1 + (1 - f) * p0) * (1 - 2 * f) + f * f
        # For x < 0 the noise would have a negative width.
        room = (p1 - p0) / x - f * density(inside) - (1 - f) * density(outside) if x > 0 else 0.0
        return math.log(q) - 2 * math.log(room) if room > 0 else math.inf

    # The start is within two of the solution for any activity from 1e-6 on.
    threshold = math.sqrt(-2 * math.log(2 * f))
    options = {"xatol": 1e-9, "fatol": 1e-14, "maxiter": 2000}
    start = (4.0 + threshold / 3, threshold)
    found = minimize(negative_log, start, method="Nelder-Mead", options=options)
    return math.exp(-found.fun)


def _code(bits: int, ones: int) -> tuple[int, int]:
    bits = checks.integer("bits", bits, 2, checks.BITS)
    return bits, checks.integer("ones", ones, 1, bits - 1)


def _log2_codes(bits: int, ones: int) -> float:
    """Return log2 C(n, k)."""
    logs = (math.lgamma(size + 1) for size in (bits, ones, bits - ones))
    whole, some, others = logs
    return (whole - some - others) / math.log(2)
