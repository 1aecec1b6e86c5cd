"""Exact mathematics against enumeration, independent sums, identities and published tables."""

import itertools
import math

import numpy as np
import pytest

from kanerva import InputError, InputTypeError
from kanerva.theory import beta, circle, radius

LARGE = (1030, 1075, 5000, 10_000)


def enumerated(bits):
    """Count by looking at every point: entry [d][a][b] is the intersection of radii a and b at distance d."""
    points = np.arange(2**bits)
    near = np.bitwise_count(points)
    table = np.zeros((bits + 1, bits + 1, bits + 1), int)
    for distance in range(bits + 1):
        far = np.bitwise_count(points ^ (2**distance - 1))
        np.add.at(table[distance], (near, far), 1)
    return table.cumsum(1).cumsum(2)


def log_share(count, bits):
    """ln(count / 2^bits) of an integer of any size, right to the last place."""
    if not count:
        return -math.inf
    length = count.bit_length()
    return math.log(count / 2**length) + (length - bits) * math.log(2)


def by_double_sum(bits, radius, distance):
    """Sum over agreeing coordinates a and disagreeing coordinates c (the paper's formula)."""
    total = 0
    for a in range(bits - distance + 1):
        least = max(0, bits - radius - a)
        total += math.comb(bits - distance, a) * sum(math.comb(distance, c) for c in range(least, distance - least + 1))
    return total


