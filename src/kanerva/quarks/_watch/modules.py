"""The calls of a model and of the modules in it, seen by hooks that all modules share.

Hooks of a module itself switch torch's fused layers off, which changes the last digits. Hooks that
all modules share do not.
"""

import dataclasses
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from kanerva._core.errors import refuse
from kanerva.quarks._watch.mode import Observer, shield
from kanerva.quarks._watch.tally import Tally

__all__ = ["followed", "sized", "tallied"]

# How deep the arguments of a model are searched for tensors.
DEEP = 8


def tallied(model: nn.Module) -> tuple[Tally, dict[int, Tally]]:
    """Return empty tallies: of the whole model, and of each module by its identity."""
    whole, found = Tally(), dict[int, Tally]()
    for name, module in model.named_modules(remove_duplicate=False):
        tally = found.setdefault(id(module), Tally() if name else whole)
        whole.modules[name] = tally  # a module with several names has one tally
    return whole, found


def sized(model: nn.Module, tallies: dict[int, Tally]) -> None:
    """Enter the number of trained numbers of each module; lazy ones have none before a call."""
    lazy = torch.nn.parameter.is_lazy
    for module in model.modules():
        if id(module) in tallies:
            found = (one.numel() for one in module.parameters() if not lazy(one))
            tallies[id(module)].parameters = sum(found)


@contextmanager
def followed(observer: Observer, tallies: dict[int, Tally], named: list[Tensor]) -> Iterator[None]:
    """Keep for the observer which modules are being called, and which tensors are the inputs.

    Args:
        observer: of the model.
        tallies: of the modules, by identity.
        named: parameters and buffers that are signals too.
    """
    model, thread = observer.model, threading.get_ident()

    def enter(module: nn.Module, args: Any, kwargs: Any = None) -> None:
        if threading.get_ident() != thread or id(module) not in tallies:
            return
        if module is model and not observer.inside:
            observer.called = True
            observer.signals.start()
            for tensor in (*named, *_inputs((args, kwargs))):
                observer.signals.begin(tensor)
        if module is model or observer.inside:
            _step(observer, [*observer.inside, module], tallies)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() != thread or id(module) not in tallies:
            return
        inside = observer.inside
        last = max((at for at, one in enumerate(inside) if one is module), default=None)
        if last is not None:
            _step(observer, inside[:last], tallies)
        if last == 0 and isinstance(output, Iterator | AsyncIterator | Coroutine):
            if isinstance(output, Coroutine):
                output.close()  # Python warns of one that was never awaited
            got = f"a model whose call returns a {type(output).__name__} before it computes"
            must, do = "computing in its call", "watch a module whose forward returns its outputs"
            refuse("model", got=got, must=must, do=do)

    before = register_module_forward_pre_hook(enter)
    # A shared hook gets the keywords of a call only if the module lists it so.
    model._forward_pre_hooks_with_kwargs[before.id] = True
    after = register_module_forward_hook(leave, always_call=True)
    sized(model, tallies)
    shield()
    try:
        with observer:
            yield
    finally:
        before.remove()
        after.remove()
        model._forward_pre_hooks_with_kwargs.pop(before.id, None)
        sized(model, tallies)


def _step(observer: Observer, inside: list[nn.Module], tallies: dict[int, Tally]) -> None:
    observer.inside = inside
    unique = {id(module): tallies[id(module)] for module in inside}
    observer.counted = tuple(unique.values())


def _bare(tensor: Tensor) -> Tensor:
    """Return the tensor of numbers in one that vmap or a derivative of a function wraps."""
    functions = torch._C._functorch
    while functions.is_functorch_wrapped_tensor(tensor):
        tensor = functions.get_unwrapped(tensor)
    return tensor


def _inputs(value: Any, deep: int = DEEP) -> Iterator[Tensor]:
    """Yield the tensors among the arguments of a call, in containers and attributes of objects."""
    if isinstance(value, Tensor):
        inner = getattr(value, "__tensor_flatten__", None)
        if inner is None:
            yield _bare(value)
        else:
            yield from (getattr(value, name) for name in inner()[0])
    elif deep == 0 or isinstance(value, str | bytes | int | float | type | nn.Module):
        return
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _inputs(one, deep - 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _inputs(one, deep - 1)
    elif dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        for one in list(vars(value).values()):
            yield from _inputs(one, deep - 1)
