"""Cells of the register are erased, and stored cues are still accepted."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["distributed"]

TOLERANCES = (0, 2, 6, 12)
CONTENTS = ("digits", "random")
# Share of erased cells, tolerance, and stored cues that are accepted then.
ASKED = ((0.05, 6, 0.960), (0.1, 12, 0.990))
BINOMIAL = "binomial distribution"
PAIRS = "closed form over pairs of cues"
LINES = {"accepted": "mean", "expected": "binomial", "low": "lowest tenth", "high": "highest tenth"}


def _checks() -> Iterator[Check]:
    for share, xi, accepted in ASKED:
        at: Cell = {"content": "digits", "levels": 16, "share": share, "xi": xi}
        name = f"share {share:g} erased, xi = {xi}"
        yield Check(f"{name}: expected", "expected", accepted, 5e-4, BINOMIAL, at)
        yield Check(f"{name}: stored digits accepted", "accepted", accepted, 0.01, BINOMIAL, at)
        for content in CONTENTS:
            at = at | {"content": content, "seed": 0}
            what = f"{name}: {content}, mean less binomial, in standard errors"
            yield Check(what, "off", 0.0, 3.0, BINOMIAL, at)
    # Share erased 0.05 and xi 2, of 16 levels.
    for content, spread in {"digits": 0.2488, "random": 0.0972}.items():
        at = {"content": content, "levels": 16, "share": 0.05, "xi": 2}
        what = f"share 0.05 erased, xi = 2: {content}, deviation of single registers"
        yield Check(what, "spread", spread, 0.02, PAIRS, at)
    at = {"content": "digits", "levels": 16, "share": 0.0}
    yield Check("nothing erased: stored digits accepted", "accepted", 1.0, 0.0, "identity", at)


def _draw(rows: list[Row]) -> Any:
    first = min(row["seed"] for row in rows)
    mine = [row for row in rows if row["seed"] == first and row["xi"] in (2, 6, 12)]
    top = max(row["levels"] for row in mine)
    long = [
        {
            "share": row["share"],
            "y": row[name],
            "line": line,
            "panel": f"{row['content']}, ξ = {row['xi']}",
        }
        for content in CONTENTS
        for name, line in LINES.items()
        for row in sorted(mine, key=lambda row: row["xi"])
        if row["levels"] == top and row["content"] == content
    ]
    frame = plot.Frame(
        "The mean is binomial; single registers spread",
        "share of the cells that are erased",
        "share of the stored cues that are accepted",
        dots=("binomial",),
        limits=(-0.03, 1.03),
    )
    return {"": plot.lines(long, "share", "y", frame, by="line", panel="panel"), **_classes(mine)}


def _classes(rows: list[Row]) -> dict[str, Any]:
    words = {"answered": "accepted", "recalled": "recalled with its class", "bare": "bare cue"}
    long = [
        {"share": row["share"], "y": row[name], "line": line, "panel": f"ξ = {row['xi']}"}
        for name, line in words.items()
        for row in sorted(rows, key=lambda row: row["xi"])
        if row["recalled"] is not None and row["levels"] == max(one["levels"] for one in rows)
    ]
    frame = plot.Frame(
        "Damage costs answers, not right classes",
        "share of the cells that are erased",
        "stored digits, percent; the bare cue is given its class by the classifier alone",
        limits=(-3.0, 103.0),
    )
    drawn = plot.lines(long, "share", "y", frame, by="line", panel="panel") if long else None
    return {"classes": drawn} if drawn else {}


@recipe(
    "eam.distributed",
    "A register with erased cells",
    "hernandez2024",
    "on the claim that the memory is distributed; the publications print no numbers",
    quick=[
        *grid(content="digits", levels=16, share=(0.0, 0.05, 0.1, 0.2)),
        *grid(content="random", levels=16, share=(0.05, 0.1, 0.2)),
    ],
    paper=grid(
        content=CONTENTS,
        levels=(4, 16),
        share=(0.0, 0.02, 0.05, 0.1, 0.15, 0.2),
        registers=400,
        seed=range(3),
    ),
    checks=_checks(),
    draw=_draw,
)
def distributed(
    share: Annotated[float, "probability with which each cell is erased"],
    content: Annotated[str, "what is stored: digits, or random levels"] = "digits",
    levels: Annotated[int, "levels of a column"] = 16,
    sigma: Annotated[float, "of the Gaussian, as a share of the levels"] = 0.025,
    registers: Annotated[int, "number of registers, each damaged anew"] = 300,
    fold: Annotated[int, "of the digits, from 0 to 9"] = 0,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Erase cells of registers at random, and give them the cues that were stored.

    A register stores 359 digits, or as many rows of random levels. Each of its cells loses its
    counts with probability p, in many copies of it. A stored cue has one cell in each of the 64
    columns, so that the number of its mismatches is binomial, whatever else is stored.

    ``accepted`` is the share of the stored cues with at most ``xi`` mismatches, as the mean over
    registers, and ``expected`` the binomial probability of so few. ``spread`` is the standard
    deviation over registers, and ``spread_expected`` its value from the numbers of cells that
    pairs of cues share. ``off`` is the difference of the means in standard errors, which are the
    expected ones. ``low`` and ``high`` are the registers at the lowest and the highest tenth. In
    ten of the registers ``answered`` is the percentage of the digits that are accepted, and
    ``recalled`` of those that are accepted and from whose recall a support vector classifier tells
    the class; ``bare`` is the percentage of the bare cues whose class it tells.

    The means are those of the binomial distribution: 0.960 for p = 0.05 and xi = 6, 0.990 for
    p = 0.1 and xi = 12. Single registers spread widely around them. With p = 0.05 and xi = 2 the
    mean of 0.37 has a standard deviation of 0.25 over registers of digits, and of 0.10 over those
    of random levels: digits share many of their cells, so that one lost cell counts against many
    of them at once. Damage leads to rejections, and hardly to wrong classes. With p = 0.1 and
    xi = 12, 99.97 percent of the digits are accepted, and from the recalls of 99.36 the class is
    told, beside 99.44 of the bare cues: in place of an erased level a recall returns one near it.
    """
    from kanerva.lab.papers.hernandez2024 import _distributed

    design = _distributed.Design(
        checks.choice("content", content, CONTENTS),
        checks.integer("levels", levels, 1, 2**10),
        checks.number("share", share, 0, 1),
        checks.number("sigma", sigma, 0, 10),
        checks.integer("registers", registers, 2, 10**6),
        checks.integer("fold", fold, 0, 9),
        checks.integer("seed", seed, 0, 2**62),
    )
    yield from _distributed.damaged(design, TOLERANCES)
