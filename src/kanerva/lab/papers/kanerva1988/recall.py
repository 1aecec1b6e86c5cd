"""Kanerva 1988, Sparse Distributed Memory: loss of locations, and recall of sequences."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import kanerva
from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Bits, Locations, Patterns, Radius, Seed, table
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["alphabet", "fault_tolerance"]

SMALL: Cell = {"bits": 256, "locations": 10_000}
# Memories in the quick size. The mean over them is compared with one memory, so both spreads add.
MEMORIES = 6
DEVIATIONS = 3 * math.sqrt(1 + 1 / MEMORIES)
ONE_MEMORY = "one memory computed independently, three standard deviations between memories"
# By share of locations lost: the share of wrong bits after one read of clean queries, and after six
# reads from 26 wrong bits, each with its standard deviation between memories.
LOST = """
lost  clean   clean_sd  noisy   noisy_sd
0.0   0       0         0       8e-6
0.25  0       0         0       1.2e-3
0.5   0       0         0.0016  4.2e-3
0.75  0       3e-5      0.070   0.0145
0.9   0.0037  1.7e-3    0.288   0.0201
0.95  0.028   7.9e-3    0.396   0.0247
"""
# By wrong bits of the first letter: the letters recalled, of 25, and the standard deviation between
# memories.
LETTERS = {
    **{0: (25, 0), 20: (25, 0), 40: (24.7, 0.17), 50: (24.25, 0.19)},
    **{60: (23.9, 0.09), 70: (23.6, 0.86), 80: (20.1, 1.73)},
}


def _small(rows: list[Row]) -> bool:
    """Return whether the rows are of the memory of the reference numbers."""
    return all(rows[0][key] == value for key, value in SMALL.items())


def _fault_checks() -> Iterator[Check]:
    for row in table(LOST):
        for name in ("clean", "noisy"):
            query = {"clean": "clean query", "noisy": "damaged query"}[name]
            what, at = f"{query}, {row['lost']:.0%} dead", {"lost": row["lost"]}
            tolerance = DEVIATIONS * row[f"{name}_sd"] + 5e-4
            yield Check(what, name, row[name], tolerance, ONE_MEMORY, at)


def _draw_fault(rows: list[Row]) -> Any:
    labels = {
        "clean": "clean query, one read",
        "noisy": "damaged query, several reads",
        "expected": "clean query, predicted",
    }
    dots = {"clean": "reference, clean", "noisy": "reference, damaged"}
    points = [(row, labels) for row in rows]
    points += [(row, dots) for row in table(LOST) if _small(rows)]
    long = [
        {"lost": row["lost"], "y": row[column], "line": line}
        for row, lines in points
        for column, line in lines.items()
    ]
    frame = plot.Frame(
        "A memory survives the loss of most locations",
        "share of the locations lost",
        "share of the bits read wrong",
        dots=tuple(dots.values()),
    )
    return plot.lines(long, "lost", "y", frame, by="line")


SIZE: Cell = {**SMALL, "radius": 109, "patterns": 100, "wrong": 26, "steps": 6}


@recipe(
    "kanerva.fault_tolerance",
    "Reads after a loss of locations",
    "kanerva1988",
    "on the loss of neurons",
    quick=grid(**SIZE, seed=range(MEMORIES)),
    paper=grid(**SIZE, seed=range(24)),
    checks=_fault_checks(),
    draw=_draw_fault,
)
def fault_tolerance(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    patterns: Patterns,
    wrong: Annotated[int, "wrong bits of a damaged query"],
    steps: Annotated[int, "number of reads from a damaged query, each of the one before"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store patterns, remove a share of the locations, and read.

    Each pattern is stored in many locations, about a hundred here, so that none of them is
    essential. From clean queries the memory reads without errors until three quarters of its
    locations are removed, and with few errors when nine of ten are. From damaged queries, which
    share fewer locations with the pattern, half of the locations may be removed. No pattern is lost
    before the others: the errors of all of them grow together.

    The reference numbers are of one memory, and agree with these within the spread between
    memories. The prediction is that of a memory that never had more locations. It is too high where
    few are left, because it replaces a few votes by a normal distribution.
    """
    import copy

    import torch

    source = torch.Generator().manual_seed(seed)
    memory = kanerva.sdm(bits, locations, radius, seed=seed)
    stored = kanerva.bits.random(patterns, bits, seed=source)
    memory.write(stored)
    cues = kanerva.bits.flip(stored, wrong, seed=source)
    for row in table(LOST):
        left = copy.deepcopy(memory)
        died = left.kill(row["lost"], seed=source)
        yield {
            "lost": row["lost"],
            "clean": (left.read(stored) != stored).double().mean(),
            "noisy": (left.recall(cues, steps=steps) != stored).double().mean(),
            "expected": theory.critical.curve(bits, radius, patterns, locations - died)[0] / bits,
        }


def _alphabet_checks() -> Iterator[Check]:
    for wrong, (letters, spread) in LETTERS.items():
        what, at = f"letters recalled, {wrong} wrong bits", {"wrong": wrong}
        tolerance = DEVIATIONS * spread + 0.05
        yield Check(what, "recalled", letters, tolerance, ONE_MEMORY, at)


def _draw_alphabet(rows: list[Row]) -> Any:
    long = [row | {"line": "measured"} for row in rows]
    if _small(rows):
        for wrong, (letters, _) in LETTERS.items():
            long.append({"wrong": wrong, "recalled": letters, "line": "reference"})
    frame = plot.Frame(
        "From one damaged letter to the whole alphabet",
        "wrong bits in the first letter",
        "letters recalled exactly, of 25",
        dots=("reference",),
    )
    return plot.lines(long, "wrong", "recalled", frame, by="line")


@recipe(
    "kanerva.alphabet",
    "A chain of letters recalled from the first",
    "kanerva1988",
    "chapter on the storage of sequences",
    quick=grid(**SMALL, radius=110, cues=20, seed=range(MEMORIES)),
    paper=grid(**SMALL, radius=110, cues=20, seed=range(24)),
    checks=_alphabet_checks(),
    draw=_draw_alphabet,
)
def alphabet(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    cues: Annotated[int, "number of damaged first letters"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store each letter as the value of the letter before, and recall the chain from a damaged A.

    Every read returns the next letter, which is the query for the one after. A letter that is read
    with some wrong bits is near enough to its pattern for the next read, so errors decrease along
    the chain: from an A with 60 of 256 bits wrong, all letters but the first one or two are read
    without errors. The whole chain is lost only where the first read leads too far away.

    The reference is one memory with 20 cues. The measured line is the mean over several memories,
    with a bar of one standard deviation between them.
    """
    import torch

    source = torch.Generator().manual_seed(seed)
    checks.integer("cues", cues, 1, 10**6)
    memory = kanerva.sdm(bits, locations, radius, seed=seed)
    letters = kanerva.bits.random(26, bits, seed=source)
    memory.write(letters[:-1], letters[1:])
    for wrong in LETTERS:
        damaged = kanerva.bits.flip(letters[0].expand(cues, -1), wrong, seed=source)
        path = kanerva.dynamics.chain(memory.read, damaged, 25)
        after = kanerva.bits.hamming(path[1:], letters[1:, None]).double()
        yield {
            "wrong": wrong,
            "recalled": (after == 0).double().sum(0).mean(),
            "after_one": after[0].mean(),
            "after_all": after[-1].mean(),
        }
