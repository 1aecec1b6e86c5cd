"""Capacity and errors of the named memories, against published numbers and closed forms."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

import kanerva
from kanerva import Patterns, activation, bits, similarity
from kanerva.separation import Circle, Softmax


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def overlap(a, b):
    """Return the mean product of bits in each row: 1 where all are equal, 0 where half are."""
    return (a * b).mean(-1)


def stored(memory, count, seed=0):
    """Write ``count`` random patterns, and return them."""
    patterns = bits.random(count, memory.dim, seed=seed, dtype=memory.dtype)
    memory.write(patterns)
    return patterns


# Hopfield networks


def test_hopfield_holds_a_tenth_and_not_a_fifth():
    """Below 0.138 patterns a neuron all are recalled with few wrong bits, above it none.

    Source: Amit, Gutfreund and Sompolinsky 1985.
    """
    recalled = {}
    for count in (50, 100):
        memory = kanerva.hopfield(500)
        patterns = stored(memory, count)
        recalled[count] = overlap(memory.recall(bits.flip(patterns, 25, seed=1)), patterns)
    assert recalled[50].mean() > 0.99
    assert recalled[50].min() > 0.95
    assert recalled[100].mean() < 0.6
    assert (recalled[100] < 0.97).float().mean() > 0.95


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_unstable_bits_of_a_hopfield_network(share):
    """The share of wrong bits in one read of a stored pattern is erfc(sqrt(n / 2 m)) / 2.

    Source: Hertz, Krogh and Palmer 1991, eq. 2.15.
    """
    n = 500
    memory = kanerva.hopfield(n)
    patterns = stored(memory, int(share * n))
    wrong = (memory.read(patterns) != patterns).double()
    expected = math.erfc(math.sqrt(1 / (2 * share))) / 2
    assert wrong.mean().item() == pytest.approx(expected, rel=0.06 if share > 0.1 else 0.3)


# Dense associative memory


def gain(interaction, n):
    """Return the gain of one bit of a stored pattern: by the pattern itself, and its variance.

    The variance is that of the gain by another random pattern.
    """

    def turned(rest):
        return interaction(1 + rest) - interaction(rest - 1)

    chances = [(math.comb(n - 1, k) / 2 ** (n - 1), n - 1 - 2 * k) for k in range(n)]
    return turned(n - 1), sum(chance * turned(rest) ** 2 for chance, rest in chances)


@pytest.mark.parametrize(("order", "count"), [(2, 60), (3, 500), (3, 2000), (4, 20_000)])
def test_unstable_bits_of_a_dense_memory(order, count):
    """The share of wrong bits in one read of a stored pattern is that of a Gaussian.

    Its mean and variance are exact; the argument is that of Krotov and Hopfield 2016.
    """
    n = 100
    signal, variance = gain(lambda x: max(x, 0) ** order, n)
    expected = math.erfc(signal / math.sqrt(2 * (count - 1) * variance)) / 2
    wrong = []
    for seed in range(max(1, 3000 // count)):
        memory = kanerva.dense(n, order)
        patterns = stored(memory, count, seed)[:500]
        wrong.append((memory.read(patterns) != patterns).double().mean().item())
    assert np.mean(wrong) == pytest.approx(expected, rel=0.15, abs=2e-4)


def test_higher_orders_hold_far_more():
    """With 100 neurons order 3 holds 500 patterns and order 2 does not; order 5 holds 5000."""
    right = {}
    for order, count in ((2, 500), (3, 500), (3, 5000), (5, 5000)):
        memory = kanerva.dense(100, order)
        patterns = stored(memory, count)[:300]
        recalled = memory.recall(bits.flip(patterns, 10, seed=1), steps=20)
        right[order, count] = (recalled == patterns).all(-1).double().mean().item()
    assert right[2, 500] < 0.05
    assert right[3, 500] > 0.95
    assert right[3, 5000] < 0.05
    assert right[5, 5000] > 0.95


def test_exponential_holds_tens_of_thousands():
    """64 neurons hold 30,000 patterns, 3300 times as many as a Hopfield network of that size.

    Source: Demircigil and others 2017.
    """
    memory = kanerva.exponential(64)
    patterns = stored(memory, 30_000)[:500]
    cues = bits.flip(patterns, 6, seed=1)
    assert (memory.read(cues) == patterns).all(-1).double().mean() > 0.99
    assert torch.equal(memory.read(patterns), patterns)
    cubic = kanerva.dense(64, 3)
    cubic.write(memory.keys)
    assert (cubic.read(cues) == patterns).all(-1).double().mean() < 0.01


# Modern and sparse Hopfield networks


@pytest.mark.parametrize("beta", [15.0, 25.0, 60.0])
@pytest.mark.parametrize("radius", [0.0, 0.05, 0.15])
def test_modern_hopfield_retrieves_within_its_bound(beta, radius):
    """The error of one read within epsilon of a pattern of separation Delta has a bound.

    It is 2 M (N - 1) exp(-beta (Delta - 2 epsilon M)), from Ramsauer and others 2021, theorem 5; M
    is the largest length, here 1.
    """
    d, count = 64, 1000
    memory = kanerva.modern_hopfield(d, beta, dtype=torch.float64)
    patterns = normalize(normal(count, d), dim=-1)
    memory.write(patterns)
    away = normalize(normal(count, d, seed=1), dim=-1)
    error = (memory.read(patterns + radius * away) - patterns).norm(dim=-1)
    products = patterns @ patterns.T
    separation_ = 1 - products.fill_diagonal_(-2).amax(-1)
    bound = 2 * (count - 1) * torch.exp(-beta * (separation_ - 2 * radius))
    assert (error <= bound + 1e-12).all()
    if (beta, radius) == (60.0, 0.0):  # where the bound is small
        assert (bound < 1e-3).double().mean() > 0.5
    assert beta < 60 or error.max() < 0.05


def test_modern_hopfield_from_mean_to_pattern():
    """As beta grows, the end of a recall moves from the mean of all patterns to the nearest one."""
    patterns = normalize(normal(200, 64), dim=-1)
    cues = normalize(patterns + 0.05 * normal(200, 64, seed=1), dim=-1)
    cosines, spread = [], []
    for beta in (0.1, 5.0, 50.0):
        memory = kanerva.modern_hopfield(64, beta, dtype=torch.float64)
        memory.write(patterns)
        end = memory.recall(cues, steps=500)
        cosines.append(torch.cosine_similarity(end, patterns).mean().item())
        spread.append(memory.explain(end).effective.mean().item())
    assert cosines[0] < 0.2
    assert cosines[2] > 0.999
    assert spread[0] == pytest.approx(200, rel=0.01)
    assert spread[2] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0])
def test_sparse_hopfield_retrieves_exactly_beyond_its_margin(alpha):
    """A read is exactly the best pattern where beta times the lead of its score is the margin.

    The margin is 1 / (alpha - 1), that of the Fenchel-Young loss of entmax (Blondel, Martins and
    Niculae 2020; Santos and others 2024). With a smaller lead the read is not exact.
    """
    patterns = normal(40, 16)
    cues = patterns + 0.3 * normal(40, 16, seed=1)
    scores = (cues @ patterns.T).sort(-1).values
    lead = scores[:, -1] - scores[:, -2]
    best = patterns[(cues @ patterns.T).argmax(-1)]
    margin = 1 / (alpha - 1)
    for beta in (0.3, 1.0, 3.0):
        memory = kanerva.sparse_hopfield(16, beta, alpha, dtype=torch.float64)
        memory.write(patterns)
        exact = (memory.read(cues) == best).all(-1)
        assert torch.equal(exact, beta * lead >= margin)


# Sparse distributed memory and attention

CUES = (0, 8, 10, 12)


@pytest.fixture(scope="module")
def published():
    """Return 1024 random patterns of 64 bits, and cues by the number of flipped bits.

    As in the experiment of the paper, its own pattern is the nearest to each cue.
    """
    binary = np.random.default_rng(0).integers(0, 2, (1024, 64))
    patterns = torch.from_numpy(binary * 2.0 - 1).float()
    draw, cues = torch.Generator().manual_seed(1), {}
    for count in (0, 2, 4, 6, *CUES[1:]):
        cue = bits.flip(patterns, count, seed=draw)
        while (bad := (cue @ patterns.T).amax(-1) > 64 - 2 * count).any():
            cue[bad] = bits.flip(patterns[bad], count, seed=draw)
        cues[count] = cue
    return patterns, cues


# Radius: the mean cosine to the target after 0, 8, 10 and 12 flipped bits, of SDM and of attention
# with the published beta.
RETRIEVAL = {
    11: ((1, 1, 1, 1), (1, 1, 1, 1)),
    15: ((1, 1, 1, 1), (1, 1, 1, 1)),
    19: ((1, 1, 0.990, 0.899), (1, 0.980, 0.841, 0.676)),
    27: ((0.862, 0.643, 0.588, 0.535), (0.738, 0.552, 0.502, 0.461)),
}


@pytest.mark.untyped
@pytest.mark.parametrize("radius", RETRIEVAL)
def test_retrieval_of_random_patterns(published, radius):
    """Recall of 1024 patterns of 64 bits by SDM, and by the attention that is fitted to it.

    Source: the experiment of Bricken and Pehlevan 2021.
    """
    patterns, cues = published
    fitted = kanerva.sdm_attention(64, radius, method="published")
    memories = (kanerva.sdm_patterns(64, radius), fitted)
    for memory, expected in zip(memories, RETRIEVAL[radius], strict=True):
        memory.write(patterns)
        reached = [overlap(memory.recall(cues[count]), patterns).mean().item() for count in CUES]
        assert reached == pytest.approx(expected, abs=0.02)


@pytest.mark.untyped
def test_retrieval_beyond_the_reach(published):
    """At radius 5 no pattern is within reach of 12 flipped bits: the read is given by ``empty``."""
    patterns, cues = published
    for empty, expected in (("keep", 1 - 2 * 12 / 64), ("zero", 0.0)):
        memory = kanerva.sdm_patterns(64, 5, empty=empty)
        memory.write(patterns)
        assert overlap(memory.recall(cues[10]), patterns).mean() == 1
        out = (bits.hamming(cues[12][:, None], patterns[None]) > 10).all(-1)
        assert out.float().mean() > 0.99
        assert overlap(memory.recall(cues[12]), patterns)[out].mean().item() == expected
    fitted = kanerva.sdm_attention(64, 5, method="published")
    fitted.write(patterns)
    reached = overlap(fitted.recall(cues[12]), patterns).mean().item()
    assert reached == pytest.approx(0.999, abs=0.005)


def test_retrieval_with_real_locations(published):
    """With 100,000 locations, at radius 15 few cues activate any, and at 19 the reads are noisy.

    Source: the experiment of Bricken and Pehlevan 2021.
    """
    patterns, cues = published
    cosines = {
        15: {0: 0.704, 2: 0.418, 4: 0.264, 6: 0.162},
        19: {8: 0.989, 10: 0.945, 12: 0.830},
    }
    for radius, expected in cosines.items():
        memory = kanerva.sdm(64, 100_000, radius)
        memory.write(patterns)
        for count, cosine in expected.items():
            recalled = memory.recall(cues[count][:500], steps=30)
            reached = overlap(recalled, patterns[:500]).mean().item()
            assert reached == pytest.approx(cosine, abs=0.04), (radius, count)


@pytest.mark.parametrize("radius", [19, 22])
def test_finitely_many_locations_in_the_pattern_view(published, radius):
    """One read with counts from their distribution has as many errors as one with locations."""
    patterns, _ = published
    memories = kanerva.sdm(64, 100_000, radius), kanerva.sdm_patterns(64, radius, locations=100_000)
    for memory in memories:
        memory.write(patterns)
    for count in (0, 8, 12, 16):
        cue = bits.flip(patterns, count, seed=3)
        real, drawn = (overlap(memory.read(cue), patterns).mean().item() for memory in memories)
        assert drawn == pytest.approx(real, abs=0.03)


def test_circle_weights_of_the_paper():
    """Weights at distances 0, 1 and 3 over all distances, for 64 bits.

    The last number is the total variation to softmax with the published beta.
    """
    scores = 64.0 - torch.arange(65, dtype=torch.float64)
    table = {
        5: (0.72864, 0.11186, 0.02028, 0.113),
        9: (0.54473, 0.15012, 0.05192, 0.121),
        11: (0.46377, 0.15594, 0.06578, 0.111),
        15: (0.32364, 0.14775, 0.08291, 0.084),
        19: (0.21209, 0.12188, 0.08326, 0.060),
        27: (0.06985, 0.05562, 0.04854, 0.065),
    }
    for radius, (*expected, variation) in table.items():
        weights = Circle(64, radius)(scores)
        assert weights[[0, 1, 3]].tolist() == pytest.approx(expected, abs=6e-6)
        fitted = kanerva.sdm_attention(64, radius, method="published").separation
        soft = fitted((2 * scores - 64) / 64)
        assert ((weights - soft).abs().sum() / 2).item() == pytest.approx(variation, abs=6e-4)


# Overloaded memories


@pytest.mark.slow
def test_an_overloaded_memory_returns_the_cue():
    """Where too many patterns have weight, a read returns the cue: of a million, of 256 bits each.

    A fifth of the bits of each cue is flipped, so four bits in five are right although nothing is
    recalled, and the share of right bits alone is misleading. The effective number of patterns is
    above 10,000 exactly where a read returns the cue.
    """
    n, count = 256, 1_000_000
    patterns = bits.random(count, n, seed=0)
    cues = bits.flip(patterns[:64], 51, seed=1)
    assert overlap(cues, patterns[:64]).mean() == 1 - 2 * 51 / 256
    rules = {}
    for radius in (80, 96, 103, 110):
        rules[f"Circle {radius}"] = similarity.agreement, Circle(n, radius)
    for beta in (4, 8, 16, 20, 30):
        rules[f"Softmax {beta}"] = similarity.dot, Softmax(beta / n)
    right, effective = {}, {}
    for name, (similar, rule) in rules.items():
        memory = Patterns(n, similarity=similar, separation=rule, activation=activation.Sign())
        memory._buffers["keys"] = patterns  # shared, not copied
        read = memory.read(cues)
        right[name] = (read == patterns[:64]).float().mean().item()
        effective[name] = memory.explain(cues[:1]).effective.item()
        if right[name] < 0.81:
            assert (read == cues).float().mean() > 0.98
    expected = {"Circle 80": 0.996, "Softmax 20": 0.876, "Softmax 30": 1.0}
    for name in rules:
        near = 0.03 if name == "Softmax 20" else 0.01
        assert right[name] == pytest.approx(expected.get(name, 1 - 51 / 256), abs=near), name
        assert (effective[name] > 1e4) == (name not in expected)


def test_a_small_overloaded_memory_returns_the_cue():
    """Of 20,000 patterns of 100 bits: a small beta returns the cue, a large one the pattern."""
    patterns = bits.random(20_000, 100, seed=0)
    cues = bits.flip(patterns[:200], 20, seed=1)
    right, same = {}, {}
    for beta in (4, 50):
        parts = {"separation": Softmax(beta), "activation": activation.Sign()}
        memory = Patterns(100, similarity=similarity.cosine, **parts)
        memory.write(patterns)
        read = memory.read(cues)
        right[beta] = (read == patterns[:200]).float().mean().item()
        same[beta] = (read == cues).float().mean().item()
    assert same[4] > 0.95
    assert right[4] == pytest.approx(0.8, abs=0.02)
    assert right[50] > 0.99
