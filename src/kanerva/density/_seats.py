"""The memories of a restaurant while rows enter and leave, one after the other.

Rows are few numbers, for which the calls of NumPy take less time than those of torch; numba, where
it is installed, seats rows that create no memory. Both sum over coordinates in their order, so that
they agree in every bit, and the result does not depend on blocks of rows.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva._engine import tiles
from kanerva.density._rule import State

__all__ = ["Seats", "refined_hard", "refined_soft"]

# A count below which a memory that shares its rows is empty.
EMPTY = 1e-9
# The largest change of a share in a sweep that changes nothing.
REST = 1e-9
TINY = float(np.finfo(np.float64).tiny)

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
# The memory that holds a row, or how much of it each memory holds.
Place = Any


class Seats:
    """Means and counts in arrays with room for further memories.

    The place after the memories that are there is that of the unborn one, whose mean is 0.

    Args:
        rule: the ``Restaurant``.
        state: the memories that are there.
    """

    def __init__(self, rule: Any, state: State) -> None:
        self.born, self.dim = state.means.shape
        self.hard = rule.assign == "hard"
        self.compiled = tiles.kernels(state.means) if self.hard else None
        self.discount, self.shrinkage = rule.discount, rule.shrinkage
        self.log_new, self.ratio = rule.log_new, rule.log_ratio(self.dim)
        self.slope, self.slope_new = -rule.kernel.beta / 2, -rule.unborn.beta / 2
        room = max(8, 2 * self.born)
        # Columns are memories, so that one call of NumPy adds a coordinate of all of them.
        self.means, self.counts, self.logs = np.zeros((self.dim, room)), *np.zeros((2, room))
        self.means[:, : self.born] = state.means.cpu().numpy().T
        self.counts[: self.born] = state.counts.cpu().numpy()
        self._weigh(slice(0, self.born))
        self._expect()

    def state(self, like: Tensor) -> State:
        """Return what is stored, as tensors."""
        parts = (self.means[:, : self.born].T.copy(), self.counts[: self.born])
        return State(*(torch.tensor(part, device=like.device) for part in parts))

    def join(self, first: int, rows: Floats, ids: Ids) -> tuple[int, bool]:
        """Seat rows by numba, if chosen, up to one that creates or empties a memory.

        Return this row, and whether a row before it changed its memory.
        """
        if self.compiled is None:
            return first, False
        rule = (self.born, self.slope, self.slope_new, self.discount, self.shrinkage)
        return self.compiled.join(first, rows, ids, self.means, self.counts, self.logs, rule)

    def enter(self, row: Floats) -> tuple[int, Place]:
        """Assign a row; return the memory with the largest term, and where the row is held."""
        born, terms = self.born, self._terms(row)
        best = int(terms.argmax())
        if not terms[best] > -math.inf:
            got, do = "too far from every memory", "scale the data and sigma down"
            must = "such that squared distances over sigma^2 stay within float64"
            refuse("x", got=got, must=must, do=do)
        if best == born:
            self.born += 1
            self._expect()
        if self.hard:
            self.put(row, best)
            return best, best
        # Where no memory is created, the share of the unborn one is left to the others.
        shares = np.exp(terms[: max(born, best + 1)] - terms[best])
        shares /= shares.sum()
        self.put(row, shares)
        return best, shares

    def put(self, row: Floats, place: Place) -> None:
        """Let memories hold a row."""
        self._move(row, place, 1.0)

    def take(self, row: Floats, place: Place) -> None:
        """Take a row out of the memories that hold it."""
        self._move(row, place, -1.0)

    def _move(self, row: Floats, place: Place, sign: float) -> None:
        at, share = (place, 1.0) if self.hard else (slice(0, len(place)), place)
        self.counts[at] += sign * share
        size = sign * share / (self.counts[at] + self.shrinkage)
        row = row if self.hard else row[:, None]
        self.means[:, at] += size * (row - self.means[:, at])
        self._weigh(at)

    def drop(self, place: int) -> None:
        """Remove a memory; those born after it move up."""
        for array in (self.means, self.counts, self.logs):
            array[..., place : self.born - 1] = array[..., place + 1 : self.born].copy()
        self.born -= 1
        self._expect()

    def back(self, place: int) -> None:
        """Let the memory that was born last be born in another place."""
        for array in (self.means, self.counts, self.logs):
            array[..., place : self.born] = np.roll(array[..., place : self.born], 1, axis=-1)

    def _expect(self) -> None:
        """Prepare the place of the memory that is not created yet."""
        born = self.born
        if born == len(self.counts):
            for name in ("means", "counts", "logs"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.zeros_like(array)], -1))
        self.means[:, born], self.counts[born] = 0.0, 0.0
        self.logs[born] = self.log_new(born) + self.ratio
        self.apart = np.empty((self.dim, born + 1))

    def _weigh(self, at: Any) -> None:
        """Keep the logarithms of what memories weigh."""
        left = np.maximum(self.counts[at] - self.discount, TINY)
        # The logarithms of NumPy and of the C library, which numba calls, may differ in a bit.
        if not self.hard:
            self.logs[at] = np.log(left)
        elif isinstance(at, slice):
            self.logs[at] = [math.log(one) for one in left.tolist()]
        else:
            self.logs[at] = math.log(left)

    def _terms(self, row: Floats) -> Floats:
        """Return the terms of the memories and of the unborn one."""
        born, apart = self.born, self.apart
        with np.errstate(over="ignore"):
            np.subtract(self.means[:, : born + 1], row[:, None], out=apart)
            np.multiply(apart, apart, out=apart)
            # NumPy adds one coordinate after the other where there are two memories or more. It may
            # choose another order for the unborn one alone, which is compared with nothing.
            terms: Floats = apart.sum(0)
        terms[:born] *= self.slope
        terms[born] *= self.slope_new
        terms += self.logs[: born + 1]
        return terms


def refined_hard(seats: Seats, rows: Floats, sweeps: int) -> list[int]:
    """Seat rows, then let each leave and enter again, until none changes its memory."""
    ids = np.full(len(rows), -1)
    for _ in range(1 + sweeps):
        moved, index = False, 0
        while True:
            index, joined = seats.join(index, rows, ids)
            moved |= joined
            if index == len(rows):
                break
            moved |= _reseated(seats, rows[index], index, ids)
            index += 1
        if not moved:
            break
    return ids.tolist()


def _reseated(seats: Seats, row: Floats, index: int, ids: Ids) -> bool:
    """Let a row leave its memory, if any, and enter; return whether that changes its memory."""
    before, alone = int(ids[index]), False
    if before >= 0:
        seats.take(row, before)
        alone = bool(seats.counts[before] < 0.5)
    if alone:
        seats.drop(before)
        ids[ids > before] -= 1
    found = seats.enter(row)[0]
    again = alone and found == seats.born - 1 and seats.counts[found] == 1
    if again:
        # It created its own memory again, which keeps its place.
        seats.back(before)
        ids[ids >= before] += 1
        found = before
    ids[index] = found
    return not again and (alone or found != before)


def refined_soft(seats: Seats, rows: Floats, sweeps: int) -> list[int]:
    """Seat rows, then let each leave and enter again, until no share changes."""
    entered = [seats.enter(row) for row in rows]
    ids, places = [one for one, _ in entered], [place for _, place in entered]
    for _ in range(sweeps):
        moved = 0.0
        for index, row in enumerate(rows):
            before = places[index]
            seats.take(row, before)
            for empty in np.flatnonzero(seats.counts[: seats.born] < EMPTY)[::-1].tolist():
                seats.drop(empty)
                places = [np.delete(one, empty) if empty < len(one) else one for one in places]
            ids[index], places[index] = seats.enter(row)
            size = max(len(before), len(places[index]))
            change = _padded(places[index], size) - _padded(before, size)
            moved = max(moved, float(np.abs(change).max()))
        if moved <= REST:
            break
    return [int(_padded(place, seats.born).argmax()) for place in places]


def _padded(shares: Floats, size: int) -> Floats:
    return np.pad(shares, (0, size - len(shares)))
