"""A set of Boolean functions as sorted truth tables, and the gates that combine two sets."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Integer, UInt

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.quarks.capacity import _tables

__all__ = ["FLAGGED", "Functions", "combine"]

Gate = Callable[[Any, Any], Any]
# The most inputs for which a flag is kept for every function.
FLAGGED = 4


@dataclass(frozen=True, eq=False)
class Functions:
    r"""The Boolean functions that a unit computes as its weights vary.

    A function of n inputs in {-1, 1} is its truth table, an integer: bit i is the output at point i
    of ``itertools.product((-1, 1), repeat=n)``, 1 for the output +1 or "true".

    Operators are gates. Two sets F and G of functions of the same inputs give the set of what two
    units compute with that gate:

    .. math::
        F \mathbin{\&} G = \{f \wedge g\}, \quad F \mathbin{|} G = \{f \vee g\}, \quad
        F * G = \{f g\}, \quad \mathord{\sim} F = \{\neg f\}, \qquad f \in F, \; g \in G

    where ``*`` multiplies outputs of -1 and +1, so it is XNOR on bits. Methods named like those of
    ``set`` treat them as sets: ``union``, ``intersection``, ``difference``, and ``<=`` for subsets.

    Args:
        inputs: number n of inputs, 1 to 5.
        tables: truth tables in any order, unsigned integers or other integers from 0 to
            2^(2^n) - 1, shape ``(count,)``. They are sorted, and equal ones are kept once.

    Raises:
        InputError: the number of inputs is out of range, or a table is.
        InputTypeError: the tables are not integers.

    Example:
        >>> from kanerva.quarks.capacity import functions
        >>> unit = functions("threshold", 2)
        >>> len(unit), 0b1001 in unit  # all but two: equality of both inputs is not among them
        (14, False)
        >>> pair = unit * unit
        >>> len(pair), pair.bits, 0b1001 in pair
        (16, 4.0, True)
        >>> unit <= pair, len(unit & unit), len(unit.union(~unit))
        (True, 16, 14)
    """

    inputs: int
    tables: Integer[np.ndarray, "count"]

    @door
    def __post_init__(self) -> None:
        n = checks.integer("inputs", self.inputs, 1, FLAGGED + 1)
        given = self.tables
        must = f"integers from 0 to {_tables.full(n)} in one row"
        if not isinstance(given, np.ndarray) or given.dtype.kind not in "iu":
            do = "give an array of integers"
            refuse("tables", given, must=must, do=do, error=InputTypeError)
        if given.ndim != 1:
            refuse("tables", given, must=must, do="give them in one row")
        if len(given) and not 0 <= int(given.min()) <= int(given.max()) <= _tables.full(n):
            got = f"integers from {given.min()} to {given.max()}"
            refuse("tables", must=must, got=got, do=f"give tables of 2^{n} bits")
        tables = np.unique(given).astype(_tables.dtype(n))
        tables.setflags(write=False)
        checks.keep(self, inputs=n, tables=tables)

    def __len__(self) -> int:
        return len(self.tables)

    @property
    def bits(self) -> float:
        """The capacity: the logarithm of the number of functions to base 2; -inf of none."""
        return math.log2(len(self)) if len(self) else -math.inf

    @door("Functions")
    def __contains__(self, table: SupportsIndex) -> bool:
        wanted = checks.integer("table", table, 0, _tables.full(self.inputs))
        place = int(np.searchsorted(self.tables, self.tables.dtype.type(wanted)))
        return place < len(self) and int(self.tables[place]) == wanted

    @door("Functions")
    def __and__(self, other: "Functions") -> "Functions":
        return self._gated(other, np.bitwise_and)

    @door("Functions")
    def __or__(self, other: "Functions") -> "Functions":
        return self._gated(other, np.bitwise_or)

    @door("Functions")
    def __mul__(self, other: "Functions") -> "Functions":
        return self._gated(other, lambda f, g: ~(f ^ g) & f.dtype.type(_tables.full(self.inputs)))

    def __invert__(self) -> "Functions":
        return Functions(self.inputs, self.tables ^ self.tables.dtype.type(self._full))

    @property
    def _full(self) -> int:
        return _tables.full(self.inputs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Functions):
            return NotImplemented
        return self.inputs == other.inputs and np.array_equal(self.tables, other.tables)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Functions(inputs={self.inputs}, {len(self)} of {_tables.full(self.inputs) + 1})"

    @door("Functions")
    def __le__(self, other: "Functions") -> bool:
        return bool(np.isin(self.tables, self._same(other).tables, assume_unique=True).all())

    @door
    def union(self, other: "Functions") -> "Functions":
        """Return the functions that are in either set.

        Args:
            other: functions of as many inputs.

        Raises:
            InputError: the other functions have another number of inputs.

        Example:
            >>> from kanerva.quarks.capacity import functions
            >>> both = functions("and", 3)
            >>> len(both), len(both.union(~both))
            (246, 254)
        """
        return Functions(self.inputs, np.union1d(self.tables, self._same(other).tables))

    @door
    def intersection(self, other: "Functions") -> "Functions":
        """Return the functions that are in both sets.

        Args:
            other: functions of as many inputs.

        Raises:
            InputError: the other functions have another number of inputs.

        Example:
            >>> from kanerva.quarks.capacity import functions
            >>> both = functions("and", 3)
            >>> len(both.intersection(~both))
            238
        """
        return Functions(self.inputs, np.intersect1d(self.tables, self._same(other).tables))

    @door
    def difference(self, other: "Functions") -> "Functions":
        """Return the functions that are in this set and not in the other.

        Args:
            other: functions of as many inputs.

        Raises:
            InputError: the other functions have another number of inputs.

        Example:
            >>> from kanerva.quarks.capacity import functions
            >>> missed = functions("product", 2).difference(functions("threshold", 2))
            >>> [f"{table:04b}" for table in missed.tables]
            ['0110', '1001']
        """
        return Functions(self.inputs, np.setdiff1d(self.tables, self._same(other).tables))

    def _same(self, other: Any) -> "Functions":
        """Refuse what is not a set of functions of as many inputs."""
        checks.instance("other", other, Functions, "make it with functions", "Functions")
        if other.inputs != self.inputs:
            must, got = f"of {self.inputs} inputs, as the first are", f"of {other.inputs} inputs"
            refuse("other", must=must, got=got, do="give functions of as many inputs")
        return other

    def _gated(self, other: Any, gate: Gate) -> "Functions":
        other = self._same(other)
        if self.inputs > FLAGGED:
            must, got = f"of at most {FLAGGED} inputs", f"of {self.inputs} inputs: 2^32 tables"
            refuse("other", must=must, got=got, do="use count, which does not list the functions")
        return Functions(self.inputs, combine(self.tables, other.tables, gate, self.inputs))


def combine(
    first: UInt[np.ndarray, "first"], second: UInt[np.ndarray, "second"], gate: Gate, n: int
) -> UInt[np.ndarray, "count"]:
    """Return what a gate makes of all pairs of tables of n <= 4 inputs, in ascending order.

    Where both sets are closed under signed permutations, one function of each class of the first
    suffices, and the result is completed by symmetry.
    """
    one, two = _tables.orbits(first, n), _tables.orbits(second, n)
    symmetric = one is not None and two is not None
    found = np.zeros(2 ** (2**n), dtype=bool)
    for table in one[0] if one is not None and symmetric else first:
        found[gate(second, table)] = True
    return _tables.listed(_tables.closed(found, n) if symmetric else found, n)
