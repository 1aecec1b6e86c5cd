"""Writing to counters, and the keys that a query activates."""

from collections.abc import Iterator

import torch
from torch import Tensor

from kanerva._engine import packed, routes
from kanerva._engine.scores import Rows, chunks, finite, pieces
from kanerva.separation import Separation
from kanerva.similarity import Similarity


def deposit(
    query: Tensor,
    values: Tensor,
    keys: Rows,
    counters: Tensor,
    similarity: Similarity,
    separation: Separation,
    times: int,
) -> None:
    """Add every value, ``times`` over, to the counters of the keys that its address activates."""
    if routes.scans(keys, counters, similarity, separation):
        radius = routes.radius(keys, separation)
        packed.scatter(query, values, keys, counters, radius, times)
        return
    exact = counters.dtype if counters.is_floating_point() else torch.float64
    start, several, parts = 0, list(chunks(query, len(counters))), list(pieces(*counters.shape))
    # A write in several steps is taken back whole when one of them fails. Steps of whole numbers
    # cannot fail.
    fails = counters.is_floating_point() or not separation.binary
    before = counters.clone() if fails and len(several) * len(parts) > 1 else None
    try:
        for part, _ in several:
            given = values[start : start + len(part)].to(exact)
            start += len(part)
            weight = routes.weights(part, keys, similarity, separation, None)
            for rows in parts:
                added = times * (weight[:, rows].T.to(exact) @ given)
                changed = counters[rows] + added.to(counters.dtype)
                counters[rows] = finite(changed, part, keys)
    except BaseException:
        if before is not None:
            counters.copy_(before)
        raise


def active(
    query: Tensor, keys: Rows, similarity: Similarity, separation: Separation
) -> Iterator[Tensor]:
    """Yield the places of the keys that each query gives any weight, in order."""
    if routes.scans(keys, query, similarity, separation):
        yield from packed.near(query, keys, routes.radius(keys, separation))
        return
    for part, _ in chunks(query, keys.shape[0]):
        for weight in routes.weights(part, keys, similarity, separation, None):
            yield weight.nonzero().squeeze(-1)
