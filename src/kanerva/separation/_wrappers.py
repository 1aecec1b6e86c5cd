"""Rules made of another rule."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.separation._base import (
    Mask,
    Partial,
    Scores,
    Separation,
    hide,
    of_logs,
    softmax,
    sums,
    weighs,
)


@dataclass(frozen=True)
class Normalised(Separation):
    r"""Divides the weights of another rule by their sum; finite even where the rule itself would overflow.

    .. math:: w_i = \frac{u_i}{\sum_j u_j}, \quad u = \text{part}(s)

    Args:
        part: a rule whose weights are never negative: Power, Exponential, Step or Compact.

    Example:
        >>> import torch
        >>> from kanerva.separation import Normalised, Power
        >>> Normalised(Power(order=30))(torch.tensor([1000.0, 990.0])).tolist()
        [0.572..., 0.427...]
    """

    part: Separation
    compares: ClassVar[bool] = True
    normalised: ClassVar[bool] = True
    convex: ClassVar[bool] = False
    gradient: ClassVar[bool] = False

    @door
    def __post_init__(self) -> None:
        _inner(self.part)
        self.part.log_weights(torch.zeros(1))

    @weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        log_weights = self.part.log_weights(scores)
        there = log_weights > -math.inf
        return softmax(log_weights, there if mask is None else there & mask)

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys."""
        return of_logs(self.part.log_weights(hide(scores, mask)), mask)

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"] | None:
        """Return the potential of the rule inside."""
        return self.part.join(potentials)

    @sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the potential of the rule inside."""
        return self.part.potential(scores, mask)


@dataclass(frozen=True)
class Difference(Separation):
    r"""Weighs by what the potential gains over the flip of one bit, exactly, rather than by its slope.

    For a potential that is a sum over patterns, Phi = sum F(s_i), -1/+1 bits and ``dot`` scores, the energy falls when bit j
    takes the sign of

    .. math:: \sum_i w_i k_{ij} - c\, q_j, \quad w_i = \tfrac14 [F(s_i + 2) - F(s_i - 2)], \quad
        c = \tfrac14 \sum_i [F(s_i + 2) - 2 F(s_i) + F(s_i - 2)]

    The self-coupling c takes off what the bit gives to itself. With ``Linear`` it is the number of patterns, the diagonal
    that Hopfield leaves out; with ``Exponential`` it is tanh(beta) of the mass. Weights and c come up to one common factor a
    query, which the sign forgets.

    Args:
        part: Linear, Power or Exponential.

    Example:
        >>> import torch
        >>> from kanerva.separation import Difference, Linear
        >>> Difference(Linear()).coupling(torch.tensor([5.0, 1.0, -3.0])).item()  # three patterns
        3.0

    Source: Krotov and Hopfield 2016, their update rule; Demircigil and others 2017; written as one read here.
    """

    part: Separation
    gradient: ClassVar[bool] = False
    expects: ClassVar[tuple[str, ...]] = ("dot",)

    @door
    def __post_init__(self) -> None:
        _inner(self.part)
        self.part.difference(torch.zeros(1))

    @weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        part = self.part.difference(scores, mask)
        return part.weights if part.mass is None else part.weights / _some(part.mass)

    def coupling(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch 1"]:
        """Return c."""
        part = self.part.difference(scores, mask)
        assert part.coupling is not None
        return part.coupling if part.mass is None else part.coupling / _some(part.mass)

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys, and what they make the query give to itself."""
        return self.part.difference(scores, mask)

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"] | None:
        """Return the potential of the rule inside."""
        return self.part.join(potentials)

    @sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the potential of the rule inside."""
        return self.part.potential(scores, mask)


def _some(mass: Tensor) -> Tensor:
    """Return what can be divided by: 1 where there is no mass."""
    return torch.where(mass == 0, 1.0, mass)


def _inner(part: Separation) -> None:
    """Refuse what is not a separation."""
    if not isinstance(part, Separation):
        do = "wrap a part of kanerva.separation"
        refuse("part", part, must="a separation", do=do, error=InputTypeError)
