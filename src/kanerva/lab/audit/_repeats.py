"""Groups of samples that repeat one another, and training rows that are copied often."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from kanerva._core.settings import settings
from kanerva._engine.scores import pieces
from kanerva.diffusion import Shares
from kanerva.diffusion._classify import KINDS
from kanerva.diffusion._near import distinct

__all__ = ["copied", "groups"]

Row = dict[str, Any]


def groups(samples: Float64[Tensor, "n d"], found: Shares) -> list[Row]:
    """Return the groups of samples that are linked by distances within the second threshold.

    Args:
        samples: of the audit.
        found: their kinds and distances.

    Returns:
        a dict for each group, the largest first.
    """
    within = found.apart <= found.thresholds[1]
    places = within.nonzero().squeeze(-1)
    # Copies are of one group: one of each is enough.
    kinds = distinct(samples[places])
    which = kinds.which
    labels = _linked(samples[places][kinds.first], found.thresholds[1])[which]
    rows = [_group(places[part], len(set(which[part].tolist())), found) for part in _parts(labels)]
    return sorted(rows, key=lambda row: (-row["size"], row["members"][0]))


def _parts(labels: Int64[Tensor, "n"]) -> tuple[Tensor, ...]:
    """Return the places of each label, in increasing order; none where there are no labels."""
    if not len(labels):
        return ()
    order = labels.argsort(stable=True)
    ends = (labels[order].diff() != 0).nonzero().squeeze(-1) + 1
    return order.tensor_split(ends)


def _group(members: Int64[Tensor, "k"], distinct: int, found: Shares) -> Row:
    """Describe a group."""
    kinds = found.kind[members]
    return {
        "size": len(members),
        "distinct": distinct,
        "memorised": int((kinds == KINDS.index("memorised")).sum()),
        "nearest": int(found.nearest[members[0]]),
        "distance": float(found.distance[members[0]]),
        "members": members.tolist(),
    }


def _linked(rows: Float64[Tensor, "k d"], threshold: float) -> Int64[Tensor, "k"]:
    """Number the groups of distinct rows that steps within a threshold link, a block at a time."""
    labels = torch.arange(len(rows))
    if not threshold or not len(rows):
        return labels
    step = max(1, settings.budget // (64 * len(rows)))
    away = rows - rows[:1]
    length = away.square().sum(-1)
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        square = length[block, None] + length - 2 * away[block] @ away.mT
        labels = _merged(labels, _within(rows, square, start, threshold), start)
    return labels


def _within(rows: Tensor, square: Tensor, start: int, threshold: float) -> Tensor:
    """Return which distances are within the threshold, where rounding leaves doubt by differences.

    ``square`` are squares of the distances of some rows, the first of which is ``start``, to all.
    """
    largest = float((rows - rows[:1]).square().sum(-1).amax())
    margin = 4 * (rows.shape[1] + 8) * torch.finfo(rows.dtype).eps * largest
    near = square <= threshold**2
    left, right = ((square - threshold**2).abs() <= margin).nonzero().unbind(-1)
    for part in pieces(len(left), 4 * rows.shape[1]):
        one, other = rows[left[part] + start].unsqueeze(1), rows[right[part]].unsqueeze(1)
        apart = torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
        near[left[part], right[part]] = apart.flatten() <= threshold
    return near


def _merged(labels: Tensor, near: Tensor, start: int) -> Tensor:
    """Join the groups that a block of links connects."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(labels)
    left, right = near.nonzero().unbind(-1)
    # Rows of one group have a node in common.
    nodes = torch.cat([left + start, torch.arange(count)]), torch.cat([right, labels + count])
    places = tuple(side.numpy() for side in nodes)
    links = coo_array((np.ones(len(places[0]), bool), places), shape=(2 * count, 2 * count))
    _, found = connected_components(links, directed=False)
    return torch.from_numpy(np.unique(found[:count], return_inverse=True)[1].astype(np.int64))


def copied(found: Shares) -> list[Row]:
    """Return the training rows that samples copy, those that most samples copy first.

    Args:
        found: of the samples.
    """
    copies = (found.kind == KINDS.index("memorised")).nonzero().squeeze(-1)
    rows: list[Row] = []
    for part in _parts(found.nearest[copies]):
        mine = copies[part]
        near = mine[found.distance[mine].argmin()]
        row, least = int(found.nearest[near]), float(found.distance[near])
        rows.append({"row": row, "times": len(mine), "sample": int(near), "distance": least})
    return sorted(rows, key=lambda row: (-row["times"], row["row"]))
