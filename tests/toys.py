"""Small recipes with known rows, for the tests of how recipes run."""

import os
from pathlib import Path
from typing import Annotated

from kanerva.lab import plot
from kanerva.lab.recipe import Check, grid, recipe

CHECKS = [
    Check("square of 3", "square", 9, 0, "arithmetic", at={"n": 3}),
    Check("square of 100", "square", 10_000, 0, "arithmetic", at={"n": 100}),
    Check("largest square", "square", 9, 0, "arithmetic", aggregate="max"),
    Check(
        "square of 2 in a misprint",
        "square",
        5,
        0,
        "a misprint",
        at={"n": 2},
        reason="it is a misprint",
    ),
]


def draw(rows):
    return plot.lines(rows, "n", "square", plot.Frame("Squares", "n"), by="seed")


@recipe(
    "toy.squares",
    "Squares",
    "kanerva1988",
    "nowhere",
    quick=grid(n=(1, 2, 3), seed=(0, 1)),
    paper=grid(n=100),
    draw=draw,
    checks=CHECKS,
)
def squares(
    n: Annotated[int, "a number"],
    power: Annotated[float, "how often"] = 2.0,
    seed: Annotated[int, "the first seed"] = 0,
):
    """Square a number, twice in a row."""
    trace = os.environ.get("TOYS_TRACE")
    if trace:
        with Path(trace).open("a") as file:
            file.write(f"{n},{seed}\n")
    if os.environ.get("TOYS_FAIL") == f"{n},{seed}":
        raise KeyboardInterrupt
    for repeat in range(2):
        yield {"repeat": repeat, "square": n**power, "word": "" if repeat else "first, or so"}


@recipe(
    "toy.wrong",
    "A number that does not come out",
    "kanerva1988",
    "nowhere",
    quick=grid(n=1),
    paper=grid(n=1),
    draw=draw,
    checks=[Check("one", "square", 2, 0.5, "a mistake")],
)
def wrong(n: Annotated[int, "a number"], seed: Annotated[int, "unused"] = 0):
    """Get a number wrong."""
    yield {"square": n}


@recipe(
    "toy.uneven",
    "Rows that do not match",
    "kanerva1988",
    "nowhere",
    quick=grid(n=(1, 2)),
    paper=grid(n=1),
    draw=draw,
)
def uneven(n: Annotated[int, "a number"]):
    """Yield other columns in the second cell."""
    yield {"a": 1} if n == 1 else {"b": 1}
