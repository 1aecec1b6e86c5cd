"""A residual network with gates that its blocks share, or with one each, beside the plain one."""

import copy
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva import nn
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._sizes import Sizes

__all__ = ["DIA", "SE", "UNGATED", "gated"]

DIA, SE = "kanerva, DIA for each stage", "kanerva, SE for each block"
UNGATED = "the plain network"
ATTACHED = {DIA: ("dia", "stage"), SE: ("se", "block")}
WIDTHS, CLASSES, SIDE = (64, 128, 256), 100, 32
ALLOWED = 1e-3
# A pass of a deep network takes seconds, and each is to be timed several times.
LONGER = 10.0


def gated(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Compute the gradients of residual networks of several depths."""
    batch, depths = sizes.gated
    for depth in depths:
        yield _network(depth, batch)


def _network(depth: int, batch: int) -> Case:
    """Compute the gradients of a network of three stages, with gates or without."""
    plain = _built(depth)
    x = torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    routes = []
    for name, (gate, scope) in ATTACHED.items():
        model = copy.deepcopy(plain)
        nn.share(model, None, x[:1], gate, scope)
        routes.append(_route(name, model, x, True))
    routes.append(_route(UNGATED, plain, x, False))
    blocks = len(WIDTHS) * depth
    setting = {"layers": 3 * blocks + 2, "blocks": blocks, "B": batch}
    return Case("gates", setting, routes, ALLOWED, longer=LONGER)


def _built(depth: int) -> Any:
    """Return a network of bottleneck blocks of transformers, with a 3 x 3 stem, in training."""
    if find_spec("transformers") is None:
        raise ImportError('transformers is not installed: pip install "kanerva[hf]"')
    from transformers import ResNetConfig, ResNetForImageClassification

    sizes: dict[str, Any] = {"depths": [depth] * 3, "hidden_sizes": list(WIDTHS)}
    config = ResNetConfig(embedding_size=16, **sizes | {"num_labels": CLASSES})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = ResNetForImageClassification(config)
        stem = model.resnet.embedder
        stem.embedder.convolution = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
    stem.pooler = torch.nn.Identity()
    return model.train()


def _route(name: str, model: Any, x: Float[Tensor, "b 3 h w"], ours: bool) -> Route:
    """Return a route to all gradients; the output is checked."""
    call = partial(_step, model, x)
    return Route(name, call, partial(_apart, model, x), ours)


def _step(model: Any, x: Tensor) -> None:
    """Compute the gradients of the sum of squares of the output by all weights."""
    model.zero_grad()
    with torch.enable_grad():
        model(x).logits.square().sum().backward()


def _apart(model: Any, x: Tensor) -> float:
    """Return how far the output is from that of a loop in float64, which has no hooks.

    The statistics of batch normalisation are those of the batch, and the model keeps its own.
    """
    with torch.no_grad():
        wide = copy.deepcopy(model).double()
        gates = dict(wide.shared.gates) if hasattr(wide, "shared") else {}
        if gates:
            wide.shared.remove()
        expected = _looped(wide, x.double(), gates)
        found = copy.deepcopy(model)(x).logits
    return float((found.double() - expected).abs().max() / expected.abs().max())


def _looped(model: Any, x: Tensor, gates: dict[str, Any]) -> Tensor:
    """Return the output of a network, block by block."""
    x = model.resnet.embedder(x)
    for number, stage in enumerate(model.resnet.encoder.stages, 1):
        state = None
        for place, block in enumerate(stage.layers, 1):
            branch = block.layer(x)
            if f"stage{number}" in gates:  # one for all blocks, with a state
                gate, state = gates[f"stage{number}"](branch, state)
                branch = gate * branch
            elif gates:
                branch = gates[f"stage{number}_block{place}"](branch, None)[0] * branch
            x = block.activation(block.shortcut(x) + branch)
    logits: Tensor = model.classifier(model.resnet.pooler(x))
    return logits
