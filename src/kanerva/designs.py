"""Other designs of sparse distributed memory by name: over real vectors, and with locations that look at few bits.

They stand beside ``models``, and each body is again the whole model. In the continuous memory keys, queries and locations
are directions: points of the unit sphere, whatever the length of the vectors that give them. In Jaeckel's two designs a
location watches a few coordinates of a key, so its address is 0 wherever it does not look.
"""

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from kanerva import _guard, theory
from kanerva.activation import Activation, Sign, Unit
from kanerva.locations import Locations
from kanerva.patterns import Patterns
from kanerva.separation import Cap, Softmax, Step
from kanerva.similarity import cosine, dot

__all__ = ["sdm_continuous", "sdm_continuous_attention", "sdm_continuous_patterns", "sdm_hyperplane", "sdm_selected"]


@_guard.named(count="locations")
def sdm_continuous(
    dim: int,
    locations: int,
    radius: float,
    value_dim: int | None = None,
    seed: int = 0,
    activation: Activation | None = None,
    **store: Any,
) -> Locations:
    r"""Build sparse distributed memory over real vectors: locations strewn evenly over the sphere.

    .. math:: C_\tau \mathrel{+}= [\cos(A_\tau, a) \ge t]\, v, \quad f = \sum_\tau [\cos(A_\tau, q) \ge t]\, C_\tau, \quad
        y = f / |f|, \quad t = 1 - 2 r / d

    A sum grows with all that it meets, so what is read is its direction, which is also what the next read of a recall asks
    with. Where the length of values matters, build it with ``Identity`` and divide by the ``mass`` of ``explain``: that is
    their mean.

    Args:
        dim: d >= 3, length of a key.
        locations: M >= 1, number of hard locations.
        radius: r, any real number from 0 to ``dim``, of the caps; on -1/+1 vectors it counts bits.
        value_dim: length of a value; None for ``dim``.
        seed: an integer >= 0, of the addresses.
        activation: what is done with the sum; None for ``Unit()``.
        **store: passed on to ``Locations``: ``empty``, ``counters`` (float32), ``overflow``.

    Returns:
        an empty memory.

    Warns:
        UserWarning: fewer than one location would be active; says how many it takes.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.sdm_continuous(dim=32, locations=20_000, radius=9)
        >>> keys = torch.randn(20, 32, generator=torch.Generator().manual_seed(0))
        >>> memory.write(keys / keys.norm(dim=-1, keepdim=True))
        >>> cues = keys + 0.5 * torch.randn(20, 32, generator=torch.Generator().manual_seed(1))
        >>> [round(torch.cosine_similarity(x, keys).mean().item(), 2) for x in (cues, memory.read(cues))]
        [0.88, 1.0]

    Source: Bricken and Pehlevan 2021, the continuous memory.
    """
    _guard.keywords("sdm_continuous", store, "empty", "counters", "overflow")
    dim = _guard.integer("sdm_continuous", "dim", dim, 3, _guard.BITS)
    locations = _guard.integer("sdm_continuous", "locations", locations, 1, _guard.LONGEST)
    radius = _guard.number("sdm_continuous", "radius", radius, 0, dim)
    _warn("sdm_continuous", theory.cap.activation(dim, radius), locations, "widen the radius or use sdm_continuous_patterns")
    with _guard.room("sdm_continuous", "locations", f"{locations} of {dim} numbers"):
        addresses = torch.randn(locations, dim, generator=_guard.generator("sdm_continuous", seed))
        addresses /= addresses.norm(dim=-1, keepdim=True)
    part, store = Unit() if activation is None else activation, {"counters": torch.float32} | store
    return Locations(addresses, value_dim, similarity=cosine, separation=Step(1 - 2 * radius / dim), activation=part, **store)


@_guard.named()
def sdm_continuous_patterns(
    dim: int, radius: float, value_dim: int | None = None, activation: Activation | None = None, **store: Any
) -> Patterns:
    r"""Build the continuous memory as seen from its patterns: each counts by the share of the sphere that its cap and the query's share.

    .. math:: y = \frac{f}{|f|}, \quad f = \sum_\mu w_\mu v_\mu, \quad w_\mu \propto p(\cos(q, a_\mu))

    Args:
        dim: d >= 3, length of a key.
        radius: r, above 0 and below ``dim / 2``, any real number; on -1/+1 vectors it counts bits.
        value_dim: length of a value; None makes the memory auto-associative.
        activation: what is done with the sum; None for ``Unit()``; ``Identity()`` gives the weighted mean of the values.
        **store: passed on to ``Patterns``: ``empty``, ``dtype``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.sdm_continuous_patterns(dim=64, radius=15)
        >>> keys = torch.randn(1000, 64, generator=torch.Generator().manual_seed(0))
        >>> ids = memory.write(keys / keys.norm(dim=-1, keepdim=True))
        >>> cues = keys + 0.8 * torch.randn(1000, 64, generator=torch.Generator().manual_seed(1))
        >>> round(torch.cosine_similarity(memory.recall(cues), keys).mean().item(), 2)
        1.0

    Source: Bricken and Pehlevan 2021, the continuous memory.
    """
    _guard.keywords("sdm_continuous_patterns", store, "empty", "dtype", "storage")
    part = Unit() if activation is None else activation
    rule = Cap(dim, radius)
    return Patterns(rule.dim, value_dim, similarity=cosine, separation=rule, activation=part, **store)


