"""Weights and potentials against definitions, brute force and other people's code."""

import itertools
import math
from fractions import Fraction

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
    Normalised,
    Power,
    Softmax,
    Step,
    TopK,
)

ALPHAS = [1.0, 1.001, 1.3, 1.5, 2.0, 3.0, 10.0]


def normal(*shape, seed=0, scale=1.0, dtype=torch.float64):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Entmax


def entropy(p, alpha):
    """Return Tsallis's entropy as the docstring defines it, and its gradient; Shannon's at alpha = 1."""
    if alpha == 1:
        return -(p * p.clip(1e-300, None).log()).sum(-1), -1 - p.clip(1e-300, None).log()
    return (1 - (p**alpha).sum(-1)) / (alpha * (alpha - 1)), -(p ** (alpha - 1)) / (alpha - 1)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("scale", [1e-3, 0.1, 1.0, 30.0])
def test_entmax_meets_the_conditions_of_its_maximum(alpha, scale):
    """Of a concave objective on the simplex: its slope is one number where p > 0, and no larger where p = 0 (Karush, Kuhn, Tucker)."""
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
    # One rounding of the threshold, under the root, is how far off a weight that barely exists may be.
    torch.testing.assert_close(p, expected, rtol=1e-6, atol=10 * 1e-16 ** (1 / max(1.0, alpha - 1)))
    if alpha >= 1.5 and scale == 30:
        assert (p == 0).double().mean() > 0.9  # sparse, exactly


@pytest.mark.parametrize("alpha", ALPHAS)
def test_entmax_is_what_a_general_optimiser_finds(alpha):
    """Sequential quadratic programming on the simplex, knowing nothing of thresholds, ends at the same weights and value."""
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
    """At alpha = 2 the weights are a projection: found here by trying every support."""
    for scores in normal(25, 6, seed=3):
        points = []
        for support in itertools.chain.from_iterable(
            itertools.combinations(range(6), k) for k in range(1, 7)
        ):
            chosen = list(support)
            p = torch.zeros(6, dtype=torch.float64)
            p[chosen] = scores[chosen] - (scores[chosen].sum() - 1) / len(chosen)
            if (p >= 0).all():
                points.append(p)
        nearest = min(points, key=lambda p: (p - scores).square().sum().item())
        torch.testing.assert_close(Entmax(2.0)(scores), nearest, rtol=0, atol=1e-12)


def test_entmax_at_its_ends():
    """Alpha = 1 is softmax, alpha near 1 is near it, in float32 too; a large alpha is the nearest key alone."""
    scores = normal(20, 50, scale=3)
    torch.testing.assert_close(Entmax(1.0, 0.7)(scores), (0.7 * scores).softmax(-1))
    torch.testing.assert_close(
        Entmax(1 + 1e-6, 0.7)(scores), (0.7 * scores).softmax(-1), rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(
        Entmax(1.001)(scores.float()).double(), Entmax(1.001)(scores), rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(
        Entmax(1 + 1e-6)(scores.float()).double(), Entmax(1 + 1e-6)(scores), rtol=1e-3, atol=1e-5
    )
    assert torch.equal(
        Entmax(10.0)(scores), torch.nn.functional.one_hot(scores.argmax(-1), 50).double()
    )
    torch.testing.assert_close(Entmax(1.0).potential(scores), scores.logsumexp(-1))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_entmax_of_hard_cases(alpha):
    """Equal scores share; a lone one takes all; a mask is as good as deleting, and none left is zero; large scores are no trouble."""
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
    for large in (
        torch.tensor([1e4, 1e4 - 1, -1e4]),
        torch.tensor([1e4, 1e4 - 1e-2, 1e4 - 1e-2]) * 100,
    ):
        torch.testing.assert_close(rule(large), rule(large.double()).float(), rtol=1e-3, atol=1e-3)
        assert rule(large)[0] > 0.5
    leaf = scores.clone().requires_grad_()
    (slope,) = torch.autograd.grad(
        (rule(leaf, mask) * normal(6, 9, seed=4, dtype=torch.float32)).sum(), leaf
    )
    assert slope.isfinite().all()
    assert (slope[~mask] == 0).all()


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_entmax_in_half_precision(alpha, dtype):
    """A thousand half-precision scores give weights right to one rounding, which sum to one within it."""
    scores = normal(8, 1000, scale=0.05 if alpha >= 3 else 1.0).to(dtype)
    p = Entmax(alpha)(scores)
    assert p.dtype == dtype
    exact = Entmax(alpha)(scores.double())
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(p.double(), exact, rtol=step, atol=0.1 if alpha == 10 else 1e-5)
    assert (p.double().sum(-1) - 1).abs().max() < step


def test_entmax_of_many_scores_in_single_precision():
    """Sorting and summing a hundred thousand scores loses no digits that matter."""
    scores = normal(2, 100_000, scale=0.3)
    for alpha in (1.3, 1.5, 2.0):
        torch.testing.assert_close(
            Entmax(alpha)(scores.float()).double(), Entmax(alpha)(scores), rtol=1e-2, atol=2e-6
        )


@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradient_of_entmax(alpha):
    """Finite differences agree with the gradient in scores and in beta, and with the weights as slope of the potential."""
    scores = normal(3, 6, seed=1, scale=0.4 if alpha < 3 else 0.02).requires_grad_()
    beta = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda s, b: Entmax(alpha, b)(s), (scores, beta), atol=1e-4, rtol=1e-3
    )
    assert torch.autograd.gradcheck(
        lambda s, b: Entmax(alpha, b).potential(s), (scores, beta), atol=1e-4, rtol=1e-3
    )
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
]
KINKED = [
    Entmax(1.5, 0.6),
    Entmax(2.0, 0.6),
    Entmax(3.0, 0.1),
    TopK(3, 0.8),
    Argmax(),
    Step(0.3),
    Compact(0.2),
]


