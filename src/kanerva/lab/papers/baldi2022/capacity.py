"""Baldi and Vershynin 2022: capacity in bits against the number of inputs."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.papers.baldi2022._units import KNOWN, Degree, Inputs, Unit, bounded, named
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["capacity"]

Width = Annotated[int, "dichotomies that a run of an estimate keeps; 0 for no estimate"]
Runs = Annotated[int, "runs of an estimate"]
# The largest number of inputs of an exact count, by unit and degree.
COUNTED = {("threshold", 1): 6, ("and", 1): 5, ("product", 1): 5}
PANELS = {
    ("threshold", 1): "one linear unit",
    ("threshold", 2): "one unit of degree 2",
    ("and", 1): "AND, linear units",
    ("product", 1): "product, linear units",
    ("product", 2): "product, units of degree 2",
}
LINES = {
    "upper": "upper bound",
    "lower": "lower bound",
    "leading": "leading term",
    "refined": "n² - n log2 n",
    "bits": "counted",
    "estimated": "estimated",
}
BITS = {
    ("threshold", 4, 1): 10.878,
    ("threshold", 5, 1): 16.529,
    ("threshold", 6, 1): 23.841,
    ("threshold", 4, 2): 15.813,
    ("and", 4, 1): 14.988,
    ("product", 4, 1): 15.729,
    ("and", 5, 1): 25.412,
    ("product", 5, 1): 28.530,
}
ESTIMATED = ((4, 1), (5, 1), (4, 2), (6, 1), (7, 1), (8, 1), (9, 1))
SKEWED = {9: "most runs are too small, and so is the error that they show"}


def _checks() -> Iterator[Check]:
    for (unit, inputs, degree), expected in BITS.items():
        what = f"{PANELS[unit, degree]}, {inputs} inputs: capacity, bits"
        at = {"unit": unit, "inputs": inputs, "degree": degree}
        yield Check(what, "bits", expected, 6e-4, SEPARATE, at)
    for inputs, degree in ESTIMATED:
        unit = PANELS["threshold", degree]
        what = f"{unit}, {inputs} inputs: estimate from the number, in its errors"
        at = {"unit": "threshold", "inputs": inputs, "degree": degree}
        reason = SKEWED.get(inputs, "")
        yield Check(what, "away", 0, 3, LAW, at, reason=reason)
    what = "counts between their lower and upper bounds, of all"
    yield Check(what, "inside", 1, 0, LAW, aggregate="min")
    what = "product of two units of degree 2, 4 inputs: functions, of all"
    at = {"unit": "product", "inputs": 4, "degree": 2}
    yield Check(what, "bits", 16, 0, LAW, at)


def _draw(rows: list[Row]) -> Any:
    drawn = [
        {"n": row["inputs"], "bits": row[column], "line": words, "panel": PANELS[key]}
        for key in PANELS
        for column, words in LINES.items()
        for row in rows
        if (row["unit"], row["degree"]) == key
    ]
    frame = plot.Frame(
        "Capacities lie between bounds that are proved for every n",
        "number n of inputs",
        "capacity, bits",
        log="y",
        dots=("counted", "estimated"),
    )
    return plot.lines(drawn, "n", "bits", frame, by="line", panel="panel")


def _cells(linear: int, quadratic: int, gated: Sequence[int], **plan: int) -> list[Cell]:
    """Return the cells of single units, with estimates from 4 inputs on, and of gated pairs."""
    estimates = {1: range(4, linear + 1), 2: range(4, quadratic + 1)}
    found = grid(unit="threshold", inputs=(2, 3), degree=(1, 2), width=0)
    for degree, inputs in estimates.items():
        found += grid(unit="threshold", inputs=inputs, degree=degree, **plan)
    found += grid(unit=("and", "product"), inputs=gated, degree=1, width=0)
    return found + grid(unit="product", inputs=gated, degree=2, width=0)


@recipe(
    "quarks.capacity",
    "Capacity in bits: counts, bounds and estimates",
    "baldi2022",
    "for the capacity; the counts are not in the publication",
    # Five inputs of gated units take seconds to count.
    quick=_cells(7, 5, (2, 3, 4, 6, 7, 8), width=50, runs=10),
    paper=_cells(9, 6, range(2, 13), width=100, runs=20),
    checks=_checks(),
    draw=_draw,
)
def capacity(
    unit: Unit,
    inputs: Inputs,
    degree: Degree,
    width: Width = 50,
    runs: Runs = 10,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Compare the capacity of units and of gated pairs with its bounds, and estimate it beyond.

    ``bits`` is the logarithm to base 2 of the exact number of functions, where it is known.
    ``lower`` and ``upper`` are proved for every n, and ``inside`` is 1 where ``bits`` lies between
    them. ``leading`` is the leading term as n grows: n² for a linear unit, n³/2 for one of degree
    2, and twice as much for a gated pair. ``refined`` is n² - n log2 n, the first two terms that
    the literature gives for a linear unit. ``estimated`` comes from populations of dichotomies,
    ``error`` is its relative standard error, and ``away`` its distance from the exact number in
    standard errors.

    At these n no capacity is near its leading term. That of a linear unit is 0.66 n² at 5 inputs
    and 0.69 n² at 8, while n² - n log2 n is too small by 3.1 bits at 5 inputs and by 4.0 at 8, so
    that its share grows. No line is fitted to n², which small n cannot support. With 4 inputs the
    order is: linear 10.9 bits, AND 15.0, product 15.7, degree 2 15.8, of at most 16. With 5 inputs
    the product has 28.5 bits, 1.73 times those of one unit with twice its weights; doubling is a
    statement about large n. A product of two units of degree 2 computes all functions of 4 inputs,
    and from 5 inputs on only its bounds are known, beside an estimate of 30.4 of at most 31 bits
    for one such unit.

    Estimates of at most 5 inputs are within their errors. Beyond, most runs are too small and a
    rare one is much too large, so that the mean of few runs is too small and its error as well:
    with 20 runs of width 100 the estimates of 6, 7, 8 and 9 inputs are 0.2, 0.3, 0.5 and 0.7 bits
    too small, by 2.6, 2.3, 2.5 and 3.2 of their errors, of which three are allowed.
    """
    from kanerva.quarks import capacity as counted

    name, _ = named(unit)
    exact = _known(unit, inputs, degree)
    estimated = error = away = None
    if width and name == "threshold":
        found = counted.estimate(inputs, degree, width, runs, seed)
        estimated, error = found.bits, found.error / found.count
        if exact is not None and found.error > 0:
            away = (found.count - exact) / found.error
    refined = inputs**2 - inputs * math.log2(inputs)
    yield {
        **bounded(unit, inputs, degree, exact),
        "refined": refined if name == "threshold" and degree == 1 else None,
        "estimated": estimated,
        "error": error,
        "away": away,
    }


def _known(unit: str, inputs: int, degree: int) -> int | None:
    """Return the number of functions where it is counted, or known."""
    from kanerva.quarks import capacity as counted

    if unit == "threshold" and degree == 1 and inputs in KNOWN:
        return KNOWN[inputs]
    if inputs > COUNTED.get((unit, degree), 4) and degree < inputs - 1:
        return None
    name, options = named(unit)
    return counted.count(name, inputs, degree, **options)
