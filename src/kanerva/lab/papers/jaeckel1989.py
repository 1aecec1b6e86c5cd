"""Jaeckel 1989, alternative designs for a sparse distributed memory: its experiment."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

import kanerva
from kanerva import Locations, functional, theory
from kanerva import bits as bits_
from kanerva.lab import plot
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["designs"]

CIRCLE, SELECTED, HYPERPLANE = (
    {"design": "circle", "size": 451},
    {"design": "selected", "size": 10},
    {"design": "hyperplane", "size": 3},
)
# Share of its active locations that a selected-coordinate memory of 1000 bits shares with a query so many bits away.
SELECTED_SHARES = {0: 1.0, 10: 0.903968, 50: 0.597311, 100: 0.346928, 200: 0.106164, 500: 0.000933}
# Share of all locations that two keys both activate in the hyperplane design, by the ones that they have in common.
HYPERPLANE_SHARES = {90: (7.07e-4, 5e-7), 50: (1.18e-4, 5e-7), 10: (7.2e-7, 5e-9)}
COUNTED = (0, 10, 50, 100, 150, 200, 300)
CIRCLE_SHARES = {
    0: 1071.850e-6,
    10: 795.874e-6,
    50: 476.874e-6,
    100: 285.831e-6,
    200: 103.461e-6,
    500: 1.101e-6,
}


def _checks() -> list[Check]:
    exact, apart = "computed from exact integers", "computed apart"
    return [
        *[Check(f"circle, share of locations at {distance} bits", "shared", share, 1e-9, exact, CIRCLE | {"distance": distance})
          for distance, share in CIRCLE_SHARES.items()],
        *[Check(f"selected, share of the active at {distance} bits", "share", share, 5e-7, exact, SELECTED | {"distance": distance})
          for distance, share in SELECTED_SHARES.items()],
        Check("selected, share of locations active", "shared", 2**-10, 1e-15, "2^-q", SELECTED | {"distance": 0}),
        Check("hyperplane, share of locations active", "shared", 9.73e-4, 5e-7, exact, HYPERPLANE | {"distance": 0}),
        *[Check(f"hyperplane, share of locations at {ones} ones in common", "shared", share, tolerance, exact,
                HYPERPLANE | {"distance": 2 * (100 - ones)}) for ones, (share, tolerance) in HYPERPLANE_SHARES.items()],
        *[Check(f"{one['design']}, standard errors from expected to counted, at most", "deviation", 0, 4, "Poisson spread", one, "max")
          for one in (CIRCLE, SELECTED, HYPERPLANE)],
        *[Check(f"{one['design']}, signal to noise: measured over predicted", "ratio", 1, 0.08, "the formula beside it", one)
          for one in (CIRCLE, SELECTED, HYPERPLANE)],
        Check("selected, beta at cosine 1", "tangent", 5, 0.03, apart + ": q / 2 for many bits", SELECTED),
    ]  # fmt: skip


def _draw(rows: list[Row]) -> Any:
    labels = {"share": "expected", "counted": "counted", "softmax": "softmax, fitted"}
    titles = {"circle": "circle", "selected": "selected coordinates", "hyperplane": "hyperplane"}
    long = [
        {"x": row["distance"], "y": row[column], "line": label, "panel": titles[str(row["design"])]}
        for row in rows
        for column, label in labels.items()
        if int(row["distance"] or 0) <= 300
    ]
    frame = plot.Frame("Three designs of locations weigh patterns alike", "distance of two keys in bits",
                       "share of its active locations that a key shares", log="y", limits=(1e-3, 1.2))  # fmt: skip
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "jaeckel.designs",
    "Locations that look at few bits",
    "jaeckel1989",
    "the designs beside Kanerva's",
    quick=[{**one, **rest} for one in (CIRCLE, SELECTED, HYPERPLANE)
           for rest in grid(bits=1000, ones=100, locations=10_000, patterns=500, draws=100)],
    paper=[{**one, **rest} for one in (CIRCLE, SELECTED, HYPERPLANE)
           for rest in grid(bits=1000, ones=100, locations=50_000, patterns=2500, draws=400)],
    checks=_checks(),
    draw=_draw,
)  # fmt: skip
def designs(
    design: Annotated[
        str,
        "circle: Kanerva's; selected: coordinates and their values; hyperplane: coordinates that are all one",
    ],
    size: Annotated[
        int, "radius of the circles in bits, or how many coordinates a location watches"
    ],
    bits: Annotated[int, "dimension n of the space"],
    ones: Annotated[int, "bits of a key that are one, in the hyperplane design"],
    locations: Annotated[int, "how many random locations there are"],
    patterns: Annotated[int, "how many random values are stored under random keys"],
    draws: Annotated[int, "pairs of keys whose shared locations are counted"],
    seed: Annotated[int, "of all that is drawn at random"] = 0,
) -> Iterator[Row]:
    """Compare Kanerva's locations, which look at all bits of a key, with two designs that look at a few.

    In Kanerva's memory a location is active within a circle round its address. In the selected-coordinate design it
    watches ten bits and wants a given value of each; in the hyperplane design keys have few ones, and it watches three
    bits that must all be one. In all three about one location in a thousand is active. What is to be seen: the weight of
    a stored pattern falls with distance in much the same way, and one softmax comes near to each, at an inverse
    temperature of 6 for the first two and of 13 for the third; so a memory with ten inputs to a location is near to
    attention, too.

    Lines are exact expectations; what was counted among random locations agrees within its standard errors. The ratio of
    signal to noise was measured on random values, and agrees with the formula within the few percent by which memories
    differ. Distances of the hyperplane design are between keys with a hundred ones, of which random ones lie 180 bits
    apart, not 500.
    """
    log_shares, chances = _log_shares(design, size, bits, ones), _chances(design, bits, ones)
    shares, fit = np.exp(log_shares), theory.beta.of(log_shares)
    source = torch.Generator().manual_seed(seed)
    memory = _memory(design, size, bits, ones, locations, seed)
    # The signal, and the noise of its own count and of the overlaps with all other patterns, which are Poisson counts.
    signal, other, square = (
        locations * shares[0],
        locations * shares @ chances,
        (locations * shares) ** 2 @ chances,
    )
    expected = signal / math.sqrt(signal + (patterns - 1) * (other + square))
    measured = _signal_to_noise(memory, _keys(design, patterns, bits, ones, source), source)
    for distance in (distance for distance in range(0, bits // 2 + 1, 10) if shares[distance] > 0):
        mean, counted = locations * shares[distance], None
        if distance in COUNTED:
            keys = _keys(design, draws, bits, ones, source)
            counted = _counted(memory, keys, _moved(design, keys, distance, source))
        yield {
            "distance": distance,
            "shared": shares[distance],
            "share": shares[distance] / shares[0],
            "counted": None if counted is None else counted / signal,
            "deviation": None if counted is None else abs(counted - mean) / math.sqrt(mean / draws),
            "softmax": math.exp(-2 * fit.beta * distance / bits),
            "beta": fit.beta,
            "tangent": theory.beta.of(log_shares, "ols", (0, 2)).beta,
            "signal_to_noise": expected,
            "ratio": measured / expected,
        }


def _counted(memory: Locations, keys: Tensor, others: Tensor) -> float:
    """Count the locations that two keys both activate, on average over pairs."""
    rule = (memory.keys, memory.similarity, memory.separation)
    pairs = zip(functional.active(keys, *rule), functional.active(others, *rule), strict=True)
    return float(np.mean([torch.isin(one, other).sum().item() for one, other in pairs]))


def _signal_to_noise(memory: Locations, keys: Tensor, source: torch.Generator) -> float:
    """Store random values, and measure the mean over the spread of the sums that they are read from."""
    values = bits_.random(len(keys), memory.value_dim, seed=source)
    memory.write(keys, values)
    field = functional.field(keys, memory.keys, memory.values, memory.similarity, memory.separation)
    agreeing = (field.value * values).double()
    return float(agreeing.mean() / agreeing.std())


def _log_shares(design: str, size: int, bits: int, ones: int) -> np.ndarray:
    """Return the logarithm of the share of locations that two keys both activate, by their distance."""
    if design == "circle":
        return theory.circle.log_fraction(bits, size)
    if design == "selected":
        return theory.jaeckel.selected_log_fraction(bits, size)
    by_common = theory.jaeckel.hyperplane_log_fraction(bits, ones, size)[::-1]
    # Keys with as many ones each are an even number of bits apart, up to twice the ones.
    return np.concatenate(
        [by_common[:1], np.repeat(by_common[1:], 2), np.full(bits - 2 * ones, -math.inf)]
    )


def _chances(design: str, bits: int, ones: int) -> np.ndarray:
    """Return the chance that two random keys are so many bits apart."""
    from scipy.stats import binom, hypergeom

    if design != "hyperplane":
        return binom.pmf(np.arange(bits + 1), bits, 0.5)
    chances = np.zeros(bits + 1)
    chances[2 * np.arange(ones + 1)] = hypergeom.pmf(ones - np.arange(ones + 1), bits, ones, ones)
    return chances


def _memory(design: str, size: int, bits: int, ones: int, locations: int, seed: int) -> Locations:
    if design == "circle":
        return kanerva.sdm(bits, locations, size, value_bits=64, seed=seed)
    if design == "selected":
        return kanerva.sdm_selected(bits, locations, size, value_bits=64, seed=seed)
    return kanerva.sdm_hyperplane(bits, locations, size, ones, value_bits=64, seed=seed)


def _keys(design: str, count: int, bits: int, ones: int, source: torch.Generator) -> Tensor:
    """Draw random keys, with few ones for the hyperplane design."""
    if design != "hyperplane":
        return bits_.random(count, bits, seed=source)
    order = torch.rand(count, bits, generator=source).argsort(-1)
    return torch.where(order < ones, 1.0, -1.0)


def _moved(design: str, keys: Tensor, distance: int, source: torch.Generator) -> Tensor:
    """Change so many bits of every key; in the hyperplane design as many ones go as come."""
    if design != "hyperplane":
        return bits_.flip(keys, distance, seed=source)
    order = torch.rand(keys.shape, generator=source)
    gone = (order + (keys < 0)).argsort(-1)[:, : distance // 2]
    come = (order + (keys > 0)).argsort(-1)[:, : distance // 2]
    return keys.scatter(-1, gone, -1.0).scatter(-1, come, 1.0)
