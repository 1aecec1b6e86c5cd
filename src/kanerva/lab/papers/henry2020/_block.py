"""A block of a transformer whose heads have an inverse temperature of their own."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva.nn import Attention

__all__ = ["HEADS", "NORMS", "Block", "Heads"]

HEADS = 4
NORMS = ("l2", "layer", "none")


@dataclass(frozen=True)
class Heads:
    """How the heads of a model compare queries and keys.

    * ``norm``: of queries and keys: ``"l2"``, to length one, ``"layer"``, layer norm, or
      ``"none"``.
    * ``start``: the first beta of all heads, per unit of cosine; used by ``"l2"``.
    * ``learned``: whether beta is trained.
    * ``width``: of a head.
    """

    norm: str
    start: float
    learned: bool
    width: int


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a layer norm and added to its input.

    Args:
        heads: of the attention.
        seed: of the weights of the attention; torch's own generator draws the others.
        causal: whether a place attends to those before it and itself only.
    """

    def __init__(self, heads: Heads, seed: int, causal: bool) -> None:
        super().__init__()
        width, normalised = HEADS * heads.width, heads.norm == "l2"
        start = heads.start if normalised else None
        attention = Attention(width, HEADS, normalise=normalised, beta=start)
        self.attention, self.causal = attention.reset(seed), causal
        if heads.norm == "layer":
            self.attention.query = Normed(self.attention.query, heads.width)
            self.attention.key = Normed(self.attention.key, heads.width)
        if self.attention.log_beta is not None:
            self.attention.log_beta.requires_grad_(heads.learned)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, state: Float[Tensor, "rows places d"]) -> Float[Tensor, "rows places d"]:
        """Add what the attention and the feed-forward layer read."""
        first, second = self.norms
        state = state + self.attention(first(state), causal=self.causal)
        read: Tensor = self.narrow(nn.functional.gelu(self.wide(second(state))))
        return state + read

    @torch.no_grad()
    def beta(self, state: Float[Tensor, "rows places d"]) -> list[float]:
        """Return the mean inverse temperature of each head per unit of cosine.

        It is read off the lengths of queries and keys if it is not a parameter.
        """
        if self.attention.log_beta is not None:
            return list(self.attention.log_beta.exp().tolist())
        inner = self.norms[0](state)
        lengths = [
            layer(inner).unflatten(-1, (HEADS, -1)).norm(dim=-1)
            for layer in (self.attention.query, self.attention.key)
        ]
        width = inner.shape[-1] // HEADS
        # A query attends to the keys before it, so the means over all pairs are nearly those.
        means = lengths[0].mean((0, 1)) * lengths[1].mean((0, 1)) / math.sqrt(width)
        return list(means.tolist())


class Normed(nn.Linear):
    """A linear map with a layer norm of each head of its output."""

    def __init__(self, linear: nn.Linear, width: int) -> None:
        # No weights are drawn, so models of one seed are equal in all others.
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map, and normalise each head."""
        mapped = super().forward(x)
        heads: Tensor = self.norm(mapped.reshape(*mapped.shape[:-1], HEADS, -1))
        return heads.flatten(-2)
