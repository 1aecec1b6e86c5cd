"""Circle weights of real vectors: the memory of bits, read between whole distances."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.separation import Separation
from kanerva.theory import circle

__all__ = ["CosineCircle"]

SLACK = 0.01  # cosines of half precision
Scores = Float[Tensor, "*batch m"]


@dataclass(frozen=True)
class CosineCircle(Separation):
    r"""Weighs cosines of real vectors as circles weigh the bits that have that cosine.

    .. math:: w_i = \frac{I(h_i)}{\sum_j I(h_j)}, \quad h_i = \tfrac n2 (1 - c_i)

    ln I is taken between whole distances as a straight line, and nothing weighs beyond 2 ``radius``. There is no potential.

    Args:
        bits: n >= 1, the dimension of the vectors.
        radius: activation radius in bits, 0 to ``bits - 1``.

    Example:
        >>> import torch
        >>> from kanerva.probe import CosineCircle
        >>> CosineCircle(bits=64, radius=5)(torch.tensor([1.0, 0.875, 0.65])).tolist()  # 8303633 : 231076 : 0 points
        [0.972..., 0.027..., 0.0]

    Source: Bricken and Pehlevan 2021, eq. 4 and their map of cosines to distances.
    """

    bits: int
    radius: int
    normalised: ClassVar[bool] = True
    gradient: ClassVar[bool] = False
    expects: ClassVar[tuple[str, ...]] = ("cosine",)
    _logs: Tensor = field(init=False, repr=False, compare=False)

    @door
    def __post_init__(self) -> None:
        bits = checks.integer("bits", self.bits, 1, checks.BITS)
        radius = checks.integer(
            "radius", self.radius, 0, bits - 1, "give a Hamming distance that leaves some bits out"
        )
        checks.keep(
            self,
            bits=bits,
            radius=radius,
            _logs=torch.from_numpy(circle.log_fraction(bits, radius)),
        )

    def __call__(self, scores: Scores, mask: Tensor | None = None) -> Scores:
        """Weigh ``scores`` of cosine; a row with nothing in reach gets zeros."""
        logs = self.log_weights(scores)
        logs = logs if mask is None else logs.masked_fill(~mask, -math.inf)
        found = (logs > -math.inf).any(-1, keepdim=True)
        return logs.masked_fill(~found, 0).softmax(-1).masked_fill(~found, 0)

    @door("CosineCircle")
    def log_weights(self, scores: Scores) -> Scores:
        """Return the log of the shared part of the cube, -inf out of reach."""
        arrays.floats("scores", scores)
        if (
            not arrays.tracing()
            and scores.numel()
            and not -1 - SLACK <= scores.detach().amin() <= scores.detach().amax() <= 1 + SLACK
        ):
            refuse("scores", scores, must="cosines", do="score vectors with similarity.cosine")
        distance = (1 - scores.double()).mul(self.bits / 2).clamp(0, self.bits)
        logs = self._logs.to(scores.device)
        below = distance.floor().long().clamp_max(self.bits - 1)
        far, part = logs[below + 1], distance - below
        line = far.nan_to_num(neginf=0) * part + logs[below].nan_to_num(neginf=0) * (1 - part)
        lost = (logs[below] == -math.inf) & (part < 1) | (far == -math.inf) & (part > 0)
        return line.masked_fill(lost, -math.inf).to(scores.dtype)

    @door
    def potential(self, scores: Scores, mask: Tensor | None = None) -> Float[Tensor, "*batch"]:
        """Refuse: there is none."""
        do = "fit a Softmax with theory.beta.fit for an energy"
        refuse("separation", must="one with a potential", got=repr(self), do=do)
