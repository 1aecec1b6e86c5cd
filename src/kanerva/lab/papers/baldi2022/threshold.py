"""Baldi and Vershynin 2022: how many functions one threshold unit computes."""

import math
from collections.abc import Iterator
from typing import Any

from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, SEPARATE
from kanerva.lab.papers.baldi2022._units import KNOWN, Degree, Inputs, bounded
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["threshold"]

ENCYCLOPEDIA = "the On-Line Encyclopedia of Integer Sequences, A000609"
LINEAR = {1: 4, 2: 14, 3: 104, 4: 1882, 5: 94572, 6: 15028134, 7: KNOWN[7]}
POLYNOMIAL = {(2, 2): 16, (3, 2): 254, (3, 3): 256, (4, 2): 57574, (4, 3): 65534, (4, 4): 65536}
BOUND = "upper bound, linear unit, {} inputs: bits"
# The bound of Schläfli on linear units.
SCHLAEFLI = {2: 14, 3: 128, 4: 3882, 5: 412736, 6: 151223522}


def _checks() -> Iterator[Check]:
    for inputs, expected in LINEAR.items():
        what, at = f"linear unit, {inputs} inputs: functions", {"inputs": inputs, "degree": 1}
        source = ENCYCLOPEDIA if inputs > 6 else SEPARATE
        yield Check(what, "functions", expected, 0, source, at)
    for (inputs, degree), expected in POLYNOMIAL.items():
        what, at = f"degree {degree}, {inputs} inputs: functions", {"inputs": inputs}
        source = SEPARATE if (inputs, degree) == (4, 2) else LAW
        yield Check(what, "functions", expected, 0, source, at | {"degree": degree})
    for inputs, expected in SCHLAEFLI.items():
        at = {"inputs": inputs, "degree": 1}
        yield Check(BOUND.format(inputs), "upper", math.log2(expected), 1e-9, SEPARATE, at)
    what = "counts between their lower and upper bounds, of all"
    yield Check(what, "inside", 1, 0, LAW, aggregate="min")
    at = {"inputs": 5, "degree": 1}
    what = "linear unit, 5 inputs: capacity over n², the least of all n"
    yield Check(what, "ratio", 0.6612, 5e-5, SEPARATE, at)


LINES = {"upper": "upper bound", "bits": "counted", "lower": "lower bound"}


def _draw(rows: list[Row]) -> Any:
    # Degrees of a single number of inputs make no line.
    known = {row["degree"] for row in rows}
    shown = [degree for degree in known if sum(row["degree"] == degree for row in rows) > 2]
    rows = [row for row in rows if row["degree"] in (shown or known)]
    drawn = [
        {"n": row["inputs"], "bits": row[column], "line": words, "panel": f"degree {row['degree']}"}
        for column, words in LINES.items()
        for row in sorted(rows, key=lambda row: (row["degree"], row["inputs"]))
    ]
    title, up = "One unit: each count lies between its bounds", "capacity, bits"
    frame = plot.Frame(title, "number n of inputs", up, dots=("counted",), across=2)
    return plot.lines(drawn, "n", "bits", frame, by="line", panel="panel")


QUICK: list[Cell] = [
    *grid(inputs=range(1, 7), degree=1),
    *grid(inputs=(2, 3, 4), degree=2),
    *grid(inputs=(3, 4), degree=3),
    *grid(inputs=4, degree=4),
]


@recipe(
    "quarks.threshold",
    "How many functions one threshold unit computes",
    "baldi2022",
    "for the capacity; the counts are not in the publication",
    quick=QUICK,
    paper=[*QUICK, *grid(inputs=7, degree=1)],
    checks=_checks(),
    draw=_draw,
)
def threshold(inputs: Inputs, degree: Degree = 1) -> Iterator[Row]:
    """Count the Boolean functions of n inputs that are the sign of a polynomial.

    ``functions`` is the exact number, ``bits`` its logarithm to base 2, which is the capacity, and
    ``ratio`` that divided by n to the power of the degree plus 1 and multiplied by the factorial of
    the degree, which goes to 1 as n grows. ``lower`` and ``upper`` are bounds in bits that are
    proved for every n, and ``inside`` is 1 where the capacity lies between them. ``share`` is the
    part of all 2^(2^n) functions.

    A linear unit of 4 inputs computes 1,882 of 65,536 functions, and one of 6 inputs 15,028,134. Of
    two inputs only equality and its complement are missing. The upper bound of Schläfli is 1.0 bit
    too large at 4 inputs, 2.1 bits at 5 and 3.3 at 6, the lower bound 1.6, 3.1 and 5.4 bits too
    small. The capacity over n² has its least value at 5 inputs, 0.661, and then rises slowly, so
    that the leading term n² cannot be found by a fit to such numbers. A unit of degree 2 computes
    57,574 functions of 4 inputs, 88 % of all. One of degree n - 1 lacks two functions alone, parity
    and its complement.
    """
    from kanerva.quarks import capacity

    functions = capacity.count("threshold", inputs, degree)
    found = bounded("threshold", inputs, degree, functions)
    yield {
        "functions": functions,
        "share": functions / 2.0 ** (2**inputs),
        "ratio": math.log2(functions) / found["leading"],
        **found,
    }
