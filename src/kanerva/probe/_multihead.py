"""The attention of ``torch.nn.MultiheadAttention``, as a call in the form of all the others."""

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    linear,
    multi_head_attention_forward,
    pad,
    scaled_dot_product_attention,
)

from kanerva._core.errors import refuse
from kanerva.probe._calls import Call, of_function

__all__ = ["attended", "padded"]

SIGNATURE = inspect.signature(multi_head_attention_forward)
# Takes a call and its output (b, q, h, e); returns the output as handlers changed it.
Handle = Callable[[Call, Tensor], Tensor]


def attended(args: Any, kwargs: Any, handle: Handle) -> tuple[Tensor, Tensor | None]:
    """Call ``multi_head_attention_forward``, show the call to a handler, and return the result.

    The result is that of torch, unless the handler changes the output of the heads.
    """
    own: tuple[Tensor, Tensor | None] = multi_head_attention_forward(*args, **kwargs)
    bound = SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    if given["static_k"] is not None or given["static_v"] is not None:
        must, do = "one whose attention projects its own keys", "leave static_k and static_v out"
        refuse("model", got="one that gives them", must=must, do=do)
    call = _call(given)
    output = _read(call, given["dropout_p"] if given["training"] else 0.0)
    changed = handle(call, output)
    if changed is output:
        return own
    joined = changed.flatten(2).transpose(0, 1)
    result = linear(joined, given["out_proj_weight"], given["out_proj_bias"])
    return (result if own[0].ndim == 3 else result.squeeze(1)), own[1]


def _call(given: dict[str, Any]) -> Call:
    """Project queries, keys and values, and split them into heads."""
    rows = [given[name] for name in ("query", "key", "value")]
    padding = _additive(given["key_padding_mask"], rows[0])
    if rows[0].ndim == 2:
        rows = [part.unsqueeze(1) for part in rows]
        padding = None if padding is None else padding.unsqueeze(0)
    mask = _additive(given["attn_mask"], rows[0])
    query, key, value = _projected(given, *rows)
    more = 0
    if given["bias_k"] is not None:
        key, value = (
            torch.cat([part, given[name].repeat(1, part.shape[1], 1)])
            for part, name in ((key, "bias_k"), (value, "bias_v"))
        )
        more += 1
    if given["add_zero_attn"]:
        key, value = (torch.cat([part, torch.zeros_like(part[:1])]) for part in (key, value))
        more += 1
    heads = given["num_heads"]
    query, key, value = (
        part.reshape(*part.shape[:2], heads, -1).permute(1, 2, 0, 3) for part in (query, key, value)
    )
    real = None
    if padding is not None and given["query"] is given["key"]:
        real = padding > -math.inf
    call = of_function(query, key, value, _merged(mask, padding, heads, more))
    return call._replace(real=real)


def _projected(given: dict[str, Any], *rows: Tensor) -> list[Tensor]:
    """Return queries, keys and values ``(n, b, width)``."""
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    separate = given["use_separate_proj_weight"]
    weights = [given[name] for name in names] if separate else given["in_proj_weight"].chunk(3)
    bias = given["in_proj_bias"]
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return [linear(*one) for one in zip(rows, weights, biases, strict=True)]


def _additive(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """Return a mask as numbers that are added to the scores; True of torch leaves a key out."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill_(mask, -math.inf)


def _merged(mask: Tensor | None, padding: Tensor | None, heads: int, more: int) -> Tensor | None:
    """Add both masks, with zeros for ``more`` keys at the end, as ``(b or 1, h or 1, q, k)``."""
    if mask is not None:
        mask = mask[None, None] if mask.ndim == 2 else mask.reshape(-1, heads, *mask.shape[1:])
        mask = pad(mask, (0, more))
    if padding is None:
        return mask
    padding = pad(padding, (0, more))[:, None, None]
    return padding if mask is None else mask + padding


def _read(call: Call, dropout: float) -> Tensor:
    """Return the read ``(b, q, h, e)``; numbers that dropout draws are drawn again elsewhere."""
    mask = call.bias
    if call.keep is not None:
        mask = torch.zeros_like(call.keep, dtype=call.query.dtype) if mask is None else mask
        mask = mask.masked_fill(~call.keep, -math.inf)
    devices = [call.query.device] if call.query.is_cuda else []
    with torch.random.fork_rng(devices, enabled=dropout > 0):
        read = scaled_dot_product_attention(call.query, call.key, call.value, mask, dropout)
    return read.transpose(1, 2)


@contextmanager
def padded(layers: list[nn.Module]) -> Iterator[None]:
    """Let encoder layers compute nested tensors, as ``nn.TransformerEncoder`` makes, with padding.

    A layer that is watched computes its attention outside of torch's fused kernel, which alone
    takes nested tensors.
    """
    hooks: list[Any] = []
    masks: list[Tensor | None] = []

    def before(layer: nn.Module, args: Any, kwargs: Any) -> Any:
        source = args[0] if args else kwargs.get("src")
        masks.append(None)
        if not isinstance(source, Tensor) or not source.is_nested:
            return None
        lengths = torch.tensor([len(row) for row in source.unbind()], device=source.device)
        rows = source.to_padded_tensor(0.0)
        there = torch.arange(rows.shape[1], device=rows.device) < lengths[:, None]
        masks[-1] = there
        kwargs = {**kwargs, "src_key_padding_mask": ~there}
        return ((rows, *args[1:]), kwargs) if args else ((), {**kwargs, "src": rows})

    def after(layer: nn.Module, args: Any, output: Any) -> Any:
        mask = masks.pop() if masks else None
        if mask is None or not isinstance(output, Tensor):
            return None
        return torch._nested_tensor_from_mask(output, mask, mask_check=False)

    try:
        for layer in layers:
            hooks.append(layer.register_forward_pre_hook(before, with_kwargs=True))
            hooks.append(layer.register_forward_hook(after, always_call=True))
        yield
    finally:
        for hook in hooks:
            hook.remove()
