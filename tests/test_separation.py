"""Weights and potentials against definitions, brute force and other libraries."""

import itertools
import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import kanerva
from kanerva import bits, functional, similarity
from kanerva.separation import (
    Argmax,
    Circle,
    Compact,
    Difference,
    Entmax,
    Exponential,
    Linear,
    Mixed,
    Normalised,
    Power,
    Sink,
    Softmax,
    Step,
    TopK,
)

ALPHAS = [1.0, 1.001, 1.3, 1.5, 2.0, 3.0, 10.0]


def normal(*shape, seed=0, scale=1.0, dtype=torch.float64):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Entmax


def entropy(p, alpha):
    """Return the entropy of Tsallis and its gradient; at alpha = 1 that of Shannon."""
    if alpha == 1:
        logs = p.clip(1e-300, None).log()
        return -(p * logs).sum(-1), -1 - logs
    return (1 - (p**alpha).sum(-1)) / (alpha * (alpha - 1)), -(p ** (alpha - 1)) / (alpha - 1)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("scale", [1e-3, 0.1, 1.0, 30.0])
def test_entmax_meets_the_conditions_of_its_maximum(alpha, scale):
    """Weights maximise a concave objective on the simplex (Karush, Kuhn, Tucker).

    Its slope is one number where p > 0, and no larger where p = 0.
    """
    scores = normal(40, 30, scale=scale)
    p = Entmax(alpha)(scores)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(40, dtype=torch.float64), rtol=0, atol=1e-12)
    slope = scores + entropy(p, alpha)[1]
    multiplier = slope.gather(-1, p.argmax(-1, keepdim=True))
    if alpha == 1:
        assert (slope - multiplier).abs().max() < 1e-10
        return
    expected = ((alpha - 1) * (scores - multiplier)).clamp_min(0) ** (1 / (alpha - 1))
    # One rounding of the threshold, under the root, is the error of the smallest weights.
    torch.testing.assert_close(p, expected, rtol=1e-6, atol=10 * 1e-16 ** (1 / max(1.0, alpha - 1)))
    if alpha >= 1.5 and scale == 30:
        assert (p == 0).double().mean() > 0.9  # exactly sparse


@pytest.mark.parametrize("alpha", ALPHAS)
def test_entmax_equals_the_result_of_a_general_optimiser(alpha):
    """Sequential quadratic programming on the simplex finds the same weights and value."""
    for seed in range(4):
        scores, beta = normal(5, seed=seed, scale=0.4 if alpha < 3 else 0.05), 1.7

        def loss(p, scores=scores, beta=beta):
            p = torch.from_numpy(p)
            h, slope = entropy(p, alpha)
            return -float(beta * p @ scores + h), -(beta * scores + slope).numpy()

        found = minimize(
            loss,
            np.full(5, 0.2),
            jac=True,
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-15, "maxiter": 1000},
        )
        rule = Entmax(alpha, beta)
        assert rule.potential(scores).item() == pytest.approx(-found.fun / beta, abs=1e-8)
        np.testing.assert_allclose(rule(scores).numpy(), found.x, atol=2e-4)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    """At alpha = 2 the weights are a projection, found here by trying every support."""
    supports = [list(chosen) for k in range(1, 7) for chosen in itertools.combinations(range(6), k)]
    for scores in normal(25, 6, seed=3):
        points = []
        for chosen in supports:
            p = torch.zeros(6, dtype=torch.float64)
            p[chosen] = scores[chosen] - (scores[chosen].sum() - 1) / len(chosen)
            if (p >= 0).all():
                points.append(p)
        nearest = min(points, key=lambda p: (p - scores).square().sum().item())
        torch.testing.assert_close(Entmax(2.0)(scores), nearest, rtol=0, atol=1e-12)


