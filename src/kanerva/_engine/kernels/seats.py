"""A kernel that lets rows join the memories of a restaurant, one after the other.

Every number is that of NumPy, bit for bit: sums have the same order, and nothing is contracted.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanerva._engine.kernels.compile import ordered

TINY = float(np.finfo(np.float64).tiny)


@ordered
def _move(
    place: int,
    sign: float,
    row: NDArray[np.float64],
    means: NDArray[np.float64],
    counts: NDArray[np.float64],
    logs: NDArray[np.float64],
    discount: float,
    shrinkage: float,
) -> None:
    """Put a row into a memory, or take it out where ``sign`` is -1."""
    counts[place] += sign
    size = sign / (counts[place] + shrinkage)
    for column in range(len(row)):
        means[column, place] += size * (row[column] - means[column, place])
    logs[place] = math.log(max(counts[place] - discount, TINY))


@ordered
def join(
    first: int,
    rows: NDArray[np.float64],
    ids: NDArray[np.int64],
    means: NDArray[np.float64],
    counts: NDArray[np.float64],
    logs: NDArray[np.float64],
    rule: Any,
) -> tuple[int, bool]:
    """Let rows leave their memories, if any, and join those with the largest terms.

    It ends before a row that would leave its memory empty, and at a row for which no memory that is
    there has the largest term; that row has left its memory, and its place is -1.

    Args:
        first: the row at which to begin.
        rows: ``(n, d)``.
        ids: ``(n,)`` the memory of each row, or -1; changed in place, as are the next three.
        means: ``(d, room)``, of which the memory that is not created yet has the mean 0.
        counts: ``(room,)``.
        logs: ``(room,)`` logarithms of what the memories weigh.
        rule: how many memories there are; the factors of squared distances, also that of the memory
            that is not created yet; the discount; the shrinkage.

    Returns:
        the row at which it ended, n for none; whether a row joined another memory.
    """
    born, slope, slope_new, discount, shrinkage = rule
    terms, moved = np.empty(born + 1), False
    for index in range(first, len(rows)):
        row, before = rows[index], ids[index]
        if before >= 0:
            if counts[before] < 1.5:
                return index, moved
            _move(before, -1.0, row, means, counts, logs, discount, shrinkage)
        # Sums of all memories side by side are vectorised, although each keeps its order.
        terms[:] = 0.0
        for column in range(len(row)):
            line, x = means[column], row[column]
            for place in range(born + 1):
                gap = line[place] - x
                terms[place] += gap * gap
        best, top = -1, -np.inf
        for place in range(born):
            term = terms[place] * slope + logs[place]
            if term > top:
                best, top = place, term
        if best < 0 or terms[born] * slope_new + logs[born] > top:
            ids[index] = -1
            return index, moved
        _move(best, 1.0, row, means, counts, logs, discount, shrinkage)
        moved |= best != before
        ids[index] = best
    return len(rows), moved
