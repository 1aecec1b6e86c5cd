"""The entropic memory: how a comparison chooses its size and what it accepts."""

from typing import Any

from kanerva.lab.citations import MEMORIES
from kanerva.lab.memories._entry import Chosen, Entry, Facts, Parameter

__all__ = ["ENTROPIC"]

LEVELS, SIGMA = 16, 0.025
# So many columns of a cue, of each that may mismatch.
TOLERATED = 10
MOST = 1024


def _eam(facts: Facts, chosen: Chosen) -> list[Parameter]:
    mismatches = facts.dim // TOLERATED
    few = "one column of ten may mismatch: a cue with more is rejected, and recalls zeros"
    near = f"{SIGMA * LEVELS:.1g} levels: a level that was seen is returned as it is"
    many = "the best size of the publication; columns are independent, so a damaged number that "
    many += "was seen in its column is not repaired from the others"
    return [
        Parameter("levels", LEVELS, many, 2, MOST, "log"),
        Parameter("sigma", SIGMA, near, 0.001, 0.5, "log", tuned=True),
        Parameter("xi", mismatches, few, 0, facts.dim, tuned=True),
    ]


def _build(dim: int, **parameters: Any) -> Any:
    """Build the memory; its module is imported when it is first called."""
    from kanerva import entropic

    spread = entropic.Gaussian(parameters.pop("sigma", SIGMA))
    return entropic.EntropicMemory(
        dim, parameters.pop("levels", LEVELS), spread=spread, **parameters
    )


def _fill(memory: Any, data: Any) -> None:
    """Fit the levels to the data, and store them."""
    memory.fit(data.real)


ENTROPIC = {
    "eam": Entry("Entropic", ("real",), MEMORIES["eam"], _eam, _build, fill=_fill),
}
