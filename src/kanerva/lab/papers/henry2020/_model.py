"""Small causal transformers of characters whose heads have an inverse temperature of their own."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from kanerva.lab.papers.henry2020 import _text
from kanerva.nn import Attention

__all__ = ["LAYERS", "NORMS", "Design", "State", "Transformer", "train"]

LAYERS, HEADS, BATCH = 4, 4, 24
NORMS = ("l2", "layer", "none")
# Adam's rates for the weights and for the logarithms of beta, which rise over the first updates and
# then fall to zero. That of beta is larger, so that a short run suffices to leave the first value.
RATE, FAST, WARM = 2e-3, 1e-2, 50
# Pieces of the text on which a model is judged.
JUDGED = 400


@dataclass(frozen=True)
class Design:
    """A model and its training.

    * ``norm``: of queries and keys: ``"l2"``, to length one, ``"layer"``, layer norm, or
      ``"none"``.
    * ``start``: the first beta of all heads, per unit of cosine; used by ``"l2"``.
    * ``learned``: whether beta is trained.
    * ``width``: of a head.
    * ``context``: characters that a head attends to, at most.
    * ``replaced``: the share of input characters that are replaced by random ones.
    * ``seed``: of weights and batches.
    """

    norm: str
    start: float
    learned: bool
    width: int
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
        width = HEADS * design.width
        self.token = nn.Embedding(len(_text.SYMBOLS), width)
        self.place = nn.Parameter(0.02 * torch.randn(design.context, width))
        self.blocks = nn.ModuleList(Block(design, layer) for layer in range(LAYERS))
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
        """Return the beta of each head, read off the lengths of queries and keys if not learned."""
        found = []
        state = self.token(x) + self.place[: x.shape[1]]
        for block in self.blocks:
            assert isinstance(block, Block)
            found.append(block.beta(state))
            state = block(state)
        return found


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a layer norm and added to its input."""

    def __init__(self, design: Design, layer: int) -> None:
        super().__init__()
        width, normalised = HEADS * design.width, design.norm == "l2"
        start = design.start if normalised else None
        attention = Attention(width, HEADS, normalise=normalised, beta=start)
        self.attention = attention.reset(LAYERS * design.seed + layer)
        if design.norm == "layer":
            self.attention.query = Normed(self.attention.query, design.width)
            self.attention.key = Normed(self.attention.key, design.width)
        if self.attention.log_beta is not None:
            self.attention.log_beta.requires_grad_(design.learned)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, state: Float[Tensor, "rows context d"]) -> Float[Tensor, "rows context d"]:
        """Add what the attention and the feed-forward layer read."""
        first, second = self.norms
        state = state + self.attention(first(state), causal=True)
        read: Tensor = self.narrow(nn.functional.gelu(self.wide(second(state))))
        return state + read

    @torch.no_grad()
    def beta(self, state: Float[Tensor, "rows context d"]) -> list[float]:
        """Return the mean inverse temperature of each head per unit of cosine."""
        if self.attention.log_beta is not None:
            return list(self.attention.log_beta.exp().tolist())
        inner = self.norms[0](state)
        lengths = [
            layer(inner).unflatten(-1, (HEADS, -1)).norm(dim=-1)
            for layer in (self.attention.query, self.attention.key)
        ]
        width = inner.shape[-1] // HEADS
        # A query attends to the keys before it, so the means over all pairs are nearly those.
        means = lengths[0].mean((0, 1)) * lengths[1].mean((0, 1)) / math.sqrt(width)
        return list(means.tolist())


class Normed(nn.Linear):
    """A linear map with a layer norm of each head of its output."""

    def __init__(self, linear: nn.Linear, width: int) -> None:
        super().__init__(linear.in_features, linear.out_features)
        self.load_state_dict(linear.state_dict())
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map, and normalise each head."""
        mapped = super().forward(x)
        heads: Tensor = self.norm(mapped.reshape(*mapped.shape[:-1], HEADS, -1))
        return heads.flatten(-2)


def train(design: Design, updates: int, every: int) -> Iterator[State]:
    """Train a model, and describe it each so many updates and at the end."""
    source = torch.Generator().manual_seed(design.seed)
    text, _ = _text.split()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(design.seed)
        model = Transformer(design)
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[name.endswith("log_beta")].append(parameter)
    optimiser = torch.optim.Adam(
        [{"params": groups[False], "lr": RATE}, {"params": groups[True], "lr": FAST}]
    )
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / WARM, 1 - step / updates)
    )
    shown, _ = _text.held_out(design.context, BATCH)
    for update in range(updates):
        if update % every == 0:
            yield State(update, model.betas(shown), None)
        x, following = _text.batch(text, BATCH, design.context, source)
        logits = model(_text.replace(x, design.replaced, source))
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rate.step()
    yield State(updates, model.betas(shown), _judge(model, design))


@torch.no_grad()
def _judge(model: nn.Module, design: Design) -> float:
    """Return the bits a character on the text that is held out, damaged as in training."""
    x, following = _text.held_out(design.context, JUDGED)
    source = torch.Generator().manual_seed(0)
    x = _text.replace(x, design.replaced, source)
    losses = [
        nn.functional.cross_entropy(model(some).flatten(0, 1), right.flatten(), reduction="sum")
        for some, right in zip(torch.split(x, BATCH), torch.split(following, BATCH), strict=True)
    ]
    return float(torch.stack(losses).sum()) / following.numel() / math.log(2)
