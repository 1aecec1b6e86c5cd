"""The key of a value, read from the counters of locations, and the weight of several copies."""

import math
import statistics
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva._core import checks
from kanerva._core.errors import refuse
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Bits, Locations, Radius, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["triangulate", "vote"]

# Wrong bits of a key that is read backwards, by the number of pairs written.
WRONG = {10: 9.4, 50: 21.9, 100: 33.5, 200: 47.6}
# The distance to the nearest written key, for values that were never written.
NEAREST = {10: 82, 50: 93, 200: 99}
MEMORY: Cell = {"bits": 256, "locations": 10_000, "radius": 110}


def _checks() -> Iterator[Check]:
    for pairs, wrong in WRONG.items():
        what = f"wrong bits of the key, {pairs} pairs"
        yield Check(what, "wrong", wrong, 2, COMPUTED, MEMORY | {"pairs": pairs})
    what = "share of keys that are the nearest to what is read, at least"
    yield Check(what, "nearest", 1, 0, COMPUTED, MEMORY, "min")
    what = "wrong bits for a value that was never written"
    yield Check(what, "never", 128.5, 1.5, COMPUTED, MEMORY)
    for pairs, near in NEAREST.items():
        what = f"distance of such a key to the nearest written one, {pairs} pairs"
        yield Check(what, "closest", near, 5, COMPUTED, MEMORY | {"pairs": pairs})


def _draw(rows: list[Row]) -> Any:
    names = {"wrong": "value that was written", "theory": "theory", "never": "value that was not"}
    bits = max(row["bits"] for row in rows)
    long = [
        {
            "pairs": pairs,
            "wrong": statistics.fmean(row[column] for row in rows if row["pairs"] == pairs),
            "line": name,
        }
        for column, name in names.items()
        for pairs in sorted({row["pairs"] for row in rows})
    ]
    long += [
        {"pairs": row["pairs"], "wrong": row["bits"] / 2, "line": "chance"}
        for row in (rows[0], rows[-1])
    ]
    frame = plot.Frame(
        "The counters suffice to find a key again",
        "pairs of key and value written",
        f"wrong bits of the key that is read backwards, of {bits}",
        dots=(names["wrong"], names["never"]),
        limits=(0, 0.55 * bits),
    )
    return plot.lines(long, "pairs", "wrong", frame, by="line")


