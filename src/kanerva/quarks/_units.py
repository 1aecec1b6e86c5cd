"""Trainable units and gates as modules."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, named, refuse
from kanerva.quarks import _inputs, _parts
from kanerva.quarks._gates import multiplex, output_gate, synaptic_gate
from kanerva.quarks._transfers import Transfer, applied, resolved

__all__ = ["Multiplex", "OutputGate", "SynapticGate", "Unit"]

PER = ("synapse", "source", "target", "layer")


class Unit(nn.Module):
    r"""A layer of plain units, without a gate.

    .. math:: O = f(x W^\top + b)

    The initial weights are uniform within 1 / sqrt(inputs) of zero, and the biases zero.

    Args:
        inputs: n >= 1.
        outputs: m >= 1, number of units.
        transfer: f, as in ``multiplex``.
        bias: whether the units have a bias.
        seed: of the weights, an integer >= 0 or a CPU generator to be shared by the modules of a
            model.
        dtype: of weights and inputs.

    Attributes:
        weight: ``(m, n)``, trained.
        bias: ``(m,)``, trained, or None.
        transfer: as given.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> quarks.Unit(3, 2, "tanh", seed=1)(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """

    @door
    def __init__(
        self,
        inputs: int,
        outputs: int,
        transfer: Transfer = None,
        bias: bool = True,
        seed: int | torch.Generator = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        inputs = checks.integer("inputs", inputs, 1, checks.LONGEST)
        outputs = checks.integer("outputs", outputs, 1, checks.LONGEST)
        self.function, self.transfer = resolved(transfer), transfer
        source, bias = arrays.generator(seed), checks.flag("bias", bias)
        self.weight = drawn("outputs", inputs, outputs, source, arrays.floating(dtype))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype)) if bias else None

    def extra_repr(self) -> str:
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, {self.transfer!r}"

    @door
    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch m"]:
        """Return the outputs ``(..., m)`` of the units.

        Args:
            x: ``(..., n)`` in the dtype of the weights, finite.
        """
        _inputs.like("x", x, self.weight.shape[1], self.weight)
        activation = _parts.summed(x, self.weight, self.bias)
        _inputs.blame(activation, x=x, weight=self.weight, bias=self.bias)
        return applied(self.transfer, activation, self.function)


class Multiplex(nn.Module):
    r"""A layer of units with signals that are added to their activations.

    .. math:: O = f(x W^\top + b + a V^\top)

    The initial weights are uniform within 1 / sqrt(inputs + signals) of zero, the biases zero.

    Args:
        inputs: n >= 1.
        signals: k >= 1, number of attending outputs.
        outputs: m >= 1, number of units.
        transfer: f, as in ``multiplex``.
        seed: as in ``Unit``.
        dtype: of weights, inputs and signals.

    Attributes:
        weight: ``(m, n)``, trained.
        onto: ``(m, k)``, trained.
        bias: ``(m,)``, trained.
        transfer: as given.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> quarks.Multiplex(3, 1, 2, "tanh")(torch.ones(5, 3), torch.ones(5, 1)).shape
        torch.Size([5, 2])
    """

    @door
    def __init__(
        self,
        inputs: int,
        signals: int,
        outputs: int,
        transfer: Transfer = None,
        seed: int | torch.Generator = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        inputs = checks.integer("inputs", inputs, 1, checks.LONGEST)
        signals = checks.integer("signals", signals, 1, checks.LONGEST)
        outputs = checks.integer("outputs", outputs, 1, checks.LONGEST)
        resolved(transfer)
        self.transfer, source = transfer, arrays.generator(seed)
        both = drawn("outputs", inputs + signals, outputs, source, arrays.floating(dtype)).detach()
        self.weight = nn.Parameter(both[:, :inputs].clone())
        self.onto = nn.Parameter(both[:, inputs:].clone())
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype))

    def extra_repr(self) -> str:
        (outputs, inputs), signals = self.weight.shape, self.onto.shape[1]
        return f"{inputs}, {signals}, {outputs}, {self.transfer!r}"

    @named()
    def forward(
        self, x: Float[Tensor, "*batch n"], signal: Float[Tensor, "*batch k"]
    ) -> Float[Tensor, "*batch m"]:
        """Return ``multiplex(x, signal, weight, onto, bias, transfer)``.

        Args:
            x: ``(..., n)`` in the dtype of the weights, finite.
            signal: ``(..., k)``, with the leading dimensions of ``x``.
        """
        return multiplex(x, signal, self.weight, self.onto, self.bias, self.transfer)


class OutputGate(nn.Module):
    r"""A layer of units whose outputs are gated by as many units.

    .. math:: O = f(x W^\top + b) \odot g(a V^\top + c)

    The attending units read a signal a, or the input itself.

    Args:
        inputs: n >= 1.
        outputs: m >= 1, number of gated units, and of gates.
        transfer: f of the attended units, as in ``multiplex``.
        gating: g of the attending units.
        signals: k >= 1, length of the signal; None for units that read the input itself.
        seed: as in ``Unit``.
        dtype: of weights, inputs and signals.

    Attributes:
        attended: the ``Unit`` whose outputs are gated.
        attending: the ``Unit`` whose outputs are the gates.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> quarks.OutputGate(3, 2, gating="sigmoid")(torch.ones(5, 3)).shape  # a GLU
        torch.Size([5, 2])
    """

    @door
    def __init__(
        self,
        inputs: int,
        outputs: int,
        transfer: Transfer = None,
        gating: Transfer = "sigmoid",
        signals: int | None = None,
        seed: int | torch.Generator = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        source, read = arrays.generator(seed), _read(inputs, signals)
        resolved(gating, "gating")
        self.own = signals is not None
        self.attended = Unit(inputs, outputs, transfer, True, source, dtype)
        self.attending = Unit(read, outputs, gating, True, source, dtype)

    @named(attended="x", attending="x", gate="x")
    def forward(
        self, x: Float[Tensor, "*batch n"], signal: Float[Tensor, "*batch k"] | None = None
    ) -> Float[Tensor, "*batch m"]:
        """Return the gated outputs ``(..., m)``.

        Args:
            x: ``(..., n)`` in the dtype of the weights, finite.
            signal: ``(..., k)`` with the leading dimensions of ``x``; None for a gate without
                ``signals``.
        """
        outputs = self.attended(x)
        return output_gate(outputs, _attend(self.attending, self.own, x, signal))


class SynapticGate(nn.Module):
    r"""A layer of units whose weights are gated by other units.

    .. math:: O_i = f\Bigl(\sum_j g_{ij} w_{ij} x_j + b_i\Bigr), \quad g = h(a V^\top + c)

    Args:
        inputs: n >= 1.
        outputs: m >= 1, number of gated units.
        transfer: f of the gated units, as in ``multiplex``.
        gating: h of the attending units.
        signals: k >= 1, length of the signal; None for units that read the input itself.
        per: what has a gate of its own: a "synapse" (m n gates), a "source" (n), a "target" (m), or
            the whole "layer" (1).
        seed: as in ``Unit``.
        dtype: of weights, inputs and signals.

    Attributes:
        weight: ``(m, n)``, trained.
        bias: ``(m,)``, trained; not gated.
        attending: the ``Unit`` whose outputs are the gates.
        transfer: as given.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> layer = quarks.SynapticGate(3, 2, signals=4, per="source")
        >>> layer(torch.ones(5, 3), torch.ones(5, 4)).shape
        torch.Size([5, 2])
    """

    @door
    def __init__(
        self,
        inputs: int,
        outputs: int,
        transfer: Transfer = None,
        gating: Transfer = "sigmoid",
        signals: int | None = None,
        per: str = "synapse",
        seed: int | torch.Generator = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        source, read = arrays.generator(seed), _read(inputs, signals)
        outputs = checks.integer("outputs", outputs, 1, checks.LONGEST)
        checks.choice("per", per, PER)
        resolved(transfer)
        resolved(gating, "gating")
        self.own, self.transfer = signals is not None, transfer
        self.shape = (
            outputs if per in ("synapse", "target") else 1,
            inputs if per in ("synapse", "source") else 1,
        )
        dtype = arrays.floating(dtype)
        self.weight = drawn("outputs", inputs, outputs, source, dtype)
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype))
        many = checks.integer("outputs", self.shape[0] * self.shape[1], 1, checks.LONGEST)
        self.attending = Unit(read, many, gating, True, source, dtype)

    @named(attended="x", attending="x", gate="x")
    def forward(
        self, x: Float[Tensor, "*batch n"], signal: Float[Tensor, "*batch k"] | None = None
    ) -> Float[Tensor, "*batch m"]:
        """Return the outputs ``(..., m)`` of the gated units.

        Args:
            x: ``(..., n)`` in the dtype of the weights, finite.
            signal: as in ``OutputGate``.
        """
        _inputs.like("x", x, self.weight.shape[1], self.weight)
        outputs = _attend(self.attending, self.own, x, signal)
        gate = outputs.reshape(*x.shape[:-1], *self.shape)
        return synaptic_gate(x, gate, self.weight, self.bias, self.transfer)


def drawn(
    argument: str, inputs: int, outputs: int, source: torch.Generator, dtype: torch.dtype
) -> nn.Parameter:
    """Return weights ``(outputs, inputs)``, uniform within 1 / sqrt(inputs) of zero."""
    with checks.room(argument, f"{outputs} units of {inputs} inputs", 12 * inputs * outputs):
        found = torch.rand(outputs, inputs, generator=source, dtype=torch.float32)
    return nn.Parameter(((2 * found - 1) * inputs**-0.5).to(dtype))


def _read(inputs: Any, signals: Any) -> int:
    """Return how many numbers the attending units read."""
    inputs = checks.integer("inputs", inputs, 1, checks.LONGEST)
    return inputs if signals is None else checks.integer("signals", signals, 1, checks.LONGEST)


def _attend(attending: Unit, own: bool, x: Tensor, signal: Tensor | None) -> Tensor:
    """Return the outputs of the attending units, which read a signal of their own or ``x``."""
    if not own and signal is not None:
        do = "build the gate with signals, or leave the signal out"
        refuse("signal", signal, must="None in a gate that reads its input", do=do)
    if own:
        width = attending.weight.shape[1]
        signal = _inputs.rows("signal", signal, width, attending.weight, x.shape[:-1])
    outputs: Tensor = attending(signal if own else x)
    return outputs
