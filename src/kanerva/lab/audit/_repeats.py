"""Groups of samples that repeat one another, and training rows that are copied often."""

from typing import Any

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from kanerva._core.settings import settings
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
    """Number the groups of rows that steps within a threshold link."""
    labels = torch.full((len(rows),), -1)
    left = torch.arange(len(rows))
    count = 0
    while len(left):
        edge, left = left[:1], left[1:]
        labels[edge] = count
        while len(edge) and len(left):
            near = _near(rows, edge, left, threshold)
            edge, left = left[near], left[~near]
            labels[edge] = count
        count += 1
    return labels


def _near(rows: Tensor, edge: Tensor, left: Tensor, threshold: float) -> Tensor:
    """Return which of the rows left are within the threshold of any on the edge."""
    near = torch.zeros(len(left), dtype=torch.bool)
    step = max(1, settings.budget // (64 * max(len(left), rows.shape[1])))
    others = rows[left]
    for start in range(0, len(edge), step):
        some = rows[edge[start : start + step]]
        apart = torch.cdist(some, others, compute_mode="donot_use_mm_for_euclid_dist")
        near |= (apart <= threshold).any(0)
    return near


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
