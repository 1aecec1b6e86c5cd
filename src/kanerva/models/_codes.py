"""Memories for sparse codes, in which few bits are +1: clipped sums, and the covariance rule."""

from typing import Any

from kanerva._core import checks
from kanerva._core.errors import named
from kanerva.activation import Activation, Sign, Winners
from kanerva.memory import Clipped, Covariance

__all__ = ["covariance", "willshaw"]


@named(dim="bits", value_dim="value_bits")
def willshaw(
    bits: int, value_bits: int | None = None, winners: int | None = None, **store: Any
) -> Clipped:
    r"""Build the associative net of Willshaw and others: clipped sums of outer products of 0 and 1.

    .. math:: c_{ji} = \min\Bigl(1, \sum_\mu a_{\mu j} v_{\mu i}\Bigr), \quad
        y_i = \Bigl[\sum_j c_{ji} q_j \ge \sum_j q_j\Bigr]

    Codes are -1/+1 in this library, as all bits are: +1 is an active unit, the 1 of the formula;
    ``bits.from_binary`` and ``bits.to_binary`` convert. A unit is active where every active bit of
    the cue is connected to it, so cues may lack ones, but no other bit may be +1. With ``winners``,
    cues may have wrong ones, too.

    ``theory.capacity.willshaw`` gives its capacity, ``theory.capacity.fill`` the share of the
    connections that are on, and ``theory.capacity.spurious`` the wrong ones in a read.

    Args:
        bits: n >= 1, length of a code; the memory takes ``2 * bits ** 2`` bytes, however many
            codes are stored.
        value_bits: length of a value; None for ``bits``.
        winners: k, the number of +1 in every value: the k units with the fewest missing connections
            are active, the first ones of equals. None for the threshold of the formula.
        **store: passed on to ``Clipped``: ``empty``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range, or the connections do not fit into memory.

    Example:
        >>> import torch
        >>> import kanerva
        >>> draw = torch.rand(100, 400, generator=torch.Generator().manual_seed(0))
        >>> codes = torch.where(draw.argsort(-1) < 20, 1.0, -1.0)  # 20 of 400 bits are +1
        >>> memory = kanerva.willshaw(bits=400)
        >>> memory.write(codes)
        >>> half = torch.where(codes.cumsum(-1) < -280, -1.0, codes)  # a part is lost
        >>> (memory.recall(half) == codes).all(-1).float().mean().item()
        1.0

    Source: Willshaw, Buneman and Longuet-Higgins 1969.
    """
    checks.keywords(store, "empty")
    bits = checks.integer("bits", bits, 1, checks.LONGEST)
    width = _width(bits, value_bits)
    return Clipped(bits, value_bits, activation=_threshold(winners, width), **store)


@named(dim="bits", value_dim="value_bits")
def covariance(
    bits: int,
    activity: float,
    value_bits: int | None = None,
    value_activity: float | None = None,
    threshold: float | None = None,
    winners: int | None = None,
    **store: Any,
) -> Covariance:
    r"""Build the network with the covariance rule: Hebb's rule with the mean activity subtracted.

    .. math:: J_{ji} = \sum_\mu (a_{\mu j} - f)(v_{\mu i} - f), \quad J_{ii} = 0, \quad
        y_i = \Bigl[\sum_j J_{ji} (q_j - f) \ge \theta\Bigr]

    Codes are -1/+1 in this library, as all bits are: +1 is an active unit, the 1 of the formula;
    ``bits.from_binary`` and ``bits.to_binary`` convert. The threshold is that of ``Covariance``,
    which makes the fewest errors in a read of an undamaged code. The field of a damaged cue is
    smaller; ``winners`` allows for that.

    ``theory.capacity.covariance`` gives its capacity.

    Args:
        bits: n >= 1, length of a code; the memory takes ``5 * bits ** 2`` bytes, however many
            codes are stored.
        activity: f, the share of +1 in codes, above 0 and below 1; 1/2 is Hopfield's rule.
        value_bits: length of a value; None for ``bits``.
        value_activity: the share of +1 in values; None for ``activity``.
        threshold: theta, in units of the field; None for the best one.
        winners: k, the number of +1 in every value: the k units with the largest field are active,
            the first ones of equals, and there is no threshold.
        **store: passed on to ``Covariance``: ``empty``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range, or the connections do not fit into memory.

    Example:
        >>> import torch
        >>> import kanerva
        >>> draw = torch.rand(100, 400, generator=torch.Generator().manual_seed(0))
        >>> codes = torch.where(draw.argsort(-1) < 20, 1.0, -1.0)  # 20 of 400 bits are +1
        >>> memory = kanerva.covariance(bits=400, activity=0.05, winners=20)
        >>> memory.write(codes)
        >>> cues = kanerva.bits.flip(codes, 20, seed=1)
        >>> (memory.recall(cues) == codes).all(-1).float().mean().item()
        1.0

    Source: Tsodyks and Feigel'man 1988.
    """
    checks.keywords(store, "empty")
    bits = checks.integer("bits", bits, 1, checks.LONGEST)
    return Covariance(
        bits,
        activity,
        value_bits,
        value_activity=value_activity,
        threshold=threshold,
        activation=_threshold(winners, _width(bits, value_bits)),
        **store,
    )


def _width(bits: int, value_bits: int | None) -> int:
    """Return the length of a value."""
    if value_bits is None:
        return bits
    return checks.integer("value_dim", value_bits, 1, checks.LONGEST)


def _threshold(winners: int | None, length: int) -> Activation:
    """Return the activation: a threshold, which an active unit may just reach, or winners."""
    if winners is None:
        return Sign("plus")
    return Winners(checks.integer("winners", winners, 1, length))
