"""The bias of a read towards the query, and the distance of the nearest locations.

The locations that a query activates resemble the query. So a read of an auto-associative memory
resembles the query more than the stored patterns alone would explain.
"""

import math

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import describe, door, refuse
from kanerva.theory import _inputs, _logs, circle

__all__ = ["location", "nearest", "query", "within"]

TINY = -40.0  # For smaller ln p, ln(-ln(1 - p)) equals ln p in double precision.


@door("pull.location")
def location(bits: int, radius: int) -> float:
    """Return the probability that an activated location agrees with a given bit of the query.

    With n bits and radius r it is the sum of C(n - 1, k) over k = 0..r, divided by that of C(n, k).

    Args:
        bits: dimension n of the space, >= 1.
        radius: r, 0 to ``bits``.

    Returns:
        a number from 0.5, where the circle is the whole space, to 1, where it is the query alone.

    Raises:
        InputError: the radius lies outside 0 to ``bits``.

    Example:
        >>> from kanerva.theory import pull
        >>> round(pull.location(1000, 451), 6)
        0.552905

    Source:
        Kanerva (1993), Sparse distributed memory and related models, on a remark of Jaeckel; the
        sums are elementary.
    """
    return 0.5 + 0.5 * math.exp(_log_bias(bits, radius))


@door("pull.query")
def query(bits: int, radius: int, patterns: int, locations: int | float = math.inf) -> float:
    """Return B, the bias of an auto-associative memory towards the query, from the other patterns.

    B = (m - 1) r p^2 (2 q - 1)^2 is the mean that the other patterns add to the sum over locations
    of one bit, whose sign is read. On average a random pattern and the query both activate r p^2
    locations, p being the share of the space in a circle. A bit of such a location agrees with each
    of the two with probability q, as in ``location``. So the mean product of a bit of the pattern
    and that bit of the query is (2 q - 1)^2.

    Args:
        bits: dimension n of the space, >= 1.
        radius: of reads and writes, 0 to ``bits``.
        patterns: how many patterns m are stored, >= 1.
        locations: how many locations r, >= 1; ``math.inf`` is one at each of the 2^n points.

    Returns:
        B >= 0, to be compared with the ``circle.overlap`` of the target pattern.

    Raises:
        InputError: an argument is out of range, or B is beyond the range of floats.

    Example:
        >>> from kanerva.theory import pull
        >>> round(pull.query(1000, 451, 10_000, 1_000_000), 2)
        128.61

    Source:
        derived here; it equals (m - 1) E[I(k) (1 - 2 k / n)] over random patterns k bits away.
    """
    patterns = checks.integer("patterns", patterns, 1, _inputs.PATTERNS)
    log_bias = _log_bias(bits, radius)
    log_locations = _inputs.log_locations(bits, locations)
    if patterns == 1:
        return 0.0
    log_shared = 2 * (circle.log_activation(bits, radius) + log_bias)
    must = "few enough for a float to hold the sum"
    log = math.log(patterns - 1) + log_locations + log_shared
    return _inputs.count("locations", must, describe(locations), log)


@door("pull.nearest")
def nearest(bits: int, locations: int | float) -> float:
    """Estimate the distance from a random point to the nearest of r random locations.

    n / 2 + sqrt(n) / 2 Phi^-1(1 / r): the distance within which one location is expected, by the
    normal approximation of the binomial distribution. Where that is below 0, the result is 0;
    ``radius.quantile(bits, 1 / r)`` is exact.

    Args:
        bits: dimension n of the space, >= 1.
        locations: how many locations r, >= 1.

    Returns:
        a distance in bits, 0 to ``bits``.

    Raises:
        InputError: ``locations`` is below 1 or not finite.

    Example:
        >>> from kanerva.theory import pull
        >>> round(pull.nearest(1000, 1_000_000), 1)
        424.8

    Source:
        Kanerva (1988), Sparse Distributed Memory: about 424 bits from a random point among a
        million locations.
    """
    from scipy.special import ndtri_exp

    bits = checks.integer("bits", bits, 1, checks.BITS)
    log_locations = _finite(bits, locations)
    return float(np.clip(bits / 2 + math.sqrt(bits) / 2 * ndtri_exp(-log_locations), 0, bits))


@door("pull.within")
def within(bits: int, radius: int, locations: int | float) -> float:
    """Return 1 - (1 - p)^r, the probability that a query activates any of r random locations.

    Args:
        bits: dimension n of the space, >= 1.
        radius: 0 to ``bits``; p is the share of the space in its circle.
        locations: how many locations r, >= 1.

    Returns:
        a probability; 0 where it is below 1e-323.

    Raises:
        InputError: an argument is out of range; ``locations`` must be finite.

    Example:
        >>> from kanerva.theory import pull
        >>> round(pull.within(64, 15, 100_000), 4)
        0.7042

    Source:
        elementary; the locations are drawn with replacement.
    """
    log_share = circle.log_activation(bits, radius)
    log_locations = _finite(bits, locations)
    if log_share == 0:
        return 1.0
    log_rate = log_share if log_share < TINY else math.log(-float(_logs.difference(0.0, log_share)))
    return -math.expm1(-math.exp(min(log_locations + log_rate, 700.0)))


def _log_bias(bits: int, radius: int) -> float:
    """Return ln(2 q - 1) for the probability q of ``location``.

    2 q - 1 is C(n - 1, r) divided by the sum of C(n, k) over k = 0..r.
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    radius = checks.integer("radius", radius, 0, bits)
    if radius == bits:
        return -math.inf
    edge = float(_logs.binomial(bits, bits - 1, np.array([radius]))[0]) - math.log(2)
    return edge - _logs.probability(bits, 0, radius)


def _finite(bits: int, locations: int | float) -> float:
    if isinstance(locations, float) and locations == math.inf:
        refuse("locations", must="a finite number >= 1", got="inf", do="give how many there are")
    return _inputs.log_locations(bits, locations)
