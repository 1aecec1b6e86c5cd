"""What is measured on gated networks: gates, gradients, growth of a change, and dependence."""

import copy
import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as plain

from kanerva import nn
from kanerva._core import arrays
from kanerva._core.errors import InputError, refuse
from kanerva.lab.papers.huang2024 import _digits
from kanerva.lab.recipe import Row

__all__ = [
    "correlations",
    "dependence",
    "fitted",
    "importance",
    "look",
    "recorded",
    "shown",
    "stability",
]

Gates = Float[Tensor, "l b c"]
Pictures = Float[Tensor, "b 1 h w"]
OVER = ("channels", "samples", "both")
NULLS = (None, "samples", "channels")
# Pictures by which a network is looked at, and the size of a change of them.
LOOKED, SMALL = 48, 1e-4


class Fit(NamedTuple):
    """A network after training.

    * ``loss``: mean of the last epoch; None where it diverged, or without training.
    * ``epochs``: that ended with a finite loss.
    * ``diverged``: whether the loss or a gate was not finite.
    """

    loss: float | None
    epochs: int
    diverged: bool


class Looks(NamedTuple):
    """What one look at a network shows, by block.

    * ``gates``: mean gate; one without gates.
    * ``gradients``: norm of the gradient of the weights of the branch.
    * ``changes``: norm of the change of the features behind the block, for a small change of the
      pictures.
    * ``features``: norm of these features.
    """

    gates: Float[Tensor, " l"]
    gradients: Float[Tensor, " l"]
    changes: Float[Tensor, " l"]
    features: Float[Tensor, " l"]


def fitted(net: torch.nn.Module, given: _digits.Split, design: _digits.Design) -> Fit:
    """Train a network until it ends or diverges.

    A refused gate that is not finite counts as divergence, and so does such a loss.
    """
    loss: float | None = None
    done = 0
    try:
        for found in _digits.train(net, given, design):
            if not math.isfinite(found):
                return Fit(None, done, True)
            loss, done = found, done + 1
    except InputError as error:
        if not error.argument.startswith("the gate of block"):
            raise
        return Fit(None, done, True)
    return Fit(loss, done, False)


@torch.no_grad()
def recorded(net: Any, pictures: Pictures) -> Gates:
    """Return the gates of all blocks for each picture, in evaluation mode."""
    net.eval()
    with net.shared.record() as gates:
        net(pictures)
    (found,) = gates.values()
    return found


def correlations(gates: Gates, seed: int) -> Iterator[Row]:
    """Yield the correlation of gates by definition and null, over all and adjacent pairs."""
    for over, null in product(OVER, NULLS):
        options: dict[str, Any] = {"over": over, "null": null, "seed": seed}
        every = nn.correlation(gates, **options)
        near = nn.correlation(gates, pairs="adjacent", **options)
        upper = torch.ones_like(every.matrix, dtype=torch.bool).triu(1)
        yield {
            "over": over,
            "null": null or "none",
            "correlation": every.mean,
            "adjacent": near.mean,
            "undefined": every.skipped,
            "pairs": " ".join(f"{one:.3f}" for one in every.matrix[upper].tolist()),
        }


def look(net: Any, given: _digits.Split, seed: int) -> Looks:
    """Look at the gates of a network, its gradients, and the growth of a small change.

    The network normalises by the statistics of the batch, as in training, and computes in float64.
    """
    copied = copy.deepcopy(net).double().train()
    copied.zero_grad()
    source = arrays.generator(seed)
    chosen = torch.randperm(len(given.train), generator=source)[:LOOKED]
    pictures, labels = given.train[chosen].double(), given.labels[chosen]
    noise = torch.randn(pictures.shape, generator=source, dtype=torch.float64)
    outputs: list[Tensor] = []
    for block in copied.blocks:
        block.register_forward_hook(lambda _, __, output: outputs.append(output.detach()))
    shared = getattr(copied, "shared", None)
    if shared is None:
        means = torch.ones(len(copied.blocks), dtype=torch.float64)
        found = copied(pictures)
    else:
        with shared.record() as gates:
            found = copied(pictures)
        means = torch.cat(list(gates.values())).mean((1, 2))
    plain.cross_entropy(found, labels).backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        copied(pictures + SMALL * noise)
    half = len(copied.blocks)
    pairs = zip(outputs[:half], outputs[half:], strict=True)
    changes = torch.stack([(one - other).norm() for one, other in pairs])
    gradients = torch.stack([_slope(block) for block in copied.blocks])
    return Looks(means, gradients, changes, torch.stack([one.norm() for one in outputs[:half]]))


