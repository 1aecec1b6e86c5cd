"""Gates that differ from place to place: of groups of channels, and of channels and places."""

import math

import torch
from torch import Tensor, nn

from kanerva._core.errors import door, refuse
from kanerva.nn._gates._base import (
    Gate,
    Gated,
    Stage,
    affine,
    bottleneck,
    convolve,
    pool,
    spread,
)
from kanerva.nn._gates._channels import BlockNorm
from kanerva.nn._gates._dia import narrowed
from kanerva.nn._reader import bare

__all__ = ["CBAM", "SGE"]

GROUPS = 64
EPSILON = 1e-5
# Width of the convolution over places.
KERNEL = 7


class SGE(Gate):
    r"""Gates every place of a group of channels by its product with the mean of the group.

    .. math:: h_{gp} = \sigma(u_g \hat z_{gp} + v_g), \quad
        z_{gp} = a_{gp} \cdot \text{mean}_p(a_g)

    z is standardised over the places. At first u is 0 and v is 1. There are 64 groups, or as many
    as the largest common divisor of 64 and the width.

    Source: Li and others 2019, spatial group-wise enhance.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        if not stage.places:
            must, do = "with places, such as height and width", 'choose another, such as "se"'
            refuse("gate", got="'sge', on features without places", must=must, do=do)
        self.groups = math.gcd(GROUPS, stage.channels)
        self.scale = nn.Parameter(torch.zeros(self.groups))
        self.shift = nn.Parameter(torch.ones(self.groups))

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "SGE":
        """Set u to 0 and v to 1; nothing is drawn."""
        self.scale.zero_()
        self.shift.fill_(1.0)
        return self

    def forward(self, features: Tensor, state: None) -> Gated:
        """Return the gate, ``(b, c, *places)``."""
        mean = pool(features)
        batch, channels, *places = features.shape
        shape = (batch, self.groups, channels // self.groups)
        rows = features.to(mean.dtype).reshape(*shape, -1)
        near = (rows * mean.reshape(*shape, 1)).sum(2)
        near = near - near.mean(2, keepdim=True)
        count = near.shape[2]
        near = near / (near.std(2, correction=min(1, count - 1), keepdim=True) + EPSILON)
        scale, shift = (one.to(near.dtype)[:, None] for one in (self.scale, self.shift))
        gate = (scale * near + shift).sigmoid()[:, :, None].expand(*shape, count)
        return gate.reshape(batch, channels, *places), state


class CBAM(Gate):
    r"""Gates channels by their means and maxima, then places by those over the gated channels.

    .. math:: h = h_c \odot h_p, \quad
        h_c = \sigma\bigl(G(\text{mean}_p a) + G(\max_p a)\bigr), \quad
        h_p = \sigma\bigl(\text{BN}(w * [\max_c(h_c a), \text{mean}_c(h_c a)])\bigr)

    Each of the blocks keeps its own statistics of the batch normalisation. Without places, or with
    more than three axes of them, there is h_c alone.

    Source: Woo and others 2018, convolutional block attention module.
    """

    indexed = True

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        inner = narrowed(stage.channels, stage.reduction or 16)
        self.maps = bottleneck(stage.channels, inner, stage.channels)
        self.kernel, self.norm = None, None
        if 1 <= len(stage.places) <= 3:
            kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(stage.places) - 1]
            self.kernel = bare(kind, 2, 1, KERNEL, padding=KERNEL // 2, bias=False)
            self.norm = BlockNorm(1, stage.blocks)

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "CBAM":
        """Draw the maps and the convolution, and forget all statistics."""
        super().reset(seed)
        if self.norm is not None:
            self.norm.reset()
        return self

    def forward(self, features: Tensor, state: None, block: int = 0) -> Gated:
        """Return the gate, ``(b, c, *places)``."""
        if self.kernel is not None and features.ndim != self.kernel.weight.ndim:
            must = f"on {self.kernel.weight.ndim} axes, as the first block of the stage"
            got, do = f"on {features.ndim} axes", 'choose scope="stage", or another gate'
            refuse("gate", got=got, must=must, do=do)
        if not math.prod(features.shape[2:]):
            do = "give inputs with places"
            refuse("gate", got="'cbam', on no places", must="on one place or more", do=do)
        mean = pool(features)
        largest = features if features.ndim == 2 else features.flatten(2).amax(2)
        gate = (affine(self.maps, mean) + affine(self.maps, largest.to(mean.dtype))).sigmoid()
        gate = spread(gate, features)
        if self.kernel is None or self.norm is None:
            return gate, state
        rows = features.to(mean.dtype) * gate
        over = torch.stack((rows.amax(1), rows.mean(1)), 1)
        return gate * self.norm(convolve(self.kernel, over), block).sigmoid(), state
