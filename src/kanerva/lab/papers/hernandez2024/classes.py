"""Entropic memories: a register for each class, and which of those that accept answers."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers.hernandez2024._words import SEPARATE
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["classes"]

LEVELS = (1, 2, 4, 8, 16)
# By levels: recall, precision, entropy and accepting registers of marks, 57 % of the digits apart
# for the classifier and 33 % stored.
RECALL = (9.9, 40.9, 60.5, 54.9, 19.8)
PRECISION = (9.9, 41.2, 65.7, 81.7, 87.9)
ENTROPY = (0.0, 0.62, 1.28, 1.92, 2.52)
ACCEPTING = (10.0, 4.66, 1.81, 0.83, 0.23)
# By levels of counts, 80 % of the digits stored: recall by penalty, by likelihood among the
# registers that accept, and by likelihood alone.
COUNTED = {
    2: (60.9, 88.8, 88.8),
    4: (72.1, 89.0, 91.8),
    8: (73.0, 83.7, 91.1),
    16: (62.6, 65.9, 90.8),
}
RULES = ("entropy", "penalty", "likelihood", "likelihood alone")
# The share that is stored in the figure, in percent.
MAIN = {"entropy": 33, "penalty": 80, "likelihood": 80, "likelihood alone": 80}
SPLITS = {20: (70, 20, 10), 33: (57, 33, 10), 80: (10, 80, 10)}


def _checks() -> Iterator[Check]:
    for at, levels in enumerate(LEVELS):
        where = {"rule": "entropy", "levels": levels, "stored": 33}
        numbers = (
            ("recall, %", "recall", RECALL[at], 2.0),
            ("precision, %", "precision", PRECISION[at], 2.0),
            ("entropy, bits a column", "entropy", ENTROPY[at], 0.02),
            ("registers that accept", "accepting", ACCEPTING[at], 0.1),
        )
        for what, column, expected, tolerance in numbers:
            name = f"marks, {levels} levels: {what}"
            yield Check(name, column, expected, tolerance, SEPARATE, where)
    for levels, found in COUNTED.items():
        for rule, expected in zip(RULES[1:], found, strict=True):
            where = {"rule": rule, "levels": levels, "stored": 80}
            name = f"counts, {levels} levels: recall by {rule}, %"
            yield Check(name, "recall", expected, 2.0, SEPARATE, where)
    where = {"rule": "likelihood", "levels": 4, "stored": 80}
    name = "counts, 4 levels: precision by likelihood, %"
    yield Check(name, "precision", 90.1, 2.0, SEPARATE, where)


def _draw(rows: list[Row]) -> Any:
    titles = {
        "entropy": "marks, lowest entropy",
        "penalty": "counts, lowest penalty",
        "likelihood": "counts, likelihood",
        "likelihood alone": "counts, likelihood alone",
    }
    # Of one share of the digits; of what there is where that is missing.
    main = [row for row in rows if row["stored"] == MAIN[row["rule"]]] or rows
    long = [
        {"levels": row["levels"], "y": row[column], "line": column, "panel": titles[row["rule"]]}
        for row in main
        for column in ("precision", "recall", "bare")
    ]
    for row in long:
        row["line"] = {"bare": "classifier on the bare cue"}.get(row["line"], row["line"])
    frame = plot.Frame(
        "Likelihood answers better than entropy",
        "levels of a column",
        "% of the cues; precision: of the answers",
        log="x",
        across=2,
        limits=(0.0, 104.0),
    )
    return plot.lines(long, "levels", "y", frame, by="line", panel="panel")


@recipe(
    "eam.classes",
    "A register for each class: which of those that accept should answer",
    "pineda2021",
    "on one register for each class of digits; these digits and numbers are another set",
    quick=[
        *grid(rule=("entropy",), levels=LEVELS, stored=(33,), fold=range(10)),
        *grid(rule=RULES[1:], levels=tuple(COUNTED), stored=(80,), fold=range(10)),
    ],
    paper=[
        *grid(rule=("entropy",), levels=(*LEVELS, 32, 64), stored=(33, 80), fold=range(10)),
        *grid(rule=RULES[1:], levels=(1, *COUNTED, 32), stored=(33, 80), fold=range(10)),
    ],
    checks=_checks(),
    draw=_draw,
)
def classes(
    rule: Annotated[str, "entropy (registers of marks), penalty, likelihood, likelihood alone"],
    levels: Annotated[int, "levels m of a column"],
    stored: Annotated[int, "percent of the digits that are stored: 20, 33 or 80"] = 33,
    fold: Annotated[int, "which tenth of the digits is asked for, 0 to 9"] = 0,
) -> Iterator[Row]:
    """Store digits in ten registers, one for each class, and let one that accepts answer.

    ``entropy`` is the rule of 2021 for registers of marks: the accepting register with the lowest
    entropy answers. ``penalty`` is the rule of 2022 for registers of counts: the lowest entropy
    over the weight of the cue. ``likelihood`` takes, among the registers that accept, the one under
    which the cue is likeliest, with one count added to every cell; ``likelihood alone`` lets all
    registers accept, and is naive Bayes. All numbers are of raw pixels.

    ``recall`` is the share of the cues with a correct answer, ``precision`` that of the answers
    that are correct (empty without any answer, of which there are ``answers``), ``accepting`` how
    many registers accept a cue, ``own`` the share of the cues that their own register accepts, and
    ``bare`` the share that a support vector classifier of 57 or fewer percent of the digits gets
    right. ``entropy`` is the mean over the registers, in bits a column.

    More levels make the answers of registers of marks more precise, from 10 % to 88 %, and fewer:
    recall peaks at 4 levels, with 60 %. Counts in place of marks, with the penalty, recall 73 % at
    most. The likelihood of the same counts is right for 89 % of the cues at 4 levels, and 92 % if
    no register may reject: the loss of the published rules lies in the rule, not in what is stored.
    """
    from kanerva.lab.papers.hernandez2024 import _classes

    checks.choice("rule", rule, RULES)
    if stored not in SPLITS:
        checks.choice("stored", str(stored), tuple(map(str, SPLITS)))
    yield _classes.answered(rule, levels, SPLITS[stored], fold)
