"""The table of operations: which rule reads which one, found once for each."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from kanerva.quarks._watch import attend, contract, losses, normalise, recurrent
from kanerva.quarks._watch.calls import RULES, Call, Effect, Rule
from kanerva.quarks._watch.elementwise import transfer
from kanerva.quarks._watch.move import move

__all__ = ["Plan", "as_outside", "plan", "taken_apart"]

# The modules that enter their rules into the table.
READERS = (attend, contract, losses, normalise, recurrent)
# The names of devices in the keys of torch's dispatcher.
KINDS = {"cpu": "CPU", "cuda": "CUDA", "mps": "MPS", "xpu": "XPU", "meta": "Meta"}
# Names of torch's primitive operations where they differ from the ordinary ones.
PRIMS = {
    "convert_element_type": "_to_copy",
    "broadcast_in_dim": "expand_copy",
    "transpose": "permute",
    "collapse_view": "view",
    "split_dim": "view",
    "xor_sum": "sum",
    "view_of": "alias",
    "rev": "flip",
    "squeeze": "squeeze",
}


@dataclass(frozen=True)
class Plan:
    """What does not change from call to call of one operation.

    Attributes:
        name: without namespace and without the sign of an operation in place.
        label: under which it is listed where it cannot be read.
        rule: reads it; None where there is no rule.
        names: of its arguments, in order.
        defaults: of the arguments that have one.
        written: the arguments that it writes.
        outs: those of them that only take results.
        composite: whether torch makes it of other operations.
    """

    name: str
    label: str
    rule: Rule | None
    names: tuple[str, ...]
    defaults: dict[str, Any]
    written: tuple[str, ...]
    outs: frozenset[str]
    composite: bool

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name."""
        return {**self.defaults, **dict(zip(self.names, args, strict=False)), **kwargs}

    def read(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments that the results depend on, without those that take them."""
        return {name: value for name, value in given.items() if name not in self.outs}


@cache
def plan(operation: Any) -> Plan:
    """Return how an operation is read."""
    schema = operation._schema
    full = operation._opname if hasattr(operation, "_opname") else schema.name.split("::")[-1]
    written = tuple(
        one.name
        for one in schema.arguments
        if one.alias_info is not None and one.alias_info.is_write
    )
    return Plan(
        name=_base(full, bool(written)),
        label=str(operation.overloadpacket) if hasattr(operation, "overloadpacket") else full,
        rule=_rule(operation, full, written),
        names=tuple(one.name for one in schema.arguments),
        defaults={
            one.name: one.default_value for one in schema.arguments if one.has_default_value()
        },
        written=() if torch.Tag.inplace_view in operation.tags else written,
        outs=frozenset(one.name for one in schema.arguments if one.is_out),
        composite=_has(operation, "CompositeImplicitAutograd"),
    )


def _base(full: str, writes: bool) -> str:
    if full in RULES:
        return full
    return full[:-1] if writes and full.endswith("_") and not full.endswith("__") else full


def _rule(operation: Any, full: str, written: tuple[str, ...]) -> Rule | None:
    space = operation.namespace
    name = _base(full, bool(written))
    if space == "prims":
        name = PRIMS.get(name, name)
    if space in ("aten", "prims", "prim") and name in RULES:
        return RULES[name]
    if space in ("aten", "prims") and operation.is_view:
        return move
    if torch.Tag.pointwise in operation.tags or (space == "prims" and _pointwise(name)):
        return _function
    return None


def _pointwise(name: str) -> bool:
    """Return whether the ordinary operation of this name works entry by entry."""
    packet = getattr(torch.ops.aten, name, None)
    if packet is None:
        return False
    return any(torch.Tag.pointwise in getattr(packet, one).tags for one in packet.overloads())


def _function(call: Call) -> Effect | None:
    """Read an operation that torch marks as entrywise: a transfer function of one number."""
    return transfer(call)


def _has(operation: Any, key: str) -> bool:
    """Return whether an operation has a kernel under a key of torch's dispatcher."""
    if operation.namespace == "prim":
        return False
    return torch._C._dispatch_has_kernel_for_dispatch_key(operation.name(), key)


def _direct(operation: Any, tensors: list[Tensor]) -> bool:
    """Return whether the device of the tensors has a kernel of its own for a composite one."""
    if any(one.is_nested for one in tensors):
        return True
    devices = {one.device.type for one in tensors}
    return any(_has(operation, KINDS.get(device, "PrivateUse1")) for device in devices)


def taken_apart(operation: Any, how: Plan, tensors: list[Tensor]) -> bool:
    """Return whether an operation runs as others, which are then read instead of it."""
    return how.composite and not _direct(operation, tensors)


@contextmanager
def as_outside(operation: Any) -> Iterator[None]:
    """Run the parts of an operation as torch runs them where no mode is on.

    What torch does before it calls a mode is switched off inside the mode. The parts of a composite
    operation have not gone through it, unless the operation has a kernel for it.
    """
    keys = ["Conjugate", "Negative", "ZeroTensor", "ADInplaceOrView"]
    cast = (name for name in KINDS if name != "meta" and torch.is_autocast_enabled(name))
    keys += [f"Autocast{KINDS[name]}" for name in cast]
    with ExitStack() as stack:
        for key in keys:
            if _has(operation, key):
                continue  # the operation has gone through it, as one
            named = getattr(torch._C.DispatchKey, key)
            stack.enter_context(torch._C._SetExcludeDispatchKeyGuard(named, False))
        yield
