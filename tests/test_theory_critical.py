"""Critical distances against published numbers, simulated memories and sums in exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest

from kanerva import InputError, InputTypeError
from kanerva.theory import circle, critical, pull, radius

KANERVAS = {"noise": "kanerva", "overlap": "kanerva1988", "activation": 0.001}
MEMORY = (1000, 451, 10_000, 1_000_000)


# ---- one read ----


def test_one_read_of_an_autoassociative_memory_of_a_thousand_bits():
    expected = {
        50: 0.9, 100: 21.8, 150: 85.8, 200: 173.9, 215: 201.9, 220: 209.4, 225: 219.2,
        230: 226.5, 250: 259.2, 300: 329.8, 400: 429.3, 500: 498.0,
    }  # fmt: skip
    after = critical.curve(*MEMORY)
    assert after[list(expected)] == pytest.approx(list(expected.values()), abs=0.051)
    # Means of 40 reads of simulated memories with a million locations; the standard deviation of a
    # read is 10 to 18 bits.
    simulated = {
        50: 1.0, 100: 23.4, 150: 87.7, 200: 176.0, 215: 204.0, 220: 211.0, 225: 223.6,
        230: 231.8, 240: 246.2, 250: 263.9, 300: 333.1, 400: 432.5, 500: 498.1,
    }  # fmt: skip
    assert after[list(simulated)] == pytest.approx(list(simulated.values()), abs=8)


def test_one_read_of_a_heteroassociative_memory_of_a_thousand_bits():
    after = critical.curve(*MEMORY, noise="heteroassociative")
    assert after[[100, 150, 200]] == pytest.approx([40.1, 143.5, 262.6], abs=0.051)


def simulate(hetero):
    """Read every pattern once from 20, 40 and 60 wrong bits, with 200 bits and 20,000 locations."""
    draw = np.random.default_rng(5)
    bits, size, count = 200, 82, 300

    def signs(*shape):
        return draw.choice(np.array([-1, 1], np.float32), shape)

    def active(queries):
        return (queries @ addresses.T >= bits - 2 * size).astype(np.float32)

    addresses, keys = signs(20_000, bits), signs(count, bits)
    values = signs(count, bits) if hetero else keys
    counters = active(keys).T @ values
    means = []
    for wrong in (20, 40, 60):
        queries = keys.copy()
        for row in queries:
            row[draw.choice(bits, wrong, replace=False)] *= -1
        sums = active(queries) @ counters
        means.append(((sums * values < 0) + 0.5 * (sums == 0)).sum(1).mean())
    return means


@pytest.mark.parametrize("noise", ["autoassociative", "heteroassociative"])
def test_one_read_of_a_simulated_memory(noise):
    expected = critical.curve(200, 82, 300, 20_000, noise)[[20, 40, 60]]
    assert expected[1] > 5
    assert simulate(noise == "heteroassociative") == pytest.approx(expected, rel=0.06)


def test_the_bias_is_the_mean_over_all_patterns():
    for bits, size in ((1, 0), (1, 1), (8, 3), (9, 9), (64, 20), (101, 60)):
        mean = sum(
            Fraction(math.comb(bits, k) * count * (bits - 2 * k), bits)
            for k, count in enumerate(circle.intersection(bits, size))
        ) / Fraction(4**bits)
        assert pull.query(bits, size, 1001, 700) == pytest.approx(
            float(mean * 1000 * 700), rel=1e-10, abs=1e-12
        )


def test_moments_of_the_noise_are_the_published_ones():
    from scipy.special import ndtri

    assert pull.query(*MEMORY) == pytest.approx(128.61, abs=0.006)
    # D(d) = n Phi(-I(d) / s) with s^2 = I(d) + the noise of the other patterns
    near = np.arange(50, 301, 50)
    shared = circle.overlap(1000, 451, 1_000_000)[near]
    after = critical.curve(*MEMORY, noise="heteroassociative")[near]
    noise = (shared / ndtri(after / 1000)) ** 2 - shared
    assert noise == pytest.approx(26_416, abs=0.6)


# ---- critical distances ----


def test_kanervas_critical_distance():
    assert round(critical.crossing(*MEMORY, **KANERVAS)) == 209
    # ``first`` is the first distance at which a read comes no nearer.
    for patterns, first in ((1000, 370), (5000, 260), (10_000, 209), (20_000, 155), (50_000, 74)):
        assert critical.distance(1000, 451, patterns, 1_000_000, **KANERVAS) == first - 1
        assert first - 1 < critical.crossing(1000, 451, patterns, 1_000_000, **KANERVAS) < first
    assert critical.distance(1000, 451, 100_000, 1_000_000, **KANERVAS) == 0
    assert critical.crossing(1000, 451, 100_000, 1_000_000, **KANERVAS) == 0
    assert critical.distance(*MEMORY, noise="kanerva") == 212


def test_kanervas_noise_is_that_of_his_formula():
    from scipy.special import ndtr, ndtri

    p, r, m, n = 0.001, 1e6, 1e4, 1000
    h = math.exp(-(ndtri(p) ** 2)) / math.pi
    assert h == pytest.approx(2.3e-5, abs=5e-7)
    sigma = math.sqrt(p * p * r * m * (1 + h * h * r / (4 * p * p * n)))
    assert sigma == pytest.approx(106.23, abs=0.006)
    overlap = circle.overlap(1000, 451, 1e6, "kanerva1988", activation=p)
    np.testing.assert_allclose(
        critical.curve(*MEMORY, **KANERVAS), n * ndtr(-overlap / sigma), rtol=1e-10
    )


def test_critical_distance_with_independent_noise():
    assert critical.distance(*MEMORY, noise="independent") == 164
    best = {
        size: critical.distance(1000, size, 10_000, 1_000_000, "independent")
        for size in range(440, 456)
    }
    assert max(best.values()) == 176
    assert [size for size, found in best.items() if found == 176] == [448, 449]


INDEPENDENT = [  # patterns, first radius, critical distances at it and the next ones
    (1024, 9, [18, 20, 22, 24, 26, 28, 30, 30, 30, 28, 26, 24, 20, 12, 0]),
    (10_240, 15, [30, 28, 26, 24, 20, 14, 4, 0]),
    (512, 15, [30, 32, 32, 32, 28, 26, 22, 16, 4]),
    (128, 16, [32, 32, 32, 32, 32, 32, 32, 24, 10]),
]


@pytest.mark.parametrize(("patterns", "first", "expected"), INDEPENDENT)
def test_critical_distances_at_64_bits(patterns, first, expected):
    for locations in (2**64, 2.0**64, math.inf):
        found = [
            critical.distance(64, first + i, patterns, locations, "independent")
            for i in range(len(expected))
        ]
        assert found == expected
    assert max(found) == radius.optimal(64, patterns, criterion="noise").best


def test_more_locations_help_until_the_patterns_set_the_limit():
    saturated = {5: 10, 9: 18, 11: 22, 15: 30, 19: 26, 27: 0}
    for size, limit in saturated.items():
        found = [
            critical.distance(64, size, 1024, 10.0**power, "independent") for power in range(3, 26)
        ]
        assert found == sorted(found)
        assert found[-1] == limit
        assert critical.distance(64, size, 1024, 2**64, "independent") == limit
    for locations in (1e20, 1e290, 2**1000, 2**5000, math.inf):
        assert critical.distance(1000, 447, 1024, locations, "independent") == 412


def test_the_best_radius_of_an_autoassociative_memory():
    sizes = range(436, 461, 3)
    found = [critical.distance(1000, size, 10_000, 1_000_000) for size in sizes]
    # The first distances at which a read comes no nearer.
    assert [d + 1 for d in found[:-1]] == [101, 131, 159, 193, 223, 235, 203, 117]
    assert found[-1] == 0
    assert sizes[int(np.argmax(found))] == 451


ODD = [
    (1, 0, 1, 1), (1, 1, 3, 2), (2, 1, 1, 5), (3, 2, 2**63 - 1, math.inf), (64, 0, 5, math.inf),
    (64, 64, 5, 1e9), (65, 3, 1024, 1), (1000, 500, 1, 2**1000), (1040, 460, 1, math.inf),
    (1100, 500, 10**6, 2**3000), (10_000, 4900, 10**9, math.inf),
]  # fmt: skip


@pytest.mark.parametrize("noise", critical.NOISES)
@pytest.mark.parametrize("memory", ODD)
def test_extreme_memories_have_a_curve(noise, memory):
    after = critical.curve(*memory, noise)
    assert after.shape == (memory[0] + 1,)
    assert ((after >= 0) & (after <= memory[0])).all()
    last = critical.distance(*memory, noise)
    assert (after[1 : last + 1] < np.arange(1, last + 1)).all()
    assert last == memory[0] // 2 or after[last + 1] >= last + 1
    assert last <= critical.crossing(*memory, noise) <= last + 1


def test_a_query_without_active_locations_reads_random_bits():
    for noise in ("independent", "kanerva"):
        assert (critical.curve(64, 3, 1, noise=noise)[7:] == 32).all()
    assert critical.curve(64, 3, 1)[7:] == pytest.approx(32)
    assert (critical.curve(64, 3, 1)[:7] < 1e-3).all()


# ---- bad input ----


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: critical.curve(0, 0, 1), "bits"),
        (lambda: critical.curve(8, 9, 1), "radius"),
        (lambda: critical.curve(8, 5, 1, overlap="kanerva1988"), "radius"),
        (lambda: critical.curve(8, 2, 0), "patterns"),
        (lambda: critical.curve(8, 2, 2**63), "patterns"),
        (lambda: critical.distance(8, 2, 1, 0), "locations"),
        (lambda: critical.distance(8, 2, 1, 0.5), "locations"),
        (lambda: critical.distance(8, 2, 1, math.nan), "locations"),
        (lambda: critical.distance(8, 2, 1, -math.inf), "locations"),
        (lambda: critical.distance(8, 2, 1, noise="none"), "noise"),
        (lambda: critical.crossing(8, 2, 1, overlap="taylor"), "overlap"),
        (lambda: critical.crossing(8, 2, 1, activation=0.1), "activation"),
        (lambda: critical.crossing(8, 2, 1, noise="kanerva", activation=0.7), "activation"),
        (lambda: critical.crossing(8, 2, 1, noise="kanerva", activation=0.0), "activation"),
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
        (lambda: critical.curve(8.0, 2, 1), "bits"),
        (lambda: critical.curve(8, None, 1), "radius"),
        (lambda: critical.distance(8, 2, 1.5), "patterns"),
        (lambda: critical.distance(8, 2, 1, "many"), "locations"),
        (lambda: critical.distance(8, 2, 1, True), "locations"),
        (lambda: critical.distance(8, 2, 1, noise="kanerva", activation="small"), "activation"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(call, argument):
    with pytest.raises(InputTypeError) as caught:
        call()
    assert caught.value.argument == argument
