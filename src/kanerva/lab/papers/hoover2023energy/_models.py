"""Models that complete digits from patches, by an energy block or a layer, and their training."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kanerva.lab import data
from kanerva.nn import Attention, Descent, EnergyBlock
from kanerva.separation import Entmax

__all__ = ["Design", "Digits", "Model", "digits", "errors", "filled", "trained"]

SIDE, PATCH = 8, 2
PATCHES, PIXELS = (SIDE // PATCH) ** 2, PATCH * PATCH
# How many of the patches are hidden, and the share of the digits for training.
HIDDEN, SHARE = PATCHES // 2, 0.75
HEADS = 4
# Standard deviation of the first codes of places, and of that of a hidden patch; first scales of
# the first and the last linear map.
SPREAD, CONTENT, FIRST = 0.3, 2.0, 0.1
# Adam's rate, which rises over the first updates and then falls to zero.
RATE, WARM = 5e-3, 20

Patches = Float[Tensor, "b patches pixels"]
Hidden = Bool[Tensor, "b patches"]


class Design(NamedTuple):
    """A model and its training.

    * ``model``: ``"softmax"``, ``"entmax"``: the attention of an energy block; ``"layer"``.
    * ``width``: of the tokens.
    * ``steps``, ``rate``: of the block.
    * ``updates``, ``batch``: how many updates, and digits in each.
    * ``seed``: of all draws.
    """

    model: str
    width: int
    steps: int
    rate: float
    updates: int
    batch: int
    seed: int


class Digits(NamedTuple):
    """Patches of digits, pixels from 0 to 1.

    * ``train``, ``test``: ``(m, 16, 4)``.
    * ``hidden``: ``(m, 16)``, which patches of the test digits are hidden: half of them.
    """

    train: Patches
    test: Patches
    hidden: Hidden

    @property
    def mean(self) -> Float[Tensor, "patches pixels"]:
        """The mean picture of the training digits."""
        return self.train.mean(0)


class Layer(nn.Module):
    """A layer of a transformer with as many weights as the energy block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, HEADS, normalise=False)
        self.wide, self.back = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n dim"]) -> Float[Tensor, "b n dim"]:
        """Attend, then change each token."""
        x = x + self.attention(self.before(x))
        changed: Tensor = self.back(nn.functional.gelu(self.wide(self.between(x))))
        return x + changed


class Model(nn.Module):
    """Fills in hidden patches: tokens with codes of their places, a block, and a linear map.

    Args:
        design: which block, and its seed.
        mean: the mean picture, to which the output is added.
    """

    def __init__(self, design: Design, mean: Float[Tensor, "patches pixels"]) -> None:
        super().__init__()
        width = design.width
        self.register_buffer("mean", mean)
        self.patch, self.out = nn.Linear(PIXELS, width), nn.Linear(width, PIXELS)
        self.place = nn.Parameter(SPREAD * torch.randn(PATCHES, width))
        self.unseen = nn.Parameter(SPREAD * torch.randn(width))
        self.norm, self.block = nn.LayerNorm(width), _block(design)
        with torch.no_grad():
            self.patch.weight.mul_(CONTENT)
            self.out.weight.mul_(FIRST)
            # A bias would make all patches that are seen alike, and the training would stall.
            self.patch.bias.zero_()
            self.out.bias.zero_()

    def forward(self, patches: Patches, hidden: Hidden) -> Patches:
        """Return all patches."""
        return self.decoded(self.block(self.tokens(patches, hidden)))

    def tokens(self, patches: Patches, hidden: Hidden) -> Float[Tensor, "b patches dim"]:
        """Return the tokens before the block; a hidden patch is one learned vector."""
        return torch.where(hidden[..., None], self.unseen, self.patch(patches)) + self.place

    def decoded(
        self, tokens: Float[Tensor, "*b patches dim"]
    ) -> Float[Tensor, "*b patches pixels"]:
        """Return the patches that tokens stand for."""
        patches: Tensor = self.mean + self.out(self.norm(tokens))
        return patches

    def path(self, digits: Digits, steps: int) -> Descent:
        """Return the states of an energy block for the test digits."""
        assert isinstance(self.block, EnergyBlock)
        with torch.no_grad():
            return self.block.trace(self.tokens(digits.test, digits.hidden), steps=steps)


def digits(seed: int) -> Digits:
    """Return digits for training and for the test, with the places that are hidden."""
    source = torch.Generator().manual_seed(seed)
    images = ((data.load("digits").real + 1) / 2).reshape(-1, SIDE, SIDE)
    across = images.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)
    patches = across.reshape(len(images), PATCHES, PIXELS).float()
    patches = patches[torch.randperm(len(patches), generator=source)]
    first = int(SHARE * len(patches))
    hidden = _half(len(patches) - first, source)
    return Digits(patches[:first], patches[first:], hidden)


def trained(design: Design, digits: Digits) -> Model:
    """Train a model to fill in the hidden half of training digits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(design.seed)
        model = Model(design, digits.mean)
    source = torch.Generator().manual_seed(design.seed)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / WARM, 1 - step / design.updates)
    )
    for _ in range(design.updates):
        rows = torch.randint(len(digits.train), (design.batch,), generator=source)
        patches, hidden = digits.train[rows], _half(design.batch, source)
        loss = (model(patches, hidden) - patches)[hidden].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    return model


def errors(found: Float[Tensor, "*b patches pixels"], digits: Digits) -> float:
    """Return the mean squared error of the hidden pixels of the test digits."""
    return float((found - digits.test)[digits.hidden].square().mean())


def filled(found: Patches, digits: Digits) -> Float[Tensor, "b 64"]:
    """Return pictures: what is seen, and what was found in the hidden places."""
    patches = torch.where(digits.hidden[..., None], found, digits.test)
    grid = patches.reshape(-1, SIDE // PATCH, SIDE // PATCH, PATCH, PATCH)
    return grid.transpose(2, 3).reshape(-1, SIDE * SIDE)


def _block(design: Design) -> nn.Module:
    """Return the block of a design."""
    if design.model == "layer":
        layer = Layer(design.width)
        layer.attention.reset(design.seed)
        return layer
    width = design.width // HEADS
    rule = Entmax(1.5, width**-0.5) if design.model == "entmax" else None
    block = EnergyBlock(
        design.width, HEADS, width, steps=design.steps, rate=design.rate, separation=rule
    )
    return block.reset(design.seed)


def _half(count: int, source: torch.Generator) -> Hidden:
    """Hide half of the patches of each digit."""
    return torch.rand(count, PATCHES, generator=source).argsort(1) < HIDDEN
