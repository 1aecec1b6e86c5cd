"""How counts grow with the tokens: exact polynomials, and where gates outnumber weights."""

import math
from collections.abc import Sequence
from fractions import Fraction

from kanerva._core import checks
from kanerva._core.errors import door, refuse

__all__ = ["Polynomial", "at", "crossing", "polynomial"]

# Coefficients of 1, n and n².
Polynomial = tuple[Fraction, Fraction, Fraction]


@door
def polynomial(lengths: Sequence[int], counts: Sequence[int]) -> Polynomial:
    """Return the polynomial of degree 2 through three counts, exactly.

    Args:
        lengths: three different numbers of tokens.
        counts: what was counted at each.

    Returns:
        the coefficients of 1, n and n².

    Raises:
        InputError: not three lengths and counts, or two equal lengths.

    Example:
        >>> from kanerva.lab import quarks
        >>> [int(part) for part in quarks.polynomial((1, 2, 3), (10, 21, 36))]
        [3, 5, 2]
    """
    whole = [checks.integer("lengths", one, 0) for one in lengths]
    if len(set(whole)) != 3 or len(whole) != 3 or len(counts) != 3:
        got = f"{len(whole)} lengths and {len(counts)} counts"
        refuse("lengths", got=got, must="three different ones, with a count each", do="give three")
    (a, b, c), (p, q, r) = whole, (checks.integer("counts", one, 0) for one in counts)
    # Newton's divided differences.
    first, second = Fraction(q - p, b - a), Fraction(r - q, c - b)
    square = (second - first) / (c - a)
    slope = first - square * (a + b)
    return p - slope * a - square * a * a, slope, square


def at(found: Polynomial, tokens: int) -> Fraction:
    """Return the value of a polynomial at a number of tokens."""
    return found[0] + found[1] * tokens + found[2] * tokens * tokens


@door
def crossing(gates: Sequence[int | Fraction], linear: Sequence[int | Fraction]) -> int | None:
    """Return the number of tokens from which on gates outnumber products by weights.

    Args:
        gates: how the gates grow: the coefficients of 1, n and n², as ``polynomial`` returns them.
        linear: how the products by weights grow.

    Returns:
        the smallest number n >= 1 such that there are more gates at n tokens and at any larger
        number; None where there is none.

    Example:
        >>> from kanerva.lab import quarks
        >>> quarks.crossing((0, 0, 2), (0, 100, 0))  # 2 n² and 100 n
        51
    """
    constant, slope, square = (
        Fraction(one) - other for one, other in zip(gates, linear, strict=True)
    )
    if square < 0 or (square == 0 and (slope < 0 or (slope == 0 and constant <= 0))):
        return None
    # From here on, the difference does not fall any more.
    low = 1 if square == 0 else max(1, math.ceil(-slope / (2 * square)))

    def more(tokens: int) -> bool:
        return constant + slope * tokens + square * tokens * tokens > 0

    if more(low):
        return low if low > 1 and not more(low - 1) else 1
    high = 2 * low
    while not more(high):
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if more(middle) else (middle, high)
    return high
