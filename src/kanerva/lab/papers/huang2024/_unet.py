"""A small UNet that denoises digits, with and without gates of its blocks."""

import math
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import interpolate, silu

from kanerva import diffusion, nn
from kanerva._core import arrays, checks
from kanerva.lab.papers.huang2024 import _digits
from kanerva.lab.papers.huang2024._vit import draw, linear, mean_gate

__all__ = [
    "GATES",
    "Design",
    "Digits",
    "Held",
    "Trained",
    "UNet",
    "build",
    "digits",
    "held_out",
    "train",
]

SIDE, DIM = 8, 64
GATES: dict[str, str | None] = {"none": None, "dia": "dia", "constant": "constant"}
# The features of the noise are sines and cosines of so many frequencies.
FREQUENCIES = 8
# Added to the variances of Wiener's filter.
RIDGE = 1e-4
PLAN = diffusion.Training(batch=32)


class Design(NamedTuple):
    """A UNet and how it is trained."""

    width: int = 16
    updates: int = 500
    seed: int = 0


class Digits(NamedTuple):
    """Digits as rows of pixels from 0 to 1: half for training, and those held out."""

    train: Float[Tensor, "m 64"]
    labels: Int64[Tensor, " m"]
    held: Float[Tensor, "k 64"]
    answers: Int64[Tensor, " k"]


class Held(NamedTuple):
    """The loss on held-out digits, that of Wiener's filter, and the mean gate, if there is one."""

    loss: float
    wiener: float
    gate: float | None


class Trained(NamedTuple):
    """A trained network, and the mean loss of every so many updates."""

    net: torch.nn.Module
    losses: dict[int, float]


class Branch(torch.nn.Module):
    """Two convolutions after normalisations, with features of the noise between them."""

    def __init__(self, width: int, given: int) -> None:
        super().__init__()
        self.norms = torch.nn.ModuleList(torch.nn.GroupNorm(4, width) for _ in range(2))
        self.noise = linear(given, width)
        self.maps = torch.nn.ModuleList(_convolution(width, width) for _ in range(2))

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        x = self.maps[0](silu(self.norms[0](x))) + self.noise(given)[:, :, None, None]
        found: Tensor = self.maps[1](silu(self.norms[1](x)))
        return found


class Block(torch.nn.Module):
    """A residual block, which first merges what the encoder had at its place, if anything."""

    def __init__(self, width: int, given: int, merges: bool = False) -> None:
        super().__init__()
        self.merge = _convolution(2 * width, width, 1) if merges else None
        self.branch = Branch(width, given)

    def forward(self, x: Tensor, given: Tensor, earlier: Tensor | None = None) -> Tensor:
        if self.merge is not None and earlier is not None:
            x = self.merge(torch.cat((x, earlier), 1))
        found: Tensor = x + self.branch(x, given)
        return found


class UNet(torch.nn.Module):
    r"""A denoiser of pictures of 8 x 8 pixels at two resolutions.

    .. math:: D(x, \sigma) = c\, x + o\, F(i x, \log \sigma / 4)

    with the factors of ``diffusion.Net``. Two blocks of the encoder and two of the decoder work on
    8 x 8 places, five in the middle on 4 x 4 places of twice the width.
    """

    def __init__(self, design: Design, spread: float, source: torch.Generator) -> None:
        super().__init__()
        width, given = design.width, 2 * design.width
        self.spread = spread
        self.noise = torch.nn.Sequential(linear(2 * FREQUENCIES, given), torch.nn.SiLU())
        self.first = _convolution(1, width)
        self.down = _convolution(width, 2 * width, stride=2)
        self.up = _convolution(2 * width, width)
        self.high = torch.nn.ModuleList(Block(width, given) for _ in range(2))
        self.low = torch.nn.ModuleList(Block(2 * width, given) for _ in range(2))
        self.low_back = torch.nn.ModuleList(Block(2 * width, given, True) for _ in range(2))
        self.high_back = torch.nn.ModuleList(Block(width, given, True) for _ in range(2))
        self.middle = Block(2 * width, given)
        self.norm = torch.nn.GroupNorm(4, width)
        self.last = _convolution(width, 1)
        draw(self, source)
        with torch.no_grad():
            self.last.weight *= 0.1

    def forward(self, x: Float[Tensor, "b 64"], sigma: Any) -> Float[Tensor, "b 64"]:
        """Return the mean of the data, given noisy rows and their standard deviations of noise."""
        level = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1, 1)
        level = level.expand(len(x), 1)
        scale = (level.square() + self.spread**2).rsqrt()
        kept = 1 / (1 + (level / self.spread).square())
        found = self._features(x * scale, self.noise(_features(level)))
        return kept * x + self.spread * level * scale * found

    def _features(self, x: Tensor, given: Tensor) -> Tensor:
        state = self.first(x.reshape(-1, 1, SIDE, SIDE))
        kept = []
        for block in self.high:
            kept.append(state := block(state, given))
        state = self.down(state)
        for block in self.low:
            kept.append(state := block(state, given))
        state = self.middle(state, given)
        for block in self.low_back:
            state = block(state, given, kept.pop())
        state = self.up(interpolate(state, scale_factor=2))
        for block in self.high_back:
            state = block(state, given, kept.pop())
        found: Tensor = self.last(silu(self.norm(state)))
        return found.flatten(1)


