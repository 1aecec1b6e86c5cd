"""The integral of exp(kappa cos) over the unit sphere, by Bessel functions in logarithms."""

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from jaxtyping import Float64

__all__ = ["log_mean", "log_sphere"]

# From this size of (order, argument) on the asymptotic expansion has all digits of a float.
LARGE = 40.0
TERMS = 14
# Below, the mean of exp(kappa cos) is 1 + kappa^2 / (2 D) in double precision.
SMALL = 1e-4
Reals = Float64[np.ndarray, "*shape"]


def log_mean(dim: int, kappa: Reals) -> Reals:
    """Return ln E[exp(kappa cos)] for a uniform point of the unit sphere."""
    series = np.log1p(np.minimum(kappa, SMALL) ** 2 / (2 * dim))
    return np.where(kappa < SMALL, series, log_sphere(dim, kappa) - _log_area(dim))


def log_sphere(dim: int, kappa: Reals) -> Reals:
    r"""Return ln((2 pi)^(D/2) I_v(kappa) / kappa^v) with v = D / 2 - 1, for D >= 1.

    Where neither the order v nor kappa is large the scaled Bessel function of scipy is exact. Where
    one of them is, Debye's expansion is, which is uniform in v and kappa: with s^2 = v^2 + kappa^2

        I_v(kappa) = exp(s - v asinh(v / kappa)) / sqrt(2 pi s) (1 + sum of u_k(v / s) / v^k).

    Its powers of kappa cancel those of the integral, so that kappa may be 0.
    """
    from scipy.special import ive

    if dim == 1:
        return kappa + np.log1p(np.exp(-2 * kappa))
    order = dim / 2 - 1
    size = np.hypot(order, kappa)
    inside = np.clip(kappa, SMALL, LARGE)
    scaled = np.log(ive(min(order, LARGE), inside)) + inside - order * np.log(inside)
    small = _log_area(dim) + np.log1p(np.minimum(kappa, SMALL) ** 2 / (2 * dim))
    near = np.where(kappa < SMALL, small, dim / 2 * math.log(2 * math.pi) + scaled)
    return np.where(size < LARGE, near, _large(dim, np.maximum(size, LARGE)))


def _large(dim: int, size: Reals) -> Reals:
    order = dim / 2 - 1
    square, total = (order / size) ** 2, np.zeros_like(size)
    for row in reversed(_debye()[1:]):
        total = (total + np.polynomial.polynomial.polyval(square, row)) / size
    logs = (dim - 1) / 2 * math.log(2 * math.pi) + size - order * np.log(order + size)
    return logs - np.log(size) / 2 + np.log1p(total)


def _log_area(dim: int) -> float:
    return math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)


@lru_cache(maxsize=1)
def _debye() -> list[list[float]]:
    """Return the coefficients of u_k(t) / t^k in t^2, for k from 0 on.

    u_(k+1) = t^2 (1 - t^2) u_k' / 2 + (integral of (1 - 5 t^2) u_k) / 8, u_0 = 1.
    """
    rows, row = [[1.0]], [Fraction(1)]
    for k in range(TERMS):
        longer = [Fraction(0)] * (len(row) + 1)
        for place, coefficient in enumerate(row):
            power = k + 2 * place
            longer[place] += coefficient * (Fraction(power, 2) + Fraction(1, 8 * (power + 1)))
            longer[place + 1] -= coefficient * (Fraction(power, 2) + Fraction(5, 8 * (power + 3)))
        row = longer
        rows.append([float(one) for one in row])
    return rows
