"""The memories of a restaurant while rows enter and leave, one after the other.

Rows are few numbers, for which the calls of NumPy take less time than those of torch. Every sum
over coordinates is that of one memory alone, so that the result does not depend on blocks of rows.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva.density._rule import State

__all__ = ["Seats", "refined_hard", "refined_soft"]

# A count below which a memory that shares its rows is empty.
EMPTY = 1e-9
# The largest change of a share in a sweep that changes nothing.
REST = 1e-9
TINY = float(np.finfo(np.float64).tiny)

Floats = NDArray[np.float64]
# The memory that holds a row, or how much of it each memory holds.
Place = Any


class Seats:
    """Means and counts in arrays with room for further memories.

    Args:
        rule: the ``Restaurant``.
        state: the memories that are there.
    """

    def __init__(self, rule: Any, state: State) -> None:
        self.born, self.dim = state.means.shape
        self.hard = rule.assign == "hard"
        self.discount, self.shrinkage = rule.discount, rule.shrinkage
        self.log_new, self.ratio = rule.log_new, rule.log_ratio(self.dim)
        self.slope, self.slope_new = -rule.kernel.beta / 2, -rule.unborn.beta / 2
        room = max(8, 2 * self.born)
        self.means, self.apart = np.zeros((room, self.dim)), np.empty((room, self.dim))
        self.counts, self.logs, self.terms = np.zeros(room), np.zeros(room), np.empty(room)
        self.means[: self.born] = state.means.cpu().numpy()
        self.counts[: self.born] = state.counts.cpu().numpy()
        self._weigh(slice(0, self.born))

    def state(self, like: Tensor) -> State:
        """Return what is stored, as tensors."""
        parts = (self.means[: self.born], self.counts[: self.born])
        return State(*(torch.tensor(part, device=like.device) for part in parts))

    def enter(self, row: Floats) -> tuple[int, Place]:
        """Assign a row; return the memory with the largest term, and where the row is held."""
        born, terms = self.born, self._terms(row)
        best = int(terms.argmax())
        if not terms[best] > -math.inf:
            got, do = "too far from every memory", "scale the data and sigma down"
            must = "such that squared distances over sigma^2 stay within float64"
            refuse("x", got=got, must=must, do=do)
        if best == born:
            self._insert(born)
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
        size = size if self.hard else size[:, None]
        self.means[at] += size * (row - self.means[at])
        self._weigh(at)

    def drop(self, place: int) -> None:
        """Remove a memory; those born after it move up."""
        for array in (self.means, self.counts, self.logs):
            array[place : self.born - 1] = array[place + 1 : self.born].copy()
        self.born -= 1

    def back(self, place: int) -> None:
        """Let the memory that was born last be born in another place."""
        for array in (self.means, self.counts, self.logs):
            array[place : self.born] = np.roll(array[place : self.born], 1, axis=0)

    def _insert(self, place: int) -> None:
        """Create a memory that holds nothing."""
        if place == len(self.counts):
            self.means = np.concatenate([self.means, np.zeros_like(self.means)])
            self.apart = np.empty_like(self.means)
            for name in ("counts", "logs", "terms"):
                setattr(self, name, np.resize(getattr(self, name), len(self.means)))
        self.means[place], self.counts[place] = 0.0, 0.0
        self.born += 1

    def _weigh(self, at: Any) -> None:
        """Keep the logarithms of what memories weigh."""
        if self.hard and not isinstance(at, slice):
            self.logs[at] = math.log(max(self.counts[at] - self.discount, TINY))
        else:
            self.logs[at] = np.log(np.maximum(self.counts[at] - self.discount, TINY))

    def _terms(self, row: Floats) -> Floats:
        """Return the terms of the memories and of the unborn one."""
        born = self.born
        terms = self.terms[: born + 1] if born < len(self.terms) else np.empty(born + 1)
        apart = self.apart[:born]
        with np.errstate(over="ignore"):
            np.subtract(self.means[:born], row, out=apart)
            np.multiply(apart, apart, out=apart)
            terms[:born] = apart.sum(-1)
            terms[:born] *= self.slope
            new = self.slope_new * float((row * row).sum())
        terms[:born] += self.logs[:born]
        terms[born] = self.log_new(born) + self.ratio + new
        return terms


def refined_hard(seats: Seats, rows: Floats, sweeps: int) -> list[int]:
    """Seat rows, then let each leave and enter again, until none changes its memory."""
    ids = np.array([seats.enter(row)[0] for row in rows], dtype=np.int64)
    for _ in range(sweeps):
        moved = False
        for index, row in enumerate(rows):
            before = int(ids[index])
            seats.take(row, before)
            alone = bool(seats.counts[before] < 0.5)
            if alone:
                seats.drop(before)
                ids[ids > before] -= 1
            found = seats.enter(row)[0]
            if alone and found == seats.born - 1 and seats.counts[found] == 1:
                # It created its own memory again, which keeps its place.
                seats.back(before)
                ids[ids >= before] += 1
                found = before
            elif alone or found != before:
                moved = True
            ids[index] = found
        if not moved:
            break
    return ids.tolist()


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
