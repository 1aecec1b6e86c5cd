"""The energy block: its gradient against autograd and loops, its descent, masks, bad input."""

import copy
import io

import pytest
import torch
from torch import Tensor, nn

from kanerva import InputError, InputTypeError
from kanerva.nn import EnergyBlock
from kanerva.probe import CosineCircle
from kanerva.separation import (
    Argmax,
    Cap,
    Circle,
    Compact,
    Difference,
    Entmax,
    Exponential,
    Inhibition,
    Linear,
    Mixed,
    Normalised,
    Power,
    Sink,
    Softmax,
    Step,
    TopK,
)

# Rules of the attention and of the memory that are gradients of their potentials.
RULES = {
    "softmax": (None, Power(2)),
    "entmax": (Entmax(1.5, 0.5), Power(2)),
    "sparsemax": (Entmax(2.0, 0.7), Softmax(1.5)),
    "cubic": (Softmax(0.3), Power(3)),
    "linear": (Linear(), Linear()),
    "exponential": (Exponential(0.2), Exponential(0.5)),
    "topk": (TopK(2, 0.5), TopK(3, 1.0)),
    "argmax": (Argmax(), Entmax(1.5, 1.0)),
    "sink": (Sink(Softmax(0.5), 1.0), Power(2.5)),
    "step": (Softmax(1.0), Step(0.3)),
    "learned": (Softmax(nn.Parameter(torch.tensor(0.4, dtype=torch.float64))), Power(2)),
}


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64).to(dtype)


def close(one: Tensor, other: Tensor, atol: float = 1e-10) -> None:
    torch.testing.assert_close(one, other, atol=atol, rtol=0)


def block(name: str = "softmax", **more: object) -> EnergyBlock:
    separation, rule = RULES[name]
    made = EnergyBlock(6, 2, 5, 7, separation=separation, rule=rule, **more).double()
    with torch.no_grad():
        made.gain.fill_(1.3)
        made.shift.copy_(0.1 * draw(6, seed=9))
    return made


def written_out(made: EnergyBlock, g: Tensor, there: Tensor) -> Tensor:
    """Return the energy of g ``(n, dim)``, token by token and head by head."""
    total = torch.zeros((), dtype=g.dtype)
    tokens = there.nonzero().flatten().tolist()
    for c in tokens:
        others = [b for b in tokens if b != c]
        for h in range(made.heads if others else 0):
            query = made.query[h] @ g[c]
            scores = torch.stack([query @ (made.key[h] @ g[b]) for b in others])
            total = total - made.separation.potential(scores)
        total = total - made.rule.potential(made.memory @ g[c])
    return total


@pytest.mark.parametrize("name", RULES)
def test_descent_is_minus_the_gradient_of_the_energy(name):
    made, x = block(name), draw(3, 4, 6)
    mask = torch.tensor([[True] * 4, [True, False, True, True], [False, True, False, False]])
    g = (1.3 * nn.functional.layer_norm(x, (6,)) + made.shift).detach()
    close(made.state(x), g)
    descent, energy = made.descent(x, mask), made.energy(x, mask)
    for row in range(3):
        leaf = g[row].clone().requires_grad_()
        expected = written_out(made, leaf, mask[row])
        close(energy[row], expected)
        close(descent[row], -torch.autograd.grad(expected, leaf)[0])
    assert torch.equal(made.descent(x), made.descent(x, torch.ones(3, 4, dtype=torch.bool)))


def test_without_a_rule_scores_are_scaled_and_memories_are_rectified():
    made, x = EnergyBlock(6, 2, 5, 7).double(), draw(2, 4, 6)
    g = nn.functional.layer_norm(x, (6,))
    q, k = (torch.einsum("hyd,bnd->bhny", weight, g) for weight in (made.query, made.key))
    scores = (q @ k.mT / 5**0.5).masked_fill(torch.eye(4, dtype=torch.bool), -torch.inf)
    attention = 5**0.5 * scores.logsumexp(-1).sum((1, 2))
    memory = 0.5 * torch.relu(g @ made.memory.T).square().sum((1, 2))
    close(made.energy(x), -attention - memory)
    assert EnergyBlock(6, 2).width == 64
    assert EnergyBlock(6, 2).memory.shape == (24, 6)
    assert (EnergyBlock(6, 2).steps, EnergyBlock(6, 2).rate) == (12, 0.1)


