"""Residual networks of publications, without weights drawn, and the gates that are put on them."""

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kanerva import nn
from kanerva._core import checks
from kanerva._core.errors import refuse

__all__ = ["FAMILIES", "GATES", "Counts", "Family", "built", "counted"]

CLASSES = 100


class Family(NamedTuple):
    """Networks that differ in depth alone.

    Attributes:
        widths: channels inside a block of each stage.
        grows: channels of the output of a block, as a multiple of those inside.
        layers: convolutions of a block that count as depth.
        early: whether blocks normalise and rectify before their convolutions, and not after them.
        groups: of the convolution in the middle of a block.
        stem: channels and size of the first convolution.
        classes: number of outputs.
        counts: blocks of each stage; the same for all stages, from the depth, where it is empty.
        reduction: what divides the width inside a ``DIACell``.
        outside: what the depth counts beside the convolutions of the branches: the first
            convolution and the linear map, and for some the two convolutions in place of skips.
    """

    widths: tuple[int, ...] = (16, 32, 64)
    grows: float = 1
    layers: int = 2
    early: bool = False
    groups: int = 1
    stem: tuple[int, int] = (16, 3)
    classes: int = CLASSES
    counts: tuple[int, ...] = ()
    reduction: int = 4
    outside: int = 2


FAMILIES: dict[str, Family] = {
    "ResNet": Family(),
    "PreResNet": Family(early=True),
    "ResNet bottleneck": Family(grows=4, layers=3),
    "PreResNet bottleneck": Family(grows=4, layers=3, early=True),
    "WRN 4": Family(widths=(64, 128, 256), early=True, outside=4),
    "ResNeXt 8x32": Family((256, 512, 1024), 0.5, 3, groups=8, stem=(32, 3)),
    "ImageNet ResNet": Family((64, 128, 256, 512), 4, 3, False, 1, (64, 7), 1000, (3, 4, 6, 3), 20),
    **{f"stage of {width}": Family((width,)) for width in (16, 32, 64, 128, 256, 512)},
}
# Name of a gate and its scope.
GATES: dict[str, tuple[str, str] | None] = {
    "none": None,
    "se": ("se", "block"),
    "shared se": ("se", "stage"),
    "dia": ("dia", "stage"),
    "dia and norm": ("dia", "stage"),
}


class Counts(NamedTuple):
    """Numbers of weights.

    Attributes:
        parameters: of the network with its gates.
        plain: of the network without gates.
        added: what the gates have, with the normalisation that comes with them.
        blocks: number of residual blocks.
        stages: number of stages, each of blocks of one width.
    """

    parameters: int
    plain: int
    added: int
    blocks: int
    stages: int


class Convolution(torch.nn.Conv2d):
    """A convolution without biases, whose weights are zero."""

    def __init__(self, enter: int, leave: int, size: int, stride: int = 1, groups: int = 1) -> None:
        options: dict[str, Any] = {"padding": size // 2, "groups": groups, "bias": False}
        super().__init__(enter, leave, size, stride, **options)

    def reset_parameters(self) -> None:
        """Set all weights to zero; none is drawn."""
        torch.nn.init.zeros_(self.weight)


class Linear(torch.nn.Linear):
    """A linear map whose weights and biases are zero."""

    def reset_parameters(self) -> None:
        """Set all weights to zero; none is drawn."""
        for weight in (self.weight, self.bias):
            torch.nn.init.zeros_(weight)


class Block(torch.nn.Module):
    """A residual block, with a convolution in place of the skip where the width changes."""

    def __init__(
        self, family: Family, sizes: tuple[int, int, int], stride: int, norm: bool
    ) -> None:
        super().__init__()
        enter, inner, leave = sizes
        late = not family.early
        if family.layers == 3:
            convolutions = [
                Convolution(enter, inner, 1),
                Convolution(inner, inner, 3, stride, family.groups),
                Convolution(inner, leave, 1),
            ]
        else:
            convolutions = [
                Convolution(enter, inner, 3, stride),
                Convolution(inner, leave, 3),
            ]
        parts: list[torch.nn.Module] = []
        for one in convolutions:
            norms = [torch.nn.BatchNorm2d(one.out_channels if late else one.in_channels)]
            parts += [one, *norms, torch.nn.ReLU()] if late else [*norms, torch.nn.ReLU(), one]
        if late:
            parts.pop()
        elif norm:
            parts.append(torch.nn.BatchNorm2d(leave))
        self.branch = torch.nn.Sequential(*parts)
        self.skip = torch.nn.Sequential()
        if enter != leave or stride != 1:
            self.skip.append(Convolution(enter, leave, 1, stride))
            if late:
                self.skip.append(torch.nn.BatchNorm2d(leave))
        self.last = torch.nn.ReLU() if late else torch.nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.skip(x) + self.branch(x))
        return found


