r"""Recall in the space of overlaps, where patterns are fewer than dimensions.

A read of a memory whose values are its keys X moves the state by a sum of patterns, so the scores
s = X q can be computed without the state:

.. math:: s \leftarrow (1 - \eta)\, s + \eta\, G\, w(s), \quad G = X X^T, \quad
    q_t = (1 - \eta)^t q_0 + X^T c_t, \quad c \leftarrow (1 - \eta)\, c + \eta\, w(s)

A step costs m^2 rather than 2 m d. Whether a query is at rest depends on the state itself, which is
computed only where the scores alone do not show that it moves.
"""

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._engine.scores import Rows, chunks, finite, looked
from kanerva.dynamics import Rules, Settled
from kanerva.separation import Separation
from kanerva.similarity import Similarity, dot

EXACT = (torch.float32, torch.float64)


def settle(query: Tensor, keys: Tensor, separation: Separation, rules: Rules) -> Settled:
    """Do what ``dynamics.settle`` does with reads.

    Args:
        query: ``(..., d)``.
        keys: ``(m, d)``, also the values.
        separation: from scores ``(b, m)`` to weights.
        rules: how the read is repeated.
    """
    steps, rate, tolerance = rules.steps, rules.rate, rules.tolerance

    def weigh(scores: Tensor) -> Tensor:
        looked(separation, scores, query, keys)
        return separation.unchecked_weights(scores)

    batch, start = query.shape[:-1], query.reshape(-1, query.shape[-1])
    gram, length, size = (
        keys @ keys.mT,
        keys.abs().sum(-1).clamp_min(torch.finfo(keys.dtype).tiny),
        keys.abs().amax(),
    )
    scores, summed = start @ keys.mT, start.new_zeros(len(start), len(keys))
    widest = start.abs().amax(-1)
    taken = torch.zeros(len(start), dtype=torch.int64, device=start.device)
    moving = torch.ones_like(taken, dtype=torch.bool)
    for step in range(steps):
        rows = moving.nonzero().squeeze(-1)
        if len(rows) == 0:
            break
        here, before = scores[rows], summed[rows]
        weights = torch.cat([weigh(part) for part, _ in chunks(here, len(keys))])
        after = (1 - rate) * before + rate * weights
        there = (1 - rate) * here + rate * (weights @ gram)
        scores[rows], summed[rows] = there, after
        taken[rows] += 1
        # No coordinate is larger than this, and one at least moves by so much.
        far = (1 - rate) ** step * widest[rows] + size * before.abs().sum(-1)
        still = ((there - here).abs() / length).amax(-1) <= tolerance * far.clamp_min(1)
        unsure = still.nonzero().squeeze(-1)
        if len(unsure):
            which = rows[unsure]
            old = _state(start[which], keys, before[unsure], (1 - rate) ** step)
            new = _state(start[which], keys, after[unsure], (1 - rate) ** (step + 1))
            moving[which] = (new - old).abs().amax(-1) > tolerance * old.abs().amax(-1).clamp_min(1)
    left = (1 - rate) ** taken.to(start.dtype)
    state = torch.where(taken[:, None] > 0, left[:, None] * start + summed @ keys, start)
    finite(state, query, keys)
    # Real states approach a fixed point: none returns to an earlier state exactly.
    numbers = (part.reshape(batch) for part in (taken, ~moving, torch.zeros_like(moving)))
    return Settled(state.reshape(query.shape), *numbers)


def _state(start: Tensor, keys: Tensor, summed: Tensor, left: float) -> Tensor:
    """Return states from what they are sums of."""
    return left * start + summed @ keys


def pays(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation, steps: int
) -> bool:
    """Return whether a recall takes fewer products in overlap space than with ``(m, d)`` keys.

    A recall of a few steps saves more than the products of all pairs of patterns cost.
    """
    plain = isinstance(keys, Tensor) and keys.dtype == query.dtype in EXACT
    if not plain or similarity is not dot or separation.coupled or arrays.observed():
        return False
    count, dim = keys.shape
    few, queries = min(steps, 4), query[..., 0].numel()
    return 1 <= count < dim and few * queries * (2 * dim - count) > count * dim
