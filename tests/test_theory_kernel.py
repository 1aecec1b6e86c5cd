"""Integrals of kernels, modes, the annealed capacity, and expected tables, against other means."""

import math
from itertools import product

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from kanerva import InputError
from kanerva.theory import capacity, crp, kernel

EVERY = ("gaussian", "epanechnikov", "laplace", "vmf", "bernoulli")


def sphere(dim: int, kappa: float) -> mpmath.mpf:
    """Return the integral of exp(kappa cos) over the sphere with 50 digits, as a logarithm."""
    with mpmath.workdps(50):
        half, kappa = mpmath.mpf(dim) / 2, mpmath.mpf(kappa)
        area = mpmath.log(2 * mpmath.pi**half) - mpmath.loggamma(half)
        return area + mpmath.log(mpmath.hyp0f1(half, kappa**2 / 4))


def tables(n: int, concentration: float, discount: float) -> float:
    """Sum the probabilities of a new table row by row."""
    found = 0.0
    for row in range(n):
        found += (concentration + discount * found) / (concentration + row) if row else 1.0
    return found


@pytest.mark.parametrize("dim", [2, 3, 4, 5, 16, 64, 81, 82, 83, 300, 10_000])
def test_the_integral_on_the_sphere_is_that_of_fifty_digits(dim):
    kappas = np.array([0.0, 1e-8, 9.9e-5, 1.01e-4, 0.1, 1.0, 5.0, 20.0, 39.9, 40.1, 80.0, 300.0])
    found = kernel.log_normaliser("vmf", dim, kappas)
    for one, kappa in zip(found, kappas, strict=True):
        expected = sphere(dim, kappa)
        assert abs(one - expected) <= 1e-13 * abs(expected)


def test_large_concentrations_in_any_dimension():
    # Three dimensions: 2 pi (e^kappa - e^-kappa) / kappa. Others: a recurrence of Bessel functions.
    for kappa in (1e3, 1e5, 1e6):
        expected = kappa + math.log(2 * math.pi / kappa)
        assert kernel.log_normaliser("vmf", 3, kappa) == pytest.approx(expected, rel=1e-14)
    for dim, kappa in product((5, 64, 10_000), (1e3, 3e4, 1e6)):
        with mpmath.workdps(40):
            logs = [_log_bessel(dim + more, kappa) for more in (0, 2, 4)]
            # I_(v - 1) - I_(v + 1) = 2 v I_v / kappa
            low, middle, high = (mpmath.exp(one - logs[0]) for one in logs)
            assert abs(low - high - dim / mpmath.mpf(kappa) * middle) < 1e-9


def _log_bessel(dim: int, kappa: float) -> mpmath.mpf:
    order = mpmath.mpf(dim) / 2 - 1
    log = mpmath.mpf(kernel.log_normaliser("vmf", dim, kappa))
    return log - (order + 1) * mpmath.log(2 * mpmath.pi) + order * mpmath.log(kappa)


def test_one_and_two_dimensions():
    assert kernel.log_normaliser("vmf", 1, 2.0) == pytest.approx(math.log(2 * math.cosh(2)))
    integral = quad(lambda angle: math.exp(2.5 * math.cos(angle)), 0, 2 * math.pi)[0]
    assert kernel.log_normaliser("vmf", 2, 2.5) == pytest.approx(math.log(integral), rel=1e-12)


def test_kernels_on_the_line_integrate_to_their_normaliser():
    shapes = {
        "gaussian": lambda x: math.exp(-(x**2) / (2 * 0.7**2)),
        "epanechnikov": lambda x: max(0.0, 1 - x**2 / 0.7**2),
        "laplace": lambda x: math.exp(-abs(x) / 0.7),
    }
    for shape, function in shapes.items():
        points = [-0.7, 0, 0.7]
        expected = math.log(quad(function, -30, 30, points=points, limit=500)[0])
        assert kernel.log_normaliser(shape, 1, 0.7) == pytest.approx(expected, rel=1e-9)


def test_kernels_in_five_dimensions_integrate_along_the_radius():
    area = 8 / 3 * math.pi**2
    for shape, function in (
        ("gaussian", lambda r: r**4 * math.exp(-(r**2) / (2 * 0.7**2))),
        ("epanechnikov", lambda r: r**4 * max(0.0, 1 - r**2 / 0.7**2)),
    ):
        expected = math.log(area * quad(function, 0, 20, points=[0.7], limit=500)[0])
        assert kernel.log_normaliser(shape, 5, 0.7) == pytest.approx(expected, rel=1e-9)


def test_the_kernel_on_the_cube_sums_to_its_normaliser():
    corners = np.array(list(product((-1, 1), repeat=8)))
    total = np.exp(0.6 * corners @ corners[37]).sum()
    assert kernel.log_normaliser("bernoulli", 8, 0.6) == pytest.approx(math.log(total), rel=1e-14)


@pytest.mark.parametrize("shape", EVERY)
def test_scales_of_any_shape_give_logarithms_of_that_shape(shape):
    scales = np.array([[0.5, 1.0], [2.0, 100.0]])
    found = kernel.log_normaliser(shape, 7, scales)
    assert found.shape == (2, 2)
    assert found.dtype == np.float64
    one = kernel.log_normaliser(shape, 7, 100.0)
    assert isinstance(one, float)
    assert one == pytest.approx(found[1, 1], rel=1e-14)
    assert kernel.log_normaliser(shape, 7, np.array(2.0)).shape == ()
    assert np.isfinite(kernel.log_normaliser(shape, 10_000, np.array([1e-300, 1e300]))).all()


