"""The logarithm of a sum of kernels as the potential of a rule."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva.separation._base import LogWeights, Mask, Scores, logged

__all__ = ["LogSum"]


@dataclass(frozen=True)
class LogSum(LogWeights):
    r"""The logarithm of a sum of kernels.

    .. math:: \Phi = \log \sum_i K(s_i), \quad w_i = \frac{K(s_i)}{\sum_j K(s_j)}

    Unlike the potential of softmax it has a value at beta = 0.

    Args:
        term: from scores to log K(s), -inf where the kernel is zero.
    """

    term: Callable[[Tensor], Tensor]
    priors = True

    def logs(self, scores: Scores) -> Scores:
        """Return log K(s)."""
        return self.term(scores)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the logarithm of the sum."""
        logs = logged(self.logs(scores), mask)
        # Unlike that of torch's logsumexp, the gradient keeps its digits where logs are large.
        top = logs.detach().amax(-1, keepdim=True)
        top = torch.where(top == -math.inf, 0.0, top)
        return (logs - top).exp().sum(-1).log() + top.squeeze(-1)

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"]:
        """Return the logarithm of the sum over all keys."""
        return potentials.logsumexp(0)

    def void(self) -> float:
        """Return the logarithm of no kernel."""
        return -math.inf
