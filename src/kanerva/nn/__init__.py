"""Attention with exchangeable parts: the read of the core for batched heads, as modules and inside transformers.

``Attention`` and ``LatentAttention`` are modules to be trained. ``register`` lets a model of Hugging Face transformers read with
another memory, under a name that ``attn_implementation`` takes. ``read_heads`` is the one read below all of them.
"""

from kanerva.nn._attention import Attention
from kanerva.nn._heads import read_heads
from kanerva.nn._latent import LatentAttention
from kanerva.nn._register import register

__all__ = ["Attention", "LatentAttention", "read_heads", "register"]
