"""Spreads: how far from the cue the levels lie that a column of a register returns."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva._engine import routes
from kanerva._engine.cues import Cue, partly
from kanerva._engine.scores import Kept
from kanerva.separation import Argmax, Separation, Softmax
from kanerva.similarity import closeness

__all__ = ["Gaussian", "Spread", "Triangular"]

Cues = Float64[Tensor, "b columns"]
Seen = Bool[Tensor, "b columns"]
Counts = Int64[Tensor, "levels columns"]
Weights = Float64[Tensor, "b columns levels"]

# A standard deviation in levels below which the Gaussian is its limit, the nearest level.
NARROW = 1e-100


class Spread(ABC):
    """The distribution over the levels of a column, given the cue and the counts.

    A subclass is a frozen dataclass that writes ``forward``, and ``energy`` where it has one.

    Attributes:
        rounds: whether ``forward`` uses the level that is nearest to the cue.

    Example:
        >>> from dataclasses import dataclass
        >>> import torch
        >>> from kanerva.entropic import EntropicMemory, Spread
        >>> @dataclass(frozen=True)
        ... class Flat(Spread):
        ...     def forward(self, cue, known, counts):
        ...         shares = (counts / counts.sum(0).clamp(min=1)).T.double()
        ...         return shares.expand(len(cue), -1, -1)
        >>> memory = EntropicMemory(columns=1, levels=3, spread=Flat())
        >>> memory.write(torch.tensor([[0.0], [2.0]]))
        >>> memory.read(torch.tensor([2.0])).item()
        1.0
    """

    rounds = False

    @abstractmethod
    def forward(self, cue: Cues, known: Seen, counts: Counts) -> Weights:
        """Return the probability of every level: ``(b, columns, levels)`` in float64.

        Args:
            cue: ``(b, columns)`` places among the levels, in float64.
            known: ``(b, columns)`` bool; where False the cue has no part.
            counts: ``(levels, columns)`` int64 >= 0; a level with count 0 has probability 0, and
                all have it in a column without counts.
        """

    def energy(self, cue: Cues, known: Seen, counts: Counts) -> Float64[Tensor, "b columns"]:
        """Return the energy of every column, in levels squared, whose slope is cue less mean."""
        must, do = "one with an energy, such as Gaussian", "build the memory with spread=Gaussian()"
        refuse("spread", got=str(self), must=must, do=do)


@dataclass(frozen=True)
class Gaussian(Spread):
    r"""Weighs levels by their counts and a Gaussian around the cue: softmax attention.

    .. math:: P(k) \propto W_{kj} \exp\Bigl(-\frac{(k - a_j)^2}{2 s^2}\Bigr), \quad s = \sigma m

    This is a read of one column with the levels as keys and values, ``closeness`` scores,
    ``Softmax(1 / s^2)``, and the counts as the prior. Levels that were never seen have no weight,
    however far from the cue the seen ones are.

    Args:
        sigma: standard deviation as a share of the number of levels m, so that s = sigma m is in
            levels. 0: the level of the cue, or else the nearest that was seen; of two equally near
            the one with the larger count; with equal counts both alike.

    Example:
        >>> import torch
        >>> from kanerva.entropic import EntropicMemory, Gaussian
        >>> memory = EntropicMemory(columns=1, levels=5, spread=Gaussian(0.2))  # s: one level
        >>> memory.write(torch.tensor([[1.0], [1.0], [2.0]] + [[4.0]] * 5))
        >>> [round(share, 4) for share in memory.weights(torch.tensor([1.0]))[0].tolist()]
        [0.0, 0.7513, 0.2278, 0.0, 0.0209]

    Source: Pineda and Morales 2022; sigma is relative to the number of levels in their code.
    """

    sigma: float = 0.1

    @door
    def __post_init__(self) -> None:
        do = "give a share of the number of levels, such as 0.1"
        checks.keep(self, sigma=checks.number("sigma", self.sigma, 0, 2.0**20, do=do))

    def forward(self, cue: Cues, known: Seen, counts: Counts) -> Weights:
        """Return the softmax of the squared distance, with the counts as the prior."""
        found = routes.weights(*self._given(cue, known, counts))
        weights = found.reshape(*cue.shape, counts.shape[0])
        if self.deviation(counts.shape[0]) > 0:
            return weights
        heavy = weights.amax(-1, keepdim=True)
        best = ((weights == heavy) & (heavy > 0)).to(weights.dtype)
        return best / best.sum(-1, keepdim=True).clamp(min=1)

    def energy(self, cue: Cues, known: Seen, counts: Counts) -> Float64[Tensor, "b columns"]:
        """Return minus s squared times the log of the weighted sum of Gaussians."""
        return routes.energy(*self._given(cue, known, counts)).reshape(cue.shape)

    def deviation(self, levels: int) -> float:
        """Return s, the standard deviation in levels; 0 where it is too narrow for a float."""
        wide = self.sigma * levels
        return wide if wide > NARROW else 0.0

    def _given(self, cue: Tensor, known: Tensor, counts: Tensor) -> tuple[Any, ...]:
        """Lay columns out as queries of length one, with what a read of the engine takes."""
        size, levels = cue.numel(), counts.shape[0]
        wide = self.deviation(levels)
        rule: Separation = Softmax(wide**-2) if wide > 0 else Argmax()
        rows = partly(Cue(cue.reshape(size, 1), closeness), known.reshape(size, 1))
        keys = torch.arange(levels, dtype=cue.dtype, device=cue.device).unsqueeze(-1)
        prior = counts.T.to(cue.dtype).expand(*cue.shape, levels).reshape(size, levels)
        return rows.rows, keys, rows.similarity, rule, Kept(None, prior)


@dataclass(frozen=True)
class Triangular(Spread):
    r"""Draws from a triangle over the run of marked levels around the cue, as the binary register.

    With the run of marked levels from l to h that holds the cue a,

    .. math:: P(k) = F(k + \tfrac12) - F(k - \tfrac12)

    where F is the distribution function of the triangle from l to h with its mode at a. Marked
    levels beyond the run are never returned. Where the cell of the cue is not marked, or the cue is
    not known, all marked levels are equally probable. How often a level was marked has no part.

    Example:
        >>> import torch
        >>> from kanerva.entropic import EntropicMemory, Triangular
        >>> memory = EntropicMemory(columns=1, levels=5, spread=Triangular(), cap=1)
        >>> memory.write(torch.tensor([[0.0], [1.0], [2.0], [4.0]]))
        >>> memory.weights(torch.tensor([1.0])).tolist()
        [[0.125, 0.75, 0.125, 0.0, 0.0]]

    Source: Pineda, Fuentes and Morales 2021; the rule is that of their published code.
    """

    rounds = True

    def forward(self, cue: Cues, known: Seen, counts: Counts) -> Weights:
        """Return the shares of the triangle that round to each level."""
        marked = (counts > 0).T  # (columns, levels)
        level = cue.round().long().clamp(0, counts.shape[0] - 1)
        on = known & marked.expand(len(cue), -1, -1).gather(-1, level.unsqueeze(-1)).squeeze(-1)
        low, high = (_along(part, level).double() for part in _runs(marked))
        inside = _triangle(low, level.double(), high, marked.shape[1])
        flat = marked.double() / marked.sum(-1, keepdim=True).clamp(min=1)
        return torch.where(on.unsqueeze(-1), inside, flat)


def _runs(marked: Bool[Tensor, "columns levels"]) -> tuple[Tensor, Tensor]:
    """Return the first and the last level of the run of marked levels around each level."""
    place = torch.arange(marked.shape[1], device=marked.device).expand(marked.shape)
    gap = torch.where(marked, -1, place).cummax(-1).values
    behind = torch.where(marked, marked.shape[1], place).flip(-1).cummin(-1).values.flip(-1)
    return gap + 1, behind - 1


def _along(table: Tensor, level: Tensor) -> Tensor:
    """Take the entry of each column at the level of each cue."""
    return table.expand(len(level), -1, -1).gather(-1, level.unsqueeze(-1)).squeeze(-1)


def _triangle(low: Tensor, mode: Tensor, high: Tensor, levels: int) -> Tensor:
    """Return the probability that a number from a triangle rounds to each level."""
    edges = torch.arange(levels + 1, dtype=low.dtype, device=low.device) - 0.5
    edges[0], edges[-1] = -math.inf, math.inf
    low, mode, high = (part.unsqueeze(-1) for part in (low, mode, high))
    wide = (high - low).clamp(min=1)
    x = torch.minimum(torch.maximum(edges, low), high)
    rising = (x - low).square() / (wide * (mode - low).clamp(min=1))
    falling = 1 - (high - x).square() / (wide * (high - mode).clamp(min=1))
    below = torch.where(x < mode, rising, falling)
    single = (high == low) & (edges > mode)
    shares = torch.where(high == low, single.to(low.dtype), below)
    return shares.diff(dim=-1)
