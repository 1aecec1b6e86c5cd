r"""Kernels of densities: the integral of each, and the modes of two of them.

A memory with an energy is a density p(x) = exp(-E(x) / T) / Z. Where its rule is a sum over the
stored rows, Z is a sum of the integrals of one kernel each, which are known in closed form:

* ``"gaussian"``: exp(-\|r\|^2 / (2 s^2)), ``closeness`` with a softmax.
* ``"epanechnikov"``: 1 - \|r\|^2 / h^2 where positive, ``closeness`` with ``Compact``.
* ``"laplace"``: exp(-\|r\|_1 / b), ``manhattan`` with a softmax.
* ``"vmf"``: exp(kappa cos), von Mises and Fisher's kernel on the unit sphere, ``cosine`` with a
  softmax.
* ``"bernoulli"``: exp(beta x k) on vectors of -1/+1 bits, ``dot`` with a softmax.
"""

import math
from collections.abc import Callable
from typing import overload

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.theory import _inputs
from kanerva.theory._bessel import log_sphere

__all__ = ["log_normaliser", "modes"]

SMALLEST, LARGEST = 1e-300, 1e300
FLAT = 20.0  # tanh of a larger number is 1 in double precision.
DEPTH = 12  # Of the continued fraction, for t up to 2.
Reals = Float64[np.ndarray, "*shape"]


@overload
def log_normaliser(shape: str, dim: int, scale: float) -> float: ...
@overload
def log_normaliser(shape: str, dim: int, scale: Reals) -> Reals: ...
@door("kernel.log_normaliser")
def log_normaliser(shape: str, dim: int, scale: float | Reals) -> float | Reals:
    r"""Return the logarithm of the integral of one kernel.

    .. math:: \log \int e^{-|r|^2 / (2 s^2)} dr = \tfrac D2 \log 2 \pi + D \log s

        \log \int [1 - |r|^2 / h^2]_+ \, dr = \log \frac{2 \pi^{D/2}}{(D + 2)\, \Gamma(D/2 + 1)}
        + D \log h

        \log \int e^{-|r|_1 / b} dr = D \log 2 b

        \log \int_{|u| = 1} e^{\kappa m \cdot u} du = \log \frac{(2 \pi)^{D/2} I_{D/2 - 1}(\kappa)}
        {\kappa^{D/2 - 1}} = -\log C_D(\kappa)

        \log \sum_{x \in \{-1, 1\}^D} e^{\beta x \cdot k} = D \log (2 \cosh \beta)

    Args:
        shape: ``"gaussian"``, ``"epanechnikov"``, ``"laplace"``, ``"vmf"`` or ``"bernoulli"``.
        dim: D, >= 1. On the sphere in one dimension are two points.
        scale: the standard deviation s, the radius h or the width b, from 1e-300, in the unit of
            the data; the concentration kappa or the inverse temperature beta, from 0. At most
            1e300: a number, or float64 of any shape.

    Returns:
        natural logarithms, a float for a number and float64 of the same shape for an array. Those
        of the sphere have an error of a few parts in 10^16 of kappa + D log D.

    Raises:
        InputError: the shape is unknown, or a number is out of range.

    Example:
        >>> import numpy as np
        >>> from kanerva.theory import kernel
        >>> round(kernel.log_normaliser("gaussian", 2, 0.5), 6)  # log(2 pi 0.5^2)
        0.451583
        >>> kernel.log_normaliser("vmf", 3, np.array([0.0, 1.0, 10.0])).round(4)
        array([2.531 , 2.6925, 9.5353])

    Source:
        Silverman (1986), Density estimation for statistics and data analysis, for Epanechnikov's
        kernel; Mardia and Jupp (2000), Directional statistics, for the sphere.
    """
    integral = INTEGRALS[checks.choice("shape", shape, tuple(INTEGRALS))]
    dim = checks.integer("dim", dim, 1, checks.BITS)
    low = 0.0 if shape in ("vmf", "bernoulli") else SMALLEST
    # Arrays of no dimension become numbers on the way.
    scales = np.atleast_1d(_inputs.reals("scale", scale, low, LARGEST))
    found = integral(dim, scales)
    return found.reshape(scale.shape) if isinstance(scale, np.ndarray) else float(found[0])


@overload
def modes(distance: float, sigma: float) -> float: ...
@overload
def modes(distance: Reals, sigma: float) -> Reals: ...
@door("kernel.modes")
def modes(distance: float | Reals, sigma: float) -> float | Reals:
    r"""Return the modes of two equal Gaussian kernels on a line, centred at -a and +a.

    .. math:: x = a \tanh \frac{a x}{\sigma^2}

    Up to a = sigma the density has a single mode at 0. Beyond, it has two, at -x and +x.

    Args:
        distance: a, of each centre from 0, from 0 to 1e300: a number, or float64 of any shape.
        sigma: standard deviation of the kernels, from 1e-300 to 1e300, in the same unit.

    Returns:
        x >= 0, the position of the upper mode: a float, or float64 of the same shape.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> from kanerva.theory import kernel
        >>> [round(kernel.modes(a, 1.0), 6) for a in (0.9, 1.1, 1.5, 2.0)]
        [0.0, 0.736922, 1.463244, 1.998651]

    Source:
        the derivative of the density, set to zero.
    """
    centre = np.atleast_1d(_inputs.reals("distance", distance, 0.0, LARGEST))
    sigma = checks.number("sigma", sigma, SMALLEST, LARGEST)
    # Beyond FLAT the mode is the centre, so that no ratio has to be larger.
    nearest = np.minimum(centre, FLAT * sigma)
    above = np.maximum((nearest - sigma) / sigma * ((nearest + sigma) / sigma), 0.0)
    found = centre * np.tanh(_root(above))
    return found.reshape(distance.shape) if isinstance(distance, np.ndarray) else float(found[0])


def _root(above: Reals) -> Reals:
    """Return t >= 0 with t coth t = 1 + ``above``, by Newton's method from the right.

    The function is convex and at least 1 + t^2 / (3 + t), which gives the start.
    """
    t = (above + np.sqrt(above**2 + 12 * above)) / 2
    for _ in range(8):
        safe = np.where(t > 0, t, 1.0)
        q = _excess(safe)
        slope = (safe**2 - q - q**2) / safe
        t = np.where(t > 0, safe - (q - above) / slope, 0.0)
    return t


def _excess(t: Reals) -> Reals:
    """Return t coth t - 1; where digits would cancel, by its continued fraction."""
    square, fraction = np.minimum(t, 2.0) ** 2, np.ones_like(t)
    for odd in range(2 * DEPTH + 1, 2, -2):
        fraction = square / (odd + fraction)
    return np.where(t < 2, fraction, t / np.tanh(np.maximum(t, 2.0)) - 1)


def _gaussian(dim: int, scale: Reals) -> Reals:
    return dim * (0.5 * math.log(2 * math.pi) + np.log(scale))


def _epanechnikov(dim: int, scale: Reals) -> Reals:
    ball = dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1)
    return ball + math.log(2 / (dim + 2)) + dim * np.log(scale)


def _laplace(dim: int, scale: Reals) -> Reals:
    return dim * (math.log(2) + np.log(scale))


def _bernoulli(dim: int, scale: Reals) -> Reals:
    return dim * (scale + np.log1p(np.exp(-2 * scale)))


INTEGRALS: dict[str, Callable[[int, Reals], Reals]] = {
    "gaussian": _gaussian,
    "epanechnikov": _epanechnikov,
    "laplace": _laplace,
    "vmf": log_sphere,
    "bernoulli": _bernoulli,
}
