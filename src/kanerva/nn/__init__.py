"""Attention with exchangeable parts, as modules and inside Hugging Face transformers.

``Attention`` and ``LatentAttention`` are trainable modules. ``register`` makes a separation
available to models of transformers under a name that ``attn_implementation`` takes. All of them
read with ``read_heads``, the read of the library for batched heads. ``SDMLayer`` is a classifier
that learns task after task.
"""

from kanerva.nn._attention import Attention
from kanerva.nn._heads import read_heads
from kanerva.nn._latent import LatentAttention
from kanerva.nn._register import register
from kanerva.nn._sdm import SDMLayer

__all__ = ["Attention", "LatentAttention", "SDMLayer", "read_heads", "register"]
