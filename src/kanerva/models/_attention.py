"""Attention as a memory, and the Hopfield networks of real vectors whose read it is."""

import math
from typing import Any

import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import named
from kanerva.memory import Patterns
from kanerva.separation import Entmax, Softmax
from kanerva.similarity import dot

__all__ = ["attention", "modern_hopfield", "sparse_hopfield"]


@named()
def attention(
    dim: int,
    beta: float | Tensor | None = None,
    value_dim: int | None = None,
    dtype: torch.dtype = torch.float32,
    **store: Any,
) -> Patterns:
    r"""Build the attention of transformers as a memory.

    .. math:: y = V^\top \mathrm{softmax}(\beta K q)

    Args:
        dim: d >= 1, length of a key.
        beta: inverse temperature >= 0 per unit of dot product; None for 1/sqrt(d). An
            ``nn.Parameter`` is trained.
        value_dim: length of a value; None makes the memory auto-associative.
        dtype: of queries and reads, and of keys and values unless ``storage`` differs.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.attention(dim=2, beta=100.0, value_dim=1)
        >>> ids = memory.write(torch.eye(2), torch.tensor([[1.0], [2.0]]))
        >>> memory.read(torch.tensor([0.0, 1.0])).item()
        2.0

    Source: Vaswani and others 2017, eq. 1.
    """
    checks.keywords(store, "empty", "storage")
    if beta is None:
        beta = 1 / math.sqrt(checks.integer("dim", dim, 1))
    return Patterns(dim, value_dim, similarity=dot, separation=Softmax(beta), dtype=dtype, **store)


@named()
def modern_hopfield(
    dim: int, beta: float | Tensor, dtype: torch.dtype = torch.float32, **store: Any
) -> Patterns:
    r"""Build the modern continuous Hopfield network.

    .. math:: \xi' = X \,\mathrm{softmax}(\beta X^\top \xi), \quad
        E = \tfrac12 |\xi|^2 - \tfrac1\beta \log \sum_i e^{\beta x_i \cdot \xi}

    The query is the state xi, and the keys are the stored patterns x_i. The constants of the
    paper's energy are left out.

    Args:
        dim: d >= 1, length of a pattern.
        beta: inverse temperature >= 0 per unit of dot product. An ``nn.Parameter`` is trained.
        dtype: of queries and reads, and of patterns unless ``storage`` differs.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.modern_hopfield(dim=3, beta=20.0)
        >>> ids = memory.write(torch.eye(3))
        >>> memory.recall(torch.tensor([0.6, 0.3, 0.1])).round(decimals=2).tolist()
        [1.0, 0.0, 0.0]

    Source: Ramsauer and others 2021, eq. 2 (energy) and 3 (update).
    """
    checks.keywords(store, "empty", "storage")
    return Patterns(dim, similarity=dot, separation=Softmax(beta), dtype=dtype, **store)


@named()
def sparse_hopfield(
    dim: int,
    beta: float | Tensor,
    alpha: float = 2.0,
    dtype: torch.dtype = torch.float32,
    **store: Any,
) -> Patterns:
    r"""Build the sparse Hopfield network, in which patterns with low scores have weight zero.

    .. math:: \xi' = X \,\alpha\text{-entmax}(\beta X^\top \xi)

    Args:
        dim: d >= 1, length of a pattern.
        beta: inverse temperature >= 0 per unit of dot product. An ``nn.Parameter`` is trained.
        alpha: >= 1; 1 is softmax, the modern Hopfield network, and 2 is sparsemax.
        dtype: of queries and reads, and of patterns unless ``storage`` differs.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> import kanerva
        >>> memory = kanerva.sparse_hopfield(dim=3, beta=4.0)
        >>> ids = memory.write(torch.eye(3))
        >>> memory.read(torch.tensor([0.6, 0.3, 0.1])).tolist()  # exactly the pattern
        [1.0, 0.0, 0.0]

    Source: Hu and others 2023 (alpha = 2); Santos and others 2024 (general alpha).
    """
    checks.keywords(store, "empty", "storage")
    return Patterns(dim, similarity=dot, separation=Entmax(alpha, beta), dtype=dtype, **store)
