"""Priors, how often each key counts, and views of a memory at other inverse temperatures."""

import copy

import pytest
import torch

import kanerva
from catalogue import CATALOGUE
from kanerva import InputError, Patterns, functional, similarity
from kanerva.check._sample import draw, same
from kanerva.separation import (
    Argmax,
    Compact,
    Entmax,
    Linear,
    Normalised,
    Power,
    Softmax,
    TopK,
)
from kanerva.similarity import closeness, dot

COUNTS = torch.tensor([1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 4.0, 1.0])
TAKES = [
    name
    for name, make in CATALOGUE.items()
    if isinstance(memory := make(), Patterns) and memory.separation.priors
]


def drawn(*shape, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64)


@pytest.mark.parametrize("name", [name for name in TAKES if name != "top 3"])
def test_a_prior_of_two_is_written_twice(name):
    sample = draw(CATALOGUE[name]())
    once, often = sample.memory, copy.deepcopy(sample.memory)
    once.write(sample.keys, sample.values, prior=COUNTS)
    times = COUNTS.long()
    values = None if sample.values is None else sample.values.repeat_interleave(times, 0)
    often.write(sample.keys.repeat_interleave(times, 0), values)
    same("prior of two", once.read(sample.query), often.read(sample.query))
    places = torch.arange(12).repeat_interleave(times)
    weights = often.weights(sample.query)
    summed = torch.zeros(12, 12, dtype=weights.dtype).index_add(1, places, weights)
    if not once.separation.coupled:  # the weights of these are known up to a factor
        same("weights", once.weights(sample.query), summed)
    if once.activation.plain and once.value_dim == once.dim:
        same("recall", once.recall(sample.query, steps=3), often.recall(sample.query, steps=3))
    try:
        energy = often.energy(sample.query)
    except InputError:
        return
    same("energy", once.energy(sample.query), energy)


def test_priors_of_one_change_nothing_and_zero_leaves_a_key_out():
    query, keys = drawn(5, 6), drawn(9, 6, seed=1)
    ones, some = torch.ones(9, dtype=torch.float64), torch.arange(9.0, dtype=torch.float64)
    for rule in (Softmax(2.0), Softmax(0.0), Power(3), Linear(), Normalised(Compact(0.3))):
        for read in (functional.weights, functional.read):
            parts = (keys,) if read is functional.weights else (keys, keys)
            plain = read(query, *parts, closeness, rule)
            torch.testing.assert_close(read(query, *parts, closeness, rule, prior=ones), plain)
            without = read(query, *parts, closeness, rule, some > 0, prior=some)
            torch.testing.assert_close(read(query, *parts, closeness, rule, prior=some), without)
    scores = functional.scores(query, keys, dot, prior=some)
    assert torch.equal(scores, functional.scores(query, keys, dot))


@pytest.mark.untyped
@pytest.mark.parametrize("rule", [Softmax(3.0), Argmax(), TopK(7, 2.0), Compact(0.4), Power(3)])
@pytest.mark.parametrize("budget", [2**20, 2**28])
def test_all_routes_read_the_same_priors(rule, budget):
    query, keys, prior = drawn(40, 8), drawn(8_000, 8, seed=1), drawn(8_000, seed=2).exp()
    scores = closeness(query, keys)
    weights = rule(scores, mask=prior)
    with kanerva.settings.use(budget=budget):
        memory = Patterns(8, similarity=closeness, separation=rule, dtype=torch.float64)
        memory.write(keys, prior=prior)
        torch.testing.assert_close(memory.read(query), weights @ keys)
        torch.testing.assert_close(memory.energy(query), -rule.potential(scores, prior))
        found = memory.nearest(query, k=3)
        torch.testing.assert_close(found.weights, weights.gather(-1, found.ids))
        mask = drawn(40, 8_000, seed=3)
        left = rule(scores + mask, mask=prior)
        torch.testing.assert_close(memory.read(query, mask), left @ keys)


