"""The capacity of associative memories: how many patterns each kind stores.

A read of sparse distributed memory is a sum over the active locations. The signal p r comes from
the target pattern, the noise from the m - 1 others. With a share p of r locations active and a
query without errors, a bit has the signal-to-noise ratio

    z = p r / s,    s^2 = p r + (m - 1) (p^2 r + (p^2 r)^2).

It is read correctly with probability Phi(z), and a word of n bits with probability Phi(z)^n. All
patterns are random and independent, and taken to be exactly n / 2 bits apart. The spread of their
distances adds noise that this leaves out; it matters where p^2 r is above one or n is small, and
``critical.curve(..., noise="heteroassociative")[0]`` includes it. The term p r is the variance of
the number of active locations; where that number is small, z is too small rather than too large.
Most formulas here are asymptotic: their growth is more reliable than their digits.

For codes of few ones there are the memories of clipped sums, ``willshaw``, and of the covariance
rule, ``covariance``.

Numbers that may exceed the range of floats are returned as they are with ``unit="count"``, or as
their logarithm to base two with ``unit="log2"``.
"""

import math
from typing import NamedTuple

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import describe, door, refuse
from kanerva.theory import _inputs, circle
from kanerva.theory._bessel import log_mean
from kanerva.theory._sparse import Willshaw, covariance, fill, spurious, willshaw

__all__ = [
    "Modern",
    "Willshaw",
    "bit",
    "covariance",
    "dense",
    "exponential",
    "fill",
    "hopfield",
    "kernel",
    "locations",
    "modern",
    "patterns",
    "rate",
    "snr",
    "spurious",
    "willshaw",
    "word",
]

UNITS = ("count", "log2")
CRITERIA = ("one", "all", "replica")


class Modern(NamedTuple):
    """The lower bound of a theorem on the capacity of a modern Hopfield network.

    * ``base``: the number c that is raised to the power (d - 1) / 4.
    * ``patterns``: the number of patterns that can be stored at least, in the given unit.
    """

    base: float
    patterns: float


@door("capacity.snr")
def snr(bits: int, radius: int, patterns: int, locations: int | float = math.inf) -> float:
    """Return the signal-to-noise ratio z of a bit that sparse distributed memory reads.

    z = p r / s, s^2 = p r + (m - 1) (p^2 r + (p^2 r)^2). ``radius.optimal`` with ``"snr"`` has m in
    place of m - 1, as its source does.

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
    must = "few enough for a float to hold the ratio"
    return _inputs.count("locations", must, describe(locations), log)


@door("capacity.bit")
def bit(bits: int, radius: int, patterns: int, locations: int | float = math.inf) -> float:
    """Return Phi(z), the probability that sparse distributed memory reads a bit correctly.

    The query has no errors; z is the ratio of ``snr``.

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

    log = _log_snr(bits, radius, patterns, locations)
    return float(ndtr(math.exp(min(log, 10.0))))


