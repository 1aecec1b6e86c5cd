"""Softmax reads of batched heads by torch's fused attention, which does not build the weights."""

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from kanerva.separation import Separation, Softmax

__all__ = ["attend", "inverse_temperature"]


def inverse_temperature(separation: Separation) -> float | Tensor | None:
    """Return beta of a plain softmax, the rule of the fused kernel; None for any other rule."""
    return separation.beta if type(separation) is Softmax else None


def attend(
    query: Tensor, key: Tensor, value: Tensor, keep: Tensor | None = None, causal: bool = False
) -> Tensor:
    """Read by softmax(query . key); a row with nothing left is zeros, and so is its gradient.

    Args:
        query: ``(b, h, q, d)``, already multiplied by beta.
        key: ``(b, h, k, d)``, k >= 1.
        value: ``(b, h, k, e)``.
        keep: bool, broadcasts to ``(b, h, q, k)``; False leaves a key out.
        causal: leave out the keys after the place of the query; without ``keep`` only.
    """
    if keep is None:
        return scaled_dot_product_attention(query, key, value, is_causal=causal, scale=1.0)
    row = keep.any(-1, keepdim=True)
    # A row with nothing left would be NaN: it attends to everything, then is set to zero.
    read = scaled_dot_product_attention(query, key, value, attn_mask=keep | ~row, scale=1.0)
    return read.masked_fill(~row, 0)
