"""Images that are no digits: random pixels, and digits with their pixels shuffled."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["foreign"]

FEATURES = ("raw", "pca")
KEPT = ("all", "varied")
# By what digits are told from shuffled ones in 32 components, and the area below the curve.
AREAS = {"mismatches": 0.61, "weight": 0.996, "likelihood": 0.999, "nearest": 1.0}
WITHIN = {"mismatches": 0.03, "weight": 0.01, "likelihood": 0.003, "nearest": 0.001}
LINES = {
    "mismatches": "mismatches",
    "weight": "weight ρ",
    "likelihood": "likelihood",
    "nearest": "nearest neighbour",
}
TITLES = {"raw": "raw pixels", "pca": "32 components"}
IMAGES = {"own": "unseen digits", "shuffled": "shuffled", "random": "random pixels"}


def _checks() -> Iterator[Check]:
    raw: Cell = {"features": "raw", "levels": 4, "kept": "all", "part": "accepted"}
    what = "raw, 4 levels: random images accepted, percent"
    yield Check(what, "xi0", 0.0, 0.0, SEPARATE, raw | {"name": "random"}, "max")
    what = "raw, 4 levels: unseen digits accepted, percent"
    yield Check(what, "xi0", 98.7, 2.0, SEPARATE, raw | {"name": "own"})
    what = "raw, 4 levels: shuffled digits accepted, percent"
    yield Check(what, "xi0", 0.4, 2.0, SEPARATE, raw | {"name": "shuffled"})
    what = "raw, 4 levels, xi = 4: random images accepted, percent"
    yield Check(what, "xi4", 13.0, 5.0, SEPARATE, raw | {"name": "random"})
    what = "raw, 4 levels, xi = 16: random images accepted, percent"
    yield Check(what, "xi16", 100.0, 0.5, SEPARATE, raw | {"name": "random"})
    varied = raw | {"kept": "varied", "name": "random"}
    what = "raw, 4 levels, without constant columns: random images accepted, percent"
    yield Check(what, "xi0", 72.0, 5.0, SEPARATE, varied)
    pca: Cell = {"features": "pca", "levels": 16, "kept": "all", "part": "accepted"}
    what = "32 components, 16 levels: unseen digits accepted, percent"
    yield Check(what, "xi0", 95.0, 1.0, SEPARATE, pca | {"name": "own"})
    shuffled = pca | {"name": "shuffled"}
    what = "32 components, 16 levels: shuffled digits accepted, percent"
    yield Check(what, "xi0", 73.0, 5.0, SEPARATE, shuffled)
    what = "32 components, 16 levels: deviation of that over folds and shuffles, percent"
    yield Check(what, "spread", 12.0, 4.0, SEPARATE, shuffled)
    what = "32 components, 16 levels: shuffled digits within the nearest neighbour's limit, percent"
    yield Check(what, "near", 0.0, 0.5, SEPARATE, shuffled)
    what = "32 components, 16 levels: unseen digits within that limit, less those accepted, percent"
    own = pca | {"name": "own"}
    yield Check(what, "near_less", 0.0, 1e-9, LAW, own)
    for name, area in AREAS.items():
        at = pca | {"part": "area", "name": name}
        what = f"32 components, 16 levels: area below the curve, {LINES[name]}"
        yield Check(what, "area", area, WITHIN[name], SEPARATE, at)


def _draw(rows: list[Row]) -> Any:
    mine = [row for row in rows if row["kept"] == "all"] or rows
    drawn = {"": _curves(mine), "levels": _levels(rows)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _curves(rows: list[Row]) -> Any:
    wanted = {"raw": 4, "pca": 16}
    long = [
        {
            "false": row["false"],
            "true": row["true"],
            "line": LINES[row["name"]],
            "panel": f"{TITLES[row['features']]}, {row['levels']} levels",
        }
        for row in rows
        if row["part"] == "curve" and row["levels"] == wanted[row["features"]]
    ]
    frame = plot.Frame(
        "Mismatches hardly tell shuffled digits",
        "share of the shuffled digits that are accepted",
        "share of the unseen digits that are accepted",
        log="x",
        limits=(-0.03, 1.03),
    )
    return plot.lines(long, "false", "true", frame, by="line", panel="panel") if long else None


def _panel(row: Row) -> str:
    return TITLES[row["features"]] + (", varied columns" if row["kept"] == "varied" else "")


def _levels(rows: list[Row]) -> Any:
    long = [
        {"x": row["levels"], "y": row["xi0"], "line": line, "panel": _panel(row)}
        for name, line in IMAGES.items()
        for row in rows
        if row["part"] == "accepted" and row["name"] == name
    ]
    frame = plot.Frame(
        "Constant columns reject random images",
        "levels of a column",
        "accepted without a mismatch, percent",
        log="x",
        limits=(-3.0, 103.0),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


@recipe(
    "eam.foreign",
    "What the register does not reject",
    "hernandez2024",
    "on the rejection of what was never seen; the publications print no numbers",
    quick=[
        *grid(features=FEATURES, levels=(4, 16)),
        *grid(features="raw", levels=(4, 16), kept="varied"),
    ],
    paper=[
        *grid(features=FEATURES, levels=(2, 4, 8, 16, 32, 64), shuffles=10),
        *grid(features="raw", levels=(2, 4, 8, 16, 32, 64), kept="varied", shuffles=10),
    ],
    checks=_checks(),
    draw=_draw,
)
def foreign(
    features: Annotated[str, "raw pixels; or pca, 32 principal components"],
    levels: Annotated[int, "levels of a column"],
    kept: Annotated[str, "all columns, or those that are varied in what is stored"] = "all",
    sigma: Annotated[float, "of the Gaussian, as a share of the levels"] = 0.025,
    folds: Annotated[int, "number of folds, up to 10"] = 10,
    shuffles: Annotated[int, "orders of the pixels in each fold"] = 5,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Give registers images that are no digits, and count which they accept.

    A register stores 359 digits of each fold, as raw pixels or as 32 principal components. It gets
    179 unseen digits (``own``), the same digits with their pixels in another order, one order for
    all (``shuffled``), and images of random pixels (``random``). In rows of the part ``accepted``,
    ``xi0``, ``xi4`` and ``xi16`` are the percentages accepted with at most 0, 4 and 16 mismatches,
    and ``spread`` is the standard deviation of ``xi0`` over folds and orders. ``near`` is the
    percentage whose nearest stored digit is within a limit, which in each fold is that within
    which as many unseen digits are as ``xi0`` accepts; ``near_less`` is the difference of the two.
    ``constant`` is the number of columns that are constant in what is stored, as the mean over
    folds; ``kept`` says whether they are used. ``recalled`` is the percentage of the unseen digits
    that are accepted without a mismatch and from whose recall a support vector classifier tells
    the class, and ``bare`` that of the bare cues whose class it tells. The classifier gives a class
    to every image, and rejects none.

    Four numbers tell unseen digits from shuffled ones: the mismatches, the weight rho, the
    likelihood of naive Bayes on the same counts, and the distance to the nearest stored digit. In
    rows of the part ``area``, ``area`` is the probability that a digit has the better one, with
    ties as one half. Rows of the part ``curve`` give the share of the unseen digits that is
    accepted, ``true``, where ``false`` is that of the shuffled ones; between thresholds the curve
    is interpolated.

    Raw pixels of four levels reject every random image. That is due to the 6.4 columns at the
    border that are constant in what is stored, and accept one level alone: without them 73 percent
    are accepted, and of shuffled digits 87 percent in place of 1. More levels help there, but with
    16 of them still 10 and 38 percent are accepted. Principal components have no constant columns.
    There a register of 16 levels accepts 95 percent of the unseen digits, and 71 of the shuffled
    ones, with a deviation of 14 over folds and orders, where the nearest neighbour accepts 0.03 at
    the same rate of its own. Mismatches decide so badly, and not the counts: the areas are 0.62 for
    mismatches, 0.990 for the weight, 0.998 for the likelihood, and 1.000 for the nearest neighbour.
    On raw pixels of four levels they are 0.995 for mismatches, and 1.000 for the others.
    """
    from kanerva.lab.papers.hernandez2024 import _foreign

    design = _foreign.Design(
        checks.choice("features", features, FEATURES),
        checks.integer("levels", levels, 1, 2**16),
        checks.choice("kept", kept, KEPT),
        checks.number("sigma", sigma, 0, 10),
        checks.integer("folds", folds, 1, 10),
        checks.integer("shuffles", shuffles, 1, 10**4),
        checks.integer("seed", seed, 0, 2**62),
    )
    yield from _foreign.judged(design)
