"""Train small models on the patches of digits, some of them masked, and follow their betas."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["vision"]

TRAINED: Cell = {"updates": 1000, "every": 100}
MASKED = (0.0, 0.25, 0.5)
STARTS, SEEDS = (10.0, 20.0), (0, 1, 2)


def _checks() -> Iterator[Check]:
    end: Cell = {"update": TRAINED["updates"]}
    what = "share of the held-out digits that are named, in every run above .2"
    yield Check(what, "right", 0.6, 0.4, "one in ten by chance", aggregate="min")
    for start in STARTS:
        for seed in SEEDS:
            at = TRAINED | end | {"start": start, "seed": seed}
            for masked in MASKED[1:]:
                pair = f"from beta {start:g}, seed {seed}: mean beta with {masked:.0%} masked less"
                source = "below 0: the posterior over noisy patterns"
                more, none = at | {"masked": masked}, at | {"masked": 0.0}
                what = f"{pair} without, below 0"
                yield Check(what, "beta", -5.0, 5.0, source, more, less=none)


def _draw(rows: list[Row]) -> Any:
    rows = [row for row in rows if row["width"] == rows[0]["width"]]
    return {"noise": _by_noise(rows), "paths": _paths(rows)}


def _by_noise(rows: list[Row]) -> Any:
    """Draw the final betas against the share of masked patches, beside the best radii."""
    lines = [
        {"x": row["masked"], "y": row["beta"], "line": f"first beta {row['start']:g}"}
        for row in rows
        if row["update"] == row["updates"]
    ]
    lines += [
        {"x": masked, "y": rows[0][name], "line": title}
        for name, title in plot.OPTIMA.items()
        for masked in sorted({row["masked"] for row in rows})
    ]
    title = "Masked patches lower the learned betas"
    y = "beta, mean and standard deviation of heads and seeds"
    return plot.lines(lines, "x", "y", plot.Frame(title, "share of masked patches", y), by="line")


def _paths(rows: list[Row]) -> Any:
    """Draw the beta of each head while it is trained, for the first seed and the larger start."""
    start, seed = max(row["start"] for row in rows), min(row["seed"] for row in rows)
    mine = [row for row in rows if row["start"] == start and row["seed"] == seed]
    titled = [row | {"panel": f"{row['masked']:.0%} masked"} for row in mine]
    return plot.beta_paths(titled, rows[0])


@recipe(
    "learned.vision",
    "The inverse temperatures that models of digits learn",
    "henry2020",
    "for the normalised attention; the claim is that of Bricken and Pehlevan 2021",
    quick=grid(width=32, masked=(0.0, 0.5), start=10.0, updates=100, every=50),
    paper=grid(width=32, masked=MASKED, start=STARTS, **TRAINED, seed=SEEDS),
    checks=_checks(),
    draw=_draw,
)
def vision(
    width: Annotated[int, "dimension of a head"],
    masked: Annotated[float, "probability that a patch is masked"],
    start: Annotated[float, "first beta of every head"],
    updates: Annotated[int, "number of updates, of 64 digits each"],
    every: Annotated[int, "updates between two looks at beta"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train models of two layers to name digits from 16 patches, and follow each head's beta.

    The models are those of ``learned.language``, without the causal mask: four heads of 32
    dimensions a layer, with queries and keys of length one. A masked patch is replaced by one
    learned vector, so what a head compares is noisier. In every pair of runs that differ in the
    masks alone, beta ends lower with them, by 1 to 5, as the posterior over noisy patterns says.
    A part of this may have another cause: without masks a model soon names all digits that it is
    trained on, its loss no longer depends on beta, and beta stops. With half of the patches masked
    and first values of 10 and 20, the means are 7.5 and 10.0, on both sides of the beta of the
    radius best for signal to noise, 8.3.
    """
    from kanerva.lab.papers.henry2020 import _block, _training, _vision

    checks.number("start", start, 1e-3, 1e4)
    checks.number("masked", masked, 0.0, 1.0)
    checks.integer("updates", updates, 1)
    checks.integer("every", every, 1)
    optima = _training.optima(width, _vision.PATCHES)
    heads = _block.Heads("l2", start, True, width)
    for state in _vision.train(heads, masked, updates, every, seed):
        for row in _training.heads(state.update, state.betas, width):
            yield row | {"right": state.right} | optima
