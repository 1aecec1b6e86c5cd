"""Pictures, learned keys for them, and how near a recall comes to a picture."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from kanerva import dynamics, theory
from kanerva._core import checks
from kanerva.lab import data
from kanerva.nn import projection

__all__ = ["KEY", "Read", "choose", "damages", "load", "outcome", "through", "trained"]

Read = Callable[[Tensor], Tensor]
# The length of a learned key.
KEY = 64
LEVELS = 7
# By number of pixels: the damage from one level to the next, and the range of damage in training,
# in bits.
STEP = {64: 4, 784: 50, 1024: 50}
TRAINED = {64: (1.0, 8.0), 784: (10.0, 100.0), 1024: (10.0, 100.0)}


def load(source: str, count: int, seed: int) -> Tensor:
    """Load pictures as ink, from 0 to 1; a count of 0 means all of them."""
    return data.load(source, patterns=count or None, seed=seed, domain="real").real / 2 + 0.5


def choose(pictures: Tensor, count: int, seed: int) -> Tensor:
    """Choose the indices of pictures that are recalled."""
    checks.integer("queries", count, 1)
    return torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))[:count]


def damages(pixels: int) -> list[float]:
    """Return the levels of damage, in flipped bits."""
    return [level * STEP.get(pixels, pixels / 16) for level in range(LEVELS)]


def trained(
    pictures: Tensor, radius: int, method: str, epochs: int, seed: int
) -> projection.Projection:
    """Train keys for pictures through the attention that is fitted to circles of this radius."""
    pixels = pictures.shape[-1]
    keys = projection.Projection(pixels, KEY, seed=seed)
    beta = theory.beta.fit(KEY, radius, method).beta
    damage = TRAINED.get(pixels, (pixels / 64, pixels / 8))
    projection.fit(keys, pictures, beta, damage, epochs=epochs, seed=seed)
    return keys.requires_grad_(False)


def through(read: Read, keys: Read) -> Read:
    """Return a read by the keys of pictures that returns the picture where nothing is in reach."""

    def step(pictures: Tensor) -> Tensor:
        value = read(keys(pictures))
        return torch.where((value == 0).all(-1, keepdim=True), pictures, value)

    return step


def outcome(
    read: Read, pictures: Tensor, chosen: Tensor, cues: Tensor, steps: int, rest: float
) -> dict[str, Any]:
    """Recall pictures from damaged cues.

    Args:
        read: one read.
        pictures: all that are stored.
        chosen: the indices of those that are recalled.
        cues: the damaged pictures.
        steps: the largest number of reads.
        rest: the change of a pixel below which a recall ends.

    Returns:
        the mean cosines of the cue, of one read and of the recall with the picture, and the share
        of recalls whose own picture is the nearest of all stored.
    """
    end = dynamics.settle(read, cues, steps=steps, tolerance=rest).state
    alike = normalize(end, dim=-1) @ normalize(pictures, dim=-1).T
    own = alike.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    near = {"cue": cues, "once": read(cues), "cosine": end}
    cosines = {
        name: torch.cosine_similarity(x, pictures[chosen], dim=-1).double().mean().item()
        for name, x in near.items()
    }
    # Some pictures are stored twice. A recall that is lost is all zeros.
    right = (own >= alike.amax(-1) - 1e-6) & (own > 0)
    return cosines | {"recalled": right.double().mean().item()}
