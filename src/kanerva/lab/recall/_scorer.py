"""Compare recalls with the stored patterns.

A memory that returns its cue unchanged has most bits right, although it recalled nothing.
Repaired coordinates, broken coordinates and unchanged cues are therefore counted separately.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["Scorer"]

# A real coordinate is right within this share of its range, which of data is 2.
RIGHT = 0.05
# The least range of a feature, as a share of the largest one: rounding does not make it wrong.
LEAST = 1e-5


class Scorer:
    """Score recalls against the stored patterns.

    Args:
        x: ``(m, n)`` the stored patterns.
        labels: ``(m,)`` their classes, or None.
        domain: ``"bits"`` or ``"real"``.
        distinct: ``(m,)`` False for rows that stand for other patterns, too, so that recalling them
            does not tell which it was; None where all are distinct.
        span: ``(n,)`` the range of each coordinate of real codes; None for real data, whose ranges
            are 2. A coordinate is right within ``RIGHT`` of its range.

    Example:
        >>> import torch
        >>> from kanerva.lab.recall import Scorer
        >>> x = torch.tensor([[1.0, 1, 1, 1], [-1, -1, -1, -1]])
        >>> scorer = Scorer(x, None, "bits")
        >>> cue, chosen = torch.tensor([[1.0, 1, 1, -1]]), torch.tensor([0])
        >>> score = scorer.score(x[:1], cue, chosen)
        >>> score["exact"], score["repaired"]
        (1.0, 1.0)
    """

    def __init__(
        self,
        x: Float[Tensor, "m n"],
        labels: Int64[Tensor, "m"] | None,
        domain: str,
        distinct: Bool[Tensor, "m"] | None = None,
        span: Float[Tensor, "n"] | None = None,
    ) -> None:
        self.x, self.labels, self.binary = x, labels, domain == "bits"
        self.span = torch.full_like(x[0], 2.0) if span is None else span
        largest = self.span.max()
        self._right = 0 if self.binary else RIGHT * self.span.clamp_min(LEAST * largest)
        # Equally near: of bits exactly, of real numbers up to rounding.
        self._slack = 0 if self.binary else 1e-5 * (largest / 2) ** 2
        self._lost = not bool((x == 0).all(-1).any())
        self._half = x.square().sum(-1) / 2
        _, self._group, sizes = torch.unique(x, dim=0, return_inverse=True, return_counts=True)
        self._copies = sizes[self._group]
        self.distinct = torch.ones(len(x), dtype=torch.bool) if distinct is None else distinct

    def merged(self, codes: Float[Tensor, "m k"]) -> Bool[Tensor, "m"]:
        """Mark the patterns whose code is that of a different pattern, too."""
        _, group = torch.unique(codes, dim=0, return_inverse=True)
        low = torch.full((len(codes),), len(codes)).scatter_reduce(0, group, self._group, "amin")
        high = torch.zeros(len(codes), dtype=torch.int64).scatter_reduce(
            0, group, self._group, "amax"
        )
        return (low != high)[group]

    def clean(self, state: Float[Tensor, "cues n"]) -> Float[Tensor, "cues n"]:
        """Take the signs of a recall, where bits were stored; zeros of an empty read stay zeros."""
        return state.sign() if self.binary else state

    def right(
        self, state: Float[Tensor, "cues n"], truth: Float[Tensor, "cues n"]
    ) -> Bool[Tensor, "cues n"]:
        """Mark the coordinates that are as stored."""
        return (state - truth).abs() <= self._right

    def closeness(self, state: Float[Tensor, "cues n"]) -> Float[Tensor, "cues m"]:
        """Score how near a recall is to every stored pattern; of bits exactly."""
        return state @ self.x.T - self._half

    def best(self, near: Float[Tensor, "cues m"]) -> Bool[Tensor, "cues m"]:
        """Mark the patterns that are nearest, of real numbers up to rounding."""
        return near >= near.amax(-1, keepdim=True) - self._slack

    def nearest(self, state: Float[Tensor, "cues n"]) -> Int64[Tensor, "cues"]:
        """Look up the nearest pattern; among equally near ones the commonest, then the first."""
        return self._commonest(self.closeness(state))

    def _commonest(self, near: Float[Tensor, "cues m"]) -> Int64[Tensor, "cues"]:
        return torch.where(self.best(near), self._copies, 0).argmax(-1)

    def exact(self, recalled: Float[Tensor, "cues n"], chosen: Int64[Tensor, "cues"]) -> float:
        """Return the share of recalls without a wrong coordinate, of patterns that are distinct."""
        right = self.right(self.clean(recalled), self.x[chosen]).all(-1)
        return (right & self.distinct[chosen]).double().mean().item()

    def coordinates(
        self,
        recalled: Float[Tensor, "cues n"],
        cue: Float[Tensor, "cues n"],
        chosen: Int64[Tensor, "cues"],
    ) -> dict[str, float | None]:
        """Measure the shares of coordinates that a recall repaired, and that it broke.

        Args:
            recalled: the results of the recalls.
            cue: the damaged patterns.
            chosen: rows of ``x`` that were damaged.

        Returns:
            ``repaired``, of the wrong coordinates of the cues, and ``broken``, of the right ones;
            None where there are none.
        """
        truth = self.x[chosen]
        right = self.right(self.clean(recalled), truth)
        before = self.right(self.clean(cue), truth)
        repaired, broken = _share(right & ~before, ~before), _share(~right & before, before)
        return {"repaired": repaired, "broken": broken}

    def found(
        self, recalled: Float[Tensor, "cues n"], chosen: Int64[Tensor, "cues"]
    ) -> list[int | None]:
        """Return the row of ``x`` nearest to each recall; None for zeros, which are near to all.

        Of equal rows it is the one that was damaged, ``chosen``, where that is among them.
        """
        state = self.clean(recalled)
        return self._found(state, self.closeness(state), chosen)

    def _found(self, state: Tensor, near: Tensor, chosen: Tensor) -> list[int | None]:
        rows = self._commonest(near)
        rows = torch.where((self.x[rows] == self.x[chosen]).all(-1), chosen, rows)
        empty = (state == 0).all(-1) & self._lost
        pairs = zip(rows.tolist(), empty.tolist(), strict=True)
        return [None if lost else row for row, lost in pairs]

    def score(
        self,
        recalled: Float[Tensor, "cues n"],
        cue: Float[Tensor, "cues n"],
        chosen: Int64[Tensor, "cues"],
    ) -> dict[str, Any]:
        """Measure recalls of damaged cues of the patterns ``chosen``.

        Args:
            recalled: the results of the recalls.
            cue: the damaged patterns.
            chosen: rows of ``x`` that were damaged.

        Returns:
            shares: ``exact`` recalls; ``nearest``, recalls to which the original is the nearest
            stored pattern; ``repaired`` and ``broken`` coordinates; ``echoed`` cues; ``lost``
            recalls, zeros because nothing was within reach; ``stored``, recalls that are any stored
            pattern; ``class_kept``. None where there is nothing to take a share of.
        """
        return self.judge(recalled, cue, chosen)[0]

    def judge(
        self,
        recalled: Float[Tensor, "cues n"],
        cue: Float[Tensor, "cues n"],
        chosen: Int64[Tensor, "cues"],
    ) -> tuple[dict[str, Any], list[int | None]]:
        """Return what ``score`` and ``found`` do, at little more than the cost of one."""
        truth, cue, state = self.x[chosen], self.clean(cue), self.clean(recalled)
        right, before = self.right(state, truth), self.right(cue, truth)
        near = self.closeness(state)
        best = self.best(near)
        # Among equally near patterns a random choice finds the original with this probability.
        own = (best & self._twins(chosen)).sum(-1) / best.sum(-1)
        hurt = ~before.all(-1)
        row: dict[str, Any] = {
            "cues": len(truth),
            "exact": (right.all(-1) & self.distinct[chosen]).float().mean().item(),
            "nearest": own.mean().item(),
            **self.coordinates(recalled, cue, chosen),
            "echoed": _share((state == cue).all(-1) & hurt, hurt),
            "lost": (state == 0).all(-1).float().mean().item(),
            "stored": self._stored(state, near).float().mean().item(),
            "class_kept": None,
        }
        if self.labels is not None:
            same = self.labels == self.labels[chosen, None]
            row["class_kept"] = ((best & same).sum(-1) / best.sum(-1)).mean().item()
        return row, self._found(state, near, chosen)

    def _twins(self, chosen: Int64[Tensor, "cues"]) -> Bool[Tensor, "cues m"]:
        """Mark the originals and their duplicates."""
        if self.binary:
            return self._group == self._group[chosen, None]
        near = self.closeness(self.x[chosen])
        return near >= near.gather(1, chosen[:, None]) - self._slack

    def _stored(self, state: Tensor, near: Tensor) -> Tensor:
        """Mark the recalls that are some stored pattern, right or wrong."""
        return self.right(state, self.x[near.argmax(-1)]).all(-1)


def _share(part: Tensor, whole: Tensor) -> float | None:
    """Return the share of ``whole`` that is ``part``; None where ``whole`` is empty."""
    return (part.sum() / whole.sum()).item() if whole.any() else None
