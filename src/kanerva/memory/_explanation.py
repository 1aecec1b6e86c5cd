"""What a memory says of one read."""

from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor


class Explanation(NamedTuple):
    """One read, and why it came out so; every field but ``value`` and ``weights`` has a number for each query.

    Attributes:
        value: ``(..., e)`` what was read.
        weights: ``(..., m)`` how much each key counted.
        mass: sum of absolute weights; for ``Locations`` the locations shared with everything written. 0: nothing answered.
        active: how many weights are not zero.
        effective: effective number of keys, 1 / sum p^2 with p the shares of the weights; 0 where nothing answered.
        entropy: of those shares, in nats.
        margin: smallest majority among the bits read, as a share of the mass, in [0, 1]; None where no sign is taken.
        energy: of the query; None where the memory has none.
    """

    value: Float[Tensor, "*batch e"]
    weights: Float[Tensor, "*batch m"]
    mass: Float[Tensor, "*batch"]
    active: Int64[Tensor, "*batch"]
    effective: Float[Tensor, "*batch"]
    entropy: Float[Tensor, "*batch"]
    margin: Float[Tensor, "*batch"] | None
    energy: Float[Tensor, "*batch"] | None
