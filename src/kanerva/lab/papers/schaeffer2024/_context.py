"""Energies of mixtures in context: the truth, a memory that writes, a trained model, and measures.

An energy is a function of mixtures with points ``(b, n, 2)`` and of queries ``(..., b, n, 2)``:
query i is given the points before i.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva import Patterns
from kanerva.density import InContext, Langevin, context_energy, fit_in_context
from kanerva.density._langevin import starts, walk
from kanerva.lab.papers.schaeffer2024._maps import LEVELS
from kanerva.separation import Softmax
from kanerva.similarity import closeness

__all__ = [
    "Measures",
    "Mixtures",
    "apart",
    "maps",
    "measured",
    "mixtures",
    "trained",
    "true",
    "writing",
]

COMPONENTS, PRIOR, DEVIATION, BOX = 3, 3.0, 0.5, 9.0
WIDTH = 32
# Uniform points beside each point of a mixture, and those of a rank correlation.
OTHERS, POINTS = 16, 200
# Samples of each context, of how many mixtures, and how they are drawn.
SAMPLES, SAMPLED, CHAIN = 8, 32, Langevin(steps=40, box=BOX)
# True energies of points far from all means differ by more than any model can know.
CLIP = 60.0
# The levels of a map double from this share of the box.
LEAST = 0.01


class Mixtures(NamedTuple):
    """Mixtures of Gaussians in the plane, and points drawn from them.

    * ``means``: ``(b, 3, 2)``, normal with a standard deviation of 3.
    * ``points``: ``(b, n, 2)``, of three equally likely components with one of 0.5.
    """

    means: Float64[Tensor, "b k d"]
    points: Float64[Tensor, "b n d"]

    def first(self, count: int) -> "Mixtures":
        """Return the first mixtures."""
        return Mixtures(self.means[:count], self.points[:count])


Queries = Float64[Tensor, "*more b n d"]
Energies = Float64[Tensor, "*more b n"]
Energy = Callable[[Mixtures, Queries], Energies]


class Measures(NamedTuple):
    """How good an energy is after so many points.

    * ``seen``: the number of points.
    * ``accuracy``: the probability that a point of the mixture has less energy than a uniform one.
    * ``spearman``: correlation of the ranks of the energy and of the true one, of uniform points.
    * ``distance``: the median distance of Langevin samples to the nearest mean.
    * ``within``: the share of them within 3 standard deviations of a mean.
    """

    seen: int
    accuracy: float
    spearman: float
    distance: float
    within: float


def mixtures(count: int, points: int, source: torch.Generator) -> Mixtures:
    """Draw mixtures, and points of each."""
    means = PRIOR * torch.randn(count, COMPONENTS, 2, generator=source, dtype=torch.float64)
    chosen = torch.randint(COMPONENTS, (count, points), generator=source)
    noise = DEVIATION * torch.randn(count, points, 2, generator=source, dtype=torch.float64)
    return Mixtures(means, means.take_along_dim(chosen[..., None], 1) + noise)


def normal(query: Tensor, mean: Tensor, variance: float) -> Tensor:
    """Return the log density of round Gaussians in the plane."""
    away = (query - mean).square().sum(-1)
    return -away / (2 * variance) - math.log(2 * math.pi * variance)


def true(drawn: Mixtures, query: Queries) -> Energies:
    """Return the energy of the true mixtures: -log p."""
    each = normal(query[..., None, :], drawn.means[:, None], DEVIATION**2)
    return math.log(COMPONENTS) - each.logsumexp(-1)


def writing(drawn: Mixtures, query: Queries) -> Energies:
    """Return -log p of a kernel density of the points seen, with the prior as one more kernel.

    A kernel has twice the variance of a component: the mean that drew a point is as uncertain as
    the next point that it draws.
    """
    variance = 2 * DEVIATION**2
    beta = 1 / variance
    rule = Softmax(beta)
    memory = Patterns(2, similarity=closeness, separation=rule, dtype=torch.float64)
    kernels = -beta * context_energy(drawn.points, query, memory) - math.log(2 * math.pi * variance)
    prior = normal(query, torch.zeros(2, dtype=query.dtype), PRIOR**2 + DEVIATION**2)
    count = torch.arange(1, query.shape[-2] + 1, dtype=query.dtype)
    return count.log() - torch.logaddexp(prior, kernels)


def trained(updates: int, batch: int, points: int, seed: int) -> Energy:
    """Train a small model on mixtures that are drawn anew for each update."""

    def draw(source: torch.Generator) -> Tensor:
        return mixtures(batch, points, source).points.float()

    model = InContext(2, WIDTH, layers=2, heads=4, seed=seed)
    # Another seed than that of the mixtures on which the model is measured.
    fit_in_context(model, draw, updates, chain=Langevin(box=BOX), seed=seed + 1)

    def energy(drawn: Mixtures, query: Queries) -> Energies:
        return model.energy(drawn.points.float(), query.float()).double()

    return energy


def measured(energy: Energy, drawn: Mixtures, ranked: int, seed: int) -> Iterator[Measures]:
    """Measure an energy after each number of points; rank correlations on so many mixtures."""
    source = torch.Generator().manual_seed(seed)
    away = distances(energy, drawn.first(SAMPLED), source)
    columns = (
        accuracy(energy, drawn, source),
        correlation(energy, drawn.first(ranked), source),
        away.quantile(0.5, 0),
        (away < 3 * DEVIATION).double().mean(0),
    )
    for seen, values in enumerate(torch.stack(columns, -1).tolist()):
        yield Measures(seen, *values)


def accuracy(energy: Energy, drawn: Mixtures, source: torch.Generator) -> Tensor:
    """Return how often a point has less energy than a uniform one, ``(n,)``."""
    x = drawn.points
    with torch.no_grad():
        found = energy(drawn, torch.cat((x[None], starts((OTHERS, *x.shape), x, CHAIN, source))))
    return (found[:1] < found[1:]).double().mean((0, 1))


def correlation(energy: Energy, drawn: Mixtures, source: torch.Generator) -> Tensor:
    """Return the mean over mixtures of Spearman's correlation with the truth, ``(n,)``."""
    from scipy.stats import rankdata

    x = drawn.points
    uniform = starts((POINTS, len(x), 1, 2), x, CHAIN, source)
    with torch.no_grad():
        found = energy(drawn, uniform.expand(-1, -1, x.shape[1], -1))
        known = true(drawn, uniform).clamp(max=CLIP)
    ranks = (torch.from_numpy(rankdata(part.numpy(), axis=0)) for part in (found, known))
    first, second = (part - part.mean(0) for part in ranks)
    return ((first * second).sum(0) / (first.norm(dim=0) * second.norm(dim=0))).mean(0)


