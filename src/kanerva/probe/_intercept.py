"""Intercept the attention of a model: observe every call, and change its output.

There are two routes. A model of transformers that takes its attention function from the registry is
switched to an entry that calls the original one, and then the handlers. Masks are built by the
function that is registered under the same name, so the new entry is registered for masks too. In
any other module, the calls of ``torch.nn.functional.scaled_dot_product_attention`` and of
``multi_head_attention_forward`` are intercepted, which also keeps torch off its fused kernels.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.nn.functional import multi_head_attention_forward, scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from kanerva.probe._calls import Call, of_function, of_registry
from kanerva.probe._multihead import attended, padded
from kanerva.probe._sites import PREFIX, REGISTRY, Site

__all__ = ["intercepted"]

# Takes an attention, its call and its output (b, q, h, e); returns a new output, or None.
Handler = Callable[[Site, Call, Tensor], Tensor | None]


EAGER = "eager_attention_forward"


class _Target(NamedTuple):
    """A module whose attention is intercepted: its handlers, the first one first, and its hooks."""

    site: Site
    handlers: list[Handler]
    hooks: list[Any]


@dataclass
class _Switched:
    """A configuration that names an intercepting entry: the original name, and how often set."""

    config: Any
    original: str
    count: int = 0


_targets: "WeakKeyDictionary[nn.Module, _Target]" = WeakKeyDictionary()
_switched: dict[int, _Switched] = {}


@contextmanager
def intercepted(model: nn.Module, handlers: Sequence[tuple[Site, Handler]]) -> Iterator[None]:
    """Call handlers after the attentions of a model; afterwards the model is as before."""
    with ExitStack() as undo:
        for site, handler in handlers:
            undo.callback(_add(site, handler))
        if any(site.route == "registry" for site, _ in handlers):
            undo.callback(_switch(_configurations(model)))
        undo.enter_context(padded(_encoders(model, [site.module for site, _ in handlers])))
        yield


def _encoders(model: nn.Module, attentions: list[nn.Module]) -> list[nn.Module]:
    """Return the encoder layers of torch that contain one of some attentions."""
    layers = [part for part in model.modules() if isinstance(part, nn.TransformerEncoderLayer)]
    return [part for part in layers if any(one in attentions for one in part.modules())]


def _add(site: Site, handler: Handler) -> Callable[[], None]:
    """Add a handler to a module; return the function that removes it."""
    if site.module not in _targets:
        hooks = _FunctionMode(site).hooks() if site.route == "function" else []
        _targets[site.module] = _Target(site, [], hooks)
    target = _targets[site.module]
    target.handlers.append(handler)

    def remove() -> None:
        target.handlers.remove(handler)
        if not target.handlers:
            del _targets[site.module]
            for hook in target.hooks:
                hook.remove()

    return remove


def _call_handlers(module: nn.Module, call: Call, output: Tensor) -> Tensor:
    """Call every handler of a module; return the output ``(b, q, h, e)`` as they changed it."""
    target, call = _targets[module], call._replace(output=output)
    for handler in tuple(target.handlers):
        changed = handler(target.site, call, output)
        output = output if changed is None else changed
    return output


def _configurations(model: nn.Module) -> list[Any]:
    """Return the configurations that name an implementation, outer ones first.

    Masks are built by outer modules, which may have configurations of their own.
    """
    configs = {id(part.config): part.config for part in model.modules() if hasattr(part, "config")}
    return [
        config
        for config in configs.values()
        if isinstance(getattr(config, "_attn_implementation", None), str)
    ]


def _switch(configs: Sequence[Any]) -> Callable[[], None]:
    """Name the intercepting entry in configurations; return the function that undoes it.

    Setting the name of a configuration sets those of the configurations inside it. So all names are
    read before the first is set, and they are restored in the same order, outer ones first. A copy
    of a model that was made while another was intercepted already names an intercepting entry.
    """
    for config in configs:
        original = config._attn_implementation.removeprefix(PREFIX)
        _switched.setdefault(id(config), _Switched(config, original)).count += 1
    for config in configs:
        config._attn_implementation = _registered(_switched[id(config)].original)

    def restore() -> None:
        for config in configs:
            switched = _switched[id(config)]
            switched.count -= 1
            if switched.count:
                config._attn_implementation = PREFIX + switched.original
            else:
                config._attn_implementation = switched.original
                del _switched[id(config)]

    return restore


def _registered(original: str) -> str:
    """Register an entry that calls the original one and then the handlers; return its name."""
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

    name = PREFIX + original

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any = None,
        **more: Any,
    ) -> Any:
        function = _function(module, original)
        output, weights = function(module, query, key, value, attention_mask, **more)
        if module in _targets:
            call = of_registry(module, original, query, key, value, attention_mask, more)
            output = _call_handlers(module, call, output)
        return output, weights

    AttentionInterface.register(name, attend)
    if original in ALL_MASK_ATTENTION_FUNCTIONS:
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[original])
    return name


def _function(module: nn.Module, name: str) -> Callable[..., Any]:
    """Return the attention function of a module, as its forward pass looks it up."""
    forward: Any = inspect.unwrap(type(module).forward)
    scope = vars(sys.modules[type(module).__module__]) | forward.__globals__
    if name != "eager":
        return cast(Callable[..., Any], scope[REGISTRY][name])
    # Modules of a vision or an audio part may have another one beside that of the text.
    own = [one for one in forward.__code__.co_names if one.endswith(EAGER)]
    return cast(Callable[..., Any], scope[(own or [EAGER])[0]])


class _FunctionMode(TorchFunctionMode):
    """Intercepts the attention functions of torch during the forward pass of a module."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site

    def hooks(self) -> list[Any]:
        """Register the hooks that enter the mode before each forward pass and leave it after."""
        module = self.site.module
        before = module.register_forward_pre_hook(self._before)
        return [before, module.register_forward_hook(self._after, always_call=True)]

    def _before(self, module: nn.Module, args: Any) -> None:
        self.__enter__()  # type: ignore[no-untyped-call]

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        module, kwargs = self.site.module, kwargs or {}
        if module in _targets and func is multi_head_attention_forward:
            return attended(args, kwargs, partial(_call_handlers, module))
        output = func(*args, **kwargs)
        if module in _targets and func is scaled_dot_product_attention:
            call = of_function(*args, **kwargs)
            output = _call_handlers(module, call, output.transpose(1, 2)).transpose(1, 2)
        return output
