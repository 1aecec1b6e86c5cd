"""Hoover 2023: samples of the exact denoiser are stored rows."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hoover2023diffusion import _pictures
from kanerva.lab.papers.hoover2023diffusion._words import BOUND, LAW, ONE
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["generate"]

HIGH, LOW, NEAR, DIM, STORED = 10.0, 0.05, 1e-3, 64, 1797
SAMPLERS = ("ode", "heun", "sde", "ancestral")
NAMES = {"ode": "ODE (DDIM)", "heun": "Heun", "sde": "reverse SDE", "ancestral": "ancestral"}
SHARES = {3: 0.78, 5: 0.98, 10: 1.0, 20: 1.0, 40: 1.0}
# The schedule whose states are drawn, and how many of them.
DRAWN, STATES = 20, 7
WHOLE: Cell = {"last": "yes"}


def _checks() -> Iterator[Check]:
    for count, share in SHARES.items():
        what = f"ODE, {count} evaluations: share of samples within 1e-3 of a stored row"
        at = WHOLE | {"sampler": "ode", "levels": count}
        yield Check(what, "share", share, 0.03, ONE, at)
    for sampler in SAMPLERS[1:]:
        what = f"{NAMES[sampler]}, 40 levels of noise: the same"
        yield Check(what, "share", 1.0, 0.005, LAW, WHOLE | {"sampler": sampler, "levels": 40})
    what = "ODE, 20 evaluations: largest distance to a stored row"
    at = WHOLE | {"sampler": "ode", "levels": 20, "seed": 0}
    yield Check(what, "largest", 0.0, 1e-3, ONE, at, "max")
    # 300 draws from 1,797 equally likely rows.
    rows = STORED * -math.expm1(300 * math.log1p(-1 / STORED))
    what = "ODE, 20 evaluations: different rows, as of 300 draws with equal chances"
    yield Check(what, "distinct", rows, 14.0, "expectation, three deviations", at)
    for levels in (20, 40):
        what = f"ODE, {levels} levels, not denoised at the end: mean distance to a stored row"
        at = {"sampler": "ode", "levels": levels, "last": "no"}
        size = LOW * math.sqrt(DIM)
        yield Check(what, "missed", size, 0.1 * size, "σ √d at the lowest noise", at)
    what = "not denoised at the end: share of samples within 1e-3 of a stored row"
    yield Check(what, "share", 0.0, 0.0, BOUND, {"last": "no"}, "max")


def _draw(rows: list[Row]) -> Any:
    whole = [row for row in rows if row["last"] == "yes"] or rows
    named = [row | {"line": NAMES[row["sampler"]]} for row in whole]
    frame = plot.Frame(
        "Samples of the exact denoiser are stored rows",
        "evaluations of the denoiser",
        f"share of the samples within {NEAR:g} of a stored row",
        log="x",
    )
    found = {"": plot.lines(named, "evaluations", "share", frame, by="line")}
    first = min(row["seed"] for row in rows)
    paths = [row for row in rows if row["path"] and row["seed"] == first]
    if paths:
        kinds = {NAMES[row["sampler"]]: row["path"].split("/") for row in paths}
        title = "From noise to a digit, one path a sampler"
        about = f"{STATES} of the {DRAWN} levels of noise σ, and the sample"
        columns = ["σ = " + paths[0]["shown"], "sample"]
        columns = "/".join(columns).split("/")
        found["paths"] = _pictures.drawn(title, columns, kinds, about)
    distances = [
        {"levels": row["levels"], "missed": row["missed"], "line": _ending(row)}
        for row in rows
        if row["sampler"] == "ode"
    ]
    if len({row["line"] for row in distances}) > 1:
        frame = plot.Frame(
            "Without a last read the noise stays",
            "levels of noise",
            "mean distance to the nearest stored row",
            log="x",
        )
        found["last"] = plot.lines(distances, "levels", "missed", frame, by="line")
    return found


def _ending(row: Row) -> str:
    return "denoised at the end" if row["last"] == "yes" else "not denoised at the end"


@recipe(
    "diffusion.generate",
    "Samples of the exact denoiser are stored rows",
    "hoover2023diffusion",
    "on the reverse process as retrieval; the publication prints no numbers",
    quick=[
        *grid(sampler="ode", levels=tuple(SHARES), last=("yes", "no")),
        *grid(sampler=SAMPLERS[1:], levels=(5, 20, 40), last="yes"),
    ],
    paper=grid(
        sampler=SAMPLERS, levels=(2, 3, 5, 7, 10, 20, 40), last=("yes", "no"), seed=range(2)
    ),
    checks=_checks(),
    draw=_draw,
)
def generate(
    sampler: Annotated[str, "ode, heun, sde or ancestral"],
    levels: Annotated[int, "levels of noise, from 10 to 0.05 by equal factors"],
    last: Annotated[str, "yes or no: whether the last state is denoised"] = "yes",
    samples: Annotated[int, "number of samples"] = 300,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Draw samples from noise with the exact denoiser of all digits, by each sampler.

    A sample starts at noise of standard deviation 10 and follows the noise down to 0.05. The column
    ``share`` is how many samples end within 1e-3 of a stored row, ``missed`` the mean distance to
    the nearest one, ``distinct`` how many different rows are nearest to a sample, and
    ``evaluations`` how often the denoiser was called: once for each level, for Heun's sampler twice
    except at the last.

    From some twenty evaluations on every sample is a stored row. Generation with the exact score is
    recall from noise, and nothing new is ever made. The different rows are as many as 300 draws
    with equal chances give. Where the last state is not denoised, it keeps noise of the last level,
    which is σ √d from the row, here 0.4.

    The pictures follow one sample of each sampler. States are divided by √(1 + σ²), so that they
    keep their contrast.
    """
    from kanerva.lab.papers.hoover2023diffusion import _sampling

    checks.choice("sampler", sampler, SAMPLERS)
    checks.choice("last", last, ("yes", "no"))
    checks.integer("levels", levels, 1, 10**4)
    checks.integer("samples", samples, 1, 10**5)
    checks.integer("seed", seed, 0, 2**62)
    design = _sampling.Design(sampler, levels, last == "yes", samples, seed)
    shown = STATES if levels == DRAWN and last == "yes" else 0
    yield _sampling.generated(design, (HIGH, LOW), NEAR, shown)
