"""What a read is made of."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import refuse

# Queries that are shown of an explanation.
SHOWN = 8


class Explanation(NamedTuple):
    """One read, and what it is made of.

    Every field but ``value`` and ``weights`` has one number for each query; ``print`` shows these.

    Attributes:
        value: ``(..., e)`` what was read.
        weights: ``(..., m)`` how much each key counted. Of a memory with links they are those after
            the links have acted, and may be negative; the numbers below are of the weights before.
        mass: sum of absolute weights; for ``Locations`` the locations shared with everything
            written. 0: no key has a weight.
        active: how many weights are not zero.
        effective: effective number of keys, 1 / sum p^2 with p the shares of the weights; 0 where
            the mass is 0.
        entropy: of those shares, in nats.
        margin: smallest majority among the bits read, as a share of the mass, in [0, 1]; None where
            no sign is taken.
        energy: of the query; None where the memory has none, or where one overflows.
    """

    value: Float[Tensor, "*batch e"]
    weights: Float[Tensor, "*batch m"]
    mass: Float[Tensor, "*batch"]
    active: Int64[Tensor, "*batch"]
    effective: Float[Tensor, "*batch"]
    entropy: Float[Tensor, "*batch"]
    margin: Float[Tensor, "*batch"] | None
    energy: Float[Tensor, "*batch"] | None

    def __str__(self) -> str:
        """Return a table with one row for each of the first queries."""
        columns = {name: getattr(self, name) for name in self._fields[2:]}
        known = {name: part for name, part in columns.items() if part is not None}
        count, keys = self.mass.numel(), self.weights.shape[-1]
        rows = [list(known)]
        for place in range(min(count, SHOWN)):
            rows.append([f"{part.reshape(-1)[place].item():.4g}" for part in known.values()])
        lines = ["".join(f"{cell:>11}" for cell in row) for row in rows]
        lines += [f"    ... {count - SHOWN} more"] if count > SHOWN else []
        head = (
            f"{count} read{'s' * (count != 1)} of {self.value.shape[-1]} numbers from {keys} keys"
        )
        return "\n".join([head, *lines])


def explained(
    value: Tensor,
    weights: Tensor,
    attention: Tensor,
    mass: Tensor,
    vote: Tensor | None,
    energy: Tensor | None,
) -> Explanation:
    """Put an explanation together.

    ``attention`` are the weights from which the numbers are computed, and ``vote`` is the smallest
    absolute field of a query, where signs are taken.
    """
    if not arrays.sound(mass):
        must = f"such that the mass stays within {mass.dtype}"
        do = "scale the data or beta down, or wrap the separation in Normalised"
        refuse("query", got="too large: it overflows", must=must, do=do)
    size, tiny = attention.abs(), torch.finfo(attention.dtype).tiny
    share = size / size.sum(-1, keepdim=True).clamp_min(tiny)
    squares = share.square().sum(-1)
    return Explanation(
        value=value,
        weights=weights,
        mass=mass,
        active=(attention != 0).sum(-1),
        effective=torch.where(squares > 0, 1 / squares.clamp_min(tiny), 0.0),
        entropy=torch.special.entr(share).sum(-1),
        margin=None if vote is None else vote / mass.clamp_min(tiny),
        energy=energy,
    )
