"""The data in one code: what is stored, its facts, and how recalls are scored."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva.lab import codec
from kanerva.lab.data import DataSet
from kanerva.lab.memories import Facts, measure
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._scorer import Scorer
from kanerva.lab.recall._trials import Trial

__all__ = ["Coded"]


class Coded:
    """The patterns in one code, with the scorers of codes and of data.

    Cues are damaged as data and then encoded. A recall is exact where its code is, and no different
    pattern has the same code. A code of bits is exact where every bit is as stored, a real code
    where every feature is within a share of its range over the stored patterns. Repaired and broken
    coordinates are counted after decoding, in the data.

    Attributes:
        merged: the number of patterns whose code is that of a different pattern, too.
        decoded: of real codes, the share of coordinates that are right after the stored patterns
            are encoded and decoded, and the root of the mean squared error; None of others.

    Args:
        text: the codec, as the plan names it.
        data: the patterns, ``real`` of the domain that is stored, their shape, and their classes.
        plan: of the comparison.
        scorer: of the data.
        progress: called while a codec is trained, as for ``compare``.
    """

    def __init__(
        self,
        text: str,
        data: DataSet,
        plan: Plan,
        scorer: Scorer,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.data, x = scorer, data.real
        self.codec = codec.named(text, plan.seed, data.shape)
        self.name = self.codec.name
        if self.codec.fitted:
            _same_length(self.codec, x.shape[1])
        else:
            self.codec.fit(x, data.labels, progress=_shown(f"Training {self.name}", progress))
        self.plain = text == "none"
        self.domain = plan.domain if self.plain else self.codec.domain
        self.x = x if self.plain else self.codec.encode(x)
        self.merged = 0
        self.scorer = scorer if self.plain else self._score(data.labels)
        self.decoded: tuple[float, float] | None = None
        if not self.plain and self.domain == "real":
            again = self.codec.decode(self.x)
            right = self.data.right(self.data.clean(again), x).double().mean().item()
            self.decoded = right, (again - x).double().square().mean().sqrt().item()
        self.facts: Facts = measure(self.x, plan.seed)
        self._cues: dict[tuple[float, int, int, int], Tensor] = {}

    def _score(self, labels: Int64[Tensor, "m"] | None) -> Scorer:
        """Return the scorer of the codes, in which patterns of one code are not distinct."""
        if bool((self.x == self.x[0]).all()):
            bits = self.domain == "bits"
            do = "give more bits, or less whitening" if bits else "give more features"
            got = f"{self.name!r}, in which all are equal"
            refuse("codec", must="one in which the patterns differ", got=got, do=do)
        merged = self.data.merged(self.x)
        self.merged = int(merged.sum())
        span = self.x.amax(0) - self.x.amin(0)
        return Scorer(self.x, labels, self.domain, ~merged, span)

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
        empty = (state == 0).all(-1, keepdim=True)
        return torch.where(empty, 0.0, self.codec.decode(state))

    def judge(
        self, recalled: Float[Tensor, "cues code"], trial: Trial
    ) -> tuple[dict[str, Any], list[int | None]]:
        """Measure the recalls of a trial, and name what was found, as ``Scorer.judge`` does."""
        row, found = self.scorer.judge(recalled, self.cue(trial), trial.chosen)
        if not self.plain:
            row |= self.data.coordinates(self.decode(recalled), trial.cue, trial.chosen)
        return row, found


def _same_length(found: codec.Codec, n: int) -> None:
    """Refuse a fitted codec of data of another length."""
    fitted = found.fitted["mean"].numel()
    if fitted != n:
        got = f"{found.name!r}, of patterns of {fitted:,} numbers"
        do = "write another with kanerva codec"
        refuse("codec", must=f"one of patterns of {n:,} numbers, as these are", got=got, do=do)


def _shown(
    what: str, progress: Callable[[str, int, int], None] | None
) -> Callable[[int, int, float], None] | None:
    """Return what a training calls after each epoch."""
    if progress is None:
        return None
    return lambda done, total, loss: progress(what, done, total)
