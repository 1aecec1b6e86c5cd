"""Energies in context: what a query sees, training, and the memory that writes its context."""

import copy
import math
import time

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, spearmanr

import kanerva
from kanerva import InputError, Patterns, density
from kanerva.density import InContext, Langevin, context_energy, fit_in_context
from kanerva.density._langevin import starts, walk
from kanerva.lab.papers.schaeffer2024 import _context, _maps
from kanerva.separation import Compact, Softmax
from kanerva.similarity import closeness


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def clusters(source):
    centre = 3 * torch.randn(32, 1, 2, generator=source)
    return centre + 0.5 * torch.randn(32, 5, 2, generator=source)


def kernels(beta=2.0, dtype=torch.float64, rule=Softmax):
    return Patterns(2, similarity=closeness, separation=rule(beta), dtype=dtype)


def plain(model, context, query):
    """Return the energy of one query given a whole context: one pass over one sequence.

    The blocks are written again, with explicit attention, from the description alone.
    """
    x = torch.cat((context, query[None]))
    kinds = torch.tensor([0] * len(context) + [1])
    x = x @ model.place.weight.T + model.place.bias + model.types[kinds]
    later = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
    for block in model.blocks:
        first, second = block.norms
        mapped = block.project(first(x))
        heads = [part.unflatten(-1, (block.heads, -1)) for part in mapped.chunk(3, -1)]
        q, k, v = (part.transpose(0, 1) for part in heads)
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(later, -math.inf)
        x = x + block.out((scores.softmax(-1) @ v).transpose(0, 1).flatten(1))
        x = x + block.narrow(torch.nn.functional.gelu(block.wide(second(x))))
    return model.out(x[-1])[0]


MODELS = [
    {"width": 16, "layers": 1, "heads": 1},
    {"width": 32, "layers": 2},
    {"layers": 3, "heads": 8},
]


@pytest.mark.parametrize("size", MODELS)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_all_positions_at_once_equal_a_pass_for_each(size, dtype, error):
    model = InContext(2, **size, dtype=dtype)
    context, query = drawn(7, 2, dtype=dtype), drawn(8, 2, seed=1, dtype=dtype)
    found = model.energy(context, query)
    alone = torch.stack([plain(model, context[:i], query[i]) for i in range(8)])
    assert found.dtype == dtype
    assert torch.allclose(found, alone, rtol=error, atol=error)
    whole = torch.stack([plain(model, context, row) for row in query])
    assert torch.allclose(model.energy(context, query, seen=7), whole, rtol=error, atol=error)


def test_a_query_sees_only_the_points_before_it():
    model, context, query = InContext(3), drawn(4, 6, 3), drawn(4, 6, 3, seed=1)
    before = model.energy(context, query)
    for place in range(6):
        changed = context.clone()
        changed[:, place] = 100.0
        after = model.energy(changed, query)
        assert torch.equal(after[:, : place + 1], before[:, : place + 1])
        assert bool((after[:, place + 1 :] != before[:, place + 1 :]).all())


def test_a_query_sees_no_other_query():
    model, context, query = InContext(3), drawn(6, 3), drawn(6, 3, seed=1)
    slopes = torch.autograd.functional.jacobian(lambda q: model.energy(context, q), query)
    off = slopes[~torch.eye(6, dtype=torch.bool)]
    assert not off.any()
    own = torch.stack([slopes[place, place] for place in range(6)])
    assert torch.allclose(model.score(context, query), -own, atol=1e-6)


def test_the_score_is_the_slope_by_differences():
    model = InContext(2, 16, dtype=torch.float64)
    context, query = drawn(3, 5, 2, dtype=torch.float64), drawn(3, 5, 2, dtype=torch.float64)
    score, step = model.score(context, query), 1e-6
    for axis in range(2):
        away = torch.zeros(2, dtype=torch.float64)
        away[axis] = step
        rise = model.energy(context, query + away) - model.energy(context, query - away)
        assert torch.allclose(score[..., axis], -rise / (2 * step), atol=1e-7)


def test_the_order_of_what_is_seen_counts_through_the_causal_mask_only():
    model, context, query = InContext(2, layers=1), drawn(6, 2), drawn(1, 2, seed=1)
    turned = context.flip(0)
    one, other = (model.energy(rows, query, seen=6) for rows in (context, turned))
    assert torch.allclose(one, other, atol=1e-6)  # one layer has no positions at all


