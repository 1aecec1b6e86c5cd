"""How much does each key count? Frozen parts that turn scores into weights.

Nearly every part is the gradient of a scalar potential, ``weights = dPhi/dscores``, and carries that potential; the energy of
a memory is built from it. A mask tells which scores are there (True) and which are not: what is masked gets weight zero and
adds nothing to the potential, and where nothing is left all weights are zero.
"""

from kanerva.separation._base import Separation
from kanerva.separation._entmax import Entmax
from kanerva.separation._overlaps import Cap, Circle
from kanerva.separation._softmax import Argmax, Compact, Softmax, TopK
from kanerva.separation._sums import Exponential, Linear, Power, Step
from kanerva.separation._wrappers import Difference, Normalised

__all__ = [
    "Argmax",
    "Cap",
    "Circle",
    "Compact",
    "Difference",
    "Entmax",
    "Exponential",
    "Linear",
    "Normalised",
    "Power",
    "Separation",
    "Softmax",
    "Step",
    "TopK",
]
