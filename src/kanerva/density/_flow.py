"""The state of a mixture that holds a row: a distribution over its memories, and its descent."""

import torch
from torch import Tensor

from kanerva.dynamics import Path

__all__ = ["KINDS", "bound", "flow"]

KINDS = ("mirror", "euclidean")
# The largest change of a share in the last step of a flow that has come to rest.
REST = 1e-12


def bound(joint: Tensor, log_q: Tensor) -> Tensor:
    """Return sum q (log p(x, k) - log q) in nats, for log p(x, k) and log q ``(n, k)``."""
    gain = torch.where(log_q > -torch.inf, joint - log_q, 0.0)
    return (torch.where(log_q > -torch.inf, log_q.exp(), 0.0) * gain).sum(-1)


def flow(joint: Tensor, steps: int, rate: float, kind: str) -> Path:
    """Descend from the uniform distribution over the memories that have any weight.

    Logits are kept, and log q = v - logsumexp(v), which stays exact where q saturates.
    """
    able = joint > -torch.inf
    levels = torch.zeros_like(joint).masked_fill(~able, -torch.inf)
    states, energies = [], []
    for step in range(steps + 1):
        log_q = levels - levels.logsumexp(-1, keepdim=True)
        states.append(log_q.exp())
        energies.append(-bound(joint, log_q))
        if step < steps:
            slope = torch.where(able, joint - log_q, 0.0)
            if kind == "euclidean":
                mean = (states[-1] * slope).sum(-1, keepdim=True)
                slope = states[-1] * (slope - mean)
            levels = torch.where(able, log_q + rate * slope, -torch.inf)
    moved = torch.full_like(joint[:, 0], torch.inf)
    if steps:
        moved = (states[-1] - states[-2]).abs().amax(-1)
    count = torch.full_like(moved, steps, dtype=torch.int64)
    return Path(torch.stack(states), torch.stack(energies), count, moved <= REST)
