"""Morales 2024: pairs in one register, recalled in both directions."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, Seed
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["hetero"]

SOURCE = "morales2024"
SEPARATE = "measured with separate code, one run"
LEFT, RIGHT = "left from right", "right from left"
# Levels squared, with 8 levels.
DISTANCES = {"random": 3.7, "test": 3.2, "search": 2.8}
LINES = {"random": "one draw", "test": "best of 32 draws", "search": "search"}


def _checks() -> Iterator[Check]:
    whole = {"direction": RIGHT, "pairs": 720, "iota": 0.0}
    for levels, wanted in {4: 100.0, 8: 100.0, 16: 86.0}.items():
        at = whole | {"levels": levels, "method": "random"}
        yield Check(f"{levels} levels: cues recalled, %", "recalled", wanted, 8.0, SEPARATE, at)
        at = {"levels": levels, "iota": 0.0, "method": "random"}
        what = f"{levels} levels: stored pairs accepted, %"
        yield Check(what, "stored", 100.0, 0.0, LAW, at, "min")
    for levels, wanted in {4: 2.93, 8: 5.02}.items():
        for direction in (RIGHT, LEFT):
            at = whole | {"levels": levels, "direction": direction}
            what = f"{levels} levels, {direction}: entropy, bits"
            yield Check(what, "entropy", wanted, 0.06, SEPARATE, at)
    whole["levels"] = 8
    for (method, distance), right in zip(DISTANCES.items(), (28.0, 47.0, 50.0), strict=True):
        at, start = whole | {"method": method}, f"8 levels, {method}"
        yield Check(f"{start}: distance, levels²", "distance", distance, 0.3, SEPARATE, at)
        yield Check(f"{start}: class right, %", "right", right, 12.0, SEPARATE, at)
    at = whole | {"iota": 0.25}
    yield Check("iota 0.25: cues recalled, %", "recalled", 69.0, 8.0, SEPARATE, at)
    for method, right in zip(DISTANCES, (44.0, 58.0, 61.0), strict=True):
        what = f"iota 0.25, {method}: class right, %"
        yield Check(what, "right", right, 12.0, SEPARATE, at | {"method": method})
    for levels, wanted in {8: 16.0, 16: 0.0}.items():
        what = f"100 pairs, {levels} levels: cues recalled, %"
        at = whole | {"pairs": 100, "levels": levels}
        yield Check(what, "recalled", wanted, 8.0, SEPARATE, at)
    what = "8 levels: class of the nearest stored digit right, %"
    yield Check(what, "nearest", 92.0, 12.0, SEPARATE, whole)
    what = "cues further away than by the method before, %"
    yield Check(what, "further", 0.0, 0.0, LAW, {}, "max")


def _draw(rows: list[Row]) -> Any:
    most = max(row["pairs"] for row in rows)
    plain = [row for row in rows if row["iota"] == min(row["iota"] for row in rows)]
    plain = [row for row in plain if row["pairs"] == most]
    named = [row | {"line": LINES[row["method"]]} for row in plain]
    near = [row | {"line": "nearest stored digit", "right": row["nearest"]} for row in plain]
    frame = plot.Frame(
        "Testing draws finds the class more often",
        "levels of a feature",
        "percent of the recalls of the class of the cue",
        across=2,
        limits=(-3.0, 103.0),
    )
    found = {"": plot.lines(named + near, "levels", "right", frame, by="line", panel="direction")}
    title, y = "Values that project back nearer to the cue", "mean distance, levels squared"
    frame = plot.Frame(title, "levels of a feature", y, log="y", across=2)
    far = [row for row in named if row["distance"] is not None]
    if far:
        panels = plot.lines(far, "levels", "distance", frame, by="line", panel="direction")
        found["distance"] = panels
    return found | _galleries(named)


def _galleries(rows: list[Row]) -> dict[str, Any]:
    """Draw cues, pictures of their class on the other side, and what each method recalls."""
    from kanerva.lab.papers.hernandez2024 import _hetero

    levels = sorted({row["levels"] for row in rows if row["pictures"].strip("/")})
    found = {}
    for word, direction in (("right", RIGHT), ("left", LEFT)):
        middle = levels[len(levels) // 2] if levels else None
        some = [row for row in rows if (row["levels"], row["direction"]) == (middle, direction)]
        some = [row for row in some if row["seed"] == min(row["seed"] for row in some)]
        if not some:
            continue
        cue, other, _ = some[0]["pictures"].split("/")
        shown = [("cue", _hetero.shades(cue)), ("one of its class", _hetero.shades(other))]
        for row in some:
            shown.append((row["line"], _hetero.shades(row["pictures"].split("/")[2])))
        found[word] = plot.gallery(shown)
    return found


@recipe(
    "eam.hetero",
    "Pairs in one register, recalled in both directions",
    SOURCE,
    "the three methods of recall; its data are MNIST and EMNIST",
    quick=[
        *grid(levels=(4, 8, 16)),
        *grid(levels=8, iota=0.25),
        *grid(levels=(8, 16), pairs=100),
    ],
    paper=[
        *grid(levels=(2, 4, 8, 16, 32), seed=range(5)),
        *grid(levels=(8, 16), iota=(0.1, 0.25, 0.5), seed=range(5)),
        *grid(levels=(4, 8, 16), pairs=(50, 100, 200, 400), seed=range(5)),
    ],
    checks=_checks(),
    draw=_draw,
)
def hetero(
    levels: Annotated[int, "levels of a feature, on both sides"],
    pairs: Annotated[int, "number of stored pairs, of 720 at most"] = 720,
    iota: Annotated[float, "cells below iota times the mean of their plane count as empty"] = 0.0,
    cues: Annotated[int, "number of digits that were not stored, given as cues"] = 100,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store pairs of digits, and recall the right-hand side of new digits, and the left-hand one.

    The left-hand side is a digit, the right-hand side another one of its class, turned by a quarter
    and mirrored. Both are 16 principal components of what is stored, between the percentiles 0.5
    and 99.5. ``recalled`` is the percentage of cues whose projection has no empty column.
    ``distance`` is how far from the cue the recall projects back, in levels squared, and ``right``
    the percentage of the recalls of the class of the cue, by a support vector classifier of digits
    that are neither stored nor cues.

    Testing several draws, and searching on from the best, lowers the distance for every cue, by
    construction (``further`` is 0). The classes are right more often than by one draw, but nothing
    like those of the stored digit whose levels are nearest (``nearest``) or of the classifier on
    the bare cue (``bare``): pairs of columns are counted, and which objects they came from is not
    stored. A smaller distance is no surety for the class: with 4 levels the search ends nearer to
    the cue than the test, and no more often at its class.

    With few pairs most cues are rejected, and with many levels some are. With iota above 0 more
    are, and the others are recalled a little better; but hardly any stored pair is then accepted
    as a whole (``stored``), as one pair of columns that counts as empty is enough. Recognition
    accepts more pairs of one class (``same``) than of two (``different``), but few of either with
    many levels. The left-hand side is recalled from the same counts, read the other way, with the
    same entropy.

    The publication pairs digits of MNIST with letters of EMNIST, and no numbers of it were at hand.
    The expected numbers are those of separate code on these digits.
    """
    from kanerva.lab.papers.hernandez2024 import _hetero

    levels = checks.integer("levels", levels, 1, 256)
    setting = _hetero.Setting(levels, pairs, checks.number("iota", iota, 0), cues, seed)
    yield from _hetero.recalled(setting)
