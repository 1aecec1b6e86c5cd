"""The data in one code: what is stored, its facts, and how recalls are scored."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva.lab import codec
from kanerva.lab.memories import Facts, measure
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._scorer import Scorer
from kanerva.lab.recall._trials import Trial

__all__ = ["Coded"]


class Coded:
    """The patterns in one code, with the scorers of codes and of data.

    Cues are damaged as data and then encoded. A recall is exact where its code is; repaired and
    broken coordinates are counted after decoding, in the data.

    Args:
        name: of the codec.
        x: ``(m, n)`` the data.
        labels: ``(m,)`` their classes, or None.
        plan: of the comparison.
        data: the scorer of the data.
    """

    def __init__(
        self,
        name: str,
        x: Float[Tensor, "m n"],
        labels: Int64[Tensor, "m"] | None,
        plan: Plan,
        data: Scorer,
    ) -> None:
        self.name, self.data = name, data
        self.codec = codec.named(name, plan.seed).fit(x, labels)
        self.plain = name == "none"
        self.domain = plan.domain if self.plain else self.codec.domain
        self.x = x if self.plain else self.codec.encode(x)
        self.facts: Facts = measure(self.x, plan.seed)
        self.scorer = data if self.plain else Scorer(self.x, labels, self.domain)
        self._cues: dict[tuple[float, int, int, int], Tensor] = {}

    def cue(self, trial: Trial) -> Float[Tensor, "cues code"]:
        """Return the codes of the cues of a trial, computed once."""
        if self.plain:
            return trial.cue
        key = (trial.level, trial.seed, trial.stored, len(trial.chosen))
        if key not in self._cues:
            self._cues[key] = self.codec.encode(trial.cue)
        return self._cues[key]

    def decode(self, recalled: Float[Tensor, "cues code"]) -> Float[Tensor, "cues n"]:
        """Return recalls as data; an empty read, all zeros, stays empty."""
        state = self.scorer.clean(recalled)
        if self.plain:
            return state
        empty = (state == 0).all(-1, keepdim=True) & self.scorer.binary
        return torch.where(empty, 0.0, self.codec.decode(state))

    def judge(
        self, recalled: Float[Tensor, "cues code"], trial: Trial
    ) -> tuple[dict[str, Any], list[int | None]]:
        """Measure the recalls of a trial, and name what was found, as ``Scorer.judge`` does."""
        row, found = self.scorer.judge(recalled, self.cue(trial), trial.chosen)
        if not self.plain:
            row |= self.data.coordinates(self.decode(recalled), trial.cue, trial.chosen)
        return row, found
