"""Properties of every memory: batches, masks, copies, training, dtypes, options and chunks."""

import copy
import io
import itertools
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import kanerva
from kanerva import (
    Locations,
    Patterns,
    activation,
    bits,
    dynamics,
    functional,
    separation,
    similarity,
)
from kanerva.separation import Softmax

N = 16


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=source(seed), dtype=torch.float64).to(dtype)


def filled(memory, count=12, seed=1):
    """Write random vectors that suit the memory."""
    draw = bits.random if memory.key_bits else normal
    keys = draw(count, memory.dim, seed=seed, dtype=memory.dtype)
    if memory.autoassociative:
        memory.write(keys)
    else:
        values = bits.random(count, memory.value_dim, seed=seed + 1, dtype=memory.dtype)
        memory.write(keys, values)
    return memory


def queries(memory, *shape, seed=3):
    """Return random queries that suit the memory."""
    drawn = normal(*shape, memory.dim, seed=seed, dtype=memory.dtype)
    if memory.key_bits:
        return torch.where(drawn > 0, 1.0, -1.0).to(memory.dtype)
    return drawn


def learned(value):
    return nn.Parameter(torch.tensor(value))


MEMORIES = {
    "modern_hopfield": lambda: kanerva.modern_hopfield(N, 0.5),
    "attention": lambda: kanerva.attention(N, value_dim=5),
    "attention learned": lambda: kanerva.attention(N, learned(0.4), value_dim=3),
    "hopfield": lambda: kanerva.hopfield(N),
    "dense": lambda: kanerva.dense(N, 3),
    "exponential": lambda: kanerva.exponential(N, 0.5),
    "sparse_hopfield": lambda: kanerva.sparse_hopfield(N, 0.5),
    "sdm": lambda: kanerva.sdm(N, 300, 5),
    "sdm_patterns": lambda: kanerva.sdm_patterns(N, 5),
    "sdm_patterns finite": lambda: kanerva.sdm_patterns(N, 5, locations=500),
    "sdm_attention": lambda: kanerva.sdm_attention(N, 5),
    "kernel density": lambda: Patterns(N, similarity=similarity.closeness, separation=Softmax(0.3)),
    "real locations": lambda: Locations(
        normal(40, N, seed=9),
        4,
        similarity=similarity.cosine,
        separation=separation.Step(0.1),
        activation=activation.Identity(),
        counters=torch.float32,
    ),
}


# Alone or in a batch


@pytest.mark.untyped  # the checks take longer than the work
@pytest.mark.parametrize("name", MEMORIES)
@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_is_its_queries_one_by_one(name, masked):
    """The result for a query does not depend on its batch, with or without masks."""
    memory = filled(MEMORIES[name]())
    query = queries(memory, 4)
    mask = torch.rand(4, memory.keys.shape[0], generator=source(4)) > 0.3 if masked else None
    rows = [None] * 4 if mask is None else list(mask)
    pairs = list(zip(query, rows, strict=True))
    verbs = ["scores", "weights", "read"]
    verbs += ["recall"] if memory.value_dim == memory.dim else []
    verbs += ["energy"] if memory.explain(query).energy is not None else []
    for verb in verbs:
        method = getattr(memory, verb)
        together = method(query, mask=mask)
        alone = torch.stack([method(one, mask=row) for one, row in pairs])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4, msg=verb)
    apart = [memory.explain(one, row) for one, row in pairs]
    for field, value in memory.explain(query, mask)._asdict().items():
        if value is not None:
            alone = torch.stack([getattr(one, field) for one in apart])
            torch.testing.assert_close(value, alone, rtol=1e-4, atol=1e-4, msg=field)


@pytest.mark.parametrize(
    "rule",
    [Softmax(0.7), separation.Entmax(1.5, 0.7), separation.TopK(2, 0.7), separation.Power(3)],
    ids=repr,
)
@pytest.mark.parametrize("heads", [1, 4])
def test_heads_are_apart(rule, heads):
    """Under vmap over heads, each head reads as it does alone, for one step and for several."""
    query, keys = (normal(3, heads, count, 8, seed=count, dtype=torch.float64) for count in (5, 6))

    def read(q, k):
        return functional.read(q, k, k, similarity.dot, rule)

    def steps(q, k):
        return dynamics.settle(lambda x: read(x, k), q, steps=3, rate=0.5).state

    for verb in (read, steps):
        together = torch.vmap(torch.vmap(verb))(query, keys)
        for place in itertools.product(range(3), range(heads)):
            torch.testing.assert_close(together[place], verb(query[place], keys[place]))


