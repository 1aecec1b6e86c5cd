"""Jaeckel's two designs of sparse distributed memory, whose locations compare a few bits of a key.

An address is 0 except in q places. A location is active where the key agrees with its address in
all of these places.
"""

from typing import Any

import torch
from torch import Tensor

from kanerva import theory
from kanerva._core import arrays, checks
from kanerva._core.errors import named
from kanerva.activation import Sign
from kanerva.memory import Locations
from kanerva.models._sparse import room, warn_sparse
from kanerva.separation import Step
from kanerva.similarity import dot

__all__ = ["sdm_hyperplane", "sdm_selected"]


@named(value_dim="value_bits")
def sdm_selected(
    bits: int,
    locations: int,
    coordinates: int,
    value_bits: int | None = None,
    seed: int = 0,
    tie: str = "random",
    **store: Any,
) -> Locations:
    r"""Build Jaeckel's selected-coordinate design, whose addresses have q random bits.

    .. math:: C_\tau \mathrel{+}= [A_\tau \cdot a \ge q]\, v, \qquad
        y = \mathrm{sign} \sum_\tau [A_\tau \cdot x \ge q]\, C_\tau

    The address A is -1 or +1 in q places and 0 elsewhere; x is the query. A share of 2^-q of the
    locations is active, and two queries d bits apart share (1 - d / n)^q of them, a polynomial of
    their cosine.

    Args:
        bits: n >= 1, length of a key.
        locations: M >= 1, number of hard locations; an address takes one byte for each bit, and a
            read compares all of them.
        coordinates: q, the number of bits that a location compares, 1 to ``bits`` and at most 1000.
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
        >>> memory = kanerva.sdm_selected(bits=256, locations=10_000, coordinates=7)
        >>> patterns = kanerva.bits.random(100, 256, seed=0)
        >>> memory.write(patterns)
        >>> cues = kanerva.bits.flip(patterns, 26, seed=1)
        >>> int((memory.recall(cues) != patterns).any(-1).sum())  # patterns not recalled
        0

    Source: Jaeckel 1989, "An alternative design for a sparse distributed memory".
    """
    checks.keywords(store, "empty", "counters", "overflow")
    bits, locations, coordinates = _sizes(bits, locations, coordinates, 1000)
    share, at = theory.jaeckel.selected_activation(coordinates), f"with {coordinates} coordinates"
    warn_sparse("sdm_selected", share, locations, at, "compare fewer coordinates")
    source = arrays.generator(seed)
    with room(locations, (bits, "bits"), _needed(bits, coordinates), value_bits, store):
        shape = (locations, coordinates)
        wanted = torch.randint(2, shape, generator=source, dtype=torch.int8) * 2 - 1
        addresses = _addresses(bits, wanted, source)
    return Locations(
        addresses,
        value_bits,
        similarity=dot,
        separation=Step(coordinates),
        activation=Sign(tie, seed),
        **store,
    )


@named(value_dim="value_bits")
def sdm_hyperplane(
    bits: int,
    locations: int,
    coordinates: int,
    ones: int,
    value_bits: int | None = None,
    seed: int = 0,
    tie: str = "random",
    **store: Any,
) -> Locations:
    r"""Build Jaeckel's hyperplane design, for keys with few +1: its addresses have q bits of +1.

    .. math:: C_\tau \mathrel{+}= [A_\tau \cdot a \ge q]\, v, \qquad
        y = \mathrm{sign} \sum_\tau [A_\tau \cdot x \ge q]\, C_\tau

    The address A is +1 in q places and 0 elsewhere; x is the query. A key with N ones activates
    C(N, q) / C(n, q) of the locations, and two keys with L common ones share C(L, q) / C(n, q).
    This design is the nearest to the cerebellum, whose granule cells have four or five inputs.

    Args:
        bits: n >= 1, length of a key.
        locations: M >= 1, number of hard locations; an address takes one byte for each bit.
        coordinates: q, the number of bits that a location compares, 1 to ``ones``.
        ones: N, the number of +1 in a key, 1 to ``bits``; keys with another number activate more or
            fewer locations.
        value_bits: length of a value; None for ``bits``. Values with as many +1 as -1 are read with
            the fewest errors; where all values have few +1, these are outvoted.
        seed: an integer >= 0, of the addresses and of the random bits that settle ties.
        tie: the rule for a tied vote, as in ``sdm_selected``.
        **store: passed on to ``Locations``: ``empty``, ``counters``, ``overflow``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range, or the locations do not fit into memory.

    Warns:
        UserWarning: a query activates fewer than one location on average.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.sdm_hyperplane(1000, 20_000, coordinates=3, ones=100, value_bits=64)
        >>> keys = -torch.ones(19, 1000)
        >>> for place, key in enumerate(keys):  # neighbours have half of their ones in common
        ...     key[50 * place : 50 * place + 100] = 1
        >>> values = kanerva.bits.random(19, 64, seed=0)
        >>> memory.write(keys, values)
        >>> (memory.read(keys) == values).float().mean().item()
        1.0

    Source: Jaeckel 1989, "A class of designs for a sparse distributed memory".
    """
    checks.keywords(store, "empty", "counters", "overflow")
    ones = checks.integer("ones", ones, 1, checks.integer("bits", bits, 1, checks.BITS))
    bits, locations, coordinates = _sizes(bits, locations, coordinates, ones)
    share = theory.jaeckel.hyperplane_activation(bits, ones, coordinates)
    at, do = f"with {coordinates} coordinates", "compare fewer coordinates, or give keys more ones"
    warn_sparse("sdm_hyperplane", share, locations, at, do)
    source = arrays.generator(seed)
    with room(locations, (bits, "bits"), _needed(bits, coordinates), value_bits, store):
        wanted = torch.ones(locations, coordinates, dtype=torch.int8)
        addresses = _addresses(bits, wanted, source)
    return Locations(
        addresses,
        value_bits,
        similarity=dot,
        separation=Step(coordinates),
        activation=Sign(tie, seed),
        **store,
    )


def _sizes(bits: int, locations: int, coordinates: int, most: int) -> tuple[int, int, int]:
    """Check the numbers of bits, of locations, and of bits that a location compares."""
    bits = checks.integer("bits", bits, 1, checks.BITS)
    locations = checks.integer("locations", locations, 1, checks.LONGEST)
    return bits, locations, checks.integer("coordinates", coordinates, 1, min(bits, most))


def _needed(bits: int, coordinates: int) -> int:
    """Return the bytes that one address takes: those of its draw, and then a second copy."""
    return bits + max(bits, 10 * coordinates)


def _addresses(bits: int, wanted: Tensor, source: torch.Generator) -> Tensor:
    """Put the bits ``(M, q)`` of each location at random places of its address, 0 elsewhere.

    Floyd's algorithm draws q different places out of n (Bentley and Floyd 1987).
    """
    places = torch.empty(wanted.shape, dtype=torch.int64)
    for count, last in enumerate(range(bits - wanted.shape[1], bits)):
        drawn = torch.randint(last + 1, wanted.shape[:1], generator=source)
        taken = (places[:, :count] == drawn.unsqueeze(-1)).any(-1)
        places[:, count] = torch.where(taken, last, drawn)
    return torch.zeros(len(wanted), bits, dtype=torch.int8).scatter_(1, places, wanted)