def test_leading_dimensions_broadcast():
    model, context = InContext(2, 16), drawn(5, 4, 2)
    query = drawn(3, 1, 4, 2, seed=1)
    found = model.energy(context, query)
    assert found.shape == (3, 5, 4)
    for several, each in ((0, 4), (2, 1)):
        one = model.energy(context[each], query[several, 0])
        assert torch.allclose(found[several, each], one, atol=1e-6)
    assert model.score(context, query).shape == (3, 5, 4, 2)
    assert model.energy(context, drawn(9, 2), seen=2).shape == (5, 9)


def test_no_points_no_queries_and_no_contexts():
    model = InContext(2, 16)
    assert model.energy(torch.empty(0, 2), torch.empty(0, 2)).shape == (0,)
    first = model.energy(torch.empty(0, 2), drawn(1, 2))
    assert torch.allclose(first, model.energy(drawn(4, 2, seed=3), drawn(4, 2))[:1], atol=1e-6)
    assert model.energy(torch.empty(0, 3, 2), torch.empty(0, 3, 2)).shape == (0, 3)
    assert model.sample(torch.empty(0, 2), 3).shape == (3, 2)
    assert model.sample(drawn(4, 2), 0).shape == (0, 2)
    assert context_energy(
        torch.empty(0, 3, 2), torch.empty(0, 3, 2), kernels(1, torch.float32)
    ).shape == (0, 3)
    nothing = context_energy(torch.empty(0, 2), drawn(1, 2), kernels(1, torch.float32))
    assert nothing.tolist() == [math.inf]


def test_batch_mates_change_nothing():
    model, context, query = InContext(2), drawn(33, 8, 2), drawn(33, 8, 2, seed=1)
    whole = model.energy(context, query)
    for place in (0, 7, 32):
        one = model.energy(context[place], query[place])
        assert torch.allclose(whole[place], one, rtol=0, atol=1e-6)


def test_the_seed_gives_the_weights_and_float64_has_the_same():
    one, other = InContext(2, seed=3), InContext(2, seed=3)
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name])
    assert not torch.equal(one.place.weight, InContext(2, seed=4).place.weight)
    double = InContext(2, seed=3, dtype=torch.float64)
    assert torch.equal(double.place.weight, one.place.weight.double())


def test_samples_follow_the_seed():
    model, context = InContext(2, 16), drawn(3, 4, 2)
    chain = Langevin(steps=5, noise=0.2, box=4.0)
    one, same, other = (model.sample(context, 6, chain, seed) for seed in (1, 1, 2))
    assert one.shape == (3, 6, 2)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    still = model.sample(context, 1000, Langevin(steps=0, box=4.0))
    assert still.abs().max() <= 4
    assert abs(still.std().item() - 4 / math.sqrt(3)) < 0.1


def test_long_chains_with_the_noise_of_temperature_one_sample_the_density():
    """An energy that is half a square has normal samples, with the discretisation's variance."""

    def square(x):
        return 0.5 * x.square().sum(-1)

    source, rate = torch.Generator().manual_seed(0), 0.1
    chain = Langevin(steps=200, rate=rate, noise=math.sqrt(2 * rate), box=3.0)
    first = starts((20_000, 1), torch.empty(0, dtype=torch.float64), chain, source)
    found = walk(square, first, chain, source)
    assert abs(found.var().item() - 1 / (1 - rate / 2)) < 0.04


@pytest.mark.untyped
def test_training_learns_and_follows_the_seed():
    one, other = InContext(2, 16, seed=1), InContext(2, 16, seed=1)
    losses, again = (fit_in_context(model, clusters, 10, seed=2) for model in (one, other))
    assert torch.equal(losses.loss, again.loss)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    one = InContext(2, 16, seed=1)
    losses = fit_in_context(one, clusters, 60, seed=2)
    assert losses.data[-20:].mean() < losses.samples[-20:].mean()
    assert all(weight.grad is None for weight in one.parameters())
    x = clusters(torch.Generator().manual_seed(9))
    box = 18 * torch.rand(x.shape, generator=torch.Generator().manual_seed(8)) - 9
    assert (one.energy(x, x) < one.energy(x, box)).float().mean() > 0.7


def test_a_model_goes_on_from_its_state_dict():
    one, other = InContext(2, 16, seed=1), InContext(2, 16, seed=2)
    fit_in_context(one, clusters, 3)
    other.load_state_dict(one.state_dict())
    x = drawn(4, 2)
    assert torch.equal(one.energy(x, x), other.energy(x, x))
    assert torch.equal(copy.deepcopy(one)(x, x), one(x, x))


