"""Stand between a model and its attention: hear every call, and change what it gives back, through the model's own doors.

Two kinds of models have a door. Those of transformers that look their attention up in its registry are switched to an entry
that calls the one they had; masks are made by what is registered under the same name, so that entry is made for both. Any
other module that calls ``torch.nn.functional.scaled_dot_product_attention`` is heard at that call.
"""

import inspect
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from kanerva._core.errors import InputTypeError, refuse

__all__ = ["PREFIX", "Call", "Site", "of_registry", "own_norms", "repeated", "sites", "tapped"]

PREFIX = "kanerva_over_"
REGISTRY = "ALL_ATTENTION_FUNCTIONS"
CROSS = ("cross", "encoder_attn", "encdec")


class Site(NamedTuple):
    """One attention of a model.

    * ``module``: where it happens.
    * ``name``: the module's name in the model.
    * ``layer``: its place among the attentions of the model, from 0.
    * ``kind``: ``"self"`` or ``"cross"``.
    * ``door``: ``"registry"`` or ``"function"``.
    * ``norm``: ``"qk"``, ``"rms"``, ``"layer"`` or ``"none"``: of queries and keys themselves, or between the model's layers.
    """

    module: nn.Module
    name: str
    layer: int
    kind: str
    door: str
    norm: str


