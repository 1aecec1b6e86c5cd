"""Say how many patterns an associative memory holds, by the theory of each kind.

For sparse distributed memory a read is a sum over locations: signal p r from the pattern looked for, noise from the
m - 1 others. With a share p of r locations active and queries without errors, a bit has the signal-to-noise ratio

    z = p r / s,    s^2 = p r + (m - 1) (p^2 r + (p^2 r)^2),

is right with chance Phi(z), and a word of n bits with chance Phi(z)^n. All patterns are random and independent, and
taken to be n / 2 bits apart. That they are not quite leaves out noise, of weight where p^2 r is above one or bits are
few: ``critical.curve(..., noise="heteroassociative")[0]`` counts it. The term p r, the spread of the number of active
locations, errs on the safe side where that number is small. Most formulas here are asymptotic: trust their growth more
than their digits, and measure where it matters.

Counts that may outgrow floats are returned as such with ``unit="count"``, or as their logarithm to base two with
``unit="log2"``.
"""

import math
from typing import NamedTuple

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import describe, door, refuse
from kanerva.theory import _inputs, circle

__all__ = [
    "Modern",
    "bit",
    "dense",
    "exponential",
    "hopfield",
    "locations",
    "modern",
    "patterns",
    "rate",
    "snr",
    "word",
]

UNITS = ("count", "log2")
CRITERIA = ("one", "all", "replica")


class Modern(NamedTuple):
    """What a theorem promises of a modern Hopfield network.

    * ``base``: the number c that is raised to the power (d - 1) / 4.
    * ``patterns``: how many patterns can be stored, at least, in the unit asked for.
    """

    base: float
    patterns: float


@door("capacity.snr")
def snr(bits: int, radius: int, patterns: int, locations: int | float = math.inf) -> float:
    """Return the signal-to-noise ratio z of a bit that sparse distributed memory reads, as in the head of this module.

    ``radius.optimal`` with ``"snr"`` counts all m patterns as others, as its source does; here the m - 1 others count.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, 0 to ``bits``.
        patterns: how many patterns m are stored, >= 1.
        locations: how many locations r, >= 1; ``math.inf`` is one at each of the 2^n points.

    Returns:
        z, in standard deviations.

    Raises:
        InputError: an argument is out of range, or z is beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.snr(1000, 451, 10_000, 1_000_000), 3)
        6.679

    Source:
        Kanerva (1993), Sparse distributed memory and related models.
    """
    log = _log_snr(bits, radius, patterns, locations)
    return _inputs.count(
        "locations", "few enough for a float to hold the ratio", describe(locations), log
    )


@door("capacity.bit")
def bit(bits: int, radius: int, patterns: int, locations: int | float = math.inf) -> float:
    """Return the chance Phi(z) that sparse distributed memory reads a bit right, from a query without errors.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, 0 to ``bits``.
        patterns: how many patterns are stored, >= 1.
        locations: how many locations, >= 1; ``math.inf`` is one at each of the 2^n points.

    Returns:
        a probability from 0.5 to 1.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.bit(1000, 451, 100_000, 1_000_000), 4)
        0.9843

    Source:
        Kanerva (1993), Sparse distributed memory and related models.
    """
    from scipy.special import ndtr

    return float(ndtr(math.exp(min(_log_snr(bits, radius, patterns, locations), 10.0))))


@door("capacity.word")
def word(bits: int, radius: int, patterns: int, locations: int | float = math.inf) -> float:
    """Return the chance Phi(z)^n that sparse distributed memory reads all n bits right, from a query without errors.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, 0 to ``bits``.
        patterns: how many patterns are stored, >= 1.
        locations: how many locations, >= 1; ``math.inf`` is one at each of the 2^n points.

    Returns:
        a probability; 0 where it is below 1e-323.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.word(1000, 447, 50_000, 1_000_000), 3)
        0.97

    Source:
        Kanerva (1993), Sparse distributed memory and related models; bits are taken to fail independently.
    """
    from scipy.special import log_ndtr

    log = _log_snr(bits, radius, patterns, locations)
    return math.exp(bits * float(log_ndtr(math.exp(min(log, 10.0)))))


