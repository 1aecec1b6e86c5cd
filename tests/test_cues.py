"""Queries of which some coordinates are known, or that have a temperature of their own."""

import math

import pytest
import torch

import kanerva
from kanerva import InputError, InputTypeError, Patterns, dynamics, functional
from kanerva.separation import (
    Argmax,
    Compact,
    Difference,
    Entmax,
    Linear,
    Normalised,
    Power,
    Sink,
    Softmax,
    TopK,
)
from kanerva.similarity import agreement, closeness, cosine, dot, manhattan

D = 6


def drawn(*shape, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64)


def seen(*shape, seed=9):
    return (drawn(*shape, seed=seed) > 0) | (torch.arange(shape[-1]) == 0)


def on(coordinates, similarity, query, keys):
    """Score by some coordinates of one query: those of vectors that have no others."""
    return similarity(query[coordinates], keys[:, coordinates])


@pytest.mark.parametrize(
    "similarity", [closeness, dot, manhattan, agreement], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("count", [30, 3000])
def test_scores_of_known_coordinates_are_those_of_shorter_vectors(similarity, count):
    query, keys, known = drawn(4, 5, D), drawn(count, D, seed=1), seen(4, 5, D)
    if similarity is agreement:
        query, keys = query.sign(), keys.sign()
    found = functional.scores(query, keys, similarity, known=known)
    for place in ((0, 0), (1, 3), (3, 4)):
        alone = on(known[place], similarity, query[place], keys)
        torch.testing.assert_close(found[place], alone)
    # What stands in the other coordinates does not matter.
    other = torch.where(known, query, 1.0 if similarity is agreement else math.nan)
    assert torch.equal(functional.scores(other, keys, similarity, known=known), found)


@pytest.mark.parametrize("rule", [Softmax(2.0), TopK(4, 1.5), Compact(0.5), Power(2)])
@pytest.mark.parametrize("budget", [2**20, 2**28])
def test_reads_of_known_coordinates(rule, budget):
    query, keys, known = drawn(40, D), drawn(3000, D, seed=1), seen(40, D)
    values, prior = drawn(3000, 2, seed=2), drawn(3000, seed=3).exp()
    scores = torch.stack([on(k, closeness, q, keys) for q, k in zip(query, known, strict=True)])
    weights = rule(scores, mask=prior)
    given = {"similarity": closeness, "separation": rule, "prior": prior, "known": known}
    with kanerva.settings.use(budget=budget):
        torch.testing.assert_close(functional.weights(query, keys, **given), weights)
        torch.testing.assert_close(functional.read(query, keys, values, **given), weights @ values)
        energy = functional.energy(query, keys, **given)
        torch.testing.assert_close(energy, -rule.potential(scores, mask=prior))


def test_energies_of_known_coordinates_slope_as_query_less_read():
    keys, known = drawn(7, D), seen(3, D)
    for similarity in (dot, closeness):
        query = drawn(3, D, seed=1).requires_grad_()
        parts = (similarity, Softmax(0.7))
        functional.energy(query, keys, *parts, known=known).sum().backward()
        step = query.detach() - functional.read(query.detach(), keys, keys, *parts, known=known)
        torch.testing.assert_close(query.grad, torch.where(known, step, 0.0))


def test_a_cue_is_completed_in_one_read():
    keys = drawn(100, 20)
    known = torch.arange(20) < 8
    cue = torch.where(known, keys, 0.0)
    found = functional.read(cue, keys, keys, closeness, Softmax(1e4), known=known)
    torch.testing.assert_close(found, keys)
    nothing = functional.read(cue, keys, keys, closeness, Softmax(1e4), known=known & ~known)
    torch.testing.assert_close(nothing, keys.mean(0).expand(100, 20))


def test_gradients_of_known_coordinates():
    query, keys, known = drawn(3, D), drawn(5, D, seed=1), seen(3, D)
    for similarity in (closeness, dot, manhattan):

        def read(query, keys, similarity=similarity):
            given = (query, keys, keys, similarity, Softmax(0.5))
            return functional.read(*given, known=known)

        assert torch.autograd.gradcheck(read, (query.requires_grad_(), keys.requires_grad_()))


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("known", "match"),
    [
        (torch.ones(3, D), "known must be a bool tensor"),
        (torch.ones(3, 2, dtype=torch.bool), "known must be a bool tensor that broadcasts"),
        (torch.ones(2, 3, D, dtype=torch.bool), "known must be a bool tensor that broadcasts"),
        ([True] * 2, "known must be a bool tensor that broadcasts"),
        ([1.0] * D, "known must be a bool tensor"),
        ("all", "known must be"),
    ],
)
def test_bad_masks_of_coordinates_are_refused(known, match):
    query, keys = drawn(3, D), drawn(5, D)
    for call in (
        lambda: functional.read(query, keys, keys, closeness, Softmax(1.0), known=known),
        lambda: functional.energy(query, keys, closeness, Softmax(1.0), known=known),
        lambda: functional.scores(query, keys, closeness, known=known),
        lambda: functional.weights(query, keys, closeness, Softmax(1.0), known=known),
    ):
        with pytest.raises(InputError, match=match):
            call()


