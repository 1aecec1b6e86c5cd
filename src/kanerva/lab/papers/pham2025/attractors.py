"""Pham and others 2025: the states at which denoising of digits rests."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import SEPARATE, Seed, table
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["attractors"]

REST, RETURN = "rest", "return"
SIZE = 8  # pixels to a side
# The noise whose states are drawn, digits and others.
PICTURED = (0.3, 0.4, 0.5, 0.7, 1.0)
COLUMNS = (
    "stored",
    "attractors",
    "spurious",
    "largest",
    "recalled",
    "state",
    "kind",
    "picture",
    "sigma_c",
    "back",
    "critical",
)
KNOWN = table("""
    count  sigma  stored  attractors  spurious
    10     0.3    1.00    10          0
    10     0.4    0.70    10          3
    10     0.5    0.50    6           1
    10     0.7    0.50    6           1
    10     1.0    0.10    4           3
    100    0.3    1.00    100         0
    100    0.4    0.96    100         4
    100    0.5    0.72    91          19
    100    0.7    0.06    33          27
    100    1.0    0.00    1           1
""")
NUMBERS = {
    "stored": ("share that is held", 0.03),
    "attractors": ("states", 2),
    "spurious": ("states that are no digit", 2),
}


def _checks() -> Iterator[Check]:
    for known in KNOWN:
        at = {"part": REST, "count": known["count"], "sigma": known["sigma"], "seed": 0}
        for column, (words, tolerance) in NUMBERS.items():
            what = f"{known['count']} digits at sigma {known['sigma']:g}: {words}"
            yield Check(what, column, known[column], tolerance, SEPARATE, at)
    for sigma, stored in ((0.2, 1.0), (0.3, 0.957)):
        at = {"part": REST, "count": 1000, "sigma": sigma, "seed": 0}
        what = f"1000 digits at sigma {sigma:g}: share that is held"
        yield Check(what, "stored", stored, 0.03, SEPARATE, at)
    for count in (10, 100):
        what = f"{count} digits: critical noise over its bound, above a half, at most 1"
        at = {"part": RETURN, "count": count}
        yield Check(what, "critical", 0.75, 0.25, "the nearest row is the most probable", at)


def _draw(rows: list[Row]) -> Any:
    import numpy as np

    names = {
        "stored": "digits that are held",
        "share": "states, for each digit",
        "wrong": "states that are no digit, for each digit",
        "recalled": "digits that annealing recalls from that noise",
    }
    drawn = {}
    rest = [
        row | {"share": row["attractors"] / row["count"], "wrong": row["spurious"] / row["count"]}
        for row in rows
        if row["part"] == REST and row["state"] is None
    ]
    long = [
        {"sigma": row["sigma"], "y": row[name], "line": line, "panel": f"{row['count']} digits"}
        for name, line in names.items()
        for row in rest
    ]
    if long:
        frame = plot.Frame(
            "Memories fade into spurious states",
            "noise sigma, unit of the pixels",
            "share of the digits",
        )
        drawn[""] = plot.lines(long, "sigma", "y", frame, by="line", panel="panel")
    back = [row | {"line": f"{row['count']} digits"} for row in rows if row["part"] == RETURN]
    if back:
        frame = plot.Frame(
            "How much noise digits come back from",
            "noise sigma, unit of the pixels",
            "share of the digits that come back in nine of ten trials",
        )
        drawn["critical"] = plot.lines(back, "sigma_c", "back", frame, by="line")
    pictures = [row for row in rows if row["picture"] is not None and row["sigma"] in PICTURED]
    if pictures:
        shades: dict[str, list[Any]] = {}
        for row in pictures:
            title = f"sigma {row['sigma']:g}: {row['kind']}"
            shades.setdefault(title, []).append(_pixels(row))
        drawn["states"] = plot.gallery(
            [(title, np.stack(some)) for title, some in shades.items()], first=0
        )
    return drawn


@recipe(
    "diffusion.attractors",
    "Where denoising rests, and what it comes back from",
    "pham2025",
    "on spurious states and on the critical time",
    quick=[
        *grid(part=REST, count=(10, 100), sigma=(0.2, 0.3, 0.4, 0.5, 0.7, 1.0)),
        *grid(part=RETURN, count=(10, 100), sigma=0.0, trials=10),
    ],
    paper=[
        *grid(
            part=REST,
            count=(10, 100),
            sigma=(0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2),
        ),
        *grid(part=REST, count=1000, sigma=(0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0), trials=1),
        *grid(part=RETURN, count=(10, 100, 300), sigma=0.0, trials=20),
    ],
    checks=_checks(),
    draw=_draw,
)
def attractors(
    part: Annotated[str, "rest, at one noise, or return, from noise"],
    count: Annotated[int, "number of digits that are stored"],
    sigma: Annotated[float, "noise at which they are denoised; of no effect for return"],
    trials: Annotated[int, "number of noise draws for each digit"] = 10,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Denoise stored digits again and again at one noise, and list the states at which that rests.

    The denoiser is the exact one of the digits, so that each step is a read of a memory with the
    inverse temperature 1 / sigma^2. ``stored`` is the share of the digits that rest within 0.1 of
    themselves, ``attractors`` the number of distinct states, ``spurious`` how many of them are
    further than 0.1 from every digit, and ``largest`` the largest share of the digits that end at
    one state. With little noise every digit is a state. Where digits begin to be lost, states
    appear that are none of them: averages of a few that resemble one another. With more noise all
    end at one average.

    A recall lets the noise fall instead. ``recalled`` is the share of digits, with noise of that
    sigma added, that it ends within 0.1 of. For ``return`` the largest noise is found from which
    each digit comes back in nine of ten trials, the critical noise; ``back`` is the share of the
    digits that come back from ``sigma_c``. Noise carries a cue beyond the middle to the nearest
    other digit, at the distance r, in one of ten trials at sigma = r / 2.56. No recall comes back
    more often than the nearest digit is the right one, so that this bounds the critical noise;
    ``critical`` is the mean of its ratio to that bound.
    """
    from kanerva.lab.papers.pham2025 import _rest

    checks.choice("part", part, (REST, RETURN))
    count = checks.integer("count", count, 2, 1797)
    seed = checks.integer("seed", seed, 0, 2**62)
    trials = checks.integer("trials", trials, 1, 10_000)
    none: Row = dict.fromkeys(COLUMNS)
    if part == RETURN:
        yield from (none | row for row in _rest.critical(count, trials, seed))
        return
    sigma = checks.number("sigma", sigma, 1e-3, 1e3)
    yield from (none | row for row in _rest.resting(count, sigma, trials, seed))


def _pixels(row: Row) -> Any:
    """Return the picture of a row, from -1 to 1, of two hexadecimal digits for each pixel."""
    import numpy as np

    levels = np.frombuffer(bytes.fromhex(row["picture"]), dtype=np.uint8)
    return levels.reshape(SIZE, SIZE) / 127.5 - 1
