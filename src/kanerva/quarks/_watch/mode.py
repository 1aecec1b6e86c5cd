"""The mode that sees every operation of torch while the model runs, and reads it by its rule."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass_type

from kanerva._core.errors import refuse
from kanerva.quarks._watch.calls import Call, Effect
from kanerva.quarks._watch.signals import Signal, Signals
from kanerva.quarks._watch.table import Plan, as_outside, plan, taken_apart
from kanerva.quarks._watch.tally import Tally

__all__ = ["Observer", "shield"]

# Operations of dropout, and those that update statistics of batches.
DROPS = frozenset(("native_dropout", "bernoulli", "bernoulli_", "_fused_dropout"))
LEARNS = frozenset(("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm"))
# Operations by which a recurrent module makes its first state.
STARTS = frozenset(("zeros",))
Recompute = Callable[[Call], list[Tensor] | None]
# Whether a thread computes operations anew: these belong to no model that others observe.
HIDDEN = threading.local()


class Observer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Reads the operations of one model.

    Args:
        model: whose operations count.
        recompute: computes an operation anew from its arguments and its effect; None where it only
            observes.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave the method as it is: torch would load its compiler to do what ``shield`` does."""
        return False

    def __init__(self, model: nn.Module, recompute: Recompute | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model, self.recompute = model, recompute
        self.signals = Signals()
        # The modules that are being called, from the whole model inwards, and their tallies.
        self.inside: list[nn.Module] = []
        self.called = False
        self.counted: tuple[Tally, ...] = ()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation, and read it."""
        kwargs = kwargs or {}
        if not self.inside or getattr(HIDDEN, "on", False):
            return func(*args, **kwargs)
        if any(is_traceable_wrapper_subclass_type(kind) for kind in types):
            return NotImplemented  # the class takes it apart into operations that come here again
        if not isinstance(func, torch._ops.OpOverload):
            return self._higher(func, args, kwargs)
        how = plan(func)
        if taken_apart(func, how, list(_tensors((args, kwargs)))):
            with as_outside(func), self:
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        return self._run(func, how, args, kwargs)

    def _run(self, func: Any, how: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = how.bind(args, kwargs)
        self._check(how, given)
        call = Call(how.name, how.read(given), self.signals)
        before = self._kept(call, how)
        out = func(*args, **kwargs)
        call.results = list(_tensors(out))
        written = [tensor for name in how.written for tensor in _tensors(given[name])]
        if call.signal:
            effect = self._read(call, how, out)
            if before is not None and effect.output + effect.synaptic:
                self._again(call, how, before)
            self._mark(call, effect, written)
        elif how.name in STARTS and self._starts():
            self.signals.begin(out)
        else:
            for tensor in written:
                self.signals.forget(tensor)
        return out

    def _read(self, call: Call, how: Plan, out: Any) -> Effect:
        """Count what an operation does."""
        effect = None
        if how.rule is not None and not _leaves(call, out):
            # Arguments that another version of torch names otherwise are listed as unread.
            with suppress(KeyError, StopIteration, IndexError, AssertionError):
                effect = how.rule(call)
        if effect is None:
            self._unread(how.label)
            effect = Effect()
        self._count(effect, call.depth(effect))
        return effect

    def _again(self, call: Call, how: Plan, before: dict[str, Any]) -> None:
        """Compute the results of an operation anew from the arguments as they were."""
        assert self.recompute is not None
        call.given = before
        with _unobserved(), torch.no_grad():
            found = self.recompute(call)
            for tensor, value in zip(call.results, found or (), strict=False):
                tensor.copy_(value)
        if found is None:
            self._unread(how.label)

    def _mark(self, call: Call, effect: Effect, written: list[Tensor]) -> None:
        """Keep what is known of the results."""
        depth = call.depth(effect)
        for index, tensor in enumerate(call.results):
            found = effect.results
            if isinstance(found, list | tuple):
                found = found[index] if index < len(found) else None
            writes = any(tensor is one for one in written)
            if not effect.constant:
                found = Signal(call.fresh(index)) if found is None else found
                assert isinstance(found, Signal)
                self.signals.mark(tensor, replace(found, depth=depth), writes)
            elif writes:
                self.signals.forget(tensor)
        for tensor in written:
            if not effect.constant and not any(tensor is one for one in call.results):
                self.signals.mark(tensor, Signal(self.signals.fresh(tensor.shape), depth), True)

    def _kept(self, call: Call, how: Plan) -> dict[str, Any] | None:
        """Keep the arguments as they were, where the operation is computed anew."""
        if self.recompute is None or not call.signal:
            return None
        given = dict(call.given)
        with _unobserved():
            for name in how.written:
                if isinstance(given.get(name), Tensor):
                    given[name] = given[name].clone()
        return given

    def _check(self, how: Plan, given: dict[str, Any]) -> None:
        """Refuse dropout and statistics of a batch in training: they are no part of the model."""
        random = how.name in DROPS or (given.get("dropout_p") or 0) > 0
        kept = given.get("running_mean") is not None
        learns = how.name in LEARNS and bool(given.get("training")) and kept
        if (random or learns) and any(module.training for module in self.inside):
            got = f"in training mode, where it calls {how.label}"
            refuse("model", got=got, must="in evaluation mode", do="call model.eval() first")

    def _higher(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation that takes functions; what it does inside is not read."""
        signals = [one for one in map(self.signals.of, _tensors((args, kwargs))) if one is not None]
        out = func(*args, **kwargs)
        if signals:
            self._unread(str(func))
            depth = max(one.depth for one in signals)
            for tensor in _tensors(out):
                self.signals.mark(tensor, Signal(self.signals.fresh(tensor.shape), depth))
        return out

    def _starts(self) -> bool:
        """Return whether a recurrent module makes its first state, a signal like the later ones."""
        return isinstance(self.inside[-1], nn.RNNBase | nn.RNNCellBase)

    def _count(self, effect: Effect, depth: int) -> None:
        for tally in self.counted:
            tally.add(effect)
            tally.depth = max(tally.depth, depth)

    def _unread(self, label: str) -> None:
        for tally in self.counted:
            tally.unread[label] = tally.unread.get(label, 0) + 1


@contextmanager
def _unobserved() -> Iterator[None]:
    """Run operations that belong to no model: other observers leave them out."""
    before, HIDDEN.on = getattr(HIDDEN, "on", False), True
    try:
        yield
    finally:
        HIDDEN.on = before


def shield() -> None:
    """Keep torch's compiler from compiling the mode, where a compiled function runs under it."""
    method = Observer.__torch_dispatch__
    compiler: Any = sys.modules.get("torch._dynamo")
    if compiler is not None and not hasattr(method, "_torchdynamo_disable"):
        setattr(Observer, "__torch_dispatch__", compiler.disable(method))  # noqa: B010


def _leaves(call: Call, out: Any) -> bool:
    """Return whether a number of a signal is read in Python, from where it can return unseen."""
    return call.name in ("_local_scalar_dense", "item") and isinstance(out, float | complex)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)
