"""The softmax read that is nearest to a feed-forward layer: inverse temperature and agreement."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["StoreFit", "nearest"]


class StoreFit(NamedTuple):
    """The softmax read over the same keys that is nearest to a layer, on the kept tokens.

    * ``beta``: inverse temperature of softmax(beta (x . key + bias)); 0 where equal weights are
      nearest.
    * ``overlap``: one minus the mean total variation between its weights and those of the layer; 1
      for equal, 0 for disjoint weights.
    * ``r2``: share of the variance of the layer's weights that its weights explain; negative where
      equal weights have a smaller error.
    * ``uniform``: the overlap at beta 0, of equal weights.
    """

    beta: float
    overlap: float
    r2: float
    uniform: float


def nearest(shares: Tensor, scores: Tensor) -> StoreFit:
    """Fit a softmax of ``scores`` to ``shares``, both ``(rows, hidden)``."""
    beta = max((0.0, _beta(shares, scores)), key=lambda beta: _overlap(shares, scores, beta))
    missed = (shares - (beta * scores).softmax(-1)).square().sum()
    whole = (shares - 1 / shares.shape[-1]).square().sum()
    r2 = float(1 - missed / whole.clamp_min(1e-30))
    return StoreFit(beta, _overlap(shares, scores, beta), r2, _overlap(shares, scores, 0.0))


def _overlap(shares: Tensor, scores: Tensor, beta: float) -> float:
    """Return one minus the mean total variation between shares and a softmax."""
    return float(1 - (shares - (beta * scores).softmax(-1)).abs().sum(-1).mean() / 2)


def _beta(shares: Tensor, scores: Tensor) -> float:
    """Find the beta of the largest overlap, on ever finer grids of its logarithm."""
    spread = float(scores.std(-1, correction=0).mean())
    if not spread > 0:
        return 0.0
    # The grids are in units of the spread of the scores.
    low, high, points = -2.0, 3.0, 31
    while high - low > 1e-3:
        grid = torch.linspace(low, high, points, dtype=torch.float64).tolist()
        best = max(grid, key=lambda log: _overlap(shares, scores, 10**log / spread))
        step = (high - low) / (points - 1)
        low, high, points = best - step, best + step, 9
    return 10**best / spread
