"""Recall of random patterns: memories by name, damaged cues, and how near a recall comes."""

import math
import statistics
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

import kanerva
from kanerva import Memory, bits, theory
from kanerva._core import checks, machine
from kanerva._core.errors import refuse
from kanerva.activation import Sign, Unit
from kanerva.lab.papers.bricken2021 import _memories
from kanerva.lab.papers.bricken2021._words import CONTINUOUS
from kanerva.lab.recipe import Row
from kanerva.nn import projection
from kanerva.separation import Cap, Circle, Linear
from kanerva.similarity import agreement, cosine

__all__ = ["build", "cues", "curve", "levels", "patterns", "recall_together"]

ALGORITHMS = (
    *("sdm", "sdm_zero", "sdm_rounded", "sdm_poisson", "sdm_locations"),
    *("attention_published", "attention_ols", "attention_kl"),
    *("continuous_rounded", *CONTINUOUS),
)
# The largest number of reads of a recall.
STEPS = 100
# Changes of a coordinate below which a recall ends: in the published code, and here.
STILL, REST = 0.05, 1e-4
# The largest number of draws of a cue until its own pattern is the nearest.
TRIES = 100


def build(algorithm: str, bits: int, radius: int, locations: float, seed: int) -> Memory:
    """Build a memory of bits, or of directions where its name begins with "continuous".

    A tied vote for a bit becomes -1, as in the published code.
    """
    log_locations = math.log(checks.number("locations", locations, 1))
    match checks.choice("algorithm", algorithm, ALGORITHMS).split("_"):
        case ["sdm"]:
            return kanerva.sdm_patterns(bits, radius, tie="minus", empty="keep")
        case ["sdm", "zero"]:
            return kanerva.sdm_patterns(bits, radius, tie="minus", empty="zero")
        case ["sdm", "rounded"]:
            shared = _memories.Rounded(agreement, Circle(bits, radius), log_locations, seed)
            parts: Any = {"separation": Linear(), "activation": Sign("minus")}
            return _memories.Redrawn(bits, similarity=shared, **parts)
        case ["sdm", "poisson"]:
            return kanerva.sdm_patterns(bits, radius, locations, seed=seed, tie="minus")
        case ["sdm", "locations"]:
            with warnings.catch_warnings():
                # The experiment measures the effect of too few locations.
                warnings.simplefilter("ignore", UserWarning)
                return kanerva.sdm(bits, int(locations), radius, seed=seed, tie="minus")
        case ["attention", method]:
            return kanerva.sdm_attention(bits, radius, method=method, tie="minus")
        case ["continuous", "rounded"]:
            log_scale = log_locations + theory.cap.log_activation(bits, radius)
            shared = _memories.Rounded(cosine, Cap(bits, radius), log_scale, seed)
            parts = {"separation": Linear(), "activation": Unit(), "empty": "keep"}
            return _memories.Redrawn(bits, similarity=shared, **parts)
        case _:
            return _memories.memory(algorithm, bits, radius, empty="keep")


def patterns(count: int, bits: int, seed: int, directions: bool) -> Tensor:
    """Draw coordinates uniformly from -1 to 1; return their signs, or the vectors' directions."""
    checks.integer("patterns", count, 1)
    machine.fit("patterns", 16 * count * bits, str(count), "store fewer")
    source = np.random.default_rng(seed)
    signs = source.integers(0, 2, (count, bits)) * 2.0 - 1
    lengths = source.random((count, bits)) if directions else 1.0
    drawn = torch.from_numpy(signs * lengths).float()
    return normalize(drawn) if directions else drawn


def levels(farthest: int, count: int) -> list[int]:
    """Return distances from 0 to the farthest at equal intervals, rounded down."""
    count = checks.integer("levels", count, 1, 10**6)
    return np.linspace(0, farthest, count).astype(int).tolist()


def cues(
    targets: Tensor, keys: Tensor, distance: int, directions: bool, source: torch.Generator
) -> Tensor:
    """Damage patterns; draw a cue again where another pattern has become its nearest."""
    found = _damaged(targets, distance, directions, source)
    for _ in range(TRIES):
        lost = (found @ keys.T).amax(-1) > (found * targets).sum(-1) + 1e-4
        if not lost.any():
            return found
        found[lost] = _damaged(targets[lost], distance, directions, source)
    must = f"few enough for cues damaged by {distance} bits to stay nearest to their own"
    refuse("patterns", must=must, got=str(len(keys)), do="store fewer")


def _damaged(targets: Tensor, distance: int, directions: bool, source: torch.Generator) -> Tensor:
    """Flip so many bits, or turn a direction by the corresponding angle, to a random side."""
    damage = projection.tilt if directions else bits.flip
    return damage(targets, distance, seed=source)


def recall_together(memory: Memory, query: Tensor) -> Tensor:
    """Recall as the published code does: read all queries again until none of them changes.

    A read of zeros stands for the bits 0 there, which are -1 here.
    """
    for _ in range(STEPS):
        read = memory.read(query)
        read = read.masked_fill(read == 0, -1.0) if memory.value_bits else read
        if ((read - query).abs() < STILL).all():
            return read
        query = read
    return query


def curve(
    memory: Memory,
    keys: Tensor,
    distances: Sequence[int],
    size: tuple[int, int],
    seed: int,
    published: bool,
) -> Iterator[Row]:
    """Recall stored patterns from cues at each distance.

    Args:
        memory: an empty memory.
        keys: the patterns that are stored.
        distances: the damage of the cues, in bits.
        size: the number of patterns that are recalled, the first ones, and of cues for each.
        seed: of the cues.
        published: whether to recall as the published code does.

    Returns:
        a row of mean cosines with the patterns for each distance.
    """
    memory.write(keys)
    count = checks.integer("cues", size[0], 1, len(keys))
    repeats = checks.integer("repeats", size[1], 1)
    targets, directions = keys[:count], not memory.value_bits
    source = torch.Generator().manual_seed(seed + 1_000_000)  # apart from the draws of the memory
    undamaged = 0.0

    def recall(cue: Tensor) -> Tensor:
        if published:
            return recall_together(memory, cue)
        return memory.recall(cue, steps=STEPS, tolerance=REST if directions else 0)

    for distance in distances:
        once, recalled = [], []
        for _ in range(repeats):
            cue = cues(targets, keys, distance, directions, source)
            once.append(cosine_similarity(memory.read(cue), targets).mean().item())
            recalled.append(cosine_similarity(recall(cue), targets).mean().item())
        mean = statistics.fmean(recalled)
        undamaged = mean if distance == 0 else undamaged
        yield {
            "distance": distance,
            "cue": theory.circle.cosine(keys.shape[1], distance),
            "once": statistics.fmean(once),
            "cosine": mean,
            "relative": mean / undamaged if undamaged > 0.1 else None,
        }
