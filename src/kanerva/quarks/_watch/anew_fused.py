"""Operations that hide several gates computed anew: normalisations, attention, recurrent cells."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from kanerva.quarks._watch.anew import anew, contracted, gate, mixed, normalised, softmax
from kanerva.quarks._watch.calls import Call

__all__ = ["attend"]

LSTM = 2


@anew("_softmax", "softmax", "_safe_softmax")
def _softmax(call: Call) -> list[Tensor]:
    weights = softmax(_wide(call.tensor("self")), call.given["dim"])
    return [weights.nan_to_num(0.0) if "safe" in call.name else weights]


@anew("_masked_softmax")
def _masked(call: Call) -> list[Tensor]:
    scores, mask = call.tensor("self"), call.tensor("mask")
    dim = -1 if call.given.get("dim") is None else call.given["dim"]
    if mask.dim() == 2 and scores.dim() == 4:
        mask = mask[:, None, None, :] if call.given.get("mask_type") == 1 else mask[None, None]
    return [softmax(_wide(scores).masked_fill(mask.bool(), -torch.inf), dim).nan_to_num(0.0)]


@anew("native_layer_norm", "layer_norm")
def _layer(call: Call) -> list[Tensor]:
    given = call.given
    dims = tuple(range(-len(given["normalized_shape"]), 0))
    found, mean, gain = normalised(_wide(call.tensor("input")), dims, given["eps"])
    return [_scaled(found, given.get("weight"), given.get("bias")), mean, gain]


@anew("_fused_rms_norm", "rms_norm")
def _root(call: Call) -> list[Tensor]:
    given, x = call.given, _wide(call.tensor("input"))
    dims = tuple(range(-len(given["normalized_shape"]), 0))
    eps = torch.finfo(call.tensor("input").dtype).eps if given["eps"] is None else given["eps"]
    found, _, gain = normalised(x, dims, eps, centre=False)
    return [_scaled(found, given.get("weight"), None), gain]


@anew("native_group_norm")
def _group(call: Call) -> list[Tensor]:
    given, x = call.given, call.tensor("input")
    groups = _wide(x).reshape(given["N"], given["group"], -1)
    found, mean, gain = normalised(groups, -1, given["eps"])
    scale = [
        None if (one := given.get(name)) is None else one.reshape(-1, *[1] * (x.dim() - 2))
        for name in ("weight", "bias")
    ]
    shape = (given["N"], given["group"])
    return [_scaled(found.reshape(x.shape), *scale), mean.reshape(shape), gain.reshape(shape)]


@anew("native_batch_norm", "_native_batch_norm_legit")
def _batch(call: Call) -> list[Tensor] | None:
    given, x = call.given, call.tensor("input")
    if not given.get("training", False) and given.get("running_mean") is not None:
        return None
    dims = (0, *range(2, x.dim()))
    found, mean, gain = normalised(_wide(x), dims, given["eps"])
    scale = [
        None if (one := given.get(name)) is None else one.reshape(-1, *[1] * (x.dim() - 2))
        for name in ("weight", "bias")
    ]
    return [_scaled(found, *scale), mean.flatten(), gain.flatten()]


def _wide(x: Tensor) -> Tensor:
    """Return numbers in the dtype in which torch computes them inside."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return attention by gates, and its weights.

    The scores are sums of output gates, the weights are output gates, and the values are summed by
    synaptic gates.

    Args:
        query: ``(..., heads, n, d)``.
        key: ``(..., heads or fewer, m, d)``.
        value: ``(..., heads or fewer, m, e)``.
        bias: added to the scores, or of bool where a score is left out unless True.
        causal: leave out the keys after each query.
        scale: of the scores; 1 / sqrt(d) where it is None.
    """
    heads, scale = query.shape[-3], query.shape[-1] ** -0.5 if scale is None else scale
    key, value = (
        one.repeat_interleave(heads // one.shape[-3], -3) if one.shape[-3] != heads else one
        for one in (key, value)
    )
    scores = contracted(query * scale, key.mT)
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    if bias is not None and bias.dtype == torch.bool:
        scores = scores.masked_fill(~bias, -torch.inf)
    elif bias is not None:
        scores = scores + bias
    weights = softmax(scores).nan_to_num(0.0)
    return mixed(weights, value), weights


@anew("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention")
@anew("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention")
@anew("_scaled_dot_product_fused_attention_overrideable")
def _attention(call: Call) -> list[Tensor] | None:
    given = call.given
    if call.tensor("query").is_nested:
        return None
    parts = [_wide(call.tensor(name)) for name in ("query", "key", "value")]
    bias = given.get("attn_mask", given.get("attn_bias"))
    causal = bool(given.get("is_causal", False))
    return [attend(parts[0], parts[1], parts[2], bias, causal, given.get("scale"))[0]]


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-3, -2)


def _multihead(
    given: dict[str, Any], parts: list[Tensor], mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return multi-head attention of one text or of a batch, ``(..., n, width)``, and weights."""
    heads = given["num_head" if "num_head" in given else "num_heads"]
    weights, biases = given["qkv_weight"].chunk(3), given["qkv_bias"].chunk(3)
    projected = [
        _heads(F.linear(x, weight, bias), heads)
        for x, weight, bias in zip(parts, weights, biases, strict=True)
    ]
    query, key, value = projected
    found, weights = attend(query, key, value, mask)
    joined = found.transpose(-3, -2).flatten(-2)
    return F.linear(joined, given["proj_weight"], given["proj_bias"]), weights


