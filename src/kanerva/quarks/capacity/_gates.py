"""The functions of gated units of at most four inputs, listed by flags for all 2^(2^n) functions.

Each class is closed under signed permutations of the inputs, except that of a gate on one named
synapse. So one attending unit of each class is combined with all attended units, and the result is
completed by symmetry.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt

from kanerva.quarks.capacity import _cones, _functions, _tables, _thresholds

__all__ = ["LISTS", "halves", "minorities"]

# Tables in one row; the numbers of several rows differ.
Tables = UInt[np.ndarray, "_"]
Gated = Callable[[Any], Any]


def _representatives(n: int, degree: int, *, complement: bool = False) -> Tables:
    """Return one threshold function of each class under signed permutations."""
    found = _tables.orbits(_thresholds.tables(n, degree), n, complement=complement)
    assert found is not None, "threshold functions are closed under signed permutations"
    return found[0]


def _collected(gates: Iterable[Any], gated: Gated, n: int) -> Bool[np.ndarray, "count"]:
    """Flag the tables that attended units make with each attending one."""
    found = np.zeros(2 ** (2**n), dtype=bool)
    for gate in gates:
        found[gated(gate)] = True
    return found


def minorities(n: int) -> Tables:
    """Return the linear threshold functions that are 1 on at most half of the points."""
    tables = _thresholds.tables(n, 1)
    return tables[np.bitwise_count(tables) <= 2 ** (n - 1)]


def halves(n: int) -> tuple[Tables, Tables]:
    """Return the linear threshold functions h(x, y) of n + 1 inputs, as h(x, 1) and h(x, -1)."""
    tables, kind = _thresholds.tables(n + 1, 1), _tables.dtype(n)
    # Here y is the first variable, which changes slowest.
    high = (tables >> tables.dtype.type(2**n)).astype(kind)
    return high, (tables & tables.dtype.type(_tables.full(n))).astype(kind)


def _threshold(n: int, degree: int) -> Tables:
    return _thresholds.tables(n, degree)


def _and(n: int, degree: int) -> Tables:
    units = _thresholds.tables(n, degree)
    return _functions.combine(units, units, np.bitwise_and, n)


def _product(n: int, degree: int) -> Tables:
    units = _thresholds.tables(n, degree)
    # The class has the complement of each of its tables, so that XOR gives all of XNOR.
    return _functions.combine(units, units, np.bitwise_xor, n)


def _multiplex(n: int, degree: int) -> Tables:
    if degree >= n:
        return _tables.every(n)
    if degree > 1:
        return _polynomial_multiplex(n, degree)
    on, off = halves(n)
    # With -g for g and -y for y the functions are the same.
    gates = _representatives(n, 1, complement=True)
    found = _collected(gates, partial(_either, on=on, off=off), n)
    return _tables.listed(_tables.closed(found, n), n)


def _polynomial_multiplex(n: int, degree: int) -> Tables:
    """Find for one function of each class a unit whose output, as a feature, makes it possible."""
    everything, units = _tables.every(n), _thresholds.tables(n, degree)
    found = _tables.flags(units, n)
    classes = _tables.orbits(everything[~found], n, complement=True)
    assert classes is not None, "what no unit computes is closed, too"
    features = _tables.monomials(n, degree)
    for table in classes[0]:
        found[table] = _helped(int(table), units, features)
    found |= found[::-1]  # complements
    return _tables.listed(_tables.closed(found, n), n)


def _helped(table: int, units: Tables, features: Any, block: int = 256) -> bool:
    """Return whether a table is the sign of a sum of the features and the output of some unit."""
    places = np.arange(len(features), dtype=np.uint64)
    signs = np.where(np.uint64(table) >> places & np.uint64(1), 1.0, -1.0)
    for start in range(0, len(units), block):
        some = units[start : start + block].astype(np.uint64)
        outputs = np.where(some[:, None] >> places & np.uint64(1), 1.0, -1.0)
        shared = np.broadcast_to(features, (len(some), *features.shape))
        rows = np.concatenate([shared, outputs[:, :, None]], axis=2) * signs[None, :, None]
        if _cones.separable(rows).any():
            return True
    return False


def _synapse(n: int, which: int | str) -> Tables:
    """List the functions with a gate on one synapse: where it is -1, x_i has the other sign."""
    units = _thresholds.tables(n, 1)
    found = np.zeros(2 ** (2**n), dtype=bool)
    for place in range(n) if which == "any" else (int(which),):
        turned = _tables.negate(n, place)(units)
        found |= _collected(units, partial(_either, on=units, off=turned), n)
    return _tables.listed(found, n)


def _either(gate: Any, on: Tables, off: Tables) -> Tables:
    """Return one table where the gate is 1, and the other where it is not."""
    return (on & gate) | (off & ~gate)


def _synapses(n: int, gate: str) -> Tables:
    """List the functions with one gate on all synapses and none on the bias.

    A gate of -1 turns h(x) into h(-x). A gate of 0 leaves the bias: where it is negative the
    function is the gate AND one that is 1 on at most half of the points, since the activations at
    x and -x have the sum of twice the bias; where it is positive, the complement of such a one.
    """
    gates, units = _representatives(n, 1), _thresholds.tables(n, 1)
    if gate == "sign":
        turned = _tables.opposite(units, n)
        found = _collected(gates, partial(_either, on=units, off=turned), n)
    else:
        rare = minorities(n)
        found = _collected(gates, lambda one: rare & one, n)
        found |= found[::-1]  # complements
    return _tables.listed(_tables.closed(found, n), n)


def _layer(n: int, degree: int, hidden: int) -> Tables:
    from kanerva.quarks.capacity import _layers

    return _layers.reached(n, degree, hidden)


LISTS: Mapping[str, Callable[..., Tables]] = {
    "threshold": _threshold,
    "and": _and,
    "product": _product,
    "multiplex": _multiplex,
    "synapse": _synapse,
    "synapses": _synapses,
    "layer": _layer,
}
