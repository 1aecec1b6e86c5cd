"""Kernels for the scores of queries against keys."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanerva._engine.kernels.compile import compiled

# Scores that are compared with the floor together.
STRIP = 128


@compiled
def pick(
    scores: NDArray[Any],
    start: int,
    floor: NDArray[Any],
    kept: NDArray[Any],
    places: NDArray[np.int64],
    count: NDArray[np.int64],
    full: NDArray[np.bool_],
) -> None:
    """Append the scores that reach the floor of their row; mark the rows without room for all."""
    room, width = kept.shape[1], scores.shape[1]
    for row in range(len(scores)):
        line, low = scores[row], floor[row]
        for strip in range(0, width, STRIP):
            stop = min(strip + STRIP, width)
            # Few scores reach the floor: counting them is vectorised, a branch for each is not.
            hits = 0
            for place in range(strip, stop):
                hits += line[place] >= low
            if hits == 0:
                continue
            for place in range(strip, stop):
                if line[place] >= low and line[place] > -np.inf:
                    if count[row] == room:
                        full[row] = True
                        break
                    kept[row, count[row]] = line[place]
                    places[row, count[row]] = start + place
                    count[row] += 1


@compiled
def closeness(query: NDArray[Any], keys: NDArray[Any], scores: NDArray[Any]) -> None:
    """Compute minus half the squared distance of each query and each key."""
    for row in range(len(query)):
        here, scored = query[row], scores[row]
        for place in range(len(keys)):
            key = keys[place]
            total = key[0] - key[0]
            for column in range(len(here)):
                gap = here[column] - key[column]
                total += gap * gap
            scored[place] = -total / 2