@pytest.mark.parametrize("name", ["softmax", "entmax"])
def test_a_call_takes_steps_and_trace_keeps_them(name):
    made, x = block(name, steps=4, rate=0.3), draw(2, 4, 6)
    mask = torch.tensor([[True] * 4, [True, True, False, True]])
    now, states = x, [x]
    for _ in range(4):
        now = now + 0.3 * made.descent(now, mask)
        states.append(now)
    path = made.trace(x, mask)
    close(made(x, mask), now)
    close(path.states, torch.stack(states))
    close(path.energies, torch.stack([made.energy(state, mask) for state in states]))
    assert torch.equal(path.states[-1], made(x, mask))
    assert torch.equal(made(x, mask, steps=0), x)
    assert torch.equal(made(x, mask, steps=2), path.states[2])
    assert made.trace(x, steps=7).rises.shape == (7, 2)


@pytest.mark.untyped
@pytest.mark.parametrize("shape", [(16, 2, 8, None), (64, 4, 64, None), (32, 12, 64, 0)])
@pytest.mark.parametrize("separation", [None, Entmax(1.5, 0.125), TopK(3, 0.125)])
def test_from_the_first_weights_the_energy_never_rises(shape, separation):
    dim, heads, width, memories = shape
    for seed in range(2):
        made = EnergyBlock(dim, heads, width, memories, separation=separation).reset(seed)
        for scale in (0.1, 1.0, 10.0):
            path = made.trace(scale * draw(3, 12, dim, seed=seed, dtype=torch.float32), steps=24)
            assert not path.rises.any()
            assert (path.energies[-1] < path.energies[0]).all()


def test_trace_says_where_a_rate_lets_the_energy_rise():
    # Equal tokens that repel each other jump together to the other side of a shift, and back.
    row = torch.tensor([1.0, -1, 1, -1], dtype=torch.float64)
    for rate, jumps in ((0.01, False), (3.0, True)):
        made = EnergyBlock(4, 1, 4, memories=0, rate=rate).double()
        with torch.no_grad():
            made.query.copy_(torch.eye(4)[None])
            made.key.copy_(-torch.eye(4)[None])
            made.shift.copy_(0.2 * row)
        path = made.trace(row.expand(1, 3, 4), steps=8)
        rises = path.energies.diff(dim=0) > 1e-9
        assert torch.equal(path.rises, rises)
        assert rises.any() == jumps
    # A negative gain turns the descent around at any rate.
    made = EnergyBlock(4, 1, 2, steps=3).double()
    with torch.no_grad():
        made.gain.fill_(-1.0)
    assert made.trace(draw(3, 5, 4)).rises.all()


def test_permuted_tokens_come_back_permuted():
    for name in ("softmax", "entmax"):
        made, x, order = block(name), draw(2, 5, 6), torch.tensor([3, 0, 4, 1, 2])
        close(made(x[:, order]), made(x)[:, order])
        close(made.energy(x[:, order]), made.energy(x))


def test_masked_tokens_neither_act_nor_move():
    for name in ("softmax", "sparsemax", "topk"):
        made, x = block(name), draw(3, 5, 6)
        mask = torch.arange(5) < torch.tensor([[5], [3], [0]])
        moved = made(x, mask)
        assert torch.equal(moved[~mask], x[~mask])
        other = torch.where(mask[..., None], x, 1e3 * draw(3, 5, 6, seed=1))
        close(made(other, mask)[mask], moved[mask])
        close(moved[1, :3], made(x[1:2, :3])[0])
        close(made.energy(other, mask), made.energy(x, mask))
        assert made.energy(x, mask)[2] == 0
        assert not made.descent(x, mask)[~mask].any()


def test_one_token_or_none_has_no_attention():
    made, lone = block(), draw(2, 1, 6)
    with torch.no_grad():
        bare = made.state(lone) @ made.memory.T
    close(made.descent(lone), bare.relu() @ made.memory)
    close(made.energy(lone), -0.5 * bare.relu().square().sum((1, 2)))
    empty = EnergyBlock(6, 2, memories=0)
    assert torch.equal(empty(lone.float()), lone.float())
    assert empty.energy(lone.float()).tolist() == [0.0, 0.0]
    assert made(draw(2, 0, 6)).shape == (2, 0, 6)
    assert made.energy(draw(2, 0, 6)).tolist() == [0.0, 0.0]
    assert made.trace(draw(0, 3, 6)).energies.shape == (13, 0)


