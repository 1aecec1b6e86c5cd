"""Approximations of the share of the space that lies within both of two equal circles.

The exact share is a double sum over two counts: a, the coordinates on which the two centres and the
point all agree, and c, the coordinates on which the centres differ and the point agrees with the
first. Attention follows from this sum in four steps, and this module computes the result of each:

1. Keep only the largest term.
2. Replace its binomial coefficients by normal densities.
3. Expand the exponent to first order in d / n.
4. Replace the factor in front by a constant.

The result is exp(-d (n - 2 r)^2 / (2 n^2)) up to a constant, which is a softmax.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.theory import _logs

__all__ = ["METHODS", "log_fraction"]

Curve = Float64[np.ndarray, "distances"]
# Names of the approximations, in the order of their distance from the exact sum.
METHODS = ("kanerva1988", "largest", "normal", "taylor", "lower", "upper")
# Where the integral is evaluated, on the scale of y below.
NODES = np.arange(-4, 4 + 1 / 64, 1 / 32)


@door
def log_fraction(bits: int, radius: int, method: str, activation: float | None = None) -> Curve:
    """Approximate ln(I(d) / 2^n), the share that two circles of radius r have in common.

    d is the distance between their centres, and there is a value for every d from 0 to n.

    * ``"kanerva1988"`` treats the coordinates as continuous. It is the integral of
      exp(-c^2 / (2 (1 - x))) / (2 pi sqrt(x (1 - x))) over x from d / n to 1, with
      c = (2 r - n) / sqrt(n). That is the share of two half-spaces under a normal density. It is
      positive for every d < n, and 7 to 14 percent too low at 1000 bits and radius 451.
    * ``"largest"`` is the largest term of the double sum, C(n - d, n - r - h) C(d, h) / 2^n with
      h = floor(d / 2).
    * ``"normal"`` replaces the binomial coefficients of that term by normal densities: 2 / (pi
      sqrt(d (n - d))) exp(-(n - 2 r)^2 / (2 (n - d))). Where d is 0 or n, one coefficient is
      exactly 1, and the factor in front is sqrt(2 / (pi n)).
    * ``"taylor"`` expands the exponent to first order, -(n - 2 r)^2 (1 + d / n) / (2 n).
    * ``"lower"`` is ``"taylor"`` with the smallest factor in front, 4 / (pi n), that of d = n / 2.
    * ``"upper"`` is ``"taylor"`` with the factor of d = 1, 2 / (pi sqrt(n - 1)), times the number
      of terms of the double sum.

    The last two are named after the factor that they bound. They are not bounds of the share, since
    the exponent is approximate: at 64 bits and radius 11, ``"lower"`` lies above the exact share at
    many distances.

    Args:
        bits: dimension n of the space, >= 2.
        radius: r of both circles, 0 to ``bits // 2``.
        method: one of the names above.
        activation: share of the space in one circle, above 0 and up to 0.5, for ``"kanerva1988"``
            alone; c is then its normal quantile, and the radius is not used.

    Returns:
        ``(bits + 1,)`` natural logarithms, float64; ``-inf`` where the approximation is 0. The
        array is a new one, which you may change.

    Raises:
        InputError: an argument is out of range, or an activation is given to a method that takes
            none.

    Example:
        >>> import numpy as np
        >>> from kanerva.theory import approximation
        >>> share = np.exp(approximation.log_fraction(1000, 451, "kanerva1988", activation=0.001))
        >>> (1_000_000 * share[[0, 100, 500]]).round(1)
        array([1000. ,  263.5,    1. ])

    Source:
        Kanerva (1988), Sparse Distributed Memory, appendix B, for the integral; Bricken and
        Pehlevan (2021), Attention approximates sparse distributed memory, for the steps from the
        largest term to the exponential.
    """
    bits = checks.integer("bits", bits, 2, checks.BITS)
    radius = checks.integer("radius", radius, 0, bits // 2)
    method = checks.choice("method", method, METHODS)
    if method != "kanerva1988":
        if activation is not None:
            do = "leave it out, or choose method 'kanerva1988'"
            refuse("activation", activation, must=f"left out for method {method!r}", do=do)
        return _STEPS[method](bits, radius)
    if activation is None:
        return _kanerva(bits, (2 * radius - bits) / math.sqrt(bits))
    from scipy.special import ndtri

    share = checks.number("activation", activation, 0.0, 0.5, open_low=True)
    return _kanerva(bits, float(ndtri(share)))


def _kanerva(bits: int, c: float) -> Curve:
    """Return the logarithm of the integral of Kanerva's formula at every distance.

    With t = sqrt(x / (1 - x)) it is the integral of exp(-c^2 (1 + t^2) / 2) / (pi (1 + t^2)). The
    largest value of the integrand is taken out as a factor. Then t = low + u with
    u = scale e^(pi/2 sinh y), so that the trapezoid rule in y is accurate to nearly all digits.
    """
    square = c * c
    low = np.sqrt(np.arange(bits) / (bits - np.arange(bits)))
    scale = 1 / (1 / np.hypot(1, low) + abs(c) + square * low)
    inside = np.zeros(bits)
    for y in NODES:
        u = scale * math.exp(math.pi / 2 * math.sinh(y))
        inside += np.exp(-square * u * (low + u / 2)) * u * math.cosh(y) / (1 + (low + u) ** 2)
    step = math.pi / 2 * (NODES[1] - NODES[0])
    return np.append(np.log(inside * step / math.pi) - square * (1 + low**2) / 2, -math.inf)


def _largest(bits: int, radius: int) -> Curve:
    distance = np.arange(bits + 1)
    half, left = distance // 2, bits - distance
    agree = bits - radius - half
    # The coefficients are shares of 2^(n - d) and of 2^d, so their product is a share of 2^n.
    same = _logs.binomial(bits, left, np.minimum(agree, left))
    different = _logs.binomial(bits, distance, half)
    return np.where(agree <= left, same + different, -np.inf)


def _front(bits: int) -> Curve:
    """Return the logarithm of the factor in front of the exponential."""
    distance = np.arange(1.0, bits)
    ends = 0.5 * math.log(2 / (math.pi * bits))
    inner = np.log(2 / math.pi) - 0.5 * np.log(distance * (bits - distance))
    return np.concatenate([[ends], inner, [ends]])


def _normal(bits: int, radius: int) -> Curve:
    square, left = (bits - 2 * radius) ** 2, bits - np.arange(bits)
    return _front(bits) + np.append(-square / (2 * left), -math.inf if square else 0.0)


def _exponential(bits: int, radius: int) -> Curve:
    return -((bits - 2 * radius) ** 2) / (2 * bits) * (1 + np.arange(bits + 1) / bits)


def _taylor(bits: int, radius: int) -> Curve:
    return _front(bits) + _exponential(bits, radius)


def _lower(bits: int, radius: int) -> Curve:
    return math.log(4 / (math.pi * bits)) + _exponential(bits, radius)


def _upper(bits: int, radius: int) -> Curve:
    front = math.log(2 / math.pi) - 0.5 * math.log(bits - 1)
    with np.errstate(divide="ignore"):
        return front + np.log(_terms(bits, radius)) + _exponential(bits, radius)


def _terms(bits: int, radius: int) -> Float64[np.ndarray, "distances"]:
    """Count the pairs (a, c) of the double sum.

    There are d + 1 - 2 max(0, s) values of c for s = n - r - a.
    """
    distance = np.arange(bits + 1.0)
    last, first = distance // 2, np.maximum(0, distance - radius)
    rising = np.maximum(0, last - first + 1) * (distance + 1 - first - last)
    return rising + np.maximum(0, radius - distance) * (distance + 1)


_STEPS: dict[str, Callable[[int, int], Curve]] = {
    "largest": _largest,
    "normal": _normal,
    "taylor": _taylor,
    "lower": _lower,
    "upper": _upper,
}
