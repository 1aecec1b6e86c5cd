"""Whether samples are copies of training rows, repeat one another, or are neither."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.diffusion import _near

__all__ = ["KINDS", "Copying", "Shares", "classify", "copying"]

# The kinds of samples, by their numbers.
KINDS = ("memorised", "spurious", "generalised")
# The default thresholds, as shares of the median distance between neighbours of the training rows.
QUARTER, TENTH = 0.25, 0.1
# Pairs up to which the test may count all orders of distances.
PAIRS = 2**12


class Shares(NamedTuple):
    """The shares of three kinds of samples, and what they were found from.

    Attributes:
        memorised: share of the samples within the first threshold of a training row.
        spurious: share of the others that are within the second threshold of another sample.
        generalised: share of the rest; the three sum to 1.
        kind: ``(n,)`` int64: 0 memorised, 1 spurious, 2 generalised.
        thresholds: the two distances.
        nearest: ``(n,)`` the place of the nearest training row; of equally near ones the first.
        distance: ``(n,)`` float64, to it.
        other: ``(n,)`` the place of the nearest other sample; -1 where there is one sample only.
        apart: ``(n,)`` float64, the distance to it; infinite where there is none.
    """

    memorised: float
    spurious: float
    generalised: float
    kind: Int64[Tensor, "n"]
    thresholds: tuple[float, float]
    nearest: Int64[Tensor, "n"]
    distance: Float64[Tensor, "n"]
    other: Int64[Tensor, "n"]
    apart: Float64[Tensor, "n"]


class Copying(NamedTuple):
    """Whether samples are nearer to the training rows than fresh rows are.

    Attributes:
        auc: the probability that a sample is nearer to its nearest training row than a fresh row
            is to its own, ties counted half: 0.5 where the model does not copy.
        p: of the one-sided test by Mann and Whitney that it is above 0.5 by chance; 0 below 1e-308.
        ratio: median distance to the hold-out over that to as many training rows: 1 where the
            model does not copy; infinite where the latter alone is 0, 1 where both are.
    """

    auc: float
    p: float
    ratio: float


@door
def classify(
    samples: Float[Tensor, "n d"] | Listed,
    train: Float[Tensor, "m d"] | Listed,
    memorised: float | None = None,
    spurious: float | None = None,
) -> Shares:
    r"""Tell copies of training rows, repeated samples and new ones apart.

    .. math:: \min_i |s - x_i| \le \delta_m \text{: memorised}, \quad
        \text{else } \min_{s' \ne s} |s - s'| \le \delta_s \text{: spurious}, \quad
        \text{else generalised}

    The distances are plain: every coordinate counts alike. A threshold says something only where it
    is far below the distance between neighbours of the training rows: where these lie densely, good
    samples are near one, too, and ``copying`` compares with fresh rows instead. Generalised says
    nothing of quality: noise is generalised.

    Args:
        samples: ``(n, d)`` floating, one or more rows of a model. They are compared with one
            another, so that more of them find more spurious ones.
        train: ``(m, d)`` floating, the rows that the model was trained on.
        memorised: the first threshold >= 0, in the unit of the rows. Unless given, a quarter of the
            median distance of a training row to the nearest other one that differs from it: of all
            rows, or of 2,048 chosen at random but always alike.
        spurious: the second threshold >= 0; a tenth of that median unless given.

    Returns:
        shares, the kind of each sample, and its distances.

    Raises:
        InputError: no rows, widths that differ, numbers that are not finite, a threshold out of
            range, or no default where fewer than two training rows differ.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> train = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> samples = torch.tensor([[0.0, 0.1], [3.0, 3.0], [3.0, 3.0], [5.0, 5.0]])
        >>> found = diffusion.classify(samples, train)
        >>> found.kind.tolist(), found.spurious, found.thresholds
        ([0, 1, 1, 2], 0.5, (0.25, 0.1))

    Source: the three kinds of Pham and others 2025, by Euclidean distances.
    """
    rows, stored = _rows(samples=samples, train=train)
    first, second = _threshold("memorised", memorised), _threshold("spurious", spurious)
    unit, (rows, stored) = _near.grown(rows, stored)
    if first is None or second is None:
        median = _median(stored) * unit
        first = QUARTER * median if first is None else first
        second = TENTH * median if second is None else second
    near, other = _near.among(rows, stored), _near.others(rows)
    distance, apart = near.distances * unit, other.distances * unit
    kind = torch.where(distance <= first, 0, torch.where(apart <= second, 1, 2))
    counts = torch.bincount(kind, minlength=len(KINDS)).tolist()
    copies, repeats, new = (count / len(rows) for count in counts)
    thresholds = (first, second)
    found = (near.places, distance, other.places, apart)
    return Shares(copies, repeats, new, kind, thresholds, *found)


@door
def copying(
    samples: Float[Tensor, "n d"] | Listed,
    train: Float[Tensor, "m d"] | Listed,
    holdout: Float[Tensor, "k d"] | Listed,
) -> Copying:
    r"""Test whether samples are nearer to the training rows than fresh rows are.

    .. math:: \mathrm{auc} = P[d(s) < d(h)] + \tfrac12 P[d(s) = d(h)], \quad
        d(x) = \min_i |x - x_i|

    The test by Mann and Whitney takes samples and fresh rows for independent. With ties or many
    rows it is the normal approximation, corrected for ties and continuity.

    Args:
        samples: ``(n, d)`` floating, one or more rows of a model.
        train: ``(m, d)`` floating, the rows that the model was trained on.
        holdout: ``(k, d)`` floating, rows of the same source that the model was not trained on.

    Returns:
        auc, p and ratio. For the ratio, the larger of ``train`` and ``holdout`` is cut to as many
        rows as the smaller has, chosen at random but always alike.

    Raises:
        InputError: no rows, widths that differ, or numbers that are not finite.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> rows = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> train, fresh, samples = rows[:100], rows[100:200], rows[200:]
        >>> diffusion.copying(train + 0.01, train, fresh).auc > 0.9
        True
        >>> diffusion.copying(samples, train, fresh).p > 0.05
        True

    Source: Mann and Whitney 1947; Meehan, Chaudhuri and Dasgupta 2020, for the test of copying.
    """
    rows, stored, fresh = _rows(samples=samples, train=train, holdout=holdout)
    _, (rows, stored, fresh) = _near.grown(rows, stored, fresh)
    near = _near.among(rows, stored).distances
    usual = _near.among(fresh, stored).distances
    auc, p = _ranked(near, usual)
    few = min(len(stored), len(fresh))
    to_train, to_fresh = (
        float(_near.among(rows, _some(part, few)).distances.quantile(0.5))
        for part in (stored, fresh)
    )
    if not to_train:
        return Copying(auc, p, math.inf if to_fresh else 1.0)
    return Copying(auc, p, to_fresh / to_train)


def _rows(**given: Any) -> list[Tensor]:
    """Check rows by their names, of which the first says the width and the device."""
    found: list[Tensor] = []
    for name, value in given.items():
        listed = arrays.listed(value, torch.float64, torch.device("cpu"))
        width = found[0].shape[1] if found else None
        if found and isinstance(listed, Tensor) and listed.device != found[0].device:
            got, must = f"on {listed.device}", f"on {found[0].device}, as the samples are"
            do = f"move it with {name}.to({str(found[0].device)!r})"
            refuse(name, got=got, must=must, do=do, error=InputTypeError)
        rows = arrays.finite(name, arrays.floats(name, arrays.rows(name, listed, None, width)))
        if not len(rows):
            refuse(name, got="none", must="one row or more", do="give some")
        if float(rows.abs().amax()) > _near.LARGE:
            must, do = f"of numbers up to {_near.LARGE:g}", "scale all rows alike"
            refuse(name, rows, must=must, do=do)
        found.append(rows.detach())
    return found


def _threshold(name: str, value: Any) -> float | None:
    do = "give a distance in the unit of the rows, or leave it out"
    return None if value is None else checks.number(name, value, 0, do=do)


def _median(stored: Tensor) -> float:
    """Return the median distance between neighbours of the training rows."""
    apart = _near.spacing(stored)
    if not len(apart):
        got = f"{len(stored)} equal ones, which have" if len(stored) > 1 else "one, which has"
        do = "give more rows, or both thresholds"
        refuse("train", got=f"{got} no neighbour", must="rows that differ", do=do)
    return float(apart.quantile(0.5))


def _some(rows: Tensor, count: int) -> Tensor:
    return rows[_near.choice(len(rows), count).to(rows.device)]


def _ranked(near: Tensor, usual: Tensor) -> tuple[float, float]:
    """Return the share of pairs in which the first is less, and the chance of it."""
    from scipy.stats import mannwhitneyu

    one, other = near.cpu().numpy(), usual.cpu().numpy()
    pairs = len(one) * len(other)
    low = min(one.min(), other.min())
    if low == max(one.max(), other.max()):
        return 0.5, 1.0  # all are equal, whatever their order
    method = "auto" if pairs <= PAIRS else "asymptotic"
    found = mannwhitneyu(one, other, alternative="less", method=method)
    return 1 - float(found.statistic) / pairs, float(found.pvalue)
