"""Hopfield networks of bits: outer products, and dense associative memories of higher order."""

from typing import Any

import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import named
from kanerva.activation import Sign
from kanerva.memory import Patterns
from kanerva.separation import Difference, Exponential, Linear, Power
from kanerva.similarity import dot

__all__ = ["dense", "exponential", "hopfield"]


@named(dim="bits")
def hopfield(
    bits: int, diagonal: str = "zero", dtype: torch.dtype = torch.float32, **store: Any
) -> Patterns:
    r"""Build the classical Hopfield network of -1/+1 neurons with the outer-product rule.

    .. math:: y = \mathrm{sign}(W q), \quad W = \sum_\mu x_\mu x_\mu^\top, \quad
        W_{jj} = 0 \text{ with } diagonal = \text{"zero"}

    The sum over patterns is taken last, so W is never built. ``recall`` updates all neurons at
    once, so with a zero diagonal it may alternate between two states, which ``settle`` reports;
    ``order="async"`` updates them one at a time. Where the field of a neuron is zero, the neuron
    keeps its value. Where every weight is zero, as for a query that is orthogonal to all patterns,
    a read with the diagonal kept is zeros, unless ``empty`` is ``"keep"``.

    The energy of m patterns differs from the textbook's by a constant:

    .. math:: E(q) = \frac n2 - \frac12 \sum_\mu (x_\mu \cdot q)^2
        = -\frac12 \sum_{i \ne j} W_{ij} q_i q_j - \frac{(m - 1)\, n}2

    Args:
        bits: n >= 1, number of neurons.
        diagonal: ``"zero"``, no neuron acts on itself; ``"kept"``, the energy never rises, and the
            network is a sparse distributed memory with one location at each pattern.
        dtype: of queries and reads, and of patterns unless ``storage`` differs.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import kanerva
        >>> memory = kanerva.hopfield(bits=200)
        >>> patterns = kanerva.bits.random(10, 200, seed=0)
        >>> ids = memory.write(patterns)
        >>> memory.trace(kanerva.bits.flip(patterns, 20, seed=1)).converged.all().item()
        True

    Source: Hopfield 1982.
    """
    checks.keywords(store, "empty", "storage")
    bits = checks.integer("bits", bits, 1)
    kept = checks.choice("diagonal", diagonal, ("zero", "kept")) == "kept"
    rule = Linear() if kept else Difference(Linear())
    sign = Sign(tie="keep")
    return Patterns(bits, similarity=dot, separation=rule, activation=sign, dtype=dtype, **store)


@named(dim="bits")
def dense(bits: int, order: float, dtype: torch.dtype = torch.float32, **store: Any) -> Patterns:
    r"""Build the dense associative memory with interactions of a given order.

    .. math:: \sigma_j' = \mathrm{sign} \sum_\mu
        \bigl[F(\xi_{\mu j} + \sum_{i \ne j} \xi_{\mu i} \sigma_i)
        - F(-\xi_{\mu j} + \sum_{i \ne j} \xi_{\mu i} \sigma_i)\bigr], \quad F(x) = [x]_+^n

    The query is the state sigma, and the keys are the patterns xi. Order 2 is a Hopfield network
    in which patterns with a negative overlap have weight zero.

    Args:
        bits: number of neurons.
        order: n >= 2; the number of patterns that can be recalled grows as ``bits ** (n - 1)``.
        dtype: of queries and reads, and of patterns unless ``storage`` differs.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

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
    checks.keywords(store, "empty", "storage")
    rule, sign = Difference(Power(order)), Sign(tie="keep")
    return Patterns(bits, similarity=dot, separation=rule, activation=sign, dtype=dtype, **store)


@named(dim="bits")
def exponential(
    bits: int, beta: float | Tensor = 1.0, dtype: torch.dtype = torch.float32, **store: Any
) -> Patterns:
    r"""Build the dense associative memory with exponential interactions.

    .. math:: \sigma_j' = \mathrm{sign}(y_j - \sigma_j \tanh\beta), \quad
        y = \sum_\mu w_\mu \xi_\mu, \quad w = \mathrm{softmax}(\beta\, \xi_\mu \cdot \sigma)

    This is the update of ``dense`` with F(x) = exp(beta x), simplified: the flip of one bit changes
    every exponent by 2 beta.

    Args:
        bits: number of neurons.
        beta: inverse temperature > 0; 1 in the paper. An ``nn.Parameter`` is trained.
        dtype: of queries and reads, and of patterns unless ``storage`` differs.
        **store: passed on to ``Patterns``: ``empty``, ``storage``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

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
    checks.keywords(store, "empty", "storage")
    rule, sign = Difference(Exponential(beta)), Sign(tie="keep")
    return Patterns(bits, similarity=dot, separation=rule, activation=sign, dtype=dtype, **store)
