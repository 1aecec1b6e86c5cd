"""Retrieval by a learned softmax, and by circles: training, and shares of right answers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from kanerva import bits as vectors
from kanerva import theory

__all__ = ["Score", "Task", "Trained", "score", "train"]

# The share of bits in which a correlated key differs from the mean of all, at most.
ALIKE = 0.25
# Adam's rates for the logarithm of beta and for the projection, which fall to zero.
RATE, SLOW = 0.03, 1e-3
TESTS, BLOCK = 4096, 512


@dataclass(frozen=True)
class Task:
    """Keys, and queries that are keys with noise.

    * ``bits``, ``patterns``: n and m.
    * ``flips``: the probability that a bit of a query is wrong.
    * ``noise``: ``"flips"``, or ``"gaussian"`` noise of such size that as many signs are wrong.
    * ``keys``: ``"random"``, or ``"correlated"``: random bits, of which the share ``ALIKE`` is
      drawn anew for each key.
    """

    bits: int
    patterns: int
    flips: float
    noise: str
    keys: str

    def deviation(self) -> float:
        """Return the standard deviation of Gaussian noise that makes ``flips`` signs wrong."""
        return 1 / (math.sqrt(2) * torch.erfinv(torch.tensor(1 - 2 * self.flips).double()).item())

    def bayes(self) -> float:
        """Return the beta of the posterior, per unit of cosine.

        With Gaussian noise of deviation s the posterior is softmax(q k / s^2); the mean square of
        the length of a query is n (1 + s^2), that of a key is n.
        """
        if self.noise == "flips":
            return theory.beta.of_noise(self.bits, self.flips)
        square = self.deviation() ** 2
        return self.bits * math.sqrt(1 + square) / square

    def draw(
        self, count: int, source: torch.Generator
    ) -> tuple[Float[Tensor, "m n"], Float[Tensor, "count n"], Int64[Tensor, "count"]]:
        """Draw keys, queries, and the place of the key of each query."""
        keys = vectors.random(self.patterns, self.bits, seed=source)
        if self.keys == "correlated":
            shared = vectors.random(1, self.bits, seed=source)
            drawn = torch.rand(keys.shape, generator=source) < 2 * ALIKE
            keys = torch.where(drawn, keys, shared)
        right = torch.randint(self.patterns, (count,), generator=source)
        query = keys[right]
        if self.noise == "flips":
            wrong = torch.rand(query.shape, generator=source) < self.flips
            return keys, torch.where(wrong, -query, query), right
        noise = torch.randn(query.shape, generator=source)
        return keys, query + self.deviation() * noise, right


class Trained(NamedTuple):
    """What was trained.

    * ``beta``: per unit of cosine.
    * ``map``: ``(n, n)``, of queries and keys; None where beta alone was trained.
    """

    beta: float
    map: Float[Tensor, "n n"] | None


class Score(NamedTuple):
    """How well a reader retrieves.

    * ``name``: of the reader.
    * ``right``: the share of queries whose right pattern has the largest weight, where k equally
      large weights count as one k-th.
    * ``weight``: the mean weight of the right pattern.
    * ``empty``: the share of queries for which no pattern has a weight.
    """

    name: str
    right: float
    weight: float
    empty: float


def train(task: Task, projected: bool, updates: int, batch: int, seed: int) -> Trained:
    """Train beta, and on request a projection, by the cross-entropy of the right place."""
    source = torch.Generator().manual_seed(seed)
    log_beta = nn.Parameter(torch.tensor(math.log(10.0)))
    groups = [{"params": [log_beta], "lr": RATE}]
    map_ = nn.Parameter(torch.eye(task.bits)) if projected else None
    if map_ is not None:
        groups.append({"params": [map_], "lr": SLOW})
    optimiser = torch.optim.Adam(groups)
    fall = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / updates)
    for _ in range(updates):
        keys, query, right = task.draw(batch, source)
        loss = nn.functional.cross_entropy(log_beta.exp() * _cosines(query, keys, map_), right)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        fall.step()
    return Trained(float(log_beta.detach().exp()), None if map_ is None else map_.detach())


def score(task: Task, readers: dict[str, Trained | int], seed: int) -> Iterator[Score]:
    """Measure readers, each a softmax or the radius of circles, on the same queries."""
    source = torch.Generator().manual_seed(seed)
    sums = {name: torch.zeros(3, dtype=torch.float64) for name in readers}
    for _ in range(TESTS // BLOCK):
        keys, query, right = task.draw(BLOCK, source)
        for name, reader in readers.items():
            sums[name] += _judged(_weights(task, reader, query, keys), right)
    for name, total in sums.items():
        yield Score(name, *(total / TESTS).tolist())


def _judged(
    weights: Float[Tensor, "queries m"], right: Int64[Tensor, "queries"]
) -> Float[Tensor, "3"]:
    """Sum the shares of right answers, the weights of the right patterns, and empty reads."""
    largest = weights.max(-1, keepdim=True).values
    ties = (weights == largest) & (largest > 0)
    own = right[:, None]
    best = ties.gather(1, own).squeeze(1).double() / ties.sum(-1).clamp_min(1)
    weight = weights.gather(1, own).squeeze(1)
    return torch.stack([best.sum(), weight.sum(), (largest == 0).double().sum()])


def _weights(
    task: Task, reader: Trained | int, query: Float[Tensor, "queries n"], keys: Float[Tensor, "m n"]
) -> Float[Tensor, "queries m"]:
    """Weigh the keys for each query; the rows of circles that contain nothing are zeros."""
    if isinstance(reader, Trained):
        return (reader.beta * _cosines(query, keys, reader.map)).double().softmax(-1)
    # Circles are those of bits: of a query of real numbers the signs are taken.
    signs = torch.where(query >= 0, 1.0, -1.0)
    distance = ((task.bits - signs @ keys.T) / 2).round().long()
    logs = torch.from_numpy(theory.circle.log_fraction(task.bits, reader))[distance]
    return (logs - logs.max(-1, keepdim=True).values).softmax(-1).nan_to_num(0.0)


def _cosines(
    query: Float[Tensor, "queries n"],
    keys: Float[Tensor, "m n"],
    map_: Float[Tensor, "n n"] | None,
) -> Float[Tensor, "queries m"]:
    """Return the cosines of queries and keys, after the projection if there is one."""
    if map_ is not None:
        query, keys = query @ map_, keys @ map_
    unit = nn.functional.normalize
    return unit(query, dim=-1) @ unit(keys, dim=-1).T
