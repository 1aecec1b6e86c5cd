"""Rules that weigh scores against one another: softmax and its kin."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.separation._base import (
    Beta,
    LogWeights,
    Mask,
    Partial,
    Scores,
    Separation,
    checked_beta,
    hide,
    logged,
    nonzero,
    positive,
    softmax,
    times,
)


@dataclass(frozen=True)
class Softmax(LogWeights):
    r"""Weighs by the normalised exponential of the score: attention.

    .. math:: w_i = \frac{e^{\beta s_i}}{\sum_j e^{\beta s_j}}, \quad
        \Phi = \frac1\beta \log \sum_i e^{\beta s_i}

    Args:
        beta: inverse temperature >= 0, in nats per unit of score; 0 gives all keys the same weight.
            A tensor of one number can be trained.

    Example:
        >>> import math, torch
        >>> from kanerva.separation import Softmax
        >>> [round(w, 4) for w in Softmax(beta=1.0)(torch.tensor([0.0, math.log(3.0)])).tolist()]
        [0.25, 0.75]

    Source: Ramsauer and others 2021, eq. 2 (the energy) and 3 (the update).
    """

    beta: Beta
    compares = False
    normalised = True
    kernel = "exponential"
    priors = True
    scales = True

    @door
    def __post_init__(self) -> None:
        checks.keep(self, beta=checked_beta(self.beta))

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        logits = self.beta * scores
        return logits.softmax(-1) if mask is None else softmax(logits, mask)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the log-sum-exp over beta; it has no value at beta = 0."""
        positive(self.beta)
        return logged(self.beta * scores, mask).logsumexp(-1) / self.beta

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"]:
        """Return the log-sum-exp of all keys over beta."""
        return (self.beta * potentials).logsumexp(0) / self.beta

    def logs(self, scores: Scores) -> Scores:
        """Return beta times the scores."""
        return self.beta * scores


@dataclass(frozen=True)
class Argmax(Separation):
    r"""Weighs the largest score alone; equal largest scores share the weight.

    This is the limit of ``Softmax`` for large beta.

    .. math:: w_i = [s_i = \max_j s_j] \,/\, \#, \quad \Phi = \max_i s_i

    Example:
        >>> import torch
        >>> from kanerva.separation import Argmax
        >>> Argmax()(torch.tensor([1.0, 3.0, 3.0])).tolist()
        [0.0, 0.5, 0.5]
    """

    normalised = True
    priors = True

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        top = hide(scores, mask, -math.inf).amax(-1, keepdim=True)
        best = times(hide((scores == top).to(scores.dtype), mask), mask)
        return best / nonzero(best.sum(-1, keepdim=True))

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the largest score."""
        return hide(scores, mask, -math.inf).amax(-1)

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"]:
        """Return the largest of all."""
        return potentials.amax(0)

    def reach(self, scores: Scores) -> Float[Tensor, "*batch 1"]:
        """Return the largest score."""
        return scores.amax(-1, keepdim=True)


@dataclass(frozen=True)
class TopK(Separation):
    r"""Weighs the k largest scores by softmax; scores equal to the k-th are all kept.

    .. math:: w = \mathrm{softmax}(\beta s) \text{ over } T = \{i : s_i \ge s_{(k)}\}, \quad
        \Phi = \frac1\beta \log \sum_{i \in T} e^{\beta s_i}

    Args:
        k: how many, >= 1; fewer where fewer are stored.
        beta: inverse temperature >= 0.

    Example:
        >>> import torch
        >>> from kanerva.separation import TopK
        >>> TopK(k=2, beta=0.0)(torch.tensor([1.0, 3.0, 2.0])).tolist()
        [0.0, 0.5, 0.5]
    """

    k: int
    beta: Beta
    normalised = True
    convex = False
    priors = True
    scales = True

    @door
    def __post_init__(self) -> None:
        checks.keep(self, k=checks.integer("k", self.k, 1), beta=checked_beta(self.beta))

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return softmax(self.beta * scores, self._kept(scores, mask))

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the log-sum-exp of the k largest over beta."""
        positive(self.beta)
        return logged(self.beta * scores, self._kept(scores, mask)).logsumexp(-1) / self.beta

    def reach(self, scores: Scores) -> Float[Tensor, "*batch 1"]:
        """Return the k-th largest score, -inf where there are fewer."""
        if scores.shape[-1] < self.k:
            return torch.full_like(scores[..., :1], -math.inf)
        return scores.topk(self.k, -1).values[..., -1:]

    def _kept(self, scores: Tensor, mask: Mask) -> Tensor:
        """Mark the k largest, or say how often they count."""
        seen = hide(scores, mask, -math.inf)
        kept = seen >= seen.topk(min(self.k, scores.shape[-1]), -1).values[..., -1:]
        return kept if mask is None else hide(mask, kept)


@dataclass(frozen=True)
class Compact(Separation):
    r"""Gives all keys within reach the same weight: the gradient of a log-sum-ReLU.

    .. math:: w_i = \frac{[1 + \beta s_i > 0]}{\sum_j [1 + \beta s_j]_+}, \quad
        \Phi = \frac1\beta \log \sum_i [1 + \beta s_i]_+

    With ``closeness`` scores the potential is the logarithm of an Epanechnikov density, up to a
    constant.

    Args:
        beta: inverse temperature > 0; with ``closeness`` the reach is ``sqrt(2 / beta)``.

    Example:
        >>> import torch
        >>> from kanerva.separation import Compact, Normalised
        >>> Normalised(Compact(beta=1.0))(torch.tensor([0.0, -0.5, -2.0])).tolist()
        [0.5, 0.5, 0.0]

    Source: Hoover and others 2025, "Dense associative memory with Epanechnikov energy".
    """

    beta: Beta
    convex = False
    kernel = "reach"
    priors = True

    @door
    def __post_init__(self) -> None:
        checks.keep(self, beta=checked_beta(self.beta, open_low=True))

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the log of the summed reach over beta; -inf where nothing is within reach."""
        return self._reach(scores, mask).sum(-1).log() / self.beta

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys."""
        reach = self._reach(scores, mask)
        weights = times((reach > 0).to(scores.dtype), mask)
        return Partial(weights, None, reach.sum(-1, keepdim=True))

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"]:
        """Return the log of the reach summed over all keys, over beta."""
        return (self.beta * potentials).logsumexp(0) / self.beta

    def void(self) -> float:
        """Return the logarithm of no reach."""
        return -math.inf

    def log_weights(self, scores: Scores) -> Scores:
        """Return 0 within reach and -inf beyond."""
        return (1 + self.beta * scores > 0).to(scores.dtype).log()

    def log_kernel(self, scores: Scores) -> Scores:
        """Return log [1 + beta s]_+."""
        reach = 1 + self.beta * scores
        inside = reach > 0
        return torch.where(inside, torch.where(inside, reach, 1.0).log(), -math.inf)

    def _reach(self, scores: Scores, mask: Mask) -> Scores:
        """Return [1 + beta s]_+, as often as each key counts."""
        return times(hide((1 + self.beta * scores).relu(), mask), mask)
