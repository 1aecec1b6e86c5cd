"""Capacities and biases against published numbers, simulated memories, enumeration and inverses."""

import itertools
import math
import re
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from kanerva import InputError, InputTypeError
from kanerva.theory import capacity, circle, pull, radius

# ---- sparse distributed memory ----


def squared_ratio(bits, size, fidelity):
    """Return z^2: with one pattern, the locations that are needed are z^2 / p."""
    return capacity.locations(bits, size, 1, fidelity) * circle.activation(bits, size)


@pytest.mark.parametrize(
    ("bits", "size", "patterns", "locations"),
    [(1000, 451, 10_000, 1e6), (64, 11, 1024, 2**64), (200, 82, 300, 20_000)],
)
def test_signal_and_fidelity_are_those_of_the_formula(bits, size, patterns, locations):
    from scipy.stats import norm

    p, others = circle.activation(bits, size), patterns - 1
    z = (
        p
        * locations
        / math.sqrt(p * locations + others * (p**2 * locations + (p**2 * locations) ** 2))
    )
    assert capacity.snr(bits, size, patterns, locations) == pytest.approx(z, rel=1e-10)
    assert capacity.bit(bits, size, patterns, locations) == pytest.approx(norm.cdf(z), rel=1e-12)
    assert capacity.word(bits, size, patterns, locations) == pytest.approx(
        math.exp(bits * norm.logcdf(z)), rel=1e-10
    )


def test_the_signal_is_that_of_the_best_radius_except_for_one_pattern():
    found = radius.optimal(1000, 10_000, 1_000_000)
    near = [
        capacity.snr(1000, size, 10_000, 1_000_000)
        for size in range(found.radius - 5, found.radius + 6)
    ]
    assert max(near) == pytest.approx(found.best, rel=1e-3)
    # The optimal share lies between those of the radius and of the next smaller one.
    assert max(near) in (near[4], near[5])


def test_bits_read_from_a_simulated_memory():
    draw = np.random.default_rng(3)
    bits, size, count, locations = 400, 174, 4000, 8000
    addresses, keys, values = (
        draw.choice(np.array([-1, 1], np.float32), (rows, bits))
        for rows in (locations, count, count)
    )
    active = (keys @ addresses.T >= bits - 2 * size).astype(np.float32)
    sums = active @ (active.T @ values)
    right = (sums * values > 0).mean() + 0.5 * (sums == 0).mean()
    expected = capacity.bit(bits, size, count, locations)
    assert 1 - right == pytest.approx(1 - expected, rel=0.1)


def test_most_patterns_are_the_published_ones():
    from scipy.stats import norm

    published = [
        (0.5, 1.77535e-4, 89_355),
        (0.99, 2.18196e-4, 48_133),
        (norm.cdf(2.33) ** 1000, 1.42264e-4, 173_657),  # z = 2.33
    ]
    for fidelity, share, patterns in published:
        found = radius.optimal(1000, 1, 1_000_000, "capacity", fidelity=float(fidelity))
        assert found.activation == pytest.approx(share, rel=1e-5)
        assert found.best == pytest.approx(patterns, abs=1)
    for bits, size, fidelity, ratio in (
        (1000, 451, 0.5, 3.197589),
        (1000, 451, 0.99, 4.263771),
        (64, 11, 0.5, 2.298313),
    ):
        assert math.sqrt(squared_ratio(bits, size, fidelity)) == pytest.approx(ratio, abs=1e-6)


def test_no_radius_stores_more_than_the_best_share():
    best = radius.optimal(1000, 1, 1_000_000, "capacity")
    counts = {size: capacity.patterns(1000, size, 1_000_000) for size in range(435, 460)}
    assert max(counts, key=counts.get) in (best.radius - 1, best.radius)
    assert 0.99 * best.best < counts[best.radius] <= max(counts.values()) <= best.best


