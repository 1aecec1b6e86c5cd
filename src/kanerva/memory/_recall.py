"""Repeated reads: all bits at once, or one bit at a time."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva import dynamics
from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import describe, door, refuse
from kanerva._engine.scores import added, left
from kanerva.dynamics import Path, Rules, Settled
from kanerva.memory._inputs import Given, Mask
from kanerva.memory._view import Views

ORDERS = ("sync", "async")


class Recalls(Views):
    """Recalls by reading repeatedly."""

    # Share of each step that a recall takes.
    rate: float = 1.0
    similarity: Any
    key_bits: Any
    _descends: Any

    @door
    def recall(
        self,
        query: Float[Tensor, "*batch d"] | Listed,
        *,
        steps: int = 100,
        rate: float | None = None,
        tolerance: float | None = None,
        mask: Mask = None,
        order: str = "sync",
        seed: int | torch.Generator = 0,
    ) -> Float[Tensor, "*batch d"]:
        r"""Read repeatedly until nothing changes, each query on its own.

        .. math:: q \leftarrow q + \eta\,(\text{read}(q) - q)

        Args:
            query: ``(..., d)``.
            steps: at most so many reads, or sweeps over all bits.
            rate: share eta of each step that is taken, in (0, 1]; None for the memory's own, which
                is 1 unless its model says otherwise. Bits take whole steps only.
            tolerance: rest is a change of no more than this share of the largest coordinate; None:
                exact rest for bits, else the dtype's resolution to the power 3/4.
            mask: as in ``read``.
            order: ``"sync"`` updates all coordinates at once. ``"async"``, for bits with an energy
                and ``dot`` scores, updates one bit at a time in a random order, where that lowers
                the energy (Hopfield 1982), so it always comes to rest.
            seed: an integer >= 0 or a CPU generator, for the order of the bits.

        Returns:
            the last states ``(..., d)``; ``settle`` also returns which of them came to rest.

        Example:
            >>> import torch, kanerva
            >>> memory = kanerva.hopfield(bits=2)
            >>> ids = memory.write(torch.tensor([[1.0, -1.0]]))
            >>> memory.settle(torch.tensor([1.0, 1.0])).swings.item()  # between two states
            True
            >>> memory.recall(torch.tensor([1.0, 1.0]), order="async").sum().item()
            0.0
        """
        given, rules = self._iteration(query, steps, rate, tolerance, mask)
        return self._ended(given, rules, order, seed).state

    @door
    def settle(
        self,
        query: Float[Tensor, "*batch d"] | Listed,
        *,
        steps: int = 100,
        rate: float | None = None,
        tolerance: float | None = None,
        mask: Mask = None,
        order: str = "sync",
        seed: int | torch.Generator = 0,
    ) -> Settled:
        """Recall, and return how many reads each query took and whether it came to rest.

        Args:
            query: ``(..., d)``.
            steps: at most so many reads.
            rate: as in ``recall``.
            tolerance: as in ``recall``.
            mask: as in ``read``.
            order: as in ``recall``.
            seed: as in ``recall``.

        Returns:
            last states, reads made, whether the last one changed nothing, and whether the state
            swings between two.
        """
        given, rules = self._iteration(query, steps, rate, tolerance, mask)
        return self._ended(given, rules, order, seed)

    @door
    def trace(
        self,
        query: Float[Tensor, "*batch d"] | Listed,
        *,
        steps: int = 100,
        rate: float | None = None,
        tolerance: float | None = None,
        mask: Mask = None,
        order: str = "sync",
        seed: int | torch.Generator = 0,
        keep: Callable[[Tensor], Tensor] | None = None,
    ) -> Path:
        """Recall, and return every state on the way with its energy.

        Args:
            query: ``(..., d)``.
            steps: at most so many reads.
            rate: as in ``recall``.
            tolerance: as in ``recall``.
            mask: as in ``read``.
            order: as in ``recall``.
            seed: as in ``recall``.
            keep: a function of the states ``(..., d)`` of one moment, such as their overlaps with
                some patterns, whose results ``(..., k)`` are kept in place of the states.

        Returns:
            the path: states, energies (None where the memory has none, or where one of them
            overflows the memory's dtype), steps taken, and whether each query came to rest.

        Raises:
            InputError: as ``recall`` does, or ``keep`` returns no tensor with the leading
                dimensions of the query.
        """
        given, rules = self._iteration(query, steps, rate, tolerance, mask)
        if keep is not None:
            checks.function("keep", keep, "give one from states (..., d) to tensors (..., k)")
        states: list[Tensor] = []
        energies: list[Tensor] | None = []
        for last in self._moments(given, rules, order, seed):
            state = last.state
            if energies is not None:  # where one is missing, there are none
                rows = state.reshape(-1, state.shape[-1])
                energy = self._energies(given._replace(rows=rows))
                energies = None if energy is None else [*energies, energy]
            states.append(state if keep is None else _kept(keep, state.clone(), states))
        found = None if energies is None else torch.stack(energies)
        return Path(torch.stack(states), found, last.steps, last.converged)

    def _moments(
        self, given: Given, rules: Rules, order: str, seed: int | torch.Generator
    ) -> Iterator[Settled]:
        """Yield the states before the first step and after each."""
        query = given.rows.reshape(*given.batch, given.rows.shape[-1])
        if checks.choice("order", order, ORDERS) == "async":
            return self._sweeps(query, given, rules, arrays.generator(seed))
        arrays.generator(seed)
        stages = self._stages(given)
        if stages is not None:
            return dynamics.follow_each(stages[: rules.steps], query)
        return dynamics.iterate(partial(self._again, given), query, rules)

    def _stages(self, given: Given) -> list[Callable[[Tensor], Tensor]] | None:
        """Return the steps of a recall that anneals; None where every step is the same read."""
        return None

    def _again(self, given: Given, state: Tensor, places: Tensor | None = None) -> Tensor:
        """Read on from the states of some queries.

        Zeros, which an empty read leaves, are no bits: they stay.
        """
        given = given._replace(rows=state) if places is None else given.of(places, state)
        if not self.key_bits:
            return self._at_each(given, self._read)
        lost = (state == 0).any(-1, keepdim=True)
        given = given._replace(rows=torch.where(lost, 1.0, state))
        return torch.where(lost, state, self._at_each(given, self._read))

    def _sweeps(
        self, query: Tensor, given: Given, rules: Rules, source: torch.Generator
    ) -> Iterator[Settled]:
        """Yield the states before the first sweep over all bits and after each."""
        product = getattr(self.similarity, "product", False)
        if not (product and self._bits and self.value_bits and self._descends):
            must = '"sync", unless bits with an energy are compared by dot'
            refuse("order", got='"async"', must=must, do="leave it out")
        if given.betas is not None:
            must, do = '"sync" where each query has its own beta', "leave it out"
            refuse("order", got='"async"', must=must, do=do)
        kept, rule = given.kept, given.rule
        rule.unchecked_potential(query.new_zeros(1, 1))  # refuses a rule without potential

        def potential(scores: Tensor) -> Tensor:
            found: Tensor = rule.unchecked_potential(added(scores, kept), left(kept))
            if not arrays.sound(found):
                _refuse_async(rule, found, self.dim)
            return found

        keys = given.keys[:]
        return dynamics.iterate_flips(potential, query, keys, rules.steps, source)

    def _ended(
        self, given: Given, rules: Rules, order: str, seed: int | torch.Generator
    ) -> Settled:
        """Return the last states."""
        *_, last = self._moments(given, rules, order, seed)
        return last

    @abstractmethod
    def _read(self, given: Given) -> Tensor:
        """Read checked queries."""

    @abstractmethod
    def _energies(self, given: Given) -> Tensor | None:
        """Return the energy of checked queries; None where the memory has none."""

    def _iteration(
        self, query: Any, steps: int, rate: float | None, tolerance: float | None, mask: Mask
    ) -> tuple[Given, Rules]:
        """Check a query and how its recall is repeated."""
        rate = self.rate if rate is None else rate
        given = self._given(query, mask)
        arrays.finite("query", given.rows)
        if self.value_dim != self.dim:
            got = f"{self.value_dim} for keys of {self.dim}"
            must = "the length of the keys, because a recall reads on from what was read"
            refuse("value_dim", got=got, must=must, do="use read")
        if tolerance is None:
            tolerance = 0.0 if self.value_bits else torch.finfo(self.dtype).eps ** 0.75
        count = len(given.rows)
        context = (torch.arange(count, device=self.device),) if given.several else ()
        rules = dynamics.rules(steps, rate, tolerance, context, count)
        rules = rules._replace(repeats=self.value_bits)
        if self.value_bits and rules.rate != 1:
            do = "leave it out; bits take whole steps"
            refuse("rate", got=repr(rate), must="1 where bits are read", do=do)
        return given, rules


def _kept(keep: Callable[[Tensor], Tensor], state: Tensor, before: list[Tensor]) -> Tensor:
    """Return what is kept of the states of one moment, as was kept of those before."""
    found = keep(state)
    same = isinstance(found, Tensor) and all(found.shape == one.shape for one in before[:1])
    if not same or found.shape[: state.ndim - 1] != state.shape[:-1]:
        must = f"a function that returns a tensor with leading dimensions {tuple(state.shape[:-1])}"
        got, do = f"one that returned {describe(found)}", "return one row a query, always as long"
        refuse("keep", must=must, got=got, do=do)
    return found


def _refuse_async(rule: Any, potential: Tensor, dim: int) -> NoReturn:
    """Refuse updates of one bit at a time where energies cannot be compared."""
    must = '"sync" where the energy is not finite'
    if not (potential == -torch.inf).any():
        smaller = "order of interactions" if rule.temperature() is None else "beta"
        got = f'"async" for {rule} on {dim} bits, whose energy overflows float64'
        do = f'recall with order="sync", or build the memory with a smaller {smaller}'
        refuse("order", got=got, must=must, do=do)
    got = '"async" for a memory with no pattern, or none left by the mask'
    refuse("order", got=got, must=must, do="store a pattern, or leave one in")
