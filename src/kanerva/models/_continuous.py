"""Sparse distributed memory over directions: locations on the unit sphere, and the two views of it."""

from typing import Any

import torch

from kanerva import theory
from kanerva._core import arrays, checks
from kanerva._core.errors import named
from kanerva.activation import Activation, Unit
from kanerva.memory import Locations, Patterns
from kanerva.models._sparse import warn_sparse
from kanerva.separation import Cap, Softmax, Step
from kanerva.similarity import cosine

__all__ = ["sdm_continuous", "sdm_continuous_attention", "sdm_continuous_patterns"]


@named(count="locations")
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
    checks.keywords(store, "empty", "counters", "overflow")
    dim = checks.integer("dim", dim, 3, checks.BITS)
    locations = checks.integer("locations", locations, 1, checks.LONGEST)
    radius = checks.number("radius", radius, 0, dim)
    warn_sparse(
        "sdm_continuous",
        theory.cap.activation(dim, radius),
        locations,
        "widen the radius or use sdm_continuous_patterns",
    )
    with checks.room("locations", f"{locations} of {dim} numbers"):
        addresses = torch.randn(locations, dim, generator=arrays.generator(seed))
        addresses /= addresses.norm(dim=-1, keepdim=True)
    part, store = Unit() if activation is None else activation, {"counters": torch.float32} | store
    return Locations(
        addresses,
        value_dim,
        similarity=cosine,
        separation=Step(1 - 2 * radius / dim),
        activation=part,
        **store,
    )


@named()
def sdm_continuous_patterns(
    dim: int,
    radius: float,
    value_dim: int | None = None,
    activation: Activation | None = None,
    **store: Any,
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
    checks.keywords(store, "empty", "dtype", "storage")
    part = Unit() if activation is None else activation
    rule = Cap(dim, radius)
    return Patterns(
        rule.dim, value_dim, similarity=cosine, separation=rule, activation=part, **store
    )


@named(bits="dim")
def sdm_continuous_attention(
    dim: int,
    radius: int,
    value_dim: int | None = None,
    method: str = "kl",
    activation: Activation | None = None,
    **store: Any,
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
    checks.keywords(store, "empty", "dtype", "storage")
    beta = theory.beta.fit(dim, radius, method, space="continuous").beta
    part = Unit() if activation is None else activation
    return Patterns(
        dim, value_dim, similarity=cosine, separation=Softmax(beta), activation=part, **store
    )
