"""Circuits whose weights are signals: read by content, made by a network, or written."""

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, named, refuse
from kanerva.quarks import _inputs, _parts
from kanerva.quarks._transfers import Transfer
from kanerva.quarks._units import Multiplex, SynapticGate, Unit
from kanerva.quarks.circuits._size import Circuit, Size, trained
from kanerva.quarks.circuits._softmax import normalised

__all__ = [
    "Content",
    "FastWeights",
    "Hypernetwork",
    "content_attention",
    "fast_weights",
    "hypernetwork",
]

Seed = int | torch.Generator


class Content(Circuit):
    """Attention with additive scores.

    Attributes:
        hidden: the ``Multiplex`` of a key and the state.
        score: the ``Unit`` of the scores, without a bias.
    """

    def __init__(self, hidden: Multiplex, score: Unit) -> None:
        super().__init__()
        self.hidden, self.score = hidden, score

    @door
    def size(self, places: int = 1) -> Size:
        """Return the size for one state.

        Args:
            places: number of keys, >= 1.
        """
        n = checks.integer("places", places, 1, checks.LONGEST)
        hidden, width = self.hidden.weight.shape
        return Size(n * (hidden + 1) + 1 + width, n * (width + 1), 4, trained(self))

    @named(x="keys", signal="state")
    def forward(
        self, state: Float[Tensor, "*batch s"], keys: Float[Tensor, "*batch n d"]
    ) -> Float[Tensor, "*batch d"]:
        """Return the weighted sum of the keys.

        Args:
            state: ``(..., s)`` in the dtype of the weights, finite.
            keys: ``(..., n, d)``, n >= 1, with the leading dimensions of ``state``.
        """
        weight, onto = self.hidden.weight, self.hidden.onto
        _inputs.like("state", state, onto.shape[1], weight)
        _inputs.like("keys", keys, weight.shape[1], weight)
        if keys.ndim < 2 or keys.shape[:-2] != state.shape[:-1] or not keys.shape[-2]:
            must = f"of shape ({', '.join(map(str, (*state.shape[:-1], 'n', weight.shape[1])))})"
            do = "give one or more keys for each state"
            refuse("keys", got=f"of shape {tuple(keys.shape)}", must=must, do=do)
        signal = state.unsqueeze(-2).expand(*keys.shape[:-1], onto.shape[1])
        weights = normalised(self.score(self.hidden(keys, signal)).squeeze(-1))
        # The synapses from all keys onto a coordinate have the weight 1, and one gate a key.
        sources = keys.mT
        gate = weights[..., None, None, :].expand(*sources.shape[:-1], 1, -1)
        return _parts.weighed(sources, gate, keys.new_ones(1, keys.shape[-2])).squeeze(-1)


@door
def content_attention(
    state: int, keys: int, hidden: int, seed: Seed = 0, dtype: torch.dtype = torch.float32
) -> Content:
    r"""Return a head of attention with additive scores.

    .. math:: y = \sum_j w_j h_j, \quad
        w = \text{softmax}_j\bigl(v \cdot \tanh(W h_j + U s + b)\bigr)

    The state s is multiplexed into the hidden units of each key h_j, the softmax is one gate a key,
    and the read is synaptic gating.

    Size for n keys: n (h + 1) + 1 + d units, n (d + 1) gates, depth 4, h (d + s + 2) parameters,
    with h hidden units.

    Args:
        state: s >= 1, length of the state.
        keys: d >= 1, length of a key, which is also what is read.
        hidden: h >= 1.
        seed: of the weights, an integer >= 0 or a CPU generator.
        dtype: of weights and inputs.

    Returns:
        a module that takes a state ``(..., s)`` and keys ``(..., n, d)``, and returns ``(..., d)``.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> head = circuits.content_attention(state=3, keys=4, hidden=5)
        >>> head(torch.ones(2, 3), torch.ones(2, 6, 4)).shape, head.size(6).gates
        (torch.Size([2, 4]), 30)

    Source: Bahdanau and others 2015; Baldi and Vershynin 2022.
    """
    source = arrays.generator(seed)
    state = checks.integer("state", state, 1, checks.LONGEST)
    keys = checks.integer("keys", keys, 1, checks.LONGEST)
    hidden = checks.integer("hidden", hidden, 1, checks.LONGEST)
    first = Multiplex(keys, state, hidden, "tanh", source, dtype)
    return Content(first, Unit(hidden, 1, None, False, source, dtype))


