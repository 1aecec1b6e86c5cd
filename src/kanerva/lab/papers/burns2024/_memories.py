"""Memories of patterns on a graph, and means over pairs of them by their distance."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import networkx
import torch
from torch import Tensor

import kanerva
from kanerva import correlated
from kanerva._core import checks
from kanerva.lab import data
from kanerva.lab.papers.burns2024 import _pictures

__all__ = ["VARIANCE", "by_distance", "change", "faces", "linked", "matches", "ring", "uniform"]

VARIANCE = 1 / 12  # of numbers that are uniform from 0 to 1


def ring(count: int, argument: str = "memories") -> Any:
    """Return a ring of so many memories, each linked to two."""
    return networkx.cycle_graph(checks.integer(argument, count, 3, 10**4))


def uniform(count: int, neurons: int, source: torch.Generator) -> Tensor:
    """Draw patterns ``(count, neurons)`` with entries that are uniform from 0 to 1."""
    neurons = checks.integer("neurons", neurons, 2)
    with checks.room("neurons", str(neurons), 64 * count * neurons):
        return torch.rand(count, neurons, generator=source, dtype=torch.float64)


def linked(patterns: Tensor, graph: Any, beta: float, **how: Any) -> correlated.Linked:
    """Store patterns that are linked by a graph whose edges all have the same strength."""
    memory = kanerva.cdam(patterns.shape[1], beta, dtype=torch.float64, **how)
    memory.write(patterns)
    memory.connect(graph)
    return memory


def by_distance(matrix: Tensor, graph: Any, count: int) -> list[float | None]:
    """Return the means of a matrix at the distances 0, 1, ... up to count, None beyond a graph."""
    means: list[float | None] = [float(matrix.diagonal().mean())]
    means += [one.mean for one in correlated.by_distance(matrix, graph)]
    return [*means, *[None] * count][: count + 1]


def change(means: Sequence[float | None], least: float = 0.0) -> int:
    """Return the smallest distance at which a mean is below the least; their number if none is."""
    found = (place for place, mean in enumerate(means) if mean is not None and mean < least)
    return next(found, len(means))


class Matches(NamedTuple):
    """The pattern that each state is most like.

    * ``same``: the share of states whose own pattern it is.
    * ``beside``: the share whose own pattern it is, or one linked to it.
    """

    same: float
    beside: float


def matches(overlaps: Tensor, graph: Any) -> Matches:
    """Compare the best match of each state, by row, with the pattern of its start."""
    best = overlaps.argmax(-1).tolist()
    near = [place == one or graph.has_edge(place, one) for place, one in enumerate(best)]
    same = sum(place == one for place, one in enumerate(best))
    return Matches(same / len(best), sum(near) / len(best))


def faces(count: int, neurons: int, source: torch.Generator) -> Tensor:
    """Return photographs of faces in a random order, less their mean and of length 1."""
    found = data.load("faces").real.double()
    checks.integer("neurons", neurons, found.shape[1], found.shape[1])
    count = checks.integer("items", count, 2, len(found))
    return _pictures.centred(found[torch.randperm(count, generator=source)])
