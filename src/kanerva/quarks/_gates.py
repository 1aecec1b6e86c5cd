"""The three quarks: a signal is added to an activation, or gates an output, or gates weights."""

from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import door, refuse
from kanerva.quarks import _inputs, _parts
from kanerva.quarks._transfers import Transfer, applied, resolved

__all__ = ["multiplex", "output_gate", "synaptic_gate"]


@door
def multiplex(
    x: Float[Tensor, "*batch n"],
    signal: Float[Tensor, "*batch k"],
    weight: Float[Tensor, "m n"],
    onto: Float[Tensor, "m k"],
    bias: Float[Tensor, " m"] | None = None,
    transfer: Transfer = None,
) -> Float[Tensor, "*batch m"]:
    r"""Add signals to the activations of units: additive activation attention.

    .. math:: O = f(x W^\top + b + a V^\top)

    The signals are further inputs of the units, so this is a sum and no product. A weight onto a
    signal of 0/1 that is larger than all other terms together forces the unit, with the transfer
    "sign" or "step", to one of its values where the signal is 1. Where it is 0, the output depends
    on the other inputs alone.

    Args:
        x: ``(..., n)`` inputs, finite.
        signal: a, ``(..., k)`` outputs of the attending units, with the leading dimensions of
            ``x``.
        weight: W, ``(m, n)`` in the dtype of ``x``.
        onto: V, ``(m, k)``, weights of the signals.
        bias: b, ``(m,)``, or None.
        transfer: f: "identity", "sign" (-1 at 0), "step" (0 at 0), "relu", "sigmoid", "tanh",
            "exp", "reciprocal", a function of the activations, or None for the identity.

    Returns:
        ``(..., m)`` outputs of the units.

    Raises:
        InputError: shapes or dtypes that do not fit, numbers that are not finite, or a transfer
            that is not finite at an activation.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> x, signal = torch.tensor([[1.0], [-1.0]]), torch.tensor([[0.0], [1.0]])
        >>> quarks.multiplex(x, signal, torch.eye(1), torch.full((1, 1), 5.0), transfer="sign")
        tensor([[1.],
                [1.]])

    Source: Baldi and Vershynin 2022.
    """
    function = resolved(transfer)
    _inputs.matrix("weight", weight)
    _inputs.matrix("onto", onto, weight, weight.shape[0])
    _inputs.like("x", x, weight.shape[1], weight)
    _inputs.rows("signal", signal, onto.shape[1], weight, x.shape[:-1])
    _inputs.bias(bias, weight)
    activation = _parts.multiplexed(x, signal, weight, onto, bias)
    _inputs.blame(activation, x=x, signal=signal, weight=weight, onto=onto, bias=bias)
    return applied(transfer, activation, function)


@door
def output_gate(
    attended: Float[Tensor, "*batch m"], attending: Float[Tensor, "*batch k"]
) -> Float[Tensor, "*batch _l"]:
    r"""Multiply outputs by a gate: multiplicative output attention.

    .. math:: \tilde O_i = a_i O_i \quad \text{or} \quad \tilde O_i = a\, O_i

    The product goes to all targets of the attended units. The two arguments play the same role:
    which of them is the gate is a matter of names.

    Args:
        attended: O, ``(..., m)``, finite, or ``(..., 1)``.
        attending: a, ``(..., m)``, or ``(..., 1)`` for one gate of all m outputs; in the dtype and
            with the leading dimensions of ``attended``.

    Returns:
        ``(..., m)``.

    Raises:
        InputError: shapes or dtypes that do not fit, or numbers that are not finite.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> x = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
        >>> quarks.output_gate(x[:, :1], x[:, 1:]).flatten()  # whether two bits are equal
        tensor([ 1., -1., -1.,  1.])

    Source: Baldi and Vershynin 2022.
    """
    arrays.floats("attended", attended)
    arrays.vectors("attending", attending, None, attended.dtype)
    _inputs.placed("attending", attending, attended)
    _inputs.rows("attending", attending, None, attended, attended.shape[:-1], "attended")
    m, k = attended.shape[-1], attending.shape[-1]
    if m != k and 1 not in (m, k):
        must = f"of shape (..., {m}) or (..., 1)"
        do = "give one gate for each output, or one for all"
        refuse("attending", got=f"of shape {tuple(attending.shape)}", must=must, do=do)
    found = _parts.gated(attended, attending)
    return _inputs.blame(found, attended=attended, attending=attending)


@door
def synaptic_gate(
    x: Float[Tensor, "*batch n"],
    gate: Float[Tensor, "*batch _m _n"],
    weight: Float[Tensor, "m n"],
    bias: Float[Tensor, " m"] | None = None,
    transfer: Transfer = None,
) -> Float[Tensor, "*batch m"]:
    r"""Multiply weights by gates: multiplicative synaptic attention.

    .. math:: O_i = f\Bigl(\sum_j g_{ij} w_{ij} x_j + b_i\Bigr)

    A gate may be one for each synapse, ``(..., m, n)``; for each source, ``(..., 1, n)``, which is
    output gating of the sources; for each target, ``(..., m, 1)``, which is gating of the
    activations; or one for all, ``(..., 1, 1)``. Only a gate for each synapse builds gated weights.
    The bias is not gated.

    Args:
        x: ``(..., n)`` inputs, finite.
        gate: g, ``(..., m, n)``, or 1 for m, n or both, finite. Its leading dimensions are those of
            ``x``: a gate without them is refused where ``x`` has some, since its first dimension
            could be either. A gate that all inputs share belongs into ``weight``.
        weight: w, ``(m, n)`` in the dtype of ``x``.
        bias: b, ``(m,)``, or None.
        transfer: f, as in ``multiplex``.

    Returns:
        ``(..., m)`` outputs of the units.

    Raises:
        InputError: shapes or dtypes that do not fit, a gate that would broadcast along the batch,
            numbers that are not finite, or a transfer that is not finite at an activation.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> x, weight = torch.ones(2, 3), torch.tensor([[1.0, 2.0, 4.0]])
        >>> gate = torch.tensor([[[1.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]]])  # other weights for each x
        >>> quarks.synaptic_gate(x, gate, weight)
        tensor([[5.],
                [2.]])

    Source: Baldi and Vershynin 2022.
    """
    function = resolved(transfer)
    _inputs.matrix("weight", weight)
    _inputs.like("x", x, weight.shape[1], weight)
    _inputs.gate("gate", gate, weight, x.shape[:-1])
    _inputs.bias(bias, weight)
    activation = _parts.weighed(x, gate, weight, bias)
    _inputs.blame(activation, x=x, gate=gate, weight=weight, bias=bias)
    return applied(transfer, activation, function)
