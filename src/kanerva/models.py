"""The memories of the literature by name: each is a choice of parts, and its body is the whole model.

The docstrings give each paper's symbols in the words of this library: query q (cue, probe, state), keys K (addresses, stored
patterns), values V (data, pointers), scores s, weights w, beta (inverse temperature).
"""

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from kanerva import _guard, theory
from kanerva.activation import Sign
from kanerva.bits import Packed
from kanerva.locations import Locations
from kanerva.patterns import Patterns
from kanerva.separation import Circle, Difference, Entmax, Exponential, Linear, Power, Softmax, Step
from kanerva.similarity import Overlap, agreement, cosine, dot

__all__ = ["attention", "dense", "exponential", "hopfield", "modern_hopfield", "sdm", "sdm_attention", "sdm_patterns", "sparse_hopfield"]


@_guard.named(count="locations", value_dim="value_bits")
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
    _guard.keywords("sdm", store, "empty", "counters", "overflow")
    bits = _guard.integer("sdm", "bits", bits, 1, _guard.BITS)
    locations = _guard.integer("sdm", "locations", locations, 1, _guard.LONGEST)
    if radius is None:
        do = "or give the radius itself"
        count = _guard.integer("sdm", "patterns", patterns, 1, do=f"say how many patterns will be stored, {do}")
        radius = theory.radius.optimal(bits, count, locations).radius
    radius = _guard.integer("sdm", "radius", radius, 0, bits - 1, "give a Hamming distance that leaves some bits out")
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
    return Locations(addresses, value_bits, separation=Step(bits - radius), activation=activation, **store)


@_guard.named(value_dim="value_bits")
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
    _guard.keywords("sdm_patterns", store, "empty", "dtype", "storage")
    bits = _guard.integer("sdm_patterns", "bits", bits, 1, _guard.BITS)
    radius = _guard.integer("sdm_patterns", "radius", radius, 0, bits - 1, "give a Hamming distance that leaves some bits out")
    activation = Sign(tie, seed)
    if locations is None:
        return Patterns(bits, value_bits, similarity=agreement, separation=Circle(bits, radius), activation=activation, **store)
    overlap = Overlap(bits, radius, _guard.number("sdm_patterns", "locations", locations, 1), seed)
    return Patterns(bits, value_bits, similarity=overlap, separation=Linear(), activation=activation, **store)


@_guard.named(value_dim="value_bits")
def sdm_attention(bits: int, radius: int, value_bits: int | None = None, method: str = "kl", tie: str = "random", **store: Any) -> Patterns:
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
    _guard.keywords("sdm_attention", store, "empty", "dtype", "storage")
    fitted = theory.beta.fit(bits, radius, method)
    return Patterns(bits, value_bits, similarity=cosine, separation=Softmax(fitted.beta), activation=Sign(tie), **store)


@_guard.named()
def attention(
    dim: int, beta: float | Tensor | None = None, value_dim: int | None = None, dtype: torch.dtype = torch.float32, **store: Any
) -> Patterns:
    r"""Build the attention of transformers as a memory.

    .. math:: y = V^\top \mathrm{softmax}(\beta K q)

    Args:
        dim: d >= 1, length of a key.
        beta: inverse temperature >= 0 per unit of dot product; None for 1/sqrt(d). An ``nn.Parameter`` is trained.
        value_dim: length of a value; None makes the memory auto-associative.
        dtype: of queries and reads, and of keys and values unless ``storage`` says otherwise.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.attention(dim=2, beta=100.0, value_dim=1)
        >>> ids = memory.write(torch.eye(2), torch.tensor([[1.0], [2.0]]))
        >>> memory.read(torch.tensor([0.0, 1.0])).item()
        2.0

    Source: Vaswani and others 2017, eq. 1.
    """
    _guard.keywords("attention", store, "empty", "storage")
    dim = _guard.integer("attention", "dim", dim, 1)
    beta = 1 / math.sqrt(dim) if beta is None else beta
    return Patterns(dim, value_dim, similarity=dot, separation=Softmax(beta), dtype=dtype, **store)


