"""What k hidden threshold units and one output unit compute, without a gate, for n <= 4 inputs.

A unit of two inputs computes a constant, one input, AND or OR, of inputs and negated inputs. One of
three inputs computes besides these a AND (b OR c), a OR (b AND c), or the majority. More generally
f_1 * (f_2 * (... f_k)), with AND or OR for each star, is a threshold function of f_1 to f_k, whose
weights fall by halves: a decision list.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import UInt

from kanerva.quarks.capacity import _functions, _tables, _thresholds

__all__ = ["reached"]

# Tables in one row; the numbers of several rows differ.
Tables = UInt[np.ndarray, "_"]


@lru_cache(maxsize=16)
def reached(n: int, degree: int, hidden: int) -> Tables:
    """Return all functions of the network, in ascending order.

    Decision lists of at most k hidden units are computed by the network. With two hidden units they
    are all that it computes, and with three all but majorities. With more, at n <= 4, the lists
    already are all functions.
    """
    units = _thresholds.tables(n, degree)
    found = units
    for _ in range(hidden - 1):
        if len(found) == 2 ** (2**n):
            return found
        both = [
            _functions.combine(found, units, gate, n) for gate in (np.bitwise_and, np.bitwise_or)
        ]
        found = np.union1d(*both)
    if hidden == 3 and len(found) < 2 ** (2**n):
        found = np.union1d(found, _majorities(units, n))
    assert hidden <= 3 or n == 1 or len(found) == 2 ** (2**n), "lists do not suffice"
    return found


def _majorities(units: Tables, n: int) -> Tables:
    """Return the majorities of all triples of units."""
    found = np.zeros(2 ** (2**n), dtype=bool)
    classes = _tables.orbits(units, n, complement=True)
    assert classes is not None, "threshold functions are closed"
    for first in classes[0]:
        either, both = units | first, units & first
        for high, low in zip(either, both, strict=True):
            found[(units & high) | low] = True
    found |= found[::-1]  # complements
    return _tables.listed(_tables.closed(found, n), n)
