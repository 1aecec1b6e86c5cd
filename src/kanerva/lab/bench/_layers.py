"""Layers to train beside torch's own attention, a rectifier, and a search by hand."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import MultiheadAttention
from torch.nn.functional import linear, normalize, scaled_dot_product_attention

from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._patterns import CHECKED
from kanerva.lab.bench._sizes import Sizes
from kanerva.nn import Attention, MemoryAttention, SDMLayer
from kanerva.separation import Softmax

__all__ = ["BY_HAND", "MEMORY", "ONE", "RECTIFIED", "SDM", "THREE", "TORCH", "layers"]

ONE, THREE = "kanerva, attention of one step", "kanerva, attention of three steps"
SDM, MEMORY = "kanerva, SDM layer", "kanerva, attention with a memory"
TORCH, RECTIFIED = "torch, MultiheadAttention", "torch, the same sizes with a rectifier"
BY_HAND = "torch, exact top k by hand"
HEADS, CLASSES = 4, 10
# The neurons that are not inhibited, and the stored keys that a query reads.
ACTIVE, K = 10, 32
SWITCH = 3000
ALLOWED = 1e-4
Forward = Callable[[Tensor], Tensor]


def layers(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Train attention and a layer of neurons for one step each, and read a memory."""
    batch, places, dim = sizes.training
    yield _attention(batch, places, dim)
    neurons, inputs, rows, capacity, queries = sizes.layers
    yield _sdm(neurons, inputs, rows)
    yield _memory(dim, capacity, queries)


def _attention(batch: int, places: int, dim: int) -> Case:
    """Compute the gradients of attention to the same text by one step, and by three."""
    x = _drawn(batch, places, dim)
    one, three = (
        Attention(dim, HEADS, normalise=False, separation=Softmax(1.0), steps=steps)
        for steps in (1, 3)
    )
    plain = MultiheadAttention(dim, HEADS, batch_first=True)
    with torch.no_grad():
        for part in ("weight", "bias"):
            maps = [getattr(each, part) for each in (one.query, one.key, one.value)]
            getattr(plain, f"in_proj_{part}").copy_(torch.cat(maps))
            getattr(plain.out_proj, part).copy_(getattr(one.out, part))

    def theirs(x: Tensor) -> Tensor:
        read: Tensor = plain(x, x, x, need_weights=False)[0]
        return read

    answers = [_trained(partial(_formula, one, steps=steps), x.double(), []) for steps in (1, 3)]
    routes = [
        _route(ONE, one, x, list(one.parameters()), answers[0], True),
        _route(THREE, three, x, list(three.parameters()), answers[1], True),
        _route(TORCH, theirs, x, list(plain.parameters()), answers[0]),
    ]
    return Case("layers", {"d": dim, "B": batch, "places": places}, routes, ALLOWED)


def _sdm(neurons: int, inputs: int, rows: int) -> Case:
    """Compute the gradients of a layer all of whose neurons are inhibited, and of a rectifier."""
    x = _drawn(rows, inputs)
    layer = SDMLayer(inputs, neurons, CLASSES, ACTIVE, SWITCH)
    layer.count.fill_(SWITCH)
    address, value = (each.detach().clone().requires_grad_() for each in layer.parameters())
    wide = [address.detach().double(), value.detach().double()]

    def rectified(address: Tensor, value: Tensor, x: Tensor) -> Tensor:
        return (x @ address.mT).relu() @ value

    def inhibited(x: Tensor) -> Tensor:
        scores = normalize(x.relu(), dim=-1) @ normalize(wide[0], dim=-1).mT
        least = scores.detach().topk(ACTIVE + 1).values[:, -1:]
        return (scores - least).relu() @ wide[1]

    plain, answer = partial(rectified, address, value), partial(rectified, *wide)
    routes = [
        _route(SDM, layer, x, list(layer.parameters()), _trained(inhibited, x.double(), []), True),
        _route(RECTIFIED, plain, x, [address, value], _trained(answer, x.double(), [])),
    ]
    return Case("layers", {"d": inputs, "M": neurons, "B": rows}, routes, ALLOWED)


