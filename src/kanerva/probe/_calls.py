"""The arguments of one call of an attention function, in one form for all implementations."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kanerva._core.errors import refuse
from kanerva.separation import Separation, Sink

__all__ = ["Call", "of_function", "of_registry"]


class Call(NamedTuple):
    """One call of an attention: softmax of ``scale * query @ key.mT + bias`` over the kept keys.

    A learned sink is one more key, without a value.

    * ``query``: ``(b, h, q, d)``, after rotation and normalisation, as it enters the product.
    * ``key``, ``value``: ``(b, h, k, d)`` and ``(b, h, k, e)``, repeated where heads share them.
    * ``keep``: bool, broadcasts to ``(b, h, q, k)``; None for all keys.
    * ``bias``: floating, broadcasts to ``(b, h, q, k)``; None for none.
    * ``scale``: factor of the products.
    * ``cap``: soft cap of the scaled products x, which become cap tanh(x / cap); None for none.
    * ``null``: softmax input of a learned sink, broadcasts to ``(b, h, q, 1)``; None for none.
    * ``real``: ``(b, q)`` bool, False for queries that are padding; None where it is not known.
    * ``output``: ``(b, q, h, e)`` what the model made of it; None where it is not known.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    keep: Tensor | None
    bias: Tensor | None
    scale: float
    cap: float | None = None
    null: Tensor | None = None
    real: Tensor | None = None
    output: Tensor | None = None

    def logits(self, products: Tensor | None = None) -> Tensor:
        """Return the softmax inputs ``(b, h, q, k)``, also of keys that are left out.

        Args:
            products: query @ key.mT; computed in float32 or wider if omitted.
        """
        if products is None:
            wide = torch.promote_types(self.query.dtype, torch.float32)
            products = self.query.to(wide) @ self.key.to(wide).mT
        logits = self.scale * products
        if self.cap is not None:
            logits = self.cap * torch.tanh(logits / self.cap)
        return logits if self.bias is None else logits + self.bias.to(logits.dtype)

    def slope(self, products: Tensor) -> Tensor | float:
        """Return by how much a softmax input changes with its product: the scale, less by a cap."""
        if self.cap is None:
            return abs(self.scale)
        return abs(self.scale) * (1 - torch.tanh(self.scale * products / self.cap).square())

    def with_null(self, rule: Separation) -> Separation:
        """Return a rule that weighs the learned sink beside the keys, where there is one."""
        return rule if self.null is None else Sink(rule, self.null)

    def queries(self, places: Tensor) -> "Call":
        """Return the call with some of the queries only, by their places."""

        def taken(part: Tensor | None) -> Tensor | None:
            return part if part is None or part.shape[-2] == 1 else part[..., places, :]

        keep, bias, null = map(taken, (self.keep, self.bias, self.null))
        return self._replace(query=self.query[:, :, places], keep=keep, bias=bias, null=null)

    def heads(self, places: list[int]) -> "Call":
        """Return the call with some of the heads only, by their places."""

        def taken(part: Tensor | None) -> Tensor | None:
            return part if part is None or part.shape[1] == 1 else part[:, places]

        query, key, value = (part[:, places] for part in (self.query, self.key, self.value))
        keep, bias, null = map(taken, (self.keep, self.bias, self.null))
        return self._replace(query=query, key=key, value=value, keep=keep, bias=bias, null=null)


def of_registry(
    module: nn.Module,
    implementation: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Any,
    more: dict[str, Any],
) -> Call:
    """Convert the arguments of an entry of the registry of transformers.

    Args:
        module: the attention.
        implementation: name of the entry.
        query: ``(b, h, q, d)``.
        key: ``(b, h or fewer, k, d)``.
        value: ``(b, h or fewer, k, e)``.
        mask: as the entry takes it.
        more: the other arguments, by name.
    """
    causal = more.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    causal = bool(causal) and implementation != "eager" and mask is None and query.shape[2] > 1
    call = _call(query, key, value, mask, causal, more.get("scaling"))
    bias = more.get("position_bias")
    if bias is not None:
        call = call._replace(bias=bias if call.bias is None else call.bias + bias)
    return call._replace(cap=more.get("softcap"), null=_null(more))


def _null(more: dict[str, Any]) -> Tensor | None:
    """Return the softmax inputs of learned sinks, by the names that models give them."""
    if more.get("sinks") is not None:  # of each query
        found: Tensor = more["sinks"]
        return found
    sinks = more.get("s_aux")  # of each head
    return None if sinks is None else sinks.reshape(1, -1, 1, 1)


def of_function(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **more: Any,
) -> Call:
    """Convert the arguments of ``scaled_dot_product_attention``."""
    if query.ndim != 4:
        must = "of shape (batch, heads, tokens, width)"
        do = "give queries, keys and values a dimension of heads, even for one"
        refuse("query", query, must=must, do=do)
    return _call(query, key, value, attn_mask, is_causal, more.get("scale"))


def _call(
    query: Tensor, key: Tensor, value: Tensor, mask: Any, causal: bool, scale: float | None
) -> Call:
    """Repeat shared heads, and split a mask into what is kept and what is added."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    keep, bias = _mask(mask, causal, query, key)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return Call(query, key, value, keep, bias, float(scale))


def _mask(
    mask: Any, causal: bool, query: Tensor, key: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Return which keys are kept, and what is added to their softmax inputs."""
    size = (query.shape[2], key.shape[2])
    if mask is None:
        if not causal:
            return None, None
        return torch.ones(size, dtype=torch.bool, device=query.device).tril()[None, None], None
    if not isinstance(mask, Tensor):  # the block mask of flex attention
        from torch.nn.attention.flex_attention import create_mask

        return create_mask(mask.mask_mod, query.shape[0], None, *size, device=query.device), None
    mask = mask[..., : size[1]]
    mask = mask if mask.ndim == 4 else mask[(None,) * (4 - mask.ndim)]
    if mask.dtype == torch.bool:
        return mask, None
    keep = ~(mask <= torch.finfo(mask.dtype).min / 2)  # NaN is no mask: it stays in the bias
    return keep, mask.masked_fill(~keep, 0)
