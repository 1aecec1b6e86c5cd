"""Kanerva 1993, and Kanerva 1988: the number of patterns that a memory holds."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import kanerva
from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Bits, Locations, Radius, Seed
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["capacity", "most_patterns"]


def _capacity_checks() -> Iterator[Check]:
    what = "random values: right bits measured less the formula's, at most"
    source = "Kanerva 1993, signal and noise"
    yield Check(what, "miss", 0.0, 0.002, source, aggregate="max")


def _draw_capacity(rows: list[Row]) -> Any:
    labels = {"random": "random values", "own": "each pattern its own value", "expected": "formula"}
    long = [
        row | {"y": row[column], "line": label} for row in rows for column, label in labels.items()
    ]
    frame = plot.Frame(
        "Past its capacity a memory fails soon",
        "patterns stored",
        "share of patterns read without an error",
        verticals={"capacity by the formula": rows[0]["most"]},
    )
    return plot.lines(long, "patterns", "y", frame, by="line")


@recipe(
    "kanerva.capacity",
    "Patterns read without an error, by how many are stored",
    "kanerva1993",
    "the capacity by signal and noise",
    quick=grid(bits=256, locations=10_000, radius=107, targets=500),
    paper=grid(bits=1000, locations=100_000, radius=450, targets=500),
    checks=_capacity_checks(),
    draw=_draw_capacity,
)
def capacity(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    targets: Annotated[int, "largest number of patterns that are read"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Write a growing number of patterns into two memories, and read the first of them.

    The queries have no errors. The vertical line is the number of patterns of which, by the formula
    of signal and noise, half are read right. Nearly all are read right up to half of that number,
    and nearly none at twice that number. For random values the formula is right about single bits
    to within two in a thousand. It is slightly too low for whole patterns, because it takes their
    bits to fail independently, while some queries activate fewer locations than others. Patterns
    that are their own values are read right more often, because a read is pulled towards the query,
    which is right here.
    """
    import torch

    most = theory.capacity.patterns(bits, radius, locations)
    source = torch.Generator().manual_seed(seed)
    keys, values = (kanerva.bits.random(int(2.5 * most), bits, seed=source) for _ in range(2))
    written = {"random": values, "own": keys}
    memories = {
        name: kanerva.sdm(bits, locations, radius, seed=seed, counters=torch.int16)
        for name in written
    }
    done = 0
    for tenths in range(1, 26):
        count = int(tenths * most / 10)
        first = slice(min(targets, count))
        right = {}
        for name, memory in memories.items():
            memory.write(keys[done:count], written[name][done:count])
            right[name] = memory.read(keys[first]) == written[name][first]
        done = count
        bit = theory.capacity.bit(bits, radius, count, locations)
        yield {
            "patterns": count,
            "most": most,
            "random": right["random"].all(-1).double().mean(),
            "own": right["own"].all(-1).double().mean(),
            "expected": theory.capacity.word(bits, radius, count, locations),
            "miss": abs(right["random"].double().mean() - bit),
        }


# By the probability that a whole pattern of 1000 bits is right: the signal-to-noise ratio, the
# active share and the number of patterns, for a million locations.
AT_233 = 4.761145520358668e-05
CHANCES = {
    0.5: (3.197589, 1.77535e-4, 89_355),
    0.99: (4.263771, 2.18196e-4, 48_133),
    AT_233: (2.33, 1.42264e-4, 173_657),
}


def _most_checks() -> Iterator[Check]:
    source = f"{COMPUTED}; authors' code for 2.33"
    for chance, (ratio, share, most) in CHANCES.items():
        at, of = {"fidelity": chance, "locations": 10**6}, f"chance {chance:.2g}"
        yield Check(f"signal to noise, {of}", "ratio", ratio, 6e-7, source, at)
        yield Check(f"active share, {of}", "activation", share, 6e-10, source, at)
        yield Check(f"patterns, {of}", "most", most, 0.6, source, at)
    what, at = "active share, a billion locations", {"fidelity": AT_233, "locations": 10**9}
    yield Check(what, "activation", 1.3976760802e-6, 1e-15, "authors' code", at)


def _draw_most(rows: list[Row]) -> Any:
    long = [row | {"y": row["share"], "line": f"chance {row['fidelity']:.2g}"} for row in rows]
    title = "Patterns grow in proportion to locations"
    y = "patterns stored, as a share of the locations"
    frame = plot.Frame(title, "locations", y, log="x")
    return plot.lines(long, "locations", "y", frame, by="line")


def _powers(last: int) -> list[int]:
    return [10**power for power in range(3, last)]


@recipe(
    "kanerva.most_patterns",
    "The most patterns, by locations",
    "kanerva1993",
    "the capacity by signal and noise",
    quick=grid(bits=1000, fidelity=tuple(CHANCES), locations=_powers(13)),
    paper=grid(bits=1000, fidelity=tuple(CHANCES), locations=_powers(19)),
    checks=_most_checks(),
    draw=_draw_most,
)
def most_patterns(
    bits: Bits,
    fidelity: Annotated[float, "probability that all bits of a pattern are read right"],
    locations: Locations,
) -> Iterator[Row]:
    """Compute the share of active locations with which a memory holds the most patterns.

    With few active locations a bit has too few votes; with many, the noise of the other patterns is
    too large. The best share is between the two, and decreases as locations are added. The number
    of patterns that a memory holds grows in proportion to its locations: about one for every eleven
    locations where half of the patterns are to be read right, and fewer for a higher probability.
    It approaches the number of locations over the square of the signal-to-noise ratio from below.

    This is a formula, for queries without errors and random values; ``kanerva.capacity`` compares
    it with a simulation. No radius gives the best share exactly, so the table also gives the
    nearest radius.
    """
    best = theory.radius.optimal(bits, 1, locations, "capacity", fidelity=fidelity)
    ratio = math.sqrt(theory.capacity.squared_quantile(bits, fidelity))
    yield {
        "ratio": ratio,
        "activation": best.activation,
        "radius": best.radius,
        "most": best.best,
        "share": best.best / locations,
        "limit": locations / ratio**2,
    }