@pytest.mark.untyped  # the checks take longer than the work
@pytest.mark.parametrize("beta", [0.2, 0.5, 1.0, 2.0])
def test_coming_to_rest_does_not_depend_on_batch_mates(beta):
    """A query stops after as many steps, and in the same state, in a batch of four as alone."""
    memory = kanerva.modern_hopfield(6, beta, dtype=torch.float64)
    memory.write(normal(9, 6, seed=int(10 * beta), dtype=torch.float64))
    query = normal(120, 6, seed=5, dtype=torch.float64)
    alone = [memory.trace(one, steps=200, tolerance=1e-4) for one in query]
    ends = torch.stack([path.states[-1] for path in alone])
    assert len({int(path.steps) for path in alone}) > 3  # so that the test can fail
    for batch in torch.randperm(120, generator=source(6)).reshape(30, 4).tolist():
        path = memory.trace(query[batch], steps=200, tolerance=1e-4)
        assert path.converged.all()
        assert path.steps.tolist() == [int(alone[row].steps) for row in batch]
        torch.testing.assert_close(path.states[-1], ends[batch], rtol=0, atol=1e-12)
    recalled = memory.recall(query, steps=200, tolerance=1e-4)
    torch.testing.assert_close(recalled, ends, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MEMORIES)
def test_queries_of_any_leading_shape(name):
    """Leading dimensions do not change the numbers; an empty batch gives an empty read."""
    memory = filled(MEMORIES[name]())
    query = queries(memory, 2, 3, 4)
    whole = memory.read(query)
    assert whole.shape == (2, 3, 4, memory.value_dim)
    torch.testing.assert_close(memory.read(query[1, 2, 3]), whole[1, 2, 3])
    torch.testing.assert_close(memory.read(query[1, 2]), whole[1, 2])
    torch.testing.assert_close(memory.read(query.transpose(0, 2)), whole.transpose(0, 2))
    assert memory.read(query[:0]).shape == (0, 3, 4, memory.value_dim)
    assert memory.explain(query).entropy.shape == (2, 3, 4)
    if memory.value_dim == memory.dim:
        assert memory.recall(query).shape == query.shape
        assert memory.trace(query, steps=2).states.shape[1:] == query.shape


# Empty reads


@pytest.mark.parametrize("name", MEMORIES)
def test_where_everything_is_masked_a_read_is_zero(name):
    """A query whose keys are all masked reads zeros, not NaN; the other queries are unaffected."""
    memory = filled(MEMORIES[name]())
    query = queries(memory, 4)
    mask = torch.ones(4, memory.keys.shape[0], dtype=torch.bool)
    mask[1] = False
    read = memory.read(query, mask)
    assert (read[1] == 0).all()
    rest = [0, 2, 3]
    torch.testing.assert_close(read[rest], memory.read(query)[rest])
    found = memory.explain(query, mask)
    assert (found.mass[1], found.active[1], found.effective[1], found.entropy[1]) == (0, 0, 0, 0)
    for value in (found.value, found.weights, found.mass, found.effective, found.entropy):
        assert value.isfinite().all()


@pytest.mark.parametrize(
    "rule",
    [
        Softmax(0.3),
        separation.Entmax(1.5, 0.1),
        separation.Entmax(2.0, 0.05),
        separation.TopK(3, 0.3),
    ],
    ids=repr,
)
@pytest.mark.parametrize("similar", [similarity.dot, similarity.closeness])
def test_where_everything_is_masked_the_gradient_is_zero(similar, rule):
    """A query whose keys are all masked has gradient zero; the other gradients are unaffected."""
    memory = filled(Patterns(N, similarity=similar, separation=rule))
    query = queries(memory, 3).requires_grad_()
    mask = torch.ones(3, memory.keys.shape[0], dtype=torch.bool)
    mask[1] = False
    (slope,) = torch.autograd.grad(memory.read(query, mask).square().sum(), query)
    (plain,) = torch.autograd.grad(memory.read(query).square().sum(), query)
    assert (slope[1] == 0).all()
    assert (plain[1] != 0).any()
    torch.testing.assert_close(slope[[0, 2]], plain[[0, 2]])
    assert memory.energy(query.detach(), mask).isinf().tolist() == [False, True, False]


def test_queries_out_of_reach():
    """For a query that activates nothing the mass is 0, and ``empty`` selects the read."""
    stored = bits.random(1, 64, seed=0)
    far = -stored
    for build in (
        lambda **how: kanerva.sdm_patterns(64, 5, **how),
        lambda **how: kanerva.sdm(64, 5000, 20, **how),
    ):
        memory = build()
        memory.write(stored)
        found = memory.explain(torch.cat([far, stored]))
        assert found.mass[0] == 0
        assert (found.value[0] == 0).all()
        assert (found.mass[1:] > 0).all()
        kept = build(empty="keep")
        kept.write(stored)
        assert torch.equal(kept.read(far), far)
        strict = build(empty="raise")
        strict.write(stored)
        with pytest.raises(kanerva.InputError, match=r"out of reach.* 1 of 2"):
            strict.read(torch.cat([far, stored]))