def built(family: Family, depth: int, norm: bool = False) -> torch.nn.Sequential:
    """Return a network whose weights are zero.

    Args:
        family: of the network.
        depth: number of convolutions one after the other and of linear maps, as the name of the
            network counts them.
        norm: blocks of an early family end with a batch normalisation, as in the code that was
            published with the ``DIACell``.
    """
    counts = _counts(family, depth)
    width, size = family.stem
    parts: list[torch.nn.Module] = [Convolution(3, width, size, 2 if size == 7 else 1)]
    if not family.early:
        parts += [torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
    for stage, (inner, count) in enumerate(zip(family.widths, counts, strict=True)):
        leave = int(inner * family.grows)
        for place in range(count):
            stride = 2 if stage and not place else 1
            parts.append(Block(family, (width, inner, leave), stride, norm))
            width = leave
    if family.early:
        parts += [torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
    parts += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), Linear(width, family.classes)]
    return torch.nn.Sequential(*parts)


def counted(name: str, depth: int, gate: str, reduction: int = 0) -> Counts:
    """Count the weights of a network with gates, by attaching them.

    Args:
        name: one of ``FAMILIES``.
        depth: of the network, as its name counts it.
        gate: one of ``GATES``.
        reduction: what divides the width inside the gates; 0 for that of the publication.
    """
    family = FAMILIES[checks.choice("network", name, list(FAMILIES))]
    attached = GATES[checks.choice("gate", gate, list(GATES))]
    checks.integer("depth", depth, 4, 10_000)
    plain = _plain(name, depth)
    norm = gate == "dia and norm"
    if norm and not family.early:
        must, do = "dia where blocks end with batch normalisation", "give dia"
        refuse("gate", gate, must=must, do=do)
    net = built(family, depth, norm)
    blocks = sum(isinstance(part, Block) for part in net.modules())
    if attached is not None:
        kind, scope = attached
        usual = family.reduction if kind == "dia" else 16
        example = torch.zeros(1, 3, 8, 8)
        options: dict[str, Any] = {"scope": scope, "reduction": reduction or usual}
        nn.share(net, lambda one, _: one.endswith("branch"), example, kind, **options)
    whole = _weights(net)
    return Counts(whole, plain, whole - plain, blocks, len(family.widths))


@lru_cache
def _plain(name: str, depth: int) -> int:
    return _weights(built(FAMILIES[name], depth))


def _counts(family: Family, depth: int) -> tuple[int, ...]:
    """Return the numbers of blocks of the stages, which are equal unless the family says more."""
    stages = len(family.widths)
    step = family.layers * stages
    counts = family.counts or (max(1, (depth - family.outside) // step),) * stages
    whole = family.outside + family.layers * sum(counts)
    if whole != depth:
        must = f"{whole}" if family.counts else f"{family.outside} more than a multiple of {step}"
        refuse("depth", depth, must=must, do=f"give {whole}")
    return counts


def _weights(net: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())
