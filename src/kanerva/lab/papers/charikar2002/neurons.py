"""Sparse distributed memory with real locations: how much of real data it holds, and of a code."""

import math
import statistics
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Locations, Seed
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["sdm_codes"]

# Flipped bits, as a share: 6 of 64.
LEVEL = 0.09375
CODE = "bits:2048"
# Shares of cues recalled exactly from one subset, by the number of patterns and the code, each with
# twice the standard deviation over the subsets of the recipe.
MEASURED = {
    ("none", 8): (0.88, 0.17),
    ("none", 32): (0.34, 0.34),
    ("none", 128): (0.01, 0.07),
    (CODE, 8): (1.0, 0.01),
    (CODE, 32): (1.0, 0.08),
    (CODE, 128): (0.60, 0.11),
}


def _checks() -> Iterator[Check]:
    source = "measured with separate code on one subset of the digits"
    for (codec, patterns), (share, deviation) in MEASURED.items():
        where = {"patterns": patterns, "codec": codec}
        what = f"{patterns} digits, {codec}: cues recalled exactly"
        yield Check(what, "exact", share, deviation, source, where)
    what = "share recalled exactly above the nearest neighbour's, at most"
    yield Check(what, "above", 0, 0.02, "ceiling", aggregate="max")


def _draw(rows: list[Row]) -> Any:
    frame = plot.Frame(
        "A code lets real locations hold more digits",
        "patterns stored",
        "cues recalled exactly",
        log="x",
    )
    names = {"none": "pixels"}
    long = [row | {"line": names.get(row["codec"], row["codec"])} for row in rows]
    return plot.lines(long, "patterns", "exact", frame, by="line")


@recipe(
    "sdm.codes",
    "How many digits real locations hold, as pixels and as a code",
    "charikar2002",
    "for the code; Kanerva 1988 for the advice to store random-like codes",
    quick=[
        *grid(codec="none", locations=5000, patterns=(4, 16), subsets=2, cues=20),
        *grid(codec="bits:512", locations=5000, patterns=(4, 16), subsets=2, cues=20),
    ],
    paper=[
        *grid(codec="none", locations=200_000, patterns=(8, 32, 128), subsets=10, cues=100),
        *grid(codec=CODE, locations=100_000, patterns=(8, 32, 128), subsets=10, cues=100),
    ],
    checks=_checks(),
    draw=_draw,
)
def sdm_codes(
    codec: Annotated[str, "code of the pixels, as kanerva recall --codec takes it"],
    locations: Locations,
    patterns: Annotated[int, "distinct digits stored"],
    subsets: Annotated[int, "number of random subsets, each with its own radius"],
    cues: Annotated[int, "cues for each subset, at most as many as patterns"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store random subsets of the digits in locations, and recall cues with 6 of 64 bits flipped.

    The radius is fitted to each subset on cues of another seed. It is a compromise: a small circle
    contains none of the locations, and a large one many other digits, which are only a few bits
    away. A code of 2,048 bits spreads the digits, so that half the locations hold several times as
    many of them.
    """
    import torch

    from kanerva.lab import data as data_
    from kanerva.lab import recall

    checks.integer("subsets", subsets, 1)
    digits = torch.unique(data_.load("digits").bits, dim=0)
    checks.integer("patterns", patterns, 4, len(digits))
    shares, ceilings = list[float](), list[float]()
    radii, active = list[int](), list[float]()
    for subset in range(seed, seed + subsets):
        order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(subset))
        plan = recall.Plan(
            memories=("sdm",),
            codecs=(codec,),
            levels=(LEVEL,),
            seeds=1,
            cues=min(cues, patterns),
            seed=subset,
            given={"sdm.locations": locations},
            tune=True,
            capacity=False,
        )
        stored = data_.DataSet.of(digits[order[:patterns]], name="digits")
        result = recall.compare(stored, plan)
        shares += [row["exact"] for row in result.rows if row["memory"] == "sdm"]
        ceilings += [row["exact"] for row in result.rows if row["memory"] == "nearest"]
        for one in result.parameters:
            if one["name"] == "radius":
                radii.append(one["value"])
                active.append(math.exp(theory.circle.log_activation(one["dim"], one["value"])))
    yield {
        "exact": statistics.fmean(shares),
        "spread": statistics.pstdev(shares),
        "above": statistics.fmean(shares) - statistics.fmean(ceilings),
        "radius": statistics.median(radii),
        "active": statistics.fmean(active) * locations,
    }