def test_entmax_at_its_ends():
    """Alpha = 1 is softmax, and a large alpha is the nearest key alone."""
    scores = normal(20, 50, scale=3)
    softmax = (0.7 * scores).softmax(-1)
    torch.testing.assert_close(Entmax(1.0, 0.7)(scores), softmax)
    torch.testing.assert_close(Entmax(1 + 1e-6, 0.7)(scores), softmax, rtol=1e-3, atol=1e-5)
    for rule in (Entmax(1.001), Entmax(1 + 1e-6)):
        single = rule(scores.float()).double()
        torch.testing.assert_close(single, rule(scores), rtol=1e-3, atol=1e-5)
    nearest = torch.nn.functional.one_hot(scores.argmax(-1), 50)
    assert torch.equal(Entmax(10.0)(scores), nearest.double())
    torch.testing.assert_close(Entmax(1.0).potential(scores), scores.logsumexp(-1))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_entmax_of_hard_cases(alpha):
    """Equal scores have equal weights, one score has weight 1, and masked scores weight 0.

    A mask is a deletion, and large scores do not overflow.
    """
    rule = Entmax(alpha)
    torch.testing.assert_close(rule(torch.full((7,), 3.0)), torch.full((7,), 1 / 7))
    assert rule(torch.tensor([-5.0])).item() == 1
    twins = rule(torch.tensor([1.0, 0.4, 1.0, 0.4]))
    assert twins[0] == twins[2] >= twins[1] == twins[3]
    scores = normal(6, 9, seed=2, dtype=torch.float32)
    mask = torch.ones(6, 9, dtype=torch.bool)
    mask[:, 4:] = False
    mask[5] = False
    torch.testing.assert_close(rule(scores, mask)[:5, :4], rule(scores[:5, :4]))
    assert (rule(scores, mask)[~mask] == 0).all()
    assert rule.potential(scores, mask)[5] == -math.inf
    torch.testing.assert_close(rule.potential(scores, mask)[:5], rule.potential(scores[:5, :4]))
    for large in ([1e4, 1e4 - 1, -1e4], [1e6, 1e6 - 1, 1e6 - 1]):
        large = torch.tensor(large)
        torch.testing.assert_close(rule(large), rule(large.double()).float(), rtol=1e-3, atol=1e-3)
        assert rule(large)[0] > 0.5
    leaf, factors = scores.clone().requires_grad_(), normal(6, 9, seed=4, dtype=torch.float32)
    (slope,) = torch.autograd.grad((rule(leaf, mask) * factors).sum(), leaf)
    assert slope.isfinite().all()
    assert (slope[~mask] == 0).all()


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_entmax_in_half_precision(alpha, dtype):
    """The error of weights, and of their sum, is one rounding, for a thousand scores."""
    scores = normal(8, 1000, scale=0.05 if alpha >= 3 else 1.0).to(dtype)
    p = Entmax(alpha)(scores)
    assert p.dtype == dtype
    exact = Entmax(alpha)(scores.double())
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(p.double(), exact, rtol=step, atol=0.1 if alpha == 10 else 1e-5)
    assert (p.double().sum(-1) - 1).abs().max() < step


def test_entmax_of_many_scores_in_single_precision():
    """Float32 keeps the digits when 100,000 scores are sorted and summed."""
    scores = normal(2, 100_000, scale=0.3)
    for rule in (Entmax(1.3), Entmax(1.5), Entmax(2.0)):
        single = rule(scores.float()).double()
        torch.testing.assert_close(single, rule(scores), rtol=1e-2, atol=2e-6)


@pytest.mark.untyped
@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradient_of_entmax(alpha):
    """Gradients in scores and in beta are finite differences; the potential has the weights."""
    scores = normal(3, 6, seed=1, scale=0.4 if alpha < 3 else 0.02).requires_grad_()
    beta = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    check = partial(torch.autograd.gradcheck, inputs=(scores, beta), atol=1e-4, rtol=1e-3)
    assert check(lambda s, b: Entmax(alpha, b)(s))
    assert check(lambda s, b: Entmax(alpha, b).potential(s))
    (slope,) = torch.autograd.grad(Entmax(alpha, 0.8).potential(scores).sum(), scores)
    torch.testing.assert_close(slope, Entmax(alpha, 0.8)(scores).detach())


