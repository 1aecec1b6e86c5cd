"""Jaeckel's two designs of sparse distributed memory, whose locations compare a few bits of a key."""

from typing import Any

import torch
from torch import Tensor

from kanerva import theory
from kanerva._core import arrays, checks
from kanerva._core.errors import named
from kanerva.activation import Sign
from kanerva.memory import Locations
from kanerva.models._sparse import warn_sparse
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
    r"""Build Jaeckel's selected-coordinate design: a location watches q bits and is active where all are as it wants them.

    .. math:: C_\tau \mathrel{+}= [A_\tau \cdot a \ge q]\, v, \qquad y = \mathrm{sign} \sum_\tau [A_\tau \cdot x \ge q]\, C_\tau

    The address A has -1 or +1 in q places and 0 elsewhere; x is the query. A share of 2^-q of the locations is active, and
    two queries d bits apart share (1 - d / n)^q of them: a polynomial of their cosine.

    Args:
        bits: n >= 1, length of a key.
        locations: M >= 1, number of hard locations; an address takes a byte a bit, and a read compares all of them.
        coordinates: q, how many bits a location watches, 1 to ``bits`` and at most 1000.
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
    warn_sparse(
        "sdm_selected",
        theory.jaeckel.selected_activation(coordinates),
        locations,
        "watch fewer coordinates",
    )
    source = arrays.generator(seed)
    with checks.room("locations", f"{locations} of {bits} bits"):
        wanted = (
            torch.randint(2, (locations, coordinates), generator=source, dtype=torch.int8) * 2 - 1
        )
        addresses = _watching(bits, wanted, source)
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
    r"""Build Jaeckel's hyperplane design, for keys with few +1: a location watches q bits and is active where all are +1.

    .. math:: C_\tau \mathrel{+}= [A_\tau \cdot a \ge q]\, v, \qquad y = \mathrm{sign} \sum_\tau [A_\tau \cdot x \ge q]\, C_\tau

    The address A has +1 in q places and 0 elsewhere; x is the query. A key with N ones activates C(N, q) / C(n, q) of the
    locations, and two keys with L ones in common share C(L, q) / C(n, q). It is the design nearest to the cerebellum, whose
    granule cells have four or five inputs.

    Args:
        bits: n >= 1, length of a key.
        locations: M >= 1, number of hard locations; an address takes a byte a bit.
        coordinates: q, how many bits a location watches, 1 to ``ones``.
        ones: N, how many bits of a key are +1, 1 to ``bits``; keys with another number activate more or fewer locations.
        value_bits: length of a value; None for ``bits``. Where all values have few +1, few of these outvote the others:
            balanced values are read more safely.
        seed: an integer >= 0: of the addresses, and of the coins for ties.
        tie: how an even vote is settled.
        **store: passed on to ``Locations``: ``empty``, ``counters``, ``overflow``.

    Returns:
        an empty memory.

    Warns:
        UserWarning: fewer than one location would be active; says how many it takes.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.sdm_hyperplane(bits=1000, locations=20_000, coordinates=3, ones=100, value_bits=64)
        >>> keys = -torch.ones(19, 1000)
        >>> for place, key in enumerate(keys):
        ...     key[50 * place : 50 * place + 100] = 1  # half of the ones are also those of the next key
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
    warn_sparse(
        "sdm_hyperplane", share, locations, "watch fewer coordinates, or give keys more ones"
    )
    source = arrays.generator(seed)
    with checks.room("locations", f"{locations} of {bits} bits"):
        addresses = _watching(bits, torch.ones(locations, coordinates, dtype=torch.int8), source)
    return Locations(
        addresses,
        value_bits,
        similarity=dot,
        separation=Step(coordinates),
        activation=Sign(tie, seed),
        **store,
    )


def _sizes(bits: int, locations: int, coordinates: int, most: int) -> tuple[int, int, int]:
    """Check how many bits, locations, and watched bits there are."""
    bits = checks.integer("bits", bits, 1, checks.BITS)
    locations = checks.integer("locations", locations, 1, checks.LONGEST)
    return bits, locations, checks.integer("coordinates", coordinates, 1, min(bits, most))


def _watching(bits: int, wanted: Tensor, source: torch.Generator) -> Tensor:
    """Put what each location wants at different random places of its address, and 0 elsewhere (Floyd's choice of a subset)."""
    places = torch.empty(wanted.shape, dtype=torch.int64)
    for count, last in enumerate(range(bits - wanted.shape[1], bits)):
        drawn = torch.randint(last + 1, wanted.shape[:1], generator=source)
        taken = (places[:, :count] == drawn.unsqueeze(-1)).any(-1)
        places[:, count] = torch.where(taken, last, drawn)
    return torch.zeros(len(wanted), bits, dtype=torch.int8).scatter_(1, places, wanted)
