"""The memories that are densities: how a comparison chooses their parameters."""

import math
from typing import Any

from kanerva._core import checks
from kanerva.lab.citations import MEMORIES
from kanerva.lab.memories._entry import Chosen, Entry, Facts, Parameter

__all__ = ["DENSITIES"]

# Of which the leave-one-out likelihood has a closed form where only the nearest row is in reach.
SHAPES = ("gaussian", "epanechnikov")
# A mixture that creates memories compares every row with all memories: rows squared times length.
WORK = 1e10


def _kernel(facts: Facts, chosen: Chosen) -> list[Parameter]:
    given = next((one.value for one in chosen["given"] if one.name == "shape"), "gaussian")
    shape = checks.choice("shape", given, SHAPES)
    # Maximises -n log h - r^2 / (2 h^2), or log(1 - r^2 / h^2) - n log h.
    square = 2 * facts.gap * (1 if shape == "gaussian" else facts.dim + 2) / facts.dim
    width = float(f"{math.sqrt(square):.3g}")
    why = "leave-one-out likelihood, where the nearest other row alone is in reach, at the median"
    mean = "a read is the mean shift, towards where rows are dense"
    return [
        Parameter("bandwidth", width, why, width / 4, 4 * width, "log", tuned=True),
        Parameter("shape", shape, mean, choices=SHAPES),
    ]


def _crp(facts: Facts, chosen: Chosen) -> list[Parameter]:
    # Two rows of one memory are sigma sqrt(2 n) apart.
    sigma = float(f"{math.sqrt(facts.gap / facts.dim):.3g}")
    why = "rows as near as the nearest two at the median are of one memory"
    return [
        Parameter("sigma", sigma, why, sigma / 4, 4 * sigma, "log", tuned=True),
        Parameter("prior_sigma", float(f"{facts.spread:.3g}"), "that of the rows around 0"),
        Parameter("concentration", 1.0, "as readily as one row joins a memory"),
    ]


def _constructed(name: str) -> Any:
    """Return a constructor of ``kanerva.density``, which is imported when it is first called."""

    def construct(dim: int, **parameters: Any) -> Any:
        from kanerva import density

        return getattr(density, name)(dim, **parameters)

    return construct


def _is_quick(facts: Facts) -> bool:
    """Return whether a mixture is written in seconds."""
    return facts.patterns**2 * facts.dim <= WORK


DENSITIES = {
    "kernel": Entry("Kernels", ("real",), MEMORIES["kernel"], _kernel, _constructed("kernel")),
    "crp": Entry(
        "CRP mixture", ("real",), MEMORIES["crp"], _crp, _constructed("crp"), suits=_is_quick
    ),
}
