"""The quarks of attention: their algebra, what a model is made of, and their capacity.

Baldi and Vershynin (2022) describe attention as one of three operations, the quarks: a signal is
added to the activation of a unit, multiplies the output of a unit, or multiplies one of its
weights. Two of them are gates, which are products; the first, multiplexing, is a sum. Everything
that is called attention is a circuit of units and these three quarks.
"""

from kanerva.quarks import capacity, circuits
from kanerva.quarks._cases import CASES, Case
from kanerva.quarks._gates import multiplex, output_gate, synaptic_gate
from kanerva.quarks._identities import IDENTITIES, Identity
from kanerva.quarks._units import Multiplex, OutputGate, SynapticGate, Unit
from kanerva.quarks._watch.tally import Tally
from kanerva.quarks._watch.watcher import rebuild, watch

__all__ = [
    "CASES",
    "IDENTITIES",
    "Case",
    "Identity",
    "Multiplex",
    "OutputGate",
    "SynapticGate",
    "Tally",
    "Unit",
    "capacity",
    "circuits",
    "multiplex",
    "output_gate",
    "rebuild",
    "synaptic_gate",
    "watch",
]