@door
def patterns(
    bits: int,
    radius: int,
    locations: int | float = math.inf,
    fidelity: float = 0.5,
    unit: str = "count",
) -> float:
    """Return the most patterns of which sparse distributed memory reads a whole one right with a given chance q.

    m = ((p r)^2 / z^2 - p r) / (p^2 r + (p^2 r)^2) + 1 with z = Phi^-1(q^(1/n)); ``radius.optimal`` with ``"capacity"``
    finds the radius where that is largest.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, 0 to ``bits``.
        locations: how many locations r, >= 1; ``math.inf`` is one at each of the 2^n points.
        fidelity: the probability q, above 2^-n and below 1.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        m >= 1, not rounded, or its logarithm.

    Raises:
        InputError: an argument is out of range, even one pattern is read worse, or m is beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> int(capacity.patterns(1000, 444, 1_000_000))
        88933

    Source:
        Bricken and Pehlevan (2021), Attention approximates sparse distributed memory, after Kanerva (1993).
    """
    log_share = circle.log_activation(bits, radius)
    log_locations = _inputs.log_locations(bits, locations)
    square = squared_quantile(bits, fidelity)
    unit = checks.choice("unit", unit, UNITS)
    if log_share + log_locations < math.log(square):
        must = f"at least {square:.3g} / p, to read one pattern with fidelity {fidelity:g}"
        refuse(
            "locations", locations, must=must, do="give more, or a larger radius, or ask for less"
        )
    return _count(unit, float(np.logaddexp(0, log_others(log_share, log_locations, square))))


@door
def locations(
    bits: int, radius: int, patterns: int | None = None, fidelity: float = 0.5, unit: str = "count"
) -> float:
    """Return the fewest locations with which sparse distributed memory reads a whole pattern right with a given chance q.

    r = z^2 (1 + (m - 1) p) / (p (1 - z^2 (m - 1) p^2)) with z = Phi^-1(q^(1/n)), the inverse of ``patterns``. Without
    a number of patterns, r = 1 / p: as many as leave a query one active location on average.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, 0 to ``bits``; p is the share of the space in its circle.
        patterns: how many patterns m are to be stored, >= 1, or none.
        fidelity: the probability q, above 2^-n and below 1; for patterns alone.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        r, not rounded, or its logarithm.

    Raises:
        InputError: an argument is out of range, no number of locations is enough, or r is beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.locations(1000, 451)), round(capacity.locations(1000, 444, 50_000))
        (933, 571747)

    Source:
        the formula of ``patterns`` solved for r.
    """
    log_share = circle.log_activation(bits, radius)
    unit = checks.choice("unit", unit, UNITS)
    if patterns is None:
        return _count(unit, -log_share)
    patterns = checks.integer("patterns", patterns, 1, _inputs.PATTERNS)
    square = squared_quantile(bits, fidelity)
    log_others = math.log(patterns - 1) if patterns > 1 else -math.inf
    log_crowd = math.log(square) + log_others + 2 * log_share
    if log_crowd >= 0:
        must = f"small enough for {patterns} patterns not to drown one another"
        refuse(
            "radius",
            must=must,
            got=str(radius),
            do="give a smaller one, store fewer, or ask for less",
        )
    log = (
        math.log(square)
        + float(np.logaddexp(0, log_others + log_share))
        - log_share
        - math.log(-math.expm1(log_crowd))
    )
    return _count(unit, log)


@door("capacity.rate")
def rate(share: float) -> float:
    """Return the highest rate of growth of any memory that corrects a share of wrong bits: 1 - h2(share).

    With circles of radius share * n that do not overlap, 2^(n rate) patterns fill the space of n bits, to leading order
    in n; h2(x) = -x log2 x - (1 - x) log2(1 - x).

    Args:
        share: of the bits of a query that may be wrong, 0 to 0.5.

    Returns:
        bits of log2 m for each bit of n, from 1 down to 0.

    Raises:
        InputError: the share lies outside 0 to 0.5.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.rate(0.209), 4)
        0.2604

    Source:
        Chou (1989), The capacity of the Kanerva associative memory, who finds that Kanerva's memory reaches it with
        exponentially many locations.
    """
    share = checks.number("share", share, 0.0, 0.5)
    return _rate(share)


