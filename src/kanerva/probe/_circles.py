"""Circle weights of real vectors: the memory of bits, read between whole distances."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.separation import Partial, Separation
from kanerva.theory import circle

__all__ = ["CosineCircle"]

SLACK = 0.01  # rounding of cosines in half precision
Scores = Float[Tensor, "*batch m"]


@dataclass(frozen=True)
class CosineCircle(Separation):
    r"""Weighs cosines of real vectors as ``Circle`` weighs bits with the same cosine.

    .. math:: w_i = \frac{I(h_i)}{\sum_j I(h_j)}, \quad h_i = \tfrac n2 (1 - c_i)

    ln I is interpolated linearly between whole distances, and the weights beyond 2 ``radius`` are
    zero. There is no potential.

    Args:
        bits: n >= 1, the dimension of the vectors.
        radius: activation radius in bits, 0 to ``bits - 1``.

    Example:
        >>> import torch
        >>> from kanerva.probe import CosineCircle
        >>> rule = CosineCircle(bits=64, radius=5)
        >>> rule(torch.tensor([1.0, 0.875, 0.65])).tolist()  # 8303633 : 231076 : 0 points
        [0.972..., 0.027..., 0.0]

    Source: Bricken and Pehlevan 2021, eq. 4 and their map of cosines to distances.
    """

    bits: int = field()
    radius: int
    normalised = True
    expects = ("cosine",)
    _log_share: Tensor = field(init=False, repr=False, compare=False)

    @door
    def __post_init__(self) -> None:
        bits = checks.integer("bits", self.bits, 1, checks.BITS)
        do = "give a Hamming distance that leaves some bits out"
        radius = checks.integer("radius", self.radius, 0, bits - 1, do)
        log_share = torch.from_numpy(circle.log_fraction(bits, radius))
        checks.keep(self, bits=bits, radius=radius, _log_share=log_share)

    def partial(self, scores: Scores, mask: Tensor | None = None) -> Partial:
        """Weigh some of the keys by the exponential of ``log_weights``."""
        logs = self.log_weights(scores)
        logs = logs if mask is None else logs.masked_fill(~mask, -math.inf)
        top = logs.detach().amax(-1, keepdim=True)
        # -inf minus -inf is NaN, so nothing is subtracted where nothing is in reach.
        weights = (logs - top.masked_fill(top == -math.inf, 0)).exp()
        return Partial(weights, top, weights.sum(-1, keepdim=True))

    @door("CosineCircle")
    def log_weights(self, scores: Scores) -> Scores:
        """Return the logarithm of the share of the cube in both circles, -inf out of reach.

        Args:
            scores: ``(..., m)`` cosines.
        """
        arrays.floats("scores", scores)
        if not arrays.tracing() and scores.numel():
            low, high = scores.detach().aminmax()
            if not -1 - SLACK <= low <= high <= 1 + SLACK:
                do = "score vectors with similarity.cosine"
                refuse("scores", scores, must="cosines", do=do)
        known = scores.nan_to_num(nan=0.0) if arrays.tracing() else scores
        distance = (1 - known.double()).mul(self.bits / 2).clamp(0, self.bits)
        below = distance.floor().long().clamp_max(self.bits - 1)
        part = distance - below
        logs = self._log_share.to(scores.device)
        near, far = logs[below], logs[below + 1]
        line = near.nan_to_num(neginf=0) * (1 - part) + far.nan_to_num(neginf=0) * part
        out = (near == -math.inf) & (part < 1) | (far == -math.inf) & (part > 0)
        line = line.masked_fill(out, -math.inf).to(scores.dtype)
        # A traced graph cannot refuse what is not finite: it stays so.
        return torch.where(scores.isfinite(), line, math.nan) if arrays.tracing() else line
