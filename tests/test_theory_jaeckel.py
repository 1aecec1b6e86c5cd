"""Jaeckel's designs against published numbers and enumeration of every location."""

import itertools
import math

import numpy as np
import pytest

from kanerva import InputError, InputTypeError
from kanerva.theory import beta, circle, jaeckel


@pytest.mark.parametrize(("bits", "coordinates"), [(1, 1), (6, 1), (6, 2), (7, 3), (6, 6)])
def test_selected_coordinates_equal_enumeration(bits, coordinates):
    locations = [
        (at, wanted)
        for at in itertools.combinations(range(bits), coordinates)
        for wanted in itertools.product((0, 1), repeat=coordinates)
    ]

    def active(query):
        return {
            (at, wanted)
            for at, wanted in locations
            if all(query[i] == value for i, value in zip(at, wanted, strict=True))
        }

    start = active((0,) * bits)
    assert len(start) / len(locations) == jaeckel.selected_activation(coordinates)
    shared = [
        len(start & active((1,) * d + (0,) * (bits - d))) / len(locations) for d in range(bits + 1)
    ]
    np.testing.assert_allclose(
        np.exp(jaeckel.selected_log_fraction(bits, coordinates)), shared, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("bits", "ones", "coordinates"), [(1, 1, 1), (7, 3, 1), (7, 4, 2), (8, 5, 3), (6, 6, 6)]
)
def test_hyperplanes_equal_enumeration(bits, ones, coordinates):
    locations = list(itertools.combinations(range(bits), coordinates))
    first = set(range(ones))
    assert sum(first.issuperset(at) for at in locations) / len(locations) == pytest.approx(
        jaeckel.hyperplane_activation(bits, ones, coordinates)
    )
    logs = jaeckel.hyperplane_log_fraction(bits, ones, coordinates)
    assert logs.shape == (ones + 1,)
    for shared in range(ones + 1):
        both = set(range(shared))
        assert sum(both.issuperset(at) for at in locations) / len(locations) == pytest.approx(
            math.exp(logs[shared])
        )


def test_selected_coordinates_of_a_thousand_bits():
    assert 1e6 * jaeckel.selected_activation(10) == pytest.approx(977, abs=0.5)
    logs = jaeckel.selected_log_fraction(1000, 10)
    there = {0: 1, 10: 0.903968, 50: 0.597311, 100: 0.346928, 200: 0.106164, 500: 0.000933}
    assert np.exp(logs - logs[0])[list(there)] == pytest.approx(list(there.values()), abs=5e-7)
    assert np.isneginf(logs[991:]).all()
    assert np.isfinite(logs[:991]).all()


def test_hyperplanes_of_a_thousand_bits():
    assert jaeckel.hyperplane_activation(1000, 100, 3) == pytest.approx(9.73e-4, abs=5e-7)
    shares = np.exp(jaeckel.hyperplane_log_fraction(1000, 100, 3))
    assert shares[[90, 50, 10]] == pytest.approx([7.07e-4, 1.18e-4, 7.2e-7], rel=0.005)
    assert (shares[:3] == 0).all()


def test_the_kernel_is_the_share_that_stays_active():
    bits, coordinates = 100_000, 8
    logs = jaeckel.selected_log_fraction(bits, coordinates)
    cosine = circle.cosine(bits, np.arange(bits + 1))
    np.testing.assert_allclose(
        jaeckel.selected_kernel(coordinates, cosine)[:50_000],
        np.exp(logs - logs[0])[:50_000],
        rtol=1e-3,
    )
    assert jaeckel.selected_kernel(10, 1.0) == 1
    assert jaeckel.selected_kernel(10, -1) == 0
    assert jaeckel.selected_kernel(3, np.array([[0.0]])).tolist() == [[0.125]]
    assert jaeckel.selected_kernel(3, np.array(0.0)).shape == ()
    # It is tangent to a softmax at cosine 1.
    slope = math.log(jaeckel.selected_kernel(10, 1 - 1e-7)) / -1e-7
    assert slope == pytest.approx(jaeckel.selected_beta(10), rel=1e-6)
    assert beta.leading(1000, 451) < jaeckel.selected_beta(10) < beta.fit(1000, 451).beta


def test_many_bits_lose_no_digits():
    logs = jaeckel.selected_log_fraction(10_000, 700)
    exact = [
        math.log(math.comb(10_000 - d, 700)) - math.log(math.comb(10_000, 700)) - 700 * math.log(2)
        for d in (0, 1, 5000, 9300)
    ]
    np.testing.assert_allclose(logs[[0, 1, 5000, 9300]], exact, rtol=0, atol=1e-10)
    logs = jaeckel.hyperplane_log_fraction(10_000, 3000, 2500)
    assert logs[-1] == pytest.approx(
        math.log(math.comb(3000, 2500)) - math.log(math.comb(10_000, 2500)), abs=1e-10
    )


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: jaeckel.selected_activation(0), "coordinates"),
        (lambda: jaeckel.selected_activation(1001), "coordinates"),
        (lambda: jaeckel.selected_log_fraction(0, 1), "bits"),
        (lambda: jaeckel.selected_log_fraction(8, 9), "coordinates"),
        (lambda: jaeckel.selected_kernel(0, 0.5), "coordinates"),
        (lambda: jaeckel.selected_kernel(3, 1.5), "cosine"),
        (lambda: jaeckel.selected_kernel(3, np.array([math.nan])), "cosine"),
        (lambda: jaeckel.selected_beta(0), "coordinates"),
        (lambda: jaeckel.hyperplane_activation(8, 0, 1), "ones"),
        (lambda: jaeckel.hyperplane_activation(8, 9, 1), "ones"),
        (lambda: jaeckel.hyperplane_log_fraction(8, 3, 4), "coordinates"),
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
        (lambda: jaeckel.selected_activation(2.0), "coordinates"),
        (lambda: jaeckel.selected_kernel(3, "near"), "cosine"),
        (lambda: jaeckel.hyperplane_activation(8, None, 1), "ones"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(call, argument):
    with pytest.raises(InputTypeError) as caught:
        call()
    assert caught.value.argument == argument
