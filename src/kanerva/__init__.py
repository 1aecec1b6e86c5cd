"""Associative memory in PyTorch: store, damage, recall, compare.

Every memory here is one read with different parts, ``activation(sum_i separation(similarity(query, key_i)) * value_i)``.
Build one by its name in the literature (``sdm``, ``hopfield``, ``attention``, ...), or put the parts together yourself with
``Patterns``, which keeps what is written, and ``Locations``, which adds it to fixed counters.
"""

from kanerva import activation, bits, dynamics, functional, separation, similarity, theory
from kanerva._guard import InputError, InputFileError, InputTypeError
from kanerva._settings import settings
from kanerva.check import check_memory
from kanerva.designs import sdm_continuous, sdm_continuous_attention, sdm_continuous_patterns, sdm_hyperplane, sdm_selected
from kanerva.locations import Locations
from kanerva.memory import Explanation, Memory
from kanerva.models import (
    attention,
    dense,
    exponential,
    hopfield,
    modern_hopfield,
    sdm,
    sdm_attention,
    sdm_patterns,
    sparse_hopfield,
)
from kanerva.patterns import Patterns
from kanerva.storage import load

__all__ = [
    "Explanation",
    "InputError",
    "InputFileError",
    "InputTypeError",
    "Locations",
    "Memory",
    "Patterns",
    "activation",
    "attention",
    "bits",
    "check_memory",
    "dense",
    "dynamics",
    "exponential",
    "functional",
    "hopfield",
    "load",
    "modern_hopfield",
    "sdm",
    "sdm_attention",
    "sdm_continuous",
    "sdm_continuous_attention",
    "sdm_continuous_patterns",
    "sdm_hyperplane",
    "sdm_patterns",
    "sdm_selected",
    "separation",
    "settings",
    "similarity",
    "sparse_hopfield",
    "theory",
]
__version__ = "0.1.0"
