"""Which softmax read over its keys does a feed-forward layer come nearest to? Inverse temperature, and how well the two agree."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["StoreFit", "nearest"]


class StoreFit(NamedTuple):
    """The softmax read over its keys that a feed-forward layer comes nearest to, over the kept tokens.

    * ``beta``: inverse temperature of softmax(beta (x . key + bias)); 0 where no other is nearer than equal weights.
    * ``overlap``: one less the mean total variation between its weights and those of the layer; 1 equal, 0 apart.
    * ``r2``: share of the variance of the layer's weights that its weights explain; below 0 where equal weights miss less.
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
    """Return one less the mean total variation between shares and a softmax."""
    return float(1 - (shares - (beta * scores).softmax(-1)).abs().sum(-1).mean() / 2)


def _beta(shares: Tensor, scores: Tensor) -> float:
    """Find the beta of the largest overlap, on ever finer grids of its logarithm, in units of the spread of the scores."""
    spread = float(scores.std(-1, correction=0).mean())
    if not spread > 0:
        return 0.0
    low, high, points = -2.0, 3.0, 31
    while high - low > 1e-3:
        grid = torch.linspace(low, high, points, dtype=torch.float64).tolist()
        best = max(grid, key=lambda log: _overlap(shares, scores, 10**log / spread))
        step = (high - low) / (points - 1)
        low, high, points = best - step, best + step, 9
    return 10**best / spread
