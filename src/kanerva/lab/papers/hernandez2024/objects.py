"""Random objects: what a register accepts, and its entropy, in theory and in simulation."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["random"]

TOLERANCES = (0, 1, 2, 4)
PATTERNS = (20, 40, 60, 80, 120)
FALSE = 0.01
# Columns, levels, and how many objects are stored before a cue in a hundred is accepted.
CAPACITIES = ((64, 16, 41), (64, 32, 84), (1024, 16, 83))
QUICK: list[Cell] = [
    {"columns": n, "levels": m, "patterns": 0, "registers": 100} for n, m, _ in CAPACITIES
]
THEORY = "theory, within 3 standard errors"
MARKED = "exact distribution of the marked levels"
NAMES = {"weighted": "counts", "binary": "marks"}


def _checks() -> Iterator[Check]:
    for patterns in PATTERNS:
        for xi in TOLERANCES:
            at: Cell = {"columns": 32, "levels": 16, "stored": patterns, "xi": xi, "seed": 0}
            what = f"{patterns} stored, xi = {xi}: accepted, in standard errors from theory"
            yield Check(what, "accepted_off", 0.0, 3.0, THEORY, at)
        at = {"columns": 32, "levels": 16, "stored": patterns, "xi": 0, "seed": 0}
        for name, word in NAMES.items():
            what = f"{patterns} stored: entropy of {word}, in standard errors from theory"
            yield Check(what, f"{name}_off", 0.0, 3.0, THEORY, at)
    at = {"columns": 32, "levels": 16, "stored": 60, "xi": 0}
    yield Check("60 stored: accepted, theory", "accepted_expected", 0.510, 5e-4, SEPARATE, at)
    yield Check("60 stored: accepted, simulated", "accepted", 0.503, 0.02, SEPARATE, at)
    what = "60 stored: entropy of counts, theory, bits"
    yield Check(what, "weighted_expected", 3.8064, 5e-5, SEPARATE, at)
    what = "60 stored: entropy of marks, theory, bits"
    yield Check(what, "binary_expected", 3.9687, 5e-5, MARKED, at)
    for columns, levels, capacity in CAPACITIES:
        at = {"columns": columns, "levels": levels, "false": FALSE, "xi": 0, "patterns": 0}
        name = f"{columns} columns of {levels} levels"
        yield Check(f"{name}: capacity at 1 percent", "stored", capacity, 0, SEPARATE, at)
        what = f"{name}: accepted at the capacity, in standard errors from theory"
        yield Check(what, "accepted_off", 0.0, 3.0, THEORY, at | {"seed": 0})


def _draw(rows: list[Row]) -> Any:
    mine = [row for row in rows if row["patterns"] and row["columns"] == 32]
    return {"": _accepted(mine or rows), "entropy": _entropy(mine or rows)}


def _accepted(rows: list[Row]) -> Any:
    """Draw theory as lines by the tolerance, and simulations as dots."""
    words = {"accepted_expected": "theory", "accepted": "simulated"}
    long = [
        {"x": row["stored"], "y": row[name], "line": line, "panel": f"ξ = {row['xi']}"}
        for name, line in words.items()
        for row in sorted(rows, key=lambda row: row["xi"])
    ]
    frame = plot.Frame(
        "Random cues are accepted as the register fills",
        "number of random objects that are stored",
        "share of the random cues that are accepted",
        across=2,
        dots=("simulated",),
        limits=(-0.03, 1.03),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _entropy(rows: list[Row]) -> Any:
    long = [
        {"x": row["stored"], "y": row[f"{name}{end}"], "line": f"{word}, {line}"}
        for name, word in NAMES.items()
        for end, line in {"_expected": "theory", "": "simulated"}.items()
        for row in rows
        if row["xi"] == 0
    ]
    dots = tuple(f"{word}, simulated" for word in NAMES.values())
    frame = plot.Frame(
        "The entropy nears the log of the levels",
        "number of random objects that are stored",
        "entropy, bits a column",
        dots=dots,
    )
    return plot.lines(long, "x", "y", frame, by="line")


@recipe(
    "eam.random",
    "Random objects, in theory and in simulation",
    "hernandez2024",
    "beyond the publication, which has no theory of random objects",
    quick=[
        *grid(columns=32, levels=16, patterns=PATTERNS),
        *QUICK,
    ],
    paper=[
        *grid(columns=32, levels=16, patterns=(5, 10, *PATTERNS, 160, 240), seed=range(3)),
        *grid(columns=(16, 64), levels=(4, 16, 64), patterns=(20, 60, 120)),
        *[{"columns": n, "levels": m, "patterns": 0, "seed": 0} for n, m, _ in CAPACITIES],
    ],
    checks=_checks(),
    draw=_draw,
)
def random(
    columns: Annotated[int, "columns of a register"],
    levels: Annotated[int, "levels of a column"],
    patterns: Annotated[int, "number of random objects that are stored; 0 for the capacity"],
    false: Annotated[float, "share of random cues accepted at the capacity"] = FALSE,
    registers: Annotated[int, "number of registers, each with objects of its own"] = 200,
    cues: Annotated[int, "number of random cues of each register"] = 200,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store random objects, and compare registers with the theory of random objects.

    Each of many registers stores ``stored`` objects with independent levels, and gets random cues.
    Where ``patterns`` is 0, that number is the capacity: the largest at which at most the share
    ``false`` of the random cues is expected to be accepted without a mismatch. ``accepted`` is the
    share of the cues with at most ``xi`` mismatches, ``weighted`` the entropy of the counts, and
    ``binary`` that of marks alone, in bits a column. Beside each, ``expected`` is the value of
    ``kanerva.theory.entropic``, and ``off`` the difference in standard errors over registers.

    Theory and simulation agree within three standard errors for 32 columns of 16 levels. Of 186
    comparisons in the paper size 10 differ by more than two, and two by more than three, 3.05 at
    most; neither of these two differs as much with other draws. A register of 32 columns and
    16 levels accepts 0.08 of the random cues after 40 objects, 0.51 after 60, and 0.83 after
    80: it fills within a few multiples of its levels. With one mismatch allowed these are 0.29,
    0.86 and 0.99. The entropy rises meanwhile from 3.70 to 3.86 of 4 bits, and that of marks from
    3.88 to 3.99. At a rate of one false cue in a hundred the capacity is 41 objects for 64 columns
    of 16 levels. Twice the levels give 84, and 16 times the columns no more than 83.
    """
    from kanerva.lab.papers.hernandez2024 import _objects
    from kanerva.theory import entropic

    columns = checks.integer("columns", columns, 1, 2**20)
    levels = checks.integer("levels", levels, 1, 2**14)
    patterns = checks.integer("patterns", patterns, 0, 10**6)
    registers = checks.integer("registers", registers, 2, 10**6)
    cues = checks.integer("cues", cues, 1, 10**6)
    seed = checks.integer("seed", seed, 0, 2**62)
    stored = patterns or entropic.capacity(columns, levels, false)
    design = _objects.Design(columns, levels, stored, registers, cues, seed)
    yield from _objects.simulated(design, [xi for xi in TOLERANCES if xi <= columns])