def test_a_result_does_not_depend_on_batch_mates():
    for name in RULES:
        made, x = block(name, steps=3, rate=0.05), draw(3, 4, 6)
        together = made(x)
        for row in range(3):
            close(together[row], made(x[row : row + 1])[0])


def test_gradients_reach_every_weight_and_are_right():
    for name in ("softmax", "entmax", "cubic"):
        made, x = block(name, steps=2), draw(2, 3, 6).requires_grad_()
        mask = torch.tensor([[True] * 3, [True, True, False]])
        own = {
            key: value.detach().clone().requires_grad_() for key, value in made.named_parameters()
        }
        assert set(own) == {"query", "key", "memory", "gain", "shift"}

        def read(x: Tensor, *weights: Tensor, made=made, own=own, mask=mask) -> Tensor:
            given = dict(zip(own, weights, strict=True))
            return torch.func.functional_call(made, given, (x,), {"mask": mask})

        assert torch.autograd.gradcheck(read, (x, *own.values()), fast_mode=True)
        made(x, mask).square().sum().backward()
        assert all((weight.grad != 0).any() for weight in made.parameters())
    # The gradient of a token of equal numbers and of one without others is finite.
    flat = torch.ones(1, 1, 6, dtype=torch.float64, requires_grad=True)
    made.energy(flat).sum().backward()
    assert flat.grad.isfinite().all()


def test_seeds_states_and_copies():
    one, other = EnergyBlock(6, 2).reset(1), EnergyBlock(6, 2).reset(2)
    x = draw(2, 4, 6, dtype=torch.float32)
    assert not torch.allclose(one(x), other(x))
    assert torch.equal(EnergyBlock(6, 2).reset(1)(x), one(x))
    assert torch.equal(EnergyBlock(6, 2).reset(0)(x), EnergyBlock(6, 2)(x))
    assert torch.equal(copy.deepcopy(one)(x), one(x))
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(one(x), other(x))
    source = torch.Generator().manual_seed(1)
    assert not torch.equal(
        EnergyBlock(6, 2).reset(source).query, EnergyBlock(6, 2).reset(source).query
    )
    # Components of the weights have variance 1 / dim.
    wide = EnergyBlock(100, 2).reset(3)
    for weight in (wide.query, wide.key, wide.memory):
        assert weight.var().item() == pytest.approx(0.01, rel=0.05)


def test_sums_are_wide_in_bfloat16_and_under_autocast():
    for name in ("softmax", "entmax", "topk"):
        narrow = block(name, steps=3).bfloat16()
        wide, x = copy.deepcopy(narrow).float(), draw(2, 5, 6).bfloat16()
        assert torch.equal(narrow(x), wide(x.float()).bfloat16())
        assert narrow.energy(x).dtype == torch.float32
        assert torch.equal(narrow.trace(x).energies, wide.trace(x.float()).energies)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(wide(x.float()), narrow(x.float()))
            assert torch.equal(wide(x), narrow(x))
            assert torch.equal(wide.energy(x), narrow.energy(x))
            # Autocast takes any dtype; the sums are in the widest.
            double = copy.deepcopy(wide).double()
            assert torch.equal(wide(x.double()), double(x.double()))
            assert torch.equal(double(x.float()), double(x.double()).float())


@pytest.mark.untyped
def test_forward_compiles_to_one_graph():
    made, x = block(steps=2), draw(2, 3, 6)
    mask = torch.tensor([[True] * 3, [True, False, True]])
    torch.compiler.reset()
    compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
    close(compiled(x, mask), made(x, mask))
    compiled(x, mask).square().sum().backward()
    found = made.query.grad.clone()
    made.query.grad = None
    made(x, mask).square().sum().backward()
    close(found, made.query.grad)


def test_large_tokens_are_normalised_and_small_ones_are_not_lost():
    made = EnergyBlock(4, 1, 2).reset(0)
    row = torch.tensor([[[1.0, -1, 1, -1], [1, 1, -1, -1]]])
    for scale in (1e25, 3e38):
        close(made.state(scale * row), row)
    for scale in (1e-30, 1e-3, 1.0, 50.0, 1e6):
        close(made.state(scale * row), nn.functional.layer_norm(scale * row, (4,)), atol=1e-6)
    assert not made.state(torch.full((1, 2, 4), 3e38)).any()


