"""Rules that turn scores into weights: how much each key counts in a read.

Nearly every rule is the gradient of a scalar potential, ``weights = dPhi/dscores``; the energy of a
memory is built from that potential. A mask is True for the keys that take part. A key that is left
out has weight zero and adds nothing to the potential; where no key is left, all weights are zero.
"""

from kanerva.separation._base import Partial, Separation
from kanerva.separation._entmax import Entmax
from kanerva.separation._inhibition import Inhibition
from kanerva.separation._mixed import Mixed
from kanerva.separation._null import Sink
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
    "Inhibition",
    "Linear",
    "Mixed",
    "Normalised",
    "Partial",
    "Power",
    "Separation",
    "Sink",
    "Softmax",
    "Step",
    "TopK",
]
