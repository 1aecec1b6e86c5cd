"""Whether a vector lies in a cone, for many cones at once, by the simplex method.

The cone of rows a_1 to a_k is the set of all sums of them with weights >= 0. A linear threshold
function with the signs y_i at the points x_i takes the sign y at x in every realisation, if and
only if y x lies in the cone of the y_i x_i (lemma of Farkas).
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64

__all__ = ["contained"]

# All numbers are ratios of small integers, far from this one unless they are 0.
TINY = 1e-9
LARGE = np.iinfo(np.int64).max


def contained(
    rows: Float64[np.ndarray, "batch rows dim"], signs: Float64[np.ndarray, "batch dim"]
) -> Bool[np.ndarray, "batch"]:
    """Return which vectors of signs are sums of the rows with weights >= 0.

    The first phase of the simplex method minimises the sum of the slacks of the equations. After as
    many steps as usually suffice it takes the rule of Bland, which ends for every input.

    Args:
        rows: generators of the cones; rows of zeros have no effect.
        signs: -1 or +1.
    """
    batch, count, dim = rows.shape
    found = np.zeros(batch, dtype=bool)
    left = np.arange(batch)
    # Equations are multiplied by their right-hand side, so that all slacks begin at 1. The last
    # row is the sum of the slacks, and the last column holds the values.
    table = np.empty((batch, dim + 1, count + 1))
    table[:, :dim, :count] = (rows * signs[:, None, :]).transpose(0, 2, 1)
    table[:, :dim, count] = 1.0
    table[:, dim] = table[:, :dim].sum(axis=1)
    # The variable of each equation: a column, or -1 for its slack.
    basis = np.full((batch, dim), -1)
    step = 0
    while len(left):
        gains = table[:, dim, :count]
        inside = table[:, dim, count] < TINY
        found[left[inside]] = True
        kept = ~inside & (gains > TINY).any(axis=1)
        if not kept.all():
            table, basis, left = table[kept], basis[kept], left[kept]
        if len(left):
            _pivot(table, basis, bland=step > 2 * dim)
        step += 1
    return found


def _pivot(
    table: Float64[np.ndarray, "batch equations columns"],
    basis: Int64[np.ndarray, "batch dim"],
    bland: bool,
) -> None:
    """Exchange one variable of every basis."""
    batch, dim, count = len(table), basis.shape[1], table.shape[2] - 1
    each = np.arange(batch)
    gains = table[:, dim, :count]
    enter = (gains > TINY).argmax(axis=1) if bland else gains.argmax(axis=1)
    column = table[each, :, enter]
    body, values = column[:, :dim], table[:, :dim, count]
    positive = body > TINY
    ratios = np.where(positive, values / np.where(positive, body, 1.0), np.inf)
    tied = ratios <= ratios.min(axis=1, keepdims=True) + TINY
    # Among equal ratios a slack leaves first, and else the first column.
    leave = np.where(tied, basis, LARGE).argmin(axis=1)
    row = table[each, leave] / column[each, leave][:, None]
    table -= column[:, :, None] * row[:, None, :]
    table[each, leave] = row
    basis[each, leave] = enter


def separable(
    rows: Float64[np.ndarray, "batch points dim"],
) -> Bool[np.ndarray, "batch"]:
    """Return for which batches some weights have a positive product with every row of -1 and +1."""
    found = np.zeros(len(rows), dtype=bool)
    possible = np.arange(len(rows))
    for place in range(1, rows.shape[1]):
        mine = rows[possible]
        # The rows before this one force the other sign.
        possible = possible[~contained(mine[:, :place], -mine[:, place])]
    found[possible] = True
    return found