# Potentials

SMOOTH = [
    Softmax(0.7),
    Exponential(0.4),
    Power(2),
    Power(3.5),
    Linear(),
    Entmax(1.0, 0.6),
    Entmax(1.3, 0.6),
    Sink(Softmax(0.7), 0.4),
    Mixed(Softmax(0.7), auto=0.6, mean=0.8),
    Mixed(Softmax(0.7), auto=-0.6),
]
KINKED = [
    Entmax(1.5, 0.6),
    Entmax(2.0, 0.6),
    Entmax(3.0, 0.1),
    TopK(3, 0.8),
    Argmax(),
    Step(0.3),
    Compact(0.2),
    Sink(Entmax(1.5, 0.6), 0.2),
    Sink(TopK(3, 0.8), -0.1),
    Mixed(Entmax(1.5, 0.6), auto=0.5, mean=-0.2),
]


@pytest.mark.parametrize("rule", SMOOTH + KINKED, ids=repr)
@pytest.mark.parametrize("masked", [False, True])
def test_a_potential_is_the_integral_of_its_weights(rule, masked):
    """Phi(b) - Phi(a) is the integral of the weights along the line from a to b, as a sum."""
    a, b = normal(5, 8, seed=1), normal(5, 8, seed=2)
    mask = torch.arange(8) != 3 if masked else None
    pieces = 20_000 if rule in KINKED else 2000
    middle = (torch.arange(pieces, dtype=torch.float64) + 0.5) / pieces
    near = 1e-3 if rule in KINKED else 1e-6
    for start, end in zip(a, b, strict=True):
        line = start + middle[:, None] * (end - start)
        integral = (rule(line, mask) @ (end - start)).mean()
        rise = rule.potential(end, mask) - rule.potential(start, mask)
        assert rise.item() == pytest.approx(integral.item(), abs=near)


@pytest.mark.parametrize("rule", SMOOTH + KINKED, ids=repr)
@pytest.mark.parametrize("shape", [(), (1,), (5, 1)])
def test_a_mask_broadcasts_along_the_keys(rule, shape):
    """One number for all keys of a row counts each of them so often."""
    scores = normal(5, 8)
    masks = [torch.ones(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)]
    if rule.priors:
        masks.append(torch.full(shape, 2.0, dtype=torch.float64))
    for mask in masks:
        whole = mask.expand(5, 8).clone()
        torch.testing.assert_close(rule(scores, mask), rule(scores, whole))
        torch.testing.assert_close(rule.potential(scores, mask), rule.potential(scores, whole))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_potential_is_the_conjugate_of_an_entropy(alpha):
    """The potential is the largest p.s + H(p) / beta on the simplex, and the weights reach it."""
    scores, beta = normal(8, seed=5), 0.9
    rule = Entmax(alpha, beta)
    top = rule.potential(scores).item()
    rivals = torch.from_numpy(np.random.default_rng(0).dirichlet(np.full(8, 0.5), 2000))
    best = rule(scores)
    near = 0.999 * best + 0.001 * rivals
    for p in (rivals, near):
        assert ((p @ scores + entropy(p, alpha)[0] / beta) <= top + 1e-12).all()
    reached = best @ scores + entropy(best, alpha)[0] / beta
    assert reached.item() == pytest.approx(top, abs=1e-12)


