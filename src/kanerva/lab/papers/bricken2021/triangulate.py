"""The key of a value, read from the counters of locations, and the weight of several copies."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Bits, Locations, Radius, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["triangulate", "vote"]

# Wrong bits of a key that is read backwards, by the number of pairs written.
WRONG = {10: 9.4, 50: 21.9, 100: 33.5, 200: 47.6}
MEMORY: Cell = {"bits": 256, "locations": 10_000, "radius": 110}


def _checks() -> Iterator[Check]:
    for pairs, wrong in WRONG.items():
        what = f"wrong bits of the key, {pairs} pairs"
        yield Check(what, "wrong", wrong, 2, COMPUTED, MEMORY | {"pairs": pairs})
    what = "share of keys that are the nearest to what is read, at least"
    yield Check(what, "nearest", 1, 0, COMPUTED, MEMORY, "min")
    what = "wrong bits for a value that was never written"
    yield Check(what, "never", 128.5, 1.5, COMPUTED, MEMORY)


def _draw(rows: list[Row]) -> Any:
    names = {"wrong": "a value that was written", "never": "a value that was not"}
    long = [
        {"pairs": row["pairs"], "wrong": row[column], "line": name}
        for row in rows
        for column, name in names.items()
    ]
    frame = plot.Frame(
        "The counters suffice to find a key again",
        "pairs of key and value written",
        f"wrong bits of the key that is read backwards, of {rows[0]['bits']}",
        limits=(0, rows[0]["bits"] / 2 * 1.05),
    )
    return plot.lines(long, "pairs", "wrong", frame, by="line")


@recipe(
    "sdm.triangulate",
    "The key of a value, read from the counters",
    "bricken2021",
    "for the correspondence; the question is that of the authors' lecture on it",
    quick=grid(**MEMORY, pairs=(10, 50), values=20),
    paper=grid(**MEMORY, pairs=tuple(WRONG), values=200),
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

    The pairs themselves are not kept. Yet every location that was active for a key holds a trace of
    its value, and all of these locations lie around the key. The sum of the addresses of all
    locations, each weighted by the product of its counters and the value, therefore points to the
    key. Its signs have few wrong bits while few pairs are written, and the key stays the nearest of
    all up to 200 pairs. For a value that was never written, half of the bits are wrong, as by
    chance.
    """
    import torch

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
    yield {
        "wrong": distances.diagonal().double().mean().item(),
        "nearest": (distances.argmin(-1) == torch.arange(some)).double().mean().item(),
        "never": vectors.hamming(never[:, None], keys[None]).double().mean().item(),
    }


# Copies of three patterns, their colours in the lecture, and their distances from the cue.
VOTERS = {"green": (1, 40), "orange": (2, 50), "blue": (4, 60)}


def _vote_checks() -> Iterator[Check]:
    source = "share of two circles, from exact integers"
    for colour in VOTERS:
        what = f"share of the {colour} pattern in a read less that of its circles"
        yield Check(what, "apart", 0, 0.05, source, {"pattern": colour})


def _vote_draw(rows: list[Row]) -> Any:
    long = [
        {"distance": row["distance"], "share": row[column], "line": name}
        for row in rows
        for column, name in {"counted": "counted", "expected": "share of the circles"}.items()
    ]
    frame = plot.Frame(
        "A pattern counts by its copies and its distance",
        "distance of the pattern from the cue in bits: 1, 2 and 4 copies",
        "share of the pattern in the read",
        dots=("counted",),
    )
    return plot.lines(long, "distance", "share", frame, by="line")


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
    distance. The farthest pattern, which was written four times, has the largest share here, though
    each of its copies counts only six tenths of the nearest pattern. The counted shares are those
    of the intersections of circles, up to the random places of the locations.
    """
    import torch

    import kanerva
    from kanerva import bits as vectors

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
