"""Rules of operations that work entry by entry: functions, products, sums, choices."""

from dataclasses import replace

import torch
from torch import Tensor

from kanerva.quarks._watch.calls import Call, Effect, rule
from kanerva.quarks._watch.signals import Root, Signal

__all__ = ["transfer"]

# Operations of weights that are still weights afterwards, if nothing else is a signal.
KEEP = frozenset(
    (
        *("mul", "div", "multiply", "divide", "true_divide", "masked_fill", "where"),
        *("clamp", "clamp_min", "clamp_max", "nan_to_num"),
    )
)
# Operations of two values that choose one of them, entry by entry.
CHOOSE = frozenset(("maximum", "minimum", "fmax", "fmin", "clamp", "clamp_min", "clamp_max"))
# Operations of a sum that are still that sum, but for a small constant.
HOLD = frozenset(("add", "clamp", "clamp_min", "maximum", "masked_fill", "where"))


def roots(call: Call, *names: str) -> list[Root]:
    """Return the roots of some arguments in the shape of the result."""
    shape = call.results[0].shape
    return [
        call.signals.spread(call.known[name].root, shape) for name in names if name in call.known
    ]


def transfer(call: Call) -> Effect | None:
    """Read a function of one number at each entry; None if it is a function of several."""
    if call.lists or not call.results or call.results[0].is_nested != _nested(call):
        return None
    found = call.all
    if call.results[0].is_nested:
        spread = {one.root for one in found}
    else:
        spread = {call.signals.spread(one.root, call.results[0].shape) for one in found}
    root = next(iter(spread))
    if len(spread) > 1:
        return None
    one = len(found) == 1
    first = found[0]
    kept = one and (call.name in KEEP) and first.weighs
    return Effect(
        results=Signal(
            root=root,
            weighs=kept,
            reduced=first.reduced if one else None,
            total=first.total if one and call.name in HOLD else None,
        )
    )


def _nested(call: Call) -> bool:
    return any(isinstance(one, Tensor) and one.is_nested for one in call.given.values())


@rule("mul", "multiply", "logical_and", "bitwise_and")
def product(call: Call) -> Effect:
    """Read a product: one output gate an entry, unless one factor is no signal."""
    first, second = call.known.get("self"), call.known.get("other")
    same = transfer(call)
    if first is None or second is None:
        return same or _unknown(call)
    if same is not None:
        # A logical function of one number, such as a test for finite ones, is no product.
        return replace(same, tied=0 if call.results[0].dtype == torch.bool else call.entries)
    weighs = first.root in (second.inverse,) or second.root in (first.inverse,)
    blend = None
    for one in (first, second):
        if one.difference is not None:
            blend = one.difference
    result = Signal(call.fresh(), weighs=weighs, blend=blend)
    return Effect(output=call.entries, deeper=1, results=result)


@rule("div", "divide", "true_divide", "floor_divide", "fmod", "remainder")
def quotient(call: Call) -> Effect:
    """Read a quotient: a product with one over the other signal."""
    above, below = call.known.get("self"), call.known.get("other")
    same = transfer(call)
    if below is None:
        return same or _unknown(call)
    if above is None:
        found = same or _unknown(call)
        if isinstance(found.results, Signal) and below.total is not None:
            found.results = replace(found.results, inverse=below.total)
        return found
    if same is not None:
        return replace(same, tied=call.entries)
    result = Signal(call.fresh(), weighs=below.total == above.root)
    return Effect(output=call.entries, deeper=1, results=result)


@rule("reciprocal")
def reciprocal(call: Call) -> Effect:
    """Read one over a number; one over a sum can normalise what was summed."""
    found = transfer(call) or _unknown(call)
    if isinstance(found.results, Signal):
        found.results = replace(found.results, inverse=call.all[0].total)
    return found


@rule("pow", "float_power", "xlogy", "atan2", "ldexp", "polar", "copysign")
@rule("logical_or", "logical_xor", "bitwise_or", "bitwise_xor")
def power(call: Call) -> Effect:
    """Read a function of two signals with a product inside, as exp(b log a), or a + b - a b.

    A power of one number by a whole constant of 2 or more counts as products of it, one less than
    factors, in whichever way it is computed. Roots and other powers multiply nothing.
    """
    same, exponent = transfer(call), call.given.get("exponent")
    if same is not None and isinstance(exponent, int | float) and _whole(exponent):
        return replace(same, tied=(int(exponent) - 1) * call.entries)
    if same is not None:
        return same
    return Effect(output=call.entries, deeper=1)