def test_closed_forms():
    """Weights whose formula is one line."""
    s = torch.tensor([2.0, -1.0, 0.5, 2.0])
    torch.testing.assert_close(Softmax(0.5)(s), torch.exp(0.5 * s) / torch.exp(0.5 * s).sum())
    assert Linear()(s).tolist() == [2.0, -1.0, 0.5, 2.0]
    assert Power(3)(s).tolist() == [4.0, 0.0, 0.25, 4.0]
    torch.testing.assert_close(Exponential(2.0)(s), torch.exp(2 * s))
    assert Step(0.5)(s).tolist() == [1.0, 0.0, 1.0, 1.0]
    assert Argmax()(s).tolist() == [0.5, 0.0, 0.0, 0.5]
    assert Compact(0.5)(s).tolist() == pytest.approx([1 / 5.75] * 4)
    torch.testing.assert_close(Normalised(Power(3))(s), torch.tensor([4.0, 0.0, 0.25, 4.0]) / 8.25)
    assert Normalised(Step(0.5))(s).tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])


EVERY = [
    *SMOOTH,
    *KINKED,
    Normalised(Power(3)),
    Normalised(Exponential(0.5)),
    Normalised(Compact(0.2)),
    Difference(Linear()),
]


@pytest.mark.parametrize("rule", EVERY, ids=repr)
def test_a_mask_is_a_deletion(rule):
    """A masked score has weight zero, and all others have the weights that they have without it."""
    scores = normal(4, 9, seed=3)
    keep = torch.tensor([0, 2, 3, 7])
    mask = torch.zeros(9, dtype=torch.bool)
    mask[keep] = True
    weights = rule(scores, mask)
    torch.testing.assert_close(weights[:, keep], rule(scores[:, keep]))
    assert (weights[:, ~mask] == 0).all()
    torch.testing.assert_close(rule.potential(scores, mask), rule.potential(scores[:, keep]))
    assert (rule(scores, torch.zeros(9, dtype=torch.bool)) == 0).all()


@pytest.mark.parametrize(
    "rule",
    [
        Softmax(1.0),
        Entmax(1.5),
        TopK(2, 1.0),
        Argmax(),
        Normalised(Power(30)),
        Normalised(Exponential(1.0)),
    ],
    ids=repr,
)
def test_scores_of_any_size(rule):
    """Normalised weights do not overflow: for scores of 1e4 they equal those in float64."""
    scores = torch.tensor([[1e4, 1e4 - 1, 0.0], [1e4, 1e4, 1e4], [3.0, 2.0, 1e-4]])
    weights = rule(scores)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3))
    torch.testing.assert_close(weights, rule(scores.double()).float(), rtol=1e-4, atol=1e-6)


# Sink


def test_a_sink_is_one_more_key_without_a_value():
    """The weights are those beside a key of that score, of every rule; softmax is written out."""
    scores, null, beta = normal(4, 9, seed=3), 0.6, 0.7
    powers = torch.exp(beta * scores)
    whole = math.exp(beta * null) + powers.sum(-1, keepdim=True)
    rule = Sink(Softmax(beta), null)
    torch.testing.assert_close(rule(scores), powers / whole, rtol=1e-12, atol=0)
    torch.testing.assert_close(rule.potential(scores), whole.squeeze(-1).log() / beta)
    assert (rule(scores).sum(-1) < 1).all()
    beside = torch.cat((scores, torch.full((4, 1), null, dtype=torch.float64)), -1)
    for part in (Entmax(1.5), TopK(3, 1.0), Argmax(), Compact(0.2), Linear(), Normalised(Power(3))):
        torch.testing.assert_close(Sink(part, null)(scores), part(beside)[:, :-1])
    far = Sink(Softmax(beta), -1e4)
    torch.testing.assert_close(far(scores), Softmax(beta)(scores))
    torch.testing.assert_close(far.potential(scores), Softmax(beta).potential(scores))


def test_where_no_key_is_left_the_potential_is_that_of_the_null_pattern():
    nothing = torch.zeros(9, dtype=torch.bool)
    potential = Sink(Softmax(0.7), 0.4).potential(normal(4, 9), nothing)
    torch.testing.assert_close(potential, torch.full((4,), 0.4, dtype=torch.float64))
    assert Sink(Argmax(), -2.0).potential(normal(9), nothing).item() == -2
    for null in (0.7, torch.nn.Parameter(torch.tensor(0.7))):
        memory = kanerva.Patterns(4, separation=Sink(Softmax(2.0), null))
        torch.testing.assert_close(memory.energy(torch.ones(3, 4)), torch.full((3,), 2 - 0.7))
        memory.write(torch.ones(1, 4))
        left = memory.energy(torch.ones(3, 4), torch.zeros(1, dtype=torch.bool))
        torch.testing.assert_close(left, torch.full((3,), 2 - 0.7))


