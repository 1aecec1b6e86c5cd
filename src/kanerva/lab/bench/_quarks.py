"""A model that is watched and rebuilt beside the plain model, and a count beside all pairs."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._sizes import Sizes
from kanerva.quarks import capacity, rebuild, watch

__all__ = ["COUNTED", "FORWARD", "PAIRS", "REBUILT", "WATCHED", "watched"]

WATCHED, REBUILT, COUNTED = "kanerva, watch", "kanerva, rebuild", "kanerva, count"
FORWARD, PAIRS = "the plain forward pass", "NumPy, all pairs"
# The width of a head; the hidden layer is four times as wide as the model.
HEAD = 32
ALLOWED = 1e-4


def watched(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Run a model while its gates are counted, and count the functions of a gated unit."""
    depth, dim, batch, places, inputs = sizes.watched
    yield _model(depth, dim, torch.Size((batch, places, dim)))
    yield _product(inputs)


def _model(depth: int, dim: int, shape: torch.Size) -> Case:
    """Run a transformer of torch on texts, with a block around the call or without."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(
            dim, dim // HEAD, 4 * dim, activation="gelu", batch_first=True
        )
        model = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False).eval()
    with torch.no_grad():
        expected = copy.deepcopy(model).double()(x.double())

    def run(around: Callable[[nn.Module], AbstractContextManager[Any]]) -> Tensor:
        with around(model), torch.no_grad():
            output: Tensor = model(x)
        return output

    def route(name: str, around: Any, ours: bool = True) -> Route:
        call = partial(run, around)
        return Route(name, call, lambda: _apart(call(), expected), ours)

    routes = [
        route(WATCHED, watch),
        route(REBUILT, rebuild),
        route(FORWARD, nullcontext, False),
    ]
    setting = {"layers": depth, "d": dim, "B": shape[0], "places": shape[1]}
    return Case("quarks", setting, routes, ALLOWED)


def _apart(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).abs().max() / expected.abs().max())


def _product(inputs: int) -> Case:
    """Count the products of two units of -1 and 1 as different functions."""
    units = capacity.functions("threshold", inputs).tables
    few = units.tolist()
    expected = len({one ^ other for one in few for other in few})

    def ours() -> int:
        return capacity.count("product", inputs)

    def theirs() -> int:
        found = np.zeros(2 ** (2**inputs), dtype=bool)
        found[units[:, None] ^ units] = True
        return int(found.sum())

    routes = [
        Route(COUNTED, ours, lambda: abs(ours() - expected), True),
        Route(PAIRS, theirs, lambda: abs(theirs() - expected)),
    ]
    return Case("quarks", {"n": inputs}, routes, 0.0)