def test_training_works_in_inference_mode_and_without_gradients():
    for mode in (torch.inference_mode, torch.no_grad):
        model = InContext(2, 16)
        with mode():
            losses = fit_in_context(model, clusters, 2)
            score = model.score(drawn(3, 2), drawn(3, 2))
        assert losses.loss.isfinite().all()
        assert score.isfinite().all()


@pytest.mark.untyped
def test_a_training_that_diverges_is_refused_and_leaves_the_weights():
    model = InContext(2, 16)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(InputError, match="rate must be so small that energies") as refused:
        fit_in_context(model, clusters, 50, rate=1e30)
    assert "lower it" in refused.value.do
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    with pytest.raises(InputError, match="or the rate of the chain"):
        fit_in_context(model, clusters, 5, chain=Langevin(rate=1e38, clamp=1e38))
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_all_positions_are_five_times_as_fast_as_a_pass_for_each():
    model, x = InContext(2), drawn(1, 32, 2)

    def best(function):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        return min(times)

    with torch.no_grad():
        once = best(lambda: model.energy(x, x))
        loop = best(lambda: [model.energy(x[:, :i], x[:, i : i + 1], seen=i) for i in range(32)])
    assert loop > 5 * once


# The memory that writes


def test_a_writing_memory_is_the_kernel_density_of_the_points_before():
    beta, context, query = 2.0, drawn(6, 2, dtype=torch.float64), drawn(7, 2, dtype=torch.float64)
    found = context_energy(context, query, kernels(beta)).numpy()
    assert found[0] == math.inf
    for place in range(1, 7):
        logs = [
            multivariate_normal(mean, np.eye(2) / beta).logpdf(query[place].numpy())
            for mean in context[:place].numpy()
        ]
        density_ = logsumexp(logs) - math.log(place)
        expected = beta * found[place] + math.log(place) + math.log(2 * math.pi / beta)
        assert abs(expected + density_) < 1e-12


@pytest.mark.parametrize(("rule", "held"), [(Softmax, 0), (Softmax, 3), (Compact, 3)])
def test_writing_equals_writing_one_by_one(rule, held):
    memory = kernels(0.3, rule=rule)
    memory.write(drawn(held, 2, seed=5, dtype=torch.float64))
    context = drawn(2, 20, 9, 2, dtype=torch.float64)
    query = drawn(4, 1, 20, 10, 2, seed=1, dtype=torch.float64)
    found = context_energy(context, query, memory)
    assert found.shape == (4, 2, 20, 10)
    assert len(memory) == held
    for one, other in ((0, 0), (1, 19)):
        written = copy.deepcopy(memory)
        for place in range(10):
            alone = written.energy(query[:, 0, other, place])
            assert torch.allclose(found[:, one, other, place], alone, rtol=1e-12, atol=1e-12)
            if place < 9:
                written.write(context[one, other, place])


def test_gradients_of_a_writing_memory_reach_the_query():
    context, query = drawn(3, 2, dtype=torch.float64), drawn(4, 2, dtype=torch.float64)
    query.requires_grad_()
    energy = context_energy(context, query, kernels())
    (slope,) = torch.autograd.grad(energy[1:].sum(), query)
    assert not slope[0].any()
    assert torch.allclose(slope[1], query[1] - context[0])


