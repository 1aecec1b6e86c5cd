"""Bricken and Pehlevan 2021: the radius that is best by each of three criteria (E4)."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, PLOT, Bits, Locations, Patterns
from kanerva.lab.papers.bricken2021._words import EMPTY, EVERYWHERE, MILLION, PAPER, count
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["optimal_radius"]

CRITERIA = {
    "snr": "signal to noise",
    "capacity": "patterns held",
    "noise": "wrong bits corrected",
}


class Best(NamedTuple):
    """A radius that is best by a criterion: share of the space, value achieved, beta."""

    radius: int
    share: float | None
    best: float | None
    beta: float


# By memory (bits, patterns, locations) and criterion.
BEST = {
    (64, 1024, EVERYWHERE): {
        "snr": Best(11, 2.980232e-8, None, 15.852765),
        "capacity": Best(5, 1.979931e-13, 3.49e18, 35.484762),
        "noise": Best(15, None, 30, 10.110419),
    },
    (1000, 10_000, MILLION): {
        "snr": Best(447, 3.684031e-4, None, 6.71194),
        "capacity": Best(444, 1.775352e-4, 89_355, 7.30209),
        "noise": Best(448, None, 176, 6.52131),
    },
}
# The best radius by signal to noise for other numbers of patterns, by bits and locations.
OTHERS = {
    (64, EVERYWHERE): {100: 12, 512: 11, 10_240: 11, 50_000: 10, 60_000: 10},
    (1000, MILLION): {100: 454, 1024: 450},
}
# Probability that a word of 1000 bits is right where the signal-to-noise ratio is 2.33.
AT_233 = (0.5 * math.erfc(-2.33 / math.sqrt(2))) ** 1000
# At 1000 bits, by fidelity and locations: the share of the space, and the patterns held.
FAITHFUL = {
    (0.99, MILLION): (2.18196e-4, 48_133),
    (AT_233, MILLION): (1.42264e-4, 173_657),
    (AT_233, 10**9): (1.3976760802e-6, None),
}


def _checks() -> Iterator[Check]:
    for memory, row in BEST.items():
        for criterion, best in row.items():
            yield from _best_checks(memory, criterion, best)
    for (fidelity, locations), (share, held) in FAITHFUL.items():
        at = _chosen((1000, 10_000, locations), "capacity", fidelity)
        of = f"by capacity, fidelity {fidelity:.2g}, {count(locations)} locations"
        near = (5e-6 if held else 5e-11) * share
        yield Check(f"share asked for {of}", "asked", share, near, COMPUTED, at)
        if held:
            yield Check(f"patterns {of}", "best", held, 1, COMPUTED, at)
    for (bits, locations), radii in OTHERS.items():
        for patterns, radius in radii.items():
            at = _chosen((bits, patterns, locations), "snr")
            what = f"radius by snr, {bits} bits, {patterns} patterns"
            yield Check(what, "radius", radius, 0, COMPUTED, at)
    small, large = (_chosen(memory, "noise") for memory in BEST)
    what = "largest radius that ties by noise"
    yield Check(f"{what}, 64 bits", "radius", 17, 0, COMPUTED, small, "max")
    yield Check(f"{what}, 1000 bits", "radius", 449, 0, COMPUTED, large, "max")
    ties = f"{EMPTY}; so 15 ties with 16 and 17"
    yield Check("most wrong bits, 64 bits", "best", 31, 0, PLOT, small, reason=ties)
    at = _chosen((64, 1024, EVERYWHERE), "capacity", 0.99)
    what = "radius by capacity, fidelity 0.99, 64 bits"
    yield Check(what, "radius", 5, 0, COMPUTED, at)


def _best_checks(memory: tuple[int, int, int], criterion: str, best: Best) -> Iterator[Check]:
    at, of = _chosen(memory, criterion), f"by {criterion}, {memory[0]} bits"
    radius, source = best.radius, PAPER if memory[0] == 64 else COMPUTED
    yield Check(f"radius {of}", "radius", radius, 0, source, at, "min")
    yield Check(f"beta {of}", "beta", best.beta, 5e-6, COMPUTED, at | {"radius": radius})
    if best.share:
        share = best.share
        yield Check(f"share asked for {of}", "asked", share, 5e-7 * share, COMPUTED, at)
    if best.best:
        near = 5e15 if best.best > 1e18 else 1
        yield Check(f"reached {of}", "best", best.best, near, COMPUTED, at)


def _chosen(memory: tuple[int, int, int], criterion: str, fidelity: float = 0.5) -> Cell:
    """Return the columns that select the radius chosen by a criterion."""
    bits, patterns, locations = memory
    known = {"bits": bits, "patterns": patterns, "locations": locations, "fidelity": fidelity}
    return {**known, "criterion": criterion, "chosen": 1}


def _draw(rows: list[Row]) -> Any:
    shown = [row for row in rows if row["fidelity"] == 0.5] or rows
    most: dict[Any, float] = {}
    for row in shown:
        most[_curve(row)] = max(most.get(_curve(row), 0), row["value"])
    chosen: dict[Any, int] = {}
    long = []
    for row in shown:
        size = _curve(row)
        panel = f"n={size[0]}, m={count(size[1])}, r={count(size[2])}"
        point = {"x": row["radius"], "y": row["value"] / most[size], "panel": panel}
        long.append(point | {"line": CRITERIA[row["criterion"]]})
        if row["chosen"] and chosen.setdefault(size, row["radius"]) == row["radius"]:
            long.append(point | {"line": "radius chosen"})
    title = "The more errors to correct, the larger the best circle"
    y = "share of the best, for n bits, m patterns, r locations"
    frame = plot.Frame(title, "radius in bits", y, dots=("radius chosen",))
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _curve(row: Row) -> tuple[Any, ...]:
    return row["bits"], row["patterns"], row["locations"], row["criterion"]


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
    checks=_checks(),
    draw=_draw,
)
def optimal_radius(
    bits: Bits,
    patterns: Patterns,
    locations: Locations,
    fidelity: Annotated[
        float, "probability that a whole pattern is read right, for the criterion capacity"
    ] = 0.5,
) -> Iterator[Row]:
    """Choose the radius by three criteria, and compute what every radius achieves by each of them.

    The first criterion is the signal-to-noise ratio of a query without errors. The second is the
    number of patterns that can be stored so that each is read right with a probability of one half
    from a query without errors. The third is the number of wrong bits from which one read still
    comes nearer to the pattern. A softmax with the beta of one of these radii is the attention that
    is best by the same criterion: 15.9, 35.5 and 10.1 at 64 bits, as published.

    The more errors are to be corrected, the larger the best circle is. The first two radii come
    from a closed form for the share of the space, rounded up to a whole radius, so the curve may
    have its peak one radius below; at 64 bits and 100 patterns the ratio is twice as high there.
    The third criterion is flat: at 64 bits the radii 15, 16 and 17 all correct 30 bits. The
    authors' plot has a peak of 31 bits at 15 alone, because their code accepts zero over zero as a
    correction; the library takes the smallest of equally good radii, so both choose 15. All
    patterns are taken to be random.
    """
    best = {
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
            found = best[criterion]
            chosen = radius in found.ties
            yield {
                "criterion": criterion,
                "radius": radius,
                "value": value,
                "chosen": chosen,
                "asked": found.activation if chosen else None,
                "best": found.best if chosen else None,
                "beta": theory.beta.fit(bits, radius, "published").beta if chosen else None,
            }