class Call(NamedTuple):
    """What an attention was asked: a softmax of ``scale * query @ key.mT + bias`` over the keys that are kept.

    * ``query``: ``(b, h, q, d)``, after rotation and normalisation, as it enters the product.
    * ``key``, ``value``: ``(b, h, k, d)`` and ``(b, h, k, e)``, repeated where heads share them.
    * ``keep``: bool that broadcasts to ``(b, h, q, k)``; None for all.
    * ``bias``: float that broadcasts to ``(b, h, q, k)``; None for none.
    * ``scale``: of the products.
    * ``cap``: the softmax inputs are cap tanh(input / cap); None for as they are.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    keep: Tensor | None
    bias: Tensor | None
    scale: float
    cap: float | None = None

    def logits(self, products: Tensor | None = None) -> Tensor:
        """Return the softmax inputs ``(b, h, q, k)`` in float32 or wider, of query @ key.mT; those left out are there too."""
        if products is None:
            wide = torch.promote_types(self.query.dtype, torch.float32)
            products = self.query.to(wide) @ self.key.to(wide).mT
        logits = self.scale * products
        logits = logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)
        return logits if self.bias is None else logits + self.bias.to(logits.dtype)

    def at(self, rows: Tensor) -> "Call":
        """Keep some of the queries only, by their places."""
        part = [
            wide if wide is None or wide.shape[-2] == 1 else wide[..., rows, :]
            for wide in (self.keep, self.bias)
        ]
        return self._replace(query=self.query[:, :, rows], keep=part[0], bias=part[1])


Handler = Callable[[Site, Call, Tensor], Tensor | None]
# What listens to a module while a model is tapped: handlers in the order in which they came, and the hooks that serve them.
_heard: "weakref.WeakKeyDictionary[nn.Module, tuple[Site, list[Handler], list[Any]]]" = (
    weakref.WeakKeyDictionary()
)

# Configurations that name the entry that hears, by identity: what they named before, and how many listen.
_switched: dict[int, list[Any]] = {}


def sites(model: Any) -> list[Site]:
    """Find every attention of a model that has a door."""
    if not isinstance(model, nn.Module):
        refuse(
            "model",
            model,
            must="a torch.nn.Module",
            do="load one with transformers",
            error=InputTypeError,
        )
    doors = [(module, name, _door(module)) for name, module in model.named_modules()]
    found = [(module, name, door) for module, name, door in doors if door]
    if not found:
        must = "a model that looks its attention up in the registry of transformers, or calls scaled_dot_product_attention"
        got = f"{type(model).__name__}, without such a module"
        refuse(
            "model",
            must=must,
            got=got,
            do='load it with transformers >= 4.56, with attn_implementation="sdpa"',
        )
    for module, _, kind in found:
        if (
            kind == "registry"
            and getattr(module, "reorder_and_upcast_attn", False)
            and _named(module) == "eager"
        ):
            do = 'load it with attn_implementation="sdpa"'
            refuse(
                "model",
                must="one whose attention goes through the registry",
                got="one that upcasts by itself",
                do=do,
            )
        if kind == "registry" and "flash" in _named(module):
            must, do = (
                "one whose attention goes through sdpa, eager or flex",
                'load it with attn_implementation="sdpa"',
            )
            refuse(
                "model",
                must=must,
                got=f"one that uses {_named(module)}, which is given no masks",
                do=do,
            )
    kinds = [
        "cross" if any(word in f"{type(module)} {name}".lower() for word in CROSS) else "self"
        for module, name, _ in found
    ]
    types = " ".join({type(module).__name__.lower() for module in model.modules()})
    between = "rms" if "rmsnorm" in types else "layer" if "layernorm" in types else "none"
    return [
        Site(module, name, layer, kind, door, "qk" if own_norms(module) else between)
        for layer, ((module, name, door), kind) in enumerate(zip(found, kinds, strict=True))
    ]


def own_norms(module: nn.Module) -> list[nn.Module]:
    """Return the norms of queries and of keys, where a module has them."""
    pairs = (("q_norm", "k_norm"), ("query_norm", "key_norm"), ("q_layernorm", "k_layernorm"))
    return next(
        (
            [getattr(module, one) for one in pair]
            for pair in pairs
            if all(hasattr(module, one) for one in pair)
        ),
        [],
    )


@contextmanager
def tapped(model: nn.Module, handlers: Sequence[tuple[Site, Handler]]) -> Iterator[None]:
    """Let handlers hear the attentions of a model, and change their outputs; afterwards everything is as it was."""
    undo: list[Callable[[], None]] = []
    try:
        for site, handler in handlers:
            undo.append(_listen(site, handler))
        if any(site.door == "registry" for site, _ in handlers):
            # Masks are made by modules above, whose configuration may be an object of its own.
            configs = {
                id(module.config): module.config
                for module in model.modules()
                if hasattr(module, "config")
            }
            undo.append(
                _switch(
                    [
                        one
                        for one in configs.values()
                        if isinstance(getattr(one, "_attn_implementation", None), str)
                    ]
                )
            )
        yield
    finally:
        for back in reversed(undo):
            back()


def repeated() -> bool:
    """Tell whether a call is made once more, on the way back, to work out what checkpoints of gradients did not keep."""
    return torch._C._current_graph_task_id() != -1


def _listen(site: Site, handler: Handler) -> Callable[[], None]:
    """Add a handler to a module; return what takes it away again."""
    if site.module not in _heard:
        _heard[site.module] = (
            site,
            [],
            _Intercept(site).hooks() if site.door == "function" else [],
        )
    _, handlers, hooks = _heard[site.module]
    handlers.append(handler)

    def forget() -> None:
        handlers.remove(handler)
        if not handlers:
            del _heard[site.module]
            for hook in hooks:
                hook.remove()

    return forget


def _switch(configs: Sequence[Any]) -> Callable[[], None]:
    """Name the entry that hears in configurations; return what puts the names back once nobody listens any more.

    A configuration hands its name down to those inside it, so all names are read before the first is set, outer ones first,
    and put back in that order. A copy of a model that was made while another listened has a name that hears already.
    """
    for config in configs:
        _switched.setdefault(
            id(config), [config, config._attn_implementation.removeprefix(PREFIX), 0]
        )[2] += 1
    for config in configs:
        config._attn_implementation = _registered(_switched[id(config)][1])

    def back() -> None:
        for config in configs:
            own = _switched[id(config)]
            own[2] -= 1
            config._attn_implementation = own[1] if not own[2] else PREFIX + own[1]
            if not own[2]:
                del _switched[id(config)]

    return back


def _registered(before: str) -> str:
    """Register an entry that hears and then does what another does, and its masks; return its name."""
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

    name = PREFIX + before

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any = None,
        **more: Any,
    ) -> Any:
        home = vars(sys.modules[type(module).__module__])
        original = home["eager_attention_forward"] if before == "eager" else home[REGISTRY][before]
        output, weights = original(module, query, key, value, attention_mask, **more)
        if module in _heard:
            call = of_registry(module, before, query, key, value, attention_mask, more)
            output = _told(module, call, output)
        return output, weights

    AttentionInterface.register(name, attend)
    if before in ALL_MASK_ATTENTION_FUNCTIONS:
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[before])
    return name


def _told(module: nn.Module, call: Call, output: Tensor) -> Tensor:
    """Let every handler of a module hear a call, and change its output ``(b, q, h, e)``."""
    site, handlers, _ = _heard[module]
    for handler in tuple(handlers):
        changed = handler(site, call, output)
        output = output if changed is None else changed
    return output


class _Intercept(TorchFunctionMode):
    """Hear ``scaled_dot_product_attention`` while a module is at work."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site

    def hooks(self) -> list[Any]:
        """Start to hear before each forward of the module, and stop after it, however it ends."""
        before = self.site.module.register_forward_pre_hook(self.begin)
        return [before, self.site.module.register_forward_hook(self.end, always_call=True)]

    def begin(self, module: nn.Module, args: Any) -> None:
        """Start to hear, before a module's forward."""
        self.__enter__()  # type: ignore[no-untyped-call]

    def end(self, module: nn.Module, args: Any, output: Any) -> None:
        """Stop, after it."""
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is scaled_dot_product_attention and self.site.module in _heard:
            call = _of_function(*args, **(kwargs or {}))
            output = _told(self.site.module, call, output.transpose(1, 2)).transpose(1, 2)
        return output


