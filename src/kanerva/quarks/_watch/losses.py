"""Rules of losses and distances of two tensors, one number an entry, and their sum or mean."""

import math
from typing import Any

import torch

from kanerva.quarks._watch.calls import Call, Effect, rule
from kanerva.quarks._watch.signals import Root, Signal

__all__: list[str] = []

# Untyped in torch.
_common: Any = torch.broadcast_shapes


@rule("mse_loss", "smooth_l1_loss", "huber_loss", "dist")
def difference(call: Call) -> Effect:
    """Read a function of the difference of two tensors: one sum an entry, reduced or not."""
    return _entries(call, 0, 1)


@rule("soft_margin_loss")
def margin(call: Call) -> Effect:
    """Read log(1 + exp(-t x))."""
    return _entries(call, 1, 0)


@rule("binary_cross_entropy")
def entropy(call: Call) -> Effect:
    """Read t log x + (1 - t) log(1 - x), and a weight of it."""
    return _entries(call, 2, 1)


@rule("binary_cross_entropy_with_logits")
def logits(call: Call) -> Effect | None:
    """Read (1 - t) x + (1 + (p - 1) t) log(1 + exp(-x)), and a weight of it."""
    if call.given.get("pos_weight") is None:
        return _entries(call, 1, 1)
    return None if "pos_weight" in call.known else _entries(call, 2, 1)


def _entries(call: Call, products: int, sums: int) -> Effect:
    """Count so many products and sums of the two tensors an entry."""
    names = ("self", "other" if "other" in call.given else "target")
    shape = _common(*(call.tensor(name).shape for name in names))
    pair = [call.signals.spread(call.known[one].root, shape) for one in names if one in call.known]
    count, both, tied = math.prod(shape), len(set(pair)) == 2, len(pair) > len(set(pair))
    weighed = "weight" in call.known and bool(pair)
    return Effect(
        output=count * (products * both + weighed),
        additive=count * sums * both,
        tied=count * products * tied,
        deeper=(both and products > 0) + weighed,
        results=Signal(_root(call, pair)),
    )


def _root(call: Call, pair: list[Root]) -> Root:
    """Return the root of the loss: without a reduction it can be a function of one number."""
    plain = call.given.get("reduction") == 0 and "weight" not in call.known
    return pair[0] if plain and len(set(pair)) == 1 else call.fresh()
