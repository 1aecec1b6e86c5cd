"""Jaeckel 1989: locations that depend on a few bits of a key, beside Kanerva's circles."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, INTEGERS, Bits, Locations, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["chances", "designs", "log_shares"]

CIRCLE: Cell = {"design": "circle", "size": 451}
SELECTED: Cell = {"design": "selected", "size": 10}
HYPERPLANE: Cell = {"design": "hyperplane", "size": 3}
DESIGNS = (CIRCLE, SELECTED, HYPERPLANE)
# Share of all locations, in millionths, that two keys both activate, by distance.
CIRCLE_SHARES = {0: 1071.850, 10: 795.874, 50: 476.874, 100: 285.831, 200: 103.461, 500: 1.101}
# Share of its active locations that a key shares with another, by distance.
SELECTED_SHARES = {0: 1.0, 10: 0.903968, 50: 0.597311, 100: 0.346928, 200: 0.106164, 500: 0.000933}
# Share of all locations that two keys both activate, with its tolerance, by ones in common.
HYPERPLANE_SHARES = {90: (7.07e-4, 5e-7), 50: (1.18e-4, 5e-7), 10: (7.2e-7, 5e-9)}
# Distances at which shared locations are counted.
COUNTED = (0, 10, 50, 100, 150, 200, 300)


def _checks() -> Iterator[Check]:
    for far, millionths in CIRCLE_SHARES.items():
        what, at = f"circle, share of locations at {far} bits", CIRCLE | {"distance": far}
        yield Check(what, "shared", millionths * 1e-6, 1e-9, INTEGERS, at)
    for far, share in SELECTED_SHARES.items():
        what, at = f"selected, share of the active at {far} bits", SELECTED | {"distance": far}
        yield Check(what, "share", share, 5e-7, INTEGERS, at)
    what, at = "selected, share of locations active", SELECTED | {"distance": 0}
    yield Check(what, "shared", 2**-10, 1e-15, "2^-q", at)
    what, at = "hyperplane, share of locations active", HYPERPLANE | {"distance": 0}
    yield Check(what, "shared", 9.73e-4, 5e-7, INTEGERS, at)
    for ones, pair in HYPERPLANE_SHARES.items():
        what = f"hyperplane, share of locations at {ones} ones in common"
        at = HYPERPLANE | {"distance": 2 * (100 - ones)}
        yield Check(what, "shared", *pair, INTEGERS, at)
    for one in DESIGNS:
        what = f"{one['design']}, standard errors from expected to counted, at most"
        yield Check(what, "deviation", 0, 4, "Poisson spread", one, "max")
    for one in DESIGNS:
        what = f"{one['design']}, signal to noise: measured over predicted"
        yield Check(what, "ratio", 1, 0.08, "the formula beside it", one)
    source = f"{COMPUTED}: q / 2 for many bits"
    yield Check("selected, beta at cosine 1", "tangent", 5, 0.03, source, SELECTED)


def _draw(rows: list[Row]) -> Any:
    labels = {"share": "expected", "counted": "counted", "softmax": "softmax, fitted"}
    titles = {"circle": "circle", "selected": "selected coordinates", "hyperplane": "hyperplane"}
    long = [
        {"x": row["distance"], "y": row[column], "line": label, "panel": titles[row["design"]]}
        for row in rows
        if row["distance"] <= 300
        for column, label in labels.items()
    ]
    frame = plot.Frame(
        "Three designs of locations weigh patterns alike",
        "distance of two keys in bits",
        "share of its active locations that a key shares",
        log="y",
        limits=(1e-3, 1.2),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


QUICK: Cell = {"bits": 1000, "ones": 100, "locations": 10_000, "patterns": 500, "draws": 100}
PAPER: Cell = {"bits": 1000, "ones": 100, "locations": 50_000, "patterns": 2500, "draws": 400}


@recipe(
    "jaeckel.designs",
    "Locations that depend on few bits",
    "jaeckel1989",
    "the designs beside Kanerva's",
    quick=[cell for one in DESIGNS for cell in grid(**one, **QUICK)],
    paper=[cell for one in DESIGNS for cell in grid(**one, **PAPER)],
    checks=_checks(),
    draw=_draw,
)
def designs(
    design: Annotated[
        str,
        "circle: Kanerva's; selected: coordinates and their values; "
        "hyperplane: coordinates that are all one",
    ],
    size: Annotated[int, "radius of the circles in bits, or number of coordinates of a location"],
    bits: Bits,
    ones: Annotated[int, "number of ones of a key in the hyperplane design"],
    locations: Locations,
    patterns: Annotated[int, "number of random values stored under random keys"],
    draws: Annotated[int, "pairs of keys whose shared locations are counted"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Compare Kanerva's locations, which depend on all bits of a key, with two that depend on few.

    In Kanerva's memory a location is active for keys in a circle around its address. In the
    selected-coordinate design it is active for keys with given values of ten bits. In the
    hyperplane design keys have few ones, and a location is active if three given bits are all one.
    In all three designs about one location in a thousand is active. The weight of a stored pattern
    falls with distance in nearly the same way, and a softmax approximates each design, at an
    inverse temperature of 6 for the first two and of 13 for the third. A memory with ten inputs for
    each location therefore also approximates attention.

    The lines are exact expectations; counts among random locations agree within their standard
    errors. The signal-to-noise ratio was measured with random values. It agrees with the formula
    within a few percent, the spread between memories. Distances of the hyperplane design are
    between keys with a hundred ones; random ones of these are 180 bits apart, not 500.
    """
    import torch

    from kanerva.lab.papers.jaeckel1989 import _memories

    checks.integer("patterns", patterns, 2)
    checks.integer("draws", draws, 1)
    logs, chance = log_shares(design, size, bits, ones), chances(design, bits, ones)
    shares, fit = np.exp(logs), theory.beta.of(logs)
    source = torch.Generator().manual_seed(seed)
    memory = _memories.build(design, bits, locations, size, ones, seed)
    # The noise is that of the signal's own count and of the overlaps with all other patterns, which
    # are Poisson counts.
    signal = locations * shares[0]
    other, square = locations * shares @ chance, (locations * shares) ** 2 @ chance
    expected = signal / math.sqrt(signal + (patterns - 1) * (other + square))
    stored = _memories.keys(design, patterns, bits, ones, source)
    measured = _memories.signal_to_noise(memory, stored, source)
    tangent = theory.beta.of(logs, "ols", (0, 2)).beta
    for distance in (distance for distance in range(0, bits // 2 + 1, 10) if shares[distance] > 0):
        counted = deviation = None
        if distance in COUNTED:
            keys = _memories.keys(design, draws, bits, ones, source)
            others = _memories.moved(design, keys, distance, source)
            count, mean = _memories.count_shared(memory, keys, others), locations * shares[distance]
            counted, deviation = count / signal, abs(count - mean) / math.sqrt(mean / draws)
        yield {
            "distance": distance,
            "shared": shares[distance],
            "share": shares[distance] / shares[0],
            "counted": counted,
            "deviation": deviation,
            "softmax": math.exp(-2 * fit.beta * distance / bits),
            "beta": fit.beta,
            "tangent": tangent,
            "signal_to_noise": expected,
            "ratio": measured / expected if math.isfinite(measured) else None,
        }


def log_shares(design: str, size: int, bits: int, ones: int) -> np.ndarray:
    """Return the logarithm of the share of locations that two keys both activate, by distance.

    Args:
        design: ``"circle"``, ``"selected"`` or ``"hyperplane"``.
        size: radius of the circle in bits, or how many coordinates a location compares.
        bits: n, length of a key.
        ones: how many bits of a key are +1, for ``"hyperplane"``.

    Returns:
        ``(n + 1,)`` natural logarithms, for the distances 0 to n.

    Example:
        >>> import numpy as np
        >>> np.exp(log_shares("selected", size=1, bits=2, ones=1)).round(9).tolist()
        [0.5, 0.25, 0.0]
    """
    if design == "circle":
        return theory.circle.log_fraction(bits, size)
    if design == "selected":
        return theory.jaeckel.selected_log_fraction(bits, size)
    by_common = theory.jaeckel.hyperplane_log_fraction(bits, ones, size)[::-1]
    # Keys with equally many ones are an even number of bits apart, up to twice the ones.
    beyond = np.full(bits - 2 * ones, -math.inf)
    return np.concatenate([by_common[:1], np.repeat(by_common[1:], 2), beyond])


def chances(design: str, bits: int, ones: int) -> np.ndarray:
    """Return the probability of each distance between two random keys.

    Args:
        design: ``"hyperplane"``, whose keys have a fixed number of ones, or another.
        bits: n, length of a key.
        ones: how many bits of a key are +1, for ``"hyperplane"``.

    Returns:
        ``(n + 1,)`` probabilities of the distances 0 to n.

    Example:
        >>> chances("selected", bits=2, ones=1).round(9).tolist()
        [0.25, 0.5, 0.25]
    """
    from scipy.stats import binom, hypergeom

    if design != "hyperplane":
        return binom.pmf(np.arange(bits + 1), bits, 0.5)
    found = np.zeros(bits + 1)
    common = ones - np.arange(ones + 1)
    found[2 * np.arange(ones + 1)] = hypergeom.pmf(common, bits, ones, ones)
    return found
