"""Reading locations backwards: the sum of the addresses whose counters agree with a value."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Float64, Shaped
from torch import Tensor

from kanerva._core.settings import settings
from kanerva._engine.scores import part_of
from kanerva._engine.tiles import numbers
from kanerva.bits import Packed

__all__ = ["backwards"]

# The most values that are read at a time: more would leave room for few locations in a block.
MOST = 1024


def backwards(
    values: Float[Tensor, "b e"], addresses: Packed, counters: Shaped[Tensor, "m e"], exact: bool
) -> Iterator[tuple[Float[Tensor, "_some e"], Float64[Tensor, "_some d"], Bool[Tensor, "_some"]]]:
    """Sum the addresses of all locations, each weighted by the product of counters and value.

    The blocks depend on the budget and the shape of the memory alone, so that equal values have
    equal sums in every batch.

    Args:
        values: what was written.
        addresses: of the locations.
        counters: of the locations.
        exact: whether the sums are of whole numbers, which are exact up to 2^53 in any order;
            otherwise each value is computed by itself, because the order of a sum in a product of
            matrices depends on their sizes.

    Returns:
        some values at a time, their sums, and for each whether no location agrees or disagrees.
    """
    width = addresses.bits + counters.shape[1]
    most = min(MOST, max(1, settings.budget // (64 * width)))
    # A block of addresses and counters in float64, and on the way to it no more than that again.
    size = max(1, settings.budget // (16 * (width + most)))
    for part in torch.split(values, most):
        given = part.double()
        sums = given.new_zeros(len(part), addresses.bits)
        empty = torch.ones(len(part), dtype=torch.bool, device=part.device)
        groups = [slice(None)] if exact else [slice(row, row + 1) for row in range(len(part))]
        for start in range(0, len(addresses), size):
            block = slice(start, start + size)
            held = counters[block].double()
            places = numbers(part_of(addresses, block), torch.float64)
            for group in groups:
                agreement = given[group] @ held.mT
                sums[group] += agreement @ places
                empty[group] &= (agreement == 0).all(-1)
        yield part, sums, empty
