"""Truth tables as integers: bit i is the output at point i of the cube, and symmetries move bits.

The points are those of ``itertools.product((-1, 1), repeat=n)``, so the last variable changes
fastest. A signed permutation exchanges variables and changes their signs. It permutes the points,
and so the bits of a table, by shifts and masks.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt

__all__ = [
    "closed",
    "dtype",
    "every",
    "exchange",
    "flags",
    "full",
    "generators",
    "listed",
    "monomials",
    "negate",
    "opposite",
    "orbits",
    "parity",
]

Move = Callable[[UInt[np.ndarray, "count"]], UInt[np.ndarray, "count"]]


def dtype(n: int) -> type[np.unsignedinteger]:
    """Return the narrowest unsigned integers that hold a table of n variables, n <= 6."""
    kinds: dict[int, type[np.unsignedinteger]] = {8: np.uint8, 16: np.uint16, 32: np.uint32}
    return kinds.get(max(8, 2**n), np.uint64)


def full(n: int) -> int:
    """Return the table of the constant 1."""
    return 2 ** (2**n) - 1


def every(n: int) -> UInt[np.ndarray, "count"]:
    """Return the tables of all functions of n variables, n <= 4."""
    return np.arange(2 ** (2**n), dtype=np.uint32).astype(dtype(n))


def listed(flags: Bool[np.ndarray, "count"], n: int) -> UInt[np.ndarray, "listed"]:
    """Return the tables whose flags are set, in order."""
    return np.flatnonzero(flags).astype(dtype(n))


def flags(tables: UInt[np.ndarray, "listed"], n: int) -> Bool[np.ndarray, "count"]:
    """Return a flag for each function of n variables, n <= 4: whether it is in the list."""
    found = np.zeros(2 ** (2**n), dtype=bool)
    found[tables] = True
    return found


@lru_cache(maxsize=32)
def monomials(n: int, degree: int) -> Float64[np.ndarray, "points features"]:
    """Return the products of at most ``degree`` different variables at all points, 1 first."""
    points = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
    columns = [
        points[:, list(chosen)].prod(axis=1)
        for size in range(degree + 1)
        for chosen in itertools.combinations(range(n), size)
    ]
    return np.stack(columns, axis=1)


def parity(n: int) -> int:
    """Return the table of the product of all variables."""
    signs = (math.prod(point) for point in itertools.product((-1, 1), repeat=n))
    return sum(1 << i for i, sign in enumerate(signs) if sign > 0)


def _mask(n: int, wanted: Callable[[int], bool]) -> int:
    return sum(1 << i for i in range(2**n) if wanted(i))


@lru_cache(maxsize=64)
def negate(n: int, variable: int) -> Move:
    """Return the move of tables that changes the sign of a variable."""
    kind, step = dtype(n), 2 ** (n - 1 - variable)
    low, shift = kind(_mask(n, lambda i: not i & step)), kind(step)

    def move(tables: UInt[np.ndarray, "count"]) -> UInt[np.ndarray, "count"]:
        return ((tables & low) << shift) | ((tables >> shift) & low)

    return move


@lru_cache(maxsize=64)
def exchange(n: int, first: int, second: int) -> Move:
    """Return the move of tables that exchanges two variables, the first one before the second."""
    kind = dtype(n)
    high, low = 2 ** (n - 1 - first), 2 ** (n - 1 - second)
    mask, shift = kind(_mask(n, lambda i: not i & high and bool(i & low))), kind(high - low)

    def move(tables: UInt[np.ndarray, "count"]) -> UInt[np.ndarray, "count"]:
        changed = (tables ^ (tables >> shift)) & mask
        return tables ^ (changed | (changed << shift))

    return move


def generators(n: int, kept: int = 0) -> Iterator[Move]:
    """Return moves, each its own inverse, that generate all signed permutations.

    The first ``kept`` variables stay at their places.
    """
    yield from (negate(n, variable) for variable in range(min(kept + 1, n)))
    yield from (exchange(n, place, place + 1) for place in range(kept, n - 1))


def opposite(tables: UInt[np.ndarray, "count"], n: int) -> UInt[np.ndarray, "count"]:
    """Return the tables of x -> f(-x)."""
    for variable in range(n):
        tables = negate(n, variable)(tables)
    return tables


def orbits(
    tables: UInt[np.ndarray, "count"], n: int, *, complement: bool = False, kept: int = 0
) -> tuple[UInt[np.ndarray, "classes"], Int64[np.ndarray, "classes"]] | None:
    """Return the least table of each class under signed permutations, and the sizes of the classes.

    Args:
        tables: different tables in ascending order.
        n: number of variables.
        complement: functions with all outputs changed are in the same class.
        kept: how many of the first variables stay at their places.

    Returns:
        the least tables in ascending order, and how many tables their classes have; None where the
        list lacks a table of one of the classes.
    """
    if not len(tables):
        return tables, np.zeros(0, dtype=np.int64)
    moves = [*generators(n, kept)]
    if complement:
        moves.append(lambda some: ~some & dtype(n)(full(n)))
    places = []
    for move in moves:
        moved = move(tables)
        place = np.minimum(np.searchsorted(tables, moved), len(tables) - 1)
        if (tables[place] != moved).any():
            return None
        places.append(place)
    least = np.arange(len(tables))
    while True:
        before = least
        for place in places:
            least = np.minimum(least, least[place])
        if (least == before).all():
            break
    members, sizes = np.unique(least, return_counts=True)
    return tables[members], sizes.astype(np.int64)


def closed(found: Bool[np.ndarray, "count"], n: int) -> Bool[np.ndarray, "count"]:
    """Add all signed permutations of the functions of n <= 4 inputs whose flags are set."""
    everything = every(n)
    moved = [move(everything) for move in generators(n)]
    while True:
        before = found
        for places in moved:
            found = found | found[places]
        if (found == before).all():
            return found
