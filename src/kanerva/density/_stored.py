"""The density of a memory that stores rows."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanerva._engine.scores import Kept, part_of
from kanerva.bits import Packed
from kanerva.density._law import Law
from kanerva.memory._inputs import Given

__all__ = ["Stored"]


class Stored(Law):
    """A density around stored rows.

    Args:
        given: what is stored; its queries are not used.
        similarity: of the memory.
    """

    def __init__(self, given: Given, similarity: Any) -> None:
        self.given, self.similarity = given, similarity

    @property
    def empty(self) -> bool:
        """Whether no row is stored."""
        return len(self.given.keys) == 0

    def state(self) -> tuple[Any, ...] | None:
        """Return the rows, and what else the normaliser depends on."""
        keys, kept = self.given.keys, self.given.kept
        rows = keys.words if isinstance(keys, Packed) else keys
        prior = kept.prior if isinstance(kept, Kept) else None
        bias = kept.mask if isinstance(kept, Kept) else kept
        if bias is not None or rows.is_inference():
            return None  # nobody says when these change
        counts = None if prior is None else (prior.data_ptr(), prior._version)
        return rows, rows._version, counts, self.temperature

    def rows(self, places: Tensor) -> Tensor:
        """Return some stored rows in float64, unpacked."""
        part = part_of(self.given.keys, places)
        return (part[:] if isinstance(part, Packed) else part).double()

    def starts(self, count: int, source: np.random.Generator) -> Tensor:
        """Return stored rows, drawn with equal shares."""
        places = torch.from_numpy(source.integers(0, len(self.given.keys), count))
        return self.rows(places.to(self.given.rows.device))
