r"""Densities that are sums of kernels whose integrals are known.

.. math:: p(x) = \frac{\sum_i \pi_i K(x, k_i)}{\sum_i \pi_i \int K(x, k_i)\, dx}
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva._engine import routes
from kanerva._engine.scores import Kept, chunks, mask_of
from kanerva.density._digits import lost
from kanerva.density._kinds import Kind
from kanerva.density._law import directed, directions
from kanerva.density._stored import Stored
from kanerva.memory._inputs import Given
from kanerva.similarity import declared

__all__ = ["Closed"]

# Length below which a row has the cosine 0 to every other.
SHORT = 1e-12


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

    def slope(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logarithm and its gradient: where it is the shift of a read, by a read."""
        if not self.kind.shifts:
            return super().slope(rows)

        def read(some: Tensor, kept: Any, similarity: Any) -> Tensor:
            keys = self.given.keys
            return routes.field(some, keys, keys, similarity, self.given.rule, kept).value

        with torch.no_grad():
            shift = self._exactly(read, rows, self.given.kept) - rows
            return self.log_weight(rows), shift / self.temperature

    def _level(self, rows: Tensor, kept: Any) -> Tensor:
        def level(some: Tensor, kept: Any, similarity: Any) -> Tensor:
            found = routes.potential(some, self.given.keys, similarity, self.kind.rule, kept)
            return found - routes.regulariser(similarity)(some) / self.temperature

        return self._exactly(level, rows, kept)

    def _exactly(self, work: Callable[..., Tensor], rows: Tensor, kept: Any) -> Tensor:
        """Work on rows and their mask, by differences where scores by products lose digits."""
        found = work(rows, kept, self.similarity)
        exact = declared(self.similarity, "exact")
        if exact is None or self.space != "real":
            return found
        again = lost(rows, self.given.keys, 1 / self.temperature)
        if len(again) == 0:
            return found
        return found.index_put((again,), work(rows[again], mask_of(kept, again), exact))

    def log_normaliser(self) -> float:
        """Return the logarithm of the sum of the integrals of all kernels."""
        return float(self._masses().logsumexp(0))

    def posterior(self, rows: Tensor) -> Tensor:
        """Return the share of each kernel."""

        def weights(some: Tensor, kept: Any, similarity: Any) -> Tensor:
            return routes.weights(some, self.given.keys, similarity, self.kind.rule, kept)

        cut = chunks(rows, len(self.given.keys), self.given.kept)
        return torch.cat([self._exactly(weights, some, kept) for some, kept in cut])

    def leave_one_out(self, places: Tensor | None = None) -> Tensor:
        """Return the log density of some stored rows, or of all, each under all others."""
        masses, found = self._masses(), []
        count = len(masses)
        if count < 2:
            refuse("memory", got=f"{count} row", must="of two rows or more", do="write more rows")
        total = torch.stack((_before(masses), _before(masses.flip(0)).flip(0))).logsumexp(0)
        every = torch.arange(count, device=masses.device)
        for part, _ in chunks((every if places is None else places).unsqueeze(-1), count):
            others, some = self._without(part != every), part.squeeze(-1)
            found.append(self._level(self.rows(some), others) - total[some])
        return torch.cat(found)

    def _without(self, others: Tensor) -> Any:
        """Return what is left of the rows ``(b, m)``, with their bias and priors."""
        kept = self.given.kept
        bias = kept.mask if isinstance(kept, Kept) else kept
        mask = others if bias is None else torch.where(others, bias, -math.inf)
        return Kept(mask, kept.prior) if isinstance(kept, Kept) else mask

    def draw(self, count: int, source: np.random.Generator) -> Tensor:
        """Draw a stored row, and then a point from its kernel."""
        shares = self._masses().softmax(0).cumsum(0).cpu().numpy()
        places = np.searchsorted(shares, source.random(count) * shares[-1], side="right")
        rows = self.rows(torch.from_numpy(places).to(self.given.rows.device))
        if self.space == "sphere":
            rows = directions(rows)
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
            directed("memory", self.given.keys, SHORT)
        return logs


def _sizes(keys: Tensor) -> Tensor:
    """Return the squared lengths of keys."""
    return torch.cat([part.double().square().sum(-1) for part, _ in chunks(keys, keys.shape[1])])


def _before(masses: Tensor) -> Tensor:
    """Return the logarithm of the sum of all masses before each."""
    first = masses.new_full((1,), -math.inf)
    return torch.cat((first, masses.logcumsumexp(0)[:-1]))
