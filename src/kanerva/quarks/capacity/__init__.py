"""Capacity: how many Boolean functions a unit computes, alone and with a gate.

The capacity of a unit is the logarithm to base 2 of the number of functions of n inputs in {-1, 1}
that it computes as its weights vary. Here it is counted exactly where that is possible, and bounded
with a proof for every n; in between, ``estimate`` is an unbiased estimate of the number of
functions of one unit. The capacity is the number of bits that the choice of a function holds. It is
neither a VC dimension nor a measure of generalisation.
"""

from kanerva.quarks.capacity._bounds import Bounds, bounds
from kanerva.quarks.capacity._classes import count, functions
from kanerva.quarks.capacity._estimate import Estimate, estimate
from kanerva.quarks.capacity._functions import Functions
from kanerva.quarks.capacity._reach import reach

__all__ = [
    "Bounds",
    "Estimate",
    "Functions",
    "bounds",
    "count",
    "estimate",
    "functions",
    "reach",
]
