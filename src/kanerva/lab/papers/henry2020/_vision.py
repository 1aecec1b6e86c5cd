"""A small transformer that names digits from patches, some of which are masked."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from kanerva.lab import data
from kanerva.lab.papers.henry2020._block import HEADS, Block, Heads
from kanerva.lab.papers.henry2020._training import updated

__all__ = ["PATCHES", "State", "train"]

SIDE, PATCH, CLASSES = 8, 2, 10
PATCHES = (SIDE // PATCH) ** 2
LAYERS, BATCH = 2, 64
# The share of the digits that is held out: the last ones.
HELD = 0.2


class State(NamedTuple):
    """A model during its training.

    * ``update``: the number of updates.
    * ``betas``: of each head of each layer, per unit of cosine.
    * ``right``: share of the held-out digits that are named; None before the end.
    """

    update: int
    betas: list[list[float]]
    right: float | None


class Vision(nn.Module):
    """Names the digit that patches show, some of which are masked.

    Args:
        heads: of every layer.
        seed: of the weights of the attention; torch's own generator draws the others.
    """

    def __init__(self, heads: Heads, seed: int) -> None:
        super().__init__()
        width = HEADS * heads.width
        self.patch = nn.Linear(PATCH * PATCH, width)
        self.place = nn.Parameter(0.02 * torch.randn(PATCHES, width))
        self.hidden = nn.Parameter(0.02 * torch.randn(width))
        self.blocks = nn.ModuleList(
            Block(heads, LAYERS * seed + layer, causal=False) for layer in range(LAYERS)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, CLASSES)

    def forward(
        self, patches: Float[Tensor, "rows patches pixels"], masked: Tensor
    ) -> Float[Tensor, "rows classes"]:
        """Return the logits of the classes; ``masked`` ``(rows, patches)`` is True for a mask."""
        state = torch.where(masked[..., None], self.hidden, self.patch(patches)) + self.place
        for block in self.blocks:
            state = block(state)
        logits: Tensor = self.out(self.norm(state).mean(1))
        return logits

    def betas(self) -> list[list[float]]:
        """Return the beta of each head."""
        found = []
        for block in self.blocks:
            assert isinstance(block, Block)
            assert block.attention.log_beta is not None
            found.append(block.attention.log_beta.exp().tolist())
        return found


def train(heads: Heads, masked: float, updates: int, every: int, seed: int) -> Iterator[State]:
    """Train a model, and describe it each so many updates and at the end."""
    source = torch.Generator().manual_seed(seed)
    (x, labels), held = _digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Vision(heads, seed)

    def loss() -> Tensor:
        rows = torch.randint(len(x), (BATCH,), generator=source)
        logits = model(x[rows], torch.rand(BATCH, PATCHES, generator=source) < masked)
        return nn.functional.cross_entropy(logits, labels[rows])

    for update in updated(model, updates, every, loss):
        right = _right(model, *held, masked) if update == updates else None
        yield State(update, model.betas(), right)


Digits = tuple[Float[Tensor, "_rows patches pixels"], Int64[Tensor, "_rows"]]


def _digits() -> tuple[Digits, Digits]:
    """Return the patches and classes of the digits for training, and of those held out."""
    digits = data.load("digits")
    assert digits.labels is not None
    images = digits.real.reshape(-1, SIDE, SIDE)
    images = (images - images.mean()) / images.std()
    across = images.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)
    patches = across.reshape(len(images), PATCHES, PATCH * PATCH)
    first = len(images) - int(HELD * len(images))
    labels = digits.labels
    return (patches[:first], labels[:first]), (patches[first:], labels[first:])


@torch.no_grad()
def _right(model: nn.Module, x: Tensor, labels: Tensor, masked: float) -> float:
    """Return the share of the held-out digits that are named, masked as in training."""
    source = torch.Generator().manual_seed(0)
    logits = model(x, torch.rand(len(x), PATCHES, generator=source) < masked)
    return float((logits.argmax(-1) == labels).float().mean())
