"""Identities of the three quarks, each with the largest difference of its two sides."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from kanerva._core import arrays
from kanerva._core.errors import door
from kanerva.quarks._cases import CASES, Case
from kanerva.quarks._gates import multiplex, output_gate, synaptic_gate
from kanerva.quarks._scene import Scene, normal
from kanerva.quarks._transfers import Transfer

__all__ = ["IDENTITIES", "Identity"]

ITEMS, SOURCES, UNITS = 32, 5, 4

Sides = Callable[[Generator], tuple[Tensor, Tensor]]
# Inputs, weights and biases.
Layer = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Identity:
    """Two circuits of gates that compute the same, or do not.

    Args:
        name: in a few words.
        statement: the equation, with g a gate, S an activation, H the step and sgn the sign.
        holds: whether the two sides are equal.
        sides: draws random float64 numbers from a generator, and returns both sides.

    Example:
        >>> from kanerva import quarks
        >>> for one in quarks.IDENTITIES[7:9]:
        ...     print(one.statement, one.holds, one.error() < 1e-12)
        H(g S) = g H(S) for g = 0, 1 True True
        tanh(g S) = g tanh(S) False False
    """

    name: str
    statement: str
    holds: bool
    sides: Sides = field(repr=False)

    @door
    def error(self, seed: int | Generator = 0) -> float:
        """Return the largest absolute difference of the two sides on random numbers.

        Args:
            seed: of the random float64 numbers, an integer >= 0 or a CPU generator.
        """
        one, other = self.sides(arrays.generator(seed))
        return float((one - other).abs().max())


def _layer(source: Generator) -> Layer:
    """Draw a layer."""
    x, weight = normal(source, ITEMS, SOURCES), normal(source, UNITS, SOURCES)
    return x, weight, normal(source, UNITS)


def _unit(x: Tensor, weight: Tensor, bias: Tensor, transfer: Transfer = None) -> Tensor:
    """Return the outputs of plain units, as a multiplexer without a say."""
    nothing = torch.zeros_like(weight[:, :1])
    return multiplex(x, x[:, :1], weight, nothing, bias, transfer)


def _with_constant(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return inputs with the constant unit, and weights with the biases."""
    return torch.cat((x, torch.ones_like(x[:, :1])), -1), torch.cat((weight, bias[:, None]), -1)


# 1: gates of sources


def _sources(source: Generator) -> tuple[Tensor, Tensor]:
    x, weight, bias = _layer(source)
    gate = normal(source, ITEMS, SOURCES)
    one = synaptic_gate(x, gate[:, None], weight, bias)
    return one, _unit(output_gate(x, gate), weight, bias)


def _one_synapse(several: bool) -> Sides:
    """Gate the synapse from the first source onto the first unit, or the source itself."""

    def sides(source: Generator) -> tuple[Tensor, Tensor]:
        x, weight, bias = _layer(source)
        if not several:
            weight[1:, 0] = 0
        gate = normal(source, ITEMS, 1)
        synapses, sources = torch.ones(ITEMS, UNITS, SOURCES).double(), torch.ones_like(x)
        synapses[:, 0, :1], sources[:, :1] = gate, gate
        one = synaptic_gate(x, synapses, weight, bias)
        return one, _unit(output_gate(x, sources), weight, bias)

    return sides


# 2: gates of targets


def _targets(source: Generator) -> tuple[Tensor, Tensor]:
    x, weight, bias = _layer(source)
    gate = normal(source, ITEMS, UNITS)
    one = synaptic_gate(*_gate_of(x, gate, weight, bias), None, "tanh")
    return one, torch.tanh(gate * (x @ weight.T + bias))


def _gate_of(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor) -> Layer:
    """Return inputs, gates of targets, and weights, with the bias gated too."""
    x, weight = _with_constant(x, weight, bias)
    return x, gate[..., None], weight


def _any(source: Generator) -> Tensor:
    return normal(source, ITEMS, UNITS)


def _positive(source: Generator) -> Tensor:
    return _any(source).abs()


