"""The logarithm of a sum of kernels as the potential of a rule."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva.separation import Separation
from kanerva.separation._base import Mask, Scores, logged

__all__ = ["LogSum"]


@dataclass(frozen=True)
class LogSum(Separation):
    r"""The logarithm of a sum of kernels.

    .. math:: \Phi = \log \sum_i K(s_i), \quad w_i = \frac{K(s_i)}{\sum_j K(s_j)}

    Unlike the potential of softmax it has a value at beta = 0.

    Args:
        logs: from scores to log K(s), -inf where the kernel is zero.
    """

    logs: Callable[[Tensor], Tensor]
    normalised = True
    priors = True

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Return the share of each kernel in the sum; zeros where all are zero."""
        logs = logged(self.logs(scores), mask)
        total = logs.logsumexp(-1, keepdim=True)
        return (logs - torch.where(total == -math.inf, 0.0, total)).exp()

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the logarithm of the sum."""
        return logged(self.logs(scores), mask).logsumexp(-1)

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"]:
        """Return the logarithm of the sum over all keys."""
        return potentials.logsumexp(0)

    def void(self) -> float:
        """Return the logarithm of no kernel."""
        return -math.inf
