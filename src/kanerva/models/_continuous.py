"""Sparse distributed memory over directions: locations on the sphere, and the pattern view."""

from typing import Any

import torch

from kanerva import theory
from kanerva._core import arrays, checks
from kanerva._core.errors import named
from kanerva.activation import Activation, Unit
from kanerva.memory import Locations, Patterns
from kanerva.models._sparse import room, warn_sparse
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
    r"""Build sparse distributed memory over real vectors, with locations uniform on the sphere.

    .. math:: C_\tau \mathrel{+}= [\cos(A_\tau, a) \ge t]\, v, \quad
        f = \sum_\tau [\cos(A_\tau, q) \ge t]\, C_\tau, \quad
        y = f / |f|, \quad t = 1 - 2 r / d

    The length of the sum f grows with the number of its terms, so a read returns its direction,
    which is also the next query of a recall. Where the length of values matters, use ``Identity``
    and divide by the ``mass`` of ``explain``: the result is the mean of the values.

    Args:
        dim: d >= 3, length of a key.
        locations: M >= 1, number of hard locations.
        radius: r of the caps, a real number from 0 to ``dim``; on -1/+1 vectors it counts bits.
        value_dim: length of a value; None for ``dim``.
        seed: an integer >= 0, of the addresses.
        activation: applied to the sum; None for ``Unit()``.
        **store: passed on to ``Locations``: ``empty``, ``counters`` (float32), ``overflow``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range, or the locations do not fit into memory.

    Warns:
        UserWarning: a query activates fewer than one location on average.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.sdm_continuous(dim=32, locations=20_000, radius=9)
        >>> keys = torch.randn(20, 32, generator=torch.Generator().manual_seed(0))
        >>> memory.write(keys / keys.norm(dim=-1, keepdim=True))
        >>> cues = keys + 0.5 * torch.randn(20, 32, generator=torch.Generator().manual_seed(1))
        >>> round(torch.cosine_similarity(cues, keys).mean().item(), 2)
        0.88
        >>> round(torch.cosine_similarity(memory.read(cues), keys).mean().item(), 2)
        1.0

    Source: Bricken and Pehlevan 2021, the continuous memory.
    """
    checks.keywords(store, "empty", "counters", "overflow")
    dim = checks.integer("dim", dim, 3, checks.BITS)
    locations = checks.integer("locations", locations, 1, checks.LONGEST)
    radius = checks.number("radius", radius, 0, dim)
    share = theory.cap.activation(dim, radius)
    do = "widen the radius or use sdm_continuous_patterns"
    warn_sparse("sdm_continuous", share, locations, f"at radius {radius:g}", do)
    with room(locations, (dim, "numbers"), 8 * dim, value_dim, store, torch.float32):
        addresses = torch.randn(locations, dim, generator=arrays.generator(seed))
        addresses /= addresses.norm(dim=-1, keepdim=True)
    return Locations(
        addresses,
        value_dim,
        similarity=cosine,
        separation=Step(1 - 2 * radius / dim),
        activation=Unit() if activation is None else activation,
        **{"counters": torch.float32} | store,
    )


@named()
def sdm_continuous_patterns(
    dim: int,
    radius: float,
    value_dim: int | None = None,
    activation: Activation | None = None,
    **store: Any,
) -> Patterns:
    r"""Build the continuous memory in the pattern view.

    .. math:: y = \frac{f}{|f|}, \quad f = \sum_\mu w_\mu v_\mu, \quad
        w_\mu \propto p(\cos(q, a_\mu))

    p(c) is the share of the sphere that lies in both of two caps whose centres have cosine c.

    Args:
        dim: d >= 3, length of a key.
        radius: r, a real number above 0 and below ``dim / 2``; on -1/+1 vectors it counts bits.
        value_dim: length of a value; None makes the memory auto-associative.
        activation: applied to the sum; None for ``Unit()``; ``Identity()`` gives the weighted mean
            of the values.
        **store: passed on to ``Patterns``: ``empty``, ``dtype``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

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
    cap, unit = Cap(dim, radius), Unit() if activation is None else activation
    return Patterns(dim, value_dim, similarity=cosine, separation=cap, activation=unit, **store)


@named(bits="dim")
def sdm_continuous_attention(
    dim: int,
    radius: int,
    value_dim: int | None = None,
    method: str = "kl",
    activation: Activation | None = None,
    **store: Any,
) -> Patterns:
    r"""Build the attention that is nearest to a continuous memory of this radius.

    .. math:: y = \frac{f}{|f|}, \quad f = \sum_\mu w_\mu v_\mu, \quad
        w = \mathrm{softmax}(\beta \cos(q, a_\mu)), \quad
        e^{\beta c} \approx p(c) \text{ up to a factor}

    Args:
        dim: d >= 3, length of a key.
        radius: r of the memory to match, a whole number.
        value_dim: length of a value; None makes the memory auto-associative.
        method: how beta is fitted, as in ``theory.beta.fit``.
        activation: applied to the sum; None for ``Unit()``.
        **store: passed on to ``Patterns``: ``empty``, ``dtype``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import kanerva
        >>> memory = kanerva.sdm_continuous_attention(dim=64, radius=11, method="ols")
        >>> round(memory.separation.beta, 2)
        19.58

    Source: Bricken and Pehlevan 2021.
    """
    checks.keywords(store, "empty", "dtype", "storage")
    softmax = Softmax(theory.beta.fit(dim, radius, method, space="continuous").beta)
    unit = Unit() if activation is None else activation
    return Patterns(dim, value_dim, similarity=cosine, separation=softmax, activation=unit, **store)
