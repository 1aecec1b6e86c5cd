"""The three quarks without checks, for code that has checked its input.

Sums of products by weights are the plain unit; all circuits are made of the functions here.
"""

from torch import Tensor
from torch.nn.functional import linear

__all__ = ["gated", "multiplexed", "summed", "total", "weighed"]


def summed(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the activations of plain units, ``x W^T + b``: ``(..., m)``."""
    return linear(x, weight, bias)


def total(x: Tensor) -> Tensor:
    """Return the activations of linear units with weights of one: ``(...)``."""
    return x.sum(-1)


def multiplexed(
    x: Tensor,
    signal: Tensor,
    weight: Tensor,
    onto: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Return ``x W^T + b + a V^T``: ``(..., m)``; without V, each unit has a signal of its own."""
    # The signal's sum is taken apart, so that large weights onto it cancel before they are added.
    return linear(x, weight, bias) + (signal if onto is None else linear(signal, onto))


def gated(attended: Tensor, attending: Tensor) -> Tensor:
    """Return the products of outputs."""
    return attended * attending


def weighed(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``((G * W) x) + b``: ``(..., m)``; gated weights are built for a full gate alone."""
    if gate.shape[-2] == 1:
        found = linear(x * gate.squeeze(-2), weight)
    elif gate.shape[-1] == 1:
        found = linear(x, weight) * gate.squeeze(-1)
    else:
        found = ((gate * weight) @ x.unsqueeze(-1)).squeeze(-1)
    return found if bias is None else found + bias
