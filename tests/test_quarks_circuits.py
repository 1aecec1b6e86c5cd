"""Circuits of gates: what they compute, and the units, gates, depth and parameters they have."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from kanerva import InputError, bits, hopfield, sdm
from kanerva.quarks import _parts, circuits


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cube(n, dtype=torch.float32):
    return torch.tensor(list(itertools.product((-1, 1), repeat=n)), dtype=dtype).reshape(-1, n)


def seeded(make, seed=0):
    """Build a module of torch, whose weights are drawn from the global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = make().double().eval()
        with torch.no_grad():
            for each in made.parameters():
                each.copy_(torch.randn_like(each) * 0.5)
    return made


# Sizes


class Counted(torch.Tensor):
    """A tensor that carries the depth of the layers it came through, and whether a gate made it."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        result = super().__torch_function__(function, types, args, kwargs or {})
        return marked(result, *place(args))


def found_in(value):
    if isinstance(value, Counted):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from found_in(each)


def place(value):
    """Return the depth of what is in a value, and whether a gate, or the input, is that deep."""
    places = [getattr(each, "place", (0, True)) for each in found_in(value)]
    return max(places, default=(0, True))


def marked(value, depth, gate):
    for each in found_in(value):
        each.place = (depth, gate)
    return value


def counted(monkeypatch, circuit, *given):
    """Call a circuit; return the units and gates for one item of a batch, and the depth."""
    units, gates = [], []

    def summing(name):
        plain = getattr(_parts, name)

        def call(*args, **kwargs):
            result = plain(*args, **kwargs)
            units.append(result.numel())
            if name == "weighed":
                gates.append(args[1].numel())
            return marked(result, place(args)[0] + 1, False)

        monkeypatch.setattr(_parts, name, call)

    plain = _parts.gated

    def gating(one, other):
        result = plain(one, other)
        gates.append(result.numel())
        deep = max(depth + gate for depth, gate in (place(one), place(other)))
        return marked(result, deep, True)

    for name in ("summed", "multiplexed", "total", "weighed"):
        summing(name)
    monkeypatch.setattr(_parts, "gated", gating)
    batch = len(given[0])
    result = circuit(*(each.as_subclass(Counted) for each in given))
    assert sum(units) % batch == sum(gates) % batch == 0
    return sum(units) // batch, sum(gates) // batch, place(result)[0]


def mha(**options):
    return nn.MultiheadAttention(8, 2, batch_first=True, **options)


X, SIGNAL, PLACES = torch.ones(3, 4), torch.ones(3, 2), torch.ones(3, 5, 8).double()
CORNERS, CHOSEN = cube(2)[:3], cube(2)[1:]
PAIR, PAIR_BIAS = torch.tensor([[1.0, 2.0], [-1.0, 1.0]]), torch.tensor([0.5, 1.0])
FOUR = (PAIR.repeat(2, 1), PAIR_BIAS.repeat(2))
# A circuit, its input, the arguments of size, and what is computed in fewer or more steps than it
# has units and layers: a unit that reads one other, or one whose sum is computed in two parts.
SIZES = {
    "power": (lambda: circuits.power(7), (X,), (), 4, (0, 0)),
    "dot": (lambda: circuits.dot(4), (X, X), (), 1, (0, 0)),
    "dot by synapses": (lambda: circuits.dot(4, "synapse"), (X, X), (), 1, (0, 0)),
    "quadratic": (
        lambda: circuits.quadratic(torch.diag(torch.tensor([1.0, -2.0, 3.0, 0.0]))),
        (X,),
        (),
        1,
        (0, 0),
    ),
    "parity": (lambda: circuits.parity(4), (X,), (), 1, (0, 0)),
    "parity of 5": (lambda: circuits.parity(5), (torch.ones(3, 5),), (), 1, (0, 0)),
    "parity of 1": (lambda: circuits.parity(1), (X[:, :1],), (), 1, (0, 0)),
    "and": (lambda: circuits.select(*FOUR, "and"), (CORNERS, CHOSEN), (), 1, (0, 0)),
    "product": (lambda: circuits.select(*FOUR), (CORNERS, CHOSEN), (), 1, (0, 0)),
    "addition": (
        lambda: circuits.select(PAIR, PAIR_BIAS, "addition"),
        (CORNERS, CHOSEN[:, :1]),
        (),
        1,
        (0, 0),
    ),
    "synapse": (
        lambda: circuits.select(PAIR, PAIR_BIAS, "synapse"),
        (CORNERS, CHOSEN[:, :1]),
        (),
        1,
        (-1, -1),
    ),
    "attention": (lambda: circuits.attention(seeded(mha)), (PLACES,) * 3, (5,), 1, (0, 0)),
    "attention of one": (
        lambda: circuits.attention(seeded(mha)),
        (PLACES[:, :1], PLACES, PLACES),
        (1, 5),
        1,
        (0, 0),
    ),
    "attention with more keys": (
        lambda: circuits.attention(seeded(lambda: mha(add_bias_kv=True, add_zero_attn=True))),
        (PLACES,) * 3,
        (5,),
        1,
        (0, 0),
    ),
    "lstm": (
        lambda: circuits.lstm(seeded(lambda: nn.LSTMCell(4, 6))),
        (X.double(),),
        (),
        1,
        (6, 1),
    ),
    "gru": (lambda: circuits.gru(seeded(lambda: nn.GRUCell(4, 6))), (X.double(),), (), 1, (6, 0)),
    "glu": (lambda: circuits.glu(4, 5), (X,), (), 1, (0, 0)),
    "squeeze_excite": (
        lambda: circuits.squeeze_excite(4, 3),
        (torch.ones(3, 4, 5, 2),),
        (10,),
        1,
        (0, 0),
    ),
    "film": (lambda: circuits.film(4, 2), (X, SIGNAL), (), 1, (0, 0)),
    "mixture": (lambda: circuits.mixture(4, 2, 5, "relu"), (X,), (), 1, (0, 0)),
    "content_attention": (
        lambda: circuits.content_attention(2, 4, 6),
        (SIGNAL, torch.ones(3, 5, 4)),
        (5,),
        1,
        (0, 0),
    ),
    "hypernetwork": (lambda: circuits.hypernetwork(4, 5, 2), (X, SIGNAL), (), 1, (0, 0)),
    "fast_weights": (
        lambda: circuits.fast_weights(4, 2),
        (X, torch.ones(3, 5, 4), torch.ones(3, 5, 2)),
        (5,),
        1,
        (0, 0),
    ),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", SIZES)
def test_a_circuit_has_the_size_that_it_says(name, monkeypatch):
    make, given, places, numbers, (units, layers) = SIZES[name]
    circuit = make()
    said = circuit.size(*places)
    found = counted(monkeypatch, circuit, *given)
    wanted = (numbers * (said.units - units), numbers * said.gates, said.depth - layers)
    assert found == wanted
    assert said.parameters == sum(each.numel() for each in circuit.parameters())
    assert isinstance(circuit, circuits.Circuit)


def test_sizes_are_those_of_the_formulas():
    assert circuits.power(1).size() == (0, 0, 0, 0)
    assert circuits.power(9).size() == (0, 8, 4, 0)
    assert circuits.dot(7).size() == (1, 7, 2, 0)
    assert circuits.dot(7, "synapse").size() == (1, 7, 1, 0)
    assert circuits.parity(6).size() == (6, 5, 3, 42)
    n, k = 5, 6
    weight, bias = normal(k, n), normal(k)
    for way in ("and", "product"):
        assert circuits.select(weight, bias, way).size() == (k, k - 1, 3, k * (n + 3 + 2))
    assert circuits.select(weight[:2], bias[:2], "addition").size() == (2, 0, 2, 2 * n + 7)
    assert circuits.select(weight[:2], bias[:2], "synapse").size() == (2, 1, 2, 2 * n + 7)
    size = circuits.attention(seeded(mha)).size(10)
    assert size.gates == 2 * 10 * 10 * 8 + 2 * 10 * 10
    assert circuits.lstm(seeded(lambda: nn.LSTMCell(3, 7))).size().gates == 3 * 7
    assert circuits.gru(seeded(lambda: nn.GRUCell(3, 7))).size().gates == 3 * 7


# Products


@pytest.mark.parametrize("k", [1, 2, 3, 5, 8, 13])
def test_powers(k):
    x = normal(6, 2)
    assert torch.allclose(circuits.power(k)(x), x**k, rtol=1e-13)
    one = circuits.power(k)(x[0, 0])
    assert one.shape == ()
    assert torch.allclose(one, x[0, 0] ** k, rtol=1e-13)


@pytest.mark.parametrize("way", ["output", "synapse"])
def test_dot_products(way):
    u, v = normal(4, 3, 7), normal(4, 3, 7, seed=1)
    found = circuits.dot(7, way)(u, v)
    assert torch.allclose(found, torch.linalg.vecdot(u, v), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("values", "gates"),
    [
        ([3.0, 1.0, -2.0, -5.0], 2),
        ([3.0, 1.0, 2.0, -5.0], 3),
        ([-3.0, -1.0, -2.0, -5.0], 4),
        ([3.0, 0.0, 0.0, -5.0], 1),
        ([0.0, 0.0, 0.0, 0.0], 0),
        ([0.0, 0.0, 7.0, 0.0], 1),
    ],
)
def test_a_quadratic_form_has_the_fewest_gates(values, gates):
    axes = torch.linalg.qr(normal(4, 4)).Q
    turned = torch.triu(normal(4, 4, seed=2), 1)
    # What is not symmetric has no part in the form.
    matrix = axes @ torch.diag(torch.tensor(values).double()) @ axes.T + turned - turned.T
    form, x = circuits.quadratic(matrix), normal(10, 4, seed=1)
    assert torch.allclose(form(x), torch.einsum("bi,ij,bj->b", x, matrix, x), rtol=0, atol=1e-12)
    assert form.size().gates == gates


def test_fewer_gates_make_no_form_of_that_signature():
    """A sum of r products of linear forms has at most r eigenvalues of each sign."""
    for seed in range(20):
        left, right = normal(2, 6, seed=seed), normal(2, 6, seed=100 + seed)
        matrix = left.T @ right
        values = torch.linalg.eigvalsh(matrix + matrix.T)
        assert int((values > 1e-9).sum()) <= 2
        assert int((values < -1e-9).sum()) <= 2


@pytest.mark.parametrize("n", [1, 2, 3, 6, 9])
def test_parity_is_exact_on_the_whole_cube(n):
    x = cube(n)
    assert torch.equal(circuits.parity(n)(x), x.prod(-1))


# Selection


def thresholds(n, most):
    """Return weights and biases of all threshold functions, by integers and without ties."""
    x, found = cube(n, torch.float64), {}
    for row in itertools.product(range(-most, most + 1), repeat=n + 1):
        numbers = torch.tensor(row, dtype=torch.float64)
        sums = x @ numbers[:-1] + numbers[-1]
        if (sums != 0).all():
            found.setdefault(tuple((sums > 0).tolist()), numbers)
    rows = torch.stack(list(found.values()))
    return rows[:, :-1], rows[:, -1]


def plain(weight, bias, x, way):
    """Return the outputs of threshold units in plain torch, ``(items, units)``."""
    high = (x @ weight.T + bias > 0).to(x.dtype)
    return high if way == "and" else 2 * high - 1


WAYS = ("and", "product", "addition", "synapse")


@pytest.mark.untyped
@pytest.mark.parametrize("way", WAYS)
def test_all_pairs_of_threshold_functions_of_three_bits(way):
    weight, bias = thresholds(3, 2)
    assert len(bias) == 104
    both = [
        dict(circuits.select(torch.stack((w, w)), torch.stack((b, b)), way).named_parameters())
        for w, b in zip(weight, bias, strict=True)
    ]
    stacked = {name: torch.stack([one[name].detach() for one in both]) for name in both[0]}
    first, second = (
        each.flatten() for each in torch.meshgrid(*[torch.arange(104)] * 2, indexing="ij")
    )
    # The parameters of a pair are those of its first unit and of its second one.
    owner = {"addition": (first, second), "synapse": (second, first)}
    pairs = {}
    for name, rows in stacked.items():
        if rows.shape[1] == 2:
            pairs[name] = torch.stack((rows[first, 0], rows[second, 1]), 1)
        else:
            pairs[name] = rows[owner[way][int(name[-1])]]
    for pair in (0, 777, 5000, 10_815):
        two = [int(first[pair]), int(second[pair])]
        made = dict(circuits.select(weight[two], bias[two], way).named_parameters())
        assert all(torch.equal(made[name], pairs[name][pair]) for name in made)
    inputs = cube(4, torch.float64)
    x, z = inputs[:, :3], inputs[:, 3:]
    circuit = circuits.select(weight[:2], bias[:2], way)
    found = vmap(lambda given: functional_call(circuit, given, (x, z)))(pairs)
    outputs = plain(weight, bias, x, way)
    wanted = torch.where(z.T > 0, outputs[:, second].T, outputs[:, first].T)
    assert found.shape == (10_816, 16)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("way", ["and", "product"])
@pytest.mark.parametrize("n", [1, 4, 7])
def test_one_of_several_units_is_selected(k, way, n):
    weight, bias = normal(k, n, seed=k), normal(k, seed=n)
    circuit, x, bits = (
        circuits.select(weight, bias, way),
        cube(n, torch.float64),
        (k - 1).bit_length(),
    )
    outputs = plain(weight, bias, x, way)
    for number, z in enumerate(cube(bits, torch.float64)[:k]):
        found = circuit(x, z.expand(len(x), bits))
        assert torch.equal(found, outputs[:, number])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_large_terms_cancel_without_rounding(way, scale):
    """Activations that are tiny beside the weights, and ties, keep their signs."""
    weight = torch.tensor([[1.0, 0.1, 0.1], [1.0, 0.3, -0.3]], dtype=torch.float64) * scale
    bias = torch.tensor([1.0 + 2**-52, 1.0], dtype=torch.float64) * scale
    inputs = cube(4, torch.float64)
    x, z = inputs[:, :3], inputs[:, 3:]
    outputs = plain(weight, bias, x, way)
    wanted = torch.where(z[:, 0] > 0, outputs[:, 1], outputs[:, 0])
    assert torch.equal(circuits.select(weight, bias, way)(x, z), wanted)


# Modules of torch


OPTIONS = {
    "plain": {},
    "no biases": {"bias": False},
    "learned key": {"add_bias_kv": True},
    "key of zeros": {"add_zero_attn": True},
    "both": {"add_bias_kv": True, "add_zero_attn": True},
    "other widths": {"kdim": 5, "vdim": 3},
}


def masks(batch, heads, queries, keys):
    """Return masks by keyword, none of which leaves a query without a key."""
    ring = torch.arange(queries)[:, None] % keys
    lone = (torch.arange(keys) - ring) % 3 == 1
    each = lone.repeat(batch * heads, 1, 1).clone()
    each[0, 0, keys - 2] = True
    padding = torch.zeros(batch, keys, dtype=torch.bool)
    padding[0, 0] = True
    added = normal(queries, keys, seed=5).masked_fill(lone, -math.inf)
    return {
        "none": {},
        "bool": {"attn_mask": lone},
        "added": {"attn_mask": added},
        "by heads": {"attn_mask": each},
        "padding": {"key_padding_mask": padding},
        "both": {"attn_mask": lone, "key_padding_mask": padding},
        "both added": {"attn_mask": added, "key_padding_mask": normal(batch, keys, seed=6)},
    }


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("first", [True, False])
def test_attention_is_that_of_torch(option, first):
    options = OPTIONS[option]
    module = seeded(lambda: nn.MultiheadAttention(8, 2, batch_first=first, **options))
    circuit = circuits.attention(module)
    given = [normal(2, 6, 8), normal(2, 5, options.get("kdim", 8), seed=1)]
    given.append(normal(2, 5, options.get("vdim", 8), seed=2))
    given = given if first else [each.transpose(0, 1) for each in given]
    for mask in masks(2, 2, 6, 5).values():
        for need, average in ((True, True), (True, False), (False, True)):
            more = {"need_weights": need, "average_attn_weights": average, **mask}
            wanted, weights = module(*given, **more)
            found, own = circuit(*given, **more)
            assert found.shape == wanted.shape
            assert (found - wanted).abs().max() < 1e-12
            assert (own is None) == (weights is None)
            assert own is None or (own - weights).abs().max() < 1e-12


def test_attention_without_a_batch_is_that_of_torch():
    module = seeded(lambda: nn.MultiheadAttention(8, 2))
    circuit, x = circuits.attention(module), normal(5, 8)
    padding = torch.tensor([True, False, False, False, True])
    for more in ({}, {"key_padding_mask": padding}, {"average_attn_weights": False}):
        for found, wanted in zip(circuit(x, x, x, **more), module(x, x, x, **more), strict=True):
            assert found.shape == wanted.shape
            assert (found - wanted).abs().max() < 1e-12
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    found = circuit(x, x, x, attn_mask=causal, is_causal=True, need_weights=False)
    wanted = module(x, x, x, attn_mask=causal, is_causal=True, need_weights=False)
    assert (found[0] - wanted[0]).abs().max() < 1e-12


def test_a_query_without_a_key_gets_weights_of_zero():
    module = seeded(mha)
    circuit, x = circuits.attention(module), PLACES
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[2] = True
    output, weights = circuit(x, x, x, attn_mask=mask)
    assert (weights[:, 2] == 0).all()
    assert torch.equal(output[:, 2], module.out_proj.bias.expand(3, 8))
    # With weights torch gives NaN, and without them the same.
    assert module(x, x, x, attn_mask=mask)[0][:, 2].isnan().all()
    wanted, _ = module(x, x, x, attn_mask=mask, need_weights=False)
    assert (output - wanted).abs().max() < 1e-12
    output.sum().backward()
    assert all(each.grad.isfinite().all() for each in circuit.parameters())


@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True}, {"add_zero_attn": True}])
@pytest.mark.parametrize("lead", [(), (3,)])
def test_attention_without_keys_is_that_of_torch(options, lead):
    module = seeded(lambda: mha(**options))
    query, none = normal(*lead, 4, 8), normal(*lead, 0, 8)
    mask = torch.zeros((*(2 * each for each in lead), 4, 0), dtype=torch.bool)
    for more in ({}, {"average_attn_weights": False}, {"attn_mask": mask}):
        found = circuits.attention(module)(query, none, none, **more)
        for one, wanted in zip(found, module(query, none, none, **more), strict=True):
            assert one.shape == wanted.shape
            assert torch.allclose(one, wanted, rtol=0, atol=1e-12)


def test_large_scores_do_not_overflow():
    module = seeded(mha)
    x = 1e3 * normal(2, 5, 8)
    found, wanted = circuits.attention(module)(x, x, x)[0], module(x, x, x)[0]
    assert (found - wanted).abs().max() < 1e-9


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("cell", "circuit"), [(nn.LSTMCell, circuits.lstm), (nn.GRUCell, circuits.gru)]
)
def test_cells_are_those_of_torch(cell, circuit, bias):
    module = seeded(lambda: cell(5, 7, bias=bias))
    own, x = circuit(module), normal(4, 3, 5)
    state = mine = None
    for step in x:
        state, mine = module(step, state), own(step, mine)
        pairs = zip(mine, state, strict=True) if cell is nn.LSTMCell else [(mine, state)]
        for found, wanted in pairs:
            assert (found - wanted).abs().max() < 1e-12
    single = own(x[0, 0])
    wanted = module(x[0, 0])
    single, wanted = (single[0], wanted[0]) if cell is nn.LSTMCell else (single, wanted)
    assert (single - wanted).abs().max() < 1e-12


@pytest.mark.untyped
@pytest.mark.parametrize("name", ["attention", "lstm", "gru"])
def test_gradients_are_those_of_torch(name):
    make = {"attention": mha, "lstm": lambda: nn.LSTMCell(8, 3), "gru": lambda: nn.GRUCell(8, 3)}
    module = seeded(make[name])
    circuit, x = getattr(circuits, name)(module), normal(3, 5, 8)
    given = (x, x, x) if name == "attention" else (x[0],)
    slopes = []
    for model in (module, circuit):
        leaves = [each.clone().requires_grad_() for each in given]
        result = model(*leaves)
        result = result[0] if isinstance(result, tuple) else result
        slopes.append(torch.autograd.grad(result.square().sum(), leaves))
    for wanted, found in zip(*slopes, strict=True):
        assert (wanted - found).abs().max() < 1e-12


# Layers


def test_a_glu_is_that_of_torch():
    layer, x = circuits.glu(4, 5, seed=3), torch.ones(3, 4)
    attended, attending = layer.layer.attended, layer.layer.attending
    both = torch.cat(
        (x @ attended.weight.T + attended.bias, x @ attending.weight.T + attending.bias), -1
    )
    assert torch.allclose(layer(x), nn.functional.glu(both))
    silu = circuits.glu(4, 5, nn.functional.silu)(x)
    one, other = both_of(circuits.glu(4, 5), x)
    assert torch.allclose(silu, one * nn.functional.silu(other))


def both_of(layer, x):
    return tuple(
        x @ unit.weight.T + unit.bias for unit in (layer.layer.attended, layer.layer.attending)
    )


def test_channels_are_gated_as_a_squeeze_and_excitation_does():
    layer = circuits.squeeze_excite(4, 3, seed=1, dtype=torch.float64)
    x = normal(2, 4, 5, 6)
    pooled = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
    hidden = nn.functional.linear(pooled, layer.hidden.weight, layer.hidden.bias).relu()
    gates = nn.functional.linear(hidden, layer.gates.weight, layer.gates.bias).sigmoid()
    assert (layer(x) - x * gates[:, :, None, None]).abs().max() < 1e-12
    assert (layer(x.flatten(2)) - layer(x).flatten(2)).abs().max() < 1e-12


def test_features_are_scaled_and_shifted():
    layer = circuits.film(4, 3, dtype=torch.float64)
    x, signal = normal(2, 5, 4), normal(2, 5, 3, seed=1)
    scale = signal @ layer.scale.weight.T + 1
    wanted = scale * x + signal @ layer.shift.weight.T
    assert torch.allclose(layer(x, signal), wanted, rtol=0, atol=1e-13)
    assert torch.equal(layer(x, 0 * signal), x)


def test_a_mixture_weighs_its_experts():
    layer = circuits.mixture(4, 3, 5, "tanh", seed=2, dtype=torch.float64)
    x = normal(6, 4)
    outputs = nn.functional.linear(x, layer.experts.weight, layer.experts.bias).tanh()
    scores = nn.functional.linear(x, layer.gates.weight, layer.gates.bias)
    wanted = (outputs.reshape(6, 5, 3) * scores.softmax(-1)[..., None]).sum(1)
    assert torch.allclose(layer(x), wanted, rtol=0, atol=1e-13)


def test_additive_scores():
    head = circuits.content_attention(3, 4, 6, seed=2, dtype=torch.float64)
    state, keys = normal(2, 3), normal(2, 5, 4, seed=1)
    hidden = keys @ head.hidden.weight.T + (state @ head.hidden.onto.T)[:, None]
    weights = (hidden.tanh() @ head.score.weight[0]).softmax(-1)
    wanted = torch.einsum("bn,bnd->bd", weights, keys)
    assert torch.allclose(head(state, keys), wanted, rtol=0, atol=1e-13)


def test_a_signal_makes_the_weights_of_a_hypernetwork():
    layer = circuits.hypernetwork(3, 4, 2, "tanh", seed=1, dtype=torch.float64)
    x, signal = normal(5, 3), normal(5, 2, seed=1)
    own = layer.layer.attending
    gates = (signal @ own.weight.T + own.bias).reshape(5, 4, 3)
    wanted = torch.einsum("bmn,mn,bn->bm", gates, layer.layer.weight, x).tanh()
    assert torch.allclose(layer(x, signal), wanted, rtol=0, atol=1e-13)
    unit = (x @ layer.layer.weight.T).tanh()
    assert torch.allclose(layer(x, 0 * signal), unit, rtol=0, atol=1e-13)


# Written weights


def test_written_weights_are_linear_attention():
    memory = circuits.fast_weights(4, 3)
    query, keys, values = normal(2, 4), normal(2, 5, 4, seed=1), normal(2, 5, 3, seed=2)
    written = memory.write(keys, values)
    assert torch.allclose(written, torch.einsum("bne,bnd->bed", values, keys), atol=1e-13)
    linear = torch.einsum("bd,bnd,bne->be", query, keys, values)
    assert (memory(query, keys, values) - linear).abs().max() < 1e-12
    # Each pair adds to the weights: additive synaptic attention.
    parts = sum(memory.write(keys[:, j : j + 1], values[:, j : j + 1]) for j in range(5))
    assert torch.allclose(written, parts, rtol=0, atol=1e-13)
    assert (memory.write(keys[:, :0], values[:, :0]) == 0).all()


def test_a_deposit_and_a_hopfield_write_are_written_weights():
    patterns = bits.random(6, 16, seed=0)
    net = hopfield(16)
    net.write(patterns)
    written = circuits.fast_weights(16, 16).write(patterns, patterns)
    query = bits.random(4, 16, seed=1)
    field = query @ (written - 6 * torch.eye(16)).T  # Hopfield leaves out the diagonal
    assert torch.equal(torch.where(field == 0, query, field.sign()), net.read(query))
    memory = sdm(16, 40, 5, seed=0)
    memory.write(patterns)
    active = memory.weights(patterns)  # 1 for a location within the radius, else 0
    assert 0 < active.mean() < 1
    counters = circuits.fast_weights(40, 16).write(active, patterns).T
    assert torch.equal(counters, memory.counters[:, :16].float())


# Graphs and refusals


@pytest.mark.untyped
@pytest.mark.parametrize("name", SIZES)
def test_circuits_under_vmap_and_in_one_graph(name):
    make, given, *_ = SIZES[name]
    circuit = make()
    wanted = circuit(*given)
    mapped = vmap(circuit)(*(each.unsqueeze(1) for each in given))
    torch.compiler.reset()
    graph = torch.compile(circuit, backend="eager", fullgraph=True)(*given)
    for one, other, third in zip(*map(tensors, (wanted, mapped, graph)), strict=True):
        assert torch.allclose(one, other.squeeze(1), atol=1e-6)
        assert torch.allclose(one, third, atol=1e-6)


def tensors(result):
    return [
        each for each in (result if isinstance(result, tuple) else (result,)) if each is not None
    ]


@pytest.mark.parametrize("name", SIZES)
def test_an_item_never_depends_on_its_batch(name):
    make, given, *_ = SIZES[name]
    circuit = make()
    for whole, single in zip(
        *map(tensors, (circuit(*given), circuit(*(each[1:2] for each in given)))), strict=True
    ):
        assert torch.allclose(whole[1:2], single, atol=1e-6)


@pytest.mark.parametrize(("z", "row"), [((-1, -1), 0), ((-1, 1), 1), ((1, -1), 2), ((1, 1), 3)])
def test_selectors_are_the_bits_of_a_row_with_the_highest_first(z, row):
    bias = torch.full((4,), -1.0)
    bias[row] = 1.0  # the one unit that is +1
    circuit = circuits.select(torch.zeros(4, 2), bias)
    assert circuit(torch.ones(2), torch.tensor(z, dtype=torch.float32)) == 1


@pytest.mark.parametrize("name", SIZES)
def test_an_empty_batch_gives_an_empty_result(name):
    make, given, *_ = SIZES[name]
    circuit = make()
    whole, none = circuit(*given), circuit(*(each[:0] for each in given))
    for one, other in zip(*map(tensors, (whole, none)), strict=True):
        assert other.shape == (0, *one.shape[1:])


TWO = (PAIR, PAIR_BIAS)
REFUSED = {
    "power 0": (lambda: circuits.power(0), "k", "from 1 to 1024"),
    "a power too large": (lambda: circuits.power(100)(X * 1e5), "x", "small enough"),
    "other signals": (lambda: circuits.dot(4)(X, X[:, :3]), "v", "(..., 4)"),
    "a signal for all": (lambda: circuits.dot(4)(X, X[0]), "v", "broadcast"),
    "an unknown way of a dot product": (lambda: circuits.dot(4, "synapses"), "way", "'synapse'"),
    "a matrix that is not square": (lambda: circuits.quadratic(X), "matrix", "(n, n)"),
    "a matrix of NaN": (lambda: circuits.quadratic(PAIR * math.nan), "matrix", "NaN"),
    "a parity of 0": (lambda: circuits.parity(3)(torch.zeros(3)), "x", "-1/+1"),
    "a parity of wrong bits": (lambda: circuits.parity(3)(X), "x", "(..., 3)"),
    "a power of an integer": (
        lambda: circuits.power(2)(torch.tensor(2)),
        "x",
        "x.to(torch.float32)",
    ),
    "no bits": (lambda: circuits.parity(0), "n", "from 1"),
    "an unknown way": (lambda: circuits.select(*TWO, "ands"), "way", "'and'"),
    "three by addition": (
        lambda: circuits.select(normal(3, 2), normal(3), "addition"),
        "weight",
        "of 2 units",
    ),
    "one unit": (lambda: circuits.select(normal(1, 2), normal(1)), "weight", "2 to 1024"),
    "no bias": (lambda: circuits.select(PAIR, None), "bias", "zeros"),
    "infinite weights": (lambda: circuits.select(PAIR / 0, PAIR_BIAS), "weight", "NaN or inf"),
    "weights too large to be forced": (
        lambda: circuits.select(PAIR * 1e38, PAIR_BIAS),
        "weight",
        "small enough",
    ),
    "selectors of 0": (lambda: circuits.select(*TWO)(CORNERS, 0 * SIGNAL[:, :1]), "z", "-1/+1"),
    "inputs of 0": (lambda: circuits.select(*TWO)(0 * CORNERS, SIGNAL[:, :1]), "x", "-1/+1"),
    "the number of no unit": (
        lambda: circuits.select(normal(3, 2), normal(3))(
            CORNERS.double(), torch.ones(3, 2).double()
        ),
        "z",
        "those of 3",
    ),
    "selectors for all": (
        lambda: circuits.select(*TWO)(CORNERS, SIGNAL[0, :1]),
        "z",
        "broadcast",
    ),
    "no attention": (lambda: circuits.attention(nn.Identity()), "mha", "MultiheadAttention"),
    "dropout": (
        lambda: circuits.attention(seeded(lambda: mha(dropout=0.1)).train()),
        "mha",
        "mha.eval()",
    ),
    "a causal hint alone": (
        lambda: circuits.attention(seeded(mha))(*(PLACES,) * 3, is_causal=True),
        "is_causal",
        "attn_mask",
    ),
    "other tokens": (
        lambda: circuits.attention(seeded(mha))(PLACES, PLACES, PLACES[:, :3]),
        "value",
        "one row",
    ),
    "a mask of another shape": (
        lambda: circuits.attention(seeded(mha))(*(PLACES,) * 3, attn_mask=torch.ones(5, 4) > 0),
        "attn_mask",
        "(5, 5) or (6, 5, 5)",
    ),
    "a mask of NaN": (
        lambda: circuits.attention(seeded(mha))(
            *(PLACES,) * 3, attn_mask=torch.full((5, 5), math.nan).double()
        ),
        "attn_mask",
        "finite",
    ),
    "a padding of int": (
        lambda: circuits.attention(seeded(mha))(*(PLACES,) * 3, torch.ones(3, 5).long()),
        "key_padding_mask",
        "bool",
    ),
    "infinite queries": (
        lambda: circuits.attention(seeded(mha))(PLACES / 0, PLACES, PLACES),
        "query",
        "NaN or infinite",
    ),
    "no cell": (lambda: circuits.lstm(nn.GRUCell(2, 2, device="meta")), "cell", "LSTMCell"),
    "infinite input": (
        lambda: circuits.gru(seeded(lambda: nn.GRUCell(4, 2)))(X.double() / 0),
        "input",
        "NaN or infinite",
    ),
    "half a state": (
        lambda: circuits.lstm(seeded(lambda: nn.LSTMCell(4, 2)))(X.double(), SIGNAL.double()),
        "hx",
        "two tensors",
    ),
    "channels without places": (lambda: circuits.squeeze_excite(4, 2)(X), "x", "(3, 4)"),
    "a signal of NaN": (lambda: circuits.film(4, 2)(X, SIGNAL * math.nan), "signal", "NaN"),
    "a signal of a batch": (lambda: circuits.film(4, 2)(X, SIGNAL[:1]), "signal", "broadcast"),
    "no experts": (lambda: circuits.mixture(4, 2, 0), "experts", "0"),
    "no keys": (
        lambda: circuits.content_attention(2, 4, 3)(SIGNAL, torch.ones(3, 0, 4)),
        "keys",
        "(3, 0, 4)",
    ),
    "an infinite state": (
        lambda: circuits.content_attention(2, 4, 3)(SIGNAL / 0, torch.ones(3, 2, 4)),
        "state",
        "NaN or infinite",
    ),
    "weights of another shape": (
        lambda: circuits.fast_weights(4, 2).read(X, torch.ones(3, 1, 4)),
        "weight",
        "(3, 1, 4)",
    ),
    "values of other keys": (
        lambda: circuits.fast_weights(4, 2).write(torch.ones(3, 5, 4), torch.ones(3, 4, 2)),
        "values",
        "(3, 4, 2)",
    ),
    "no places": (lambda: circuits.squeeze_excite(4, 2).size(0), "places", "0"),
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
