"""Kanerva 1988, Sparse Distributed Memory: the critical distance, simulated and predicted."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Bits, Locations, Patterns, Radius, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["critical_distance", "critical_patterns", "critical_radius", "crossing"]

NOISES = {"autoassociative": "own values", "heteroassociative": "random values"}
# Kanerva's own size, with ten thousand patterns.
OWN: Cell = {"bits": 1000, "locations": 1_000_000, "radius": 451, "patterns": 10_000}
# Wrong bits after one read, by wrong bits of the query: simulated; predicted for patterns that are
# their own values, and for random values.
READ = {
    **{50: 1.0, 100: 23.4, 150: 87.7, 200: 176.0, 215: 204.0, 220: 211.0, 225: 223.6},
    **{230: 231.8, 240: 246.2, 250: 263.9, 300: 333.1, 400: 432.5, 500: 498.1},
}
PREDICTED = {
    **{50: 0.9, 100: 21.8, 150: 85.8, 200: 173.9, 215: 201.9, 220: 209.4, 225: 219.2},
    **{230: 226.5, 250: 259.2, 300: 329.8, 400: 429.3, 500: 498.0},
}
RANDOM_VALUES = {100: 40.1, 150: 143.5, 200: 262.6}
# The first distance at which a read comes no nearer: by Kanerva's formula for numbers of patterns,
# and with the pull to the query for radii.
BY_PATTERNS = {1000: 370, 5000: 260, 10_000: 209, 20_000: 155, 50_000: 74, 100_000: 0}
BY_RADIUS = {436: 101, 439: 131, 442: 159, 445: 193, 448: 223, 451: 235, 454: 203, 457: 117, 460: 0}
# A crossing lies between the last whole distance that comes nearer and the first that does not.
HALF = 0.5
SIMULATED = "simulated independently, 40 reads"


def _checks() -> Iterator[Check]:
    own, apart = OWN | {"noise": "autoassociative"}, OWN | {"noise": "heteroassociative"}
    for far, mean in READ.items():
        at = own | {"distance": far}
        yield Check(f"one read from {far} bits", "measured", mean, 8.0, SIMULATED, at)
    for far, mean in PREDICTED.items():
        what, at = f"predicted, from {far} bits", own | {"distance": far}
        yield Check(what, "expected", mean, 0.051, COMPUTED, at)
    for far, mean in RANDOM_VALUES.items():
        what, at = f"predicted for values apart, from {far} bits", apart | {"distance": far}
        yield Check(what, "expected", mean, 0.051, COMPUTED, at)
    yield Check("critical distance, measured", "crossing", 227, 8, SIMULATED, own)
    what = "critical distance, predicted"
    yield Check(what, "expected_crossing", 234.5, HALF, COMPUTED, own)
    what = "pull of the other patterns towards the query"
    yield Check(what, "pull", 128.61, 0.005, COMPUTED, own)
    for noise in NOISES:
        what = f"{noise}: measured less predicted, at most, as a share of the bits"
        formula, at = "the formula beside it", {"noise": noise}
        yield Check(what, "miss", 0.0, 0.02, formula, at, "max")


def _draw(rows: list[Row]) -> Any:
    long: list[Row] = []
    own = OWN | {"noise": "autoassociative"}
    for row in rows:
        size, distance = row["bits"], row["distance"]
        wrong = {"predicted": row["expected"], "measured": row["measured"], "reference": None}
        if all(row[key] == value for key, value in own.items()):
            wrong["reference"] = READ.get(distance)
        panel = f"{size} bits, {NOISES[row['noise']]}"
        for line, bits in wrong.items():
            share = None if bits is None else 100 * bits / size
            part = {"x": 100 * distance / size, "y": share}
            long.append(part | {"line": line, "panel": panel})
    frame = plot.Frame(
        "One read comes nearer, or leads away",
        "wrong bits in the query, %",
        "wrong bits after one read, %",
        across=2,
        dots=("reference",),
        diagonal=True,
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


SMALL: Cell = {"bits": 256, "locations": 10_000, "radius": 107, "patterns": 200}
BOTH = tuple(NOISES)


@recipe(
    "kanerva.critical_distance",
    "From how far one read comes nearer",
    "kanerva1988",
    "the critical distance",
    quick=[
        *grid(**SMALL, noise=BOTH, targets=200, step=4),
        *grid(**OWN, noise=BOTH, targets=0, step=5),
    ],
    paper=[
        *grid(**OWN, noise="autoassociative", targets=100, step=5, seed=(0, 1)),
        *grid(**OWN, noise="heteroassociative", targets=100, step=5, seed=0),
    ],
    checks=_checks(),
    draw=_draw,
)
def critical_distance(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    patterns: Patterns,
    noise: Annotated[
        str, "autoassociative: each pattern is its own value; heteroassociative: random values"
    ],
    targets: Annotated[int, "number of patterns that are read; 0 simulates nothing"],
    step: Annotated[int, "step of the distances of the queries, in bits"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Read once from queries with a growing number of wrong bits, and count the wrong bits after.

    Below the diagonal a read comes nearer to the stored pattern, and repeated reads reach it. Above
    the diagonal each read leads further away. The curve crosses the diagonal at the critical
    distance: a memory of this size recalls a pattern from 23 percent of wrong bits, and loses it
    with a few more. Patterns that are stored as their own values pull a read towards the query,
    because stored patterns near the query have larger weights and resemble it. Random values do
    not, and are lost at a smaller distance.

    The prediction takes the other patterns for normal noise with that pull. It is a few bits below
    the simulation with random locations, so its critical distance is some bits too large. The quick
    size builds a small memory and only predicts the large one; the paper size builds the large one,
    in 3 GiB. The dots are means of 40 reads, with an uncertainty of about 3 bits; from 2000 reads
    the critical distance of the large memory is 231 bits.
    """
    from kanerva.lab.papers.kanerva1988 import _simulation

    memory = (bits, radius, patterns, locations)
    checks.integer("bits", bits, 1, checks.BITS)
    checks.integer("step", step, 1)
    checks.integer("targets", targets, 0)
    distances = range(0, bits * 3 // 5 + 1, step)
    expected = theory.critical.curve(*memory, noise=noise)
    means: list[Any] = [None] * len(distances)
    measured_crossing = None
    if targets:
        reads = _simulation.reads(memory, noise, distances, targets, seed)
        means = [read.mean() for read in reads]
        measured_crossing = crossing(distances, [mean.item() for mean in means])
    for distance, mean in zip(distances, means, strict=True):
        yield {
            "distance": distance,
            "expected": expected[distance],
            "measured": mean,
            "miss": None if mean is None else abs(mean - expected[distance]) / bits,
            "crossing": measured_crossing,
            "expected_crossing": theory.critical.crossing(*memory, noise=noise),
            "pull": theory.pull.query(*memory),
        }


def crossing(distances: Sequence[int], after: Sequence[float]) -> float | None:
    """Return the distance at which a curve first meets the diagonal, by linear interpolation.

    Args:
        distances: of the queries, in bits.
        after: the distances after one read.

    Returns:
        the distance, or None where the curve stays below the diagonal.

    Example:
        >>> crossing([0, 10, 20], [0.0, 8.0, 22.0])
        15.0
    """
    points = list(zip(distances, after, strict=True))
    for (near, before), (far, now) in pairwise(points):
        gain, loss = max(near - before, 0.0), now - far
        if loss >= 0:
            return near + (far - near) * gain / (gain + loss) if gain + loss > 0 else 0.0
    return None


def _patterns_checks() -> Iterator[Check]:
    source = f"Kanerva 1988: 209 bits; others {COMPUTED} from his formula"
    for patterns, first in BY_PATTERNS.items():
        yield _crossing_check(f"{patterns} patterns", "kanerva", first, source, patterns=patterns)
    at, start = {"patterns": 10_000}, "10,000 patterns"
    what = f"{start}, exact overlaps in Kanerva's formula"
    yield Check(what, "counted", 212, 0, COMPUTED, at)
    what = f"{start}, independent noise"
    yield Check(what, "independent", 164.5, HALF, "authors' code", at)
    what = f"{start}, with the pull to the query"
    yield Check(what, "autoassociative", 234.5, HALF, COMPUTED, at)


def _crossing_check(what: str, column: str, first: int, source: str, **at: int) -> Check:
    """Check a crossing by the first whole distance at which a read comes no nearer."""
    value, tolerance = (first - HALF, HALF) if first else (0.0, 0.0)
    return Check(what, column, value, tolerance, source, at)


def _lines(rows: list[Row], labels: dict[str, str]) -> list[Row]:
    """Return a point for each row and each of the columns with a label."""
    return [
        row | {"y": row[column], "line": label} for row in rows for column, label in labels.items()
    ]


def _draw_patterns(rows: list[Row]) -> Any:
    labels = {
        "kanerva": "Kanerva's formula",
        "independent": "independent noise",
        "autoassociative": "with the pull to the query",
    }
    long = _lines(rows, labels)
    if rows[0]["bits"] == 1000:
        for patterns, first in BY_PATTERNS.items():
            long.append({"patterns": patterns, "y": first, "line": "reference"})
    frame = plot.Frame(
        "The more is stored, the nearer a query must be",
        "patterns stored",
        "critical distance in bits",
        log="x",
        dots=("reference",),
    )
    return plot.lines(long, "patterns", "y", frame, by="line")


BOOK: Cell = {"bits": 1000, "locations": 1_000_000, "radius": 451, "activation": 0.001}
FEW = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)


