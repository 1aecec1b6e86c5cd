"""Softmax whose far weights are exactly zero."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door
from kanerva.separation._base import (
    Beta,
    Mask,
    Partial,
    Scores,
    Separation,
    checked_beta,
    hide,
    positive,
)
from kanerva.separation._softmax import Softmax


@dataclass(frozen=True)
class Entmax(Separation):
    r"""Weighs by the alpha-entmax: softmax at alpha = 1, sparsemax at 2, sparser as alpha grows.

    .. math:: w = \arg\max_{p \in \Delta} \beta\, p \cdot s + H_\alpha(p), \quad
        \Phi = \frac1\beta \max_{p \in \Delta} \bigl(\beta\, p \cdot s + H_\alpha(p)\bigr), \quad
        H_\alpha(p) = \frac{1 - \sum_i p_i^\alpha}{\alpha(\alpha - 1)}

    Weights far below the largest are exactly zero, so a stored pattern can be read back exactly.

    Args:
        alpha: >= 1; 1, 1.5 and 2 are solved by sorting, others by bisection.
        beta: inverse temperature >= 0.

    Example:
        >>> import torch
        >>> from kanerva.separation import Entmax
        >>> Entmax(alpha=2.0, beta=1.0)(torch.tensor([0.0, 0.5, 2.0])).tolist()
        [0.0, 0.0, 1.0]

    Source: Peters, Niculae and Martins 2019; Hu and others 2023 and Santos and others 2024 for the
    memories.
    """

    alpha: float
    beta: Beta = 1.0
    normalised = True
    compares = False
    scales = True

    @door
    def __post_init__(self) -> None:
        do = "give 1 for softmax, 2 for sparsemax, or more"
        alpha = checks.plain("alpha", self.alpha, 1, do=do)
        checks.keep(self, alpha=alpha, beta=checked_beta(self.beta))

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Return the maximising distribution."""
        if self.alpha == 1:
            return Softmax(self.beta).forward(scores, mask)
        kept = mask if mask is None else mask | ~mask.any(-1, keepdim=True)
        logits = hide(self.beta * scores, kept, -math.inf)
        if arrays.forward():
            return hide(_linear(logits, self.alpha), mask)
        weights: Tensor = _EntmaxFunction.apply(logits, self.alpha)  # type: ignore[no-untyped-call]
        return hide(weights, mask)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the largest value of beta p.s + H(p), over beta."""
        positive(self.beta)
        if self.alpha == 1:
            return Softmax(self.beta).phi(scores, mask)
        p = self.forward(scores, mask).detach()
        # Not 1 - sum p^alpha, which loses all its digits as alpha nears 1.
        loss = (p * torch.expm1((self.alpha - 1) * p.log())).sum(-1)
        entropy = -loss / (self.alpha * (self.alpha - 1))
        value = (p * hide(scores, mask)).sum(-1) + entropy / self.beta
        return value if mask is None else torch.where(mask.any(-1), value, -math.inf)

    def partial(self, scores: Scores, mask: Mask = None) -> Partial | None:
        """Weigh some of the keys, as softmax can at alpha = 1."""
        return Softmax(self.beta).partial(scores, mask) if self.alpha == 1 else None

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"] | None:
        """Return the potential of softmax at alpha = 1."""
        return Softmax(self.beta).join(potentials) if self.alpha == 1 else None

    def reach(self, scores: Scores) -> Float[Tensor, "*batch 1"] | None:
        """Return the largest score less 1 / (beta (alpha - 1)).

        Keys below it have no weight (Peters, Niculae and Martins 2019).
        """
        beta = float(self.beta)
        if self.alpha == 1 or beta == 0:
            return None
        # A rounding further, that none is lost.
        return scores.amax(-1, keepdim=True) - (1 + 1e-5) / (self.alpha - 1) / beta


class _EntmaxFunction(torch.autograd.Function):
    """Entmax of logits along the last dimension, with its Jacobian.

    The Jacobian is diag(u) - u u^T / sum(u), u = p^(2 - alpha).
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, alpha: float) -> Tensor:
        # In float32 at least, less the largest logit: large scores keep the digits that differ.
        exact = logits if logits.dtype == torch.float64 else logits.float()
        z = (exact - exact.amax(-1, keepdim=True)) * (alpha - 1)
        threshold = {1.5: _threshold_15, 2.0: _threshold_2}.get(float(alpha))
        p = (z - threshold(z)).relu() ** (1 / (alpha - 1)) if threshold else _bisect(z, alpha)
        return (p / p.sum(-1, keepdim=True)).to(logits.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.alpha = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        return _turned(p, ctx.alpha, grads[0]), None


def _turned(p: Tensor, alpha: float, change: Tensor) -> Tensor:
    """Multiply by the Jacobian, which is symmetric."""
    u = torch.where(p > 0, torch.where(p > 0, p, 1.0) ** (2 - alpha), 0.0)
    mean = (u * change).sum(-1, keepdim=True) / u.sum(-1, keepdim=True)
    return u * (change - mean)


def _linear(logits: Tensor, alpha: float) -> Tensor:
    """Return entmax as its tangent, for forward-mode derivatives of the first order.

    torch cannot compile a function with a ``jvp`` of its own.
    """
    known = logits.detach()
    p = _EntmaxFunction.forward(known, alpha)
    # Hidden keys are at -inf, and stay there.
    change = torch.where(known > -math.inf, logits - known, 0.0)
    return p + _turned(p, alpha, change)


def _threshold_2(z: Tensor) -> Tensor:
    """Find tau with sum [z - tau]_+ = 1 (Martins and Astudillo 2016, algorithm 1)."""
    ordered = z.sort(-1, descending=True).values.clamp_min(-2.0)
    count = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
    tau = (ordered.cumsum(-1) - 1) / count
    support = (tau < ordered).sum(-1, keepdim=True).clamp_min(1)
    return tau.gather(-1, support - 1)


def _threshold_15(z: Tensor) -> Tensor:
    """Find tau with sum [z - tau]_+^2 = 1 (Peters, Niculae and Martins 2019, algorithm 2)."""
    ordered = z.sort(-1, descending=True).values.clamp_min(-2.0)
    count = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
    mean = ordered.cumsum(-1) / count
    spread = ordered.square().cumsum(-1) - count * mean.square()
    tau = mean - ((1 - spread) / count).clamp_min(0).sqrt()
    support = (tau <= ordered).sum(-1, keepdim=True).clamp_min(1)
    return tau.gather(-1, support - 1)


def _bisect(z: Tensor, alpha: float) -> Tensor:
    """Find p = [z - tau]_+^(1/(alpha-1)) with sum 1 or a little more, for z whose largest is 0.

    tau lies in [-1, 0).
    """

    def weights(low: Tensor) -> Tensor:
        # Near alpha = 1 the base is near 1, and 1 + tau near 0: so 1 + tau is searched for.
        return (
            ((z - low).clamp_min(-1).log1p() / (alpha - 1)).exp()
            if alpha < 2
            else (z - low).relu() ** (1 / (alpha - 1))
        )

    low, width = torch.full_like(z[..., :1], 0.0 if alpha < 2 else -1.0), 1.0
    for _ in range(60 if z.dtype == torch.float64 else 32):
        width /= 2
        low = torch.where(weights(low + width).sum(-1, keepdim=True) >= 1, low + width, low)
    return weights(low)