def digits(seed: int) -> Digits:
    """Return the digits of ``_digits.split`` as rows from 0 to 1."""
    given = _digits.split(seed)
    low, high = given.train.min(), given.train.max()
    train, held = ((part.flatten(1) - low) / (high - low) for part in (given.train, given.test))
    return Digits(train, given.labels, held, given.answers)


def build(design: Design, gate: str, train: Float[Tensor, "m 64"]) -> UNet:
    """Return a network with a gate; the same weights of all else for a seed."""
    kind = GATES[checks.choice("gate", gate, list(GATES))]
    spread = float(train.double().std(correction=0))
    net = UNet(design, spread, arrays.generator(design.seed))
    if kind is not None:
        example = (torch.zeros(1, DIM), torch.ones(1))
        nn.share(net, "*.branch", example, kind, seed=1000 + design.seed)
    return net


def train(net: UNet, rows: Float[Tensor, "m 64"], design: Design, every: int = 100) -> Trained:
    """Train a copy of a network; the losses are means of every so many updates."""
    losses: list[float] = []

    def note(done: int, of: int, loss: float) -> None:
        losses.append(loss)

    seed = 2000 + design.seed
    found = diffusion.train(rows, design.updates, net=net, training=PLAN, seed=seed, progress=note)
    ends = range(every, len(losses) + 1, every)
    return Trained(found, {end: math.fsum(losses[end - every : end]) / every for end in ends})


@torch.no_grad()
def held_out(net: torch.nn.Module, given: Digits, seed: int) -> Held:
    """Judge a network by held-out digits, each with noise that training did not draw.

    The noises are quantiles of the distribution in training, and the weights are those in training.
    """
    clean, source = given.held, arrays.generator(4000 + seed)
    share = (torch.randperm(len(clean), generator=source).double() + 0.5) / len(clean)
    sigma = (PLAN.middle + PLAN.spread * torch.special.ndtri(share)).exp().to(clean)
    x = clean + sigma[:, None] * torch.randn(clean.shape, generator=source)
    spread = float(given.train.double().std(correction=0))
    weight = (sigma**2 + spread**2) / (sigma * spread) ** 2
    wide = given.train.double()
    covariance = torch.cov(wide.mT, correction=0) + RIDGE * torch.eye(DIM).double()
    wiener = diffusion.gaussian(wide.mean(0).to(x), covariance.to(x))
    shared = getattr(net, "shared", None)
    with nullcontext({}) if shared is None else shared.record() as gates:
        found = net(x, sigma)
    one, other = (
        (weight * (mean - clean).square().mean(-1)).double().mean().item()
        for mean in (found, wiener(x, sigma))
    )
    return Held(one, other, mean_gate(gates) if gates else None)


def _convolution(width: int, out: int, size: int = 3, stride: int = 1) -> torch.nn.Conv2d:
    options = {"padding": size // 2, "stride": stride}
    return torch.nn.utils.skip_init(torch.nn.Conv2d, width, out, size, **options)  # type: ignore[no-untyped-call]


def _features(level: Tensor) -> Tensor:
    """Return sines and cosines of log(sigma) / 4 times multiples of pi / 2."""
    places = torch.arange(1, FREQUENCIES + 1, device=level.device, dtype=level.dtype)
    angles = level.log() / 4 * (math.pi / 2 * places)
    return torch.cat((angles.sin(), angles.cos()), -1)
