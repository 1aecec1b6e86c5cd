"""The stages of a model, and the parameters that each gate adds to them."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from kanerva import nn
from kanerva._core.errors import InputError
from kanerva.nn._gates import GATES, builder

__all__ = ["NAME", "SCOPES", "Laid", "added", "look", "members"]

# Under which the model holds the gates while they are measured.
NAME = "kanerva_gates"
SCOPES = ("stage", "block", "model")


class Laid(NamedTuple):
    """A stage of a model: blocks of equal width and equal places.

    * ``name``: of the stage.
    * ``blocks``: the names of their branches in the order of calls.
    * ``stage``: what a gate of it is built for.
    """

    name: str
    blocks: tuple[str, ...]
    stage: nn.Stage


class Open(nn.Gate):
    """A gate of one, without parameters."""

    def forward(self, features: Tensor, state: Any) -> Any:
        """Return a gate of one number."""
        return features.new_ones((1,) * features.ndim), state


def look(model: Any, branches: Sequence[str] | None, example: Any) -> list[Laid]:
    """Return the stages of a model, which is called once and left as it was."""
    stages: list[nn.Stage] = []

    def built(stage: nn.Stage) -> nn.Gate:
        stages.append(stage)
        return Open()

    named = None if branches is None else list(branches)
    shared = nn.share(model, named, example, gate=built, name=NAME)
    names = shared.stages
    shared.remove()
    pairs = zip(names.items(), stages, strict=True)
    return [Laid(name, blocks, stage) for (name, blocks), stage in pairs]


def members(laid: Sequence[Laid], scope: str) -> list[tuple[nn.Stage, int]]:
    """Return what the gates of a scope are built for, and how many there are of each.

    There are none for a model whose branches differ in width.
    """
    if scope == "stage":
        return [(one.stage, 1) for one in laid]
    if scope == "block":
        return [(one.stage._replace(blocks=1), len(one.blocks)) for one in laid]
    if len({one.stage.channels for one in laid}) > 1:
        return []
    return [(laid[0].stage._replace(blocks=sum(len(one.blocks) for one in laid)), 1)]


def added(laid: Sequence[Laid], reduction: int | None) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the parameters that each gate adds in each scope, and notes on those it cannot.

    Args:
        laid: the stages.
        reduction: of the gates that have one; None for that of each gate.
    """
    rows: list[dict[str, Any]] = []
    reasons: dict[str, None] = {}
    for gate in GATES:
        row: dict[str, Any] = {"gate": gate}
        known: dict[nn.Stage, int] = {}
        for scope in SCOPES:
            parts = members(laid, scope)
            try:
                for stage, _ in parts:
                    if stage not in known:
                        known[stage] = _count(gate, stage._replace(reduction=reduction))
                counts = [known[stage] * times for stage, times in parts]
                row[scope] = sum(counts) if parts else None
            except InputError as error:
                row[scope] = None
                reasons[f"No {gate} gate here: {error.argument} must be {error.must}."] = None
        rows.append(row)
    if not members(laid, "model"):
        widths = ", ".join(str(width) for width in sorted({one.stage.channels for one in laid}))
        reasons[f"One gate for the whole model needs branches of one width; here: {widths}."] = None
    return rows, list(reasons)


def _count(gate: str, stage: nn.Stage) -> int:
    """Return the parameters of one gate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a width below the reduction: a note says it
        built = builder(gate)(stage)
    return sum(weight.numel() for weight in built.parameters())
