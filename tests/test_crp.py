"""Memories that the data create, against steps by hand, loops and separate code."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score

import kanerva
from kanerva import InputError, density
from kanerva.density import _seats
from kanerva.density._rule import State

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")


@pytest.fixture(params=["numpy", pytest.param("numba", marks=needs_numba)])
def engine(request):
    """Seat rows with NumPy, then with numba."""
    with kanerva.settings.use(engine=request.param):
        yield request.param


def hexagon():
    """Return 600 points in six clusters, and the cluster of each."""
    angles = np.arange(6) * np.pi / 3
    centres = 8 * np.stack([np.cos(angles), np.sin(angles)], -1)
    cluster = np.repeat(np.arange(6), 100)
    noise = np.random.default_rng(0).standard_normal((600, 2))
    return torch.from_numpy(centres[cluster] + 0.5 * noise), cluster


def fed(order, *rule, **more):
    """Return how many memories the points create in an order, and the adjusted Rand index."""
    x, cluster = hexagon()
    memory = density.crp(2, 0.5, 6.0, *rule, dtype=torch.float64, **more)
    ids = memory.write(x[order])
    return len(memory), adjusted_rand_score(cluster[order], ids)


SHUFFLES = [np.random.default_rng(seed).permutation(600) for seed in range(5)]


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("rule", "numbers", "mean"),
    [
        ((1e-6, 0.0), [6, 6, 6, 6, 6], 1.0),
        ((0.01, 0.0), [6, 6, 6, 6, 6], 1.0),
        ((1.0, 0.0), [6, 7, 6, 6, 7], 0.9912),
        ((10.0, 0.0), [10, 9, 9, 9, 11], 0.9642),
        ((100.0, 0.0), [19, 20, 18, 22, 22], 0.9075),
        ((0.01, 0.5), [8, 9, 8, 8, 10], 0.9838),
        ((100.0, 0.5), [34, 25, 25, 28, 35], 0.8975),
    ],
)
def test_the_table_of_separate_code(engine, rule, numbers, mean):
    found = [fed(order, *rule) for order in SHUFFLES]
    assert [count for count, _ in found] == numbers
    assert np.mean([index for _, index in found]) == pytest.approx(mean, abs=5e-5)


def test_the_order_and_the_normalisers_matter(engine):
    assert fed(np.arange(600), 1.0) == (8, pytest.approx(0.957, abs=5e-4))
    printed = fed(SHUFFLES[0], 1.0, normalised=False)
    assert printed == (23, pytest.approx(0.936, abs=5e-4))
    assert fed(SHUFFLES[0], 0.01, normalised=False)[0] == 6


def test_a_few_steps_by_hand():
    """With sigma 1, prior sigma 2 and concentration 1 in one dimension."""
    memory = density.crp(1, 1.0, 2.0, 1.0, dtype=torch.float64)
    assert memory.write(torch.tensor([[5.0]]).double()).tolist() == [0]
    assert memory.keys.item() == pytest.approx(5 * 4 / 5)  # shrunk to 0 by 4 / (4 + 1)
    # At 3: log N(3; 4, 1) = -1/2 - c; the unborn: log N(3; 0, 5) = -9/10 - log(5)/2 - c.
    old, new = -0.5, -0.9 - math.log(5) / 2
    x = torch.tensor([[3.0]]).double()
    expected = [1 / (1 + math.exp(new - old)), 1 / (1 + math.exp(old - new))]
    assert memory.posterior(x)[0].tolist() == pytest.approx(expected)
    assert memory.write(x).tolist() == [0]
    assert memory.keys.item() == pytest.approx(4 + (3 - 4) / (2 + 1 / 4))
    # At -2 the unborn wins: log 2 + log N(-2; 32/9, 1) < log 1 + log N(-2; 0, 5).
    assert memory.write(torch.tensor([[-2.0]]).double()).tolist() == [1]
    assert memory.keys.flatten().tolist() == pytest.approx([32 / 9, -2 * 4 / 5])
    assert memory.counts.tolist() == [2, 1]


def restaurant(x, sigma, prior, a, d, assign="hard", normalised=True):
    """Seat rows by loops over single numbers; return ids, means and counts."""
    dim, ids, means, counts = len(x[0]), [], [], []
    wide = sigma**2 + prior**2

    def log_normal(row, mean, variance):
        found = -sum((p - q) ** 2 for p, q in zip(row, mean, strict=True)) / (2 * variance)
        return found - (dim / 2 * math.log(2 * math.pi * variance) if normalised else 0)

    for row in x:
        logs = [
            math.log(max(n - d, 2.3e-308)) + log_normal(row, mean, sigma**2)
            for n, mean in zip(counts, means, strict=True)
        ]
        weight = a + d * len(means)
        if not means:
            weight = 1
        new = log_normal(row, [0] * dim, wide)
        logs.append(math.log(weight) + new if weight > 0 else -math.inf)
        best = logs.index(max(logs))
        ids.append(best)
        if best == len(means):
            means.append([0.0] * dim)
            counts.append(0.0)
        if assign == "hard":
            shares = [float(place == best) for place in range(len(means))]
        else:
            parts = [math.exp(one - max(logs)) for one in logs[: len(means)]]
            shares = [part / sum(parts) for part in parts]
        for place, share in enumerate(shares):
            counts[place] += share
            size = share / (counts[place] + sigma**2 / prior**2)
            means[place] = [m + size * (p - m) for p, m in zip(row, means[place], strict=True)]
    return ids, means, counts


RULES = [
    (0.5, 2.0, 1.0, 0.0, "hard", True),
    (0.5, 2.0, 1.0, 0.4, "hard", True),
    (0.5, 2.0, -0.2, 0.4, "hard", True),
    (0.5, 2.0, 0.0, 0.0, "hard", True),
    (0.5, 2.0, 0.1, 0.0, "hard", False),
    (0.8, 2.0, 1.0, 0.0, "soft", True),
    (0.8, 2.0, 0.5, 0.3, "soft", False),
]


@pytest.mark.parametrize("rule", RULES)
def test_rows_are_seated_as_by_loops(engine, rule):
    x = 2 * np.random.default_rng(3).standard_normal((60, 2))
    ids, means, counts = restaurant(x.tolist(), *rule)
    memory = density.crp(2, *rule, dtype=torch.float64)
    assert memory.write(torch.from_numpy(x)).tolist() == ids
    torch.testing.assert_close(memory.keys, torch.tensor(means, dtype=torch.float64))
    torch.testing.assert_close(memory.counts, torch.tensor(counts, dtype=torch.float64))
    assert float(memory.counts.sum()) == pytest.approx(60)


@pytest.mark.untyped
@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    rule=st.sampled_from(RULES),
    dim=st.sampled_from([1, 2, 9, 64]),
    seed=st.integers(0, 99),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16]),
)
def test_blocks_of_rows_are_rows_one_by_one(sizes, rule, dim, seed, dtype):
    source = torch.Generator().manual_seed(seed)
    x = (3 * torch.randn(sum(sizes), dim, generator=source)).to(dtype)
    blocks, single = (density.crp(dim, *rule, dtype=dtype) for _ in range(2))
    ids = torch.cat([blocks.write(block) for block in x.split(sizes)])
    assert ids.tolist() == [int(single.write(row)) for row in x]
    assert torch.equal(blocks._means, single._means)
    assert torch.equal(blocks.counts, single.counts)


@pytest.mark.parametrize("rule", RULES)
def test_the_density_is_that_of_the_next_row(rule):
    sigma, prior, a, d, _, normalised = rule
    memory = density.crp(2, *rule, dtype=torch.float64)
    grid = torch.cartesian_prod(*[torch.linspace(-14, 14, 281, dtype=torch.float64)] * 2)
    assert float(memory.elbo(grid).exp().sum() * 0.01) == pytest.approx(1, abs=1e-6)
    memory.write(torch.from_numpy(np.random.default_rng(3).standard_normal((30, 2))))
    assert float(memory.elbo(grid).exp().sum() * 0.01) == pytest.approx(1, abs=1e-6)
    if not normalised:
        return
    total, new = a + memory.counts.sum().item(), a + d * len(memory)
    parts = [
        ((n - d) / total, multivariate_normal(mean, sigma**2))
        for n, mean in zip(memory.counts.tolist(), memory.keys.tolist(), strict=True)
    ]
    parts.append((new / total, multivariate_normal([0, 0], sigma**2 + prior**2)))
    rows = grid[::977].numpy()
    expected = sum(weight * one.pdf(rows) for weight, one in parts)
    torch.testing.assert_close(memory.elbo(grid[::977]).exp(), torch.from_numpy(expected))


def test_the_energy_as_it_is_printed():
    """Spec: beta = 1 / (2 sigma^2) and rho = 1 / (2 prior^2), whose energy is twice this one."""
    sigma, prior, a, d = 0.5, 2.0, 1.0, 0.3
    memory = density.crp(2, sigma, prior, a, d, normalised=False, dtype=torch.float64)
    memory.write(torch.from_numpy(np.random.default_rng(3).standard_normal((30, 2))))
    v = torch.from_numpy(np.random.default_rng(4).standard_normal((9, 2)))
    beta, rho = 1 / (2 * sigma**2), 1 / (2 * prior**2)
    far = (v[:, None] - memory.keys).square().sum(-1)
    new = (a + d * len(memory)) * (-v.square().sum(-1) / (1 / beta + 1 / rho)).exp()
    old = ((memory.counts - d) * (-beta * far).exp()).sum(-1)
    torch.testing.assert_close(2 * memory.energy(v), -(new + old).log() / beta)
    # With normalisers the unborn one has their ratio.
    full = density.crp(2, sigma, prior, a, d, dtype=torch.float64)
    full.load_state_dict(memory.state_dict())
    ratio = (1 / beta) / (1 / beta + 1 / rho)
    torch.testing.assert_close(2 * full.energy(v), -(ratio * new + old).log() / beta)


def test_reads_are_among_the_born():
    memory = density.crp(1, 0.5, 3.0, 5.0, dtype=torch.float64)
    memory.write(torch.tensor([[3.0], [-3.0]]).double())
    query = torch.tensor([[0.1], [9.0]]).double()
    born = memory.posterior(query)[:, :-1]
    torch.testing.assert_close(memory.read(query), born / born.sum(-1, keepdim=True) @ memory.keys)
    assert memory.posterior(query)[1, -1] > 0.99


def test_concentration_zero_creates_one_memory_only(engine):
    memory = density.crp(2, 0.1, 10.0, 0.0)
    ids = memory.write(50 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0)))
    assert ids.tolist() == [0] * 40
    assert len(memory) == 1
    assert memory.posterior(torch.full((2,), 1e4)).tolist() == [1.0, 0.0]
    assert torch.isfinite(memory.elbo(torch.ones(2)))
    path = memory.flow(torch.ones(2), 5, 0.5)
    assert path.states[:, 1].tolist() == [0.0] * 6
    assert path.energies.isfinite().all()


def test_of_equal_terms_the_first_wins(engine):
    memory = density.crp(1, 1.0, 1e9, 1e-9, dtype=torch.float64)
    memory.write(torch.tensor([[8.0], [-8.0]]).double())
    assert len(memory) == 2
    # The two means are at equal distances from 0.
    assert memory.write(torch.zeros(1, 1).double()).tolist() == [0]


@pytest.mark.untyped
@pytest.mark.parametrize("assign", ["hard", "soft"])
def test_refinement_ends_where_no_row_moves(engine, assign):
    x, cluster = hexagon()
    x = x[SHUFFLES[1]]
    memory = density.crp(2, 0.5, 6.0, 1.0, assign=assign, dtype=torch.float64)
    written = density.crp(2, 0.5, 6.0, 1.0, assign=assign, dtype=torch.float64)
    assert torch.equal(memory.fit(x, sweeps=0), written.write(x))
    ids = memory.fit(x)
    assert float(memory.counts.sum()) == pytest.approx(600)
    assert len(memory) <= len(written)
    assert adjusted_rand_score(cluster[SHUFFLES[1]], ids) > 0.99
    assert sorted(set(ids.tolist())) == list(range(len(memory)))
    if assign == "hard":
        # The means are those of the rows they hold, shrunk.
        for place in range(len(memory)):
            own = x[ids == place]
            assert memory.counts[place] == len(own)
            expected = own.sum(0) / (len(own) + 0.25 / 36)
            torch.testing.assert_close(memory.keys[place], expected)


def test_one_sweep_of_refinement_by_loops(engine):
    """Each row leaves, empty memories vanish, and the row is seated again, from scratch."""
    x = 2 * np.random.default_rng(8).standard_normal((40, 2))
    sigma, prior, a, d = 0.5, 2.0, 2.0, 0.2
    memory = density.crp(2, sigma, prior, a, d, dtype=torch.float64)
    groups = memory.write(torch.from_numpy(x)).tolist()
    for index in range(40):
        labels = [one for place, one in enumerate(groups) if place != index]
        logs = {}
        for label in set(labels):
            own = [x[p] for p in range(40) if p != index and groups[p] == label]
            mean = np.sum(own, 0) / (len(own) + sigma**2 / prior**2)
            part = multivariate_normal(mean, sigma**2).logpdf(x[index])
            logs[label] = math.log(len(own) - d) + part
        new = multivariate_normal([0, 0], sigma**2 + prior**2).logpdf(x[index])
        logs["new"] = math.log(a + d * len(logs)) + new
        best = max(logs, key=logs.get)
        groups[index] = f"made by {index}" if best == "new" else best
    ids = memory.fit(torch.from_numpy(x), sweeps=1).tolist()
    assert adjusted_rand_score([str(one) for one in groups], ids) == 1


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": 1.0}, "discount must be at least 0 and below 1"),
        ({"discount": -0.1}, "discount must be a finite number >= 0"),
        ({"concentration": -0.5}, "concentration must be >= 0"),
        ({"concentration": -0.5, "discount": 0.5}, "concentration must be above -0.5"),
        ({"concentration": 0.0 - 0.3, "discount": 0.2}, "concentration must be above -0.2"),
        ({"sigma": 0.0}, "sigma must be a finite number"),
        ({"prior_sigma": math.inf}, "prior_sigma must be a finite number"),
        ({"assign": "firm"}, "assign must be one of 'hard', 'soft'"),
        ({"normalised": 1}, "normalised must be True or False"),
        ({"storage": "bits"}, "keyword must be one of 'dtype'"),
        ({"dtype": torch.int8}, "dtype must be"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    good = {"dim": 2, "sigma": 1.0, "prior_sigma": 2.0, "concentration": 1.0}
    with pytest.raises(InputError, match=message):
        density.crp(**(good | change))


def test_a_refused_write_leaves_nothing_behind(engine):
    memory = density.crp(1, 1.0, 1.0, 0.5, dtype=torch.float64)
    memory.write(torch.tensor([[0.5], [9.0]]).double())
    before = memory._means.clone()
    with pytest.raises(InputError, match=r"Mixture\.write: x must be such that squared distances"):
        memory.write(torch.tensor([[1.0], [-9.0], [1e200]], dtype=torch.float64))
    assert torch.equal(memory._means, before)
    assert memory.counts.tolist() == [1.0, 1.0]


def test_no_row_creates_nothing(engine):
    memory = density.crp(3, 1.0, 2.0, 1.0)
    assert memory.write(torch.zeros(0, 3)).shape == memory.fit(torch.zeros(0, 3)).shape == (0,)
    assert len(memory) == 0
    assert memory.posterior(torch.zeros(2, 3)).tolist() == [[1.0], [1.0]]


def test_room_for_memories_grows(engine):
    memory = density.crp(1, 1e-3, 100.0, 1.0, dtype=torch.float64)
    x = torch.arange(70, dtype=torch.float64).unsqueeze(-1) - 35
    assert memory.write(x).tolist() == list(range(70))
    assert _seats.Seats(memory.rule, memory._state()).born == 70


def seated(engine, rule, parts, sweeps=None):
    """Return the ids, means and counts that an engine finds for parts of rows."""
    with kanerva.settings.use(engine=engine):
        memory = density.crp(parts[0].shape[1], *rule, dtype=torch.float64)
        if sweeps is None:
            ids = torch.cat([memory.write(part) for part in parts])
        else:
            ids = memory.fit(torch.cat(parts), sweeps=sweeps)
    return ids, memory._means, memory.counts


@needs_numba
@pytest.mark.untyped
@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    rule=st.sampled_from(RULES),
    dim=st.sampled_from([1, 2, 9, 64, 300]),
    spread=st.sampled_from([0.0, 0.3, 3.0, 1e150]),
    sweeps=st.sampled_from([None, 0, 1, 9]),
    seed=st.integers(0, 99),
)
def test_numba_seats_rows_as_numpy_in_every_bit(sizes, rule, dim, spread, sweeps, seed):
    """In blocks and in sweeps, from no memory to as many as rows, with ties."""
    source = torch.Generator().manual_seed(seed)
    centres = spread * torch.randn(5, dim, generator=source, dtype=torch.float64)
    noise = torch.randn(sum(sizes), dim, generator=source, dtype=torch.float64)
    # Rows on a coarse grid are often equal, and as far from one mean as from another.
    noise = (noise if seed % 2 else noise.round()) / dim**0.5
    parts = (centres[torch.arange(len(noise)) % 5] + noise).split(sizes)
    found, expected = (seated(engine, rule, parts, sweeps) for engine in ("numba", "numpy"))
    assert all(map(torch.equal, found, expected))


@needs_numba
@pytest.mark.parametrize("dim", [1, 2, 129, 10_000])
@pytest.mark.parametrize("sweeps", [0, 1])
def test_terms_are_those_of_numpy_in_every_bit(dim, sweeps):
    """Logarithms of counts up to a hundred, and sums longer than a buffer of NumPy."""
    source = np.random.default_rng(dim)
    rows = 5 * source.standard_normal((4, dim))[np.arange(400) % 4]
    rows += source.standard_normal((400, dim)) / dim**0.5
    rule = density.crp(dim, 0.5, 5.0, 1.0, 0.4).rule
    empty = State(torch.zeros(0, dim, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))
    found = []
    for engine in ("numba", "numpy"):
        with kanerva.settings.use(engine=engine):
            seats = _seats.Seats(rule, empty)
        ids = _seats.refined_hard(seats, rows, sweeps)
        again = _seats.Seats(rule, seats.state(torch.zeros(1)))
        assert np.array_equal(seats.logs[: seats.born + 1], again.logs[: seats.born + 1])
        found.append((ids, seats.means, seats.counts, seats.logs, seats._terms(rows[7])))
    assert all(map(np.array_equal, *found))
    assert seats.counts.max() >= 80
