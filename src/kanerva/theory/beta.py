"""Find the attention that comes nearest to a sparse distributed memory: the inverse temperature beta.

A sparse distributed memory weighs a pattern at Hamming distance d by I(d), the points that two circles d bits apart
share; attention weighs it by exp(beta cos), with cos = 1 - 2 d / n for vectors of -1/+1 bits. Where ln I(d) is nearly
straight in d the two agree.

Beta is per unit of cosine everywhere here. Attention that scores vectors of -1/+1 bits by their dot product, n cos,
takes beta / n.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from kanerva import _guard
from kanerva.theory import circle

__all__ = ["BetaFit", "entropic", "fit", "leading"]

METHODS = ("kl", "ols", "published", "mse")
LEVEL = 1e-9  # weights that differ by less, far beyond half the bits, count as equal
Curve = Float64[np.ndarray, "distances"]


class BetaFit(NamedTuple):
    """A softmax fitted to circle weights.

    * ``beta``: per unit of cosine; divide by ``bits`` for dot products of -1/+1 vectors.
    * ``r2``: the share of the variance of ln I(d), over the distances 0 to ``radius - 1`` (at least 0 and 1), that a
      straight line of slope beta explains; 1 where the weights are straight, below 0 where the line is worse than none.
    * ``residual``: total variation between the two weightings of the distances 0 to ``bits``, 0 (equal) to 1.
    * ``reach``: the largest distance with a weight above 0.
    """

    beta: float
    r2: float
    residual: float
    reach: int


def fit(bits: int, radius: int, method: str = "kl") -> BetaFit:
    """Fit softmax(beta cos) to the circle weights I(d) / sum I, over the distances d = 0..n.

    The choice of method matters: ln I(d) falls steeply at first, then evenly, then steeply again before it ends, so no
    beta fits all of it, and at 64 bits and radius 5 the methods give 28 to 44.

    * ``"kl"`` minimises the Kullback-Leibler divergence of softmax from circle weights over all distances. The problem
      is convex; at its minimum both have the same mean distance.
    * ``"ols"`` is the slope of ln I(d) against cos by least squares over d = 0..radius - 1.
    * ``"published"`` is that slope as the paper's code computed it, a covariance divided by N - 1 over a variance divided
      by N, so N / (N - 1) times ``"ols"`` for N = radius. Use it to compare with the numbers in print.
    * ``"mse"`` minimises the squared difference of the weights over all distances; the nearest ones decide.

    Args:
        bits: dimension n of the space, >= 1.
        radius: of both circles, 1 to ``bits``, and >= 2 for ``"ols"`` and ``"published"``.
        method: ``"kl"``, ``"ols"``, ``"published"`` or ``"mse"``.

    Returns:
        a ``BetaFit``: beta, r2, residual, reach. Beta is 0 where the weights are equal to nine digits, as they are
        when the radius is far beyond half the bits.

    Raises:
        InputError: fewer than two distances are there to be fitted, or an argument is out of range.

    Example:
        >>> from kanerva.theory import beta
        >>> round(beta.fit(64, 11).beta, 3)
        15.923
        >>> round(beta.fit(64, 11, "published").beta, 6)
        15.852765

    Source:
        Bricken and Pehlevan (2021), Attention approximates sparse distributed memory, and its published code.
    """
    bits = _guard.integer("beta.fit", "bits", bits, 1, _guard.BITS)
    method = _guard.choice("beta.fit", "method", method, METHODS)
    log_weights = circle.log_fraction(bits, _guard.integer("beta.fit", "radius", radius, 0, bits))
    count = radius if method in ("ols", "published") else min(2 * radius, bits) + 1
    if count < 2:
        must = f"large enough to leave two distances for method {method!r} to fit"
        _guard.refuse("beta.fit", "radius", must, str(radius), f"give a radius of at least {2 if method in ('ols', 'published') else 1}")
    weights = np.exp(log_weights - log_weights[0])
    level = weights[-1] > 1 - LEVEL
    weights /= weights.sum()
    if level:
        beta = 0.0
    elif method == "kl":
        beta = _rate_of_equal_mean(weights) * bits / 2
    elif method == "mse":
        beta = _rate_of_least_squares(weights) * bits / 2
    else:
        beta = _slope(bits, log_weights[:radius]) * (radius / (radius - 1) if method == "published" else 1)
    straight = _straightness(bits, log_weights[: max(radius, 2)], beta)
    residual = float(np.abs(weights - _softmax(bits, 2 * beta / bits)).sum() / 2)
    return BetaFit(beta, straight, residual, min(2 * radius, bits))


def leading(bits: int, radius: int) -> float:
    """Return (n - 2 r)^2 / (4 n), the beta of circle weights to first order in d / n after normal approximations.

    It is the simplest rule and runs far below the fits while the radius is small.

    Args:
        bits: dimension n of the space, >= 1.
        radius: r, 0 to ``bits // 2``.

    Returns:
        beta per unit of cosine; divide by ``bits`` for dot products of -1/+1 vectors.

    Raises:
        InputError: the radius is out of range.

    Example:
        >>> from kanerva.theory import beta
        >>> round(beta.leading(64, 11), 3)
        6.891

    Source:
        Bricken and Pehlevan (2021), the exponential approximation of the circle intersection.
    """
    bits = _guard.integer("beta.leading", "bits", bits, 1, _guard.BITS)
    radius = _guard.integer("beta.leading", "radius", radius, 0, bits // 2)
    return (bits - 2 * radius) ** 2 / (4 * bits)


def entropic(bits: int, radius: int) -> float:
    """Return -(n / 4) ln(4 rho (1 - rho)) with rho = r / n, the beta of circle weights near d = 0 as n grows.

    It becomes ``leading`` as the radius nears half the bits.

    Args:
        bits: dimension n of the space, >= 2.
        radius: r, 1 to ``bits // 2``.

    Returns:
        beta per unit of cosine; divide by ``bits`` for dot products of -1/+1 vectors.

    Raises:
        InputError: the radius is out of range.

    Example:
        >>> from kanerva.theory import beta
        >>> round(beta.entropic(64, 11), 3)
        9.013

    Source:
        the slope at d = 0 of the entropy of the largest term of the intersection's double sum.
    """
    bits = _guard.integer("beta.entropic", "bits", bits, 2, _guard.BITS)
    radius = _guard.integer("beta.entropic", "radius", radius, 1, bits // 2)
    # 4 rho (1 - rho) = 1 - (1 - 2 rho)^2
    return abs(bits / 4 * math.log1p(-(((bits - 2 * radius) / bits) ** 2)))


def _softmax(bits: int, rate: float) -> Curve:
    """Return the weights exp(-rate d), summing to one, of the distances 0..bits."""
    weights = np.exp(-rate * np.arange(bits + 1))
    return weights / weights.sum()


def _steepest(weights: Curve) -> float:
    """Return the rate at which weights exp(-rate d) of all whole d, without end, have the mean distance of ``weights``."""
    return math.log1p(1 / float(weights @ np.arange(weights.size)))


def _rate_of_equal_mean(weights: Curve) -> float:
    """Find the rate at which the softmax has the mean distance of the weights: Newton's steps, halving where one strays."""
    distance = np.arange(weights.size)
    mean = float(weights @ distance)
    low, high = 0.0, _steepest(weights)
    rate = high
    for _ in range(200):
        softmax = _softmax(weights.size - 1, rate)
        excess = float(softmax @ distance) - mean
        low, high = (rate, high) if excess > 0 else (low, rate)
        step = rate + excess / float(softmax @ (distance - mean - excess) ** 2)
        step = step if low <= step <= high else (low + high) / 2
        if abs(step - rate) <= 1e-15 * high:
            return step
        rate = step
    return rate


def _rate_of_least_squares(weights: Curve) -> float:
    from scipy.optimize import minimize_scalar

    def error(rate: float) -> float:
        return float(((weights - _softmax(weights.size - 1, rate)) ** 2).sum())

    bounds = (0, 4 * _steepest(weights))
    return float(minimize_scalar(error, bounds=bounds, method="bounded", options={"xatol": 1e-10 * bounds[1]}).x)


def _slope(bits: int, log_weights: Curve) -> float:
    cosine = 1 - 2 * np.arange(log_weights.size) / bits
    cosine -= cosine.mean()
    return float(cosine @ log_weights / (cosine @ cosine))


def _straightness(bits: int, log_weights: Curve, beta: float) -> float:
    cosine = 1 - 2 * np.arange(log_weights.size) / bits
    total, left = log_weights.var(), (log_weights - beta * cosine).var()
    return float(1 - left / total) if np.ptp(log_weights) > LEVEL else 1.0
