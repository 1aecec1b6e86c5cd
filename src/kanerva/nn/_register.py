"""Separations as attention functions of Hugging Face transformers."""

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import Module
from torch.nn.functional import dropout

from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, door, refuse, within
from kanerva.nn._heads import check_rule, cosines, no_autocast, weigh
from kanerva.probe._calls import Call, of_registry
from kanerva.probe._sites import PREFIX
from kanerva.separation import Separation

__all__ = ["register"]

NAME = "kanerva_"
Attend = Callable[..., tuple[Tensor, Tensor]]


@door
def register(name: str, separation: Separation, similarity: str = "dot") -> str:
    r"""Register a separation, in place of softmax, as an attention function of transformers.

    .. math:: w = \text{separation}(s), \quad s_i = \text{scaling} \cdot q \cdot k_i + b_i,
        \text{ or } \frac{q \cdot k_i}{|q| |k_i|}

    The model's masks, grouped keys and dropout of weights apply as usual. With ``"dot"`` the rule
    takes the softmax inputs, including the position bias and the soft cap of models that have them,
    so that ``Softmax(1.0)`` reproduces the model. Learned sinks, as in gpt-oss, are one more key
    without a value (``separation.Sink``). With ``"cosine"`` the rule takes the cosines alone, and
    the model's scaling and soft cap are not used. Where no key has a weight, the result is zero.

    Registering a name again replaces its rule, in every model that is set to it. The attention
    function returns the weights too, in the dtype of the query.

    Args:
        name: lower-case letters, digits and underscores.
        separation: any rule without self-coupling; a rule for cosines needs ``"cosine"``.
        similarity: ``"dot"`` or ``"cosine"``.

    Returns:
        ``"kanerva_" + name``, for ``model.set_attn_implementation`` or
        ``from_pretrained(..., attn_implementation=...)``.

    Raises:
        InputError: transformers is missing, or the rule is made for other scores. When the model is
            called: it adds a position bias to its scores or has learned sinks, which cosines cannot
            take, or it has a paged cache.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2Model
        >>> from kanerva import nn
        >>> from kanerva.probe import CosineCircle
        >>> name = nn.register("circle", CosineCircle(bits=16, radius=5), "cosine")
        >>> config = GPT2Config(n_embd=48, n_layer=2, n_head=3, vocab_size=50, n_positions=32)
        >>> model = GPT2Model(config).eval()
        >>> model.set_attn_implementation(name)
        >>> name, model(torch.arange(10)[None]).last_hidden_state.shape
        ('kanerva_circle', torch.Size([1, 10, 48]))

    Source: AttentionInterface and AttentionMaskInterface of transformers; Bricken and Pehlevan 2021
    for circles.
    """
    full = _full_name(name)
    check_rule(similarity, separation)
    try:
        from transformers import AttentionInterface
        from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
    except ImportError:
        must, got = "installed, in version 4.56 or newer", "missing or older"
        refuse("transformers", got=got, must=must, do='install it: pip install "kanerva[hf]"')
    # A model builds its masks by the function registered under the same name; without one, padding
    # would be attended to. The eager masks are numbers, as modules that attend by themselves take
    # them, and are never left out where a module is known to be causal, which not all declare.
    AttentionMaskInterface.register(full, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
    AttentionInterface.register(full, _attention_function(full, separation, similarity))
    return full


def _full_name(name: Any) -> str:
    """Return the name in the registry, unless it means a file, a kernel or a reserved entry."""
    must, do = "of lower-case letters, digits and underscores", 'choose one such as "circle"'
    if not isinstance(name, str):
        refuse("name", name, must=must, do=do, error=InputTypeError)
    if not re.fullmatch("[a-z0-9_]+", name):
        refuse("name", name, must=must, do=do)
    full = NAME + name
    if "flash" in full or full.startswith(PREFIX):
        must = "without 'flash', and not starting with 'over_', which are reserved"
        refuse("name", got=repr(name), must=must, do=do)
    return full


def _attention_function(name: str, separation: Separation, similarity: str) -> Attend:
    """Return the function that a model calls."""

    def attend(
        module: Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any = None,
        **more: Any,
    ) -> tuple[Tensor, Tensor]:
        with within(name), no_autocast(query):
            _check_call(module, more)
            call = of_registry(module, name, query, key, value, attention_mask, more)
            scores = _scores(module, call, similarity)
            weights = weigh(scores, call.with_null(separation), call.keep)
            if more.get("head_mask") is not None:
                mask = more["head_mask"].reshape(-1, weights.shape[1], 1, 1)
                weights = weights * mask.to(weights.dtype)
            if more.get("dropout"):
                weights = dropout(weights, more["dropout"], module.training)
            output = weights @ call.value.to(weights.dtype)
        return output.to(query.dtype).transpose(1, 2).contiguous(), weights.to(query.dtype)

    return attend


def _check_call(module: Module, more: dict[str, Any]) -> None:
    """Refuse arguments that only softmax supports, instead of ignoring them."""
    kind = type(module).__name__
    if more.get("cache") is not None:
        do = "generate with model.generate, not in continuous batches"
        refuse("cache", got=f"a paged cache in {kind}", must="None", do=do)


def _scores(module: Module, call: Call, similarity: str) -> Tensor:
    """Return the scores that the rule takes."""
    if similarity == "dot":
        return call.logits()
    if call.null is not None:
        must, got = "one without learned sinks", f"{type(module).__name__}, which has some"
        do = 'register the rule with similarity="dot": a sink has no cosine'
        refuse("model", got=got, must=must, do=do)
    # A traced graph cannot branch on the numbers, so any bias is refused there.
    if call.bias is not None and (arrays.tracing() or bool(call.bias.any())):
        must = "one that scores by its queries and keys alone"
        got = f"{type(module).__name__}, which adds a position bias"
        refuse("model", got=got, must=must, do='register the rule with similarity="dot"')
    return cosines(call.query, call.key)
