"""Layers with exchangeable parts, and rules as attention inside Hugging Face transformers.

``Attention``, ``LatentAttention``, ``Lookup`` and ``MemoryAttention`` are trainable modules, and
the Hopfield layers are choices of these. ``register`` makes a separation available to models of
transformers under a name that ``attn_implementation`` takes. All of them read with ``read_heads``,
the read of the library for batched heads. ``EnergyBlock`` moves tokens down an energy, and
``SDMLayer`` is a classifier that learns task after task.
"""

from kanerva.nn._attention import Attention
from kanerva.nn._beside import MemoryAttention
from kanerva.nn._energy import Descent, EnergyBlock
from kanerva.nn._heads import read_heads
from kanerva.nn._hopfield import (
    hopfield_layer,
    hopfield_lookup,
    hopfield_pooling,
    sparse_hopfield_layer,
)
from kanerva.nn._latent import LatentAttention
from kanerva.nn._lookup import Lookup
from kanerva.nn._register import register
from kanerva.nn._sdm import SDMLayer

__all__ = [
    "Attention",
    "Descent",
    "EnergyBlock",
    "LatentAttention",
    "Lookup",
    "MemoryAttention",
    "SDMLayer",
    "hopfield_layer",
    "hopfield_lookup",
    "hopfield_pooling",
    "read_heads",
    "register",
    "sparse_hopfield_layer",
]
