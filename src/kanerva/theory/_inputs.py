"""Checks of the arguments and results that several modules of the theory share."""

import math
import numbers
from typing import Any

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, refuse

PATTERNS = 2**63 - 1
LARGEST = math.log(np.finfo(float).max)


def log_locations(bits: int, locations: Any) -> float:
    """Return ln r; ``math.inf`` stands for one location at each of the 2^n points."""
    if isinstance(locations, float) and locations == math.inf:
        return bits * math.log(2)
    do = "give how many there are, or math.inf for one at every point of the space"
    if isinstance(locations, numbers.Integral) and not isinstance(locations, bool):
        return math.log(checks.integer("locations", locations, 1, do=do))  # too large for a float
    return math.log(checks.number("locations", locations, 1.0, do=do))


def reals(
    argument: str, value: Any, low: float, high: float
) -> Float64[np.ndarray, "*shape"] | float:
    """Return a float, or a float64 array, whose values all lie within ``[low, high]``."""
    if not isinstance(value, np.ndarray):
        return checks.number(argument, value, low, high)
    must = f"numbers from {low:g} to {high:g}"
    if value.dtype.kind not in "iuf":
        do = f"convert them with {argument}.astype(float)"
        refuse(argument, value, must=must, do=do, error=InputTypeError)
    real = value.astype(np.float64)
    if not ((real >= low) & (real <= high)).all():
        got = f"an array with values from {real.min():g} to {real.max():g}"
        if np.isnan(real).any():
            got = "an array with NaN in it"
        refuse(argument, must=must, got=got, do=f"give {must}")
    return real


def count(argument: str, must: str, got: str, log: float) -> float:
    """Return e^log; refuse the argument where the result is beyond the range of floats."""
    if log > LARGEST:
        size = f"about 10^{log / math.log(10):.0f}"
        refuse(
            argument, must=must, got=got, do=f"the result, {size}, is beyond the range of floats"
        )
    return math.exp(log)
