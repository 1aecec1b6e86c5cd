"""Memories whose patterns are linked by a graph: of real vectors, and of bits."""

from typing import Any

import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import named
from kanerva.activation import Sign
from kanerva.memory import Linked
from kanerva.separation import Linear, Power, Softmax
from kanerva.similarity import dot

__all__ = ["cdam", "correlated_hopfield", "sequence_hopfield"]


@named()
def cdam(
    dim: int,
    beta: float | Tensor,
    auto: float = 1.0,
    hetero: float = 0.0,
    mean: float = 1.0,
    normalise: str = "symmetric",
    rate: float = 0.1,
    **store: Any,
) -> Linked:
    r"""Build the correlated dense associative memory.

    .. math:: \sigma \leftarrow \sigma + \eta \Bigl(\sum_j u_j \xi^j - \sigma\Bigr), \quad
        u = a\,w + h\,w M - \tfrac{c}{m} \mathbf 1, \quad
        w = \mathrm{softmax}(\beta\, \Xi^\top \sigma)

    The graph of the memories is given by ``link`` or ``connect``, an edge from i to j leading from
    pattern i to pattern j. On a regular graph of degree d, for many neurons and a large beta, a
    recall with a > h / d ends at one pattern with its neighbours (h = 0: alone), with a smaller a
    at a whole community, and with a negative a on a directed graph it runs along the links.
    ``recall`` takes steps of ``rate``.

    Args:
        dim: n >= 1, number of neurons.
        beta: inverse temperature >= 0 per unit of dot product. An ``nn.Parameter`` is trained.
        auto: a, the strength of auto-association; negative for anti-Hebbian.
        hetero: h, the strength of hetero-association along the links.
        mean: c, how often the mean pattern is subtracted: 1 as in the author's programs, 1 / dim as
            in the printed equation, 0 for patterns whose mean is zero.
        normalise: ``"symmetric"``, ``"rows"`` or ``"none"``, as in ``correlated.Linked``.
        rate: share eta of each step that a recall takes, in (0, 1].
        **store: passed on to ``correlated.Linked``: ``value_dim``, ``dtype``, ``empty``,
            ``storage``.

    Returns:
        an empty memory without links.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch, kanerva
        >>> memory = kanerva.cdam(dim=1000, beta=1.0, auto=0.5, hetero=0.5)
        >>> patterns = torch.rand(30, 1000, generator=torch.Generator().manual_seed(0))
        >>> ids = memory.write(patterns)
        >>> memory.connect([(i, (i + step) % 30) for i in range(30) for step in (1, -1)])
        >>> state = memory.recall(patterns[9])
        >>> overlap = torch.corrcoef(torch.cat((state[None], patterns)))[0, 1:]
        >>> [round(overlap[k].item(), 1) for k in (8, 9, 10)]  # the pattern between its neighbours
        [0.4, 0.8, 0.4]

    Source: Burns 2024, and the author's programs for ``mean``.
    """
    checks.keywords(store, "value_dim", "dtype", "empty", "storage")
    rule = Softmax(beta)
    return Linked(
        dim, auto=auto, hetero=hetero, mean=mean, normalise=normalise, rate=rate,
        similarity=dot, separation=rule, **store,
    )  # fmt: skip


@named(dim="bits")
def correlated_hopfield(
    bits: int,
    auto: float,
    hetero: float = 1.0,
    dtype: torch.dtype = torch.float32,
    **store: Any,
) -> Linked:
    r"""Build the Hopfield network whose attractors are correlated along a graph.

    .. math:: y = \mathrm{sign} \sum_\mu \xi^\mu \Bigl(a\, m_\mu + h \sum_\nu M_{\nu\mu}\, m_\nu
        \Bigr), \quad m_\mu = \xi^\mu \cdot q

    On a ring with h = 1 the attractors of neighbours are correlated for a < 2, the more the smaller
    a is, though the patterns are not. Strengths of links are used as they are given.

    Args:
        bits: n >= 1, number of neurons.
        auto: a, the strength of auto-association.
        hetero: h, the strength of hetero-association along the links.
        dtype: of queries and reads, and of patterns unless ``storage`` differs.
        **store: passed on to ``correlated.Linked``: ``empty``, ``storage``.

    Returns:
        an empty memory without links; a neuron whose field is zero keeps its value.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import kanerva
        >>> memory = kanerva.correlated_hopfield(bits=20_000, auto=1.5)
        >>> patterns = kanerva.bits.random(15, 20_000, seed=0)
        >>> ids = memory.write(patterns)
        >>> memory.connect([(i, (i + step) % 15) for i in range(15) for step in (1, -1)])
        >>> overlaps = patterns @ memory.recall(patterns[7], steps=3) / 20_000
        >>> [round(overlap.item(), 1) for overlap in overlaps[6:9]]
        [0.4, 0.6, 0.4]

    Source: Griniasty, Tsodyks and Amit 1993; Haga and Fukai 2019, for values of a below 1.
    """
    checks.keywords(store, "empty", "storage")
    bits = checks.integer("bits", bits, 1)
    return Linked(
        bits, auto=auto, hetero=hetero, normalise="none", similarity=dot, separation=Linear(),
        activation=Sign(tie="keep"), dtype=dtype, **store,
    )  # fmt: skip


@named(dim="bits")
def sequence_hopfield(
    bits: int, order: float, dtype: torch.dtype = torch.float64, **store: Any
) -> Linked:
    r"""Build the Hopfield network that recalls a sequence, one pattern a read.

    .. math:: y = \mathrm{sign} \sum_\mu \xi^{\mu + 1} f(\xi^\mu \cdot q), \quad f(x) = [x]_+^d

    The sequence is given by links from each pattern to the next. The longest sequence grows as
    n^d / log n: a linear rule, d = 1, fails where a rule of a higher order follows the sequence.

    Args:
        bits: n >= 1, number of neurons.
        order: d >= 1, of the separation f.
        dtype: of queries and reads, and of patterns unless ``storage`` differs; powers of high
            order need float64.
        **store: passed on to ``correlated.Linked``: ``empty``, ``storage``.

    Returns:
        an empty memory without links; ``dynamics.chain`` follows the sequence.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.sequence_hopfield(bits=100, order=3)
        >>> patterns = kanerva.bits.random(50, 100, seed=0).double()
        >>> ids = memory.write(patterns)
        >>> memory.link(ids, ids.roll(-1))
        >>> path = kanerva.dynamics.chain(memory.read, patterns[0], 49)
        >>> torch.equal(path, patterns)
        True

    Source: Chaudhry, Zavatone-Veth, Krotov and Pehlevan 2023. Their sums leave out the bit that is
    decided; here it takes part.
    """
    checks.keywords(store, "empty", "storage")
    bits = checks.integer("bits", bits, 1)
    order = checks.number("order", order, 1)
    return Linked(
        bits, auto=0.0, hetero=1.0, normalise="none", similarity=dot, separation=Power(order + 1),
        activation=Sign(tie="keep"), dtype=dtype, **store,
    )  # fmt: skip
