"""The damaged cues of a comparison: those that are reported, and those that tune and count."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva.lab.data import damage
from kanerva.lab.recall._plan import Plan

__all__ = ["Cues", "Trial", "drawn_trial", "trials"]


class Trial(NamedTuple):
    """One set of damaged cues.

    Attributes:
        level: of damage.
        seed: of the choice and of the damage.
        stored: how many patterns are stored, from which the cues are chosen.
        chosen: the rows of the data that were damaged.
        cue: the damaged rows.
    """

    level: float
    seed: int
    stored: int
    chosen: Int64[Tensor, "cues"]
    cue: Float[Tensor, "cues n"]


class Cues:
    """Damaged copies of the first patterns of a random order, for any number of patterns.

    Args:
        x: ``(m, n)`` the data.
        plan: the kind and level of damage, and the number of cues.
        shape: of a picture.
        seed: of the order and of the damage.
    """

    def __init__(
        self, x: Float[Tensor, "m n"], plan: Plan, shape: tuple[int, ...], seed: int
    ) -> None:
        self.x, self.plan, self.shape, self.seed = x, plan, shape, seed
        self.order = _order(len(x), seed)

    def of(self, stored: int) -> Trial:
        """Damage the first patterns of the order; where they are fewer than the cues, repeatedly.

        Args:
            stored: how many patterns of the order are stored.
        """
        chosen = self.order[torch.arange(self.plan.cues) % stored]
        place = (self.plan.measured(), self.seed, stored)
        return _trial(self.x, self.plan, self.shape, place, chosen)


def trials(x: Float[Tensor, "m n"], plan: Plan, shape: tuple[int, ...]) -> Iterator[Trial]:
    """Choose and damage the cues of every level and seed that is reported."""
    for seed in range(plan.seed, plan.seed + plan.seeds):
        chosen = _order(len(x), seed)[: plan.cues]
        for level in plan.sweep():
            yield _trial(x, plan, shape, (level, seed, len(x)), chosen)


def drawn_trial(trials: Sequence[Trial]) -> Trial:
    """Choose the trial whose cues are drawn: some damage, but not the most."""
    first = [trial for trial in trials if trial.seed == trials[0].seed]
    return first[min(len(first) - 1, max(1, len(first) // 2))]


def _order(count: int, seed: int) -> Int64[Tensor, "count"]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _trial(
    x: Tensor, plan: Plan, shape: tuple[int, ...], place: tuple[float, int, int], chosen: Tensor
) -> Trial:
    level, seed, stored = place
    cue = damage(x[chosen], plan.kind, level, seed=seed, shape=shape, domain=plan.domain)
    return Trial(level, seed, stored, chosen, cue)
