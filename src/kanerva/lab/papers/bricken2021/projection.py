"""Bricken and Pehlevan 2021: recall of pictures by learned keys (E9)."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.papers._common import CODE, COMPUTED, Seed, table
from kanerva.lab.papers.bricken2021._words import (
    CONTINUOUS,
    DAMAGE,
    LABELS,
    PAPER,
    SEEDS,
    Data,
    Epochs,
    Method,
    Queries,
    Rest,
    Steps,
    Stored,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["projection"]

# Cosines recalled of MNIST, its 60,000 training pictures stored, by damage.
MNIST = """
algorithm                    radius  0       50      100     150     200     250     300
continuous                   5       1.0000  0.9999  0.9983  0.9808  0.8923  0.6848  0.4838
continuous                   9       0.9979  0.9975  0.9969  0.9894  0.9347  0.7530  0.5290
continuous                   11      0.9903  0.9897  0.9887  0.9849  0.9601  0.8347  0.5893
continuous                   15      0.8206  0.8200  0.8193  0.8182  0.8154  0.8071  0.7605
continuous_folded            5       0.9991  0.9988  0.9887  0.8922  0.5970  0.3688  0.2348
continuous_folded            9       0.9944  0.9940  0.9925  0.9832  0.9282  0.7547  0.5423
continuous_folded            11      0.9743  0.9731  0.9686  0.9573  0.9282  0.8231  0.6152
continuous_folded            15      0.8135  0.8132  0.8124  0.8112  0.8087  0.8010  0.7579
continuous_attention_circle  5       0.9996  0.9993  0.9973  0.9790  0.8931  0.7054  0.5346
continuous_attention_circle  9       0.9945  0.9941  0.9928  0.9825  0.9228  0.7526  0.5539
continuous_attention_circle  11      0.9714  0.9701  0.9667  0.9565  0.9224  0.8135  0.6269
continuous_attention_circle  15      0.8159  0.8155  0.8147  0.8134  0.8105  0.8019  0.7583
"""
# The same with a finite number of locations.
MNIST_FEW = """
locations  radius  0      50     100    150    200    250    300
3.16e9     11      0.986  0.985  0.984  0.952  0.735  0.395  0.235
1e6        15      0.852  0.851  0.851  0.851  0.813  0.479  0.237
"""
MNIST_DAMAGE = range(0, 301, 50)
# Of 500 digits, by radius, each with its tolerance: the share recalled at damage 0 with learned
# keys and with raw pictures; the gain in cosine of learned keys over raw pictures at damage 0 and
# 8; the mean cosine of two learned keys.
DIGITS = {
    9: ((0.93, 0.05), (0.04, 0.04), (0.10, 0.03), (0.06, 0.03), (0.065, 0.03)),
    11: ((0.80, 0.11), (0.02, 0.03), (0.13, 0.03), (0.09, 0.03), (0.03, 0.025)),
    15: ((0.28, 0.11), (0.01, 0.02), (0.12, 0.02), (0.09, 0.03), (0.005, 0.01)),
}
MEASURED = (
    ("continuous", "recalled", 0),
    ("raw", "recalled", 0),
    ("continuous", "gain", 0),
    ("continuous", "gain", 8),
    ("continuous", "alike", 0),
)
SAID = f"{PAPER}: attention reads as the memory does"
ENDS = "circles of radius 9 do not intersect beyond 18 bits, while a softmax stays positive"


def _checks() -> Iterator[Check]:
    yield from _mnist_checks()
    for data, distance in (
        *(("digits", 0), ("digits", 8), ("digits", 16)),
        *(("mnist", 0), ("mnist", 200)),
    ):
        at = {"data": data, "radius": 11, "locations": 1e13, "algorithm": "few"}
        what = f"from 1e13 to all locations, {data}, damage {distance}"
        yield Check(what, "apart", 0.0, 0.01, CODE, at | {"distance": distance})
    yield from _digits_checks()


def _mnist_checks() -> Iterator[Check]:
    mnist: Cell = {"data": "mnist", "patterns": 60_000}
    for row in table(MNIST):
        for distance in MNIST_DAMAGE:
            radius, algorithm, number = row["radius"], row["algorithm"], row[str(distance)]
            at = mnist | {"radius": radius, "algorithm": algorithm, "distance": distance}
            what = f"cosine, MNIST, radius {radius}, damage {distance}, {LABELS[algorithm]}"
            yield Check(what, "cosine", number, 0.03, CODE, at)
    for row in table(MNIST_FEW):
        for distance in MNIST_DAMAGE:
            radius, count, number = row["radius"], row["locations"], row[str(distance)]
            at = mnist | {"radius": radius, "algorithm": "few", "distance": distance}
            what = f"cosine, MNIST, radius {radius}, damage {distance}, {count:g} locations"
            drawn = {"locations": count, "draw": "rounded"}
            yield Check(what, "cosine", number, 0.03, CODE, at | drawn)


def _digits_checks() -> Iterator[Check]:
    for radius, pairs in DIGITS.items():
        digits: Cell = {"data": "digits", "radius": radius}
        for (algorithm, column, distance), pair in zip(MEASURED, pairs, strict=True):
            at = digits | {"patterns": 500, "algorithm": algorithm, "distance": distance}
            place = f"radius {radius}, damage {distance}"
            what = f"{column}, 500 digits, {place}, {LABELS[algorithm]}"
            yield Check(what, column, *pair, SEEDS, at)
        for distance in (0, 4, 8):
            for algorithm in ("continuous", "continuous_attention_circle"):
                at = digits | {"algorithm": algorithm, "distance": distance}
                place = f"radius {radius}, damage {distance}"
                what = f"{LABELS[algorithm]} from binary weights, digits, {place}"
                yield Check(what, "apart", 0.0, 0.02, SAID, at, "max")
    at = {"data": "digits", "radius": 9, "algorithm": "continuous_attention_circle", "distance": 16}
    what = "attention from binary weights, digits, radius 9, damage 16"
    yield Check(what, "apart", 0.0, 0.02, SAID, at, reason=ENDS)
    at = {"data": "digits", "algorithm": "raw"}
    yield Check("mean cosine of two raw digits", "alike", 0.688, 0.01, COMPUTED, at)


def _draw(rows: list[Row]) -> Any:
    shown = {
        (row["radius"], row["algorithm"], row["distance"]): row
        for row in rows
        if (row["locations"], row["draw"]) == (rows[0]["locations"], rows[0]["draw"])
    }
    long = [
        {
            "x": row["distance"],
            "y": row[column],
            "line": LABELS[row["algorithm"]],
            "panel": f"radius {row['radius']}: {words}",
        }
        for column, words in {"cosine": "cosine", "recalled": "share recalled"}.items()
        for row in shown.values()
    ]
    title = "Learned keys distinguish pictures that raw ones confuse"
    frame = plot.Frame(title, DAMAGE, across=len({row["radius"] for row in rows}), limits=(0, 1.05))
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.projection",
    "Learned keys make pictures fit for memory",
    "bricken2021",
    "figures of learned projections",
    quick=grid(data="digits", radius=(9, 11, 15), patterns=500, queries=100, epochs=30),
    paper=[
        *grid(data="digits", radius=(5, 9, 11, 15), epochs=300),
        *grid(data="digits", radius=11, epochs=300, locations=1e13),
        *grid(data="digits", radius=15, epochs=300, locations=1e6),
    ],
    checks=_checks(),
    draw=_draw,
)
def projection(
    data: Data,
    radius: Annotated[int, "radius of the circles among 64 bits, the length of a key"],
    locations: Annotated[float, "hard locations of the memory with a finite number"] = 3.16e9,
    draw: Annotated[
        str, "how the shared number of these is drawn: poisson, or rounded as published"
    ] = "poisson",
    patterns: Stored = 0,
    queries: Queries = 300,
    epochs: Epochs = 10,
    method: Method = "published",
    steps: Steps = 10,
    rest: Rest = 0.05,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train keys for pictures, and recall the pictures by memories that compare these keys.

    A matrix maps a picture to a key of 64 numbers, scaled to length one. It is trained so that one
    read with the key of a damaged picture returns the whole picture; the read is that of the
    attention fitted to circles of this radius. The memories then store the pictures under their
    keys: the continuous memory, circles at the distance that corresponds to a cosine, attention,
    and circles of which only ``locations`` points are hard locations. The result of a read is the
    next query, up to ten times; where nothing is within reach the picture is kept. For comparison,
    the continuous memory stores the pictures themselves, with circles of an equal share of the
    space.

    Learned keys are nearly orthogonal (``alike``), and pictures are recalled that raw ones confuse.
    Attention agrees with the memory within 0.02 from radius 9 on, up to the damage of its training.
    Beyond that damage keys are wrong, and the cosine falls below that of raw pictures, which is the
    cosine of their mean. Large circles still average over pictures. The share recalled may count a
    damaged picture that was kept, if it is still nearest to its own.

    The digits of scikit-learn are few and small, so their expected numbers come from this library.
    The published numbers are of MNIST and are checked where it is downloaded: ``--set data=mnist
    --set patterns=60000 --set epochs=10``, with ``--set draw=rounded`` for a finite number of
    locations. They are means over three matrices, and were not run for these pages.
    """
    from kanerva.activation import Identity
    from kanerva.lab.papers.bricken2021 import _memories, _pictures
    from kanerva.nn import projection as learned

    pictures = _pictures.load(data, patterns, seed)
    chosen, pixels = _pictures.choose(pictures, queries, seed), pictures.shape[-1]
    keys = _pictures.trained(pictures, radius, method, epochs, seed)
    size, plain = (_pictures.KEY, radius), Identity()
    memories = {name: _memories.memory(name, *size, pixels, method, plain) for name in CONTINUOUS}
    memories["few"] = _memories.few(*size, locations, pixels, draw, plain, seed)
    reads: dict[str, _pictures.Read] = {}
    for name, memory in memories.items():
        memory.write(keys(pictures), pictures)
        reads[name] = _pictures.through(memory.read, keys)
    # Slightly less than the share of the circle, which as a float may exceed what it holds.
    share = theory.circle.activation(*size) * (1 - 1e-9)
    same = theory.radius.quantile(pixels, share)
    raw = _memories.memory("continuous", pixels, same, None, method, plain, empty="keep")
    raw.write(pictures)
    reads["raw"] = raw.read
    alike = dict.fromkeys(reads, learned.cosines(keys(pictures)).mean)
    alike["raw"] = learned.cosines(pictures).mean
    for distance in _pictures.damages(pixels):
        cues = learned.tilt(pictures[chosen], distance, seed=seed)
        found = {
            name: _pictures.outcome(read, pictures, chosen, cues, steps, rest)
            for name, read in reads.items()
        }
        for name, row in found.items():
            start: Row = {"algorithm": name, "distance": distance, "alike": alike[name]}
            apart = abs(row["cosine"] - found["continuous_folded"]["cosine"])
            gain = row["cosine"] - found["raw"]["cosine"]
            yield start | row | {"apart": apart, "gain": gain}
