"""Queries that carry more than a vector: which coordinates are known, and a temperature.

A similarity of the engine compares rows of queries with keys, and cuts the queries as it likes.
What belongs to one query is therefore appended to its row, and a similarity that wraps the plain
one takes it from there. Every route reads such queries; none has to be told of them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from kanerva._engine.scores import compare, wide
from kanerva.similarity import Similarity, declared

__all__ = ["Cue", "partly", "scaled"]


class Cue(NamedTuple):
    """Rows of queries, and the similarity that compares them with keys.

    Attributes:
        rows: ``(b, d')``, the vectors, and what was appended to each.
        similarity: takes these rows, and keys ``(m, d)``.
    """

    rows: Tensor
    similarity: Similarity


def partly(cue: Cue, known: Tensor) -> Cue:
    """Compare known coordinates ``(b, d)`` alone; what stands in the others does not matter."""
    rows = torch.where(known, cue.rows, 0.0)
    return Cue(torch.cat((rows, known.to(rows.dtype)), -1), _Partly(cue.similarity))


def scaled(cue: Cue, betas: Tensor) -> Cue:
    """Multiply the scores of each query by its own inverse temperature, of ``(b,)``."""
    rows = cue.rows.to(wide(cue.rows.dtype))
    return Cue(torch.cat((rows, betas.to(rows).unsqueeze(-1)), -1), _Scaled(cue.similarity))


@dataclass(frozen=True)
class _Partly:
    """Scores of rows ``(query, known)`` by the known coordinates."""

    similarity: Similarity

    def __call__(self, query: Tensor, keys: Tensor) -> Tensor:
        """Compare the known coordinates with those of the keys."""
        return self.unchecked(query, keys)

    def unchecked(self, query: Tensor, keys: Tensor) -> Tensor:
        """Compare the known coordinates with those of the keys."""
        vectors, known = query.tensor_split(2, -1)
        score: Tensor = declared(self.similarity, "partly")(vectors, known, keys)
        return score

    def regulariser(self, query: Tensor) -> Tensor:
        """Return R of the known coordinates."""
        size: Tensor = declared(self.similarity, "regulariser")(query.tensor_split(2, -1)[0])
        return size


@dataclass(frozen=True)
class _Scaled:
    """Scores of rows ``(query, beta)``, times beta."""

    similarity: Similarity

    def __call__(self, query: Tensor, keys: Tensor) -> Tensor:
        """Compare queries with keys, and scale the scores."""
        return self.unchecked(query, keys)

    def unchecked(self, query: Tensor, keys: Tensor) -> Tensor:
        """Compare queries with keys, and scale the scores."""
        return query[..., -1:] * compare(query[..., :-1], keys, self.similarity)

    def regulariser(self, query: Tensor) -> Tensor:
        """Return R, times beta."""
        size: Tensor = declared(self.similarity, "regulariser")(query[..., :-1])
        return query[..., -1] * size
