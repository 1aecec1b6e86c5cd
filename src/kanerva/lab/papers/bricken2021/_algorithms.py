"""Memories of real vectors as the paper compares them, and what its code does otherwise than the library."""

import math
from typing import Any

import torch
from torch import Tensor

from kanerva import bits, theory
from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.activation import Activation, Unit
from kanerva.memory import Patterns
from kanerva.models import sdm_continuous_attention, sdm_continuous_patterns
from kanerva.separation import Cap, Circle, Normalised, Power, Separation, Softmax
from kanerva.similarity import Overlap, Similarity, cosine

__all__ = ["ALGORITHMS", "DRAWS", "Folded", "Rounded", "few", "memory"]

ALGORITHMS = (
    "continuous",
    "continuous_folded",
    "continuous_attention",
    "continuous_attention_circle",
)
DRAWS = ("poisson", "rounded")
UNIT = Unit()


class Rounded:
    """Score by a number of shared locations as the published code draws it: the mean, rounded down or up by chance.

    The mean of a finite number of locations is rounded to one of the two whole numbers beside it, with the chances that
    keep the mean, and anew at every read. Real locations share a Poisson number, which spreads far more, and once for all.
    """

    def __init__(
        self, similarity: Similarity, rule: "Circle | Cap | Folded", log_scale: float, seed: int
    ) -> None:
        self.similarity, self.rule, self.log_scale = similarity, rule, log_scale
        self.source = torch.Generator().manual_seed(seed)

    def __call__(self, query: Tensor, keys: Tensor) -> Tensor:
        mean = (self.rule.log_weights(self.similarity(query, keys)) + self.log_scale).exp()
        return mean.floor() + (torch.rand(mean.shape, generator=self.source) < mean.frac())


class Folded(Separation):
    """Weigh cosines as circles weigh the distance between bits that they stand for, floor((n / 2) (1 - cos))."""

    normalised, gradient, expects = True, False, ("cosine",)

    def __init__(self, bits: int, radius: int) -> None:
        self.circle = Circle(bits, radius)

    def __call__(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.circle(self.circle.bits - self.distance(scores), mask)

    def distance(self, scores: Tensor) -> Tensor:
        """Return whole bits."""
        # a cosine of float32 may miss 1 by rounding
        return (self.circle.bits / 2 * (1 - scores) + 1e-4).floor().clamp(0, self.circle.bits)

    def log_weights(self, scores: Tensor) -> Tensor:
        """Return the log of the share of the cube that both circles hold."""
        return self.circle.log_weights(self.circle.bits - self.distance(scores))

    def potential(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Refuse: there is none."""
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
    """Build one of ``ALGORITHMS``: real keys weighed by caps, by circles at folded cosines, or by a softmax fitted to either.

    ``method`` says how beta is fitted; ``store`` is passed on to ``Patterns``.
    """
    store["activation"] = activation
    builders = {
        "continuous": lambda: sdm_continuous_patterns(dim, radius, value_dim, **store),
        "continuous_folded": lambda: Patterns(
            dim, value_dim, similarity=cosine, separation=Folded(dim, radius), **store
        ),
        "continuous_attention": lambda: sdm_continuous_attention(
            dim, radius, value_dim, method, **store
        ),
        "continuous_attention_circle": lambda: Patterns(
            dim,
            value_dim,
            similarity=cosine,
            separation=Softmax(theory.beta.fit(dim, radius, method).beta),
            **store,
        ),
    }
    return builders[checks.choice("algorithm", algorithm, ALGORITHMS)]()


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
    """Build ``continuous_folded`` with finitely many locations.

    How many are shared is a Poisson number, drawn once for each pair of orthants, or ``Rounded``.
    """
    rule = Folded(dim, radius)
    similarity: Similarity = Rounded(cosine, rule, math.log(locations), seed)
    if checks.choice("draw", draw, DRAWS) == "poisson":
        overlap = Overlap(dim, radius, locations, seed)

        def similarity(query: Tensor, keys: Tensor) -> Tensor:
            pairs = bits.mix(bits.fingerprint(query, seed)).unsqueeze(-1) + bits.mix(
                bits.fingerprint(keys, seed)
            )
            return overlap._quantile(
                rule.distance(cosine(query, keys)).long(), bits.uniform(bits.mix(pairs))
            ).to(query.dtype)

    # The order of a power is one more than that of its weights.
    return Patterns(
        dim,
        value_dim,
        similarity=similarity,
        separation=Normalised(Power(2)),
        activation=activation,
    )
