r"""An entropic associative memory after random patterns: what it accepts, and its entropy.

The memory is a table of n columns by m levels, which counts how often each level was stored in each
column. A cue misses a column where its level was never stored, and it is accepted where it misses
at most xi columns. Here N patterns and the cue have independent levels, each with probability 1/m.
Their columns are independent, and a column is missed with probability

.. math:: q = (1 - 1/m)^N

The entropy of a column is that of its counts divided by their sum. A binary memory marks a level
once, so that each of its K marked levels has the share 1/K.
"""

import math

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.theory import _inputs

__all__ = ["acceptance", "capacity", "entropy"]

LEVELS = 2**14  # Of a binary memory; with more of them the integral would take 100 MB and more.
WIDE = 1e6  # From this variance on, four terms of a series have all digits of a float.
STEP = 0.25  # Of the integral. Its error is about exp(-pi^2 / STEP).
# Ends of the integral, of which the first is divided by the levels; terms below it are left out.
LEAST, MOST = 1e-18, 45.0


@door("entropic.acceptance")
def acceptance(columns: int, levels: int, patterns: int, xi: int = 0) -> float:
    r"""Return the probability that a random cue is accepted after random patterns.

    .. math:: P = \sum_{k=0}^{\xi} \binom{n}{k} q^k (1 - q)^{n - k}, \quad q = (1 - 1/m)^N

    Args:
        columns: number n of columns, >= 1.
        levels: number m of levels, >= 1. With one level each column is met from the first pattern
            on.
        patterns: number N of stored patterns, >= 0.
        xi: the number of columns that an accepted cue may miss, 0 to ``columns``.

    Returns:
        the probability; 0 where it is below the range of floats.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> from kanerva.theory import entropic
        >>> round(entropic.acceptance(32, 16, 60), 4), round(entropic.acceptance(32, 16, 60, 2), 4)
        (0.5102, 0.9715)

    Source:
        Pineda, Fuentes and Morales (2021), An entropic associative memory; Pineda and Morales
        (2022), Weighted entropic associative memory, for the tolerance xi. The binomial
        distribution of the misses follows from the independence of the columns.
    """
    columns, levels = _sizes(columns, levels)
    patterns = checks.integer("patterns", patterns, 0, _inputs.PATTERNS)
    return _accepted(columns, levels, patterns, checks.integer("xi", xi, 0, columns))


@door("entropic.entropy")
def entropy(levels: int, patterns: int, cap: int | None = None) -> float:
    r"""Return the expected entropy of a column after random patterns.

    Of counts, and of a binary memory with K marked levels:

    .. math::
        H = \log_2 N - E \log_2(1 + B), \quad B \sim \text{Binomial}(N - 1, 1/m)

        H_1 = E \log_2 K = \log_2 m
        - \frac{1}{\ln 2} \int_0^\infty \frac{E (1 - R/m)^N - e^{-m t}}{t} \, dt, \quad
        R \sim \text{Binomial}(m, 1 - e^{-t})

    All terms have one sign, so that no digits cancel. Both grow with N towards the logarithm of m.

    Args:
        levels: number m of levels, >= 1; at most 16,384 for a binary memory.
        patterns: number N of stored patterns, >= 0. Without any the entropy is 0.
        cap: the largest count. None for none; 1 for a binary memory; or a number that is at least
            ``patterns``, which changes nothing.

    Returns:
        the entropy in bits a column.

    Raises:
        InputError: a number is out of range, or a count may reach a cap above one.

    Example:
        >>> from kanerva.theory import entropic
        >>> round(entropic.entropy(16, 60), 4), round(entropic.entropy(16, 60, cap=1), 4)
        (3.8064, 3.9687)

    Source:
        Pineda, Fuentes and Morales (2021), An entropic associative memory, and Pineda and Morales
        (2022), Weighted entropic associative memory, define the entropies; the expectations follow
        from the binomial and the occupancy distribution (Feller 1968, An introduction to
        probability theory and its applications, chapter IV).
    """
    levels = checks.integer("levels", levels, 1, checks.LONGEST)
    patterns = checks.integer("patterns", patterns, 0, _inputs.PATTERNS)
    cap = patterns if cap is None else checks.integer("cap", cap, 1)
    if 1 < cap < patterns:
        must = f"None, 1, or at least {patterns}, the number of patterns"
        do = "leave it out for counts, or give 1 for a binary memory"
        refuse("cap", must=must, got=f"{cap}, which a count may reach", do=do)
    if levels == 1 or patterns < 2:
        return 0.0
    if cap >= patterns:
        return _counted(levels, patterns)
    if levels > LEVELS:
        must = f"at most {LEVELS} for a binary memory"
        refuse("levels", must=must, got=f"{levels}", do="give fewer, or leave the cap out")
    return _marked(levels, patterns)


