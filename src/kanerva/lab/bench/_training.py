"""One update of attention whose heads learn beta, beside the same attention in plain torch."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import linear, normalize, scaled_dot_product_attention

from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._sizes import Sizes
from kanerva.nn import Attention

__all__ = ["PLAIN", "train"]

PLAIN = "torch, the same layer"
HEADS = 4
# The largest difference of a gradient, over the largest gradient.
ALLOWED = 1e-4


def train(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Attend from a text to itself, and compute the gradients of all weights."""
    batch, places, dim = sizes.training
    layer = Attention(dim, HEADS)
    x = torch.randn(batch, places, dim, generator=torch.Generator().manual_seed(0))
    ours = partial(_gradients, layer, partial(layer, x, causal=True))
    plain = partial(_gradients, layer, partial(_plain, layer, x))
    expected = plain()

    def wrong(found: list[Tensor]) -> float:
        pairs = zip(found, expected, strict=True)
        largest = max(float(gradient.abs().max()) for gradient in expected)
        return max(float((one - other).abs().max()) for one, other in pairs) / largest

    routes = [
        Route("kanerva", ours, lambda: wrong(ours()), True),
        Route(PLAIN, plain, lambda: wrong(plain())),
    ]
    yield Case("train", {"d": dim, "B": batch, "places": places}, routes, ALLOWED, None)


def _gradients(layer: Attention, forward: partial[Tensor]) -> list[Tensor]:
    """Return the gradients of the sum of squares of the output by the weights of the layer."""
    with torch.enable_grad():
        return list(torch.autograd.grad(forward().square().sum(), list(layer.parameters())))


def _plain(layer: Attention, x: Tensor) -> Tensor:
    """Attend with the weights of the layer, without its code."""
    batch, places, dim = x.shape
    heads = [
        linear(x, one.weight, one.bias).view(batch, places, HEADS, -1).transpose(1, 2)
        for one in (layer.query, layer.key, layer.value)
    ]
    assert layer.log_beta is not None
    query = normalize(heads[0], dim=-1) * layer.log_beta.exp()[:, None, None]
    key = normalize(heads[1], dim=-1)
    read = scaled_dot_product_attention(query, key, heads[2], is_causal=True, scale=1.0)
    out = read.transpose(1, 2).reshape(batch, places, dim)
    return linear(out, layer.out.weight, layer.out.bias)
