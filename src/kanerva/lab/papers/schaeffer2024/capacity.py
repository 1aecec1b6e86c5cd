"""Schaeffer 2024: how many rows on a sphere a Gaussian kernel density holds as modes."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import InputError, theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, SEPARATE, Seed, table
from kanerva.lab.recipe import Cell, Check, Row, recipe

__all__ = ["capacity"]

RADII = {"unit": "unit sphere", "root": "radius √D", "pair": "two rows at ±a"}
# The annealed logarithm to base two on the unit sphere, by dimension.
ANNEALED = table("""
beta  d4    d8     d12    d16    d24
5     3.93  5.23   5.81   6.13   6.48
10    5.37  8.03   9.53   10.49  11.62
20    6.84  11.19  14.10  16.23  19.13
40    8.32  14.53  19.14  22.83  28.47
""")
# The measured logarithm where half of the rows are held, by radius, beta and dimension.
HALF: dict[str, dict[float, dict[int, float]]] = {
    "unit": {
        5: {8: 3.0, 12: 2.4, 16: 2.9, 24: 2.3},
        10: {4: 3.27, 8: 3.86, 12: 6.53, 16: 7.38, 24: 8.35},
        20: {4: 5.0, 8: 9.16},
        40: {4: 7.06},
    },
    "root": {
        1.5: {6: 4.07, 8: 6.24, 10: 8.80},
        1.0: {6: 2.67, 8: 3.20, 10: 6.18, 12: 7.91},
        0.75: {6: 2.20, 8: 3.14, 10: 4.07, 12: 5.69},
    },
}
# The share of the rows that are held, by their number, for beta 10 in 16 dimensions.
SHARES = {4: 1, 8: 1, 16: 1, 32: 0.97, 64: 0.93, 128: 0.80, 256: 0.01}
# The mode of two rows by the ratio of their distance to the standard deviation.
MODES = {0.9: 0.0, 1.1: 0.736922, 1.5: 1.463244, 2.0: 1.998651}
# The probability that the theorem's number is not held.
FAILURE = 0.001
# The logarithm of the smallest number of rows; the share that counts as none.
FEWEST, FADED = 2, 0.02
# Beyond these the theorem alone is drawn.
FARTHEST, LARGE = 24, (1000, 100_000)


def _at(radius: str, beta: float, dim: int) -> Cell:
    return {"radius": radius, "beta": float(beta), "dim": dim}


def _checks() -> Iterator[Check]:
    for row in ANNEALED:
        for dim in (4, 8, 12, 16, 24):
            what = f"annealed log2, beta {row['beta']}, {dim} dimensions"
            at = _at("unit", row["beta"], dim)
            yield Check(what, "annealed", row[f"d{dim}"], 0.01, COMPUTED, at)
    for beta in (5.0, 10.0):
        what = f"annealed log2, beta {beta:g}, {LARGE[-1]:,} dimensions: beta / ln 2"
        at = _at("unit", beta, LARGE[-1])
        yield Check(what, "annealed", beta / math.log(2), 0.01, "limit of many dimensions", at)
    for radius, by_beta in HALF.items():
        for beta, by_dim in by_beta.items():
            for dim, value in by_dim.items():
                what = f"log2 of the rows of which half are held, {RADII[radius]}, "
                what += f"beta {beta:g}, {dim} dimensions"
                yield Check(what, "half", value, 0.7, SEPARATE, _at(radius, beta, dim))
    for rows, share in SHARES.items():
        what = f"share of {rows} rows held, beta 10, 16 dimensions"
        yield Check(what, "share", share, 0.07, SEPARATE, _at("unit", 10, 16) | {"rows": rows})
    yield from _laws()
    for ratio, mode in MODES.items():
        at = _at("pair", ratio**2, 1)
        what = f"mode of two rows at {ratio:g} standard deviations"
        yield Check(what, "mode", mode, 1e-6, COMPUTED, at)


def _laws() -> Iterator[Check]:
    what = "growth from 6 to 10 dimensions, four times 0.9 to 1.5 bits, radius √D, beta 1.5"
    at, less = _at("root", 1.5, 10), _at("root", 1.5, 6)
    yield Check(what, "half", 4.8, 1.2, SEPARATE, at, less=less)
    what = "bits from beta 10 to 20 in 8 dimensions, unit sphere"
    at, less = _at("unit", 20, 8), _at("unit", 10, 8)
    yield Check(what, "half", 5.3, 1.4, SEPARATE, at, less=less)
    source = "theorem of Ramsauer and others 2021"
    what = "rows that the theorem guarantees and that are not held, at most"
    yield Check(what, "broken", 0, 0, source, aggregate="max")
    what = "excess of the theorem's number over the annealed one, 0 for none"
    yield Check(what, "above", 0, 0, source, aggregate="max")
    what = "mode of two rows, from the closed form, at most"
    yield Check(what, "mode_apart", 0, 1e-6, "closed form", aggregate="max")


def _draw(rows: list[Row]) -> Any:
    drawn = {"": _curves(rows), "shares": _shares(rows)}
    drawn |= {"theorem": _theorem(rows), "pair": _pair(rows)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _panel(row: Row) -> str:
    return f"{RADII[row['radius']]}, β = {row['beta']:g}"


def _curves(rows: list[Row]) -> Any:
    lines = {"annealed": "annealed estimate", "half": "half of the rows are held"}
    measured = {_panel(row) for row in rows if row["half"] is not None}
    places = {
        (_panel(row), row["dim"], lines[column]): row[column]
        for column in lines
        for row in rows
        if _panel(row) in measured and row["dim"] <= FARTHEST and row[column] is not None
    }
    long = [{"panel": p, "x": x, "line": line, "y": y} for (p, x, line), y in places.items()]
    frame = plot.Frame(
        "Capacity saturates on the unit sphere, and grows with the radius √D",
        "dimension D",
        "log2 of the number of rows",
        dots=(lines["half"],),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


def _shares(rows: list[Row]) -> Any:
    long = [
        row | {"panel": _panel(row), "line": f"D = {row['dim']}"}
        for row in rows
        if row["share"] is not None and row["radius"] != "pair"
    ]
    frame = plot.Frame(
        "Rows held as modes",
        "number of rows",
        "share of rows whose mode is within 0.1 radii",
        log="x",
    )
    return plot.lines(long, "rows", "share", frame, by="line", panel="panel") if long else None


def _theorem(rows: list[Row]) -> Any:
    lines = {"annealed": "annealed estimate", "theorem": "bound of the theorem"}
    long = [
        {"x": row["dim"], "y": row[column], "panel": _panel(row), "line": line}
        for column, line in lines.items()
        for row in rows
        if row["rows"] is None and row["radius"] == "root"
    ]
    frame = plot.Frame(
        "The theorem is a bound from below", "dimension D", "log2 of the number of rows"
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


def _pair(rows: list[Row]) -> Any:
    closed, found = "closed form", "by recall"
    pairs = [row for row in rows if row["radius"] == "pair"]
    long = [
        {"x": math.sqrt(row["beta"]), "y": y, "line": line}
        for row in pairs
        for line, y in (
            (closed, theory.kernel.modes(math.sqrt(row["beta"]), 1.0)),
            (found, row["mode"]),
        )
    ]
    frame = plot.Frame(
        "Two rows merge where a = σ",
        "distance a of each row from the middle, σ",
        "upper mode, σ",
        dots=(found,),
        diagonal=True,
    )
    return plot.lines(long, "x", "y", frame, by="line") if long else None


def _cells(radius: str, largest: int, by_beta: dict[float, tuple[int, ...]]) -> list[Cell]:
    return [
        _at(radius, beta, dim) | {"largest": largest}
        for beta, dims in by_beta.items()
        for dim in dims
    ]


FORMULAS = [
    *_cells("unit", 0, dict.fromkeys((5.0, 10.0, 20.0, 40.0), (4, 8, 12, 16, 24, *LARGE))),
    *_cells("root", 0, dict.fromkeys((1.0, 1.5), (6, 8, 10, 12, 24, 50, 100, 200))),
]
DIMS = (4, 6, 8, 10, 12)


@recipe(
    "bridge.capacity",
    "Capacity of a kernel density on a sphere",
    "schaeffer2024",
    "on the capacity of kernel density estimators",
    quick=[
        *_cells("unit", 10, {10.0: (8, 16, 24), 20.0: (8,)}),
        *_cells("root", 10, {1.5: (6, 8, 10), 1.0: (10,)}),
        *_cells("pair", 1, {ratio**2: (1,) for ratio in (0.5, 0.9, 1.1, 1.25, 1.5, 2.0, 2.5)}),
        *FORMULAS,
    ],
    paper=[
        *_cells("unit", 12, dict.fromkeys((5.0, 10.0, 20.0, 40.0), (4, 8, 12, 16, 24))),
        *_cells("root", 12, dict.fromkeys((0.75, 1.0, 1.5), DIMS)),
        *_cells("pair", 1, {(place / 10) ** 2: (1,) for place in (*range(1, 10), *range(11, 31))}),
        *FORMULAS,
    ],
    checks=_checks(),
    draw=_draw,
)
def capacity(
    radius: Annotated[str, "unit; root, for a sphere of radius sqrt(D); or pair, for two rows"],
    beta: Annotated[float, "1 / sigma^2 of the kernels, in the unit of the radius"],
    dim: Annotated[int, "dimension D"],
    largest: Annotated[int, "log2 of the largest number of rows; 0 for formulas alone"] = 10,
    draws: Annotated[int, "number of sets of rows that are drawn for each number"] = 2,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Draw rows on a sphere, climb from each to its mode, and count the rows whose mode is near.

    A row is held where mean shift from it ends within 0.1 of the radius. On a sphere mean shift,
    the read of a modern Hopfield network and attention are one step. The column ``half`` is the
    logarithm to base two of the number of rows of which half are held. Sizes double up to
    2^``largest`` and end early once hardly any row is held; ``half`` is empty where the share does
    not cross a half between two sizes.

    The annealed estimate of ``theory.capacity.kernel`` is the number of rows at which the crosstalk
    of the others equals the weight of a row. It is one to four bits above the measured number,
    because a mode moves away from its row before it is lost. With a fixed beta on the unit sphere
    it tends to beta / ln 2 bits, however large the dimension: capacity saturates. It grows
    exponentially with the dimension where the radius grows as its square root at a fixed standard
    deviation of the kernels, by about 1.2 bits a dimension at beta 1.5. With beta 5 on the unit
    sphere modes are displaced by more than 0.1 even for few rows, and the numbers do not order by
    the dimension.

    The theorem on modern Hopfield networks is a bound from below (``theory.capacity.modern``, with
    a probability of failure of 0.001). At these sizes it guarantees nothing, and beyond it stays
    far below the estimate. Its statement on a single row needs a separation from the nearest other
    row; the column ``guaranteed`` is the share of rows that have it, and all of these are held.

    In one dimension the sphere is two points at -a and +a. They have modes of their own where a is
    above sigma, and merge into one at the middle below; near that threshold recall takes many
    steps, so it is left out.
    """
    checks.choice("radius", radius, tuple(RADII))
    checks.number("beta", beta, 0.0, 1e6, open_low=True)
    checks.integer("dim", dim, 1, 10**6)
    checks.integer("largest", largest, 0, 16)
    checks.integer("draws", draws, 1, 1000)
    if radius == "pair":
        yield _merged(beta)
        return
    length = math.sqrt(dim) if radius == "root" else 1.0
    annealed = theory.capacity.kernel(dim, beta * length**2)
    theorem = _bound(dim, beta, length)
    formulas = {
        "annealed": annealed,
        "theorem": theorem,
        "above": None if theorem is None else max(0.0, theorem - annealed),
    }
    yield from (row | formulas for row in _measured(dim, beta, length, largest, draws, seed))


