"""A small transformer that names digits, with and without gates of its branches."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as plain

from kanerva import nn
from kanerva._core import arrays, checks
from kanerva.lab.papers.huang2024 import _digits

__all__ = ["GATES", "Design", "Epoch", "ViT", "build", "draw", "linear", "mean_gate", "train"]

SIDE, PATCH, CLASSES = 8, 2, 10
# What is gated: the branches, and the gate.
GATES: dict[str, dict[str, Any] | None] = {
    "none": None,
    "attention": {"branches": "layers.*.attention", "gate": "dia"},
    "mlp": {"branches": "layers.*.mlp", "gate": "dia"},
    "both": {"branches": ["layers.*.attention", "layers.*.mlp"], "gate": "dia"},
    "constant": {"branches": ["layers.*.attention", "layers.*.mlp"], "gate": "constant"},
}


class Design(NamedTuple):
    """A transformer and how it is trained."""

    layers: int = 4
    width: int = 32
    heads: int = 4
    epochs: int = 12
    rate: float = 3e-3
    batch: int = 64
    seed: int = 0


class Epoch(NamedTuple):
    """What was measured after an epoch.

    * ``loss``: mean loss of the epoch in training; None before the first.
    * ``accuracy``: share of the test pictures that are named.
    * ``gate``: mean gate of the test pictures; None without gates.
    """

    epoch: int
    loss: float | None
    accuracy: float
    gate: float | None


class Attention(torch.nn.Module):
    """Softmax attention of several heads over all tokens, after a normalisation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = torch.nn.LayerNorm(width)
        self.input = linear(width, 3 * width)
        self.output = linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.input(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        read = plain.scaled_dot_product_attention(query, key, value)
        found: Tensor = self.output(read.transpose(1, 2).flatten(2))
        return found


class Layer(torch.nn.Module):
    """A layer of two residual branches, the attention and the MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.mlp = torch.nn.Sequential(
            torch.nn.LayerNorm(width),
            linear(width, 2 * width),
            torch.nn.GELU(),
            linear(2 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        found: Tensor = x + self.mlp(x)
        return found


class ViT(torch.nn.Module):
    """Patches of 2 x 2 pixels with places, layers, the mean over tokens, and ten classes."""

    def __init__(self, design: Design, source: torch.Generator) -> None:
        super().__init__()
        width, tokens = design.width, (SIDE // PATCH) ** 2
        self.patch = linear(PATCH * PATCH, width)
        self.place = torch.nn.Parameter(0.02 * torch.randn(tokens, width, generator=source))
        layers = (Layer(width, design.heads) for _ in range(design.layers))
        self.layers = torch.nn.ModuleList(layers)
        self.norm = torch.nn.LayerNorm(width)
        self.head = linear(width, CLASSES)
        draw(self, source)

    def forward(self, x: Float[Tensor, "b 1 8 8"]) -> Float[Tensor, "b 10"]:
        tokens = plain.unfold(x, PATCH, stride=PATCH).mT
        state = self.patch(tokens) + self.place
        for layer in self.layers:
            state = layer(state)
        found: Tensor = self.head(self.norm(state.mean(1)))
        return found


def linear(width: int, out: int) -> torch.nn.Linear:
    """Return a linear map whose weights are to be drawn."""
    found: torch.nn.Linear = torch.nn.utils.skip_init(torch.nn.Linear, width, out)  # type: ignore[no-untyped-call]
    return found


@torch.no_grad()
def draw(net: torch.nn.Module, source: torch.Generator) -> None:
    """Draw the weights of linear maps and convolutions, within 1 / sqrt(their inputs) of zero."""
    for part in net.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            bound = part.weight[0].numel() ** -0.5
            for weight in (part.weight, part.bias):
                if weight is not None:
                    weight.copy_((2 * torch.rand(weight.shape, generator=source) - 1) * bound)


def build(design: Design, gate: str) -> ViT:
    """Return a transformer with the gates of that name; the same weights of all else for a seed."""
    options = GATES[checks.choice("gate", gate, list(GATES))]
    net = ViT(design, arrays.generator(design.seed))
    if options is not None:
        nn.share(net, example=torch.zeros(1, 1, SIDE, SIDE), seed=1000 + design.seed, **options)
    return net


def train(net: torch.nn.Module, given: _digits.Split, design: Design) -> Iterator[Epoch]:
    """Train a network in place; yield what is measured before the first epoch and after each."""
    source = arrays.generator(2000 + design.seed)
    each = len(given.train) // design.batch
    optimizer = torch.optim.AdamW(net.parameters(), lr=design.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, design.rate, total_steps=max(1, design.epochs * each), cycle_momentum=False
    )
    yield _measured(net, given, 0, None)
    for epoch in range(1, design.epochs + 1):
        net.train()
        order = torch.randperm(len(given.train), generator=source)
        losses = []
        for batch in order[: each * design.batch].reshape(each, -1):
            optimizer.zero_grad()
            loss = plain.cross_entropy(net(given.train[batch]), given.labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
        yield _measured(net, given, epoch, torch.stack(losses).mean().item())


def mean_gate(gates: dict[str, Tensor]) -> float:
    """Return the mean of all recorded gates of all stages."""
    return torch.cat([one.flatten() for one in gates.values()]).double().mean().item()


@torch.no_grad()
def _measured(net: torch.nn.Module, given: _digits.Split, epoch: int, loss: float | None) -> Epoch:
    shared = getattr(net, "shared", None)
    net.eval()
    if shared is None:
        return Epoch(epoch, loss, _digits.accuracy(net, given), None)
    with shared.record() as gates:
        accuracy = _digits.accuracy(net, given)
    return Epoch(epoch, loss, accuracy, mean_gate(gates))
