"""The eighteen ways in which one unit could attend to another, and the three that remain."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva._core.errors import door
from kanerva.quarks._gates import multiplex, output_gate, synaptic_gate
from kanerva.quarks._scene import Scene

__all__ = ["CASES", "Case"]

Signal = Float64[Tensor, "batch 1"]
Seen = Float64[Tensor, "batch _"]
# What ``Case.direct`` returns, as a function of random numbers, and with a signal given.
Form = Callable[[Scene], Seen]
Attended = Callable[[Scene, Signal], Seen]
Attending = Callable[[Scene], Signal]

SOURCES = TARGETS = ("activation", "output", "synapse")
MECHANISMS = ("addition", "multiplication")


@dataclass(frozen=True)
class Case:
    """One way to attend: where a signal comes from, what it meets, and whether it adds or gates.

    A case is dropped when it has a rewrite, which computes the same by plain units and other
    quarks. A case without one is kept: it is one of the three quarks. Both follow from what the
    case can compute, and ``error`` compares the rewrite with the equation.

    Args:
        source: what of the attending unit is the signal: its "activation", its "output", or one of
            its weights, a "synapse".
        target: what of the attended unit the signal meets: "activation", "output" or "synapse".
        mechanism: "addition" or "multiplication".
        name: of the case.
        equation: with a the signal, S an activation, O = f(S) an output, w a weight; O' and w' are
            what takes the place of O and w.
        becomes: the name of the function that computes a kept case, or what a dropped case becomes.
        reason: why the case is dropped; empty where it is kept.
        direct: the equation, as a function of random inputs, weights and biases. It returns the
            outputs of the attended units, gated where the signal multiplies them; where the signal
            is added to the outputs, the activations of linear units that read the sums.
        rewrite: a function of the same numbers that computes the same by plain units and other
            quarks; None where the case is kept.

    Example:
        >>> from kanerva import quarks
        >>> possible = [case for case in quarks.CASES if case.possible]
        >>> kept = [case for case in possible if case.kept]
        >>> len(quarks.CASES), len(possible), [case.becomes for case in kept]
        (18, 6, ['multiplex', 'output_gate', 'synaptic_gate'])
        >>> dropped = possible[1]
        >>> dropped.name, dropped.becomes, dropped.error() < 1e-12
        ('additive output attention', 'a synapse from the attending unit onto each target', True)

    Source: Baldi and Vershynin 2022.
    """

    source: str
    target: str
    mechanism: str
    name: str
    equation: str
    becomes: str
    reason: str
    direct: Form = field(repr=False)
    rewrite: Form | None = field(default=None, repr=False)

    @property
    def possible(self) -> bool:
        """Whether the signal leaves the attending unit as its output."""
        return self.source == "output"

    @property
    def kept(self) -> bool:
        """Whether the case is no circuit of the others."""
        return self.rewrite is None

    @door
    def error(self, seed: int | torch.Generator = 0) -> float:
        """Return the largest difference between the equation and its rewrite, or its quark if kept.

        Args:
            seed: of the random float64 numbers, an integer >= 0 or a CPU generator.
        """
        scene = Scene.drawn(seed)
        form = self.rewrite or _behind(QUARKS[self.becomes], _attending_unit)
        return float((self.direct(scene) - form(scene)).abs().max())


def _behind(attended: Attended, attending: Attending) -> Form:
    """Return a form of attended units with the signal of an attending one."""
    return lambda scene: attended(scene, attending(scene))


# The signal of each source, in plain torch. The attending unit has the transfer tanh.


def _activation(scene: Scene) -> Signal:
    return scene.read @ scene.own.T


def _output(scene: Scene) -> Signal:
    return _activation(scene).tanh()


def _synapse(scene: Scene) -> Signal:
    return scene.own[:, :1].expand(len(scene.x), 1)


SIGNALS: dict[str, Attending] = {
    "activation": _activation,
    "output": _output,
    "synapse": _synapse,
}


# The six equations in plain torch. The attended units have the transfer tanh.


def _sums(scene: Scene, weight: Tensor) -> Tensor:
    """Return activations by weights that differ among the inputs, ``(batch, m, n)``."""
    return (weight * scene.x[:, None]).sum(-1) + scene.bias


def _add_to_activation(scene: Scene, a: Signal) -> Seen:
    return (_sums(scene, scene.weight[None]) + a * scene.onto.T).tanh()


def _add_to_output(scene: Scene, a: Signal) -> Seen:
    outputs = _sums(scene, scene.weight[None]).tanh()
    return (outputs + a) @ scene.target.T


def _add_to_synapse(scene: Scene, a: Signal) -> Seen:
    return _sums(scene, scene.weight + a[..., None] * scene.chosen).tanh()


def _multiply_activation(scene: Scene, a: Signal) -> Seen:
    return (a * _sums(scene, scene.weight[None])).tanh()


def _multiply_output(scene: Scene, a: Signal) -> Seen:
    return a * _sums(scene, scene.weight[None]).tanh()


def _multiply_synapse(scene: Scene, a: Signal) -> Seen:
    return _sums(scene, scene.weight * torch.where(scene.chosen > 0, a[..., None], 1.0)).tanh()


DIRECT: dict[tuple[str, str], Attended] = {
    ("activation", "addition"): _add_to_activation,
    ("output", "addition"): _add_to_output,
    ("synapse", "addition"): _add_to_synapse,
    ("activation", "multiplication"): _multiply_activation,
    ("output", "multiplication"): _multiply_output,
    ("synapse", "multiplication"): _multiply_synapse,
}


# The three quarks, and the dropped cases as circuits of them.


def _unit(scene: Scene) -> Tensor:
    """Return the outputs of the attended units."""
    nothing = torch.zeros_like(scene.onto)
    return multiplex(scene.x, scene.x[:, :1], scene.weight, nothing, scene.bias, "tanh")


def _multiplex(scene: Scene, a: Signal) -> Seen:
    return multiplex(scene.x, a, scene.weight, scene.onto, scene.bias, "tanh")


def _output_gate(scene: Scene, a: Signal) -> Seen:
    return output_gate(_unit(scene), a)


def _synaptic_gate(scene: Scene, a: Signal) -> Seen:
    # A synapse that is not attended has the gate 1.
    gate = a[..., None] * scene.chosen + (1 - scene.chosen)
    return synaptic_gate(scene.x, gate, scene.weight, scene.bias, "tanh")


QUARKS: dict[str, Attended] = {
    "multiplex": _multiplex,
    "output_gate": _output_gate,
    "synaptic_gate": _synaptic_gate,
}


def _two_synapses(scene: Scene, a: Signal) -> Seen:
    """Add a synapse from the attending unit onto each target, with the sum of its weights."""
    return multiplex(_unit(scene), a, scene.target, scene.target.sum(-1, keepdim=True))


def _gated_sources(scene: Scene, a: Signal) -> Seen:
    """Add output-gated sources to the activations."""
    gated = output_gate(scene.x, a)
    return multiplex(scene.x, gated, scene.weight, scene.chosen, scene.bias, "tanh")


def _gated_synapses(scene: Scene, a: Signal) -> Seen:
    """Gate all synapses by one gate, with that of the constant unit, the bias."""
    one = torch.ones_like(a)
    weight = torch.cat((scene.weight, scene.bias[:, None]), -1)
    return synaptic_gate(torch.cat((scene.x, one), -1), a[..., None], weight, None, "tanh")


def _attending_unit(scene: Scene) -> Signal:
    nothing = torch.zeros_like(scene.own[:, :1])
    return multiplex(scene.read, scene.read[:, :1], scene.own, nothing, None, "tanh")


def _linear_unit(scene: Scene) -> Signal:
    """Return the output of a linear unit with the same weights: that activation."""
    nothing = torch.zeros_like(scene.own[:, :1])
    return multiplex(scene.read, scene.read[:, :1], scene.own, nothing)


def _constant_unit(scene: Scene) -> Signal:
    """Return the output of a linear unit that has this weight from the constant unit."""
    one, weight = torch.ones_like(scene.read[:, :1]), scene.own[:, :1]
    return multiplex(one, one, weight, torch.zeros_like(weight))


# Name, equation, what becomes of it, why it is dropped, and the rewrite, where there is one.
SIX: dict[tuple[str, str], tuple[str, str, str, str, Attended | None]] = {
    ("activation", "addition"): (
        "additive activation attention",
        "O_i = f(S_i + v_i a)",
        "multiplex",
        "",
        None,
    ),
    ("output", "addition"): (
        "additive output attention",
        "O'_i = O_i + a",
        "a synapse from the attending unit onto each target",
        "A target computes w (O_i + a) = w O_i + w a: a plain sum over two synapses of one weight.",
        _two_synapses,
    ),
    ("synapse", "addition"): (
        "additive synaptic attention",
        "w'_ij = w_ij + a",
        "an output gate of the source, as a further input of the attended unit",
        "The unit computes (w_ij + a) O_j = w_ij O_j + a O_j: a plain synapse, and the source "
        "gated by the attending unit.",
        _gated_sources,
    ),
    ("activation", "multiplication"): (
        "multiplicative activation attention",
        "O_i = f(a S_i)",
        "a synaptic gate of all synapses of the attended unit",
        "The activation is a S_i = sum_j (a w_ij) O_j: one gate of all synapses, with that of the "
        "constant unit.",
        _gated_synapses,
    ),
    ("output", "multiplication"): (
        "multiplicative output attention",
        "O'_i = a O_i",
        "output_gate",
        "",
        None,
    ),
    ("synapse", "multiplication"): (
        "multiplicative synaptic attention",
        "w'_ij = a w_ij",
        "synaptic_gate",
        "",
        None,
    ),
}
# The signals of other sources: their names, what attends in their place, why, and that rewrite.
OTHERS: dict[str, tuple[str, str, str, Attending]] = {
    "activation": (
        "from an activation",
        "by a linear unit with the same weights",
        "An activation does not leave its unit. The output of a linear unit with the same weights "
        "is that activation.",
        _linear_unit,
    ),
    "synapse": (
        "from a synapse",
        "by a linear unit with this weight from the constant unit",
        "A weight is a parameter and no signal. A linear unit with this weight from the constant "
        "unit has it as its output.",
        _constant_unit,
    ),
}
SIGNS = {"activation": "S_a", "synapse": "w_a"}


def _case(source: str, target: str, mechanism: str) -> Case:
    name, equation, becomes, reason, attended = SIX[target, mechanism]
    direct = _behind(DIRECT[target, mechanism], SIGNALS[source])
    rewrite = None if attended is None else _behind(attended, _attending_unit)
    if source in OTHERS:
        ending, instead, reason, attending = OTHERS[source]
        equation = re.sub(r"\ba\b", SIGNS[source], equation)
        rewrite = _behind(attended or QUARKS[becomes], attending)
        name, becomes = f"{name} {ending}", f"{name} {instead}"
    return Case(source, target, mechanism, name, equation, becomes, reason, direct, rewrite)


#: All 18 cases: 3 sources, by 3 targets, by 2 mechanisms.
CASES: tuple[Case, ...] = tuple(
    _case(source, target, mechanism)
    for source in SOURCES
    for mechanism in MECHANISMS
    for target in TARGETS
)
