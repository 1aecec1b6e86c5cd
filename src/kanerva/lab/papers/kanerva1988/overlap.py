"""Kanerva 1988, Sparse Distributed Memory: locations in two circles, and the nearest location."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import kanerva
from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import CODE, INTEGERS, Bits, Locations, Radius, Seed, table
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["nearest", "overlap"]

MILLION: Cell = {"bits": 1000, "locations": 1_000_000, "radius": 451}
HUNDRED: Cell = {"bits": 100, "locations": 10_000, "radius": 35}
# Locations of a million that two circles share: exactly, by the continuous formula, and of a
# thousand active ones, as the book prints them.
SHARED = """
distance  exact     formula   book
0         1071.850  1000.000  1000
1         958.437   915.165   894
10        795.874   735.148   743
50        476.874   440.666   445
100       285.831   263.472   267
150       173.627   159.589   162
200       103.461   94.812    97
300       32.324    29.447    30
400       7.597     6.890     7
500       1.101     1.000     1
"""
BOOK = {row["distance"]: row["book"] for row in table(SHARED)}
# Means of twenty draws in the notebook of Bricken and Pehlevan 2021, of 10,000 locations.
DRAWN = {0: 17.7, 2: 12.8, 4: 9.35, 8: 6.45, 10: 5.7, 20: 2.1, 40: 0.1, 50: 0.15}
# Distances at which circles of random locations are compared.
MEASURED = (*range(11), 20, 40, 50, 100, 150, 200, 250, 300, 400, 500)
TABLE = "Kanerva 1988, table of overlaps"
SMOOTH = "the formula is smooth, where the count drops from 0 to 1 bit"


def _checks() -> Iterator[Check]:
    rows = {row["distance"]: row for row in table(SHARED)}
    for far, row in rows.items():
        what, source = f"shared at {far} bits", f"{INTEGERS}, and authors' code"
        yield Check(what, "exact", row["exact"], 1e-3, source, _at(far))
    for far, mean in {209: 92.913, 250: 59.387}.items():
        yield Check(f"shared at {far} bits", "exact", mean, 1e-3, INTEGERS, _at(far))
    for far, row in rows.items():
        what, source = f"continuous formula at {far} bits", "its integral by adaptive quadrature"
        yield Check(what, "formula", row["formula"], 1e-3, source, _at(far))
    for far, row in rows.items():
        what = f"of a thousand active, shared at {far} bits"
        yield Check(what, "thousand", row["book"], 0.5, TABLE, _at(far))
    what = "continuous formula at 1 bit, beside the book's table"
    yield Check(what, "formula", BOOK[1], 0.5, TABLE, _at(1), reason=SMOOTH)
    for far, mean in DRAWN.items():
        what, error = f"shared at {far} bits, of 10,000", 3 * math.sqrt(max(mean, 0.1) / 20)
        source = f"{CODE}, 20 draws"
        yield Check(what, "exact", mean, error, source, _at(far, HUNDRED))
    for memory in (HUNDRED, MILLION):
        for far in (2, 4, 10, 50):
            what = f"lost between {far - 1} and {far} of {memory['bits']} bits"
            yield Check(what, "lost", 0.0, 0.0, "I(2k - 1) = I(2k)", _at(far, memory))
    for memory in (HUNDRED, MILLION):
        what = f"standard errors from exact to measured, {memory['bits']} bits"
        yield Check(what, "deviation", 0.0, 4.0, "binomial spread", memory, "max")


def _at(distance: int, memory: Cell = MILLION) -> Cell:
    return memory | {"distance": distance}


def _draw(rows: list[Row]) -> Any:
    labels = {"exact": "exact", "formula": "continuous formula", "measured": "random locations"}
    centre = {
        (row["bits"], column): row[column] or 1
        for row in rows
        if row["distance"] == 0
        for column in labels
    }
    fewest = min(row["bits"] for row in rows)
    long: list[Row] = []
    for row in rows:
        bits, distance = row["bits"], row["distance"]
        panel = f"{bits} bits, radius {row['radius']}"
        for column, label in labels.items():
            share = None if row[column] is None else row[column] / centre[bits, column]
            part = {"x": distance, "y": share, "line": label}
            long.append(part | {"panel": panel})
            if bits == fewest and distance <= 12:
                long.append(part | {"panel": f"{fewest} bits, first steps"})
        published = _published(row)
        if published is not None:
            long.append({"x": distance, "y": published, "line": "published", "panel": panel})
    frame = plot.Frame(
        "Two circles share fewer locations the further apart they are",
        "distance of the centres in bits",
        "locations shared, as a share of those in one circle",
        dots=("published",),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _published(row: Row) -> float | None:
    """Return the published share at the distance of a row, where there is one."""
    for memory, shared in ((MILLION, BOOK), (HUNDRED, DRAWN)):
        if row["distance"] in shared and all(row[key] == memory[key] for key in memory):
            return shared[row["distance"]] / shared[0]
    return None


@recipe(
    "kanerva.overlap",
    "Locations shared by two circles",
    "kanerva1988",
    "table of overlaps and appendix B",
    quick=[
        *grid(**HUNDRED, activation=0.001759, draws=400),
        *grid(**MILLION, activation=0.001, draws=20),
    ],
    paper=[
        *grid(**HUNDRED, activation=0.001759, draws=10_000),
        *grid(**MILLION, activation=0.001, draws=400),
    ],
    checks=_checks(),
    draw=_draw,
)
def overlap(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    activation: Annotated[float, "share of the space in one circle, in the continuous formula"],
    draws: Annotated[int, "pairs of circles whose shared locations are counted"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Count the locations in both of two circles, by the distance of their centres.

    A sparse distributed memory weighs a stored pattern by the number of locations that it shares
    with the query, so this curve determines a read. The exact expected count is computed from
    integers. It is compared with the continuous formula of the book's appendix, and with counts of
    locations that are drawn at random. The curve falls by a tenth within one bit and nearly
    exponentially after that. It is a staircase: circles an odd distance apart share as much as
    those one bit further apart.

    The exact counts, scaled to a thousand active locations, equal the book's table to the last
    digit; the book rounds 1071.85 to a thousand. Its continuous formula is some percent lower.
    Counts of random locations agree within their standard errors.
    """
    import torch

    from kanerva.lab.papers.kanerva1988 import _simulation

    checks.integer("draws", draws, 1)
    exact = theory.circle.overlap(bits, radius, locations)
    points = theory.circle.intersection(bits, radius)
    formula = theory.circle.overlap(bits, radius, locations, "kanerva1988", activation=activation)
    source = torch.Generator().manual_seed(seed)
    addresses = kanerva.bits.Packed.random(locations, bits, seed=source)
    for distance in range(bits // 2 + 1):
        measured = deviation = None
        if distance in MEASURED:
            measured = _simulation.shared(addresses, radius, distance, draws, source)
            error = math.sqrt(exact[distance] * (1 - exact[distance] / locations) / draws)
            deviation = abs(measured - exact[distance]) / error if error > 0 else None
        lost = float(points[max(distance - 1, 0)] - points[distance])
        yield {
            "distance": distance,
            "exact": exact[distance],
            "lost": lost * locations / 2.0**bits,
            "thousand": 1000 * exact[distance] / exact[0],
            "formula": formula[distance],
            "measured": measured,
            "deviation": deviation,
        }


def _nearest_checks() -> Iterator[Check]:
    at, million = {"bits": 1000, "locations": 10**6}, "nearest of a million, in bits"
    what = f"{million}: normal quantile at one in a million, the rule of thumb"
    yield Check(what, "quantile", 424.8, 0.05, CODE, at)
    what = f"{million}: mean distance, exact"
    yield Check(what, "expected", 423.257562, 5e-7, INTEGERS, at)
    spread = 3.908 / math.sqrt(20)
    what = f"{million}: mean distance, measured"
    source = "4 standard errors of the mean of 20 points, with a spread of 3.908 bits"
    yield Check(what, "measured", 423.257562, 4 * spread, source, at)
    what = "chance that an active location has a given bit"
    yield Check(what, "alike", 0.552905, 5e-7, f"Kanerva 1993, and {INTEGERS}")
    for measured, column in {"distance": "off_distance", "likeness": "off_alike"}.items():
        what = f"standard errors from expected to measured {measured}"
        yield Check(what, column, 0.0, 4.0, "spread of the means", aggregate="max")


def _draw_nearest(rows: list[Row]) -> Any:
    labels = {
        "expected": "mean distance, exact",
        "quantile": "normal quantile at 1 / locations",
        "measured": "mean distance, random locations",
    }
    long = [
        row | {"y": row[column], "line": label} for row in rows for column, label in labels.items()
    ]
    title = "Even the nearest of many locations is far away"
    frame = plot.Frame(title, "random locations", "distance in bits", log="x")
    return plot.lines(long, "locations", "y", frame, by="line")


@recipe(
    "kanerva.nearest",
    "How far the nearest location is, and how much it resembles the query",
    "kanerva1988",
    "chapter on the address space",
    quick=grid(bits=1000, radius=451, locations=(100, 10_000, 1_000_000), points=20),
    paper=grid(
        bits=1000, radius=451, locations=(10, 100, 1000, 10_000, 100_000, 1_000_000), points=100
    ),
    checks=_nearest_checks(),
    draw=_draw_nearest,
)
def nearest(
    bits: Bits,
    radius: Radius,
    locations: Locations,
    points: Annotated[int, "random points whose nearest location is measured"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Measure the distance of the nearest location, and how much active locations resemble a point.

    In a thousand bits nearly all points are about half the bits apart. Even of a million locations
    the nearest is some 420 bits away, and a hundred times more locations reduce this by no more
    than some twenty bits. A memory therefore cannot read what is stored nearby; it reads all
    locations in a large circle. These are not quite random: each agrees with the query in slightly
    more than half of the bits, which is why a read resembles the query.

    The normal quantile is the rule of thumb of the book: the distance within which one location is
    expected (``quantile``), 424.84 bits for a million. The mean distance of the nearest location is
    another number, 423.26 bits: the sum, over all distances, of the chance that no location is
    within them (``expected``). The mean measured among random locations (``measured``) agrees with
    it.
    """
    import torch

    from kanerva.lab.papers.kanerva1988 import _simulation

    checks.integer("radius", radius, 0, bits)
    checks.integer("locations", locations, 1)
    checks.integer("points", points, 2)
    source = torch.Generator().manual_seed(seed)
    addresses = kanerva.bits.Packed.random(locations, bits, seed=source)
    distance, alike = _simulation.nearest(addresses, radius, points, source)
    expected = sum(1 - theory.pull.within(bits, within, locations) for within in range(bits))
    chance, count = theory.pull.location(bits, radius), len(alike)
    off_alike = abs(alike.mean() - chance) / alike.std() * math.sqrt(count) if count > 9 else None
    yield {
        "quantile": theory.pull.nearest(bits, locations),
        "expected": expected,
        "measured": distance.mean(),
        "off_distance": abs(distance.mean() - expected) / distance.std() * math.sqrt(points),
        "alike": chance,
        "measured_alike": alike.mean() if count else None,
        "off_alike": off_alike,
    }