@_guard.named()
def modern_hopfield(dim: int, beta: float | Tensor, dtype: torch.dtype = torch.float32, **store: Any) -> Patterns:
    r"""Build the modern continuous Hopfield network.

    .. math:: \xi' = X \,\mathrm{softmax}(\beta X^\top \xi), \quad E = \tfrac12 |\xi|^2 - \tfrac1\beta \log \sum_i e^{\beta x_i \cdot \xi}

    The query is the state xi, the keys are the stored patterns x_i; constants of the paper's energy are left out.

    Args:
        dim: d >= 1, length of a pattern.
        beta: inverse temperature >= 0 per unit of dot product. An ``nn.Parameter`` is trained.
        dtype: of queries and reads, and of patterns unless ``storage`` says otherwise.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.modern_hopfield(dim=3, beta=20.0)
        >>> ids = memory.write(torch.eye(3))
        >>> memory.recall(torch.tensor([0.6, 0.3, 0.1])).round(decimals=2).tolist()
        [1.0, 0.0, 0.0]

    Source: Ramsauer and others 2021, eq. 2 (energy) and 3 (update).
    """
    _guard.keywords("modern_hopfield", store, "empty", "storage")
    return Patterns(_guard.integer("modern_hopfield", "dim", dim, 1), similarity=dot, separation=Softmax(beta), dtype=dtype, **store)


@_guard.named(dim="bits")
def hopfield(bits: int, diagonal: str = "zero", dtype: torch.dtype = torch.float32, **store: Any) -> Patterns:
    r"""Build the classical Hopfield network of -1/+1 neurons with the outer-product rule.

    .. math:: y = \mathrm{sign}(W q), \quad W = \sum_\mu x_\mu x_\mu^\top, \quad W_{jj} = 0 \text{ with } diagonal = \text{"zero"}

    The sum over patterns is taken last, so W is never built. ``recall`` updates all neurons at once, and may then swing
    between two states with a zero diagonal; ``dynamics.flips`` updates them one at a time. Even fields keep their bit.

    Args:
        bits: n >= 1, number of neurons.
        diagonal: ``"zero"``, no neuron acts on itself; ``"kept"``, with which the energy never rises and the network is a sparse
            distributed memory of one location a pattern.
        dtype: of queries and reads, and of patterns unless ``storage`` says otherwise.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import kanerva
        >>> memory = kanerva.hopfield(bits=200)
        >>> patterns = kanerva.bits.random(10, 200, seed=0)
        >>> ids = memory.write(patterns)
        >>> memory.trace(kanerva.bits.flip(patterns, 20, seed=1)).converged.all().item()
        True

    Source: Hopfield 1982.
    """
    _guard.keywords("hopfield", store, "empty", "storage")
    bits = _guard.integer("hopfield", "bits", bits, 1)
    kept = _guard.choice("hopfield", "diagonal", diagonal, ("zero", "kept")) == "kept"
    return Patterns(bits, separation=Linear() if kept else Difference(Linear()), activation=Sign(tie="keep"), dtype=dtype, **store)


