"""Baldi and Vershynin 2022: how many functions each gated unit computes."""

from collections.abc import Iterator
from typing import Any

from kanerva.lab.papers._common import LAW, SEPARATE, table
from kanerva.lab.papers.baldi2022._units import (
    FEW,
    UNITS,
    Degree,
    Inputs,
    Unit,
    bounded,
    named,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["gates"]

# The number of functions by inputs; 0 where no other code counted them.
COUNTS = table("""
unit       one  two  three  four    five
threshold  4    14   104    1882    94572
and        4    16   246    32506   44642388
product    4    16   254    54310   387698944
multiplex  4    16   256    52166   0
synapse    4    16   252    34944   0
any        4    16   254    51942   0
sign       4    16   254    46902   0
step       4    14   144    9722    0
masked     9    71   2373   483339  774838113
shared     16   256  63724  0       0
shared01   16   242  35846  0       0
layer      4    16   254    41614   0
""")
NUMBERS = ("one", "two", "three", "four", "five")
# Functions of four inputs that no single unit of degree 2 computes.
OUTSIDE = {"and": 0, "product": 0, "sign": 0, "multiplex": 6616, "any": 960}
# The largest number of inputs with which parity is computed.
PARITY = {"product": 2, "multiplex": 3, "any": 2, "sign": 2, "step": 1}
# Counted at five inputs.
FIVE = tuple(unit for unit in UNITS if unit not in ("shared", "shared01"))
GATED = ("and", "product", "multiplex")


def _checks() -> Iterator[Check]:
    for row in COUNTS:
        unit = row["unit"]
        for inputs, number in enumerate(NUMBERS, 1):
            what = f"{UNITS[unit][2]}, {inputs} inputs: functions"
            at = {"unit": unit, "inputs": inputs, "degree": 1}
            if row[number]:
                yield Check(what, "functions", row[number], 0, SEPARATE, at)
    for unit, expected in OUTSIDE.items():
        what = f"{UNITS[unit][2]}, 4 inputs: functions that no unit of degree 2 computes"
        yield Check(
            what, "outside", expected, 0, SEPARATE, {"unit": unit, "inputs": 4, "degree": 1}
        )
    for unit, most in PARITY.items():
        for inputs in (2, 3, 4):
            what = f"{UNITS[unit][2]}, {inputs} inputs: parity is computed (1) or not (0)"
            at = {"unit": unit, "inputs": inputs, "degree": 1}
            yield Check(what, "parity", int(inputs <= most), 0, SEPARATE, at)
    for unit in GATED:
        what = f"{UNITS[unit][2]}, 3 inputs, degree 2: functions"
        yield Check(what, "functions", 256, 0, LAW, {"unit": unit, "inputs": 3, "degree": 2})
    what = "counts between their lower and upper bounds, of all"
    yield Check(what, "inside", 1, 0, LAW, aggregate="min")
    what = "gate of 0 and 1 on all synapses, 2 inputs: functions more than one unit"
    at, less = ({"unit": unit, "inputs": 2, "degree": 1} for unit in ("step", "threshold"))
    yield Check(what, "functions", 0, 0, SEPARATE, at, less=less)


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.baldi2022 import _bits

    return _bits.drawn(rows)


QUICK: list[Cell] = [
    *grid(unit=tuple(UNITS), inputs=(1, 2, 3, 4), degree=1),
    *grid(unit=("threshold", *GATED), inputs=(3, 4), degree=2),
]


@recipe(
    "quarks.gates",
    "How many functions each gated unit computes",
    "baldi2022",
    "for the units; the counts are not in the publication",
    quick=QUICK,
    paper=[*QUICK, *grid(unit=FIVE, inputs=5, degree=1)],
    checks=_checks(),
    draw=_draw,
)
def gates(unit: Unit, inputs: Inputs, degree: Degree = 1) -> Iterator[Row]:
    """Count the functions of n inputs that two threshold units compute with each kind of gate.

    ``functions`` is the exact number and ``bits`` its logarithm to base 2. ``share`` is the part of
    all functions with such outputs: two values, three for ``masked``, or four for ``shared``.
    ``parity`` is 1 where parity is among them, and ``outside`` the number of those that no single
    unit of degree 2 computes; both are empty where the functions are counted and not listed.
    ``lower`` and ``upper`` are bounds in bits that are proved for every n, ``leading`` the leading
    term as n grows, and ``inside`` is 1 where the capacity lies between the bounds.

    With 4 inputs one unit computes 1,882 of the 65,536 functions, AND of two units 32,506 and their
    product 54,310. What a gate adds depends on its values and on its place. A gate of 0 and 1 on
    all synapses, with a bias that is not gated, computes 9,722 functions, and with 2 inputs no more
    than a unit without a gate. AND and the product of two linear units of 4 inputs compute nothing
    that a single unit of degree 2 does not, but multiplexing computes 6,616 such functions, and all
    256 of 3 inputs, parity among them. Two hidden units without a gate compute AND and OR alone,
    41,614 functions. Two gated units of degree 2 compute all 65,536 functions of 4 inputs. There is
    not much left to gain, since one such unit computes 57,574.

    The counts of 5 inputs come from orbits under signed permutations. Those of AND, of the product
    and of ``masked`` were found with separate code, too; the others agree with lists of all
    functions up to 4 inputs alone. No publication is known that has any of them.
    """
    from kanerva.quarks import capacity

    name, options = named(unit)
    functions = capacity.count(name, inputs, degree, **options)
    values = {"masked": 3.0}.get(name, 4.0 if name == "shared" else 2.0)
    parity = outside = None
    if unit not in FEW and inputs <= 4:
        listed = capacity.functions(name, inputs, degree, **options)
        parity = int(_parity(inputs) in listed)
        single = capacity.functions("threshold", inputs, min(2, inputs))
        outside = len(listed.difference(single))
    yield {
        "functions": functions,
        "share": functions / values ** (2**inputs),
        "parity": parity,
        "outside": outside,
        **bounded(unit, inputs, degree, functions),
    }


def _parity(inputs: int) -> int:
    """Return the table of the product of all inputs."""
    negative = [bin(point).count("0") - 1 for point in range(2**inputs, 2 ** (inputs + 1))]
    return sum(1 << place for place, count in enumerate(negative) if count % 2 == 0)