def distances(energy: Energy, drawn: Mixtures, source: torch.Generator) -> Tensor:
    """Return how far samples are from the nearest mean, ``(samples, n)``."""
    first = starts((SAMPLES, *drawn.points.shape), drawn.points, CHAIN, source)
    found = walk(lambda query: energy(drawn, query), first, CHAIN, source)
    away = (found[..., None, :] - drawn.means[:, None]).norm(dim=-1)
    return away.amin(-1).flatten(0, 1)


def apart(drawn: Mixtures, seen: int) -> Mixtures:
    """Return the mixture with the largest distance of its nearest means, all among the points seen.

    All of its means lie within the box.
    """
    near = torch.cdist(drawn.points[:, :seen], drawn.means).argmin(-1)
    fits = (near[..., None] == torch.arange(COMPONENTS)).any(1).all(-1)
    fits &= drawn.means.abs().amax((-1, -2)) < BOX - 3 * DEVIATION
    each = torch.cdist(drawn.means, drawn.means) + torch.eye(COMPONENTS) * 4 * BOX
    chosen = torch.where(fits, each.amin((-1, -2)), -1.0).argmax()
    return Mixtures(drawn.means[chosen, None], drawn.points[chosen, None])


def maps(energy: Energy, drawn: Mixtures, side: int) -> list[str]:
    """Return the map of one mixture after each number of points, as letters of its cells.

    The letter of a cell says which share of the box has less energy: a for the lowest hundredth,
    then b to twice that, c to four times, and so on. The rows go upwards.
    """
    middle = ((torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 - 1) * BOX
    grid = torch.stack(torch.meshgrid(middle, middle, indexing="xy"), -1).reshape(-1, 1, 1, 2)
    with torch.no_grad():
        found = energy(drawn, grid.expand(-1, 1, drawn.points.shape[1], -1))[:, 0]
    share = (found.argsort(0).argsort(0) + 1) / len(grid)
    level = (share / LEAST).log2().ceil().clamp(0, len(LEVELS) - 1).long()
    return ["".join(LEVELS[place] for place in column) for column in level.T.tolist()]