def _memory(dim: int, capacity: int, queries: int) -> Case:
    """Read a full memory; nothing is written."""
    layer, x = MemoryAttention(dim, HEADS, capacity, K), _drawn(1, queries, dim)
    rows = _drawn(2, 1, HEADS, capacity, dim // HEADS)
    stored = {"stored_key": normalize(rows[0], dim=-1), "stored_value": rows[1]}
    layer.load_state_dict(layer.state_dict() | stored | {"count": torch.tensor([capacity])})
    # The places are causal, so that the first of them are read as if there were no others.
    expected = _by_hand(layer, x[:, :CHECKED].double())

    def ours() -> Tensor:
        with torch.no_grad():
            return layer(x, write=False)

    def theirs() -> Tensor:
        return _by_hand(layer, x)

    def wrong(read: Callable[[], Tensor]) -> float:
        return _apart([read()[:, :CHECKED]], [expected])

    routes = [
        Route(MEMORY, ours, partial(wrong, ours), True),
        Route(BY_HAND, theirs, partial(wrong, theirs)),
    ]
    return Case("layers", {"d": dim, "N": capacity, "k": K, "B": queries}, routes, ALLOWED)


def _drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _route(
    name: str,
    forward: Forward,
    x: Tensor,
    weights: Sequence[Tensor],
    expected: list[Tensor],
    ours: bool = False,
) -> Route:
    """Return a route to all gradients; the output and the gradient of the input are checked."""
    call = partial(_trained, forward, x, weights)
    return Route(name, call, lambda: _apart(call(), expected), ours)


def _trained(forward: Forward, x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Return an output, and the gradients of its sum of squares by the input and the weights."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        output = forward(x)
        return [output.detach(), *torch.autograd.grad(output.square().sum(), [x, *weights])]


def _apart(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest difference, over the largest number of its tensor."""
    pairs = zip(found, expected, strict=False)
    return max(
        float((one.double() - other).abs().max() / other.abs().max()) for one, other in pairs
    )


def _heads(layer: Attention, x: Tensor) -> list[Tensor]:
    """Return the queries, keys and values of a text in the dtype of the text."""
    maps = (layer.query, layer.key, layer.value)
    flat = [linear(x, one.weight.to(x), one.bias.to(x)) for one in maps]
    return [one.view(*x.shape[:2], HEADS, -1).transpose(1, 2) for one in flat]


def _out(layer: Attention, read: Tensor) -> Tensor:
    return linear(
        read.transpose(1, 2).flatten(2), layer.out.weight.to(read), layer.out.bias.to(read)
    )


def _formula(layer: Attention, x: Tensor, steps: int) -> Tensor:
    """Attend with the weights of a layer without normalisation, written out."""
    query, key, value = _heads(layer, x)
    for _ in range(steps - 1):
        query = scaled_dot_product_attention(query, key, key)
    return _out(layer, scaled_dot_product_attention(query, key, value))


@torch.no_grad()
def _by_hand(layer: MemoryAttention, x: Tensor) -> Tensor:
    """Attend to a text and to the nearest stored keys, written out."""
    own, keys, values = layer.attention, layer.stored_key.to(x), layer.stored_value.to(x)
    query, key, value = _heads(own, x)
    assert own.log_beta is not None
    query = normalize(query, dim=-1) * own.log_beta.exp().to(x)[:, None, None]
    read = scaled_dot_product_attention(
        query, normalize(key, dim=-1), value, is_causal=True, scale=1.0
    )
    scores, places = (query @ keys.mT).topk(layer.k)
    nearest = values[0, torch.arange(HEADS)[:, None, None], places[0]]
    recalled = (scores.softmax(-1).unsqueeze(-2) @ nearest).squeeze(-2)
    return _out(own, read.lerp(recalled, layer.gate.sigmoid().to(x)[:, None, None]))