@door("capacity.hopfield")
def hopfield(bits: int, criterion: str = "one") -> float:
    """Return how many patterns a Hopfield network with outer products holds.

    * ``"one"``: n / (2 ln n), such that a given pattern is kept without error, nearly surely.
    * ``"all"``: n / (4 ln n), such that all patterns are kept without error, nearly surely.
    * ``"replica"``: 0.138 n, such that patterns are kept up to a few errors, by the replica method.

    Args:
        bits: number of neurons n, >= 2.
        criterion: ``"one"``, ``"all"`` or ``"replica"``.

    Returns:
        a number of patterns, not rounded, for large n.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import capacity
        >>> [round(capacity.hopfield(1000, criterion), 1) for criterion in ("one", "all", "replica")]
        [72.4, 36.2, 138.0]

    Source:
        McEliece, Posner, Rodemich and Venkatesh (1987), The capacity of the Hopfield associative memory; Amit,
        Gutfreund and Sompolinsky (1985), Storing infinite numbers of patterns in a spin-glass model of neural networks.
    """
    bits = checks.integer("bits", bits, 2)
    criterion = checks.choice("criterion", criterion, CRITERIA)
    return (
        0.138 * bits
        if criterion == "replica"
        else bits / ((2 if criterion == "one" else 4) * math.log(bits))
    )


