"""Hernandez 2024: whether recalls are memories, recollections or products of imagination."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hernandez2024._words import (
    CLASSIFIER,
    DEFINED,
    LAW,
    SEPARATE,
    Levels,
    Sigma,
    finest,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["kinds"]

CUES = ("stored", "unseen")
DEPTH = 6
KINDS = {"own": "its own item", "recollected": "another item", "imagined": "no item"}
SIGMAS, NARROWER = (0.05, 0.1, 0.2), (0.046875, 0.09375, 0.1875)

# Shares of the chains from stored digits by s, in levels, and depth.
KNOWN = {
    0.75: {("own", 1): 1.0, ("own", 6): 1.0},
    0.8: {("own", 1): 1.0, ("own", 6): 1.0},
    1.5: {("own", 1): 1.0, ("own", 6): 0.13, ("imagined", 6): 0.86},
    1.6: {("own", 1): 1.0, ("own", 6): 0.08, ("imagined", 6): 0.91},
    3.0: {("own", 1): 0.36, ("own", 6): 0.0, ("imagined", 1): 0.62, ("imagined", 6): 1.0},
    3.2: {("own", 1): 0.21, ("own", 6): 0.0, ("imagined", 1): 0.77, ("imagined", 6): 1.0},
}
RECOLLECTED = ((0.75, 1, 0.46), (0.75, 6, 0.28), (0.8, 1, 0.48), (0.8, 6, 0.27))


def _at(sigma: float, depth: int, cue: str = "stored") -> Cell:
    return {"cue": cue, "sigma": sigma, "depth": depth, "levels": 16}


def _checks() -> Iterator[Check]:
    for s, wanted in KNOWN.items():
        for (column, depth), share in wanted.items():
            what = f"stored cues, s = {s:g} levels, depth {depth}: {KINDS[column]}"
            yield Check(what, column, share, 0.05, SEPARATE, _at(s / 16, depth))
    for s, depth, share in RECOLLECTED:
        what = f"unseen cues, s = {s:g} levels, depth {depth}: a stored item"
        at = _at(s / 16, depth, "unseen")
        yield Check(what, "recollected", share, 0.05, SEPARATE, at)
    what = "stored cues: cues accepted, %"
    yield Check(what, "accepted", 100.0, 0.0, LAW, {"cue": "stored"}, "min")
    what = "unseen cues: states that are their own item"
    yield Check(what, "own", 0.0, 0.0, DEFINED, {"cue": "unseen"}, "max")


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.hernandez2024 import _pictures

    rows = finest(rows)
    wide = [row for row in rows if row["sigma"] not in NARROWER] or rows
    long = [
        {"depth": row["depth"], "y": row[column], "line": line, "panel": _panel(row)}
        for column, line in KINDS.items()
        for row in wide
    ]
    frame = plot.Frame(
        "From memories over recollections to imagination",
        "depth: number of recalls that followed one another",
        "share of the states that are",
        limits=(-0.03, 1.03),
    )
    found = {"": plot.lines(long, "depth", "y", frame, by="line", panel="panel")}
    classes = [
        {"depth": row["depth"], "y": row[column], "line": line, "panel": _panel(row)}
        for column, line in (("kept", "state of the chain"), ("bare", CLASSIFIER))
        for row in wide
    ]
    frame = plot.Frame(
        "Class of the states",
        "depth: number of recalls that followed one another",
        "percent of the states that are classified as the cue's class",
        limits=(-3.0, 103.0),
    )
    found["class"] = plot.lines(classes, "depth", "y", frame, by="line", panel="panel")
    for cue in CUES:
        mine = [row for row in wide if row["cue"] == cue]
        if mine:
            first = min(row["seed"] for row in mine)
            some = [row for row in mine if row["seed"] == first]
            depths = sorted({row["depth"] for row in some})
            shown = {}
            for sigma in sorted({row["sigma"] for row in some}):
                words = {row["depth"]: row for row in some if row["sigma"] == sigma}
                for digit in (2, 3, 8):
                    name = _pictures.named(digit, sigma, words[0]["s"])
                    picked = (words[depth]["pictures"].split("/")[digit] for depth in depths)
                    shown[name] = list(picked)
            title = f"Chains from {cue} digits"
            columns = ["cue", *map(str, depths[1:])]
            parts = (columns, shown, "depth of a chain", tuple(KINDS.values()))
            found[cue] = _pictures.drawn(title, *parts)
    return found


def _panel(row: Row) -> str:
    return f"{row['cue']}, σ = {row['sigma']:g}"


@recipe(
    "eam.kinds",
    "Recalls: the same item, another one, or imagined",
    "hernandez2024",
    "on what retrieved objects can be seen as; the publication prints no shares",
    quick=[
        *grid(cue="stored", sigma=(*SIGMAS, *NARROWER)),
        *grid(cue="unseen", sigma=(*SIGMAS, NARROWER[0])),
    ],
    paper=[
        *grid(cue=CUES, sigma=(*SIGMAS, *NARROWER), seed=range(10)),
        *grid(cue=CUES, sigma=SIGMAS, levels=(4, 8), seed=range(3)),
    ],
    checks=_checks(),
    draw=_draw,
)
def kinds(
    cue: Annotated[str, "stored, or unseen"],
    sigma: Sigma,
    levels: Levels = 16,
    recalls: Annotated[int, "number of recalls of a chain"] = DEPTH,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store 1,400 digits, follow chains of recalls, and tell which states are stored digits.

    A state within ``near`` of the nearest stored digit counts as that digit: ``near`` is the median
    distance of a stored digit to its nearest neighbour, 16.6 in 64 pixels from 0 to 16. ``own`` is
    the share of the states that are the digit from which their chain started, ``recollected`` of
    those that are another stored digit, and ``imagined`` of those that are none. Chains start from
    the stored digits, or from the 397 others, of which ``accepted`` percent are accepted; ``depth``
    counts the recalls, and ``s`` is the spread in levels. A support vector classifier of the digits
    that are no cues gives every state a class: ``kept`` is the percentage that is right, ``bare``
    that of the cues. ``pictures`` holds the states of one digit of each class, with their kind.

    Sigma decides. With 16 levels and sigma = .05, s = 0.8, every state is the stored digit from
    which it started, even after six recalls. At .1 all are after one recall and 8 % after six, when
    91 % are no stored digit; at .2 it is 22 % after the first and none after the third. The
    register knows no objects but levels of single columns, so chains hardly ever reach another
    stored digit: 2 % at most. From unseen digits, half of which are within that distance of a
    stored one anyway, 48 % of the states are a stored digit after one recall at sigma = .05 and
    26 % after six: chains move away from what is stored and not towards it. The shares depend on s
    closely: with s = 3 in place of 3.2, which is sigma times 15 steps between 16 levels, 36 % are
    the own digit after one recall.
    """
    from kanerva.lab.papers.hernandez2024 import _chains

    checks.choice("cue", cue, CUES)
    checks.integer("recalls", recalls, 1, 1000)
    yield from _chains.kinds(cue, levels, sigma, recalls, seed)
