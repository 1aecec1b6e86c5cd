"""Gates of residual branches: a contract, the published ones by name, and controls."""

from collections.abc import Callable
from typing import Any

from torch import nn

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, refuse
from kanerva.nn._gates._base import Gate, Gated, Stage
from kanerva.nn._gates._channels import ECA, SE, SRM
from kanerva.nn._gates._controls import Constant, Scale
from kanerva.nn._gates._dia import DIA, CellState, DIACell
from kanerva.nn._gates._places import CBAM, SGE
from kanerva.nn._gates._recall import Recall

__all__ = ["GATES", "CellState", "DIACell", "Gate", "Gated", "Stage", "builder"]

GATES: dict[str, Callable[[Stage], Gate]] = {
    "dia": DIA,
    "se": SE,
    "eca": ECA,
    "sge": SGE,
    "cbam": CBAM,
    "srm": SRM,
    "recall": Recall,
    "constant": Constant,
    "scale": Scale,
}


def builder(gate: Any) -> Callable[[Stage], Gate]:
    """Return what builds a gate for a stage: that of a name, or a function of one's own."""
    if callable(gate) and not isinstance(gate, nn.Module):
        checks.takes("gate", gate, 1, "write lambda stage: ...")
        return _checked(gate)
    if not isinstance(gate, str):
        must = "the name of a gate, or a function that builds one from a nn.Stage"
        do = f"give one of {', '.join(map(repr, GATES))}"
        refuse("gate", gate, must=must, do=do, error=InputTypeError)
    return GATES[checks.choice("gate", gate, list(GATES))]


def _checked(build: Callable[..., Any]) -> Callable[[Stage], Gate]:
    """Return a function that refuses what is no gate."""

    def built(stage: Stage) -> Gate:
        found = build(stage)
        do = "return a subclass of nn.Gate from the function"
        checks.instance("gate", found, Gate, do, "a function whose result is a nn.Gate")
        checked: Gate = found
        return checked

    return built
