"""Pham 2025: wells on the data, wells off them, and a ring, for rows on the unit circle."""

import statistics
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["circle"]

SCORES = {"exact": "exact", "free": "free network", "energy": "energy network"}
CLAIM, HERE = "the claim", "measured here"
UPDATES, SHOWN = 2500, (2, 9, 1000)
# The noise of the figures: variance .15.
VARIANCE, ANGLES = 0.15, 180
# Inverse temperatures 1 / (2 sigma^2) at which wells are counted.
BETAS = (2.0, 3.0, 10 / 3, 5.0, 20.0, 100.0, 500.0)
# Up to which those of networks are, which are hardly trained on less noise.
WARM = 5.0
# The radius of the least energy of a full circle.
RADII = {2.0: 0.831462, 3.0: 0.902153, 5.0: 0.945542, 20.0: 0.987256}
# Wells and stored share by number of rows and beta: means over four draws.
COUNTED = (2.0, 5.0, 20.0, 100.0, 500.0)
WELLS = {
    2: (1.5, 1.75, 1.75, 2, 2),
    4: (2.5, 3.25, 3.25, 3.75, 3.75),
    9: (2.5, 3.25, 6.5, 7.75, 8.5),
    20: (1.75, 4.25, 7.25, 13, 16.25),
    50: (2.5, 4.25, 7.75, 17.5, 33.25),
}
STORED = {
    2: (0.5, 0.75, 0.75, 1, 1),
    4: (0.25, 0.75, 0.75, 1, 1),
    9: (0, 0.22, 0.67, 0.97, 1),
    20: (0, 0.06, 0.44, 0.86, 1),
    50: (0, 0.10, 0.25, 0.62, 0.94),
}
DRAWS = range(4)
# More rows than these have wells without number, along a valley that is nearly flat.
FEW = 50
# Fresh rows of the circle are drawn with this seed.
FRESH = 10**6
MEMORISED, SPURIOUS = 0.1, 0.02
PARTS = ("samples", "wells", "around", "rows")


def _checks() -> Iterator[Check]:
    for beta, radius in RADII.items():
        at: Cell = {"score": "exact", "rows": 1000, "part": "wells", "beta": beta}
        what = f"radius of the least energy of a full circle, 1/(2σ²) = {beta:g}"
        yield Check(what, "radius", radius, 1e-6, COMPUTED, at)
        what = f"mean radius at which 1000 rows let states rest, 1/(2σ²) = {beta:g}"
        yield Check(what, "rests", radius, 0.03, "closed form of a full circle", at)
    yield from _counts()
    yield from _sampled()
    yield from _landscapes()


def _counts() -> Iterator[Check]:
    for rows in WELLS:
        for place, beta in enumerate(COUNTED):
            at: Cell = {"score": "exact", "rows": rows, "part": "wells", "beta": beta}
            name = f"{rows} rows, 1/(2σ²) = {beta:g}, mean over draws"
            wells, stored = WELLS[rows][place], STORED[rows][place]
            yield Check(f"wells, {name}", "wells", wells, 0.5, SEPARATE, at)
            yield Check(f"share of rows in a well, {name}", "stored", stored, 0.06, SEPARATE, at)


def _sampled() -> Iterator[Check]:
    for rows in SHOWN:
        at: Cell = {"score": "exact", "rows": rows, "part": "samples"}
        source = "the exact score copies"
        yield Check(f"memorised, exact, {rows} rows", "memorised", 1, 0, source, at)
    for score in ("free", "energy"):
        cell: Cell = {"score": score, "updates": UPDATES, "part": "samples"}
        two, many = cell | {"rows": 2}, cell | {"rows": 1000}
        name = SCORES[score]
        yield Check(f"memorised, {name}, 2 rows", "memorised", 0.997, 0.03, SEPARATE, two)
        for kind, share in {"memorised": 0.7, "spurious": 0.28}.items():
            what = f"{kind}, {name}, 9 rows"
            yield Check(what, kind, share, 0.15, SEPARATE, cell | {"rows": 9})
        what = f"memorised, {name}, 1000 rows, by the threshold .1, which is no evidence"
        yield Check(what, "memorised", 0.998, 0.06, SEPARATE, many)
        what = f"ratio, {name}, 1000 rows: 1 where nothing is copied"
        yield Check(what, "ratio", 1.0, 0.15, CLAIM, many)
        what = f"within a quarter of the spacing, {name}, 1000 rows, share up to .1"
        yield Check(what, "copies", 0.05, 0.05, "beside 1 of the exact score", many)