def _door(module: nn.Module) -> str:
    """Tell through which door a module's attention goes; nothing where it has none."""
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    names = () if code is None else code.co_names
    if REGISTRY in names and hasattr(module, "config"):
        return "registry"
    return "function" if "scaled_dot_product_attention" in names else ""


def _named(module: nn.Module) -> str:
    """Name the implementation that a module is set to."""
    return str(getattr(module.config, "_attn_implementation", "")).removeprefix(PREFIX)


def of_registry(
    module: nn.Module,
    before: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Any,
    more: dict[str, Any],
) -> Call:
    """Say in plain terms what an entry of the registry is called with."""
    if more.get("s_aux") is not None:
        do = "probe another, for a share of the softmax goes to no token here"
        refuse("model", must="one without learned sinks", got=type(module).__name__, do=do)
    causal = more.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    causal = bool(causal) and before != "eager" and mask is None and query.shape[2] > 1
    scale = more.get("scaling")
    call = _call(
        query, key, value, mask, causal, query.shape[-1] ** -0.5 if scale is None else scale
    )
    bias = more.get("position_bias")
    if bias is not None:
        call = call._replace(bias=bias if call.bias is None else call.bias + bias)
    return call._replace(cap=more.get("softcap"))


def _of_function(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **more: Any,
) -> Call:
    """Say in plain terms what ``scaled_dot_product_attention`` is called with."""
    if query.ndim != 4:
        do = "give queries, keys and values a dimension of heads, even for one"
        refuse("query", query, must="(batch, heads, tokens, numbers)", do=do)
    scale = more.get("scale")
    return _call(
        query, key, value, attn_mask, is_causal, query.shape[-1] ** -0.5 if scale is None else scale
    )


def _call(query: Tensor, key: Tensor, value: Tensor, mask: Any, causal: bool, scale: float) -> Call:
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    size = (query.shape[2], key.shape[2])
    keep = bias = None
    if mask is None:
        keep = (
            torch.ones(size, dtype=torch.bool, device=query.device).tril()[None, None]
            if causal
            else None
        )
    elif not isinstance(mask, Tensor):
        from torch.nn.attention.flex_attention import create_mask

        keep = create_mask(mask.mask_mod, query.shape[0], None, *size, device=query.device)
    else:
        mask = mask[..., : size[1]]
        mask = mask if mask.ndim == 4 else mask[(None,) * (4 - mask.ndim)]
        keep = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
        bias = None if mask.dtype == torch.bool else mask.masked_fill(~keep, 0)
    return Call(query, key, value, keep, bias, float(scale))
