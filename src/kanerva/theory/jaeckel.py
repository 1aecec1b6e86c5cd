"""The pattern weights of Jaeckel's two designs of locations, which compare few coordinates each.

In Kanerva's memory a location is active if it is near the query in all bits. In Jaeckel's
selected-coordinate design each location has q coordinates drawn at random with a random value for
each; it is active where the query has all of these values. In his hyperplane design addresses have
a fixed, small number of ones, and a location is active where the query is one on all q of its
coordinates. In both q is small: with ten of a thousand bits about a thousandth of the locations is
active.

The first design weights patterns by a polynomial of the cosine, ((1 + cos) / 2)^q, to leading order
in q / n. Near cos = 1 that is a softmax of inverse temperature q / 2.
"""

import math
from typing import overload

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.theory import _inputs, _logs

__all__ = [
    "hyperplane_activation",
    "hyperplane_log_fraction",
    "selected_activation",
    "selected_beta",
    "selected_kernel",
    "selected_log_fraction",
]


@door("jaeckel.selected_activation")
def selected_activation(coordinates: int) -> float:
    """Return 2^-q, the share of locations that a query activates in the selected-coordinate design.

    Args:
        coordinates: how many coordinates q a location compares, 1 to 1000.

    Returns:
        a share of the locations, exactly.

    Raises:
        InputError: the number lies outside 1 to 1000.

    Example:
        >>> from kanerva.theory import jaeckel
        >>> round(1_000_000 * jaeckel.selected_activation(10))
        977

    Source:
        Jaeckel (1989), An alternative design for a sparse distributed memory.
    """
    return 2.0 ** -checks.integer("coordinates", coordinates, 1, 1000)


@door("jaeckel.selected_log_fraction")
def selected_log_fraction(bits: int, coordinates: int) -> Float64[np.ndarray, "distances"]:
    """Return ln(2^-q C(n - d, q) / C(n, q)), the share of locations that two queries both activate.

    It is the counterpart of ``circle.log_fraction`` in the selected-coordinate design, with a value
    for every distance d of the two queries.

    Args:
        bits: dimension n, >= 1.
        coordinates: how many coordinates q a location compares, 1 to ``bits``.

    Returns:
        ``(bits + 1,)`` natural logarithms, float64; ``-inf`` where d > n - q.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from kanerva.theory import jaeckel
        >>> logs = jaeckel.selected_log_fraction(1000, 10)
        >>> np.exp(logs - logs[0])[[0, 10, 50, 100]].round(6)
        array([1.      , 0.903968, 0.597311, 0.346928])

    Source:
        Jaeckel (1989), An alternative design for a sparse distributed memory.
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    coordinates = checks.integer("coordinates", coordinates, 1, bits)
    logs = _log_choose(bits, bits - np.arange(bits + 1), coordinates)
    return logs - logs[0] - coordinates * math.log(2)


@overload
def selected_kernel(coordinates: int, cosine: float) -> float: ...
@overload
def selected_kernel(coordinates: int, cosine: np.ndarray) -> Float64[np.ndarray, "*shape"]: ...
@door("jaeckel.selected_kernel")
def selected_kernel(coordinates: int, cosine: float | np.ndarray) -> float | np.ndarray:
    """Return ((1 + cos) / 2)^q, the weight of a pattern in the selected-coordinate design.

    It is the limit of C(n - d, q) / C(n, q), (1 - d / n)^q, for q far below n: the kernel of a
    dense associative memory.

    Args:
        coordinates: how many coordinates q a location compares, >= 1.
        cosine: -1 to 1, a number or an array of any shape.

    Returns:
        weights from 0 to 1, of the shape of ``cosine``.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import jaeckel
        >>> round(jaeckel.selected_kernel(10, 0.8), 6)
        0.348678

    Source:
        Jaeckel (1989), An alternative design for a sparse distributed memory; the form as a kernel
        is elementary.
    """
    coordinates = checks.integer("coordinates", coordinates, 1, checks.BITS)
    near = _inputs.reals("cosine", cosine, -1, 1)
    weight = ((1 + near) / 2) ** coordinates
    return np.asarray(weight) if isinstance(cosine, np.ndarray) else weight


@door("jaeckel.selected_beta")
def selected_beta(coordinates: int) -> float:
    """Return q / 2, the inverse temperature of the softmax tangent to the kernel at cosine 1.

    Args:
        coordinates: how many coordinates q a location compares, >= 1.

    Returns:
        beta per unit of cosine, as in ``theory.beta``.

    Raises:
        InputError: the number is below 1.

    Example:
        >>> from kanerva.theory import jaeckel
        >>> jaeckel.selected_beta(10)
        5.0

    Source:
        the slope of q ln((1 + cos) / 2) at cosine 1.
    """
    return checks.integer("coordinates", coordinates, 1, checks.BITS) / 2


@door("jaeckel.hyperplane_activation")
def hyperplane_activation(bits: int, ones: int, coordinates: int) -> float:
    """Return C(N, q) / C(n, q), the share of locations that a query activates.

    It is that of the hyperplane design.

    Args:
        bits: dimension n, >= 1.
        ones: how many bits N of every address are one, 1 to ``bits``.
        coordinates: how many coordinates q a location compares, 1 to ``ones``.

    Returns:
        a share of the locations; 0 where it is below 1e-323.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import jaeckel
        >>> round(1_000_000 * jaeckel.hyperplane_activation(1000, 100, 3))
        973

    Source:
        Jaeckel (1989), A class of designs for a sparse distributed memory.
    """
    return math.exp(_hyperplane(bits, ones, coordinates)[-1])


@door("jaeckel.hyperplane_log_fraction")
def hyperplane_log_fraction(
    bits: int, ones: int, coordinates: int
) -> Float64[np.ndarray, "shared"]:
    """Return ln(C(L, q) / C(n, q)), the share of locations that two addresses both activate.

    It is that of the hyperplane design. There is a value for every number L of ones that the two
    addresses have in common. With N ones each, they are 2 (N - L) bits apart.

    Args:
        bits: dimension n, >= 1.
        ones: how many bits N of every address are one, 1 to ``bits``.
        coordinates: how many coordinates q a location compares, 1 to ``ones``.

    Returns:
        ``(ones + 1,)`` natural logarithms, float64; entry ``L`` is for ``L`` shared ones, ``-inf``
        where L < q.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from kanerva.theory import jaeckel
        >>> (1e6 * np.exp(jaeckel.hyperplane_log_fraction(1000, 100, 3)[[50, 90, 100]])).round(1)
        array([118. , 707. , 973.1])

    Source:
        Jaeckel (1989), A class of designs for a sparse distributed memory.
    """
    return _hyperplane(bits, ones, coordinates)


def _hyperplane(bits: int, ones: int, coordinates: int) -> Float64[np.ndarray, "shared"]:
    bits = checks.integer("bits", bits, 1, checks.BITS)
    ones = checks.integer("ones", ones, 1, bits)
    coordinates = checks.integer("coordinates", coordinates, 1, ones)
    logs = _log_choose(bits, np.append(np.arange(ones + 1), bits), coordinates)
    return logs[:-1] - logs[-1]


def _log_choose(bits: int, n: np.ndarray, k: int) -> np.ndarray:
    """Return ln C(n, k) for n <= ``bits``; ``-inf`` where k > n."""
    enough = np.maximum(n, k)
    logs = _logs.binomial(bits, enough, np.full_like(n, k)) + enough * math.log(2)
    return np.where(n >= k, logs, -np.inf)
