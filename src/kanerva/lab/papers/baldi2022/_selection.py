"""Random threshold units, and how often a circuit that selects one of them gives its output."""

import itertools

import torch
from torch import Tensor

from kanerva.quarks import circuits, multiplex

__all__ = ["Found", "corners", "drawn", "selected"]

# All inputs are tried where there are no more; otherwise so many are drawn.
MOST = 4096

# Shares of equal outputs, and the largest weight onto the selectors.
Found = dict[str, float]


def drawn(units: int, inputs: int, kind: str, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw weights ``(units, inputs)`` and biases, normal, or whole numbers from -3 to 3."""
    if kind == "normal":
        numbers = torch.randn(units, inputs + 1, generator=source, dtype=torch.float64)
    else:
        numbers = torch.randint(-3, 4, (units, inputs + 1), generator=source).double()
    return numbers[:, 1:].contiguous(), numbers[:, 0].contiguous()


def corners(inputs: int, source: torch.Generator) -> Tensor:
    """Return all vectors of -1/+1, ``(2^inputs, inputs)``, or some of them where these are many."""
    if 2**inputs <= MOST:
        return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=inputs))).double()
    return 2.0 * torch.randint(0, 2, (MOST, inputs), generator=source).double() - 1


def selected(weight: Tensor, bias: Tensor, x: Tensor, way: str) -> Found:
    """Compare a circuit with the units themselves, for all inputs and all selectors."""
    units, bits = len(bias), (len(bias) - 1).bit_length()
    high = x @ weight.T + bias > 0
    wanted = high.double() if way in ("and", "layer") else 2 * high.double() - 1
    codes = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=bits)))[:units].double()
    items = x.repeat(units, 1), codes.repeat_interleave(len(x), 0)
    if way == "layer":
        circuit = circuits.select(weight, bias, "and")
        found, small = (_layer(circuit, *items, share) for share in (1.0, 0.25))
        force = float(circuit.onto[0].detach().abs().max())
    else:
        circuit = circuits.select(weight, bias, way)
        found, force = circuit(*items), circuit.largest
        with torch.no_grad():
            for each in circuit.onto:
                each.mul_(0.25)
        small = circuit(*items)
    equal = (found == wanted.T.flatten()).double().reshape(units, -1).mean(-1)
    return {
        "equal": float(equal.mean()),
        "least": float(equal.min()),
        "quarter": float((small == wanted.T.flatten()).double().mean()),
        "largest": force,
        "activation": float((weight.abs().sum(-1) + bias.abs()).max()),
    }


def _layer(circuit: circuits.Circuit, x: Tensor, z: Tensor, share: float) -> Tensor:
    """Select without a gate: units that are forced to 0, and one unit that is 1 where any is."""
    weight, onto, bias = (circuit.get_parameter(name) for name in ("weight", "onto.0", "bias"))
    signal = torch.cat((z, torch.ones_like(z[:, :1])), -1)
    # The signs of the large weights are turned, so the units that are not selected are 0.
    hidden = multiplex(x, signal, weight, -share * onto, bias, "step")
    return (hidden.sum(-1) > 0.5).double()