class Hypernetwork(Circuit):
    """A layer whose weights are gated, each by a unit that reads a signal.

    Attributes:
        layer: the ``SynapticGate``.
    """

    def __init__(self, layer: SynapticGate) -> None:
        super().__init__()
        self.layer = layer

    def size(self) -> Size:
        """Return the size of the circuit."""
        outputs, inputs = self.layer.weight.shape
        return Size(outputs * (inputs + 1), outputs * inputs, 2, trained(self))

    @named()
    def forward(
        self, x: Float[Tensor, "*batch n"], signal: Float[Tensor, "*batch k"]
    ) -> Float[Tensor, "*batch m"]:
        """Return the outputs with the weights of the signal.

        Args:
            x: ``(..., n)`` in the dtype of the weights, finite.
            signal: ``(..., k)``, with the leading dimensions of ``x``.
        """
        outputs: Tensor = self.layer(x, signal)
        return outputs


@door
def hypernetwork(
    inputs: int,
    outputs: int,
    signals: int,
    transfer: Transfer = None,
    seed: Seed = 0,
    dtype: torch.dtype = torch.float32,
) -> Hypernetwork:
    r"""Return a layer whose weights a linear network makes from a signal.

    .. math:: O_i = f\Bigl(\sum_j g_{ij} w_{ij} x_j + b_i\Bigr), \quad g = V a + c

    This is synaptic gating with one gate a synapse. The gates are one at first where the signal is
    zero.

    Size for k signals: m (n + 1) units, m n gates, depth 2, m n (k + 2) + m parameters.

    Args:
        inputs: n >= 1.
        outputs: m >= 1.
        signals: k >= 1, length of the signal.
        transfer: f, as in ``multiplex``.
        seed: of the weights, an integer >= 0 or a CPU generator.
        dtype: of weights and inputs.

    Returns:
        a module that takes ``(..., n)`` and a signal ``(..., k)``, and returns ``(..., m)``.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> layer = circuits.hypernetwork(3, 2, signals=4)
        >>> layer(torch.ones(5, 3), torch.ones(5, 4)).shape, layer.size().gates
        (torch.Size([5, 2]), 6)

    Source: Ha and others 2017; Baldi and Vershynin 2022.
    """
    signals = checks.integer("signals", signals, 1, checks.LONGEST)
    layer = SynapticGate(inputs, outputs, transfer, None, signals, "synapse", seed, dtype)
    assert layer.attending.bias is not None
    torch.nn.init.ones_(layer.attending.bias)
    return Hypernetwork(layer)


