"""Bricken and Pehlevan 2021: the three optimal radii on random bits and on pictures (E9)."""

from collections.abc import Iterator
from typing import Annotated, Any

import kanerva
from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, INTEGERS, Seed, table
from kanerva.lab.papers.bricken2021._words import SEEDS, Epochs, Queries
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["regimes"]

KEYS = {"random": "random bits", "digits": "digits", "projected": "digits, learned keys"}
CRITERIA = {"capacity": 5, "snr": 11, "noise": 15}
# Of undamaged digits, chosen with seed 0: the cosine after one read, and the share recalled.
UNDAMAGED = """
queries  criterion  once     recalled
200      capacity   0.99969  0.99500
200      snr        0.98438  0.72500
200      noise      0.89172  0.16500
1024     capacity   0.99948  0.98828
1024     snr        0.98236  0.71289
1024     noise      0.89709  0.19043
"""
# The share recalled by learned keys after 20 epochs, with its tolerance, by criterion and damage.
LEARNED = {
    "capacity": {0: (0.995, 0.01), 8: (0.54, 0.06)},
    "snr": {0: (0.99, 0.015), 8: (0.63, 0.06)},
    "noise": {0: (0.92, 0.05), 8: (0.41, 0.07)},
}
THEORY = "theory of the noise of random patterns"
NEAR = "few random patterns are near the cue, too few for the normal noise of the theory"
ALIKE = "digits are alike: their mean cosine is 0.47, and that of the theory is 0"


def _checks() -> Iterator[Check]:
    memory: Cell = {"patterns": 1024}
    for criterion, radius in CRITERIA.items():
        at = memory | {"criterion": criterion}
        yield Check(f"radius by {criterion}", "radius", radius, 0, INTEGERS, at)
        for distance in (0, 4, 8, 12, 16):
            what = f"random bits, one read from theory, {criterion}, {distance} flips"
            here = at | {"keys": "random", "distance": distance}
            yield Check(what, "apart", 0.0, 0.03, THEORY, here)
        for distance, pair in LEARNED[criterion].items():
            what = f"recalled by learned keys, {criterion}, {distance} flips"
            here = at | {"keys": "projected", "epochs": 20, "distance": distance}
            yield Check(what, "recalled", *pair, SEEDS, here)
    for row in table(UNDAMAGED):
        queries, criterion = row["queries"], row["criterion"]
        at = memory | {"criterion": criterion, "keys": "digits", "queries": queries}
        for column in ("once", "recalled"):
            what = f"{column}, {queries} whole digits, {criterion}"
            here = at | {"seed": 0, "distance": 0}
            yield Check(what, column, row[column], 1e-5, COMPUTED, here)
    far = memory | {"criterion": "snr", "keys": "random", "distance": 20}
    what = "random bits, one read from theory, snr, 20 flips"
    yield Check(what, "apart", 0.0, 0.1, THEORY, far, reason=NEAR)
    whole = memory | {"criterion": "noise", "keys": "digits", "distance": 0}
    what = "digits, one read from theory, noise, no flips"
    yield Check(what, "apart", 0.0, 0.03, THEORY, whole, reason=ALIKE)
    what = "digits recalled at the radius for most noise, no flips"
    yield Check(what, "recalled", 1.0, 0.1, THEORY, whole, reason=ALIKE)


def _draw(rows: list[Row]) -> Any:
    above: list[Row] = []
    below: list[Row] = []
    dots = "theory of random bits"
    for row in rows:
        name = f"{row['criterion']}, radius {row['radius']}"
        once = {"x": row["distance"], "panel": f"{name}: one read"}
        share = {"x": row["distance"], "panel": f"{name}: recalled"}
        line = KEYS[row["keys"]]
        above.append(once | {"y": row["once"], "line": line})
        below.append(share | {"y": row["recalled"], "line": line})
        if row["keys"] == "random":
            above.append(once | {"y": row["predicted"], "line": dots})
            below.append(share | {"y": row["within"], "line": dots})
    frame = plot.Frame(
        "Theory is right about random bits; pictures need learned keys",
        "flipped bits",
        "above: cosine after one read; below: share recalled",
        dots=(dots,),
        limits=(-0.05, 1.05),
    )
    return plot.lines(above + below, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.regimes",
    "The three optimal radii on random bits and on pictures",
    "bricken2021",
    "the three optimal radii, and learned projections",
    quick=grid(criterion=tuple(CRITERIA), keys=tuple(KEYS), queries=200, epochs=20),
    paper=grid(criterion=tuple(CRITERIA), keys=tuple(KEYS), queries=1024, epochs=100),
    checks=_checks(),
    draw=_draw,
)
def regimes(
    criterion: Annotated[str, "criterion for the best radius: capacity, snr or noise"],
    keys: Annotated[str, "random patterns, digits, or projected: digits under learned keys"],
    patterns: Annotated[int, "number of stored patterns"] = 1024,
    queries: Queries = 1024,
    epochs: Epochs = 100,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Recall random bits, digits, and digits under learned keys at the three optimal radii.

    Theory takes patterns to be random. It then has three best radii: for the most patterns
    (``capacity``), for the best signal-to-noise ratio (``snr``) and for the most wrong bits
    (``noise``). They are 5, 11 and 15 for 1024 patterns of 64 bits. A memory of each radius stores
    random bits, or digits made black and white, or these under keys from a trained matrix. Theory
    predicts the cosine after one read (``predicted``) and whether a distance is within the critical
    one (``within``). They are compared with the measured cosine after one read (``once``) and the
    share of recalls that end nearest to their own pattern (``recalled``).

    For random bits the theory is right, except for cues so far away that a few patterns near them
    by chance decide. For digits it is wrong: the radius for the most noise loses four of five
    digits without any damage, and the radius for the most patterns, the smallest, is best. Learned
    keys recall nearly all undamaged digits at every radius, and at the two larger radii two to six
    times as many damaged ones. Theory still predicts far more, because the cosines of learned keys
    have a larger spread than those of random keys. At the smallest radius learned keys recall fewer
    damaged digits, because damage changes keys more than bits.
    """
    import torch

    from kanerva.activation import Sign
    from kanerva.lab import data
    from kanerva.lab.papers.bricken2021 import _memories, _pictures

    checks.choice("keys", keys, tuple(KEYS))
    size = _pictures.KEY
    radius = theory.radius.optimal(size, patterns, criterion=criterion).radius
    if keys == "random":
        stored = kanerva.bits.random(patterns, size, seed=seed)
    else:
        stored = data.load("digits", patterns=patterns, seed=seed, domain="bits").real
    address: _pictures.Read = torch.nn.Identity()
    if keys == "projected":
        address = _pictures.trained(stored, radius, "published", epochs, seed)
    memory = _memories.memory("continuous_folded", size, radius, size, activation=Sign())
    memory.write(address(stored), stored)
    predicted = theory.circle.cosine(size, theory.critical.curve(size, radius, patterns))
    reach = theory.critical.distance(size, radius, patterns)
    chosen = _pictures.choose(stored, queries, seed)
    for distance in range(0, 25, 4):
        cues = kanerva.bits.flip(stored[chosen], distance, seed=seed)
        found = _pictures.outcome(
            lambda x: memory.read(address(x)), stored, chosen, cues, steps=100, rest=0.0
        )
        truth = {
            "predicted": predicted[distance],
            "apart": abs(found["once"] - predicted[distance]),
            "within": distance <= reach,
        }
        yield {"radius": radius, "distance": distance} | found | truth
