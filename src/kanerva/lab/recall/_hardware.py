"""What the radius of a sparse distributed memory asks of its locations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kanerva import theory

__all__ = ["hardware"]


def hardware(title: str, parameters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say which share of the space lies within a radius, and how many locations make one active.

    Args:
        title: of the memory.
        parameters: of one memory, as in ``Comparison``; those named ``radius`` are described.

    Example:
        >>> found = dict(name="radius", value=3, codec="none", dim=64)
        >>> print(*hardware("SDM, patterns", [found]))
        SDM, patterns: 3 of 64 bits around a query are 2.4e-15 of the space, so 4e+14 locations
        are needed for one of them to be active.
    """
    for one in parameters:
        if one["name"] != "radius":
            continue
        log = theory.circle.log_activation(one["dim"], int(one["value"]))
        share, needed = math.exp(log), math.exp(-log)
        there = next((two["value"] for two in parameters if _beside(one, two)), None)
        words = f"{title}: {one['value']} of {one['dim']:,} bits around a query are {share:.2g} of "
        words += f"the space, so {needed:.1g} locations are needed for one of them to be active"
        if there is not None and there * share < 1:
            words += f", and {there:,} are there"
        yield words + "."


def _beside(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Return whether both are of one code, and the second is the number of locations."""
    return two["name"] == "locations" and two["codec"] == one["codec"]