@door("capacity.dense")
def dense(bits: int, degree: int, unit: str = "count") -> float:
    """Return how many patterns a dense associative memory of a degree keeps without error: n^(k-1) / (2 (2k-3)!! ln n).

    Degree 2 is the Hopfield network. The formula is for a degree far below n; beyond n / 2 it falls, and is refused.

    Args:
        bits: number of neurons n, >= 3.
        degree: power k of the energy, 2 to ``(bits + 1) // 2``.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        a number of patterns, not rounded, for large n, or its logarithm.

    Raises:
        InputError: an argument is out of range, or the number is beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.dense(1000, 2), 1), round(capacity.dense(1000, 3))
        (72.4, 24127)

    Source:
        Krotov and Hopfield (2016), Dense associative memory for pattern recognition.
    """
    bits = checks.integer("bits", bits, 3, checks.BITS)
    degree = checks.integer("degree", degree, 2, (bits + 1) // 2)
    unit = checks.choice("unit", unit, UNITS)
    # (2k - 3)!! = 2^(k - 1) Gamma(k - 1/2) / sqrt(pi)
    odd = (degree - 1) * math.log(2) + math.lgamma(degree - 0.5) - 0.5 * math.log(math.pi)
    return _count(
        unit, (degree - 1) * math.log(bits) - math.log(2) - odd - math.log(math.log(bits))
    )


@door("capacity.exponential")
def exponential(bits: int, share: float = 0.0, unit: str = "count") -> float:
    """Return the limit of a memory with exponential energy that corrects a share of wrong bits: 2^(n (1 - h2(share)) / 2).

    Any number with a smaller exponent is kept, nearly surely as n grows. The exponent is half of ``rate``.

    Args:
        bits: number of neurons n, >= 1.
        share: of the bits of a query that are wrong, 0 to 0.5.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        a number of patterns, or its logarithm.

    Raises:
        InputError: an argument is out of range, or the number is beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.exponential(64)), capacity.exponential(10_000, unit="log2")
        (4294967296, 5000.0)

    Source:
        Demircigil, Heusel, Löwe, Upgang and Vermet (2017), On a model of associative memory with huge storage capacity.
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    share = checks.number("share", share, 0.0, 0.5)
    unit = checks.choice("unit", unit, UNITS)
    return _count(unit, bits * _rate(share) / 2 * math.log(2))


@door
def modern(
    dim: int, beta: float = 1.0, scale: float = 1.0, failure: float = 0.001, unit: str = "count"
) -> Modern:
    """Return how many random patterns a modern Hopfield network stores at least, except with a given chance.

    For patterns on a sphere of radius K sqrt(d - 1), N >= sqrt(p) c^((d - 1) / 4), with c = b / W(e^a b),
    a = 2 / (d - 1) (1 + ln(2 beta K^2 p (d - 1))), b = 2 beta K^2 / 5, and Lambert's function W.

    Args:
        dim: dimension d, >= 2.
        beta: inverse temperature, multiplying dot products, > 0.
        scale: K, > 0.
        failure: the probability p that it does not hold, above 0 and up to 1.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        a ``Modern``: the base c, and the number of patterns, or its logarithm.

    Raises:
        InputError: an argument is out of range; the theorem promises less than two patterns, and so nothing; or the
            number is beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> found = capacity.modern(20, scale=3.0)
        >>> round(found.base, 4), round(found.patterns, 1)
        (3.1546, 7.4)

    Source:
        Ramsauer et al. (2021), Hopfield networks is all you need, theorem 3.
    """
    from scipy.special import wrightomega

    dim = checks.integer("dim", dim, 2)
    beta = checks.number("beta", beta, 0.0, open_low=True)
    log_scale = math.log(checks.number("scale", scale, 0.0, open_low=True))
    log_failure = math.log(checks.number("failure", failure, 0.0, 1.0, open_low=True))
    unit = checks.choice("unit", unit, UNITS)
    log_b = math.log(2 * beta / 5) + 2 * log_scale
    a = 2 / (dim - 1) * (1 + math.log(2 * beta * (dim - 1)) + 2 * log_scale + log_failure)
    # W(e^x) is Wright's function of x, which does not overflow
    log_base = log_b - math.log(float(wrightomega(a + log_b)))
    log = log_failure / 2 + (dim - 1) / 4 * log_base
    if log < math.log(2):
        do = "give a larger one, or a larger beta or scale"
        refuse(
            "dim", must="large enough for the theorem to promise two patterns", got=str(dim), do=do
        )
    return Modern(math.exp(log_base), _count(unit, log))


def squared_quantile(bits: int, fidelity: float) -> float:
    """Return z^2 for z = Phi^-1(q^(1/n)), the ratio at which a word of n bits is right with chance q."""
    from scipy.special import ndtri

    fidelity = checks.number("fidelity", fidelity)
    if not 2.0**-bits < fidelity < 1:
        do = "give the probability that all bits of a pattern are right, such as 0.5"
        refuse("fidelity", must=f"above 2**-{bits} and below 1", got=f"{fidelity:g}", do=do)
    square = float(ndtri(-math.expm1(math.log(fidelity) / bits))) ** 2
    if square < 1e-20:
        refuse(
            "fidelity",
            must=f"above 2**-{bits} by more than rounding",
            got=f"{fidelity:g}",
            do="give a larger one",
        )
    return square


def log_others(log_share: float, log_locations: float, square: float) -> float:
    """Return ln(m - 1) at the ratio z: m - 1 = (r / z^2) (1 - z^2 / (p r)) / (1 + p^2 r), for p r >= z^2."""
    rest = square * math.exp(-log_share - log_locations)
    certain = math.log1p(-rest) if rest < 1 else -math.inf
    return (
        log_locations
        - math.log(square)
        + certain
        - float(np.logaddexp(0, 2 * log_share + log_locations))
    )


def _log_snr(bits: int, radius: int, patterns: int, locations: int | float) -> float:
    bits = checks.integer("bits", bits, 1, checks.BITS)
    patterns = checks.integer("patterns", patterns, 1, _inputs.PATTERNS)
    log_share, log_locations = (
        circle.log_activation(bits, radius),
        _inputs.log_locations(bits, locations),
    )
    others = math.log(patterns - 1) if patterns > 1 else -math.inf
    # s^2 / (p r) = 1 + (m - 1) (p + p^3 r)
    crowd = others + log_share + float(np.logaddexp(0, 2 * log_share + log_locations))
    return (log_share + log_locations - float(np.logaddexp(0, crowd))) / 2


def _rate(share: float) -> float:
    rest = 1 - share
    return 1 + (share * math.log2(share) if share else 0.0) + rest * math.log2(rest)


def _count(unit: str, log: float) -> float:
    """Return e^log in the unit asked for."""
    if unit == "log2":
        return log / math.log(2)
    return _inputs.count("unit", "'log2' for so large a number", "'count'", log)
