r"""The Chinese restaurant process: how many memories a stream of rows creates.

Row i, counted from 0, joins a table that holds c rows with a probability proportional to c - d, and
opens a new one with

.. math:: P(\text{new}) = \frac{a + d K}{a + i}

where K tables are open, a is the concentration and d the discount. With d = 0 the number of tables
grows as a log n, with d > 0 as a power n^d (Pitman and Yor).
"""

import math
from typing import overload

import numpy as np
from jaxtyping import Float64, Integer

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.theory import _inputs

__all__ = ["expected"]

LARGEST = 1e300  # Products of such a concentration with a digamma function are floats.
SMALLEST = 1e-30  # A smaller discount changes no digit of a float.
SHIFT = 16  # From here on the series of the digamma function has all digits of a float.
SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760)
NODES = 8  # Of Gauss and Legendre, for an integral of smooth functions over at most 1.


@overload
def expected(n: int, concentration: float, discount: float = 0.0) -> float: ...
@overload
def expected(
    n: Integer[np.ndarray, "*shape"], concentration: float, discount: float = 0.0
) -> Float64[np.ndarray, "*shape"]: ...
@door("crp.expected")
def expected(
    n: int | Integer[np.ndarray, "*shape"], concentration: float, discount: float = 0.0
) -> float | Float64[np.ndarray, "*shape"]:
    r"""Return the expected number of tables after n rows.

    .. math:: E_n = 1 + \left(1 + \frac a d\right)
        \left(\frac{\Gamma(a + d + n)\, \Gamma(a + 1)}{\Gamma(a + n)\, \Gamma(a + 1 + d)} - 1
        \right), \quad E_n = 1 + a (\psi(a + n) - \psi(a + 1)) \text{ for } d = 0

    Both are computed from differences of the digamma function :math:`\psi`, in which no digits
    cancel, so that they agree for small d.

    Args:
        n: number of rows, >= 0: an int, or integers of any shape.
        concentration: a > -discount, at most 1e300; 0 is allowed without a discount and opens a
            single table.
        discount: d, 0 <= d < 1; 0 for the Chinese restaurant process.

    Returns:
        the number of tables: a float, or float64 of the same shape; 0 without rows.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> from kanerva.theory import crp
        >>> round(crp.expected(1000, 1.0), 9), round(crp.expected(1000, 1.0, 0.5), 9)
        (7.485470861, 69.391722606)

    Source:
        Pitman (2006), Combinatorial stochastic processes, chapter 3.
    """
    discount = checks.number("discount", discount, 0.0, 1.0)
    if discount == 1:
        refuse("discount", must="below 1", got="1", do="give one from 0 to 0.99")
    concentration = checks.number("concentration", concentration, -discount, LARGEST)
    if discount > 0 and concentration == -discount:
        must, got = f"above -discount, which is {-discount:g}", f"{concentration:g}"
        refuse("concentration", must=must, got=got, do="give a larger one")
    if isinstance(n, np.ndarray):
        if n.dtype.kind not in "iu":
            do = "convert it with n.astype(int)"
            refuse("n", n, must="integers >= 0", do=do, error=InputTypeError)
        # Arrays of no dimension become numbers on the way.
        counts = np.atleast_1d(_inputs.reals("n", n, 0, _inputs.PATTERNS))
        return _tables(counts, concentration, discount).reshape(n.shape)
    count = np.array([float(checks.integer("n", n, 0, _inputs.PATTERNS))])
    return float(_tables(count, concentration, discount)[0])


def _tables(
    n: Float64[np.ndarray, "*shape"], concentration: float, discount: float
) -> Float64[np.ndarray, "*shape"]:
    """Return 1 + (a + d) (e^(d g) - 1) / d, with g the mean growth of the digamma function."""
    from scipy.special import exprel

    more = np.maximum(n - 1, 0)
    if discount < SMALLEST:
        growth = _digamma_growth(concentration + 1, more)
        return np.where(n > 0, 1 + concentration * growth, 0.0)
    growth = _mean_growth(concentration + 1, more, discount)
    tables = 1 + (concentration + discount) * growth * exprel(discount * growth)
    return np.where(n > 0, tables, 0.0)


def _mean_growth(
    start: float, more: Float64[np.ndarray, "*shape"], width: float
) -> Float64[np.ndarray, "*shape"]:
    """Return the mean of psi(z + more) - psi(z) over z from ``start`` to ``start + width``.

    Its integral is a second difference of the logarithm of the gamma function. Close to the pole of
    psi at 0 the first terms of it are integrated in closed form.
    """
    k = np.arange(SHIFT).reshape(-1, *(1,) * more.ndim)
    first, last = start + k, start + more + k
    gone = more / last * (width / (first + width))
    left = first / (first + width) * ((last + width) / last)  # 1 - gone, where that loses digits
    near = -np.where(gone < 0.5, np.log1p(-np.minimum(gone, 0.5)), np.log(left)).sum(axis=0) / width
    places, weights = np.polynomial.legendre.leggauss(NODES)
    above = [start + SHIFT + width * (1 + place) / 2 for place in places]
    far = [w / 2 * _series_growth(z, more) for z, w in zip(above, weights, strict=True)]
    return near + np.sum(far, axis=0)


def _digamma_growth(
    start: float, more: Float64[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """Return psi(start + more) - psi(start), by the recurrence of psi for the first terms."""
    k = np.arange(SHIFT).reshape(-1, *(1,) * more.ndim)
    near = (more / (start + more + k) / (start + k)).sum(axis=0)
    return near + _series_growth(start + SHIFT, more)


def _series_growth(
    start: float, more: Float64[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """Return the same for ``start`` of at least ``SHIFT``, by the asymptotic series of psi."""
    log = np.log1p(more / start)
    growth = log + more / (start + more) / (2 * start)
    for power, coefficient in enumerate(SERIES, 1):
        fall = -np.expm1(-2 * power * log)
        growth = growth + coefficient * fall * math.pow(1 / start, 2 * power)
    return growth
