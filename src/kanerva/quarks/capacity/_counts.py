"""Numbers of functions that are not listed: of two outputs, of three values, and of five inputs."""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt

from kanerva.quarks.capacity import _functions, _gates, _orbits, _tables, _thresholds

__all__ = ["and_or", "masked", "multiplex", "pairs", "product", "shared", "synapse", "synapses"]

# Tables in one row; the numbers of several rows differ.
Tables = UInt[np.ndarray, "_"]


def _classes(
    n: int, degree: int = 1, *, complement: bool = False, kept: int = 0
) -> Iterator[tuple[np.unsignedinteger, int]]:
    """Yield one threshold function of each class, and the size of the class."""
    units = _thresholds.tables(n, degree)
    found = _tables.orbits(units, n, complement=complement, kept=kept)
    assert found is not None, "threshold functions are closed under signed permutations"
    for table, size in zip(*found, strict=True):
        yield table, int(size)


def masked(n: int, degree: int) -> int:
    """Count the functions of -1, 0 and 1: the gate is where it is not 0, n <= 5.

    For each gate these are the different restrictions of threshold functions to the points where
    the gate is 1, as many for each gate of a class.
    """
    units = _thresholds.tables(n, degree)
    return sum(size * len(np.unique(units & gate)) for gate, size in _classes(n, degree))


def shared(n: int, degree: int, gate: str) -> int:
    """Count the pairs (f_1 g, f_2 g), or those of f AND g, n <= 4.

    For one first output of each class, all gates are found that can have made it, and then the
    second outputs of these gates.
    """
    units = _thresholds.tables(n, degree)
    operation = np.bitwise_xor if gate == "sign" else np.bitwise_and
    first = _tables.orbits(_functions.combine(units, units, operation, n), n)
    assert first is not None, "a class of gates is closed under signed permutations"
    is_unit, total = _tables.flags(units, n), 0
    for table, size in zip(*first, strict=True):
        possible = is_unit[units ^ table] if gate == "sign" else (units & table) == table
        found = np.zeros(len(is_unit), dtype=bool)
        for one in units[possible]:
            second = operation(units, one)
            if gate == "sign" or (second == table).any():
                found[second] = True
                if found.all():
                    break
        total += int(size) * int(found.sum())
    return total


def pairs(n: int) -> int:
    """Count the functions f AND g, n <= 5."""
    units = _thresholds.tables(n, 1)
    return _orbits.total((units & gate for gate, _ in _classes(n)), _orbits.Group(n))


def and_or(n: int) -> int:
    """Count the functions f AND g and their complements, n <= 5."""
    units = _thresholds.tables(n, 1)
    group = _orbits.Group(n, complement=True)
    return _orbits.total((units & gate for gate, _ in _classes(n)), group)


def product(n: int) -> int:
    """Count the functions f g, n <= 5."""
    units = _thresholds.tables(n, 1)
    made = (units ^ gate for gate, _ in _classes(n, complement=True))
    return _orbits.total(made, _orbits.Group(n, complement=True))


def multiplex(n: int) -> int:
    """Count the functions h(x, g(x)), n <= 5.

    Where the weight v of g is positive, h(x, g(x)) is h(x, -1) or, at the points where g is 1,
    h(x, 1). The attended unit is taken from each class of n + 1 inputs, with each choice of v and
    of the bias, and with positive weights in one order, since moves change the others. A bias of
    the other sign gives the complement.
    """
    made = _multiplexed(n, _thresholds.tables(n, 1))
    return _orbits.total(made, _orbits.Group(n, complement=True))


def _multiplexed(n: int, units: Tables) -> Iterator[Tables]:
    points, kind = _tables.monomials(n, 1)[:, 1:], _tables.dtype(n)
    for weights, sums in zip(*_thresholds.classes(n + 1), strict=True):
        chosen = {(sums[i], sums[j]): (i, j) for i, j in itertools.permutations(range(n + 2), 2)}
        for own, bias in chosen.values():
            plain = weights[bias] + points @ np.delete(weights, [own, bias])
            both = np.stack([plain + weights[own], plain - weights[own]])
            high, low = _thresholds.packed(both).astype(kind)
            yield np.unique(units & (high & ~low)) | low


def synapses(n: int, gate: str) -> int:
    """Count the functions with a gate on all synapses and none on the bias, n <= 5."""
    units, group = _thresholds.tables(n, 1), _orbits.Group(n, complement=True)
    if gate == "step":
        rare = _gates.minorities(n)
        return _orbits.total((rare & one for one, _ in _classes(n)), group)
    turned = _tables.opposite(units, n)
    # The opposite gate makes the opposite choice, which is that of another attended unit.
    gates = (one for one, _ in _classes(n, complement=True))
    return _orbits.total(((units & one) | (turned & ~one) for one in gates), group)


def synapse(n: int, which: int | str) -> int:
    """Count the functions with a gate on one synapse, n <= 5."""
    units, kept = _thresholds.tables(n, 1), 0 if which == "any" else 1
    # A named synapse is taken to be the first, which no move exchanges.
    turned = _tables.negate(n, 0)(units)
    gates = (one for one, _ in _classes(n, complement=True, kept=1))
    made = ((units & one) | (turned & ~one) for one in gates)
    return _orbits.total(made, _orbits.Group(n, complement=True, kept=kept))
