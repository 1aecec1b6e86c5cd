"""The attention modules of a model, and the ways in which their attention can be intercepted."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, describe, refuse

__all__ = ["PREFIX", "REGISTRY", "Site", "chosen", "listed", "own_norms", "sites"]

# Names of entries that intercept start so; the rest is the name of the entry that they call.
PREFIX = "kanerva_over_"
REGISTRY = "ALL_ATTENTION_FUNCTIONS"
FUNCTIONS = ("scaled_dot_product_attention", "multi_head_attention_forward")
CROSS = ("cross", "encoder_attn", "encdec")
NORMS = (("q_norm", "k_norm"), ("query_norm", "key_norm"), ("q_layernorm", "k_layernorm"))


class Site(NamedTuple):
    """One attention of a model.

    * ``module``: the module that computes it.
    * ``name``: name of the module in the model.
    * ``layer``: its place among the attentions of the model, from 0.
    * ``kind``: ``"self"`` or ``"cross"``.
    * ``route``: how it is intercepted, by the ``"registry"`` of transformers or at the
      ``"function"`` of torch.
    * ``norm``: ``"qk"`` where queries and keys are normalised themselves; else ``"rms"``,
      ``"layer"`` or ``"none"``, the norm between the layers of the model.
    """

    module: nn.Module
    name: str
    layer: int
    kind: str
    route: str
    norm: str


def sites(model: Any) -> list[Site]:
    """Find every attention of a model that can be intercepted."""
    if not isinstance(model, nn.Module):
        do = "load one with transformers"
        refuse("model", model, must="a torch.nn.Module", do=do, error=InputTypeError)
    between = _norm_between_layers(model)
    crossed = [
        part.multihead_attn
        for part in model.modules()
        if isinstance(part, nn.TransformerDecoderLayer)
    ]
    found: list[Site] = []
    for name, module in model.named_modules():
        route = _route(module)
        if not route:
            continue
        if route == "registry":
            _check_implementation(module)
        text = f"{type(module)} {name}".lower()
        cross = module in crossed or any(word in text for word in CROSS)
        kind = "cross" if cross else "self"
        norm = "qk" if own_norms(module) else between
        found.append(Site(module, name, len(found), kind, route, norm))
    if not found:
        must = (
            "one that takes attention from the registry of transformers, or calls "
            f"{' or '.join(FUNCTIONS)}"
        )
        do = 'load it with transformers >= 4.56, with attn_implementation="sdpa"'
        refuse("model", got=f"{type(model).__name__}, without such a module", must=must, do=do)
    return found


def chosen(found: list[Site], layers: Sequence[int] | None) -> list[Site]:
    """Return the attentions at some places; all where ``layers`` is None."""
    if layers is None:
        return found
    last = len(found) - 1
    places = {checks.integer("layers", layer, 0, last) for layer in listed("layers", layers)}
    return [site for site in found if site.layer in places]


def listed(argument: str, value: Any) -> list[int]:
    """Return a choice of places as a list; refuse anything but one place or more."""
    try:
        places = [] if isinstance(value, str | Mapping) else list(value)
    except TypeError:  # no iterable, or a tensor of one number
        places = []
    if not places:
        must, do = "a list of one place or more", f"give {argument}=[0], or leave it out for all"
        refuse(argument, got=describe(value), must=must, do=do)
    return places


def own_norms(module: nn.Module) -> list[nn.Module]:
    """Return the norms of queries and of keys; an empty list where a module has none."""
    for pair in NORMS:
        if all(hasattr(module, name) for name in pair):
            return [getattr(module, name) for name in pair]
    return []


def _route(module: nn.Module) -> str:
    """Return how the attention of a module is intercepted; nothing where it cannot be."""
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    names = () if code is None else code.co_names
    if REGISTRY in names and hasattr(module, "config"):
        return "registry"
    return "function" if any(name in names for name in FUNCTIONS) else ""


def _norm_between_layers(model: nn.Module) -> str:
    types = " ".join({type(module).__name__.lower() for module in model.modules()})
    if "rmsnorm" in types:
        return "rms"
    return "layer" if "layernorm" in types else "none"


def _check_implementation(module: nn.Module) -> None:
    """Refuse implementations that bypass the registry, or that take no masks."""
    name = str(getattr(module.config, "_attn_implementation", "")).removeprefix(PREFIX)
    do = 'load it with attn_implementation="sdpa"'
    if name == "eager" and getattr(module, "reorder_and_upcast_attn", False):
        must, got = "one whose attention goes through the registry", "one that upcasts by itself"
        refuse("model", got=got, must=must, do=do)
    if "flash" in name:
        must = "one whose attention goes through sdpa, eager or flex"
        refuse("model", got=f"one that uses {name}, which takes no masks", must=must, do=do)
