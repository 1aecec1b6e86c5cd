"""Circuits of plain units and the three quarks: products, selections, attention, recurrent cells.

Each function returns a module whose ``size`` says how many units, gates, layers and parameters it
has. Two of the quarks are gates, which are products; multiplexing is a sum. Some circuits have the
weights and the call of a module of torch, and its results.
"""

from kanerva.quarks.circuits._attention import attention
from kanerva.quarks.circuits._cells import gru, lstm
from kanerva.quarks.circuits._forms import dot, quadratic
from kanerva.quarks.circuits._layers import film, glu, mixture, squeeze_excite
from kanerva.quarks.circuits._products import parity, power
from kanerva.quarks.circuits._select import select
from kanerva.quarks.circuits._size import Circuit, Size
from kanerva.quarks.circuits._weights import content_attention, fast_weights, hypernetwork

__all__ = [
    "Circuit",
    "Size",
    "attention",
    "content_attention",
    "dot",
    "fast_weights",
    "film",
    "glu",
    "gru",
    "hypernetwork",
    "lstm",
    "mixture",
    "parity",
    "power",
    "quadratic",
    "select",
    "squeeze_excite",
]