@pytest.mark.parametrize("ratio", [1 + 1e-12, 1 + 1e-8, 1.0001, 1.1, 1.5, 2.0, 5.0, 19.0, 25.0])
def test_modes_solve_their_equation(ratio):
    distance, sigma = ratio * 0.3, 0.3
    with mpmath.workdps(40):
        square = (mpmath.mpf(distance) / mpmath.mpf(sigma)) ** 2
        start = mpmath.sqrt(3 * (square - 1)) if square < 2 else square
        t = mpmath.findroot(lambda t: t * mpmath.coth(t) - square, start)
        expected = distance * mpmath.tanh(t)
    assert kernel.modes(distance, sigma) == pytest.approx(float(expected), rel=1e-14)


def test_modes_of_the_specification_and_at_the_threshold():
    found = kernel.modes(np.array([0.0, 0.9, 1.0, 1.1, 1.5, 2.0]), 1.0)
    assert found.tolist() == pytest.approx([0, 0, 0, 0.736922, 1.463244, 1.998651], abs=5e-7)
    assert kernel.modes(1e300, 1e-300) == 1e300


def test_annealed_capacity_is_that_of_the_table():
    table = {
        5: (3.93, 5.23, 5.81, 6.13, 6.48),
        10: (5.37, 8.03, 9.53, 10.49, 11.62),
        20: (6.84, 11.19, 14.10, 16.23, 19.13),
        40: (8.32, 14.53, 19.14, 22.83, 28.47),
    }
    for beta, row in table.items():
        found = [capacity.kernel(dim, beta) for dim in (4, 8, 12, 16, 24)]
        assert found == pytest.approx(row, abs=0.0051)


def test_annealed_capacity_is_the_mean_over_the_sphere():
    dim, beta = 6, 9.0
    weight = quad(lambda t: (1 - t * t) ** ((dim - 3) / 2), -1, 1)[0]
    mean = quad(lambda t: (1 - t * t) ** ((dim - 3) / 2) * math.exp(beta * t), -1, 1)[0] / weight
    assert capacity.kernel(dim, beta, "count") == pytest.approx(math.exp(beta) / mean, rel=1e-9)
    assert capacity.kernel(dim, 0.0, "count") == 1
    assert capacity.kernel(1_000_000, 9.0) == pytest.approx(9 / math.log(2), rel=1e-3)


def test_expected_tables_of_the_specification():
    assert crp.expected(1000, 1.0) == pytest.approx(7.485470860550, abs=1e-11)
    assert crp.expected(1000, 1.0, 0.5) == pytest.approx(69.39172260566, abs=1e-9)


@pytest.mark.parametrize(("concentration", "discount"), [(1.0, 0.0), (0.3, 0.5), (-0.2, 0.4)])
def test_expected_tables_are_the_sum_of_their_probabilities(concentration, discount):
    counts = np.array([0, 1, 2, 3, 10, 500])
    expected = [tables(n, concentration, discount) for n in counts.tolist()]
    found = crp.expected(counts, concentration, discount)
    assert found.tolist() == pytest.approx(expected, rel=1e-13)
    assert crp.expected(500, concentration, discount) == pytest.approx(found[-1], rel=1e-14)


def test_few_and_many_tables():
    assert crp.expected(0, 1.0) == 0
    assert crp.expected(10**6, 0.0) == 1
    assert crp.expected(1000, 1e15) == pytest.approx(1000, rel=1e-11)
    assert crp.expected(2, 1e300, 0.5) == pytest.approx(2)
    assert crp.expected(1000, 0.5 - 1e-12 - 0.5, 0.5) > 1


def test_a_small_discount_joins_that_of_zero():
    for concentration, n in ((0.0, 1000), (1.0, 1000), (50.0, 10**12)):
        zero = crp.expected(n, concentration)
        for discount in (1e-300, 1e-31, 1e-29, 1e-15):
            assert crp.expected(n, concentration, discount) == pytest.approx(zero, rel=1e-12)
    with mpmath.workdps(60):
        d, n = mpmath.mpf(1e-9), 1000
        logs = [mpmath.loggamma(1 + x) for x in (d + n, n, 1 + d, 1)]
        expected = 1 + (1 + 1 / d) * mpmath.expm1(logs[0] - logs[1] - logs[2] + logs[3])
    assert crp.expected(n, 1.0, 1e-9) == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: crp.expected(-1, 1.0), "n"),
        (lambda: crp.expected(np.array([0.5]), 1.0), "n"),
        (lambda: crp.expected(np.array([-1]), 1.0), "n"),
        (lambda: crp.expected(5, -0.1), "concentration"),
        (lambda: crp.expected(5, -0.5, 0.5), "concentration"),
        (lambda: crp.expected(5, math.nan), "concentration"),
        (lambda: crp.expected(5, 1.0, 1.0), "discount"),
        (lambda: crp.expected(5, 1.0, -0.1), "discount"),
        (lambda: kernel.log_normaliser("cauchy", 2, 1.0), "shape"),
        (lambda: kernel.log_normaliser("gaussian", 0, 1.0), "dim"),
        (lambda: kernel.log_normaliser("gaussian", 2, 0.0), "scale"),
        (lambda: kernel.log_normaliser("vmf", 2, -1.0), "scale"),
        (lambda: kernel.log_normaliser("vmf", 2, np.array([1.0, math.nan])), "scale"),
        (lambda: kernel.modes(-1.0, 1.0), "distance"),
        (lambda: kernel.modes(1.0, 0.0), "sigma"),
        (lambda: capacity.kernel(0, 1.0), "dim"),
        (lambda: capacity.kernel(8, -1.0), "beta"),
        (lambda: capacity.kernel(8, 1.0, "nats"), "unit"),
        (lambda: capacity.kernel(8192, 2000.0, "count"), "unit"),
    ],
)
@pytest.mark.untyped
def test_bad_numbers_are_refused_by_name(call, argument):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.argument == argument
