"""Weights that the strongest scores inhibit, so that few keys take part."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.separation._base import Mask, Scores, Separation, hide

__all__ = ["Inhibition"]

Gain = float | Float[Tensor, " m"]


@dataclass(frozen=True)
class Inhibition(Separation):
    r"""Subtracts a share of the (k+1)-th largest score from all of them.

    .. math:: w_i = \bigl[[s_i]_+ - g_i\, t\bigr]_+, \quad
        t = \text{the (k+1)-th largest of } [s]_+

    A gain of 1 keeps the k largest scores, less t; fewer where others equal the k-th. A gain of 0
    is a rectifier, and one of -1 adds t to every score, negative ones included. With no more than k
    scores t is 0. The slope of t is left out of gradients, as if t were a constant of the query.
    The potential is that of a constant t too, so the weights are not its gradient.

    Args:
        k: how many keys are not inhibited, >= 1; all of them where no more are stored.
        gain: g, in [-1, 1]: a number for all keys, or ``(m,)`` with one for each of m keys.

    Example:
        >>> import torch
        >>> from kanerva.separation import Inhibition
        >>> scores = torch.tensor([1.0, 4.0, 3.0, -1.0])
        >>> Inhibition(k=2)(scores).tolist()
        [0.0, 3.0, 2.0, 0.0]
        >>> Inhibition(k=2, gain=torch.tensor([1.0, 0.0, 1.0, -1.0]))(scores).tolist()
        [0.0, 4.0, 2.0, 1.0]

    Source: Bricken and others 2023, the switch of GABA from excitation to inhibition.
    """

    k: int
    gain: Gain = 1.0
    gradient = False
    convex = False

    @door
    def __post_init__(self) -> None:
        do = "give the number of keys that are not inhibited"
        checks.keep(self, k=checks.integer("k", self.k, 1, do=do), gain=_gain(self.gain))

    def __eq__(self, other: object) -> bool:
        """Return whether k and all gains are equal; a number is equal to a number alone."""
        if type(other) is not type(self):
            return NotImplemented
        one, two = self.gain, other.gain
        if isinstance(one, Tensor) and isinstance(two, Tensor):
            one, two = (gain.detach().to("cpu", torch.float64) for gain in (one, two))
            return self.k == other.k and torch.equal(one, two)
        alike = isinstance(one, Tensor) == isinstance(two, Tensor)
        return alike and (self.k, one) == (other.k, two)

    def __hash__(self) -> int:
        # Numbers in a tensor can change, so only how many there are is taken.
        return hash((self.k, len(self.gain) if isinstance(self.gain, Tensor) else self.gain))

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return hide((scores.relu() - self._inhibited(scores, mask)).relu(), mask)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the integral of the weights over the scores, from 0, where t is constant."""
        taken = self._inhibited(scores, mask)
        least = (-taken).relu()  # the weight of a score of 0, or below
        above = (scores.relu() - taken).relu().square() - least.square()
        return hide(torch.where(scores > 0, above / 2, least * scores), mask).sum(-1)

    def reach(self, scores: Scores) -> Float[Tensor, "*batch 1"] | None:
        """Return the inhibition, where it is the same for all keys and none of them is excited."""
        if isinstance(self.gain, Tensor) or self.gain < 0:
            return None
        return self._inhibited(scores, None).expand(*scores.shape[:-1], 1)

    def _inhibited(self, scores: Tensor, mask: Mask) -> Tensor:
        """Return what is subtracted from each score: the gain times t."""
        gain = self.gain
        if isinstance(gain, Tensor):
            if gain.shape[-1] != scores.shape[-1]:
                must, got = f"({scores.shape[-1]},), one for each key", f"{tuple(gain.shape)}"
                refuse("gain", must=must, got=got, do="give a number, or as many as keys")
            gain = gain.to(scores)
        seen = hide(scores.detach(), mask).relu()
        if scores.shape[-1] <= self.k:
            return gain * torch.zeros_like(seen[..., :1])
        return gain * seen.topk(self.k + 1, -1).values[..., -1:]


def _gain(gain: Any) -> Gain:
    """Return gains in [-1, 1]."""
    do = "give 1 to inhibit, 0 to rectify, -1 to excite"
    if not isinstance(gain, Tensor):
        return checks.plain("gain", gain, -1, 1, do=do)
    must = "a number, or a floating tensor (m,), in [-1, 1]"
    arrays.dense("gain", gain, must)
    if gain.ndim != 1 or gain.dtype not in arrays.FLOATS:
        refuse("gain", gain, must=must, do=do, error=InputTypeError)
    if not arrays.tracing() and not (gain.detach().abs() <= 1).all():
        refuse("gain", got="one with entries outside", must=must, do=do)
    return gain