@recipe(
    "kanerva.critical_patterns",
    "Critical distance by patterns stored, in three models of the noise",
    "kanerva1988",
    "the critical distance and the capacity",
    quick=grid(**BOOK, patterns=FEW),
    paper=grid(**BOOK, patterns=sorted({*FEW, 3000, 7000, 15_000, 30_000, 70_000})),
    checks=_patterns_checks(),
    draw=_draw_patterns,
)
def critical_patterns(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    activation: Annotated[float, "share of the space in one circle, in Kanerva's formula"],
    patterns: Patterns,
) -> Iterator[Row]:
    """Predict the critical distance by the number of stored patterns, in three models of the noise.

    Kanerva's own formula gives the 209 bits of his book for ten thousand patterns, and none for a
    hundred thousand; he concludes that a memory holds about a tenth as many patterns as it has
    locations. Independent noise, with all patterns half the bits away, is the model of Bricken and
    Pehlevan, and is right for random values. The third model adds the pull towards the query of
    patterns that are their own values; for ten thousand patterns it is nearest to a simulation. The
    three models agree for few patterns and differ as the memory fills. With the pull, even a memory
    with far too many patterns brings a query a little nearer, because its read is little more than
    the query itself; this is no longer recall.

    Nothing is simulated: these are predictions, and each is right under its assumptions. A distance
    is where the curve crosses the diagonal, between two whole bits. The dots are the first whole
    distance at which a read comes no nearer.
    """
    memory = (bits, radius, patterns, locations)
    crosses = theory.critical.crossing
    yield {
        "kanerva": crosses(*memory, noise="kanerva", overlap="kanerva1988", activation=activation),
        "counted": theory.critical.distance(*memory, noise="kanerva"),
        "independent": crosses(*memory, noise="independent"),
        "autoassociative": crosses(*memory),
    }


