"""The networks of the autoencoders: layers, and initial weights from an explicit generator."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from kanerva._core.errors import refuse

__all__ = ["LAYOUTS", "network", "start"]

# Units of the inner layers, and filters of the convolutions, of the small layout.
UNITS, FILTERS = 256, (16, 32)
# The small layout halves pictures until both sides are at most so many pixels.
SIDE = 8
# Fewer features are not normalised: the norm of one is constant, and that of two only a sign.
NORMALISED = 4
# Filters of the published layout; pictures are halved once.
PAPER = (32, 16, 8, 4)


def _small(shape: tuple[int, ...], features: int) -> dict[str, nn.Module]:
    """Make convolutions for pictures, one inner layer for vectors, and a decoder of two layers."""
    n = math.prod(shape)
    inner: list[nn.Module] = []
    if len(shape) == 1:
        inner += [_linear(n, UNITS), nn.ReLU()]
        width = UNITS
    else:
        high, wide, colours = (*shape, 1)[:3]
        inner += [nn.Unflatten(1, (high, wide, colours)), _First()]
        inner += [_convolution(colours, FILTERS[0]), nn.ReLU()]
        last = FILTERS[0]
        while last != FILTERS[1] or max(high, wide) > SIDE:
            inner += [_convolution(last, FILTERS[1], stride=2), nn.ReLU()]
            high, wide, last = math.ceil(high / 2), math.ceil(wide / 2), FILTERS[1]
        inner.append(nn.Flatten())
        width = last * high * wide
    outer = (_linear(features, UNITS), nn.ReLU(), _linear(UNITS, n), nn.Sigmoid())
    return {
        "encoder": nn.Sequential(*inner, _linear(width, features)),
        "norm": _norm(features),
        "decoder": nn.Sequential(*outer),
    }


def _paper(shape: tuple[int, ...], features: int) -> dict[str, nn.Module]:
    """Make the published convolutions, and their mirror image."""
    must = "of a picture of even sides for the layout 'paper', such as (32, 32, 3)"
    if len(shape) == 1 or shape[0] % 2 or shape[1] % 2:
        refuse("shape", shape, must=must, do="take the layout 'small'")
    high, wide, colours = (*shape, 1)[:3]
    if features != high * wide:
        must = f"{high * wide}, {PAPER[-1]} filters at {high // 2} x {wide // 2} places"
        refuse("features", features, must=must, do="give that, or take the layout 'small'")
    inner: list[nn.Module] = [nn.Unflatten(1, (high, wide, colours)), _First()]
    for before, after in zip((colours, *PAPER[:-1]), PAPER, strict=True):
        inner += [_convolution(before, after), nn.ReLU()]
    low, back = (PAPER[-1], high // 2, wide // 2), (*PAPER[::-1], colours)
    outer: list[nn.Module] = [nn.Unflatten(1, low), nn.Upsample(scale_factor=2)]
    for before, after in pairwise(back):
        outer += [_convolution(before, after), nn.ReLU()]
    outer[-1:] = [nn.Sigmoid(), _Last(), nn.Flatten()]
    return {
        "encoder": nn.Sequential(*inner, nn.MaxPool2d(2), nn.Flatten()),
        "norm": _norm(features),
        "decoder": nn.Sequential(*outer),
    }


LAYOUTS: dict[str, Callable[[tuple[int, ...], int], dict[str, nn.Module]]] = {
    "small": _small,
    "paper": _paper,
}


def network(layout: str, shape: Sequence[int], features: int, classes: int) -> nn.ModuleDict:
    """Make a network on the device ``meta``, whose weights take no memory yet.

    Args:
        layout: one of ``LAYOUTS``.
        shape: ``(n,)`` of vectors, or ``(height, width)`` or ``(height, width, colours)``.
        features: the length of a code.
        classes: the number of outputs of the classifier; 0 for no classifier.

    Returns:
        ``encoder``, ``norm``, ``decoder``, and where there are classes ``head``.

    Raises:
        InputError: a shape or a number of features that the layout does not have.
    """
    parts = LAYOUTS[layout](tuple(shape), features)
    if classes:
        parts["head"] = nn.Sequential(_linear(features, classes))
    return nn.ModuleDict(parts)


def start(net: nn.ModuleDict, source: torch.Generator) -> None:
    """Draw the initial weights.

    They are normal with variance 2 / (inputs of a unit) (He and others 2015), biases are 0.
    """
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name.startswith("norm."):
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
            elif weight.ndim == 1:
                weight.zero_()
            else:
                drawn = torch.randn(weight.shape, generator=source, dtype=torch.float32)
                weight.copy_(drawn * math.sqrt(2 / weight[0].numel()))


class _First(nn.Module):
    """Colours first, as convolutions take them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Permute pictures."""
        return x.permute(0, 3, 1, 2).contiguous()


class _Last(nn.Module):
    """Colours last, as pictures have them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Permute pictures."""
        return x.permute(0, 2, 3, 1)


def _linear(before: int, after: int) -> nn.Linear:
    return nn.Linear(before, after, device="meta", dtype=torch.float32)


def _convolution(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    more = {"stride": stride, "padding": 1}
    return nn.Conv2d(before, after, 3, **more, device="meta", dtype=torch.float32)  # type: ignore[arg-type]


def _norm(features: int) -> nn.Module:
    if features < NORMALISED:
        return nn.Identity()
    return nn.LayerNorm(features, device="meta", dtype=torch.float32)
