"""The relation of a hetero-associative register: its planes, and what a cue projects onto."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from torch import Tensor
from torch.nn import functional

from kanerva._core import arrays
from kanerva._core.settings import settings
from kanerva.entropic._histogram import histogram
from kanerva.entropic._register import entropies, means

__all__ = ["Counts", "Relation", "added", "entropy", "held", "omega"]

Counts = Shaped[Tensor, "columns value_columns levels value_levels"]
Levels = Int64[Tensor, "b columns"]
Known = Bool[Tensor, "b columns"]
Keys = tuple[Levels, Known]
Values = tuple[Int64[Tensor, "b value_columns"], Bool[Tensor, "b value_columns"]]
Plane = Float64[Tensor, "b value_columns value_levels"]

# Bytes of a number of a projection.
WIDE = 8


class Relation:
    """Counts of pairs of levels, thinned, and read from keys to values.

    Args:
        counts: ``(columns, value_columns, levels, value_levels)`` integers.
        least: ``(columns, value_columns)`` float64: cells with lower counts are empty, as cells
            with count 0 are; None where there are no others.
    """

    def __init__(
        self, counts: Counts, least: Float64[Tensor, "columns value_columns"] | None = None
    ) -> None:
        self.counts, self.least = counts, least
        self._table: Tensor | None = None

    @classmethod
    def thinned(cls, counts: Counts, iota: float) -> "Relation":
        """Return the relation without the cells below iota times the mean of their plane."""
        return cls(counts, iota * omega(counts) if iota > 0 else None)

    def turned(self) -> "Relation":
        """Return the relation read from values to keys."""
        least = None if self.least is None else self.least.T
        return Relation(self.counts.permute(1, 0, 3, 2), least)

    def rows(
        self, columns: Int64[Tensor, "*shape"], levels: Int64[Tensor, "*shape"]
    ) -> Float64[Tensor, "*shape cells"]:
        """Return the counts under a level of a column, over all cells of values.

        A cell that is empty is -inf, so that a sum over several columns is -inf, or NaN, as soon as
        one of them does not support it.
        """
        if self._table is not None:
            return self._table[columns * self.counts.shape[2] + levels]
        found = self.counts[columns, :, levels].double()
        empty = found <= 0
        if self.least is not None:
            empty = empty | (found < self.least[columns].unsqueeze(-1))
        return torch.where(empty, -torch.inf, found).flatten(-2)

    def tabulate(self, cues: int) -> None:
        """Keep the rows of every level, where there are enough cues and the budget holds them."""
        enough = cues > self.counts.shape[2] and self.counts.numel() * WIDE <= settings.budget
        if self._table is not None or not enough:
            return
        count = torch.arange(self.counts.shape[0] * self.counts.shape[2], device=self.counts.device)
        levels = self.counts.shape[2]
        self._table = self.rows(count // levels, count % levels)

    def project(self, levels: Levels, known: Known, weights: Float64[Tensor, "b columns"]) -> Plane:
        """Return the weighted sum of the counts under a cue, where every known column has some.

        A cue is summed column after column, however many cues there are.
        """
        columns, values, _, width = self.counts.shape
        if not arrays.tracing():
            self.tabulate(len(levels))
        size = max(1, settings.budget // (WIDE * values * width * (columns + 2)))
        cut = (torch.split(part, size) for part in (levels, known, weights))
        parts = [self._summed(*some) for some in zip(*cut, strict=True)]
        return torch.cat(parts).reshape(len(levels), values, width)

    def _summed(self, levels: Tensor, known: Tensor, weights: Tensor) -> Tensor:
        """Return sums over known columns; 0 where one of these is empty."""
        place = torch.arange(levels.shape[1], device=levels.device).expand(levels.shape)
        if arrays.tracing():
            rows = self.rows(place, levels)
            some = torch.where(known.unsqueeze(-1), weights.unsqueeze(-1) * rows, 0.0)
            found = some.sum(-2)
        else:
            table = self._table
            if table is None:
                table = self.rows(place, levels).flatten(0, 1)
                index = torch.arange(levels.numel(), device=levels.device).reshape(levels.shape)
            else:
                index = place * self.counts.shape[2] + levels
            start = known.sum(-1).cumsum(0) - known.sum(-1)
            found = functional.embedding_bag(
                index[known], table, start, mode="sum", per_sample_weights=weights[known]
            )
        return torch.where(found > 0, found, 0.0)  # NaN is 0 times -inf


def added(
    counts: Counts,
    keys: Keys,
    values: Values,
    times: int = 1,
) -> Int64[Tensor, "columns value_columns levels value_levels"]:
    """Return counts with one more, or one less, in the cell of every pair of known levels."""
    whole = counts.to(torch.int64, copy=True)
    flat = whole.view(-1)
    for place, seen in _cells(counts, keys, values):
        # What is not known is counted behind the last cell.
        if arrays.tracing() or not bool(seen.all()):
            place = torch.where(seen, place, len(flat))
        flat.add_(histogram(place.reshape(-1), len(flat) + 1)[:-1], alpha=times)
    return whole


def held(
    counts: Counts, keys: Keys, values: Values
) -> Iterator[tuple[Int64[Tensor, "b pairs"], Bool[Tensor, "b pairs"]]]:
    """Yield the counts of the cells of a few pairs at a time, and which pairs are known."""
    flat = counts.reshape(-1)
    for place, seen in _cells(counts, keys, values):
        yield flat[place].long(), seen


def _cells(counts: Counts, keys: Keys, values: Values) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the places of the cells of a few pairs at a time, and which pairs are known."""
    columns, others, levels, width = counts.shape
    size = max(1, settings.budget // (4 * WIDE * columns * others))
    plane = torch.arange(columns * others, device=counts.device).reshape(columns, others)
    cut = (torch.split(part, size) for part in (*keys, *values))
    for own, seen, other, shown in zip(*cut, strict=True):
        place = (plane * levels + own.unsqueeze(-1)) * width + other.unsqueeze(-2)
        yield place.flatten(1), (seen.unsqueeze(-1) & shown.unsqueeze(-2)).flatten(1)


def _planes(counts: Counts) -> Iterator[Shaped[Tensor, "cells planes"]]:
    """Yield the planes of a few columns of keys at a time, a column for each plane."""
    size = max(1, settings.budget // (4 * WIDE * counts[0].numel()))
    for part in torch.split(counts, size):
        yield part.reshape(-1, part.shape[2] * part.shape[3]).T


def omega(counts: Counts) -> Float64[Tensor, "columns value_columns"]:
    """Return the mean count of the cells of each plane that are not 0; 0 without these."""
    found = torch.cat([means(part) for part in _planes(counts)])
    return found.reshape(counts.shape[:2])


def entropy(counts: Counts) -> Float64[Tensor, "columns value_columns"]:
    """Return the joint entropy of each plane in bits; 0 for one without counts."""
    found = torch.cat([entropies(part) for part in _planes(counts)])
    return found.reshape(counts.shape[:2])