def test_a_sink_of_each_head_is_that_of_a_transformer():
    """gpt-oss appends the sink of each head to the scaled products, and drops its probability."""
    scores, sinks = normal(2, 3, 5, 7, seed=4), normal(3, seed=5)
    combined = torch.cat([scores, sinks.reshape(1, -1, 1, 1).expand(2, 3, 5, 1)], dim=-1)
    expected = torch.softmax(combined, dim=-1)[..., :-1]
    rule = Sink(Softmax(1.0), sinks.reshape(-1, 1, 1))
    torch.testing.assert_close(rule(scores), expected)
    with pytest.raises(kanerva.InputError, match="score must be a number, or a tensor that"):
        rule(scores[:, :2])


def test_the_score_of_a_sink_is_learned():
    scores, null = normal(3, 6, seed=1), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    for part in (Softmax(0.8), Entmax(1.3, 0.9)):
        assert torch.autograd.gradcheck(lambda n, part=part: Sink(part, n)(scores), (null,))
        potential = partial(lambda n, part: Sink(part, n).potential(scores), part=part)
        assert torch.autograd.gradcheck(potential, (null,))
        (slope,) = torch.autograd.grad(potential(null).sum(), null)
        share = 1 - Sink(part, 0.3)(scores).sum(-1)  # the weight of the null pattern
        torch.testing.assert_close(slope, share.sum())
    memory = kanerva.Patterns(6, separation=Sink(Softmax(1.0), null), dtype=torch.float64)
    memory.write(normal(3000, 6, seed=2))
    read = memory.read(normal(9, 6, seed=3)).sum()
    (slope,) = torch.autograd.grad(read, null)
    assert slope.isfinite()
    assert slope != 0


@pytest.mark.untyped
@pytest.mark.parametrize("score", [None, "junk", math.nan, math.inf, True, torch.tensor(1)])
def test_a_sink_refuses(score):
    with pytest.raises(kanerva.InputError, match="Sink: score must be"):
        Sink(Softmax(1.0), score)
    with pytest.raises(kanerva.InputError, match="Sink: part must be a rule without"):
        Sink(Difference(Linear()), 0.0)
    with pytest.raises(kanerva.InputTypeError, match="Sink: part must be a separation"):
        Sink(score, 0.0)
    with pytest.raises(kanerva.InputError, match="scores must be finite"):
        Sink(Softmax(1.0), 0.0)(torch.tensor([-math.inf, 1.0]))


# Ties


def test_topk_keeps_all_that_tie_for_the_last_place():
    """Of two equal scores, both have a weight, whichever is stored first."""
    scores = torch.tensor([3.0, 2.0, 1.0, 2.0, 0.0])
    expected = torch.tensor([3.0, 2.0, -math.inf, 2.0, -math.inf]).softmax(-1)
    for k in (2, 3):
        torch.testing.assert_close(TopK(k, 1.0)(scores), expected)
        torch.testing.assert_close(TopK(k, 1.0)(scores.flip(0)), expected.flip(0))
        potential = math.log(math.exp(3) + 2 * math.exp(2))
        assert TopK(k, 1.0).potential(scores).item() == pytest.approx(potential)
    four = torch.tensor([3.0, 2, 1, 2, -math.inf]).softmax(-1)
    torch.testing.assert_close(TopK(4, 1.0)(scores), four)
    for k in (5, 99):
        torch.testing.assert_close(TopK(k, 1.0)(scores), scores.softmax(-1))
    mask = torch.tensor([False, True, True, True, True])
    torch.testing.assert_close(TopK(1, 1.0)(scores, mask), torch.tensor([0, 0.5, 0, 0.5, 0]))


