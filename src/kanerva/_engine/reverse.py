"""Reading locations backwards: the addresses whose counters agree with a value."""

import torch
from jaxtyping import Bool, Float, Float64, Shaped
from torch import Tensor

from kanerva._core.settings import settings
from kanerva.bits import Packed

__all__ = ["backwards"]


def backwards(
    values: Float[Tensor, "rows e"], addresses: Packed, counters: Shaped[Tensor, "m e"], exact: bool
) -> tuple[Float64[Tensor, "rows d"], Bool[Tensor, "rows"]]:
    """Sum the addresses of all locations, each weighted by the product of counters and value.

    Args:
        values: what was written.
        addresses: of the locations.
        counters: of the locations.
        exact: whether the sums are of whole numbers, whose order has no influence; otherwise
            each value is computed by itself, whatever the others are.

    Returns:
        the sums, and for each value whether any location agrees or disagrees with it.
    """
    rows, count = len(values), len(addresses)
    sums = values.new_zeros(rows, addresses.bits, dtype=torch.float64)
    agreed = torch.zeros(rows, dtype=torch.bool, device=values.device)
    groups = (slice(0, rows),) if exact else tuple(slice(row, row + 1) for row in range(rows))
    size = max(1, settings.budget // (8 * (addresses.bits + counters.shape[1] + rows)))
    for start in range(0, count, size):
        block = slice(start, start + size)
        held, places = counters[block].double(), addresses[block].double()
        for group in groups:
            agreement = values[group].double() @ held.T
            sums[group] += agreement @ places
            agreed[group] |= agreement.ne(0).any(-1)
    return sums, agreed
