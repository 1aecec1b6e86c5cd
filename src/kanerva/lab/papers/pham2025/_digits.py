"""Denoisers of digits, their samples, and what these are worth."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva import diffusion
from kanerva.lab import data

__all__ = [
    "HELD",
    "Digits",
    "Quality",
    "asymmetry",
    "denoiser",
    "digits",
    "fresh",
    "quality",
    "samples",
    "text",
]

Rows = Float[Tensor, "rows pixels"]
Denoise = Callable[..., Tensor]

# The last digits of the order are held out; those between are used by neither.
HELD = 500
# The noise of the samplers: so many steps between them, and a last denoise.
HIGH, LOW, STEPS = 3.0, 0.05, 30
# Added to the variances of Wiener's denoiser; the bandwidth of the smoothed exact one.
RIDGE, BANDWIDTH = 1e-4, 0.5
# The bandwidth of the kernel density that samples are judged by.
JUDGED = 0.2
# The asymmetry of a Jacobian is measured at this noise, at so many held-out digits.
NOISE, PLACES = 0.3, 32


class Digits(NamedTuple):
    """Training rows, and held-out rows with their classes."""

    train: Rows
    held: Rows
    labels: Int64[Tensor, "held"]


class Quality(NamedTuple):
    """What samples are worth, by held-out digits that no model was trained on.

    * ``agreement``: the share whose nearest digits in two halves are of one class.
    * ``likelihood``: their mean log density in a kernel density of all, in nats.
    """

    agreement: float
    likelihood: float


@lru_cache(maxsize=1)
def _loaded() -> tuple[Rows, Int64[Tensor, "rows"]]:
    found = data.load("digits", domain="real")
    assert found.labels is not None
    return found.real / 2 + 0.5, found.labels


def digits(count: int, seed: int) -> Digits:
    """Return the first digits of a random order, and the last ones of it."""
    pixels, labels = _loaded()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(pixels)))
    held = order[-HELD:]
    return Digits(pixels[order[:count]], pixels[held], labels[held])


def fresh(rows: int, count: int, seed: int) -> Rows:
    """Return digits that are neither among the training rows nor held out."""
    pixels, _ = _loaded()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(pixels)))
    return pixels[order[rows:-HELD][:count]]


def denoiser(kind: str, train: Rows, updates: int, seed: int) -> Denoise:
    """Build or train the denoiser of digits."""
    if kind == "exact":
        return diffusion.exact(train)
    if kind == "smooth":
        return diffusion.exact(train, BANDWIDTH)
    if kind == "wiener":
        wide = train.double()
        covariance = torch.cov(wide.mT, correction=0) + RIDGE * torch.eye(wide.shape[1]).double()
        return diffusion.gaussian(wide.mean(0).to(train), covariance.to(train))
    spread = float(train.double().std(correction=0))
    slope = kind == "energy"
    net = diffusion.Net(train.shape[1], data_sigma=spread, energy=slope, seed=seed)
    return diffusion.train(train, updates, net=net, seed=seed)


@torch.no_grad()
def samples(denoise: Denoise, count: int, seed: int) -> Rows:
    """Draw samples by the probability flow from noise of standard deviation 3."""
    source = torch.Generator().manual_seed(seed)
    start = HIGH * torch.randn(count, _loaded()[0].shape[1], generator=source)
    sigmas = diffusion.schedule("geometric", STEPS, HIGH, LOW)
    return diffusion.sample(denoise, start, sigmas, energies=False).states[-1]


def quality(x: Rows, held: Rows, labels: Int64[Tensor, "held"]) -> Quality:
    """Judge samples by held-out digits."""
    halves = [torch.cdist(x, held[part::2]).argmin(-1) for part in (0, 1)]
    classes = [labels[part::2][found] for part, found in enumerate(halves)]
    agreement = float((classes[0] == classes[1]).double().mean())
    density = diffusion.exact(held.double()).log_prob(x.double(), JUDGED)
    return Quality(agreement, float(density.mean()))


def asymmetry(denoise: Denoise, held: Rows, seed: int) -> float:
    """Return the length of the antisymmetric part of the Jacobian over that of the whole."""
    source = torch.Generator().manual_seed(seed)
    x = held[:PLACES] + NOISE * torch.randn(held[:PLACES].shape, generator=source)
    with torch.no_grad():
        found = [torch.func.jacrev(lambda one: denoise(one, NOISE))(one).double() for one in x]
    jacobian = torch.stack(found)
    odd = (jacobian - jacobian.mT) / 2
    return float((odd.norm(dim=(-2, -1)) / jacobian.norm(dim=(-2, -1))).mean())


def text(x: Rows, count: int = 8) -> str:
    """Return the first pictures as a word for a table: a letter for each pixel, a to q."""
    levels = (16 * x[:count]).round().clamp(0, 16).long().tolist()
    return "/".join("".join(chr(ord("a") + level) for level in one) for one in levels)
