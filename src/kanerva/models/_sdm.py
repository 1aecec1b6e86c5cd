"""Sparse distributed memory over bits: hard locations, the view from the patterns, and the attention nearest to it."""

import math
import warnings
from typing import Any

from kanerva import theory
from kanerva._core import checks
from kanerva._core.errors import named
from kanerva.activation import Sign
from kanerva.bits import Packed
from kanerva.memory import Locations, Patterns
from kanerva.separation import Circle, Linear, Softmax, Step
from kanerva.similarity import Overlap, agreement, cosine

__all__ = ["sdm", "sdm_attention", "sdm_patterns"]


@named(count="locations", value_dim="value_bits")
def sdm(
    bits: int,
    locations: int,
    radius: int | None = None,
    patterns: int | None = None,
    value_bits: int | None = None,
    seed: int = 0,
    tie: str = "random",
    **store: Any,
) -> Locations:
    r"""Build Kanerva's sparse distributed memory: random hard locations with counters.

    .. math:: C_\tau \mathrel{+}= [h(A_\tau, a) \le r]\, v, \qquad y = \mathrm{sign} \sum_\tau [h(A_\tau, q) \le r]\, C_\tau

    A are the addresses of the locations, h the Hamming distance, r the radius, a and v a key and its value.

    Args:
        bits: n >= 1, length of a key.
        locations: M >= 1, number of hard locations.
        radius: r in bits, 0 to ``bits - 1``; None for the one with the best signal to noise for so many ``patterns``.
        patterns: how many are to be stored; needed without ``radius`` and not used with it.
        value_bits: length of a value; None for ``bits``.
        seed: an integer >= 0: of the addresses, and of the coins for ties.
        tie: how an even vote is settled: ``"random"``, ``"keep"``, ``"plus"`` or ``"minus"``.
        **store: passed on to ``Locations``: ``empty``, ``counters``, ``overflow``.

    Returns:
        an empty memory.

    Warns:
        UserWarning: fewer than one location would be active; says how many it takes.

    Example:
        >>> import kanerva
        >>> memory = kanerva.sdm(bits=1000, locations=10_000, radius=451)
        >>> letters = kanerva.bits.random(26, 1000, seed=1)
        >>> memory.write(letters[:-1], letters[1:])  # each letter under the one before
        >>> path = kanerva.dynamics.chain(memory.read, letters[0], 25)
        >>> int((path == letters).all(-1).sum())  # from A alone: all 26
        26

    Source: Kanerva 1988; the radius: Kanerva 1993, p = (2 M T)^(-1/3).
    """
    checks.keywords(store, "empty", "counters", "overflow")
    bits = checks.integer("bits", bits, 1, checks.BITS)
    locations = checks.integer("locations", locations, 1, checks.LONGEST)
    if radius is None:
        do = "or give the radius itself"
        count = checks.integer(
            "patterns", patterns, 1, do=f"say how many patterns will be stored, {do}"
        )
        radius = theory.radius.optimal(bits, count, locations).radius
    radius = checks.integer(
        "radius", radius, 0, bits - 1, "give a Hamming distance that leaves some bits out"
    )
    share = theory.circle.activation(bits, radius)
    if share * locations < 1:
        needed = math.ceil(1 / share) if share > 1e-300 else math.inf
        warnings.warn(
            f"sdm: {share * locations:.3g} of {locations} locations would be active at radius {radius}: "
            f"it takes {needed:.4g} locations to have one on average; widen the radius or use sdm_patterns.",
            stacklevel=3,
        )
    activation = Sign(tie, seed)
    addresses = Packed.random(locations, bits, seed=seed)
    return Locations(
        addresses, value_bits, separation=Step(bits - radius), activation=activation, **store
    )


@named(value_dim="value_bits")
def sdm_patterns(
    bits: int,
    radius: int,
    locations: float | None = None,
    value_bits: int | None = None,
    seed: int = 0,
    tie: str = "random",
    **store: Any,
) -> Patterns:
    r"""Build sparse distributed memory as seen from its patterns: each counts by the locations it shares with the query.

    .. math:: y = \mathrm{sign} \sum_\mu w_\mu v_\mu, \quad w_\mu \propto I(h(q, a_\mu))

    I(h) is the number of points of the cube within r of both of two vectors at distance h.

    Args:
        bits: n >= 1, length of a key.
        radius: r in bits, 0 to ``bits - 1``.
        locations: M; None for every point of the cube. A finite number draws each overlap from a Poisson distribution, once
            for each query and key.
        value_bits: length of a value; None makes the memory auto-associative.
        seed: an integer >= 0, of the overlaps and of the coins for ties.
        tie: how an even vote is settled.
        **store: passed on to ``Patterns``: ``empty``, ``dtype``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import kanerva
        >>> memory = kanerva.sdm_patterns(bits=64, radius=11)
        >>> patterns = kanerva.bits.random(1000, 64, seed=0)
        >>> ids = memory.write(patterns)
        >>> cues = kanerva.bits.flip(patterns, 6, seed=1)
        >>> round((memory.recall(cues) == patterns).all(-1).float().mean().item(), 2)
        1.0

    Source: Kanerva 1988, appendix B; Bricken and Pehlevan 2021.
    """
    checks.keywords(store, "empty", "dtype", "storage")
    bits = checks.integer("bits", bits, 1, checks.BITS)
    radius = checks.integer(
        "radius", radius, 0, bits - 1, "give a Hamming distance that leaves some bits out"
    )
    activation = Sign(tie, seed)
    if locations is None:
        return Patterns(
            bits,
            value_bits,
            similarity=agreement,
            separation=Circle(bits, radius),
            activation=activation,
            **store,
        )
    overlap = Overlap(bits, radius, checks.number("locations", locations, 1), seed)
    return Patterns(
        bits, value_bits, similarity=overlap, separation=Linear(), activation=activation, **store
    )


@named(value_dim="value_bits")
def sdm_attention(
    bits: int,
    radius: int,
    value_bits: int | None = None,
    method: str = "kl",
    tie: str = "random",
    **store: Any,
) -> Patterns:
    r"""Build the attention that comes nearest to a sparse distributed memory of this radius.

    .. math:: y = \mathrm{sign} \sum_\mu w_\mu v_\mu, \quad w = \mathrm{softmax}(\beta \cos(q, a_\mu)), \quad
        e^{\beta \cos} \approx I(h) \text{ up to a factor}

    Args:
        bits: n >= 1, length of a key.
        radius: r of the memory to match, in bits.
        value_bits: length of a value; None makes the memory auto-associative.
        method: how beta is fitted, as in ``theory.beta.fit``.
        tie: how an even vote is settled.
        **store: passed on to ``Patterns``: ``empty``, ``dtype``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import kanerva
        >>> round(kanerva.sdm_attention(bits=64, radius=11).separation.beta, 2)
        15.92

    Source: Bricken and Pehlevan 2021.
    """
    checks.keywords(store, "empty", "dtype", "storage")
    fitted = theory.beta.fit(bits, radius, method)
    return Patterns(
        bits,
        value_bits,
        similarity=cosine,
        separation=Softmax(fitted.beta),
        activation=Sign(tie),
        **store,
    )
