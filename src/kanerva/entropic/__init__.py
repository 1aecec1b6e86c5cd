"""Entropic associative memory: registers of counts that recognise, reject, recall and associate.

A register counts how often each level of each feature was seen. It tells whether a cue is contained
in what was written, and draws a recall from the counts around the cue. It is attention with one
head of width one for each column. Its entropy trades recall for precision. A register of pairs
of levels recalls values from keys, and keys from values.
"""

from kanerva.entropic._classes import Answer, EntropicClasses
from kanerva.entropic._hetero import HeteroEntropicMemory, HeteroExplanation
from kanerva.entropic._memory import Chain, EntropicExplanation, EntropicMemory
from kanerva.entropic._quantiser import Quantiser
from kanerva.entropic._register import Recognition
from kanerva.entropic._spread import Gaussian, Spread, Triangular

__all__ = [
    "Answer",
    "Chain",
    "EntropicClasses",
    "EntropicExplanation",
    "EntropicMemory",
    "Gaussian",
    "HeteroEntropicMemory",
    "HeteroExplanation",
    "Quantiser",
    "Recognition",
    "Spread",
    "Triangular",
]
