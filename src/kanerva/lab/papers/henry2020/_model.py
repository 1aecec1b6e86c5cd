"""Small causal transformers of characters whose heads have an inverse temperature of their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from kanerva.lab.papers.henry2020 import _text
from kanerva.lab.papers.henry2020._block import HEADS, Block, Heads
from kanerva.lab.papers.henry2020._training import updated

__all__ = ["BATCH", "LAYERS", "Design", "State", "Transformer", "train"]

LAYERS, BATCH = 4, 24


@dataclass(frozen=True)
class Design:
    """A model and its training.

    * ``heads``: of every layer.
    * ``context``: characters that a head attends to, at most.
    * ``replaced``: the share of input characters that are replaced by random ones.
    * ``seed``: of weights and batches.
    """

    heads: Heads
    context: int
    replaced: float
    seed: int


class State(NamedTuple):
    """A model during its training.

    * ``update``: the number of updates.
    * ``betas``: of each head of each layer, per unit of cosine.
    * ``bits``: bits a character on the text that is held out; None before the end.
    """

    update: int
    betas: list[list[float]]
    bits: float | None


class Transformer(nn.Module):
    """Predicts the next character from those before it.

    Args:
        design: of the model.
    """

    def __init__(self, design: Design) -> None:
        super().__init__()
        width = HEADS * design.heads.width
        self.token = nn.Embedding(len(_text.SYMBOLS), width)
        self.place = nn.Parameter(0.02 * torch.randn(design.context, width))
        self.blocks = nn.ModuleList(
            Block(design.heads, LAYERS * design.seed + layer, causal=True)
            for layer in range(LAYERS)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, len(_text.SYMBOLS))
        nn.init.normal_(self.token.weight, std=0.02)

    def forward(self, x: Int64[Tensor, "rows context"]) -> Float[Tensor, "rows context symbols"]:
        """Return the logits of the character that follows each place."""
        state = self.token(x) + self.place[: x.shape[1]]
        for block in self.blocks:
            state = block(state)
        logits: Tensor = self.out(self.norm(state))
        return logits

    def betas(self, x: Int64[Tensor, "rows context"]) -> list[list[float]]:
        """Return the beta of each head, measured on a text if it is not a parameter."""
        found = []
        state = self.token(x) + self.place[: x.shape[1]]
        for block in self.blocks:
            assert isinstance(block, Block)
            found.append(block.beta(state))
            state = block(state)
        return found


def train(design: Design, updates: int, every: int) -> Iterator[State]:
    """Train a model, and describe it each so many updates and at the end."""
    source = torch.Generator().manual_seed(design.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(design.seed)
        model = Transformer(design)

    def loss() -> Tensor:
        text, _ = _text.split()
        x, following = _text.batch(text, BATCH, design.context, source)
        logits = model(_text.replace(x, design.replaced, source))
        return nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten())

    shown, _ = _text.held_out(design.context, BATCH)
    for update in updated(model, updates, every, loss):
        ends = update == updates
        bits = _text.judge(model, design.context, design.replaced) if ends else None
        yield State(update, model.betas(shown), bits)
