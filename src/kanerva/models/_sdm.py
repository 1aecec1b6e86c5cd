"""Sparse distributed memory over bits: hard locations, the pattern view, and the nearest attention.

In the pattern view a read is a weighted sum of the stored values, and a pattern is weighted by the
locations that it shares with the query.
"""

from typing import Any

from kanerva import theory
from kanerva._core import checks
from kanerva._core.errors import named
from kanerva.activation import Sign
from kanerva.bits import WORD, Packed
from kanerva.memory import Locations, Patterns
from kanerva.models._sparse import room, warn_sparse
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

    .. math:: C_\tau \mathrel{+}= [h(A_\tau, a) \le r]\, v, \qquad
        y = \mathrm{sign} \sum_\tau [h(A_\tau, q) \le r]\, C_\tau

    A are the addresses of the locations, C their counters, h is the Hamming distance, r the radius,
    a and v are a key and its value.

    Args:
        bits: n >= 1, length of a key.
        locations: M >= 1, number of hard locations.
        radius: r in bits, 0 to ``bits - 1``; None for the radius with the best signal-to-noise
            ratio for this number of ``patterns``.
        patterns: the number of patterns to be stored, >= 1; needed without ``radius``, else unused.
        value_bits: length of a value; None for ``bits``.
        seed: an integer >= 0, of the addresses and of the random bits that settle ties.
        tie: the rule for a tied vote: ``"random"``, ``"keep"``, ``"plus"`` or ``"minus"``.
        **store: passed on to ``Locations``: ``empty``, ``counters``, ``overflow``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range, or the locations do not fit into memory.

    Warns:
        UserWarning: a query activates fewer than one location on average.

    Example:
        >>> import kanerva
        >>> memory = kanerva.sdm(bits=1000, locations=10_000, radius=451)
        >>> letters = kanerva.bits.random(26, 1000, seed=1)
        >>> memory.write(letters[:-1], letters[1:])  # the key of a letter is the one before
        >>> path = kanerva.dynamics.chain(memory.read, letters[0], 25)
        >>> int((path == letters).all(-1).sum())  # all 26, from A alone
        26

    Source: Kanerva 1988; the radius: Kanerva 1993, p = (2 M T)^(-1/3).
    """
    checks.keywords(store, "empty", "counters", "overflow")
    bits = checks.integer("bits", bits, 1, checks.BITS)
    locations = checks.integer("locations", locations, 1, checks.LONGEST)
    if radius is None or patterns is not None:
        do = "give the number of patterns to be stored, or the radius itself"
        patterns = checks.integer("patterns", patterns, 1, do=do)
    if radius is None:
        assert patterns is not None
        radius = theory.radius.optimal(bits, patterns, locations).radius
    do = "give a Hamming distance that leaves some bits out"
    radius = checks.integer("radius", radius, 0, bits - 1, do)
    share, do = theory.circle.activation(bits, radius), "widen the radius or use sdm_patterns"
    warn_sparse("sdm", share, locations, f"at radius {radius}", do)
    with room(locations, (bits, "bits"), 8 * -(-bits // WORD), value_bits, store):
        addresses = Packed.random(locations, bits, seed=seed)
    return Locations(
        addresses,
        value_bits,
        similarity=agreement,
        separation=Step(bits - radius),
        activation=Sign(tie, seed),
        **store,
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
    r"""Build sparse distributed memory in the pattern view.

    .. math:: y = \mathrm{sign} \sum_\mu w_\mu v_\mu, \quad w_\mu \propto I(h(q, a_\mu))

    I(h) is the number of points of the n-cube within the radius of both of two vectors at Hamming
    distance h: the number of locations that query and pattern share.

    Args:
        bits: n >= 1, length of a key.
        radius: r in bits, 0 to ``bits - 1``.
        locations: M; None for a location at every point of the cube. With a finite number the
            count that a query and a key share is drawn from a Poisson distribution, once for each
            pair.
        value_bits: length of a value; None makes the memory auto-associative.
        seed: an integer >= 0, of the shared counts and of the random bits that settle ties.
        tie: the rule for a tied vote, as in ``sdm``.
        **store: passed on to ``Patterns``: ``empty``, ``dtype``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

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
    parts: dict[str, Any] = {"activation": Sign(tie, seed)}
    if locations is None:
        parts |= {"similarity": agreement, "separation": Circle(bits, radius)}
    else:
        parts |= {"similarity": Overlap(bits, radius, locations, seed), "separation": Linear()}
    return Patterns(bits, value_bits, **parts, **store)


@named(value_dim="value_bits")
def sdm_attention(
    bits: int,
    radius: int,
    value_bits: int | None = None,
    method: str = "kl",
    tie: str = "random",
    **store: Any,
) -> Patterns:
    r"""Build the attention that is nearest to a sparse distributed memory of this radius.

    .. math:: y = \mathrm{sign} \sum_\mu w_\mu v_\mu, \quad
        w = \mathrm{softmax}(\beta \cos(q, a_\mu)), \quad
        e^{\beta \cos} \approx I(h) \text{ up to a factor}

    Args:
        bits: n >= 1, length of a key.
        radius: r of the memory to match, in bits.
        value_bits: length of a value; None makes the memory auto-associative.
        method: how beta is fitted, as in ``theory.beta.fit``.
        tie: the rule for a tied vote, as in ``sdm``.
        **store: passed on to ``Patterns``: ``empty``, ``dtype``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import kanerva
        >>> round(kanerva.sdm_attention(bits=64, radius=11).separation.beta, 2)
        15.92

    Source: Bricken and Pehlevan 2021.
    """
    checks.keywords(store, "empty", "dtype", "storage")
    softmax = Softmax(theory.beta.fit(bits, radius, method).beta)
    sign = Sign(tie)
    return Patterns(
        bits, value_bits, similarity=cosine, separation=softmax, activation=sign, **store
    )
