"""The gates that a model has before any training, and how those of its blocks correlate."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva import nn
from kanerva._core.errors import InputError
from kanerva.lab.attach._inputs import arguments, parts
from kanerva.lab.attach._stages import NAME
from kanerva.lab.probing._model import Subject

__all__ = ["OVER", "Choice", "correlated", "measured", "spread"]

Gates = dict[str, Float[Tensor, "_blocks b c"]]
OVER = ("channels", "samples", "both")
NULLS = ("channels", "samples")


class Choice(NamedTuple):
    """What is attached: a gate by name, its scope and reduction, and the seed of its weights."""

    branches: list[str] | None
    gate: str
    scope: str
    reduction: int | None
    seed: int


def measured(subject: Subject, choice: Choice, rows: Tensor, advance: Callable[[], None]) -> Gates:
    """Return the gates of each stage, or of the model, on all samples.

    The model is left as it was.

    Args:
        subject: the model, with weights.
        choice: what is attached.
        rows: the samples.
        advance: called after each call of the model.
    """
    batches = [arguments(subject, part) for part in parts(rows)]
    model = subject.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a width below the reduction: a note says it
        branches, gate, scope, reduction, seed = choice
        options: dict[str, Any] = {"reduction": reduction, "seed": seed, "name": NAME}
        shared = nn.share(model, branches, batches[0], gate, scope, **options)
    found: dict[str, list[Tensor]] = {}
    try:
        with torch.no_grad(), _settled(subject, batches[0]):
            for batch in batches:
                with shared.record() as gates:
                    model(**batch)
                for stage, some in gates.items():
                    found.setdefault(stage, []).append(some)
                advance()
    finally:
        shared.remove()
    whole = {stage: torch.cat(some, 1) for stage, some in found.items()}
    return dict(zip(("model",), whole.values(), strict=True)) if choice.scope == "model" else whole


@contextmanager
def _settled(subject: Subject, batch: dict[str, Any]) -> Iterator[None]:
    """Take the statistics of batch normalisation from a batch, where weights are random.

    Without that the features of a deep network grow from block to block, as in no network in use.
    """
    kind = torch.nn.modules.batchnorm._BatchNorm
    norms = [one for one in subject.model.modules() if isinstance(one, kind)]
    if not subject.note or not norms:
        yield
        return
    kept = [(one, one.momentum, {n: b.clone() for n, b in one.named_buffers()}) for one in norms]
    try:
        for one in norms:
            one.train()
            one.momentum = 1.0
        subject.model(**batch)
        for one in norms:
            one.eval()
        yield
    finally:
        for one, momentum, buffers in kept:
            one.eval()
            one.momentum = momentum
            for name, numbers in one.named_buffers():
                numbers.copy_(buffers[name])


def correlated(gates: Gates, apart: Gates, seed: int) -> list[dict[str, Any]]:
    """Return the correlations of each stage of two blocks or more, by what they are over.

    Args:
        gates: those of the chosen scope.
        apart: of the other scope, for comparison.
        seed: of the permutations of the nulls.
    """
    return [
        {
            "stage": stage,
            "over": over,
            "mean": _mean(some, over, None, seed),
            **{null: _mean(some, over, null, seed) for null in NULLS},
            "other": _joined(apart, stage, over, seed),
        }
        for stage, some in gates.items()
        if len(some) > 1
        for over in OVER
    ]


def _joined(apart: Gates, stage: str, over: str, seed: int) -> float | None:
    """Return the correlation of the same blocks in the other scope."""
    return _mean(apart[stage] if stage in apart else torch.cat([*apart.values()]), over, None, seed)


def _mean(gates: Tensor, over: str, null: str | None, seed: int) -> float | None:
    """Return a mean correlation; None where the gates do not vary."""
    try:
        return nn.correlation(gates, over, null=null, seed=seed).mean
    except InputError:
        return None


def spread(gates: Sequence[Tensor]) -> tuple[float, float, float]:
    """Return the mean of all gates, and the lowest and highest mean of a block."""
    blocks = torch.cat([some.double().mean((1, 2)) for some in gates])
    return blocks.mean().item(), blocks.min().item(), blocks.max().item()
