"""Burns 2024: pictures that were shown in a fixed order, and their correlated attractors."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed, table
from kanerva.lab.papers.burns2024._words import SEPARATE, Beta, Rate, Steps
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["miyashita"]

DATA = ("random", "faces")
RANDOM: Cell = {"data": "random", "items": 97, "neurons": 2000, "beta": 1.0, "steps": 100}
FACES: Cell = {"data": "faces", "items": 97, "neurons": 625, "beta": 83.0, "steps": 200}
SCAN = (1.0, 0.9, 0.75, 0.5, 0.4, 0.2, 0.0, -0.25, -0.5, -1.0)
FARTHEST = 10  # the largest distance in the order
CORRELATED = 0.1  # the least correlation of states that count as correlated
# Correlations of random patterns by a, with separate code, one seed.
TABLE = """
auto   1       2       3       4       5       6
1     -0.012  -0.011  -0.011  -0.006  -0.009  -0.012
0.75   0.302   0.008  -0.017   none    none    none
0.5    0.656   0.142  -0.026  -0.024   none    none
0.2    0.757   0.453   0.164  -0.001  -0.039   none
0      0.794   0.531   0.268   0.074  -0.017  -0.045
-0.5   0.830   0.637   0.412   0.212   0.055  -0.029
-1     0.812   0.652   0.483   0.314   0.152   0.028
"""
# Correlations of faces by a and distance, with a tolerance.
MEASURED = {
    (0.5, 1): (0.64, 0.03),
    (0.0, 1): (0.70, 0.03),
    (0.0, 2): (0.44, 0.04),
}


def _checks() -> Iterator[Check]:
    for row in table(TABLE):
        at = RANDOM | {"auto": float(row["auto"])}
        for distance in range(1, 7):
            value = row[str(distance)]
            what = f"random patterns, a = {row['auto']:g}: correlation at distance {distance}"
            here = at | {"distance": distance}
            if value != "none":
                yield Check(what, "correlation", value, 0.03, f"{SEPARATE}, one seed", here)
    for more, less in itertools.pairwise(SCAN):
        what = f"random patterns: range at a = {less:g} less that at a = {more:g}, at least 0"
        at, other = (RANDOM | {"auto": auto, "distance": 1} for auto in (less, more))
        yield Check(what, "change", 1.5, 1.5, SEPARATE, at, less=other)
    for (auto, distance), pair in MEASURED.items():
        what = f"faces, a = {auto:g}: correlation at distance {distance}"
        at = FACES | {"auto": auto, "distance": distance}
        yield Check(what, "correlation", *pair, f"{SEPARATE}, two orders", at)
    what = "faces, a = 1: correlation at distance 1, at most 0.06 from 0"
    yield Check(what, "correlation", 0.0, 0.06, SEPARATE, FACES | {"auto": 1.0, "distance": 1})
    for distance in (3, 4):
        what = f"faces, a = 0: correlation at distance {distance}, above 0"
        at = FACES | {"auto": 0.0, "distance": distance}
        yield Check(what, "correlation", 0.5, 0.5, SEPARATE, at)
    what = "faces, a = 0: correlation at distance 7, not above 0"
    at = FACES | {"auto": 0.0, "distance": 7}
    yield Check(what, "correlation", -0.5, 0.5, SEPARATE, at)
    what = "faces: correlation of the pictures themselves, at most 0.04 from 0"
    yield Check(what, "pictures", 0.0, 0.04, SEPARATE, FACES | {"distance": 1})


def _draw(rows: list[Row]) -> Any:
    shown = {"random": "random patterns", "faces": "faces"}
    lines = (1.0, 0.5, 0.0, -0.5, -1.0)
    long = [
        {
            "x": row["distance"],
            "y": row["correlation"],
            "panel": shown[row["data"]],
            "line": f"a = {row['auto']:g}".replace("-", "−"),
        }
        for auto in lines
        for row in rows
        if row["auto"] == auto and row["distance"]
    ]
    frame = plot.Frame(
        "Neighbours in the order have similar attractors",
        "distance in the order of the items",
        "correlation of the last states, h = 1 − a",
        across=2,
    )
    drawn = {}
    if long:
        drawn[""] = plot.lines(long, "x", "y", frame, by="line", panel="panel")
    ranges = [
        {"x": row["auto"], "y": row["reach"], "line": shown[row["data"]]}
        for row in rows
        if row["distance"] == 1
    ]
    frame = plot.Frame(
        "The range grows as auto-association falls",
        "auto-association a, h = 1 − a",
        f"largest distance up to which the correlation is {CORRELATED:g} or more",
    )
    return drawn | {"range": plot.lines(ranges, "x", "y", frame, by="line")}


@recipe(
    "cdam.miyashita",
    "Pictures in a fixed order",
    "burns2024",
    "for the comparison with Miyashita 1988",
    quick=[
        *grid(**RANDOM, auto=SCAN),
        *grid(**FACES, auto=(1.0, 0.5, 0.0), seed=range(4)),
    ],
    paper=[
        *grid(**RANDOM, auto=SCAN, seed=range(10)),
        *grid(**FACES, auto=SCAN, seed=range(10)),
    ],
    checks=_checks(),
    draw=_draw,
)
def miyashita(
    data: Annotated[str, "random: uniform from 0 to 1; or faces: photographs of 25 by 25 pixels"],
    auto: Annotated[float, "strength a of auto-association; that of hetero-association is 1 - a"],
    items: Annotated[int, "number of items in the order; 100 at most for faces"] = 97,
    neurons: Annotated[int, "number of neurons; 625 for faces"] = 2000,
    beta: Beta = 1.0,
    rate: Rate = 0.1,
    steps: Steps = 100,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Link 97 items in a fixed order, and correlate the states in which their recalls end.

    Miyashita (1988) showed monkeys 97 pictures in a fixed order. Neurons then responded to pictures
    that had been neighbours in the order, though these were unlike. Here the order is the graph of
    the memory: each item is linked to the one before and the one after, and the last to the first.
    The first figure shows the correlation of the last states of two items by their distance in the
    order. At a = 1, h = 0 the states are as unlike as the items. With less auto-association those
    of neighbours are correlated, up to a distance of four at a = 0, and of six at a = -1 for random
    patterns. So links between successive items suffice to correlate the states of items that are
    farther apart, and a lower a, which stands for inhibition of the recalled item, extends the
    range. The second figure shows the range by a.

    The items are random patterns, or photographs of faces in a random order, less their mean and of
    length one, with a beta that gives scores of the same size. Neighbours in the order of the faces
    are not correlated on average, as the column ``pictures`` shows, and their states follow almost
    the same curve. The seed draws the patterns, or the order of the faces. Recalls of faces start
    at the items, those of patterns with noise added. ``change`` is the first distance with a
    correlation below 0; for faces it varies much, since distant states are not correlated at all.
    """
    import torch

    from kanerva import correlated
    from kanerva.lab.papers.burns2024 import _memories

    checks.choice("data", data, DATA)
    steps = checks.integer("steps", steps, 1)
    graph = _memories.ring(items, "items")
    source = torch.Generator().manual_seed(seed)
    faces = data == "faces"
    draw = _memories.faces if faces else _memories.uniform
    patterns = draw(items, neurons, source)
    how = {"auto": auto, "hetero": 1 - auto, "rate": rate, "mean": 0.0 if faces else 1.0}
    memory = _memories.linked(patterns, graph, beta, **how)
    noise = 0.0 if faces else 1.0
    found = correlated.attractors(memory, noise=noise, seed=source, steps=steps)
    means = _memories.by_distance(found.correlations, graph, FARTHEST)
    overlaps = _memories.by_distance(found.overlaps, graph, FARTHEST)
    pictures = _memories.by_distance(correlated.overlaps(patterns, patterns), graph, FARTHEST)
    for distance in range(FARTHEST + 1):
        yield {
            "distance": distance,
            "correlation": means[distance],
            "overlap": overlaps[distance],
            "pictures": pictures[distance],
            "change": _memories.change(means),
            "reach": _memories.change(means, CORRELATED) - 1,
            "mode": found.mode,
            "speed": found.speed,
        }
