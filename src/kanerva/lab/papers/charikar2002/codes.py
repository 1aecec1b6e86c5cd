"""Memories on real data: parameters of theory, fitted parameters, and a longer code."""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["recall_codes"]

MEMORIES = (
    "hopfield",
    "dense",
    "exponential",
    "modern_hopfield",
    "sdm_patterns",
)
# Flipped bits, as a share: 6 of 64.
LEVEL = 0.09375
DIGITS = 1750
SETS = ("digits", "faces", "textures", "letters", "random")
# Noise in a table of real numbers, of which each column is scaled to [-1, 1].
NOISE = 0.2
# Shares of cues recalled exactly from all distinct digits: stored as pixels, and in 2,048 bits.
MEASURED = {
    "nearest": (0.86, 0.86),
    "sdm_patterns": (0.84, 0.84),
    "modern_hopfield": (0.83, 0.84),
    "exponential": (0.61, 0.84),
    "dense": (0.60, 0.84),
    "hopfield": (0.0, 0.0),
}


def _checks() -> Iterator[Check]:
    source = "measured with separate code"
    for memory, shares in MEASURED.items():
        for codec, share in zip(("none", "bits:2048"), shares, strict=True):
            where = {"data": "digits", "stored": DIGITS, "memory": memory, "codec": codec}
            what = f"digits, {memory}, {codec}: cues recalled exactly"
            yield Check(what, "exact", share, 0.05, source, where)
    where = {"data": "digits", "stored": DIGITS, "memory": "sdm_patterns", "codec": "none"}
    what = "digits, sdm_patterns with the radius of theory: cues recalled exactly"
    yield Check(what, "exact_theory", 0.11, 0.05, source, where)
    what, source = "{}: share recalled exactly above the nearest neighbour's, at most", "ceiling"
    for name in (*SETS, "wine"):
        yield Check(what.format(name), "above", 0, 0.03, source, {"data": name}, "max")
    what = "random bits: what a code adds to the share recalled exactly, at most"
    yield Check(what, "added", 0, 0.03, "independent bits need no code", {"data": "random"}, "max")


def _draw(rows: list[Row]) -> Any:
    first = rows[0]["data"]
    return plot.capacity_curves([row | {"seed": 0} for row in rows if row["data"] == first])


QUICK: tuple[Cell, ...] = (
    {"data": "digits", "patterns": 300, "cues": 60, "bits": 512},
    {"data": "random", "patterns": 100, "cues": 60, "bits": 512},
    {"data": "wine", "patterns": 100, "cues": 60, "bits": 512},
)
PAPER: tuple[Cell, ...] = ({"data": (*SETS, "wine"), "patterns": 2000, "cues": 500, "bits": 2048},)


@recipe(
    "recall.codes",
    "What fitted parameters and a longer code are worth on real data",
    "charikar2002",
    "for the code; Kanerva 1988 for the advice to store random-like codes",
    quick=[cell for one in QUICK for cell in grid(**one)],
    paper=[cell for one in PAPER for cell in grid(**one)],
    checks=_checks(),
    draw=_draw,
)
def recall_codes(
    data: Annotated[str, "digits, faces, textures, letters, random or wine"],
    patterns: Annotated[int, "store at most so many distinct patterns"],
    cues: Annotated[int, "cues for each of two seeds"],
    bits: Annotated[int, "length of the code"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Recall cues with 9.4 % of their bits flipped, from the data and from a code of them.

    The radius, inverse temperature or order of each memory is fitted on cues of another seed. The
    parameters of theory are those for random patterns: on digits, whose nearest other pattern is 3
    bits away where it would be 19, the memory of circles recalls 10 % with the radius of theory and
    85 % with the fitted one.

    In the code a bit says on which side of a random hyperplane a pattern lies. Similar patterns
    stay similar, yet they differ in more bits, so that a sum over all patterns is disturbed less:
    dense and exponential memories reach the nearest neighbour. Random bits need no code, and gain
    nothing from one. The nearest neighbour itself loses half a hundredth on digits, because codes
    of finite length measure angles with an error. On a table of 13 numbers a row (wine) it loses
    seven hundredths: the code keeps the direction of a row from the mean, but not its distance.
    """
    from kanerva.lab import recall

    checks.integer("patterns", patterns, 4)
    real = data == "wine"
    stored = _wine(patterns, seed) if real else _distinct(data, patterns, seed)
    plan = recall.Plan(
        memories=MEMORIES,
        codecs=("none", f"bits:{bits}"),
        domain="real" if real else "bits",
        kind="gaussian" if real else "flip",
        levels=(NOISE if real else LEVEL,),
        seeds=2,
        cues=min(cues, len(stored.real)),
        seed=seed,
        tune=True,
    )
    result = recall.compare(stored, plan)
    chosen = recall.compare(stored, replace(plan, tune=False, capacity=False))
    fitted = {
        (one["memory"], one["codec"]): one for one in result.parameters if one["gain"] is not None
    }
    shares, theory = _shares(result.rows), _shares(chosen.rows)
    for one in result.capacity:
        name, codec = key = one["memory"], one["codec"]
        best = fitted.get(key)
        head = {"memory": name, "title": one["title"], "codec": codec, "level": one["level"]}
        # Some memories store bits alone, so real numbers only in a code.
        plain = shares.get((name, "none")) if codec != "none" else None
        mine = [row for row in result.sizes if (row["memory"], row["codec"]) == key]
        for size in sorted({row["stored"] for row in mine}):
            last = size == len(stored.real)
            yield head | {
                "stored": size,
                "exact": statistics.fmean(row["exact"] for row in mine if row["stored"] == size),
                "parameter": best["name"] if best and last else None,
                "value": best["value"] if best and last else None,
                "theory": best["theory"] if best and last else None,
                "exact_theory": theory[key] if last else None,
                "above": shares[key] - shares["nearest", codec] if last else None,
                "added": shares[key] - plain if last and plain is not None else None,
                "holds": one["holds"] if last else None,
            }


def _distinct(name: str, patterns: int, seed: int) -> Any:
    """Load the distinct patterns of a set of bits, or so many of them."""
    import torch

    from kanerva.lab import data

    distinct = torch.unique(data.load(name).bits, dim=0)
    order = torch.randperm(len(distinct), generator=torch.Generator().manual_seed(seed))
    return data.DataSet.of(distinct[order[:patterns]], name=name)


def _wine(patterns: int, seed: int) -> Any:
    """Load the wines of scikit-learn as a user loads a table: 178 rows of 13 scaled columns."""
    import csv
    import tempfile
    from pathlib import Path

    from sklearn.datasets import load_wine

    from kanerva.lab import data

    wine = load_wine()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wine.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow([*wine.feature_names, "class"])
            table.writerows([*row, kind] for row, kind in zip(wine.data, wine.target, strict=True))
        count = min(patterns, len(wine.data))
        return data.load(path, patterns=count, seed=seed, domain="real")


def _shares(rows: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Average the share of exact recalls of each memory and code over the seeds."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        found.setdefault((row["memory"], row["codec"]), []).append(row["exact"])
    return {key: statistics.fmean(some) for key, some in found.items()}
