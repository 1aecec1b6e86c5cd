"""The distance to a stored pattern after one read of sparse distributed memory.

A query d bits away from a stored pattern activates I(d) locations that the pattern activated too.
They are the signal; the locations shared with the other patterns are the noise. One read gives a
state D(d) bits away from the pattern. Below the critical distance D(d) < d, and repeated reads
converge to the pattern; above it they diverge.

The contribution of the other patterns is modelled as normal noise, by one of several models. All
take locations, patterns and queries to be random and independent. The computation uses logarithms,
so any number of locations is allowed.
"""

import math

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.theory import _inputs, _logs, circle

__all__ = ["NOISES", "crossing", "curve", "distance"]

NOISES = ("autoassociative", "heteroassociative", "independent", "kanerva")
OVERLAPS = ("exact", "kanerva1988")
Curve = Float64[np.ndarray, "distances"]
# A deviation, in standard deviations, that no noise exceeds.
CERTAIN = 300.0


@door("critical.curve")
def curve(
    bits: int,
    radius: int,
    patterns: int,
    locations: int | float = math.inf,
    noise: str = "autoassociative",
    overlap: str = "exact",
    activation: float | None = None,
) -> Curve:
    """Return D(d), the mean distance from a stored pattern after one read, for every distance d.

    With n bits, m patterns, r locations, p the share of them that a query activates, and I(k) the
    mean number of locations that two queries k bits apart both activate, the models of the noise
    are:

    * ``"autoassociative"``: each pattern is its own value. Patterns near the query have larger
      weights and resemble it, which biases the read towards the query by B. With E the mean over a
      random pattern, k bits away, B = (m - 1) E[I(k) (1 - 2 k / n)] and s^2 = (m - 1) E[I(k) +
      I(k)^2] - B^2 / (m - 1) + I(d), D(d) = (n - d) Phi(-(I(d) + B) / s) + d Phi(-(I(d) - B) / s).
    * ``"heteroassociative"``: values are independent of the keys, so B = 0 and
      D(d) = n Phi(-I(d) / s).
    * ``"independent"``: the same with all other patterns n / 2 away,
      s^2 = I(d) + (m - 1) (I(n/2) + I(n/2)^2).
    * ``"kanerva"``: D(d) = n Phi(-I(d) / s), s^2 = p^2 r m (1 + h^2 r / (4 p^2 n)). Here
      h = exp(-c^2) / pi is the slope of the continuous overlap in k / n at 1/2; it accounts for the
      spread of the weights of the other patterns. For a radius R, c = (2 R - n) / sqrt(n) and p is
      the overlap at distance 0; for a given p, c = Phi^-1(p).

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, 0 to ``bits``, and up to ``bits // 2`` for
            ``overlap="kanerva1988"``.
        patterns: how many patterns m are stored, including the target, >= 1.
        locations: how many locations r, >= 1; ``math.inf`` is one at each of the 2^n points.
        noise: one of the four names above.
        overlap: how I is computed: ``"exact"``, or Kanerva's continuous formula ``"kanerva1988"``.
        activation: p, above 0 and up to 0.5, for Kanerva's two formulas: the noise ``"kanerva"``
            and the overlap ``"kanerva1988"``. They compute it from the radius if left out.

    Returns:
        ``(bits + 1,)`` distances in bits, float64. For a query that activates no location of any
        pattern the read is random, n / 2.

    Raises:
        InputError: an argument is out of range, or an activation is given and neither of the two
            formulas is chosen.

    Example:
        >>> from kanerva.theory import critical
        >>> critical.curve(1000, 451, 10_000, 1_000_000)[[50, 100, 200, 300]].round(1)
        array([  0.9,  21.8, 173.9, 329.8])

    Source:
        Kanerva (1988), Sparse Distributed Memory, for ``"kanerva"``; Bricken and Pehlevan (2021),
        Attention approximates sparse distributed memory, for ``"independent"``. The bias towards
        the query is a remark of Jaeckel, reported by Kanerva (1993), Sparse distributed memory and
        related models; its formula is derived here.
    """
    return _curve(bits, radius, patterns, locations, noise, overlap, activation)


@door("critical.distance")
def distance(
    bits: int,
    radius: int,
    patterns: int,
    locations: int | float = math.inf,
    noise: str = "autoassociative",
    overlap: str = "exact",
    activation: float | None = None,
) -> int:
    """Return the critical distance: the largest d <= n / 2 such that D(k) < k for all 1 <= k <= d.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, as in ``curve``.
        patterns: how many patterns are stored, >= 1.
        locations: how many locations, >= 1; ``math.inf`` is one at each of the 2^n points.
        noise: the model of the noise, as in ``curve``.
        overlap: ``"exact"`` or ``"kanerva1988"``, as in ``curve``.
        activation: the share p for Kanerva's formulas, as in ``curve``.

    Returns:
        a distance in bits; 0 where no read comes nearer.

    Raises:
        InputError: as in ``curve``.

    Example:
        >>> from kanerva.theory import critical
        >>> memory = (1000, 451, 10_000, 1_000_000)
        >>> critical.distance(*memory), critical.distance(*memory, noise="independent")
        (234, 164)

    Source:
        Kanerva (1988), Sparse Distributed Memory; Bricken and Pehlevan (2021), for this definition.
    """
    return _last(_curve(bits, radius, patterns, locations, noise, overlap, activation))