class FastWeights(Circuit):
    """A matrix of weights that pairs of key and value are added to."""

    def __init__(self, keys: int, values: int) -> None:
        super().__init__()
        self.keys, self.values = keys, values

    def extra_repr(self) -> str:
        return f"keys={self.keys}, values={self.values}"

    @door
    def size(self, places: int = 1) -> Size:
        """Return the size for writing so many pairs and reading one query.

        Args:
            places: number of pairs, >= 1.
        """
        pairs = checks.integer("places", places, 1, checks.LONGEST)
        each = self.keys * self.values
        return Size(each + self.values, each * (pairs + 1), 3, 0)

    @door
    def write(
        self, keys: Float[Tensor, "*batch n d"], values: Float[Tensor, "*batch n e"]
    ) -> Float[Tensor, "*batch e d"]:
        """Return the weights that pairs of key and value add up to.

        Args:
            keys: ``(..., n, d)``, floating and finite; n may be 0.
            values: ``(..., n, e)`` of the same dtype.

        Returns:
            ``(..., e, d)``: the sum of ``v k^T`` over the pairs.
        """
        arrays.floats("keys", keys, self.keys)
        if keys.ndim < 2:
            must, do = f"of shape (..., n, {self.keys})", "give one row for each pair"
            refuse("keys", got=f"of shape {tuple(keys.shape)}", must=must, do=do)
        _inputs.rows("values", values, self.values, keys, keys.shape[:-1], "keys")
        shape = (*keys.shape[:-2], self.values, self.keys, keys.shape[-2])
        one = values.mT.unsqueeze(-2).expand(shape)
        products = _parts.gated(one, keys.mT.unsqueeze(-3).expand(shape))
        return _inputs.blame(_parts.total(products), keys=keys, values=values)

    @door
    def read(
        self, query: Float[Tensor, "*batch d"], weight: Float[Tensor, "*batch e d"]
    ) -> Float[Tensor, "*batch e"]:
        """Return the outputs of linear units with the written weights.

        Args:
            query: ``(..., d)``, floating and finite.
            weight: ``(..., e, d)`` of the same dtype, as ``write`` returns it.
        """
        arrays.floats("query", query, self.keys)
        ones = query.new_ones(self.values, self.keys)
        _inputs.gate("weight", weight, ones, query.shape[:-1], "query")
        if weight.shape[-2:] != ones.shape:
            must = f"of shape (..., {self.values}, {self.keys})"
            do = "give what write returns"
            refuse("weight", got=f"of shape {tuple(weight.shape)}", must=must, do=do)
        return _inputs.blame(_parts.weighed(query, weight, ones), query=query, weight=weight)

    @named()
    def forward(
        self,
        query: Float[Tensor, "*batch d"],
        keys: Float[Tensor, "*batch n d"],
        values: Float[Tensor, "*batch n e"],
    ) -> Float[Tensor, "*batch e"]:
        """Write pairs of key and value, and read one query: linear attention.

        Args:
            query: ``(..., d)``, floating and finite.
            keys: ``(..., n, d)``, with the leading dimensions of ``query``.
            values: ``(..., n, e)``.
        """
        return self.read(query, self.write(keys, values))


@door
def fast_weights(keys: int, values: int) -> FastWeights:
    r"""Return a circuit that writes pairs of key and value into weights, and reads them.

    .. math:: M = \sum_j v_j k_j^\top, \quad y = M q = \sum_j v_j (k_j \cdot q)

    To write is additive synaptic attention: the products of key and value, by output gating, are
    added to the weights. To read is synaptic gating of synapses of weight 1. Together they are
    attention with linear scores and without a softmax. The deposit of sparse distributed memory is
    the same write, with the active locations, 0 or 1, as keys and the data as values; so is that of
    a Hopfield network, whose keys are its values. An attention head that stores its keys and values
    and reads them without a softmax computes the same sum in the other order, with n (d + e) gates
    a query in place of d e.

    Size for n pairs and one query: d e + e units, d e (n + 1) gates, depth 3, no parameters.

    Args:
        keys: d >= 1, length of a key.
        values: e >= 1, length of a value.

    Returns:
        a module that takes a query ``(..., d)``, keys ``(..., n, d)`` and values ``(..., n, e)``,
        and returns ``(..., e)``; its ``write`` and ``read`` do each part.

    Raises:
        InputError: an argument is out of range; when called, input that does not fit.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> keys, values = torch.eye(3, 4), torch.tensor([[1.0], [2.0], [3.0]])
        >>> memory = circuits.fast_weights(keys=4, values=1)
        >>> memory(keys[1], keys, values), memory.write(keys, values)
        (tensor([2.]), tensor([[1., 2., 3., 0.]]))

    Source: Schmidhuber 1992; Schlag and others 2021; Baldi and Vershynin 2022.
    """
    keys = checks.integer("keys", keys, 1, checks.LONGEST)
    return FastWeights(keys, checks.integer("values", values, 1, checks.LONGEST))
