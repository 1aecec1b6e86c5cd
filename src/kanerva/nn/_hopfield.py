"""Hopfield layers by the names of their publications: choices of attention and lookup."""

from kanerva._core import checks
from kanerva._core.errors import named
from kanerva.nn._attention import Attention
from kanerva.nn._latent import LatentAttention
from kanerva.nn._lookup import Lookup
from kanerva.separation import Entmax

__all__ = ["hopfield_layer", "hopfield_lookup", "hopfield_pooling", "sparse_hopfield_layer"]


@named()
def hopfield_layer(dim: int, heads: int, beta: float | None = None, steps: int = 1) -> Attention:
    r"""Build a Hopfield layer: the query moves among the keys of a context, then reads values.

    .. math:: \xi \leftarrow \frac{X^\top p}{|X^\top p|}, \quad
        p = \text{softmax}(\beta_h X \xi), \quad y = W_o V^\top p

    The rows of X are the keys, of length one, as is the state xi, which starts as the query. With
    one step this is attention with normalised queries and keys and a learned beta; the publication
    leaves their length open.

    Args:
        dim: width of queries, context and output, >= 1.
        heads: number of heads, >= 1; it divides ``dim`` into heads of width d.
        beta: > 0, initial inverse temperature of every head, per unit of cosine; sqrt(d) if
            omitted, which is the published 1 / sqrt(d) for vectors of length sqrt(d).
        steps: reads in a row, >= 1; all but the last are of keys.

    Returns:
        an ``Attention``.

    Raises:
        InputError: as ``Attention`` does.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> layer = nn.hopfield_layer(dim=64, heads=4, steps=3)
        >>> layer(torch.ones(2, 5, 64), context=torch.ones(2, 9, 64)).shape
        torch.Size([2, 5, 64])

    Source: Ramsauer and others 2021.
    """
    return Attention(dim, heads, beta=_beta(dim, heads, beta), steps=steps)


@named(latents="queries")
def hopfield_pooling(
    dim: int, heads: int, queries: int = 1, beta: float | None = None, steps: int = 1
) -> LatentAttention:
    """Build a pooling over an input of any length: learned queries read it as a Hopfield layer.

    Args:
        dim: width of input and output, >= 1.
        heads: number of heads, >= 1; it divides ``dim``.
        queries: number of learned queries, >= 1, which is the number of rows of the output.
        beta: as in ``hopfield_layer``.
        steps: as in ``hopfield_layer``.

    Returns:
        a ``LatentAttention``.

    Raises:
        InputError: as ``Attention`` does.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> pool = nn.hopfield_pooling(dim=64, heads=4, queries=2)
        >>> pool(torch.ones(3, 20, 64)).shape
        torch.Size([3, 2, 64])

    Source: Ramsauer and others 2021.
    """
    latents = checks.integer("queries", queries, 1, checks.LONGEST)
    return LatentAttention(dim, heads, latents, beta=_beta(dim, heads, beta), steps=steps)


@named()
def hopfield_lookup(
    dim: int, heads: int, rows: int, beta: float | None = None, steps: int = 1
) -> Lookup:
    """Build a table of learned patterns that queries read as a Hopfield layer.

    Args:
        dim: width of queries and output, >= 1.
        heads: number of heads, >= 1; it divides ``dim``.
        rows: number of learned patterns of each head, >= 1.
        beta: as in ``hopfield_layer``.
        steps: as in ``hopfield_layer``.

    Returns:
        a ``Lookup``.

    Raises:
        InputError: as ``Lookup`` does.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> nn.hopfield_lookup(dim=64, heads=4, rows=100)(torch.ones(3, 64)).shape
        torch.Size([3, 64])

    Source: Ramsauer and others 2021.
    """
    return Lookup(dim, heads, rows, beta=_beta(dim, heads, beta), steps=steps)


@named()
def sparse_hopfield_layer(
    dim: int, heads: int, beta: float | None = None, steps: int = 1
) -> Attention:
    r"""Build a Hopfield layer whose softmax is replaced by sparsemax, so that most weights are 0.

    .. math:: p = \text{sparsemax}(\beta_h X \xi)

    Args:
        dim: width of queries, context and output, >= 1.
        heads: number of heads, >= 1; it divides ``dim``.
        beta: as in ``hopfield_layer``.
        steps: as in ``hopfield_layer``.

    Returns:
        an ``Attention`` with the rule ``Entmax(2.0, ...)``.

    Raises:
        InputError: as ``Attention`` does.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> weights = nn.sparse_hopfield_layer(dim=64, heads=1).weights(torch.eye(9, 64)[None])
        >>> (weights == 0).any().item()
        True

    Source: Hu and others 2023.
    """
    rule = Entmax(2.0, 1.0)
    return Attention(dim, heads, beta=_beta(dim, heads, beta), separation=rule, steps=steps)


def _beta(dim: int, heads: int, beta: float | None) -> float:
    """Return the initial beta, by default the square root of the width of a head."""
    if beta is not None:
        return beta
    width = checks.integer("dim", dim, 1, checks.LONGEST)
    return float((width / checks.integer("heads", heads, 1, checks.LONGEST)) ** 0.5)
