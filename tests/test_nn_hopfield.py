"""Lookups and Hopfield layers, against their update written out."""

import copy
import io
import itertools

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

import kanerva
from kanerva import nn
from kanerva.probe import CosineCircle
from kanerva.separation import Argmax, Cap, Entmax, Inhibition, Softmax, TopK

RULES = {
    "softmax": Softmax(2.0),
    "entmax": Entmax(1.5, 4.0),
    "topk": TopK(2, 3.0),
    "argmax": Argmax(),
    "cap": Cap(4, 1.0),
    "circle": CosineCircle(8, 2),
    "inhibition": Inhibition(2),
}


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64).to(dtype)


def close(one: Tensor, other: Tensor, atol: float = 1e-10) -> None:
    torch.testing.assert_close(one, other, atol=atol, rtol=0)


def sparsemax(scores: Tensor) -> Tensor:
    """Project onto the simplex, by trying every size of the support."""
    best, found = torch.inf, scores
    for size in range(1, len(scores) + 1):
        top = scores.topk(size).indices
        point = torch.zeros_like(scores)
        point[top] = scores[top] - (scores[top].sum() - 1) / size
        if (point >= 0).all() and (point - scores).square().sum() < best:
            best, found = (point - scores).square().sum(), point
    return found


def update(xi: Tensor, keys: Tensor, beta: Tensor, steps: int, rule=None) -> Tensor:
    """Return the weights of the last of so many updates of one state on the sphere."""
    for _ in range(steps):
        p = (rule or (lambda s: (s - s.logsumexp(0)).exp()))(beta * keys @ xi)
        xi = normalize(keys.T @ p, dim=0)
    return p


def heads_of(rows: Tensor, heads: int, head: int) -> Tensor:
    """Return the part of one head of ``(n, width)``."""
    return rows.unflatten(-1, (heads, -1))[:, head]