@pytest.mark.parametrize(
    ("bits", "size", "count"),
    [(1000, 444, 10**6), (64, 5, math.inf), (64, 11, 2**64), (200, 82, 20_000.0)],
)
@pytest.mark.parametrize("fidelity", [1e-3, 0.5, 0.99, 1 - 1e-12])
def test_patterns_locations_and_words_are_inverse(bits, size, count, fidelity):
    patterns = capacity.patterns(bits, size, count, fidelity)
    assert capacity.patterns(bits, size, count, fidelity, "log2") == pytest.approx(
        math.log2(patterns)
    )
    if patterns > 5:
        whole = min(int(patterns), 2**63 - 1)
        assert capacity.word(bits, size, whole, count) >= fidelity * (1 - 1e-9)
        assert (
            capacity.word(bits, size, min(2 * whole, 2**63 - 1), count) <= fidelity or whole > 2**61
        )
        needed = capacity.locations(bits, size, whole, fidelity)
        assert needed <= (2.0**bits if count == math.inf else count) * (1 + 1e-9)
        assert capacity.patterns(bits, size, needed, fidelity) == pytest.approx(whole, rel=1e-9)
        assert capacity.locations(bits, size, whole, fidelity, "log2") == pytest.approx(
            math.log2(needed)
        )


def test_one_active_location_needs_one_in_p_locations():
    assert capacity.locations(1000, 451) == pytest.approx(1 / 0.00107185004892367)
    assert capacity.locations(64, 11) == pytest.approx(2**64 / 927740240713)
    assert capacity.locations(64, 64) == 1
    assert capacity.locations(10_000, 0, unit="log2") == pytest.approx(10_000)
    # With one pattern the number of active locations is the only source of noise.
    assert capacity.locations(64, 11, 1) == pytest.approx(
        2.298313**2 * 2**64 / 927740240713, rel=1e-6
    )


def test_memories_of_many_bits_have_logarithms():
    from scipy.stats import norm

    square = norm.isf(-math.expm1(math.log(0.5) / 10_000)) ** 2
    assert capacity.patterns(10_000, 100, unit="log2") == pytest.approx(
        10_000 - math.log2(square), abs=1e-6
    )
    assert capacity.word(10_000, 100, 10**6) == 1
    assert capacity.bit(10_000, 100, 10**6) == 1
    assert capacity.word(1100, 400, 2**40, 2**3000) == 1
    assert capacity.word(10_000, 4000, 10**9, 10) == 0
    assert capacity.bit(10_000, 4000, 10**9, 10) == 0.5


# ---- bounds and other memories ----


def test_the_highest_rate():
    assert [capacity.rate(share) for share in (0, 0.5)] == [1, 0]
    assert capacity.rate(0.11) == pytest.approx(0.5, abs=1e-3)
    # Disjoint circles fill the space.
    packed = -circle.log_activation(100_000, 11_000) / math.log(2) / 100_000
    assert capacity.rate(0.11) == pytest.approx(packed, abs=1e-4)


def test_hopfield_networks():
    assert capacity.hopfield(1000) == pytest.approx(1000 / (2 * math.log(1000)))
    assert capacity.hopfield(1000, "all") == capacity.hopfield(1000) / 2
    assert capacity.hopfield(1000, "replica") == 138
    assert capacity.hopfield(2) > 1


def test_dense_memories():
    for bits, degree in ((100, 3), (100, 4), (64, 7), (1000, 20)):
        odd = math.prod(range(1, 2 * degree - 2, 2))
        assert capacity.dense(bits, degree) == pytest.approx(
            bits ** (degree - 1) / (2 * odd * math.log(bits)), rel=1e-12
        )
    assert capacity.dense(500, 2) == pytest.approx(capacity.hopfield(500))
    logs = [capacity.dense(2000, degree, "log2") for degree in range(2, 1001)]
    assert logs == sorted(logs)
    assert logs[-1] > 1024


def test_exponential_memories():
    assert capacity.exponential(40) == pytest.approx(2**20)
    assert capacity.exponential(40, 0.5) == 1
    share, bits = 0.1, 200
    # Their formula: exp(n I(1 - 2 share) / 2), I(a) = ((1 + a) ln(1 + a) + (1 - a) ln(1 - a)) / 2
    a = 1 - 2 * share
    rate = ((1 + a) * math.log(1 + a) + (1 - a) * math.log(1 - a)) / 2
    assert capacity.exponential(bits, share) == pytest.approx(math.exp(bits * rate / 2))
    assert capacity.exponential(4096, unit="log2") == 2048


