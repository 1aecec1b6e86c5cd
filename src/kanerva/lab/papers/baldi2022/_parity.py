"""Many small networks trained at once to compute the parity of some bits."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from kanerva.quarks import output_gate

__all__ = ["STARTS", "STEPS", "WAYS", "Design", "learned", "points"]

WAYS = ("one unit", "gated units", "layer", "wide layer")
STARTS = ("uniform", "no bias", "normal")
STEPS = (0, 10, 20, 50, 100, 200, 500, 1000, 2000)

Outputs = Float32[Tensor, "seeds points"]


class Design(NamedTuple):
    """What is trained, and from what weights.

    Attributes:
        way: of ``WAYS``.
        bits: of the parity.
        start: of ``STARTS``, the initial weights.
        seeds: how many networks.
        steps: of the training.
        rate: of Adam.
        seed: of the initial weights.
    """

    way: str
    bits: int
    start: str
    seeds: int
    steps: int
    rate: float
    seed: int

    @property
    def hidden(self) -> int:
        """The number of units that read the bits."""
        return {"one unit": 1, "wide layer": 2 * self.bits}.get(self.way, self.bits)


def points(
    bits: int,
) -> tuple[Float32[Tensor, "points bits"], Float32[Tensor, " points"]]:
    """Return all vectors of -1/+1 bits, and the product of each."""
    x = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=bits)))
    return x, x.prod(-1)


def learned(design: Design) -> Iterator[dict[str, Any]]:
    """Train the networks by all points at once, and count those with every sign right."""
    x, wanted = points(design.bits)
    source = torch.Generator().manual_seed(design.seed)
    weights, outputs = _network(design, source)
    count = sum(part[0].numel() for part in weights)
    adam = torch.optim.Adam(weights, lr=design.rate)
    kept = {step for step in STEPS if step < design.steps} | {design.steps}
    for step in range(design.steps + 1):
        found = outputs(x)
        if step in kept:
            right = _right(found, wanted)
            share = float(right.double().mean())
            yield {"step": step, "weights": count, "learned": share}
        if step < design.steps:
            adam.zero_grad()
            # A sum over the networks, so that none depends on the others.
            (found - wanted).square().mean(-1).sum().backward()  # type: ignore[no-untyped-call]
            adam.step()


def _right(found: Outputs, wanted: Float32[Tensor, " points"]) -> Bool[Tensor, " seeds"]:
    """Return which networks have every sign right; an output of zero is wrong."""
    return (found * wanted > 0).all(-1)


def _network(
    design: Design, source: torch.Generator
) -> tuple[list[Tensor], Callable[[Tensor], Outputs]]:
    """Return the weights of all networks, and their outputs as a function of the points."""
    units = _layer(design.seeds, design.bits, design.hidden, design.start, source)
    if not design.way.endswith("layer"):
        return units, lambda x: _gated(_units(x.unsqueeze(1), *units))
    last = _layer(design.seeds, design.hidden, 1, design.start, source)
    weights = units + last
    return weights, lambda x: _units(_units(x.unsqueeze(1), *units).unsqueeze(2), *last)[..., 0]


def _units(
    x: Float32[Tensor, "*some 1 n"],
    weight: Float32[Tensor, "seeds 1 m n"],
    bias: Float32[Tensor, "seeds 1 m"],
) -> Float32[Tensor, "seeds points m"]:
    """Return the outputs of a layer of tanh units of each network."""
    # Sums of so few terms, which a product of matrices would add in an order of its own.
    return ((x * weight).sum(-1) + bias).tanh()


def _gated(outputs: Float32[Tensor, "seeds points m"]) -> Outputs:
    """Return the product of the units, which gate one another."""
    found = outputs[..., :1]
    for place in range(1, outputs.shape[-1]):
        found = output_gate(found, outputs[..., place : place + 1])
    return found[..., 0]


def _layer(
    seeds: int, inputs: int, units: int, start: str, source: torch.Generator
) -> list[Tensor]:
    """Draw the weights and biases of a layer of each network."""
    scale = inputs**-0.5

    def drawn(*shape: int) -> Tensor:
        if start == "normal":
            return scale * torch.randn(shape, generator=source)
        return scale * (2 * torch.rand(shape, generator=source) - 1)

    weight, bias = drawn(seeds, 1, units, inputs), drawn(seeds, 1, units)
    if start == "no bias":
        bias = torch.zeros_like(bias)
    return [weight.requires_grad_(), bias.requires_grad_()]
