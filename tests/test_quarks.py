"""The three gates: their formulas, shapes, gradients and transforms, and what they refuse."""

import dataclasses
import itertools

import pytest
import torch
from torch import nn

from kanerva import InputError, quarks
from kanerva.quarks import _transfers

NAMES = list(_transfers.TRANSFERS)
PARTS = ("activation", "output", "synapse")
BOUNDED = [name for name in NAMES if name not in ("exp", "reciprocal")]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loops(x, gate, weight, bias):
    """Gate the weights one by one, in plain loops over one input."""
    m, n = weight.shape
    found = []
    for i in range(m):
        total = bias[i].item()
        for j in range(n):
            g = gate[i if gate.shape[0] > 1 else 0, j if gate.shape[1] > 1 else 0].item()
            total += g * weight[i, j].item() * x[j].item()
        found.append(total)
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
@pytest.mark.parametrize("inner", [(5, 3), (1, 3), (5, 1), (1, 1)])
def test_synaptic_gating_multiplies_each_weight(lead, inner):
    x, gate, weight = normal(*lead, 3), normal(*lead, *inner, seed=1), normal(5, 3, seed=2)
    bias = normal(5, seed=3)
    found = quarks.synaptic_gate(x, gate, weight, bias)
    assert found.shape == (*lead, 5)
    rows = zip(x.reshape(-1, 3), gate.reshape(-1, *inner), strict=True)
    wanted = torch.stack([loops(*row, weight, bias) for row in rows])
    assert torch.allclose(found.reshape(-1, 5), wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("inner", [(1, 2000), (3000, 1), (1, 1)])
def test_gates_of_rank_one_build_no_gated_weights(inner):
    x, weight = torch.ones(40, 2000), torch.full((3000, 2000), 0.5)
    gate = torch.ones(40, *inner)
    with torch.profiler.profile(profile_memory=True) as record:
        quarks.synaptic_gate(x, gate, weight)
    most = max(event.self_cpu_memory_usage for event in record.key_averages())
    assert most < 4 * 40 * 3000 * 4  # the gated weights of one input are 24 MB


def test_a_full_gate_builds_one_array_of_its_size():
    x, gate, weight = torch.ones(8, 300), torch.ones(8, 200, 300), torch.ones(200, 300)
    with torch.profiler.profile(profile_memory=True) as record:
        quarks.synaptic_gate(x, gate, weight)
    taken = sum(max(event.self_cpu_memory_usage, 0) for event in record.key_averages())
    assert taken < 1.1 * gate.nbytes


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
def test_multiplexing_adds_the_signal_as_further_inputs(lead):
    x, signal, weight, onto = normal(*lead, 3), normal(*lead, 2), normal(5, 3), normal(5, 2)
    found = quarks.multiplex(x, signal, weight, onto, normal(5), "tanh")
    joined = torch.cat((x, signal), -1) @ torch.cat((weight, onto), -1).T + normal(5)
    assert torch.allclose(found, joined.tanh(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("width", [1, 3])
def test_output_gating_is_the_product_and_symmetric(width):
    one, other = normal(4, 3), normal(4, width, seed=1)
    found = quarks.output_gate(one, other)
    assert (found == one * other).all()
    assert (quarks.output_gate(other, one) == found).all()


def test_transfers_by_name():
    s = torch.tensor([-2.0, -0.0, 0.0, 0.5], dtype=torch.float64)
    wanted = {
        "identity": s,
        "sign": [-1.0, -1.0, -1.0, 1.0],
        "step": [0.0, 0.0, 0.0, 1.0],
        "relu": [0.0, 0.0, 0.0, 0.5],
        "sigmoid": 1 / (1 + (-s).exp()),
        "tanh": s.tanh(),
        "exp": s.exp(),
    }
    assert [*wanted, "reciprocal"] == NAMES
    eye = torch.eye(1, dtype=torch.float64)
    for name, values in wanted.items():
        found = quarks.multiplex(s[:, None], s[:, None], eye, 0 * eye, transfer=name)
        assert torch.allclose(found.flatten(), torch.as_tensor(values, dtype=torch.float64)), name
    found = quarks.multiplex(s[:1], s[:1], eye, 0 * eye, transfer="reciprocal")
    assert found.item() == -0.5
    assert quarks.multiplex(s[:1], s[:1], eye, 0 * eye, transfer=torch.square).item() == 4.0


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", BOUNDED)
def test_no_dtype_is_changed(kind, name):
    x, weight = normal(4, 3).to(kind), normal(5, 3).to(kind)
    assert quarks.synaptic_gate(x, normal(4, 5, 3).to(kind), weight, None, name).dtype == kind
    assert quarks.multiplex(x, x, weight, weight, None, name).dtype == kind
    assert quarks.output_gate(x, x).dtype == kind


@pytest.mark.untyped
@pytest.mark.parametrize("inner", [(5, 3), (1, 3), (5, 1), (1, 1)])
@pytest.mark.parametrize("name", ["identity", "tanh", "exp"])
def test_gradients(inner, name):
    given = [normal(2, 3), normal(2, *inner, seed=1), normal(5, 3, seed=2), normal(5, seed=3)]
    given = [each.requires_grad_() for each in given]
    assert torch.autograd.gradcheck(lambda *a: quarks.synaptic_gate(*a, name), given)
    onto, signal = normal(5, 2).requires_grad_(), normal(2, 2, seed=4).requires_grad_()
    x, _, weight, bias = given
    more = (x, signal, weight, onto, bias)
    assert torch.autograd.gradcheck(lambda *a: quarks.multiplex(*a, name), more)
    assert torch.autograd.gradcheck(quarks.output_gate, (x, normal(2, 1).requires_grad_()))


@pytest.mark.parametrize("name", ["sign", "step"])
def test_thresholds_have_a_gradient_of_zero(name):
    x = normal(4, 3).requires_grad_()
    quarks.multiplex(x, x, normal(5, 3), normal(5, 3), None, name).sum().backward()
    assert (x.grad == 0).all()


@pytest.mark.untyped
def test_gates_under_vmap_and_in_one_graph():
    x, gate, weight = normal(4, 3), normal(4, 5, 3, seed=1), normal(5, 3, seed=2)
    wanted = quarks.synaptic_gate(x, gate, weight, None, "tanh")
    mapped = torch.func.vmap(lambda x, g: quarks.synaptic_gate(x, g, weight, None, "tanh"))
    assert torch.allclose(mapped(x, gate), wanted)
    mapped = torch.func.vmap(lambda x, s: quarks.multiplex(x, s, weight, weight, None, "sign"))
    assert (mapped(x, x) == quarks.multiplex(x, x, weight, weight, None, "sign")).all()
    assert (torch.func.vmap(quarks.output_gate)(x, x) == x * x).all()
    slope = torch.func.grad(lambda x: quarks.output_gate(x, x).sum())(x)
    assert torch.allclose(slope, 2 * x)

    def all_three(x, gate, weight):
        inner = quarks.synaptic_gate(x, gate, weight, None, "exp")
        return quarks.output_gate(inner, quarks.multiplex(x, x, weight, weight, None, "step"))

    compiled = torch.compile(all_three, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(x, gate, weight), all_three(x, gate, weight))


def test_an_item_never_depends_on_its_batch():
    x, gate, weight = normal(6, 3), normal(6, 5, 3, seed=1), normal(5, 3, seed=2)
    whole = quarks.synaptic_gate(x, gate, weight)
    single = torch.stack([quarks.synaptic_gate(a, g, weight) for a, g in zip(x, gate, strict=True)])
    assert torch.allclose(whole, single, rtol=0, atol=1e-14)
    assert quarks.synaptic_gate(x[:0], gate[:0], weight).shape == (0, 5)


# Modules


def test_modules_call_the_three_gates():
    x, signal = torch.ones(4, 3), torch.full((4, 2), 0.5)
    unit = quarks.Unit(3, 5, "tanh", seed=3)
    assert torch.equal(unit(x), (x @ unit.weight.T + unit.bias).tanh())
    one = quarks.Multiplex(3, 2, 5, "relu", seed=1)
    wanted = quarks.multiplex(x, signal, one.weight, one.onto, one.bias, "relu")
    assert torch.equal(one(x, signal), wanted)
    gate = quarks.OutputGate(3, 5, "tanh", "sigmoid", signals=2)
    wanted = quarks.output_gate(gate.attended(x), gate.attending(signal))
    assert torch.equal(gate(x, signal), wanted)
    glu = quarks.OutputGate(3, 5)
    assert torch.equal(glu(x), glu.attended(x) * glu.attending(x))


@pytest.mark.parametrize(
    ("per", "inner"),
    [("synapse", (5, 3)), ("source", (1, 3)), ("target", (5, 1)), ("layer", (1, 1))],
)
def test_a_module_gates_synapses_by_what_shares_a_gate(per, inner):
    x, signal = torch.ones(4, 3), torch.full((4, 2), 0.5)
    layer = quarks.SynapticGate(3, 5, "tanh", signals=2, per=per, seed=7)
    gate = layer.attending(signal).reshape(4, *inner)
    wanted = quarks.synaptic_gate(x, gate, layer.weight, layer.bias, "tanh")
    assert torch.equal(layer(x, signal), wanted)
    gates = inner[0] * inner[1]
    assert sum(each.numel() for each in layer.parameters()) == 15 + 5 + 3 * gates
    assert quarks.SynapticGate(3, 5, per=per)(x).shape == (4, 5)


MODULES = {
    "Unit": lambda seed: quarks.Unit(3, 5, "tanh", seed=seed),
    "Multiplex": lambda seed: quarks.Multiplex(3, 2, 5, "tanh", seed=seed),
    "OutputGate": lambda seed: quarks.OutputGate(3, 5, "tanh", signals=2, seed=seed),
    "SynapticGate": lambda seed: quarks.SynapticGate(3, 5, "tanh", signals=2, seed=seed),
}


@pytest.mark.parametrize("name", MODULES)
def test_weights_depend_on_the_seed_alone_and_learn(name):
    make = MODULES[name]
    one, same, other = make(0), make(torch.Generator().manual_seed(0)), make(1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    x = torch.ones(4, 3)
    signal = () if name == "Unit" else (torch.ones(4, 2),)
    one(x, *signal).square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in one.parameters())
    one.load_state_dict(other.state_dict())
    assert torch.equal(one(x, *signal), other(x, *signal))


def test_a_gated_pair_learns_whether_two_bits_differ():
    x = torch.cartesian_prod(torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0]))
    wanted = -x.prod(-1, keepdim=True)
    pair = quarks.OutputGate(2, 1, "tanh", "tanh", seed=0)
    unit = quarks.Unit(2, 1, "tanh", seed=0)
    for model, learns in ((pair, True), (unit, False)):
        best = torch.optim.Adam(model.parameters(), 0.05)
        for _ in range(300):
            best.zero_grad()
            (model(x) - wanted).square().mean().backward()
            best.step()
        assert bool((model(x).sign() == wanted).all()) == learns


# What is refused


X, W, G = torch.ones(4, 3), torch.ones(5, 3), torch.ones(4, 5, 3)
NAN = torch.full((), torch.nan)
REFUSED = {
    "a gate without the batch": (lambda: quarks.synaptic_gate(X, G[0], W), "gate", "broadcast"),
    "a gate of one for a batch": (lambda: quarks.synaptic_gate(X, G[:1], W), "gate", "broadcast"),
    "a gate of a batch for one": (lambda: quarks.synaptic_gate(X[0], G, W), "gate", "broadcast"),
    "a gate a source without targets": (lambda: quarks.synaptic_gate(X, X, W), "gate", "(..., 5"),
    "a gate that fits the targets by chance": (
        lambda: quarks.synaptic_gate(torch.ones(5, 3), torch.ones(5, 3), W),
        "gate",
        "broadcast",
    ),
    "a NaN gate": (lambda: quarks.synaptic_gate(X, G * NAN, W), "gate", "NaN or infinite"),
    "an infinite gate": (lambda: quarks.synaptic_gate(X, G / 0, W), "gate", "NaN or infinite"),
    "an infinite gate behind a sign": (
        lambda: quarks.synaptic_gate(X, G / 0, W, None, "sign"),
        "gate",
        "NaN or infinite",
    ),
    "an infinite gate of a zero weight": (
        lambda: quarks.synaptic_gate(X, torch.ones(4, 1, 3) / 0, 0 * W),
        "gate",
        "NaN or infinite",
    ),
    "a float64 gate": (lambda: quarks.synaptic_gate(X, G.double(), W), "gate", "float64"),
    "a gate of int": (lambda: quarks.synaptic_gate(X, G.long(), W), "gate", "int64"),
    "float64 inputs": (lambda: quarks.synaptic_gate(X.double(), G, W), "x", "float64"),
    "a float64 bias": (
        lambda: quarks.synaptic_gate(X, G, W, torch.ones(5).double()),
        "bias",
        "float64",
    ),
    "a bias of one": (lambda: quarks.synaptic_gate(X, G, W, torch.ones(1)), "bias", "(..., 5)"),
    "a bias for each of a batch": (
        lambda: quarks.multiplex(X, X, W, W, torch.ones(4, 5)),
        "bias",
        "(4, 5)",
    ),
    "a NaN attending": (lambda: quarks.output_gate(X, X * NAN), "attending", "NaN or infinite"),
    "a NaN attended": (lambda: quarks.output_gate(X * NAN, X), "attended", "NaN or infinite"),
    "an infinite gate of zero": (lambda: quarks.output_gate(0 * X, X / 0), "attending", "NaN or"),
    "outputs without the batch": (lambda: quarks.output_gate(X, X[0]), "attending", "broadcast"),
    "outputs of one for a batch": (lambda: quarks.output_gate(X, X[:1]), "attending", "broadcast"),
    "other outputs": (lambda: quarks.output_gate(X, X[:, :2]), "attending", "(4, 2)"),
    "float64 outputs": (lambda: quarks.output_gate(X, X.double()), "attending", "float64"),
    "integers": (lambda: quarks.output_gate(X.long(), X.long()), "attended", "floating"),
    "a signal without the batch": (
        lambda: quarks.multiplex(X, X[0], W, W),
        "signal",
        "broadcast",
    ),
    "a NaN signal": (lambda: quarks.multiplex(X, X * NAN, W, W, None, "step"), "signal", "NaN or"),
    "a float64 onto": (lambda: quarks.multiplex(X, X, W, W.double()), "onto", "float64"),
    "fewer weights onto": (lambda: quarks.multiplex(X, X, W, W[:2]), "onto", "(2, 3)"),
    "no units": (lambda: quarks.multiplex(X, X, W[:0], W[:0]), "weight", "(0, 3)"),
    "an unknown transfer": (
        lambda: quarks.multiplex(X, X, W, W, None, "sigmod"),
        "transfer",
        "'sigmoid'",
    ),
    "a transfer that is none": (
        lambda: quarks.multiplex(X, X, W, W, None, 3),
        "transfer",
        "3 (int)",
    ),
    "a transfer that sums": (
        lambda: quarks.multiplex(X, X, W, W, None, torch.sum),
        "transfer",
        "float32 of shape ()",
    ),
    "the reciprocal of zero": (
        lambda: quarks.multiplex(0 * X, X, W, 0 * W, None, "reciprocal"),
        "transfer",
        "not finite at 0",
    ),
    "an exponential too large": (
        lambda: quarks.multiplex(100 * X, X, W, W, None, "exp"),
        "transfer",
        "not finite at 303",
    ),
    "an activation too large": (lambda: quarks.multiplex(3e38 * X, X, W, W), "x", "3e+38"),
    "a signal where none is read": (lambda: quarks.OutputGate(3, 5)(X, X), "signal", "None"),
    "no signal where one is read": (lambda: quarks.OutputGate(3, 5, signals=2)(X), "signal", "2)"),
    "an unknown part": (lambda: quarks.SynapticGate(3, 5, per="unit"), "per", "'unit'"),
    "no outputs": (lambda: quarks.Unit(3, 0), "outputs", "0"),
    "an unknown gating": (lambda: quarks.OutputGate(3, 5, gating="sigm"), "gating", "'sigm'"),
    "other inputs": (lambda: quarks.SynapticGate(3, 5)(torch.ones(4, 2)), "x", "(4, 2)"),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, argument, words = REFUSED[name]
    with pytest.raises(InputError) as caught:
        function()
    error = caught.value
    assert all((error.function, error.argument, error.must, error.got, error.do))
    assert error.argument == argument
    assert words in str(error), str(error)


ADVISED = {
    "a batch of gates for one output": (
        lambda: quarks.output_gate(X[0], X),
        "attended.expand(4, -1)",
        lambda: quarks.output_gate(X[0].expand(4, -1), X),
    ),
    "one gate for a batch of outputs": (
        lambda: quarks.output_gate(X, X[0]),
        "attending.expand(4, 3)",
        lambda: quarks.output_gate(X, X[0].expand(4, 3)),
    ),
    "a batch of gates for one input": (
        lambda: quarks.synaptic_gate(X[0], G, W),
        "x.expand(4, -1)",
        lambda: quarks.synaptic_gate(X[0].expand(4, -1), G, W),
    ),
    "a batch of other gates for a batch": (
        lambda: quarks.output_gate(X, X[:3]),
        "the same leading dimensions",
        lambda: quarks.output_gate(X[:3], X[:3]),
    ),
    "a batch of signals for one input": (
        lambda: quarks.multiplex(X[0], X, W, W),
        "x.expand(4, -1)",
        lambda: quarks.multiplex(X[0].expand(4, -1), X, W, W),
    ),
    "too few targets": (
        lambda: quarks.synaptic_gate(X, G[:, :2], W),
        "let its size before the last, that of the targets, be 5 or 1.",
        lambda: quarks.synaptic_gate(X, G[:, :1], W),
    ),
    "too few targets and sources": (
        lambda: quarks.synaptic_gate(X, G[:, :2, :2], W),
        "be 5 or 1, and its last size, that of the sources, be 3 or 1.",
        lambda: quarks.synaptic_gate(X, G[:, :1, :1], W),
    ),
    "a gate without sources": (
        lambda: quarks.synaptic_gate(X, G[..., 0], W),
        "add its last two dimensions",
        lambda: quarks.synaptic_gate(X, G[..., :1], W),
    ),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", ADVISED)
def test_what_is_advised_works(name):
    refused, words, advised = ADVISED[name]
    with pytest.raises(InputError) as caught:
        refused()
    assert words in str(caught.value), str(caught.value)
    assert advised().isfinite().all()


@pytest.mark.untyped
def test_the_module_that_refuses_is_named():
    with pytest.raises(InputError, match=r"OutputGate: x must be"):
        quarks.OutputGate(3, 5)(torch.ones(4, 2))
    with pytest.raises(InputError, match=r"SynapticGate: signal must be"):
        quarks.SynapticGate(3, 5, signals=2)(X)


def test_modules_are_modules():
    assert all(isinstance(make(0), nn.Module) for make in MODULES.values())


# The classification and the identities


def test_eighteen_cases_six_of_them_possible_three_kept():
    kinds = {(case.source, case.target, case.mechanism) for case in quarks.CASES}
    assert len(quarks.CASES) == len(kinds) == 18
    assert kinds == set(itertools.product(PARTS, PARTS, ("addition", "multiplication")))
    assert len({case.name for case in quarks.CASES}) == 18
    possible = [case for case in quarks.CASES if case.possible]
    assert len(possible) == 6
    assert {case.source for case in possible} == {"output"}
    kept = {(case.mechanism, case.target): case.becomes for case in possible if case.kept}
    assert kept == {
        ("addition", "activation"): "multiplex",
        ("multiplication", "output"): "output_gate",
        ("multiplication", "synapse"): "synaptic_gate",
    }


@pytest.mark.parametrize("case", quarks.CASES, ids=lambda case: case.name)
def test_a_case_is_dropped_exactly_where_it_has_a_rewrite(case):
    assert case.kept == (case.rewrite is None) == (not case.reason)
    assert all(case.error(seed) < 1e-12 for seed in range(3))
    if case.kept:
        assert hasattr(quarks, case.becomes)


def test_a_wrong_rewrite_is_found():
    """Where a rewrite takes the attending unit's output in place of its activation, it differs."""
    cases = {(case.source, case.target, case.mechanism): case for case in quarks.CASES}
    for target, mechanism in itertools.product(PARTS, ("addition", "multiplication")):
        one = cases["activation", target, mechanism]
        for source in ("output", "synapse"):
            other = cases[source, target, mechanism]
            wrong = dataclasses.replace(one, direct=other.direct)
            assert wrong.error() > 1e-3


@pytest.mark.parametrize("identity", quarks.IDENTITIES, ids=lambda identity: identity.name)
def test_identities(identity):
    errors = [identity.error(seed) for seed in range(3)]
    assert max(errors) < 1e-12 if identity.holds else min(errors) > 1e-3
    assert identity.error(torch.Generator().manual_seed(1)) == errors[1]


def test_identities_have_names_and_some_do_not_hold():
    names = [identity.name for identity in quarks.IDENTITIES]
    assert len(set(names)) == len(names) == 24 + 15
    assert sum(not identity.holds for identity in quarks.IDENTITIES) == 8
    dropped = {f"rewrite of {case.name}" for case in quarks.CASES if not case.kept}
    assert dropped <= set(names)


@pytest.mark.untyped
@pytest.mark.parametrize("one", [quarks.CASES[0], quarks.IDENTITIES[0]], ids=["Case", "Identity"])
def test_a_seed_is_checked(one):
    with pytest.raises(InputError, match=rf"{type(one).__name__}.error: seed must be"):
        one.error(-1)
