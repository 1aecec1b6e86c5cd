"""How a memory weighs what it stores: effective numbers, and weights against distance."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core.settings import settings
from kanerva.memory import Associative

__all__ = ["curve", "effective", "pattern_weights"]


def effective(
    memory: Associative, x: Float[Tensor, "m n"], cues: Sequence[Float[Tensor, "k n"]]
) -> list[float]:
    """Return, for each set of cues, the mean effective number of patterns in a read.

    The effective number is 1 / sum p^2, with p the shares of the patterns in the weight.

    Args:
        memory: that stores ``x``.
        x: the stored patterns, in their order.
        cues: sets of one size.
    """
    weights = pattern_weights(memory, x, torch.cat(list(cues))).abs().double()
    share = weights / weights.sum(-1, keepdim=True).clamp_min(1e-300)
    squares = share.square().sum(-1)
    number = torch.where(squares > 0, 1 / squares.clamp_min(1e-300), 0.0)
    return number.reshape(len(cues), -1).mean(-1).tolist()


def pattern_weights(
    memory: Associative, x: Float[Tensor, "m n"], cues: Float[Tensor, "k n"]
) -> Float[Tensor, "k m"]:
    """Weigh the stored patterns for some cues, a few at a time."""
    rows = max(1, settings.budget // (64 * len(x)))
    return torch.cat([memory.pattern_weights(part, x) for part in torch.split(cues, rows)])


def curve(memory: Associative, x: Float[Tensor, "m n"], seed: int) -> Iterator[dict[str, Any]]:
    """Weigh patterns at every distance from a query; what the memory stored before is removed.

    Args:
        memory: that is filled with one pattern at each distance.
        x: the stored patterns, of which the first is the query.
        seed: of the order in which bits are flipped.

    Yields:
        ``distance``, and ``weight`` as a share of that at distance 0.
    """
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(seed))
    patterns = x[:1].repeat(len(order) + 1, 1).double()
    for distance, coordinate in enumerate(order.tolist(), 1):
        patterns[distance:, coordinate] *= -1
    memory.clear()
    memory.double().write(patterns)
    weights = memory.pattern_weights(patterns[0], patterns)
    shares = weights / weights[0] if weights[0] else weights
    for distance, weight in enumerate(shares.tolist()):
        yield {"distance": distance, "weight": weight}