def _measured(
    dim: int, beta: float, length: float, largest: int, draws: int, seed: int
) -> list[Row]:
    """Measure sets of 4, 8, ... rows until hardly any is held; one empty row for no set."""
    from kanerva.lab.papers.schaeffer2024 import _held

    if largest < FEWEST:
        return [dict.fromkeys(("rows", *_held.Held._fields, "half", "mode_apart"))]
    rows: list[Row] = []
    for log in range(FEWEST, largest + 1):
        sets = [_held.drawn(2**log, dim, length, seed + draw) for draw in range(draws)]
        rows.append(
            {"rows": 2**log} | _held.mean([_held.held(one, beta) for one in sets])._asdict()
        )
        if rows[-1]["share"] < FADED:
            break
    half = _held.crossing([row["share"] for row in rows])
    return [
        row | {"half": None if half is None else FEWEST + half, "mode_apart": None} for row in rows
    ]


def _merged(beta: float) -> Row:
    """Find the mode of two rows, in standard deviations of the kernels."""
    from kanerva.lab.papers.schaeffer2024 import _held

    ratio, found = math.sqrt(beta), _held.held(_held.pair(), beta)
    mode = found.mode * ratio
    apart = abs(mode - theory.kernel.modes(ratio, 1.0))
    row = {"rows": 2} | found._asdict() | {"mode": mode, "half": None, "mode_apart": apart}
    return row | dict.fromkeys(("annealed", "theorem", "above"))


def _bound(dim: int, beta: float, length: float) -> float | None:
    """Return the logarithm of the theorem's number; None where it is below two rows."""
    try:
        scale = length / math.sqrt(max(1, dim - 1))
        return theory.capacity.modern(dim, beta, scale, FAILURE, "log2").patterns
    except InputError:
        return None
