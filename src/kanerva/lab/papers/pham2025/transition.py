"""Pham 2025: when a trained model stops copying its data, and what controls say about that."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["transition"]

SCORES = {
    "free": "free network",
    "energy": "energy network",
    "exact": "exact score",
    "smooth": "bandwidth .5",
    "wiener": "Wiener's filter",
}
TRAINED = ("free", "energy")
UPDATES = 5000
COUNTS = (2, 10, 30, 100, 300, 1000)
SEPARATE = "measured with separate code"
PROTOTYPE = "measured with separate code, one seed"
KINDS = {
    "memorised": "memorised",
    "spurious": "spurious",
    "generalised": "generalised",
}


def _at(score: str, rows: int, updates: int = 0) -> Cell:
    return {"score": score, "rows": rows, "updates": updates}


def _checks() -> Iterator[Check]:
    for rows in (10, 1000):
        for score in TRAINED:
            name, at = f"{SCORES[score]}, {rows} digits", _at(score, rows, UPDATES)
            if rows == 10:
                yield Check(f"memorised, {name}, .6 or more", "memorised", 0.8, 0.2, SEPARATE, at)
                yield Check(f"p of copying, {name}, below 1e-6", "p", 0.0, 1e-6, SEPARATE, at)
            else:
                yield Check(f"memorised, {name}, up to .02", "memorised", 0, 0.02, SEPARATE, at)
                yield Check(f"ratio, {name}, below 1.1", "ratio", 1.0, 0.1, SEPARATE, at)
                yield Check(f"p of copying, {name}, above .05", "p", 1.0, 0.95, SEPARATE, at)
    for rows, share in {2: 1.0, 10: 0.85, 30: 0.37, 100: 0.0, 300: 0.0}.items():
        at = _at("free", rows, UPDATES)
        what = f"memorised, free network, {rows} digits"
        yield Check(what, "memorised", share, 0.25 if 0 < share < 1 else 0.03, PROTOTYPE, at)
    yield from _controls()


def _controls() -> Iterator[Check]:
    for rows in (2, 10, 100, 1000):
        what = f"memorised, exact score, {rows} digits"
        yield Check(what, "memorised", 1.0, 0.0, "the exact score copies", _at("exact", rows))
    for rows in (10, 1000):
        what = f"generalised, Wiener's filter, {rows} digits"
        yield Check(what, "generalised", 1.0, 0.01, SEPARATE, _at("wiener", rows))
    what = "spurious, Wiener's filter, 2 digits"
    yield Check(what, "spurious", 0.81, 0.1, SEPARATE, _at("wiener", 2))
    at = _at("smooth", 1000)
    yield Check("generalised, bandwidth .5, 1000 digits", "generalised", 1, 0, SEPARATE, at)
    what = "median distance, bandwidth .5, 1000 digits: near .5 times the root of 64"
    yield Check(what, "distance", 3.78, 0.2, SEPARATE, at)


def _draw(rows: list[Row]) -> Any:
    first = min(row["seed"] for row in rows)
    mine = [row for row in rows if row["seed"] == first]
    return {"": _shares(mine), "ratio": _ratio(mine), "quality": _quality(mine)}


def _shares(rows: list[Row]) -> Any:
    long = [
        {"x": row["rows"], "y": row[kind], "line": kind, "panel": SCORES[row["score"]]}
        for kind in KINDS
        for row in rows
    ]
    frame = plot.Frame(
        "Few digits are copied; of many, none",
        "number of training digits K",
        "share of samples",
        log="x",
        limits=(0.0, 1.0),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _ratio(rows: list[Row]) -> Any:
    long = [row | {"line": SCORES[row["score"]]} for row in rows if row["score"] != "exact"]
    frame = plot.Frame(
        "A model that copies is nearer to its training rows",
        "number of training digits K",
        "distance to held-out over distance to training rows",
        log="xy",
    )
    return plot.lines(long or rows, "rows", "ratio", frame, by="line" if long else None)


def _quality(rows: list[Row]) -> Any:
    long = [
        {"x": row["rows"], "y": row[column], "line": SCORES[row["score"]], "panel": title}
        for column, title in (("agreement", "classes agree, share"),)
        for row in rows
    ]
    frame = plot.Frame(
        "What is far from all data need not be a digit",
        "number of training digits K",
        "share of samples whose two nearest held-out digits agree",
        log="x",
        limits=(0.0, 1.0),
    )
    return plot.lines(long, "x", "y", frame, by="line")


CONTROLS = grid(score=("exact", "wiener", "smooth"), updates=0)


@recipe(
    "diffusion.transition",
    "From memorised to new digits",
    "pham2025",
    "on training sets that grow",
    quick=[
        *grid(score="free", rows=(10, 1000), updates=400),
        *grid(score=("exact", "wiener", "smooth"), rows=(10, 1000), updates=0),
    ],
    paper=[
        *grid(score="free", rows=COUNTS, updates=UPDATES),
        *grid(score="energy", rows=(2, 10, 100, 1000), updates=UPDATES),
        *grid(score=("exact", "wiener", "smooth"), rows=(2, 10, 100, 1000), updates=0),
    ],
    checks=_checks(),
    draw=_draw,
)
def transition(
    score: Annotated[str, "free or energy, networks; exact, wiener or smooth, closed forms"],
    rows: Annotated[int, "number of training digits K, up to 1297"],
    updates: Annotated[int, "updates of a network, of 128 noisy digits each"] = 5000,
    memorised: Annotated[float, "distance to a training row up to which a sample is a copy"] = 0.25,
    spurious: Annotated[float, "distance to another sample up to which it is repeated"] = 0.1,
    count: Annotated[int, "number of samples"] = 500,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train denoisers on more and more digits, and ask of their samples whether they are copies."""
    from kanerva.lab.papers.pham2025 import _digits, _shares

    checks.choice("score", score, tuple(SCORES))
    checks.integer("rows", rows, 2, 1297)
    checks.integer("updates", updates, 0, 10**7)
    checks.number("memorised", memorised, 0)
    checks.number("spurious", spurious, 0)
    checks.integer("count", count, 2, 10**5)
    checks.integer("seed", seed, 0, 2**40)
    train, held, labels = _digits.digits(rows, seed)
    denoise = _digits.denoiser(score, train, updates, seed)
    x = _digits.samples(denoise, count, seed + 1)
    shares = _shares.classify(x, train, memorised, spurious)
    quality = _digits.quality(x, held, labels)
    skew = _digits.asymmetry(denoise, held, seed) if score in TRAINED else None
    yield {
        **shares._asdict(),
        "distance": float(_shares.nearest(x, train).median()),
        **_shares.copying(x, train, held)._asdict(),
        **quality._asdict(),
        "asymmetry": skew,
        "pictures": _digits.text(x),
    }
