"""The capacity of memories for sparse codes: clipped sums, and the covariance rule."""

import math
import statistics
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from kanerva import theory
from kanerva._core import checks, machine
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["sparse_capacity", "wrong_share"]

MEMORIES = ("willshaw", "covariance")
# Numbers of patterns, as shares of the capacity.
LOADS = (0.25, 0.5, 0.8, 1.0, 1.5, 2.0)


def _checks() -> Iterator[Check]:
    clipped, rule = {"memory": "willshaw"}, {"memory": "covariance"}
    what = "{}: standard errors from measured to expected, at most"
    fill, wrong = "clipped sums, connections that are on", "clipped sums, wrong bits of a read"
    source = "1 - (1 - (k/n)^2)^M"
    yield Check(what.format(fill), "fill_deviation", 0, 4, source, clipped, "max")
    source = "inclusion and exclusion (Knoblauch 2008)"
    yield Check(what.format(wrong), "wrong_deviation", 0, 4, source, clipped, "max")
    source = "exact distribution of the crosstalk"
    wrong = "covariance rule, wrong bits of a read"
    yield Check(what.format(wrong), "wrong_deviation", 0, 4, source, rule, "max")
    replica = "capacity by the replica method"
    what = "covariance rule, overlap after recall at load {}"
    below, above = rule | {"load": 0.5}, rule | {"load": 2.0}
    yield Check(what.format("0.5, at least"), "overlap", 1, 0.05, replica, below)
    yield Check(what.format("2, at most"), "overlap", 0, 0.6, replica, above)


def _draw(rows: list[Row]) -> Any:
    titles = {"willshaw": "clipped sums", "covariance": "covariance rule"}
    long = [
        {
            "load": row["load"],
            "wrong": max(row[column], 1e-4),
            "line": label,
            "panel": titles[row["memory"]],
        }
        for row in rows
        for column, label in {"expected": "expected", "wrong": "measured"}.items()
    ]
    frame = plot.Frame(
        "Beyond the capacity, wrong bits grow quickly",
        "patterns stored, as a share of the capacity",
        "wrong bits of a read from an undamaged key",
        log="y",
        across=2,
    )
    return plot.lines(long, "load", "wrong", frame, by="line", panel="panel")


QUICK: tuple[Cell, ...] = (
    {"memory": "willshaw", "bits": 256, "ones": 8, "draws": 6},
    {"memory": "covariance", "bits": 320, "ones": 16, "draws": 6},
)
PAPER: tuple[Cell, ...] = (
    {"memory": "willshaw", "bits": 512, "ones": 9, "draws": 20},
    {"memory": "covariance", "bits": 1000, "ones": 50, "draws": 8},
)