@pytest.mark.parametrize("rule", SMOOTH + KINKED, ids=repr)
@pytest.mark.parametrize("masked", [False, True])
def test_a_potential_is_the_integral_of_its_weights(rule, masked):
    """Phi(b) - Phi(a) is the weights integrated along the straight way from a to b: a numerical sum knows no autograd."""
    a, b = normal(5, 8, seed=1), normal(5, 8, seed=2)
    mask = torch.arange(8) != 3 if masked else None
    pieces = 20_000 if rule in KINKED else 2000
    middle = (torch.arange(pieces, dtype=torch.float64) + 0.5) / pieces
    for start, end in zip(a, b, strict=True):
        way = start + middle[:, None] * (end - start)
        work = (rule(way, mask) @ (end - start)).mean()
        assert (rule.potential(end, mask) - rule.potential(start, mask)).item() == pytest.approx(
            work.item(), abs=1e-3 if rule in KINKED else 1e-6
        )


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_potential_is_the_conjugate_of_an_entropy(alpha):
    """No point of the simplex beats the weights in p.s + H(p) / beta, and the weights reach the potential."""
    scores, beta = normal(8, seed=5), 0.9
    rule = Entmax(alpha, beta)
    top = rule.potential(scores).item()
    rivals = torch.from_numpy(np.random.default_rng(0).dirichlet(np.full(8, 0.5), 2000))
    best = rule(scores)
    near = 0.999 * best + 0.001 * rivals
    for p in (rivals, near):
        assert ((p @ scores + entropy(p, alpha)[0] / beta) <= top + 1e-12).all()
    assert (best @ scores + entropy(best, alpha)[0] / beta).item() == pytest.approx(top, abs=1e-12)


def test_closed_forms():
    """Weights that fit in a line, written out."""
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
    """What is masked has weight zero, and everything else is as if it had never been there."""
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
    """Normalised weights do not overflow: scores of 1e4 give what float64 gives, finite and summing to one."""
    scores = torch.tensor([[1e4, 1e4 - 1, 0.0], [1e4, 1e4, 1e4], [3.0, 2.0, 1e-4]])
    weights = rule(scores)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3))
    torch.testing.assert_close(weights, rule(scores.double()).float(), rtol=1e-4, atol=1e-6)


# Ties


def test_topk_keeps_all_that_tie_for_the_last_place():
    """Which of two equal scores is stored first must not decide: both count."""
    scores = torch.tensor([3.0, 2.0, 1.0, 2.0, 0.0])
    expected = torch.tensor([3.0, 2.0, -math.inf, 2.0, -math.inf]).softmax(-1)
    for k in (2, 3):
        torch.testing.assert_close(TopK(k, 1.0)(scores), expected)
        torch.testing.assert_close(TopK(k, 1.0)(scores.flip(0)), expected.flip(0))
        assert TopK(k, 1.0).potential(scores).item() == pytest.approx(
            math.log(math.exp(3) + 2 * math.exp(2))
        )
    torch.testing.assert_close(
        TopK(4, 1.0)(scores),
        scores[:4].softmax(-1).sum() * torch.tensor([3.0, 2, 1, 2, -math.inf]).softmax(-1),
    )
    for k in (5, 99):
        torch.testing.assert_close(TopK(k, 1.0)(scores), scores.softmax(-1))
    mask = torch.tensor([False, True, True, True, True])
    torch.testing.assert_close(TopK(1, 1.0)(scores, mask), torch.tensor([0, 0.5, 0, 0.5, 0]))