def test_modern_hopfield_networks_have_the_published_bases():
    assert capacity.modern(20, scale=3.0).base == pytest.approx(3.1546, abs=5e-5)
    assert capacity.modern(75).base == pytest.approx(1.3718, abs=1e-4)
    assert capacity.modern(20, scale=3.0).base == pytest.approx(3.15461077, abs=1e-8)


@pytest.mark.parametrize(
    ("dim", "beta", "scale", "failure"),
    [(20, 1.0, 3.0, 0.001), (75, 1.0, 1.0, 0.001), (64, 8.0, 1.0, 0.5), (300, 0.5, 2.0, 1.0)],
)
def test_modern_hopfield_networks_solve_lamberts_equation(dim, beta, scale, failure):
    from scipy.special import lambertw

    found = capacity.modern(dim, beta, scale, failure)
    a = 2 / (dim - 1) * (1 + math.log(2 * beta * scale**2 * failure * (dim - 1)))
    b = 2 * scale**2 * beta / 5
    assert found.base == pytest.approx(b / lambertw(math.exp(a + math.log(b))).real, rel=1e-12)
    assert found.patterns == pytest.approx(
        math.sqrt(failure) * found.base ** ((dim - 1) / 4), rel=1e-10
    )
    assert capacity.modern(dim, beta, scale, failure, "log2").patterns == pytest.approx(
        math.log2(found.patterns)
    )


def test_modern_hopfield_networks_of_any_size_and_temperature():
    assert capacity.modern(100_000, 5.0, unit="log2").patterns > 1024
    assert (
        capacity.modern(100, 1e6, 1e3, unit="log2").patterns
        > capacity.modern(100, 1e6, unit="log2").patterns
    )


def test_modern_hopfield_networks_at_any_temperature_and_scale():
    # W underflows; c = b / W(e^a b) is then e^-a.
    found = capacity.modern(40, 1e-300, 1.0, 1e-3, "log2")
    a = 2 / 39 * (1 + math.log(2 * 1e-300 * 1e-3 * 39))
    assert found.base == pytest.approx(math.exp(-a), rel=1e-9)
    with pytest.raises(InputError, match="modern: beta must be of a size for which a float holds"):
        capacity.modern(2, 1e-320, 1.0, 0.5)
    with pytest.raises(InputError, match="modern: beta must be of a size for which a float holds"):
        capacity.modern(2, 1e308, 1e308, unit="log2")


# ---- sparse codes ----


def codes(draw, patterns, bits, ones):
    """Draw random codes with exactly so many ones."""
    order = draw.random((patterns, bits)).argsort(1)
    return (order < ones).astype(int)


@pytest.mark.parametrize(
    ("bits", "ones", "patterns", "own"),
    [(60, 4, 120, False), (60, 4, 120, True), (100, 8, 60, False), (7, 3, 4, True)],
)
def test_clipped_sums_have_the_share_and_the_wrong_ones_of_a_simulation(bits, ones, patterns, own):
    draw = np.random.default_rng(bits + ones)
    shares, wrong = [], []
    for _ in range(400):
        keys = codes(draw, patterns, bits, ones)
        values = keys if own else codes(draw, patterns, bits, ones)
        clipped = keys.T @ values > 0
        shares.append(clipped.mean())
        wrong.append(((keys @ clipped == ones).sum(1) - ones).mean())
    error = 4 * np.std(wrong) / 20
    assert np.mean(wrong) == pytest.approx(
        capacity.spurious(bits, ones, patterns, autoassociative=own), abs=error
    )
    if not own:
        error = 4 * np.std(shares) / 20
        assert np.mean(shares) == pytest.approx(capacity.fill(bits, ones, patterns), abs=error)