def _left(given: dict[str, Any]) -> Tensor | None:
    """Return which scores take part, from a mask that is True where they do not."""
    mask: Tensor | None = given.get("mask")
    if mask is None:
        return None
    kind = given.get("mask_type")
    spread = mask[:, None, None, :] if kind == 1 else mask
    return ~spread if mask.dtype == torch.bool else spread


def _texts(call: Call, names: tuple[str, ...]) -> list[list[Tensor]]:
    """Return the texts of a nested batch, or the whole batch as one."""
    tensors = [call.tensor(name) for name in names]
    if not tensors[0].is_nested:
        return [tensors]
    return [list(one) for one in zip(*(part.unbind() for part in tensors), strict=True)]


def _joined(call: Call, parts: list[Tensor]) -> list[Tensor]:
    """Return results of texts in the form of the result of the operation."""
    if not call.results[0].is_nested:
        return parts
    return [torch.nested.as_nested_tensor(parts)]


@anew("_native_multi_head_attention")
def _whole(call: Call) -> list[Tensor] | None:
    given, mask = call.given, _left(call.given)
    texts = _texts(call, ("query", "key", "value"))
    found = [_multihead(given, text, mask) for text in texts]
    outputs = _joined(call, [one for one, _ in found])
    if not given.get("need_weights", True) or call.results[0].is_nested:
        return outputs
    weights = found[0][1]
    return [*outputs, weights.mean(1) if given.get("average_attn_weights", True) else weights]


@anew("_transformer_encoder_layer_fwd")
def _encoder(call: Call) -> list[Tensor]:
    given, mask = call.given, _left(call.given)

    def norm(x: Tensor, which: int) -> Tensor:
        found, _, _ = normalised(x, -1, given["eps"])
        return _scaled(found, given[f"norm_weight_{which}"], given[f"norm_bias_{which}"])

    def forward(x: Tensor) -> Tensor:
        hidden = F.linear(x, given["ffn_weight_1"], given["ffn_bias_1"])
        hidden = F.gelu(hidden) if given["use_gelu"] else hidden.relu()
        return F.linear(hidden, given["ffn_weight_2"], given["ffn_bias_2"])

    def layer(x: Tensor) -> Tensor:
        if given["norm_first"]:
            x = x + _multihead(given, [norm(x, 1)] * 3, mask)[0]
            return x + forward(norm(x, 2))
        x = norm(x + _multihead(given, [x, x, x], mask)[0], 1)
        return norm(x + forward(x), 2)

    return _joined(call, [layer(text) for (text,) in _texts(call, ("src",))])


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next output and cell of an LSTM from the activations of its four units."""
    opened, kept, new, shown = gates.chunk(4, -1)
    cell = gate(kept.sigmoid(), cell) + gate(opened.sigmoid(), new.tanh())
    return gate(shown.sigmoid(), cell.tanh()), cell


@anew("mkldnn_rnn_layer")
def _recurrent(call: Call) -> list[Tensor] | None:
    given = call.given
    if given["mode"] != LSTM:
        return None
    # Torch turns a batch that comes first before it calls the kernel: the steps come first here,
    # whatever ``batch_first`` says.
    source = call.tensor("input")
    state, cell = (given[name].reshape(source.shape[1], -1) for name in ("hx_", "cx_"))
    weights = [given[f"weight{index}"] for index in range(4)]
    biases = weights[2:] if given["has_biases"] else [None, None]
    shown = []
    steps = list(source.unbind())
    for x in reversed(steps) if given["reverse"] else steps:
        gates = F.linear(x, weights[0], biases[0]) + F.linear(state, weights[1], biases[1])
        state, cell = lstm_step(gates, cell)
        shown.append(state)
    output = torch.stack(shown[::-1] if given["reverse"] else shown)
    shape = call.results[1].shape
    return [output, state.reshape(shape), cell.reshape(shape)]


@anew("_thnn_fused_lstm_cell")
def _lstm(call: Call) -> list[Tensor]:
    given = call.given
    gates = given["input_gates"] + given["hidden_gates"]
    for name in ("input_bias", "hidden_bias"):
        gates = gates if given.get(name) is None else gates + given[name]
    return list(lstm_step(gates, given["cx"]))


@anew("_trilinear")
def _trilinear(call: Call) -> list[Tensor] | None:
    given = call.given
    if "i2" in call.known:
        return None
    x, weight, y = (given[name] for name in ("i1", "i2", "i3"))
    mapped = torch.einsum("...i,kij->...kj", x, weight)
    return [gate(mapped, y[..., None, :]).sum(-1).reshape(call.results[0].shape)]
