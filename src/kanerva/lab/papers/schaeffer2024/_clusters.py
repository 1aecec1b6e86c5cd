"""Clusters of points, and how well the groups of a method agree with them."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

__all__ = ["decades", "hexagon", "negative_log_likelihood", "scores", "tables"]

# The geometry of the six clusters.
RADIUS, SPREAD = 8.0, 0.5


def decades(last: int) -> list[int]:
    """Return about ten numbers a decade, up to the last one."""
    grid = 10 ** np.arange(0, np.log10(last) + 1e-9, 0.1)
    return sorted({round(float(one)) for one in grid})


def negative_log_likelihood(
    x: Float64[Tensor, "n d"], means: Float64[Tensor, "k d"], beta: float
) -> Float64[Tensor, "n"]:
    """Return -log of the mean of the Gaussian kernels, for CLAM's beta."""
    far = torch.cdist(x, means, compute_mode="donot_use_mm_for_euclid_dist").square()
    size = x.shape[-1] / 2 * np.log(beta / np.pi) - np.log(len(means))
    return -((-beta * far).logsumexp(-1) + size)


def hexagon(each: int, order: str, seed: int) -> tuple[Float64[Tensor, "n 2"], np.ndarray]:
    """Return points of six clusters, shuffled by a seed or sorted, and the cluster of each."""
    angles = np.arange(6) * np.pi / 3
    centres = RADIUS * np.stack([np.cos(angles), np.sin(angles)], -1)
    cluster = np.repeat(np.arange(6), each)
    noise = np.random.default_rng(0).standard_normal((len(cluster), 2))
    x = centres[cluster] + SPREAD * noise
    place = np.arange(len(x))
    if order == "shuffled":
        place = np.random.default_rng(seed).permutation(len(x))
    return torch.from_numpy(x[place]), cluster[place]


def tables(rows: int, concentration: float, discount: float, runs: int, seed: int) -> float:
    """Return the mean number of tables of simulated runs of the process."""
    draws = np.random.default_rng(seed).random((rows, runs))
    found = np.ones(runs)
    for row in range(1, rows):
        found += draws[row] * (concentration + row) < concentration + discount * found
    return float(found.mean())


def scores(x: Any, classes: Any, ids: Any) -> dict[str, float | None]:
    """Return how well groups agree with classes, how far apart they are, and how many there are.

    The silhouette is None where all rows, or no two rows, are of one group.
    """
    from sklearn import metrics

    found = len(set(ids))
    apart = float(metrics.silhouette_score(x, ids)) if 1 < found < len(ids) else None
    return {
        "ari": float(metrics.adjusted_rand_score(classes, ids)),
        "ami": float(metrics.adjusted_mutual_info_score(classes, ids)),
        "silhouette": apart,
        "found": found,
    }