@door("capacity.word")
def word(bits: int, radius: int, patterns: int, locations: int | float = math.inf) -> float:
    """Return Phi(z)^n, the probability that sparse distributed memory reads all n bits correctly.

    The query has no errors; z is the ratio of ``snr``.

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
        Kanerva (1993), Sparse distributed memory and related models; errors of different bits are
        taken to be independent.
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
    """Return how many patterns sparse distributed memory can store at a given fidelity q.

    m = ((p r)^2 / z^2 - p r) / (p^2 r + (p^2 r)^2) + 1 with z = Phi^-1(q^(1/n)), such that a whole
    pattern is read correctly with probability q. ``radius.optimal`` with ``"capacity"`` finds the
    radius where m is largest.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, 0 to ``bits``.
        locations: how many locations r, >= 1; ``math.inf`` is one at each of the 2^n points.
        fidelity: the probability q, above 2^-n and below 1.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        m >= 1, not rounded, or its logarithm.

    Raises:
        InputError: an argument is out of range, even a single pattern has a lower fidelity, or m is
            beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> int(capacity.patterns(1000, 444, 1_000_000))
        88933

    Source:
        Bricken and Pehlevan (2021), Attention approximates sparse distributed memory, after Kanerva
        (1993).
    """
    log_share = circle.log_activation(bits, radius)
    log_locations = _inputs.log_locations(bits, locations)
    square = squared_quantile(bits, fidelity)
    unit = checks.choice("unit", unit, UNITS)
    if log_share + log_locations < math.log(square):
        must = f"at least {square:.3g} / p, to read one pattern with fidelity {fidelity:g}"
        do = "give more, or a larger radius, or a lower fidelity"
        refuse("locations", locations, must=must, do=do)
    return _count(unit, float(np.logaddexp(0, log_others(log_share, log_locations, square))))


@door
def locations(
    bits: int, radius: int, patterns: int | None = None, fidelity: float = 0.5, unit: str = "count"
) -> float:
    """Return how many locations sparse distributed memory needs for m patterns at a fidelity q.

    r = z^2 (1 + (m - 1) p) / (p (1 - z^2 (m - 1) p^2)) with z = Phi^-1(q^(1/n)), the inverse of
    ``patterns``. Without a number of patterns, r = 1 / p, for which a query activates one location
    on average.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, 0 to ``bits``; p is the share of the space in its circle.
        patterns: how many patterns m are to be stored, >= 1, or None.
        fidelity: the probability q, above 2^-n and below 1; used only with ``patterns``.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        r, not rounded, or its logarithm.

    Raises:
        InputError: an argument is out of range, no number of locations suffices, or r is beyond the
            range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.locations(1000, 451)), round(capacity.locations(1000, 444, 50_000))
        (933, 571747)

    Source:
        the formula of ``patterns`` solved for r.
    """
    log_share = circle.log_activation(bits, radius)
    unit = checks.choice("unit", unit, UNITS)
    checks.number("fidelity", fidelity, 0, 1)
    if patterns is None:
        return _count(unit, -log_share)
    patterns = checks.integer("patterns", patterns, 1, _inputs.PATTERNS)
    square = squared_quantile(bits, fidelity)
    log_rest = math.log(patterns - 1) if patterns > 1 else -math.inf
    log_noise = math.log(square) + log_rest + 2 * log_share
    if log_noise >= 0:
        must = f"small enough for {patterns} patterns to be separable with any number of locations"
        do = "give a smaller one, store fewer patterns, or give a lower fidelity"
        refuse("radius", must=must, got=str(radius), do=do)
    log_top = math.log(square) + float(np.logaddexp(0, log_rest + log_share))
    return _count(unit, log_top - log_share - math.log(-math.expm1(log_noise)))


@door("capacity.rate")
def rate(share: float) -> float:
    """Return 1 - h2(share), the highest rate of any memory that corrects a share of wrong bits.

    2^(n rate) disjoint circles of radius share * n fill the space of n bits, to leading order in n;
    h2(x) = -x log2 x - (1 - x) log2(1 - x).

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
        Chou (1989), The capacity of the Kanerva associative memory: Kanerva's memory reaches this
        rate with exponentially many locations.
    """
    share = checks.number("share", share, 0.0, 0.5)
    return _rate(share)


@door("capacity.hopfield")
def hopfield(bits: int, criterion: str = "one") -> float:
    """Return how many patterns a Hopfield network with outer products stores.

    * ``"one"``: n / (2 ln n). A given pattern is a fixed point without errors, almost surely.
    * ``"all"``: n / (4 ln n). All patterns are fixed points without errors, almost surely.
    * ``"replica"``: 0.138 n, by the replica method. Patterns are recalled up to a few errors.

    Args:
        bits: number of neurons n, >= 2.
        criterion: ``"one"``, ``"all"`` or ``"replica"``.

    Returns:
        a number of patterns, not rounded, for large n.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import capacity
        >>> [round(capacity.hopfield(1000, name), 1) for name in ("one", "all", "replica")]
        [72.4, 36.2, 138.0]

    Source:
        McEliece, Posner, Rodemich and Venkatesh (1987), The capacity of the Hopfield associative
        memory; Amit, Gutfreund and Sompolinsky (1985), Storing infinite numbers of patterns in a
        spin-glass model of neural networks.
    """
    bits = checks.integer("bits", bits, 2, _inputs.PATTERNS)
    criterion = checks.choice("criterion", criterion, CRITERIA)
    if criterion == "replica":
        return 0.138 * bits
    return bits / ((2 if criterion == "one" else 4) * math.log(bits))


@door("capacity.dense")
def dense(bits: int, degree: int, unit: str = "count") -> float:
    """Return how many patterns a dense associative memory of degree k stores without errors.

    n^(k-1) / (2 (2k-3)!! ln n). Degree 2 is the Hopfield network. The formula holds for k far below
    n. It decreases beyond n / 2, so larger degrees are refused.

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
    log = (degree - 1) * math.log(bits) - math.log(2) - odd - math.log(math.log(bits))
    return _count(unit, log)