# Copies, files, dtypes


@pytest.mark.parametrize("name", MEMORIES)
def test_copies_and_files(name, tmp_path):
    """A deep copy is independent; a state dict loads with ``weights_only`` and from safetensors."""
    memory = filled(MEMORIES[name]())
    query = queries(memory, 3)
    before = memory.read(query)
    twin = copy.deepcopy(memory)
    filled(twin, 20, seed=30)
    assert torch.equal(memory.read(query), before)
    assert not torch.equal(twin.read(query), before)
    file = io.BytesIO()
    torch.save(memory.state_dict(), file)
    file.seek(0)
    save_file(memory.state_dict(), tmp_path / "memory.safetensors")
    for state in (torch.load(file, weights_only=True), load_file(tmp_path / "memory.safetensors")):
        other = MEMORIES[name]()
        other.load_state_dict(state)
        torch.testing.assert_close(other.read(query), before, rtol=0, atol=0)
        assert len(other) == len(memory)
        assert all(type(tensor) is torch.Tensor for tensor in other.state_dict().values())


def test_ids_are_permanent():
    """Forgetting, copying and loading leave ids unchanged, and no id is used twice."""
    memory = kanerva.attention(4, 50.0, value_dim=1)
    keys = normal(6, 4)
    assert memory.write(keys[:4], torch.arange(4.0)[:, None]).tolist() == [0, 1, 2, 3]
    memory.forget([1, 3])
    assert memory.ids.tolist() == [0, 2]
    # The id 3 is free, but was used before.
    assert memory.write(keys[4], torch.tensor([4.0])).item() == 4
    with pytest.raises(kanerva.InputError, match=r"\[1\], which is not"):
        memory.forget([0, 1])
    assert memory.ids.tolist() == [0, 2, 4]  # nothing was removed
    other = kanerva.attention(4, 50.0, value_dim=1)
    other.load_state_dict(memory.state_dict())
    for one in (copy.deepcopy(memory), other):
        assert one.write(keys[5], torch.tensor([5.0])).item() == 5
        one.forget(torch.tensor([0, 2, 4]))
        assert one.ids.tolist() == [5]
        assert one.read(keys[0]).item() == 5.0
    memory.forget(memory.ids)
    assert len(memory) == 0
    assert memory.write(keys[:1], torch.zeros(1, 1)).tolist() == [5]
    ids = memory.write(keys.reshape(2, 3, 4), torch.zeros(2, 3, 1))
    assert ids.tolist() == [[6, 7, 8], [9, 10, 11]]


def test_growth_is_amortised():
    """A thousand writes move the stored rows fewer than 16 times; files have no spare room."""
    memory = kanerva.modern_hopfield(8, 1.0)
    rows = normal(1000, 8)
    places = set()
    for row in rows:
        memory.write(row)
        places.add(memory.keys.data_ptr())
    assert len(places) < 16
    assert torch.equal(memory.keys, rows)
    file = io.BytesIO()
    torch.save(memory.state_dict(), file)
    assert file.tell() < 1.2 * (rows.nbytes + memory.ids.nbytes) + 4096
    for shrink in (memory.half, lambda: memory.forget(memory.ids[:900])):
        memory.write(torch.zeros(600, 8, dtype=memory.dtype))  # makes spare room again
        shrink()
        assert memory.keys.untyped_storage().nbytes() == memory.keys.nbytes
        # No public attribute shows that the spare room was released.
        assert "keys" not in memory._room


def test_written_tensors_are_copied():
    """A change of a tensor after it was written does not change the memory."""
    keys = normal(3, 4)
    memory = kanerva.modern_hopfield(4, 1.0)
    memory.write(keys)
    read = memory.read(torch.ones(4))
    keys.zero_()
    assert torch.equal(memory.read(torch.ones(4)), read)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", MEMORIES)
def test_change_of_dtype(name, dtype):
    """After ``.to(dtype)`` queries and reads have that dtype, integers keep theirs, writes work."""
    memory = filled(MEMORIES[name]())
    query = queries(memory, 3)
    before = memory.read(query)
    integers = integer_dtypes(memory)
    memory.to(dtype)
    after = memory.read(query.to(dtype))
    assert after.dtype == memory.dtype == dtype
    assert integer_dtypes(memory) == integers
    tolerance = {torch.float16: 0.03, torch.bfloat16: 0.2, torch.float64: 1e-4}[dtype]
    # One rounding may decide whether a real location is active.
    if name != "real locations" or dtype == torch.float64:
        torch.testing.assert_close(after.float(), before.float(), rtol=tolerance, atol=tolerance)
    filled(memory, 2, seed=50)
    assert memory.read(query.to(dtype)).isfinite().all()
    assert len(memory) == 14


