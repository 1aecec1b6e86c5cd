"""How many patterns a memory holds: recall against the number of patterns stored."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kanerva.lab.data import DataSet
from kanerva.lab.memories import Entry
from kanerva.lab.recall._coded import Coded
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._scorer import Scorer
from kanerva.lab.recall._store import fill, settled
from kanerva.lab.recall._trials import Cues
from kanerva.memory import Associative

__all__ = ["LEAST", "Holds", "baseline", "capacity", "sizes"]

# The least number of patterns that are stored.
LEAST = 4
# The bisection ends where its two numbers differ by this share.
FINE = 1 / 16

Share = Callable[[Cues, int], float]


class Holds(NamedTuple):
    """How many patterns a memory holds.

    Attributes:
        rows: a dict for each number of patterns and seed: ``stored``, ``seed``, and ``exact``, the
            share of cues recalled exactly.
        holds: the largest number of which the share asked for is recalled, over all seeds; 0 where
            even the least number tried is too large.
        low, high: the least and the largest that single seeds give, of the numbers tried.
    """

    rows: list[dict[str, Any]]
    holds: int
    low: int
    high: int


def sizes(count: int) -> list[int]:
    """Return the numbers of patterns that are tried: 4, 8, 16, ... and all.

    Example:
        >>> from kanerva.lab.recall._capacity import sizes
        >>> sizes(26)
        [4, 8, 16, 26]
    """
    found = [LEAST]
    while 2 * found[-1] < count:
        found.append(2 * found[-1])
    return [*found, count] if count > found[-1] else [count]


def capacity(
    memory: Associative, entry: Entry, coded: Coded, data: DataSet, plan: Plan, cues: Sequence[Cues]
) -> Holds:
    """Measure how many patterns a memory holds; it is empty before and after.

    Random subsets of each size are stored, each of which holds the smaller ones, and cues at one
    level of damage are recalled. Between the largest size that is held and the next, the number is
    found by bisection.

    Args:
        memory: with its parameters, which stay the same for all sizes.
        entry: of the memory.
        coded: the data in one code.
        data: the data.
        plan: the share of cues, and the steps of a recall.
        cues: those of each seed.
    """
    seed: int | None = None
    kept = 0

    def share(some: Cues, stored: int) -> float:
        nonlocal seed, kept
        # Further patterns of one order are added to those that are stored.
        if entry.fill is not None or some.seed != seed or stored < kept:
            memory.clear()
            kept = 0
        fill(memory, entry, coded, data, some.order[kept:stored])
        seed, kept = some.seed, stored
        trial = some.of(stored)
        recalled = settled(memory, coded.cue(trial), plan.steps).state
        return coded.scorer.exact(recalled, trial.chosen)

    found = _measured(share, len(coded.x), plan, cues)
    memory.clear()
    return found


def baseline(coded: Coded, plan: Plan, cues: Sequence[Cues]) -> Holds:
    """Measure of how many patterns the nearest one is found, as ``capacity`` does."""

    def share(some: Cues, stored: int) -> float:
        trial = some.of(stored)
        # In the order of the data: the first of equally near patterns is taken, and those that are
        # damaged come first in the order of storing.
        among = coded.x[some.order[:stored].sort().values]
        scorer = Scorer(among, None, coded.domain, span=coded.scorer.span)
        nearest = scorer.nearest(coded.cue(trial))
        return coded.scorer.exact(among[nearest], trial.chosen)

    return _measured(share, len(coded.x), plan, cues)


def _measured(share: Share, count: int, plan: Plan, cues: Sequence[Cues]) -> Holds:
    """Measure the shares at every size and seed, and the number that is held."""
    shares: dict[int, list[float]] = {}
    for some in cues:
        for size in sizes(count):
            shares.setdefault(size, []).append(share(some, size))
    rows = [
        {"stored": size, "seed": some.seed, "exact": one}
        for size, found in shares.items()
        for some, one in zip(cues, found, strict=True)
    ]

    def mean(size: int) -> float:
        if size not in shares:
            shares[size] = [share(some, size) for some in cues]
        return statistics.fmean(shares[size])

    holds = _bisected(sizes(count), plan.share, mean)
    each = [
        max((size for size, found in shares.items() if found[place] >= plan.share), default=0)
        for place in range(len(cues))
    ]
    return Holds(rows, holds, min(*each, holds), max(*each, holds))


def _bisected(tried: Sequence[int], least: float, share: Callable[[int], float]) -> int:
    """Return the largest number of patterns of which the least share is recalled."""
    good = [size for size in tried if share(size) >= least]
    if not good:
        return 0
    low = max(good)
    high = min((size for size in tried if size > low), default=low)
    while high - low > max(1, FINE * low):
        middle = (low + high) // 2
        low, high = (middle, high) if share(middle) >= least else (low, middle)
    return low
