"""The size of a class of functions of five inputs, by orbits under signed permutations.

All functions of five inputs are 2^32, too many for a list or a flag each. A class that is closed
under signed permutations is the union of the orbits of a few functions: those that attended units
make with one attending unit of each orbit. Each of these is reduced to the least table of its
orbit; different least tables are different orbits, whose sizes are added. The size of an orbit is
the order of the group divided by the number of moves that leave the table as it is.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt

from kanerva.quarks.capacity import _tables

__all__ = ["Group", "total"]

# Tables in one row; the numbers of several rows differ.
Tables = UInt[np.ndarray, "_"]
# Tables that are moved at once, so that all buffers stay in the cache of a core.
BLOCK = 2**14
# Different tables are sought after so many have been made.
MADE = 2**21


class Group(NamedTuple):
    """Signed permutations of n variables, of which the first ``kept`` stay at their places.

    With ``complement`` a function is in the orbit of its complement.
    """

    n: int
    complement: bool = False
    kept: int = 0

    @property
    def order(self) -> int:
        """The number of moves."""
        return math.factorial(self.n - self.kept) * 2 ** (self.n + self.complement)


def total(made: Iterable[Tables], group: Group) -> int:
    """Return the number of functions in the orbits of some tables.

    Args:
        made: arrays of tables, with at least one table of each orbit.
        group: the moves under which the class is closed.
    """
    found = _distinct((_lowered(tables, group) for tables in made), group.n)
    least = np.unique(_least(found, group))
    return int((group.order // _fixed(least, group)).sum())


def _distinct(made: Iterable[Tables], n: int) -> Tables:
    """Return the different tables of many arrays, without holding all of them at once."""
    found, waiting, size = np.zeros(0, dtype=_tables.dtype(n)), [], 0
    for tables in made:
        waiting.append(tables)
        size += len(tables)
        if size > MADE:
            found, waiting, size = np.unique(np.concatenate([found, *waiting])), [], 0
    return np.unique(np.concatenate([found, *waiting]))


def _lowered(tables: Tables, group: Group) -> Tables:
    """Replace tables by others of their orbits, so that few different ones are left.

    The sums of the outputs times each variable are made >= 0 by changes of sign, and put in order
    by exchanges. Where no sum is 0 and no two are equal, that already is one table for each orbit.
    """
    tables, n = np.unique(tables), group.n
    full = tables.dtype.type(_tables.full(n))
    if group.complement:
        many = np.bitwise_count(tables) > 2 ** (n - 1)
        tables = np.unique(np.where(many, tables ^ full, tables))
    weights = []
    for variable in range(n):
        ones = np.bitwise_count(tables & _positive(n, variable)).astype(np.int8)
        weight = 2 * ones - np.bitwise_count(tables).astype(np.int8)
        tables = np.where(weight < 0, _tables.negate(n, variable)(tables), tables)
        weights.append(np.abs(weight))
    for last in range(n - 1, group.kept, -1):
        for place in range(group.kept, last):
            one, two = weights[place], weights[place + 1]
            moved = _tables.exchange(n, place, place + 1)(tables)
            tables = np.where(one < two, moved, tables)
            weights[place], weights[place + 1] = np.maximum(one, two), np.minimum(one, two)
    return np.unique(tables)


@lru_cache(maxsize=8)
def _positive(n: int, variable: int) -> np.unsignedinteger:
    """Return the table of a variable."""
    points = itertools.product((-1, 1), repeat=n)
    return _tables.dtype(n)(sum(1 << i for i, x in enumerate(points) if x[variable] > 0))


def _path(group: Group) -> Iterator[Callable[[Tables], Tables]]:
    """Yield moves, one after the other, that lead through all signed permutations of a group.

    Between two exchanges of neighbours, in the order of Steinhaus, Johnson and Trotter, the signs
    change in the order of Gray. The last move is left out: it leads to no new one.
    """
    n, kept = group.n, group.kept
    signs = [(step & -step).bit_length() - 1 for step in range(1, 2**n)]
    for place in [*_exchanges(n - kept), -1]:
        yield from (_tables.negate(n, variable) for variable in signs)
        if place >= 0:
            yield _tables.exchange(n, kept + place, kept + place + 1)


def _exchanges(n: int) -> Iterator[int]:
    """Yield the first places of exchanges of neighbours that lead through all orders."""
    if n < 2:
        return
    inner, down = [*_exchanges(n - 1)], True
    for index in range(math.factorial(n - 1)):
        yield from range(n - 2, -1, -1) if down else range(n - 1)
        if index < len(inner):
            # The item that moves is in front of the others after a way down.
            yield inner[index] + down
        down = not down


def _least(tables: Tables, group: Group) -> Tables:
    """Return the least table of the orbit of each table."""
    found = np.empty_like(tables)
    full, complement = tables.dtype.type(_tables.full(group.n)), group.complement
    for start in range(0, len(tables), BLOCK):
        some = tables[start : start + BLOCK]
        least = np.minimum(some, some ^ full) if complement else some.copy()
        for move in _path(group):
            some = move(some)
            np.minimum(least, some, out=least)
            if complement:
                np.minimum(least, some ^ full, out=least)
        found[start : start + BLOCK] = least
    return found


def _fixed(tables: Tables, group: Group) -> Int64[np.ndarray, "count"]:
    """Return how many moves of the group leave each table as it is."""
    found = np.ones(len(tables), dtype=np.int64)
    full, complement = tables.dtype.type(_tables.full(group.n)), group.complement
    for start in range(0, len(tables), BLOCK):
        first = some = tables[start : start + BLOCK]
        count = np.ones(len(some), dtype=np.int64)
        for move in _path(group):
            some = move(some)
            count += some == first
            if complement:
                count += (some ^ full) == first
        found[start : start + BLOCK] = count
    return found
