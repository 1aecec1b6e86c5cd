"""Threshold functions of n inputs: linear ones by their weights, polynomial ones by points.

A linear threshold function is the sign of w_0 + w_1 x_1 + ... + w_n x_n. With a further variable
x_0 = 1 it is the half of an odd function of n + 1 variables, so the bias is one of the weights.
"""

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64, UInt

from kanerva.quarks.capacity import _cones, _tables

__all__ = ["MOST", "classes", "count", "packed", "realised", "tables"]

# The largest number of inputs whose linear functions are counted; the weights of the next reach 76.
MOST = 7
ROWS = 2**15


class Classes(NamedTuple):
    """Linear threshold functions, one of each class under signed permutations of all weights.

    * ``weights``: the weights of a member, bias first, in descending order and >= 0.
    * ``chow``: the sums of its outputs times each variable, in the same order.
    """

    weights: Int64[np.ndarray, "classes weights"]
    chow: Int64[np.ndarray, "classes weights"]


def _descending(length: int, top: int) -> Int8[np.ndarray, "count length"]:
    """Return all sequences top >= w_0 >= w_1 >= ... >= 0, in the order of their first entries."""
    found = np.arange(top + 1, dtype=np.int8)[:, None]
    for _ in range(length - 1):
        ends = np.searchsorted(found[:, 0], np.arange(top + 1), side="right")
        parts = [
            np.column_stack([np.full(end, first, dtype=np.int8), found[:end]])
            for first, end in enumerate(ends)
        ]
        found = np.concatenate(parts)
    return found


def _candidates(n: int) -> Iterator[Int8[np.ndarray, "count weights"]]:
    """Return integer weights that realise every class.

    The weights w that realise a function y by y_i (w x_i) >= 1 at all points x_i form a polyhedron
    with a vertex, where n + 1 of these inequalities are equations. By Cramer's rule the coordinates
    of the vertex are quotients of determinants of order n + 1 with entries -1 and +1. These are
    multiples of 2^n, and at most (n + 1)^((n + 1) / 2) by Hadamard's inequality. So there are
    integer weights of at most that number divided by 2^n.

    If the sum of the weights is even, every w x is even and not 0, so that a weight can be made
    smaller by 1 without a change of sign. Therefore an odd sum suffices, where no w x is 0.
    """
    top = math.isqrt((n + 1) ** (n + 1) // 4**n)
    if n < MOST:
        weights = _descending(n + 1, top)
        yield weights[weights.sum(axis=1) % 2 == 1]
        return
    tails = _descending(n - 1, top)
    ends = np.searchsorted(tails[:, 0], np.arange(top + 1), side="right")
    for first, second in _descending(2, top):
        for start in range(0, ends[second], ROWS):
            tail = tails[start : min(start + ROWS, ends[second])]
            tail = tail[(tail.sum(axis=1) + first + second) % 2 == 1]
            head = np.array([first, second], dtype=np.int8)
            yield np.column_stack([np.broadcast_to(head, (len(tail), 2)), tail])


@lru_cache(maxsize=MOST)
def classes(n: int) -> Classes:
    """Return the classes of n inputs, n <= 7.

    The sums of Chow determine a linear threshold function, and they are in descending order where
    the weights are. So two different tuples of sums belong to different classes.
    """
    points = _tables.monomials(n, 1).astype(np.float32)
    found: dict[int, Any] = {}
    # A byte for each sum, since they are at most 2^n.
    places = np.arange(0, 8 * (n + 1), 8, dtype=np.uint64)
    for weights in _candidates(n):
        for start in range(0, len(weights), ROWS):
            some = weights[start : start + ROWS]
            # Every number is an integer below 2^24, so that float32 is exact.
            outputs = np.sign(some.astype(np.float32) @ points.T)
            sums = (outputs @ points).astype(np.uint64)
            keys, firsts = np.unique((sums << places).sum(axis=1), return_index=True)
            for key, first in zip(keys.tolist(), firsts, strict=True):
                if key not in found:
                    found[key] = some[first].astype(np.int64)
    ordered = sorted(found)
    chow = np.array([[key >> int(place) & 255 for place in places] for key in ordered])
    return Classes(np.array([found[key] for key in ordered]), chow)


def count(n: int) -> int:
    """Return the number of linear threshold functions of n inputs, n <= 7, by classes."""
    total = 0
    for sums in classes(n).chow:
        size = math.factorial(n + 1) * 2 ** int(np.count_nonzero(sums))
        for repeated in np.unique(sums, return_counts=True)[1]:
            size //= math.factorial(int(repeated))
        total += size
    return total


@lru_cache(maxsize=16)
def tables(n: int, degree: int) -> UInt[np.ndarray, "count"]:
    """Return the threshold functions of n inputs and a degree, in ascending order.

    Degree 1 is listed for n <= 5, others for n <= 4.
    """
    if degree >= n:
        found = _tables.every(n)
    elif degree == n - 1:
        odd = _tables.parity(n)
        found = np.setdiff1d(_tables.every(n), np.array([odd, _tables.full(n) ^ odd]))
    elif degree == 1:
        found = _linear(n)
    else:
        found = _polynomial(n, degree)
    found = found.astype(_tables.dtype(n))
    found.setflags(write=False)
    return found


def _linear(n: int) -> UInt[np.ndarray, "count"]:
    """Expand the classes: all orders and signs of the weights."""
    points = _tables.monomials(n, 1)
    found = []
    for weights, sums in zip(*classes(n), strict=True):
        # Where two sums are equal, the function does not change if these variables are exchanged,
        # and their weights can be replaced by the mean; where a sum is 0, by 0.
        even = np.array([weights[sums == one].mean() if one else 0.0 for one in sums])
        orders = np.array(sorted(set(itertools.permutations(even))))
        signs = np.array(list(itertools.product((-1, 1), repeat=n + 1)))
        for order in orders:
            mine = np.unique(signs * order, axis=0) if (order == 0).any() else signs * order
            found.append(packed(mine @ points.T))
    return np.sort(np.concatenate(found))


def packed(activations: Float64[np.ndarray, "count points"]) -> UInt[np.ndarray, "count"]:
    """Turn activations at all points into tables."""
    powers = 2 ** np.arange(activations.shape[1], dtype=np.uint64)
    return ((activations > 0) * powers).sum(axis=1, dtype=np.uint64)


def _polynomial(n: int, degree: int) -> UInt[np.ndarray, "count"]:
    """Test one function of each class, and expand the classes of those that can be realised."""
    everything = _tables.every(n)
    found = _tables.orbits(everything, n, complement=True)
    assert found is not None, "all functions are a closed set"
    least, _ = found
    kept = least[realised(least, _tables.monomials(n, degree))]
    inside = _tables.flags(kept, n)
    inside |= inside[::-1]  # complements
    return _tables.listed(_tables.closed(inside, n), n)


def realised(
    tables: UInt[np.ndarray, "count"], features: Float64[np.ndarray, "points features"]
) -> Bool[np.ndarray, "count"]:
    """Return which tables are the signs of sums of the features, features of -1 and +1."""
    places = np.arange(len(features), dtype=np.uint64)
    outputs = (tables[:, None].astype(np.uint64) >> places) & np.uint64(1)
    return _cones.separable(np.where(outputs[:, :, None] == 1, features, -features))
