"""Gated operations computed anew, by the three gates and plain sums: the parts of all others.

No product of all entries with all entries is built whole: the work is cut into blocks.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from kanerva.quarks import _parts
from kanerva.quarks._watch.calls import Call

__all__ = ["ANEW", "anew", "contracted", "gate", "mixed", "normalised", "softmax"]

# Products that are built at once: 1 MiB of float32, which stays in the cache of a core.
BLOCK = 2**18

# Untyped in torch.
_common: Any = torch.broadcast_shapes
_spread: Any = torch.broadcast_tensors

Anew = Callable[[Call], list[Tensor] | None]
ANEW: dict[str, Anew] = {}


def anew(*names: str) -> Callable[[Anew], Anew]:
    """Enter a function that computes operations anew, under their names."""

    def enter(function: Anew) -> Anew:
        for name in names:
            ANEW[name] = function
        return function

    return enter


def gate(attended: Any, attending: Any) -> Tensor:
    """Gate outputs, after both were spread to one shape."""
    return _parts.gated(*_spread(attended, attending))


def _blocks(total: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    return (slice(start, start + size) for start in range(0, total, size))


def contracted(first: Tensor, second: Tensor) -> Tensor:
    """Return ``first @ second``, ``(..., n, k)`` by ``(..., k, m)``, by output gates and sums."""
    lead = _common(first.shape[:-2], second.shape[:-2])
    (n, k), m = first.shape[-2:], second.shape[-1]
    one = first.expand(*lead, n, k).reshape(-1, n, k)
    # Rows that lie in one piece: keys come transposed.
    two = second.expand(*lead, k, m).reshape(-1, k, m).contiguous()
    found = one.new_zeros(len(one), n, m)
    if not found.numel():
        return found.reshape(*lead, n, m)
    rows = min(n, max(1, BLOCK // m))
    many = max(1, BLOCK // (rows * m))
    inner = max(1, BLOCK // (min(many, len(one)) * rows * m))
    for batch, row in itertools.product(_blocks(len(one), many), _blocks(n, rows)):
        for part in _blocks(k, inner):
            left = one[batch, row, part].transpose(1, 2)[..., None]
            products = gate(left, two[batch, part, None, :])
            found[batch, row] += products[:, 0] if products.shape[1] == 1 else products.sum(1)
    return found.reshape(*lead, n, m)


def mixed(weights: Tensor, values: Tensor) -> Tensor:
    """Return ``weights @ values`` by synaptic gates on weights of 1, a channel of values at a time.

    Args:
        weights: ``(..., n, m)``, the gates of the synapses from values to results.
        values: ``(..., m, e)``.
    """
    lead = _common(weights.shape[:-2], values.shape[:-2])
    (n, m), width = weights.shape[-2:], values.shape[-1]
    gates = weights.expand(*lead, n, m).reshape(-1, n, m)
    inputs = values.expand(*lead, m, width).reshape(-1, m, width).mT.contiguous()
    found = gates.new_empty(len(gates), n, width)
    rows = max(1, min(n, BLOCK // max(1, m)))
    for at, row in itertools.product(range(len(gates)), _blocks(n, rows)):
        synapses = gates[at, row]
        base = synapses.new_ones(1, 1).expand_as(synapses)
        for part in _blocks(width, BLOCK // max(1, synapses.numel())):
            x = inputs[at, part]
            shared = synapses.expand(len(x), *synapses.shape)
            found[at, row, part] = _parts.weighed(x, shared, base).t()
    return found.reshape(*lead, n, width)


def product(call: Call, first: str, second: str) -> Tensor:
    """Return the product of two matrices by the gate that their signals call for."""
    one, two = call.tensor(first), call.tensor(second)
    known = call.known
    if known[first].weighs:
        return mixed(one, two)
    if known[second].weighs:
        return mixed(two.mT, one.mT).mT
    return contracted(one, two)


@anew("mm", "bmm")
def _matrices(call: Call) -> list[Tensor]:
    return [product(call, "self", "mat2")]


@anew("matmul", "mv", "dot", "vdot", "inner")
def _vectors(call: Call) -> list[Tensor] | None:
    second = next(name for name in ("other", "vec", "tensor", "mat2") if name in call.given)
    one, two = call.tensor("self"), call.tensor(second)
    if call.name == "inner" and two.dim() > 1:
        two = two.mT
    left = one[None] if one.dim() == 1 else one
    right = two[:, None] if two.dim() == 1 else two
    weighs = call.known["self"].weighs, call.known[second].weighs
    if weighs[0]:
        found = mixed(left, right)
    else:
        found = mixed(right.mT, left.mT).mT if weighs[1] else contracted(left, right)
    return [found.reshape(call.results[0].shape)]


@anew("linear")
def _linear(call: Call) -> list[Tensor]:
    bias = call.given.get("bias")
    found = contracted(call.tensor("input"), call.tensor("weight").mT)
    return [found if bias is None else found + bias]


@anew("addmm", "baddbmm", "addmv", "addbmm")
def _affine(call: Call) -> list[Tensor]:
    names = {"addmm": ("mat1", "mat2"), "addmv": ("mat", "vec")}
    first, second = names.get(call.name, ("batch1", "batch2"))
    if call.name == "addmv":
        found = contracted(call.tensor(first), call.tensor(second)[:, None])[:, 0]
    else:
        found = product(call, first, second)
    if call.name == "addbmm":
        found = found.sum(0)
    return [_biased(call, found)]


def _biased(call: Call, found: Tensor) -> Tensor:
    """Add a bias to products, unless it is multiplied by zero: then torch does not read it."""
    alpha, beta = call.given.get("alpha", 1), call.given.get("beta", 1)
    return alpha * found if beta == 0 else beta * call.tensor("self") + alpha * found


@anew("mul", "multiply", "logical_and", "bitwise_and")
def _product(call: Call) -> list[Tensor]:
    one, two = call.given["self"], call.given["other"]
    if call.name == "logical_and":
        one, two = one.bool(), two.bool()
    if call.name == "bitwise_and" and one.dtype != torch.bool:
        return [one & two]
    return [gate(one, two)]


@anew("logical_or", "bitwise_or")
def _either(call: Call) -> list[Tensor] | None:
    one, two = call.given["self"], call.given["other"]
    if call.name == "bitwise_or" and one.dtype != torch.bool:
        return None
    return [~gate(~one.bool(), ~two.bool())]


@anew("div", "divide", "true_divide")
def _quotient(call: Call) -> list[Tensor] | None:
    if call.given.get("rounding_mode") is not None:
        return None
    return [gate(call.given["self"], 1 / call.given["other"])]


@anew("addcmul", "addcdiv")
def _fused(call: Call) -> list[Tensor]:
    second = call.tensor("tensor2")
    second = second if call.name == "addcmul" else 1 / second
    found = gate(call.tensor("tensor1"), second)
    return [call.tensor("self") + call.given.get("value", 1) * found]


@anew("lerp")
def _lerp(call: Call) -> list[Tensor]:
    weight = call.given["weight"]
    return [gate(call.tensor("self"), 1 - weight) + gate(call.tensor("end"), weight)]


@anew("add")
def _blend(call: Call) -> list[Tensor]:
    """Return the sum that ends b + z (a - b), whose gates were computed before it."""
    return [call.given["self"] + call.given.get("alpha", 1) * call.given["other"]]


@anew("glu")
def _glu(call: Call) -> list[Tensor]:
    kept, opened = call.tensor("self").chunk(2, call.given.get("dim", -1))
    return [gate(kept, opened.sigmoid())]


@anew("_prelu_kernel", "prelu")
def _slope(call: Call) -> list[Tensor]:
    x, slope = call.tensor("self"), call.tensor("weight")
    return [torch.where(x > 0, x, gate(slope, x))]


@anew("outer", "ger", "addr")
def _outer(call: Call) -> list[Tensor]:
    given = call.given
    if call.name != "addr":
        return [gate(given["self"][:, None], given["vec2"])]
    found = gate(given["vec1"][:, None], given["vec2"])
    return [_biased(call, found)]


@anew("linalg_cross", "cross")
def _cross(call: Call) -> list[Tensor]:
    dim = call.given.get("dim", -1)
    one, two = _spread(call.given["self"], call.given["other"])
    turned = [(part.roll(-1, dim), part.roll(-2, dim)) for part in (one, two)]
    (a, b), (c, d) = turned
    return [gate(a, d) - gate(b, c)]


@anew("prod", "cumprod")
def _products(call: Call) -> list[Tensor]:
    x, given = call.tensor("self"), call.given
    dim = given.get("dim")
    if dim is None:
        x, dim = x.flatten(), 0
    parts = list(x.to(call.results[0].dtype).unbind(dim))
    running = list(itertools.accumulate(parts, gate))
    if call.name == "cumprod":
        return [torch.stack(running, dim)]
    return [running[-1].reshape(call.results[0].shape)]


def softmax(scores: Tensor, dim: int = -1) -> Tensor:
    """Return the exponentials of scores, each gated by one over their sum."""
    if not scores.shape[dim]:
        return scores
    top = scores.amax(dim, keepdim=True)
    raised = (scores - torch.where(top.isinf(), 0.0, top)).exp()
    return gate(raised, 1 / raised.sum(dim, keepdim=True))


def normalised(x: Tensor, dims: Any, eps: float, centre: bool = True) -> tuple[Tensor, ...]:
    """Return numbers gated by one over their deviation, their mean, and that gate."""
    mean = x.mean(dims, keepdim=True)
    centred = x - mean if centre else x
    gain = (centred.square().mean(dims, keepdim=True) + eps).rsqrt()
    return gate(centred, gain), mean, gain