def _radius_checks() -> Iterator[Check]:
    for radius, first in BY_RADIUS.items():
        what = f"each pattern its own value, radius {radius}"
        yield _crossing_check(what, "autoassociative", first, COMPUTED, radius=radius)
    for radius, distance in {448: 176, 449: 176, 451: 164}.items():
        what, at = f"independent noise, radius {radius}", {"radius": radius}
        yield Check(what, "independent", distance, 0, "authors' code", at)
    what = "independent noise, best radius"
    yield Check(what, "independent", 176, 0, "authors' code", aggregate="max")


def _draw_radius(rows: list[Row]) -> Any:
    labels = {
        "autoassociative": "each pattern its own value",
        "heteroassociative": "random values",
        "independent": "independent noise",
    }
    title = "Only a narrow range of radii corrects errors"
    frame = plot.Frame(title, "radius in bits", "critical distance in bits")
    return plot.lines(_lines(rows, labels), "radius", "y", frame, by="line")


@recipe(
    "kanerva.critical_radius",
    "Critical distance by radius",
    "kanerva1988",
    "the critical distance",
    quick=grid(bits=1000, locations=1_000_000, patterns=10_000, radius=range(433, 464)),
    paper=grid(bits=1000, locations=1_000_000, patterns=10_000, radius=range(420, 481)),
    checks=_radius_checks(),
    draw=_draw_radius,
)
def critical_radius(
    bits: Bits, locations: Locations, patterns: Patterns, radius: Radius
) -> Iterator[Row]:
    """Predict the critical distance for every radius of the circles.

    A small circle activates so few locations that a damaged query shares hardly any with the
    pattern. A large circle activates so many that all patterns are read at once. Between the two is
    a range of some twenty bits of a thousand, and outside it nothing is corrected. Patterns stored
    as their own values have the largest critical distance at the radius of Kanerva's book, 451.
    With independent noise the best radii are 448 and 449, and all distances are slightly smaller.

    These are predictions of three models of the noise, not simulations. For independent noise the
    distance is a whole number, as in Bricken and Pehlevan 2021; for the other two it is where the
    curve crosses the diagonal.
    """
    memory = (bits, radius, patterns, locations)
    yield {
        "autoassociative": theory.critical.crossing(*memory),
        "heteroassociative": theory.critical.crossing(*memory, noise="heteroassociative"),
        "independent": theory.critical.distance(*memory, noise="independent"),
    }
