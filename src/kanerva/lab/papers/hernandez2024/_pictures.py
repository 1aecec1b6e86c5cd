"""Digits in a table, as words of 62 shades with a kind, and figures of them."""

import string

from kanerva.lab.papers._pictures import Grid, Shades

__all__ = ["WHITE", "drawn", "named", "shades", "word"]

WHITE = 16.0
SHADES = Shades(string.ascii_letters + string.digits, 0.0, WHITE)
word, shades = SHADES.word, SHADES.read
drawn = Grid(SHADES, (0.0, WHITE), gap=0.07, most=0.5, cells=64).drawn


def named(digit: int, sigma: float, s: float) -> str:
    """Return the title of a row: a digit, and the spread of its recalls.

    Example:
        >>> named(3, 0.05, 0.8).replace(chr(160), " ")
        'a 3, σ = 0.05, s = 0.8'
    """
    gap = "\N{NO-BREAK SPACE}"
    return f"a{gap}{digit}, σ{gap}={gap}{sigma:g}, s{gap}={gap}{s:.3g}"
