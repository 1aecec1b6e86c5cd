"""Bricken and Pehlevan 2021: recall with a finite number of hard locations (E7)."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva.lab.papers._common import CODE, COMPUTED, Bits, Patterns, Radius, Seed
from kanerva.lab.papers.bricken2021._curves import AT, RADII, RECALLED, check, draw
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["finite_locations", "ties"]

ALGORITHMS = {
    "sdm_locations": "real locations",
    "sdm_rounded": "rounded counts, as published",
    "sdm_poisson": "Poisson counts",
}
# Printed by the authors' code for 64 bits and 100,000 locations: the cosine recalled, by algorithm,
# radius and damaged bits.
DAMAGE = (0, 2, 4, 6, 8, 10, 12)
PRINTED = {
    ("sdm_rounded", 15): (0.341, 0.192, 0.109, 0.059, 0.037, 0.022, 0.012),
    ("sdm_rounded", 19): (1, 1, 1, 1, 1, 0.9999, 0.9955),
    ("sdm_rounded", 27): (0.865, 0.809, 0.753, 0.698, 0.644, 0.591, 0.536),
    ("sdm_locations", 15): (0.704, 0.418, 0.264, 0.162, 0.097, 0.058, 0.032),
    ("sdm_locations", 19): (1, 1, 0.9998, 0.9986, 0.989, 0.945, 0.830),
    ("sdm_locations", 27): (0.865, 0.807, 0.751, 0.696, 0.643, 0.590, 0.535),
}
# Points of 64 bits that two circles of radius 15 have in common at these distances, exactly.
POINTS = (
    *(224723513577529, 102591779307634, 57566255152834, 33281997043114),
    *(19136286591514, 10760536982014, 5846763877774),
)
ANEW = (
    "every read draws the shared numbers anew, whereas a location that is active at the cue stays "
    "active as the recall approaches the pattern"
)


def _known() -> Iterator[tuple[str, int, int, float]]:
    """Yield algorithm, radius, distance and cosine of the printed numbers."""
    for (algorithm, radius), values in PRINTED.items():
        for distance, value in zip(DAMAGE, values, strict=True):
            yield algorithm, radius, distance, value


def _spread(radius: int, value: float) -> float:
    """Return three standard errors of the mean over 1024 cues, compared with one over 3072.

    A cue of radius 15 is recalled completely or not at all, and one of radius 19 by half at worst.
    At radius 27 the result depends on the patterns: six sets had a standard deviation of 0.047.
    """
    if radius == 27:
        return 3 * 0.047 * math.sqrt(1 + 1 / 3)
    scale, least = (1.0, 0.005) if radius == 15 else (0.5, 0.001)
    return 3 * math.sqrt(value * (1 - value) * (1 / 1024 + 1 / 3072)) * scale + least


def _at(algorithm: str, radius: int, distance: int, **more: Any) -> Row:
    size = {"bits": 64, "patterns": 1024, "locations": 100_000}
    return {**size, "algorithm": algorithm, "radius": radius, "distance": distance, **more}


def _checks() -> Iterator[Check]:
    for algorithm, radius, distance, value in _known():
        yield check(_at(algorithm, radius, distance), value, _spread(radius, value), CODE)
    yield from _checks_27()
    # No location is active. Rounded counts then read -1 everywhere, so the mean cosine of 1024
    # cues is a mean of 65,536 random signs.
    for algorithm, value in {"sdm_rounded": -0.0016, "sdm_locations": 0.0}.items():
        for radius in (5, 9, 11):
            for distance in DAMAGE:
                yield check(_at(algorithm, radius, distance), value, 0.0135, CODE)
    yield from _checks_once()
    for radius, distance in ((15, 2), (19, 12)):
        value = PRINTED["sdm_locations", radius][distance // 2]
        at = _at("sdm_poisson", radius, distance)
        yield check(at, value, _spread(radius, value), CODE, reason=ANEW)


def _checks_27() -> Iterator[Check]:
    """Compare what hardly depends on the patterns, and the one set whose results are known."""
    for algorithm, radius, distance, value in _known():
        if radius == 27 and distance > 0:
            share = value / PRINTED[algorithm, radius][0]
            yield check(_at(algorithm, radius, distance), share, 0.012, CODE, "relative")
    source = f"{COMPUTED}, every location"
    for algorithm in ALGORITHMS:
        for distance, value in zip(AT, RECALLED["sdm"][27], strict=True):
            yield check(_at(algorithm, 27, distance, seed=0, cues=1024), value, 0.02, source)


def _checks_once() -> Iterator[Check]:
    """Compare one read at radius 15 with the exact probability that a location is shared."""
    for distance, points in zip(DAMAGE, POINTS, strict=True):
        mean = 1e5 * points / 2.0**64
        some, least = 1 - math.exp(-mean), min(mean, 1.0)
        for algorithm in ("sdm_locations", "sdm_poisson"):
            at, source = _at(algorithm, 15, distance), "1 - exp(-shared): one is active"
            yield check(at, some, _spread(15, some), source, "once")
        at, source = _at("sdm_rounded", 15, distance), "the mean number that is shared"
        if distance > 0:
            yield check(at, least, _spread(15, least), source, "once")
    lost, error = ties(64, 15, 1024, 1e5)
    source = "1 - bits tied with another pattern; 4 standard errors of near pairs of patterns"
    yield check(_at("sdm_rounded", 15, 0), 1 - lost, 4 * error, source, "once")


def ties(bits: int, radius: int, patterns: int, locations: float) -> tuple[float, float]:
    """Return what one read of rounded counts loses to ties, of undamaged cues, and its spread.

    With a mean of 1 to 2 locations in a circle, a cue shares one location with its own pattern with
    the probability 2 - mean. Another pattern at distance d is then drawn with the probability of
    its mean; all d bits in which the two differ are tied and read as -1, half of them wrongly.

    Args:
        bits: dimension of the space.
        radius: of the circles.
        patterns: how many random patterns are stored, all of which are recalled.
        locations: how many there are.

    Returns:
        the loss in mean cosine, and its standard deviation between sets of random patterns.

    Example:
        >>> loss, spread = ties(64, 15, 1024, 1e5)
        >>> round(loss, 4), round(spread, 4)
        (0.0042, 0.0012)
    """
    counts = theory.circle.intersection(bits, radius)
    single = 2 - locations * counts[0] / 2.0**bits
    loss = variance = 0.0
    for distance in range(1, bits + 1):
        tied = single * min(1.0, locations * counts[distance] / 2.0**bits)
        lost = distance / bits
        pairs = patterns * (patterns - 1) / 2 * math.comb(bits, distance) / 2.0**bits
        loss += 2 * pairs * tied * lost
        # The number of pairs is a Poisson number, and each of its two cues may be tied.
        variance += 2 * pairs * tied * (1 + tied) * lost**2
    return loss / patterns, math.sqrt(variance) / patterns


def _draw(rows: list[Row]) -> Any:
    dots = {(name, radius, distance): value for name, radius, distance, value in _known()}
    title = "Rounded counts recall too little at radius 15 and too much at 19"
    return draw(rows, title, ALGORITHMS, dots)


@recipe(
    "sdm.finite_locations",
    "A hundred thousand locations, real and modelled",
    "bricken2021",
    "experiments with a finite number of neurons",
    quick=[
        *grid(radius=(15, 19), algorithm="sdm_locations", levels=3),
        *grid(radius=27, algorithm="sdm_locations", levels=2, cues=128),
        *grid(radius=15, algorithm="sdm_rounded", levels=1),
        *grid(radius=(19, 27), algorithm="sdm_rounded", levels=2),
        *grid(radius=(15, 19), algorithm="sdm_poisson", levels=2),
    ],
    paper=grid(radius=RADII, algorithm=tuple(ALGORITHMS), seed=(0, 1, 2)),
    checks=_checks(),
    draw=_draw,
)
def finite_locations(
    radius: Radius,
    algorithm: Annotated[str, "name of the memory, one of those in the text"],
    cues: Annotated[int, "number of patterns that are recalled, the first ones"] = 1024,
    bits: Bits = 64,
    patterns: Patterns = 1024,
    locations: Annotated[float, "number of hard locations"] = 100_000,
    levels: Annotated[int, "number of distances of the cue, evenly from 0 to 12 bits"] = 7,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Compare a hundred thousand locations of 64 bits with two models of the number that is shared.

    ``sdm_locations`` builds the locations and their counters. The other two memories keep the
    patterns and draw the number of locations that a cue shares with a pattern. ``sdm_rounded``
    draws it as the published code does: the mean, rounded down or up at random, again at every
    read. ``sdm_poisson`` draws it as random locations share it, a Poisson number.

    At radius 15 a circle holds 1.2 locations on average. For three cues in ten no location is
    active, even without damage, so real locations recall 1 - exp(-1.2) = 0.70. Rounding gives each
    pattern one location or two, never none, so the first read is perfect. But each of up to a
    hundred reads may also draw a location of another pattern, which ties with that of the right
    one. Ties are read as 0, and both patterns are lost; a third of the cues is recalled. At radius
    19 rounded counts recall too much: they lack the spread of real ones, and this spread is why
    cues with 12 wrong bits are lost. At radius 27 there are enough locations for all three to
    agree, and up to radius 11 there are none.

    One read of the Poisson memory (column ``once``) is right as often as one of real locations. A
    recall is not, because it draws the numbers anew at every read, while a location that is active
    at the cue is active at the pattern, too. At radius 27 recall depends on the patterns drawn, by
    0.05 from set to set, and the published patterns are not known. There the recall as a share of
    that from undamaged cues is compared closely (column ``relative``).
    """
    from kanerva.lab.papers.bricken2021 import _trials

    memory = _trials.build(algorithm, bits, radius, locations, seed)
    keys = _trials.patterns(patterns, bits, seed, not memory.value_bits)
    published, distances = algorithm == "sdm_rounded", _trials.levels(12, levels)
    yield from _trials.curve(memory, keys, distances, (cues, 1), seed, published)