def _signs(source: Generator) -> Tensor:
    return torch.where(_any(source) > 0, 1.0, -1.0).double()


def _switches(source: Generator) -> Tensor:
    return (_any(source) > 0).double()


def _pulled_out(
    transfer: str, gates: Callable[[Generator], Tensor], bias_gated: bool = True
) -> Sides:
    """Compare f(g S), by synaptic gating, with g f(S), by output gating."""

    def sides(source: Generator) -> tuple[Tensor, Tensor]:
        x, weight, bias = _layer(source)
        gate = gates(source)
        outputs = output_gate(_unit(x, weight, bias, transfer), gate)
        if bias_gated:
            return synaptic_gate(*_gate_of(x, gate, weight, bias), None, transfer), outputs
        return synaptic_gate(x, gate[..., None], weight, bias, transfer), outputs

    return sides


# 3 and 4: the gate of a bias, and symmetry


def _gated_bias(source: Generator) -> tuple[Tensor, Tensor]:
    x, weight, bias = _layer(source)
    signal = normal(source, ITEMS, 1)
    joined, both = _with_constant(x, weight, bias)
    gate = torch.cat((torch.ones_like(x), signal), -1)[:, None]
    one = synaptic_gate(joined, gate, both, None, "sign")
    return one, multiplex(x, signal, weight, bias[:, None], None, "sign")


def _symmetric(source: Generator) -> tuple[Tensor, Tensor]:
    one, other = normal(source, ITEMS, UNITS), normal(source, ITEMS, UNITS)
    return output_gate(one, other), output_gate(other, one)


def _exchanged(source: Generator) -> tuple[Tensor, Tensor]:
    one, other = normal(source, ITEMS, UNITS), normal(source, ITEMS, UNITS)
    weight = normal(source, UNITS, UNITS)
    return synaptic_gate(one, other[..., None], weight), synaptic_gate(
        other, one[..., None], weight
    )


# 5 to 7: products of threshold units


def _pair(source: Generator) -> tuple[Tensor, Tensor, Layer, Layer]:
    """Draw two layers of the same inputs; return both activations, and the layers."""
    one, (_, weight, bias) = _layer(source), _layer(source)
    other = (one[0], weight, bias)
    return _unit(*one), _unit(*other), one, other


def _product_of_signs(source: Generator) -> tuple[Tensor, Tensor]:
    first, second, one, other = _pair(source)
    found = output_gate(_unit(*one, "sign"), _unit(*other, "sign"))
    return found, torch.where(first * second > 0, 1.0, -1.0).double()


def _quadratic(source: Generator) -> tuple[Tensor, Tensor]:
    """Compare with the sign of a quadratic form in the inputs and 1, with a matrix of rank two."""
    _, _, one, other = _pair(source)
    found = output_gate(_unit(*one, "sign"), _unit(*other, "sign"))
    (x, left), (_, right) = _with_constant(*one), _with_constant(*other)
    outer = left[:, :, None] * right[:, None]
    form = torch.einsum("bi,mij,bj->bm", x, (outer + outer.mT) / 2, x)
    return found, torch.where(form > 0, 1.0, -1.0).double()


def _relu(source: Generator) -> tuple[Tensor, Tensor]:
    given = _layer(source)
    return _unit(*given, "relu"), output_gate(_unit(*given), _unit(*given, "step"))


def _and(source: Generator) -> tuple[Tensor, Tensor]:
    first, second, one, other = _pair(source)
    found = output_gate(_unit(*one, "step"), _unit(*other, "step"))
    return found, ((first > 0) & (second > 0)).double()


def _equal(turned: bool) -> Sides:
    def sides(source: Generator) -> tuple[Tensor, Tensor]:
        first, second, one, other = _pair(source)
        found = output_gate(_unit(*one, "sign"), _unit(*other, "sign"))
        same = (first > 0) == (second > 0)
        return (-found if turned else found), torch.where(same != turned, 1.0, -1.0).double()

    return sides


