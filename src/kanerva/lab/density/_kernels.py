"""Kernel densities of the kept rows, and how likely rows are under other bandwidths."""

import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva import density
from kanerva._core.errors import InputError, refuse
from kanerva.lab.density._fitted import Fitted, Row, mean

__all__ = ["kernels"]

# Bandwidths of the curve: from half the chosen one to twice it.
POINTS = 7
# Rows for which the curve is drawn, because its time grows with their square.
MANY = 4096
WHY = "each kept row, given all others, is most likely under it (leave-one-out likelihood)"


def kernels(
    shape: str,
    kept: Float64[Tensor, "m d"],
    held: Float64[Tensor, "n d"],
    bandwidth: float | None,
) -> Fitted:
    """Put a kernel around every kept row.

    Args:
        shape: of the kernels.
        kept: the rows.
        held: rows that were held out, for the curve alone.
        bandwidth: None for the one of the largest leave-one-out likelihood.
    """
    try:
        width = density.bandwidth(kept, shape) if bandwidth is None else bandwidth
    except InputError as error:
        must = "rows whose leave-one-out likelihood has a largest value"
        do = "remove copies of rows, give --bandwidth, or name other memories by --memory"
        refuse("data", must=must, got=error.got, do=do)
    found = _density(shape, kept, width)
    left = found.leave_one_out()
    curve: list[Row] = []
    if len(kept) <= MANY:
        factors = torch.linspace(-1, 1, POINTS, dtype=torch.float64).exp2().tolist()
        for each in (width * factor for factor in factors):
            tried = _density(shape, kept, each)
            likely = {"leave-one-out": tried.leave_one_out(), "held out": tried.log_prob(held)}
            curve += [{"bandwidth": each, "of": of, "nats": mean(likely[of])} for of in likely]
    why = "given" if bandwidth is not None else WHY
    centre = torch.zeros(kept.shape[1], dtype=torch.float64)
    return Fitted(found.memory, centre, width, why, left, None, curve)


def _density(shape: str, kept: Float64[Tensor, "m d"], width: float) -> density.Density:
    memory = density.kernel(kept.shape[1], width, shape, dtype=torch.float64)
    memory.write(kept)
    return density.Density(memory)
