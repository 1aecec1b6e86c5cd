"""Bricken and Pehlevan 2021: the critical distance by radius and by number of locations (E4)."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, PLOT, Bits, Locations, Patterns, Radius
from kanerva.lab.papers.bricken2021._words import EMPTY, EVERYWHERE, MILLION, count
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["critical_distance", "critical_locations"]

Noise = Annotated[str, "model of the noise: autoassociative, heteroassociative or independent"]
NOISES = ("independent", "heteroassociative", "autoassociative")
# Of 64 bits with a location at every point, and of 1000 bits with a million locations.
SMALL: Cell = {"bits": 64, "locations": EVERYWHERE}
LARGE: Cell = {"bits": 1000, "locations": MILLION, "patterns": 10_000}
# At 64 bits, by number of patterns: critical distances from a radius on.
CORRECTED = {
    1024: (9, (18, 20, 22, 24, 26, 28, 30, 30, 30, 28, 26, 24, 20, 12, 0)),
    10_240: (15, (30, 28, 26, 24, 20, 14, 4, 0)),
    512: (15, (30, 32, 32, 32, 28, 26, 22, 16, 4)),
    128: (16, (32, 32, 32, 32, 32, 32, 32, 24, 10)),
}
# At 64 bits and 1024 patterns: critical distances that the authors plot, by radius.
PLOTTED = {9: 19, 10: 21, 11: 23, 12: 25, 13: 27, 14: 29, 15: 31}
# At 1000 bits and autoassociative noise: the first distance that is not corrected, by radius.
PULLED = {436: 101, 439: 131, 442: 159, 445: 193, 448: 223, 451: 235, 454: 203, 457: 117}
# At 64 bits and 1024 patterns: the critical distance with a location at every point, by radius.
SATURATED = {5: 10, 9: 18, 11: 22, 15: 30, 19: 26, 27: 0}


def _distance_checks() -> Iterator[Check]:
    small = SMALL | {"noise": "independent"}
    for patterns, (first, distances) in CORRECTED.items():
        for radius, distance in enumerate(distances, first):
            at = small | {"patterns": patterns, "radius": radius}
            yield _corrected(at, distance, COMPUTED)
    for radius, distance in PLOTTED.items():
        at = small | {"patterns": 1024, "radius": radius}
        yield _corrected(at, distance, PLOT, EMPTY)
    pulled, alone = LARGE | {"noise": "autoassociative"}, LARGE | {"noise": "independent"}
    for radius, distance in PULLED.items():
        what, at = f"first not corrected at radius {radius}", pulled | {"radius": radius}
        yield Check(what, "beyond", distance, 0, COMPUTED, at)
    yield _corrected(pulled | {"radius": 460}, 0, COMPUTED)
    yield _corrected(alone | {"radius": 448}, 176, PLOT)
    yield _corrected(alone | {"radius": 449}, 176, PLOT)
    yield _corrected(alone | {"radius": 451}, 164, COMPUTED)


def _corrected(at: Cell, distance: int, source: str, reason: str = "") -> Check:
    start = "plotted as corrected" if reason else "corrected"
    what = f"{start} at radius {at['radius']}, {at['bits']} bits, {at['patterns']} patterns"
    return Check(what, "critical", distance, 0, source, at, reason=reason)


def _draw_distance(rows: list[Row]) -> Any:
    published = SMALL | {"patterns": 1024}
    lines: list[Row] = []
    dots: list[Row] = []
    for row in rows:
        bits, radius = row["bits"], row["radius"]
        point = {"x": radius, "panel": f"{bits} bits, {count(row['locations'])} locations"}
        line = f"{count(row['patterns'])}, {row['noise']}"
        lines.append(point | {"y": row["critical"] / bits, "line": line})
        if radius in PLOTTED and all(row[name] == value for name, value in published.items()):
            dots.append(point | {"y": PLOTTED[radius] / 64, "line": "plotted by the authors"})
    title = "One radius corrects the most wrong bits"
    y = "critical distance, share of the bits, by patterns and noise"
    frame = plot.Frame(title, "radius in bits", y, across=2, dots=("plotted by the authors",))
    return plot.lines(lines + dots, "x", "y", frame, by="line", panel="panel")


COUNTS = (128, 512, 1024, 10_240)
PEAK = (436, 439, 442, 445, 448, 451, 454, 457, 460)


@recipe(
    "sdm.critical_distance",
    "The critical distance by radius",
    "bricken2021",
    "appendix on the critical distance",
    quick=[
        *grid(bits=64, radius=range(5, 28), patterns=COUNTS, locations=EVERYWHERE),
        *grid(**LARGE, radius=sorted({*PEAK, 449})),
        *grid(**LARGE, radius=PEAK, noise="autoassociative"),
    ],
    paper=[
        *grid(bits=64, radius=range(5, 32), patterns=COUNTS, locations=EVERYWHERE),
        *grid(**LARGE, radius=range(430, 471), noise=NOISES),
    ],
    checks=_distance_checks(),
    draw=_draw_distance,
)
def critical_distance(
    bits: Bits,
    radius: Radius,
    patterns: Patterns,
    locations: Locations,
    noise: Noise = "independent",
) -> Iterator[Row]:
    """Compute the critical distance for every radius.

    The critical distance is the largest number of wrong bits in a query from which one read still
    comes nearer to the pattern. Small circles lose the pattern, because two circles further apart
    than twice their radius do not intersect. Large circles read all other patterns with it. The
    best radius lies in between, and is smaller the more patterns are stored. The table gives the
    largest whole distance that is corrected, the first that is not, and the interpolated crossing
    between them.

    At 64 bits the critical distance is twice the radius until noise dominates, which happens within
    a few bits. The authors' plots show one bit more on that branch, because their code takes zero
    over zero for a correction. At 1000 bits the model of the noise matters: a memory that stores
    patterns as their own values corrects many more bits than the paper's formula for independent
    noise gives, and its best radius is 451 instead of 448, because stored patterns near the query
    resemble it. Nothing is sampled; ``kanerva.critical_distance`` compares this theory with a
    simulation.
    """
    yield _row(bits, radius, patterns, locations, noise)


def _locations_checks() -> Iterator[Check]:
    at: Cell = SMALL | {"patterns": 1024}
    for radius, distance in SATURATED.items():
        what = f"corrected in the end, radius {radius}"
        yield Check(what, "critical", distance, 0, COMPUTED, at | {"radius": radius})
    for radius in (5, 9, 11, 15):
        what, here = f"plotted as corrected in the end, radius {radius}", at | {"radius": radius}
        yield Check(what, "critical", 2 * radius + 1, 0, PLOT, here, reason=EMPTY)
    large: Cell = {"bits": 1000, "radius": 447, "locations": 10**12}
    yield Check("corrected in the end, 1000 bits", "critical", 412, 1, PLOT, large)


def _draw_locations(rows: list[Row]) -> Any:
    long = []
    for row in rows:
        line = f"{row['bits']} bits, radius {row['radius']}"
        long.append(row | {"y": row["critical"] / row["bits"], "line": line})
    title = "Beyond some number, locations help no more"
    frame = plot.Frame(title, "locations", "critical distance, share of the bits", log="x")
    return plot.lines(long, "locations", "y", frame, by="line")


def _powers(base: int, powers: range) -> tuple[int, ...]:
    return tuple(base**power for power in powers)


SIX: Cell = {"bits": 64, "radius": (5, 9, 11, 15, 19, 27), "patterns": 1024}
ONE: Cell = {"bits": 1000, "radius": 447, "patterns": 1024}


@recipe(
    "sdm.critical_locations",
    "The critical distance by the number of locations",
    "bricken2021",
    "appendix on the critical distance",
    quick=[
        *grid(**SIX, locations=_powers(2, range(16, 65, 8))),
        *grid(**ONE, locations=_powers(10, range(4, 16, 2))),
    ],
    paper=[
        *grid(**SIX, locations=_powers(2, range(8, 65, 2))),
        *grid(**ONE, locations=_powers(10, range(3, 20))),
    ],
    checks=_locations_checks(),
    draw=_draw_locations,
)
def critical_locations(
    bits: Bits,
    radius: Radius,
    patterns: Patterns,
    locations: Locations,
    noise: Noise = "independent",
) -> Iterator[Row]:
    """Compute the critical distance for a growing number of locations.

    With few locations a query shares too few of them with its pattern, and the outcome of a read is
    random. With many locations the expected overlaps alone decide, and the critical distance no
    longer changes.

    Each radius has its own number of locations beyond which the critical distance is constant, and
    small circles need many more: at 64 bits, radius 11 needs about 2^44 and radius 19 only 2^24.
    With few locations large circles are therefore better, although they correct fewer bits in the
    end. Radius 27 of 64 bits corrects nothing, because each of its circles holds too many of the
    1024 patterns. Nothing is sampled.
    """
    yield _row(bits, radius, patterns, locations, noise)


def _row(*memory: Any) -> Row:
    critical = theory.critical.distance(*memory)
    crossing = theory.critical.crossing(*memory)
    return {"critical": critical, "beyond": critical + 1, "crossing": crossing}