# Circle


def shared(n, radius, distance):
    """Count the points of the n-cube within the radius of both of two vectors, with whole numbers of any size."""
    below = [0]  # below[k]: how many ways to flip fewer than k of the bits on which the two agree
    for i in range(n - distance + 1):
        below.append(below[-1] + math.comb(n - distance, i))
    total = 0
    for j in range(distance + 1):  # flipped among the bits on which they differ
        reach = min(radius - j, radius - (distance - j))
        if reach >= 0:
            total += math.comb(distance, j) * below[min(reach, n - distance) + 1]
    return total


def test_the_count_itself():
    """The count used below is that of an enumeration of the cube."""
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
    """Weights of float64 and of float32 equal exact fractions, however far beyond any float the counts are."""
    counts = [shared(n, radius, distance) for distance in distances]
    exact = [float(Fraction(count, sum(counts))) for count in counts]
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        weights = Circle(n, radius)(
            torch.tensor([n - distance for distance in distances], dtype=dtype)
        )
        np.testing.assert_allclose(
            weights.double().numpy(),
            exact,
            rtol=tolerance,
            atol=1e-37 if dtype == torch.float32 else 0,
        )
        assert [w == 0 for w in weights.tolist()] == [
            x < 1e-44 if dtype == torch.float32 else x == 0 for x in exact
        ]


def test_circle_out_of_reach():
    """Beyond twice the radius no point is shared: nothing answers, and nothing is NaN."""
    rule = Circle(1000, 30)
    weights = rule(torch.tensor([[939.0, 0.0, 500.0], [939.0, 940.0, 1000.0]]))
    assert weights[0].tolist() == [0, 0, 0]
    assert weights[1, 0] == 0
    assert weights[1].sum() == 1
    mask = torch.tensor([True, True, False])
    assert rule(torch.tensor([939.0, 0.0, 1000.0]), mask).tolist() == [0, 0, 0]


# Difference


def literally(patterns, state, interaction):
    """Update every bit as Krotov and Hopfield write it, the others held; tell also how clear each decision is."""
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


INTERACTIONS = {
    "hopfield": (lambda n, dtype: kanerva.hopfield(n, dtype=dtype), lambda x: x * x),
    **{
        f"dense {order}": (
            lambda n, dtype, order=order: kanerva.dense(n, order, dtype),
            lambda x, order=order: max(x, 0) ** order,
        )
        for order in (2, 2.5, 3, 4, 20, 30)
    },
    **{
        f"exponential {beta}": (
            lambda n, dtype, beta=beta: kanerva.exponential(n, beta, dtype),
            lambda x, beta=beta: math.exp(beta * x),
        )
        for beta in (0.05, 0.5, 1.0, 3.0)
    },
}


@pytest.mark.parametrize("name", INTERACTIONS)
@pytest.mark.parametrize(("n", "count"), [(11, 3), (12, 8), (25, 12)])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
def test_a_read_is_the_update_of_the_paper(name, n, count, dtype, rounding):
    """One read equals the update of Hopfield, of Krotov and Hopfield, or of Demircigil and others, written out bit by bit.

    Only decisions closer than a rounding may differ; those of a Hopfield network are whole numbers, and none does.
    """
    if dtype == torch.float32 and name in ("dense 20", "dense 30"):
        pytest.skip(
            "a score changes so much by one bit, in vectors so short, that float32 does not hold both"
        )
    build, interaction = INTERACTIONS[name]
    memory = build(n, dtype)
    patterns, states = (
        bits.random(count, n, seed=n, dtype=dtype),
        bits.random(30, n, seed=2, dtype=dtype),
    )
    memory.write(patterns)
    whole = [[int(x) for x in row] for row in patterns]
    expected, clear = zip(
        *(literally(whole, [int(x) for x in state], interaction) for state in states), strict=True
    )
    settled = torch.tensor(clear) > (0 if name == "hopfield" else rounding)
    assert settled.float().mean() > 0.8
    read = memory.read(states)
    assert torch.equal(read[settled], torch.tensor(expected, dtype=dtype)[settled])
    assert name != "hopfield" or torch.equal(read, torch.tensor(expected, dtype=dtype))


def test_bits_on_which_nothing_is_gained_are_kept():
    """A state too far from all patterns for any to answer stays; one at overlap zero with a lone pattern turns over (W = xx' - 1)."""
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
    none = torch.zeros(1, dtype=torch.bool)
    for memory in (dense, hopfield, kept):
        assert (
            memory.read(half, none) == 0
        ).all()  # but where there is no pattern at all, there is no answer


