"""The networks that are trained: the layer, the layer without one of its parts, and perceptrons."""

from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from kanerva._core import checks
from kanerva.nn import SDMLayer
from kanerva.separation import Inhibition

__all__ = ["NETWORKS", "Network", "Parts", "built"]

# Which of its parts a network has: inputs and addresses of length one, weights that are never
# negative, no bias, and inhibition.
NETWORKS = {
    "sdm": (True, True, True, True),
    "no-norm": (False, True, True, True),
    "no-sign": (True, False, True, True),
    "with-bias": (True, True, False, True),
    "top-k": (False, False, False, True),
    "mlp": (False, False, False, False),
}

Rows = Float[Tensor, "rows dim"]


class Network(Protocol):
    """What is trained."""

    def __call__(self, x: Rows) -> Float[Tensor, "rows classes"]:
        """Return the scores of the classes."""

    def weights(self, x: Rows) -> Float[Tensor, "rows neurons"]:
        """Return how strongly each neuron fires."""


class Flags(NamedTuple):
    """Which parts of the layer a network has."""

    norm: bool
    sign: bool
    bare: bool
    inhibited: bool


class Parts(nn.Module):
    """The layer of the publication, with each of its parts to be left out.

    Args:
        sizes: of the input, the hidden layer and the output.
        flags: which parts there are.
        k: neurons that are not inhibited.
        switch: samples after which a neuron is inhibited in full; 0 for no switch.
        source: of the first weights.
    """

    count: Tensor

    def __init__(
        self,
        sizes: tuple[int, int, int],
        flags: Flags,
        k: int,
        switch: float,
        source: torch.Generator,
    ) -> None:
        super().__init__()
        dim, neurons, classes = sizes
        self.flags, self.k, self.switch = flags, k, switch
        # With unit rows the scale does not matter; without, that of a usual linear map is taken.
        scale = 1.0 if flags.norm else dim**-0.5
        draw = [
            2 * torch.rand(n, m, generator=source) - 1
            for n, m in ((neurons, dim), (neurons, classes))
        ]
        self.address = nn.Parameter(draw[0] * scale)
        self.value = nn.Parameter(draw[1] * neurons**-0.5)
        if not flags.bare:
            self.first = nn.Parameter(torch.zeros(neurons))
            self.last = nn.Parameter(torch.zeros(classes))
        self.register_buffer("count", torch.zeros(neurons, dtype=torch.int64))
        self.project()

    @torch.no_grad()
    def project(self) -> None:
        """Restore signs and lengths, where they are parts."""
        if self.flags.sign:
            self.address.clamp_(min=0)
            self.value.clamp_(min=0)
        if self.flags.norm:
            self.address.copy_(normalize(self.address, dim=-1))

    def weights(self, x: Rows) -> Float[Tensor, "rows neurons"]:
        """Return how strongly each neuron fires."""
        norm = self.flags.norm
        rows, address = (normalize(one, dim=-1) if norm else one for one in (x, self.address))
        scores = rows @ address.T
        if not self.flags.bare:
            scores = scores + self.first
        if not self.flags.inhibited:
            return scores.relu()
        gain: Any = 1.0
        if self.switch:
            gain = (2 * self.count / self.switch - 1).clamp(-1, 1)
        return Inhibition(self.k, gain).unchecked_weights(scores)

    def forward(self, x: Rows) -> Float[Tensor, "rows classes"]:
        """Return the scores of the classes, and in training count the neurons that fire."""
        weights = self.weights(x)
        if self.training:
            self.count += (weights.detach() > 0).sum(0)
        read = weights @ self.value
        return read if self.flags.bare else read + self.last


def built(
    name: str, sizes: tuple[int, int, int], k: int, switch: float, source: torch.Generator
) -> SDMLayer | Parts:
    """Build a network by its name.

    Args:
        name: one of ``NETWORKS``.
        sizes: of the input, the hidden layer and the output.
        k: neurons that are not inhibited.
        switch: samples after which a neuron is inhibited in full; 0 for no switch.
        source: of the first weights.
    """
    flags = Flags(*NETWORKS[checks.choice("network", name, tuple(NETWORKS))])
    if name == "sdm":
        return SDMLayer(*sizes, k, switch or None, source)
    return Parts(sizes, flags, k, switch, source)