@recipe(
    "sdm.triangulate",
    "The key of a value, read from the counters",
    "bricken2021",
    "for the correspondence; the question is that of the authors' lecture on it",
    quick=grid(**MEMORY, pairs=(10, 50), values=20),
    paper=grid(**MEMORY, pairs=(10, 20, 50, 100, 150, 200), values=200, seed=range(5)),
    checks=_checks(),
    draw=_draw,
)
def triangulate(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    pairs: Annotated[int, "random pairs of key and value that are written"],
    values: Annotated[int, "values that are read backwards, and as many that were never written"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Write random pairs to locations, and read the keys back from the values alone.

    The pairs themselves are not kept. The locations that were active for a key all lie within the
    radius around it, and their counters agree with its value. The sum of the addresses of all
    locations, each weighted by the inner product of its counters and the value, therefore points to
    the key. Its signs have few wrong bits while few pairs are written, and up to 200 pairs the key
    remains the nearest one of all that were written.

    For a value that was never written half of the bits are wrong on average, as by chance. But what
    is read is no random key: it is a mixture of the written keys, each with the sign of the
    agreement of its value with this one. So it is nearer to one of them than a random key would be,
    which the columns ``closest`` and ``random`` compare, the more so the fewer pairs are written.

    Column ``theory`` is the number of wrong bits that follows from signal and noise of one bit of
    the sum. The noise has two parts: the other values agree with this one by chance, and the active
    locations are a finite sample of the circle. With ever more locations the second part vanishes,
    and the share of wrong bits depends only on the length of a value by the number of other pairs.
    """
    import torch
    from scipy.stats import binom

    import kanerva
    from kanerva import bits as vectors

    checks.integer("pairs", pairs, 1)
    checks.integer("values", values, 1)
    memory = kanerva.sdm(bits, locations, radius, seed=seed)
    keys, written = torch.split(vectors.random(2 * pairs, bits, seed=seed + 1), pairs)
    memory.write(keys, written)
    some = min(values, pairs)
    read = memory.addresses_of(written[:some])
    distances = vectors.hamming(read[:, None], keys[None])
    never = memory.addresses_of(vectors.random(values, bits, seed=seed + 2))
    if not read.all() or not never.all():
        must, do = "such that every key is near some location", "widen it, or give more locations"
        refuse("radius", got=f"{radius} for {locations} locations", must=must, do=do)
    apart = vectors.hamming(never[:, None], keys[None]).double()
    yield {
        "wrong": distances.diagonal().double().mean().item(),
        "theory": _theory(bits, locations, radius, pairs),
        "nearest": (distances.argmin(-1) == torch.arange(some)).double().mean().item(),
        "never": apart.mean().item(),
        "closest": apart.amin(-1).mean().item(),
        "random": float((binom.sf(range(bits + 1), bits, 0.5) ** pairs).sum()),
    }


def _theory(bits: int, locations: int, radius: int, pairs: int) -> float:
    """Return the wrong bits of a key that is read backwards, by signal and noise of one bit.

    A bit of an active location times that of the key is +1 or -1, with the mean c over the circle.
    The inner product of counters and value is n for the value itself, and its variance is n for
    each other value that the location holds.
    """
    inside = [math.comb(bits, distance) for distance in range(radius + 1)]
    agreeing = sum((bits - 2 * distance) * count for distance, count in enumerate(inside))
    c = agreeing / (bits * sum(inside))
    active, others = locations * (sum(inside) / 2**bits), pairs - 1
    signal = active * bits * c
    sample = active * (bits**2 * (1 - c**2) + others * bits)
    noise = math.sqrt(sample + others * bits * (active * c) ** 2)
    return bits / 2 * math.erfc(signal / noise / math.sqrt(2)) if noise else 0.0


# Copies of three patterns, their colours in the lecture, and their distances from the cue.
VOTERS = {"green": (1, 40), "orange": (2, 50), "blue": (4, 60)}


def _vote_checks() -> Iterator[Check]:
    source = "share of two circles, from exact integers"
    for colour in VOTERS:
        what = f"share of the {colour} pattern in a read less that of its circles"
        yield Check(what, "apart", 0, 0.05, source, {"pattern": colour})


def _vote_draw(rows: list[Row]) -> Any:
    long = []
    # The order of the lines gives each pattern its own colour.
    for row in reversed(rows):
        logs, others = theory.circle.log_fraction(row["bits"], row["radius"]), 1 - row["expected"]
        name = f"{row['pattern']}, {row['copies']} {'copy' if row['copies'] == 1 else 'copies'}"
        for distance in range(30, min(71, row["bits"] + 1), 2):
            own = row["expected"] * math.exp(logs[distance] - logs[row["distance"]])
            long.append({"x": distance, "y": own / (own + others), "line": name})
    long += [{"x": row["distance"], "y": row["counted"], "line": "counted"} for row in rows]
    frame = plot.Frame(
        "A pattern counts by its copies and its distance",
        "distance of the pattern from the cue in bits",
        "share of the pattern in the read",
        dots=("counted",),
        limits=(0, 0.75),
    )
    return plot.lines(long, "x", "y", frame, by="line")


@recipe(
    "sdm.vote",
    "Patterns that were written often, and patterns that are near",
    "bricken2021",
    "for the weights of circles; the example is that of the authors' lecture",
    quick=grid(bits=256, locations=100_000, radius=110),
    paper=grid(bits=256, locations=1_000_000, radius=110),
    checks=_vote_checks(),
    draw=_vote_draw,
)
def vote(bits: Bits, locations: Locations, radius: Radius, seed: Seed = 0) -> Iterator[Row]:
    """Write one pattern once, one twice and one four times, and read a cue that lies between them.

    A read sums the counters of the locations around the cue. Each pattern counts there as often as
    it was written, times the number of locations that it shares with the cue, which falls with
    distance. Each line is the share of a pattern if it alone were at another distance, by the
    intersections of circles. The farthest pattern, which was written four times, has the largest
    share here, though each of its copies counts only six tenths of the nearest pattern. The counted
    shares differ from those of the circles by the random places of the locations.
    """
    import torch

    import kanerva
    from kanerva import bits as vectors

    checks.integer("bits", bits, max(distance for _, distance in VOTERS.values()))
    memory = kanerva.sdm(bits, locations, radius, seed=seed)
    cue = vectors.random(1, bits, seed=seed + 1)
    patterns, copies = [], []
    for place, (count, distance) in enumerate(VOTERS.values()):
        pattern = vectors.flip(cue, distance, seed=seed + 2 + place)
        memory.write(pattern.repeat(count, 1))
        patterns.append(pattern)
        copies.append(count)
    times = torch.tensor(copies).double()
    counted = times * memory.pattern_weights(cue[0], torch.cat(patterns)).double()
    if not counted.sum():
        must, do = "such that the cue shares locations with a pattern", "widen it"
        refuse("radius", got=f"{radius} for {locations} locations", must=must, do=do)
    logs = theory.circle.log_fraction(bits, radius)
    shared = torch.tensor([logs[distance] for _, distance in VOTERS.values()]).exp() * times
    for place, (colour, (count, distance)) in enumerate(VOTERS.items()):
        ours, expected = counted[place] / counted.sum(), shared[place] / shared.sum()
        yield {
            "pattern": colour,
            "copies": count,
            "distance": distance,
            "counted": ours.item(),
            "expected": expected.item(),
            "apart": (ours - expected).item(),
        }