@_guard.named(bits="dim")
def sdm_continuous_attention(
    dim: int, radius: int, value_dim: int | None = None, method: str = "kl", activation: Activation | None = None, **store: Any
) -> Patterns:
    r"""Build the attention that comes nearest to a continuous memory of this radius.

    .. math:: y = \frac{f}{|f|}, \quad f = \sum_\mu w_\mu v_\mu, \quad w = \mathrm{softmax}(\beta \cos(q, a_\mu)), \quad
        e^{\beta c} \approx p(c) \text{ up to a factor}

    Args:
        dim: d >= 3, length of a key.
        radius: r of the memory to match, a whole number.
        value_dim: length of a value; None makes the memory auto-associative.
        method: how beta is fitted, as in ``theory.beta.fit``.
        activation: what is done with the sum; None for ``Unit()``.
        **store: passed on to ``Patterns``: ``empty``, ``dtype``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import kanerva
        >>> round(kanerva.sdm_continuous_attention(dim=64, radius=11, method="ols").separation.beta, 2)
        19.58

    Source: Bricken and Pehlevan 2021.
    """
    _guard.keywords("sdm_continuous_attention", store, "empty", "dtype", "storage")
    beta = theory.beta.fit(dim, radius, method, space="continuous").beta
    part = Unit() if activation is None else activation
    return Patterns(dim, value_dim, similarity=cosine, separation=Softmax(beta), activation=part, **store)


@_guard.named(value_dim="value_bits")
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
    _guard.keywords("sdm_selected", store, "empty", "counters", "overflow")
    bits, locations, coordinates = _sizes("sdm_selected", bits, locations, coordinates, 1000)
    _warn("sdm_selected", theory.jaeckel.selected_activation(coordinates), locations, "watch fewer coordinates")
    source = _guard.generator("sdm_selected", seed)
    with _guard.room("sdm_selected", "locations", f"{locations} of {bits} bits"):
        wanted = torch.randint(2, (locations, coordinates), generator=source, dtype=torch.int8) * 2 - 1
        addresses = _watching(bits, wanted, source)
    return Locations(addresses, value_bits, similarity=dot, separation=Step(coordinates), activation=Sign(tie, seed), **store)


@_guard.named(value_dim="value_bits")
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
    _guard.keywords("sdm_hyperplane", store, "empty", "counters", "overflow")
    ones = _guard.integer("sdm_hyperplane", "ones", ones, 1, _guard.integer("sdm_hyperplane", "bits", bits, 1, _guard.BITS))
    bits, locations, coordinates = _sizes("sdm_hyperplane", bits, locations, coordinates, ones)
    share = theory.jaeckel.hyperplane_activation(bits, ones, coordinates)
    _warn("sdm_hyperplane", share, locations, "watch fewer coordinates, or give keys more ones")
    source = _guard.generator("sdm_hyperplane", seed)
    with _guard.room("sdm_hyperplane", "locations", f"{locations} of {bits} bits"):
        addresses = _watching(bits, torch.ones(locations, coordinates, dtype=torch.int8), source)
    return Locations(addresses, value_bits, similarity=dot, separation=Step(coordinates), activation=Sign(tie, seed), **store)


def _sizes(function: str, bits: int, locations: int, coordinates: int, most: int) -> tuple[int, int, int]:
    """Check how many bits, locations, and watched bits there are."""
    bits = _guard.integer(function, "bits", bits, 1, _guard.BITS)
    locations = _guard.integer(function, "locations", locations, 1, _guard.LONGEST)
    return bits, locations, _guard.integer(function, "coordinates", coordinates, 1, min(bits, most))


def _watching(bits: int, wanted: Tensor, source: torch.Generator) -> Tensor:
    """Put what each location wants at different random places of its address, and 0 elsewhere (Floyd's choice of a subset)."""
    places = torch.empty(wanted.shape, dtype=torch.int64)
    for count, last in enumerate(range(bits - wanted.shape[1], bits)):
        drawn = torch.randint(last + 1, wanted.shape[:1], generator=source)
        taken = (places[:, :count] == drawn.unsqueeze(-1)).any(-1)
        places[:, count] = torch.where(taken, last, drawn)
    return torch.zeros(len(wanted), bits, dtype=torch.int8).scatter_(1, places, wanted)


def _warn(function: str, share: float, locations: int, do: str) -> None:
    """Warn where fewer than one location would be active."""
    if share * locations < 1:
        needed = math.ceil(1 / share) if share > 1e-300 else math.inf
        warnings.warn(
            f"{function}: {share * locations:.3g} of {locations} locations would be active: "
            f"it takes {needed:.4g} locations to have one on average; {do}.",
            stacklevel=4,
        )