@door("capacity.exponential")
def exponential(bits: int, share: float = 0.0, unit: str = "count") -> float:
    """Return 2^(n (1 - h2(share)) / 2), the limit of a memory with exponential energy.

    Any number of patterns with a smaller exponent is stored almost surely as n grows, when a share
    of the bits of a query is wrong. The exponent is half of ``rate``.

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
        Demircigil, Heusel, Löwe, Upgang and Vermet (2017), On a model of associative memory with
        huge storage capacity.
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    share = checks.number("share", share, 0.0, 0.5)
    unit = checks.choice("unit", unit, UNITS)
    return _count(unit, bits * _rate(share) / 2 * math.log(2))


@door
def modern(
    dim: int, beta: float = 1.0, scale: float = 1.0, failure: float = 0.001, unit: str = "count"
) -> Modern:
    """Return a lower bound of how many random patterns a modern Hopfield network stores.

    For patterns on a sphere of radius K sqrt(d - 1), N >= sqrt(p) c^((d - 1) / 4) with probability
    1 - p, where c = b / W(e^a b), a = 2 / (d - 1) (1 + ln(2 beta K^2 p (d - 1))),
    b = 2 beta K^2 / 5, and W is Lambert's function.

    Args:
        dim: dimension d, >= 2.
        beta: inverse temperature, which multiplies dot products, > 0.
        scale: K, > 0.
        failure: the probability p that the bound does not hold, above 0 and up to 1.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        a ``Modern``: the base c, and the number of patterns, or its logarithm.

    Raises:
        InputError: an argument is out of range; the bound is below two patterns; or the number is
            beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> found = capacity.modern(20, scale=3.0)
        >>> round(found.base, 4), round(found.patterns, 1)
        (3.1546, 7.4)

    Source:
        Ramsauer et al. (2021), Hopfield networks is all you need, theorem 3.
    """
    from scipy.special import wrightomega

    dim = checks.integer("dim", dim, 2, _inputs.PATTERNS)
    beta = checks.number("beta", beta, 0.0, open_low=True)
    log_scale = math.log(checks.number("scale", scale, 0.0, open_low=True))
    log_failure = math.log(checks.number("failure", failure, 0.0, 1.0, open_low=True))
    unit = checks.choice("unit", unit, UNITS)
    log_beta = math.log(beta)
    log_b = math.log(2 / 5) + log_beta + 2 * log_scale
    a = 2 / (dim - 1) * (1 + math.log(2 * (dim - 1)) + log_beta + 2 * log_scale + log_failure)
    # W(e^x) is Wright's omega function of x, which does not overflow. It may underflow, where its
    # logarithm is x - W; for large x that difference would lose its digits.
    inner = float(wrightomega(a + log_b))
    log_base = log_b - (math.log(inner) if inner > 1 else a + log_b - inner)
    log = log_failure / 2 + (dim - 1) / 4 * log_base
    if log < math.log(2):
        do = "give a larger one, or a larger beta or scale"
        refuse("dim", must="large enough for a bound of two patterns", got=str(dim), do=do)
    base = _inputs.count("beta", "of a size for which a float holds c", f"{beta:g}", log_base)
    return Modern(base, _count(unit, log))


@door("capacity.kernel")
def kernel(dim: int, beta: float, unit: str = "log2") -> float:
    r"""Estimate how many random unit vectors a Gaussian kernel density holds as modes of their own.

    .. math:: \log N = \beta - \log E[e^{\beta t}], \quad
        E[e^{\beta t}] = \Gamma(D / 2) (2 / \beta)^{D/2 - 1} I_{D/2 - 1}(\beta)

    A row is held while the weight exp(beta cos) of the others, summed, is below that of the row
    itself, exp(beta); t is the cosine of two random unit vectors. The estimate is annealed: the sum
    is replaced by its mean. On the unit sphere a kernel density of the variance 1 / beta, a modern
    Hopfield network and attention are the same read, so the number is that of all three. The
    measured one is one to four bits lower where a mode has to be within 0.1 of its row.

    With a fixed beta the number saturates at e^beta as the dimension grows. It grows exponentially
    in the dimension where beta is proportional to it: on a sphere of radius sqrt(D) at a fixed
    standard deviation of the kernels.

    Args:
        dim: dimension D of the unit sphere, >= 1.
        beta: inverse temperature, 1 / sigma^2 of the kernels, from 0 to 1e300.
        unit: ``"count"``, or ``"log2"`` for the logarithm to base two, which is never too large.

    Returns:
        a number of rows, not rounded, or its logarithm.

    Raises:
        InputError: an argument is out of range, or the number is beyond the range of floats.

    Example:
        >>> from kanerva.theory import capacity
        >>> round(capacity.kernel(16, 10.0), 2), round(capacity.kernel(16, 10.0, "count"))
        (10.49, 1434)

    Source:
        derived here as for the random energy model, in the manner of Lucibello and Mézard (2024),
        Exponential capacity of dense associative memories; ``modern`` is a bound by a theorem.
    """
    dim = checks.integer("dim", dim, 1, checks.BITS)
    beta = checks.number("beta", beta, 0.0, 1e300)
    unit = checks.choice("unit", unit, UNITS)
    return _count(unit, beta - float(log_mean(dim, np.array([beta]))[0]))


def squared_quantile(bits: int, fidelity: float) -> float:
    """Return z^2 for z = Phi^-1(q^(1/n)), where a word of n bits is right with probability q."""
    from scipy.special import ndtri

    fidelity = checks.number("fidelity", fidelity)
    if not 2.0**-bits < fidelity < 1:
        do = "give the probability that a whole pattern is read correctly, such as 0.5"
        refuse("fidelity", must=f"above 2**-{bits} and below 1", got=f"{fidelity:g}", do=do)
    square = float(ndtri(-math.expm1(math.log(fidelity) / bits))) ** 2
    if square < 1e-20:
        must = f"above 2**-{bits} by more than rounding"
        refuse("fidelity", must=must, got=f"{fidelity:g}", do="give a larger one")
    return square


def log_others(log_share: float, log_locations: float, square: float) -> float:
    """Return ln(m - 1) at the ratio z, for p r >= z^2.

    m - 1 = (r / z^2) (1 - z^2 / (p r)) / (1 + p^2 r).
    """
    rest = square * math.exp(-log_share - log_locations)
    log_signal = math.log1p(-rest) if rest < 1 else -math.inf
    log_shared = float(np.logaddexp(0, 2 * log_share + log_locations))
    return log_locations - math.log(square) + log_signal - log_shared


def _log_snr(bits: int, radius: int, patterns: int, locations: int | float) -> float:
    bits = checks.integer("bits", bits, 1, checks.BITS)
    patterns = checks.integer("patterns", patterns, 1, _inputs.PATTERNS)
    log_share = circle.log_activation(bits, radius)
    log_locations = _inputs.log_locations(bits, locations)
    log_rest = math.log(patterns - 1) if patterns > 1 else -math.inf
    # s^2 / (p r) = 1 + (m - 1) (p + p^3 r)
    log_noise = log_rest + log_share + float(np.logaddexp(0, 2 * log_share + log_locations))
    return (log_share + log_locations - float(np.logaddexp(0, log_noise))) / 2


def _rate(share: float) -> float:
    rest = 1 - share
    return 1 + (share * math.log2(share) if share else 0.0) + rest * math.log2(rest)


def _count(unit: str, log: float) -> float:
    """Return e^log in the given unit."""
    if unit == "log2":
        return log / math.log(2)
    return _inputs.count("unit", "'log2' for so large a number", "'count'", log)
