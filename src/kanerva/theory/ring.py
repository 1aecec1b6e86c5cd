r"""The energy of data that fill the unit circle of the plane, as if it stored infinitely many rows.

Noise of standard deviation sigma around a uniform point u of the circle has the density

.. math:: p_\sigma(x) = \frac{1}{2 \pi \sigma^2}
    \left\langle e^{-|x - u|^2 / 2 \sigma^2} \right\rangle_u

which depends on the radius of x alone. Its energy is minus sigma^2 times the logarithm of the mean,
as ``diffusion.exact(rows).energy`` of equally many rows has it, plus sigma^2 times the logarithm of
their number. Publications whose inverse temperature is beta = 1 / (2 sigma^2) have twice this
energy.
"""

from typing import overload

import numpy as np
from jaxtyping import Float64

from kanerva._core.errors import door, refuse
from kanerva.theory import _inputs

__all__ = ["energy", "radius"]

# Squares of these, and quotients of squares, are floats.
SMALLEST, LARGEST = 1e-75, 1e75
# Below, Bessel functions follow from sums and fractions in which digits do not cancel.
SMALL = 2.0
DEPTH = 16
# Halvings of an interval, until no float lies within it.
HALVINGS = 64
Reals = Float64[np.ndarray, "*shape"]
Noise = Float64[np.ndarray, "*noise"]
Both = Float64[np.ndarray, "*both"]


@overload
def radius(sigma: float) -> float: ...
@overload
def radius(sigma: Reals) -> Reals: ...
@door("ring.radius")
def radius(sigma: float | Reals) -> float | Reals:
    r"""Return the radius at which the energy of the unit circle is least.

    .. math:: R = \frac{I_1(2 \beta R)}{I_0(2 \beta R)}, \quad \beta = \frac{1}{2 \sigma^2}

    From sigma^2 = 1/2 up the only minimum is the centre. Below, the centre is a maximum, and the
    minimum is a ring inside the circle, at about 1 - sigma^2 / 2 where the noise is small.

    Args:
        sigma: standard deviation of the noise, from 1e-75 to 1e75, in units of the radius of the
            data: a number, or float64 of any shape.

    Returns:
        R from 0 to 1: a float, or float64 of the same shape.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> from kanerva.theory import ring
        >>> [round(ring.radius(square**0.5), 6) for square in (1 / 40, 1 / 10, 1 / 4, 1 / 2)]
        [0.987256, 0.945542, 0.831462, 0.0]

    Source:
        Pham and others (2025), Memorization to generalization, for the ring; the derivative of the
        energy, set to zero.
    """
    noise = np.atleast_1d(_inputs.reals("sigma", sigma, SMALLEST, LARGEST))
    found = _root(noise**2)
    return found.reshape(sigma.shape) if isinstance(sigma, np.ndarray) else float(found[0])


@overload
def energy(radius: float, sigma: float) -> float: ...
@overload
def energy(radius: Reals, sigma: float | Noise) -> Both: ...
@overload
def energy(radius: float | Reals, sigma: Noise) -> Both: ...
@door("ring.energy")
def energy(radius: float | Reals, sigma: float | Noise) -> float | Both:
    r"""Return the energy at a distance from the centre of the unit circle.

    .. math:: E(R) = -\sigma^2 \log \frac{1}{2 \pi} \int_0^{2 \pi}
        e^{-|x - u(\phi)|^2 / 2 \sigma^2} d\phi
        = \frac{R^2 + 1}{2} - \sigma^2 \log I_0\left(\frac{R}{\sigma^2}\right), \quad |x| = R

    Its derivative is R less the radius at which the denoiser puts x. For small sigma it tends to
    (R - 1)^2 / 2.

    Args:
        radius: R, distance of x from the centre, from 0 to 1e75, in units of the radius of the
            data: a number, or float64 of any shape.
        sigma: standard deviation of the noise, from 1e-75 to 1e75, in the same unit: a number, or
            float64 that broadcasts with ``radius``.

    Returns:
        a float, or float64 of the shape of both.

    Raises:
        InputError: a number is out of range, or the shapes do not fit.

    Example:
        >>> from kanerva.theory import ring
        >>> round(ring.energy(0.0, 0.5), 6), round(ring.energy(1.0, 0.01), 6)
        (0.5, 0.000552)

    Source:
        Pham and others (2025), Memorization to generalization, whose energy is twice this.
    """
    place = np.asarray(_inputs.reals("radius", radius, 0.0, LARGEST))
    noise = np.asarray(_inputs.reals("sigma", sigma, SMALLEST, LARGEST))
    try:
        place, noise = np.broadcast_arrays(place, noise)
    except ValueError:
        do = "give one number of sigma, or one for each radius"
        must = f"a number, or of a shape that broadcasts with {place.shape}"
        refuse("sigma", got=str(noise.shape), must=must, do=do)
    found = _energy(place, np.asarray(noise**2))
    plain = not isinstance(radius, np.ndarray) and not isinstance(sigma, np.ndarray)
    return float(found) if plain else np.asarray(found)


def _energy(place: Reals, variance: Reals) -> Reals:
    from scipy.special import i0e

    ratio = place / variance
    # Where noise is large the logarithm is small, and by its series all digits of it are kept.
    square, series = np.minimum(ratio, SMALL) ** 2 / 4, np.ones_like(ratio)
    for order in range(DEPTH, 1, -1):
        series = 1 + square / order**2 * series
    near = (place**2 + 1) / 2 - variance * np.log1p(square * series)
    # Elsewhere log I_0(k) = k + log(e^-k I_0(k)), and k completes the square (R - 1)^2.
    far = (place - 1) ** 2 / 2 - variance * np.log(i0e(ratio))
    return np.where(ratio < SMALL, near, far)


def _root(variance: Reals) -> Reals:
    """Return the radius R = k sigma^2 at which k I_0(k) / I_1(k) = 1 / sigma^2."""
    excess = np.maximum((1 - 2 * variance) / variance, 0.0)
    low = 2 * np.sqrt(excess)
    high = low + excess
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = _excess(middle) > excess
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.where(excess > 0, (low + high) / 2 * variance, 0.0)


def _excess(ratio: Reals) -> Reals:
    """Return k I_0(k) / I_1(k) - 2, which rises from 0; for small k by its continued fraction."""
    from scipy.special import i0e, i1e

    square, fraction = np.minimum(ratio, SMALL) ** 2, np.full_like(ratio, 2.0 * DEPTH)
    for even in range(2 * DEPTH - 2, 2, -2):
        fraction = even + square / fraction
    far = np.maximum(ratio, SMALL)
    return np.where(ratio < SMALL, square / fraction, far * i0e(far) / i1e(far) - 2)
