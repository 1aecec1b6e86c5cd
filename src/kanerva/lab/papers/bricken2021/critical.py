"""Bricken and Pehlevan 2021, Attention Approximates Sparse Distributed Memory: the best radius, and the critical distance (E4)."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["critical_distance", "critical_locations", "optimal_radius"]

Bits = Annotated[int, "dimension n of the space"]
Radius = Annotated[int, "of reads and writes, in bits"]
Patterns = Annotated[int, "number of stored patterns m"]
Locations = Annotated[int, "number of hard locations r; 2^n is one at every point"]
Noise = Annotated[str, "model of the noise: autoassociative, heteroassociative or independent"]

COMPUTED = "computed independently"
PLOT = "authors' code, stored plot"
PAPER = "Bricken and Pehlevan 2021"
EVERYWHERE, MILLION = 2**64, 10**6
EMPTY = "2 r computed; circles 2 r + 1 bits apart share nothing, which is 0 / 0 in the authors' code, and passes there"
NOISES = ("independent", "heteroassociative", "autoassociative")


def _count(number: Any) -> str:
    """Write a power of two or ten as such."""
    if number > 10**6 and number & (number - 1) == 0:
        return f"2^{number.bit_length() - 1}"
    return (
        f"10^{len(str(number)) - 1}"
        if number >= 10**6 and number == 10 ** (len(str(number)) - 1)
        else f"{number:,}"
    )


# The three optimal radii.

# By criterion: radius, the share of the space asked for, what is reached, and beta.
SMALL: dict[str, tuple[Any, ...]] = {
    "snr": (11, 2.980232e-8, None, 15.852765),
    "capacity": (5, 1.979931e-13, 3.49e18, 35.484762),
    "noise": (15, None, 30, 10.110419),
}
LARGE: dict[str, tuple[Any, ...]] = {
    "snr": (447, 3.684031e-4, None, 6.71194),
    "capacity": (444, 1.775352e-4, 89_355, 7.30209),
    "noise": (448, None, 176, 6.52131),
}
# The best radius by signal to noise for other numbers of patterns.
OTHERS = {
    (64, EVERYWHERE): {100: 12, 512: 11, 10_240: 11, 50_000: 10, 60_000: 10},
    (1000, MILLION): {100: 454, 1024: 450},
}
# The chance that a word of 1000 bits is right where the ratio of signal to noise is 2.33.
AT_233 = (0.5 * math.erfc(-2.33 / math.sqrt(2))) ** 1000
# By fidelity and locations, at 1000 bits: the share of the space asked for, and the patterns held.
FAITHFUL = (
    (0.99, MILLION, 2.18196e-4, 48_133),
    (AT_233, MILLION, 1.42264e-4, 173_657),
    (AT_233, 10**9, 1.3976760802e-6, None),
)


def _optimal_checks() -> list[Check]:
    tables = {(64, 1024, EVERYWHERE): SMALL, (1000, 10_000, MILLION): LARGE}
    checks = [
        check
        for memory, table in tables.items()
        for criterion, row in table.items()
        for check in _row_checks(memory, criterion, *row)
    ]
    for fidelity, locations, share, held in FAITHFUL:
        at = _best((1000, 10_000, locations), "capacity", fidelity)
        of = f"by capacity, fidelity {fidelity:.2g}, {_count(locations)} locations"
        checks += [
            Check(
                f"share asked for {of}",
                "asked",
                share,
                (5e-6 if held else 5e-11) * share,
                COMPUTED,
                at,
            )
        ]
        checks += [Check(f"patterns {of}", "best", held, 1, COMPUTED, at)] if held else []
    for (bits, locations), table in OTHERS.items():
        for patterns, radius in table.items():
            at = _best((bits, patterns, locations), "snr")
            checks += [
                Check(
                    f"radius by snr, {bits} bits, {patterns} patterns",
                    "radius",
                    radius,
                    0,
                    COMPUTED,
                    at,
                )
            ]
    small, large = (_best(memory, "noise") for memory in tables)
    faithful = _best((64, 1024, EVERYWHERE), "capacity", 0.99)
    return [
        *checks,
        Check(
            "largest radius that ties by noise, 64 bits", "radius", 17, 0, COMPUTED, small, "max"
        ),
        Check(
            "largest radius that ties by noise, 1000 bits", "radius", 449, 0, COMPUTED, large, "max"
        ),
        Check(
            "most wrong bits, 64 bits",
            "best",
            31,
            0,
            PLOT,
            small,
            reason=f"{EMPTY}; so 15 ties with 16 and 17",
        ),
        Check("radius by capacity, fidelity 0.99, 64 bits", "radius", 5, 0, COMPUTED, faithful),
    ]


def _best(memory: tuple[int, int, int], criterion: str, fidelity: float = 0.5) -> Cell:
    bits, patterns, locations = memory
    known = {"bits": bits, "patterns": patterns, "locations": locations, "fidelity": fidelity}
    return {**known, "criterion": criterion, "chosen": 1}


def _row_checks(
    memory: tuple[int, int, int], criterion: str, radius: int, share: Any, reached: Any, beta: float
) -> Iterator[Check]:
    at, of = _best(memory, criterion), f"by {criterion}, {memory[0]} bits"
    yield Check(
        f"radius {of}", "radius", radius, 0, PAPER if memory[0] == 64 else COMPUTED, at, "min"
    )
    yield Check(f"beta {of}", "beta", beta, 5e-6, COMPUTED, {**at, "radius": radius})
    if share:
        yield Check(f"share asked for {of}", "asked", share, 5e-7 * share, COMPUTED, at)
    if reached:
        yield Check(f"reached {of}", "best", reached, 5e15 if reached > 1e18 else 1, COMPUTED, at)


def _draw_optimal(rows: list[Row]) -> Any:
    names = {"snr": "signal to noise", "capacity": "patterns held", "noise": "wrong bits corrected"}
    most: dict[Any, Any] = {}
    shown = [row for row in rows if row["fidelity"] == 0.5] or rows
    for row in shown:
        memory = row["bits"], row["patterns"], row["locations"], row["criterion"]
        most[memory] = max(most.get(memory, 0), row["value"])
    long, chosen = [], dict[Any, Any]()
    for row in shown:
        memory = row["bits"], row["patterns"], row["locations"], row["criterion"]
        panel = f"n={row['bits']}, m={_count(row['patterns'])}, r={_count(row['locations'])}"
        point = {"x": row["radius"], "y": row["value"] / most[memory], "panel": panel}
        long.append(point | {"line": names[row["criterion"]]})
        if row["chosen"] and chosen.setdefault(memory, row["radius"]) == row["radius"]:
            long.append(point | {"line": "radius chosen"})
    title, y = (
        "The more errors to correct, the larger the best circle",
        "share of the best, for n bits, m patterns, r locations",
    )
    frame = plot.Frame(title, "radius in bits", y, dots=("radius chosen",))
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.optimal_radius",
    "Three criteria for the best radius",
    "bricken2021",
    "appendix on the optimal radius",
    quick=grid(bits=64, patterns=1024, locations=EVERYWHERE)
    + grid(bits=1000, patterns=10_000, locations=MILLION),
    paper=[
        *grid(bits=64, patterns=(100, 512, 1024, 10_240, 50_000, 60_000), locations=EVERYWHERE),
        *grid(bits=1000, patterns=(100, 1024, 10_000), locations=MILLION),
        *grid(bits=64, patterns=1024, locations=EVERYWHERE, fidelity=0.99),
        *grid(bits=1000, patterns=10_000, locations=MILLION, fidelity=(0.99, AT_233)),
        *grid(bits=1000, patterns=10_000, locations=10**9, fidelity=AT_233),
    ],
    checks=_optimal_checks(),
    draw=_draw_optimal,
)
def optimal_radius(
    bits: Bits,
    patterns: Patterns,
    locations: Locations,
    fidelity: Annotated[
        float, "chance that a whole pattern is read right, for the criterion capacity"
    ] = 0.5,
) -> Iterator[Row]:
    """Choose the radius by three criteria, and show what each radius reaches by them.

    The first is the ratio of signal to noise of a query without errors. The second is the number of patterns that can be
    held, each read right with a chance of a half from a query without errors. The third is the number of wrong bits from
    which one read still comes nearer. A softmax with the beta of these radii is an attention that is best by the same
    criterion: 15.9, 35.5 and 10.1 at 64 bits, as published.

    What is to be seen: the more errors are to be corrected, the larger the best circle. The first two radii come from a
    closed form for the share of the space, rounded up to a whole radius, so the curve may peak a radius below; at 64 bits
    and 100 patterns the ratio is twice as high there. The third criterion is flat: at 64 bits the radii 15, 16 and 17 all
    correct 30 bits. The authors' plot has its peak of 31 at 15 alone, by an accident of zero over zero; the library takes
    the smallest of equals, so both say 15. All patterns are taken to be random.
    """
    found = {
        criterion: theory.radius.optimal(bits, patterns, locations, criterion, fidelity=fidelity)
        for criterion in theory.radius.CRITERIA
    }
    for radius in range(bits // 2):
        if theory.capacity.word(bits, radius, 1, locations) < fidelity:
            continue  # so few locations are active that not even one pattern is held
        values = {
            "snr": theory.capacity.snr(bits, radius, patterns, locations),
            "capacity": theory.capacity.patterns(bits, radius, locations, fidelity),
            "noise": theory.critical.distance(bits, radius, patterns, locations, "independent"),
        }
        for criterion, value in values.items():
            best, chosen = found[criterion], radius in found[criterion].ties
            yield {
                "criterion": criterion,
                "radius": radius,
                "value": value,
                "chosen": chosen,
                "asked": best.activation if chosen else None,
                "best": best.best if chosen else None,
                "beta": theory.beta.fit(bits, radius, "published").beta if chosen else None,
            }


# E4: the critical distance.

# At 64 bits with a location at every point: critical distances from a radius on, by the number of patterns.
CORRECTED = {
    1024: (9, (18, 20, 22, 24, 26, 28, 30, 30, 30, 28, 26, 24, 20, 12, 0)),
    10_240: (15, (30, 28, 26, 24, 20, 14, 4, 0)),
    512: (15, (30, 32, 32, 32, 28, 26, 22, 16, 4)),
    128: (16, (32, 32, 32, 32, 32, 32, 32, 24, 10)),
}
PLOTTED = {9: 19, 10: 21, 11: 23, 12: 25, 13: 27, 14: 29, 15: 31}
# First distance not corrected, by radius, at 1000 bits with ten thousand patterns in a million locations.
PULLED = {436: 101, 439: 131, 442: 159, 445: 193, 448: 223, 451: 235, 454: 203, 457: 117}
# Where it ends as locations grow, by radius, with 1024 patterns of 64 bits.
SATURATED = {5: 10, 9: 18, 11: 22, 15: 30, 19: 26, 27: 0}


def _row(*memory: Any) -> Row:
    critical = theory.critical.distance(*memory)
    return {
        "critical": critical,
        "beyond": critical + 1,
        "crossing": theory.critical.crossing(*memory),
    }


def _distance_checks() -> list[Check]:
    def corrected(
        radius: int, expected: int, source: str = COMPUTED, reason: str = "", **memory: Any
    ) -> Check:
        what = f"{'plotted as ' if reason else ''}corrected at radius {radius}, {memory['bits']} bits, {memory['patterns']} patterns"
        return Check(
            what, "critical", expected, 0, source, {**memory, "radius": radius}, reason=reason
        )

    small: dict[str, Any] = {"bits": 64, "locations": EVERYWHERE, "noise": "independent"}
    large: dict[str, Any] = {"bits": 1000, "locations": MILLION, "patterns": 10_000}
    pulled, alone = {**large, "noise": "autoassociative"}, {**large, "noise": "independent"}
    return [
        *(
            corrected(at, bits, patterns=m, **small)
            for m, (first, row) in CORRECTED.items()
            for at, bits in enumerate(row, first)
        ),
        *(
            corrected(radius, bits, PLOT, EMPTY, patterns=1024, **small)
            for radius, bits in PLOTTED.items()
        ),
        *(
            Check(
                f"first not corrected at radius {radius}",
                "beyond",
                bits,
                0,
                COMPUTED,
                {**pulled, "radius": radius},
            )
            for radius, bits in PULLED.items()
        ),
        corrected(460, 0, **pulled),
        corrected(448, 176, PLOT, **alone),
        corrected(449, 176, PLOT, **alone),
        corrected(451, 164, **alone),
    ]


def _draw_distance(rows: list[Row]) -> Any:
    long: list[Row] = []
    dots: list[Row] = []
    for row in rows:
        point = {
            "x": row["radius"],
            "panel": f"{row['bits']} bits, {_count(row['locations'])} locations",
        }
        long.append(
            point
            | {
                "y": row["critical"] / row["bits"],
                "line": f"{_count(row['patterns'])}, {row['noise']}",
            }
        )
        if row["radius"] in PLOTTED and (row["bits"], row["patterns"], row["locations"]) == (
            64,
            1024,
            EVERYWHERE,
        ):
            dots.append(
                point | {"y": PLOTTED[row["radius"]] / 64, "line": "plotted by the authors"}
            )
    title = "One radius corrects the most wrong bits"
    y = "critical distance, share of the bits, by patterns and noise"
    frame = plot.Frame(title, "radius in bits", y, across=2, dots=("plotted by the authors",))
    return plot.lines(long + dots, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.critical_distance",
    "The critical distance by radius",
    "bricken2021",
    "appendix on the critical distance",
    quick=[
        *grid(
            bits=64,
            radius=tuple(range(5, 28)),
            patterns=(128, 512, 1024, 10_240),
            locations=EVERYWHERE,
        ),
        *grid(
            bits=1000,
            radius=(436, 439, 442, 445, 448, 449, 451, 454, 457, 460),
            patterns=10_000,
            locations=MILLION,
        ),
        *grid(
            bits=1000,
            radius=(436, 439, 442, 445, 448, 451, 454, 457, 460),
            patterns=10_000,
            locations=MILLION,
            noise="autoassociative",
        ),
    ],
    paper=[
        *grid(
            bits=64,
            radius=tuple(range(5, 32)),
            patterns=(128, 512, 1024, 10_240),
            locations=EVERYWHERE,
        ),
        *grid(
            bits=1000,
            radius=tuple(range(430, 471)),
            patterns=10_000,
            locations=MILLION,
            noise=NOISES,
        ),
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
    """Find the critical distance for every radius: the largest number of wrong bits from which one read comes nearer.

    Small circles lose the pattern: beyond twice the radius they share nothing with it. Large ones gather all the others.
    In between lies the best radius, smaller the more patterns there are. The table gives the largest whole distance that
    is corrected, the first that is not, and where the curve crosses in between.

    What is to be seen: at 64 bits the critical distance is twice the radius until noise takes over, which it does
    suddenly. The authors' plots show one bit more on that branch, as their code lets zero over zero pass. At 1000 bits the
    model of the noise matters: memories that store patterns as their own values correct much more than the paper's formula
    for independent noise says, with its peak at 451 instead of 448, since patterns near the query look like it.
    Nothing is sampled; ``kanerva.critical_distance`` sets this theory beside a simulation.
    """
    yield _row(bits, radius, patterns, locations, noise)


def _locations_checks() -> list[Check]:
    small: Cell = {"bits": 64, "patterns": 1024, "locations": EVERYWHERE}
    ends = [
        Check(
            f"corrected in the end, radius {radius}",
            "critical",
            end,
            0,
            COMPUTED,
            {**small, "radius": radius},
        )
        for radius, end in SATURATED.items()
    ]
    plotted = [
        Check(
            f"plotted as corrected in the end, radius {radius}",
            "critical",
            2 * radius + 1,
            0,
            PLOT,
            {**small, "radius": radius},
            reason=EMPTY,
        )
        for radius in (5, 9, 11, 15)
    ]
    large: Cell = {"bits": 1000, "radius": 447, "locations": 10**12}
    return [
        *ends,
        *plotted,
        Check("corrected in the end, 1000 bits", "critical", 412, 1, PLOT, large),
    ]


def _draw_locations(rows: list[Row]) -> Any:
    long = [
        row
        | {
            "y": row["critical"] / row["bits"],
            "line": f"{row['bits']} bits, radius {row['radius']}",
        }
        for row in rows
    ]
    frame = plot.Frame(
        "Beyond some number, locations help no more",
        "locations",
        "critical distance, share of the bits",
        log="x",
    )
    return plot.lines(long, "locations", "y", frame, by="line")


@recipe(
    "sdm.critical_locations",
    "The critical distance by the number of locations",
    "bricken2021",
    "appendix on the critical distance",
    quick=[
        *grid(
            bits=64,
            radius=(5, 9, 11, 15, 19, 27),
            patterns=1024,
            locations=tuple(2**power for power in range(16, 65, 8)),
        ),
        *grid(
            bits=1000,
            radius=447,
            patterns=1024,
            locations=tuple(10**power for power in range(4, 16, 2)),
        ),
    ],
    paper=[
        *grid(
            bits=64,
            radius=(5, 9, 11, 15, 19, 27),
            patterns=1024,
            locations=tuple(2**power for power in range(8, 65, 2)),
        ),
        *grid(
            bits=1000,
            radius=447,
            patterns=1024,
            locations=tuple(10**power for power in range(3, 20)),
        ),
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
    """Add locations to a memory until they help no more.

    With few locations a query finds too few that it shares with its pattern, and what it reads is chance. With many, the
    means alone decide, and the critical distance stays where it is from there on.

    What is to be seen: each radius has its own number of locations from which on it is as good as it will be, and small
    circles need many more: at 64 bits, radius 11 needs 2^44 or so and radius 19 only 2^24. So few locations ask for large
    circles, which correct fewer bits in the end. Radius 27 of 64 bits corrects nothing, for 1024 patterns drown one
    another in it. Nothing is sampled here.
    """
    yield _row(bits, radius, patterns, locations, noise)
