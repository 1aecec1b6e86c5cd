r"""The recall of linked memories in continuous time, solved in the space of overlaps.

A state that starts at pattern i plus noise r is at any time a sum of patterns and of what is left
of that noise, c X + exp(-t) r. Its coordinates c obey dc/dt = softmax(beta (c K + exp(-t) r X^T)) B
- mean / m - c, with the dot products K of the patterns and the mixing B. This holds for any number
of neurons, and needs m numbers for a state of n.
"""

import numpy as np
import torch
from torch import Tensor

from kanerva import correlated

__all__ = ["flow"]

ERROR, SMALLEST = 1e-6, 1e-8  # relative and absolute, of a step of the solver


def flow(
    memory: correlated.Linked, patterns: Tensor, noise: Tensor, beta: float, time: float
) -> Tensor:
    """Return the states ``(m, n)`` at a time, from each stored pattern plus the noise."""
    from scipy.integrate import solve_ivp

    count, mixing = len(memory), memory.mixing().numpy()
    inner, rest = (part @ patterns.mT for part in (patterns, noise))
    scores, disturbed = beta * inner.numpy(), beta * rest.numpy()

    def change(now: float, flat: np.ndarray) -> np.ndarray:
        c = flat.reshape(count, count)
        above = c @ scores + np.exp(-now) * disturbed
        weights = np.exp(above - above.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        whole: np.ndarray = weights @ mixing - memory.mean / count - c
        return whole.ravel()

    start, how = np.eye(count).ravel(), {"rtol": ERROR, "atol": SMALLEST}
    found = solve_ivp(change, (0.0, time), start, t_eval=[time], method="RK45", **how)
    last = torch.from_numpy(found.y[:, -1].reshape(count, count).copy())
    return last @ patterns + float(np.exp(-time)) * noise
