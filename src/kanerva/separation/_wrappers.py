"""Rules made of another rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kanerva._core.errors import door
from kanerva.separation._base import LogWeights, Mask, Partial, Scores, Separation, Wrapper, inner


@dataclass(frozen=True)
class Normalised(Wrapper, LogWeights):
    r"""Divides the weights of another rule by their sum.

    .. math:: w_i = \frac{u_i}{\sum_j u_j}, \quad u = \text{part}(s)

    The quotient is formed from logarithms, so it is finite even where the rule itself overflows.

    Args:
        part: a rule whose weights are never negative: Power, Exponential, Step or Compact.

    Example:
        >>> import torch
        >>> from kanerva.separation import Normalised, Power
        >>> Normalised(Power(order=30))(torch.tensor([1000.0, 990.0])).tolist()
        [0.572..., 0.427...]
    """

    part: Separation
    convex = False
    gradient = False
    priors = Wrapper.priors

    @door
    def __post_init__(self) -> None:
        inner(self.part)
        self.part.log_weights(torch.zeros(1))

    @property
    def kernel(self) -> str | None:  # type: ignore[override]
        return self.part.kernel

    def log_kernel(self, scores: Scores) -> Scores:
        """Return that of the rule inside."""
        return self.part.log_kernel(scores)

    def logs(self, scores: Scores) -> Scores:
        """Return the logarithm of the weights of the rule inside."""
        return self.part.log_weights(scores)


@dataclass(frozen=True)
class Difference(Wrapper):
    r"""Weighs by the exact gain of the potential over the flip of one bit, not by its slope.

    For a potential that is a sum over patterns, Phi = sum F(s_i), -1/+1 bits and ``dot`` scores,
    the energy falls when bit j takes the sign of

    .. math:: \sum_i w_i k_{ij} - c\, q_j, \quad w_i = \tfrac14 [F(s_i + 2) - F(s_i - 2)], \quad
        c = \tfrac14 \sum_i [F(s_i + 2) - 2 F(s_i) + F(s_i - 2)]

    c is the self-coupling of the query. With ``Linear`` it is the number of patterns, the diagonal
    that Hopfield leaves out; with ``Exponential`` it is tanh(beta) times the mass. Weights and c
    have one common factor a query, which the sign of the field does not depend on.

    Args:
        part: Linear, Power or Exponential.

    Example:
        >>> import torch
        >>> from kanerva.separation import Difference, Linear
        >>> Difference(Linear()).coupling(torch.tensor([5.0, 1.0, -3.0])).item()  # 3 patterns
        3.0

    Source: Krotov and Hopfield 2016, their update rule; Demircigil and others 2017; written as one
    read here.
    """

    part: Separation
    compares = False
    bits = True
    coupled = True
    gradient = False
    expects = ("dot",)
    priors = Wrapper.priors

    @door
    def __post_init__(self) -> None:
        inner(self.part)
        self.part.difference(torch.zeros(1))

    @property
    def whole(self) -> bool:  # type: ignore[override]
        """Whether the weights of whole scores are whole numbers."""
        return self.part.whole

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys, with the self-coupling that these add."""
        return self.part.difference(scores, mask)

    def level_weights(self, levels: Sequence[float]) -> list[float] | None:
        """Return the gains of the rule inside."""
        return self.part.level_gains(levels)
