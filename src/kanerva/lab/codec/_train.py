"""Training of an autoencoder, and of a classifier on its features."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from kanerva._core.errors import refuse

__all__ = ["PLANS", "Progress", "trained"]

Progress = Callable[[int, int, float], None]


class _Plan(NamedTuple):
    """How a layout is trained.

    Attributes:
        batch: rows of an update.
        rate: of Adam at the start; it falls to 0 by a cosine.
        noise: standard deviation of the noise on what is encoded, in ranges of the data.
        weight: of the squared error of decoding, beside that of the classifier, 1.
        joint: whether the classifier trains the encoder, too.
    """

    batch: int
    rate: float
    noise: float
    weight: float
    joint: bool


PLANS = {
    "small": _Plan(32, 5e-3, 0.2, 5.0, joint=True),
    "paper": _Plan(8, 2e-3, 0.0, 5.0, joint=False),
}


def trained(
    net: nn.ModuleDict,
    unit: Float32[Tensor, "m n"],
    targets: Int64[Tensor, "m"] | None,
    layout: str,
    epochs: int,
    source: torch.Generator,
    progress: Progress | None,
) -> dict[str, Tensor]:
    """Train a network in place, and return its weights by name.

    Args:
        net: with its initial weights.
        unit: the patterns, scaled to numbers from 0 to 1.
        targets: the class of each, counted from 0; None for no classifier.
        layout: whose plan is followed.
        epochs: how often each pattern is shown.
        source: of the order of the patterns and of the noise.
        progress: called after each epoch with epochs done, of all, and the mean loss.
    """
    plan = PLANS[layout]
    adam = torch.optim.Adam(net.parameters(), lr=plan.rate)
    updates, done = epochs * math.ceil(len(unit) / plan.batch), 0
    for epoch in range(1, epochs + 1):
        total = 0.0
        order = torch.randperm(len(unit), generator=source)
        for rows in torch.split(order, plan.batch):
            for group in adam.param_groups:
                group["lr"] = plan.rate * (1 + math.cos(math.pi * done / updates)) / 2
            labels = None if targets is None else targets[rows]
            loss = _loss(net, unit[rows], labels, plan, source)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            total += loss.item() * len(rows)
            done += 1
        if not math.isfinite(total):
            must, do = "patterns on which the training converges", "remove rows far from the others"
            refuse("x", must=must, got=f"such that it diverges in epoch {epoch}", do=do)
        if progress is not None:
            progress(epoch, epochs, total / len(unit))
    return {name: weight.detach().clone() for name, weight in net.state_dict().items()}


def _loss(
    net: nn.ModuleDict,
    unit: Float[Tensor, "b n"],
    targets: Int64[Tensor, "b"] | None,
    plan: _Plan,
    source: torch.Generator,
) -> Float[Tensor, ""]:
    """Return the squared error of decoding, and with classes the cross-entropy."""
    given = unit
    if plan.noise:
        given = unit + plan.noise * torch.randn(unit.shape, generator=source, dtype=unit.dtype)
    code = net["norm"](net["encoder"](given))
    loss = plan.weight * (net["decoder"](code) - unit).square().mean()
    if targets is not None:
        scores = net["head"](code if plan.joint else code.detach())
        loss = loss + nn.functional.cross_entropy(scores, targets)
    return loss