def test_the_same_prior_holds_at_every_temperature():
    memory = kanerva.modern_hopfield(dim=4, beta=1.0, dtype=torch.float64)
    memory.write(drawn(3, 4), prior=[1.0, 2.0, 5.0])
    shares = torch.tensor([0.125, 0.25, 0.625], dtype=torch.float64)
    for beta in (0.0, 1e-6):
        torch.testing.assert_close(memory.at(beta).weights(drawn(4)), shares, atol=1e-5, rtol=0)


def test_gradients_pass_through_priors_and_learned_betas():
    query, keys = drawn(3, 4), drawn(6, 4, seed=1)
    prior, beta = drawn(6, seed=2).exp().requires_grad_(), torch.tensor(0.7, dtype=torch.float64)

    def energy(prior, beta):
        return functional.energy(query, keys, dot, Softmax(beta), prior=prior)

    assert torch.autograd.gradcheck(energy, (prior, beta.requires_grad_()))
    some = torch.where(torch.arange(6) > 2, prior.detach(), 0.0).requires_grad_()
    (slope,) = torch.autograd.grad(energy(some, 0.7).sum(), some)
    assert slope.isfinite().all()


def test_rows_of_priors_are_forgotten_copied_moved_and_saved(tmp_path):
    memory = Patterns(3, similarity=closeness, separation=Softmax(1.0))
    first = memory.write(drawn(2, 3).float())
    assert memory.prior is None
    memory.write(drawn(2, 3, seed=1).float(), prior=torch.tensor([2, 7]))
    memory.write(drawn(3, seed=2).float(), prior=0.5)
    assert memory.prior.tolist() == [1.0, 1.0, 2.0, 7.0, 0.5]
    memory.forget(first[:1])
    assert memory.prior.tolist() == [1.0, 2.0, 7.0, 0.5]
    assert memory.prior.dtype == torch.float64
    query = drawn(4, 3, seed=3).float()
    expected = memory.read(query)
    memory.save(tmp_path / "memory.safetensors")
    empty = Patterns(3, similarity=closeness, separation=Softmax(1.0))
    empty.load_state_dict(memory.state_dict())
    loaded = kanerva.load(tmp_path / "memory.safetensors")
    for other in (copy.deepcopy(memory), loaded, empty):
        assert torch.equal(other.read(query), expected)
        assert other.prior.tolist() == memory.prior.tolist()
    memory.clear()
    assert memory.prior.shape == (0,)


@pytest.mark.untyped
@pytest.mark.parametrize(
    "prior", [0.0, -1.0, float("nan"), [1.0, 2.0], [[1.0, 0.0, 1.0]], "two", torch.ones(4, 3)]
)
def test_bad_priors_are_refused_and_nothing_is_written(prior):
    memory = Patterns(2, similarity=closeness, separation=Softmax(1.0))
    with pytest.raises(InputError, match="prior must be"):
        memory.write(torch.ones(3, 2), prior=prior)
    assert (len(memory), memory.prior, list(memory.state_dict())) == (
        0,
        None,
        ["keys", "ids", "_next"],
    )


@pytest.mark.untyped
def test_bad_priors_of_functions_and_rules_without_priors_are_refused():
    query, keys = drawn(2, 3), drawn(4, 3)
    for prior in (-torch.ones(4), torch.ones(5), torch.ones(4).long(), torch.ones(4) * torch.nan):
        with pytest.raises(InputError, match="prior must be"):
            functional.read(query, keys, keys, dot, Softmax(1.0), prior=prior)
    with pytest.raises(InputError, match="prior must be None for a rule that takes none"):
        functional.read(query, keys, keys, dot, Entmax(1.5), prior=torch.ones(4))
    with pytest.raises(InputError, match="prior must be left out where the rule takes no priors"):
        kanerva.sparse_hopfield(3, 1.0).write(keys.float(), prior=2.0)
    memory = kanerva.modern_hopfield(3, 1.0)
    memory.write(keys.float(), prior=2.0)
    with pytest.raises(InputError, match="without bias"):
        memory.certify(query.float())
    with pytest.raises(InputError, match="mask must be"):
        Softmax(1.0)(query, mask=-torch.ones(3))


