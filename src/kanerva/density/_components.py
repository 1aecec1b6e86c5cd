"""The density of a mixture: a sum of kernels, one for each memory, and one for the unborn."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanerva.density._law import Law
from kanerva.density._rule import Rule, State

__all__ = ["Components"]


class Components(Law):
    """The density of the memories of a mixture.

    Args:
        rule: of the mixture.
        state: its memories as they are now.
        dim: length of a row.
    """

    def __init__(self, rule: Rule, state: State, dim: int) -> None:
        self.rule, self.memories, self.dim = rule, state, dim
        self.space, self.temperature = rule.kernel.space, 1 / rule.kernel.beta

    @property
    def empty(self) -> bool:
        """Whether there is no memory."""
        return len(self.memories.counts) == 0

    def log_weight(self, rows: Tensor) -> Tensor:
        """Return the logarithm of the sum of all terms."""
        return self._terms(rows).logsumexp(-1)

    def log_normaliser(self) -> float:
        """Return the logarithm of the integral of that sum."""
        return float(self.rule.log_masses(self.memories, self.dim).logsumexp(-1))

    def state(self) -> tuple[Any, ...]:
        """Return the memories; every change puts other tensors in their place."""
        return tuple(self.memories)

    def posterior(self, rows: Tensor) -> Tensor:
        """Return the share of each term."""
        return self._terms(rows).softmax(-1)

    def draw(self, count: int, source: np.random.Generator) -> Tensor:
        """Draw a memory, and then a point from its kernel."""
        masses = self.rule.log_masses(self.memories, self.dim)
        shares = masses.softmax(-1).cumsum(-1).cpu().numpy()
        places = np.searchsorted(shares, source.random(count) * shares[-1], side="right")
        return torch.from_numpy(self.rule.draw(self.memories, places, source))

    def _terms(self, rows: Tensor) -> Tensor:
        return self.rule.terms(self.rule.kernel.points("x", rows), self.memories)
