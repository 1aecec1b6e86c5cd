"""Random locations and memories that are really built."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

import kanerva
from kanerva import bits, functional
from kanerva.separation import Step
from kanerva.similarity import agreement

__all__ = ["nearest", "reads", "shared"]


def shared(
    addresses: bits.Packed, radius: int, distance: int, draws: int, source: torch.Generator
) -> float:
    """Count the locations in both of two circles; return the mean over random pairs of centres."""
    rule = (agreement, Step(addresses.bits - radius))
    centres = bits.random(draws, addresses.bits, seed=source)
    circles = functional.active(centres, addresses, *rule)
    others = functional.active(bits.flip(centres, distance, seed=source), addresses, *rule)
    counts = [torch.isin(*pair).sum().item() for pair in zip(circles, others, strict=True)]
    return sum(counts) / draws


def nearest(
    addresses: bits.Packed, radius: int, points: int, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Compare random points with random locations.

    Returns:
        the distance of the nearest location for each point; and the share of bits in which the
        active locations equal the point, for each point that activates any.
    """
    size = addresses.bits
    scores = functional.scores(bits.random(points, size, seed=source), addresses, agreement)
    active = scores >= size - radius
    alike = ((scores * active).sum(-1) / active.sum(-1) / size)[active.any(-1)]
    return size - scores.amax(-1).double(), alike.double()


def reads(
    size: tuple[int, int, int, int], noise: str, distances: Sequence[int], targets: int, seed: int
) -> Iterator[Tensor]:
    """Fill one memory, and read it from every distance.

    Args:
        size: bits, radius, patterns, locations.
        noise: ``"autoassociative"`` where each pattern is its own value.
        distances: of the queries, in bits.
        targets: the number of patterns that are read, the first ones.
        seed: of all draws.

    Returns:
        the number of wrong bits of each read, for each distance.
    """
    n, radius, patterns, locations = size
    source = torch.Generator().manual_seed(seed)
    memory = kanerva.sdm(n, locations, radius, seed=seed, counters=torch.int16)
    keys = bits.random(patterns, n, seed=source)
    values = keys if noise == "autoassociative" else bits.random(patterns, n, seed=source)
    memory.write(keys, values)
    for distance in distances:
        cues = bits.flip(keys[:targets], distance, seed=source)
        yield bits.hamming(memory.read(cues), values[:targets]).double()
