"""Hoover 2023: completing digits of which a part is hidden."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hoover2023diffusion import _pictures
from kanerva.lab.papers.hoover2023diffusion._words import ONE, SEPARATE, Count
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["mask"]

CELLS = 64
READ, RECALL, REPLACED, BEFORE = "read", "recall", "replaced", "replaced before"
NAMES = {
    READ: "one read that compares what is seen",
    RECALL: "annealing that compares what is seen",
    REPLACED: "seen part replaced after each step",
    BEFORE: "seen part replaced before each read",
}
HIDDEN = (0, 8, 16, 24, 32, 40, 48, 56)
PICTURES = ("stored", "seen", "one read", "replaced after each step")


def _checks() -> Iterator[Check]:
    half = {"hidden": 32, "digits": 500}
    at = half | {"method": READ, "noise": 0.0}
    what = "lower half hidden, one read: digits completed"
    yield Check(what, "completed", 1.0, 0.005, ONE, at, "min")
    what = "lower half hidden, noise 0.1 on what is seen, one read: digits completed"
    yield Check(what, "completed", 0.98, 0.02, ONE, half | {"method": READ, "noise": 0.1})
    for method in (REPLACED, BEFORE):
        what = f"lower half hidden, {NAMES[method]}: digits completed, at most 0.3"
        at = half | {"method": method, "noise": 0.0}
        yield Check(what, "completed", 0.15, 0.15, SEPARATE, at, "max")
    what = "nothing hidden, one read: digits completed"
    yield Check(what, "completed", 1.0, 0.0, "the row itself", {"hidden": 0, "method": READ}, "min")


def _draw(rows: list[Row]) -> Any:
    long = [
        {
            "hidden": row["hidden"] / CELLS,
            "completed": row["completed"],
            "line": NAMES[row["method"]],
            "panel": f"noise {row['noise']:g} on what is seen",
        }
        for row in rows
    ]
    frame = plot.Frame(
        "Compare what is seen: one read completes",
        "share of the cells that is hidden, from the lowest up",
        "share of the digits that are completed",
        across=2,
        limits=(-0.03, 1.03),
    )
    found = {"": plot.lines(long, "hidden", "completed", frame, by="line", panel="panel")}
    first = min(row["seed"] for row in rows)
    shown = {
        row["method"]: row["pictures"].split("/")
        for row in rows
        if row["seed"] == first and row["hidden"] == CELLS // 2 and not row["noise"]
    }
    if {READ, REPLACED} <= set(shown):
        pairs = [one.split("+") for one in shown[READ]]
        kinds = {name: [pair[place] for pair in pairs] for place, name in enumerate(PICTURES[:3])}
        kinds[PICTURES[3]] = [one.split("+")[2] for one in shown[REPLACED]]
        title, about = "Digits whose lower half is hidden", "different digits"
        found["pictures"] = _pictures.drawn(title, [""] * len(pairs), kinds, about)
    return found


@recipe(
    "diffusion.mask",
    "Compare what is seen, and one read completes",
    "hoover2023diffusion",
    "on the kinds of damage that are undone; the publication prints no numbers",
    quick=[
        *grid(method=READ, hidden=(0, 16, 32, 48), noise=(0.0, 0.1)),
        *grid(method=RECALL, hidden=32, noise=(0.0, 0.1)),
        *grid(method=(REPLACED, BEFORE), hidden=(16, 32, 48), noise=0.0),
    ],
    paper=[
        *grid(method=READ, hidden=HIDDEN, noise=(0.0, 0.1), seed=range(3)),
        *grid(method=RECALL, hidden=(16, 32, 48, 56), noise=(0.0, 0.1), seed=range(2)),
        *grid(method=(REPLACED, BEFORE), hidden=HIDDEN, noise=0.0, seed=range(2)),
    ],
    checks=_checks(),
    draw=_draw,
)
def mask(
    method: Annotated[str, "read, recall, replaced or replaced before"],
    hidden: Annotated[int, "number of hidden cells of 64, from the last row up"],
    noise: Annotated[float, "standard deviation of the noise on the cells that are seen"] = 0.0,
    digits: Count = 500,
    steps: Annotated[int, "levels of noise of the methods that anneal"] = 20,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Hide the lower part of digits, and complete them in four ways.

    ``read`` is one read of the exact denoiser at a noise of 0.1 that compares only the cells that
    are seen: ``exact(rows)(x, 0.1, known=mask)``. ``recall`` anneals from that noise in the same
    way. The other two start from noise, follow the noise from 3 down to 0.05, and put the seen
    cells, with noise of the level, into the state: ``replaced`` after each step, ``replaced
    before`` before each read. This is how trained models are often made to complete. ``completed``
    is the share of the digits whose own row is nearest to the result.

    A read that compares what is seen weighs the rows by what is known alone. With replacement the
    hidden cells, which start as noise, are compared too, and most paths end at rows of which the
    seen part is another one.
    """
    from kanerva.lab.papers.hoover2023diffusion import _masks

    checks.choice("method", method, tuple(NAMES))
    checks.integer("hidden", hidden, 0, CELLS - 1)
    checks.number("noise", noise, 0, 1e3)
    checks.integer("steps", steps, 2, 10**4)
    yield _masks.completed(_masks.Design(method, hidden, noise, digits, steps, seed))