# Circle


def shared(n, radius, distance):
    """Count the points of the n-cube within the radius of both of two vectors, as integers."""
    below = [0]  # below[k]: the number of ways to flip fewer than k of the bits that are equal
    for i in range(n - distance + 1):
        below.append(below[-1] + math.comb(n - distance, i))
    total = 0
    for j in range(distance + 1):  # flipped among the bits that differ
        reach = min(radius - j, radius - (distance - j))
        if reach >= 0:
            total += math.comb(distance, j) * below[min(reach, n - distance) + 1]
    return total


def test_the_count_itself():
    """The count that the next tests use equals that of an enumeration of the cube."""
    n = 9
    cube = np.array(list(itertools.product([0, 1], repeat=n)))
    for radius, distance in itertools.product(range(n), range(n + 1)):
        other = np.arange(n) < distance
        near = (cube.sum(1) <= radius) & ((cube != other).sum(1) <= radius)
        assert shared(n, radius, distance) == near.sum()


@pytest.mark.parametrize(
    ("n", "radius", "distances"),
    [
        (9, 3, [0, 1, 2, 5, 6, 7, 9]),
        (9, 0, [0, 1]),
        (64, 5, [0, 1, 3, 4, 10, 11, 64]),
        (64, 5, [4, 9, 10, 10]),
        (64, 27, list(range(65))),
        (64, 63, list(range(65))),
        (256, 103, [0, 64, 128, 206, 207]),
        (1000, 451, [0, 1, 100, 209, 250, 400, 500, 902, 903, 1000]),
        (1000, 451, [400, 401, 480]),
        (1000, 30, [60, 60, 61]),
        (2000, 850, [0, 7, 300, 999, 1700, 1701]),
    ],
)
def test_circle_weights_are_ratios_of_whole_numbers(n, radius, distances):
    """Weights equal exact fractions, also where the counts are beyond the range of floats."""
    counts = [shared(n, radius, distance) for distance in distances]
    exact = [float(Fraction(count, sum(counts))) for count in counts]
    agreements = n - torch.tensor(distances, dtype=torch.float64)
    double = Circle(n, radius)(agreements)
    np.testing.assert_allclose(double, exact, rtol=1e-10)
    assert (double == 0).tolist() == [weight == 0 for weight in exact]
    single = Circle(n, radius)(agreements.float())
    np.testing.assert_allclose(single, exact, rtol=1e-5, atol=1e-37)
    assert (single == 0).tolist() == [weight < 1e-44 for weight in exact]


def test_circle_out_of_reach():
    """Beyond twice the radius no point is shared: the weights are zero, and none is NaN."""
    rule = Circle(1000, 30)
    weights = rule(torch.tensor([[939.0, 0.0, 500.0], [939.0, 940.0, 1000.0]]))
    assert weights[0].tolist() == [0, 0, 0]
    assert weights[1, 0] == 0
    assert weights[1].sum() == 1
    mask = torch.tensor([True, True, False])
    assert rule(torch.tensor([939.0, 0.0, 1000.0]), mask).tolist() == [0, 0, 0]


# Difference


def literally(patterns, state, interaction):
    """Update every bit by the formula of Krotov and Hopfield, with all other bits fixed.

    Returns:
        the new bits, and the relative size of each gain.
    """
    new, clear = [], []
    for j in range(len(state)):
        rest = [sum(x[i] * state[i] for i in range(len(state)) if i != j) for x in patterns]
        terms = [
            (interaction(x[j] + r), interaction(-x[j] + r))
            for x, r in zip(patterns, rest, strict=True)
        ]
        gain, size = sum(up - down for up, down in terms), sum(up + down for up, down in terms)
        new.append(math.copysign(1, gain) if gain else state[j])
        clear.append(abs(gain) / size if size else 1)
    return new, clear


