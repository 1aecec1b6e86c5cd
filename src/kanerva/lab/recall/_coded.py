"""The data in one code: what is stored, its facts, and how recalls are scored."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva.lab import codec
from kanerva.lab.memories import Facts, measure
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._scorer import Scorer
from kanerva.lab.recall._trials import Trial

__all__ = ["Coded"]


class Coded:
    """The patterns in one code, with the scorers of codes and of data.

    Cues are damaged as data and then encoded. A recall is exact where its code is, and no different
    pattern has the same code; repaired and broken coordinates are counted after decoding, in the
    data.

    Attributes:
        merged: the number of patterns whose code is that of a different pattern, too.

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
        self.merged = 0
        self.scorer = data if self.plain else self._score(labels)
        self.facts: Facts = measure(self.x, plan.seed)
        self._cues: dict[tuple[float, int, int, int], Tensor] = {}

    def _score(self, labels: Int64[Tensor, "m"] | None) -> Scorer:
        """Return the scorer of the codes, in which patterns of one code are not distinct."""
        if bool((self.x == self.x[0]).all()):
            got, do = f"{self.name!r}, in which all are equal", "give more bits, or less whitening"
            refuse("codec", must="one in which the patterns differ", got=got, do=do)
        merged = self.data.merged(self.x)
        self.merged = int(merged.sum())
        return Scorer(self.x, labels, self.domain, ~merged)

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
