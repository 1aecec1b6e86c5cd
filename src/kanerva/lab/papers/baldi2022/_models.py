"""Gates of models, beside their closed forms, torch's own counter, and the model built anew."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from kanerva import quarks
from kanerva.lab import quarks as lab
from kanerva.lab.papers.baldi2022._zoo import Entry, entry

__all__ = ["counted", "first"]

COUNTS = ("output", "synaptic", "additive", "linear", "tied", "selected", "depth", "parameters")
# Up to so many tokens, models are computed anew and by torch's counter too.
SMALL = 64


def counted(name: str, tokens: int, signals: bool, seed: int) -> dict[str, Any]:
    """Count the gates of a model in one call.

    Args:
        name, tokens, signals, seed: as in ``_zoo.entry``.
    """
    found = entry(name, tokens, signals, seed)
    if found.subject is not None and found.subject.mode is not None:
        return _large(found, found.subject, tokens)
    with quarks.watch(found.model, found.signals) as tally, torch.no_grad():
        plain = _called(found)
    small = tokens <= SMALL
    return {
        **{one: getattr(tally, one) for one in COUNTS},
        "gates": tally.gates,
        "beyond": tally.gates - found.law,
        "unread": sum(tally.unread.values()),
        "counter": _counter(found, tally) if small else None,
        "anew": _anew(found, plain) if small else None,
        "crossing": None if found.subject is None else lab.count(found.subject, tokens).crossing,
    }


def _large(found: Entry, subject: lab.Subject, tokens: int) -> dict[str, Any]:
    """Count the gates of a model that is not there."""
    result = lab.count(subject, tokens)
    gates = result.output + result.synaptic
    return {
        **{one: getattr(result, one) for one in COUNTS},
        "gates": gates,
        "beyond": gates - found.law,
        "unread": sum(result.unread.values()),
        "counter": None,
        "anew": None,
        "crossing": result.crossing,
    }


def _called(found: Entry) -> Tensor:
    given = found.given
    return first(found.model(**given) if isinstance(given, dict) else found.model(*given))


def first(output: Any) -> Tensor:
    """Return the first tensor of what a model returns."""
    while not isinstance(output, Tensor):
        output = next(iter(output.values())) if hasattr(output, "values") else output[0]
    return output


def _counter(found: Entry, tally: quarks.Tally) -> int | None:
    """Return the operations that torch counts, less twice the products in contractions.

    Torch knows no operations of its own recurrent layers, so these have none.
    """
    if isinstance(found.model, torch.nn.RNNBase):
        return None
    if found.subject is not None:
        # Torch counts nothing in some fused attentions.
        found.subject.model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        _called(found)
    return int(counter.get_total_flops()) - 2 * (tally.linear + tally.contracted)


def _anew(found: Entry, plain: Tensor) -> float:
    """Return the largest difference of a model whose gates are computed anew, in its range."""
    with quarks.rebuild(found.model, found.signals), torch.no_grad():
        built = _called(found)
    return float((built - plain).abs().max() / plain.abs().max())
