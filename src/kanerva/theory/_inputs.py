"""Check the arguments that several modules of the theory share, and what they hand back."""

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
        return math.log(checks.integer("locations", locations, 1, do=do))  # of any size
    return math.log(checks.number("locations", locations, 1.0, do=do))


def reals(
    argument: str, value: Any, low: float, high: float
) -> Float64[np.ndarray, "*shape"] | float:
    """Return a number as a float, or an array as float64, with every value within ``[low, high]``."""
    if not isinstance(value, np.ndarray):
        return checks.number(argument, value, low, high)
    must = f"numbers from {low:g} to {high:g}"
    if value.dtype.kind not in "iuf":
        do = f"convert them with {argument}.astype(float)"
        refuse(argument, value, must=must, do=do, error=InputTypeError)
    real = value.astype(np.float64)
    if not ((real >= low) & (real <= high)).all():
        got = (
            "an array with NaN in it"
            if np.isnan(real).any()
            else f"an array with values from {real.min():g} to {real.max():g}"
        )
        refuse(argument, must=must, got=got, do=f"give {must}")
    return real


def count(argument: str, must: str, was: str, log: float) -> float:
    """Return e^log, or say that no float is as large."""
    if log > LARGEST:
        refuse(
            argument,
            must=must,
            got=was,
            do=f"the result, about 10^{log / math.log(10):.0f}, is beyond the range of floats",
        )
    return math.exp(log)
