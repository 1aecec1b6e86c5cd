"""Attach gates to the residual branches of a model that exists."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.nn._gates import Gate, Stage, builder
from kanerva.nn._sharing._example import Seen, look
from kanerva.nn._sharing._families import Branches, chosen
from kanerva.nn._sharing._passes import Block, Frame, Link
from kanerva.nn._sharing._shared import Shared

__all__ = ["share"]

SCOPES = ("stage", "block", "model")
Example = Float[Tensor, "..."] | tuple[Any, ...] | dict[str, Any] | Any


@door
def share(
    model: nn.Module,
    branches: Branches = None,
    example: Any = None,
    gate: Any = "dia",
    scope: str = "stage",
    reduction: int | None = None,
    *,
    seed: int | torch.Generator = 0,
    channels_last: bool | None = None,
    name: str = "shared",
) -> Shared:
    r"""Gate the residual branches of a model, by gates that its blocks share.

    .. math:: x_{t+1} = x_t + h_t \odot F_t(x_t), \quad
        (h_t, s_t) = \text{gate}(F_t(x_t), s_{t-1})

    The model is changed in place: hooks multiply the outputs F of its branches by the gates h, and
    its code is not touched. All of its weights keep their names. Those saved before load afterwards
    too, and the gates then keep theirs, which stand under ``name``. The state s is None at the
    first block of every forward pass, and a block that is skipped hands on that of the last one
    before.

    Call the model as a whole: a part that is called alone is refused, as it has no state. The
    gates follow ``copy.deepcopy``, pickling, autocast, ``torch.compile`` and gradient checkpointing
    without reentry. With reentrant checkpointing gradients along depth would be lost, so the
    recomputation is refused. A gate with batch normalisation depends on the batch in training; no
    other does.

    A gate averages the features of all places. In a model of texts these are all tokens: those of
    padding, and those after a token, so that a causal model is not causal any more. Axes are
    ``(b, places, c)``; a model whose places come first mixes the rows of a batch in its gates.

    Args:
        model: any module.
        branches: the modules whose output is the residual branch, before it is added: a pattern
            such as ``"layers.*.mlp"``, a list of patterns or names, or a function of name and
            module. Of modules inside one another that a pattern matches, the outermost is taken. If
            a module returns a tuple, its first tensor is gated. If omitted, the branches
            of a known family are taken: ResNet, RegNet, ConvNeXt, ViT, BERT and GPT-2 of
            transformers, UNet2D of diffusers, and the ResNets of torchvision and timm.
        example: what the model is called with: a tensor, a tuple of arguments or a dict of named
            ones. The model is called once, in evaluation mode and without gradients, to find
            widths, layouts and the order of the branches.
        gate: ``"dia"``, ``"se"``, ``"eca"``, ``"sge"``, ``"cbam"``, ``"srm"``, ``"recall"``,
            ``"constant"`` or ``"scale"``; or a function that returns a ``Gate`` for a ``Stage``.
        scope: which blocks share a gate: ``"stage"``, those of equal width and equal places;
            ``"block"``, each has its own, without a state; ``"model"``, all of them.
        reduction: >= 1, what divides the width inside a gate; 4 for ``"dia"`` and ``"recall"`` and
            16 for ``"se"`` and ``"cbam"`` if omitted. The others have none.
        seed: an integer >= 0 or a CPU generator, for the first weights of the gates.
        channels_last: whether the channels of a branch are its last axis. If omitted, they are with
            three axes, ``(b, places, c)``, and are second otherwise, ``(b, c, h, w)``.
        name: under which the model holds the gates.

    Returns:
        a ``Shared``, which records and removes the gates; also ``model.<name>``.

    Raises:
        InputError: branches that match nothing, are not called exactly once or return no floating
            tensor; widths that differ under ``"model"``; a name that the model has; a model with
            gates, or on the meta device. When the model is called: gates that are not finite, other
            channels than with the example, a batch of another size than that of the block whose
            state is taken, a part that is called alone, or a reentrant recomputation.

    Warns:
        UserWarning: fewer channels than the reduction, so that the inner width is 1.

    Example:
        >>> import torch
        >>> from transformers import ResNetConfig, ResNetForImageClassification
        >>> from kanerva import nn
        >>> config = ResNetConfig(embedding_size=16, hidden_sizes=[32, 64], depths=[2, 3])
        >>> model = ResNetForImageClassification(config)
        >>> shared = nn.share(model, example=torch.zeros(1, 3, 32, 32))
        >>> shared, shared.parameters_added  # doctest: +ELLIPSIS
        (Shared(
          stage1: 2 blocks, stage2: 3 blocks
        ...
        >>> with shared.record() as gates:
        ...     output = model(torch.randn(5, 3, 32, 32))
        >>> {stage: tuple(one.shape) for stage, one in gates.items()}
        {'stage1': (2, 5, 32), 'stage2': (3, 5, 64)}

    Source: Huang and others 2020 and 2024.
    """
    checks.instance("model", model, nn.Module, "give a module of torch", "a module of torch")
    checks.choice("scope", scope, SCOPES)
    if channels_last is not None:
        channels_last = checks.flag("channels_last", channels_last)
    if reduction is not None:
        reduction = checks.integer("reduction", reduction, 1, checks.LONGEST)
    build, source = builder(gate), arrays.generator(seed)
    _check_name(model, name)
    names = chosen(model, branches)
    _check_model(model, names)
    seen = look(model, names, example, channels_last)
    stages = _stages(seen, scope)
    blocks = {block.name: block for block in _blocks(stages, scope)}
    groups: dict[str, list[Seen]] = {}
    for one in seen:
        groups.setdefault(blocks[one.name].gate, []).append(one)
    parts: dict[str, nn.Module] = {}
    # The default device may be another than the model's, and gates are to be trained.
    with torch.device("cpu"), torch.inference_mode(False):
        for own, (first, *others) in groups.items():
            built = build(Stage(first.channels, 1 + len(others), first.places, reduction))
            parts[own] = _placed(built.reset(source), model, first.name)
    ordered = tuple(blocks[one.name] for one in seen)
    return Shared(model, parts, Frame(name, ordered))


def _check_name(model: nn.Module, name: Any) -> None:
    """Refuse a name that the model uses, or that no module can have."""
    do = 'choose another, such as name="gates"'
    if not isinstance(name, str) or not name.isidentifier():
        must = "a name that a module can have"
        refuse("name", name, must=must, do=do, error=InputTypeError)
    if isinstance(model._modules.get(name), Shared):
        got, do = f"{name!r}, which holds such gates", "remove them first: model.{}.remove()"
        refuse("name", got=got, must="free: a model is shared once", do=do.format(name))
    if hasattr(model, name):
        got = f"{name!r}, which {type(model).__name__} has"
        refuse("name", got=got, must="the name of no attribute of the model", do=do)


def _check_model(model: nn.Module, names: list[str]) -> None:
    """Refuse a model without numbers, or with gates at one of the branches."""
    weights = [*model.parameters(), *model.buffers()]
    if any(weight.is_meta for weight in weights):
        got, do = "one on the meta device", 'call model.to_empty(device="cpu") and load weights'
        refuse("model", got=got, must="one whose weights have numbers", do=do)
    must, do = "without gates at these branches", "call remove() on them first"
    for part in model.children():
        if isinstance(part, Shared) and part._model[0] is model:
            refuse("model", got=f"one with gates in {part.frame.name!r}", must=must, do=do)
    for name in names:
        # Also those of a larger model, or of a part of this one.
        if any(
            isinstance(hook, Link) for hook in model.get_submodule(name)._forward_hooks.values()
        ):
            refuse("model", got=f"one with a gate at {name!r}", must=must, do=do)


def _stages(seen: list[Seen], scope: str) -> dict[str, list[Seen]]:
    """Return the branches of each stage: of equal width and equal places, or all of them."""
    groups: dict[Any, list[Seen]] = {}
    for one in seen:
        groups.setdefault(None if scope == "model" else (one.channels, one.places), []).append(one)
    for group in groups.values():
        widths = {one.channels: one.name for one in group}
        if len(widths) > 1:
            (first, near), (second, far) = list(widths.items())[:2]
            got = f"'model', with {first} channels in {near!r} and {second} in {far!r}"
            must, do = "'stage' or 'block' where widths differ", 'choose scope="stage"'
            refuse("scope", got=got, must=must, do=do)
    return {f"stage{number}": group for number, group in enumerate(groups.values(), 1)}


def _blocks(stages: dict[str, list[Seen]], scope: str) -> Iterator[Block]:
    """Yield the blocks of each stage, with the gate that each of them takes."""
    for stage, members in stages.items():
        for place, one in enumerate(members):
            if scope == "block":
                own = f"{stage}_block{place + 1}"
                yield Block(one.name, stage, own, 0, False, one.last, one.channels)
            else:
                yield Block(one.name, stage, stage, place, True, one.last, one.channels)


def _placed(gate: Gate, model: nn.Module, name: str) -> Gate:
    """Put a gate on the device of a branch, in the dtype of its weights."""
    branch = model.get_submodule(name)
    for part in (branch, model):
        for weight in part.parameters():
            if weight.is_floating_point():
                return gate.to(device=weight.device, dtype=weight.dtype)
    return gate
