"""What the radius of a sparse distributed memory asks of its locations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kanerva import theory

__all__ = ["hardware"]


# Memories whose radius is one of locations; that of "attention" only fits its inverse temperature.
NAMES = ("sdm", "sdm_patterns")
LARGEST, MILLION = 700.0, math.log(1e6)


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
        there = next((two["value"] for two in parameters if _beside(one, two)), None)
        words = f"a radius of {one['value']} of {one['dim']:,} bits is {_short(log, 2)} of the "
        words += f"space, so {_short(-log, 1)} locations are needed for one of them to be active"
        if there is not None and there * math.exp(log) < 1:
            words += f", and {there:,} are there"
        clauses.append(words)
    if clauses:
        yield f"{title}: {'; '.join(clauses)}."


def _beside(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Return whether both are of one code, and the second is the number of locations."""
    return two["name"] == "locations" and two["codec"] == one["codec"]


def _short(log: float, digits: int) -> str:
    """Write e^log with a few digits that count, also where it is beyond the range of floats."""
    if abs(log) < LARGEST:
        short = f"{math.exp(log):.{digits}g}"
        return f"{float(short):,.0f}" if 0 < log < MILLION else short.replace("+", "")
    power = math.floor(log / math.log(10))
    lead = f"{math.exp(log - power * math.log(10)):.{digits}g}"
    return f"1e{power + 1}" if lead == "10" else f"{lead}e{power}"
