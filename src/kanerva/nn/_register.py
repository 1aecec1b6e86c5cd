"""Memories as attention functions of Hugging Face transformers."""

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import Module
from torch.nn.functional import dropout

from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, door, refuse, within
from kanerva.nn._heads import checked, cosines, weigh, widely
from kanerva.probe._taps import PREFIX, Call, of_registry
from kanerva.separation import Separation

__all__ = ["register"]

NAME = "kanerva_"
Attend = Callable[..., tuple[Tensor, Tensor]]


@door
def register(name: str, separation: Separation, similarity: str = "dot") -> str:
    r"""Let models of transformers read with a rule in place of softmax, under a name.

    .. math:: w = \text{separation}(s), \quad s_i = \text{scaling} \cdot q \cdot k_i + b_i, \text{ or } \frac{q \cdot k_i}{|q| |k_i|}

    The model's masks, grouped keys and dropout of weights hold as ever. With ``"dot"`` the rule gets the softmax inputs, with
    position bias and soft cap where a model has them, so that ``Softmax(1.0)`` is the model itself; with ``"cosine"`` it gets
    the cosines alone, and the model's scaling and soft cap have no part in it. A query with nothing in reach gets zeros.

    A name that was registered before means the new rule from then on, in every model that is set to it. The weights are given
    back too, in the dtype of the query.

    Args:
        name: lower-case letters, digits and underscores.
        separation: any rule without self-coupling; one that is made for cosines needs ``"cosine"``.
        similarity: ``"dot"`` or ``"cosine"``.

    Returns:
        ``"kanerva_" + name``, for ``model.set_attn_implementation`` or ``from_pretrained(..., attn_implementation=...)``.

    Raises:
        InputError: transformers is missing, or the rule is made for other scores. When the model is called: it adds position
            to its scores, which cosines cannot take, or it has learned sinks or a paged cache.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2Model
        >>> from kanerva import nn
        >>> from kanerva.probe import CosineCircle
        >>> name = nn.register("circle", CosineCircle(bits=16, radius=5), "cosine")
        >>> model = GPT2Model(GPT2Config(n_embd=48, n_layer=2, n_head=3, vocab_size=50, n_positions=32)).eval()
        >>> model.set_attn_implementation(name)
        >>> name, model(torch.arange(10)[None]).last_hidden_state.shape
        ('kanerva_circle', torch.Size([1, 10, 48]))

    Source: the interfaces AttentionInterface and AttentionMaskInterface of transformers; Bricken and Pehlevan 2021 for circles.
    """
    full = _full(name)
    checked(similarity, separation)
    try:
        from transformers import AttentionInterface
        from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
    except ImportError:
        do = 'install it with: pip install "kanerva[hf]"'
        refuse(
            "transformers",
            must="installed, in version 4.56 or newer",
            got="missing or older",
            do=do,
        )
    # A model makes its masks by what is registered under the same name: with none, padding would be attended to.
    AttentionMaskInterface.register(full, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    AttentionInterface.register(full, _attend(full, separation, similarity))
    return full


def _full(name: Any) -> str:
    """Return the whole name; transformers takes some for files, kernels or its own."""
    do = 'choose one such as "circle"'
    must = "of lower-case letters, digits and underscores"
    if not isinstance(name, str):
        refuse("name", name, must=must, do=do, error=InputTypeError)
    if not re.fullmatch("[a-z0-9_]+", name):
        refuse("name", name, must=must, do=do)
    full = NAME + name
    if "flash" in full or full.startswith(PREFIX):
        refuse(
            "name",
            must="without 'flash', and not starting with 'over_', which have a meaning",
            got=repr(name),
            do=do,
        )
    return full


def _attend(name: str, separation: Separation, similarity: str) -> Attend:
    """Make the function that a model calls."""

    def attend(
        module: Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any = None,
        **more: Any,
    ) -> tuple[Tensor, Tensor]:
        with within(name), widely(query):
            _refuse(module, more)
            call = of_registry(module, name, query, key, value, attention_mask, more)
            weights = weigh(_scores(module, call, similarity), separation, call.keep)
            if more.get("head_mask") is not None:
                weights = weights * more["head_mask"].reshape(-1, weights.shape[1], 1, 1).to(
                    weights.dtype
                )
            if more.get("dropout"):
                weights = dropout(weights, more["dropout"], module.training)
            output = weights @ call.value.to(weights.dtype)
        return output.to(query.dtype).transpose(1, 2).contiguous(), weights.to(query.dtype)

    return attend


def _refuse(module: Module, more: dict[str, Any]) -> None:
    """Refuse what softmax alone can do, rather than leave it out in silence."""
    kind = type(module).__name__
    if more.get("s_aux") is not None:
        refuse(
            "model",
            must="one without learned sinks",
            got=kind,
            do="choose another, for a share of its softmax goes to no token",
        )
    if more.get("cache") is not None:
        refuse(
            "cache",
            must="None",
            got=f"a paged cache in {kind}",
            do="generate with model.generate, not in continuous batches",
        )


def _scores(module: Module, call: Call, similarity: str) -> Tensor:
    """Return what the rule takes."""
    if similarity == "dot":
        return call.logits()
    if call.bias is not None and (arrays.tracing() or bool(call.bias.any())):
        got = f"{type(module).__name__}, which adds position to them"
        refuse(
            "model",
            must="one that scores by its queries and keys alone",
            got=got,
            do='register the rule with similarity="dot"',
        )
    return cosines(call.query, call.key)
