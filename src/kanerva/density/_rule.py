"""How a mixture learns: which memory a row is assigned to, and how that changes the memories."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import refuse
from kanerva.density._draws import Points
from kanerva.density._kernels import Kernel

__all__ = ["Fixed", "Places", "Rule", "State", "descend", "sound"]

Places = Int64[np.ndarray, "n"]


class State(NamedTuple):
    """The memories of a mixture, in float64.

    Attributes:
        means: ``(k, d)`` means of the rows that each memory holds.
        counts: ``(k,)`` how many rows these are; fractions where rows are shared.
    """

    means: Tensor
    counts: Tensor


class Rule(ABC):
    """How rows are assigned to memories, and how they change them; a frozen dataclass.

    Attributes:
        kernel: the density around each mean.
    """

    kernel: Any

    @property
    def most(self) -> int | None:
        """The largest number of memories; None for as many as the rows create."""
        return None

    @abstractmethod
    def log_weights(self, counts: Tensor) -> Tensor:
        """Return how much each memory weighs before a row is seen, up to a common factor."""

    def terms(self, rows: Tensor, state: State) -> Tensor:
        """Return log(weight x kernel) ``(n, k)``, and a last column for the unborn, if any."""
        return self.log_weights(state.counts) + self.kernel.exponents(rows, state.means)

    def log_masses(self, state: State, dim: int) -> Tensor:
        """Return the logarithm ``(k,)`` of the integral of each term."""
        found: Tensor = self.log_weights(state.counts) + self.kernel.log_integral(dim)
        return found

    def draw(self, state: State, places: Places, source: np.random.Generator) -> Points:
        """Draw one point from the kernel of each of some terms."""
        centres: Points = self.kernel.centres(state.means).cpu().numpy()[places]
        drawn: Points = self.kernel.draw(source, centres)
        return drawn

    @abstractmethod
    def write(self, state: State, rows: Tensor) -> tuple[State, Tensor]:
        """Assign rows one after the other; return what is stored then, and where each row went."""

    @abstractmethod
    def fit(
        self, rows: Tensor, sweeps: int, source: torch.Generator, known: Tensor | None
    ) -> tuple[State, Tensor]:
        """Learn from these rows alone; return what is stored then, and where each row went."""


class Fixed(Rule):
    """A rule for a given number of memories.

    The first rows that are written become the memories, one each.
    """

    kernel: Kernel
    memories: int

    def __post_init__(self) -> None:
        memories = checks.integer("memories", self.memories, 1, checks.LONGEST)
        checks.instance("kernel", self.kernel, Kernel, "take one of kanerva.density")
        checks.keep(self, memories=memories)

    @property
    def most(self) -> int:
        """The number of memories."""
        return self.memories

    @abstractmethod
    def absorb(self, state: State, row: Tensor) -> tuple[State, Tensor]:
        """Assign one row ``(1, d)`` to memories that are there."""

    def write(self, state: State, rows: Tensor) -> tuple[State, Tensor]:
        """Assign rows one after the other."""
        born = max(0, min(self.memories - len(state.means), len(rows)))
        ids = [torch.arange(born) + len(state.means)]
        ones = torch.ones(born).to(state.counts)
        state = State(torch.cat([state.means, rows[:born]]), torch.cat([state.counts, ones]))
        for row in rows[born:].unsqueeze(1):
            state, place = self.absorb(state, row)
            ids.append(place)
        return state, torch.cat(ids)

    def start(self, rows: Tensor, source: torch.Generator) -> State:
        """Return memories at rows that are drawn at random, none twice."""
        if len(rows) < self.memories:
            must = f"at least {self.memories} rows, one for each memory"
            do = "give more rows, or build a mixture of fewer memories"
            refuse("x", got=f"{len(rows)} rows", must=must, do=do)
        drawn = torch.randperm(len(rows), generator=source)[: self.memories]
        return State(rows[drawn.to(rows.device)], rows.new_ones(self.memories))

    def _whole(self, known: Tensor | None) -> None:
        """Refuse a mask where completions are not learned."""
        if known is not None:
            do = "leave it out, or build the mixture with kanerva.density.clam"
            refuse("known", known, must="None for this mixture", do=do)


def sound(name: str, terms: Tensor) -> Tensor:
    """Return terms of which every row has a finite largest one; refuse distances that overflow."""
    if not arrays.tracing() and terms.shape[-1]:
        lost = int((~(terms.detach().amax(-1) > -torch.inf)).sum())
        if lost:
            got = f"too far from every memory in {lost} of {len(terms)} rows"
            must = "such that squared distances over sigma^2 stay within float64"
            refuse(name, got=got, must=must, do="scale the data and sigma down")
    return terms


def descend(loss: Callable[[], Tensor], leaves: Sequence[Tensor], sweeps: int, rate: float) -> None:
    """Change tensors in place by steps of Adam down a loss."""
    optimiser = torch.optim.Adam(list(leaves), lr=rate)
    with torch.enable_grad():
        for _ in range(sweeps):
            optimiser.zero_grad()
            value = loss()
            if not arrays.sound(value):
                do = "choose a smaller rate, or scale the data and sigma down"
                refuse("x", got="one whose loss overflows", must="of a finite loss", do=do)
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