@pytest.mark.parametrize("name", INTERACTIONS)
def test_a_read_is_the_better_side_of_every_bit(name):
    """The energy of the memory itself, compared for both values of one bit, chooses what a read gives that bit."""
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
    """Differences of energy between states are those of minus the sum of F over the patterns (over n, over beta)."""
    patterns, states = (
        bits.random(6, 20, seed=1, dtype=torch.float64),
        bits.random(9, 20, seed=2, dtype=torch.float64),
    )
    overlaps = states @ patterns.T
    cases = [
        (kanerva.hopfield(20, dtype=torch.float64), -overlaps.square().sum(-1) / 2),
        (kanerva.dense(20, 4, dtype=torch.float64), -(overlaps.clamp_min(0) ** 4).sum(-1) / 4),
        (kanerva.exponential(20, 0.5, dtype=torch.float64), -(0.5 * overlaps).exp().sum(-1) / 0.5),
        (
            kanerva.modern_hopfield(20, 0.5, dtype=torch.float64),
            -(0.5 * overlaps).exp().sum(-1).log() / 0.5,
        ),
    ]
    for memory, expected in cases:
        memory.write(patterns)
        energies = memory.energy(states)
        torch.testing.assert_close(energies - energies[0], expected - expected[0])
    weights = -0.5 * torch.einsum("bi,bj,ij->b", states, states, patterns.T @ patterns)
    torch.testing.assert_close(cases[0][0].energy(states) - states.square().sum(-1) / 2, weights)


# Densities


@pytest.mark.parametrize("beta", [0.3, 2.0, 40.0])
def test_log_densities_are_those_of_scikit_learn(beta):
    """Up to one constant, Compact on closeness is the log of an Epanechnikov density and Softmax on it that of a Gaussian one."""
    neighbors = pytest.importorskip("sklearn.neighbors")
    data = normal(60, 3, seed=1)
    query = data[:25] + 0.3 * normal(25, 3, seed=2) * beta**-0.5
    for rule, kernel, width in (
        (Softmax(beta), "gaussian", beta**-0.5),
        (Compact(beta), "epanechnikov", (2 / beta) ** 0.5),
    ):
        theirs = (
            neighbors.KernelDensity(kernel=kernel, bandwidth=width, rtol=0, atol=0)
            .fit(data.numpy())
            .score_samples(query.numpy())
        )
        ours = beta * rule.potential(similarity.closeness(query, data)).numpy()
        inside = np.isfinite(theirs) & (theirs > -600)
        assert inside.sum() >= 10
        assert (np.isinf(ours) | inside).all()
        np.testing.assert_allclose(
            np.diff(ours[inside]), np.diff(theirs[inside]), rtol=1e-8, atol=1e-8
        )
        energies = functional.energy(query, data, similarity.closeness, rule)
        np.testing.assert_allclose(-beta * energies.numpy(), ours)


def test_exponential_difference_of_large_scores():
    """Two patterns at scores of thousands are told apart, where the exponentials themselves have no float."""
    scores = torch.tensor([[5000.0, 4998.0, -3000.0]])
    rule = Difference(Exponential(1.0))
    torch.testing.assert_close(rule(scores), torch.tensor([[2.0, 0.0, -6000.0]]).softmax(-1))
    assert rule.coupling(scores).item() == pytest.approx(math.tanh(1))
    power = Difference(Power(30))
    large = power(torch.tensor([1e4, 9e3]))
    exact = [(Fraction(s + 2) ** 30 - Fraction(s - 2) ** 30) for s in (10_000, 9_000)]
    assert (large[1] / large[0]).item() == pytest.approx(float(exact[1] / exact[0]), rel=1e-2)


@pytest.mark.untyped
@pytest.mark.parametrize("rule", EVERY, ids=repr)
def test_scores_that_are_not_finite(rule):
    """NaN and infinity among the scores are refused; minus infinity is refused too, or weighs nothing, but never gives NaN."""
    for bad in ([1.0, math.nan], [math.nan, math.nan], [1.0, math.inf], [math.inf, math.inf]):
        with pytest.raises(kanerva.InputError):
            rule(torch.tensor(bad))
    for none in ([1.0, -math.inf], [-math.inf, -math.inf]):
        try:
            weights = rule(torch.tensor(none))
        except kanerva.InputError:
            continue
        torch.testing.assert_close(
            weights, rule(torch.tensor([1.0, 0.0]), torch.tensor(none) > -math.inf)
        )