@_guard.named(dim="bits")
def dense(bits: int, order: float, dtype: torch.dtype = torch.float32, **store: Any) -> Patterns:
    r"""Build the dense associative memory with interactions of a given order.

    .. math:: \sigma_j' = \mathrm{sign} \sum_\mu \bigl[F(\xi_{\mu j} + \sum_{i \ne j} \xi_{\mu i} \sigma_i)
        - F(-\xi_{\mu j} + \sum_{i \ne j} \xi_{\mu i} \sigma_i)\bigr], \quad F(x) = [x]_+^n

    The query is the state sigma, the keys are the patterns xi. Order 2 is a Hopfield network that hears no negative overlaps.

    Args:
        bits: number of neurons.
        order: n >= 2; the number of patterns that can be recalled grows as ``bits ** (n - 1)``.
        dtype: of queries and reads, and of patterns unless ``storage`` says otherwise.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import kanerva
        >>> memory = kanerva.dense(bits=100, order=4)
        >>> patterns = kanerva.bits.random(500, 100, seed=0)  # a Hopfield network holds about 14
        >>> ids = memory.write(patterns)
        >>> cues = kanerva.bits.flip(patterns, 10, seed=1)
        >>> round((memory.recall(cues) == patterns).all(-1).float().mean().item(), 2)
        1.0

    Source: Krotov and Hopfield 2016, with rectified polynomials.
    """
    _guard.keywords("dense", store, "empty", "storage")
    part = Difference(Power(_guard.number("dense", "order", order, 2, do="give the power of the interaction, such as 3")))
    return Patterns(_guard.integer("dense", "bits", bits, 1), separation=part, activation=Sign(tie="keep"), dtype=dtype, **store)


@_guard.named(dim="bits")
def exponential(bits: int, beta: float | Tensor = 1.0, dtype: torch.dtype = torch.float32, **store: Any) -> Patterns:
    r"""Build the dense associative memory with exponential interactions.

    .. math:: \sigma_j' = \mathrm{sign}(y_j - \sigma_j \tanh\beta), \quad y = \sum_\mu w_\mu \xi_\mu, \quad
        w = \mathrm{softmax}(\beta\, \xi_\mu \cdot \sigma)

    This is the update of ``dense`` with F(x) = exp(beta x), worked out: the flip of one bit changes every exponent by 2 beta.

    Args:
        bits: number of neurons.
        beta: inverse temperature > 0; 1 in the paper. An ``nn.Parameter`` is trained.
        dtype: of queries and reads, and of patterns unless ``storage`` says otherwise.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import kanerva
        >>> memory = kanerva.exponential(bits=64)
        >>> patterns = kanerva.bits.random(5000, 64, seed=0)
        >>> ids = memory.write(patterns)
        >>> cues = kanerva.bits.flip(patterns[:100], 6, seed=1)
        >>> round((memory.recall(cues) == patterns[:100]).all(-1).float().mean().item(), 2)
        1.0

    Source: Demircigil and others 2017.
    """
    _guard.keywords("exponential", store, "empty", "storage")
    part, bits = Difference(Exponential(beta)), _guard.integer("exponential", "bits", bits, 1)
    return Patterns(bits, separation=part, activation=Sign(tie="keep"), dtype=dtype, **store)


@_guard.named()
def sparse_hopfield(dim: int, beta: float | Tensor, alpha: float = 2.0, dtype: torch.dtype = torch.float32, **store: Any) -> Patterns:
    r"""Build the sparse Hopfield network, whose reads leave far patterns out altogether.

    .. math:: \xi' = X \,\alpha\text{-entmax}(\beta X^\top \xi)

    Args:
        dim: d >= 1, length of a pattern.
        beta: inverse temperature >= 0 per unit of dot product. An ``nn.Parameter`` is trained.
        alpha: >= 1; 1 is the modern Hopfield network, 2 uses sparsemax.
        dtype: of queries and reads, and of patterns unless ``storage`` says otherwise.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.sparse_hopfield(dim=3, beta=4.0)
        >>> ids = memory.write(torch.eye(3))
        >>> memory.read(torch.tensor([0.6, 0.3, 0.1])).tolist()  # exactly the pattern
        [1.0, 0.0, 0.0]

    Source: Hu and others 2023 (alpha = 2); Santos and others 2024 (general alpha).
    """
    _guard.keywords("sparse_hopfield", store, "empty", "storage")
    dim = _guard.integer("sparse_hopfield", "dim", dim, 1)
    return Patterns(dim, similarity=dot, separation=Entmax(alpha, beta), dtype=dtype, **store)
