"""What a read does with the weighted sum of values: nothing, its sign, or its direction. Frozen parts."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva import bits
from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse

__all__ = ["Activation", "Identity", "Sign", "Unit"]


class Activation(ABC):
    """Turns the field, the weighted sum of values, into what is read; the query is at hand for ties.

    Example:
        >>> import torch
        >>> from kanerva.activation import Unit
        >>> Unit()(torch.tensor([3.0, 4.0]), torch.zeros(2)).tolist()
        [0.60..., 0.80...]
    """

    @abstractmethod
    def __call__(
        self, field: Float[Tensor, "*batch e"], query: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch e"]:
        """Activate ``field``."""


@dataclass(frozen=True)
class Identity(Activation):
    """Leaves the weighted sum as it is.

    Example:
        >>> import torch
        >>> from kanerva.activation import Identity
        >>> Identity()(torch.tensor([0.5]), torch.tensor([1.0])).item()
        0.5
    """

    @door
    def __call__(
        self, field: Float[Tensor, "*batch e"], query: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch e"]:
        """Return ``field``."""
        return _given(self, field, query)


@dataclass(frozen=True)
class Unit(Activation):
    """Scales the weighted sum to length one; a zero sum stays zero.

    Example:
        >>> import torch
        >>> from kanerva.activation import Unit
        >>> Unit()(torch.tensor([0.0, 2.0]), torch.zeros(2)).tolist()
        [0.0, 1.0]
    """

    @door
    def __call__(
        self, field: Float[Tensor, "*batch e"], query: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch e"]:
        """Return ``field`` over its length."""
        # Over its largest coordinate first: squares of what is very large or small leave the range of floats.
        field = _given(self, field, query)
        largest = field.detach().abs().amax(-1, keepdim=True)
        return torch.nn.functional.normalize(
            field / torch.where(largest == 0, 1.0, largest), dim=-1
        )


@dataclass(frozen=True)
class Sign(Activation):
    """Takes each bit by majority: +1 where the sum is positive, -1 where it is negative, and ties by a stated policy.

    Args:
        tie: what an exact zero becomes. ``"random"``: a fair coin (Kanerva 1988), fixed by the query, the place of the bit and
            the seed, so the same query always reads the same. ``"keep"``: the query's own bit (Hopfield 1982; values as long as
            keys). ``"plus"`` or ``"minus"``: always that.
        seed: an integer >= 0, for ``"random"``.

    Example:
        >>> import torch
        >>> from kanerva.activation import Sign
        >>> Sign(tie="keep")(torch.tensor([3.0, 0.0, -1.0]), torch.tensor([-1.0, -1.0, -1.0])).tolist()
        [1.0, -1.0, -1.0]
    """

    tie: str = "random"
    seed: int = 0

    @door
    def __post_init__(self) -> None:
        checks.choice("tie", self.tie, ("random", "keep", "plus", "minus"))
        checks.keep(self, seed=checks.integer("seed", self.seed, 0, 2**63 - 1))

    @door
    def __call__(
        self, field: Float[Tensor, "*batch e"], query: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch e"]:
        """Return the signs of ``field``, none of them zero."""
        tied = _given(self, field, query) == 0
        if not torch.compiler.is_compiling() and not tied.any():
            return field.sign()
        return torch.where(tied, self._settled(field, query), field.sign())

    def _settled(self, field: Tensor, query: Tensor) -> Tensor:
        """Give the bit that each place would take if it were tied."""
        if self.tie == "keep":
            return query
        if self.tie == "random":
            place = bits.mix(torch.arange(1, field.shape[-1] + 1, device=field.device))
            coin = bits.mix(bits.fingerprint(query, self.seed).unsqueeze(-1) + place)
            return torch.where(coin < 0, -1.0, 1.0).to(field.dtype)
        return torch.full_like(field, 1.0 if self.tie == "plus" else -1.0)


def _given(part: Activation, field: Tensor, query: Tensor) -> Tensor:
    """Return a field that can be activated."""
    arrays.finite("field", arrays.floats("field", field))
    keeps = isinstance(part, Sign) and part.tie == "keep"
    arrays.floats("query", query, field.shape[-1] if keeps else None)
    if (
        query.shape != field.shape
        and arrays.together(query.shape[:-1], field.shape[:-1]) != field.shape[:-1]
    ):
        got = f"of shape {tuple(query.shape)} for a field of shape {tuple(field.shape)}"
        refuse(
            "query", must="one for each field", got=got, do="give both the same leading dimensions"
        )
    return field
