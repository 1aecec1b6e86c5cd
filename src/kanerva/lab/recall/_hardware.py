"""What the radius of a sparse distributed memory asks of its locations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kanerva import theory

__all__ = ["hardware"]


# Memories whose radius is one of locations; that of "attention" only fits its inverse temperature.
NAMES = ("sdm", "sdm_patterns")


def hardware(title: str, parameters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say which share of the space lies within a radius, and how many locations make one active.

    Args:
        title: of the memory.
        parameters: of one memory, as in ``Comparison``; its radius in each code is described.

    Example:
        >>> found = dict(memory="sdm_patterns", name="radius", value=3, codec="none", dim=64)
        >>> next(hardware("SDM, patterns", [found]))[15:77]
        'a radius of 3 of 64 bits is 2.4e-15 of the space, so 4e14 loca'
    """
    clauses = []
    for one in parameters:
        if one["name"] != "radius" or one["memory"] not in NAMES:
            continue
        log = theory.circle.log_activation(one["dim"], int(one["value"]))
        share, needed = math.exp(log), math.exp(-log)
        there = next((two["value"] for two in parameters if _beside(one, two)), None)
        words = (
            f"a radius of {one['value']} of {one['dim']:,} bits is {share:.2g} of the space, so "
        )
        words += f"{_digit(needed)} locations are needed for one of them to be active"
        if there is not None and there * share < 1:
            words += f", and {there:,} are there"
        clauses.append(words)
    if clauses:
        yield f"{title}: {'; '.join(clauses)}."


def _beside(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Return whether both are of one code, and the second is the number of locations."""
    return two["name"] == "locations" and two["codec"] == one["codec"]


def _digit(number: float) -> str:
    """Write a number with one digit that counts."""
    short = f"{number:.1g}"
    return f"{float(short):,.0f}" if number < 1e6 else short.replace("+", "")
