"""The functions of a unit, listed or counted, by the name of the unit."""

from collections.abc import Callable, Mapping
from typing import Any

from kanerva._core.errors import door, refuse
from kanerva.quarks.capacity import _counts, _functions, _gates, _request, _thresholds

__all__ = ["count", "functions"]

# The largest number of inputs: of a list, and of a count without a list.
LISTED, COUNTED = 4, 5
# Numbers of 2^n bits are returned up to this n.
WRITTEN = 16
NOT_LISTED = ("masked", "shared")
COUNTS: Mapping[str, Callable[[_request.Request], int]] = {
    "and": lambda request: _counts.pairs(request.inputs),
    "product": lambda request: _counts.product(request.inputs),
    "multiplex": lambda request: _counts.multiplex(request.inputs),
    "synapse": lambda request: _counts.synapse(request.inputs, request.options["which"]),
    "synapses": lambda request: _counts.synapses(request.inputs, request.options["gate"]),
    "masked": lambda request: _counts.masked(request.inputs, request.degree),
    "layer": lambda request: _counts.and_or(request.inputs),
}


@door
def functions(
    name: str, inputs: int, degree: int = 1, **options: int | str
) -> _functions.Functions:
    r"""Return the Boolean functions of n inputs in {-1, 1} that a unit computes.

    f, g and h are threshold functions with a bias: the signs of all polynomials p of x of at most
    the given degree that are 0 at no point. Without a degree they are the linear ones.

    .. math::
        \text{threshold: } f \qquad
        \text{and: } f \wedge g \qquad
        \text{product: } f g \qquad
        \text{multiplex: } \operatorname{sign}(p(x) + v\, g(x))

        \text{synapse: } h(x_0, \ldots, g(x)\, x_i, \ldots) \qquad
        \text{synapses: } \operatorname{sign}(b + g(x)\, w \cdot x)

    =============  ==========================================================================
    name           unit
    =============  ==========================================================================
    ``threshold``  one unit without a gate
    ``and``        output gating of units of 0 and 1
    ``product``    output gating of units of -1 and 1; the same as synaptic gating of all
                   synapses, including the bias, by a gate of -1 and 1
    ``multiplex``  additive activation attention: the output of one unit is an input of the other
    ``synapse``    synaptic gating of one synapse by a gate of -1 and 1: of input ``which``, from 0
                   on, or of ``"any"`` one, whose functions are united
    ``synapses``   synaptic gating of all synapses and not of the bias; ``gate="sign"`` for a gate
                   of -1 and 1, ``"step"`` for one of 0 and 1
    ``layer``      no gate: ``hidden`` units (2 unless given), then one unit of degree 1
    =============  ==========================================================================

    Args:
        name: the unit.
        inputs: number n of inputs: 1 to 4, for ``threshold`` of degree 1 also 5.
        degree: of the polynomials, >= 1; 1 for ``synapse`` and ``synapses``. A degree above n is
            taken as n, with a ``UserWarning``.
        **options: ``which``, ``gate`` or ``hidden``, for the units that have them.

    Returns:
        the functions, as truth tables.

    Raises:
        InputError: an unknown name or option, or a number out of range. ``masked`` and ``shared``,
            whose functions have other outputs than two values, can be counted alone.

    Example:
        >>> from kanerva.quarks.capacity import functions
        >>> [len(functions("threshold", n)) for n in (1, 2, 3, 4)]
        [4, 14, 104, 1882]
        >>> [len(functions(name, 4)) for name in ("and", "product", "multiplex")]
        [32506, 54310, 52166]
        >>> functions("synapses", 2, gate="step") == functions("threshold", 2)  # it adds nothing
        True

    Source:
        Baldi and Vershynin (2022), The quarks of attention, for the units. The tables are made by
        enumeration. Linear threshold functions come from integer weights, whose size is bounded by
        Hadamard's inequality.
    """
    request = _request.checked(name, inputs, degree, options)
    if name in NOT_LISTED:
        must, do = "a unit whose outputs have two values", f"use count({name!r}, inputs)"
        refuse("name", name, must=must, do=do)
    linear = name == "threshold" and request.degree == 1
    most = LISTED + 1 if linear else LISTED
    if request.inputs > most:
        further = _most_counted(request)
        start = f"use count (up to {further} inputs) or " if further > most else "use "
        _request.beyond(request, most, start + _otherwise(name))
    return _functions.Functions(request.inputs, _listed(request))