def shown(blocks: int) -> list[int]:
    """Return the numbers of the blocks that have a row: powers of two, and the last.

    Example:
        >>> shown(6)
        [1, 2, 4, 6]
    """
    return sorted({2**power for power in range(blocks.bit_length())} | {blocks})


def stability(variant: str, design: _digits.Design) -> Iterator[Row]:
    """Yield what a network is at the start and at the end, a row for each of some blocks."""
    net = _digits.build(design, variant)
    given = _digits.split(design.seed)
    before = look(net, given, 3000 + design.seed)
    yield from _rows("start", design, before, Fit(None, 0, False), None)
    if not design.epochs:
        return
    fit = fitted(net, given, design)
    after, right = None, None
    if not fit.diverged:
        try:
            after = look(net, given, 3000 + design.seed)
            right = _digits.accuracy(net, given)
        except InputError:
            fit = Fit(None, fit.epochs, True)
    yield from _rows("end", design, after, fit, right)


def _rows(
    when: str, design: _digits.Design, seen: Looks | None, fit: Fit, right: float | None
) -> Iterator[Row]:
    """Yield the rows of one look."""
    for block in shown(design.blocks):
        one = dict.fromkeys(("gate", "gradient", "growth", "relative"))
        if seen is not None:
            place = block - 1
            # In powers of two, so that a gate of 0.25 in every block counts two.
            grown = (seen.changes[place] / seen.changes[0]).log2()
            larger = (seen.features[place] / seen.features[0]).log2()
            each = (seen.gates[place], seen.gradients[place], grown, grown - larger)
            one = {name: _finite(value.item()) for name, value in zip(one, each, strict=True)}
        yield {
            "when": when,
            "block": block,
            "last": int(block == design.blocks),
            **one,
            "diverged": int(fit.diverged),
            "trained": fit.epochs,
            "loss": fit.loss,
            "right": right,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _slope(block: torch.nn.Module) -> Tensor:
    """Return the norm of the gradient of the convolutions of a branch."""
    parts = [
        weight.grad.flatten()
        for weight in block.parameters()
        if weight.grad is not None and weight.ndim == 4
    ]
    return torch.cat(parts).norm()


def dependence(gates: Gates, trees: int, seed: int) -> Iterator[Row]:
    """Yield how well earlier gates predict those of each block, and the share of each of them."""
    source = arrays.generator(4000 + seed)
    samples = gates.shape[1]
    rows = _scaled(gates[:, torch.randperm(samples, generator=source)].double())
    shuffled = torch.randperm(samples, generator=source)
    for block in range(1, len(rows)):
        earlier = rows[:block].movedim(0, 1).flatten(1)
        right, shares = importance(earlier, rows[block], block, (trees, seed))
        null, _ = importance(earlier, rows[block][shuffled], block, (trees, seed))
        for place, share in enumerate(shares, 1):
            yield {
                "block": block + 1,
                "earlier": place,
                "importance": share,
                "right": right,
                "shuffled": null,
            }


def _scaled(gates: Gates) -> Gates:
    """Return gates with mean zero in each channel, and variance one over all of a block.

    Trees do not split what varies by less than single precision.
    """
    centred = gates - gates.mean(1, keepdim=True)
    spread = centred.square().mean((1, 2), keepdim=True).sqrt()
    for block, one in enumerate(spread.flatten().tolist(), 1):
        if not one > 0:
            must, do = "gates that vary with the input", "look at their mean: are they all 0 or 1?"
            refuse(f"block {block}", got="one whose gates are constant", must=must, do=do)
    return centred / spread


def importance(
    earlier: Float[Tensor, "n f"],
    gates: Float[Tensor, "n c"],
    blocks: int,
    forest: tuple[int, int],
) -> tuple[float, list[float]]:
    """Return the R^2 of a forest on the second half of the rows, and the share of each block.

    Args:
        earlier: ``(n, blocks * c)``, the gates of the blocks before.
        gates: ``(n, c)``, those of one block.
        blocks: number of blocks before.
        forest: the number of trees, and the seed.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.metrics import r2_score

    trees, seed = forest
    half = len(earlier) // 2
    x, y = earlier.numpy(), gates.numpy()
    options: dict[str, Any] = {"max_features": 1 / 3, "min_samples_leaf": 3, "n_jobs": 1}
    model = RandomForestRegressor(trees, random_state=seed % 2**32, **options)
    model.fit(x[:half], y[:half])
    right = r2_score(y[half:], model.predict(x[half:]), multioutput="variance_weighted")
    shares = model.feature_importances_.reshape(blocks, -1).sum(1)
    return float(right), [float(share) for share in shares]
