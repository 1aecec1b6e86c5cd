"""The energy of the unit circle against integrals, fifty digits, and the exact denoiser."""

import math

import mpmath
import numpy as np
import pytest
import torch

from kanerva import InputError, diffusion
from kanerva.theory import ring

# The minimum by beta = 1 / (2 sigma^2).
TABLE = {
    0.5: 0,
    1.0: 0,
    1.01: 0.140255,
    1.5: 0.724159,
    2: 0.831462,
    3: 0.902153,
    5: 0.945542,
    10: 0.973984,
    20: 0.987256,
    50: 0.994962,
}


def of(beta: float) -> float:
    return (2 * beta) ** -0.5


def integral(radius: float, sigma: float) -> float:
    """Average the kernel over equally spaced points of the circle, with fifty digits."""
    with mpmath.workdps(50):
        s = mpmath.mpf(sigma) ** 2
        square = mpmath.mpf(radius) ** 2 + 1
        count = 600
        total = mpmath.fsum(
            mpmath.exp(
                -(square - 2 * mpmath.mpf(radius) * mpmath.cos(2 * mpmath.pi * k / count)) / (2 * s)
            )
            for k in range(count)
        )
        return float(-s * mpmath.log(total / count))


@pytest.mark.parametrize(("beta", "expected"), TABLE.items())
def test_the_minimum_of_the_table(beta, expected):
    assert ring.radius(of(beta)) == pytest.approx(expected, abs=1e-6)


def test_the_minimum_is_the_root_of_fifty_digits():
    sigmas = [1e-3, 0.03, 0.1, 0.3, 0.6, 0.7, 0.707, math.sqrt(0.5 - 1e-9)]
    for sigma in sigmas:
        found = ring.radius(sigma)
        with mpmath.workdps(50):
            s = mpmath.mpf(sigma) ** 2

            def away(r, s=s):
                return mpmath.besseli(1, r / s) / mpmath.besseli(0, r / s) - r

            expected = mpmath.findroot(away, (found * (1 - 1e-9), found * (1 + 1e-9)))
        # Near the fork the root moves by 1 / R times the rounding of sigma^2.
        assert abs(found - float(expected)) <= 4e-16 + 1e-15 / found


def test_the_minimum_of_extreme_noise():
    assert ring.radius(1e-75) == 1.0
    assert ring.radius(1e75) == ring.radius(0.5**0.5) == 0.0
    small = 1e-4
    assert ring.radius(small) == pytest.approx(1 - small**2 / 2, abs=1e-15)
    # The fork: R^2 is 4 (1 / 2 - sigma^2) near it.
    near = math.sqrt(0.5 - 1e-8)
    assert ring.radius(near) ** 2 == pytest.approx(4 * (0.5 - near**2), rel=1e-6)


def test_the_minimum_falls_with_the_noise():
    found = ring.radius(np.linspace(0.01, 0.8, 200))
    assert (np.diff(found) <= 0).all()


@pytest.mark.untyped
@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("radius", [0.0, 0.01, 0.5, 1.0, 3.0])
def test_the_energy_is_the_mean_over_the_circle(radius, sigma):
    found = ring.energy(radius, sigma)
    assert found == pytest.approx(integral(radius, sigma), rel=1e-13, abs=1e-16)


def test_the_energy_does_not_overflow():
    radii = np.array([0.0, 0.5, 1.0, 2.0])
    for sigma in (1e-6, 1e-30, 1e-75):
        assert ring.energy(radii, sigma) == pytest.approx((radii - 1) ** 2 / 2, abs=1e-10)
    for sigma in (1e6, 1e30, 1e75):
        assert ring.energy(radii, sigma) == pytest.approx((radii**2 + 1) / 2, rel=1e-10)
    assert ring.energy(1e75, 1e-3) == pytest.approx(5e149, rel=1e-12)


def test_the_energy_is_smooth_where_its_form_changes():
    sigma = 0.7
    place = 2 * sigma**2
    radii = place * np.array([1 - 1e-9, 1 - 1e-15, 1, 1 + 1e-9])
    assert np.ptp(ring.energy(radii, sigma)) < 1e-8
    assert ring.energy(radii[1], sigma) == pytest.approx(ring.energy(radii[2], sigma), rel=1e-15)


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.6, 0.70, 0.75])
def test_the_minimum_is_that_of_the_energy(sigma):
    radii = np.linspace(0, 1.2, 120_001)
    least = radii[ring.energy(radii, sigma).argmin()]
    assert least == pytest.approx(ring.radius(sigma), abs=2e-4)


@pytest.mark.parametrize("sigma", [0.15, 0.5, 0.9])
def test_the_energy_is_that_of_many_stored_rows(sigma):
    angles = 2 * math.pi * torch.arange(2000, dtype=torch.float64) / 2000
    rows = torch.stack((angles.cos(), angles.sin()), -1)
    stored = diffusion.exact(rows)
    x = torch.tensor([[0.0, 0.0], [0.3, 0.4], [1.0, 0.0], [0.0, -2.0]], dtype=torch.float64)
    expected = stored.energy(x, sigma) + sigma**2 * math.log(len(rows))
    assert ring.energy(x.norm(dim=-1).numpy(), sigma) == pytest.approx(expected.numpy(), abs=1e-12)
    # A point at the minimum is where the denoiser puts it.
    place = torch.tensor([ring.radius(sigma), 0.0], dtype=torch.float64)
    assert (stored(place, sigma) - place).abs().max() < 1e-9


def test_shapes_and_types():
    sigmas = np.array([[0.1], [0.8]])
    assert isinstance(ring.radius(0.3), float)
    assert isinstance(ring.energy(1, 1), float)
    assert ring.radius(sigmas).shape == (2, 1)
    assert ring.energy(np.zeros(3), sigmas).shape == (2, 3)
    assert ring.energy(np.array(0.5), 0.3).shape == ()
    assert ring.energy(0.5, sigmas)[0, 0] == ring.energy(0.5, 0.1)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: ring.radius(0.0), "sigma"),
        (lambda: ring.radius(-1.0), "sigma"),
        (lambda: ring.radius(math.nan), "sigma"),
        (lambda: ring.radius(np.array([0.1, np.nan])), "sigma"),
        (lambda: ring.radius("0.1"), "sigma"),
        (lambda: ring.energy(-0.1, 0.1), "radius"),
        (lambda: ring.energy(0.1, np.array([0.0])), "sigma"),
        (lambda: ring.energy(np.zeros(3), np.ones(2)), "sigma"),
    ],
)
def test_what_is_refused(call, argument):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.argument == argument
    assert caught.value.function in ("ring.radius", "ring.energy")
