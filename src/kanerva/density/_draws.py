"""Exact draws from kernels: points near given centres.

Each function takes a NumPy generator and centres ``(n, d)`` in float64, and returns one point for
each centre.
"""

import numpy as np
from jaxtyping import Float64

__all__ = [
    "bernoulli",
    "circle",
    "epanechnikov",
    "gaussian",
    "laplace",
    "vmf",
]

Points = Float64[np.ndarray, "n d"]


def gaussian(source: np.random.Generator, centres: Points, sigma: float) -> Points:
    """Draw from normal distributions with standard deviation ``sigma``."""
    return centres + sigma * source.standard_normal(centres.shape)


def epanechnikov(source: np.random.Generator, centres: Points, radius: float) -> Points:
    """Draw from 1 - |r|^2 / h^2: the squared length of r / h is beta distributed."""
    length = radius * np.sqrt(source.beta(centres.shape[1] / 2, 2.0, len(centres)))
    return centres + length[:, None] * _directions(source, *centres.shape)


def laplace(source: np.random.Generator, centres: Points, width: float) -> Points:
    """Draw from exp(-|r|_1 / b): the coordinates are independent."""
    return centres + source.laplace(0.0, width, centres.shape)


def vmf(source: np.random.Generator, centres: Points, kappa: float) -> Points:
    """Draw from exp(kappa m x) on the unit sphere (Wood 1994), for centres of length one."""
    count, dim = centres.shape
    if dim == 1:  # two points
        same = source.random((count, 1)) < 1 / (1 + np.exp(-2 * kappa))
        return np.where(same, centres, -centres)
    fall = _falls(source, count, dim, kappa)[:, None]
    sideways = _directions(source, count, dim)
    sideways -= (sideways * centres).sum(-1, keepdims=True) * centres
    length = np.linalg.norm(sideways, axis=-1, keepdims=True)
    drawn: Points = (1 - fall) * centres + np.sqrt(fall * (2 - fall)) * sideways / length
    return drawn


def bernoulli(source: np.random.Generator, centres: Points, slope: float) -> Points:
    """Draw from exp(a x k) on -1/+1 bits: each bit is flipped by itself."""
    flipped = source.random(centres.shape) < 1 / (1 + np.exp(2 * slope))
    return np.where(flipped, -centres, centres)


def circle(source: np.random.Generator, centres: Points, radius: int) -> Points:
    """Draw from the number of points that two balls of the cube share.

    A point of the ball around the centre is drawn, and then one of the ball around that.
    """
    return _near(source, _near(source, centres, radius), radius)


def _near(source: np.random.Generator, centres: Points, radius: int) -> Points:
    """Draw uniformly from the points within a Hamming distance of each centre."""
    from scipy.special import gammaln

    bits = centres.shape[1]
    steps = np.arange(radius + 1)
    logs = -gammaln(steps + 1) - gammaln(bits - steps + 1)
    shares = np.exp(logs - logs.max()).cumsum()
    flips = np.searchsorted(shares, source.random(len(centres)) * shares[-1], side="right")
    order = source.random(centres.shape).argsort(-1).argsort(-1)
    return np.where(order < flips[:, None], -centres, centres)


def _directions(source: np.random.Generator, count: int, dim: int) -> Points:
    """Draw directions uniformly."""
    drawn = source.standard_normal((count, dim))
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def _falls(
    source: np.random.Generator, count: int, dim: int, kappa: float
) -> Float64[np.ndarray, "n"]:
    """Draw 1 - cosine of a vector and the mean direction, by rejection.

    Near the mean direction the cosine itself would have no digits left.
    """
    half = (dim - 1) / 2
    # (sqrt(4 kappa^2 + (d-1)^2) - 2 kappa) / (d - 1), without the difference of large numbers.
    edge = 2 * half / (np.hypot(2 * kappa, 2 * half) + 2 * kappa)
    middle = 2 * edge / (1 + edge)
    top = np.log(middle * (2 - middle))
    found = np.empty(count)
    missing = np.arange(count)
    while len(missing):
        share = source.beta(half, half, len(missing))
        fall = 2 * edge * share / (1 - (1 - edge) * share)
        turn = np.log(middle + fall - middle * fall) - top
        taken = kappa * (middle - fall) + 2 * half * turn >= np.log(source.random(len(missing)))
        found[missing[taken]] = fall[taken]
        missing = missing[~taken]
    return found.clip(0.0, 2.0)
