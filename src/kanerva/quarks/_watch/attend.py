"""Rules of fused attention, whole multi-head attention, and whole encoder layers."""

from typing import Any

from torch import Tensor

from kanerva.quarks._watch.calls import Call, Effect, rule
from kanerva.quarks._watch.contract import contraction
from kanerva.quarks._watch.signals import Signal

__all__ = ["attention", "plus"]


# The names of arguments that mask scores.
MASKS = ("attn_mask", "attn_bias", "bias")


def plus(*effects: Effect) -> Effect:
    """Add the counts of several effects, whose gates lie on one path."""
    total = Effect(deeper=sum(effect.deeper for effect in effects))
    for effect in effects:
        total.add(effect)
    return total


def attention(
    scores: int,
    width: int,
    value_width: int,
    known: tuple[Signal | None, Signal | None, Signal | None],
    mask: str = "",
) -> Effect:
    """Count an attention: scores of queries and keys, a softmax, and the mix of the values.

    Args:
        scores: how many pairs of a query and a key, over all heads and batches.
        width: of queries and keys.
        value_width: of values.
        known: what is known of queries, keys and values.
        mask: "added" or "chosen" where a signal masks the scores.
    """
    query, key, value = known
    compared = contraction(query, key, scores * width)
    found = Effect(
        additive=scores if mask == "added" and (query or key) else 0,
        selected=scores if mask == "chosen" else 0,
    )
    weights = None
    if query is not None or key is not None or mask:
        root = (query or key or value or Signal((0, ()))).root  # type: ignore[arg-type]
        weights = Signal(root, weighs=True)
        found = plus(found, Effect(output=scores, deeper=1))
    mixed = contraction(weights, value, scores * value_width)
    total, weighed = plus(compared, found, mixed), found.deeper + mixed.deeper
    # Scores are compared, weighed and mixed; a mask comes in after the first, values at the last.
    total.behind = {"value": mixed.deeper, **dict.fromkeys(MASKS, weighed)}
    return total


def _mask(call: Call, *names: str) -> str:
    for name in names:
        if name in call.known:
            return "chosen" if str(call.given[name].dtype) == "torch.bool" else "added"
    return ""


@rule("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention")
@rule("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention")
@rule("_scaled_dot_product_fused_attention_overrideable", "scaled_dot_product_attention")
@rule("_scaled_dot_product_attention_math", "_scaled_dot_product_attention_math_for_mps")
def fused(call: Call) -> Effect:
    """Read scaled dot-product attention in one operation."""
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    known = tuple(call.known.get(name) for name in ("query", "key", "value"))
    mask = _mask(call, "attn_mask", "attn_bias")
    if query.is_nested:
        scores = _nested_scores(query, key)
    else:
        scores = query.numel() // max(1, query.shape[-1]) * key.shape[-2]
    width, value_width = query.shape[-1], value.shape[-1]
    return attention(scores, width, value_width, known, mask)  # type: ignore[arg-type]


def _nested_scores(query: Tensor, key: Tensor) -> int:
    """Count the pairs of nested queries and keys in heads, (batch, heads, any, width)."""
    pairs = zip(query._nested_tensor_size(), key._nested_tensor_size(), strict=True)
    return sum(int(one[0]) * int(one[-2]) * int(two[-2]) for one, two in pairs)


@rule("_flash_attention_forward", "_efficient_attention_forward")
def packed(call: Call) -> Effect:
    """Read attention of texts in one row, (batch, any, heads, width), with their ends."""
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    known = tuple(call.known.get(name) for name in ("query", "key", "value"))
    heads = query.shape[-2]
    ends = [
        next((call.given[name] for name in names if call.given.get(name) is not None), None)
        for names in (("cum_seq_q", "cu_seqlens_q"), ("cum_seq_k", "cu_seqlens_k"))
    ]
    if ends[0] is None or ends[1] is None:
        scores = query.shape[0] * heads * query.shape[1] * key.shape[1]
    else:
        lengths = [one.diff().tolist() for one in ends if one is not None]
        scores = heads * sum(one * two for one, two in zip(*lengths, strict=True))
    mask = _mask(call, "bias")
    return attention(scores, query.shape[-1], value.shape[-1], known, mask)  # type: ignore[arg-type]


def _lengths(tensor: Tensor) -> list[int]:
    """Return the number of rows of each batch of (batch, rows, width), padded or nested."""
    if tensor.is_nested:
        return [int(one[0]) for one in tensor._nested_tensor_size()]
    return [tensor.shape[1]] * tensor.shape[0]


def _projected(call: Call, names: tuple[str, str, str]) -> Effect:
    """Count the three projections, the attention, and the last projection."""
    given, known = call.given, call.known
    width, heads = given["embed_dim"], given["num_head" if "num_head" in given else "num_heads"]
    tensors = [call.tensor(name) for name in names]
    marks: list[Any] = [known.get(name) for name in names]
    found, lengths = Effect(), [_lengths(one) for one in tensors]
    for mark, rows in zip(marks, lengths, strict=True):
        found = plus(found, contraction(mark, known.get("qkv_weight"), sum(rows) * width * width))
    pairs = sum(one * two for one, two in zip(lengths[0], lengths[1], strict=True))
    mask = _mask(call, "mask")
    attended = attention(heads * pairs, width // heads, width // heads, tuple(marks), mask)
    return plus(found, attended, Effect(linear=sum(lengths[0]) * width * width))


@rule("_native_multi_head_attention", "_triton_multi_head_attention")
def multihead(call: Call) -> Effect:
    """Read a whole multi-head attention in one operation."""
    return _projected(call, ("query", "key", "value"))


@rule("_transformer_encoder_layer_fwd")
def encoder(call: Call) -> Effect:
    """Read a whole encoder layer in one operation: attention, two layers, two normalisations."""
    rows = sum(_lengths(call.tensor("src")))
    width, hidden = call.given["embed_dim"], call.tensor("ffn_weight_1").shape[0]
    further = Effect(
        output=2 * rows * width,
        additive=2 * rows * width,
        linear=2 * rows * width * hidden,
        deeper=2,
    )
    return plus(_projected(call, ("src", "src", "src")), further)