def dense(order):
    """Return the memory of an order as a function of bits and dtype, and its interaction."""
    return lambda n, dtype: kanerva.dense(n, order, dtype), lambda x: max(x, 0) ** order


def exponential(beta):
    return lambda n, dtype: kanerva.exponential(n, beta, dtype), lambda x: math.exp(beta * x)


INTERACTIONS = {
    "hopfield": (lambda n, dtype: kanerva.hopfield(n, dtype=dtype), lambda x: x * x),
    **{f"dense {order}": dense(order) for order in (2, 2.5, 3, 4, 20, 30)},
    **{f"exponential {beta}": exponential(beta) for beta in (0.05, 0.5, 1.0, 3.0)},
}


@pytest.mark.parametrize("name", INTERACTIONS)
@pytest.mark.parametrize(("n", "count"), [(11, 3), (12, 8), (25, 12)])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
def test_a_read_is_the_update_of_the_paper(name, n, count, dtype, rounding):
    """One read equals the update of the paper, bit by bit.

    Only bits whose gain is within a rounding may differ. The gains of a Hopfield network are whole
    numbers, so none differs.
    """
    if dtype == torch.float32 and name in ("dense 20", "dense 30"):
        pytest.skip("one bit changes a score of so short vectors beyond the digits of float32")
    build, interaction = INTERACTIONS[name]
    memory = build(n, dtype)
    patterns = bits.random(count, n, seed=n, dtype=dtype)
    states = bits.random(30, n, seed=2, dtype=dtype)
    memory.write(patterns)
    whole = patterns.int().tolist()
    updates = [literally(whole, state, interaction) for state in states.int().tolist()]
    expected, clear = zip(*updates, strict=True)
    settled = torch.tensor(clear) > (0 if name == "hopfield" else rounding)
    assert settled.float().mean() > 0.8
    read = memory.read(states)
    assert torch.equal(read[settled], torch.tensor(expected, dtype=dtype)[settled])
    assert name != "hopfield" or torch.equal(read, torch.tensor(expected, dtype=dtype))


def test_bits_on_which_nothing_is_gained_are_kept():
    """A state stays where no pattern has a weight.

    With one pattern at overlap zero every bit changes its sign, because W = x x' - 1.
    """
    dense = kanerva.dense(12, 3)
    pattern = bits.random(1, 12, seed=0)
    dense.write(pattern)
    assert torch.equal(dense.read(-pattern), -pattern)
    assert dense.explain(-pattern).mass == 0
    hopfield = kanerva.hopfield(12)
    hopfield.write(pattern)
    half = pattern * torch.tensor([1.0, -1.0]).repeat(6)
    assert torch.equal(hopfield.read(half), -half)
    kept = kanerva.hopfield(12, "kept")
    kept.write(pattern)
    assert kept.explain(half).mass == 0
    # Without any pattern a read is zero.
    none = torch.zeros(1, dtype=torch.bool)
    for memory in (dense, hopfield, kept):
        assert (memory.read(half, none) == 0).all()


@pytest.mark.parametrize("name", INTERACTIONS)
def test_a_read_gives_every_bit_the_value_of_lower_energy(name):
    """The energies are those of the memory itself, for both values of one bit."""
    memory = INTERACTIONS[name][0](12, torch.float64)
    memory.write(bits.random(5, 12, seed=3, dtype=torch.float64))
    states = bits.random(20, 12, seed=4, dtype=torch.float64)
    read = memory.read(states)
    for j in range(12):
        up, down = states.clone(), states.clone()
        up[:, j], down[:, j] = 1, -1
        higher, lower = memory.energy(down), memory.energy(up)
        clear = (higher - lower).abs() > 1e-9 * (higher.abs() + lower.abs())
        assert clear.any()
        assert torch.equal(read[clear, j], (higher - lower)[clear].sign())