@door("entropic.capacity")
def capacity(columns: int, levels: int, false: float, xi: int = 0) -> int:
    r"""Return how many random patterns can be stored before random cues are accepted too often.

    That is the largest N with ``acceptance(columns, levels, N, xi) <= false``. Without a tolerance

    .. math:: N = \left\lfloor \frac{\ln(1 - f^{1/n})}{\ln(1 - 1/m)} \right\rfloor

    which for small f is near :math:`m \ln(n / \ln(1/f))`: the capacity grows with the number of
    levels, and with the number of columns by its logarithm alone.

    Args:
        columns: number n of columns, >= 1.
        levels: number m of levels, >= 1. With one level each cue is accepted from the first pattern
            on, so that the capacity is 0.
        false: the probability f that a random cue is accepted, above 0 and below 1.
        xi: the number of columns that an accepted cue may miss, 0 to ``columns - 1``.

    Returns:
        the number of patterns, >= 0.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> from kanerva.theory import entropic
        >>> [entropic.capacity(n, m, 0.01) for n, m in ((64, 16), (64, 32), (1024, 16))]
        [41, 84, 83]

    Source:
        the probability of ``acceptance``, solved for the number of patterns.
    """
    columns, levels = _sizes(columns, levels)
    false = checks.number("false", false, 0.0, 1.0, open_low=True)
    if false == 1:
        must, do = "below 1", "give a smaller one: any number of patterns would do"
        refuse("false", must=must, got="1", do=do)
    do = "allow fewer: a cue that may miss all columns is accepted by an empty memory, too"
    xi = checks.integer("xi", xi, 0, columns - 1, do)
    low, high = 0, 1
    while _accepted(columns, levels, high, xi) <= false:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _accepted(columns, levels, middle, xi) <= false:
            low = middle
        else:
            high = middle
    return low


def _sizes(columns: int, levels: int) -> tuple[int, int]:
    """Check the size of a table."""
    columns = checks.integer("columns", columns, 1, checks.LONGEST)
    return columns, checks.integer("levels", levels, 1, checks.LONGEST)


def _accepted(columns: int, levels: int, patterns: int, xi: int) -> float:
    """Return P(misses <= xi), from whichever of q and 1 - q has all its digits."""
    from scipy.special import betainc, betaincc

    if xi == columns:
        return 1.0
    step = math.log1p(-1 / levels) if levels > 1 else -math.inf
    log = patterns * step if patterns else 0.0  # ln q
    if log < -math.log(2):
        return float(betaincc(xi + 1.0, float(columns - xi), math.exp(log)))
    return float(betainc(float(columns - xi), xi + 1.0, -math.expm1(log)))


def _counted(levels: int, patterns: int) -> float:
    """Return -E log2((1 + B) / N), the sum over the values of B that have any probability."""
    from scipy.stats import binom

    share = 1 / levels
    others = patterns - 1
    mean = others * share
    variance = mean * (1 - share)
    if variance > WIDE:
        third = variance * (1 - 2 * share)
        fourth = variance * (3 * variance + 1 - 6 * share * (1 - share))
        a = 1 + mean
        series = variance / a**2 / 2 - third / a**3 / 3 + fourth / a**4 / 4
        return (series - math.log(a / patterns)) / math.log(2)
    reach = 10 * math.sqrt(variance) + 100
    b = np.arange(max(0, math.floor(mean - reach)), min(others, math.ceil(mean + reach)) + 1)
    weight = binom.pmf(b, others, share)
    return float(-(weight * np.log2((1 + b) / patterns)).sum() / weight.sum())


def _marked(levels: int, patterns: int) -> float:
    """Return E log2 K by the trapezoidal rule in ln t.

    E (1 - R/m)^N is E e^(-t K): the integral is that of Frullani for the logarithm of K/m. The term
    for R = 0 is e^(-m t), and is left out of the sum in place of a difference.
    """
    from scipy.stats import binom

    start, end = math.log(LEAST / levels), math.log(MOST)
    missing = np.arange(1, levels)
    kept = np.exp(patterns * np.log1p(-missing / levels))
    some = kept > LEAST
    missing, kept = missing[some], kept[some]
    places = np.exp(np.arange(start, end, STEP))
    chance = binom.pmf(missing, levels, -np.expm1(-places)[:, None])
    return max(0.0, math.log2(levels) - STEP * float((chance @ kept).sum()) / math.log(2))