def _whole(exponent: float) -> bool:
    return exponent >= 2 and float(exponent).is_integer()


@rule("add", "sub", "subtract", "rsub", "logaddexp", "logaddexp2", "hypot")
@rule("eq", "ne", "lt", "le", "gt", "ge", "less", "greater", "isclose")
def addition(call: Call) -> Effect:
    """Read a sum or a difference, or a function of one."""
    same = transfer(call)
    if same is not None:
        return same
    first, second = call.known["self"], call.known["other"]
    result = Signal(call.fresh())
    if first.reduced == second.root or second.reduced == first.root:
        # Numbers less their own mean or maximum: no other signal comes in.
        return Effect(results=result)
    if call.given.get("alpha", 1) == 1 and _blends(call.name, first, second):
        # b + z (a - b) is z a + (1 - z) b, two gates, whichever way it is written.
        return Effect(output=call.entries, results=result)
    if call.name in ("sub", "subtract") and call.given.get("alpha", 1) == 1:
        result = replace(result, difference=(first.root, second.root))
    return Effect(additive=call.entries, results=result)


def _blends(name: str, first: Signal, second: Signal) -> bool:
    """Return whether this is b + z (a - b), or a - z (a - b)."""
    if name == "add":
        pairs = ((first, second), (second, first))
        return any(one.blend is not None and one.blend[1] == two.root for one, two in pairs)
    return name == "sub" and second.blend is not None and second.blend[0] == first.root


@rule("addcmul", "addcdiv")
def fused(call: Call) -> Effect:
    """Read self + value * tensor1 * tensor2, or the same with a quotient."""
    same = transfer(call)
    known = call.known
    both = "tensor1" in known and "tensor2" in known
    if same is not None:
        return replace(same, tied=call.entries if both else 0)
    pair = roots(call, "tensor1", "tensor2")
    tied = both and pair[0] == pair[1]
    others = {*roots(call, "self"), *pair}
    return Effect(
        output=call.entries if both and not tied else 0,
        tied=call.entries if tied else 0,
        additive=call.entries if "self" in known and len(others) > 1 and len(pair) > 0 else 0,
        deeper=1 if both and not tied else 0,
        behind={"self": 0},
    )


@rule("lerp")
def lerp(call: Call) -> Effect:
    """Read a mix of two signals: two gates an entry where a signal weighs them."""
    same = transfer(call)
    if same is not None:
        return same
    known = call.known
    ends = [name for name in ("self", "end") if name in known]
    gated = len(ends) if "weight" in known else 0
    return Effect(
        output=gated * call.entries,
        additive=call.entries if len(ends) == 2 else 0,
        deeper=1 if gated else 0,
    )


@rule("where", "masked_fill", "maximum", "minimum", "fmax", "fmin", "clamp", "clamp_min")
@rule("clamp_max", "heaviside")
def choice(call: Call) -> Effect:
    """Read a choice between two values by a signal, or between two signals."""
    same = transfer(call)
    if same is not None:
        return same
    values = [one for name, one in call.known.items() if name not in ("condition", "mask")]
    chosen = len(values) < len(call.known) or call.name in CHOOSE
    single = values[0] if len(values) == 1 else None
    result = Signal(
        call.signals.spread(single.root, call.results[0].shape) if single else call.fresh(),
        weighs=bool(single and single.weighs),
    )
    return Effect(selected=call.entries if chosen else 0, results=result)


@rule("glu")
def glu(call: Call) -> Effect:
    """Read one half of the channels times the sigmoid of the other."""
    return Effect(output=call.entries, deeper=1)


@rule("prelu", "_prelu_kernel", "rrelu_with_noise")
def prelu(call: Call) -> Effect:
    """Read a transfer function with a slope, which is a factor where it is a signal."""
    same = transfer(call)
    gated = "weight" in call.known and "self" in call.known
    if same is not None:
        return replace(same, tied=call.entries if gated else 0)
    return Effect(output=call.entries, deeper=1) if gated else _unknown(call)


@rule("hardswish", "log_sigmoid_forward")
def scalar(call: Call) -> Effect | None:
    """Read a transfer function that torch does not mark as one; a second result is a buffer."""
    same = transfer(call)
    if same is None or not isinstance(same.results, Signal):
        return None
    rest = [Signal(call.fresh(at)) for at in range(1, len(call.results))]
    return replace(same, results=[same.results, *rest])


def _unknown(call: Call) -> Effect:
    """Treat the results as new numbers."""
    return Effect()