def test_bits_can_be_a_context():
    memory = kanerva.modern_hopfield(8, beta=1.0)
    x = kanerva.bits.random(3, 8, seed=0)
    assert context_energy(x, x, memory).shape == (3,)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: InContext(0), "InContext: dim must be an integer from 1"),
        (lambda: InContext(2, 10, heads=4), "width must be a multiple of the 4 heads"),
        (lambda: InContext(2, layers=0), "layers must be"),
        (lambda: InContext(2, dtype=torch.int64), "dtype must be"),
        (lambda: InContext(2, seed=-1), "seed must be"),
        (lambda: InContext(2, 2**30), "width must be small enough"),
        (lambda: InContext(2).energy(drawn(2), drawn(3, 2)), "InContext.energy: context must be"),
        (lambda: InContext(2).energy(drawn(3, 3), drawn(3, 2)), "context must be a float32 tensor"),
        (lambda: InContext(2).energy(drawn(3, 2).double(), drawn(3, 2)), "context must be a float"),
        (lambda: InContext(2).energy(drawn(3, 2), drawn(5, 2)), "query must be at most one row"),
        (lambda: InContext(2).energy(drawn(3, 2), drawn(5, 2), 4), "seen must be an integer from"),
        (lambda: InContext(2).energy(drawn(2, 3, 2), drawn(4, 3, 2)), "query must be with leading"),
        (
            lambda: InContext(2).energy(drawn(3, 2) * math.nan, drawn(3, 2)),
            "context must be finite",
        ),
        (lambda: InContext(2).energy(drawn(3, 2), drawn(3, 2) * 3e38), "query must be finite"),
        (lambda: InContext(2).energy(drawn(3, 2), drawn(3, 2) * 1e38), "query must be such that"),
        (lambda: InContext(2).score(drawn(3, 2), drawn(3, 2) * 1e38), "query must be such that"),
        (lambda: InContext(2).sample(drawn(3, 2), -1), "InContext.sample: count must be"),
        (lambda: InContext(2).sample(drawn(3, 2), 1, 5), "chain must be a Langevin"),
        (lambda: Langevin(steps=-1), "Langevin: steps must be"),
        (lambda: Langevin(rate=0.0), "Langevin: rate must be"),
        (lambda: Langevin(noise=math.nan), "Langevin: noise must be"),
        (lambda: fit_in_context(None, clusters, 1), "fit_in_context: model must be a InContext"),
        (lambda: fit_in_context(InContext(2), 3, 1), "draw must be a function"),
        (lambda: fit_in_context(InContext(2), lambda s: drawn(3, 2), 1), "draw must be a function"),
        (lambda: fit_in_context(InContext(3), clusters, 1), "draw must be a float32 tensor"),
        (lambda: fit_in_context(InContext(2), clusters, -1), "updates must be"),
        (lambda: fit_in_context(InContext(2), clusters, 1, rate=0), "rate must be"),
        (lambda: fit_in_context(InContext(2), clusters, 1, negatives=0), "negatives must be"),
        (
            lambda: fit_in_context(InContext(2).requires_grad_(False), clusters, 1),
            "model must be one with weights",
        ),
        (
            lambda: context_energy(drawn(3, 2), drawn(3, 2), None),
            "context_energy: memory must be a Memory",
        ),
        (
            lambda: context_energy(drawn(3, 4), drawn(3, 4), kanerva.attention(4, value_dim=4)),
            "memory must be auto-associative",
        ),
        (
            lambda: context_energy(drawn(3, 8), drawn(3, 8), kanerva.hopfield(8)),
            "context must be -1/\\+1 bits",
        ),
        (
            lambda: context_energy(*[kanerva.bits.random(3, 8, seed=0)] * 2, kanerva.sdm(8, 50, 2)),
            "memory must be one that keeps a row",
        ),
    ],
)
def test_bad_input_gets_the_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        call()
    assert refused.value.do


# The recipe


@pytest.mark.untyped
def test_the_measures_agree_with_plain_ones():
    source = torch.Generator().manual_seed(3)
    few = _context.mixtures(5, 8, source)
    query = 18 * torch.rand(40, 5, 8, 2, generator=source, dtype=torch.float64) - 9
    found = _context.writing(few, query)
    for one in range(5):
        for place in range(8):
            at = query[:, one, place].numpy()
            logs = [multivariate_normal([0, 0], 9.25).logpdf(at)]
            logs += [
                multivariate_normal(point, 0.5).logpdf(at)
                for point in few.points[one, :place].numpy()
            ]
            expected = math.log(place + 1) - logsumexp(logs, axis=0)
            assert np.allclose(found[:, one, place].numpy(), expected, atol=1e-10)
    spearman = _context.correlation(_context.writing, few, torch.Generator().manual_seed(1))
    uniform = (
        18
        * torch.rand(200, 5, 1, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        - 9
    )
    known = _context.true(few, uniform).clamp(max=60)
    energies = _context.writing(few, uniform.expand(-1, -1, 8, -1))
    each = [spearmanr(energies[:, one, 7], known[:, one, 0]).statistic for one in range(5)]
    assert abs(spearman[7].item() - np.mean(each)) < 1e-12


def test_maps_are_ranks():
    one = _context.apart(_context.mixtures(50, 8, torch.Generator().manual_seed(0)), 7)
    word = _context.maps(_context.true, one, 20)[0]
    counts = [word.count(letter) for letter in _maps.LEVELS]
    assert counts == [4, 4, 8, 16, 32, 64, 128, 144]
    middle = [round((x + 9) / 18 * 20 - 0.5) for x in one.means[0, 0].tolist()]
    assert word[middle[1] * 20 + middle[0]] in "abc"


def test_names_are_public():
    names = {"InContext", "Langevin", "Losses", "context_energy", "fit_in_context"}
    assert names <= set(density.__all__)
