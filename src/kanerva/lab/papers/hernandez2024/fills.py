"""Hernandez 2024: precision and recall of one register, by how much of it is filled."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hernandez2024._words import (
    CLASSIFIER,
    SEPARATE,
    SEPARATELY,
    Features,
    Folds,
    Levels,
    Sigma,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["fills"]

FILLED = (1, 2, 4, 8, 16, 32, 64, 100)
ACCEPTED = {
    4: (0.0, 1.5, 16.5, 65.0, 86.0, 92.0, 97.0, 98.7),
    16: (0.0, 0.0, 0.0, 0.0, 7.0, 53.0, 85.0, 93.0),
}
# Bits at one percent and at all.
ENTROPIES = {4: (0.78, 1.23), 8: (0.99, 1.78), 16: (1.12, 2.35)}
LINES = {"precision": "precision", "recall": "recall", "bare": CLASSIFIER}


def _at(levels: int, filled: int) -> Cell:
    return {"levels": levels, "filled": filled, "features": "raw", "sigma": 0.1, "folds": 10}


def _checks() -> Iterator[Check]:
    for levels, wanted in ACCEPTED.items():
        for filled, share in zip(FILLED, wanted, strict=True):
            what = f"{levels} levels, {filled} % filled: cues accepted, %"
            yield Check(what, "accepted", share, 4.0, SEPARATELY, _at(levels, filled))
    for levels, ends in ENTROPIES.items():
        for filled, bits in zip((1, 100), ends, strict=True):
            what = f"{levels} levels, {filled} % filled: entropy, bits"
            yield Check(what, "entropy", bits, 0.02, SEPARATE, _at(levels, filled))
    what = "4 levels, filled: precision less that at 16 % filled, points"
    at, less = _at(4, 100), _at(4, 16)
    yield Check(what, "precision", 0.0, 2.0, SEPARATE, at, less=less)


def _draw(rows: list[Row]) -> Any:
    long = [
        {"filled": row["filled"], "y": row[column], "line": line, "panel": _panel(row)}
        for column, line in LINES.items()
        for row in rows
    ]
    frame = plot.Frame(
        "A register must be filled before it accepts",
        "percent of the filling part that is stored",
        "percent of the answers (precision) or of the cues",
        log="x",
        limits=(-3.0, 103.0),
    )
    drawn = {"": plot.lines(long, "filled", "y", frame, by="line", panel="panel")}
    named = [row | {"line": _panel(row)} for row in rows]
    frame = plot.Frame(
        "Entropy rises while the register is filled",
        "percent of the filling part that is stored",
        "entropy, bits a column",
        log="x",
    )
    drawn["entropy"] = plot.lines(named, "filled", "entropy", frame, by="line")
    return drawn


def _panel(row: Row) -> str:
    return f"{row['levels']} levels"


@recipe(
    "eam.fills",
    "A register accepts once enough is stored",
    "hernandez2024",
    "the experiment on filling the register, on digits in place of its pictures",
    quick=grid(levels=(4, 8, 16), filled=FILLED),
    paper=grid(levels=(4, 8, 16, 32), filled=FILLED, seed=range(3)),
    checks=_checks(),
    draw=_draw,
)
def fills(
    levels: Levels,
    filled: Annotated[float, "percent of the stored digits that are written"],
    features: Features = "raw",
    sigma: Sigma = 0.1,
    folds: Folds = 10,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store more and more digits in one register, and recall others from it.

    The protocol and the columns are those of ``eam.sizes``, where everything is stored. Here the
    first ``filled`` percent of the 359 digits of the filling part are written, rounded to whole
    digits: ``stored`` says how many. The ends of the levels are always those of the whole part.

    A register with little in it rejects: of raw digits in 4 levels 1.5 % are accepted after 7
    stored digits, 67 % after 29 and 98.7 % after 359. More levels need more: with 16 levels nothing
    is accepted before 57 digits are stored, and 53 % after 115. Precision stays near that of the
    classifier on the bare cue wherever cues are accepted, so what is stored does not disturb what
    is recalled; with few answers it is uncertain. Entropy rises fast and then stays: in 4 levels
    from 0.78 bits at 4 digits to 1.23 bits.
    """
    from kanerva.lab.papers.hernandez2024 import _registers

    yield from _registers.measured(features, levels, folds, seed, filled=filled, sigma=sigma)
