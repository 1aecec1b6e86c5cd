"""The memories of the literature by name: each is a choice of parts, given in one expression.

The docstrings translate the symbols of each paper into the terms of this library: query q (cue,
probe, state), keys K (addresses, stored patterns), values V (data, pointers), scores s, weights w,
beta (inverse temperature).
"""

from kanerva.models._attention import attention, modern_hopfield, sparse_hopfield
from kanerva.models._codes import covariance, willshaw
from kanerva.models._continuous import (
    sdm_continuous,
    sdm_continuous_attention,
    sdm_continuous_patterns,
)
from kanerva.models._correlated import cdam, correlated_hopfield, sequence_hopfield
from kanerva.models._hopfield import dense, exponential, hopfield
from kanerva.models._jaeckel import sdm_hyperplane, sdm_selected
from kanerva.models._sdm import sdm, sdm_attention, sdm_patterns

__all__ = [
    "attention",
    "cdam",
    "correlated_hopfield",
    "covariance",
    "dense",
    "exponential",
    "hopfield",
    "modern_hopfield",
    "sdm",
    "sdm_attention",
    "sdm_continuous",
    "sdm_continuous_attention",
    "sdm_continuous_patterns",
    "sdm_hyperplane",
    "sdm_patterns",
    "sdm_selected",
    "sequence_hopfield",
    "sparse_hopfield",
    "willshaw",
]
