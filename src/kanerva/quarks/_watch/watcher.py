"""Watch a model: the public context managers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kanerva._core import checks
from kanerva._core.errors import InputError, InputTypeError, door, refuse
from kanerva.quarks._watch import anew_fused
from kanerva.quarks._watch.anew import ANEW
from kanerva.quarks._watch.calls import Call
from kanerva.quarks._watch.mode import Observer, Recompute
from kanerva.quarks._watch.modules import followed, tallied
from kanerva.quarks._watch.tally import Tally

__all__ = ["rebuild", "watch"]


# Operations that are computed anew for texts of several lengths too.
NESTED = ("_native_multi_head_attention", "_transformer_encoder_layer_fwd")
# The module that enters what it computes into the table.
FURTHER = (anew_fused,)


@contextmanager
@door
def watch(model: nn.Module, signals: Sequence[str] = ()) -> Iterator[Tally]:
    r"""Count the gates of a model in every call inside the block, without changing its outputs.

    A signal is a number that depends on the arguments of the call. A gate is a product of two
    signals:

    .. math:: \underbrace{a_i b_i}_{\text{output}}, \quad
        \underbrace{\textstyle\sum_c q_{ic} k_{jc}}_{\text{output, one for each product}}, \quad
        \underbrace{\textstyle\sum_j p_{ij} v_{jc}}_{\text{synaptic, where } p
        \text{ was normalised to weigh}}

    A product of functions of the same number, such as x² or a GELU written out, is a transfer
    function and counts as ``tied``. It is recognised where whole tensors are functions of the same
    numbers; elsewhere it counts as an output gate. So ``output`` is an upper bound, and the sum of
    ``output`` and ``tied`` is sure.

    A softmax and a layer or RMS normalisation have one output gate an entry. A fused operation,
    such as an attention or a recurrent layer, counts as what it computes. Numbers that a signal
    chose, such as rows of an embedding, are signals. The first state of a recurrent layer is a
    signal too, also where the layer makes it of zeros, so that every step counts the same.
    Parameters, positions and masks made of shapes alone are constants.

    Each operation of torch is read as it runs, also on tensors without data: a model on the device
    ``meta`` or under ``FakeTensorMode`` is counted without its weights. Not seen are other threads,
    and work outside torch, such as numbers read with ``.numpy()``.

    Args:
        model: called inside the block in evaluation mode; not compiled, and no ScriptModule. All
            tensors among the arguments of a call are signals, also those in containers.
        signals: a list of names of parameters and buffers of the model that are signals too.

    Yields:
        a ``Tally``, which adds up all calls.

    Raises:
        InputError: a model that cannot be watched, that is in training mode with dropout or
            statistics of batches, that lacks one of ``signals``, that was not called, or that
            computes after its call, as a generator does.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> layer = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
        >>> x = torch.ones(1, 5, 8)
        >>> with quarks.watch(layer) as tally, torch.no_grad():
        ...     _ = layer(x, x, x)
        >>> tally.output, tally.synaptic  # 5² scores of width 8 and 2 softmaxes; 5² values
        (250, 200)
        >>> tally.linear, tally.modules["out_proj"].parameters, tally.unread
        (1280, 72, {})

    Source: Baldi and Vershynin 2022.
    """
    with _watched(model, signals, None) as tally:
        yield tally


@contextmanager
@door
def rebuild(model: nn.Module, signals: Sequence[str] = ()) -> Iterator[Tally]:
    r"""Compute the gated operations of a model anew, by gates, units and plain sums.

    Every operation with a gate is replaced by ``output_gate`` and ``synaptic_gate``, units and
    sums: scores are sums of output gates, a softmax is gated by one over a sum, values are summed
    by synaptic gates on weights of 1,

    .. math:: E_{ij} = \sum_c Q_{ic} K_{jc}, \quad A_{ij} = e^{E_{ij}} \cdot
        \frac{1}{\sum_k e^{E_{ik}}}, \quad Y_{ic} = \sum_j (A_{ij} \cdot 1)\, V_{jc}.

    If the outputs equal those of the model, up to rounding, then the gates that were counted are
    all that the model has. Products are built in blocks of at most ``2**18`` entries.

    Args:
        model: as in ``watch``.
        signals: as in ``watch``.

    Yields:
        a ``Tally`` as from ``watch``. Its ``unread`` also lists the gated operations that could not
        be computed anew; these run as they are.

    Raises:
        InputError: as in ``watch``.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> layer = torch.nn.MultiheadAttention(8, 2, batch_first=True).double().eval()
        >>> x = torch.eye(8).double()[None]
        >>> plain = layer(x, x, x)[0]
        >>> with quarks.rebuild(layer) as tally:
        ...     built = layer(x, x, x)[0]
        >>> torch.allclose(built, plain, rtol=0, atol=1e-12), tally.gates
        (True, 1152)

    Source: Baldi and Vershynin 2022.
    """
    with _watched(model, signals, _anew) as tally:
        yield tally


def _anew(call: Call) -> list[Tensor] | None:
    """Compute an operation by the gates; None where it cannot be."""
    function = ANEW.get(call.name)
    nested = any(isinstance(one, Tensor) and one.is_nested for one in call.given.values())
    if function is None or (nested and call.name not in NESTED):
        return None
    return function(call)


@contextmanager
def _watched(
    model: nn.Module, signals: Sequence[str], recompute: Recompute | None
) -> Iterator[Tally]:
    _check(model)
    named = _named(model, signals)
    tally, tallies = tallied(model)
    observer = Observer(model, recompute)
    with followed(observer, tallies, named):
        yield tally
    if not observer.called:
        must, do = "called inside the block", "call model(x) there"
        refuse("model", got="never called", must=must, do=do)


def _check(model: Any) -> None:
    """Refuse what cannot be watched."""
    must = "a torch.nn.Module"
    checks.instance("model", model, nn.Module, "give the model itself", must)
    for name, module in model.named_modules():
        where = f" in {name!r}" if name else ""
        if isinstance(module, torch.jit.ScriptModule):
            do = "give the module that it was made from"
            refuse("model", got=f"a ScriptModule{where}", must="made of Python modules", do=do)
        if hasattr(module, "_orig_mod") or module._compiled_call_impl is not None:
            do = "watch the model from before torch.compile, which model._orig_mod is"
            refuse("model", got=f"compiled{where}", must="not compiled", do=do)
        if module.training and _differs(module):
            got = f"in training mode, with a {type(module).__name__}{where}"
            refuse("model", got=got, must="in evaluation mode", do="call model.eval() first")


def _differs(module: nn.Module) -> bool:
    """Return whether a module of torch computes otherwise in training mode."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return True
    kept = isinstance(module, nn.RNNBase | nn.MultiheadAttention)
    return kept and bool(getattr(module, "dropout", 0))


def _named(model: nn.Module, signals: Any) -> list[Tensor]:
    must = "names of parameters and buffers of the model"
    if isinstance(signals, str):
        refuse("signals", signals, must=must, do=f'give ["{signals}"]', error=InputTypeError)
    names = checks.several("signals", signals, must)
    known: dict[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
    known.update(model.named_buffers(remove_duplicate=False))
    for name in names:
        if not isinstance(name, str) or name not in known:
            do = checks.nearest(name, list(known), "see model.named_parameters()")
            kind = InputError if isinstance(name, str) else InputTypeError
            refuse("signals", name, must=must, do=do, error=kind)
    return [known[name] for name in names]
