"""Kanerva 1988, Sparse Distributed Memory: what circles in the space of bits have in common."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch

from kanerva import bits as bits_
from kanerva import functional, theory
from kanerva.lab import plot
from kanerva.lab.recipe import Check, Row, grid, recipe
from kanerva.separation import Step
from kanerva.similarity import agreement

__all__ = ["nearest", "overlap"]

Bits = Annotated[int, "dimension n of the space"]
Locations = Annotated[int, "how many random locations there are"]
Radius = Annotated[int, "of reads and writes, in bits"]
Seed = Annotated[int, "of all that is drawn at random"]

# Locations shared by circles at so many bits, of a million in all, for 1000 bits and radius 451.
MILLION = {"bits": 1000, "locations": 1_000_000, "radius": 451}
FAR = (0, 1, 10, 50, 100, 150, 200, 300, 400, 500)
EXACT = (1071.850, 958.437, 795.874, 476.874, 285.831, 173.627, 103.461, 32.324, 7.597, 1.101)
FORMULA = (1000.000, 915.165, 735.148, 440.666, 263.472, 159.589, 94.812, 29.447, 6.890, 1.000)
BOOK = (1000, 894, 743, 445, 267, 162, 97, 30, 7, 1)
# Means of twenty draws in the notebook of the attention paper, for 100 bits, 10,000 locations and radius 35.
HUNDRED = {"bits": 100, "locations": 10_000, "radius": 35}
DRAWN = {0: 17.7, 2: 12.8, 4: 9.35, 8: 6.45, 10: 5.7, 20: 2.1, 40: 0.1, 50: 0.15}
# Distances at which circles of random locations are compared.
MEASURED = (*range(11), 20, 40, 50, 100, 150, 200, 250, 300, 400, 500)


def _overlap_checks() -> list[Check]:
    million = [{**MILLION, "distance": distance} for distance in FAR]
    exact = [Check(f"shared at {at['distance']} bits", "exact", mean, 1e-3, "computed from exact integers, and authors' code", at)
             for at, mean in zip(million, EXACT, strict=True)]  # fmt: skip
    more = [Check(f"shared at {distance} bits", "exact", mean, 1e-3, "computed from exact integers", {**MILLION, "distance": distance})
            for distance, mean in ((209, 92.913), (250, 59.387))]  # fmt: skip
    formula = [Check(f"continuous formula at {at['distance']} bits", "formula", mean, 1e-3, "its integral by adaptive quadrature", at)
               for at, mean in zip(million, FORMULA, strict=True)]  # fmt: skip
    book = [Check(f"of a thousand active, shared at {at['distance']} bits", "thousand", mean, 0.5, "Kanerva 1988, table of overlaps", at)
            for at, mean in zip(million, BOOK, strict=True)]  # fmt: skip
    smooth = "the formula falls smoothly where the count drops at once, from 0 to 1 bit"
    unlike = Check(
        "continuous formula at 1 bit, beside the book's table",
        "formula",
        894,
        0.5,
        "Kanerva 1988, table of overlaps",
        million[1],
        reason=smooth,
    )
    drawn = [Check(f"shared at {distance} bits, of 10,000", "exact", mean, 3 * math.sqrt(max(mean, 0.1) / 20),
                   "authors' code, stored output, 20 draws", {**HUNDRED, "distance": distance})
             for distance, mean in DRAWN.items()]  # fmt: skip
    stairs = [Check(f"lost between {distance - 1} and {distance} of {at['bits']} bits", "lost", 0.0, 0.0, "I(2k - 1) = I(2k)",
                    {**at, "distance": distance})
              for at in (HUNDRED, MILLION) for distance in (2, 4, 10, 50)]  # fmt: skip
    spread = [Check(f"standard errors from exact to measured, {at['bits']} bits", "deviation", 0.0, 4.0, "binomial spread", at, "max")
              for at in (HUNDRED, MILLION)]  # fmt: skip
    return [*exact, *more, *formula, *book, unlike, *drawn, *stairs, *spread]


def _draw_overlap(rows: list[Row]) -> Any:
    labels = {"exact": "exact", "formula": "continuous formula", "measured": "random locations"}
    centre = {
        (row["bits"], column): float(row[column] or 1)
        for row in rows
        if row["distance"] == 0
        for column in labels
    }
    fewest, long = min(int(row["bits"] or 0) for row in rows), []
    for row in rows:
        name, distance = f"{row['bits']} bits, radius {row['radius']}", int(row["distance"] or 0)
        for column, label in labels.items():
            share = (
                None
                if row[column] is None
                else float(row[column] or 0) / centre[row["bits"], column]
            )
            part = {"x": distance, "y": share, "line": label}
            long += [part | {"panel": name}] + [part | {"panel": f"{fewest} bits, first steps"}] * (
                row["bits"] == fewest and distance <= 12
            )
        for at, table in ((MILLION, dict(zip(FAR, BOOK, strict=True))), (HUNDRED, DRAWN)):
            if distance in table and all(row[key] == value for key, value in at.items()):
                long.append(
                    {
                        "x": distance,
                        "y": table[distance] / table[0],
                        "line": "published",
                        "panel": name,
                    }
                )
    frame = plot.Frame("Two circles share fewer locations the further apart they are", "distance of the centres in bits",
                       "locations shared, as a share of those in one circle", dots=("published",))  # fmt: skip
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "kanerva.overlap",
    "Locations shared by two circles",
    "kanerva1988",
    "table of overlaps and appendix B",
    quick=grid(**HUNDRED, activation=0.001759, draws=400)
    + grid(**MILLION, activation=0.001, draws=20),
    paper=grid(**HUNDRED, activation=0.001759, draws=10_000)
    + grid(**MILLION, activation=0.001, draws=400),
    checks=_overlap_checks(),
    draw=_draw_overlap,
)
def overlap(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    activation: Annotated[
        float, "share of the space in one circle, as the continuous formula takes it"
    ],
    draws: Annotated[int, "pairs of circles whose shared locations are counted"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Count the locations that lie in both of two circles, at every distance of their centres.

    A memory weighs what it stored by the locations that the query shares with it, so this curve is what decides a read.
    The exact count comes from integers; beside it stand the continuous formula of the book's appendix, and counts among
    locations that were really drawn. What is to be seen: the curve falls by a tenth within one bit and nearly
    exponentially after that, and it is a staircase, for an odd distance shares what the next even one does.

    The book's table is met to the last digit by the exact counts once they are scaled to a thousand active locations,
    which is what the book rounds 1071.85 to; its continuous formula falls some percent lower. Counts among real locations
    agree within their standard errors.
    """
    exact = theory.circle.overlap(bits, radius, locations)
    counts = theory.circle.intersection(bits, radius)
    formula = theory.circle.overlap(bits, radius, locations, "kanerva1988", activation=activation)
    source = torch.Generator().manual_seed(seed)
    addresses = bits_.Packed.random(locations, bits, seed=source)
    for distance in range(bits // 2 + 1):
        measured = (
            _shared(addresses, radius, distance, draws, source) if distance in MEASURED else None
        )
        error = math.sqrt(exact[distance] * (1 - exact[distance] / locations) / draws)
        yield {
            "distance": distance,
            "exact": exact[distance],
            "lost": float(counts[max(distance - 1, 0)] - counts[distance]) * locations / 2.0**bits,
            "thousand": 1000 * exact[distance] / exact[0],
            "formula": formula[distance],
            "measured": measured,
            "deviation": None if measured is None else abs(measured - exact[distance]) / error,
        }


def _draw_nearest(rows: list[Row]) -> Any:
    labels = {
        "expected": "expected",
        "quantile": "normal quantile at 1 / locations",
        "measured": "random locations",
    }
    long = [
        row | {"y": row[column], "line": label} for row in rows for column, label in labels.items()
    ]
    frame = plot.Frame(
        "Even the nearest of many locations is far away",
        "random locations",
        "distance in bits",
        log="x",
    )
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
    checks=[
        Check(
            "distance of the nearest of a million, in bits",
            "quantile",
            424.8,
            0.05,
            "authors' code, stored output",
            {"locations": 10**6},
        ),
        Check(
            "chance that an active location has a given bit",
            "alike",
            0.552905,
            5e-7,
            "Kanerva 1993, and computed from exact integers",
        ),
        Check(
            "standard errors from expected to measured distance",
            "off_distance",
            0.0,
            4.0,
            "spread of the means",
            aggregate="max",
        ),
        Check(
            "standard errors from expected to measured likeness",
            "off_alike",
            0.0,
            4.0,
            "spread of the means",
            aggregate="max",
        ),
    ],
    draw=_draw_nearest,
)
def nearest(
    bits: Bits,
    radius: Radius,
    locations: Locations,
    points: Annotated[int, "random points whose nearest location is looked for"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Look for the random location that is nearest to a random point, and count the bits in which active ones are alike.

    In a thousand bits nearly everything is half the bits away from everything else: even of a million locations the
    nearest is some 420 bits off, and a hundred times more of them bring it nearer by no more than some twenty bits.
    So a memory cannot look up what lies close by; it asks all locations in a wide circle. These are not quite random:
    each has a bit of the query a little more often than not, which is why what is read resembles the query.

    The normal quantile is the rule of thumb of the book; the expected distance is exact, and what was measured among
    locations that were really drawn agrees with it.
    """
    source = torch.Generator().manual_seed(seed)
    addresses = bits_.Packed.random(locations, bits, seed=source)
    scores = functional.scores(bits_.random(points, bits, seed=source), addresses, agreement)
    distance = bits - scores.amax(-1).double()
    active = scores >= bits - radius
    alike = ((scores * active).sum(-1) / active.sum(-1) / bits)[active.any(-1)].double()
    expected = sum(1 - theory.pull.within(bits, within, locations) for within in range(bits))
    chance = theory.pull.location(bits, radius)
    yield {
        "quantile": theory.pull.nearest(bits, locations),
        "expected": expected,
        "measured": distance.mean(),
        "off_distance": abs(distance.mean() - expected) / distance.std() * math.sqrt(points),
        "alike": chance,
        "measured_alike": alike.mean() if len(alike) else None,
        "off_alike": abs(alike.mean() - chance) / alike.std() * math.sqrt(len(alike))
        if len(alike) > 9
        else None,
    }


def _shared(
    addresses: bits_.Packed, radius: int, distance: int, draws: int, source: torch.Generator
) -> float:
    """Count the locations in both of two circles, on average over random pairs of centres."""
    rule = (agreement, Step(addresses.bits - radius))
    centres = bits_.random(draws, addresses.bits, seed=source)
    circles = functional.active(centres, addresses, *rule)
    others = functional.active(bits_.flip(centres, distance, seed=source), addresses, *rule)
    return float(
        np.mean(
            [
                torch.isin(one, other).sum().item()
                for one, other in zip(circles, others, strict=True)
            ]
        )
    )
