"""Digits in a table, as words of 62 shades, and figures of them."""

import string

from kanerva.lab.papers._pictures import Grid, Shades

__all__ = ["HIGH", "LOW", "drawn", "shades", "word"]

# Cells are from 0 to 1; noise goes beyond.
LOW, HIGH = -0.5, 1.5
SHADES = Shades(string.digits + string.ascii_letters, LOW, HIGH)
word, shades = SHADES.word, SHADES.read
drawn = Grid(SHADES, (-0.15, 1.15)).drawn
