"""The inverse temperature beta at which attention comes nearest to a sparse distributed memory.

A sparse distributed memory weights a pattern at Hamming distance d by I(d), the number of points
within both of two circles whose centres are d bits apart. Attention weights it by exp(beta cos),
with cos = 1 - 2 d / n for vectors of -1/+1 bits. The two agree where ln I(d) is nearly linear in d.
The memory of real vectors, with caps in place of circles, is fitted at the same distances.

Beta is per unit of cosine throughout this module. Attention that scores vectors of -1/+1 bits by
their dot product, n cos, takes beta / n.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva.theory import cap, circle
from kanerva.theory._noise import noise, of_noise

__all__ = [
    "BetaFit",
    "BetaRadius",
    "entropic",
    "fit",
    "leading",
    "noise",
    "of",
    "of_noise",
    "radius",
]

LINES = ("ols", "published")
METHODS = ("kl", *LINES, "mse")
CURVES: dict[str, Callable[[int, int], np.ndarray]] = {
    "binary": circle.log_fraction,
    "continuous": cap.curve,
}
SHARES: dict[str, Callable[[int, int], float]] = {
    "binary": circle.activation,
    "continuous": cap.activation,
}
LEVEL = 1e-9  # Weights whose logarithms differ by less count as equal.
LOWEST = 1e12  # No logarithm of this theory is larger in size.
Curve = Float64[np.ndarray, "distances"]


class BetaFit(NamedTuple):
    """A softmax fitted to the weights of a sparse distributed memory.

    * ``beta``: per unit of cosine; divide by ``bits`` for dot products of -1/+1 vectors.
    * ``r2``: the share of the variance of ln I(d), over the distances of the straight line, that a
      line of slope beta explains. It is 1 where ln I(d) is linear, and below 0 where the line is
      worse than a constant. Unless ``reach`` is given, the distances are 0 to ``radius - 1``, at
      least 0 and 1.
    * ``residual``: total variation distance between the two weightings of the distances 0 to
      ``bits``, from 0 (equal) to 1.
    * ``reach``: the largest distance with a weight above 0.
    """

    beta: float
    r2: float
    residual: float
    reach: int


class BetaRadius(NamedTuple):
    """The sparse distributed memory that comes nearest to attention of a given beta.

    * ``radius``: of its circles, in bits.
    * ``activation``: the share of the space within a circle, or a cap, of this radius.
    * ``fit``: the ``BetaFit`` of this radius; its ``beta`` is the nearest to the given one.
    """

    radius: int
    activation: float
    fit: BetaFit


@door("beta.fit")
def fit(
    bits: int,
    radius: int,
    method: str = "kl",
    *,
    space: str = "binary",
    reach: tuple[int, int] | None = None,
) -> BetaFit:
    """Fit softmax(beta cos) to the circle weights I(d) / sum I, over the distances d = 0..n.

    The choice of method matters: ln I(d) is steep at small distances, less steep at medium ones and
    steep again at the largest, so no beta fits all of it. At 64 bits and radius 5 the methods give
    28 to 44.

    * ``"kl"`` minimises the Kullback-Leibler divergence of the softmax from the circle weights over
      all distances. The problem is convex; at its minimum both have the same mean distance.
    * ``"ols"`` is the slope of ln I(d) against cos by least squares over the N distances of
      ``reach``.
    * ``"published"`` is that slope as the code of the paper computes it: a covariance divided by
      N - 1 over a variance divided by N, so N / (N - 1) times ``"ols"``. Use it to compare with the
      published numbers.
    * ``"mse"`` minimises the squared difference of the weights over all distances. The smallest
      distances determine the result.

    Args:
        bits: dimension n of the space, >= 1; >= 3 in ``"continuous"`` space.
        radius: of both circles, 1 to ``bits``; >= 2 for ``"ols"`` and ``"published"`` unless
            ``reach`` is given.
        method: ``"kl"``, ``"ols"``, ``"published"`` or ``"mse"``.
        space: ``"binary"``, circles of bits, or ``"continuous"``, caps of the sphere
            (``cap.curve``).
        reach: the first and the last distance of the straight line of ``"ols"``, ``"published"``
            and ``r2``, 0 <= first < last <= ``bits``; (0, radius - 1) if left out. Distances of
            weight 0 are left out; at least two with a weight must remain.

    Returns:
        a ``BetaFit``: beta, r2, residual, reach. Beta is 0 where the weights are equal to nine
        digits, as they are when the radius is far beyond half the bits.

    Raises:
        InputError: fewer than two distances can be fitted, or an argument is out of range.

    Example:
        >>> from kanerva.theory import beta
        >>> round(beta.fit(64, 11).beta, 3)
        15.923
        >>> round(beta.fit(64, 11, "published").beta, 6)
        15.852765
        >>> round(beta.fit(64, 11, "published", reach=(1, 11)).beta, 6)
        15.868339
        >>> round(beta.fit(64, 11, "published", space="continuous").beta, 5)
        21.53975

    Source:
        Bricken and Pehlevan (2021), Attention approximates sparse distributed memory, and its
        published code.
    """
    bits, least = _arguments(bits, method, space)
    least = least if reach is None else 1
    do = f"give an integer from {least} to {bits}"
    if least > 1:
        do += f", for {method!r} fits a line through the distances below it"
    radius = checks.integer("radius", radius, least, bits, do)
    line = (0, max(radius - 1, 1)) if reach is None else reach
    return _fit(CURVES[space](bits, radius), method, line)


@door("beta.of")
def of(log_weights: Curve, method: str = "kl", reach: tuple[int, int] | None = None) -> BetaFit:
    """Fit softmax(beta cos) to any weights that fall with distance, as ``fit`` does for circles.

    Args:
        log_weights: ``(n + 1,)``, float64, natural logarithms of the weights at the distances 0..n
            up to a common constant, none above the one before it, the first two finite, and
            ``-inf`` where the weight is 0.
        method: ``"kl"``, ``"ols"``, ``"published"`` or ``"mse"``.
        reach: the first and the last distance of the straight line, as in ``fit``; all distances
            with a weight above 0 if left out.

    Returns:
        a ``BetaFit``: beta, r2, residual, reach.

    Raises:
        InputError: the weights do not fall with distance, or fewer than two distances can be
            fitted.

    Example:
        >>> from kanerva.theory import beta
        >>> straight = beta.of(-0.5 * np.arange(65.0))  # exp(-d / 2) is exp(16 cos) up to a factor
        >>> round(straight.beta, 9), round(straight.r2, 9)
        (16.0, 1.0)
    """
    method = checks.choice("method", method, METHODS)
    return _fit(_falling(log_weights), method, reach)


@door("beta.radius")
def radius(
    bits: int, beta: int | float, method: str = "kl", *, space: str = "binary"
) -> BetaRadius:
    """Find the radius whose fitted beta is nearest to a given one.

    Beta falls with the radius among the even radii and among the odd radii, since the reach of a
    circle grows in steps of two bits. Both are searched by bisection. Of two radii that are equally
    near the smaller one is returned.

    Args:
        bits: dimension n of the space, >= 1, >= 2 for ``"ols"`` and ``"published"``, >= 3 in
            ``"continuous"`` space.
        beta: per unit of cosine, from 0 to that of the smallest radius that can be fitted, 1 or 2.
        method: ``"kl"``, ``"ols"``, ``"published"`` or ``"mse"``, as in ``fit``.
        space: ``"binary"`` or ``"continuous"``, as in ``fit``.

    Returns:
        a ``BetaRadius``: radius, activation, fit.

    Raises:
        InputError: no radius has so large a beta, or an argument is out of range.

    Example:
        >>> from kanerva.theory import beta
        >>> beta.radius(64, 10.0).radius, beta.radius(64, 25.0).radius
        (15, 7)

    Source:
        Bricken and Pehlevan (2021): betas of 10 to 25, learned by transformers, as radii of 15 to
        7 bits.
    """
    bits, least = _arguments(bits, method, space)
    largest = fit(bits, least, method, space=space).beta
    do = f"give at most the beta of radius {least}, the smallest that {method!r} fits, or more bits"
    beta = checks.number("beta", beta, 0.0, largest, do=do)

    @cache
    def fitted(size: int) -> BetaFit:
        return fit(bits, size, method, space=space)

    near: list[int] = []
    for first in (least, least + 1):
        radii = range(first, bits + 1, 2)
        place = bisect_left(radii, -beta, key=lambda size: -fitted(size).beta)
        near += radii[max(place - 1, 0) : place + 1]
    size = min(near, key=lambda size: (abs(fitted(size).beta - beta), size))
    return BetaRadius(size, SHARES[space](bits, size), fitted(size))


@door("beta.leading")
def leading(bits: int, radius: int) -> float:
    """Return (n - 2 r)^2 / (4 n), the beta of circle weights to leading order.

    It follows from normal approximations of the binomial coefficients, to first order in d / n. It
    is the simplest rule, and far below the fitted betas where the radius is small.

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
    bits = checks.integer("bits", bits, 1, checks.BITS)
    radius = checks.integer("radius", radius, 0, bits // 2)
    return (bits - 2 * radius) ** 2 / (4 * bits)


@door("beta.entropic")
def entropic(bits: int, radius: int) -> float:
    """Return -(n / 4) ln(4 rho (1 - rho)) with rho = r / n, the beta of circle weights near d = 0.

    The formula holds for large n. It approaches ``leading`` as the radius approaches half the bits.

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
        the slope at d = 0 of the entropy of the largest term of the double sum of the intersection.
    """
    bits = checks.integer("bits", bits, 2, checks.BITS)
    radius = checks.integer("radius", radius, 1, bits // 2)
    # 4 rho (1 - rho) = 1 - (1 - 2 rho)^2
    return abs(bits / 4 * math.log1p(-(((bits - 2 * radius) / bits) ** 2)))


def _arguments(bits: int, method: str, space: str) -> tuple[int, int]:
    """Check the shared arguments; return the bits and the smallest radius that can be fitted."""
    least = 2 if checks.choice("method", method, METHODS) in LINES else 1
    continuous = checks.choice("space", space, tuple(CURVES)) == "continuous"
    return checks.integer("bits", bits, 3 if continuous else least, checks.BITS), least


def _falling(log_weights: Any) -> Curve:
    """Check a curve of log-weights: finite at first, and never rising."""
    must = (
        "a float64 array of two logarithms or more, the first two finite, none above the previous"
    )
    array = isinstance(log_weights, np.ndarray)
    if not array or log_weights.dtype != np.float64 or log_weights.ndim != 1:
        do, got = "convert it with numpy.asarray(log_weights, float).ravel()", describe(log_weights)
        refuse("log_weights", must=must, got=got, do=do, error=InputTypeError)
    rises = ~(log_weights[1:] <= log_weights[:-1] + LEVEL)  # True for NaN as well
    if log_weights.size < 2 or not np.isfinite(log_weights[:2]).all():
        got = f"{log_weights.size} numbers, starting with {log_weights[:2].tolist()}"
    elif rises.any():
        got = f"one that rises, or is NaN, at distance {rises.argmax() + 1}"
    elif np.abs(log_weights[np.isfinite(log_weights)]).max() > LOWEST:
        got = f"one that goes beyond {LOWEST:g}"
    else:
        return log_weights
    do = "give the curve of a memory whose weights fall with distance"
    refuse("log_weights", must=must, got=got, do=do)


def _fit(log_weights: Curve, method: str, reach: tuple[int, int] | None) -> BetaFit:
    bits, last = log_weights.size - 1, int(np.flatnonzero(log_weights > -math.inf)[-1])
    line = _line((0, last) if reach is None else reach, bits, last)
    weights = np.exp(log_weights - log_weights[0])
    weights /= weights.sum()
    if log_weights[0] - log_weights[-1] < LEVEL:
        beta = 0.0
    elif method == "kl":
        beta = _rate_of_equal_mean(log_weights, weights) * bits / 2
    elif method == "mse":
        beta = _rate_of_least_squares(log_weights, weights) * bits / 2
    else:
        beta = _slope(bits, line, log_weights)
        if method == "published":
            beta *= line.size / (line.size - 1)
    residual = float(np.abs(weights - _softmax(bits, 2 * beta / bits)).sum() / 2)
    return BetaFit(beta, _straightness(bits, line, log_weights, beta), residual, last)


def _line(reach: Any, bits: int, last: int) -> Int64[np.ndarray, "line"]:
    """Return the distances of a straight line: those within ``reach`` whose weight is above 0."""
    must = f"a pair (first, last) from 0 to {bits} that spans two distances with a weight"
    if not isinstance(reach, tuple | list) or len(reach) != 2:
        refuse("reach", reach, must=must, do="give (first, last)", error=InputTypeError)
    do = f"give two distances from 0 to {bits}"
    start, stop = (checks.integer("reach", end, 0, bits, do) for end in reach)
    if min(stop, last) - start < 1:
        got = f"({start}, {stop}), with no weight beyond distance {last}"
        refuse("reach", must=must, got=got, do="widen it, or give a larger radius")
    return np.arange(start, min(stop, last) + 1)


def _softmax(bits: int, rate: float) -> Curve:
    """Return the normalised weights exp(-rate d) of the distances 0..bits."""
    weights = np.exp(-rate * np.arange(bits + 1))
    return weights / weights.sum()


def _steepest(log_weights: Curve) -> float:
    """Return the rate at which weights exp(-rate d) over d = 0, 1, 2, ... have the same mean."""
    log_distances = np.log(np.arange(1, log_weights.size))
    log_sum = np.logaddexp.reduce(log_weights[1:] + log_distances)
    log_mean = log_sum - np.logaddexp.reduce(log_weights)
    return float(np.logaddexp(0, -log_mean))


def _rate_of_equal_mean(log_weights: Curve, weights: Curve) -> float:
    """Find the rate at which the softmax has the mean distance of the weights.

    Newton's method within bounds, with a step of bisection where it leaves them.
    """
    low, high = 0.0, _steepest(log_weights)
    # Here the infinite sum differs from the finite one by less than double precision resolves, and
    # the weights may be too small for floats.
    if high > 40:
        return high
    distance = np.arange(weights.size)
    mean = float(weights @ distance)
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


def _rate_of_least_squares(log_weights: Curve, weights: Curve) -> float:
    from scipy.optimize import minimize_scalar

    log_others = np.logaddexp.reduce(log_weights[1:]) - log_weights[0]
    # Nearly all weight is at distance 0. With s = exp(-rate), only the squares of (1 - s) - w0 and
    # of s - w1 matter.
    if log_others < -18:
        return math.log(2) - float(np.logaddexp(log_others, log_weights[1] - log_weights[0]))

    def error(rate: float) -> float:
        return float(((weights - _softmax(weights.size - 1, rate)) ** 2).sum())

    bounds = (0, 4 * _steepest(log_weights))
    options = {"xatol": 1e-10 * bounds[1]}
    return float(minimize_scalar(error, bounds=bounds, method="bounded", options=options).x)


def _slope(bits: int, line: Int64[np.ndarray, "line"], log_weights: Curve) -> float:
    """Return the least-squares slope of the log-weights against the cosine."""
    cosine = 1 - 2 * line / bits
    cosine -= cosine.mean()
    return float(cosine @ log_weights[line] / (cosine @ cosine))


def _straightness(
    bits: int, line: Int64[np.ndarray, "line"], log_weights: Curve, beta: float
) -> float:
    """Return the share of the variance of the log-weights that a line of slope beta explains."""
    logs = log_weights[line]
    total, left = logs.var(), (logs + 2 * beta * line / bits).var()
    return float(1 - left / total) if np.ptp(logs) > LEVEL else 1.0