@door("critical.crossing")
def crossing(
    bits: int,
    radius: int,
    patterns: int,
    locations: int | float = math.inf,
    noise: str = "autoassociative",
    overlap: str = "exact",
    activation: float | None = None,
) -> float:
    """Return the first d with D(d) = d: the critical distance as a real number.

    It lies less than one bit beyond ``distance``, by linear interpolation between integer
    distances. Kanerva's 209 is this number.

    Args:
        bits: dimension n, >= 1.
        radius: of reads and writes, as in ``curve``.
        patterns: how many patterns are stored, >= 1.
        locations: how many locations, >= 1; ``math.inf`` is one at each of the 2^n points.
        noise: the model of the noise, as in ``curve``.
        overlap: ``"exact"`` or ``"kanerva1988"``, as in ``curve``.
        activation: the share p for Kanerva's formulas, as in ``curve``.

    Returns:
        a distance in bits; 0 where no read comes nearer, and ``bits // 2`` where all up to that
        distance do.

    Raises:
        InputError: as in ``curve``.

    Example:
        >>> from kanerva.theory import critical
        >>> kanerva1988 = {"noise": "kanerva", "overlap": "kanerva1988", "activation": 0.001}
        >>> round(critical.crossing(1000, 451, 10_000, 1_000_000, **kanerva1988), 2)
        208.98

    Source:
        Kanerva (1988), Sparse Distributed Memory: 209 bits for 10,000 patterns.
    """
    after = _curve(bits, radius, patterns, locations, noise, overlap, activation)
    last = _last(after)
    if last in (0, bits // 2):
        return float(last)
    left, beyond = last - after[last], after[last + 1] - (last + 1)
    return float(last + left / (left + beyond))


def _last(after: Curve) -> int:
    """Return the largest distance, up to half the bits, up to which every read comes nearer."""
    half = (after.size - 1) // 2
    nearer = after[1 : half + 1] < np.arange(1, half + 1)
    return int(half if nearer.all() else nearer.argmin())


def _curve(
    bits: int,
    radius: int,
    patterns: int,
    locations: int | float,
    noise: str,
    overlap: str,
    activation: float | None,
) -> Curve:
    from scipy.special import ndtr, ndtri

    bits = checks.integer("bits", bits, 1, checks.BITS)
    patterns = checks.integer("patterns", patterns, 1, _inputs.PATTERNS)
    noise = checks.choice("noise", noise, NOISES)
    continuous = checks.choice("overlap", overlap, OVERLAPS) == "kanerva1988"
    log_locations = _inputs.log_locations(bits, locations)
    if activation is not None:
        if not continuous and noise != "kanerva":
            do = "leave it out, or choose noise 'kanerva' or overlap 'kanerva1988'"
            refuse("activation", activation, must="left out for exact overlaps", do=do)
        activation = checks.number("activation", activation, 0.0, 0.5, open_low=True)
    log_shares = circle.log_fraction(
        bits, radius, method=overlap, activation=activation if continuous else None
    )
    log_shared = log_shares + log_locations
    log_pull = -math.inf
    if noise == "kanerva":
        log_share, c = float(log_shares[0]), (2 * radius - bits) / math.sqrt(bits)
        if activation is not None:
            log_share, c = math.log(activation), float(ndtri(activation))
        log_square = _kanerva(bits, patterns, log_locations, log_share, c)
    elif noise == "independent":
        log_square = _independent(log_shared, patterns)
    else:
        log_pull, log_square = _associative(log_shared, patterns, noise == "autoassociative")
    signal, pull = _ratio(log_shared, log_square), _ratio(log_pull, log_square)
    distance = np.arange(bits + 1)
    return (bits - distance) * ndtr(-(signal + pull)) + distance * ndtr(pull - signal)


def _kanerva(bits: int, patterns: int, log_locations: float, log_share: float, c: float) -> Curve:
    """Return ln s^2 of Kanerva's noise, which is the same at every distance."""
    log_h = -c * c - math.log(math.pi)
    spread = 2 * (log_h - log_share) + log_locations - math.log(4 * bits)
    log_square = 2 * log_share + log_locations + math.log(patterns) + float(np.logaddexp(0, spread))
    return np.full(bits + 1, log_square)


def _independent(log_shared: Curve, patterns: int) -> Curve:
    """Return ln s^2 at every distance for other patterns that are all n / 2 bits away."""
    half = float(log_shared[(log_shared.size - 1) // 2])
    return np.logaddexp(log_shared, _log_others(patterns) + np.logaddexp(half, 2 * half))


def _associative(log_shared: Curve, patterns: int, pulls: bool) -> tuple[float, Curve]:
    """Return ln B, and ln s^2 at every distance, from moments of the overlap with one pattern."""
    bits, others = log_shared.size - 1, _log_others(patterns)
    k = np.arange(bits + 1)
    log_chance = _logs.binomial(bits, bits, k)
    log_square = _logs.total(log_chance + np.logaddexp(log_shared, 2 * log_shared))
    log_pull = -math.inf
    if pulls:
        # Patterns at k and at n - k are equally likely and bias the read in opposite directions.
        near = k[: (bits + 1) // 2]
        log_gain = _logs.difference(log_shared[near], log_shared[bits - near])
        log_pull = _logs.total(log_chance[near] + np.log1p(-2 * near / bits) + log_gain)
    variance = float(_logs.difference(log_square, 2 * log_pull))
    return others + log_pull, np.logaddexp(others + variance, log_shared)


def _ratio(log_part: Curve | float, log_square: Curve | float) -> Curve:
    """Return part / s, and 0 where the part is 0, even if s is 0 too."""
    part = np.asarray(log_part)
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(part), 0.0, np.exp(np.minimum(part - log_square / 2, CERTAIN)))


def _log_others(patterns: int) -> float:
    return math.log(patterns - 1) if patterns > 1 else -math.inf
