r"""Densities that are sums of kernels whose integrals are known.

.. math:: p(x) = \frac{\sum_i \pi_i K(x, k_i)}{\sum_i \pi_i \int K(x, k_i)\, dx}
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva._engine import routes
from kanerva._engine.scores import Kept, chunks
from kanerva.density._kinds import Kind
from kanerva.density._law import directed
from kanerva.density._stored import Stored
from kanerva.memory._inputs import Given

__all__ = ["Closed"]


class Closed(Stored):
    """The density of stored rows, each of which is the centre of one kernel.

    Args:
        given: what is stored; its queries are not used.
        similarity: of the memory.
        kind: of the kernels.
    """

    def __init__(self, given: Given, similarity: Any, kind: Kind) -> None:
        super().__init__(given, similarity)
        self.kind, self.space, self.temperature = kind, kind.space, kind.temperature

    def log_weight(self, rows: Tensor) -> Tensor:
        """Return the logarithm of the sum of kernels, less the regulariser over T."""
        return self._level(rows, self.given.kept)

    def _level(self, rows: Tensor, kept: Any) -> Tensor:
        found = -routes.energy(rows, self.given.keys, self.similarity, self.kind.rule, kept)
        # The energy above holds the regulariser once, not once over T.
        size = routes.regulariser(self.similarity)(rows)
        return found + (1 - 1 / self.temperature) * size

    def log_normaliser(self) -> float:
        """Return the logarithm of the sum of the integrals of all kernels."""
        return float(self._masses().logsumexp(0))

    def posterior(self, rows: Tensor) -> Tensor:
        """Return the share of each kernel."""
        parts = (self.given.keys, self.similarity, self.kind.rule)
        cut = chunks(rows, len(self.given.keys), self.given.kept)
        return torch.cat([routes.weights(some, *parts, kept) for some, kept in cut])

    def leave_one_out(self, places: Tensor | None = None) -> Tensor:
        """Return the log density of some stored rows, or of all, each under all others."""
        masses, found = self._masses(), []
        count = len(masses)
        if count < 2:
            refuse("memory", got=f"{count} row", must="of two rows or more", do="write more rows")
        total = torch.stack((_before(masses), _before(masses.flip(0)).flip(0))).logsumexp(0)
        prior = self._counts().exp()
        every = torch.arange(count, device=prior.device) if places is None else places
        for part, _ in chunks(every.unsqueeze(-1), count):
            some = part.squeeze(-1)
            others = prior.expand(len(some), -1).clone()
            others[torch.arange(len(some)), some] = 0.0
            found.append(self._level(self.rows(some), Kept(None, others)) - total[some])
        return torch.cat(found)

    def draw(self, count: int, source: np.random.Generator) -> Tensor:
        """Draw a stored row, and then a point from its kernel."""
        shares = self._masses().softmax(0).cumsum(0).cpu().numpy()
        places = np.searchsorted(shares, source.random(count) * shares[-1], side="right")
        rows = self.rows(torch.from_numpy(places).to(self.given.rows.device))
        if self.space == "sphere":
            rows = torch.nn.functional.normalize(rows, dim=-1, eps=0.0)
        return torch.from_numpy(self.kind.draw(source, rows.cpu().numpy()))

    def _counts(self) -> Tensor:
        """Return the logarithm ``(m,)`` of how often each row counts."""
        kept, count = self.given.kept, len(self.given.keys)
        logs = self.given.rows.new_zeros(count)
        bias = kept.mask if isinstance(kept, Kept) else kept
        if bias is not None:
            if not self.kind.biased:
                got, do = "one with a bias of the keys", "give priors to write instead"
                refuse("memory", got=got, must="without bias, for this rule", do=do)
            logs = logs + bias[0].double() / self.temperature
        return logs + kept.prior[0].log() if isinstance(kept, Kept) else logs

    def _masses(self) -> Tensor:
        """Return the logarithm ``(m,)`` of the integral of each kernel, as often as it counts."""
        logs = self._counts() + self.kind.log_integral()
        if self.kind.scaled:
            logs = logs + _sizes(self.given.keys) / 2 / self.temperature
        if self.space == "sphere":
            directed("memory", self.given.keys)
        return logs


def _sizes(keys: Tensor) -> Tensor:
    """Return the squared lengths of keys."""
    return torch.cat([part.double().square().sum(-1) for part, _ in chunks(keys, keys.shape[1])])


def _before(masses: Tensor) -> Tensor:
    """Return the logarithm of the sum of all masses before each."""
    first = masses.new_full((1,), -math.inf)
    return torch.cat((first, masses.logcumsumexp(0)[:-1]))
