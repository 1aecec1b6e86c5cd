"""Layers with exchangeable parts, and rules as attention inside Hugging Face transformers.

``Attention``, ``LatentAttention``, ``Lookup`` and ``MemoryAttention`` are trainable modules, and
the Hopfield layers are choices of these. ``register`` makes a separation available to models of
transformers under a name that ``attn_implementation`` takes. All of them read with ``read_heads``,
the read of the library for batched heads. ``EnergyBlock`` moves tokens down an energy, and
``SDMLayer`` is a classifier that learns task after task. ``share`` gates the residual branches of
any model by gates that its blocks share, such as ``DIACell``.
"""

from kanerva.nn._attention import Attention
from kanerva.nn._beside import MemoryAttention
from kanerva.nn._correlation import Correlation, correlation
from kanerva.nn._energy import Descent, EnergyBlock
from kanerva.nn._gates import CellState, DIACell, Gate, Stage
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
from kanerva.nn._sharing import Shared, share

__all__ = [
    "Attention",
    "CellState",
    "Correlation",
    "DIACell",
    "Descent",
    "EnergyBlock",
    "Gate",
    "LatentAttention",
    "Lookup",
    "MemoryAttention",
    "SDMLayer",
    "Shared",
    "Stage",
    "correlation",
    "hopfield_layer",
    "hopfield_lookup",
    "hopfield_pooling",
    "read_heads",
    "register",
    "share",
    "sparse_hopfield_layer",
]
