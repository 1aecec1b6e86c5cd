"""Trainings of the digits network: with the gates of a variant, or with wider blocks."""

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from kanerva import nn
from kanerva._core import arrays
from kanerva.lab.papers.huang2024._digits import (
    Design,
    Net,
    Split,
    _convolution,
    _draw,
    accuracy,
    build,
    split,
    train,
)
from kanerva.nn._gates._dia import DIA

__all__ = ["Trial", "cell", "gated", "mean_gate", "parameters", "trial", "widened"]


class Trial(NamedTuple):
    """What a training gave.

    Attributes:
        parameters: number of weights of the network.
        accuracy: share of the test pictures that are named after the last epoch.
        loss: mean cross-entropy of the last epoch, in nats.
        start: mean gate before training.
        end: mean gate after training.
        epoch: the time of the processor for the fastest epoch, in seconds.

    Numbers that were not measured are None.
    """

    parameters: int
    accuracy: float | None
    loss: float | None
    start: float | None
    end: float | None
    epoch: float | None


def trial(net: torch.nn.Module, design: Design, data: str = "digits", timed: bool = False) -> Trial:
    """Train a network on half of a set, and test it on the other half.

    Args:
        net: with gates or without; it is trained in place.
        design: of the training; its seed draws the halves and the order of the pictures. With no
            epochs the network is not trained.
        data: name of the set.
        timed: measure the time of an epoch. Other work on the machine only adds to it, so that of
            the fastest epoch is taken.
    """
    given = split(design.seed, data)
    whole, start = parameters(net), mean_gate(net, given)
    if not design.epochs:
        return Trial(whole, None, None, start, None, None)
    losses, ends = [], [time.process_time()]
    for loss in train(net, given, design):
        losses.append(loss)
        ends.append(time.process_time())
    epoch = min(after - before for before, after in pairwise(ends)) if timed else None
    right = accuracy(net, given)
    return Trial(whole, right, losses[-1], start, mean_gate(net, given), epoch)


def parameters(net: torch.nn.Module) -> int:
    """Return the number of weights."""
    return sum(weight.numel() for weight in net.parameters())


@torch.no_grad()
def mean_gate(net: Any, given: Split) -> float | None:
    """Return the mean gate over blocks, test pictures and channels; None without gates."""
    shared = getattr(net, "shared", None)
    if shared is None:
        return None
    net.eval()
    with shared.record() as gates:
        net(given.test)
    blocks = torch.cat([one.double().flatten(1).mean(1) for one in gates.values()])
    return blocks.mean().item()


def cell(squash: str, cells: int) -> Callable[[nn.Stage], nn.Gate]:
    """Return what builds the gate of a ``DIACell`` with options for a stage."""
    return partial(DIA, squash=squash, cells=cells)


def gated(design: Design, gate: Any, scope: str, reduction: int | None) -> Net:
    """Return a network with gates of one's own; all other weights are those of ``build``."""
    net = Net(design, arrays.generator(design.seed))
    options: dict[str, Any] = {"gate": gate, "scope": scope, "reduction": reduction}
    nn.share(net, "blocks.*.branch", design.example, seed=1000 + design.seed, **options)
    return net


@torch.no_grad()
def widened(design: Design) -> Net:
    """Return a network without gates and with about as many weights as one with a ``DIACell``.

    A further channel inside a block, between its two convolutions, has 18 c + 2 weights for c
    channels outside, with batch normalisation. As many are added as come nearest to the weights of
    the cell, to the first blocks first.
    """
    source = arrays.generator(design.seed)
    net = Net(design, source)
    wanted = parameters(build(design, "dia")) - parameters(net)
    width = design.width
    more = round(wanted / (18 * width + 2 * design.norm))
    source = arrays.generator(design.seed)
    for place, block in enumerate(net.blocks):
        inner = width + more // design.blocks + (place < more % design.blocks)
        _widen(block.branch, width, inner)
    _draw(net, design.first, source)
    return net


def _widen(branch: Any, width: int, inner: int) -> None:
    """Replace the convolutions of a branch by those of another inner width, not initialised."""
    places = [n for n, part in enumerate(branch) if isinstance(part, torch.nn.Conv2d)]
    branch[places[0]] = _convolution(width, inner)
    branch[places[1]] = _convolution(inner, width)
    if isinstance(branch[1], torch.nn.BatchNorm2d):
        branch[1] = torch.nn.BatchNorm2d(inner)
