"""Estimates of numbers of threshold functions by populations of dichotomies."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.quarks.capacity import _cones, _request, _tables

__all__ = ["Estimate", "estimate"]

# The most inputs, and the most products of inputs, of which the time grows with the third power.
INPUTS, FEATURES = 10, 100
# Dichotomies that are kept at once in all runs.
LARGEST = 10**5
# Numbers of a table of the simplex method: 16 MB.
NUMBERS = 2**21
GROWTH = 8


class Estimate(NamedTuple):
    """An estimate of a number of functions.

    * ``count``: the estimate, which is unbiased.
    * ``error``: its standard error, from the differences of the runs.
    * ``bits``: the logarithm of the estimate to base 2.
    """

    count: float  # type: ignore[assignment]  # tuple.count is of no use here
    error: float
    bits: float


class Population(NamedTuple):
    """Dichotomies of the first points, those of all runs one after the other.

    * ``run``: the run of each.
    * ``rows``: generators of the cone of the points times their signs, zeros at the end. Signs that
      the points before force are sums of the others, and are left out.
    * ``used``: the number of generators.
    """

    run: Int64[np.ndarray, "members"]
    rows: Float64[np.ndarray, "members rows features"]
    used: Int64[np.ndarray, "members"]


@door
def estimate(
    inputs: int, degree: int = 1, width: int = 50, runs: int = 10, seed: int = 0
) -> Estimate:
    r"""Return an unbiased estimate of the number of threshold functions of a degree.

    A population of dichotomies walks along the points of the cube. At each point a dichotomy has
    two children where both signs can be realised there. Else the sign at that point is forced, that
    is, it follows from the signs before, and there is one child. A linear program finds which.
    Where there are more children than ``width``, so many of them are drawn without replacement,
    each with the same probability. With c_t children of p_t parents the estimate of a run is

    .. math:: 2 \prod_t \frac{c_t}{p_t}

    Its expectation is the number of functions: the number of dichotomies of all points below a set
    of dichotomies is the sum of those below the children, and a draw keeps its mean. If no draw is
    made, the estimate is exact. The distribution of runs is skewed: most are too small, and a few
    are much too large. So the mean of few runs is more often below the number than above it, and
    its error is then too small as well. For linear units of at most 5 inputs that hardly matters.
    With 20 runs of width 100 the estimates of 6 to 9 inputs were 2.3 to 3.2 of their errors below
    the number, 0.2 to 0.7 bits. A larger width reduces that more than further runs do. Where forced
    signs are so rare that no run meets one, the estimate is 2^(2^n) with an error of 0, although
    some functions are missing, as at n = 5 with degree 3.

    Args:
        inputs: number n of inputs, 1 to 10.
        degree: of the polynomials, >= 1. A degree above n is taken as n, with a ``UserWarning``.
            There may be at most 100 products of at most so many inputs.
        width: the largest number of dichotomies in a run, >= 1.
        runs: number of runs, >= 2; the estimate is their mean. ``width * runs`` is at most 100,000.
        seed: an integer >= 0. The same seed gives the same estimate.

    Returns:
        the estimate, its standard error, and the logarithm of the estimate. The logarithm of an
        unbiased estimate is on average too small.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> from kanerva.quarks.capacity import count, estimate
        >>> found = estimate(5, width=100)
        >>> abs(found.count - count("threshold", 5)) < 3 * found.error
        True
        >>> estimate(3, width=200).error < 1e-9  # all 104 dichotomies are kept
        True

    Source:
        the estimate of the size of a tree by a walk of Knuth (1975), Estimating the efficiency of
        backtrack programs, with a population in place of a single path.
    """
    n = checks.integer("inputs", inputs, 1, INPUTS, f"give at most {INPUTS}, or use bounds")
    degree = _request.clipped(degree, n)
    width = checks.integer("width", width, 1, LARGEST)
    runs = checks.integer("runs", runs, 2, LARGEST)
    seed = checks.integer("seed", seed, 0)
    if width * runs > LARGEST:
        got, must = f"{width} in each of {runs} runs", f"at most {LARGEST} in all runs"
        refuse("width", must=must, got=got, do="give a smaller width or fewer runs")
    size = sum(math.comb(n, k) for k in range(degree + 1))
    if size > FEATURES:
        got = f"{degree}, with {size} products of inputs"
        must = f"such that there are at most {FEATURES} products"
        refuse("degree", must=must, got=got, do="give a smaller degree, or use bounds")
    logs = _walks(_tables.monomials(n, degree), width, runs, seed)
    counts = np.exp2(logs)
    mean = float(counts.mean())
    error = float(counts.std(ddof=1)) / math.sqrt(runs)
    return Estimate(mean, error, math.log2(mean))


def _walks(
    points: Float64[np.ndarray, "points features"], width: int, runs: int, seed: int
) -> Float64[np.ndarray, "runs"]:
    """Return the logarithm of the estimate of each run to base 2."""
    sources = [np.random.default_rng([seed, run]) for run in range(runs)]
    first = np.broadcast_to(points[0], (runs, 1, points.shape[1]))
    found = Population(np.arange(runs), first.copy(), np.ones(runs, dtype=np.int64))
    # The other sign of the first point doubles the number.
    logs = np.ones(runs)
    for point in points[1:]:
        free = _free(found.rows, point)
        # Children in the order of their parents; a sign of 0 is one that is forced.
        parents = np.repeat(np.arange(len(free)), 1 + free)
        signs = np.where(free[parents], 1.0, 0.0)
        signs[1:][parents[1:] == parents[:-1]] = -1.0
        ends = np.searchsorted(found.run[parents], np.arange(runs + 1))
        before = np.searchsorted(found.run, np.arange(runs + 1))
        logs += np.log2(np.diff(ends) / np.diff(before))
        kept = np.concatenate(
            [_drawn(int(ends[run]), int(ends[run + 1]), width, sources[run]) for run in range(runs)]
        )
        found = _grown(found, parents[kept], signs[kept], point)
    return logs


def _drawn(
    start: int, end: int, width: int, source: np.random.Generator
) -> Int64[np.ndarray, "kept"]:
    """Return all places from a start to an end, or so many of them."""
    if end - start <= width:
        return np.arange(start, end)
    return start + np.sort(source.choice(end - start, width, replace=False))


def _free(
    rows: Float64[np.ndarray, "members rows features"], point: Float64[np.ndarray, "features"]
) -> Bool[np.ndarray, "members"]:
    """Return which dichotomies can take both signs at a point."""
    step = max(1, NUMBERS // (rows.shape[1] * rows.shape[2]))
    found = np.ones(len(rows), dtype=bool)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        for sign in (point, -point):
            signs = np.broadcast_to(sign, (len(some), len(point)))
            found[start : start + step] &= ~_cones.contained(some, signs)
    return found


def _grown(
    found: Population,
    parents: Int64[np.ndarray, "children"],
    signs: Float64[np.ndarray, "children"],
    point: Float64[np.ndarray, "features"],
) -> Population:
    """Return the children that were kept, with the point among the generators where it is free."""
    rows, used = found.rows[parents], found.used[parents]
    new = np.flatnonzero(signs)
    if len(new) and used[new].max() == rows.shape[1]:
        more = np.zeros((len(rows), GROWTH, rows.shape[2]))
        rows = np.concatenate([rows, more], axis=1)
    rows[new, used[new]] = signs[new, None] * point
    used[new] += 1
    return Population(found.run[parents], rows, used)