def test_energies_are_those_of_the_papers():
    """Differences of energy between states are those of the formulas in the papers."""
    double = torch.float64
    patterns = bits.random(6, 20, seed=1, dtype=double)
    states = bits.random(9, 20, seed=2, dtype=double)
    overlaps = states @ patterns.T
    exponentials = (0.5 * overlaps).exp().sum(-1)
    hopfield = kanerva.hopfield(20, dtype=double)
    cases = {
        hopfield: -overlaps.square().sum(-1) / 2,
        kanerva.dense(20, 4, dtype=double): -(overlaps.clamp_min(0) ** 4).sum(-1) / 4,
        kanerva.exponential(20, 0.5, dtype=double): -exponentials / 0.5,
        kanerva.modern_hopfield(20, 0.5, dtype=double): -exponentials.log() / 0.5,
    }
    for memory, expected in cases.items():
        memory.write(patterns)
        energies = memory.energy(states)
        torch.testing.assert_close(energies - energies[0], expected - expected[0])
    energies = -0.5 * torch.einsum("bi,bj,ij->b", states, states, patterns.T @ patterns)
    torch.testing.assert_close(hopfield.energy(states) - states.square().sum(-1) / 2, energies)


# Densities


@pytest.mark.parametrize("beta", [0.3, 2.0, 40.0])
def test_log_densities_are_those_of_scikit_learn(beta):
    """With closeness, Softmax has the log of a Gaussian density, Compact of an Epanechnikov one.

    They are equal up to one constant.
    """
    neighbors = pytest.importorskip("sklearn.neighbors")
    data = normal(60, 3, seed=1)
    query = data[:25] + 0.3 * normal(25, 3, seed=2) * beta**-0.5
    for rule, kernel, width in (
        (Softmax(beta), "gaussian", beta**-0.5),
        (Compact(beta), "epanechnikov", (2 / beta) ** 0.5),
    ):
        density = neighbors.KernelDensity(kernel=kernel, bandwidth=width, rtol=0, atol=0)
        theirs = density.fit(data.numpy()).score_samples(query.numpy())
        ours = beta * rule.potential(similarity.closeness(query, data)).numpy()
        inside = np.isfinite(theirs) & (theirs > -600)
        assert inside.sum() >= 10
        assert (np.isinf(ours) | inside).all()
        differences = np.diff(ours[inside]), np.diff(theirs[inside])
        np.testing.assert_allclose(*differences, rtol=1e-8, atol=1e-8)
        energies = functional.energy(query, data, similarity.closeness, rule)
        np.testing.assert_allclose(-beta * energies.numpy(), ours)


def test_exponential_difference_of_large_scores():
    """Scores of thousands have finite weights, although their exponentials overflow."""
    scores = torch.tensor([[5000.0, 4998.0, -3000.0]])
    rule = Difference(Exponential(1.0))
    torch.testing.assert_close(rule(scores), torch.tensor([[2.0, 0.0, -6000.0]]).softmax(-1))
    assert rule.coupling(scores).item() == pytest.approx(math.tanh(1))
    power = Difference(Power(30))
    large = power(torch.tensor([1e4, 9e3]))
    exact = [Fraction(s + 2) ** 30 - Fraction(s - 2) ** 30 for s in (10_000, 9_000)]
    assert (large[1] / large[0]).item() == pytest.approx(float(exact[1] / exact[0]), rel=1e-2)


@pytest.mark.untyped
@pytest.mark.parametrize("rule", EVERY, ids=repr)
def test_scores_that_are_not_finite(rule):
    """NaN and +inf are refused; -inf is refused, or has weight zero, and never gives NaN."""
    for bad in ([1.0, math.nan], [math.nan, math.nan], [1.0, math.inf], [math.inf, math.inf]):
        with pytest.raises(kanerva.InputError):
            rule(torch.tensor(bad))
    for none in ([1.0, -math.inf], [-math.inf, -math.inf]):
        try:
            weights = rule(torch.tensor(none))
        except kanerva.InputError:
            continue
        masked = rule(torch.tensor([1.0, 0.0]), torch.tensor(none) > -math.inf)
        torch.testing.assert_close(weights, masked)
