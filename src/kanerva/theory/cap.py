"""The share of a sphere that lies within both of two caps, for real-valued SDM.

A cap takes the place of a circle of bits. The space is the unit sphere in dim dimensions. A cap of
radius r is the set of points whose cosine with its centre is at least t = 1 - 2 r / dim. The radius
counts bits where the points are vectors of -1/+1 bits divided by the square root of dim; here r is
any real number.

Project a random point onto the plane of the two centres. Let phi be the angle of the projection
from the line half way between them. The point lies in both caps with probability (1 - t^2 / cos^2
phi)^k, k = (dim - 2) / 2, where that base is positive. So for t > 0 and centres at the angle 2 h

    share = (1 / pi) * integral from h to arccos t of (1 - t^2 / cos^2 phi)^k dphi.

The integrand is steep in high dimensions, has a root at its upper end, and for small t a pole near
it. The substitution tan phi = sinh z moves the pole away. With z = z_h + x and g = 1 - t^2 / cos^2
h the steep part becomes a factor:

    share = (g^k / pi) * integral over x >= 0 of (1 - u)^k / cosh(z_h + x) dx,
    u = t^2 sinh(x) sinh(2 z_h + x) / g.

This integrand is smooth and falls from one to zero in any dimension, so a fixed number of points
suffices. Caps larger than half the sphere (t < 0) are computed from their complements.
"""

import math
from functools import lru_cache
from typing import overload

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.theory import _inputs

__all__ = ["activation", "curve", "log_activation", "log_fraction", "quantile"]

POINTS = 80  # Of the quadrature; more points change no logarithm by 1e-11.
FADED = 45.0  # exp(-45) times the largest value of the integrand is below double precision.
TINY = 1e-290  # Smaller than any difference of two cosines.
ROUNDING = 4 * float(np.finfo(float).eps)
Cosines = Float64[np.ndarray, "*shape"]
Gaps = Float64[np.ndarray, "centres"]


@overload
def log_fraction(dim: int, radius: int | float, cosine: int | float = 1.0) -> float: ...
@overload
def log_fraction(dim: int, radius: int | float, cosine: Cosines) -> Cosines: ...
@door("cap.log_fraction")
def log_fraction(
    dim: int, radius: int | float, cosine: int | float | Cosines = 1.0
) -> float | Cosines:
    """Return ln p(cosine), the share of the sphere within both of two caps of equal radius.

    Args:
        dim: dimension of the space, >= 3.
        radius: r of both caps, 0 to ``dim``, any real number; the cap is cos >= 1 - 2 r / dim.
        cosine: of the angle between the two centres, -1 to 1: a number, or float64 of any shape. A
            value outside by at most 1e-6 counts as rounding.

    Returns:
        natural logarithms, a float for a number and float64 of the same shape for an array;
        ``-inf`` where the caps have no area in common. Up to 10,000 dimensions they are within
        1e-11 of the exact ones, and within 1e-9 near the angle at which the caps separate, where
        the rounding of the cosine itself matters.

    Raises:
        InputError: the radius lies outside 0 to ``dim``, or a cosine outside -1 to 1.

    Example:
        >>> from kanerva.theory import cap
        >>> round(cap.log_fraction(64, 11), 6)
        -20.33615
        >>> cap.log_fraction(1000, 451, np.array([1.0, 0.8, 0.0, -1.0])).round(4)
        array([ -6.9548,  -8.3005, -13.9653,     -inf])

    Source:
        Bricken and Pehlevan (2021), Attention approximates sparse distributed memory, for the
        continuous memory; Lee and Kim (2014), Concise formulas for the surface area of the
        intersection of two hyperspherical caps. The integral here is another form of theirs.
    """
    dim, radius = _arguments(dim, radius)
    given = _inputs.reals("cosine", cosine, -1 - 1e-6, 1 + 1e-6)
    gaps = 1 - np.clip(np.asarray(given), -1, 1)
    logs = _logs(dim, radius, np.ravel(gaps)).reshape(np.shape(gaps))
    return logs if isinstance(cosine, np.ndarray) else float(logs)


