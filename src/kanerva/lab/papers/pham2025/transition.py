"""Pham 2025: when a trained model stops copying its data, and what controls say about that."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["transition"]

SCORES = {
    "free": "free network",
    "energy": "energy network",
    "exact": "exact score",
    "smooth": "bandwidth .5",
    "wiener": "Wiener's filter",
    "digits": "fresh digits",
}
TRAINED, CLOSED = ("free", "energy"), ("exact", "smooth", "wiener", "digits")
KINDS = ("memorised", "spurious", "generalised")
COUNTS, UPDATES, SHORT = (2, 10, 30, 100, 300, 1000), 5000, 400
CLAIM, HERE = "the claim", "measured here"
SIDE = 8


def _at(score: str, rows: int, updates: int = 0, seed: int = 0) -> Cell:
    return {"score": score, "rows": rows, "updates": updates, "seed": seed}


def _checks() -> Iterator[Check]:
    for score in TRAINED:
        few, many = (_at(score, rows, UPDATES) for rows in (10, 1000))
        name = SCORES[score]
        yield Check(f"memorised, {name}, 10 digits, .6 or more", "memorised", 0.8, 0.2, CLAIM, few)
        yield Check(f"memorised, {name}, 1000 digits, up to .02", "memorised", 0, 0.02, CLAIM, many)
        yield Check(f"p of copying, {name}, 10 digits, below 1e-6", "p", 0, 1e-6, CLAIM, few)
    at = _at("free", 1000, UPDATES)
    yield Check("ratio, free network, 1000 digits, below 1.1", "ratio", 1.0, 0.1, CLAIM, at)
    yield Check("p of copying, free network, 1000 digits, above .05", "p", 1, 0.95, CLAIM, at)
    at = _at("energy", 1000, UPDATES)
    yield Check("ratio, energy network, 1000 digits, below 1.2", "ratio", 1.1, 0.1, HERE, at)
    shares = {30: 0.37, 100: 0.0, 300: 0.0}
    for rows, share in shares.items():
        at = _at("free", rows, UPDATES)
        what = f"memorised, free network, {rows} digits"
        yield Check(what, "memorised", share, 0.25 if share else 0.02, SEPARATE, at)
    what = "memorised, free network, 2 digits that are far apart"
    yield Check(what, "memorised", 0.996, 0.03, SEPARATE, _at("free", 2, UPDATES, seed=1))
    yield from _asymmetries()
    yield from _controls()


def _asymmetries() -> Iterator[Check]:
    what = "asymmetry of the Jacobian, energy network, at most"
    yield Check(what, "asymmetry", 0.0, 1e-5, "identity", {"score": "energy"}, "max")
    what = "asymmetry of the Jacobian, free network, at least .05"
    yield Check(what, "asymmetry", 0.5, 0.45, HERE, {"score": "free"}, "min")


def _controls() -> Iterator[Check]:
    few, many = _at("free", 10, SHORT), _at("free", 1000, SHORT)
    what = f"ratio after {SHORT} updates, free network, 10 digits less that of 1000, above .3"
    yield Check(what, "ratio", 1.3, 1.0, HERE, few, less=many)
    what = f"memorised after {2 * SHORT} updates, energy network, 10 digits, .4 or more"
    yield Check(what, "memorised", 0.7, 0.3, HERE, _at("energy", 10, 2 * SHORT))
    for rows in (2, 10, 100, 1000):
        what = f"memorised, exact score, {rows} digits"
        yield Check(what, "memorised", 1.0, 0.0, "identity", _at("exact", rows))
    for rows in (10, 1000):
        for score in ("wiener", "smooth", "digits"):
            what = f"generalised, {SCORES[score]}, {rows} digits, all but .05"
            yield Check(what, "generalised", 1.0, 0.05, CLAIM, _at(score, rows))
    at = _at("smooth", 1000)
    what = "median distance, bandwidth .5, 1000 digits: about .5 times the root of 64"
    yield Check(what, "distance", 3.78, 0.1, SEPARATE, at)
    what = "median distance, Wiener's filter, 1000 digits"
    yield Check(what, "distance", 1.76, 0.1, SEPARATE, _at("wiener", 1000))
    less = _at("digits", 1000)
    what = "log density of samples less that of fresh digits, bandwidth .5, nats, below −100"
    yield Check(what, "likelihood", -170, 70, HERE, at, less=less)
    what = "log density of samples less that of fresh digits, Wiener's filter, nats, below −10"
    yield Check(what, "likelihood", -25, 15, HERE, _at("wiener", 1000), less=less)


def _draw(rows: list[Row]) -> Any:
    first = min((row["seed"] for row in rows), default=0)
    mine = [
        row | {"line": SCORES[row["score"]], "mean": row["likelihood"]}
        for row in rows
        if row["seed"] == first
    ]
    few = "number of training digits K"
    drawn = {"": _shares(mine, few)}
    titles = {
        "ratio": ("Copies are nearer to the training digits", "ratio"),
        "agreement": ("What is far from all data need not be a digit", "agreement"),
        "likelihood": ("Noise is far from all digits too", "likelihood"),
    }
    labels = {
        "ratio": "median distance to held-out over that to training digits",
        "agreement": "share of samples that two sets of digits give one class",
        "likelihood": "mean log density among held-out digits, nats",
    }
    for name, (title, column) in titles.items():
        frame = plot.Frame(title, few, labels[name], log="xy" if name == "ratio" else "x")
        some = [row for row in mine if row[column] is not None]
        if some:
            drawn[name] = plot.lines(some, "rows", column, frame, by="line")
    drawn["pictures"] = _pictures(mine)
    return drawn


def _shares(rows: list[Row], x: str) -> Any:
    long = [
        {"x": row["rows"], "y": row[kind], "line": kind, "panel": row["line"]}
        for kind in KINDS
        for row in rows
    ]
    frame = plot.Frame(
        "Samples of denoisers, by the number of training digits",
        x,
        "share of samples",
        log="x",
        limits=(0.0, 1.0),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _pictures(rows: list[Row]) -> Any:
    """Draw the first samples of each denoiser."""
    import numpy as np

    shown = [
        (
            f"{row['line']}, K\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{row['rows']}",
            np.array(
                [[ord(one) - ord("a") for one in word] for word in row["pictures"].split("/")]
            ).reshape(-1, SIDE, SIDE)
            / 8.0
            - 1.0,
        )
        for row in rows
        if row["rows"] in (10, 1000)
    ]
    return plot.gallery(shown, first=0)


@recipe(
    "diffusion.transition",
    "From memorised to new digits",
    "pham2025",
    "on training sets that grow",
    quick=[
        *grid(score="free", rows=(10, 1000), updates=SHORT),
        *grid(score="energy", rows=10, updates=2 * SHORT),
        *grid(score=CLOSED, rows=(10, 1000), updates=0),
    ],
    paper=[
        *grid(score="free", rows=COUNTS, updates=UPDATES),
        *grid(score="free", rows=2, updates=UPDATES, seed=1),
        *grid(score="energy", rows=(10, 100, 1000), updates=UPDATES),
        *grid(score=CLOSED, rows=(2, 10, 100, 1000), updates=0),
    ],
    checks=_checks(),
    draw=_draw,
)
def transition(
    score: Annotated[
        str, "free or energy, networks; exact, smooth or wiener, closed forms; or digits"
    ],
    rows: Annotated[int, "number of training digits K, up to 1200"],
    updates: Annotated[int, "updates of a network, of 128 noisy digits each"] = 5000,
    near: Annotated[float, "distance to a training row up to which a sample is a copy"] = 0.25,
    repeated: Annotated[float, "distance to another sample up to which it is repeated"] = 0.1,
    count: Annotated[int, "number of samples"] = 500,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train denoisers on more and more digits, and ask of their samples whether they are copies.

    A sample is memorised within 0.25 of a training digit, else spurious within 0.1 of another
    sample, else it counts as generalised. ``distance`` is the median distance of a sample to its
    nearest training digit, and ``ratio`` the median distance to held-out digits over that to as
    many training digits, 500 at most: 1 where nothing is copied. ``auc`` and ``p`` are of the
    one-sided test of Mann and Whitney of whether samples are nearer to the training digits than
    held-out digits are.

    Networks of 192 units copy 10 digits and none of 1000, and the ratio says so without a
    threshold. The number of digits at which copying ends is not that of the data alone: trained
    alike, the network with an energy fits better, and still copies seven of ten samples of 100
    digits, of which the free network copies hardly any. Of 1000 digits its samples are better too,
    none is a copy, and yet they are nearer to the training digits than held-out digits are, which
    the test notices and the shares do not. After few updates a network is no better than Wiener's
    filter. Where two training digits are nearly the same, as the two of seed 0 are, the free
    network still does at the end what Wiener's filter does: it blends them, and repeats the blends,
    which count as spurious.

    The exact score copies always. Two other closed forms show what the shares leave out. The exact
    score smoothed by a bandwidth of 0.5 and Wiener's filter, which has the mean and the covariance
    of the digits alone, generalise by the definition from 10 digits on. Their samples are digits
    with noise, and blurs. So beside each share stand two numbers of quality, by 500 held-out
    digits: ``agreement`` is the share of samples whose nearest digits in two halves of these are of
    one class, and ``likelihood`` the mean log density of samples in a kernel density of all, of
    bandwidth 0.2. Fresh digits in the place of samples say what is good.

    A denoiser that is exact for some data is the slope of an energy, and its Jacobian is symmetric.
    The free network's is not: ``asymmetry`` is the length of the antisymmetric part over that of
    the whole, at noise of 0.3 on held-out digits. The network with an energy has none.
    """
    from kanerva import diffusion
    from kanerva.lab.papers.pham2025 import _digits
    from kanerva.lab.papers.pham2025._distances import finite

    checks.choice("score", score, tuple(SCORES))
    checks.integer("rows", rows, 2, 1200)
    checks.integer("updates", updates, 0, 10**7)
    checks.number("near", near, 0)
    checks.number("repeated", repeated, 0)
    checks.integer("count", count, 2, 10**5)
    checks.integer("seed", seed, 0, 2**40)
    train, held, labels = _digits.digits(rows, seed)
    skew = None
    if score == "digits":
        x = _digits.fresh(rows, count, seed)
    else:
        denoise = _digits.denoiser(score, train, updates, seed)
        x = _digits.samples(denoise, count, seed + 1)
        skew = _digits.asymmetry(denoise, held, seed) if score in TRAINED else None
    shares = diffusion.classify(x, train, near, repeated)
    test = diffusion.copying(x, train, held)
    quality = _digits.quality(x, held, labels)
    yield {
        "memorised": shares.memorised,
        "spurious": shares.spurious,
        "generalised": shares.generalised,
        "distance": float(shares.distance.median()),
        "auc": test.auc,
        "p": test.p,
        "ratio": finite(test.ratio),
        **quality._asdict(),
        "asymmetry": skew,
        "pictures": _digits.text(x),
    }
