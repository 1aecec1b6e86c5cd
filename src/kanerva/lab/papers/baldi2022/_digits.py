"""Digits in black and white, learned by a linear unit, gated pairs, layers and all products."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float32
from torch import Tensor
from torch.nn import functional

from kanerva.lab import data
from kanerva.lab.data._raw import extra
from kanerva.quarks import output_gate

__all__ = ["FOLDS", "Design", "digits", "learned", "outside", "products", "weights"]

FOLDS = 5

# The decision values of the networks of all folds.
Found = Float32[Tensor, "rows folds"]
Pixels = Float32[Tensor, "rows pixels"]


class Design(NamedTuple):
    """What is trained, and how.

    Attributes:
        model: "linear unit", "gated pairs", "layer" or "all products".
        pairs: of gated units; the layer has as many weights but one for each unit.
        steps: of the training.
        rate: of Adam.
        penalty: of the sum of the squared weights.
        seed: of the initial weights.
    """

    model: str
    pairs: int
    steps: int
    rate: float
    penalty: float
    seed: int


@lru_cache(maxsize=1)
def digits() -> tuple[Pixels, Float32[Tensor, " rows"]]:
    """Return the pixels, +1 where there is at least half of the ink, and +1 for even digits."""
    found = data.load("digits", domain="bits")
    assert found.labels is not None
    assert found.bits is not None
    return found.bits.float(), 1 - 2 * (found.labels % 2).float()


@lru_cache(maxsize=1)
def outside() -> Bool[Tensor, "rows folds"]:
    """Return which digits each fold does not train on: a fifth of every class."""
    found = data.load("digits", domain="bits")
    assert found.labels is not None
    sets = extra("sklearn.model_selection", "scikit-learn", "stratified folds")
    folds = sets.StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    left = torch.zeros(len(found.labels), FOLDS, dtype=torch.bool)
    for place, (_, test) in enumerate(folds.split(found.labels.numpy(), found.labels.numpy())):
        left[torch.from_numpy(test), place] = True
    return left


def products(x: Pixels) -> Float32[Tensor, "rows features"]:
    """Return pixels and the products of any two of them."""
    first, second = torch.triu_indices(x.shape[1], x.shape[1], 1)
    return torch.cat((x, x[:, first] * x[:, second]), -1)


def weights(model: str, pairs: int, pixels: int = 64) -> int:
    """Return the number of weights of a network, with biases.

    Example:
        >>> [weights("gated pairs", 4), weights("layer", 4), weights("all products", 0)]
        [520, 529, 2081]
    """
    if model == "gated pairs":
        return 2 * pairs * (pixels + 1)
    if model == "layer":
        return 2 * pairs * (pixels + 2) + 1
    return 1 + pixels + (pixels * (pixels - 1) // 2 if model == "all products" else 0)


def learned(design: Design) -> Iterator[dict[str, Any]]:
    """Train a network for each fold, all at once, and return what each gets right."""
    x, wanted = digits()
    left = outside()
    x = products(x) if design.model == "all products" else x
    parts, outputs = _networks(design, x.shape[1])
    share = (~left).float() / (~left).sum(0)
    adam = torch.optim.Adam(parts, lr=design.rate)
    for _ in range(design.steps):
        adam.zero_grad()
        losses = (share * functional.softplus(-wanted.unsqueeze(-1) * outputs(x))).sum()
        squares = torch.stack([part.square().sum() for part in parts]).sum()
        (losses + design.penalty * squares).backward()  # type: ignore[no-untyped-call]
        adam.step()
    with torch.no_grad():
        right = outputs(x) * wanted.unsqueeze(-1) > 0
    for fold in range(FOLDS):
        test = left[:, fold]
        yield {
            "fold": fold,
            "weights": weights(design.model, design.pairs),
            "train": float(right[~test, fold].double().mean()),
            "test": float(right[test, fold].double().mean()),
        }


def _networks(design: Design, inputs: int) -> tuple[list[Tensor], Callable[[Tensor], Found]]:
    """Return the weights of the networks of all folds, and their outputs as a function."""
    source = torch.Generator().manual_seed(design.seed)

    def drawn(units: int) -> list[Tensor]:
        scale = inputs**-0.5
        found = (
            scale * (2 * torch.rand(shape, generator=source) - 1)
            for shape in ((FOLDS * units, inputs), (FOLDS * units,))
        )
        return [part.requires_grad_() for part in found]

    def units(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(x, weight, bias).reshape(len(x), FOLDS, -1)

    if design.model == "gated pairs":
        one, other = drawn(design.pairs), drawn(design.pairs)

        def gated(x: Tensor) -> Tensor:
            return output_gate(units(x, *one), units(x, *other)).sum(-1)

        return one + other, gated
    if design.model == "layer":
        hidden, scale = drawn(2 * design.pairs), (2 * design.pairs) ** -0.5
        last, bias = (
            (scale * (2 * torch.rand(shape, generator=source) - 1)).requires_grad_()
            for shape in ((FOLDS, 2 * design.pairs), (FOLDS,))
        )
        return [*hidden, last, bias], lambda x: (units(x, *hidden).tanh() * last).sum(-1) + bias
    plain = drawn(1)
    return plain, lambda x: units(x, *plain)[..., 0]
