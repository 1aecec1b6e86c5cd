"""The bandwidth under which every row is most probable, given the other rows."""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.density._kde import SHAPES, kernel
from kanerva.density._laws import law_of

__all__ = ["bandwidth"]

# Factor between two bandwidths of the first search, from the smallest distance to the largest.
STEP = 2.0
# Rows whose likelihood is computed: more would change the result by less than its spread.
MANY = 1024
# Relative accuracy of the result.
FINE = 1e-3
# The golden section of an interval.
GOLDEN = (math.sqrt(5) - 1) / 2


@door
def bandwidth(x: Float[Tensor, "m d"] | arrays.Listed, shape: str = "gaussian") -> float:
    r"""Choose a bandwidth by leave-one-out likelihood.

    .. math:: \hat h = \arg\max_h \sum_i \log p_{-i}(x_i; h)

    Args:
        x: ``(m, d)`` two rows or more that differ. Each row that occurs twice makes ever smaller
            bandwidths more likely: remove copies, or give a bandwidth yourself. The likelihood is
            that of 1,024 rows, evenly spaced, where there are more.
        shape: of the kernels, as in ``kernel``.

    Returns:
        the bandwidth, in the unit of the data, to a thousandth of itself.

    Raises:
        InputError: fewer than two rows that differ, or so many copies that the likelihood has no
            largest value.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> x = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
        >>> 0.2 < density.bandwidth(x) < 0.5
        True

    Source: Habbema, Hermans and van den Broek 1974; Duin 1976.
    """
    shape = checks.choice("shape", shape, SHAPES)
    x = arrays.listed(x, torch.float64, torch.device("cpu"))
    rows = arrays.finite("x", arrays.rows("x", arrays.floats("x", x))).double()
    # Halves of differences do not overflow. Over a power of two, which changes no digit, neither
    # do their squares.
    rows = rows / 2 - rows[:1] / 2
    unit = 2.0 ** (math.frexp(float(rows.abs().amax()))[1] - 1) if len(rows) else 1.0
    rows = rows / unit
    places = torch.linspace(0, len(rows) - 1, min(MANY, len(rows))).round().long()
    low, high = _range(rows, places, shape)

    def loss(width: float) -> float:
        memory = kernel(rows.shape[1], math.exp(width), shape, dtype=torch.float64)
        memory.write(rows)
        return -float(law_of(memory, None).leave_one_out(places).mean())

    steps = 2 + math.ceil((high - low) / math.log(STEP))
    tried = np.linspace(low, high, steps).tolist()
    values = [loss(width) for width in tried]
    best = int(np.argmin(values))
    if best == 0 or not math.isfinite(values[best]):
        must = "rows whose leave-one-out likelihood has a largest value"
        do = "remove copies of rows, or choose a bandwidth"
        refuse("x", got="rows of which too many are copies", must=must, do=do)
    found = _least(loss, tried[best - 1], tried[min(best + 1, steps - 1)])
    return 2 * unit * math.exp(found)


def _least(loss: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function is least, by the golden section; it may be infinite further left."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    before, after = loss(left), loss(right)
    while high - low > FINE:
        if before < after:
            high, right, after = right, left, before
            left = high - GOLDEN * (high - low)
            before = loss(left)
        else:
            low, left, before = left, right, after
            right = low + GOLDEN * (high - low)
            after = loss(right)
    return (low + high) / 2


def _range(rows: Tensor, places: Tensor, shape: str) -> tuple[float, float]:
    """Return the logarithms of the smallest positive distance, less a bit, and the largest."""
    norm = 1.0 if shape == "laplace" else 2.0
    near, far = math.inf, 0.0
    for part in torch.split(rows[places], 128):
        distance = torch.cdist(part, rows, p=norm, compute_mode="donot_use_mm_for_euclid_dist")
        positive = distance[distance > 0]
        if len(positive):
            near, far = min(near, float(positive.min())), max(far, float(positive.max()))
    if not far:
        got, do = f"{len(rows)} rows, all equal", "give rows that differ"
        refuse("x", got=got, must="two rows or more that differ", do=do)
    dim = rows.shape[1]
    share = {"gaussian": dim**-0.5, "epanechnikov": 1.0, "laplace": 1 / dim}[shape]
    return math.log(near * share / 4), math.log(far * 2)
