"""Parameters and sources that several recipes on diffusion share."""

from typing import Annotated

from kanerva.lab.papers._common import IDENTITY, LAW, SEPARATE

__all__ = ["BOUND", "IDENTITY", "LAW", "ONE", "SEPARATE", "Count", "Noise"]

Noise = Annotated[float, "standard deviation of the noise; cells of a digit are from 0 to 1"]
Count = Annotated[int, "number of digits, of the 1,797"]

# Where an expected number comes from.
BOUND = "bound"
ONE = "one draw of separate code"
