"""Memories of real vectors as the paper compares them, and the rounding of its published code."""

import math
from typing import Any

import torch
from torch import Tensor

from kanerva import bits, theory
from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.activation import Activation, Unit
from kanerva.lab.papers.bricken2021._words import CONTINUOUS
from kanerva.memory import Patterns
from kanerva.memory._inputs import Given
from kanerva.models import sdm_continuous_attention, sdm_continuous_patterns
from kanerva.separation import Cap, Circle, Normalised, Power, Separation, Softmax
from kanerva.similarity import Overlap, Similarity, cosine

__all__ = ["DRAWS", "Folded", "Redrawn", "Rounded", "few", "memory"]

DRAWS = ("poisson", "rounded")
UNIT = Unit()


class Rounded:
    """Score by the number of shared locations as the published code draws it.

    The mean of that number is rounded down or up to a whole number, with the probabilities that
    keep the mean, and drawn again at every read. Random locations share a Poisson number instead,
    which has a far larger spread and is drawn once.

    One generator draws for all queries in their order, so a memory must not divide a read among
    threads or blocks; ``Redrawn`` does not.
    """

    def __init__(
        self, similarity: Similarity, rule: "Circle | Cap | Folded", log_scale: float, seed: int
    ) -> None:
        self.similarity, self.rule, self.log_scale = similarity, rule, log_scale
        self.source = torch.Generator().manual_seed(seed)

    def __call__(self, query: Tensor, keys: Tensor) -> Tensor:
        mean = (self.rule.log_weights(self.similarity(query, keys)) + self.log_scale).exp()
        return mean.floor() + (torch.rand(mean.shape, generator=self.source) < mean.frac())


class Redrawn(Patterns):
    """Patterns whose shared locations, ``Rounded``, are drawn once for all queries of a read."""

    def _read(self, given: Given) -> Tensor:
        rows = given.rows
        shared = self.similarity(rows, given.keys)
        value = self.activation(self.separation(shared, given.kept) @ given.values, rows)
        lost = (shared == 0).all(-1, keepdim=True)
        return torch.where(lost, rows, value) if self.empty == "keep" else value


class Folded(Separation):
    """Weigh a cosine as circles weigh the bits that correspond to it, floor((n / 2) (1 - cos))."""

    normalised, gradient, expects = True, False, ("cosine",)

    def __init__(self, bits: int, radius: int) -> None:
        self.circle = Circle(bits, radius)

    def __call__(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.circle(self.circle.bits - self.distance(scores), mask)

    def distance(self, scores: Tensor) -> Tensor:
        """Return the distance in whole bits."""
        # A cosine of float32 may miss 1 by rounding.
        return (self.circle.bits / 2 * (1 - scores) + 1e-4).floor().clamp(0, self.circle.bits)

    def log_weights(self, scores: Tensor) -> Tensor:
        """Return the logarithm of the share of the space in both circles."""
        return self.circle.log_weights(self.circle.bits - self.distance(scores))

    def potential(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Raise InputError: the rule has no potential."""
        return self.circle.potential(scores, mask)


@door("recipe")
def memory(
    algorithm: str,
    dim: int,
    radius: int,
    value_dim: int | None = None,
    method: str = "published",
    activation: Activation = UNIT,
    **store: Any,
) -> Patterns:
    """Build one of the memories named in ``CONTINUOUS``.

    Args:
        algorithm: its name.
        dim: n, the length of a key and the dimension of the circles.
        radius: the radius of the circles or caps, in bits.
        value_dim: the length of a value; that of a key unless given.
        method: the method that fits beta.
        activation: the activation of a read.
        **store: passed on to ``Patterns``.
    """
    store["activation"] = activation
    match checks.choice("algorithm", algorithm, CONTINUOUS):
        case "continuous":
            return sdm_continuous_patterns(dim, radius, value_dim, **store)
        case "continuous_attention":
            return sdm_continuous_attention(dim, radius, value_dim, method, **store)
        case "continuous_folded":
            separation: Separation = Folded(dim, radius)
        case _:
            separation = Softmax(theory.beta.fit(dim, radius, method).beta)
    return Patterns(dim, value_dim, similarity=cosine, separation=separation, **store)


@door("recipe")
def few(
    dim: int,
    radius: int,
    locations: float,
    value_dim: int | None = None,
    draw: str = "poisson",
    activation: Activation = UNIT,
    seed: int = 0,
) -> Patterns:
    """Build ``continuous_folded`` with a finite number of locations.

    The number of shared locations is a Poisson number, drawn once for each pair of orthants, or
    ``Rounded``.
    """
    rule = Folded(dim, radius)
    # The order of a power is one more than that of its weights.
    parts: Any = {"separation": Normalised(Power(2)), "activation": activation}
    if checks.choice("draw", draw, DRAWS) == "poisson":
        overlap = Overlap(dim, radius, locations, seed)

        def similarity(query: Tensor, keys: Tensor) -> Tensor:
            left, right = (bits.mix(bits.fingerprint(x, seed)) for x in (query, keys))
            chances = bits.uniform(bits.mix(left.unsqueeze(-1) + right))
            distances = rule.distance(cosine(query, keys)).long()
            return overlap._quantile(distances, chances).to(query.dtype)

        return Patterns(dim, value_dim, similarity=similarity, **parts)
    rounded = Rounded(cosine, rule, math.log(locations), seed)
    return Redrawn(dim, value_dim, similarity=rounded, **parts)
