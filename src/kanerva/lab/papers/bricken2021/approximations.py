"""Bricken and Pehlevan 2021: from intersecting circles to an exponential, step by step (E3)."""

import math
from collections.abc import Iterator
from typing import Any

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Bits, Radius
from kanerva.lab.papers.bricken2021 import _shares
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["approximations"]

# Shares of the space that the circles hold.
SHARES = (1e-13, 1e-7, 1e-4, 1e-2)
# Points in two circles of 64 bits, by radius and distance.
EXACT: dict[int, dict[int, int]] = {
    5: {0: 8303633, 2: 1274786, 4: 231076, 6: 36022, 8: 4102, 10: 252},
    11: {
        **{0: 927740240713, 2: 311949983890, 4: 131595643438, 6: 56201615872, 8: 23153386372},
        **{10: 8948445622, 12: 3163160662, 16: 265470790, 20: 8649940, 22: 705432},
    },
}
# log10 of the share at distance 8, radius 11 of 64 bits, from the formulas by hand.
AT_8 = {
    "largest": -9.055488349,
    "normal": -8.361896974,
    "taylor": -8.255019816,
    "lower": -8.434530788,
    "upper": -6.113047740,
}
STEPS = {
    "exact": "exact",
    "largest": "largest term",
    "normal": "normal densities",
    "taylor": "first order",
    "lower": "least factor",
    "upper": "largest factor",
}


def _log10_share(points: int) -> float:
    """Return log10 of the share of the space of 64 bits that so many points are."""
    return math.log10(points) - 64 * math.log10(2)


def _checks() -> Iterator[Check]:
    for radius, row in EXACT.items():
        for far, points in row.items():
            what, share = f"exact share at {far}, radius {radius}", _log10_share(points)
            at = {"bits": 64, "radius": radius, "distance": far}
            yield Check(what, "exact", share, 1e-9, "exact integers", at)
    memory: Row = {"bits": 64, "radius": 11}
    for column, log in AT_8.items():
        what, at = f"{STEPS[column]} at 8, radius 11", memory | {"distance": 8}
        yield Check(what, column, log, 1e-8, COMPUTED, at)
    single, at = "a single term is left where the circles touch", memory | {"distance": 22}
    share = _log10_share(EXACT[11][22])
    yield Check("largest term at 22", "largest", share, 1e-9, single, at)
    what, above = "distance with the least factor above the exact share", memory | {"above": 1}
    yield Check(f"first {what}", "distance", 3, 0, COMPUTED, above, "min")
    yield Check(f"last {what}", "distance", 22, 0, COMPUTED, above, "max")
    yield Check("share of distances with it above", "above", 20 / 23, 1e-9, COMPUTED, memory)


def _draw(rows: list[Row]) -> Any:
    rows = sorted(_shares.ends(rows), key=lambda row: (row["bits"], row["radius"]))
    start = {_shares.panel(row): row["exact"] for row in rows if row["distance"] == 0}
    long = []
    for row in rows:
        for column, label in STEPS.items():
            if row[column] is None or row["exact"] is None:
                continue
            name = _shares.panel(row)
            part = {"x": row["distance"], "y": row[column] - start[name]}
            if -8 <= part["y"] <= 4:
                long.append(part | {"line": label, "panel": name})
    title = "An exponential runs beside the exact share, not below it"
    y = "log10 of the share of the space, less that of distance 0"
    frame = plot.Frame(title, "distance in bits", y, limits=(-8, 4))
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.approximations",
    "From shared circles to an exponential, step by step",
    "bricken2021",
    "appendix on the exponential approximation",
    quick=grid(bits=64, radius=(5, 11, 17, 23)),
    paper=[cell for bits in (64, 100, 128, 500, 1000) for cell in _shares.cells(bits, SHARES)]
    + grid(bits=64, radius=11),
    checks=_checks(),
    draw=_draw,
)
def approximations(bits: Bits, radius: Radius) -> Iterator[Row]:
    """Approximate the intersection of two circles by an exponential of their distance.

    The exact share of the space in both circles is a double sum of products of binomial
    coefficients. The steps of the paper are: its largest term alone; normal densities in place of
    the binomial coefficients; the exponent to first order in the distance; and a constant in place
    of the factor before the exponential, either its least value or its largest value times the
    number of terms. The last two are exponentials of the distance, as the weights of a softmax of
    the cosine are.

    Only the slopes matter, since weights are divided by their sum. The largest term keeps the slope
    of the exact share, and normal densities nearly keep it unless the circles are small. The
    exponentials at the end fall about half as fast as the exact share, or less; ``sdm.beta``
    therefore fits an exponential instead. Circles further apart than twice their radius do not
    intersect, and no exponential reproduces this. The authors call the curve with the least factor
    the lower one. It is not a lower bound, because the exponent is only approximate: at 64 bits and
    radius 11 it lies above the exact share from distance 3 on. Nothing is sampled.
    """
    curves = {"exact": theory.circle.log_fraction(bits, radius)}
    for method in STEPS:
        if method != "exact":
            curves[method] = theory.approximation.log_fraction(bits, radius, method)
    for distance in range(2 * radius + 1):
        row: Row = {"distance": distance}
        for name, curve in curves.items():
            row[name] = _shares.log10(curve[distance])
        yield row | {"above": bool(curves["lower"][distance] > curves["exact"][distance])}
