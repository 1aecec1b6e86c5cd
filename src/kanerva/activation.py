"""What a read does with the weighted sum of values: nothing, its sign, direction or winners."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva import bits
from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse

__all__ = ["Activation", "Identity", "Sign", "Unit", "Winners"]

Field = Float[Tensor, "*batch e"]
Query = Float[Tensor, "*batch d"]


class Activation:
    """A function of the field, the weighted sum of values, and of the query.

    A new activation is a frozen dataclass that writes ``forward(field, query)``. Calling it checks
    the input. Attributes of the class, or properties where they depend on the instance:

    * ``bits``: what is read is -1/+1;
    * ``keeps``: coordinates of the query may be returned, so values must be as long as keys;
    * ``plain``: the field is returned unchanged.

    Example:
        >>> import torch
        >>> from kanerva.activation import Unit
        >>> Unit()(torch.tensor([3.0, 4.0]), torch.zeros(2)).tolist()
        [0.60..., 0.80...]
    """

    bits: bool = False
    keeps: bool = False
    plain: bool = False

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        own = vars(cls)
        if not {"__call__", "forward"} & set(own):
            return
        # What a parent declares of its own result does not hold for another one.
        for name in {"bits", "keeps", "plain"} - set(own):
            setattr(cls, name, False)
        # A class may override the checked method itself.
        plain = Activation.unchecked
        cls.unchecked = plain if "forward" in own else own["__call__"]  # type: ignore[method-assign]

    @door
    def __call__(self, field: Field, query: Query) -> Field:
        """Activate a field.

        Args:
            field: ``(..., e)`` floating, finite.
            query: ``(..., d)`` with the same leading dimensions.

        Returns:
            ``(..., e)``.

        Raises:
            InputError: a field that is not finite, or queries that do not fit it.
        """
        arrays.finite("field", arrays.floats("field", field))
        arrays.floats("query", query, field.shape[-1] if self.keeps else None)
        batch = field.shape[:-1]
        if query.shape != field.shape and arrays.together(query.shape[:-1], batch) != batch:
            got = f"of shape {tuple(query.shape)} for a field of shape {tuple(field.shape)}"
            do = "give both the same leading dimensions"
            refuse("query", got=got, must="one for each field", do=do)
        return self.forward(field, query)

    def unchecked(self, field: Field, query: Query) -> Field:
        """Activate a field as a call does, without checks."""
        return self.forward(field, query)

    def forward(self, field: Field, query: Query) -> Field:
        """Activate a field; each activation writes this."""
        raise NotImplementedError(f"{type(self).__name__} does not write forward")


@dataclass(frozen=True)
class Identity(Activation):
    """Returns the field unchanged.

    Example:
        >>> import torch
        >>> from kanerva.activation import Identity
        >>> Identity()(torch.tensor([0.5]), torch.tensor([1.0])).item()
        0.5
    """

    plain = True

    def forward(self, field: Field, query: Query) -> Field:
        """Return ``field``."""
        return field


@dataclass(frozen=True)
class Unit(Activation):
    """Scales the field to length one; a zero field stays zero.

    Example:
        >>> import torch
        >>> from kanerva.activation import Unit
        >>> Unit()(torch.tensor([0.0, 2.0]), torch.zeros(2)).tolist()
        [0.0, 1.0]
    """

    def forward(self, field: Field, query: Query) -> Field:
        """Return ``field`` over its length."""
        # The largest coordinate is divided out first: squares of very large or small numbers leave
        # the range of floats.
        largest = field.detach().abs().amax(-1, keepdim=True)
        scaled = field / torch.where(largest == 0, 1.0, largest)
        return torch.nn.functional.normalize(scaled, dim=-1)


@dataclass(frozen=True)
class Sign(Activation):
    """Takes the sign of each coordinate; an exact zero becomes a bit by a stated policy.

    Args:
        tie: what an exact zero becomes. ``"random"``: a fair coin (Kanerva 1988), which is fixed by
            the query, the place of the bit and the seed, so the same query always reads the same.
            ``"keep"``: the query's own bit (Hopfield 1982; values as long as keys). ``"plus"`` or
            ``"minus"``: always that.
        seed: an integer >= 0, for ``"random"``.

    Example:
        >>> import torch
        >>> from kanerva.activation import Sign
        >>> field, query = torch.tensor([3.0, 0.0, -1.0]), torch.tensor([-1.0, -1.0, -1.0])
        >>> Sign(tie="keep")(field, query).tolist()
        [1.0, -1.0, -1.0]
    """

    tie: str = "random"
    seed: int = 0
    bits = True

    @door
    def __post_init__(self) -> None:
        checks.choice("tie", self.tie, ("random", "keep", "plus", "minus"))
        checks.keep(self, seed=checks.integer("seed", self.seed, 0, 2**63 - 1))

    @property
    def keeps(self) -> bool:  # type: ignore[override]
        """Whether ties keep the bit of the query."""
        return self.tie == "keep"

    def forward(self, field: Field, query: Query) -> Field:
        """Return the signs of ``field``, none of them zero."""
        tied = field == 0
        if not arrays.tracing() and not tied.any():
            return field.sign()
        return torch.where(tied, self._tie(field, query), field.sign())

    def _tie(self, field: Tensor, query: Tensor) -> Tensor:
        """Return the bit that each coordinate takes if it is tied."""
        if self.tie == "keep":
            return query
        if self.tie == "random":
            place = bits.mix(torch.arange(1, field.shape[-1] + 1, device=field.device))
            coin = bits.mix(bits.fingerprint(query, self.seed).unsqueeze(-1) + place)
            return torch.where(coin < 0, -1.0, 1.0).to(field.dtype)
        return torch.full_like(field, 1.0 if self.tie == "plus" else -1.0)


@dataclass(frozen=True)
class Winners(Activation):
    """Activates the k coordinates with the largest field: +1 there, and -1 elsewhere.

    It recalls codes with exactly k ones, however much of a cue is missing or added to it. Of equal
    fields at the k-th place those of the first coordinates win.

    Args:
        count: k >= 1; at least as many coordinates are all +1.

    Example:
        >>> import torch
        >>> from kanerva.activation import Winners
        >>> Winners(2)(torch.tensor([0.1, 3.0, -1.0, 2.0]), torch.zeros(4)).tolist()
        [-1.0, 1.0, -1.0, 1.0]
    """

    count: int
    bits = True

    @door
    def __post_init__(self) -> None:
        checks.keep(self, count=checks.integer("count", self.count, 1, checks.LONGEST))

    def forward(self, field: Field, query: Query) -> Field:
        """Return +1 at the largest of ``field``, and -1 elsewhere."""
        order = field.argsort(dim=-1, descending=True, stable=True)
        return torch.full_like(field, -1.0).scatter(-1, order[..., : self.count], 1.0)
