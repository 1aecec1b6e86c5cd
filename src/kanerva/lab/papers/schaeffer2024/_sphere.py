"""Clusters on the sphere, and what attention with normalised queries does to them."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from scipy.sparse.csgraph import connected_components
from scipy.stats import vonmises_fisher
from torch import Tensor

from kanerva import Patterns, density, functional, theory
from kanerva.activation import Unit
from kanerva.lab.data._raw import extra
from kanerva.separation import Softmax
from kanerva.similarity import cosine, dot

__all__ = [
    "Clusters",
    "Compared",
    "Grouped",
    "clusters",
    "em",
    "fixed",
    "normed",
    "together",
]

# Directions with a larger cosine are one.
SAME = 0.999
Rows = Float64[Tensor, "n d"]


class Clusters(NamedTuple):
    """Rows on the sphere.

    * ``rows``: ``(n, d)``, of length 1.
    * ``cluster``: ``(n,)``, the cluster of each, from 0.
    * ``number``: of clusters.
    """

    rows: Rows
    cluster: Int64[Tensor, "n"]
    number: int


class Compared(NamedTuple):
    """Attention beside the posterior of a mixture.

    * ``apart``: the largest difference of the weights.
    * ``forgotten``: the same where the mixing weights lack the normaliser of the densities.
    """

    apart: float
    forgotten: float


class Grouped(NamedTuple):
    """What became of clusters.

    * ``apart``: the largest difference of a step from attention in plain torch; None without.
    * ``groups``: the number of distinct directions at the end.
    * ``agreement``: the adjusted Rand index of these groups and the clusters.
    * ``level``: the mean log-likelihood of a row, or the mean energy, at the end; None without.
    * ``worse``: the largest change of it in the wrong direction; None without.
    """

    apart: float | None
    groups: int
    agreement: float
    level: float | None
    worse: float | None


def clusters(count: int, each: int, dim: int, kappa: float, seed: int) -> Clusters:
    """Draw clusters from von Mises-Fisher distributions whose means are at right angles."""
    source = np.random.default_rng(seed)
    means = np.linalg.qr(source.standard_normal((dim, count)))[0].T
    rows = [vonmises_fisher(mean, kappa).rvs(each, random_state=source) for mean in means]
    cluster = torch.arange(count).repeat_interleave(each)
    return Clusters(torch.from_numpy(np.concatenate(rows)), cluster, count)


def _groups(rows: Rows) -> Int64[Tensor, "n"]:
    """Return the group of each row; rows with nearly the same direction are in one group."""
    near = (rows @ rows.T > SAME).numpy()
    return torch.from_numpy(connected_components(near, directed=False)[1]).long()


def fixed(found: Clusters, kappa: float, steps: int) -> Grouped:
    """Climb from each row to a mode of their density, by attention to keys that stay."""
    memory = Patterns(
        found.rows.shape[1],
        similarity=cosine,
        separation=Softmax(kappa),
        activation=Unit(),
        dtype=torch.float64,
    )
    memory.write(found.rows)
    path = memory.trace(found.rows, steps=steps)
    apart = (path.states[1] - _attended(found.rows, found.rows, kappa)).abs().max()
    energies = path.energies
    level = worse = None
    if energies is not None:
        level, worse = float(energies[-1].mean()), max(0.0, float(energies.diff(dim=0).max()))
    return _grouped(found, _groups(path.states[-1]), float(apart), level, worse)


def together(found: Clusters, kappa: float, steps: int) -> Grouped:
    """Update all rows at once, as layers of self-attention do."""
    rows = found.rows
    for _ in range(steps):
        rows = _unit(functional.read(rows, rows, rows, cosine, Softmax(kappa)))
    return _grouped(found, _groups(rows), None, None, None)


def em(found: Clusters, kappa: float, steps: int) -> Grouped:
    """Fit a mixture from one row of each cluster, and compare with attention over the slots."""
    slots = torch.stack([found.rows[found.cluster == one][0] for one in range(found.number)])
    fitted = density.sphere_em(found.rows, slots, kappa, steps)
    for _ in range(steps):
        weights = functional.scores(kappa * slots, found.rows, dot).softmax(0)
        slots = _unit(weights @ found.rows)
    apart = float((slots - fitted.means).abs().max())
    change = fitted.log_likelihood.diff()
    worse = max(0.0, -float(change.min()))
    level = float(fitted.log_likelihood[-1])
    return _grouped(found, fitted.weights.argmax(-1), apart, level, worse)


def normed(way: str, count: int, dim: int, kappa: float, seed: int) -> Compared:
    """Compare attention after a norm with the posterior of the mixture that it is."""
    source = np.random.default_rng(seed)
    x, keys = (torch.from_numpy(source.standard_normal((count, dim))) for _ in range(2))
    gamma, delta = (torch.from_numpy(source.standard_normal(dim)) for _ in range(2))
    keys = keys * kappa / dim  # of a mean kappa of about kappa
    scale: Tensor | float | None = None
    if way == "qk":
        keys, query, scale = _unit(keys), kappa * _unit(x), kappa
    elif way == "rms":
        map_ = torch.from_numpy(source.standard_normal((dim, dim))) / dim**0.5
        query = x / x.square().mean(-1, keepdim=True).sqrt() @ map_
        scale = query.norm(dim=-1)
    else:
        query = torch.nn.functional.layer_norm(x, (dim,), eps=0)
    unit = _unit(query)
    if way == "layer":
        sphere = density.attention_as_vmf(keys, gamma, delta)
        query = gamma * query + delta
    else:
        sphere = density.attention_as_vmf(keys, scale=scale)
    weights = functional.weights(query, keys, dot, Softmax(1.0))
    apart, forgotten = (
        float((weights - _posterior(sphere, unit, prior)).abs().max())
        for prior in (sphere.log_prior, sphere.log_weight)
    )
    return Compared(apart, forgotten)


def _posterior(
    sphere: density.Sphere, unit: Rows, log_prior: Float64[Tensor, "*shape"]
) -> Float64[Tensor, "n m"]:
    """Return the posterior of Bayes' rule, from densities that integrate to one."""
    log_c = -theory.kernel.log_normaliser("vmf", unit.shape[1], sphere.kappa.numpy())
    logs = torch.from_numpy(log_c) + sphere.kappa * (unit @ sphere.direction.T)
    return (logs + log_prior).softmax(-1)


def _attended(query: Rows, keys: Rows, kappa: float) -> Rows:
    return _unit((kappa * query @ keys.T).softmax(-1) @ keys)


def _unit(rows: Rows) -> Rows:
    return torch.nn.functional.normalize(rows, dim=-1)


def _grouped(
    found: Clusters,
    group: Int64[Tensor, "n"],
    apart: float | None,
    level: float | None,
    worse: float | None,
) -> Grouped:
    metrics = extra("sklearn.metrics", "scikit-learn", "bridge.sphere")
    agreement = float(metrics.adjusted_rand_score(found.cluster, group))
    return Grouped(apart, len(set(group.tolist())), agreement, level, worse)
