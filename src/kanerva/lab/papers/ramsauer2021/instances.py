"""Ramsauer and others 2021: pooling over bags, in some of which a pattern is hidden."""

import statistics
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["instances"]

POOLS = ("mean", "latents", "lookup")
PANELS = {"latents": "a learned query of the bag", "other": "lookup of each row, and mean"}
LONG, SHORT = 1500, 300


def _checks() -> Iterator[Check]:
    for steps in (1, 3):
        at: Cell = {"pool": "latents", "steps": steps, "update": SHORT}
        what = f"latents of {steps} step{'s' * (steps > 1)}: right answers, at least .95"
        yield Check(what, "right", 0.975, 0.025, SEPARATE, at, "min")
    what = "mean of the rows: right answers"
    yield Check(what, "right", 0.73, 0.05, SEPARATE, {"pool": "mean", "update": LONG})
    what = "lookup of each row, then the mean: right answers, at least .95"
    yield Check(what, "right", 0.975, 0.025, SEPARATE, {"pool": "lookup", "update": SHORT}, "min")
    what = "right answers of one who is told the patterns: 1 less 20 x 4 / 4096 / 2"
    yield Check(what, "best", 0.99, 0.008, LAW, {}, "min")


def _draw(rows: list[Row]) -> Any:
    by_place: dict[tuple[str, str, int], list[float]] = {}
    for row in rows:
        panel = PANELS["latents" if row["pool"] == "latents" else "other"]
        by_place.setdefault((panel, _title(row), row["update"]), []).append(row["right"])
    # Bars of every look of every line would hide the lines.
    long = [
        {"panel": panel, "line": line, "update": update, "right": statistics.fmean(found)}
        for (panel, line, update), found in by_place.items()
    ]
    frame = plot.Frame(
        "A weight finds what a mean hides",
        "updates",
        "share of right answers, mean over the seeds",
        log="x",
        across=2,
        limits=(0.48, 1.0),
    )
    return plot.lines(long, "update", "right", frame, by="line", panel="panel")


def _title(row: Row) -> str:
    if row["pool"] == "mean":
        return "mean without a layer"
    return f"{row['steps']} step{'s' if row['steps'] > 1 else ''}"


@recipe(
    "layers.instances",
    "Find the bags with a hidden pattern",
    "ramsauer2021",
    "for the pooling and the lookup; the bags are of our own making",
    quick=[
        *grid(pool="mean", updates=LONG, every=300),
        *grid(pool="latents", steps=(1, 3), updates=SHORT, every=50),
        *grid(pool="lookup", updates=SHORT, every=50),
    ],
    paper=[
        *grid(pool="mean", updates=LONG, every=150, seed=range(5)),
        *grid(pool="latents", steps=(1, 2, 3, 5), updates=SHORT, every=10, seed=range(5)),
        *grid(pool="lookup", steps=(1, 3), updates=SHORT, every=10, seed=range(5)),
    ],
    checks=_checks(),
    draw=_draw,
)
def instances(
    pool: Annotated[str, "mean, latents: learned queries of the bag, or lookup: of each row"],
    updates: Annotated[int, "number of updates, of 128 bags each"],
    every: Annotated[int, "updates between two looks at the model"],
    steps: Annotated[int, "reads in a row; of no effect for the mean"] = 1,
    heads: Annotated[int, "number of heads; of no effect for the mean"] = 4,
    width: Annotated[int, "width of a mapped row, a multiple of the heads"] = 32,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train models to tell bags with one of four hidden patterns from bags without.

    A bag has 20 rows of 12 bits, and half of the bags get a pattern in place of one row. Rows are
    mapped to 32 rectified numbers, the bag is pooled, and a linear map answers. One who is told the
    patterns is right in 0.988 of the bags, since a random row is one of them once in 1,024.

    One learned query (latents) reaches the same 0.988, and in 99 of 100 bags it gives the row with
    the pattern the largest weight, though no row is labelled. One, two and three steps end alike;
    five learn more slowly, 0.935 beside 0.987 after 100 updates, and end a little lower. More steps
    buy nothing here, where beta is trained. A lookup of 16 learned rows, applied to each row before
    the mean, reaches 0.988, too. The mean of the mapped rows is at 0.72 after five times as
    many updates: what one row adds to it is small beside what the others vary by.
    """
    from kanerva.lab.papers.ramsauer2021 import _bags

    checks.choice("pool", pool, POOLS)
    for name, value in (("updates", updates), ("every", every), ("steps", steps)):
        checks.integer(name, value, 1, 10**6)
    checks.integer("heads", heads, 1, 2**10)
    checks.integer("width", width, 1, 2**14)
    design = _bags.Design(pool, steps, heads, width)
    yield from _bags.train(design, updates, every, checks.integer("seed", seed, 0, 2**63 - 1))
