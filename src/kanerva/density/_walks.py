"""Random walks whose limit is a density: Langevin steps in space, Gibbs sweeps on the cube."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

__all__ = ["gibbs", "langevin"]

States = Float64[Tensor, "n d"]


def langevin(
    slope: Callable[[Tensor], tuple[Tensor, Tensor]],
    state: States,
    steps: int,
    size: float,
    source: torch.Generator,
    adjusted: bool,
) -> States:
    r"""Walk by Langevin steps, with or without the correction of Metropolis and Hastings.

    .. math:: x' = x + \tfrac h2 \nabla \log p(x) + \sqrt h\, z

    Args:
        slope: from states to log p up to a constant ``(n,)``, and its gradient ``(n, d)``.
        state: where the walks start, one a row.
        steps: how many.
        size: h, the variance of the noise of one step.
        source: of the noise.
        adjusted: whether a step is refused with the probability that makes p the exact limit.
    """
    level, rise = slope(state)
    for _ in range(steps):
        noise = torch.randn(state.shape, generator=source, dtype=torch.float64).to(state.device)
        new = state + size / 2 * rise + size**0.5 * noise
        other, turn = slope(new)
        if adjusted:
            back = (state - new - size / 2 * turn).square().sum(-1)
            ratio = other - level - (back / size - noise.square().sum(-1)) / 2
            drawn = torch.rand(len(state), generator=source, dtype=torch.float64)
            taken = drawn.to(state.device).log() < ratio
            new = torch.where(taken.unsqueeze(-1), new, state)
            other = torch.where(taken, other, level)
            turn = torch.where(taken.unsqueeze(-1), turn, rise)
        state, level, rise = new, other, turn
    return state


def gibbs(
    log_weight: Callable[[Tensor], Tensor],
    state: States,
    shares: Sequence[float],
    source: torch.Generator,
) -> States:
    r"""Draw every bit anew, given all others, in a random order, sweep after sweep.

    .. math:: P(x_j \mid x_{\ne j}) = \frac{p(x)}{p(x) + p(x \text{ with bit } j \text{ flipped})}

    Args:
        log_weight: from -1/+1 states ``(n, d)`` to log p ``(n,)`` up to a constant.
        state: where the walks start, one a row.
        shares: of each sweep, by which log p is multiplied: 1 for a sweep at the temperature of
            the density, less for a hotter one.
        source: of the draws.
    """
    state = state.clone()
    level = log_weight(state)
    for share in shares:
        for place in torch.randperm(state.shape[1], generator=source).tolist():
            flipped = state.clone()
            flipped[:, place] *= -1
            other = log_weight(flipped)
            drawn = torch.rand(len(state), generator=source, dtype=torch.float64)
            turns = drawn.to(state.device) < torch.sigmoid(share * (other - level))
            state[:, place] = torch.where(turns, flipped[:, place], state[:, place])
            level = torch.where(turns, other, level)
    return state
