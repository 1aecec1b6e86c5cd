"""Boltzmann's distribution of any memory with an energy."""

from typing import Any

from torch import Tensor

from kanerva._core.errors import refuse
from kanerva._engine import routes
from kanerva.density import _cube
from kanerva.density._stored import Stored
from kanerva.memory._inputs import Given

__all__ = ["Boltzmann"]


class Boltzmann(Stored):
    """exp(-E / T), normalised by a sum over all vectors where these are few.

    Args:
        given: what is stored; its queries are not used.
        similarity: of the memory.
        space: where its queries live.
        temperature: T.
    """

    def __init__(self, given: Given, similarity: Any, space: str, temperature: float) -> None:
        super().__init__(given, similarity)
        self.space, self.temperature = space, temperature

    def log_weight(self, rows: Tensor) -> Tensor:
        """Return -E(x) / T."""
        parts = (self.given.keys, self.similarity, self.given.rule, self.given.kept)
        return -routes.energy(rows, *parts) / self.temperature

    def log_normaliser(self) -> float:
        """Return the logarithm of the sum over all -1/+1 vectors, where these are few."""
        if self.space != "cube":
            must = "a density whose normaliser is known"
            do = "take closeness, dot or manhattan with Softmax or Compact, or compare energies"
            refuse("memory", got=f"one with {self.given.rule}", must=must, do=do)
        return _cube.log_sum(self.log_weight, self.given.rows.shape[1])