@recipe(
    "sparse.capacity",
    "What memories for sparse codes hold",
    "willshaw1969",
    "and Tsodyks and Feigel'man 1988",
    quick=[cell for one in QUICK for cell in grid(**one)],
    paper=[cell for one in PAPER for cell in grid(**one)],
    checks=_checks(),
    draw=_draw,
)
def sparse_capacity(
    memory: Annotated[str, "willshaw: clipped sums; covariance: Hebb's rule less the activity"],
    bits: Annotated[int, "length n of keys and of values"],
    ones: Annotated[int, "number k of ones in each of them"],
    draws: Annotated[int, "memories over which means are taken, with random codes each"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store random codes with few ones, up to twice the capacity, and read them from their keys.

    The load is the number of patterns over the capacity: for clipped sums the number at which one
    wrong bit is expected in a value, if connections were independent; for the covariance rule that
    of the replica method. Codes with few ones let both memories hold more patterns than they have
    bits: a network for balanced bits holds 0.14 patterns for each bit.

    A memory of clipped sums never loses a one of an undamaged key, and its wrong bits are ones that
    are added. Their number, and the share of the connections that are on, are exact, and are met
    within the standard errors. There are more than the classical formula says, because the
    connections of one bit are not independent.

    The covariance rule makes errors of both kinds. Their number after one read follows from the
    exact distribution of the crosstalk, a sum over the other patterns, and is met within the
    standard errors, too; the crosstalk has heavier tails than Gaussian noise. A recall, which
    repeats the read, stays near the code below the capacity and leaves it above; in small networks
    the change is gradual.
    """
    import torch

    from kanerva.lab.papers.willshaw1969 import _codes

    checks.choice("memory", memory, MEMORIES)
    draws = checks.integer("draws", draws, 1)
    most = _capacity(memory, bits, ones)
    machine.fit("bits", 24 * bits**2 + 64 * bits * round(2 * most), str(bits), "give fewer")
    source = torch.Generator().manual_seed(seed)
    for load in LOADS:
        count = max(2, round(load * most))
        reads = [_codes.clean(memory, bits, ones, count, source) for _ in range(draws)]
        fills = [read.fill for read in reads if read.fill is not None]
        full = overlap = None
        if memory == "willshaw":
            expected = theory.capacity.spurious(bits, ones, count)
            full = theory.capacity.fill(bits, ones, count)
        else:
            expected = bits * wrong_share(bits, ones, count)
            ends = [_codes.overlap(bits, ones, count, source) for _ in range(draws)]
            overlap = statistics.fmean(ends)
        yield {
            "load": load,
            "patterns": count,
            "expected": expected,
            "wrong": statistics.fmean(read.wrong for read in reads),
            "wrong_deviation": _deviation([read.wrong for read in reads], expected),
            "recalled": statistics.fmean(read.recalled for read in reads),
            "fill": statistics.fmean(fills) if fills else None,
            "fill_deviation": None if full is None else _deviation(fills, full),
            "overlap": overlap,
        }


def _capacity(memory: str, bits: int, ones: int) -> float:
    """Return the number of patterns of load 1."""
    bits = checks.integer("bits", bits, 2, checks.BITS)
    ones = checks.integer("ones", ones, 1, min(bits - 1, 1000))
    if memory == "willshaw":
        return theory.capacity.willshaw(bits, ones).patterns
    return theory.capacity.covariance(bits, ones / bits)


def _deviation(found: list[float], expected: float) -> float | None:
    """Return how many standard errors a mean is away; None where there is no spread."""
    if len(found) < 2 or (spread := statistics.stdev(found)) == 0:
        return None
    return abs(statistics.fmean(found) - expected) / (spread / math.sqrt(len(found)))


def wrong_share(bits: int, ones: int, patterns: int) -> float:
    """Return the exact share of wrong bits in a read of the covariance rule from a key of k ones.

    The field of a unit is (v - f) (k - k^2 / n) for its own bit v, plus the same for each other
    pattern with the number of common ones in place of k, which is hypergeometric. The distribution
    of the sum is a power of a discrete Fourier transform, since n^2 times a term is an integer.

    Example:
        >>> round(wrong_share(400, 20, 787), 4)
        0.019
    """
    from scipy.stats import hypergeom

    f, span = ones / bits, np.arange(ones + 1)
    chance = hypergeom.pmf(span, bits, ones, ones)
    common = bits * span - ones * ones  # n times the score of another pattern
    terms = np.concatenate([(bits - ones) * common, -ones * common])
    weights = np.concatenate([f * chance, (1 - f) * chance])
    step = int(np.gcd.reduce(terms))
    terms = terms // step
    spread = math.sqrt((patterns - 1) * float(weights @ terms.astype(float) ** 2))
    size = 2 ** math.ceil(math.log2(40 * spread + 4 * int(np.abs(terms).max())))
    machine.fit("bits", 64 * size, f"{bits} with {ones} ones", "give a multiple of ones")
    one = np.bincount(terms % size, weights, size)
    sums = np.fft.irfft(np.fft.rfft(one) ** (patterns - 1), size)
    places = np.arange(size)
    noise = np.where(places < size // 2, places, places - size) * (step / bits**2)
    v, own = f * (1 - f), ones - ones * f
    level = bits * v * (0.5 - f) + patterns * v * v * math.log((1 - f) / f)
    missed = float(sums[noise + (1 - f) * own < level].sum())
    added = float(sums[noise - f * own >= level].sum())
    return f * missed + (1 - f) * added
