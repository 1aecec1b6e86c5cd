"""Whether samples are training rows, repeated states, or neither; and a test of copying."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Copying", "Shares", "classify", "copying", "nearest"]

Rows = Float[Tensor, "rows d"]


class Shares(NamedTuple):
    """The shares of samples that are memorised, spurious, and neither."""

    memorised: float
    spurious: float
    generalised: float


class Copying(NamedTuple):
    """Whether samples are nearer to the training rows than fresh rows are.

    * ``auc``: the probability that a sample is nearer than a fresh row; ties count half.
    * ``p``: of the one-sided test of Mann and Whitney.
    * ``ratio``: the median distance to held-out rows over that to as many training rows; None
      where that is 0.
    """

    auc: float
    p: float
    ratio: float | None


def nearest(x: Rows, rows: Rows, own: bool = False) -> Float[Tensor, "x"]:
    """Return the distance of each state from its nearest row; the row at its place left out."""
    apart = torch.cdist(x, rows, compute_mode="donot_use_mm_for_euclid_dist")
    if own:
        apart.fill_diagonal_(torch.inf)
    return apart.amin(-1)


def classify(samples: Rows, train: Rows, memorised: float, spurious: float) -> Shares:
    """Return the share within ``memorised`` of a row, then within ``spurious`` of a sample."""
    copies = nearest(samples, train) <= memorised
    repeats = ~copies & (nearest(samples, samples, own=True) <= spurious)
    shares = [float(part.double().mean()) for part in (copies, repeats, ~copies & ~repeats)]
    return Shares(*shares)


def copying(samples: Rows, train: Rows, holdout: Rows) -> Copying:
    """Compare the distances of samples and of fresh rows to the training rows."""
    from scipy.stats import mannwhitneyu

    mine, fresh = nearest(samples, train), nearest(holdout, train)
    found = mannwhitneyu(mine.numpy(), fresh.numpy(), alternative="less")
    count = min(len(train), len(holdout))
    far, near = (float(nearest(samples, x[:count]).median()) for x in (holdout, train))
    auc = 1 - float(found.statistic) / (len(mine) * len(fresh))
    return Copying(auc, float(found.pvalue), far / near if near else None)
