"""Correlation of the gates of different blocks, and what it is when nothing connects them."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse

__all__ = ["Correlation", "correlation"]

Gates = Float[Tensor, "l b c"]
OVER = ("channels", "samples", "both")
NULLS = ("channels", "samples")
PAIRS = ("all", "adjacent")
# A centred map whose numbers are smaller, or smaller against the largest of the map, is constant.
SHORT = 1e-12


class Correlation(NamedTuple):
    """How gates of different blocks correlate.

    Attributes:
        mean: over all pairs of different blocks whose correlation is defined.
        matrix: ``(l, l)`` float64, by pair of blocks; NaN where none is defined.
        skipped: how many correlations were left out of the means, because a map was constant.
    """

    mean: float
    matrix: Float[Tensor, "l l"]
    skipped: int


@door
def correlation(
    gates: Gates,
    over: str = "channels",
    pairs: str = "all",
    null: str | None = None,
    seed: int | torch.Generator = 0,
) -> Correlation:
    r"""Return the Pearson correlations of the gates of each pair of blocks.

    .. math:: r_{l l'} = \frac1b \sum_i \frac{\langle \bar m_{li}, \bar m_{l'i} \rangle}
        {|\bar m_{li}| |\bar m_{l'i}|}

    m are the gates of one block, less their mean. Over channels they are compared sample by sample,
    and the result is averaged over samples. Over samples they are compared channel by channel,
    which shows whether blocks react to an input alike. Over both there is one correlation for each
    pair.

    A correlation says little without a null. Over channels, blocks that share their weights
    correlate before any training. ``null="samples"`` compares each sample of one block with another
    sample of the other, and so leaves what does not depend on the input. ``null="channels"``
    permutes the channels of one of the two blocks, and is zero but for chance. Give the gates of
    one stage: channels of different stages have nothing in common.

    Args:
        gates: ``(l, b, c)``, floating, of l >= 2 blocks; as of ``Shared.record``.
        over: ``"channels"``, ``"samples"`` or ``"both"``.
        pairs: ``"all"`` or ``"adjacent"``, the pairs whose mean is returned.
        null: None, ``"channels"`` or ``"samples"``.
        seed: an integer >= 0 or a CPU generator, for the permutations of a null.

    Returns:
        the mean, the matrix, and how many correlations are undefined.

    Raises:
        InputError: gates of one block, or of one sample or channel where these are compared or
            exchanged; numbers that are not finite; or maps that are all constant.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> first = torch.rand(5, 100, generator=torch.Generator().manual_seed(0))
        >>> gates = torch.stack((first, 1 - first, first / 2))
        >>> nn.correlation(gates).matrix[0].round(decimals=6).tolist()
        [1.0, -1.0, 1.0]
        >>> abs(nn.correlation(gates, null="channels").mean) < 0.2
        True

    Source: Huang and others 2024 correlate attention maps; which of these definitions they took is
    not known. The nulls are this library's.
    """
    checks.choice("over", over, OVER)
    checks.choice("pairs", pairs, PAIRS)
    if null is not None:
        checks.choice("null", null, NULLS)
    source = arrays.generator(seed)
    _check(gates, over, null)
    maps = gates.detach().to("cpu", torch.float64)
    other = _exchanged(maps, null, source)
    first, second = _unit(maps, over), _unit(other, over)
    # Undefined maps are zero here, so they add nothing to a sum.
    sums = torch.einsum("lnd,mnd->lm", first.nan_to_num(0), second.nan_to_num(0))
    defined = (~first[..., 0].isnan()).double() @ (~second[..., 0].isnan()).double().mT
    matrix = torch.where(defined > 0, sums / defined.clamp_min(1), torch.nan).clamp(-1, 1)
    upper = torch.ones_like(matrix, dtype=torch.bool).triu()
    matrix = torch.where(upper, matrix, matrix.mT)
    taken = upper.triu(1) if pairs == "all" else upper.triu(1) & ~upper.triu(2)
    known = matrix[taken & ~matrix.isnan()]
    skipped = int((first.shape[1] - defined)[taken].sum())
    if not len(known):
        do = "leave out blocks whose gates do not vary, such as those of a constant gate"
        refuse("gates", got="constant in every pair", must="maps that vary", do=do)
    return Correlation(known.mean().item(), matrix, skipped)


def _check(gates: Tensor, over: str, null: str | None) -> None:
    """Refuse gates that cannot be compared."""
    if isinstance(gates, dict):
        must, do = "those of one stage", f"write gates[{next(iter(gates), 'stage1')!r}]"
        refuse("gates", got="a dict of stages", must=must, do=do, error=InputTypeError)
    arrays.floats("gates", gates)
    if gates.ndim != 3:
        do = "give those of one stage, as Shared.record returns them"
        refuse("gates", gates, must="of shape (blocks, samples, channels)", do=do)
    arrays.finite("gates", gates)
    blocks, samples, channels = gates.shape
    some = {"samples": over == "samples" or null == "samples"}
    some["channels"] = over == "channels" or null == "channels"
    if over == "both" and samples * channels < 2:
        some["samples"] = True
    wanted = (("blocks", blocks, True), ("samples", samples, some["samples"]))
    for what, count, needed in (*wanted, ("channels", channels, some["channels"])):
        if count < (2 if needed else 1):
            must, got = f"those of two {what} or more", f"of {count}"
            refuse("gates", got=got, must=must, do=f"give more {what}")


def _exchanged(maps: Tensor, null: str | None, source: torch.Generator) -> Tensor:
    """Return maps with the channels of each block permuted, or with samples exchanged."""
    blocks, samples, channels = maps.shape
    if null == "channels":
        orders = torch.stack([torch.randperm(channels, generator=source) for _ in range(blocks)])
        return maps.gather(2, orders[:, None].expand(-1, samples, -1))
    if null == "samples":
        # Each sample gets the next one on a random cycle, so none keeps its own.
        cycle = torch.randperm(samples, generator=source)
        following = torch.empty_like(cycle)
        following[cycle] = cycle.roll(-1)
        return maps[:, following]
    return maps


def _unit(maps: Tensor, over: str) -> Tensor:
    """Return centred vectors of length one, ``(l, n, d)``; NaN where a map is constant."""
    if over == "samples":
        maps = maps.mT
    elif over == "both":
        maps = maps.flatten(1)[:, None]
    # Divided by a power of two, which is exact, so that squares of large numbers are finite.
    exponent = maps.abs().amax(-1, keepdim=True).frexp().exponent.clamp_min(0)
    maps = maps.ldexp(-exponent)
    centred = maps - maps.mean(-1, keepdim=True)
    length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    return torch.where(length > SHORT * maps.shape[-1] ** 0.5, centred / length, torch.nan)
