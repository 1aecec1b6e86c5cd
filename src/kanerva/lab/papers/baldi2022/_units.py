"""Units whose functions are counted, as parameters of recipes: names, options and words."""

import math
from typing import Annotated, Any

from kanerva._core.checks import choice
from kanerva.lab.recipe import Row

__all__ = ["FEW", "KNOWN", "UNITS", "Degree", "Inputs", "Unit", "bounded", "named"]

Inputs = Annotated[int, "number n of inputs of -1 and 1"]
Degree = Annotated[int, "degree of the polynomials of the units; 1 for linear ones"]
Unit = Annotated[
    str,
    "threshold, and, product, multiplex, synapse, any, sign, step, masked, shared, shared01 or "
    "layer",
]

# By the value of the parameter: the name and the options of ``capacity.count``, and words.
UNITS: dict[str, tuple[str, dict[str, Any], str]] = {
    "threshold": ("threshold", {}, "one unit"),
    "and": ("and", {}, "output gate of 0 and 1 (AND)"),
    "product": ("product", {}, "output gate of ±1 (product)"),
    "multiplex": ("multiplex", {}, "multiplexing, no product"),
    "synapse": ("synapse", {"which": 0}, "gate of ±1 on one named synapse"),
    "any": ("synapse", {"which": "any"}, "gate of ±1 on any one synapse"),
    "sign": ("synapses", {"gate": "sign"}, "gate of ±1 on all synapses"),
    "step": ("synapses", {"gate": "step"}, "gate of 0 and 1 on all synapses"),
    "masked": ("masked", {}, "unit of ±1, gate of 0 and 1"),
    "shared": ("shared", {"gate": "sign"}, "two units, one gate of ±1"),
    "shared01": ("shared", {"gate": "step"}, "two units, one gate of 0 and 1"),
    "layer": ("layer", {"hidden": 2}, "two hidden units, no gate"),
}
# Outputs of these units are not two values, so that they are counted and not listed.
FEW = ("masked", "shared", "shared01")
# Linear threshold functions of seven inputs and more.
KNOWN = {7: 8378070864, 8: 17561539552946, 9: 144130531453121108}


def named(unit: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of a unit.

    Example:
        >>> named("step")
        ('synapses', {'gate': 'step'})
    """
    return UNITS[choice("unit", unit, tuple(UNITS))][:2]


def bounded(unit: str, inputs: int, degree: int, functions: int | None) -> Row:
    """Return the columns of the bounds, and whether a number of functions is between them.

    Example:
        >>> bounded("threshold", 2, 1, 14)["inside"]
        1
    """
    from kanerva.quarks import capacity

    name, options = named(unit)
    low, high, leading = capacity.bounds(name, inputs, degree, **options)
    bits = None if functions is None else math.log2(functions)
    inside = None if bits is None else int(low - 1e-9 <= bits <= high + 1e-9)
    return {"bits": bits, "lower": low, "upper": high, "leading": leading, "inside": inside}