def integer_dtypes(memory):
    """Return the dtypes of the tensors in a state that are not floating."""
    state = memory.state_dict().items()
    return {name: tensor.dtype for name, tensor in state if not tensor.is_floating_point()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single(dtype):
    """Sums over thousands of half-precision rows are accurate to one rounding of the result."""
    count = 5000  # float16 holds all integers up to 2048 only, bfloat16 up to 256
    keys, values = normal(count, 8, dtype=dtype), (1 + normal(count, 3, seed=1)).to(dtype)
    query = normal(6, 8, seed=2, dtype=dtype)
    step = torch.finfo(dtype).eps
    for rule in (
        Softmax(0.0),
        Softmax(0.3),
        separation.Entmax(1.5, 0.3),
        separation.Normalised(separation.Power(2)),
    ):
        weights = functional.weights(query, keys, similarity.dot, rule)
        assert weights.dtype == torch.float32
        total, ones = weights.double().sum(-1), torch.ones(6, dtype=torch.float64)
        torch.testing.assert_close(total, ones, rtol=0, atol=1e-5)
        wide = (query.double(), keys.double(), values.double())
        exact = functional.read(*wide, similarity.dot, rule)
        read = functional.read(query, keys, values, similarity.dot, rule)
        assert read.dtype == dtype
        torch.testing.assert_close(read.double(), exact, rtol=step, atol=step)
    long = bits.random(40, 3000, seed=0, dtype=dtype)  # agreements beyond half precision
    near = bits.flip(long, 5, seed=1)
    memory = kanerva.sdm_patterns(3000, 1400, dtype=dtype)
    memory.write(long)
    exact = kanerva.sdm_patterns(3000, 1400, dtype=torch.float64)
    exact.write(long.double())
    weights = memory.weights(near).double()
    torch.testing.assert_close(weights, exact.weights(near.double()), rtol=1e-5, atol=1e-7)


# Training


def test_beta_is_trained():
    """Gradient descent on a learned inverse temperature raises it and lowers the loss."""
    memory = kanerva.modern_hopfield(N, learned(0.05))
    patterns = normal(10, N)
    memory.write(patterns)
    assert [name for name, _ in memory.named_parameters()] == ["beta"]
    descent = torch.optim.SGD(memory.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        descent.zero_grad()
        loss = (memory.read(patterns + 0.3 * normal(10, N, seed=7)) - patterns).square().mean()
        loss.backward()
        descent.step()
        losses.append(loss.item())
    assert all(after < before for before, after in itertools.pairwise(losses))
    assert losses[-1] < losses[0] / 3
    assert memory.beta.item() > 0.1
    assert memory.separation.beta is memory.beta


def test_functional_call_uses_the_beta_it_is_given():
    """``functional_call`` replaces beta for that call, and the replacement gets the gradient."""
    memory = filled(kanerva.attention(N, learned(0.3), value_dim=4))
    query, other = queries(memory, 5), torch.tensor(2.0, requires_grad=True)
    swapped = torch.func.functional_call(memory, {"beta": other}, (query,))
    expected = functional.read(query, memory.keys, memory.values, similarity.dot, Softmax(2.0))
    torch.testing.assert_close(swapped, expected)
    assert not torch.allclose(swapped, memory(query))
    (slope,) = torch.autograd.grad(swapped.sum(), other)
    step = 1e-2

    def total(beta):
        rule = Softmax(beta)
        return functional.read(query, memory.keys, memory.values, similarity.dot, rule).sum()

    up, down = total(2.0 + step), total(2.0 - step)
    assert slope.item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-2)


def softmax_read(query, keys):
    return functional.read(query, keys, keys, similarity.dot, Softmax(0.5))


SIMILARITIES = ("dot", "cosine", "closeness", "agreement", "manhattan")
WEIGHTS = (
    Softmax(0.5),
    separation.Linear(),
    separation.Power(3),
    separation.Exponential(0.3),
    separation.Entmax(1.3, 0.4),
    separation.Entmax(1.5, 0.4),
    separation.Entmax(2.0, 0.2),
    separation.TopK(2, 0.5),
    separation.Normalised(separation.Power(3)),
)
POTENTIALS = (
    Softmax(0.5),
    separation.Linear(),
    separation.Power(3),
    separation.Exponential(0.3),
    separation.Entmax(1.0, 0.4),
    separation.Entmax(1.5, 0.4),
    separation.TopK(2, 0.5),
    separation.Step(0.1),
    separation.Argmax(),
    separation.Compact(0.1),
)
DIFFERENTIABLE = {
    **{f"similarity.{name}": getattr(similarity, name) for name in SIMILARITIES},
    **{f"separation.{rule}": lambda q, k, rule=rule: rule(q @ k.T) for rule in WEIGHTS},
    **{
        f"potential of {rule}": lambda q, k, rule=rule: rule.potential(q @ k.T)
        for rule in POTENTIALS
    },
    "activation.Unit": lambda q, k: activation.Unit()(q @ k.T, q),
    "functional.scores": lambda q, k: functional.scores(q, k, similarity.dot, torch.zeros(4)),
    "functional.weights": lambda q, k: functional.weights(q, k, similarity.closeness, Softmax(0.5)),
    "functional.field": lambda q, k: functional.field(q, k, k, similarity.dot, Softmax(0.5)).value,
    "functional.read": softmax_read,
    "functional.energy": lambda q, k: functional.energy(q, k, similarity.dot, Softmax(0.5)),
    "dynamics.settle": lambda q, k: dynamics.settle(lambda x: softmax_read(x, k), q, steps=3).state,
    "dynamics.trace": lambda q, k: dynamics.trace(lambda x: softmax_read(x, k), q, steps=3).states,
    "dynamics.chain": lambda q, k: dynamics.chain(lambda x: softmax_read(x, k), q, 3),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_backward_runs_on_the_cpu(name):
    """The gradients of queries and keys are finite and not zero."""
    query = normal(3, 5, seed=1).requires_grad_()
    keys = normal(4, 5, seed=2).requires_grad_()
    slopes = torch.autograd.grad(DIFFERENTIABLE[name](query, keys).square().sum(), (query, keys))
    for slope in slopes:
        assert slope.isfinite().all()
        assert (slope != 0).any()


@pytest.mark.parametrize("verb", ["read", "recall", "energy", "scores", "weights"])
def test_backward_of_the_methods(verb):
    """The methods of a memory are differentiable in the query and in a trained beta."""
    memory = filled(kanerva.modern_hopfield(N, learned(0.4)))
    query = queries(memory, 3).requires_grad_()
    loss = getattr(memory, verb)(query).square().sum()
    slopes = torch.autograd.grad(loss, (query, memory.beta), allow_unused=True)
    assert slopes[0].isfinite().all()
    assert (slopes[0] != 0).any()
    assert (slopes[1] is None) == (verb == "scores")
    found = memory.explain(query)
    (slope,) = torch.autograd.grad(found.entropy.sum() + found.energy.sum(), memory.beta)
    assert slope.isfinite()
    assert slope != 0


# Options and routes

ONE = {
    "beta": (lambda: kanerva.modern_hopfield(N, 0.3), lambda: kanerva.modern_hopfield(N, 0.4)),
    "default beta": (lambda: kanerva.attention(N), lambda: kanerva.attention(N, 0.3)),
    "alpha": (
        lambda: kanerva.sparse_hopfield(N, 0.3),
        lambda: kanerva.sparse_hopfield(N, 0.3, alpha=1.5),
    ),
    "alpha 1": (
        lambda: kanerva.sparse_hopfield(N, 0.3, alpha=1.1),
        lambda: kanerva.sparse_hopfield(N, 0.3, alpha=1.0),
    ),
    "order": (lambda: kanerva.dense(N, 2), lambda: kanerva.dense(N, 6)),
    "diagonal": (lambda: kanerva.hopfield(N), lambda: kanerva.hopfield(N, "kept")),
    "exponential beta": (lambda: kanerva.exponential(N, 0.1), lambda: kanerva.exponential(N, 2.0)),
    "radius": (lambda: kanerva.sdm_patterns(N, 3), lambda: kanerva.sdm_patterns(N, 7)),
    "finite locations": (
        lambda: kanerva.sdm_patterns(N, 5),
        lambda: kanerva.sdm_patterns(N, 5, locations=300),
    ),
    "count of locations": (
        lambda: kanerva.sdm_patterns(N, 5, locations=100),
        lambda: kanerva.sdm_patterns(N, 5, locations=300),
    ),
    "seed of overlaps": (
        lambda: kanerva.sdm_patterns(N, 5, 100),
        lambda: kanerva.sdm_patterns(N, 5, 100, seed=1),
    ),
    "neurons": (lambda: kanerva.sdm(N, 200, 5), lambda: kanerva.sdm(N, 300, 5)),
    "radius of neurons": (lambda: kanerva.sdm(N, 200, 5), lambda: kanerva.sdm(N, 200, 6)),
    "seed of neurons": (lambda: kanerva.sdm(N, 200, 5), lambda: kanerva.sdm(N, 200, 5, seed=1)),
    "patterns": (
        lambda: kanerva.sdm(N, 200, patterns=5),
        lambda: kanerva.sdm(N, 200, patterns=100),
    ),
    "tie": (
        lambda: kanerva.sdm(N, 200, 5, tie="plus"),
        lambda: kanerva.sdm(N, 200, 5, tie="minus"),
    ),
    "tie kept": (lambda: kanerva.sdm(N, 200, 5), lambda: kanerva.sdm(N, 200, 5, tie="keep")),
    "seed of ties": (
        lambda: Patterns(N, separation=separation.Linear(), activation=activation.Sign(seed=0)),
        lambda: Patterns(N, separation=separation.Linear(), activation=activation.Sign(seed=1)),
    ),
    "empty": (lambda: kanerva.sdm_patterns(N, 1), lambda: kanerva.sdm_patterns(N, 1, empty="keep")),
    "method": (
        lambda: kanerva.sdm_attention(N, 3),
        lambda: kanerva.sdm_attention(N, 3, method="mse"),
    ),
    "similarity": (
        lambda: Patterns(N, separation=Softmax(0.5)),
        lambda: Patterns(N, similarity=similarity.cosine, separation=Softmax(0.5)),
    ),
    "k": (
        lambda: Patterns(N, separation=separation.TopK(2, 0.1)),
        lambda: Patterns(N, separation=separation.TopK(3, 0.1)),
    ),
    "activation": (
        lambda: Patterns(N, separation=Softmax(0.5)),
        lambda: Patterns(N, separation=Softmax(0.5), activation=activation.Unit()),
    ),
    "dtype": (
        lambda: kanerva.modern_hopfield(N, 0.5),
        lambda: kanerva.modern_hopfield(N, 0.5, dtype=torch.float16),
    ),
}


@pytest.mark.parametrize("option", ONE)
def test_every_option_changes_what_is_read(option):
    """No option of a memory is ignored."""
    reads = []
    for build in ONE[option]:
        memory = build()
        rows = bits.random(12, N, seed=1, dtype=memory.dtype)
        memory.write(rows, None if isinstance(memory, Patterns) else rows)
        query = bits.random(60, N, seed=2, dtype=memory.dtype)
        found = memory.explain(query)
        detail = found.weights if memory.separation.normalised else found.value
        reads.append(torch.cat([memory.read(query), detail], -1).double())
    assert not torch.equal(*reads)


def test_counters_that_saturate_forget_and_those_that_raise_refuse():
    """The option ``overflow`` decides the effect of the 128th write to an 8-bit counter."""
    key = bits.random(1, N, seed=0)
    reads = []
    for counters, overflow in ((torch.int8, "saturate"), (torch.int16, "raise")):
        memory = kanerva.sdm(N, 200, 5, counters=counters, overflow=overflow)
        memory.write(key.expand(200, N))
        memory.write(key.expand(150, N), -key.expand(150, N))
        reads.append(memory.read(key))
    assert torch.equal(reads[0], -key)  # 127 - 150 < 0
    assert torch.equal(reads[1], key)  # 200 - 150 > 0
    memory = kanerva.sdm(N, 200, 5, counters=torch.int8, overflow="raise")
    memory.write(key.expand(127, N))
    with pytest.raises(kanerva.InputError, match="no counter passes 127"):
        memory.write(key)


def test_every_option_of_a_recall_changes_it():
    """Steps, rate, tolerance and mask change ``recall`` and ``trace`` alike."""
    memory = filled(kanerva.modern_hopfield(N, 0.2))
    query = queries(memory, 5)
    mask = torch.rand(5, 12, generator=source(8)) > 0.5
    plain = {"steps": 30, "rate": 1.0, "tolerance": 0.0, "mask": None}
    ends = [memory.recall(query, **plain)]
    for change in ({"steps": 2}, {"rate": 0.2}, {"tolerance": 0.3}, {"mask": mask}):
        options = plain | change
        ends.append(memory.recall(query, **options))
        last = memory.trace(query, **options).states[-1]
        torch.testing.assert_close(last, ends[-1], rtol=0, atol=1e-6)
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(ends, 2))


@pytest.fixture
def attended(monkeypatch):
    """Return the shapes of the queries that torch's attention kernel has read."""
    calls = []
    attention = torch.nn.functional.scaled_dot_product_attention

    def counted(*args, **kwargs):
        calls.append(args[0].shape)
        return attention(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    return calls


@pytest.mark.parametrize("beta", [0.0, 0.3, torch.tensor(0.3), 20.0], ids=str)
@pytest.mark.parametrize("rows", [1, 5, 33])
def test_attention_kernel_and_plain_route_agree(attended, rows, beta):
    """Torch's kernel and the plain sum agree; a read with a gradient or a mask takes the sum."""
    memory = kanerva.attention(N, beta, dtype=torch.float64)
    memory.write(normal(3000, N, dtype=torch.float64))  # too many scores for the plain route
    query = normal(rows, N, seed=1, dtype=torch.float64)
    fast = memory.read(query)
    taken = len(attended)
    assert taken == 1
    plain = memory.read(query.clone().requires_grad_()).detach()
    masked = memory.read(query, torch.ones(3000, dtype=torch.bool))
    by_hand = torch.softmax(beta * query @ memory.keys.T, -1) @ memory.keys
    assert len(attended) == taken
    for read in (fast, plain, masked):
        torch.testing.assert_close(read, by_hand, rtol=1e-12, atol=1e-12)


def test_the_attention_kernel_is_left_where_it_would_build_all_scores(attended):
    """Values of another length are not read by torch's kernel, which would build all scores."""
    memory = filled(kanerva.attention(N, 0.3, value_dim=5))
    memory.read(queries(memory, 33))
    assert attended == []


@pytest.mark.untyped  # the checks take longer than the work
@pytest.mark.parametrize("name", MEMORIES)
def test_no_size_of_chunk_changes_a_read(name):
    """The budget changes the size of chunks, but neither a read nor a write."""
    memory = filled(MEMORIES[name](), 7)
    query = queries(memory, 5)
    count = memory.keys.shape[0]
    mask = torch.rand(5, count, generator=source(4)) > 0.3
    plain, masked = memory.read(query), memory.read(query, mask)
    for budget in (1, 2 * 64 * count, 3 * 64 * count, 4000, 2**40):
        with kanerva.settings.use(budget=budget):
            torch.testing.assert_close(memory.read(query), plain)
            torch.testing.assert_close(memory.read(query, mask), masked)
            torch.testing.assert_close(memory.read(query[:1]), plain[:1])  # shorter than a chunk
            torch.testing.assert_close(filled(MEMORIES[name](), 7).read(query), plain)


@pytest.mark.untyped  # the checks take longer than the work
@pytest.mark.parametrize("name", MEMORIES)
def test_masks_in_every_form(name):
    """None equals True and zeros; False equals -inf; shapes (m), (1, m) and (b, m) broadcast."""
    memory = filled(MEMORIES[name]())
    query = queries(memory, 2, 3)
    count = memory.keys.shape[0]
    half = torch.rand(count, generator=source(4)) > 0.5
    wide = half.expand(2, 3, count)
    some = torch.where(half, 0.0, -torch.inf)
    ones = torch.ones(count, dtype=torch.bool)
    zeros = torch.zeros(count)
    verbs = ["read", "weights", "recall"] if memory.value_dim == memory.dim else ["read", "weights"]
    for verb in verbs:
        method = getattr(memory, verb)
        for free in (ones, zeros, torch.zeros(2, 1, count, dtype=torch.float64)):
            torch.testing.assert_close(method(query, mask=free), method(query))
        kept = method(query, mask=half)
        assert name == "sdm" or not torch.equal(kept, method(query))
        for same in (half[None], wide, some, some.expand(2, 3, count), some[None, None].double()):
            torch.testing.assert_close(method(query, mask=same), kept)
    only = filled(MEMORIES[name]())
    if isinstance(only, Patterns):  # masked keys count no more than forgotten ones
        only.forget(only.ids[~half])
        torch.testing.assert_close(only.read(query), memory.read(query, half))


@pytest.mark.untyped
@pytest.mark.parametrize("verb", ["read", "weights", "recall", "trace", "energy", "explain"])
@pytest.mark.parametrize(
    "mask",
    [
        torch.ones(5) > 0,
        torch.ones(2, 4) > 0,
        torch.ones(3, 1, 4) > 0,
        torch.ones(4, dtype=torch.int64),
    ],
    ids=["5", "2x4", "3x1x4", "int"],
)
def test_a_mask_that_does_not_fit_is_refused(verb, mask):
    """Every method refuses a mask of the wrong shape or dtype with an InputError."""
    memory = kanerva.modern_hopfield(4, 1.0)
    memory.write(torch.eye(4))
    with pytest.raises(kanerva.InputError, match="mask must be"):
        getattr(memory, verb)(normal(3, 4), mask=mask)


# Chance and energy


@pytest.mark.parametrize("name", ["sdm", "sdm_patterns finite", "hopfield", "dense"])
def test_same_seed_same_bits(name):
    """Two memories with the same seed and the same patterns read the same bits."""
    query = bits.random(50, N, seed=8)
    assert torch.equal(filled(MEMORIES[name]()).read(query), filled(MEMORIES[name]()).read(query))
    drawn = [bits.random(4, 64, seed=5), bits.random(4, 64, seed=source(5))]
    assert torch.equal(*drawn)


DOWNHILL = {
    "modern_hopfield": lambda: kanerva.modern_hopfield(N, 0.4, dtype=torch.float64),
    "hopfield kept": lambda: kanerva.hopfield(N, "kept"),
    "sparse_hopfield": lambda: kanerva.sparse_hopfield(N, 0.4, dtype=torch.float64),
    "entmax 1.5": lambda: kanerva.sparse_hopfield(N, 0.4, alpha=1.5, dtype=torch.float64),
    "kernel density": lambda: Patterns(
        N, similarity=similarity.closeness, separation=Softmax(0.3), dtype=torch.float64
    ),
    "nearest": lambda: Patterns(N, separation=separation.Argmax(), dtype=torch.float64),
    "power sign": lambda: Patterns(
        N, separation=separation.Power(3), activation=activation.Sign("keep")
    ),
    "exponential sign": lambda: Patterns(
        N,
        separation=separation.Exponential(0.5),
        activation=activation.Sign("keep"),
        dtype=torch.float64,
    ),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", DOWNHILL)
@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_energy_never_rises(name, rate):
    """No step of 200 recalls raises the energy, at rate 1 and at rate 0.3."""
    memory = filled(DOWNHILL[name](), 20)
    if memory.value_bits and rate != 1:
        pytest.skip("bits take whole steps only")
    query = queries(memory, 200) * (1 if memory.key_bits else 2)
    path = memory.trace(query, steps=50, rate=rate)
    assert (path.energies[0] > path.energies[-1]).any()
    assert (path.energies.diff(dim=0) <= 1e-6 * path.energies.abs().amax()).all()


# Memory use

SIZES = """
import sys, torch, kanerva
from kanerva import functional, separation, similarity

def status(name):
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def peak(task):
    open("/proc/self/clear_refs", "w").write("5")  # resets the high-water mark
    before = status("VmRSS")
    task()
    return status("VmHWM") - before

count, dim = int(sys.argv[1]), 256
torch.set_num_threads(1)
kanerva.settings.budget = 64 * 2**20
draw = torch.Generator().manual_seed(0)
rule = separation.Softmax(0.1)
memory = kanerva.Patterns(dim, similarity=getattr(similarity, sys.argv[2]), separation=rule)

def drawn(rows):
    return torch.randint(0, 2, (rows, dim), generator=draw).float() * 2 - 1

query = drawn(8)
memory.write(query)
memory.read(query)
# The first read of many queries loads the compiler of loops.
functional.read(drawn(4000), drawn(8), drawn(8)[:, :3], similarity.dot, rule)

def write():
    for start in range(0, count, 10_000):
        memory.write(drawn(10_000))

def masked():
    memory.read(query, torch.ones(len(memory), dtype=torch.bool))

print(memory.keys.nbytes, peak(write), peak(lambda: memory.read(query)), peak(masked))
print(memory.keys.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the high-water mark is read from /proc"
)
@pytest.mark.parametrize("similar", ["dot", "agreement", "closeness", "cosine", "manhattan"])
def test_a_million_patterns_stay_within_the_budget(similar):
    """Reads of a million patterns stay below the budget, and writes below twice their size."""
    run = subprocess.run(
        [sys.executable, "-c", SIZES, "1000000", similar],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    printed = [[int(word) for word in line.split()] for line in run.stdout.splitlines()]
    (_, writing, reading, masked), (stored,) = printed
    assert stored > 1_000_000 * 256 * 4
    assert writing < 2 * stored
    assert reading < 64 * 2**20
    assert masked < 64 * 2**20


@pytest.mark.untyped  # the checks take longer than the work
@pytest.mark.parametrize(
    ("dim", "compare", "active"),
    [
        (8, similarity.dot, activation.Identity()),
        (16, similarity.agreement, activation.Sign()),
    ],
)
def test_no_array_of_scores_is_larger_than_the_budget(dim, compare, active):
    """Reads and recalls of many queries build the scores of a few queries at a time."""
    largest = []

    def watched(query, keys):
        scores = compare(query, keys)
        largest.append(scores.numel())
        return scores

    rule = separation.Normalised(separation.Exponential(0.3))
    memory = filled(Patterns(dim, similarity=watched, separation=rule, activation=active), 100)
    query = queries(memory, 300)
    budget = 64 * 100 * 7  # room for seven queries against everything
    with kanerva.settings.use(budget=budget):
        memory.read(query)
        memory.recall(query, steps=3)
        memory.read(query, torch.ones(300, 100, dtype=torch.bool))
    assert 350 < max(largest) <= 700
    with kanerva.settings.use(budget=1):
        memory.read(query)
        with pytest.raises(kanerva.InputError, match="few enough for 1 bytes of weights"):
            memory.weights(query)


@pytest.mark.parametrize(
    "similar", [similarity.closeness, similarity.cosine], ids=lambda part: part.__name__
)
def test_no_copy_of_all_keys_is_made(similar, monkeypatch):
    """Similarities that shift or scale the keys get them a piece at a time."""
    pieces = []

    def watched(query, keys):
        pieces.append(len(keys))
        return similar(query, keys)

    keys, query = normal(1000, 8), normal(3, 8, seed=1)
    with kanerva.settings.use(budget=32 * 8 * 100):
        cut = functional.scores(query, keys, watched)
    assert max(pieces) == 100
    torch.testing.assert_close(cut, similar(query, keys))