def written_out(layer: nn.Attention, query: Tensor, context: Tensor, keep: Tensor, rule) -> Tensor:
    """Write a Hopfield layer out for one text: head by head, and state by state."""
    keys, values = layer.key(context), layer.value(context)
    parts = []
    for head in range(layer.heads):
        xs = normalize(heads_of(layer.query(query), layer.heads, head), dim=-1)
        patterns = normalize(heads_of(keys, layer.heads, head), dim=-1)[keep]
        stored = heads_of(values, layer.heads, head)[keep]
        beta = layer.log_beta[head].exp()
        reads = [update(xi, patterns, beta, layer.steps, rule) @ stored for xi in xs]
        parts.append(torch.stack(reads))
    return layer.out(torch.cat(parts, -1))


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_hopfield_layer_is_the_update_written_out(heads, steps, sparse):
    make = nn.sparse_hopfield_layer if sparse else nn.hopfield_layer
    layer = make(16, heads, 6.0, steps).double()
    with torch.no_grad():
        layer.log_beta.add_(draw(heads, seed=3) / 4)
    query, context = draw(3, 4, 16), draw(3, 6, 16, seed=1)
    mask = torch.rand(3, 6, generator=torch.Generator().manual_seed(2)) > 0.3
    mask[:, 0] = True
    output = layer(query, context, mask)
    for row in range(3):
        rule = sparsemax if sparse else None
        close(output[row], written_out(layer, query[row], context[row], mask[row], rule))
        one = slice(row, row + 1)
        close(layer(query[one], context[one], mask[one]), output[one])
    output.square().sum().backward()
    assert (layer.log_beta.grad != 0).all()
    nothing = torch.zeros_like(mask)
    close(layer(query, context, nothing), layer.out(torch.zeros_like(query)))


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("steps", [1, 3])
def test_hopfield_pooling_is_the_update_of_its_queries(heads, steps):
    pool = nn.hopfield_pooling(16, heads, queries=2, steps=steps).double().reset(1)
    bags = draw(3, 6, 16)
    mask = torch.arange(6) < torch.tensor([[6], [3], [1]])
    output = pool(bags, mask)
    for row in range(3):
        alone = written_out(pool.attention, pool.latents, bags[row], mask[row], None)
        close(output[row], alone)
        close(pool(bags[row : row + 1, mask[row]])[0], alone)
    output.square().sum().backward()
    assert (pool.attention.log_beta.grad != 0).all()
    nothing = pool(bags, torch.zeros_like(mask))
    close(nothing, pool.attention.out(torch.zeros_like(nothing)))


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("normalise", [True, False])
def test_a_lookup_is_the_update_on_its_rows(heads, steps, normalise):
    options = {} if normalise else {"separation": Softmax(1.7)}
    table = nn.Lookup(16, heads, 5, 8, steps=steps, normalise=normalise, **options).double()
    query = draw(3, 4, 16)
    mask = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(2)) > 0.3
    mask[..., 0] = True
    unit = (lambda rows: normalize(rows, dim=-1)) if normalise else (lambda rows: rows)
    parts = []
    for head in range(heads):
        beta = table.log_beta[head].exp() if normalise else 1.7 * (16 // heads) ** -0.5
        keys, reads = unit(table.key[head]), []
        for row, place in itertools.product(range(3), range(4)):
            xi = unit(heads_of(table.query(query[row]), heads, head)[place])
            kept = mask[row, place]
            for _ in range(steps):
                p = (beta * keys[kept] @ xi).softmax(0)
                xi = unit(keys[kept].T @ p)
            reads.append(p @ table.value[head][kept])
        parts.append(torch.stack(reads).reshape(3, 4, -1))
    output = table(query, mask)
    close(output, table.out(torch.cat(parts, -1)))
    for row, place in itertools.product(range(3), range(4)):
        close(table(query[row, place], mask[row, place]), output[row, place])
    if normalise:
        output.square().sum().backward()
        assert (table.log_beta.grad != 0).all()
    nothing = table(query, torch.tensor(False))
    close(nothing, table.out(torch.zeros(3, 4, 8, dtype=torch.float64)))


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", RULES)
def test_a_lookup_is_attention_to_persistent_rows_alone(name, steps):
    rule = RULES[name]
    table = nn.Lookup(16, 2, 5, 24, steps=steps, separation=rule).double()
    same = nn.Attention(16, 2, persistent=5, value_dim=24, separation=rule, steps=steps).double()
    shared = {"persistent_key": table.key, "persistent_value": table.value}
    given = same.state_dict() | table.state_dict() | shared
    same.load_state_dict({name: given[name] for name in same.state_dict()})
    query = draw(2, 4, 16)
    close(table(query), same(query, query[:, :0]))
    close(table.weights(query).transpose(1, 2), same.weights(query, query[:, :0]))


def test_hopfield_lookup_starts_at_the_published_beta():
    table = nn.hopfield_lookup(64, 4, 10, steps=2)
    close(table.log_beta.exp(), torch.full((4,), 4.0), 1e-5)
    assert (table.rows, table.steps) == (10, 2)
    assert nn.hopfield_layer(64, 4).start == nn.sparse_hopfield_layer(64, 4).start == 4.0
    assert nn.hopfield_layer(64, 4, beta=9).start == 9.0
    assert nn.hopfield_pooling(64, 4, 3).attention.start == 4.0


def test_many_steps_end_at_a_stored_pattern_with_a_large_beta():
    """A query that is nearest to one of a few patterns is moved onto it, as a memory does."""
    layer = nn.hopfield_layer(32, 1, 12.0, 8).double()
    with torch.no_grad():
        layer.query.weight.copy_(torch.eye(32))
        layer.key.weight.copy_(torch.eye(32))
    patterns = normalize(draw(6, 32), dim=-1)
    cues = normalize(patterns + 1.8 * normalize(draw(6, 32, seed=1), dim=-1), dim=-1)
    assert (layer.weights(cues[None], patterns[None])[0, 0].diagonal() > 0.999).all()
    layer.steps = 1
    assert layer.weights(cues[None], patterns[None])[0, 0].diagonal().min() < 0.8


# Many values under one key


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("rule", [None, Entmax(1.5, 3.0)])
def test_values_of_several_widths_are_as_many_reads_of_the_same_weights(rule, steps):
    dim, heads, n = 16, 2, 3
    wide = nn.Attention(dim, heads, value_dim=n * dim, separation=rule, steps=steps).double()
    x = draw(2, 5, dim)
    weights, values = wide.weights(x), wide.value(x).reshape(2, 5, heads, n, dim // heads)
    reads = [weights @ values[:, :, :, one].transpose(1, 2) for one in range(n)]
    close(wide(x), wide.out(torch.cat(reads, -1).transpose(1, 2).flatten(2)))
    table = nn.Lookup(dim, heads, 7, n * dim, separation=rule, steps=steps).double()
    weights, values = table.weights(x), table.value.reshape(heads, 7, n, dim // heads)
    reads = [torch.einsum("bqhr,hrd->bqhd", weights, values[:, :, one]) for one in range(n)]
    close(table(x), table.out(torch.cat(reads, -1).flatten(2)))


# Lookups as layers


def test_a_loaded_lookup_gives_the_values_of_its_data():
    table = nn.Lookup(16, 4, 9, 8, beta=2000.0).double().reset(3)
    keys, values = draw(9, 16), draw(9, 8, seed=1)
    assert table.load(keys, values) is table
    close(table(keys), table.out(values), 1e-6)
    assert torch.equal(table.weights(keys).argmax(-1), torch.arange(9)[:, None].expand(9, 4))
    others = ~torch.eye(9, dtype=torch.bool)  # each without its own row
    left = table.weights(keys, others)
    assert not left.diagonal(dim1=0, dim2=2).any()
    close(left.sum(-1), torch.ones(9, 4, dtype=torch.float64))
    assert table.key.requires_grad
    assert table.value.requires_grad


def test_queries_of_any_dimensions_and_masks_that_broadcast():
    table, query = nn.Lookup(16, 2, 5).double(), draw(2, 3, 4, 16)
    keep = torch.tensor([True, False, True, True, False])
    output = table(query, keep)
    assert output.shape == query.shape
    assert table.weights(query).shape == (2, 3, 4, 2, 5)
    close(output[1, 2], table(query[1, 2], keep))
    close(output[1, 2, 3], table(query[1, 2, 3], keep))
    for whole in (torch.tensor(True), torch.ones(2, 3, 4, 5, dtype=torch.bool)):
        close(table(query, whole), table(query))
    assert not table.weights(query, keep)[..., ~keep].any()
    for shape in ((0, 16), (2, 0, 16)):
        assert table(torch.zeros(shape, dtype=torch.float64)).shape == shape


def test_states_copies_and_seeds():
    one, other = nn.Lookup(16, 2, 5).reset(1), nn.Lookup(16, 2, 5).reset(2)
    x = draw(3, 16, dtype=torch.float32)
    assert not torch.allclose(one(x), other(x))
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), one(x))
    assert torch.equal(copy.deepcopy(one)(x), one(x))
    assert torch.equal(nn.Lookup(16, 2, 5).reset(1)(x), one(x))
    source = torch.Generator().manual_seed(1)
    first, second = (nn.Lookup(16, 2, 5).reset(source) for _ in range(2))
    assert not torch.equal(first.key, second.key)


def test_narrow_dtypes_and_autocast():
    for rule in (None, TopK(3, 4.0)):
        table = nn.Lookup(16, 2, 5, separation=rule)
        x = draw(4, 16).bfloat16()
        narrow = copy.deepcopy(table).bfloat16()
        wide = copy.deepcopy(narrow).float()
        assert narrow(x).dtype == narrow.weights(x).dtype == torch.bfloat16
        close(narrow(x).float(), wide(x.float()), 0.05)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            close(table(x).float(), table(x.float()).float(), 0.02)


@pytest.mark.untyped
@pytest.mark.parametrize("rule", [None, Entmax(1.5, 3.0)])
def test_a_lookup_compiles_to_one_graph(rule):
    table, x = nn.Lookup(16, 2, 5, separation=rule, steps=2), draw(4, 16, dtype=torch.float32)
    mask = torch.tensor([True, True, False, True, True])
    torch.compiler.reset()
    compiled = torch.compile(table, fullgraph=True, backend="aot_eager")
    close(compiled(x, mask), table(x, mask), 1e-5)


@pytest.mark.untyped
@pytest.mark.parametrize("rule", [None, Entmax(1.5, 4.0), Cap(4, 1.0)])
def test_gradients_are_right(rule):
    table, x = nn.Lookup(4, 1, 3, separation=rule, steps=2).double(), draw(2, 4)
    own = {name: each.detach().clone().requires_grad_() for name, each in table.named_parameters()}

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        given = dict(zip(own, parameters, strict=True))
        return torch.func.functional_call(table, given, (x,))

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), *own.values()))


