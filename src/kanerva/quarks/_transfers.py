"""Transfer functions of units: from the activation of a unit to its output, by name."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.checks import nearest
from kanerva._core.errors import InputError, InputTypeError, refuse

__all__ = ["TRANSFERS", "Transfer", "applied", "resolved"]

Transfer = str | Callable[[Tensor], Tensor] | None


def _identity(activation: Tensor) -> Tensor:
    return activation


def _sign(activation: Tensor) -> Tensor:
    """Return +1 above zero, and -1 at zero and below; its gradient is zero."""
    # torch's own sign keeps the graph of the gradient, and is 0 at 0.
    found = torch.sign(activation)
    return torch.where(found == 0, -1.0, found)


def _step(activation: Tensor) -> Tensor:
    """Return 1 above zero, and 0 at zero and below; its gradient is zero."""
    return torch.sign(activation).clamp(min=0)


TRANSFERS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": _identity,
    "sign": _sign,
    "step": _step,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "reciprocal": torch.reciprocal,
}
# The output of these is finite wherever the activation is.
BOUNDED = frozenset(TRANSFERS) - {"exp", "reciprocal"}


def resolved(transfer: Any, argument: str = "transfer") -> Callable[[Tensor], Tensor]:
    """Return the function of a name, a function as it is, and the identity for None."""
    if transfer is None:
        return _identity
    if isinstance(transfer, str) and transfer in TRANSFERS:
        return TRANSFERS[transfer]
    if callable(transfer) and not isinstance(transfer, type):
        return transfer
    names = ", ".join(repr(name) for name in TRANSFERS)
    must, do = f"one of {names}, a function, or None", "choose one of the names"
    do = nearest(transfer, tuple(TRANSFERS), do)
    error = InputError if isinstance(transfer, str) else InputTypeError
    refuse(argument, transfer, must=must, do=do, error=error)


def applied(
    transfer: Transfer, activation: Tensor, function: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Return the outputs of units with finite activations; outputs that are not finite are refused.

    Args:
        transfer: as the caller gave it.
        activation: ``(...)``, finite.
        function: what ``resolved`` returned for it.
    """
    found = (function or resolved(transfer))(activation)
    if transfer is None or (isinstance(transfer, str) and transfer in BOUNDED):
        return found
    if not isinstance(found, Tensor) or (found.shape, found.dtype) != (
        activation.shape,
        activation.dtype,
    ):
        kind = str(activation.dtype).removeprefix("torch.")
        must = f"a function that returns {kind} of shape {tuple(activation.shape)} for as many"
        do = "let it give one output for each activation, in the same dtype"
        refuse("transfer", got=f"one that returns {_brief(found)}", must=must, do=do)
    if not arrays.sound(found):
        name = repr(transfer) if isinstance(transfer, str) else "a function"
        bad = activation.detach()[~found.detach().isfinite()].flatten()[0].item()
        got = f"{name}, which is not finite at {bad:g}"
        must, do = "finite at every activation", "keep activations where it is finite"
        refuse("transfer", got=got, must=must, do=do)
    return found


def _brief(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
