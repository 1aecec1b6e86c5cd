"""The density of a memory that stores rows."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanerva._engine.scores import Kept, part_of
from kanerva.bits import Packed
from kanerva.density._kinds import number
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
        # The tensor itself is held, so that its place cannot be given to another.
        counts = (None, 0) if prior is None else (prior._base, prior.data_ptr())
        changing = [part for part in (rows, prior) if part is not None]
        if bias is not None or any(part.is_inference() for part in changing):
            return None  # nobody says when these change
        versions = tuple(part._version for part in changing)
        beta = self.given.rule.temperature()
        scale = None if beta is None else number(beta)
        return rows, *counts, versions, scale, self.temperature

    def rows(self, places: Tensor) -> Tensor:
        """Return some stored rows in float64, unpacked."""
        part = part_of(self.given.keys, places)
        return (part[:] if isinstance(part, Packed) else part).double()

    def starts(self, count: int, source: np.random.Generator) -> Tensor:
        """Return stored rows, drawn with equal shares; on the cube random vectors.

        Of these, only such that the density is not zero.
        """
        device = self.given.rows.device
        places = torch.from_numpy(source.integers(0, len(self.given.keys), count))
        stored = self.rows(places.to(device))
        if self.space != "cube":
            return stored
        drawn = torch.from_numpy(source.choice((-1.0, 1.0), tuple(stored.shape))).to(device)
        return torch.where((self.log_weight(drawn) > -math.inf).unsqueeze(-1), drawn, stored)
