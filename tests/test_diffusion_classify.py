"""Copies, repeats and new samples, and the test of copying: brute force, ties, and digits."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings, strategies

import kanerva
from kanerva import InputError, diffusion
from kanerva.diffusion import _near
from kanerva.lab import data

FAR = {"compute_mode": "donot_use_mm_for_euclid_dist"}


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(scope="module")
def digits():
    """Training rows and a hold-out of the digits over 16."""
    x = (data.load("digits", domain="real").real.double() + 1) / 2
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(x)))
    return x[order[:1000]], x[order[1000:]]


def brute(samples, train, first, second):
    """Classify by whole matrices of distances."""
    near = torch.cdist(samples, train, **FAR).amin(1)
    apart = torch.cdist(samples, samples, **FAR).fill_diagonal_(math.inf).amin(1)
    return [0 if a <= first else 1 if b <= second else 2 for a, b in zip(near, apart, strict=True)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kinds_by_whole_matrices(dtype):
    train, samples = normal(60, 3, dtype=dtype), normal(80, 3, seed=1, dtype=dtype)
    samples[:10], samples[20:30] = train[:10], samples[30:40]
    for first, second in ((0.0, 0.0), (0.3, 0.1), (0.1, 0.6), (9.0, 9.0)):
        found = diffusion.classify(samples, train, first, second)
        assert found.kind.tolist() == brute(samples.double(), train.double(), first, second)
        counts = [(found.kind == kind).double().mean().item() for kind in range(3)]
        assert list(found[:3]) == pytest.approx(counts)
        assert sum(found[:3]) == pytest.approx(1)
        assert found.thresholds == (first, second)


def test_thresholds_are_shares_of_the_spacing():
    train = torch.tensor([[0.0], [1.0], [3.0], [7.0], [15.0]])  # neighbours at 1, 1, 2, 4, 8
    found = diffusion.classify(torch.tensor([[0.5], [2.5]]), train)
    assert found.thresholds == (0.5, 0.2)
    assert found.kind.tolist() == [0, 0]
    # Copies are no neighbours: they would make the threshold 0.
    again = diffusion.classify(torch.tensor([[0.5]]), train.repeat(4, 1))
    assert again.thresholds == (0.5, 0.2)
    assert diffusion.classify(train, train, memorised=0.0).thresholds == (0.0, 0.2)


def test_digits_have_their_known_neighbours():
    x = (data.load("digits", domain="real").real.double() + 1) / 2
    near = _near.others(x)
    assert near.distances.min().item() == pytest.approx(0.3307, abs=1e-4)
    assert near.distances.quantile(0.5).item() == pytest.approx(1.0078, abs=1e-4)
    assert near.distances.max().item() == pytest.approx(2.0068, abs=1e-4)
    assert diffusion.classify(x, x).thresholds[0] == pytest.approx(1.0078 / 4, abs=1e-4)


def test_the_exact_score_copies_and_fresh_rows_do_not(digits):
    train, fresh = digits
    start = 10 * normal(300, 64)
    sigmas = diffusion.schedule("geometric", 20, high=10.0, low=0.05)
    denoise = diffusion.exact(train)
    samples = diffusion.sample(denoise, start, sigmas, energies=False).states[-1]
    assert diffusion.classify(samples, train)[:3] == (1, 0, 0)
    found = diffusion.copying(samples, train, fresh)
    # Complete separation of 300 and 797 rows; all distances tied at 0 give 3e-147.
    assert -148 < math.log10(found.p) < -142
    assert found.auc == 1
    assert found.ratio > 1e6
    half = diffusion.copying(fresh[:398], train, fresh[398:])
    assert half.p > 0.05
    assert half.auc == pytest.approx(0.5, abs=0.06)
    assert half.ratio == pytest.approx(1, abs=0.06)
    assert diffusion.classify(fresh, train).memorised < 0.01


@given(strategies.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_test_is_that_of_scipy_with_ties_too(seed):
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 30, 3)
    samples, train, fresh = (draw.integers(0, 4, (size, 2)).astype(float) for size in sizes)
    found = diffusion.copying(samples, train, fresh)
    near, usual = (
        torch.cdist(torch.tensor(rows), torch.tensor(train), **FAR).amin(1).numpy()
        for rows in (samples, fresh)
    )
    wins = (near[:, None] < usual).mean() + (near[:, None] == usual).mean() / 2
    assert found.auc == pytest.approx(wins)
    assert 0 <= found.p <= 1
    if len({*near, *usual}) > 1:
        expected = scipy.stats.mannwhitneyu(near, usual, alternative="less").pvalue
        assert found.p == pytest.approx(expected)
    assert found.ratio >= 0


def test_the_normal_approximation_by_its_formula():
    train = torch.zeros(1, 1)
    near, usual = normal(90, 1).abs(), normal(110, 1, seed=1).abs() + 0.1
    found = diffusion.copying(near, train, usual)
    count, other = 90, 110
    spread = math.sqrt(count * other * (count + other + 1) / 12)
    z = (found.auc * count * other - count * other / 2 - 0.5) / spread
    assert found.p == pytest.approx(scipy.stats.norm.sf(z))


def test_the_ratio_compares_as_many_rows():
    line = torch.arange(40, dtype=torch.float64).unsqueeze(1)
    samples, train, fresh = line[:5] + 0.25, line[:20], line[20:30]
    found = diffusion.copying(samples, train, fresh)
    some = train[_near.choice(20, 10)]
    assert len(some) == 10
    below = torch.cdist(samples, some, **FAR).amin(1).quantile(0.5)
    above = torch.cdist(samples, fresh, **FAR).amin(1).quantile(0.5)
    assert found.ratio == pytest.approx((above / below).item())
    assert diffusion.copying(samples, train, fresh) == found
    # One training row and many fresh ones: both are one row.
    alone = diffusion.copying(line[:1], line[:1] + 1, line[10:])
    assert alone.ratio == line[10:][_near.choice(30, 1)].item() > 10


def test_distances_that_are_all_zero():
    rows = normal(5, 2)
    assert diffusion.copying(rows, rows, rows) == (0.5, 1.0, 1.0)
    found = diffusion.copying(rows[:2], rows[:3], rows[3:] + 10)
    assert found.ratio == math.inf or found.ratio > 1
    assert diffusion.copying(rows[:1], rows[:1], rows[1:]).ratio == math.inf
    # Samples that are farther than fresh rows: auc below 0.5, and p near 1.
    far = diffusion.copying(rows + 50, rows, rows[:3] + 0.1)
    assert far.auc == 0
    assert far.p > 0.95


def traps(shift=0.0):
    """Return queries, and keys with copies and with many that are nearer than rounding tells."""
    base = normal(200, 12)
    crowd = base[:5].repeat(12, 1) + 1e-9 * normal(60, 12, seed=1)
    keys = torch.cat([base, base[:40], crowd, base[:100] + 1e-3]) + shift
    return torch.cat([keys[:60], normal(60, 12, seed=2) + shift, keys[:5] + 1e-10]), keys


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("few", [0, 2**26])
def test_neighbours_are_those_of_all_differences(monkeypatch, few, shift):
    query, keys = traps(shift)
    monkeypatch.setattr(_near, "FEW", few)
    found = _near.among(query, keys)
    whole = torch.cdist(query, keys, **FAR)
    assert found.distances.equal(whole.amin(1))
    assert found.places.equal((whole == whole.amin(1, keepdim=True)).int().argmax(1))
    assert (found.distances[:60] == 0).all()
    found = _near.others(keys)
    whole = torch.cdist(keys, keys, **FAR).fill_diagonal_(math.inf)
    assert found.distances.equal(whole.amin(1))
    assert found.places.equal((whole == whole.amin(1, keepdim=True)).int().argmax(1))


def test_the_first_of_equally_near_rows_counts_in_any_block(monkeypatch):
    ring = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    keys = torch.cat([2 * ring, ring.flip(0), 3 + ring])
    for few in (0, 2**26):
        monkeypatch.setattr(_near, "FEW", few)
        for budget in (1, 64 * 256 * 3, 2**28):
            with kanerva.settings.use(budget=budget):
                found = _near.among(torch.zeros(3, 2, dtype=torch.float64), keys)
                assert found.places.tolist() == [4, 4, 4]
                assert found.distances.tolist() == [1, 1, 1]


def test_small_blocks_and_batch_mates_change_nothing(monkeypatch):
    query, keys = traps()
    whole = diffusion.classify(query, keys)
    with kanerva.settings.use(budget=20_000):
        assert _near.among(query, keys).distances.equal(whole.distance)
    alone = diffusion.classify(query[7:9], keys, *whole.thresholds)
    assert alone.distance.equal(whole.distance[7:9])
    monkeypatch.setattr(_near, "FEW", 0)
    with kanerva.settings.use(budget=200_000):
        found = diffusion.classify(query, keys)
    for one, other in zip(found[3:], whole[3:], strict=True):
        assert one.equal(other) if isinstance(one, torch.Tensor) else one == other


def test_numbers_of_any_size():
    for unit in (1e-300, 1e-30, 1e30, 1e98):
        rows = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 9.0]], dtype=torch.float64) * unit
        found = diffusion.classify(rows[:1], rows[1:])
        assert found.distance.item() == pytest.approx(5 * unit, rel=1e-12, abs=0)
        assert found.nearest.item() == 0
        assert found.thresholds[0] == pytest.approx(math.hypot(3, 5) * unit / 4, rel=1e-12, abs=0)
    assert diffusion.classify([[-0.0, 1.0]], [[0.0, 1.0], [2.0, 2.0]]).distance.item() == 0


@given(strategies.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_order_place_and_unit_change_no_kind(seed):
    draw = np.random.default_rng(seed)
    train, samples = (torch.from_numpy(draw.normal(size=(size, 3))) for size in (20, 15))
    samples[:4] = train[:4] + 0.01
    found = diffusion.classify(samples, train)
    order = torch.from_numpy(draw.permutation(20))
    turned = diffusion.classify(samples.flip(0), train[order])
    assert turned.kind.equal(found.kind.flip(0))
    assert order[turned.nearest.flip(0)].equal(found.nearest)
    moved = diffusion.classify(3 * samples + 7, 3 * train + 7)
    assert moved.kind.equal(found.kind)
    assert moved.thresholds == pytest.approx([3 * limit for limit in found.thresholds])


def test_any_number_of_threads_gives_the_same_bytes(monkeypatch):
    query, keys = traps()
    monkeypatch.setattr(_near, "FEW", 0)
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(diffusion.classify(query, keys))
    torch.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        assert one.equal(other) if isinstance(one, torch.Tensor) else one == other


def test_few_rows():
    one = diffusion.classify([[1.0, 2.0]], [[1.0, 2.0]], 0.1, 0.1)
    assert one[:3] == (1, 0, 0)
    assert one.other.tolist() == [-1]
    assert one.apart.tolist() == [math.inf]
    alone = diffusion.classify([[5.0, 5.0]], [[1.0, 2.0]], 0.1, 1e300)
    assert alone.kind.tolist() == [2]
    same = diffusion.classify([[5.0, 5.0]] * 3, [[1.0, 2.0]], 0.0, 0.0)
    assert same[:3] == (0, 1, 0)
    assert same.other.tolist() == [1, 0, 0]


def test_the_choice_of_rows_is_always_alike():
    chosen = _near.choice(100, 10)
    assert chosen.equal(_near.choice(100, 10))
    assert len(chosen.unique()) == 10
    assert _near.choice(10, 10).tolist() == list(range(10))
    rows = normal(50, 2)
    all_of_them = _near.spacing(rows)
    assert len(all_of_them) == 50


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("samples", "train", "more", "words"),
    [
        (torch.zeros(0, 2), torch.eye(2), {}, "samples must be one row or more"),
        (torch.eye(2), torch.zeros(0, 2), {}, "train must be one row or more"),
        (torch.eye(3), torch.eye(2), {}, r"train must be a tensor of shape \(m, 3\)"),
        (torch.eye(2), torch.full((2, 2), math.nan), {}, "train must be finite"),
        (torch.eye(2) / 0, torch.eye(2), {}, "samples must be finite"),
        (torch.eye(2), torch.eye(2), {"memorised": -1.0}, "memorised must be a finite number >= 0"),
        (torch.eye(2), torch.eye(2), {"spurious": math.nan}, "spurious must be a finite number"),
        (torch.eye(2), torch.eye(2), {"spurious": "x"}, "spurious must be a finite number"),
        (torch.eye(2), torch.eye(2)[:1], {}, "train must be rows that differ, but it was one"),
        (torch.eye(2), torch.ones(3, 2), {"spurious": 1.0}, "3 equal ones, which have no neighb"),
        (torch.eye(2), torch.eye(2).double() * 1e101, {}, "train must be of numbers up to 1e.100"),
        (torch.eye(2).byte(), torch.eye(2), {}, "samples must be a floating tensor"),
        (torch.eye(2)[0], torch.eye(2), {}, "samples must be a tensor of shape"),
    ],
)
def test_bad_input(samples, train, more, words):
    with pytest.raises(InputError, match=words):
        diffusion.classify(samples, train, **more)
    if not more and "differ" not in words:
        with pytest.raises(InputError, match=words):
            diffusion.copying(samples, train, torch.eye(samples.shape[-1]))


@pytest.mark.untyped
def test_a_hold_out_that_does_not_fit():
    with pytest.raises(InputError, match="holdout must be a tensor of shape"):
        diffusion.copying(torch.eye(2), torch.eye(2), torch.eye(3))
    with pytest.raises(InputError, match="holdout must be one row or more"):
        diffusion.copying(torch.eye(2), torch.eye(2), torch.zeros(0, 2))
