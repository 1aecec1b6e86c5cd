"""Exact mathematics against enumeration, independent sums, identities and published tables."""

import inspect
import itertools
import math

import numpy as np
import pytest
import torch

from kanerva import InputError, InputTypeError, theory
from kanerva.theory import approximation, circle, radius

LARGE = (1030, 1075, 5000, 10_000)


def enumerated(bits):
    """Count all points: entry [d][a][b] is the intersection of radii a and b at distance d."""
    points = np.arange(2**bits)
    near = np.bitwise_count(points)
    table = np.zeros((bits + 1, bits + 1, bits + 1), int)
    for distance in range(bits + 1):
        far = np.bitwise_count(points ^ (2**distance - 1))
        np.add.at(table[distance], (near, far), 1)
    return table.cumsum(1).cumsum(2)


def log_share(count, bits):
    """Return ln(count / 2^bits) of an integer of any size, to full precision."""
    if not count:
        return -math.inf
    length = count.bit_length()
    return math.log(count / 2**length) + (length - bits) * math.log(2)


def by_double_sum(bits, radius, distance):
    """Sum over agreeing coordinates a and disagreeing coordinates c, as in the paper."""
    total = 0
    for a in range(bits - distance + 1):
        least = max(0, bits - radius - a)
        total += math.comb(bits - distance, a) * sum(
            math.comb(distance, c) for c in range(least, distance - least + 1)
        )
    return total


