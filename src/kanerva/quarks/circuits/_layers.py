"""Layers with gates of outputs: linear units, channels, features, and experts."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, named, refuse
from kanerva.quarks import _inputs, _parts
from kanerva.quarks._transfers import Transfer, resolved
from kanerva.quarks._units import OutputGate, Unit
from kanerva.quarks.circuits._size import Circuit, Size, trained
from kanerva.quarks.circuits._softmax import normalised

__all__ = [
    "Excite",
    "Film",
    "Glu",
    "Mixture",
    "film",
    "glu",
    "mixture",
    "squeeze_excite",
]

Seed = int | torch.Generator


class Glu(Circuit):
    """Linear units gated by as many others.

    Attributes:
        layer: the ``OutputGate``.
    """

    def __init__(self, layer: OutputGate) -> None:
        super().__init__()
        self.layer = layer

    def size(self) -> Size:
        """Return the size of the circuit."""
        outputs = self.layer.attended.weight.shape[0]
        return Size(2 * outputs, outputs, 1, trained(self))

    @named()
    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch m"]:
        """Return the gated outputs.

        Args:
            x: ``(..., n)`` in the dtype of the weights, finite.
        """
        outputs: Tensor = self.layer(x)
        return outputs


@door
def glu(
    inputs: int,
    outputs: int,
    gating: Transfer = "sigmoid",
    seed: Seed = 0,
    dtype: torch.dtype = torch.float32,
) -> Glu:
    r"""Return a gated linear layer.

    .. math:: O = (W x + b) \odot g(V x + c)

    With ``gating=torch.nn.functional.silu`` it is the gated layer of many language models.

    Size: 2 m units, m gates, depth 1, 2 m (n + 1) parameters.

    Args:
        inputs: n >= 1.
        outputs: m >= 1.
        gating: g, as the transfer of ``multiplex``.
        seed: of the weights, an integer >= 0 or a CPU generator.
        dtype: of weights and inputs.

    Returns:
        a module that takes ``(..., n)`` and returns ``(..., m)``.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> layer = circuits.glu(3, 2)
        >>> layer(torch.ones(5, 3)).shape, layer.size()
        (torch.Size([5, 2]), Size(units=4, gates=2, depth=1, parameters=16))

    Source: Dauphin and others 2017; Baldi and Vershynin 2022.
    """
    return Glu(OutputGate(inputs, outputs, None, gating, None, seed, dtype))


class Excite(Circuit):
    """Channels gated by what all places of all channels say.

    Attributes:
        hidden: the ``Unit`` that reads the means of the channels.
        gates: the ``Unit`` whose outputs gate the channels.
    """

    def __init__(self, hidden: Unit, gates: Unit) -> None:
        super().__init__()
        self.hidden, self.gates = hidden, gates

    @door
    def size(self, places: int = 1) -> Size:
        """Return the size for one item of a batch.

        Args:
            places: numbers in a channel, >= 1.
        """
        places = checks.integer("places", places, 1, checks.LONGEST)
        hidden, channels = self.hidden.weight.shape
        return Size(2 * channels + hidden, channels * places, 3, trained(self))

    @named()
    def forward(self, x: Float[Tensor, "b c *places"]) -> Float[Tensor, "b c *places"]:
        """Return the gated channels.

        Args:
            x: ``(b, c, ...)`` with one or more dimensions of places, in the dtype of the weights,
                finite.
        """
        weight = self.hidden.weight
        found = arrays.vectors("x", x, None, weight.dtype)
        if found.ndim < 3 or found.shape[1] != weight.shape[1] or not math.prod(found.shape[2:]):
            must, do = f"of shape (b, {weight.shape[1]}, places)", "give it one or more places"
            refuse("x", got=f"of shape {tuple(found.shape)}", must=must, do=do)
        _inputs.placed("x", found, weight)
        flat = found.flatten(2)
        means = _parts.total(flat) / flat.shape[-1]
        _inputs.blame(means, x=x)
        gates = self.gates(self.hidden(means))
        return _parts.gated(flat, gates.unsqueeze(-1)).reshape(found.shape)


@door
def squeeze_excite(
    channels: int, hidden: int, seed: Seed = 0, dtype: torch.dtype = torch.float32
) -> Excite:
    r"""Return a layer that gates whole channels.

    .. math:: \tilde x_{cp} = g_c x_{cp}, \quad
        g = \sigma(W_2\, \text{relu}(W_1 \bar x + b_1) + b_2)

    with the mean of each channel over its places. A gate multiplies all places of its channel.

    Size for P places: 2 c + h units, c P gates, depth 3, 2 c h + c + h parameters.

    Args:
        channels: c >= 1.
        hidden: h >= 1.
        seed: as in ``glu``.
        dtype: as in ``glu``.

    Returns:
        a module that takes ``(b, c, ...)`` and returns the same shape.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> layer = circuits.squeeze_excite(4, 2)
        >>> layer(torch.ones(1, 4, 5, 5)).shape, layer.size(25).gates
        (torch.Size([1, 4, 5, 5]), 100)

    Source: Hu and others 2018; Baldi and Vershynin 2022.
    """
    source = arrays.generator(seed)
    channels = checks.integer("channels", channels, 1, checks.LONGEST)
    hidden = checks.integer("hidden", hidden, 1, checks.LONGEST)
    first = Unit(channels, hidden, "relu", True, source, dtype)
    return Excite(first, Unit(hidden, channels, "sigmoid", True, source, dtype))


class Film(Circuit):
    """Features scaled and shifted by a signal.

    Attributes:
        scale: the ``Unit`` of the gates.
        shift: the ``Unit`` of what is added.
    """

    def __init__(self, scale: Unit, shift: Unit) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def size(self) -> Size:
        """Return the size of the circuit."""
        features = self.scale.weight.shape[0]
        return Size(3 * features, features, 2, trained(self))

    @named()
    def forward(
        self, x: Float[Tensor, "*batch m"], signal: Float[Tensor, "*batch k"]
    ) -> Float[Tensor, "*batch m"]:
        """Return the features, scaled and shifted.

        Args:
            x: ``(..., m)`` in the dtype of the weights, finite.
            signal: ``(..., k)``, with the leading dimensions of ``x``.
        """
        features, width = self.scale.weight.shape
        _inputs.like("x", x, features, self.scale.weight)
        _inputs.rows("signal", signal, width, self.scale.weight, x.shape[:-1])
        _inputs.blame(signal, signal=signal)
        gated = _parts.gated(x, self.scale(signal))
        shifted = torch.stack((gated, self.shift(signal)), -1)
        return _inputs.blame(_parts.total(shifted), x=x, signal=signal)


@door
def film(features: int, signals: int, seed: Seed = 0, dtype: torch.dtype = torch.float32) -> Film:
    r"""Return a layer that scales and shifts features by a signal.

    .. math:: \tilde x = (W a + b) \odot x + (V a + c)

    The scale is output gating, and the shift multiplexing. The biases of the scales are one at
    first.

    Size for m features and k signals: 3 m units, m gates, depth 2, 2 m (k + 1) parameters.

    Args:
        features: m >= 1.
        signals: k >= 1, length of the signal.
        seed: as in ``glu``.
        dtype: as in ``glu``.

    Returns:
        a module that takes ``(..., m)`` and a signal ``(..., k)``, and returns ``(..., m)``.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> layer = circuits.film(3, 2)
        >>> layer(torch.ones(5, 3), torch.zeros(5, 2))[0], layer.size().gates
        (tensor([1., 1., 1.], grad_fn=<SelectBackward0>), 3)

    Source: Perez and others 2018; Baldi and Vershynin 2022.
    """
    source = arrays.generator(seed)
    features = checks.integer("features", features, 1, checks.LONGEST)
    signals = checks.integer("signals", signals, 1, checks.LONGEST)
    scale = Unit(signals, features, None, True, source, dtype)
    assert scale.bias is not None
    nn.init.ones_(scale.bias)
    return Film(scale, Unit(signals, features, None, True, source, dtype))


class Mixture(Circuit):
    """Experts whose outputs are gated by softmax units.

    Attributes:
        experts: a ``Unit`` of experts times outputs.
        gates: a ``Unit`` of one score an expert.
    """

    def __init__(self, experts: Unit, gates: Unit, outputs: int) -> None:
        super().__init__()
        self.experts, self.gates, self.outputs = experts, gates, outputs

    def size(self) -> Size:
        """Return the size of the circuit."""
        experts, outputs = self.gates.weight.shape[0], self.outputs
        units = experts * (outputs + 1) + 1 + outputs
        return Size(units, experts * (outputs + 1), 4, trained(self))

    @named()
    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch m"]:
        """Return the weighted sums of the experts' outputs.

        Args:
            x: ``(..., n)`` in the dtype of the weights, finite.
        """
        outputs = self.experts(x).unflatten(-1, (self.gates.weight.shape[0], self.outputs))
        weights = normalised(self.gates(x))
        return _parts.total(_parts.gated(outputs, weights.unsqueeze(-1)).mT)


@door
def mixture(
    inputs: int,
    outputs: int,
    experts: int,
    transfer: Transfer = None,
    seed: Seed = 0,
    dtype: torch.dtype = torch.float32,
) -> Mixture:
    r"""Return a mixture of experts, each a layer of units.

    .. math:: O = \sum_e g_e\, f(W_e x + b_e), \quad g = \text{softmax}(V x + c)

    The weights of the experts gate their outputs; the softmax is exponential units, one unit of
    their sum with the reciprocal as its transfer, and one gate an expert.

    Size for E experts: E (m + 1) + m + 1 units, E (m + 1) gates, depth 4, E (m + 1) (n + 1)
    parameters.

    Args:
        inputs: n >= 1.
        outputs: m >= 1.
        experts: E >= 1.
        transfer: f, as in ``multiplex``.
        seed: as in ``glu``.
        dtype: as in ``glu``.

    Returns:
        a module that takes ``(..., n)`` and returns ``(..., m)``.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> layer = circuits.mixture(3, 2, experts=4)
        >>> layer(torch.ones(5, 3)).shape, layer.size().gates
        (torch.Size([5, 2]), 12)

    Source: Jacobs and others 1991; Baldi and Vershynin 2022.
    """
    source = arrays.generator(seed)
    resolved(transfer)
    inputs = checks.integer("inputs", inputs, 1, checks.LONGEST)
    outputs = checks.integer("outputs", outputs, 1, checks.LONGEST)
    experts = checks.integer("experts", experts, 1, checks.LONGEST)
    many = checks.integer("experts", experts * outputs, 1, checks.LONGEST)
    each = Unit(inputs, many, transfer, True, source, dtype)
    return Mixture(each, Unit(inputs, experts, None, True, source, dtype), outputs)
