"""The optimal radius of a sparse distributed memory.

A small circle contains few locations, so the signal of a stored pattern is weak; a large circle
contains many, so the noise of the other patterns is strong. Three criteria balance the two. All of
them take stored patterns, locations and queries to be random and independent; for correlated data
they are a first guess.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.theory import _inputs, capacity, circle, critical

__all__ = ["Optimum", "optimal", "quantile"]

CRITERIA = ("snr", "capacity", "noise")


class Optimum(NamedTuple):
    """The best radius by some criterion.

    * ``radius``: in bits; the smallest of ``ties``.
    * ``activation``: the share of the space in a circle that is optimal by the criterion; for
      ``"noise"``, which determines no share, that of the radius. It becomes 0 below 1e-323.
    * ``best``: the optimum: the signal-to-noise ratio of a bit that is read (``"snr"``), the number
      of patterns (``"capacity"``), or the number of wrong bits (``"noise"``). It becomes ``inf``
      above 1e308.
    * ``ties``: all radii that reach it, in increasing order.
    """

    radius: int
    activation: float
    best: float
    ties: tuple[int, ...]


@door("radius.quantile")
def quantile(bits: int, probability: int | float) -> int:
    """Return the smallest radius whose circle contains at least a given share of the space.

    It is the quantile of the symmetric binomial distribution,
    min {r : C(n, 0) + ... + C(n, r) >= p 2^n}, compared in integers.

    Args:
        bits: dimension n of the space, >= 1.
        probability: the share p, above 0, up to 1.

    Returns:
        a radius from 0 to ``bits``.

    Raises:
        InputError: the probability lies outside (0, 1].

    Example:
        >>> from kanerva.theory import radius
        >>> radius.quantile(1000, 0.001)
        451
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    share = checks.number("probability", probability, 0.0, 1.0, open_low=True)
    return _smallest(bits, Fraction(share))


@door("radius.optimal")
def optimal(
    bits: int,
    patterns: int,
    locations: int | float = math.inf,
    criterion: str = "snr",
    *,
    fidelity: float = 0.5,
) -> Optimum:
    """Return the radius, of both writes and reads, that is best by a criterion.

    With n bits, m patterns, r locations and a share p of them active, a bit is read with signal p r
    and noise variance p r (1 + p m + p^3 m r). The criteria:

    * ``"snr"``: the highest ratio of signal to noise for a query without errors,
      p = (2 m r)^(-1/3).
    * ``"capacity"``: the most patterns such that a whole pattern is read correctly with probability
      q from a query without errors. With z = Phi^-1(q^(1/n)), p is the root of
      2 r^2 p^3 - 3 r z^2 p^2 - z^2 = 0.
    * ``"noise"``: the most wrong bits of a query, up to n / 2, such that one read of it, and of
      every query with fewer wrong bits, comes nearer: ``critical.distance`` with the noise
      ``"independent"``. All other patterns are taken to be n / 2 away, so they add no noise where
      the radius is below n / 4. Every radius up to n / 2 is tried, since the maximum is flat: tens
      of milliseconds at 1000 bits, seconds at 10,000.

    Args:
        bits: dimension n, >= 1.
        patterns: how many patterns m are to be stored, >= 1; not used by ``"capacity"``.
        locations: how many locations r, >= 1; ``math.inf`` is one at each of the 2^n points.
        criterion: ``"snr"``, ``"capacity"`` or ``"noise"``.
        fidelity: the probability q, above 2^-n and below 1; for ``"capacity"`` alone.

    Returns:
        an ``Optimum`` whose radius lies in 0 to ``bits - 1``.

    Raises:
        InputError: an argument is out of range, or no radius satisfies the criterion.

    Example:
        >>> from kanerva.theory import radius
        >>> radius.optimal(1000, 10_000, 1_000_000).radius
        447
        >>> radius.optimal(1000, 10_000, 1_000_000, "noise")[2:]
        (176.0, (448, 449))
        >>> int(radius.optimal(1000, 10_000, 1_000_000, "capacity").best)
        89355

    Source:
        Kanerva (1993), Sparse distributed memory and related models, for the noise and
        p = (2 m r)^(-1/3); Bricken and Pehlevan (2021), Attention approximates sparse distributed
        memory, for the three criteria.
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    patterns = checks.integer("patterns", patterns, 1, _inputs.PATTERNS)
    criterion = checks.choice("criterion", criterion, CRITERIA)
    log_locations = _inputs.log_locations(bits, locations)
    checks.number("fidelity", fidelity, 0, 1)
    if criterion == "noise":
        return _noise(bits, patterns, locations)
    if criterion == "capacity":
        return _capacity(bits, log_locations, fidelity)
    return _signal(bits, patterns, log_locations)


def _signal(bits: int, patterns: int, log_locations: float) -> Optimum:
    log_m = math.log(patterns)
    log_p = -(math.log(2) + log_m + log_locations) / 3
    # At the optimum p^3 m r = 1/2.
    log_ratio = (log_p + log_locations - float(np.logaddexp(math.log(1.5), log_p + log_m))) / 2
    return _optimum(bits, log_p, log_ratio)


def _capacity(bits: int, log_locations: float, fidelity: float) -> Optimum:
    square = capacity.squared_quantile(bits, fidelity)
    # With u = p r^(2/3) the cubic is 2 u^3 - 3 a u^2 - z^2 = 0, which overflows for no number of
    # locations. It is convex to the right of its single root, so Newton's method decreases to it.
    a = square * math.exp(-log_locations / 3)
    u = math.inf
    step = 1.5 * a + (square / 2) ** (1 / 3)
    while step < u:
        u = step
        step = u - (2 * u**3 - 3 * a * u**2 - square) / (6 * u**2 - 6 * a * u)
    log_p = math.log(u) - log_locations * 2 / 3
    if log_p >= 0:
        must = f"enough to read with fidelity {fidelity:g}"
        got = f"{math.exp(log_locations):g}, too few for a single pattern"
        refuse("locations", must=must, got=got, do="give more, or a lower fidelity")
    log_others = capacity.log_others(log_p, log_locations, square)
    return _optimum(bits, log_p, float(np.logaddexp(0, log_others)))


def _noise(bits: int, patterns: int, locations: int | float) -> Optimum:
    best, ties = 0, [0]
    for radius in range(bits // 2, -1, -1):
        if 2 * radius < best:  # Circles further apart than that are disjoint.
            break
        distance = critical.distance(bits, radius, patterns, locations, "independent")
        if distance >= best:
            ties = [radius, *ties] if distance == best else [radius]
            best = distance
    if best == 0:
        must = "few enough for some radius to correct one wrong bit"
        do = "store fewer, or give more bits or locations"
        refuse("patterns", must=must, got=str(patterns), do=do)
    return Optimum(ties[0], circle.activation(bits, ties[0]), float(best), tuple(ties))


def _optimum(bits: int, log_p: float, log_best: float) -> Optimum:
    power = log_p / math.log(2)
    share = Fraction(2.0 ** (power % 1)) * Fraction(2) ** math.floor(power)
    radius = min(_smallest(bits, share), bits - 1)
    best = math.exp(log_best) if log_best < 709 else math.inf
    return Optimum(radius, math.exp(log_p), best, (radius,))


def _smallest(bits: int, share: Fraction) -> int:
    target = math.ceil(share * 2**bits)
    total, layer = 0, 1
    for radius in range(bits):
        total += layer
        if total >= target:
            return radius
        layer = layer * (bits - radius) // (radius + 1)
    return bits