@pytest.mark.untyped
def test_views_read_each_query_at_its_own_temperature():
    memory = Patterns(4, similarity=closeness, separation=Softmax(1.0), dtype=torch.float64)
    betas = torch.tensor([[0.5, 2.0, 2.0], [9.0, 0.5, 0.0]])
    view, query = memory.at(betas), drawn(2, 3, 4, seed=1)
    memory.write(drawn(30, 4))  # seen by the view
    for row in range(2):
        for column in range(3):
            one, alone = query[row, column], memory.at(betas[row, column].item())
            place = (row, column)
            torch.testing.assert_close(view.read(query)[place], alone.read(one))
            torch.testing.assert_close(view.weights(query)[place], alone.weights(one))
            torch.testing.assert_close(view.recall(query)[place], alone.recall(one))
            torch.testing.assert_close(view.explain(query).mass[place], alone.explain(one).mass)
            nearest = view.nearest(query, k=2)
            torch.testing.assert_close(nearest.weights[place], alone.nearest(one, k=2).weights)
    warm = memory.at(betas.clamp_min(0.1))
    assert torch.equal(warm.energy(query)[0, 1], memory.at(2.0).energy(query)[0, 1])
    path = warm.trace(query, steps=4)
    torch.testing.assert_close(path.energies[0], warm.energy(query))
    assert (path.energies[1:] <= path.energies[:-1] + 1e-9).all()


def test_views_are_trained_through_one_number():
    memory = kanerva.modern_hopfield(3, 1.0, dtype=torch.float64)
    memory.write(drawn(5, 3))
    beta = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda beta: memory.at(beta).read(drawn(2, 3, seed=1)), beta)


@pytest.mark.untyped
def test_views_cannot_be_changed_or_saved_and_their_copies_can(tmp_path):
    memory = kanerva.modern_hopfield(3, 1.0)
    ids = memory.write(drawn(5, 3).float())
    for view in (memory.at(2.0), memory.at(torch.tensor([1.0, 2.0]))):
        for change in (
            lambda view=view: view.write(drawn(3).float()),
            lambda view=view: view.forget(ids),
            lambda view=view: view.clear(),
            lambda view=view: view.save(tmp_path / "view"),
            lambda view=view: view.double(),
        ):
            with pytest.raises(InputError, match=r"must be the memory itself.*a view made by at"):
                change()
        copy.deepcopy(view).write(drawn(3).float())
    assert len(memory) == 5
    assert not (tmp_path / "view").exists()


@pytest.mark.untyped
@pytest.mark.parametrize(
    "beta", [-1.0, float("inf"), float("nan"), "hot", torch.tensor([1.0, -1.0]), torch.tensor([1])]
)
def test_bad_betas_of_views_are_refused(beta):
    memory = kanerva.modern_hopfield(3, 1.0)
    with pytest.raises(InputError, match="beta must be"):
        memory.at(beta)


@pytest.mark.untyped
def test_views_of_rules_without_beta_and_of_other_batches_are_refused():
    for memory in (kanerva.hopfield(8), kanerva.sdm_patterns(64, 20)):
        with pytest.raises(InputError, match="beta must be left out where"):
            memory.at(2.0)
    memory = kanerva.modern_hopfield(3, 1.0)
    with pytest.raises(InputError, match="query must be of leading dimensions that the betas"):
        memory.at(torch.ones(2)).read(torch.zeros(3, 3))
    exponential = kanerva.exponential(8).at(torch.ones(2))
    with pytest.raises(InputError, match="order must be"):
        exponential.recall(kanerva.bits.random(2, 8, seed=0), order="async")
    assert similarity.dot is dot