@door("cap.log_activation")
def log_activation(dim: int, radius: int | float) -> float:
    """Return ln p, the logarithm of the share of the sphere within one cap.

    Args:
        dim: dimension of the space, >= 3.
        radius: r, 0 to ``dim``, any real number; the cap is cos >= 1 - 2 r / dim.

    Returns:
        a natural logarithm, 0 or less; ``-inf`` at radius 0.

    Raises:
        InputError: the radius lies outside 0 to ``dim``.

    Example:
        >>> from kanerva.theory import cap
        >>> round(cap.log_activation(3, 0.3), 6)  # in three dimensions the share is r / 3
        -2.302585
    """
    return _log_activation(*_arguments(dim, radius))


@door("cap.activation")
def activation(dim: int, radius: int | float) -> float:
    """Return p, the share of the sphere within one cap.

    It is the expected share of random locations that a query activates.

    Args:
        dim: dimension of the space, >= 3.
        radius: r, 0 to ``dim``, any real number; the cap is cos >= 1 - 2 r / dim.

    Returns:
        a number from 0 to 1. Below 1e-308 it loses digits and then becomes 0; ``log_activation``
        does not.

    Raises:
        InputError: the radius lies outside 0 to ``dim``.

    Example:
        >>> from kanerva.theory import cap
        >>> round(cap.activation(64, 15) / 1e-6, 4)  # a circle of 64 bits holds 12.1823e-6
        2.6436
    """
    return math.exp(_log_activation(*_arguments(dim, radius)))


@door("cap.curve")
def curve(dim: int, radius: int | float) -> Float64[np.ndarray, "distances"]:
    """Return ln p(1 - 2 d / dim) for d = 0..dim, the distances between vectors of -1/+1 bits.

    It is ``circle.log_fraction`` at the same distances with caps in place of circles.

    Args:
        dim: dimension of the space, >= 3.
        radius: r of both caps, 0 to ``dim``, any real number; the cap is cos >= 1 - 2 r / dim.

    Returns:
        ``(dim + 1,)`` natural logarithms, float64, falling. For r up to ``dim / 2`` they are
        ``-inf`` from d = 4 r (1 - r / dim) on, where the caps no longer meet.

    Raises:
        InputError: the radius lies outside 0 to ``dim``.

    Example:
        >>> from kanerva.theory import cap
        >>> (cap.curve(64, 11)[[0, 1, 8, 36, 37]] / np.log(10)).round(5)
        array([ -8.83188,  -9.26137, -11.04583, -60.14922,      -inf])
    """
    dim, radius = _arguments(dim, radius)
    return _logs(dim, radius, 2 * np.arange(dim + 1) / dim)


@door("cap.quantile")
def quantile(dim: int, activation: int | float) -> float:
    """Find the radius whose cap holds a given share of the sphere.

    Args:
        dim: dimension of the space, >= 3.
        activation: the share p, above 0, up to 1.

    Returns:
        a real radius, above 0, up to ``dim``.

    Raises:
        InputError: the share lies outside (0, 1].

    Example:
        >>> from kanerva.theory import cap
        >>> round(cap.quantile(1000, 0.001), 4)
        451.2191
    """
    dim = checks.integer("dim", dim, 3, checks.BITS)
    share = checks.number("activation", activation, 0.0, 1.0, open_low=True)
    if share == 1:
        return float(dim)
    return _radius(dim, share) if share <= 0.5 else dim - _radius(dim, 1 - share)


def _arguments(dim: int, radius: int | float) -> tuple[int, float]:
    dim = checks.integer("dim", dim, 3, checks.BITS)
    return dim, checks.number("radius", radius, 0, dim)


def _log_activation(dim: int, radius: float) -> float:
    return float(_logs(dim, radius, np.zeros(1))[0])


