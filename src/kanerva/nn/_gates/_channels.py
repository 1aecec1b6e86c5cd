"""Gates of channels without a state: squeeze and excitation, and two with fewer parameters."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays
from kanerva._core.errors import door, refuse
from kanerva.nn._gates._base import (
    Gate,
    Gated,
    Stage,
    affine,
    bottleneck,
    convolve,
    draw,
    pool,
    spread,
)
from kanerva.nn._gates._dia import narrowed
from kanerva.nn._reader import bare

__all__ = ["ECA", "SE", "SRM", "BlockNorm"]

# What is added to the variance of a channel over the places.
EPSILON = 1e-5
MOMENTUM = 0.1


class SE(Gate):
    r"""Gates channels by a bottleneck of their means.

    .. math:: h = \sigma(W_2 [W_1 \text{mean}(a) + b_1]_+ + b_2)

    Source: Hu and others 2018, squeeze and excitation.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        inner = narrowed(stage.channels, stage.reduction or 16)
        self.maps = bottleneck(stage.channels, inner, stage.channels)

    def forward(self, features: Tensor, state: None) -> Gated:
        """Return the gate, ``(b, c, 1, ...)``."""
        return spread(affine(self.maps, pool(features)).sigmoid(), features), state


class ECA(Gate):
    r"""Gates channels by a convolution of their means along the channels.

    .. math:: h = \sigma(w * \text{mean}(a)), \quad
        k = \text{odd}\bigl(\lfloor |\log_2 c + 1| / 2 \rfloor\bigr)

    Source: Wang and others 2020, efficient channel attention.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        size = int(abs(math.log2(stage.channels) + 1) / 2)
        size += 1 - size % 2
        self.kernel = bare(nn.Conv1d, 1, 1, size, padding=size // 2, bias=False)

    def forward(self, features: Tensor, state: None) -> Gated:
        """Return the gate, ``(b, c, 1, ...)``."""
        rows = convolve(self.kernel, pool(features)[:, None])[:, 0]
        return spread(rows.sigmoid(), features), state


class SRM(Gate):
    r"""Gates channels by their means and standard deviations over the places.

    .. math:: h = \sigma\bigl(\text{BN}(u \odot \text{mean}(a) + v \odot \text{std}(a))\bigr)

    Each of the blocks keeps its own statistics of the batch normalisation.

    Source: Lee and others 2019, style-based recalibration. The first weights are drawn here.
    """

    indexed = True

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.style = nn.Parameter(torch.empty(2, stage.channels))
        self.norm = BlockNorm(stage.channels, stage.blocks)

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "SRM":
        """Draw u and v within 1 / sqrt(2) of zero, and forget all statistics."""
        source = arrays.generator(seed)
        draw(self, source)
        drawn = arrays.draw(torch.rand, self.style, source)
        self.style.copy_((2 * drawn - 1) * 0.5**0.5)
        self.norm.reset()
        return self

    def forward(self, features: Tensor, state: None, block: int = 0) -> Gated:
        """Return the gate, ``(b, c, 1, ...)``."""
        mean = pool(features)
        if features.ndim > 2:
            variance = features.flatten(2).to(mean.dtype).var(2, correction=0)
        else:
            variance = torch.zeros_like(mean)
        first, second = self.style.to(mean.dtype)
        rows = first * mean + second * (variance + EPSILON).sqrt()
        return spread(self.norm(rows, block).sigmoid(), features), state


class BlockNorm(nn.Module):
    """Batch normalisation with shared weights, and with statistics of its own for each block.

    With common statistics the running means would mix blocks whose features differ.

    Args:
        width: number of channels.
        blocks: number of blocks.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(blocks, width))
        self.register_buffer("running_var", torch.ones(blocks, width))

    def reset(self) -> None:
        """Set weights to one, biases to zero, and statistics to those of a standard normal."""
        for held, number in (
            (self.weight, 1.0),
            (self.bias, 0.0),
            (self.running_mean, 0.0),
            (self.running_var, 1.0),
        ):
            held.data.fill_(number)

    def forward(self, rows: Float[Tensor, "b c *places"], block: int) -> Tensor:
        """Normalise the rows of a block, by those of the batch in training."""
        axes = [0, *range(2, rows.ndim)]
        if self.training:
            count = rows.numel() // rows.shape[1]
            if count < 2:
                must, do = "of two rows or more in training", "call model.eval(), or add rows"
                refuse("the batch", got=f"of {count}", must=must, do=do)
            mean, variance = rows.mean(axes), rows.var(axes, correction=0)
            self._follow(block, mean, variance * (count / (count - 1)))
        else:
            mean, variance = self.running_mean[block], self.running_var[block]
        shape = (-1, *(1,) * (rows.ndim - 2))
        held = (mean, variance, self.weight, self.bias)
        mean, variance, weight, bias = (one.to(rows.dtype).reshape(shape) for one in held)
        return (rows - mean) * (variance + EPSILON).rsqrt() * weight + bias

    @torch.no_grad()
    def _follow(self, block: int, mean: Tensor, variance: Tensor) -> None:
        """Move the statistics of a block towards those of a batch."""
        for held, new in ((self.running_mean, mean), (self.running_var, variance)):
            held[block] = torch.lerp(held[block], new.detach().to(held.dtype), MOMENTUM)
