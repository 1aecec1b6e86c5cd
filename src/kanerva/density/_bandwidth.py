"""The bandwidth under which every row is most probable, given the other rows."""

import math

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
STEP = 1.5
# Rows whose likelihood is computed: more would change the result by less than its spread.
MANY = 4096
# Relative accuracy of the result.
FINE = 1e-3


@door
def bandwidth(x: Float[Tensor, "m d"], shape: str = "gaussian") -> float:
    r"""Choose a bandwidth by leave-one-out likelihood.

    .. math:: \hat h = \arg\max_h \sum_i \log p_{-i}(x_i; h)

    Args:
        x: ``(m, d)`` two rows or more that differ. Each row that occurs twice makes ever smaller
            bandwidths more likely: remove copies, or give a bandwidth yourself. The likelihood is
            that of 4,096 rows, evenly spaced, where there are more.
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
    rows = arrays.finite("x", arrays.rows("x", arrays.floats("x", x))).double()
    low, high = _range(rows, shape)

    places = torch.linspace(0, len(rows) - 1, min(MANY, len(rows))).round().long()

    def loss(width: float) -> float:
        memory = kernel(rows.shape[1], math.exp(width), shape, dtype=torch.float64)
        memory.write(rows)
        return -float(law_of(memory, None).leave_one_out(places).mean())

    from scipy.optimize import minimize_scalar

    ends = math.log(low), math.log(high)
    tried = np.linspace(*ends, 2 + math.ceil((ends[1] - ends[0]) / math.log(STEP)))
    values = [loss(width) for width in tried]
    best = int(np.argmin(values))
    if best == 0 or not math.isfinite(values[best]):
        must = "rows whose leave-one-out likelihood has a largest value"
        do = "remove copies of rows, or choose a bandwidth"
        refuse("x", got="rows of which too many are equal or alone", must=must, do=do)
    bounds = (tried[best - 1], tried[min(best + 1, len(tried) - 1)])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": FINE})
    return math.exp(float(found.x))


def _range(rows: Tensor, shape: str) -> tuple[float, float]:
    """Return the smallest positive distance of two rows, less a bit, and the largest."""
    norm = 1.0 if shape == "laplace" else 2.0
    near, far = math.inf, 0.0
    for part in torch.split(rows, 1024):
        distance = torch.cdist(part, rows, p=norm, compute_mode="donot_use_mm_for_euclid_dist")
        positive = distance[distance > 0]
        if len(positive):
            near, far = min(near, float(positive.min())), max(far, float(positive.max()))
    if not far:
        got, do = f"{len(rows)} rows, all equal", "give rows that differ"
        refuse("x", got=got, must="two rows or more that differ", do=do)
    scale = rows.shape[1] ** -0.5 if shape == "gaussian" else 1.0 / rows.shape[1] ** (norm == 1.0)
    return near * scale / 4, far * 2