def _logs(dim: int, radius: float, gap: Gaps) -> Gaps:
    """Return ln p where 1 minus the cosine is ``gap``, from 0 to 2."""
    t = (dim - 2 * radius) / dim
    with np.errstate(divide="ignore"):
        if t == 0:
            return np.log(np.arctan2(np.sqrt(2 - gap), np.sqrt(gap)) / math.pi)
        both = _shared(dim, radius, gap)
        if t > 0:
            return both
        from scipy.special import betainc, betaincc

        # The complements are caps too. They leave out the band of width |t| on either side of the
        # equator.
        both = np.exp(both)
        band, rest = betainc(0.5, (dim - 1) / 2, t * t), betaincc(0.5, (dim - 1) / 2, t * t)
        logs = np.where(band + both < 0.5, np.log(band + both), np.log1p(both - rest))
        return np.minimum(logs, 0)


def _shared(dim: int, radius: float, gap: Gaps) -> Gaps:
    """Return ln p of two caps of at most half the sphere, or of the complements of larger ones."""
    if 0 < radius < TINY:  # The sphere is flat at this scale: areas are powers of lengths.
        smallest = _shared(dim, TINY, np.zeros_like(gap))
        scaled = smallest + (dim - 1) / 2 * math.log(radius / TINY)
        return np.where(gap > 0, -math.inf, scaled)
    t, k = (dim - 2 * radius) / dim, dim / 2 - 1
    # cosine - cos(2 arccos t) is above 0 where the caps meet. With 1 - t^2 from the radius no
    # digits cancel.
    room = 8 * radius * (dim - radius) / dim**2 - gap
    meet = room > ROUNDING * gap
    logs = np.full(gap.shape, -math.inf)
    gap, room = gap[meet], room[meet]
    g, low = room / (2 - gap), np.sqrt(gap / (2 - gap))
    # The upper end in sinh^2 z, where (1 - u)^k is negligible, at the latest at u = 1. ``length``
    # is asinh(high) - asinh(low) without cancellation.
    rise = g * -math.expm1(-FADED / k) / t**2
    high = np.sqrt(low**2 + rise)
    length = np.arcsinh(rise / (high * np.sqrt(1 + low**2) + low * np.sqrt(1 + high**2)))
    start, steep, total = np.arcsinh(low), abs(t) / np.sqrt(g), np.zeros(gap.shape)
    for place, weight in zip(*_quadrature(), strict=True):
        x = length * place
        u = np.minimum(steep * np.sinh(x) * (steep * np.sinh(2 * start + x)), 1 - ROUNDING)
        total += weight * np.exp(k * np.log1p(-u)) / np.cosh(start + x)
    logs[meet] = k * np.log(g) + np.log(length * total / math.pi)
    return np.minimum(logs, 0)


@lru_cache(maxsize=1)
def _quadrature() -> tuple[list[float], list[float]]:
    """Return nodes in (0, 1) and weights for functions with a square root at 1.

    They are those of Gauss and Legendre under the map 1 - (1 - x)^2.
    """
    x, weight = np.polynomial.legendre.leggauss(POINTS)
    left = (1 - x) / 2
    return (1 - left**2).tolist(), (left * weight).tolist()


def _radius(dim: int, share: float) -> float:
    """Find the radius of a cap of at most half the sphere."""
    from scipy.optimize import brentq

    def excess(log_radius: float) -> float:
        return _log_activation(dim, min(math.exp(log_radius), dim / 2)) - math.log(share)

    # A cap of threshold t >= 0 has at most the share (1 - t^2)^((dim - 1) / 2) / 2.
    low = math.log(dim / 4) + (math.log(2) + math.log(share)) * 2 / (dim - 1)
    root = brentq(excess, low - 0.1, math.log(dim / 2) + 1e-9, xtol=1e-15)
    return min(math.exp(root), dim / 2)
