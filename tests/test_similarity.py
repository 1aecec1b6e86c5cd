"""Scores against NumPy, and shared counts against locations that are drawn and counted."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import kanerva
from kanerva import InputError, bits, functional, settings, similarity
from kanerva.separation import Linear, Softmax, TopK
from kanerva.similarity import Overlap


def normal(*shape, seed=0, dtype=torch.float32):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64).to(dtype)


NUMPY = {
    "dot": lambda q, k: (q * k).sum(-1),
    "cosine": lambda q, k: (q * k).sum(-1) / np.sqrt((q**2).sum(-1) * (k**2).sum(-1)),
    "closeness": lambda q, k: -((q - k) ** 2).sum(-1) / 2,
    "manhattan": lambda q, k: -np.abs(q - k).sum(-1),
}


@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 1, 7), (0, 7)], ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_scores_equal_those_of_numpy(name, shape, dtype, tolerance):
    """NumPy computes one key at a time, by the textbook formula."""
    query, keys = normal(*shape, seed=1, dtype=dtype), normal(5, 7, seed=2, dtype=dtype)
    scores = getattr(similarity, name)(query, keys)
    assert scores.dtype == dtype
    assert scores.shape == (*shape[:-1], 5)
    for i, key in enumerate(keys.double().numpy()):
        expected = NUMPY[name](query.double().numpy(), key)
        found = scores[..., i].double().numpy()
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_agreement_counts_equal_bits():
    for n in (1, 64, 1001):
        query, keys = bits.random(4, n, seed=1), bits.random(6, n, seed=2)
        scores = similarity.agreement(query, keys)
        assert torch.equal(scores, (query[:, None] == keys).sum(-1).float())
        assert torch.equal(n - scores, bits.hamming(query[:, None], keys).float())


@pytest.mark.parametrize("centre", [1e3, 1e4, 1e5])
def test_closeness_far_from_the_origin_keeps_its_digits(centre):
    """Distances are small here and coordinates large: |q|^2 + |k|^2 - 2 q.k loses all digits."""
    query, keys = centre + normal(20, 8, seed=1), centre + normal(30, 8, seed=2)
    exact = -(query.double()[:, None] - keys.double()).square().sum(-1) / 2
    naive = query @ keys.T - (query.square().sum(-1, keepdim=True) + keys.square().sum(-1)) / 2
    assert (naive.double() - exact).abs().max() > 0.01 * exact.abs().mean()
    scores = similarity.closeness(query, keys).double()
    torch.testing.assert_close(scores, exact, rtol=1e-4, atol=1e-4)
    assert similarity.closeness(keys, keys).diagonal().abs().max() < 1e-4
    read = functional.read(query, keys, keys, similarity.closeness, Softmax(1.0)).double()
    torch.testing.assert_close(read, exact.softmax(-1) @ keys.double(), rtol=1e-6, atol=1e-3)


def test_cosine_of_zeros():
    """The cosine of a vector of zeros is 0, and its gradient is finite."""
    query = torch.zeros(2, 4, requires_grad=True)
    keys = torch.cat([torch.zeros(1, 4), torch.eye(4)])
    scores = similarity.cosine(query, keys)
    assert (scores == 0).all()
    (slope,) = torch.autograd.grad(scores.sum(), query)
    assert slope.isfinite().all()
    torch.testing.assert_close(similarity.cosine(1e15 * keys[1:], 1e-5 * keys[1:]), torch.eye(4))


# Shared locations

N, RADIUS = 64, 24


def fraction(n, radius, distance):
    """Return the exact share of the cube within the radius of both of two vectors."""
    count = 0
    for j in range(distance + 1):  # flipped among the bits in which the two vectors differ
        most = min(radius - j, radius - distance + j, n - distance)
        count += math.comb(distance, j) * sum(math.comb(n - distance, i) for i in range(most + 1))
    return count / 2**n


def counts_at(distance, count, shared):
    """Return the shared counts of many pairs of vectors at one distance."""
    if distance == 0:
        parts = bits.random(count, N, seed=5).split(100)
        return torch.cat([shared(part, part).diagonal() for part in parts])
    query = bits.random(1, N, seed=3)
    return shared(query, bits.flip(query.expand(count, N), distance, seed=4))[0]


@pytest.mark.parametrize(
    ("distance", "locations"),
    [(0, 20_000), (8, 20_000), (8, 2000), (16, 20_000), (24, 5000), (30, 20_000), (0, 10)],
)
def test_counts_are_poisson(distance, locations):
    """Mean, variance and histogram over 20,000 pairs at one distance are those of Poisson."""
    counts = counts_at(distance, 20_000, Overlap(N, RADIUS, locations))
    mean, counts = locations * fraction(N, RADIUS, distance), counts.double().numpy()
    assert (counts == counts.round()).all()
    assert (counts >= 0).all()
    size = len(counts)
    assert abs(counts.mean() - mean) < 4 * math.sqrt(mean / size)
    assert abs(counts.var() - mean) < 4 * math.sqrt((mean + 2 * mean**2) / size)
    edges = np.unique(stats.poisson.ppf(np.linspace(0.02, 0.98, 30), mean))
    seen = np.histogram(counts, np.concatenate([[-1], edges, [np.inf]]) + 0.5)[0]
    expected = np.diff(np.concatenate([[0], stats.poisson.cdf(edges, mean), [1]])) * size
    enough = expected > 5
    chi = ((seen - expected)[enough] ** 2 / expected[enough]).sum()
    assert stats.chi2.sf(chi, enough.sum() - 1) > 1e-3


@pytest.mark.parametrize("distance", [0, 6, 16, 26])
def test_counts_are_those_of_locations_that_were_drawn(distance):
    """The counts have the mean and the spread of counts of real random locations."""
    locations, count = 20_000, 400
    addresses = bits.random(locations, N, seed=11)
    one = bits.random(count, N, seed=12)
    other = bits.flip(one, distance, seed=13)
    active = [(similarity.agreement(x, addresses) >= N - RADIUS).float() for x in (one, other)]
    real = (active[0] * active[1]).sum(-1).double()
    shared, parts = Overlap(N, RADIUS, locations), zip(one.split(20), other.split(20), strict=True)
    drawn = torch.cat([shared(x, y).diagonal() for x, y in parts]).double()
    mean = locations * fraction(N, RADIUS, distance)
    for counts in (real, drawn):
        assert abs(counts.mean() - mean) < 4 * math.sqrt(mean / count)
        assert 0.7 < counts.var() / mean < 1.35


def test_a_count_is_a_property_of_the_pair():
    """It is symmetric and the same in any batch, order, shape and dtype; it depends on the seed."""
    x, y = bits.random(6, N, seed=1), bits.random(9, N, seed=2)
    shared = Overlap(N, 28, 1e5)
    counts = shared(x, y)
    assert counts.unique().numel() > 20
    assert torch.equal(shared(y, x), counts.T)
    assert torch.equal(shared(x.flip(0), y[[3, 1]]), counts.flip(0)[:, [3, 1]])
    assert torch.equal(shared(x[2], y), counts[2])
    assert torch.equal(shared(x.reshape(2, 3, N), y), counts.reshape(2, 3, 9))
    assert torch.equal(shared(x.double(), y.double()), counts.double())
    assert torch.equal(Overlap(N, 28, 1e5)(x, y), counts)
    assert not torch.equal(Overlap(N, 28, 1e5, seed=1)(x, y), counts)
    with kanerva.settings.use(budget=1):
        assert torch.equal(functional.scores(x, y, shared), counts)


def test_counts_of_different_pairs_are_independent():
    """The counts of two queries with the same keys are uncorrelated."""
    x, y = bits.random(60, N, seed=1), bits.random(4000, N, seed=2)
    shared = Overlap(N, 28, 1e4)
    means = torch.tensor([1e4 * fraction(N, 28, h) for h in range(N + 1)])
    mean = means[bits.hamming(x[:, None], y)]
    z = (shared(x, y) - mean) / mean.sqrt()
    correlations = torch.corrcoef(z)[~torch.eye(60, dtype=torch.bool)]
    assert correlations.abs().max() < 5 / math.sqrt(4000)
    assert correlations.square().mean() * 4000 == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("distance", [0, 4, 10, 16, 22, 23])
def test_as_many_locations_as_points(distance):
    """With 2^64 locations the counts are the sizes of the intersections, up to a small spread.

    They are zero beyond twice the radius.
    """
    radius = 11
    one = bits.random(50, N, seed=7, dtype=torch.float64)
    counts = Overlap(N, radius, 2.0**64)(one, bits.flip(one, distance, seed=8)).diagonal().numpy()
    mean = fraction(N, radius, distance) * 2.0**64
    if distance > 2 * radius:
        assert (counts == 0).all()
        return
    spread = (counts - mean) / math.sqrt(mean)
    assert np.abs(spread).max() < 4.5
    assert 0.6 < spread.std() < 1.5


def test_reads_of_few_locations_are_worse_than_of_many():
    """Reads have more wrong bits with fewer locations; with 2^64 they equal the exact weights."""
    patterns = bits.random(200, N, seed=1)
    cues = bits.flip(patterns, 6, seed=2)
    right = []
    for locations in (1e3, 1e4, 1e6, 2.0**64):
        memory = kanerva.sdm_patterns(N, 20, locations)
        memory.write(patterns)
        right.append((memory.read(cues) == patterns).float().mean().item())
    exact = kanerva.sdm_patterns(N, 20)
    exact.write(patterns)
    assert right == sorted(right)
    assert right[0] < 0.8
    expected = (exact.read(cues) == patterns).float().mean().item()
    assert right[-1] == pytest.approx(expected, abs=1e-3)


@pytest.mark.untyped
def test_more_locations_than_floats_can_count_are_refused():
    with pytest.raises(kanerva.InputError, match="leave locations out"):
        Overlap(bits=256, radius=127, locations=2.0**256)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_manhattan_of_half_precision(dtype):
    query, keys = torch.tensor([[2.0, 0.0], [1.0, -1.0]], dtype=dtype), torch.eye(2, dtype=dtype)
    expected = torch.tensor([[-1.0, -3.0], [-1.0, -3.0]], dtype=dtype)
    assert torch.equal(similarity.manhattan(query, keys), expected)


def short(query, keys):
    return (query @ keys.mT)[..., :-1]


def rising(query, keys):
    return (query @ keys.mT).double()


@pytest.mark.parametrize("own", [torch.dot, short, rising, lambda query, keys: None])
@pytest.mark.parametrize("rule", [Linear(), Softmax(1.0), TopK(2, 1.0)])
def test_the_scores_of_an_own_similarity_are_checked(own, rule):
    memory = kanerva.Patterns(4, separation=rule, similarity=own)
    memory.write(torch.eye(4))
    query = torch.ones(2, 4)
    calls = (memory.read, memory.scores, memory.recall, torch.func.vmap(memory.read))
    for call in calls:
        with pytest.raises(InputError, match=r"similarity must be a function .*for each query and"):
            call(query)
    with pytest.raises(InputError, match=r"read: similarity must be a function that returns"):
        functional.read(query, torch.eye(4), torch.eye(4), own, rule)


def made(dim, **parts):
    return kanerva.Patterns(dim, separation=Softmax(1.0), **parts)


def test_scores_of_blocks_that_cannot_be_joined_are_checked():
    with settings.use(budget=256):
        for own in (
            lambda query, keys: (query @ keys.mT).sum(),
            lambda query, keys: keys @ query.mT,
        ):
            memory = made(4, similarity=own, storage=torch.float64)
            memory.write(torch.eye(4).repeat(20_000, 1))
            with pytest.raises(InputError, match="similarity must be a function that returns"):
                memory.read(torch.ones(3, 4))


def test_an_error_of_an_own_similarity_keeps_its_cause():
    memory = made(4, similarity=torch.dot)
    memory.write(torch.eye(4))
    with pytest.raises(InputError, match="1D tensors expected") as caught:
        memory.read(torch.ones(4))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_own_similarity_is_not_shown_as_one_of_the_library():
    def dot(query, keys):
        return query @ keys.mT

    assert ", dot, " in repr(made(4, similarity=similarity.dot))
    assert ", torch.dot, " in repr(made(4, similarity=torch.dot))
    assert f", {__name__}.dot, " in repr(made(4, similarity=dot))
    assert ", short, " in repr(made(4, similarity=short))
    assert ", Overlap, " in repr(made(9, similarity=Overlap(9, 2, 5.0)))