@pytest.mark.untyped
def test_scores_that_are_no_sums_over_coordinates_are_refused():
    query, keys, known = drawn(3, D), drawn(5, D), seen(3, D)
    with pytest.raises(InputError, match="known must be left out for a similarity that is no sum"):
        functional.scores(query, keys, cosine, known=known)
    with pytest.raises(InputError, match="known must be left out for a similarity that is no sum"):
        functional.scores(query, keys, lambda q, k: q @ k.mT, known=known)
    bits = query.sign(), keys.sign()
    with pytest.raises(InputError, match="known must be left out for a rule with a self-coupling"):
        functional.read(*bits, bits[1], dot, Difference(Linear()), known=known)


# Temperatures of queries

SCALES = [Softmax(0.7), TopK(3, 0.7), Entmax(1.5, 0.7), Entmax(2.0, 0.7), Entmax(1.3, 0.7)]


@pytest.mark.parametrize("rule", SCALES, ids=repr)
def test_a_rule_that_scales_multiplies_the_scores_by_beta(rule):
    assert rule.scales
    scores, one = drawn(4, 9), rule.with_beta(1.0)
    torch.testing.assert_close(rule(scores), one(0.7 * scores))
    torch.testing.assert_close(rule.potential(scores), one.potential(0.7 * scores) / 0.7)


def test_rules_that_do_not_say_so_do_not_scale():
    class Bent(Softmax):
        def forward(self, scores, mask=None):
            return super().forward(scores + 1, mask)

    class Logged(Softmax):
        def logs(self, scores):
            return self.beta * scores**2

    rules = [Bent(1.0), Logged(1.0), Argmax(), Sink(Softmax(1.0), 0.5), Normalised(Compact(0.5))]
    assert not any(rule.scales for rule in rules)


@pytest.mark.untyped
@pytest.mark.parametrize("rule", [*SCALES, Sink(Softmax(0.7), -3.0)], ids=repr)
@pytest.mark.parametrize(
    "similarity", [closeness, dot, cosine, manhattan], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("count", [20, 900])
def test_each_query_is_read_at_its_own_temperature(rule, similarity, count):
    memory = Patterns(D, similarity=similarity, separation=rule, dtype=torch.float64)
    takes = {"prior": drawn(count, seed=3).exp()} if rule.priors else {}
    memory.write(drawn(count, D), **takes)
    query, betas = drawn(5, D, seed=1), drawn(5, seed=2).exp()
    view = memory.at(betas)
    one = [memory.at(beta) for beta in betas.tolist()]
    for verb in ("read", "weights", "energy"):
        found = getattr(view, verb)(query)
        alone = [getattr(each, verb)(row) for each, row in zip(one, query, strict=True)]
        torch.testing.assert_close(found, torch.stack(alone))
    path = view.trace(query, steps=3).states
    alone = [each.trace(row, steps=3).states for each, row in zip(one, query, strict=True)]
    torch.testing.assert_close(path[-1], torch.stack([states[-1] for states in alone]))
    mask = seen(5, count)
    alone = [each.read(row, m) for each, row, m in zip(one, query, mask, strict=True)]
    torch.testing.assert_close(view.read(query, mask), torch.stack(alone))


def test_temperatures_of_half_precision_queries_are_not_rounded():
    memory = Patterns(2, similarity=closeness, separation=Softmax(1.0), dtype=torch.float16)
    memory.write(torch.tensor([[0.0, 0.0], [0.01, 0.0]]).half())
    betas = torch.tensor([1e5, 2e5])  # beyond float16
    found = memory.at(betas).weights(torch.zeros(2, 2).half())
    gap = 0.5 * torch.tensor([0.01]).half().double().square()
    expected = torch.sigmoid(betas.double() * gap)
    torch.testing.assert_close(found[:, 0].double(), expected, atol=1e-3, rtol=0)


# Steps that follow one another


def test_steps_follow_one_another():
    halve, add = lambda q: q / 2, lambda q: q + 1
    path = dynamics.follow([halve, add, halve], torch.tensor([[4.0], [-6.0]]))
    assert path.states[..., 0].tolist() == [[4.0, -6.0], [2.0, -3.0], [3.0, -2.0], [1.5, -1.0]]
    assert path.steps.tolist() == [3, 3]
    assert path.converged.tolist() == [False, False]
    assert path.energies is None
    assert dynamics.follow([halve], torch.tensor([[0.0], [1.0]])).converged.tolist() == [
        True,
        False,
    ]
    alone = dynamics.follow([], torch.ones(2, 3))
    assert alone.states.shape == (1, 2, 3)
    assert alone.steps.tolist() == [0, 0]
    assert (
        dynamics.follow((step for step in (halve, halve)), torch.ones(1)).states[-1].item() == 0.25
    )


def test_one_step_that_is_repeated_is_a_chain():
    memory = kanerva.modern_hopfield(D, 3.0, dtype=torch.float64)
    memory.write(drawn(5, D))
    query = drawn(4, D, seed=1)
    states = dynamics.follow([memory.read] * 3, query).states
    torch.testing.assert_close(states, dynamics.chain(memory.read, query, 3))


@pytest.mark.untyped
def test_bad_steps_are_refused():
    query = torch.ones(2, 3)
    for steps in (None, 3, torch.relu, [torch.relu, None], "ab", [Softmax]):
        with pytest.raises(InputTypeError, match="steps must be functions of the query"):
            dynamics.follow(steps, query)
    with pytest.raises(InputError, match="steps must be a function that returns"):
        dynamics.follow([lambda q: q[:1]], query)
    with pytest.raises(InputError, match="steps must be a function with finite results"):
        dynamics.follow([lambda q: q / 0], query)
    with pytest.raises(InputError, match="query must be finite"):
        dynamics.follow([torch.relu], query / 0)
