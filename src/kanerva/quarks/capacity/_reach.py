"""How many functions of at most four inputs k units compute, with a gate and without one."""

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.quarks.capacity import _functions, _layers, _request, _thresholds

__all__ = ["reach"]

WAYS = ("product", "and", "layer")


@door
def reach(inputs: int, units: int, way: str = "product") -> int:
    r"""Return how many Boolean functions k linear threshold units of n inputs reach together.

    .. math::
        \text{product: } f_1 f_2 \cdots f_k \qquad
        \text{and: } f_1 \wedge f_2 \wedge \cdots \wedge f_k \qquad
        \text{layer: } h(f_1, f_2, \ldots, f_k)

    The product and AND of k units have depth 1 and k (n + 1) weights. A layer has a further
    threshold unit h, so depth 2 and k (n + 1) + k + 1 weights, and no gate.

    Args:
        inputs: number n of inputs, 1 to 4.
        units: number k of units, or of hidden units of a layer, >= 1.
        way: ``"product"`` of outputs of -1 and 1, ``"and"`` or ``"layer"``.

    Returns:
        the number of functions; 2^(2^n) are all.

    Raises:
        InputError: a number is out of range, or the way is unknown.

    Example:
        >>> from kanerva.quarks.capacity import reach
        >>> [reach(4, k) for k in (1, 2, 3, 4)]
        [1882, 54310, 65534, 65536]
        >>> [reach(4, k, "layer") for k in (1, 2, 3, 4)]
        [1882, 41614, 65534, 65536]

    Source:
        enumeration. Parity of n inputs has the threshold degree n, and a product of k units at most
        the degree k, so that it takes n of them.
    """
    way = checks.choice("way", way, WAYS)
    n, k = _request.positive("inputs", inputs), _request.positive("units", units)
    if n > _functions.FLAGGED:
        name = f"{'count' if n == 5 else 'bounds'}({way!r}, {n})"
        do = f"use {name} for two units"
        _request.beyond(_request.Request(way, n), _functions.FLAGGED, do)
    if way == "layer":
        return len(_layers.reached(n, 1, k))
    one = found = _thresholds.tables(n, 1)
    gate = np.bitwise_and if way == "and" else np.bitwise_xor
    for _ in range(k - 1):
        more = _functions.combine(found, one, gate, n)
        # The constant 1 is a unit, so that the sets never become smaller.
        if len(more) == len(found):
            break
        found = more
    return len(found)
