"""What a gate of residual branches has to be, and the pieces that several gates are made of."""

from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as plain

from kanerva._core import arrays
from kanerva._core.errors import door
from kanerva.nn._heads import widen
from kanerva.nn._reader import bare

__all__ = ["Gate", "Gated", "Stage", "affine", "bottleneck", "convolve", "pool", "spread"]

Features = Float[Tensor, "b c *places"]
Gated = tuple[Float[Tensor, "..."], Any]


class Stage(NamedTuple):
    """What a gate is built for: the blocks of a model that share it.

    Attributes:
        channels: width c of the residual branches.
        blocks: number of blocks that share the gate.
        places: sizes of the axes behind the channels, such as height and width, in the example that
            the model was called with.
        reduction: what divides the width inside the gate; None for the usual one of the gate.
    """

    channels: int
    blocks: int
    places: tuple[int, ...]
    reduction: int | None = None


class Gate(nn.Module):
    r"""Computes the gate of a residual branch from its features, and a state along depth.

    .. math:: x_{t+1} = x_t + h_t \odot a_t, \quad (h_t, s_t) = \text{gate}(a_t, s_{t-1}),
        \quad a_t = F_t(x_t)

    A new gate is a subclass with a ``forward``. ``share`` calls it after every block of a stage,
    and hands on the state from block to block. The state is any nest of tuples and tensors, and
    None at the first block of every forward pass. A gate computes in float32 or wider.

    A gate that keeps something for each of the blocks that share it, such as statistics of its
    batch normalisation, sets ``indexed``, and takes the number of the block as a third argument.

    Attributes:
        indexed: whether ``forward`` takes the number of the block, from 0, as a third argument.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> class Half(nn.Gate):
        ...     def forward(self, features, state):
        ...         return torch.full_like(features[:, :1], 0.5), state
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4))
        >>> shared = nn.share(model, ["0"], torch.ones(2, 4), gate=lambda stage: Half())
        >>> plain = torch.nn.functional.linear(torch.ones(1, 4), model[0].weight, model[0].bias)
        >>> torch.equal(model(torch.ones(1, 4)), plain / 2)
        True
    """

    indexed: ClassVar[bool] = False

    def forward(self, features: Features, state: Any) -> Gated:
        """Return the gate of a block, and the state for the next one.

        Args:
            features: ``(b, c, *places)``, the output of the residual branch.
            state: what the last block of the stage returned; None at the first one.

        Returns:
            a gate that broadcasts to ``features``, and the state.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "Gate":
        """Draw the weights of all linear maps and convolutions again, as torch does.

        Weights and biases are uniform within 1 / sqrt(n) of zero, for n inputs of an output.

        Args:
            seed: an integer >= 0, or a CPU generator to be shared by several gates.

        Returns:
            the gate itself.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4))
            >>> shared = nn.share(model, ["0"], torch.ones(1, 4), reduction=1)
            >>> gate = shared.gates["stage1"]
            >>> first = gate.cell.input[0].weight.clone()
            >>> (gate.reset(1).cell.input[0].weight == first).any().item()
            False
        """
        draw(self, arrays.generator(seed))
        return self


def draw(module: nn.Module, source: torch.Generator) -> None:
    """Draw the weights and biases of all linear maps and convolutions in a module."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            bound = part.weight[0].numel() ** -0.5
            for weight in (part.weight, part.bias):
                if weight is not None:
                    weight.copy_((2 * arrays.draw(torch.rand, weight, source) - 1) * bound)


def pool(features: Features) -> Float[Tensor, "b c"]:
    """Return the mean of each channel over all places, in float32 or wider."""
    if features.ndim == 2:
        return widen(features)
    kind = torch.promote_types(features.dtype, torch.float32)
    return features.flatten(2).mean(2, dtype=kind)


def spread(gate: Float[Tensor, "b c"], features: Features) -> Float[Tensor, "b c *ones"]:
    """Return a gate of channels with an axis of length one for each axis of the places."""
    return gate.reshape(*gate.shape, *(1,) * (features.ndim - 2))


def bottleneck(width: int, inner: int, out: int) -> nn.Sequential:
    """Return two linear maps with biases and a rectifier between them, not initialised."""
    first, last = bare(nn.Linear, width, inner), bare(nn.Linear, inner, out)
    return nn.Sequential(first, nn.ReLU(), last)


def affine(maps: nn.Sequential, rows: Float[Tensor, "b n"]) -> Float[Tensor, "b m"]:
    """Apply the maps of a bottleneck in the dtype of the rows, which is float32 or wider."""
    first: Any = maps[0]
    last: Any = maps[2]
    rows = plain.linear(rows, first.weight.to(rows.dtype), first.bias.to(rows.dtype)).relu()
    return plain.linear(rows, last.weight.to(rows.dtype), last.bias.to(rows.dtype))


def convolve(part: Any, rows: Tensor) -> Tensor:
    """Apply a convolution in the dtype of the rows."""
    kernel = (plain.conv1d, plain.conv2d, plain.conv3d)[rows.ndim - 3]
    return kernel(rows, part.weight.to(rows.dtype), None, part.stride, part.padding)