def test_wrong_ones_of_small_memories_are_those_of_all_codes():
    # Two patterns of two ones among four bits: all 6 x 6 pairs of keys and of values.
    pairs = [(1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (0, 1, 1, 0), (0, 1, 0, 1), (0, 0, 1, 1)]
    rows = np.array(pairs)
    wrong = [
        ((key @ (np.outer(key, value) + np.outer(other, another) > 0) == 2).sum() - 2)
        for key in rows
        for value in rows
        for other in rows
        for another in rows
    ]
    assert capacity.spurious(4, 2, 2) == pytest.approx(np.mean(wrong), rel=1e-12)
    assert capacity.spurious(4, 2, 1) == 0
    assert capacity.spurious(1000, 999, 10**6) == pytest.approx(1)


def test_willshaws_memory_meets_its_condition_and_its_limit():
    for bits, ones, wrong in ((1024, 10, 1.0), (1000, 20, 0.01), (300, 3, 2.0)):
        found = capacity.willshaw(bits, ones, wrong)
        assert bits * found.fill**ones == pytest.approx(wrong)
        assert found.fill == pytest.approx(1 - (1 - (ones / bits) ** 2) ** found.patterns, rel=1e-9)
        codes = math.log2(math.comb(bits, ones))
        assert found.information == pytest.approx(found.patterns * codes / bits**2)
    # Half of the connections are on at k = log2 n; the information rises to ln 2.
    limits = [capacity.willshaw(2**power, power) for power in range(5, 21)]
    assert all(found.fill == pytest.approx(0.5) for found in limits)
    shares = [found.information for found in limits]
    assert shares == sorted(shares)
    # log2 C(n, k) is n (log2 n - log2 k + 1 / ln 2) to leading order.
    k = 20
    expected = math.log(2) * (k - math.log2(k) + 1 / math.log(2)) / k
    assert shares[-1] == pytest.approx(expected, rel=0.02)
    assert shares[-1] < math.log(2)


def test_willshaw_says_on_which_side_the_ones_are_wrong():
    def stored(bits, ones, wrong):
        try:
            return capacity.willshaw(bits, ones, wrong).patterns
        except InputError as error:
            return str(error)

    sides = Counter()
    for bits, wrong in itertools.product((10, 13, 35, 100), (1.0, 0.001, 3.2e-10, 1e-30)):
        found = {ones: stored(bits, ones, wrong) for ones in range(1, bits)}
        enough = [ones for ones, count in found.items() if not isinstance(count, str)]
        for ones in found.keys() - set(enough):
            said = re.search(r"give (more|fewer), such as (\d+), or a larger", found[ones])
            assert (said is None) == (not enough)
            if said is None:
                sides["neither"] += 1
                assert "; give a larger number of wrong ones." in found[ones]
            else:
                sides[said[1]] += 1
                assert int(said[2]) in enough
                assert said[1] == ("more" if ones < enough[0] else "fewer")
    assert len(sides) == 3
    refusals = [stored(10, 9, 1.0), stored(100, 99, 1.0)]
    assert all("; give fewer, such as" in said for said in refusals)


def test_covariance_is_hebb_at_one_half_and_has_its_sparse_limit():
    assert capacity.covariance(1000, 0.5) == pytest.approx(137.9056, abs=1e-3)  # Amit and others
    assert capacity.covariance(1000, 0.1) == capacity.covariance(1000, 0.9)
    activities = [0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4, 1e-5, 1e-6]
    stored = [capacity.covariance(2**20, activity) for activity in activities]
    assert stored == sorted(stored)
    shares = [
        found / capacity.covariance(2**20, activity, "sparse")
        for found, activity in zip(stored, activities, strict=True)
    ]
    assert shares == sorted(shares)
    assert 0.5 < shares[-1] < 1
    assert capacity.covariance(1000, 0.01, "sparse") == pytest.approx(1000 / (0.02 * math.log(100)))


@pytest.mark.parametrize("activity", [0.02, 0.1, 0.35, 0.5])
def test_covariance_is_the_largest_of_a_grid(activity):
    from scipy.stats import norm

    x, t = np.meshgrid(np.linspace(2, 8, 601), np.linspace(-1, 4, 501))
    inside, outside = (1 - activity) * x - t, -activity * x - t
    p1, p0 = norm.cdf(inside), norm.cdf(outside)
    mean = activity * p1 + (1 - activity) * p0
    spread = mean * (1 - activity) ** 2 + (1 - mean) * activity**2  # of s - f, for s of 0 and 1
    slope = activity * norm.pdf(inside) + (1 - activity) * norm.pdf(outside)
    room = (p1 - p0) / x - slope
    best = np.where(room > 0, room**2 / spread, 0).max()
    assert capacity.covariance(1000, activity) == pytest.approx(1000 * best, rel=2e-4)


def test_a_network_with_the_covariance_rule_recalls_below_its_capacity():
    bits, activity = 1200, 0.1
    # The threshold of the mean field at saturation, less half of the reaction of a unit on itself.
    threshold, draw = 0.548, np.random.default_rng(0)
    most = capacity.covariance(bits, activity)
    overlaps = []
    for load in (0.8, 2.5):
        x = (codes(draw, int(load * most), bits, 120) - activity).astype(np.float32)
        own, scale = (x**2).sum(0), bits * activity * (1 - activity)
        state = (x[:30] > 0).astype(np.float32)
        for _ in range(20):
            field = ((state - activity) @ x.T) @ x - (state - activity) * own
            state = (field / scale > threshold).astype(np.float32)
        overlaps.append((((state - activity) * x[:30]).sum(1) / scale).mean())
    assert overlaps[0] == pytest.approx(0.9445, abs=0.03)  # of the mean field at this load
    assert overlaps[1] < 0.6  # far below 0.835, the least of the mean field, at saturation


# ---- bias and nearest location ----


@pytest.mark.parametrize("bits", [1, 2, 7, 12, 65])
def test_the_agreement_of_a_location_is_a_ratio_of_sums(bits):
    for size in range(bits + 1):
        same = sum(math.comb(bits - 1, k) for k in range(min(size, bits - 1) + 1))
        assert pull.location(bits, size) == pytest.approx(
            float(Fraction(same, circle.ball(bits, size))), rel=1e-12
        )
    assert pull.location(bits, 0) == pytest.approx(1)
    assert pull.location(bits, bits) == 0.5


def test_biases_are_the_published_ones():
    assert pull.location(1000, 451) == pytest.approx(0.552905, abs=5e-7)
    assert pull.query(1000, 451, 10_000, 1_000_000) == pytest.approx(128.61, abs=0.005)
    assert pull.query(1000, 451, 1, 1_000_000) == 0
    assert pull.query(64, 64, 100, 1e6) == 0
    assert 0.5 < pull.location(10_000, 4900) < 0.52


def test_the_nearest_location():
    assert pull.nearest(1000, 1_000_000) == pytest.approx(424.8, abs=0.05)
    assert pull.nearest(1000, 2) == 500
    assert pull.nearest(1000, 1) == 1000
    assert pull.nearest(64, 2**64) == 0
    assert pull.nearest(10_000, 1e300) < radius.quantile(10_000, 1e-300) + 5
    for locations in (10, 1e4, 1e6):
        assert radius.quantile(1000, 1 / locations) == pytest.approx(
            pull.nearest(1000, locations), abs=1
        )


def test_the_probability_of_a_location_within_the_radius():
    assert pull.within(64, 15, 1e5) == pytest.approx(0.7042, abs=1e-4)  # 1 - exp(-1.218)
    for bits, size, locations in ((8, 2, 1), (8, 2, 20), (8, 7, 3), (5, 0, 2), (12, 5, 4)):
        p = Fraction(circle.ball(bits, size), 2**bits)
        assert pull.within(bits, size, locations) == pytest.approx(
            float(1 - (1 - p) ** locations), rel=1e-12
        )
    assert pull.within(8, 8, 1) == 1
    assert pull.within(64, 11, 10) == pytest.approx(10 * circle.activation(64, 11), rel=1e-5)
    assert pull.within(10_000, 4000, 2**9000) == 1
    # The published normal approximation, 1 - exp(-r Phi((d - n / 2) / sqrt(n / 4)))
    from scipy.special import ndtr

    assert pull.within(1000, 425, 1e6) == pytest.approx(
        -math.expm1(-1e6 * ndtr(-75 / math.sqrt(250))), abs=0.05
    )


# ---- bad input ----


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: capacity.snr(0, 0, 1), "bits"),
        (lambda: capacity.snr(8, 9, 1), "radius"),
        (lambda: capacity.snr(8, 2, 0), "patterns"),
        (lambda: capacity.snr(8, 2, 1, 0), "locations"),
        (lambda: capacity.snr(10_000, 5000, 1), "locations"),
        (lambda: capacity.bit(8, 2, 1, math.nan), "locations"),
        (lambda: capacity.word(8, -1, 1), "radius"),
        (lambda: capacity.patterns(1000, 451, 500), "locations"),
        (lambda: capacity.patterns(8, 2, fidelity=1.0), "fidelity"),
        (lambda: capacity.patterns(8, 2, fidelity=2.0**-8), "fidelity"),
        (lambda: capacity.patterns(1000, 451, fidelity=2.0**-1000 * (1 + 1e-14)), "fidelity"),
        (lambda: capacity.patterns(8, 2, fidelity=math.nan), "fidelity"),
        (lambda: capacity.patterns(5000, 100), "unit"),
        (lambda: capacity.patterns(8, 2, unit="nats"), "unit"),
        (lambda: capacity.locations(8, 2, 0), "patterns"),
        (lambda: capacity.locations(1000, 480, 10**6), "radius"),
        (lambda: capacity.locations(5000, 3), "unit"),
        (lambda: capacity.rate(0.6), "share"),
        (lambda: capacity.rate(-0.1), "share"),
        (lambda: capacity.hopfield(1), "bits"),
        (lambda: capacity.hopfield(10, "most"), "criterion"),
        (lambda: capacity.dense(2, 2), "bits"),
        (lambda: capacity.dense(10, 1), "degree"),
        (lambda: capacity.dense(10, 6), "degree"),
        (lambda: capacity.dense(2000, 900), "unit"),
        (lambda: capacity.exponential(0), "bits"),
        (lambda: capacity.exponential(8, 0.7), "share"),
        (lambda: capacity.exponential(3000), "unit"),
        (lambda: capacity.modern(1), "dim"),
        (lambda: capacity.modern(5), "dim"),
        (lambda: capacity.modern(20, 0.0), "beta"),
        (lambda: capacity.modern(20, scale=0.0), "scale"),
        (lambda: capacity.modern(20, failure=0.0), "failure"),
        (lambda: capacity.modern(20, failure=1.5), "failure"),
        (lambda: capacity.modern(100_000, 5.0), "unit"),
        (lambda: capacity.hopfield(2**70), "bits"),
        (lambda: capacity.fill(1, 1, 1), "bits"),
        (lambda: capacity.fill(8, 8, 1), "ones"),
        (lambda: capacity.fill(8, 2, 0), "patterns"),
        (lambda: capacity.spurious(2**20, 1001, 5), "ones"),
        (lambda: capacity.spurious(8, 2, 2**70), "patterns"),
        (lambda: capacity.willshaw(8, 0), "ones"),
        (lambda: capacity.willshaw(8, 2, 0.0), "wrong"),
        (lambda: capacity.willshaw(8, 2, 8.0), "wrong"),
        (lambda: capacity.willshaw(8, 1, 0.01), "ones"),
        (lambda: capacity.covariance(8, 0.1), "activity"),
        (lambda: capacity.covariance(8, math.nan), "activity"),
        (lambda: capacity.covariance(8, 0.5, "best"), "criterion"),
        (lambda: pull.location(8, 9), "radius"),
        (lambda: pull.query(8, 2, 0), "patterns"),
        (lambda: pull.query(10_000, 4990, 5), "locations"),
        (lambda: pull.nearest(8, 0.5), "locations"),
        (lambda: pull.nearest(8, math.inf), "locations"),
        (lambda: pull.within(8, 2, math.inf), "locations"),
        (lambda: pull.within(8, 9, 5), "radius"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(call, argument):
    with pytest.raises(InputError, match=f": {argument} must be .*, but it was .*; ") as caught:
        call()
    assert caught.value.argument == argument


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: capacity.snr(8, 2, 1.5), "patterns"),
        (lambda: capacity.word(8, 2, 1, "many"), "locations"),
        (lambda: capacity.rate("half"), "share"),
        (lambda: capacity.hopfield(10.0), "bits"),
        (lambda: capacity.modern(20, None), "beta"),
        (lambda: capacity.spurious(8, 2, 2, "own"), "autoassociative"),
        (lambda: capacity.willshaw(8, 2, "none"), "wrong"),
        (lambda: capacity.covariance(8.0, 0.5), "bits"),
        (lambda: pull.location("8", 2), "bits"),
        (lambda: pull.nearest(8, [1]), "locations"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(call, argument):
    with pytest.raises(InputTypeError) as caught:
        call()
    assert caught.value.argument == argument
