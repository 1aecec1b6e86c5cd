"""Recall along a cycle of patterns: which pattern the state matches best, step by step."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

import kanerva
from kanerva import correlated
from kanerva.lab.papers.burns2024 import _pictures
from kanerva.memory import Linked

__all__ = [
    "After",
    "Moment",
    "cycle",
    "disturbed",
    "follow",
    "frames",
    "matches",
    "model",
    "turns",
]

FRAMES, VALUES = 49, 2000  # of the smooth frames, as in the published video
PATTERNS, NEURONS = 30, 1000  # of the random patterns


class Moment(NamedTuple):
    """What was counted up to a step.

    * ``step``: the number of steps.
    * ``frame``: the best match now.
    * ``forward``, ``stay``, ``other``: steps after which the best match is the one that its link
      leads to, the same, or another one.
    * ``visited``: patterns that were the best match.
    * ``overlap``: mean of the largest overlap.
    """

    step: int
    frame: int
    forward: int
    stay: int
    other: int
    visited: int
    overlap: float


def frames(data: str, form: str, seed: int) -> Tensor:
    """Return the patterns of a recipe."""
    if data == "gif":
        found = _pictures.clip()
        found = found / found.max()
    elif data == "smooth":
        found = _pictures.wave(FRAMES, VALUES, seed)
    else:
        found = _pictures.uniform(PATTERNS, NEURONS, seed)
    return _pictures.centred(found) if form == "centred" else found


def cycle(memory: Linked, patterns: Tensor, way: int = 1) -> Linked:
    """Write patterns, and link each to the next (way 1) or to the one before (way -1)."""
    ids = memory.write(patterns)
    memory.link(ids, ids.roll(-way))
    return memory


def matches(memory: Linked, start: Tensor, patterns: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Recall, and return the overlaps with the patterns at every moment, and the last state."""
    path = memory.trace(start, steps=steps, tolerance=0.0).states
    path = torch.cat((path, path[-1:].expand(steps + 1 - len(path), -1)))  # those at rest
    return correlated.overlaps(path, patterns), path[-1]


def turns(best: Tensor, count: int, way: int = 1) -> Tensor:
    """Return the moves of the best match along the links of a cycle, 0 where it stays."""
    return way * (best[1:] - best[:-1]) % count


def follow(patterns: Tensor, memory: Linked, way: int, steps: int, every: int) -> Iterator[Moment]:
    """Recall from the first pattern, and yield what was counted after every so many steps."""
    overlaps, _ = matches(cycle(memory, patterns, way), patterns[0], patterns, steps)
    best, top = overlaps.argmax(-1), overlaps.amax(-1)
    moves = turns(best, len(patterns), way)
    for step in sorted({*range(0, steps + 1, every), steps}):
        forward, stay = (int((moves[:step] == move).sum()) for move in (1, 0))
        visited = len(set(best[: step + 1].tolist()))
        counts = (forward, stay, step - forward - stay, visited)
        yield Moment(step, int(best[step]), *counts, float(top[: step + 1].mean()))


def model(size: int, beta: float, rate: float, auto: float, hetero: float, mean: float) -> Linked:
    """Return an empty memory in float64."""
    return kanerva.cdam(size, beta, auto, hetero, mean, rate=rate, dtype=torch.float64)


class After(NamedTuple):
    """What was counted so many steps after a stimulus, as a mean over the stimuli.

    * ``since``: the number of steps.
    * ``captured``: share of the stimuli that are the best match.
    * ``walked``: places that the best match moved along the links since the stimulus.
    """

    since: int
    captured: float
    walked: float


def disturbed(
    memory: Linked, drawn: tuple[int, int, int], amplitude: float, timing: tuple[int, int]
) -> Iterator[After]:
    """Recall a cycle of random patterns, count, size and seed, with stimuli every so many steps."""
    patterns = _pictures.uniform(*drawn)
    cycle(memory, patterns)
    count, (every, steps) = len(patterns), timing
    captured, walked = [], []
    _, state = matches(memory, patterns[0], patterns, every)
    for stimulus in range(1, steps // every):
        place = -stimulus * every % count
        overlaps, state = matches(memory, state + amplitude * patterns[place], patterns, every)
        best = overlaps.argmax(-1)
        moves = turns(best, count)
        signed = torch.where(moves > count // 2, moves - count, moves)
        walked.append(torch.cat((signed.new_zeros(1), signed.cumsum(0))))
        captured.append(best == place)
    shares, places = (torch.stack(part).double().mean(0) for part in (captured, walked))
    for since, (share, place) in enumerate(zip(shares.tolist(), places.tolist(), strict=True)):
        yield After(since, share, place)
