"""Bounds on the capacity of a unit that are proved for every number of inputs."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from kanerva._core.errors import door, refuse
from kanerva.quarks.capacity import _request

__all__ = ["Bounds", "bounds"]

# Beyond these the numbers of dichotomies, integers of many digits, take seconds.
INPUTS, FEATURES = 256, 4096


class Bounds(NamedTuple):
    """Bounds on a capacity, in bits.

    * ``lower``, ``upper``: the capacity is at least and at most so large, for this n.
    * ``leading``: the leading term as n grows; neither a bound nor near the capacity at small n.
    """

    lower: float
    upper: float
    leading: float


@door
def bounds(name: str, inputs: int, degree: int = 1, **options: int | str) -> Bounds:
    r"""Return a lower and an upper bound on the capacity of a unit, and its leading term.

    T(n, d) is the number of threshold functions of n inputs and degree at most d, T(n) that of
    linear ones, and D the number of products of at most d of the inputs, with the empty one.

    **One unit.** N points in D dimensions have at most :math:`2 \sum_{k<D} \binom{N-1}{k}`
    dichotomies (Schläfli: a further hyperplane through the origin cuts at most as many cells as the
    hyperplanes before it make in one dimension less). All 2^n points give

    .. math:: T(n, d) \le 2 \sum_{k=0}^{D-1} \binom{2^n - 1}{k}

    From below, let z be a further input. For each f, the sign of p(x), take p at z = -1. At z = 1
    the sum of p and a constant takes 2^n + 1 different signs, since the values of a generic p at
    the 2^n points differ. The sum of p and a large multiple of a polynomial of degree d - 1 takes
    its sign, and z times that has degree d. So

    .. math:: T(n+1, d) \ge T(n, d)\, \max(2^n + 1,\; T(n, d - 1))

    This begins at T(d, d) = 2^(2^d) and T(d + 1, d) = 2^(2^(d+1)) - 2, where only parity and its
    complement are missing.

    **Gated units: upper bounds.** A pair of units (f, g) gives one function, so there are at most
    T(T + 1) / 2 for ``and``, since the order does not matter, and (T / 2)(T / 2 + 1) for
    ``product``, where -f and -g do the same as f and g. With a gate of -1 and 1 on synapses, -g
    does what g does with another attended unit: T^2 / 2, and n times as many for any synapse. With
    a gate of 0 and 1 on all synapses, and for ``masked``, T^2. For ``multiplex`` and one g the
    points (x, g(x)) lie in D + 1 dimensions. For ``shared`` T^3, half of it with a gate of -1 and
    1. A ``layer`` of k units has at most (T / 2)^k T(k), since the output unit takes either sign of
    each. No unit of binary outputs computes more than 2^(2^n) functions.

    **Gated units: lower bounds.** An input z chooses between two units of n - 1 inputs. Let M
    exceed the absolute activations of f_1 and f_2. A unit with M(1 + z) added to its activation is
    forced on at z = 1, and with -M(1 + z) off; with 1 - z at z = -1.

    * ``and``, ``product``, ``masked``: f_1 forced on at z = 1, f_2 at z = -1. The outputs are f_1
      at z = -1 and f_2 at z = 1: T(n - 1)^2. (For ``masked`` the outputs are 0 where f_1 is off.)
    * ``multiplex``: g is f_1, forced off at z = 1; the sign of A_2(x) + M g + M (1 + z) / 2 is that
      of g at z = -1 and that of A_2 at z = 1: T(n - 1)^2.
    * ``synapse``: g is f_1 at z = 1 and on at z = -1, and gates the input z: the sign of
      A_2(x) + M g z + M (1 - z) / 2 is f_1 at z = 1 and f_2 at z = -1: T(n - 1)^2.
    * ``synapses``, a gate of -1 and 1: without a bias, g w.x + g v z, with g = f_1 at z = 1 and on
      at z = -1. At z = -1 this is f_2 = sign(w.x - v), any function; at z = 1 it is
      f_1(x) times sign(w.x + v), which is -f_2(-x), so that f_1 follows: T(n - 1)^2.
    * ``synapses``, a gate of 0 and 1: two inputs z and y choose. The gate is f_1 at z = -1 and on
      at z = 1. The attended unit is on at z = y = -1, f_2 at z = 1, y = -1, and off at y = 1, by
      the terms a + b z + (a + b) y with large negative a and b; its bias is negative, so that it is
      off where the gate is: T(n - 2)^2.
    * ``shared``: the gate g is f_3 at z = 1 and on at z = -1, where both outputs are free; at z = 1
      both are on: T(n - 1)^3. With g on everywhere: T(n)^2.
    * ``layer``: of k hidden units the inputs z of the least s with 2^s >= k choose one, the others
      are forced off, and the output unit is OR: T(n - s)^k.

    Every unit also computes what one unit does, T(n, d).

    Args:
        name: the unit, as for ``count``.
        inputs: number n of inputs, 1 to 256.
        degree: as for ``functions``; there may be at most 4096 products of at most so many inputs.
        **options: as for ``functions``.

    Returns:
        the bounds in bits, and the leading term as n grows for fixed d: n^(d+1) / d! for one unit,
        and as many times that as there are units with weights of their own. The leading term of
        one unit is quoted from the literature; that of gated units follows from it by the bounds.

    Raises:
        InputError: an unknown name or option, or a number out of range.

    Example:
        >>> import math
        >>> from kanerva.quarks.capacity import bounds, count
        >>> low, high, leading = bounds("and", 5)
        >>> low < math.log2(count("and", 5)) < high, leading
        (True, 50.0)

    Source:
        Baldi and Vershynin (2022), The quarks of attention, for gated units; Zuev (1989) and Kahn,
        Komlós and Szemerédi (1995) for the leading term n² of a linear unit; Baldi and Vershynin
        (2019), Polynomial threshold functions, hyperplane arrangements, and random tensors, for
        that of degree at most d.
    """
    request = _request.checked(name, inputs, degree, options)
    n, d = request.inputs, request.degree
    if n > INPUTS:
        do = "use its leading term, which is n^(d+1) / d! for each unit"
        _request.beyond(request, INPUTS, do)
    size = _features(n, d)
    if size > FEATURES and d < n - 1:
        must, got = (
            f"such that there are at most {FEATURES} products of inputs",
            f"{d}, with {size}",
        )
        refuse("degree", must=must, got=got, do="give a smaller degree")
    units = {"threshold": 1, "shared": 3, "layer": request.options.get("hidden", 2)}.get(name, 2)
    leading = int(units) * n ** (d + 1) / math.factorial(d)
    lower = max(_one_below(n, d) * (2 if name == "shared" else 1), _below(request))
    return Bounds(lower, min(_limit(request), UPPER[name](request)), leading)


def _features(n: int, d: int) -> int:
    return sum(math.comb(n, k) for k in range(d + 1))


def _limit(request: _request.Request) -> float:
    """Return the logarithm of the number of all functions with such outputs."""
    each = {"masked": math.log2(3), "shared": 2.0}.get(request.name, 1.0)
    return each * 2.0**request.inputs


@lru_cache(maxsize=256)
def _dichotomies(n: int, dimensions: int) -> float:
    """Return the logarithm of the largest number of dichotomies of 2^n points; at most 2^n."""
    points = 2**n
    if dimensions >= points:
        return float(points)
    term = total = 1
    for k in range(1, dimensions):
        term = term * (points - k) // k
        total += term
    return min(1 + math.log2(total), float(points))


def _one_above(n: int, d: int) -> float:
    """Return the upper bound of one unit; exact for a degree of n - 1 and more."""
    if d == n - 1:
        return _one_below(n, d)
    return 2.0**n if d >= n else _dichotomies(n, _features(n, d))


@lru_cache(maxsize=4096)
def _one_below(n: int, d: int) -> float:
    """Return the lower bound of one unit; exact for a degree of n - 1 and more."""
    if d >= n:
        return 2.0**n
    if d == 0:
        return 1.0
    if d == n - 1:
        return 2.0**n + (math.log2(1 - 2.0 ** (1 - 2**n)) if n < 6 else 0.0)
    more = _one_below(n - 1, d - 1)
    return _one_below(n - 1, d) + max(math.log2(2.0 ** (n - 1) + 1), more)


def _below(request: _request.Request) -> float:
    """Return the lower bound by inputs that choose between units; 0 for a single unit."""
    name, n, d = request.name, request.inputs, request.degree
    if name == "threshold":
        return 0.0
    if name == "layer":
        return _layer_below(n, d, request.options["hidden"])
    if name in ("and", "product") and d >= max(2, n - 1):
        return 2.0**n
    if name == "masked" and d == n:
        return _limit(request)
    spent = 2 if request.options.get("gate") == "step" and name == "synapses" else 1
    units = 3 if name == "shared" else 2
    return units * _one_below(n - spent, d) if n >= spent else 0.0


def _layer_below(n: int, d: int, hidden: int) -> float:
    """Return the largest bound by at most so many hidden units, of which inputs choose one."""
    found = 0.0
    # With fewer hidden units, fewer inputs choose.
    for spent in range(min(n, (hidden - 1).bit_length()) + 1):
        found = max(found, min(hidden, 2**spent) * _one_below(n - spent, d))
    return found


def _layer_above(request: _request.Request) -> float:
    hidden = request.options["hidden"]
    if hidden == 1:
        return _one_above(request.inputs, request.degree)
    if hidden > INPUTS:
        return _limit(request)
    return hidden * (_one_above(request.inputs, request.degree) - 1) + _one_above(hidden, 1)


def _and_above(request: _request.Request) -> float:
    bits = _one_above(request.inputs, request.degree)
    return 2 * bits - 1 + math.log2(1 + 2.0**-bits)


def _product_above(request: _request.Request) -> float:
    bits = _one_above(request.inputs, request.degree)
    return 2 * bits - 2 + math.log2(1 + 2.0 ** (1 - bits))


def _multiplex_above(request: _request.Request) -> float:
    n, d = request.inputs, request.degree
    return _one_above(n, d) + _dichotomies(n, _features(n, d) + 1)


def _synapse_above(request: _request.Request) -> float:
    n = request.inputs
    more = math.log2(n) if request.options["which"] == "any" else 0.0
    return 2 * _one_above(n, 1) - 1 + more


def _gated_above(request: _request.Request) -> float:
    """Return the bound by all choices of units, half as many with a gate of -1 and 1."""
    units = 3 if request.name == "shared" else 2
    half = 1 if request.options.get("gate") == "sign" else 0
    return units * _one_above(request.inputs, request.degree) - half


UPPER: Mapping[str, Callable[[_request.Request], float]] = {
    "threshold": lambda request: _one_above(request.inputs, request.degree),
    "and": _and_above,
    "product": _product_above,
    "multiplex": _multiplex_above,
    "synapse": _synapse_above,
    "synapses": _gated_above,
    "masked": _gated_above,
    "shared": _gated_above,
    "layer": _layer_above,
}
