"""Rules that weigh each score by itself: their potentials are sums over the keys."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.separation._base import (
    Beta,
    Mask,
    Partial,
    Scores,
    Sum,
    checked_beta,
    hide,
    of_logs,
    times,
)


@dataclass(frozen=True)
class Linear(Sum):
    r"""Weighs by the score itself: the Hebbian rule.

    .. math:: w_i = s_i, \quad \Phi = \tfrac12 \sum_i s_i^2

    Example:
        >>> import torch
        >>> from kanerva.separation import Linear
        >>> Linear()(torch.tensor([2.0, -1.0])).tolist()
        [2.0, -1.0]

    Source: Hopfield 1982, with the sum over patterns taken last.
    """

    compares = False
    whole = True
    priors = True

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Return the scores."""
        return times(hide(scores, mask), mask)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return half the sum of squares."""
        return times(hide(scores, mask).square(), mask).sum(-1) / 2

    def level_gains(self, levels: Sequence[float]) -> list[float]:
        """Return the scores, up to a factor of two."""
        return list(levels)

    def difference(self, scores: Scores, mask: Mask = None) -> Partial:
        """Return the scores, and a self-coupling of one for each pattern.

        The self-coupling is the diagonal of the sum of outer products.
        """
        if mask is None:
            count = float(scores.shape[-1])
            return Partial(scores, coupling=scores.new_full((*scores.shape[:-1], 1), count))
        ones = times(hide(torch.ones_like(scores), mask), mask)
        return Partial(self.forward(scores, mask), coupling=ones.sum(-1, keepdim=True))


@dataclass(frozen=True)
class Power(Sum):
    r"""Weighs by a power of the positive part of the score.

    .. math:: w_i = [s_i]_+^{n-1}, \quad \Phi = \frac1n \sum_i [s_i]_+^n

    Args:
        order: n >= 2.

    Example:
        >>> import torch
        >>> from kanerva.separation import Power
        >>> Power(order=3)(torch.tensor([2.0, -1.0])).tolist()
        [4.0, 0.0]

    Source: Krotov and Hopfield 2016, rectified polynomials.
    """

    order: float
    priors = True

    @door
    def __post_init__(self) -> None:
        do = "give the power of the interaction; 2 is the classical network"
        checks.keep(self, order=checks.plain("order", self.order, 2, do=do))

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Return the (n - 1)-th power of the positive part."""
        return times(hide(scores, mask).relu() ** (self.order - 1), mask)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the sum of n-th powers over n."""
        return times(hide(scores, mask).relu() ** self.order, mask).sum(-1) / self.order

    def log_weights(self, scores: Scores) -> Scores:
        """Return (n - 1) log of the positive part."""
        positive = scores > 0
        logs = (self.order - 1) * torch.where(positive, scores, 1.0).log()
        return torch.where(positive, logs, -math.inf)

    def difference(self, scores: Scores, mask: Mask = None) -> Partial:
        """Return F(s+2) - F(s-2), and F(s+2) - 2F(s) + F(s-2) summed.

        F is the n-th power, over a power of two, which rounds nothing, near the largest score.
        """
        largest = hide(scores, mask).amax(-1, keepdim=True).relu() + 2
        scale = largest.detach().log2().ceil().exp2()
        up, here, down = (((scores + by) / scale).relu() ** self.order for by in (2, 0, -2))
        bend = times(hide(up - 2 * here + down, mask), mask).sum(-1, keepdim=True)
        return Partial(
            times(hide(up - down, mask), mask), shift=self.order * scale.log(), coupling=bend
        )

    def level_weights(self, levels: Sequence[float]) -> list[float]:
        """Return powers of the positive parts; integers for a whole order and whole scores."""
        return _powers(levels, self.order - 1, max(levels, default=1.0))

    def level_gains(self, levels: Sequence[float]) -> list[float]:
        """Return differences of powers; integers for a whole order and whole scores."""
        top = max(levels, default=0.0) + 1
        up, down = (_powers([level + by for level in levels], self.order, top) for by in (1, -1))
        return [high - low for high, low in zip(up, down, strict=True)]


@dataclass(frozen=True)
class Exponential(Sum):
    r"""Weighs by the exponential of the score.

    .. math:: w_i = e^{\beta s_i}, \quad \Phi = \frac1\beta \sum_i e^{\beta s_i}

    The exponentials of large scores overflow; ``Difference`` and ``Normalised`` keep them finite.

    Args:
        beta: inverse temperature > 0, in nats per unit of score.

    Example:
        >>> import torch
        >>> from kanerva.separation import Exponential
        >>> Exponential(beta=1.0)(torch.tensor([0.0, 1.0])).tolist()
        [1.0, 2.718...]

    Source: Demircigil and others 2017.
    """

    beta: Beta = 1.0
    priors = True

    @door
    def __post_init__(self) -> None:
        checks.keep(self, beta=checked_beta(self.beta, open_low=True))

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Return the exponentials."""
        return times(hide((self.beta * scores).exp(), mask), mask)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the sum of exponentials over beta."""
        return self.forward(scores, mask).sum(-1) / self.beta

    def log_weights(self, scores: Scores) -> Scores:
        """Return beta times the scores."""
        return self.beta * scores

    def difference(self, scores: Scores, mask: Mask = None) -> Partial:
        """Return softmax weights, and a self-coupling of tanh(beta) of their mass.

        tanh(beta) is the ratio of the two second differences of the exponential.
        """
        part = of_logs(self.beta * scores, mask, scores.dtype)
        assert part.mass is not None
        # A number is not rounded to torch's default dtype on its way.
        beta = torch.as_tensor(self.beta, dtype=scores.dtype, device=scores.device)
        return part._replace(coupling=part.mass * beta.tanh())

    def level_gains(self, levels: Sequence[float]) -> list[float]:
        """Return exponentials of the scores, up to a common factor."""
        beta, top = _number(self.beta), max(levels, default=0.0)
        return [math.exp(beta * (level - top)) for level in levels]


@dataclass(frozen=True)
class Step(Sum):
    r"""Weighs a score by one if it reaches the threshold, else by zero.

    .. math:: w_i = [s_i \ge \theta], \quad \Phi = \sum_i [s_i - \theta]_+

    A hard location is active or not. With ``agreement`` scores of n bits, the threshold
    n - radius activates the locations within that Hamming distance.

    Args:
        threshold: a finite number, in units of the score.

    Example:
        >>> import torch
        >>> from kanerva.separation import Step
        >>> Step(threshold=2)(torch.tensor([1.0, 2.0, 3.0])).tolist()
        [0.0, 1.0, 1.0]

    Source: Kanerva 1988.
    """

    threshold: float
    binary = True
    whole = True
    priors = True
    _single: float = field(init=False, repr=False, compare=False)

    @door
    def __post_init__(self) -> None:
        threshold = checks.plain("threshold", self.threshold)
        # The least number of float32 that reaches the threshold: rounded down, it would be passed
        # by scores below it.
        with np.errstate(over="ignore"):  # beyond the range of float32 lies infinity
            single = np.float32(threshold)
        if float(single) < threshold:
            single = np.nextafter(single, np.float32(np.inf))
        checks.keep(self, threshold=threshold, _single=float(single))

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Return 1 where the threshold is reached."""
        return times(hide(self._reached(scores).to(scores.dtype), mask), mask)

    def _reached(self, scores: Tensor) -> Tensor:
        """Return which scores reach the threshold, exactly."""
        return scores >= (self._single if scores.dtype == torch.float32 else self.threshold)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the sum of the excesses over the threshold."""
        # relu would have slope 0 at the threshold, where a location is active.
        excess = torch.where(self._reached(scores), scores - self.threshold, 0.0)
        return times(hide(excess, mask), mask).sum(-1)

    def log_weights(self, scores: Scores) -> Scores:
        """Return 0 where active and -inf elsewhere."""
        return self.forward(scores).log()


def _powers(levels: Sequence[float], order: float, top: float) -> list[float]:
    """Return powers of positive parts: integers for whole numbers, else over that of ``top``."""
    if float(order).is_integer() and all(float(level).is_integer() for level in levels):
        return [max(0, int(level)) ** int(order) for level in levels]
    return [(max(0.0, level) / top) ** order if top > 0 else 0.0 for level in levels]


def _number(beta: Beta) -> float:
    """Return an inverse temperature as a number."""
    return float(beta.detach() if isinstance(beta, Tensor) else beta)