def by_lunes(bits, radius, distance):
    """Take the moving lune away from the whole circle (Kanerva's book)."""
    row = itertools.accumulate(range(radius), lambda count, i: count * (bits - i) // (i + 1), initial=1)
    ball = sum(row)
    return ball - sum(
        math.comb(j - 1, j // 2) * math.comb(bits - j, radius - j // 2) for j in range(1, distance + 1, 2) if radius >= j // 2
    )


# ---- circle ----


@pytest.mark.parametrize("bits", [*range(1, 11), 12])
def test_every_small_intersection_equals_enumeration(bits):
    table = enumerated(bits)
    for a, b in itertools.product(range(bits + 1), repeat=2):
        expected = table[:, a, b]
        assert circle.intersection(bits, a, b) == expected.tolist()
        with np.errstate(divide="ignore"):
            exact = np.log(expected / 2**bits)
        got = circle.log_fraction(bits, a, b)
        assert (np.isneginf(got) == (expected == 0)).all()
        np.testing.assert_allclose(got, exact, rtol=0, atol=2e-14)
    assert [circle.ball(bits, a) for a in range(bits + 1)] == np.diagonal(table[0]).tolist()
    assert circle.intersection(bits, bits // 2) == table[:, bits // 2, bits // 2].tolist()


TABLE_64 = {
    0: (8303633, 32671244073, 927740240713, 224723513577529, 14414187542581429, 2402093292062053101),
    1: (1274786, 9003554258, 311949983890, 102591779307634, 8283023235502954, 1912631288881010650),
    2: (1274786, 9003554258, 311949983890, 102591779307634, 8283023235502954, 1912631288881010650),
    3: (231076, 3113898728, 131595643438, 57566255152834, 5658520746656254, 1669028079924547126),
    4: (231076, 3113898728, 131595643438, 57566255152834, 5658520746656254, 1669028079924547126),
    6: (36022, 1067002052, 56201615872, 33281997043114, 3993467528322364, 1487324047014398104),
    8: (4102, 341237012, 23153386372, 19136286591514, 2835423501544264, 1336877497264128604),
    10: (252, 97723742, 8948445622, 10760536982014, 2002444464738964, 1206226546165210354),
    12: (0, 23931842, 3163160662, 5846763877774, 1396641528880564, 1089670061306054194),
    16: (0, 653510, 265470790, 1487910543862, 639927994120612, 886863635177845522),
    20: (0, 0, 8649940, 282484134532, 260662578624502, 713692249983795422),
    22: (0, 0, 705432, 104638378444, 156474606516282, 635878260845862374),
    24: (0, 0, 0, 33199279804, 89071816949442, 563164131461155382),
    30: (0, 0, 0, 155117520, 10277083313670, 372436356385812422),
    32: (0, 0, 0, 0, 3929674395270, 317397973654366022),
    38: (0, 0, 0, 0, 35345263800, 177227378606878472),
    54: (0, 0, 0, 0, 0, 1946939425648112),
    64: (0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize(("column", "size"), list(enumerate((5, 9, 11, 15, 19, 27))))
def test_intersections_at_64_bits_are_the_tabulated_ones(column, size):
    curve = circle.intersection(64, size)
    assert {d: curve[d] for d in TABLE_64} == {d: row[column] for d, row in TABLE_64.items()}
    assert curve[2 * size] == math.comb(2 * size, size)


@pytest.mark.parametrize(("bits", "size"), [(64, 24), (97, 40), (97, 60), (130, 65)])
def test_intersections_equal_the_double_sum(bits, size):
    curve = circle.intersection(bits, size)
    assert curve == [by_double_sum(bits, size, distance) for distance in range(bits + 1)]


@pytest.mark.parametrize("bits", LARGE)
def test_large_intersections_equal_the_sum_over_lunes(bits):
    size = bits * 9 // 20
    curve = circle.intersection(bits, size)
    for distance in (0, 1, 2, 31):
        assert curve[distance] == by_lunes(bits, size, distance)
    assert curve[2 * size] == math.comb(2 * size, size)


@pytest.mark.parametrize("bits", LARGE)
def test_summed_over_all_centres_an_intersection_is_the_product_of_the_balls(bits):
    small, large = bits * 4 // 10, bits * 9 // 20
    total, layer = 0, 1
    for distance, count in enumerate(circle.intersection(bits, large, small)):
        total += layer * count
        layer = layer * (bits - distance) // (distance + 1)
    assert total == circle.ball(bits, small) * circle.ball(bits, large)


@pytest.mark.parametrize("bits", [64, 65, 1000])
def test_an_intersection_falls_in_stairs_and_ends_at_twice_the_radius(bits):
    for size in (0, 1, bits // 7, bits // 2 - 1, bits // 2, bits * 3 // 5, bits - 1):
        curve = circle.intersection(bits, size)
        assert curve[0] == circle.ball(bits, size)
        assert curve[0] - curve[1] == math.comb(bits - 1, size)
        assert all(odd == even for odd, even in zip(curve[1::2], curve[2::2], strict=False))
        assert all(near >= far for near, far in itertools.pairwise(curve))
        assert sum(count > 0 for count in curve) == min(2 * size, bits) + 1
    assert circle.intersection(bits, bits) == [2**bits] * (bits + 1)
    assert (circle.log_fraction(bits, bits) == 0).all()


@pytest.mark.parametrize(("bits", "sizes"), [(1030, range(0, 1031, 103)), (1075, (3, 400, 537, 538)), (5000, (1, 700, 2420, 2500, 2600)),
                                             (10_000, (0, 10, 100, 1000, 2500, 4890, 5000, 5200, 10_000))])  # fmt: skip
def test_logarithms_are_right_to_eleven_places_where_floats_overflow(bits, sizes):
    for size in sizes:
        exact = np.array([log_share(count, bits) for count in circle.intersection(bits, size)])
        got = circle.log_fraction(bits, size)
        assert (np.isneginf(got) == np.isneginf(exact)).all()
        there = np.isfinite(exact)
        assert np.abs(got[there] - exact[there]).max() < 1e-11
        assert abs(circle.log_activation(bits, size) - exact[0]) < 1e-11
    exact = [log_share(count, bits) for count in circle.intersection(bits, bits // 3, bits // 2)]
    np.testing.assert_allclose(circle.log_fraction(bits, bits // 2, bits // 3), exact, rtol=0, atol=1e-11)


def test_kanervas_memory_has_the_overlaps_of_the_table():
    expected = {0: 1071.850, 1: 958.437, 10: 795.874, 50: 476.874, 100: 285.831, 150: 173.627, 200: 103.461, 209: 92.913, 250: 59.387,
                300: 32.324, 400: 7.597, 500: 1.101}  # fmt: skip
    overlap = circle.overlap(1000, 451, 1_000_000)
    assert overlap[list(expected)] == pytest.approx(list(expected.values()), abs=1e-3)
    assert overlap[902] == pytest.approx(8.38e-26, rel=1e-3)
    assert overlap[903] == 0
    assert circle.overlap(1000, 451, 5e5) == pytest.approx(overlap / 2)


@pytest.mark.parametrize(
    ("bits", "size", "share"), [(1000, 451, 0.00107185004892367), (256, 103, 0.00106684558637787), (64, 24, 0.0299705947834996)]
)
def test_activation_is_the_share_of_the_space(bits, size, share):
    assert circle.activation(bits, size) == pytest.approx(share, rel=1e-13)


@pytest.mark.parametrize("bits", [1, 7, 64, 999, 1000])
def test_activation_is_the_binomial_distribution(bits):
    from scipy.stats import binom

    sizes = np.arange(bits + 1)
    np.testing.assert_allclose([circle.activation(bits, int(size)) for size in sizes], binom.cdf(sizes, bits, 0.5), rtol=1e-11)
    assert circle.activation(bits, bits) == 1


def test_activation_of_many_bits_fades_but_its_logarithm_does_not():
    assert circle.activation(10_000, 3) == 0
    assert circle.log_activation(10_000, 3) == pytest.approx(log_share(circle.ball(10_000, 3), 10_000), abs=1e-11)


def test_results_belong_to_the_caller():
    circle.log_fraction(20, 5)[:] = 0
    circle.intersection(20, 5).clear()
    assert circle.log_fraction(20, 5)[20] == -math.inf
    assert circle.intersection(20, 5)[0] == circle.ball(20, 5)


# ---- radius ----


@pytest.mark.parametrize("bits", [1, 2, 9, 64, 100, 784, 1000])
def test_quantile_is_the_binomial_quantile(bits):
    from scipy.stats import binom

    draw = np.random.default_rng(bits)
    shares = np.concatenate([10.0 ** draw.uniform(-12, 0, 40), draw.uniform(size=40), [1.0]])
    expected = np.maximum(binom.ppf(shares, bits, 0.5), 0)
    assert [radius.quantile(bits, float(share)) for share in shares] == expected.tolist()


@pytest.mark.parametrize("bits", [1, 5, 31, 50])
def test_quantile_is_exact_on_the_border(bits):
    for size in range(bits + 1):
        share = circle.ball(bits, size) / 2**bits
        assert radius.quantile(bits, share) == size
        if size < bits:
            assert radius.quantile(bits, math.nextafter(share, 1)) == size + 1
    assert radius.quantile(bits, 5e-324) == 0


@pytest.mark.parametrize(
    ("bits", "sizes"),
    [(64, (5, 9, 11, 15, 19, 20, 27)), (784, (292, 308, 314, 332, 345, 349, 374)), (1000, (387, 405, 411, 433, 447, 451, 480))],
)
def test_quantiles_are_those_of_the_paper(bits, sizes):
    assert tuple(radius.quantile(bits, share) for share in (4e-13, 1e-9, 1e-8, 1e-5, 3.7e-4, 1e-3, 0.1)) == sizes


SIGNAL = [(64, 100, math.inf, 12), (64, 512, math.inf, 11), (64, 1024, math.inf, 11), (64, 10_240, math.inf, 11), (64, 50_000, 2**64, 10),
          (64, 60_000, 2.0**64, 10), (1000, 100, 1e6, 454), (1000, 1024, 1_000_000, 450), (1000, 10_000, 1e6, 447)]  # fmt: skip


@pytest.mark.parametrize(("bits", "patterns", "locations", "size"), SIGNAL)
def test_radius_of_the_highest_signal_to_noise(bits, patterns, locations, size):
    found = radius.optimal(bits, patterns, locations)
    assert (found.radius, found.ties) == (size, (size,))
    count = 2.0**bits if locations == math.inf else locations
    assert found.activation == pytest.approx((2 * patterns * count) ** (-1 / 3), rel=1e-12)
    p = found.activation
    ratio = p * count / math.sqrt(p * count * (1 + p * patterns + p**3 * patterns * count))
    assert found.best == pytest.approx(ratio, rel=1e-12)


def test_published_shares_of_the_highest_signal_to_noise():
    assert radius.optimal(64, 1024).activation == pytest.approx(2.980232e-8, rel=1e-6)
    assert radius.optimal(1000, 10_000, 1e6).activation == pytest.approx(3.684031e-4, rel=1e-6)


@pytest.mark.parametrize(
    ("bits", "locations", "fidelity", "size", "share", "patterns"),
    [
        (64, math.inf, 0.5, 5, 1.979931e-13, 3.49e18),
        (64, math.inf, 0.99, 5, None, None),
        (1000, 1e6, 0.5, 444, 1.775352e-4, 89_355),
        (1000, 1e6, 0.99, 444, 2.18196e-4, 48_133),
    ],
)
def test_radius_of_the_highest_capacity(bits, locations, fidelity, size, share, patterns):
    found = radius.optimal(bits, 1, locations, "capacity", fidelity=fidelity)
    assert found.radius == size
    if share:
        assert found.activation == pytest.approx(share, rel=1e-5)
        assert found.best == pytest.approx(patterns, rel=1e-3 if bits == 64 else 1e-5)


def test_no_other_share_stores_more_patterns():
    from scipy.stats import norm

    found = radius.optimal(200, 1, 5000, "capacity", fidelity=0.9)
    z = norm.ppf(0.9 ** (1 / 200))
    p = np.geomspace(found.activation / 10, found.activation * 10, 2001)
    patterns = ((p * 5000) ** 2 / z**2 - p * 5000) / (p**2 * 5000 + (p**2 * 5000) ** 2) + 1
    assert found.best == pytest.approx(patterns.max(), rel=1e-6)
    assert patterns.argmax() == 1000


@pytest.mark.parametrize(
    ("bits", "patterns", "locations", "best", "ties"),
    [
        (64, 1024, math.inf, 30, (15, 16, 17)),
        (64, 10_240, math.inf, 30, (15,)),
        (64, 512, math.inf, 32, (16, 17, 18)),
        (64, 128, math.inf, 32, tuple(range(16, 23))),
        (1000, 10_000, 1e6, 176, (448, 449)),
    ],
)
def test_radius_of_the_noisiest_query(bits, patterns, locations, best, ties):
    found = radius.optimal(bits, patterns, locations, "noise")
    assert (found.radius, found.best, found.ties) == (ties[0], best, ties)
    assert found.activation == circle.activation(bits, ties[0])


def test_optima_of_many_bits_and_of_few():
    # p = (2 m 2^n)^(-1/3): the ball holds just enough points, compared as cubes of integers
    found = radius.optimal(10_000, 1000)
    assert 2 * 1000 * circle.ball(10_000, found.radius) ** 3 >= 4**10_000 > 2 * 1000 * circle.ball(10_000, found.radius - 1) ** 3
    assert (found.activation, found.best) == (0, math.inf)
    assert radius.optimal(10_000, 1000, criterion="capacity").best == math.inf
    assert radius.optimal(1, 1, 1).radius == 0
    assert radius.optimal(3, 10**6).radius == 0
    assert radius.optimal(8, 1, 10).radius <= 7
    assert radius.optimal(2, 1, criterion="noise").radius in (0, 1)


# ---- beta ----

FITS_64 = [  # radius, published, ols, r2 of ols, mse, kl, leading, entropic, total variation of published
    (5, 35.484762, 28.387809, 0.88731, 43.7384, 34.4010, 11.391, 19.912, 0.113),
    (9, 20.040985, 17.814209, 0.96015, 24.5934, 20.1867, None, None, 0.121),
    (11, 15.852765, 14.411605, 0.97223, 18.8138, 15.9225, 6.891, 9.013, 0.111),
    (15, 10.110419, 9.436391, 0.98367, 11.1641, 10.0942, 4.516, 5.306, 0.084),
    (19, 6.303327, 5.971573, 0.98842, 6.5969, 6.3983, None, None, 0.060),
    (27, 1.848715, 1.780244, 0.99070, 2.0547, 2.3029, None, None, 0.065),
]


@pytest.mark.parametrize(("size", "published", "ols", "r2", "mse", "kl", "leading", "entropic", "variation"), FITS_64)
def test_fits_at_64_bits_are_the_tabulated_ones(size, published, ols, r2, mse, kl, leading, entropic, variation):
    assert beta.fit(64, size, "published").beta == pytest.approx(published, abs=1e-6)
    assert beta.fit(64, size, "published").residual == pytest.approx(variation, abs=6e-4)
    assert beta.fit(64, size, "ols").beta == pytest.approx(ols, abs=1e-6)
    assert beta.fit(64, size, "ols").r2 == pytest.approx(r2, abs=1.1e-5)
    assert beta.fit(64, size, "mse").beta == pytest.approx(mse, abs=1e-4)
    assert beta.fit(64, size, "kl").beta == pytest.approx(kl, abs=1e-4)
    assert beta.fit(64, size) == beta.fit(64, size, "kl")
    assert beta.fit(64, size).reach == 2 * size
    if leading is not None:
        assert beta.leading(64, size) == pytest.approx(leading, abs=5e-4)
        assert beta.entropic(64, size) == pytest.approx(entropic, abs=5e-4)


FITS_LARGE = [(1000, 384, 24.61942, 24.55531, 13.456), (1000, 405, 17.36497, 17.32209, 9.025), (1000, 411, 15.52851, 15.49073, 7.921),
              (1000, 431, 10.16331, 10.13973, 4.761), (1000, 444, 7.30209, 7.28565, 3.136), (1000, 447, 6.71194, 6.69692, 2.809),
              (1000, 448, 6.52131, 6.50676, 2.704), (1000, 451, 5.96644, 5.95321, 2.401), (1000, 463, 4.01213, 4.00347, 1.369),
              (1000, 480, 1.96321, 1.95912, 0.400), (784, 290, 24.13861, 24.05537, None), (784, 308, 17.19061, 17.13479, None),
              (784, 314, 15.14358, 15.09535, None), (784, 331, 10.06616, 10.03574, None), (784, 345, 6.68634, 6.66696, None),
              (784, 374, 1.98746, 1.98215, None)]  # fmt: skip


@pytest.mark.parametrize(("bits", "size", "published", "ols", "leading"), FITS_LARGE)
def test_fits_at_more_bits_are_the_tabulated_ones(bits, size, published, ols, leading):
    assert beta.fit(bits, size, "published").beta == pytest.approx(published, abs=1e-5)
    assert beta.fit(bits, size, "ols").beta == pytest.approx(ols, abs=1e-5)
    if leading is not None:
        assert beta.leading(bits, size) == pytest.approx(leading, abs=5e-4)


@pytest.mark.parametrize(("bits", "size"), [(2, 1), (3, 1), (40, 1), (40, 11), (101, 50), (257, 100), (1000, 1)])
def test_fits_are_the_minima_of_what_they_minimise(bits, size):
    cosine = 1 - 2 * np.arange(bits + 1) / bits
    weights = np.array(circle.intersection(bits, size), float)
    weights /= weights.sum()
    there = weights > 0

    def softmax(value):
        power = np.exp(value * (cosine - 1))
        return power / power.sum()

    def divergence(value):
        return (weights[there] * np.log(weights[there] / softmax(value)[there])).sum()

    def squares(value):
        return ((weights - softmax(value)) ** 2).sum()

    for method, loss in (("kl", divergence), ("mse", squares)):
        found = beta.fit(bits, size, method)
        tried = found.beta * np.concatenate([np.linspace(0.1, 4, 400), [1 - 1e-4, 1 + 1e-4]])
        assert loss(found.beta) <= min(map(loss, tried))
        assert found.residual == pytest.approx(np.abs(weights - softmax(found.beta)).sum() / 2, abs=1e-12)
        assert found.reach == np.flatnonzero(there)[-1]
    mean = softmax(beta.fit(bits, size).beta) @ cosine
    assert mean == pytest.approx(weights @ cosine, abs=1e-13)


def test_level_weights_have_beta_zero():
    for bits, size in ((1, 1), (8, 8), (1000, 700), (10_000, 9000)):
        found = beta.fit(bits, size)
        assert (found.beta, found.r2, found.reach) == (0, 1, bits)
        assert found.residual < 1e-9


def test_closed_forms_meet_at_half_the_bits():
    assert beta.leading(1000, 500) == beta.entropic(1000, 500) == 0
    assert beta.entropic(10_000, 4900) == pytest.approx(beta.leading(10_000, 4900), rel=1e-3)
    assert beta.leading(64, 0) == 16
    assert beta.entropic(100, 10) == pytest.approx(-25 * math.log(0.36))


# ---- bad input ----

REFUSED = [
    (lambda: circle.intersection(0, 0), "bits"),
    (lambda: circle.intersection(8, -1), "radius"),
    (lambda: circle.intersection(8, 9), "radius"),
    (lambda: circle.intersection(8, 2, 9), "other"),
    (lambda: circle.ball(8, 9), "radius"),
    (lambda: circle.log_fraction(8, 2, -1), "other"),
    (lambda: circle.log_activation(8, -2), "radius"),
    (lambda: circle.activation(8, 9), "radius"),
    (lambda: circle.overlap(8, 2, 0), "locations"),
    (lambda: circle.overlap(8, 2, math.inf), "locations"),
    (lambda: circle.overlap(8, 2, math.nan), "locations"),
    (lambda: radius.quantile(8, 0.0), "probability"),
    (lambda: radius.quantile(8, 1.5), "probability"),
    (lambda: radius.quantile(8, math.nan), "probability"),
    (lambda: radius.optimal(0, 1), "bits"),
    (lambda: radius.optimal(8, 0), "patterns"),
    (lambda: radius.optimal(8, 1, 0), "locations"),
    (lambda: radius.optimal(8, 1, math.nan), "locations"),
    (lambda: radius.optimal(8, 1, -math.inf), "locations"),
    (lambda: radius.optimal(8, 1, criterion="best"), "criterion"),
    (lambda: radius.optimal(8, 10**9, 1, "noise"), "patterns"),
    (lambda: radius.optimal(8, 1, criterion="capacity", fidelity=1.0), "fidelity"),
    (lambda: radius.optimal(8, 1, criterion="capacity", fidelity=2.0**-8), "fidelity"),
    (lambda: radius.optimal(1000, 1, 1, criterion="capacity"), "locations"),
    (lambda: beta.fit(64, 0), "radius"),
    (lambda: beta.fit(64, 1, "ols"), "radius"),
    (lambda: beta.fit(64, 1, "published"), "radius"),
    (lambda: beta.fit(64, 65), "radius"),
    (lambda: beta.fit(64, 11, "best"), "method"),
    (lambda: beta.leading(64, 33), "radius"),
    (lambda: beta.entropic(64, 0), "radius"),
    (lambda: beta.entropic(64, 33), "radius"),
]


@pytest.mark.parametrize(("call", "argument"), REFUSED)
def test_a_number_out_of_range_is_refused_by_name(call, argument):
    with pytest.raises(InputError, match=f": {argument} must be .*, but it was .*; ") as caught:
        call()
    assert caught.value.argument == argument


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: circle.intersection(8.0, 2), "bits"),
        (lambda: circle.intersection(8, 2.5), "radius"),
        (lambda: circle.intersection(8, True), "radius"),
        (lambda: circle.overlap(8, 2, "many"), "locations"),
        (lambda: radius.quantile(8, "half"), "probability"),
        (lambda: radius.optimal(8, 1.5), "patterns"),
        (lambda: radius.optimal(8, 1, None), "locations"),
        (lambda: beta.fit(64, None), "radius"),
        (lambda: beta.leading("64", 1), "bits"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(call, argument):
    with pytest.raises(InputTypeError) as caught:
        call()
    assert caught.value.argument == argument