def _masked(source: Generator) -> tuple[Tensor, Tensor]:
    first, second, one, other = _pair(source)
    found = output_gate(_unit(*one, "sign"), _unit(*other, "step"))
    return found, torch.where(second > 0, torch.where(first > 0, 1.0, -1.0), 0.0).double()


# Dropped cases


def _rewritten(case: Case) -> Sides:
    """Compare the equation of a dropped case with its rewrite."""

    def sides(source: Generator) -> tuple[Tensor, Tensor]:
        scene = Scene.drawn(source)
        return case.direct(scene), (case.rewrite or case.direct)(scene)

    return sides


#: The identities, and some equations that do not hold.
IDENTITIES: tuple[Identity, ...] = tuple(
    Identity(*row)
    for row in (
        (
            "gate of a source",
            "sum_j (g_j w_ij) O_j = sum_j w_ij (g_j O_j)",
            True,
            _sources,
        ),
        (
            "gate of the only synapse of a source",
            "(g w_ij) O_j = w_ij (g O_j) where j has one synapse",
            True,
            _one_synapse(several=False),
        ),
        (
            "gate of one synapse of several",
            "(g w_ij) O_j = w_ij (g O_j) where only the synapse onto i is gated",
            False,
            _one_synapse(several=True),
        ),
        (
            "gate of a target",
            "f(sum_j (g w_ij) O_j + g b_i) = f(g S_i)",
            True,
            _targets,
        ),
        (
            "linear units",
            "f(g S) = g f(S) for f(S) = S and any g",
            True,
            _pulled_out("identity", _any),
        ),
        ("ReLU units", "relu(g S) = g relu(S) for g >= 0", True, _pulled_out("relu", _positive)),
        ("sign units", "sgn(g S) = g sgn(S) for g = +1, -1", True, _pulled_out("sign", _signs)),
        ("step units", "H(g S) = g H(S) for g = 0, 1", True, _pulled_out("step", _switches)),
        ("tanh units", "tanh(g S) = g tanh(S)", False, _pulled_out("tanh", _any)),
        ("sigmoid units", "sigma(g S) = g sigma(S)", False, _pulled_out("sigmoid", _any)),
        ("ReLU units and any gate", "relu(g S) = g relu(S)", False, _pulled_out("relu", _any)),
        (
            "sign units and switches",
            "sgn(g S) = g sgn(S) for g = 0, 1",
            False,
            _pulled_out("sign", _switches),
        ),
        (
            "step units and signs",
            "H(g S) = g H(S) for g = +1, -1",
            False,
            _pulled_out("step", _signs),
        ),
        (
            "bias without a gate",
            "sum_j (g w_ij) O_j + b_i = g S_i",
            False,
            _pulled_out("identity", _any, bias_gated=False),
        ),
        (
            "gate of a bias",
            "sgn(sum_j w_j O_j + a w_0) = multiplexing of a by the weight w_0",
            True,
            _gated_bias,
        ),
        ("output gating is symmetric", "a O = O a", True, _symmetric),
        ("synaptic gating is not", "a (W O) = O (W a)", False, _exchanged),
        ("product of signs", "sgn(S) sgn(T) = sgn(S T)", True, _product_of_signs),
        (
            "product of signs is quadratic",
            "sgn(S) sgn(T) = sgn(x^T A x) with A of rank 2 at most",
            True,
            _quadratic,
        ),
        ("ReLU", "relu(S) = S H(S)", True, _relu),
        ("product of steps", "H(S) H(T) = [S > 0 and T > 0]", True, _and),
        (
            "product of signs is XNOR",
            "sgn(S) sgn(T) = +1 where S, T > 0 or neither",
            True,
            _equal(False),
        ),
        (
            "minus a product of signs is XOR",
            "-sgn(S) sgn(T) = +1 where one of S, T > 0",
            True,
            _equal(True),
        ),
        ("masked vote", "sgn(S) H(T) = sgn(S) where T > 0, else 0", True, _masked),
        *(
            (f"rewrite of {case.name}", f"{case.equation}: {case.becomes}", True, _rewritten(case))
            for case in CASES
            if not case.kept
        ),
    )
)
