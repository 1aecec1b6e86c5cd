"""Samples of the small UNet, digits in their place, and what they are worth."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva import diffusion
from kanerva._core import arrays
from kanerva.lab.papers.huang2024 import _unet

__all__ = ["Parts", "Quality", "finite", "parts", "quality", "samples", "text"]

HIGH, LOW, CLASSES = 3.0, 0.05, 10

Rows = Float[Tensor, "n 64"]


class Parts(NamedTuple):
    """Digits of three kinds, of which no two are the same.

    * ``train``, ``labels``: those of the training.
    * ``held``, ``answers``: those that samples are judged by.
    * ``fresh``: those that can take the place of samples.
    """

    train: Rows
    labels: Int64[Tensor, " m"]
    held: Rows
    answers: Int64[Tensor, " k"]
    fresh: Rows


class Quality(NamedTuple):
    """What samples are worth.

    * ``agreement``: the share whose nearest digits in two halves of the held-out ones are of one
      class.
    * ``classes``: exponential of the entropy of the classes of the nearest training digits: 10
      where all are equally common, 1 where there is one class alone.
    """

    agreement: float
    classes: float


def parts(seed: int) -> Parts:
    """Return training digits in their order, and the others in two parts, in a random order."""
    given = _unet.digits(seed)
    order = torch.randperm(len(given.held), generator=arrays.generator(5000 + seed))
    held, fresh = order.tensor_split(2)
    return Parts(
        given.train, given.labels, given.held[held], given.answers[held], given.held[fresh]
    )


@torch.no_grad()
def samples(
    score: str, given: Parts, updates: int, size: tuple[int, int], seed: int
) -> tuple[Rows, int]:
    """Return samples, and how many weights the gates of their network have.

    Args:
        score: ``"none"`` or ``"dia"``, trained networks; ``"untrained"``; ``"digits"`` or
            ``"training"``, pictures of the set.
        given: the digits.
        updates: of a network.
        size: how many samples, and by how many levels of noise.
        seed: of the network, of its training, and of the noise.
    """
    count, levels = size
    source = arrays.generator(6000 + seed)
    if score == "digits":
        return given.fresh[:count], 0
    if score == "training":
        return given.train[torch.randperm(len(given.train), generator=source)[:count]], 0
    design = _unet.Design(updates=updates, seed=seed)
    built = _unet.build(design, "dia" if score == "dia" else "none", given.train)
    net: torch.nn.Module = built
    if score != "untrained":
        net = _unet.train(built, given.train, design).net
    shared = getattr(net.eval(), "shared", None)
    start = HIGH * torch.randn(count, given.train.shape[1], generator=source)
    sigmas = diffusion.schedule("geometric", levels, HIGH, LOW)
    path = diffusion.sample(net, start, sigmas, energies=False)
    return path.states[-1], 0 if shared is None else shared.parameters_added


def quality(x: Rows, given: Parts, nearest: Int64[Tensor, " n"]) -> Quality:
    """Judge samples by held-out digits, and by the classes of the nearest training digits."""
    halves = [torch.cdist(x, given.held[part::2]).argmin(-1) for part in (0, 1)]
    classes = [given.answers[part::2][found] for part, found in enumerate(halves)]
    agreement = (classes[0] == classes[1]).double().mean().item()
    share = torch.bincount(given.labels[nearest], minlength=CLASSES).double() / len(x)
    return Quality(agreement, torch.special.entr(share).sum().exp().item())


def finite(value: float) -> float | None:
    """Return a number for a table: None where it is infinite."""
    return value if math.isfinite(value) else None


def text(x: Rows, count: int = 8) -> str:
    """Return the first pictures as a word for a table: a letter for each pixel, a to q."""
    levels = (16 * x[:count]).round().clamp(0, 16).long().tolist()
    return "/".join("".join(chr(ord("a") + level) for level in one) for one in levels)
