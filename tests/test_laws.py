"""Every law on every entry of the catalogue."""

import pytest
import torch

import kanerva
from catalogue import CATALOGUE
from kanerva import bits, check, functional, separation, similarity

# The run-time shape checks would refuse bad input first, so that law runs without them.
# In these two the checks take longer than the work: they read in many small parts.
IN_PARTS = (check._laws.chunks, check._laws.batch_mates)
LAWS = [
    pytest.param(law, marks=[pytest.mark.untyped] if law in IN_PARTS else [])
    for law in check.CHECKS
    if law is not check._laws.sentences
]


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law, name):
    memory = CATALOGUE[name]()
    if law.__doc__.rstrip(".") in memory.exempt:
        pytest.skip("the memory does not promise it")
    if not law(check.draw(memory)):
        pytest.skip("the law does not apply")


@pytest.mark.untyped
@pytest.mark.parametrize("name", CATALOGUE)
def test_bad_input_gets_the_sentence(name):
    assert check._laws.sentences(check.draw(CATALOGUE[name]()))


@pytest.mark.untyped  # a graph cannot hold the run-time checks
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_read_compiles_to_one_graph(name):
    sample = check.draw(CATALOGUE[name]())
    memory = sample.filled()
    torch.compiler.reset()
    compiled = torch.compile(memory, fullgraph=True, backend="aot_eager")
    found, expected = compiled(sample.query), memory.read(sample.query)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


PARTS = {
    "Softmax": separation.Softmax(0.7),
    "Exponential": separation.Exponential(0.3),
    "Power": separation.Power(3.5),
    "Linear": separation.Linear(),
    "Entmax 1.3": separation.Entmax(1.3, 0.9),
    "Entmax 1.5": separation.Entmax(1.5, 0.9),
    "Entmax 2": separation.Entmax(2.0, 0.9),
    "TopK": separation.TopK(3, 0.8),
    "Normalised": separation.Normalised(separation.Power(4)),
    "Sink": separation.Sink(separation.Softmax(0.7), 0.4),
    "Mixed": separation.Mixed(separation.Softmax(0.7), auto=0.6, mean=0.8),
}


@pytest.mark.parametrize("name", PARTS)
def test_gradcheck(name):
    source = torch.Generator().manual_seed(3)
    scores = torch.randn(2, 6, dtype=torch.float64, generator=source).requires_grad_()
    assert torch.autograd.gradcheck(PARTS[name], (scores,))
    assert torch.autograd.gradcheck(PARTS[name].potential, (scores,))
    mask = torch.tensor([[True, True, False, True, True, True], [False] * 6])
    assert torch.autograd.gradcheck(lambda s: PARTS[name](s, mask), (scores,))


@pytest.mark.parametrize(
    "similar", [similarity.dot, similarity.cosine, similarity.closeness, similarity.manhattan]
)
def test_gradcheck_of_a_read(similar):
    source, shapes = torch.Generator().manual_seed(1), ((2, 5), (4, 5), (4, 3))
    drawn = [torch.randn(*shape, dtype=torch.float64, generator=source) for shape in shapes]
    query, keys, values = (part.requires_grad_() for part in drawn)
    beta = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)

    def read(*tensors):
        return functional.read(*tensors[:3], similar, separation.Softmax(tensors[3]))

    assert torch.autograd.gradcheck(read, (query, keys, values, beta))
    if similar is not similarity.manhattan:
        # gradgradcheck draws its directions from the global generator.
        with torch.random.fork_rng():
            assert torch.autograd.gradgradcheck(read, (query, keys, values, beta))


@pytest.mark.parametrize("similar", [similarity.dot, similarity.cosine, similarity.closeness])
def test_large_beta_is_nearest_neighbour_and_zero_beta_the_mean(similar):
    source = torch.Generator().manual_seed(2)
    query, keys = torch.randn(9, 8, generator=source), torch.randn(20, 8, generator=source)
    values = torch.randn(20, 4, generator=source)
    nearest = values[similar(query, keys).argmax(-1)]
    mean = values.mean(0).expand(9, 4)
    rules = {
        separation.Softmax(1e4): nearest,
        separation.Argmax(): nearest,
        separation.Softmax(0.0): mean,
    }
    for rule, expected in rules.items():
        found = functional.read(query, keys, values, similar, rule)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("rows", [1, 3, 50])
def test_attention_equals_that_of_torch(rows):
    source, shapes = torch.Generator().manual_seed(4), ((rows, 16), (30, 16), (30, 5))
    query, keys, values = (torch.randn(*shape, generator=source) for shape in shapes)
    memory = kanerva.attention(16, value_dim=5)
    memory.write(keys, values)
    expected = torch.nn.functional.scaled_dot_product_attention(query, keys, values)
    torch.testing.assert_close(memory.read(query), expected)
    mask = torch.rand(rows, 30, generator=source) > 0.5
    expected = torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    torch.testing.assert_close(memory.read(query, mask), expected)


@pytest.mark.parametrize("heads", [1, 4])
def test_heads_by_vmap_are_heads_one_by_one(heads):
    source = torch.Generator().manual_seed(6)
    query, keys, values = (torch.randn(3, heads, n, 8, generator=source) for n in (5, 7, 7))

    def read(q, k, v):
        return functional.read(q, k, v, similarity.dot, separation.Softmax(0.5))

    together = torch.vmap(torch.vmap(read))(query, keys, values)
    for item in range(3):
        for head in range(heads):
            alone = read(query[item, head], keys[item, head], values[item, head])
            torch.testing.assert_close(together[item, head], alone)


def test_neuron_view_becomes_the_pattern_view():
    """Raw reads of the two views correlate above 0.99, and their signs agree within 2 %."""
    patterns = bits.random(50, 64, seed=0)
    cues = bits.flip(patterns, 6, seed=1)
    neurons = kanerva.sdm(64, locations=200_000, radius=24)
    neurons.write(patterns)
    circle = (similarity.agreement, separation.Circle(64, 24))
    view = functional.field(cues, patterns, patterns, *circle).value
    found = neurons.explain(cues)
    step = (similarity.agreement, neurons.separation)
    sums = functional.read(cues, neurons.keys, neurons.values, *step)
    raw = sums / found.mass.unsqueeze(-1)
    pair = torch.stack([raw.flatten(), view.flatten()])
    assert torch.corrcoef(pair)[0, 1] > 0.999
    slope = (raw * view).sum() / view.square().sum()
    assert abs(slope - 1) < 0.02
    right = [(read == patterns).float().mean() for read in (found.value, view.sign())]
    assert abs(right[0] - right[1]) < 0.02
