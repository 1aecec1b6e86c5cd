"""Approximations of the intersection of circles against closed forms, quadrature and tables."""

import math

import numpy as np
import pytest

from kanerva.theory import approximation, beta, circle

KANERVAS = {
    0: 1000.0,
    1: 915.2,
    10: 735.2,
    50: 440.7,
    100: 263.5,
    150: 159.6,
    200: 94.8,
    300: 29.45,
    400: 6.89,
    500: 1.00,
}


def test_the_continuous_overlaps_are_the_tabulated_ones():
    overlap = circle.overlap(1000, 451, 1_000_000, "kanerva1988", activation=0.001)
    assert overlap[[*KANERVAS][:7]] == pytest.approx([*KANERVAS.values()][:7], abs=0.06)
    assert overlap[[300, 400, 500]] == pytest.approx([29.45, 6.89, 1.00], abs=0.0051)
    assert overlap[1000] == 0


def test_the_continuous_overlap_is_low_by_a_tenth():
    there = [0, 10, 100, 300, 400]
    exact = circle.overlap(1000, 451, 1e6)
    continuous = circle.overlap(1000, 451, 1e6, "kanerva1988", activation=0.001)
    low = 1 - continuous[there] / exact[there]
    assert ((low > 0.06) & (low < 0.1)).all()


@pytest.mark.parametrize(
    ("bits", "size"), [(64, 11), (65, 32), (1000, 451), (1000, 499), (1000, 500), (1001, 500)]
)
def test_the_continuous_formula_is_two_half_spaces_under_a_normal_density(bits, size):
    from scipy.special import ndtr, owens_t

    c = (2 * size - bits) / math.sqrt(bits)
    t = np.sqrt(np.arange(bits) / (bits - np.arange(bits)))
    expected = ndtr(c) - 2 * owens_t(-c, t)
    got = np.exp(circle.log_fraction(bits, size, method="kanerva1988"))
    np.testing.assert_allclose(got[:-1], expected, rtol=0, atol=2e-15)
    assert got[-1] == 0


@pytest.mark.parametrize(
    ("bits", "size"),
    [(64, 0), (64, 32), (1000, 499), (1040, 500), (1100, 3), (10_000, 4890), (10_000, 0)],
)
def test_the_continuous_formula_is_right_where_floats_underflow(bits, size):
    from scipy.integrate import quad

    square = (2 * size - bits) ** 2 / bits
    got = circle.log_fraction(bits, size, method="kanerva1988")
    for distance in (0, 1, bits // 10, bits // 2, bits - 1):
        # x = t^2 / (1 + t^2), t = low + u; the exponential at the lower end is taken out.
        low = math.sqrt(distance / (bits - distance))
        end = 100 / square / (low + math.sqrt(low**2 + 100 / square)) if square else math.inf

        def integrand(u, low=low):
            return math.exp(-square * u * (low + u / 2)) / (1 + (low + u) ** 2)

        expected = math.log(
            quad(integrand, 0, end, epsabs=0, epsrel=1e-11)[0] / math.pi
        ) - square / 2 * bits / (bits - distance)
        assert got[distance] == pytest.approx(expected, rel=1e-14, abs=1e-9)
    assert np.isfinite(got[:-1]).all()


def number_of_terms(bits, size):
    """Return the number of terms of the double sum: the ratio of "upper" to "lower", rescaled."""
    upper, lower = (circle.log_fraction(bits, size, method=name) for name in ("upper", "lower"))
    return np.exp(upper - lower) * 2 * math.sqrt(bits - 1) / bits


@pytest.mark.parametrize(("bits", "size"), [(2, 1), (9, 4), (9, 2), (30, 11), (31, 15), (40, 0)])
def test_the_largest_term_is_the_largest_of_all_terms(bits, size):
    largest, count = [], []
    for d in range(bits + 1):
        terms = [
            math.comb(bits - d, a) * math.comb(d, c)
            for a in range(bits - d + 1)
            for c in range(d + 1)
            if a + c >= bits - size and a + d - c >= bits - size
        ]
        largest.append(max(terms, default=0))
        count.append(len(terms))
    got = circle.log_fraction(bits, size, method="largest")
    np.testing.assert_allclose(np.exp(got) * 2.0**bits, largest, rtol=1e-12)
    np.testing.assert_allclose(number_of_terms(bits, size), count, rtol=1e-12)


def test_each_step_towards_the_exponential_is_that_of_the_paper():
    bits, size = 64, 11
    d = np.arange(1, bits)
    front = 2 / (math.pi * np.sqrt(d * (bits - d)))
    curves = {
        method: np.exp(circle.log_fraction(bits, size, method=method))
        for method in approximation.METHODS
    }
    np.testing.assert_allclose(
        curves["normal"][1:-1], front * np.exp(-(42**2) / (2 * (bits - d))), rtol=1e-12
    )
    exponential = np.exp(-(42**2) / 128) * np.exp(-(42**2) / (2 * 64**2) * np.arange(65))
    np.testing.assert_allclose(curves["taylor"][1:-1], front * exponential[1:-1], rtol=1e-12)
    np.testing.assert_allclose(curves["lower"], 4 / (math.pi * 64) * exponential, rtol=1e-12)
    assert curves["lower"][32] == pytest.approx(curves["taylor"][32])
    terms = number_of_terms(bits, size)[1]
    assert curves["upper"][1] == pytest.approx(curves["taylor"][1] * terms)
    assert (curves["upper"][23:] == 0).all()
    # "lower" is no lower bound of the exact share.
    assert (curves["lower"] > np.exp(circle.log_fraction(bits, size))).sum() > 20
    # The remaining slope is that of the leading beta.
    assert np.log(curves["lower"][0] / curves["lower"][1]) * bits / 2 == pytest.approx(
        beta.leading(bits, size)
    )


@pytest.mark.parametrize("bits", [1000, 10_000])
def test_normal_densities_come_near_to_the_largest_term_of_many_bits(bits):
    size = bits // 2 - int(1.5 * math.sqrt(bits))
    d = np.arange(2, bits // 10, 2)
    largest, normal = (
        circle.log_fraction(bits, size, method=method)[d] for method in ("largest", "normal")
    )
    assert np.abs(largest - normal).max() < 0.3
    assert abs(largest[-1] - normal[-1]) < 0.05


@pytest.mark.parametrize("bits", [2, 3, 1040, 1100, 10_000])
@pytest.mark.parametrize("method", approximation.METHODS)
def test_no_approximation_overflows(bits, method):
    for size in {0, bits // 4, bits * 9 // 20, bits // 2}:
        got = circle.log_fraction(bits, size, method=method)
        assert got.shape == (bits + 1,)
        assert not np.isnan(got).any()
        assert (got < 1).all() or method == "upper"
        assert np.isfinite(got[0])