def _landscapes() -> Iterator[Check]:
    """What the three landscapes of the figures must show, at variance .15."""
    at: Cell = {"score": "exact", "seed": 0, "part": "around"}
    few, many = at | {"rows": 2}, at | {"rows": 1000}
    what = "height of the walls between the wells of 2 rows, nats, 5 or more"
    yield Check(what, "energy", 10.0, 5.0, HERE, few, "max")
    what = "height of the highest place of the ring of 1000 rows, nats, .4 at most"
    yield Check(what, "energy", 0.2, 0.2, HERE, many, "max")
    for score in ("exact", "energy"):
        at = {"score": score, "seed": 0, "part": "wells", "beta": 10 / 3}
        what = f"wells off the rows, {SCORES[score]}, 2 rows, none"
        yield Check(what, "off", 0, 0, CLAIM, at | {"rows": 2})
        what = f"wells off the rows, {SCORES[score]}, 9 rows, one or more"
        yield Check(what, "off", 3, 2, CLAIM, at | {"rows": 9})


def _draw(rows: list[Row]) -> Any:
    first = min((row["seed"] for row in rows), default=0)
    mine = [row for row in rows if row["seed"] == first and row["rows"] in SHOWN]
    drawn = {"": _around(mine), "wells": _wells(rows), "spacing": _spacing(mine)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _panel(row: Row) -> str:
    return f"K = {row['rows']}"


def _around(rows: list[Row]) -> Any:
    """Draw the energy along the ring, and the angles of few rows."""
    long = [
        {"x": row["angle"], "y": row["energy"], "panel": _panel(row), "line": SCORES[row["score"]]}
        for row in rows
        if row["part"] == "around"
    ]
    long += [
        {"x": row["angle"], "y": 0.0, "panel": _panel(row), "line": "rows"}
        for row in rows
        if row["part"] == "rows" and row["score"] == "exact"
    ]
    frame = plot.Frame(
        "Wells at the data, wells between them, and a ring",
        "angle, degrees",
        "energy above the least, nats, at the radius of the least energy, variance .15",
        dots=("rows",),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


def _wells(rows: list[Row]) -> Any:
    shares: dict[tuple[int, float], list[float]] = {}
    for row in rows:
        if row["score"] == "exact" and row["stored"] is not None:
            shares.setdefault((row["rows"], row["beta"]), []).append(row["stored"])
    long = [
        {"beta": beta, "stored": statistics.fmean(found), "line": f"K = {count}"}
        for (count, beta), found in shares.items()
    ]
    frame = plot.Frame(
        "Rows in a well of the exact energy, by temperature",
        "inverse temperature 1 / (2 σ²)",
        "share of rows in a well of the exact energy, mean over draws",
        log="x",
    )
    return plot.lines(long, "beta", "stored", frame, by="line") if long else None


def _spacing(rows: list[Row]) -> Any:
    """Draw how near samples are to rows, beside how near rows are to one another."""
    words = {
        "distance": "sample to its nearest row",
        "fresh": "fresh point to its nearest row",
        "spacing": "row to the next row",
    }
    long = [
        {"x": row["rows"], "y": row[name], "line": line, "panel": SCORES[row["score"]]}
        for name, line in words.items()
        for row in rows
        if row["part"] == "samples" and row["score"] != "exact"
    ]
    long += [line | {"y": MEMORISED, "line": "threshold .1"} for line in long if line["x"]]
    frame = plot.Frame(
        "Of 1000 rows, every point of the circle is near one",
        "number of rows K",
        "median distance",
        log="xy",
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


@recipe(
    "diffusion.circle",
    "Wells on the data, off them, and a ring",
    "pham2025",
    "the figure of points on a circle",
    quick=[
        *grid(score="exact", rows=(2, 4, 9), updates=0, seed=DRAWS),
        *grid(score="exact", rows=1000, updates=0),
        *grid(score="free", rows=9, updates=600),
        *grid(score="energy", rows=2, updates=800),
    ],
    paper=[
        *grid(score="exact", rows=(2, 4, 9, 20, 50), updates=0, seed=DRAWS),
        *grid(score="exact", rows=1000, updates=0),
        *grid(score=("free", "energy"), rows=SHOWN, updates=UPDATES),
    ],
    checks=_checks(),
    draw=_draw,
)
def circle(
    score: Annotated[str, "exact; free or energy, networks"],
    rows: Annotated[int, "number of rows K on the circle"],
    updates: Annotated[int, "updates of a network, of 128 noisy rows each"] = UPDATES,
    count: Annotated[int, "number of samples"] = 600,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store or learn rows of the unit circle, count the wells, and draw samples.

    Rows of four parts: ``samples`` says of samples how many are within 0.1 of a row (memorised),
    else within 0.02 of another sample (spurious), or neither; ``wells`` where states rest that are
    denoised again and again at one noise, from the rows and from 64 places of the circle; ``off``
    counts wells that are more than 0.05 from every row, and ``stored`` is the share of rows with a
    well within 0.05. ``around`` is the energy along the circle of radius ``theory.ring.radius``,
    and ``rows`` the angles of the rows.

    At a variance of the noise of 0.15 two rows are two wells. Nine rows have three wells, of which
    one to three are off every row: these are the spurious states. A thousand rows are a ring whose
    valley is level within 0.2 nats. A network with an energy learns these landscapes from noisy
    rows. Cooled far enough, every row becomes a well; the exact score, whose noise falls to nearly
    nothing, therefore copies whatever the number of rows.

    The thresholds label the samples of a network of 1000 rows as memorised, which is wrong. Three
    numbers show that. ``spacing``, the median distance of a row to the next one, is about fifty
    times smaller than the threshold, so any point of the circle is near a row. ``fresh``, the
    distance of fresh points of the circle to the rows, is within the threshold too. And ``ratio``,
    the distance of samples to 1000 fresh points over that to the rows, is 1, where it is large for
    copies. With a quarter of the spacing as the threshold, ``copies`` is near 0 for the networks
    and 1 for the exact score.
    """
    import math

    from kanerva.lab.papers.pham2025 import _circle

    checks.choice("score", score, tuple(SCORES))
    checks.integer("rows", rows, 2, 10**4)
    checks.integer("updates", updates, 0, 10**7)
    checks.integer("count", count, 2, 10**5)
    checks.integer("seed", seed, 0, 2**40)
    none: Row = dict.fromkeys(COLUMNS)
    train = _circle.rows(rows, seed)
    denoise = _circle.denoiser(score, train, updates, seed)
    x = _circle.samples(denoise, count, seed)
    fresh = _circle.rows(1000, FRESH + seed)
    yield none | {"part": "samples"} | _circle.judged(x, train, fresh, (MEMORISED, SPURIOUS))
    for beta in BETAS:
        if score != "exact" and beta > WARM:
            break
        sigma = (2 * beta) ** -0.5
        found = {"beta": beta, "radius": theory.ring.radius(sigma)}
        found |= _circle.wells(denoise, train, sigma, counted=rows <= FEW)._asdict()
        yield none | {"part": "wells"} | found
    if score != "free":
        sigma = math.sqrt(VARIANCE)
        radius = theory.ring.radius(sigma)
        for angle, energy in _circle.around(denoise, sigma, radius, ANGLES):
            yield none | {"part": "around", "angle": angle, "energy": energy}
    for angle in _circle.angles(rows, seed) if rows <= FEW else ():
        yield none | {"part": "rows", "angle": float(angle)}


COLUMNS = (
    "part",
    "memorised",
    "spurious",
    "generalised",
    "distance",
    "fresh",
    "spacing",
    "copies",
    "ratio",
    "off_circle",
    "beta",
    "wells",
    "off",
    "stored",
    "rests",
    "radius",
    "angle",
    "energy",
)