@pytest.mark.untyped
def test_they_refuse_in_a_sentence():
    table, x = nn.Lookup(16, 2, 5, 8), draw(3, 16, dtype=torch.float32)
    rows, values = x.new_ones(5, 16), x.new_ones(5, 8)
    before, pool, mask = table.key.clone(), nn.LatentAttention(16, 2, 3), rows[:, 0]
    bad = [
        (lambda: nn.Lookup(16, 3, 5), "Lookup: dim must be a multiple of the 3 heads"),
        (lambda: nn.Lookup(16, 2, 0), "rows must be an integer from 1"),
        (lambda: nn.Lookup(16, 2, 5, 7), "value_dim must be a multiple of the 2 heads"),
        (lambda: nn.Lookup(16, 2, 5, steps=0), "steps must be an integer >= 1"),
        (lambda: nn.Lookup(16, 2, 5, beta=-1.0), "beta must be a finite number > 0"),
        (lambda: nn.Lookup(16, 2, 5, separation="softmax"), "separation must be a separation"),
        (lambda: nn.Lookup(16, 2, 2**31 - 1), "rows must be small enough"),
        (lambda: table(x[:, :8]), "query must be a floating tensor of shape"),
        (lambda: table(x.double()), "query must be torch.float32, as the weights are"),
        (lambda: table(x / 0), "Lookup: query must be finite"),
        (lambda: table(x, torch.ones(5)), "mask must be a bool tensor that broadcasts"),
        (lambda: table(x, torch.ones(4, dtype=torch.bool)), "mask must be a bool tensor that"),
        (lambda: table.load(rows[:4], values), "keys must be a tensor of shape"),
        (lambda: table.load(rows, values[:, :7]), "values must be a tensor of shape"),
        (lambda: table.load(rows.double(), values), "keys must be torch.float32"),
        (lambda: table.load(rows / 0, values), "keys must be finite"),
        (lambda: table.load(rows, values / 0), "values must be finite"),
        (lambda: nn.Lookup(16, 2, 5, beta=1e39), "Lookup: beta must be from 1e-37 to 1e\\+38"),
        (lambda: nn.Lookup(16, 2, 5, beta=1e-50), "Lookup: beta must be from 1e-37 to 1e\\+38"),
        (lambda: table.weights(x / 0), "Lookup.weights: query must be finite"),
        (lambda: nn.hopfield_layer(16, 2, 1e39), "hopfield_layer: beta must be from"),
        (lambda: nn.hopfield_layer(2**2000, 1), "hopfield_layer: dim must be an integer"),
        (lambda: nn.hopfield_layer(16, 3), "hopfield_layer: dim must be a multiple of the 3 heads"),
        (lambda: nn.hopfield_layer(16, 2, 0.0), "beta must be a finite number > 0"),
        (lambda: nn.hopfield_layer(16, 2, steps=0), "steps must be an integer >= 1"),
        (lambda: nn.hopfield_layer("16", 2), "hopfield_layer: dim must be an integer"),
        (lambda: nn.hopfield_pooling(16, 2, 0), "queries must be an integer from 1"),
        (lambda: nn.hopfield_lookup(16, 2, 0), "rows must be an integer from 1"),
        (lambda: nn.sparse_hopfield_layer(16, 0), "heads must be an integer"),
        (lambda: nn.sparse_hopfield_layer(16, 3), "sparse_hopfield_layer: dim must be a multiple"),
        (lambda: nn.hopfield_lookup(16, 3, 1), "hopfield_lookup: dim must be a multiple"),
        (lambda: nn.hopfield_lookup(16, 2, 2**31 - 1), "hopfield_lookup: rows must be small"),
        (lambda: nn.hopfield_pooling(16, 3), "hopfield_pooling: dim must be a multiple"),
        (lambda: nn.hopfield_pooling(16, 2, 2**31 - 1), "hopfield_pooling: queries must be small"),
        (lambda: nn.LatentAttention(16, 3, 1), "LatentAttention: dim must be a multiple"),
        (lambda: pool.reset(-1), "LatentAttention.reset: seed must be"),
        (lambda: pool(rows[None] / 0), "LatentAttention: context must be finite"),
        (lambda: pool(rows[None], mask), "LatentAttention: mask must be a bool tensor"),
        (lambda: pool.weights(rows[None], mask), "LatentAttention.weights: mask must be a bool"),
    ]
    for make, sentence in bad:
        with pytest.raises(kanerva.InputError, match=sentence):
            make()
    assert torch.equal(table.key, before)
