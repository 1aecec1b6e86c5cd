"""Call a model once to learn the widths, layouts and order of its residual branches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kanerva._core import arrays
from kanerva._core.errors import InputError, InputTypeError, describe, refuse

__all__ = ["Seen", "called", "look"]


class Seen(NamedTuple):
    """A residual branch as it was called.

    Attributes:
        name: of its module.
        channels: its width.
        places: the sizes of its other axes, without that of the batch.
        last: whether the channels are the last axis.
    """

    name: str
    channels: int
    places: tuple[int, ...]
    last: bool


def look(
    model: nn.Module, names: list[str], example: Any, channels_last: bool | None
) -> list[Seen]:
    """Return the branches in the order of calls.

    Args:
        model: the whole model; its buffers, modes and the random state are left as they were.
        names: of the branches.
        example: a tensor, a tuple of arguments or a dict of named ones.
        channels_last: whether channels are the last axis; None for three axes alone.
    """
    seen: list[Seen] = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if any(one.name == name for one in seen):  # as the layers of ALBERT are
                got, do = f"{name!r}, called again", "leave it out of the branches"
                refuse("branches", got=got, must="called once in a forward pass", do=do)
            seen.append(_seen(name, output, channels_last))

        return hook

    handles = [model.get_submodule(name).register_forward_hook(note(name)) for name in names]
    try:
        with _still(model):
            _tried(model, example)
    finally:
        for handle in handles:
            handle.remove()
    missing = [name for name in names if name not in {one.name for one in seen}]
    if missing:
        got, do = f"{missing[0]!r}, which is never called", "leave it out of the branches"
        refuse("branches", got=got, must="called by the example", do=do)
    return seen


def _tried(model: nn.Module, example: Any) -> None:
    """Call a model with the example; what the model raises for it is told in the refusal."""
    try:
        called(model, example)
    except InputError:
        raise
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        text = text if len(text) <= 200 else text[:197] + "..."
        names = (
            ", ".join(map(str, example))
            if hasattr(example, "keys")
            else f"{len(example)} arguments"
        )
        what = describe(example) if isinstance(example, Tensor) else names
        got = f"{what}, for which the model raises {text.rstrip('.')}"
        must, do = "what the model can be called with", "look at what model(...) takes"
        # What the model raises tells where; so it stays in the traceback.
        raise InputError("", "example", must, got, do) from error


def called(model: nn.Module, example: Any) -> Any:
    """Call a model with a tensor, a tuple of arguments or a dict of named ones."""
    if isinstance(example, Tensor):
        return model(example)
    if isinstance(example, tuple):
        return model(*example)
    if hasattr(example, "keys"):  # a dict, or what a tokenizer returns
        return model(**example)
    must = "a tensor, a tuple of arguments or a dict of named ones"
    do = "give what the model is called with, such as torch.zeros(1, 3, 224, 224)"
    refuse("example", example, must=must, do=do, error=InputTypeError)


@contextmanager
def _still(model: nn.Module) -> Iterator[None]:
    """Evaluate without gradients, and leave modes, buffers and random states as they were."""
    training = {module: module.training for module in model.modules()}
    buffers = [
        (module, name, one, one.detach().clone())
        for module in model.modules()
        for name, one in module._buffers.items()
        if one is not None
    ]
    devices = sorted({one.device.index or 0 for one in model.parameters() if one.is_cuda})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        try:
            model.eval()
            yield
        finally:
            for module, mode in training.items():
                module.training = mode
            for owner, name, one, kept in buffers:
                owner._buffers[name] = one  # a forward pass may have put another in its place
                if one.shape == kept.shape:
                    one.copy_(kept)


def _seen(name: str, output: Any, channels_last: bool | None) -> Seen:
    """Return width and layout of what a branch returned."""
    features = output[0] if isinstance(output, tuple) and output else output
    must = "modules that return a floating tensor, or a tuple that begins with one"
    do = "name the modules whose output is added to the input of the block"
    if not isinstance(features, Tensor):
        got = f"{name!r}, which returns {type(features).__name__}"
        refuse("branches", got=got, must=must, do=do, error=InputTypeError)
    if features.dtype not in arrays.FLOATS:
        got = f"{name!r}, which returns {features.dtype}"
        refuse("branches", got=got, must=must, do=do, error=InputTypeError)
    if features.ndim < 2:
        got = f"{name!r}, which returns {features.ndim} axes"
        refuse("branches", got=got, must="modules that return (b, c) or more axes", do=do)
    last = (features.ndim == 3) if channels_last is None else channels_last
    last = last and features.ndim > 2
    shape = (features.movedim(-1, 1) if last else features).shape
    return Seen(name, shape[1], tuple(shape[2:]), last)
