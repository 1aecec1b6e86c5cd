"""Values of a projection: drawn, tested by projecting them back, and improved step by step."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kanerva import bits
from kanerva._core.settings import settings
from kanerva._engine.draws import chances, pick
from kanerva.entropic._projection import WIDE, Relation

__all__ = ["Cue", "at", "best", "distances", "drawn", "improved"]

Levels = Int64[Tensor, "b columns"]
Plane = Float64[Tensor, "b value_columns value_levels"]

# Draws that repeat are drawn again, up to this many times as many as there are to be.
ROUNDS = 8
# So many moves of a search are tried at a time, of as many cues as a cache of these bytes holds.
BLOCK, NEAR = 16, 2**24


class Cue(NamedTuple):
    """Cues, what they project onto, and their hashes.

    Attributes:
        levels: ``(b, columns)`` int64.
        known: ``(b, columns)`` bool.
        plane: ``(b, value_columns, value_levels)`` the projection.
        hashed: ``(b,)`` int64, of cue and seed.
    """

    levels: Int64[Tensor, "b columns"]
    known: Bool[Tensor, "b columns"]
    plane: Plane
    hashed: Int64[Tensor, "b"]

    def of(self, places: Tensor) -> "Cue":
        """Take some of the cues."""
        return Cue(*(part[places] for part in self))


def drawn(cue: Cue, which: Int64[Tensor, "draws"]) -> Int64[Tensor, "draws b value_columns"]:
    """Draw a level for each column of values in proportion to the projection; -1 where it is 0."""
    count, columns, width = cue.plane.shape
    chance = chances(cue.hashed, which, torch.arange(1, columns + 1, device=which.device))
    row = torch.arange(count * columns, device=which.device).reshape(count, columns)
    table = cue.plane.cumsum(-1).reshape(-1, width)
    return pick(table, row.expand(chance.shape), chance)


def distances(
    back: Relation,
    values: tuple[Tensor, Tensor],
    weights: Float64[Tensor, "b value_columns"],
    levels: Levels,
    known: Bool[Tensor, "b columns"],
) -> Float64[Tensor, "b"]:
    """Return the mean squared distance, in levels, of cues from what values project back onto.

    Args:
        back: the relation from values to keys.
        values: ``(b, value_columns)`` levels, and which of them are known.
        weights: how much each column of the values counts.
        levels: of the cues.
        known: which columns of the cues are known; one or more.
    """
    return _away(back.project(*values, weights), levels, known)


def _away(
    plane: Float64[Tensor, "*b columns levels"], levels: Levels, known: Bool[Tensor, "b columns"]
) -> Float64[Tensor, "*b"]:
    """Return the mean squared distance of cues from planes of their columns.

    Dimensions of the planes between the first and the last two are several planes of one cue.
    """
    own = levels.reshape(len(levels), *(1,) * (plane.ndim - 3), levels.shape[1])
    seen = known.reshape(own.shape).to(plane.dtype)
    width = plane.shape[-1]
    gap = torch.arange(width, device=plane.device) - own.unsqueeze(-1)
    mass = plane.sum(-1)
    spread = (gap.square() * plane).sum(-1) / torch.where(mass > 0, mass, 1.0)
    spread = torch.where(mass > 0, spread, float((width - 1) ** 2))
    return (seen * spread).sum(-1) / seen.sum(-1)


def at(plane: Plane, values: Levels) -> Float64[Tensor, "b value_columns"]:
    """Return the projection at the cells of values."""
    return plane.gather(-1, values.unsqueeze(-1)).squeeze(-1)


def best(back: Relation, cue: Cue, tries: int) -> Int64[Tensor, "b value_columns"]:
    """Draw ``tries`` further values that differ, and return those nearest to each cue.

    The first of several at the same distance is taken. All cues must be accepted.
    """
    count, (columns, _) = tries + 1, cue.plane.shape[1:]
    back.tabulate(len(cue.hashed) * count)
    heavy = 4 * max(columns * ROUNDS, back.counts.shape[1] * back.counts.shape[3])
    size = max(1, settings.budget // (WIDE * count * heavy))
    parts = torch.split(torch.arange(len(cue.hashed), device=cue.hashed.device), size)
    found = [_tested(back, cue.of(part), count) for part in parts]
    return torch.cat(found) if found else cue.levels.new_zeros(0, columns)


def _tested(back: Relation, cue: Cue, count: int) -> Int64[Tensor, "b value_columns"]:
    values, fresh = _distinct(cue, count)
    weights = cue.plane.gather(-1, values.transpose(1, 2)).transpose(1, 2)
    row, column = fresh.nonzero(as_tuple=True)
    some = values[row, column]
    away = torch.full(fresh.shape, torch.inf, dtype=torch.float64, device=row.device)
    parts = (some, torch.ones_like(some, dtype=torch.bool)), weights[row, column]
    away[row, column] = distances(back, *parts, cue.levels[row], cue.known[row])
    nearest = away.argmin(-1)  # the first one
    return values[torch.arange(len(nearest), device=row.device), nearest]


def _distinct(cue: Cue, count: int) -> tuple[Tensor, Bool[Tensor, "b draws"]]:
    """Draw values ``(b, draws, value_columns)``, and return which are the first that differ."""
    possible = (cue.plane > 0).sum(-1).double().prod(-1)  # inf for very many
    wanted = possible.clamp(max=count)
    values = torch.zeros(len(wanted), 0, cue.plane.shape[1], dtype=torch.int64).to(wanted.device)
    for turn in range(ROUNDS):
        which = torch.arange(1 + turn * count, 1 + (turn + 1) * count, device=wanted.device)
        values = torch.cat([values, drawn(cue, which).transpose(0, 1)], 1)
        hashed, order = torch.sort(bits.fingerprint(values, 0), dim=-1, stable=True)
        first = torch.ones_like(hashed, dtype=torch.bool)
        first[:, 1:] = hashed[:, 1:] != hashed[:, :-1]
        fresh = torch.zeros_like(first).scatter(-1, order, first)
        if bool((fresh.sum(-1) >= wanted).all()):
            break
    return values, fresh & (fresh.cumsum(-1) <= count)


def improved(
    back: Relation, cue: Cue, start: Int64[Tensor, "b value_columns"]
) -> Int64[Tensor, "b value_columns"]:
    """Move values by one level in one column, as long as that brings them nearer to the cue.

    The moves of a step come in random order, and the first one that improves is taken. Distances
    fall strictly, so that no values are visited twice.
    """
    columns, cells = start.shape[1], back.counts.shape[1] * back.counts.shape[3]
    back.tabulate(3 * columns * len(start))
    size = max(1, min(settings.budget, NEAR) // (WIDE * cells * (8 * BLOCK + 2 * columns)))
    parts = torch.split(torch.arange(len(start), device=start.device), size)
    found = [_Climb(back, cue.of(part), start[part]).ended() for part in parts]
    return torch.cat(found) if found else start


class _Climb:
    """Values of a few cues on their way, with the next moves to try of each.

    Args:
        back: the relation from values to keys.
        cue: of each value.
        start: ``(b, value_columns)`` levels.
    """

    def __init__(self, back: Relation, cue: Cue, start: Levels) -> None:
        self.back, self.cue, self.values = back, cue, start.clone()
        count, columns = start.shape
        whole = start, torch.ones_like(start, dtype=torch.bool)
        self.away = distances(back, whole, at(cue.plane, start), cue.levels, cue.known)
        cells = back.counts.shape[1] * back.counts.shape[3]
        # Sums of counts, and how many columns of values do not support a cell of keys.
        self.total = torch.zeros(count, cells, dtype=torch.float64, device=start.device)
        self.gaps = torch.zeros(count, cells, dtype=torch.int64, device=start.device)
        self.step, self.next = (torch.zeros_like(cue.hashed) for _ in range(2))
        length = -(-2 * columns // BLOCK) * BLOCK
        self.order = torch.full((count, length), -1, dtype=torch.int64, device=start.device)
        self._arrive(torch.arange(count, device=start.device))

    def ended(self) -> Levels:
        """Move on until no move improves."""
        active = torch.arange(len(self.values), device=self.values.device)
        while len(active):
            place = self.next[active].unsqueeze(-1) + torch.arange(BLOCK, device=active.device)
            moves = self.order[active].gather(-1, place)
            away = self._tried(active, moves)
            better = away < self.away[active].unsqueeze(-1)
            first, found = better.int().argmax(-1, keepdim=True), better.any(-1)
            some, move = active[found], moves.gather(-1, first)[found, 0]
            self.values[some, move // 2] += 2 * (move % 2) - 1
            self.away[some] = away.gather(-1, first)[found, 0]
            self._arrive(some)
            self.next[active[~found]] += BLOCK
            active = active[self.next[active] < self.order.shape[1]]
        return self.values

    def _arrive(self, some: Int64[Tensor, "moved"]) -> None:
        """Sum the counts of new values up, and put their moves into another random order."""
        columns = self.values.shape[1]
        values, cue = self.values[some], self.cue.of(some)
        rows = self.back.rows(
            torch.arange(columns, device=some.device).expand(values.shape), values
        )
        empty = rows.isinf()
        weights = at(cue.plane, values).unsqueeze(-1)
        self.total[some] = torch.where(empty, 0.0, rows * weights).sum(1)
        self.gaps[some] = empty.sum(1)
        self.step[some] += 1
        self.next[some] = 0
        # Another stream of numbers than that of the draws.
        hashed = bits.mix(cue.hashed + self.step[some] * bits.GOLDEN)
        place = torch.arange(1, 2 * columns + 1, device=some.device)
        order = chances(hashed, torch.ones_like(place[:1]), place)[0]
        self.order[some, : 2 * columns] = torch.argsort(order, dim=-1, stable=True)

    def _tried(
        self, some: Int64[Tensor, "b"], moves: Int64[Tensor, "b moves"]
    ) -> Float64[Tensor, "b moves"]:
        """Return the distance after each move; inf for one onto a cell that is not projected.

        Move 2 j is one level down in column j, move 2 j + 1 one level up, and -1 is none.
        """
        cue, width = self.cue.of(some), self.cue.plane.shape[-1]
        column = moves.clamp(min=0) // 2
        old = self.values[some].gather(-1, column)
        new = old + 2 * (moves % 2) - 1
        there = (moves >= 0) & (new >= 0) & (new < width)
        new = new.clamp(0, width - 1)
        row = torch.arange(len(some), device=some.device).unsqueeze(-1)
        before, after = (cue.plane[row, column, level].unsqueeze(-1) for level in (old, new))
        rows = self.back.rows(column, old)
        empty = rows.isinf()
        left = self.total[some].unsqueeze(1) - torch.where(empty, 0.0, rows * before)
        sums = left + self.back.rows(column, new) * after
        alive = (self.gaps[some].unsqueeze(1) <= empty) & (sums > 0)
        plane = torch.where(alive, sums, 0.0).reshape(*moves.shape, *self.back.counts.shape[1::2])
        away = _away(plane, cue.levels, cue.known)
        return torch.where(there & (after.squeeze(-1) > 0), away, torch.inf)