def _listed(request: _request.Request) -> Any:
    """Return the tables of a class."""
    more = request.options.values()
    if request.name in _request.LINEAR:
        return _gates.LISTS[request.name](request.inputs, *more)
    return _gates.LISTS[request.name](request.inputs, request.degree, *more)


@door
def count(name: str, inputs: int, degree: int = 1, **options: int | str) -> int:
    """Return the number of functions that a unit computes, also where they are not listed.

    Besides the units of ``functions`` there are two of which only the number is known here:

    * ``masked``: a unit of -1 and 1, gated by one of 0 and 1, so that the outputs are -1, 0 and 1;
    * ``shared``: two units gated by the same one; pairs of outputs are counted. ``gate="sign"`` for
      a gate of -1 and 1, ``"step"`` for 0 and 1.

    Args:
        name: the unit.
        inputs: number n of inputs: up to 5, for ``shared`` and a ``layer`` of more than two hidden
            units up to 4, for ``threshold`` up to 7, where n = 7 takes about 500 times as
            long as n = 6. With more than degree 1 up to 4, for ``shared`` up to 3. Where the degree
            is n or, for ``threshold``, ``and`` and ``product``, n - 1, up to 16.
        degree: as for ``functions``.
        **options: as for ``functions``.

    Returns:
        the exact number. For n = 5 the functions are counted by orbits under signed permutations
        of the inputs: one gate of each orbit is combined with all attended units, and the sizes of
        the orbits of the results are added.

    Raises:
        InputError: an unknown name or option, or a number out of range.

    Example:
        >>> from kanerva.quarks.capacity import count
        >>> count("threshold", 6), count("and", 5)
        (15028134, 44642388)
        >>> count("masked", 3), count("shared", 3), count("shared", 3, gate="step")
        (2373, 63724, 35846)

    Source:
        enumeration. The numbers for ``threshold`` are those of A000609 in the On-Line Encyclopedia
        of Integer Sequences; for gated units of five inputs no publication is known.
    """
    request = _request.checked(name, inputs, degree, options)
    if request.options.get("hidden") == 1:
        # The output unit passes the hidden one on, or its complement, which is a unit, too.
        request = _request.Request("threshold", request.inputs, request.degree)
    name, n, d = request.name, request.inputs, request.degree
    short = _formula(request)
    if short is not None:
        return short
    most = _most_counted(request)
    if n > most:
        _request.beyond(request, most, f"use {_otherwise(name)}")
    if name == "threshold" and d == 1:
        return _thresholds.count(n)
    if name == "shared":
        return _counts.shared(n, d, request.options["gate"])
    if name == "masked" or n > LISTED:
        return COUNTS[name](request)
    return len(_listed(request))


def _otherwise(name: str) -> str:
    """Return what there is besides a count."""
    return "estimate, or bounds" if name == "threshold" else "bounds"


def _most_counted(request: _request.Request) -> int:
    """Return the largest number of inputs with which a class can be counted."""
    if request.degree > 1:
        return 3 if request.name == "shared" else LISTED
    if request.name == "threshold":
        return _thresholds.MOST
    if request.name == "shared":
        return LISTED
    return LISTED if request.options.get("hidden", 2) > 2 else COUNTED


def _formula(request: _request.Request) -> int | None:
    """Return the number where a theorem gives it.

    A polynomial of degree n computes all functions of n inputs. One of degree n - 1 is any function
    p with the sum 0 of p(x) times parity(x). It is the sign of f, p = m f with some m > 0, unless f
    times parity has one sign everywhere, so unless f is parity or its complement. Two such units
    make both: parity is x_0 times the product of the others, and it is the AND of two functions
    with one more point each.
    """
    n, d, name = request.inputs, request.degree, request.name
    if n > WRITTEN or d < max(2, n - 1):
        return None
    everything = 2 ** (2**n)
    if d == n:
        powers = {"masked": 3 ** (2**n), "shared": everything**2}
        return powers.get(name, everything)
    return {"threshold": everything - 2, "and": everything, "product": everything}.get(name)