def by_lunes(bits, radius, distance):
    """Subtract the lunes from the whole circle, as in Kanerva's book."""
    row = itertools.accumulate(
        range(radius), lambda count, i: count * (bits - i) // (i + 1), initial=1
    )
    ball = sum(row)
    return ball - sum(
        math.comb(j - 1, j // 2) * math.comb(bits - j, radius - j // 2)
        for j in range(1, distance + 1, 2)
        if radius >= j // 2
    )


# ---- circle ----


@pytest.mark.parametrize("bits", [*range(1, 11), 12])
def test_every_small_intersection_equals_enumeration(bits):
    table = enumerated(bits)
    for a, b in itertools.product(range(bits + 1), repeat=2):
        expected = table[:, a, b]
        assert circle.intersection(bits, a, b) == expected.tolist()
        assert circle.intersection(bits, a, b, form="sum") == expected.tolist()
        with np.errstate(divide="ignore"):
            exact = np.log(expected / 2**bits)
        got = circle.log_fraction(bits, a, b)
        assert (np.isneginf(got) == (expected == 0)).all()
        np.testing.assert_allclose(got, exact, rtol=0, atol=2e-14)
    assert [circle.ball(bits, a) for a in range(bits + 1)] == np.diagonal(table[0]).tolist()
    assert circle.intersection(bits, bits // 2) == table[:, bits // 2, bits // 2].tolist()


TABLE_64 = {
    0: (
        8303633,
        32671244073,
        927740240713,
        224723513577529,
        14414187542581429,
        2402093292062053101,
    ),
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
    assert curve == circle.intersection(bits, size, form="sum")
    for other in (0, size - 3, size + 1, bits - 2, bits):
        assert circle.intersection(bits, size, other) == circle.intersection(
            bits, size, other, "sum"
        )
        assert circle.intersection(bits, size, other) == circle.intersection(
            bits, other, size, "sum"
        )


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


@pytest.mark.parametrize(
    ("bits", "sizes"),
    [
        (1030, range(0, 1031, 103)),
        (1075, (3, 400, 537, 538)),
        (5000, (1, 700, 2420, 2500, 2600)),
        (10_000, (0, 10, 100, 1000, 2500, 4890, 5000, 5200, 10_000)),
    ],
)
def test_logarithms_are_right_to_eleven_places_where_floats_overflow(bits, sizes):
    for size in sizes:
        exact = np.array([log_share(count, bits) for count in circle.intersection(bits, size)])
        got = circle.log_fraction(bits, size)
        assert (np.isneginf(got) == np.isneginf(exact)).all()
        there = np.isfinite(exact)
        assert np.abs(got[there] - exact[there]).max() < 1e-11
        assert abs(circle.log_activation(bits, size) - exact[0]) < 1e-11
    exact = [log_share(count, bits) for count in circle.intersection(bits, bits // 3, bits // 2)]
    np.testing.assert_allclose(
        circle.log_fraction(bits, bits // 2, bits // 3), exact, rtol=0, atol=1e-11
    )


def test_kanervas_memory_has_the_overlaps_of_the_table():
    expected = {
        0: 1071.850, 1: 958.437, 10: 795.874, 50: 476.874, 100: 285.831, 150: 173.627,
        200: 103.461, 209: 92.913, 250: 59.387, 300: 32.324, 400: 7.597, 500: 1.101,
    }  # fmt: skip
    overlap = circle.overlap(1000, 451, 1_000_000)
    assert overlap[list(expected)] == pytest.approx(list(expected.values()), abs=1e-3)
    assert overlap[902] == pytest.approx(8.38e-26, rel=1e-3)
    assert overlap[903] == 0
    assert circle.overlap(1000, 451, 5e5) == pytest.approx(overlap / 2)


@pytest.mark.parametrize(
    ("bits", "size", "share"),
    [
        (1000, 451, 0.00107185004892367),
        (256, 103, 0.00106684558637787),
        (64, 24, 0.0299705947834996),
    ],
)
def test_activation_is_the_share_of_the_space(bits, size, share):
    assert circle.activation(bits, size) == pytest.approx(share, rel=1e-13)


@pytest.mark.parametrize("bits", [1, 7, 64, 999, 1000])
def test_activation_is_the_binomial_distribution(bits):
    from scipy.stats import binom

    sizes = np.arange(bits + 1)
    np.testing.assert_allclose(
        [circle.activation(bits, int(size)) for size in sizes],
        binom.cdf(sizes, bits, 0.5),
        rtol=1e-11,
    )
    assert circle.activation(bits, bits) == 1


def test_activation_of_many_bits_underflows_but_its_logarithm_does_not():
    assert circle.activation(10_000, 3) == 0
    assert circle.log_activation(10_000, 3) == pytest.approx(
        log_share(circle.ball(10_000, 3), 10_000), abs=1e-11
    )


def test_results_belong_to_the_caller():
    circle.log_fraction(20, 5)[:] = 0
    circle.intersection(20, 5).clear()
    assert circle.log_fraction(20, 5)[20] == -math.inf
    assert circle.intersection(20, 5)[0] == circle.ball(20, 5)


# ---- cosine and distance ----


@pytest.mark.parametrize("bits", [1, 2, 3, 64, 97, 1000, 10_007])
def test_cosines_convert_back_to_every_distance(bits):
    distances = np.arange(bits + 1)
    cosines = circle.cosine(bits, distances)
    assert cosines.dtype == np.float64
    assert (cosines[0], cosines[-1]) == (1, -1)
    assert (circle.distance(bits, cosines) == distances).all()
    assert [circle.distance(bits, circle.cosine(bits, d)) for d in range(min(bits, 50))] == list(
        range(min(bits, 50))
    )
    one, other = np.ones(bits), np.where(distances[1:] <= bits // 3, -1, 1)
    assert circle.distance(bits, float(one @ other / bits)) == bits // 3


def test_cosines_between_two_distances_are_rounded_down():
    assert circle.distance(64, 1 - 1e-7) == 0
    assert circle.distance(64, np.array([[0.99, 0.96875], [0.9687, -0.999]])).tolist() == [
        [0, 1],
        [1, 63],
    ]
    assert circle.distance(64, 1 + 1e-7) == 0
    assert circle.distance(64, -1 - 1e-7) == 64
    assert isinstance(circle.distance(64, 0.5), int)
    assert circle.cosine(64, 22.5) == pytest.approx(0.296875)
    assert circle.distance(64, np.array(0.5)).shape == ()


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
    [
        (64, (5, 9, 11, 15, 19, 20, 27)),
        (784, (292, 308, 314, 332, 345, 349, 374)),
        (1000, (387, 405, 411, 433, 447, 451, 480)),
    ],
)
def test_quantiles_are_those_of_the_paper(bits, sizes):
    assert (
        tuple(
            radius.quantile(bits, share) for share in (4e-13, 1e-9, 1e-8, 1e-5, 3.7e-4, 1e-3, 0.1)
        )
        == sizes
    )


SIGNAL = [
    (64, 100, math.inf, 12), (64, 512, math.inf, 11), (64, 1024, math.inf, 11),
    (64, 10_240, math.inf, 11), (64, 50_000, 2**64, 10), (64, 60_000, 2.0**64, 10),
    (1000, 100, 1e6, 454), (1000, 1024, 1_000_000, 450), (1000, 10_000, 1e6, 447),
]  # fmt: skip


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
    # p = (2 m 2^n)^(-1/3): the ball is the smallest with so many points, compared as cubes of
    # integers.
    found = radius.optimal(10_000, 1000)
    assert (
        2 * 1000 * circle.ball(10_000, found.radius) ** 3
        >= 4**10_000
        > 2 * 1000 * circle.ball(10_000, found.radius - 1) ** 3
    )
    assert (found.activation, found.best) == (0, math.inf)
    assert radius.optimal(10_000, 1000, criterion="capacity").best == math.inf
    assert radius.optimal(1, 1, 1).radius == 0
    assert radius.optimal(3, 10**6).radius == 0
    assert radius.optimal(8, 1, 10).radius <= 7
    assert radius.optimal(2, 1, criterion="noise").radius in (0, 1)


# ---- bad input ----

REFUSED = [
    (lambda: circle.intersection(0, 0), "bits"),
    (lambda: circle.intersection(8, -1), "radius"),
    (lambda: circle.intersection(8, 9), "radius"),
    (lambda: circle.intersection(8, 2, 9), "other"),
    (lambda: circle.intersection(8, 2, form="best"), "form"),
    (lambda: circle.ball(8, 9), "radius"),
    (lambda: circle.log_fraction(8, 2, method="best"), "method"),
    (lambda: circle.log_fraction(8, 2, 3, "largest"), "other"),
    (lambda: circle.log_fraction(8, 5, method="normal"), "radius"),
    (lambda: circle.log_fraction(1, 0, method="taylor"), "bits"),
    (lambda: circle.log_fraction(8, 2, activation=0.1), "activation"),
    (lambda: circle.log_fraction(8, 2, method="upper", activation=0.1), "activation"),
    (lambda: circle.overlap(8, 2, 10.0, "kanerva1988", activation=0.6), "activation"),
    (lambda: circle.overlap(8, 2, 10.0, "kanerva1988", activation=0.0), "activation"),
    (lambda: approximation.log_fraction(8, 2, "exact"), "method"),
    (lambda: circle.cosine(8, 9), "distance"),
    (lambda: circle.cosine(0, 0), "bits"),
    (lambda: circle.cosine(8, np.array([1, -1])), "distance"),
    (lambda: circle.distance(8, 1.1), "cosine"),
    (lambda: circle.distance(8, math.nan), "cosine"),
    (lambda: circle.distance(8, np.array([0.0, math.nan])), "cosine"),
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
        (lambda: circle.cosine(8, "near"), "distance"),
        (lambda: circle.cosine(8, [1, 2]), "distance"),
        (lambda: circle.distance(8, np.array(["near"])), "cosine"),
        (lambda: radius.quantile(8, "half"), "probability"),
        (lambda: radius.optimal(8, 1.5), "patterns"),
        (lambda: radius.optimal(8, 1, None), "locations"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(call, argument):
    with pytest.raises(InputTypeError) as caught:
        call()
    assert caught.value.argument == argument


JUNK = (
    *(None, "junk", math.nan, math.inf, -math.inf, 1e-320, 1e308, 2**70, 2**1100, -1, 0, True, 1j),
    *(
        np.float64("nan"),
        np.int64(5),
        np.float32(0.5),
        np.bool_(True),
        b"x",
        [],
        (1, 2),
        {},
        object(),
    ),
    *(
        np.array([1.0, 2.0]),
        np.array(3),
        np.array([math.nan]),
        np.array(["a"]),
        torch.tensor([0.5]),
    ),
)
SOUND = {"bits": 64, "radius": 11, "patterns": 100, "locations": 10**6, "dim": 20, "ones": 5}


def calls(draw):
    """Yield every public function of the theory with one to three arguments of any kind."""
    for module in (getattr(theory, name) for name in theory.__all__):
        for function in (getattr(module, name) for name in module.__all__):
            if inspect.isclass(function) or not callable(function):
                continue
            parameters = list(inspect.signature(function).parameters.values())
            needed = {
                one.name: SOUND.get(one.name, 1) for one in parameters if one.default is one.empty
            }
            for _ in range(40):
                hurt = draw.permutation(len(parameters))[: draw.integers(1, 4)]
                junk = {parameters[i].name: JUNK[draw.integers(len(JUNK))] for i in hurt}
                yield function, needed | junk


def numbers(value):
    """Yield the numbers of a result."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, (float, np.ndarray)):
        yield from np.ravel(value)


@pytest.mark.untyped
def test_nonsense_gets_the_sentence_or_a_number():
    refused = []
    for function, given in calls(np.random.default_rng(0)):
        try:
            found = function(**given)
        except InputError as error:
            refused.append(error)
        else:
            assert not any(np.isnan(number) for number in numbers(found)), (function, given)
    assert len(refused) > 1000
    assert all(error.function for error in refused)
