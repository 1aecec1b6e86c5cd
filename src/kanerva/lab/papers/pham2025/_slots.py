"""Means that are fitted to digits, and what their exact denoiser samples."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from kanerva import density, diffusion
from kanerva.lab.papers.pham2025 import _digits
from kanerva.lab.papers.pham2025._distances import nearest
from kanerva.lab.recipe import Row

__all__ = ["fitted", "measured"]

HIGH, LOW, EVALUATIONS = 10.0, 0.05, 20
# Starts of k-means.
STARTS = 10
# The standard deviation of a slot, and the steps of Adam, of `density.elbo`.
SCALE, SWEEPS = 0.2, 120
# How far a sample that has ended at a slot may be from it.
AT = 1e-2


def fitted(
    method: str, rows: Float64[Tensor, "n d"], slots: int, seed: int
) -> tuple[Float64[Tensor, "m d"], Int64[Tensor, "n"]]:
    """Return the means, and the place of the mean of each row."""
    if method == "exact":
        return rows, torch.arange(len(rows))
    number = min(slots, len(rows))
    if method == "kmeans":
        from sklearn.cluster import KMeans

        found = KMeans(number, n_init=STARTS, random_state=seed).fit(rows.numpy())
        return torch.from_numpy(found.cluster_centers_), torch.from_numpy(found.labels_).long()
    memory = density.elbo(rows.shape[1], number, SCALE, dtype=rows.dtype)
    places = memory.fit(rows, sweeps=SWEEPS, seed=seed)
    return memory.keys[:].detach(), places.long()


def measured(
    method: str,
    count: int,
    slots: int,
    samples: int,
    thresholds: tuple[float, float],
    seed: int,
) -> Row:
    """Fit means to digits, sample, and sort the samples."""
    rows = _digits.digits(count, seed).train.double()
    means, places = fitted(method, rows, slots, seed)
    source = torch.Generator().manual_seed(seed)
    start = HIGH * torch.randn(samples, rows.shape[1], generator=source, dtype=rows.dtype)
    sigmas = diffusion.schedule("geometric", EVALUATIONS, HIGH, LOW)
    found = diffusion.sample(diffusion.exact(means), start, sigmas, energies=False).states[-1]
    shares = diffusion.classify(found, rows, *thresholds)
    single = (places.bincount(minlength=len(means)) == 1).double().mean()
    return {
        "memorised": shares.memorised,
        "spurious": shares.spurious,
        "generalised": shares.generalised,
        "single": single,
        "excess": shares.memorised - single,
        "off": (nearest(found, means) > AT).double().mean(),
        "distance": shares.distance.median(),
    }