@pytest.mark.untyped
@pytest.mark.parametrize(
    "rule",
    [
        Inhibition(2),
        Normalised(Power(2)),
        Difference(Linear()),
        Mixed(Softmax(1.0), hetero=0.5, mixing=torch.ones(3, 3)),
        CosineCircle(8, 2),
        Circle(8, 2),
        Cap(8, 2),
    ],
)
def test_rules_without_a_potential_of_products_are_refused(rule):
    for name in ("separation", "rule"):
        with pytest.raises(InputError) as raised:
            EnergyBlock(8, 2, 8, **{name: rule})
        assert raised.value.argument == name
        assert raised.value.function == "EnergyBlock"
        assert "choose another" in raised.value.do


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"dim": 1}, "dim"),
        ({"heads": 0}, "heads"),
        ({"width": 0}, "width"),
        ({"memories": -1}, "memories"),
        ({"steps": 0}, "steps"),
        ({"rate": 0.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"rate": 1e39}, "rate"),
        ({"rate": 1e-50}, "rate"),
        ({"separation": "softmax"}, "separation"),
        ({"rule": None}, "rule"),
    ],
)
def test_bad_parameters_are_refused(given, argument):
    with pytest.raises(InputError) as raised:
        EnergyBlock(**({"dim": 4, "heads": 1} | given))
    assert (raised.value.function, raised.value.argument) == ("EnergyBlock", argument)


@pytest.mark.untyped
def test_bad_tokens_are_refused():
    x, nan = torch.ones(2, 3, 4), torch.full((2, 3, 4), torch.nan)
    mask = torch.ones(2, 3, dtype=torch.bool)
    for made in (EnergyBlock(4, 1), EnergyBlock(4, 1, separation=Entmax(1.5, 1.0))):
        for verb in ("__call__", "energy", "descent", "trace", "state"):
            method = getattr(made, verb)
            for bad in (nan, x[0], x[..., :3], x.double(), x.int(), None):
                with pytest.raises(InputError, match="x must be"):
                    method(bad)
            if verb == "state":
                continue
            for wrong in (mask[:, :2], mask[0], mask.float(), True):
                with pytest.raises(InputError, match="mask must be"):
                    method(x, wrong)
        with pytest.raises(InputTypeError, match="mask must be a bool tensor"):
            made(x, mask.int())
        for steps in (-1, 1.5, True):
            with pytest.raises(InputError, match="steps must be"):
                made(x, steps=steps)
    with pytest.raises(InputError, match="overflow"):
        EnergyBlock(4, 1, rule=Exponential(1e4))(torch.eye(4)[None])


@pytest.mark.untyped
@pytest.mark.parametrize("name", ["softmax", "entmax", "linear"])
def test_a_rate_by_which_tokens_overflow_is_named(name):
    made, x = block(name, rate=1e38).float(), draw(2, 3, 6, dtype=torch.float32)
    for verb in ("__call__", "trace"):
        with pytest.raises(InputError) as raised:
            getattr(made, verb)(x)
        assert raised.value.argument == "rate"
        assert raised.value.function.startswith("EnergyBlock")
    # Weights that are not finite are not the fault of the rate, nor of the rule.
    with torch.no_grad():
        made.query.fill_(torch.nan)
    for verb in ("__call__", "trace", "energy", "descent"):
        if name == "linear" and verb == "energy":
            continue
        with pytest.raises(InputError, match=r"EnergyBlock.*: x must be small enough"):
            getattr(made, verb)(x)


def test_a_potential_without_a_key_in_reach_is_an_infinite_energy():
    made = EnergyBlock(6, 1, 3, 2, separation=Compact(1.0)).double()
    with torch.no_grad():
        made.key.copy_(-9 * made.query)
    x = draw(1, 1, 6).expand(1, 3, 6)
    assert made.energy(x).item() == torch.inf
    assert made(x).isfinite().all()
    assert not made.trace(x).rises.any()
    with torch.no_grad():
        made.query.mul_(0.01)
    assert made.energy(x).isfinite()


def test_the_arguments_are_shown():
    text = repr(EnergyBlock(6, 2, steps=3))
    assert "dim=6, heads=2, width=64, memories=24, steps=3, rate=0.1" in text
